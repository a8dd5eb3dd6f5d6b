//! Documents of registrations and sign-ins: what `register` and `sign-in` print, and `verify` reads.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use keyfob_core::json::WriteError;
use rand_core::Rng;
use serde_json::{Value, json};

use super::{
    Failure, Kind,
    errand::rng,
    output::{base64, from_base64, hand_over},
};

/// A page's options, and what they are called in messages: those in a file, or else what the arguments make.
///
/// # Errors
/// The file cannot be read, or is no JSON; the arguments make none.
pub fn options(
    file: Option<&Path>,
    otherwise: impl FnOnce() -> Result<Value, Failure>,
) -> Result<(String, Value), Failure> {
    match file {
        Some(path) => Document::read(path).map(|document| (document.name, document.value)),
        None => otherwise().map(|value| ("the options".into(), value)),
    }
}

/// How the members of a document are called in messages, and where it came from.
pub struct Document {
    pub value: Value,
    pub name: String,
}

impl Document {
    /// Reads a file, or the standard input for `-`.
    ///
    /// # Errors
    /// It cannot be read, or is no JSON.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let is_input = path.as_os_str() == "-";
        let name = if is_input { "the standard input".into() } else { path.display().to_string() };
        let mut bytes = Vec::new();
        let read = if is_input {
            io::stdin().lock().read_to_end(&mut bytes).map(drop)
        } else {
            fs::read(path).map(|read| bytes = read)
        };
        read.map_err(|error| Failure::new(Kind::BadInput, format_args!("{name} cannot be read: {error}")))?;
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(Kind::BadInput, format_args!("{name} is not a JSON document: {error}")))?;
        Ok(Self { value, name })
    }

    /// That a member is not what it should be.
    pub fn wrong(&self, member: &str, what: &str) -> Failure {
        Failure::new(Kind::BadInput, format_args!("{}: the member {member} is {what}", self.name))
    }

    /// The member at this path, such as `response.signature`.
    pub fn member(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.value, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// A text.
    ///
    /// # Errors
    /// It is missing, or no text.
    pub fn text(&self, path: &str) -> Result<&str, Failure> {
        let value = self.member(path).ok_or_else(|| self.wrong(path, "missing"))?;
        value.as_str().ok_or_else(|| self.wrong(path, "not a text"))
    }

    /// The RP ID at this path of the options; where a site has left it out, the host of the origin, as WebAuthn has it.
    ///
    /// # Errors
    /// There is neither.
    pub fn rp_id(&self, path: &str) -> Result<&str, Failure> {
        if self.member(path).is_some() {
            return self.text(path);
        }
        let origin = self.text("origin")?;
        let host = origin.split_once("://").and_then(|(_, rest)| rest.split(['/', ':']).next());
        host.filter(|host| !host.is_empty()).ok_or_else(|| self.wrong("origin", "not an origin"))
    }

    /// Bytes in base64url.
    ///
    /// # Errors
    /// They are missing, or not base64url.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        from_base64(self.text(path)?).ok_or_else(|| self.wrong(path, "not base64url without padding"))
    }
}

/// Reads a value of base64url from the command line.
pub fn base64url_argument(text: &str) -> Result<Vec<u8>, String> {
    from_base64(text).ok_or_else(|| "it is not base64url without padding".into())
}

/// A challenge of the caller's, or a random one, in base64url.
pub fn challenge(given: Option<&[u8]>) -> Result<String, Failure> {
    Ok(base64(&match given {
        Some(given) => given.to_vec(),
        None => random::<32>()?.to_vec(),
    }))
}

/// Random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    rng()?.fill_bytes(&mut bytes);
    Ok(bytes)
}

/// Prints a document: the origin, the options and the response, which is written into a buffer.
///
/// # Errors
/// The response has no form in JSON; nobody reads it.
pub fn print(
    origin: &str,
    options: &Value,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, WriteError>,
) -> Result<(), Failure> {
    let mut buffer = vec![0; 4096];
    let len = loop {
        match write(&mut buffer) {
            Ok(len) => break len,
            Err(WriteError::Overflow(overflow)) => buffer.resize(overflow.needed, 0),
            Err(error) => return Err(Failure::new(Kind::Other, error)),
        }
    };
    let response: Value = serde_json::from_slice(&buffer[..len]).map_err(|error| Failure::new(Kind::Other, error))?;
    let document = json!({ "origin": origin, "options": options, "response": response });
    hand_over(format_args!("{document}"), "the key's response")
}
