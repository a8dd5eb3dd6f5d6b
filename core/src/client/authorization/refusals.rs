//! How it goes on when the authenticator refuses: the PIN, the user, the token or the command.

use super::{Action, Authorization, Context, PinStanding, State};
use crate::{
    Status,
    client::{Cause, Reason, Requirement, facts::AuthorizationMethod},
    ctap2::ResponseError,
    pin_uv::Permissions,
};

/// Whether this status says that the command's token was refused.
pub const fn refuses_token(status: Status) -> bool {
    matches!(status, Status::PIN_AUTH_INVALID | Status::PIN_TOKEN_EXPIRED)
}

impl Authorization {
    /// The command was refused: says how to go on, or gives the refusal back as the error it is.
    pub fn refused<C, R>(&mut self, cx: &mut Context<'_, C, R>, status: Status) -> Result<Action, Cause> {
        let refusal = Cause::Status(status);
        match (status, self.method) {
            (Status::PUAT_REQUIRED, None) if !self.demanded && cx.purpose.permissions != Permissions::NONE => {
                self.demanded = true;
                cx.purpose.user_verification = Requirement::Required;
                self.choose(cx.facts.choose(&cx.purpose)?, cx.facts, &cx.purpose);
                self.begin(cx)
            }
            (Status::PUAT_REQUIRED | Status::UV_BLOCKED, Some(AuthorizationMethod::BuiltInOption)) => {
                self.fall_back(cx, Reason::UvFailed, refusal)
            }
            (Status::UV_INVALID, Some(AuthorizationMethod::BuiltInOption)) => self.uv_failed(cx),
            (status, Some(AuthorizationMethod::Pin | AuthorizationMethod::BuiltInToken))
                if refuses_token(status) && self.renews() =>
            {
                self.renew(cx)
            }
            (status, Some(AuthorizationMethod::Stored)) if refuses_token(status) => Err(Cause::TokenRevoked),
            // An extension's input is authenticated with the shared secret that also encrypts tokens.
            (Status::PIN_AUTH_INVALID, None) if cx.purpose.agreement && !self.renewed => {
                self.renewed = true;
                self.agreement = None;
                self.begin(cx)
            }
            (Status::PIN_AUTH_BLOCKED, Some(_)) => self.reconnect(),
            _ => Err(refusal),
        }
    }

    /// Obtains another token in place of the one that was refused.
    fn renew<C, R>(&mut self, cx: &mut Context<'_, C, R>) -> Result<Action, Cause> {
        self.renewed = !core::mem::take(&mut self.token_is_lent);
        self.reason = Reason::TokenRefused;
        self.begin(cx)
    }

    /// Takes note that a PIN was not taken for `reason`.
    ///
    /// # Errors
    /// `last` when it was the last that the user may give. One of the session does not count: the user has not given it
    /// here.
    pub(super) fn refuse_pin(&mut self, reason: Reason, last: Cause) -> Result<(), Cause> {
        self.reason = reason;
        if self.end_loan() {
            return Ok(());
        }
        self.pins_refused = self.pins_refused.saturating_add(1);
        if self.pins_refused < self.pin_attempts { Ok(()) } else { Err(last) }
    }

    /// The authenticator refused to issue a token or to set a PIN: says how to go on. Errors as in
    /// [`Authorization::refuse_pin`]; encoding; the refusal.
    pub(super) fn refused_pin<C, R>(
        &mut self,
        cx: &mut Context<'_, C, R>,
        error: ResponseError,
    ) -> Result<Action, Cause> {
        let (ResponseError::Status(status), Some(method)) = (error, self.method) else { return Err(error.into()) };
        let refusal = Cause::Status(status);
        match (status, method) {
            (Status::PIN_INVALID, AuthorizationMethod::Pin | AuthorizationMethod::ChangePin) => {
                let another = self.refuse_pin(Reason::Wrong, refusal);
                self.pin_standing = PinStanding::Refused;
                another?;
                self.ask(cx, State::PinRetries)
            }
            // The authenticator takes no PIN until it has been without power. It does not say whether this PIN was
            // wrong.
            (Status::PIN_AUTH_BLOCKED, AuthorizationMethod::Pin | AuthorizationMethod::ChangePin) => {
                self.pin_hash = None;
                self.refuse_pin(Reason::Wrong, refusal)?;
                self.reconnect()
            }
            (Status::PIN_POLICY_VIOLATION, AuthorizationMethod::Pin) => {
                self.method = Some(AuthorizationMethod::ChangePin);
                self.reason = Reason::First;
                self.pin_hash = None;
                self.begin(cx)
            }
            // The current PIN was right: it need not be asked for again.
            (Status::PIN_POLICY_VIOLATION, AuthorizationMethod::SetPin | AuthorizationMethod::ChangePin) => {
                self.refuse_pin(Reason::Policy, refusal)?;
                Ok(self.ask_new_pin(Reason::Policy))
            }
            (Status::UV_INVALID, AuthorizationMethod::BuiltInToken) => self.uv_failed(cx),
            (Status::UV_BLOCKED, AuthorizationMethod::BuiltInToken) => self.fall_back(cx, Reason::UvFailed, refusal),
            _ => Err(refusal),
        }
    }

    pub(super) fn uv_failed<C, R>(&mut self, cx: &mut Context<'_, C, R>) -> Result<Action, Cause> {
        self.uv_attempts = self.uv_attempts.saturating_add(1);
        self.ask(cx, State::UvRetries)
    }

    /// From built-in user verification to the PIN, or the error `otherwise` when there is none.
    pub(super) fn fall_back<C, R>(
        &mut self,
        cx: &mut Context<'_, C, R>,
        reason: Reason,
        otherwise: Cause,
    ) -> Result<Action, Cause> {
        let method = cx.facts.pin(cx.purpose.permissions).ok_or(otherwise)?;
        self.choose(Some(method), cx.facts, &cx.purpose);
        self.reason = reason;
        self.begin(cx)
    }

    /// A power cycle lifts PIN_AUTH_BLOCKED; a second one within a ceremony would only serve a guesser.
    pub(super) fn reconnect(&mut self) -> Result<Action, Cause> {
        if self.reconnected {
            return Err(Cause::Status(Status::PIN_AUTH_BLOCKED));
        }
        self.reconnected = true;
        self.agreement = None;
        // What is plugged in next may be another authenticator, so the session's PIN is not sent to it.
        if self.end_loan() {
            self.pin_hash = None;
        }
        self.state = State::Reconnect;
        Ok(Action::Reconnect)
    }
}
