//! The extension `largeBlob` (2.3), whose blobs are kept with their credentials.

use keyfob_core::{
    Status,
    auth_data::Flags,
    cbor::RawMap,
    ctap2::{Command, CredentialDescriptor},
    extensions::{
        GetAssertionInputs, MakeCredentialInputs, UnsignedOutputs,
        large_blob::{GetAssertionInput, MakeCredentialInput, Support, UnsignedOutput},
    },
    pin_uv::PinUvAuthProtocol::Two,
};
use keyfob_soft_authenticator::{Caps, engine::Config, store::Setting};

use super::harness::*;

const NONE: GetAssertionInput<'static> = GetAssertionInput { read: None, write: None, original_size: None };
const READ: GetAssertionInput<'static> = GetAssertionInput { read: Some(true), ..NONE };

pub const CONFIG: Config<'static> = {
    let config = Config::new([0; 16]);
    Config { caps: config.caps.without(Caps::LARGE_BLOBS).with(Caps::LARGE_BLOB_EXTENSION), ..config }
};

fn key() -> Key {
    Key::with(CONFIG)
}

pub fn support(support: Support<'_>) -> Vec<u8> {
    let large_blob = Some(MakeCredentialInput { support });
    raw(&MakeCredentialInputs { large_blob, ..Default::default() })
}

/// A credential that can have a blob.
fn with_blob(key: &mut Key, user: &[u8]) -> Made {
    key.make(&extended(resident(user), &support(Support::REQUIRED))).unwrap()
}

pub fn write(blob: &[u8]) -> GetAssertionInput<'_> {
    GetAssertionInput { write: Some(blob), original_size: Some(1000), ..NONE }
}

pub fn ask(input: GetAssertionInput<'_>) -> Vec<u8> {
    raw(&GetAssertionInputs { large_blob: Some(input), ..Default::default() })
}

fn output(unsigned: Option<&Vec<u8>>) -> Option<UnsignedOutput<'_>> {
    let outputs: UnsignedOutputs<'_> = RawMap(unsigned?).decode().unwrap();
    outputs.large_blob
}

fn asked(key: &mut Key, made: &Made, input: GetAssertionInput<'_>) -> Got {
    key.get(&listed(asking(&ask(input)), &[made.descriptor()])).unwrap()
}

#[track_caller]
fn has(key: &mut Key, made: &Made, blob: Option<&[u8]>) {
    let got = asked(key, made, READ);
    assert!(got.is_by(made) && !got.has(Flags::ED), "its outputs are not signed");
    let expected = blob.map(|_| UnsignedOutput { blob, original_size: Some(1000), ..Default::default() });
    assert_eq!(output(got.unsigned.as_ref()), expected);
}

/// 12 largeBlob: required, for a non-discoverable credential → LARGE_BLOB_STORAGE_FULL
/// 12 largeBlob: support is neither required nor preferred → INVALID_OPTION
#[test]
fn a_discoverable_credential_can_have_a_blob_and_others_cannot() {
    let made = with_blob(&mut key(), b"u");
    let supported = UnsignedOutput { supported: Some(true), ..Default::default() };
    assert_eq!(output(made.unsigned.as_ref()), Some(supported));
    assert!(!made.has(Flags::ED));
    let made = key().make(&extended(registration(b"u"), &support(Support::PREFERRED))).unwrap();
    assert_eq!(made.unsigned, None);
    for (request, support, expected) in [
        (registration(b"u"), support(Support::REQUIRED), Status::LARGE_BLOB_STORAGE_FULL),
        (resident(b"u"), support(Support("sometimes")), Status::INVALID_OPTION),
    ] {
        let mut key = key();
        assert_eq!(key.make(&extended(request, &support)).unwrap_err(), expected);
        assert_eq!((key.touches, key.store.credentials()), (0, 0));
    }
}

#[test]
fn a_blob_is_read_as_it_was_written_and_outlives_a_power_cut() {
    let mut key = key();
    let (one, two) = (with_blob(&mut key, b"1"), with_blob(&mut key, b"2"));
    has(&mut key, &one, None);
    for blob in [&b"a blob"[..], &[7; 400], b""] {
        let (commits, state) = (key.store.applied(), key.store.setting(Setting::StoreState));
        let got = asked(&mut key, &one, write(blob));
        let written = output(got.unsigned.as_ref()).unwrap();
        assert_eq!(written, UnsignedOutput { written: Some(true), ..Default::default() });
        assert_eq!(key.store.applied(), commits + 1, "with the counter, in one commit");
        assert_ne!(key.store.setting(Setting::StoreState), state);
        key = key.power_cut();
        has(&mut key, &one, Some(blob));
        has(&mut key, &two, None);
    }
}

#[test]
fn a_blob_that_is_too_long_or_has_no_place_is_not_written_and_the_sign_in_goes_on() {
    let mut key = key();
    let (blobby, plain) = (with_blob(&mut key, b"b"), key.make(&resident(b"p")).unwrap());
    let wrapped = key.make(&registration(b"w")).unwrap();
    asked(&mut key, &blobby, write(b"old"));
    for (made, blob) in [(&blobby, &[1; 401][..]), (&blobby, &[1; 5000]), (&plain, b"new"), (&wrapped, b"new")] {
        let count = asked(&mut key, made, READ).auth_data().sign_count;
        let got = asked(&mut key, made, write(blob));
        let written = output(got.unsigned.as_ref()).unwrap();
        assert_eq!(written, UnsignedOutput { written: Some(false), ..Default::default() });
        assert!(got.is_by(made));
        assert_eq!(got.auth_data().sign_count, count + 1);
    }
    has(&mut key, &blobby, Some(b"old"));
}

#[test]
fn a_blob_for_which_the_store_has_no_room_is_not_written_and_the_sign_in_goes_on() {
    let mut key = key();
    let made = with_blob(&mut key, b"u");
    asked(&mut key, &made, write(b"old"));
    key.store.fail_at(1, Fault::Full);
    let got = asked(&mut key, &made, write(b"new"));
    let written = output(got.unsigned.as_ref()).unwrap();
    assert_eq!(written, UnsignedOutput { written: Some(false), ..Default::default() });
    assert!(got.is_by(&made));
    assert_eq!(got.auth_data().sign_count, 2, "the signature is counted by itself");
    has(&mut key, &made, Some(b"old"));
}

#[test]
fn a_protected_blob_is_written_only_by_a_verified_user() {
    let mut key = key();
    let made = with_blob(&mut key, b"u");
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    let written = |got: Got| output(got.unsigned.as_ref()).unwrap().written;
    assert_eq!(written(asked(&mut key, &made, write(b"no"))), Some(false));
    let token = key.token(Two, PIN, GA, None).unwrap();
    let (ask, list) = (ask(write(b"yes")), [made.descriptor()]);
    assert_eq!(written(key.get_with(Two, &token, listed(asking(&ask), &list)).unwrap()), Some(true));
    has(&mut key, &made, Some(b"yes"));
}

/// 12 largeBlob: neither or both of read and write, one of blob and size, or a write without an allow list → INVALID_OPTION
#[test]
fn inputs_that_say_neither_or_both_and_writes_without_a_list_are_invalid() {
    let mut key = key();
    let made = with_blob(&mut key, b"u");
    let list = [made.descriptor()];
    let nothing: &[CredentialDescriptor<'_>] = &[];
    let touches = key.touches;
    for (input, list) in [
        (NONE, &list[..]),
        (GetAssertionInput { read: Some(false), ..NONE }, &list),
        (GetAssertionInput { read: Some(true), ..write(b"blob") }, &list),
        (GetAssertionInput { original_size: None, ..write(b"blob") }, &list),
        (GetAssertionInput { original_size: Some(1), ..READ }, &list),
        (write(b"blob"), nothing),
    ] {
        assert_eq!(key.get(&listed(asking(&ask(input)), list)).unwrap_err(), Status::INVALID_OPTION);
    }
    assert_eq!(key.touches, touches);
}

#[test]
fn every_credential_of_a_sequence_reads_its_own_blob() {
    let mut key = key();
    for user in [b"a", b"b"] {
        let made = with_blob(&mut key, user);
        asked(&mut key, &made, write(user));
    }
    let ask = ask(READ);
    let (first, second) = (key.get(&asking(&ask)).unwrap(), key.get_next().unwrap());
    for (got, blob) in [(first, b"b"), (second, b"a")] {
        assert_eq!(output(got.unsigned.as_ref()).unwrap().blob, Some(&blob[..]));
    }
}

/// 12 largeBlob: cancelled once the blob is stored → OK
#[test]
fn a_cancellation_after_a_blob_is_stored_does_not_keep_that_from_the_platform() {
    let mut key = key();
    let made = with_blob(&mut key, b"u");
    let (ask, list, commits) = (ask(write(b"blob")), [made.descriptor()], key.store.applied());
    let request = message(Command::GET_ASSERTION, &listed(asking(&ask), &list));
    assert_eq!(status(&key.call_cancelled(&request, 1)), Status::KEEPALIVE_CANCEL);
    assert_eq!(key.store.applied(), commits, "while a touch is awaited");
    let response = key.call_cancelled(&request, 2);
    assert_eq!((status(&response), key.store.applied()), (Status::OK, commits + 1));
    has(&mut key, &made, Some(b"blob"));
}

#[test]
fn a_blob_is_written_whole_or_not_at_all_when_the_power_fails() {
    for fault in [Fault::Before, Fault::After] {
        let mut key = key();
        let made = with_blob(&mut key, b"u");
        asked(&mut key, &made, write(b"old"));
        key.store.fail_at(1, fault);
        let (ask, list) = (ask(write(b"new")), [made.descriptor()]);
        assert_eq!(key.get(&listed(asking(&ask), &list)).unwrap_err(), Status::OTHER);
        let mut key = key.power_cut();
        let written = fault(0) == Fault::After(0);
        has(&mut key, &made, Some(if written { b"new" } else { b"old" }));
    }
}
