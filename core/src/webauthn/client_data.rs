//! Client data (WebAuthn L3 §5.8.1): the client's description of a ceremony, as JSON whose hash is signed.

use super::base64url;
use crate::{
    cbor::{Overflow, Writer},
    json::{Error, ErrorKind, JsonStr, Reader, string},
};

/// The byte order mark that UTF-8 decoding drops (WebAuthn L3 §7.1 step 5).
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The member `type` of client data: which ceremony it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientDataType {
    /// A registration.
    Create,
    /// An authentication.
    Get,
}

impl ClientDataType {
    /// The value of the member.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// Client data to be written by a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientData<'a> {
    /// The kind of the ceremony.
    pub kind: ClientDataType,
    /// The relying party's challenge.
    pub challenge: &'a [u8],
    /// The caller's origin, serialised: `https://example.org`.
    pub origin: &'a str,
    /// Whether the caller is in a frame that is not same-origin with its ancestors.
    pub cross_origin: bool,
    /// The origin of the top-level page of such a frame.
    pub top_origin: Option<&'a str>,
}

impl ClientData<'_> {
    /// Writes the client data, byte for byte as WebAuthn L3 §5.8.1.1 serialises it, and returns the length.
    ///
    /// # Errors
    /// [`Overflow`] with the size that the client data needs.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, Overflow> {
        let mut w = Writer::new(buffer);
        w.raw(b"{\"type\":");
        string(&mut w, self.kind.as_str().chars());
        w.raw(b",\"challenge\":");
        string(&mut w, base64url::chars(self.challenge));
        w.raw(b",\"origin\":");
        string(&mut w, self.origin.chars());
        w.raw(b",\"crossOrigin\":");
        w.raw(if self.cross_origin { b"true" } else { b"false" });
        if let Some(top_origin) = self.top_origin {
            w.raw(b",\"topOrigin\":");
            string(&mut w, top_origin.chars());
        }
        w.byte(b'}');
        w.finish()
    }
}

/// Client data as a relying party receives it, in any order and with any escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectedClientData<'a> {
    /// The kind of the ceremony ([`ClientDataType::as_str`]).
    pub kind: JsonStr<'a>,
    /// The challenge in base64url.
    pub challenge: JsonStr<'a>,
    /// The caller's origin.
    pub origin: JsonStr<'a>,
    /// Whether the caller is in a frame that is not same-origin with its ancestors. False when absent.
    pub cross_origin: bool,
    /// The origin of the top-level page of such a frame.
    pub top_origin: Option<JsonStr<'a>>,
    /// Whether `tokenBinding` has the form of WebAuthn Level 2, an object with a known status. `None` when it is
    /// absent.
    pub token_binding: Option<bool>,
}

impl<'a> CollectedClientData<'a> {
    /// Reads client data; members it does not know are ignored.
    ///
    /// # Errors
    /// [`Error`]. Its offset counts from the end of the byte order mark, if there is one.
    pub fn parse(client_data_json: &'a [u8]) -> Result<Self, Error> {
        let (mut kind, mut challenge, mut origin, mut cross_origin, mut top_origin) = (None, None, None, None, None);
        let mut token_binding = None;
        let mut r = Reader::new(client_data_json.strip_prefix(BOM).unwrap_or(client_data_json))?;
        r.object()?;
        while let Some(name) = r.next_member()? {
            let slot = match name {
                name if name == "type" => &mut kind,
                name if name == "challenge" => &mut challenge,
                name if name == "origin" => &mut origin,
                name if name == "topOrigin" => &mut top_origin,
                name if name == "crossOrigin" => {
                    let value = r.bool()?;
                    r.once(&mut cross_origin, value)?;
                    continue;
                }
                name if name == "tokenBinding" => {
                    let value = r;
                    r.skip()?;
                    r.once(&mut token_binding, is_token_binding(value).unwrap_or(false))?;
                    continue;
                }
                _ => {
                    r.skip()?;
                    continue;
                }
            };
            let value = r.string()?;
            r.once(slot, value)?;
        }
        r.finish()?;
        let missing = r.error(ErrorKind::Missing);
        Ok(Self {
            kind: kind.ok_or(missing)?,
            challenge: challenge.ok_or(missing)?,
            origin: origin.ok_or(missing)?,
            cross_origin: cross_origin.unwrap_or(false),
            top_origin,
            token_binding,
        })
    }

    /// Whether the challenge is `challenge`.
    pub fn has_challenge(&self, challenge: &[u8]) -> bool {
        self.challenge.chars().eq(base64url::chars(challenge))
    }
}

/// Whether the value is a TokenBinding (WebAuthn L2 §5.8.1).
///
/// # Errors
/// The value is not an object, or its status is not a string.
fn is_token_binding(mut r: Reader<'_>) -> Result<bool, Error> {
    let mut known = false;
    r.object()?;
    while let Some(name) = r.next_member()? {
        if name == "status" {
            let status = r.string()?;
            known = ["present", "supported", "not-supported"].iter().any(|known| status == **known);
        } else {
            r.skip()?;
        }
    }
    Ok(known)
}
