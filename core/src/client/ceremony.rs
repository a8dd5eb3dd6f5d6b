//! The machine that every ceremony is: getInfo, authorization, the command, and what can happen meanwhile.

use core::{fmt, time::Duration};

use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::{
    Cause, Error, Exchange, Input, Output, Stage,
    authorization::{self, Authorization, Context},
    facts::Facts,
    operation::{Forgets, Means, Operation, Progress, Room},
    session::Memory,
};
use crate::{
    Instant, Status,
    cbor::{self, Raw},
    crypto::Crypto,
    ctap1,
    ctap2::{get_info, response_body},
    transport::KeepAlive,
};

mod giving_up;
mod setting_out;
mod settings;

/// The smallest buffer a ceremony takes, in bytes: the smallest maxMsgSize (CTAP 2.3 §6.4).
pub const MIN_BUFFER: usize = get_info::DEFAULT_MAX_MSG_SIZE;

/// How long an authenticator of version 1 that waits for a touch is left alone before it is asked again.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A ceremony: a value to be stepped until [`Output::Done`]. Dropping it is safe at any time: the next request on the
/// channel resynchronises. `S` is what it remembers beyond its end: nothing, or a [`Session`](super::Session).
pub struct Ceremony<'b, O, C, R, S = ()> {
    operation: O,
    memory: S,
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
    /// A touch was asked for during the request.
    touched: bool,
    /// When the same request is sent again.
    again: Option<Instant>,
    /// Responses have to be canonical.
    strict: bool,
    /// Version 1 is not spoken.
    ctap2_only: bool,
    /// In milliseconds.
    timeout: u64,
    deadline: Instant,
    /// Why the authenticator was asked to give up, and until when its answer is waited for.
    cancelled: Option<(Cause, Instant)>,
    failed: Option<Error>,
}

impl<O, C, R, S> fmt::Debug for Ceremony<'_, O, C, R, S> {
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

impl<'b, O: Operation + 'b, C: Crypto, R: CryptoRng, S: Memory> Ceremony<'b, O, C, R, S> {
    fn remembering(operation: O, buffer: &'b mut [u8], crypto: C, rng: R, memory: S) -> Self {
        let timeout = millis(operation.timeout());
        Self {
            operation,
            memory,
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
            touched: false,
            again: None,
            strict: false,
            ctap2_only: false,
            timeout,
            deadline: Instant::from_millis(u64::MAX),
            cancelled: None,
            failed: None,
        }
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
            if let Some(session) = self.memory.session() {
                // What it knows may be the reason.
                session.forget(if self.stage == Stage::Authorization { Forgets::Pin } else { Forgets::Info });
            }
            self.authorization.wipe();
            self.buffer.zeroize(); // secrets of extensions may have been kept
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
        let limit = self.cancelled.map_or(self.deadline, |(_, limit)| limit);
        let limit = self.again.map_or(limit, |again| again.min(limit)).since(now);
        let protocol = self.facts.transport_protocol();
        let prompt = self.authorization.prompt(&self.facts, &self.operation.purpose());
        let buf = self.buffer.get_mut(self.kept..).unwrap_or_default();
        match next {
            Next::Send(len) => {
                (self.under_way, self.touched) = (true, false);
                Output::Send(Exchange { buf, len, protocol })
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
            // There is nothing left to give up.
            Input::Time | Input::KeepAlive(_) | Input::Cancel if self.showing.is_some_and(|showing| showing.last) => {
                self.shown()
            }
            Input::Cancel => self.give_up(now, Cause::Cancelled),
            Input::Time | Input::KeepAlive(_) if now >= self.deadline => self.give_up(now, Cause::Timeout),
            Input::Time if self.showing.is_some() => self.shown(),
            Input::Time if self.again.is_some_and(|again| now >= again) => {
                self.again = None;
                self.command()
            }
            Input::KeepAlive(status) if self.under_way && self.shown != Some(status) => {
                self.shown = Some(status);
                self.touched |= status == KeepAlive::UpNeeded;
                Ok(Next::Show(status))
            }
            Input::Time | Input::KeepAlive(_) => Ok(Next::Wait),
            Input::Response(len) => self.response(now, len),
            Input::Unreadable => self.unreadable(now),
            Input::TransportFailed => self.transport_failed(),
            Input::Pin(_) | Input::NoPin | Input::UserVerification(_) | Input::Reconnected => self.answer(input),
        }?;
        match next {
            Next::Send(_) | Next::AskPin | Next::AskNewPin | Next::AskUv | Next::Reconnect
                if now >= self.deadline && self.cancelled.is_none() =>
            {
                Err(Cause::Timeout)
            }
            next => Ok(next),
        }
    }

    fn transport_failed(&mut self) -> Result<Next, Cause> {
        if self.authorization.reconnecting() {
            return Err(Cause::Status(Status::PIN_AUTH_BLOCKED)); // the one who waits for a power cycle does not get it
        }
        self.no_more(Cause::Transport)
    }

    /// The authenticator could not read the request. A key handle that it cannot read is not its own.
    fn unreadable(&mut self, now: Instant) -> Result<Next, Cause> {
        if !self.under_way {
            return Err(Cause::WrongState);
        }
        if !(self.facts.ctap1 && self.stage == Stage::Command && self.operation.searches()) {
            return self.transport_failed();
        }
        let buffer = self.buffer.get_mut(self.kept..).unwrap_or_default();
        let len = ctap1::encode_status(&[], ctap1::StatusWord::WRONG_DATA, buffer)?;
        self.response(now, len)
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

    fn response(&mut self, now: Instant, len: usize) -> Result<Next, Cause> {
        if !self.under_way {
            return Err(Cause::WrongState);
        }
        self.under_way = false;
        if !self.facts.ctap1 {
            self.shown = None;
        }
        let end = self.kept.saturating_add(len);
        if end > self.buffer.len() {
            return self.no_more(Cause::BufferTooSmall { needed: end });
        }
        if self.strict && !self.facts.ctap1 {
            let response = self.buffer.get(self.kept..end).unwrap_or_default();
            if let Ok(body @ [_, ..]) = response_body(response) {
                cbor::decode::<Raw<'_>>(body)?;
            }
        }
        match self.stage {
            Stage::GetInfo if self.facts.ctap1 => self.examine_version(len),
            Stage::GetInfo => {
                if let Some(session) = self.memory.session() {
                    session.keep_info(self.buffer.get(..len).unwrap_or_default());
                }
                self.examine(len)
            }
            Stage::Authorization => self.authorize(|authorization, cx| authorization.response(cx, len)),
            Stage::Command => self.accept(now, end),
            Stage::Options | Stage::Done => Err(Cause::WrongState),
        }
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
            buffer: self.buffer.get_mut(self.kept..).unwrap_or_default(),
        };
        let next = step(&mut self.authorization, &mut cx)?;
        let granted = next == authorization::Next::Granted;
        if let Some(session) = self.memory.session() {
            if self.authorization.is_setting_pin() {
                session.forget(Forgets::All);
            } else if self.authorization.is_trying_pin() {
                session.forget_pin(&cx.purpose);
            } else if granted {
                session.keep(&self.authorization, &self.facts, &cx.purpose);
                session.forget(O::FORGETS);
            }
        }
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
        match self.encode(false) {
            Ok(len) => Ok(Next::Send(len)),
            Err(cause) => self.no_more(cause),
        }
    }

    /// Writes the next request, or one to measure.
    fn encode(&mut self, measure: bool) -> Result<usize, Cause> {
        let (kept, buffer) = self.buffer.split_at_mut_checked(self.kept).unwrap_or_default();
        let mut means = means(&self.crypto, &mut self.rng, &self.facts, &self.authorization);
        let needed = match measure {
            true => self.operation.measure(&mut means, buffer),
            false => self.operation.request(&mut means, kept, buffer),
        };
        let needed = needed.map_err(|cause| cause.behind(self.kept))?;
        let limit = self.facts.max_msg_size;
        if needed > limit { Err(Cause::RequestTooLarge { needed, limit }) } else { Ok(needed) }
    }

    fn accept(&mut self, now: Instant, end: usize) -> Result<Next, Cause> {
        let bytes = self.buffer.get_mut(self.kept..).unwrap_or_default();
        let mut room = Room { bytes, len: end.saturating_sub(self.kept), touched: self.touched };
        let mut means = means(&self.crypto, &mut self.rng, &self.facts, &self.authorization);
        let progress = self.operation.accept(&mut means, &mut room);
        let end = self.kept.saturating_add(room.len);
        match progress {
            Ok(Progress::Prepared) => self.command(),
            Ok(Progress::Authorize) => self.authorize(|authorization, cx| authorization.begin(cx)),
            Ok(Progress::Again) => {
                self.again = Some(now.plus(POLL_INTERVAL));
                match self.shown.replace(KeepAlive::UpNeeded) {
                    Some(KeepAlive::UpNeeded) => Ok(Next::Wait),
                    _ => Ok(Next::Show(KeepAlive::UpNeeded)),
                }
            }
            Ok(progress) => {
                self.accepted = true;
                self.authorization.accepted();
                if let Progress::More | Progress::Complete = progress {
                    self.kept = end;
                }
                match progress {
                    Progress::Show { keep, last } => {
                        let showing = Showing { end, keep, last };
                        self.showing = Some(showing);
                        Ok(Next::Item(showing))
                    }
                    Progress::Complete | Progress::Enough => Ok(self.done()),
                    _ => self.command(),
                }
            }
            // Some take a token for one command only: a session has another without the user.
            Err(Cause::Status(status))
                if !self.facts.ctap1
                    && (!self.accepted
                        || (authorization::refuses_token(status) && self.authorization.renews_by_itself())) =>
            {
                self.authorize(|authorization, cx| authorization.refused(cx, status))
            }
            Err(cause @ Cause::BufferTooSmall { .. }) => self.no_more(cause.behind(self.kept)),
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

/// What an operation works with, lent for one call.
fn means<'a, C, R>(
    crypto: &'a C,
    rng: &'a mut R,
    facts: &'a Facts,
    authorization: &'a Authorization,
) -> Means<'a, C, R> {
    Means {
        crypto,
        rng,
        facts,
        grant: authorization.grant(facts),
        renews: authorization.renews(),
        agreement: authorization.agreement(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
