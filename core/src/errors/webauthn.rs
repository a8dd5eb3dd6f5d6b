//! The errors of JSON, base64url and origins.

use core::{
    error,
    fmt::{self, Display, Formatter},
};

use crate::{
    json,
    webauthn::{OriginError, SuffixListError, base64url},
};

impl error::Error for json::Error {}

says! {
    part json::ErrorKind {
        Self::NotUtf8 => "the document is not UTF-8",
        Self::Truncated => "the document ends inside a value",
        Self::Unexpected => "a character cannot stand here",
        Self::Malformed => "a number or a literal is not JSON",
        Self::Escape => "an escape is not JSON, or half of a surrogate pair",
        Self::TooDeep => "objects and arrays are nested too deeply",
        Self::TrailingBytes => "something follows the document",
        Self::UnexpectedType => "a value has another type than the standard's",
        Self::Duplicate => "a member appears twice",
        Self::Missing => "a required member is missing",
        Self::OutOfRange => "a number is not a whole one, or too large",
        Self::NotBase64Url => "a string is not base64url without padding",
        Self::Overflow(overflow) => "{overflow}",
    }
    error json::WriteError {
        Self::Overflow(overflow) => "{overflow}",
        Self::Cbor(error) => "the CBOR has no form in JSON: {error}",
    }
    error base64url::Error {
        Self::Character => "the text has a character outside the alphabet of base64url",
        Self::Length => "no bytes encode to a base64url text of this length",
        Self::TrailingBits => "the bits after the last byte of the base64url text are not zero",
        Self::Overflow(overflow) => "{overflow}",
    }
    error OriginError {
        Self::Origin => "the origin may not use the API: it takes a domain, and https or localhost",
        Self::RpId => "the RP ID is not one that the origin may use",
        Self::AppId => "the AppID is not one that the origin may use",
    }
    error SuffixListError {
        Self::Empty => "the list of public suffixes has no rule",
        Self::NotARule(line) => "line {line} of the list of public suffixes is neither a rule nor a comment",
    }
}

impl Display for json::Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.kind, self.offset)?;
        match self.member {
            None => Ok(()),
            Some(member) => write!(f, ", in member {member}"),
        }
    }
}
