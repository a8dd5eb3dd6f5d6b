//! Setting and changing the PIN.

use super::*;
use crate::ctap2::client_pin::subcommand::*;

fn change(device: &mut Device<StubCrypto>, user: &mut User) -> Result<(), Cause> {
    let mut buffer = [0; 1024];
    run_with(Ceremony::new(ChangePin, &mut buffer, StubCrypto, rng()), device, user, |_| ())
}

fn set(device: &mut Device<StubCrypto>, user: &mut User) -> Result<(), Cause> {
    let mut buffer = [0; 1024];
    run_with(Ceremony::new(SetPin, &mut buffer, StubCrypto, rng()), device, user, |_| ())
}

fn user(pins: &[&'static str], new_pins: &[&'static str]) -> User {
    let collect = |pins: &[&'static str]| pins.iter().copied().collect();
    User { manages: true, pins: collect(pins), new_pins: collect(new_pins), ..User::default() }
}

#[test]
fn the_first_pin_is_set_under_both_protocols() {
    for protocol in [PinUvAuthProtocol::One, PinUvAuthProtocol::Two] {
        let mut device = Device::with_pin(StubCrypto, protocol);
        device.options.client_pin = Some(false);
        let mut user = user(&[], &["correct horse"]);
        set(&mut device, &mut user).unwrap();
        assert_eq!((device.pin, user.new_prompts), ("correct horse", vec![Reason::First]));
        assert_eq!(device.sub_commands(), [GET_KEY_AGREEMENT, SET_PIN]);
    }
}

#[cfg(feature = "rustcrypto")]
#[test]
fn real_cryptography_sets_and_changes_a_pin_under_both_protocols() {
    use crate::crypto::RustCrypto;
    for protocol in [PinUvAuthProtocol::One, PinUvAuthProtocol::Two] {
        let mut device = Device::with_pin(RustCrypto, protocol);
        device.options.client_pin = Some(false);
        let mut buffer = [0; 1024];
        let mut user = user(&["first", "first"], &["first", "second"]);
        run_with(Ceremony::new(SetPin, &mut buffer, RustCrypto, rng()), &mut device, &mut user, |_| ()).unwrap();
        run_with(Ceremony::new(ChangePin, &mut buffer, RustCrypto, rng()), &mut device, &mut user, |_| ()).unwrap();
        assert_eq!(device.pin, "second");
    }
}

#[test]
fn a_pin_is_changed() {
    let mut device = Device::managed(StubCrypto);
    let mut user = user(&[PIN], &["5678"]);
    change(&mut device, &mut user).unwrap();
    assert_eq!(device.pin, "5678");
    assert_eq!(device.sub_commands(), [GET_PIN_RETRIES, GET_KEY_AGREEMENT, CHANGE_PIN]);
    assert_eq!((user.prompts, user.new_prompts), (vec![(Reason::First, Some(8))], vec![Reason::First]));
}

#[test]
fn a_pin_that_must_be_changed_can_be_even_when_it_is_too_short_by_now() {
    let mut device = Device::managed(StubCrypto);
    device.force_pin_change = Some(true);
    device.amend = |info| info.min_pin_length = Some(6);
    let mut user = user(&[PIN], &["12345", "123456"]);
    change(&mut device, &mut user).unwrap();
    assert_eq!((device.pin, user.new_prompts), ("123456", vec![Reason::First, Reason::TooShort]));
}

#[test]
fn a_wrong_current_pin_is_asked_for_again_and_the_new_one_is_not() {
    let mut device = Device::managed(StubCrypto);
    let mut user = user(&["0000", "0001", "0002", PIN], &["5678"]);
    change(&mut device, &mut user).unwrap();
    let reasons = [(Reason::First, 8), (Reason::Wrong, 7), (Reason::Wrong, 6), (Reason::Wrong, 5)];
    assert_eq!(user.prompts, reasons.map(|(reason, retries)| (reason, Some(retries))));
    assert_eq!((device.pin, user.new_prompts, device.reconnects), ("5678", vec![Reason::First], 1));
}

#[test]
fn a_new_pin_that_breaks_the_policy_is_asked_for_again_and_the_current_one_is_not() {
    let mut device = Device::managed(StubCrypto);
    device.refusals = [Status::PIN_POLICY_VIOLATION].into();
    let mut user = user(&[PIN], &["1111", "5678"]);
    change(&mut device, &mut user).unwrap();
    assert_eq!((device.pin, user.new_prompts), ("5678", vec![Reason::First, Reason::Policy]));
    assert_eq!(user.prompts.len(), 1);
}

#[test]
fn a_new_pin_of_impossible_length_is_not_sent() {
    let mut device = Device::managed(StubCrypto);
    device.options.client_pin = Some(false);
    device.amend = |info| info.max_pin_length = Some(8);
    let long = "012345678901234567890123456789012345678901234567890123456789é123";
    let mut user = user(&[], &["123", "123456789", long, "1234\0", "éééééééé"]);
    set(&mut device, &mut user).unwrap();
    let expected = [Reason::First, Reason::TooShort, Reason::TooLong, Reason::TooLong, Reason::TooLong];
    assert_eq!((user.new_prompts.as_slice(), device.pin), (&expected[..], "éééééééé"));
    assert_eq!(device.sub_commands(), [GET_KEY_AGREEMENT, SET_PIN]);
}

#[test]
fn setting_and_changing_are_not_mistaken_for_each_other() {
    let mut device = Device::managed(StubCrypto);
    assert_eq!(set(&mut device, &mut user(&[], &["5678"])), Err(Cause::PinAlreadySet));
    device.options.client_pin = Some(false);
    assert_eq!(change(&mut device, &mut user(&[PIN], &["5678"])), Err(Cause::PinNotSet));
    device.options.client_pin = None;
    assert_eq!(change(&mut device, &mut user(&[PIN], &["5678"])), Err(Cause::Unsupported));
    assert_eq!(device.pin, PIN);
}

#[test]
fn a_user_who_gives_no_pin_changes_nothing() {
    for (pins, new_pins) in [(&[][..], &["5678"][..]), (&[PIN], &[])] {
        let mut device = Device::managed(StubCrypto);
        assert_eq!(change(&mut device, &mut user(pins, new_pins)), Err(Cause::PinRequired));
        assert_eq!(device.pin, PIN);
    }
}

#[test]
fn attempts_are_told() {
    let mut device = Device::with_uv(StubCrypto);
    device.options.client_pin = Some(true);
    (device.retries, device.strikes) = (5, 3);
    let mut buffer = [0; 1024];
    let retries = run_op(Ceremony::new(Retries::of_pin(), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    assert_eq!(retries, RetriesLeft { retries: 5, power_cycle: Some(true) });
    let retries = run_op(Ceremony::new(Retries::of_uv(), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    assert_eq!(retries, RetriesLeft { retries: 5, power_cycle: None });
}
