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
        let millis = after.as_millis();
        let millis = if millis > u64::MAX as u128 { u64::MAX } else { millis as u64 };
        Self(self.0.saturating_add(millis))
    }

    /// Time from `earlier` to here, zero when `earlier` lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stops_at_its_end_however_long_the_wait() {
        let end = Instant::from_millis(u64::MAX);
        for wait in [Duration::MAX, Duration::from_secs(1 << 61), Duration::from_millis(u64::MAX)] {
            assert_eq!(Instant::from_millis(5).plus(wait), end, "{wait:?}");
        }
        assert_eq!(Instant::from_millis(5).plus(Duration::from_millis(7)), Instant::from_millis(12));
        assert_eq!(Instant::from_millis(5).since(end), Duration::ZERO);
    }
}
