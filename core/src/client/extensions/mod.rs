//! Extensions as a relying party knows them (WebAuthn L3 §9, §10; CTAP 2.3 §12): inputs of a ceremony and their
//! results. What goes over the wire is [`crate::extensions`].
//!
//! ```text
//! MakeExtensions ──▶ registration ──▶ MakeResults            GetExtensions ──▶ sign-in ──▶ GetResults
//! ```
//!
//! An extension that the authenticator does not know is left out, and has no result, unless its input insists on it;
//! then the ceremony fails before the user is bothered.

use core::fmt;

use subtle::ConstantTimeEq;

use crate::{
    cbor::{List, RawMap},
    extensions::{cred_protect::Level, uvm},
    message,
};

pub(super) mod hmac;
pub(super) mod inputs;
pub(super) mod own;
pub(super) mod results;
mod webauthn;

pub use webauthn::{ClientOutputs, CredProps, LargeBlobOutputs, PrfOutputs, SaltOutputs};

/// Extension inputs of a registration. By default none is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct MakeExtensions<'o> {
    /// appidExclude: the AppID under which excluded credentials may have been registered with U2F.
    pub app_id_exclude: Option<&'o str>,
    /// credBlob: a blob to be stored with the credential. One that is longer than the authenticator takes is not sent.
    pub cred_blob: Option<&'o [u8]>,
    /// credProps: whether to tell if the credential is discoverable.
    pub cred_props: bool,
    /// credentialProtectionPolicy and enforceCredentialProtectionPolicy.
    pub cred_protect: Option<CredProtect>,
    /// hmacCreateSecret: the credential gets secrets for [`HmacSalts`].
    pub hmac_create_secret: bool,
    /// hmacGetSecret of a registration: they are used at once, where the authenticator can.
    pub hmac_get_secret: Option<HmacSalts<'o>>,
    /// largeBlob: whether the credential can have one. The credential is then to be discoverable.
    pub large_blob: Option<LargeBlobSupport>,
    /// minPinLength.
    pub min_pin_length: bool,
    /// payment: the credential may be used for payments on the sites of others.
    pub payment: bool,
    /// pinComplexityPolicy.
    pub pin_complexity_policy: bool,
    /// prf: the credential gets a pseudo-random function. It is evaluated for these inputs at once, if there are any
    /// and the authenticator can.
    pub prf: Option<Option<PrfInput<'o>>>,
    /// uvm: whether to tell how the user was verified.
    pub uvm: bool,
    /// Extensions of the caller's own, beside those of the members above: a canonical map of at most 12 with text keys,
    /// none of them an extension that is known here. Their outputs are in the authenticator data.
    pub own: Option<RawMap<'o>>,
    /// All that goes to the authenticator, in place of what the members above make: a map with text keys, in canonical
    /// order.
    pub other: Option<RawMap<'o>>,
}

/// Extension inputs of a sign-in. By default none is used.
#[derive(Clone, Copy, Debug)]
pub struct GetExtensions<'o> {
    /// appid: the AppID under which the credentials may have been registered with U2F.
    pub app_id: Option<&'o str>,
    /// getCredBlob: whether to return the blob that is stored with the credential.
    pub cred_blob: bool,
    /// hmacGetSecret.
    pub hmac_get_secret: Option<HmacSalts<'o>>,
    /// largeBlob: reads or writes it. A ceremony that does has memory for it
    /// ([`GetAssertion::with_memory`](super::GetAssertion::with_memory)).
    pub large_blob: Option<LargeBlobAccess<'o>>,
    /// payment: whether to tell if the credential may be used for payments on the sites of others.
    pub payment: bool,
    /// prf, eval: for any credential.
    pub prf: Option<PrfInput<'o>>,
    /// prf, evalByCredential: for these, which are in the allow list.
    pub prf_by_credential: List<'o, PrfOfCredential<'o>>,
    /// uvm: whether to tell how the user was verified.
    pub uvm: bool,
    /// Extensions of the caller's own, beside those of the members above: a canonical map of at most 12 with text keys,
    /// none of them an extension that is known here. Their outputs are in the authenticator data.
    pub own: Option<RawMap<'o>>,
    /// All that goes to the authenticator, in place of what the members above make: a map with text keys, in canonical
    /// order.
    pub other: Option<RawMap<'o>>,
}

impl GetExtensions<'_> {
    /// No extension.
    pub const NONE: GetExtensions<'static> = GetExtensions {
        app_id: None,
        cred_blob: false,
        hmac_get_secret: None,
        large_blob: None,
        payment: false,
        prf: None,
        prf_by_credential: List::Slice(&[]),
        uvm: false,
        own: None,
        other: None,
    };
}

impl Default for GetExtensions<'_> {
    fn default() -> Self {
        Self::NONE
    }
}

impl MakeExtensions<'_> {
    /// No extension.
    pub const NONE: MakeExtensions<'static> = MakeExtensions {
        app_id_exclude: None,
        cred_blob: None,
        cred_props: false,
        cred_protect: None,
        hmac_create_secret: false,
        hmac_get_secret: None,
        large_blob: None,
        min_pin_length: false,
        payment: false,
        pin_complexity_policy: false,
        prf: None,
        uvm: false,
        own: None,
        other: None,
    };
}

/// The protection of a credential that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredProtect {
    /// The level.
    pub level: Level,
    /// Whether the registration fails on an authenticator that cannot protect; level 1 protects nothing.
    pub enforce: bool,
}

message! {
    /// The salts of hmac-secret: HMACGetSecretInput.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub text struct HmacSalts<'a> {
        /// The first.
        b"salt1" => salt1: required &'a [u8; 32],
        /// The second.
        b"salt2" => salt2: optional &'a [u8; 32],
    }
}

/// How much a registration depends on large blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeBlobSupport {
    /// If possible.
    Preferred,
    /// Or else fail.
    Required,
}

/// What to do with a large blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LargeBlobAccess<'o> {
    /// Reads it: [`AssertionSelection::large_blob`](super::AssertionSelection::large_blob) has it.
    Read,
    /// Writes it. The allow list has exactly one entry.
    Write(&'o [u8]),
}

message! {
    /// Inputs of a pseudo-random function, of any lengths.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub text struct PrfInput<'a> {
        /// The first.
        b"first" => first: required &'a [u8],
        /// The second.
        b"second" => second: optional &'a [u8],
    }
}

message! {
    /// Inputs of the pseudo-random function of one credential.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub text struct PrfOfCredential<'a> {
        /// The credential's id.
        b"id" => id: required &'a [u8],
        /// Its inputs.
        b"eval" => eval: required PrfInput<'a>,
    }
}

/// The results of a registration's extensions; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MakeResults<'b> {
    /// appidExclude: whether it was taken into account.
    pub app_id_exclude: Option<bool>,
    /// credBlob: whether it was stored.
    pub cred_blob: Option<bool>,
    /// credProps, rk: whether the credential is discoverable.
    pub cred_props_rk: Option<bool>,
    /// credProtect: the protection in force.
    pub cred_protect: Option<Level>,
    /// prf, enabled, and hmacCreateSecret: whether the credential has secrets.
    pub hmac_secret: Option<bool>,
    /// prf, results, and hmacGetSecret.
    pub hmac_outputs: Option<HmacOutputs<'b>>,
    /// largeBlob, supported.
    pub large_blob: Option<bool>,
    /// minPinLength, in code points.
    pub min_pin_length: Option<u32>,
    /// pinComplexityPolicy: whether one is in force.
    pub pin_complexity_policy: Option<bool>,
    /// uvm: how the user was verified.
    pub uvm: Option<uvm::UvmEntries<'b>>,
}

/// The results of a sign-in's extensions; `None` where there is none. The blob that was read is
/// [`AssertionSelection::large_blob`](super::AssertionSelection::large_blob).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GetResults<'b> {
    /// appid: whether the credential is one of the AppID.
    pub app_id: Option<bool>,
    /// getCredBlob: the blob, empty when there is none.
    pub cred_blob: Option<&'b [u8]>,
    /// prf, results, and hmacGetSecret.
    pub hmac_outputs: Option<HmacOutputs<'b>>,
    /// largeBlob, written.
    pub large_blob_written: Option<bool>,
    /// payment: whether the credential may be used for payments on the sites of others.
    pub payment: Option<bool>,
    /// uvm: how the user was verified.
    pub uvm: Option<uvm::UvmEntries<'b>>,
}

message! {
    /// The outputs of a pseudo-random function: AuthenticationExtensionsPRFValues. They are secrets: not printed, and
    /// compared in constant time.
    #[derive(Clone, Copy)]
    pub text struct HmacOutputs<'a> {
        /// Of the first input.
        b"first" => first: required &'a [u8; 32],
        /// Of the second.
        b"second" => second: optional &'a [u8; 32],
    }
}

impl PartialEq for HmacOutputs<'_> {
    fn eq(&self, other: &Self) -> bool {
        let second = match (self.second, other.second) {
            (Some(one), Some(other)) => one.ct_eq(other).into(),
            (None, None) => true,
            _ => false,
        };
        bool::from(self.first.ct_eq(other.first)) & second
    }
}

impl fmt::Debug for HmacOutputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HmacOutputs({})", if self.second.is_some() { 2 } else { 1 })
    }
}
