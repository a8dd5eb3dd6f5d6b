//! pinComplexityPolicy (2.2, CTAP 2.3 §12): tells a relying party that the authenticator's owner listed whether a PIN
//! complexity policy is in force. The input is `true`; others get no output.

/// The extension's identifier.
pub const ID: &str = "pinComplexityPolicy";
