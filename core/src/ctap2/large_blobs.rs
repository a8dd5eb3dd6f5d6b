//! authenticatorLargeBlobs, 0x0C, and the array that it reads and writes (CTAP 2.3 §6.10).
//!
//! ```text
//! serialized large-blob array    CBOR array of LargeBlobMap | first 16 bytes of SHA-256(CBOR array)
//! ```

use crate::{bytes, message};

/// What a message needs beside a fragment, in bytes: maxFragmentLength is maxMsgSize less this.
pub const FRAGMENT_OVERHEAD: usize = 64;
/// The hash behind a serialized array, in bytes.
pub const HASH_LENGTH: usize = 16;
/// The serialized array of an authenticator that has stored nothing.
pub const INITIAL_ARRAY: [u8; 17] = *b"\x80\x76\xbe\x8b\x52\x8d\x00\x75\xf7\xaa\xe9\x8d\x6f\xa5\x7a\x6d\x3c";

message! {
    /// The request. The absence of any member is reported by the command itself.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub int struct Request<'a> {
        /// How many bytes to read.
        0x01 => get: optional u32,
        /// A fragment to write.
        0x02 => set: optional &'a [u8],
        /// Where in the serialized array, in bytes.
        0x03 => offset: optional u32,
        /// The whole length to be written, in bytes; only with the first fragment.
        0x04 => length: optional u32,
        /// Proof of the permission `lbw` over [`authenticated_head`] and SHA-256 of the fragment.
        0x05 => pin_uv_auth_param: optional &'a [u8],
        /// The PIN/UV auth protocol of the proof.
        0x06 => pin_uv_auth_protocol: optional u32,
    }
}

/// What stands before SHA-256 of the fragment in the message that pinUvAuthParam authenticates.
pub fn authenticated_head(offset: u32) -> [u8; 38] {
    bytes::concat(&[&[0xFF; 32], &[0x0C, 0x00], &offset.to_le_bytes()])
}

message! {
    /// The response to a read; a write has none.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub int struct Response<'a> {
        /// The bytes that were read, fewer than asked for at the array's end.
        0x01 => config: optional &'a [u8],
    }
}

message! {
    /// An element of the array, encrypted with a credential's large-blob key. Elements that cannot be decrypted, or
    /// read, are another credential's and must be preserved: keep them as [`Raw`](crate::cbor::Raw).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub int struct LargeBlobMap<'a> {
        /// AES-256-GCM ciphertext of the compressed data, and its tag of 16 bytes.
        0x01 => ciphertext: required &'a [u8],
        /// The nonce.
        0x02 => nonce: required &'a [u8; 12],
        /// The length of the data before compression, in bytes.
        0x03 => orig_size: required u64,
    }
}
