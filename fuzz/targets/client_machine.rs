//! Ceremonies with arbitrary inputs in arbitrary order. An engine answers their requests; its answers are passed on,
//! changed or replaced.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Status,
    client::{
        Cause, Ceremony, GetAssertion, GetOptions, Input as Happened, MakeCredential, MakeOptions, Operation, Output,
        Requirement,
    },
    cose::Algorithm,
    crypto::StubCrypto,
    ctap2::{CredentialParameters, RpEntity, UserEntity},
    pin_uv::PinUvAuthProtocol,
};
use keyfob_fuzz::{
    Input, edit,
    key::{Key, key, rng},
};
use keyfob_soft_authenticator::engine::Config;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;

const HASH: [u8; 32] = [7; 32];
const PINS: [&str; 4] = ["1234", "123", "wrong", "é\0"];

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let flags = input.byte();
    let requirement = match flags >> 4 & 3 {
        0 => Requirement::Discouraged,
        1 => Requirement::Required,
        _ => Requirement::Preferred,
    };
    let user = UserEntity { id: b"user", name: Some("name"), display_name: None };
    let rp = RpEntity { id: "example.org", name: None };
    let mut make = MakeOptions::new(&HASH, rp, user, const { &[CredentialParameters::new(Algorithm::ES256)] });
    make.user_verification = requirement;
    make.resident_key = if flags & 1 == 0 { Requirement::Required } else { Requirement::Preferred };
    let mut get = GetOptions::new("example.org", &HASH);
    get.user_verification = requirement;
    get.user_presence = flags & 8 == 0;

    let config = Config { max_msg_size: 1024, ..Config::new([0xAA; 16]) };
    let mut key_buffer = vec![0; config.buffer_len()];
    let mut key = key(&mut key_buffer, config);
    if flags & 2 != 0 {
        assert_eq!(key.set_pin(PinUvAuthProtocol::Two, PINS[0]), Status::OK);
    }
    let mut buffer = vec![0; 1000 + usize::from(input.byte()) * 16];
    if flags & 4 != 0 {
        // Two credentials, so that there is an account to choose.
        for id in [b"user", b"more"] {
            let user = UserEntity { id, ..user };
            let options = MakeOptions { user, ..make };
            let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
            wander(ceremony, &mut key, &mut Input(&[]));
        }
        wander(Ceremony::new(GetAssertion::new(&get), &mut buffer, StubCrypto, rng()), &mut key, &mut input);
    } else {
        wander(Ceremony::new(MakeCredential::new(&make), &mut buffer, StubCrypto, rng()), &mut key, &mut input);
    }
});

/// Steps a ceremony with the inputs from the fuzzer. When they are used up, with the inputs that the ceremony waits
/// for.
fn wander<O: Operation>(
    mut ceremony: Ceremony<'_, O, StubCrypto, ChaCha8Rng>,
    key: &mut Key<'_>,
    input: &mut Input<'_>,
) {
    let mut started = false;
    let mut expected = Happened::Time;
    let mut answer = Vec::new();
    let mut failed = None;
    let mut done = false;
    let mut steps = 0;
    while !(input.is_empty() && (done || failed.is_some())) {
        steps += 1;
        assert!(!input.is_empty() || steps < 10_000, "a ceremony without an end");
        let kind = if input.is_empty() { 0 } else { input.byte() };
        let happened = match kind {
            0..=143 if !started => Happened::Start,
            0..=127 => std::mem::replace(&mut expected, Happened::Time),
            128..=143 => {
                edit(input, &mut [&mut answer]);
                std::mem::replace(&mut expected, Happened::Time)
            }
            144..=159 => {
                answer = input.slice().to_vec();
                Happened::Response(answer.len())
            }
            160 => Happened::Start,
            161..=167 => Happened::Response(input.word()),
            168..=175 => Happened::KeepAlive(input.byte().into()),
            176..=191 => Happened::Pin(PINS[usize::from(input.byte() % 4)]),
            192..=199 => Happened::NoPin,
            200..=207 => Happened::UserVerification(input.byte() & 1 == 0),
            208..=215 => Happened::Reconnected,
            216..=223 => Happened::TransportFailed,
            224..=231 => Happened::Cancel,
            _ => Happened::Time,
        };
        // When a question is not answered, the ceremony's own timeout ends it.
        let millis = match kind {
            _ if input.is_empty() => 1000,
            0..64 => 1,
            _ => u64::from(input.byte()) * 64,
        };
        key.now = key.now.plus(Duration::from_millis(millis));
        started |= matches!(happened, Happened::Start);
        match ceremony.step(key.now, happened) {
            Ok(output) => {
                assert_eq!(failed, None, "it had failed");
                match output {
                    Output::Send(exchange) => {
                        assert!(!done && exchange.len > 0 && exchange.len <= exchange.buf.len());
                        answer = key.call(exchange.request());
                        expected = Happened::Time;
                    }
                    Output::Wait { buf, .. } => {
                        // The response goes into the machine's buffer.
                        for (to, from) in buf.iter_mut().zip(&answer) {
                            *to = *from;
                        }
                        expected = Happened::Response(answer.len());
                    }
                    Output::AskPin(_) | Output::AskNewPin(_) => expected = Happened::Pin(PINS[0]),
                    Output::AskUv(_) => expected = Happened::UserVerification(true),
                    Output::Reconnect => {
                        key.engine.power_cycle(key.now).expect("the store works");
                        expected = Happened::Reconnected;
                    }
                    Output::Show(_) | Output::CancelDevice => expected = Happened::Time,
                    Output::Done => done = true,
                    other => panic!("an output that this target does not know: {other:?}"),
                }
            }
            Err(error) if error.cause == Cause::WrongState => {
                assert!(failed.is_none());
                // An input that was not expected changes nothing.
                expected = Happened::Time;
            }
            Err(error) => {
                assert!(!done, "{error:?} after it was done");
                assert!(failed.is_none_or(|before| before == error));
                failed = Some(error);
            }
        }
    }
    assert_eq!(ceremony.finish().err(), failed);
}
