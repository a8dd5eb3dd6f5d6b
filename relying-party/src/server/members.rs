//! Reads the members of a JSON body. An error names the member.

use keyfob_core::webauthn::base64url;
use serde_json::{Map, Value};

use super::problem::{Flaw, Problem};

/// The members of an object.
#[derive(Clone, Copy)]
pub struct Members<'v> {
    members: &'v Map<String, Value>,
    /// The object's path in the body.
    path: &'static str,
}

impl<'v> Members<'v> {
    /// The members of the body itself.
    ///
    /// # Errors
    /// The body is not an object.
    pub fn of(body: &'v Value) -> Result<Self, Problem> {
        let members = body.as_object().ok_or(Problem::Member("the body".into(), Flaw::Type("an object")))?;
        Ok(Self { members, path: "" })
    }

    /// The member, unless it is absent or null.
    pub fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// An optional string.
    ///
    /// # Errors
    /// It is not a string.
    pub fn text(&self, name: &str) -> Result<Option<&'v str>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.flaw(name, Flaw::Type("a string")))
    }

    /// A required string.
    ///
    /// # Errors
    /// It is missing, or not a string.
    pub fn required_text(&self, name: &str) -> Result<&'v str, Problem> {
        self.text(name)?.ok_or_else(|| self.flaw(name, Flaw::Missing))
    }

    /// An optional string that must be one of these words.
    ///
    /// # Errors
    /// It is not a string, or not one of these.
    pub fn word(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let word = words.iter().find(|word| **word == text).copied();
        word.map(Some).ok_or_else(|| self.flaw(name, Flaw::Value))
    }

    /// An optional `true` or `false`.
    ///
    /// # Errors
    /// It is neither.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.flaw(name, Flaw::Type("true or false")))
    }

    /// Optional bytes in base64url.
    ///
    /// # Errors
    /// It is not a string, or not base64url without padding.
    pub fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        decode(text).map(Some).ok_or_else(|| self.flaw(name, Flaw::Encoding))
    }

    /// Required bytes in base64url, at least one.
    ///
    /// # Errors
    /// It is missing or empty, not a string, or not base64url without padding.
    pub fn required_bytes(&self, name: &str) -> Result<Vec<u8>, Problem> {
        let bytes = self.bytes(name)?.ok_or_else(|| self.flaw(name, Flaw::Missing))?;
        if bytes.is_empty() { Err(self.flaw(name, Flaw::Empty)) } else { Ok(bytes) }
    }

    /// An optional array; empty when it is absent.
    ///
    /// # Errors
    /// It is not an array.
    pub fn list(&self, name: &str) -> Result<&'v [Value], Problem> {
        let Some(value) = self.get(name) else { return Ok(&[]) };
        value.as_array().map(Vec::as_slice).ok_or_else(|| self.flaw(name, Flaw::Type("an array")))
    }

    /// An optional object.
    ///
    /// # Errors
    /// It is not an object.
    pub fn object(&self, name: &'static str) -> Result<Option<Members<'v>>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let members = value.as_object().ok_or_else(|| self.flaw(name, Flaw::Type("an object")))?;
        Ok(Some(Members { members, path: name }))
    }

    /// A required object.
    ///
    /// # Errors
    /// It is missing, or not an object.
    pub fn required_object(&self, name: &'static str) -> Result<Members<'v>, Problem> {
        self.object(name)?.ok_or_else(|| self.flaw(name, Flaw::Missing))
    }

    /// All members, which must be strings, in the form of a Cookie header.
    ///
    /// # Errors
    /// A name or a value that is not allowed in a Cookie header.
    pub fn pairs(&self) -> Result<String, Problem> {
        let token = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\=".contains(&byte));
        let mut header = String::new();
        for (name, value) in self.members {
            let value = value.as_str().ok_or_else(|| self.flaw(name, Flaw::Type("a string")))?;
            if !token(name) || !token(value) {
                return Err(self.flaw(name, Flaw::Value));
            }
            header.push_str(&format!("{}{name}={value}", if header.is_empty() { "" } else { "; " }));
        }
        Ok(header)
    }

    /// The problem that a member has a flaw.
    pub fn flaw(&self, name: &str, flaw: Flaw) -> Problem {
        let name = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Problem::Member(name, flaw)
    }
}

/// Bytes as base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

/// Decodes base64url without padding. `None` when `text` is something else.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len()];
    let length = base64url::decode(text.chars(), &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}
