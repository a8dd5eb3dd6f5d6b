//! A security key on Nordic's nRF52840-DK: button 1, LED 1, and the connector "nRF USB".
#![no_std]
#![no_main]

use core::ops::Range;

use cortex_m as _; // the critical section
use embassy_executor::Spawner;
use embassy_nrf::{
    bind_interrupts,
    config::{Config, HfclkSource},
    gpio::{Input, Level, Output, OutputDrive, Pull},
    nvmc::Nvmc,
    peripherals,
    rng::Rng,
    usb::{self, vbus_detect},
};
use keyfob_board::{
    Board,
    flash::{Partition, device_key},
};
use panic_halt as _;

/// The page of the device key: the first behind the program's memory.
const DEVICE_KEY: u32 = 0x000F_0000;
/// The pages of the store: the 15 behind it, 60 KB.
const STORE: Range<u32> = 0x000F_1000..0x0010_0000;

bind_interrupts!(struct Interrupts {
    USBD => usb::InterruptHandler<peripherals::USBD>;
    CLOCK_POWER => vbus_detect::InterruptHandler;
});

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let mut config = Config::default();
    // USB needs the crystal.
    config.hfclk_source = HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);

    // A true random source, with the correction of its bias.
    let mut rng = Rng::new_blocking(chip.RNG);
    rng.set_bias_correction(true);
    let mut flash = Nvmc::new(chip.NVMC);
    let button = Input::new(chip.P0_11, Pull::Up);
    let mut led = Output::new(chip.P0_13, Level::High, OutputDrive::Standard);

    keyfob_board::run(Board {
        usb: usb::Driver::new(chip.USBD, Interrupts, vbus_detect::HardwareVbusDetect::new(Interrupts)),
        device_key: device_key(&mut flash, DEVICE_KEY, &mut rng),
        flash: Partition::new(flash, STORE),
        rng,
        button: || button.is_low(),
        light: |on| led.set_level(if on { Level::Low } else { Level::High }),
    })
    .await
}
