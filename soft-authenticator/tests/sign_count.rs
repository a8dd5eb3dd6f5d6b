//! The signature counter: each signature is counted, blocks of counts are committed.

use keyfob_core::{
    Status,
    ctap2::{CommandOptions, get_assertion},
};
use keyfob_soft_authenticator::{
    engine::{Config, ConfigError},
    store::Setting,
};

use super::harness::*;

const fn blocks_of(sign_count_block: u8) -> Config<'static> {
    Config { sign_count_block, ..Config::new([0xAA; 16]) }
}

fn registered(config: Config<'static>) -> Key {
    let mut key = Key::with(config);
    key.make(&resident(b"u")).unwrap();
    key
}

/// The counter of a sign-in without a touch.
fn silent(key: &mut Key) -> u32 {
    let options = CommandOptions { up: Some(false), ..Default::default() };
    key.get(&get_assertion::Request { options: Some(options), ..assertion() }).unwrap().auth_data().sign_count
}

fn stored(key: &Key) -> Option<u32> {
    key.store.setting(Setting::SignCount).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
}

#[test]
fn each_silent_assertion_is_counted_and_one_in_a_hundred_is_committed() {
    let mut key = registered(blocks_of(100));
    let commits = key.store.applied();
    for count in 1..=301 {
        assert_eq!(silent(&mut key), count);
        assert_eq!(key.store.applied() - commits, count.div_ceil(100));
        assert!(stored(&key) >= Some(count), "every used count is reserved");
    }
}

#[test]
fn a_block_of_one_commits_each_count() {
    let mut key = registered(blocks_of(1));
    for count in 1..5 {
        let commits = key.store.applied();
        assert_eq!((silent(&mut key), stored(&key), key.store.applied() - commits), (count, Some(count), 1));
    }
    assert_eq!(silent(&mut key.power_cut()), 5, "no count is skipped");
}

#[test]
fn after_a_power_cut_the_counter_goes_on_behind_what_was_reserved() {
    for block in [1, 2, 7, 100] {
        let mut key = registered(blocks_of(block));
        let mut last = 0;
        for life in 0..12 {
            for _ in 0..life {
                let count = silent(&mut key);
                assert!(count > last && count - last <= u32::from(block), "{last} and then {count}");
                last = count;
            }
            let made = key.make(&registration(b"w")).unwrap();
            assert!(made.auth_data().sign_count >= last);
            key = key.power_cut();
            let told = key.make(&registration(b"w")).unwrap().auth_data().sign_count;
            assert!(told >= last && told <= last + u32::from(block), "a registration also returns the counter");
        }
    }
}

#[test]
fn a_block_that_is_not_committed_is_not_used_and_no_count_comes_twice() {
    for fault in [Fault::Before, Fault::After, Fault::Full] {
        let mut key = registered(blocks_of(3));
        let mut last = 0;
        for round in 0..20 {
            if round % 4 == 3 {
                key.store.fail_at(1, fault);
                let failed = key.get(&assertion());
                if let Ok(got) = failed {
                    assert!(got.auth_data().sign_count > last);
                    last = got.auth_data().sign_count;
                }
                key.store.fault.set(Fault::None);
            }
            if round % 7 == 6 {
                key = key.power_cut();
            }
            let count = silent(&mut key);
            assert!(count > last && stored(&key) >= Some(count), "{last} and then {count}");
            last = count;
        }
    }
}

#[test]
fn a_reset_begins_the_counter_anew() {
    let mut key = registered(blocks_of(100));
    silent(&mut key);
    assert_eq!(key.status(&[0x07]), Status::OK);
    assert_eq!(key.make(&resident(b"u")).unwrap().auth_data().sign_count, 0);
    assert_eq!(silent(&mut key), 1);
}

#[test]
fn blocks_have_one_to_a_hundred_counts() {
    for block in [0, 101, 255] {
        let error = Key::try_with(blocks_of(block), BenchStore::default()).err();
        assert_eq!(error, Some(ConfigError::SignCountBlock));
    }
}
