//! keyfob's crypto traits on AWS-LC, for hosts: RSA, and elliptic curves at the speed of assembly. AWS-LC is built from
//! C.
//!
//! | by AWS-LC | by [`RustCrypto`] |
//! |---|---|
//! | ES256, ES384, ES512, RS256, PS256, ML-DSA | EdDSA, ES256K, hashes, ciphers, key agreement |

#![forbid(unsafe_code)]
#![deny(missing_docs, clippy::missing_errors_doc)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods
    )
)]
#![cfg_attr(test, allow(clippy::disallowed_methods))]

use std::cell::Cell;

use aws_lc_rs::{
    digest::{self, Digest},
    signature::{
        self, EcdsaKeyPair, KeyPair, ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm,
        RsaKeyPair, RsaParameters, RsaPublicKeyComponents, RsaSignatureEncoding,
    },
};
use keyfob_core::{
    bytes,
    cose::{Algorithm, CoseKey},
    crypto::{
        Agreement, Cipher, Error, HEDGE, Hash, ML_DSA_SEED, P256Point, P256Secret, RustCrypto, Sign, Verify,
        fill_random,
    },
};
use rand_core::TryCryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

mod ec;
mod rsa;

/// Every trait of [`keyfob_core::crypto`]: what AWS-LC does best by AWS-LC, the rest by [`RustCrypto`].
///
/// A secret key on a NIST curve is the scalar and the public key, `d‖x‖y`: with the public key at hand AWS-LC loads it
/// in half the time. The bare scalar that [`RustCrypto`] stores is taken as well. An RSA secret is the two primes of a
/// 2048-bit key, 256 bytes, from which the rest is rebuilt. The others are as in [`RustCrypto`].
///
/// Keys on NIST curves and RSA keys come from AWS-LC's own random generator, not from the one given.
///
/// A key that was just generated is kept, loaded, until the next call that signs: a registration does not load it
/// again.
///
/// ```
/// use keyfob_aws_lc::AwsLc;
/// use keyfob_core::cose::{Algorithm, CoseKey};
/// use keyfob_core::crypto::{Error, RustCrypto, Sign, Verify};
/// # use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha8Rng::seed_from_u64(1);
/// let crypto = AwsLc::default();
/// let (mut secret, mut public, mut signature) = ([0; 96], [0; 64], [0; 72]);
/// crypto.generate(Algorithm::ES256, &mut rng, &mut secret, &mut public)?;
/// let len = crypto.sign(Algorithm::ES256, &secret, &[b"a message"], &mut signature)?;
///
/// let key = CoseKey::from_raw(Algorithm::ES256, &public).ok_or(Error::InvalidKey)?;
/// assert_eq!(RustCrypto.verify(&key, &[b"a message"], &signature[..len]), Ok(()));
/// # Ok::<(), Error>(())
/// ```
#[derive(Default)]
pub struct AwsLc {
    fresh: Cell<Option<Fresh>>,
}

impl std::fmt::Debug for AwsLc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AwsLc")
    }
}

/// A generated key and the stored form of its secret.
struct Fresh {
    algorithm: Algorithm,
    secret: Zeroizing<Vec<u8>>,
    key: Loaded,
}

/// A key pair as AWS-LC keeps it.
enum Loaded {
    Ec(EcdsaKeyPair, &'static digest::Algorithm),
    Rsa(RsaKeyPair, &'static RsaSignatureEncoding),
    MlDsa(PqdsaKeyPair),
}

/// How AWS-LC does an algorithm.
enum Method {
    Ec(&'static ec::Curve),
    Rsa(&'static RsaSignatureEncoding, &'static RsaParameters),
    MlDsa(&'static PqdsaSigningAlgorithm, &'static PqdsaVerificationAlgorithm),
}

impl Method {
    /// `None` for what is left to [`RustCrypto`].
    const fn of(algorithm: Algorithm) -> Option<Self> {
        Some(match algorithm {
            Algorithm::ES256 | Algorithm::ESP256 => Self::Ec(&ec::P256),
            Algorithm::ES384 | Algorithm::ESP384 => Self::Ec(&ec::P384),
            Algorithm::ES512 | Algorithm::ESP512 => Self::Ec(&ec::P521),
            Algorithm::RS256 => Self::Rsa(&signature::RSA_PKCS1_SHA256, &signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::PS256 => Self::Rsa(&signature::RSA_PSS_SHA256, &signature::RSA_PSS_2048_8192_SHA256),
            Algorithm::ML_DSA_44 => Self::MlDsa(&signature::ML_DSA_44_SIGNING, &signature::ML_DSA_44),
            Algorithm::ML_DSA_65 => Self::MlDsa(&signature::ML_DSA_65_SIGNING, &signature::ML_DSA_65),
            Algorithm::ML_DSA_87 => Self::MlDsa(&signature::ML_DSA_87_SIGNING, &signature::ML_DSA_87),
            _ => return None,
        })
    }

    /// The key that `secret` stands for.
    ///
    /// # Errors
    /// [`Error::InvalidKey`].
    fn load(&self, secret: &[u8]) -> Result<Loaded, Error> {
        match *self {
            Self::Ec(curve) => Ok(Loaded::Ec(curve.load(secret)?, curve.hash)),
            Self::Rsa(encoding, _) => Ok(Loaded::Rsa(rsa::load(secret)?, encoding)),
            Self::MlDsa(algorithm, _) => {
                PqdsaKeyPair::from_seed(algorithm, secret).map(Loaded::MlDsa).map_err(|_| Error::InvalidKey)
            }
        }
    }
}

impl Loaded {
    fn public_key(&self, public: &mut [u8]) -> Result<usize, Error> {
        match self {
            // Behind the byte that says it is not compressed.
            Self::Ec(key, _) => write(public, bytes::rest(key.public_key().as_ref(), 1)),
            Self::Rsa(key, _) => rsa::public_key(key, public),
            Self::MlDsa(key) => write(public, key.public_key().as_ref()),
        }
    }

    fn sign(&self, message: &[&[u8]], signature: &mut [u8]) -> Result<usize, Error> {
        match self {
            Self::Ec(key, hash) => {
                let signed = key.sign_digest(&hashed(hash, message)).map_err(|_| Error::Failed)?;
                write(signature, signed.as_ref())
            }
            Self::Rsa(key, encoding) => {
                let out = signature.get_mut(..key.public_modulus_len()).ok_or(Error::OutputTooSmall)?;
                key.sign_digest(*encoding, &hashed(&digest::SHA256, message), out).map_err(|_| Error::Failed)?;
                Ok(out.len())
            }
            Self::MlDsa(key) => {
                let len = key.algorithm().signature_len();
                let out = signature.get_mut(..len).ok_or(Error::OutputTooSmall)?;
                key.sign(&message.concat(), out).map_err(|_| Error::Failed)
            }
        }
    }
}

impl Sign for AwsLc {
    fn algorithms(&self) -> &[Algorithm] {
        &[
            Algorithm::ES256,
            Algorithm::EDDSA,
            Algorithm::ES384,
            Algorithm::ES512,
            Algorithm::ES256K,
            Algorithm::PS256,
            Algorithm::RS256,
            Algorithm::ML_DSA_44,
            Algorithm::ML_DSA_65,
            Algorithm::ML_DSA_87,
            Algorithm::ESP256,
            Algorithm::ED25519,
            Algorithm::ESP384,
            Algorithm::ESP512,
        ]
    }

    fn generate<R: TryCryptoRng + ?Sized>(
        &self,
        algorithm: Algorithm,
        rng: &mut R,
        secret: &mut [u8],
        public: &mut [u8],
    ) -> Result<(usize, usize), Error> {
        let Some(method) = Method::of(algorithm) else {
            return RustCrypto.generate(algorithm, rng, secret, public);
        };
        let (key, secret_len) = match method {
            Method::Ec(curve) => {
                let (key, len) = curve.generate(secret)?;
                (Loaded::Ec(key, curve.hash), len)
            }
            Method::Rsa(encoding, _) => {
                let (key, len) = rsa::generate(secret)?;
                (Loaded::Rsa(key, encoding), len)
            }
            Method::MlDsa(..) => {
                let secret: &mut [u8; ML_DSA_SEED] = secret.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
                fill_random(rng, secret)?;
                (method.load(secret)?, secret.len())
            }
        };
        let public_len = key.public_key(public)?;
        let secret = Zeroizing::new(secret.iter().copied().take(secret_len).collect());
        self.fresh.set(Some(Fresh { algorithm, secret, key }));
        Ok((secret_len, public_len))
    }

    fn public_key(&self, algorithm: Algorithm, secret: &[u8], public: &mut [u8]) -> Result<usize, Error> {
        match Method::of(algorithm) {
            Some(method) => method.load(secret)?.public_key(public),
            None => RustCrypto.public_key(algorithm, secret, public),
        }
    }

    // The library's own randomness goes into each nonce: the bytes given are for the algorithms that are not its own.
    fn sign_hedged(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        hedge: Option<&[u8; HEDGE]>,
        signature: &mut [u8],
    ) -> Result<usize, Error> {
        let Some(method) = Method::of(algorithm) else {
            return RustCrypto.sign_hedged(algorithm, secret, message, hedge, signature);
        };
        let key = match self.fresh.take() {
            Some(fresh) if fresh.algorithm == algorithm && bool::from(fresh.secret.ct_eq(secret)) => fresh.key,
            _ => method.load(secret)?,
        };
        key.sign(message, signature)
    }
}

impl Verify for AwsLc {
    fn verify(&self, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
        match (Method::of(key.algorithm()), *key) {
            (None, _) => RustCrypto.verify(key, message, signature),
            (Some(Method::Ec(ours)), CoseKey::Ec2 { curve, x, y, .. }) if curve == ours.name => {
                let key = ours.parse(x, y)?;
                key.verify_digest_sig(&hashed(ours.hash, message), signature).map_err(|_| Error::Mismatch)
            }
            (Some(Method::Rsa(_, parameters)), CoseKey::Rsa { n, e, .. }) => {
                if n.len() < rsa::MODULUS {
                    return Err(Error::InvalidKey);
                }
                let key =
                    RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| Error::InvalidKey)?;
                key.verify_digest_sig(&hashed(&digest::SHA256, message), signature).map_err(|_| Error::Mismatch)
            }
            (Some(Method::MlDsa(_, algorithm)), CoseKey::Akp { public, .. }) => {
                let key = ParsedPublicKey::new(algorithm, public).map_err(|_| Error::InvalidKey)?;
                key.verify_sig(&message.concat(), signature).map_err(|_| Error::Mismatch)
            }
            _ => Err(Error::InvalidKey),
        }
    }
}

impl Hash for AwsLc {
    type Sha256 = <RustCrypto as Hash>::Sha256;

    fn sha256_start(&self) -> Self::Sha256 {
        RustCrypto.sha256_start()
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        RustCrypto.hmac_sha256(key, parts)
    }
}

impl Cipher for AwsLc {
    fn aes256_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        RustCrypto.aes256_cbc_encrypt(key, iv, data)
    }

    fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        RustCrypto.aes256_cbc_decrypt(key, iv, data)
    }

    fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        RustCrypto.aes128_cbc_encrypt(key, iv, data);
    }

    fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        RustCrypto.aes128_cbc_decrypt(key, iv, data);
    }

    fn aes256_gcm_seal(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        RustCrypto.aes256_gcm_seal(key, nonce, aad, data)
    }

    fn aes256_gcm_open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        RustCrypto.aes256_gcm_open(key, nonce, aad, data, tag)
    }
}

impl Agreement for AwsLc {
    fn p256_generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<(P256Secret, P256Point), Error> {
        RustCrypto.p256_generate(rng)
    }

    fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error> {
        RustCrypto.p256_public(secret)
    }

    fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error> {
        RustCrypto.p256_shared(secret, peer)
    }
}

fn hashed(algorithm: &'static digest::Algorithm, message: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(algorithm);
    message.iter().for_each(|part| context.update(part));
    context.finish()
}

fn write(out: &mut [u8], bytes: &[u8]) -> Result<usize, Error> {
    let out = out.get_mut(..bytes.len()).ok_or(Error::OutputTooSmall)?;
    Ok(bytes::put(out, bytes))
}

#[cfg(test)]
mod tests;
