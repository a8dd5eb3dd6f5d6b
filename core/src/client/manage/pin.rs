//! Setting and changing the PIN, and the attempts that are left (CTAP 2.3 §6.5.5).

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    client::{
        Cause, Ceremony,
        authorization::Grant,
        facts::{Facts, Method, Purpose},
        operation::{Means, Operation, Progress, Room},
    },
    crypto::Crypto,
    ctap2::{
        Command,
        client_pin::{Request, Response, subcommand},
        decode_response, encode_request, get_info,
    },
    pin_uv::Protocol,
};

/// The operation that sets the first PIN, which the user is asked for. Errors: [`Cause::PinAlreadySet`],
/// [`Cause::Unsupported`].
pub type SetPin<'b, C, R> = Ceremony<'b, NewPin<false>, C, R>;

/// The operation that changes the PIN; the user is asked for the current one and for the new one. Errors:
/// [`Cause::PinNotSet`], [`Cause::Unsupported`].
pub type ChangePin<'b, C, R> = Ceremony<'b, NewPin<true>, C, R>;

impl<'b, const CHANGE: bool, C: Crypto, R: CryptoRng> Ceremony<'b, NewPin<CHANGE>, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(NewPin, buffer, crypto, rng)
    }
}

/// The operation of [`SetPin`] and [`ChangePin`].
#[derive(Debug)]
pub struct NewPin<const CHANGE: bool>;

impl<const CHANGE: bool> Operation for NewPin<CHANGE> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        match (facts.options.client_pin, facts.protocol) {
            (None, _) | (_, None) => Err(Cause::Unsupported),
            (Some(true), _) if !CHANGE => Err(Cause::PinAlreadySet),
            (Some(false), _) if CHANGE => Err(Cause::PinNotSet),
            _ => Ok(()),
        }
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn method(&self, _: &Facts) -> Result<Option<Method>, Cause> {
        Ok(Some(if CHANGE { Method::ChangePin } else { Method::SetPin }))
    }

    fn granted<C: Crypto>(&mut self, _: &C, _: Grant<'_>) -> bool {
        false // the way to the grant was all
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<usize, Cause> {
        Ok(0)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        _: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        Err(Cause::WrongState)
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<(), Cause>
    where
        Self: 'b,
    {
        Ok(())
    }
}

/// The operation that asks how many attempts are left. Its outcome is [`RetriesLeft`].
pub type Retries<'b, C, R> = Ceremony<'b, Left, C, R>;

impl<'b, C: Crypto, R: CryptoRng> Retries<'b, C, R> {
    /// Attempts at the PIN. Errors: [`Cause::Unsupported`] when the authenticator has none.
    pub fn of_pin(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(Left { sub_command: subcommand::GET_PIN_RETRIES }, buffer, crypto, rng)
    }

    /// Attempts at built-in user verification. Errors: [`Cause::Unsupported`] when the authenticator has none.
    pub fn of_uv(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(Left { sub_command: subcommand::GET_UV_RETRIES }, buffer, crypto, rng)
    }
}

/// Attempts that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetriesLeft {
    /// How many.
    pub retries: u64,
    /// Whether a power cycle is needed before the next one; `None` when the authenticator does not say (2.1).
    pub power_cycle: Option<bool>,
}

/// The operation of [`Retries`].
#[derive(Debug)]
pub struct Left {
    sub_command: u64,
}

impl Left {
    fn read(&self, response: &[u8]) -> Result<RetriesLeft, Cause> {
        let response: Response<'_> = decode_response(response)?;
        let (retries, member) = match self.sub_command {
            subcommand::GET_UV_RETRIES => (response.uv_retries, 0x05),
            _ => (response.pin_retries, 0x03),
        };
        Ok(RetriesLeft { retries: retries.ok_or(Cause::missing(member))?, power_cycle: response.power_cycle_state })
    }
}

impl Operation for Left {
    type Outcome<'b> = RetriesLeft;
    type Item<'m> = Infallible;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        let supported = match self.sub_command {
            subcommand::GET_UV_RETRIES => facts.options.uv,
            _ => facts.options.client_pin,
        };
        supported.map(drop).ok_or(Cause::Unsupported)
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
        // Not needed for retries, but some authenticators insist on a protocol.
        let request = Request {
            pin_uv_auth_protocol: means.facts.protocol.map(Protocol::number),
            sub_command: Some(self.sub_command),
            ..Request::default()
        };
        Ok(encode_request(Command::CLIENT_PIN, &request, buffer)?)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        self.read(room.response()).map(|_| Progress::Complete)
    }

    fn outcome<'b>(self, response: &'b [u8]) -> Result<RetriesLeft, Cause>
    where
        Self: 'b,
    {
        self.read(response)
    }
}
