//! Random sequences of commands, compared with a small model of a security key.

use keyfob_core::{
    Instant, Status,
    ctap2::{
        self, Command, config,
        credential_management::{Response, subcommand},
        large_blobs::INITIAL_ARRAY,
    },
    pin_uv::{
        INITIAL_USAGE_LIMIT, MAX_USAGE_PERIOD, Permissions, PinUvAuthProtocol, PinUvAuthProtocol::One,
        PinUvAuthProtocol::Two, Token,
    },
};
use keyfob_soft_authenticator::engine::RESET_WINDOW;
use proptest::{collection::vec, prelude::*, test_runner::FileFailurePersistence};

use super::harness::*;
use ceremonies::*;
use manage::*;

mod ceremonies;
mod manage;

const RPS: [&str; 2] = ["example.org", "example.com"];
const PINS: [&str; 4] = ["1234", "пароль", "12", "longest of all"];
const PERMISSIONS: [Permissions; 6] = [MC.with(GA), CM, LBW, ACFG, CM.with(ACFG), MC.with(GA).with(LBW)];
/// The capacity for the large-blob array, in bytes.
const CAPACITY: usize = 1024;

#[derive(Clone, Copy, Debug)]
enum Step {
    Make {
        rp: usize,
        user: u8,
        resident: bool,
        token: bool,
        extensions: Option<Extensions>,
        /// When INIT makes the platform lose the answer.
        loss: Option<Loss>,
    },
    Get {
        rp: usize,
        token: bool,
        silent: bool,
        list: Listed,
    },
    Next,
    SetPin(usize),
    ChangePin(usize, usize),
    Token {
        pin: usize,
        permissions: Permissions,
        rp: Option<usize>,
    },
    /// Gets a token or changes the PIN, with an interruption in place of a poll.
    AbortedAttempt {
        pin: usize,
        other: Option<usize>,
        poll: u32,
        abort: Abort,
    },
    /// Gets the persistent token.
    Persistent(usize),
    /// From now on, credential management uses the persistent token, or the other one.
    Present {
        persistent: bool,
    },
    Metadata,
    ListRps,
    List(usize),
    NextListed(bool),
    Delete(usize, u8),
    Update(usize, u8, u8),
    ToggleAlwaysUv,
    MinPin {
        length: Option<u32>,
        force: bool,
    },
    ReadBlobs {
        offset: usize,
        get: usize,
    },
    WriteBlobs {
        len: usize,
        piece: usize,
        damaged: bool,
        given_up: bool,
    },
    User(UserAction),
    PowerCut,
    Reset,
    Garbage(u8, u8),
}

/// The credential in an allow list.
#[derive(Clone, Copy, Debug)]
enum Listed {
    /// There is no allow list.
    Nobody,
    /// The non-discoverable credential.
    Wrapped,
    /// A user's discoverable credential.
    User(u8),
    /// A replaced credential that is kept: the user's newest or oldest.
    Replaced { user: u8, newest: bool },
}

/// The extensions of a registration.
#[derive(Clone, Copy, Debug, Default)]
struct Extensions {
    level: u32,
    blob: Option<u8>,
    blob_key: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let actions =
        [UserAction::Touches, UserAction::Touches, UserAction::Touches, UserAction::Declines, UserAction::Sleeps];
    let (rp, user, pin) = (0..2usize, 1..7u8, 0..4usize);
    let persistent_pin = pin.clone();
    let loss = proptest::option::weighted(0.4, prop_oneof![Just(Loss::BeforeTheAnswer), Just(Loss::WithinTheAnswer)]);
    let list = prop_oneof![
        4 => Just(Listed::Nobody),
        4 => Just(Listed::Wrapped),
        1 => user.clone().prop_map(Listed::User),
        2 => (user.clone(), any::<bool>()).prop_map(|(user, newest)| Listed::Replaced { user, newest }),
    ];
    let extensions = proptest::option::of((1..=3u32, any::<Option<u8>>(), proptest::bool::weighted(0.3)))
        .prop_map(|asked| asked.map(|(level, blob, blob_key)| Extensions { level, blob, blob_key }));
    prop_oneof![
        6 => (rp.clone(), user.clone(), any::<bool>(), any::<bool>(), extensions, loss).prop_map(
            |(rp, user, resident, token, extensions, loss)| Step::Make { rp, user, resident, token, extensions, loss }
        ),
        5 => (rp.clone(), any::<bool>(), any::<bool>(), list)
            .prop_map(|(rp, token, silent, list)| Step::Get { rp, token, silent, list }),
        3 => Just(Step::Next),
        2 => pin.clone().prop_map(Step::SetPin),
        1 => (pin.clone(), pin.clone()).prop_map(|(old, new)| Step::ChangePin(old, new)),
        8 => (pin, 0..PERMISSIONS.len(), proptest::option::weighted(0.2, rp.clone()))
            .prop_map(|(pin, index, rp)| Step::Token { pin, permissions: PERMISSIONS[index], rp }),
        5 => (0..4usize, proptest::option::of(0..4usize), 1..4u32, 0..Abort::ALL.len()).prop_map(
            |(pin, other, poll, abort)| Step::AbortedAttempt { pin, other, poll, abort: Abort::ALL[abort] }
        ),
        1 => persistent_pin.prop_map(Step::Persistent),
        1 => any::<bool>().prop_map(|persistent| Step::Present { persistent }),
        1 => Just(Step::Metadata),
        1 => Just(Step::ListRps),
        2 => rp.clone().prop_map(Step::List),
        2 => any::<bool>().prop_map(Step::NextListed),
        2 => (rp.clone(), user.clone()).prop_map(|(rp, user)| Step::Delete(rp, user)),
        2 => (rp, user, 0..4u8).prop_map(|(rp, user, name)| Step::Update(rp, user, name)),
        1 => Just(Step::ToggleAlwaysUv),
        1 => (proptest::option::of(prop_oneof![3..9u32, Just(64)]), proptest::bool::weighted(0.3))
            .prop_map(|(length, force)| Step::MinPin { length, force }),
        1 => (0..40usize, 0..CAPACITY).prop_map(|(offset, get)| Step::ReadBlobs { offset, get }),
        2 => (17..CAPACITY + 20, 1..CAPACITY, proptest::bool::weighted(0.2), proptest::bool::weighted(0.2)).prop_map(
            |(len, piece, damaged, given_up)| Step::WriteBlobs { len, piece: piece.max(100), damaged, given_up }
        ),
        2 => (0..actions.len()).prop_map(move |action| Step::User(actions[action])),
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

/// A token and its state in the key.
struct Held {
    protocol: PinUvAuthProtocol,
    token: Token,
    permissions: Permissions,
    rp: Option<usize>,
    /// The test clock advances only while a touch does not come.
    issued: Instant,
    used: bool,
}

/// The results of the next commands of a sequence, the next one last.
#[derive(Debug, PartialEq)]
enum Sequence {
    Users(Vec<u8>, bool),
    Listings { rps: Option<Vec<usize>>, credentials: Option<Vec<Vec<u8>>> },
}

/// The expected state of the key.
struct Model {
    pin: Option<usize>,
    retries: u32,
    strikes: u8,
    always_uv: bool,
    min_pin_length: usize,
    force_pin_change: bool,
    /// The oldest first.
    stored: Vec<Stored>,
    /// The replaced credentials, oldest first, each with the id of its user's current credential.
    replaced: Vec<(Stored, Vec<u8>)>,
    /// The id and extensions of a non-discoverable credential of each relying party.
    wrapped: [Option<(Vec<u8>, Extensions)>; 2],
    blobs: Vec<u8>,
    token: Option<Held>,
    /// The last persistent token, and whether it is still valid.
    persistent: Option<(Token, bool)>,
    presents_persistent: bool,
    sign_count: u32,
    /// The last signature count that is reserved.
    reserved: u32,
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
            replaced: Vec::new(),
            wrapped: [None, None],
            blobs: INITIAL_ARRAY.to_vec(),
            token: None,
            persistent: None,
            presents_persistent: false,
            sign_count: 0,
            reserved: 0,
            sequence: None,
        }
    }

    /// Counts a PIN attempt and returns its status.
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

    /// A PIN attempt with an abort in place of a poll. The first poll would have counted the attempt, the second
    /// compared the PIN, the third used the result. An attempt that was counted but not compared is a mismatch.
    fn aborted_attempt(&mut self, pin: usize, poll: u32, abort: Abort) -> Status {
        let right = self.pin == Some(pin);
        let may_try = self.pin.is_some() && self.retries > 0 && self.strikes < 3;
        match poll {
            _ if !may_try => return self.attempt(pin),
            1 => {}
            2 => (self.retries, self.strikes) = (self.retries - 1, self.strikes + 1),
            _ if !right => return self.attempt(pin),
            _ => (self.retries, self.strikes) = (8, 0),
        }
        if matches!(abort, Abort::PowerCycle | Abort::PowerCut) {
            self.power_up();
        }
        Status::KEEPALIVE_CANCEL
    }

    /// After a power-up the counter continues after the reserved counts.
    fn power_up(&mut self) {
        (self.strikes, self.token, self.sign_count) = (0, None, self.reserved);
    }

    fn too_short(&self, pin: usize) -> bool {
        PINS[pin].chars().count() < self.min_pin_length
    }

    /// Presents the token to a registration or a sign-in, which binds it. Returns whether it is accepted.
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

    /// [`Model::authorize`] for a command that needs no token on a key without user verification.
    fn authorize_if_protected(&mut self, permission: Permissions) -> Status {
        if self.pin.is_some() || self.always_uv { self.authorize(permission) } else { Status::OK }
    }

    /// [`Model::authorize`] for credential management, which checks the token's relying party and accepts the
    /// persistent token for reading.
    fn authorize_cm(&mut self, rp: Option<usize>, reads: bool) -> Status {
        if let Some((_, counts)) = self.persistent.as_ref().filter(|_| self.presents_persistent) {
            return if *counts && reads { Status::OK } else { Status::PIN_AUTH_INVALID };
        }
        let bound = self.token.as_ref().and_then(|held| held.rp);
        match self.authorize(CM) {
            Status::OK if bound.is_some() && bound != rp => Status::PIN_AUTH_INVALID,
            status => status,
        }
    }

    /// A new PIN or a reset invalidates the persistent token.
    fn void_persistent(&mut self) {
        if let Some((_, counts)) = &mut self.persistent {
            *counts = false;
        }
    }

    /// After a touch the token keeps only the permission to write large blobs.
    fn touched(&mut self) {
        if let Some(held) = &mut self.token {
            held.permissions = if held.permissions.has(LBW) { LBW } else { Permissions::default() };
        }
    }

    /// The visible credentials of a relying party, newest first.
    fn visible(&self, rp: usize, verified: bool) -> Vec<&Stored> {
        let seen = |stored: &&Stored| stored.rp == rp && (verified || stored.asked.level <= 1);
        self.stored.iter().rev().filter(seen).collect()
    }

    /// Replaces the user's credential by `id`. The old one is kept while there is room.
    fn replace(&mut self, rp: usize, user: u8, id: &[u8]) {
        let Some(at) = self.stored.iter().position(|stored| (stored.rp, stored.user) == (rp, user)) else { return };
        let room = self.stored.len() + self.replaced.len() < ROOM && self.replaced.len() < 4;
        let old = self.stored.remove(at);
        self.replaced.iter_mut().filter(|(_, by)| *by == old.id).for_each(|(_, by)| *by = id.to_vec());
        if room {
            self.replaced.push((old, id.to_vec()));
        }
    }

    /// The relying party knows `id`, so the same user's older credentials are removed.
    fn settle(&mut self, id: &[u8]) {
        let own = self.replaced.iter().position(|(stored, _)| stored.id == id);
        let (older, by) = own.map_or((usize::MAX, id.to_vec()), |own| (own, self.replaced[own].1.clone()));
        let mut place = 0..;
        self.replaced.retain(|(_, of)| place.next() >= Some(older) || *of != by);
    }

    fn find(&self, rp: usize, user: u8) -> Option<&Stored> {
        self.stored.iter().find(|stored| (stored.rp, stored.user) == (rp, user))
    }
}

fn code<T>(result: &Result<T, Status>) -> Status {
    result.as_ref().map_or_else(|status| *status, |_| Status::OK)
}

fn status_of(response: &[u8]) -> Status {
    Status(response[0])
}

/// Takes one step on key and model and compares the results. Returns the key, which is a new one after a power cut.
fn take(mut key: Key, model: &mut Model, step: Step, protocol: PinUvAuthProtocol, last_rp: &mut usize) -> Key {
    model
        .token
        .take_if(|held| key.now.since(held.issued) >= if held.used { MAX_USAGE_PERIOD } else { INITIAL_USAGE_LIMIT });
    let goes_on = matches!(
        (&model.sequence, step),
        (_, Step::User(_) | Step::Present { .. })
            | (Some(Sequence::Users(..)), Step::Next)
            | (Some(Sequence::Listings { .. }), Step::NextListed(_) | Step::List(_))
    );
    model.sequence.take_if(|_| !goes_on);
    match step {
        Step::Make { rp, user, resident, token, extensions, loss } => {
            make(&mut key, model, (rp, user), resident, token, extensions, loss);
        }
        Step::Get { rp, token, silent, list } => {
            *last_rp = rp;
            get(&mut key, model, rp, token, silent, list);
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
                model.void_persistent();
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
        Step::AbortedAttempt { pin, other, poll, abort } => {
            let expected = model.aborted_attempt(pin, poll, abort);
            key.adversary = Some((poll, abort));
            let answer = match other {
                Some(other) => key.change_pin(protocol, PINS[pin], PINS[other]),
                None => code(&key.token(protocol, PINS[pin], MC, None)),
            };
            key.adversary = None;
            assert_eq!(answer, expected);
        }
        Step::Persistent(pin) => {
            let expected = match model.attempt(pin) {
                Status::OK if model.force_pin_change => Status::PIN_POLICY_VIOLATION,
                status => status,
            };
            let token = key.token(protocol, PINS[pin], PCMR, None);
            assert_eq!(code(&token), expected);
            if let Ok(token) = token {
                model.persistent = Some((token, true));
            }
        }
        Step::Present { persistent } => model.presents_persistent = persistent,
        Step::Metadata => {
            let response = manage(&mut key, model, subcommand::GET_CREDS_METADATA, None);
            let expected = model.authorize_cm(None, true);
            assert_eq!(status_of(&response), expected);
            if expected.is_ok() {
                let metadata: Response<'_> = ctap2::decode_response(&response).unwrap();
                let there = model.stored.len() as u32;
                let room = (ROOM - model.stored.len() - model.replaced.len()) as u32;
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
                Some(Sequence::Listings { rps, .. }) if !of_rp => rps.as_ref().is_some_and(|rps| !rps.is_empty()),
                Some(Sequence::Listings { credentials, .. }) => credentials.as_ref().is_some_and(|ids| !ids.is_empty()),
                _ => false,
            };
            if more {
                compare_listed(model, of_rp, &response, None);
            } else {
                assert_eq!(status_of(&response), Status::NOT_ALLOWED);
                model.sequence = None;
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
            assert_eq!(key.read_blobs(offset as u32, get as u32), expected);
        }
        Step::WriteBlobs { len, piece, damaged, given_up } => {
            write_blobs(&mut key, model, len, piece, damaged, given_up);
        }
        Step::User(action) => key.user = action,
        Step::PowerCut => {
            let action = key.user;
            key = key.power_cut();
            key.user = action;
            model.power_up();
        }
        Step::Reset => {
            let in_time = key.now.since(key.powered_up) < RESET_WINDOW;
            let expected = match key.user {
                _ if !in_time => Status::NOT_ALLOWED,
                UserAction::Touches => Status::OK,
                UserAction::Declines => Status::OPERATION_DENIED,
                UserAction::Sleeps => Status::USER_ACTION_TIMEOUT,
            };
            assert_eq!(key.status(&[Command::RESET.0]), expected);
            if expected.is_ok() {
                let persistent = model.persistent.take();
                *model = Model { persistent, presents_persistent: model.presents_persistent, ..Model::new() };
                model.void_persistent();
            }
        }
        Step::Garbage(command, byte) => {
            // Commands with a touch, which uses up the token, and a reset are excluded.
            if ![Command::RESET.0, Command::SELECTION.0].contains(&command) {
                key.call(&[command, byte, 0x61]);
            }
        }
    }
    key
}

/// Where seeds of failures are kept, from the package's folder. proptest finds no place by itself for a test outside of `src`.
fn config() -> ProptestConfig {
    let persistence = FileFailurePersistence::Direct("proptest-regressions/model.txt");
    ProptestConfig { failure_persistence: Some(Box::new(persistence)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_key_never_diverges_from_the_model(steps in vec(step(), 1..60), two in proptest::bool::weighted(0.8)) {
        let protocol = if two { Two } else { One };
        let (mut key, mut model, mut last_rp) = (Key::new(), Model::new(), 0);
        for step in steps {
            key = take(key, &mut model, step, protocol, &mut last_rp);
            // After every step, except in the middle of a sequence, which any other command would end.
            if model.sequence.is_none() {
                prop_assert_eq!(key.retries(), (model.retries, model.strikes >= 3));
                prop_assert_eq!(key.store.credentials(), model.stored.len() + model.replaced.len());
                let told = key.info(|info| (info.options.unwrap().always_uv, info.min_pin_length, info.force_pin_change));
                let forced = model.force_pin_change.then_some(true).or(told.2.filter(|forced| !forced));
                prop_assert_eq!(told, (Some(model.always_uv), Some(model.min_pin_length), forced));
            }
        }
    }
}
