//! Power cuts leave the old state or the new one, and give no additional PIN attempt.

use keyfob_core::{
    Status,
    cbor::List,
    ctap2::{
        Command, CredentialDescriptor, UserEntity,
        credential_management::{Params, subcommand},
        get_assertion::Request,
        make_credential,
    },
    pin_uv::{Permissions, PinUvAuthProtocol::Two},
};
use keyfob_soft_authenticator::{
    engine::{Config, Event, Progress},
    store::{Change, MemoryStore, Setting, Store, StoreError},
};

use super::harness::*;

const WRONG: &str = "4321";

fn retries(key: &Key) -> u8 {
    key.store.setting(Setting::PinRetries).unwrap()[0]
}

#[test]
fn credentials_pin_and_counter_outlive_a_power_cut_and_tokens_do_not() {
    let mut key = Key::with_pin();
    let wrapped = key.make(&registration(b"wrapped")).unwrap();
    let token = key.token(Two, PIN, MC, None).unwrap();
    let stored = key.make_with(Two, &token, resident(b"stored")).unwrap();
    assert_eq!(key.get(&assertion()).unwrap().auth_data().sign_count, 1);
    let token = key.token(Two, PIN, GA, None).unwrap();
    let mut key = key.power_cut();
    assert_eq!(key.get_with(Two, &token, assertion()).unwrap_err(), Status::PIN_AUTH_INVALID);
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
    let got = key.get(&assertion()).unwrap();
    assert!(got.is_by(&stored));
    assert_eq!(got.auth_data().sign_count, 101, "after the reserved counts");
    let list = [wrapped.descriptor()];
    let allow_list = Some(List::Slice(&list[..]));
    assert!(key.get(&Request { allow_list, ..assertion() }).unwrap().is_by(&wrapped));
    key.token(Two, PIN, GA, None).unwrap();
}

#[test]
fn a_power_cycle_forgets_a_pending_command() {
    let mut key = Key::new();
    let request = message(Command::MAKE_CREDENTIAL, &resident(b"u"));
    assert!(matches!(key.begin(&request), Progress::Pending(_)));
    key.power_cycle();
    assert_eq!(key.resume(Event::Touched), Progress::Reply(1));
    assert_eq!(key.engine.buffer()[0], Status::NOT_ALLOWED.0);
    assert_eq!(key.store.credentials(), 0);
}

#[test]
fn a_pin_that_was_stored_by_a_commit_that_failed_is_known_at_once() {
    let mut key = Key::new();
    let next = key.store.applied() + 1;
    key.store.fault.set(Fault::After(next));
    assert_eq!(key.set_pin(Two, PIN), Status::OTHER);
    key.store.fault.set(Fault::None);
    assert_eq!(key.set_pin(Two, WRONG), Status::PIN_AUTH_INVALID);
    key.token(Two, PIN, GA, None).unwrap();
}

#[test]
fn a_doubled_deletion_makes_no_room_for_two() {
    let mut store = MemoryStore::<2>::new();
    let put = Change::Put { rp_id_hash: &[0; 32], record: &[1] };
    store.commit(&[put, put]).unwrap();
    let full = [Change::Delete(1), Change::Delete(1), put, put];
    assert_eq!(store.commit(&full), Err(StoreError::Full));
    assert_eq!(store.len(), 2);
    store.commit(&[Change::Delete(1), Change::Delete(1), put]).unwrap();
}

/// Runs `command` on a key from `prepare`, with the power cut before and after every commit. `old_or_new` checks the
/// key after power-up; its argument says whether all commits were made.
fn cut_at_every_commit(
    prepare: impl Fn() -> Key,
    command: impl Fn(&mut Key) -> Status,
    old_or_new: impl Fn(&mut Key, bool),
) {
    let mut key = prepare();
    let before = key.store.asked();
    command(&mut key);
    let commits = key.store.asked() - before;
    assert!(commits > 0);
    for k in 1..=commits {
        for fault in [Fault::Before, Fault::After] {
            let mut key = prepare();
            key.store.fail_at(k, fault);
            assert_eq!(command(&mut key), Status::OTHER, "commit {k} of {commits}");
            let all = k == commits && fault(0) == Fault::After(0);
            old_or_new(&mut key.power_cut(), all);
        }
    }
}

#[test]
fn a_registration_is_stored_whole_or_not_at_all() {
    let again = |key: &mut Key| key.status(&message(Command::MAKE_CREDENTIAL, &resident(b"u")));
    cut_at_every_commit(Key::new, again, |key, made| {
        assert_eq!(key.store.credentials(), usize::from(made));
        assert_eq!(key.get(&assertion()).is_ok(), made);
    });
}

#[test]
fn a_replaced_credential_is_there_until_the_new_one_is() {
    let prepare = || {
        let mut key = Key::new();
        for user in 0..ROOM as u8 {
            key.make(&resident(&[user])).unwrap();
        }
        key
    };
    let old = prepare().get(&assertion()).unwrap();
    let again = |key: &mut Key| key.status(&message(Command::MAKE_CREDENTIAL, &resident(&[ROOM as u8 - 1])));
    cut_at_every_commit(prepare, again, |key, made| {
        let newest = key.get(&assertion()).unwrap();
        assert_eq!(newest.number, Some(ROOM as u32));
        assert_eq!(newest.user(), old.user());
        assert_eq!(newest.id != old.id, made);
    });
}

#[test]
fn a_sign_in_whose_count_is_not_stored_signs_nothing() {
    let prepare = || {
        let mut key = Key::new();
        key.make(&resident(b"u")).unwrap();
        key
    };
    let sign_in = |key: &mut Key| key.get(&assertion()).map_or_else(|status| status, |_| Status::OK);
    cut_at_every_commit(prepare, sign_in, |key, counted| {
        assert_eq!(key.get(&assertion()).unwrap().auth_data().sign_count, 1 + 100 * u32::from(counted));
    });
}

#[test]
fn a_first_pin_is_set_or_not() {
    cut_at_every_commit(
        Key::new,
        |key| key.set_pin(Two, PIN),
        |key, set| {
            assert_eq!(key.token(Two, PIN, MC, None).map(drop), if set { Ok(()) } else { Err(Status::PIN_NOT_SET) });
        },
    );
}

#[test]
fn a_changed_pin_is_the_old_one_or_the_new_one() {
    cut_at_every_commit(
        Key::with_pin,
        |key| key.change_pin(Two, PIN, "5678"),
        |key, changed| {
            let (works, fails) = if changed { ("5678", PIN) } else { (PIN, "5678") };
            assert_eq!(key.token(Two, fails, MC, None).unwrap_err(), Status::PIN_INVALID);
            key.token(Two, works, MC, None).unwrap();
        },
    );
}

#[test]
fn a_reset_forgets_everything_or_nothing() {
    let prepare = || {
        let mut key = Key::with_pin();
        let token = key.token(Two, PIN, MC, None).unwrap();
        key.make_with(Two, &token, resident(b"u")).unwrap();
        key
    };
    cut_at_every_commit(
        prepare,
        |key| key.status(&[0x07]),
        |key, reset| {
            assert_eq!(key.store.credentials(), usize::from(!reset));
            assert_eq!(key.store.setting(Setting::Pin).is_none(), reset);
        },
    );
}

fn status_of(response: &[u8]) -> Status {
    Status(response[0])
}

/// A key with a PIN and a credential of user "u".
fn with_credential() -> Key {
    let mut key = Key::new();
    let user = UserEntity { id: b"u", name: Some("old"), display_name: None };
    key.make(&make_credential::Request { user, ..resident(b"u") }).unwrap();
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    key
}

#[test]
fn a_deleted_credential_and_the_stores_state_change_together() {
    let delete = |key: &mut Key| {
        let id = key.get(&assertion()).unwrap().id;
        let params = Params { credential_id: Some(CredentialDescriptor::new(&id)), ..Params::default() };
        // The sign-in and the token have their own commits, which do not count here.
        let token = key.unbound(Permissions::CM);
        status_of(&key.manage(&token, subcommand::DELETE_CREDENTIAL, Some(&encoded(&params))))
    };
    let state = with_credential().store.setting(Setting::StoreState);
    let mut key = with_credential();
    let before = key.store.applied();
    delete(&mut key);
    let last = key.store.applied() - before;
    for fault in [Fault::Before, Fault::After] {
        let mut key = with_credential();
        key.store.fail_at(last, fault);
        assert_eq!(delete(&mut key), Status::OTHER);
        let deleted = fault(0) == Fault::After(0);
        let mut key = key.power_cut();
        assert_eq!(key.get(&assertion()).is_err(), deleted);
        assert_eq!(key.store.setting(Setting::StoreState) != state, deleted);
    }
}

#[test]
fn an_updated_user_is_the_old_one_or_the_new_one() {
    let update = |key: &mut Key| {
        let found = key.manage_users_of(RP);
        let user = UserEntity { id: b"u", name: Some("new"), display_name: None };
        let credential_id = Some(CredentialDescriptor::new(&found.0));
        let params = encoded(&Params { credential_id, user: Some(user), rp_id_hash: None });
        let token = key.unbound(Permissions::CM);
        status_of(&key.manage(&token, subcommand::UPDATE_USER_INFORMATION, Some(&params)))
    };
    let mut key = with_credential();
    let before = key.store.applied();
    assert_eq!(update(&mut key), Status::OK);
    let last = key.store.applied() - before;
    for fault in [Fault::Before, Fault::After] {
        let mut key = with_credential();
        key.store.fail_at(last, fault);
        assert_eq!(update(&mut key), Status::OTHER);
        let updated = fault(0) == Fault::After(0);
        let expected = if updated { "new" } else { "old" };
        assert_eq!(key.power_cut().manage_users_of(RP).1.as_deref(), Some(expected));
    }
}

#[test]
fn a_large_blob_array_is_the_old_one_or_the_new_one() {
    let prepare = || {
        let mut key = Key::new();
        key.write_fragment(None, 0, &blob_array(100), Some(100));
        key
    };
    let write = |key: &mut Key| {
        key.write_fragment(None, 0, &blob_array(200)[..150], Some(200));
        key.write_fragment(None, 150, &blob_array(200)[150..], None)
    };
    cut_at_every_commit(prepare, write, |key, written| {
        assert_eq!(key.read_blobs(0, 500).unwrap(), blob_array(if written { 200 } else { 100 }));
    });
    // The power fails between two fragments.
    let mut key = prepare();
    key.write_fragment(None, 0, &blob_array(200)[..150], Some(200));
    let mut key = key.power_cut();
    assert_eq!(key.write_fragment(None, 150, &blob_array(200)[150..], None), Status::INVALID_SEQ);
    assert_eq!(key.read_blobs(0, 500).unwrap(), blob_array(100));
}

#[test]
fn options_are_set_or_not() {
    type Toggled = (u32, fn(&mut Key) -> Option<bool>);
    let toggled: [Toggled; 3] = [
        (1, |key| key.options().ep),
        (2, |key| key.options().always_uv),
        (4, |key| key.info(|info| info.long_touch_for_reset)),
    ];
    for (sub_command, read) in toggled {
        cut_at_every_commit(
            || Key::with(MANAGED),
            |key| key.configure(None, sub_command, None),
            |key, set| assert_eq!(read(key), Some(set), "{sub_command}"),
        );
    }
}

#[test]
fn options_that_a_commit_which_failed_has_set_are_known_at_once() {
    let mut key = Key::new();
    key.store.fail_at(1, Fault::After);
    assert_eq!(key.configure(None, 2, None), Status::OTHER);
    key.store.fault.set(Fault::None);
    assert_eq!(key.options().always_uv, Some(true));
}

#[test]
fn length_list_and_forced_change_come_together_or_not_at_all() {
    let set = |key: &mut Key| {
        let token = key.unbound(Permissions::ACFG);
        key.configure(Some(&token), 3, Some(&[0xA2, 1, 6, 2, 0x81, 0x61, b'a']))
    };
    let mut key = Key::with_pin();
    let before = key.store.applied();
    assert_eq!(set(&mut key), Status::OK);
    let last = key.store.applied() - before;
    for fault in [Fault::Before, Fault::After] {
        let mut key = Key::with_pin();
        let token = key.persistent();
        key.store.fail_at(last, fault);
        assert_eq!(set(&mut key), Status::OTHER);
        let made = fault(0) == Fault::After(0);
        let mut key = key.power_cut();
        assert_eq!(
            key.info(|info| (info.min_pin_length, info.force_pin_change)),
            (Some(if made { 6 } else { 4 }), Some(made))
        );
        assert_eq!(key.store.setting(Setting::MinPinRpIds).is_some(), made);
        assert_eq!(status_of(&key.manage(&token, 1, None)) != Status::OK, made);
    }
}

#[test]
fn a_changed_pin_and_the_persistent_token_change_together() {
    let prepare = || {
        let mut key = Key::with_pin();
        let token = key.persistent();
        (key, token)
    };
    let token = prepare().1;
    cut_at_every_commit(
        || prepare().0,
        |key| key.change_pin(Two, PIN, "5678"),
        |key, changed| assert_eq!(status_of(&key.manage(&token, 1, None)) != Status::OK, changed),
    );
}

#[test]
fn wrong_pin_decrements_retries_before_comparing() {
    // getPinUvAuthToken commits the decrement first. If that fails, no PIN is compared.
    for pin in [PIN, WRONG] {
        let mut key = Key::with_pin();
        key.store.fail_at(1, Fault::Before);
        assert_eq!(key.token(Two, pin, MC, None).unwrap_err(), Status::OTHER);
        assert_eq!(retries(&key), 8);
        // The power is cut right after the decrement, before the comparison.
        let mut key = Key::with_pin();
        key.store.fail_at(1, Fault::After);
        assert_eq!(key.token(Two, pin, MC, None).unwrap_err(), Status::OTHER);
        assert_eq!((retries(&key), key.power_cut().retries()), (7, (7, false)));
    }
}

#[test]
fn the_decrement_is_stored_in_a_poll_of_its_own_before_the_comparison() {
    for pin in [PIN, WRONG] {
        for (poll, left) in [(1, 8), (2, 7)] {
            let mut key = Key::with_pin();
            let request = token_request(&mut key, pin);
            assert_eq!(key.call_cancelled(&request, poll), [Status::KEEPALIVE_CANCEL.0]);
            assert_eq!(retries(&key), left);
        }
    }
}

pub fn token_request(key: &mut Key, pin: &str) -> Vec<u8> {
    use keyfob_core::ctap2::client_pin::{Request, subcommand::GET_TOKEN_USING_PIN};
    let session = key.agree(Two);
    let pin_hash_enc = key.encrypt(&session, &pin_hash(pin));
    let request =
        Request { pin_hash_enc: Some(&pin_hash_enc), permissions: Some(1), ..session.request(GET_TOKEN_USING_PIN) };
    message(Command::CLIENT_PIN, &request)
}

#[test]
fn retries_never_grow_with_wrong_pins_however_often_the_power_is_cut() {
    let mut key = Key::with_pin();
    let mut last = 8;
    for round in 0..100 {
        let now = retries(&key);
        assert!(now <= last);
        last = now;
        if now == 0 {
            assert!(round >= 8);
            break;
        }
        match round % 3 {
            0 => key.store.fail_at(1, Fault::After),
            1 => key.store.fail_at(1, Fault::Before),
            _ => {}
        }
        key.token(Two, WRONG, MC, None).unwrap_err();
        key = key.power_cut();
    }
    assert_eq!(key.token(Two, PIN, MC, None).unwrap_err(), Status::PIN_BLOCKED);
}

#[test]
fn a_store_from_another_configuration_has_no_more_retries_than_this_one_allows() {
    let key = Key::with_pin();
    let config = Config { max_pin_retries: 3, ..Config::new([0; 16]) };
    assert_eq!(Key::try_with(config, key.store).unwrap().retries(), (3, false));
}
