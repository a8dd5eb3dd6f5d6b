//! Client data: our reader reads the same as serde_json, and reads what we write.
#![no_main]

use keyfob_core::{
    json::{ErrorKind, JsonStr},
    webauthn::{ClientData, ClientDataType, CollectedClientData},
};
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    written(bytes);
});

fn text(string: JsonStr<'_>) -> String {
    string.chars().collect()
}

fn read(bytes: &[u8]) {
    let json = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let theirs = serde_json::from_slice::<Value>(json).ok();
    let ours = CollectedClientData::parse(bytes);
    // A member that we skip may hold a number that does not fit an f64.
    let (Ok(ours), Some(theirs)) = (&ours, &theirs) else {
        if let Some(theirs) = theirs {
            refused(&theirs, ours.expect_err("the other case").kind);
        }
        return;
    };
    assert_eq!(theirs["type"].as_str(), Some(&*text(ours.kind)));
    assert_eq!(theirs["challenge"].as_str(), Some(&*text(ours.challenge)));
    assert_eq!(theirs["origin"].as_str(), Some(&*text(ours.origin)));
    assert_eq!(theirs["topOrigin"].as_str(), ours.top_origin.map(text).as_deref());
    assert_eq!(theirs["crossOrigin"].as_bool().unwrap_or(false), ours.cross_origin);
}

/// Checks that JSON was refused for a valid reason: a member of the standard is missing, has another type, or appears
/// twice.
fn refused(theirs: &Value, error: ErrorKind) {
    let complete = ["type", "challenge", "origin"].iter().all(|member| theirs[member].is_string())
        && theirs.get("topOrigin").is_none_or(Value::is_string)
        && theirs.get("crossOrigin").is_none_or(Value::is_boolean);
    // serde_json keeps the last of duplicate members, and the first may have another type.
    let allowed = match error {
        ErrorKind::Duplicate | ErrorKind::TooDeep | ErrorKind::UnexpectedType => true,
        ErrorKind::Missing => !complete,
        _ => false,
    };
    assert!(allowed, "{error:?} for {theirs}");
    if complete {
        let once = serde_json::to_vec(theirs).expect("a value");
        let error = CollectedClientData::parse(&once).err().map(|error| error.kind);
        assert!(matches!(error, None | Some(ErrorKind::TooDeep)), "{error:?} for {theirs}");
    }
}

fn written(bytes: &[u8]) {
    let mut input = Input(bytes);
    let flags = input.byte();
    let challenge = input.slice();
    let origin = String::from_utf8_lossy(input.slice());
    let top_origin = String::from_utf8_lossy(input.0);
    let client_data = ClientData {
        kind: if flags & 1 == 0 { ClientDataType::Create } else { ClientDataType::Get },
        challenge,
        origin: &origin,
        cross_origin: flags & 2 != 0,
        top_origin: (flags & 4 != 0).then_some(&*top_origin),
    };
    // An escape takes six bytes, and replacing a byte that is not UTF-8 took three.
    let mut buffer = vec![0; 18 * bytes.len() + 200];
    let length = client_data.write(&mut buffer).expect("there is room");
    let json = &buffer[..length];
    let again = CollectedClientData::parse(json).expect("reads what was written");
    assert!(again.kind == client_data.kind.as_str() && again.origin == *origin);
    assert!(again.has_challenge(challenge) && !again.has_challenge(&[challenge, &[0]].concat()));
    assert_eq!(again.cross_origin, client_data.cross_origin);
    assert_eq!(again.top_origin.map(text).as_deref(), client_data.top_origin);
    read(json);
    assert!(client_data.write(&mut vec![0; length - 1]).is_err());
}
