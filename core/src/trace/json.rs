//! The members of a message as JSON (RFC 8259), with the types that they have in CBOR.
//!
//! | CBOR | JSON |
//! |---|---|
//! | integer, floating-point number | number; `null` for one that JSON does not have |
//! | byte string | `{"hex":"00ff"}` |
//! | text, array, `true`, `false` | the same |
//! | map | object; a key that has no name is text in diagnostic notation |
//! | tag | what is tagged |
//! | `null`, `undefined`, other simple values | `null` |
//!
//! Authenticator data is an object of its parts. Of a credential's key for large blobs, a secret, only the length is
//! told: `{"secret":32}`. Bytes that cannot be read stay a byte string.

use core::fmt::{self, Write as _};

use super::{
    Hex, TraceEvent, check,
    diagnostic::{Diagnostic, Form, item},
    names::Kind,
};
use crate::{
    auth_data::AuthData,
    cbor::{Item, Member, Reader},
    transport::Protocol,
};

/// The members of the message that passed, as a JSON object: `{}` where there are none.
#[derive(Clone, Copy, Debug)]
pub struct Json<'e>(pub &'e TraceEvent<'e>);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let TraceEvent::Request(Protocol::Ctap1, message) | TraceEvent::Response(Protocol::Ctap1, _, message) =
            self.0
        {
            return write!(f, "{{\"apdu\":{}}}", Bytes(message));
        }
        let Some((body, names)) = self.0.body() else { return f.write_str("{}") };
        let is_map = matches!(Reader::tolerant(body).item(), Ok(Item::Map(_)));
        match names {
            Some(names) if is_map && check(Reader::tolerant(body)).is_ok() => {
                item(f, &mut Reader::tolerant(body), Kind::Map(names), Form::Json)
            }
            _ => write!(f, "{{\"body\":{}}}", Bytes(body)),
        }
    }
}

struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"hex\":\"{}\"}}", Hex(self.0))
    }
}

/// What displays itself, as a JSON string.
pub(super) struct Quoted<T>(pub T);

impl<T: fmt::Display> fmt::Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaping(f), "{}", self.0)?;
        f.write_char('"')
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(self.0, "\\{c}"),
            '\0'..='\x1F' => write!(self.0, "\\u{:04x}", u32::from(c)),
            _ => self.0.write_char(c),
        })
    }
}

/// Writes a byte string; authenticator data as its parts.
pub(super) fn bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8], kind: Kind) -> fmt::Result {
    match (kind, AuthData::decode(bytes)) {
        (Kind::AuthData, Ok(data)) => auth_data(f, bytes, &data),
        (Kind::Secret, _) => write!(f, "{{\"secret\":{}}}", bytes.len()),
        _ => write!(f, "{}", Bytes(bytes)),
    }
}

/// Writes the key of a member.
pub(super) fn key(f: &mut fmt::Formatter<'_>, name: Option<Member>, key: &[u8]) -> fmt::Result {
    match (name, Reader::tolerant(key).text()) {
        (Some(name), _) => write!(f, "{}:", Quoted(name)),
        (None, Ok(text)) => write!(f, "{}:", Quoted(text)),
        (None, Err(_)) => write!(f, "{}:", Quoted(Diagnostic(key))),
    }
}

pub(super) fn simple(f: &mut fmt::Formatter<'_>, head: &[u8]) -> fmt::Result {
    let number = match *head {
        [0xF4] => return f.write_str("false"),
        [0xF5] => return f.write_str("true"),
        [0xFA, a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
        [0xFB, a, b, c, d, e, g, h, i] => f64::from_be_bytes([a, b, c, d, e, g, h, i]),
        _ => f64::NAN,
    };
    if number.is_finite() { write!(f, "{number:?}") } else { f.write_str("null") }
}

fn auth_data(f: &mut fmt::Formatter<'_>, bytes: &[u8], data: &AuthData<'_>) -> fmt::Result {
    write!(
        f,
        "{{\"rpIdHash\":{},\"flags\":{},\"signCount\":{}",
        Bytes(data.rp_id_hash),
        data.flags.0,
        data.sign_count
    )?;
    if let Some(attested) = data.attested_credential_data {
        let id = attested.credential_id;
        write!(f, ",\"aaguid\":{},\"credentialId\":{},\"credentialPublicKey\":", Bytes(attested.aaguid), Bytes(id))?;
        item(f, &mut Reader::tolerant(super::key_behind(bytes, id)), Kind::Cose, Form::Json)?;
    }
    if let Some(extensions) = data.extensions {
        f.write_str(",\"extensions\":")?;
        item(f, &mut Reader::tolerant(extensions.0), Kind::Plain, Form::Json)?;
    }
    f.write_char('}')
}
