//! References to a backend are backends, so that what is given one by value can share it.

use rand_core::TryCryptoRng;

use super::{Agreement, Algorithm, Cipher, CoseKey, Error, HEDGE, Hash, P256Point, P256Secret, Sign, Verify};

/// Implements the traits for a kind of reference.
macro_rules! shared {
    ($($reference:ty),*) => {$(
        impl<T: Hash + ?Sized> Hash for $reference {
            type Sha256 = T::Sha256;

            fn sha256_start(&self) -> T::Sha256 {
                (**self).sha256_start()
            }
            fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
                (**self).hmac_sha256(key, parts)
            }
            fn hkdf_sha256(&self, salt: &[u8], ikm: &[u8], info: &[u8]) -> [u8; 32] {
                (**self).hkdf_sha256(salt, ikm, info)
            }
            fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
                (**self).sha256(parts)
            }
        }

        impl<T: Cipher + ?Sized> Cipher for $reference {
            fn aes256_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
                (**self).aes256_cbc_encrypt(key, iv, data)
            }
            fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
                (**self).aes256_cbc_decrypt(key, iv, data)
            }
            fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
                (**self).aes128_cbc_encrypt(key, iv, data);
            }
            fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
                (**self).aes128_cbc_decrypt(key, iv, data);
            }
            fn aes256_gcm_seal(
                &self,
                key: &[u8; 32],
                nonce: &[u8; 12],
                aad: &[u8],
                data: &mut [u8],
            ) -> Result<[u8; 16], Error> {
                (**self).aes256_gcm_seal(key, nonce, aad, data)
            }
            fn aes256_gcm_open(
                &self,
                key: &[u8; 32],
                nonce: &[u8; 12],
                aad: &[u8],
                data: &mut [u8],
                tag: &[u8; 16],
            ) -> Result<(), Error> {
                (**self).aes256_gcm_open(key, nonce, aad, data, tag)
            }
        }

        impl<T: Agreement + ?Sized> Agreement for $reference {
            fn p256_generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<(P256Secret, P256Point), Error> {
                (**self).p256_generate(rng)
            }
            fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error> {
                (**self).p256_public(secret)
            }
            fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error> {
                (**self).p256_shared(secret, peer)
            }
        }

        impl<T: Sign + ?Sized> Sign for $reference {
            fn algorithms(&self) -> &[Algorithm] {
                (**self).algorithms()
            }
            fn generate<R: TryCryptoRng + ?Sized>(
                &self,
                algorithm: Algorithm,
                rng: &mut R,
                secret: &mut [u8],
                public: &mut [u8],
            ) -> Result<(usize, usize), Error> {
                (**self).generate(algorithm, rng, secret, public)
            }
            fn public_key(&self, algorithm: Algorithm, secret: &[u8], public: &mut [u8]) -> Result<usize, Error> {
                (**self).public_key(algorithm, secret, public)
            }
            fn sign_hedged(
                &self,
                algorithm: Algorithm,
                secret: &[u8],
                message: &[&[u8]],
                hedge: Option<&[u8; HEDGE]>,
                signature: &mut [u8],
            ) -> Result<usize, Error> {
                (**self).sign_hedged(algorithm, secret, message, hedge, signature)
            }
            fn sign(
                &self,
                algorithm: Algorithm,
                secret: &[u8],
                message: &[&[u8]],
                signature: &mut [u8],
            ) -> Result<usize, Error> {
                (**self).sign(algorithm, secret, message, signature)
            }
        }

        impl<T: Verify + ?Sized> Verify for $reference {
            fn verify(&self, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
                (**self).verify(key, message, signature)
            }
        }
    )*};
}

shared!(&T, &mut T);
