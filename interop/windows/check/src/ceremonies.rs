//! Registrations and sign-ins, with options and responses as JSON, each of them verified as a relying party does.

use keyfob_core::{
    auth_data::{AuthData, Flags},
    client::{
        Error,
        fido2::{RegistrationResponse, WebAuthnClient},
    },
    cose::Algorithm,
    crypto::RustCrypto,
    verify::{self, AssertionResponse, AttestationResponse, Expected, RelyingPartyPolicy, StoredCredential},
    webauthn::{Attachment, CreationOptions, RequestOptions},
};
use serde_json::{Value, json};

use crate::door::{Client, ORIGIN};

const CHALLENGE: &[u8] = b"a challenge of 16";
const CHALLENGE_TEXT: &str = "YSBjaGFsbGVuZ2Ugb2YgMTY";
pub const USER: &str = "dXNlci0wMDAx"; // user-0001

/// A registration that was verified.
pub struct Registered {
    pub json: Value,
    pub auth_data: Vec<u8>,
    pub format: String,
    pub attachment: Option<Attachment>,
    pub transports: Vec<String>,
}

impl Registered {
    pub fn id(&self) -> &str {
        self.json["id"].as_str().expect("an id")
    }

    /// Whether the user was verified.
    pub fn verified(&self) -> bool {
        AuthData::decode(&self.auth_data).is_ok_and(|data| data.flags.has(Flags::UV))
    }

    /// As an entry of an exclude or allow list.
    pub fn descriptor(&self) -> Value {
        json!({"type": "public-key", "id": self.id(), "transports": ["usb", "internal", "nonsense"]})
    }
}

/// A sign-in that was verified.
pub struct SignedIn {
    pub json: Value,
    pub attachment: Option<Attachment>,
}

fn expected<'a>(allowed: &'a [&'a [u8]]) -> Expected<'a> {
    Expected {
        challenge: CHALLENGE,
        origins: &[ORIGIN],
        top_origins: None,
        rp_id: "example.org",
        user_presence: true,
        user_verification: false,
        algorithms: &[Algorithm::ES256, Algorithm::EDDSA],
        allow_credentials: allowed,
        user_handle: Some(b"user-0001"),
        policy: RelyingPartyPolicy::STANDARD,
    }
}

/// `base` with the members of `more`.
fn with(mut base: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        base[name] = value.clone();
    }
    base
}

fn written(write: impl FnOnce(&mut [u8]) -> usize) -> Value {
    let mut text = vec![0; 16384];
    let length = write(&mut text);
    serde_json::from_slice(&text[..length]).expect("JSON")
}

/// Registers.
pub fn register(client: &mut Client, more: &Value) -> Result<Registered, Error> {
    let options = json!({
        "rp": {"id": "example.org", "name": "Zoë's 🔑"},
        "user": {"id": USER, "name": "alice", "displayName": "Älice"},
        "challenge": CHALLENGE_TEXT,
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "other", "alg": -8}],
        "authenticatorSelection": {"residentKey": "required"},
    });
    let options = with(options, more).to_string();
    let (mut read, mut collected, mut buffer) = (vec![0; 8192], vec![0; 4096], vec![0; 8192]);
    let options = CreationOptions::from_json(options.as_bytes(), &mut read).expect("options");
    let creation = client.creation(&options, &mut collected)?;
    let response = client.make_credential(&creation, &mut buffer)?;
    let transports = client.transports();
    let RegistrationResponse { client_data_json, attachment, attestation } = response;
    let attestation_object = response.attestation_object();
    let answer = AttestationResponse { client_data_json, attestation_object };
    verify::registration(&RustCrypto, &expected(&[]), &answer).expect("a registration that verifies");
    Ok(Registered {
        json: written(|text| {
            response.to_json(&creation.options.extensions, &transports, text).expect("a response as JSON")
        }),
        auth_data: attestation.response.auth_data.to_vec(),
        format: attestation.response.fmt.to_owned(),
        attachment,
        transports: transports.iter().map(|name| name.as_str().to_owned()).collect(),
    })
}

/// Signs in with `registered`.
pub fn sign_in(client: &mut Client, registered: &Registered, more: &Value) -> Result<SignedIn, Error> {
    let options = json!({
        "rpId": "example.org",
        "challenge": CHALLENGE_TEXT,
        "allowCredentials": [registered.descriptor()],
    });
    let options = with(options, more).to_string();
    let (mut read, mut collected, mut buffer) = (vec![0; 8192], vec![0; 4096], vec![0; 8192]);
    let options = RequestOptions::from_json(options.as_bytes(), &mut read).expect("options");
    let request = client.request(&options, &mut collected)?;
    let selection = client.get_assertion(&request, &mut buffer)?;
    let mut work = vec![0; 4096];
    let blob = selection.assertions.large_blob(&RustCrypto, 0, &mut work).expect("a large blob, or none");
    let response = selection.get(0).expect("one");
    let stored = AuthData::decode(&registered.auth_data).expect("authenticator data");
    let attested = stored.attested_credential_data.expect("a credential");
    let stored = StoredCredential {
        id: attested.credential_id,
        public_key: attested.public_key,
        sign_count: stored.sign_count,
        user_handle: b"user-0001",
        backup_eligible: None,
    };
    let answer = AssertionResponse {
        credential_id: response.credential_id(),
        client_data_json: response.client_data_json,
        authenticator_data: response.assertion.response.auth_data,
        signature: response.assertion.response.signature,
        user_handle: response.user_handle(),
    };
    let allowed = [attested.credential_id];
    verify::assertion(&RustCrypto, &expected(&allowed), &stored, &answer).expect("a sign-in that verifies");
    Ok(SignedIn {
        json: written(|text| response.to_json(&request.options.extensions, blob, text).expect("a response as JSON")),
        attachment: response.attachment,
    })
}
