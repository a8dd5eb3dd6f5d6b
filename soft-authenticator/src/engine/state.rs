//! What the authenticator remembers between two commands, in small types of their own.

use keyfob_core::Instant;

use super::config::Config;

/// Wrong PINs in a row before a power cycle is needed (CTAP 2.3 §6.5.5.1).
const MAX_CONSECUTIVE_MISMATCHES: u8 = 3;

/// The PIN, as far as it is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct PinState {
    pub is_set: bool,
    pub retries: u8,
    /// Attempts in a row since power-up, each counted before it is compared.
    pub mismatches: u8,
}

impl PinState {
    /// Whether only a power cycle lets another PIN be tried.
    pub const fn needs_power_cycle(&self) -> bool {
        self.mismatches >= MAX_CONSECUTIVE_MISMATCHES
    }
}

/// What authenticatorConfig has set, as far as it is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredOptions {
    pub always_uv: bool,
    pub enterprise_attestation: bool,
    pub long_touch_for_reset: bool,
    pub force_pin_change: bool,
    pub pin_complexity: bool,
    /// The shortest PIN, in code points.
    pub min_pin_length: u8,
}

impl StoredOptions {
    /// The options of an authenticator that has been reset.
    pub const fn new(config: &Config<'_>) -> Self {
        Self {
            always_uv: false,
            enterprise_attestation: false,
            long_touch_for_reset: false,
            force_pin_change: false,
            pin_complexity: false,
            min_pin_length: config.min_pin_length,
        }
    }

    /// As they are stored, in [`Setting::Options`].
    pub fn to_bytes(self) -> [u8; 2] {
        let flags = u8::from(self.always_uv)
            | u8::from(self.enterprise_attestation) << 1
            | u8::from(self.long_touch_for_reset) << 2
            | u8::from(self.force_pin_change) << 3
            | u8::from(self.pin_complexity) << 4;
        [flags, self.min_pin_length]
    }

    pub const fn from_bytes([flags, min_pin_length]: [u8; 2]) -> Self {
        Self {
            always_uv: flags & 1 != 0,
            enterprise_attestation: flags & 1 << 1 != 0,
            long_touch_for_reset: flags & 1 << 2 != 0,
            force_pin_change: flags & 1 << 3 != 0,
            pin_complexity: flags & 1 << 4 != 0,
            min_pin_length,
        }
    }
}

/// Counts that are reserved since the last power-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// The count of the last signature.
    pub used: u32,
    /// The last count that is reserved.
    pub reserved: u32,
}

/// The touch that U2F waits for between two requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum U2fTouch {
    /// No request has asked for one.
    #[default]
    Unasked,
    /// A request was refused: a touch until then counts.
    Awaited(Instant),
    /// The user touched: it counts until then.
    Kept(Instant),
}

/// A fingerprint's id.
pub type TemplateId = [u8; 2];

/// Fingerprints at a time.
pub const MAX_FINGERPRINTS: usize = 5;
/// The longest name of a fingerprint, in bytes.
pub const MAX_FRIENDLY_NAME: usize = 48;
