//! The verification procedure of the format "android-key" (WebAuthn L3 §8.4).
//!
//! ```text
//! KeyDescription     SEQUENCE { version INTEGER, level ENUMERATED, version INTEGER, level ENUMERATED,
//!                               attestationChallenge OCTET STRING, uniqueId OCTET STRING,
//!                               softwareEnforced AuthorizationList, teeEnforced AuthorizationList }
//! AuthorizationList  SEQUENCE { [1] purpose SET OF INTEGER, .. [600] allApplications NULL, .. [702] origin INTEGER, .. }
//! ```

use super::{
    AttestationType, Error,
    certificate::Certificate,
    check,
    der::{Der, ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, SET},
    signature,
};
use crate::{attestation::AndroidKey, auth_data::AttestedCredentialData, crypto::Verify};

/// The extension with the key's description, 1.3.6.1.4.1.11129.2.1.17.
const KEY_DESCRIPTION: &[u8] = b"\x2B\x06\x01\x04\x01\xD6\x79\x02\x01\x11";
const PURPOSE: u16 = 1;
const ALL_APPLICATIONS: u16 = 600;
const ORIGIN: u16 = 702;
/// KM_PURPOSE_SIGN.
const SIGN: u64 = 2;
/// KM_ORIGIN_GENERATED.
const GENERATED: u64 = 0;

#[inline(never)]
pub(super) fn android_key<'a>(
    crypto: &impl Verify,
    statement: &AndroidKey<'a>,
    auth_data: &[u8],
    credential: &AttestedCredentialData<'_>,
    client_data_hash: &[u8; 32],
) -> Result<AttestationType<'a>, Error> {
    // 2.
    let leaf = statement.x5c.iter().next().and_then(Certificate::parse).ok_or(Error::Certificate)?;
    let key = leaf.public_key(statement.alg).ok_or(Error::CertificateKey)?;
    signature(crypto, &key, &[auth_data, client_data_hash], statement.sig)?;
    // 3.
    let key = leaf.public_key(credential.public_key.algorithm());
    check(key == Some(credential.public_key), Error::AttestedKey)?;
    // 4.
    let description = KeyDescription::parse(&leaf).ok_or(Error::KeyDescription)?;
    check(description.challenge == client_data_hash, Error::AttestedData)?;
    // 5. A key outside of the trusted environment can be copied, and anybody can make it.
    let (software, tee) = (&description.software_enforced, &description.tee_enforced);
    let is_bound = !software.all_applications && !tee.all_applications;
    check(is_bound && tee.origin == Some(GENERATED) && tee.signs, Error::KeyAuthorization)?;
    Ok(AttestationType::Certificates(statement.x5c))
}

/// What the certificate says of its key.
struct KeyDescription<'a> {
    challenge: &'a [u8],
    software_enforced: AuthorizationList,
    tee_enforced: AuthorizationList,
}

impl<'a> KeyDescription<'a> {
    fn parse(leaf: &Certificate<'a>) -> Option<Self> {
        let mut value = leaf.value(KEY_DESCRIPTION)?;
        let mut sequence = value.take(SEQUENCE)?;
        value.end()?;
        for tag in [INTEGER, ENUMERATED, INTEGER, ENUMERATED] {
            sequence.take(tag)?;
        }
        let challenge = sequence.take(OCTET_STRING)?.0;
        sequence.take(OCTET_STRING)?; // uniqueId
        let software_enforced = AuthorizationList::parse(sequence.take(SEQUENCE)?)?;
        let tee_enforced = AuthorizationList::parse(sequence.take(SEQUENCE)?)?;
        sequence.end()?;
        Some(Self { challenge, software_enforced, tee_enforced })
    }
}

/// What holds for a key.
#[derive(Default)]
struct AuthorizationList {
    /// Whether signing is among its purposes.
    signs: bool,
    /// Whether every application may use it.
    all_applications: bool,
    /// Where it comes from.
    origin: Option<u64>,
}

impl AuthorizationList {
    fn parse(mut list: Der<'_>) -> Option<Self> {
        let mut parsed = Self::default();
        while !list.0.is_empty() {
            let (number, mut contents) = list.tagged()?;
            match number {
                PURPOSE => {
                    let mut purposes = contents.take(SET)?;
                    while !purposes.0.is_empty() {
                        parsed.signs |= purposes.number()? == SIGN;
                    }
                }
                ALL_APPLICATIONS => parsed.all_applications = true,
                ORIGIN => parsed.origin = Some(contents.number()?),
                _ => {}
            }
        }
        Some(parsed)
    }
}
