//! What clients are known to get wrong, and this one does not. The numbers are those of `docs/fido2-client.md`.

use rand_chacha::rand_core::CryptoRng;

use super::{
    device::{Device, Flaw, ID, PIN, RP_ID, User, at, rng},
    fido2::{Client, ORIGIN, client, collector, creation, request, stub},
    u2f::{APP_ID, Key},
    *,
};
use crate::{
    Instant,
    attestation::{RawStatement, Statement},
    cbor::{self, Text},
    client::fido2::{ClientPolicy, Fido2Client, WebAuthnClient},
    crypto::StubCrypto,
    ctap2::{Command, get_assertion, make_credential},
    webauthn::{
        AuthenticatorSelection, CreationOptions, DefaultClientDataCollector, RelyingParty, RequestOptions, SuffixRules,
    },
};

/// Registers. Returns the result.
fn register<K: FnMut() -> Instant>(
    client: &mut Client<'_, StubCrypto, K>,
    options: &CreationOptions<'_>,
) -> Result<Vec<u8>, Error> {
    let (mut json, mut buffer) = ([0; 256], [0; 2048]);
    let creation = client.creation(options, &mut json)?;
    client.make_credential(&creation, &mut buffer).map(|response| response.credential_id().to_vec())
}

/// Signs in, and says with which credentials.
fn sign_in<K: FnMut() -> Instant>(
    client: &mut Client<'_, StubCrypto, K>,
    options: &RequestOptions<'_>,
) -> Result<Vec<Vec<u8>>, Error> {
    let (mut json, mut buffer) = ([0; 256], [0; 2048]);
    let request = client.request(options, &mut json)?;
    let selection = client.get_assertion(&request, &mut buffer)?;
    Ok(selection.assertions.iter().map(|assertion| assertion.credential_id.to_vec()).collect())
}

fn with_pin(user: User) -> Client<'static, StubCrypto, impl FnMut() -> Instant> {
    client(StubCrypto, Device::with_pin(StubCrypto, PinUvAuthProtocol::Two), user)
}

fn discoverable() -> CreationOptions<'static> {
    let selection = AuthenticatorSelection { resident_key: Some(Requirement::Required), ..Default::default() };
    CreationOptions { authenticator_selection: Some(selection), ..creation() }
}

/// A client of a key of U2F with one credential.
fn u2f(
    application: &str,
) -> Fido2Client<
    'static,
    (
        Key,
        DefaultClientDataCollector<'static, SuffixRules<'static>>,
        User,
        StubCrypto,
        impl CryptoRng,
        impl FnMut() -> Instant,
    ),
> {
    Fido2Client::new(Key::of(application), collector(), User::default(), StubCrypto, rng(), || at(0))
}

const ALLOWED: &[CredentialDescriptor<'static>] = &[CredentialDescriptor::new(ID)];

/// Defect 1.
#[test]
fn the_rp_id_of_a_sign_in_goes_out_when_it_follows_from_the_origin_too() {
    let mut client = stub();
    client.collector.origin = "https://example.org";
    assert_eq!(sign_in(&mut client, &RequestOptions { rp_id: None, ..request() }).unwrap(), [ID]);
    let sent: get_assertion::Request<'_> = cbor::decode(client.transport.last()).unwrap();
    assert_eq!(sent.rp_id, RP_ID);
}

/// Defect 2.
#[test]
fn an_rp_id_that_follows_from_the_origin_has_no_port() {
    let client = stub();
    assert_eq!(client.collector.origin, ORIGIN);
    let mut json = [0; 256];
    let options = CreationOptions { rp: RelyingParty { id: None, name: "Example" }, ..creation() };
    assert_eq!(client.creation(&options, &mut json).unwrap().options.rp.id, "login.example.org");
}

/// Defect 3.
#[test]
fn an_answer_that_is_not_canonical_does_not_make_the_key_one_of_u2f() {
    let mut client = stub();
    // The keys out of order, a number longer than need be.
    let info = b"\x00\xA3\x05\x1A\x00\x00\x04\xB0\x03\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x81\x68FIDO_2_0";
    client.transport.tampered = Some((0, info.to_vec()));
    assert_eq!(register(&mut client, &creation()).unwrap(), ID);
    assert_eq!(client.transport.commands(), [Command::GET_INFO.0, Command::MAKE_CREDENTIAL.0]);

    let mut client = stub();
    client.transport.tampered = Some((0, info.to_vec()));
    client.policy.strict_cbor = true;
    let error = register(&mut client, &creation()).unwrap_err();
    assert!(matches!((error.stage, error.cause), (Stage::GetInfo, Cause::Decode(_))), "{error}");
    assert_eq!(client.transport.commands(), [Command::GET_INFO.0]);
}

/// Options with these extensions.
fn extended<'b>(extensions: &str, buffer: &'b mut [u8]) -> CreationOptions<'b> {
    let json = format!(
        r#"{{"rp": {{"id": "example.org", "name": ""}}, "user": {{"id": "AQ", "name": "", "displayName": ""}},
        "challenge": "AQID", "pubKeyCredParams": [{{"type": "public-key", "alg": -7}}], "extensions": {extensions}}}"#
    );
    CreationOptions::from_json(json.as_bytes(), buffer).unwrap()
}

/// Defect 4.
#[test]
fn what_is_wrong_with_extensions_is_a_typed_error() {
    let mut client = with_pin(User::with_pins([PIN]));
    let invalid = Cause::InvalidOption(InvalidOption::Extensions);
    for (extensions, code, cause) in [
        (r#"{"largeBlob": {"support": "required"}}"#, ErrorCode::ConfigurationUnsupported, Cause::LargeBlobUnsupported),
        (
            r#"{"credentialProtectionPolicy": "userVerificationRequired", "enforceCredentialProtectionPolicy": true}"#,
            ErrorCode::ConfigurationUnsupported,
            Cause::CredProtectUnsupported,
        ),
        (r#"{"credentialProtectionPolicy": "userVerificationWelcome"}"#, ErrorCode::BadRequest, invalid),
        (r#"{"prf": {"evalByCredential": {"AQ": {"first": "AQ"}}}}"#, ErrorCode::BadRequest, invalid),
        (r#"{"largeBlob": {"read": true}}"#, ErrorCode::BadRequest, invalid),
    ] {
        let mut buffer = [0; 512];
        let error = register(&mut client, &extended(extensions, &mut buffer)).unwrap_err();
        assert_eq!((error.code, error.cause), (code, cause), "{extensions}");
    }
    // What cannot be had and is not required is left out.
    let mut buffer = [0; 512];
    register(&mut client, &extended(r#"{"largeBlob": {"support": "preferred"}, "prf": {}}"#, &mut buffer)).unwrap();
    let sent: make_credential::Request<'_> = cbor::decode(client.transport.last()).unwrap();
    assert_eq!((sent.extensions, client.user.prompts.len()), (None, 1));
}

/// Defect 5.
#[test]
fn preferred_user_verification_is_no_error_on_a_key_without_a_pin() {
    let mut client = stub();
    client.transport.options.client_pin = Some(false);
    assert_eq!(register(&mut client, &creation()).unwrap(), ID);
    assert_eq!(sign_in(&mut client, &request()).unwrap(), [ID]);
    client.policy = ClientPolicy::PYTHON_FIDO2;
    let error = register(&mut client, &creation()).unwrap_err();
    assert_eq!((error.code, error.cause), (ErrorCode::ConfigurationUnsupported, Cause::PinNotSet));
}

/// Defect 6.
#[test]
fn a_wrong_pin_or_finger_is_asked_for_again_with_the_attempts_that_are_left() {
    let mut client = with_pin(User::with_pins(["0000", PIN]));
    register(&mut client, &creation()).unwrap();
    assert_eq!(client.user.prompts, [(Reason::First, Some(8)), (Reason::Wrong, Some(7))]);

    let mut device = Device::with_uv(StubCrypto);
    device.uv = [Status::UV_INVALID].into();
    let mut client = super::fido2::client(StubCrypto, device, User::default());
    register(&mut client, &creation()).unwrap();
    assert_eq!(client.user.uv_prompts, [(Reason::First, None), (Reason::Wrong, Some(4))]);
}

/// Defect 7.
#[test]
fn what_the_key_cannot_do_is_found_out_before_the_pin_is_asked_for() {
    let mut client = with_pin(User::with_pins([PIN]));
    client.transport.options.rk = None;
    let error = register(&mut client, &discoverable()).unwrap_err();
    assert_eq!((error.code, error.cause), (ErrorCode::ConfigurationUnsupported, Cause::ResidentKeyUnsupported));
    client.transport.algorithms = Some(vec![CredentialParameters::new(Algorithm::EDDSA)]);
    let error = register(&mut client, &creation()).unwrap_err();
    assert_eq!((error.code, error.cause), (ErrorCode::ConfigurationUnsupported, Cause::NoCommonAlgorithm));
    assert_eq!(client.transport.commands(), [4, 4, 1], "a touch comes before the word");
    assert_eq!((client.user.prompts.len(), client.user.pins.len()), (0, 1));
}

/// Defect 8.
#[test]
fn an_attestation_that_was_not_asked_for_is_taken_out_unless_it_is_of_the_credential_itself() {
    const OWN: &[u8] = b"\xA2\x63alg\x26\x63sig\x41\x01";
    const CERTIFIED: &[u8] = b"\xA3\x63alg\x26\x63sig\x41\x01\x63x5c\x81\x41\x01";
    let mut client = stub();
    let mut conveyed = |(format, statement), asked, policy| {
        client.transport.attestation = (format, RawStatement(statement));
        client.policy = policy;
        let (mut json, mut buffer) = ([0; 256], [0; 2048]);
        let options = CreationOptions { attestation: asked, ..creation() };
        let creation = client.creation(&options, &mut json).unwrap();
        let response = client.make_credential(&creation, &mut buffer).unwrap();
        let object = response.attestation_object();
        let scrubbed = (object.fmt, object.att_stmt, response.attestation.statement)
            == ("none", RawStatement::EMPTY, Statement::None);
        assert!(scrubbed || (object.fmt, object.att_stmt) == (format, RawStatement(statement)));
        !scrubbed
    };
    let certified = ("packed", CERTIFIED);
    for asked in [None, Some(Conveyance::None)] {
        assert!(!conveyed(certified, asked, ClientPolicy::STANDARD));
        assert!(!conveyed(("later", b"\xA1\x61a\x01"), asked, ClientPolicy::STANDARD));
        assert!(conveyed(("packed", OWN), asked, ClientPolicy::STANDARD));
        assert!(conveyed(certified, asked, ClientPolicy::PYTHON_FIDO2));
    }
    for asked in [Conveyance::Indirect, Conveyance::Direct, Conveyance::Enterprise] {
        assert!(conveyed(certified, Some(asked), ClientPolicy::STANDARD));
    }
}

/// Defect 9.
#[test]
fn a_response_for_another_relying_party_or_without_the_user_is_refused() {
    for (flaw, cause) in [
        (Flaw::RpIdHash, Cause::RpIdHashMismatch),
        (Flaw::UserNotPresent, Cause::UserNotPresent),
        (Flaw::UserNotVerified, Cause::UserNotVerified),
    ] {
        let mut client = with_pin(User::with_pins([PIN, PIN]));
        client.transport.flaw = Some(flaw);
        assert_eq!(register(&mut client, &creation()).unwrap_err().cause, cause);
        assert_eq!(sign_in(&mut client, &request()).unwrap_err().cause, cause);
    }
    let mut client = stub();
    client.transport.flaw = Some(Flaw::Algorithm);
    assert_eq!(register(&mut client, &creation()).unwrap_err().cause, Cause::AlgorithmMismatch);
    client.transport.flaw = Some(Flaw::OtherCredentialId);
    let options = RequestOptions { allow_credentials: Some(List::Slice(ALLOWED)), ..request() };
    assert_eq!(sign_in(&mut client, &options).unwrap_err().cause, Cause::CredentialNotAllowed);
}

/// Defect 10.
#[test]
fn choosing_a_response_asks_the_key_for_nothing() {
    let mut client = stub();
    client.transport.credentials = vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
    let (mut json, mut buffer) = ([0; 256], [0; 2048]);
    let request = client.request(&request(), &mut json).unwrap();
    let selection = client.get_assertion(&request, &mut buffer).unwrap();
    // Neither the transport nor the user is there any more.
    drop(client);
    let chosen: Vec<_> = (0..4).map_while(|index| selection.get(index)).map(|chosen| chosen.credential_id()).collect();
    assert_eq!(chosen, [b"a", b"b", b"c"]);
}

/// Defect 11.
#[test]
fn a_key_that_is_silent_is_cancelled_at_once_and_only_once() {
    let mut client = stub();
    client.transport.silent = true;
    client.user.cancels = true;
    assert_eq!(register(&mut client, &creation()).unwrap_err().cause, Cause::Cancelled);
    assert_eq!(client.transport.cancels, 1);
    assert!(client.transport.now.get() < 3_500, "{} ms", client.transport.now.get());
    client.user.cancels = false;
    client.policy.min_timeout = Duration::ZERO;
    let options = CreationOptions { timeout: Some(500), ..creation() };
    let before = client.transport.now.get();
    assert_eq!(register(&mut client, &options).unwrap_err().cause, Cause::Timeout);
    assert!(client.transport.now.get() - before < 4_000);
}

/// Defect 12.
#[test]
fn a_key_that_objects_to_a_listed_credential_does_not_have_it() {
    const OTHERS: &[CredentialDescriptor<'static>] = &[CredentialDescriptor::new(b"x"), CredentialDescriptor::new(ID)];
    for objection in [Status::INVALID_CREDENTIAL, Status::NO_CREDENTIALS, Status::OTHER, Status::INVALID_PARAMETER] {
        let mut client = stub();
        client.transport.max_list = Some(1);
        client.transport.objections = [objection].into();
        let options = RequestOptions { allow_credentials: Some(List::Slice(OTHERS)), ..request() };
        assert_eq!(sign_in(&mut client, &options).unwrap(), [ID], "{objection}");
    }
}

/// Defect 13.
#[test]
fn descriptors_go_out_without_their_transports() {
    let listed = [CredentialDescriptor { transports: Some(List::Slice(&[Text::new("usb")])), ..ALLOWED[0] }];
    let mut client = stub();
    sign_in(&mut client, &RequestOptions { allow_credentials: Some(List::Slice(&listed)), ..request() }).unwrap();
    let sent: get_assertion::Request<'_> = cbor::decode(client.transport.last()).unwrap();
    assert_eq!(sent.allow_list.unwrap().iter().collect::<Vec<_>>(), ALLOWED);
    register(&mut client, &CreationOptions { exclude_credentials: Some(List::Slice(&listed)), ..creation() }).unwrap();
    let sent: make_credential::Request<'_> = cbor::decode(client.transport.last()).unwrap();
    assert_eq!(sent.exclude_list.unwrap().iter().collect::<Vec<_>>(), ALLOWED);
}

/// Defect 14.
#[test]
fn get_info_is_asked_once_in_a_ceremony() {
    let mut client = with_pin(User::with_pins([PIN]));
    register(&mut client, &CreationOptions { exclude_credentials: Some(List::Slice(ALLOWED)), ..discoverable() })
        .unwrap();
    let commands = client.transport.commands();
    assert_eq!(commands.iter().filter(|command| **command == Command::GET_INFO.0).count(), 1, "{commands:?}");
}

/// Defect 15.
#[test]
fn credentials_of_an_app_id_are_found_if_the_origin_may_use_it() {
    let mut client = u2f(APP_ID);
    let credentials = List::Slice(ALLOWED);
    let mut buffer = [0; 512];
    let json = r#"{"rpId": "example.org", "challenge": "AQID", "extensions": {"appid": "https://example.org/appid"},
        "allowCredentials": [{"type": "public-key", "id": "YSBjcmVkZW50aWFsIGlk"}]}"#;
    let options = RequestOptions::from_json(json.as_bytes(), &mut buffer).unwrap();
    assert_eq!(options.allow_credentials, Some(credentials));
    let (mut json, mut buffer) = ([0; 256], [0; 1024]);
    let request = client.request(&options, &mut json).unwrap();
    let selection = client.get_assertion(&request, &mut buffer).unwrap();
    assert_eq!(selection.get(0).unwrap().assertion.extensions.app_id, Some(true));

    client.collector.origin = "https://login.example.com";
    let foreign = RequestOptions { rp_id: None, ..options };
    let error = client.request(&foreign, &mut [0; 256]).unwrap_err();
    assert_eq!((error.code, error.cause), (ErrorCode::BadRequest, Cause::InvalidOption(InvalidOption::AppId)));
}

/// Defect 16.
#[test]
fn a_pin_that_gives_no_permission_or_is_stale_or_missing_is_no_dead_end() {
    // It gives no permission: it is not asked for.
    let mut client = with_pin(User::with_pins([PIN]));
    client.transport.options.no_mc_ga_permissions_with_client_pin = Some(true);
    let error = register(&mut client, &creation()).unwrap_err();
    assert_eq!((error.cause, client.user.pins.len()), (Cause::UvUnavailable, 1));

    // It is stale: it is changed, and used at once.
    let mut client = with_pin(User { new_pins: ["654321"].into(), ..User::with_pins([PIN]) });
    client.transport.force_pin_change = Some(true);
    register(&mut client, &creation()).unwrap();
    assert_eq!((client.transport.pin, client.user.prompts.len()), ("654321", 1));

    // There is none: it is set, and used at once. Who does not want to is told what is missing.
    let selection = AuthenticatorSelection { user_verification: Some(Requirement::Required), ..Default::default() };
    let options = CreationOptions { authenticator_selection: Some(selection), ..creation() };
    let mut client = with_pin(User { new_pins: ["654321"].into(), ..User::default() });
    client.transport.options.client_pin = Some(false);
    register(&mut client, &options).unwrap();
    assert_eq!((client.transport.pin, client.user.prompts.len()), ("654321", 0));
    client.transport.options.client_pin = Some(false);
    assert_eq!(register(&mut client, &options).unwrap_err().cause, Cause::PinNotSet);
}

/// Defect 18.
#[test]
fn a_key_of_u2f_without_the_credential_collects_a_touch_before_it_says_so() {
    let mut client = u2f("elsewhere");
    let options = RequestOptions { allow_credentials: Some(List::Slice(ALLOWED)), ..request() };
    let mut json = [0; 256];
    let request = client.request(&options, &mut json).unwrap();
    let error = client.get_assertion(&request, &mut [0; 1024]).unwrap_err();
    assert_eq!((error.code, error.cause), (ErrorCode::DeviceIneligible, Cause::Status(Status::NO_CREDENTIALS)));
    assert_eq!(client.transport.script(), "2vct", "the touch comes last");
}

/// Defect 19.
#[test]
fn selection_knows_the_versions_that_came_after_the_one_that_has_it() {
    for (version, command) in [
        ("FIDO_2_1", Command::SELECTION),
        ("FIDO_2_2", Command::SELECTION),
        ("FIDO_2_3", Command::SELECTION),
        ("FIDO_2_0", Command::MAKE_CREDENTIAL),
        ("FIDO_2_1_PRE", Command::MAKE_CREDENTIAL),
    ] {
        let mut client = stub();
        client.transport.amend = match version {
            "FIDO_2_1" => |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_1")] }),
            "FIDO_2_2" => |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_2")] }),
            "FIDO_2_3" => |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_3")] }),
            "FIDO_2_0" => |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_0")] }),
            _ => |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_1_PRE")] }),
        };
        client.transport.script = [vec![0], vec![0]].into();
        client.selection(&mut [0; 1024]).unwrap();
        assert_eq!(client.transport.commands().last(), Some(&command.0), "{version}");
    }
}

/// Defect 20.
#[test]
fn a_credential_that_the_key_leaves_out_is_the_one_that_was_asked_for() {
    let mut client = stub();
    client.transport.flaw = Some(Flaw::CredentialOmitted);
    let options = RequestOptions { allow_credentials: Some(List::Slice(ALLOWED)), ..request() };
    assert_eq!(sign_in(&mut client, &options).unwrap(), [ID]);
    assert_eq!(sign_in(&mut client, &request()).unwrap_err().cause, Cause::CredentialMissing);
}
