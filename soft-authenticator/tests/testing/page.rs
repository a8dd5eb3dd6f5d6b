//! A relying party at example.org, with the checks of `keyfob_core::verify`.

use keyfob_core::{
    auth_data::{AuthData, Flags},
    base64url, cbor,
    cose::Algorithm,
    crypto::RustCrypto,
    verify::{self, AssertionResponse, AttestationResponse, Expected, RelyingPartyPolicy, StoredCredential},
    webauthn::AttestationObject,
};
use keyfob_soft_authenticator::testing::{Browser, HeldCredential, TestKey};
use serde_json::{Value, json};

pub const RP: &str = "example.org";
pub const USER: &[u8] = b"user-0001";
const CHALLENGE: &[u8] = b"a challenge";

pub fn page(key: &TestKey) -> Browser {
    key.browser("https://example.org")
}

pub fn b64(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

pub fn bytes(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap_or_else(|| panic!("{text} is not a text"));
    let mut bytes = vec![0; text.len()];
    let len = base64url::decode(text.chars(), &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

/// Options of a registration: discoverable, with a direct attestation.
pub fn creation() -> Value {
    json!({
        "rp": {"name": "Example"},
        "user": {"id": b64(USER), "name": "alice", "displayName": "Alice"},
        "challenge": b64(CHALLENGE),
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        "authenticatorSelection": {"residentKey": "required"},
        "attestation": "direct",
    })
}

/// Options of a sign-in with any discoverable credential.
pub fn request() -> Value {
    json!({"challenge": b64(CHALLENGE)})
}

/// Options of a sign-in with one of these credentials.
pub fn request_of(ids: &[&[u8]]) -> Value {
    let list: Vec<_> = ids.iter().map(|id| json!({"type": "public-key", "id": b64(id)})).collect();
    json!({"challenge": b64(CHALLENGE), "allowCredentials": list})
}

pub fn with(mut options: Value, member: &str, value: Value) -> Value {
    options[member] = value;
    options
}

pub fn expected() -> Expected<'static> {
    Expected {
        challenge: CHALLENGE,
        origins: &["https://example.org"],
        top_origins: None,
        rp_id: RP,
        user_presence: true,
        user_verification: true,
        algorithms: &[Algorithm::ES256],
        allow_credentials: &[],
        user_handle: None,
        policy: RelyingPartyPolicy::STANDARD,
    }
}

/// What a server stores of a credential.
#[derive(Clone)]
pub struct Account {
    pub id: Vec<u8>,
    pub public_key: Vec<u8>,
    pub sign_count: u32,
    pub backup_eligible: bool,
}

impl Account {
    pub fn of(held: &HeldCredential) -> Self {
        Self {
            id: held.credential_id.clone(),
            public_key: held.public_key.clone().unwrap(),
            sign_count: held.sign_count,
            backup_eligible: held.backup_eligibility,
        }
    }
}

/// What a server learns from authenticator data.
#[derive(Debug, PartialEq)]
pub struct Seen {
    pub flags: Flags,
    pub sign_count: u32,
    pub aaguid: Option<[u8; 16]>,
}

impl Seen {
    fn of(auth_data: &AuthData<'_>) -> Self {
        let aaguid = auth_data.attested_credential_data.map(|attested| *attested.aaguid);
        Self { flags: auth_data.flags, sign_count: auth_data.sign_count, aaguid }
    }

    pub fn has(&self, flags: Flags) -> bool {
        self.flags.has(flags)
    }
}

/// Verifies the response to a registration.
pub fn register(response: &str) -> Result<(Account, Seen), verify::Error> {
    let response: Value = serde_json::from_str(response).unwrap();
    let client_data_json = bytes(&response["response"]["clientDataJSON"]);
    let object = bytes(&response["response"]["attestationObject"]);
    let attestation_object = AttestationObject::decode(&object).unwrap();
    assert_eq!(attestation_object.auth_data, bytes(&response["response"]["authenticatorData"]));
    let response = AttestationResponse { client_data_json: &client_data_json, attestation_object };
    let verified = verify::registration(&RustCrypto, &expected(), &response)?;
    let mut public_key = vec![0; 256];
    let len = cbor::encode(&verified.credential.public_key, &mut public_key).unwrap();
    public_key.truncate(len);
    let account = Account {
        id: verified.credential.credential_id.to_vec(),
        public_key,
        sign_count: verified.auth_data.sign_count,
        backup_eligible: verified.auth_data.flags.has(Flags::BE),
    };
    Ok((account, Seen::of(&verified.auth_data)))
}

/// Verifies the response to a sign-in.
pub fn sign_in(account: &Account, response: &str) -> Result<Seen, verify::Error> {
    let response: Value = serde_json::from_str(response).unwrap();
    let member = |name: &str| bytes(&response["response"][name]);
    let (id, client_data, auth_data) = (bytes(&response["id"]), member("clientDataJSON"), member("authenticatorData"));
    let credential = StoredCredential {
        id: &account.id,
        public_key: cbor::decode(&account.public_key).unwrap(),
        sign_count: account.sign_count,
        user_handle: USER,
        backup_eligible: Some(account.backup_eligible),
    };
    let user_handle = response["response"].get("userHandle").map(bytes);
    let response = AssertionResponse {
        credential_id: &id,
        client_data_json: &client_data,
        authenticator_data: &auth_data,
        signature: &member("signature"),
        user_handle: user_handle.as_deref(),
    };
    let expected = Expected { user_handle: Some(USER), ..expected() };
    verify::assertion(&RustCrypto, &expected, &credential, &response).map(|verified| Seen::of(&verified.auth_data))
}
