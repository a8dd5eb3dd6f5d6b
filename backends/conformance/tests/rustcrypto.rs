//! The backend on RustCrypto.

use keyfob_conformance::KNOWN_SIGNATURES;
use keyfob_core::{
    cose::Algorithm,
    crypto::{RustCrypto, Sign},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

#[test]
fn it_conforms() {
    assert_eq!(keyfob_conformance::run(&RustCrypto, &mut ChaCha8Rng::seed_from_u64(1)), Ok(()));
}

#[test]
fn its_signatures_are_the_ones_of_the_standards() {
    for known in KNOWN_SIGNATURES.iter().filter(|known| RustCrypto.algorithms().contains(&known.algorithm)) {
        let secret = match known.algorithm {
            Algorithm::EDDSA => [known.secret, known.public].concat(),
            _ => known.secret.to_vec(),
        };
        assert_eq!(keyfob_conformance::deterministic_signature(&RustCrypto, known, &secret), Ok(()));
    }
}

#[test]
fn its_ml_dsa_signatures_are_the_ones_of_the_standard() {
    assert_eq!(keyfob_conformance::deterministic_ml_dsa(&RustCrypto), Ok(()));
}
