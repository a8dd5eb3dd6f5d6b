//! The engine under sequences of well-formed commands, against a model of a key that is small enough to be read.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Instant, Status,
    auth_data::{AuthData, Flags},
    cbor::{self, List, RawMap, Write},
    cose::Algorithm,
    crypto::{Hash, StubCrypto},
    ctap2::{
        self, Command, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, config,
        credential_management as cred_mgmt, get_assertion, large_blobs, make_credential,
    },
    pin_uv::{INITIAL_USAGE_LIMIT, Permissions, Protocol, Token},
};
use keyfob_fuzz::{
    Input,
    key::{Finger, Key, ROOM, message, status},
};
use keyfob_soft_authenticator::engine::{Config, RESET_WINDOW, SEQUENCE_TIMEOUT};
use libfuzzer_sys::fuzz_target;

const RPS: [&str; 2] = ["example.org", "example.com"];
const PINS: [&str; 3] = ["1234", "пароль", "12"];
const PERMISSIONS: [Permissions; 4] =
    [Permissions::MC.with(Permissions::GA), Permissions::CM, Permissions::LBW, Permissions::ACFG];
const HASH: [u8; 32] = [7; 32];
const RETRIES: u64 = 8;

/// A token that has not been presented yet.
struct Held {
    protocol: Protocol,
    token: Token,
    permissions: Permissions,
    issued: Instant,
}

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
    token: Option<Held>,
    always_uv: bool,
    min_pin_length: usize,
    force_pin_change: bool,
    /// The large-blob array.
    blobs: Vec<u8>,
    sign_count: u32,
    /// The last count that is reserved.
    reserved: u32,
    /// Users that getNextAssertion still has to return, the next one last; until when, and with which flags.
    sequence: (Vec<u8>, Instant, Flags),
    powered_up: Instant,
}

impl Model {
    /// A key after a reset.
    fn new(powered_up: Instant) -> Self {
        let blobs = large_blobs::INITIAL_ARRAY.to_vec();
        Self { retries: RETRIES, min_pin_length: 4, blobs, powered_up, ..Self::default() }
    }

    fn too_short(&self, pin: usize) -> bool {
        PINS[pin].chars().count() < self.min_pin_length
    }

    /// What a command answers that needs a token, or that an unprotected key takes from anyone.
    fn authorized(&self, held: Option<&Held>, permission: Permissions, from_anyone: bool) -> Status {
        match held {
            None if from_anyone && self.pin.is_none() && !self.always_uv => Status::OK,
            None => Status::PUAT_REQUIRED,
            Some(held) if held.permissions.has(permission) => Status::OK,
            Some(_) => Status::PIN_AUTH_INVALID,
        }
    }

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
    fn take_token(&mut self, now: Instant, wanted: bool) -> Option<Held> {
        self.token.take_if(|held| now.since(held.issued) >= INITIAL_USAGE_LIMIT);
        self.token.take_if(|_| wanted)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let config = Config { max_msg_size: 1024, ..Config::new([0xAA; 16]) };
    let mut buffer = vec![0; config.buffer_len()];
    let mut key = Key::new(&mut buffer, config);
    let mut model = Model::new(key.now);
    while !input.is_empty() {
        let step = input.byte();
        let (flag, other) = (step & 0x40 != 0, step & 0x80 != 0);
        let protocol = if flag { Protocol::Two } else { Protocol::One };
        if !matches!(step % 32, 5 | 6 | 11 | 12) {
            model.sequence.0.clear();
        }
        match step % 32 {
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
                model.sign_count = model.reserved;
            }
            14 => reset(&mut key, &mut model),
            16..18 => change_credential(&mut key, &mut model, input.byte(), None),
            18..20 => {
                let who = input.byte();
                change_credential(&mut key, &mut model, who, Some(input.byte()));
            }
            20..22 => list(&mut key, &mut model, flag),
            22 | 23 => toggle_always_uv(&mut key, &mut model),
            24 | 25 => set_min_pin_length(&mut key, &mut model, input.byte()),
            26..29 => write_blobs(&mut key, &mut model, input.byte(), flag, other),
            29..32 => read_blobs(&mut key, &model, input.byte()),
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
    let param = token.as_ref().map(|held| held.token.authenticate(&StubCrypto, held.protocol, &[&HASH]));
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
            pin_uv_auth_protocol: token.as_ref().map(|held| held.protocol.number()),
            enterprise_attestation: None,
            attestation_formats_preference: None,
        },
    ));

    let verified = token.is_some();
    let replaced = model.stored.iter().position(|stored| (stored.0, stored.1) == (rp, user));
    let no_room = discoverable && replaced.is_none() && model.stored.len() == ROOM;
    let permitted = model.authorized(token.as_ref(), Permissions::MC, !discoverable || model.pin.is_none());
    let may_go_without = !discoverable && !model.always_uv && !verified;
    let expected = if !permitted.is_ok() && !may_go_without {
        permitted
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
    if model.sign_count == model.reserved {
        model.reserved += u32::from(Config::new([0; 16]).sign_count_block);
    }
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
    let param = token.as_ref().map(|held| held.token.authenticate(&StubCrypto, held.protocol, &[&HASH]));
    let response = key.call(&message(
        Command::GET_ASSERTION,
        &get_assertion::Request {
            allow_list: wrapped.then_some(List::Slice(&list)),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
            pin_uv_auth_protocol: token.as_ref().map(|held| held.protocol.number()),
            ..assertion(rp, true)
        },
    ));

    let users: Vec<u8> = match wrapped {
        true => vec![],
        false => model.stored.iter().rev().filter(|stored| stored.0 == rp).map(|stored| stored.1).collect(),
    };
    let found = if wrapped { model.wrapped[rp].is_some() } else { !users.is_empty() };
    let permitted = model.authorized(token.as_ref(), Permissions::GA, true);
    let may_go_without = !model.always_uv && token.is_none();
    let expected = match found {
        _ if !permitted.is_ok() && !may_go_without => permitted,
        true => Model::touch(key.finger, Status::OK),
        false => Status::NO_CREDENTIALS,
    };
    assert_eq!(status(&response), expected);
    if !expected.is_ok() {
        return;
    }
    model.token = None; // touched
    let flags = Flags::UP.with(Flags::UV, token.is_some());
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
        (None, pin) if model.too_short(pin) => Status::PIN_POLICY_VIOLATION,
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
    if expected.is_ok() && (model.too_short(new) || model.force_pin_change && new == old) {
        expected = Status::PIN_POLICY_VIOLATION;
    }
    assert_eq!(key.set_pin(protocol, Some(PINS[old]), PINS[new]), expected);
    if expected.is_ok() {
        (model.pin, model.token, model.force_pin_change) = (Some(new), None, false);
    }
}

fn token(key: &mut Key<'_>, model: &mut Model, protocol: Protocol, asked: u8) {
    let (pin, permissions) = (usize::from(asked) % 3, PERMISSIONS[usize::from(asked) / 3 % 4]);
    let mut expected = model.attempt(pin);
    if expected.is_ok() && model.force_pin_change {
        expected = Status::PIN_POLICY_VIOLATION;
    }
    let token = key.token(protocol, PINS[pin], permissions);
    assert_eq!(token.as_ref().map_or_else(|status| *status, |_| Status::OK), expected);
    if let Ok(token) = token {
        model.token = Some(Held { protocol, token, permissions, issued: key.now });
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
        *model = Model::new(model.powered_up);
    }
}

/// Subcommand parameters as they go over the wire.
fn encoded<T: Write>(params: &T) -> Vec<u8> {
    let mut buffer = vec![0; 512];
    let len = cbor::encode(params, &mut buffer).expect("small parameters");
    buffer.truncate(len);
    buffer
}

/// A subcommand of credential management with what is left of the token.
fn manage(key: &mut Key<'_>, held: Option<&Held>, sub_command: u64, params: Option<&[u8]>) -> Vec<u8> {
    let head = cred_mgmt::authenticated_head(sub_command);
    let signed: [&[u8]; 2] = [&head, params.unwrap_or_default()];
    let param = held.map(|held| held.token.authenticate(&StubCrypto, held.protocol, &signed));
    key.call(&message(
        Command::CREDENTIAL_MANAGEMENT,
        &cred_mgmt::Request {
            sub_command,
            sub_command_params: params.map(RawMap),
            pin_uv_auth_protocol: held.map(|held| held.protocol.number()),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
        },
    ))
}

/// Deletes a credential, or renames its user.
fn change_credential(key: &mut Key<'_>, model: &mut Model, who: u8, name: Option<u8>) {
    let (rp, user) = (usize::from(who & 1), who >> 1 & 7);
    let at = model.stored.iter().position(|stored| (stored.0, stored.1) == (rp, user));
    let id = at.map_or(vec![1; 32], |at| model.stored[at].2.clone());
    let (user_id, name) = ([user], name.map(|name| format!("{name}")));
    let user = name.as_deref().map(|name| UserEntity { id: &user_id, name: Some(name), display_name: None });
    let descriptor = Some(CredentialDescriptor::new(&id));
    let params = encoded(&cred_mgmt::Params { credential_id: descriptor, user, ..Default::default() });
    let sub_command = match name {
        Some(_) => cred_mgmt::subcommand::UPDATE_USER_INFORMATION,
        None => cred_mgmt::subcommand::DELETE_CREDENTIAL,
    };
    let held = model.take_token(key.now, true);
    let response = manage(key, held.as_ref(), sub_command, Some(&params));
    let expected = match model.authorized(held.as_ref(), Permissions::CM, false) {
        Status::OK if at.is_none() => Status::NO_CREDENTIALS,
        status => status,
    };
    assert_eq!(status(&response), expected);
    if let (Some(at), true, true) = (at, expected.is_ok(), name.is_none()) {
        model.stored.remove(at);
    }
}

/// Lists the credentials of a relying party, to the end and once more.
fn list(key: &mut Key<'_>, model: &mut Model, flag: bool) {
    let rp = usize::from(flag);
    let hash = StubCrypto.sha256(&[RPS[rp].as_bytes()]);
    let params = encoded(&cred_mgmt::Params { rp_id_hash: Some(&hash), ..Default::default() });
    let held = model.take_token(key.now, true);
    let begin = cred_mgmt::subcommand::ENUMERATE_CREDENTIALS_BEGIN;
    let mut response = manage(key, held.as_ref(), begin, Some(&params));
    let expected: Vec<&[u8]> =
        model.stored.iter().rev().filter(|stored| stored.0 == rp).map(|stored| &stored.2[..]).collect();
    let begun = match model.authorized(held.as_ref(), Permissions::CM, false) {
        Status::OK if expected.is_empty() => Status::NO_CREDENTIALS,
        status => status,
    };
    assert_eq!(status(&response), begun);
    if !begun.is_ok() {
        return;
    }
    for id in expected {
        let listed: cred_mgmt::Response<'_> = ctap2::decode_response(&response).expect("a credential");
        assert_eq!(listed.credential_id.map(|listed| listed.id), Some(id));
        response = manage(key, None, cred_mgmt::subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL, None);
    }
    assert_eq!(status(&response), Status::NOT_ALLOWED);
}

fn configure(key: &mut Key<'_>, held: Option<&Held>, sub_command: u64, params: Option<&[u8]>) -> Status {
    let head = config::authenticated_head(sub_command);
    let signed: [&[u8]; 2] = [&head, params.unwrap_or_default()];
    let param = held.map(|held| held.token.authenticate(&StubCrypto, held.protocol, &signed));
    status(&key.call(&message(
        Command::CONFIG,
        &config::Request {
            sub_command,
            sub_command_params: params.map(RawMap),
            pin_uv_auth_protocol: held.map(|held| held.protocol.number()),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
        },
    )))
}

fn toggle_always_uv(key: &mut Key<'_>, model: &mut Model) {
    let held = model.take_token(key.now, true);
    // A key that nobody can get a token of takes it from anyone: this is the way out.
    let expected = match model.pin {
        None => Status::OK,
        Some(_) => model.authorized(held.as_ref(), Permissions::ACFG, false),
    };
    assert_eq!(configure(key, held.as_ref(), config::subcommand::TOGGLE_ALWAYS_UV, None), expected);
    model.always_uv ^= expected.is_ok();
}

fn set_min_pin_length(key: &mut Key<'_>, model: &mut Model, asked: u8) {
    let (length, force) = (usize::from(asked & 0x7F), asked & 0x80 != 0);
    let params = encoded(&config::SetMinPinLength {
        new_min_pin_length: Some(length as u64),
        force_change_pin: Some(force),
        ..Default::default()
    });
    let held = model.take_token(key.now, true);
    let answered = configure(key, held.as_ref(), config::subcommand::SET_MIN_PIN_LENGTH, Some(&params));
    let expected = match model.authorized(held.as_ref(), Permissions::ACFG, true) {
        Status::OK if !(model.min_pin_length..=63).contains(&length) => Status::PIN_POLICY_VIOLATION,
        Status::OK if force && model.pin.is_none() => Status::PIN_NOT_SET,
        status => status,
    };
    assert_eq!(answered, expected);
    if expected.is_ok() {
        model.min_pin_length = length;
        model.force_pin_change |= force || model.pin.is_some_and(|pin| model.too_short(pin));
    }
}

/// Writes an array in two fragments with one token, or only the first, or one with a wrong hash.
fn write_blobs(key: &mut Key<'_>, model: &mut Model, len: u8, damaged: bool, given_up: bool) {
    let mut array = vec![len; usize::from(len) + 1];
    array.extend_from_slice(&StubCrypto.sha256(&[&array])[..large_blobs::HASH_LENGTH]);
    array[0] ^= u8::from(damaged);
    let held = model.take_token(key.now, true);
    let mut offset = 0;
    for fragment in array.chunks(array.len().div_ceil(2)) {
        let head = large_blobs::authenticated_head(offset as u32);
        let signed: [&[u8]; 2] = [&head, &StubCrypto.sha256(&[fragment])];
        let param = held.as_ref().map(|held| held.token.authenticate(&StubCrypto, held.protocol, &signed));
        let request = large_blobs::Request {
            set: Some(fragment),
            offset: Some(offset as u64),
            length: (offset == 0).then_some(array.len() as u64),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
            pin_uv_auth_protocol: held.as_ref().map(|held| held.protocol.number()),
            ..Default::default()
        };
        let answered = status(&key.call(&message(Command::LARGE_BLOBS, &request)));
        offset += fragment.len();
        let expected = match model.authorized(held.as_ref(), Permissions::LBW, true) {
            Status::OK if damaged && offset == array.len() => Status::INTEGRITY_FAILURE,
            status => status,
        };
        assert_eq!(answered, expected);
        if !expected.is_ok() || given_up && offset < array.len() {
            return;
        }
    }
    model.blobs = array;
}

fn read_blobs(key: &mut Key<'_>, model: &Model, offset: u8) {
    let (get, offset) = (64, usize::from(offset));
    let request = large_blobs::Request { get: Some(get), offset: Some(offset as u64), ..Default::default() };
    let response = key.call(&message(Command::LARGE_BLOBS, &request));
    match model.blobs.get(offset..) {
        Some(rest) => {
            let read: large_blobs::Response<'_> = ctap2::decode_response(&response).expect("a fragment");
            assert_eq!(read.config, rest.get(..get as usize).or(Some(rest)));
        }
        None => assert_eq!(status(&response), Status::INVALID_PARAMETER),
    }
}
