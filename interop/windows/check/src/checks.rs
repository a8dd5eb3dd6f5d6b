//! The checks. Each has a new client, and the library as it comes.

use std::time::{Duration, Instant};

use keyfob_core::{
    Status,
    auth_data::AuthData,
    base64url,
    client::{Cause, ErrorCode, Stage},
    crypto::{Hash, RustCrypto},
    extensions::{MakeCredentialOutputs, cred_protect::Level},
    webauthn::Attachment,
};
use keyfob_windows::abi::hresult;
use serde_json::{Value, json};

use crate::{
    ceremonies::{register, sign_in},
    door::Door,
};

type Check = fn(&Door) -> Result<(), String>;

pub const ALL: &[(&str, Check)] = &[
    ("the version, and what it can do", info),
    ("a registration and sign-ins", registers_and_signs_in),
    ("an excluded credential is refused", excluded),
    ("a sign-in with a credential that is not there is refused", not_found),
    ("user verification as it is asked for, preferred by default", verification),
    ("attestation as it is asked for", attestation),
    ("enterprise attestation", enterprise),
    ("credentials that are preferred to be discoverable", preferred_resident),
    ("timeouts as they are asked for", timeouts),
    ("a ceremony that times out", times_out),
    ("a ceremony that is cancelled ends at once", cancelled),
    ("each HRESULT has its error", hresults),
    ("an algorithm that is not there", algorithms),
    ("a buffer that is too small", small_buffer),
    ("prf", prf),
    ("hmac-secret is used only where it is allowed", hmac_secret),
    ("largeBlob", large_blob),
    ("credProtect", cred_protect),
    ("credBlob and minPinLength", cred_blob),
    ("payments", payment),
    ("the AppID of U2F", app_id),
    ("hints", hints),
    ("the platform's authenticator", platform),
    ("the credentials of the platform are listed and deleted", platform_credentials),
];

/// `Err` with the values, unless they are equal.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, value: T, expected: T) -> Result<(), String> {
    if value == expected { Ok(()) } else { Err(format!("{what}: {value:?}, expected {expected:?}")) }
}

fn failed(error: keyfob_core::client::Error) -> String {
    error.to_string()
}

/// What went wrong, or `Err` if nothing did.
fn cause<T>(result: Result<T, keyfob_core::client::Error>) -> Result<Cause, String> {
    match result {
        Ok(_) => Err("it succeeded".to_owned()),
        Err(error) => {
            equal("the code", error.code, error.cause.code())?;
            Ok(error.cause)
        }
    }
}

fn info(door: &Door) -> Result<(), String> {
    let client = door.client();
    equal("the version", client.api(), door.api)?;
    let info = client.info().map_err(failed)?;
    equal("the version", info.api, door.api)?;
    equal("the platform's authenticator", info.platform_authenticator, true)?;
    equal("largeBlob", info.extensions.contains(&"largeBlob"), door.api >= 5)?;
    door.order("platform=none");
    equal("the platform's authenticator", client.info().map_err(failed)?.platform_authenticator, false)
}

fn registers_and_signs_in(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let registered = register(&mut client, &json!({})).map_err(failed)?;
    door.saw(&["rp=Zoë's 🔑", "name=alice", "display=Älice", "rk=1", "prefer=0"])?;
    equal("the attachment", registered.attachment, Some(Attachment::CrossPlatform))?;
    equal("the attachment in JSON", &registered.json["authenticatorAttachment"], &json!("cross-platform"))?;
    let transports: &[&str] = if door.api >= 9 { &["nfc", "usb"] } else { &["usb"] };
    equal("the transports", registered.transports.iter().map(String::as_str).collect::<Vec<_>>(), transports.to_vec())?;
    let signed_in = sign_in(&mut client, &registered, &json!({})).map_err(failed)?;
    door.saw(&["rp=example.org", "transports=11"])?;
    let attachment = (door.api >= 6).then_some(Attachment::CrossPlatform);
    equal("the attachment", signed_in.attachment, attachment)?;
    // Without its name, and with an RP ID that follows from the origin.
    let last = register(&mut client, &json!({"rp": {"name": "Example"}})).map_err(failed)?;
    let signed_in = sign_in(&mut client, &last, &json!({"allowCredentials": [], "rpId": null})).map_err(failed)?;
    equal("the credential", signed_in.json["id"].as_str(), Some(last.id()))?;
    equal("the user", signed_in.json["response"]["userHandle"].as_str(), Some(crate::ceremonies::USER))
}

fn excluded(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let first = register(&mut client, &json!({})).map_err(failed)?;
    let again = register(&mut client, &json!({"excludeCredentials": [first.descriptor()]}));
    equal("the cause", cause(again)?, Cause::Status(Status::CREDENTIAL_EXCLUDED))
}

fn not_found(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let registered = register(&mut client, &json!({})).map_err(failed)?;
    let other = json!({"allowCredentials": [{"type": "public-key", "id": "AAAAAAAAAAAAAAAAAAAAAA"}]});
    let result = sign_in(&mut client, &registered, &other);
    equal("the cause", cause(result)?, Cause::Status(Status::NO_CREDENTIALS))
}

fn verification(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    for (wanted, number) in [(None, 2), (Some("required"), 1), (Some("preferred"), 2), (Some("discouraged"), 3)] {
        let selection = json!({"residentKey": "required", "userVerification": wanted});
        let registered = register(&mut client, &json!({"authenticatorSelection": selection})).map_err(failed)?;
        door.saw(&[&format!("uv={number}")])?;
        equal("whether the user was verified", registered.verified() || number == 3, true)?;
        sign_in(&mut client, &registered, &json!({"userVerification": wanted})).map_err(failed)?;
        door.saw(&[&format!("uv={number}")])?;
    }
    Ok(())
}

fn attestation(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    for (wanted, number, format) in
        [(None, 1, "none"), (Some("none"), 1, "none"), (Some("indirect"), 2, "packed"), (Some("direct"), 3, "packed")]
    {
        let registered = register(&mut client, &json!({"attestation": wanted})).map_err(failed)?;
        door.saw(&[&format!("conveyance={number}"), "enterprise=0"])?;
        equal("the format", registered.format.as_str(), format)?;
    }
    Ok(())
}

fn enterprise(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let asked = json!({"attestation": "enterprise"});
    register(&mut client, &asked).map_err(failed)?;
    door.saw(&["conveyance=3", if door.api >= 3 { "enterprise=1" } else { "enterprise=0" }])?;
    client.policy.enterprise_rp_ids = Some(&["example.org"]);
    register(&mut client, &asked).map_err(failed)?;
    door.saw(&[if door.api >= 3 { "enterprise=2" } else { "enterprise=0" }])
}

fn preferred_resident(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let asked =
        |wanted: &str| json!({"authenticatorSelection": {"residentKey": wanted}, "extensions": {"credProps": true}});
    let has = door.api >= 3;
    for (wanted, flags, resident) in [
        ("required", ["rk=1", "prefer=0"], Some(true)),
        ("preferred", ["rk=0", if has { "prefer=1" } else { "prefer=0" }], has.then_some(true)),
        ("discouraged", ["rk=0", "prefer=0"], has.then_some(false)),
    ] {
        let registered = register(&mut client, &asked(wanted)).map_err(failed)?;
        door.saw(&flags)?;
        let told = &registered.json["clientExtensionResults"]["credProps"]["rk"];
        equal("credProps", told.as_bool(), resident)?;
    }
    Ok(())
}

fn timeouts(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    for (wanted, given) in [(None, 300_000), (Some(400_000), 400_000), (Some(1), 300_000), (Some(900_000), 600_000)] {
        let registered = register(&mut client, &json!({"timeout": wanted})).map_err(failed)?;
        door.saw(&[&format!("timeout={given}")])?;
        sign_in(&mut client, &registered, &json!({"timeout": wanted})).map_err(failed)?;
        door.saw(&[&format!("timeout={given}")])?;
    }
    Ok(())
}

fn times_out(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    client.policy.min_timeout = Duration::ZERO;
    door.order("touch=never");
    let cause = cause(register(&mut client, &json!({"timeout": 200})))?;
    equal("the cause", cause, Cause::Timeout)
}

fn cancelled(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let registered = register(&mut client, &json!({})).map_err(failed)?;
    door.order("touch=never");
    client.user.cancels_at = 2;
    let start = Instant::now();
    equal("the cause", cause(register(&mut client, &json!({})))?, Cause::Cancelled)?;
    client.user.asked = 0;
    equal("the cause", cause(sign_in(&mut client, &registered, &json!({})))?, Cause::Cancelled)?;
    equal("whether it was quick", start.elapsed() < Duration::from_secs(10), true)?;
    // The next ceremony is not cancelled.
    door.order("");
    client.user.cancels_at = 0;
    sign_in(&mut client, &registered, &json!({})).map(|_| ()).map_err(failed)
}

fn hresults(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let registered = register(&mut client, &json!({})).map_err(failed)?;
    let platform = |code: i32, class| Cause::Platform { number: code.cast_unsigned(), class };
    let internal = 0x8009_002D_u32.cast_signed();
    for (code, expected) in [
        (hresult::NTE_EXISTS, Cause::Status(Status::CREDENTIAL_EXCLUDED)),
        (hresult::NTE_NOT_FOUND, Cause::Status(Status::NO_CREDENTIALS)),
        (hresult::NTE_TOKEN_KEYSET_STORAGE_FULL, Cause::Status(Status::KEY_STORE_FULL)),
        (hresult::ERROR_NOT_SUPPORTED, Cause::Unsupported),
        (hresult::NTE_NOT_SUPPORTED, Cause::Unsupported),
        (hresult::ERROR_CANCELLED, Cause::Cancelled),
        (hresult::NTE_USER_CANCELLED, Cause::Cancelled),
        (hresult::ERROR_TIMEOUT, Cause::Timeout),
        (hresult::NTE_INVALID_PARAMETER, platform(hresult::NTE_INVALID_PARAMETER, ErrorCode::BadRequest)),
        (hresult::NTE_DEVICE_NOT_FOUND, platform(hresult::NTE_DEVICE_NOT_FOUND, ErrorCode::DeviceIneligible)),
        (internal, platform(internal, ErrorCode::OtherError)),
    ] {
        door.order(&format!("fail={code:08x}"));
        equal("of a registration", cause(register(&mut client, &json!({})))?, expected)?;
        equal("of a sign-in", cause(sign_in(&mut client, &registered, &json!({})))?, expected)?;
        equal("of the information", cause(client.info())?, expected)?;
    }
    Ok(())
}

fn algorithms(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let unknown = json!({"pubKeyCredParams": [{"type": "public-key", "alg": -999}]});
    equal("the cause", cause(register(&mut client, &unknown))?, Cause::Unsupported)
}

fn small_buffer(door: &Door) -> Result<(), String> {
    use keyfob_core::{client::fido2::WebAuthnClient, webauthn::RequestOptions};
    let mut client = door.client();
    register(&mut client, &json!({})).map_err(failed)?;
    let (mut collected, mut buffer) = ([0; 512], [0; 64]);
    let options = RequestOptions::new(b"a challenge");
    let request = client.request(&options, &mut collected).map_err(failed)?;
    match client.get_assertion(&request, &mut buffer).map(|_| ()) {
        Err(error) if matches!(error.cause, Cause::BufferTooSmall { needed: 100.. }) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// A text as base64url.
fn encoded(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

fn prf(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let eval = json!({"first": encoded(b"one"), "second": encoded(b"two")});
    let registered = register(&mut client, &json!({"extensions": {"prf": {"eval": eval}}})).map_err(failed)?;
    door.saw(&[if door.api >= 6 { "prf=1" } else { "prf=0" }, "raw=0"])?;
    let created = &registered.json["clientExtensionResults"]["prf"];
    equal("enabled", created["enabled"].as_bool(), Some(true))?;
    let get = |client: &mut _, inputs: Value| {
        let signed_in = sign_in(client, &registered, &json!({"extensions": {"prf": inputs}})).map_err(failed)?;
        Ok::<_, String>(signed_in.json["clientExtensionResults"]["prf"]["results"].clone())
    };
    let outputs = get(&mut client, json!({"eval": eval}))?;
    if door.api < 4 {
        return equal("outputs before version 4", outputs, Value::Null);
    }
    equal("their length", outputs["first"].as_str().map(str::len), Some(43))?;
    equal("whether they differ", outputs["first"] == outputs["second"], false)?;
    equal("outputs of the registration", &created["results"], if door.api >= 8 { &outputs } else { &Value::Null })?;
    let one = get(&mut client, json!({"eval": {"first": encoded(b"one")}}))?;
    equal("one output", &one, &json!({"first": outputs["first"]}))?;
    let other = json!({"first": encoded(b"three")});
    let by_credential = json!({"eval": other, "evalByCredential": {registered.id(): eval}});
    equal("outputs by credential", get(&mut client, by_credential)?, outputs)
}

fn hmac_secret(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let salt = RustCrypto.sha256(&[b"WebAuthn PRF\0one"]);
    let create = json!({"extensions": {"hmacCreateSecret": true}});
    let get = json!({"extensions": {"hmacGetSecret": {"salt1": encoded(&salt)}}});
    let plain = register(&mut client, &create).map_err(failed)?;
    equal("without permission", &plain.json["clientExtensionResults"]["hmacCreateSecret"], &Value::Null)?;
    let with_prf = register(&mut client, &json!({"extensions": {"prf": {}}})).map_err(failed)?;
    let signed_in = sign_in(&mut client, &with_prf, &get).map_err(failed)?;
    door.saw(&["raw=0"])?;
    equal("without permission", &signed_in.json["clientExtensionResults"]["hmacGetSecret"], &Value::Null)?;
    client.allow_hmac_secret = true;
    let registered = register(&mut client, &create).map_err(failed)?;
    equal("the secret", registered.json["clientExtensionResults"]["hmacCreateSecret"].as_bool(), Some(true))?;
    let signed_in = sign_in(&mut client, &registered, &get).map_err(failed)?;
    let output = signed_in.json["clientExtensionResults"]["hmacGetSecret"]["output1"].as_str().map(str::to_owned);
    if door.api < 4 {
        return equal("outputs before version 4", output, None);
    }
    door.saw(&["raw=1"])?;
    // The salt that prf makes of its input, so that the outputs are equal.
    let prf = json!({"extensions": {"prf": {"eval": {"first": encoded(b"one")}}}});
    let signed_in = sign_in(&mut client, &registered, &prf).map_err(failed)?;
    let of_prf = signed_in.json["clientExtensionResults"]["prf"]["results"]["first"].as_str().map(str::to_owned);
    equal("whether there is an output", output.is_some(), true)?;
    equal("the outputs", output, of_prf)
}

fn large_blob(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let asked = |support: &str, resident: &str| json!({"authenticatorSelection": {"residentKey": resident}, "extensions": {"largeBlob": {"support": support}}});
    let preferred = register(&mut client, &asked("preferred", "required")).map_err(failed)?;
    door.saw(&[if door.api >= 5 { "blob=2" } else { "blob=0" }])?;
    let supported = preferred.json["clientExtensionResults"]["largeBlob"]["supported"].as_bool();
    equal("supported", supported, Some(door.api >= 5))?;
    register(&mut client, &asked("preferred", "preferred")).map_err(failed)?;
    door.saw(&["blob=0"])?;
    let required = register(&mut client, &asked("required", "preferred"));
    if door.api < 5 {
        return equal("the cause", cause(required)?, Cause::LargeBlobUnsupported);
    }
    let registered = required.map_err(failed)?;
    door.saw(&["blob=1", "rk=1", "prefer=0"])?;
    let discouraged = register(&mut client, &asked("required", "discouraged"));
    equal("the cause", cause(discouraged)?, Cause::LargeBlobUnsupported)?;
    let read = json!({"extensions": {"largeBlob": {"read": true}}});
    let empty = sign_in(&mut client, &registered, &read).map_err(failed)?;
    equal("nothing to read", &empty.json["clientExtensionResults"]["largeBlob"]["blob"], &Value::Null)?;
    let blob = encoded(&[b"a blob of some length, again and again. ".as_slice(); 20].concat());
    let write = json!({"extensions": {"largeBlob": {"write": blob}}});
    let written = sign_in(&mut client, &registered, &write).map_err(failed)?;
    equal("written", written.json["clientExtensionResults"]["largeBlob"]["written"].as_bool(), Some(true))?;
    let found = sign_in(&mut client, &registered, &read).map_err(failed)?;
    equal("the blob", found.json["clientExtensionResults"]["largeBlob"]["blob"].as_str(), Some(blob.as_str()))?;
    let many = json!({"allowCredentials": [], "extensions": {"largeBlob": {"write": blob}}});
    let cause = cause(sign_in(&mut client, &registered, &many))?;
    equal("the cause", cause, Cause::InvalidOption(keyfob_core::client::InvalidOption::LargeBlob))
}

fn cred_protect(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let asked = |enforce: bool| {
        json!({"extensions": {"credentialProtectionPolicy": "userVerificationRequired",
            "enforceCredentialProtectionPolicy": enforce}})
    };
    let level = |auth_data: &[u8]| {
        let data = AuthData::decode(auth_data).expect("authenticator data");
        let outputs = data.extensions.and_then(|map| map.decode::<MakeCredentialOutputs<'_>>().ok());
        outputs.and_then(|outputs| outputs.cred_protect) == Some(Level::USER_VERIFICATION_REQUIRED)
    };
    let registered = register(&mut client, &asked(false)).map_err(failed)?;
    equal("whether it is protected", level(&registered.auth_data), door.api >= 2)?;
    match register(&mut client, &asked(true)) {
        Ok(registered) => equal("whether it is protected", level(&registered.auth_data) && door.api >= 2, true),
        Err(error) => {
            equal("the stage", error.stage, Stage::Options)?;
            equal("the cause", (error.cause, door.api), (Cause::CredProtectUnsupported, 1))
        }
    }
}

fn cred_blob(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let asked = json!({"extensions": {"credBlob": encoded(b"a small blob"), "minPinLength": true}});
    let registered = register(&mut client, &asked).map_err(failed)?;
    let has = door.api >= 3;
    door.saw(&[if has { "min=1" } else { "min=0" }])?;
    equal("stored", registered.json["clientExtensionResults"]["credBlob"].as_bool(), has.then_some(true))?;
    let get = json!({"extensions": {"getCredBlob": true}});
    let signed_in = sign_in(&mut client, &registered, &get).map_err(failed)?;
    let blob = signed_in.json["clientExtensionResults"]["getCredBlob"].as_str();
    equal("the blob", blob, has.then_some(encoded(b"a small blob").as_str()))
}

fn payment(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    register(&mut client, &json!({"extensions": {"payment": {"isPayment": true}}})).map_err(failed)?;
    door.saw(&[if door.api >= 8 { "payment=1" } else { "payment=0" }])
}

fn app_id(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let registered = register(&mut client, &json!({})).map_err(failed)?;
    let asked = json!({"extensions": {"appid": "https://example.org/appid.json"}});
    let signed_in = sign_in(&mut client, &registered, &asked).map_err(failed)?;
    equal("appid", signed_in.json["clientExtensionResults"]["appid"].as_bool(), Some(false))
}

fn hints(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let asked = json!({"hints": ["security-key", "hybrid"]});
    let seen = if door.api >= 8 { "hints=security-key,hybrid" } else { "hints=" };
    let registered = register(&mut client, &asked).map_err(failed)?;
    door.saw(&[seen, "attachment=0"])?;
    sign_in(&mut client, &registered, &asked).map_err(failed)?;
    door.saw(&[seen, "attachment=2"])?;
    sign_in(&mut client, &registered, &json!({"hints": ["nonsense", "client-device"]})).map_err(failed)?;
    door.saw(&["attachment=1"])
}

fn on_platform() -> Value {
    json!({"authenticatorSelection": {"authenticatorAttachment": "platform", "residentKey": "required"}})
}

fn platform(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    let registered = register(&mut client, &on_platform()).map_err(failed)?;
    door.saw(&["attachment=1"])?;
    equal("the attachment", registered.attachment, Some(Attachment::Platform))?;
    equal("the attachment in JSON", &registered.json["authenticatorAttachment"], &json!("platform"))?;
    equal("the transports", registered.transports.clone(), vec!["internal".to_owned()])?;
    let signed_in = sign_in(&mut client, &registered, &json!({})).map_err(failed)?;
    equal("the attachment", signed_in.attachment, (door.api >= 6).then_some(Attachment::Platform))?;
    let told = signed_in.json["authenticatorAttachment"].as_str();
    equal("the attachment in JSON", told, (door.api >= 6).then_some("platform"))?;
    door.order("platform=none");
    let cause = cause(register(&mut client, &on_platform()))?;
    equal("the code", cause.code(), ErrorCode::DeviceIneligible)
}

fn platform_credentials(door: &Door) -> Result<(), String> {
    let mut client = door.client();
    if door.api < 4 {
        equal("the cause", cause(client.platform_credentials(None))?, Cause::Unsupported)?;
        return equal("the cause", cause(client.delete_platform_credential(b"id"))?, Cause::Unsupported);
    }
    for credential in client.platform_credentials(None).map_err(failed)? {
        client.delete_platform_credential(&credential.id).map_err(failed)?;
    }
    equal("none", client.platform_credentials(None).map_err(failed)?, Vec::new())?;
    let registered = register(&mut client, &on_platform()).map_err(failed)?;
    let listed = client.platform_credentials(Some("example.org")).map_err(failed)?;
    let [credential] = listed.as_slice() else { return Err(format!("{listed:?}")) };
    equal("the id", encoded(&credential.id).as_str(), registered.id())?;
    equal("the RP", (credential.rp_id.as_str(), credential.rp_name.as_str()), ("example.org", "Zoë's 🔑"))?;
    let user = (credential.user_id.as_slice(), credential.user_name.as_str(), credential.user_display_name.as_str());
    equal("the user", user, (b"user-0001".as_slice(), "alice", "Älice"))?;
    equal("removable", credential.removable, true)?;
    equal("backed up", credential.backed_up, (door.api >= 5).then_some(true))?;
    equal("the authenticator", credential.authenticator_name.as_deref(), (door.api >= 8).then_some("Stand-in"))?;
    equal("payment", credential.payment, (door.api >= 8).then_some(true))?;
    equal("the transports", credential.transports.len(), usize::from(door.api >= 9))?;
    equal("of others", client.platform_credentials(Some("example.com")).map_err(failed)?, Vec::new())?;
    client.delete_platform_credential(&credential.id).map_err(failed)?;
    let again = cause(client.delete_platform_credential(&credential.id))?;
    equal("deleted again", again, Cause::Status(Status::NO_CREDENTIALS))?;
    let gone = cause(sign_in(&mut client, &registered, &json!({})))?;
    equal("a sign-in with it", gone, Cause::Status(Status::NO_CREDENTIALS))
}
