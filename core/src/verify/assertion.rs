//! Verifying an authentication assertion (WebAuthn L3 §7.2).

use super::{Error, Expected, auth_data, check, client_data, signature};
use crate::{
    auth_data::{AuthData, Flags},
    cose::CoseKey,
    crypto::{Hash, Verify},
    webauthn::ClientDataType,
};

/// A stored credential.
#[derive(Clone, Copy, Debug)]
pub struct StoredCredential<'a> {
    /// Its id.
    pub id: &'a [u8],
    /// Its public key.
    pub public_key: CoseKey<'a>,
    /// The signature counter of its last use.
    pub sign_count: u32,
    /// The user handle of the account. An empty one names no account: its credential is accepted only where
    /// [`Expected::user_handle`] states the account.
    pub user_handle: &'a [u8],
    /// Whether it was backup eligible at registration. `None` if that is not known.
    pub backup_eligible: Option<bool>,
}

/// A client's response to an authentication.
#[derive(Clone, Copy, Debug)]
pub struct AssertionResponse<'a> {
    /// The id of the credential that signed.
    pub credential_id: &'a [u8],
    /// The client data, byte for byte as it was hashed.
    pub client_data_json: &'a [u8],
    /// The authenticator data.
    pub authenticator_data: &'a [u8],
    /// The signature over authenticator data and the hash of client data.
    pub signature: &'a [u8],
    /// The user handle that the authenticator returned, if any. An empty one counts as none, because clients send
    /// `null` for an empty user id and some send `""` when there is none.
    pub user_handle: Option<&'a [u8]>,
}

/// An assertion that passed every check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VerifiedAssertion<'a> {
    /// The counter and the backup state to store, whether the user was verified, and extension outputs.
    pub auth_data: AuthData<'a>,
}

/// Verifies the response to an authentication against the credential stored under its id.
///
/// [`Error::SignCount`] comes after every other check.
///
/// ```
/// use keyfob_core::verify::{self, AssertionResponse, Expected, RelyingPartyPolicy, StoredCredential};
/// use keyfob_core::crypto::RustCrypto;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # use keyfob_core::{auth_data::AuthData, ctap2::{decode_response, get_assertion, make_credential}};
/// # let (challenge, registered, signed) = (hex(GET_CHALLENGE), hex(REGISTRATION), hex(SIGN_IN));
/// # let registered: make_credential::Response<'_> = decode_response(&registered).unwrap();
/// # let registered = AuthData::decode(registered.auth_data).unwrap().attested_credential_data.unwrap();
/// # let signed: get_assertion::Response<'_> = decode_response(&signed).unwrap();
/// let credential = StoredCredential {
///     id: registered.credential_id,
///     public_key: registered.public_key,
///     sign_count: 0,
///     user_handle: b"user-0001",
///     backup_eligible: Some(true),
/// };
/// let response = AssertionResponse {
///     credential_id: registered.credential_id,
///     client_data_json: GET_CLIENT_DATA,
///     authenticator_data: signed.auth_data,
///     signature: signed.signature,
///     user_handle: None,
/// };
/// let expected = Expected {
///     challenge: &challenge,
///     origins: &["https://example.org"],
///     top_origins: None,
///     rp_id: "example.org",
///     user_presence: true,
///     user_verification: false,
///     algorithms: &[],
///     allow_credentials: &[registered.credential_id],
///     user_handle: Some(b"user-0001"),
///     policy: RelyingPartyPolicy::STANDARD,
/// };
/// let verified = verify::assertion(&RustCrypto, &expected, &credential, &response)?;
/// assert_eq!(verified.auth_data.sign_count, 0); // to store
/// # Ok::<(), verify::Error>(())
/// ```
///
/// # Errors
/// The check that failed.
pub fn assertion<'a>(
    crypto: &(impl Hash + Verify),
    expected: &Expected<'_>,
    credential: &StoredCredential<'_>,
    response: &AssertionResponse<'a>,
) -> Result<VerifiedAssertion<'a>, Error> {
    // 5.
    let asked_for =
        expected.allow_credentials.is_empty() || expected.allow_credentials.contains(&response.credential_id);
    check(asked_for && response.credential_id == credential.id, Error::CredentialId)?;
    // 6.
    let known = expected.user_handle;
    check(known.is_none_or(|handle| handle == credential.user_handle), Error::UserHandle)?;
    let returned = response.user_handle.filter(|handle| !handle.is_empty());
    let named = known.is_some() || returned.is_some();
    check(named && returned.is_none_or(|handle| handle == credential.user_handle), Error::UserHandle)?;
    // 8. to 14.
    client_data(expected, ClientDataType::Get, response.client_data_json)?;
    // 15. to 18.
    let parsed = AuthData::decode(response.authenticator_data).map_err(Error::AuthData)?;
    auth_data(crypto, expected, &parsed)?;
    // 19.
    let backup_eligible = parsed.flags.has(Flags::BE);
    let rule = expected.policy.backup_eligibility;
    let stays = credential.backup_eligible.is_none_or(|stored| rule.allows(stored, backup_eligible));
    check(stays, Error::BackupEligibility)?;
    // 20.
    let client_data_hash = crypto.sha256(&[response.client_data_json]);
    // 21.
    let message: [&[u8]; 2] = [response.authenticator_data, &client_data_hash];
    signature(crypto, &credential.public_key, &message, response.signature)?;
    // 22.
    let (stored, received) = (credential.sign_count, parsed.sign_count);
    let rises = (stored, received) == (0, 0) || received > stored;
    check(rises || expected.policy.accept_falling_counter, Error::SignCount { stored, received })?;
    Ok(VerifiedAssertion { auth_data: parsed })
}
