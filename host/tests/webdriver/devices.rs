//! What a client sees of virtual authenticators. Each test starts itself again below `keyfob webdriver`, where it sees
//! the devices.

use std::{env, net::SocketAddr, process::Command};

use keyfob_core::{
    Status,
    cbor::{List, Text},
    client::{Cause, Error},
};
use serde_json::{Value, json};

use crate::{
    credential,
    http::{Session, free_address},
    page::{create, devices, get, info},
    path,
};

const ADDRESS: &str = "KEYFOB_TEST_WEBDRIVER";

/// Runs a test of this name below `keyfob webdriver`. In the process below it, returns a session.
fn below(name: &str) -> Option<Session> {
    if let Ok(address) = env::var(ADDRESS) {
        return Some(Session::begin(address.parse::<SocketAddr>().unwrap()));
    }
    let (this, address) = (env::current_exe().unwrap(), free_address().to_string());
    let name = format!("devices::{name}");
    let output = Command::new(env!("CARGO_BIN_EXE_keyfob"))
        .args(["webdriver", "--listen", &address, "--"])
        .args([this.to_str().unwrap(), "--exact", &name, "--nocapture"])
        .env(ADDRESS, &address)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("1 passed"), "{}", text(&output.stdout));
    None
}

fn creation(more: &Value) -> Value {
    let mut options = json!({
        "rp": { "name": "Example" }, "challenge": "YSBjaGFsbGVuZ2U",
        "user": { "id": "dXNlcg", "name": "alice", "displayName": "Alice" },
        "pubKeyCredParams": [{ "type": "public-key", "alg": -8 }, { "type": "public-key", "alg": -7 }],
    });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    options
}

fn request(allowed: &[&Value]) -> Value {
    let allowed: Vec<_> = allowed.iter().map(|id| json!({ "type": "public-key", "id": id })).collect();
    json!({ "challenge": "YW5vdGhlcg", "allowCredentials": allowed })
}

/// The flags and the counter of a sign-in.
fn signed(response: &Value) -> (u8, u32) {
    let text = response["response"]["authenticatorData"].as_str().unwrap();
    let mut data = [0; 256];
    keyfob_core::base64url::decode(text.chars(), &mut data).unwrap();
    (data[32], u32::from_be_bytes(*data[33..].first_chunk().unwrap()))
}

#[test]
fn each_authenticator_is_a_device_until_it_is_removed_or_its_session_ends() {
    let Some(session) = below("each_authenticator_is_a_device_until_it_is_removed_or_its_session_ends") else { return };
    assert!(devices().is_empty());
    let first = session.add(&json!({}));
    let alone = devices();
    assert_eq!(alone.len(), 1);
    let second = session.add(&json!({}));
    let both = devices();
    assert_eq!((both.len(), &both[0]), (2, &alone[0]));
    let made = create(&both[1], &creation(&json!({}))).unwrap();
    assert_eq!((session.credentials(&first).len(), session.credentials(&second).len()), (0, 1));
    assert!(get(&both[0], &request(&[&made["id"]])).is_err(), "the other key does not know it");
    session.remove(&first);
    assert_eq!(devices(), both[1..]);
    assert!(std::fs::metadata(&both[0]).is_err(), "its name is gone as well");
    get(&both[1], &request(&[&made["id"]])).unwrap();
    let other = Session::begin(session.address);
    other.add(&json!({}));
    assert_eq!(devices(), both, "the port is taken again");
    let ended = crate::call(session.address, &format!("DELETE /session/{}", session.id), "");
    assert_eq!(ended, (200, Value::Null));
    assert_eq!(devices(), alone);
}

/// The versions, extensions and options of a key with this configuration.
fn told(session: &Session, parameters: &Value) -> Value {
    let id = session.value("POST", "authenticator", parameters);
    let told = info(&devices()[0], |info| {
        let texts = |list: &List<'_, Text<'_>>| list.iter().map(|text| text.as_str().to_owned()).collect::<Vec<_>>();
        let options = info.options.unwrap_or_default();
        json!({
            "versions": texts(&info.versions), "extensions": info.extensions.as_ref().map(texts),
            "rk": options.rk, "uv": options.uv, "clientPin": options.client_pin,
            "transports": info.transports.as_ref().map(texts), "algorithms": info.algorithms.map(|list| list.len()),
        })
    });
    session.remove(id.as_str().unwrap());
    told
}

#[test]
fn a_key_says_of_itself_what_its_configuration_says() {
    let Some(session) = below("a_key_says_of_itself_what_its_configuration_says") else { return };
    let plain = told(&session, &json!({ "protocol": "ctap2", "transport": "internal" }));
    let expected = json!({
        "versions": ["FIDO_2_0"], "extensions": null, "rk": null, "uv": null, "clientPin": null,
        "transports": ["usb"], "algorithms": 1,
    });
    assert_eq!(plain, expected);
    let all = told(
        &session,
        &json!({
            "protocol": "ctap2_1", "transport": "usb", "hasResidentKey": true, "hasUserVerification": true,
            "extensions": ["credProtect", "prf", "largeBlob", "credBlob"],
        }),
    );
    let expected = json!({
        "versions": ["FIDO_2_0", "FIDO_2_1"], "extensions": ["credBlob", "credProtect", "hmac-secret", "largeBlob"],
        "rk": true, "uv": true, "clientPin": false, "transports": ["usb"], "algorithms": 1,
    });
    assert_eq!(all, expected);
    let u2f = told(&session, &json!({ "protocol": "ctap1/u2f", "transport": "usb" }));
    assert_eq!(u2f["versions"], json!(["U2F_V2"]));
}

#[test]
fn a_credential_that_was_added_signs_in_with_its_counter_flags_and_blob() {
    let Some(session) = below("a_credential_that_was_added_signs_in_with_its_counter_flags_and_blob") else { return };
    let id = session.add(&json!({ "extensions": ["largeBlob"] }));
    let key = devices().remove(0);
    let parameters = credential(&json!({ "backupEligibility": true, "largeBlob": "YSBibG9i" }));
    session.value("POST", &path(&id, "credential"), &parameters);
    let mut with_blob = request(&[&"aWQ".into()]);
    with_blob["extensions"] = json!({ "largeBlob": { "read": true } });
    let signed_in = get(&key, &with_blob).unwrap();
    // UP, UV, BE.
    assert_eq!((signed_in["id"].as_str(), signed(&signed_in)), (Some("aWQ"), (0x0D, 8)));
    assert_eq!(signed_in["clientExtensionResults"]["largeBlob"]["blob"], "YSBibG9i");
    assert_eq!(session.credentials(&id)[0]["signCount"], 8);
    let change = json!({ "backupEligibility": false, "backupState": true, "signCount": 2 });
    session.value("POST", &path(&id, "credentials/aWQ/props"), &change);
    let signed_in = get(&key, &request(&[])).unwrap();
    assert_eq!((signed_in["response"]["userHandle"].as_str(), signed(&signed_in)), (Some("dXNlcg"), (0x15, 3)));
    session.call("DELETE", &path(&id, "credentials/aWQ"), "");
    assert!(get(&key, &request(&[])).is_err(), "it is removed");
    let named = json!({ "credentialId": "aWQy", "isResidentCredential": false, "userHandle": null });
    session.value("POST", &path(&id, "credential"), &credential(&named));
    assert!(get(&key, &request(&[])).is_err(), "it is not discoverable");
    let signed_in = get(&key, &request(&[&"aWQy".into()])).unwrap();
    assert_eq!((signed_in["response"].get("userHandle"), signed(&signed_in).1), (None, 8));
}

#[test]
fn what_a_page_registers_is_returned_with_its_private_key_and_can_be_put_into_another() {
    let Some(session) = below("what_a_page_registers_is_returned_with_its_private_key_and_can_be_put_into_another")
    else {
        return;
    };
    let first = session.add(&json!({ "defaultBackupEligibility": true, "defaultBackupState": true }));
    let discoverable = json!({ "authenticatorSelection": { "residentKey": "required" } });
    let made = [creation(&discoverable), creation(&json!({}))].map(|options| create(&devices()[0], &options).unwrap());
    let held = session.credentials(&first);
    for (held, (made, is_resident)) in held.iter().zip(made.iter().zip([true, false])) {
        assert_eq!((&held["credentialId"], &held["isResidentCredential"]), (&made["id"], &json!(is_resident)));
        assert_eq!((&held["rpId"], &held["signCount"]), (&json!("example.org"), &json!(0)));
        assert_eq!((&held["backupEligibility"], &held["backupState"]), (&json!(true), &json!(true)));
    }
    assert_eq!((&held[0]["userHandle"], &held[0]["userName"]), (&json!("dXNlcg"), &json!("alice")));
    session.remove(&first);
    let second = session.add(&json!({}));
    for held in &held {
        session.value("POST", &path(&second, "credential"), held);
        let signed_in = get(&devices()[0], &request(&[&held["credentialId"]])).unwrap();
        assert_eq!((&signed_in["id"], signed(&signed_in)), (&held["credentialId"], (0x1D, 1)));
    }
    assert_eq!(session.credentials(&second)[0]["privateKey"], held[0]["privateKey"]);
    session.value("DELETE", &path(&second, "credentials"), &Value::Null);
    assert!(get(&devices()[0], &request(&[&held[1]["credentialId"]])).is_err());
}

#[test]
fn the_user_consents_and_is_verified_as_the_configuration_says() {
    let Some(session) = below("the_user_consents_and_is_verified_as_the_configuration_says") else { return };
    let verified = json!({ "authenticatorSelection": { "userVerification": "required" } });
    let status = |error: Result<Value, Error>| match error.unwrap_err().cause {
        Cause::Status(status) => status,
        other => panic!("{other:?}"),
    };
    let id = session.add(&json!({ "isUserConsenting": false, "hasUserVerification": false }));
    assert_eq!(status(create(&devices()[0], &creation(&json!({})))), Status::OPERATION_DENIED);
    session.remove(&id);
    let id = session.add(&json!({ "isUserVerified": false }));
    assert!(create(&devices()[0], &creation(&verified)).is_err());
    session.value("POST", &path(&id, "uv"), &json!({ "isUserVerified": true }));
    let made = create(&devices()[0], &creation(&verified)).unwrap();
    session.value("POST", &path(&id, "uv"), &json!({ "isUserVerified": false }));
    let mut options = request(&[&made["id"]]);
    options["userVerification"] = "required".into();
    assert!(get(&devices()[0], &options).is_err());
    session.value("POST", &path(&id, "uv"), &json!({ "isUserVerified": true }));
    assert_eq!(signed(&get(&devices()[0], &options).unwrap()).0, 0x05);
    session.remove(&id);
    session.add(&json!({ "hasUserVerification": false }));
    assert!(create(&devices()[0], &creation(&verified)).is_err(), "a key without user verification");
}

#[test]
fn a_u2f_key_registers_and_signs_in() {
    let Some(session) = below("a_u2f_key_registers_and_signs_in") else { return };
    session.value("POST", "authenticator", &json!({ "protocol": "ctap1/u2f", "transport": "usb" }));
    let discouraged = json!({ "authenticatorSelection": { "userVerification": "discouraged" } });
    let made = create(&devices()[0], &creation(&discouraged)).unwrap();
    let mut options = request(&[&made["id"]]);
    options["userVerification"] = "discouraged".into();
    assert_eq!(signed(&get(&devices()[0], &options).unwrap()).0, 0x01);
}
