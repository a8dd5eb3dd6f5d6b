//! Attestation statements (WebAuthn L3 §8): one type per format. Statements of unknown formats are kept as bytes.

use crate::{
    cbor::{self, Error, ErrorKind, List, Read, Reader, SMALL, Shape, Write, Writer},
    cose::Algorithm,
    message,
};

/// An attestation statement as bytes: a CBOR map, or an array in the format "compound".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawStatement<'a>(pub &'a [u8]);

impl RawStatement<'_> {
    /// The statement of the format "none".
    pub const EMPTY: RawStatement<'static> = RawStatement(&[0xA0]);

    /// Whether the statement is the empty map.
    pub fn is_empty(&self) -> bool {
        self.0 == Self::EMPTY.0
    }
}

impl<'a> Read<'a> for RawStatement<'a> {
    const SHAPE: Shape = Shape::By(|r| RawStatement::read(r).map(|_| true));

    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        if !SMALL && let Some(raw) = packed_statement(r) {
            return Ok(Self(raw));
        }
        if !r.next_is_map() {
            r.clone().array()?;
        }
        r.skip().map(Self)
    }
}

/// A fast path, because nearly every statement has the format "packed" and canonical form. Reads nothing if this one
/// does not.
#[inline]
fn packed_statement<'a>(r: &mut Reader<'a>) -> Option<&'a [u8]> {
    let mut ahead = *r;
    ahead.enter().ok()?;
    let certified = ahead.skip_known(b"\xa3\x63alg");
    (certified || ahead.skip_known(b"\xa2\x63alg")).then_some(())?;
    ahead.integer().ok()?;
    ahead.skip_known(b"\x63sig").then_some(())?;
    ahead.bytes().ok()?;
    if certified {
        ahead.skip_known(b"\x63x5c").then_some(())?;
        for _ in 0..ahead.array().ok()? {
            ahead.bytes().ok()?;
        }
        ahead.leave();
    }
    ahead.leave();
    let raw = ahead.since(r.rest());
    *r = ahead;
    Some(raw)
}

impl Write for RawStatement<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.raw(self.0);
    }
}

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

message! {
    /// The statement of the format "fido-u2f".
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct FidoU2f<'a> {
        /// The signature of a U2F registration ([`crate::ctap1::RegisterResponse`]).
        b"sig" => sig: required &'a [u8],
        /// The attestation certificate, DER; the standard has exactly one.
        b"x5c" => x5c: required List<'a, &'a [u8]>,
    }
}

message! {
    /// The statement of the format "tpm".
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct Tpm<'a> {
        /// The algorithm of the signature, whose hash function makes `extraData` too.
        b"alg" => alg: required Algorithm,
        /// The signature over `cert_info`.
        b"sig" => sig: required &'a [u8],
        /// The version of the TPM's specification: "2.0".
        b"ver" => ver: required &'a str,
        /// The certificate of the attestation key and its chain, DER.
        b"x5c" => x5c: required List<'a, &'a [u8]>,
        /// The credential's key: a `TPMT_PUBLIC`.
        b"pubArea" => pub_area: required &'a [u8],
        /// What is signed: a `TPMS_ATTEST`.
        b"certInfo" => cert_info: required &'a [u8],
    }
}

message! {
    /// The statement of the format "android-key".
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct AndroidKey<'a> {
        /// The algorithm of the signature.
        b"alg" => alg: required Algorithm,
        /// The signature over authData and clientDataHash.
        b"sig" => sig: required &'a [u8],
        /// The certificate of the credential's key and its chain, DER.
        b"x5c" => x5c: required List<'a, &'a [u8]>,
    }
}

message! {
    /// The statement of the format "apple".
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct Apple<'a> {
        /// The certificate of the credential's key and its chain, DER.
        b"x5c" => x5c: required List<'a, &'a [u8]>,
    }
}

message! {
    /// The statement of the format "android-safetynet". The service behind it has ended, and WebAuthn L3 calls the format
    /// deprecated: it is read, but not verified.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct AndroidSafetyNet<'a> {
        /// The version of the service.
        b"ver" => ver: required &'a str,
        /// The service's answer, a JSON Web Signature.
        b"response" => response: required &'a [u8],
    }
}

message! {
    /// One of the statements of the format "compound".
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct Element<'a> {
        /// The format's identifier, any but "compound".
        b"fmt" => format: required &'a str,
        /// The statement.
        b"attStmt" => statement: required RawStatement<'a>,
    }
}

impl<'a> Element<'a> {
    /// Reads the statement.
    ///
    /// # Errors
    /// A statement of a known format is malformed; [`ErrorKind::Forbidden`] for a "compound" one.
    pub fn decode(&self) -> Result<Statement<'a>, Error> {
        match self.format {
            "compound" => Err(Reader::tolerant(self.statement.0).error(ErrorKind::Forbidden)),
            format => Statement::decode(format, Some(self.statement)),
        }
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
    /// "fido-u2f".
    FidoU2f(FidoU2f<'a>),
    /// "tpm".
    #[cfg(feature = "platform-attestation")]
    Tpm(Tpm<'a>),
    /// "android-key".
    #[cfg(feature = "platform-attestation")]
    AndroidKey(AndroidKey<'a>),
    /// "apple".
    #[cfg(feature = "platform-attestation")]
    Apple(Apple<'a>),
    /// "android-safetynet".
    #[cfg(feature = "platform-attestation")]
    AndroidSafetyNet(AndroidSafetyNet<'a>),
    /// "compound": at least two statements, each of which [`Element::decode`] reads.
    Compound(List<'a, Element<'a>>),
    /// A format this version does not read.
    Other {
        /// The format's identifier.
        format: &'a str,
        /// The statement.
        statement: RawStatement<'a>,
    },
}

impl<'a> Statement<'a> {
    /// Reads the statement of `format` under the tolerant rules. An absent statement counts as an empty map. Each
    /// element of a compound statement is also read.
    ///
    /// # Errors
    /// A member appears twice, in any format; a statement of a known format is malformed. [`ErrorKind::Missing`]: a
    /// compound statement has fewer than two elements. [`ErrorKind::Forbidden`]: a compound statement contains another.
    pub fn decode(format: &'a str, statement: Option<RawStatement<'a>>) -> Result<Self, Error> {
        let statement = statement.unwrap_or(RawStatement::EMPTY);
        match format {
            "packed" => cbor::decode_unique(statement.0).map(Self::Packed),
            "fido-u2f" => cbor::decode_unique(statement.0).map(Self::FidoU2f),
            #[cfg(feature = "platform-attestation")]
            "tpm" => cbor::decode_unique(statement.0).map(Self::Tpm),
            #[cfg(feature = "platform-attestation")]
            "android-key" => cbor::decode_unique(statement.0).map(Self::AndroidKey),
            #[cfg(feature = "platform-attestation")]
            "apple" => cbor::decode_unique(statement.0).map(Self::Apple),
            #[cfg(feature = "platform-attestation")]
            "android-safetynet" => cbor::decode_unique(statement.0).map(Self::AndroidSafetyNet),
            "compound" => {
                let elements: List<'a, Element<'a>> = cbor::decode_unique(statement.0)?;
                for element in &elements {
                    element.decode()?;
                }
                match elements.len() {
                    0 | 1 => Err(Reader::tolerant(statement.0).error(ErrorKind::Missing)),
                    _ => Ok(Self::Compound(elements)),
                }
            }
            format => {
                Reader::tolerant(statement.0).expect_unique_keys()?;
                Ok(if format == "none" { Self::None } else { Self::Other { format, statement } })
            }
        }
    }

    /// The attestation certificate and its chain, in the statements that have one. Those of the elements of a compound
    /// statement are not among them.
    pub const fn x5c(&self) -> Option<List<'a, &'a [u8]>> {
        match self {
            Self::Packed(packed) => packed.x5c,
            Self::FidoU2f(u2f) => Some(u2f.x5c),
            #[cfg(feature = "platform-attestation")]
            Self::Tpm(tpm) => Some(tpm.x5c),
            #[cfg(feature = "platform-attestation")]
            Self::AndroidKey(android_key) => Some(android_key.x5c),
            #[cfg(feature = "platform-attestation")]
            Self::Apple(apple) => Some(apple.x5c),
            _ => None,
        }
    }

    /// The format's identifier.
    pub const fn format(&self) -> &'a str {
        match self {
            Self::None => "none",
            Self::Packed(_) => "packed",
            Self::FidoU2f(_) => "fido-u2f",
            #[cfg(feature = "platform-attestation")]
            Self::Tpm(_) => "tpm",
            #[cfg(feature = "platform-attestation")]
            Self::AndroidKey(_) => "android-key",
            #[cfg(feature = "platform-attestation")]
            Self::Apple(_) => "apple",
            #[cfg(feature = "platform-attestation")]
            Self::AndroidSafetyNet(_) => "android-safetynet",
            Self::Compound(_) => "compound",
            Self::Other { format, .. } => format,
        }
    }
}

impl Write for Statement<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::None => w.map(0),
            Self::Packed(packed) => packed.write(w),
            Self::FidoU2f(fido_u2f) => fido_u2f.write(w),
            #[cfg(feature = "platform-attestation")]
            Self::Tpm(tpm) => tpm.write(w),
            #[cfg(feature = "platform-attestation")]
            Self::AndroidKey(android_key) => android_key.write(w),
            #[cfg(feature = "platform-attestation")]
            Self::Apple(apple) => apple.write(w),
            #[cfg(feature = "platform-attestation")]
            Self::AndroidSafetyNet(safety_net) => safety_net.write(w),
            Self::Compound(elements) => elements.write(w),
            Self::Other { statement, .. } => statement.write(w),
        }
    }
}

#[cfg(all(test, feature = "webauthn"))]
mod tests;
