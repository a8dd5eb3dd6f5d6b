//! The beginning of a ceremony: getInfo, and everything that can be known from it to fail.
//!
//! ```text
//! getInfo, or what a session remembers of it ──▶ what it needs no authorization for, authorization
//!    └──▶ unknown ──▶ version 1? ──▶ the same
//! ```

use core::time::Duration;

use rand_core::CryptoRng;

use super::{Ceremony, MIN_BUFFER, Next};
use crate::{
    Instant, Status,
    client::{Cause, Stage, facts::Facts, operation::Operation, session::Memory},
    crypto::Crypto,
    ctap1,
    ctap2::{Command, ResponseError, decode_response, encode_command, get_info},
};

impl<'b, O: Operation + 'b, C: Crypto, R: CryptoRng, S: Memory> Ceremony<'b, O, C, R, S> {
    pub(super) fn start(&mut self, now: Instant) -> Result<Next, Cause> {
        if self.stage != Stage::Options {
            return Err(Cause::WrongState);
        }
        if self.buffer.len() < MIN_BUFFER {
            return Err(Cause::BufferTooSmall { needed: MIN_BUFFER });
        }
        self.operation.check()?;
        self.deadline = now.plus(Duration::from_millis(self.timeout));
        self.stage = Stage::GetInfo;
        if self.facts.ctap1 {
            return self.ask_version();
        }
        match self.memory.session().and_then(|session| session.recall_info(self.buffer)) {
            Some(len) => self.examine(len),
            None => Ok(Next::Send(encode_command(Command::GET_INFO, self.buffer)?)),
        }
    }

    fn ask_version(&mut self) -> Result<Next, Cause> {
        self.facts.ctap1 = true;
        Ok(Next::Send(ctap1::Request::Version.encode(self.buffer)?))
    }

    /// Everything that can be known to fail is found out here, before the user is bothered.
    pub(super) fn examine(&mut self, len: usize) -> Result<Next, Cause> {
        let info = match decode_response(self.buffer.get(..len).unwrap_or_default()) {
            // Not an authenticator of version 2: perhaps one of version 1. An answer that is malformed is no reason to
            // take it for one.
            Err(ResponseError::Status(
                Status::INVALID_COMMAND | Status::INVALID_PARAMETER | Status::INVALID_LENGTH,
            )) if O::CTAP1 && !self.ctap2_only => {
                return self.ask_version();
            }
            info => info?,
        };
        self.facts = Facts::of(&info);
        if let Some(rp_id) = self.operation.purpose().rp_id {
            self.facts = self.facts.with_rp_id(rp_id);
        }
        self.operation.examine(&info, &self.facts)?;
        if O::KEEPS_INFO {
            self.kept = len;
        }
        match self.operation.stored_token() {
            Some(token) => self.authorization.adopt(token),
            None => {
                let method = self.operation.method(&self.facts)?;
                let purpose = self.operation.purpose();
                self.authorization.choose(method, &self.facts, &purpose);
                if let Some(session) = self.memory.session() {
                    session.lend(&mut self.authorization, &purpose);
                }
            }
        }
        self.encode(true)?;
        self.set_out()
    }

    /// The same with an authenticator of version 1, which says nothing about itself.
    pub(super) fn examine_version(&mut self, len: usize) -> Result<Next, Cause> {
        if ctap1::response_data(self.buffer.get(..len).unwrap_or_default()) != Ok(ctap1::VERSION) {
            return Err(Cause::Status(Status::INVALID_COMMAND));
        }
        self.facts.max_msg_size = get_info::DEFAULT_MAX_MSG_SIZE;
        self.facts.max_credential_id_length = Some(ctap1::MAX_KEY_HANDLE);
        self.operation.examine_ctap1(&self.facts)?;
        self.set_out()
    }

    /// Begins with what needs no authorization.
    fn set_out(&mut self) -> Result<Next, Cause> {
        if self.operation.prelude(&self.facts) {
            self.stage = Stage::Command;
            return self.command();
        }
        self.authorize(|authorization, cx| authorization.begin(cx))
    }
}
