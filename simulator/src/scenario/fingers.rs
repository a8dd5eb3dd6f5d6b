//! Enrols, lists and uses a finger. The list must be the stored one, and everything on it must be a template that the
//! sensor has completed.

use keyfob_core::client::{
    Ceremony,
    manage::{Enroll, ListFingerprints},
};
use keyfob_soft_authenticator::Caps;

use super::{Check, Kind, Script, manage::Needs};
use crate::tap::Backend;

impl<C: Backend> Script<'_, C> {
    /// If there is a sensor, enrols a finger under bad conditions, then checks the result without faults.
    pub(super) fn fingers(&mut self) -> Check {
        if !self.world.config.caps.has(Caps::BIO_ENROLL) {
            return Ok(());
        }
        if self.pin()?.is_none() {
            self.new_pin()?;
        }
        self.disturb();
        self.enroll()?;
        self.account()?;
        self.heal();
        self.list_fingerprints()?;
        if self.world.flash.ledger().fingerprints > 0 {
            self.register(Kind::ByFinger)?;
        }
        self.account()
    }

    fn enroll(&mut self) -> Check {
        let plan = self.plan(false)?;
        let possible = self.can(Caps::BIO_ENROLL, Needs::Pin);
        self.world.note(|| format!("enrol a finger, can be: {possible}"));
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let (crypto, rng) = (self.world.crypto(), self.world.dice.fork());
        let mut machine = Ceremony::new(Enroll::new(None), &mut buffer, crypto, rng).within(plan.0.timeout);
        let mut samples = Vec::new();
        let (done, clean) = self.operate(&mut machine, plan, possible, |sample| samples.push(sample))?;
        if !(done && clean) {
            return Ok(());
        }
        let id = machine.finish().map_err(|error| format!("done, but no outcome: {error}"))?;
        if !self.world.sensor.templates.iter().any(|template| template == id) {
            return Err("a finger is enrolled that the sensor does not know".into());
        }
        if self.world.flash.ledger().fingerprints != 1 {
            return Err("a finger was enrolled and is not stored".into());
        }
        let falls = samples.is_sorted_by(|earlier, later| earlier.remaining >= later.remaining);
        if !falls || samples.last().is_none_or(|sample| sample.remaining > 0) {
            return Err(format!("the samples of a finger: {samples:?}"));
        }
        Ok(())
    }

    fn list_fingerprints(&mut self) -> Check {
        let plan = self.plan(true)?;
        let stored = self.world.flash.ledger().fingerprints;
        let possible = stored > 0 || self.can(Caps::BIO_ENROLL, Needs::Pin);
        self.world.note(|| format!("list {stored} fingerprints, can be: {possible}"));
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let (crypto, rng) = (self.world.crypto(), self.world.dice.fork());
        let mut machine = Ceremony::new(ListFingerprints::new(), &mut buffer, crypto, rng).within(plan.0.timeout);
        if !self.operate(&mut machine, plan, possible, |_| ())?.0 {
            return Ok(());
        }
        let list = machine.finish().map_err(|error| format!("done, but no outcome: {error}"))?;
        let listed = list.iter().count();
        if listed != stored || stored > 1 {
            return Err(format!("{listed} fingerprints are listed, {stored} are stored"));
        }
        let known = |id: &[u8]| self.world.sensor.templates.iter().any(|template| template == id);
        if list.iter().any(|info| !known(info.template_id)) {
            return Err("a finger is listed that the sensor does not know".into());
        }
        Ok(())
    }
}
