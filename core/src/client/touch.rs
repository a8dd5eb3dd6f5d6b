//! A touch, and nothing else: to select an authenticator, or because a site must not be able to tell, without a touch,
//! whether this authenticator holds the credential or can do what was asked for.
//!
//! ```text
//! version 1                   register for no application
//! authenticatorSelection      ──▶ not there after all ──▶ a dummy registration
//! 2.0, with clientPin         an empty pinUvAuthParam ──▶ refused before a touch, no PIN set ──▶ a dummy registration
//! 2.0, without                a dummy registration
//! ```

use super::{
    Cause, ErrorCode,
    facts::Facts,
    operation::{Accepted, Room},
    u2f,
};
use crate::{
    Status,
    cbor::List,
    cose::Algorithm,
    ctap1::{self, Control},
    ctap2::{
        Command, CredentialParameters, ResponseError, RpEntity, UserEntity, encode_command, encode_request,
        make_credential, response_body,
    },
};

/// One touch to be asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct TouchRequest {
    /// What asks for a touch alone was refused without one: a dummy registration asks for it.
    registers: bool,
}

impl TouchRequest {
    pub const fn new() -> Self {
        Self { registers: false }
    }

    /// Writes the request.
    pub fn request(self, facts: &Facts, buffer: &mut [u8]) -> Result<usize, Cause> {
        if facts.ctap1 {
            let none = [0; 32];
            let register = ctap1::Request::Register { control: Control::NONE, challenge: &none, application: &none };
            return Ok(register.encode(buffer)?);
        }
        if facts.is_2_1 && !self.registers {
            return Ok(encode_command(Command::SELECTION, buffer)?);
        }
        let asks = self.asks_by_pin(facts);
        // Not discoverable, so that the authenticator stores nothing.
        let request = make_credential::Request {
            client_data_hash: &[0; 32],
            rp: RpEntity { id: ".dummy", name: None },
            user: UserEntity { id: &[1], name: Some("dummy"), display_name: None },
            pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
            exclude_list: None,
            extensions: None,
            options: None,
            // An empty one asks for a touch and nothing else; some authenticators insist on a protocol beside it.
            pin_uv_auth_param: asks.then_some(&[]),
            pin_uv_auth_protocol: asks.then_some(1),
            enterprise_attestation: None,
            attestation_formats_preference: None,
        };
        Ok(encode_request(Command::MAKE_CREDENTIAL, &request, buffer)?)
    }

    /// Whether the request is an empty pinUvAuthParam, which only authenticators with clientPin know (CTAP 2.0 §5.1).
    const fn asks_by_pin(self, facts: &Facts) -> bool {
        !facts.is_2_1 && !self.registers && facts.options.client_pin.is_some()
    }

    /// Takes the answer: [`Accepted::Complete`] when the authenticator was touched, otherwise how to go on.
    ///
    /// # Errors
    /// What the authenticator answered instead.
    pub fn accept(&mut self, facts: &Facts, room: &Room<'_>) -> Result<Accepted, Cause> {
        if facts.ctap1 {
            if u2f::waits(room.response()) {
                return Ok(Accepted::Again);
            }
            return Ok(ctap1::response_data(room.response()).map(|_| Accepted::Complete)?);
        }
        let status = match response_body(room.response()) {
            Ok(_) => return Ok(Accepted::Complete),
            Err(ResponseError::Status(status)) => status,
            Err(error) => return Err(error.into()),
        };
        let (by_pin, pin_set) = (self.asks_by_pin(facts), facts.options.client_pin == Some(true));
        match status {
            // The standard returns PIN_INVALID only after the touch.
            Status::PIN_INVALID if by_pin && (room.touched || pin_set) => Ok(Accepted::Complete),
            // These also refuse any pinUvAuthParam, at once, where the authenticator does not know what an empty one
            // means.
            Status::PIN_NOT_SET | Status::PIN_AUTH_INVALID if by_pin && room.touched => Ok(Accepted::Complete),
            // With a PIN set, a registration without it is refused at once.
            Status::PIN_INVALID | Status::PIN_NOT_SET | Status::PIN_AUTH_INVALID if by_pin && !pin_set => {
                self.registers = true;
                Ok(Accepted::Prepared)
            }
            Status::INVALID_COMMAND if facts.is_2_1 && !self.registers => {
                self.registers = true;
                Ok(Accepted::Prepared)
            }
            status => Err(Cause::Status(status)),
        }
    }

    /// Takes the answer within a ceremony that is to fail with `cause` after a touch.
    ///
    /// # Errors
    /// `cause` after the touch. Without a touch never `cause`: the refusal or the timeout, and
    /// [`Cause::UserNotPresent`] when the authenticator could not be made to ask for a touch.
    pub fn end(&mut self, facts: &Facts, room: &Room<'_>, cause: Cause) -> Result<Accepted, Cause> {
        match self.accept(facts, room) {
            Ok(Accepted::Complete) => Err(cause),
            // Not as the status that it is: no authorization would help.
            Err(Cause::Status(status))
                if status != Status::OPERATION_DENIED && Cause::Status(status).code() != ErrorCode::Timeout =>
            {
                Err(Cause::UserNotPresent)
            }
            other => other,
        }
    }
}
