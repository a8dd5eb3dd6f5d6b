//! A key for tests and fuzz targets: an engine on a simulated clock, a simulated user, and a counter that fails the
//! test when one poll does two slow operations. Tests have it with real cryptography ([`Key`]), fuzz targets without.

mod client;
mod manage;
mod platform;
mod shared_flash;

use std::{cell::Cell, rc::Rc, time::Duration};

use keyfob_core::{
    Instant, Status,
    crypto::RustCrypto,
    ctap2::{Command, bio_enrollment::SampleStatus},
};
use keyfob_soft_authenticator::Caps;
use keyfob_soft_authenticator::engine::{Config, ConfigError, Engine, Event, Progress, TemplateId, Wait};
use keyfob_soft_authenticator::store::{Change, Setting, Store};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub use client::*;
pub use manage::*;
pub use platform::*;
pub use shared_flash::SharedFlash;

/// How the user acts when the key waits for a touch, a verification or a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserAction {
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
    /// The power fails and comes back; the engine is the same value.
    PowerCycle,
    /// The power fails, and a new engine is powered up.
    PowerCut,
    /// The power fails in the next commit, which is made or not. At the end of the command the same engine is powered
    /// up.
    #[allow(dead_code)] // the tests let chosen commits fail; fuzz targets tear one
    TornCommit { made: bool },
}

impl Abort {
    /// Those that act at once.
    pub const ALL: [Abort; 5] = [Self::Cancel, Self::Init, Self::OtherChannel, Self::PowerCycle, Self::PowerCut];
}

/// Stands for the answer to a request that is never answered.
const NO_ANSWER: [u8; 1] = [Status::KEEPALIVE_CANCEL.0];

/// When INIT comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Between the commit and the answer. The answer is then not used.
    BeforeTheAnswer,
    /// While the answer is sent.
    WithinTheAnswer,
}

/// A key of tests, with real cryptography.
pub type Key = KeyDouble<'static, RustCrypto>;

/// An engine on the backend `C`, with its clock, its user and its store.
pub struct KeyDouble<'b, C: Backend> {
    pub engine: Engine<'b, Bench<C>>,
    pub now: Instant,
    pub powered_up: Instant,
    /// How often the same engine was powered up again.
    pub power_ups: u32,
    pub user: UserAction,
    pub store: BenchStore,
    /// Touches so far.
    pub touches: u32,
    /// The results of the next verification attempts, in order. After the last one, the user is verified.
    pub verdicts: Vec<bool>,
    /// How often the user was asked for verification.
    pub asked: u32,
    /// The results of the next samples of a finger, in order. After the last one, samples are good.
    pub samples: Vec<SampleStatus>,
    template: Option<(TemplateId, u8)>,
    /// The polls of the last command, without `begin`.
    pub polls: u32,
    /// Polls of all commands.
    pub atoms: u32,
    /// The interruption that replaces a poll, and the number of that poll: counted from now over all commands, the next
    /// poll is number 1.
    pub adversary: Option<(u32, Abort)>,
    /// Whether the interruption has come.
    pub aborted: bool,
    pub rng: ChaCha20Rng,
    /// When INIT on the channel makes the platform lose the answer, if at all.
    pub loses: Option<Loss>,
    config: Config<'b>,
    slow: Rc<Cell<u32>>,
    /// How many slow operations a poll may do. A check of the signature is two more.
    most: u32,
}

impl Key {
    /// A key with the default configuration.
    pub fn new() -> Self {
        Self::with(Config::new([0xAA; 16]))
    }

    pub fn with(config: Config<'static>) -> Self {
        Self::try_with(config, BenchStore::default()).unwrap()
    }

    /// A key that is plugged in with `store`.
    pub fn try_with(config: Config<'static>, store: BenchStore) -> Result<Self, ConfigError> {
        Self::in_buffer(room(&config), config, store)
    }

    /// The power fails, and a new engine is powered up with the same store.
    pub fn power_cut(self) -> Self {
        let Self { config, store, engine, .. } = self;
        drop(engine);
        store.fault.set(Fault::None);
        Self::try_with(config, store).unwrap()
    }

    /// A key with a PIN.
    pub fn with_pin() -> Self {
        let mut key = Self::new();
        assert_eq!(key.set_pin(keyfob_core::pin_uv::PinUvAuthProtocol::Two, PIN), Status::OK);
        key
    }

    /// Sets a setting in the store.
    pub fn set(self, setting: Setting, value: &[u8]) -> Self {
        self.store.memory.borrow_mut().commit(&[Change::Set(setting, value)]).unwrap();
        self.power_cut()
    }
}

impl<'b, C: Backend> KeyDouble<'b, C> {
    /// A key that is plugged in with `store`. The buffer must have [`Config::buffer_len`] bytes.
    pub fn in_buffer(buffer: &'b mut [u8], config: Config<'b>, store: BenchStore) -> Result<Self, ConfigError> {
        let slow = store.slow.clone();
        let now = Instant::from_millis(5000);
        let engine = plug_in(buffer, config, &store, now)?;
        let rng = ChaCha20Rng::seed_from_u64(99);
        Ok(Self {
            engine,
            now,
            powered_up: now,
            power_ups: 0,
            user: UserAction::Touches,
            store,
            touches: 0,
            verdicts: Vec::new(),
            asked: 0,
            samples: Vec::new(),
            template: None,
            polls: 0,
            atoms: 0,
            adversary: None,
            aborted: false,
            rng,
            loses: None,
            config,
            slow,
            most: if config.caps.has(Caps::SIGNATURE_CHECK) { 3 } else { 1 },
        })
    }

    /// The power fails and comes back; the engine is the same value.
    pub fn power_cycle(&mut self) {
        self.powered_up = self.now;
        self.power_ups += 1;
        self.store.attempts.set(0);
        self.engine.power_cycle(self.now).unwrap();
    }

    /// Interrupts a command between two atoms. `None` if the request is never answered.
    pub fn abort(&mut self, abort: Abort) -> Option<Progress> {
        self.aborted = true;
        match abort {
            Abort::Cancel => return Some(self.resume(Event::Cancel)),
            Abort::Init => self.engine.abort(),
            Abort::OtherChannel => self.engine.channel_changed(),
            Abort::PowerCycle => self.power_cycle(),
            Abort::PowerCut => {
                self.powered_up = self.now;
                self.engine = plug_in(room(&self.config), self.config, &self.store, self.now).unwrap();
            }
            Abort::TornCommit { made } => {
                self.store.fail_at(1, if made { Fault::After } else { Fault::Before });
                return Some(self.resume(Event::Tick));
            }
        }
        None
    }

    /// The interruption that replaces this poll, if any.
    fn interrupt(&mut self) -> Option<Abort> {
        self.atoms += 1;
        let (atom, _) = self.adversary.as_mut()?;
        *atom -= 1;
        self.adversary.take_if(|(atom, _)| *atom == 0).map(|(_, abort)| abort)
    }

    /// Advances the clock.
    pub fn wait(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// Sends a request, provides the user actions that it waits for, and returns the response.
    pub fn call(&mut self, request: &[u8]) -> Vec<u8> {
        self.run(request, u32::MAX)
    }

    /// [`Key::call`] with a cancellation in place of the poll with this number. The poll after `begin` is number 1.
    pub fn call_cancelled(&mut self, request: &[u8], poll: u32) -> Vec<u8> {
        self.run(request, poll)
    }

    /// Only sends a request.
    pub fn begin(&mut self, request: &[u8]) -> Progress {
        for (to, from) in self.engine.buffer().iter_mut().zip(request) {
            *to = *from;
        }
        self.slow.set(0);
        let progress = self.engine.begin(self.now, request.len());
        assert!(self.slow.get() <= 1, "begin did {} slow things", self.slow.get());
        progress
    }

    /// Only sends a U2F request.
    pub fn begin_u2f(&mut self, apdu: &[u8]) -> Progress {
        for (to, from) in self.engine.buffer().iter_mut().zip(apdu) {
            *to = *from;
        }
        self.slow.set(0);
        let progress = self.engine.begin_u2f(self.now, apdu.len());
        assert!(self.slow.get() <= 1, "begin did {} slow things", self.slow.get());
        progress
    }

    /// Sends a U2F request and lets the engine work.
    pub fn call_u2f(&mut self, apdu: &[u8]) -> Vec<u8> {
        let mut progress = self.begin_u2f(apdu);
        loop {
            match progress {
                Progress::Reply(len) => return self.engine.buffer()[..len].to_vec(),
                Progress::Pending(wait) => assert_eq!(wait, Wait::Processing),
            }
            progress = match self.interrupt() {
                None => self.resume(Event::Tick),
                Some(abort) => match self.abort(abort) {
                    Some(progress) => progress,
                    None => return NO_ANSWER.to_vec(),
                },
            };
        }
    }

    pub fn resume(&mut self, event: Event) -> Progress {
        self.slow.set(0);
        let progress = self.engine.resume(self.now, event);
        assert!(self.slow.get() <= self.most, "one poll did {} slow things", self.slow.get());
        progress
    }

    fn run(&mut self, request: &[u8], cancel_at: u32) -> Vec<u8> {
        let commits = self.store.applied();
        let mut progress = self.begin(request);
        let mut torn = false;
        self.polls = 0;
        loop {
            let wait = match progress {
                Progress::Reply(_) if torn => {
                    self.store.fault.set(Fault::None);
                    self.power_cycle();
                    return vec![Status::OTHER.0];
                }
                Progress::Reply(len) => {
                    assert!(!self.engine.is_pending());
                    let response = self.engine.buffer()[..len].to_vec();
                    self.slow.set(0);
                    if self.loses.is_some() {
                        self.engine.abort();
                    } else {
                        self.engine.response_sent();
                    }
                    assert!(self.slow.get() <= 1, "the end did {} slow things", self.slow.get());
                    return response;
                }
                Progress::Pending(wait) => wait,
            };
            if self.loses == Some(Loss::BeforeTheAnswer) && self.store.applied() > commits {
                self.engine.abort();
                return vec![Status::OTHER.0];
            }
            assert_eq!(&self.engine.buffer()[..request.len()], request, "a pending request stays in the buffer");
            self.polls += 1;
            assert!(self.polls < 1_000, "a command without an end");
            if let Some(abort) = self.interrupt() {
                torn = matches!(abort, Abort::TornCommit { .. });
                match self.abort(abort) {
                    Some(next) => progress = next,
                    None => return NO_ANSWER.to_vec(),
                }
                continue;
            }
            let event = match (wait, self.user) {
                _ if self.polls == cancel_at => Event::Cancel,
                (Wait::Processing, _) => Event::Tick,
                (wait @ (Wait::Touch | Wait::LongTouch), UserAction::Touches) => {
                    self.touches += 1;
                    if wait == Wait::Touch { Event::Touched } else { Event::LongTouched }
                }
                (Wait::UserVerification, UserAction::Touches) => {
                    self.asked += 1;
                    let right = self.verdicts.is_empty() || self.verdicts.remove(0);
                    Event::Verified(right)
                }
                (Wait::Sample, UserAction::Touches) => self.sample(),
                (wait, UserAction::Touches) => unreachable!("{wait:?}"),
                (_, UserAction::Declines) => Event::Denied,
                (_, UserAction::Sleeps) => {
                    self.now = self.engine.deadline().unwrap();
                    Event::Tick
                }
            };
            progress = self.resume(event);
        }
    }

    fn sample(&mut self) -> Event {
        let id = self.engine.enrolls().unwrap();
        let fresh = (id, self.config.user_verification.samples);
        self.template = self.template.filter(|template| template.0 == id);
        let (_, remaining) = self.template.get_or_insert(fresh);
        let status = if self.samples.is_empty() { SampleStatus::GOOD } else { self.samples.remove(0) };
        *remaining -= u8::from(status == SampleStatus::GOOD);
        let remaining = *remaining;
        self.template = (remaining > 0).then_some((id, remaining));
        Event::Sample { status, remaining }
    }

    /// Sends a command without parameters.
    pub fn command(&mut self, command: Command) -> Vec<u8> {
        self.call(&[command.0])
    }

    /// Sends a request and returns the status of the answer.
    pub fn status(&mut self, request: &[u8]) -> Status {
        status(&self.call(request))
    }
}

/// Room for an engine that is never freed.
fn room(config: &Config<'_>) -> &'static mut [u8] {
    vec![0; config.buffer_len()].leak()
}

/// A new engine with `store`.
pub fn plug_in<'b, C: Backend>(
    buffer: &'b mut [u8],
    config: Config<'b>,
    store: &BenchStore,
    now: Instant,
) -> Result<Engine<'b, Bench<C>>, ConfigError> {
    store.attempts.set(0);
    let (crypto, rng) = (bench_crypto(&store.slow), BenchRng::new(store.applied()));
    Engine::new(buffer, config, crypto, rng, store.watched(), now)
}

/// The status of a response. An error has no body.
pub fn status(response: &[u8]) -> Status {
    assert!(response[0] == 0 || response.len() == 1, "an error with a body: {response:02x?}");
    Status(response[0])
}
