//! The verification procedure of the format "tpm" (WebAuthn L3 §8.3).
//!
//! ```text
//! TPMS_ATTEST  magic u32, type u16, qualifiedSigner 2B, extraData 2B, clockInfo 17, firmwareVersion u64, attested
//! attested     name 2B, qualifiedName 2B
//! TPMT_PUBLIC  type u16, nameAlg u16, objectAttributes u32, authPolicy 2B, symmetric, scheme,
//!              RSA: keyBits u16, exponent u32, n 2B    ECC: curveID u16, kdf, x 2B, y 2B
//! ```
//!
//! Numbers are big-endian, and a "2B" is its length as u16 and so many bytes (TPM 2.0 Library part 2, §10.12.8, §12.2.4).

use super::{AttestationType, Error, certificate::Certificate, check, signature};
use crate::{
    attestation::Tpm,
    auth_data::AttestedCredentialData,
    cose::{Algorithm, CoseKey, Curve},
    crypto::{self, Hash, HashFunction, Verify},
};

/// TPM_GENERATED_VALUE: a TPM signs nothing from outside that begins so.
const GENERATED: u32 = 0xFF54_4347;
/// TPM_ST_ATTEST_CERTIFY.
const CERTIFY: u16 = 0x8017;
const ALG_RSA: u16 = 0x0001;
const ALG_SHA1: u16 = 0x0004;
const ALG_SHA256: u16 = 0x000B;
const ALG_SHA384: u16 = 0x000C;
const ALG_SHA512: u16 = 0x000D;
const ALG_NULL: u16 = 0x0010;
const ALG_ECC: u16 = 0x0023;
/// The exponent that zero stands for.
const DEFAULT_EXPONENT: u32 = 65_537;
/// `clockInfo` and `firmwareVersion`, which are not looked at.
const CLOCK_AND_FIRMWARE: usize = 25;

#[inline(never)]
pub(super) fn tpm<'a>(
    crypto: &(impl Hash + Verify),
    statement: &Tpm<'a>,
    auth_data: &[u8],
    credential: &AttestedCredentialData<'_>,
    client_data_hash: &[u8; 32],
) -> Result<AttestationType<'a>, Error> {
    // 1. TPM 1.2 has other structures.
    check(statement.ver == "2.0", Error::Format)?;
    // 2.
    let public = PublicArea::parse(statement.pub_area).ok_or(Error::PublicArea)?;
    check(public.is(&credential.public_key), Error::AttestedKey)?;
    // 4.
    let info = CertInfo::parse(statement.cert_info).ok_or(Error::CertInfo)?;
    let function = hash_of(statement.alg).ok_or(Error::Crypto(crypto::Error::Unsupported))?;
    let hashed = is_hash(crypto, function, &[auth_data, client_data_hash], info.extra_data)?;
    check(hashed, Error::AttestedData)?;
    let (name_alg, name) = info.name.split_first_chunk().ok_or(Error::CertInfo)?;
    check(u16::from_be_bytes(*name_alg) == public.name_alg, Error::CertInfo)?;
    let function = hash_numbered(public.name_alg).ok_or(Error::CertInfo)?;
    check(is_hash(crypto, function, &[statement.pub_area], name)?, Error::CertInfo)?;
    // 5., 6.
    let leaf = statement.x5c.iter().next().and_then(Certificate::parse).ok_or(Error::Certificate)?;
    let key = leaf.public_key(statement.alg).ok_or(Error::CertificateKey)?;
    signature(crypto, &key, &[statement.cert_info], statement.sig)?;
    check(leaf.is_attestation_key(), Error::Certificate)?;
    check(leaf.attests(credential.aaguid), Error::Aaguid)?;
    Ok(AttestationType::Certificates(statement.x5c))
}

fn is_hash(crypto: &impl Hash, function: HashFunction, parts: &[&[u8]], expected: &[u8]) -> Result<bool, Error> {
    let mut digest = [0; 64];
    let length = crypto.digest(function, parts, &mut digest).map_err(Error::Crypto)?;
    Ok(digest.get(..length) == Some(expected))
}

/// The hash function of a signature.
fn hash_of(algorithm: Algorithm) -> Option<HashFunction> {
    Some(match algorithm {
        Algorithm::ES256 | Algorithm::ESP256 | Algorithm::RS256 | Algorithm::PS256 => HashFunction::Sha256,
        Algorithm::ES384 | Algorithm::ESP384 | Algorithm::RS384 => HashFunction::Sha384,
        Algorithm::ES512 | Algorithm::ESP512 | Algorithm::RS512 => HashFunction::Sha512,
        Algorithm::RS1 => HashFunction::Sha1,
        _ => return None,
    })
}

fn hash_numbered(id: u16) -> Option<HashFunction> {
    Some(match id {
        ALG_SHA1 => HashFunction::Sha1,
        ALG_SHA256 => HashFunction::Sha256,
        ALG_SHA384 => HashFunction::Sha384,
        ALG_SHA512 => HashFunction::Sha512,
        _ => return None,
    })
}

/// What the TPM signed.
struct CertInfo<'a> {
    extra_data: &'a [u8],
    name: &'a [u8],
}

impl<'a> CertInfo<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u32()? != GENERATED || fields.u16()? != CERTIFY {
            return None;
        }
        fields.sized()?; // qualifiedSigner
        let extra_data = fields.sized()?;
        fields.take(CLOCK_AND_FIRMWARE)?;
        let name = fields.sized()?;
        fields.sized()?; // qualifiedName
        fields.end()?;
        Some(Self { extra_data, name })
    }
}

/// The TPM's form of a public key.
struct PublicArea<'a> {
    name_alg: u16,
    key: PublicKey<'a>,
}

enum PublicKey<'a> {
    Rsa { n: &'a [u8], e: u32 },
    Ecc { curve: Curve, x: &'a [u8], y: &'a [u8] },
}

impl<'a> PublicArea<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let kind = fields.u16()?;
        let name_alg = fields.u16()?;
        fields.u32()?; // objectAttributes
        fields.sized()?; // authPolicy
        // The symmetric algorithm has a key size and a mode.
        if fields.u16()? != ALG_NULL {
            fields.take(4)?;
        }
        fields.scheme()?;
        let key = match kind {
            ALG_RSA => {
                fields.u16()?; // keyBits
                let e = fields.u32()?;
                PublicKey::Rsa { n: fields.sized()?, e: if e == 0 { DEFAULT_EXPONENT } else { e } }
            }
            ALG_ECC => {
                let curve = match fields.u16()? {
                    3 => Curve::P256,
                    4 => Curve::P384,
                    5 => Curve::P521,
                    _ => return None,
                };
                fields.scheme()?; // kdf
                PublicKey::Ecc { curve, x: fields.sized()?, y: fields.sized()? }
            }
            _ => return None,
        };
        fields.end()?;
        Some(Self { name_alg, key })
    }

    /// Whether this is that key. Numbers may have leading zeros.
    fn is(&self, credential: &CoseKey<'_>) -> bool {
        match (&self.key, credential) {
            (PublicKey::Rsa { n, e }, CoseKey::Rsa { n: other_n, e: other_e, .. }) => {
                digits(n) == digits(other_n) && digits(&e.to_be_bytes()) == digits(other_e)
            }
            (PublicKey::Ecc { curve, x, y }, CoseKey::Ec2 { curve: other, x: other_x, y: other_y, .. }) => {
                curve == other && digits(x) == digits(other_x) && digits(y) == digits(other_y)
            }
            _ => false,
        }
    }
}

/// A number without its leading zeros.
fn digits(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}

/// The fields of a TPM's structure, read from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Bytes with their length before them.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A scheme or a derivation of keys: its algorithm, and if there is one its hash function.
    fn scheme(&mut self) -> Option<()> {
        if self.u16()? != ALG_NULL {
            self.u16()?;
        }
        Some(())
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
