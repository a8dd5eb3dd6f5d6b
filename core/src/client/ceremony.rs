//! The state machine of every ceremony. `course` has what it does, from getInfo to the outcome; this file has what can
//! happen at any time: cancellation, the end of the time, a transport that fails.

use core::{fmt, time::Duration};

use rand_core::CryptoRng;

use super::{
    Cause, Error, Exchange, Input, Output, Stage,
    authorization::Authorization,
    facts::Facts,
    operation::{AnyOperation, Forgets, Means, Operation},
    session::Memory,
};
use crate::{Instant, Status, bytes, crypto::Crypto, ctap2::get_info, transport::KeepAlive};

mod course;
mod giving_up;
mod settings;

/// The smallest buffer a ceremony takes, in bytes: the smallest maxMsgSize (CTAP 2.3 §6.4).
pub const MIN_BUFFER: usize = get_info::DEFAULT_MAX_MSG_SIZE;

/// A ceremony: a value to be stepped until [`Output::Done`]. Dropping it is safe at any time: the next request on the
/// channel resynchronises. `S` is what it remembers beyond its end: nothing, or a [`Session`](super::Session).
///
/// ```
/// use keyfob_core::client::{Ceremony, GetAssertion, GetOptions, Input, Output};
/// use keyfob_core::{crypto::RustCrypto, transport::{Received, Transport}};
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # let mut key = Key::default();
/// let (options, mut buffer) = (GetOptions::new("example.org", &[1; 32]), [0; 4096]);
/// let mut ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, rng());
/// let mut input = Input::Start;
/// loop {
///     input = match ceremony.step(clock(), input)? {
///         Output::Send(exchange) => {
///             key.send(exchange.protocol, exchange.request())?;
///             Input::Time
///         }
///         Output::Wait { buf, limit } => match key.receive(buf, limit)? {
///             Received::Response(len) => Input::Response(len),
///             _ => Input::Time,
///         },
///         Output::Done => break,
///         _ => Input::Cancel, // this program does not ask for a PIN
///     };
/// }
/// assert_eq!(ceremony.finish()?.total(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Ceremony<'b, O: ?Sized, C, R, S = ()> {
    memory: S,
    buffer: &'b mut [u8],
    /// Kept responses at the front of the buffer, in bytes.
    kept: usize,
    crypto: C,
    rng: R,
    facts: Facts,
    authorization: Authorization,
    stage: Stage,
    state: State,
    yielded: Yielded,
    /// The last keep-alive that was shown.
    shown: Option<KeepAlive>,
    /// Responses have to be canonical.
    strict: bool,
    /// Version 1 is not spoken.
    ctap2_only: bool,
    /// In milliseconds; `None`: as the options say.
    timeout: Option<u64>,
    deadline: Instant,
    /// The last field: [`Course`] has it without its type.
    operation: O,
}

/// A ceremony of whatever operation. What happens in it is compiled once and not for each operation.
type Course<'c, 'b, C, R, S> = Ceremony<'b, dyn AnyOperation<C, R> + 'c, C, R, S>;

impl<O, C, R, S> fmt::Debug for Ceremony<'_, O, C, R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ceremony({:?}, ..)", self.stage)
    }
}

/// What a ceremony waits for.
#[derive(Clone, Copy)]
enum State {
    /// The caller: to begin, or to answer.
    Caller,
    /// The answer to a request. Only now can the authenticator be cancelled.
    Authenticator {
        /// It has asked for a touch.
        touched: bool,
    },
    /// The time to send the same request again.
    Again(Instant),
    /// The caller, who looks at an item.
    Showing(Showing),
    /// The answer to a request that was cancelled for this cause. It waits until this time at most.
    GivenUp(Cause, Instant),
    /// Nothing: it has failed.
    Failed(Error),
}

/// An item that is being shown, in the response behind the kept ones.
#[derive(Clone, Copy)]
pub(super) struct Showing {
    /// The end of the response.
    end: usize,
    /// Whether it is kept afterwards.
    keep: bool,
    /// Whether it is the last.
    last: bool,
}

/// What the answers to the command itself have yielded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Yielded {
    Nothing,
    /// An answer was accepted: from then on no authorization helps.
    Part,
    /// The responses so far suffice as the outcome.
    Enough,
}

/// What happens next, without the borrows of [`Output`].
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// A request of this many bytes.
    Send(usize),
    Wait,
    CancelDevice,
    AskPin,
    AskNewPin,
    AskUv,
    Show(KeepAlive),
    Item(Showing),
    Reconnect,
    /// The command is authorized: it is next.
    Granted,
    Done,
}

impl<'b, O: Operation, C: Crypto, R: CryptoRng, S: Memory> Ceremony<'b, O, C, R, S> {
    /// Says what happened at `now`, returns what to do next.
    ///
    /// [`Input::Time`], [`Input::KeepAlive`] and [`Input::Cancel`] are accepted at any time. Any other input that does
    /// not answer the last output is [`Cause::WrongState`], and the ceremony stays as it is. Every other error is the
    /// end of the ceremony: further steps return it again.
    ///
    /// # Errors
    /// Why the ceremony failed.
    pub fn step(&mut self, now: Instant, input: Input<'_>) -> Result<Output<'_, O::Item<'_>>, Error> {
        let course: &mut Course<'_, 'b, C, R, S> = self;
        match course.next(now, input)? {
            Action::Item(Showing { end, .. }) => match self.operation.item(bytes::part(self.buffer, self.kept..end)) {
                Some(item) => Ok(Output::Item(item)),
                None => Ok(Output::Wait { buf: &mut [], limit: Duration::ZERO }), // it was there when it was accepted
            },
            next => {
                let course: &mut Course<'_, 'b, C, R, S> = self;
                Ok(course.output(now, next))
            }
        }
    }

    /// The outcome, after [`Output::Done`].
    ///
    /// # Errors
    /// [`Cause::WrongState`] before [`Output::Done`]; why the ceremony failed.
    pub fn finish(mut self) -> Result<O::Outcome<'b>, Error> {
        self.end()
    }

    /// [`Ceremony::finish`] where it lies, without a copy of it. Nothing can follow.
    pub(super) fn end(&mut self) -> Result<O::Outcome<'b>, Error> {
        let error = |cause| Error::new(self.stage, cause);
        match (self.state, self.stage) {
            (State::Failed(failed), _) => Err(failed),
            (_, Stage::Done) => {
                let buffer: &'b mut [u8] = core::mem::take(&mut self.buffer);
                self.operation.outcome(bytes::front(buffer, self.kept)).map_err(error)
            }
            _ => Err(error(Cause::WrongState)),
        }
    }
}

impl<'c, C: Crypto, R: CryptoRng, S: Memory> Course<'c, '_, C, R, S> {
    fn next(&mut self, now: Instant, input: Input<'_>) -> Result<Action, Error> {
        if let State::Failed(error) = self.state {
            return Err(error);
        }
        self.advance(now, input).map_err(|cause| self.fail(cause))
    }

    fn advance(&mut self, now: Instant, input: Input<'_>) -> Result<Action, Cause> {
        let next = match (self.state, input) {
            (State::GivenUp(cause, until), input) => return self.drain(now, input, cause, until),
            (_, Input::Time | Input::KeepAlive(_) | Input::Cancel) if self.stage == Stage::Done => Ok(Action::Done),
            _ if self.stage == Stage::Done => Err(Cause::WrongState),
            (_, Input::Start) => self.start(now),
            // There is nothing left to give up.
            (State::Showing(item @ Showing { last: true, .. }), Input::Time | Input::KeepAlive(_) | Input::Cancel) => {
                self.item_shown(item)
            }
            (_, Input::Cancel) => self.give_up(now, Cause::Cancelled),
            (_, Input::Time | Input::KeepAlive(_)) if now >= self.deadline => self.give_up(now, Cause::Timeout),
            (State::Showing(item), Input::Time) => self.item_shown(item),
            (State::Again(again), Input::Time) if now >= again => self.command(),
            (State::Authenticator { touched }, Input::KeepAlive(status)) if self.shown != Some(status) => {
                self.shown = Some(status);
                self.state = State::Authenticator { touched: touched || status == KeepAlive::UpNeeded };
                Ok(Action::Show(status))
            }
            (_, Input::Time | Input::KeepAlive(_)) => Ok(Action::Wait),
            (State::Authenticator { touched }, Input::Response(len)) => self.response(now, len, touched),
            (State::Authenticator { .. }, Input::Unreadable) => self.unreadable(now),
            (_, Input::TransportFailed) => self.transport_failed(),
            (State::Caller, answer) => self.answer(answer),
            _ => Err(Cause::WrongState),
        }?;
        let late = now >= self.deadline && !matches!(self.state, State::GivenUp(..));
        match next {
            Action::Send(_) | Action::AskPin | Action::AskNewPin | Action::AskUv | Action::Reconnect if late => {
                Err(Cause::Timeout)
            }
            next => Ok(next),
        }
    }

    /// What `next` is to the caller. An item is not: only the operation knows its type.
    fn output<I>(&mut self, now: Instant, next: Action) -> Output<'_, I> {
        let limit = match self.state {
            State::GivenUp(_, until) => until,
            State::Again(again) => again.min(self.deadline),
            _ => self.deadline,
        };
        let limit = limit.since(now);
        let protocol = self.facts.transport_protocol();
        let prompt = self.authorization.prompt(&self.facts, &self.operation.purpose());
        let buf = bytes::rest_mut(self.buffer, self.kept);
        match next {
            Action::Send(len) => {
                if !matches!(self.state, State::GivenUp(..)) {
                    self.state = State::Authenticator { touched: false };
                }
                Output::Send(Exchange { buf, len, protocol })
            }
            Action::Wait | Action::Item(_) | Action::Granted => Output::Wait { buf, limit },
            Action::CancelDevice => Output::CancelDevice,
            Action::AskPin => Output::AskPin(prompt),
            Action::AskNewPin => Output::AskNewPin(prompt),
            Action::AskUv => Output::AskUv(prompt),
            Action::Show(status) => Output::Show(status),
            Action::Reconnect => Output::Reconnect,
            Action::Done => Output::Done,
        }
    }

    fn fail(&mut self, cause: Cause) -> Error {
        let error = Error::new(self.stage, cause);
        if cause != Cause::WrongState {
            if let Some(session) = self.memory.session() {
                // What the session knows may be the reason.
                session.forget(match (cause, self.stage) {
                    (Cause::Transport, _) => Forgets::All, // the next authenticator may be another
                    (_, Stage::Authorization) => Forgets::Pin,
                    _ => Forgets::Info,
                });
            }
            self.authorization.wipe();
            bytes::wipe(self.buffer); // secrets of extensions may have been kept
            self.state = State::Failed(error);
        }
        error
    }

    fn transport_failed(&mut self) -> Result<Action, Cause> {
        if self.authorization.reconnecting() {
            return Err(Cause::Status(Status::PIN_AUTH_BLOCKED)); // there is no power cycle
        }
        self.no_more(Cause::Transport)
    }

    /// No further response comes. Succeeds if those that are kept suffice, and fails with `otherwise` if not.
    fn no_more(&mut self, otherwise: Cause) -> Result<Action, Cause> {
        if self.yielded == Yielded::Enough { Ok(self.done()) } else { Err(otherwise) }
    }

    fn done(&mut self) -> Action {
        self.authorization.wipe();
        self.stage = Stage::Done;
        self.state = State::Caller;
        Action::Done
    }

    /// What an operation works with, lent for one call.
    fn lend(&mut self) -> (&mut (dyn AnyOperation<C, R> + 'c), Means<'_, C, R>) {
        let (kept, buffer) = bytes::split_mut(self.buffer, self.kept);
        let means = Means {
            crypto: &self.crypto,
            rng: &mut self.rng,
            facts: &self.facts,
            grant: self.authorization.grant(&self.facts),
            kept,
            buffer,
            renews: self.authorization.renews(),
            agreement: self.authorization.agreement.as_ref(),
        };
        (&mut self.operation, means)
    }
}
