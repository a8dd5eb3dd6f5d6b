//! `AuthenticatorPolicy::CTAP2_0`: the rules of version 2.0 that later versions changed. `docs/policies.md` lists them.

use std::time::Duration;

use keyfob_core::{
    Failure, Status,
    auth_data::Flags,
    cose::CoseKey,
    crypto::RustCrypto,
    ctap2::{CommandOptions, client_pin, client_pin::subcommand, get_assertion, make_credential},
    extensions::{GetAssertionInputs, hmac_secret::HmacSecretInput},
    pin_uv::PinUvAuthProtocol::{self, One, Two},
};
use keyfob_soft_authenticator::engine::{AuthenticatorPolicy, Config};

use super::harness::*;

const CONFIG: Config<'static> = Config { policy: AuthenticatorPolicy::CTAP2_0, ..Config::new([0xAA; 16]) };

fn with_pin() -> Key {
    let mut key = Key::with(CONFIG);
    assert_eq!(key.set_pin(One, PIN), Status::OK);
    key
}

fn retries(protocol: Option<u32>) -> client_pin::Request<'static> {
    client_pin::Request {
        pin_uv_auth_protocol: protocol,
        sub_command: Some(subcommand::GET_PIN_RETRIES),
        ..client_pin::Request::default()
    }
}

/// 6.1.2: empty pinUvAuthParam, touched, with a PIN, with the policy of CTAP 2.0 → PIN_AUTH_INVALID
/// 6.2.2: empty pinUvAuthParam, touched, with a PIN, with the policy of CTAP 2.0 → PIN_AUTH_INVALID
/// 6.1.2: empty pinUvAuthParam, touched, no PIN, with the policy of CTAP 2.0 → PIN_NOT_SET
/// 6.2.2: empty pinUvAuthParam, touched, no PIN, with the policy of CTAP 2.0 → PIN_NOT_SET
#[test]
fn an_empty_pin_auth_answers_after_the_touch_and_tells_whether_a_pin_is_set() {
    let make = make_credential::Request { pin_uv_auth_param: Some(&[]), ..registration(b"u") };
    let get = get_assertion::Request { pin_uv_auth_param: Some(&[]), ..assertion() };
    let older = Config {
        policy: AuthenticatorPolicy { probe_with_pin: Failure::PIN_INVALID, ..AuthenticatorPolicy::CTAP2_0 },
        ..CONFIG
    };
    for (config, with_pin) in [
        (CONFIG, Status::PIN_AUTH_INVALID),
        (Config::minimal_2_0([0xAA; 16]), Status::PIN_AUTH_INVALID),
        (older, Status::PIN_INVALID),
    ] {
        let mut key = Key::with(config);
        assert_eq!(key.make(&make).unwrap_err(), Status::PIN_NOT_SET);
        assert_eq!(key.get(&get).unwrap_err(), Status::PIN_NOT_SET);
        key.set_pin(One, PIN);
        assert_eq!(key.make(&make).unwrap_err(), with_pin);
        assert_eq!(key.get(&get).unwrap_err(), with_pin);
        assert_eq!(key.touches, 4);
    }
}

#[test]
fn a_token_lives_until_it_is_replaced_and_every_use_asks_for_a_touch() {
    for protocol in [One, Two] {
        let mut key = with_pin();
        let token = key.legacy_token(protocol, PIN).unwrap();
        let rp = keyfob_core::ctap2::RpEntity { id: "other.example", name: None };
        for uses in 0..3 {
            key.wait(Duration::from_secs(3600));
            let made = key.make_with(protocol, &token, resident(b"u")).unwrap();
            let elsewhere = make_credential::Request { rp, ..resident(b"u") };
            key.make_with(protocol, &token, elsewhere).unwrap();
            let got = key.get_with(protocol, &token, assertion()).unwrap();
            assert!(got.is_by(&made) && made.has(Flags::UV) && got.has(Flags::UV));
            assert_eq!(key.touches, (uses + 1) * 3);
        }
        let replaced = key.legacy_token(protocol, PIN).unwrap();
        let refused = key.make_with(protocol, &token, resident(b"u")).unwrap_err();
        assert_eq!(refused, Status::PIN_AUTH_INVALID);
        key.make_with(protocol, &replaced, resident(b"u")).unwrap();
        assert_eq!(key.change_pin(protocol, PIN, "another"), Status::OK);
        let refused = key.make_with(protocol, &replaced, resident(b"u")).unwrap_err();
        assert_eq!(refused, Status::PIN_AUTH_INVALID);
    }
}

#[test]
fn a_token_without_permissions_manages_credentials_too() {
    use keyfob_core::ctap2::credential_management::subcommand::ENUMERATE_RPS_BEGIN;
    let mut key = with_pin();
    let token = key.legacy_token(Two, PIN).unwrap();
    key.make_with(Two, &token, resident(b"u")).unwrap();
    assert_eq!(key.manage(&token, ENUMERATE_RPS_BEGIN, None)[0], 0);
    // The strict policy differs.
    let mut key = Key::with_pin();
    let token = key.legacy_token(Two, PIN).unwrap();
    assert_eq!(key.manage(&token, ENUMERATE_RPS_BEGIN, None), [Status::PIN_AUTH_INVALID.0]);
}

/// 6.8 deleteCredential: unknown, and the token is bound, with the policy of CTAP 2.0 → NO_CREDENTIALS
#[test]
fn an_id_that_is_not_here_is_not_found_though_the_token_is_bound() {
    use keyfob_core::ctap2::credential_management::subcommand::DELETE_CREDENTIAL;
    for (config, expected) in [(CONFIG, Status::NO_CREDENTIALS), (Config::new([0; 16]), Status::PIN_AUTH_INVALID)] {
        let mut key = Key::with(config);
        let made = key.make(&resident(b"u")).unwrap();
        assert_eq!(key.set_pin(Two, PIN), Status::OK);
        let token = key.token(Two, PIN, CM, Some(RP)).unwrap();
        let params = super::credential_management::id_params(&made);
        assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&params)), [0]);
        assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&params)), [expected.0]);
    }
}

/// 6.1.2: a pinUvAuthParam, and neither PIN nor user verification is set up, with the policy of CTAP 2.0 → PIN_NOT_SET
/// 6.2.2: a pinUvAuthParam, and neither PIN nor user verification is set up, with the policy of CTAP 2.0 → PIN_NOT_SET
/// 6.1.2: pinUvAuthParam without a protocol or with one that is off, with the policy of CTAP 2.0 → PIN_AUTH_INVALID
/// 6.2.2: pinUvAuthParam without a protocol or with one that is off, with the policy of CTAP 2.0 → PIN_AUTH_INVALID
#[test]
fn a_pin_auth_is_refused_where_no_pin_is_set_and_with_a_protocol_that_is_not_there() {
    let mut key = Key::with(CONFIG);
    key.make(&resident(b"u")).unwrap();
    key.touches = 0;
    for (pin_uv_auth_protocol, expected) in
        [(Some(1), Status::PIN_NOT_SET), (Some(3), Status::PIN_AUTH_INVALID), (None, Status::PIN_AUTH_INVALID)]
    {
        let param = Some(&[1; 16][..]);
        let make = make_credential::Request { pin_uv_auth_param: param, pin_uv_auth_protocol, ..registration(b"u") };
        assert_eq!(key.make(&make).unwrap_err(), expected);
        let get = get_assertion::Request { pin_uv_auth_param: param, pin_uv_auth_protocol, ..assertion() };
        assert_eq!(key.get(&get).unwrap_err(), expected);
    }
    assert_eq!(key.touches, 0);
}

/// 6.1.2: up given, with the policy of CTAP 2.0 → INVALID_OPTION
#[test]
fn up_is_no_option_of_a_registration() {
    let with = |up| make_credential::Request {
        options: Some(CommandOptions { up, ..Default::default() }),
        ..registration(b"u")
    };
    let mut key = Key::with(CONFIG);
    for up in [true, false] {
        assert_eq!(key.make(&with(Some(up))).unwrap_err(), Status::INVALID_OPTION);
    }
    key.make(&with(None)).unwrap();
    Key::new().make(&with(Some(true))).unwrap();
}

/// 6.5.5 getPINRetries: without a protocol, with the policy of CTAP 2.0 → MISSING_PARAMETER
/// 6.5.5 getPINRetries: with a protocol that is off, with the policy of CTAP 2.0 → INVALID_PARAMETER
/// 6.5.5 setPIN: a PIN is set, with the policy of CTAP 2.0 → NOT_ALLOWED
#[test]
fn every_subcommand_of_client_pin_has_a_protocol_and_a_pin_is_set_once() {
    let mut key = with_pin();
    assert_eq!(key.client_pin(&retries(None)), Status::MISSING_PARAMETER);
    assert_eq!(key.client_pin(&retries(Some(3))), Status::INVALID_PARAMETER);
    for protocol in [One, Two] {
        assert_eq!(key.client_pin(&retries(Some(protocol.number()))), Status::OK);
    }
    assert_eq!(key.set_pin(One, PIN), Status::NOT_ALLOWED);
}

fn salts(key: &mut Key, protocol: PinUvAuthProtocol, plain: &[u8], damage: u8) -> Status {
    let session = key.agree(protocol);
    let salt_enc = key.encrypt(&session, plain);
    let mut salt_auth = session.shared.authenticate(&RustCrypto, &[&salt_enc]).as_bytes().to_vec();
    salt_auth[0] ^= damage;
    let input = HmacSecretInput {
        key_agreement: CoseKey::key_agreement(&session.point),
        salt_enc: &salt_enc,
        salt_auth: &salt_auth,
        pin_uv_auth_protocol: Some(protocol.number()),
    };
    let inputs = raw(&GetAssertionInputs { hmac_secret: Some(input), ..Default::default() });
    key.get(&asking(&inputs)).err().unwrap_or(Status::OK)
}

/// 12 hmac-secret: salts that are not 32 or 64 bytes, with the policy of CTAP 2.0 → INVALID_LENGTH
/// 12 hmac-secret: saltAuth does not verify, with the policy of CTAP 2.0 → EXTENSION_FIRST
#[test]
fn salts_of_a_wrong_length_and_a_wrong_proof_have_statuses_of_their_own() {
    let mut key = Key::with(CONFIG);
    key.make(&resident(b"u")).unwrap();
    for protocol in [One, Two] {
        for (len, expected) in [
            (16, Status::INVALID_LENGTH),
            (32, Status::OK),
            (48, Status::INVALID_LENGTH),
            (64, Status::OK),
            (80, Status::INVALID_LENGTH),
            (96, Status::INVALID_LENGTH),
        ] {
            assert_eq!(salts(&mut key, protocol, &vec![0xA5; len], 0), expected, "{len} bytes");
        }
        assert_eq!(salts(&mut key, protocol, &[0xA5; 32], 1), Status::EXTENSION_FIRST);
    }
}

/// 6.1.2: no param, with a PIN, with the policy of CTAP 2.0 → PUAT_REQUIRED
#[test]
fn a_pin_that_is_set_is_always_demanded_of_a_registration_and_never_of_a_sign_in() {
    let mut key = Key::with(CONFIG);
    let made = key.make(&registration(b"u")).unwrap();
    assert_eq!(key.set_pin(One, PIN), Status::OK);
    assert_eq!(key.make(&registration(b"u")).unwrap_err(), Status::PUAT_REQUIRED);
    let list = [made.descriptor()];
    assert!(!key.get(&listed(assertion(), &list)).unwrap().has(Flags::UV));
    assert_eq!(key.options().make_cred_uv_not_rqd, Some(false));
}

#[test]
fn get_info_names_no_version_after_2_0() {
    Key::with(CONFIG).info(|info| assert!(info.versions.iter().eq(["U2F_V2", "FIDO_2_0"])));
}
