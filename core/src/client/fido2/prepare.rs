//! From what a relying party asks for to what a ceremony takes (WebAuthn L3 §5.1.3 and §5.1.4, up to the
//! authenticator).

use super::ClientPolicy;
use crate::{
    bytes,
    cbor::{List, Overflow, Text},
    client::{
        Cause, Conveyance, Error, GetOptions, InvalidOption, MakeOptions, Requirement, Stage,
        extensions::{GetExtensions, MakeExtensions},
    },
    cose::Algorithm,
    crypto::Hash,
    ctap2::{CredentialParameters, RpEntity},
    webauthn::{Attachment, ClientDataCollector, ClientDataType, CreationOptions, OriginError, RequestOptions},
};

/// What an empty list of algorithms means (WebAuthn L3 §5.1.3 step 9).
const DEFAULT_PARAMETERS: &[CredentialParameters<'static>] =
    &[CredentialParameters::new(Algorithm::ES256), CredentialParameters::new(Algorithm::RS256)];

/// What goes to the authenticator where no attestation is wanted.
const NO_ATTESTATION: &[Text<'static>] = &[Text::new("none")];

/// A registration that may begin.
#[derive(Clone, Copy, Debug)]
pub struct PreparedCreation<'o> {
    /// The client data, as the relying party gets it.
    pub client_data_json: &'o [u8],
    /// The options for the authenticator.
    pub options: MakeOptions<'o>,
    /// How the authenticator is to be attached, for clients that reach several.
    pub attachment: Option<Attachment>,
    /// Which authenticator the user will probably use: see [`CreationOptions::hints`].
    pub hints: List<'o, Text<'o>>,
}

impl<'o> PreparedCreation<'o> {
    /// Checks the origin and writes the client data to `buffer`, which takes that, the RP ID and 32 bytes.
    ///
    /// # Errors
    /// At [`Stage::Options`]: [`Cause::InvalidOption`] with [`InvalidOption::Origin`], [`InvalidOption::RpId`],
    /// [`InvalidOption::AppId`] or [`InvalidOption::Extensions`]; [`Cause::AttachmentMismatch`] by
    /// [`ClientPolicy::attachment`]; [`Cause::BufferTooSmall`].
    pub fn new(
        options: &CreationOptions<'o>,
        collector: &impl ClientDataCollector,
        policy: &ClientPolicy<'_>,
        crypto: &impl Hash,
        buffer: &'o mut [u8],
    ) -> Result<Self, Error> {
        let collected =
            Collected::write(ClientDataType::Create, options.rp.id, options.challenge, collector, crypto, buffer)?;
        let extensions = MakeExtensions::of_options(options.extensions).map_err(invalid)?;
        check_app_id(collector, extensions.app_id_exclude)?;
        let selection = options.authenticator_selection.unwrap_or_default();
        let hints = options.hints.unwrap_or(List::Slice(&[]));
        if !policy.serves(selection.attachment, hints.iter().map(|hint| hint.as_str())) {
            return Err(Error::new(Stage::Options, Cause::AttachmentMismatch));
        }
        let attestation = options.attestation.unwrap_or_default();
        let listed = options.pub_key_cred_params;
        let options = MakeOptions {
            client_data_hash: collected.hash,
            rp: RpEntity { id: collected.rp_id, name: Some(options.rp.name) },
            user: options.user,
            pub_key_cred_params: if listed.is_empty() { List::Slice(DEFAULT_PARAMETERS) } else { listed },
            exclude_list: options.exclude_credentials.unwrap_or(List::Slice(&[])),
            resident_key: selection.resident_key(),
            user_verification: selection.user_verification.unwrap_or(Requirement::Preferred),
            preferred_without_uv: policy.preferred_without_uv,
            enterprise_attestation: match attestation {
                Conveyance::Enterprise => policy.enterprise(collected.rp_id),
                _ => None,
            },
            attestation: if policy.scrub_attestation { attestation } else { Conveyance::Direct },
            attestation_formats: match attestation {
                // Step 11 of WebAuthn L3 §5.1.3: none is wanted, whatever formats are listed.
                Conveyance::None if policy.scrub_attestation => List::Slice(NO_ATTESTATION),
                _ => options.attestation_formats.unwrap_or(List::Slice(&[])),
            },
            extensions,
            timeout: policy.timeout(options.timeout),
        };
        Ok(Self { client_data_json: collected.json, options, attachment: selection.attachment, hints })
    }
}

/// A sign-in that may begin.
#[derive(Clone, Copy, Debug)]
pub struct PreparedRequest<'o> {
    /// The client data, as the relying party gets it.
    pub client_data_json: &'o [u8],
    /// The options for the authenticator.
    pub options: GetOptions<'o>,
    /// Which authenticator the user will probably use: see [`CreationOptions::hints`].
    pub hints: List<'o, Text<'o>>,
}

impl<'o> PreparedRequest<'o> {
    /// Checks the origin and writes the client data to `buffer`, which has the size that [`PreparedCreation::new`] names.
    ///
    /// # Errors
    /// As in [`PreparedCreation::new`].
    pub fn new(
        options: &RequestOptions<'o>,
        collector: &impl ClientDataCollector,
        policy: &ClientPolicy<'_>,
        crypto: &impl Hash,
        buffer: &'o mut [u8],
    ) -> Result<Self, Error> {
        let collected =
            Collected::write(ClientDataType::Get, options.rp_id, options.challenge, collector, crypto, buffer)?;
        let extensions = GetExtensions::of_options(options.extensions).map_err(invalid)?;
        check_app_id(collector, extensions.app_id)?;
        let hints = options.hints.unwrap_or(List::Slice(&[]));
        let options = GetOptions {
            allow_list: options.allow_credentials.unwrap_or(List::Slice(&[])),
            user_verification: options.user_verification.unwrap_or(Requirement::Preferred),
            preferred_without_uv: policy.preferred_without_uv,
            extensions,
            timeout: policy.timeout(options.timeout),
            ..GetOptions::new(collected.rp_id, collected.hash)
        };
        Ok(Self { client_data_json: collected.json, options, hints })
    }
}

fn invalid(option: InvalidOption) -> Error {
    Error::new(Stage::Options, Cause::InvalidOption(option))
}

fn check_app_id(collector: &impl ClientDataCollector, app_id: Option<&str>) -> Result<(), Error> {
    app_id.map_or(Ok(()), |app_id| collector.check_app_id(app_id).map_err(|error| invalid(error.into())))
}

/// What the collector says, in the caller's buffer.
struct Collected<'o> {
    json: &'o [u8],
    rp_id: &'o str,
    hash: &'o [u8; 32],
}

impl<'o> Collected<'o> {
    fn write(
        kind: ClientDataType,
        requested: Option<&str>,
        challenge: &[u8],
        collector: &impl ClientDataCollector,
        crypto: &impl Hash,
        buffer: &'o mut [u8],
    ) -> Result<Self, Error> {
        let rp_id = collector.rp_id(requested).map_err(|error| invalid(error.into()))?;
        let written = collector.write(kind, challenge, buffer);
        let len = *written.as_ref().unwrap_or_else(|Overflow { needed }| needed);
        let needed = len.saturating_add(rp_id.len()).saturating_add(32);
        let too_small = Error::new(Stage::Options, Cause::BufferTooSmall { needed });
        if written.is_err() || buffer.len() < needed {
            return Err(too_small);
        }
        let (json, rest) = bytes::split_mut(buffer, len);
        let (name, rest) = bytes::split_mut(rest, rp_id.len());
        let (hash, _) = rest.split_first_chunk_mut().ok_or(too_small)?;
        bytes::copy(name, rp_id.as_bytes());
        *hash = crypto.sha256(&[json]);
        Ok(Self { json, rp_id: bytes::text(name), hash })
    }
}

impl From<OriginError> for InvalidOption {
    fn from(error: OriginError) -> Self {
        match error {
            OriginError::Origin => Self::Origin,
            OriginError::RpId => Self::RpId,
            OriginError::AppId => Self::AppId,
        }
    }
}
