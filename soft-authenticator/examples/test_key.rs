//! Tests a server's checks with a key that does what it is told.

use std::error::Error;

use keyfob_core::{
    base64url, cbor,
    crypto::RustCrypto,
    verify::{self, AssertionResponse, Expected, RelyingPartyPolicy, StoredCredential},
};
use keyfob_soft_authenticator::testing::{HeldCredential, Lie, TestCredential, TestKey};

fn main() -> Result<(), Box<dyn Error>> {
    let key = TestKey::seeded(5);
    let page = key.browser("https://example.org");
    let options = r#"{"challenge": "YSBjaGFsbGVuZ2U", "userVerification": "required"}"#;
    let passkey = key.add(TestCredential::es256("example.org", b"user-0001").sign_count(7).backup_state(true))?;

    println!("A passkey that is backed up: counter {}", server(&passkey, &page.get(options)?)??);

    let page = page.credulous();
    for lie in [Lie::BogusSignature, Lie::UserPresent(false), Lie::UserVerified(false), Lie::BackupEligibility(false)] {
        key.lie(lie.clone());
        let refusal = server(&passkey, &page.get(options)?)?.expect_err("a lie is refused");
        println!("{lie:?}: {refusal}");
        key.tell_the_truth();
    }
    Ok(())
}

/// The server under test: the counter to store, or which check failed.
fn server(stored: &HeldCredential, response: &str) -> Result<Result<u32, verify::Error>, Box<dyn Error>> {
    let response: serde_json::Value = serde_json::from_str(response)?;
    let member = |name: &str| bytes(response["response"][name].as_str().unwrap_or_default());
    let [client_data, auth_data, signature] = ["clientDataJSON", "authenticatorData", "signature"].map(member);
    let credential = StoredCredential {
        id: &stored.credential_id,
        public_key: cbor::decode(stored.public_key.as_deref().unwrap_or_default())?,
        sign_count: stored.sign_count,
        user_handle: b"user-0001",
        backup_eligible: Some(stored.backup_eligibility),
    };
    let (client_data, auth_data, signature) = (client_data?, auth_data?, signature?);
    let response = AssertionResponse {
        credential_id: &bytes(response["id"].as_str().unwrap_or_default())?,
        client_data_json: &client_data,
        authenticator_data: &auth_data,
        signature: &signature,
        user_handle: None,
    };
    let expected = Expected {
        challenge: b"a challenge",
        origins: &["https://example.org"],
        top_origins: None,
        rp_id: "example.org",
        user_presence: true,
        user_verification: true,
        algorithms: &[],
        allow_credentials: &[],
        user_handle: Some(b"user-0001"),
        policy: RelyingPartyPolicy::STANDARD,
    };
    Ok(verify::assertion(&RustCrypto, &expected, &credential, &response).map(|verified| verified.auth_data.sign_count))
}

fn bytes(text: &str) -> Result<Vec<u8>, base64url::Error> {
    let mut bytes = vec![0; text.len()];
    let len = base64url::decode(text.chars(), &mut bytes)?;
    bytes.truncate(len);
    Ok(bytes)
}

#[test]
fn the_example_runs() {
    main().expect("it runs");
}
