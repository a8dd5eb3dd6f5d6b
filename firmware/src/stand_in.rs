//! Cryptography that costs nothing: every result is unknown to the optimiser, nothing is computed.

use core::hint::black_box;

use keyfob_core::crypto::{Agreement, Cipher, Error, Hash, P256Point, P256Secret, Sha256};
use rand_core::CryptoRng;

/// The backend.
pub struct StandIn;

impl StandIn {
    /// A key pair's secret half.
    pub fn secret() -> P256Secret {
        P256Secret(black_box([1; 32]))
    }

    fn point() -> P256Point {
        P256Point { x: black_box([1; 32]), y: black_box([2; 32]) }
    }
}

/// Whether the backend failed; the optimiser must expect both.
fn result() -> Result<(), Error> {
    if black_box(false) { Err(Error::Failed) } else { Ok(()) }
}

/// A running hash, as large as a real one.
#[derive(Clone)]
pub struct Running([u8; 104]);

impl Sha256 for Running {
    fn update(&mut self, data: &[u8]) {
        black_box((&mut self.0, data));
    }

    fn finish(self) -> [u8; 32] {
        black_box([0; 32])
    }
}

impl Hash for StandIn {
    type Sha256 = Running;

    fn sha256_start(&self) -> Running {
        Running([0; 104])
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        black_box((key, parts));
        black_box([0; 32])
    }

    fn hkdf_sha256(&self, salt: &[u8], ikm: &[u8], info: &[u8]) -> [u8; 32] {
        black_box((salt, ikm, info));
        black_box([0; 32])
    }
}

impl Cipher for StandIn {
    fn aes256_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        black_box((key, iv, data));
        result()
    }

    fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        black_box((key, iv, data));
        result()
    }

    fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        black_box((key, iv, data));
    }

    fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        black_box((key, iv, data));
    }

    fn aes256_gcm_seal(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        black_box((key, nonce, aad, data));
        result().map(|()| black_box([0; 16]))
    }

    fn aes256_gcm_open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        black_box((key, nonce, aad, data, tag));
        result()
    }
}

impl Agreement for StandIn {
    fn p256_generate<R: CryptoRng + ?Sized>(&self, _: &mut R) -> Result<(P256Secret, P256Point), Error> {
        result().map(|()| (Self::secret(), Self::point()))
    }

    fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error> {
        black_box(&secret.0);
        result().map(|()| Self::point())
    }

    fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error> {
        black_box((&secret.0, peer));
        result().map(|()| black_box([0; 32]))
    }
}
