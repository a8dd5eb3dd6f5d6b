//! A key at two priorities: an interrupt each millisecond of a simulated 64 MHz part moves the reports, and the thread
//! computes. The interrupt is the host as well: it sends requests, disturbs them, and notes when the answers come.
//! Prints the longest pause between two reports of a pending request, and ends with status 0 when every answer came in
//! time. Only for the emulated Cortex-M4F.
#![no_std]
#![no_main]
// A test: a panic is a failure.
#![allow(clippy::disallowed_methods)]

use core::{cell::RefCell, panic::PanicInfo};

use cortex_m::{
    asm,
    interrupt::{self, Mutex},
    peripheral::{Peripherals, syst::SystClkSource},
};
use cortex_m_rt::{entry, exception};
use keyfob_core::{
    Instant,
    transport::hid::{DeviceConfig, Front},
};
use keyfob_soft_authenticator::{
    engine::Wait,
    hid::{FrontLock, HidAuthenticator, SharedFront},
};
use semihosting::{println, process};

use crate::{host::Host, platform::power_up};

#[path = "../counting.rs"]
mod counting;
#[path = "../flash.rs"]
mod flash;
mod host;
#[path = "../../../src/memory.rs"]
mod memory;
#[path = "../platform.rs"]
mod platform;

/// Ticks of the board's clock of 25 MHz in 64,000 instructions, of which QEMU runs one in a nanosecond: a millisecond
/// of a part at 64 MHz.
const TICKS: u32 = 1_600;

/// What the interrupt and the thread share.
struct Usb {
    front: Front,
    host: Host,
    /// Milliseconds of the simulated part.
    now: u64,
}

static USB: Mutex<RefCell<Option<Usb>>> = Mutex::new(RefCell::new(None));

fn usb<R>(work: impl FnOnce(&mut Usb) -> R) -> R {
    interrupt::free(|cs| work(USB.borrow(cs).borrow_mut().as_mut().expect("it is set before the clock runs")))
}

/// A critical section.
struct Lock;

impl FrontLock for Lock {
    fn lock<R>(&self, work: impl FnOnce(&mut Front) -> R) -> R {
        usb(|usb| work(&mut usb.front))
    }
}

/// A frame of USB: at most one report in each direction.
#[exception]
fn SysTick() {
    usb(|usb| {
        usb.now += 1;
        let now = Instant::from_millis(usb.now);
        if let Some(report) = usb.host.next(usb.now)
            && usb.front.receive(now, &report)
        {
            usb.host.sent(usb.now);
        }
        if let Some(report) = usb.front.transmit(now) {
            usb.host.received(usb.now, &report);
        }
    });
}

#[entry]
fn main() -> ! {
    static mut FLASH: [u8; flash::SIZE] = [0; flash::SIZE];
    static mut BUFFER: [u8; 4096] = [0; 4096];
    FLASH.fill(0xFF);
    let engine = power_up(FLASH, BUFFER, 1, Instant::default()).expect("an empty flash and a configuration that works");
    let front = Front::new(HidAuthenticator::device(&engine, DeviceConfig::default()));
    interrupt::free(|cs| USB.borrow(cs).replace(Some(Usb { front, host: Host::new(), now: 0 })));
    let mut key = HidAuthenticator::over(SharedFront(Lock), engine);
    let mut clock = Peripherals::take().expect("once").SYST;
    clock.set_clock_source(SystClkSource::Core);
    clock.set_reload(TICKS - 1);
    clock.clear_current();
    clock.enable_counter();
    clock.enable_interrupt();
    loop {
        let now = Instant::from_millis(usb(|usb| usb.now));
        if matches!(key.waits_for(), Some(Wait::Touch)) {
            key.touch(now, true);
        }
        key.turn(now);
        match usb(|usb| usb.host.result()) {
            Some(Ok(())) => {
                println!("result: PASS");
                process::exit(0)
            }
            Some(Err(why)) => {
                println!("result: FAIL: {why}");
                process::exit(1)
            }
            None if key.deadline() > Some(now) || key.deadline().is_none() => asm::wfi(),
            None => {}
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("PANIC: {info}");
    process::exit(101)
}
