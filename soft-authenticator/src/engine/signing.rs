//! Signatures, and the randomness of a response.

use keyfob_core::{
    Status,
    auth_data::Flags,
    bytes,
    cose::Algorithm,
    crypto::{self, HEDGE, Hash, Sign},
};

use super::{
    authenticator::{Authenticator, crypto_status},
    ceremony::CeremonyState,
    platform::Platform,
};
use crate::caps::Caps;

impl<P: Platform> Authenticator<'_, P> {
    /// Draws the random bytes that the response takes. It comes before the commit, so that a random source that fails
    /// has changed nothing.
    pub fn draw_randomness(&mut self, ceremony: &mut CeremonyState) -> Result<(), Status> {
        if self.config.hedged_signatures || ceremony.salts.is_some() {
            crypto::fill_random(&mut self.rng, &mut *ceremony.random).map_err(crypto_status)?;
        }
        Ok(())
    }

    /// The IV under which outputs of `hmac-secret` are encrypted: a hash of the random bytes, because the IV is public,
    /// and the bytes that hedge the signature are not.
    pub fn response_iv(&self, ceremony: &CeremonyState) -> [u8; 16] {
        bytes::first(&self.crypto.sha256(&[b"IV", &*ceremony.random]))
    }

    /// Signs `message` and returns the signature's length. With [`Caps::SIGNATURE_CHECK`] a signature that does not
    /// verify is wiped, and the command fails.
    #[inline(never)]
    pub fn sign(
        &self,
        random: &[u8; HEDGE],
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        signature: &mut [u8],
    ) -> Result<usize, Status> {
        let hedge = self.config.hedged_signatures.then_some(random);
        let signed = self.crypto.sign_hedged(algorithm, secret, message, hedge, signature);
        let len = signed.map_err(crypto_status)?;
        if self.has(Caps::SIGNATURE_CHECK) {
            let made = signature.get(..len).ok_or(Status::OTHER)?;
            if let Err(error) = self.crypto.check_signature(algorithm, secret, message, made) {
                bytes::wipe(signature);
                return Err(crypto_status(error));
            }
        }
        Ok(len)
    }
}

/// Checks authenticator data again before it is signed: the relying party and the flags have to be those of the checks
/// that were passed, and the evidence for the flags has to hold.
pub(super) fn look_again(ceremony: &CeremonyState, auth_data: &[u8]) -> Result<(), Status> {
    let (rp_id_hash, rest) = auth_data.split_first_chunk::<32>().ok_or(Status::OTHER)?;
    let flags = Flags(*rest.first().ok_or(Status::OTHER)?);
    let intact = *rp_id_hash == ceremony.rp_id_hash
        && flags.has(Flags::UP) == ceremony.is_present()
        && flags.has(Flags::UV) == ceremony.is_verified();
    if intact { Ok(()) } else { Err(Status::OTHER) }
}
