//! Options in JSON, responses in JSON, through the client in one value.

use serde_json::{Value, json};

use super::{
    fido2::{ORIGIN, stub},
    *,
};
use crate::{
    cbor::{self, Text},
    client::fido2::WebAuthnClient,
    ctap2::{get_assertion, make_credential},
    json::WriteError,
    webauthn::{CreationOptions, RequestOptions, base64url},
};

fn encoded(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

/// What is written, into a buffer that grows as the error says.
fn written(write: impl Fn(&mut [u8]) -> Result<usize, WriteError>) -> Value {
    let mut buffer = Vec::new();
    loop {
        match write(&mut buffer) {
            Ok(length) => return serde_json::from_slice(&buffer[..length]).unwrap(),
            Err(WriteError::Overflow(overflow)) => {
                assert!(overflow.needed > buffer.len());
                buffer.resize(overflow.needed, 0);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn options_in_json_become_responses_in_json() {
    let mut client = stub();
    let text = json!({
        "rp": {"id": RP_ID, "name": "Example"},
        "user": {"id": "dXNlcg", "name": "alice", "displayName": "Alice"},
        "challenge": "AQID",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        "extensions": {"prf": {}},
    })
    .to_string();
    let (mut read, mut collected, mut messages) = (vec![0; 2 * text.len()], [0; 512], [0; 2048]);
    let options = CreationOptions::from_json(text.as_bytes(), &mut read).unwrap();
    let creation = client.creation(&options, &mut collected).unwrap();
    let response = client.make_credential(&creation, &mut messages).unwrap();
    let asked = creation.options.extensions;
    let json = written(|buffer| response.to_json(&asked, &[Text::new("usb")], buffer));
    assert_eq!((&json["id"], &json["type"]), (&json!(encoded(ID)), &json!("public-key")));
    assert_eq!(json["response"]["clientDataJSON"], encoded(response.client_data_json));
    assert_eq!(json["response"]["transports"], json!(["usb"]));
    // The device has no such extension.
    assert_eq!(json["clientExtensionResults"], json!({"prf": {"enabled": false}}));
    assert!(String::from_utf8_lossy(response.client_data_json).contains(ORIGIN));

    let text =
        json!({"challenge": "AQID", "rpId": RP_ID, "allowCredentials": [{"type": "public-key", "id": encoded(ID)}]})
            .to_string();
    let (mut read, mut collected, mut messages) = (vec![0; 2 * text.len()], [0; 512], [0; 2048]);
    let options = RequestOptions::from_json(text.as_bytes(), &mut read).unwrap();
    let request = client.request(&options, &mut collected).unwrap();
    let selection = client.get_assertion(&request, &mut messages).unwrap();
    let response = selection.get(0).unwrap();
    let json = written(|buffer| response.to_json(&request.options.extensions, None, buffer));
    assert_eq!(json["rawId"], encoded(ID));
    assert_eq!(json["response"]["signature"], encoded(response.assertion.response.signature));
    assert_eq!(json["response"]["userHandle"], encoded(response.user_handle().unwrap()));
    assert_eq!(json["clientExtensionResults"], json!({}));
}

#[test]
fn words_that_this_version_does_not_know_count_as_absent_in_json() {
    let client = stub();
    let user = json!({"id": "dXNlcg", "name": "alice", "displayName": "Alice"});
    let later = json!({"type": "later", "id": "AQ", "transports": ["later", "usb"]});
    let known = json!({"type": "public-key", "id": encoded(ID), "transports": ["later"]});
    let text = json!({
        "rp": {"id": RP_ID, "name": "Example"},
        "user": user,
        "challenge": "AQID",
        "pubKeyCredParams": [
            {"type": "later", "alg": -7}, {"type": "public-key", "alg": -70000}, {"type": "public-key", "alg": -7},
        ],
        "authenticatorSelection": {
            "authenticatorAttachment": "later", "residentKey": "later", "requireResidentKey": true,
            "userVerification": "later",
        },
        "hints": ["later"],
        "attestation": "later",
        "attestationFormats": ["later"],
        "excludeCredentials": [later, known],
    })
    .to_string();
    let (mut read, mut collected) = (vec![0; 2 * text.len()], [0; 512]);
    let options = CreationOptions::from_json(text.as_bytes(), &mut read).unwrap();
    let made = client.creation(&options, &mut collected).unwrap().options;
    assert_eq!((made.user_verification, made.attestation), (Requirement::Preferred, Conveyance::None));
    assert_eq!(made.resident_key, Requirement::Required, "the older member decides");
    let mut device = Device::new(StubCrypto);
    make_stub(&mut device, &made, &mut User::default()).unwrap();
    let sent: make_credential::Request = cbor::decode(device.last()).unwrap();
    let algorithms: Vec<_> = sent.pub_key_cred_params.iter().map(|params| params.algorithm).collect();
    assert_eq!(algorithms, [Algorithm(-70_000), Algorithm::ES256]);
    assert_eq!(sent.exclude_list, Some(List::Slice(&[CredentialDescriptor::new(ID)])));

    let text = json!({
        "challenge": "AQID", "rpId": RP_ID, "userVerification": "later", "hints": ["later"],
        "allowCredentials": [later, known],
    })
    .to_string();
    let (mut read, mut collected) = (vec![0; 2 * text.len()], [0; 512]);
    let options = RequestOptions::from_json(text.as_bytes(), &mut read).unwrap();
    let got = client.request(&options, &mut collected).unwrap().options;
    assert_eq!(got.user_verification, Requirement::Preferred);
    assert_eq!(get_stub(&mut device, &got, &mut User::default()).unwrap().0, [ID]);
    let sent: get_assertion::Request = cbor::decode(device.last()).unwrap();
    assert_eq!(sent.allow_list, Some(List::Slice(&[CredentialDescriptor::new(ID)])));
}
