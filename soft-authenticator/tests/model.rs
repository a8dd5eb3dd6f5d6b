//! Random sequences of commands against a model of a security key that is small enough to be read.

use keyfob_core::{
    Instant, Status,
    auth_data::Flags,
    cbor::List,
    ctap2::{
        self, Command, CredentialDescriptor, RpEntity, UserEntity, config,
        credential_management::{Params, Response, subcommand},
        get_assertion,
        large_blobs::INITIAL_ARRAY,
        make_credential,
    },
    extensions::{GetAssertionInputs, MakeCredentialInputs, cred_protect::Level},
    pin_uv::{INITIAL_USAGE_LIMIT, MAX_USAGE_PERIOD, Permissions, Protocol, Protocol::One, Protocol::Two, Token},
};
use proptest::{collection::vec, prelude::*};

use super::harness::*;

const RPS: [&str; 2] = ["example.org", "example.com"];
const PINS: [&str; 4] = ["1234", "пароль", "12", "longest of all"];
const PERMISSIONS: [Permissions; 6] = [MC.with(GA), CM, LBW, ACFG, CM.with(ACFG), MC.with(GA).with(LBW)];
/// What the large-blob array may have, in bytes.
const CAPACITY: usize = 1024;

#[derive(Clone, Copy, Debug)]
enum Step {
    Make { rp: usize, user: u8, resident: bool, token: bool, extensions: Option<Extensions> },
    Get { rp: usize, token: bool, silent: bool, wrapped: bool },
    Next,
    SetPin(usize),
    ChangePin(usize, usize),
    Token { pin: usize, permissions: Permissions, rp: Option<usize> },
    Metadata,
    ListRps,
    List(usize),
    NextListed(bool),
    Delete(usize, u8),
    Update(usize, u8, u8),
    ToggleAlwaysUv,
    MinPin { length: Option<u64>, force: bool },
    ReadBlobs { offset: usize, get: usize },
    WriteBlobs { len: usize, piece: usize, damaged: bool, given_up: bool },
    Finger(Finger),
    PowerCut,
    Reset,
    Garbage(u8, u8),
}

/// What a registration asks for.
#[derive(Clone, Copy, Debug, Default)]
struct Extensions {
    level: u64,
    blob: Option<u8>,
    blob_key: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let fingers = [Finger::Touches, Finger::Touches, Finger::Touches, Finger::Declines, Finger::Sleeps];
    let (rp, user, pin) = (0..2usize, 1..7u8, 0..4usize);
    let extensions = proptest::option::of((1..=3u64, any::<Option<u8>>(), proptest::bool::weighted(0.3)))
        .prop_map(|asked| asked.map(|(level, blob, blob_key)| Extensions { level, blob, blob_key }));
    prop_oneof![
        6 => (rp.clone(), user.clone(), any::<bool>(), any::<bool>(), extensions)
            .prop_map(|(rp, user, resident, token, extensions)| Step::Make { rp, user, resident, token, extensions }),
        5 => (rp.clone(), any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(rp, token, silent, wrapped)| Step::Get { rp, token, silent, wrapped }),
        3 => Just(Step::Next),
        2 => pin.clone().prop_map(Step::SetPin),
        1 => (pin.clone(), pin.clone()).prop_map(|(old, new)| Step::ChangePin(old, new)),
        8 => (pin, 0..PERMISSIONS.len(), proptest::option::weighted(0.2, rp.clone()))
            .prop_map(|(pin, index, rp)| Step::Token { pin, permissions: PERMISSIONS[index], rp }),
        1 => Just(Step::Metadata),
        1 => Just(Step::ListRps),
        2 => rp.clone().prop_map(Step::List),
        2 => any::<bool>().prop_map(Step::NextListed),
        2 => (rp.clone(), user.clone()).prop_map(|(rp, user)| Step::Delete(rp, user)),
        2 => (rp, user, 0..4u8).prop_map(|(rp, user, name)| Step::Update(rp, user, name)),
        1 => Just(Step::ToggleAlwaysUv),
        1 => (proptest::option::of(prop_oneof![3..9u64, Just(64)]), proptest::bool::weighted(0.3))
            .prop_map(|(length, force)| Step::MinPin { length, force }),
        1 => (0..40usize, 0..CAPACITY).prop_map(|(offset, get)| Step::ReadBlobs { offset, get }),
        2 => (17..CAPACITY + 20, 1..CAPACITY, proptest::bool::weighted(0.2), proptest::bool::weighted(0.2)).prop_map(
            |(len, piece, damaged, given_up)| Step::WriteBlobs { len, piece: piece.max(100), damaged, given_up }
        ),
        2 => (0..fingers.len()).prop_map(move |finger| Step::Finger(fingers[finger])),
        1 => Just(Step::PowerCut),
        1 => Just(Step::Reset),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(command, byte)| Step::Garbage(command, byte)),
    ]
}

/// A discoverable credential.
#[derive(Clone, Debug)]
struct Stored {
    rp: usize,
    user: u8,
    id: Vec<u8>,
    name: Option<String>,
    asked: Extensions,
    large_blob_key: Option<Vec<u8>>,
}

/// A token, as the key sees it.
struct Held {
    protocol: Protocol,
    token: Token,
    permissions: Permissions,
    rp: Option<usize>,
    /// The bench's clock stands still but for touches that do not come.
    issued: Instant,
    used: bool,
}

/// What the next command of a sequence returns, the next one last.
#[derive(Debug, PartialEq)]
enum Sequence {
    Users(Vec<u8>, bool),
    Rps(Vec<usize>),
    Credentials(Vec<Vec<u8>>),
}

/// What a key ought to know.
struct Model {
    pin: Option<usize>,
    retries: u64,
    strikes: u8,
    always_uv: bool,
    min_pin_length: usize,
    force_pin_change: bool,
    /// The oldest first.
    stored: Vec<Stored>,
    /// The id and protection of one that is not discoverable, of each relying party.
    wrapped: [Option<(Vec<u8>, u64)>; 2],
    blobs: Vec<u8>,
    token: Option<Held>,
    sign_count: u32,
    sequence: Option<Sequence>,
}

impl Model {
    fn new() -> Self {
        Self {
            pin: None,
            retries: 8,
            strikes: 0,
            always_uv: false,
            min_pin_length: 4,
            force_pin_change: false,
            stored: Vec::new(),
            wrapped: [None, None],
            blobs: INITIAL_ARRAY.to_vec(),
            token: None,
            sign_count: 0,
            sequence: None,
        }
    }

    /// What a PIN attempt answers; counts it.
    fn attempt(&mut self, pin: usize) -> Status {
        match (self.pin, self.retries, self.strikes) {
            (None, ..) => Status::PIN_NOT_SET,
            (_, 0, _) => Status::PIN_BLOCKED,
            (_, _, 3) => Status::PIN_AUTH_BLOCKED,
            (Some(right), ..) if right == pin => {
                (self.retries, self.strikes) = (8, 0);
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

    fn too_short(&self, pin: usize) -> bool {
        PINS[pin].chars().count() < self.min_pin_length
    }

    /// Presents the token to a registration or a sign-in, which binds it. Whether it is taken.
    fn verify(&mut self, permission: Permissions, rp: usize) -> bool {
        let Some(held) = &mut self.token else { return false };
        held.used = true;
        let taken = held.permissions.has(permission) && held.rp.is_none_or(|bound| bound == rp);
        if taken {
            held.rp = Some(rp);
        }
        taken
    }

    /// Presents the token to a management command, always under protocol two.
    fn authorize(&mut self, permission: Permissions) -> Status {
        match &mut self.token {
            None => Status::PUAT_REQUIRED,
            Some(held) if held.protocol == Two => {
                held.used = true;
                if held.permissions.has(permission) { Status::OK } else { Status::PIN_AUTH_INVALID }
            }
            Some(_) => Status::PIN_AUTH_INVALID,
        }
    }

    /// The same where nobody needs a token of a key without user verification.
    fn authorize_if_protected(&mut self, permission: Permissions) -> Status {
        if self.pin.is_some() || self.always_uv { self.authorize(permission) } else { Status::OK }
    }

    /// The same for credential management, which heeds what the token is bound to.
    fn authorize_cm(&mut self, rp: Option<usize>) -> Status {
        let bound = self.token.as_ref().and_then(|held| held.rp);
        match self.authorize(CM) {
            Status::OK if bound.is_some() && bound != rp => Status::PIN_AUTH_INVALID,
            status => status,
        }
    }

    /// The user has touched: of the token only the right to write large blobs is left.
    fn touched(&mut self) {
        if let Some(held) = &mut self.token {
            held.permissions = if held.permissions.has(LBW) { LBW } else { Permissions::default() };
        }
    }

    /// Credentials of a relying party that may be seen, newest first.
    fn visible(&self, rp: usize, verified: bool) -> Vec<&Stored> {
        let seen = |stored: &&Stored| stored.rp == rp && (verified || stored.asked.level <= 1);
        self.stored.iter().rev().filter(seen).collect()
    }

    fn find(&self, rp: usize, user: u8) -> Option<&Stored> {
        self.stored.iter().find(|stored| (stored.rp, stored.user) == (rp, user))
    }
}

fn code<T>(result: &Result<T, Status>) -> Status {
    result.as_ref().map_or_else(|status| *status, |_| Status::OK)
}

fn make(
    key: &mut Key,
    model: &mut Model,
    (rp, user): (usize, u8),
    discoverable: bool,
    presents: bool,
    asked: Option<Extensions>,
) {
    let user_id = [user];
    let request = if discoverable { resident(&user_id) } else { registration(&user_id) };
    let request = make_credential::Request { rp: RpEntity { id: RPS[rp], name: None }, ..request };
    let extensions = asked.unwrap_or_default();
    let blob = extensions.blob.map(|blob| [blob; 32]);
    let inputs = raw(&MakeCredentialInputs {
        cred_protect: Some(Level(extensions.level)),
        cred_blob: blob.as_ref().map(|blob| &blob[..]),
        large_blob_key: extensions.blob_key.then_some(true),
        ..Default::default()
    });
    let request = if asked.is_some() { extended(request, &inputs) } else { request };
    let held = model.token.as_ref().filter(|_| presents);
    let made = match held {
        Some(Held { protocol, token, .. }) => key.make_with(*protocol, token, request),
        None => key.make(&request),
    };
    let presented = held.is_some();

    let replaces = model.find(rp, user).is_some();
    let protected = model.pin.is_some();
    let expected = if model.always_uv && !presented || protected && discoverable && !presented {
        Status::PUAT_REQUIRED
    } else if presented && !model.verify(MC, rp) {
        Status::PIN_AUTH_INVALID
    } else if extensions.blob_key && !discoverable {
        Status::INVALID_OPTION
    } else if key.finger != Finger::Touches {
        Status::OPERATION_DENIED
    } else {
        model.touched();
        let full = discoverable && !replaces && model.stored.len() == ROOM;
        if full { Status::KEY_STORE_FULL } else { Status::OK }
    };
    assert_eq!(code(&made), expected);
    let Ok(made) = made else { return };
    assert_eq!((made.has(Flags::UV), made.auth_data().sign_count), (presented, model.sign_count));
    assert_eq!(made.large_blob_key.is_some(), extensions.blob_key);
    let id = made.id().to_vec();
    if discoverable {
        model.stored.retain(|stored| (stored.rp, stored.user) != (rp, user));
        let large_blob_key = made.large_blob_key;
        model.stored.push(Stored { rp, user, id, name: None, asked: extensions, large_blob_key });
    } else {
        model.wrapped[rp] = Some((id, extensions.level));
    }
}

/// Checks an assertion: by `stored`, or by one that is not. `named`: the user's name is told.
fn check(model: &mut Model, got: Result<Got, Status>, stored: Option<&Stored>, named: bool) {
    let got = got.unwrap();
    model.sign_count += 1;
    assert_eq!(got.auth_data().sign_count, model.sign_count);
    assert_eq!(got.user_id, stored.map(|stored| vec![stored.user]));
    assert_eq!(got.user_name, stored.and_then(|stored| stored.name.clone()).filter(|_| named));
    assert_eq!(got.large_blob_key, stored.and_then(|stored| stored.large_blob_key.clone()));
    let extensions: keyfob_core::extensions::GetAssertionOutputs<'_> =
        keyfob_core::cbor::decode(got.auth_data().extensions.unwrap().0).unwrap();
    let blob = stored.and_then(|stored| stored.asked.blob).map(|blob| vec![blob; 32]);
    assert_eq!(extensions.cred_blob, Some(&blob.unwrap_or_default()[..]));
}

fn get(key: &mut Key, model: &mut Model, rp: usize, presents: bool, silent: bool, wrapped: bool) {
    let options = get_assertion::Options { up: Some(!silent), ..Default::default() };
    let (id, level) = model.wrapped[rp].clone().unwrap_or((vec![0; 60], 0));
    let list = [CredentialDescriptor::new(&id)];
    let inputs = raw(&GetAssertionInputs { cred_blob: Some(true), large_blob_key: Some(true), ..Default::default() });
    let request = get_assertion::Request {
        rp_id: RPS[rp],
        options: Some(options),
        allow_list: wrapped.then_some(List::Slice(&list)),
        ..asking(&inputs)
    };
    let held = model.token.as_ref().filter(|_| presents);
    let got = match held {
        Some(Held { protocol, token, .. }) => key.get_with(*protocol, token, request),
        None => key.get(&request),
    };
    let presented = held.is_some();
    let visible: Vec<Stored> = match wrapped {
        true => vec![],
        false => model.visible(rp, presented).into_iter().cloned().collect(),
    };
    let found = if wrapped { model.wrapped[rp].is_some() && (presented || level < 3) } else { !visible.is_empty() };
    let expected = if model.always_uv && !silent && !presented {
        Status::PUAT_REQUIRED
    } else if presented && !model.verify(GA, rp) {
        Status::PIN_AUTH_INVALID
    } else if !found {
        Status::NO_CREDENTIALS
    } else if !silent && key.finger != Finger::Touches {
        Status::OPERATION_DENIED
    } else {
        Status::OK
    };
    assert_eq!(code(&got), expected);
    if !expected.is_ok() {
        return;
    }
    if !silent {
        model.touched();
    }
    let several = visible.len() > 1;
    assert_eq!(got.as_ref().unwrap().number, several.then_some(visible.len() as u64));
    check(model, got, visible.first(), several && presented);
    let rest: Vec<u8> = visible.iter().skip(1).rev().map(|stored| stored.user).collect();
    model.sequence = Some(Sequence::Users(rest, presented)).filter(|_| several);
}

fn next(key: &mut Key, model: &mut Model, rp_of_sequence: usize) {
    let got = key.get_next();
    match &mut model.sequence {
        Some(Sequence::Users(users, verified)) if !users.is_empty() => {
            let (user, verified) = (users.pop().unwrap(), *verified);
            let stored = model.find(rp_of_sequence, user).cloned();
            check(model, got, stored.as_ref(), verified);
        }
        _ => assert_eq!(got.unwrap_err(), Status::NOT_ALLOWED),
    }
}

/// A subcommand of credential management with the token, if there is one.
fn manage(key: &mut Key, model: &Model, sub_command: u64, params: Option<&Params<'_>>) -> Vec<u8> {
    let params = params.map(encoded);
    match &model.token {
        Some(held) => key.manage(&held.token, sub_command, params.as_deref()),
        None => {
            let request = ctap2::credential_management::Request {
                sub_command,
                sub_command_params: params.as_deref().map(keyfob_core::cbor::RawMap),
                pin_uv_auth_protocol: None,
                pin_uv_auth_param: None,
            };
            key.call(&message(Command::CREDENTIAL_MANAGEMENT, &request))
        }
    }
}

/// Compares one answer of an enumeration with what is next in it.
fn listed(model: &mut Model, response: &[u8], total: Option<u64>) {
    let response: Response<'_> = ctap2::decode_response(response).unwrap();
    match model.sequence.as_mut() {
        Some(Sequence::Rps(rps)) => {
            let rp = RPS[rps.pop().unwrap()];
            assert_eq!((response.rp.unwrap().id, response.rp_id_hash), (rp, Some(&rp_id_hash(rp))));
            assert_eq!(response.total_rps, total);
        }
        Some(Sequence::Credentials(ids)) => {
            let id = ids.pop().unwrap();
            let stored = model.stored.iter().find(|stored| stored.id == id).unwrap();
            let user = response.user.unwrap();
            assert_eq!(response.credential_id.unwrap().id, stored.id);
            assert_eq!((user.id, user.name), (&[stored.user][..], stored.name.as_deref()));
            assert_eq!(response.cred_protect, Some(Level(stored.asked.level.max(1))));
            assert_eq!(response.large_blob_key, stored.large_blob_key.as_deref());
            assert_eq!(response.total_credentials, total);
        }
        other => panic!("a list of {other:?}"),
    }
}

fn list(key: &mut Key, model: &mut Model, rp: Option<usize>) {
    let hash = rp.map(|rp| rp_id_hash(RPS[rp]));
    let response = match &hash {
        None => manage(key, model, subcommand::ENUMERATE_RPS_BEGIN, None),
        Some(hash) => {
            let params = Params { rp_id_hash: Some(hash), ..Params::default() };
            manage(key, model, subcommand::ENUMERATE_CREDENTIALS_BEGIN, Some(&params))
        }
    };
    let expected = model.authorize_cm(rp);
    let (sequence, total) = match rp {
        Some(rp) => {
            let ids: Vec<_> = model.visible(rp, true).iter().rev().map(|stored| stored.id.clone()).collect();
            let total = ids.len();
            (Sequence::Credentials(ids), total)
        }
        None => {
            let newest = |rp: &usize| model.stored.iter().rposition(|stored| stored.rp == *rp);
            let mut rps: Vec<usize> = (0..2).filter(|rp| newest(rp).is_some()).collect();
            rps.sort_by_key(newest);
            let total = rps.len();
            (Sequence::Rps(rps), total)
        }
    };
    let expected = if expected.is_ok() && total == 0 { Status::NO_CREDENTIALS } else { expected };
    assert_eq!(status_of(&response), expected);
    if expected.is_ok() {
        model.sequence = Some(sequence);
        listed(model, &response, Some(total as u64));
    }
}

fn status_of(response: &[u8]) -> Status {
    Status(response[0])
}

/// Deletes a credential, or renames its user.
fn change(key: &mut Key, model: &mut Model, rp: usize, user: u8, name: Option<u8>) {
    let found = model.find(rp, user).cloned();
    let id = found.as_ref().map_or(vec![9; 32], |stored| stored.id.clone());
    let name = name.map(|name| format!("name {name}"));
    let user = [user];
    let user = name.as_deref().map(|name| UserEntity { id: &user, name: Some(name), display_name: None });
    let params = Params { credential_id: Some(CredentialDescriptor::new(&id)), user, ..Params::default() };
    let sub_command = if name.is_some() { subcommand::UPDATE_USER_INFORMATION } else { subcommand::DELETE_CREDENTIAL };
    let response = manage(key, model, sub_command, Some(&params));
    let expected = match model.authorize_cm(found.as_ref().map(|_| rp)) {
        Status::OK if found.is_none() => Status::NO_CREDENTIALS,
        status => status,
    };
    assert_eq!(status_of(&response), expected);
    if !expected.is_ok() {
        return;
    }
    match name {
        None => model.stored.retain(|stored| stored.id != id),
        Some(name) => {
            model
                .stored
                .iter_mut()
                .filter(|stored| stored.id == id)
                .for_each(|stored| stored.name = Some(name.clone()));
        }
    }
}

fn set_min_pin(key: &mut Key, model: &mut Model, length: Option<u64>, force: bool) {
    let params = config::SetMinPinLength {
        new_min_pin_length: length,
        force_change_pin: force.then_some(true),
        ..Default::default()
    };
    let token = model.token.as_ref().map(|held| &held.token);
    let answered = key.set_min_pin_length(token, &params);
    let expected = match model.authorize_if_protected(ACFG) {
        Status::OK if length.is_some_and(|new| new < model.min_pin_length as u64 || new > 63) => {
            Status::PIN_POLICY_VIOLATION
        }
        Status::OK if force && model.pin.is_none() => Status::PIN_NOT_SET,
        status => status,
    };
    assert_eq!(answered, expected);
    if expected.is_ok() {
        model.min_pin_length = length.map_or(model.min_pin_length, |length| length as usize);
        if force || model.pin.is_some_and(|pin| model.too_short(pin)) {
            (model.force_pin_change, model.token) = (true, None);
        }
    }
}

fn write_blobs(key: &mut Key, model: &mut Model, len: usize, piece: usize, damaged: bool, given_up: bool) {
    let mut array = blob_array(len);
    array[0] ^= u8::from(damaged);
    let mut offset = 0;
    for fragment in array.chunks(piece) {
        let token = model.token.as_ref().map(|held| &held.token);
        let length = (offset == 0).then_some(len as u64);
        let answered = key.write_fragment(token, offset as u64, fragment, length);
        offset += fragment.len();
        let expected = if len > CAPACITY {
            Status::LARGE_BLOB_STORAGE_FULL
        } else {
            match model.authorize_if_protected(LBW) {
                Status::OK if offset == len && damaged => Status::INTEGRITY_FAILURE,
                status => status,
            }
        };
        assert_eq!(answered, expected);
        if !expected.is_ok() || (given_up && offset < len) {
            return;
        }
    }
    model.blobs = array;
}

/// Takes one step on both and compares. Returns the key, which may be another after a power cut.
fn take(mut key: Key, model: &mut Model, step: Step, protocol: Protocol, last_rp: &mut usize) -> Key {
    model
        .token
        .take_if(|held| key.now.since(held.issued) >= if held.used { MAX_USAGE_PERIOD } else { INITIAL_USAGE_LIMIT });
    let goes_on = match (&model.sequence, step) {
        (_, Step::Finger(_)) | (Some(Sequence::Users(..)), Step::Next) => true,
        (Some(Sequence::Rps(_)), Step::NextListed(of_rp)) => !of_rp,
        (Some(Sequence::Credentials(_)), Step::NextListed(of_rp)) => of_rp,
        _ => false,
    };
    model.sequence.take_if(|_| !goes_on);
    match step {
        Step::Make { rp, user, resident, token, extensions } => {
            make(&mut key, model, (rp, user), resident, token, extensions);
        }
        Step::Get { rp, token, silent, wrapped } => {
            *last_rp = rp;
            get(&mut key, model, rp, token, silent, wrapped);
        }
        Step::Next => next(&mut key, model, *last_rp),
        Step::SetPin(pin) => {
            let expected = match model.pin {
                Some(_) => Status::PIN_AUTH_INVALID,
                None if model.too_short(pin) => Status::PIN_POLICY_VIOLATION,
                None => Status::OK,
            };
            assert_eq!(key.set_pin(protocol, PINS[pin]), expected);
            if expected.is_ok() {
                (model.pin, model.retries, model.strikes) = (Some(pin), 8, 0);
            }
        }
        Step::ChangePin(old, new) => {
            let mut expected = model.attempt(old);
            if expected.is_ok() && (model.too_short(new) || model.force_pin_change && old == new) {
                expected = Status::PIN_POLICY_VIOLATION;
            }
            assert_eq!(key.change_pin(protocol, PINS[old], PINS[new]), expected);
            if expected.is_ok() {
                (model.pin, model.token, model.force_pin_change) = (Some(new), None, false);
            }
        }
        Step::Token { pin, permissions, rp } => {
            let mut expected = model.attempt(pin);
            if expected.is_ok() && model.force_pin_change {
                expected = Status::PIN_POLICY_VIOLATION;
            }
            let token = key.token(protocol, PINS[pin], permissions, rp.map(|rp| RPS[rp]));
            assert_eq!(code(&token), expected);
            if let Ok(token) = token {
                model.token = Some(Held { protocol, token, permissions, rp, issued: key.now, used: false });
            }
        }
        Step::Metadata => {
            let response = manage(&mut key, model, subcommand::GET_CREDS_METADATA, None);
            let expected = model.authorize_cm(None);
            assert_eq!(status_of(&response), expected);
            if expected.is_ok() {
                let metadata: Response<'_> = ctap2::decode_response(&response).unwrap();
                let (there, room) = (model.stored.len() as u64, (ROOM - model.stored.len()) as u64);
                assert_eq!(metadata.existing_resident_credentials_count, Some(there));
                assert_eq!(metadata.max_possible_remaining_resident_credentials_count, Some(room));
            }
        }
        Step::ListRps => list(&mut key, model, None),
        Step::List(rp) => list(&mut key, model, Some(rp)),
        Step::NextListed(of_rp) => {
            let response = key.manage_next(match of_rp {
                true => subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL,
                false => subcommand::ENUMERATE_RPS_GET_NEXT_RP,
            });
            let more = match &model.sequence {
                Some(Sequence::Rps(rps)) => !rps.is_empty(),
                Some(Sequence::Credentials(ids)) => !ids.is_empty(),
                _ => false,
            };
            match more {
                true => listed(model, &response, None),
                false => assert_eq!(status_of(&response), Status::NOT_ALLOWED),
            }
        }
        Step::Delete(rp, user) => change(&mut key, model, rp, user, None),
        Step::Update(rp, user, name) => change(&mut key, model, rp, user, Some(name)),
        Step::ToggleAlwaysUv => {
            let token = model.token.as_ref().map(|held| &held.token);
            let answered = key.configure(token, config::subcommand::TOGGLE_ALWAYS_UV, None);
            let expected = if model.pin.is_some() { model.authorize(ACFG) } else { Status::OK };
            assert_eq!(answered, expected);
            model.always_uv ^= expected.is_ok();
        }
        Step::MinPin { length, force } => set_min_pin(&mut key, model, length, force),
        Step::ReadBlobs { offset, get } => {
            let expected = match model.blobs.get(offset..) {
                Some(rest) => Ok(rest[..get.min(rest.len())].to_vec()),
                None => Err(Status::INVALID_PARAMETER),
            };
            assert_eq!(key.read_blobs(offset as u64, get as u64), expected);
        }
        Step::WriteBlobs { len, piece, damaged, given_up } => {
            write_blobs(&mut key, model, len, piece, damaged, given_up);
        }
        Step::Finger(finger) => key.finger = finger,
        Step::PowerCut => {
            let finger = key.finger;
            key = key.power_cut();
            key.finger = finger;
            (model.strikes, model.token) = (0, None);
        }
        Step::Reset => {
            let in_time = key.now.as_millis() - 5000 < 10_000;
            let expected = match key.finger {
                _ if !in_time => Status::NOT_ALLOWED,
                Finger::Touches => Status::OK,
                Finger::Declines => Status::OPERATION_DENIED,
                Finger::Sleeps => Status::USER_ACTION_TIMEOUT,
            };
            assert_eq!(key.status(&[Command::RESET.0]), expected);
            if expected.is_ok() {
                *model = Model::new();
            }
        }
        Step::Garbage(command, byte) => {
            // A touch would use up the token, a reset would forget everything.
            if ![Command::RESET.0, Command::SELECTION.0].contains(&command) {
                key.call(&[command, byte, 0x61]);
            }
        }
    }
    key
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_never_diverges_from_the_model(steps in vec(step(), 1..60), two in proptest::bool::weighted(0.8)) {
        let protocol = if two { Two } else { One };
        let (mut key, mut model, mut last_rp) = (Key::new(), Model::new(), 0);
        for step in steps {
            key = take(key, &mut model, step, protocol, &mut last_rp);
            // After every step but those in the middle of a sequence, which any other command would end.
            if model.sequence.is_none() {
                prop_assert_eq!(key.retries(), (model.retries, model.strikes >= 3));
                prop_assert_eq!(key.store.credentials(), model.stored.len());
                let told = key.info(|info| (info.options.unwrap().always_uv, info.min_pin_length, info.force_pin_change));
                let forced = model.force_pin_change.then_some(true).or(told.2.filter(|forced| !forced));
                prop_assert_eq!(told, (Some(model.always_uv), Some(model.min_pin_length), forced));
            }
        }
    }
}
