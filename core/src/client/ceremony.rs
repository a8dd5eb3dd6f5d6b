//! The machine that every ceremony is: getInfo, authorization, the command, and what can happen meanwhile.

use core::{fmt, time::Duration};

use rand_core::CryptoRng;

use super::{
    Cause, DEFAULT_TIMEOUT, Error, Exchange, Input, Output, Stage,
    authorization::{self, Authorization, Context, Grant},
    facts::{Facts, Method, Purpose},
};
use crate::{
    Instant, Status,
    crypto::{Crypto, Hash},
    ctap2::{Command, decode_response, encode_command, get_info},
    pin_uv::Token,
    transport::KeepAlive,
};

/// The smallest buffer a ceremony takes, in bytes: the smallest maxMsgSize (CTAP 2.3 §6.4).
pub const MIN_BUFFER: usize = get_info::DEFAULT_MAX_MSG_SIZE;

/// How long the answer to a cancellation is waited for. A slow key finishes its computation first.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

/// What one kind of ceremony asks for and makes of the answers.
pub trait Operation {
    /// What the ceremony yields, borrowing from its options and its buffer.
    type Outcome<'b>
    where
        Self: 'b;

    /// What it shows on the way, borrowing from the buffer; [`Infallible`](core::convert::Infallible) when nothing.
    type Item<'m>: Copy;

    /// Checks the options before anything is sent.
    fn check(&self) -> Result<(), Cause> {
        Ok(())
    }
    /// Checks the options against getInfo, before the user is bothered.
    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause>;
    /// What user verification is for.
    fn purpose(&self) -> Purpose<'_>;
    /// Whether and how the user is verified.
    fn method(&self, facts: &Facts) -> Result<Option<Method>, Cause> {
        facts.choose(&self.purpose())
    }
    /// A token the caller has kept, in place of user verification.
    fn stored_token(&self) -> Option<&Token> {
        None
    }
    /// How long it may take.
    fn timeout(&self) -> Duration {
        DEFAULT_TIMEOUT
    }
    /// Takes note of the grant, and says whether there is a command to send.
    fn granted<C: Crypto>(&mut self, crypto: &C, grant: Grant<'_>) -> bool {
        let _ = (crypto, grant);
        true
    }
    /// Writes the next request. `kept`: the accepted responses.
    fn request<C: Hash>(
        &self,
        crypto: &C,
        facts: &Facts,
        grant: Grant<'_>,
        kept: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause>;
    /// Checks a response and says how to go on. `verified`: the user was, or had to be.
    fn accept<C: Hash>(&mut self, crypto: &C, response: &[u8], verified: bool) -> Result<Progress, Cause>;
    /// What there is to show of an accepted response.
    fn item<'m>(&self, response: &'m [u8]) -> Option<Self::Item<'m>> {
        let _ = response;
        None
    }
    /// Whether the responses accepted so far are worth returning when no more can be had.
    fn suffices(&self) -> bool {
        false
    }
    /// The outcome from all kept responses, one after the other.
    fn outcome<'b>(self, responses: &'b [u8]) -> Result<Self::Outcome<'b>, Cause>
    where
        Self: 'b;
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is kept; there is another request.
    More,
    /// It is kept; it was the last.
    Complete,
    /// It is used up; there is another request.
    Next,
    /// It is shown.
    Show {
        /// It is kept, not used up.
        keep: bool,
        /// It was the last.
        last: bool,
    },
}

/// A ceremony: a value to be stepped until [`Output::Done`]. Dropping it is safe at any time: the next request on the
/// channel resynchronises.
pub struct Ceremony<'b, O, C, R> {
    operation: O,
    buffer: &'b mut [u8],
    /// Accepted responses at the front of the buffer, in bytes.
    kept: usize,
    crypto: C,
    rng: R,
    facts: Facts,
    authorization: Authorization,
    stage: Stage,
    /// A response to the command itself was accepted: from then on no authorization helps.
    accepted: bool,
    /// An item is being shown.
    showing: Option<Showing>,
    /// A request is under way: only then can the authenticator answer or be cancelled.
    under_way: bool,
    shown: Option<KeepAlive>,
    /// In milliseconds.
    timeout: u64,
    deadline: Instant,
    /// Why the authenticator was asked to give up, and until when its answer is waited for.
    cancelled: Option<(Cause, Instant)>,
    failed: Option<Error>,
}

impl<O, C, R> fmt::Debug for Ceremony<'_, O, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ceremony({:?}, ..)", self.stage)
    }
}

/// An item that is being shown, in the response behind the kept ones.
#[derive(Clone, Copy)]
struct Showing {
    /// The end of the response.
    end: usize,
    /// Then it is kept.
    keep: bool,
    /// No other request follows.
    last: bool,
}

/// What happens next, without the borrows of [`Output`].
enum Next {
    Send(usize),
    Wait,
    CancelDevice,
    AskPin,
    AskNewPin,
    AskUv,
    Show(KeepAlive),
    Item(Showing),
    Reconnect,
    Done,
}

impl<'b, O: Operation + 'b, C: Crypto, R: CryptoRng> Ceremony<'b, O, C, R> {
    pub(super) fn with(operation: O, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let timeout = millis(operation.timeout());
        Self {
            operation,
            buffer,
            kept: 0,
            crypto,
            rng,
            facts: Facts::default(),
            authorization: Authorization::new(),
            stage: Stage::Options,
            accepted: false,
            showing: None,
            under_way: false,
            shown: None,
            timeout,
            deadline: Instant::from_millis(u64::MAX),
            cancelled: None,
            failed: None,
        }
    }

    /// The same ceremony with another limit on its time, the user's typing included.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout: millis(timeout), ..self }
    }

    /// Says what happened at `now`, returns what to do next.
    ///
    /// [`Input::Time`], [`Input::KeepAlive`] and [`Input::Cancel`] are welcome at any time. Any other input that does not
    /// answer the last output is [`Cause::WrongState`], and the ceremony stays as it is. Every other error is the end of
    /// the ceremony: further steps return it again.
    pub fn step(&mut self, now: Instant, input: Input<'_>) -> Result<Output<'_, O::Item<'_>>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.advance(now, input) {
            Ok(next) => Ok(self.output(now, next)),
            Err(cause) => Err(self.fail(cause)),
        }
    }

    /// The outcome, after [`Output::Done`]. Errors: [`Cause::WrongState`] before that; the ceremony's own error.
    pub fn finish(self) -> Result<O::Outcome<'b>, Error> {
        let error = |cause: Cause| Error { code: cause.code(), stage: self.stage, cause };
        match (self.failed, self.stage) {
            (Some(failed), _) => Err(failed),
            (None, Stage::Done) => {
                let buffer: &'b [u8] = self.buffer;
                self.operation.outcome(buffer.get(..self.kept).unwrap_or_default()).map_err(error)
            }
            _ => Err(error(Cause::WrongState)),
        }
    }

    fn fail(&mut self, cause: Cause) -> Error {
        let error = Error { code: cause.code(), stage: self.stage, cause };
        if cause != Cause::WrongState {
            self.authorization.wipe();
            self.failed = Some(error);
        }
        error
    }

    fn output(&mut self, now: Instant, next: Next) -> Output<'_, O::Item<'_>> {
        if let Next::Item(Showing { end, .. }) = next {
            return match self.operation.item(self.buffer.get(self.kept..end).unwrap_or_default()) {
                Some(item) => Output::Item(item),
                None => Output::Wait { buf: &mut [], limit: Duration::ZERO }, // it was there when it was accepted
            };
        }
        let limit = self.cancelled.map_or(self.deadline, |(_, limit)| limit).since(now);
        let prompt = self.authorization.prompt(&self.facts, &self.operation.purpose());
        let buf = self.buffer.get_mut(self.kept..).unwrap_or_default();
        match next {
            Next::Send(len) => {
                self.under_way = true;
                Output::Send(Exchange { buf, len })
            }
            Next::Wait | Next::Item(_) => Output::Wait { buf, limit },
            Next::CancelDevice => Output::CancelDevice,
            Next::AskPin => Output::AskPin(prompt),
            Next::AskNewPin => Output::AskNewPin(prompt),
            Next::AskUv => Output::AskUv(prompt),
            Next::Show(status) => Output::Show(status),
            Next::Reconnect => Output::Reconnect,
            Next::Done => Output::Done,
        }
    }

    fn advance(&mut self, now: Instant, input: Input<'_>) -> Result<Next, Cause> {
        if self.cancelled.is_some() {
            return self.drain(now, input);
        }
        if self.stage == Stage::Done {
            return match input {
                Input::Time | Input::KeepAlive(_) | Input::Cancel => Ok(Next::Done),
                _ => Err(Cause::WrongState),
            };
        }
        let next = match input {
            Input::Start => self.start(now),
            Input::Cancel => self.give_up(now, Cause::Cancelled),
            Input::Time | Input::KeepAlive(_) if now >= self.deadline => self.give_up(now, Cause::Timeout),
            Input::Time if self.showing.is_some() => self.shown(),
            Input::KeepAlive(status) if self.under_way && self.shown != Some(status) => {
                self.shown = Some(status);
                Ok(Next::Show(status))
            }
            Input::Time | Input::KeepAlive(_) => Ok(Next::Wait),
            Input::Response(len) => self.response(len),
            Input::TransportFailed => self.transport_failed(),
            Input::Pin(_) | Input::NoPin | Input::UserVerification(_) | Input::Reconnected => self.answer(input),
        }?;
        match next {
            Next::Send(_) | Next::AskPin | Next::AskNewPin | Next::AskUv | Next::Reconnect if now >= self.deadline => {
                Err(Cause::Timeout)
            }
            next => Ok(next),
        }
    }

    fn start(&mut self, now: Instant) -> Result<Next, Cause> {
        if self.stage != Stage::Options {
            return Err(Cause::WrongState);
        }
        if self.buffer.len() < MIN_BUFFER {
            return Err(Cause::BufferTooSmall { needed: MIN_BUFFER });
        }
        self.operation.check()?;
        self.deadline = now.plus(Duration::from_millis(self.timeout));
        self.stage = Stage::GetInfo;
        Ok(Next::Send(encode_command(Command::GET_INFO, self.buffer)?))
    }

    /// Ends the ceremony with `cause`, at once or after the authenticator has given up.
    fn give_up(&mut self, now: Instant, cause: Cause) -> Result<Next, Cause> {
        if !self.under_way {
            return Err(cause);
        }
        self.cancelled = Some((cause, now.plus(DRAIN_LIMIT)));
        Ok(Next::CancelDevice)
    }

    /// Waits for the answer to the cancelled request, whatever it is: until then the channel is not free.
    fn drain(&mut self, now: Instant, input: Input<'_>) -> Result<Next, Cause> {
        match (self.cancelled, input) {
            (Some((cause, _)), Input::Response(_) | Input::TransportFailed) => Err(cause),
            (Some((cause, limit)), _) if now >= limit => Err(cause),
            (_, Input::Time | Input::KeepAlive(_) | Input::Cancel) => Ok(Next::Wait),
            _ => Err(Cause::WrongState),
        }
    }

    fn transport_failed(&mut self) -> Result<Next, Cause> {
        if self.authorization.reconnecting() {
            return Err(Cause::Status(Status::PIN_AUTH_BLOCKED)); // the one who waits for a power cycle does not get it
        }
        self.no_more(Cause::Transport)
    }

    /// No further response can be had: enough, or the error `otherwise`.
    fn no_more(&mut self, otherwise: Cause) -> Result<Next, Cause> {
        if self.operation.suffices() { Ok(self.done()) } else { Err(otherwise) }
    }

    fn done(&mut self) -> Next {
        self.under_way = false;
        self.authorization.wipe();
        self.stage = Stage::Done;
        Next::Done
    }

    fn response(&mut self, len: usize) -> Result<Next, Cause> {
        if !self.under_way {
            return Err(Cause::WrongState);
        }
        self.under_way = false;
        self.shown = None;
        let end = self.kept.saturating_add(len);
        if end > self.buffer.len() {
            return self.no_more(Cause::BufferTooSmall { needed: end });
        }
        match self.stage {
            Stage::GetInfo => self.examine(len),
            Stage::Authorization => self.authorize(|authorization, cx| authorization.response(cx, len)),
            Stage::Command => self.accept(end),
            Stage::Options | Stage::Done => Err(Cause::WrongState),
        }
    }

    /// Everything that can be known to fail is found out here, before the user is bothered.
    fn examine(&mut self, len: usize) -> Result<Next, Cause> {
        let info = decode_response(self.buffer.get(..len).unwrap_or_default())?;
        self.facts = Facts::of(&info);
        self.operation.examine(&info, &self.facts)?;
        match self.operation.stored_token() {
            Some(token) => self.authorization.adopt(token),
            None => self.authorization.choose(self.operation.method(&self.facts)?, &self.facts)?,
        }
        self.encode()?;
        self.authorize(|authorization, cx| authorization.begin(cx))
    }

    fn answer(&mut self, input: Input<'_>) -> Result<Next, Cause> {
        if self.stage != Stage::Authorization || self.under_way {
            return Err(Cause::WrongState);
        }
        self.authorize(|authorization, cx| match input {
            Input::Pin(pin) => authorization.pin(cx, pin),
            Input::NoPin => authorization.no_pin(),
            Input::UserVerification(agreed) => authorization.user_verification(cx, agreed),
            _ => authorization.reconnected(cx),
        })
    }

    /// Runs one step of the authorization, and sends the command once it is granted.
    fn authorize(
        &mut self,
        step: impl FnOnce(&mut Authorization, &mut Context<'_, C, R>) -> Result<authorization::Next, Cause>,
    ) -> Result<Next, Cause> {
        let mut cx = Context {
            crypto: &self.crypto,
            rng: &mut self.rng,
            facts: &self.facts,
            purpose: self.operation.purpose(),
            buffer: self.buffer,
        };
        let next = step(&mut self.authorization, &mut cx)?;
        self.stage = Stage::Authorization;
        Ok(match next {
            authorization::Next::Send(len) => Next::Send(len),
            authorization::Next::AskPin => Next::AskPin,
            authorization::Next::AskNewPin => Next::AskNewPin,
            authorization::Next::AskUv => Next::AskUv,
            authorization::Next::Reconnect => Next::Reconnect,
            authorization::Next::Granted => {
                self.stage = Stage::Command;
                match self.operation.granted(&self.crypto, self.authorization.grant(&self.facts)) {
                    true => self.command()?,
                    false => self.done(),
                }
            }
        })
    }

    fn command(&mut self) -> Result<Next, Cause> {
        match self.encode() {
            Ok(len) => Ok(Next::Send(len)),
            Err(cause) => self.no_more(cause),
        }
    }

    /// Writes the command. Before it is granted the proof in it is void but of the right length.
    fn encode(&mut self) -> Result<usize, Cause> {
        let (kept, buffer) = self.buffer.split_at_mut_checked(self.kept).unwrap_or_default();
        let grant = self.authorization.grant(&self.facts);
        let needed = self.operation.request(&self.crypto, &self.facts, grant, kept, buffer)?;
        let limit = self.facts.max_msg_size;
        if needed > limit { Err(Cause::RequestTooLarge { needed, limit }) } else { Ok(needed) }
    }

    fn accept(&mut self, end: usize) -> Result<Next, Cause> {
        let response = self.buffer.get(self.kept..end).unwrap_or_default();
        match self.operation.accept(&self.crypto, response, self.authorization.verifies()) {
            Ok(progress) => {
                self.accepted = true;
                if let Progress::More | Progress::Complete = progress {
                    self.kept = end;
                }
                match progress {
                    Progress::More | Progress::Next => self.command(),
                    Progress::Complete => Ok(self.done()),
                    Progress::Show { keep, last } => {
                        let showing = Showing { end, keep, last };
                        self.showing = Some(showing);
                        Ok(Next::Item(showing))
                    }
                }
            }
            Err(Cause::Status(status)) if !self.accepted => {
                self.authorize(|authorization, cx| authorization.refused(cx, status))
            }
            Err(cause) => Err(cause),
        }
    }

    /// Goes on after an item.
    fn shown(&mut self) -> Result<Next, Cause> {
        let Some(Showing { end, keep, last }) = self.showing.take() else { return Ok(Next::Wait) };
        if keep {
            self.kept = end;
        }
        if last { Ok(self.done()) } else { self.command() }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
