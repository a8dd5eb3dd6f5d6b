//! What to register, and the result (WebAuthn L3 §5.1.3, CTAP 2.3 §6.1).

use core::time::Duration;

use crate::{
    attestation::Statement,
    auth_data::AuthData,
    cbor::{List, Reader, Text},
    client::{
        Cause, Conveyance, DEFAULT_TIMEOUT, PreferredWithoutUv, Requirement,
        extensions::{MakeExtensions, MakeResults},
    },
    ctap2::{
        CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, make_credential::Response, response_body,
    },
};

/// What to register.
#[derive(Clone, Copy, Debug)]
pub struct MakeOptions<'o> {
    /// SHA-256 of the client data.
    pub client_data_hash: &'o [u8; 32],
    /// The relying party.
    pub rp: RpEntity<'o>,
    /// The user; the handle has 1 to 64 bytes.
    pub user: UserEntity<'o>,
    /// Algorithms the relying party accepts, best first; at least one. Those of an unknown type and
    /// [`Algorithm::RESERVED`](crate::cose::Algorithm::RESERVED) are left out.
    pub pub_key_cred_params: List<'o, CredentialParameters<'o>>,
    /// Credentials that must not be on the authenticator.
    pub exclude_list: List<'o, CredentialDescriptor<'o>>,
    /// A discoverable credential. Preferred means: if the authenticator has them.
    pub resident_key: Requirement,
    /// User verification.
    pub user_verification: Requirement,
    /// What preferred user verification means when it is not set up.
    pub preferred_without_uv: PreferredWithoutUv,
    /// Enterprise attestation, 1: vendor-facilitated, 2: platform-managed; sent to authenticators where it is enabled.
    pub enterprise_attestation: Option<u32>,
    /// How much of the attestation is returned; for none, the outcome's format and statement are those of "none".
    pub attestation: Conveyance,
    /// Attestation formats the relying party prefers, best first (2.2).
    pub attestation_formats: List<'o, Text<'o>>,
    /// Extension inputs.
    pub extensions: MakeExtensions<'o>,
    /// How long the ceremony may take, the user's typing included.
    pub timeout: Duration,
}

impl<'o> MakeOptions<'o> {
    /// Options with the standard's defaults: nothing excluded, everything preferred or absent, [`DEFAULT_TIMEOUT`].
    pub const fn new(
        client_data_hash: &'o [u8; 32],
        rp: RpEntity<'o>,
        user: UserEntity<'o>,
        pub_key_cred_params: &'o [CredentialParameters<'o>],
    ) -> Self {
        Self {
            client_data_hash,
            rp,
            user,
            pub_key_cred_params: List::Slice(pub_key_cred_params),
            exclude_list: List::Slice(&[]),
            resident_key: Requirement::Discouraged,
            user_verification: Requirement::Preferred,
            preferred_without_uv: PreferredWithoutUv::Proceed,
            enterprise_attestation: None,
            attestation: Conveyance::Direct,
            attestation_formats: List::Slice(&[]),
            extensions: MakeExtensions::NONE,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// The result of a registration. Checked: the relying party, user presence, user verification where it was done or
/// required, the algorithm, the credential id, and the form of everything. Signatures are the relying party's to
/// verify.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attestation<'b> {
    /// The response as it came.
    pub response: Response<'b>,
    /// Its authenticator data, with attested credential data.
    pub auth_data: AuthData<'b>,
    /// Its attestation statement.
    pub statement: Statement<'b>,
    /// The results of the extensions.
    pub extensions: MakeResults<'b>,
}

impl<'b> Attestation<'b> {
    /// The attestation that a platform's API has obtained: `response` is a status byte and the CBOR of an answer to
    /// authenticatorMakeCredential ([`encode_response`](crate::ctap2::encode_response)). The results of extensions are
    /// those in it. Nothing is checked but the form.
    ///
    /// # Errors
    /// [`Cause::Status`], [`Cause::Decode`], [`Cause::EmptyResponse`].
    pub fn read(response: &'b [u8]) -> Result<Self, Cause> {
        Self::decode(response, true).map(|(attestation, _)| attestation)
    }

    /// Reads a response, and returns what lies behind it: nothing may if it `is_all`.
    pub(in crate::client) fn decode(response: &'b [u8], is_all: bool) -> Result<(Self, &'b [u8]), Cause> {
        let mut r = Reader::tolerant(response_body(response)?);
        r.is_alone = is_all;
        let response: Response<'_> = r.read_unique()?;
        let auth_data = AuthData::decode(response.auth_data)?;
        let statement = Statement::decode(response.fmt, response.att_stmt)?;
        let extensions = MakeResults::read(&response, &auth_data)?;
        Ok((Self { response, auth_data, statement, extensions }, r.rest()))
    }
}
