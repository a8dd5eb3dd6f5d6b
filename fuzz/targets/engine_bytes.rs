//! The engine under arbitrary requests, events, times and power cycles: it answers, it recovers, and a request that fails
//! has changed nothing.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Instant, Status,
    ctap2::{Command, bio_enrollment::SampleStatus},
};
use keyfob_fuzz::{
    Input,
    key::{Bench, plug_in},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Attestation, Config, Engine, Event, Progress, Wait},
};
use libfuzzer_sys::fuzz_target;

const MAX_MSG_SIZE: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let flags = input.byte();
    let mut config = Config { max_msg_size: MAX_MSG_SIZE, ..Config::new([0xAA; 16]) };
    if flags & 1 != 0 {
        let pin = Caps::CLIENT_PIN.with(Caps::PROTOCOL_ONE).with(Caps::PROTOCOL_TWO).with(Caps::TOKEN_PERMISSIONS);
        config.caps = config.caps.without(pin).consistent();
    }
    if flags & 2 != 0 {
        config.caps = config.caps.without(Caps::DISCOVERABLE).without(Caps::EDDSA).without(Caps::SELECTION);
        config.caps = config.caps.consistent();
    }
    config.caps = config.caps.consistent();
    if flags & 4 != 0 {
        config.attestation = Attestation::None;
    }
    let mut buffer = vec![0; config.buffer_len()];
    let mut now = Instant::from_millis(5000);
    let mut engine = plug_in(&mut buffer, config, now);
    let mut waits_for = None;

    while !input.is_empty() {
        // The longest time that matters is 30 s, or ten minutes for a token.
        now = now.plus(Duration::from_millis(match input.byte() {
            short @ 0..128 => short.into(),
            long => u64::from(long - 128) * 250,
        }));
        let event = match input.byte() % 16 {
            0 => Event::Denied,
            1 => Event::Cancel,
            2..=4 => Event::Tick,
            5..=7 => Event::Touched,
            8 => {
                engine.power_cycle(now).expect("the store works");
                waits_for = None;
                continue;
            }
            9 => {
                engine.channel_changed();
                continue;
            }
            10 => {
                assert!(!engine.tidy());
                continue;
            }
            11 => {
                engine.abort();
                waits_for = None;
                continue;
            }
            _ => {
                let request = input.slice();
                waits_for = begin(&mut engine, now, request);
                continue;
            }
        };
        engine.store().changed &= waits_for.is_some();
        let progress = engine.resume(now, event);
        // A cancellation may come between the commit and the response.
        engine.store().changed &= event != Event::Cancel;
        waits_for = check(&mut engine, progress);
    }

    // Whatever is pending comes to its end, and the engine is there for the next request.
    let mut polls = 0;
    while let Some(wait) = waits_for {
        let event = match wait {
            Wait::Touch | Wait::LongTouch => Event::LongTouched,
            Wait::UserVerification => Event::Verified(true),
            Wait::Sample => Event::Sample { status: SampleStatus::GOOD, remaining: 0 },
            Wait::Processing => Event::Tick,
        };
        let progress = engine.resume(now, event);
        waits_for = check(&mut engine, progress);
        polls += 1;
        assert!(polls < 10, "a command without an end");
    }
    assert_eq!(begin(&mut engine, now, &[Command::GET_INFO.0]), None);
    assert_eq!(engine.buffer()[0], Status::OK.0);
});

fn begin(engine: &mut Engine<'_, Bench>, now: Instant, request: &[u8]) -> Option<Wait> {
    for (to, from) in engine.buffer().iter_mut().zip(request) {
        *to = *from;
    }
    engine.store().changed = false;
    let progress = engine.begin(now, request.len());
    check(engine, progress)
}

/// What the command waits for, after a look at its response if there is one.
fn check(engine: &mut Engine<'_, Bench>, progress: Progress) -> Option<Wait> {
    match progress {
        Progress::Reply(len) => {
            assert!(!engine.is_pending() && engine.deadline().is_none());
            assert!((1..=MAX_MSG_SIZE).contains(&len));
            let status = Status(engine.buffer()[0]);
            assert!(status.name().is_some(), "{status:?}");
            if !status.is_ok() {
                assert_eq!(len, 1, "an error with a body");
                assert!(!engine.store().changed, "{status:?}, but the store was changed");
            }
            None
        }
        Progress::Pending(wait) => {
            assert!(engine.is_pending());
            assert_eq!(engine.deadline().is_some(), wait != Wait::Processing);
            Some(wait)
        }
    }
}
