//! A line of the control socket, and what is wrong with it.

use keyfob_core::{Status, base64url, ctap2::Command};
use serde_json::{Map, Value, json};

use super::table::{CODES, COMMANDS, Kind, Member, VERBS, Verb};

/// What a client asks for.
pub struct Request {
    /// Its number or text, for the answer.
    pub id: Value,
    pub verb: &'static Verb,
    pub params: Params,
}

/// Why a request fails. Nothing was changed, except where a ceremony has come so far.
#[derive(Debug)]
pub struct Refusal {
    /// A name for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// Where in the request: a JSON Pointer (RFC 6901).
    pub at: String,
    /// What the key has answered.
    pub status: Option<Status>,
}

impl Refusal {
    pub fn new(code: &'static str, at: impl Into<String>, message: impl Into<String>) -> Self {
        debug_assert!(CODES.iter().any(|(known, _)| *known == code), "{code}");
        Self { code, message: message.into(), at: at.into(), status: None }
    }

    /// The answer with this error.
    pub fn answer(&self, id: &Value) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message, "where": self.at });
        if let Some(status) = self.status {
            error["status"] = status_name(status).into();
            error["statusCode"] = status.0.into();
        }
        json!({ "id": id, "error": error })
    }
}

/// The name of a status of CTAP without its prefix, or its number: 0x7a.
pub fn status_name(status: Status) -> String {
    status.name().map_or_else(|| format!("0x{:02x}", status.0), str::to_owned)
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it, and the id for the answer: null, if the line has none.
pub fn request(line: &[u8]) -> Result<Request, (Value, Refusal)> {
    let parsed = serde_json::from_slice(line);
    let parsed = parsed.map_err(|error| {
        let refusal = if is_http(line) {
            Refusal::new("http", "", "this is a control socket, and no web server")
        } else {
            Refusal::new("parse", "", format!("the line is no JSON: {error}"))
        };
        (Value::Null, refusal)
    })?;
    let Value::Object(mut line) = parsed else {
        return Err((Value::Null, Refusal::new("parse", "", "the line is no JSON object")));
    };
    let id = line.remove("id").unwrap_or_default();
    if !(id.is_u64() || id.is_string()) {
        let says = if id.is_null() { "there is no id" } else { "an id is a text or a whole number" };
        let code = if id.is_null() { "missing" } else { "wrongType" };
        return Err((Value::Null, Refusal::new(code, "/id", says)));
    }
    match named(line) {
        Ok((verb, params)) => Ok(Request { id, verb, params }),
        Err(refusal) => Err((id, refusal)),
    }
}

/// Whether a line begins as a request of HTTP.
fn is_http(line: &[u8]) -> bool {
    let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
    is_method && line.windows(6).any(|part| part == b" HTTP/")
}

fn named(mut line: Map<String, Value>) -> Result<(&'static Verb, Params), Refusal> {
    let name = match line.remove("verb") {
        Some(Value::String(name)) => name,
        Some(_) => return Err(Refusal::new("wrongType", "/verb", "a verb is a text")),
        None => return Err(Refusal::new("missing", "/verb", "there is no verb")),
    };
    let verb = VERBS.iter().find(|verb| verb.name == name);
    let verb = verb.ok_or_else(|| Refusal::new("unknownVerb", "/verb", format!("there is no verb {name:?}")))?;
    let params = match line.remove("params") {
        Some(Value::Object(params)) => params,
        Some(_) => return Err(Refusal::new("wrongType", "/params", "params is an object")),
        None => Map::new(),
    };
    if let Some((other, _)) = line.iter().next() {
        let says = format!("a request has id, verb and params, and not {other:?}");
        return Err(Refusal::new("unknownMember", pointer("", other), says));
    }
    members(&params, verb.params, "/params")?;
    Ok((verb, Params(params)))
}

/// Appends a member's name to a JSON Pointer.
fn pointer(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Checks that an object has these members and no others.
///
/// # Errors
/// The first thing that is wrong.
pub fn members(object: &Map<String, Value>, members: &[Member], at: &str) -> Result<(), Refusal> {
    for (name, value) in object {
        let at = pointer(at, name);
        let Some(member) = members.iter().find(|member| member.name == name) else {
            return Err(Refusal::new("unknownMember", at, format!("there is no member {name:?} here")));
        };
        check(value, member.kind, &at)?;
    }
    match members.iter().find(|member| member.is_required && !object.contains_key(member.name)) {
        Some(member) => Err(Refusal::new("missing", pointer(at, member.name), format!("{} is missing", member.name))),
        None => Ok(()),
    }
}

/// # Errors
/// The value is not of this kind.
fn check(value: &Value, kind: Kind, at: &str) -> Result<(), Refusal> {
    let wrong = |what: &str| Err(Refusal::new("wrongType", at, format!("this is not {what}")));
    let bad = |what: String| Err(Refusal::new("value", at, what));
    match (kind, value) {
        (Kind::Bool, Value::Bool(_)) | (Kind::Text, Value::String(_)) | (Kind::Object, Value::Object(_)) => Ok(()),
        (Kind::Duration, Value::Number(number)) if number.as_f64().is_some_and(|number| number >= 0.0) => Ok(()),
        (Kind::Number(least, most), Value::Number(number)) => match number.as_u64() {
            Some(number) if (least..=most).contains(&number) => Ok(()),
            _ => bad(format!("a whole number from {least} to {most} belongs here")),
        },
        (Kind::Bytes, Value::String(text)) => match decoded(text) {
            Some(_) => Ok(()),
            None => bad("base64url without padding belongs here".into()),
        },
        (Kind::Name(names), Value::String(text)) if !names.contains(&text.as_str()) => {
            bad(format!("one of {} belongs here", names.join(", ")))
        }
        (Kind::Name(_), Value::String(_)) => Ok(()),
        (Kind::Command, Value::String(_) | Value::Number(_)) if command(value).is_none() => {
            let names: Vec<_> = COMMANDS.iter().map(|(name, _)| *name).collect();
            bad(format!("a number from 0 to 255 belongs here, or one of {}", names.join(", ")))
        }
        (Kind::Status, Value::String(_) | Value::Number(_)) if status(value).is_none() => {
            bad("a number from 0 to 255 belongs here, or a name of CTAP without its prefix".into())
        }
        (Kind::Command | Kind::Status, Value::String(_) | Value::Number(_)) => Ok(()),
        (Kind::Record(record), Value::Object(object)) => members(object, record, at),
        (Kind::List(kind), Value::Array(values)) => {
            values.iter().enumerate().try_for_each(|(index, value)| check(value, *kind, &format!("{at}/{index}")))
        }
        (Kind::Code, _) => wrong("in a request"),
        (Kind::Bool, _) => wrong("true or false"),
        (Kind::Number(..) | Kind::Duration, _) => wrong("a number"),
        (Kind::Text | Kind::Name(_), _) => wrong("a text"),
        (Kind::Bytes, _) => wrong("a text of base64url"),
        (Kind::Command | Kind::Status, _) => wrong("a text or a number"),
        (Kind::Object | Kind::Record(_), _) => wrong("an object"),
        (Kind::List(_), _) => wrong("a list"),
    }
}

fn byte(value: &Value) -> Option<u8> {
    value.as_u64().and_then(|number| u8::try_from(number).ok())
}

fn command(value: &Value) -> Option<Command> {
    let named = COMMANDS.iter().find(|(name, _)| value.as_str() == Some(name));
    named.map(|(_, number)| *number).or(byte(value)).map(Command)
}

fn status(value: &Value) -> Option<Status> {
    value.as_str().and_then(Status::from_name).or(byte(value).map(Status))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len()];
    let len = base64url::decode(text.chars(), &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

/// Members that were checked against the verb's.
#[derive(Default)]
pub struct Params(Map<String, Value>);

impl Params {
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.value(name)?.as_bool()
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64()
    }

    pub fn count(&self, name: &str) -> Option<u32> {
        self.number(name).and_then(|number| u32::try_from(number).ok())
    }

    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        decoded(self.text(name)?)
    }

    pub fn command(&self, name: &str) -> Option<Command> {
        command(self.value(name)?)
    }

    pub fn status(&self, name: &str) -> Option<Status> {
        status(self.value(name)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn refused(line: &str) -> (&'static str, String) {
        let (_, refusal) = request(line.as_bytes()).err().unwrap_or_else(|| panic!("{line} is taken"));
        assert!(refusal.message.len() > 5 && !refusal.message.ends_with('.'), "{}", refusal.message);
        (refusal.code, refusal.at)
    }

    #[test]
    fn what_is_wrong_with_a_line_is_named_with_its_place() {
        for (line, code, at) in [
            ("GET / HTTP/1.1", "http", ""),
            ("POST /x HTTP/1.0", "http", ""),
            ("get it", "parse", ""),
            ("{", "parse", ""),
            ("[]", "parse", ""),
            ("{}", "missing", "/id"),
            (r#"{"id": null, "verb": "status"}"#, "missing", "/id"),
            (r#"{"id": 1.5, "verb": "status"}"#, "wrongType", "/id"),
            (r#"{"id": 1}"#, "missing", "/verb"),
            (r#"{"id": 1, "verb": 7}"#, "wrongType", "/verb"),
            (r#"{"id": 1, "verb": "explode"}"#, "unknownVerb", "/verb"),
            (r#"{"id": 1, "verb": "status", "params": []}"#, "wrongType", "/params"),
            (r#"{"id": 1, "verb": "status", "a/b": 1}"#, "unknownMember", "/a~1b"),
            (r#"{"id": 1, "verb": "status", "params": {"x": 1}}"#, "unknownMember", "/params/x"),
            (r#"{"id": 1, "verb": "touch"}"#, "missing", "/params/consents"),
            (r#"{"id": 1, "verb": "touch", "params": {"consents": "yes"}}"#, "wrongType", "/params/consents"),
            (r#"{"id": 1, "verb": "failWrite", "params": {"number": 0}}"#, "value", "/params/number"),
            (r#"{"id": 1, "verb": "failWrite", "params": {"number": -1}}"#, "value", "/params/number"),
            (
                r#"{"id": 1, "verb": "removeCredential", "params": {"credentialId": "=="}}"#,
                "value",
                "/params/credentialId",
            ),
            (
                r#"{"id": 1, "verb": "removeCredential", "params": {"credentialId": [1]}}"#,
                "wrongType",
                "/params/credentialId",
            ),
            (r#"{"id": 1, "verb": "setTouch", "params": {"touch": "hard"}}"#, "value", "/params/touch"),
            (r#"{"id": 1, "verb": "answer", "params": {"command": "EAT"}}"#, "value", "/params/command"),
            (r#"{"id": 1, "verb": "answer", "params": {"command": 256}}"#, "value", "/params/command"),
            (r#"{"id": 1, "verb": "answer", "params": {"command": 1, "status": "SAD"}}"#, "value", "/params/status"),
            (
                r#"{"id": 1, "verb": "get", "params": {"origin": "https://a.b", "options": "{}"}}"#,
                "wrongType",
                "/params/options",
            ),
        ] {
            assert_eq!(refused(line), (code, at.to_owned()), "{line}");
        }
    }

    #[test]
    fn an_answer_keeps_the_id_of_its_request_also_when_it_is_refused() {
        let (id, _) = request(br#"{"id": "seven", "verb": "explode"}"#).err().unwrap();
        assert_eq!(id, "seven");
        assert_eq!(request(br#"{"id": 7, "verb": "status"}"#).ok().unwrap().id, 7);
    }

    /// A value of this kind, made from a number.
    fn value(kind: Kind, n: u64) -> Value {
        match kind {
            Kind::Bool => (n.is_multiple_of(2)).into(),
            Kind::Number(least, most) => (least + n % (most - least).max(1)).into(),
            Kind::Duration => (n as f64).into(),
            Kind::Text => format!("text {n}").into(),
            Kind::Bytes => base64url::chars(&n.to_be_bytes()).collect::<String>().into(),
            Kind::Name(names) => names[n as usize % names.len()].into(),
            Kind::Command if n.is_multiple_of(2) => COMMANDS[n as usize % COMMANDS.len()].0.into(),
            Kind::Status if n.is_multiple_of(2) => "KEY_STORE_FULL".into(),
            Kind::Command | Kind::Status => (n % 256).into(),
            Kind::Code => CODES[n as usize % CODES.len()].0.into(),
            Kind::Object => json!({ "n": n }),
            Kind::Record(members) => record(members, n),
            Kind::List(kind) => json!([value(*kind, n)]),
        }
    }

    fn record(members: &[Member], n: u64) -> Value {
        let named = members.iter().map(|member| (member.name.to_owned(), value(member.kind, n)));
        Value::Object(named.collect())
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_written(verb in 0..VERBS.len(), n: u64) {
            let verb = &VERBS[verb];
            let line = json!({ "id": n, "verb": verb.name, "params": record(verb.params, n) });
            let read = request(line.to_string().as_bytes()).map_err(|(_, refusal)| refusal.message);
            let read = read.map_err(TestCaseError::fail)?;
            prop_assert_eq!((read.verb.name, read.id), (verb.name, n.into()));
            prop_assert_eq!(Value::Object(read.params.0), line["params"].clone());
        }

        /// Every member that is missing or has another type is refused where it is.
        #[test]
        fn a_request_that_is_altered_is_refused_where_it_is(verb in 0..VERBS.len(), at in 0..16_usize, n: u64) {
            let verb = &VERBS[verb];
            prop_assume!(!verb.params.is_empty());
            let member = &verb.params[at % verb.params.len()];
            let mut line = json!({ "id": 1, "verb": verb.name, "params": record(verb.params, n) });
            line["params"][member.name] = Value::Null;
            let place = format!("/params/{}", member.name);
            prop_assert_eq!(refused(&line.to_string()), ("wrongType", place.clone()));
            line["params"].as_object_mut().unwrap().remove(member.name);
            if member.is_required {
                prop_assert_eq!(refused(&line.to_string()), ("missing", place));
            } else {
                prop_assert!(request(line.to_string().as_bytes()).is_ok());
            }
        }

        #[test]
        fn any_bytes_are_taken_or_refused(noise in vec(any::<u8>(), 0..200), cut in 0..100_usize) {
            let _ = request(&noise);
            let line = json!({ "id": 1, "verb": "unplugAt", "params": { "at": "request", "command": 1 } }).to_string();
            let cut = cut.min(line.len() - 1);
            prop_assert_eq!(request(&line.as_bytes()[..cut]).err().unwrap().1.code, "parse");
        }
    }
}
