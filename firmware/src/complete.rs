//! A complete key but for its USB: engine, CTAPHID, flash log and RustCrypto's ES256, so that the size of all of it can
//! be measured.
#![no_std]
#![no_main]

use core::hint::black_box;

use keyfob_core::{Instant, crypto::RustCrypto, transport::hid::DeviceConfig};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, Engine, Platform},
    hid::HidAuthenticator,
    store::FlashStore,
};

use crate::seams::{COMPILED, Noise, Pages};

mod memory;
#[allow(dead_code)] // the machines' store is another one
mod seams;

/// What the key is made of.
struct Key;

impl Platform for Key {
    const COMPILED: Caps = COMPILED;
    type Crypto = RustCrypto;
    type Rng = Noise;
    type Store = FlashStore<Pages, RustCrypto, 50, 4>;
}

/// The reset handler: a key's loop. It is never run.
#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    let (mut memory, now) = (black_box([0; 2048]), Instant::default());
    let config = Config { max_msg_size: 1200, ..Config::new([0; 16]) };
    let config = Config { caps: black_box(COMPILED), ..config };
    if let Ok(store) = FlashStore::new(Pages, RustCrypto, black_box(&[0; 32]))
        && let Ok(engine) = Engine::<Key>::new(&mut memory, config, RustCrypto, Noise, store, now)
    {
        let mut key = HidAuthenticator::new(engine, DeviceConfig::default());
        loop {
            let now = Instant::from_millis(black_box(7));
            black_box(key.receive(now, black_box(&[0; 64])));
            key.touch(now, black_box(true));
            key.tick(now);
            black_box(key.transmit(now));
            black_box(key.deadline());
        }
    }
    stop()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    stop()
}

fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
