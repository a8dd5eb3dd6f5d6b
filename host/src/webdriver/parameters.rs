//! The parameters of a command: a JSON object whose members have types.

use keyfob_core::base64url;
use serde_json::{Map, Value};

use super::problem::Problem;

/// A JSON object.
#[derive(Default)]
pub struct Parameters(pub Map<String, Value>);

impl Parameters {
    /// # Errors
    /// The body is no JSON object.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(Problem::invalid_argument("the parameters are not a JSON object")),
            Err(error) => Err(Problem::invalid_argument(format!("the parameters are not JSON: {error}"))),
        }
    }

    /// The member, as this type. `None`: it is not there.
    fn member<'a, T>(
        &'a self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let wrong = || Problem::invalid_argument(format!("{name} is not {kind}"));
        read(value).map(Some).ok_or_else(wrong)
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.member(name, "a boolean", Value::as_bool)
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        self.member(name, "a string", Value::as_str)
    }

    /// Base64url, with padding or without: Selenium sends it with padding.
    pub fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        self.member(name, "a string in base64url", |value| value.as_str().and_then(decode))
    }

    /// A number of 32 bits; `null` is 0.
    pub fn number(&self, name: &str) -> Result<Option<u32>, Problem> {
        self.member(name, "a number from 0 to 4294967295", |value| match value {
            Value::Null => Some(0),
            _ => value.as_u64().and_then(|number| u32::try_from(number).ok()),
        })
    }

    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, Problem> {
        self.member(name, "an array of strings", |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    /// # Errors
    /// A member that none of these names.
    pub fn only(&self, names: &[&str]) -> Result<(), Problem> {
        let other = self.0.keys().find(|name| !names.contains(&name.as_str()));
        other.map_or(Ok(()), |name| Err(Problem::invalid_argument(format!("there is no parameter {name}"))))
    }
}

/// A member that has to be there.
///
/// # Errors
/// It is not.
pub fn required<T>(name: &str, member: Option<T>) -> Result<T, Problem> {
    member.ok_or_else(|| Problem::invalid_argument(format!("{name} is missing")))
}

/// Decodes base64url, with padding or without.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = vec![0; base64url::decoded_len(text.len())];
    let len = base64url::decode(text.chars(), &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

pub fn encode(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}
