//! Ceremonies over a transport that garbles, loses, delays, refuses and breaks.

use proptest::prelude::*;

use super::*;
use crate::{
    ctap2::Command,
    trace::{TraceEvent, Tracer},
    transport::fault::{FaultCounts, FaultInjector, Faults},
};

/// Signs in over a disturbed transport. Returns the result, what was shown, and which faults there were.
fn disturbed(faults: Faults<'_>, seed: u64) -> (Result<usize, Cause>, Vec<String>, FaultCounts) {
    let device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let now = device.now.clone();
    let mut events = Vec::new();
    let injector = FaultInjector::new(device, faults, seed);
    let mut options = get_options();
    options.user_verification = Requirement::Required;
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, StubCrypto, rng());
    let mut user = User::with_pins([PIN, PIN, PIN]);
    let mut transport = Tracer::new(injector, |event: &TraceEvent<'_>| events.push(event.to_string()));
    // Time passes even where the injector answers in the device's place.
    let clock = || {
        now.set(now.get() + 1);
        at(now.get())
    };
    let result = run(ceremony, &mut transport, &mut user, clock).map(|selection| selection.len());
    let counts = transport.inner().counts();
    (result.map_err(|error| error.cause), events, counts)
}

#[test]
fn a_refused_command_does_not_reach_the_device() {
    let faults = Faults { refuse: 1000, statuses: &[(0x02, Status::KEY_STORE_FULL)], ..Faults::default() };
    let (result, events, counts) = disturbed(faults, 1);
    assert_eq!(result, Err(Cause::Status(Status::KEY_STORE_FULL)));
    assert_eq!(counts, FaultCounts { refused: 1, ..FaultCounts::default() });
    assert_eq!(events.last().unwrap(), "<- authenticatorGetAssertion: KEY_STORE_FULL (0x28), 1 byte");
}

#[test]
fn delayed_responses_arrive() {
    let (result, _, counts) = disturbed(Faults { delay: 1000, ..Faults::default() }, 1);
    assert_eq!(result, Ok(1));
    assert!(counts.delayed > 0);
}

#[test]
fn without_faults_the_ceremony_is_the_same() {
    let (result, events, counts) = disturbed(Faults::default(), 1);
    assert_eq!((result, counts), (Ok(1), FaultCounts::default()));
    let sent = events.iter().filter(|event| event.starts_with("-> ")).count();
    assert_eq!(sent, 5, "getInfo, three of clientPIN, getAssertion: {events:#?}");
}

proptest! {
    #[test]
    fn no_ceremony_panics_or_hangs_under_faults_and_each_replays(
        seed: u64,
        [drop, corrupt, delay, cut, truncate, refuse] in [0_u16..200, 0..200, 0..500, 0..50, 0..200, 0..200],
    ) {
        let statuses = &[(Command::CLIENT_PIN.0, Status::PIN_INVALID), (Command::GET_ASSERTION.0, Status::PUAT_REQUIRED)];
        let faults = Faults { drop, duplicate: 0, corrupt, delay, cut, truncate, refuse, statuses };
        let first = disturbed(faults, seed);
        prop_assert_eq!(disturbed(faults, seed), first);
    }
}
