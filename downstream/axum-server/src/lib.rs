//! A server where people sign up and sign in with passkeys. It keeps everything in memory.
//!
//! `POST /register/begin` with a name returns the options of `navigator.credentials.create()`, and
//! `POST /register/finish` takes its response. `POST /sign-in/begin` and `POST /sign-in/finish` do the same for
//! `navigator.credentials.get()`; the credential names the account. `tests/passkeys.rs` tests it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use keyfob_core::{
    auth_data::Flags,
    base64url, cbor,
    cose::Algorithm,
    crypto::RustCrypto,
    verify::{self, AssertionResponse, AttestationResponse, Expected, RelyingPartyPolicy, StoredCredential},
    webauthn::AttestationObject,
};
use serde_json::{Value, json};

type Answer = Result<Json<Value>, (StatusCode, String)>;

struct Server {
    rp_id: &'static str,
    origin: &'static str,
    state: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Challenges that are not used yet, and for which account; of a sign-in for none.
    challenges: HashMap<Vec<u8>, Option<Account>>,
    credentials: HashMap<Vec<u8>, Credential>,
}

#[derive(Clone)]
struct Account {
    handle: Vec<u8>,
    name: String,
}

struct Credential {
    account: Account,
    /// A COSE key.
    public_key: Vec<u8>,
    sign_count: u32,
    backup_eligible: bool,
}

/// The server of one relying party with one origin.
pub fn router(rp_id: &'static str, origin: &'static str) -> Router {
    Router::new()
        .route("/register/begin", post(begin_registration))
        .route("/register/finish", post(finish_registration))
        .route("/sign-in/begin", post(begin_sign_in))
        .route("/sign-in/finish", post(finish_sign_in))
        .with_state(Arc::new(Server { rp_id, origin, state: Mutex::default() }))
}

async fn begin_registration(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Answer {
    let name = body["name"].as_str().filter(|name| !name.is_empty()).ok_or_else(|| refused("name"))?;
    let (challenge, handle) = (random()?, random()?);
    let account = Account { handle: handle.clone(), name: name.to_owned() };
    server.memory().challenges.insert(challenge.clone(), Some(account));
    Ok(Json(json!({
        "rp": { "id": server.rp_id, "name": "Passkeys on axum" },
        "user": { "id": encode(&handle), "name": name, "displayName": name },
        "challenge": encode(&challenge),
        "pubKeyCredParams": [{ "type": "public-key", "alg": Algorithm::ES256.0 }],
        "authenticatorSelection": { "residentKey": "required", "userVerification": "required" },
    })))
}

async fn finish_registration(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Answer {
    let client_data = bytes(&body["response"]["clientDataJSON"])?;
    let object = bytes(&body["response"]["attestationObject"])?;
    let (challenge, account) = server.take(&client_data)?;
    let account = account.ok_or_else(|| refused("challenge"))?;
    let response = AttestationResponse {
        client_data_json: &client_data,
        attestation_object: AttestationObject::decode(&object).map_err(refused)?,
    };
    let verified = verify::registration(&RustCrypto, &server.expected(&challenge), &response).map_err(refused)?;
    let mut public_key = vec![0; 128]; // a COSE key of ES256 has 77
    let length = cbor::encode(&verified.credential.public_key, &mut public_key).map_err(refused)?;
    public_key.truncate(length);
    let name = account.name.clone();
    let credential = Credential {
        account,
        public_key,
        sign_count: verified.auth_data.sign_count,
        backup_eligible: verified.auth_data.flags.has(Flags::BE),
    };
    let mut memory = server.memory();
    let id = verified.credential.credential_id.to_vec();
    if memory.credentials.contains_key(&id) {
        return Err(refused("the credential is registered"));
    }
    memory.credentials.insert(id, credential);
    Ok(Json(json!({ "name": name })))
}

async fn begin_sign_in(State(server): State<Arc<Server>>) -> Answer {
    let challenge = random()?;
    server.memory().challenges.insert(challenge.clone(), None);
    let challenge = encode(&challenge);
    Ok(Json(json!({ "rpId": server.rp_id, "challenge": challenge, "userVerification": "required" })))
}

async fn finish_sign_in(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Answer {
    let response = &body["response"];
    let id = bytes(&body["id"])?;
    let (client_data, auth_data) = (bytes(&response["clientDataJSON"])?, bytes(&response["authenticatorData"])?);
    let (signature, user_handle) = (bytes(&response["signature"])?, bytes(&response["userHandle"])?);
    let (challenge, _) = server.take(&client_data)?;
    let mut memory = server.memory();
    let credential = memory.credentials.get_mut(&id).ok_or_else(|| refused("the credential is not known"))?;
    let stored = StoredCredential {
        id: &id,
        public_key: cbor::decode(&credential.public_key).map_err(refused)?,
        sign_count: credential.sign_count,
        user_handle: &credential.account.handle,
        backup_eligible: Some(credential.backup_eligible),
    };
    let response = AssertionResponse {
        credential_id: &id,
        client_data_json: &client_data,
        authenticator_data: &auth_data,
        signature: &signature,
        user_handle: Some(&user_handle),
    };
    let verified = verify::assertion(&RustCrypto, &server.expected(&challenge), &stored, &response);
    credential.sign_count = verified.map_err(refused)?.auth_data.sign_count;
    Ok(Json(json!({ "name": credential.account.name })))
}

impl Server {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The challenge of this client data, which cannot be used again.
    fn take(&self, client_data: &[u8]) -> Result<(Vec<u8>, Option<Account>), (StatusCode, String)> {
        let client_data: Value = serde_json::from_slice(client_data).map_err(refused)?;
        let challenge = bytes(&client_data["challenge"])?;
        self.memory().challenges.remove_entry(&challenge).ok_or_else(|| refused("the challenge is not known"))
    }

    fn expected<'a>(&'a self, challenge: &'a [u8]) -> Expected<'a> {
        Expected {
            challenge,
            origins: std::slice::from_ref(&self.origin),
            top_origins: None,
            rp_id: self.rp_id,
            user_presence: true,
            user_verification: true,
            algorithms: &[Algorithm::ES256],
            allow_credentials: &[],
            user_handle: None,
            policy: RelyingPartyPolicy::STANDARD,
        }
    }
}

fn refused(why: impl ToString) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, why.to_string())
}

fn random() -> Result<Vec<u8>, (StatusCode, String)> {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(bytes)
}

fn encode(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

fn bytes(value: &Value) -> Result<Vec<u8>, (StatusCode, String)> {
    let text = value.as_str().ok_or_else(|| refused("a member is missing"))?;
    let mut bytes = vec![0; text.len()];
    let length = base64url::decode(text.chars(), &mut bytes).map_err(refused)?;
    bytes.truncate(length);
    Ok(bytes)
}
