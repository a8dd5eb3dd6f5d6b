//! authenticatorCredentialManagement, 0x0A, and its prototype 0x41 with the same maps (CTAP 2.3 §6.8).

use super::{CredentialDescriptor, RpEntity, UserEntity};
use crate::{
    cbor::{Error, RawMap},
    cose::CoseKey,
    extensions::{cred_protect::Level, large_blob_key::LargeBlobKey},
    message,
};

subcommands! {
    GET_CREDS_METADATA = 0x01 "getCredsMetadata";
    ENUMERATE_RPS_BEGIN = 0x02 "enumerateRPsBegin";
    ENUMERATE_RPS_GET_NEXT_RP = 0x03 "enumerateRPsGetNextRP" "; needs no pinUvAuthParam";
    ENUMERATE_CREDENTIALS_BEGIN = 0x04 "enumerateCredentialsBegin";
    ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL = 0x05 "enumerateCredentialsGetNextCredential"
        "; needs no pinUvAuthParam";
    DELETE_CREDENTIAL = 0x06 "deleteCredential";
    UPDATE_USER_INFORMATION = 0x07 "updateUserInformation" " (2.1; the prototype may lack it)";
}

message! {
    /// The request.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct Request<'a> {
        /// One of [`subcommand`].
        0x01 => sub_command: required u32,
        /// Its parameters, as they came: pinUvAuthParam covers these bytes. [`Request::params`] reads them.
        0x02 => sub_command_params: optional RawMap<'a>,
        /// The PIN/UV auth protocol of the proof.
        0x03 => pin_uv_auth_protocol: optional u32,
        /// Proof of the permission `cm` over [`authenticated_head`] and the bytes of subCommandParams.
        0x04 => pin_uv_auth_param: optional &'a [u8],
    }
}

message! {
    /// Parameters of the subcommands.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub int struct Params<'a> {
        /// SHA-256 of the RP ID whose credentials are asked for.
        0x01 "rpIDHash" => rp_id_hash: optional &'a [u8; 32],
        /// The credential to be deleted or changed.
        0x02 "credentialID" => credential_id: optional CredentialDescriptor<'a>,
        /// The user as it shall be; a name that is absent or empty is deleted.
        0x03 => user: optional UserEntity<'a>,
    }
}

impl<'a> Request<'a> {
    /// The parameters of the subcommand; absent ones are an empty map.
    ///
    /// # Errors
    /// What is wrong in them, at an offset from their start.
    pub fn params(&self) -> Result<Params<'a>, Error> {
        super::params(self.sub_command_params, 0x02)
    }
}

/// What stands before the bytes of subCommandParams in the message that pinUvAuthParam authenticates.
pub const fn authenticated_head(sub_command: u32) -> [u8; 1] {
    [sub_command as u8]
}

message! {
    /// The response.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub int struct Response<'a> {
        /// Discoverable credentials there are.
        0x01 => existing_resident_credentials_count: optional u32,
        /// The most for which there is still room.
        0x02 => max_possible_remaining_resident_credentials_count: optional u32,
        /// A relying party.
        0x03 => rp: optional RpEntity<'a>,
        /// SHA-256 of its RP ID.
        0x04 "rpIDHash" => rp_id_hash: optional &'a [u8; 32],
        /// Relying parties there are; only in the first response.
        0x05 "totalRPs" => total_rps: optional u32,
        /// The user of a credential.
        0x06 => user: optional UserEntity<'a>,
        /// The credential.
        0x07 "credentialID" => credential_id: optional CredentialDescriptor<'a>,
        /// Its public key.
        0x08 => public_key: optional CoseKey<'a>,
        /// Credentials there are; only in the first response.
        0x09 => total_credentials: optional u32,
        /// The credential's protection.
        0x0A => cred_protect: optional Level,
        /// The credential's large-blob key.
        0x0B => large_blob_key: optional LargeBlobKey<'a>,
        /// Whether third parties may use the credential for payments (2.2).
        0x0C => third_party_payment: optional bool,
    }
}
