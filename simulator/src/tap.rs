//! A crypto backend that records every secret that passes through it, and in which a test can plant a defect.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use keyfob_core::{
    cose::{Algorithm, CoseKey},
    crypto::{
        Agreement, Cipher, Crypto, Error, HEDGE, Hash, P256Point, P256Secret, RustCrypto, Sign, StubCrypto, Verify,
    },
};
use rand_core::TryCryptoRng;

use crate::Mutation;

/// A crypto backend that a world can use.
pub trait Backend: Crypto + Sign + Verify + Clone + Default {
    /// Whether the backend verifies the signatures of real certificates.
    const REAL: bool;
}

impl Backend for RustCrypto {
    const REAL: bool = true;
}

impl Backend for StubCrypto {
    const REAL: bool = false;
}

/// The secrets of a world: keys and plaintexts. None may appear on the wire.
#[derive(Clone, Default)]
pub struct Secrets(Rc<RefCell<Vec<Vec<u8>>>>);

/// The shortest secret that is searched for, in bytes. A shorter one would be found by chance.
const MIN_SECRET: usize = 8;
/// Longer secrets are truncated to this many bytes, because an Ed25519 secret ends with its public key.
const MAX_SECRET: usize = 32;

impl Secrets {
    /// Records a secret without its zero padding.
    pub fn add(&self, secret: &[u8]) {
        let len = secret.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let secret = &secret[..len.min(MAX_SECRET)];
        if secret.len() >= MIN_SECRET {
            self.0.borrow_mut().push(secret.to_vec());
        }
    }

    /// The first secret that appears in one of `streams`.
    pub fn found_in<'s>(&self, streams: impl Iterator<Item = &'s [u8]>) -> Option<Vec<u8>> {
        let secrets = self.0.borrow();
        // A key is added each time it is used, and at most places of a stream no secret begins. So first mark the two
        // bytes with which secrets begin.
        let mut begins = vec![false; 1 << 16];
        let begin = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        let mut by_start = HashMap::<&[u8], BTreeSet<&[u8]>>::new();
        for secret in secrets.iter() {
            begins[begin(secret)] = true;
            by_start.entry(&secret[..MIN_SECRET]).or_default().insert(secret);
        }
        for stream in streams {
            for (at, start) in stream.windows(MIN_SECRET).enumerate() {
                if begins[begin(start)]
                    && let Some(candidates) = by_start.get(start)
                    && let Some(secret) = candidates.iter().find(|secret| stream[at..].starts_with(secret))
                {
                    return Some(secret.to_vec());
                }
            }
        }
        None
    }
}

/// An observed backend.
#[derive(Clone)]
pub struct Tap<C> {
    inner: C,
    secrets: Secrets,
    mutation: Option<Mutation>,
}

impl<C: Backend> Tap<C> {
    /// Observes a new backend.
    pub fn new(secrets: Secrets, mutation: Option<Mutation>) -> Self {
        Self { inner: C::default(), secrets, mutation }
    }
}

impl<C: Hash> Hash for Tap<C> {
    type Sha256 = C::Sha256;

    fn sha256_start(&self) -> C::Sha256 {
        self.inner.sha256_start()
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        self.secrets.add(key);
        self.inner.hmac_sha256(key, parts)
    }
}

impl<C: Cipher> Cipher for Tap<C> {
    fn aes256_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        self.secrets.add(key);
        self.secrets.add(data);
        if self.mutation == Some(Mutation::PlaintextOnTheWire) {
            return Ok(());
        }
        self.inner.aes256_cbc_encrypt(key, iv, data)
    }

    fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        self.secrets.add(key);
        if self.mutation == Some(Mutation::PlaintextOnTheWire) {
            return Ok(());
        }
        self.inner.aes256_cbc_decrypt(key, iv, data)
    }

    fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        self.inner.aes128_cbc_encrypt(key, iv, data);
    }

    fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        self.inner.aes128_cbc_decrypt(key, iv, data);
    }

    fn aes256_gcm_seal(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        self.secrets.add(key);
        self.secrets.add(data);
        self.inner.aes256_gcm_seal(key, nonce, aad, data)
    }

    fn aes256_gcm_open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        self.inner.aes256_gcm_open(key, nonce, aad, data, tag)
    }
}

impl<C: Agreement> Agreement for Tap<C> {
    fn p256_generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<(P256Secret, P256Point), Error> {
        let pair = self.inner.p256_generate(rng)?;
        self.secrets.add(&pair.0.0);
        Ok(pair)
    }

    fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error> {
        self.inner.p256_public(secret)
    }

    fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error> {
        let shared = self.inner.p256_shared(secret, peer)?;
        self.secrets.add(&shared);
        Ok(shared)
    }
}

impl<C: Sign> Sign for Tap<C> {
    fn algorithms(&self) -> &[Algorithm] {
        self.inner.algorithms()
    }

    fn generate<R: TryCryptoRng + ?Sized>(
        &self,
        algorithm: Algorithm,
        rng: &mut R,
        secret: &mut [u8],
        public: &mut [u8],
    ) -> Result<(usize, usize), Error> {
        let lengths = self.inner.generate(algorithm, rng, secret, public)?;
        self.secrets.add(&secret[..lengths.0]);
        Ok(lengths)
    }

    fn public_key(&self, algorithm: Algorithm, secret: &[u8], public: &mut [u8]) -> Result<usize, Error> {
        self.inner.public_key(algorithm, secret, public)
    }

    fn sign_hedged(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        hedge: Option<&[u8; HEDGE]>,
        signature: &mut [u8],
    ) -> Result<usize, Error> {
        let len = self.inner.sign_hedged(algorithm, secret, message, hedge, signature)?;
        if self.mutation == Some(Mutation::WrongSignature) {
            signature[len - 1] ^= 1;
        }
        Ok(len)
    }
}

impl<C: Verify> Verify for Tap<C> {
    fn verify(&self, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
        self.inner.verify(key, message, signature)
    }
}
