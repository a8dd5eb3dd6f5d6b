//! What must survive power loss.
//!
//! A store keeps a few small settings and the discoverable credentials. It is a handful of calls, and a commit is all
//! or nothing: after a power cut the old state or the new one is there, never a mixture. The store finds credentials by
//! the hash of the relying party's id, and by what it reads in the record: their id, their user's id and their
//! `credProtect` ([`Query`]). All else in a record is opaque to it.

use core::fmt;

use keyfob_core::extensions::cred_protect::Level;

#[cfg(feature = "file-store")]
pub mod file;
pub mod flash;
mod memory;
mod record;
mod watch;

#[cfg(feature = "file-store")]
pub use file::FileStore;
pub use flash::FlashStore;
pub use memory::MemoryStore;
pub use record::Credential;
pub(crate) use record::{MAX_KEPT_PUBLIC, NamelessCredential};
pub use watch::{StoreCall, WatchStore, WatchedStore};

/// The longest record that the engine writes, in bytes: everything but the secret and the public key takes at most 704.
/// A public key takes what is left, or is not stored.
pub const MAX_RECORD: usize = 704 + keyfob_core::crypto::MAX_SECRET;

/// A small value the authenticator keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Setting {
    /// The seed of all wrapping keys, 32 bytes. New after every reset.
    Seed = 1,
    /// The PIN: its hash, 16 bytes, and its length in code points, one byte.
    Pin = 2,
    /// PIN attempts left, one byte.
    PinRetries = 3,
    /// Up to where counts of signatures are reserved, four bytes, big-endian: every count that was used is at most
    /// that.
    SignCount = 4,
    /// Attempts of built-in user verification left, one byte.
    UvRetries = 5,
    /// What authenticatorConfig has set, two bytes: flags, and the shortest PIN in code points.
    Options = 6,
    /// The relying parties that may learn the shortest PIN: up to eight hashes of RP IDs, 32 bytes each.
    MinPinRpIds = 7,
    /// The persistent pinUvAuthToken, 32 bytes.
    PersistentToken = 8,
    /// What tells this authenticator from others of its model, 16 bytes. New after every reset.
    Identifier = 9,
    /// The state of the discoverable credentials, 16 bytes, new with each of their changes.
    StoreState = 10,
    /// Enrolled fingerprints: their ids and names.
    Fingerprints = 11,
    /// Discoverable credentials that were replaced and are kept: up to four, 8 bytes each.
    Superseded = 12,
}

impl Setting {
    /// Every setting.
    pub const ALL: [Self; 12] = [
        Self::Seed,
        Self::Pin,
        Self::PinRetries,
        Self::SignCount,
        Self::UvRetries,
        Self::Options,
        Self::MinPinRpIds,
        Self::PersistentToken,
        Self::Identifier,
        Self::StoreState,
        Self::Fingerprints,
        Self::Superseded,
    ];
    /// The longest setting, in bytes.
    pub const MAX_LEN: usize = 256;
}

/// A credential's number: larger is newer, never used twice between two resets.
pub type Number = u32;

/// One step of a commit. A store refuses a commit with a step that it does not know: [`StoreError::Failed`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Change<'a> {
    /// Forgets everything. Only as the first change.
    Erase,
    /// Sets a setting, at most [`Setting::MAX_LEN`] bytes.
    Set(Setting, &'a [u8]),
    /// Removes a credential; one that is not there is not an error.
    Delete(Number),
    /// Puts another record in a credential's place: it keeps its number.
    Replace {
        /// The credential's number. One that is not there is [`StoreError::Failed`], and nothing is changed.
        number: Number,
        /// SHA-256 of the RP ID, the same as before.
        rp_id_hash: &'a [u8; 32],
        /// The record, at most [`MAX_RECORD`] bytes.
        record: &'a [u8],
    },
    /// Makes the first so many staged bytes the large-blob array.
    LargeBlobs(usize),
    /// Adds a credential under the next number.
    Put {
        /// SHA-256 of the RP ID.
        rp_id_hash: &'a [u8; 32],
        /// The record, at most [`MAX_RECORD`] bytes.
        record: &'a [u8],
    },
}

// Settings and records hold secrets: their bytes are not printed.
impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erase => f.write_str("Erase"),
            Self::Set(setting, value) => write!(f, "Set({setting:?}, {} bytes)", value.len()),
            Self::Delete(number) => write!(f, "Delete({number})"),
            Self::Replace { number, record, .. } => write!(f, "Replace({number}, {} bytes)", record.len()),
            Self::LargeBlobs(len) => write!(f, "LargeBlobs({len} bytes)"),
            Self::Put { record, .. } => write!(f, "Put({} bytes)", record.len()),
        }
    }
}

/// Why a store could not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u32)] // as wide as a count, so that a result with either travels in registers
pub enum StoreError {
    /// No room, even after the commit's deletions. Nothing was changed.
    Full,
    /// The record does not fit in the slice given.
    TooLong,
    /// The medium failed.
    Failed,
}

/// Which credentials a store is asked for. A record that is not a [`Credential`] belongs to [`Query::All`] and to
/// nothing else. A store fails on a query that it does not know: [`StoreError::Failed`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Query<'a> {
    /// All of them.
    All,
    /// The newest one of each relying party.
    RelyingParties,
    /// Those of a relying party whose `credProtect` is at most `protection`.
    RelyingParty {
        /// SHA-256 of the RP ID.
        rp_id_hash: &'a [u8; 32],
        /// The strongest protection that is asked for.
        protection: Level,
    },
    /// Those that a relying party has for a user.
    User {
        /// SHA-256 of the RP ID.
        rp_id_hash: &'a [u8; 32],
        /// The user's id.
        user_id: &'a [u8],
    },
    /// Those with this id, of any relying party.
    Id(&'a [u8]),
    /// Those of a relying party with this id whose `credProtect` is at most `protection`.
    ///
    /// [`Store::count`] does the same work for an id that is known, unknown, another relying party's or protected more
    /// strongly: its time must not tell them apart.
    Listed {
        /// SHA-256 of the RP ID.
        rp_id_hash: &'a [u8; 32],
        /// The credential's id.
        id: &'a [u8],
        /// The strongest protection that is asked for.
        protection: Level,
    },
}

impl Query<'_> {
    /// Whether a credential of this relying party with this record is asked for. For [`Query::RelyingParties`], whether
    /// it is one that may be the newest.
    pub fn matches(&self, rp_id_hash: &[u8; 32], record: &[u8]) -> bool {
        self.matches_keys(rp_id_hash, Keys::of(record))
    }

    fn matches_keys(&self, rp_id_hash: &[u8; 32], keys: Option<Keys<'_>>) -> bool {
        match *self {
            Self::All => true,
            Self::RelyingParties => keys.is_some(),
            Self::RelyingParty { rp_id_hash: rp, protection } => {
                rp == rp_id_hash && keys.is_some_and(|keys| keys.protection <= class(protection))
            }
            Self::User { rp_id_hash: rp, user_id } => {
                rp == rp_id_hash && keys.is_some_and(|keys| keys.user_id == user_id)
            }
            Self::Id(id) => keys.is_some_and(|keys| keys.id == id),
            Self::Listed { rp_id_hash: rp, id, protection } => {
                rp == rp_id_hash && keys.is_some_and(|keys| keys.id == id && keys.protection <= class(protection))
            }
        }
    }
}

/// What an index has to know of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Keys<'r> {
    id: &'r [u8],
    user_id: &'r [u8],
    /// 1 to 3.
    protection: u8,
}

impl<'r> Keys<'r> {
    /// `None` for a record that is not a [`Credential`].
    fn of(record: &'r [u8]) -> Option<Self> {
        let Credential { id, user, cred_protect, .. } = Credential::decode(record)?;
        let protection = class(cred_protect.unwrap_or(Level::USER_VERIFICATION_OPTIONAL));
        Some(Self { id, user_id: user.id, protection })
    }

    /// The same of a record that this program has written: its names are not checked.
    fn of_own(record: &'r [u8]) -> Option<Self> {
        let credential = NamelessCredential::decode(record)?;
        let protection = class(credential.cred_protect);
        Some(Self { id: credential.id, user_id: credential.user_id, protection })
    }
}

/// A protection as one of the standard's three levels.
fn class(protection: Level) -> u8 {
    protection.0.clamp(1, STRONGEST.into()) as u8
}

/// The strongest protection.
const STRONGEST: u8 = Level::USER_VERIFICATION_REQUIRED.0 as u8;

/// A credential's place in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub number: Number,
    /// SHA-256 of the RP ID.
    pub rp_id_hash: [u8; 32],
    /// The length of its record.
    pub len: usize,
}

impl Found {
    /// Reads the record at the front of `out`. `None` for one that this version cannot read.
    pub fn credential(self, out: &[u8]) -> Option<Credential<'_>> {
        out.get(..self.len).and_then(Credential::decode)
    }

    /// The id of the credential whose record lies at the front of `out`, and nothing else of it. `None` for a record
    /// without one.
    pub fn id(self, out: &[u8]) -> Option<&[u8]> {
        out.get(..self.len).and_then(Credential::id_in)
    }
}

/// Which large-blob bytes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Blobs {
    /// The array that is in force.
    Committed,
    /// What has been staged since. A power cut may take it.
    Staged,
}

/// What has to survive a loss of power. Calls take `&mut self`, as flash drivers do even for reading.
///
/// The cost of a call does not grow with the number of credentials, except for searches in RAM.
///
/// ```
/// use keyfob_soft_authenticator::store::{Change, Found, Number, Query, Setting, Store, StoreError};
/// use std::collections::BTreeMap;
///
/// /// Keeps everything in maps, without large blobs. A store for many credentials has indexes.
/// #[derive(Clone, Default)]
/// struct Maps {
///     settings: BTreeMap<u8, Vec<u8>>,
///     credentials: BTreeMap<Number, ([u8; 32], Vec<u8>)>,
///     last: Number,
/// }
///
/// impl Maps {
///     /// The credentials asked for, the newest first.
///     fn asked(&self, query: Query<'_>) -> impl Iterator<Item = (Number, &[u8; 32], &[u8])> {
///         let mut parties = Vec::new();
///         self.credentials.iter().rev().filter_map(move |(number, (rp_id_hash, record))| {
///             let mut wanted = query.matches(rp_id_hash, record);
///             if wanted && matches!(query, Query::RelyingParties) {
///                 wanted = !parties.contains(&rp_id_hash);
///                 parties.push(rp_id_hash);
///             }
///             wanted.then_some((*number, rp_id_hash, record.as_slice()))
///         })
///     }
/// }
///
/// fn copy(from: &[u8], out: &mut [u8]) -> Result<usize, StoreError> {
///     out.get_mut(..from.len()).ok_or(StoreError::TooLong)?.copy_from_slice(from);
///     Ok(from.len())
/// }
///
/// impl Store for Maps {
///     fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
///         self.settings.get(&(setting as u8)).map(|value| copy(value, out)).transpose()
///     }
///
///     fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
///         let mut older = self.asked(query).filter(|(number, ..)| before.is_none_or(|before| *number < before));
///         let Some((number, rp_id_hash, record)) = older.next() else { return Ok(None) };
///         Ok(Some(Found { number, rp_id_hash: *rp_id_hash, len: copy(record, out)? }))
///     }
///
///     fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
///         Ok(self.asked(query).count() as u32)
///     }
///
///     fn remaining(&mut self) -> Result<u32, StoreError> {
///         Ok(1_000)
///     }
///
///     fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
///         let mut next = self.clone(); // all or nothing
///         for change in changes {
///             match *change {
///                 Change::Erase => next = Self::default(),
///                 Change::Set(setting, value) => drop(next.settings.insert(setting as u8, value.to_vec())),
///                 Change::Delete(number) => drop(next.credentials.remove(&number)),
///                 Change::Put { rp_id_hash, record } => {
///                     next.last += 1;
///                     next.credentials.insert(next.last, (*rp_id_hash, record.to_vec()));
///                 }
///                 Change::Replace { number, rp_id_hash, record } => {
///                     let place = next.credentials.get_mut(&number).ok_or(StoreError::Failed)?;
///                     *place = (*rp_id_hash, record.to_vec());
///                 }
///                 _ => return Err(StoreError::Failed),
///             }
///         }
///         *self = next;
///         Ok(())
///     }
/// }
///
/// let mut store = Maps::default();
/// store.commit(&[Change::Set(Setting::PinRetries, &[8]), Change::Put { rp_id_hash: &[7; 32], record: &[] }])?;
/// assert_eq!((store.get(Setting::PinRetries, &mut [0; 1])?, store.count(Query::All)?), (Some(1), 1));
/// # Ok::<(), StoreError>(())
/// ```
pub trait Store {
    /// Copies a setting to the front of `out` and returns its length; `None` if it was never set.
    ///
    /// # Errors
    /// [`StoreError::TooLong`] when `out` is shorter than the setting; [`StoreError::Failed`].
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError>;

    /// The newest of the credentials asked for that is older than `before`, or the newest of all; its record is copied
    /// to the front of `out`.
    ///
    /// # Errors
    /// [`StoreError::TooLong`] when `out` is shorter than the record; [`StoreError::Failed`].
    fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError>;

    /// How many credentials are asked for.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError>;

    /// How many more credentials of the usual size there is room for.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn remaining(&mut self) -> Result<u32, StoreError>;

    /// Applies all `changes` or none.
    ///
    /// # Errors
    /// [`StoreError::Full`], and nothing is changed; [`StoreError::Failed`], after which either may be the case.
    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError>;

    /// The longest large-blob array there is room for, in bytes; 0 without large blobs.
    fn large_blobs_capacity(&self) -> usize {
        0
    }

    /// The length of the large-blob array in force, in bytes; 0 if none was committed since the last erasure.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// Fills `out` with large-blob bytes from `offset` on.
    ///
    /// # Errors
    /// [`StoreError::Failed`], also if there are not as many.
    fn read_large_blobs(&mut self, _: Blobs, _offset: usize, _out: &mut [u8]) -> Result<(), StoreError> {
        Err(StoreError::Failed)
    }

    /// Keeps a piece of a new large-blob array at `offset`. The array in force stays until [`Change::LargeBlobs`].
    ///
    /// # Errors
    /// [`StoreError::Full`]; [`StoreError::Failed`].
    fn stage(&mut self, _offset: usize, _bytes: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::Full)
    }

    /// Does one bounded piece of upkeep while the authenticator is idle; `false` when there is nothing to do.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn tidy(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// Implements `Store` for what points to a store: `&mut S` and `Box<S>`.
macro_rules! store_behind {
    ($pointer:ty) => {
        impl<S: Store + ?Sized> Store for $pointer {
            fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
                S::get(self, setting, out)
            }

            fn next(
                &mut self,
                query: Query<'_>,
                before: Option<Number>,
                out: &mut [u8],
            ) -> Result<Option<Found>, StoreError> {
                S::next(self, query, before, out)
            }

            fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
                S::count(self, query)
            }

            fn remaining(&mut self) -> Result<u32, StoreError> {
                S::remaining(self)
            }

            fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
                S::commit(self, changes)
            }

            fn large_blobs_capacity(&self) -> usize {
                S::large_blobs_capacity(self)
            }

            fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
                S::large_blobs_len(self)
            }

            fn read_large_blobs(&mut self, blobs: Blobs, offset: usize, out: &mut [u8]) -> Result<(), StoreError> {
                S::read_large_blobs(self, blobs, offset, out)
            }

            fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
                S::stage(self, offset, bytes)
            }

            fn tidy(&mut self) -> Result<bool, StoreError> {
                S::tidy(self)
            }
        }
    };
}
store_behind!(&mut S);
#[cfg(feature = "std")]
store_behind!(std::boxed::Box<S>);
