//! The parts of WebAuthn L3 above CTAP: client data, attestation objects, RP IDs and origins.

use crate::{attestation::RawStatement, cbor, message};

mod client_data;
mod collector;
mod json;
mod options;
mod origin;
mod punycode;
mod rp_id;
#[cfg(feature = "psl")]
mod suffix_list;

pub use crate::base64url;
pub use client_data::{ClientData, ClientDataType, CollectedClientData};
pub use collector::{ClientDataCollector, DefaultClientDataCollector, OriginError};
pub use json::{AuthenticationResponseJson, RegistrationResponseJson};
pub use options::{
    Attachment, AttestationConveyance, AuthenticatorSelection, CreationOptions, RelyingParty, RequestOptions,
    Requirement,
};
pub use origin::Origin;
pub use rp_id::{
    PublicSuffixes, RelatedOrigins, SuffixListError, SuffixRules, is_facet, is_related, may_claim, origin_matches,
};
#[cfg(feature = "psl")]
pub use suffix_list::PublicSuffixList;

message! {
    /// An attestation object (WebAuthn L3 §6.5.4).
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct AttestationObject<'a> {
        /// The attestation statement's format.
        b"fmt" => fmt: required &'a str,
        /// The attestation statement ([`crate::attestation::Statement`]).
        b"attStmt" => att_stmt: required RawStatement<'a>,
        /// Authenticator data ([`crate::auth_data::AuthData`]).
        b"authData" => auth_data: required &'a [u8],
    }
}

impl<'a> AttestationObject<'a> {
    /// Reads an attestation object under the tolerant CBOR rules, because clients write its members in any order.
    ///
    /// # Errors
    /// The object is malformed: for example a member appears twice, or bytes follow the object.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, cbor::Error> {
        cbor::decode_unique(bytes)
    }
}

#[cfg(test)]
mod tests;
