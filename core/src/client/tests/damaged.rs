//! Every damage to every response: cut anywhere, any bit flipped, any item of another type. A typed error or a result,
//! and the buffer serves the next ceremony.

use super::{
    hostile::{MakeDevice, Run, ceremonies, exchanges},
    *,
};
use crate::{
    cbor::{ErrorKind, Read},
    client::{Assertion, Attestation},
    ctap2::{Command, ResponseError, client_pin, decode_response, get_assertion, get_info, make_credential},
    vectors::{self, value::Value},
};

fn cuts(response: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..response.len()).map(|len| response[..len].to_vec())
}

fn flips(response: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..response.len() * 8).map(|bit| {
        let mut flipped = response.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// A response without a body has no types.
fn types(response: &[u8]) -> Vec<Vec<u8>> {
    let values = response.get(1..).filter(|body| !body.is_empty()).map(Value::parse);
    values.iter().flat_map(Value::with_other_types).map(|body| [vec![0], body.encode()].concat()).collect()
}

/// The error in a response to `command`, if it can be seen without knowing the ceremony.
fn error_in(command: u8, response: &[u8]) -> Option<ResponseError> {
    match Command(command) {
        Command::GET_INFO => decode_response::<get_info::Response<'_>>(response).err(),
        Command::CLIENT_PIN => decode_response::<client_pin::Response<'_>>(response).err(),
        Command::MAKE_CREDENTIAL => decode_response::<make_credential::Response<'_>>(response).err(),
        Command::GET_ASSERTION | Command::GET_NEXT_ASSERTION => {
            decode_response::<get_assertion::Response<'_>>(response).err()
        }
        other => panic!("{other:?} is not sent"),
    }
}

/// Whether two responses to `command` are read as the same.
fn read_alike(command: u8, left: &[u8], right: &[u8]) -> bool {
    fn alike<'a, T: Read<'a> + PartialEq>(left: &'a [u8], right: &'a [u8]) -> bool {
        decode_response::<T>(left).ok() == decode_response::<T>(right).ok()
    }
    match Command(command) {
        Command::GET_INFO => alike::<get_info::Response<'_>>(left, right),
        Command::CLIENT_PIN => alike::<client_pin::Response<'_>>(left, right),
        Command::MAKE_CREDENTIAL => alike::<make_credential::Response<'_>>(left, right),
        Command::GET_ASSERTION | Command::GET_NEXT_ASSERTION => alike::<get_assertion::Response<'_>>(left, right),
        other => panic!("{other:?} is not sent"),
    }
}

/// Runs a ceremony in which the response number `index` to `command` is `damaged`, and then, on the same buffer, an
/// undisturbed one.
fn outcome((device, run): (MakeDevice, Run), index: usize, command: u8, damaged: Vec<u8>) -> Result<usize, Error> {
    let expected = error_in(command, &damaged);
    let mut buffer = [0; 1024];
    let mut tampered = device();
    tampered.tampered = Some((index, damaged));
    let result = run(&mut tampered, &mut buffer);
    assert!(tampered.requests.len() < 20, "a ceremony without an end");
    match (result, expected) {
        // Some statuses are no reason to stop; others are told as they are.
        (_, None | Some(ResponseError::Status(_))) => {}
        (Err(error), Some(expected)) => assert_eq!(error.cause, Cause::from(expected), "{:02x?}", tampered.tampered),
        (Ok(_), Some(expected)) => panic!("went on after {expected:?}: {:02x?}", tampered.tampered),
    }
    if let Err(error) = result {
        assert_eq!(error.code, error.cause.code());
        assert!(is_of_the_authenticator(error.cause), "{error}: {:02x?}", tampered.tampered);
    }
    assert!(run(&mut device(), &mut buffer).is_ok(), "the next ceremony failed after {:02x?}", tampered.tampered);
    result
}

/// Whether what an authenticator answers can be the cause, and not what the caller does.
fn is_of_the_authenticator(cause: Cause) -> bool {
    !matches!(cause, Cause::Transport | Cause::Cancelled | Cause::Timeout | Cause::WrongState | Cause::InvalidOption(_))
}

#[test]
fn every_truncation_of_every_response_is_a_typed_error() {
    for ceremony in ceremonies() {
        for (index, (request, response)) in exchanges(ceremony.0, ceremony.1).into_iter().enumerate() {
            for cut in cuts(&response) {
                let error = outcome(ceremony, index, request[0], cut).expect_err("a response was cut");
                let truncated = matches!(error.cause, Cause::Decode(error) if error.kind() == ErrorKind::Truncated);
                assert!(truncated || error.cause == Cause::EmptyResponse, "{error}");
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_every_response_is_a_typed_error_or_read_as_another() {
    for ceremony in ceremonies() {
        for (index, (request, response)) in exchanges(ceremony.0, ceremony.1).into_iter().enumerate() {
            for (bit, flipped) in flips(&response).enumerate() {
                let result = outcome(ceremony, index, request[0], flipped.clone());
                // The head of the map: another type, items that are not there, or items too many.
                if bit / 8 == 1 {
                    assert!(result.is_err(), "{flipped:02x?}");
                }
                // No two responses of one length that a bit tells apart say the same.
                if error_in(request[0], &flipped).is_none() {
                    assert!(!read_alike(request[0], &flipped, &response), "{flipped:02x?}");
                }
            }
        }
    }
}

#[test]
fn every_item_of_another_type_in_every_response_is_a_typed_error_or_read_as_another() {
    for ceremony in ceremonies() {
        for (index, (request, response)) in exchanges(ceremony.0, ceremony.1).into_iter().enumerate() {
            let results: Vec<_> =
                types(&response).into_iter().map(|other| outcome(ceremony, index, request[0], other)).collect();
            assert!(results.iter().filter(|result| result.is_err()).count() >= results.len() / 4, "{index}");
        }
    }
}

/// Responses with members that the small authenticator never sends.
#[test]
fn every_damage_to_every_vector_of_a_response_is_a_typed_error_or_read_as_another() {
    let mut seen = 0;
    for vector in vectors::all() {
        let command = match vector.ty {
            "get_info::Response" => Command::GET_INFO,
            "client_pin::Response" => Command::CLIENT_PIN,
            "make_credential::Response" => Command::MAKE_CREDENTIAL,
            "get_assertion::Response" => Command::GET_ASSERTION,
            _ => continue,
        };
        seen += 1;
        let response = [&[0], &vector.bytes[..]].concat();
        let ceremony = ceremonies()[usize::from(command == Command::GET_ASSERTION)];
        let exchanges = exchanges(ceremony.0, ceremony.1);
        for (index, (request, _)) in exchanges.iter().enumerate().filter(|(_, (request, _))| request[0] == command.0) {
            for damaged in cuts(&response).chain(flips(&response)).chain(types(&response)) {
                let _ = outcome(ceremony, index, request[0], damaged);
            }
        }
    }
    assert!(seen >= 10, "{seen}");
}

/// A response with one member more, the one at `at` once more.
fn with_twice(response: &[u8], at: usize) -> Vec<u8> {
    let mut entries = Value::parse(response).entries().to_vec();
    entries.push(entries[at].clone());
    [vec![0], Value::Map(entries).encode()].concat()
}

#[test]
fn a_response_that_has_a_member_twice_is_refused_but_for_get_info() {
    let twice = |name: &str| {
        let bytes = vectors::bytes(name);
        let count = Value::parse(&bytes).entries().len();
        (0..count).map(move |at| with_twice(&bytes, at)).collect::<Vec<_>>()
    };
    let refused = |cause: Cause| matches!(cause, Cause::Decode(error) if error.kind() == ErrorKind::KeyOrder);
    for name in ["make_credential_self", "make_credential_x5c"] {
        let response = [&[0], &vectors::bytes(name)[..]].concat();
        assert!(Attestation::decode(&response, true).is_ok());
        for response in twice(name) {
            assert!(Attestation::decode(&response, true).is_err_and(refused), "{name}");
        }
    }
    let response = [&[0], &vectors::bytes("get_assertion_2_0")[..]].concat();
    assert!(Assertion::decode(&response, Some(b"id"), true).is_ok());
    for response in twice("get_assertion_2_0") {
        assert!(Assertion::decode(&response, Some(b"id"), true).is_err_and(refused));
    }
    for response in twice("get_info_2_0") {
        assert!(decode_response::<get_info::Response<'_>>(&response).is_ok());
    }
}
