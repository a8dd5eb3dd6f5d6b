//! A server with the REST interface of the conformance tools, in memory: enough of one to count what clients do. It
//! verifies, and knows no sessions.

use std::{
    collections::HashMap,
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, post},
};
use keyfob_core::{
    base64url, cbor,
    cose::{Algorithm, CoseKey},
    crypto::RustCrypto,
    verify::{self, AssertionResponse, AttestationResponse, Expected, RelyingPartyPolicy, StoredCredential},
    webauthn::AttestationObject,
};
use serde_json::{Value, json};

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

#[derive(Default)]
struct Memory {
    /// The names of the accounts that registrations are for, by challenge. Empty for sign-ins.
    challenges: HashMap<String, String>,
    /// By id: the name, the public key and the counter.
    credentials: HashMap<String, (String, Vec<u8>, u32)>,
    made: u64,
    /// How many registrations are refused still.
    refusals: u32,
}

struct Server {
    origin: String,
    memory: Mutex<Memory>,
}

/// Serves in this process, as long as it lives. Returns the URL.
pub fn start() -> String {
    refusing(0)
}

/// The same, and refuses the first registrations.
pub fn refusing(refusals: u32) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server {
        origin: format!("http://localhost:{port}"),
        memory: Mutex::new(Memory { refusals, ..Memory::default() }),
    };
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let router = Router::new()
                .route("/attestation/options", post(begin_registration))
                .route("/attestation/result", post(register))
                .route("/assertion/options", post(begin_sign_in))
                .route("/assertion/result", post(sign_in))
                .route("/account/credentials/{id}", delete(forget))
                .with_state(Arc::new(server));
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
        });
    });
    format!("http://127.0.0.1:{port}")
}

async fn begin_registration(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Answer {
    let name = body["username"].as_str().unwrap().to_owned();
    let mut memory = server.memory();
    if memory.credentials.values().any(|(taken, ..)| *taken == name) {
        return Err(refused("the account exists"));
    }
    let challenge = memory.challenge(&name);
    Ok(Json(json!({
        "status": "ok", "errorMessage": "", "challenge": challenge, "rp": { "id": "localhost", "name": "load" },
        "user": { "id": encoded(name.as_bytes()), "name": name, "displayName": name },
        "pubKeyCredParams": [{ "type": "public-key", "alg": Algorithm::ES256.0 }],
        "authenticatorSelection": body["authenticatorSelection"],
    })))
}

async fn register(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Answer {
    let (client_data, object) = (bytes(&body, "clientDataJSON"), bytes(&body, "attestationObject"));
    let mut memory = server.memory();
    let (challenge, name) = memory.take(&client_data)?;
    if let Some(left) = memory.refusals.checked_sub(1) {
        memory.refusals = left;
        return Err(refused("not yet"));
    }
    let attestation_object = AttestationObject::decode(&object).map_err(|error| refused(&error.to_string()))?;
    let response = AttestationResponse { client_data_json: &client_data, attestation_object };
    let verified = verify::registration(&RustCrypto, &Server::expected(&challenge, &[&server.origin]), &response);
    let verified = verified.map_err(|error| refused(&error.to_string()))?;
    let mut key = vec![0; 128];
    let length = cbor::encode(&verified.credential.public_key, &mut key).unwrap();
    key.truncate(length);
    let id = encoded(verified.credential.credential_id);
    memory.credentials.insert(id, (name, key, verified.auth_data.sign_count));
    Ok(Json(json!({ "status": "ok", "errorMessage": "" })))
}

async fn begin_sign_in(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Answer {
    let mut memory = server.memory();
    let challenge = memory.challenge("");
    let wanted = body["username"].as_str();
    let of_account = memory.credentials.iter().filter(|(_, (name, ..))| Some(name.as_str()) == wanted);
    let allowed: Vec<Value> = of_account.map(|(id, _)| json!({ "type": "public-key", "id": id })).collect();
    Ok(Json(json!({
        "status": "ok", "errorMessage": "", "challenge": challenge, "rpId": "localhost", "allowCredentials": allowed,
    })))
}

async fn sign_in(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Answer {
    let [client_data, auth_data, signature] =
        ["clientDataJSON", "authenticatorData", "signature"].map(|name| bytes(&body, name));
    let mut memory = server.memory();
    let (challenge, _) = memory.take(&client_data)?;
    let id = body["id"].as_str().unwrap();
    let (name, key, sign_count) = memory.credentials.get_mut(id).ok_or_else(|| refused("the key is not registered"))?;
    let (raw_id, user_handle) = (decoded(id), name.as_bytes());
    let public_key: CoseKey<'_> = cbor::decode(key).unwrap();
    let stored = StoredCredential {
        id: &raw_id,
        public_key,
        sign_count: *sign_count,
        user_handle,
        backup_eligible: Some(false),
    };
    let response = AssertionResponse {
        credential_id: &raw_id,
        client_data_json: &client_data,
        authenticator_data: &auth_data,
        signature: &signature,
        user_handle: Some(user_handle),
    };
    let verified = verify::assertion(&RustCrypto, &Server::expected(&challenge, &[&server.origin]), &stored, &response);
    *sign_count = verified.map_err(|error| refused(&error.to_string()))?.auth_data.sign_count;
    Ok(Json(json!({ "status": "ok", "errorMessage": "" })))
}

async fn forget(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Answer {
    let was_there = server.memory().credentials.remove(&id).is_some();
    if was_there {
        Ok(Json(json!({ "status": "ok", "errorMessage": "" })))
    } else {
        Err(refused("there is no such key"))
    }
}

impl Server {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    fn expected<'a>(challenge: &'a [u8], origins: &'a [&'a str]) -> Expected<'a> {
        Expected {
            challenge,
            origins,
            top_origins: None,
            rp_id: "localhost",
            user_presence: true,
            user_verification: false,
            algorithms: &[Algorithm::ES256],
            allow_credentials: &[],
            user_handle: None,
            policy: RelyingPartyPolicy::STANDARD,
        }
    }
}

impl Memory {
    fn challenge(&mut self, name: &str) -> String {
        self.made += 1;
        let challenge = encoded(&[self.made.to_be_bytes(), [7; 8]].concat());
        self.challenges.insert(challenge.clone(), name.to_owned());
        challenge
    }

    /// The challenge of client data, which cannot be used again, and the name that it is for.
    fn take(&mut self, client_data: &[u8]) -> Result<(Vec<u8>, String), (StatusCode, Json<Value>)> {
        let client_data: Value = serde_json::from_slice(client_data).unwrap();
        let challenge = client_data["challenge"].as_str().unwrap();
        let name = self.challenges.remove(challenge).ok_or_else(|| refused("the challenge is not known"))?;
        Ok((decoded(challenge), name))
    }
}

fn refused(why: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::BAD_REQUEST, Json(json!({ "status": "failed", "errorMessage": why })))
}

fn encoded(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; text.len()];
    let length = base64url::decode(text.chars(), &mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

fn bytes(body: &Value, name: &str) -> Vec<u8> {
    decoded(body["response"][name].as_str().unwrap())
}
