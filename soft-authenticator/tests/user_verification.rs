//! Built-in user verification (CTAP 2.3 §6.5.3.1) in makeCredential, getAssertion and authenticatorClientPIN.

use keyfob_core::{
    Status,
    auth_data::Flags,
    cbor::List,
    ctap2::{
        self, Command, CommandOptions, client_pin,
        client_pin::subcommand,
        get_assertion,
        get_info::{self, SupportedOptions},
        make_credential,
    },
    pin_uv::{Permissions, PinUvAuthProtocol::Two},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, ConfigError, Event, FINGERPRINT, Progress, USER_ACTION_TIMEOUT, UserVerification, Wait},
    store::{Change, Setting, Store},
};

use super::harness::*;

/// A key that verifies its user without enrolment, for example by face.
const FACE: Config<'static> = with(Caps::BUILT_IN_UV);

/// A key with a fingerprint sensor.
pub const SENSOR: Config<'static> = with(Caps::BUILT_IN_UV.with(Caps::BIO_ENROLL));

const fn with(caps: Caps) -> Config<'static> {
    let config = Config::new([0xAA; 16]);
    Config { caps: config.caps.with(caps), ..config }
}

const fn verifying(user_verification: UserVerification) -> Config<'static> {
    Config { user_verification, ..FACE }
}

/// A sensor whose gesture does not prove presence.
const GLANCE: UserVerification = UserVerification { proves_presence: false, ..UserVerification::TOUCH_SENSOR };

pub fn made_with_uv(user: &[u8], rk: bool) -> make_credential::Request<'_> {
    let options = CommandOptions { rk: Some(rk), uv: Some(true), ..Default::default() };
    make_credential::Request { options: Some(options), ..registration(user) }
}

pub fn got_with_uv() -> get_assertion::Request<'static> {
    let options = CommandOptions { uv: Some(true), ..Default::default() };
    get_assertion::Request { options: Some(options), ..assertion() }
}

/// A key with a discoverable credential.
fn registered(config: Config<'static>) -> Key {
    let mut key = Key::with(config);
    key.make(&made_with_uv(b"u", true)).unwrap();
    (key.asked, key.touches) = (0, 0);
    key
}

#[test]
fn uv_verifies_the_user_and_proves_presence() {
    let mut key = Key::with(FACE);
    let made = key.make(&made_with_uv(b"u", true)).unwrap();
    assert!(made.has(Flags::UV) && made.has(Flags::UP));
    let got = key.get(&got_with_uv()).unwrap();
    assert!(got.is_by(&made) && got.has(Flags::UV) && got.has(Flags::UP));
    assert_eq!((key.asked, key.touches), (2, 0));
}

#[test]
fn a_gesture_that_does_not_prove_presence_is_followed_by_a_touch() {
    let mut key = Key::with(verifying(GLANCE));
    let made = key.make(&made_with_uv(b"u", true)).unwrap();
    let got = key.get(&got_with_uv()).unwrap();
    assert!(made.has(Flags::UV) && made.has(Flags::UP) && got.has(Flags::UV) && got.has(Flags::UP));
    assert_eq!((key.asked, key.touches), (2, 2));
}

#[test]
fn a_silent_assertion_with_uv_is_verified_but_says_nothing_of_presence() {
    let mut key = registered(verifying(GLANCE));
    let options = CommandOptions { uv: Some(true), up: Some(false), ..Default::default() };
    let got = key.get(&get_assertion::Request { options: Some(options), ..assertion() }).unwrap();
    assert!(got.has(Flags::UV) && !got.has(Flags::UP));
}

/// 6.1.2 step 5: uv true, no fingerprint is enrolled → INVALID_OPTION
/// 6.2.2 step 4: uv true, no fingerprint is enrolled → INVALID_OPTION
#[test]
fn uv_without_built_in_verification_or_a_fingerprint_is_an_invalid_option() {
    for config in [Config::new([0; 16]), SENSOR] {
        let mut key = Key::with(config);
        assert_eq!(key.make(&made_with_uv(b"u", false)).unwrap_err(), Status::INVALID_OPTION);
        assert_eq!(key.get(&got_with_uv()).unwrap_err(), Status::INVALID_OPTION);
    }
}

#[test]
fn uv_false_asks_for_nothing() {
    let mut key = Key::with(FACE);
    let options = CommandOptions { uv: Some(false), ..Default::default() };
    let made = key.make(&make_credential::Request { options: Some(options), ..registration(b"u") }).unwrap();
    assert!(!made.has(Flags::UV) && key.asked == 0 && key.touches == 1);
}

#[test]
fn with_a_token_the_option_uv_counts_for_nothing() {
    let mut key = Key::with(FACE);
    let token = key.uv_token(Two, MC, None).unwrap();
    let made = key.make_with(Two, &token, made_with_uv(b"u", true)).unwrap();
    assert!(made.has(Flags::UV));
    assert_eq!((key.asked, key.touches), (1, 0));
}

/// 6.1.2 step 7: built-in user verification, no PIN, rk true, no pinUvAuthParam → OPERATION_DENIED
/// 6.1.2 step 7: built-in user verification and a PIN, rk true, no pinUvAuthParam → PUAT_REQUIRED
#[test]
fn a_verifying_key_protects_discoverable_credentials() {
    let mut key = Key::with(FACE);
    // No PIN is set, so PUAT_REQUIRED would not help.
    assert_eq!(key.make(&resident(b"u")).unwrap_err(), Status::OPERATION_DENIED);
    key.set_pin(Two, PIN);
    assert_eq!(key.make(&resident(b"u")).unwrap_err(), Status::PUAT_REQUIRED);
}

/// 6.2.2 step 6: uv true, not verified in three attempts, no PIN → OPERATION_DENIED
#[test]
fn a_command_lets_the_user_try_three_times() {
    for (wrong, expected) in [(2, None), (3, Some(Status::OPERATION_DENIED))] {
        let mut key = registered(FACE);
        key.verdicts = vec![false; wrong];
        assert_eq!(key.get(&got_with_uv()).err(), expected);
        assert_eq!(key.asked, 3);
        assert_eq!(key.uv_retries(), if expected.is_none() { 5 } else { 2 });
    }
}

/// 6.1.2 step 11: uv true, not verified in three attempts, with a PIN → PUAT_REQUIRED
/// 6.2.2 step 6: uv true, not verified in three attempts, with a PIN → PUAT_REQUIRED
/// 6.2.2 step 6: uv true, not verified, noMcGaPermissionsWithClientPin → OPERATION_DENIED
#[test]
fn a_user_who_is_not_verified_may_enter_the_pin_instead() {
    for request in [true, false] {
        let mut key = registered(FACE);
        key.set_pin(Two, PIN);
        key.verdicts = vec![false; 3];
        let status = match request {
            true => key.make(&made_with_uv(b"v", false)).unwrap_err(),
            false => key.get(&got_with_uv()).unwrap_err(),
        };
        assert_eq!(status, Status::PUAT_REQUIRED);
    }
    let without = Config { caps: FACE.caps.with(Caps::NO_MC_GA_WITH_PIN), ..FACE };
    let mut key = registered(without);
    key.set_pin(Two, PIN);
    key.verdicts = vec![false; 3];
    assert_eq!(key.get(&got_with_uv()).unwrap_err(), Status::OPERATION_DENIED, "this PIN gives no permission");
}

/// 6.1.2 step 11: uv true, no attempt is left, no PIN → PIN_BLOCKED
/// 6.2.2 step 6: uv true, no attempt is left, no PIN → PIN_BLOCKED
/// 6.2.2 step 6: uv true, no attempt is left, with a PIN → PUAT_REQUIRED
/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: no attempt is left → UV_BLOCKED
#[test]
fn the_last_attempt_blocks_until_the_right_pin() {
    let mut key = registered(FACE);
    key.verdicts = vec![false; 5];
    assert_eq!(key.get(&got_with_uv()).unwrap_err(), Status::OPERATION_DENIED);
    assert_eq!(key.get(&got_with_uv()).unwrap_err(), Status::PIN_BLOCKED);
    assert_eq!((key.asked, key.uv_retries()), (5, 0));
    assert_eq!(key.make(&made_with_uv(b"v", false)).unwrap_err(), Status::PIN_BLOCKED);
    assert_eq!(key.uv_token(Two, GA, None).unwrap_err(), Status::UV_BLOCKED);
    assert_eq!(key.asked, 5, "verification is not requested any more");

    key.set_pin(Two, PIN);
    assert_eq!(key.get(&got_with_uv()).unwrap_err(), Status::PUAT_REQUIRED);
    key.token(Two, "wrong", GA, None).unwrap_err();
    assert_eq!(key.uv_retries(), 0);
    key.token(Two, PIN, GA, None).unwrap();
    assert_eq!(key.uv_retries(), 5);
    key.get(&got_with_uv()).unwrap();
}

/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: the PIN is blocked → UV_BLOCKED
#[test]
fn a_blocked_pin_blocks_built_in_verification() {
    let key = registered(FACE);
    let options = Change::Set(Setting::Options, &[0, 4]); // they come with every PIN
    let blocked = [Change::Set(Setting::Pin, &[1; 17]), Change::Set(Setting::PinRetries, &[0]), options];
    key.store.memory.borrow_mut().commit(&blocked).unwrap();
    let mut key = key.power_cut();
    assert_eq!(key.uv_retries(), 0);
    assert_eq!(key.uv_token(Two, GA, None).unwrap_err(), Status::UV_BLOCKED);
}

/// 6.1.2 step 11: uv true, no user came in time → USER_ACTION_TIMEOUT
/// 6.1.2 step 11: uv true, declined → OPERATION_DENIED
/// 6.2.2 step 6: uv true, no user came in time → USER_ACTION_TIMEOUT
/// 6.2.2 step 6: uv true, declined → OPERATION_DENIED
/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: no user came in time → USER_ACTION_TIMEOUT
/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: declined → OPERATION_DENIED
#[test]
fn a_user_who_sleeps_or_declines_loses_no_attempt() {
    for (action, expected) in
        [(UserAction::Sleeps, Status::USER_ACTION_TIMEOUT), (UserAction::Declines, Status::OPERATION_DENIED)]
    {
        let mut key = registered(FACE);
        key.set_pin(Two, PIN);
        key.user = action;
        assert_eq!(key.make(&made_with_uv(b"v", false)).unwrap_err(), expected);
        assert_eq!(key.get(&got_with_uv()).unwrap_err(), expected);
        assert_eq!(key.uv_token(Two, GA, None).unwrap_err(), expected);
        assert_eq!(key.uv_retries(), 5);
    }
}

/// 11.2 CTAPHID_CANCEL: while the user is to be verified → KEEPALIVE_CANCEL
#[test]
fn verification_can_be_cancelled_and_costs_nothing_then() {
    let mut key = registered(FACE);
    let request = message(Command::GET_ASSERTION, &got_with_uv());
    assert_eq!(key.call_cancelled(&request, 1), [Status::KEEPALIVE_CANCEL.0]);
    assert_eq!(key.uv_retries(), 5);
    assert_eq!(key.call(&request)[0], 0);
}

#[test]
fn a_touch_is_no_verification_and_a_verification_no_touch() {
    let mut key = registered(FACE);
    assert_eq!(key.begin(&message(Command::GET_ASSERTION, &got_with_uv())), Progress::Pending(Wait::UserVerification));
    assert_eq!(key.engine.deadline(), Some(key.now.plus(USER_ACTION_TIMEOUT)));
    for event in [Event::Touched, Event::Tick] {
        assert_eq!(key.resume(event), Progress::Pending(Wait::UserVerification));
    }
    key.begin(&[Command::SELECTION.0]);
    assert_eq!(key.resume(Event::Verified(true)), Progress::Pending(Wait::Touch));
}

/// 6.1.2 step 12: an excluded credential, uv true, after the gesture → CREDENTIAL_EXCLUDED
#[test]
fn an_excluded_credential_is_reported_after_the_user_is_verified() {
    let mut key = Key::with(FACE);
    let made = key.make(&registration(b"u")).unwrap();
    let list = [made.descriptor()];
    let exclude_list = Some(List::Slice(&list[..]));
    let request = make_credential::Request { exclude_list, ..made_with_uv(b"u", false) };
    key.touches = 0;
    assert_eq!(key.make(&request).unwrap_err(), Status::CREDENTIAL_EXCLUDED);
    assert_eq!((key.asked, key.touches), (1, 0));
}

#[test]
fn accounts_are_named_to_a_verified_user() {
    let mut key = Key::with(FACE);
    for user in [b"a", b"b"] {
        key.make(&made_with_uv(user, true)).unwrap();
    }
    let got = key.get(&got_with_uv()).unwrap();
    assert_eq!(got.number, Some(2));
    assert!(key.get_next().unwrap().has(Flags::UV));
}

#[test]
fn with_always_uv_the_user_is_verified_unasked() {
    let key = registered(FACE);
    key.store.memory.borrow_mut().commit(&[Change::Set(Setting::Options, &[1, 4])]).unwrap();
    let mut key = key.power_cut();
    let made = key.make(&registration(b"v")).unwrap();
    let got = key.get(&assertion()).unwrap();
    assert!(made.has(Flags::UV) && got.has(Flags::UV));
    assert_eq!(key.asked, 2);
    let options = Some(CommandOptions { up: Some(false), ..Default::default() });
    assert!(!key.get(&get_assertion::Request { options, ..assertion() }).unwrap().has(Flags::UV));
    assert_eq!(key.asked, 2, "a silent assertion is exempt");
}

/// 6.2.2 step 6: a token from user verification that a sign-in has used up → PIN_AUTH_INVALID
#[test]
fn a_token_by_verification_does_what_it_was_given_for() {
    let mut key = registered(FACE);
    let token = key.uv_token(Two, MC.with(GA), None).unwrap();
    assert!(key.get_with(Two, &token, assertion()).unwrap().has(Flags::UV));
    assert_eq!((key.asked, key.touches), (1, 0), "the gesture was a touch as well");
    assert_eq!(key.get_with(Two, &token, assertion()).unwrap_err(), Status::PIN_AUTH_INVALID, "used up");

    let mut key = registered(verifying(GLANCE));
    let token = key.uv_token(Two, GA, Some(RP)).unwrap();
    key.get_with(Two, &token, assertion()).unwrap();
    assert_eq!(key.touches, 1);
}

/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: not verified → UV_INVALID
/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: not verified, and that was the last attempt → UV_BLOCKED
#[test]
fn a_token_by_verification_lets_the_user_try_once_when_the_platform_repeats() {
    let platform = UserVerification { preferred_platform_attempts: 2, ..GLANCE };
    let by_itself = UserVerification { preferred_platform_attempts: 1, ..GLANCE };
    for (uv, asked, left) in [(platform, 1, 4), (by_itself, 3, 2)] {
        let mut key = registered(verifying(uv));
        key.verdicts = vec![false; 4];
        assert_eq!(key.uv_token(Two, GA, None).unwrap_err(), Status::UV_INVALID);
        assert_eq!((key.asked, key.uv_retries()), (asked, left));
    }
    let mut key = registered(FACE);
    key.verdicts = vec![false; 5];
    let statuses: Vec<_> = (0..5).map(|_| key.uv_token(Two, GA, None).unwrap_err()).collect();
    assert_eq!(statuses[..4], [Status::UV_INVALID; 4]);
    assert_eq!(statuses[4], Status::UV_BLOCKED, "the last attempt");
}

/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: unknown protocol → INVALID_PARAMETER
/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: no fingerprint is enrolled → NOT_ALLOWED
#[test]
fn a_token_by_verification_is_checked_in_the_standards_order() {
    let mut key = Key::with(SENSOR);
    let session = key.agree(Two);
    let request = client_pin::Request { permissions: Some(1), ..session.request(subcommand::GET_TOKEN_USING_UV) };
    for (request, expected) in [
        (client_pin::Request { key_agreement: None, ..request }, Status::MISSING_PARAMETER),
        (client_pin::Request { permissions: None, ..request }, Status::MISSING_PARAMETER),
        (client_pin::Request { pin_uv_auth_protocol: None, ..request }, Status::MISSING_PARAMETER),
        (
            client_pin::Request { pin_uv_auth_protocol: Some(3), permissions: Some(0), ..request },
            Status::INVALID_PARAMETER,
        ),
        (client_pin::Request { permissions: Some(0), ..request }, Status::INVALID_PARAMETER),
        (client_pin::Request { permissions: Some(0x41), ..request }, Status::UNAUTHORIZED_PERMISSION),
        (request, Status::NOT_ALLOWED),
    ] {
        assert_eq!(key.client_pin(&request), expected);
    }
}

/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: permission be, no bioEnroll → UNAUTHORIZED_PERMISSION
#[test]
fn enrolling_is_for_keys_with_a_sensor() {
    let mut face = Key::with(FACE);
    assert_eq!(face.uv_token(Two, BE, None).unwrap_err(), Status::UNAUTHORIZED_PERMISSION);
    let mut sensor = Key::with(SENSOR);
    sensor.set_pin(Two, PIN);
    let token = sensor.token(Two, PIN, BE, None).unwrap();
    sensor.enrol(&token).unwrap();
    sensor.uv_token(Two, BE, None).unwrap();
}

#[test]
fn the_attempt_is_counted_before_it_is_judged() {
    for right in [true, false] {
        // The power is cut before or right after the attempt is counted, so the result does not matter.
        for (fault, left) in [(Fault::Before as fn(u32) -> Fault, 5), (Fault::After, 4)] {
            let mut key = registered(FACE);
            key.verdicts = vec![right];
            key.store.fail_at(1, fault);
            assert_eq!(key.get(&got_with_uv()).unwrap_err(), Status::OTHER);
            assert_eq!(key.power_cut().uv_retries(), left);
        }
    }
    // The attempt also counts if there is no result.
    let mut key = registered(FACE);
    let request = message(Command::GET_ASSERTION, &got_with_uv());
    assert_eq!(key.call_cancelled(&request, 2), [Status::KEEPALIVE_CANCEL.0]);
    assert_eq!(key.uv_retries(), 4);
}

#[test]
fn attempts_never_grow_with_wrong_fingers_however_often_the_power_is_cut() {
    let mut key = registered(FACE);
    let mut last = 5;
    for round in 0.. {
        let now = key.uv_retries();
        assert!(now <= last);
        last = now;
        if now == 0 {
            break;
        }
        assert!(round < 20);
        match round % 3 {
            0 => key.store.fail_at(1, Fault::After),
            1 => key.store.fail_at(1, Fault::Before),
            _ => {}
        }
        key.verdicts = vec![false; 3];
        key.get(&got_with_uv()).unwrap_err();
        key = key.power_cut();
    }
    assert_eq!(key.get(&got_with_uv()).unwrap_err(), Status::PIN_BLOCKED);
}

#[test]
fn a_damaged_counter_gives_no_attempts_away() {
    for damaged in [&[][..], &[5, 5]] {
        let key = registered(FACE);
        key.store.memory.borrow_mut().commit(&[Change::Set(Setting::UvRetries, damaged)]).unwrap();
        assert_eq!(key.power_cut().uv_retries(), 0);
    }
}

#[test]
fn a_reset_gives_the_attempts_back() {
    let mut key = registered(FACE);
    key.verdicts = vec![false; 3];
    key.get(&got_with_uv()).unwrap_err();
    assert_eq!(key.command(Command::RESET), [0]);
    assert_eq!(key.uv_retries(), 5);
}

fn without_pin() -> Key {
    Key::with(Config { caps: FACE.caps.without(Caps::CLIENT_PIN).consistent(), ..FACE })
}

/// 6.1.2 step 1: empty pinUvAuthParam, touched, tokens but no clientPin → PIN_NOT_SET
/// 6.2.2 step 1: empty pinUvAuthParam, touched, tokens but no clientPin → PIN_NOT_SET
#[test]
fn a_key_that_verifies_and_has_no_pin_waits_for_a_touch_when_it_is_probed() {
    let mut key = without_pin();
    let probe = make_credential::Request { pin_uv_auth_param: Some(&[]), ..registration(b"u") };
    assert_eq!(key.make(&probe).unwrap_err(), Status::PIN_NOT_SET);
    let probe = get_assertion::Request { pin_uv_auth_param: Some(&[]), ..assertion() };
    assert_eq!(key.get(&probe).unwrap_err(), Status::PIN_NOT_SET);
    assert_eq!((key.asked, key.touches), (0, 2));
}

/// 6.5.5: a subcommand for PINs, no clientPin → INVALID_SUBCOMMAND
#[test]
fn a_key_that_verifies_needs_no_pin() {
    let mut key = without_pin();
    let token = key.uv_token(Two, MC, None).unwrap();
    key.make_with(Two, &token, resident(b"u")).unwrap();
    for sub_command in [subcommand::GET_PIN_RETRIES, subcommand::SET_PIN, subcommand::GET_TOKEN_USING_PIN] {
        let request = client_pin::Request { sub_command: Some(sub_command), ..Default::default() };
        assert_eq!(key.client_pin(&request), Status::INVALID_SUBCOMMAND);
    }
    info(&mut key, |info| {
        assert_eq!(info.options.unwrap().client_pin, None);
        assert!(info.pin_uv_auth_protocols.unwrap().iter().eq([2, 1]));
        assert_eq!(info.min_pin_length, None);
    });
}

/// 6.5.5 getUVRetries: no built-in user verification → INVALID_SUBCOMMAND
#[test]
fn without_built_in_verification_there_is_no_count_of_it() {
    let request = client_pin::Request { sub_command: Some(subcommand::GET_UV_RETRIES), ..Default::default() };
    assert_eq!(Key::new().client_pin(&request), Status::INVALID_SUBCOMMAND);
}

fn info<T>(key: &mut Key, look: impl FnOnce(&get_info::Response<'_>) -> T) -> T {
    let response = key.command(Command::GET_INFO);
    look(&ctap2::decode_response(&response).unwrap())
}

#[test]
fn get_info_says_how_the_user_is_verified() {
    let uv = |options: SupportedOptions| {
        (options.uv, options.bio_enroll, options.uv_bio_enroll, options.user_verification_mgmt_preview)
    };
    info(&mut Key::with(FACE), |info| {
        assert_eq!(info.preferred_platform_uv_attempts, Some(3));
        assert_eq!(info.uv_modality, Some(FINGERPRINT.into()));
        assert_eq!(uv(info.options.unwrap()), (Some(true), None, None, None));
    });
    let mut key = Key::with(SENSOR);
    assert_eq!(info(&mut key, |info| uv(info.options.unwrap())), (Some(false), Some(false), Some(true), Some(false)));
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, BE, None).unwrap();
    key.enrol(&token).unwrap();
    assert_eq!(info(&mut key, |info| uv(info.options.unwrap())), (Some(true), Some(true), Some(true), Some(true)));
    info(&mut Key::new(), |info| {
        assert_eq!((info.preferred_platform_uv_attempts, info.uv_modality), (None, None));
        assert_eq!(uv(info.options.unwrap()), (None, None, None, None));
    });
}

#[test]
fn a_way_to_verify_that_contradicts_itself_is_refused() {
    let sensor = UserVerification::TOUCH_SENSOR;
    let caps = |caps| Config { caps, ..FACE };
    for config in [
        verifying(UserVerification { max_retries: 0, ..sensor }),
        verifying(UserVerification { max_retries: 26, ..sensor }),
        verifying(UserVerification { internal_attempts: 0, ..sensor }),
        verifying(UserVerification { internal_attempts: 6, ..sensor }),
        verifying(UserVerification { preferred_platform_attempts: 0, ..sensor }),
        verifying(UserVerification { samples: 0, ..sensor }),
    ] {
        let refused = Key::try_with(config, BenchStore::default()).map(drop).unwrap_err();
        assert_eq!(refused, ConfigError::UserVerification);
    }
    for config in [
        caps(FACE.caps.without(Caps::TOKEN_PERMISSIONS)),
        caps(FACE.caps.without(Caps::BUILT_IN_UV).with(Caps::BIO_ENROLL)),
        caps(SENSOR.caps.without(Caps::CLIENT_PIN)),
    ] {
        let refused = Key::try_with(config, BenchStore::default()).map(drop).unwrap_err();
        assert!(matches!(refused, ConfigError::Needs(..)), "{refused}");
    }
    let alone = caps(Caps::BUILT_IN_UV.with(Caps::TOKEN_PERMISSIONS));
    assert_eq!(Key::try_with(alone, BenchStore::default()).map(drop).unwrap_err(), ConfigError::PinProtocol);
}

/// 6.1.2 step 11: a token from user verification without permission mc → PIN_AUTH_INVALID
/// 6.2.2 step 6: another relying party's token from user verification → PIN_AUTH_INVALID
#[test]
fn permissions_of_a_token_by_verification_are_those_asked_for() {
    let mut key = registered(FACE);
    let token = key.uv_token(Two, Permissions::GA, None).unwrap();
    assert_eq!(key.make_with(Two, &token, resident(b"v")).unwrap_err(), Status::PIN_AUTH_INVALID);
    let token = key.uv_token(Two, GA, Some("other.org")).unwrap();
    assert_eq!(key.get_with(Two, &token, assertion()).unwrap_err(), Status::PIN_AUTH_INVALID);
}
