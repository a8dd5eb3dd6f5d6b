//! Setting the first PIN, and changing it (CTAP 2.3 §6.5.5.5, §6.5.5.6).
//!
//! ```text
//! SetPin                                        AskNewPin ──▶ getKeyAgreement ──▶ 0x03
//! ChangePin    getPINRetries ──▶ AskPin ──▶ AskNewPin ──▶ getKeyAgreement ──▶ 0x04 ──▶ wrong: from the front
//! ```
//!
//! Within a ceremony a token is then asked for with the new PIN, without asking the user again.

use rand_core::CryptoRng;

use super::{Action, Authorization, Context, Encapsulated, PIN_HASH_ENC, State, send, token::encrypt};
use crate::{
    client::{Cause, Reason, facts::AuthorizationMethod},
    cose::CoseKey,
    crypto::Crypto,
    ctap2::client_pin::{Request, subcommand},
    pin_uv::{PaddedPin, PinError},
};

/// A padded PIN, encrypted: 64 bytes and the 16 of an IV.
const NEW_PIN_ENC: usize = 80;

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
                return self.ask(cx, State::KeyAgreement);
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
        let new_pin_enc = encrypt(cx, shared, Some(new_pin.as_bytes()), &mut new_pin_enc)?;
        let pin_hash = self.pin_hash.as_ref().map(|hash| hash.0.as_slice());
        let pin_hash_enc = encrypt(cx, shared, pin_hash, &mut pin_hash_enc)?;
        let message = [new_pin_enc.unwrap_or_default(), pin_hash_enc.unwrap_or_default()];
        let param = shared.authenticate(cx.crypto, &message);
        let request = Request {
            pin_uv_auth_protocol: Some(shared.protocol().number()),
            sub_command: Some(if pin_hash_enc.is_some() { subcommand::CHANGE_PIN } else { subcommand::SET_PIN }),
            key_agreement: Some(CoseKey::key_agreement(public)),
            pin_uv_auth_param: Some(param.as_bytes()),
            new_pin_enc,
            pin_hash_enc,
            ..Request::default()
        };
        self.state = State::NewPinSent;
        send(cx, &request)
    }

    pub(super) fn new_pin_set<C: Crypto, R>(&mut self, cx: &mut Context<'_, C, R>) -> Result<Action, Cause> {
        if !self.onward {
            return self.granted(cx);
        }
        self.pin_hash = self.new_pin.as_ref().map(|pin| pin.hash(cx.crypto));
        self.new_pin = None;
        self.method = Some(AuthorizationMethod::Pin);
        self.ask(cx, State::KeyAgreement)
    }
}
