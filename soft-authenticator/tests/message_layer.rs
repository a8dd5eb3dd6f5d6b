//! Messages that are damaged, too long or unusual. The answer is an error or valid, nothing panics, and a refused
//! request changes nothing.

use keyfob_core::{
    Status,
    cbor::{List, RawMap, Text},
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::{
        Command, CommandOptions, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, client_pin,
        client_pin::subcommand, get_assertion, make_credential,
    },
    pin_uv::{PaddedPin, Permissions, PinUvAuthProtocol, PinUvAuthProtocol::One, PinUvAuthProtocol::Two},
};
use keyfob_soft_authenticator::{engine::Config, store::Setting};

use super::harness::*;

/// The type bytes that CBOR can have in place of another: integers, strings, containers, tags, simple values, breaks.
const TYPES: [u8; 22] = [
    0x00, 0x01, 0x17, 0x1B, 0x20, 0x3B, 0x40, 0x5B, 0x5F, 0x60, 0x7B, 0x80, 0x9B, 0x9F, 0xA0, 0xBB, 0xBF, 0xC0, 0xF4,
    0xF6, 0xFB, 0xFF,
];

/// A pinUvAuthParam. Without a PIN it is not checked.
fn param(key: &mut Key, pin: bool, permissions: Permissions) -> Vec<u8> {
    if !pin {
        return vec![1; 32];
    }
    let token = key.token(Two, PIN, permissions, Some(RP)).unwrap();
    token.authenticate(&RustCrypto, Two, &[&HASH]).as_bytes().to_vec()
}

/// A makeCredential request with every member.
fn full_registration(key: &mut Key, pin: bool, excluded: &[CredentialDescriptor<'_>]) -> Vec<u8> {
    let param = param(key, pin, MC);
    let parameters = [CredentialParameters::new(Algorithm::RS256), CredentialParameters::new(Algorithm::ES256)];
    let request = make_credential::Request {
        rp: RpEntity { id: RP, name: Some("Example") },
        user: UserEntity { id: b"alice", name: Some("alice"), display_name: Some("Alice") },
        pub_key_cred_params: List::Slice(&parameters),
        exclude_list: Some(List::Slice(excluded)),
        extensions: Some(RawMap(b"\xA1\x6Bhmac-secret\xF5")),
        pin_uv_auth_param: Some(&param),
        pin_uv_auth_protocol: Some(2),
        attestation_formats_preference: Some(List::Slice(&[Text::new("packed")])),
        ..resident(b"alice")
    };
    message(Command::MAKE_CREDENTIAL, &request)
}

fn full_assertion(key: &mut Key, pin: bool, allowed: &[CredentialDescriptor<'_>]) -> Vec<u8> {
    let param = param(key, pin, GA);
    let options = CommandOptions { up: Some(true), uv: Some(false), rk: None };
    let request = get_assertion::Request {
        allow_list: Some(List::Slice(allowed)),
        extensions: Some(RawMap(b"\xA1\x68credBlob\xF5")),
        options: Some(options),
        pin_uv_auth_param: Some(&param),
        pin_uv_auth_protocol: Some(2),
        ..assertion()
    };
    message(Command::GET_ASSERTION, &request)
}

fn full_client_pin(key: &mut Key, protocol: PinUvAuthProtocol, sub_command: u32) -> Vec<u8> {
    let session = key.agree(protocol);
    let new_pin_enc = key.encrypt(&session, PaddedPin::new("5678", 4).unwrap().as_bytes());
    let pin_hash_enc = key.encrypt(&session, &pin_hash(PIN));
    let param = session.shared.authenticate(&RustCrypto, &[&new_pin_enc, &pin_hash_enc]);
    let token = sub_command == subcommand::GET_TOKEN_USING_PIN;
    let request = client_pin::Request {
        pin_uv_auth_param: (!token).then_some(param.as_bytes()),
        new_pin_enc: (!token).then_some(&new_pin_enc[..]),
        pin_hash_enc: Some(&pin_hash_enc),
        permissions: token.then_some(3),
        rp_id: token.then_some(RP),
        ..session.request(sub_command)
    };
    message(Command::CLIENT_PIN, &request)
}

/// Every truncation, every flipped bit, every byte replaced with every type, one byte left out, one byte put in.
fn damaged(request: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut request = request.to_vec();
        change(&mut request);
        request
    };
    let bytes = request.len();
    let cut = (0..bytes).map(move |len| changed(&|request| request.truncate(len)));
    let flipped = (0..bytes * 8).map(move |bit| changed(&|request| request[bit / 8] ^= 1 << (bit % 8)));
    let typed = (0..bytes).flat_map(move |at| TYPES.map(|ty| changed(&|request| request[at] = ty)));
    let shorter = (1..bytes).map(move |at| {
        changed(&|request| {
            request.remove(at);
        })
    });
    let longer = (1..=bytes).flat_map(move |at| [0x00, 0xA0].map(|new| changed(&|request| request.insert(at, new))));
    cut.chain(flipped).chain(typed).chain(shorter).chain(longer)
}

/// A key with two credentials, one of them discoverable, and perhaps a PIN.
fn key(pin: bool) -> (Key, [Made; 2]) {
    let mut key = Key::new();
    let made = [registration(b"wrapped"), resident(b"stored")].map(|request| key.make(&request).unwrap());
    if pin {
        assert_eq!(key.set_pin(Two, PIN), Status::OK);
    }
    (key, made)
}

/// Sends every damaged form of the request that `build` makes and returns how many were refused and answered. A refused
/// request changes nothing, except that it may decrease the PIN retries. A declined touch does not use up the token.
fn survives(pin: bool, user: UserAction, build: impl Fn(&mut Key) -> Vec<u8>) -> (u32, u32) {
    const KEPT: [Setting; 3] = [Setting::Seed, Setting::Pin, Setting::SignCount];
    let mut key = self::key(pin).0;
    let original = build(&mut key);
    let (mut refused, mut answered) = (0, 0);
    for request in damaged(&original) {
        let (commits, credentials) = (key.store.applied(), key.store.credentials());
        let settings = KEPT.map(|setting| key.store.setting(setting));
        let retries = key.store.setting(Setting::PinRetries);
        key.user = user;
        let answer = status(&key.call(&request));
        let unchanged = KEPT.map(|setting| key.store.setting(setting)) == settings;
        if answer.is_ok() {
            answered += 1;
        } else if answer == Status::OPERATION_DENIED {
            answered += 1;
            assert_eq!(key.store.applied(), commits);
        } else {
            refused += 1;
            assert_eq!(key.store.credentials(), credentials);
            assert!(unchanged && key.store.setting(Setting::PinRetries) <= retries);
            assert!(answer == Status::PIN_INVALID || key.store.applied() == commits, "{answer:?} to {request:02x?}");
        }
        let pin_changed = key.store.setting(Setting::Pin) != settings[1];
        if pin_changed || answer == Status::PIN_INVALID || key.store.credentials() == ROOM {
            // The key agreement was used up, or the store is full. A new key lets the next request get as far as this
            // one.
            key = self::key(pin).0;
            assert_eq!(build(&mut key), original);
        }
    }
    (refused, answered)
}

#[test]
fn damaged_registrations_are_refused_or_answered() {
    let other = CredentialDescriptor::new(&[9; 32]);
    let excluded = [CredentialDescriptor { transports: Some(List::Slice(&[Text::new("usb")])), ..other }];
    for (pin, user) in [(false, UserAction::Touches), (true, UserAction::Declines)] {
        let (refused, answered) = survives(pin, user, |key| full_registration(key, pin, &excluded));
        assert!(refused > 5_000 && answered > 500, "{refused} refused, {answered} answered");
    }
}

#[test]
fn damaged_sign_ins_are_refused_or_answered() {
    for (pin, user) in [(false, UserAction::Touches), (true, UserAction::Declines)] {
        let (_, [wrapped, stored]) = key(pin);
        let allowed = [wrapped.descriptor(), stored.descriptor()];
        let (refused, answered) = survives(pin, user, |key| full_assertion(key, pin, &allowed));
        assert!(refused > 3_000 && answered > 500, "{refused} refused, {answered} answered");
    }
}

#[test]
fn damaged_pin_commands_are_refused_or_answered() {
    for (protocol, sub_command) in [
        (One, subcommand::CHANGE_PIN),
        (Two, subcommand::CHANGE_PIN),
        (One, subcommand::GET_TOKEN_USING_PIN),
        (Two, subcommand::GET_TOKEN_USING_PIN),
    ] {
        let (refused, answered) =
            survives(true, UserAction::Touches, |key| full_client_pin(key, protocol, sub_command));
        assert!(refused > 2_000 && answered > 10, "{refused} refused, {answered} answered");
    }
}

/// 8: an empty message → INVALID_LENGTH
/// 8: malformed, not canonical, nested too deep, not UTF-8, or with bytes left over → INVALID_CBOR
/// 8: a member of the wrong type → CBOR_UNEXPECTED_TYPE
/// 8: a required member is missing → MISSING_PARAMETER
/// 8: clientDataHash of another length → INVALID_PARAMETER
/// 8: an unknown member → OK
#[test]
fn the_kind_of_damage_is_told() {
    let mut key = Key::new();
    for (request, expected) in [
        (&b""[..], Status::INVALID_LENGTH),
        (b"\x01", Status::INVALID_CBOR),
        (b"\x01\xA0", Status::MISSING_PARAMETER),
        (b"\x01\x80", Status::CBOR_UNEXPECTED_TYPE),
        (b"\x01\xA1\x01\x00", Status::CBOR_UNEXPECTED_TYPE),
        (b"\x01\xA1\x01\x41\x00", Status::INVALID_PARAMETER), // clientDataHash of another length
        (b"\x01\xA0\x00", Status::MISSING_PARAMETER),
        (b"\x06\xA0\x00", Status::INVALID_CBOR),             // trailing byte
        (b"\x02\xBF\xFF", Status::INVALID_CBOR),             // indefinite length
        (b"\x06\xA1\x18\x02\x01", Status::INVALID_CBOR),     // not the shortest form
        (b"\x06\xA2\x02\x01\x01\x01", Status::INVALID_CBOR), // keys out of order
        (b"\x06\xA2\x02\x01\x02\x01", Status::INVALID_CBOR), // a key twice
        (b"\x06\xA2\x02\x01\x18\x20\xC0\x01", Status::INVALID_CBOR), // a tag
        (b"\x06\xA2\x02\x01\x18\x20\x81\x81\x81\x81\x80", Status::INVALID_CBOR), // too deep
        (b"\x06\xA2\x02\x01\x18\x20\x81\x81\x80", Status::OK), // an unknown member
        (b"\x06\xA1\x02\x61\x01", Status::CBOR_UNEXPECTED_TYPE),
        (b"\x06\xA2\x02\x01\x0A\x61\xFF", Status::INVALID_CBOR), // not UTF-8
    ] {
        assert_eq!(key.status(request), expected, "{request:02x?}");
    }
}

/// 8: an unknown member → OK
///
/// A registration is read again after its touch, so an unknown member must be passed over there too.
#[test]
fn an_unknown_member_stands_before_those_of_a_registration() {
    for rk in [true, false] {
        let mut key = Key::new();
        let request = message(Command::MAKE_CREDENTIAL, &if rk { resident(b"user") } else { registration(b"user") });
        for unknown in [&[0x00, 0x41, 0x00][..], &[0x00, 0xA1, 0x01, 0x02]] {
            let more = [&[request[0], request[1] + 1], unknown, &request[2..]].concat();
            assert_eq!(key.status(&more), Status::OK, "rk {rk}, {unknown:02x?}");
        }
        assert_eq!(key.status(&message(Command::GET_ASSERTION, &assertion())) == Status::OK, rk);
    }
}

/// 8: an unknown command → INVALID_COMMAND
#[test]
fn every_command_byte_that_is_not_a_command_is_unknown() {
    let commands = [0x01, 0x02, 0x04, 0x06, 0x07, 0x08, 0x0A, 0x0B, 0x0C, 0x0D, 0x41];
    for command in (0..=255).filter(|command| !commands.contains(command)) {
        assert_eq!(Key::new().status(&[command, 0xA0]), Status::INVALID_COMMAND, "{command:02x}");
    }
}

/// 8: longer than maxMsgSize → REQUEST_TOO_LARGE
#[test]
fn a_message_longer_than_get_info_says_is_too_large() {
    for max_msg_size in [1024, 1200, 7609] {
        let mut key = Key::with(Config { max_msg_size, ..Config::new([0; 16]) });
        assert_eq!(key.engine.buffer().len(), max_msg_size);
        let longest = vec![0x04; max_msg_size];
        assert_eq!(key.status(&longest), Status::OK);
        for len in [max_msg_size + 1, max_msg_size + 768, 70_000] {
            assert_eq!(key.status(&vec![0x04; len]), Status::REQUEST_TOO_LARGE);
        }
    }
}

#[test]
fn transports_of_any_number_and_length_are_read_over() {
    let long = "x".repeat(7_000);
    let many = vec![Text::new("usb"); 1_800];
    let mut key = Key::new();
    for transports in [&[Text::new("usb")][..], &many, &[Text::new(&long)], &[]] {
        let transports = Some(List::Slice(transports));
        let list = [CredentialDescriptor { transports, ..CredentialDescriptor::new(&[9; 32]) }];
        let request = message(
            Command::MAKE_CREDENTIAL,
            &make_credential::Request { exclude_list: Some(List::Slice(&list)), ..registration(b"u") },
        );
        assert!(request.len() <= 7_609);
        assert_eq!(key.status(&request), Status::OK);
        let request = get_assertion::Request { allow_list: Some(List::Slice(&list)), ..assertion() };
        assert_eq!(key.get(&request).unwrap_err(), Status::NO_CREDENTIALS);
    }
}

#[test]
fn ten_kilobytes_of_transports_fit_where_the_message_size_allows_them() {
    let mut key = Key::with(Config { max_msg_size: 16_384, ..Config::new([0; 16]) });
    let made = key.make(&registration(b"u")).unwrap();
    let many = vec![Text::new("hybrid"); 1_500];
    let list = [CredentialDescriptor { transports: Some(List::Slice(&many)), ..made.descriptor() }];
    let request = get_assertion::Request { allow_list: Some(List::Slice(&list)), ..assertion() };
    assert!(message(Command::GET_ASSERTION, &request).len() > 10_000);
    assert!(key.get(&request).unwrap().is_by(&made));
}

/// 6.1.2 step 3: 300 algorithms, none supported → UNSUPPORTED_ALGORITHM
#[test]
fn lists_of_any_length_are_read() {
    let mut key = Key::new();
    let parameters: Vec<_> = (0..300).map(|alg| CredentialParameters::new(Algorithm(-300 - alg))).collect();
    let mut last = parameters.clone();
    last.push(CredentialParameters::new(Algorithm::ES256));
    for (list, expected) in [(parameters, Status::UNSUPPORTED_ALGORITHM), (last, Status::OK)] {
        let request = make_credential::Request { pub_key_cred_params: List::Slice(&list), ..registration(b"u") };
        assert_eq!(key.status(&message(Command::MAKE_CREDENTIAL, &request)), expected);
    }
    let formats = vec![Text::new("none"); 1_000];
    let attestation_formats_preference = Some(List::Slice(&formats[..]));
    key.make(&make_credential::Request { attestation_formats_preference, ..registration(b"u") }).unwrap();
}
