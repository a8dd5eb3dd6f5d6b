//! minPinLength (CTAP 2.3 §12): tells a relying party that the authenticator's owner listed how short a PIN may be, in code
//! points. The input is `true`; others get no output.

/// The extension's identifier.
pub const ID: &str = "minPinLength";
