//! keyfob on a microcontroller: only the state machines, so that their cost can be measured on the linked program.
//!
//! Each machine is one function that is not inlined and is called once with data that the optimiser does not know. With
//! a stub in place of the cryptography and without formatting, the program must contain neither a panic nor an
//! allocation.
#![no_std]
#![no_main]

use core::hint::black_box;

use keyfob_core::{
    Instant,
    client::{Ceremony, GetAssertion, GetOptions, MakeCredential, MakeOptions},
    cose::Algorithm,
    crypto::StubCrypto,
    ctap2::{CredentialParameters, RpEntity, UserEntity},
    transport::hid::{Device, DeviceConfig, Host},
};
use keyfob_soft_authenticator::engine::{Config, Engine, Event};

use crate::seams::{Chip, Flash, Noise};

mod machines;
mod memory;
mod seams;

/// The reset handler. It is never run; it only keeps every machine in the program.
#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    let mut buffer = black_box([0; 1024]);
    let now = black_box(Instant::from_millis(7));
    machines::decode_get_info(black_box(&buffer));
    machines::decode_make_credential(black_box(&buffer));

    let report = black_box([0; 64]);
    machines::hid_device(&mut Device::new(black_box(DeviceConfig::default())), now, &report, &mut buffer);

    let hash = black_box([0; 32]);
    let rp = black_box(RpEntity { id: "example.org", name: None });
    let user = black_box(UserEntity { id: &[1], name: None, display_name: None });
    let algorithms = black_box([CredentialParameters::new(Algorithm::ES256)]);
    let options = black_box(MakeOptions::new(&hash, rp, user, &algorithms));
    let mut make_buffer = black_box([0; 1024]);
    let mut make = Ceremony::new(MakeCredential::new(&options), &mut make_buffer, StubCrypto, Noise);
    let options = black_box(GetOptions::new("example.org", &hash));
    let mut get_buffer = black_box([0; 1024]);
    let mut get = Ceremony::new(GetAssertion::new(&options), &mut get_buffer, StubCrypto, Noise);
    let mut host = black_box(Host::default());
    machines::client(black_box(&mut make), black_box(&mut get), &mut host, &report, &mut buffer);
    let _ = black_box(make.finish());
    let _ = black_box(get.finish());

    let mut memory = black_box([0; 2048]);
    let config = black_box(Config { max_msg_size: 1200, ..Config::new([0; 16]) });
    if let Ok(mut engine) = Engine::<Chip>::new(&mut memory, config, CRYPTO, Noise, Flash, now) {
        machines::engine(black_box(&mut engine), now, black_box(Event::Touched));
    }
    #[cfg(feature = "flash-log")]
    if let Ok(mut store) = machines::FlashLog::new(seams::Pages, StubCrypto, black_box(&[0; 32])) {
        use keyfob_soft_authenticator::store::{Change, Setting};
        let changes = [Change::Set(Setting::Pin, &[1]), Change::Put { rp_id_hash: &[0; 32], record: &[2] }];
        machines::flash_store(black_box(&mut store), black_box(&changes), &mut buffer);
    }
    #[cfg(feature = "rustcrypto")]
    machines::algorithms(black_box(&mut [0; 32]), black_box(&mut [0; 64]), black_box(&mut [0; 72]));
    stop()
}

#[cfg(feature = "rustcrypto")]
const CRYPTO: keyfob_core::crypto::RustCrypto = keyfob_core::crypto::RustCrypto;
#[cfg(not(feature = "rustcrypto"))]
const CRYPTO: StubCrypto = StubCrypto;

/// The linker keeps this function only if something can panic.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    keyfob_panicked()
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn keyfob_panicked() -> ! {
    stop()
}

fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
