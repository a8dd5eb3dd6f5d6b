//! A virtual key that a test controls, with the feature `testing`.

use std::time::Duration;

use keyfob_core::{Instant, transport::hid::REPORT_LEN};

use crate::{
    devices::{Finger, VirtualKey},
    engine::Wait,
    testing::{Control, Orders},
};

impl VirtualKey<'_> {
    /// What controls this key, if it is controlled.
    pub(super) fn control(&self) -> Option<Control> {
        self.driver.as_ref().map(|driver| Control(driver.store().clone()))
    }

    /// Whether the test has unplugged the key.
    pub(super) fn is_out(&self) -> bool {
        self.driver.as_ref().is_some_and(|driver| !driver.is_plugged_in())
    }

    /// Whether the test has plugged the key in. Asked once for each time.
    pub(super) fn takes_plug_in(&mut self) -> bool {
        self.driver.as_mut().is_some_and(|driver| driver.takes_plug_in())
    }

    /// The key does not power up: it stays out. Returns whether a test controls it.
    pub(super) fn stays_out(&mut self) -> bool {
        self.driver.as_ref().map(|driver| driver.store().lock().unplug()).is_some()
    }

    pub(super) fn has_powered_up(&mut self) {
        if let Some(driver) = &mut self.driver {
            driver.powered_up();
        }
    }

    /// Does what the test has said, but for plugging in and out, which the hub does.
    pub(super) fn obey(&mut self) {
        let Some(driver) = &mut self.driver else { return };
        let Orders { touch, user_verified } = driver.orders();
        if let Some(touch) = touch {
            self.touch = touch;
        }
        if let Some(user_verified) = user_verified {
            self.finger = if user_verified { Finger::Matches } else { Finger::Differs };
            if let Some(port) = &mut self.port {
                driver.restore_uv_retries(port.engine());
            }
        }
    }

    pub(super) fn has_received(&mut self, report: &[u8; REPORT_LEN]) {
        if let Some(driver) = &mut self.driver {
            driver.received(report);
        }
    }

    pub(super) fn has_begun(&mut self) {
        if let Some(driver) = &mut self.driver {
            driver.begin();
        }
    }

    /// While the key does nothing, because its answer is delayed: when it goes on.
    pub(super) fn rests(&mut self, now: Instant) -> Option<Instant> {
        self.driver.as_mut()?.rests(now)
    }

    pub(super) fn keep_alive(&mut self, now: Instant) -> Option<[u8; REPORT_LEN]> {
        self.driver.as_mut()?.keep_alive(now)
    }

    pub(super) fn passes(&mut self, report: &[u8; REPORT_LEN]) -> bool {
        self.driver.as_mut().is_none_or(|driver| driver.passes(report))
    }

    pub(super) fn responds(&mut self) -> bool {
        self.driver.as_mut().is_none_or(|driver| driver.responds())
    }

    /// Whether the key waits for its user is known before anything tells of it.
    pub(super) fn note_wait(&mut self, now: Instant) {
        if let (Some(driver), Some(port)) = (&mut self.driver, &self.port)
            && (matches!(port.waits_for(), Some(Wait::UserVerification | Wait::Sample)) || port.awaits_touch(now))
        {
            driver.notes_wait();
        }
    }

    /// The user, of whom a test decides: who does not touch the key is not verified either. Returns, while the key waits
    /// for them, when to ask again.
    pub(super) fn ask_of_test(&mut self, now: Instant) -> Option<Duration> {
        let (driver, port) = (self.driver.as_mut()?, self.port.as_mut()?);
        let waits_for = port.waits_for();
        let is_for_sensor = matches!(waits_for, Some(Wait::UserVerification | Wait::Sample));
        let is_first = driver.waits(waits_for, is_for_sensor || port.awaits_touch(now))?;
        if !driver.is_plugged_in() {
            return Some(Duration::ZERO); // at this step
        }
        let waited = driver.waited();
        match driver.consents(&mut self.touch, is_first) {
            None => {}
            Some(true) if is_for_sensor => self.sense(now),
            Some(consents) => port.touch(now, consents),
        }
        Some(self.pause(waited))
    }
}
