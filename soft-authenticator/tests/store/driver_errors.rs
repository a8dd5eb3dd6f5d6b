//! Drivers that report errors for writes, which were made or not made, and for erasures.

use std::{cell::Cell, ops::Range, rc::Rc};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use keyfob_core::crypto::RustCrypto;
use keyfob_soft_authenticator::store::{
    Change, FlashStore, Query, Setting, Store,
    flash::{PowerIsOff, SimulatedFlash},
};

use super::{SharedFlash, suite::walked};

/// A flash whose driver reports an error for some of its writes.
#[derive(Clone)]
struct Unreliable<const PAGE: usize, const WORD: usize> {
    flash: SharedFlash<PAGE, WORD>,
    /// Writes so far.
    writes: Rc<Cell<u64>>,
    fails: Range<u64>,
    /// Whether a failed write is made nevertheless.
    made: bool,
    /// A page whose erasure fails with an error.
    stuck: Option<u32>,
}

impl<const PAGE: usize, const WORD: usize> Unreliable<PAGE, WORD> {
    fn new(pages: usize, fails: Range<u64>, made: bool) -> Self {
        Self { flash: SharedFlash::new(SimulatedFlash::new(pages)), writes: Rc::default(), fails, made, stuck: None }
    }

    fn mount(&self) -> FlashStore<Self, RustCrypto, 40, 2> {
        FlashStore::new(self.clone(), RustCrypto, &[0x5E; 32]).unwrap()
    }
}

impl<const PAGE: usize, const WORD: usize> ErrorType for Unreliable<PAGE, WORD> {
    type Error = PowerIsOff;
}

impl<const PAGE: usize, const WORD: usize> ReadNorFlash for Unreliable<PAGE, WORD> {
    const READ_SIZE: usize = SharedFlash::<PAGE, WORD>::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerIsOff> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<const PAGE: usize, const WORD: usize> NorFlash for Unreliable<PAGE, WORD> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerIsOff> {
        let is_used = self.flash.get().bytes()[from as usize..to as usize].iter().any(|byte| *byte != 0xFF);
        if is_used && self.stuck == Some(from / PAGE as u32) {
            return Err(PowerIsOff);
        }
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerIsOff> {
        let fails = self.fails.contains(&self.writes.replace(self.writes.get() + 1));
        if !fails || self.made {
            self.flash.write(offset, bytes)?;
        }
        if fails { Err(PowerIsOff) } else { Ok(()) }
    }
}

const RECORD: [u8; 300] = [7; 300];

fn has_all<const PAGE: usize, const WORD: usize>(flash: &Unreliable<PAGE, WORD>, count: u8) -> bool {
    let walked = walked(&mut flash.mount());
    walked.len() == usize::from(count) && walked.iter().all(|credential| credential.2 == RECORD)
}

/// Makes one, three or four consecutive writes fail, at every place in the first two pages. After four failures a
/// commit fails, made or not, and the page is retired.
fn failures_lose_nothing<const PAGE: usize, const WORD: usize>(pages: usize) {
    for (made, count) in [(true, 1), (true, 3), (true, 4), (false, 1), (false, 3)] {
        for first in 0.. {
            let flash = Unreliable::<PAGE, WORD>::new(pages, first..first + count, made);
            let mut store = flash.mount();
            let case = format!("pages of {PAGE}, words of {WORD}, {count} from {first} on, made: {made}");
            let mut put = 0;
            while flash.flash.get().bytes()[2 * PAGE..].iter().all(|byte| *byte == 0xFF) {
                let done = store.commit(&[Change::Put { rp_id_hash: &[put; 32], record: &RECORD }]);
                assert!(done.is_ok() || count > 3, "{case}: {done:?}");
                put = store.count(Query::All).unwrap() as u8;
            }
            if flash.writes.get() < first + count {
                assert!(first > 10);
                break;
            }
            assert!(has_all(&flash, put), "{case}: as it is written");
            // Commits until the affected pages are freed.
            for count in 0..2 * (pages * PAGE / 64) as u32 {
                let done = store.commit(&[Change::Set(Setting::SignCount, &count.to_be_bytes())]);
                assert_eq!(done, Ok(()), "{case}: collection");
            }
            assert!(has_all(&flash, put), "{case}: moved");
        }
    }
}

#[test]
fn writes_that_are_reported_to_fail_lose_nothing_whether_they_were_made_or_not() {
    failures_lose_nothing::<1024, 4>(16);
    failures_lose_nothing::<2048, 32>(12);
    failures_lose_nothing::<2048, 64>(12);
    failures_lose_nothing::<4096, 256>(10);
}

#[test]
fn a_full_store_opens_though_a_page_that_could_not_be_erased_holds_credentials_that_are_gone() {
    const FULL: u32 = 40;
    let stuck = Some(0);
    let flash = Unreliable::<4096, 4> { stuck, ..Unreliable::new(8, 0..0, false) };
    let mut store = flash.mount();
    for number in 1..1000u32 {
        let put = Change::Put { rp_id_hash: &[number as u8; 32], record: &[7; 20] };
        match number.checked_sub(FULL) {
            None | Some(0) => store.commit(&[put]).unwrap(),
            Some(oldest) => store.commit(&[Change::Delete(oldest), put]).unwrap(),
        }
        while store.tidy().unwrap() {}
        let mounted = FlashStore::<_, _, 40, 2>::new(flash.clone(), RustCrypto, &[0x5E; 32]);
        let count = mounted.map(|mut store| store.count(Query::All));
        assert_eq!(count, Ok(Ok(number.min(FULL))), "after {number} registrations");
    }
    assert_eq!(store.retired(), [0]);
}
