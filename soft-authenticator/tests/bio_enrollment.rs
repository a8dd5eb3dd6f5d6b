//! authenticatorBioEnrollment (CTAP 2.3 §6.7): enrolling fingers, naming and removing them.

use std::time::Duration;

use keyfob_core::{
    Status,
    cbor::RawMap,
    crypto::RustCrypto,
    ctap2::{
        Command, CommandOptions,
        bio_enrollment::{FINGERPRINT, Params, Request, SampleStatus, TOUCH_SENSOR, authenticated_head, subcommand::*},
        get_assertion, make_credential,
    },
    pin_uv::{PinUvAuthProtocol::Two, Token},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{
        Config, ConfigError, Event, MAX_FINGERPRINTS, MAX_FRIENDLY_NAME, Progress, USER_ACTION_TIMEOUT,
        UserVerification, Wait,
    },
    store::{Change, Setting, Store, StoreError},
};

use super::{harness::*, user_verification::SENSOR};

const NOTHING: Params<'static> = Params { template_id: None, template_friendly_name: None, timeout_milliseconds: None };
const GATED: [u32; 5] =
    [ENROLL_BEGIN, ENROLL_CAPTURE_NEXT_SAMPLE, ENUMERATE_ENROLLMENTS, SET_FRIENDLY_NAME, REMOVE_ENROLLMENT];

const fn template(id: &[u8]) -> Params<'_> {
    Params { template_id: Some(id), ..NOTHING }
}

const fn named<'n>(id: &'n [u8], name: &'n str) -> Params<'n> {
    Params { template_friendly_name: Some(name), ..template(id) }
}

/// A key with a PIN, and a token for enrolment.
fn ready() -> (Key, Token) {
    let mut key = Key::with(SENSOR);
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, BE, None).unwrap();
    (key, token)
}

/// A key with a PIN and an enrolled finger, a token and the finger's id.
fn enrolled() -> (Key, Token, Vec<u8>) {
    let (mut key, token) = ready();
    let id = key.enrol(&token).unwrap();
    (key, token, id)
}

fn list(key: &mut Key, token: &Token) -> Vec<(Vec<u8>, String)> {
    match key.bio(Some(token), ENUMERATE_ENROLLMENTS, &NOTHING) {
        Ok(bio) => bio.enrolled,
        Err(status) => {
            assert_eq!(status, Status::INVALID_OPTION);
            Vec::new()
        }
    }
}

#[test]
fn the_modality_is_fingerprint_and_needs_no_token() {
    let request = Request { get_modality: Some(true), ..Request::default() };
    let bio = Key::with(SENSOR).bio_by(&request).unwrap();
    assert_eq!(bio, Bio { modality: Some(FINGERPRINT), ..Bio::default() });
}

#[test]
fn the_sensor_says_what_it_is_without_a_token() {
    let bio = Key::with(SENSOR).bio(None, GET_FINGERPRINT_SENSOR_INFO, &NOTHING).unwrap();
    assert_eq!(bio, Bio { sensor: Some((TOUCH_SENSOR, 4, MAX_FRIENDLY_NAME as u32)), ..Bio::default() });
}

#[test]
fn the_prototype_is_the_same_command() {
    let mut key = Key::with(SENSOR);
    let request = Request { get_modality: Some(true), ..Request::default() };
    let response = key.call(&message(Command::BIO_ENROLLMENT_PREVIEW, &request));
    assert_eq!(response, [0, 0xA1, 1, 1]);
}

/// 6.7: not supported → INVALID_COMMAND
#[test]
fn a_key_without_a_sensor_does_not_know_the_command() {
    for command in [Command::BIO_ENROLLMENT, Command::BIO_ENROLLMENT_PREVIEW] {
        let request = message(command, &Request { get_modality: Some(true), ..Request::default() });
        assert_eq!(Key::new().status(&request), Status::INVALID_COMMAND);
        let caps = SENSOR.caps.without(Caps::BIO_ENROLL);
        assert_eq!(Key::with(Config { caps, ..SENSOR }).status(&request), Status::INVALID_COMMAND);
    }
}

/// 6.7: modality, subcommand, a protocol or a parameter is missing → MISSING_PARAMETER
/// 6.7: unknown modality or protocol → INVALID_PARAMETER
/// 6.7: unknown subcommand → INVALID_SUBCOMMAND
/// 6.7: no pinUvAuthParam → PUAT_REQUIRED
/// 6.7: wrong MAC → PIN_AUTH_INVALID
#[test]
fn what_is_missing_or_unknown_is_reported_in_order() {
    let (mut key, token) = ready();
    let request = Request { modality: Some(1), sub_command: Some(ENUMERATE_ENROLLMENTS), ..Request::default() };
    let param = Some(&[7; 32][..]);
    for (request, expected) in [
        (Request::default(), Status::MISSING_PARAMETER),
        (Request { modality: None, ..request }, Status::MISSING_PARAMETER),
        (Request { modality: Some(2), ..request }, Status::INVALID_PARAMETER),
        (Request { sub_command: Some(8), ..request }, Status::INVALID_SUBCOMMAND),
        (request, Status::PUAT_REQUIRED),
        (Request { pin_uv_auth_param: param, ..request }, Status::MISSING_PARAMETER),
        (Request { pin_uv_auth_param: param, pin_uv_auth_protocol: Some(3), ..request }, Status::INVALID_PARAMETER),
        (Request { pin_uv_auth_param: param, pin_uv_auth_protocol: Some(2), ..request }, Status::PIN_AUTH_INVALID),
    ] {
        assert_eq!(key.bio_by(&request).unwrap_err(), expected, "{request:?}");
    }
    for sub_command in GATED {
        assert_eq!(key.bio(None, sub_command, &NOTHING).unwrap_err(), Status::PUAT_REQUIRED);
    }
    for sub_command in [ENROLL_CAPTURE_NEXT_SAMPLE, SET_FRIENDLY_NAME, REMOVE_ENROLLMENT] {
        assert_eq!(key.bio(Some(&token), sub_command, &NOTHING).unwrap_err(), Status::MISSING_PARAMETER);
    }
    assert_eq!(key.bio(Some(&token), SET_FRIENDLY_NAME, &template(&[1])).unwrap_err(), Status::MISSING_PARAMETER);
    assert_eq!(key.retries(), (8, false), "no refusal costs a PIN attempt");
}

/// 6.7: no permission be → PIN_AUTH_INVALID
#[test]
fn a_token_without_the_permission_enrols_nothing() {
    let (mut key, _) = ready();
    let token = key.token(Two, PIN, MC.with(GA), None).unwrap();
    for sub_command in GATED {
        let refused = key.bio(Some(&token), sub_command, &named(&[1, 2], "name")).unwrap_err();
        assert_eq!(refused, Status::PIN_AUTH_INVALID);
    }
    assert_eq!(key.engine.enrolls(), None);
}

/// 6.7: a MAC over another subcommand, or other parameters → PIN_AUTH_INVALID
#[test]
fn the_proof_covers_subcommand_and_parameters_as_they_came() {
    let (mut key, token, id) = enrolled();
    let mut encoded = [0; 64];
    let len = keyfob_core::cbor::encode(&named(&id, "one"), &mut encoded).unwrap();
    let signed = encoded[..len].to_vec();
    encoded[len - 1] ^= 1; // "onf"
    for (sub_command, params, valid) in [
        (SET_FRIENDLY_NAME, &encoded[..len], false),
        (REMOVE_ENROLLMENT, &signed[..], false),
        (SET_FRIENDLY_NAME, &signed[..], true),
    ] {
        let parts = [&[1, SET_FRIENDLY_NAME as u8][..], &signed];
        let param = token.authenticate(&keyfob_core::crypto::RustCrypto, Two, &parts);
        let request = Request {
            modality: Some(1),
            sub_command: Some(sub_command),
            sub_command_params: Some(keyfob_core::cbor::RawMap(params)),
            pin_uv_auth_protocol: Some(2),
            pin_uv_auth_param: Some(param.as_bytes()),
            get_modality: None,
        };
        assert_eq!(key.bio_by(&request).err(), (!valid).then_some(Status::PIN_AUTH_INVALID));
    }
    assert_eq!(list(&mut key, &token), [(id, "one".into())]);
}

#[test]
fn an_enrolment_counts_its_samples_down_and_ends_with_a_finger_that_verifies() {
    let (mut key, token) = ready();
    let begun = key.bio(Some(&token), ENROLL_BEGIN, &NOTHING).unwrap();
    assert_eq!(begun.sample, Some((SampleStatus::GOOD, 3)));
    let id = begun.id.unwrap();
    for left in [2, 1, 0] {
        assert!(key.engine.fingerprints().is_empty());
        let next = key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &template(&id)).unwrap();
        assert_eq!((next.id, next.sample), (None, Some((SampleStatus::GOOD, left))));
    }
    assert_eq!((key.engine.fingerprints(), key.engine.enrolls()), (&[[id[0], id[1]]][..], None));
    assert_eq!(list(&mut key, &token), [(id, String::new())]);
    let options = Some(CommandOptions { rk: Some(true), uv: Some(true), ..Default::default() });
    key.make(&make_credential::Request { options, ..registration(b"u") }).unwrap();
    let options = Some(CommandOptions { uv: Some(true), ..Default::default() });
    key.power_cut().get(&get_assertion::Request { options, ..assertion() }).unwrap();
}

#[test]
fn a_sensor_that_needs_one_sample_enrols_at_once() {
    let user_verification = UserVerification { samples: 1, ..UserVerification::TOUCH_SENSOR };
    let mut key = Key::with(Config { user_verification, ..SENSOR });
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, BE, None).unwrap();
    let begun = key.bio(Some(&token), ENROLL_BEGIN, &NOTHING).unwrap();
    assert_eq!(begun.sample, Some((SampleStatus::GOOD, 0)));
    assert_eq!(key.engine.fingerprints().len(), 1);
}

#[test]
fn a_poor_sample_is_a_success_that_leaves_as_many_to_go() {
    for poor in (1..=0x0E).map(SampleStatus) {
        let (mut key, token) = ready();
        key.samples = vec![poor, SampleStatus::GOOD, poor];
        let begun = key.bio(Some(&token), ENROLL_BEGIN, &NOTHING).unwrap();
        assert_eq!(begun.sample, Some((poor, 4)));
        let id = begun.id.unwrap();
        for expected in [(SampleStatus::GOOD, 3), (poor, 3), (SampleStatus::GOOD, 2)] {
            let next = key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &template(&id)).unwrap();
            assert_eq!(next.sample, Some(expected));
        }
    }
}

#[test]
fn without_a_finger_the_time_passes_and_the_enrolment_stays() {
    let (mut key, token) = ready();
    key.user = UserAction::Sleeps;
    let start = key.now;
    let quick = Params { timeout_milliseconds: Some(2_000), ..NOTHING };
    let begun = key.bio(Some(&token), ENROLL_BEGIN, &quick).unwrap();
    assert_eq!(begun.sample, Some((SampleStatus::NO_USER_ACTIVITY, 4)));
    assert_eq!(key.now.since(start), Duration::from_secs(2));
    let id = begun.id.unwrap();
    for millis in [None, Some(u32::MAX)] {
        let start = key.now;
        let slow = Params { timeout_milliseconds: millis, ..template(&id) };
        key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &slow).unwrap();
        assert_eq!(key.now.since(start), USER_ACTION_TIMEOUT);
    }
    key.user = UserAction::Touches;
    let next = key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &template(&id)).unwrap();
    assert_eq!(next.sample, Some((SampleStatus::GOOD, 3)));
}

/// 6.7 enrollCaptureNextSample: declined → OPERATION_DENIED
/// 11.2 CTAPHID_CANCEL: while a sample is awaited → KEEPALIVE_CANCEL
#[test]
fn a_sample_can_be_cancelled_and_declined() {
    let (mut key, token) = ready();
    let id = key.bio(Some(&token), ENROLL_BEGIN, &NOTHING).unwrap().id.unwrap();
    key.user = UserAction::Declines;
    let declined = key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &template(&id)).unwrap_err();
    assert_eq!(declined, Status::OPERATION_DENIED);
    key.user = UserAction::Touches;

    let mut encoded = [0; 16];
    let len = keyfob_core::cbor::encode(&template(&id), &mut encoded).unwrap();
    let parts = [&[1, ENROLL_CAPTURE_NEXT_SAMPLE as u8][..], &encoded[..len]];
    let param = token.authenticate(&keyfob_core::crypto::RustCrypto, Two, &parts);
    let request = Request {
        modality: Some(1),
        sub_command: Some(ENROLL_CAPTURE_NEXT_SAMPLE),
        sub_command_params: Some(keyfob_core::cbor::RawMap(&encoded[..len])),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(param.as_bytes()),
        get_modality: None,
    };
    let request = message(Command::BIO_ENROLLMENT, &request);
    assert_eq!(key.begin(&request), Progress::Pending(Wait::Sample));
    for event in [Event::Tick, Event::Touched, Event::Verified(true)] {
        assert_eq!(key.resume(event), Progress::Pending(Wait::Sample));
    }
    assert_eq!(key.call_cancelled(&request, 1), [Status::KEEPALIVE_CANCEL.0]);
    assert_eq!(key.call(&request)[0], 0, "the enrolment goes on");
}

/// 6.7 enrollCaptureNextSample: after cancelCurrentEnrollment → INVALID_PARAMETER
#[test]
fn an_enrolment_that_is_cancelled_is_gone_and_needs_no_token_for_that() {
    let (mut key, token) = ready();
    let id = key.bio(Some(&token), ENROLL_BEGIN, &NOTHING).unwrap().id.unwrap();
    assert!(key.engine.enrolls().is_some());
    for _ in 0..2 {
        key.bio(None, CANCEL_CURRENT_ENROLLMENT, &NOTHING).unwrap();
        assert_eq!(key.engine.enrolls(), None);
    }
    let next = key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &template(&id));
    assert_eq!(next.unwrap_err(), Status::INVALID_PARAMETER);
}

/// 6.7 enrollCaptureNextSample: after another command, channel or enrolment → INVALID_PARAMETER
#[test]
fn an_enrolment_ends_with_another_command_another_channel_and_another_enrolment() {
    let interruptions: [fn(&mut Key, &Token); 3] = [
        |key, _| drop(key.command(Command::GET_INFO)),
        |key, _| key.engine.channel_changed(),
        |key, token| drop(key.bio(Some(token), ENROLL_BEGIN, &NOTHING).unwrap()),
    ];
    for interrupt in interruptions {
        let (mut key, token) = ready();
        let id = key.bio(Some(&token), ENROLL_BEGIN, &NOTHING).unwrap().id.unwrap();
        interrupt(&mut key, &token);
        let next = key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &template(&id));
        assert_eq!(next.unwrap_err(), Status::INVALID_PARAMETER);
    }
}

/// 6.7 enrollCaptureNextSample: another template id → INVALID_PARAMETER
#[test]
fn a_sample_for_another_template_is_refused() {
    let (mut key, token) = ready();
    key.bio(Some(&token), ENROLL_BEGIN, &NOTHING).unwrap();
    for id in [&[][..], &[1], &[0, 0, 0]] {
        let next = key.bio(Some(&token), ENROLL_CAPTURE_NEXT_SAMPLE, &template(id));
        assert_eq!(next.unwrap_err(), Status::INVALID_PARAMETER);
    }
}

/// 6.7 enrollBegin: no room is left → FP_DATABASE_FULL
#[test]
fn five_fingers_fit_with_the_longest_names_and_the_sixth_does_not() {
    let (mut key, token) = ready();
    let name = "é".repeat(MAX_FRIENDLY_NAME / 2);
    let mut expected = Vec::new();
    for _ in 0..MAX_FINGERPRINTS {
        let id = key.enrol(&token).unwrap();
        key.bio(Some(&token), SET_FRIENDLY_NAME, &named(&id, &name)).unwrap();
        expected.push((id, name.clone()));
    }
    assert_eq!(list(&mut key, &token), expected);
    assert_eq!(key.enrol(&token).unwrap_err(), Status::FP_DATABASE_FULL);
    key.bio(Some(&token), REMOVE_ENROLLMENT, &template(&expected[2].0)).unwrap();
    key.enrol(&token).unwrap();
}

/// 6.7 setFriendlyName: longer than maxTemplateFriendlyName → INVALID_LENGTH
#[test]
fn a_name_is_stored_replaced_and_limited() {
    let (mut key, token, id) = enrolled();
    for name in ["thumb", "left thumb", ""] {
        assert_eq!(key.bio(Some(&token), SET_FRIENDLY_NAME, &named(&id, name)).unwrap(), Bio::default());
        assert_eq!(list(&mut key, &token), [(id.clone(), name.into())]);
    }
    let long = "x".repeat(MAX_FRIENDLY_NAME + 1);
    assert_eq!(key.bio(Some(&token), SET_FRIENDLY_NAME, &named(&id, &long)).unwrap_err(), Status::INVALID_LENGTH);
}

#[test]
fn a_member_of_a_wrong_type_is_refused_and_changes_nothing() {
    let (mut key, token, id) = enrolled();
    let commits = key.store.applied();
    let members: [(u8, &[u8]); 5] = [(1, &[1]), (2, &[5]), (3, &[0xA0]), (4, &[2]), (5, &byte_string(&[0; 32]))];
    for map in each_of_a_wrong_type(&members).into_iter().chain(each_of_a_wrong_type(&[(6, &[0xF5])])) {
        let request = [&[0x09], &map[..]].concat();
        assert_eq!(key.status(&request), Status::CBOR_UNEXPECTED_TYPE, "{request:02x?}");
    }
    let name = [0x61, b'n'];
    for map in each_of_a_wrong_type(&[(1, &byte_string(&id)), (2, &name), (3, &[0x19, 0x75, 0x30])]) {
        let head = authenticated_head(SET_FRIENDLY_NAME);
        let param = token.authenticate(&RustCrypto, Two, &[&head, &map]);
        let refused = key.bio_by(&Request {
            modality: Some(FINGERPRINT),
            sub_command: Some(SET_FRIENDLY_NAME),
            sub_command_params: Some(RawMap(&map)),
            pin_uv_auth_protocol: Some(2),
            pin_uv_auth_param: Some(param.as_bytes()),
            get_modality: None,
        });
        assert_eq!(refused.unwrap_err(), Status::CBOR_UNEXPECTED_TYPE, "{map:02x?}");
    }
    assert_eq!(key.store.applied(), commits);
}

/// 6.7 enumerateEnrollments: no finger is enrolled → INVALID_OPTION
/// 6.7 setFriendlyName, removeEnrollment: unknown template id → INVALID_OPTION
#[test]
fn unknown_templates_and_an_empty_list_are_invalid_options() {
    let (mut key, token) = ready();
    assert_eq!(key.bio(Some(&token), ENUMERATE_ENROLLMENTS, &NOTHING).unwrap_err(), Status::INVALID_OPTION);
    key.enrol(&token).unwrap();
    for id in [&[][..], &[9], &[9; 40]] {
        for sub_command in [SET_FRIENDLY_NAME, REMOVE_ENROLLMENT] {
            let refused = key.bio(Some(&token), sub_command, &named(id, "name")).unwrap_err();
            assert_eq!(refused, Status::INVALID_OPTION);
        }
    }
    assert_eq!(list(&mut key, &token).len(), 1);
}

/// 6.1.2 step 5: uv true, the last fingerprint was removed → INVALID_OPTION
/// 6.5.5 getPinUvAuthTokenUsingUvWithPermissions: the last fingerprint was removed → NOT_ALLOWED
#[test]
fn without_its_last_finger_the_key_does_not_verify_the_user() {
    let (mut key, token, id) = enrolled();
    key.bio(Some(&token), REMOVE_ENROLLMENT, &template(&id)).unwrap();
    assert!(key.engine.fingerprints().is_empty());
    let options = Some(CommandOptions { uv: Some(true), ..Default::default() });
    let request = make_credential::Request { options, ..registration(b"u") };
    assert_eq!(key.make(&request).unwrap_err(), Status::INVALID_OPTION);
    assert_eq!(key.uv_token(Two, GA, None).unwrap_err(), Status::NOT_ALLOWED);
}

#[test]
fn a_reset_forgets_all_fingers() {
    let (mut key, ..) = enrolled();
    assert_eq!(key.command(Command::RESET), [0]);
    assert!(key.engine.fingerprints().is_empty() && key.store.setting(Setting::Fingerprints).is_none());
}

#[test]
fn a_damaged_list_is_a_failure_and_not_an_empty_one() {
    for damaged in [&[1][..], &[1, 2, 5, b'a'], &[1, 2, 1, 0xFF], &[0; 18]] {
        let (key, ..) = enrolled();
        key.store.memory.borrow_mut().commit(&[Change::Set(Setting::Fingerprints, damaged)]).unwrap();
        let failed = Key::try_with(SENSOR, key.store.clone()).map(drop);
        assert_eq!(failed, Err(ConfigError::Store(StoreError::Failed)), "{damaged:?}");
    }
}

/// Cuts the power at the only commit of `command`, before or after it is made; `check` checks the key after power-up.
fn cut(command: impl Fn(&mut Key, &Token, &[u8]) -> Result<Bio, Status>, check: impl Fn(&[(Vec<u8>, String)], bool)) {
    for (fault, made) in [(Fault::Before as fn(u32) -> Fault, false), (Fault::After, true)] {
        let (mut key, token, id) = enrolled();
        key.bio(Some(&token), SET_FRIENDLY_NAME, &named(&id, "old")).unwrap();
        key.store.fail_at(1, fault);
        assert_eq!(command(&mut key, &token, &id).unwrap_err(), Status::OTHER);
        let known = key.engine.fingerprints().to_vec();
        let mut key = key.power_cut();
        assert_eq!(key.engine.fingerprints(), known, "after a failure the list is as it is stored");
        let token = key.token(Two, PIN, BE, None).unwrap();
        check(&list(&mut key, &token), made);
    }
}

#[test]
fn a_finger_is_enrolled_or_not() {
    let enrol = |key: &mut Key, token: &Token, _: &[u8]| key.enrol(token).map(|_| Bio::default());
    cut(enrol, |list, made| {
        assert_eq!((list.len(), &*list[0].1), (1 + usize::from(made), "old"));
    });
}

#[test]
fn a_finger_has_its_old_name_or_the_new_one() {
    let rename = |key: &mut Key, token: &Token, id: &[u8]| key.bio(Some(token), SET_FRIENDLY_NAME, &named(id, "new"));
    cut(rename, |list, made| assert_eq!(list[0].1, if made { "new" } else { "old" }));
}

#[test]
fn a_finger_is_removed_or_not() {
    let remove = |key: &mut Key, token: &Token, id: &[u8]| key.bio(Some(token), REMOVE_ENROLLMENT, &template(id));
    cut(remove, |list, made| assert_eq!(list.is_empty(), made));
}
