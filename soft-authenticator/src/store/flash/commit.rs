//! Commits, and the room for them.

use embedded_storage::nor_flash::NorFlash;
use keyfob_core::{
    bytes::{self, Secret},
    crypto::{Cipher, Hash},
};

use super::{
    CHUNK, FlashStore, MAX_SEALED, RP_ID_HASH, Scratch, TRIES,
    index::blob_key,
    layout::{Entry, Kind},
    log::{Log, MAX_RETIRED, Source},
    seal,
};
use crate::store::{Change, MAX_RECORD, Number, Setting, StoreError};

impl<F: NorFlash, C: Hash + Cipher, const N: usize, const B: usize> FlashStore<F, C, N, B> {
    /// What the credentials may take, in bytes.
    pub(super) fn room(&self) -> usize {
        self.log.pages().saturating_mul(Log::<F>::ROOM).saturating_sub(Self::RESERVED)
    }

    /// What is neither free nor in force, in bytes.
    pub(super) fn garbage(&self) -> usize {
        let all = self.log.pages().saturating_mul(Log::<F>::ROOM);
        all.saturating_sub(self.index.live(Log::<F>::size)).saturating_sub(self.log.free())
    }

    /// Whether all of `changes` can be made; what they take, in bytes, and whether the credentials take more than
    /// before.
    pub(super) fn check(&self, changes: &[Change<'_>]) -> Result<(usize, bool), StoreError> {
        let size = Log::<F>::size;
        let of_record = |record: &[u8]| match record.len() {
            len if len > MAX_RECORD => Err(StoreError::TooLong),
            len => Ok(size(len.saturating_add(RP_ID_HASH + seal::OVERHEAD))),
        };
        let before = self.index.credentials(size);
        let (mut taken, mut count, mut needed) = (before, self.index.credentials.len(), size(0));
        let (mut erased, mut staged) = (false, self.staged);
        for (index, change) in changes.iter().enumerate() {
            let earlier = changes.get(..index).ok_or(StoreError::Failed)?;
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

    /// Frees pages until so many bytes can be written, and a page can still be moved. New credentials may not use the
    /// reserve for moving a page. Other changes may, because the next page that is freed restores it.
    pub(super) fn make_room(&mut self, needed: usize, grows: bool) -> Result<(), StoreError> {
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

    /// Does one step of freeing the oldest page: erases a free page, moves one entry, or drops one.
    pub(super) fn free_some(&mut self) -> Result<(), StoreError> {
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
                let tags = self.index.tags(&piece.entry);
                self.batch(&mut |store| store.log.append(piece.entry, Source::Log(place), true, true))?;
                self.index.keep_tags(&piece.entry, tags);
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
        self.batch(&mut |store| store.log.append(entry, Source::Bytes(&pages), true, true))?;
        self.unreported = false;
        Ok(())
    }

    /// Writes a batch, at another place if that fails, and enters what was written in the index.
    pub(super) fn batch(
        &mut self,
        write: &mut dyn FnMut(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
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
        let mut scratch: Scratch = Secret([0; MAX_SEALED]);
        let sealed = self.seal.seal(&entry, &self.log.position(), parts, &mut *scratch)?;
        let total = u16::try_from(sealed.len()).map_err(|_| StoreError::TooLong)?;
        self.log.append(Entry { total, ..entry }, Source::Bytes(sealed), starts, ends)
    }

    pub(super) fn write_changes(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
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
                    next = next.checked_add(1).ok_or(StoreError::Full)?;
                    // A page that is begun before the batch ends has to record this number: the credential may be gone
                    // before the page.
                    self.log.next = next;
                    self.append(entry, &[rp_id_hash, record], starts, ends)?;
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

    /// Writes staged bytes from `offset` on, a piece of the array at a time.
    pub(super) fn stage_pieces(&mut self, mut offset: usize, mut bytes: &[u8]) -> Result<(), StoreError> {
        let number = self.index.array_numbers().1;
        while !bytes.is_empty() {
            let (piece, within) = (offset / CHUNK, offset % CHUNK);
            let (now, later) = bytes::split(bytes, CHUNK.saturating_sub(within).min(bytes.len()));
            let mut scratch: Scratch = Secret([0; MAX_SEALED]);
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
            self.batch(&mut |store| store.append(entry, &[kept, now], true, true))?;
            offset = offset.saturating_add(now.len());
            bytes = later;
        }
        self.staged = offset;
        Ok(())
    }
}
