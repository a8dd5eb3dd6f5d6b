//! authenticatorConfig, in the order of CTAP 2.3 §6.11.

use keyfob_core::{
    Status,
    cbor::{List, RawMap, Text},
    crypto::RustCrypto,
    ctap2::{
        Command, CommandOptions,
        config::{Request, SetMinPinLength, authenticated_head, subcommand::*},
        get_assertion, make_credential,
    },
    pin_uv::PinUvAuthProtocol::{One, Two},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::Config,
    store::{Change, Setting, Store},
};

use super::{harness::*, user_verification::SENSOR};

const VENDOR: Config<'static> = Config { vendor_commands: &[7, u64::MAX, REFUSED_VENDOR_COMMAND], ..MANAGED };

fn with_pin() -> Key {
    let mut key = Key::new();
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    key
}

fn min(length: u32) -> SetMinPinLength<'static> {
    SetMinPinLength { new_min_pin_length: Some(length), ..SetMinPinLength::default() }
}

const FORCE: SetMinPinLength<'static> = SetMinPinLength {
    new_min_pin_length: None,
    min_pin_length_rp_ids: None,
    force_change_pin: Some(true),
    pin_complexity_policy: None,
};

/// Every subcommand, with valid parameters.
fn subcommands() -> [(u32, Option<Vec<u8>>); 5] {
    [
        (ENABLE_ENTERPRISE_ATTESTATION, None),
        (SET_MIN_PIN_LENGTH, Some(encoded(&min(4)))),
        (ENABLE_LONG_TOUCH_FOR_RESET, None),
        (VENDOR_PROTOTYPE, Some(vec![0xA1, 1, 7])),
        (TOGGLE_ALWAYS_UV, None),
    ]
}

/// 6.11: no subcommand → MISSING_PARAMETER
/// 6.11: unknown subcommand, or one that is off → INVALID_SUBCOMMAND
#[test]
fn subcommands_that_are_missing_or_not_supported_are_named_as_such() {
    let mut key = Key::new();
    assert_eq!(key.status(&[0x0D, 0xA0]), Status::MISSING_PARAMETER);
    for sub_command in [0, 5, VENDOR_PROTOTYPE, 256, 257, u32::MAX] {
        assert_eq!(key.configure(None, sub_command, None), Status::INVALID_SUBCOMMAND);
    }
    let config = Config::new([0xAA; 16]);
    for (caps, sub_command) in [
        (Caps::ENTERPRISE_ATTESTATION, ENABLE_ENTERPRISE_ATTESTATION),
        (Caps::ALWAYS_UV, TOGGLE_ALWAYS_UV),
        (Caps::LONG_TOUCH_FOR_RESET, ENABLE_LONG_TOUCH_FOR_RESET),
    ] {
        let mut key = Key::with(Config { caps: config.caps.without(caps), ..config });
        assert_eq!(key.configure(None, sub_command, None), Status::INVALID_SUBCOMMAND);
    }
}

/// 6.11: not supported → INVALID_COMMAND
#[test]
fn without_the_capability_the_command_and_its_permission_are_unknown() {
    let config = Config::new([0xAA; 16]);
    let mut key = Key::with(Config { caps: config.caps.without(Caps::CONFIG).consistent(), ..config });
    assert_eq!(key.configure(None, TOGGLE_ALWAYS_UV, None), Status::INVALID_COMMAND);
    key.set_pin(Two, PIN);
    assert_eq!(key.token(Two, PIN, ACFG, None).unwrap_err(), Status::UNAUTHORIZED_PERMISSION);
}

/// 6.11: not protected, no alwaysUv, no pinUvAuthParam → OK
#[test]
fn without_user_verification_anyone_may_configure() {
    for (sub_command, params) in subcommands() {
        let mut key = Key::with(VENDOR);
        assert_eq!(key.configure(None, sub_command, params.as_deref()), Status::OK);
    }
}

/// 6.11: protected, no pinUvAuthParam → PUAT_REQUIRED
/// 6.11: pinUvAuthParam without a protocol → MISSING_PARAMETER
/// 6.11: unknown protocol → INVALID_PARAMETER
/// 6.11: wrong MAC, or no permission acfg → PIN_AUTH_INVALID
#[test]
fn with_a_pin_every_subcommand_needs_a_token_with_acfg_over_its_bytes() {
    for (sub_command, params) in subcommands() {
        let mut key = Key::with(VENDOR);
        key.set_pin(Two, PIN);
        let token = key.unbound(MC.with(GA).with(CM).with(LBW));
        let refused = key.configure(Some(&token), sub_command, params.as_deref());
        assert_eq!(refused, Status::PIN_AUTH_INVALID, "without the permission");
        let token = key.token(Two, PIN, ACFG, Some(RP)).unwrap();
        let full = config_message(Some(&token), sub_command, params.as_deref());
        let full: Request<'_> = keyfob_core::cbor::decode(&full[1..]).unwrap();
        let head = authenticated_head(sub_command);
        let bare = token.authenticate(&RustCrypto, Two, &[&head[32..], params.as_deref().unwrap_or_default()]);
        let (commits, retries) = (key.store.applied(), key.retries());
        for (wrong, expected) in [
            (Request { pin_uv_auth_param: None, ..full }, Status::PUAT_REQUIRED),
            (Request { pin_uv_auth_protocol: None, ..full }, Status::MISSING_PARAMETER),
            (Request { pin_uv_auth_protocol: Some(0), ..full }, Status::INVALID_PARAMETER),
            (Request { pin_uv_auth_protocol: Some(One.number()), ..full }, Status::PIN_AUTH_INVALID),
            (Request { pin_uv_auth_param: Some(&[0; 32]), ..full }, Status::PIN_AUTH_INVALID),
            (Request { pin_uv_auth_param: Some(&[]), ..full }, Status::PIN_AUTH_INVALID),
            (Request { pin_uv_auth_param: Some(bare.as_bytes()), ..full }, Status::PIN_AUTH_INVALID),
            (Request { sub_command_params: Some(RawMap(&[0xA1, 1, 6])), ..full }, Status::PIN_AUTH_INVALID),
        ] {
            assert_eq!(key.status(&message(Command::CONFIG, &wrong)), expected, "{wrong:?}");
        }
        assert_eq!((key.store.applied(), key.retries()), (commits, retries));
        assert_eq!(
            key.status(&message(Command::CONFIG, &full)),
            Status::OK,
            "a token bound to a relying party will do"
        );
    }
}

#[test]
fn enterprise_attestation_stays_enabled_until_a_reset() {
    assert_eq!(Key::new().configure(None, ENABLE_ENTERPRISE_ATTESTATION, None), Status::INVALID_SUBCOMMAND);
    let mut key = Key::with(MANAGED);
    assert_eq!(key.options().ep, Some(false));
    for _ in 0..2 {
        assert_eq!(key.configure(None, ENABLE_ENTERPRISE_ATTESTATION, None), Status::OK);
    }
    assert_eq!(key.store.applied(), 2, "the second time there is nothing to do");
    let mut key = key.power_cut();
    assert_eq!(key.options().ep, Some(true));
    key.command(Command::RESET);
    assert_eq!(key.options().ep, Some(false));
}

/// 6.11 toggleAlwaysUv: a registration or a sign-in without a token afterwards → PUAT_REQUIRED
#[test]
fn always_uv_is_toggled_and_makes_registrations_without_verification_impossible() {
    let mut key = with_pin();
    assert_eq!((key.options().always_uv, key.options().make_cred_uv_not_rqd), (Some(false), Some(true)));
    key.make(&registration(b"u")).unwrap();
    let token = key.unbound(ACFG);
    assert_eq!(key.configure(Some(&token), TOGGLE_ALWAYS_UV, None), Status::OK);
    assert_eq!((key.options().always_uv, key.options().make_cred_uv_not_rqd), (Some(true), Some(false)));
    assert_eq!(key.make(&registration(b"u")).unwrap_err(), Status::PUAT_REQUIRED);
    assert_eq!(key.get(&assertion()).unwrap_err(), Status::PUAT_REQUIRED);
    let silent = Some(CommandOptions { up: Some(false), ..Default::default() });
    let silent = get_assertion::Request { options: silent, ..assertion() };
    assert_eq!(key.get(&silent).unwrap_err(), Status::NO_CREDENTIALS, "a silent one is exempt");
    let token = key.unbound(MC);
    key.make_with(Two, &token, resident(b"u")).unwrap();
    let token = key.unbound(GA);
    key.get_with(Two, &token, assertion()).unwrap();
    let mut key = key.power_cut();
    assert_eq!(key.configure(None, TOGGLE_ALWAYS_UV, None), Status::PUAT_REQUIRED);
    let token = key.unbound(ACFG);
    assert_eq!(key.configure(Some(&token), TOGGLE_ALWAYS_UV, None), Status::OK);
    key.make(&registration(b"u")).unwrap();
}

/// 6.11: alwaysUv, not protected, another subcommand than toggleAlwaysUv → PUAT_REQUIRED
/// 6.11 toggleAlwaysUv: alwaysUv, not protected → OK
#[test]
fn always_uv_without_verification_locks_all_but_its_own_switch() {
    let mut key = Key::with(MANAGED);
    assert_eq!(key.configure(None, TOGGLE_ALWAYS_UV, None), Status::OK);
    assert_eq!(key.make(&registration(b"u")).unwrap_err(), Status::PUAT_REQUIRED);
    let param = make_credential::Request {
        pin_uv_auth_param: Some(&[0; 32]),
        pin_uv_auth_protocol: Some(2),
        ..registration(b"u")
    };
    assert_eq!(key.make(&param).unwrap_err(), Status::PUAT_REQUIRED, "there is nothing to prove");
    for sub_command in [ENABLE_ENTERPRISE_ATTESTATION, SET_MIN_PIN_LENGTH, ENABLE_LONG_TOUCH_FOR_RESET] {
        assert_eq!(key.configure(None, sub_command, None), Status::PUAT_REQUIRED);
    }
    assert_eq!(key.write_fragment(None, 0, &blob_array(17), Some(17)), Status::PUAT_REQUIRED);
    assert_eq!(key.configure(None, TOGGLE_ALWAYS_UV, None), Status::OK);
    key.make(&registration(b"u")).unwrap();
}

/// 6.11 setMinPINLength: no parameters → MISSING_PARAMETER
#[test]
fn set_min_pin_length_needs_parameters() {
    assert_eq!(Key::new().configure(None, SET_MIN_PIN_LENGTH, None), Status::MISSING_PARAMETER);
    assert_eq!(Key::new().configure(None, SET_MIN_PIN_LENGTH, Some(&[0xA0])), Status::OK);
}

/// 6.11 setMinPINLength: shorter than the current length, or longer than maxPINLength → PIN_POLICY_VIOLATION
#[test]
fn the_shortest_pin_only_grows_and_not_beyond_the_longest() {
    let mut key = Key::new();
    for (length, expected, then) in [
        (3, Status::PIN_POLICY_VIOLATION, 4),
        (4, Status::OK, 4),
        (6, Status::OK, 6),
        (5, Status::PIN_POLICY_VIOLATION, 6),
        (64, Status::PIN_POLICY_VIOLATION, 6),
        (256 + 8, Status::PIN_POLICY_VIOLATION, 6),
        (u32::MAX, Status::PIN_POLICY_VIOLATION, 6),
        (63, Status::OK, 63),
    ] {
        assert_eq!(key.set_min_pin_length(None, &min(length)), expected, "{length}");
        assert_eq!(key.info(|info| info.min_pin_length), Some(then));
    }
    let mut key = key.power_cut();
    assert_eq!(key.set_pin(Two, &"7".repeat(62)), Status::PIN_POLICY_VIOLATION);
    assert_eq!(key.set_pin(Two, &"7".repeat(63)), Status::OK);
    key.command(Command::RESET);
    assert_eq!(key.info(|info| info.min_pin_length), Some(4));
}

#[test]
fn a_stricter_configuration_holds_against_what_was_set_before() {
    let mut key = Key::new();
    assert_eq!(key.set_min_pin_length(None, &min(6)), Status::OK);
    for (configured, expected) in [(4, 6), (8, 8)] {
        let config = Config { min_pin_length: configured, ..Config::new([0xAA; 16]) };
        let mut key = Key::try_with(config, key.store.clone()).unwrap();
        assert_eq!(key.info(|info| info.min_pin_length), Some(expected));
    }
}

/// 6.11 setMinPINLength: the PIN is now too short, and a token is requested → PIN_POLICY_VIOLATION
/// 6.11 setMinPINLength: the PIN is now too short, a token from before → PIN_AUTH_INVALID
#[test]
fn a_pin_that_is_too_short_for_the_new_length_must_be_changed() {
    let mut key = with_pin();
    let token = key.unbound(ACFG);
    assert_eq!(key.set_min_pin_length(Some(&token), &min(4)), Status::OK);
    assert_eq!(key.info(|info| info.force_pin_change), Some(false));
    assert_eq!(key.set_min_pin_length(Some(&token), &min(5)), Status::OK);
    assert_eq!(key.info(|info| info.force_pin_change), Some(true));
    assert_eq!(key.set_min_pin_length(Some(&token), &min(5)), Status::PIN_AUTH_INVALID, "tokens are void");
    let mut key = key.power_cut();
    assert_eq!(key.token(Two, PIN, GA, None).unwrap_err(), Status::PIN_POLICY_VIOLATION);
    assert_eq!(key.change_pin(Two, PIN, "5678"), Status::PIN_POLICY_VIOLATION, "still too short");
    assert_eq!(key.change_pin(Two, PIN, "56789"), Status::OK);
    key.token(Two, "56789", GA, None).unwrap();
    assert_eq!(key.info(|info| info.force_pin_change), Some(false));
}

/// 6.11 setMinPINLength: forceChangePin without a PIN → PIN_NOT_SET
#[test]
fn a_change_can_be_forced_only_where_there_is_a_pin() {
    assert_eq!(Key::new().set_min_pin_length(None, &FORCE), Status::PIN_NOT_SET);
    let not = SetMinPinLength { force_change_pin: Some(false), ..FORCE };
    assert_eq!(Key::new().set_min_pin_length(None, &not), Status::OK);
    let both = SetMinPinLength { new_min_pin_length: Some(3), ..FORCE };
    assert_eq!(Key::new().set_min_pin_length(None, &both), Status::PIN_POLICY_VIOLATION, "the length comes first");
}

/// 6.5.5 getPinToken: the PIN must be changed first → PIN_INVALID
/// 6.5.5 getPinUvAuthTokenUsingPinWithPermissions: the PIN must be changed first → PIN_POLICY_VIOLATION
/// 6.5.5 changePIN: a change is forced, and the PIN is the same → PIN_POLICY_VIOLATION
#[test]
fn a_forced_change_refuses_tokens_and_the_same_pin() {
    let mut key = with_pin();
    let (other, token) = (key.persistent(), key.unbound(ACFG.with(MC)));
    assert_eq!(key.set_min_pin_length(Some(&token), &FORCE), Status::OK);
    assert_eq!(key.make_with(Two, &token, resident(b"u")).unwrap_err(), Status::PIN_AUTH_INVALID);
    assert_eq!(key.manage(&other, 1, None), [Status::PIN_AUTH_INVALID.0], "the persistent token, too");
    for protocol in [One, Two] {
        assert_eq!(key.legacy_token(protocol, PIN).unwrap_err(), Status::PIN_INVALID);
        for permissions in [MC, ACFG, PCMR] {
            assert_eq!(key.token(protocol, PIN, permissions, None).unwrap_err(), Status::PIN_POLICY_VIOLATION);
        }
        assert_eq!(key.legacy_token(protocol, "0000").unwrap_err(), Status::PIN_INVALID);
        assert_eq!(key.retries(), (7, false));
        assert_eq!(key.change_pin(protocol, PIN, PIN), Status::PIN_POLICY_VIOLATION);
        assert_eq!(key.retries(), (8, false), "the PIN was right");
    }
    assert_eq!(key.change_pin(Two, PIN, "4321"), Status::OK);
    key.token(Two, "4321", MC, None).unwrap();
    assert_eq!(key.change_pin(Two, "4321", "4321"), Status::OK, "only a forced change must be one");
}

/// 6.11 setMinPINLength: a change is forced again, a token from before → PIN_AUTH_INVALID
#[test]
fn each_forced_change_voids_every_token_also_while_a_change_is_due_already() {
    let complex = SetMinPinLength { pin_complexity_policy: Some(true), ..SetMinPinLength::default() };
    for (first, second) in [(FORCE, FORCE), (FORCE, min(5)), (min(5), min(5)), (min(5), FORCE), (complex, complex)] {
        let mut key = Key::with(SENSOR);
        assert_eq!(key.set_pin(Two, PIN), Status::OK);
        let token = key.unbound(BE);
        key.enrol(&token).unwrap();
        let token = key.unbound(ACFG);
        assert_eq!(key.set_min_pin_length(Some(&token), &first), Status::OK);
        // A token cannot be obtained with the PIN now, but still with the finger.
        let token = key.uv_token(Two, ACFG.with(MC), None).unwrap();
        let persistent = key.store.setting(Setting::PersistentToken);
        assert_eq!(key.set_min_pin_length(Some(&token), &second), Status::OK, "{second:?}");
        assert_eq!(key.make_with(Two, &token, resident(b"u")).unwrap_err(), Status::PIN_AUTH_INVALID, "{second:?}");
        assert_ne!(key.store.setting(Setting::PersistentToken), persistent, "{second:?}");
        let token = key.uv_token(Two, ACFG.with(MC), None).unwrap();
        assert_eq!(key.set_min_pin_length(Some(&token), &SetMinPinLength::default()), Status::OK);
        let forces_nothing = !matches!(second.new_min_pin_length, Some(5)) && first.new_min_pin_length.is_none();
        assert_eq!(key.make_with(Two, &token, resident(b"u")).is_ok(), forces_nothing, "{second:?}");
    }
}

/// 6.11 setMinPINLength: more RP IDs than maxRPIDsForSetMinPINLength → KEY_STORE_FULL
#[test]
fn up_to_eight_relying_parties_may_learn_the_length_and_a_new_list_replaces_the_old() {
    let mut key = Key::new();
    let names: Vec<String> = (0..9).map(|index| format!("{index}.example.org")).collect();
    let list: Vec<Text<'_>> = names.iter().map(|name| Text::new(name)).collect();
    let with = |count: usize| SetMinPinLength {
        min_pin_length_rp_ids: Some(List::Slice(&list[..count])),
        ..SetMinPinLength::default()
    };
    let hashes = |count: usize| names[..count].iter().flat_map(|name| rp_id_hash(name)).collect::<Vec<u8>>();
    assert_eq!(key.set_min_pin_length(None, &with(9)), Status::KEY_STORE_FULL);
    assert_eq!(key.store.setting(Setting::MinPinRpIds), None);
    for count in [8, 1] {
        assert_eq!(key.set_min_pin_length(None, &with(count)), Status::OK);
        assert_eq!(key.store.setting(Setting::MinPinRpIds).unwrap(), hashes(count));
    }
    assert_eq!(key.set_min_pin_length(None, &with(0)), Status::OK);
    assert_eq!(key.store.setting(Setting::MinPinRpIds).unwrap(), hashes(1), "an empty list changes nothing");
    assert_eq!(key.info(|info| info.max_rp_ids_for_set_min_pin_length), Some(8));
    key.command(Command::RESET);
    assert_eq!(key.store.setting(Setting::MinPinRpIds), None);
}

/// 6.11 setMinPINLength: pinComplexityPolicy false after true → PIN_POLICY_VIOLATION
/// 6.5.5 setPIN: too simple for the complexity policy → PIN_POLICY_VIOLATION
#[test]
fn the_pin_complexity_policy_is_switched_on_for_good() {
    let with = |policy| SetMinPinLength { pin_complexity_policy: Some(policy), ..SetMinPinLength::default() };
    let mut key = Key::new();
    assert_eq!(key.set_min_pin_length(None, &with(false)), Status::OK);
    assert_eq!(key.info(|info| info.pin_complexity_policy), Some(false));
    assert_eq!(key.set_min_pin_length(None, &with(true)), Status::OK);
    assert_eq!(key.set_min_pin_length(None, &with(false)), Status::PIN_POLICY_VIOLATION);
    let mut key = key.power_cut();
    assert_eq!(key.info(|info| info.pin_complexity_policy), Some(true));
    for simple in ["1111", "1234", "4321", "qwerty"] {
        assert_eq!(key.set_pin(Two, simple), Status::PIN_POLICY_VIOLATION, "{simple}");
    }
    assert_eq!(key.set_pin(Two, "8306"), Status::OK);
    assert_eq!(key.change_pin(Two, "8306", "0000"), Status::PIN_POLICY_VIOLATION);
    key.command(Command::RESET);
    assert_eq!(key.set_pin(Two, "0000"), Status::OK);
}

#[test]
fn the_pin_that_is_set_when_the_complexity_policy_comes_must_be_changed() {
    let mut key = with_pin();
    let token = key.unbound(ACFG);
    let policy = SetMinPinLength { pin_complexity_policy: Some(true), ..SetMinPinLength::default() };
    assert_eq!(key.set_min_pin_length(Some(&token), &policy), Status::OK);
    assert_eq!(key.info(|info| info.force_pin_change), Some(true));
    assert_eq!(key.change_pin(Two, PIN, "8306"), Status::OK);
    let token = key.token(Two, "8306", ACFG, None).unwrap();
    assert_eq!(key.set_min_pin_length(Some(&token), &policy), Status::OK);
    assert_eq!(key.info(|info| info.force_pin_change), Some(false), "it was set under the policy");
}

#[test]
fn where_there_is_no_complexity_policy_its_parameter_is_ignored() {
    let config = Config::new([0xAA; 16]);
    let mut key = Key::with(Config { caps: config.caps.without(Caps::PIN_COMPLEXITY), ..config });
    let policy = SetMinPinLength { pin_complexity_policy: Some(true), ..SetMinPinLength::default() };
    assert_eq!(key.set_min_pin_length(None, &policy), Status::OK);
    assert_eq!(key.set_pin(Two, "0000"), Status::OK);
    assert_eq!(key.info(|info| info.pin_complexity_policy), None);
}

#[test]
fn vendor_commands_are_those_of_the_configuration() {
    let mut key = Key::with(VENDOR);
    for (params, expected) in [
        (&[0xA1, 1, 7][..], Status::OK),
        (&[0xA2, 1, 7, 2, 0x41, 9], Status::OK),
        (&[0xA1, 1, 8], Status::INVALID_PARAMETER),
        (&[0xA1, 1, 0x19, 0xDE, 0xAD], Status::NOT_ALLOWED),
        (&[0xA0], Status::MISSING_PARAMETER),
        (&[0xA1, 1, 0xF5], Status::CBOR_UNEXPECTED_TYPE),
    ] {
        assert_eq!(key.configure(None, VENDOR_PROTOTYPE, Some(params)), expected, "{params:02x?}");
    }
    assert_eq!(key.configure(None, VENDOR_PROTOTYPE, None), Status::MISSING_PARAMETER);
    let carried_out = key.store.vendor.borrow().clone();
    assert_eq!(carried_out[1], (7, vec![0xA2, 1, 7, 2, 0x41, 9]));
    assert_eq!(carried_out.len(), 3);
    key.info(|info| {
        let listed = info.vendor_prototype_config_commands.unwrap();
        assert!(listed.iter().eq(VENDOR.vendor_commands.iter().copied()));
        assert!(info.authenticator_config_commands.unwrap().iter().eq([1, 2, 3, 4, 0xFF]));
    });
}

#[test]
fn a_member_of_a_wrong_type_is_refused_and_changes_nothing() {
    let mut key = Key::new();
    let commits = key.store.applied();
    for map in each_of_a_wrong_type(&[(1, &[3]), (2, &[0xA0]), (3, &[2]), (4, &byte_string(&[0; 32]))]) {
        let request = [&[0x0D], &map[..]].concat();
        assert_eq!(key.status(&request), Status::CBOR_UNEXPECTED_TYPE, "{request:02x?}");
    }
    for map in each_of_a_wrong_type(&[(1, &[5]), (2, &[0x81, 0x61, b'a']), (3, &[0xF4]), (4, &[0xF5])]) {
        assert_eq!(key.configure(None, SET_MIN_PIN_LENGTH, Some(&map)), Status::CBOR_UNEXPECTED_TYPE, "{map:02x?}");
    }
    assert_eq!(key.configure(None, SET_MIN_PIN_LENGTH, Some(&[0xA1, 2, 0x81, 0])), Status::CBOR_UNEXPECTED_TYPE);
    assert_eq!(key.store.applied(), commits);
}

#[test]
fn options_that_are_damaged_are_a_failure_and_not_the_defaults() {
    let key = Key::new();
    key.store.memory.borrow_mut().commit(&[Change::Set(Setting::Options, &[0])]).unwrap();
    assert!(Key::try_with(Config::new([0xAA; 16]), key.store.clone()).is_err());
}
