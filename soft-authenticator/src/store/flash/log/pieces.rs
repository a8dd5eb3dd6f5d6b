//! Pieces of entries: finding them, reading what they hold, and adding them.

use embedded_storage::nor_flash::NorFlash;
use keyfob_core::bytes;

use super::{BLOCK, BUFFER, Cursor, LEAST, Log, Place};
use crate::store::{
    StoreError,
    flash::layout::{Crc, Entry, HEAD, Kind, OVERHEAD, Piece},
};

/// Where the data of an entry comes from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Bytes(&'a [u8]),
    /// An entry of the log, to be moved.
    Log(Place),
}

/// The data of an entry, from its beginning on.
pub struct Reader {
    page: u32,
    at: u32,
    /// Bytes left in this piece.
    left: usize,
}

impl<F: NorFlash> Log<F> {
    /// What distinguishes the entry that is written next from all others of this log: where it is, and when.
    pub fn position(&self) -> [u8; 12] {
        let mut position = [0; 12];
        let parts = [self.sequence, self.order, self.place(self.head, self.at)].map(u32::to_le_bytes);
        parts.iter().flatten().zip(&mut position).for_each(|(from, to)| *to = *from);
        position
    }

    /// The next piece, where it is, and the place behind it. `None` at the end.
    pub fn next(&mut self, cursor: &mut Cursor) -> Result<Option<(Piece, Place)>, StoreError> {
        loop {
            if let Some(found) = self.next_in_page(cursor)? {
                return Ok(Some(found));
            }
            match self.next_in_use(cursor.page, cursor.order)? {
                Some((page, opening)) => *cursor = Cursor { page, order: opening.order, at: Self::FIRST },
                None => return Ok(None),
            }
        }
    }

    /// The next piece of this page.
    pub fn next_in_page(&mut self, cursor: &mut Cursor) -> Result<Option<(Piece, Place)>, StoreError> {
        let end = if cursor.page == self.head { self.at } else { Self::PAGE };
        while cursor.at < end {
            let place = self.place(cursor.page, cursor.at);
            match self.piece(cursor.page, cursor.at)? {
                Some((piece, end)) => {
                    cursor.at = end;
                    self.sequence = self.sequence.max(piece.sequence.saturating_add(1));
                    return Ok(Some((piece, place)));
                }
                None => cursor.at = Self::next_block(cursor.at),
            }
        }
        Ok(None)
    }

    /// The data of the entry that begins there.
    pub fn reader(&mut self, place: Place) -> Result<(Entry, Reader), StoreError> {
        let page = place.checked_div(Self::PAGE).ok_or(StoreError::Failed)?;
        let at = place.saturating_sub(self.place(page, 0));
        let (piece, _) = self.piece(page, at)?.ok_or(StoreError::Failed)?;
        let at = at.saturating_add(HEAD as u32);
        Ok((piece.entry, Reader { page, at, left: piece.len.into() }))
    }

    /// Fills `out` with the next bytes of an entry's data.
    ///
    /// # Errors
    /// [`StoreError::Failed`] also past its end.
    pub fn read_data(&mut self, reader: &mut Reader, mut out: &mut [u8]) -> Result<(), StoreError> {
        while !out.is_empty() {
            if reader.left == 0 {
                let (mut page, mut opening) = (reader.page, self.opening(reader.page)?.ok_or(StoreError::Failed)?);
                // A page whose beginning was given up, though it was made, has nothing in it.
                let piece = loop {
                    (page, opening) = self.next_in_use(page, opening.order)?.ok_or(StoreError::Failed)?;
                    if let Some((piece, _)) = self.piece(page, opening.end)? {
                        break piece;
                    }
                };
                if !piece.continues || piece.len == 0 {
                    return Err(StoreError::Failed);
                }
                *reader = Reader { page, at: opening.end.saturating_add(HEAD as u32), left: piece.len.into() };
            }
            let len = out.len().min(reader.left);
            let (now, later) = out.split_at_mut_checked(len).ok_or(StoreError::Failed)?;
            self.read(self.place(reader.page, reader.at), now)?;
            reader.at = reader.at.saturating_add(len as u32);
            reader.left = reader.left.saturating_sub(len);
            out = later;
        }
        Ok(())
    }

    /// Adds an entry, the first or the last of a batch or neither.
    ///
    /// # Errors
    /// [`StoreError::Full`] without a free page.
    pub fn append(&mut self, entry: Entry, source: Source<'_>, mut starts: bool, ends: bool) -> Result<(), StoreError> {
        let total = usize::from(entry.total);
        let mut reader = match source {
            Source::Log(place) => Some(self.reader(place)?.1),
            Source::Bytes(_) => None,
        };
        let mut done = 0usize;
        loop {
            let left = total.saturating_sub(done);
            let room = (Self::PAGE as usize).saturating_sub(self.at as usize);
            let len = left.min(room.saturating_sub(OVERHEAD));
            if self.order == 0 || room < OVERHEAD || len < left.min(LEAST) {
                self.open_next()?;
                continue;
            }
            let piece = Piece {
                entry,
                len: u16::try_from(len).map_err(|_| StoreError::Failed)?,
                sequence: self.sequence,
                starts,
                ends: ends && len == left,
                continues: done > 0,
            };
            let bytes = match source {
                Source::Bytes(bytes) => bytes::rest(bytes, done),
                Source::Log(_) => &[],
            };
            self.write_piece(&piece, bytes, reader.as_mut())?;
            done = done.saturating_add(len);
            starts = false;
            if done == total {
                return Ok(());
            }
        }
    }

    /// Writes one piece and reads it back.
    pub(super) fn write_piece(
        &mut self,
        piece: &Piece,
        bytes: &[u8],
        mut reader: Option<&mut Reader>,
    ) -> Result<(), StoreError> {
        if piece.entry.kind != Kind::Page {
            self.sequence = self.sequence.saturating_add(1);
        }
        let from = self.at;
        let mut block = Block { bytes: [0; BUFFER], used: 0 };
        let mut crc = Crc::new();
        let head = piece.encode();
        crc.update(&head);
        self.write(&mut block, &head)?;
        let mut done = 0;
        while done < usize::from(piece.len) {
            let mut part = [0; BLOCK];
            let part =
                part.get_mut(..usize::from(piece.len).saturating_sub(done).min(BLOCK)).ok_or(StoreError::Failed)?;
            match &mut reader {
                Some(reader) => self.read_data(reader, part)?,
                None => {
                    let end = done.saturating_add(part.len());
                    bytes::copy(part, bytes.get(done..end).ok_or(StoreError::Failed)?);
                }
            }
            crc.update(part);
            self.write(&mut block, part)?;
            done = done.saturating_add(part.len());
        }
        self.write(&mut block, &crc.finish().to_le_bytes())?;
        self.finish(&mut block)?;
        let written = self.piece(self.head, from)?;
        written.filter(|(written, end)| written == piece && *end == self.at).map(drop).ok_or(StoreError::Failed)
    }

    /// Puts bytes behind those that wait to be written, and writes every block that is full.
    fn write(&mut self, block: &mut Block, bytes: &[u8]) -> Result<(), StoreError> {
        for byte in bytes {
            if let Some(place) = block.bytes.get_mut(block.used) {
                *place = *byte;
                block.used = block.used.saturating_add(1);
            }
            if self.at.saturating_add(block.used as u32) == Self::next_block(self.at) {
                self.flush(block)?;
            }
        }
        Ok(())
    }

    /// Writes what waits, filled up to a word.
    fn finish(&mut self, block: &mut Block) -> Result<(), StoreError> {
        let padded = block.used.next_multiple_of(F::WRITE_SIZE);
        bytes::rest_mut(bytes::front_mut(&mut block.bytes, padded), block.used).fill(0);
        block.used = padded;
        if padded > 0 { self.flush(block) } else { Ok(()) }
    }

    fn flush(&mut self, block: &mut Block) -> Result<(), StoreError> {
        let place = self.place(self.head, self.at);
        self.at = self.at.saturating_add(block.used as u32);
        let bytes = bytes::front(&block.bytes, block.used);
        block.used = 0;
        self.flash.write(place, bytes).map_err(|_| StoreError::Failed)
    }

    /// Leaves the block in which a write failed, and the next one when the failed write was at the end of its block.
    pub fn skip_block(&mut self) {
        self.at = Self::next_block(self.at);
    }

    /// The piece that begins there, if there is a whole one, and the place behind it.
    pub(super) fn piece(&mut self, page: u32, at: u32) -> Result<Option<(Piece, u32)>, StoreError> {
        let room = (Self::PAGE as usize).saturating_sub(at as usize);
        if room < OVERHEAD {
            return Ok(None);
        }
        let mut head = [0; HEAD];
        self.read(self.place(page, at), &mut head)?;
        let Some(piece) = Piece::decode(&head) else { return Ok(None) };
        let len = usize::from(piece.len);
        let size = Self::size(len);
        if size > room {
            return Ok(None);
        }
        let mut crc = Crc::new();
        crc.update(&head);
        let mut done = 0;
        let mut part = [0; BLOCK];
        let data = self.place(page, at.saturating_add(HEAD as u32));
        while done < len {
            let part = part.get_mut(..len.saturating_sub(done).min(BLOCK)).ok_or(StoreError::Failed)?;
            self.read(data.saturating_add(done as u32), part)?;
            crc.update(part);
            done = done.saturating_add(part.len());
        }
        let mut expected = [0; 4];
        self.read(data.saturating_add(len as u32), &mut expected)?;
        let whole = u32::from_le_bytes(expected) == crc.finish();
        Ok(whole.then_some((piece, at.saturating_add(size as u32))))
    }

    /// Reads any bytes, whatever can be read at once.
    pub(super) fn read(&mut self, place: Place, mut out: &mut [u8]) -> Result<(), StoreError> {
        if F::READ_SIZE == 1 {
            return self.flash.read(place, out).map_err(|_| StoreError::Failed);
        }
        let unit = F::READ_SIZE as u32;
        let mut place = place;
        while !out.is_empty() {
            let lead = place.checked_rem(unit).ok_or(StoreError::Failed)?;
            let mut block = [0; BUFFER];
            let len = out.len().min(BUFFER.saturating_sub(F::READ_SIZE).saturating_sub(lead as usize).max(1));
            let whole = len.saturating_add(lead as usize).next_multiple_of(F::READ_SIZE);
            let bytes = block.get_mut(..whole).ok_or(StoreError::Failed)?;
            self.flash.read(place.saturating_sub(lead), bytes).map_err(|_| StoreError::Failed)?;
            let (now, later) = out.split_at_mut_checked(len).ok_or(StoreError::Failed)?;
            bytes::copy(now, bytes::part(bytes, lead as usize..len.saturating_add(lead as usize)));
            place = place.saturating_add(len as u32);
            out = later;
        }
        Ok(())
    }
}

/// Bytes that are written together.
struct Block {
    bytes: [u8; BUFFER],
    used: usize,
}
