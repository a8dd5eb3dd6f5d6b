//! Setting the first PIN, and changing it (CTAP 2.3 §6.5.5.5, §6.5.5.6).
//!
//! ```text
//! SetPin                                        AskNewPin ──▶ getKeyAgreement ──▶ 0x03
//! ChangePin    getPINRetries ──▶ AskPin ──▶ AskNewPin ──▶ getKeyAgreement ──▶ 0x04 ──▶ wrong: from the front
//! ```
//!
//! Within a ceremony a token is then asked for with the new PIN, without asking the user again.

use rand_core::CryptoRng;

use super::{Action, Authorization, Context, Encapsulated, State, send};
use crate::{
    Status, bytes,
    client::{Cause, Reason, facts::AuthorizationMethod},
    cose::CoseKey,
    crypto::Crypto,
    ctap2::{
        ResponseError,
        client_pin::{Request, subcommand},
    },
    pin_uv::{PaddedPin, PinError},
};

/// A padded PIN, encrypted: 64 bytes and the 16 of an IV.
const NEW_PIN_ENC: usize = 80;
/// Half a hash, encrypted.
const PIN_HASH_ENC: usize = 32;

impl From<PinError> for Reason {
    fn from(error: PinError) -> Self {
        match error {
            PinError::TooShort => Self::TooShort,
            PinError::TooLong | PinError::TrailingZero => Self::TooLong,
        }
    }
}

impl Authorization {
    pub(super) fn ask_new_pin(&mut self, reason: Reason) -> Action {
        self.new_pin = None;
        self.reason = reason;
        self.state = State::NewPin;
        Action::AskNewPin
    }

    pub(super) fn new_pin<C, R>(&mut self, cx: &mut Context<'_, C, R>, pin: &str) -> Result<Action, Cause> {
        let reason = match PaddedPin::new(pin, cx.facts.min_pin_length) {
            _ if pin.chars().count() > cx.facts.max_pin_length => Reason::TooLong,
            Ok(pin) => {
                self.new_pin = Some(pin);
                return self.agree(cx);
            }
            Err(error) => error.into(),
        };
        self.refuse_pin(reason, Cause::PinLength)?;
        Ok(self.ask_new_pin(reason))
    }

    pub(super) fn send_new_pin<C: Crypto, R: CryptoRng>(
        &mut self,
        cx: &mut Context<'_, C, R>,
    ) -> Result<Action, Cause> {
        let (Some(new_pin), Some(Encapsulated { public, shared })) = (&self.new_pin, &self.agreement) else {
            return Err(Cause::WrongState);
        };
        let (mut new_pin_enc, mut pin_hash_enc) = ([0; NEW_PIN_ENC], [0; PIN_HASH_ENC]);
        let len = shared.encrypt(cx.crypto, cx.rng, new_pin.as_bytes(), &mut new_pin_enc)?;
        let new_pin_enc = bytes::front(&new_pin_enc, len);
        let pin_hash_enc = match &self.pin_hash {
            Some(hash) => {
                let len = shared.encrypt(cx.crypto, cx.rng, &hash.0, &mut pin_hash_enc)?;
                pin_hash_enc.get(..len)
            }
            None => None,
        };
        let param = shared.authenticate(cx.crypto, &[new_pin_enc, pin_hash_enc.unwrap_or_default()]);
        let request = Request {
            pin_uv_auth_protocol: Some(shared.protocol().number()),
            sub_command: Some(if pin_hash_enc.is_some() { subcommand::CHANGE_PIN } else { subcommand::SET_PIN }),
            key_agreement: Some(CoseKey::key_agreement(public)),
            pin_uv_auth_param: Some(param.as_bytes()),
            new_pin_enc: Some(new_pin_enc),
            pin_hash_enc,
            ..Request::default()
        };
        self.state = State::NewPinSent;
        send(cx, &request)
    }

    pub(super) fn new_pin_response<C: Crypto, R>(
        &mut self,
        cx: &mut Context<'_, C, R>,
        response: Result<(), ResponseError>,
    ) -> Result<Action, Cause> {
        let changes = self.method == Some(AuthorizationMethod::ChangePin);
        match response {
            Ok(()) if self.onward => {
                self.pin_hash = self.new_pin.as_ref().map(|pin| pin.hash(cx.crypto));
                self.new_pin = None;
                self.method = Some(AuthorizationMethod::Pin);
                self.agree(cx)
            }
            Ok(()) => self.granted(cx),
            // The current PIN was right: it need not be asked for again.
            Err(ResponseError::Status(status @ Status::PIN_POLICY_VIOLATION)) => {
                self.refuse_pin(Reason::Policy, Cause::Status(status))?;
                Ok(self.ask_new_pin(Reason::Policy))
            }
            Err(ResponseError::Status(Status::PIN_INVALID)) if changes => self.wrong_pin(cx),
            Err(ResponseError::Status(Status::PIN_AUTH_BLOCKED)) if changes => self.blocked_pin(),
            Err(error) => Err(error.into()),
        }
    }
}
