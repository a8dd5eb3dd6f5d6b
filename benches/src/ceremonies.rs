//! Ceremonies from request bytes to response bytes, and their cryptography alone.

use std::{hint::black_box, ops::Range};

use keyfob_core::{
    Instant,
    auth_data::AuthData,
    bytes,
    cbor::{List, Overflow, RawMap},
    cose::Algorithm,
    crypto::{Agreement, Cipher, HEDGE, Hash, RustCrypto, Sign},
    ctap2::{
        Command, CommandOptions, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity,
        client_pin::{self, subcommand},
        decode_response, encode_request, get_assertion, make_credential,
    },
    pin_uv::{self, PaddedPin, Permissions, PinHash, PinUvAuthProtocol, Token},
};
use keyfob_soft_authenticator::{
    devices::{VIRTUAL_KEY_AAGUID, VirtualCrypto},
    engine::{Config, Engine, Event, Platform, Progress, Wait},
    store::MemoryStore,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// The platform of a virtual key, with a store in memory.
pub(crate) struct BenchPlatform;

impl Platform for BenchPlatform {
    type Crypto = VirtualCrypto;
    type Rng = ChaCha20Rng;
    type Store = MemoryStore<100>;
}

/// An engine with its buffer, touched at once.
pub(crate) struct Key {
    pub(crate) engine: Engine<'static, BenchPlatform>,
}

impl Key {
    pub(crate) fn new() -> Self {
        Self::with(Config::new(VIRTUAL_KEY_AAGUID), 1)
    }

    pub(crate) fn with(config: Config<'static>, seed: u64) -> Self {
        // The buffer lives as long as the benchmark.
        let buffer = Box::leak(vec![0; config.buffer_len()].into_boxed_slice());
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let engine = Engine::new(buffer, config, VirtualCrypto::default(), rng, MemoryStore::new(), Instant::default());
        Self { engine: engine.expect("a configuration that works") }
    }

    pub(crate) fn answer(&mut self, request: &[u8]) -> &[u8] {
        self.engine.response_sent();
        let len = bytes::put(self.engine.buffer(), request);
        let progress = self.engine.begin(Instant::default(), len);
        self.finish(progress)
    }

    pub(crate) fn finish(&mut self, mut progress: Progress) -> &[u8] {
        loop {
            match progress {
                Progress::Reply(len) => return &self.engine.buffer()[..len],
                Progress::Pending(Wait::Touch) => progress = self.engine.resume(Instant::default(), Event::Touched),
                Progress::Pending(_) => progress = self.engine.resume(Instant::default(), Event::Tick),
            }
        }
    }
}

/// A P-256 key pair and two ES256 signatures, hedged and over messages of the same sizes as in the ceremonies.
pub fn floor() -> Box<dyn FnMut()> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut secret, mut public, mut signature) = ([0; 64], [0; 64], [0; 72]);
    Box::new(move || {
        let (len, _) = RustCrypto.generate(Algorithm::ES256, &mut rng, &mut secret, &mut public).expect("a key");
        let secret = &secret[..len];
        for (auth_data, hash) in [(&[1; 164][..], &[2; 32]), (&[1; 37][..], &[2; 32])] {
            let message: [&[u8]; 2] = [black_box(auth_data), hash];
            let mut hedge = [0; HEDGE];
            rng.fill_bytes(&mut hedge);
            let signed = RustCrypto.sign_hedged(Algorithm::ES256, secret, &message, Some(&hedge), &mut signature);
            black_box(signed).expect("a signature");
        }
    })
}

/// An ES256 signature of a sign-in: with or without random bytes in its nonce, checked or not.
fn signature(hedged: bool, checked: bool) -> Box<dyn FnMut()> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut secret, mut public, mut signature) = ([0; 32], [0; 64], [0; 72]);
    RustCrypto.generate(Algorithm::ES256, &mut rng, &mut secret, &mut public).expect("a key");
    Box::new(move || {
        let message: [&[u8]; 2] = [black_box(&[1; 37]), &[2; 32]];
        let mut hedge = [0; HEDGE];
        if hedged {
            rng.fill_bytes(&mut hedge);
        }
        let hedge = hedged.then_some(&hedge);
        let signed = RustCrypto.sign_hedged(Algorithm::ES256, &secret, &message, hedge, &mut signature);
        let len = black_box(signed).expect("a signature");
        if checked {
            RustCrypto.check_signature(Algorithm::ES256, &secret, &message, &signature[..len]).expect("it verifies");
        }
    })
}

/// A deterministic signature.
pub fn sign() -> Box<dyn FnMut()> {
    signature(false, false)
}

/// A signature with random bytes in its nonce, as in the engine.
pub fn sign_hedged() -> Box<dyn FnMut()> {
    signature(true, false)
}

/// A signature with random bytes in its nonce, which is verified before it is returned.
pub fn sign_checked() -> Box<dyn FnMut()> {
    signature(true, true)
}

/// An authenticator, ours or another one, that is called with bytes.
pub trait Authenticator {
    /// Answers a request, which begins with the command byte, with a response, which begins with the status byte.
    fn call(&mut self, request: &[u8]) -> impl AsRef<[u8]>;
}

impl Authenticator for Key {
    fn call(&mut self, request: &[u8]) -> impl AsRef<[u8]> {
        self.answer(request)
    }
}

/// A registration at example.com.
pub(crate) fn registration(discoverable: bool) -> Vec<u8> {
    registration_with(discoverable, None, None)
}

/// A registration at example.com with an excluded credential and with extension inputs.
pub(crate) fn registration_with(discoverable: bool, excluded: Option<&[u8]>, inputs: Option<&[u8]>) -> Vec<u8> {
    let excluded = excluded.map(CredentialDescriptor::new);
    encoded(|buffer| {
        let request = make_credential::Request {
            client_data_hash: &[0x5A; 32],
            rp: RpEntity { id: "example.com", name: Some("Example RP") },
            user: UserEntity { id: &[7; 32], name: Some("alice@example.com"), display_name: Some("Alice Example") },
            pub_key_cred_params: List::Slice(&[CredentialParameters::new(Algorithm::ES256)]),
            exclude_list: excluded.as_ref().map(|id| List::Slice(std::slice::from_ref(id))),
            extensions: inputs.map(RawMap),
            options: Some(CommandOptions { rk: Some(discoverable), ..CommandOptions::default() }),
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
            enterprise_attestation: None,
            attestation_formats_preference: None,
        };
        encode_request(Command::MAKE_CREDENTIAL, &request, buffer)
    })
}

/// A sign-in at example.com, with this id or with any discoverable credential.
pub(crate) fn sign_in(id: Option<&[u8]>) -> Vec<u8> {
    sign_in_with(id, None)
}

/// A sign-in at example.com with options.
pub(crate) fn sign_in_with(id: Option<&[u8]>, options: Option<CommandOptions>) -> Vec<u8> {
    encoded(|buffer| {
        let allowed = id.map(CredentialDescriptor::new);
        let request = get_assertion::Request {
            rp_id: "example.com",
            client_data_hash: &[0xA5; 32],
            allow_list: allowed.as_ref().map(|id| List::Slice(std::slice::from_ref(id))),
            extensions: None,
            options,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        encode_request(Command::GET_ASSERTION, &request, buffer)
    })
}

/// A registration and a sign-in: with a discoverable credential and no allow list, or with a wrapped credential and an
/// allow list.
pub fn ceremony(mut authenticator: impl Authenticator + 'static, discoverable: bool) -> Box<dyn FnMut()> {
    let register = registration(discoverable);
    // The credential's id is at the same place in every response.
    let id = credential_id(authenticator.call(&register).as_ref());
    let placeholder = vec![0xC1; id.len()];
    let mut sign_in = sign_in((!discoverable).then_some(&placeholder));
    let id_at = sign_in.windows(id.len()).position(|window| window == placeholder);
    Box::new(move || {
        let registered = authenticator.call(&register);
        if let Some(at) = id_at {
            sign_in[at..at + id.len()].copy_from_slice(&registered.as_ref()[id.clone()]);
        }
        drop(registered);
        assert_eq!(black_box(authenticator.call(&sign_in)).as_ref()[0], 0);
    })
}

/// The place of the credential's id in a response to makeCredential.
pub(crate) fn credential_id(response: &[u8]) -> Range<usize> {
    let decoded: make_credential::Response<'_> = decode_response(response).expect("a registration");
    let auth_data = AuthData::decode(decoded.auth_data).expect("well-formed");
    let id = auth_data.attested_credential_data.expect("a credential").credential_id;
    let at = response.windows(id.len()).position(|window| window == id).expect("it came from there");
    at..at + id.len()
}

pub(crate) fn encoded(encode: impl FnOnce(&mut [u8]) -> Result<usize, Overflow>) -> Vec<u8> {
    encoded_within(2048, encode) // to clear more would count among the instructions of a ceremony
}

pub(crate) fn encoded_within(room: usize, encode: impl FnOnce(&mut [u8]) -> Result<usize, Overflow>) -> Vec<u8> {
    let mut buffer = vec![0; room];
    let len = encode(&mut buffer).expect("fits");
    buffer.truncate(len);
    buffer
}

/// A registration and a sign-in with a discoverable credential.
pub fn discoverable() -> Box<dyn FnMut()> {
    ceremony(Key::new(), true)
}

/// A registration and a sign-in with a wrapped credential.
pub fn wrapped() -> Box<dyn FnMut()> {
    ceremony(Key::new(), false)
}

const PIN: &str = "123456";

/// Key agreement and a token with protocol two, the work of platform and authenticator.
pub fn pin_token() -> Box<dyn FnMut()> {
    let mut key = Key::new();
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    set_pin(&mut key, &mut rng);
    Box::new(move || {
        let mut agreed = Agreed::new(&mut key, &mut rng);
        let request = agreed.token_request(&mut rng, Permissions::MC.with(Permissions::GA), Some("example.com"));
        let response = key.answer(&request);
        black_box(agreed.token(response));
    })
}

pub(crate) fn set_pin(key: &mut Key, rng: &mut ChaCha20Rng) {
    let request = Agreed::new(key, rng).set_pin_request(rng);
    assert_eq!(key.answer(&request), [0]);
}

/// The platform's side of a key agreement.
pub(crate) struct Agreed {
    pub(crate) point: keyfob_core::crypto::P256Point,
    pub(crate) shared: pin_uv::SharedSecret,
}

impl Agreed {
    pub(crate) fn new(key: &mut impl Authenticator, rng: &mut ChaCha20Rng) -> Self {
        let request = client_pin::Request {
            pin_uv_auth_protocol: Some(2),
            sub_command: Some(subcommand::GET_KEY_AGREEMENT),
            ..client_pin::Request::default()
        };
        let request = encoded(|buffer| encode_request(Command::CLIENT_PIN, &request, buffer));
        let response = key.call(&request);
        let response: client_pin::Response<'_> = decode_response(response.as_ref()).expect("a key");
        let peer = response.key_agreement.expect("a key");
        let (point, shared) = pin_uv::encapsulate(&RustCrypto, rng, PinUvAuthProtocol::Two, &peer).expect("a point");
        Self { point, shared }
    }

    /// setPIN.
    pub(crate) fn set_pin_request(&mut self, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let new_pin = self.encrypt(rng, PaddedPin::new(PIN, 4).expect("a PIN").as_bytes());
        let param = self.shared.authenticate(&RustCrypto, &[&new_pin]);
        let request = client_pin::Request {
            new_pin_enc: Some(&new_pin),
            pin_uv_auth_param: Some(param.as_bytes()),
            ..self.request(subcommand::SET_PIN)
        };
        encoded(|buffer| encode_request(Command::CLIENT_PIN, &request, buffer))
    }

    /// changePIN to the same PIN.
    pub(crate) fn change_pin_request(&mut self, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let new_pin = self.encrypt(rng, PaddedPin::new(PIN, 4).expect("a PIN").as_bytes());
        let hash = self.encrypt(rng, &PinHash::of(&RustCrypto, PIN.as_bytes()).0);
        let param = self.shared.authenticate(&RustCrypto, &[&new_pin, &hash]);
        let request = client_pin::Request {
            new_pin_enc: Some(&new_pin),
            pin_hash_enc: Some(&hash),
            pin_uv_auth_param: Some(param.as_bytes()),
            ..self.request(subcommand::CHANGE_PIN)
        };
        encoded(|buffer| encode_request(Command::CLIENT_PIN, &request, buffer))
    }

    /// getPinUvAuthTokenUsingPinWithPermissions.
    pub(crate) fn token_request(
        &mut self,
        rng: &mut ChaCha20Rng,
        permissions: Permissions,
        rp_id: Option<&str>,
    ) -> Vec<u8> {
        let hash = self.encrypt(rng, &PinHash::of(&RustCrypto, PIN.as_bytes()).0);
        let request = client_pin::Request {
            pin_hash_enc: Some(&hash),
            permissions: Some(permissions.0.into()),
            rp_id,
            ..self.request(subcommand::GET_TOKEN_USING_PIN)
        };
        encoded(|buffer| encode_request(Command::CLIENT_PIN, &request, buffer))
    }

    /// The token in the response.
    pub(crate) fn token(&self, response: &[u8]) -> Token {
        let response: client_pin::Response<'_> = decode_response(response).expect("a token");
        let mut token = [0; 32];
        let encrypted = response.pin_uv_auth_token.expect("a token");
        self.shared.decrypt(&RustCrypto, encrypted, &mut token).expect("whole blocks");
        Token::new(PinUvAuthProtocol::Two, &token).expect("a token")
    }

    pub(crate) fn encrypt(&self, rng: &mut ChaCha20Rng, plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 16 + plain.len()];
        self.shared.encrypt(&RustCrypto, rng, plain, &mut out).expect("whole blocks");
        out
    }

    fn request(&mut self, sub_command: u32) -> client_pin::Request<'_> {
        client_pin::Request {
            pin_uv_auth_protocol: Some(2),
            sub_command: Some(sub_command),
            key_agreement: Some(keyfob_core::cose::CoseKey::key_agreement(&self.point)),
            ..client_pin::Request::default()
        }
    }
}

/// GetInfo with our engine.
pub fn own_get_info() -> Box<dyn FnMut()> {
    let mut key = Key::new();
    Box::new(move || {
        black_box(key.answer(&[Command::GET_INFO.0]));
    })
}

/// The cryptography of a token alone: three scalar multiplications, two key derivations, encryption and decryption.
pub fn pin_token_floor() -> Box<dyn FnMut()> {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (secret, public) = RustCrypto.p256_generate(&mut rng).expect("a key");
    Box::new(move || {
        let (mine, point) = RustCrypto.p256_generate(&mut rng).expect("a key");
        let mut block = [0; 32];
        for z in [RustCrypto.p256_shared(&mine, &public), RustCrypto.p256_shared(&secret, &point)] {
            let z = z.expect("a point");
            black_box(RustCrypto.hkdf_sha256(&[0; 32], &z, b"CTAP2 HMAC key"));
            let key = RustCrypto.hkdf_sha256(&[0; 32], &z, b"CTAP2 AES key");
            RustCrypto.aes256_cbc_encrypt(&key, &[0; 16], &mut block).expect("whole blocks");
            RustCrypto.aes256_cbc_decrypt(&key, &[0; 16], &mut block).expect("whole blocks");
        }
        black_box(block);
    })
}
