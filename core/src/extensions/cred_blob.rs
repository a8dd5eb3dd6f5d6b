//! credBlob (CTAP 2.3 §12): a few bytes that are stored with a credential. The input of a registration is the bytes, at
//! most maxCredBlobLength, and its output whether they were stored. The input of an assertion is `true`, and its output
//! the bytes.

/// The extension's identifier.
pub const ID: &str = "credBlob";
