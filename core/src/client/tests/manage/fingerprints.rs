//! Fingerprints.

use super::*;
use crate::ctap2::bio_enrollment::{Params, Request, SampleStatus, subcommand::*};

fn sensor<const N: usize>(script: [Vec<u8>; N]) -> Device<StubCrypto> {
    scripted(|options| options.bio_enroll = Some(false), script)
}

fn enroll(device: &mut Device<StubCrypto>, user: &mut User) -> (Result<Vec<u8>, Cause>, Vec<Sample>) {
    let mut samples = Vec::new();
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(Enroll::new(Some(9000)), &mut buffer, StubCrypto, rng());
    let template = run_with(ceremony, device, user, |sample| samples.push(sample)).map(<[u8]>::to_vec);
    (template, samples)
}

/// The subcommands and parameters that were sent, their proofs checked.
fn checked(device: &Device<StubCrypto>, command: Command) -> Vec<(u32, Vec<u8>)> {
    let requests = sent(device, command);
    let read = |request: &Vec<u8>| {
        let request: Request = crate::cbor::decode(request).unwrap();
        let params = request.sub_command_params.map_or(&[][..], |params| params.0);
        let sub_command = request.sub_command.unwrap();
        if let Some(param) = request.pin_uv_auth_param {
            assert_eq!(param, device.proof(&[&[1, sub_command as u8], params]));
        }
        assert_eq!(request.modality, Some(1));
        (sub_command, request.params().unwrap().template_id.unwrap_or_default().to_vec())
    };
    requests.iter().map(read).collect()
}

#[test]
fn a_finger_is_enrolled_sample_by_sample() {
    let bad = ok_hex("a205070601"); // poor quality: nothing is gained
    let mut device = sensor([
        ok("bio_enrollment_enroll_begin"),
        ok("bio_enrollment_enroll_next"),
        bad,
        ok("bio_enrollment_enroll_last"),
    ]);
    let (template, samples) = enroll(&mut device, &mut User::manager([PIN]));
    assert_eq!(template.unwrap(), hex("6896"));
    let good = |remaining| Sample { status: SampleStatus::GOOD, remaining };
    assert_eq!(samples, [good(2), good(1), Sample { status: SampleStatus::POOR_QUALITY, remaining: 1 }, good(0)]);
    let next = (ENROLL_CAPTURE_NEXT_SAMPLE, hex("6896"));
    let expected = [(ENROLL_BEGIN, vec![]), next.clone(), next.clone(), next];
    assert_eq!(checked(&device, Command::BIO_ENROLLMENT), expected);
    assert_eq!(device.permissions, [u64::from(Permissions::BE.0)]);
}

#[test]
fn a_finger_that_takes_one_sample_is_enrolled() {
    let mut device = sensor([ok_hex("a30442689605000600")]);
    let (template, samples) = enroll(&mut device, &mut User::manager([PIN]));
    assert_eq!((template.unwrap(), samples.len()), (hex("6896"), 1));
}

#[test]
fn a_buffer_that_is_too_short_for_a_later_request_says_what_it_has_to_be() {
    // A template id of 600 bytes is kept in front, and is a part of the next request.
    let begun = [ok_hex("a304590258"), vec![7; 600], hex("05000601")].concat();
    let enroll_in = |buffer: &mut [u8]| {
        let mut device = sensor([begun.clone(), ok_hex("a205000600")]);
        let ceremony = Ceremony::new(Enroll::new(None), buffer, StubCrypto, rng());
        run_op(ceremony, &mut device).map(<[u8]>::to_vec)
    };
    let Err(Cause::BufferTooSmall { needed }) = enroll_in(&mut [0; 1024]) else { panic!("it should not fit") };
    assert_eq!(enroll_in(&mut vec![0; needed - 1]), Err(Cause::BufferTooSmall { needed }));
    assert_eq!(enroll_in(&mut vec![0; needed]), Ok(vec![7; 600]));
}

#[test]
fn an_enrolment_whose_token_runs_out_is_an_error() {
    let mut device = sensor([ok("bio_enrollment_enroll_begin"), vec![Status::PIN_AUTH_INVALID.0]]);
    let (template, samples) = enroll(&mut device, &mut User::manager([PIN, PIN]));
    assert_eq!((template, samples.len()), (Err(status(Status::PIN_AUTH_INVALID)), 1));
}

/// Steps an enrolment to its first sample.
fn begun<'b>(
    buffer: &'b mut [u8],
    device: &mut Device<StubCrypto>,
) -> Ceremony<'b, Enroll, StubCrypto, rand_chacha::ChaCha8Rng> {
    let mut ceremony = Ceremony::new(Enroll::new(None), buffer, StubCrypto, rng());
    let mut input = Input::Start;
    loop {
        input = match ceremony.step(at(0), input).unwrap() {
            Output::Send(exchange) => Input::Response(answered(exchange, device)),
            Output::AskPin(_) => Input::Pin(PIN),
            Output::Item(sample) => {
                assert_eq!(sample.remaining, 2);
                return ceremony;
            }
            other => panic!("{other:?}"),
        };
    }
}

fn answered(exchange: Exchange<'_>, device: &mut Device<StubCrypto>) -> usize {
    let response = device.answer(exchange.request());
    exchange.buf[..response.len()].copy_from_slice(&response);
    response.len()
}

const CANCEL_CURRENT: &str = "a201010203";

#[test]
fn an_enrolment_that_the_user_cancels_is_ended_on_the_authenticator() {
    // While a sample is shown.
    let mut device = sensor([ok("bio_enrollment_enroll_begin"), vec![0]]);
    let mut buffer = [0; 1024];
    let mut ceremony = begun(&mut buffer, &mut device);
    assert_eq!(ceremony.step(at(1), Input::Response(1)).unwrap_err().cause, Cause::WrongState);
    let Ok(Output::Send(exchange)) = ceremony.step(at(1), Input::Cancel) else { panic!() };
    assert_eq!(exchange.request()[1..], hex(CANCEL_CURRENT));
    let len = answered(exchange, &mut device);
    assert_eq!(ceremony.step(at(2), Input::Response(len)).unwrap_err().cause, Cause::Cancelled);

    // While the sensor waits for a finger: first the request, then the enrolment. Also when the time is up.
    for (input, now, cause) in [(Input::Cancel, 1, Cause::Cancelled), (Input::Time, 300_000, Cause::Timeout)] {
        let mut device = sensor([ok("bio_enrollment_enroll_begin"), ok("bio_enrollment_enroll_next"), vec![0]]);
        let mut ceremony = begun(&mut buffer, &mut device);
        let Ok(Output::Send(exchange)) = ceremony.step(at(0), Input::Time) else { panic!() };
        answered(exchange, &mut device);
        assert!(matches!(ceremony.step(at(now), input), Ok(Output::CancelDevice)));
        let Ok(Output::Send(exchange)) = ceremony.step(at(now + 2_999), Input::Response(1)) else { panic!() };
        assert_eq!(exchange.request()[1..], hex(CANCEL_CURRENT));
        assert!(matches!(ceremony.step(at(now + 5_998), Input::Time), Ok(Output::Wait { .. })));
        assert_eq!(ceremony.step(at(now + 5_999), Input::Time).unwrap_err().cause, cause);
    }

    // Before it has begun there is nothing to end.
    let mut user = User { cancels_at: Some(2), ..User::manager([PIN]) };
    let (result, _) = enroll(&mut device, &mut user);
    assert_eq!(result, Err(Cause::Cancelled));
    assert_eq!(device.commands().last(), Some(&Command::CLIENT_PIN.0));
}

#[test]
fn an_unfinished_enrolment_can_be_ended() {
    let mut device = sensor([ok("bio_enrollment_enroll_begin"), vec![0]]);
    let mut buffer = [0; 1024];
    drop(begun(&mut buffer, &mut device));
    let ceremony = Ceremony::new(CancelEnrollment::new(), &mut buffer, StubCrypto, rng());
    run_op(ceremony, &mut device).unwrap();
    assert_eq!(device.requests.last().unwrap()[1..], hex(CANCEL_CURRENT));
}

#[test]
fn the_sensor_is_described_without_the_user() {
    let mut device = sensor([ok("bio_enrollment_sensor_info")]);
    device.options.always_uv = Some(true);
    let mut buffer = [0; 1024];
    let info = run_op(Ceremony::new(SensorInfo::new(), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    assert_eq!((info.fingerprint_kind, info.max_capture_samples_required_for_enroll), (Some(1), Some(4)));
    assert!(sent(&device, Command::CLIENT_PIN).is_empty());
}

#[test]
fn what_is_enrolled_is_listed() {
    let mut device = sensor([ok("bio_enrollment_enumerate")]);
    let mut buffer = [0; 1024];
    let list = run_op(Ceremony::new(ListFingerprints::new(), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    let names: Vec<_> = list.iter().map(|info| (info.template_id, info.template_friendly_name.unwrap())).collect();
    let ids = ["cea3", "bf5e", "5ed2"].map(hex);
    assert_eq!(names, [(&ids[0][..], "finger1"), (&ids[1][..], "finger2"), (&ids[2][..], "finger3")]);
    assert_eq!(checked(&device, Command::BIO_ENROLLMENT), [(ENUMERATE_ENROLLMENTS, vec![])]);
}

#[test]
fn where_nothing_is_enrolled_the_list_is_empty() {
    let mut device = sensor([vec![Status::INVALID_OPTION.0]]);
    let mut buffer = [0; 1024];
    let list = run_op(Ceremony::new(ListFingerprints::new(), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    assert!(list.is_empty());
}

#[test]
fn a_template_is_named_and_removed() {
    let mut device = sensor([vec![0], vec![0], vec![Status::INVALID_OPTION.0]]);
    let mut buffer = [0; 1024];
    let rename = Ceremony::new(ChangeFingerprints::rename(b"id", "thumb"), &mut buffer, StubCrypto, rng());
    run_op(rename, &mut device).unwrap();
    let request: Request = crate::cbor::decode(device.last()).unwrap();
    let expected = Params { template_id: Some(b"id"), template_friendly_name: Some("thumb"), ..Params::default() };
    assert_eq!(request.params(), Ok(expected));
    checked(&device, Command::BIO_ENROLLMENT);
    run_op(Ceremony::new(ChangeFingerprints::remove(b"id"), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    let remove = Ceremony::new(ChangeFingerprints::remove(b"no id"), &mut buffer, StubCrypto, rng());
    assert_eq!(run_op(remove, &mut device), Err(status(Status::INVALID_OPTION)));
    let sub_commands: Vec<_> = sent(&device, Command::BIO_ENROLLMENT);
    assert_eq!(sub_commands.len(), 3);
}

#[test]
fn the_prototype_of_an_older_authenticator_is_used() {
    let script = [ok("bio_enrollment_enumerate")];
    let mut device = scripted(|options| options.user_verification_mgmt_preview = Some(true), script);
    let mut buffer = [0; 1024];
    run_op(Ceremony::new(ListFingerprints::new(), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    assert_eq!(checked(&device, Command::BIO_ENROLLMENT_PREVIEW).len(), 1);
}

#[cfg(feature = "rustcrypto")]
#[test]
fn published_proofs_are_made() {
    use crate::crypto::RustCrypto;
    let mut device = Device::managed(RustCrypto);
    device.options.bio_enroll = Some(true);
    device.token_bytes = Some(vec![0x11; 32]);
    device.script = [ok("bio_enrollment_enumerate")].into();
    let mut buffer = [0; 1024];
    run_op(Ceremony::new(ListFingerprints::new(), &mut buffer, RustCrypto, rng()), &mut device).unwrap();
    let request: Request = crate::cbor::decode(device.last()).unwrap();
    let published = hex("37df1de180faa6ebdf6d0813114a622ec49d1e467a2d4da3da60425d852322b1");
    assert_eq!(request.pin_uv_auth_param.unwrap(), published);
}

#[test]
fn a_cancellation_that_comes_when_the_finger_is_enrolled_comes_too_late() {
    let mut device = sensor([ok_hex("a30442689605000600")]);
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(Enroll::new(None), &mut buffer, StubCrypto, rng());
    let mut input = Input::Start;
    loop {
        input = match ceremony.step(at(0), input).unwrap() {
            Output::Send(exchange) => Input::Response(answered(exchange, &mut device)),
            Output::AskPin(_) => Input::Pin(PIN),
            Output::Item(sample) => {
                assert_eq!(sample.remaining, 0);
                Input::Cancel
            }
            Output::Done => break,
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(ceremony.finish().unwrap(), hex("6896"));
}
