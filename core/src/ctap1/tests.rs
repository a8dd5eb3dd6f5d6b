//! Messages of U2F from python-fido2 tests/test_ctap1.py, in both length encodings, and malformed ones.

use proptest::prelude::*;

use super::*;
use crate::vectors::hex;

const VERSION_REQUEST: &str = "000300000000000000";
const CHALLENGE: &str = "4142d21c00d94ffb9d504ada8f99b721f4b191ae4e37ca0140f696b6983cfacb";
const APPLICATION: &str = "f0e6a6a97042a4f1f1c87f5f7d44315b2d852c2df5c7991cc66241bf7072d1c4";
const REGISTER_RESPONSE: &str = include_str!("../../vectors/u2f_register_response.hex");
const AUTHENTICATE_CHALLENGE: &str = "ccd6ee2e47baef244d49a222db496bad0ef5b6f93aa7cc4d30c4821b3b9dbc57";
const AUTHENTICATE_APPLICATION: &str = "4b0be934baebb5d12d26011b69227fa5e86df94e7d94aa2949a89f2d493992ca";
const AUTHENTICATE_RESPONSE: &str = "0100000001304402204b5f0cd17534cedd8c34ee09570ef542a353df4436030ce43d406de870b847780220267bb998fac9b7266eb60e7cb0b5eabdfd5ba9614f53c7b22272ec10047a923f9000";

fn register_request() -> Vec<u8> {
    hex(&["00010000000040", CHALLENGE, APPLICATION, "0000"].concat())
}

fn authenticate_request() -> Vec<u8> {
    let key_handle = "03".repeat(64);
    hex(&["00020300000081", AUTHENTICATE_CHALLENGE, AUTHENTICATE_APPLICATION, "40", &key_handle, "0000"].concat())
}

fn written(encode: impl FnOnce(&mut [u8]) -> Result<usize, Overflow>) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let len = encode(&mut buffer).unwrap();
    buffer[..len].to_vec()
}

#[test]
fn requests_are_written_as_they_were_read() {
    let (register, authenticate, version) = (register_request(), authenticate_request(), hex(VERSION_REQUEST));
    for bytes in [&register, &authenticate, &version] {
        let request = Request::decode(bytes).unwrap();
        assert_eq!(&written(|buffer| request.encode(buffer)), bytes);
    }
    assert_eq!(Request::decode(&version), Ok(Request::Version));
    let Ok(Request::Register { control: Control::NONE, challenge, application }) = Request::decode(&register) else {
        panic!("no registration")
    };
    assert_eq!((challenge.to_vec(), application.to_vec()), (hex(CHALLENGE), hex(APPLICATION)));
    let Ok(Request::Authenticate { control, challenge, application, key_handle }) = Request::decode(&authenticate)
    else {
        panic!("no authentication")
    };
    assert_eq!((control, key_handle), (Control::ENFORCE_USER_PRESENCE, &[3; 64][..]));
    let expected = (hex(AUTHENTICATE_CHALLENGE), hex(AUTHENTICATE_APPLICATION));
    assert_eq!((challenge.to_vec(), application.to_vec()), expected);
}

#[test]
fn a_registration_is_written_as_it_was_read() {
    let bytes = hex(REGISTER_RESPONSE.trim());
    let response = RegisterResponse::decode(&bytes).unwrap();
    assert_eq!(response.public_key[..4], [0x04, 0xB1, 0x74, 0xBC]);
    assert_eq!((response.key_handle.len(), response.certificate.len(), response.signature.len()), (64, 320, 71));
    assert_eq!(written(|buffer| response.encode(buffer)), bytes);
}

#[test]
fn an_authentication_is_written_as_it_was_read() {
    let bytes = hex(AUTHENTICATE_RESPONSE);
    let response = AuthenticateResponse::decode(&bytes).unwrap();
    assert_eq!((response.user_presence, response.counter, response.signature.len()), (1, 1, 70));
    assert_eq!(written(|buffer| response.encode(buffer)), bytes);
}

#[test]
fn a_version_is_text_and_a_status() {
    let bytes = hex("5532465f56329000");
    assert_eq!(response_data(&bytes), Ok(VERSION));
    assert_eq!(written(|buffer| encode_status(VERSION, StatusWord::NO_ERROR, buffer)), bytes);
}

#[test]
fn short_and_extended_lengths_mean_the_same() {
    let data = [CHALLENGE, APPLICATION].concat();
    let expected = Request::decode(&register_request()).map(|request| format!("{request:?}"));
    for apdu in [
        format!("0001000040{data}"),
        format!("0001000040{data}00"),
        format!("00010000000040{data}"),
        format!("00010000000040{data}0000"),
    ] {
        let bytes = hex(&apdu);
        assert_eq!(Request::decode(&bytes).map(|request| format!("{request:?}")), expected, "{apdu}");
    }
    for apdu in ["00030000", "0003000000", "00030000000000", VERSION_REQUEST] {
        assert_eq!(Request::decode(&hex(apdu)), Ok(Request::Version), "{apdu}");
    }
}

#[test]
fn the_expected_length_is_as_long_as_its_encoding_allows() {
    for (apdu, expected) in [
        ("00030000", 0),
        ("0003000000", 256),
        ("0003000007", 7),
        ("00030000000000", 65_536),
        ("00030000000100", 256),
        ("0003000001aa", 0),
        ("0003000001aa05", 5),
        ("00030000000001aa", 0),
        ("00030000000001aa0005", 5),
    ] {
        assert_eq!(Apdu::decode(&hex(apdu)).unwrap().expected, expected, "{apdu}");
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    for apdu in
        ["", "000300", "0003000002aa", "0003000001aabbcc", "000300000000", "00030000000002aa", "00030000000001aabb"]
    {
        assert_eq!(Request::decode(&hex(apdu)), Err(RequestError::Length), "{apdu}");
    }
    assert_eq!(RequestError::Length.status_word(), StatusWord::WRONG_LENGTH);
}

#[test]
fn another_class_instruction_or_length_of_data_is_refused() {
    let decode = |apdu: &str| Request::decode(&hex(apdu)).unwrap_err();
    assert_eq!(decode("80030000"), RequestError::Class(0x80));
    assert_eq!(decode("80030000").status_word(), StatusWord::CLA_NOT_SUPPORTED);
    assert_eq!(decode("00040000"), RequestError::Instruction(0x04));
    assert_eq!(decode("00040000").status_word(), StatusWord::INS_NOT_SUPPORTED);
    assert_eq!(decode("0003000001aa"), RequestError::Length);
    assert_eq!(decode("00010000"), RequestError::Length);
    assert_eq!(decode(&format!("000100003f{}", "00".repeat(63))), RequestError::Length);
    assert_eq!(decode(&format!("0001000041{}", "00".repeat(65))), RequestError::Length);
    assert_eq!(decode(&format!("0002030040{}", "00".repeat(64))), RequestError::Length);
    assert_eq!(decode(&format!("0002030041{}01", "00".repeat(64))), RequestError::Length);
}

#[test]
fn a_request_that_ends_early_is_refused() {
    for bytes in [register_request(), authenticate_request()] {
        // Without both bytes of the expected length the APDU is complete again.
        let whole = bytes.len() - 2;
        for len in (0..bytes.len()).filter(|len| *len != whole) {
            assert_eq!(Request::decode(&bytes[..len]), Err(RequestError::Length), "{len}");
        }
        assert!(Request::decode(&bytes[..whole]).is_ok());
    }
}

#[test]
fn a_response_that_ends_early_is_refused() {
    let (register, authenticate) = (hex(REGISTER_RESPONSE.trim()), hex(AUTHENTICATE_RESPONSE));
    let success = StatusWord::NO_ERROR.0.to_be_bytes();
    for len in 0..register.len() - 2 {
        let cut = [&register[..len], &success].concat();
        assert_eq!(RegisterResponse::decode(&cut), Err(ResponseError::Length), "{len}");
        assert!(RegisterResponse::decode(&register[..len]).is_err());
    }
    for len in 0..authenticate.len() - 2 {
        let cut = [&authenticate[..len], &success].concat();
        assert_eq!(AuthenticateResponse::decode(&cut), Err(ResponseError::Length), "{len}");
        assert!(AuthenticateResponse::decode(&authenticate[..len]).is_err());
    }
}

#[test]
fn other_responses_are_refused_with_a_reason() {
    let register = hex(REGISTER_RESPONSE.trim());
    let error = |at: usize, byte: u8| {
        let mut changed = register.clone();
        changed[at] = byte;
        RegisterResponse::decode(&changed).map(|response| response.key_handle.to_vec())
    };
    assert_eq!(error(0, 0x04), Err(ResponseError::Reserved(4)));
    assert_eq!(error(131, 0x31), Err(ResponseError::Der));
    assert_eq!(error(132, 0x80), Err(ResponseError::Der));
    let longer = [&register[..register.len() - 2], b"\x00\x90\x00"].concat();
    assert_eq!(RegisterResponse::decode(&longer), Err(ResponseError::Length));
    for status in [0x6985, 0x6A80, 0x6700, 0x6E00, 0x6D00, 0x1234] {
        let bytes = written(|buffer| encode_status(&[], StatusWord(status), buffer));
        assert_eq!(response_data(&bytes), Err(ResponseError::Status(StatusWord(status))));
        assert_eq!(AuthenticateResponse::decode(&bytes), Err(ResponseError::Status(StatusWord(status))));
    }
    assert_eq!(StatusWord(0x6985).to_string(), "CONDITIONS_NOT_SATISFIED (0x6985)");
    assert_eq!(StatusWord(0x1234).to_string(), "status word 0x1234");
}

#[test]
fn messages_with_any_bit_flipped_are_refused_or_read_as_others() {
    for mut bytes in
        [register_request(), authenticate_request(), hex(REGISTER_RESPONSE.trim()), hex(AUTHENTICATE_RESPONSE)]
    {
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            survives(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Whatever can be read is written and read again.
fn survives(bytes: &[u8]) {
    if let Ok(request) = Request::decode(bytes) {
        assert_eq!(Request::decode(&written(|buffer| request.encode(buffer))), Ok(request));
    }
    if let Ok(response) = RegisterResponse::decode(bytes) {
        assert_eq!(written(|buffer| response.encode(buffer)), bytes);
    }
    if let Ok(response) = AuthenticateResponse::decode(bytes) {
        assert_eq!(written(|buffer| response.encode(buffer)), bytes);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        survives(&bytes);
    }

    #[test]
    fn any_request_comes_back(
        control: u8, challenge: [u8; 32], application: [u8; 32],
        key_handle in proptest::collection::vec(any::<u8>(), 0..=MAX_KEY_HANDLE),
    ) {
        let (control, challenge, application) = (Control(control), &challenge, &application);
        for request in [
            Request::Register { control, challenge, application },
            Request::Authenticate { control, challenge, application, key_handle: &key_handle },
        ] {
            let bytes = written(|buffer| request.encode(buffer));
            prop_assert_eq!(Request::decode(&bytes), Ok(request));
        }
    }

    #[test]
    fn any_response_comes_back(
        head in proptest::collection::vec(any::<u8>(), 65), user_presence: u8, counter: u32,
        key_handle in proptest::collection::vec(any::<u8>(), 0..=MAX_KEY_HANDLE),
        content in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let length = (content.len() as u16).to_be_bytes();
        let certificate = [&[0x30, 0x82], &length[..], &content].concat();
        let response = RegisterResponse {
            public_key: head.first_chunk().unwrap(),
            key_handle: &key_handle,
            certificate: &certificate,
            signature: &[0x30, 0x01, 0xAA],
        };
        let bytes = written(|buffer| response.encode(buffer));
        prop_assert_eq!(RegisterResponse::decode(&bytes), Ok(response));
        let response = AuthenticateResponse { user_presence, counter, signature: &certificate };
        let bytes = written(|buffer| response.encode(buffer));
        prop_assert_eq!(AuthenticateResponse::decode(&bytes), Ok(response));
    }
}
