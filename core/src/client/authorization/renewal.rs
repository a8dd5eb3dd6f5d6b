//! Tokens that are used again: what a session lends and takes back.

use super::{Authorization, State};
use crate::{
    client::{Reason, facts::AuthorizationMethod},
    pin_uv::{PinHash, Token},
};

impl Authorization {
    /// Takes what a session has: a token for this purpose, and the hash of the PIN where the PIN is the method. A PIN does
    /// not stand in for built-in user verification that fails or is refused: then the user is asked for it.
    pub fn borrow(&mut self, token: Option<&Token>, pin_hash: Option<&PinHash>) {
        self.keeps_pin = true;
        let pin_hash = pin_hash.filter(|_| self.method == Some(AuthorizationMethod::Pin));
        self.pin_is_lent = pin_hash.is_some();
        self.pin_hash = pin_hash.cloned();
        if let (Some(token), Some(AuthorizationMethod::Pin | AuthorizationMethod::BuiltInToken)) = (token, self.method)
        {
            self.token = token.clone();
            self.lent = true;
        }
    }

    /// What a session can use again: the token that was granted by PIN or by built-in user verification, and the hash
    /// of that PIN.
    pub fn obtained(&self) -> Option<(&Token, Option<&PinHash>)> {
        let obtained =
            matches!(self.method, Some(AuthorizationMethod::Pin | AuthorizationMethod::BuiltInToken)) && !self.lent;
        obtained.then_some((&self.token, self.pin_hash.as_ref().filter(|_| !self.wrong)))
    }

    /// Whether the token is the session's.
    pub const fn has_lent_token(&self) -> bool {
        self.lent
    }

    /// Forgets what the session lent: its token was refused.
    pub fn begin_anew(&mut self) {
        *self = Self { pin_attempts: self.pin_attempts, reason: Reason::TokenRefused, ..Self::new() };
    }

    /// Whether a token that is refused is renewed.
    pub fn renews(&self) -> bool {
        matches!(self.method, Some(AuthorizationMethod::Pin | AuthorizationMethod::BuiltInToken))
            && (self.lent || !self.renewed)
    }

    /// Whether it is renewed without asking the user.
    pub fn renews_by_itself(&self) -> bool {
        self.renews() && self.method == Some(AuthorizationMethod::Pin) && self.pin_hash.is_some() && !self.wrong
    }

    /// Whether the authenticator has been sent the PIN and has not answered.
    pub fn is_trying_pin(&self) -> bool {
        self.method == Some(AuthorizationMethod::Pin) && self.state == State::Token
    }

    /// A response to the command was accepted: the next request may find the token used up.
    pub fn accepted(&mut self) {
        self.renewed = false;
    }
}
