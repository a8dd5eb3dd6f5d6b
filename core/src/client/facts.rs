//! The few facts of getInfo that a ceremony keeps, and the decision whether and how the user is verified.

use super::{Cause, PreferredWithoutUv, Requirement};
use crate::{
    ctap2::{
        CredentialDescriptor, PUBLIC_KEY,
        get_info::{DEFAULT_MIN_PIN_LENGTH, Options, Response},
    },
    pin_uv::{MAX_PIN_BYTES, Permissions, Protocol},
};

/// The permissions of the two ceremonies.
const CEREMONIES: Permissions = Permissions::MC.with(Permissions::GA);

/// What an operation is about to do, as far as user verification goes.
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
    /// Whether a discoverable credential is made, or any may be used.
    pub discoverable: bool,
}

impl Purpose<'_> {
    /// No user verification.
    pub const NONE: Purpose<'static> = Purpose {
        permissions: Permissions::NONE,
        rp_id: None,
        user_verification: Requirement::Discouraged,
        preferred_without_uv: PreferredWithoutUv::Proceed,
        discoverable: false,
    };

    /// Management: with a token of any relying party, or without if that is not required and cannot be had.
    pub const fn manage(permissions: Permissions, user_verification: Requirement) -> Purpose<'static> {
        Purpose { permissions, user_verification, ..Purpose::NONE }
    }
}

/// How the user is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
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

/// What a ceremony remembers of getInfo.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    pub options: Options,
    /// In bytes.
    pub max_msg_size: usize,
    /// `None` when the authenticator does not say.
    pub max_credential_count_in_list: Option<usize>,
    /// In bytes; `None` when the authenticator does not say.
    pub max_credential_id_length: Option<usize>,
    /// The first of the authenticator's protocols that we speak: the order is its preference.
    pub protocol: Option<Protocol>,
    pub force_pin_change: bool,
    /// In code points.
    pub min_pin_length: usize,
    /// In code points.
    pub max_pin_length: usize,
    /// Attempts before built-in user verification gives way to the PIN.
    pub uv_attempts: Option<u64>,
}

impl Facts {
    pub fn of(info: &Response<'_>) -> Self {
        let limit = |limit: Option<usize>| limit.filter(|limit| *limit > 0); // some send 0 for "no limit"
        Self {
            options: info.options.unwrap_or_default(),
            max_msg_size: info.max_msg_size(),
            max_credential_count_in_list: limit(info.max_credential_count_in_list),
            max_credential_id_length: limit(info.max_credential_id_length),
            protocol: match &info.pin_uv_auth_protocols {
                Some(listed) => listed.iter().find_map(Protocol::from_number),
                None => Some(Protocol::One), // version 2.0 knew no other
            },
            force_pin_change: info.force_pin_change == Some(true),
            min_pin_length: info.min_pin_length.unwrap_or(DEFAULT_MIN_PIN_LENGTH),
            max_pin_length: info.max_pin_length.unwrap_or(MAX_PIN_BYTES), // no character takes less than a byte
            uv_attempts: info.preferred_platform_uv_attempts,
        }
    }

    /// Whether the authenticator could have made a credential with this descriptor.
    pub fn could_hold(&self, descriptor: &CredentialDescriptor<'_>) -> bool {
        descriptor.kind == PUBLIC_KEY && self.max_credential_id_length.is_none_or(|limit| descriptor.id.len() <= limit)
    }

    /// Built-in user verification, if it is set up and can serve these permissions.
    fn built_in(&self, permissions: Permissions) -> Option<Method> {
        let withheld = (permissions.has(Permissions::BE) && self.options.uv_bio_enroll != Some(true))
            || (permissions.has(Permissions::ACFG) && self.options.uv_acfg != Some(true));
        match self.options.uv {
            _ if withheld => None,
            Some(true) if self.options.pin_uv_auth_token == Some(true) => self.protocol.map(|_| Method::BuiltInToken),
            Some(true) if CEREMONIES.has(permissions) => Some(Method::BuiltInOption),
            _ => None,
        }
    }

    /// The PIN, if it is set and can serve these permissions.
    pub fn pin(&self, permissions: Permissions) -> Option<Method> {
        let withheld =
            self.options.no_mc_ga_permissions_with_client_pin == Some(true) && CEREMONIES.intersects(permissions);
        match self.options.client_pin {
            Some(true) if !withheld => self.protocol.map(|_| Method::Pin),
            _ => None,
        }
    }

    /// Whether and how the user is verified for `purpose`; `None` is "not at all". Errors: [`Cause::UvUnavailable`] and
    /// [`Cause::PinNotSet`] when it has to be and cannot.
    pub fn choose(&self, purpose: &Purpose<'_>) -> Result<Option<Method>, Cause> {
        if purpose.permissions == Permissions::NONE {
            return Ok(None);
        }
        let on = |option: Option<bool>| option == Some(true);
        let options = &self.options;
        let registers = purpose.permissions.has(Permissions::MC);
        let configures = purpose.permissions == Permissions::ACFG;
        let method = self.built_in(purpose.permissions).or(self.pin(purpose.permissions));

        let protected = on(options.uv) || on(options.client_pin);
        let needed = purpose.user_verification == Requirement::Required
            || (on(options.always_uv) && !configures) // which may be to end just that
            || (registers && protected && (purpose.discoverable || !on(options.make_cred_uv_not_rqd)));
        // Names of accounts, and credentials of credProtect level 2, are only shown to a verified user.
        let wanted = purpose.user_verification == Requirement::Preferred
            || purpose.discoverable
            || !CEREMONIES.has(purpose.permissions);

        let supported = options.uv.is_some() || options.client_pin.is_some() || options.bio_enroll.is_some();
        let insisted = supported
            && purpose.user_verification == Requirement::Preferred
            && purpose.preferred_without_uv == PreferredWithoutUv::Error;
        match method {
            Some(method) if needed || wanted => Ok(Some(method)),
            None if (needed || insisted) && options.client_pin == Some(false) => Err(Cause::PinNotSet),
            None if needed || insisted => Err(Cause::UvUnavailable),
            _ => Ok(None),
        }
    }
}
