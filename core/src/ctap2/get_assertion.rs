//! authenticatorGetAssertion, 0x02, and authenticatorGetNextAssertion, 0x08 (CTAP 2.3 §6.2, §6.3).

use super::{CommandOptions, CredentialDescriptor, UserEntity};
use crate::{
    cbor::{List, RawMap},
    extensions::large_blob_key::LargeBlobKey,
    message,
};

message! {
    /// The request of authenticatorGetAssertion; authenticatorGetNextAssertion has none.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct Request<'a> {
        /// The RP ID.
        0x01 => rp_id: required &'a str,
        /// SHA-256 of the client data.
        0x02 => client_data_hash: required &'a [u8; 32],
        /// Credentials that may be used; absent means any discoverable one.
        0x03 => allow_list: optional List<'a, CredentialDescriptor<'a>>,
        /// Extension inputs, text keys.
        0x04 => extensions: optional RawMap<'a>,
        /// Options.
        0x05 => options: optional CommandOptions,
        /// Proof of user verification over clientDataHash.
        0x06 => pin_uv_auth_param: optional &'a [u8],
        /// The PIN/UV auth protocol of the proof.
        0x07 => pin_uv_auth_protocol: optional u32,
    }
}

message! {
    /// The response, the same for both commands.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct Response<'a> {
        /// The credential; may be absent (2.0) when the allow list had one entry.
        0x01 => credential: optional CredentialDescriptor<'a>,
        /// Authenticator data ([`crate::auth_data::AuthData`]).
        0x02 => auth_data: required &'a [u8],
        /// The signature over authData and clientDataHash.
        0x03 => signature: required &'a [u8],
        /// The user, of a discoverable credential.
        0x04 => user: optional UserEntity<'a>,
        /// How many credentials there are; only in the first response, only when more than one.
        0x05 => number_of_credentials: optional u32,
        /// Whether the user chose on the authenticator (2.1).
        0x06 => user_selected: optional bool,
        /// The credential's large-blob key (2.1).
        0x07 => large_blob_key: optional LargeBlobKey<'a>,
        /// Extension outputs that are not signed (2.2).
        0x08 => unsigned_extension_outputs: optional RawMap<'a>,
    }
}
