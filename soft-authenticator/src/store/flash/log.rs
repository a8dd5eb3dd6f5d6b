//! A log over the pages of a flash, used in a ring: entries are added at its head, pages are freed at its tail.
//!
//! Every page is erased equally often, whatever is written. What is not whole does not count: every piece carries a
//! CRC, is read back when it is written, and is valid when the batch it belongs to has its end.

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;

use super::{
    FlashError,
    layout::{Entry, HEAD, Kind, OVERHEAD, PAGE_HEAD, PageHead, Piece, page_head, read_page_head},
};
use crate::store::{Number, StoreError};

mod pieces;

pub use pieces::Source;

/// The largest word that can be written at once, and what is read at once, in bytes.
const BUFFER: usize = 256;
/// Bytes written at once, where words are not larger.
const BLOCK: usize = 64;
/// Less data than this is not put into the rest of a page, in bytes.
const LEAST: usize = 16;
/// Places in a page that are tried before it is given up.
const TRIES: usize = 4;
/// Blocks in which these places may lie: each is at most two behind the one before, and the first at most in the
/// second.
const PLACES: usize = 2 * TRIES;
/// Pages that may fail.
pub const MAX_RETIRED: usize = 8;

/// Where a piece begins: bytes from the beginning of the flash.
pub type Place = u32;

/// A place to read on from.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    page: u32,
    pub order: u32,
    at: u32,
}

/// How a page in use begins.
#[derive(Clone, Copy, Debug)]
struct Opening {
    /// Larger than that of the pages that were begun before.
    order: u32,
    /// Where its first entry may begin.
    end: u32,
}

/// The pages.
pub struct Log<F> {
    flash: F,
    pages: u32,
    /// The page that is written, and where the next piece goes.
    head: u32,
    at: u32,
    /// That of the head; 0 while no page is in use.
    order: u32,
    /// The oldest page, and its order.
    tail: u32,
    pub tail_order: u32,
    /// How many of the free pages behind the head are erased.
    ready: u32,
    /// A page whose beginning may have been written when the power failed, though it reads as erased.
    suspect: Option<u32>,
    sequence: u32,
    /// The most that a page has been erased.
    erasures: u32,
    pub retired: Vec<u16, MAX_RETIRED>,
    /// The number that the next credential gets.
    pub next: Number,
}

impl<F: NorFlash> Log<F> {
    const PAGE: u32 = F::ERASE_SIZE as u32;
    const WORD: u32 = F::WRITE_SIZE as u32;
    /// A multiple of the word.
    const BLOCK: u32 = if F::WRITE_SIZE < BLOCK { (BLOCK / F::WRITE_SIZE * F::WRITE_SIZE) as u32 } else { Self::WORD };
    const FIRST: u32 = (PAGE_HEAD as u32).next_multiple_of(Self::WORD);
    /// What a page takes of entries, however they are cut, in bytes.
    pub const ROOM: usize = {
        let cut = Self::size(LEAST);
        let room = F::ERASE_SIZE.saturating_sub(Self::FIRST as usize).saturating_sub(Self::size(4));
        room.saturating_sub(cut).saturating_sub(cut)
    };
    const GEOMETRY: () = {
        assert!(F::WRITE_SIZE > 0 && F::WRITE_SIZE <= BUFFER, "words of 1 to 256 bytes");
        assert!(F::READ_SIZE > 0 && F::READ_SIZE <= BUFFER / 2, "reads of 1 to 128 bytes");
        assert!(F::ERASE_SIZE % F::WRITE_SIZE == 0 && F::ERASE_SIZE % F::READ_SIZE == 0, "pages are whole words");
        assert!(Self::ROOM >= 256, "pages of at least about 400 bytes");
    };

    /// What an entry with so much data takes, in bytes.
    pub const fn size(total: usize) -> usize {
        OVERHEAD.saturating_add(total).next_multiple_of(F::WRITE_SIZE)
    }

    /// A log that is not mounted yet.
    ///
    /// # Errors
    /// [`FlashError::TooSmall`] without a page.
    pub fn new(flash: F) -> Result<Self, FlashError> {
        let () = Self::GEOMETRY;
        let pages = flash.capacity().checked_div(F::ERASE_SIZE).and_then(|pages| u32::try_from(pages).ok());
        let pages = pages.unwrap_or(u32::MAX).min(u16::MAX.into());
        let head = pages.checked_sub(1).ok_or(FlashError::TooSmall)?;
        Ok(Self {
            flash,
            pages,
            head,
            at: Self::PAGE,
            order: 0,
            tail: head,
            tail_order: 0,
            ready: 0,
            suspect: None,
            sequence: 1,
            erasures: 0,
            retired: Vec::new(),
            next: 1,
        })
    }

    /// Finds the pages in use. Which pages are retired, and the numbers, follow from what is read from [`Log::begin`]
    /// on.
    pub fn mount(&mut self) -> Result<(), FlashError> {
        let log = self;
        let last = log.pages.saturating_sub(1);
        (log.head, log.at, log.order, log.tail, log.tail_order) = (last, Self::PAGE, 0, last, 0);
        (log.ready, log.suspect, log.sequence, log.next) = (0, None, 1, 1);
        log.retired.clear();
        let (mut prepared, mut unknown) = (0u32, 0u32);
        for page in 0..log.pages {
            match log.page_head(page)? {
                PageHead::Prepared { erasures } => {
                    prepared = prepared.saturating_add(1);
                    log.erasures = log.erasures.max(erasures);
                    if let Some(opening) = log.opening(page)?.filter(|opening| opening.order > log.order) {
                        (log.head, log.order) = (page, opening.order);
                    }
                }
                PageHead::OtherWord => return Err(FlashError::OtherGeometry),
                PageHead::OtherVersion(version) => return Err(FlashError::Version(version)),
                PageHead::Unknown => unknown = unknown.saturating_add(1),
                PageHead::Erased => {}
            }
        }
        // The very first erasure may have been interrupted.
        if prepared == 0 && unknown > 1 {
            return Err(FlashError::Foreign);
        }
        (log.tail, log.tail_order) = (log.head, log.order);
        if log.order > 0 {
            log.find_tail()?;
            log.at = log.resume_at()?;
        }
        Ok(())
    }

    /// Leaves pages at the tail that are retired: one that was not changed when its erasure failed looks as if it were
    /// in use. Whether there was one.
    pub fn leave_retired_tail(&mut self) -> Result<bool, StoreError> {
        let tail = self.tail;
        while self.is_retired(self.tail) && self.tail != self.head {
            self.release_tail()?;
        }
        Ok(self.tail != tail)
    }

    /// Ends mounting: which pages are free is known when the retired ones are.
    pub fn mounted(&mut self) -> Result<(), StoreError> {
        self.count_ready()?;
        self.suspect = self.free_page(0).filter(|_| self.ready > 0);
        Ok(())
    }

    fn find_tail(&mut self) -> Result<(), StoreError> {
        let mut page = self.after(self.head);
        while page != self.head {
            if let Some(opening) = self.opening(page)? {
                (self.tail, self.tail_order) = (page, opening.order);
                return Ok(());
            }
            page = self.after(page);
        }
        Ok(())
    }

    /// Behind everything that a write may have touched, however it ended: a word that was written and still reads as
    /// erased lies in the block that the last written word lies in, or in the next one if that is its last.
    fn resume_at(&mut self) -> Result<u32, StoreError> {
        let mut end = Self::PAGE;
        let mut block = [0; BLOCK];
        while end > Self::FIRST {
            let len = end.saturating_sub(Self::FIRST).min(BLOCK as u32);
            let bytes = block.get_mut(..len as usize).ok_or(StoreError::Failed)?;
            let from = end.saturating_sub(len);
            self.read(self.place(self.head, from), bytes)?;
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0xFF) {
                end = from.saturating_add(last as u32).saturating_add(1).next_multiple_of(Self::WORD);
                break;
            }
            end = from;
        }
        Ok(Self::next_block(end))
    }

    fn count_ready(&mut self) -> Result<(), StoreError> {
        self.ready = 0;
        while let Some(page) = self.free_page(self.ready) {
            let prepared = matches!(self.page_head(page)?, PageHead::Prepared { .. });
            // Where its first piece may be: all of it is looked at when it is begun.
            if !prepared || !self.is_blank(page, (0..PLACES).fold(Self::FIRST, |at, _| Self::next_block(at)))? {
                break;
            }
            self.ready = self.ready.saturating_add(1);
        }
        Ok(())
    }

    /// Whether a page reads as erased behind its head, up to a place.
    fn is_blank(&mut self, page: u32, end: u32) -> Result<bool, StoreError> {
        let (mut at, mut part) = (Self::FIRST, [0; BLOCK]);
        while at < end {
            let part = part.get_mut(..end.saturating_sub(at).min(BLOCK as u32) as usize).ok_or(StoreError::Failed)?;
            self.read(self.place(page, at), part)?;
            if part.iter().any(|byte| *byte != 0xFF) {
                return Ok(false);
            }
            at = at.saturating_add(part.len() as u32);
        }
        Ok(true)
    }

    /// The flash.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// The number of pages that are not retired.
    pub fn pages(&self) -> usize {
        (self.pages as usize).saturating_sub(self.retired.len())
    }

    /// Whether the oldest page is the only one in use.
    pub const fn is_one_page(&self) -> bool {
        self.head == self.tail
    }

    /// Room before the tail is reached, in bytes.
    pub fn free(&self) -> usize {
        let here = (Self::PAGE as usize).saturating_sub(self.at as usize).saturating_sub(Self::size(LEAST));
        here.saturating_add(self.free_pages().saturating_mul(Self::ROOM))
    }

    /// Whether there are free pages that are not erased.
    pub fn is_dirty(&self) -> bool {
        (self.ready as usize) < self.free_pages()
    }

    /// Where what comes next begins.
    pub const fn end(&self) -> Cursor {
        Cursor { page: self.head, order: self.order, at: self.at }
    }

    /// Where the oldest entry begins; `None` in a new log.
    pub fn begin(&self) -> Option<Cursor> {
        (self.order > 0).then_some(Cursor { page: self.tail, order: self.tail_order, at: Self::FIRST })
    }

    /// Begins the next page.
    ///
    /// # Errors
    /// [`StoreError::Full`] without one, [`StoreError::Failed`] without one that works.
    pub fn open_next(&mut self) -> Result<(), StoreError> {
        let retired = self.retired.len();
        loop {
            let none = if self.retired.len() > retired { StoreError::Failed } else { StoreError::Full };
            if self.ready == 0 {
                if !self.prepare_one()? {
                    return Err(none);
                }
                continue;
            }
            let page = self.free_page(0).ok_or(none)?;
            if !self.is_blank(page, Self::PAGE)? {
                self.ready = 0;
                continue;
            }
            let (head, at) = (self.head, self.at);
            let suspect = self.suspect.take() == Some(page);
            self.at = if suspect { Self::next_block(Self::FIRST) } else { Self::FIRST };
            self.head = page;
            for _ in 0..TRIES {
                if self.at.saturating_add(Self::size(LEAST) as u32) >= Self::PAGE {
                    break;
                }
                let first = self.order == 0;
                self.order = self.order.checked_add(1).ok_or(StoreError::Failed)?;
                let order = self.order.to_le_bytes();
                let entry = Entry { kind: Kind::Page, tag: 0, key: self.next, total: order.len() as u16 };
                let piece = Piece { entry, len: 4, sequence: 0, starts: false, ends: false, continues: false };
                if self.write_piece(&piece, &order, None).is_ok() {
                    if first {
                        (self.tail, self.tail_order) = (page, self.order);
                    }
                    self.ready = self.ready.saturating_sub(1);
                    return Ok(());
                }
                self.skip_block();
            }
            (self.head, self.at) = (head, at);
            self.ready = self.ready.saturating_sub(1);
            self.retire(page)?;
        }
    }

    /// Erases the next free page that is not erased; `false` if there is none.
    pub fn prepare_one(&mut self) -> Result<bool, StoreError> {
        let Some(page) = self.free_page(self.ready) else { return Ok(false) };
        // Once more, before it is given up.
        match self.prepare(page).or_else(|_| self.prepare(page)) {
            Ok(()) => self.ready = self.ready.saturating_add(1),
            Err(_) => self.retire(page)?,
        }
        Ok(true)
    }

    fn prepare(&mut self, page: u32) -> Result<(), StoreError> {
        let erasures = match self.page_head(page)? {
            PageHead::Prepared { erasures } => erasures,
            _ => self.erasures,
        };
        let erasures = erasures.saturating_add(1);
        self.erasures = self.erasures.max(erasures);
        let from = self.place(page, 0);
        self.flash.erase(from, from.saturating_add(Self::PAGE)).map_err(|_| StoreError::Failed)?;
        if self.page_head(page)? != PageHead::Erased || !self.is_blank(page, Self::PAGE)? {
            return Err(StoreError::Failed);
        }
        let mut head = [0; BUFFER];
        keyfob_core::bytes::put(&mut head, &page_head(F::WRITE_SIZE, erasures));
        let head = head.get(..Self::FIRST as usize).ok_or(StoreError::Failed)?;
        self.flash.write(from, head).map_err(|_| StoreError::Failed)?;
        (self.page_head(page)? == PageHead::Prepared { erasures }).then_some(()).ok_or(StoreError::Failed)
    }

    fn retire(&mut self, page: u32) -> Result<(), StoreError> {
        let page = u16::try_from(page).map_err(|_| StoreError::Failed)?;
        self.retired.push(page).map_err(|_| StoreError::Failed)
    }

    /// Frees the oldest page, in which nothing is left. It is not the head.
    pub fn release_tail(&mut self) -> Result<(), StoreError> {
        let (page, opening) = self.next_in_use(self.tail, self.tail_order)?.ok_or(StoreError::Failed)?;
        (self.tail, self.tail_order) = (page, opening.order);
        Ok(())
    }

    /// Whether an entry lies in a page.
    pub fn is_in(&self, place: Place, page: u16) -> bool {
        place.checked_div(Self::PAGE) == Some(page.into())
    }

    /// The oldest page.
    pub fn tail(&self) -> Cursor {
        Cursor { page: self.tail, order: self.tail_order, at: Self::FIRST }
    }

    fn is_retired(&self, page: u32) -> bool {
        self.retired.iter().any(|retired| u32::from(*retired) == page)
    }

    /// The free page with this index behind the head.
    fn free_page(&self, mut index: u32) -> Option<u32> {
        let mut page = self.head;
        for _ in 0..self.pages {
            page = self.after(page);
            if page == self.tail && self.order > 0 {
                return None;
            }
            if !self.is_retired(page) {
                if index == 0 {
                    return Some(page);
                }
                index = index.saturating_sub(1);
            }
        }
        None
    }

    fn free_pages(&self) -> usize {
        if self.order == 0 {
            return self.pages();
        }
        let (head, tail) = (self.head, self.tail);
        let between =
            if tail > head { tail.saturating_sub(head) } else { tail.saturating_add(self.pages).saturating_sub(head) };
        let retired = self.retired.iter().map(|page| u32::from(*page)).filter(|page| {
            let from_head = if *page > head {
                page.saturating_sub(head)
            } else {
                page.saturating_add(self.pages).saturating_sub(head)
            };
            from_head < between
        });
        (between.saturating_sub(1) as usize).saturating_sub(retired.count())
    }

    /// The page that was begun after another one, and how it begins. `None` after the head.
    fn next_in_use(&mut self, page: u32, order: u32) -> Result<Option<(u32, Opening)>, StoreError> {
        let mut next = page;
        while next != self.head {
            next = self.after(next);
            if next == page {
                break;
            }
            if let Some(opening) = self.opening(next)?.filter(|opening| opening.order > order) {
                return Ok(Some((next, opening)));
            }
        }
        Ok(None)
    }

    /// How a page begins, if it is in use. Of several attempts to begin it, the last is the one that entries follow.
    fn opening(&mut self, page: u32) -> Result<Option<Opening>, StoreError> {
        if !matches!(self.page_head(page)?, PageHead::Prepared { .. }) {
            return Ok(None);
        }
        let (mut at, mut last) = (Self::FIRST, None);
        for _ in 0..PLACES {
            if let Some((piece, end)) = self.piece(page, at)?.filter(|(piece, _)| piece.entry.kind == Kind::Page) {
                let mut order = [0; 4];
                if usize::from(piece.len) == order.len() {
                    self.read(self.place(page, at.saturating_add(HEAD as u32)), &mut order)?;
                    last = Some(Opening { order: u32::from_le_bytes(order), end });
                    // A piece that is there though its write was reported to fail has nothing behind it.
                    let mut behind = [0xFF];
                    self.read(self.place(page, end.min(Self::PAGE.saturating_sub(1))), &mut behind)?;
                    if behind != [0xFF] {
                        break;
                    }
                }
            }
            at = Self::next_block(at);
        }
        Ok(last)
    }

    fn page_head(&mut self, page: u32) -> Result<PageHead, StoreError> {
        let mut head = [0; PAGE_HEAD];
        self.read(self.place(page, 0), &mut head)?;
        Ok(read_page_head(&head, F::WRITE_SIZE))
    }

    fn place(&self, page: u32, at: u32) -> Place {
        page.saturating_mul(Self::PAGE).saturating_add(at)
    }

    /// Where the next block of a page begins.
    fn next_block(at: u32) -> u32 {
        at.saturating_add(1).next_multiple_of(Self::BLOCK).min(Self::PAGE)
    }

    fn after(&self, page: u32) -> u32 {
        let next = page.saturating_add(1);
        if next < self.pages { next } else { 0 }
    }
}
