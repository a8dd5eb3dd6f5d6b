//! The capabilities of a session: those of virtual authenticators are ours, the others are the driver's.

use serde_json::{Map, Value, json};

use super::{configuration::EXTENSIONS, parameters::Parameters, problem::Problem};

/// The prefix of our capabilities (WebAuthn L3 §11.1).
const OURS: &str = "webauthn:";
const VIRTUAL_AUTHENTICATORS: &str = "webauthn:virtualAuthenticators";
const EXTENSION: &str = "webauthn:extension:";

/// Takes our capabilities out of the parameters of a new session.
///
/// # Errors
/// invalid argument: one of them is not a boolean, or the parameters do not have the form of a new session.
/// session not created: no set of capabilities is left that can be matched.
pub fn take_ours(parameters: &mut Parameters) -> Result<(), Problem> {
    let wrong = || Problem::invalid_argument("capabilities is not an object");
    let capabilities = parameters.0.get_mut("capabilities").and_then(Value::as_object_mut).ok_or_else(wrong)?;
    let refused = || Problem::session_not_created("no authenticator here has the extensions that are asked for");
    if let Some(always) = capabilities.get_mut("alwaysMatch") {
        let wrong = || Problem::invalid_argument("alwaysMatch is not an object");
        if !take(always.as_object_mut().ok_or_else(wrong)?)? {
            return Err(refused());
        }
    }
    if let Some(first) = capabilities.get_mut("firstMatch") {
        let wrong = || Problem::invalid_argument("firstMatch is not an array of objects");
        let first = first.as_array_mut().filter(|sets| !sets.is_empty()).ok_or_else(wrong)?;
        let mut matched = Vec::new();
        for mut set in std::mem::take(first) {
            if take(set.as_object_mut().ok_or_else(wrong)?)? {
                matched.push(set);
            }
        }
        *first = matched;
        if first.is_empty() {
            return Err(refused());
        }
    }
    Ok(())
}

/// Takes our capabilities out of a set. Returns whether they can be matched.
fn take(set: &mut Map<String, Value>) -> Result<bool, Problem> {
    let ours: Vec<String> = set.keys().filter(|name| name.starts_with(OURS)).cloned().collect();
    let mut is_matched = true;
    for name in ours {
        let value = set.remove(&name).unwrap_or_default();
        let wrong = || Problem::invalid_argument(format!("{name} is not a boolean"));
        let is_asked_for = value.as_bool().or_else(|| value.is_null().then_some(false)).ok_or_else(wrong)?;
        let extension = name.strip_prefix(EXTENSION);
        let is_known = name == VIRTUAL_AUTHENTICATORS
            || extension.is_some_and(|extension| EXTENSIONS.iter().any(|(known, _)| *known == extension));
        if extension.is_none() && !is_known {
            return Err(Problem::invalid_argument(format!("there is no capability {name}")));
        }
        is_matched &= is_known || !is_asked_for;
    }
    Ok(is_matched)
}

/// Adds our capabilities to those of a session.
pub fn add_ours(capabilities: &mut Map<String, Value>, browser_name: Option<&str>) {
    // Those of a driver that has virtual authenticators too are not what is here.
    capabilities.retain(|name, _| !name.starts_with(OURS));
    capabilities.insert(VIRTUAL_AUTHENTICATORS.into(), true.into());
    for (name, _) in EXTENSIONS {
        capabilities.insert(format!("{EXTENSION}{name}"), true.into());
    }
    if let Some(name) = browser_name {
        capabilities.insert("browserName".into(), name.into());
    }
}

/// The capabilities of a session without a driver: the browser's name is the one that is asked for.
pub fn alone(parameters: &Parameters, browser_name: Option<&str>) -> Map<String, Value> {
    let asked = |path: &str| parameters.0.get("capabilities")?.pointer(path)?.as_str();
    let name = asked("/alwaysMatch/browserName").or_else(|| asked("/firstMatch/0/browserName")).unwrap_or("keyfob");
    let mut capabilities = Map::new();
    capabilities.insert("browserName".into(), name.into());
    capabilities.insert("browserVersion".into(), env!("CARGO_PKG_VERSION").into());
    capabilities.insert("platformName".into(), std::env::consts::OS.into());
    capabilities.insert("timeouts".into(), json!({ "script": 30_000, "pageLoad": 300_000, "implicit": 0 }));
    add_ours(&mut capabilities, browser_name);
    capabilities
}
