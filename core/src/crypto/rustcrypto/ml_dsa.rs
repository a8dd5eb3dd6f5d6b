//! ML-DSA without pre-hashing and with an empty context (FIPS 204 §5.2, §5.3; RFC 9881). A secret is the seed ξ, 32
//! bytes, from which everything else is expanded at every use: it takes the least of the store and the most of the
//! stack.
//!
//! Signatures are of the hedged variant where random bytes are given, else of the deterministic one (FIPS 204 §3.4).

use core::convert::Infallible;

use ml_dsa::{
    EncodedVerifyingKey, Keypair, MlDsaParams, Seed, Signature, SigningKey, VerifyingKey,
    signature::{MultipartVerifier, RandomizedMultipartSigner},
};
use rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use crate::{
    bytes,
    cose::CoseKey,
    crypto::{Error, HEDGE, ML_DSA_SEED, fill_random},
};

#[inline(never)]
pub fn generate<P: MlDsaParams, R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    secret: &mut [u8],
    public: &mut [u8],
) -> Result<(usize, usize), Error> {
    let secret: &mut [u8; ML_DSA_SEED] = secret.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
    fill_random(rng, secret)?;
    Ok((secret.len(), public_key::<P>(secret, public)?))
}

#[inline(never)]
pub fn public_key<P: MlDsaParams>(secret: &[u8], public: &mut [u8]) -> Result<usize, Error> {
    write(public, &expand::<P>(secret)?.verifying_key().encode())
}

#[inline(never)]
pub fn sign<P: MlDsaParams>(
    secret: &[u8],
    message: &[&[u8]],
    hedge: Option<&[u8; HEDGE]>,
    signature: &mut [u8],
) -> Result<usize, Error> {
    // The deterministic variant takes zeros for `rnd`.
    let mut rnd = Rnd(hedge.unwrap_or(&[0; HEDGE]));
    let signed: Signature<P> = expand::<P>(secret)?
        .expanded_key()
        .try_multipart_sign_with_rng(&mut rnd, message)
        .map_err(|_| Error::Failed)?;
    write(signature, &signed.encode())
}

#[inline(never)]
pub fn verify<P: MlDsaParams>(key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
    let CoseKey::Akp { public, .. } = *key else { return Err(Error::InvalidKey) };
    let public = EncodedVerifyingKey::<P>::try_from(public).map_err(|_| Error::InvalidKey)?;
    let signature = Signature::<P>::try_from(signature).map_err(|_| Error::Mismatch)?;
    VerifyingKey::<P>::decode(&public).multipart_verify(message, &signature).map_err(|_| Error::Mismatch)
}

fn expand<P: MlDsaParams>(secret: &[u8]) -> Result<SigningKey<P>, Error> {
    let seed = Zeroizing::new(Seed::try_from(secret).map_err(|_| Error::InvalidKey)?);
    Ok(SigningKey::from_seed(&seed))
}

fn write(out: &mut [u8], bytes: &[u8]) -> Result<usize, Error> {
    let out = out.get_mut(..bytes.len()).ok_or(Error::OutputTooSmall)?;
    Ok(bytes::put(out, bytes))
}

/// The random bytes of one signature, `rnd` (FIPS 204 §5.2), where the crate takes a random source.
struct Rnd<'r>(&'r [u8; HEDGE]);

impl TryRng for Rnd<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(bytes::first(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(bytes::first(self.0)))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        bytes::copy(out, self.0);
        Ok(())
    }
}

impl TryCryptoRng for Rnd<'_> {}
