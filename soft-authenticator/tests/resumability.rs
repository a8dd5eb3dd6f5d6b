//! Pending commands: what they leave unchanged, and how they end early. The test harness also checks in every test that
//! no poll does two slow operations, and that a pending request stays in the buffer.

use keyfob_core::{
    Status,
    cbor::List,
    crypto::{MAX_PUBLIC, MAX_SECRET, RustCrypto},
    ctap2::{
        Command, CommandOptions, CredentialDescriptor,
        bio_enrollment::{SampleStatus, subcommand::ENROLL_BEGIN},
        client_pin,
        client_pin::subcommand,
        get_assertion, make_credential,
    },
    pin_uv::{PaddedPin, Permissions, PinUvAuthProtocol::One, PinUvAuthProtocol::Two},
};
use keyfob_soft_authenticator::{
    devices::{VirtualPlatform, virtual_key_certificate},
    engine::{AttestationMode, Config, Engine, Event, Progress, USER_ACTION_TIMEOUT, Wait},
    hid::HidAuthenticator,
    store::Setting,
};

use super::{
    harness::*,
    user_verification::{SENSOR, got_with_uv, made_with_uv},
};

const CERTIFIED: Config<'static> =
    Config { attestation: AttestationMode::Certified(virtual_key_certificate()), ..Config::new([0xAA; 16]) };

/// A key with a PIN, a credential of each kind and a certificate.
fn key() -> (Key, Made) {
    let mut key = Key::with(CERTIFIED);
    let made = key.make(&registration(b"wrapped")).unwrap();
    key.make(&resident(b"a")).unwrap();
    key.make(&resident(b"b")).unwrap();
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    (key, made)
}

/// A key with a PIN and a finger, and with a discoverable credential.
fn sensor() -> (Key, Made) {
    let mut key = Key::with(SENSOR);
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    let token = key.unbound(BE);
    key.enrol(&token).unwrap();
    let token = key.token(Two, PIN, MC, None).unwrap();
    let made = key.make_with(Two, &token, resident(b"a")).unwrap();
    (key, made)
}

fn pin_request(key: &mut Key, sub_command: u32, pin: &str) -> Vec<u8> {
    let session = key.agree(One);
    let new_pin_enc = key.encrypt(&session, PaddedPin::new("5678", 4).unwrap().as_bytes());
    let pin_hash_enc = key.encrypt(&session, &pin_hash(pin));
    let changed = session.shared.authenticate(&RustCrypto, &[&new_pin_enc, &pin_hash_enc]);
    let set = session.shared.authenticate(&RustCrypto, &[&new_pin_enc]);
    let param = if sub_command == subcommand::SET_PIN { set } else { changed };
    message(
        Command::CLIENT_PIN,
        &client_pin::Request {
            pin_uv_auth_param: Some(param.as_bytes()),
            new_pin_enc: Some(&new_pin_enc),
            pin_hash_enc: Some(&pin_hash_enc),
            permissions: (sub_command == subcommand::GET_TOKEN_USING_PIN).then_some(1),
            ..session.request(sub_command)
        },
    )
}

type Case = (&'static str, fn(&mut Key, &Made) -> Vec<u8>, Status);

/// Every command that pauses, and its answer.
const CASES: [Case; 14] = [
    ("makeCredential", |_, _| message(Command::MAKE_CREDENTIAL, &registration(b"u")), Status::OK),
    ("makeCredential, discoverable", |key, _| with_token(key, resident(b"u")), Status::OK),
    ("makeCredential, replacing", |key, _| with_token(key, resident(b"a")), Status::OK),
    ("makeCredential, excluded", excluded, Status::CREDENTIAL_EXCLUDED),
    ("makeCredential, probe", |_, _| message(Command::MAKE_CREDENTIAL, &probe()), Status::PIN_INVALID),
    ("getAssertion", |_, _| message(Command::GET_ASSERTION, &assertion()), Status::OK),
    ("getAssertion, silent", |_, _| silent(), Status::OK),
    ("changePIN", |key, _| pin_request(key, subcommand::CHANGE_PIN, PIN), Status::OK),
    ("changePIN, wrong", |key, _| pin_request(key, subcommand::CHANGE_PIN, "0000"), Status::PIN_INVALID),
    ("getPinToken", |key, _| pin_request(key, subcommand::GET_PIN_TOKEN, PIN), Status::OK),
    ("getPinUvAuthToken", |key, _| pin_request(key, subcommand::GET_TOKEN_USING_PIN, PIN), Status::OK),
    ("largeBlobs", |key, _| last_fragment(key), Status::OK),
    ("reset", |_, _| vec![Command::RESET.0], Status::OK),
    ("selection", |_, _| vec![Command::SELECTION.0], Status::OK),
];

/// Every command with built-in user verification, on a key with a sensor.
const VERIFYING: [Case; 4] = [
    ("makeCredential, uv", |_, _| message(Command::MAKE_CREDENTIAL, &made_with_uv(b"u", true)), Status::OK),
    ("getAssertion, uv", |_, _| message(Command::GET_ASSERTION, &got_with_uv()), Status::OK),
    ("getPinUvAuthToken, uv", |key, _| uv_token_request(key), Status::OK),
    ("enrollBegin", |key, _| enrolment(key), Status::OK),
];

type Plugged = fn() -> (Key, Made);

/// The cases, each with the key that it needs.
fn cases() -> impl Iterator<Item = (Plugged, Case)> {
    let all = CASES.map(|case| (key as Plugged, case));
    all.into_iter().chain(VERIFYING.map(|case| (sensor as Plugged, case)))
}

fn uv_token_request(key: &mut Key) -> Vec<u8> {
    let session = key.agree(Two);
    let permissions = Some(Permissions::MC.0.into());
    let request = client_pin::Request { permissions, ..session.request(subcommand::GET_TOKEN_USING_UV) };
    message(Command::CLIENT_PIN, &request)
}

fn enrolment(key: &mut Key) -> Vec<u8> {
    let token = key.unbound(BE);
    bio_message(Some(&token), ENROLL_BEGIN, &Default::default())
}

fn with_token(key: &mut Key, request: make_credential::Request<'_>) -> Vec<u8> {
    let token = key.token(Two, PIN, MC, None).unwrap();
    let param = token.authenticate(&RustCrypto, Two, &[&HASH]);
    let pin_uv_auth_param = Some(param.as_bytes());
    let request = make_credential::Request { pin_uv_auth_param, pin_uv_auth_protocol: Some(2), ..request };
    message(Command::MAKE_CREDENTIAL, &request)
}

fn excluded(_: &mut Key, made: &Made) -> Vec<u8> {
    let list = [CredentialDescriptor::new(&[0; 32]), made.descriptor()];
    let request = make_credential::Request { exclude_list: Some(List::Slice(&list)), ..registration(b"u") };
    message(Command::MAKE_CREDENTIAL, &request)
}

fn last_fragment(key: &mut Key) -> Vec<u8> {
    let token = key.unbound(LBW);
    fragment_message(Some(&token), 0, &blob_array(100), Some(100))
}

fn probe() -> make_credential::Request<'static> {
    make_credential::Request { pin_uv_auth_param: Some(&[]), ..registration(b"u") }
}

fn silent() -> Vec<u8> {
    let options = Some(CommandOptions { up: Some(false), ..Default::default() });
    message(Command::GET_ASSERTION, &get_assertion::Request { options, ..assertion() })
}

/// 6: cancelled while it is pending, before anything is stored → KEEPALIVE_CANCEL
/// 6: cancelled once a new credential is stored → OK
#[test]
fn a_command_that_is_cancelled_between_any_two_polls_says_so() {
    for (plugged, (name, build, expected)) in cases() {
        for poll in 1.. {
            let (mut key, made) = plugged();
            let request = build(&mut key, &made);
            let (commits, credentials) = (key.store.applied(), key.store.credentials());
            let state = key.store.setting(Setting::StoreState);
            let response = key.call_cancelled(&request, poll);
            if key.polls < poll {
                assert_eq!(status(&response), expected, "{name}");
                assert!(poll > 1, "{name} does not pause");
                break;
            }
            if name.starts_with("makeCredential") && key.store.setting(Setting::StoreState) != state {
                assert_eq!(status(&response), Status::OK, "{name}: what is stored is answered");
                continue;
            }
            assert_eq!(status(&response), Status::KEEPALIVE_CANCEL, "{name}, poll {poll}");
            assert!(key.store.credentials() >= credentials);
            // Nothing of it is left: there is nothing to resume, and the same command starts from the beginning.
            assert_eq!(key.resume(Event::Touched), Progress::Reply(1));
            if key.store.applied() == commits {
                let request = build(&mut key, &made); // a touch has used up the token
                assert_eq!(status(&key.call(&request)), expected, "{name} again after poll {poll}");
            }
        }
    }
}

#[test]
fn a_cancelled_command_has_committed_at_most_what_its_poll_did() {
    // The number of commits after each poll. The first poll is the one after `begin`.
    for (name, build, after) in [
        ("makeCredential", CASES[0].1, &[0, 0][..]),
        ("makeCredential, discoverable", CASES[1].1, &[0, 0]),
        ("getAssertion", CASES[5].1, &[0, 1]),
        ("changePIN", CASES[7].1, &[0, 1, 2]),
        ("getPinUvAuthToken", CASES[10].1, &[0, 1, 2]),
        ("largeBlobs", CASES[11].1, &[0]),
        ("reset", CASES[12].1, &[0]),
    ] {
        for (poll, commits) in (1..).zip(after) {
            let (mut key, made) = key();
            let request = build(&mut key, &made);
            let before = key.store.applied();
            assert_eq!(status(&key.call_cancelled(&request, poll)), Status::KEEPALIVE_CANCEL, "{name}");
            assert_eq!(key.store.applied() - before, *commits, "{name}, poll {poll}");
        }
    }
}

#[test]
fn a_cancellation_after_a_credential_is_stored_does_not_keep_it_from_the_platform() {
    let (mut key, made) = key();
    let request = CASES[1].1(&mut key, &made);
    let before = key.store.applied();
    let response = key.call_cancelled(&request, 3);
    assert_eq!((status(&response), key.store.applied()), (Status::OK, before + 1));
}

#[test]
fn a_command_that_is_dropped_between_any_two_polls_leaves_room_for_the_next() {
    for (plugged, (name, build, _)) in cases() {
        for polls in 0..5 {
            let (mut key, made) = plugged();
            let request = build(&mut key, &made);
            let mut progress = key.begin(&request);
            for _ in 0..polls {
                let event = match progress {
                    Progress::Reply(_) => break,
                    Progress::Pending(Wait::UserVerification) => Event::Verified(true),
                    Progress::Pending(Wait::Sample) => Event::Sample { status: SampleStatus::GOOD, remaining: 3 },
                    Progress::Pending(_) => Event::Touched,
                };
                progress = key.resume(event);
            }
            assert_eq!(key.status(&[0x04]), Status::OK, "{name}");
            key.begin(&request);
            key.engine.abort();
            assert!(!key.engine.is_pending() && key.engine.deadline().is_none());
        }
    }
}

#[test]
fn set_pin_pauses_once_before_its_commit() {
    let mut key = Key::new();
    let request = pin_request(&mut key, subcommand::SET_PIN, PIN);
    assert_eq!(key.call_cancelled(&request, 1), [Status::KEEPALIVE_CANCEL.0]);
    assert_eq!(key.store.setting(Setting::Pin), None);
    assert_eq!(key.call(&request), [0]);
}

#[test]
fn a_touch_counts_until_the_deadline_and_not_after() {
    let request = message(Command::MAKE_CREDENTIAL, &registration(b"u"));
    for (late, expected) in [(false, Progress::Pending(Wait::Processing)), (true, Progress::Reply(1))] {
        let mut key = Key::new();
        key.begin(&request);
        assert_eq!(key.engine.deadline(), Some(key.now.plus(USER_ACTION_TIMEOUT)));
        let millis = USER_ACTION_TIMEOUT.as_millis() as u64 - u64::from(!late);
        key.wait(std::time::Duration::from_millis(millis));
        if !late {
            assert_eq!(key.resume(Event::Tick), Progress::Pending(Wait::Touch));
        }
        assert_eq!(key.resume(Event::Touched), expected);
    }
}

#[test]
fn a_cancellation_after_the_deadline_is_still_a_cancellation() {
    let mut key = Key::new();
    key.begin(&[0x0B]);
    key.wait(USER_ACTION_TIMEOUT);
    key.resume(Event::Cancel);
    assert_eq!(key.engine.buffer()[0], Status::KEEPALIVE_CANCEL.0);
}

#[test]
fn an_engine_stays_small() {
    // The size of the engine without its store, with key pairs of the size of ES256 and EdDSA: the RAM of a
    // microcontroller, in addition to the buffer.
    let keys = (MAX_PUBLIC - 64) + 2 * (MAX_SECRET - 64);
    let engine = size_of::<Engine<'_, Bench>>() - size_of::<BenchStore>() - keys;
    let hid = size_of::<HidAuthenticator<'_, VirtualPlatform>>() - size_of::<Engine<'_, VirtualPlatform>>();
    println!("engine {engine}, framing {hid}");
    assert!(engine <= 1_800, "{engine} bytes");
    assert!(hid <= 512, "{hid} bytes");
}
