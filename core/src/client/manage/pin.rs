//! Setting and changing the PIN, and the attempts that are left (CTAP 2.3 §6.5.5).

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    client::{
        Cause,
        facts::{AuthorizationMethod, Facts, Purpose},
        operation::{First, Forgets, Means, Operation},
    },
    crypto::Crypto,
    ctap2::{
        Command,
        client_pin::{Request, Response, subcommand},
        decode_response, encode_request, get_info,
    },
    pin_uv::PinUvAuthProtocol,
};

/// Sets the first PIN, which the user is asked for.
///
/// ```
/// use keyfob_core::client::{self, Cause, Ceremony, PinEntry, Prompt, UserInteraction, manage::SetPin};
/// use keyfob_core::crypto::RustCrypto;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// struct Dialog;
///
/// impl UserInteraction for Dialog {
///     fn request_new_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
///         pin.set("1234"); // what the user has typed
///         true
///     }
/// }
///
/// # let (mut key, mut buffer) = (Key::default(), [0; 4096]);
/// client::run(Ceremony::new(SetPin, &mut buffer, RustCrypto, rng()), &mut key, &mut Dialog, clock)?;
/// let again = client::run(Ceremony::new(SetPin, &mut buffer, RustCrypto, rng()), &mut key, &mut Dialog, clock);
/// assert_eq!(again.unwrap_err().cause, Cause::PinAlreadySet);
/// # Ok::<(), client::Error>(())
/// ```
///
/// # Errors
/// [`Cause::PinAlreadySet`], [`Cause::Unsupported`].
#[derive(Clone, Copy, Debug)]
pub struct SetPin;

/// Changes the PIN; the user is asked for the current one and for the new one.
///
/// # Errors
/// [`Cause::PinNotSet`], [`Cause::Unsupported`].
#[derive(Clone, Copy, Debug)]
pub struct ChangePin;

/// Verifies the PIN, and does nothing else. A right one resets the attempts. Tokens that were issued before are void.
///
/// ```
/// use keyfob_core::client::{self, Cause, Ceremony, PinEntry, Prompt, UserInteraction};
/// use keyfob_core::client::manage::{SetPin, VerifyPin};
/// use keyfob_core::crypto::RustCrypto;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// struct Typed(&'static str);
///
/// impl UserInteraction for Typed {
///     fn request_new_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
///         pin.set(self.0);
///         true
///     }
///     fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
///         pin.set(self.0);
///         true
///     }
/// }
///
/// # let (mut key, mut buffer) = (Key::default(), [0; 4096]);
/// let verified = client::run(Ceremony::new(VerifyPin, &mut buffer, RustCrypto, rng()), &mut key, &mut Typed("1234"), clock);
/// assert_eq!(verified.unwrap_err().cause, Cause::PinNotSet);
/// client::run(Ceremony::new(SetPin, &mut buffer, RustCrypto, rng()), &mut key, &mut Typed("1234"), clock)?;
/// client::run(Ceremony::new(VerifyPin, &mut buffer, RustCrypto, rng()), &mut key, &mut Typed("1234"), clock)?;
/// # Ok::<(), client::Error>(())
/// ```
///
/// # Errors
/// [`Cause::PinNotSet`], [`Cause::Unsupported`].
#[derive(Clone, Copy, Debug)]
pub struct VerifyPin;

/// Whether a PIN is set.
///
/// # Errors
/// [`Cause::Unsupported`] when none can be.
fn is_set(facts: &Facts) -> Result<bool, Cause> {
    facts.options.client_pin.filter(|_| facts.protocol.is_some()).ok_or(Cause::Unsupported)
}

// Authorization does all of it: no request follows.
impl Operation for SetPin {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;
    const PURPOSE: Purpose<'static> = Purpose { pin_alone: Some(AuthorizationMethod::SetPin), ..Purpose::NONE };

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        if is_set(facts)? { Err(Cause::PinAlreadySet) } else { Ok(First::Authorize) }
    }

    fn outcome(&mut self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}

impl Operation for ChangePin {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;
    const PURPOSE: Purpose<'static> = Purpose { pin_alone: Some(AuthorizationMethod::ChangePin), ..Purpose::NONE };

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        if is_set(facts)? { Ok(First::Authorize) } else { Err(Cause::PinNotSet) }
    }

    fn outcome(&mut self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}

impl Operation for VerifyPin {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;
    const PURPOSE: Purpose<'static> = Purpose { pin_alone: Some(AuthorizationMethod::Pin), ..Purpose::NONE };

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        if is_set(facts)? { Ok(First::Authorize) } else { Err(Cause::PinNotSet) }
    }

    fn outcome(&mut self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}

/// Attempts that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetriesLeft {
    /// How many.
    pub retries: u32,
    /// Whether a power cycle is needed before the next one; `None` when the authenticator does not say (2.1).
    pub power_cycle: Option<bool>,
}

/// Asks how many attempts are left. Its outcome is [`RetriesLeft`].
///
/// # Errors
/// [`Cause::Unsupported`] when the authenticator has no such attempts.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    sub_command: u32,
}

impl Retries {
    /// Attempts at the PIN.
    pub const fn of_pin() -> Self {
        Self { sub_command: subcommand::GET_PIN_RETRIES }
    }

    /// Attempts at built-in user verification.
    pub const fn of_uv() -> Self {
        Self { sub_command: subcommand::GET_UV_RETRIES }
    }
}

impl Operation for Retries {
    type Outcome<'b> = RetriesLeft;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        let supported = match self.sub_command {
            subcommand::GET_UV_RETRIES => facts.options.uv,
            _ => facts.options.client_pin,
        };
        supported.map(|_| First::Authorize).ok_or(Cause::Unsupported)
    }

    fn request<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        // Not needed for retries, but some authenticators insist on a protocol.
        let request = Request {
            pin_uv_auth_protocol: means.facts.protocol.map(PinUvAuthProtocol::number),
            sub_command: Some(self.sub_command),
            ..Request::default()
        };
        Ok(Some(encode_request(Command::CLIENT_PIN, &request, means.buffer)?))
    }

    fn outcome(&mut self, response: &[u8]) -> Result<RetriesLeft, Cause> {
        let response: Response<'_> = decode_response(response)?;
        let (retries, member) = match self.sub_command {
            subcommand::GET_UV_RETRIES => (response.uv_retries, 0x05),
            _ => (response.pin_retries, 0x03),
        };
        Ok(RetriesLeft { retries: retries.ok_or(Cause::missing(member))?, power_cycle: response.power_cycle_state })
    }
}
