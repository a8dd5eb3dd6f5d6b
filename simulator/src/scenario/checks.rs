//! The checks after every ceremony.

use keyfob_core::{
    auth_data::Flags,
    client::{Cause, Requirement},
    cose::Algorithm,
    pin_uv::PaddedPin,
    verify,
};

use super::{Check, Script};
use crate::{ceremony::Course, model::RPS, tap::Backend};

impl<C: Backend> Script<'_, C> {
    pub(super) fn succeed(&mut self, owed: bool) {
        self.summary.successes += 1;
        self.summary.owed += u64::from(owed);
        self.world.note(|| "verified".into());
    }

    /// Checks that a ceremony ended as it had to, as far as that is known. Returns whether it had to succeed.
    pub(super) fn conclude(
        &mut self,
        course: &Course,
        pin: Option<&str>,
        cooperative: bool,
        possible: bool,
    ) -> Result<bool, String> {
        self.summary.ceremonies += 1;
        self.world.note(|| format!("ceremony ends: {:?}", course.result));
        self.proofs += course.entered.iter().filter(|entered| Some(entered.as_str()) == pin).count() as u32;
        let clean = self.quiet && self.world.disturbed == 0;
        // The user was asked again after the last entry, so every entry was tried, unless the question was for the new
        // PIN.
        if clean && course.result.is_err_and(|error| error.cause == Cause::PinRequired) {
            let tried = course.entered.len().saturating_sub(usize::from(course.no_new_pin));
            self.check_attempts(&course.entered[..tried], pin)?;
        }
        let undisturbed = cooperative && clean;
        if !undisturbed {
            self.quiet = false;
            return Ok(false);
        }
        let healed = std::mem::take(&mut self.healed);
        match (&course.result, possible) {
            // An earlier request, whose end the client did not see, took the touch and was carried out.
            (Err(_), true) if healed && self.digest() != self.before => Ok(false),
            (Err(error), true) => Err(format!("an undisturbed ceremony fails: {error}")),
            (Ok(()), false) => Err("a ceremony succeeds that cannot".into()),
            _ => Ok(possible),
        }
    }

    /// Every wrong PIN of a possible length costs one attempt.
    fn check_attempts(&self, entered: &[String], pin: Option<&str>) -> Check {
        let least = usize::from(self.world.config.min_pin_length);
        let tried = entered.iter().filter(|pin| PaddedPin::new(pin, least).is_ok());
        let wrong = tried.filter(|entered| Some(entered.as_str()) != pin).count();
        let (before, after) = (self.retries_before, self.world.flash.retries());
        let cost = usize::from(before.zip(after).map_or(0, |(before, after)| before.saturating_sub(after)));
        if cost == wrong {
            Ok(())
        } else {
            Err(format!("{wrong} wrong PINs, and PIN retries are {before:?}, {after:?}"))
        }
    }

    /// The flags of a successful ceremony must be true: the user touched the key, and was verified if UV is set.
    pub(super) fn check_user(&self, begun: u64, flags: Flags, course: &Course, pin: Option<&str>) -> Check {
        if self.world.consented.is_none_or(|at| at < begun) {
            return Err("a success without the user's consent".into());
        }
        let entered = pin.is_some_and(|pin| course.entered.iter().any(|entered| entered == pin));
        let matched = self.world.verified.is_some_and(|at| at >= begun);
        if flags.has(Flags::UV) && !entered && !matched {
            return Err("the user counts as verified without the right PIN or finger".into());
        }
        Ok(())
    }

    pub(super) fn expected<'a>(
        &self,
        challenge: &'a [u8],
        rp: usize,
        user_verification: Requirement,
        algorithms: &'a [Algorithm],
    ) -> verify::Expected<'a> {
        verify::Expected {
            challenge,
            origins: &[],
            top_origins: None,
            rp_id: RPS[rp],
            user_presence: true,
            user_verification: user_verification == Requirement::Required,
            algorithms,
            allow_credentials: &[],
            user_handle: None,
            policy: verify::RelyingPartyPolicy::STANDARD,
        }
    }

    pub(super) fn requirement(&mut self) -> Requirement {
        self.world.dice.pick(&[Requirement::Discouraged, Requirement::Preferred, Requirement::Required])
    }
}
