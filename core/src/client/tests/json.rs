//! Options in JSON, responses in JSON, through the client in one value.

use serde_json::{Value, json};

use super::{
    device::{ID, RP_ID},
    fido2::{ORIGIN, stub},
};
use crate::{
    cbor::Text,
    client::fido2::WebAuthnClient,
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
