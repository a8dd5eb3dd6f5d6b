//! thirdPartyPayment (2.2, CTAP 2.3 §12): whether others than the relying party may use a credential for payments. A
//! registration takes `true` and answers nothing; an assertion takes `true` and says whether it was given then.

/// The extension's identifier.
pub const ID: &str = "thirdPartyPayment";
