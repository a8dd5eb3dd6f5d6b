//! authenticatorMakeCredential, 0x01 (CTAP 2.3 §6.1).

use super::{CommandOptions, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use crate::{
    attestation::RawStatement,
    cbor::{List, RawMap, Text},
    extensions::large_blob_key::LargeBlobKey,
    message,
};

message! {
    /// The request.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct Request<'a> {
        /// SHA-256 of the client data.
        0x01 => client_data_hash: required &'a [u8; 32],
        /// The relying party.
        0x02 => rp: required RpEntity<'a>,
        /// The user.
        0x03 => user: required UserEntity<'a>,
        /// Algorithms the relying party accepts, best first.
        0x04 => pub_key_cred_params: required List<'a, CredentialParameters<'a>>,
        /// Credentials that must not be on this authenticator.
        0x05 => exclude_list: optional List<'a, CredentialDescriptor<'a>>,
        /// Extension inputs, text keys.
        0x06 => extensions: optional RawMap<'a>,
        /// Options.
        0x07 => options: optional CommandOptions,
        /// Proof of user verification over clientDataHash.
        0x08 => pin_uv_auth_param: optional &'a [u8],
        /// The PIN/UV auth protocol of the proof.
        0x09 => pin_uv_auth_protocol: optional u32,
        /// 1: vendor-facilitated, 2: platform-managed (2.1).
        0x0A => enterprise_attestation: optional u32,
        /// Attestation formats the relying party prefers, best first (2.2).
        0x0B => attestation_formats_preference: optional List<'a, Text<'a>>,
    }
}

message! {
    /// The response.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct Response<'a> {
        /// The attestation statement's format.
        0x01 => fmt: required &'a str,
        /// Authenticator data ([`crate::auth_data::AuthData`]).
        0x02 => auth_data: required &'a [u8],
        /// The attestation statement, read by [`Statement::decode`](crate::attestation::Statement::decode); optional
        /// since 2.2.
        0x03 => att_stmt: optional RawStatement<'a>,
        /// Whether enterprise attestation was given (2.1).
        0x04 => ep_att: optional bool,
        /// The credential's large-blob key (2.1).
        0x05 => large_blob_key: optional LargeBlobKey<'a>,
        /// Extension outputs that are not signed (2.2).
        0x06 => unsigned_extension_outputs: optional RawMap<'a>,
    }
}
