//! pinComplexityPolicy (2.2, CTAP 2.3 §12): tells relying parties on the authenticator's minPinLengthRPIDs list whether
//! a PIN complexity policy is in force. The input is `true`; relying parties that are not on the list get no output.

/// The extension's identifier.
pub const ID: &str = "pinComplexityPolicy";
