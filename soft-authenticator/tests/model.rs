//! Random sequences of commands against a model of a security key that is small enough to be read.

use keyfob_core::{
    Instant, Status,
    auth_data::Flags,
    cbor::List,
    ctap2::{Command, CredentialDescriptor, RpEntity, get_assertion, make_credential},
    pin_uv::{INITIAL_USAGE_LIMIT, Protocol, Protocol::One, Protocol::Two, Token},
};
use proptest::{collection::vec, prelude::*};

use super::harness::*;

const RPS: [&str; 2] = ["example.org", "example.com"];
const PINS: [&str; 3] = ["1234", "пароль", "12"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Make { rp: usize, user: u8, resident: bool, token: bool },
    Get { rp: usize, token: bool, silent: bool, wrapped: bool },
    Next,
    SetPin(usize),
    ChangePin(usize, usize),
    Token(usize),
    Finger(Finger),
    PowerCut,
    Reset,
    Garbage(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let fingers = [Finger::Touches, Finger::Touches, Finger::Touches, Finger::Declines, Finger::Sleeps];
    prop_oneof![
        6 => (0..2usize, 1..7u8, any::<bool>(), any::<bool>())
            .prop_map(|(rp, user, resident, token)| Step::Make { rp, user, resident, token }),
        5 => (0..2usize, any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(rp, token, silent, wrapped)| Step::Get { rp, token, silent, wrapped }),
        3 => Just(Step::Next),
        2 => (0..3usize).prop_map(Step::SetPin),
        1 => (0..3usize, 0..3usize).prop_map(|(old, new)| Step::ChangePin(old, new)),
        5 => (0..3usize).prop_map(Step::Token),
        2 => (0..fingers.len()).prop_map(move |finger| Step::Finger(fingers[finger])),
        1 => Just(Step::PowerCut),
        1 => Just(Step::Reset),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(command, byte)| Step::Garbage(command, byte)),
    ]
}

/// What a key ought to know.
#[derive(Default)]
struct Model {
    pin: Option<usize>,
    retries: u64,
    strikes: u8,
    /// Relying party and user of every discoverable credential, oldest first.
    stored: Vec<(usize, u8)>,
    /// An id that is not discoverable, of each relying party.
    wrapped: [Option<Vec<u8>>; 2],
    /// One that has not been presented yet, and when it was issued. The bench's clock stands still but for touches that
    /// do not come.
    token: Option<(Protocol, Token, Instant)>,
    sign_count: u32,
    /// Users that getNextAssertion still has to return.
    sequence: Vec<u8>,
}

impl Model {
    fn new() -> Self {
        Self { retries: 8, ..Self::default() }
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

    /// Users of a relying party, newest first.
    fn users(&self, rp: usize) -> Vec<u8> {
        self.stored.iter().rev().filter(|(other, _)| *other == rp).map(|(_, user)| *user).collect()
    }
}

fn make(key: &mut Key, model: &mut Model, rp: usize, user: u8, discoverable: bool, with_token: bool) {
    let rp_entity = RpEntity { id: RPS[rp], name: None };
    let user_id = [user];
    let request = if discoverable { resident(&user_id) } else { registration(&user_id) };
    let request = make_credential::Request { rp: rp_entity, ..request };
    let token = model.token.take_if(|_| with_token);
    let made = match &token {
        Some((protocol, token, _)) => key.make_with(*protocol, token, request),
        None => key.make(&request),
    };
    let verified = token.is_some() && model.pin.is_some();
    let replaces = model.stored.contains(&(rp, user));
    let expected = if discoverable && model.pin.is_some() && !verified {
        Err(Status::PUAT_REQUIRED)
    } else if key.finger != Finger::Touches {
        Err(Status::OPERATION_DENIED)
    } else if discoverable && !replaces && model.stored.len() == ROOM {
        Err(Status::KEY_STORE_FULL)
    } else {
        Ok(verified)
    };
    assert_eq!(made.as_ref().map(|made| made.has(Flags::UV)).map_err(|status| *status), expected);
    if expected.is_ok() || expected == Err(Status::KEY_STORE_FULL) {
        model.token = None; // touched
    }
    let Ok(made) = made else { return };
    assert_eq!(made.auth_data().sign_count, model.sign_count);
    if discoverable {
        model.stored.retain(|stored| *stored != (rp, user));
        model.stored.push((rp, user));
    } else {
        model.wrapped[rp] = Some(made.id().to_vec());
    }
}

fn check(model: &mut Model, got: Result<Got, Status>, user: Option<u8>) {
    let got = got.unwrap();
    model.sign_count += 1;
    assert_eq!(got.auth_data().sign_count, model.sign_count);
    assert_eq!(got.user_id, user.map(|user| vec![user]));
    assert_eq!(got.user_name, None);
}

fn get(key: &mut Key, model: &mut Model, rp: usize, with_token: bool, silent: bool, wrapped: bool) {
    let options = get_assertion::Options { up: Some(!silent), ..Default::default() };
    let id = model.wrapped[rp].clone().unwrap_or(vec![0; 60]);
    let list = [CredentialDescriptor::new(&id)];
    let request = get_assertion::Request {
        rp_id: RPS[rp],
        options: Some(options),
        allow_list: wrapped.then_some(List::Slice(&list)),
        ..assertion()
    };
    let token = model.token.take_if(|_| with_token);
    let got = match &token {
        Some((protocol, token, _)) => key.get_with(*protocol, token, request),
        None => key.get(&request),
    };
    let users = if wrapped { vec![] } else { model.users(rp) };
    let found = if wrapped { model.wrapped[rp].is_some() } else { !users.is_empty() };
    if !found {
        assert_eq!(got.unwrap_err(), Status::NO_CREDENTIALS);
    } else if !silent && key.finger != Finger::Touches {
        assert_eq!(got.unwrap_err(), Status::OPERATION_DENIED);
    } else {
        if !silent {
            model.token = None;
        }
        let number = got.as_ref().unwrap().number;
        assert_eq!(number, (users.len() > 1).then_some(users.len() as u64));
        check(model, got, users.first().copied());
        model.sequence = users.into_iter().skip(1).rev().collect();
    }
}

/// Takes one step on both and compares. Returns the key, which may be another after a power cut.
fn take(mut key: Key, model: &mut Model, step: Step, protocol: Protocol) -> Key {
    model.token.take_if(|(_, _, issued)| key.now.since(*issued) >= INITIAL_USAGE_LIMIT);
    if !matches!(step, Step::Next | Step::Finger(_)) {
        model.sequence.clear();
    }
    match step {
        Step::Make { rp, user, resident, token } => make(&mut key, model, rp, user, resident, token),
        Step::Get { rp, token, silent, wrapped } => get(&mut key, model, rp, token, silent, wrapped),
        Step::Next => {
            let got = key.get_next();
            match model.sequence.pop() {
                Some(user) => check(model, got, Some(user)),
                None => assert_eq!(got.unwrap_err(), Status::NOT_ALLOWED),
            }
        }
        Step::SetPin(pin) => {
            let expected = match (model.pin, pin) {
                (Some(_), _) => Status::PIN_AUTH_INVALID,
                (None, 2) => Status::PIN_POLICY_VIOLATION,
                (None, _) => Status::OK,
            };
            assert_eq!(key.set_pin(protocol, PINS[pin]), expected);
            if expected.is_ok() {
                (model.pin, model.retries, model.strikes) = (Some(pin), 8, 0);
            }
        }
        Step::ChangePin(old, new) => {
            let mut expected = model.attempt(old);
            if expected.is_ok() && new == 2 {
                expected = Status::PIN_POLICY_VIOLATION;
            }
            assert_eq!(key.change_pin(protocol, PINS[old], PINS[new]), expected);
            if expected.is_ok() {
                (model.pin, model.token) = (Some(new), None);
            }
        }
        Step::Token(pin) => {
            let expected = model.attempt(pin);
            let token = key.token(protocol, PINS[pin], MC.with(GA), None);
            assert_eq!(token.as_ref().map_or_else(|status| *status, |_| Status::OK), expected);
            if let Ok(token) = token {
                model.token = Some((protocol, token, key.now));
            }
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
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_never_diverges_from_the_model(steps in vec(step(), 1..60), two in any::<bool>()) {
        let protocol = if two { Two } else { One };
        let (mut key, mut model) = (Key::new(), Model::new());
        for step in steps {
            key = take(key, &mut model, step, protocol);
            // After every step but those in the middle of a sequence, which any other command would end.
            if model.sequence.is_empty() {
                prop_assert_eq!(key.retries(), (model.retries, model.strikes >= 3));
                prop_assert_eq!(key.store.credentials(), model.stored.len());
            }
        }
    }
}
