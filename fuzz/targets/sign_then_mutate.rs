//! A signature verifies for any split of the message into parts, and does not verify once any byte is changed.
#![no_main]

use keyfob_core::{
    cose::{Algorithm, CoseKey},
    crypto::{RustCrypto, Sign, Verify},
};
use keyfob_fuzz::{Input, edit};
use libfuzzer_sys::fuzz_target;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let algorithm = match input.byte() % 4 {
        0 => Algorithm::ES256,
        1 => Algorithm::EDDSA,
        2 => Algorithm::ESP256,
        _ => Algorithm::ED25519,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(input.word() as u64);
    let (mut secret, mut public, mut signature) = ([0; 64], [0; 64], [0; 72]);
    let (secret_len, public_len) =
        RustCrypto.generate(algorithm, &mut rng, &mut secret, &mut public).expect("there is room");
    let mut message = input.slice().to_vec();
    let signature_len =
        RustCrypto.sign(algorithm, &secret[..secret_len], &[&message], &mut signature).expect("a key of its own");
    let (public, signature) = (&mut public[..public_len], &mut signature[..signature_len]);

    let cut = message.split_at(input.word() % (message.len() + 1));
    assert_eq!(verify(algorithm, public, &[cut.0, cut.1], signature), Some(true));
    let original = (public.to_vec(), message.clone(), signature.to_vec());
    if edit(&mut input, &mut [public, &mut message, signature])
        && original != (public.to_vec(), message.clone(), signature.to_vec())
    {
        assert_ne!(verify(algorithm, public, &[&message], signature), Some(true));
    }
    // A message with more or less bytes must not verify.
    message = original.1;
    message.push(input.byte());
    assert_eq!(verify(algorithm, &original.0, &[&message], &original.2), Some(false));
});

fn verify(algorithm: Algorithm, public: &[u8], message: &[&[u8]], signature: &[u8]) -> Option<bool> {
    let key = CoseKey::from_raw(algorithm, public)?;
    Some(RustCrypto.verify(&key, message, signature).is_ok())
}
