//! The signature counter (WebAuthn L3 §6.1.1), one for all credentials and for U2F.
//!
//! Each signature is counted, but not each count is committed. Otherwise a program that asks for silent assertions
//! without a pause would wear out the flash within days. The store holds the last count that is reserved. Reserved
//! counts are used from RAM; when they run out, the next [`Config::sign_count_block`](super::Config::sign_count_block)
//! are reserved in one commit, before the first of them is used. After a power cut the counter goes on after the last
//! reserved count: it jumps, and neither falls back nor repeats.

use keyfob_core::bytes;

use super::{authenticator::Authenticator, platform::Platform, proof::Counted, state::Counts};
use crate::store::{Change, Setting, Store, StoreError};

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
}
