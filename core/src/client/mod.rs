//! The client: one value per ceremony, without I/O, clock or heap.
//!
//! ```text
//! Input ──▶ Ceremony::step ──▶ Output        facts          what getInfo said; whether and how the user is verified
//!              │                             authorization  PIN, built-in user verification, token: shared by all
//!              ├─ authorization              ceremony       what happens, from getInfo to the outcome
//!              └─ operation                  make_credential, get_assertion   options, requests, checks of their answers
//!                                            question       a management command, and its proof
//!                                            preflight      which credential of a list is there, without asking the user
//!                                            u2f            answers of version 1 as those of version 2
//!                                            extensions     prf, large blobs, credProtect, … as relying parties know them
//!                                            manage         PIN, credentials, fingerprints, blobs, configuration, reset
//!                                            session        what the operations of one errand share
//!                                            drive, drive_async   loops over a transport, blocking and async
//!                                            fido2          a client in one value: WebAuthn above the ceremonies
//! ```
//!
//! A [`Ceremony`] is one machine with an [`Operation`] in it: [`MakeCredential`], [`GetAssertion`], or one of
//! [`manage`]. It owns the caller's buffer: a request goes out from it, the response comes back over it, and the
//! answers stay at its front, where the outcome of [`Ceremony::finish`] borrows them. The caller says what happened
//! ([`Input`]) and does what the machine wants next ([`Output`]); [`run`] and [`run_async`] do just that over a
//! [`Transport`](crate::transport::Transport).

use core::{convert::Infallible, fmt, time::Duration};

use crate::{
    pin_uv::Permissions,
    transport::{KeepAlive, Protocol},
};

mod authorization;
mod ceremony;
mod drive;
mod drive_async;
mod error;
pub mod extensions;
mod facts;
pub mod fido2;
mod get_assertion;
mod large_blobs;
mod make_credential;
pub mod manage;
mod operation;
mod preflight;
mod question;
mod session;
mod touch;
mod u2f;

pub use crate::webauthn::{AttestationConveyance as Conveyance, Requirement};
pub use ceremony::{Ceremony, MIN_BUFFER};
pub use drive::{PinEntry, UserInteraction, run, run_each};
pub use drive_async::{AsyncUserInteraction, BlockingInteraction, run_async, run_each_async};
pub use error::{Cause, Error, ErrorCode, InvalidOption, Stage};
pub use get_assertion::{Assertion, AssertionSelection, GetAssertion, GetOptions};
pub use make_credential::{Attestation, MakeCredential, MakeOptions};
pub use operation::Operation;
pub use session::{Memory, Session};

/// How long a ceremony may take when its options do not say: 300 s (WebAuthn L3 §5.4, recommended default).
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// How many PINs a user may give in a ceremony by default: the most wrong ones that an authenticator allows (CTAP 2.3
/// §6.5.2).
pub const DEFAULT_PIN_ATTEMPTS: u8 = 8;

/// What happens when user verification is preferred, and the authenticator supports it but it is not set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PreferredWithoutUv {
    /// The ceremony goes on without.
    #[default]
    Proceed,
    /// The ceremony fails with [`Cause::PinNotSet`] or [`Cause::UvUnavailable`], so that the user can set it up.
    Error,
}

/// What happened, told to a ceremony.
#[non_exhaustive]
pub enum Input<'i> {
    /// Begin. Once, first.
    Start,
    /// The response to the request under way has come, this many bytes in the buffer of [`Output::Wait`]. A number
    /// greater than the buffer's length means that it came and was lost.
    Response(usize),
    /// The authenticator cannot read the request under way, and has said so below the message
    /// ([`Received::Unreadable`](crate::transport::Received::Unreadable)).
    Unreadable,
    /// The authenticator is alive.
    KeepAlive(KeepAlive),
    /// The PIN, in Unicode NFC, after [`Output::AskPin`] or [`Output::AskNewPin`]. An empty one is [`Input::NoPin`].
    Pin(&'i str),
    /// There is no PIN to give, after [`Output::AskPin`] or [`Output::AskNewPin`].
    NoPin,
    /// Whether the user agrees to built-in user verification, after [`Output::AskUv`].
    UserVerification(bool),
    /// The authenticator has been without power and is back, after [`Output::Reconnect`].
    Reconnected,
    /// The transport could not do what it was asked.
    TransportFailed,
    /// The caller wants the ceremony to end.
    Cancel,
    /// Only the time has changed.
    Time,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("Start"),
            Self::Response(len) => write!(f, "Response({len})"),
            Self::Unreadable => f.write_str("Unreadable"),
            Self::KeepAlive(status) => write!(f, "KeepAlive({status:?})"),
            Self::Pin(_) => f.write_str("Pin(..)"),
            Self::NoPin => f.write_str("NoPin"),
            Self::UserVerification(agreed) => write!(f, "UserVerification({agreed})"),
            Self::Reconnected => f.write_str("Reconnected"),
            Self::TransportFailed => f.write_str("TransportFailed"),
            Self::Cancel => f.write_str("Cancel"),
            Self::Time => f.write_str("Time"),
        }
    }
}

/// What a ceremony wants next. `I` is what it shows on the way: the items of a list, the samples of a finger.
#[non_exhaustive]
pub enum Output<'m, I = Infallible> {
    /// Send a request, then go on with [`Input::Time`].
    Send(Exchange<'m>),
    /// Nothing to do but to wait: for a keep-alive or the response, which belongs into `buf`, or for the user.
    Wait {
        /// Where the response goes.
        buf: &'m mut [u8],
        /// After this long at the latest the machine wants [`Input::Time`].
        limit: Duration,
    },
    /// Ask the authenticator to give up; its answer is still waited for. Comes at most once.
    CancelDevice,
    /// Ask the user for the PIN; answer with [`Input::Pin`] or [`Input::NoPin`].
    AskPin(Prompt<'m>),
    /// Ask the user for a new PIN; answer with [`Input::Pin`] or [`Input::NoPin`].
    AskNewPin(Prompt<'m>),
    /// Ask the user whether to use built-in user verification; answer with [`Input::UserVerification`].
    AskUv(Prompt<'m>),
    /// The authenticator says something new about itself, such as that it waits for a touch.
    Show(KeepAlive),
    /// An item to show or to copy; the next step overwrites it. Go on with [`Input::Time`].
    Item(I),
    /// Take the authenticator's power away and give it back; answer with [`Input::Reconnected`] or
    /// [`Input::TransportFailed`].
    Reconnect,
    /// The ceremony has succeeded: [`Ceremony::finish`] has its outcome.
    Done,
}

// Requests carry proofs of authorization: their bytes are not printed.
impl<I> fmt::Debug for Output<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(exchange) => exchange.fmt(f),
            Self::Wait { limit, .. } => write!(f, "Wait({limit:?})"),
            Self::CancelDevice => f.write_str("CancelDevice"),
            Self::AskPin(prompt) => write!(f, "AskPin({prompt:?})"),
            Self::AskNewPin(prompt) => write!(f, "AskNewPin({prompt:?})"),
            Self::AskUv(prompt) => write!(f, "AskUv({prompt:?})"),
            Self::Show(status) => write!(f, "Show({status:?})"),
            Self::Item(_) => f.write_str("Item(..)"),
            Self::Reconnect => f.write_str("Reconnect"),
            Self::Done => f.write_str("Done"),
        }
    }
}

/// A request to send.
pub struct Exchange<'m> {
    /// The request lies in front; the response comes back over it.
    pub buf: &'m mut [u8],
    /// The request's length.
    pub len: usize,
    /// What the request speaks.
    pub protocol: Protocol,
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({} bytes)", self.len)
    }
}

impl Exchange<'_> {
    /// The request: a command byte and its CBOR, or an APDU.
    pub fn request(&self) -> &[u8] {
        crate::bytes::front(self.buf, self.len)
    }
}

/// What to tell the user who is asked for a PIN or for built-in user verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prompt<'m> {
    /// Why the user is asked.
    pub reason: Reason,
    /// Attempts left, of the PIN or of built-in user verification; `None` when the authenticator does not say.
    pub retries: Option<u8>,
    /// The shortest PIN, in code points.
    pub min_pin_length: usize,
    /// What the user permits.
    pub permissions: Permissions,
    /// The relying party it is for.
    pub rp_id: Option<&'m str>,
}

/// Why the user is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// For the first time.
    #[default]
    First,
    /// The PIN was wrong, or built-in user verification failed.
    Wrong,
    /// The authenticator did not take the token it had issued.
    TokenRefused,
    /// Built-in user verification is out of attempts, or did not work within the command: now the PIN.
    UvFailed,
    /// The PIN has fewer code points than the authenticator wants. No attempt was spent.
    TooShort,
    /// The PIN has more than 63 bytes, a new one also more code points than the authenticator takes, or ends in a zero
    /// byte. No attempt was spent.
    TooLong,
    /// The new PIN breaks the authenticator's policy.
    Policy,
}

#[cfg(test)]
mod tests;
