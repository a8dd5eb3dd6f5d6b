//! Built-in user verification: performBuiltInUv (CTAP 2.3 §6.5.3.1), for every command that verifies the user.
//!
//! The driver lets the user try and passes the result on; the decrement of the retries is committed before the engine
//! looks at that. Once the user is verified, the command that asked begins again with that knowledge.

use keyfob_core::{Instant, Status, ctap2::Command, pin_uv::UserVerified};

use super::{
    Engine, Next, Outcome, Platform, Progress,
    authenticator::{Authenticator, store_status},
    proof::UserPresent,
};
use crate::{
    caps::Caps,
    store::{Change, Setting, Store},
};

/// uvModality: a fingerprint (FIDO Registry of Predefined Values §3.1).
pub const FINGERPRINT: u32 = 0x02;

/// How the authenticator verifies its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserVerification {
    /// What it looks at: bits of uvModality, [`FINGERPRINT`] for example. Without [`Caps::BIO_ENROLL`] it needs no
    /// enrolment and is always set up.
    pub modality: u32,
    /// Attempts before it is blocked until the right PIN is entered: 1 to 25.
    pub max_retries: u8,
    /// Attempts that a command lets the user make by itself: 1 to 5.
    pub internal_attempts: u8,
    /// Attempts that the platform is asked to make, each with a command of its own. With more than one, getting a token
    /// lets the user try once.
    pub preferred_platform_attempts: u8,
    /// Whether a user who is verified is present too: then no touch is asked for.
    pub proves_presence: bool,
    /// The fingerprint sensor's kind, for example [`keyfob_core::ctap2::bio_enrollment::TOUCH_SENSOR`].
    pub fingerprint_kind: u64,
    /// Good samples that enrolling a finger takes, at most; at least 1.
    pub samples: u8,
}

impl UserVerification {
    /// A fingerprint sensor that is touched, with five attempts and four samples.
    pub const TOUCH_SENSOR: UserVerification = UserVerification {
        modality: FINGERPRINT,
        max_retries: 5,
        internal_attempts: 3,
        preferred_platform_attempts: 3,
        proves_presence: true,
        fingerprint_kind: keyfob_core::ctap2::bio_enrollment::TOUCH_SENSOR,
        samples: 4,
    };

    /// Whether the numbers are within their bounds.
    pub(super) fn is_valid(&self) -> bool {
        (1..=25).contains(&self.max_retries)
            && (1..=5).contains(&self.internal_attempts)
            && self.preferred_platform_attempts >= 1
            && self.samples >= 1
    }
}

/// How far the verification has come, within one command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Attempt {
    /// The user was not asked yet.
    #[default]
    Unasked,
    /// The user tries, and after that may try this often.
    Trying { more: u8 },
    /// The attempt is counted; its result was not looked at yet.
    Counted { verified: Option<UserVerified>, more: u8 },
    /// The user is verified.
    Verified(UserVerified),
}

impl Attempt {
    /// The evidence, once the user is verified.
    pub fn verified(self) -> Option<UserVerified> {
        match self {
            Self::Verified(verified) => Some(verified).filter(|verified| verified.holds()),
            _ => None,
        }
    }
}

/// Why the user is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Timeout,
    Declined,
    /// No attempt matched, or none is left.
    Unmatched,
}

impl<P: Platform> Engine<'_, P> {
    /// The user has tried: the attempt is counted before its result is looked at.
    pub(super) fn user_tried(&mut self, now: Instant, command: Command, matched: bool) -> Progress {
        let outcome = self.authenticator.count_attempt(UserVerified::by_sensor(matched));
        self.proceed(now, command, outcome)
    }

    /// Looks at the result of the attempt that was counted.
    pub(super) fn judge_attempt(
        &mut self,
        now: Instant,
        command: Command,
        verified: Option<UserVerified>,
        more: u8,
    ) -> Outcome {
        let authenticator = &mut self.authenticator;
        if let Some(verified) = verified.filter(|verified| verified.holds()) {
            authenticator.set_uv_retries(authenticator.config.user_verification.max_retries)?;
            authenticator.work.attempt = Attempt::Verified(verified);
            return self.run(now, command);
        }
        match more.checked_sub(1) {
            Some(more) if authenticator.uv_retries() > 0 => {
                authenticator.work.attempt = Attempt::Trying { more };
                Ok(Next::Verification)
            }
            _ => Err(authenticator.verification_refused(command, Refusal::Unmatched)),
        }
    }
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

    /// Asks the user to be verified, once or as often as a command may by itself.
    pub fn start_verification(&mut self, command: Command, internal_retry: bool) -> Outcome {
        if self.uv_retries() == 0 {
            return Err(self.verification_refused(command, Refusal::Unmatched));
        }
        let attempts = if internal_retry { self.config.user_verification.internal_attempts } else { 1 };
        self.work.attempt = Attempt::Trying { more: attempts.saturating_sub(1) };
        Ok(Next::Verification)
    }

    /// The evidence of presence that makes a touch needless: this command verified the user in a way that proves it, or the
    /// token that verifies the user was issued to one who was present a moment ago.
    pub fn presence(&self, user_verified: Option<UserVerified>) -> Option<UserPresent> {
        let proves = self.config.user_verification.proves_presence;
        let verified = self.work.attempt.verified();
        verified
            .and_then(|verified| UserPresent::by_verification(verified, proves))
            .or_else(|| user_verified.and_then(|_| UserPresent::by_token(&self.token)))
    }

    /// The status of a command whose user is not verified.
    pub fn verification_refused(&self, command: Command, refusal: Refusal) -> Status {
        let blocked = self.uv_retries() == 0;
        match (refusal, command) {
            (Refusal::Timeout, _) => Status::USER_ACTION_TIMEOUT,
            (Refusal::Declined, _) => Status::OPERATION_DENIED,
            (Refusal::Unmatched, Command::CLIENT_PIN) if blocked => Status::UV_BLOCKED,
            (Refusal::Unmatched, Command::CLIENT_PIN) => Status::UV_INVALID,
            (Refusal::Unmatched, _) if self.pin_is_usable() && self.pin.is_set => Status::PUAT_REQUIRED,
            (Refusal::Unmatched, _) if blocked => Status::PIN_BLOCKED,
            (Refusal::Unmatched, _) => Status::OPERATION_DENIED,
        }
    }

    fn count_attempt(&mut self, verified: Option<UserVerified>) -> Outcome {
        let Attempt::Trying { more } = self.work.attempt else { return Err(Status::OTHER) };
        self.set_uv_retries(self.uv_retries.saturating_sub(1))?;
        self.work.attempt = Attempt::Counted { verified, more };
        Ok(Next::Work)
    }

    fn set_uv_retries(&mut self, retries: u8) -> Result<(), Status> {
        self.store.commit(&[Change::Set(Setting::UvRetries, &[retries])]).map_err(store_status)?;
        self.uv_retries = retries;
        Ok(())
    }
}
