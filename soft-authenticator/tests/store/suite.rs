//! The tests that every store must pass on any medium. `suite!(name, medium)` makes a test of each function here.

use keyfob_soft_authenticator::store::{Blobs, Change, MAX_RECORD, Query, Setting, Store, StoreError};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::model::{Model, Op, ops, record};

/// The medium of a store. It survives the store.
pub trait Medium {
    type Store<'m>: Store
    where
        Self: 'm;

    /// Whether a test may fill it.
    const BOUNDED: bool;

    /// Opens the store on the medium, as after a power cut.
    fn open(&mut self) -> Self::Store<'_>;
}

/// Makes a test of every function. `$medium` makes a new medium.
#[macro_export]
macro_rules! suite {
    ($name:ident, $medium:expr) => {
        mod $name {
            $crate::suite!(@tests $medium;
                a_setting_is_what_was_set_last
                a_value_that_does_not_fit_is_too_long
                credentials_are_found_newest_first
                all_credentials_are_walked_newest_first
                a_number_is_never_used_twice_between_two_erasures
                a_replaced_credential_keeps_its_number
                a_credential_that_is_replaced_and_deleted_leaves_the_one_before_it
                a_commit_that_cannot_be_made_changes_nothing
                an_erasure_forgets_everything
                a_large_blob_array_is_in_force_when_it_is_committed
                what_was_staged_and_not_committed_is_not_in_force
                a_full_store_still_overwrites_counts_and_resets
                a_store_does_what_the_model_does
            );
        }
    };
    (@tests $medium:expr; $($test:ident)*) => {
        $(#[test]
        fn $test() {
            $crate::suite::$test(|| $medium);
        })*
    };
}

const A: [u8; 32] = [0xA; 32];
const B: [u8; 32] = [0xB; 32];

fn put<'a>(rp_id_hash: &'a [u8; 32], record: &'a [u8]) -> Change<'a> {
    Change::Put { rp_id_hash, record }
}

pub fn setting(store: &mut impl Store, setting: Setting) -> Option<Vec<u8>> {
    let mut out = [0; Setting::MAX_LEN];
    let len = store.get(setting, &mut out).unwrap();
    len.map(|len| out[..len].to_vec())
}

/// Numbers and records of a relying party, including unreadable ones, newest first.
pub fn found(store: &mut impl Store, rp_id_hash: &[u8; 32]) -> Vec<(u32, Vec<u8>)> {
    let of_rp = walked(store).into_iter().filter(|(of, ..)| of == rp_id_hash);
    of_rp.map(|(_, number, record)| (number, record)).collect()
}

type Walked = ([u8; 32], u32, Vec<u8>);

/// Relying parties, numbers and records, newest first.
pub fn walked(store: &mut impl Store) -> Vec<Walked> {
    asked(store, Query::All)
}

/// Relying parties, numbers and records for a query.
pub fn asked(store: &mut impl Store, query: Query<'_>) -> Vec<Walked> {
    let (mut all, mut before, mut out) = (Vec::new(), None, [0; MAX_RECORD]);
    while let Some(found) = store.next(query, before, &mut out).unwrap() {
        all.push((found.rp_id_hash, found.number, out[..found.len].to_vec()));
        before = Some(found.number);
    }
    assert_eq!(store.count(query), Ok(all.len() as u32), "{query:?}");
    all
}

pub fn large_blobs(store: &mut impl Store) -> Vec<u8> {
    let mut array = vec![0; store.large_blobs_len().unwrap()];
    store.read_large_blobs(Blobs::Committed, 0, &mut array).unwrap();
    array
}

pub fn a_setting_is_what_was_set_last<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    let mut store = medium.open();
    assert_eq!(setting(&mut store, Setting::Pin), None);
    let long = [7; Setting::MAX_LEN];
    store.commit(&[Change::Set(Setting::Pin, &[1, 2]), Change::Set(Setting::Fingerprints, &long)]).unwrap();
    store.commit(&[Change::Set(Setting::Pin, &[3]), Change::Set(Setting::Options, &[])]).unwrap();
    drop(store);
    let mut store = medium.open();
    assert_eq!(setting(&mut store, Setting::Pin), Some(vec![3]));
    assert_eq!(setting(&mut store, Setting::Options), Some(vec![]));
    assert_eq!(setting(&mut store, Setting::Fingerprints), Some(long.to_vec()));
    assert_eq!(setting(&mut store, Setting::Seed), None);
}

pub fn a_value_that_does_not_fit_is_too_long<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    let mut store = medium.open();
    let (value, record) = ([0; Setting::MAX_LEN + 1], [0; MAX_RECORD + 1]);
    assert_eq!(store.commit(&[Change::Set(Setting::Pin, &value)]), Err(StoreError::TooLong));
    assert_eq!(store.commit(&[put(&A, &record)]), Err(StoreError::TooLong));
    store.commit(&[Change::Set(Setting::Pin, &[1; 16]), put(&A, &[2; 40])]).unwrap();
    let replace = Change::Replace { number: 1, rp_id_hash: &A, record: &record };
    assert_eq!(store.commit(&[replace]), Err(StoreError::TooLong));
    assert_eq!(store.get(Setting::Pin, &mut [0; 15]), Err(StoreError::TooLong));
    assert_eq!(store.next(Query::All, None, &mut [0; 39]), Err(StoreError::TooLong));
    assert_eq!(store.get(Setting::Pin, &mut [0; 16]), Ok(Some(16)));
    assert_eq!(store.next(Query::All, None, &mut [0; 40]).unwrap().unwrap().len, 40);
}

pub fn credentials_are_found_newest_first<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    medium.open().commit(&[put(&A, b"1"), put(&B, b"2")]).unwrap();
    medium.open().commit(&[put(&A, &[3; MAX_RECORD])]).unwrap();
    let mut store = medium.open();
    assert_eq!(found(&mut store, &A), [(3, vec![3; MAX_RECORD]), (1, b"1".to_vec())]);
    assert_eq!(found(&mut store, &B), [(2, b"2".to_vec())]);
    assert_eq!(found(&mut store, &[0xC; 32]), []);
    assert_eq!(store.count(Query::All), Ok(3));
    store.commit(&[Change::Delete(3), Change::Delete(3), Change::Delete(99)]).unwrap();
    assert_eq!(found(&mut store, &A), [(1, b"1".to_vec())]);
    assert_eq!(store.count(Query::All), Ok(2));
}

pub fn all_credentials_are_walked_newest_first<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    let mut store = medium.open();
    assert_eq!(walked(&mut store), []);
    store.commit(&[put(&B, b"1"), put(&A, b""), put(&B, b"3")]).unwrap();
    let expected = [(B, 3, b"3".to_vec()), (A, 2, vec![]), (B, 1, b"1".to_vec())];
    assert_eq!(walked(&mut store), expected);
    drop(store);
    assert_eq!(walked(&mut medium.open()), expected);
}

pub fn a_number_is_never_used_twice_between_two_erasures<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    for round in 1..200 {
        let mut store = medium.open();
        store.commit(&[put(&A, &[round; 100])]).unwrap();
        assert_eq!(found(&mut store, &A)[0].0, u32::from(round));
        store.commit(&[Change::Delete(round.into())]).unwrap();
        while store.tidy().unwrap() {}
    }
    let mut store = medium.open();
    store.commit(&[Change::Erase, put(&A, b"new")]).unwrap();
    assert_eq!(found(&mut store, &A), [(1, b"new".to_vec())]);
}

pub fn a_replaced_credential_keeps_its_number<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    medium.open().commit(&[put(&A, b"1"), put(&A, b"2")]).unwrap();
    medium.open().commit(&[Change::Replace { number: 1, rp_id_hash: &A, record: b"one" }]).unwrap();
    let mut store = medium.open();
    assert_eq!(found(&mut store, &A), [(2, b"2".to_vec()), (1, b"one".to_vec())]);
    assert_eq!(store.count(Query::All), Ok(2));
}

pub fn a_credential_that_is_replaced_and_deleted_leaves_the_one_before_it<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    let mut store = medium.open();
    let (one, other) = (record(0, 200), record(1, 210));
    store.commit(&[put(&A, &one), put(&A, &other)]).unwrap();
    let replace = Change::Replace { number: 2, rp_id_hash: &A, record: &other };
    store.commit(&[replace, Change::Delete(2)]).unwrap();
    assert_eq!(asked(&mut store, Query::RelyingParties), [(A, 1, one)]);
}

pub fn a_commit_that_cannot_be_made_changes_nothing<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    let mut store = medium.open();
    store.commit(&[Change::Set(Setting::Pin, &[1]), put(&A, b"1")]).unwrap();
    let begin = [Change::Set(Setting::Pin, &[2]), Change::Delete(1), put(&B, b"2")];
    let missing = Change::Replace { number: 7, rp_id_hash: &A, record: b"7" };
    let too_long = [0; Setting::MAX_LEN + 1];
    for (last, error) in [
        (missing, StoreError::Failed),
        (Change::LargeBlobs(1), StoreError::Failed),
        (Change::Set(Setting::Seed, &too_long), StoreError::TooLong),
    ] {
        let changes = [begin[0], begin[1], begin[2], last];
        assert_eq!(store.commit(&changes), Err(error));
        assert_eq!(setting(&mut store, Setting::Pin), Some(vec![1]));
        assert_eq!(walked(&mut store), [(A, 1, b"1".to_vec())]);
    }
    drop(store);
    let mut store = medium.open();
    assert_eq!(setting(&mut store, Setting::Pin), Some(vec![1]));
    assert_eq!(walked(&mut store), [(A, 1, b"1".to_vec())]);
}

pub fn an_erasure_forgets_everything<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    let mut store = medium.open();
    let blobs = store.large_blobs_capacity() > 0;
    if blobs {
        store.stage(0, b"blobs").unwrap();
        store.commit(&[Change::LargeBlobs(5)]).unwrap();
    }
    store.commit(&[Change::Set(Setting::Pin, &[1]), put(&A, b"1"), put(&B, b"2")]).unwrap();
    store.commit(&[Change::Erase, Change::Set(Setting::Seed, &[9]), put(&B, b"new")]).unwrap();
    drop(store);
    let mut store = medium.open();
    while store.tidy().unwrap() {}
    assert_eq!(setting(&mut store, Setting::Pin), None);
    assert_eq!(setting(&mut store, Setting::Seed), Some(vec![9]));
    assert_eq!(walked(&mut store), [(B, 1, b"new".to_vec())]);
    assert_eq!(store.large_blobs_len(), Ok(0));
}

pub fn a_large_blob_array_is_in_force_when_it_is_committed<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    let mut store = medium.open();
    let capacity = store.large_blobs_capacity();
    let array: Vec<u8> = (0..capacity).map(|index| (index / 3) as u8).collect();
    let mut at = 0;
    for len in (1..).map(|piece| piece * 7) {
        let piece = &array[at..capacity.min(at + len)];
        store.stage(at, piece).unwrap();
        at += piece.len();
        if at == capacity {
            break;
        }
        assert_eq!(store.large_blobs_len(), Ok(0));
    }
    let mut staged = vec![0; capacity];
    store.read_large_blobs(Blobs::Staged, 0, &mut staged).unwrap();
    assert_eq!(staged, array);
    assert_eq!(store.stage(capacity, &[0]), Err(StoreError::Full));
    store.stage(0, &array).unwrap();
    // More than is staged, then less.
    assert_eq!(store.commit(&[Change::LargeBlobs(capacity + 1)]), Err(StoreError::Failed));
    store.commit(&[Change::LargeBlobs(capacity - 1)]).unwrap();
    drop(store);
    let mut store = medium.open();
    assert_eq!(large_blobs(&mut store), array[..capacity - 1]);
    let mut middle = [0; 10];
    store.read_large_blobs(Blobs::Committed, capacity / 2, &mut middle).unwrap();
    assert_eq!(middle, array[capacity / 2..][..10]);
    assert_eq!(store.read_large_blobs(Blobs::Committed, capacity - 1, &mut [0]), Err(StoreError::Failed));
    assert_eq!(store.read_large_blobs(Blobs::Committed, usize::MAX, &mut [0; 2]), Err(StoreError::Failed));
}

pub fn what_was_staged_and_not_committed_is_not_in_force<M: Medium>(make: impl Fn() -> M) {
    let mut medium = make();
    let mut store = medium.open();
    store.stage(0, b"old array").unwrap();
    assert_eq!(store.stage(10, b"gap"), Err(StoreError::Failed));
    store.commit(&[Change::LargeBlobs(9)]).unwrap();
    assert_eq!(store.commit(&[Change::LargeBlobs(1)]), Err(StoreError::Failed));
    store.stage(0, b"a new array").unwrap();
    store.stage(2, b"newer").unwrap();
    assert_eq!(store.commit(&[Change::LargeBlobs(8)]), Err(StoreError::Failed));
    assert_eq!(large_blobs(&mut store), b"old array");
    drop(store);
    let mut store = medium.open();
    assert_eq!(large_blobs(&mut store), b"old array");
    store.stage(0, b"a").unwrap();
    store.stage(1, b"b").unwrap();
    store.commit(&[Change::LargeBlobs(2)]).unwrap();
    assert_eq!(large_blobs(&mut store), b"ab");
}

pub fn a_full_store_still_overwrites_counts_and_resets<M: Medium>(make: impl Fn() -> M) {
    if !M::BOUNDED {
        return;
    }
    let mut medium = make();
    let mut store = medium.open();
    store.commit(&[Change::Set(Setting::Seed, &[5; 32]), Change::Set(Setting::PinRetries, &[8])]).unwrap();
    let mut records = Vec::new();
    let mut remaining = store.remaining().unwrap();
    loop {
        let record = vec![records.len() as u8; 200 + records.len() % 150];
        match store.commit(&[put(&A, &record)]) {
            Ok(()) => records.push(record),
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                break;
            }
        }
        assert!(store.remaining().unwrap() <= remaining);
        remaining = store.remaining().unwrap();
        while records.len() % 3 == 0 && store.tidy().unwrap() {}
    }
    assert_eq!(remaining, 0);
    assert_eq!(store.count(Query::All), Ok(records.len() as u32));
    let last = records.len() as u32;
    for round in 0..2000u32 {
        if round % 100 == 0 {
            drop(store);
            store = medium.open();
        }
        store.commit(&[Change::Set(Setting::PinRetries, &[round as u8])]).unwrap();
        store.commit(&[Change::Set(Setting::SignCount, &round.to_be_bytes())]).unwrap();
        if round % 10 == 0 {
            let number = round % last + 1;
            let record = &mut records[number as usize - 1];
            record[0] = round as u8;
            store.commit(&[Change::Replace { number, rp_id_hash: &A, record }]).unwrap();
        }
        assert_eq!(store.commit(&[put(&B, &[0; MAX_RECORD])]), Err(StoreError::Full));
    }
    // The commit of makeCredential for a known user.
    let newest = records.last().unwrap().clone();
    let over = [Change::Delete(last), put(&A, &newest), Change::Set(Setting::StoreState, &[1; 16])];
    store.commit(&over).unwrap();
    let expected = records.iter().enumerate().map(|(index, record)| (index as u32 + 1, record.clone()));
    let expected = expected.take(records.len() - 1).chain([(last + 1, newest)]).rev();
    assert_eq!(found(&mut store, &A), expected.collect::<Vec<_>>());
    assert_eq!(setting(&mut store, Setting::PinRetries), Some(vec![1999u32 as u8]));
    assert_eq!(setting(&mut store, Setting::Seed), Some(vec![5; 32]));
    store.commit(&[Change::Erase, Change::Set(Setting::Seed, &[6; 32])]).unwrap();
    drop(store);
    let mut store = medium.open();
    assert_eq!(store.count(Query::All), Ok(0));
    assert_eq!(setting(&mut store, Setting::Seed), Some(vec![6; 32]));
    records.iter().try_for_each(|record| store.commit(&[put(&A, record)])).unwrap();
}

pub fn a_store_does_what_the_model_does<M: Medium>(make: impl Fn() -> M) {
    // One suite runs on several stores: a seed would not say which. The input that fails is printed.
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let run = |rounds: Vec<Vec<Op>>| {
        let mut medium = make();
        let mut model = Model::default();
        for round in rounds {
            let mut store = medium.open();
            model.power_cut();
            model.check(&mut store)?;
            for op in round {
                model.step(&mut store, &op)?;
            }
            model.check(&mut store)?;
        }
        Ok(())
    };
    runner.run(&vec(ops(), 1..6), run).unwrap();
}

/// Asserts in a test case that two values are equal.
#[macro_export]
macro_rules! same {
    ($left:expr, $right:expr) => {{
        let (left, right) = ($left, $right);
        proptest::prop_assert!(left == right, "{} is {:?}, expected {:?}", stringify!($left), left, right);
    }};
}

/// A record's bytes.
pub fn bytes(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|index| seed.wrapping_mul(31).wrapping_add(index as u8)).collect()
}

/// The result of a test case.
pub type Case = Result<(), TestCaseError>;
