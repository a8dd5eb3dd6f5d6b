//! A store on NOR flash: a log of sealed values over pages that are used in a ring.
//!
//! What is written is added at the head of the log; the oldest page is freed by moving what still counts of it to the
//! head. So every page is erased equally often, and a power cut leaves the old state or the new one: a commit counts
//! when its last piece is there, and what it replaces is erased long after. `docs/store.md` gives format, costs and wear.

use embedded_storage::nor_flash::NorFlash;
use keyfob_core::{
    bytes,
    crypto::{Cipher, Hash},
};
use zeroize::Zeroizing;

mod index;
mod layout;
mod log;
mod seal;
#[cfg(feature = "std")]
mod simulated;

#[cfg(feature = "std")]
pub use simulated::{Cut, PowerIsOff, SimulatedFlash, Tear};

use super::{Blobs, Change, Found, MAX_RECORD, Number, Setting, Store, StoreError};
use index::{Index, blob_key};
use layout::{Entry, Kind};
use log::{Cursor, Log, MAX_RETIRED, Place, Source};
use seal::Seal;

/// Large-blob arrays are kept in pieces of this many bytes.
pub const CHUNK: usize = 512;
/// A hash of an RP ID stands before each record.
const RP_ID_HASH: usize = 32;
/// The longest sealed value, in bytes.
const MAX_SEALED: usize = RP_ID_HASH + MAX_RECORD + seal::OVERHEAD;
/// A record of usual size, in bytes: a P-256 key, its id, and names of relying party and user.
const USUAL_RECORD: usize = 352;
/// Attempts at one commit, each at another place.
const TRIES: usize = 4;

type Scratch = Zeroizing<[u8; MAX_SEALED]>;

/// Why a flash cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlashError {
    /// It is not ours: no page was ever prepared for this format, and it is not erased. [`FlashStore::format`] takes it.
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

/// A store on NOR flash, with room for `N` credentials in its index (12 bytes of RAM each) and for a large-blob array of
/// `B` times [`CHUNK`] bytes (16 bytes of RAM each time).
///
/// The whole flash is its own. Pages may have any size from about 400 bytes on, words any up to 256. Settings and
/// credentials are sealed under `device_key`, which should be a secret of the chip: whoever can read the flash learns how
/// many credentials there are and when they change, not what they are. Whoever can write it can bring back an old state.
pub struct FlashStore<F, C, const N: usize, const B: usize = 4> {
    log: Log<F>,
    index: Index<N, B>,
    seal: Seal<C>,
    /// Large-blob bytes staged.
    staged: usize,
    /// How far the oldest page was looked through for what counts.
    sweep: Option<Cursor>,
    /// Pages older than this one hold what was erased.
    erased: u32,
    /// A page failed, and the log does not say so yet.
    unreported: bool,
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
    /// Errors: [`FlashError`]. A flash that cannot be used is not changed.
    pub fn new(flash: F, crypto: C, device_key: &[u8; 32]) -> Result<Self, FlashError> {
        let mut store = Self {
            log: Log::new(flash)?,
            index: Index::new(),
            seal: Seal::new(crypto, device_key),
            staged: 0,
            sweep: None,
            erased: 0,
            unreported: false,
            lost: false,
        };
        if store.room() < Self::MAX_ENTRY {
            return Err(FlashError::TooSmall);
        }
        store.mount()?;
        Ok(store)
    }

    /// Erases a flash, whatever is on it. Errors: [`FlashError::Failed`].
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
        self.index.reset();
        (self.staged, self.sweep, self.erased, self.unreported) = (0, None, 0, false);
        self.log.mount()?;
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
        self.index.drop_staged();
        self.log.mounted()?;
        self.lost = false;
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
        self.index.apply(entry, place)
    }

    /// Makes sure that the medium was looked at since it failed.
    fn look(&mut self) -> Result<(), StoreError> {
        if self.lost { self.mount().map_err(|_| StoreError::Failed) } else { Ok(()) }
    }

    /// When the medium failed, only the medium knows what is there.
    fn settle<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.is_err() {
            let _ = self.mount();
        }
        done
    }

    /// What the credentials may take, in bytes.
    fn room(&self) -> usize {
        self.log.pages().saturating_mul(Log::<F>::ROOM).saturating_sub(Self::RESERVED)
    }

    /// What is neither free nor counts, in bytes.
    fn garbage(&self) -> usize {
        let all = self.log.pages().saturating_mul(Log::<F>::ROOM);
        all.saturating_sub(self.index.live(Log::<F>::size)).saturating_sub(self.log.free())
    }

    /// Whether all of `changes` can be made; what they take, in bytes, and whether the credentials take more than before.
    fn check(&self, changes: &[Change<'_>]) -> Result<(usize, bool), StoreError> {
        let size = Log::<F>::size;
        let of_record = |record: &[u8]| match record.len() {
            len if len > MAX_RECORD => Err(StoreError::TooLong),
            len => Ok(size(len.saturating_add(RP_ID_HASH + seal::OVERHEAD))),
        };
        let before = self.index.credentials(size);
        let (mut taken, mut count, mut needed) = (before, self.index.credentials.len(), size(0));
        let (mut erased, mut staged) = (false, self.staged);
        for (index, change) in changes.iter().enumerate() {
            let earlier = changes.get(..index).unwrap_or_default();
            let kept = |number: Number| {
                let deleted = |change: &Change<'_>| matches!(change, Change::Delete(deleted) if *deleted == number);
                let known = self.index.credential(number).filter(|_| !erased && !earlier.iter().any(deleted));
                known.map(|credential| size(credential.total.into()))
            };
            let written = match *change {
                Change::Erase => {
                    (taken, count, erased, staged) = (0, 0, true, 0);
                    size(0)
                }
                Change::Set(_, value) if value.len() > Setting::MAX_LEN => return Err(StoreError::TooLong),
                Change::Set(_, value) => size(value.len().saturating_add(seal::OVERHEAD)),
                Change::Delete(number) => {
                    if let Some(old) = kept(number) {
                        (taken, count) = (taken.saturating_sub(old), count.saturating_sub(1));
                    }
                    size(0)
                }
                Change::Replace { number, record, .. } => {
                    let new = of_record(record)?;
                    let old = kept(number).ok_or(StoreError::Failed)?;
                    taken = taken.saturating_sub(old).saturating_add(new);
                    new
                }
                Change::LargeBlobs(len) if len > staged => return Err(StoreError::Failed),
                Change::LargeBlobs(_) => size(0),
                Change::Put { record, .. } => {
                    let new = of_record(record)?;
                    (taken, count) = (taken.saturating_add(new), count.saturating_add(1));
                    new
                }
            };
            needed = needed.saturating_add(written);
        }
        // New credentials leave room for one that takes another's place and is larger.
        let adds = count > self.index.credentials.len();
        let room = self.room().saturating_sub(if adds { Self::MAX_ENTRY } else { 0 });
        let fits = count <= N && (taken <= room || taken <= before);
        fits.then_some((needed, taken > before)).ok_or(StoreError::Full)
    }

    /// Frees pages until so many bytes can be written, and a page can still be moved. Credentials that are new do not
    /// get the room for that; all else may, for the next page that is freed gives it back.
    fn make_room(&mut self, needed: usize, grows: bool) -> Result<(), StoreError> {
        let wanted = needed.saturating_add(Self::MOVE);
        // Once around, and each page is moved piece by piece.
        let mut pages = self.log.pages().saturating_add(1);
        while self.log.free() < wanted && pages > 0 {
            let tail = self.log.tail_order;
            if let Err(error) = self.free_some() {
                if error == StoreError::Full && !grows {
                    break;
                }
                return Err(error);
            }
            pages = pages.saturating_sub(usize::from(self.log.tail_order != tail));
        }
        let least = if grows { wanted } else { needed };
        (self.log.free() >= least).then_some(()).ok_or(StoreError::Full)
    }

    /// Does one piece of what frees the oldest page: erases one that is free already, moves one entry, or lets it go.
    fn free_some(&mut self) -> Result<(), StoreError> {
        if self.unreported {
            return self.report_retired();
        }
        if self.log.is_dirty() {
            let retired = self.log.retired.len();
            self.log.prepare_one()?;
            self.unreported = self.log.retired.len() > retired;
            return Ok(());
        }
        if self.log.is_one_page() {
            return self.log.open_next();
        }
        let mut cursor = self.sweep.filter(|sweep| sweep.order == self.log.tail_order).unwrap_or(self.log.tail());
        while let Some((piece, place)) = self.log.next_in_page(&mut cursor)? {
            if !piece.continues && self.index.is_live(&piece.entry, place) {
                self.batch(|store| store.log.append(piece.entry, Source::Log(place), true, true))?;
                self.sweep = Some(cursor);
                return Ok(());
            }
        }
        self.log.release_tail()
    }

    fn report_retired(&mut self) -> Result<(), StoreError> {
        let mut pages = [0; 2 * MAX_RETIRED];
        let bytes = self.log.retired.iter().flat_map(|page| page.to_le_bytes());
        bytes.zip(&mut pages).for_each(|(from, to)| *to = from);
        let total = self.log.retired.len().saturating_mul(2);
        let entry = Entry { kind: Kind::Retired, tag: 0, key: 0, total: u16::try_from(total).unwrap_or(0) };
        self.batch(|store| store.log.append(entry, Source::Bytes(&pages), true, true))?;
        self.unreported = false;
        Ok(())
    }

    /// Writes a batch, at another place when it does not succeed, and takes note of what was written.
    fn batch(&mut self, mut write: impl FnMut(&mut Self) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let next = self.log.next;
        let retired = self.log.retired.len();
        for attempt in 0..TRIES {
            let begin = self.log.end();
            let written = write(self);
            self.unreported |= self.log.retired.len() > retired;
            match written {
                Ok(()) => {
                    // In a new log the first page was begun just now.
                    let begin = if begin.order == 0 { self.log.begin() } else { Some(begin) };
                    if let Some(begin) = begin
                        && self.replay(begin)?
                    {
                        return Ok(());
                    }
                }
                Err(StoreError::Full) if attempt == 0 => return Err(StoreError::Full),
                Err(_) => {}
            }
            self.log.next = next;
            self.log.skip_block();
        }
        Err(StoreError::Failed)
    }

    /// Adds a sealed entry.
    fn append(&mut self, entry: Entry, parts: &[&[u8]], starts: bool, ends: bool) -> Result<(), StoreError> {
        let mut scratch: Scratch = Zeroizing::new([0; MAX_SEALED]);
        let sealed = self.seal.seal(&entry, &self.log.nonce(), parts, &mut *scratch)?;
        let total = u16::try_from(sealed.len()).map_err(|_| StoreError::TooLong)?;
        self.log.append(Entry { total, ..entry }, Source::Bytes(sealed), starts, ends)
    }

    fn write_changes(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        let mut next = self.log.next;
        let count = changes.len();
        for (index, change) in changes.iter().enumerate() {
            let (starts, ends) = (index == 0, index.saturating_add(1) == count);
            let plain = |kind, key, tag| Entry { kind, tag, key, total: 0 };
            let none = Source::Bytes(&[]);
            match *change {
                Change::Erase => {
                    (self.log.next, next) = (1, 1);
                    self.log.append(plain(Kind::Erase, 0, 0), none, starts, ends)?;
                }
                Change::Set(setting, value) => {
                    self.append(plain(Kind::Setting, setting as u32, 0), &[value], starts, ends)?;
                }
                Change::Delete(number) => self.log.append(plain(Kind::Delete, number, 0), none, starts, ends)?,
                Change::Replace { number, rp_id_hash, record } => {
                    let entry = plain(Kind::Credential, number, self.seal.tag(rp_id_hash));
                    self.append(entry, &[rp_id_hash, record], starts, ends)?;
                }
                Change::Put { rp_id_hash, record } => {
                    let entry = plain(Kind::Credential, next, self.seal.tag(rp_id_hash));
                    self.append(entry, &[rp_id_hash, record], starts, ends)?;
                    next = next.checked_add(1).ok_or(StoreError::Full)?;
                }
                Change::LargeBlobs(len) => {
                    let len = u16::try_from(len).map_err(|_| StoreError::Full)?;
                    let number = self.index.array_numbers().1;
                    self.log.append(plain(Kind::Blobs, number.into(), len), none, starts, ends)?;
                }
            }
        }
        Ok(())
    }

    /// Reads and opens the value of an entry.
    fn open<'s>(&mut self, place: Place, scratch: &'s mut Scratch) -> Result<&'s mut [u8], StoreError> {
        let (entry, mut reader) = self.log.reader(place)?;
        let sealed = scratch.get_mut(..entry.total.into()).ok_or(StoreError::Failed)?;
        self.log.read_data(&mut reader, sealed)?;
        self.seal.open(&entry, sealed)
    }

    /// The newest credential that is older than `before` and has the tag, if one is given, and the relying party.
    fn newest(
        &mut self,
        rp_id_hash: Option<&[u8; 32]>,
        before: Option<Number>,
        out: &mut [u8],
    ) -> Result<Option<([u8; 32], Found)>, StoreError> {
        self.look()?;
        let tag = rp_id_hash.map(|rp_id_hash| self.seal.tag(rp_id_hash));
        let mut at = self.index.credentials.len();
        while let Some(index) = at.checked_sub(1) {
            at = index;
            let Some(credential) = self.index.credentials.get(index).copied() else { break };
            let older = before.is_none_or(|before| credential.number < before);
            if !older || tag.is_some_and(|tag| tag != credential.tag) {
                continue;
            }
            let mut scratch: Scratch = Zeroizing::new([0; MAX_SEALED]);
            let value = self.open(credential.place, &mut scratch)?;
            let (hash, record) = value.split_first_chunk::<RP_ID_HASH>().ok_or(StoreError::Failed)?;
            if rp_id_hash.is_none_or(|wanted| wanted == hash) {
                bytes::copy(out.get_mut(..record.len()).ok_or(StoreError::TooLong)?, record);
                return Ok(Some((*hash, Found { number: credential.number, len: record.len() })));
            }
        }
        Ok(None)
    }

    /// Writes staged bytes from `offset` on, a piece of the array at a time.
    fn stage_pieces(&mut self, mut offset: usize, mut bytes: &[u8]) -> Result<(), StoreError> {
        let number = self.index.array_numbers().1;
        while !bytes.is_empty() {
            let (piece, within) = (offset / CHUNK, offset % CHUNK);
            let (now, later) =
                bytes.split_at_checked(CHUNK.saturating_sub(within).min(bytes.len())).unwrap_or_default();
            let mut scratch: Scratch = Zeroizing::new([0; MAX_SEALED]);
            let kept: &[u8] = match within {
                0 => &[],
                _ => {
                    let place = self.index.blob(number, piece).ok_or(StoreError::Failed)?;
                    self.open(place, &mut scratch)?.get(..within).ok_or(StoreError::Failed)?
                }
            };
            let key = blob_key(number, u16::try_from(piece).map_err(|_| StoreError::Full)?);
            let entry = Entry { kind: Kind::Blob, tag: 0, key, total: 0 };
            self.make_room(Self::MAX_ENTRY, false)?;
            self.batch(|store| store.append(entry, &[kept, now], true, true))?;
            offset = offset.saturating_add(now.len());
            bytes = later;
        }
        self.staged = offset;
        Ok(())
    }
}

impl<F: NorFlash, C: Hash + Cipher, const N: usize, const B: usize> Store for FlashStore<F, C, N, B> {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.look()?;
        let Some(slot) = self.index.setting(setting as u8) else { return Ok(None) };
        let mut scratch: Scratch = Zeroizing::new([0; MAX_SEALED]);
        let value = self.open(slot.place, &mut scratch)?;
        Ok(Some(bytes::copy(out.get_mut(..value.len()).ok_or(StoreError::TooLong)?, value)))
    }

    fn find(
        &mut self,
        rp_id_hash: &[u8; 32],
        before: Option<Number>,
        out: &mut [u8],
    ) -> Result<Option<Found>, StoreError> {
        Ok(self.newest(Some(rp_id_hash), before, out)?.map(|(_, found)| found))
    }

    fn walk(&mut self, before: Option<Number>, out: &mut [u8]) -> Result<Option<([u8; 32], Found)>, StoreError> {
        self.newest(None, before, out)
    }

    fn count(&mut self) -> Result<u32, StoreError> {
        self.look()?;
        Ok(u32::try_from(self.index.credentials.len()).unwrap_or(u32::MAX))
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
        let made = made.and_then(|()| self.batch(|store| store.write_changes(changes)));
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
            let mut scratch: Scratch = Zeroizing::new([0; MAX_SEALED]);
            let piece = self.open(place, &mut scratch)?.get(offset % CHUNK..).unwrap_or_default();
            let len = bytes::copy(out, piece);
            if len == 0 {
                return Err(StoreError::Failed);
            }
            out = out.get_mut(len..).unwrap_or_default();
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
        let secrets = self.log.tail_order < self.erased;
        let scarce = self.log.free() < Self::MOVE.saturating_add(Log::<F>::ROOM) && self.garbage() >= Log::<F>::ROOM;
        if !due && !secrets && !scarce {
            return Ok(false);
        }
        let done = self.free_some();
        self.settle(done)?;
        Ok(true)
    }
}
