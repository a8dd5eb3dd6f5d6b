//! Settings, selection, reset, and commands of any kind.

use super::*;
use crate::{
    cbor::{List, RawMap, Text},
    ctap2::config::{Request, SetMinPinLength},
};

fn configurable<const N: usize>(script: [Vec<u8>; N]) -> Device<StubCrypto> {
    let mut device = scripted(
        |options| {
            options.authnr_cfg = Some(true);
            options.set_min_pin_length = Some(true);
            options.always_uv = Some(false);
            options.ep = Some(false);
        },
        script,
    );
    device.amend = |info| {
        info.long_touch_for_reset = Some(false);
        info.vendor_prototype_config_commands = Some(List::Slice(&[7]));
        info.authenticator_config_commands = Some(List::Slice(&[1, 2, 3, 4, 0xFF]));
        info.max_rp_ids_for_set_min_pin_length = Some(1);
    };
    device
}

fn configure(device: &mut Device<StubCrypto>, setting: ConfigSubcommand<'_>) -> Result<(), Cause> {
    let mut buffer = [0; 1024];
    run_op(Ceremony::new(Configure::new(setting), &mut buffer, StubCrypto, rng()), device)
}

#[test]
fn every_setting_is_sent_with_a_proof_over_its_bytes() {
    let ids = [Text::new("example.org")];
    let min_pin_length = SetMinPinLength {
        new_min_pin_length: Some(6),
        min_pin_length_rp_ids: Some(List::Slice(&ids)),
        force_change_pin: Some(true),
        pin_complexity_policy: Some(true),
    };
    let settings = [
        (ConfigSubcommand::EnterpriseAttestation, 1, ""),
        (ConfigSubcommand::ToggleAlwaysUv, 2, ""),
        (ConfigSubcommand::MinPinLength(min_pin_length), 3, "a4010602816b6578616d706c652e6f726703f504f5"),
        (ConfigSubcommand::LongTouchForReset, 4, ""),
        (ConfigSubcommand::Vendor(RawMap(b"\xa2\x01\x07\x02\xf5")), 0xFF, "a2010702f5"),
    ];
    for (setting, sub_command, params) in settings {
        let mut device = configurable([vec![0]]);
        configure(&mut device, setting).unwrap();
        let request: Request = crate::cbor::decode(device.last()).unwrap();
        let sent = request.sub_command_params.map(|params| params.0).unwrap_or_default();
        assert_eq!((request.sub_command, sent), (sub_command, &hex(params)[..]));
        let head = [&[0xFF; 32], &[0x0D, sub_command as u8][..]].concat();
        assert_eq!(request.pin_uv_auth_param.unwrap(), device.proof(&[&head, sent]));
        assert_eq!(device.permissions, [u64::from(Permissions::ACFG.0)]);
    }
}

#[test]
fn a_setting_that_the_authenticator_does_not_list_is_not_sent() {
    let settings = [
        ConfigSubcommand::EnterpriseAttestation,
        ConfigSubcommand::ToggleAlwaysUv,
        ConfigSubcommand::MinPinLength(SetMinPinLength::default()),
        ConfigSubcommand::LongTouchForReset,
        ConfigSubcommand::Vendor(RawMap(b"\xa1\x01\x07")),
    ];
    for setting in settings {
        let mut device = configurable([]);
        device.amend = |info| info.authenticator_config_commands = Some(List::Slice(&[9]));
        assert_eq!(configure(&mut device, setting), Err(Cause::Unsupported));
        let mut device = scripted(|options| options.authnr_cfg = Some(true), []);
        assert_eq!(configure(&mut device, setting), Err(Cause::Unsupported));
    }
    let mut device = configurable([]);
    let unlisted = ConfigSubcommand::Vendor(RawMap(b"\xa1\x01\x08"));
    assert_eq!(configure(&mut device, unlisted), Err(Cause::Unsupported));
    let nameless = ConfigSubcommand::Vendor(RawMap(b"\xa1\x02\x07"));
    assert_eq!(configure(&mut device, nameless), Err(Cause::InvalidOption(InvalidOption::VendorParameters)));
}

#[test]
fn more_relying_parties_than_the_authenticator_takes_are_not_sent() {
    let ids = [Text::new("example.org"), Text::new("example.com")];
    let params = SetMinPinLength { min_pin_length_rp_ids: Some(List::Slice(&ids)), ..SetMinPinLength::default() };
    let result = configure(&mut configurable([]), ConfigSubcommand::MinPinLength(params));
    assert_eq!(result, Err(Cause::ListTooLong { count: 2, limit: 1 }));
}

#[test]
fn always_uv_can_be_turned_off_where_nothing_is_set_up_and_other_settings_say_what_is_missing() {
    let mut device = configurable([vec![0]]);
    device.options.client_pin = Some(false);
    device.options.always_uv = Some(true);
    configure(&mut device, ConfigSubcommand::ToggleAlwaysUv).unwrap();
    assert_eq!(device.last(), hex("a10102"));
    device.script = [vec![Status::PUAT_REQUIRED.0]].into();
    assert_eq!(configure(&mut device, ConfigSubcommand::EnterpriseAttestation), Err(Cause::PinNotSet));
}

#[cfg(feature = "rustcrypto")]
#[test]
fn published_proofs_are_made() {
    use crate::crypto::RustCrypto;
    let six = SetMinPinLength { new_min_pin_length: Some(6), ..SetMinPinLength::default() };
    for (setting, published) in [
        (ConfigSubcommand::ToggleAlwaysUv, "868aaba59ccb3db28ab3dea8d38b519457e1151c1a8f69aa42eb0f6788ca84cf"),
        (ConfigSubcommand::MinPinLength(six), "50f72710ff35c65dfde174b4a16cfa07726d94d7ff5a3729f4aaa678e9c0b1dd"),
    ] {
        let mut device = Device::managed(RustCrypto);
        device.options = configurable([]).options;
        device.token_bytes = Some(vec![0x11; 32]);
        device.script = [vec![0]].into();
        let mut buffer = [0; 1024];
        run_op(Ceremony::new(Configure::new(setting), &mut buffer, RustCrypto, rng()), &mut device).unwrap();
        let request: Request = crate::cbor::decode(device.last()).unwrap();
        assert_eq!(request.pin_uv_auth_param.unwrap(), hex(published));
    }
}

fn select(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
    let mut buffer = [0; 1024];
    run_op(Ceremony::new(Selection::new(), &mut buffer, StubCrypto, rng()), device)
}

#[test]
fn an_authenticator_is_selected_by_a_touch() {
    let versions: [fn(&mut get_info::Response<'static>); 2] = [
        |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_0"), Text::new("FIDO_2_1")] }),
        |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_3")] }),
    ];
    for amend in versions {
        let mut device = scripted(|_| (), [vec![0], vec![Status::OPERATION_DENIED.0]]);
        device.amend = amend;
        select(&mut device).unwrap();
        assert_eq!(device.commands(), [4, Command::SELECTION.0]);
        assert_eq!(select(&mut device), Err(status(Status::OPERATION_DENIED)));
    }
}

#[test]
fn an_older_authenticator_is_selected_by_a_registration_that_comes_to_nothing() {
    for answer in [Status::PIN_INVALID, Status::PIN_NOT_SET, Status::PIN_AUTH_INVALID, Status::OK] {
        let mut device = scripted(|_| (), [vec![answer.0]]);
        device.amend =
            |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_0"), Text::new("FIDO_2_1_PRE")] });
        select(&mut device).unwrap();
        let request: crate::ctap2::make_credential::Request = crate::cbor::decode(device.last()).unwrap();
        assert_eq!((request.pin_uv_auth_param, request.pin_uv_auth_protocol), (Some(&[][..]), Some(1)));
    }
    let mut device = scripted(|_| (), [vec![Status::USER_ACTION_TIMEOUT.0]]);
    assert_eq!(select(&mut device), Err(status(Status::USER_ACTION_TIMEOUT)));
}

#[test]
fn a_reset_is_one_command_and_needs_no_pin() {
    let mut device = scripted(|options| options.always_uv = Some(true), [vec![0], vec![Status::NOT_ALLOWED.0]]);
    let mut buffer = [0; 1024];
    let mut user = User::manager([]);
    run_with(Ceremony::new(Reset, &mut buffer, StubCrypto, rng()), &mut device, &mut user, |_| ()).unwrap();
    assert_eq!((device.commands(), user.touches), (vec![4, 7], 2));
    let ceremony = Ceremony::new(Reset, &mut buffer, StubCrypto, rng());
    assert_eq!(run_op(ceremony, &mut device), Err(status(Status::NOT_ALLOWED)));
}

#[test]
fn a_status_that_demands_a_token_where_none_is_used_asks_the_user_nothing() {
    let mut device = scripted(|_| (), [vec![Status::PUAT_REQUIRED.0]]);
    let mut buffer = [0; 1024];
    let mut user = User::manager([PIN]);
    let result = run_with(Ceremony::new(Reset, &mut buffer, StubCrypto, rng()), &mut device, &mut user, |_| ());
    assert_eq!((result, user.prompts), (Err(status(Status::PUAT_REQUIRED)), vec![]));
}

#[test]
fn any_command_is_sent_as_it_is_and_its_answer_returned() {
    let mut device = scripted(|_| (), [vec![0, 0xDE, 0xAD], vec![0xF1, 0xBE]]);
    let mut buffer = [0; 1024];
    let call =
        |buffer, parameters| Ceremony::new(RawCommand::new(Command(0x50), parameters), buffer, StubCrypto, rng());
    assert_eq!(run_op(call(&mut buffer, &[1, 2, 3]), &mut device), Ok(&[0xDE, 0xAD][..]));
    assert_eq!(device.requests[1], [0x50, 1, 2, 3]);
    let mut buffer = [0; 1024];
    assert_eq!(run_op(call(&mut buffer, &[]), &mut device), Err(status(Status(0xF1))));
    device.max_msg_size = Some(1024);
    let mut buffer = [0; 2000];
    let result = run_op(call(&mut buffer, &[0; 1024]), &mut device);
    assert_eq!(result, Err(Cause::RequestTooLarge { needed: 1025, limit: 1024 }));
}
