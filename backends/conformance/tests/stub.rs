//! The backend that protects nothing.

use keyfob_core::crypto::StubCrypto;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

#[test]
fn it_keeps_every_property() {
    for seed in 0..100 {
        assert_eq!(keyfob_conformance::properties(&StubCrypto, &mut ChaCha8Rng::seed_from_u64(seed)), Ok(()));
    }
}

#[test]
fn the_suite_does_not_take_it_for_cryptography() {
    assert!(keyfob_conformance::known_answers(&StubCrypto).is_err());
}
