//! Time as an input: the caller passes the current time to every state machine, so none of them reads a clock.

use core::time::Duration;

/// A point on the caller's monotonic clock, in milliseconds since any fixed moment.
///
/// ```
/// use core::time::Duration;
/// use keyfob_core::Instant;
///
/// let begin = Instant::from_millis(1_000);
/// let deadline = begin.plus(Duration::from_secs(30));
/// assert_eq!(deadline.since(begin), Duration::from_secs(30));
/// assert_eq!(begin.since(deadline), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
        self.plus_millis(after.as_secs().saturating_mul(1000).saturating_add(after.subsec_millis() as u64))
    }

    /// The instant `millis` milliseconds later; stops at the end of the clock.
    #[cfg_attr(feature = "small", inline(never))]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The time from `earlier` to this instant, at most 2³² − 1 milliseconds (49 days). Zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        // In 32 bits: to divide 64 takes half a kilobyte of code on small processors.
        let millis = if millis > u32::MAX as u64 { u32::MAX } else { millis as u32 };
        Duration::new((millis / 1000) as u64, (millis % 1000).wrapping_mul(1_000_000))
    }
}

/// embassy-time's clock. Pass [`Instant::now`] to ceremonies and transports as their clock.
#[cfg(feature = "embassy-time")]
mod embassy {
    use super::Instant;

    impl Instant {
        /// The current time of embassy-time's driver.
        pub fn now() -> Self {
            embassy_time::Instant::now().into()
        }
    }

    impl From<embassy_time::Instant> for Instant {
        fn from(instant: embassy_time::Instant) -> Self {
            Self::from_millis(instant.as_millis())
        }
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
        assert_eq!(end.plus_millis(1), end);
    }

    #[test]
    fn the_time_between_two_instants_stops_at_49_days() {
        let start = Instant::from_millis(5);
        for millis in [0, 1, 999, 1000, 1001, 61_234, u32::MAX.into()] {
            assert_eq!(start.plus_millis(millis).since(start), Duration::from_millis(millis));
        }
        assert_eq!(Instant::from_millis(u64::MAX).since(start), Duration::from_millis(u32::MAX.into()));
    }
}
