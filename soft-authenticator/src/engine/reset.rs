//! authenticatorReset (CTAP 2.3 §6.6).

use keyfob_core::{Instant, Status};

use super::{
    Engine, Next, Outcome, Platform, RESET_WINDOW,
    authenticator::{Options, PinState, crypto_status},
    credential::CredentialKeys,
    persistent::Fresh,
    proof::UserPresent,
    superseded::Kept,
};
use crate::store::Change;

impl<P: Platform> Engine<'_, P> {
    pub(super) fn reset(&mut self, now: Instant) -> Outcome {
        if now.since(self.authenticator.powered_up) >= RESET_WINDOW {
            return Err(Status::NOT_ALLOWED);
        }
        let authenticator = &self.authenticator;
        let (allowed, transport) = (authenticator.config.transports_for_reset, authenticator.transport);
        if !allowed.is_none_or(|allowed| transport.is_some_and(|transport| allowed.contains(&transport))) {
            return Err(Status::OPERATION_DENIED);
        }
        let long = authenticator.options.long_touch_for_reset;
        Ok(if long { Next::LongTouch } else { Next::Touch })
    }

    #[inline(never)]
    pub(super) fn reset_continue(&mut self, present: Option<UserPresent>) -> Outcome {
        present.filter(|present| present.holds()).ok_or(Status::OTHER)?;
        let authenticator = &mut self.authenticator;
        // A new seed makes every wrapped credential worthless; it is there in the same instant as the rest is gone.
        let fresh = Fresh::new(&mut authenticator.rng).map_err(crypto_status)?;
        let [seed, token, identifier, store_state] = fresh.changes();
        let changes = [Change::Erase, seed, token, identifier, store_state];
        // Tokens go first: a commit that fails may have been made.
        authenticator.forget();
        authenticator.commit_or_reload(&changes)?;
        // Nothing is read back: a store that fails now must not leave the old state in memory.
        authenticator.credential_keys = CredentialKeys::derive(&authenticator.crypto, &*fresh.seed);
        authenticator.pin = PinState { is_set: false, retries: authenticator.config.max_pin_retries, mismatches: 0 };
        authenticator.uv_retries = authenticator.config.user_verification.max_retries;
        authenticator.fingerprints.clear();
        authenticator.sign_counts = None;
        authenticator.superseded = Kept::default();
        authenticator.options = Options::new(&authenticator.config);
        self.ok()
    }
}
