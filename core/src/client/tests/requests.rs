//! What is sent, and what is found out before anything is.

use super::{
    extensions::{CredProtect, LargeBlobSupport, MakeExtensions},
    *,
};
use crate::{
    cbor,
    ctap2::{CommandOptions, CredentialType, make_credential},
    extensions::cred_protect::Level,
};

#[test]
fn a_plain_registration_is_get_info_and_one_canonical_command() {
    let mut device = Device::new(StubCrypto);
    make_stub(&mut device, &make_options(), &mut User::default()).unwrap();
    assert_eq!(device.commands(), [4, 1]);
    let request: make_credential::Request = cbor::decode(device.last()).unwrap();
    let mut expected = request;
    (expected.exclude_list, expected.extensions, expected.options) = (None, None, None);
    (expected.pin_uv_auth_param, expected.pin_uv_auth_protocol) = (None, None);
    assert_eq!(request, expected);
    assert_eq!((request.client_data_hash, request.rp.id, request.user.id), (HASH, RP_ID, &b"user"[..]));
}

#[test]
fn a_token_goes_without_the_uv_option_and_up_is_never_sent() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let options = MakeOptions { resident_key: Requirement::Preferred, ..make_options() };
    make_stub(&mut device, &options, &mut User::with_pins([PIN])).unwrap();
    let request: make_credential::Request = cbor::decode(device.last()).unwrap();
    assert_eq!(request.options, Some(CommandOptions { rk: Some(true), up: None, uv: None }));
    assert_eq!(request.pin_uv_auth_param.unwrap().len(), 32);
}

#[test]
fn lists_go_without_transports_and_without_ids_that_are_too_long() {
    let mut device = Device::new(StubCrypto);
    device.max_id = Some(20);
    let transports = [cbor::Text::new("usb")];
    let long = [1; 21];
    let list = [
        CredentialDescriptor { transports: Some(List::Slice(&transports)), ..CredentialDescriptor::new(b"short") },
        CredentialDescriptor::new(&long),
        CredentialDescriptor { kind: CredentialType("something else"), ..CredentialDescriptor::new(b"other") },
    ];
    let options = MakeOptions { exclude_list: List::Slice(&list), ..make_options() };
    make_stub(&mut device, &options, &mut User::default()).unwrap();
    let request: make_credential::Request = cbor::decode(device.last()).unwrap();
    assert_eq!(request.exclude_list, Some(List::Slice(&[CredentialDescriptor::new(b"short")])));
}

#[test]
fn an_exclude_list_of_which_nothing_is_left_is_not_sent() {
    let mut device = Device::new(StubCrypto);
    device.max_id = Some(4);
    let list = [CredentialDescriptor::new(ID)];
    let options = MakeOptions { exclude_list: List::Slice(&list), ..make_options() };
    make_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(cbor::decode::<make_credential::Request>(device.last()).unwrap().exclude_list, None);
}

#[test]
fn an_allow_list_of_which_nothing_is_left_does_not_become_any_credential() {
    let mut device = Device::new(StubCrypto);
    device.max_id = Some(4);
    let list = [CredentialDescriptor::new(ID)];
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let error = get(StubCrypto, &mut device, &options, &mut User::default()).unwrap_err();
    assert_eq!((error.code, error.cause), (ErrorCode::DeviceIneligible, status(Status::NO_CREDENTIALS)));
    assert_eq!(cbor::decode::<make_credential::Request>(device.last()).unwrap().rp.id, ".dummy", "a touch");
    assert_eq!(device.commands(), [4, 1]);
}

#[test]
fn a_request_with_a_rewritten_list_takes_no_more_room_than_its_length() {
    let transports = [cbor::Text::new("usb")];
    let ids: Vec<[u8; 64]> = (0..12).map(|n| [n; 64]).collect();
    let list: Vec<_> = ids
        .iter()
        .map(|id| CredentialDescriptor { transports: Some(List::Slice(&transports)), ..CredentialDescriptor::new(id) })
        .collect();
    let options = MakeOptions { exclude_list: List::Slice(&list), ..make_options() };
    let commands = |len: usize| {
        let mut device = Device::new(StubCrypto);
        (device.max_msg_size, device.max_list) = (Some(4096), Some(12));
        make_in(&mut vec![0; len], StubCrypto, &mut device, &options, &mut User::default()).unwrap();
        (device.commands(), device.requests.last().unwrap().len())
    };
    let (whole, needed) = commands(4096);
    assert_eq!((whole, needed > 1024), (vec![4, 1], true), "{needed}");
    assert_eq!(commands(needed).0, [4, 1]);
    assert_eq!(commands(needed - 1).0, [4, 2, 1], "a batch beforehand, which is shorter by the user");
}

#[test]
fn options_are_checked_before_anything_is_sent() {
    let mut device = Device::new(StubCrypto);
    let make = make_options();
    let no_id = UserEntity { id: &[], ..make.user };
    let long_id = UserEntity { id: &[1; 65], ..make.user };
    let other_type = [CredentialParameters { kind: CredentialType("something else"), ..ES256[0] }];
    let reserved = [CredentialParameters::new(Algorithm::RESERVED)];
    for (options, invalid) in [
        (MakeOptions { rp: RpEntity { id: "", name: None }, ..make }, InvalidOption::RpId),
        (MakeOptions { user: no_id, ..make }, InvalidOption::UserId),
        (MakeOptions { user: long_id, ..make }, InvalidOption::UserId),
        (MakeOptions { pub_key_cred_params: List::Slice(&[]), ..make }, InvalidOption::Algorithms),
        (MakeOptions { pub_key_cred_params: List::Slice(&other_type), ..make }, InvalidOption::Algorithms),
        (MakeOptions { pub_key_cred_params: List::Slice(&reserved), ..make }, InvalidOption::Algorithms),
    ] {
        let error = super::make(StubCrypto, &mut device, &options, &mut User::default()).unwrap_err();
        let cause = Cause::InvalidOption(invalid);
        assert_eq!(error, Error { code: ErrorCode::BadRequest, stage: Stage::Options, cause });
    }
    let options = GetOptions { rp_id: "", ..get_options() };
    assert_eq!(get_stub(&mut device, &options, &mut User::default()), Err(Cause::InvalidOption(InvalidOption::RpId)));
    assert!(device.requests.is_empty());
}

#[test]
fn what_the_authenticator_cannot_do_is_found_before_the_user_is_asked() {
    let fails = |knob: fn(&mut Device<StubCrypto>), options: MakeOptions| {
        let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
        knob(&mut device);
        let mut user = User::with_pins([PIN]);
        let error = make(StubCrypto, &mut device, &options, &mut user).unwrap_err();
        assert_eq!((error.stage, device.commands()), (Stage::GetInfo, vec![4]));
        assert!(user.prompts.is_empty());
        (error.code, error.cause)
    };
    let required = MakeOptions { resident_key: Requirement::Required, ..make_options() };
    assert_eq!(
        fails(|device| device.options.rk = None, required),
        (ErrorCode::ConfigurationUnsupported, Cause::ResidentKeyUnsupported)
    );
    let protect = CredProtect { level: Level::USER_VERIFICATION_REQUIRED, enforce: true };
    let extensions = MakeExtensions { cred_protect: Some(protect), ..MakeExtensions::NONE };
    assert_eq!(
        fails(|_| (), MakeOptions { extensions, ..make_options() }),
        (ErrorCode::ConfigurationUnsupported, Cause::CredProtectUnsupported)
    );
    let extensions = MakeExtensions { large_blob: Some(LargeBlobSupport::Required), ..MakeExtensions::NONE };
    assert_eq!(
        fails(|_| (), MakeOptions { extensions, ..make_options() }),
        (ErrorCode::ConfigurationUnsupported, Cause::LargeBlobUnsupported)
    );
    let (code, Cause::RequestTooLarge { needed, limit: 100 }) =
        fails(|device| device.max_msg_size = Some(100), make_options())
    else {
        panic!()
    };
    assert_eq!(code, ErrorCode::BadRequest);
    // The measure is exact: with that much room the request goes out.
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.max_msg_size = Some(needed);
    make_stub(&mut device, &make_options(), &mut User::with_pins([PIN])).unwrap();
    assert_eq!(device.requests.last().unwrap().len(), needed);
}

#[test]
fn a_request_that_grew_too_large_by_falling_back_to_the_pin_is_not_sent() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.options.pin_uv_auth_token = None;
    device.options.uv = Some(true);
    make_stub(&mut device, &make_options(), &mut User::default()).unwrap();
    device.max_msg_size = Some(device.requests.last().unwrap().len());
    device.refusals = [Status::UV_BLOCKED].into();
    let cause = make_stub(&mut device, &make_options(), &mut User::with_pins([PIN])).unwrap_err();
    assert!(matches!(cause, Cause::RequestTooLarge { .. }), "{cause:?}");
}

#[test]
fn a_discoverable_credential_that_is_only_preferred_is_given_up_silently() {
    let mut device = Device::new(StubCrypto);
    device.options.rk = None;
    let options = MakeOptions { resident_key: Requirement::Preferred, ..make_options() };
    make_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(cbor::decode::<make_credential::Request>(device.last()).unwrap().options, None);
}

#[test]
fn enterprise_attestation_is_asked_of_authenticators_where_it_is_enabled() {
    for (ep, sent) in [(Some(true), Some(2)), (Some(false), None), (None, None)] {
        let mut device = Device::new(StubCrypto);
        device.options.ep = ep;
        let options = MakeOptions { enterprise_attestation: Some(2), ..make_options() };
        make_stub(&mut device, &options, &mut User::default()).unwrap();
        let request: make_credential::Request = cbor::decode(device.last()).unwrap();
        assert_eq!(request.enterprise_attestation, sent);
    }
}

#[test]
fn a_refusal_of_the_command_carries_its_status_and_the_code_it_stands_for() {
    for (refusal, code) in [
        (Status::CREDENTIAL_EXCLUDED, ErrorCode::DeviceIneligible),
        (Status::KEY_STORE_FULL, ErrorCode::ConfigurationUnsupported),
        (Status::USER_ACTION_TIMEOUT, ErrorCode::Timeout),
        (Status::OPERATION_DENIED, ErrorCode::BadRequest),
        (Status(0xF3), ErrorCode::OtherError),
    ] {
        let mut device = Device::new(StubCrypto);
        device.refusals = [refusal].into();
        let error = make(StubCrypto, &mut device, &make_options(), &mut User::default()).unwrap_err();
        assert_eq!(error, Error { code, stage: Stage::Command, cause: status(refusal) });
    }
}

#[test]
fn algorithms_of_an_unknown_type_are_left_out_and_unknown_algorithms_are_not() {
    let mut device = Device::new(StubCrypto);
    let later = CredentialParameters { kind: CredentialType("later"), ..ES256[0] };
    let unknown = CredentialParameters::new(Algorithm(-70_000));
    let none = CredentialParameters::new(Algorithm::RESERVED);
    let listed = [later, unknown, none, later, ES256[0]];
    let transports = [CredentialDescriptor::new(ID)];
    let options = MakeOptions {
        pub_key_cred_params: List::Slice(&listed),
        exclude_list: List::Slice(&transports),
        ..make_options()
    };
    make_stub(&mut device, &options, &mut User::default()).unwrap();
    let request: make_credential::Request = cbor::decode(device.last()).unwrap();
    assert_eq!(request.pub_key_cred_params.iter().collect::<Vec<_>>(), [unknown, ES256[0]]);
    assert_eq!(request.exclude_list, Some(List::Slice(&transports)));

    // A credential of an algorithm that was asked for under another type only is none that was asked for.
    let listed = [later, unknown];
    let options = MakeOptions { pub_key_cred_params: List::Slice(&listed), ..make_options() };
    assert_eq!(make_stub(&mut device, &options, &mut User::default()), Err(Cause::AlgorithmMismatch));
}

#[test]
fn that_there_is_no_common_algorithm_is_told_after_a_touch_and_without_a_pin() {
    let none = |knob: fn(&mut Device<StubCrypto>)| {
        let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
        device.algorithms = Some(vec![CredentialParameters::new(Algorithm::EDDSA)]);
        knob(&mut device);
        let mut user = User::with_pins([PIN]);
        let list = [CredentialDescriptor::new(b"one"), CredentialDescriptor::new(ID)];
        let extensions = MakeExtensions { app_id_exclude: Some("https://example.org"), ..MakeExtensions::NONE };
        let options = MakeOptions { exclude_list: List::Slice(&list), extensions, ..make_options() };
        let error = make(StubCrypto, &mut device, &options, &mut user).unwrap_err();
        assert_eq!((error.stage, user.prompts.len()), (Stage::Command, 0));
        (error.cause, device)
    };
    let (cause, device) = none(|_| ());
    assert_eq!((cause, device.commands()), (Cause::NoCommonAlgorithm, vec![4, 1]));
    assert_eq!(cause.code(), ErrorCode::ConfigurationUnsupported);
    let touch: make_credential::Request = cbor::decode(device.last()).unwrap();
    assert_eq!((touch.rp.id, touch.pin_uv_auth_param), (".dummy", Some(&[][..])));

    let selecting: fn(&mut Device<StubCrypto>) =
        |device| device.amend = |info| info.versions = List::Slice(const { &[cbor::Text::new("FIDO_2_1")] });
    let (cause, device) = none(selecting);
    assert_eq!((cause, device.commands()), (Cause::NoCommonAlgorithm, vec![4, 0x0B]));

    // Who does not touch it does not learn why.
    for denial in [Status::USER_ACTION_TIMEOUT, Status::OPERATION_DENIED, Status::KEEPALIVE_CANCEL] {
        let mut device = Device::new(StubCrypto);
        device.algorithms = Some(vec![CredentialParameters::new(Algorithm::EDDSA)]);
        device.refusals = [denial].into();
        assert_eq!(make_stub(&mut device, &make_options(), &mut User::default()), Err(status(denial)));
    }
}

#[test]
fn extensions_of_the_callers_own_go_among_the_standard_ones_in_canonical_order() {
    let mut device = Device::new(StubCrypto).extended();
    // {"aaa": 1, "minPinZebra": true, "zzzzzzzzzzzzz": 2}
    let own = b"\xA3\x63aaa\x01\x6BminPinZebra\xF5\x6Dzzzzzzzzzzzzz\x02";
    let protect = CredProtect { level: Level::USER_VERIFICATION_REQUIRED, enforce: true };
    let extensions = MakeExtensions {
        cred_protect: Some(protect),
        min_pin_length: true,
        own: Some(cbor::RawMap(own)),
        ..MakeExtensions::NONE
    };
    let options = MakeOptions { extensions, ..make_options() };
    make_stub(&mut device, &options, &mut User::default()).unwrap();
    let request: make_credential::Request = cbor::decode(device.last()).unwrap();
    let expected = b"\xA5\x63aaa\x01\x6BcredProtect\x03\x6BminPinZebra\xF5\x6CminPinLength\xF5\x6Dzzzzzzzzzzzzz\x02";
    assert_eq!(request.extensions.unwrap().0, expected);

    let extensions = MakeExtensions { own: Some(cbor::RawMap(own)), ..MakeExtensions::NONE };
    let options = MakeOptions { extensions, ..make_options() };
    make_stub(&mut device, &options, &mut User::default()).unwrap();
    let request: make_credential::Request = cbor::decode(device.last()).unwrap();
    assert_eq!(request.extensions.unwrap().0, own);

    let refused: [&[u8]; 4] = [b"\xA1\x6BcredProtect\x01", b"\xA2\x62bb\x01\x61a\x01", b"\xAD", b"\x01"];
    for own in refused {
        let extensions = MakeExtensions { own: Some(cbor::RawMap(own)), ..MakeExtensions::NONE };
        let options = MakeOptions { extensions, ..make_options() };
        let result = make_stub(&mut device, &options, &mut User::default());
        assert_eq!(result, Err(Cause::InvalidOption(InvalidOption::Extensions)), "{own:x?}");
    }
}
