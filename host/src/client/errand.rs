//! One errand at one key: everything it asks the user for, it asks once.

use std::{
    fmt,
    io::{self, Write},
    time::Duration,
};

use keyfob::{Address, FoundKey, Key, keys, now};
use keyfob_core::{
    client::{self, Ceremony, Operation, Session},
    crypto::RustCrypto,
    trace::{self, TraceEvent, Tracer},
    transport::{
        Protocol, Received, Transport,
        hid::{HidFailure, MAX_MESSAGE},
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{
    choice::{Meant, choose},
    failure::{Failure, Kind},
    terminal::Interrupt,
    user::User,
};

/// Room for the longest message, and four times that for several assertions, in bytes.
const MESSAGES: usize = 4 * MAX_MESSAGE;

/// Which key is meant, and how it is spoken to.
#[derive(clap::Args, Clone)]
#[command(next_help_heading = "The key")]
pub struct KeyArguments {
    /// The key: /dev/hidrawN, tcp:HOST:PORT or unix:PATH.
    ///
    /// Without this, the one that is plugged in. Of several, named here or plugged in, those that can be meant blink, and
    /// the one that is touched is taken. One that is plugged in meanwhile blinks too.
    #[arg(long, value_name = "ADDRESS")]
    pub key: Vec<Address>,
    /// Reads the PIN from this file descriptor.
    ///
    /// A line; a new PIN is the next line. A line is read when it is needed. Without this, the PIN is asked for on the
    /// terminal. Where the system forbids pidfd_getfd, a descriptor other than 0 has to be a pipe.
    #[arg(long, value_name = "N")]
    pin_fd: Option<u32>,
    /// Shows each message of CTAP, with its members, on the standard error.
    ///
    /// PINs and secrets are encrypted in them or left out; names and user ids are not.
    #[arg(long)]
    trace: bool,
    /// Prints one JSON object instead of text.
    ///
    /// Byte strings are base64url. A failure is {"error": {"kind", "exitCode", "message", "status"}}; status is the number
    /// that the key answered, or null.
    #[arg(long)]
    pub json: bool,
}

/// A key that is open, its user, and what operations with it share.
pub struct Errand {
    pub address: Address,
    pub key: Key,
    pub user: User,
    pub rng: ChaCha20Rng,
    /// It was one of several, and the user has touched it.
    pub was_touched: bool,
    session: Session,
    buffer: Vec<u8>,
    is_traced: bool,
    /// The key is spoken to as one of U2F alone.
    over_u2f: bool,
}

impl Errand {
    /// Opens the key that is meant.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub fn begin(arguments: &KeyArguments) -> Result<Self, Failure> {
        Self::begin_with(arguments, &Meant::Any)
    }

    /// The same where only some keys can be meant.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub fn begin_with(arguments: &KeyArguments, meant: &Meant) -> Result<Self, Failure> {
        let other = |error: &dyn std::fmt::Display| Failure::new(Kind::Other, error);
        let interrupt = Interrupt::catch().map_err(|error| other(&error))?;
        let user = User::new(interrupt, arguments.pin_fd)?;
        let (address, key, was_touched) = choose(arguments, meant, &user.interrupt)?;
        let buffer = vec![0; MESSAGES];
        let (rng, session, is_traced) = (rng()?, Session::new(), arguments.trace);
        Ok(Self { address, key, user, rng, was_touched, session, buffer, is_traced, over_u2f: false })
    }

    /// The same over U2F, where `over_u2f` says so, whatever else the key speaks.
    pub fn over_u2f(self, over_u2f: bool) -> Self {
        Self { over_u2f, ..self }
    }

    /// Runs an operation. `each` gets what it shows on the way.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run<O: Operation>(
        &mut self,
        operation: O,
        each: impl FnMut(O::Item<'_>),
    ) -> Result<O::Outcome<'_>, Failure> {
        let Self { key, user, rng, session, buffer, is_traced, over_u2f, .. } = self;
        let ceremony = Ceremony::new(operation, buffer, RustCrypto, rng).in_session(session);
        let ceremony = if *over_u2f { ceremony.over_ctap1() } else { ceremony };
        let mut shown = trace::text(StandardError, now);
        let mut key = Tracer::new(Plugged(key), |event: &TraceEvent<'_>| {
            if *is_traced {
                shown(event);
            }
        });
        client::run_each(ceremony, &mut key, user, now, each).map_err(|error| user.explain(error.into()))
    }
}

/// Where a trace is written.
struct StandardError;

impl fmt::Write for StandardError {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        io::stderr().write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// A key that only its user can unplug: after three wrong PINs in a row the command ends, and says so.
struct Plugged<'k>(&'k mut Key);

impl Transport for Plugged<'_> {
    type Error = <Key as Transport>::Error;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        self.0.send(protocol, request)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error> {
        self.0.receive(buffer, wait)
    }

    fn cancel(&mut self) -> Result<(), Self::Error> {
        self.0.cancel()
    }

    fn reconnect(&mut self) -> Result<(), Self::Error> {
        Err(HidFailure::NotOpen.into())
    }
}

/// The system's randomness.
pub fn rng() -> Result<ChaCha20Rng, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new(Kind::Other, format_args!("the system's random source failed: {error}")))?;
    Ok(ChaCha20Rng::from_seed(seed))
}

/// The keys that are plugged in.
///
/// # Errors
/// They cannot be listed.
pub fn plugged_in() -> Result<Vec<FoundKey>, Failure> {
    keys().map_err(|error| Failure::new(Kind::Other, format_args!("the keys cannot be listed: {error}")))
}
