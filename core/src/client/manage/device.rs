//! What an authenticator says about itself, selection, reset, and commands that only the caller knows (CTAP 2.3 §6.4,
//! §6.6, §6.9).

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    cbor,
    client::{
        Cause,
        facts::Facts,
        operation::{Accepted, First, Forgets, Means, Operation, Room},
        question::Question,
        touch::TouchRequest,
    },
    crypto::Crypto,
    ctap2::{Command, get_info, response_body},
};

/// Asks for getInfo. Its outcome is the answer; for an authenticator of version 1, what it would say.
#[derive(Clone, Copy, Debug)]
pub struct GetInfo;

impl Operation for GetInfo {
    type Outcome<'b> = get_info::Response<'b>;
    type Item<'m> = Infallible;
    const CTAP1: bool = true;
    const FORGETS: Forgets = Forgets::Nothing;

    fn examine(&mut self, _: &get_info::Response<'_>, _: &Facts) -> Result<First, Cause> {
        Ok(First::Done)
    }

    fn outcome<'b>(&mut self, info: &'b [u8]) -> Result<get_info::Response<'b>, Cause> {
        Ok(cbor::decode_tolerant(response_body(info)?)?)
    }
}

/// Waits until the user touches this authenticator, to tell it from others. One without authenticatorSelection is made
/// to ask for a touch by a dummy registration.
#[derive(Debug, Default)]
pub struct Selection(TouchRequest);

impl Selection {
    /// Asks for a touch.
    pub const fn new() -> Self {
        Self(TouchRequest::new())
    }
}

impl Operation for Selection {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const CTAP1: bool = true;
    const FORGETS: Forgets = Forgets::Nothing;

    fn request<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        self.0.request(means.facts, means.buffer).map(Some)
    }

    fn accept<C: Crypto, R>(&mut self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
        self.0.accept(means.facts, room)
    }

    fn outcome(&mut self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}

/// Erases everything: credentials, PIN, fingerprints, settings. Most authenticators take it only within 10 s of being
/// plugged in and with a touch, and answer NOT_ALLOWED or OPERATION_DENIED otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Reset;

impl Operation for Reset {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::All;

    fn question(&self, _: &Facts) -> Result<Question<'_>, Cause> {
        Ok(Question::Command(Command::RESET, &[]))
    }

    fn outcome(&mut self, response: &[u8]) -> Result<(), Cause> {
        Ok(response_body(response).map(drop)?)
    }
}

/// Sends any command. Its outcome is what follows the status in the answer.
#[derive(Clone, Copy, Debug)]
pub struct RawCommand<'o> {
    command: Command,
    parameters: &'o [u8],
}

impl<'o> RawCommand<'o> {
    /// `parameters` follow the command byte as they are, CBOR or not.
    pub const fn new(command: Command, parameters: &'o [u8]) -> Self {
        Self { command, parameters }
    }
}

impl Operation for RawCommand<'_> {
    type Outcome<'b> = &'b [u8];
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::All;

    fn question(&self, _: &Facts) -> Result<Question<'_>, Cause> {
        Ok(Question::Command(self.command, self.parameters))
    }

    fn outcome<'b>(&mut self, response: &'b [u8]) -> Result<&'b [u8], Cause> {
        Ok(response_body(response)?)
    }
}
