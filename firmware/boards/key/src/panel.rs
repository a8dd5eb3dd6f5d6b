//! The button and the light: how the key sees its user, and how it speaks to them.

use core::time::Duration;

use keyfob_core::Instant;
use keyfob_soft_authenticator::engine::{LONG_TOUCH, Wait};

/// How often the button is asked while the key waits for it, in milliseconds.
const SAMPLE: u64 = 10;
/// How long the button must be down to count as touched, so that its bouncing does not count.
const SHORT_TOUCH: Duration = Duration::from_millis(20);
/// Half a period of the light, in milliseconds, while the key waits for a touch.
const ASKING: u64 = 250;
/// Half a period of the light, in milliseconds, while it winks.
const WINKING: u64 = 50;
/// How long it winks, in milliseconds.
const WINK: u64 = 2_000;

/// What is known of the button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Press {
    /// It was down before the key began to wait, or its press was counted: it must come up first.
    Spent,
    /// It is up.
    Up,
    /// It has been down since then.
    Since(Instant),
}

/// The button and the light.
pub struct Panel<B, L> {
    button: B,
    light: L,
    press: Press,
    touched: bool,
    winks_until: Option<Instant>,
}

impl<B: FnMut() -> bool, L: FnMut(bool)> Panel<B, L> {
    /// A panel. `button` says whether the button is down, `light` switches the light.
    pub fn new(button: B, light: L) -> Self {
        Self { button, light, press: Press::Spent, touched: false, winks_until: None }
    }

    /// Asks the button and sets the light, for what the key waits for. Returns when to do so again.
    ///
    /// The light is on while the key computes, blinks while it waits for a touch, flickers when it winks, and is off
    /// otherwise.
    pub fn step(&mut self, now: Instant, wait: Option<Wait>, u2f_awaits_touch: bool) -> Option<Instant> {
        let touch = match wait {
            Some(Wait::Touch) => Some(SHORT_TOUCH),
            Some(Wait::LongTouch) => Some(LONG_TOUCH),
            None if u2f_awaits_touch => Some(SHORT_TOUCH),
            _ => None,
        };
        match touch {
            Some(long) => self.touched = self.ask(now, long),
            None => self.press = Press::Spent,
        }
        self.winks_until = self.winks_until.filter(|until| now < *until);
        let (on, period) = match (self.winks_until, touch, wait) {
            (Some(_), ..) => (blinks(now, WINKING), Some(WINKING)),
            (_, Some(_), _) => (blinks(now, ASKING), None),
            (.., wait) => (wait == Some(Wait::Processing), None),
        };
        (self.light)(on);
        let period = if touch.is_some() { Some(SAMPLE) } else { period };
        period.map(|period| now.plus_millis(period))
    }

    /// Whether the user has touched the key as it asked for. Says so once.
    pub fn take_touch(&mut self) -> bool {
        core::mem::take(&mut self.touched)
    }

    /// Lets the light flicker, so that the user sees which key this is.
    pub fn wink(&mut self, now: Instant) {
        self.winks_until = Some(now.plus_millis(WINK));
    }

    /// Whether the button has now been down for so long, since the key waits.
    fn ask(&mut self, now: Instant, long: Duration) -> bool {
        let down = (self.button)();
        let (press, touched) = match self.press {
            _ if !down => (Press::Up, false),
            Press::Up => (Press::Since(now), false),
            Press::Since(begin) if now.since(begin) >= long => (Press::Spent, true),
            press => (press, false),
        };
        self.press = press;
        touched
    }
}

/// Whether a light that blinks is on.
const fn blinks(now: Instant, half: u64) -> bool {
    (now.as_millis() / half).is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    /// Presses the button from `from` to `to`, in milliseconds, and returns when the touch counts.
    fn touched_at(wait: Wait, from: u64, to: u64) -> Option<u64> {
        let down = Cell::new(false);
        let mut panel = Panel::new(|| down.get(), |_| {});
        (0..10_000).step_by(10).find(|now| {
            down.set((from..to).contains(now));
            panel.step(Instant::from_millis(*now), Some(wait), false);
            panel.take_touch()
        })
    }

    #[test]
    fn a_press_counts_once_it_does_not_bounce() {
        assert_eq!(touched_at(Wait::Touch, 100, 200), Some(120));
        assert_eq!(touched_at(Wait::Touch, 100, 120), None);
    }

    #[test]
    fn a_button_that_was_down_before_does_not_count() {
        assert_eq!(touched_at(Wait::Touch, 0, 9_000), None);
    }

    #[test]
    fn a_long_touch_lasts_five_seconds() {
        assert_eq!(touched_at(Wait::LongTouch, 100, 5_100), None);
        assert_eq!(touched_at(Wait::LongTouch, 100, 5_200), Some(5_100));
    }

    #[test]
    fn a_press_for_one_command_does_not_count_for_the_next() {
        let mut panel = Panel::new(|| true, |_| {});
        panel.press = Press::Since(Instant::from_millis(0));
        panel.step(Instant::from_millis(10), None, false);
        panel.step(Instant::from_millis(500), Some(Wait::Touch), false);
        assert!(!panel.take_touch());
    }

    #[test]
    fn a_wink_ends() {
        let mut panel = Panel::new(|| false, |_| {});
        panel.wink(Instant::from_millis(0));
        assert!(panel.step(Instant::from_millis(1_999), None, false).is_some());
        assert_eq!(panel.step(Instant::from_millis(2_000), None, false), None);
    }
}
