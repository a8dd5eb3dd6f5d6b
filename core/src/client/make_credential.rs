//! A registration (WebAuthn L3 §5.1.3, CTAP 2.3 §6.1).

use core::{convert::Infallible, time::Duration};

use rand_core::CryptoRng;

use super::{
    Cause, Ceremony, Conveyance, DEFAULT_TIMEOUT, InvalidOption, PreferredWithoutUv, Requirement,
    authorization::Grant,
    ceremony::{Operation, Progress},
    descriptors,
    extensions::{MakeExtensions, MakeResults},
    facts::{Facts, Purpose},
};
use crate::{
    attestation::Statement,
    auth_data::{AuthData, Flags},
    cbor::{List, Text},
    crypto::{Crypto, Hash},
    ctap2::{
        Command, CredentialDescriptor, CredentialParameters, PUBLIC_KEY, RpEntity, UserEntity, decode_response,
        encode_request, get_info,
        make_credential::{Options, Request, Response},
    },
    pin_uv::Permissions,
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
    /// Algorithms the relying party accepts, best first; at least one.
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
    pub enterprise_attestation: Option<u64>,
    /// How much of the attestation is returned.
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

/// What came of a registration. Checked: the relying party, user presence, user verification where it was done or
/// required, the algorithm, the credential id, and the form of everything. Signatures are the relying party's to verify.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attestation<'b> {
    /// The response as it came.
    pub response: Response<'b>,
    /// Its authenticator data, with attested credential data.
    pub auth_data: AuthData<'b>,
    /// Its attestation statement.
    pub statement: Statement<'b>,
    /// What came of the extensions.
    pub extensions: MakeResults<'b>,
}

impl<'b> Attestation<'b> {
    fn decode(response: &'b [u8]) -> Result<Self, Cause> {
        let response: Response<'b> = decode_response(response)?;
        let auth_data = AuthData::decode(response.auth_data)?;
        let statement = Statement::decode(response.fmt, response.att_stmt)?;
        let extensions = MakeResults::read(&response, &auth_data)?;
        Ok(Self { response, auth_data, statement, extensions })
    }
}

/// The ceremony that registers a credential. Its outcome is an [`Attestation`].
pub type MakeCredential<'o, 'b, C, R> = Ceremony<'b, Registration<'o>, C, R>;

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> MakeCredential<'o, 'b, C, R> {
    /// A ceremony that has not begun. `buffer` has at least [`MIN_BUFFER`](super::MIN_BUFFER) bytes; with the
    /// authenticator's maxMsgSize every legal answer fits.
    pub fn new(options: &'o MakeOptions<'o>, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(Registration { options, resident_key: false, enterprise: false }, buffer, crypto, rng)
    }
}

/// The operation of [`MakeCredential`].
#[derive(Debug)]
pub struct Registration<'o> {
    options: &'o MakeOptions<'o>,
    /// A discoverable credential is asked for.
    resident_key: bool,
    /// Enterprise attestation is asked for.
    enterprise: bool,
}

impl Operation for Registration<'_> {
    type Outcome<'b>
        = Attestation<'b>
    where
        Self: 'b;
    type Item<'m> = Infallible;

    fn check(&self) -> Result<(), Cause> {
        let options = self.options;
        let params = &options.pub_key_cred_params;
        if options.rp.id.is_empty() {
            return Err(Cause::InvalidOption(InvalidOption::RpId));
        }
        // WebAuthn L3 §5.4.3
        if !(1..=64).contains(&options.user.id.len()) {
            return Err(Cause::InvalidOption(InvalidOption::UserId));
        }
        if params.is_empty() || !params.iter().all(|params| params.kind == PUBLIC_KEY) {
            return Err(Cause::InvalidOption(InvalidOption::Algorithms));
        }
        Ok(())
    }

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        let supported = facts.options.rk == Some(true);
        self.resident_key = match self.options.resident_key {
            Requirement::Required if !supported => return Err(Cause::ResidentKeyUnsupported),
            Requirement::Required => true,
            Requirement::Preferred => supported,
            Requirement::Discouraged => false,
        };
        if let Some(listed) = &info.algorithms {
            let offered = |wanted: CredentialParameters| listed.iter().any(|listed| listed == wanted);
            if !self.options.pub_key_cred_params.iter().any(offered) {
                return Err(Cause::NoCommonAlgorithm);
            }
        }
        self.enterprise = facts.options.ep == Some(true);
        descriptors::count(&self.options.exclude_list, facts).map(drop)
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose {
            permissions: Permissions::MC,
            rp_id: Some(self.options.rp.id),
            user_verification: self.options.user_verification,
            preferred_without_uv: self.options.preferred_without_uv,
            discoverable: self.resident_key,
        }
    }

    fn timeout(&self) -> Duration {
        self.options.timeout
    }

    fn request<C: Hash>(
        &self,
        crypto: &C,
        facts: &Facts,
        grant: Grant<'_>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        let options = self.options;
        let proof = grant.authenticate(crypto, &[options.client_data_hash]);
        let asked = Options { rk: self.resident_key.then_some(true), up: None, uv: grant.uv_option() };
        descriptors::encode_with(&options.exclude_list, facts, buffer, |exclude_list, buffer| {
            let request = Request {
                client_data_hash: options.client_data_hash,
                rp: options.rp,
                user: options.user,
                pub_key_cred_params: options.pub_key_cred_params,
                exclude_list: Some(exclude_list).filter(|list| !list.is_empty()),
                extensions: options.extensions.other.filter(|map| !map.is_empty()),
                options: Some(asked).filter(|asked| *asked != Options::default()),
                pin_uv_auth_param: proof.as_ref().map(|(param, _)| param.as_bytes()),
                pin_uv_auth_protocol: proof.as_ref().map(|(_, protocol)| *protocol),
                enterprise_attestation: options.enterprise_attestation.filter(|_| self.enterprise),
                attestation_formats_preference: Some(options.attestation_formats).filter(|formats| !formats.is_empty()),
            };
            encode_request(Command::MAKE_CREDENTIAL, &request, buffer)
        })
    }

    fn accept<C: Hash>(&mut self, crypto: &C, response: &[u8], verified: bool) -> Result<Progress, Cause> {
        let Attestation { auth_data, .. } = Attestation::decode(response)?;
        check_auth_data(crypto, &auth_data, self.options.rp.id, verified)?;
        let attested = auth_data.attested_credential_data.ok_or(Cause::AttestedCredentialDataMissing)?;
        if attested.credential_id.is_empty() {
            return Err(Cause::InvalidCredentialId); // more than 1,023 bytes do not decode
        }
        let algorithm = attested.public_key.algorithm();
        if !self.options.pub_key_cred_params.iter().any(|asked| asked.algorithm == algorithm) {
            return Err(Cause::AlgorithmMismatch);
        }
        Ok(Progress::Complete)
    }

    fn outcome<'b>(self, responses: &'b [u8]) -> Result<Attestation<'b>, Cause>
    where
        Self: 'b,
    {
        Attestation::decode(responses)
    }
}

/// The checks that registrations and assertions share (WebAuthn L3 §7.1, §7.2).
pub(super) fn check_auth_data<C: Hash>(
    crypto: &C,
    auth_data: &AuthData<'_>,
    rp_id: &str,
    verified: bool,
) -> Result<(), Cause> {
    if *auth_data.rp_id_hash != crypto.sha256(&[rp_id.as_bytes()]) {
        return Err(Cause::RpIdHashMismatch);
    }
    if !auth_data.flags.has(Flags::UP) {
        return Err(Cause::UserNotPresent);
    }
    if verified && !auth_data.flags.has(Flags::UV) {
        return Err(Cause::UserNotVerified);
    }
    Ok(())
}
