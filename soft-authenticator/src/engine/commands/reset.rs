//! authenticatorReset (CTAP 2.3 §6.6).

use keyfob_core::Failure;

use crate::engine::{
    authenticator::{Authenticator, crypto_status},
    call::{Call, Next, Outcome, Trigger, ok},
    persistent::Fresh,
    platform::{Platform, RESET_WINDOW},
    state::{Kept, PinState, StoredOptions},
    wrapping::CredentialKeys,
};
use crate::store::Change;

#[inline(never)]
pub fn step<P: Platform>(call: &mut Call<'_, '_, P>, cause: Trigger) -> Outcome {
    let authenticator = &mut *call.authenticator;
    match cause {
        Trigger::Begin => {
            if call.now.since(authenticator.powered_up) >= RESET_WINDOW {
                return Err(Failure::NOT_ALLOWED);
            }
            let (allowed, transport) = (authenticator.config.transports_for_reset, authenticator.transport);
            if !allowed.is_none_or(|allowed| transport.is_some_and(|transport| allowed.contains(&transport))) {
                return Err(Failure::OPERATION_DENIED);
            }
            let long = authenticator.options.long_touch_for_reset;
            Ok(if long { Next::LongTouch } else { Next::Touch })
        }
        Trigger::Present(present) if present.holds() => {
            authenticator.reset()?;
            ok(call.message)
        }
        Trigger::Present(_) | Trigger::Verified(_) | Trigger::Sample(..) | Trigger::Work => Err(Failure::OTHER),
    }
}

impl<P: Platform> Authenticator<'_, P> {
    fn reset(&mut self) -> Result<(), Failure> {
        // A new seed makes every wrapped credential useless. It is set in the commit that erases the rest.
        let fresh = Fresh::new(&mut self.rng).map_err(crypto_status)?;
        let [seed, token, identifier, store_state] = fresh.changes();
        let changes = [Change::Erase, seed, token, identifier, store_state].map(Some);
        // Tokens go first: a commit that fails may have been made.
        self.forget();
        self.commit_or_reload(&changes)?;
        // Nothing is read back: a store that fails now must not leave the old state in memory.
        self.credential_keys = CredentialKeys::derive(&self.crypto, &*fresh.seed);
        self.pin = PinState { is_set: false, retries: self.config.max_pin_retries, mismatches: 0 };
        self.uv_retries = self.config.user_verification.max_retries;
        self.fingerprints.clear();
        self.sign_counts = None;
        self.superseded = Kept::default();
        self.options = StoredOptions::new(&self.config);
        Ok(())
    }
}
