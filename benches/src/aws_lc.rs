//! The cryptography of a registration and a sign-in with AWS-LC alone.

use std::hint::black_box;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};

/// Calls AWS-LC directly, with its own storage format for keys: key pair, signature, loading the stored key, signature.
pub fn floor() -> Box<dyn FnMut()> {
    let rng = SystemRandom::new();
    let stored = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).expect("a key");
    Box::new(move || {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        black_box(key.sign(&rng, black_box(&[1; 196]))).expect("a signature");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, stored.as_ref()).expect("the key");
        black_box(key.sign(&rng, black_box(&[1; 69]))).expect("a signature");
    })
}
