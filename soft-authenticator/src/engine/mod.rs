//! The authenticator engine: a request in, a response out, with pauses between.
//!
//! The engine owns one buffer. The request lies at its front; while the engine waits for the user or works in pieces,
//! the request stays there and only decisions are remembered; the response overwrites it last. The rule is *read,
//! decide, commit, write*: before the commit a cancelled or interrupted command has changed nothing.
//!
//! ```text
//! buffer: | message, config.max_msg_size bytes | scratch, MAX_RECORD bytes: the credential at hand |
//! ```
//!
//! Work comes in atoms. Every call of [`Engine::begin`] or [`Engine::resume`] does at most one slow thing, a scalar
//! multiplication or a write to the store, and returns [`Progress::Pending`] when there is more, so that the driver can
//! send keep-alives and notice a cancellation in between. Between two atoms anything can come: CANCEL, INIT, another
//! channel, a power cut. So state in memory and in the store that belongs together changes in one atom, and what counts
//! (an attempt, a touch, a signature) is counted before its result can be seen.
//!
//! Files import downwards only: types and constants; the state that outlives a command (`authenticator`); what several
//! commands do with it; `commands`, one file each with what it remembers between its atoms; and this file, which drives
//! them.
//!
//! The handlers of commands are not inlined: inlined, every command would take the stack of all of them, and stack is
//! what a microcontroller has least of.

use keyfob_core::{
    Failure, Instant, bytes,
    cbor::Text,
    ctap1::StatusWord,
    ctap2::{Command, bio_enrollment::SampleStatus},
    pin_uv::UserVerified,
};

use crate::{
    caps::Caps,
    store::{MAX_RECORD, Store},
};

mod attestation;
mod authenticator;
mod call;
mod ceremony;
mod commands;
mod config;
mod config_check;
mod config_error;
mod credential;
mod extensions;
mod persistent;
pub mod pin_policy;
mod platform;
mod profiles;
mod sensor;
mod signing;
mod state;
mod superseded;
#[cfg(all(test, feature = "std"))]
mod tests;
mod user_verification;
mod wrapping;

pub use commands::u2f::{TOUCH_AWAITED, TOUCH_KEPT};
pub use config::{AttestationMode, AuthenticatorPolicy, Certified, Config, Enterprise, Version};
pub use config_error::ConfigError;
pub use platform::{Event, LONG_TOUCH, Platform, Progress, RESET_WINDOW, SEQUENCE_TIMEOUT, USER_ACTION_TIMEOUT, Wait};
pub use sensor::{FINGERPRINT, UserVerification};
pub use state::{MAX_FINGERPRINTS, MAX_FRIENDLY_NAME, TemplateId};
pub use wrapping::MAX_CRED_BLOB_LENGTH;
#[cfg(feature = "testing")]
pub(crate) use wrapping::credential_large_blob_key;

use authenticator::Authenticator;
use call::{Call, Next, Outcome, Trigger};
use ceremony::{Counted, UserPresent};
use commands::{Running, u2f};
use state::U2fTouch;
use user_verification::Refusal;

/// An authenticator.
///
/// ```
/// use keyfob_core::{Instant, ctap2::{decode_response, get_info}};
/// use keyfob_soft_authenticator::engine::{Config, Engine, Progress};
/// # use keyfob_core::crypto::RustCrypto;
/// # use keyfob_soft_authenticator::{engine::Platform, store::MemoryStore};
/// # use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// # struct Board;
/// # impl Platform for Board {
/// #     type Crypto = RustCrypto;
/// #     type Rng = ChaCha8Rng;
/// #     type Store = MemoryStore<4>;
/// # }
/// # let (rng, store) = (ChaCha8Rng::seed_from_u64(1), MemoryStore::new());
/// let config = Config::new([0; 16]);
/// let mut memory = vec![0; config.buffer_len()];
/// let mut key: Engine<'_, Board> = Engine::new(&mut memory, config, RustCrypto, rng, store, Instant::default())?;
///
/// key.buffer()[0] = 0x04; // authenticatorGetInfo
/// let Progress::Reply(len) = key.begin(Instant::default(), 1) else { panic!("getInfo waits for nothing") };
/// let info: get_info::Response<'_> = decode_response(&key.buffer()[..len]).unwrap();
/// assert_eq!(info.max_msg_size, Some(config.max_msg_size));
/// # Ok::<(), keyfob_soft_authenticator::engine::ConfigError>(())
/// ```
pub struct Engine<'b, P: Platform> {
    buffer: &'b mut [u8],
    /// Length of the request in the buffer.
    request: usize,
    pending: Pending,
    /// The command under way, or the sequence of commands that the next one may go on with.
    running: Running,
    authenticator: Authenticator<'b, P>,
}

/// What the command under way waits for.
#[derive(Clone, Copy)]
enum Pending {
    /// There is none.
    Nothing,
    /// A touch, until the deadline: a long one, or any.
    Touch(Instant, Wait),
    /// The user to be verified, until the deadline. After that the user may try again so often.
    Verification(Instant, u8),
    /// An attempt to be verified is counted; its result was not looked at yet.
    Attempt(Counted, Option<UserVerified>, u8),
    /// A sample of a finger, until the deadline.
    Sample(Instant),
    /// The next atom.
    Work,
}

impl<'b, P: Platform> Engine<'b, P> {
    /// Powers an authenticator up. The buffer takes [`Config::buffer_len`] bytes.
    ///
    /// # Errors
    /// [`ConfigError`].
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
        Ok(Self { buffer, request: 0, pending: Pending::Nothing, running: Running::Nothing, authenticator })
    }

    /// Takes the power away and gives it back: tokens, key agreement and pending commands are gone, the PIN counter's
    /// latch is open, the reset window is new.
    ///
    /// # Errors
    /// [`ConfigError::Store`].
    pub fn power_cycle(&mut self, now: Instant) -> Result<(), ConfigError> {
        self.abort();
        self.running = Running::Nothing;
        self.authenticator.power_up(now)
    }

    /// Where requests go and responses come from: `max_msg_size` bytes.
    pub fn buffer(&mut self) -> &mut [u8] {
        let size = self.authenticator.config.max_msg_size;
        split(self.buffer, size).0
    }

    /// The whole buffer, for messages of a transport that are not CTAP's. The scratch area is wiped between commands.
    pub(crate) fn whole_buffer(&mut self) -> &mut [u8] {
        self.buffer
    }

    /// The store.
    pub fn store(&mut self) -> &mut P::Store {
        &mut self.authenticator.store
    }

    /// Starts the CTAP2 request that lies in the first `len` bytes of the buffer. A command that was pending is
    /// dropped.
    pub fn begin(&mut self, now: Instant, len: usize) -> Progress {
        self.abort();
        self.authenticator.touch = U2fTouch::default();
        let request = self.buffer().get(..len).map(|request| request.first().map(|command| Command(*command)));
        let started = if P::CTAP2 { self.running.start(request.flatten()) } else { Err(Failure::INVALID_COMMAND) };
        match request {
            None => return self.fail(Failure::REQUEST_TOO_LARGE),
            Some(None) => return self.fail(Failure::INVALID_LENGTH),
            Some(Some(_)) => {}
        }
        #[cfg(feature = "testing")]
        {
            let (message, _) = split(self.buffer, self.authenticator.config.max_msg_size);
            if let Some(len) = P::intercept(&mut self.authenticator.store, message, len) {
                return Progress::Reply(len);
            }
        }
        self.request = len;
        self.authenticator.token.observe(now);
        let outcome = started.and_then(|()| self.step(now, Trigger::Begin));
        self.proceed(now, outcome)
    }

    /// Starts the U2F request, an APDU, that lies in the first `len` bytes of the buffer. A command that was pending is
    /// dropped. The response, with its status word, comes as for [`Engine::begin`]; a touch is never waited for
    /// ([`Engine::u2f_awaits_touch`]). While U2F is switched off, and with alwaysUv, the answer is
    /// [`StatusWord::COMMAND_NOT_ALLOWED`].
    pub fn begin_u2f(&mut self, now: Instant, len: usize) -> Progress {
        self.abort();
        self.running.start_u2f();
        self.request = len;
        let outcome = self.step(now, Trigger::Begin);
        self.proceed(now, outcome)
    }

    /// Goes on with a pending command. Without one, answers [`Failure::NOT_ALLOWED`].
    pub fn resume(&mut self, now: Instant, event: Event) -> Progress {
        let outcome = match (self.pending, event) {
            (Pending::Nothing, _) => Err(Failure::NOT_ALLOWED),
            // A committed change is answered even after a cancel: the platform has to learn the new credential.
            (Pending::Work, Event::Cancel) if self.running.is_committed() => self.step(now, Trigger::Work),
            (_, Event::Cancel) => self.cancel(),
            (Pending::Touch(deadline, _), _) if now >= deadline => Err(self.refused(Failure::USER_ACTION_TIMEOUT)),
            (Pending::Touch(_, Wait::Touch), Event::Touched) | (Pending::Touch(..), Event::LongTouched) => {
                self.touched(now, event)
            }
            (Pending::Touch(..), Event::Denied) => Err(self.refused(Failure::OPERATION_DENIED)),
            (Pending::Touch(_, wait), _) => return Progress::Pending(wait),
            (Pending::Verification(deadline, _), _) if now >= deadline => Err(self.unverified(Refusal::Timeout)),
            (Pending::Verification(_, more), Event::Verified(matched)) => {
                self.tried(UserVerified::by_sensor(matched), more)
            }
            (Pending::Verification(..), Event::Denied) => Err(self.unverified(Refusal::Declined)),
            (Pending::Verification(..), _) => return Progress::Pending(Wait::UserVerification),
            (Pending::Attempt(counted, verified, more), _) => self.judge(now, counted, verified, more),
            (Pending::Sample(deadline), _) if now >= deadline => {
                self.step(now, Trigger::Sample(SampleStatus::NO_USER_ACTIVITY, 0))
            }
            (Pending::Sample(_), Event::Sample { status, remaining }) => {
                self.step(now, Trigger::Sample(status, remaining))
            }
            (Pending::Sample(_), Event::Denied) => Err(Failure::OPERATION_DENIED),
            (Pending::Sample(_), _) => return Progress::Pending(Wait::Sample),
            (Pending::Work, _) => self.step(now, Trigger::Work),
        };
        self.proceed(now, outcome)
    }

    /// When [`Engine::resume`] should be called with [`Event::Tick`] though nothing happened.
    pub const fn deadline(&self) -> Option<Instant> {
        match self.pending {
            Pending::Touch(deadline, _) | Pending::Verification(deadline, _) | Pending::Sample(deadline) => {
                Some(deadline)
            }
            Pending::Nothing | Pending::Attempt(..) | Pending::Work => None,
        }
    }

    /// Whether a command is under way.
    pub const fn is_pending(&self) -> bool {
        !matches!(self.pending, Pending::Nothing)
    }

    /// Drops the command under way without an answer, or the answer before all of it is sent.
    pub fn abort(&mut self) {
        self.authenticator.answers_replacement = false;
        self.end();
    }

    /// Another channel speaks: a command under way is dropped, sequences such as getNextAssertion end, and a touch that
    /// U2F waits for is forgotten.
    pub fn channel_changed(&mut self) {
        self.abort();
        self.running = Running::Nothing;
        self.authenticator.touch = U2fTouch::default();
    }

    /// Over which of [`Config::transports`] the platform speaks from now on; the first until then. Another one is
    /// another channel. On "nfc", tokens have the shorter limits of NFC (CTAP 2.3 §6.5.2.1).
    pub fn set_transport(&mut self, transport: Text<'b>) {
        self.authenticator.token.set_nfc(transport == const { Text::new("nfc") });
        if self.authenticator.transport.replace(transport) != Some(transport) {
            self.channel_changed();
        }
    }

    /// Does one bounded piece of upkeep while nothing is pending; `false` when there is nothing to do or it failed.
    pub fn tidy(&mut self) -> bool {
        !self.is_pending() && self.authenticator.store.tidy().unwrap_or(false)
    }

    /// To be called when the last report of the response is out, before the next request begins. Deletes the
    /// credentials that a registration has replaced, in at most one write to the store; after other commands it does
    /// nothing. Returns whether there was something to do.
    ///
    /// A driver that never calls this keeps the old credential until an allow list names the new one, or until the new
    /// one is deleted.
    pub fn response_sent(&mut self) -> bool {
        let sent = !self.is_pending() && core::mem::take(&mut self.authenticator.answers_replacement);
        if sent {
            self.authenticator.drop_last_superseded();
        }
        sent
    }

    /// The fingerprints that are enrolled. A sensor forgets every other template, at power-up and whenever this
    /// changes.
    pub fn fingerprints(&self) -> &[TemplateId] {
        &self.authenticator.fingerprints
    }

    /// Enrols a fingerprint with this name without a command, where none is enrolled.
    ///
    /// # Errors
    /// Those of the store.
    #[cfg(feature = "std")]
    pub(crate) fn enrol_first_fingerprint(&mut self, name: &str) -> Result<(), crate::store::StoreError> {
        self.authenticator.enrol_first_fingerprint(name)
    }

    /// Gives back all attempts of built-in user verification.
    ///
    /// # Errors
    /// [`Failure::OTHER`]: the store failed.
    #[cfg(feature = "testing")]
    pub(crate) fn restore_uv_retries(&mut self) -> Result<(), Failure> {
        self.authenticator.restore_uv_retries()
    }

    /// The buffer, which leaves the engine without one.
    #[cfg(feature = "testing")]
    pub(crate) fn take_buffer(&mut self) -> &'b mut [u8] {
        self.abort();
        core::mem::take(&mut self.buffer)
    }

    /// The fingerprint that is being enrolled. When it is another one than before, the sensor begins a new template;
    /// when there is none, it drops the one that is not complete.
    pub fn enrolls(&self) -> Option<TemplateId> {
        self.running.enrolls()
    }

    /// Whether the configuration has U2F.
    pub fn has_u2f(&self) -> bool {
        self.authenticator.has(Caps::U2F)
    }

    /// Whether a U2F request was refused for want of a touch, and a touch would be kept for the next one.
    pub fn u2f_awaits_touch(&self, now: Instant) -> bool {
        matches!(self.authenticator.touch, U2fTouch::Awaited(until) if now < until)
    }

    /// The user touched the authenticator while no command was pending, or declined. Only U2F remembers it, and only if
    /// it has asked.
    pub fn touch_for_u2f(&mut self, now: Instant, consent: bool) {
        if self.u2f_awaits_touch(now) {
            self.authenticator.touch = if consent { U2fTouch::Kept(now.plus(TOUCH_KEPT)) } else { U2fTouch::Unasked };
        }
    }

    /// Counts what the user did before a U2F request, such as placing the authenticator in a reader's field, as the
    /// touch that the request needs, until this time. A CTAP2 request in between makes it forgotten.
    pub fn keep_touch_for_u2f(&mut self, until: Instant) {
        self.authenticator.touch = U2fTouch::Kept(until);
    }

    /// Whether a touch is kept for the next U2F request, which uses it up.
    pub const fn keeps_touch_for_u2f(&self) -> bool {
        matches!(self.authenticator.touch, U2fTouch::Kept(_))
    }

    /// One atom of the command under way.
    fn step(&mut self, now: Instant, cause: Trigger) -> Outcome {
        let (message, scratch) = split(self.buffer, self.authenticator.config.max_msg_size);
        let authenticator = &mut self.authenticator;
        self.running.step(&mut Call { now, message, request: self.request, scratch, authenticator }, cause)
    }

    fn proceed(&mut self, now: Instant, outcome: Outcome) -> Progress {
        let (pending, wait) = match outcome {
            Ok(Next::Reply(len)) => {
                self.end();
                return Progress::Reply(len.into());
            }
            Ok(Next::Touch) => (Pending::Touch(now.plus(USER_ACTION_TIMEOUT), Wait::Touch), Wait::Touch),
            Ok(Next::LongTouch) => (Pending::Touch(now.plus(USER_ACTION_TIMEOUT), Wait::LongTouch), Wait::LongTouch),
            Ok(Next::Verification { more }) => {
                (Pending::Verification(now.plus(USER_ACTION_TIMEOUT), more), Wait::UserVerification)
            }
            Ok(Next::Attempt) => (self.pending, Wait::Processing),
            Ok(Next::Sample(timeout)) => (Pending::Sample(now.plus_millis(timeout.into())), Wait::Sample),
            Ok(Next::Work) => (Pending::Work, Wait::Processing),
            Err(failure) => return self.fail(failure),
        };
        self.pending = pending;
        Progress::Pending(wait)
    }

    fn touched(&mut self, now: Instant, event: Event) -> Outcome {
        let present = UserPresent::by_touch(event).ok_or(Failure::OTHER)?;
        self.step(now, Trigger::Present(present))
    }

    /// The user has tried to be verified: the attempt is counted before its result is looked at.
    fn tried(&mut self, verified: Option<UserVerified>, more: u8) -> Outcome {
        let counted = self.authenticator.count_uv_attempt()?;
        self.pending = Pending::Attempt(counted, verified, more);
        Ok(Next::Attempt)
    }

    /// Looks at the result of an attempt. The command of a user who is verified begins again.
    fn judge(&mut self, now: Instant, counted: Counted, verified: Option<UserVerified>, more: u8) -> Outcome {
        let for_token = self.running.issues_token();
        match self.authenticator.judge_attempt(for_token, counted, verified, more)? {
            Some(verified) => self.step(now, Trigger::Verified(verified)),
            None => Ok(Next::Verification { more: more.saturating_sub(1) }),
        }
    }

    /// The status of the command under way, whose user was not verified.
    fn unverified(&self, refusal: Refusal) -> Failure {
        self.authenticator.verification_refused(self.running.issues_token(), refusal)
    }

    /// The status of the command under way, whose touch was refused.
    fn refused(&self, status: Failure) -> Failure {
        self.running.refused(self.authenticator.config.policy, status)
    }

    fn cancel(&mut self) -> Outcome {
        match self.running {
            Running::U2f(_) => u2f::refuse(StatusWord::CONDITIONS_NOT_SATISFIED, self.buffer),
            _ => Err(Failure::KEEPALIVE_CANCEL),
        }
    }

    fn fail(&mut self, failure: Failure) -> Progress {
        self.abort();
        if let Some(first) = self.buffer.first_mut() {
            *first = failure.status().0;
        }
        Progress::Reply(1)
    }

    /// Ends the command under way. What is left of it is a sequence that the next command may go on with.
    fn end(&mut self) {
        self.pending = Pending::Nothing;
        if self.running.is_unproven() {
            self.authenticator.key_agreement = None; // a mismatch, or what counts as one (CTAP 2.3 §6.5.5)
        }
        self.running.end();
        let (_, scratch) = split(self.buffer, self.authenticator.config.max_msg_size);
        let used = core::mem::take(&mut self.authenticator.scratch_used).min(scratch.len());
        bytes::wipe(bytes::front_mut(scratch, used));
    }
}

impl<P: Platform> Drop for Engine<'_, P> {
    fn drop(&mut self) {
        #[cfg(feature = "testing")]
        if self.buffer.is_empty() {
            return; // it was taken
        }
        self.abort(); // the buffer is the caller's and lives on
    }
}

/// The message, and the scratch area behind it.
fn split(buffer: &mut [u8], at: usize) -> (&mut [u8], &mut [u8]) {
    let (message, scratch) = bytes::split_mut(buffer, at);
    (message, bytes::front_mut(scratch, MAX_RECORD))
}
