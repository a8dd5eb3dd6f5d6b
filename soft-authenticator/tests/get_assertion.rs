//! authenticatorGetAssertion and authenticatorGetNextAssertion, in the order of CTAP 2.3 §6.2.2 and §6.3.

use std::time::Duration;

use keyfob_core::{
    Status,
    auth_data::Flags,
    cbor::List,
    cose::Algorithm,
    ctap2::get_assertion::Request,
    ctap2::{
        Command, CommandOptions, CredentialDescriptor, CredentialParameters, CredentialType, RpEntity, UserEntity,
        make_credential,
    },
    pin_uv::PinUvAuthProtocol::{One, Two},
};
use keyfob_soft_authenticator::engine::{AuthenticatorPolicy, Config};

use super::harness::*;

const OPTIONS: CommandOptions = CommandOptions { rk: None, up: None, uv: None };

/// A key with the users `a`, `b`, `c`, registered in this order.
fn three() -> Key {
    let mut key = Key::new();
    for id in [b"a", b"b", b"c"] {
        let user = UserEntity { id, name: Some("name"), display_name: Some("display") };
        key.make(&make_credential::Request { user, ..resident(id) }).unwrap();
    }
    key
}

fn allow<'a>(list: &'a [CredentialDescriptor<'a>]) -> Request<'a> {
    Request { allow_list: Some(List::Slice(list)), ..assertion() }
}

#[track_caller]
fn refused(key: &mut Key, request: &Request<'_>, expected: Status) {
    let (commits, touches) = (key.store.applied(), key.touches);
    assert_eq!(key.get(request).unwrap_err(), expected);
    assert_eq!((key.store.applied(), key.touches), (commits, touches), "neither a commit nor a touch");
}

/// 6.2.2 step 1: empty pinUvAuthParam, touched, no PIN → PIN_NOT_SET
/// 6.2.2 step 1: empty pinUvAuthParam, touched, with a PIN → PIN_INVALID
/// 6.2.2 step 1: empty pinUvAuthParam, declined or not touched in time → OPERATION_DENIED
#[test]
fn step_1_an_empty_pin_uv_auth_param_waits_for_a_touch_and_tells_whether_a_pin_is_set() {
    let probe = Request { pin_uv_auth_param: Some(&[]), ..assertion() };
    let mut key = Key::new();
    assert_eq!(key.get(&probe).unwrap_err(), Status::PIN_NOT_SET);
    key.set_pin(Two, PIN);
    assert_eq!(key.get(&probe).unwrap_err(), Status::PIN_INVALID);
    assert_eq!(key.touches, 2);
    for action in [UserAction::Declines, UserAction::Sleeps] {
        key.user = action;
        assert_eq!(key.get(&probe).unwrap_err(), Status::OPERATION_DENIED);
    }
}

/// 6.2.2 step 2: pinUvAuthParam without a protocol → MISSING_PARAMETER
/// 6.2.2 step 2: pinUvAuthParam with an unknown protocol → INVALID_PARAMETER
#[test]
fn step_2_a_param_needs_a_known_protocol() {
    let mut key = three();
    let param = Request { pin_uv_auth_param: Some(&[1; 16]), ..assertion() };
    refused(&mut key, &param, Status::MISSING_PARAMETER);
    refused(&mut key, &Request { pin_uv_auth_protocol: Some(3), ..param }, Status::INVALID_PARAMETER);
}

/// 6.2.2 step 4: uv true without built-in user verification → INVALID_OPTION
/// 6.2.2 step 4: rk given → UNSUPPORTED_OPTION
#[test]
fn step_4_uv_needs_built_in_user_verification_and_rk_does_not_belong_here() {
    let mut key = three();
    let uv = Request { options: Some(CommandOptions { uv: Some(true), ..OPTIONS }), ..assertion() };
    refused(&mut key, &uv, Status::INVALID_OPTION);
    for rk in [true, false] {
        let rk = Request { options: Some(CommandOptions { rk: Some(rk), ..OPTIONS }), ..assertion() };
        refused(&mut key, &rk, Status::UNSUPPORTED_OPTION);
    }
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, GA, None).unwrap();
    key.get_with(Two, &token, uv).unwrap();
}

/// 6.2.2 step 6: a token that a sign-in has used up → PIN_AUTH_INVALID
#[test]
fn step_6_a_valid_token_verifies_the_user_and_is_used_up() {
    for protocol in [One, Two] {
        let mut key = three();
        key.set_pin(protocol, PIN);
        let token = key.token(protocol, PIN, GA, Some(RP)).unwrap();
        let got = key.get_with(protocol, &token, assertion()).unwrap();
        assert!(got.has(Flags::UV) && got.has(Flags::UP));
        assert_eq!(key.get_with(protocol, &token, assertion()).unwrap_err(), Status::PIN_AUTH_INVALID);
        let got = key.get(&assertion()).unwrap();
        assert!(!got.has(Flags::UV) && got.has(Flags::UP), "a PIN is not needed to sign in");
    }
}

/// 6.2.2 step 6: no permission ga, or another relying party's token → PIN_AUTH_INVALID
#[test]
fn step_6_a_token_without_permission_or_for_another_relying_party_is_refused() {
    let mut key = three();
    key.set_pin(Two, PIN);
    for (permissions, rp_id) in [(MC, None), (GA, Some("other.example"))] {
        let token = key.token(Two, PIN, permissions, rp_id).unwrap();
        assert_eq!(key.get_with(Two, &token, assertion()).unwrap_err(), Status::PIN_AUTH_INVALID);
    }
}

/// 6.2.2 step 6: wrong MAC, and no credential → PIN_AUTH_INVALID
#[test]
fn step_6_comes_before_the_credentials_are_looked_for() {
    let mut key = Key::new();
    key.set_pin(Two, PIN);
    let request = Request { pin_uv_auth_param: Some(&[0; 32]), pin_uv_auth_protocol: Some(2), ..assertion() };
    refused(&mut key, &request, Status::PIN_AUTH_INVALID);
}

#[test]
fn a_silent_assertion_neither_touches_nor_uses_up_the_token() {
    let mut key = three();
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, GA, None).unwrap();
    let silent = Request { options: Some(CommandOptions { up: Some(false), ..OPTIONS }), ..assertion() };
    let touches = key.touches;
    let got = key.get_with(Two, &token, silent).unwrap();
    assert!(got.has(Flags::UV) && !got.has(Flags::UP));
    assert!(key.get_with(Two, &token, assertion()).unwrap().has(Flags::UV));
    let got = key.get(&silent).unwrap();
    assert!(!got.has(Flags::UV) && !got.has(Flags::UP));
    assert!(!key.get_next().unwrap().has(Flags::UP), "the next assertion has the flags of the first");
    assert_eq!(key.touches, touches + 1);
    key.user = UserAction::Declines;
    key.get(&silent).unwrap();
}

/// 6.2.2 step 7: no matching credential → NO_CREDENTIALS
#[test]
fn step_7_without_a_matching_credential_no_touch_is_asked_for() {
    let mut key = Key::new();
    refused(&mut key, &assertion(), Status::NO_CREDENTIALS);
    let mut key = three();
    refused(&mut key, &Request { rp_id: "other.example", ..assertion() }, Status::NO_CREDENTIALS);
    refused(&mut key, &allow(&[CredentialDescriptor::new(&[0; 32])]), Status::NO_CREDENTIALS);
}

/// 6.2.2 step 7: no matching credential, with the policy of CTAP 2.0, after a touch → NO_CREDENTIALS
/// 6.2.2 step 7: no matching credential, with the policy of CTAP 2.0, declined → OPERATION_DENIED
#[test]
fn step_7_a_key_may_ask_for_a_touch_before_it_tells_that_there_is_nothing() {
    let policy = AuthenticatorPolicy { no_credentials_after_touch: true, ..AuthenticatorPolicy::STRICT };
    let mut key = Key::with(Config { policy, ..Config::new([0xAA; 16]) });
    let commits = key.store.applied();
    for (action, expected) in
        [(UserAction::Touches, Status::NO_CREDENTIALS), (UserAction::Declines, Status::OPERATION_DENIED)]
    {
        key.user = action;
        assert_eq!(key.get(&assertion()).unwrap_err(), expected);
    }
    assert_eq!((key.touches, key.polls), (1, 1));
    let options = Some(CommandOptions { up: Some(false), ..CommandOptions::default() });
    assert_eq!(
        key.get(&Request { options, ..assertion() }).unwrap_err(),
        Status::NO_CREDENTIALS,
        "a silent one at once"
    );
    assert_eq!((key.touches, key.store.applied()), (1, commits));
}

/// 6.2.2 step 7: an allow list of another relying party's credentials, or of another type → NO_CREDENTIALS
#[test]
fn step_7_an_allow_list_finds_wrapped_and_stored_credentials_of_this_relying_party_only() {
    let mut key = Key::new();
    let (wrapped, stored) = (key.make(&registration(b"w")).unwrap(), key.make(&resident(b"s")).unwrap());
    let rp = RpEntity { id: "other.example", name: None };
    let other = key.make(&make_credential::Request { rp, ..registration(b"o") }).unwrap();
    for (made, user) in [(&wrapped, None), (&stored, Some(&b"s"[..]))] {
        let list = [CredentialDescriptor::new(&[1; 200]), other.descriptor(), made.descriptor(), other.descriptor()];
        let got = key.get(&allow(&list)).unwrap();
        assert_eq!((&got.id[..], got.number), (made.id(), None));
        assert_eq!(got.user_id.as_deref(), user);
        assert!(got.is_by(made));
    }
    refused(&mut key, &allow(&[other.descriptor()]), Status::NO_CREDENTIALS);
    let kind = CredentialType("private-key");
    refused(&mut key, &allow(&[CredentialDescriptor { kind, ..stored.descriptor() }]), Status::NO_CREDENTIALS);
}

/// 6.2.2 step 7: empty allow list, no discoverable credential → NO_CREDENTIALS
#[test]
fn step_7_an_empty_allow_list_is_none() {
    let mut key = three();
    assert_eq!(key.get(&allow(&[])).unwrap().user(), b"c");
    let mut key = Key::new();
    key.make(&registration(b"wrapped")).unwrap();
    refused(&mut key, &allow(&[]), Status::NO_CREDENTIALS);
}

/// 6.2.2 step 7: allow list longer than maxCredentialCountInList → LIMIT_EXCEEDED
#[test]
fn step_7_a_list_longer_than_get_info_says_is_refused() {
    let mut key = Key::with(Config { max_credential_count_in_list: 3, ..Config::new([0; 16]) });
    let made = key.make(&registration(b"u")).unwrap();
    key.get(&allow(&[made.descriptor(); 3])).unwrap();
    refused(&mut key, &allow(&[made.descriptor(); 4]), Status::LIMIT_EXCEEDED);
}

/// 6.2.2 step 7: a credential id with any bit changed or of another length → NO_CREDENTIALS
#[test]
fn a_wrapped_id_with_any_bit_changed_or_another_length_opens_nothing() {
    let mut key = Key::new();
    let made = key.make(&registration(b"u")).unwrap();
    let id = made.id();
    for bit in 0..id.len() * 8 {
        let mut id = id.to_vec();
        id[bit / 8] ^= 1 << (bit % 8);
        refused(&mut key, &allow(&[CredentialDescriptor::new(&id)]), Status::NO_CREDENTIALS);
    }
    for len in (0..id.len()).chain(id.len() + 1..130).chain([1022, 1023, 1024, 4000]) {
        let mut longer = id.to_vec();
        longer.resize(len, 0);
        refused(&mut key, &allow(&[CredentialDescriptor::new(&longer)]), Status::NO_CREDENTIALS);
    }
}

/// 6.2.2 step 9: declined, or not touched in time → OPERATION_DENIED
/// 6.3: after a sign-in that was denied → NOT_ALLOWED
#[test]
fn step_9_a_sign_in_that_is_not_touched_is_denied_and_not_counted() {
    let mut key = three();
    let commits = key.store.applied();
    for action in [UserAction::Declines, UserAction::Sleeps] {
        key.user = action;
        assert_eq!(key.get(&assertion()).unwrap_err(), Status::OPERATION_DENIED);
    }
    assert_eq!(key.store.applied(), commits);
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
}

/// 6.3: no assertion is left → NOT_ALLOWED
#[test]
fn step_12_discoverable_credentials_come_newest_first_and_are_numbered_once() {
    let mut key = three();
    let all = [key.get(&assertion()).unwrap(), key.get_next().unwrap(), key.get_next().unwrap()];
    assert_eq!(all.each_ref().map(|got| got.user()), [b"c", b"b", b"a"]);
    assert_eq!(all.each_ref().map(|got| got.number), [Some(3), None, None]);
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
    assert_eq!(key.touches, 3 + 1, "one touch for all of them");
    let counts = all.each_ref().map(|got| got.auth_data().sign_count);
    assert_eq!(counts, [1, 2, 3], "every signature is counted");
}

/// 6.3: after a sign-in with one credential → NOT_ALLOWED
#[test]
fn step_12_a_single_credential_is_not_numbered() {
    let mut key = Key::new();
    let made = key.make(&resident(b"u")).unwrap();
    let got = key.get(&assertion()).unwrap();
    assert!(got.number.is_none() && got.is_by(&made));
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
}

#[test]
fn names_are_told_only_to_a_verified_user_who_has_to_choose() {
    let mut key = three();
    let names = |got: &Got| (got.user_name.is_some(), got.display_name.is_some());
    assert_eq!(names(&key.get(&assertion()).unwrap()), (false, false));
    assert_eq!(names(&key.get_next().unwrap()), (false, false));
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, GA, None).unwrap();
    let got = key.get_with(Two, &token, assertion()).unwrap();
    assert_eq!(names(&got), (true, true));
    assert_eq!(names(&key.get_next().unwrap()), (true, true), "the verification of the first request counts");
    let token = key.token(Two, PIN, GA, None).unwrap();
    let list = [CredentialDescriptor::new(&got.id)];
    let got = key.get_with(Two, &token, allow(&list)).unwrap();
    assert_eq!((names(&got), got.user()), ((false, false), &b"c"[..]));
}

/// 6.3: 30 seconds after the last answer → NOT_ALLOWED
#[test]
fn a_sequence_pauses_at_most_30_seconds_and_each_answer_starts_them_anew() {
    let mut key = three();
    key.get(&assertion()).unwrap();
    key.wait(Duration::from_millis(29_999));
    key.get_next().unwrap();
    key.wait(Duration::from_millis(29_999));
    key.get_next().unwrap();
    key.get(&assertion()).unwrap();
    key.wait(Duration::from_secs(30));
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
    key.now = keyfob_core::Instant::from_millis(0);
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED, "it does not come back");
}

/// 6.3: after another command, or a request on another channel → NOT_ALLOWED
#[test]
fn any_other_message_ends_a_sequence() {
    let long = vec![8; 7610];
    for other in [&[0x04][..], &[0x06, 0xA1, 0x02, 0x01], &[0x02], &[0x0B], &[0x99], &[], &long] {
        let mut key = three();
        key.get(&assertion()).unwrap();
        key.call(other);
        assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED, "after {:?}", other.first());
    }
    let mut key = three();
    key.get(&assertion()).unwrap();
    key.engine.channel_changed();
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
}

/// 6.3: cancelled → KEEPALIVE_CANCEL
#[test]
fn a_cancelled_next_assertion_can_be_asked_for_again() {
    let mut key = three();
    key.get(&assertion()).unwrap();
    for poll in 1..=2 {
        let response = key.call_cancelled(&[Command::GET_NEXT_ASSERTION.0], poll);
        assert_eq!(status(&response), Status::KEEPALIVE_CANCEL);
    }
    assert_eq!(key.get_next().unwrap().user(), b"b");
    assert_eq!(key.get_next().unwrap().user(), b"a");
}

#[test]
fn step_14_authenticator_data_is_37_bytes_and_signed_with_the_client_data_hash() {
    for algorithm in [Algorithm::ES256, Algorithm::EDDSA] {
        for options in [registration(b"u").options, resident(b"u").options] {
            let mut key = Key::new();
            let parameters = [CredentialParameters::new(algorithm)];
            let pub_key_cred_params = List::Slice(&parameters);
            let request = make_credential::Request { pub_key_cred_params, options, ..registration(b"u") };
            let made = key.make(&request).unwrap();
            for count in 1..4 {
                let got = key.get(&allow(&[made.descriptor()])).unwrap();
                assert_eq!(got.auth_data.len(), 37);
                assert_eq!(*got.auth_data().rp_id_hash, rp_id_hash(RP));
                assert_eq!((got.auth_data().flags, got.auth_data().sign_count), (Flags::UP, count));
                assert!(got.is_by(&made), "{algorithm:?}");
            }
        }
    }
}
