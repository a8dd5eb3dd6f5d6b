//! The authenticator's side of each command alone. Each request is made once and sent again and again.

use std::hint::black_box;

use keyfob_core::{
    Instant, bytes,
    cbor::{RawMap, Write, encode},
    cose::CoseKey,
    crypto::{Hash, RustCrypto},
    ctap1::{self, Control, RegisterResponse, StatusWord},
    ctap2::{
        Command,
        bio_enrollment::{self, FINGERPRINT, SampleStatus, authenticated_head, subcommand},
        client_pin, config, credential_management as cred_mgmt, encode_request, get_assertion, large_blobs,
    },
    extensions::{GetAssertionInputs, hmac_secret},
    pin_uv::{Permissions, PinUvAuthProtocol, Token},
};
use keyfob_soft_authenticator::{
    Caps,
    devices::VIRTUAL_KEY_AAGUID,
    engine::{Config, Engine, Event, Platform, Progress},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{
    Operation,
    ceremonies::{self, Agreed, Key, encoded, registration, set_pin, sign_in},
};

/// One row for each command, and for each subcommand that does different work. With ES256, PIN/UV auth protocol two and
/// a memory store.
pub const COMMANDS: &[Operation] = &[
    Operation { name: "makeCredential", prepare: || repeated(Key::new(), registration(false)) },
    Operation { name: "makeCredential, discoverable", prepare: || repeated(Key::new(), registration(true)) },
    Operation { name: "getAssertion, discoverable", prepare: || repeated(registered(), sign_in(None)) },
    Operation { name: "getAssertion, with hmac-secret", prepare: hmac_secret },
    Operation { name: "getAssertion and getNextAssertion", prepare: next_assertion },
    Operation { name: "getInfo", prepare: ceremonies::own_get_info },
    Operation {
        name: "clientPIN getPINRetries",
        prepare: || repeated(Key::new(), pin(client_pin::subcommand::GET_PIN_RETRIES)),
    },
    Operation {
        name: "clientPIN getKeyAgreement",
        prepare: || repeated(Key::new(), pin(client_pin::subcommand::GET_KEY_AGREEMENT)),
    },
    Operation { name: "clientPIN changePIN", prepare: || with_pin(|agreed, rng| agreed.change_pin_request(rng)) },
    Operation {
        name: "clientPIN getPinUvAuthTokenUsingPin",
        prepare: || with_pin(|agreed, rng| agreed.token_request(rng, Permissions::MC, Some("example.com"))),
    },
    Operation { name: "reset", prepare: || repeated(Key::new(), vec![Command::RESET.0]) },
    Operation { name: "selection", prepare: || repeated(Key::new(), vec![Command::SELECTION.0]) },
    Operation { name: "bioEnrollment enumerateEnrollments", prepare: enumerate_fingers },
    Operation {
        name: "credentialManagement getCredsMetadata",
        prepare: || managed(cred_mgmt::subcommand::GET_CREDS_METADATA, None),
    },
    Operation {
        name: "credentialManagement enumerateRPsBegin",
        prepare: || managed(cred_mgmt::subcommand::ENUMERATE_RPS_BEGIN, None),
    },
    Operation {
        name: "credentialManagement enumerateCredentialsBegin",
        prepare: || {
            let rp_id_hash = RustCrypto.sha256(&[b"example.com"]);
            let params = cred_mgmt::Params { rp_id_hash: Some(&rp_id_hash), ..Default::default() };
            managed(cred_mgmt::subcommand::ENUMERATE_CREDENTIALS_BEGIN, Some(&raw(&params)))
        },
    },
    Operation { name: "largeBlobs get, 1,024 bytes", prepare: read_blobs },
    Operation { name: "largeBlobs set, 1,024 bytes", prepare: write_blobs },
    Operation { name: "authenticatorConfig setMinPINLength", prepare: set_min_pin_length },
    Operation { name: "U2F version", prepare: || u2f(|_| ctap1::Request::Version) },
    Operation { name: "U2F register", prepare: || u2f(|_| U2F_REGISTER) },
    Operation { name: "U2F authenticate", prepare: || u2f(u2f_authenticate) },
];

/// Sends the same request to `key` again and again.
fn repeated(mut key: Key, request: Vec<u8>) -> Box<dyn FnMut()> {
    Box::new(move || assert_eq!(black_box(key.answer(&request))[0], 0))
}

/// A key with one discoverable credential.
fn registered() -> Key {
    let mut key = Key::new();
    assert_eq!(key.answer(&registration(true))[0], 0);
    key
}

fn pin(sub_command: u32) -> Vec<u8> {
    let request = client_pin::Request {
        pin_uv_auth_protocol: Some(2),
        sub_command: Some(sub_command),
        ..client_pin::Request::default()
    };
    encoded(|buffer| encode_request(Command::CLIENT_PIN, &request, buffer))
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(3)
}

fn with_pin(request: impl FnOnce(&mut Agreed, &mut ChaCha20Rng) -> Vec<u8>) -> Box<dyn FnMut()> {
    let (mut key, mut rng) = (Key::new(), rng());
    set_pin(&mut key, &mut rng);
    let request = request(&mut Agreed::new(&mut key, &mut rng), &mut rng);
    repeated(key, request)
}

/// Sets a PIN and gets a token.
fn token(key: &mut Key, permissions: Permissions) -> Token {
    let mut rng = rng();
    set_pin(key, &mut rng);
    let mut agreed = Agreed::new(key, &mut rng);
    let request = agreed.token_request(&mut rng, permissions, None);
    agreed.token(key.answer(&request))
}

fn raw(value: &impl Write) -> Vec<u8> {
    encoded(|buffer| encode(value, buffer))
}

fn hmac_secret() -> Box<dyn FnMut()> {
    let (mut key, mut rng) = (registered(), rng());
    let agreed = Agreed::new(&mut key, &mut rng);
    let salt_enc = agreed.encrypt(&mut rng, &[5; 64]);
    let salt_auth = agreed.shared.authenticate(&RustCrypto, &[&salt_enc]);
    let inputs = raw(&GetAssertionInputs {
        hmac_secret: Some(hmac_secret::HmacSecretInput {
            key_agreement: CoseKey::key_agreement(&agreed.point),
            salt_enc: &salt_enc,
            salt_auth: salt_auth.as_bytes(),
            pin_uv_auth_protocol: Some(2),
        }),
        ..Default::default()
    });
    let request = get_assertion::Request {
        rp_id: "example.com",
        client_data_hash: &[1; 32],
        allow_list: None,
        extensions: Some(RawMap(&inputs)),
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    };
    repeated(key, encoded(|buffer| encode_request(Command::GET_ASSERTION, &request, buffer)))
}

fn next_assertion() -> Box<dyn FnMut()> {
    let mut key = registered();
    let mut another = registration(true);
    // The user's id.
    let at = another.windows(32).position(|window| window == [7; 32]).expect("32 bytes of 7");
    another[at] = 8;
    assert_eq!(key.answer(&another)[0], 0);
    let request = sign_in(None);
    Box::new(move || {
        assert_eq!(black_box(key.answer(&request))[0], 0);
        assert_eq!(black_box(key.answer(&[Command::GET_NEXT_ASSERTION.0]))[0], 0);
    })
}

fn managed(sub_command: u32, params: Option<&[u8]>) -> Box<dyn FnMut()> {
    let mut key = registered();
    let token = token(&mut key, Permissions::CM);
    let head = cred_mgmt::authenticated_head(sub_command);
    let param = token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[&head, params.unwrap_or_default()]);
    let request = cred_mgmt::Request {
        sub_command,
        sub_command_params: params.map(RawMap),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(param.as_bytes()),
    };
    repeated(key, encoded(|buffer| encode_request(Command::CREDENTIAL_MANAGEMENT, &request, buffer)))
}

/// Writes a large-blob array of 1,024 bytes.
pub(crate) fn blobs_request(token: &Token) -> Vec<u8> {
    let mut array = vec![3; 1024 - large_blobs::HASH_LENGTH];
    let hash = RustCrypto.sha256(&[&array]);
    array.extend(&hash[..large_blobs::HASH_LENGTH]);
    let head = large_blobs::authenticated_head(0);
    let param = token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[&head, &RustCrypto.sha256(&[&array])]);
    let request = large_blobs::Request {
        set: Some(&array),
        offset: Some(0),
        length: Some(1024),
        pin_uv_auth_param: Some(param.as_bytes()),
        pin_uv_auth_protocol: Some(2),
        ..Default::default()
    };
    encoded(|buffer| encode_request(Command::LARGE_BLOBS, &request, buffer))
}

fn write_blobs() -> Box<dyn FnMut()> {
    let mut key = Key::new();
    let request = blobs_request(&token(&mut key, Permissions::LBW));
    repeated(key, request)
}

fn read_blobs() -> Box<dyn FnMut()> {
    let mut key = Key::new();
    let request = blobs_request(&token(&mut key, Permissions::LBW));
    assert_eq!(key.answer(&request), [0]);
    repeated(key, read_blobs_request())
}

/// Reads 1,024 bytes of the large-blob array.
pub(crate) fn read_blobs_request() -> Vec<u8> {
    let request = large_blobs::Request { get: Some(1024), offset: Some(0), ..Default::default() };
    encoded(|buffer| encode_request(Command::LARGE_BLOBS, &request, buffer))
}

fn set_min_pin_length() -> Box<dyn FnMut()> {
    let mut key = Key::new();
    let token = token(&mut key, Permissions::ACFG);
    repeated(key, min_pin_length_request(&token))
}

/// Sets the minimum PIN length that a key has from the start.
pub(crate) fn min_pin_length_request(token: &Token) -> Vec<u8> {
    let params = raw(&config::SetMinPinLength { new_min_pin_length: Some(4), ..Default::default() });
    let sub_command = config::subcommand::SET_MIN_PIN_LENGTH;
    let head = config::authenticated_head(sub_command);
    let param = token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[&head, &params]);
    let request = config::Request {
        sub_command,
        sub_command_params: Some(RawMap(&params)),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(param.as_bytes()),
    };
    encoded(|buffer| encode_request(Command::CONFIG, &request, buffer))
}

/// A configuration with a fingerprint sensor.
pub(crate) fn with_sensor() -> Config<'static> {
    let config = Config::new(VIRTUAL_KEY_AAGUID);
    Config { caps: config.caps.with(Caps::BUILT_IN_UV).with(Caps::BIO_ENROLL), ..config }
}

fn enumerate_fingers() -> Box<dyn FnMut()> {
    let mut key = Key::with(with_sensor(), 1);
    let token = token(&mut key, Permissions::BE);
    enroll(&mut key.engine, &token);
    repeated(key, fingers_request(&token, subcommand::ENUMERATE_ENROLLMENTS))
}

/// Enrolls a finger with one sample.
pub(crate) fn enroll<P: Platform>(engine: &mut Engine<'_, P>, token: &Token) {
    let len = bytes::put(engine.buffer(), &fingers_request(token, subcommand::ENROLL_BEGIN));
    engine.begin(Instant::default(), len);
    let sample = Event::Sample { status: SampleStatus::GOOD, remaining: 0 };
    assert!(matches!(engine.resume(Instant::default(), sample), Progress::Reply(_)));
}

/// A subcommand of bioEnrollment without parameters.
pub(crate) fn fingers_request(token: &Token, sub_command: u32) -> Vec<u8> {
    let param = token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[&authenticated_head(sub_command)]);
    let request = bio_enrollment::Request {
        modality: Some(FINGERPRINT),
        sub_command: Some(sub_command),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(param.as_bytes()),
        ..bio_enrollment::Request::default()
    };
    encoded(|buffer| encode_request(Command::BIO_ENROLLMENT, &request, buffer))
}

pub(crate) const U2F_REGISTER: ctap1::Request<'_> =
    ctap1::Request::Register { control: Control::NONE, challenge: &[1; 32], application: &[2; 32] };

/// Signs in with the key handle of a [`U2F_REGISTER`].
pub(crate) const fn u2f_authenticate(key_handle: &[u8]) -> ctap1::Request<'_> {
    ctap1::Request::Authenticate {
        control: Control::ENFORCE_USER_PRESENCE,
        challenge: &[1; 32],
        application: &[2; 32],
        key_handle,
    }
}

/// A U2F request with its touch: it is refused, the key is touched, and the request is sent again. `request` gets a key
/// handle.
fn u2f(request: impl FnOnce(&[u8]) -> ctap1::Request<'_>) -> Box<dyn FnMut()> {
    let mut key = Key::new();
    let registered = touched(&mut key, &encoded(|buffer| U2F_REGISTER.encode(buffer))).to_vec();
    let key_handle = RegisterResponse::decode(&registered).expect("a registration").key_handle;
    let request = encoded(|buffer| request(key_handle).encode(buffer));
    Box::new(move || assert!(black_box(touched(&mut key, &request)).ends_with(&StatusWord::NO_ERROR.0.to_be_bytes())))
}

fn touched<'k>(key: &'k mut Key, apdu: &[u8]) -> &'k [u8] {
    let now = Instant::default();
    let len = bytes::put(key.engine.buffer(), apdu);
    let progress = key.engine.begin_u2f(now, len);
    if !key.engine.u2f_awaits_touch(now) {
        return key.finish(progress);
    }
    key.engine.touch_for_u2f(now, true);
    let len = bytes::put(key.engine.buffer(), apdu);
    let progress = key.engine.begin_u2f(now, len);
    key.finish(progress)
}
