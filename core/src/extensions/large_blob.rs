//! largeBlob (2.3, CTAP 2.3 §12): a blob that the authenticator keeps with a credential by itself, without
//! authenticatorLargeBlobs. Its outputs are not signed.

use crate::{cbor::items, message};

/// The extension's identifier.
pub const ID: &str = "largeBlob";

/// Whether a registration requires large-blob support. Values that this version does not name are kept unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support<'a>(pub &'a str);

impl Support<'static> {
    /// Without support, the registration fails.
    pub const REQUIRED: Support<'static> = Support("required");
    /// Without support, the registration succeeds.
    pub const PREFERRED: Support<'static> = Support("preferred");
}

items! { Support<'a>: text as Support; }

message! {
    /// The input of a registration.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub text struct MakeCredentialInput<'a> {
        /// Whether support is required.
        b"support" => support: required Support<'a>,
    }
}

message! {
    /// The input of an assertion: a read or a write.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub text struct GetAssertionInput<'a> {
        /// Asks for the blob.
        b"read" => read: optional bool,
        /// The new blob, compressed.
        b"write" => write: optional &'a [u8],
        /// Its length before compression, in bytes.
        b"originalSize" => original_size: optional u64,
    }
}

message! {
    /// The output: `supported` of a registration, `blob` and `original_size` of a read, `written` of a write.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub text struct UnsignedOutput<'a> {
        /// The blob, compressed.
        b"blob" => blob: optional &'a [u8],
        /// Whether the new blob was stored.
        b"written" => written: optional bool,
        /// Whether the credential can have a blob.
        b"supported" => supported: optional bool,
        /// The blob's length before compression, in bytes.
        b"originalSize" => original_size: optional u64,
    }
}
