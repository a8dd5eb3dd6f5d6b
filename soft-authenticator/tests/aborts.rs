//! Every command with an abort between every two of its atoms: a cancellation, INIT, another channel, a power cut.
//! Afterwards memory and store agree, and everything that counts was counted before its result could be observed.

use keyfob_core::{
    Status,
    ctap1::{Control, Request as U2fRequest},
    ctap2::{
        CommandOptions, CredentialDescriptor,
        bio_enrollment::{Params, subcommand::ENROLL_BEGIN, subcommand::ENROLL_CAPTURE_NEXT_SAMPLE},
        get_assertion,
    },
    pin_uv::{
        PinUvAuthProtocol::{One, Two},
        Token,
    },
};
use keyfob_soft_authenticator::engine::TemplateId;

use super::{
    harness::*,
    hmac_secret,
    power_sweep::{COMMANDS, Command, LOG, Prepared, Setup, State, code, plug_in, prepare, u2f, with_token},
    user_verification::{SENSOR, got_with_uv},
};

const WRONG: &str = "8765";

/// Commands that pause and change only a counter.
const MORE: [(Setup, &[Command]); 2] = [(Setup::Open, MORE_OPEN), (Setup::Protected, MORE_PROTECTED)];

const MORE_OPEN: &[Command] = &[
    ("makeCredential", |key, _| code(key.make(&registration(b"u")))),
    ("getAssertion, silent", |key, _| {
        let options = Some(CommandOptions { up: Some(false), ..Default::default() });
        code(key.get(&get_assertion::Request { options, ..assertion() }))
    }),
    ("getNextAssertion", |key, _| match key.get(&assertion()) {
        Ok(_) => code(key.get_next()),
        Err(status) => status,
    }),
    ("selection", |key, _| key.status(&[0x0B])),
    ("U2F_REGISTER", |key, _| {
        u2f(key, &U2fRequest::Register { control: Control::NONE, challenge: &HASH, application: &HASH })
    }),
];

const MORE_PROTECTED: &[Command] = &[
    ("getPinToken", |key, _| code(key.legacy_token(One, PIN))),
    ("getPinToken, wrong", |key, _| code(key.legacy_token(One, WRONG))),
    ("getPinUvAuthTokenUsingUv", |key, _| code(key.uv_token(Two, MC, None))),
    ("makeCredential, with a token", |key, _| {
        with_token(key, MC, |key, token| code(key.make_with(Two, token, resident(b"new"))))
    }),
    ("getAssertion, with a token", |key, _| {
        with_token(key, GA, |key, token| code(key.get_with(Two, token, assertion())))
    }),
    ("getAssertion, with a salt", |key, prepared| {
        let list = [CredentialDescriptor::new(&prepared.wrapped)];
        let ask = hmac_secret::ask_for_one(key);
        code(key.get(&listed(asking(&ask), &list)))
    }),
];

/// The state of a key, as far as it can be read without counting anything.
#[derive(Debug, PartialEq)]
struct Told {
    options: String,
    min_pin_length: Option<usize>,
    force_pin_change: Option<bool>,
    room: Option<u32>,
    pin_retries: u32,
    uv_retries: Option<u32>,
    fingerprints: Vec<TemplateId>,
}

impl Told {
    fn by(key: &mut Key) -> Self {
        let (verifies, mut told) = key.info(|info| {
            let options = info.options.unwrap();
            let told = Self {
                options: format!("{options:?}"),
                min_pin_length: info.min_pin_length,
                force_pin_change: info.force_pin_change,
                room: info.remaining_discoverable_credentials,
                pin_retries: 0,
                uv_retries: None,
                fingerprints: Vec::new(),
            };
            (options.uv.is_some(), told)
        });
        told.pin_retries = key.retries().0;
        told.uv_retries = verifies.then(|| key.uv_retries());
        told.fingerprints = key.engine.fingerprints().to_vec();
        told
    }
}

/// Runs a command with every kind of abort in place of every poll. Returns the number of aborts.
fn sweep((name, run): Command, prepared: &Prepared) -> u32 {
    let setup = prepared.setup;
    let mut key = plug_in(&prepared.flash.copy(), setup, LOG);
    let before = key.store.applied();
    let expected = run(&mut key, prepared);
    let (atoms, commits) = (key.atoms, key.store.applied() - before);
    let states: Vec<State> = (0..=commits).map(|made| State::after(made, run, prepared)).collect();
    for atom in 1..=atoms {
        for abort in Abort::ALL {
            let place = format!("{name}: {abort:?} in place of poll {atom} of {atoms}");
            let flash = prepared.flash.copy();
            let mut key = plug_in(&flash, setup, LOG);
            let before = key.store.applied();
            key.adversary = Some((atom, abort));
            let answer = run(&mut key, prepared);
            assert!(key.adversary.is_none() && !key.engine.is_pending(), "{place}");
            let made = key.store.applied() - before;
            assert!(
                State::of(&flash, prepared) == states[made as usize],
                "{place}: half of commit {made} of {commits}"
            );
            // Memory and store agree.
            let in_store = Told::by(&mut plug_in(&flash.copy(), setup, LOG));
            assert_eq!(Told::by(&mut key), in_store, "{place}");
            // The command can be run again, unless it was done completely.
            if made < commits || commits == 0 {
                assert_eq!(run(&mut key, prepared), expected, "{place}, again");
            } else if abort == Abort::Cancel {
                assert!([expected, Status::KEEPALIVE_CANCEL, Status::OTHER].contains(&answer), "{place}: {answer:?}");
            }
        }
    }
    atoms * Abort::ALL.len() as u32
}

#[test]
fn an_abort_between_any_two_atoms_leaves_memory_and_store_as_one() {
    let mut aborts = 0;
    for setup in [Setup::Open, Setup::Protected, Setup::LargeBlobExtension] {
        let prepared = prepare(setup, 0);
        let of_setup = COMMANDS.into_iter().chain(MORE).filter(|(other, _)| *other == setup);
        for command in of_setup.flat_map(|(_, commands)| commands) {
            aborts += sweep(*command, &prepared);
        }
    }
    assert!(aborts > 300, "{aborts} aborts");
}

type Attempt = (&'static str, fn(&mut Key, &str) -> Status);

/// Every way to try a PIN.
const ATTEMPTS: [Attempt; 3] = [
    ("changePIN", |key, pin| key.change_pin(Two, pin, "5678")),
    ("getPinToken", |key, pin| code(key.legacy_token(One, pin))),
    ("getPinUvAuthTokenUsingPin", |key, pin| code(key.token(Two, pin, MC, None))),
];

/// The aborts that leave the power on.
const BY_SOFTWARE: [Abort; 3] = [Abort::Cancel, Abort::Init, Abort::OtherChannel];

/// 6.5.5 wrong PIN: the fourth, after three that were aborted after they were counted → PIN_AUTH_BLOCKED
#[test]
fn an_attempt_that_is_aborted_once_it_is_counted_is_one_of_the_three_in_a_row() {
    for (name, attempt) in ATTEMPTS {
        for abort in BY_SOFTWARE {
            for pin in [PIN, WRONG] {
                let mut key = Key::with_pin();
                for left in [7, 6, 5] {
                    key.adversary = Some((2, abort)); // between the decrement and the comparison
                    assert_eq!(attempt(&mut key, pin), Status::KEEPALIVE_CANCEL);
                    assert_eq!(key.retries(), (left, left == 5), "{name}, {abort:?}");
                }
                for pin in [PIN, WRONG] {
                    assert_eq!(attempt(&mut key, pin), Status::PIN_AUTH_BLOCKED, "{name}, {abort:?}");
                }
                key = key.power_cut();
                assert_eq!(key.retries(), (5, false));
                key.token(Two, PIN, MC, None).unwrap();
                assert_eq!(key.retries(), (8, false));
            }
        }
    }
}

#[test]
fn no_sequence_of_aborts_uses_up_more_than_three_attempts_in_one_power_up() {
    for (name, attempt) in ATTEMPTS {
        for first in 0..5u32 {
            for second in 0..5u32 {
                let mut key = Key::with_pin();
                for round in 0..20 {
                    let atom = if round % 2 == 0 { first } else { second };
                    let abort = BY_SOFTWARE[round % 3];
                    key.adversary = (atom > 0).then_some((atom, abort));
                    attempt(&mut key, WRONG);
                    key.adversary = None;
                }
                let (left, latched) = key.retries();
                assert!(left >= 5 && (latched || left == 8), "{name}, polls {first} and {second}: {left} left");
            }
        }
    }
}

#[test]
fn an_attempt_that_is_aborted_before_it_is_counted_costs_nothing_and_one_found_right_is_given_back() {
    for (name, attempt) in ATTEMPTS {
        for (atom, pin) in [(1, WRONG), (1, PIN), (3, PIN)] {
            for abort in BY_SOFTWARE {
                let mut key = Key::with_pin();
                for _ in 0..5 {
                    key.adversary = Some((atom, abort));
                    assert_eq!(attempt(&mut key, pin), Status::KEEPALIVE_CANCEL, "{name}");
                    assert_eq!(key.retries(), (8, false), "{name}, poll {atom}");
                }
            }
        }
    }
}

#[test]
fn a_power_cut_before_the_comparison_costs_the_attempt() {
    for (name, attempt) in ATTEMPTS {
        for abort in [Abort::PowerCycle, Abort::PowerCut] {
            let mut key = Key::with_pin();
            for left in (0..8).rev() {
                key.adversary = Some((2, abort));
                attempt(&mut key, PIN);
                assert_eq!(key.retries(), (left, false), "{name}");
            }
            assert_eq!(attempt(&mut key, PIN), Status::PIN_BLOCKED);
        }
    }
}

#[test]
fn the_key_agreement_is_new_after_an_attempt_that_was_counted_and_not_found_right() {
    let agreement = |key: &mut Key| key.call(&[0x06, 0xA2, 1, 2, 2, 2]);
    for (name, attempt) in ATTEMPTS {
        for abort in BY_SOFTWARE {
            for (atom, renewed) in [(1, false), (2, true), (3, false)] {
                let mut key = Key::with_pin();
                let before = agreement(&mut key);
                key.adversary = Some((atom, abort));
                attempt(&mut key, PIN);
                assert_eq!(agreement(&mut key) != before, renewed, "{name}, {abort:?} in place of poll {atom}");
            }
        }
    }
}

#[test]
fn an_attempt_whose_count_may_not_have_been_stored_is_one_of_the_three() {
    for fault in [Fault::Before, Fault::After] {
        let mut key = Key::with_pin();
        for _ in 0..3 {
            key.store.fail_at(1, fault);
            assert_eq!(key.token(Two, PIN, MC, None).unwrap_err(), Status::OTHER);
        }
        key.store.fault.set(Fault::None);
        assert_eq!(key.token(Two, PIN, MC, None).unwrap_err(), Status::PIN_AUTH_BLOCKED);
        key.power_cut().token(Two, PIN, MC, None).unwrap();
    }
}

/// A key with a PIN and a finger.
fn with_finger() -> Key {
    let mut key = Key::with(SENSOR);
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    let token = key.unbound(BE);
    key.enrol(&token).unwrap();
    key.asked = 0;
    key
}

/// Every command with built-in user verification.
const VERIFYING: [fn(&mut Key) -> Status; 3] = [
    |key| code(key.uv_token(Two, MC, None)),
    |key| code(key.make(&super::user_verification::made_with_uv(b"u", false))),
    |key| code(key.get(&got_with_uv())),
];

/// The poll that checks the finger in [`VERIFYING`]. Getting a token does a key agreement before.
const JUDGED: [u32; 3] = [3, 2, 2];

#[test]
fn a_finger_costs_its_attempt_if_the_command_ends_before_the_verdict() {
    for (command, judged) in VERIFYING.into_iter().zip(JUDGED) {
        for abort in Abort::ALL {
            for matches in [false, true] {
                let mut key = with_finger();
                for left in (0..5).rev() {
                    key.verdicts = vec![matches];
                    key.adversary = Some((judged, abort));
                    assert_eq!(command(&mut key), Status::KEEPALIVE_CANCEL);
                    assert_eq!(key.uv_retries(), left, "{abort:?}");
                }
                assert_ne!(command(&mut key), Status::OK);
                key.token(Two, PIN, MC, None).unwrap();
                assert_eq!(key.uv_retries(), 5, "the right PIN lifts the block");
            }
        }
    }
}

#[test]
fn a_verification_vouches_for_its_own_command_only() {
    let mut key = with_finger();
    key.make(&super::user_verification::made_with_uv(b"u", true)).unwrap();
    for abort in Abort::ALL {
        // The finger has matched, and the counter is not written yet.
        key.asked = 0;
        key.adversary = Some((3, abort));
        assert_eq!(key.get(&got_with_uv()).unwrap_err(), Status::KEEPALIVE_CANCEL);
        assert_eq!(key.asked, 1);
        key.user = UserAction::Declines;
        assert_eq!(key.get(&got_with_uv()).unwrap_err(), Status::OPERATION_DENIED, "{abort:?}");
        key.user = UserAction::Touches;
    }
}

/// The commands that use up a token.
const SPENDING: [fn(&mut Key, &Token) -> Status; 2] = [
    |key, token| code(key.make_with(Two, token, resident(b"new"))),
    |key, token| code(key.get_with(Two, token, assertion())),
];

#[test]
fn a_touch_uses_up_the_token_whether_or_not_anything_comes_of_it() {
    for command in SPENDING {
        for abort in BY_SOFTWARE {
            for atom in 1..4 {
                let mut key = Key::new();
                key.make(&resident(b"u")).unwrap();
                assert_eq!(key.set_pin(Two, PIN), Status::OK);
                let token = key.unbound(MC.with(GA));
                key.touches = 0;
                key.adversary = Some((atom, abort));
                let answer = command(&mut key, &token);
                let touched = key.touches > 0;
                assert_eq!(touched, atom > 1);
                assert!(touched || answer == Status::KEEPALIVE_CANCEL);
                let again = command(&mut key, &token);
                let expected = if touched { Status::PIN_AUTH_INVALID } else { Status::OK };
                assert_eq!(again, expected, "{abort:?} in place of poll {atom}");
            }
        }
    }
}

#[test]
fn a_signature_counter_that_was_written_is_never_used_again() {
    for abort in Abort::ALL {
        let mut key = Key::new();
        key.make(&resident(b"u")).unwrap();
        assert_eq!(key.get(&assertion()).unwrap().auth_data().sign_count, 1);
        key.adversary = Some((2, abort)); // between the count and the signature
        assert_eq!(key.get(&assertion()).unwrap_err(), Status::KEEPALIVE_CANCEL);
        assert!(key.get(&assertion()).unwrap().auth_data().sign_count > 2, "{abort:?}");
    }
}

#[test]
fn an_enrolment_whose_id_was_never_told_ends_with_its_command() {
    for abort in BY_SOFTWARE {
        let mut key = Key::with(SENSOR);
        key.set_pin(Two, PIN);
        let token = key.unbound(BE);
        key.adversary = Some((1, abort));
        let begun = key.bio(Some(&token), ENROLL_BEGIN, &Params::default());
        assert_eq!(begun.unwrap_err(), Status::KEEPALIVE_CANCEL);
        assert_eq!(key.engine.enrolls(), None, "{abort:?}: the sensor drops the template");
        key.enrol(&token).unwrap();
    }
}

#[test]
fn an_enrolment_goes_on_after_a_sample_that_was_given_up_but_not_on_another_channel() {
    for (abort, goes_on) in [(Abort::Cancel, true), (Abort::Init, true), (Abort::OtherChannel, false)] {
        let mut key = Key::with(SENSOR);
        key.set_pin(Two, PIN);
        let token = key.unbound(BE);
        let id = key.bio(Some(&token), ENROLL_BEGIN, &Params::default()).unwrap().id.unwrap();
        let params = Params { template_id: Some(&id), ..Params::default() };
        key.adversary = Some((1, abort));
        let next = key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &params);
        assert_eq!(next.unwrap_err(), Status::KEEPALIVE_CANCEL);
        assert_eq!(key.engine.enrolls().is_some(), goes_on, "{abort:?}");
        let next = key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &params);
        assert_eq!(next.is_ok(), goes_on);
        assert!(key.engine.fingerprints().is_empty(), "nothing is stored before the last sample");
    }
}
