//! Signatures, their counter (WebAuthn L3 §6.1.1), and the randomness of a response.
//!
//! There is one counter for all credentials and for U2F. Each signature is counted, but not each count is committed.
//! Otherwise a program that asks for silent assertions without a pause would wear out the flash within days. The store
//! holds the last count that is reserved. Reserved counts are used from RAM; when they run out, the next
//! [`Config::sign_count_block`](super::Config::sign_count_block) are reserved in one commit, before the first of them
//! is used. After a power cut the counter goes on after the last reserved count: it jumps, and neither falls back nor
//! repeats.

use heapless::Vec;
use keyfob_core::{
    Failure,
    auth_data::Flags,
    bytes,
    cose::Algorithm,
    crypto::{self, HEDGE, Hash, MAX_SIGNATURE, Sign},
};

use super::{
    authenticator::{Authenticator, crypto_status},
    ceremony::{CeremonyState, Counted},
    config::Sizes,
    platform::Platform,
    state::Counts,
};
use crate::{
    caps::Caps,
    store::{Change, Setting, Store, StoreError},
};

impl<P: Platform> Authenticator<'_, P> {
    /// The count of the last signature, or one that is larger.
    pub fn sign_count(&mut self) -> Result<u32, StoreError> {
        self.sign_counts().map(|counts| counts.used)
    }

    fn sign_counts(&mut self) -> Result<Counts, StoreError> {
        if let Some(counts) = self.sign_counts {
            return Ok(counts);
        }
        let mut value = [0; 4];
        let stored = match self.store.get(Setting::SignCount, &mut value)? {
            Some(4) => u32::from_be_bytes(bytes::array(&value)),
            Some(_) => return Err(StoreError::Failed), // a counter never goes back
            None => 0,
        };
        Ok(Counts { used: stored, reserved: stored })
    }

    /// Counts the next signature, and makes the changes that come `along` in one commit with it. Without changes, only
    /// a block that is reserved takes a commit.
    pub fn count_signature(&mut self, along: [Option<Change<'_>>; 2]) -> Result<Counted, StoreError> {
        let Counts { used, mut reserved } = self.sign_counts()?;
        let reserves = used >= reserved;
        if reserves {
            reserved = used.saturating_add(self.config.sign_count_block.into());
        }
        let block = reserved.to_be_bytes();
        let block = reserves.then_some(Change::Set(Setting::SignCount, &block));
        let [first, second] = along;
        let changes = [block, first, second];
        // If it fails and was made, the same block is reserved again: none of its counts was used.
        let committed = if changes.iter().any(Option::is_some) { self.commit(&changes) } else { Ok(()) };
        let counted = Counted::by_commit(committed)?;
        self.sign_counts = Some(Counts { used: used.saturating_add(1), reserved });
        Ok(counted)
    }

    /// Draws the random bytes that the response takes. It comes before the commit, so that a random source that fails
    /// has changed nothing.
    pub fn draw_randomness(&mut self, ceremony: &mut CeremonyState) -> Result<(), Failure> {
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

    /// The authenticator data of `len` bytes that `w` ends with, as the platform has changed them.
    #[cfg(feature = "testing")]
    pub fn altered<'w>(
        &mut self,
        credential_id: &[u8],
        private_key: (Algorithm, &[u8]),
        len: usize,
        w: &'w mut keyfob_core::cbor::Writer<'_>,
    ) -> Result<&'w [u8], Failure> {
        let auth_data = w.since_mut(w.len().saturating_sub(len));
        P::before_signing(&mut self.store, credential_id, private_key, auth_data);
        if auth_data.len() == len { Ok(auth_data) } else { Err(Failure::OTHER) }
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
    ) -> Result<usize, Failure> {
        let hedge = self.config.hedged_signatures.then_some(random);
        let signed = self.crypto.sign_hedged(algorithm, secret, message, hedge, signature);
        let len = signed.map_err(crypto_status)?;
        if self.has(Caps::SIGNATURE_CHECK) {
            let made = signature.get(..len).ok_or(Failure::OTHER)?;
            if let Err(error) = self.crypto.check_signature(algorithm, secret, message, made) {
                bytes::wipe(signature);
                return Err(crypto_status(error));
            }
        }
        #[cfg(feature = "testing")]
        P::after_signing(&self.store, signature.get_mut(..len).unwrap_or_default());
        Ok(len)
    }
}

/// To clear the longest algorithm's room would cost more than to write the response.
pub(super) fn room_for_signature(algorithm: Algorithm) -> Vec<u8, MAX_SIGNATURE> {
    let mut room = Vec::new();
    let _ = room.resize(Sizes::of(algorithm).signature.min(MAX_SIGNATURE), 0); // as long as there is room
    room
}

/// Checks authenticator data again before it is signed: the relying party and the flags have to be those of the checks
/// that were passed, and the evidence for the flags has to hold.
pub(super) fn look_again(ceremony: &CeremonyState, auth_data: &[u8]) -> Result<(), Failure> {
    let (rp_id_hash, rest) = auth_data.split_first_chunk::<32>().ok_or(Failure::OTHER)?;
    let flags = Flags(*rest.first().ok_or(Failure::OTHER)?);
    let intact = *rp_id_hash == ceremony.rp_id_hash
        && flags.has(Flags::UP) == ceremony.is_present()
        && flags.has(Flags::UV) == ceremony.is_verified();
    if intact { Ok(()) } else { Err(Failure::OTHER) }
}
