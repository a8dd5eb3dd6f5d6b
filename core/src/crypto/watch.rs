//! Backends that forward to another backend. A reference does it so that a backend that is passed by value can be
//! shared. [`Watched`] does it so that a test can count calls, see secrets and make calls fail.

use rand_core::TryCryptoRng;

use super::{Agreement, Cipher, Error, HEDGE, Hash, HashFunction, P256Point, P256Secret, Sign, Verify};
use crate::{
    bytes,
    cose::{Algorithm, CoseKey},
};

/// What a backend is asked for.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum CryptoCall<'c> {
    /// A SHA-256. It cannot be refused.
    Sha256,
    /// An HMAC with this key. It cannot be refused.
    Hmac(&'c [u8]),
    /// AES-256-CBC with this key, of these bytes.
    Encrypt(&'c [u8], &'c [u8]),
    /// The inverse with this key.
    Decrypt(&'c [u8]),
    /// AES-256-GCM with this key, of these bytes.
    Seal(&'c [u8], &'c [u8]),
    /// The inverse.
    Open,
    /// A key pair, a public key, an agreement, a signature or its verification: at least one scalar multiplication, or
    /// as long.
    Slow,
}

/// Watches a backend. By default it lets everything pass.
pub trait Watch {
    /// A call is about to be made.
    ///
    /// # Errors
    /// What the call returns in place of its result. The backend does not see it.
    fn before(&self, call: CryptoCall<'_>) -> Result<(), Error> {
        let _ = call;
        Ok(())
    }

    /// Whether AES-256-CBC leaves its bytes as they are, instead of ciphering them.
    fn leaves_plaintext(&self) -> bool {
        false
    }

    /// The backend has made a secret key or a shared secret.
    fn made_secret(&self, secret: &[u8]) {
        let _ = secret;
    }

    /// The backend has made a signature, which can still be altered.
    fn made_signature(&self, signature: &mut [u8]) {
        let _ = signature;
    }
}

/// Watches nothing.
impl Watch for () {}

/// A backend that hands every call on to another one, past a [`Watch`].
///
/// It forwards what a backend has to implement, `sha256` and `sign`. [`Hash::hkdf_sha256`] and
/// [`Sign::check_signature`] are the traits' own over those, even where the backend has another.
pub trait Forward {
    /// The backend that does the work.
    type Backend: ?Sized;
    /// What watches it.
    type Watch: Watch;

    /// The backend that does the work.
    fn backend(&self) -> &Self::Backend;

    /// What watches it.
    fn watch(&self) -> &Self::Watch;
}

impl<T: ?Sized> Forward for &T {
    type Backend = T;
    type Watch = ();

    fn backend(&self) -> &T {
        self
    }

    fn watch(&self) -> &() {
        &()
    }
}

impl<T: ?Sized> Forward for &mut T {
    type Backend = T;
    type Watch = ();

    fn backend(&self) -> &T {
        self
    }

    fn watch(&self) -> &() {
        &()
    }
}

/// A backend whose calls go past a [`Watch`].
///
/// ```
/// use std::cell::Cell;
/// use keyfob_core::crypto::{CryptoCall, Error, Hash, RustCrypto, Watch, Watched};
///
/// #[derive(Default)]
/// struct Hashes(Cell<u32>);
///
/// impl Watch for Hashes {
///     fn before(&self, call: CryptoCall<'_>) -> Result<(), Error> {
///         self.0.set(self.0.get() + u32::from(matches!(call, CryptoCall::Sha256)));
///         Ok(())
///     }
/// }
///
/// let backend = Watched { backend: RustCrypto, watch: Hashes::default() };
/// backend.sha256(&[b"mess", b"age"]);
/// assert_eq!(backend.watch.0.get(), 1);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched<C, W> {
    /// The backend.
    pub backend: C,
    /// What watches it.
    pub watch: W,
}

impl<C, W: Watch> Forward for Watched<C, W> {
    type Backend = C;
    type Watch = W;

    fn backend(&self) -> &C {
        &self.backend
    }

    fn watch(&self) -> &W {
        &self.watch
    }
}

/// The backend for a call that takes long, unless the watch refuses it.
fn slow<F: Forward>(forward: &F) -> Result<&F::Backend, Error> {
    forward.watch().before(CryptoCall::Slow).map(|()| forward.backend())
}

impl<F: Forward<Backend: Hash>> Hash for F {
    type Sha256 = <F::Backend as Hash>::Sha256;

    fn sha256_start(&self) -> Self::Sha256 {
        let _ = self.watch().before(CryptoCall::Sha256);
        self.backend().sha256_start()
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let _ = self.watch().before(CryptoCall::Hmac(key));
        self.backend().hmac_sha256(key, parts)
    }

    fn digest(&self, function: HashFunction, parts: &[&[u8]], digest: &mut [u8; 64]) -> Result<usize, Error> {
        self.backend().digest(function, parts, digest)
    }

    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        let _ = self.watch().before(CryptoCall::Sha256);
        self.backend().sha256(parts)
    }
}

impl<F: Forward<Backend: Cipher>> Cipher for F {
    fn aes256_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        self.watch().before(CryptoCall::Encrypt(key, data))?;
        if self.watch().leaves_plaintext() { Ok(()) } else { self.backend().aes256_cbc_encrypt(key, iv, data) }
    }

    fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        self.watch().before(CryptoCall::Decrypt(key))?;
        if self.watch().leaves_plaintext() { Ok(()) } else { self.backend().aes256_cbc_decrypt(key, iv, data) }
    }

    fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        self.backend().aes128_cbc_encrypt(key, iv, data);
    }

    fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        self.backend().aes128_cbc_decrypt(key, iv, data);
    }

    fn aes256_gcm_seal(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        self.watch().before(CryptoCall::Seal(key, data))?;
        self.backend().aes256_gcm_seal(key, nonce, aad, data)
    }

    fn aes256_gcm_open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        self.watch().before(CryptoCall::Open)?;
        self.backend().aes256_gcm_open(key, nonce, aad, data, tag)
    }
}

impl<F: Forward<Backend: Agreement>> Agreement for F {
    fn p256_generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<(P256Secret, P256Point), Error> {
        let pair = slow(self)?.p256_generate(rng)?;
        self.watch().made_secret(&pair.0.0);
        Ok(pair)
    }

    fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error> {
        slow(self)?.p256_public(secret)
    }

    fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error> {
        let shared = slow(self)?.p256_shared(secret, peer)?;
        self.watch().made_secret(&shared);
        Ok(shared)
    }
}

impl<F: Forward<Backend: Sign>> Sign for F {
    fn algorithms(&self) -> &[Algorithm] {
        self.backend().algorithms()
    }

    fn generate<R: TryCryptoRng + ?Sized>(
        &self,
        algorithm: Algorithm,
        rng: &mut R,
        secret: &mut [u8],
        public: &mut [u8],
    ) -> Result<(usize, usize), Error> {
        let lengths = slow(self)?.generate(algorithm, rng, secret, public)?;
        self.watch().made_secret(secret.get(..lengths.0).unwrap_or(secret));
        Ok(lengths)
    }

    fn public_key(&self, algorithm: Algorithm, secret: &[u8], public: &mut [u8]) -> Result<usize, Error> {
        slow(self)?.public_key(algorithm, secret, public)
    }

    fn sign_hedged(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        hedge: Option<&[u8; HEDGE]>,
        signature: &mut [u8],
    ) -> Result<usize, Error> {
        let len = slow(self)?.sign_hedged(algorithm, secret, message, hedge, signature)?;
        self.watch().made_signature(bytes::front_mut(signature, len));
        Ok(len)
    }

    fn sign(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        signature: &mut [u8],
    ) -> Result<usize, Error> {
        let len = slow(self)?.sign(algorithm, secret, message, signature)?;
        self.watch().made_signature(bytes::front_mut(signature, len));
        Ok(len)
    }
}

impl<F: Forward<Backend: Verify>> Verify for F {
    fn verify(&self, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
        slow(self)?.verify(key, message, signature)
    }
}
