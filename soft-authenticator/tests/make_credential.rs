//! authenticatorMakeCredential, in the order of the steps of CTAP 2.3 §6.1.2.

use keyfob_core::{
    Failure, Status,
    auth_data::Flags,
    cbor::List,
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::make_credential::Request,
    ctap2::{
        Command, CommandOptions, CredentialDescriptor, CredentialParameters, CredentialType, RpEntity, UserEntity,
    },
    pin_uv::{Permissions, PinUvAuthProtocol::Two},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{AuthenticatorPolicy, Config},
};

use super::harness::*;

const OPTIONS: CommandOptions = CommandOptions { rk: None, up: None, uv: None };

fn with_pin() -> Key {
    let mut key = Key::new();
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    key
}

fn without(caps: Caps) -> Key {
    let config = Config::new([0; 16]);
    Key::with(Config { caps: config.caps.without(caps).consistent(), ..config })
}

fn strictly_verified() -> Key {
    let mut key = without(Caps::MAKE_CRED_UV_NOT_RQD);
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    key
}

#[track_caller]
fn refused(key: &mut Key, request: &Request<'_>, expected: Status) {
    let (commits, touches) = (key.store.applied(), key.touches);
    assert_eq!(key.make(request).unwrap_err(), expected);
    assert_eq!((key.store.applied(), key.touches), (commits, touches), "neither a commit nor a touch");
}

/// 6.1.2 step 1: empty pinUvAuthParam, touched, no PIN → PIN_NOT_SET
/// 6.1.2 step 1: empty pinUvAuthParam, touched, with a PIN → PIN_INVALID
#[test]
fn step_1_an_empty_pin_uv_auth_param_waits_for_a_touch_and_tells_whether_a_pin_is_set() {
    let probe = Request { pin_uv_auth_param: Some(&[]), ..registration(b"u") };
    let mut key = Key::new();
    assert_eq!(key.make(&probe).unwrap_err(), Status::PIN_NOT_SET);
    assert_eq!(key.touches, 1);
    let mut key = with_pin();
    assert_eq!(key.make(&probe).unwrap_err(), Status::PIN_INVALID);
    assert_eq!(key.touches, 1);
    assert_eq!(key.retries(), (8, false), "not an attempt");
}

/// 6.1.2 step 1: empty pinUvAuthParam, declined or not touched in time → OPERATION_DENIED
#[test]
fn step_1_a_probe_that_is_declined_or_ignored_is_denied() {
    let probe = Request { pin_uv_auth_param: Some(&[]), pin_uv_auth_protocol: Some(9), ..registration(b"u") };
    for action in [UserAction::Declines, UserAction::Sleeps] {
        let mut key = with_pin();
        key.user = action;
        assert_eq!(key.make(&probe).unwrap_err(), Status::OPERATION_DENIED);
    }
}

/// 6.1.2 step 2: pinUvAuthParam without a protocol → MISSING_PARAMETER
/// 6.1.2 step 2: pinUvAuthParam with a protocol that is unknown or off → INVALID_PARAMETER
#[test]
fn step_2_a_param_needs_a_known_protocol() {
    let param = Request { pin_uv_auth_param: Some(&[1; 16]), ..registration(b"u") };
    let mut key = Key::new();
    refused(&mut key, &param, Status::MISSING_PARAMETER);
    for number in [0, 3, u32::MAX] {
        refused(&mut key, &Request { pin_uv_auth_protocol: Some(number), ..param }, Status::INVALID_PARAMETER);
    }
    let mut key = without(Caps::PROTOCOL_ONE);
    refused(&mut key, &Request { pin_uv_auth_protocol: Some(1), ..param }, Status::INVALID_PARAMETER);
    // before step 3
    let both = Request { pub_key_cred_params: List::Slice(&[]), ..param };
    refused(&mut key, &both, Status::MISSING_PARAMETER);
}

#[test]
fn step_3_the_first_supported_algorithm_is_taken_in_the_order_of_the_request() {
    let (es256, eddsa) = (Algorithm::ES256, Algorithm::EDDSA);
    for (asked, taken) in [
        (vec![es256, eddsa], es256),
        (vec![eddsa, es256], eddsa),
        (vec![Algorithm::RS256, Algorithm(-65_000), eddsa, es256], eddsa),
        (vec![es256, es256], es256),
    ] {
        let list: Vec<_> = asked.into_iter().map(CredentialParameters::new).collect();
        let request = Request { pub_key_cred_params: List::Slice(&list), ..registration(b"u") };
        assert_eq!(Key::new().make(&request).unwrap().key().algorithm(), taken);
    }
}

/// 6.1.2 step 3: no algorithm in the list is supported → UNSUPPORTED_ALGORITHM
#[test]
fn step_3_no_supported_algorithm_is_refused_before_the_options() {
    let options = Some(CommandOptions { up: Some(false), ..OPTIONS });
    for list in [&[][..], &[CredentialParameters::new(Algorithm::RS256)]] {
        let request = Request { pub_key_cred_params: List::Slice(list), options, ..registration(b"u") };
        refused(&mut Key::new(), &request, Status::UNSUPPORTED_ALGORITHM);
    }
    let list = &[CredentialParameters::new(Algorithm::EDDSA)];
    let request = Request { pub_key_cred_params: List::Slice(list), ..registration(b"u") };
    refused(&mut without(Caps::EDDSA), &request, Status::UNSUPPORTED_ALGORITHM);
}

/// 6.1.2 step 3: only parameters of another type than public-key → UNSUPPORTED_ALGORITHM
/// 6.1.2 step 3: an entry lacks its algorithm or type → MISSING_PARAMETER
/// 6.1.2 step 3: an entry that is not a map → CBOR_UNEXPECTED_TYPE
#[test]
fn step_3_parameters_of_another_type_are_passed_over_and_every_one_is_checked() {
    let mut request = message(Command::MAKE_CREDENTIAL, &registration(b"u"));
    let at = request.windows(10).position(|window| window == b"public-key").unwrap();
    request[at..at + 10].copy_from_slice(b"publik-key");
    assert_eq!(Key::new().status(&request), Status::UNSUPPORTED_ALGORITHM);
    // [{alg, type}, {}] and [{alg, type}, 5]
    for (item, expected) in [(0xA0, Status::MISSING_PARAMETER), (0x05, Status::CBOR_UNEXPECTED_TYPE)] {
        let mut request = message(Command::MAKE_CREDENTIAL, &registration(b"u"));
        let at = request.windows(3).position(|window| window == [0x04, 0x81, 0xA2]).unwrap();
        request[at + 1] = 0x82;
        request.push(item);
        assert_eq!(Key::new().status(&request), expected);
    }
}

/// 6.1.2: user id over 64 bytes → INVALID_LENGTH
#[test]
fn user_ids_have_at_most_64_bytes_and_rp_ids_at_most_255() {
    for len in 0..=80 {
        let id = vec![1; len];
        for request in [registration(&id), resident(&id)] {
            let made = Key::new().make(&request);
            if len <= 64 {
                made.unwrap();
            } else {
                assert_eq!(made.unwrap_err(), Status::INVALID_LENGTH);
            }
        }
    }
    let long = "a".repeat(256);
    for (id, fits) in [(&long[..255], true), (&long[..], false)] {
        let request = Request { rp: RpEntity { id, name: Some(&long) }, ..resident(&[1; 64]) };
        assert_eq!(Key::new().make(&request).is_ok(), fits);
    }
}

/// 6.1.2: icon of rp or user is not a text → CBOR_UNEXPECTED_TYPE
#[test]
fn icons_are_gone_since_2_1_and_ignored_but_a_wrong_type_is_still_one() {
    let name = Some("name");
    let rp = RpEntity { id: RP, name };
    let user = UserEntity { id: b"u", name, display_name: Some("display name") };
    let request = message(Command::MAKE_CREDENTIAL, &Request { rp, user, ..registration(b"u") });
    for entity in [encoded(&rp), encoded(&user)] {
        let at = request.windows(entity.len()).position(|window| window == entity).unwrap();
        for (icon, expected) in [
            (&b"\x61x"[..], Status::OK),
            (b"\x60", Status::OK),
            (b"\x41x", Status::CBOR_UNEXPECTED_TYPE),
            (b"\x05", Status::CBOR_UNEXPECTED_TYPE),
            (b"\xf6", Status::CBOR_UNEXPECTED_TYPE),
            (b"\xa0", Status::CBOR_UNEXPECTED_TYPE),
            (b"\x61\xff", Status::INVALID_CBOR),
        ] {
            let mut request = request.clone();
            request.splice(at..at + entity.len(), with_icon(&entity, icon));
            assert_eq!(Key::new().status(&request), expected, "icon {icon:02x?} in {entity:02x?}");
        }
    }
}

/// 6.1.2 step 5: uv true without built-in user verification → INVALID_OPTION
#[test]
fn step_5_uv_without_built_in_user_verification_is_an_invalid_option() {
    let request = |uv| Request { options: Some(CommandOptions { uv: Some(uv), ..OPTIONS }), ..registration(b"u") };
    for mut key in [Key::new(), with_pin()] {
        refused(&mut key, &request(true), Status::INVALID_OPTION);
        key.make(&request(false)).unwrap();
    }
    let mut key = with_pin();
    let token = key.token(Two, PIN, MC, Some(RP)).unwrap();
    assert!(key.make_with(Two, &token, request(true)).unwrap().has(Flags::UV), "with a param, uv counts as false");
}

/// 6.1.2 step 5: rk given, and getInfo has no rk → UNSUPPORTED_OPTION
#[test]
fn step_5_rk_is_unsupported_where_get_info_does_not_name_it() {
    let mut key = without(Caps::DISCOVERABLE.with(Caps::CRED_BLOB));
    for rk in [true, false] {
        let request = Request { options: Some(CommandOptions { rk: Some(rk), ..OPTIONS }), ..registration(b"u") };
        refused(&mut key, &request, Status::UNSUPPORTED_OPTION);
    }
    key.make(&registration(b"u")).unwrap();
}

/// 6.1.2 step 5: rk off, getInfo has no rk, the policy rk_off_is_known → OK
#[test]
fn step_5_rk_that_is_off_is_passed_over_where_the_policy_says_so() {
    let config = Config::workstation([0; 16]);
    let caps = config.caps.without(Caps::DISCOVERABLE).consistent();
    let mut key = Key::with(Config { caps, ..config });
    let request = |rk| Request { options: Some(CommandOptions { rk: Some(rk), ..OPTIONS }), ..registration(b"u") };
    key.make(&request(false)).unwrap();
    refused(&mut key, &request(true), Status::UNSUPPORTED_OPTION);
}

/// 6.1.2 step 5: up false → INVALID_OPTION
#[test]
fn step_5_up_may_only_be_true() {
    let request = |up| Request { options: Some(CommandOptions { up: Some(up), ..OPTIONS }), ..registration(b"u") };
    refused(&mut Key::new(), &request(false), Status::INVALID_OPTION);
    assert!(Key::new().make(&request(true)).unwrap().has(Flags::UP));
}

/// 6.1.2 step 5: unknown options → OK
#[test]
fn step_5_unknown_options_are_ignored() {
    let mut request = message(Command::MAKE_CREDENTIAL, &registration(b"u"));
    request[1] += 1; // one member more
    request.extend_from_slice(b"\x07\xA2\x63zap\xF5\x64zeal\x80");
    assert_eq!(Key::new().status(&request), Status::OK);
}

/// 6.1.2 step 7: protected, makeCredUvNotRqd, rk true, no pinUvAuthParam → PUAT_REQUIRED
#[test]
fn step_7_a_pin_protects_discoverable_credentials_only_when_others_need_no_verification() {
    let mut key = with_pin();
    refused(&mut key, &resident(b"u"), Status::PUAT_REQUIRED);
    let made = key.make(&registration(b"u")).unwrap();
    assert!(made.has(Flags::UP) && !made.has(Flags::UV));
}

/// 6.1.2 step 8: protected, no makeCredUvNotRqd, no pinUvAuthParam → PUAT_REQUIRED
#[test]
fn step_8_a_pin_protects_every_registration_otherwise() {
    let mut key = strictly_verified();
    refused(&mut key, &resident(b"u"), Status::PUAT_REQUIRED);
    refused(&mut key, &registration(b"u"), Status::PUAT_REQUIRED);
    without(Caps::MAKE_CRED_UV_NOT_RQD).make(&resident(b"u")).unwrap();
}

/// 6.1.2 steps 7, 8: protected, no pinUvAuthParam, noMcGaPermissionsWithClientPin → OPERATION_DENIED
#[test]
fn steps_7_and_8_deny_where_the_pin_gives_no_permission() {
    let config = Config::new([0; 16]);
    let mut key = Key::with(Config { caps: config.caps.with(Caps::NO_MC_GA_WITH_PIN), ..config });
    key.set_pin(Two, PIN);
    refused(&mut key, &resident(b"u"), Status::OPERATION_DENIED);
}

/// 6.1.2 step 9: enterpriseAttestation given, not supported → INVALID_PARAMETER
#[test]
fn step_9_enterprise_attestation_is_refused_before_the_token_is_looked_at() {
    let mut key = with_pin();
    for value in [0, 1, 2, 3] {
        let param = Some(&[0; 32][..]);
        let request = Request {
            enterprise_attestation: Some(value),
            pin_uv_auth_param: param,
            pin_uv_auth_protocol: Some(2),
            ..registration(b"u")
        };
        refused(&mut key, &request, Status::INVALID_PARAMETER);
    }
}

/// 6.1.2 step 11: a token that a registration has used up → PIN_AUTH_INVALID
#[test]
fn step_11_a_valid_token_verifies_the_user_and_is_used_up() {
    let mut key = with_pin();
    let token = key.token(Two, PIN, MC.with(GA), Some(RP)).unwrap();
    let made = key.make_with(Two, &token, resident(b"u")).unwrap();
    assert!(made.has(Flags::UV) && made.has(Flags::UP));
    assert_eq!(key.touches, 1, "a token from a PIN does not prove presence");
    assert_eq!(key.make_with(Two, &token, registration(b"v")).unwrap_err(), Status::PIN_AUTH_INVALID);
    assert_eq!(key.get_with(Two, &token, assertion()).unwrap_err(), Status::PIN_AUTH_INVALID);
}

/// 6.1.2 step 11: wrong MAC, no permission mc, or another relying party's token → PIN_AUTH_INVALID
#[test]
fn step_11_a_token_needs_the_right_mac_permission_and_relying_party() {
    let mut key = with_pin();
    for (permissions, rp_id) in [(GA, None), (GA, Some(RP)), (MC, Some("other.example")), (Permissions(0x80), None)] {
        let token = key.token(Two, PIN, permissions, rp_id).unwrap();
        assert_eq!(key.make_with(Two, &token, registration(b"u")).unwrap_err(), Status::PIN_AUTH_INVALID);
    }
    let token = key.token(Two, PIN, MC, Some(RP)).unwrap();
    let param = token.authenticate(&RustCrypto, Two, &[&HASH]);
    for wrong in [&param.as_bytes()[..31], &param.as_bytes()[..16], &[0; 32], &[0; 33]] {
        let pin_uv_auth_param = Some(wrong);
        let request = Request { pin_uv_auth_param, pin_uv_auth_protocol: Some(2), ..registration(b"u") };
        refused(&mut key, &request, Status::PIN_AUTH_INVALID);
    }
    let other = Request { client_data_hash: &[8; 32], ..registration(b"u") };
    let request = Request { pin_uv_auth_param: Some(param.as_bytes()), pin_uv_auth_protocol: Some(2), ..other };
    refused(&mut key, &request, Status::PIN_AUTH_INVALID);
    let protocol_one = Request { pin_uv_auth_protocol: Some(1), client_data_hash: &HASH, ..request };
    refused(&mut key, &protocol_one, Status::PIN_AUTH_INVALID);
    assert!(key.make_with(Two, &token, registration(b"u")).is_ok(), "none of that voids the token");
}

#[test]
fn step_11_an_unprotected_authenticator_ignores_the_param() {
    let request = Request { pin_uv_auth_param: Some(&[1; 5]), pin_uv_auth_protocol: Some(1), ..resident(b"u") };
    assert!(!Key::new().make(&request).unwrap().has(Flags::UV));
}

/// 6.1.2 step 12: an excluded credential is on this authenticator, with any user action → CREDENTIAL_EXCLUDED
#[test]
fn step_12_an_excluded_credential_is_told_after_the_touch_whatever_the_user_does() {
    for action in [UserAction::Touches, UserAction::Declines, UserAction::Sleeps] {
        for made in [registration(b"u"), resident(b"u")] {
            let mut key = Key::new();
            let made = key.make(&made).unwrap();
            let (commits, list) = (key.store.applied(), [CredentialDescriptor::new(&[5; 40]), made.descriptor()]);
            key.user = action;
            let request = Request { exclude_list: Some(List::Slice(&list)), ..resident(b"u") };
            assert_eq!(key.make(&request).unwrap_err(), Status::CREDENTIAL_EXCLUDED);
            assert_eq!(key.polls, 2, "the second id, and a touch");
            assert_eq!(key.store.applied(), commits);
        }
    }
}

#[test]
fn step_12_credentials_of_other_relying_parties_authenticators_and_types_do_not_exclude() {
    let mut key = Key::new();
    let (wrapped, stored) = (key.make(&registration(b"u")).unwrap(), key.make(&resident(b"u")).unwrap());
    let mut another = Key::new();
    another.command(Command::RESET); // for another seed
    let foreign = another.make(&registration(b"u")).unwrap();
    let strange = CredentialDescriptor { kind: CredentialType("private-key"), ..wrapped.descriptor() };
    let list = [wrapped.descriptor(), stored.descriptor()];
    let other = Request { rp: RpEntity { id: "other.example", name: None }, ..registration(b"u") };
    key.make(&Request { exclude_list: Some(List::Slice(&list)), ..other }).unwrap();
    let list = [strange, foreign.descriptor()];
    key.make(&Request { exclude_list: Some(List::Slice(&list)), ..registration(b"u") }).unwrap();
    key.make(&Request { exclude_list: Some(List::Slice(&[])), ..registration(b"u") }).unwrap();
}

/// 6.1.2 step 12: exclude list longer than maxCredentialCountInList → LIMIT_EXCEEDED
#[test]
fn step_12_lists_up_to_the_limit_and_ids_of_any_length_are_looked_through() {
    let config = Config { max_credential_count_in_list: 7, ..Config::new([0; 16]) };
    let mut key = Key::with(config);
    let made = key.make(&registration(b"u")).unwrap();
    for count in 0..=12 {
        let mut list = vec![CredentialDescriptor::new(&[3; 32]); count];
        if let Some(last) = list.last_mut() {
            *last = made.descriptor();
        }
        let result = key.make(&Request { exclude_list: Some(List::Slice(&list)), ..registration(b"u") });
        match count {
            0 => assert!(result.is_ok()),
            1..=7 => assert_eq!(result.unwrap_err(), Status::CREDENTIAL_EXCLUDED),
            _ => assert_eq!(result.unwrap_err(), Status::LIMIT_EXCEEDED),
        }
    }
    for len in (0..130).chain(1000..1100) {
        let id = vec![1; len];
        let list = [CredentialDescriptor::new(&id)];
        key.make(&Request { exclude_list: Some(List::Slice(&list)), ..registration(b"u") }).unwrap();
    }
}

/// 6.1.2 step 14: declined, or not touched in time → OPERATION_DENIED
/// 6.1.2 step 14: not touched in time, with the policy of YubiKeys → USER_ACTION_TIMEOUT
#[test]
fn step_14_a_registration_that_is_not_touched_is_denied_and_changes_nothing() {
    for (action, touch_timeout, expected) in [
        (UserAction::Declines, Failure::OPERATION_DENIED, Status::OPERATION_DENIED),
        (UserAction::Sleeps, Failure::OPERATION_DENIED, Status::OPERATION_DENIED),
        (UserAction::Declines, Failure::USER_ACTION_TIMEOUT, Status::OPERATION_DENIED),
        (UserAction::Sleeps, Failure::USER_ACTION_TIMEOUT, Status::USER_ACTION_TIMEOUT),
    ] {
        let mut key = Key::with(Config {
            policy: AuthenticatorPolicy { touch_timeout, ..AuthenticatorPolicy::STRICT },
            ..Config::new([0; 16])
        });
        let commits = key.store.applied();
        key.user = action;
        assert_eq!(key.make(&resident(b"u")).unwrap_err(), expected);
        assert_eq!(key.store.applied(), commits);
    }
}

/// 6.1.2 step 14: a token that was issued before a registration was touched → PIN_AUTH_INVALID
#[test]
fn step_14_a_touch_uses_up_a_token_that_was_not_presented() {
    let mut key = with_pin();
    let token = key.token(Two, PIN, MC, None).unwrap();
    key.make(&registration(b"u")).unwrap();
    assert_eq!(key.make_with(Two, &token, registration(b"v")).unwrap_err(), Status::PIN_AUTH_INVALID);
}

#[test]
fn step_14_a_refused_touch_leaves_the_token_usable() {
    let mut key = with_pin();
    let token = key.token(Two, PIN, MC, None).unwrap();
    key.user = UserAction::Declines;
    assert_eq!(key.make_with(Two, &token, registration(b"u")).unwrap_err(), Status::OPERATION_DENIED);
    key.user = UserAction::Touches;
    key.make_with(Two, &token, registration(b"u")).unwrap();
}

#[test]
fn step_15_extensions_that_are_not_supported_leave_no_trace() {
    let raw = keyfob_core::cbor::RawMap(b"\xA1\x6BcredProtect\x02");
    let mut key = without(Caps::CRED_PROTECT.with(Caps::CRED_BLOB));
    let made = key.make(&Request { extensions: Some(raw), ..registration(b"u") }).unwrap();
    assert!(!made.has(Flags::ED) && made.auth_data().extensions.is_none());
}

/// 6.1.2 step 17: rk true, another user, the store is full → KEY_STORE_FULL
#[test]
fn step_17_the_same_user_replaces_its_credential_even_when_the_store_is_full() {
    let mut key = Key::new();
    let first = key.make(&resident(&[0])).unwrap();
    for user in 1..ROOM as u8 {
        key.make(&resident(&[user])).unwrap();
    }
    assert_eq!(key.store.credentials(), ROOM);
    assert_eq!(key.make(&resident(b"one too many")).unwrap_err(), Status::KEY_STORE_FULL);
    let other = Request { rp: RpEntity { id: "other.example", name: None }, ..resident(&[0]) };
    assert_eq!(key.make(&other).unwrap_err(), Status::KEY_STORE_FULL, "another relying party's user is another user");
    let second = key.make(&resident(&[0])).unwrap();
    assert_ne!(first.id(), second.id());
    assert_eq!(key.store.credentials(), ROOM);
    let list = [first.descriptor()];
    let request = keyfob_core::ctap2::get_assertion::Request { allow_list: Some(List::Slice(&list)), ..assertion() };
    assert_eq!(key.get(&request).unwrap_err(), Status::NO_CREDENTIALS);
}

#[test]
fn step_18_a_credential_that_is_not_discoverable_takes_no_room() {
    let mut key = Key::new();
    let commits = key.store.applied();
    for user in 0..20 {
        assert!(key.make(&registration(&[user])).unwrap().id().len() > 32);
    }
    assert_eq!((key.store.applied(), key.store.credentials()), (commits, 0));
}

#[test]
fn names_are_cut_at_a_character_after_at_most_64_bytes() {
    let mut key = with_pin();
    for (user, name) in [("a", "é".repeat(40)), ("b", format!("x{}", "é".repeat(40)))] {
        let token = key.token(Two, PIN, MC, None).unwrap();
        let user = UserEntity { id: user.as_bytes(), name: Some(&name), display_name: Some(&name) };
        key.make_with(Two, &token, Request { user, ..resident(b"u") }).unwrap();
    }
    let token = key.token(Two, PIN, GA, None).unwrap();
    let (second, first) = (key.get_with(Two, &token, assertion()).unwrap(), key.get_next().unwrap());
    assert_eq!(second.user_name.unwrap(), format!("x{}", "é".repeat(31)));
    assert_eq!(first.user_name.unwrap(), "é".repeat(32));
    assert_eq!(first.display_name.unwrap(), "é".repeat(32));
}
