//! A security key on ST's STM32F4DISCOVERY: the blue button, the green LED, and the connector CN5.
#![no_std]
#![no_main]

use core::ops::Range;

use cortex_m as _; // the critical section
use embassy_executor::Spawner;
use embassy_stm32::{
    Config, bind_interrupts,
    flash::Flash,
    gpio::{Input, Level, Output, Pull, Speed},
    peripherals,
    rcc::{AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllMul, PllPDiv, PllPreDiv, PllQDiv, PllSource, Sysclk, mux},
    rng::{self, Rng},
    time::Hertz,
    usb,
};
use keyfob_board::{
    Board,
    flash::{Partition, device_key},
    random::reliable,
};
use panic_halt as _;
use static_cell::StaticCell;

/// The pages of the store: sectors 1 to 3 of the flash, 48 KB, from the beginning of the sectors of 16 KB.
const STORE: Range<u32> = 0x4000..0x1_0000;
/// The page of the device key: sector 4, the first and only one of 64 KB.
const DEVICE_KEY: u32 = 0;

bind_interrupts!(struct Interrupts {
    OTG_FS => usb::InterruptHandler<peripherals::USB_OTG_FS>;
    RNG => rng::InterruptHandler<peripherals::RNG>;
});

/// What comes in over USB: two endpoints of 64 bytes, and a packet more.
static RECEIVED: StaticCell<[u8; 256]> = StaticCell::new();

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let chip = embassy_stm32::init(clocks());

    let mut rng = Rng::new(chip.RNG, Interrupts);
    let mut rng = reliable(move |bytes| rng.fill_bytes(bytes));
    let flash = Flash::new_blocking(chip.FLASH).into_blocking_regions();
    let mut of_device_key = flash.bank1_region2;
    let button = Input::new(chip.PA0, Pull::Down);
    let mut led = Output::new(chip.PD12, Level::Low, Speed::Low);

    let mut config = usb::Config::default();
    // A key has power only while it is plugged in. What has power of its own must look for that of the bus (PA9).
    config.vbus_detection = false;
    let received = RECEIVED.init([0; 256]);

    keyfob_board::run(Board {
        usb: usb::Driver::new_fs(chip.USB_OTG_FS, Interrupts, chip.PA12, chip.PA11, received, config),
        device_key: device_key(&mut of_device_key, DEVICE_KEY, &mut rng),
        flash: Partition::new(flash.bank1_region1, STORE),
        rng,
        button: || button.is_high(),
        light: |on| led.set_level(if on { Level::High } else { Level::Low }),
    })
    .await
}

/// 168 MHz for the core, and 48 MHz for USB and the random source, from the board's crystal of 8 MHz.
fn clocks() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::Oscillator });
    rcc.pll_src = PllSource::HSE;
    rcc.pll = Some(Pll {
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL168,
        divp: Some(PllPDiv::DIV2),
        divq: Some(PllQDiv::DIV7),
        divr: None,
    });
    rcc.ahb_pre = AHBPrescaler::DIV1;
    rcc.apb1_pre = APBPrescaler::DIV4;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.sys = Sysclk::PLL1_P;
    rcc.mux.clk48sel = mux::Clk48sel::PLL1_Q;
    config
}
