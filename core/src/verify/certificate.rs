//! The parts of an X.509 certificate (RFC 5280 §4.1) that attestation needs, read from DER without a heap.
//!
//! ```text
//! Certificate  SEQUENCE { tbs SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject, key, .. [3] extensions }, .. }
//! key          SEQUENCE { SEQUENCE { algorithm OID, parameters }, BIT STRING }
//! extension    SEQUENCE { OID, critical BOOLEAN DEFAULT FALSE, OCTET STRING }
//! ```
//!
//! The module `chain` decides whether a certificate is trusted.

use super::Error;
use crate::{
    cose::{Algorithm, CoseKey, Curve},
    crypto::{self, Verify},
};

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;

/// id-ecPublicKey, 1.2.840.10045.2.1 (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: &[u8] = b"\x2A\x86\x48\xCE\x3D\x02\x01";
/// secp256r1, 1.2.840.10045.3.1.7.
const SECP256R1: &[u8] = b"\x2A\x86\x48\xCE\x3D\x03\x01\x07";
/// secp384r1, 1.3.132.0.34.
const SECP384R1: &[u8] = b"\x2B\x81\x04\x00\x22";
/// secp521r1, 1.3.132.0.35.
const SECP521R1: &[u8] = b"\x2B\x81\x04\x00\x23";
/// id-Ed25519, 1.3.101.112 (RFC 8410 §3).
const ED25519: &[u8] = b"\x2B\x65\x70";
/// id-Ed448, 1.3.101.113.
const ED448: &[u8] = b"\x2B\x65\x71";
/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758 §3.2).
const ECDSA_SHA256: &[u8] = b"\x2A\x86\x48\xCE\x3D\x04\x03\x02";
/// ecdsa-with-SHA384, 1.2.840.10045.4.3.3.
const ECDSA_SHA384: &[u8] = b"\x2A\x86\x48\xCE\x3D\x04\x03\x03";
/// ecdsa-with-SHA512, 1.2.840.10045.4.3.4.
const ECDSA_SHA512: &[u8] = b"\x2A\x86\x48\xCE\x3D\x04\x03\x04";
/// id-ce-basicConstraints, 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1D\x13";
/// id-fido-gen-ce-aaguid, 1.3.6.1.4.1.45724.1.1.4 (WebAuthn L3 §8.2.1).
const AAGUID: &[u8] = b"\x2B\x06\x01\x04\x01\x82\xE5\x1C\x01\x01\x04";
/// id-at-countryName, 2.5.4.6.
const COUNTRY: &[u8] = b"\x55\x04\x06";
/// id-at-organizationName, 2.5.4.10.
const ORGANIZATION: &[u8] = b"\x55\x04\x0A";
/// id-at-organizationalUnitName, 2.5.4.11.
const ORGANIZATIONAL_UNIT: &[u8] = b"\x55\x04\x0B";
/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = b"\x55\x04\x03";

/// A parsed certificate. The members hold the contents of their DER elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certificate<'a> {
    /// The part that the issuer signed, with its tag and length.
    signed: &'a [u8],
    /// The signature's algorithm and the signature, not parsed yet.
    signature: Der<'a>,
    version: &'a [u8],
    issuer: Der<'a>,
    validity: Der<'a>,
    subject: Der<'a>,
    key_algorithm: &'a [u8],
    key_curve: Option<&'a [u8]>,
    key: &'a [u8],
    extensions: Der<'a>,
}

/// An extension's value and whether it is critical.
#[derive(Clone, Copy, Debug)]
struct Extension<'a> {
    critical: bool,
    value: Der<'a>,
}

impl<'a> Certificate<'a> {
    /// Parses a certificate. `None` when it is not DER or not a certificate.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut file = Der(der);
        let mut signature = file.take(SEQUENCE)?;
        file.end()?;
        let whole = signature.0;
        let mut tbs = signature.take(SEQUENCE)?;
        let signed = whole.get(..whole.len().checked_sub(signature.0.len())?)?;
        let version = match tbs.take(VERSION) {
            Some(mut version) => version.take(INTEGER)?.0,
            None => &[0],
        };
        tbs.take(INTEGER)?; // serialNumber
        tbs.take(SEQUENCE)?; // signature
        let issuer = tbs.take(SEQUENCE)?;
        let validity = tbs.take(SEQUENCE)?;
        let subject = tbs.take(SEQUENCE)?;
        let mut info = tbs.take(SEQUENCE)?;
        let mut algorithm = info.take(SEQUENCE)?;
        let key_algorithm = algorithm.take(OBJECT_IDENTIFIER)?.0;
        let key_curve = algorithm.take(OBJECT_IDENTIFIER).map(|curve| curve.0);
        let (0, key) = info.take(BIT_STRING)?.0.split_first()? else { return None };
        let mut extensions = Der(&[]);
        while let Some((tag, mut contents)) = tbs.next() {
            if tag == EXTENSIONS {
                extensions = contents.take(SEQUENCE)?;
            }
        }
        tbs.end()?;
        Some(Self { signed, signature, version, issuer, validity, subject, key_algorithm, key_curve, key, extensions })
    }

    /// The first and the last second of validity, as the decimal digits YYYYMMDDhhmmss. `None` for a time that RFC 5280
    /// §4.1.2.5 does not allow.
    pub(super) fn validity(&self) -> Option<(u64, u64)> {
        let mut validity = self.validity;
        let times = (time(&mut validity)?, time(&mut validity)?);
        validity.end()?;
        Some(times)
    }

    /// Whether the certificate names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.is_named_like(self)
    }

    /// Whether `issuer`'s subject is this certificate's issuer.
    pub(super) fn is_named_like(&self, issuer: &Self) -> bool {
        self.issuer.0 == issuer.subject.0
    }

    /// Whether this certificate says that it belongs to a certification authority. Certificates of version 1 cannot say
    /// so.
    pub(super) fn is_authority(&self) -> bool {
        self.is_end_entity() == Some(false)
    }

    /// Whether a trusted certificate may sign others: it does not say that it belongs to an end entity. Many
    /// manufacturers' certificates do not say either.
    pub(super) fn may_issue(&self) -> bool {
        self.is_end_entity() != Some(true)
    }

    /// Checks that `issuer`'s key signed this certificate.
    ///
    /// # Errors
    /// [`Error::Chain`]: the signature is wrong. [`Error::Crypto`]: the backend does not support the algorithm.
    pub(super) fn is_signed_by(&self, crypto: &impl Verify, issuer: &Self) -> Result<(), Error> {
        let mut rest = self.signature;
        let mut parts = || {
            let id = rest.take(SEQUENCE)?.take(OBJECT_IDENTIFIER)?.0;
            let (0, signature) = rest.take(BIT_STRING)?.0.split_first()? else { return None };
            rest.end()?;
            let algorithm = match id {
                ECDSA_SHA256 => Algorithm::ES256,
                ECDSA_SHA384 => Algorithm::ES384,
                ECDSA_SHA512 => Algorithm::ES512,
                ED25519 => Algorithm::EDDSA,
                ED448 => Algorithm::ED448,
                _ => return Some(Err(crypto::Error::Unsupported)),
            };
            Some(issuer.public_key(algorithm).map(|key| (key, signature)).ok_or(crypto::Error::Unsupported))
        };
        let (key, signature) = parts().ok_or(Error::Chain)?.map_err(Error::Crypto)?;
        super::signature(crypto, &key, &[self.signed], signature).map_err(|error| match error {
            Error::Signature => Error::Chain,
            error => error,
        })
    }

    /// The public key for signatures of `algorithm`. `None` when the key is of another type, or of a type that this
    /// version does not read.
    pub(super) fn public_key(&self, algorithm: Algorithm) -> Option<CoseKey<'a>> {
        let curve = match (self.key_algorithm, self.key_curve) {
            (EC_PUBLIC_KEY, Some(SECP256R1)) => Curve::P256,
            (EC_PUBLIC_KEY, Some(SECP384R1)) => Curve::P384,
            (EC_PUBLIC_KEY, Some(SECP521R1)) => Curve::P521,
            (ED25519, None) => Curve::ED25519,
            (ED448, None) => Curve::ED448,
            _ => return None,
        };
        let raw = match (curve, self.key) {
            (Curve::ED25519 | Curve::ED448, key) => key,
            (_, [0x04, point @ ..]) => point, // uncompressed, SEC 1 §2.3.3
            _ => return None,
        };
        match CoseKey::from_raw(algorithm, raw)? {
            key @ (CoseKey::Ec2 { curve: needed, .. } | CoseKey::Okp { curve: needed, .. }) if needed == curve => {
                Some(key)
            }
            _ => None,
        }
    }

    /// Whether this certificate may sign a packed attestation (WebAuthn L3 §8.2.1): version 3, a subject of the
    /// required form, not a certification authority.
    pub(super) fn is_packed_attestation(&self) -> bool {
        let country = self.subject(COUNTRY);
        self.version == [2]
            && country.is_some_and(|country| country.len() == 2)
            && self.subject(ORGANIZATION).is_some_and(|name| !name.is_empty())
            && self.subject(ORGANIZATIONAL_UNIT) == Some(b"Authenticator Attestation")
            && self.subject(COMMON_NAME).is_some_and(|name| !name.is_empty())
            && self.is_end_entity() == Some(true)
    }

    /// Whether the certificate may attest `aaguid`: its extension, if present, names it and is not critical.
    pub(super) fn attests(&self, aaguid: &[u8; 16]) -> bool {
        match self.extension(AAGUID) {
            Ok(None) => true,
            Ok(Some(mut extension)) => {
                let value = extension.value.take(OCTET_STRING);
                !extension.critical && value.is_some_and(|value| value.0 == aaguid) && extension.value.end().is_some()
            }
            Err(Malformed) => false,
        }
    }

    /// Whether basic constraints say that this is an end entity's certificate. `None` when they are missing or
    /// malformed.
    fn is_end_entity(&self) -> Option<bool> {
        let mut value = self.extension(BASIC_CONSTRAINTS).ok()??.value;
        let mut constraints = value.take(SEQUENCE)?;
        value.end()?;
        if constraints.end().is_some() {
            return Some(true); // cA is false by default
        }
        Some(constraints.take(BOOLEAN)?.0 == [0])
    }

    /// The first attribute of that type in the subject.
    fn subject(&self, attribute: &[u8]) -> Option<&'a [u8]> {
        let mut names = self.subject;
        while let Some(mut relative) = names.take(SET) {
            while let Some(mut pair) = relative.take(SEQUENCE) {
                if pair.take(OBJECT_IDENTIFIER)?.0 == attribute {
                    return pair.next().map(|(_, value)| value.0);
                }
            }
        }
        None
    }

    fn extension(&self, id: &[u8]) -> Result<Option<Extension<'a>>, Malformed> {
        let mut extensions = self.extensions;
        while !extensions.0.is_empty() {
            let mut extension = extensions.take(SEQUENCE).ok_or(Malformed)?;
            if extension.take(OBJECT_IDENTIFIER).ok_or(Malformed)?.0 != id {
                continue;
            }
            let critical = extension.take(BOOLEAN).is_some_and(|critical| critical.0 != [0]);
            let value = extension.take(OCTET_STRING).ok_or(Malformed)?;
            return Ok(Some(Extension { critical, value }));
        }
        Ok(None)
    }
}

/// A time, as the decimal digits YYYYMMDDhhmmss (RFC 5280 §4.1.2.5).
fn time(der: &mut Der<'_>) -> Option<u64> {
    let (tag, text) = der.next()?;
    let text = core::str::from_utf8(text.0).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: u64 = text.parse().ok()?;
    match (tag, text.len()) {
        // A two-digit year from 50 to 99 means 1950 to 1999.
        (UTC_TIME, 12) if digits >= 500_000_000_000 => digits.checked_add(19_000_000_000_000),
        (UTC_TIME, 12) => digits.checked_add(20_000_000_000_000),
        (GENERALIZED_TIME, 14) => Some(digits),
        _ => None,
    }
}

/// The list of extensions is not DER.
struct Malformed;

/// A sequence of DER elements, read from the front.
#[derive(Clone, Copy, Debug)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The tag and the contents of the next element. At the end or for invalid DER it is `None`, and nothing is read.
    fn next(&mut self) -> Option<(u8, Der<'a>)> {
        let (&[tag, short], rest) = self.0.split_first_chunk()?;
        if tag & 0x1F == 0x1F {
            return None; // certificates have no tags of several bytes
        }
        let (length, rest) = match short {
            0x00..=0x7F => (usize::from(short), rest),
            0x81 => match rest.split_first()? {
                (&length @ 0x80.., rest) => (usize::from(length), rest),
                _ => return None,
            },
            0x82 => match rest.split_first_chunk()? {
                (&[high, low], rest) if high > 0 => (usize::from(u16::from_be_bytes([high, low])), rest),
                _ => return None,
            },
            _ => return None, // indefinite, or longer than any message of CTAP
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, Der(contents)))
    }

    /// The contents of the next element if it has this tag.
    fn take(&mut self, tag: u8) -> Option<Der<'a>> {
        if self.0.first() == Some(&tag) { self.next().map(|(_, contents)| contents) } else { None }
    }

    /// Checks that nothing is left.
    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
