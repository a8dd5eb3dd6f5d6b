//! Whether and how the user is verified, and the ways to a token.

use super::*;
use crate::{
    client::facts::{AuthorizationMethod, Facts, Purpose},
    ctap2::{client_pin::subcommand::*, get_info},
    pin_uv::Permissions,
};

use Requirement::{Discouraged, Preferred, Required};

fn facts(options: get_info::SupportedOptions) -> Facts {
    Facts { options, protocol: Some(PinUvAuthProtocol::Two), ..Facts::default() }
}

fn choose(
    facts: &Facts,
    permissions: Permissions,
    uv: Requirement,
    discoverable: bool,
) -> Result<Option<AuthorizationMethod>, Cause> {
    facts.choose(&Purpose {
        permissions,
        rp_id: Some(RP_ID),
        user_verification: uv,
        preferred_without_uv: PreferredWithoutUv::Proceed,
        discoverable,
        ..Purpose::NONE
    })
}

#[test]
fn the_user_is_verified_by_pin_as_the_published_decision_table_says() {
    let none = facts(get_info::SupportedOptions::default());
    let unset = facts(get_info::SupportedOptions { client_pin: Some(false), ..Default::default() });
    let set = facts(get_info::SupportedOptions { client_pin: Some(true), ..Default::default() });
    let (no, pin) = (Ok(None), Ok(Some(AuthorizationMethod::Pin)));
    let (mc, ga) = (Permissions::MC, Permissions::GA);
    let table = [
        (mc, &none, [no, no, Err(Cause::UvUnavailable)]),
        (mc, &unset, [no, no, Ok(Some(AuthorizationMethod::SetPin))]),
        (mc, &set, [pin, pin, pin]),
        (ga, &none, [no, no, Err(Cause::UvUnavailable)]),
        (ga, &unset, [no, no, Err(Cause::PinNotSet)]),
        (ga, &set, [no, pin, pin]),
    ];
    for (permissions, facts, expected) in table {
        let decided = [Discouraged, Preferred, Required].map(|uv| choose(facts, permissions, uv, false));
        assert_eq!(decided, expected, "{permissions:?} {:?}", facts.options.client_pin);
    }
}

#[test]
fn make_cred_uv_not_rqd_spares_the_pin_unless_the_credential_is_discoverable_or_the_caller_wants_it() {
    let mut facts = facts(get_info::SupportedOptions {
        client_pin: Some(true),
        make_cred_uv_not_rqd: Some(true),
        ..Default::default()
    });
    assert_eq!(choose(&facts, Permissions::MC, Discouraged, false), Ok(None));
    assert_eq!(choose(&facts, Permissions::MC, Discouraged, true), Ok(Some(AuthorizationMethod::Pin)));
    assert_eq!(choose(&facts, Permissions::MC, Preferred, false), Ok(Some(AuthorizationMethod::Pin)));
    facts.options.always_uv = Some(true);
    assert_eq!(choose(&facts, Permissions::MC, Discouraged, false), Ok(Some(AuthorizationMethod::Pin)));
}

#[test]
fn always_uv_needs_user_verification_even_when_discouraged() {
    let mut facts =
        facts(get_info::SupportedOptions { always_uv: Some(true), client_pin: Some(true), ..Default::default() });
    assert_eq!(choose(&facts, Permissions::GA, Discouraged, false), Ok(Some(AuthorizationMethod::Pin)));
    facts.options.client_pin = Some(false);
    assert_eq!(choose(&facts, Permissions::GA, Discouraged, false), Err(Cause::PinNotSet));
}

#[test]
fn a_sign_in_with_any_discoverable_credential_verifies_the_user_where_it_can() {
    let set = facts(get_info::SupportedOptions { client_pin: Some(true), ..Default::default() });
    assert_eq!(choose(&set, Permissions::GA, Discouraged, true), Ok(Some(AuthorizationMethod::Pin)));
    let unset = facts(get_info::SupportedOptions { client_pin: Some(false), ..Default::default() });
    assert_eq!(choose(&unset, Permissions::GA, Discouraged, true), Ok(None));
}

#[test]
fn built_in_user_verification_comes_before_the_pin() {
    let mut facts = facts(get_info::SupportedOptions { client_pin: Some(true), uv: Some(true), ..Default::default() });
    assert_eq!(choose(&facts, Permissions::GA, Preferred, false), Ok(Some(AuthorizationMethod::BuiltInOption)));
    facts.options.pin_uv_auth_token = Some(true);
    assert_eq!(choose(&facts, Permissions::GA, Preferred, false), Ok(Some(AuthorizationMethod::BuiltInToken)));
}

#[test]
fn the_uv_option_serves_only_the_two_ceremonies() {
    let facts = facts(get_info::SupportedOptions { client_pin: Some(true), uv: Some(true), ..Default::default() });
    assert_eq!(choose(&facts, Permissions::CM, Required, false), Ok(Some(AuthorizationMethod::Pin)));
}

#[test]
fn a_pin_without_permission_for_ceremonies_is_not_asked_for() {
    let facts = facts(get_info::SupportedOptions {
        client_pin: Some(true),
        no_mc_ga_permissions_with_client_pin: Some(true),
        ..Default::default()
    });
    assert_eq!(choose(&facts, Permissions::GA, Preferred, false), Ok(None));
    assert_eq!(choose(&facts, Permissions::GA, Required, false), Err(Cause::UvUnavailable));
    assert_eq!(choose(&facts, Permissions::MC, Discouraged, false), Err(Cause::UvUnavailable));
    assert_eq!(choose(&facts, Permissions::CM, Required, false), Ok(Some(AuthorizationMethod::Pin)));
}

#[test]
fn an_authenticator_whose_protocols_are_all_unknown_cannot_verify_by_pin() {
    let facts =
        Facts { protocol: None, ..facts(get_info::SupportedOptions { client_pin: Some(true), ..Default::default() }) };
    assert_eq!(choose(&facts, Permissions::GA, Preferred, false), Ok(None));
    assert_eq!(choose(&facts, Permissions::GA, Required, false), Err(Cause::UvUnavailable));
}

#[test]
fn the_policy_decides_what_preferred_means_where_nothing_is_set_up() {
    let mut device = Device::new(StubCrypto);
    device.options.client_pin = Some(false);
    let options = MakeOptions { preferred_without_uv: PreferredWithoutUv::Error, ..make_options() };
    assert_eq!(make_stub(&mut device, &options, &mut User::default()), Err(Cause::PinNotSet));
    assert_eq!(device.commands(), [4]);
    device.options.client_pin = None; // not even supported: nothing to set up
    assert!(make_stub(&mut device, &options, &mut User::default()).is_ok());
}

#[test]
fn a_pin_gives_a_token_under_both_protocols() {
    for protocol in [PinUvAuthProtocol::One, PinUvAuthProtocol::Two] {
        let mut device = Device::with_pin(StubCrypto, protocol);
        let mut user = User::with_pins([PIN, PIN]);
        assert_eq!(make_stub(&mut device, &make_options(), &mut user).unwrap(), ID);
        assert_eq!(get_stub(&mut device, &get_options(), &mut user).unwrap().0, [ID]);
        assert_eq!(device.sub_commands(), [GET_PIN_RETRIES, GET_KEY_AGREEMENT, GET_TOKEN_USING_PIN].repeat(2));
        assert_eq!(user.prompts, [(Reason::First, Some(8)); 2]);
    }
}

#[cfg(feature = "rustcrypto")]
#[test]
fn real_cryptography_gives_a_token_under_both_protocols() {
    use crate::crypto::RustCrypto;
    for protocol in [PinUvAuthProtocol::One, PinUvAuthProtocol::Two] {
        let mut device = Device::with_pin(RustCrypto, protocol);
        let mut user = User::with_pins(["4321", PIN, PIN]);
        assert_eq!(make(RustCrypto, &mut device, &make_options(), &mut user).unwrap(), ID);
        assert_eq!(get(RustCrypto, &mut device, &get_options(), &mut user).unwrap().0, [ID]);
    }
}

#[test]
fn an_authenticator_without_permissions_is_asked_for_a_plain_token() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::One);
    device.options.pin_uv_auth_token = None;
    device.protocols = None; // version 2.0 need not list protocol one
    let mut user = User::with_pins([PIN]);
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!(device.sub_commands(), [GET_PIN_RETRIES, GET_KEY_AGREEMENT, GET_PIN_TOKEN]);
}

#[test]
fn the_first_listed_protocol_that_is_known_is_used() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.protocols = Some(vec![7, 1, 2]);
    make_stub(&mut device, &make_options(), &mut User::with_pins([PIN])).unwrap();
    let request: crate::ctap2::make_credential::Request = crate::cbor::decode(device.last()).unwrap();
    assert_eq!(request.pin_uv_auth_protocol, Some(1));
    assert_eq!(request.pin_uv_auth_param.unwrap().len(), 16);
}

#[test]
fn a_wrong_pin_is_asked_for_again_with_the_retries_that_are_left() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let mut user = User::with_pins(["0000", "1111", PIN]);
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!(user.prompts, [(Reason::First, Some(8)), (Reason::Wrong, Some(7)), (Reason::Wrong, Some(6))]);
    let agreements = device.sub_commands().iter().filter(|sub| **sub == GET_KEY_AGREEMENT).count();
    assert_eq!(agreements, 3); // the authenticator's key changed with every mismatch
}

#[test]
fn a_pin_of_impossible_length_costs_no_attempt() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let long = "0123456789012345678901234567890123456789012345678901234567890123";
    let endless: &'static str = Box::leak("é".repeat(500).into_boxed_str());
    let mut user = User::with_pins(["123", long, endless, "1234\0", PIN]);
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    let reasons: Vec<_> = user.prompts.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons, [Reason::First, Reason::TooShort, Reason::TooLong, Reason::TooLong, Reason::TooLong]);
    assert!(user.prompts.iter().all(|(_, retries)| *retries == Some(8)));
    assert_eq!(device.sub_commands(), [GET_PIN_RETRIES, GET_KEY_AGREEMENT, GET_TOKEN_USING_PIN]);
}

#[test]
fn without_a_pin_the_ceremony_fails_as_a_bad_request() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let error = make(StubCrypto, &mut device, &make_options(), &mut User::default()).unwrap_err();
    let expected = Error { code: ErrorCode::BadRequest, stage: Stage::Authorization, cause: Cause::PinRequired };
    assert_eq!(error, expected);
}

#[test]
fn three_wrong_pins_take_one_power_cycle_and_the_prompt_comes_after_it() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let mut user = User::with_pins(["0000", "0001", "0002", PIN]);
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!(device.reconnects, 1);
    assert_eq!(user.prompts.last(), Some(&(Reason::Wrong, Some(5))));
}

#[test]
fn a_soft_lock_that_no_power_cycle_lifts_ends_the_ceremony() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.power_cycles = false;
    let mut user = User::with_pins(["0000", "0001", "0002", "0003"]);
    assert_eq!(make_stub(&mut device, &make_options(), &mut user), Err(status(Status::PIN_AUTH_BLOCKED)));
    assert_eq!((device.reconnects, user.prompts.len()), (1, 3));
    // A lock that was there before is found before the user types in vain.
    assert_eq!(make_stub(&mut device, &make_options(), &mut user), Err(status(Status::PIN_AUTH_BLOCKED)));
    assert_eq!((device.reconnects, user.prompts.len()), (2, 3));
}

#[test]
fn a_second_soft_lock_in_one_ceremony_ends_it() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let mut user = User::with_pins(["0000", "0001", "0002", "0003", "0004", "0005", "0006", "0007"]);
    assert_eq!(make_stub(&mut device, &make_options(), &mut user), Err(status(Status::PIN_AUTH_BLOCKED)));
    assert_eq!((device.reconnects, user.prompts.len()), (1, 6));
}

#[test]
fn a_blocked_pin_is_not_asked_for() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.retries = 0;
    let mut user = User::with_pins([PIN]);
    assert_eq!(make_stub(&mut device, &make_options(), &mut user), Err(status(Status::PIN_BLOCKED)));
    assert!(user.prompts.is_empty());
}

#[test]
fn the_last_wrong_pin_blocks() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.retries = 1;
    let mut user = User::with_pins(["0000"]);
    assert_eq!(make_stub(&mut device, &make_options(), &mut user), Err(status(Status::PIN_BLOCKED)));
}

#[test]
fn a_pin_that_must_be_changed_is_changed_and_then_used_without_being_asked_for_again() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.force_pin_change = Some(true);
    let mut user = User { new_pins: ["5678"].into(), ..User::with_pins([PIN]) };
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!((user.prompts.len(), &user.new_prompts[..], device.pin), (1, &[Reason::First][..], "5678"));
    let expected = [GET_PIN_RETRIES, GET_KEY_AGREEMENT, CHANGE_PIN, GET_KEY_AGREEMENT, GET_TOKEN_USING_PIN];
    assert_eq!(device.sub_commands(), expected);
}

#[test]
fn a_pin_that_must_be_changed_and_is_not_ends_the_ceremony() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.force_pin_change = Some(true);
    let mut user = User::with_pins([PIN]);
    assert_eq!(make_stub(&mut device, &make_options(), &mut user), Err(Cause::PinChangeRequired));
}

#[test]
fn an_authenticator_that_only_tells_with_the_token_that_its_pin_must_be_changed_gets_it_changed() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.tampered = Some((3, vec![Status::PIN_POLICY_VIOLATION.0]));
    let mut user = User { new_pins: ["5678"].into(), ..User::with_pins([PIN, PIN]) };
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!(device.pin, "5678");
}

#[test]
fn a_first_pin_is_set_on_the_way_where_a_registration_needs_one() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.options.client_pin = Some(false);
    let required = MakeOptions { user_verification: Required, ..make_options() };
    let mut user = User { new_pins: ["12", PIN].into(), ..User::default() };
    make_stub(&mut device, &required, &mut user).unwrap();
    assert_eq!(user.new_prompts, [Reason::First, Reason::TooShort]);
    assert_eq!(device.sub_commands(), [GET_KEY_AGREEMENT, SET_PIN, GET_KEY_AGREEMENT, GET_TOKEN_USING_PIN]);

    device.options.client_pin = Some(false);
    assert_eq!(make_stub(&mut device, &required, &mut User::default()), Err(Cause::PinNotSet));
    let required = GetOptions { user_verification: Required, ..get_options() };
    assert_eq!(get_stub(&mut device, &required, &mut User::default()).unwrap_err(), Cause::PinNotSet);
}

#[test]
fn built_in_user_verification_gives_a_token() {
    let mut device = Device::with_uv(StubCrypto);
    let mut user = User::default();
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!(device.sub_commands(), [GET_KEY_AGREEMENT, GET_TOKEN_USING_UV]);
    assert_eq!(user.uv_prompts, [(Reason::First, None)]);
}

#[test]
fn failed_built_in_user_verification_is_repeated_while_attempts_are_left() {
    let mut device = Device::with_uv(StubCrypto);
    device.uv = [Status::UV_INVALID; 2].into();
    let mut user = User::default();
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!(user.uv_prompts, [(Reason::First, None), (Reason::Wrong, Some(4)), (Reason::Wrong, Some(3))]);
}

#[test]
fn built_in_user_verification_gives_way_to_the_pin() {
    // Out of attempts, blocked before, the preferred number of attempts made, refused by the user.
    for (uv_retries, uv_attempts, refuses_uv, uv_prompts, reason) in [
        (1, None, false, 1, Reason::UvFailed),
        (0, None, false, 1, Reason::UvFailed),
        (5, Some(2), false, 2, Reason::UvFailed),
        (5, None, true, 1, Reason::First),
    ] {
        let mut device = Device::with_uv(StubCrypto);
        device.options.client_pin = Some(true);
        device.uv = [Status::UV_INVALID; 9].into();
        (device.uv_retries, device.uv_attempts) = (uv_retries, uv_attempts);
        let mut user = User { refuses_uv, ..User::with_pins([PIN]) };
        make_stub(&mut device, &make_options(), &mut user).unwrap();
        assert_eq!(user.uv_prompts.len(), uv_prompts);
        assert_eq!(user.prompts, [(reason, Some(8))]);
    }
}

#[test]
fn without_a_pin_blocked_or_declined_user_verification_ends_the_ceremony() {
    let mut device = Device::with_uv(StubCrypto);
    device.uv_retries = 0;
    assert_eq!(make_stub(&mut device, &make_options(), &mut User::default()), Err(status(Status::UV_BLOCKED)));
    let mut user = User { refuses_uv: true, ..User::default() };
    assert_eq!(make_stub(&mut device, &make_options(), &mut user), Err(Cause::UvDeclined));
}

#[test]
fn without_tokens_built_in_user_verification_happens_within_the_command() {
    let mut device = Device::new(StubCrypto);
    device.options.uv = Some(true);
    device.refusals = [Status::UV_INVALID].into();
    let mut user = User::default();
    get_stub(&mut device, &get_options(), &mut user).unwrap();
    assert_eq!(user.uv_prompts, [(Reason::First, None), (Reason::Wrong, Some(5))]);
    let request: crate::ctap2::get_assertion::Request = crate::cbor::decode(device.last()).unwrap();
    assert_eq!(request.options.unwrap().uv, Some(true));
    assert_eq!(request.pin_uv_auth_param, None);
}

#[test]
fn user_verification_that_is_blocked_within_the_command_gives_way_to_the_pin() {
    for refusal in [Status::UV_BLOCKED, Status::PUAT_REQUIRED] {
        let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::One);
        device.options.pin_uv_auth_token = None;
        device.options.uv = Some(true);
        device.refusals = [refusal].into();
        let mut user = User::with_pins([PIN]);
        get_stub(&mut device, &get_options(), &mut user).unwrap();
        assert_eq!(user.prompts, [(Reason::UvFailed, Some(8))]);
    }
}

#[test]
fn a_refused_token_is_renewed_once() {
    for refusal in [Status::PIN_AUTH_INVALID, Status::PIN_TOKEN_EXPIRED] {
        let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
        device.refusals = [refusal].into();
        let mut user = User::with_pins([PIN; 3]);
        make_stub(&mut device, &make_options(), &mut user).unwrap();
        assert_eq!(user.prompts, [(Reason::First, Some(8)), (Reason::TokenRefused, Some(8))]);
        device.refusals = [refusal; 2].into();
        let mut user = User::with_pins([PIN; 3]);
        let error = make(StubCrypto, &mut device, &make_options(), &mut user).unwrap_err();
        assert_eq!((error.stage, error.cause), (Stage::Command, status(refusal)));
    }
}

#[test]
fn an_authenticator_that_insists_on_user_verification_gets_it_once() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let allowed = [CredentialDescriptor::new(ID)];
    let options = GetOptions { allow_list: List::Slice(&allowed), user_verification: Discouraged, ..get_options() };
    device.refusals = [Status::PUAT_REQUIRED].into();
    let mut user = User::with_pins([PIN; 2]);
    get_stub(&mut device, &options, &mut user).unwrap();
    assert_eq!(user.prompts.len(), 1);
    device.refusals = [Status::PUAT_REQUIRED; 2].into();
    assert_eq!(get_stub(&mut device, &options, &mut user), Err(status(Status::PUAT_REQUIRED)));
}
