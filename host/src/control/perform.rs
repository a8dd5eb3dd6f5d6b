//! What each verb does.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use keyfob_core::{base64url, client, extensions::cred_protect::Level};
use keyfob_soft_authenticator::{
    devices::{Touch, hub::HubHandle},
    testing::{Answer, Asked, Control, CredentialProperties, HeldCredential, Lie, Step, TestCredential, TestError},
};
use serde_json::{Value, json};

use super::{
    check::{Params, Refusal, Request},
    schema::schema,
    table::COMMANDS,
};

/// Whether the verb is a ceremony, which takes as long as the user does.
pub fn is_ceremony(request: &Request) -> bool {
    matches!(request.verb.name, "create" | "get")
}

/// Does what the request asks for, and returns its result. A ceremony ends when the client has gone.
///
/// # Errors
/// Why it was not done.
pub fn perform(
    request: &Request,
    hub: &HubHandle,
    control: &Control,
    has_gone: &Arc<AtomicBool>,
) -> Result<Value, Refusal> {
    let params = &request.params;
    match request.verb.name {
        "status" => return Ok(status(control)),
        "getSchema" => return Ok(json!({ "schema": schema() })),
        "addCredential" => return add(params, control).map(|held| json!({ "credential": credential(control, &held) })),
        "getCredentials" => {
            let held: Vec<_> = control.credentials().iter().map(|held| credential(control, held)).collect();
            return Ok(json!({ "credentials": held }));
        }
        "getHistory" => {
            let requests: Vec<_> = control.history().iter().map(asked).collect();
            return Ok(json!({ "requests": requests }));
        }
        "create" | "get" => return ceremony(request, hub, has_gone),
        "removeCredential" => control.remove(&id(params)).map_err(|error| refusal(&error))?,
        "removeAllCredentials" => control.remove_all().map_err(|error| refusal(&error))?,
        "setCredentialProperties" => {
            let properties = CredentialProperties {
                backup_eligibility: params.flag("backupEligibility"),
                backup_state: params.flag("backupState"),
                sign_count: params.count("signCount"),
            };
            control.set_credential_properties(&id(params), properties).map_err(|error| refusal(&error))?;
        }
        "setDefaultBackup" => control.set_default_backup(on(params, "backupEligibility"), on(params, "backupState")),
        "setTouch" => control.set_touch(touch(params)?),
        "touch" if !control.is_plugged_in() => return Err(refusal(&TestError::Unplugged)),
        "touch" => control.touch(on(params, "consents")).map_err(|error| refusal(&error))?,
        "setUserVerified" => control.set_user_verified(on(params, "isUserVerified")),
        "lie" => control.lie(lie(params)?),
        "tellTheTruth" => control.tell_the_truth(),
        "answer" => force(params, control)?,
        "clearAnswers" => control.clear_answers(),
        "setDelay" => control.set_delay(milliseconds(params)),
        "setKeepAlives" => control.set_keep_alives(on(params, "sends")),
        "failWrite" => control.fail_write(params.count("number").unwrap_or(1)),
        "unplug" => control.unplug(),
        "plugIn" => control.plug_in(),
        "unplugAt" => control.unplug_at(step(params)?),
        "advance" => control.advance(milliseconds(params)),
        "jumpAt" => control.jump_at(step(params)?, milliseconds(params)),
        "clearHistory" => control.clear_history(),
        // The connection itself does the others: `subscribe`, `unsubscribe`.
        _ => {}
    }
    Ok(json!({}))
}

fn status(control: &Control) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "isPluggedIn": control.is_plugged_in(),
        "waitsForUser": control.waits_for_user(),
        "milliseconds": control.now().as_millis(),
    })
}

fn id(params: &Params) -> Vec<u8> {
    params.bytes("credentialId").unwrap_or_default()
}

fn on(params: &Params, name: &str) -> bool {
    params.flag(name).unwrap_or_default()
}

fn milliseconds(params: &Params) -> Duration {
    Duration::from_millis(params.number("milliseconds").unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

/// What is wrong with these members together.
fn contradiction(name: &str, says: impl Into<String>) -> Refusal {
    Refusal::new("value", format!("/params/{name}"), says)
}

fn add(params: &Params, control: &Control) -> Result<HeldCredential, Refusal> {
    let user_handle = params.bytes("userHandle").unwrap_or_default();
    let mut added = TestCredential::es256(params.text("rpId").unwrap_or_default(), &user_handle);
    if let Some(id) = params.bytes("credentialId") {
        added = added.credential_id(&id);
    }
    if let Some(key) = params.bytes("privateKey") {
        added = added.private_key(&key).map_err(|error| refusal(&error))?;
    }
    if let Some(is_resident) = params.flag("isResidentCredential") {
        added = added.resident_credential(is_resident);
    }
    if let Some(name) = params.text("userName") {
        added = added.user_name(name);
    }
    if let Some(name) = params.text("userDisplayName") {
        added = added.user_display_name(name);
    }
    if let Some(count) = params.count("signCount") {
        added = added.sign_count(count);
    }
    if (params.flag("backupEligibility"), params.flag("backupState")) == (Some(false), Some(true)) {
        return Err(contradiction("backupState", "a credential that is backed up is backup eligible"));
    }
    if let Some(is_eligible) = params.flag("backupEligibility") {
        added = added.backup_eligibility(is_eligible);
    }
    if let Some(is_backed_up) = params.flag("backupState") {
        added = added.backup_state(is_backed_up);
    }
    if let Some(blob) = params.bytes("largeBlob") {
        added = added.large_blob(&blob);
    }
    if let Some(level) = params.count("credProtect") {
        added = added.cred_protect(Level(level));
    }
    control.add(added).map_err(|error| refusal(&error))
}

fn touch(params: &Params) -> Result<Touch, Refusal> {
    let (touch, millis) = (params.text("touch").unwrap_or_default(), params.number("milliseconds"));
    if millis.is_some() != (touch == "after") {
        return Err(contradiction("milliseconds", "milliseconds belong to after, and after needs them"));
    }
    Ok(match touch {
        "deny" => Touch::Deny,
        "never" => Touch::Never,
        "after" => Touch::After(milliseconds(params)),
        _ => Touch::Auto,
    })
}

fn lie(params: &Params) -> Result<Lie, Refusal> {
    let lie = params.text("lie").unwrap_or_default();
    let needed = match lie {
        "bogusSignature" => None,
        "rpId" | "aaguid" => Some(lie),
        _ => Some("on"),
    };
    for name in ["on", "rpId", "aaguid"] {
        if params.value(name).is_some() != (needed == Some(name)) {
            let says = if needed == Some(name) { "needs" } else { "does not go with" };
            return Err(contradiction(name, format!("the lie {lie} {says} {name}")));
        }
    }
    let on = on(params, "on");
    Ok(match lie {
        "userPresent" => Lie::UserPresent(on),
        "userVerified" => Lie::UserVerified(on),
        "backupEligibility" => Lie::BackupEligibility(on),
        "backupState" => Lie::BackupState(on),
        "rpId" => Lie::RpId(params.text("rpId").unwrap_or_default().to_owned()),
        "aaguid" => {
            let aaguid = params.bytes("aaguid").and_then(|bytes| bytes.try_into().ok());
            Lie::Aaguid(aaguid.ok_or_else(|| contradiction("aaguid", "an AAGUID has 16 bytes"))?)
        }
        _ => Lie::BogusSignature,
    })
}

fn force(params: &Params, control: &Control) -> Result<(), Refusal> {
    let answer = match (params.status("status"), params.bytes("body")) {
        (Some(status), None) => Answer::Status(status),
        (None, Some(body)) => Answer::Body(body),
        (None, None) => return Err(contradiction("status", "an answer is a status or a body")),
        (Some(_), Some(_)) => return Err(contradiction("body", "an answer is a status or a body, and not both")),
    };
    let command = params.command("command").unwrap_or(keyfob_core::ctap2::Command(0));
    match params.count("times") {
        Some(times) => control.answer_times(times, command, answer),
        None => control.answer(command, answer),
    }
    Ok(())
}

fn step(params: &Params) -> Result<Step, Refusal> {
    match (params.text("at").unwrap_or_default(), params.command("command")) {
        ("request", Some(command)) => Ok(Step::Request(command)),
        ("response", Some(command)) => Ok(Step::Response(command)),
        ("touch", None) => Ok(Step::Touch),
        ("touch", Some(_)) => Err(contradiction("command", "a touch is of any command")),
        (at, _) => Err(Refusal::new("missing", "/params/command", format!("a step {at} needs a command"))),
    }
}

fn ceremony(request: &Request, hub: &HubHandle, has_gone: &Arc<AtomicBool>) -> Result<Value, Refusal> {
    let params = &request.params;
    let page = hub.browser(params.text("origin").unwrap_or_default()).given_up_by(has_gone.clone());
    let page = if on(params, "credulous") { page.credulous() } else { page };
    let options = params.value("options").map(Value::to_string).unwrap_or_default();
    let response = if request.verb.name == "create" { page.create(options) } else { page.get(options) };
    let response = response.map_err(|error| refusal(&error))?;
    let response: Value = serde_json::from_str(&response)
        .map_err(|error| Refusal::new("ceremony", "", format!("the response is no JSON: {error}")))?;
    Ok(json!({ "response": response }))
}

/// What the key did not do.
fn refusal(error: &TestError) -> Refusal {
    let (code, at) = match error {
        TestError::Unplugged => ("unplugged", ""),
        TestError::NotAsked => ("notAsked", ""),
        TestError::CredentialIdTaken => ("credentialIdTaken", "/params/credentialId"),
        TestError::UnknownCredential => ("unknownCredential", "/params/credentialId"),
        TestError::PrivateKey => ("privateKey", "/params/privateKey"),
        TestError::OtherCurve => ("otherCurve", "/params/privateKey"),
        TestError::CredentialId => ("value", "/params/credentialId"),
        TestError::RpId => ("value", "/params/rpId"),
        TestError::UserHandle => ("value", "/params/userHandle"),
        TestError::LargeBlob | TestError::LargeBlobUnsupported => ("value", "/params/largeBlob"),
        TestError::CredProtect => ("value", "/params/credProtect"),
        TestError::Store(_) => ("store", ""),
        TestError::Options(_) => ("options", "/params/options"),
        _ => ("ceremony", ""),
    };
    let status = match error {
        TestError::Client(client::Error { cause: client::Cause::Status(status), .. }) => Some(*status),
        _ => None,
    };
    Refusal { status, ..Refusal::new(code, at, error.to_string()) }
}

/// Adds the members that are there.
fn with<const N: usize>(mut object: Value, optional: [(&str, Option<Value>); N]) -> Value {
    for (name, value) in optional {
        if let Some(value) = value {
            object[name] = value;
        }
    }
    object
}

fn credential(control: &Control, held: &HeldCredential) -> Value {
    let object = json!({
        "credentialId": text(&held.credential_id),
        "isResidentCredential": held.is_resident_credential,
        "rpId": held.rp_id,
        "signCount": held.sign_count,
        "backupEligibility": held.backup_eligibility,
        "backupState": held.backup_state,
    });
    with(
        object,
        [
            ("userHandle", held.user_handle.as_deref().map(|bytes| text(bytes).into())),
            ("userName", held.user_name.clone().map(Value::from)),
            ("userDisplayName", held.user_display_name.clone().map(Value::from)),
            ("publicKey", held.public_key.as_deref().map(|bytes| text(bytes).into())),
            ("privateKey", control.private_key(&held.credential_id).ok().map(|key| text(&key).into())),
            ("largeBlob", control.large_blob(&held.credential_id).map(|blob| text(&blob).into())),
        ],
    )
}

fn asked(asked: &Asked) -> Value {
    let named = COMMANDS.iter().find(|(_, number)| *number == asked.command.0);
    let command = named.map_or_else(|| asked.command.0.into(), |(name, _)| Value::from(*name));
    let ids = |list: &[Vec<u8>]| list.iter().map(|id| text(id)).collect::<Vec<_>>();
    let options = asked.options;
    let options = with(
        json!({}),
        [("rk", options.rk.map(Value::from)), ("up", options.up.map(Value::from)), ("uv", options.uv.map(Value::from))],
    );
    let object = json!({
        "command": command,
        "request": text(&asked.request),
        "allowList": ids(&asked.allow_list),
        "excludeList": ids(&asked.exclude_list),
        "options": options,
    });
    with(object, [("rpId", asked.rp_id.clone().map(Value::from))])
}
