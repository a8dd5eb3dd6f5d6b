//! The test environment: a server with its clock, browsers with their cookies, and keys.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header},
};
use keyfob_core::{
    Instant,
    attestation::RawStatement,
    cbor,
    cose::{Algorithm, CoseKey, Curve},
    crypto::{Hash, RustCrypto, Sign},
    transport::hid::HidTransport,
    webauthn::AttestationObject,
};
use keyfob_relying_party::{
    client::{Prover, SecurityKey},
    server::{
        self, ServerOptions,
        members::{decode, encode},
    },
    store::Sqlite,
    tenant::Tenant,
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey, virtual_key_certificate},
    engine::{AttestationMode, Config},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

pub const ORIGIN: &str = "http://localhost:8080";

pub type Key = SecurityKey<HidTransport<InProcess<'static>, Box<dyn FnMut() -> Instant>>>;

/// A new virtual key whose PIN is not set yet.
pub fn key() -> Key {
    let config = Config::new(VIRTUAL_KEY_AAGUID);
    let buffer = vec![0; config.buffer_len()].leak();
    SecurityKey::over_hid(InProcess(VirtualKey::new(buffer, KeyOptions::new(config)).unwrap()), None).unwrap()
}

/// A new virtual key that attests with the certificate of its model.
pub fn certified_key() -> Key {
    let mut config = Config::new(VIRTUAL_KEY_AAGUID);
    config.attestation = AttestationMode::Certified(virtual_key_certificate());
    let buffer = vec![0; config.buffer_len()].leak();
    SecurityKey::over_hid(InProcess(VirtualKey::new(buffer, KeyOptions::new(config)).unwrap()), None).unwrap()
}

/// The virtual key's certificate.
pub fn u2f_certificate() -> Vec<u8> {
    virtual_key_certificate().chain[0].to_vec()
}

/// A signature by the key of that certificate.
pub fn u2f_sign(message: &[&[u8]]) -> Vec<u8> {
    let certified = virtual_key_certificate();
    let mut signature = vec![0; 72];
    let length = RustCrypto.sign(certified.algorithm, certified.secret, message, &mut signature).unwrap();
    signature.truncate(length);
    signature
}

pub fn options() -> ServerOptions {
    ServerOptions::new(vec![Tenant::localhost(8080), Tenant::new("example.com")])
}

pub struct World {
    router: Router,
    runtime: Runtime,
    clock: Arc<AtomicI64>,
}

/// A server's answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    pub headers: header::HeaderMap,
}

impl Answer {
    /// The members of a success.
    pub fn ok(self) -> Value {
        assert_eq!((self.status, &self.body["status"]), (StatusCode::OK, &json!("ok")), "{}", self.body);
        assert_eq!(self.body["errorMessage"], "");
        self.body
    }

    /// The code word and the sentence of a refusal.
    pub fn refusal(&self) -> (&str, &str) {
        assert!(self.status.is_client_error(), "{} {}", self.status, self.body);
        assert_eq!(self.body["status"], "failed");
        let message = self.body["errorMessage"].as_str().unwrap();
        assert!(!message.is_empty());
        (self.body["errorCode"].as_str().unwrap(), message)
    }

    pub fn code(&self) -> &str {
        self.refusal().0
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(options())
    }

    pub fn with(options: ServerOptions) -> Self {
        Self::over(Sqlite::in_memory().unwrap(), options)
    }

    /// Over a storage that may have ceremonies and sessions in it already.
    pub fn over(storage: Sqlite, options: ServerOptions) -> Self {
        let runtime = Runtime::new().unwrap();
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let told = Arc::clone(&clock);
        let router = server::router(Box::new(storage), options, Arc::new(move || told.load(Ordering::Relaxed)));
        let router = runtime.block_on(router).unwrap();
        Self { router, runtime, clock }
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn send(&self, request: Request<Body>) -> Answer {
        let router = self.router.clone();
        // Runs in the runtime, because handlers spawn tasks.
        let (head, bytes) = self.runtime.block_on(async {
            let (head, body) = router.oneshot(request).await.unwrap().into_parts();
            (head, to_bytes(body, usize::MAX).await.unwrap())
        });
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: head.status, body, headers: head.headers }
    }

    pub fn browser(&self) -> Browser<'_> {
        Browser { world: self, cookie: None }
    }
}

/// A client that keeps its cookie.
pub struct Browser<'w> {
    world: &'w World,
    pub cookie: Option<String>,
}

impl Browser<'_> {
    pub fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::ORIGIN, ORIGIN);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, format!("other=1; {cookie}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answer = self.world.send(request.body(body).unwrap());
        if let Some(cookie) = answer.headers.get(header::SET_COOKIE) {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        answer
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body))
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.ask(Method::GET, path, None)
    }

    pub fn registration_options(&mut self, name: &str) -> Value {
        self.post("/attestation/options", &json!({ "username": name })).ok()
    }

    pub fn sign_in_options(&mut self, name: &str) -> Value {
        self.post("/assertion/options", &json!({ "username": name })).ok()
    }

    /// Registers, with changes to the key's response.
    pub fn register_with(&mut self, key: &mut Key, name: &str, change: impl FnOnce(&mut Value)) -> Answer {
        let options = self.registration_options(name);
        let mut credential = key.create(ORIGIN, &options).unwrap();
        change(&mut credential);
        self.post("/attestation/result", &credential)
    }

    pub fn register(&mut self, key: &mut Key, name: &str) -> Value {
        self.register_with(key, name, |_| ()).ok()
    }

    /// Signs in, with changes to the key's response.
    pub fn sign_in_with(&mut self, key: &mut Key, name: &str, change: impl FnOnce(&mut Value)) -> Answer {
        let options = self.sign_in_options(name);
        let mut credential = key.get(ORIGIN, &options).unwrap();
        change(&mut credential);
        self.post("/assertion/result", &credential)
    }

    pub fn sign_in(&mut self, key: &mut Key, name: &str) -> Value {
        self.sign_in_with(key, name, |_| ()).ok()
    }
}

/// A forged key: it makes arbitrary authenticator data and signatures, with ES256.
pub struct Forge {
    pub secret: [u8; 32],
    pub id: Vec<u8>,
    pub flags: u8,
    pub count: u32,
    pub algorithm: Algorithm,
}

pub const UP: u8 = 0x01;
pub const UV: u8 = 0x04;
pub const BE: u8 = 0x08;
pub const BS: u8 = 0x10;
pub const AT: u8 = 0x40;
pub const ED: u8 = 0x80;

impl Forge {
    /// A key whose secret and id consist of this byte. The user is present, and the counter starts at 1.
    pub fn new(byte: u8) -> Self {
        Self { secret: [byte; 32], id: vec![byte; 16], flags: UP, count: 1, algorithm: Algorithm::ES256 }
    }

    pub fn sign(&self, message: &[&[u8]]) -> Vec<u8> {
        let mut signature = vec![0; 72];
        let length = RustCrypto.sign(Algorithm::ES256, &self.secret, message, &mut signature).unwrap();
        signature.truncate(length);
        signature
    }

    /// The COSE key.
    pub fn public_key(&self) -> Vec<u8> {
        let mut raw = [0; 64];
        RustCrypto.public_key(Algorithm::ES256, &self.secret, &mut raw).unwrap();
        let key = CoseKey::Ec2 { algorithm: self.algorithm, curve: Curve::P256, x: &raw[..32], y: &raw[32..] };
        let mut bytes = vec![0; 128];
        let length = cbor::encode(&key, &mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    pub fn auth_data(&self, rp_id: &str, register: bool) -> Vec<u8> {
        let mut data = RustCrypto.sha256(&[rp_id.as_bytes()]).to_vec();
        data.push(self.flags | if register { AT } else { 0 });
        data.extend(self.count.to_be_bytes());
        if register {
            data.extend([0; 16]);
            data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
            data.extend(&self.id);
            data.extend(self.public_key());
        }
        data
    }

    /// A registration in the format "none".
    pub fn create(&self, options: &Value) -> Value {
        self.create_with(options, "none", &self.auth_data("localhost", true), |_| vec![0xA0])
    }

    /// A registration with any statement, which is made from the client data hash.
    pub fn create_with(
        &self,
        options: &Value,
        format: &str,
        auth_data: &[u8],
        statement: impl FnOnce(&[u8; 32]) -> Vec<u8>,
    ) -> Value {
        let client_data = client_data("webauthn.create", options);
        let statement = statement(&RustCrypto.sha256(&[&client_data]));
        let object = attestation_object(format, &statement, auth_data);
        json!({
            "id": encode(&self.id),
            "type": "public-key",
            "response": { "clientDataJSON": encode(&client_data), "attestationObject": encode(&object) },
        })
    }

    /// A sign-in with this user handle.
    pub fn get(&self, options: &Value, user_handle: Option<&str>) -> Value {
        let client_data = client_data("webauthn.get", options);
        let auth_data = self.auth_data("localhost", false);
        let hash = RustCrypto.sha256(&[&client_data]);
        json!({
            "id": encode(&self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(&auth_data),
                "signature": encode(&self.sign(&[&auth_data, &hash])),
                "userHandle": user_handle,
            },
        })
    }
}

pub fn client_data(kind: &str, options: &Value) -> Vec<u8> {
    json!({ "type": kind, "challenge": options["challenge"], "origin": ORIGIN }).to_string().into_bytes()
}

/// An attestation object. It is canonical if its members are.
pub fn attestation_object(format: &str, statement: &[u8], auth_data: &[u8]) -> Vec<u8> {
    let object = AttestationObject { fmt: format, att_stmt: RawStatement(statement), auth_data };
    let mut bytes = vec![0; 4096];
    let length = cbor::encode(&object, &mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

/// Changes the client data of a credential.
pub fn edit_client_data(credential: &mut Value, change: impl FnOnce(&mut Value)) {
    let text = &mut credential["response"]["clientDataJSON"];
    let mut client_data = serde_json::from_slice(&decode(text.as_str().unwrap()).unwrap()).unwrap();
    change(&mut client_data);
    *text = encode(client_data.to_string().as_bytes()).into();
}
