//! authenticatorReset (CTAP 2.3 §6.6).

use keyfob_core::{Instant, Status};
use rand_core::Rng;
use zeroize::Zeroizing;

use super::{
    Engine, Next, Outcome, Platform, RESET_WINDOW,
    authenticator::{Options, PinState, store_status},
    credential::CredentialKeys,
};
use crate::store::{Change, Setting, Store};

impl<P: Platform> Engine<'_, P> {
    pub(super) fn reset(&mut self, now: Instant) -> Outcome {
        if now.since(self.authenticator.powered_up) >= RESET_WINDOW {
            return Err(Status::NOT_ALLOWED);
        }
        Ok(Next::Touch)
    }

    pub(super) fn reset_continue(&mut self) -> Outcome {
        let authenticator = &mut self.authenticator;
        // A new seed makes every wrapped credential worthless; it is there in the same instant as the rest is gone.
        let mut seed = Zeroizing::new([0; 32]);
        authenticator.rng.fill_bytes(&mut *seed);
        authenticator.store.commit(&[Change::Erase, Change::Set(Setting::Seed, &*seed)]).map_err(store_status)?;
        // Nothing is read back: a store that fails now must not leave the old state in memory.
        authenticator.credential_keys = CredentialKeys::derive(&authenticator.crypto, &*seed);
        authenticator.pin = PinState { is_set: false, retries: authenticator.config.max_pin_retries, mismatches: 0 };
        authenticator.options = Options::new(&authenticator.config);
        authenticator.forget();
        self.ok()
    }
}
