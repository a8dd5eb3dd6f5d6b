//! Attestation statements (WebAuthn L3 §8): one type per format, unknown formats as they came.

use crate::{
    cbor::{Error, List, RawMap, Read, Reader, Write, Writer},
    cose::Algorithm,
    message,
};

message! {
    /// The statement of the format "packed". Self attestation has no `x5c`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct Packed<'a> {
        /// The algorithm of the signature.
        b"alg" => alg: required Algorithm,
        /// The signature over authData and clientDataHash.
        b"sig" => sig: required &'a [u8],
        /// The attestation certificate and its chain, DER.
        b"x5c" => x5c: optional List<'a, &'a [u8]>,
    }
}

/// An attestation statement with its format.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Statement<'a> {
    /// "none": nothing is attested.
    None,
    /// "packed".
    Packed(Packed<'a>),
    /// A format this version does not read.
    Other {
        /// The format's identifier.
        format: &'a str,
        /// The statement.
        statement: RawMap<'a>,
    },
}

impl<'a> Statement<'a> {
    /// Reads the statement of `format` under the tolerant rules; an absent statement is an empty map.
    /// Errors: what is wrong with a statement of a known format.
    pub fn decode(format: &'a str, statement: Option<RawMap<'a>>) -> Result<Self, Error> {
        let statement = statement.unwrap_or(RawMap::EMPTY);
        match format {
            "none" => Ok(Self::None),
            "packed" => Packed::read(&mut Reader::tolerant(statement.0)).map(Self::Packed),
            format => Ok(Self::Other { format, statement }),
        }
    }

    /// The format's identifier.
    pub const fn format(&self) -> &'a str {
        match self {
            Self::None => "none",
            Self::Packed(_) => "packed",
            Self::Other { format, .. } => format,
        }
    }
}

impl Write for Statement<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::None => w.map(0),
            Self::Packed(packed) => packed.write(w),
            Self::Other { statement, .. } => statement.write(w),
        }
    }
}
