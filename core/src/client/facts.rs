//! The few facts of getInfo that a ceremony keeps, and the decision whether and how the user is verified.

use super::{Cause, PreferredWithoutUv, Requirement};
use crate::{
    ctap2::get_info::{DEFAULT_MIN_PIN_LENGTH, Response, SupportedOptions},
    extensions::{
        cred_blob, cred_protect, hmac_secret, large_blob, large_blob_key, min_pin_length, pin_complexity_policy,
        third_party_payment, uvm,
    },
    pin_uv::{MAX_PIN_BYTES, Permissions, PinUvAuthProtocol, Token},
    transport,
};

/// The permissions of registrations and sign-ins.
const CEREMONIES: Permissions = Permissions::MC.with(Permissions::GA);

/// What an operation needs authorization for.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'o> {
    /// What the token has to permit.
    pub permissions: Permissions,
    /// The relying party the token is for.
    pub rp_id: Option<&'o str>,
    /// What the caller wants.
    pub user_verification: Requirement,
    /// What to do when user verification is preferred and not set up.
    pub preferred_without_uv: PreferredWithoutUv,
    /// Whether a discoverable credential is made, or any discoverable one may be used.
    pub discoverable: bool,
    /// Whether an extension needs a key agreement.
    pub agreement: bool,
    /// A token that the caller has kept, in place of user verification.
    pub token: Option<&'o Token>,
    /// How a PIN is verified, set or changed, where nothing else is done.
    pub pin_alone: Option<AuthorizationMethod>,
}

impl Purpose<'_> {
    /// No user verification.
    pub const NONE: Purpose<'static> = Purpose {
        permissions: Permissions::NONE,
        rp_id: None,
        user_verification: Requirement::Discouraged,
        preferred_without_uv: PreferredWithoutUv::Proceed,
        discoverable: false,
        agreement: false,
        token: None,
        pin_alone: None,
    };

    /// Management: with a token of any relying party, or without if that is not required and cannot be had.
    pub const fn manage(permissions: Permissions, user_verification: Requirement) -> Purpose<'static> {
        Purpose { permissions, user_verification, ..Purpose::NONE }
    }
}

/// How the user is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorizationMethod {
    /// Built-in user verification that yields a token (2.1).
    BuiltInToken,
    /// Built-in user verification within the command, by its option `uv`.
    BuiltInOption,
    /// A PIN that yields a token.
    Pin,
    /// A token that the caller has kept.
    Stored,
    /// The first PIN is set.
    SetPin,
    /// The PIN is changed.
    ChangePin,
}

/// The extensions that ceremonies ask about.
const EXTENSIONS: [&str; 10] = [
    cred_blob::ID,
    cred_protect::ID,
    hmac_secret::ID,
    hmac_secret::MC_ID,
    large_blob::ID,
    large_blob_key::ID,
    min_pin_length::ID,
    pin_complexity_policy::ID,
    third_party_payment::ID,
    uvm::ID,
];

/// Which of [`EXTENSIONS`] an authenticator has, a bit each.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownExtensions(u16);

impl KnownExtensions {
    fn of(info: &Response<'_>) -> Self {
        let listed = |id: &str| info.extensions.is_some_and(|extensions| extensions.iter().any(|listed| listed == id));
        Self(EXTENSIONS.iter().rev().fold(0, |bits, id| bits << 1 | u16::from(listed(id))))
    }

    /// Whether the authenticator has the extension `id`.
    pub fn has(self, id: &str) -> bool {
        EXTENSIONS.iter().position(|known| *known == id).is_some_and(|at| self.0 >> at & 1 == 1)
    }
}

/// How much a purpose needs the user to be verified.
enum Need {
    None,
    /// If the user can be.
    Wanted,
    /// It is only preferred, but [`PreferredWithoutUv::Error`] insists.
    Insisted,
    Required,
}

/// What a ceremony remembers of getInfo.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// It speaks version 1 and nothing else.
    pub ctap1: bool,
    pub options: SupportedOptions,
    pub extensions: KnownExtensions,
    /// Whether it is of version 2.1 or later, and so has authenticatorSelection.
    pub is_2_1: bool,
    /// Whether it knows attestationFormatsPreference (2.2): an older one may refuse a member that it does not know.
    pub attestation_formats: bool,
    /// In bytes.
    pub max_cred_blob_length: usize,
    /// In bytes.
    pub max_msg_size: usize,
    /// `None` when the authenticator does not say.
    pub max_credential_count_in_list: Option<usize>,
    /// In bytes; `None` when the authenticator does not say.
    pub max_credential_id_length: Option<usize>,
    /// The first of the authenticator's protocols that we speak: the order is its preference.
    pub protocol: Option<PinUvAuthProtocol>,
    pub force_pin_change: bool,
    /// In code points.
    pub min_pin_length: usize,
    /// In code points.
    pub max_pin_length: usize,
    /// Attempts before built-in user verification gives way to the PIN.
    pub uv_attempts: Option<u32>,
}

impl Facts {
    pub fn of(info: &Response<'_>) -> Self {
        let limit = |limit: Option<usize>| limit.filter(|limit| *limit > 0); // some send 0 for "no limit"
        Self {
            ctap1: false,
            options: info.options.unwrap_or_default(),
            extensions: KnownExtensions::of(info),
            is_2_1: info.versions.iter().any(|version| {
                version.as_str().starts_with("FIDO_2_") && version != "FIDO_2_0" && version != "FIDO_2_1_PRE"
            }),
            attestation_formats: info.attestation_formats.is_some()
                || info.versions.iter().any(|version| matches!(version.as_str(), "FIDO_2_2" | "FIDO_2_3")),
            max_cred_blob_length: info.max_cred_blob_length.unwrap_or(0),
            max_msg_size: info.max_msg_size(),
            max_credential_count_in_list: limit(info.max_credential_count_in_list),
            max_credential_id_length: limit(info.max_credential_id_length),
            protocol: match &info.pin_uv_auth_protocols {
                Some(listed) => listed.iter().find_map(PinUvAuthProtocol::from_number),
                None => Some(PinUvAuthProtocol::One), // version 2.0 knew no other
            },
            force_pin_change: info.force_pin_change == Some(true),
            min_pin_length: info.min_pin_length.unwrap_or(DEFAULT_MIN_PIN_LENGTH),
            max_pin_length: info.max_pin_length.unwrap_or(MAX_PIN_BYTES), // no character takes less than a byte
            uv_attempts: info.preferred_platform_uv_attempts,
        }
    }

    /// The protocol of messages.
    pub const fn transport_protocol(&self) -> transport::Protocol {
        if self.ctap1 { transport::Protocol::Ctap1 } else { transport::Protocol::Ctap2 }
    }

    /// The same, with a maximum length for credential ids: this authenticator has made none that is too long for a
    /// request for this relying party.
    pub fn with_rp_id(mut self, rp_id: &str) -> Self {
        // getAssertion with an allow list of one id of three bytes' head, the option `up` and the longest proof.
        const AROUND: usize = 110;
        let room = self.max_msg_size.saturating_sub(AROUND).saturating_sub(rp_id.len());
        self.max_credential_id_length = Some(self.max_credential_id_length.map_or(room, |limit| limit.min(room)));
        self
    }

    /// Built-in user verification, if it is set up and can serve these permissions.
    fn built_in(&self, permissions: Permissions) -> Option<AuthorizationMethod> {
        let withheld = (permissions.has(Permissions::BE) && self.options.uv_bio_enroll != Some(true))
            || (permissions.has(Permissions::ACFG) && self.options.uv_acfg != Some(true));
        match self.options.uv {
            _ if withheld => None,
            Some(true) if self.options.pin_uv_auth_token == Some(true) => {
                self.protocol.map(|_| AuthorizationMethod::BuiltInToken)
            }
            Some(true) if CEREMONIES.has(permissions) => Some(AuthorizationMethod::BuiltInOption),
            _ => None,
        }
    }

    /// The PIN, if it is set and can serve these permissions.
    pub fn pin(&self, permissions: Permissions) -> Option<AuthorizationMethod> {
        let withheld =
            self.options.no_mc_ga_permissions_with_client_pin == Some(true) && CEREMONIES.intersects(permissions);
        match self.options.client_pin {
            Some(true) if !withheld => self.protocol.map(|_| AuthorizationMethod::Pin),
            _ => None,
        }
    }

    /// Whether the user could be verified, set up or not.
    pub const fn can_verify(&self) -> bool {
        self.options.uv.is_some() || self.options.client_pin.is_some() || self.options.bio_enroll.is_some()
    }

    /// Whether a PIN can be set and then serves a registration.
    fn settable(&self) -> bool {
        self.options.client_pin == Some(false)
            && self.options.no_mc_ga_permissions_with_client_pin != Some(true)
            && self.protocol.is_some()
    }

    /// Whether and how the user is verified for `purpose`; `None` is "not at all".
    ///
    /// # Errors
    /// [`Cause::UvUnavailable`] and [`Cause::PinNotSet`] when it has to be and cannot.
    pub fn choose(&self, purpose: &Purpose<'_>) -> Result<Option<AuthorizationMethod>, Cause> {
        if purpose.permissions == Permissions::NONE {
            return Ok(purpose.pin_alone);
        }
        let registers = purpose.permissions.has(Permissions::MC);
        match (self.built_in(purpose.permissions).or(self.pin(purpose.permissions)), self.need(purpose)) {
            (_, Need::None) | (None, Need::Wanted) => Ok(None),
            (Some(method), _) => Ok(Some(method)),
            // A first PIN can be set on the way, but it would not help someone to sign in.
            (None, Need::Required) if registers && self.settable() => Ok(Some(AuthorizationMethod::SetPin)),
            (None, _) if self.options.client_pin == Some(false) => Err(Cause::PinNotSet),
            (None, _) => Err(Cause::UvUnavailable),
        }
    }

    /// How much `purpose` needs the user to be verified.
    fn need(&self, purpose: &Purpose<'_>) -> Need {
        let on = |option: Option<bool>| option == Some(true);
        let options = &self.options;
        let registers = purpose.permissions.has(Permissions::MC);
        let configures = purpose.permissions == Permissions::ACFG;
        let protected = on(options.uv) || on(options.client_pin);
        let preferred = purpose.user_verification == Requirement::Preferred;
        if purpose.user_verification == Requirement::Required
            || (on(options.always_uv) && !configures) // a change of settings may switch alwaysUv off
            || (registers && protected && (purpose.discoverable || !on(options.make_cred_uv_not_rqd)))
        {
            Need::Required
        } else if preferred && self.can_verify() && purpose.preferred_without_uv == PreferredWithoutUv::Error {
            Need::Insisted
        // Names of accounts, and credentials of credProtect level 2, are only shown to a verified user.
        } else if preferred || purpose.discoverable || !CEREMONIES.has(purpose.permissions) {
            Need::Wanted
        } else {
            Need::None
        }
    }
}
