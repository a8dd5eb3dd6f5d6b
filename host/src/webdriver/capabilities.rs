//! The capabilities of a session: those of virtual authenticators are ours, the others are the driver's.

use keyfob_core::json::{Reader, Type};
use serde_json::{Map, Value, json};

use super::{configuration::EXTENSIONS, problem::Problem};

/// The prefix of our capabilities (WebAuthn L3 §11.1).
const OURS: &str = "webauthn:";
const VIRTUAL_AUTHENTICATORS: &str = "webauthn:virtualAuthenticators";
const EXTENSION: &str = "webauthn:extension:";

/// The parameters of a new session without our capabilities. They are copied and not parsed, because they can hold
/// extensions and profiles of a browser.
///
/// # Errors
/// invalid argument: one of our capabilities is not a boolean, or the parameters do not have the form of a new session.
/// session not created: no set of capabilities is left that can be matched.
pub fn without_ours(parameters: &[u8]) -> Result<String, Problem> {
    let mut r = Reader::new(parameters)?;
    let mut out = String::with_capacity(parameters.len());
    let mut is_there = false;
    object(&mut r, &mut out, |name, r, out| {
        if name != "capabilities" {
            out.push_str(r.skip()?);
            return Ok(true);
        }
        is_there = true;
        capabilities(r, out)
    })?;
    r.finish()?;
    if !is_there {
        return Err(Problem::invalid_argument("capabilities is missing"));
    }
    Ok(out)
}

/// Copies the value of `capabilities`. The result is always true: it is kept.
fn capabilities(r: &mut Reader<'_>, out: &mut String) -> Result<bool, Problem> {
    let refused = || Problem::session_not_created("no authenticator here has the extensions that are asked for");
    is_a(r, Type::Object, "capabilities is not an object")?;
    object(r, out, |name, r, out| {
        match name {
            "alwaysMatch" => {
                is_a(r, Type::Object, "alwaysMatch is not an object")?;
                if !set(r, out)? {
                    return Err(refused());
                }
            }
            "firstMatch" => match first_match(r, out)? {
                (0, _) => return Err(Problem::invalid_argument("firstMatch has no object")),
                (_, 0) => return Err(refused()),
                _ => {}
            },
            _ => out.push_str(r.skip()?),
        }
        Ok(true)
    })?;
    Ok(true)
}

/// Copies the sets of `firstMatch` that can be matched. Returns how many there were, and how many are copied.
fn first_match(r: &mut Reader<'_>, out: &mut String) -> Result<(usize, usize), Problem> {
    is_a(r, Type::Array, "firstMatch is not an array")?;
    r.array()?;
    out.push('[');
    let (mut count, mut copied) = (0_usize, 0_usize);
    while r.next_item()? {
        count = count.saturating_add(1);
        let before = out.len();
        if copied > 0 {
            out.push(',');
        }
        is_a(r, Type::Object, "firstMatch is not an array of objects")?;
        if set(r, out)? {
            copied = copied.saturating_add(1);
        } else {
            out.truncate(before);
        }
    }
    out.push(']');
    Ok((count, copied))
}

/// Copies a set of capabilities without ours. Returns whether ours can be matched.
fn set(r: &mut Reader<'_>, out: &mut String) -> Result<bool, Problem> {
    let mut is_matched = true;
    object(r, out, |name, r, out| {
        let is_ours = name.starts_with(OURS);
        if is_ours {
            is_matched &= matches(name, r)?;
        } else {
            out.push_str(r.skip()?);
        }
        Ok(!is_ours)
    })?;
    Ok(is_matched)
}

/// Reads the value of one of our capabilities. Returns whether it can be matched.
fn matches(name: &str, r: &mut Reader<'_>) -> Result<bool, Problem> {
    let is_asked_for = match r.next_type()? {
        Type::Bool => r.bool()?,
        Type::Null => r.skip().map(|_| false)?,
        _ => return Err(Problem::invalid_argument(format!("{name} is not a boolean"))),
    };
    let extension = name.strip_prefix(EXTENSION);
    let is_known = name == VIRTUAL_AUTHENTICATORS
        || extension.is_some_and(|extension| EXTENSIONS.iter().any(|(known, _)| *known == extension));
    if extension.is_none() && !is_known {
        return Err(Problem::invalid_argument(format!("there is no capability {name}")));
    }
    Ok(is_known || !is_asked_for)
}

/// Copies an object member by member. `copy` gets a member's name, copies its value, and says whether the member stays.
fn object(
    r: &mut Reader<'_>,
    out: &mut String,
    mut copy: impl FnMut(&str, &mut Reader<'_>, &mut String) -> Result<bool, Problem>,
) -> Result<(), Problem> {
    is_a(r, Type::Object, "the parameters are not a JSON object")?;
    r.object()?;
    out.push('{');
    let start = out.len();
    while let Some(name) = r.next_member()? {
        let before = out.len();
        if before > start {
            out.push(',');
        }
        out.extend(["\"", name.escaped(), "\":"]);
        let name: String = name.chars().collect();
        if !copy(&name, r, out)? {
            out.truncate(before);
        }
    }
    out.push('}');
    Ok(())
}

/// # Errors
/// invalid argument, with `otherwise`: what follows has another type. Also when it is no JSON.
fn is_a(r: &mut Reader<'_>, kind: Type, otherwise: &str) -> Result<(), Problem> {
    match r.next_type() {
        Ok(found) if found == kind => Ok(()),
        Ok(_) => Err(Problem::invalid_argument(otherwise)),
        Err(error) => Err(error.into()),
    }
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
pub fn alone(parameters: &str, browser_name: Option<&str>) -> Map<String, Value> {
    let parameters: Value = serde_json::from_str(parameters).unwrap_or_default();
    let asked = |path: &str| parameters.pointer(path)?.as_str();
    let name =
        asked("/capabilities/alwaysMatch/browserName").or_else(|| asked("/capabilities/firstMatch/0/browserName"));
    let mut capabilities = Map::new();
    capabilities.insert("browserName".into(), name.unwrap_or("keyfob").into());
    capabilities.insert("browserVersion".into(), env!("CARGO_PKG_VERSION").into());
    capabilities.insert("platformName".into(), std::env::consts::OS.into());
    capabilities.insert("timeouts".into(), json!({ "script": 30_000, "pageLoad": 300_000, "implicit": 0 }));
    add_ours(&mut capabilities, browser_name);
    capabilities
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// A member of a set: one of ours that can be matched, one that cannot, or another.
    fn member() -> impl Strategy<Value = (String, Value)> {
        let other =
            (r#"[a-z:"\\é\n]{0,4}"#, any::<i32>()).prop_map(|(name, n)| (name, json!({ "n": [n, "\u{1F511}\""] })));
        prop_oneof![
            other,
            any::<bool>().prop_map(|is_asked_for| ("webauthn:extension:prf".into(), is_asked_for.into())),
            any::<bool>().prop_map(|is_asked_for| ("webauthn:extension:uvm".into(), is_asked_for.into())),
            Just((VIRTUAL_AUTHENTICATORS.into(), Value::Null)),
        ]
    }

    fn set() -> impl Strategy<Value = Value> {
        vec(member(), 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    /// The same on values: a set without ours, if it can be matched.
    fn taken(set: &Value) -> Option<Value> {
        let mut set = set.as_object().unwrap().clone();
        let is_matched = set.get("webauthn:extension:uvm") != Some(&true.into());
        set.retain(|name, _| !name.starts_with(OURS));
        is_matched.then_some(Value::Object(set))
    }

    proptest! {
        #[test]
        fn what_is_passed_on_is_what_was_asked_without_ours(always in set(), first in vec(set(), 1..4), more in set(), pretty: bool) {
            let asked = json!({ "capabilities": { "alwaysMatch": always, "firstMatch": first, "x": more }, "y": more });
            let text = if pretty { serde_json::to_string_pretty(&asked) } else { serde_json::to_string(&asked) }.unwrap();
            let matched: Vec<_> = first.iter().filter_map(taken).collect();
            match (taken(&always), without_ours(text.as_bytes())) {
                (Some(always), Ok(passed)) => {
                    let expected = json!({ "capabilities": { "alwaysMatch": always, "firstMatch": matched, "x": more }, "y": more });
                    prop_assert_eq!(serde_json::from_str::<Value>(&passed).unwrap(), expected);
                    prop_assert!(!matched.is_empty());
                }
                (always, Err(_)) => prop_assert!(always.is_none() || matched.is_empty()),
                (None, Ok(passed)) => prop_assert!(false, "{}", passed),
            }
        }

        #[test]
        fn nothing_that_is_no_new_session_is_passed_on(bytes in vec(any::<u8>(), 0..64), cut in 0..59_usize) {
            prop_assert!(without_ours(&bytes).is_err());
            let whole = br#"{"capabilities": {"alwaysMatch": {"a": [1, "\u00e9"]}}, "b": 2}"#;
            prop_assert!(without_ours(whole).is_ok());
            prop_assert!(without_ours(&whole[..cut]).is_err());
        }
    }
}
