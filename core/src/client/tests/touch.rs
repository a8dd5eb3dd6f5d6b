//! What counts as a touch, and what authenticators say without one.

use super::*;
use crate::{
    cbor::{self, Text},
    client::manage::Selection,
    ctap2::{Command, get_info, make_credential},
};

const OLD: fn(&mut get_info::Response<'static>) =
    |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_0"), Text::new("FIDO_2_1_PRE")] });
const NEW: fn(&mut get_info::Response<'static>) =
    |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_1")] });

/// Statuses with which some authenticators refuse any pinUvAuthParam.
const REFUSALS: [Status; 3] = [Status::PIN_AUTH_INVALID, Status::PIN_NOT_SET, Status::PIN_INVALID];
const AT_ONCE: &[Status] = &[Status::PIN_AUTH_INVALID, Status::PIN_NOT_SET, Status::PIN_INVALID];

/// An authenticator of version 2.0 without credentials, with this clientPin.
fn old(client_pin: Option<bool>) -> Device<StubCrypto> {
    let mut device = Device::new(StubCrypto);
    (device.amend, device.options.client_pin, device.credentials) = (OLD, client_pin, vec![]);
    device
}

fn select(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
    let (mut buffer, now) = ([0; 1024], device.now.clone());
    let ceremony = Ceremony::new(Selection::new(), &mut buffer, StubCrypto, rng());
    run(ceremony, device, &mut User::default(), || at(now.get())).map_err(|error| error.cause)
}

/// The pinUvAuthParam of every registration that was asked for.
fn params(device: &Device<StubCrypto>) -> Vec<Option<Vec<u8>>> {
    let made = device.requests.iter().filter(|request| request[0] == Command::MAKE_CREDENTIAL.0);
    let read = |request: &Vec<u8>| {
        cbor::decode::<make_credential::Request>(&request[1..]).unwrap().pin_uv_auth_param.map(<[u8]>::to_vec)
    };
    made.map(read).collect()
}

fn allowing(list: &'static [CredentialDescriptor<'static>]) -> GetOptions<'static> {
    GetOptions { allow_list: List::Slice(list), user_verification: Requirement::Discouraged, ..get_options() }
}

const LISTED: &[CredentialDescriptor] = &[CredentialDescriptor::new(ID)];

#[test]
fn an_authenticator_without_client_pin_is_selected_by_a_registration_and_not_by_refusing_a_parameter() {
    // It refuses any pinUvAuthParam at once.
    let mut device = old(None).altered(|device| device.at_once = AT_ONCE);
    select(&mut device).unwrap();
    assert_eq!(params(&device), [None], "a dummy registration");
    for refusal in REFUSALS {
        let mut device = old(None).altered(|device| device.refusals = [refusal].into());
        assert_eq!(select(&mut device), Err(status(refusal)));
    }
}

#[test]
fn a_sign_in_that_finds_nothing_ends_after_a_touch_on_an_authenticator_without_client_pin_too() {
    let mut device = old(None).altered(|device| device.at_once = AT_ONCE);
    let cause = get_stub(&mut device, &allowing(LISTED), &mut User::default()).unwrap_err();
    assert_eq!((cause, params(&device)), (status(Status::NO_CREDENTIALS), vec![None]));
    let mut device = old(None).altered(|device| device.tampered = Some((2, vec![Status::USER_ACTION_TIMEOUT.0])));
    let cause = get_stub(&mut device, &allowing(LISTED), &mut User::default()).unwrap_err();
    assert_eq!(cause, status(Status::USER_ACTION_TIMEOUT), "who does not touch it does not learn why");
}

#[test]
fn a_refusal_of_an_empty_parameter_is_a_touch_only_if_a_touch_was_asked_for() {
    for refusal in REFUSALS {
        // After the touch.
        for client_pin in [false, true] {
            let mut device = old(Some(client_pin)).altered(|device| device.refusals = [refusal].into());
            select(&mut device).unwrap();
            assert_eq!(params(&device), [Some(vec![])]);
        }
        // At once, where no PIN is set: a registration asks for the touch.
        let mut device = old(Some(false)).altered(|device| device.at_once = AT_ONCE);
        device.refusals = [refusal].into();
        select(&mut device).unwrap();
        assert_eq!(params(&device), [Some(vec![]), None]);
        let mut device = old(Some(false)).altered(|device| device.at_once = AT_ONCE);
        device.refusals = [refusal, refusal].into();
        assert_eq!(select(&mut device), Err(status(refusal)), "that is refused, too");
    }
    // With a PIN set a registration would be refused. PIN_INVALID here only means that the user has touched the key.
    for (refusal, selected) in REFUSALS.into_iter().zip([false, false, true]) {
        let mut device = old(Some(true)).altered(|device| device.at_once = AT_ONCE);
        device.refusals = [refusal].into();
        assert_eq!(select(&mut device), if selected { Ok(()) } else { Err(status(refusal)) });
    }
}

#[test]
fn an_authenticator_without_the_selection_of_its_version_is_asked_for_a_registration() {
    let mut device = old(Some(true)).altered(|device| device.amend = NEW);
    device.script = [vec![Status::INVALID_COMMAND.0], vec![0]].into();
    select(&mut device).unwrap();
    assert_eq!((device.commands(), params(&device)), (vec![4, Command::SELECTION.0, 1], vec![None]));
}

#[test]
fn an_authenticator_that_cannot_be_made_to_ask_for_a_touch_does_not_tell_what_it_lacks() {
    let without = |refusal: Status, amend| {
        let mut device = old(Some(true)).altered(|device| device.amend = amend);
        device.tampered = Some((2, vec![refusal.0]));
        let cause = get_stub(&mut device, &allowing(LISTED), &mut User::default()).unwrap_err();
        assert!(device.sub_commands().is_empty(), "no authorization helps");
        cause
    };
    for refusal in [Status::OTHER, Status::INVALID_OPTION, Status::PUAT_REQUIRED, Status::PIN_AUTH_BLOCKED] {
        assert_eq!(without(refusal, OLD), Cause::UserNotPresent);
        assert_eq!(without(refusal, NEW), Cause::UserNotPresent);
    }
    assert_eq!(without(Status::OPERATION_DENIED, NEW), status(Status::OPERATION_DENIED));
    let mut device = Device::new(StubCrypto).altered(|device| device.refusals = [Status::OTHER].into());
    device.algorithms = Some(vec![CredentialParameters::new(Algorithm::EDDSA)]);
    assert_eq!(make_stub(&mut device, &make_options(), &mut User::default()), Err(Cause::UserNotPresent));
}

#[test]
fn what_a_registration_is_refused_for_without_a_touch_is_told_after_one() {
    for refusal in [Status::CREDENTIAL_EXCLUDED, Status::UNSUPPORTED_ALGORITHM] {
        let refusing = |at_once: &'static [Status]| {
            let mut device = Device::new(StubCrypto).altered(|device| device.at_once = at_once);
            device.refusals = [refusal].into();
            device
        };
        let mut device = refusing(&[]);
        assert_eq!(make_stub(&mut device, &make_options(), &mut User::default()), Err(status(refusal)));
        assert_eq!(device.commands(), [4, 1], "the touch was its own");

        let at_once = &[Status::CREDENTIAL_EXCLUDED, Status::UNSUPPORTED_ALGORITHM];
        let mut device = refusing(at_once);
        assert_eq!(make_stub(&mut device, &make_options(), &mut User::default()), Err(status(refusal)));
        assert_eq!(device.commands(), [4, 1, 1]);
        let mut device = refusing(at_once);
        device.refusals.push_back(Status::OPERATION_DENIED);
        let made = make_stub(&mut device, &make_options(), &mut User::default());
        assert_eq!(made, Err(status(Status::OPERATION_DENIED)), "who does not touch it does not learn why");
    }
}
