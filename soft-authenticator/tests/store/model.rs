//! A small model of a store, and the operations that are applied to a store and to the model.

use keyfob_core::{
    cose::Algorithm,
    ctap2::{RpEntity, UserEntity},
    extensions::cred_protect::Level,
};
use keyfob_soft_authenticator::store::{Change, Credential, MAX_RECORD, Query, Setting, Store, StoreError};
use proptest::{collection::vec, prelude::*};

use super::suite::{Case, asked, bytes, large_blobs, setting, walked};
use crate::same;

const SETTINGS: [Setting; 4] = [Setting::Pin, Setting::PinRetries, Setting::SignCount, Setting::MinPinRpIds];

/// How many different ids credentials have.
const IDS: u8 = 6;

/// How many different ids users have.
const USERS: u8 = 4;

/// A record of about `len` bytes: of a credential with one of a few ids, users and protections, or an unreadable one.
pub fn record(seed: u8, len: usize) -> Vec<u8> {
    let bytes = bytes(seed, len);
    // The bytes of a record in addition to the secret.
    let Some((_, secret)) = bytes.split_at_checked(90) else { return bytes };
    let (id, user, mut record) = ([seed % IDS; 16], [seed / 7 % USERS; 8], [0; MAX_RECORD]);
    let credential = Credential {
        id: &id,
        algorithm: Algorithm::ES256,
        secret,
        rp: RpEntity { id: "example.org", name: None },
        user: UserEntity { id: &user, name: None, display_name: None },
        cred_protect: Some(Level((seed / 3 % 4).into())).filter(|level| level.0 > 0),
        cred_blob: None,
        public_key: None,
        large_blob_key: None,
        third_party_payment: None,
        large_blob: None,
    };
    let len = credential.encode(&mut record).unwrap();
    record[..len].to_vec()
}

/// A change that does not depend on the contents of the store yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    Erase,
    Set(usize, u8, usize),
    /// Deletes the credential with this index, if there is one.
    Delete(usize),
    Replace(usize, u8, usize),
    Put(u8, u8, usize),
    LargeBlobs(usize),
}

#[derive(Clone, Debug)]
pub enum Op {
    Commit(Vec<Intent>),
    /// Stages this many bytes, after the staged ones or from the start.
    Stage(bool, u8, usize),
    Tidy(usize),
}

fn intent() -> impl Strategy<Value = Intent> {
    let len = prop_oneof![4 => 0..200usize, 1 => 200..=MAX_RECORD];
    prop_oneof![
        6 => (0..SETTINGS.len(), any::<u8>(), 0..40usize).prop_map(|(which, seed, len)| Intent::Set(which, seed, len)),
        2 => any::<usize>().prop_map(Intent::Delete),
        2 => (any::<usize>(), any::<u8>(), len.clone()).prop_map(|(which, seed, len)| Intent::Replace(which, seed, len)),
        4 => (0..3u8, any::<u8>(), len).prop_map(|(rp, seed, len)| Intent::Put(rp, seed, len)),
        1 => (0..600usize).prop_map(Intent::LargeBlobs),
    ]
}

pub fn op() -> impl Strategy<Value = Op> {
    let erase = vec(intent(), 0..3).prop_map(|rest| Op::Commit([Intent::Erase].into_iter().chain(rest).collect()));
    prop_oneof![
        8 => vec(intent(), 1..4).prop_map(Op::Commit),
        1 => erase,
        2 => (any::<bool>(), any::<u8>(), 0..400usize).prop_map(|(first, seed, len)| Op::Stage(first, seed, len)),
        2 => (0..20usize).prop_map(Op::Tidy),
    ]
}

pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 0..40)
}

/// The expected contents of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub settings: [Option<Vec<u8>>; SETTINGS.len()],
    /// Number, relying party and record, oldest first.
    pub credentials: Vec<(u32, u8, Vec<u8>)>,
    /// The newest number so far.
    pub newest: u32,
    pub large_blobs: Vec<u8>,
    pub staged: Option<Vec<u8>>,
}

impl Model {
    /// Drops the staged bytes.
    pub fn power_cut(&mut self) {
        self.staged = None;
    }

    /// The model after a commit of `intents`, and the changes of the commit.
    pub fn after(&self, intents: &[Intent]) -> (Self, Vec<Planned>) {
        let mut next = self.clone();
        let mut planned = Vec::new();
        for intent in intents {
            match *intent {
                Intent::Erase => {
                    next = Self::default();
                    planned.push(Planned::Erase);
                }
                Intent::Set(which, seed, len) => {
                    let value = bytes(seed, len);
                    next.settings[which] = Some(value.clone());
                    planned.push(Planned::Set(SETTINGS[which], value));
                }
                Intent::Delete(which) => {
                    let Some(index) = which.checked_rem(next.credentials.len()) else { continue };
                    // The number of a credential that this commit adds is not known yet.
                    if next.credentials[index].0 > self.newest || planned.contains(&Planned::Erase) {
                        continue;
                    }
                    planned.push(Planned::Delete(next.credentials.remove(index).0));
                }
                Intent::Replace(which, seed, len) => {
                    // Only credentials from before the commit can be deleted.
                    let Some(index) = which.checked_rem(next.credentials.len()) else { continue };
                    let credential = &mut next.credentials[index];
                    if !self.credentials.iter().any(|old| old.0 == credential.0) || planned.contains(&Planned::Erase) {
                        continue;
                    }
                    credential.2 = record(seed, len);
                    planned.push(Planned::Replace(credential.0, [credential.1; 32], credential.2.clone()));
                }
                Intent::Put(rp, seed, len) => {
                    let record = record(seed, len);
                    next.newest += 1;
                    next.credentials.push((next.newest, rp, record.clone()));
                    planned.push(Planned::Put([rp; 32], record));
                }
                Intent::LargeBlobs(len) => {
                    let Some(staged) = next.staged.take_if(|staged| staged.len() >= len) else { continue };
                    // At most one per commit.
                    if planned.iter().any(|planned| matches!(planned, Planned::LargeBlobs(_) | Planned::Erase)) {
                        next.staged = Some(staged);
                        continue;
                    }
                    next.large_blobs = staged[..len].to_vec();
                    planned.push(Planned::LargeBlobs(len));
                }
            }
        }
        (next, planned)
    }

    /// Takes over the store's numbers of credentials that are newer than `newest`. Numbers increase, but an interrupted
    /// commit may have used some.
    pub fn adopt(&mut self, newest: u32, store: &mut impl Store) -> Case {
        let mut given = walked(store).into_iter().map(|(_, number, _)| number);
        let mut above = u32::MAX;
        for credential in self.credentials.iter_mut().rev().take_while(|credential| credential.0 > newest) {
            let Some(number) = given.next() else { break }; // `check` reports missing ones
            prop_assert!((newest + 1..above).contains(&number), "number {number} was given before");
            (credential.0, above) = (number, number);
        }
        self.newest = self.newest.max(self.credentials.last().map_or(0, |credential| credential.0));
        Ok(())
    }

    /// Applies one operation to store and model.
    pub fn step(&mut self, store: &mut impl Store, op: &Op) -> Case {
        match op {
            Op::Commit(intents) => {
                let (next, planned) = self.after(intents);
                let changes: Vec<Change<'_>> = planned.iter().map(Planned::change).collect();
                match store.commit(&changes) {
                    Ok(()) => {
                        let newest = if planned.contains(&Planned::Erase) { 0 } else { self.newest };
                        *self = next;
                        self.adopt(newest, store)?;
                    }
                    Err(error) => {
                        same!(error, StoreError::Full);
                        let grows = |planned: &Planned| matches!(planned, Planned::Put(..) | Planned::Replace(..));
                        prop_assert!(planned.iter().any(grows), "full because of the reserved room");
                    }
                }
            }
            Op::Stage(first, seed, len) => {
                let mut staged = self.staged.take().filter(|_| !first).unwrap_or_default();
                let piece = bytes(*seed, *len);
                match store.stage(staged.len(), &piece) {
                    Ok(()) => staged.extend(piece),
                    Err(error) => {
                        same!(error, StoreError::Full);
                        prop_assert!(staged.len() + len > store.large_blobs_capacity());
                    }
                }
                self.staged = Some(staged);
            }
            Op::Tidy(times) => {
                for _ in 0..*times {
                    prop_assert!(store.tidy().is_ok());
                }
            }
        }
        Ok(())
    }

    /// Checks that the store has the contents of the model.
    pub fn check(&self, store: &mut impl Store) -> Case {
        for (which, value) in self.settings.iter().enumerate() {
            same!(setting(store, SETTINGS[which]), value.clone());
        }
        let newest_first = self.credentials.iter().rev();
        let all: Vec<_> = newest_first.map(|(number, rp, record)| ([*rp; 32], *number, record.clone())).collect();
        same!(walked(store), all.clone());
        let readable: Vec<_> =
            all.iter().filter_map(|credential| Some((credential, Credential::decode(&credential.2)?))).collect();
        let those = |asked_for: &dyn Fn(&[u8; 32], &Credential<'_>) -> bool| -> Vec<_> {
            let asked_for = readable.iter().filter(|(credential, record)| asked_for(&credential.0, record));
            asked_for.map(|(credential, _)| (*credential).clone()).collect()
        };
        let mut seen = Vec::new();
        let mut newest = those(&|_, _| true);
        newest.retain(|credential| {
            !seen.contains(&credential.0) && {
                seen.push(credential.0);
                true
            }
        });
        same!(asked(store, Query::RelyingParties), newest);
        for id in 0..IDS {
            same!(asked(store, Query::Id(&[id; 16])), those(&|_, credential| credential.id == [id; 16]));
        }
        for rp in 0..3 {
            let rp_id_hash = &[rp; 32];
            for user in 0..USERS {
                let expected = those(&|of, credential| of == rp_id_hash && credential.user.id == [user; 8]);
                same!(asked(store, Query::User { rp_id_hash, user_id: &[user; 8] }), expected);
            }
            for protection in [1, 2, 3].map(Level) {
                let shown = |of: &[u8; 32], credential: &Credential<'_>| {
                    of == rp_id_hash && credential.cred_protect.is_none_or(|level| level.0 <= protection.0)
                };
                same!(asked(store, Query::RelyingParty { rp_id_hash, protection }), those(&shown));
                for id in 0..IDS {
                    let listed = Query::Listed { rp_id_hash, id: &[id; 16], protection };
                    let expected = those(&|of, credential| shown(of, credential) && credential.id == [id; 16]);
                    same!(asked(store, listed), expected);
                }
            }
        }
        same!(large_blobs(store), self.large_blobs.clone());
        Ok(())
    }
}

/// A change with its data.
#[derive(Clone, Debug, PartialEq)]
pub enum Planned {
    Erase,
    Set(Setting, Vec<u8>),
    Delete(u32),
    Replace(u32, [u8; 32], Vec<u8>),
    Put([u8; 32], Vec<u8>),
    LargeBlobs(usize),
}

impl Planned {
    pub fn change(&self) -> Change<'_> {
        match self {
            Self::Erase => Change::Erase,
            Self::Set(setting, value) => Change::Set(*setting, value),
            Self::Delete(number) => Change::Delete(*number),
            Self::Replace(number, rp_id_hash, record) => Change::Replace { number: *number, rp_id_hash, record },
            Self::Put(rp_id_hash, record) => Change::Put { rp_id_hash, record },
            Self::LargeBlobs(len) => Change::LargeBlobs(*len),
        }
    }
}
