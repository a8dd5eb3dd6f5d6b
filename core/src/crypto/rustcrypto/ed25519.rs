//! Ed25519. A secret is `seed‖public`, because the signature hashes the public key.

use ed25519_dalek::{
    Signature, SigningKey, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign_byupdate},
};
use rand_core::TryCryptoRng;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use crate::{
    bytes::{self, Secret},
    cose::{CoseKey, Curve},
    crypto::{Error, HEDGE, fill_random},
};

#[inline(never)]
pub fn generate<R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    secret: &mut [u8],
    public: &mut [u8],
) -> Result<(usize, usize), Error> {
    let secret = secret.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
    let public = public.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
    let mut seed = Secret([0; 32]);
    fill_random(rng, &mut *seed)?;
    let key = SigningKey::from_bytes(&seed);
    *secret = key.to_keypair_bytes();
    *public = key.verifying_key().to_bytes();
    Ok((secret.len(), public.len()))
}

#[inline(never)]
pub fn public_key(secret: &[u8], public: &mut [u8]) -> Result<usize, Error> {
    let (_, key) = halves(secret)?;
    let public = public.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
    *public = *key;
    Ok(public.len())
}

#[inline(never)]
pub fn sign(
    secret: &[u8],
    message: &[&[u8]],
    hedge: Option<&[u8; HEDGE]>,
    signature: &mut [u8],
) -> Result<usize, Error> {
    let (seed, public) = halves(secret)?;
    let signature = signature.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
    let public = VerifyingKey::from_bytes(public).map_err(|_| Error::InvalidKey)?;
    let mut key = ExpandedSecretKey::from(seed);
    if let Some(hedge) = hedge {
        // The nonce is the hash of this prefix and the message: any secret prefix will do.
        let prefix = Zeroizing::new(<[u8; 64]>::from(
            Sha512::new().chain_update(key.hash_prefix).chain_update(hedge).finalize(),
        ));
        key.hash_prefix = bytes::first(&*prefix);
    }
    let signed = raw_sign_byupdate(
        &key,
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

#[inline(never)]
pub fn verify(key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
    let CoseKey::Okp { curve: Curve::ED25519, x, .. } = *key else { return Err(Error::InvalidKey) };
    let x = x.try_into().map_err(|_| Error::InvalidKey)?;
    let key = VerifyingKey::from_bytes(x).map_err(|_| Error::InvalidKey)?;
    // Under a point of small order, signatures verify that were made without a secret key.
    if key.is_weak() {
        return Err(Error::InvalidKey);
    }
    let signature = Signature::from_slice(signature).map_err(|_| Error::Mismatch)?;
    let mut verifier = key.verify_stream(&signature).map_err(|_| Error::Mismatch)?;
    for part in message {
        verifier.update(part);
    }
    verifier.finalize_and_verify().map_err(|_| Error::Mismatch)
}

/// The seed and the public key of a stored secret.
fn halves(secret: &[u8]) -> Result<(&[u8; 32], &[u8; 32]), Error> {
    let (seed, public) = secret.split_first_chunk().ok_or(Error::InvalidKey)?;
    Ok((seed, public.try_into().map_err(|_| Error::InvalidKey)?))
}
