//! The authenticator engine: a request in, a response out, with pauses between.
//!
//! The engine owns one buffer. The request lies at its front; while the engine waits for the user or works in pieces, the
//! request stays there and only decisions are remembered; the response overwrites it last. The rule is *read, decide,
//! commit, write*: before the commit a cancelled or interrupted command has changed nothing.
//!
//! ```text
//! buffer: | message, config.max_msg_size bytes | scratch, MAX_RECORD bytes: the credential at hand |
//! ```
//!
//! Work comes in atoms. Every call of [`Engine::begin`] or [`Engine::resume`] does at most one slow thing, a scalar
//! multiplication or a write to the store, and returns [`Progress::Pending`] when there is more, so that the driver can
//! send keep-alives and notice a cancellation in between. Between two atoms anything can come: CANCEL, INIT, another channel,
//! a power cut. So state in memory and in the store that belongs together changes in one atom, and what counts (an attempt,
//! a touch, a signature) is counted before its result can be seen.
//!
//! The handlers of commands are not inlined: the frames of all would add up beneath each, and stack is what a
//! microcontroller has least of.

use core::time::Duration;

use keyfob_core::{
    Instant, Status,
    cbor::Text,
    crypto,
    ctap2::{Command, bio_enrollment::SampleStatus},
};
use rand_core::TryCryptoRng;
use zeroize::Zeroize;

use crate::{
    caps::Caps,
    store::{MAX_RECORD, Store},
};

mod attestation;
mod authenticator;
mod authenticator_config;
mod bio_enrollment;
mod certificate;
mod client_pin;
mod config;
mod config_error;
mod credential;
mod credential_management;
mod extensions;
mod fingerprints;
mod get_assertion;
mod get_info;
mod large_blob;
mod large_blobs;
mod make_credential;
mod missing;
mod persistent;
pub mod pin_policy;
mod profiles;
mod proof;
mod reset;
mod sign_count;
mod signing;
mod superseded;
mod u2f;
mod user_verification;

pub use config::{Attestation, Certified, Config, ConfigError, Enterprise, MAX_CRED_BLOB_LENGTH, Policy, Version};
pub use fingerprints::{MAX_FINGERPRINTS, MAX_FRIENDLY_NAME, TemplateId};
pub use u2f::{TOUCH_AWAITED, TOUCH_KEPT};
pub use user_verification::{FINGERPRINT, UserVerification};

use authenticator::Authenticator;
use proof::UserPresent;
use user_verification::{Attempt, Refusal};

/// How long the engine waits for a touch. CTAP 2.3 §6 asks for at least 10 s, 30 s is usual.
pub const USER_ACTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after power-up a reset is accepted (CTAP 2.3 §6.6).
pub const RESET_WINDOW: Duration = Duration::from_secs(10);
/// How long a long touch lasts (CTAP 2.3 §6.6): at least 5 s.
pub const LONG_TOUCH: Duration = Duration::from_secs(5);
/// How long a sequence of getNextAssertion may pause (CTAP 2.3 §6.3).
pub const SEQUENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the engine runs on: its seams, and what of the engine is compiled for it.
pub trait Platform {
    /// The capabilities that are compiled in. A configuration can only switch on what is here.
    const COMPILED: Caps = Caps::ALL;
    /// The cryptography. It verifies nothing but its own signatures, with [`Caps::SIGNATURE_CHECK`].
    type Crypto: crypto::Crypto + crypto::Sign + crypto::Verify;
    /// The random source. When it fails, the command that needs it is answered with [`Status::OTHER`] and has changed
    /// nothing.
    type Rng: TryCryptoRng;
    /// What survives power loss.
    type Store: Store;

    /// Whether `pin`, in UTF-8 and without padding, satisfies the PIN complexity policy. It is asked while the policy is
    /// in force.
    fn pin_is_complex(pin: &[u8]) -> bool {
        pin_policy::is_complex(pin)
    }

    /// Carries out vendor command `id` of authenticatorConfig, one of [`Config::vendor_commands`]; `params` is its
    /// subCommandParams, canonical CBOR. The platform was authorized. Errors: the status to answer.
    fn vendor_command(_store: &mut Self::Store, _id: u64, _params: &[u8]) -> Result<(), Status> {
        Err(Status::INVALID_PARAMETER)
    }
}

/// What a running command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The user's touch: [`Event::Touched`] or [`Event::Denied`].
    Touch,
    /// A touch that lasts [`LONG_TOUCH`]: [`Event::LongTouched`] at its end, or [`Event::Denied`]. The driver measures;
    /// a shorter touch counts for nothing.
    LongTouch,
    /// Built-in user verification: [`Event::Verified`], or [`Event::Denied`] by a user who declines.
    UserVerification,
    /// A sample of the finger that is being enrolled ([`Engine::enrolls`]): [`Event::Sample`], or [`Event::Denied`].
    Sample,
    /// Nothing: there is more work. [`Event::Tick`] goes on with it.
    Processing,
}

/// What happened while a command was pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The user touched the authenticator.
    Touched,
    /// The user has touched the authenticator for [`LONG_TOUCH`] without a break.
    LongTouched,
    /// The user declined.
    Denied,
    /// The user tried to be verified: whether it is the user. Of fingerprints, only those of [`Engine::fingerprints`]
    /// may count.
    Verified(bool),
    /// The sensor has taken a sample.
    Sample {
        /// Its quality. The first good sample of another finger than before begins a new template.
        status: SampleStatus,
        /// Good samples that are still needed. At 0 the template is complete, and the sensor keeps it.
        remaining: u8,
    },
    /// The platform gives up.
    Cancel,
    /// Time has passed.
    Tick,
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The response lies in the first this many bytes of [`Engine::buffer`].
    Reply(usize),
    /// The command goes on with [`Engine::resume`].
    Pending(Wait),
}

/// An authenticator.
pub struct Engine<'b, P: Platform> {
    buffer: &'b mut [u8],
    /// Length of the request in the buffer.
    request: usize,
    pending: Pending,
    authenticator: Authenticator<'b, P>,
}

/// The command that is under way, and how far it has come.
enum Pending {
    Nothing,
    /// A touch is awaited until the deadline: a long one, or any.
    Touch(Command, Instant, Wait),
    /// The user may be verified until the deadline.
    Verification(Command, Instant),
    /// A sample of a finger may be taken until the deadline.
    Sample(Command, Instant),
    /// The next atom of a command.
    Work(Command),
    /// The next atom of a U2F request.
    U2f,
}

/// What a command's handler wants next.
enum Next {
    /// The response is written: this many bytes.
    Reply(usize),
    /// A touch.
    Touch,
    /// A long touch.
    LongTouch,
    /// The user to be verified.
    Verification,
    /// A sample of a finger, for so long.
    Sample(Duration),
    /// To be called again.
    Work,
}

type Outcome = Result<Next, Status>;

impl<'b, P: Platform> Engine<'b, P> {
    /// Powers an authenticator up. The buffer takes [`Config::buffer_len`] bytes. Errors: [`ConfigError`].
    pub fn new(
        buffer: &'b mut [u8],
        config: Config<'b>,
        crypto: P::Crypto,
        rng: P::Rng,
        store: P::Store,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.check(P::COMPILED)?;
        if buffer.len() < config.buffer_len() {
            return Err(ConfigError::BufferTooSmall { needed: config.buffer_len() });
        }
        let authenticator = Authenticator::new(config, crypto, rng, store, now)?;
        Ok(Self { buffer, request: 0, pending: Pending::Nothing, authenticator })
    }

    /// Takes the power away and gives it back: tokens, key agreement and pending commands are gone, the PIN counter's
    /// latch is open, the reset window is new. Errors: [`ConfigError::Store`].
    pub fn power_cycle(&mut self, now: Instant) -> Result<(), ConfigError> {
        self.abort();
        self.authenticator.power_up(now)
    }

    /// Where requests go and responses come from: `max_msg_size` bytes.
    pub fn buffer(&mut self) -> &mut [u8] {
        let size = self.authenticator.config.max_msg_size;
        self.buffer.get_mut(..size).unwrap_or_default()
    }

    /// The whole buffer, for messages of a transport that are not CTAP's. The scratch area is wiped between commands.
    pub(crate) fn whole_buffer(&mut self) -> &mut [u8] {
        self.buffer
    }

    /// The store.
    pub fn store(&mut self) -> &mut P::Store {
        &mut self.authenticator.store
    }

    /// Starts the CTAP2 request that lies in the first `len` bytes of the buffer. A command that was pending is dropped.
    pub fn begin(&mut self, now: Instant, len: usize) -> Progress {
        self.abort();
        self.authenticator.touch = u2f::Touch::default();
        let first = self.buffer().get(..len).map(|request| request.first().copied());
        self.authenticator.end_sequence_before(first.flatten().map(Command));
        let command = match first {
            Some(Some(command)) => Command(command),
            Some(None) => return self.fail(Status::INVALID_LENGTH),
            None => return self.fail(Status::REQUEST_TOO_LARGE),
        };
        self.request = len;
        self.authenticator.token.observe(now);
        let outcome = self.run(now, command);
        self.proceed(now, command, outcome)
    }

    /// Begins a command, or begins it again when the user is verified.
    fn run(&mut self, now: Instant, command: Command) -> Outcome {
        match command {
            Command::MAKE_CREDENTIAL => self.make_credential(now),
            Command::GET_ASSERTION => self.get_assertion(now),
            Command::GET_NEXT_ASSERTION => self.get_next_assertion(now),
            Command::GET_INFO => self.get_info(),
            Command::CLIENT_PIN if self.authenticator.issues_tokens() => self.client_pin(now),
            Command::BIO_ENROLLMENT | Command::BIO_ENROLLMENT_PREVIEW if self.authenticator.has(Caps::BIO_ENROLL) => {
                self.bio_enrollment(now)
            }
            Command::RESET => self.reset(now),
            Command::CREDENTIAL_MANAGEMENT | Command::CREDENTIAL_MANAGEMENT_PREVIEW
                if self.authenticator.has(Caps::CRED_MGMT) =>
            {
                self.credential_management(now)
            }
            Command::LARGE_BLOBS if self.authenticator.large_blobs_capacity() > 0 => self.large_blobs(now),
            Command::CONFIG if self.authenticator.has(Caps::CONFIG) => self.authenticator_config(now),
            Command::SELECTION if self.authenticator.has(Caps::SELECTION) => Ok(Next::Touch),
            _ => Err(Status::INVALID_COMMAND),
        }
    }

    /// Goes on with a pending command. Without one, answers [`Status::NOT_ALLOWED`].
    pub fn resume(&mut self, now: Instant, event: Event) -> Progress {
        let (command, present) = match (&self.pending, event) {
            (Pending::U2f, event) if self.has_u2f() => return self.u2f_continue(event),
            (Pending::Nothing | Pending::U2f, _) => return self.fail(Status::NOT_ALLOWED),
            // What is committed is told to the platform: else a replaced credential would be lost to both.
            (Pending::Work(command), Event::Cancel) if self.authenticator.work.committed => (*command, None),
            (_, Event::Cancel) => return self.fail(Status::KEEPALIVE_CANCEL),
            (Pending::Touch(command, deadline, _), _) if now >= *deadline => {
                let status = self.refused(*command, Status::USER_ACTION_TIMEOUT);
                return self.fail(status);
            }
            (Pending::Touch(command, _, Wait::Touch), Event::Touched) => (*command, UserPresent::by_touch(event)),
            (Pending::Touch(command, ..), Event::LongTouched) => (*command, UserPresent::by_touch(event)),
            (Pending::Touch(command, ..), Event::Denied) => {
                let status = self.refused(*command, Status::OPERATION_DENIED);
                return self.fail(status);
            }
            (Pending::Touch(_, _, wait), _) => return Progress::Pending(*wait),
            (Pending::Verification(command, deadline), event) => {
                let command = *command;
                let refusal = match event {
                    _ if now >= *deadline => Refusal::Timeout,
                    Event::Verified(matched) => return self.user_tried(now, command, matched),
                    Event::Denied => Refusal::Declined,
                    _ => return Progress::Pending(Wait::UserVerification),
                };
                let status = self.authenticator.verification_refused(command, refusal);
                return self.fail(status);
            }
            (Pending::Sample(command, deadline), event) => {
                let command = *command;
                let outcome = match event {
                    _ if now >= *deadline => self.sample(SampleStatus::NO_USER_ACTIVITY, 0),
                    Event::Sample { status, remaining } => self.sample(status, remaining),
                    Event::Denied => Err(Status::OPERATION_DENIED),
                    _ => return Progress::Pending(Wait::Sample),
                };
                return self.proceed(now, command, outcome);
            }
            (Pending::Work(command), _) => (*command, None),
        };
        if let Attempt::Counted { verified, more } = self.authenticator.work.attempt {
            let outcome = self.judge_attempt(now, command, verified, more);
            return self.proceed(now, command, outcome);
        }
        let outcome = match command {
            Command::MAKE_CREDENTIAL => self.make_credential_continue(present),
            Command::GET_ASSERTION | Command::GET_NEXT_ASSERTION => self.get_assertion_continue(now, present),
            Command::CLIENT_PIN => self.client_pin(now),
            Command::RESET => self.reset_continue(present),
            Command::LARGE_BLOBS => self.large_blobs_continue(),
            Command::SELECTION if present.is_some_and(UserPresent::holds) => self.ok(),
            Command::SELECTION => Err(Status::OTHER),
            _ => Err(Status::INVALID_COMMAND),
        };
        self.proceed(now, command, outcome)
    }

    /// When [`Engine::resume`] should be called with [`Event::Tick`] though nothing happened.
    pub fn deadline(&self) -> Option<Instant> {
        match self.pending {
            Pending::Touch(_, deadline, _) | Pending::Verification(_, deadline) | Pending::Sample(_, deadline) => {
                Some(deadline)
            }
            _ => None,
        }
    }

    /// Whether a command is under way.
    pub fn is_pending(&self) -> bool {
        !matches!(self.pending, Pending::Nothing)
    }

    /// Drops the command under way without an answer, or the answer before all of it is sent.
    pub fn abort(&mut self) {
        self.authenticator.answers_replacement = false;
        self.end();
    }

    /// Ends the command under way.
    fn end(&mut self) {
        self.pending = Pending::Nothing;
        self.authenticator.end_work();
        self.wipe_scratch();
    }

    /// Another channel speaks: a command under way is dropped, sequences such as getNextAssertion end, and a touch that
    /// U2F waits for is forgotten.
    pub fn channel_changed(&mut self) {
        self.abort();
        self.authenticator.forget_sequence();
        self.authenticator.touch = u2f::Touch::default();
    }

    /// Over which of [`Config::transports`] the platform speaks from now on; the first until then. Another one is
    /// another channel.
    pub fn set_transport(&mut self, transport: Text<'b>) {
        if self.authenticator.transport.replace(transport) != Some(transport) {
            self.channel_changed();
        }
    }

    /// Does one bounded piece of upkeep while nothing is pending; `false` when there is nothing to do or it failed.
    pub fn tidy(&mut self) -> bool {
        !self.is_pending() && self.authenticator.store.tidy().unwrap_or(false)
    }

    fn proceed(&mut self, now: Instant, command: Command, outcome: Outcome) -> Progress {
        match outcome {
            Ok(Next::Reply(len)) => {
                self.end();
                Progress::Reply(len)
            }
            Ok(Next::Touch) => self.await_touch(now, command, Wait::Touch),
            Ok(Next::LongTouch) => self.await_touch(now, command, Wait::LongTouch),
            Ok(Next::Verification) => {
                self.pending = Pending::Verification(command, now.plus(USER_ACTION_TIMEOUT));
                Progress::Pending(Wait::UserVerification)
            }
            Ok(Next::Sample(timeout)) => {
                self.pending = Pending::Sample(command, now.plus(timeout));
                Progress::Pending(Wait::Sample)
            }
            Ok(Next::Work) => {
                self.pending = Pending::Work(command);
                Progress::Pending(Wait::Processing)
            }
            Err(status) => self.fail(status),
        }
    }

    fn await_touch(&mut self, now: Instant, command: Command, wait: Wait) -> Progress {
        self.pending = Pending::Touch(command, now.plus(USER_ACTION_TIMEOUT), wait);
        Progress::Pending(wait)
    }

    /// The status of a command whose touch was refused: an excluded credential and a probe with an empty
    /// pinUvAuthParam answer the same as with a touch, or do not tell a timeout from a refusal.
    fn refused(&self, command: Command, status: Status) -> Status {
        let work = &self.authenticator.work;
        match command {
            Command::MAKE_CREDENTIAL if work.excluded => Status::CREDENTIAL_EXCLUDED,
            Command::MAKE_CREDENTIAL | Command::GET_ASSERTION => {
                if work.probe {
                    Status::OPERATION_DENIED
                } else {
                    self.authenticator.config.policy.touch_refused(status)
                }
            }
            _ => status,
        }
    }

    fn fail(&mut self, status: Status) -> Progress {
        self.abort();
        if let Some(first) = self.buffer.first_mut() {
            *first = status.0;
        }
        Progress::Reply(1)
    }

    /// A response that is nothing but success.
    fn ok(&mut self) -> Outcome {
        if let Some(first) = self.buffer.first_mut() {
            *first = Status::OK.0;
        }
        Ok(Next::Reply(1))
    }

    /// The message, the scratch area behind it and everything else, apart from each other.
    fn parts(&mut self) -> (&[u8], &mut [u8], &mut Authenticator<'b, P>) {
        let (message, scratch) = split(self.buffer, self.authenticator.config.max_msg_size);
        (message.get(1..self.request).unwrap_or_default(), scratch, &mut self.authenticator)
    }

    /// The same, with the message as a place to write to.
    fn parts_mut(&mut self) -> (&mut [u8], &mut [u8], &mut Authenticator<'b, P>) {
        let (message, scratch) = split(self.buffer, self.authenticator.config.max_msg_size);
        (message, scratch, &mut self.authenticator)
    }

    fn wipe_scratch(&mut self) {
        let (_, scratch, authenticator) = self.parts_mut();
        if let Some(used) = scratch.get_mut(..authenticator.scratch_used) {
            used.zeroize();
        }
        authenticator.scratch_used = 0;
    }
}

impl<P: Platform> Drop for Engine<'_, P> {
    fn drop(&mut self) {
        self.abort(); // the buffer is the caller's and lives on
    }
}

fn split(buffer: &mut [u8], at: usize) -> (&mut [u8], &mut [u8]) {
    let (message, scratch) = buffer.split_at_mut_checked(at).unwrap_or_default();
    (message, scratch.get_mut(..MAX_RECORD).unwrap_or_default())
}
