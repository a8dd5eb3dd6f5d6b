//! authenticatorClientPIN, subcommand by subcommand, in the order of CTAP 2.3 §6.5.5.

use std::time::Duration;

use keyfob_core::{
    Status,
    auth_data::Flags,
    cose::CoseKey,
    crypto::{P256Point, RustCrypto},
    ctap2::client_pin::{Request, subcommand::*},
    ctap2::{Command, RpEntity, make_credential},
    pin_uv::{PaddedPin, Permissions, PinUvAuthProtocol, PinUvAuthProtocol::One, PinUvAuthProtocol::Two},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{AuthenticatorPolicy, Config},
    store::Setting,
};

use super::harness::*;

const WRONG: &str = "4321";

fn with_pin(protocol: PinUvAuthProtocol) -> Key {
    let mut key = Key::new();
    assert_eq!(key.set_pin(protocol, PIN), Status::OK);
    key
}

/// Every required member left out, one at a time.
fn each_missing<'a>(full: Request<'a>, permissions: bool) -> Vec<Request<'a>> {
    let mut requests = vec![
        Request { pin_uv_auth_protocol: None, ..full },
        Request { sub_command: None, ..full },
        Request { key_agreement: None, ..full },
    ];
    if full.pin_uv_auth_param.is_some() {
        requests.push(Request { pin_uv_auth_param: None, ..full });
    }
    if full.new_pin_enc.is_some() {
        requests.push(Request { new_pin_enc: None, ..full });
    }
    if full.pin_hash_enc.is_some() {
        requests.push(Request { pin_hash_enc: None, ..full });
    }
    if permissions {
        requests.push(Request { permissions: None, ..full });
    }
    requests
}

/// 6.5.5: unknown subcommand, or one that is off → INVALID_SUBCOMMAND
/// 6.5.5: no subcommand → MISSING_PARAMETER
#[test]
fn subcommands_that_are_not_supported_are_named_as_such() {
    for sub_command in [0, GET_UV_RETRIES, 8, 10, 255, u32::MAX] {
        let request = Request { sub_command: Some(sub_command), ..Request::default() };
        assert_eq!(Key::new().client_pin(&request), Status::INVALID_SUBCOMMAND);
    }
    assert_eq!(Key::new().client_pin(&Request::default()), Status::MISSING_PARAMETER);
    let config = Config::new([0; 16]);
    let mut key = Key::with(Config { caps: config.caps.without(Caps::TOKEN_PERMISSIONS).consistent(), ..config });
    for sub_command in [GET_TOKEN_USING_PIN, GET_TOKEN_USING_UV] {
        let request = Request { sub_command: Some(sub_command), ..Request::default() };
        assert_eq!(key.client_pin(&request), Status::INVALID_SUBCOMMAND);
    }
}

/// 6.5.5: no PIN supported → INVALID_COMMAND
#[test]
fn without_the_capability_the_command_is_unknown() {
    let pin = Caps::CLIENT_PIN.with(Caps::PROTOCOL_ONE).with(Caps::PROTOCOL_TWO).with(Caps::TOKEN_PERMISSIONS);
    let pin = pin.with(Caps::HMAC_SECRET).with(Caps::HMAC_SECRET_MC).with(Caps::PIN_COMPLEXITY);
    let config = Config::new([0; 16]);
    let mut key = Key::with(Config { caps: config.caps.without(pin).consistent(), ..config });
    assert_eq!(key.status(&[0x06, 0xA1, 0x02, 0x01]), Status::INVALID_COMMAND);
    key.make(&resident(b"u")).unwrap();
    let empty = make_credential::Request { pin_uv_auth_param: Some(&[]), ..resident(b"u") };
    assert_eq!(key.make(&empty).unwrap_err(), Status::MISSING_PARAMETER, "not a probe");
}

/// 6.5.5 getKeyAgreement: no protocol → MISSING_PARAMETER
/// 6.5.5 getKeyAgreement: unknown protocol → INVALID_PARAMETER
#[test]
fn get_key_agreement_needs_a_protocol_and_keeps_its_key_until_a_wrong_pin() {
    for (number, expected) in
        [(None, Status::MISSING_PARAMETER), (Some(0), Status::INVALID_PARAMETER), (Some(3), Status::INVALID_PARAMETER)]
    {
        let sub_command = Some(GET_KEY_AGREEMENT);
        let request = Request { pin_uv_auth_protocol: number, sub_command, ..Request::default() };
        assert_eq!(Key::new().client_pin(&request), expected);
    }
    let mut key = with_pin(Two);
    let request = [0x06, 0xA2, 0x01, 0x02, 0x02, 0x02];
    let first = key.call(&request);
    assert_eq!(first[..9], [0, 0xA1, 1, 0xA5, 1, 2, 3, 0x38, 0x18], "a COSE key of algorithm -25");
    assert_eq!(key.call(&request), first);
    key.token(Two, PIN, MC, None).unwrap();
    assert_eq!(key.call(&request), first);
    assert_eq!(key.token(Two, WRONG, MC, None).unwrap_err(), Status::PIN_INVALID);
    let second = key.call(&request);
    assert_ne!(second, first);
    key.power_cycle();
    assert_ne!(key.call(&request), second);
}

/// 6.5.5 getPINRetries: no PIN, with the policy of YubiKeys → PIN_NOT_SET
#[test]
fn retries_are_told_without_a_protocol_and_before_a_pin_is_set() {
    assert_eq!(Key::new().retries(), (8, false));
    let config = Config::new([0; 16]);
    let mut key = Key::with(Config {
        policy: AuthenticatorPolicy { retries_need_pin: true, ..AuthenticatorPolicy::STRICT },
        ..config
    });
    let request = Request { sub_command: Some(GET_PIN_RETRIES), ..Request::default() };
    assert_eq!(key.client_pin(&request), Status::PIN_NOT_SET);
    key.set_pin(Two, PIN);
    assert_eq!(key.retries(), (8, false));
}

/// 6.5.5 setPIN: a member is missing → MISSING_PARAMETER
/// 6.5.5 setPIN: unknown protocol, or a point that is not on the curve → INVALID_PARAMETER
/// 6.5.5 setPIN: a PIN is set already, or a wrong MAC → PIN_AUTH_INVALID
#[test]
fn set_pin_checks_in_the_standards_order() {
    let mut key = Key::new();
    let session = key.agree(Two);
    let new_pin_enc = key.encrypt(&session, PaddedPin::new(PIN, 4).unwrap().as_bytes());
    let param = session.shared.authenticate(&RustCrypto, &[&new_pin_enc]);
    let (param, off_curve) = (Some(param.as_bytes()), P256Point { x: [1; 32], y: [1; 32] });
    let full = Request { pin_uv_auth_param: param, new_pin_enc: Some(&new_pin_enc), ..session.request(SET_PIN) };
    for request in each_missing(full, false) {
        assert_eq!(key.client_pin(&request), Status::MISSING_PARAMETER);
    }
    let bad_key = Some(CoseKey::key_agreement(&off_curve));
    let bad_param = Some(&[0; 32][..]);
    assert_eq!(key.client_pin(&Request { pin_uv_auth_protocol: Some(3), ..full }), Status::INVALID_PARAMETER);
    let both = Request { key_agreement: bad_key, pin_uv_auth_param: bad_param, ..full };
    assert_eq!(key.client_pin(&both), Status::INVALID_PARAMETER);
    assert_eq!(key.client_pin(&Request { pin_uv_auth_param: bad_param, ..full }), Status::PIN_AUTH_INVALID);
    let short = Some(&param.unwrap()[..16]);
    assert_eq!(key.client_pin(&Request { pin_uv_auth_param: short, ..full }), Status::PIN_AUTH_INVALID);
    assert_eq!(key.store.applied(), 1, "only the seed of the first boot");
    assert_eq!(key.client_pin(&full), Status::OK);
    assert_eq!(key.client_pin(&both), Status::PIN_AUTH_INVALID, "the check for a set PIN comes before that of the key");
    assert_eq!(key.client_pin(&full), Status::PIN_AUTH_INVALID);
}

/// 6.5.5 setPIN: the plaintext is not 64 bytes → INVALID_PARAMETER
/// 6.5.5 setPIN: under minPINLength code points, or over 63 bytes → PIN_POLICY_VIOLATION
#[test]
fn a_new_pin_is_64_bytes_with_4_code_points_and_at_most_63_bytes() {
    let padded = |pin: &[u8]| {
        let mut padded = pin.to_vec();
        padded.resize(64, 0);
        padded
    };
    for protocol in [One, Two] {
        for len in [0, 16, 32, 48, 80, 128, 256] {
            assert_eq!(Key::new().set_padded(protocol, &vec![b'1'; len]), Status::INVALID_PARAMETER, "{len} bytes");
        }
        for len in 0..=64 {
            let expected = if (4..=63).contains(&len) { Status::OK } else { Status::PIN_POLICY_VIOLATION };
            assert_eq!(Key::new().set_padded(protocol, &padded(&vec![b'1'; len])), expected, "{len} characters");
        }
        for (pin, expected) in [
            ("äöü", Status::PIN_POLICY_VIOLATION),
            ("äöüß", Status::OK),
            ("数字密", Status::PIN_POLICY_VIOLATION),
            ("数字密码", Status::OK),
            ("🔑🔑🔑", Status::PIN_POLICY_VIOLATION),
            ("🔑🔑🔑🔑", Status::OK),
            ("🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑", Status::PIN_POLICY_VIOLATION), // 64 bytes
            ("كلمة", Status::OK),
            ("1\u{0}\u{0}4", Status::OK),
            ("123\u{0}", Status::PIN_POLICY_VIOLATION),
        ] {
            let mut key = Key::new();
            assert_eq!(key.set_padded(protocol, &padded(pin.as_bytes())), expected, "{pin}");
            if expected.is_ok() {
                key.token(protocol, pin, MC, None).unwrap();
            }
        }
    }
    let mut key = Key::with(Config { min_pin_length: 6, ..Config::new([0; 16]) });
    assert_eq!(key.set_pin(Two, "12345"), Status::PIN_POLICY_VIOLATION);
    assert_eq!(key.set_pin(Two, "123456"), Status::OK);
}

/// 6.5.5 setPIN: newPinEnc does not decrypt → PIN_AUTH_INVALID
#[test]
fn a_ciphertext_that_is_not_whole_blocks_does_not_decrypt() {
    for protocol in [One, Two] {
        let mut key = Key::new();
        let session = key.agree(protocol);
        for len in [0, 1, 15, 63, 65, 81] {
            let new_pin_enc = vec![0; len];
            let param = session.shared.authenticate(&RustCrypto, &[&new_pin_enc]);
            let request = Request {
                pin_uv_auth_param: Some(param.as_bytes()),
                new_pin_enc: Some(&new_pin_enc),
                ..session.request(SET_PIN)
            };
            let expected = if protocol == One && len == 0 {
                Status::INVALID_PARAMETER // decrypts to an empty plaintext, which is not 64 bytes
            } else {
                Status::PIN_AUTH_INVALID
            };
            assert_eq!(key.client_pin(&request), expected, "{protocol:?}, {len} bytes");
        }
    }
}

/// 6.5.5 changePIN: no PIN → PIN_NOT_SET
/// 6.5.5 changePIN: a member is missing → MISSING_PARAMETER
/// 6.5.5 changePIN: unknown protocol, or a point that is not on the curve → INVALID_PARAMETER
/// 6.5.5 changePIN: wrong MAC → PIN_AUTH_INVALID
#[test]
fn change_pin_checks_in_the_standards_order() {
    let mut key = Key::new();
    assert_eq!(key.change_pin(Two, PIN, WRONG), Status::PIN_NOT_SET);
    key.set_pin(Two, PIN);
    let session = key.agree(Two);
    let new_pin_enc = key.encrypt(&session, PaddedPin::new(WRONG, 4).unwrap().as_bytes());
    let pin_hash_enc = key.encrypt(&session, &pin_hash(PIN));
    let param = session.shared.authenticate(&RustCrypto, &[&new_pin_enc, &pin_hash_enc]);
    let full = Request {
        pin_uv_auth_param: Some(param.as_bytes()),
        new_pin_enc: Some(&new_pin_enc),
        pin_hash_enc: Some(&pin_hash_enc),
        ..session.request(CHANGE_PIN)
    };
    for request in each_missing(full, false) {
        assert_eq!(key.client_pin(&request), Status::MISSING_PARAMETER);
    }
    let off_curve = P256Point { x: [1; 32], y: [1; 32] };
    let bad_param = Some(&[0; 32][..]);
    assert_eq!(key.client_pin(&Request { pin_uv_auth_protocol: Some(9), ..full }), Status::INVALID_PARAMETER);
    let both =
        Request { key_agreement: Some(CoseKey::key_agreement(&off_curve)), pin_uv_auth_param: bad_param, ..full };
    assert_eq!(key.client_pin(&both), Status::INVALID_PARAMETER);
    assert_eq!(key.client_pin(&Request { pin_uv_auth_param: bad_param, ..full }), Status::PIN_AUTH_INVALID);
    assert_eq!(key.retries(), (8, false), "none of these was an attempt");
    assert_eq!(key.client_pin(&full), Status::OK);
    assert_eq!(key.token(Two, PIN, MC, None).unwrap_err(), Status::PIN_INVALID);
    key.token(Two, WRONG, MC, None).unwrap();
}

/// 6.5.5 changePIN: wrong PIN, with any new PIN → PIN_INVALID
/// 6.5.5 changePIN: right PIN, the new PIN violates the policy → PIN_POLICY_VIOLATION
#[test]
fn change_pin_counts_a_wrong_pin_before_it_looks_at_the_new_one() {
    let mut key = with_pin(One);
    assert_eq!(key.change_pin(One, WRONG, "1"), Status::PIN_INVALID);
    assert_eq!(key.retries(), (7, false));
    assert_eq!(key.change_pin(One, PIN, "1"), Status::PIN_POLICY_VIOLATION);
    assert_eq!(key.retries(), (8, false), "the right PIN restores the retries");
    assert_eq!(key.change_padded(One, PIN, &[b'1'; 80]), Status::INVALID_PARAMETER);
    key.token(One, PIN, MC, None).unwrap();
}

/// 6.5.5 changePIN: a token from before the change → PIN_AUTH_INVALID
#[test]
fn change_pin_voids_the_token() {
    let mut key = with_pin(Two);
    let token = key.token(Two, PIN, MC, None).unwrap();
    assert_eq!(key.change_pin(One, PIN, "5678"), Status::OK);
    assert_eq!(key.make_with(Two, &token, registration(b"u")).unwrap_err(), Status::PIN_AUTH_INVALID);
}

/// 6.5.5 wrong PIN: the first two in a row → PIN_INVALID
/// 6.5.5 wrong PIN: the third in a row, and every attempt until a power cycle → PIN_AUTH_BLOCKED
/// 6.5.5 wrong PIN: the eighth, and every attempt until a reset → PIN_BLOCKED
#[test]
fn three_wrong_pins_in_a_row_need_a_power_cycle_and_eight_a_reset() {
    for protocol in [One, Two] {
        let mut key = with_pin(protocol);
        let mut left = 8;
        for strike in 1..100 {
            left -= 1;
            let expected = match (left, strike % 3) {
                (0, _) => Status::PIN_BLOCKED,
                (_, 0) => Status::PIN_AUTH_BLOCKED,
                _ => Status::PIN_INVALID,
            };
            assert_eq!(key.legacy_token(protocol, WRONG).unwrap_err(), expected);
            assert_eq!(key.store.setting(Setting::PinRetries), Some(vec![left]));
            assert_eq!(key.retries(), (left.into(), strike % 3 == 0));
            if left == 0 {
                break;
            }
            if strike % 3 == 0 {
                for attempt in [key.legacy_token(protocol, PIN), key.token(protocol, PIN, MC, None)] {
                    assert_eq!(attempt.unwrap_err(), Status::PIN_AUTH_BLOCKED);
                }
                assert_eq!(key.change_pin(protocol, PIN, PIN), Status::PIN_AUTH_BLOCKED);
                assert_eq!(key.retries(), (left.into(), true), "blocked attempts are not counted");
                key = key.power_cut();
            }
        }
        key = key.power_cut();
        assert_eq!(key.legacy_token(protocol, PIN).unwrap_err(), Status::PIN_BLOCKED);
        assert_eq!(key.token(protocol, PIN, MC, None).unwrap_err(), Status::PIN_BLOCKED);
        assert_eq!(key.change_pin(protocol, PIN, PIN), Status::PIN_BLOCKED);
        assert_eq!(key.command(Command::RESET), [0]);
        assert_eq!((key.retries(), key.set_pin(protocol, PIN)), ((8, false), Status::OK));
    }
}

#[test]
fn the_right_pin_ends_a_row_of_wrong_ones() {
    let mut key = with_pin(Two);
    for _ in 0..5 {
        key.token(Two, WRONG, MC, None).unwrap_err();
        key.token(Two, WRONG, MC, None).unwrap_err();
        key.token(Two, PIN, MC, None).unwrap();
        assert_eq!(key.retries(), (8, false));
    }
}

/// 6.5.5 getPinToken: pinHashEnc of another length → PIN_INVALID
#[test]
fn a_pin_hash_of_any_other_length_is_a_wrong_pin() {
    for (protocol, len) in [(One, 0), (One, 15), (One, 32), (One, 48), (Two, 16), (Two, 31), (Two, 48), (Two, 800)] {
        let mut key = with_pin(protocol);
        let session = key.agree(protocol);
        let pin_hash_enc = vec![0; len];
        let request = Request { pin_hash_enc: Some(&pin_hash_enc), ..session.request(GET_PIN_TOKEN) };
        assert_eq!(key.client_pin(&request), Status::PIN_INVALID);
        assert_eq!(key.retries(), (7, false));
    }
}

/// 6.5.5 getPinToken: no PIN → PIN_NOT_SET
/// 6.5.5 getPinToken: a member is missing → MISSING_PARAMETER
/// 6.5.5 getPinToken: unknown protocol, permissions or rpId given, or a bad point → INVALID_PARAMETER
#[test]
fn get_pin_token_takes_no_permissions_and_checks_in_the_standards_order() {
    let mut key = Key::new();
    assert_eq!(key.legacy_token(Two, PIN).unwrap_err(), Status::PIN_NOT_SET);
    key.set_pin(Two, PIN);
    let session = key.agree(Two);
    let pin_hash_enc = key.encrypt(&session, &pin_hash(PIN));
    let full = Request { pin_hash_enc: Some(&pin_hash_enc), ..session.request(GET_PIN_TOKEN) };
    for request in each_missing(full, false) {
        assert_eq!(key.client_pin(&request), Status::MISSING_PARAMETER);
    }
    assert_eq!(key.client_pin(&Request { pin_uv_auth_protocol: Some(3), ..full }), Status::INVALID_PARAMETER);
    for permissions in [0, 1] {
        let request = Request { permissions: Some(permissions), ..full };
        assert_eq!(key.client_pin(&request), Status::INVALID_PARAMETER);
    }
    assert_eq!(key.client_pin(&Request { rp_id: Some(RP), ..full }), Status::INVALID_PARAMETER);
    let off_curve = P256Point { x: [1; 32], y: [1; 32] };
    let request = Request { key_agreement: Some(CoseKey::key_agreement(&off_curve)), ..full };
    assert_eq!(key.client_pin(&request), Status::INVALID_PARAMETER);
    assert_eq!(key.retries(), (8, false));
}

/// 6.5.5 getPinToken: its token at a second relying party → PIN_AUTH_INVALID
#[test]
fn a_legacy_token_serves_the_first_relying_party_it_meets() {
    let rp = |id| make_credential::Request { rp: RpEntity { id, name: None }, ..resident(b"u") };
    let mut key = with_pin(Two);
    let token = key.legacy_token(Two, PIN).unwrap();
    key.user = UserAction::Declines;
    key.make_with(Two, &token, rp("first.example")).unwrap_err();
    key.user = UserAction::Touches;
    assert_eq!(key.make_with(Two, &token, rp("second.example")).unwrap_err(), Status::PIN_AUTH_INVALID);
    assert!(key.make_with(Two, &token, rp("first.example")).unwrap().has(Flags::UV));
}

/// 6.5.5 getPinUvAuthTokenUsingPinWithPermissions: no PIN → PIN_NOT_SET
/// 6.5.5 getPinUvAuthTokenUsingPinWithPermissions: a member is missing → MISSING_PARAMETER
/// 6.5.5 getPinUvAuthTokenUsingPinWithPermissions: unknown protocol, or permissions 0 → INVALID_PARAMETER
/// 6.5.5 getPinUvAuthTokenUsingPinWithPermissions: not every permission can be granted → UNAUTHORIZED_PERMISSION
#[test]
fn get_token_using_pin_checks_permissions_before_the_pin() {
    let mut key = Key::new();
    assert_eq!(key.token(Two, PIN, MC, None).unwrap_err(), Status::PIN_NOT_SET);
    key.set_pin(Two, PIN);
    let session = key.agree(Two);
    let pin_hash_enc = key.encrypt(&session, &pin_hash(WRONG));
    let permissions = Some(1);
    let full = Request { pin_hash_enc: Some(&pin_hash_enc), permissions, ..session.request(GET_TOKEN_USING_PIN) };
    for request in each_missing(full, true) {
        assert_eq!(key.client_pin(&request), Status::MISSING_PARAMETER);
    }
    let with = |permissions| Request { permissions: Some(permissions), ..full };
    assert_eq!(key.client_pin(&Request { pin_uv_auth_protocol: Some(3), ..with(0) }), Status::INVALID_PARAMETER);
    assert_eq!(key.client_pin(&with(0)), Status::INVALID_PARAMETER);
    for not_granted in [0x41, 0x42, 0x44, 0x50, 0x60, 0x7F, 0xFF] {
        assert_eq!(key.client_pin(&with(not_granted)), Status::UNAUTHORIZED_PERMISSION);
    }
    let managing = Caps::CRED_MGMT.with(Caps::LARGE_BLOBS).with(Caps::CONFIG).with(Caps::BIO_ENROLL);
    let config = Config::new([0; 16]);
    let mut bare = Key::with(Config { caps: config.caps.without(managing).consistent(), ..config });
    bare.set_pin(Two, PIN);
    for not_granted in [0x04, 0x08, 0x10, 0x20, 0x40, 0x41, 0x07, 0xFF] {
        let refused = bare.token(Two, WRONG, Permissions(not_granted), None).unwrap_err();
        assert_eq!(refused, Status::UNAUTHORIZED_PERMISSION);
    }
    assert_eq!((key.retries(), bare.retries()), ((8, false), (8, false)));
    key.token(Two, PIN, Permissions(0x34), None).unwrap();
    let token = key.token(Two, PIN, Permissions(0x83), None).unwrap();
    key.make_with(Two, &token, resident(b"u")).unwrap(); // undefined bits are ignored
}

/// 6.5.5 getPinUvAuthTokenUsingPinWithPermissions: noMcGaPermissionsWithClientPin → UNAUTHORIZED_PERMISSION
#[test]
fn a_pin_without_permissions_for_mc_and_ga_gives_none() {
    let config = Config::new([0; 16]);
    let mut key = Key::with(Config { caps: config.caps.with(Caps::NO_MC_GA_WITH_PIN), ..config });
    key.set_pin(Two, PIN);
    for permissions in [MC, GA] {
        assert_eq!(key.token(Two, PIN, permissions, None).unwrap_err(), Status::UNAUTHORIZED_PERMISSION);
    }
    let token = key.legacy_token(Two, PIN).unwrap();
    assert_eq!(key.make_with(Two, &token, registration(b"u")).unwrap_err(), Status::PIN_AUTH_INVALID);
}

/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: a member is missing → MISSING_PARAMETER
/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: permissions 0 → INVALID_PARAMETER
/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: not every permission can be granted → UNAUTHORIZED_PERMISSION
/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: no built-in user verification → NOT_ALLOWED
#[test]
fn get_token_using_uv_is_refused_where_there_is_no_built_in_user_verification() {
    let mut key = with_pin(Two);
    let session = key.agree(Two);
    let full = Request { permissions: Some(3), ..session.request(GET_TOKEN_USING_UV) };
    for request in each_missing(full, true) {
        assert_eq!(key.client_pin(&request), Status::MISSING_PARAMETER);
    }
    let with = |permissions| Request { permissions: Some(permissions), ..full };
    assert_eq!(key.client_pin(&with(0)), Status::INVALID_PARAMETER);
    assert_eq!(key.client_pin(&with(0x44)), Status::UNAUTHORIZED_PERMISSION);
    assert_eq!(key.client_pin(&with(0x80)), Status::NOT_ALLOWED, "undefined bits are ignored");
    assert_eq!(key.client_pin(&full), Status::NOT_ALLOWED);
}

/// 6.5.5 getPinToken: no key agreement since power-up → INVALID_PARAMETER
#[test]
fn a_platform_that_never_agreed_on_a_key_is_refused() {
    let mut key = with_pin(Two);
    let session = key.agree(Two);
    let pin_hash_enc = key.encrypt(&session, &pin_hash(PIN));
    let request = Request { pin_hash_enc: Some(&pin_hash_enc), ..session.request(GET_PIN_TOKEN) };
    let mut key = key.power_cut();
    assert_eq!(key.client_pin(&request), Status::INVALID_PARAMETER);
    assert_eq!(key.retries(), (8, false));
}

/// 6.5.5 token: unused for 30 seconds, or 10 minutes old → PIN_AUTH_INVALID
#[test]
fn a_token_lives_30_seconds_unused_and_10_minutes_in_use() {
    let expired = |unused: u64, used: u64| {
        let mut key = with_pin(Two);
        let token = key.token(Two, PIN, GA, None).unwrap();
        key.wait(Duration::from_secs(unused));
        let first = key.get_with(Two, &token, assertion()).unwrap_err();
        key.wait(Duration::from_secs(used));
        (first, key.get_with(Two, &token, assertion()).unwrap_err())
    };
    // Without credentials, the status shows whether the token is valid, and the token is not used up.
    assert_eq!(expired(29, 0).0, Status::NO_CREDENTIALS);
    assert_eq!(expired(30, 0).0, Status::PIN_AUTH_INVALID);
    assert_eq!(expired(29, 570), (Status::NO_CREDENTIALS, Status::NO_CREDENTIALS));
    assert_eq!(expired(29, 571), (Status::NO_CREDENTIALS, Status::PIN_AUTH_INVALID));
}

/// 6.5.5 token: after a newer token, of either protocol → PIN_AUTH_INVALID
#[test]
fn a_new_token_voids_the_one_before_of_either_protocol() {
    let mut key = with_pin(Two);
    let first = key.token(Two, PIN, GA, None).unwrap();
    let second = key.legacy_token(One, PIN).unwrap();
    assert_eq!(key.get_with(Two, &first, assertion()).unwrap_err(), Status::PIN_AUTH_INVALID);
    assert_eq!(key.get_with(Two, &second, assertion()).unwrap_err(), Status::PIN_AUTH_INVALID, "of the other protocol");
    assert_eq!(key.get_with(One, &second, assertion()).unwrap_err(), Status::NO_CREDENTIALS);
}
