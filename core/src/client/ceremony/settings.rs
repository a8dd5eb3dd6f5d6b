//! How a ceremony is made, and what can be chosen before it begins.

use core::time::Duration;

use rand_core::CryptoRng;

use super::{Ceremony, millis};
use crate::{
    client::{
        facts::Facts,
        operation::Operation,
        session::{Memory, Session},
    },
    crypto::Crypto,
};

impl<'b, O: Operation + 'b, C: Crypto, R: CryptoRng> Ceremony<'b, O, C, R> {
    pub(in crate::client) fn with(operation: O, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::remembering(operation, buffer, crypto, rng, ())
    }

    /// The same in a session: it uses what earlier operations have obtained. A registration or a sign-in asks the user
    /// in any case.
    #[must_use]
    pub fn in_session(self, session: &mut Session) -> Ceremony<'b, O, C, R, &mut Session> {
        let Self { operation, buffer, crypto, rng, facts, strict, ctap2_only, timeout, authorization, .. } = self;
        let ceremony = Ceremony::remembering(operation, buffer, crypto, rng, session);
        Ceremony { facts, strict, ctap2_only, timeout, authorization, ..ceremony }
    }
}

impl<'b, O: Operation + 'b, C: Crypto, R: CryptoRng, S: Memory> Ceremony<'b, O, C, R, S> {
    /// The same ceremony with another limit on its time, the user's typing included.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout: millis(timeout), ..self }
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
