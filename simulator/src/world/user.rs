//! The user, and the sensor that takes their finger.

use keyfob_core::{Instant, ctap2::bio_enrollment::SampleStatus};
use keyfob_soft_authenticator::engine::{TemplateId, Wait};

use super::World;
use crate::{Mutation, tap::Backend};

/// How the user acts when the authenticator waits for a touch. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedAction {
    /// Touches after this long.
    Touches(u64),
    /// Declines after this long.
    Declines(u64),
    /// Is not there.
    Away,
}

/// A fingerprint sensor with its templates, including those that the authenticator does not know.
#[derive(Default)]
pub struct Sensor {
    /// The templates that are complete.
    pub templates: Vec<TemplateId>,
    /// The template that is being enrolled, and how many good samples it still needs.
    pub(super) unfinished: Option<(TemplateId, u8)>,
}

/// How many of 100 samples are poor.
const POOR_SAMPLES: u64 = 20;

impl<C: Backend> World<'_, C> {
    /// Sets how the user acts from now on, also for an authenticator that is already waiting.
    pub fn resolve(&mut self, action: TimedAction) {
        (self.user, self.touch_due) = (action, None);
    }

    /// Whether something waits for the user's finger: a command, or a U2F client that will ask again.
    pub(super) fn asks_user(&self) -> bool {
        match self.device.waits_for() {
            Some(Wait::Processing) => false,
            Some(_) => true,
            None => self.device.u2f_awaits_touch(self.instant()),
        }
    }

    /// Lets the user do what is due. Returns whether anything was.
    pub(super) fn user_turn(&mut self, now: Instant) -> bool {
        let due = *self.touch_due.get_or_insert(match self.user {
            TimedAction::Touches(after) => (self.now + after, true),
            TimedAction::Declines(after) => (self.now + after, false),
            TimedAction::Away => (u64::MAX, false),
        });
        let wait = self.device.waits_for();
        if self.mutation == Some(Mutation::TouchesItself) && matches!(wait, None | Some(Wait::Touch)) {
            self.device.touch(now, true);
            return true;
        }
        if due.0 <= self.now {
            if due.1 {
                self.consented = Some(self.now);
            }
            self.note(|| if due.1 { "user touches".into() } else { "user declines".into() });
            self.touch_due = None;
            match wait {
                Some(Wait::UserVerification) if due.1 => self.verify(now),
                Some(Wait::Sample) if due.1 => self.sample(now),
                _ => self.device.touch(now, due.1),
            }
            return true;
        }
        self.device.tick(now);
        self.device.waits_for() != wait
    }

    /// The sensor checks whether the finger is an enrolled one.
    fn verify(&mut self, now: Instant) {
        let matched = self.device.engine().fingerprints().iter().any(|id| self.sensor.templates.contains(id));
        if matched {
            self.verified = Some(self.now);
        }
        self.device.verify(now, matched);
    }

    /// The sensor takes a sample, good or bad.
    fn sample(&mut self, now: Instant) {
        let Some(id) = self.device.engine().enrolls() else { return };
        let unfinished = self.sensor.unfinished.filter(|(other, _)| *other == id);
        let (_, mut left) = unfinished.unwrap_or((id, self.config.user_verification.samples));
        let mut status = SampleStatus::POOR_QUALITY;
        if !self.dice.percent(POOR_SAMPLES) {
            status = SampleStatus::GOOD;
            left -= 1;
        }
        self.sensor.unfinished = Some((id, left)).filter(|_| left > 0);
        if left == 0 {
            self.sensor.templates.push(id);
        }
        self.device.sample(now, status, left);
    }
}
