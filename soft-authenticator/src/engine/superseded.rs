//! Discoverable credentials that another registration of the same user has replaced, and that are kept until the
//! platform has the other one.
//!
//! A registration is committed before its answer leaves, and the answer may be lost: INIT on the channel, a plug that
//! is pulled, a power cut. The relying party then knows the old credential only, so the old one must go on to work. It
//! goes when one of these shows that the new one is known:
//!
//! - [`Engine::response_sent`](super::Engine::response_sent): the last report of the answer is out;
//! - an allow list names the new one in a sign-in that it answers. A sign-in without a list does not show that:
//!   the authenticator has chosen the credential, not the relying party.
//!
//! Until then the old one answers to its id, in allow lists and in exclude lists, and in nothing else: to list, count
//! and sign in without a list there is one credential for each user. The new one is the one that management lists, so
//! to delete it deletes the user's credential, and the old one with it.
//!
//! Which ones are kept stands in one small setting, [`Setting::Superseded`], which changes in one commit with the
//! credentials: the records and the stores know nothing of it, and no record is written twice.
//!
//! A user can have several that are kept, because it may be unknown whether an answer arrived: the power fails before
//! [`Engine::response_sent`](super::Engine::response_sent), or the driver never calls it. They all point to the
//! credential that the user has now, the oldest first, and when one of them is named in an allow list, those before it
//! are deleted. Where there is no room for one more, the credential that was replaced last is deleted, and those before
//! it stay.

use keyfob_core::{Failure, bytes};

use super::{
    authenticator::{Authenticator, store_status},
    platform::Platform,
    state::{Kept, Places, Superseded},
};
use crate::store::{Change, Found, Number, Setting, Store, StoreError};

/// What a registration does to the credentials that its user has.
#[derive(Default)]
pub(super) struct Replacement {
    /// The credential that goes.
    pub deleted: Option<Number>,
    /// Which credentials are kept from then on, where that changes.
    pub kept: Option<Kept>,
}

impl<P: Platform> Authenticator<'_, P> {
    /// Reads which credentials are kept.
    pub fn load_superseded(&mut self) -> Result<(), StoreError> {
        let mut stored = [0; Setting::MAX_LEN];
        let len = self.store.get(Setting::Superseded, &mut stored)?.unwrap_or(0);
        self.superseded = Kept::from_bytes(bytes::front(&stored, len));
        Ok(())
    }

    /// What to do with the credential that the user has when one with `id` is registered. `at_once`: there is no room
    /// for both.
    pub fn replacement(&self, replaced: Option<Found>, scratch: &[u8], id: &[u8], at_once: bool) -> Replacement {
        let Some(replaced) = replaced else { return Replacement::default() };
        let older = self.superseded.older_than(replaced.number, replaced.id(scratch));
        let kept = self.superseded.now_by(older, id);
        match kept.with(Superseded::new(replaced.number, id)).filter(|_| !at_once) {
            Some(kept) => Replacement { deleted: None, kept: Some(kept) },
            None => Replacement { deleted: Some(replaced.number), kept: (!older.is_empty()).then_some(kept) },
        }
    }

    /// Deletes a credential, and with it those that it has replaced.
    pub fn delete(&mut self, found: Found, scratch: &[u8]) -> Result<(), Failure> {
        let older = self.superseded.older_than(found.number, found.id(scratch));
        let gone = Places(older.0 | self.superseded.place_of(found.number).0);
        let kept = (!gone.is_empty()).then(|| self.superseded.without(gone));
        self.commit_credentials([Some(Change::Delete(found.number)), None], older, kept, true).map_err(store_status)
    }

    /// Deletes the credentials that are older than the one that an allow list has named. Returns whether there were
    /// any.
    pub fn settle_superseded(&mut self, number: Option<Number>, id: &[u8]) -> Result<bool, Failure> {
        let Some(number) = number else { return Ok(false) };
        let older = self.superseded.older_than(number, Some(id));
        self.drop_superseded(older).map_err(store_status)
    }

    pub fn drop_last_superseded(&mut self) {
        let Some(by) = self.superseded.entries().last().map(|last| last.by) else { return };
        let older = self.superseded.by(&by, usize::MAX);
        let _ = self.drop_superseded(older); // they are kept until the new one is named, then
    }

    fn drop_superseded(&mut self, gone: Places) -> Result<bool, StoreError> {
        if gone.is_empty() {
            return Ok(false);
        }
        let kept = self.superseded.without(gone);
        self.commit_credentials([None, None], gone, Some(kept), false).map(|()| true)
    }

    /// Commits changes of the discoverable credentials: without those that are `gone`, with which of them are `kept`
    /// from then on, and if platforms `can_tell`, because what they list changes, with a new state of the store.
    ///
    /// # Errors
    /// Of the store; [`StoreError::Failed`] when the random source fails.
    pub fn commit_credentials(
        &mut self,
        [first, second]: [Option<Change<'_>>; 2],
        gone: Places,
        kept: Option<Kept>,
        can_tell: bool,
    ) -> Result<(), StoreError> {
        let state = if can_tell { self.new_store_state().map_err(|_| StoreError::Failed)? } else { None };
        let state = state.as_ref().map(|state| Change::Set(Setting::StoreState, state));
        let list = kept.map(Kept::to_bytes);
        let list = list.as_ref().map(|(list, len)| Change::Set(Setting::Superseded, bytes::front(list, *len)));
        let old = self.superseded;
        let mut gone = old.numbers(gone).map(Change::Delete);
        let [third, fourth, fifth, sixth] = [gone.next(), gone.next(), gone.next(), gone.next()];
        let committed = self.commit(&[first, second, third, fourth, fifth, sixth, list, state]);
        match (committed, kept) {
            (Ok(()), Some(kept)) => self.superseded = kept,
            (Ok(()), None) | (Err(StoreError::Full), _) => {}
            (Err(_), _) => {
                // The commit may have been made. If the store cannot be read, the next power-up reads it.
                let _ = self.load_superseded();
            }
        }
        committed
    }
}
