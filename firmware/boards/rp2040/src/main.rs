//! A security key on a Raspberry Pi Pico: its button BOOTSEL, its LED, and its USB connector.
#![no_std]
#![no_main]

use core::ops::Range;

use embassy_executor::Spawner;
use embassy_rp::{
    bind_interrupts,
    bootsel::is_bootsel_pressed,
    clocks::RoscRng,
    config::Config,
    flash::{Blocking, Flash},
    gpio::{Level, Output},
    peripherals, usb,
};
use keyfob_board::{
    Board,
    flash::{Partition, device_key},
    random::pooled,
};
use panic_halt as _;
use portable_atomic as _; // compare-and-swap in a critical section

/// Bytes of a Pico's flash.
const FLASH: usize = 2 << 20;
/// The page of the device key, from the beginning of the flash: the first behind the program's memory.
const DEVICE_KEY: u32 = 0x001F_0000;
/// The pages of the store: the 15 behind it, 60 KB.
const STORE: Range<u32> = 0x001F_1000..0x0020_0000;

bind_interrupts!(struct Interrupts {
    USBCTRL_IRQ => usb::InterruptHandler<peripherals::USB>;
});

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let chip = embassy_rp::init(Config::default());

    // The chip has no true random source, only an oscillator that is not quite regular.
    let mut rng = pooled(|bytes| RoscRng.fill_bytes(bytes));
    let mut flash = Flash::<_, Blocking, FLASH>::new_blocking(chip.FLASH);
    let mut bootsel = chip.BOOTSEL;
    let mut led = Output::new(chip.PIN_25, Level::Low);

    keyfob_board::run(Board {
        usb: usb::Driver::new(chip.USB, Interrupts),
        device_key: device_key(&mut flash, DEVICE_KEY, &mut rng),
        flash: Partition::new(flash, STORE),
        rng,
        button: move || is_bootsel_pressed(bootsel.reborrow()),
        light: |on| led.set_level(if on { Level::High } else { Level::Low }),
    })
    .await
}
