//! The vectors of WebAuthn L3 §16 through the server, read from the file that the project keeps beside its sources.

use keyfob_core::{
    auth_data::AuthData,
    cbor,
    cose::{Algorithm, CoseKey},
    verify::RelyingPartyPolicy,
    webauthn::{AttestationObject, ClientDataType},
};
use keyfob_relying_party::{
    server::{ServerOptions, members::encode, session},
    store::{Account, CredentialRecord, PendingCeremony, SessionId, Sqlite, Storage, StorageError},
    tenant::Tenant,
};
use serde_json::{Value, json};

use super::{certificates::NOW, world::*};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/w3c-webauthn-l3.json");
const ALGORITHMS: [Algorithm; 6] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512, Algorithm::RS256, Algorithm::EDDSA, Algorithm::ED448];

fn bytes(ceremony: &Value, name: &str) -> Vec<u8> {
    let text = ceremony[name].as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A ceremony that the server has begun with the challenge of a vector.
fn begin(
    storage: &Sqlite,
    session: SessionId,
    kind: ClientDataType,
    vector: &Value,
    name: &str,
    allowed: Vec<Vec<u8>>,
) {
    let ceremony = PendingCeremony {
        kind,
        rp_id: "example.org".into(),
        challenge: bytes(&vector[if kind == ClientDataType::Create { "reg" } else { "auth" }], "challenge"),
        account: Some(account(name)),
        user_verification: false,
        new_account: true,
        algorithms: ALGORITHMS.iter().map(|algorithm| algorithm.0).collect(),
        attachment: None,
        allowed,
    };
    run(storage.begin(session, ceremony, "vectors".into(), i64::MAX, 0));
}

fn account(name: &str) -> Account {
    Account {
        rp_id: "example.org".into(),
        handle: name.as_bytes().to_vec(),
        name: name.into(),
        display_name: name.into(),
    }
}

/// Stores a credential that no registration has brought.
fn keep(storage: &Sqlite, name: &str, id: &[u8], key: &CoseKey<'_>) {
    let mut public_key = vec![0; 256];
    let length = cbor::encode(key, &mut public_key).unwrap();
    public_key.truncate(length);
    let record = CredentialRecord {
        id: id.to_vec(),
        handle: name.into(),
        public_key,
        algorithm: key.algorithm().0,
        sign_count: 0,
        flags: 0,
        uv_initialized: false,
        backup_eligible: true,
        transports: Vec::new(),
        aaguid: [0; 16],
        format: "none".into(),
        attestation: "none".into(),
        attestation_object: Vec::new(),
        client_data_json: Vec::new(),
        created: 0,
        last_used: None,
    };
    run(storage.register(&account(name), &record, true));
}

fn run<T>(work: impl Future<Output = Result<T, StorageError>>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work).unwrap()
}

#[test]
fn fourteen_registrations_and_fifteen_assertions_verify_and_the_broken_one_is_refused_for_its_own_reason() {
    let Ok(text) = std::fs::read_to_string(FILE) else { return eprintln!("skipped: {FILE} is not there") };
    let file: Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_object().unwrap();
    let (mut registrations, mut assertions) = (0, 0);
    for (name, vector) in vectors {
        let (reg, auth) = (&vector["reg"], &vector["auth"]);
        let object = bytes(reg, "attestationObject");
        let decoded = AttestationObject::decode(&object).unwrap();
        let credential = AuthData::decode(decoded.auth_data).unwrap().attested_credential_data.unwrap();
        let id = credential.credential_id.to_vec();

        let storage = Sqlite::in_memory().unwrap();
        begin(&storage, [1; 16], ClientDataType::Create, vector, name, Vec::new());
        begin(&storage, [2; 16], ClientDataType::Get, vector, name, vec![id.clone()]);
        if name == "android-key-es256" {
            keep(&storage, name, &id, &credential.public_key);
        }
        let mut tenant = Tenant::new("example.org");
        tenant.frames = Some(vec!["https://example.com".into()]);
        let mut options = ServerOptions::new(vec![tenant]);
        options.policy = RelyingPartyPolicy::STANDARD; // the vector of U2F has an AAGUID
        options.attestation_roots = vec![bytes(&file, "attestation_ca_cert")];
        let world = World::over(storage, options);
        world.advance(NOW - 1_000_000);
        let mut browser = world.browser();

        browser.cookie = Some(format!("{}={}", session::COOKIE, encode(&[1; 16])));
        let credential = json!({
            "id": encode(&id), "type": "public-key",
            "response": { "clientDataJSON": encode(&bytes(reg, "clientDataJSON")), "attestationObject": encode(&object) },
        });
        let answer = browser.post("/attestation/result", &credential);
        if name == "android-key-es256" {
            // The key's description has neither origin nor purpose. The assertion verifies with the key in the storage.
            assert_eq!(answer.code(), "key-authorization");
        } else {
            let answer = answer.ok();
            let proved = match decoded.fmt {
                "none" => "none",
                _ if name == "packed-self-es256" => "self",
                _ => "trusted",
            };
            assert_eq!(answer["credential"]["attestation"], json!({ "format": decoded.fmt, "type": proved }), "{name}");
            registrations += 1;
        }
        browser.cookie = Some(format!("{}={}", session::COOKIE, encode(&[2; 16])));
        let credential = json!({
            "id": encode(&id), "type": "public-key",
            "response": {
                "clientDataJSON": encode(&bytes(auth, "clientDataJSON")),
                "authenticatorData": encode(&bytes(auth, "authenticatorData")),
                "signature": encode(&bytes(auth, "signature")),
            },
        });
        let answer = browser.post("/assertion/result", &credential);
        assert_eq!(answer.ok()["username"], json!(name), "{name}");
        assertions += 1;
    }
    assert_eq!((registrations, assertions), (14, 15));
}
