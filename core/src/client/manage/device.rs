//! Commands without management of anything: selection, reset, and those that only the caller knows (CTAP 2.3 §6.6,
//! §6.9).

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    client::{
        Cause, Ceremony,
        facts::{Facts, Purpose},
        operation::{Forgets, Means, Operation, Progress, Room},
        touch::Touch,
    },
    crypto::Crypto,
    ctap2::{Command, encode_command, encode_request, get_info, response_body},
};

/// The operation that waits until the user touches this authenticator, to tell it from others. One without
/// authenticatorSelection is made to ask for a touch by a dummy registration.
pub type Select<'b, C, R> = Ceremony<'b, Selection, C, R>;

impl<'b, C: Crypto, R: CryptoRng> Select<'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(Selection { touch: Touch::new() }, buffer, crypto, rng)
    }
}

/// The operation of [`Select`].
#[derive(Debug)]
pub struct Selection {
    touch: Touch,
}

impl Operation for Selection {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;

    const CTAP1: bool = true;

    fn examine(&mut self, _: &get_info::Response<'_>, _: &Facts) -> Result<(), Cause> {
        Ok(())
    }

    fn examine_ctap1(&mut self, _: &Facts) -> Result<(), Cause> {
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        self.touch.request(means.facts, buffer)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        self.touch.accept(means.facts, room)
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<(), Cause>
    where
        Self: 'b,
    {
        Ok(())
    }
}

/// The operation that erases everything: credentials, PIN, fingerprints, settings. Most authenticators take it only within
/// 10 s of being plugged in and with a touch, and answer NOT_ALLOWED or OPERATION_DENIED otherwise.
pub type Reset<'b, C, R> = Ceremony<'b, Resetting, C, R>;

impl<'b, C: Crypto, R: CryptoRng> Reset<'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(Resetting, buffer, crypto, rng)
    }
}

/// The operation of [`Reset`].
#[derive(Debug)]
pub struct Resetting;

impl Operation for Resetting {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::All;

    fn examine(&mut self, _: &get_info::Response<'_>, _: &Facts) -> Result<(), Cause> {
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        Ok(encode_command(Command::RESET, buffer)?)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        response_body(room.response())?;
        Ok(Progress::Complete)
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<(), Cause>
    where
        Self: 'b,
    {
        Ok(())
    }
}

/// The operation that sends any command. Its outcome is what follows the status in the answer.
pub type Call<'o, 'b, C, R> = Ceremony<'b, AnyCommand<'o>, C, R>;

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> Call<'o, 'b, C, R> {
    /// An operation that has not begun. `parameters` follow the command byte as they are, CBOR or not. `buffer` has at
    /// least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(command: Command, parameters: &'o [u8], buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(AnyCommand { command, parameters }, buffer, crypto, rng)
    }
}

/// The operation of [`Call`].
#[derive(Debug)]
pub struct AnyCommand<'o> {
    command: Command,
    parameters: &'o [u8],
}

impl Operation for AnyCommand<'_> {
    type Outcome<'b>
        = &'b [u8]
    where
        Self: 'b;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::All;

    fn examine(&mut self, _: &get_info::Response<'_>, _: &Facts) -> Result<(), Cause> {
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        Ok(encode_request(self.command, &crate::cbor::Raw(self.parameters), buffer)?)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        response_body(room.response())?;
        Ok(Progress::Complete)
    }

    fn outcome<'b>(self, response: &'b [u8]) -> Result<&'b [u8], Cause>
    where
        Self: 'b,
    {
        Ok(response_body(response)?)
    }
}
