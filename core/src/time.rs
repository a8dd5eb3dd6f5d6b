//! Time as an input: every machine is told what time it is and never asks.

use core::time::Duration;

/// A point on the caller's monotonic clock, in milliseconds since any fixed moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant `millis` milliseconds after the clock's zero.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the clock's zero.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The instant `after` later; stops at the end of the clock.
    pub const fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(after.as_millis() as u64))
    }

    /// Time from `earlier` to here, zero when `earlier` lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
