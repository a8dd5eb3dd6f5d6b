//! Authenticators that answer anything, and the next operation on them.

use proptest::{collection::vec, prelude::*};

use super::*;

type MakeDevice = fn() -> Device<StubCrypto>;
type Run = fn(&mut Device<StubCrypto>) -> Result<(), Cause>;

/// An operation of each kind, and a device on which it succeeds.
fn operations() -> Vec<(MakeDevice, Run)> {
    fn full() -> Device<StubCrypto> {
        let mut device = scripted(
            |options| {
                options.cred_mgmt = Some(true);
                options.bio_enroll = Some(true);
                options.large_blobs = Some(true);
                options.per_cred_mgmt_ro = Some(true);
                options.authnr_cfg = Some(true);
                options.ep = Some(false);
            },
            [],
        );
        device.amend = |info| info.enc_identifier = Some(&[5; 32]);
        device
    }
    fn with(script: &[&str]) -> Device<StubCrypto> {
        let mut device = full();
        device.script = script.iter().map(|name| ok(name)).collect();
        device
    }
    fn empty_answer() -> Device<StubCrypto> {
        let mut device = full();
        device.script = [vec![0]].into();
        device
    }
    fn change_pin(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        let mut user = User { new_pins: [PIN, PIN].into(), ..User::manager([PIN, PIN, PIN]) };
        run_with(ChangePin::new(&mut buffer, StubCrypto, rng()), device, &mut user, |_| ())
    }
    fn token(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        run_op(GetPersistentToken::new(&mut buffer, StubCrypto, rng()), device).map(drop)
    }
    fn list_rps(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        run_op(ListRelyingParties::new(Access::User, &mut buffer, StubCrypto, rng()), device).map(drop)
    }
    fn metadata(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        run_op(CredentialsMetadata::new(Access::User, &mut buffer, StubCrypto, rng()), device).map(drop)
    }
    fn delete(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        run_op(DeleteCredential::new(b"id", &mut buffer, StubCrypto, rng()), device)
    }
    fn enroll(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        run_op(Enroll::new(None, &mut buffer, StubCrypto, rng()), device).map(drop)
    }
    fn fingers(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        run_op(ListFingerprints::new(&mut buffer, StubCrypto, rng()), device).map(drop)
    }
    fn read(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let (mut memory, mut buffer) = ([0; 600], [0; 1024]);
        run_op(ReadLargeBlobs::new(&mut memory, &mut buffer, StubCrypto, rng()), device).map(drop)
    }
    fn configure(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        run_op(Configure::new(Setting::EnterpriseAttestation, &mut buffer, StubCrypto, rng()), device)
    }
    fn reset(device: &mut Device<StubCrypto>) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        run_op(Reset::new(&mut buffer, StubCrypto, rng()), device)
    }
    vec![
        (full, change_pin),
        (full, token),
        (
            || {
                let next = "credential_management_rp_next";
                with(&["credential_management_rp_begin", next, next])
            },
            list_rps,
        ),
        (|| with(&["credential_management_metadata"]), metadata),
        (empty_answer, delete),
        (|| with(&["bio_enrollment_enroll_begin", "bio_enrollment_enroll_next", "bio_enrollment_enroll_last"]), enroll),
        (|| with(&["bio_enrollment_enumerate"]), fingers),
        (|| with(&["large_blobs_array"]), read),
        (empty_answer, configure),
        (empty_answer, reset),
    ]
}

/// The responses of an undisturbed run.
fn responses(device: MakeDevice, run: Run) -> Vec<Vec<u8>> {
    let mut device = device();
    run(&mut device).unwrap();
    device.responses
}

/// Runs the operation while one response is replaced, and then again with none replaced.
fn disturbed(device: MakeDevice, run: Run, index: usize, response: Vec<u8>) -> Result<(), Cause> {
    let mut disturbed = device();
    disturbed.tampered = Some((index, response));
    let result = run(&mut disturbed);
    assert!(disturbed.requests.len() < 30);
    let fresh = device();
    disturbed.tampered = None;
    (disturbed.script, disturbed.pin) = (fresh.script, fresh.pin);
    (disturbed.strikes, disturbed.retries) = (0, 8);
    assert_eq!(run(&mut disturbed), Ok(()), "after {result:?}");
    result
}

#[test]
fn every_truncation_of_every_response_is_a_typed_error_and_the_next_operation_works() {
    for (device, run) in operations() {
        for (index, response) in responses(device, run).into_iter().enumerate() {
            for len in 0..response.len() {
                let result = disturbed(device, run, index, response[..len].to_vec());
                assert!(matches!(result, Err(Cause::Decode(_) | Cause::EmptyResponse)), "{index} {len} {result:?}");
            }
        }
    }
}

#[test]
fn every_status_in_place_of_every_response_ends_or_goes_on_and_the_next_operation_works() {
    for (device, run) in operations() {
        for index in 0..responses(device, run).len() {
            for status in 1..=255 {
                let _ = disturbed(device, run, index, vec![status]);
            }
        }
    }
}

#[test]
fn the_answer_to_another_command_is_a_typed_error() {
    let answers = operations().into_iter().flat_map(|(device, run)| responses(device, run)).collect::<Vec<_>>();
    for (device, run) in operations() {
        for index in 0..responses(device, run).len() {
            for answer in &answers {
                let _ = disturbed(device, run, index, answer.clone());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_in_place_of_any_response_never_panic(
        bytes in vec(any::<u8>(), 0..300), success in any::<bool>(), which in 0..10_usize, index in 0..7_usize,
    ) {
        let (device, run) = operations()[which];
        let mut response = bytes;
        if success && let Some(first) = response.first_mut() {
            *first = 0;
        }
        let _ = disturbed(device, run, index, response);
    }

    #[test]
    fn one_changed_byte_in_any_response_never_panics(
        which in 0..10_usize, index in 0..7_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let (device, run) = operations()[which];
        let responses = responses(device, run);
        let index = index % responses.len();
        let mut response = responses[index].clone();
        let at = at.index(response.len());
        response[at] = byte;
        let _ = disturbed(device, run, index, response);
    }
}
