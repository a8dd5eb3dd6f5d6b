//! alwaysUv: every operation with a touch needs user verification (CTAP 2.3 §6.1.2 step 6, §6.2.2 step 5, §7.2).

use keyfob_core::{
    Status,
    auth_data::Flags,
    ctap2::{self, Command, CommandOptions, get_assertion, get_info::Response, make_credential},
    pin_uv::PinUvAuthProtocol::Two,
};
use keyfob_soft_authenticator::{Caps, engine::Config, store::Setting};

use super::harness::*;

/// Stored options: alwaysUv is on, and the minimum PIN length is four.
const ALWAYS: &[u8] = &[1, 4];

/// A key with a credential, on which alwaysUv is then switched on.
fn always(config: Config<'static>, pin: bool) -> (Key, Made) {
    let mut key = Key::with(config);
    let made = key.make(&resident(b"u")).unwrap();
    if pin {
        assert_eq!(key.set_pin(Two, PIN), Status::OK);
    }
    (key.set(Setting::Options, ALWAYS), made)
}

fn silent<'a>() -> get_assertion::Request<'a> {
    let options = Some(CommandOptions { up: Some(false), ..Default::default() });
    get_assertion::Request { options, ..assertion() }
}

/// 6.1.2 step 6: alwaysUv, no PIN → PUAT_REQUIRED
/// 6.1.2 step 6: alwaysUv, noMcGaPermissionsWithClientPin → OPERATION_DENIED
/// 6.2.2 step 5: alwaysUv, no PIN → PUAT_REQUIRED
#[test]
fn without_a_pin_nothing_works_but_a_silent_assertion() {
    let config = Config::new([0; 16]);
    let denied = Config { caps: config.caps.with(Caps::NO_MC_GA_WITH_PIN), ..config };
    for (config, expected) in [(config, Status::PUAT_REQUIRED), (denied, Status::OPERATION_DENIED)] {
        let (mut key, _) = always(config, false);
        let commits = key.store.applied();
        let param = Some(&[1; 32][..]);
        for request in [registration(b"v"), resident(b"v")] {
            assert_eq!(key.make(&request).unwrap_err(), expected);
            let request =
                make_credential::Request { pin_uv_auth_param: param, pin_uv_auth_protocol: Some(2), ..request };
            assert_eq!(key.make(&request).unwrap_err(), expected);
        }
        assert_eq!(key.get(&assertion()).unwrap_err(), expected);
        assert_eq!((key.touches, key.store.applied()), (0, commits));
        assert!(!key.get(&silent()).unwrap().has(Flags::UV));
    }
}

/// 6.1.2 step 6: alwaysUv, no pinUvAuthParam → PUAT_REQUIRED
/// 6.2.2 step 5: alwaysUv, no pinUvAuthParam, with or without an allow list → PUAT_REQUIRED
#[test]
fn with_a_pin_everything_but_a_silent_assertion_needs_it() {
    let (mut key, made) = always(Config::new([0; 16]), true);
    assert_eq!(key.make(&registration(b"v")).unwrap_err(), Status::PUAT_REQUIRED);
    assert_eq!(key.get(&assertion()).unwrap_err(), Status::PUAT_REQUIRED);
    assert_eq!(key.get(&listed(assertion(), &[made.descriptor()])).unwrap_err(), Status::PUAT_REQUIRED);
    assert_eq!(key.touches, 0);
    assert!(key.get(&silent()).unwrap().is_by(&made));
    let token = key.token(Two, PIN, MC, None).unwrap();
    assert!(key.make_with(Two, &token, registration(b"v")).unwrap().has(Flags::UV));
    let token = key.token(Two, PIN, GA, None).unwrap();
    assert!(key.get_with(Two, &token, assertion()).unwrap().has(Flags::UV));
}

#[test]
fn a_key_without_the_capability_takes_no_notice() {
    let config = Config::new([0; 16]);
    let (mut key, _) = always(Config { caps: config.caps.without(Caps::ALWAYS_UV), ..config }, true);
    key.make(&registration(b"v")).unwrap();
    key.get(&assertion()).unwrap();
}

#[test]
fn get_info_says_so_and_that_make_cred_uv_is_required() {
    let options = |key: &mut Key| {
        let response = key.command(Command::GET_INFO);
        let options = ctap2::decode_response::<Response<'_>>(&response).unwrap().options.unwrap();
        (options.always_uv, options.make_cred_uv_not_rqd)
    };
    let mut key = Key::new();
    assert_eq!(options(&mut key), (Some(false), Some(true)));
    let mut key = key.set(Setting::Options, ALWAYS);
    assert_eq!(options(&mut key), (Some(true), Some(false)));
    key.command(Command::RESET);
    assert_eq!(options(&mut key), (Some(false), Some(true)));
}
