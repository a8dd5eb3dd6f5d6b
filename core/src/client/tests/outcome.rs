//! What is made of the answers.

use super::*;
use crate::{
    client::extensions::{GetExtensions, GetResults, MakeExtensions, MakeResults},
    ctap2::CredentialType,
};

fn allow<'a>(list: &'a [CredentialDescriptor<'a>]) -> GetOptions<'a> {
    GetOptions { allow_list: List::Slice(list), ..get_options() }
}

fn flawed_make(flaw: Flaw) -> Result<Vec<u8>, Cause> {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.flaw = Some(flaw);
    make_stub(&mut device, &make_options(), &mut User::with_pins([PIN]))
}

fn flawed_get(flaw: Flaw, options: &GetOptions) -> Result<Vec<Vec<u8>>, Cause> {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    (device.flaw, device.max_list) = (Some(flaw), Some(2));
    get_stub(&mut device, options, &mut User::with_pins([PIN])).map(|(ids, _)| ids)
}

#[test]
fn an_answer_for_another_relying_party_is_refused() {
    assert_eq!(flawed_make(Flaw::RpIdHash), Err(Cause::RpIdHashMismatch));
    assert_eq!(flawed_get(Flaw::RpIdHash, &get_options()), Err(Cause::RpIdHashMismatch));
}

#[test]
fn an_answer_without_user_presence_is_refused() {
    assert_eq!(flawed_make(Flaw::UserNotPresent), Err(Cause::UserNotPresent));
    assert_eq!(flawed_get(Flaw::UserNotPresent, &get_options()), Err(Cause::UserNotPresent));
}

#[test]
fn an_answer_without_the_user_verification_that_was_done_is_refused() {
    assert_eq!(flawed_make(Flaw::UserNotVerified), Err(Cause::UserNotVerified));
    assert_eq!(flawed_get(Flaw::UserNotVerified, &get_options()), Err(Cause::UserNotVerified));
}

#[test]
fn an_answer_without_user_verification_is_taken_when_none_was_done() {
    let mut device = Device::new(StubCrypto);
    assert_eq!(make_stub(&mut device, &make_options(), &mut User::default()).unwrap(), ID);
}

#[test]
fn attested_credential_data_belongs_into_registrations_only() {
    assert_eq!(flawed_make(Flaw::Attested), Err(Cause::AttestedCredentialDataMissing));
    assert_eq!(flawed_get(Flaw::Attested, &get_options()), Err(Cause::AttestedCredentialDataUnexpected));
}

#[test]
fn a_credential_of_an_algorithm_that_was_not_asked_for_is_refused() {
    assert_eq!(flawed_make(Flaw::Algorithm), Err(Cause::AlgorithmMismatch));
}

#[test]
fn an_empty_credential_id_is_refused() {
    assert_eq!(flawed_make(Flaw::EmptyCredentialId), Err(Cause::InvalidCredentialId));
    assert_eq!(flawed_get(Flaw::EmptyCredentialId, &get_options()), Err(Cause::InvalidCredentialId));
}

#[test]
fn a_credential_id_over_1023_bytes_is_refused() {
    let mut device = Device::new(StubCrypto);
    device.credentials = vec![vec![1; 1024]];
    let mut buffer = [0; 4096];
    let options = get_options();
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
    let error = run(ceremony, &mut device, &mut User::default(), || at(0)).unwrap_err();
    assert_eq!(error.cause, Cause::InvalidCredentialId);
}

#[test]
fn a_credential_that_is_not_in_the_allow_list_is_refused() {
    let list = [CredentialDescriptor::new(ID)];
    assert_eq!(flawed_get(Flaw::OtherCredentialId, &allow(&list)), Err(Cause::CredentialNotAllowed));
    assert_eq!(flawed_get(Flaw::OtherCredentialId, &get_options()).unwrap(), [b"another"]);
    // One of an unknown type is not in it.
    let later = CredentialDescriptor { kind: CredentialType("later"), ..CredentialDescriptor::new(b"another") };
    let list = [CredentialDescriptor::new(ID), later];
    assert_eq!(flawed_get(Flaw::OtherCredentialId, &allow(&list)), Err(Cause::CredentialNotAllowed));
}

#[test]
fn a_credential_may_be_left_out_only_when_one_was_asked_for() {
    let list = [CredentialDescriptor::new(ID), CredentialDescriptor::new(b"another")];
    assert_eq!(flawed_get(Flaw::CredentialOmitted, &allow(&list[..1])).unwrap(), [ID]);
    assert_eq!(flawed_get(Flaw::CredentialOmitted, &allow(&list)), Err(Cause::CredentialMissing));
    assert_eq!(flawed_get(Flaw::CredentialOmitted, &get_options()), Err(Cause::CredentialMissing));
}

#[test]
fn an_attestation_statement_that_does_not_fit_its_format_is_refused() {
    assert!(matches!(flawed_make(Flaw::Statement), Err(Cause::Decode(_))));
}

#[test]
fn bytes_after_an_answer_are_refused() {
    assert!(matches!(flawed_make(Flaw::Trailing), Err(Cause::Decode(_))));
    assert!(matches!(flawed_get(Flaw::Trailing, &get_options()), Err(Cause::Decode(_))));
}

#[test]
fn a_token_of_another_length_than_its_protocols_is_refused() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let mut token = vec![0, 0xA1, 0x02, 0x58, 0x20];
    token.extend([0; 32]); // an IV and 16 bytes
    device.tampered = Some((3, token));
    assert_eq!(make_stub(&mut device, &make_options(), &mut User::with_pins([PIN])), Err(Cause::InvalidToken));
}

/// Only an authenticator of version 2.0 with protocol one may choose the length.
#[cfg(feature = "rustcrypto")]
#[test]
fn tokens_of_an_authenticator_of_version_2_0_have_any_multiple_of_16_bytes() {
    use crate::{cbor::Text, crypto::RustCrypto, ctap2::get_info};
    let version_2_1: fn(&mut get_info::Response<'static>) =
        |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_0"), Text::new("FIDO_2_1")] });
    let taken = |length: u8, protocol, later: bool| {
        let mut device = Device::with_pin(RustCrypto, protocol);
        device.token_bytes = Some((0..length).collect());
        if later {
            device.amend = version_2_1;
        }
        make(RustCrypto, &mut device, &make_options(), &mut User::with_pins([PIN])).map_err(|error| error.cause)
    };
    for length in [16, 32, 48, 64, 80, 96, 112, 128, 144, 160] {
        let expected = |fits: bool| if fits { Ok(ID.to_vec()) } else { Err(Cause::InvalidToken) };
        assert_eq!(taken(length, PinUvAuthProtocol::One, false), expected(length <= 128), "2.0: {length}");
        assert_eq!(taken(length, PinUvAuthProtocol::One, true), expected(length <= 32), "2.1: {length}");
        assert_eq!(taken(length, PinUvAuthProtocol::Two, false), expected(length == 32), "protocol two: {length}");
    }
    assert_eq!(taken(0, PinUvAuthProtocol::One, false), Err(Cause::InvalidToken));
}

#[test]
fn the_outcome_shows_all_that_was_answered() {
    let mut device = Device::new(StubCrypto);
    let mut buffer = [0; 1024];
    let options = make_options();
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let attestation = run(ceremony, &mut device, &mut User::default(), || at(0)).unwrap();
    assert_eq!(attestation.statement, crate::attestation::Statement::None);
    assert_eq!(attestation.auth_data.sign_count, 1);

    let mut buffer = [0; 1024];
    let options = get_options();
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
    let selection = run(ceremony, &mut device, &mut User::default(), || at(0)).unwrap();
    let assertion = selection.get(0).unwrap();
    assert_eq!((assertion.response.signature.len(), assertion.response.user.unwrap().id), (70, &ID[..1]));
    assert_eq!((selection.len(), selection.total(), selection.get(1)), (1, 1, None));
}

fn ids(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|n| vec![n; 16]).collect()
}

#[test]
fn several_assertions_are_all_fetched_and_kept_in_order() {
    let mut device = Device::new(StubCrypto);
    device.credentials = ids(4);
    let (fetched, total) = get_stub(&mut device, &get_options(), &mut User::default()).unwrap();
    assert_eq!((fetched, total), (ids(4), 4));
    assert_eq!(device.commands(), [4, 2, 8, 8, 8]);
}

#[test]
fn assertions_that_do_not_fit_are_counted() {
    let mut device = Device::new(StubCrypto);
    device.credentials = ids(4);
    device.padding = 250;
    let (fetched, total) = get_stub(&mut device, &get_options(), &mut User::default()).unwrap();
    assert_eq!((fetched, total), (ids(2), 4));
}

#[test]
fn assertions_that_fill_the_buffer_to_the_last_byte_are_kept() {
    for padding in 0..900 {
        let mut device = Device::new(StubCrypto);
        device.credentials = ids(3);
        device.padding = padding;
        match get_stub(&mut device, &get_options(), &mut User::default()) {
            Ok((fetched, total)) => {
                let kept: usize = device.responses[1..][..fetched.len()].iter().map(Vec::len).sum();
                let next = device.responses.get(1 + fetched.len()).map_or(1025, Vec::len);
                assert!(kept <= 1024 && (fetched.len() == 3 || kept + next > 1024), "{padding}");
                assert_eq!(total, 3);
            }
            Err(cause) => {
                assert_eq!(cause, Cause::BufferTooSmall { needed: device.responses[1].len() });
                assert!(device.responses[1].len() > 1024, "{padding}");
            }
        }
    }
}

#[test]
fn an_authenticator_that_refuses_the_other_assertions_does_not_take_those_back_that_it_gave() {
    let mut device = Device::new(StubCrypto);
    device.credentials = ids(3);
    device.tampered = Some((3, vec![Status::NOT_ALLOWED.0]));
    let (fetched, total) = get_stub(&mut device, &get_options(), &mut User::default()).unwrap();
    assert_eq!((fetched, total), (ids(2), 3));
    // A malformed one is no refusal.
    device.tampered = Some((device.requests.len() + 3, vec![0, 0xA1]));
    let error = get(StubCrypto, &mut device, &get_options(), &mut User::default()).unwrap_err();
    assert!(matches!((error.stage, error.cause), (Stage::Command, Cause::Decode(_))), "{error}");
}

#[test]
fn of_an_allow_list_one_assertion_is_returned_as_the_standard_has_it() {
    let other = CredentialDescriptor::new(b"another");
    let (one, two) = ([CredentialDescriptor::new(ID)], [CredentialDescriptor::new(ID), other]);
    let claims = |claimed, options: &GetOptions, selects: bool| {
        let mut device = Device::new(StubCrypto);
        (device.claimed, device.max_list) = (Some(claimed), Some(2));
        device.credentials = vec![ID.to_vec(), b"another".to_vec()];
        if selects {
            device.amend = |info| info.versions = List::Slice(const { &[crate::cbor::Text::new("FIDO_2_1")] });
        }
        get_stub(&mut device, options, &mut User::default()).map(|(ids, total)| (ids.len(), total))
    };
    let too_many = Err(Cause::NumberOfCredentials);
    for selects in [true, false] {
        assert_eq!(claims(1, &allow(&one), selects), Ok((1, 1)));
        assert_eq!(claims(2, &allow(&one), selects), too_many);
        assert_eq!(claims(3, &allow(&two), selects), too_many);
        assert_eq!(claims(0, &allow(&two), selects), too_many);
        assert_eq!(claims(0, &get_options(), selects), too_many);
        assert_eq!(claims(2, &get_options(), selects), Ok((2, 2)));
    }
    // Version 2.0 has the authenticator return all of those that are listed.
    assert_eq!(claims(2, &allow(&two), false), Ok((2, 2)));
    assert_eq!(claims(2, &allow(&two), true), too_many);
}

#[test]
fn an_absurd_number_of_assertions_ends_with_the_buffer() {
    let mut device = Device::new(StubCrypto);
    device.credentials = ids(200);
    let (fetched, total) = get_stub(&mut device, &get_options(), &mut User::default()).unwrap();
    assert!(fetched.len() < 10);
    assert_eq!(total, 200);
}

#[test]
fn outputs_of_extensions_that_were_not_asked_for_do_not_reach_the_caller() {
    let device = || {
        let mut device = Device::new(StubCrypto);
        device.flaw = Some(Flaw::Unasked);
        device
    };
    let mut buffer = [0; 1024];
    let options = make_options();
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let attestation = run(ceremony, &mut device(), &mut User::default(), || at(0)).unwrap();
    assert_eq!(attestation.extensions, MakeResults::default());
    let mut buffer = [0; 1024];
    let extensions = MakeExtensions { min_pin_length: true, uvm: true, ..MakeExtensions::NONE };
    let options = MakeOptions { extensions, ..make_options() };
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let results = run(ceremony, &mut device(), &mut User::default(), || at(0)).unwrap().extensions;
    assert!(results.min_pin_length == Some(4) && results.uvm.is_some());
    assert_eq!(MakeResults { min_pin_length: None, uvm: None, ..results }, MakeResults::default());

    let mut buffer = [0; 1024];
    let options = get_options();
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
    let selection = run(ceremony, &mut device(), &mut User::default(), || at(0)).unwrap();
    assert_eq!(selection.get(0).unwrap().extensions, GetResults::default());
    let mut buffer = [0; 1024];
    let extensions = GetExtensions { cred_blob: true, ..GetExtensions::NONE };
    let options = GetOptions { extensions, ..get_options() };
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
    let results = run(ceremony, &mut device(), &mut User::default(), || at(0)).unwrap().get(0).unwrap().extensions;
    assert_eq!(results, GetResults { cred_blob: Some(b"blob"), ..GetResults::default() });
}
