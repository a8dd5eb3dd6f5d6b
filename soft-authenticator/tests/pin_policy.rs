//! A PIN complexity policy that the integrator provides.

use keyfob_core::{Instant, Status, crypto::RustCrypto, pin_uv::PinUvAuthProtocol::Two};
use keyfob_soft_authenticator::{
    engine::{Config, ConfigError, Engine, Event, Platform, Progress},
    store::MemoryStore,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::harness::*;

struct NoSevens;

impl Platform for NoSevens {
    type Crypto = RustCrypto;
    type Rng = ChaCha20Rng;
    type Store = MemoryStore<1>;

    fn pin_is_complex(pin: &[u8]) -> bool {
        !pin.contains(&b'7')
    }
}

#[test]
fn an_integrator_puts_a_policy_of_its_own_in_force() {
    for (pin, expected) in [("1117", Status::PIN_POLICY_VIOLATION), ("1111", Status::OK)] {
        let config = Config::new([0xAA; 16]);
        let mut buffer = vec![0; config.buffer_len()];
        let rng = ChaCha20Rng::seed_from_u64(1);
        let mut engine =
            Engine::<NoSevens>::new(&mut buffer, config, RustCrypto, rng, MemoryStore::new(), Instant::default())
                .unwrap();
        let mut call = |request: &[u8]| {
            for (to, from) in engine.buffer().iter_mut().zip(request) {
                *to = *from;
            }
            let mut progress = engine.begin(Instant::default(), request.len());
            loop {
                match progress {
                    Progress::Reply(len) => return engine.buffer()[..len].to_vec(),
                    _ => progress = engine.resume(Instant::default(), Event::Tick),
                }
            }
        };
        assert_eq!(call(&[0x0D, 0xA2, 1, 3, 2, 0xA1, 4, 0xF5]), [0]);
        let request = set_pin_message(&mut call, pin);
        assert_eq!(call(&request), [expected.0]);
    }
}

#[test]
fn a_longest_pin_is_kept_to_and_told() {
    let config = Config { max_pin_length: 8, ..Config::new([0xAA; 16]) };
    let mut key = Key::with(config);
    assert_eq!(key.info(|info| info.max_pin_length), Some(8));
    assert_eq!(key.set_pin(Two, "123456789"), Status::PIN_POLICY_VIOLATION);
    assert_eq!(key.set_pin(Two, "äöüßäöüß"), Status::OK);
    for (min_pin_length, max_pin_length) in [(4, 7), (4, 64), (10, 9)] {
        let config = Config { min_pin_length, max_pin_length, ..config };
        let result = Key::try_with(config, BenchStore::default());
        assert_eq!(result.map(drop).unwrap_err(), ConfigError::MaxPinLength);
    }
}
