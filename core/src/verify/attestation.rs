//! The verification procedures of attestation statements (WebAuthn L3 §8).

use super::{Error, certificate::Certificate, signature};
use crate::{
    attestation::{Packed, RawStatement, Statement},
    auth_data::AttestedCredentialData,
    cbor::List,
    crypto::Verify,
};

/// What an attestation statement proves (WebAuthn L3 §6.5.3).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attestation<'a> {
    /// Nothing.
    None,
    /// That the credential's own key signed.
    SelfAttestation,
    /// That the key of the first of these certificates signed. Whether they lead to a trust anchor, and whether they are
    /// valid now, is not checked.
    Certificates(List<'a, &'a [u8]>),
}

/// Runs the verification procedure of `format` over the bytes of authenticator data and the hash of client data.
/// `credential` is the attested credential data in `auth_data`.
///
/// Errors: [`Error::Format`] for a format this version does not verify, [`Error::Statement`], [`Error::StatementNotEmpty`],
/// [`Error::AttestationAlgorithm`], [`Error::Certificate`], [`Error::CertificateKey`], [`Error::Aaguid`],
/// [`Error::Signature`], [`Error::Crypto`].
pub fn attestation<'a>(
    crypto: &impl Verify,
    format: &'a str,
    statement: RawStatement<'a>,
    auth_data: &[u8],
    credential: &AttestedCredentialData<'_>,
    client_data_hash: &[u8; 32],
) -> Result<Attestation<'a>, Error> {
    match Statement::decode(format, Some(statement)).map_err(Error::Statement)? {
        Statement::None if statement.is_empty() => Ok(Attestation::None),
        Statement::None => Err(Error::StatementNotEmpty),
        Statement::Packed(packed) => self::packed(crypto, &packed, auth_data, credential, client_data_hash),
        Statement::FidoU2f(_) | Statement::Compound(_) | Statement::Other { .. } => Err(Error::Format),
    }
}

/// WebAuthn L3 §8.2.
fn packed<'a>(
    crypto: &impl Verify,
    statement: &Packed<'a>,
    auth_data: &[u8],
    credential: &AttestedCredentialData<'_>,
    client_data_hash: &[u8; 32],
) -> Result<Attestation<'a>, Error> {
    let message = [auth_data, client_data_hash];
    let Some(x5c) = statement.x5c else {
        if statement.alg != credential.public_key.algorithm() {
            return Err(Error::AttestationAlgorithm);
        }
        signature(crypto, &credential.public_key, &message, statement.sig)?;
        return Ok(Attestation::SelfAttestation);
    };
    let leaf = x5c.iter().next().and_then(Certificate::parse).ok_or(Error::Certificate)?;
    let key = leaf.public_key(statement.alg).ok_or(Error::CertificateKey)?;
    signature(crypto, &key, &message, statement.sig)?;
    if !leaf.is_packed_attestation() {
        return Err(Error::Certificate);
    }
    if !leaf.attests(credential.aaguid) {
        return Err(Error::Aaguid);
    }
    Ok(Attestation::Certificates(x5c))
}
