//! A store on NOR flash: a log of sealed values over pages that are used in a ring.
//!
//! What is written is added at the head of the log; the oldest page is freed by moving what is still in force in it to
//! the head. So every page is erased equally often, and a power cut leaves the old state or the new one: a commit
//! counts when its last piece is there, and what it replaces is erased long after. `docs/store.md` gives format, costs
//! and wear.

use embedded_storage::nor_flash::NorFlash;
use keyfob_core::{
    bytes::{self, Secret},
    crypto::{Cipher, Hash},
};

#[cfg(feature = "async-flash")]
mod blocking;
mod commit;
mod index;
mod layout;
mod log;
mod seal;
#[cfg(feature = "std")]
mod simulated;

#[cfg(feature = "async-flash")]
pub use blocking::BlockingFlash;
#[cfg(feature = "std")]
pub use simulated::{Cut, PowerIsOff, SimulatedFlash, Tear};

use super::{Blobs, Change, Found, Keys, MAX_RECORD, Number, Query, STRONGEST, Setting, Store, StoreError, class};
use index::{Index, Sought, State, Tags};
use layout::{Entry, Kind};
use log::{Cursor, Log, MAX_RETIRED, Place};
use seal::Seal;

/// Large-blob arrays are kept in pieces of this many bytes.
pub const CHUNK: usize = 512;
/// A hash of an RP ID stands before each record.
const RP_ID_HASH: usize = 32;
/// The longest sealed value, in bytes.
const MAX_SEALED: usize = RP_ID_HASH + MAX_RECORD + seal::OVERHEAD;
/// A record of usual size, in bytes: a P-256 key pair, its id, and names of relying party and user.
const USUAL_RECORD: usize = 420;
/// Attempts at one commit, each at another place.
const TRIES: usize = 4;

type Scratch = Secret<MAX_SEALED>;

/// Why a flash cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FlashError {
    /// It is not ours: no page was ever prepared for this format, and it is not erased. [`FlashStore::format`] takes
    /// it.
    Foreign,
    /// It was written in another version of the format, this one. Nothing was changed.
    Version(u8),
    /// It was written with words of another size. Nothing was changed.
    OtherGeometry,
    /// There are not enough pages.
    TooSmall,
    /// There are more credentials than the store has room for in its index.
    TooMany,
    /// The medium failed.
    Failed,
}

impl From<StoreError> for FlashError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::TooMany,
            _ => Self::Failed,
        }
    }
}

/// A store on NOR flash, with room for `N` credentials in its index (24 bytes of RAM each) and for a large-blob array
/// of `B` times [`CHUNK`] bytes (16 bytes of RAM each time).
///
/// The whole flash is its own. Pages may have any size from about 400 bytes on, words any up to 256. Settings and
/// credentials are sealed under `device_key`, which should be a secret of the chip: a person who can read the flash
/// learns how many credentials there are and when they change, not what they are. A person who can write it can
/// bring back an old state.
///
/// ```
/// use keyfob_core::crypto::RustCrypto;
/// use keyfob_soft_authenticator::store::{Change, FlashStore, Setting, Store, flash::SimulatedFlash};
///
/// let flash = SimulatedFlash::<4096, 4>::new(16); // on a chip, the driver of its flash
/// let device_key = [7; 32];
/// let mut store = FlashStore::<_, _, 50>::new(flash, RustCrypto, &device_key)?;
/// store.commit(&[Change::Set(Setting::PinRetries, &[8])]).unwrap();
///
/// let mut store = FlashStore::<_, _, 50>::new(store.into_flash(), RustCrypto, &device_key)?; // power is back
/// let mut value = [0; 1];
/// assert_eq!(store.get(Setting::PinRetries, &mut value), Ok(Some(1)));
/// assert_eq!(value, [8]);
/// # Ok::<(), keyfob_soft_authenticator::store::flash::FlashError>(())
/// ```
pub struct FlashStore<F, C, const N: usize, const B: usize = 4> {
    log: Log<F>,
    index: Index<N, B>,
    seal: Seal<C>,
    /// Large-blob bytes staged.
    staged: usize,
    /// How far the oldest page was looked through for what counts.
    sweep: Option<Cursor>,
    /// The last page that holds what was erased, by its order.
    erased: u32,
    /// A page failed, and the log does not say so yet.
    unreported: bool,
    /// What was read while mounting has more credentials than the index has room for.
    overfull: bool,
    /// The medium failed, and has not been looked at since.
    lost: bool,
}

impl<F: NorFlash, C: Hash + Cipher, const N: usize, const B: usize> FlashStore<F, C, N, B> {
    /// What an entry takes at most, in bytes.
    const MAX_ENTRY: usize = Log::<F>::size(MAX_SEALED);
    /// Kept free, so that the fullest page can be moved, in bytes.
    const MOVE: usize = Log::<F>::ROOM.saturating_add(Self::MAX_ENTRY);
    /// Kept for all but the credentials, in bytes: moves of two pages, settings, and two large-blob arrays.
    const RESERVED: usize = {
        let small = Log::<F>::size(32 + seal::OVERHEAD).saturating_mul(10);
        let large = Log::<F>::size(Setting::MAX_LEN + seal::OVERHEAD).saturating_mul(2);
        let blobs = Log::<F>::size(CHUNK + seal::OVERHEAD).saturating_mul(B).saturating_mul(2);
        let retired = Log::<F>::size(2 * MAX_RETIRED);
        Self::MOVE
            .saturating_mul(2)
            .saturating_add(small)
            .saturating_add(large)
            .saturating_add(blobs)
            .saturating_add(retired)
    };

    /// The store on `flash`, which may be erased, or hold a store that was interrupted anywhere.
    ///
    /// # Errors
    /// [`FlashError`]. A flash that cannot be used is not changed.
    pub fn new(flash: F, crypto: C, device_key: &[u8; 32]) -> Result<Self, FlashError> {
        let mut store = Self {
            log: Log::new(flash)?,
            index: Index::new(),
            seal: Seal::new(crypto, device_key),
            staged: 0,
            sweep: None,
            erased: 0,
            unreported: false,
            overfull: false,
            lost: false,
        };
        if store.room() < Self::MAX_ENTRY {
            return Err(FlashError::TooSmall);
        }
        store.mount()?;
        Ok(store)
    }

    /// Erases a flash, whatever is on it.
    ///
    /// # Errors
    /// [`FlashError::Failed`].
    pub fn format(flash: &mut F) -> Result<(), FlashError> {
        let pages = flash.capacity().checked_div(F::ERASE_SIZE).unwrap_or(0);
        let end = u32::try_from(pages.saturating_mul(F::ERASE_SIZE)).map_err(|_| FlashError::Failed)?;
        flash.erase(0, end).map_err(|_| FlashError::Failed)
    }

    /// The flash.
    pub fn into_flash(self) -> F {
        self.log.into_flash()
    }

    /// Pages that did not erase and are not used any more: up to eight. Nothing in them was lost.
    pub fn retired(&self) -> &[u16] {
        &self.log.retired
    }

    /// Reads everything anew.
    fn mount(&mut self) -> Result<(), FlashError> {
        self.lost = true;
        (self.staged, self.sweep, self.erased, self.unreported) = (0, None, 0, false);
        self.log.mount()?;
        self.read_log()?;
        if self.log.leave_retired_tail()? && self.overfull {
            // Credentials that are gone may have taken the room of others.
            self.log.retired.clear();
            self.read_log()?;
        }
        if self.overfull {
            return Err(FlashError::TooMany);
        }
        self.index.drop_staged();
        self.log.mounted()?;
        for at in 0..self.index.credentials.len() {
            self.learn(at)?;
        }
        self.index.mark_all();
        self.lost = false;
        Ok(())
    }

    /// Reads the log from its tail on: what counts, and which pages are retired.
    fn read_log(&mut self) -> Result<(), FlashError> {
        self.index.reset();
        self.overfull = false;
        if let Some(begin) = self.log.begin() {
            self.replay(begin)?;
        }
        if let Some(slot) = self.index.retired() {
            let mut pages = [0; 2 * MAX_RETIRED];
            let pages = pages.get_mut(..slot.total.into()).ok_or(FlashError::Failed)?;
            let (_, mut reader) = self.log.reader(slot.place)?;
            self.log.read_data(&mut reader, pages)?;
            for page in pages.as_chunks::<2>().0 {
                let page = u16::from_le_bytes(*page);
                self.log.retired.push(page).map_err(|_| FlashError::Failed)?;
                // What it held was moved or replaced before it was given up, but the page could not be erased.
                self.index.forget(|place| self.log.is_in(place, page));
            }
        }
        Ok(())
    }

    /// Takes note of all batches from there on that have their end. Whether there was one.
    fn replay(&mut self, mut cursor: Cursor) -> Result<bool, StoreError> {
        let (mut any, mut page_begins) = (false, false);
        loop {
            let mut mark = cursor;
            let Some((piece, _)) = self.log.next(&mut cursor)? else { return Ok(any) };
            if piece.entry.kind == Kind::Page {
                self.log.next = self.log.next.max(piece.entry.key);
                page_begins = true;
                continue;
            }
            // The beginning of a batch may have lain in a page that has been erased since.
            let begins = piece.starts || page_begins;
            page_begins = false;
            let mut probe = cursor;
            let mut last = piece;
            while begins && !last.ends {
                match self.log.next(&mut probe)? {
                    Some((next, _)) if next.entry.kind == Kind::Page => {}
                    Some((next, _)) if next.sequence == last.sequence.wrapping_add(1) && !next.starts => last = next,
                    _ => break,
                }
            }
            if !begins || !last.ends {
                continue;
            }
            while let Some((piece, place)) = self.log.next(&mut mark)? {
                self.note(&piece.entry, place, piece.continues, mark.order)?;
                if piece.sequence == last.sequence && piece.entry.kind != Kind::Page {
                    break;
                }
            }
            (cursor, any) = (mark, true);
        }
    }

    fn note(&mut self, entry: &Entry, place: Place, continues: bool, order: u32) -> Result<(), StoreError> {
        match entry.kind {
            _ if continues => return Ok(()),
            Kind::Page => self.log.next = self.log.next.max(entry.key),
            Kind::Credential => self.log.next = self.log.next.max(entry.key.saturating_add(1)),
            Kind::Erase => (self.log.next, self.erased) = (1, order),
            _ => {}
        }
        match self.index.apply(entry, place) {
            // A later entry of the log may say which pages do not count.
            Err(StoreError::Full) if self.lost => self.overfull = true,
            applied => applied?,
        }
        Ok(())
    }

    /// Makes sure that the medium was looked at since it failed.
    fn look(&mut self) -> Result<(), StoreError> {
        if self.lost { self.mount().map_err(|_| StoreError::Failed) } else { Ok(()) }
    }

    /// After a failure only the medium itself shows what is there.
    fn settle<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.is_err() {
            let _ = self.mount();
        }
        done
    }

    /// Reads an entry and its sealed value.
    fn read<'s>(&mut self, place: Place, scratch: &'s mut Scratch) -> Result<(Entry, &'s mut [u8]), StoreError> {
        let (entry, mut reader) = self.log.reader(place)?;
        let sealed = scratch.get_mut(..entry.total.into()).ok_or(StoreError::Failed)?;
        self.log.read_data(&mut reader, sealed)?;
        Ok((entry, sealed))
    }

    /// Reads and opens the value of an entry.
    fn open<'s>(&mut self, place: Place, scratch: &'s mut Scratch) -> Result<&'s mut [u8], StoreError> {
        let (entry, sealed) = self.read(place, scratch)?;
        self.seal.open(&entry, sealed)
    }

    /// Reads the tags of the credential with this index. One that does not open is found by its number only.
    fn learn(&mut self, at: usize) -> Result<Tags, StoreError> {
        let credential = self.index.credentials.get(at).copied().ok_or(StoreError::Failed)?;
        let mut scratch: Scratch = Secret([0; MAX_SEALED]);
        let (entry, sealed) = self.read(credential.place, &mut scratch)?;
        let opened = self.seal.open(&entry, sealed).ok().and_then(|value| value.split_first_chunk::<RP_ID_HASH>());
        let mut tags = Tags { state: State::new(None), ..Tags::default() };
        if let Some((rp_id_hash, record)) = opened {
            tags.party = self.seal.party(rp_id_hash);
            if let Some(Keys { id, user_id, protection }) = Keys::of(record) {
                tags.id = self.seal.id_tag(id);
                tags.user = self.seal.user_tag(user_id);
                tags.state = State::new(Some(protection));
            }
        }
        self.index.learn(at, tags);
        Ok(tags)
    }

    /// Reads the tags of the credentials of a commit.
    fn learn_new(&mut self) -> Result<(), StoreError> {
        for at in 0..self.index.credentials.len() {
            if self.index.credentials.get(at).is_some_and(index::IndexEntry::is_unread) {
                let tags = self.learn(at)?;
                self.index.mark_newest(tags.party);
            }
        }
        Ok(())
    }

    fn sought(&self, query: &Query<'_>) -> Sought {
        let strongest = Some(STRONGEST);
        match *query {
            Query::All => Sought::default(),
            Query::RelyingParties => Sought { strongest, newest: true, ..Sought::default() },
            Query::RelyingParty { rp_id_hash, protection } => Sought {
                party: Some(self.seal.party(rp_id_hash)),
                strongest: Some(class(protection)),
                ..Sought::default()
            },
            Query::User { rp_id_hash, user_id } => Sought {
                party: Some(self.seal.party(rp_id_hash)),
                user: Some(self.seal.user_tag(user_id)),
                strongest,
                ..Sought::default()
            },
            Query::Id(id) => Sought { id: Some(self.seal.id_tag(id)), strongest, ..Sought::default() },
            Query::Listed { rp_id_hash, id, protection } => Sought {
                party: Some(self.seal.party(rp_id_hash)),
                id: Some(self.seal.id_tag(id)),
                strongest: Some(class(protection)),
                ..Sought::default()
            },
        }
    }
}

impl<F: NorFlash, C: Hash + Cipher, const N: usize, const B: usize> Store for FlashStore<F, C, N, B> {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.look()?;
        let Some(slot) = self.index.setting(setting as u8) else { return Ok(None) };
        let mut scratch: Scratch = Secret([0; MAX_SEALED]);
        let value = self.open(slot.place, &mut scratch)?;
        Ok(Some(bytes::put(out.get_mut(..value.len()).ok_or(StoreError::TooLong)?, value)))
    }

    fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        self.look()?;
        let (sought, mut before) = (self.sought(&query), before);
        while let Some(index::IndexEntry { number, place, .. }) = self.index.newest(&sought, before) {
            let mut scratch: Scratch = Secret([0; MAX_SEALED]);
            let value = self.open(place, &mut scratch)?;
            let (rp_id_hash, record) = value.split_first_chunk::<RP_ID_HASH>().ok_or(StoreError::Failed)?;
            if query.matches(rp_id_hash, record) {
                let len = bytes::put(out.get_mut(..record.len()).ok_or(StoreError::TooLong)?, record);
                return Ok(Some(Found { number, rp_id_hash: *rp_id_hash, len }));
            }
            before = Some(number); // tags that are alike by chance
        }
        Ok(None)
    }

    fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
        self.look()?;
        let mut count = self.index.count(&self.sought(&query));
        if let Query::User { .. } = query {
            // The tag of a user is too short to count by.
            let (mut before, mut out) = (None, Secret([0; MAX_RECORD]));
            count = 0;
            while let Some(found) = self.next(query, before, &mut *out)? {
                (before, count) = (Some(found.number), count.saturating_add(1));
            }
        }
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        self.look()?;
        let usual = Log::<F>::size(USUAL_RECORD + RP_ID_HASH + seal::OVERHEAD);
        let left = self.room().saturating_sub(Self::MAX_ENTRY).saturating_sub(self.index.credentials(Log::<F>::size));
        let left = left.checked_div(usual).unwrap_or(0).min(N.saturating_sub(self.index.credentials.len()));
        Ok(u32::try_from(left).unwrap_or(u32::MAX))
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.look()?;
        let (needed, grows) = self.check(changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        let made = self.make_room(needed, grows);
        if made == Err(StoreError::Full) {
            return made;
        }
        let made =
            made.and_then(|()| self.batch(&mut |store| store.write_changes(changes))).and_then(|()| self.learn_new());
        self.settle(made)?;
        let used = |change: &Change<'_>| matches!(change, Change::LargeBlobs(_) | Change::Erase);
        if changes.iter().any(used) {
            self.staged = 0;
            self.index.drop_staged();
        }
        Ok(())
    }

    fn large_blobs_capacity(&self) -> usize {
        B.saturating_mul(CHUNK)
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        self.look()?;
        Ok(self.index.blobs_len())
    }

    fn read_large_blobs(&mut self, blobs: Blobs, mut offset: usize, mut out: &mut [u8]) -> Result<(), StoreError> {
        self.look()?;
        let (in_force, staged) = self.index.array_numbers();
        let (number, len) = match blobs {
            Blobs::Committed => (in_force, self.index.blobs_len()),
            Blobs::Staged => (staged, self.staged),
        };
        if offset.checked_add(out.len()).is_none_or(|end| end > len) {
            return Err(StoreError::Failed);
        }
        while !out.is_empty() {
            let place = self.index.blob(number, offset / CHUNK).ok_or(StoreError::Failed)?;
            let mut scratch: Scratch = Secret([0; MAX_SEALED]);
            let piece = self.open(place, &mut scratch)?.get(offset % CHUNK..).ok_or(StoreError::Failed)?;
            let len = bytes::copy_prefix(out, piece);
            if len == 0 {
                return Err(StoreError::Failed);
            }
            out = bytes::rest_mut(out, len);
            offset = offset.saturating_add(len);
        }
        Ok(())
    }

    fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.look()?;
        if offset > self.staged {
            return Err(StoreError::Failed);
        }
        self.staged = offset;
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.large_blobs_capacity()) {
            return Err(StoreError::Full);
        }
        let staged = self.stage_pieces(offset, bytes);
        if staged == Err(StoreError::Full) { staged } else { self.settle(staged) }
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.look()?;
        let due = self.unreported || self.log.is_dirty();
        let secrets = self.log.tail_order <= self.erased;
        let scarce = self.log.free() < Self::MOVE.saturating_add(Log::<F>::ROOM) && self.garbage() >= Log::<F>::ROOM;
        if !due && !secrets && !scarce {
            return Ok(false);
        }
        let done = self.free_some();
        self.settle(done)?;
        Ok(true)
    }
}
