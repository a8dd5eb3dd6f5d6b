//! The crypto traits on the RustCrypto and dalek crates.
//!
//! A stored key signs with one scalar multiplication, because nothing here recomputes a public key: an ES256 secret is
//! the bare scalar, which needs none; an Ed25519 secret is `seed‖public`, because the signature hashes the public key.

use aes::{Aes128, Aes256};
use aes_gcm::{Aes256Gcm, aead::AeadInOut};
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use ed25519_dalek::{
    SigningKey, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign_byupdate},
};
use hmac::{Hmac, KeyInit, Mac};
use p256::{
    AffinePoint, FieldBytes, NistP256, NonZeroScalar, ProjectivePoint,
    ecdsa::Signature,
    elliptic_curve::{Generate, Group, ecdh::diffie_hellman, point::AffineCoordinates},
};
use rand_core::CryptoRng;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{Agreement, Cipher, Error, Hash, P256Point, P256Secret, Sha256, Sign, Verify, der};
use crate::{
    bytes,
    cose::{Algorithm, CoseKey, Curve},
};

/// Every trait of [`super`], in portable Rust: ES256 and EdDSA on Ed25519, each under both of its identifiers.
///
/// A secret key is 32 bytes for ES256 (the scalar, big-endian) and 64 for Ed25519 (RFC 8032 seed, then public key).
/// Secret keys must come from where they cannot be altered: an Ed25519 signature under a public half that is not the
/// seed's own gives the seed's scalar away.
///
/// Secrets are wiped here and, through their `zeroize` features, in the crates beneath; copies that those leave on the
/// stack on their own are out of reach.
///
/// With the feature `fast-p256` the first multiplication by the base point builds the table, inside one critical
/// section where there is no `std`: 1.3 times the work of a plain multiplication. Firmware does this at boot.
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
        let mut block = Zeroizing::new([0; 64]);
        if key.len() > block.len() {
            bytes::copy(&mut *block, &*Zeroizing::new(self.sha256(&[key])));
        } else {
            bytes::copy(&mut *block, key);
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
        cbc::Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_blocks(blocks);
        Ok(())
    }

    fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        let (blocks, []) = Array::slice_as_chunks_mut(data) else { return Err(Error::InvalidLength) };
        cbc::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_blocks(blocks);
        Ok(())
    }

    fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        cbc::Encryptor::<Aes128>::new(key.into(), iv.into()).encrypt_block(data.into());
    }

    fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        cbc::Decryptor::<Aes128>::new(key.into(), iv.into()).decrypt_block(data.into());
    }

    fn aes256_gcm_seal(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        Aes256Gcm::new(key.into())
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
        Aes256Gcm::new(key.into())
            .decrypt_inout_detached(nonce.into(), aad, data.into(), tag.into())
            .map_err(|_| Error::Mismatch)
    }
}

impl Agreement for RustCrypto {
    fn p256_generate<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> Result<(P256Secret, P256Point), Error> {
        let scalar = Zeroizing::new(NonZeroScalar::generate_from_rng(rng));
        let repr = Zeroizing::new(FieldBytes::from(&*scalar));
        Ok((P256Secret((*repr).into()), p256_public(&scalar)))
    }

    fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error> {
        Ok(p256_public(&*p256_scalar(&secret.0)?))
    }

    fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error> {
        let peer = p256_point(peer)?;
        let scalar = p256_scalar(&secret.0)?;
        Ok((*diffie_hellman::<NistP256>(&*scalar, peer).raw_secret_bytes()).into())
    }
}

impl Sign for RustCrypto {
    fn algorithms(&self) -> &[Algorithm] {
        &[Algorithm::ES256, Algorithm::EDDSA, Algorithm::ESP256, Algorithm::ED25519]
    }

    fn generate<R: CryptoRng + ?Sized>(
        &self,
        algorithm: Algorithm,
        rng: &mut R,
        secret: &mut [u8],
        public: &mut [u8],
    ) -> Result<(usize, usize), Error> {
        match algorithm {
            Algorithm::ES256 | Algorithm::ESP256 => {
                let secret = secret.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
                let public = public.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
                let (scalar, point) = self.p256_generate(rng)?;
                *secret = scalar.0;
                *public = point.to_bytes();
                Ok((secret.len(), public.len()))
            }
            Algorithm::EDDSA | Algorithm::ED25519 => {
                let secret = secret.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
                let public = public.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
                let mut seed = Zeroizing::new([0; 32]);
                rng.fill_bytes(&mut *seed);
                let key = SigningKey::from_bytes(&seed);
                *secret = key.to_keypair_bytes();
                *public = key.verifying_key().to_bytes();
                Ok((secret.len(), public.len()))
            }
            _ => Err(Error::Unsupported),
        }
    }

    fn public_key(&self, algorithm: Algorithm, secret: &[u8], public: &mut [u8]) -> Result<usize, Error> {
        match algorithm {
            Algorithm::ES256 | Algorithm::ESP256 => {
                let scalar = p256_scalar(secret)?;
                let public = public.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
                *public = p256_public(&scalar).to_bytes();
                Ok(public.len())
            }
            Algorithm::EDDSA | Algorithm::ED25519 => {
                let (_, key) = ed25519_halves(secret)?;
                let public = public.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
                *public = *key;
                Ok(public.len())
            }
            _ => Err(Error::Unsupported),
        }
    }

    fn sign(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        signature: &mut [u8],
    ) -> Result<usize, Error> {
        match algorithm {
            Algorithm::ES256 | Algorithm::ESP256 => {
                let scalar = p256_scalar(secret)?;
                let hash = self.sha256(message);
                let (signed, _) = ecdsa::hazmat::sign_prehashed_rfc6979::<NistP256, sha2::Sha256>(&scalar, &hash, &[]);
                let (r, s) = signed.split_bytes();
                der::write(&r.into(), &s.into(), signature)
            }
            Algorithm::EDDSA | Algorithm::ED25519 => {
                let (seed, public) = ed25519_halves(secret)?;
                let signature = signature.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
                let public = VerifyingKey::from_bytes(public).map_err(|_| Error::InvalidKey)?;
                let signed = raw_sign_byupdate(
                    &ExpandedSecretKey::from(seed),
                    |hash: &mut Sha512| {
                        message.iter().for_each(|part| Digest::update(hash, part));
                        Ok(())
                    },
                    &public,
                )
                .map_err(|_| Error::Failed)?;
                *signature = signed.to_bytes();
                Ok(signature.len())
            }
            _ => Err(Error::Unsupported),
        }
    }
}

impl Verify for RustCrypto {
    fn verify(&self, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
        match key.algorithm() {
            Algorithm::ES256 | Algorithm::ESP256 => {
                let point = p256_point(&key.p256_point().ok_or(Error::InvalidKey)?)?;
                let (r, s) = der::read(signature).ok_or(Error::Mismatch)?;
                let signature = Signature::from_scalars(r, s).map_err(|_| Error::Mismatch)?;
                ecdsa::hazmat::verify_prehashed(&ProjectivePoint::from(point), &self.sha256(message), &signature)
                    .map_err(|_| Error::Mismatch)
            }
            Algorithm::EDDSA | Algorithm::ED25519 => {
                let CoseKey::Okp { curve: Curve::ED25519, x, .. } = *key else { return Err(Error::InvalidKey) };
                let x = x.try_into().map_err(|_| Error::InvalidKey)?;
                let key = VerifyingKey::from_bytes(x).map_err(|_| Error::InvalidKey)?;
                // A point of small order verifies signatures that nobody made.
                if key.is_weak() {
                    return Err(Error::InvalidKey);
                }
                let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| Error::Mismatch)?;
                let mut verifier = key.verify_stream(&signature).map_err(|_| Error::Mismatch)?;
                for part in message {
                    verifier.update(part);
                }
                verifier.finalize_and_verify().map_err(|_| Error::Mismatch)
            }
            _ => Err(Error::Unsupported),
        }
    }
}

/// Refuses zero, what lies past the order, and other lengths than 32 bytes.
fn p256_scalar(secret: &[u8]) -> Result<Zeroizing<NonZeroScalar>, Error> {
    NonZeroScalar::try_from(secret).map(Zeroizing::new).map_err(|_| Error::InvalidKey)
}

/// Refuses coordinates past the field and points off the curve; infinity has no coordinates.
fn p256_point(point: &P256Point) -> Result<AffinePoint, Error> {
    AffinePoint::from_coordinates(&point.x.into(), &point.y.into()).into_option().ok_or(Error::InvalidKey)
}

fn p256_public(scalar: &NonZeroScalar) -> P256Point {
    let point = ProjectivePoint::mul_by_generator(scalar).to_affine();
    P256Point { x: point.x().into(), y: point.y().into() }
}

/// The seed and the public key of a stored Ed25519 secret.
fn ed25519_halves(secret: &[u8]) -> Result<(&[u8; 32], &[u8; 32]), Error> {
    let (seed, public) = secret.split_first_chunk().ok_or(Error::InvalidKey)?;
    Ok((seed, public.try_into().map_err(|_| Error::InvalidKey)?))
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::crypto::conformance::{self, ED25519_SEED, ES256_SECRET};

    #[test]
    fn it_conforms() {
        assert_eq!(conformance::run(&RustCrypto, &mut ChaCha8Rng::seed_from_u64(1)), Ok(()));
    }

    #[test]
    fn its_signatures_are_the_ones_of_the_standards() {
        let ed25519 = SigningKey::from_bytes(&ED25519_SEED).to_keypair_bytes();
        assert_eq!(conformance::deterministic_signatures(&RustCrypto, Some(&ES256_SECRET), Some(&ed25519)), Ok(()));
    }

    #[test]
    fn stored_secrets_and_signatures_fit_the_declared_sizes_exactly() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (mut secrets, mut publics, mut signatures) = (0, 0, 0);
        for &algorithm in RustCrypto.algorithms() {
            let (mut secret, mut public, mut signature) = ([0; 100], [0; 100], [0; 100]);
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

    #[test]
    fn an_es256_secret_that_is_not_a_scalar_is_refused() {
        for secret in [[0; 32], [0xff; 32], crate::crypto::P256_ORDER] {
            assert_eq!(RustCrypto.sign(Algorithm::ES256, &secret, &[b"message"], &mut [0; 72]), Err(Error::InvalidKey));
        }
    }
}
