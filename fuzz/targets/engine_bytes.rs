//! The engine with arbitrary CTAP2 and U2F requests, events, times and power cycles: it always answers and recovers,
//! and a failed request changes nothing.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Instant, Status,
    ctap1::StatusWord,
    ctap2::{Command, bio_enrollment::SampleStatus},
};
use keyfob_fuzz::{
    Input,
    key::{StubBench, plug_in, store},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{AttestationMode, Config, Engine, Event, Progress, Wait},
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
        config.attestation = AttestationMode::None;
    }
    let mut buffer = vec![0; config.buffer_len()];
    let mut now = Instant::from_millis(5000);
    let mut engine = plug_in(&mut buffer, config, &store(), now).expect("a configuration that works");
    let (mut waits_for, mut form) = (None, Form::Ctap2);

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
                waits_for = None;
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
            12 | 13 => {
                let request = input.slice();
                (waits_for, form) = (begin(&mut engine, now, request), Form::Ctap2);
                continue;
            }
            14 => {
                let request = input.slice();
                (waits_for, form) = (begin_u2f(&mut engine, now, request), Form::U2f);
                continue;
            }
            _ => {
                engine.touch_for_u2f(now, input.byte() != 0);
                continue;
            }
        };
        if waits_for.is_none() {
            engine.store().0.changed.set(false);
            form = Form::Ctap2;
        }
        let progress = engine.resume(now, event);
        // A cancellation may come between the commit and the response.
        let changed = &engine.store().0.changed;
        changed.set(changed.get() && event != Event::Cancel);
        waits_for = check(&mut engine, progress, form);
    }

    // A pending request ends, and then the engine accepts the next one.
    let mut polls = 0;
    while let Some(wait) = waits_for {
        let event = match wait {
            Wait::Touch | Wait::LongTouch => Event::LongTouched,
            Wait::UserVerification => Event::Verified(true),
            Wait::Sample => Event::Sample { status: SampleStatus::GOOD, remaining: 0 },
            _ => Event::Tick,
        };
        let progress = engine.resume(now, event);
        waits_for = check(&mut engine, progress, form);
        polls += 1;
        assert!(polls < 10, "a command without an end");
    }
    assert_eq!(begin(&mut engine, now, &[Command::GET_INFO.0]), None);
    assert_eq!(engine.buffer()[0], Status::OK.0);
});

/// The form of a response.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// A status, and a body if that is OK.
    Ctap2,
    /// A body on success, and a status word.
    U2f,
}

fn begin(engine: &mut Engine<'_, StubBench>, now: Instant, request: &[u8]) -> Option<Wait> {
    put(engine, request);
    let progress = engine.begin(now, request.len());
    check(engine, progress, Form::Ctap2)
}

fn begin_u2f(engine: &mut Engine<'_, StubBench>, now: Instant, request: &[u8]) -> Option<Wait> {
    put(engine, request);
    let progress = engine.begin_u2f(now, request.len());
    check(engine, progress, Form::U2f)
}

fn put(engine: &mut Engine<'_, StubBench>, request: &[u8]) {
    for (to, from) in engine.buffer().iter_mut().zip(request) {
        *to = *from;
    }
    engine.store().0.changed.set(false);
}

/// Checks the response if there is one. Otherwise returns what the command waits for.
fn check(engine: &mut Engine<'_, StubBench>, progress: Progress, form: Form) -> Option<Wait> {
    match progress {
        Progress::Reply(len) => {
            assert!(!engine.is_pending() && engine.deadline().is_none());
            assert!((1..=MAX_MSG_SIZE).contains(&len));
            let response = &engine.buffer()[..len];
            let (ok, body) = match form {
                Form::Ctap2 => {
                    let status = Status(response[0]);
                    assert!(status.name().is_some(), "{status:?}");
                    (status.is_ok(), len > 1)
                }
                Form::U2f => (response.ends_with(&StatusWord::NO_ERROR.0.to_be_bytes()), len > 2),
            };
            if !ok {
                assert!(!body, "an error with a body");
                assert!(!engine.store().0.changed.get(), "an error, but the store was changed");
            }
            None
        }
        Progress::Pending(wait) => {
            assert!(engine.is_pending());
            assert!(form == Form::Ctap2 || wait == Wait::Processing, "U2F waits for nothing");
            assert_eq!(engine.deadline().is_some(), wait != Wait::Processing);
            Some(wait)
        }
    }
}
