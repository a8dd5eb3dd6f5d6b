//! How a ceremony comes by its authorization: the PIN, built-in user verification, and the token (CTAP 2.3 §6.5.5).
//!
//! ```text
//!                    AskPin ◀── getPINRetries ◀─────────────┐
//! Pin                  └──▶ getKeyAgreement ──▶ 0x09 / 0x05 ─┤ wrong
//! BuiltInToken       AskUv ──▶ getKeyAgreement ──▶ 0x06 ─────┤ wrong ──▶ getUVRetries ──▶ AskUv, or the PIN
//! BuiltInOption      AskUv ──▶ the command with uv:true ─────┘
//! none               getKeyAgreement, where an extension needs a shared secret
//! ```
//!
//! Setting and changing a PIN begins in the same way and ends in `new_pin`. A ceremony that first needs a PIN, or
//! another one, goes on from there.

use rand_core::CryptoRng;

use super::{
    Cause, DEFAULT_PIN_ATTEMPTS, Prompt, Reason,
    ceremony::Action,
    facts::{AuthorizationMethod, Facts, Purpose},
};
use crate::{
    Status, bytes,
    crypto::Crypto,
    ctap2::{
        Command, ResponseError,
        client_pin::{Request, Response, subcommand},
        decode_response, encode_request,
        get_info::DEFAULT_MIN_PIN_LENGTH,
        response_body,
    },
    pin_uv::{PaddedPin, Permissions, PinHash, PinUvAuthProtocol, Token, encapsulate},
};

mod new_pin;
mod refusals;
mod token;

pub use refusals::refuses_token;
pub use token::{Encapsulated, Grant};
use token::{ask_token, open_token};

/// Attempts at built-in user verification, at most: no authenticator allows more in a row (CTAP 2.3 §6.5.2). With one
/// that does not tell its retries, a ceremony could otherwise ask for ever.
const MAX_UV_ATTEMPTS: u32 = 25;

/// Half a PIN's hash, encrypted: 16 bytes and the 16 of an IV.
const PIN_HASH_ENC: usize = 32;

/// What the authorization works with, lent by the ceremony for one step.
pub struct Context<'a, C, R> {
    pub crypto: &'a C,
    pub rng: &'a mut R,
    pub facts: &'a Facts,
    pub purpose: Purpose<'a>,
    pub buffer: &'a mut [u8],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    PinRetries,
    Pin,
    NewPin,
    UvRetries,
    Uv,
    KeyAgreement,
    Token,
    NewPinSent,
    Reconnect,
    Granted,
}

/// What is known of the PIN whose hash is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PinStanding {
    /// The user gave it in this ceremony.
    #[default]
    Given,
    /// It is one of the session.
    Lent,
    /// The authenticator has refused it: it is not sent again.
    Refused,
}

/// The authorization of one ceremony.
#[derive(Default)]
pub struct Authorization {
    state: State,
    /// `None` while the user need not be verified.
    method: Option<AuthorizationMethod>,
    reason: Reason,
    retries: Option<u8>,
    uv_attempts: u32,
    /// How many PINs the user may give, and how many were refused.
    pub pin_attempts: u8,
    pins_refused: u8,
    /// The token is one of the session.
    token_is_lent: bool,
    /// The PIN's hash is kept for the session.
    keeps_pin: bool,
    /// What may happen once in a ceremony; a renewal, once for each request.
    reconnected: bool,
    renewed: bool,
    demanded: bool,
    /// When the new PIN is set, it is used.
    onward: bool,
    pin_hash: Option<PinHash>,
    pin_standing: PinStanding,
    new_pin: Option<PaddedPin>,
    /// What extensions encrypt with.
    pub agreement: Option<Encapsulated>,
    token: Token,
}

impl Authorization {
    pub fn new() -> Self {
        Self { pin_attempts: DEFAULT_PIN_ATTEMPTS, ..Self::default() }
    }

    /// Forgets every secret.
    pub fn wipe(&mut self) {
        self.pin_hash = None;
        self.new_pin = None;
        self.agreement = None;
        self.token = Token::default();
        self.state = State::Idle;
    }

    /// What the command may use. Before it is granted it already has the right kind and lengths, so that a request can
    /// be measured.
    pub fn grant(&self, facts: &Facts) -> Grant<'_> {
        match (self.method, facts.protocol) {
            (Some(AuthorizationMethod::BuiltInOption), _) => Grant::BuiltIn,
            (Some(_), Some(protocol)) => Grant::Token(protocol, &self.token),
            _ => Grant::None,
        }
    }

    /// What to tell the user.
    pub fn prompt<'a>(&self, facts: &Facts, purpose: &Purpose<'a>) -> Prompt<'a> {
        Prompt {
            reason: self.reason,
            retries: self.retries,
            min_pin_length: facts.min_pin_length,
            permissions: purpose.permissions,
            rp_id: purpose.rp_id,
        }
    }

    /// Chooses the method, which [`Authorization::begin`] then begins with. A PIN that must be changed is changed
    /// first.
    pub fn choose(&mut self, method: Option<AuthorizationMethod>, facts: &Facts, purpose: &Purpose<'_>) {
        let stale = method == Some(AuthorizationMethod::Pin) && facts.force_pin_change;
        self.method = if stale { Some(AuthorizationMethod::ChangePin) } else { method };
        self.onward = purpose.permissions != Permissions::NONE;
    }

    /// Uses a token that the caller has kept.
    pub fn adopt(&mut self, token: &Token) {
        self.token = token.clone();
        self.method = Some(AuthorizationMethod::Stored);
    }

    /// Whether the authenticator has been sent a new PIN, and has not answered.
    pub fn is_setting_pin(&self) -> bool {
        self.state == State::NewPinSent
    }

    /// Begins with the chosen method.
    pub fn begin<C, R>(&mut self, cx: &mut Context<'_, C, R>) -> Result<Action, Cause> {
        match self.method {
            None | Some(AuthorizationMethod::Stored) => self.granted(cx),
            Some(AuthorizationMethod::Pin | AuthorizationMethod::BuiltInToken) if self.token_is_lent => {
                self.granted(cx)
            }
            Some(AuthorizationMethod::SetPin) => Ok(self.ask_new_pin(Reason::First)),
            Some(AuthorizationMethod::Pin | AuthorizationMethod::ChangePin) => self.ask(cx, State::PinRetries),
            Some(AuthorizationMethod::BuiltInToken | AuthorizationMethod::BuiltInOption) => {
                self.retries = None;
                self.state = State::Uv;
                Ok(Action::AskUv)
            }
        }
    }

    /// Takes the PIN. An empty PIN means that the user gives none.
    ///
    /// # Errors
    /// [`Cause::WrongState`] when none was asked for. When it was the last that the user may give:
    /// [`Cause::PinLength`], PIN_INVALID. Those of [`Authorization::no_pin`]; encoding.
    pub fn pin<C: Crypto, R: CryptoRng>(&mut self, cx: &mut Context<'_, C, R>, pin: &str) -> Result<Action, Cause> {
        match self.state {
            State::Pin | State::NewPin if pin.is_empty() => return self.no_pin(),
            State::NewPin => return self.new_pin(cx, pin),
            State::Pin => {}
            _ => return Err(Cause::WrongState),
        }
        // The length that is required of new PINs may have grown since this one was set.
        let changes = self.method == Some(AuthorizationMethod::ChangePin);
        let min_length = cx.facts.min_pin_length.min(if changes { DEFAULT_MIN_PIN_LENGTH } else { usize::MAX });
        match PaddedPin::new(pin, min_length) {
            Ok(pin) => {
                let hash = pin.hash(cx.crypto);
                if self.was_refused(&hash) {
                    // It would only spend another attempt.
                    self.refuse_pin(Reason::Wrong, Cause::Status(Status::PIN_INVALID))?;
                    return Ok(Action::AskPin);
                }
                (self.pin_hash, self.pin_standing) = (Some(hash), PinStanding::Given);
                if changes && self.new_pin.is_none() {
                    Ok(self.ask_new_pin(Reason::First))
                } else {
                    self.ask(cx, State::KeyAgreement)
                }
            }
            Err(error) => {
                self.refuse_pin(error.into(), Cause::PinLength)?;
                Ok(Action::AskPin)
            }
        }
    }

    /// There is no PIN.
    ///
    /// # Errors
    /// [`Cause::PinRequired`], or what the ceremony cannot go on without; [`Cause::WrongState`] when none was asked
    /// for.
    pub fn no_pin(&self) -> Result<Action, Cause> {
        Err(match (self.state, self.method) {
            (State::NewPin, Some(AuthorizationMethod::SetPin)) if self.onward => Cause::PinNotSet,
            (State::NewPin, Some(AuthorizationMethod::ChangePin)) if self.onward => Cause::PinChangeRequired,
            (State::Pin | State::NewPin, _) => Cause::PinRequired,
            _ => Cause::WrongState,
        })
    }

    /// Takes the user's answer about built-in user verification: a refusal leads to the PIN. Errors:
    /// [`Cause::UvDeclined`] when there is none; [`Cause::WrongState`] when nothing was asked.
    pub fn user_verification<C, R>(&mut self, cx: &mut Context<'_, C, R>, agreed: bool) -> Result<Action, Cause> {
        match (self.state, self.method) {
            (State::Uv, _) if !agreed => self.fall_back(cx, Reason::First, Cause::UvDeclined),
            (State::Uv, Some(AuthorizationMethod::BuiltInToken)) => self.ask(cx, State::KeyAgreement),
            (State::Uv, Some(AuthorizationMethod::BuiltInOption)) => self.granted(cx),
            _ => Err(Cause::WrongState),
        }
    }

    /// Whether the caller has to take the authenticator's power away and give it back.
    pub fn reconnecting(&self) -> bool {
        self.state == State::Reconnect
    }

    /// Takes the response to the last request, `len` bytes in the buffer.
    pub fn response<C: Crypto, R: CryptoRng>(
        &mut self,
        cx: &mut Context<'_, C, R>,
        len: usize,
    ) -> Result<Action, Cause> {
        let response = bytes::front(cx.buffer, len);
        if self.state == State::NewPinSent {
            return match response_body(response) {
                Ok(_) => self.new_pin_set(cx),
                Err(error) => self.refused_pin(cx, error),
            };
        }
        let response = decode_response::<Response<'_>>(response);
        match self.state {
            State::PinRetries => {
                let Response { pin_retries, power_cycle_state, .. } = tolerate_status(response)?;
                self.pin_retries(cx, pin_retries, power_cycle_state == Some(true))
            }
            State::UvRetries => self.uv_retries(cx, tolerate_status(response)?.uv_retries),
            State::KeyAgreement => {
                let protocol = cx.facts.protocol.ok_or(Cause::UvUnavailable)?;
                let key = response?.key_agreement.ok_or(Cause::missing(0x01))?;
                let (public, shared) = encapsulate(cx.crypto, cx.rng, protocol, &key)?;
                let agreement = &*self.agreement.insert(Encapsulated { public, shared });
                match self.method {
                    Some(AuthorizationMethod::SetPin | AuthorizationMethod::ChangePin) => self.send_new_pin(cx),
                    Some(AuthorizationMethod::Pin | AuthorizationMethod::BuiltInToken) => {
                        let hash = self.pin_hash.as_ref();
                        let sent = ask_token(cx, self.method, agreement, hash);
                        self.state = State::Token;
                        sent
                    }
                    None | Some(AuthorizationMethod::BuiltInOption | AuthorizationMethod::Stored) => self.granted(cx),
                }
            }
            State::Token => {
                let Encapsulated { shared, .. } = self.agreement.as_ref().ok_or(Cause::WrongState)?;
                let token = response.map(|response| open_token(cx.crypto, cx.facts, shared, &response));
                if !cx.purpose.agreement {
                    self.agreement = None; // not taken: what is moved out is not wiped
                }
                match token {
                    Ok(token) => self.token_issued(cx, token?),
                    Err(error) => self.refused_pin(cx, error),
                }
            }
            _ => Err(Cause::WrongState),
        }
    }
}

impl Authorization {
    fn pin_retries<C: Crypto, R: CryptoRng>(
        &mut self,
        cx: &mut Context<'_, C, R>,
        left: Option<u32>,
        latched: bool,
    ) -> Result<Action, Cause> {
        self.retries = left.map(clamp);
        if self.retries == Some(0) {
            return Err(Cause::Status(Status::PIN_BLOCKED));
        }
        if latched {
            return self.reconnect();
        }
        // The last attempt is the user's: a PIN of the session may be an old one.
        let may_be_old = self.pin_standing == PinStanding::Lent && self.retries == Some(1);
        if self.method == Some(AuthorizationMethod::Pin) && self.has_pin() && !may_be_old {
            return self.ask(cx, State::KeyAgreement);
        }
        self.end_loan();
        self.state = State::Pin;
        Ok(Action::AskPin)
    }

    fn uv_retries<C, R>(&mut self, cx: &mut Context<'_, C, R>, left: Option<u32>) -> Result<Action, Cause> {
        self.retries = left.map(clamp);
        let exhausted = cx.facts.uv_attempts.is_some_and(|limit| self.uv_attempts >= limit);
        if self.retries == Some(0)
            || self.uv_attempts >= MAX_UV_ATTEMPTS
            || (exhausted && cx.facts.pin(cx.purpose.permissions).is_some())
        {
            return self.fall_back(cx, Reason::UvFailed, Cause::Status(Status::UV_BLOCKED));
        }
        (self.reason, self.state) = (Reason::Wrong, State::Uv);
        Ok(Action::AskUv)
    }

    /// Whether there is a PIN to send.
    fn has_pin(&self) -> bool {
        self.pin_hash.is_some() && self.pin_standing != PinStanding::Refused
    }

    /// Whether the authenticator has refused this PIN.
    fn was_refused(&self, hash: &PinHash) -> bool {
        self.pin_standing == PinStanding::Refused && self.pin_hash.as_ref().is_some_and(|kept| kept.matches(&hash.0))
    }

    /// From now on the PIN counts as the user's. Returns whether it was the session's.
    fn end_loan(&mut self) -> bool {
        let lent = self.pin_standing == PinStanding::Lent;
        if lent {
            self.pin_standing = PinStanding::Given;
        }
        lent
    }

    fn granted<C, R>(&mut self, cx: &mut Context<'_, C, R>) -> Result<Action, Cause> {
        if cx.purpose.agreement && self.agreement.is_none() {
            return self.ask(cx, State::KeyAgreement);
        }
        self.state = State::Granted;
        Ok(Action::Granted)
    }

    /// Goes to `state`, and sends the subcommand whose answer that state waits for: getPINRetries, getUVRetries or
    /// getKeyAgreement.
    fn ask<C, R>(&mut self, cx: &mut Context<'_, C, R>, state: State) -> Result<Action, Cause> {
        self.state = state;
        let sub_command = match state {
            State::PinRetries => subcommand::GET_PIN_RETRIES,
            State::UvRetries => subcommand::GET_UV_RETRIES,
            _ => subcommand::GET_KEY_AGREEMENT,
        };
        // Not needed for retries, but some authenticators insist on a protocol.
        let pin_uv_auth_protocol = cx.facts.protocol.map(PinUvAuthProtocol::number);
        send(cx, &Request { pin_uv_auth_protocol, sub_command: Some(sub_command), ..Request::default() })
    }
}

fn send<C, R>(cx: &mut Context<'_, C, R>, request: &Request<'_>) -> Result<Action, Cause> {
    Ok(Action::Send(encode_request(Command::CLIENT_PIN, request, cx.buffer)?))
}

/// The number of retries is only shown to the user: an authenticator that refuses to tell it does not end the ceremony.
fn tolerate_status<'a>(response: Result<Response<'a>, ResponseError>) -> Result<Response<'a>, ResponseError> {
    match response {
        Err(ResponseError::Status(_)) => Ok(Response::default()),
        response => response,
    }
}

fn clamp(retries: u32) -> u8 {
    u8::try_from(retries).unwrap_or(u8::MAX)
}
