//! How a configuration says that users are verified.

/// uvModality: a fingerprint (FIDO Registry of Predefined Values §3.1).
pub const FINGERPRINT: u32 = 0x02;

/// How the authenticator verifies its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UserVerification {
    /// What it looks at: bits of uvModality, [`FINGERPRINT`] for example. Without
    /// [`Caps::BIO_ENROLL`](crate::Caps::BIO_ENROLL) it needs no enrolment and is always set up.
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
    pub fingerprint_kind: u32,
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
    pub(super) const fn is_valid(&self) -> bool {
        matches!(self.max_retries, 1..=25)
            && matches!(self.internal_attempts, 1..=5)
            && self.preferred_platform_attempts >= 1
            && self.samples >= 1
    }
}
