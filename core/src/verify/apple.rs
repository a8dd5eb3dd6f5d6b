//! The verification procedure of the format "apple" (WebAuthn L3 §8.8).

use super::{
    AttestationType, Error,
    certificate::Certificate,
    check,
    der::{OCTET_STRING, SEQUENCE},
};
use crate::{attestation::Apple, auth_data::AttestedCredentialData, crypto::Hash};

/// The extension with the nonce, 1.2.840.113635.100.8.2.
const NONCE: &[u8] = b"\x2A\x86\x48\x86\xF7\x63\x64\x08\x02";

#[inline(never)]
pub(super) fn apple<'a>(
    crypto: &impl Hash,
    statement: &Apple<'a>,
    auth_data: &[u8],
    credential: &AttestedCredentialData<'_>,
    client_data_hash: &[u8; 32],
) -> Result<AttestationType<'a>, Error> {
    let leaf = statement.x5c.iter().next().and_then(Certificate::parse).ok_or(Error::Certificate)?;
    // 2., 3.
    let nonce = crypto.sha256(&[auth_data, client_data_hash]);
    // 4.
    let attested = nonce_of(&leaf).ok_or(Error::Certificate)?;
    check(attested == nonce, Error::AttestedData)?;
    // 5.
    let key = leaf.public_key(credential.public_key.algorithm());
    check(key == Some(credential.public_key), Error::AttestedKey)?;
    Ok(AttestationType::Certificates(statement.x5c))
}

/// The nonce in `SEQUENCE { [1] { OCTET STRING } }`.
fn nonce_of<'a>(leaf: &Certificate<'a>) -> Option<&'a [u8]> {
    let mut value = leaf.value(NONCE)?;
    let mut sequence = value.take(SEQUENCE)?;
    let Some((1, mut field)) = sequence.tagged() else { return None };
    let nonce = field.take(OCTET_STRING)?;
    field.end().and(sequence.end()).and(value.end()).map(|()| nonce.0)
}
