//! authenticatorReset (CTAP 2.3 §6.6).

use keyfob_core::{Instant, Status};
use rand_core::Rng;
use zeroize::Zeroize;

use super::{Engine, Next, Outcome, Platform, RESET_WINDOW, authenticator::store_status};
use crate::store::{Change, Setting, Store};

impl<P: Platform> Engine<'_, P> {
    pub(super) fn reset(&mut self, now: Instant) -> Outcome {
        if now.since(self.authenticator.powered_up) >= RESET_WINDOW {
            return Err(Status::NOT_ALLOWED);
        }
        Ok(Next::Touch)
    }

    pub(super) fn reset_continue(&mut self, now: Instant, _touched: bool) -> Outcome {
        let authenticator = &mut self.authenticator;
        // A new seed makes every wrapped credential worthless; it is there in the same instant as the rest is gone.
        let mut seed = [0; 32];
        authenticator.rng.fill_bytes(&mut seed);
        let committed = authenticator.store.commit(&[Change::Erase, Change::Set(Setting::Seed, &seed)]);
        seed.zeroize();
        committed.map_err(store_status)?;
        let powered_up = authenticator.powered_up;
        authenticator.power_up(now).map_err(|_| Status::OTHER)?;
        authenticator.powered_up = powered_up;
        self.ok()
    }
}
