//! The client in one value, against the small authenticator.

use std::{cell::Cell, rc::Rc};

use super::{
    device::{Device, ID, PIN, RP_ID, User, at, rng, status},
    u2f::Key,
    *,
};
use crate::{
    Instant,
    cbor::{self, Text},
    client::fido2::{ClientPolicy, Fido2Client, WebAuthnClient},
    crypto::{Hash, RustCrypto, StubCrypto},
    ctap2::{Command, make_credential},
    transport::{self, AsyncTransport, Received, Transport},
    webauthn::{
        Attachment, AuthenticatorSelection, CreationOptions, DefaultClientDataCollector, RelyingParty, RequestOptions,
        SuffixRules,
    },
};

pub const ORIGIN: &str = "https://login.example.org:8443";

/// Speaks for [`ORIGIN`], with a list of public suffixes.
pub fn collector() -> DefaultClientDataCollector<'static, SuffixRules<'static>> {
    DefaultClientDataCollector::new(ORIGIN).with_suffixes(SuffixRules::new("org").unwrap())
}

pub type Client<'p, C, K> = Fido2Client<
    'p,
    (Device<C>, DefaultClientDataCollector<'static, SuffixRules<'static>>, User, C, rand_chacha::ChaCha8Rng, K),
>;

pub fn client<C: Crypto>(crypto: C, device: Device<C>, user: User) -> Client<'static, C, impl FnMut() -> Instant> {
    let now: Rc<Cell<u64>> = device.now.clone();
    Fido2Client::new(device, collector(), user, crypto, rng(), move || at(now.get()))
}

pub fn stub() -> Client<'static, StubCrypto, impl FnMut() -> Instant> {
    client(StubCrypto, Device::new(StubCrypto), User::default())
}

pub fn creation() -> CreationOptions<'static> {
    let rp = RelyingParty { id: Some(RP_ID), name: "Example" };
    CreationOptions::new(rp, UserEntity { id: b"user", name: Some("alice"), display_name: None }, &[1, 2, 3], ES256)
}

pub fn request() -> RequestOptions<'static> {
    RequestOptions { rp_id: Some(RP_ID), ..RequestOptions::new(&[4, 5, 6]) }
}

#[test]
fn it_registers_and_signs_in_with_the_pin_and_real_cryptography() {
    let user = User::with_pins([PIN, PIN]);
    let mut client = client(RustCrypto, Device::with_pin(RustCrypto, PinUvAuthProtocol::Two), user);
    let (mut json, mut buffer) = ([0; 256], [0; 2048]);
    let creation = client.creation(&creation(), &mut json).unwrap();
    let response = client.make_credential(&creation, &mut buffer).unwrap();
    assert_eq!((response.credential_id(), response.attestation_object().fmt), (ID, "none"));
    assert_eq!(
        std::str::from_utf8(response.client_data_json).unwrap(),
        r#"{"type":"webauthn.create","challenge":"AQID","origin":"https://login.example.org:8443","crossOrigin":false}"#
    );
    let sent: make_credential::Request<'_> = cbor::decode(client.transport.last()).unwrap();
    assert_eq!(*sent.client_data_hash, RustCrypto.sha256(&[response.client_data_json]));

    let (mut json, mut buffer) = ([0; 256], [0; 2048]);
    let request = client.request(&request(), &mut json).unwrap();
    let selection = client.get_assertion(&request, &mut buffer).unwrap();
    let response = selection.get(0).unwrap();
    assert_eq!((response.credential_id(), response.user_handle()), (ID, Some(&b"a"[..])));
    assert!(response.client_data_json.starts_with(br#"{"type":"webauthn.get","challenge":"BAUG","#));
    assert!(selection.get(1).is_none());
}

#[test]
fn a_user_id_of_no_bytes_is_no_user_handle() {
    let (mut client, mut collected, mut buffer) = (stub(), [0; 256], [0; 2048]);
    client.transport.user_id = Some(b"");
    let request = client.request(&request(), &mut collected).unwrap();
    let selection = client.get_assertion(&request, &mut buffer).unwrap();
    let response = selection.get(0).unwrap();
    assert_eq!((response.user_handle(), response.assertion.response.user.unwrap().id), (None, &b""[..]));
    let mut json = [0; 2048];
    let len = response.to_json(&request.options.extensions, None, &mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json[..len]).unwrap();
    assert!(json["response"].get("userHandle").is_none());
}

#[test]
fn options_become_those_of_the_ceremony_with_the_defaults_of_the_standard() {
    let client = stub();
    let mut json = [0; 256];
    let made = client.creation(&creation(), &mut json).unwrap().options;
    assert_eq!((made.rp.id, made.rp.name), (RP_ID, Some("Example")));
    assert_eq!((made.resident_key, made.user_verification), (Requirement::Discouraged, Requirement::Preferred));
    assert_eq!((made.attestation, made.timeout), (Conveyance::None, DEFAULT_TIMEOUT));
    assert_eq!(made.enterprise_attestation, None);

    let mut json = [0; 256];
    let options = CreationOptions {
        timeout: Some(5),
        attestation: Some(Conveyance::Enterprise),
        pub_key_cred_params: List::Slice(&[]),
        exclude_credentials: Some(List::Slice(const { &[CredentialDescriptor::new(ID)] })),
        authenticator_selection: Some(AuthenticatorSelection {
            require_resident_key: Some(true),
            user_verification: Some(Requirement::Required),
            ..Default::default()
        }),
        ..creation()
    };
    let made = client.creation(&options, &mut json).unwrap().options;
    assert_eq!((made.resident_key, made.user_verification), (Requirement::Required, Requirement::Required));
    assert_eq!((made.attestation, made.timeout), (Conveyance::Enterprise, Duration::from_secs(300)));
    assert_eq!((made.enterprise_attestation, made.exclude_list.len()), (Some(1), 1));
    let algorithms: Vec<_> = made.pub_key_cred_params.iter().map(|params| params.algorithm).collect();
    assert_eq!(algorithms, [Algorithm::ES256, Algorithm::RS256]);

    let mut json = [0; 256];
    let options = RequestOptions {
        timeout: Some(5),
        allow_credentials: Some(List::Slice(const { &[CredentialDescriptor::new(ID)] })),
        user_verification: Some(Requirement::Discouraged),
        ..request()
    };
    let got = client.request(&options, &mut json).unwrap().options;
    assert_eq!((got.rp_id, got.user_verification), (RP_ID, Requirement::Discouraged));
    assert_eq!((got.timeout, got.allow_list.len()), (Duration::from_secs(300), 1));
}

#[test]
fn an_origin_that_may_not_ask_is_refused_before_anything_is_sent() {
    let mut client = stub();
    let refused = |error: Error| (error.code, error.stage, error.cause);
    let foreign = CreationOptions { rp: RelyingParty { id: Some("example.com"), name: "" }, ..creation() };
    let expected = (ErrorCode::BadRequest, Stage::Options, Cause::InvalidOption(InvalidOption::RpId));
    assert_eq!(client.creation(&foreign, &mut [0; 256]).map_err(refused).unwrap_err(), expected);
    let foreign = RequestOptions { rp_id: Some("org"), ..request() };
    assert_eq!(client.request(&foreign, &mut [0; 256]).map_err(refused).unwrap_err(), expected);
    client.collector.origin = "https://192.0.2.1";
    let expected = (ErrorCode::BadRequest, Stage::Options, Cause::InvalidOption(InvalidOption::Origin));
    assert_eq!(client.request(&request(), &mut [0; 256]).map_err(refused).unwrap_err(), expected);
    assert!(client.transport.requests.is_empty());
}

#[test]
fn a_buffer_that_is_too_small_for_client_data_is_told_its_size() {
    let client = stub();
    let mut json = [0; 256];
    let needed = client.creation(&creation(), &mut json).unwrap().client_data_json.len() + RP_ID.len() + 32;
    for size in 0..needed {
        let error = client.creation(&creation(), &mut json[..size]).unwrap_err();
        assert_eq!((error.cause, error.stage), (Cause::BufferTooSmall { needed }, Stage::Options));
    }
    assert!(client.creation(&creation(), &mut json[..needed]).is_ok());
}

#[test]
fn policies_choose_where_the_standards_leave_a_choice() {
    let mut client = stub();
    let enterprise = CreationOptions { attestation: Some(Conveyance::Enterprise), ..creation() };
    let mut asked = |policy: ClientPolicy<'static>, options: &CreationOptions<'static>| {
        client.policy = policy;
        let mut json = [0; 256];
        let made = client.creation(options, &mut json).unwrap().options;
        (made.enterprise_attestation, made.attestation, made.preferred_without_uv)
    };
    use PreferredWithoutUv::{Error, Proceed};
    assert_eq!(asked(ClientPolicy::default(), &enterprise), (Some(1), Conveyance::Enterprise, Proceed));
    assert_eq!(asked(ClientPolicy::PYTHON_FIDO2, &creation()), (None, Conveyance::Direct, Error));
    let managed = |rp_ids| ClientPolicy { enterprise_rp_ids: Some(rp_ids), ..ClientPolicy::STANDARD };
    assert_eq!(asked(managed(&["example.com", RP_ID]), &enterprise).0, Some(2));
    assert_eq!(asked(managed(&["example.com"]), &enterprise).0, None);
    assert_eq!(asked(managed(&[RP_ID]), &creation()).0, None);
}

#[test]
fn the_whole_of_get_info_is_there_on_request() {
    let mut client = stub();
    client.transport.amend = |info| {
        info.firmware_version = Some(7);
        info.certifications = Some(cbor::RawMap(b"\xA1\x64FIDO\x01"));
    };
    let mut buffer = [0; 1024];
    let info = client.info(&mut buffer).unwrap();
    assert_eq!((info.firmware_version, info.max_msg_size()), (Some(7), 1200));
    assert_eq!(info.certifications, Some(cbor::RawMap(b"\xA1\x64FIDO\x01")));
    client.transport.tampered = Some((client.transport.requests.len(), vec![0, 0xA1]));
    assert!(matches!(client.info(&mut [0; 1024]).unwrap_err().cause, Cause::Decode(_)));
    assert_eq!(client.transport.commands(), [Command::GET_INFO.0; 2]);
}

#[test]
fn selection_waits_for_a_touch_and_can_be_cancelled() {
    let mut client = stub();
    client.transport.amend = |info| info.versions = List::Slice(const { &[cbor::Text::new("FIDO_2_1")] });
    client.transport.script.push_back(vec![0]);
    client.selection(&mut [0; 1024]).unwrap();
    assert_eq!(client.transport.commands(), [Command::GET_INFO.0, Command::SELECTION.0]);
    assert!(client.user.touches > 0);
    client.user.cancels = true;
    assert_eq!(client.selection(&mut [0; 1024]).unwrap_err().cause, Cause::Cancelled);
}

#[test]
fn the_user_is_asked_for_the_account_only_when_there_are_several() {
    struct Chooser(Option<usize>, usize);
    impl UserInteraction for Chooser {
        fn choose_account(&mut self, accounts: &AssertionSelection<'_, '_>) -> Option<usize> {
            self.1 += accounts.len();
            self.0
        }
    }

    let mut client = stub();
    let (mut json, mut buffer) = ([0; 256], [0; 1024]);
    let prepared = client.request(&request(), &mut json).unwrap();
    let selection = client.get_assertion(&prepared, &mut buffer).unwrap();
    let mut chooser = Chooser(None, 0);
    assert_eq!(selection.choose(&mut chooser).unwrap().credential_id(), ID);
    assert_eq!(chooser.1, 0);

    client.transport.credentials = vec![b"a".to_vec(), b"b".to_vec()];
    let mut buffer = [0; 1024];
    let selection = client.get_assertion(&prepared, &mut buffer).unwrap();
    for (choice, chosen) in [(Some(1), Some(&b"b"[..])), (Some(2), None), (None, None)] {
        let mut chooser = Chooser(choice, 0);
        assert_eq!(selection.choose(&mut chooser).map(|response| response.credential_id()), chosen);
        assert_eq!(chooser.1, 2);
    }
    assert_eq!(selection.choose(&mut User::default()).unwrap().credential_id(), b"a");
}

#[test]
fn a_pin_that_is_not_given_is_named_as_the_cause() {
    let mut client = client(StubCrypto, Device::with_pin(StubCrypto, PinUvAuthProtocol::One), User::default());
    let mut json = [0; 256];
    let creation = client.creation(&creation(), &mut json).unwrap();
    let error = client.make_credential(&creation, &mut [0; 1024]).unwrap_err();
    assert_eq!((error.code, error.cause), (ErrorCode::BadRequest, Cause::PinRequired));
    assert!(error.to_string().ends_with("PIN required but not provided"));
}

#[test]
fn time_runs_out_and_users_cancel_and_the_two_are_told_apart() {
    let mut client = stub();
    client.transport.silent = true;
    let mut json = [0; 256];
    let mut prepared = client.request(&request(), &mut json).unwrap();
    prepared.options.timeout = Duration::from_secs(1);
    let error = client.get_assertion(&prepared, &mut [0; 1024]).unwrap_err();
    assert_eq!((error.code, error.cause), (ErrorCode::Timeout, Cause::Timeout));
    assert!((1_000..5_000).contains(&client.transport.now.get()));
    client.user.cancels = true;
    let error = client.get_assertion(&prepared, &mut [0; 1024]).unwrap_err();
    assert_eq!((error.code, error.cause), (ErrorCode::Timeout, Cause::Cancelled));
}

#[test]
fn suffixes_of_the_callers_are_taken_into_account() {
    let collector = DefaultClientDataCollector {
        origin: ORIGIN,
        cross_origin: false,
        top_origin: None,
        suffixes: SuffixRules::new("example.org").unwrap(),
        related_origins: (),
    };
    let client = Fido2Client::new(Device::new(StubCrypto), collector, User::default(), StubCrypto, rng(), || at(0));
    let error = client.creation(&creation(), &mut [0; 256]).unwrap_err();
    assert_eq!(error.cause, Cause::InvalidOption(InvalidOption::RpId));
    assert_eq!(std::format!("{client:?}"), "Fido2Client(..)");
}

#[test]
fn canonical_responses_are_taken_by_a_strict_client_too() {
    let mut client = client(StubCrypto, Device::with_pin(StubCrypto, PinUvAuthProtocol::Two), User::with_pins([PIN]));
    client.policy.strict_cbor = true;
    let mut json = [0; 256];
    let creation = client.creation(&creation(), &mut json).unwrap();
    assert_eq!(client.make_credential(&creation, &mut [0; 1024]).unwrap().credential_id(), ID);
}

#[test]
fn authenticators_of_version_1_are_left_alone_where_that_is_the_policy() {
    let mut client = Fido2Client::new(Key::of(RP_ID), collector(), User::default(), StubCrypto, rng(), || at(0));
    let mut buffer = [0; 1024];
    let info = client.info(&mut buffer).unwrap();
    assert_eq!((info.has_version("U2F_V2"), info.aaguid), (true, &[0; 16]));
    assert_eq!(client.transport.script(), "2v");
    let mut json = [0; 256];
    let creation = client.creation(&creation(), &mut json).unwrap();
    assert_eq!(client.make_credential(&creation, &mut buffer).unwrap().credential_id(), ID);
    client.selection(&mut [0; 1024]).unwrap();
    assert_eq!(client.transport.script(), "2v2vR2vt");
    client.policy.ctap1 = false;
    let error = client.make_credential(&creation, &mut [0; 1024]).unwrap_err();
    assert_eq!(error.cause, status(Status::INVALID_COMMAND));
    assert_eq!(client.info(&mut [0; 1024]).unwrap_err().cause, status(Status::INVALID_COMMAND));
    assert_eq!(client.transport.script(), "2v2vR2vt22");
}

#[test]
fn the_same_is_done_over_an_async_transport() {
    use core::{
        pin::pin,
        task::{Context, Poll, Waker},
    };
    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(future).poll(&mut context) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing is waited for"),
        }
    }

    /// A blocking transport is an async one that never waits.
    struct Ready(Device<StubCrypto>);

    impl AsyncTransport for Ready {
        type Error = ();

        async fn send(&mut self, protocol: transport::Protocol, request: &[u8]) -> Result<(), ()> {
            Transport::send(&mut self.0, protocol, request)
        }
        async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, ()> {
            Transport::receive(&mut self.0, buffer, wait)
        }
        async fn cancel(&mut self) -> Result<(), ()> {
            Transport::cancel(&mut self.0)
        }
        async fn reconnect(&mut self) -> Result<(), ()> {
            Transport::reconnect(&mut self.0)
        }
    }

    let device = Ready(Device::with_pin(StubCrypto, PinUvAuthProtocol::Two));
    let user = BlockingInteraction(User::with_pins([PIN, PIN]));
    let mut client = Fido2Client::new(device, collector(), user, StubCrypto, rng(), || at(0));
    assert_eq!(now(client.info_async(&mut [0; 1024])).unwrap().max_msg_size(), 1200);
    now(client.selection_async(&mut [0; 1024])).unwrap();
    let (mut json, mut buffer) = ([0; 256], [0; 1024]);
    let creation = client.creation(&creation(), &mut json).unwrap();
    assert_eq!(now(client.make_credential_async(&creation, &mut buffer)).unwrap().credential_id(), ID);
    let mut json = [0; 256];
    let request = client.request(&request(), &mut json).unwrap();
    let selection = now(client.get_assertion_async(&request, &mut [], &mut buffer)).unwrap();
    assert_eq!(selection.get(0).unwrap().credential_id(), ID);
}

#[test]
fn the_time_of_the_options_is_brought_into_the_range_of_the_policy() {
    let mut client = stub();
    let mut asked = |policy: ClientPolicy<'static>, millis| {
        client.policy = policy;
        let (creation, request) =
            (CreationOptions { timeout: millis, ..creation() }, RequestOptions { timeout: millis, ..request() });
        let made = client.creation(&creation, &mut [0; 256]).unwrap().options.timeout;
        assert_eq!(client.request(&request, &mut [0; 256]).unwrap().options.timeout, made);
        made.as_millis()
    };
    for (given, taken) in [
        (None, 300_000),
        (Some(0), 300_000),
        (Some(299_999), 300_000),
        (Some(400_000), 400_000),
        (Some(600_001), 600_000),
        (Some(u32::MAX), 600_000),
    ] {
        assert_eq!(asked(ClientPolicy::STANDARD, given), taken);
    }
    assert_eq!(asked(ClientPolicy::PYTHON_FIDO2, Some(1)), 1);
    assert_eq!(asked(ClientPolicy::PYTHON_FIDO2, Some(u32::MAX)), u128::from(u32::MAX));
    let short =
        ClientPolicy { max_timeout: Duration::from_secs(60), min_timeout: Duration::ZERO, ..ClientPolicy::STANDARD };
    assert_eq!((asked(short, None), asked(short, Some(5))), (60_000, 5));
}

#[test]
fn a_registration_that_wants_another_attachment_is_refused_unless_its_hints_say_otherwise() {
    const PLATFORM: Option<Attachment> = Some(Attachment::Platform);
    const CROSS_PLATFORM: Option<Attachment> = Some(Attachment::CrossPlatform);
    let mut client = stub();
    let mut refused = |own: Option<Attachment>, attachment: Option<Attachment>, hints: &[&str]| {
        client.policy = ClientPolicy { attachment: own, ..ClientPolicy::STANDARD };
        let hints: Vec<_> = hints.iter().map(|hint| cbor::Text::new(hint)).collect();
        let selection = AuthenticatorSelection { attachment, ..Default::default() };
        let options = CreationOptions {
            authenticator_selection: Some(selection),
            hints: Some(List::Slice(&hints)),
            ..creation()
        };
        match client.creation(&options, &mut [0; 256]) {
            Ok(_) => false,
            Err(Error { code: ErrorCode::DeviceIneligible, stage: Stage::Options, cause }) => {
                assert_eq!(cause, Cause::AttachmentMismatch);
                true
            }
            Err(error) => panic!("{error}"),
        }
    };
    let own = ClientPolicy::STANDARD.attachment;
    assert_eq!(own, CROSS_PLATFORM);
    assert!(refused(own, PLATFORM, &[]));
    assert!(refused(own, PLATFORM, &["client-device", "later"]));
    assert!(!refused(own, PLATFORM, &["client-device", "security-key"]));
    assert!(!refused(own, PLATFORM, &["hybrid"]));
    // Hints alone are wishes.
    for hints in [&[][..], &["client-device"], &["security-key"], &["later"]] {
        assert!(!refused(own, CROSS_PLATFORM, hints));
        assert!(!refused(own, None, hints));
    }
    assert!(refused(PLATFORM, CROSS_PLATFORM, &["hybrid"]));
    assert!(!refused(PLATFORM, CROSS_PLATFORM, &["client-device"]));
    assert!(!refused(ClientPolicy::PYTHON_FIDO2.attachment, PLATFORM, &[]));
}

/// The formats that the key is asked for, of a registration that lists "packed".
fn formats_asked(attestation: Option<Conveyance>, policy: ClientPolicy<'static>, version: &'static str) -> Vec<String> {
    let mut device = Device::new(StubCrypto);
    device.amend = match version {
        "FIDO_2_0" => |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_0")] }),
        "FIDO_2_3" => |info| info.versions = List::Slice(const { &[Text::new("FIDO_2_1"), Text::new("FIDO_2_3")] }),
        _ => |info| info.attestation_formats = Some(List::Slice(const { &[Text::new("packed")] })),
    };
    let mut client = client(StubCrypto, device, User::default());
    client.policy = policy;
    let attestation_formats = Some(List::Slice(const { &[Text::new("packed")] }));
    let options = CreationOptions { attestation, attestation_formats, ..creation() };
    let mut json = [0; 256];
    let creation = client.creation(&options, &mut json).unwrap();
    client.make_credential(&creation, &mut [0; 1024]).unwrap();
    let sent: make_credential::Request = cbor::decode(client.transport.last()).unwrap();
    sent.attestation_formats_preference
        .map_or(Vec::new(), |names| names.iter().map(|name| name.as_str().to_owned()).collect())
}

#[test]
fn where_no_attestation_is_wanted_the_key_is_asked_for_none_whatever_formats_are_listed() {
    for version in ["FIDO_2_3", "2.2 that lists formats"] {
        for attestation in [None, Some(Conveyance::None)] {
            assert_eq!(formats_asked(attestation, ClientPolicy::STANDARD, version), ["none"], "{version}");
            assert_eq!(formats_asked(attestation, ClientPolicy::PYTHON_FIDO2, version), ["packed"], "all is passed on");
        }
        for attestation in [Conveyance::Indirect, Conveyance::Direct, Conveyance::Enterprise] {
            assert_eq!(formats_asked(Some(attestation), ClientPolicy::STANDARD, version), ["packed"], "{version}");
        }
    }
    for attestation in [Conveyance::None, Conveyance::Direct] {
        let asked = formats_asked(Some(attestation), ClientPolicy::STANDARD, "FIDO_2_0");
        assert_eq!(asked, [""; 0], "a key of 2.0 does not know the member");
    }
}
