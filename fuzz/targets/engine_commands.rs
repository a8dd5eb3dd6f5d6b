//! The engine under sequences of well-formed commands, against a model of a key that is small enough to be read.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Instant, Status,
    auth_data::{AuthData, Flags},
    cbor::List,
    cose::Algorithm,
    crypto::StubCrypto,
    ctap2::{
        self, Command, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, get_assertion, make_credential,
    },
    pin_uv::{INITIAL_USAGE_LIMIT, Protocol, Token},
};
use keyfob_fuzz::{
    Input,
    key::{Finger, Key, ROOM, message, status},
};
use keyfob_soft_authenticator::engine::{Config, RESET_WINDOW, SEQUENCE_TIMEOUT};
use libfuzzer_sys::fuzz_target;

const RPS: [&str; 2] = ["example.org", "example.com"];
const PINS: [&str; 3] = ["1234", "пароль", "12"];
const TOO_SHORT: usize = 2;
const HASH: [u8; 32] = [7; 32];
const RETRIES: u64 = 8;

/// What a key ought to know.
#[derive(Default)]
struct Model {
    pin: Option<usize>,
    retries: u64,
    strikes: u8,
    /// Relying party, user and id of every discoverable credential, oldest first.
    stored: Vec<(usize, u8, Vec<u8>)>,
    /// An id that is not discoverable, of each relying party.
    wrapped: [Option<Vec<u8>>; 2],
    /// One that has not been presented yet, and when it was issued.
    token: Option<(Protocol, Token, Instant)>,
    sign_count: u32,
    /// Users that getNextAssertion still has to return, the next one last; until when, and with which flags.
    sequence: (Vec<u8>, Instant, Flags),
    powered_up: Instant,
}

impl Model {
    /// What a PIN attempt answers; counts it.
    fn attempt(&mut self, pin: usize) -> Status {
        match (self.pin, self.retries, self.strikes) {
            (None, ..) => Status::PIN_NOT_SET,
            (_, 0, _) => Status::PIN_BLOCKED,
            (_, _, 3) => Status::PIN_AUTH_BLOCKED,
            (Some(right), ..) if right == pin => {
                (self.retries, self.strikes) = (RETRIES, 0);
                Status::OK
            }
            _ => {
                (self.retries, self.strikes) = (self.retries - 1, self.strikes + 1);
                match (self.retries, self.strikes) {
                    (0, _) => Status::PIN_BLOCKED,
                    (_, 3) => Status::PIN_AUTH_BLOCKED,
                    _ => Status::PIN_INVALID,
                }
            }
        }
    }

    /// What waiting for a touch answers, when it is `in_time`.
    fn touch(finger: Finger, in_time: Status) -> Status {
        if finger == Finger::Touches { in_time } else { Status::OPERATION_DENIED }
    }

    /// A token, if one is to be presented.
    fn take_token(&mut self, now: Instant, wanted: bool) -> Option<(Protocol, Token)> {
        self.token.take_if(|(_, _, issued)| now.since(*issued) >= INITIAL_USAGE_LIMIT);
        self.token.take_if(|_| wanted).map(|(protocol, token, _)| (protocol, token))
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let config = Config { max_msg_size: 1024, ..Config::new([0xAA; 16]) };
    let mut buffer = vec![0; config.buffer_len()];
    let mut key = Key::new(&mut buffer, config);
    let mut model = Model { retries: RETRIES, powered_up: key.now, ..Model::default() };
    while !input.is_empty() {
        let step = input.byte();
        let (flag, other) = (step & 0x40 != 0, step & 0x80 != 0);
        let protocol = if flag { Protocol::Two } else { Protocol::One };
        if !matches!(step % 16, 5 | 6 | 11 | 12) {
            model.sequence.0.clear();
        }
        match step % 16 {
            0 | 1 => make(&mut key, &mut model, input.byte(), flag, other),
            2 | 3 => get(&mut key, &mut model, input.byte(), flag, other),
            4 => silent(&mut key, &mut model, flag),
            5 | 6 => next(&mut key, &mut model),
            7 => set_pin(&mut key, &mut model, protocol, input.byte()),
            8 => change_pin(&mut key, &mut model, protocol, input.byte()),
            9 | 10 => token(&mut key, &mut model, protocol, input.byte()),
            11 => {
                key.finger = match input.byte() % 4 {
                    0 => Finger::Declines,
                    1 => Finger::Sleeps,
                    _ => Finger::Touches,
                }
            }
            12 => key.now = key.now.plus(Duration::from_millis(250) * input.byte().into()),
            13 => {
                key.engine.power_cycle(key.now).expect("the store works");
                (model.strikes, model.token, model.powered_up) = (0, None, key.now);
            }
            14 => reset(&mut key, &mut model),
            _ => {
                // Garbage. A touch would use up the token, a reset would forget everything.
                let command = Command(input.byte());
                if ![Command::RESET, Command::SELECTION].contains(&command) {
                    key.call(&[command.0, input.byte(), 0x61]);
                }
            }
        }
        // After every step but those in the middle of a sequence, which any other command would end.
        if model.sequence.0.is_empty() {
            assert_eq!(key.retries(), (model.retries, model.strikes >= 3));
        }
        assert_eq!(key.engine.store().credentials(), model.stored.len());
    }
});

fn make(key: &mut Key<'_>, model: &mut Model, who: u8, discoverable: bool, with_token: bool) {
    let (rp, user) = (usize::from(who & 1), who >> 1 & 7);
    let exclude = model.stored.iter().find(|stored| stored.0 == rp && who & 0x80 != 0).map(|stored| stored.2.clone());
    let list: Vec<_> = exclude.iter().map(|id| CredentialDescriptor::new(id)).collect();
    let token = model.take_token(key.now, with_token);
    let param = token.as_ref().map(|(protocol, token)| token.authenticate(&StubCrypto, *protocol, &[&HASH]));
    let response = key.call(&message(
        Command::MAKE_CREDENTIAL,
        &make_credential::Request {
            client_data_hash: &HASH,
            rp: RpEntity { id: RPS[rp], name: None },
            user: UserEntity { id: &[user], name: None, display_name: None },
            pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
            exclude_list: exclude.is_some().then_some(List::Slice(&list)),
            extensions: None,
            options: Some(make_credential::Options { rk: Some(discoverable), ..Default::default() }),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
            pin_uv_auth_protocol: token.as_ref().map(|(protocol, _)| protocol.number()),
            enterprise_attestation: None,
            attestation_formats_preference: None,
        },
    ));

    let verified = token.is_some() && model.pin.is_some();
    let replaced = model.stored.iter().position(|stored| (stored.0, stored.1) == (rp, user));
    let no_room = discoverable && replaced.is_none() && model.stored.len() == ROOM;
    let expected = if discoverable && model.pin.is_some() && !verified {
        Status::PUAT_REQUIRED
    } else if exclude.is_some() {
        Status::CREDENTIAL_EXCLUDED
    } else {
        Model::touch(key.finger, if no_room { Status::KEY_STORE_FULL } else { Status::OK })
    };
    assert_eq!(status(&response), expected);
    if expected.is_ok() || expected == Status::KEY_STORE_FULL {
        model.token = None; // touched
    }
    if !expected.is_ok() {
        return;
    }
    let response: make_credential::Response<'_> = ctap2::decode_response(&response).expect("a response");
    let auth_data = AuthData::decode(response.auth_data).expect("authenticator data");
    assert_eq!((auth_data.flags.has(Flags::UV), auth_data.sign_count), (verified, model.sign_count));
    let id = auth_data.attested_credential_data.expect("a credential").credential_id.to_vec();
    if discoverable {
        replaced.map(|at| model.stored.remove(at));
        model.stored.push((rp, user, id));
    } else {
        model.wrapped[rp] = Some(id);
    }
}

fn assertion<'a>(rp: usize, up: bool) -> get_assertion::Request<'a> {
    get_assertion::Request {
        rp_id: RPS[rp],
        client_data_hash: &HASH,
        allow_list: None,
        extensions: None,
        options: Some(get_assertion::Options { up: Some(up), ..Default::default() }),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

/// Checks an assertion for `user`, and how many there are.
fn check(model: &mut Model, response: &[u8], user: Option<u8>, number: Option<u64>, flags: Flags) {
    let response: get_assertion::Response<'_> = ctap2::decode_response(response).expect("a response");
    let auth_data = AuthData::decode(response.auth_data).expect("authenticator data");
    model.sign_count += 1;
    assert_eq!((auth_data.sign_count, auth_data.flags), (model.sign_count, flags));
    assert_eq!(response.user.map(|user| user.id.to_vec()), user.map(|user| vec![user]));
    assert_eq!(response.number_of_credentials, number);
}

fn get(key: &mut Key<'_>, model: &mut Model, who: u8, wrapped: bool, with_token: bool) {
    let rp = usize::from(who & 1);
    let id = model.wrapped[rp].clone().unwrap_or(vec![0; 60]);
    let list = [CredentialDescriptor::new(&id)];
    let token = model.take_token(key.now, with_token);
    let param = token.as_ref().map(|(protocol, token)| token.authenticate(&StubCrypto, *protocol, &[&HASH]));
    let response = key.call(&message(
        Command::GET_ASSERTION,
        &get_assertion::Request {
            allow_list: wrapped.then_some(List::Slice(&list)),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
            pin_uv_auth_protocol: token.as_ref().map(|(protocol, _)| protocol.number()),
            ..assertion(rp, true)
        },
    ));

    let users: Vec<u8> = match wrapped {
        true => vec![],
        false => model.stored.iter().rev().filter(|stored| stored.0 == rp).map(|stored| stored.1).collect(),
    };
    let found = if wrapped { model.wrapped[rp].is_some() } else { !users.is_empty() };
    let expected = if found { Model::touch(key.finger, Status::OK) } else { Status::NO_CREDENTIALS };
    assert_eq!(status(&response), expected);
    if !expected.is_ok() {
        return;
    }
    model.token = None; // touched
    let flags = Flags::UP.with(Flags::UV, token.is_some() && model.pin.is_some());
    let number = (users.len() > 1).then_some(users.len() as u64);
    check(model, &response, users.first().copied(), number, flags);
    model.sequence = (users.into_iter().skip(1).rev().collect(), key.now.plus(SEQUENCE_TIMEOUT), flags);
}

/// A probe for the credential that is not discoverable, without a touch.
fn silent(key: &mut Key<'_>, model: &mut Model, flag: bool) {
    let rp = usize::from(flag);
    let Some(id) = model.wrapped[rp].clone() else { return };
    let list = [CredentialDescriptor::new(&id)];
    let request = get_assertion::Request { allow_list: Some(List::Slice(&list)), ..assertion(rp, false) };
    let response = key.call(&message(Command::GET_ASSERTION, &request));
    check(model, &response, None, None, Flags(0));
}

fn next(key: &mut Key<'_>, model: &mut Model) {
    let response = key.call(&[Command::GET_NEXT_ASSERTION.0]);
    if key.now >= model.sequence.1 {
        model.sequence.0.clear();
    }
    match model.sequence.0.pop() {
        Some(user) => {
            model.sequence.1 = key.now.plus(SEQUENCE_TIMEOUT);
            check(model, &response, Some(user), None, model.sequence.2);
        }
        None => assert_eq!(status(&response), Status::NOT_ALLOWED),
    }
}

fn set_pin(key: &mut Key<'_>, model: &mut Model, protocol: Protocol, pin: u8) {
    let pin = usize::from(pin) % 3;
    let expected = match (model.pin, pin) {
        (Some(_), _) => Status::PIN_AUTH_INVALID,
        (None, TOO_SHORT) => Status::PIN_POLICY_VIOLATION,
        (None, _) => Status::OK,
    };
    assert_eq!(key.set_pin(protocol, None, PINS[pin]), expected);
    if expected.is_ok() {
        (model.pin, model.retries, model.strikes) = (Some(pin), RETRIES, 0);
    }
}

fn change_pin(key: &mut Key<'_>, model: &mut Model, protocol: Protocol, pins: u8) {
    let (old, new) = (usize::from(pins) % 3, usize::from(pins) / 3 % 3);
    let mut expected = model.attempt(old);
    if expected.is_ok() && new == TOO_SHORT {
        expected = Status::PIN_POLICY_VIOLATION;
    }
    assert_eq!(key.set_pin(protocol, Some(PINS[old]), PINS[new]), expected);
    if expected.is_ok() {
        (model.pin, model.token) = (Some(new), None);
    }
}

fn token(key: &mut Key<'_>, model: &mut Model, protocol: Protocol, pin: u8) {
    let pin = usize::from(pin) % 3;
    let expected = model.attempt(pin);
    let token = key.token(protocol, PINS[pin]);
    assert_eq!(token.as_ref().map_or_else(|status| *status, |_| Status::OK), expected);
    if let Ok(token) = token {
        model.token = Some((protocol, token, key.now));
    }
}

fn reset(key: &mut Key<'_>, model: &mut Model) {
    let expected = match key.finger {
        _ if key.now.since(model.powered_up) >= RESET_WINDOW => Status::NOT_ALLOWED,
        Finger::Touches => Status::OK,
        Finger::Declines => Status::OPERATION_DENIED,
        Finger::Sleeps => Status::USER_ACTION_TIMEOUT,
    };
    assert_eq!(status(&key.call(&[Command::RESET.0])), expected);
    if expected.is_ok() {
        *model = Model { retries: RETRIES, powered_up: model.powered_up, ..Model::default() };
    }
}
