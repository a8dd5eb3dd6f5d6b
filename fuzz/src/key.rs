//! An authenticator without real cryptography, for the targets that need one.

use keyfob_core::{
    Instant, Status,
    cbor::Write,
    cose::CoseKey,
    crypto::{P256Point, StubCrypto},
    ctap2::{self, Command, bio_enrollment::SampleStatus, client_pin, client_pin::subcommand},
    pin_uv::{self, PaddedPin, Permissions, PinHash, PinUvAuthProtocol, SharedSecret, Token},
};
use keyfob_soft_authenticator::{
    engine::{Config, Engine, Event, Platform, Progress, Wait},
    store::{Blobs, Change, Found, MemoryStore, Number, Query, Setting, Store, StoreError},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// How many credentials fit in the store.
pub const ROOM: usize = 3;

/// The engine's platform.
pub struct Bench;

impl Platform for Bench {
    type Crypto = StubCrypto;
    type Rng = ChaCha8Rng;
    type Store = WatchedStore;
}

/// A store that records changes.
#[derive(Default)]
pub struct WatchedStore {
    memory: MemoryStore<ROOM>,
    /// Whether anything was changed except the counts of PIN and user verification attempts.
    pub changed: bool,
    /// Consecutive PIN attempts since power-up.
    attempts: u8,
    /// The power fails in the next commit, before or after the commit is made.
    tears: Option<Tear>,
}

/// The result of a commit during which the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// It is not made.
    Before,
    /// It is made.
    After,
}

impl WatchedStore {
    /// Number of credentials.
    pub fn credentials(&self) -> usize {
        self.memory.len()
    }

    /// Checks that there are at most three consecutive PIN attempts per power-up.
    fn watch_attempts(&mut self, changes: &[Change<'_>]) {
        let mut before = [0];
        let known = self.memory.get(Setting::PinRetries, &mut before) == Ok(Some(1));
        let another_pin = |change: &Change<'_>| matches!(change, Change::Erase | Change::Set(Setting::Pin, _));
        for change in changes {
            let Change::Set(Setting::PinRetries, left) = change else { continue };
            let right = changes.iter().any(another_pin) || known && **left > before[..];
            self.attempts = if right { 0 } else { self.attempts + 1 };
            assert!(self.attempts <= 3, "{} attempts at the PIN in one power-up", self.attempts);
        }
    }
}

impl Store for WatchedStore {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.memory.get(setting, out)
    }

    fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        self.memory.next(query, before, out)
    }

    fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
        self.memory.count(query)
    }

    fn large_blobs_capacity(&self) -> usize {
        self.memory.large_blobs_capacity()
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        self.memory.large_blobs_len()
    }

    fn read_large_blobs(&mut self, blobs: Blobs, offset: usize, out: &mut [u8]) -> Result<(), StoreError> {
        self.memory.read_large_blobs(blobs, offset, out)
    }

    fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.memory.stage(offset, bytes)
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        self.memory.remaining()
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        let tears = self.tears.take();
        if tears == Some(Tear::Before) {
            return Err(StoreError::Failed);
        }
        self.watch_attempts(changes);
        self.memory.commit(changes)?;
        if tears == Some(Tear::After) {
            return Err(StoreError::Failed);
        }
        self.changed |=
            changes.iter().any(|change| !matches!(change, Change::Set(Setting::PinRetries | Setting::UvRetries, _)));
        Ok(())
    }
}

/// A deterministic random source.
pub fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

/// Plugs an engine in. The buffer must have [`Config::buffer_len`] bytes.
pub fn plug_in<'b>(buffer: &'b mut [u8], config: Config<'b>, now: Instant) -> Engine<'b, Bench> {
    Engine::new(buffer, config, StubCrypto, rng(), WatchedStore::default(), now).expect("a configuration that works")
}

/// How the user acts when a touch is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finger {
    Touches,
    Declines,
    /// Lets the time run out.
    Sleeps,
}

/// An interruption between two atoms of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// The platform cancels.
    Cancel,
    /// The platform resynchronises its channel with INIT.
    Init,
    /// Another channel sends a request.
    OtherChannel,
    /// The power fails.
    PowerCut,
    /// The power fails in the next commit.
    TornCommit(Tear),
}

impl Abort {
    /// All interruptions.
    pub const ALL: [Abort; 6] = [
        Self::Cancel,
        Self::Init,
        Self::OtherChannel,
        Self::PowerCut,
        Self::TornCommit(Tear::Before),
        Self::TornCommit(Tear::After),
    ];
}

/// An engine with a clock and a finger, and the platform's side of its PIN.
pub struct Key<'b> {
    pub engine: Engine<'b, Bench>,
    pub now: Instant,
    pub powered_up: Instant,
    /// How often the key was powered up.
    pub power_ups: u32,
    /// The interruption that replaces a poll, and the number of that poll: counted from now over all commands, the next
    /// poll is number 1.
    pub adversary: Option<(u8, Abort)>,
    /// Whether the interruption has come.
    pub aborted: bool,
    pub finger: Finger,
    rng: ChaCha8Rng,
}

/// A request as it goes over the wire.
pub fn message<T: Write>(command: Command, parameters: &T) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let len = ctap2::encode_request(command, parameters, &mut buffer).expect("a small request");
    buffer.truncate(len);
    buffer
}

/// The status of a response. An error has no body.
pub fn status(response: &[u8]) -> Status {
    assert!(response[0] == 0 || response.len() == 1, "an error with a body: {response:02x?}");
    Status(response[0])
}

impl<'b> Key<'b> {
    /// A key that has just been plugged in. The buffer must have [`Config::buffer_len`] bytes.
    pub fn new(buffer: &'b mut [u8], config: Config<'b>) -> Self {
        let now = Instant::from_millis(5000);
        let engine = plug_in(buffer, config, now);
        Self {
            engine,
            now,
            powered_up: now,
            power_ups: 0,
            adversary: None,
            aborted: false,
            finger: Finger::Touches,
            rng: rng(),
        }
    }

    /// The power fails and comes back.
    pub fn power_cycle(&mut self) {
        let store = self.engine.store();
        (store.attempts, store.tears) = (0, None);
        self.engine.power_cycle(self.now).expect("the store works");
        self.powered_up = self.now;
        self.power_ups += 1;
    }

    /// The interruption that replaces this poll, if any.
    fn interrupt(&mut self) -> Option<Abort> {
        let (poll, _) = self.adversary.as_mut()?;
        *poll -= 1;
        self.adversary.take_if(|(poll, _)| *poll == 0).map(|(_, abort)| abort)
    }

    /// Interrupts the command. `None` if the command goes on and the power fails in its next commit.
    fn abort(&mut self, abort: Abort) -> Option<Progress> {
        self.aborted = true;
        match abort {
            Abort::Cancel => return Some(self.engine.resume(self.now, Event::Cancel)),
            Abort::Init => self.engine.abort(),
            Abort::OtherChannel => self.engine.channel_changed(),
            Abort::PowerCut => self.power_cycle(),
            Abort::TornCommit(tear) => {
                self.engine.store().tears = Some(tear);
                return None;
            }
        }
        // The request is never answered, so this stands for its answer.
        self.engine.buffer()[0] = Status::KEEPALIVE_CANCEL.0;
        Some(Progress::Reply(1))
    }

    /// Sends a request, provides the user actions that it waits for, and returns the response.
    pub fn call(&mut self, request: &[u8]) -> Vec<u8> {
        for (to, from) in self.engine.buffer().iter_mut().zip(request) {
            *to = *from;
        }
        let mut progress = self.engine.begin(self.now, request.len());
        let mut torn = false;
        for _ in 0..10 {
            if matches!(progress, Progress::Pending(_))
                && let Some(abort) = self.interrupt()
            {
                match self.abort(abort) {
                    Some(next) => progress = next,
                    None => torn = true,
                }
            }
            if torn && matches!(progress, Progress::Reply(_)) {
                self.power_cycle();
                return vec![Status::OTHER.0];
            }
            let event = match (progress, self.finger) {
                (Progress::Reply(len), _) => {
                    let response = self.engine.buffer()[..len].to_vec();
                    self.engine.response_sent();
                    return response;
                }
                (Progress::Pending(Wait::Processing), _) => Event::Tick,
                (Progress::Pending(Wait::Touch | Wait::LongTouch), Finger::Touches) => Event::LongTouched,
                (Progress::Pending(Wait::UserVerification), Finger::Touches) => Event::Verified(true),
                (Progress::Pending(Wait::Sample), Finger::Touches) => {
                    Event::Sample { status: SampleStatus::GOOD, remaining: 0 }
                }
                (Progress::Pending(_), Finger::Declines) => Event::Denied,
                (Progress::Pending(_), Finger::Sleeps) => {
                    self.now = self.engine.deadline().expect("every wait for the user has a deadline");
                    Event::Tick
                }
            };
            progress = self.engine.resume(self.now, event);
        }
        panic!("a command without an end")
    }

    fn client_pin(&mut self, request: &client_pin::Request<'_>) -> Vec<u8> {
        self.call(&message(Command::CLIENT_PIN, request))
    }

    fn agree(&mut self, protocol: PinUvAuthProtocol) -> (P256Point, SharedSecret) {
        let response = self.client_pin(&client_pin::Request {
            pin_uv_auth_protocol: Some(protocol.number()),
            sub_command: Some(subcommand::GET_KEY_AGREEMENT),
            ..Default::default()
        });
        let response: client_pin::Response<'_> = ctap2::decode_response(&response).expect("a response");
        let key = response.key_agreement.expect("a key");
        pin_uv::encapsulate(&StubCrypto, &mut self.rng, protocol, &key).expect("a key on the curve")
    }

    fn encrypt(&mut self, shared: &SharedSecret, plaintext: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plaintext.len() + 16];
        let len = shared.encrypt(&StubCrypto, &mut self.rng, plaintext, &mut out).expect("whole blocks");
        out.truncate(len);
        out
    }

    /// setPIN, or changePIN if there is an old PIN.
    pub fn set_pin(&mut self, protocol: PinUvAuthProtocol, old: Option<&str>, new: &str) -> Status {
        let (point, shared) = self.agree(protocol);
        let new_pin_enc = self.encrypt(&shared, PaddedPin::new(new, 0).expect("a short PIN").as_bytes());
        let pin_hash_enc = old.map(|old| self.encrypt(&shared, &PinHash::of(&StubCrypto, old.as_bytes()).0));
        let param = shared.authenticate(&StubCrypto, &[&new_pin_enc, pin_hash_enc.as_deref().unwrap_or_default()]);
        let response = self.client_pin(&client_pin::Request {
            pin_uv_auth_protocol: Some(protocol.number()),
            sub_command: Some(if old.is_some() { subcommand::CHANGE_PIN } else { subcommand::SET_PIN }),
            key_agreement: Some(CoseKey::key_agreement(&point)),
            pin_uv_auth_param: Some(param.as_bytes()),
            new_pin_enc: Some(&new_pin_enc),
            pin_hash_enc: pin_hash_enc.as_deref(),
            ..Default::default()
        });
        status(&response)
    }

    /// Gets a token that is not bound to a relying party.
    pub fn token(&mut self, protocol: PinUvAuthProtocol, pin: &str, permissions: Permissions) -> Result<Token, Status> {
        let (point, shared) = self.agree(protocol);
        let pin_hash_enc = self.encrypt(&shared, &PinHash::of(&StubCrypto, pin.as_bytes()).0);
        let response = self.client_pin(&client_pin::Request {
            pin_uv_auth_protocol: Some(protocol.number()),
            sub_command: Some(subcommand::GET_TOKEN_USING_PIN),
            key_agreement: Some(CoseKey::key_agreement(&point)),
            pin_hash_enc: Some(&pin_hash_enc),
            permissions: Some(permissions.0.into()),
            ..Default::default()
        });
        if !status(&response).is_ok() {
            return Err(status(&response));
        }
        let response: client_pin::Response<'_> = ctap2::decode_response(&response).expect("a response");
        let mut out = [0; 32];
        let token = response.pin_uv_auth_token.expect("a token");
        let len = shared.decrypt(&StubCrypto, token, &mut out).expect("whole blocks");
        Ok(Token::new(protocol, &out[..len]).expect("32 bytes"))
    }

    /// pinRetries and powerCycleState.
    pub fn retries(&mut self) -> (u64, bool) {
        let request = client_pin::Request { sub_command: Some(subcommand::GET_PIN_RETRIES), ..Default::default() };
        let response = self.client_pin(&request);
        let response: client_pin::Response<'_> = ctap2::decode_response(&response).expect("a response");
        (response.pin_retries.expect("a number"), response.power_cycle_state.unwrap_or(false))
    }
}
