//! Discoverable credentials that another registration of the same user has replaced, and that are kept until the platform
//! has the other one.
//!
//! A registration is committed before its answer leaves, and the answer may be lost: INIT on the channel, a plug that is
//! pulled, a power cut. The relying party then knows the old credential only, so the old one must go on to work. It goes
//! when one of these shows that the new one is known:
//!
//! - [`Engine::response_sent`](super::Engine::response_sent): the last report of the answer is out;
//! - an allow list names the new one in a sign-in that it answers. A sign-in without a list shows nothing of the kind: the
//!   authenticator has chosen the credential, not the relying party.
//!
//! Until then the old one answers to its id, in allow lists and in exclude lists, and in nothing else: to list, count and
//! sign in without a list there is one credential for each user. The new one is the one that management lists, so to
//! delete it deletes the user's credential, and the old one with it.
//!
//! Which ones are kept stands in one small setting, [`Setting::Superseded`], which changes in one commit with the
//! credentials: the records and the stores know nothing of it, and no record is written twice.
//!
//! A user can have several that are kept, because an answer of which nothing was heard may have arrived or not: the power
//! fails before [`Engine::response_sent`](super::Engine::response_sent), or the driver never calls it. They all point to the credential that the user has
//! now, the oldest first, and when one of them is named in an allow list, those before it go. Where there is no room for
//! one more, the credential of the last answer that nothing was heard of is dropped, and those before it stay.

use keyfob_core::{Status, bytes};

use super::{
    authenticator::{Authenticator, store_status},
    kept::{Kept, Superseded},
    platform::Platform,
};
use crate::store::{Change, Found, Number, Setting, Store, StoreError};

<<<<<<< ours
=======
/// How many are kept at a time, of different users. A credential that would be one more is replaced at once, and so is one
/// for which a full store has no second place.
const MAX_SUPERSEDED: usize = 4;
/// The beginning of a credential's id, in bytes. Ids in the store are random.
const ID_START: usize = 4;
/// An entry as it is stored: `number 4 BE | beginning of the new one's id 4`.
const ENTRY: usize = 4 + ID_START;

/// A credential that was replaced and is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Superseded {
    pub number: Number,
    /// How the id of the one that replaced it begins.
    by: [u8; ID_START],
}

impl Superseded {
    pub fn new(number: Number, by: &[u8]) -> Self {
        Self { number, by: bytes::array(by) }
    }
}

/// The credentials that are kept, the one that was replaced last at the end. The places behind it have number 0, which no
/// credential has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept([Superseded; MAX_SUPERSEDED]);

impl Kept {
    /// Reads a list as it is stored. A damaged one is empty: then there are two credentials of a user, and none is lost.
    fn from_bytes(stored: &[u8]) -> Self {
        let (mut kept, (entries, rest)) = (Self::default(), stored.as_chunks::<ENTRY>());
        if entries.len() <= MAX_SUPERSEDED && rest.is_empty() {
            for (place, [n0, n1, n2, n3, by @ ..]) in kept.0.iter_mut().zip(entries) {
                *place = Superseded { number: Number::from_be_bytes([*n0, *n1, *n2, *n3]), by: *by };
            }
        }
        kept
    }

    /// The list as it is stored, and its length in the array, in bytes.
    fn to_bytes(self) -> ([u8; ENTRY * MAX_SUPERSEDED], usize) {
        let mut stored = [0; ENTRY * MAX_SUPERSEDED];
        for (place, entry) in stored.as_chunks_mut::<ENTRY>().0.iter_mut().zip(self.entries()) {
            bytes::copy(place, &entry.number.to_be_bytes());
            bytes::copy(place.get_mut(4..).unwrap_or_default(), &entry.by);
        }
        (stored, self.entries().count().saturating_mul(ENTRY))
    }

    fn entries(&self) -> impl Iterator<Item = &Superseded> {
        self.0.iter().filter(|entry| entry.number != 0)
    }

    /// Whether this credential is one that is kept.
    pub fn has(&self, number: Number) -> bool {
        self.entries().any(|entry| entry.number == number)
    }

    /// Those that are older than the credential with this number and id, of the same user.
    fn older_than(&self, number: Number, id: &[u8]) -> Self {
        let mut entries = self.entries().enumerate();
        let own = entries.find(|(_, entry)| entry.number == number).map(|(place, own)| (place, own.by));
        self.filtered(|place, entry| match own {
            Some((own, by)) => place < own && entry.by == by,
            None => id.starts_with(&entry.by),
        })
    }

    pub fn numbers(&self) -> impl Iterator<Item = Number> {
        self.entries().map(|entry| entry.number)
    }

    pub fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    pub fn len(&self) -> u32 {
        u32::try_from(self.entries().count()).unwrap_or(u32::MAX)
    }

    /// The list with one more, or `None` when it is full.
    fn with(mut self, entry: Superseded) -> Option<Self> {
        *self.0.iter_mut().find(|place| place.number == 0)? = entry;
        Some(self)
    }

    fn without(&self, gone: &Self) -> Self {
        self.filtered(|_, entry| !gone.has(entry.number))
    }

    /// The list in which those of `older` point to another credential. They stand at its end then, because the answer that
    /// is sent next concerns their user.
    fn now_by(&self, older: &Self, id: &[u8]) -> Self {
        let mut kept = self.without(older);
        let free = kept.0.iter_mut().filter(|place| place.number == 0);
        free.zip(older.numbers()).for_each(|(place, number)| *place = Superseded::new(number, id));
        kept
    }

    fn filtered(&self, stays: impl Fn(usize, &Superseded) -> bool) -> Self {
        let mut filtered = Self::default();
        let entries = self.entries().enumerate().filter(|(place, entry)| stays(*place, entry));
        filtered.0.iter_mut().zip(entries).for_each(|(place, (_, entry))| *place = *entry);
        filtered
    }
}

>>>>>>> theirs
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

    /// What to do with the credential that the user has when one with `id` is registered. `at_once`: there is no room for
    /// both.
    pub fn replacement(&self, replaced: Option<Found>, scratch: &[u8], id: &[u8], at_once: bool) -> Replacement {
        let Some(replaced) = replaced else { return Replacement::default() };
        let old_id = replaced.credential(scratch).map_or(&[][..], |credential| credential.id);
        let older = self.superseded.older_than(replaced.number, old_id);
        let kept = self.superseded.now_by(&older, id);
        match kept.with(Superseded::new(replaced.number, id)).filter(|_| !at_once) {
            Some(kept) => Replacement { deleted: None, kept: Some(kept) },
            None => Replacement { deleted: Some(replaced.number), kept: (!older.is_empty()).then_some(kept) },
        }
    }

    /// The credentials that are deleted together with this one, and the list of those that are kept then, if it changes.
    pub fn deletion(&self, found: Found, scratch: &[u8]) -> (Kept, Option<Kept>) {
        let id = found.credential(scratch).map_or(&[][..], |credential| credential.id);
        let older = self.superseded.older_than(found.number, id);
        let kept = self.superseded.without(&older).filtered(|_, entry| entry.number != found.number);
        (older, (kept != self.superseded).then_some(kept))
    }

    /// Deletes the credentials that are older than the one that an allow list has named. Returns whether there were any.
    pub fn settle_superseded(&mut self, number: Option<Number>, id: &[u8]) -> Result<bool, Status> {
        let Some(number) = number else { return Ok(false) };
        let older = self.superseded.older_than(number, id);
        self.drop_superseded(older).map_err(store_status)
    }

    pub fn drop_last_superseded(&mut self) {
        let Some(last) = self.superseded.entries().last() else { return };
        let older = self.superseded.filtered(|_, entry| entry.by == last.by);
        let _ = self.drop_superseded(older); // they are kept until the new one is named, then
    }

    fn drop_superseded(&mut self, gone: Kept) -> Result<bool, StoreError> {
        if gone.is_empty() {
            return Ok(false);
        }
        let kept = self.superseded.without(&gone);
        self.commit_credentials([None, None], gone, Some(kept), None).map(|()| true)
    }

    /// Commits changes of the discoverable credentials: without those that are `gone`, with which of them are kept from
    /// then on, and with a new state unless nothing changes that a platform can list.
    pub fn commit_credentials(
        &mut self,
        [first, second]: [Option<Change<'_>>; 2],
        gone: Kept,
        kept: Option<Kept>,
        state: Option<[u8; 16]>,
    ) -> Result<(), StoreError> {
        let list = kept.map(Kept::to_bytes);
        let list = list.as_ref().map(|(list, len)| bytes::front(list, *len));
        let list = list.map(|list| Change::Set(Setting::Superseded, list));
        let state = state.as_ref().map(|state| Change::Set(Setting::StoreState, state));
        let mut gone = gone.numbers().map(Change::Delete);
        let [third, fourth, fifth, sixth] = [gone.next(), gone.next(), gone.next(), gone.next()];
        let committed = self.commit(&[first, second, third, fourth, fifth, sixth, list, state]);
        match (committed, kept) {
            (Ok(()), Some(kept)) => self.superseded = kept,
            (Ok(()), None) | (Err(StoreError::Full), _) => {}
            (Err(_), _) => {
                // The commit may have been made. If the store does not say, the next power-up asks.
                let _ = self.load_superseded();
            }
        }
        committed
    }
}
