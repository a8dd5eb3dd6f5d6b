//! Many worlds that must not fail, and worlds with a deliberate defect that must fail.

use keyfob_simulator::{Mutation, WorldFailure, WorldOptions, link::Medium, run};

/// Worlds per test run. A failure is replayed with its seed.
const WORLDS: u64 = 3_000;

#[test]
fn nothing_is_wrong_in_thousands_of_worlds() {
    let mut owed = 0;
    for seed in 0..WORLDS {
        match run(seed, WorldOptions::default()) {
            Ok(summary) => owed += summary.owed,
            Err(WorldFailure { what, .. }) => panic!("world {seed}: {what}"),
        }
    }
    assert!(owed > WORLDS, "most worlds have ceremonies that must succeed, {owed} in all");
}

/// Worlds per test run for each of the other transports.
const SAMPLE: u64 = 300;

#[test]
fn nothing_is_wrong_in_hundreds_of_worlds_over_nfc_and_bluetooth() {
    for medium in [Medium::Nfc, Medium::NfcExtended, Medium::Ble(20), Medium::Ble(512)] {
        let options = WorldOptions { medium, ..WorldOptions::default() };
        let mut owed = 0;
        for seed in 0..SAMPLE {
            match run(seed, options) {
                Ok(summary) => owed += summary.owed,
                Err(WorldFailure { what, .. }) => panic!("world {seed} over {medium:?}: {what}"),
            }
        }
        assert!(owed > SAMPLE, "most worlds have ceremonies that must succeed, {owed} in all");
    }
}

#[test]
fn defects_are_found_out_over_nfc_and_bluetooth() {
    for medium in [Medium::Nfc, Medium::Ble(182)] {
        for mutation in [Mutation::WrongSignature, Mutation::PlaintextOnTheWire, Mutation::LosesCredentials] {
            let options = WorldOptions { medium, mutation: Some(mutation), ..WorldOptions::default() };
            assert!((0..60).any(|seed| run(seed, options).is_err()), "{mutation:?} goes unnoticed over {medium:?}");
        }
    }
}

#[test]
fn a_pin_that_was_entered_and_not_tried_costs_no_attempt() {
    // The user enters the current PIN and no new one.
    for seed in [1286, 8786] {
        assert!(run(seed, WorldOptions::default()).is_ok(), "world {seed}");
    }
}

#[test]
fn a_late_double_in_the_place_of_a_lost_report_is_no_authenticators_fault() {
    // A registration's last report is lost, and a second copy of a getInfo report with the same sequence number comes
    // in its place.
    assert!(run(1_005_052, WorldOptions::default()).is_ok());
}

#[test]
fn a_seed_replays_its_world_exactly() {
    let options = WorldOptions { trace: true, ..WorldOptions::default() };
    for seed in 0..50 {
        let (first, second) = (run(seed, options).unwrap(), run(seed, options).unwrap());
        assert!(!first.log.is_empty());
        assert_eq!(first.log, second.log);
    }
}

/// Runs worlds with a defect and checks that they fail: some for the first reason, the others for one of the other
/// reasons.
fn found_out(mutation: Mutation, reasons: &[&str]) {
    let options = WorldOptions { mutation: Some(mutation), ..WorldOptions::default() };
    let failures: Vec<String> = (0..150).filter_map(|seed| run(seed, options).err()).map(|found| found.what).collect();
    assert!(failures.iter().any(|what| what.contains(reasons[0])), "{mutation:?} goes unnoticed");
    for what in &failures {
        assert!(reasons.iter().any(|reason| what.contains(reason)), "{mutation:?} is noticed as: {what}");
    }
}

#[test]
fn wrong_signatures_are_found_out() {
    found_out(Mutation::WrongSignature, &["does not verify"]);
}

#[test]
fn plaintext_on_the_wire_is_found_out() {
    found_out(Mutation::PlaintextOnTheWire, &["sent in clear"]);
}

#[test]
fn a_lost_credential_is_found_out() {
    found_out(Mutation::LosesCredentials, &["an undisturbed ceremony fails", "discoverable for its user"]);
}

#[test]
fn a_ceremony_that_never_ends_is_found_out() {
    found_out(Mutation::NeverEnds, &["does not end", "setting a PIN: None"]);
}

#[test]
fn a_success_without_a_touch_is_found_out() {
    found_out(Mutation::TouchesItself, &["without the user's consent", "reset answered"]);
}

#[test]
fn retries_that_rise_are_found_out() {
    found_out(Mutation::RetriesRise, &["PIN retries changed", "PIN retries are", "PIN retries rose"]);
}

#[test]
fn a_counter_that_falls_back_is_found_out() {
    found_out(Mutation::LosesCount, &["the counter of U2F does not grow", "does not verify: SignCount"]);
}

#[test]
fn a_lost_fingerprint_is_found_out() {
    found_out(Mutation::LosesFingerprints, &["fingerprints are listed", "an undisturbed ceremony fails"]);
}

#[test]
fn attempts_at_the_pin_that_are_aborted_and_not_counted_are_found_out() {
    found_out(Mutation::ForgetsAttempts, &["attempts at the PIN in one power-up"]);
}
