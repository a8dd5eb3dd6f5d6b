//! Authenticators that answer anything, and the next operation on them.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{client::tests::device::Fault, ctap2::UserEntity};

type MakeDevice = fn() -> Device<StubCrypto>;
type Run = fn(&mut Device<StubCrypto>, &mut User) -> Result<(), Cause>;

/// Has every PIN that is asked for.
fn user() -> User {
    User { new_pins: [PIN, PIN].into(), ..User::manager([PIN, PIN, PIN]) }
}

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
    full().altered(|device| device.script = script.iter().map(|name| ok(name)).collect())
}

/// Answers that consist of a status.
fn empty_answers() -> Device<StubCrypto> {
    full().altered(|device| device.script = [vec![0], vec![0]].into())
}

/// Runs an operation, whose outcome does not matter.
fn conduct(operation: impl Operation, device: &mut Device<StubCrypto>, user: &mut User) -> Result<(), Cause> {
    let mut buffer = [0; 1024];
    run_with(Ceremony::new(operation, &mut buffer, StubCrypto, rng()), device, user, |_| ()).map(drop)
}

/// An operation of each kind, and a device on which it succeeds.
fn operations() -> Vec<(MakeDevice, Run)> {
    const ALICE: UserEntity<'_> = UserEntity { id: b"alice", name: Some("alice"), display_name: None };
    vec![
        (
            || full().altered(|device| device.options.client_pin = Some(false)),
            |device, user| conduct(SetPin, device, user),
        ),
        (full, |device, user| conduct(ChangePin, device, user)),
        (full, |device, user| conduct(Retries::of_pin(), device, user)),
        (full, |device, user| conduct(GetPersistentToken::new(), device, user)),
        (
            || {
                let next = "credential_management_rp_next";
                with(&["credential_management_rp_begin", next, next])
            },
            |device, user| conduct(ListRelyingParties::new(Access::User), device, user),
        ),
        (
            || {
                let next = "credential_management_credential_next";
                with(&["credential_management_credential_begin", next, next, next, next])
            },
            |device, user| conduct(ListCredentials::new(&[7; 32], Access::User), device, user),
        ),
        (
            || with(&["credential_management_metadata"]),
            |device, user| conduct(CredentialsMetadata::new(Access::User), device, user),
        ),
        (empty_answers, |device, user| conduct(DeleteCredential::new(b"id"), device, user)),
        (empty_answers, |device, user| conduct(UpdateUser::new(b"id", ALICE), device, user)),
        (
            || with(&["bio_enrollment_enroll_begin", "bio_enrollment_enroll_next", "bio_enrollment_enroll_last"]),
            |device, user| conduct(Enroll::new(None), device, user),
        ),
        (|| with(&["bio_enrollment_sensor_info"]), |device, user| conduct(SensorInfo::new(), device, user)),
        (|| with(&["bio_enrollment_enumerate"]), |device, user| conduct(ListFingerprints::new(), device, user)),
        (empty_answers, |device, user| conduct(ChangeFingerprints::rename(b"id", "thumb"), device, user)),
        (|| with(&["large_blobs_array"]), |device, user| conduct(ReadLargeBlobs::new(&mut [0; 600]), device, user)),
        (empty_answers, |device, user| conduct(WriteLargeBlobs::new(&[0; 1200]), device, user)),
        (empty_answers, |device, user| conduct(Configure::new(ConfigSubcommand::EnterpriseAttestation), device, user)),
        (full, |device, user| conduct(Selection::new(), device, user)),
        (empty_answers, |device, user| conduct(Reset, device, user)),
        (empty_answers, |device, user| conduct(RawCommand::new(Command(0x41), &[1]), device, user)),
    ]
}

/// The responses of an undisturbed run.
fn responses(device: MakeDevice, run: Run) -> Vec<Vec<u8>> {
    let mut device = device();
    run(&mut device, &mut user()).unwrap();
    device.responses
}

/// Runs the operation again, undisturbed, as on a device that has done nothing yet.
fn again(mut disturbed: Device<StubCrypto>, device: MakeDevice, run: Run) -> Result<(), Cause> {
    let fresh = device();
    (disturbed.tampered, disturbed.fault) = (None, None);
    (disturbed.script, disturbed.pin, disturbed.options) = (fresh.script, fresh.pin, fresh.options);
    (disturbed.strikes, disturbed.retries) = (0, 8);
    run(&mut disturbed, &mut user())
}

/// Runs the operation while one response is replaced, and then again with none replaced.
fn disturbed(device: MakeDevice, run: Run, index: usize, response: Vec<u8>) -> Result<(), Cause> {
    let mut disturbed = device();
    disturbed.tampered = Some((index, response));
    let result = run(&mut disturbed, &mut user());
    assert!(disturbed.requests.len() < 30);
    assert_eq!(again(disturbed, device, run), Ok(()), "after {result:?}");
    result
}

#[test]
fn every_step_ends_with_an_unplug_a_silence_a_lost_answer_or_a_cancellation_and_the_next_operation_works() {
    let faults = [Fault::Unplugged, Fault::Lost, Fault::Silent].map(Some);
    for (device, run) in operations() {
        for index in 0..responses(device, run).len() {
            for (fault, too_late) in faults.map(|fault| (fault, false)).into_iter().chain([(None, false), (None, true)])
            {
                let (mut disturbed, mut user) = (device().altered(|device| device.too_late = too_late), user());
                disturbed.fault = fault.map(|fault| (index, fault));
                user.cancels_at = Some(index + 1).filter(|_| fault.is_none());
                let expected = match fault {
                    None => Cause::Cancelled,
                    Some(Fault::Silent) => Cause::Timeout,
                    Some(_) => Cause::Transport,
                };
                assert_eq!(run(&mut disturbed, &mut user), Err(expected), "{index}");
                let longest = DEFAULT_TIMEOUT + Duration::from_secs(4);
                assert!(disturbed.now.get() <= longest.as_millis() as u64);
                let cancelled = matches!(expected, Cause::Cancelled | Cause::Timeout);
                assert_eq!(disturbed.cancels, usize::from(cancelled));
                assert_eq!(again(disturbed, device, run), Ok(()), "{index} {fault:?}");
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_every_response_is_a_typed_error_or_read_as_another_and_the_next_operation_works() {
    for (number, (device, run)) in operations().into_iter().enumerate() {
        let mut undisturbed = device();
        run(&mut undisturbed, &mut user()).unwrap();
        for (index, command) in undisturbed.commands().into_iter().enumerate() {
            // The way to a token is the same for all: five of them go it.
            if number >= 5 && [Command::GET_INFO.0, Command::CLIENT_PIN.0].contains(&command) {
                continue;
            }
            let response = &undisturbed.responses[index];
            for bit in 0..response.len() * 8 {
                let mut flipped = response.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let result = disturbed(device, run, index, flipped);
                let caller = matches!(
                    result,
                    Err(Cause::Transport
                        | Cause::Cancelled
                        | Cause::Timeout
                        | Cause::WrongState
                        | Cause::InvalidOption(_))
                );
                assert!(!caller, "{index} {bit} {result:?}");
                // The head of the map.
                assert!(bit / 8 != 1 || result.is_err(), "{index} {bit}");
            }
        }
    }
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
        bytes in vec(any::<u8>(), 0..300), success in any::<bool>(), which in 0..operations().len(), index in 0..7_usize,
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
        which in 0..operations().len(), index in 0..7_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(),
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
