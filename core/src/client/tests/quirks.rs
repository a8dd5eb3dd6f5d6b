//! What authenticators in the field get wrong, or are particular about. Others have tests where they belong:
//! `transports` in descriptors and the option `uv` beside a token (requests), a credential that is left out and a token
//! of a wrong length (outcome), answers that are not canonical and still no U2F (u2f).

use super::{
    extensions::{
        CredProtect, GetExtensions, HmacSalts, LargeBlobSupport, MakeExtensions, MakeResults, PrfInput, PrfOfCredential,
    },
    *,
};
use crate::{
    attestation::Statement,
    cbor::{self, RawMap},
    cose::CoseKey,
    crypto::Hash,
    ctap2::{Command, client_pin, make_credential},
    extensions::{GetAssertionInputs, cred_protect::Level},
};

use Requirement::{Discouraged, Preferred, Required};

#[test]
fn a_key_agreement_key_names_the_algorithm_that_it_is_not_used_with() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    make_stub(&mut device, &make_options(), &mut User::with_pins([PIN])).unwrap();
    let requests = device.requests.iter().filter(|request| request[0] == Command::CLIENT_PIN.0);
    let keys = requests.filter_map(|request| cbor::decode::<client_pin::Request>(&request[1..]).unwrap().key_agreement);
    let algorithms: Vec<_> = keys.map(|key: CoseKey| key.algorithm()).collect();
    assert_eq!(algorithms, [Algorithm::ECDH_ES_HKDF_256]);
}

#[test]
fn an_authenticator_without_a_list_of_protocols_has_protocol_one() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::One);
    device.protocols = None;
    make_stub(&mut device, &make_options(), &mut User::with_pins([PIN])).unwrap();
    let request: make_credential::Request = cbor::decode(device.last()).unwrap();
    assert_eq!((request.pin_uv_auth_protocol, request.pin_uv_auth_param.unwrap().len()), (Some(1), 16));
}

#[test]
fn hmac_secret_always_names_its_protocol() {
    for protocol in [PinUvAuthProtocol::One, PinUvAuthProtocol::Two] {
        let mut device = Device::with_pin(StubCrypto, protocol).extended();
        let salts = HmacSalts { salt1: &[1; 32], salt2: Some(&[2; 32]) };
        let extensions = GetExtensions { hmac_get_secret: Some(salts), ..GetExtensions::NONE };
        let options = GetOptions { extensions, ..get_options() };
        let (mut buffer, now) = ([0; 1024], device.now.clone());
        let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
        let got = run(ceremony, &mut device, &mut User::with_pins([PIN]), || at(now.get())).unwrap();
        let outputs = got.get(0).unwrap().extensions.hmac_outputs.unwrap();
        let output = |salt: &[u8]| StubCrypto.hmac_sha256(&[0x78; 32], &[salt]);
        assert_eq!((*outputs.first, *outputs.second.unwrap()), (output(&[1; 32]), output(&[2; 32])));
        let request: crate::ctap2::get_assertion::Request = cbor::decode(device.last()).unwrap();
        let inputs: GetAssertionInputs = request.extensions.unwrap().decode().unwrap();
        assert_eq!(inputs.hmac_secret.unwrap().pin_uv_auth_protocol, Some(protocol.number()));
        assert_eq!(device.sub_commands().len(), 3, "one key agreement for the token and for the salts");
    }
}

#[test]
fn an_authenticator_that_wants_verification_for_questions_without_a_touch_is_not_thought_to_have_the_credential() {
    let list = [CredentialDescriptor::new(b"one"), CredentialDescriptor::new(ID)];
    let mut device = Device::new(StubCrypto);
    device.probes = Some(Status::PUAT_REQUIRED);
    let extensions = MakeExtensions { app_id_exclude: Some("https://example.org"), ..MakeExtensions::NONE };
    for extensions in [MakeExtensions::NONE, extensions] {
        let options = MakeOptions { exclude_list: List::Slice(&list), extensions, ..make_options() };
        make_stub(&mut device, &options, &mut User::default()).unwrap();
    }
}

#[test]
fn an_authenticator_that_does_not_tell_its_retries_is_asked_no_further() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.tampered = Some((1, vec![Status::OTHER.0]));
    let mut user = User::with_pins([PIN]);
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!(user.prompts, [(Reason::First, None)]);
}

#[test]
fn an_authenticator_that_wants_a_touch_to_tell_its_retries_shows_it() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let mut user = User::with_pins([PIN]);
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!(user.touches, device.requests.len(), "a keep-alive during any request is shown");
}

#[test]
fn a_name_that_was_cut_within_a_character_ends_before_it() {
    let mut device = Device::new(StubCrypto);
    device.padding = 4;
    let mut undisturbed = Device::new(StubCrypto).altered(|device| device.padding = 4);
    get_stub(&mut undisturbed, &get_options(), &mut User::default()).unwrap();
    let mut response = undisturbed.responses[1].clone();
    let at = response.windows(4).position(|bytes| bytes == b"xxxx").unwrap();
    response[at + 2..at + 4].copy_from_slice(b"\xe2\x82");
    device.tampered = Some((1, response));
    let (options, mut buffer) = (get_options(), [0; 1024]);
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
    let got = run(ceremony, &mut device, &mut User::default(), at_rest).unwrap();
    assert_eq!(got.get(0).unwrap().response.user.unwrap().name, Some("xx"));
}

fn at_rest() -> crate::Instant {
    at(0)
}

#[test]
fn a_full_store_takes_a_credential_that_need_not_be_discoverable() {
    for (resident_key, taken) in [(Preferred, true), (Required, false), (Discouraged, false)] {
        let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
        device.refusals = [Status::KEY_STORE_FULL].into();
        let extensions = MakeExtensions { cred_props: true, ..MakeExtensions::NONE };
        let options = MakeOptions { resident_key, extensions, ..make_options() };
        let (mut buffer, now) = ([0; 1024], device.now.clone());
        let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
        let made = run(ceremony, &mut device, &mut User::with_pins([PIN]), || at(now.get()));
        let made = made.map(|made| made.extensions.cred_props_rk).map_err(|error| error.cause);
        assert_eq!(made, if taken { Ok(Some(false)) } else { Err(status(Status::KEY_STORE_FULL)) });
        if taken {
            assert_eq!(cbor::decode::<make_credential::Request>(device.last()).unwrap().options, None);
        }
    }
}

#[test]
fn an_attestation_that_is_not_wanted_is_taken_out_and_the_model_stays() {
    let run_with = |attestation: Conveyance, aaguid: [u8; 16]| {
        let mut device = Device::new(StubCrypto);
        device.max_list = Some(1);
        let mut undisturbed = Device::new(StubCrypto);
        make_stub(&mut undisturbed, &make_options(), &mut User::default()).unwrap();
        // {1: "none", 2: authData, 3: {}} becomes {1: "packed", 2: authData, 3: {"alg": -7, "sig": h'00'}}.
        let told = undisturbed.responses[1].clone();
        let mut response = vec![0, 0xA3, 1, 0x66];
        response.extend(b"packed");
        response.extend(&told[8..told.len() - 1]);
        response.extend(b"\xA2\x63alg\x26\x63sig\x41\x00");
        let at = response.len() - 12 - 1 - (77 + ID.len() + 2) - 16;
        response[at..at + 16].copy_from_slice(&aaguid);
        device.tampered = Some((1, response));
        let (options, mut buffer) = (MakeOptions { attestation, ..make_options() }, [0; 1024]);
        let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
        let made = run(ceremony, &mut device, &mut User::default(), at_rest).unwrap();
        let attested = made.auth_data.attested_credential_data.unwrap();
        assert_eq!(attested.credential_id, ID);
        assert_eq!(made.statement == Statement::None, made.response.fmt == "none");
        assert_eq!(made.statement == Statement::None, made.response.att_stmt.unwrap().0 == [0xA0]);
        (made.response.fmt.to_owned(), *attested.aaguid)
    };
    let told = |fmt: &str, aaguid: u8| (fmt.to_owned(), [aaguid; 16]);
    assert_eq!(run_with(Conveyance::Direct, [7; 16]), told("packed", 7));
    assert_eq!(run_with(Conveyance::None, [7; 16]), told("none", 7));
    assert_eq!(run_with(Conveyance::None, [0; 16]), told("packed", 0), "a self attestation of no known model");
}

#[test]
fn a_protection_that_is_enforced_is_in_force() {
    let enforced = |level: Level| {
        let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
        let protection = CredProtect { level: Level::USER_VERIFICATION_REQUIRED, enforce: true };
        let extensions = MakeExtensions { cred_protect: Some(protection), ..MakeExtensions::NONE };
        let options = MakeOptions { extensions, ..make_options() };
        let mut undisturbed = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
        make_stub(&mut undisturbed, &options, &mut User::with_pins([PIN])).unwrap();
        let mut response = undisturbed.responses.last().unwrap().clone();
        let at = response.windows(12).position(|bytes| bytes == b"credProtect\x03").unwrap();
        response[at + 11] = level.0 as u8;
        device.tampered = Some((undisturbed.responses.len() - 1, response));
        make_stub(&mut device, &options, &mut User::with_pins([PIN])).map(drop)
    };
    assert_eq!(enforced(Level(4)), Ok(()));
    assert_eq!(enforced(Level::USER_VERIFICATION_OPTIONAL), Err(Cause::CredProtectUnsupported));
}

#[test]
fn outputs_of_hmac_secret_that_are_not_as_many_as_the_salts_are_refused() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    let options = |prf: PrfInput<'static>| GetOptions {
        extensions: GetExtensions { prf: Some(prf), ..GetExtensions::NONE },
        ..get_options()
    };
    let two = PrfInput { first: b"a", second: Some(b"b") };
    get_stub(&mut device, &options(two), &mut User::with_pins([PIN])).unwrap();
    let index = device.responses.len() - 1;
    let mut other = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    other.tampered = Some((index, device.responses[index].clone()));
    let one = PrfInput { first: b"a", second: None };
    let cause = get_stub(&mut other, &options(one), &mut User::with_pins([PIN])).unwrap_err();
    assert_eq!(cause, Cause::InvalidHmacOutput);
}

#[test]
fn several_assertions_each_have_their_outputs() {
    let mut device = Device::new(StubCrypto).extended();
    device.protocols = Some(vec![2]);
    device.credentials = vec![b"one".to_vec(), b"two".to_vec()];
    let salts = HmacSalts { salt1: &[1; 32], salt2: None };
    let extensions = GetExtensions { hmac_get_secret: Some(salts), ..GetExtensions::NONE };
    let (options, mut buffer) = (GetOptions { extensions, ..get_options() }, [0; 1024]);
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
    let got = run(ceremony, &mut device, &mut User::default(), at_rest).unwrap();
    // The second answer of this authenticator has none.
    let outputs: Vec<_> = got.iter().map(|got| got.extensions.hmac_outputs.map(|outputs| *outputs.first)).collect();
    assert_eq!(outputs, [Some(StubCrypto.hmac_sha256(&[0x77; 32], &[&[1; 32]])), None]);
    assert_eq!(got.iter().map(|got| got.credential_id).collect::<Vec<_>>(), [b"one", b"two"]);
}

#[test]
fn a_blob_that_is_too_long_is_not_sent_and_further_inputs_go_as_they_are() {
    let mut device = Device::new(StubCrypto).extended();
    let long = [1; 33];
    let extensions = MakeExtensions { cred_blob: Some(&long), ..MakeExtensions::NONE };
    make_stub(&mut device, &MakeOptions { extensions, ..make_options() }, &mut User::default()).unwrap();
    assert_eq!(cbor::decode::<make_credential::Request>(device.last()).unwrap().extensions, None);
    let other = RawMap(b"\xA1\x6bcredProtect\x02");
    let extensions = MakeExtensions { other: Some(other), ..MakeExtensions::NONE };
    let (options, mut buffer) = (MakeOptions { extensions, ..make_options() }, [0; 1024]);
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let made = run(ceremony, &mut device, &mut User::default(), at_rest).unwrap();
    let level = Level::USER_VERIFICATION_OPTIONAL_WITH_CREDENTIAL_ID_LIST;
    assert_eq!(made.extensions, MakeResults { cred_protect: Some(level), ..MakeResults::default() });
    assert_eq!(cbor::decode::<make_credential::Request>(device.last()).unwrap().extensions, Some(other));
}

#[test]
fn a_large_blob_that_is_required_is_not_given_up_for_a_full_store() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    device.refusals = [Status::KEY_STORE_FULL].into();
    let extensions = MakeExtensions { large_blob: Some(LargeBlobSupport::Required), ..MakeExtensions::NONE };
    let options = MakeOptions { resident_key: Preferred, extensions, ..make_options() };
    let made = make_stub(&mut device, &options, &mut User::with_pins([PIN, PIN]));
    assert_eq!(made.unwrap_err(), status(Status::KEY_STORE_FULL));
}

#[test]
fn a_credential_without_the_large_blob_that_is_required_is_an_error() {
    let extensions = MakeExtensions { large_blob: Some(LargeBlobSupport::Required), ..MakeExtensions::NONE };
    let options = MakeOptions { resident_key: Required, extensions, ..make_options() };
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    make_stub(&mut device, &options, &mut User::with_pins([PIN])).unwrap();
    // The last of four members is the key.
    let mut response = device.responses.last().unwrap().clone();
    assert_eq!(response[1], 0xA4);
    response[1] = 0xA3;
    response.truncate(response.len() - 35);
    let mut without = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    without.tampered = Some((device.responses.len() - 1, response));
    let made = make_stub(&mut without, &options, &mut User::with_pins([PIN]));
    assert_eq!(made.unwrap_err(), Cause::LargeBlobUnsupported);
}

#[test]
fn what_is_asked_for_as_prf_is_not_given_raw_secrets() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    let raw = HmacSalts { salt1: &[1; 32], salt2: None };
    let list = [CredentialDescriptor::new(b"one"), CredentialDescriptor::new(ID)];
    let by_credential = [PrfOfCredential { id: b"one", eval: PrfInput { first: b"a", second: None } }];
    let extensions = GetExtensions {
        prf_by_credential: List::Slice(&by_credential),
        hmac_get_secret: Some(raw),
        ..GetExtensions::NONE
    };
    let options = GetOptions { allow_list: List::Slice(&list), extensions, ..get_options() };
    let (mut buffer, mut user) = ([0; 1024], User::with_pins([PIN]));
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
    let got = run(ceremony, &mut device, &mut user, at_rest).unwrap();
    assert_eq!(got.get(0).unwrap().extensions.hmac_outputs, None);

    let extensions = MakeExtensions { prf: Some(None), hmac_get_secret: Some(raw), ..MakeExtensions::NONE };
    let (options, mut buffer) = (MakeOptions { extensions, ..make_options() }, [0; 1024]);
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let made = run(ceremony, &mut device, &mut User::with_pins([PIN]), at_rest).unwrap();
    assert_eq!(made.extensions.hmac_outputs, None);
}

#[test]
fn a_ceremony_that_fails_leaves_no_secrets_behind() {
    let salts = HmacSalts { salt1: &[1; 32], salt2: None };
    let extensions = GetExtensions { hmac_get_secret: Some(salts), ..GetExtensions::NONE };
    let options = GetOptions { extensions, ..get_options() };
    let mut device = Device::new(StubCrypto).extended();
    device.protocols = Some(vec![2]);
    device.credentials = vec![b"one".to_vec(), b"two".to_vec()];
    // getInfo, the agreement, the first assertion, and one that is cut.
    device.tampered = Some((3, vec![0, 0xA1]));
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
    run(ceremony, &mut device, &mut User::default(), at_rest).map(drop).unwrap_err();
    assert_eq!(device.commands(), [4, 6, 2, 8]);
    assert_eq!(buffer, [0; 1024]);
}
