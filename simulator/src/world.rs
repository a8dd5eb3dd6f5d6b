//! The world: a clock, a pipe, an authenticator at one end, a client at the other, a user, a rival, and the plug.
//!
//! Nothing here runs by itself. [`World::advance`] does everything that is due in the current millisecond, then moves
//! the clock to the next millisecond in which something is due.

use std::marker::PhantomData;

use keyfob_core::{
    Instant,
    transport::{
        Protocol,
        hid::{Capabilities, DeviceConfig, UnknownChannels},
    },
};
use keyfob_soft_authenticator::{
    engine::{Config, Engine, Platform},
    store::WatchedStore,
};
use rand_chacha::ChaCha8Rng;

use crate::{
    Mutation, WorldOptions,
    adversary::Adversary,
    dice::Dice,
    flash::Flash,
    link::{Client, ClientEvent, Device, Medium},
    rival::Rival,
    tap::{Backend, Observer, Secrets, Tap},
    wire::{Wire, WireFaults},
};

mod turns;
mod user;

pub use user::{Sensor, TimedAction};

/// The platform of the simulated authenticator.
pub struct Simulated<C>(PhantomData<C>);

impl<C: Backend> Platform for Simulated<C> {
    type Crypto = Tap<C>;
    type Rng = ChaCha8Rng;
    type Store = WatchedStore<Flash>;
}

/// The maximum number of turns within one ceremony, far more than any ceremony takes. It ends a loop in which no time
/// passes.
const MAX_TURNS: u64 = 3_000_000;

/// The world. Times are in milliseconds since its beginning.
pub struct World<'w, C: Backend> {
    /// The current time.
    pub now: u64,
    /// The source of random decisions.
    pub dice: Dice,
    /// The current faults on the pipe.
    pub faults: WireFaults,
    /// What the user does.
    pub user: TimedAction,
    /// When the user last consented.
    pub consented: Option<u64>,
    /// When the sensor last verified the user.
    pub verified: Option<u64>,
    /// The fingerprint sensor.
    pub sensor: Sensor,
    /// When the power will be cut, if at all.
    pub cut_at: Option<u64>,
    /// After how many atoms of the engine the power will be cut, if at all.
    pub cut_after: Option<u64>,
    /// Power cuts so far.
    pub cuts: u64,
    /// How many reports did not arrive unchanged since the last [`World::settle`].
    pub disturbed: u64,
    /// How many of these may have put bytes into a message that were not sent in it.
    pub corrupted: u64,
    /// Another client.
    pub rival: Option<Rival>,
    /// The adversary that interrupts between two atoms, if any.
    pub adversary: Option<Adversary>,
    /// The authenticator's store.
    pub flash: Flash,
    /// The secrets that must not appear on the wire.
    pub secrets: Secrets,
    /// The readable log, if one is kept.
    pub log: Option<Vec<String>>,
    /// The authenticator's configuration.
    pub config: Config<'static>,
    /// The transport.
    pub(crate) medium: Medium,
    /// The client's end.
    pub(crate) host: Client,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) turns: u64,
    lenient: bool,
    pub(crate) device: Device<'w, Simulated<C>>,
    spare_buffers: Vec<&'w mut [u8]>,
    up: Wire,
    down: Wire,
    /// How long one atom of the engine takes.
    atom: u64,
    processor_free: u64,
    touch_due: Option<(u64, bool)>,
    nonce: u64,
    /// The channel on which the client last sent a report.
    pub(crate) channel: [u8; 4],
    /// The pending request, its command, and whether it still waits for the channel to open.
    request: Vec<u8>,
    protocol: Protocol,
    queued: bool,
    reopened: bool,
    /// Whether the client's handle is invalid and the client does not know yet.
    unplugged: bool,
}

impl<'w, C: Backend> World<'w, C> {
    /// A world with an authenticator that was just plugged in. Each of `buffers` is for one engine.
    pub fn new(
        mut dice: Dice,
        config: Config<'static>,
        mut buffers: Vec<&'w mut [u8]>,
        WorldOptions { medium, trace, mutation }: WorldOptions,
    ) -> Self {
        let (flash, secrets) = (Flash::new(mutation), Secrets::default());
        let crypto = Observer::tap(secrets.clone(), mutation);
        let buffer = buffers.pop().expect("a buffer for the first engine");
        let engine = Engine::new(buffer, config, crypto, dice.fork(), flash.watched(), Instant::default())
            .expect("the scenario makes configurations that work");
        let lenient = dice.percent(20);
        let atom = dice.pick(&[0, 0, 1, 7, 40, 250, 1500]);
        let nonce = u64::from_be_bytes(dice.bytes());
        Self {
            now: 0,
            dice,
            faults: WireFaults::NONE,
            user: TimedAction::Touches(0),
            consented: None,
            verified: None,
            sensor: Sensor::default(),
            cut_at: None,
            cut_after: None,
            cuts: 0,
            disturbed: 0,
            corrupted: 0,
            rival: None,
            adversary: None,
            flash,
            secrets,
            log: trace.then(Vec::new),
            config,
            medium,
            host: Client::new(medium),
            mutation,
            turns: 0,
            lenient,
            device: Device::new(medium, engine, device_config(&config, lenient), Instant::default()),
            spare_buffers: buffers,
            up: Wire::new(medium, true),
            down: Wire::new(medium, false),
            atom,
            processor_free: 0,
            touch_due: None,
            nonce,
            channel: [0; 4],
            request: Vec::new(),
            protocol: Protocol::Ctap2,
            queued: false,
            reopened: false,
            unplugged: false,
        }
    }

    /// Writes to the log, if there is one.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(format!("{:>8} ms  {}", self.now, line()));
        }
    }

    /// Lets an idle device finish its work after an answer was sent, such as removing a replaced credential.
    pub fn rest(&mut self) {
        if self.device.waits_for().is_none() {
            let now = self.instant();
            self.device.tick(now);
        }
    }

    /// The current time as an [`Instant`].
    pub fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// The observed backend.
    pub fn crypto(&self) -> Tap<C> {
        Observer::tap(self.secrets.clone(), self.mutation)
    }

    /// The first secret that was sent in clear.
    pub fn leak(&self) -> Option<Vec<u8>> {
        self.secrets.found_in(self.up.seen().chain(self.down.seen()))
    }

    /// Whether one ceremony took more than the maximum number of turns.
    pub fn exhausted(&self) -> bool {
        self.turns > MAX_TURNS
    }

    /// Begins a request, after INIT unless the channel is open and quiet.
    pub fn begin(&mut self, protocol: Protocol, request: &[u8]) {
        self.protocol = protocol;
        self.finish_exchange();
        self.request.clear();
        self.request.extend_from_slice(request);
        self.reopened = false;
        self.unplugged = false;
        self.queued = !self.host.is_ready();
        // As the driver does, drop reports that are still in the pipe: they answer an earlier request.
        while let Some(report) = self.down.receive(self.now) {
            let medium = self.medium;
            self.note(|| format!("client drops {}", medium.describe(&report)));
        }
        self.device.select(protocol);
        if self.queued {
            self.open();
        } else {
            self.host.send(self.instant(), protocol, request);
        }
    }

    /// Waits for what a client of NFC or Bluetooth has to wait for before its next request: the response to its last
    /// command, or the end of a request that it gives up.
    fn finish_exchange(&mut self) {
        let mut nothing = [];
        let until = self.now
            + match self.medium {
                Medium::Hid => return,
                Medium::Nfc | Medium::NfcExtended => 60_000,
                Medium::Ble(_) => 3_000,
            };
        if let Medium::Ble(_) = self.medium {
            if self.host.is_ready() {
                return;
            }
            self.send_up(&[0xBE, 0, 0]);
        }
        self.turns = 0;
        while self.now < until && !self.exhausted() {
            let waits = self.host.awaits_response() || matches!(self.medium, Medium::Ble(_)) && !self.host.is_ready();
            if !waits || self.unplugged {
                break;
            }
            let busy = self.turn();
            match self.down.receive(self.now) {
                Some(frame) => _ = self.host.receive(self.instant(), &frame, &mut nothing),
                None if !busy => self.sleep(until, Some(Instant::from_millis(until))),
                None => {}
            }
        }
        if let Medium::Ble(_) = self.medium {
            self.host = Client::new(self.medium);
        }
    }

    /// Resynchronises the channel.
    pub fn open(&mut self) {
        self.nonce = self.nonce.wrapping_add(1);
        let now = self.instant();
        self.host.open(now, self.nonce.to_be_bytes());
    }

    /// Asks the authenticator to cancel. Returns `false` if the request has not begun; then it never begins.
    pub fn cancel(&mut self) -> bool {
        self.host.cancel();
        !std::mem::take(&mut self.queued)
    }

    /// Lets time pass while the client reads nothing and sends nothing.
    pub fn idle(&mut self, millis: u64) {
        self.turns = 0;
        let until = self.now + millis;
        while self.now < until && !self.exhausted() {
            if !self.turn() {
                self.sleep(until, None);
            }
        }
    }

    /// Ends all faults and waits until they have no effect any more. Emptying the pipe is not enough: after a fault,
    /// the authenticator may still work on a request that the client considers answered, or that arrived as another
    /// command. The answer would be taken as the answer to the next request, because packets carry no transaction
    /// number.
    pub fn settle(&mut self) {
        self.faults = WireFaults::NONE;
        (self.rival, self.adversary) = (None, None);
        (self.cut_at, self.cut_after) = (None, None);
        self.user = TimedAction::Away;
        self.idle(crate::wire::MAX_DELAY + 1_000);
        while self.disturbed > 0 && self.device.waits_for().is_some() {
            self.idle(1_000);
        }
        self.idle(1_000);
        (self.disturbed, self.corrupted) = (0, 0);
        self.touch_due = None;
        self.note(|| "the wire is healed".into());
    }

    /// Runs the world until the client's transaction has an event or `until` is reached. `buffer` holds the request,
    /// then the response.
    pub fn advance(&mut self, until: u64, buffer: &mut [u8]) -> Option<ClientEvent> {
        loop {
            let mut busy = self.turn();
            if std::mem::take(&mut self.unplugged) {
                self.queued = false;
                return Some(ClientEvent::Failed("the authenticator is gone".into()));
            }
            while let Some(report) = self.host.transmit(self.instant(), buffer) {
                self.send_up(&report);
                busy = true;
            }
            let event = match self.down.receive(self.now) {
                Some(report) => {
                    busy = true;
                    let medium = self.medium;
                    self.note(|| format!("client  <- {}", medium.describe(&report)));
                    self.host.receive(self.instant(), &report, buffer)
                }
                None if self.mutation == Some(Mutation::NeverEnds) => None,
                None => self.host.expire(self.instant()),
            };
            let heard = event.is_some();
            if let Some(event) = event.and_then(|event| self.heard(event, buffer)) {
                return Some(event);
            }
            if busy || heard {
                if self.exhausted() {
                    return None;
                }
                continue;
            }
            if self.now >= until {
                return None;
            }
            self.sleep(until, self.host.deadline());
        }
    }

    /// Cuts the power and restores it. A new engine numbers its channels from the first again, so the clients must
    /// notice, as on USB, that the device and their handles are gone. The same engine continues its numbering, and the
    /// clients notice only that no answer comes.
    pub fn power_cycle(&mut self) {
        self.cuts += 1;
        self.up.unplug();
        self.down.unplug();
        self.flash.power_lost();
        self.sensor.unfinished = None;
        self.touch_due = None;
        (self.cut_at, self.cut_after) = (None, None);
        self.processor_free = self.now;
        let now = self.instant();
        match self.spare_buffers.pop().filter(|_| self.dice.percent(50)) {
            Some(buffer) => {
                self.note(|| "power cut; a new engine on the old store".into());
                let (crypto, rng) = (self.crypto(), self.dice.fork());
                let engine = Engine::new(buffer, self.config, crypto, rng, self.flash.watched(), now)
                    .expect("it worked before the power cut");
                self.device = Device::new(self.medium, engine, device_config(&self.config, self.lenient), now);
                self.host = Client::new(self.medium);
                self.rival = None;
                self.unplugged = true;
            }
            None => {
                self.note(|| "power cut; the same engine".into());
                self.device.power_cycle(now).expect("the store does not fail");
                if self.medium != Medium::Hid {
                    // The reader or the connection tells.
                    self.host = Client::new(self.medium);
                    self.unplugged = true;
                }
            }
        }
    }

    /// Does what the client's driver does by itself: sends the request after INIT, and opens a new channel if the
    /// authenticator has forgotten the old one, once per request, if the buffer still holds the request.
    fn heard(&mut self, event: ClientEvent, buffer: &[u8]) -> Option<ClientEvent> {
        match event {
            ClientEvent::Opened => {
                if std::mem::take(&mut self.queued) {
                    let (now, protocol) = (self.instant(), self.protocol);
                    self.host.send(now, protocol, &self.request);
                }
                None
            }
            ClientEvent::Forgotten if !self.reopened && !self.queued && buffer.starts_with(&self.request) => {
                self.reopened = true;
                self.queued = true;
                self.open();
                None
            }
            ClientEvent::Forgotten | ClientEvent::Failed(_) => {
                self.note(|| format!("transaction ends: {event:?}"));
                self.queued = false;
                Some(event)
            }
            event => Some(event),
        }
    }

    /// Moves the clock to the next time at which something is due.
    fn sleep(&mut self, until: u64, host: Option<Instant>) {
        let device = self.device.deadline().map(|at| at.as_millis().max(self.processor_free));
        let up = self.up.next().map(|at| at.max(self.processor_free));
        let rival = self.rival.as_ref().map(Rival::deadline);
        let touch = self.touch_due.map(|(at, _)| at.max(self.processor_free));
        let host = host.map(Instant::as_millis);
        let down = host.and(self.down.next());
        let next = [device, up, rival, touch, host, down, self.cut_at].into_iter().flatten().min();
        self.now = next.unwrap_or(until).min(until).max(self.now + 1);
    }
}

fn device_config(config: &Config<'_>, lenient: bool) -> DeviceConfig {
    DeviceConfig {
        max_message: config.max_msg_size,
        capabilities: Capabilities::WINK.with(Capabilities::CBOR).with(Capabilities::NMSG),
        unknown_channels: if lenient { UnknownChannels::Lenient } else { UnknownChannels::Strict },
        lock: true,
        ..DeviceConfig::default()
    }
}
