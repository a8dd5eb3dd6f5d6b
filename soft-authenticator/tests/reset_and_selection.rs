//! authenticatorReset (CTAP 2.3 §6.6) and authenticatorSelection (§6.9).

use std::time::Duration;

use keyfob_core::{
    Status,
    cbor::{List, Text},
    ctap2::{Command, get_assertion::Request},
    pin_uv::PinUvAuthProtocol::Two,
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, Event, Progress, Wait},
    store::Setting,
};

use super::harness::*;

/// 6.6: sign-in after a reset, with and without an allow list → NO_CREDENTIALS
/// 6.6: a token from before the reset → PIN_AUTH_INVALID
#[test]
fn a_reset_forgets_everything() {
    let mut key = Key::new();
    key.make(&resident(b"stored")).unwrap();
    let wrapped = key.make(&registration(b"wrapped")).unwrap();
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, MC, None).unwrap();
    let seed = key.store.setting(Setting::Seed);
    key.token(Two, "wrong", MC, None).unwrap_err();
    assert_eq!(key.command(Command::RESET), [0]);
    assert_eq!(key.get(&assertion()).unwrap_err(), Status::NO_CREDENTIALS);
    let list = [wrapped.descriptor()];
    let allow_list = Some(List::Slice(&list[..]));
    assert_eq!(key.get(&Request { allow_list, ..assertion() }).unwrap_err(), Status::NO_CREDENTIALS);
    assert_eq!(key.retries(), (8, false));
    assert_eq!(key.store.setting(Setting::Pin), None);
    assert_ne!(key.store.setting(Setting::Seed), seed);
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    assert_eq!(key.make_with(Two, &token, resident(b"u")).unwrap_err(), Status::PIN_AUTH_INVALID);
    assert_eq!(key.power_cut().retries(), (8, false));
}

#[test]
fn a_reset_lifts_the_latch_of_three_wrong_pins() {
    let mut key = Key::new();
    key.set_pin(Two, PIN);
    for _ in 0..3 {
        key.token(Two, "wrong", MC, None).unwrap_err();
    }
    key.command(Command::RESET);
    assert_eq!((key.retries(), key.set_pin(Two, PIN)), ((8, false), Status::OK));
}

/// 6.6: later than 10 seconds after power-up → NOT_ALLOWED
#[test]
fn a_reset_is_accepted_in_the_first_10_seconds_after_power_up() {
    let mut key = Key::new();
    key.wait(Duration::from_millis(9_999));
    assert_eq!(key.command(Command::RESET), [0]);
    key.wait(Duration::from_millis(1));
    assert_eq!(key.status(&[0x07]), Status::NOT_ALLOWED, "a reset does not open the window again");
    key.power_cycle();
    assert_eq!(key.command(Command::RESET), [0]);
}

/// 6.6: within 10 seconds after power-up, after other commands → OK
#[test]
fn other_commands_before_a_reset_do_not_close_the_window() {
    let mut key = Key::new();
    key.command(Command::GET_INFO);
    key.command(Command::SELECTION);
    assert_eq!(key.command(Command::RESET), [0]);
}

#[test]
fn a_reset_brings_options_and_identifiers_back_to_where_they_were() {
    let mut key = Key::with(MANAGED);
    let ids = |key: &Key| {
        [Setting::Identifier, Setting::StoreState, Setting::PersistentToken].map(|id| key.store.setting(id).unwrap())
    };
    let (options, before) = (key.options(), ids(&key));
    for sub_command in [1, 2, 2, 4] {
        assert_eq!(key.configure(None, sub_command, None), Status::OK);
    }
    assert_eq!(key.configure(None, 3, Some(&[0xA3, 1, 8, 2, 0x81, 0x61, b'a', 4, 0xF5])), Status::OK);
    key.write_fragment(None, 0, &blob_array(99), Some(99));
    assert_ne!(key.options(), options);
    assert_eq!(key.command(Command::RESET), [0]);
    assert_eq!(key.options(), options);
    assert_eq!((key.store.setting(Setting::Options), key.store.setting(Setting::MinPinRpIds)), (None, None));
    assert!(before.iter().zip(&ids(&key)).all(|(before, after)| before != after));
    assert_eq!(key.read_blobs(0, 99).unwrap().len(), 17);
    key.info(|info| {
        assert_eq!((info.min_pin_length, info.long_touch_for_reset), (Some(4), Some(false)));
        assert_eq!(info.pin_complexity_policy, Some(false));
    });
}

#[test]
fn a_reset_takes_a_long_touch_once_that_is_enabled() {
    let mut key = Key::new();
    let made = key.make(&resident(b"u")).unwrap();
    assert_eq!(key.configure(None, 4, None), Status::OK);
    assert_eq!(key.info(|info| info.long_touch_for_reset), Some(true));
    assert_eq!(key.begin(&[0x07]), Progress::Pending(Wait::LongTouch));
    for event in [Event::Touched, Event::Tick] {
        assert_eq!(key.resume(event), Progress::Pending(Wait::LongTouch), "a short touch does not count");
    }
    for (action, expected) in
        [(UserAction::Declines, Status::OPERATION_DENIED), (UserAction::Sleeps, Status::USER_ACTION_TIMEOUT)]
    {
        let mut key = Key::try_with(Config::new([0xAA; 16]), key.store.clone()).unwrap();
        key.user = action;
        assert_eq!(key.command(Command::RESET), [expected.0]);
    }
    assert!(key.get(&assertion()).unwrap().is_by(&made));
    assert_eq!(key.call_cancelled(&[0x07], 1), [Status::KEEPALIVE_CANCEL.0]);
    assert_eq!(key.begin(&[0x07]), Progress::Pending(Wait::LongTouch));
    assert_eq!(key.resume(Event::LongTouched), Progress::Reply(1));
    assert_eq!(key.get(&assertion()).unwrap_err(), Status::NO_CREDENTIALS);
    assert_eq!(key.begin(&[0x07]), Progress::Pending(Wait::Touch), "the default again");
}

#[test]
fn a_long_touch_counts_as_a_touch() {
    let mut key = Key::new();
    assert_eq!(key.begin(&[0x0B]), Progress::Pending(Wait::Touch));
    assert_eq!(key.resume(Event::LongTouched), Progress::Reply(1));
    assert_eq!(key.engine.buffer()[0], 0);
}

/// 6.6: over a transport that is not in transportsForReset → OPERATION_DENIED
#[test]
fn a_reset_is_accepted_over_the_transports_that_are_named() {
    const BOTH: [Text<'static>; 2] = [Text::new("usb"), Text::new("nfc")];
    const NFC: [Text<'static>; 1] = [Text::new("nfc")];
    let config = Config { transports: &BOTH, transports_for_reset: Some(&NFC), ..Config::new([0xAA; 16]) };
    let mut key = Key::with(config);
    assert!(key.info(|info| info.transports_for_reset.unwrap().iter().eq(["nfc"])));
    let made = key.make(&resident(b"u")).unwrap();
    assert_eq!(key.command(Command::RESET), [Status::OPERATION_DENIED.0], "over the first, if none is named");
    assert!(key.get(&assertion()).unwrap().is_by(&made));
    for (transport, expected) in
        [("usb", Status::OPERATION_DENIED), ("hybrid", Status::OPERATION_DENIED), ("nfc", Status::OK)]
    {
        key.engine.set_transport(Text::new(transport));
        assert_eq!(key.command(Command::RESET), [expected.0], "{transport}");
    }
}

#[test]
fn another_transport_ends_sequences_and_the_same_does_not() {
    let mut key = Key::new();
    key.make(&resident(b"a")).unwrap();
    key.make(&resident(b"b")).unwrap();
    for (transport, expected) in [("usb", Ok(())), ("nfc", Err(Status::NOT_ALLOWED))] {
        key.get(&assertion()).unwrap();
        key.engine.set_transport(Text::new(transport));
        assert_eq!(key.get_next().map(drop), expected);
    }
}

/// 6.6: declined → OPERATION_DENIED
/// 6.6: not touched in time → USER_ACTION_TIMEOUT
#[test]
fn a_reset_that_is_not_touched_changes_nothing() {
    for (action, expected) in
        [(UserAction::Declines, Status::OPERATION_DENIED), (UserAction::Sleeps, Status::USER_ACTION_TIMEOUT)]
    {
        let mut key = Key::new();
        let made = key.make(&resident(b"u")).unwrap();
        let commits = key.store.applied();
        key.user = action;
        assert_eq!(key.status(&[0x07]), expected);
        assert_eq!(key.store.applied(), commits);
        key.user = UserAction::Touches;
        assert!(key.get(&assertion()).unwrap().is_by(&made));
    }
}

#[test]
fn a_reset_stands_even_if_the_store_cannot_be_read_afterwards() {
    let mut key = Key::new();
    let wrapped = key.make(&registration(b"wrapped")).unwrap();
    key.set_pin(Two, PIN);
    key.store.fault.set(Fault::Reads);
    assert_eq!(key.command(Command::RESET), [0]);
    key.store.fault.set(Fault::None);
    let list = [wrapped.descriptor()];
    let allow_list = Some(List::Slice(&list[..]));
    assert_eq!(key.get(&Request { allow_list, ..assertion() }).unwrap_err(), Status::NO_CREDENTIALS);
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
}

#[test]
fn a_reset_that_failed_leaves_in_memory_what_the_store_says_and_no_token() {
    for fault in [Fault::Before, Fault::After] {
        let was_made = fault(0) == Fault::After(0);
        let mut key = Key::with_pin();
        let wrapped = key.make(&registration(b"wrapped")).unwrap();
        let token = key.token(Two, PIN, MC, None).unwrap();
        key.token(Two, "wrong", MC, None).unwrap_err();
        key.store.fail_at(1, fault);
        assert_eq!(key.command(Command::RESET), [Status::OTHER.0]);
        let list = [wrapped.descriptor()];
        let allow_list = Some(List::Slice(&list[..]));
        let got = key.get(&Request { allow_list, ..assertion() });
        assert_eq!(got.map(|got| got.is_by(&wrapped)), if was_made { Err(Status::NO_CREDENTIALS) } else { Ok(true) });
        assert_eq!(key.retries().0, if was_made { 8 } else { 7 });
        let expected = if was_made { Status::OK } else { Status::PIN_AUTH_INVALID };
        assert_eq!(key.set_pin(Two, PIN), expected);
        assert_eq!(key.make_with(Two, &token, resident(b"u")).unwrap_err(), Status::PIN_AUTH_INVALID);
    }
}

/// 6.9: touched → OK
/// 6.9: declined → OPERATION_DENIED
/// 6.9: not touched in time → USER_ACTION_TIMEOUT
/// 6.9: cancelled → KEEPALIVE_CANCEL
/// 6.9: not supported → INVALID_COMMAND
#[test]
fn selection_answers_with_what_the_user_did() {
    let mut key = Key::new();
    for (action, expected) in [
        (UserAction::Touches, Status::OK),
        (UserAction::Declines, Status::OPERATION_DENIED),
        (UserAction::Sleeps, Status::USER_ACTION_TIMEOUT),
    ] {
        key.user = action;
        assert_eq!(key.command(Command::SELECTION), [expected.0]);
    }
    assert_eq!(key.call_cancelled(&[0x0B], 1), [Status::KEEPALIVE_CANCEL.0]);
    let config = Config::new([0; 16]);
    let mut key = Key::with(Config { caps: config.caps.without(Caps::SELECTION), ..config });
    assert_eq!(key.status(&[0x0B]), Status::INVALID_COMMAND);
}
