//! Built-in user verification: performBuiltInUv (CTAP 2.3 §6.5.3.1), for every command that verifies the user.
//!
//! The driver lets the user try and passes the result on; the decrement of the retries is committed before the engine
//! looks at that. Once the user is verified, the command that asked begins again with that knowledge.

use keyfob_core::{Status, pin_uv::UserVerified};

use super::{
    authenticator::{Authenticator, store_status},
    call::{Next, Outcome},
    platform::Platform,
    proof::{Counted, UserPresent},
};
use crate::{
    caps::Caps,
    store::{Change, Setting, Store},
};

/// Why the user is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Timeout,
    Declined,
    /// No attempt matched, or none is left.
    Unmatched,
}

impl<P: Platform> Authenticator<'_, P> {
    /// Whether built-in user verification is set up.
    pub fn uv_is_configured(&self) -> bool {
        self.has(Caps::BUILT_IN_UV) && (!self.has(Caps::BIO_ENROLL) || !self.fingerprints.is_empty())
    }

    /// Attempts left. A blocked PIN blocks them too: no PIN could lift the block.
    pub fn uv_retries(&self) -> u8 {
        let pin_is_blocked = self.has(Caps::CLIENT_PIN) && self.pin.is_set && self.pin.retries == 0;
        if pin_is_blocked { 0 } else { self.uv_retries }
    }

    /// Asks the user to be verified, once or as often as a command may by itself. `for_token`: the command issues a
    /// token.
    pub fn start_verification(&mut self, for_token: bool) -> Outcome {
        if self.uv_retries() == 0 {
            return Err(self.verification_refused(for_token, Refusal::Unmatched));
        }
        let uv = &self.config.user_verification;
        let once = for_token && uv.preferred_platform_attempts > 1;
        let attempts = if once { 1 } else { uv.internal_attempts };
        Ok(Next::Verification { more: attempts.saturating_sub(1) })
    }

    /// The evidence of presence that makes a touch needless: this command verified the user in a way that proves it, or
    /// the token that verifies the user was issued to one who was present a moment ago.
    pub fn presence(
        &self,
        by_sensor: Option<UserVerified>,
        user_verified: Option<UserVerified>,
    ) -> Option<UserPresent> {
        let proves = self.config.user_verification.proves_presence;
        by_sensor
            .and_then(|verified| UserPresent::by_verification(verified, proves))
            .or_else(|| user_verified.and_then(|_| UserPresent::by_token(&self.token)))
    }

    /// The status of a command whose user is not verified.
    pub fn verification_refused(&self, for_token: bool, refusal: Refusal) -> Status {
        let blocked = self.uv_retries() == 0;
        match refusal {
            Refusal::Timeout => Status::USER_ACTION_TIMEOUT,
            Refusal::Declined => Status::OPERATION_DENIED,
            Refusal::Unmatched if for_token && blocked => Status::UV_BLOCKED,
            Refusal::Unmatched if for_token => Status::UV_INVALID,
            Refusal::Unmatched if self.pin_is_usable() && self.pin.is_set => Status::PUAT_REQUIRED,
            Refusal::Unmatched if blocked => Status::PIN_BLOCKED,
            Refusal::Unmatched => Status::OPERATION_DENIED,
        }
    }

    /// Counts an attempt, before its result is looked at.
    pub fn count_uv_attempt(&mut self) -> Result<Counted, Status> {
        self.set_uv_retries(self.uv_retries.saturating_sub(1))
    }

    /// Looks at the result of an attempt that was counted. `None` if the user may try again.
    pub fn judge_attempt(
        &mut self,
        for_token: bool,
        counted: Counted,
        verified: Option<UserVerified>,
        more: u8,
    ) -> Result<Option<UserVerified>, Status> {
        if !counted.holds() {
            return Err(Status::OTHER);
        }
        if let Some(verified) = verified.filter(|verified| verified.holds()) {
            self.set_uv_retries(self.config.user_verification.max_retries)?;
            return Ok(Some(verified));
        }
        let again = more > 0 && self.uv_retries() > 0;
        if again { Ok(None) } else { Err(self.verification_refused(for_token, Refusal::Unmatched)) }
    }

    fn set_uv_retries(&mut self, retries: u8) -> Result<Counted, Status> {
        let committed = self.store.commit(&[Change::Set(Setting::UvRetries, &[retries])]);
        let counted = Counted::by_commit(committed).map_err(store_status)?;
        self.uv_retries = retries;
        Ok(counted)
    }
}
