//! authenticatorSelection (CTAP 2.3 §6.9).

use keyfob_core::Status;

use crate::caps::Caps;
use crate::engine::{
    call::{Call, Cause, Next, Outcome, ok},
    platform::Platform,
};

pub fn step<P: Platform>(call: &mut Call<'_, '_, P>, cause: Cause) -> Outcome {
    match cause {
        _ if !call.authenticator.has(Caps::SELECTION) => Err(Status::INVALID_COMMAND),
        Cause::Begin => Ok(Next::Touch),
        Cause::Present(present) if present.holds() => ok(call.message),
        Cause::Present(_) | Cause::Verified(_) | Cause::Sample(..) | Cause::Work => Err(Status::OTHER),
    }
}
