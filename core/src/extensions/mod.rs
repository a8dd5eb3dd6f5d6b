//! Extensions (CTAP 2.3 §12). Each extension has a file with its identifier, its inputs and its outputs; this file has
//! the maps that hold them.
//!
//! A message keeps its `extensions` member as a [`RawMap`], with unknown extensions; [`RawMap::decode`] reads the known
//! ones into these maps. All members of the maps are optional, in canonical order.
//!
//! To add an extension, add a file, and a row in each map in which the extension appears.

#[cfg(doc)]
use crate::cbor::RawMap;
use crate::message;

pub mod cred_blob;
pub mod cred_protect;
pub mod hmac_secret;
pub mod large_blob;
pub mod large_blob_key;
pub mod min_pin_length;
pub mod pin_complexity_policy;
pub mod third_party_payment;
pub mod uvm;

message! {
    /// Extension inputs of authenticatorMakeCredential.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub text struct MakeCredentialInputs<'a> {
        /// [`uvm`].
        b"uvm" => uvm: optional bool,
        /// [`cred_blob`]: the blob to be stored.
        b"credBlob" => cred_blob: optional &'a [u8],
        /// [`large_blob`]: whether the credential must be able to have one.
        b"largeBlob" => large_blob: optional large_blob::MakeCredentialInput<'a>,
        /// [`cred_protect`]: the protection asked for.
        b"credProtect" => cred_protect: optional cred_protect::Level,
        /// [`hmac_secret`]: whether to make the credential's secrets.
        b"hmac-secret" => hmac_secret: optional bool,
        /// [`large_blob_key`]: whether to make a key.
        b"largeBlobKey" => large_blob_key: optional bool,
        /// [`min_pin_length`].
        b"minPinLength" => min_pin_length: optional bool,
        /// [`hmac_secret`], evaluated in the registration (2.2).
        b"hmac-secret-mc" => hmac_secret_mc: optional hmac_secret::HmacSecretInput<'a>,
        /// [`third_party_payment`] (2.2).
        b"thirdPartyPayment" => third_party_payment: optional bool,
        /// [`pin_complexity_policy`] (2.2).
        b"pinComplexityPolicy" => pin_complexity_policy: optional bool,
    }
}

message! {
    /// Extension outputs in the authenticator data of authenticatorMakeCredential.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub text struct MakeCredentialOutputs<'a> {
        /// [`uvm`].
        b"uvm" => uvm: optional uvm::UvmEntries<'a>,
        /// [`cred_blob`]: whether it was stored.
        b"credBlob" => cred_blob: optional bool,
        /// [`cred_protect`]: the protection in force.
        b"credProtect" => cred_protect: optional cred_protect::Level,
        /// [`hmac_secret`]: whether the secrets were made.
        b"hmac-secret" => hmac_secret: optional bool,
        /// [`min_pin_length`]: the shortest PIN, in code points.
        b"minPinLength" => min_pin_length: optional u32,
        /// [`hmac_secret`]: the outputs, encrypted (2.2).
        b"hmac-secret-mc" => hmac_secret_mc: optional &'a [u8],
        /// [`pin_complexity_policy`]: whether one is in force (2.2).
        b"pinComplexityPolicy" => pin_complexity_policy: optional bool,
    }
}

message! {
    /// Extension inputs of authenticatorGetAssertion.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub text struct GetAssertionInputs<'a> {
        /// [`uvm`].
        b"uvm" => uvm: optional bool,
        /// [`cred_blob`]: whether to return it.
        b"credBlob" => cred_blob: optional bool,
        /// [`large_blob`]: whether to read or write the blob.
        b"largeBlob" => large_blob: optional large_blob::GetAssertionInput<'a>,
        /// [`hmac_secret`]: the salts, encrypted.
        b"hmac-secret" => hmac_secret: optional hmac_secret::HmacSecretInput<'a>,
        /// [`large_blob_key`]: whether to return it.
        b"largeBlobKey" => large_blob_key: optional bool,
        /// [`third_party_payment`] (2.2).
        b"thirdPartyPayment" => third_party_payment: optional bool,
    }
}

message! {
    /// Extension outputs in the authenticator data of authenticatorGetAssertion.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub text struct GetAssertionOutputs<'a> {
        /// [`uvm`].
        b"uvm" => uvm: optional uvm::UvmEntries<'a>,
        /// [`cred_blob`]: the blob, empty when there is none.
        b"credBlob" => cred_blob: optional &'a [u8],
        /// [`hmac_secret`]: the outputs, encrypted.
        b"hmac-secret" => hmac_secret: optional &'a [u8],
        /// [`third_party_payment`]: whether the credential may be used for payments (2.2).
        b"thirdPartyPayment" => third_party_payment: optional bool,
    }
}

message! {
    /// Outputs that are not signed, in the responses of both commands (2.2).
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub text struct UnsignedOutputs<'a> {
        /// [`large_blob`] (2.3).
        b"largeBlob" => large_blob: optional large_blob::UnsignedOutput<'a>,
    }
}

#[cfg(test)]
mod tests;
