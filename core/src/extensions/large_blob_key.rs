//! largeBlobKey (CTAP 2.3 §12): a credential's key for its entry in the large-blob array. The input is `true`; the key, 32
//! bytes, is a member of the response (`large_blob_key`) and not an output in authenticator data.

/// The extension's identifier.
pub const ID: &str = "largeBlobKey";
