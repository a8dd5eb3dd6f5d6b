//! The cost of commands on flash, with few credentials and with many. This prints the table of `docs/store.md`.

use keyfob_core::{Status, crypto::RustCrypto, pin_uv::PinUvAuthProtocol::Two};
use keyfob_soft_authenticator::{
    engine::Config,
    store::{Change, FlashStore, Setting, Store, flash::SimulatedFlash},
};

use super::harness::*;

/// nRF52: pages of 4096 bytes, words of 4.
type Flash = SharedFlash<4096, 4>;

const SIGN_INS: u32 = 10_000;
/// Numbers of credentials, and of pages in which they fit.
const SIZES: [(u32, usize); 4] = [(25, 8), (100, 16), (200, 32), (420, 64)];

fn mount(flash: &Flash) -> FlashStore<Flash, RustCrypto, 510, 4> {
    FlashStore::new(flash.clone(), RustCrypto, &[0x5E; 32]).unwrap()
}

fn plug_in(flash: &Flash) -> Key {
    Key::try_with(Config::new([0xAA; 16]), BenchStore::on(Box::new(mount(flash)))).unwrap()
}

fn tidy(store: &mut dyn Store) {
    while store.tidy().unwrap() {}
}

/// The cost of an operation.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    writes: u64,
    erasures: u64,
    bytes_read: u64,
}

fn cost(flash: &Flash, operation: impl FnOnce()) -> Cost {
    let so_far = || {
        let flash = flash.get();
        let erasures = flash.erasures.iter().map(|count| u64::from(*count)).sum();
        (flash.operations, erasures, flash.bytes_read)
    };
    let before: (u64, u64, u64) = so_far();
    operation();
    let after = so_far();
    let erasures = after.1 - before.1;
    Cost { writes: after.0 - before.0 - erasures, erasures, bytes_read: after.2 - before.2 }
}

/// The mean of several runs. After each run the store is tidied, which is not counted.
fn mean(flash: &Flash, key: &mut Key, mut run: impl FnMut(&mut Key)) -> (f64, f64) {
    const RUNS: u32 = 20;
    let mut sum = Cost::default();
    for _ in 0..RUNS {
        let one = cost(flash, || run(key));
        assert_eq!(one.erasures, 0, "a key that tidies does not erase within a command");
        (sum.writes, sum.bytes_read) = (sum.writes + one.writes, sum.bytes_read + one.bytes_read);
        tidy(&mut **key.store.memory.borrow_mut());
    }
    (sum.writes as f64 / f64::from(RUNS), sum.bytes_read as f64 / f64::from(RUNS))
}

fn filled(credentials: u32, pages: usize) -> Flash {
    let flash = Flash::new(SimulatedFlash::new(pages));
    let mut key = plug_in(&flash);
    for number in 1..credentials {
        let rp_id_hash = rp_id_hash(&number.to_string());
        // A record with the length of one for an ES256 key with names.
        let put = Change::Put { rp_id_hash: &rp_id_hash, record: &[number as u8; 367] };
        key.store.memory.borrow_mut().commit(&[put]).unwrap();
    }
    key.make(&resident(b"u")).unwrap();
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    flash
}

/// The erasures in this many sign-ins with counts reserved in blocks of `block`. The store is tidied in between, and the
/// power is cycled at every `cycle`th sign-in.
fn erasures(flash: &Flash, sign_ins: u32, block: u32, cycle: Option<u32>) -> u64 {
    let flash = flash.copy();
    let mut store = mount(&flash);
    let count = |store: &mut FlashStore<Flash, RustCrypto, 510, 4>, count: u32| {
        store.commit(&[Change::Set(Setting::SignCount, &count.to_be_bytes())]).unwrap();
        tidy(store);
    };
    (0..500).for_each(|number| count(&mut store, number));
    let mut reserved = 0;
    let all = cost(&flash, || {
        for number in 0..sign_ins {
            if cycle.is_some_and(|cycle| number % cycle == 0) {
                store = mount(&flash);
                reserved = number;
            }
            if number == reserved {
                reserved += block;
                count(&mut store, reserved);
            }
        }
    });
    all.erasures
}

#[test]
fn a_sign_in_costs_the_same_with_few_credentials_and_with_many() {
    println!(
        "| credentials | flash | sign-in | registration | overwriting | wrong PIN | power-up | erasures in 10,000 sign-ins | by page | in blocks of 1 | by page |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let mut sign_ins = Vec::new();
    for (credentials, pages) in SIZES {
        let flash = filled(credentials, pages);
        tidy(&mut mount(&flash));
        let power_up = cost(&flash, || drop(mount(&flash))).bytes_read;
        let mut key = plug_in(&flash);
        let asserted = mean(&flash, &mut key, |key| drop(key.get(&assertion()).unwrap()));
        let token = |key: &mut Key| key.token(Two, PIN, MC, None).unwrap();
        let overwriting = {
            let mut writes = 0.0;
            for _ in 0..5 {
                let token = token(&mut key);
                let one = cost(&flash, || drop(key.make_with(Two, &token, resident(b"u")).unwrap()));
                writes += one.writes as f64 / 5.0;
                tidy(&mut **key.store.memory.borrow_mut());
            }
            writes
        };
        let registration = {
            let token = token(&mut key);
            cost(&flash, || drop(key.make_with(Two, &token, resident(b"v")).unwrap())).writes
        };
        let wrong = cost(&flash, || assert!(key.token(Two, "9999", MC, None).is_err())).writes;
        drop(key);
        // Ten times as many, because a lap of the log erases several pages in a row.
        let worn = erasures(&flash, 10 * SIGN_INS, 100, None) as f64 / 10.0;
        let worn_by_ones = erasures(&flash, SIGN_INS, 1, None);
        assert!(worn * 50.0 <= worn_by_ones as f64, "{worn} and {worn_by_ones}: blocks save the flash");
        println!(
            "| {credentials} | {} KiB | {:.1} writes, {:.0} bytes read | {registration} writes | {overwriting:.1} writes | {wrong} writes | {power_up} bytes read | {worn:.1} | {:.2} | {worn_by_ones} | {:.1} |",
            pages * 4,
            asserted.0,
            asserted.1,
            worn / pages as f64,
            worn_by_ones as f64 / pages as f64,
        );
        sign_ins.push(asserted);
    }
    let (few, many) = (sign_ins[0], sign_ins[SIZES.len() - 1]);
    assert!(many.0 <= few.0 + 1.0 && many.1 <= few.1 * 1.1, "{few:?} {many:?}");
}

#[test]
fn a_key_that_is_plugged_in_for_each_sign_in_wears_little_more() {
    let flash = filled(25, 8);
    let (plugged, replugged) = (erasures(&flash, SIGN_INS, 1, None), erasures(&flash, SIGN_INS, 100, Some(1)));
    println!("25 credentials, 32 KiB: {plugged} erasures in 10,000 commits, {replugged} with as many power-ups");
    assert!(replugged <= plugged * 4);
}

#[test]
fn a_credential_of_usual_size_fits_as_long_as_some_remain() {
    for pages in [8, 16, 32] {
        let flash = Flash::new(SimulatedFlash::new(pages));
        let mut store = mount(&flash);
        let mut number = 0u32;
        while store.remaining().unwrap() > 0 {
            let rp_id_hash = rp_id_hash(&number.to_string());
            let put = Change::Put { rp_id_hash: &rp_id_hash, record: &[number as u8; 367] };
            assert_eq!(store.commit(&[put]), Ok(()), "credential {number} in {pages} pages");
            number += 1;
            if number.is_multiple_of(3) {
                tidy(&mut store);
            }
        }
        assert!(number > 0, "{pages} pages");
    }
}
