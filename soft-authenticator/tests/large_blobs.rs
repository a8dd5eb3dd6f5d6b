//! authenticatorLargeBlobs, in the order of CTAP 2.3 §6.10.

use keyfob_core::{
    Status,
    crypto::{Hash, RustCrypto},
    ctap2::{
        Command,
        large_blobs::{FRAGMENT_OVERHEAD, INITIAL_ARRAY, Request},
    },
    pin_uv::PinUvAuthProtocol::Two,
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, SEQUENCE_TIMEOUT},
};

use super::harness::*;

/// The capacity of the test store for the array, in bytes.
const CAPACITY: u32 = 1024;

fn request(request: &Request<'_>) -> Vec<u8> {
    message(Command::LARGE_BLOBS, request)
}

/// Writes an array in fragments of `piece` bytes.
fn write(key: &mut Key, array: &[u8], piece: usize) -> Status {
    let mut offset = 0;
    for fragment in array.chunks(piece) {
        let length = (offset == 0).then_some(array.len() as u32);
        let status = key.write_fragment(None, offset, fragment, length);
        if status != Status::OK {
            return status;
        }
        offset += fragment.len() as u32;
    }
    Status::OK
}

fn all(key: &mut Key) -> Vec<u8> {
    key.read_blobs(0, CAPACITY).unwrap()
}

/// A key with a maxMsgSize of 1,024 bytes.
fn small() -> Key {
    Key::with(Config { max_msg_size: 1024, ..Config::new([0xAA; 16]) })
}

#[test]
fn a_new_key_has_an_array_with_nothing_in_it() {
    assert_eq!(all(&mut Key::new()), INITIAL_ARRAY);
    for offset in 0..=17 {
        for get in 0..20 {
            let expected = &INITIAL_ARRAY[offset..17.min(offset + get)];
            assert_eq!(Key::new().read_blobs(offset as u32, get as u32).unwrap(), expected);
        }
    }
}

/// 6.10: no offset, one past the end, both or neither of get and set, or a member not of get → INVALID_PARAMETER
#[test]
fn a_request_says_where_and_either_get_or_set() {
    let get = Request { get: Some(1), offset: Some(0), ..Request::default() };
    for wrong in [
        Request { offset: None, ..get },
        Request { get: None, ..get },
        Request { set: Some(&[0]), ..get },
        Request { set: Some(&[0]), length: Some(17), ..get },
        Request { length: Some(17), ..get },
        Request { pin_uv_auth_param: Some(&[0; 32]), ..get },
        Request { pin_uv_auth_protocol: Some(2), ..get },
        Request { offset: Some(18), ..get },
        Request { offset: Some(u32::MAX), ..get },
        Request::default(),
    ] {
        assert_eq!(Key::new().status(&request(&wrong)), Status::INVALID_PARAMETER, "{wrong:?}");
    }
    assert_eq!(Key::new().status(&request(&get)), Status::OK);
}

#[test]
fn reading_needs_no_token_and_ends_at_the_arrays_end() {
    let mut key = small();
    let array = blob_array(1024);
    assert_eq!(write(&mut key, &array, 960), Status::OK);
    key.set_pin(Two, PIN);
    assert_eq!(key.read_blobs(0, 960).unwrap(), array[..960]);
    assert_eq!(key.read_blobs(960, 960).unwrap(), array[960..]);
    assert_eq!(key.read_blobs(1000, 10).unwrap(), array[1000..1010]);
    assert_eq!(key.read_blobs(1024, 10).unwrap(), []);
    assert_eq!(key.read_blobs(1025, 0).unwrap_err(), Status::INVALID_PARAMETER);
}

/// 6.10: get or set of more than maxMsgSize less 64 bytes → INVALID_LENGTH
#[test]
fn a_fragment_is_at_most_a_message_less_64_bytes() {
    for size in [1024, 1200, 7609] {
        let mut key = Key::with(Config { max_msg_size: size, ..Config::new([0xAA; 16]) });
        let most = size - FRAGMENT_OVERHEAD;
        key.read_blobs(0, most as u32).unwrap();
        for get in [most as u32 + 1, u32::MAX] {
            assert_eq!(key.read_blobs(0, get).unwrap_err(), Status::INVALID_LENGTH);
        }
    }
    let mut key = small();
    let array = blob_array(1000);
    assert_eq!(key.write_fragment(None, 0, &array[..961], Some(1000)), Status::INVALID_LENGTH);
    assert_eq!(key.write_fragment(None, 0, &array[..960], Some(1000)), Status::OK);
}

/// 6.10 set: offset 0 without a length, or with one under 17 → INVALID_PARAMETER
/// 6.10 set: offset 0 with a length over the capacity → LARGE_BLOB_STORAGE_FULL
#[test]
fn the_first_fragment_comes_with_a_length_between_17_bytes_and_the_capacity() {
    for (length, expected) in [
        (None, Status::INVALID_PARAMETER),
        (Some(0), Status::INVALID_PARAMETER),
        (Some(16), Status::INVALID_PARAMETER),
        (Some(CAPACITY + 1), Status::LARGE_BLOB_STORAGE_FULL),
        (Some(u32::MAX), Status::LARGE_BLOB_STORAGE_FULL),
        (Some(17), Status::OK),
        (Some(CAPACITY), Status::OK),
    ] {
        assert_eq!(Key::new().write_fragment(None, 0, &[0x80], length), expected, "{length:?}");
    }
}

/// 6.10 set: another offset than the next one → INVALID_SEQ
/// 6.10 set: a length with another offset than 0 → INVALID_PARAMETER
#[test]
fn the_other_fragments_come_in_order_and_without_a_length() {
    let mut key = Key::new();
    let array = blob_array(100);
    let fragment = |key: &mut Key, at: usize, length| key.write_fragment(None, at as u32, &array[at..at + 10], length);
    assert_eq!(fragment(&mut key, 10, None), Status::INVALID_SEQ, "nothing was begun");
    assert_eq!(fragment(&mut key, 0, Some(100)), Status::OK);
    assert_eq!(fragment(&mut key, 10, Some(100)), Status::INVALID_PARAMETER);
    for at in [9, 11, 20] {
        assert_eq!(fragment(&mut key, at, None), Status::INVALID_SEQ);
    }
    // 2^32 + 10 is not 10.
    let next = fragment_message(None, 10, &[0], None);
    let at = next.windows(2).position(|window| window == [3, 10]).unwrap();
    let beyond = [&next[..=at], &[0x1B, 0, 0, 0, 1, 0, 0, 0, 10], &next[at + 2..]].concat();
    assert_eq!(key.status(&beyond), Status::INVALID_SEQ);
    for at in (10..100).step_by(10) {
        assert_eq!(fragment(&mut key, at, None), Status::OK);
    }
    assert_eq!(fragment(&mut key, 90, None), Status::INVALID_SEQ, "it is complete");
    assert_eq!(all(&mut key), array);
}

/// 6.10 set: a fragment past the length → INVALID_PARAMETER
#[test]
fn a_fragment_past_the_length_is_refused() {
    let mut key = Key::new();
    let array = blob_array(100);
    assert_eq!(key.write_fragment(None, 0, &array, Some(99)), Status::INVALID_PARAMETER);
    assert_eq!(key.write_fragment(None, 0, &array[..50], Some(100)), Status::OK);
    assert_eq!(key.write_fragment(None, 50, &[0; 51], None), Status::INVALID_PARAMETER);
    assert_eq!(key.write_fragment(None, 50, &array[50..], None), Status::OK, "the right one is still accepted");
}

#[test]
fn arrays_of_every_length_in_fragments_of_every_size_come_back_as_they_were() {
    let mut key = Key::new();
    for len in [17, 18, 31, 32, 33, 767, 768, 769, 784, 785, 1000, 1024] {
        for piece in [1, 16, 17, 100, 768, 1024] {
            if len < 200 || piece > 16 {
                let array = blob_array(len);
                assert_eq!(write(&mut key, &array, piece), Status::OK);
                assert_eq!(all(&mut key), array);
            }
        }
    }
}

/// 6.10 set: the last fragment, and the hash is wrong → INTEGRITY_FAILURE
#[test]
fn an_array_with_a_wrong_hash_leaves_the_old_one() {
    let mut key = Key::new();
    let old = blob_array(200);
    write(&mut key, &old, 100);
    let commits = key.store.applied();
    for wrong in [0, 100, 183, 184, 199] {
        let mut array = blob_array(200);
        array[wrong] ^= 1;
        assert_eq!(write(&mut key, &array, 70), Status::INTEGRITY_FAILURE, "byte {wrong}");
        assert_eq!((all(&mut key), key.store.applied()), (old.clone(), commits));
    }
}

/// 6.10 set: protected, no pinUvAuthParam → PUAT_REQUIRED
/// 6.10 set: pinUvAuthParam without a protocol → MISSING_PARAMETER
/// 6.10 set: unknown protocol → INVALID_PARAMETER
/// 6.10 set: wrong MAC, or no permission lbw → PIN_AUTH_INVALID
#[test]
fn writing_needs_a_token_with_lbw_once_a_pin_is_set() {
    let mut key = Key::new();
    key.set_pin(Two, PIN);
    let array = blob_array(60);
    let full = fragment_message(Some(&key.unbound(LBW)), 0, &array, Some(60));
    let full: Request<'_> = keyfob_core::cbor::decode(&full[1..]).unwrap();
    let retries = key.retries();
    for (wrong, expected) in [
        (Request { pin_uv_auth_param: None, ..full }, Status::PUAT_REQUIRED),
        (Request { pin_uv_auth_protocol: None, ..full }, Status::MISSING_PARAMETER),
        (Request { pin_uv_auth_protocol: Some(3), ..full }, Status::INVALID_PARAMETER),
        (Request { pin_uv_auth_protocol: Some(1), ..full }, Status::PIN_AUTH_INVALID),
        (Request { pin_uv_auth_param: Some(&[0; 32]), ..full }, Status::PIN_AUTH_INVALID),
        (Request { pin_uv_auth_param: Some(&[]), ..full }, Status::PIN_AUTH_INVALID),
        (Request { set: Some(&array[..59]), ..full }, Status::PIN_AUTH_INVALID),
        (full, Status::OK),
    ] {
        assert_eq!(key.status(&request(&wrong)), expected);
    }
    assert_eq!(key.retries(), retries);
    let token = key.unbound(MC.with(GA).with(ACFG).with(CM));
    assert_eq!(key.write_fragment(Some(&token), 0, &array, Some(60)), Status::PIN_AUTH_INVALID);
}

/// 6.10 set: protected, a later fragment without pinUvAuthParam → PUAT_REQUIRED
/// 6.10 set: a pinUvAuthParam for another offset → PIN_AUTH_INVALID
#[test]
fn every_fragment_needs_its_own_proof() {
    let mut key = Key::new();
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, LBW, Some(RP)).unwrap();
    let array = blob_array(60);
    assert_eq!(key.write_fragment(Some(&token), 0, &array[..20], Some(60)), Status::OK);
    assert_eq!(key.write_fragment(None, 20, &array[20..40], None), Status::PUAT_REQUIRED);
    // The pinUvAuthParam of another offset, or of another fragment.
    let head = keyfob_core::ctap2::large_blobs::authenticated_head(0);
    let param = token.authenticate(&RustCrypto, Two, &[&head, &RustCrypto.sha256(&[&array[20..40]])]);
    let moved = Request {
        set: Some(&array[20..40]),
        offset: Some(20),
        pin_uv_auth_param: Some(param.as_bytes()),
        pin_uv_auth_protocol: Some(2),
        ..Request::default()
    };
    assert_eq!(key.status(&request(&moved)), Status::PIN_AUTH_INVALID);
    assert_eq!(key.write_fragment(Some(&token), 20, &array[20..40], None), Status::OK);
    assert_eq!(key.write_fragment(Some(&token), 40, &array[40..], None), Status::OK);
    assert_eq!(all(&mut key), array);
}

/// 6.10 set: a later fragment after another command, on another channel, or after 30 seconds → INVALID_SEQ
#[test]
fn a_write_ends_with_every_other_command_with_its_channel_and_after_30_seconds() {
    type End = (&'static str, fn(&mut Key));
    let ends: [End; 4] = [
        ("another command", |key| drop(key.command(Command::GET_INFO))),
        ("another channel", |key| key.engine.channel_changed()),
        ("30 seconds", |key| key.wait(SEQUENCE_TIMEOUT)),
        ("a power cycle", Key::power_cycle),
    ];
    let array = blob_array(40);
    for (name, end) in ends {
        let mut key = Key::new();
        assert_eq!(key.write_fragment(None, 0, &array[..20], Some(40)), Status::OK);
        end(&mut key);
        assert_eq!(key.write_fragment(None, 20, &array[20..], None), Status::INVALID_SEQ, "{name}");
        assert_eq!(all(&mut key), INITIAL_ARRAY);
    }
}

#[test]
fn a_write_that_is_begun_again_starts_anew() {
    let mut key = Key::new();
    let (first, second) = (blob_array(60), blob_array(50));
    assert_eq!(key.write_fragment(None, 0, &first[..30], Some(60)), Status::OK);
    assert_eq!(write(&mut key, &second, 25), Status::OK);
    assert_eq!(all(&mut key), second);
}

#[test]
fn reading_between_two_fragments_shows_the_old_array() {
    let mut key = Key::new();
    let array = blob_array(60);
    assert_eq!(key.write_fragment(None, 0, &array[..30], Some(60)), Status::OK);
    assert_eq!(all(&mut key), INITIAL_ARRAY);
    assert_eq!(key.write_fragment(None, 30, &array[30..], None), Status::OK);
    assert_eq!(all(&mut key), array);
}

#[test]
fn a_reset_brings_the_initial_array_back() {
    let mut key = Key::new();
    write(&mut key, &blob_array(300), 300);
    key.command(Command::RESET);
    assert_eq!(all(&mut key), INITIAL_ARRAY);
}

/// 6.10 set: cancelled → KEEPALIVE_CANCEL
#[test]
fn a_cancelled_write_changes_nothing() {
    let mut key = Key::new();
    let array = blob_array(60);
    let request = fragment_message(None, 0, &array, Some(60));
    assert_eq!(key.call_cancelled(&request, 1), [Status::KEEPALIVE_CANCEL.0]);
    assert_eq!(all(&mut key), INITIAL_ARRAY);
    assert_eq!(key.status(&request), Status::OK);
}

#[test]
fn a_store_that_fails_is_a_failure_and_a_full_one_is_full() {
    let array = blob_array(60);
    let mut key = Key::new();
    key.store.fault.set(Fault::Stage);
    assert_eq!(key.write_fragment(None, 0, &array[..30], Some(60)), Status::OTHER);
    key.store.fault.set(Fault::None);
    assert_eq!(key.write_fragment(None, 30, &array[30..], None), Status::INVALID_SEQ);
    key.store.fail_at(1, Fault::Full);
    assert_eq!(write(&mut key, &array, 60), Status::LARGE_BLOB_STORAGE_FULL);
    key.store.fault.set(Fault::None);
    write(&mut key, &array, 60);
    key.store.fault.set(Fault::Reads);
    assert_eq!(key.read_blobs(0, 60).unwrap_err(), Status::OTHER);
    assert_eq!(write(&mut key, &array, 60), Status::OTHER);
}

#[test]
fn a_member_of_a_wrong_type_is_refused_and_changes_nothing() {
    let mut key = Key::new();
    let (set, mac) = (byte_string(&blob_array(17)), byte_string(&[0; 32]));
    for map in each_of_a_wrong_type(&[(1, &[1]), (2, &set), (3, &[0]), (4, &[17]), (5, &mac), (6, &[2])]) {
        let request = [&[0x0C], &map[..]].concat();
        assert_eq!(key.status(&request), Status::CBOR_UNEXPECTED_TYPE, "{request:02x?}");
    }
    assert_eq!(all(&mut key), INITIAL_ARRAY);
}

/// 6.10: not supported → INVALID_COMMAND
#[test]
fn without_the_capability_the_command_and_its_permission_are_unknown() {
    let config = Config::new([0xAA; 16]);
    let mut key = Key::with(Config { caps: config.caps.without(Caps::LARGE_BLOBS).consistent(), ..config });
    assert_eq!(key.read_blobs(0, 17).unwrap_err(), Status::INVALID_COMMAND);
    key.set_pin(Two, PIN);
    assert_eq!(key.token(Two, PIN, LBW, None).unwrap_err(), Status::UNAUTHORIZED_PERMISSION);
    let told =
        |key: &mut Key| key.info(|info| (info.options.unwrap().large_blobs, info.max_serialized_large_blob_array));
    assert_eq!(told(&mut key), (None, None));
    assert_eq!(told(&mut Key::new()), (Some(true), Some(1024)));
}
