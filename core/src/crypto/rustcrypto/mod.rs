//! The crypto traits on the RustCrypto and dalek crates.
//!
//! A stored key signs with one scalar multiplication, because nothing here recomputes a public key.
//!
//! What an algorithm does is not inlined into the `match` over all of them: that one's frame would take the stack of
//! the hungriest algorithm for each.

#[cfg(feature = "ml-dsa")]
use ::ml_dsa::{MlDsa44, MlDsa65, MlDsa87};
use aes::{Aes128Dec, Aes128Enc, Aes256Dec, Aes256Enc};
use aes_gcm::{AesGcm, aead::AeadInOut};
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, consts::U12};
use hmac::{Hmac, KeyInit, Mac};
#[cfg(feature = "es256k")]
use k256::Secp256k1;
use p256::{NistP256, elliptic_curve::ecdh::diffie_hellman};
#[cfg(feature = "es384")]
use p384::NistP384;
#[cfg(feature = "es512")]
use p521::NistP521;
use rand_core::TryCryptoRng;
use sha2::Digest;

use super::{Agreement, Cipher, Error, HEDGE, Hash, P256Point, P256Secret, Sha256, Sign, Verify};
use crate::{
    bytes::{self, Secret},
    cose::{Algorithm, CoseKey},
};

mod ecdsa;
#[cfg(feature = "eddsa")]
mod ed25519;
#[cfg(feature = "ed448")]
mod ed448;
mod gcm;
#[cfg(feature = "ml-dsa")]
mod ml_dsa;

/// Every trait of [`super`], in portable Rust: ES256, and by features EdDSA on Ed25519, ES384, ES512, ES256K and
/// ML-DSA, each under all of its identifiers; Ed448, by a feature, is verified only.
///
/// A secret key is the scalar for ECDSA, big-endian, as long as a coordinate: 32, 48 or 66 bytes; for Ed25519 it is 64
/// bytes, the seed of RFC 8032, then the public key; for ML-DSA it is the seed, 32 bytes.
/// Secret keys must come from where they cannot be altered: an Ed25519 signature under a public half that is not the
/// seed's own gives the seed's scalar away.
///
/// Secrets are wiped here and, through their `zeroize` features, in the crates beneath; copies that those leave on the
/// stack on their own are out of reach.
///
/// With the feature `fast-p256` the first multiplication by the base point builds the table, inside one critical
/// section where there is no `std`: 1.3 times the work of a plain multiplication. Firmware does this at boot.
///
/// ```
/// use keyfob_core::{cose::{Algorithm, CoseKey}, crypto::{Error, RustCrypto, Sign, Verify}};
/// # use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha8Rng::seed_from_u64(1);
/// let (mut secret, mut public, mut signature) = ([0; 32], [0; 64], [0; 72]);
/// RustCrypto.generate(Algorithm::ES256, &mut rng, &mut secret, &mut public)?;
/// let len = RustCrypto.sign(Algorithm::ES256, &secret, &[b"a message"], &mut signature)?;
///
/// let key = CoseKey::from_raw(Algorithm::ES256, &public).ok_or(Error::InvalidKey)?;
/// RustCrypto.verify(&key, &[b"a message"], &signature[..len])?;
/// assert_eq!(RustCrypto.verify(&key, &[b"another"], &signature[..len]), Err(Error::Mismatch));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

impl Sha256 for sha2::Sha256 {
    fn update(&mut self, data: &[u8]) {
        Digest::update(self, data);
    }

    fn finish(self) -> [u8; 32] {
        self.finalize().into()
    }
}

impl Hash for RustCrypto {
    type Sha256 = sha2::Sha256;

    fn sha256_start(&self) -> Self::Sha256 {
        sha2::Sha256::new()
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        // From a whole block, because that constructor cannot fail (RFC 2104 §2).
        let mut block = Secret([0; 64]);
        if key.len() > block.len() {
            bytes::put(&mut *block, &*Secret(self.sha256(&[key])));
        } else {
            bytes::put(&mut *block, key);
        }
        let mut mac = Hmac::<sha2::Sha256>::new((&*block).into());
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl Cipher for RustCrypto {
    fn aes256_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        let (blocks, []) = Array::slice_as_chunks_mut(data) else { return Err(Error::InvalidLength) };
        cbc::Encryptor::<Aes256Enc>::new(key.into(), iv.into()).encrypt_blocks(blocks);
        Ok(())
    }

    fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        let (blocks, []) = Array::slice_as_chunks_mut(data) else { return Err(Error::InvalidLength) };
        cbc::Decryptor::<Aes256Dec>::new(key.into(), iv.into()).decrypt_blocks(blocks);
        Ok(())
    }

    fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        cbc::Encryptor::<Aes128Enc>::new(key.into(), iv.into()).encrypt_block(data.into());
    }

    fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        cbc::Decryptor::<Aes128Dec>::new(key.into(), iv.into()).decrypt_block(data.into());
    }

    fn aes256_gcm_seal(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        AesGcm::<Aes256Enc, U12>::new(key.into())
            .encrypt_inout_detached(nonce.into(), aad, data.into())
            .map(Into::into)
            .map_err(|_| Error::InvalidLength)
    }

    fn aes256_gcm_open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        gcm::open(key, nonce, aad, data, tag)
    }
}

impl Agreement for RustCrypto {
    fn p256_generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<(P256Secret, P256Point), Error> {
        let (mut secret, mut public) = (P256Secret([0; 32]), [0; 64]);
        ecdsa::generate::<NistP256, R>(rng, &mut secret.0, &mut public)?;
        Ok((secret, P256Point::from_bytes(&public)))
    }

    fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error> {
        let mut public = [0; 64];
        ecdsa::public_key::<NistP256>(&secret.0, &mut public)?;
        Ok(P256Point::from_bytes(&public))
    }

    fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error> {
        let peer = ecdsa::point::<NistP256>(&peer.x, &peer.y)?;
        let scalar = ecdsa::scalar::<NistP256>(&secret.0)?;
        Ok((*diffie_hellman::<NistP256>(&*scalar, peer).raw_secret_bytes()).into())
    }
}

/// Calls `$function` of the module that implements `$algorithm`. `[R]` is passed on as a further generic argument.
/// Ed448 is not in the table because it is only verified.
macro_rules! by_algorithm {
    ($algorithm:expr, $function:ident $([$rng:ident])? ($($argument:expr),*)) => {
        match $algorithm {
            Algorithm::ES256 | Algorithm::ESP256 => ecdsa::$function::<NistP256 $(, $rng)?>($($argument),*),
            #[cfg(feature = "eddsa")]
            Algorithm::EDDSA | Algorithm::ED25519 => ed25519::$function($($argument),*),
            #[cfg(feature = "es384")]
            Algorithm::ES384 | Algorithm::ESP384 => ecdsa::$function::<NistP384 $(, $rng)?>($($argument),*),
            #[cfg(feature = "es512")]
            Algorithm::ES512 | Algorithm::ESP512 => ecdsa::$function::<NistP521 $(, $rng)?>($($argument),*),
            #[cfg(feature = "es256k")]
            Algorithm::ES256K => ecdsa::$function::<Secp256k1 $(, $rng)?>($($argument),*),
            #[cfg(feature = "ml-dsa")]
            Algorithm::ML_DSA_44 => ml_dsa::$function::<MlDsa44 $(, $rng)?>($($argument),*),
            #[cfg(feature = "ml-dsa")]
            Algorithm::ML_DSA_65 => ml_dsa::$function::<MlDsa65 $(, $rng)?>($($argument),*),
            #[cfg(feature = "ml-dsa")]
            Algorithm::ML_DSA_87 => ml_dsa::$function::<MlDsa87 $(, $rng)?>($($argument),*),
            _ => Err(Error::Unsupported),
        }
    };
}

impl Sign for RustCrypto {
    fn algorithms(&self) -> &[Algorithm] {
        &[
            Algorithm::ES256,
            #[cfg(feature = "eddsa")]
            Algorithm::EDDSA,
            #[cfg(feature = "es384")]
            Algorithm::ES384,
            #[cfg(feature = "es512")]
            Algorithm::ES512,
            #[cfg(feature = "es256k")]
            Algorithm::ES256K,
            #[cfg(feature = "ml-dsa")]
            Algorithm::ML_DSA_44,
            #[cfg(feature = "ml-dsa")]
            Algorithm::ML_DSA_65,
            #[cfg(feature = "ml-dsa")]
            Algorithm::ML_DSA_87,
            Algorithm::ESP256,
            #[cfg(feature = "eddsa")]
            Algorithm::ED25519,
            #[cfg(feature = "es384")]
            Algorithm::ESP384,
            #[cfg(feature = "es512")]
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
        by_algorithm!(algorithm, generate[R](rng, secret, public))
    }

    fn public_key(&self, algorithm: Algorithm, secret: &[u8], public: &mut [u8]) -> Result<usize, Error> {
        by_algorithm!(algorithm, public_key(secret, public))
    }

    fn sign_hedged(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        hedge: Option<&[u8; HEDGE]>,
        signature: &mut [u8],
    ) -> Result<usize, Error> {
        by_algorithm!(algorithm, sign(secret, message, hedge, signature))
    }
}

impl Verify for RustCrypto {
    fn verify(&self, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
        #[cfg(feature = "ed448")]
        if key.algorithm() == Algorithm::ED448 {
            return ed448::verify(key, message, signature);
        }
        by_algorithm!(key.algorithm(), verify(key, message, signature))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::crypto::NoRandom;

    #[test]
    fn its_hedged_signatures_follow_from_the_random_bytes_and_nothing_else_new() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for &algorithm in RustCrypto.algorithms() {
            let (mut secret, mut public) = ([0; 66], [0; 2592]);
            let (len, _) = RustCrypto.generate(algorithm, &mut rng, &mut secret, &mut public).unwrap();
            let sign = |hedge: Option<&[u8; HEDGE]>| {
                let mut signature = vec![0; 4627];
                let len = RustCrypto.sign_hedged(algorithm, &secret[..len], &[b"mess", b"age"], hedge, &mut signature);
                signature[..len.unwrap()].to_vec()
            };
            let (plain, one, two) = (sign(None), sign(Some(&[1; HEDGE])), sign(Some(&[2; HEDGE])));
            assert!(plain != one && one != two && plain != two, "{algorithm:?}");
            assert_eq!((sign(None), sign(Some(&[1; HEDGE]))), (plain, one), "{algorithm:?}");
        }
    }

    #[test]
    fn a_random_source_that_fails_makes_no_key() {
        for &algorithm in RustCrypto.algorithms() {
            let (mut secret, mut public) = ([0; 66], [0; 2592]);
            let generated = RustCrypto.generate(algorithm, &mut NoRandom, &mut secret, &mut public);
            assert_eq!(generated, Err(Error::RandomSource), "{algorithm:?}");
            assert_eq!(secret, [0; 66]);
        }
        assert!(RustCrypto.p256_generate(&mut NoRandom).is_err());
    }

    // RSA, of other backends, has longer ones.
    #[cfg(all(feature = "eddsa", not(feature = "rsa")))]
    #[test]
    fn stored_secrets_and_signatures_fit_the_declared_sizes_exactly() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (mut secrets, mut publics, mut signatures) = (0, 0, 0);
        for &algorithm in RustCrypto.algorithms() {
            let (mut secret, mut public, mut signature) = ([0; 100], [0; 3000], [0; 5000]);
            let (secret_len, public_len) = RustCrypto.generate(algorithm, &mut rng, &mut secret, &mut public).unwrap();
            secrets = secrets.max(secret_len);
            publics = publics.max(public_len);
            for message in 0..64_u8 {
                let len = RustCrypto.sign(algorithm, &secret[..secret_len], &[&[message]], &mut signature).unwrap();
                signatures = signatures.max(len);
            }
        }
        use crate::crypto::{MAX_PUBLIC, MAX_SECRET, MAX_SIGNATURE};
        assert_eq!((secrets, publics, signatures), (MAX_SECRET, MAX_PUBLIC, MAX_SIGNATURE));
    }
}
