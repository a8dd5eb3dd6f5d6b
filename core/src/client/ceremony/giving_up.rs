//! The end of a ceremony that is given up: the authenticator is told, and its answer is awaited.
//!
//! ```text
//! Cancel, or the time is up ──▶ CancelDevice ──▶ its answer ──▶ farewell ──▶ its answer ──▶ the error
//! ```

use core::time::Duration;

use rand_core::CryptoRng;

use super::{Ceremony, Next, means};
use crate::{
    Instant,
    client::{Cause, Input, Stage, operation::Operation, session::Memory},
    crypto::Crypto,
};

/// How long the answer to a cancellation is waited for. A slow key finishes its computation first.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

impl<'b, O: Operation + 'b, C: Crypto, R: CryptoRng, S: Memory> Ceremony<'b, O, C, R, S> {
    /// Ends the ceremony with `cause`, at once or after the authenticator has given up.
    pub(super) fn give_up(&mut self, now: Instant, cause: Cause) -> Result<Next, Cause> {
        if !self.under_way {
            return self.take_leave(now, cause);
        }
        self.cancelled = Some((cause, now.plus(DRAIN_LIMIT)));
        Ok(Next::CancelDevice)
    }

    /// Waits for the answer to the cancelled request, whatever it is: until then the channel is not free.
    pub(super) fn drain(&mut self, now: Instant, input: Input<'_>) -> Result<Next, Cause> {
        match (self.cancelled, input) {
            (Some((cause, _)), Input::TransportFailed) => Err(cause),
            (Some((cause, limit)), _) if now >= limit => Err(cause),
            (Some((cause, _)), Input::Response(_) | Input::Unreadable) => self.take_leave(now, cause),
            (_, Input::Time | Input::KeepAlive(_) | Input::Cancel) => Ok(Next::Wait),
            _ => Err(Cause::WrongState),
        }
    }

    /// Tells the authenticator what it has to know, or ends with `cause`.
    fn take_leave(&mut self, now: Instant, cause: Cause) -> Result<Next, Cause> {
        let (_, buffer) = self.buffer.split_at_mut_checked(self.kept).unwrap_or_default();
        let mut means = means(&self.crypto, &mut self.rng, &self.facts, &self.authorization);
        match self.operation.farewell(&mut means, buffer) {
            Some(len) if self.stage == Stage::Command => {
                self.cancelled = Some((cause, now.plus(DRAIN_LIMIT)));
                Ok(Next::Send(len))
            }
            _ => Err(cause),
        }
    }
}
