//! What authorization yields.

use crate::{
    crypto::{Hash, P256Point},
    pin_uv::{Mac, PinUvAuthProtocol, SharedSecret, Token},
};

/// What an operation may use.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'a> {
    /// No user verification.
    None,
    /// Built-in user verification within the command.
    BuiltIn,
    /// A token.
    Token(PinUvAuthProtocol, &'a Token),
}

/// The result of encapsulate (CTAP 2.3 §6.5.4): the platform's public key, and the secret it shares with the
/// authenticator.
#[derive(Clone, Debug)]
pub struct Encapsulated {
    pub public: P256Point,
    pub shared: SharedSecret,
}

impl Grant<'_> {
    /// Whether the user is verified.
    pub const fn verifies(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// The pinUvAuthParam of the concatenated `message`, and its protocol's number.
    pub fn authenticate<C: Hash>(&self, crypto: &C, message: &[&[u8]]) -> Option<(Mac, u64)> {
        match self {
            Self::Token(protocol, token) => Some((token.authenticate(crypto, *protocol, message), protocol.number())),
            _ => None,
        }
    }

    /// The command's option `uv`: only for built-in user verification, some authenticators refuse it beside a token.
    pub const fn uv_option(&self) -> Option<bool> {
        match self {
            Self::BuiltIn => Some(true),
            _ => None,
        }
    }
}
