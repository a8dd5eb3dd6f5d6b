//! Signature verification compared with ring: both accept or both refuse.
//!
//! There is one intended difference: we refuse a key of small order, while ring verifies with it. Both compute `[S]B −
//! [h]A` and compare its encoding, so both treat points with a small-order component in the same way.
#![no_main]

use curve25519_dalek::{constants::EIGHT_TORSION, edwards::CompressedEdwardsY};
use ed25519_dalek::VerifyingKey;
use keyfob_core::{
    cose::{Algorithm, CoseKey},
    crypto::{Error, RustCrypto, Sign, Verify, der},
};
use keyfob_fuzz::{Input, edit};
use libfuzzer_sys::fuzz_target;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let how = input.byte();
    let mut rng = ChaCha8Rng::seed_from_u64(input.byte().into());
    if how & 1 == 0 { es256(how >> 1, &mut rng, &mut input) } else { ed25519(how >> 1, &mut rng, &mut input) }
});

/// A key pair, `(secret, public)`.
fn generate(algorithm: Algorithm, rng: &mut ChaCha8Rng) -> (Vec<u8>, Vec<u8>) {
    let (mut secret, mut public) = (vec![0; 64], vec![0; 64]);
    let lengths = RustCrypto.generate(algorithm, rng, &mut secret, &mut public).expect("there is room");
    secret.truncate(lengths.0);
    public.truncate(lengths.1);
    (secret, public)
}

fn es256(how: u8, rng: &mut ChaCha8Rng, input: &mut Input<'_>) {
    let (secret, mut public) = generate(Algorithm::ES256, rng);
    let mut buffer = [0; 72];
    let mut signature = match how % 4 {
        // Two numbers from the input.
        0 => {
            let length = der::write(&input.chunk::<32>(), &input.chunk::<32>(), &mut buffer).expect("there is room");
            buffer[..length].to_vec()
        }
        // Anything.
        1 => input.slice().to_vec(),
        _ => vec![],
    };
    let mut message = input.slice().to_vec();
    if signature.is_empty() {
        let length = RustCrypto.sign(Algorithm::ES256, &secret, &[&message], &mut buffer).expect("a key of its own");
        signature = buffer[..length].to_vec();
    }
    edit(input, &mut [&mut signature, &mut public, &mut message]);

    let key = CoseKey::from_raw(Algorithm::ES256, &public).expect("64 bytes");
    let ours = RustCrypto.verify(&key, &[&message], &signature);
    let uncompressed = [&[4], &*public].concat();
    let theirs = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, uncompressed).verify(&message, &signature);
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?}");
}

fn ed25519(how: u8, rng: &mut ChaCha8Rng, input: &mut Input<'_>) {
    let (mut secret, mut public) = generate(Algorithm::EDDSA, rng);
    match how % 4 {
        // The key plus a point of small order, which also changes the hash that is signed.
        0 => {
            let point = CompressedEdwardsY::from_slice(&public).expect("32 bytes").decompress().expect("a key");
            public = (point + EIGHT_TORSION[usize::from(input.byte() % 8)]).compress().to_bytes().to_vec();
            secret[32..].copy_from_slice(&public);
        }
        // A key of small order, or arbitrary bytes.
        1 => public = EIGHT_TORSION[usize::from(input.byte() % 8)].compress().to_bytes().to_vec(),
        2 => public = input.chunk::<32>().to_vec(),
        _ => {}
    }
    let mut message = input.slice().to_vec();
    let mut signature = [0; 64];
    // A signature by the secret key if that is possible, or arbitrary bytes.
    if how & 4 != 0 || RustCrypto.sign(Algorithm::EDDSA, &secret, &[&message], &mut signature).is_err() {
        signature = input.chunk();
    }
    edit(input, &mut [&mut signature, &mut public, &mut message]);
    let cut = input.word().min(64);
    let signature = if how & 8 == 0 { &signature[..] } else { &signature[..cut] };

    let key = CoseKey::from_raw(Algorithm::EDDSA, &public).expect("32 bytes");
    let ours = RustCrypto.verify(&key, &[&message], signature);
    let theirs = UnparsedPublicKey::new(&ED25519, &public).verify(&message, signature);
    let bytes: &[u8; 32] = public.first_chunk().expect("32 bytes");
    if VerifyingKey::from_bytes(bytes).is_ok_and(|key| key.is_weak()) {
        assert_eq!(ours, Err(Error::InvalidKey));
    } else {
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?}");
    }
}
