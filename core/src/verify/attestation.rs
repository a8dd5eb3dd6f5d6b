//! The verification procedures of attestation statements (WebAuthn L3 §8).

use super::{Error, RelyingPartyPolicy, certificate::Certificate, signature};
#[cfg(feature = "platform-attestation")]
use crate::attestation::Element;
use crate::{
    attestation::{FidoU2f, Packed, RawStatement, Statement},
    auth_data::AttestedCredentialData,
    bytes,
    cbor::List,
    cose::{Algorithm, CoseKey, Curve},
    crypto::{Hash, Verify},
};

/// What an attestation statement proves (WebAuthn L3 §6.5.3).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum AttestationType<'a> {
    /// Nothing.
    None,
    /// That the credential's own key signed.
    SelfAttestation,
    /// That the key of the first of these certificates signed. [`attestation`] does not check whether the certificates
    /// lead to a trust anchor and are valid now.
    Certificates(List<'a, &'a [u8]>),
    /// What each of these statements proves, all of which verify. [`Element::decode`] reads a statement, and
    /// [`Statement::x5c`] has its certificates.
    #[cfg(feature = "platform-attestation")]
    Compound(List<'a, Element<'a>>),
}

impl AttestationType<'_> {
    /// Whether a policy accepts a registration with this attestation.
    pub(super) fn is_accepted(&self, policy: &RelyingPartyPolicy) -> bool {
        match self {
            Self::None => policy.accept_none,
            Self::SelfAttestation => policy.accept_self,
            Self::Certificates(_) => true,
            #[cfg(feature = "platform-attestation")]
            Self::Compound(elements) => elements.iter().any(|element| match element.decode() {
                Ok(Statement::None) | Err(_) => policy.accept_none,
                Ok(statement) => statement.x5c().is_some() || policy.accept_self,
            }),
        }
    }
}

/// Runs the verification procedure of `format` over the bytes of authenticator data and the hash of client data.
/// `credential` is the attested credential data in `auth_data`.
///
/// # Errors
/// [`Error::Format`] for a format this version does not verify, [`Error::Retired`], [`Error::Statement`],
/// [`Error::StatementNotEmpty`], [`Error::AttestationAlgorithm`], [`Error::Certificate`], [`Error::CertificateKey`],
/// [`Error::CredentialKey`], [`Error::AttestedKey`], [`Error::AttestedData`], [`Error::PublicArea`], [`Error::CertInfo`],
/// [`Error::KeyDescription`], [`Error::KeyAuthorization`], [`Error::Aaguid`], [`Error::Signature`], [`Error::Crypto`].
pub fn attestation<'a>(
    crypto: &(impl Hash + Verify),
    format: &'a str,
    statement: RawStatement<'a>,
    auth_data: &[u8],
    credential: &AttestedCredentialData<'_>,
    client_data_hash: &[u8; 32],
) -> Result<AttestationType<'a>, Error> {
    match Statement::decode(format, Some(statement)).map_err(Error::Statement)? {
        #[cfg(feature = "platform-attestation")]
        Statement::Compound(elements) => {
            for element in &elements {
                let read = element.decode().map_err(Error::Statement)?;
                single(crypto, &read, element.statement, auth_data, credential, client_data_hash)?;
            }
            Ok(AttestationType::Compound(elements))
        }
        read => single(crypto, &read, statement, auth_data, credential, client_data_hash),
    }
}

/// The procedure of every format but "compound". `read` is what `statement` says.
fn single<'a>(
    crypto: &(impl Hash + Verify),
    read: &Statement<'a>,
    statement: RawStatement<'a>,
    auth_data: &[u8],
    credential: &AttestedCredentialData<'_>,
    client_data_hash: &[u8; 32],
) -> Result<AttestationType<'a>, Error> {
    match read {
        Statement::None if statement.is_empty() => Ok(AttestationType::None),
        Statement::None => Err(Error::StatementNotEmpty),
        Statement::Packed(packed) => self::packed(crypto, packed, auth_data, credential, client_data_hash),
        Statement::FidoU2f(u2f) => fido_u2f(crypto, u2f, auth_data, credential, client_data_hash),
        #[cfg(feature = "platform-attestation")]
        Statement::Tpm(tpm) => super::tpm::tpm(crypto, tpm, auth_data, credential, client_data_hash),
        #[cfg(feature = "platform-attestation")]
        Statement::AndroidKey(android_key) => {
            super::android_key::android_key(crypto, android_key, auth_data, credential, client_data_hash)
        }
        #[cfg(feature = "platform-attestation")]
        Statement::Apple(apple) => super::apple::apple(crypto, apple, auth_data, credential, client_data_hash),
        #[cfg(feature = "platform-attestation")]
        Statement::AndroidSafetyNet(_) => Err(Error::Retired),
        Statement::Compound(_) | Statement::Other { .. } => Err(Error::Format),
    }
}

/// WebAuthn L3 §8.2.
fn packed<'a>(
    crypto: &impl Verify,
    statement: &Packed<'a>,
    auth_data: &[u8],
    credential: &AttestedCredentialData<'_>,
    client_data_hash: &[u8; 32],
) -> Result<AttestationType<'a>, Error> {
    let message = [auth_data, client_data_hash];
    let Some(x5c) = statement.x5c else {
        if statement.alg != credential.public_key.algorithm() {
            return Err(Error::AttestationAlgorithm);
        }
        signature(crypto, &credential.public_key, &message, statement.sig)?;
        return Ok(AttestationType::SelfAttestation);
    };
    certified(crypto, statement, x5c, &message, credential)
}

/// The same with a certificate. A separate function, so that the certificate is not on the stack of self attestation.
#[inline(never)]
fn certified<'a>(
    crypto: &impl Verify,
    statement: &Packed<'a>,
    x5c: List<'a, &'a [u8]>,
    message: &[&[u8]],
    credential: &AttestedCredentialData<'_>,
) -> Result<AttestationType<'a>, Error> {
    let leaf = x5c.iter().next().and_then(Certificate::parse).ok_or(Error::Certificate)?;
    let key = leaf.public_key(statement.alg).ok_or(Error::CertificateKey)?;
    signature(crypto, &key, message, statement.sig)?;
    if !leaf.is_packed_attestation() {
        return Err(Error::Certificate);
    }
    if !leaf.attests(credential.aaguid) {
        return Err(Error::Aaguid);
    }
    Ok(AttestationType::Certificates(x5c))
}

/// WebAuthn L3 §8.6.
#[inline(never)]
fn fido_u2f<'a>(
    crypto: &impl Verify,
    statement: &FidoU2f<'a>,
    auth_data: &[u8],
    credential: &AttestedCredentialData<'_>,
    client_data_hash: &[u8; 32],
) -> Result<AttestationType<'a>, Error> {
    // 2.
    if statement.x5c.len() != 1 {
        return Err(Error::Certificate);
    }
    let leaf = statement.x5c.iter().next().and_then(Certificate::parse).ok_or(Error::Certificate)?;
    let key = leaf.public_key(Algorithm::ES256).ok_or(Error::CertificateKey)?;
    // 4. The signature does not cover the key's algorithm, and the signing procedure of U2F uses only ES256.
    let CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P256, x, y } = credential.public_key else {
        return Err(Error::CredentialKey);
    };
    if (x.len(), y.len()) != (32, 32) {
        return Err(Error::CredentialKey);
    }
    // 5.
    let rp_id_hash = bytes::front(auth_data, 32);
    let message: [&[u8]; 7] = [&[0], rp_id_hash, client_data_hash, credential.credential_id, &[4], x, y];
    // 6.
    signature(crypto, &key, &message, statement.sig)?;
    Ok(AttestationType::Certificates(statement.x5c))
}
