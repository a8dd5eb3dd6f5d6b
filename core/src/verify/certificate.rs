//! The parts of an X.509 certificate (RFC 5280 §4.1) that attestation needs, read from DER without a heap.
//!
//! ```text
//! Certificate  SEQUENCE { tbs SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject, key, .. [3] extensions }, .. }
//! key          SEQUENCE { SEQUENCE { algorithm OID, parameters }, BIT STRING }
//! extension    SEQUENCE { OID, critical BOOLEAN DEFAULT FALSE, OCTET STRING }
//! ```
//!
//! The module `chain` decides whether a certificate is trusted.

use super::{
    Error,
    der::{BIT_STRING, BOOLEAN, Der, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, time},
    is_of_its_algorithm,
};
use crate::{
    cose::{Algorithm, CoseKey, Curve},
    crypto::{self, Verify},
};

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
/// rsaEncryption, 1.2.840.113549.1.1.1 (RFC 8017 appendix A.1), the form of every RSA key.
const RSA: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01";
/// sha256WithRSAEncryption, 1.2.840.113549.1.1.11 (RFC 8017 appendix A.2.4).
const RSA_SHA256: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0B";
/// sha384WithRSAEncryption, 1.2.840.113549.1.1.12.
const RSA_SHA384: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0C";
/// sha512WithRSAEncryption, 1.2.840.113549.1.1.13.
const RSA_SHA512: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0D";
/// id-ce-keyUsage, 2.5.29.15.
const KEY_USAGE: &[u8] = b"\x55\x1D\x0F";
/// keyCertSign in the first byte of a key usage (RFC 5280 §4.2.1.3).
const KEY_CERT_SIGN: u8 = 0x04;
/// id-ce-subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1D\x11";
/// id-ce-nameConstraints, 2.5.29.30.
const NAME_CONSTRAINTS: &[u8] = b"\x55\x1D\x1E";
/// id-ce-certificatePolicies, 2.5.29.32.
const CERTIFICATE_POLICIES: &[u8] = b"\x55\x1D\x20";
/// id-ce-extKeyUsage, 2.5.29.37.
const EXTENDED_KEY_USAGE: &[u8] = b"\x55\x1D\x25";
/// The extensions that may be critical. Every policy is acceptable, every use is that of an attestation.
const UNDERSTOOD: [&[u8]; 5] =
    [BASIC_CONSTRAINTS, KEY_USAGE, SUBJECT_ALT_NAME, CERTIFICATE_POLICIES, EXTENDED_KEY_USAGE];
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

/// directoryName among alternative names (RFC 5280 §4.2.1.6).
#[cfg(feature = "platform-attestation")]
const DIRECTORY_NAME: u8 = 0xA4;
/// tcg-kp-AIKCertificate, 2.23.133.8.3 (WebAuthn L3 §8.3.1).
#[cfg(feature = "platform-attestation")]
const TPM_ATTESTATION_KEY: &[u8] = b"\x67\x81\x05\x08\x03";
/// tcg-at-tpmManufacturer, tcg-at-tpmModel and tcg-at-tpmVersion: 2.23.133.2.1 to .3.
#[cfg(feature = "platform-attestation")]
const TPM_NAME: [&[u8]; 3] = [b"\x67\x81\x05\x02\x01", b"\x67\x81\x05\x02\x02", b"\x67\x81\x05\x02\x03"];

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
                RSA_SHA256 => Algorithm::RS256,
                RSA_SHA384 => Algorithm::RS384,
                RSA_SHA512 => Algorithm::RS512,
                _ => return Some(Err(crypto::Error::Unsupported)),
            };
            Some(issuer.key(algorithm).map(|key| (key, signature)).ok_or(crypto::Error::Unsupported))
        };
        let (key, signature) = parts().ok_or(Error::Chain)?.map_err(Error::Crypto)?;
        super::signature(crypto, &key, &[self.signed], signature).map_err(|error| match error {
            Error::Signature => Error::Chain,
            error => error,
        })
    }

    /// The public key for signatures of `algorithm`. `None` when the key is of another type, on another curve, or of a type
    /// that this version does not read.
    pub(super) fn public_key(&self, algorithm: Algorithm) -> Option<CoseKey<'a>> {
        self.key(algorithm).filter(is_of_its_algorithm)
    }

    /// The public key, for ECDSA with the hash of `algorithm`: certificates are signed on one curve with the hash of
    /// another.
    fn key(&self, algorithm: Algorithm) -> Option<CoseKey<'a>> {
        let (curve, size) = match (self.key_algorithm, self.key_curve) {
            (EC_PUBLIC_KEY, Some(SECP256R1)) => (Curve::P256, 32),
            (EC_PUBLIC_KEY, Some(SECP384R1)) => (Curve::P384, 48),
            (EC_PUBLIC_KEY, Some(SECP521R1)) => (Curve::P521, 66),
            (ED25519, None) => return Some(CoseKey::Okp { algorithm, curve: Curve::ED25519, x: self.key }),
            (ED448, None) => return Some(CoseKey::Okp { algorithm, curve: Curve::ED448, x: self.key }),
            (RSA, None) => {
                let mut key = Der(self.key);
                let mut numbers = key.take(SEQUENCE)?;
                let (n, e) = (numbers.digits()?, numbers.digits()?);
                return numbers.end().and(key.end()).map(|()| CoseKey::Rsa { algorithm, n, e });
            }
            _ => return None,
        };
        let [0x04, point @ ..] = self.key else { return None }; // uncompressed, SEC 1 §2.3.3
        let (x, y) = point.split_at_checked(size).filter(|(_, y)| y.len() == size)?;
        Some(CoseKey::Ec2 { algorithm, curve, x, y })
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

    /// Whether this certificate is of a TPM's attestation key (WebAuthn L3 §8.3.1): version 3, an empty subject, the TPM's
    /// manufacturer, model and version as its alternative name, the key's purpose, not a certification authority.
    #[cfg(feature = "platform-attestation")]
    pub(super) fn is_attestation_key(&self) -> bool {
        let tpm = self.tpm();
        let is_whole = tpm.is_some_and(|name| TPM_NAME.iter().all(|part| attribute(name, part).is_some()));
        let mut purposes =
            self.value(EXTENDED_KEY_USAGE).and_then(|mut value| value.take(SEQUENCE)).unwrap_or(Der(&[]));
        let mut is_for_it = false;
        while let Some(purpose) = purposes.take(OBJECT_IDENTIFIER) {
            is_for_it |= purpose.0 == TPM_ATTESTATION_KEY;
        }
        self.version == [2] && self.subject.0.is_empty() && is_whole && is_for_it && self.is_end_entity() == Some(true)
    }

    /// The first name of the kind directoryName among the alternative names (RFC 5280 §4.2.1.6).
    #[cfg(feature = "platform-attestation")]
    fn tpm(&self) -> Option<Der<'a>> {
        let mut names = self.value(SUBJECT_ALT_NAME)?.take(SEQUENCE)?;
        while let Some((tag, mut name)) = names.next() {
            if tag == DIRECTORY_NAME {
                return name.take(SEQUENCE);
            }
        }
        None
    }

    /// The value of an extension. `None` if there is none, or a malformed one.
    #[cfg(feature = "platform-attestation")]
    pub(super) fn value(&self, extension: &[u8]) -> Option<Der<'a>> {
        self.extension(extension).ok()?.map(|extension| extension.value)
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

    /// Whether every critical extension is one that is understood here (RFC 5280 §4.2).
    pub(super) fn is_understood(&self) -> bool {
        let mut extensions = self.extensions;
        while !extensions.0.is_empty() {
            let Some((id, extension)) = read_extension(&mut extensions) else { return false };
            if extension.critical && !UNDERSTOOD.contains(&id) {
                return false;
            }
        }
        true
    }

    /// Whether this issuer's constraints allow a chain with so many authorities between it and the attestation
    /// certificate (RFC 5280 §4.2.1.3, §4.2.1.9). Constraints on names are not evaluated, so an issuer that has some may
    /// not issue.
    pub(super) fn permits(&self, authorities: u64) -> bool {
        let is_short = match self.basic_constraints() {
            Ok(None | Some((_, None))) => true,
            Ok(Some((_, Some(longest)))) => authorities <= longest,
            Err(Malformed) => false,
        };
        let may_sign = match self.extension(KEY_USAGE) {
            Ok(None) => true,
            Ok(Some(mut usage)) => match usage.value.take(BIT_STRING) {
                Some(Der([_, bits, ..])) => bits & KEY_CERT_SIGN != 0,
                _ => false,
            },
            Err(Malformed) => false,
        };
        is_short && may_sign && matches!(self.extension(NAME_CONSTRAINTS), Ok(None))
    }

    /// Whether basic constraints say that this is an end entity's certificate. `None` when they are missing or
    /// malformed.
    fn is_end_entity(&self) -> Option<bool> {
        self.basic_constraints().ok()?.map(|(is_authority, _)| !is_authority)
    }

    /// Whether this is an authority, and how many may stand between it and an end entity. `None` when the certificate
    /// does not say.
    fn basic_constraints(&self) -> Result<Option<(bool, Option<u64>)>, Malformed> {
        let Some(mut extension) = self.extension(BASIC_CONSTRAINTS)? else { return Ok(None) };
        let mut read = || {
            let mut constraints = extension.value.take(SEQUENCE)?;
            extension.value.end()?;
            // cA is false by default
            let is_authority = constraints.take(BOOLEAN).is_some_and(|authority| authority.0 != [0]);
            let longest = if constraints.0.is_empty() { None } else { Some(constraints.number()?) };
            constraints.end().map(|()| (is_authority, longest))
        };
        read().map(Some).ok_or(Malformed)
    }

    /// The first attribute of that type in the subject.
    fn subject(&self, id: &[u8]) -> Option<&'a [u8]> {
        attribute(self.subject, id)
    }

    fn extension(&self, id: &[u8]) -> Result<Option<Extension<'a>>, Malformed> {
        let mut extensions = self.extensions;
        while !extensions.0.is_empty() {
            let (name, extension) = read_extension(&mut extensions).ok_or(Malformed)?;
            if name == id {
                return Ok(Some(extension));
            }
        }
        Ok(None)
    }
}

/// The first attribute of that type in a name.
fn attribute<'a>(mut name: Der<'a>, id: &[u8]) -> Option<&'a [u8]> {
    while let Some(mut relative) = name.take(SET) {
        while let Some(mut pair) = relative.take(SEQUENCE) {
            if pair.take(OBJECT_IDENTIFIER)?.0 == id {
                return pair.next().map(|(_, value)| value.0);
            }
        }
    }
    None
}

/// The next extension, and its identifier.
fn read_extension<'a>(extensions: &mut Der<'a>) -> Option<(&'a [u8], Extension<'a>)> {
    let mut extension = extensions.take(SEQUENCE)?;
    let id = extension.take(OBJECT_IDENTIFIER)?.0;
    let critical = extension.take(BOOLEAN).is_some_and(|critical| critical.0 != [0]);
    let value = extension.take(OCTET_STRING)?;
    extension.end()?;
    Some((id, Extension { critical, value }))
}

/// An extension, or the list of them, is not DER.
struct Malformed;
