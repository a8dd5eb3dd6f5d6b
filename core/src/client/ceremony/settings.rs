//! How a ceremony is made, and what can be chosen before it begins.

use core::time::Duration;

use super::{Ceremony, State, Yielded};
use crate::{
    Instant,
    client::{Stage, authorization::Authorization, facts::Facts, operation::Operation, session::Session},
};

impl<'b, O: Operation, C, R> Ceremony<'b, O, C, R> {
    /// A ceremony that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes; with the
    /// authenticator's maxMsgSize every legal answer fits. What the ceremony yields lies in it.
    pub fn new(operation: O, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with_memory(operation, (), buffer, crypto, rng)
    }

    /// The same in a session: it uses what earlier operations have obtained. A registration or a sign-in asks the user
    /// in any case. To be called before the first step: a ceremony that was under way, or has failed, begins anew.
    #[must_use]
    pub fn in_session(self, session: &mut Session) -> Ceremony<'b, O, C, R, &mut Session> {
        let Self { operation, buffer, crypto, rng, facts, authorization, strict, ctap2_only, timeout, .. } = self;
        let fresh = Ceremony::with_memory(operation, session, buffer, crypto, rng);
        Ceremony { facts, authorization, strict, ctap2_only, timeout, ..fresh }
    }
}

impl<'b, O, C, R, S> Ceremony<'b, O, C, R, S> {
    fn with_memory(operation: O, memory: S, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self {
            memory,
            buffer,
            kept: 0,
            crypto,
            rng,
            facts: Facts::default(),
            authorization: Authorization::new(),
            stage: Stage::Options,
            state: State::Caller,
            yielded: Yielded::Nothing,
            shown: None,
            strict: false,
            ctap2_only: false,
            timeout: None,
            deadline: Instant::from_millis(u64::MAX),
            operation,
        }
    }

    /// The same ceremony with another limit on its time, the user's typing included.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout: Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)), ..self }
    }

    /// The same without tolerance: a response that is not in the canonical form of CTAP2 is an error, as the standard
    /// says. Some authenticators do not keep to it.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// The same without authenticators of version 1 (U2F).
    #[must_use]
    pub fn ctap2_only(self) -> Self {
        Self { ctap2_only: true, ..self }
    }

    /// The same for a user who may give at most this many PINs, the first included. A PIN that is wrong, too short or
    /// too long counts. The same wrong PIN is sent to the authenticator only once. Default:
    /// [`DEFAULT_PIN_ATTEMPTS`](crate::client::DEFAULT_PIN_ATTEMPTS).
    #[must_use]
    pub fn pin_attempts(mut self, attempts: u8) -> Self {
        self.authorization.pin_attempts = attempts;
        self
    }

    /// The same with an authenticator that, as the transport knows, speaks version 1 (U2F) only. Without this the
    /// ceremony finds it out: such an authenticator does not know authenticatorGetInfo.
    #[must_use]
    pub fn over_ctap1(self) -> Self {
        Self { facts: Facts { ctap1: true, ..self.facts }, ..self }
    }
}
