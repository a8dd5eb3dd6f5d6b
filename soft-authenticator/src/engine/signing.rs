//! Signatures, and the randomness of a response.

use keyfob_core::{
    Status,
    cose::Algorithm,
    crypto::{self, Sign},
};
use zeroize::Zeroize;

use super::{
    Platform,
    authenticator::{Authenticator, crypto_status},
};
use crate::caps::Caps;

impl<P: Platform> Authenticator<'_, P> {
    /// Draws the random bytes that the response takes. It comes before the commit, so that a random source that fails has
    /// changed nothing.
    pub fn draw_randomness(&mut self) -> Result<(), Status> {
        if self.config.hedged_signatures {
            let mut hedge = [0; crypto::HEDGE];
            crypto::fill_random(&mut self.rng, &mut hedge).map_err(crypto_status)?;
            self.work.hedge = Some(hedge);
        }
        if self.salts.is_some() {
            crypto::fill_random(&mut self.rng, &mut self.work.iv).map_err(crypto_status)?;
        }
        Ok(())
    }

    /// Signs `message` and returns the signature's length. With [`Caps::SIGNATURE_CHECK`] a signature that does not verify
    /// goes nowhere.
    #[inline(never)]
    pub fn sign(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        signature: &mut [u8],
    ) -> Result<usize, Status> {
        let signed = self.crypto.sign_hedged(algorithm, secret, message, self.work.hedge.as_ref(), signature);
        let len = signed.map_err(crypto_status)?;
        if self.has(Caps::SIGNATURE_CHECK) {
            let made = signature.get(..len).ok_or(Status::OTHER)?;
            if let Err(error) = self.crypto.check_signature(algorithm, secret, message, made) {
                signature.zeroize();
                return Err(crypto_status(error));
            }
        }
        Ok(len)
    }
}
