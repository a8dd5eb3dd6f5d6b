//! thirdPartyPayment (2.2, CTAP 2.3 §12): whether parties other than the relying party may use a credential for
//! payments. The input of a registration is `true`, and it has no output. The input of an assertion is `true`, and its
//! output whether the credential was registered with the extension.

/// The extension's identifier.
pub const ID: &str = "thirdPartyPayment";
