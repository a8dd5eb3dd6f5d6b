//! authenticatorCredentialManagement and its prototype, in the order of CTAP 2.3 §6.8.

use keyfob_core::{
    Status,
    cbor::{List, RawMap},
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::{
        self, Command, CredentialDescriptor, CredentialParameters, CredentialType, RpEntity, UserEntity,
        credential_management::{Params, Request, Response, authenticated_head, subcommand::*},
        make_credential,
    },
    pin_uv::{Permissions, PinUvAuthProtocol, PinUvAuthProtocol::Two, Token},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::Config,
    store::{Change, Setting, Store},
};

use super::harness::*;

pub const OTHER_RP: &str = "example.com";

/// A key with a PIN, and with credentials of two users at [`RP`] and, between them, of one at [`OTHER_RP`].
pub fn stocked() -> (Key, [Made; 3]) {
    let mut key = Key::new();
    let eddsa = [CredentialParameters::new(Algorithm::EDDSA)];
    let user = UserEntity { id: b"a", name: Some("ann"), display_name: Some("Ann") };
    let a = key.make(&make_credential::Request { user, ..resident(b"a") }).unwrap();
    let rp = RpEntity { id: OTHER_RP, name: Some("Other") };
    let pub_key_cred_params = List::Slice(&eddsa[..]);
    let c = key.make(&make_credential::Request { rp, pub_key_cred_params, ..resident(b"c") }).unwrap();
    let b = key.make(&resident(b"b")).unwrap();
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    (key, [a, b, c])
}

pub fn read(response: &[u8]) -> Response<'_> {
    ctap2::decode_response(response).unwrap()
}

pub fn rp_params(rp_id: &str) -> Vec<u8> {
    encoded(&Params { rp_id_hash: Some(&rp_id_hash(rp_id)), ..Params::default() })
}

pub fn id_params(made: &Made) -> Vec<u8> {
    encoded(&Params { credential_id: Some(made.descriptor()), ..Params::default() })
}

pub fn user_params(made: &Made, user: UserEntity<'_>) -> Vec<u8> {
    encoded(&Params { credential_id: Some(made.descriptor()), user: Some(user), ..Params::default() })
}

pub fn user<'a>(id: &'a [u8], name: &'a str, display_name: &'a str) -> UserEntity<'a> {
    UserEntity { id, name: Some(name), display_name: Some(display_name) }
}

/// Every subcommand that needs a token, with valid parameters.
fn gated(made: &Made) -> [(u32, Option<Vec<u8>>); 5] {
    [
        (GET_CREDS_METADATA, None),
        (ENUMERATE_RPS_BEGIN, None),
        (ENUMERATE_CREDENTIALS_BEGIN, Some(rp_params(RP))),
        (UPDATE_USER_INFORMATION, Some(user_params(made, user(b"a", "x", "y")))),
        (DELETE_CREDENTIAL, Some(id_params(made))),
    ]
}

/// 6.8: no pinUvAuthParam, with and without a PIN → PUAT_REQUIRED
#[test]
fn without_a_proof_a_token_is_asked_for_even_where_no_pin_is_set() {
    let (mut key, [a, ..]) = stocked();
    for (sub_command, params) in gated(&a) {
        let sub_command_params = params.as_deref().map(RawMap);
        let request = Request { sub_command, sub_command_params, pin_uv_auth_protocol: None, pin_uv_auth_param: None };
        let request = message(Command::CREDENTIAL_MANAGEMENT, &request);
        assert_eq!(key.status(&request), Status::PUAT_REQUIRED);
        assert_eq!(Key::new().status(&request), Status::PUAT_REQUIRED);
    }
}

/// 6.8: pinUvAuthParam without a protocol, or a parameter is missing → MISSING_PARAMETER
/// 6.8: unknown protocol → INVALID_PARAMETER
/// 6.8: wrong MAC → PIN_AUTH_INVALID
#[test]
fn protocol_parameters_and_proof_are_checked_in_this_order() {
    let (mut key, [a, ..]) = stocked();
    for (sub_command, params) in gated(&a) {
        let token = key.unbound(CM);
        let (commits, retries) = (key.store.applied(), key.retries());
        let full = manage_message(&token, sub_command, params.as_deref());
        let full: Request<'_> = keyfob_core::cbor::decode(&full[1..]).unwrap();
        let wrong = Some(&[0; 32][..]);
        let mut check = |request: Request<'_>, expected: Status| {
            assert_eq!(key.status(&message(Command::CREDENTIAL_MANAGEMENT, &request)), expected, "{request:?}");
        };
        check(Request { pin_uv_auth_protocol: None, pin_uv_auth_param: wrong, ..full }, Status::MISSING_PARAMETER);
        for number in [0, 3, u32::MAX] {
            let pin_uv_auth_protocol = Some(number);
            check(Request { pin_uv_auth_protocol, sub_command_params: None, ..full }, Status::INVALID_PARAMETER);
        }
        if params.is_some() {
            for empty in [None, Some(RawMap::EMPTY)] {
                let request = Request { sub_command_params: empty, pin_uv_auth_param: wrong, ..full };
                check(request, Status::MISSING_PARAMETER);
            }
        }
        let other_protocol = Some(PinUvAuthProtocol::One.number());
        for pin_uv_auth_param in [wrong, Some(&[]), full.pin_uv_auth_param.map(|param| &param[..31])] {
            check(Request { pin_uv_auth_param, ..full }, Status::PIN_AUTH_INVALID);
        }
        check(Request { pin_uv_auth_protocol: other_protocol, ..full }, Status::PIN_AUTH_INVALID);
        assert_eq!((key.store.applied(), key.retries()), (commits, retries), "nothing is changed or counted");
        assert_eq!(key.status(&message(Command::CREDENTIAL_MANAGEMENT, &full)), Status::OK);
    }
}

/// 6.8: a pinUvAuthParam that does not cover the parameters → PIN_AUTH_INVALID
#[test]
fn the_proof_covers_the_parameters_as_they_came() {
    let (mut key, [a, ..]) = stocked();
    let token = key.unbound(CM);
    let head = authenticated_head(DELETE_CREDENTIAL);
    let param = token.authenticate(&RustCrypto, Two, &[&head]);
    let params = id_params(&a);
    let request = Request {
        sub_command: DELETE_CREDENTIAL,
        sub_command_params: Some(RawMap(&params)),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(param.as_bytes()),
    };
    assert_eq!(key.status(&message(Command::CREDENTIAL_MANAGEMENT, &request)), Status::PIN_AUTH_INVALID);
    // Unknown members are also covered, and ignored.
    let mut params = params;
    params[0] += 1;
    params.extend([0x18, 0x63, 0xF5]);
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&params)), [0]);
}

/// 6.8: no permission cm → PIN_AUTH_INVALID
#[test]
fn a_token_without_the_permission_is_refused() {
    let (mut key, [a, ..]) = stocked();
    for (sub_command, params) in gated(&a) {
        for permissions in [MC.with(GA), LBW.with(ACFG)] {
            let token = key.unbound(permissions);
            let response = key.manage(&token, sub_command, params.as_deref());
            assert_eq!(status(&response), Status::PIN_AUTH_INVALID);
        }
    }
}

#[test]
fn metadata_count_what_is_there_and_what_has_room() {
    let mut key = Key::new();
    key.set_pin(Two, PIN);
    let token = key.unbound(CM);
    let response = key.manage(&token, GET_CREDS_METADATA, None);
    assert_eq!(response, [0, 0xA2, 1, 0, 2, ROOM as u8], "an empty store is no error");
    let (mut key, _) = stocked();
    let token = key.unbound(CM);
    assert_eq!(key.manage(&token, GET_CREDS_METADATA, None), [0, 0xA2, 1, 3, 2, ROOM as u8 - 3]);
}

#[test]
fn the_stores_state_is_a_new_one_with_every_discoverable_credential() {
    let mut key = Key::new();
    let mut states = vec![key.store.setting(Setting::StoreState)];
    for user in [b"a", b"b", b"a"] {
        key.make(&resident(user)).unwrap();
        let state = key.store.setting(Setting::StoreState);
        assert!(!states.contains(&state));
        states.push(state);
    }
}

/// 6.8: a token bound to a relying party, for all credentials or for another's → PIN_AUTH_INVALID
#[test]
fn a_bound_token_reads_and_changes_only_what_is_its_relying_partys() {
    let (mut key, [a, _, c]) = stocked();
    let token = key.token(Two, PIN, CM, Some(RP)).unwrap();
    let refused = [Status::PIN_AUTH_INVALID.0];
    assert_eq!(key.manage(&token, GET_CREDS_METADATA, None), refused);
    assert_eq!(key.manage(&token, ENUMERATE_RPS_BEGIN, None), refused);
    assert_eq!(key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(OTHER_RP))), refused);
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&c))), refused);
    let params = user_params(&c, user(b"c", "x", "y"));
    assert_eq!(key.manage(&token, UPDATE_USER_INFORMATION, Some(&params)), refused);
    let unknown = encoded(&Params { credential_id: Some(CredentialDescriptor::new(&[9; 32])), ..Params::default() });
    assert_eq!(
        key.manage(&token, DELETE_CREDENTIAL, Some(&unknown)),
        refused,
        "the status does not reveal whether it
    exists"
    );
    assert_eq!(key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)))[0], 0);
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&a))), [0]);
}

/// 6.8 deleteCredential: deleted before → NO_CREDENTIALS
#[test]
fn a_deleted_credential_is_gone_and_the_others_are_not() {
    let (mut key, [a, b, c]) = stocked();
    let token = key.unbound(CM);
    let state = key.store.setting(Setting::StoreState);
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&b))), [0]);
    assert_ne!(key.store.setting(Setting::StoreState), state, "the store's state is a new one");
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&b))), [Status::NO_CREDENTIALS.0]);
    assert_eq!(key.store.credentials(), 2);
    assert!(key.get(&assertion()).unwrap().is_by(&a));
    let token = key.unbound(CM);
    let response = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(OTHER_RP)));
    assert_eq!(read(&response).public_key, Some(c.key()));
}

/// 6.8 deleteCredential, updateUserInformation: unknown, or not discoverable → NO_CREDENTIALS
#[test]
fn credentials_that_are_unknown_wrapped_or_of_another_type_cannot_be_changed() {
    let (mut key, [a, ..]) = stocked();
    let wrapped = key.make(&registration(b"w")).unwrap();
    let token = key.unbound(CM);
    let commits = key.store.applied();
    let other_type = CredentialDescriptor { kind: CredentialType("private-key"), ..a.descriptor() };
    for descriptor in [wrapped.descriptor(), CredentialDescriptor::new(&[]), other_type] {
        let credential_id = Some(descriptor);
        let params = encoded(&Params { credential_id, ..Params::default() });
        assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&params)), [Status::NO_CREDENTIALS.0]);
        let params = encoded(&Params { credential_id, user: Some(user(b"a", "x", "y")), ..Params::default() });
        assert_eq!(key.manage(&token, UPDATE_USER_INFORMATION, Some(&params)), [Status::NO_CREDENTIALS.0]);
    }
    assert_eq!(key.store.applied(), commits);
}

#[test]
fn an_update_replaces_both_names_and_neither_id_nor_key() {
    let (mut key, [a, ..]) = stocked();
    let token = key.unbound(CM);
    let long = "ü".repeat(40);
    let state = key.store.setting(Setting::StoreState);
    for (given, expected) in [
        (user(b"a", "anna", "Anna"), user(b"a", "anna", "Anna")),
        (user(b"a", &long, ""), UserEntity { display_name: None, ..user(b"a", &long[..64], "") }),
        (UserEntity { name: None, ..user(b"a", "", "A.") }, UserEntity { name: None, ..user(b"a", "", "A.") }),
        (
            UserEntity { id: b"a", name: None, display_name: None },
            UserEntity { id: b"a", name: None, display_name: None },
        ),
    ] {
        assert_eq!(key.manage(&token, UPDATE_USER_INFORMATION, Some(&user_params(&a, given))), [0]);
        assert_eq!(key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)))[0], 0);
        let second = key.manage_next(ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL);
        let second = read(&second);
        assert_eq!((second.user, second.public_key), (Some(expected), Some(a.key())));
    }
    assert_ne!(key.store.setting(Setting::StoreState), state);
    let list = [a.descriptor()];
    let allow_list = Some(List::Slice(&list[..]));
    let got = key.get(&ctap2::get_assertion::Request { allow_list, ..assertion() }).unwrap();
    assert!(got.is_by(&a) && got.id == a.id());
}

#[test]
fn an_empty_user_id_is_kept_replaced_listed_and_updated() {
    let mut key = Key::with_pin();
    let mut made = Vec::new();
    for name in ["first", "second"] {
        let token = key.token(Two, PIN, Permissions::MC, Some(RP)).unwrap();
        made.push(
            key.make_with(Two, &token, make_credential::Request { user: user(b"", name, ""), ..resident(b"") })
                .unwrap(),
        );
    }
    let got = key.get(&assertion()).unwrap();
    assert_eq!(
        (got.user_id, got.number),
        (None, None),
        "the second replaced the first, and nothing is left of its user"
    );
    assert_eq!(got.id, made[1].id());
    let token = key.unbound(CM);
    for name in ["second", "third"] {
        let user = user(b"", name, "");
        assert_eq!(key.manage(&token, UPDATE_USER_INFORMATION, Some(&user_params(&made[1], user))), [0]);
        assert_eq!(key.manage_users_of(RP), (made[1].id().to_vec(), Some(name.into())));
    }
}

/// 6.8 updateUserInformation: another user's id → INVALID_PARAMETER
#[test]
fn an_update_for_another_user_is_refused() {
    let (mut key, [a, ..]) = stocked();
    let token = key.unbound(CM);
    let commits = key.store.applied();
    for id in [&b"b"[..], b"", b"aa"] {
        let response = key.manage(&token, UPDATE_USER_INFORMATION, Some(&user_params(&a, user(id, "x", "y"))));
        assert_eq!(response, [Status::INVALID_PARAMETER.0]);
    }
    assert_eq!(key.store.applied(), commits);
}

/// 6.8 updateUserInformation: the store is full → KEY_STORE_FULL
#[test]
fn an_update_without_room_says_so() {
    let (mut key, [a, ..]) = stocked();
    let token = key.unbound(CM);
    key.store.fail_at(1, Fault::Full);
    let response = key.manage(&token, UPDATE_USER_INFORMATION, Some(&user_params(&a, user(b"a", "x", "y"))));
    assert_eq!(response, [Status::KEY_STORE_FULL.0]);
}

/// 6.8: as command 0x41 → OK
#[test]
fn the_prototype_is_the_same_command() {
    let (mut key, [a, ..]) = stocked();
    let token = key.unbound(CM);
    for (sub_command, params) in gated(&a) {
        let mut request = manage_message(&token, sub_command, params.as_deref());
        request[0] = Command::CREDENTIAL_MANAGEMENT_PREVIEW.0;
        assert_eq!(key.status(&request), Status::OK);
        if sub_command == ENUMERATE_RPS_BEGIN {
            assert_eq!(key.status(&[0x41, 0xA1, 1, ENUMERATE_RPS_GET_NEXT_RP as u8]), Status::OK);
        }
    }
}

/// 6.8: not supported → INVALID_COMMAND
#[test]
fn without_the_capability_the_command_and_its_permission_are_unknown() {
    let config = Config::new([0xAA; 16]);
    let mut key = Key::with(Config { caps: config.caps.without(Caps::CRED_MGMT).consistent(), ..config });
    key.set_pin(Two, PIN);
    for command in [0x0A, 0x41] {
        assert_eq!(key.status(&[command, 0xA1, 1, 1]), Status::INVALID_COMMAND);
    }
    for permissions in [CM, CM.with(MC), PCMR] {
        assert_eq!(key.token(Two, PIN, permissions, None).unwrap_err(), Status::UNAUTHORIZED_PERMISSION);
    }
    assert_eq!((key.options().cred_mgmt, key.options().credential_mgmt_preview), (None, None));
    assert_eq!(
        (Key::new().options().cred_mgmt, Key::new().options().credential_mgmt_preview),
        (Some(true), Some(true))
    );
}

/// 6.8: unknown subcommand → INVALID_SUBCOMMAND
/// 6.8: no subcommand → MISSING_PARAMETER
#[test]
fn subcommands_that_are_unknown_or_missing_are_named_as_such() {
    let mut key = Key::new();
    for sub_command in [0, 8, 23] {
        assert_eq!(key.manage_next(sub_command), [Status::INVALID_SUBCOMMAND.0]);
    }
    assert_eq!(key.status(&[0x0A, 0xA0]), Status::MISSING_PARAMETER);
    assert_eq!(key.status(&[0x0A]), Status::INVALID_CBOR);
}

#[test]
fn a_member_of_a_wrong_type_is_refused_and_changes_nothing() {
    let (mut key, [a, ..]) = stocked();
    let token = key.unbound(CM);
    let commits = key.store.applied();
    let params = id_params(&a);
    for map in each_of_a_wrong_type(&[(1, &[6]), (2, &params), (3, &[2]), (4, &byte_string(&[0; 32]))]) {
        let request = [&[0x0A], &map[..]].concat();
        assert_eq!(key.status(&request), Status::CBOR_UNEXPECTED_TYPE, "{request:02x?}");
    }
    let (hash, id) = (byte_string(&[0; 32]), encoded(&a.descriptor()));
    let user = encoded(&user(b"a", "x", "y"));
    for map in each_of_a_wrong_type(&[(1, &hash), (2, &id), (3, &user)]) {
        for sub_command in [ENUMERATE_CREDENTIALS_BEGIN, DELETE_CREDENTIAL, UPDATE_USER_INFORMATION] {
            let response = key.manage(&token, sub_command, Some(&map));
            assert_eq!(response, [Status::CBOR_UNEXPECTED_TYPE.0], "{map:02x?}");
        }
    }
    let user = with_icon(&user, &[5]);
    let params = [&[0xA2, 2], &id[..], &[3], &user].concat();
    let response = key.manage(&token, UPDATE_USER_INFORMATION, Some(&params));
    assert_eq!(response, [Status::CBOR_UNEXPECTED_TYPE.0], "a member that 2.1 removed");
    for len in [0, 31, 33] {
        let params = [&[0xA1, 1], &byte_string(&vec![0; len])[..]].concat();
        let response = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&params));
        assert_eq!(response, [Status::INVALID_PARAMETER.0], "a hash of {len} bytes");
    }
    assert_eq!(key.store.applied(), commits);
}

#[test]
fn a_record_that_cannot_be_read_hides_no_other() {
    let (mut key, [a, b, _]) = stocked();
    let put = Change::Put { rp_id_hash: &rp_id_hash(RP), record: &[0xFF] };
    key.store.memory.borrow_mut().commit(&[put]).unwrap();
    let token = key.unbound(CM);
    let rps = key.manage(&token, ENUMERATE_RPS_BEGIN, None);
    assert_eq!((read(&rps).total_rps, read(&rps).rp.unwrap().id), (Some(2), RP));
    let credentials = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
    assert_eq!((read(&credentials).total_credentials, read(&credentials).public_key), (Some(2), Some(b.key())));
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&a))), [0]);
}

#[test]
fn a_store_that_cannot_be_read_is_a_failure() {
    let (mut key, [a, ..]) = stocked();
    let token = key.unbound(CM);
    let requests = gated(&a).map(|(sub_command, params)| manage_message(&token, sub_command, params.as_deref()));
    key.store.fault.set(Fault::Reads);
    for request in requests {
        assert_eq!(key.status(&request), Status::OTHER);
    }
}

#[test]
fn managing_needs_no_touch_and_uses_up_no_token() {
    let (mut key, [a, ..]) = stocked();
    let token = key.unbound(CM);
    key.user = UserAction::Declines;
    for (sub_command, params) in gated(&a) {
        assert_eq!(key.manage(&token, sub_command, params.as_deref())[0], 0);
    }
    assert_eq!(key.touches, 3, "those of the registrations");
    let permissions = Permissions::CM.with(MC);
    assert_eq!(key.token(Two, PIN, permissions, None).map(drop), Ok(()));
}

#[test]
fn a_key_without_an_identity_deletes_all_the_same() {
    let config = Config::new([0xAA; 16]);
    let off = Caps::IDENTIFIER.with(Caps::PERSISTENT_CRED_MGMT);
    let mut key = Key::with(Config { caps: config.caps.without(off).consistent(), ..config });
    let made = key.make(&resident(b"u")).unwrap();
    key.set_pin(Two, PIN);
    let token = key.unbound(CM);
    let state = key.store.setting(Setting::StoreState);
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&made))), [Status::OK.0]);
    assert_eq!((key.store.credentials(), key.store.setting(Setting::StoreState)), (0, state));
    let stranger = Token::new(Two, &[1; 32]).unwrap();
    assert_eq!(key.manage(&stranger, GET_CREDS_METADATA, None), [Status::PIN_AUTH_INVALID.0]);
}
