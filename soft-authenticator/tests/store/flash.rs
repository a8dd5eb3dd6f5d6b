//! The flash log, on flashes of several geometries.

use std::{cell::Cell, future::poll_fn, task::Poll};

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use embedded_storage_async::nor_flash;
use keyfob_core::{crypto::RustCrypto, extensions::cred_protect::Level};
use keyfob_soft_authenticator::store::{
    Change, FlashStore, Query, Setting, Store, StoreError,
    flash::{BlockingFlash, Cut, FlashError, PowerIsOff, SimulatedFlash, Tear},
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{
    SharedFlash,
    model::{Intent, Model, Op, op},
    suite::{Case, Medium, walked},
};
use crate::suite;

const KEY: [u8; 32] = [0x5E; 32];

type OnFlash<const PAGE: usize, const WORD: usize> = FlashStore<SharedFlash<PAGE, WORD>, RustCrypto, 40, 2>;

fn fresh<const PAGE: usize, const WORD: usize>(pages: usize) -> SharedFlash<PAGE, WORD> {
    SharedFlash::new(SimulatedFlash::new(pages))
}

fn mount<const PAGE: usize, const WORD: usize>(flash: &SharedFlash<PAGE, WORD>) -> OnFlash<PAGE, WORD> {
    FlashStore::new(flash.clone(), RustCrypto, &KEY).unwrap()
}

impl<const PAGE: usize, const WORD: usize> Medium for SharedFlash<PAGE, WORD> {
    type Store<'m> = OnFlash<PAGE, WORD>;
    const BOUNDED: bool = true;

    fn open(&mut self) -> Self::Store<'_> {
        mount(self)
    }
}

// nRF52, STM32L4, RP2040, STM32H7, and pages smaller than a credential.
suite!(pages_of_4096_words_of_4, super::fresh::<4096, 4>(8));
suite!(pages_of_2048_words_of_8, super::fresh::<2048, 8>(16));
suite!(pages_of_4096_words_of_256, super::fresh::<4096, 256>(10));
suite!(pages_of_131072_words_of_32, super::fresh::<131_072, 32>(3));
suite!(pages_of_1024_words_of_1, super::fresh::<1024, 1>(30));
suite!(pages_of_512_words_of_2, super::fresh::<512, 2>(60));

/// A flash with an asynchronous driver, which is busy for some polls before each operation.
struct Slow<const PAGE: usize, const WORD: usize>(SharedFlash<PAGE, WORD>);

/// How many polls find the driver busy.
const BUSY: usize = 3;

async fn busy() {
    let mut left = BUSY;
    poll_fn(|_| match left.checked_sub(1) {
        None => Poll::Ready(()),
        Some(less) => {
            left = less;
            Poll::Pending
        }
    })
    .await;
}

impl<const PAGE: usize, const WORD: usize> nor_flash::ErrorType for Slow<PAGE, WORD> {
    type Error = PowerIsOff;
}

impl<const PAGE: usize, const WORD: usize> nor_flash::ReadNorFlash for Slow<PAGE, WORD> {
    const READ_SIZE: usize = <SharedFlash<PAGE, WORD> as ReadNorFlash>::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerIsOff> {
        busy().await;
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<const PAGE: usize, const WORD: usize> nor_flash::NorFlash for Slow<PAGE, WORD> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerIsOff> {
        busy().await;
        self.0.erase(from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerIsOff> {
        busy().await;
        self.0.write(offset, bytes)
    }
}

impl<const PAGE: usize, const WORD: usize> Medium for Slow<PAGE, WORD> {
    type Store<'m> = FlashStore<BlockingFlash<Self>, RustCrypto, 40, 2>;
    const BOUNDED: bool = true;

    fn open(&mut self) -> Self::Store<'_> {
        FlashStore::new(BlockingFlash::new(Self(self.0.clone())), RustCrypto, &KEY).unwrap()
    }
}

suite!(with_an_asynchronous_driver, super::Slow(super::fresh::<4096, 4>(8)));

#[test]
fn the_wait_function_is_called_each_time_that_an_asynchronous_driver_is_busy() {
    let flash = fresh::<4096, 4>(8);
    let waits = Cell::new(0);
    let driver = BlockingFlash::with_wait(Slow(flash.clone()), || waits.set(waits.get() + 1));
    let mut store = FlashStore::<_, _, 40, 2>::new(driver, RustCrypto, &KEY).unwrap();
    store.commit(&[Change::Set(Setting::Pin, &[1])]).unwrap();
    let SimulatedFlash { operations, reads, .. } = *flash.get();
    assert_eq!(waits.get(), (operations + reads) * BUSY as u64);
    // A blocking driver reads what an asynchronous one has written.
    assert_eq!(mount(&store.into_flash().into_inner().0).get(Setting::Pin, &mut [0]), Ok(Some(1)));
}

/// An operation, and when the power fails after its beginning, if at all.
type CutOp = (Op, Option<Cut>);

fn tear() -> impl Strategy<Value = Tear> {
    prop_oneof![Just(Tear::Before), Just(Tear::After), any::<u64>().prop_map(Tear::Within)]
}

fn cut() -> impl Strategy<Value = Cut> {
    (prop_oneof![3 => 0..6u64, 1 => 0..40u64], tear()).prop_map(|(operation, tear)| Cut { operation, tear })
}

/// Whether a flash has the contents of this model, and can be used further.
fn is_on<const PAGE: usize, const WORD: usize>(model: &Model, flash: &SharedFlash<PAGE, WORD>) -> bool {
    let mut store = mount(&flash.copy());
    let probe = Op::Commit(vec![Intent::Put(0, 0, 0)]);
    let mut after = model.clone();
    model.check(&mut store).is_ok() && after.step(&mut store, &probe).is_ok() && after.check(&mut store).is_ok()
}

/// Does operations with some power cuts, and checks after each cut that the store has the old or the new state.
fn survives<const PAGE: usize, const WORD: usize>(
    flash: &SharedFlash<PAGE, WORD>,
    filled: usize,
    ops: &[CutOp],
) -> Case {
    let mut model = Model::default();
    let mut store = mount(flash);
    for number in 0..filled {
        model.step(&mut store, &Op::Commit(vec![Intent::Put(number as u8 % 3, number as u8, 300)]))?;
    }
    for (op, cut) in ops {
        if let Some(cut) = cut {
            flash.get().cut(*cut);
        }
        let mut old = model.clone();
        let done = model.step(&mut store, op);
        if flash.get().is_off() {
            prop_assert!(done.is_err() || matches!(op, Op::Tidy(_)), "done without power");
            let mut new = match op {
                Op::Commit(intents) => old.after(intents).0,
                _ => old.clone(),
            };
            flash.get().power_on();
            old.power_cut();
            new.power_cut();
            store = mount(flash);
            if is_on(&old, flash) {
                model = old;
            } else {
                let erases = matches!(op, Op::Commit(intents) if intents.contains(&Intent::Erase));
                new.adopt(if erases { 0 } else { old.newest }, &mut store)?;
                model = new;
            }
        } else {
            done?;
        }
        model.check(&mut store)?;
    }
    flash.get().power_on();
    while store.tidy().unwrap() {}
    model.power_cut();
    model.check(&mut mount(flash))
}

/// No seeds are kept: one function runs on several geometries, and a seed would not say on which. The input that fails is
/// printed.
fn cases() -> Config {
    Config { cases: 60, failure_persistence: None, ..Config::default() }
}

fn cuts_leave_the_old_state_or_the_new_one<const PAGE: usize, const WORD: usize>(pages: usize, filled: usize) {
    let config = cases();
    let ops = vec((op(), option::weighted(0.5, cut())), 0..40);
    let run = |ops: Vec<CutOp>| survives(&fresh::<PAGE, WORD>(pages), filled, &ops);
    TestRunner::new(config).run(&ops, run).unwrap();
}

#[test]
fn cuts_leave_the_old_state_or_the_new_one_whatever_the_geometry() {
    cuts_leave_the_old_state_or_the_new_one::<4096, 4>(6, 0);
    cuts_leave_the_old_state_or_the_new_one::<2048, 8>(8, 0);
    cuts_leave_the_old_state_or_the_new_one::<512, 2>(30, 0);
    cuts_leave_the_old_state_or_the_new_one::<8192, 32>(4, 0);
}

#[test]
fn cuts_leave_the_old_state_or_the_new_one_of_a_full_store() {
    cuts_leave_the_old_state_or_the_new_one::<4096, 4>(6, 40);
    cuts_leave_the_old_state_or_the_new_one::<1024, 1>(22, 40);
}

#[test]
fn pages_that_do_not_erase_are_retired_and_nothing_is_lost() {
    let config = cases();
    let ops = (vec((op(), option::weighted(0.3, cut())), 0..40), vec(0..14usize, 1..3), 0..20usize);
    type Broken = (Vec<CutOp>, Vec<usize>, usize);
    let run = |(ops, broken, filled): Broken| {
        let flash = fresh::<2048, 4>(14);
        flash.get().broken = broken;
        survives(&flash, filled, &ops)
    };
    TestRunner::new(config).run(&ops, run).unwrap();
}

#[test]
fn a_page_that_does_not_erase_is_reported_after_a_power_cut_too() {
    let flash = fresh::<4096, 4>(10);
    let mut store = mount(&flash);
    let record = [7; 300];
    for number in 0..20 {
        store.commit(&[Change::Put { rp_id_hash: &[number; 32], record: &record }]).unwrap();
    }
    flash.get().broken = vec![3, 4];
    for count in 0..2000u32 {
        store.commit(&[Change::Set(Setting::SignCount, &count.to_be_bytes())]).unwrap();
        while count % 50 == 0 && store.tidy().unwrap() {}
    }
    assert_eq!(store.retired(), [3, 4]);
    let erased = flash.get().erasures[3];
    let mut store = mount(&flash);
    assert_eq!(store.retired(), [3, 4]);
    assert_eq!(store.count(Query::All), Ok(20));
    for count in 0..1000u32 {
        store.commit(&[Change::Set(Setting::SignCount, &count.to_be_bytes())]).unwrap();
    }
    assert_eq!(flash.get().erasures[3], erased, "the page is not erased again");
    assert_eq!(walked(&mut store).len(), 20);
    assert!(walked(&mut store).iter().all(|credential| credential.2 == record));
}

#[test]
fn every_page_is_erased_as_often_as_the_others() {
    let flash = fresh::<2048, 8>(16);
    let mut store = mount(&flash);
    for number in 0..30 {
        store.commit(&[Change::Put { rp_id_hash: &[number; 32], record: &[1; 200] }]).unwrap();
    }
    for count in 0..10_000u32 {
        store.commit(&[Change::Set(Setting::SignCount, &count.to_be_bytes())]).unwrap();
        if count % 1000 == 0 {
            store = mount(&flash);
        }
    }
    let erasures = flash.get().erasures.clone();
    let (least, most) = (erasures.iter().min().unwrap(), erasures.iter().max().unwrap());
    assert!(*least > 20 && most - least <= 2, "{erasures:?}");
}

/// A flash with contents.
fn used() -> SharedFlash<4096, 4> {
    let flash = fresh::<4096, 4>(6);
    let mut store = mount(&flash);
    let record = b"a record that nobody should read";
    store.commit(&[Change::Set(Setting::Seed, &[0xA5; 32]), Change::Put { rp_id_hash: &[0x77; 32], record }]).unwrap();
    flash
}

fn with_bytes(bytes: Vec<u8>) -> SharedFlash<4096, 4> {
    SharedFlash::new(SimulatedFlash::with(bytes))
}

fn refused(flash: &SharedFlash<4096, 4>) -> FlashError {
    let before = flash.get().bytes().to_vec();
    let error = OnFlash::<4096, 4>::new(flash.clone(), RustCrypto, &KEY).err().unwrap();
    assert!(flash.get().bytes() == before, "it was changed");
    error
}

#[test]
fn another_version_of_the_format_is_refused_and_left_as_it_is() {
    let mut bytes = used().get().bytes().to_vec();
    // The changed head of the first page, with a correct CRC.
    bytes[4] = 2;
    let crc = crc32(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(refused(&with_bytes(bytes)), FlashError::Version(2));
}

#[test]
fn another_word_size_is_refused_and_left_as_it_is() {
    let flash = SharedFlash::<4096, 8>::new(SimulatedFlash::with(used().get().bytes().to_vec()));
    let error = OnFlash::<4096, 8>::new(flash, RustCrypto, &KEY).err().unwrap();
    assert_eq!(error, FlashError::OtherGeometry);
}

#[test]
fn a_flash_that_holds_something_else_is_refused_until_it_is_formatted() {
    let mut flash = with_bytes(vec![0x3C; 6 * 4096]);
    assert_eq!(refused(&flash), FlashError::Foreign);
    OnFlash::<4096, 4>::format(&mut flash).unwrap();
    assert_eq!(mount(&flash).count(Query::All), Ok(0));
}

#[test]
fn a_flash_with_too_few_pages_is_refused() {
    assert_eq!(refused(&fresh(2)), FlashError::TooSmall);
    assert_eq!(refused(&fresh(0)), FlashError::TooSmall);
}

#[test]
fn more_credentials_than_the_index_has_room_for_are_refused() {
    let flash = fresh::<4096, 4>(8);
    let mut store = mount(&flash);
    for number in 0..3 {
        store.commit(&[Change::Put { rp_id_hash: &[number; 32], record: b"r" }]).unwrap();
    }
    let error = FlashStore::<_, _, 2, 2>::new(flash.clone(), RustCrypto, &KEY).err();
    assert_eq!(error, Some(FlashError::TooMany));
    assert_eq!(mount(&flash).count(Query::All), Ok(3));
}

#[test]
fn values_are_not_in_the_clear_and_open_only_with_the_key() {
    let flash = used();
    let bytes = flash.get().bytes().to_vec();
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(!has(&[0xA5; 8]) && !has(b"nobody") && !has(&[0x77; 8]));
    let mut other = OnFlash::<4096, 4>::new(flash, RustCrypto, &[0; 32]).unwrap();
    assert_eq!(other.get(Setting::Seed, &mut [0; 32]), Err(StoreError::Failed));
    assert_eq!(other.next(Query::All, None, &mut [0; 100]), Err(StoreError::Failed));
    let query = Query::RelyingParty { rp_id_hash: &[0x77; 32], protection: Level::USER_VERIFICATION_REQUIRED };
    assert_eq!(other.next(query, None, &mut [0; 100]), Ok(None));
}

#[test]
fn two_values_that_are_written_to_one_place_after_a_roll_back_have_two_nonces() {
    let before = used().get().bytes().to_vec();
    let after = |value: u8| {
        let flash = with_bytes(before.clone());
        mount(&flash).commit(&[Change::Set(Setting::Pin, &[value; 32])]).unwrap();
        flash.get().bytes().to_vec()
    };
    let (one, other) = (after(1), after(2));
    let piece = before.iter().zip(&one).position(|(before, after)| before != after).unwrap();
    assert_eq!(one[..piece + 16], other[..piece + 16], "the same place and the same head");
    assert_ne!(one[piece + 16..][..12], other[piece + 16..][..12], "the nonces");
}

#[test]
fn a_value_in_another_ones_place_does_not_open() {
    let flash = fresh::<4096, 4>(6);
    let mut store = mount(&flash);
    store.commit(&[Change::Set(Setting::PinRetries, &[1])]).unwrap();
    store.commit(&[Change::Set(Setting::UvRetries, &[8])]).unwrap();
    let mut bytes = flash.get().bytes().to_vec();
    // The piece of UvRetries gets the key of PinRetries and a correct CRC.
    let piece = 16 + 24 + 52;
    assert_eq!(bytes[piece + 8..][..4], 5u32.to_le_bytes());
    bytes[piece + 8] = 3;
    let crc = crc32(&bytes[piece..piece + 16 + 29]);
    bytes[piece + 16 + 29..][..4].copy_from_slice(&crc.to_le_bytes());
    let mut store = mount(&with_bytes(bytes));
    assert_eq!(store.get(Setting::PinRetries, &mut [0]), Err(StoreError::Failed));
}

/// CRC-32 bit by bit, as the standard defines it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn an_erasure_is_followed_by_the_erasure_of_the_pages_when_there_is_time() {
    let flash = used();
    let mut store = mount(&flash);
    store.commit(&[Change::Erase, Change::Set(Setting::Seed, &[1; 32])]).unwrap();
    for count in 0..100u32 {
        store.commit(&[Change::Set(Setting::SignCount, &count.to_be_bytes())]).unwrap();
    }
    let first = flash.get().bytes()[..4096].to_vec();
    while store.tidy().unwrap() {}
    assert_ne!(flash.get().bytes()[..4096], first);
    assert!(flash.get().bytes()[16..4096].iter().all(|byte| *byte == 0xFF), "the page in which it was");
}
