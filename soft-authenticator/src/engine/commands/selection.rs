//! authenticatorSelection (CTAP 2.3 §6.9).

use keyfob_core::Failure;

use crate::caps::Caps;
use crate::engine::{
    call::{Call, Next, Outcome, Trigger, ok},
    platform::Platform,
};

pub fn step<P: Platform>(call: &mut Call<'_, '_, P>, cause: Trigger) -> Outcome {
    match cause {
        _ if !call.authenticator.has(Caps::SELECTION) => Err(Failure::INVALID_COMMAND),
        Trigger::Begin => Ok(Next::Touch),
        Trigger::Present(present) if present.holds() => ok(call.message),
        Trigger::Present(_) | Trigger::Verified(_) | Trigger::Sample(..) | Trigger::Work => Err(Failure::OTHER),
    }
}
