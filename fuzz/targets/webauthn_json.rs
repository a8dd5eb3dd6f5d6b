//! The JSON of WebAuthn. Options are read as serde_json reads them, and are the same after they were written and read
//! again. A refused document has an error at the place that the error names. Responses are valid JSON for serde_json.
#![no_main]

use keyfob_core::{
    cbor::RawMap,
    json::{Error, ErrorKind, WriteError},
    webauthn::{Attachment, AuthenticationResponseJson, CreationOptions, RequestOptions, base64url},
};
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let mut buffer = vec![0; bytes.len() + bytes.len() / 8];
    match CreationOptions::from_json(bytes, &mut buffer) {
        Ok(options) => {
            let json = written(|buffer| options.to_json(buffer));
            let theirs = says(bytes, &json);
            assert_eq!(theirs["challenge"], encoded(options.challenge));
            assert_eq!(theirs["user"]["id"], encoded(options.user.id));
            assert_eq!(theirs["rp"]["name"], options.rp.name);
            assert_eq!(theirs["rp"]["id"].as_str(), options.rp.id);
            assert!(is_number(&theirs["timeout"], options.timeout), "{theirs:?}");
            assert_eq!(items(&theirs["pubKeyCredParams"]), options.pub_key_cred_params.len());
            assert_eq!(items(&theirs["excludeCredentials"]), options.exclude_credentials.map_or(0, |list| list.len()));
            let mut again = vec![0; json.len() + json.len() / 8];
            assert_eq!(CreationOptions::from_json(&json, &mut again), Ok(options));
        }
        Err(error) => refused(bytes, error, &["rp", "user", "challenge", "pubKeyCredParams"]),
    }
    let mut buffer = vec![0; bytes.len() + bytes.len() / 8];
    match RequestOptions::from_json(bytes, &mut buffer) {
        Ok(options) => {
            let json = written(|buffer| options.to_json(buffer));
            let theirs = says(bytes, &json);
            assert_eq!(theirs["challenge"], encoded(options.challenge));
            assert_eq!(theirs["rpId"].as_str(), options.rp_id);
            assert_eq!(items(&theirs["allowCredentials"]), options.allow_credentials.map_or(0, |list| list.len()));
            let mut again = vec![0; json.len() + json.len() / 8];
            assert_eq!(RequestOptions::from_json(&json, &mut again), Ok(options));
        }
        Err(error) => refused(bytes, error, &["challenge"]),
    }
    response(bytes);
});

fn encoded(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

/// Whether serde_json reads the same number, or one that counts as the largest of 32 bits. `6e4` is the integer 60000
/// for us, but not an integer for serde_json.
fn is_number(theirs: &Value, ours: Option<u32>) -> bool {
    match theirs.as_u64() {
        Some(number) => ours == Some(u32::try_from(number).unwrap_or(u32::MAX)),
        None => theirs.as_f64().map(|number| number.min(u32::MAX.into())) == ours.map(f64::from),
    }
}

fn items(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

/// serde_json's value of a document that we have read. serde_json refuses numbers that do not fit an f64, which may be
/// in members that we skip; then it is serde_json's value of the document that we wrote.
fn says(bytes: &[u8], written: &[u8]) -> Value {
    let read = |json: &[u8]| serde_json::from_slice(json);
    read(bytes).unwrap_or_else(|_| read(written).expect("what is written is JSON"))
}

fn written(write: impl Fn(&mut [u8]) -> Result<usize, WriteError>) -> Vec<u8> {
    let mut buffer = Vec::new();
    loop {
        match write(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return buffer;
            }
            Err(WriteError::Overflow(overflow)) => {
                assert!(overflow.needed > buffer.len());
                buffer.resize(overflow.needed, 0);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks that a document was refused for a valid reason.
fn refused(bytes: &[u8], error: Error, required: &[&str]) {
    assert!(error.offset <= bytes.len());
    let theirs = serde_json::from_slice::<Value>(bytes).ok();
    match error.kind {
        // The buffer was long enough, so an overflow is a failure.
        ErrorKind::Overflow(_) => panic!("{error} of {} bytes", bytes.len()),
        ErrorKind::Missing if required.contains(&error.member.unwrap_or_default()) => {}
        ErrorKind::Missing | ErrorKind::UnexpectedType | ErrorKind::NotBase64Url | ErrorKind::OutOfRange => {}
        ErrorKind::Duplicate | ErrorKind::TooDeep => {}
        _ => assert!(theirs.is_none(), "{error} in {theirs:?}"),
    }
}

/// Writes a response with arbitrary extension results.
fn response(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (id, user) = (input.slice(), input.slice());
    let response = AuthenticationResponseJson {
        credential_id: id,
        client_data_json: b"{}",
        authenticator_data: &[],
        signature: &[],
        user_handle: Some(user),
        attachment: Some(Attachment::CrossPlatform),
        client_extension_results: RawMap(input.0),
    };
    let mut buffer = vec![0; 8 * bytes.len() + 512];
    if let Ok(length) = response.write(&mut buffer) {
        let theirs: Value = serde_json::from_slice(&buffer[..length]).expect("what is written is JSON");
        assert_eq!(theirs["id"], encoded(id));
        // A user handle has 1 to 64 bytes: an empty one is left out.
        let handle = Some(encoded(user)).filter(|handle| !handle.is_empty());
        assert_eq!(theirs["response"]["userHandle"].as_str(), handle.as_deref());
        assert!(response.write(&mut buffer[..length - 1]).is_err());
    }
}
