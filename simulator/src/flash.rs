//! The store of the simulated authenticator. It survives the engine and records what was done to it.

use std::{
    cell::{Ref, RefCell},
    ops::DerefMut,
    rc::Rc,
};

use keyfob_core::bytes;
use keyfob_soft_authenticator::store::{
    Blobs, Change, Credential, MemoryStore, Number, Setting, Store, StoreError, WatchStore, WatchedStore,
};

use crate::{Mutation, model::Attempts};

/// How many discoverable credentials fit: few, so that the store is sometimes full.
pub const CREDENTIALS: usize = 5;

/// A discoverable credential in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its credential id.
    pub id: Vec<u8>,
    /// SHA-256 of its RP ID.
    pub rp_id_hash: [u8; 32],
    /// The user handle.
    pub user_id: Vec<u8>,
}

/// The store's contents, and the first forbidden event.
#[derive(Default)]
pub struct Ledger {
    /// The discoverable credentials, oldest first.
    pub stored: Vec<(Number, LedgerEntry)>,
    /// Counts resets.
    pub resets: u32,
    /// The stored PIN hash.
    pub pin_hash: Option<[u8; 16]>,
    /// PIN retries, once they were written.
    pub retries: Option<u8>,
    /// Attempts at the PIN in a row.
    pub attempts: Attempts,
    /// How many fingerprints are enrolled.
    pub fingerprints: usize,
    /// How often the retries rose without a new PIN or a reset: as often as the right PIN was compared.
    pub rises: u32,
    /// Credentials that were replaced and are kept until the answer has arrived. They are found only by their ids.
    pub superseded: Vec<Number>,
    /// The ids of all credentials that the user has asked to delete.
    pub unwanted: Vec<Vec<u8>>,
    /// The first forbidden change to the store, if any.
    pub wrong: Option<String>,
    next: Number,
}

/// The flash. A clone is another handle on the same medium.
#[derive(Clone)]
pub struct Flash {
    medium: Rc<RefCell<MemoryStore<CREDENTIALS>>>,
    ledger: Rc<RefCell<Ledger>>,
    mutation: Option<Mutation>,
}

impl Flash {
    /// An empty store.
    pub fn new(mutation: Option<Mutation>) -> Self {
        let ledger = Ledger { next: 1, ..Ledger::default() };
        Self { medium: Rc::default(), ledger: Rc::new(RefCell::new(ledger)), mutation }
    }

    /// The store as the engine gets it.
    pub fn watched(&self) -> WatchedStore<Self> {
        WatchedStore(self.clone())
    }

    /// What is in the store.
    pub fn ledger(&self) -> Ref<'_, Ledger> {
        self.ledger.borrow()
    }

    /// Records that the user asks to delete the credential with this id.
    pub fn may_delete(&self, id: &[u8]) {
        self.ledger.borrow_mut().unwanted.push(id.to_vec());
    }

    /// The longest large-blob array there is room for, in bytes.
    pub fn large_blobs_capacity(&self) -> usize {
        self.medium.borrow().large_blobs_capacity()
    }

    /// The large-blob array in force, empty until one is written.
    pub fn large_blobs(&self) -> Vec<u8> {
        let mut store = self.medium.borrow_mut();
        let mut array = vec![0; store.large_blobs_len().expect("the store works")];
        store.read_large_blobs(Blobs::Committed, 0, &mut array).expect("the store works");
        array
    }

    /// The power is cut. A correct store does nothing here.
    pub fn power_lost(&self) {
        let mut store = self.medium.borrow_mut();
        self.ledger.borrow_mut().attempts = Attempts::default();
        match self.mutation {
            Some(Mutation::LosesCredentials) => {
                (1..100).for_each(|number| store.commit(&[Change::Delete(number)]).unwrap_or_default());
            }
            Some(Mutation::LosesCount) => {
                store.commit(&[Change::Set(Setting::SignCount, &[0; 4])]).unwrap_or_default();
            }
            Some(Mutation::RetriesRise) => {
                let mut value = [0; Setting::MAX_LEN];
                if store.get(Setting::PinRetries, &mut value) == Ok(Some(1)) {
                    store.commit(&[Change::Set(Setting::PinRetries, &[8])]).unwrap_or_default();
                }
            }
            _ => {}
        }
    }

    /// The stored PIN retries.
    pub fn retries(&self) -> Option<u8> {
        let mut value = [0; Setting::MAX_LEN];
        let found = self.medium.borrow_mut().get(Setting::PinRetries, &mut value);
        matches!(found, Ok(Some(1))).then_some(value[0])
    }
}

impl Ledger {
    /// The discoverable credentials that are listed and that sign in without an allow list, newest first.
    pub fn listed(&self) -> impl Iterator<Item = &LedgerEntry> {
        let listed = self.stored.iter().rev().filter(|(number, _)| !self.superseded.contains(number));
        listed.map(|(_, stored)| stored)
    }

    fn enter(&mut self, changes: &[Change<'_>]) {
        let new_pin = changes.iter().any(|change| matches!(change, Change::Set(Setting::Pin, _)));
        let mut deleted = None;
        for change in changes {
            match *change {
                Change::Erase => {
                    let (wrong, unwanted) = (self.wrong.take(), std::mem::take(&mut self.unwanted));
                    *self = Ledger { resets: self.resets + 1, wrong, unwanted, next: 1, ..Ledger::default() };
                }
                Change::Set(Setting::Pin, value) => self.pin_hash = Some(bytes::first(value)),
                Change::Set(Setting::Superseded, value) => {
                    self.superseded = value.chunks(8).map(|entry| Number::from_be_bytes(bytes::first(entry))).collect();
                }
                Change::Set(Setting::Fingerprints, value) => self.fingerprints = fingerprints(value),
                Change::Set(Setting::PinRetries, value) => {
                    if self.retries.is_some_and(|old| value[0] > old) && !new_pin {
                        self.rises += 1;
                    }
                    if let Err(wrong) = self.attempts.stored(self.retries, value[0], new_pin) {
                        self.wrong = Some(wrong);
                    }
                    self.retries = Some(value[0]);
                }
                Change::Delete(number) => {
                    // A replaced credential is removed when its replacement is known, or together with it.
                    if !self.superseded.contains(&number) {
                        deleted =
                            self.stored.iter().find(|(kept, _)| *kept == number).map(|(_, stored)| stored.clone());
                    }
                    self.stored.retain(|(kept, _)| *kept != number);
                }
                Change::Put { rp_id_hash, record } => {
                    let Some(credential) = Credential::decode(record) else {
                        self.wrong = Some("a record that cannot be read was stored".into());
                        continue;
                    };
                    let (id, user_id) = (credential.id.to_vec(), credential.user.id.to_vec());
                    let stored = LedgerEntry { id, rp_id_hash: *rp_id_hash, user_id };
                    // Apart from deletion, a credential may be removed only for a new one of the same account.
                    if deleted
                        .take()
                        .is_some_and(|old| (old.rp_id_hash, &old.user_id) != (stored.rp_id_hash, &stored.user_id))
                    {
                        self.wrong = Some("a credential was replaced by one of another account".into());
                    }
                    self.stored.push((self.next, stored));
                    self.next += 1;
                }
                Change::Replace { number, rp_id_hash, record } => {
                    let same = |stored: &LedgerEntry| {
                        Credential::decode(record).is_some_and(|new| {
                            (new.id, new.user.id, rp_id_hash)
                                == (&stored.id[..], &stored.user_id[..], &stored.rp_id_hash)
                        })
                    };
                    if !self.stored.iter().any(|(kept, stored)| *kept == number && same(stored)) {
                        self.wrong = Some("new names came with another credential".into());
                    }
                }
                Change::Set(..) | Change::LargeBlobs(_) => {}
                _ => self.wrong = Some("the model does not know a change".into()),
            }
        }
        if deleted.is_some_and(|deleted| !self.unwanted.contains(&deleted.id)) {
            self.wrong = Some("a credential was removed and not replaced".into());
        }
    }
}

/// How many entries a list of fingerprints has. Each is `id 2 | length of the name 1 | name`.
fn fingerprints(mut list: &[u8]) -> usize {
    let mut count = 0;
    while let Some((&[_, _, len], rest)) = list.split_first_chunk() {
        list = &rest[usize::from(len)..];
        count += 1;
    }
    count
}

impl WatchStore for Flash {
    type Store = MemoryStore<CREDENTIALS>;

    fn store(&self) -> impl DerefMut<Target = Self::Store> {
        self.medium.borrow_mut()
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        let of_fingers = changes.iter().any(|change| matches!(change, Change::Set(Setting::Fingerprints, _)));
        if !(of_fingers && self.mutation == Some(Mutation::LosesFingerprints)) {
            self.store().commit(changes)?;
        }
        self.ledger.borrow_mut().enter(changes);
        Ok(())
    }
}
