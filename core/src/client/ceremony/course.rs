//! What a ceremony does, from the beginning to the outcome, in the order in which it happens.
//!
//! ```text
//! start ──▶ getInfo, or what a session remembers of it ──▶ examined ──▶ authorize ──▶ granted ──▶ command ──▶ accept ──▶ done
//!              └──▶ unknown ──▶ version 1? ──▶ examined      │ ▲  PIN, UV, token          ▲ next request   │ item
//!                                                            └─┘ refused ◀─────────────────┴────────────────┘
//! ```

use core::time::Duration;

use rand_core::CryptoRng;

use super::{Action, Course, MIN_BUFFER, Showing, State, Yielded};
use crate::{
    Instant, Status, bytes,
    cbor::{self, Raw, decode_tolerant},
    client::{
        Cause, Input, Stage,
        authorization::{Authorization, Context, refuses_token},
        facts::Facts,
        operation::{Accepted, First, Forgets, Room},
        session::Memory,
    },
    crypto::Crypto,
    ctap1,
    ctap2::{Command, ResponseError, encode_command, get_info, response_body},
    transport::KeepAlive,
};

/// How long an authenticator of version 1 that waits for a touch is left alone before it is asked again.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// What an authenticator of version 1 would answer to getInfo: {1: ["U2F_V2"], 3: 16 zero bytes}.
const CTAP1_INFO: &[u8; 29] = b"\0\xA2\x01\x81\x66U2F_V2\x03\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

impl<C: Crypto, R: CryptoRng, S: Memory> Course<'_, '_, C, R, S> {
    pub(super) fn start(&mut self, now: Instant) -> Result<Action, Cause> {
        if self.stage != Stage::Options {
            return Err(Cause::WrongState);
        }
        if self.buffer.len() < MIN_BUFFER {
            return Err(Cause::BufferTooSmall { needed: MIN_BUFFER });
        }
        let timeout = self.operation.check()?;
        self.deadline = self.timeout.map_or(now.plus(timeout), |millis| now.plus_millis(millis));
        self.stage = Stage::GetInfo;
        if self.facts.ctap1 {
            return self.ask_version();
        }
        let purpose = self.operation.purpose();
        match self.memory.session().and_then(|session| session.recall_info(&purpose, self.buffer)) {
            Some(len) => self.examine(len),
            None => Ok(Action::Send(encode_command(Command::GET_INFO, self.buffer)?)),
        }
    }

    /// The session's token was refused. It may have ended, or the authenticator is another: it is asked what it is
    /// before it is sent the PIN.
    fn begin_anew(&mut self) -> Result<Action, Cause> {
        if let Some(session) = self.memory.session() {
            session.forget_token();
        }
        self.authorization.begin_anew();
        (self.stage, self.kept) = (Stage::GetInfo, 0);
        Ok(Action::Send(encode_command(Command::GET_INFO, self.buffer)?))
    }

    fn ask_version(&mut self) -> Result<Action, Cause> {
        self.facts.ctap1 = true;
        Ok(Action::Send(ctap1::Request::Version.encode(self.buffer)?))
    }

    /// Takes the answer to the request under way, `len` bytes.
    pub(super) fn response(&mut self, now: Instant, len: usize, touched: bool) -> Result<Action, Cause> {
        self.state = State::Caller;
        let ctap1 = self.facts.ctap1;
        if !ctap1 {
            self.shown = None;
        }
        let end = self.kept.saturating_add(len);
        let Some(response) = self.buffer.get(self.kept..end) else {
            return self.no_more(Cause::BufferTooSmall { needed: end });
        };
        if let Ok(body @ [_, ..]) = response_body(response)
            && self.strict
            && !ctap1
        {
            cbor::decode::<Raw<'_>>(body)?;
        }
        match self.stage {
            Stage::GetInfo if ctap1 => self.examine_ctap1(len),
            Stage::GetInfo => {
                if let Some(session) = self.memory.session() {
                    session.keep_info(response);
                }
                self.examine(len)
            }
            Stage::Authorization => {
                let (authorization, mut cx) = self.authorization();
                let next = authorization.response(&mut cx, len)?;
                self.authorized(next)
            }
            Stage::Command => self.accept(now, len, touched),
            Stage::Options | Stage::Done => Err(Cause::WrongState),
        }
    }

    /// Finds everything that getInfo shows to fail, before the user is asked for anything.
    fn examine(&mut self, len: usize) -> Result<Action, Cause> {
        match response_body(bytes::front(self.buffer, len)) {
            // Not an authenticator of version 2: perhaps one of version 1. An answer that is malformed is no reason to
            // take it for one.
            Err(ResponseError::Status(
                Status::INVALID_COMMAND | Status::INVALID_PARAMETER | Status::INVALID_LENGTH,
            )) if self.operation.ctap1() && !self.ctap2_only => {
                return self.ask_version();
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let first = self.learn(len)?;
        let purpose = self.operation.purpose();
        match purpose.token {
            Some(token) => self.authorization.adopt(token),
            None => {
                self.authorization.choose(self.facts.choose(&purpose)?, &self.facts, &purpose);
                if let Some(session) = self.memory.session() {
                    session.lend(&mut self.authorization, &purpose);
                }
            }
        }
        let (operation, mut means) = self.lend();
        let longest = operation.measure(&mut means)?;
        self.check_size(longest)?;
        self.examined(first, len)
    }

    /// Keeps the facts of getInfo. A function of its own, so that the decoded getInfo is off the stack before the next
    /// request is written.
    #[inline(never)]
    fn learn(&mut self, len: usize) -> Result<First, Cause> {
        let info = decode_tolerant::<get_info::Response<'_>>(response_body(bytes::front(self.buffer, len))?);
        let info = info.as_ref().map_err(|error| ResponseError::Decode(*error))?;
        if let Some(session) = self.memory.session() {
            session.meet(info.aaguid);
        }
        self.facts = Facts::of(info);
        if let Some(rp_id) = self.operation.purpose().rp_id {
            self.facts = self.facts.with_rp_id(rp_id);
        }
        self.operation.examine(info, &self.facts)
    }

    /// The same with an authenticator of version 1, which says nothing about itself.
    fn examine_ctap1(&mut self, len: usize) -> Result<Action, Cause> {
        if ctap1::response_data(bytes::front(self.buffer, len)) != Ok(ctap1::VERSION) {
            return Err(Cause::Status(Status::INVALID_COMMAND));
        }
        if !self.operation.ctap1() {
            return Err(Cause::Unsupported);
        }
        let first = self.learn_ctap1()?;
        bytes::copy_prefix(self.buffer, CTAP1_INFO);
        self.examined(first, CTAP1_INFO.len())
    }

    #[inline(never)]
    fn learn_ctap1(&mut self) -> Result<First, Cause> {
        self.facts.max_msg_size = get_info::DEFAULT_MAX_MSG_SIZE;
        self.facts.max_credential_id_length = Some(ctap1::MAX_KEY_HANDLE);
        let info = decode_tolerant(bytes::rest(CTAP1_INFO, 1));
        self.operation.examine(info.as_ref().map_err(|error| ResponseError::Decode(*error))?, &self.facts)
    }

    fn examined(&mut self, first: First, info: usize) -> Result<Action, Cause> {
        match first {
            First::Authorize => self.authorize(),
            First::Ask => {
                self.stage = Stage::Command;
                self.command()
            }
            First::Done => {
                self.kept = info;
                Ok(self.done())
            }
        }
    }

    /// The authorization, and what it works with.
    fn authorization(&mut self) -> (&mut Authorization, Context<'_, C, R>) {
        let cx = Context {
            crypto: &self.crypto,
            rng: &mut self.rng,
            facts: &self.facts,
            purpose: self.operation.purpose(),
            buffer: bytes::rest_mut(self.buffer, self.kept),
        };
        (&mut self.authorization, cx)
    }

    fn authorize(&mut self) -> Result<Action, Cause> {
        let (authorization, mut cx) = self.authorization();
        let next = authorization.begin(&mut cx)?;
        self.authorized(next)
    }

    /// Goes on after a step of the authorization, and sends the command once it is granted.
    fn authorized(&mut self, next: Action) -> Result<Action, Cause> {
        let granted = matches!(next, Action::Granted);
        if let Some(session) = self.memory.session() {
            let purpose = self.operation.purpose();
            if self.authorization.is_setting_pin() {
                session.forget(Forgets::All);
            } else if self.authorization.is_trying_pin() {
                session.forget_pin(&purpose);
            } else if granted {
                session.keep(&self.authorization, &self.facts, &purpose);
                session.forget(self.operation.forgets());
            }
        }
        if granted {
            self.stage = Stage::Command;
            return self.command();
        }
        self.stage = Stage::Authorization;
        Ok(next)
    }

    /// Takes the caller's answer to a question of the authorization.
    pub(super) fn answer(&mut self, input: Input<'_>) -> Result<Action, Cause> {
        if self.stage != Stage::Authorization {
            return Err(Cause::WrongState);
        }
        let (authorization, mut cx) = self.authorization();
        let next = match input {
            Input::Pin(pin) => authorization.pin(&mut cx, pin),
            Input::NoPin => authorization.no_pin(),
            Input::UserVerification(agreed) => authorization.user_verification(&mut cx, agreed),
            Input::Reconnected if authorization.reconnecting() => authorization.begin(&mut cx),
            _ => Err(Cause::WrongState),
        }?;
        self.authorized(next)
    }

    /// Sends the next request, or ends when there is none.
    pub(super) fn command(&mut self) -> Result<Action, Cause> {
        let (operation, mut means) = self.lend();
        let request = operation.request(&mut means);
        match request.map_err(|cause| cause.behind(self.kept)).and_then(|len| self.check_size(len)) {
            Ok(Some(len)) => Ok(Action::Send(len)),
            Ok(None) => Ok(self.done()),
            Err(cause) => self.no_more(cause),
        }
    }

    fn check_size(&self, request: Option<usize>) -> Result<Option<usize>, Cause> {
        let limit = self.facts.max_msg_size;
        match request {
            Some(needed) if needed > limit => Err(Cause::RequestTooLarge { needed, limit }),
            request => Ok(request),
        }
    }

    /// Takes an answer to the command.
    fn accept(&mut self, now: Instant, len: usize, touched: bool) -> Result<Action, Cause> {
        let (operation, mut means) = self.lend();
        let mut room = Room { bytes: core::mem::take(&mut means.buffer), len, touched };
        let progress = operation.accept(&means, &mut room);
        let end = room.len;
        let end = self.kept.saturating_add(end);
        match progress {
            Ok(Accepted::Prepared) => self.command(),
            Ok(Accepted::Authorize) => self.authorize(),
            Ok(Accepted::Again) => {
                self.state = State::Again(now.plus(POLL_INTERVAL));
                match self.shown.replace(KeepAlive::UpNeeded) {
                    Some(KeepAlive::UpNeeded) => Ok(Action::Wait),
                    _ => Ok(Action::Show(KeepAlive::UpNeeded)),
                }
            }
            Ok(progress) => self.accepted(progress, end),
            Err(Cause::Status(status))
                if self.yielded == Yielded::Nothing
                    && self.authorization.has_lent_token()
                    && (refuses_token(status) || status == Status::PUAT_REQUIRED) =>
            {
                self.begin_anew()
            }
            // Some take a token for one command only: a session has another without the user.
            Err(Cause::Status(status))
                if !self.facts.ctap1
                    && (self.yielded == Yielded::Nothing
                        || (refuses_token(status) && self.authorization.renews_by_itself())) =>
            {
                let (authorization, mut cx) = self.authorization();
                let next = authorization.refused(&mut cx, status)?;
                self.authorized(next)
            }
            Err(cause @ Cause::BufferTooSmall { .. }) => self.no_more(cause.behind(self.kept)),
            Err(cause) => Err(cause),
        }
    }

    /// Goes on after an answer to the command that is as it has to be, up to `end`.
    fn accepted(&mut self, progress: Accepted, end: usize) -> Result<Action, Cause> {
        self.authorization.accepted();
        self.yielded = self.yielded.max(if progress == Accepted::More { Yielded::Enough } else { Yielded::Part });
        if let Accepted::More | Accepted::Complete = progress {
            self.kept = end;
        }
        match progress {
            Accepted::Show { keep, last } => {
                let item = Showing { end, keep, last };
                self.state = State::Showing(item);
                Ok(Action::Item(item))
            }
            Accepted::Complete | Accepted::Enough => Ok(self.done()),
            Accepted::More | Accepted::Next => self.command(),
            Accepted::Again | Accepted::Prepared | Accepted::Authorize => Err(Cause::WrongState), // see `accept`
        }
    }

    /// Goes on after an item.
    pub(super) fn item_shown(&mut self, Showing { end, keep, last }: Showing) -> Result<Action, Cause> {
        self.state = State::Caller;
        if keep {
            self.kept = end;
        }
        if last { Ok(self.done()) } else { self.command() }
    }

    /// The authenticator could not read the request. A key handle that it cannot read is not its own, which is an
    /// answer when it was asked just that.
    pub(super) fn unreadable(&mut self, now: Instant) -> Result<Action, Cause> {
        self.state = State::Caller;
        if !self.facts.ctap1 || self.stage != Stage::Command {
            return self.transport_failed();
        }
        let buffer = bytes::rest_mut(self.buffer, self.kept);
        let len = ctap1::encode_status(&[], ctap1::StatusWord::WRONG_DATA, buffer)?;
        match self.accept(now, len, false) {
            Err(Cause::Ctap1(_)) => self.transport_failed(),
            next => next,
        }
    }
}
