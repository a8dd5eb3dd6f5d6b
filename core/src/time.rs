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
        let millis = after.as_secs().saturating_mul(1000).saturating_add(after.subsec_millis() as u64);
        Self(self.0.saturating_add(millis))
    }

    /// The time from `earlier` to this instant. Zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
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
    }
}
