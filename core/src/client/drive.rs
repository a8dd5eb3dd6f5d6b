//! A loop over a blocking transport: it does what a ceremony wants and tells it what happened.

use core::{fmt, time::Duration};

use rand_core::CryptoRng;

use super::{AssertionSelection, Ceremony, Error, Input, Operation, Output, Prompt, session::Memory};
use crate::{
    Instant,
    bytes::{self, Secret},
    crypto::Crypto,
    transport::{KeepAlive, Received, Transport},
};

/// How often the user is asked whether to cancel, at least.
pub(super) const CANCEL_POLL: Duration = Duration::from_millis(100);

/// What the user sees and says, one after the other: a PIN dialog that is open holds up the ceremony. For async
/// executors there is [`AsyncUserInteraction`](super::AsyncUserInteraction). The defaults show nothing, give no PIN,
/// agree to built-in user verification, choose the account of the most recent credential and never cancel.
///
/// ```
/// use keyfob_core::client::{self, Ceremony, PinEntry, Prompt, UserInteraction, manage::SetPin};
/// use keyfob_core::crypto::RustCrypto;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// struct Dialog;
///
/// impl UserInteraction for Dialog {
///     fn prompt_up(&mut self) {
///         println!("Touch your security key.");
///     }
///
///     fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
///         assert_eq!(prompt.min_pin_length, 4);
///         pin.set("1234"); // what the user has typed
///         true
///     }
/// }
///
/// # let (mut key, mut buffer) = (Key::default(), [0; 4096]);
/// let ceremony = Ceremony::new(SetPin, &mut buffer, RustCrypto, rng());
/// assert!(client::run(ceremony, &mut key, &mut Dialog, clock).is_ok());
/// ```
pub trait UserInteraction {
    /// The authenticator waits for a touch.
    fn prompt_up(&mut self) {}
    /// The authenticator computes.
    fn processing(&mut self) {}
    /// Asks for the PIN, in Unicode NFC. `false` is "none", and so is an empty PIN.
    fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        let _ = (prompt, pin);
        false
    }
    /// Asks for a new PIN, in Unicode NFC. `false` is "none", and so is an empty PIN.
    fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        let _ = (prompt, pin);
        false
    }
    /// Asks whether to use built-in user verification; `false` leads to the PIN, where there is one.
    fn request_uv(&mut self, prompt: &Prompt<'_>) -> bool {
        let _ = prompt;
        true
    }
    /// Asks with which of several accounts to sign in, by its index. `None` is "none".
    fn choose_account(&mut self, accounts: &AssertionSelection<'_, '_>) -> Option<usize> {
        let _ = accounts;
        Some(0)
    }
    /// Whether the ceremony is to end. Asked at least every 100 ms while the authenticator works.
    fn cancelled(&mut self) -> bool {
        false
    }
}

impl<U: UserInteraction + ?Sized> UserInteraction for &mut U {
    fn prompt_up(&mut self) {
        (**self).prompt_up();
    }
    fn processing(&mut self) {
        (**self).processing();
    }
    fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        (**self).request_pin(prompt, pin)
    }
    fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        (**self).request_new_pin(prompt, pin)
    }
    fn request_uv(&mut self, prompt: &Prompt<'_>) -> bool {
        (**self).request_uv(prompt)
    }
    fn choose_account(&mut self, accounts: &AssertionSelection<'_, '_>) -> Option<usize> {
        (**self).choose_account(accounts)
    }
    fn cancelled(&mut self) -> bool {
        (**self).cancelled()
    }
}

/// Room for a PIN. Wiped on drop, never printed.
pub struct PinEntry {
    bytes: Secret<{ Self::ROOM }>,
    length: usize,
}

impl PinEntry {
    /// Twice the longest PIN, so that one that is too long is recognised.
    const ROOM: usize = 128;

    pub(super) fn new() -> Self {
        Self { bytes: Secret::default(), length: 0 }
    }

    /// Enters `pin`. The end of one that is far too long is dropped; what is left is still too long.
    pub fn set(&mut self, pin: &str) {
        self.clear();
        self.length = pin.floor_char_boundary(Self::ROOM);
        crate::bytes::copy_prefix(&mut *self.bytes, pin.as_bytes());
    }

    /// Forgets what was entered.
    pub fn clear(&mut self) {
        bytes::wipe(&mut *self.bytes);
        self.length = 0;
    }

    pub(super) fn as_str(&self) -> &str {
        bytes::text(bytes::front(&*self.bytes, self.length))
    }
}

impl fmt::Debug for PinEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinEntry(..)")
    }
}

/// Runs a ceremony over a blocking transport. `clock` tells the time.
///
/// ```
/// use keyfob_core::client::{self, Ceremony, UserInteraction, manage::GetInfo};
/// use keyfob_core::crypto::RustCrypto;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # let (mut key, mut buffer) = (Key::default(), [0; 4096]);
/// struct Silent;
/// impl UserInteraction for Silent {}
///
/// let ceremony = Ceremony::new(GetInfo, &mut buffer, RustCrypto, rng());
/// let info = client::run(ceremony, &mut key, &mut Silent, clock)?;
/// assert_eq!(info.options.unwrap_or_default().client_pin, Some(false)); // a PIN can be set, and is not
/// # Ok::<(), keyfob_core::client::Error>(())
/// ```
///
/// # Errors
/// Why the ceremony failed. [`Cause::Transport`](super::Cause::Transport) stands for any error of the transport.
pub fn run<'b, O: Operation, C: Crypto, R: CryptoRng, S: Memory>(
    ceremony: Ceremony<'b, O, C, R, S>,
    transport: &mut impl Transport,
    user: &mut impl UserInteraction,
    clock: impl FnMut() -> Instant,
) -> Result<O::Outcome<'b>, Error> {
    run_each(ceremony, transport, user, clock, |_| ())
}

/// [`run`] that gives `each` what the ceremony has to show on the way, one after the other.
///
/// # Errors
/// As [`run`].
pub fn run_each<'b, O: Operation, C: Crypto, R: CryptoRng, S: Memory>(
    mut ceremony: Ceremony<'b, O, C, R, S>,
    transport: &mut impl Transport,
    user: &mut impl UserInteraction,
    clock: impl FnMut() -> Instant,
    each: impl FnMut(O::Item<'_>),
) -> Result<O::Outcome<'b>, Error> {
    drive(&mut ceremony, transport, user, clock, each)?;
    ceremony.end()
}

/// Steps a ceremony until it is done. A separate function, so that the outcome is not on the stack meanwhile.
#[inline(never)]
fn drive<O: Operation, C: Crypto, R: CryptoRng, S: Memory>(
    ceremony: &mut Ceremony<'_, O, C, R, S>,
    transport: &mut impl Transport,
    user: &mut impl UserInteraction,
    mut clock: impl FnMut() -> Instant,
    mut each: impl FnMut(O::Item<'_>),
) -> Result<(), Error> {
    let mut pin = PinEntry::new();
    let mut input = Input::Start;
    loop {
        let output = ceremony.step(clock(), input)?;
        pin.clear();
        input = Input::Time;
        match output {
            Output::Send(exchange) => input = done(transport.send(exchange.protocol, exchange.request()), Input::Time),
            Output::Wait { buf, limit } => {
                input = received(transport.receive(buf, limit.min(CANCEL_POLL)), || user.cancelled());
            }
            Output::CancelDevice => input = done(transport.cancel(), Input::Time),
            Output::Reconnect => input = done(transport.reconnect(), Input::Reconnected),
            Output::AskPin(prompt) => input = entered(user.request_pin(&prompt, &mut pin), &pin),
            Output::AskNewPin(prompt) => input = entered(user.request_new_pin(&prompt, &mut pin), &pin),
            Output::AskUv(prompt) => input = Input::UserVerification(user.request_uv(&prompt)),
            Output::Show(KeepAlive::UpNeeded) => user.prompt_up(),
            Output::Show(KeepAlive::Processing) => user.processing(),
            Output::Show(KeepAlive::Other(_)) => {}
            Output::Item(item) => each(item),
            Output::Done => return Ok(()),
        }
    }
}

pub(super) fn done<E>(result: Result<(), E>, then: Input<'static>) -> Input<'static> {
    result.map_or(Input::TransportFailed, |()| then)
}

pub(super) fn received<E>(result: Result<Received, E>, cancelled: impl FnOnce() -> bool) -> Input<'static> {
    match result {
        Ok(Received::Response(len) | Received::TooLong(len)) => Input::Response(len),
        Ok(Received::Unreadable) => Input::Unreadable,
        Ok(_) if cancelled() => Input::Cancel,
        Ok(Received::KeepAlive(status)) => Input::KeepAlive(status),
        Ok(Received::Nothing) => Input::Time,
        Err(_) => Input::TransportFailed,
    }
}

/// The PIN that the user has entered, if any.
pub(super) fn entered(given: bool, pin: &PinEntry) -> Input<'_> {
    if given { Input::Pin(pin.as_str()) } else { Input::NoPin }
}
