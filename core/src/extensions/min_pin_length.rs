//! minPinLength (CTAP 2.3 §12): tells the minimum PIN length, in code points, to relying parties on the authenticator's
//! minPinLengthRPIDs list. The input is `true`; relying parties that are not on the list get no output.

/// The extension's identifier.
pub const ID: &str = "minPinLength";
