//! The cryptography of the server, and what it means for its options.

use keyfob_core::{
    cose::{Algorithm, CoseKey},
    crypto::RustCrypto,
};

/// The algorithms that are asked for, best first: those that [`BACKEND`] verifies.
pub const ALGORITHMS: &[Algorithm] = &[Algorithm::ES256, Algorithm::EDDSA];
/// The cryptography of this server.
pub const BACKEND: RustCrypto = RustCrypto;

/// The algorithm of a name as JOSE writes it, in any case: "es256".
pub fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().copied().find(|algorithm| algorithm.name().is_some_and(|known| known.eq_ignore_ascii_case(name)))
}

/// A key as it is stored.
pub fn stored_key(key: &CoseKey<'_>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 8 * 1024]; // an ML-DSA-87 key takes 2,602
    let length = keyfob_core::cbor::encode(key, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}
