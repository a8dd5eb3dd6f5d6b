//! The options of a relying party (WebAuthn L3 §5.4, §5.5): the members of the JSON form, with bytes in place of
//! base64url.
//!
//! The tables read and write CBOR with the members' own names. JSON is converted to that CBOR and read by
//! [`cbor::decode_tolerant`](crate::cbor::decode_tolerant); programs can also fill the structs in. An unknown keyword
//! counts as absent, as the standard requires; unknown credential types, transports and hints are kept.

use crate::{
    cbor::{Error, ErrorKind, List, RawMap, Read, Reader, Shape, Text, Write, Writer},
    ctap2::{CredentialDescriptor, CredentialParameters, UserEntity},
    message,
};

message! {
    /// PublicKeyCredentialCreationOptions.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct CreationOptions<'a> {
        /// The relying party.
        b"rp" => rp: required RelyingParty<'a>,
        /// The user; the handle has 1 to 64 bytes.
        b"user" => user: required UserEntity<'a>,
        /// Which authenticator the user will probably use, for the user interface: "security-key", "client-device",
        /// "hybrid" or others.
        b"hints" => hints: optional List<'a, Text<'a>>,
        /// How long the registration may take, in milliseconds.
        b"timeout" => timeout: optional u32,
        /// The challenge.
        b"challenge" => challenge: required &'a [u8],
        /// Client extension inputs, under the identifiers of WebAuthn.
        b"extensions" => extensions: optional RawMap<'a>,
        /// Which attestation the relying party wants; none when absent.
        b"attestation" => attestation: optional AttestationConveyance,
        /// Algorithms the relying party accepts, best first; empty means ES256, then RS256.
        b"pubKeyCredParams" => pub_key_cred_params: required List<'a, CredentialParameters<'a>>,
        /// Attestation formats the relying party prefers, best first.
        b"attestationFormats" => attestation_formats: optional List<'a, Text<'a>>,
        /// Credentials that must not be on the authenticator.
        b"excludeCredentials" => exclude_credentials: optional List<'a, CredentialDescriptor<'a>>,
        /// The authenticator's required capabilities.
        b"authenticatorSelection" => authenticator_selection: optional AuthenticatorSelection,
    }
}

message! {
    /// PublicKeyCredentialRequestOptions.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct RequestOptions<'a> {
        /// The RP ID; the host of the caller's origin when absent.
        b"rpId" => rp_id: optional &'a str,
        /// Which authenticator the user will probably use: see [`CreationOptions::hints`].
        b"hints" => hints: optional List<'a, Text<'a>>,
        /// How long the sign-in may take, in milliseconds.
        b"timeout" => timeout: optional u32,
        /// The challenge.
        b"challenge" => challenge: required &'a [u8],
        /// Client extension inputs, under the identifiers of WebAuthn.
        b"extensions" => extensions: optional RawMap<'a>,
        /// Credentials that may be used; none means any discoverable one.
        b"allowCredentials" => allow_credentials: optional List<'a, CredentialDescriptor<'a>>,
        /// User verification; preferred when absent.
        b"userVerification" => user_verification: optional Requirement,
    }
}

impl<'a> CreationOptions<'a> {
    /// Options with the standard's defaults: nothing excluded, nothing required, no attestation.
    pub const fn new(
        rp: RelyingParty<'a>,
        user: UserEntity<'a>,
        challenge: &'a [u8],
        pub_key_cred_params: &'a [CredentialParameters<'a>],
    ) -> Self {
        Self {
            rp,
            user,
            hints: None,
            timeout: None,
            challenge,
            extensions: None,
            attestation: None,
            pub_key_cred_params: List::Slice(pub_key_cred_params),
            attestation_formats: None,
            exclude_credentials: None,
            authenticator_selection: None,
        }
    }
}

impl<'a> RequestOptions<'a> {
    /// Options with the standard's defaults: any credential of the caller's own RP ID, user verification preferred.
    pub const fn new(challenge: &'a [u8]) -> Self {
        Self {
            rp_id: None,
            hints: None,
            timeout: None,
            challenge,
            extensions: None,
            allow_credentials: None,
            user_verification: None,
        }
    }
}

message! {
    /// PublicKeyCredentialRpEntity.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct RelyingParty<'a> {
        /// The RP ID; the host of the caller's origin when absent.
        b"id" => id: optional &'a str,
        /// A name for display.
        b"name" => name: required &'a str,
    }
}

message! {
    /// AuthenticatorSelectionCriteria.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub text struct AuthenticatorSelection {
        /// Whether to make a discoverable credential.
        b"residentKey" => resident_key: optional Requirement,
        /// User verification; preferred when absent.
        b"userVerification" => user_verification: optional Requirement,
        /// Used in place of `residentKey` when that is absent.
        b"requireResidentKey" => require_resident_key: optional bool,
        /// Where the authenticator is.
        b"authenticatorAttachment" => attachment: optional Attachment,
    }
}

impl AuthenticatorSelection {
    /// The effective resident key requirement (WebAuthn L3 §5.4.4).
    pub fn resident_key(&self) -> Requirement {
        match (self.resident_key, self.require_resident_key) {
            (Some(requirement), _) => requirement,
            (None, Some(true)) => Requirement::Required,
            (None, _) => Requirement::Discouraged,
        }
    }
}

/// Declares an enumeration of keywords.
macro_rules! keywords {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// The keyword.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl Read<'_> for $name {
            const SHAPE: Shape = Shape::By(|r| Self::read_member(r).map(|word| word.is_some()));

            fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
                Self::read_member(r)?.ok_or(r.error(ErrorKind::OutOfRange))
            }

            fn read_member(r: &mut Reader<'_>) -> Result<Option<Self>, Error> {
                r.text().map(Self::of)
            }
        }

        impl Write for $name {
            fn write(&self, w: &mut Writer<'_>) {
                w.text(self.as_str());
            }
        }
    };
}

keywords! {
    /// How strongly a relying party wants something (WebAuthn L3 §5.4.6, §5.8.6).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Requirement {
        /// Not wanted if it can be avoided.
        Discouraged = "discouraged",
        /// Wanted if possible.
        #[default]
        Preferred = "preferred",
        /// Required: without it the ceremony fails.
        Required = "required",
    }
}

keywords! {
    /// AttestationConveyancePreference (WebAuthn L3 §5.4.7).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum AttestationConveyance {
        /// No attestation: the client replaces the statement by one of the format "none", unless it is a self
        /// attestation. The AAGUID stays (WebAuthn L3 §5.1.3).
        #[default]
        None = "none",
        /// A verifiable statement, which the client may replace by another. Here it is the same as
        /// [`AttestationConveyance::Direct`].
        Indirect = "indirect",
        /// The authenticator's own statement.
        Direct = "direct",
        /// The authenticator's own statement, which may identify the individual authenticator.
        Enterprise = "enterprise",
    }
}

keywords! {
    /// AuthenticatorAttachment (WebAuthn L3 §5.4.5).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Attachment {
        /// Built into the client's device.
        Platform = "platform",
        /// Roaming, such as a security key.
        CrossPlatform = "cross-platform",
    }
}

#[cfg(test)]
mod tests;
