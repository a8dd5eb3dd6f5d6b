//! credBlob (CTAP 2.3 §12): a few bytes that are stored with a credential. A registration takes them, at most
//! maxCredBlobLength, and says whether they were stored; an assertion takes `true` and returns them.

/// The extension's identifier.
pub const ID: &str = "credBlob";
