//! The end of a ceremony that is given up: the authenticator is told, and its answer is awaited.
//!
//! ```text
//! Cancel, or the time is up ──▶ CancelDevice ──▶ its answer ──▶ farewell ──▶ its answer ──▶ the error
//! ```

use core::time::Duration;

use rand_core::CryptoRng;

use super::{Action, Course, State};
use crate::{
    Instant,
    client::{Cause, Input, Stage, session::Memory},
    crypto::Crypto,
};

/// How long the answer to a cancellation is waited for. A slow key finishes its computation first.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

impl<C: Crypto, R: CryptoRng, S: Memory> Course<'_, '_, C, R, S> {
    /// Ends the ceremony with `cause`, at once or after the authenticator has given up.
    pub(super) fn give_up(&mut self, now: Instant, cause: Cause) -> Result<Action, Cause> {
        if !matches!(self.state, State::Authenticator { .. }) {
            return self.take_leave(now, cause);
        }
        self.state = State::GivenUp(cause, now.plus(DRAIN_LIMIT));
        Ok(Action::CancelDevice)
    }

    /// Waits for the answer to the cancelled request, whatever it is: until then the channel is not free.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        input: Input<'_>,
        cause: Cause,
        until: Instant,
    ) -> Result<Action, Cause> {
        match input {
            Input::TransportFailed => Err(cause),
            _ if now >= until => Err(cause),
            Input::Response(_) | Input::Unreadable => self.take_leave(now, cause),
            Input::Time | Input::KeepAlive(_) | Input::Cancel => Ok(Action::Wait),
            _ => Err(Cause::WrongState),
        }
    }

    /// Tells the authenticator what it has to know, or ends with `cause`.
    fn take_leave(&mut self, now: Instant, cause: Cause) -> Result<Action, Cause> {
        let (operation, mut means) = self.lend();
        match operation.farewell(&mut means) {
            Some(len) if self.stage == Stage::Command => {
                self.state = State::GivenUp(cause, now.plus(DRAIN_LIMIT));
                Ok(Action::Send(len))
            }
            _ => Err(cause),
        }
    }
}
