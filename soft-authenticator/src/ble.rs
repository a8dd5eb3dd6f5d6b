//! An authenticator behind Bluetooth Low Energy: framing and engine as one state machine, without I/O and without a
//! clock.

use keyfob_core::{
    Instant,
    cbor::Text,
    ctap2::bio_enrollment::SampleStatus,
    transport::{
        KeepAlive, Protocol,
        ble::{self, DeviceConfig, DeviceEvent, Revisions},
    },
};

use crate::{
    engine::{ConfigError, Engine, Event, Platform, Wait},
    served::{Framing, Served},
};

/// An engine with the FIDO service of Bluetooth around it. It takes the fragments that the client writes and returns
/// those to notify; the driver passes touches and the time.
///
/// ```
/// use keyfob_core::{Instant, transport::ble::{DeviceConfig, Revisions}};
/// use keyfob_soft_authenticator::{ble::BleAuthenticator, engine::{Config, Engine}};
/// # use keyfob_core::crypto::RustCrypto;
/// # use keyfob_soft_authenticator::{engine::Platform, store::MemoryStore};
/// # use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// # struct Board;
/// # impl Platform for Board {
/// #     type Crypto = RustCrypto;
/// #     type Rng = ChaCha8Rng;
/// #     type Store = MemoryStore<4>;
/// # }
/// # let (rng, store) = (ChaCha8Rng::seed_from_u64(1), MemoryStore::new());
/// let config = Config::new([0; 16]);
/// let (mut memory, now) = (vec![0; config.buffer_len()], Instant::default());
/// let engine: Engine<'_, Board> = Engine::new(&mut memory, config, RustCrypto, rng, store, now)?;
/// let mut key = BleAuthenticator::new(engine, DeviceConfig::default());
///
/// assert!(key.select(Revisions::FIDO2)); // the client writes the service revision bitfield
/// key.receive(now, &[0x83, 0x00, 0x01, 0x04]); // authenticatorGetInfo, on the control point
/// let mut value = [0; 20]; // ATT_MTU is 23
/// let len = key.transmit(now, &mut value).expect("getInfo waits for nothing");
/// assert_eq!((value[0], value[3], len), (0x83, 0x00, 20)); // a message with status OK, its first fragment
/// # Ok::<(), keyfob_soft_authenticator::engine::ConfigError>(())
/// ```
pub struct BleAuthenticator<'b, P: Platform> {
    served: Served<'b, P, ble::Device>,
    revisions: Revisions,
}

impl Framing for ble::Device {
    fn respond(&mut self, len: usize) {
        self.respond(len);
    }

    fn keep_alive(&mut self, status: KeepAlive) {
        self.keep_alive(status);
    }

    fn is_busy(&self) -> bool {
        !self.is_idle()
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }
}

impl<'b, P: Platform> BleAuthenticator<'b, P> {
    /// An authenticator without a connection. The engine's configuration, not `config`, decides whether the revisions
    /// of U2F are supported.
    pub fn new(mut engine: Engine<'b, P>, config: DeviceConfig) -> Self {
        engine.set_transport(const { Text::new("ble") });
        let with_u2f = engine.has_u2f();
        let revisions = if with_u2f { config.revisions } else { Revisions(config.revisions.0 & Revisions::FIDO2.0) };
        let config = DeviceConfig { revisions, ..config };
        Self { served: Served::new(ble::Device::new(config), engine), revisions }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine<'b, P> {
        &mut self.served.engine
    }

    /// The value that the client reads from the service revision bitfield.
    pub const fn revisions(&self) -> Revisions {
        self.revisions
    }

    /// The client writes the service revision bitfield. `false` if that is not one of the supported revisions; the
    /// write is then refused with an error of ATT.
    pub fn select(&mut self, revision: Revisions) -> bool {
        self.served.framing.select(revision)
    }

    /// The connection is gone: a pending command is dropped, and what the next command of a sequence would go on with.
    pub fn disconnect(&mut self) {
        self.served.framing.reset();
        self.served.interrupt_answer();
        self.served.give_up();
        self.served.engine.channel_changed();
    }

    /// Switches the authenticator off and on: the connection, tokens and pending commands are gone, what is stored
    /// stays.
    ///
    /// # Errors
    /// [`ConfigError::Store`]: the store failed.
    pub fn power_cycle(&mut self, now: Instant) -> Result<(), ConfigError> {
        self.served.framing.reset();
        self.served.power_cycle(now)
    }

    /// Takes one fragment that the client has written to the control point.
    pub fn receive(&mut self, now: Instant, fragment: &[u8]) {
        let served = &mut self.served;
        served.settle_answer();
        match served.framing.receive(now, fragment, served.engine.whole_buffer()) {
            Some(DeviceEvent::Request { protocol, len }) => served.begin(now, protocol, len),
            Some(DeviceEvent::Cancel) => served.resume(now, Event::Cancel),
            _ => {}
        }
    }

    /// Writes the next fragment to notify to the front of `out`, whose length is the fragment length, and returns its
    /// length. `None` when there is nothing to send now. Call it only after the previous fragment was sent.
    pub fn transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.served.framing.transmit(now, self.served.engine.whole_buffer(), out)
    }

    /// The protocol of messages: see [`ble::Device::protocol`].
    pub fn protocol(&self) -> Protocol {
        self.served.framing.protocol()
    }

    /// What the pending command waits for. While it is [`Wait::Processing`], call [`BleAuthenticator::tick`] as soon as
    /// no fragment is waiting to be received.
    pub const fn waits_for(&self) -> Option<Wait> {
        self.served.waits_for
    }

    /// Whether a U2F request was refused because it needs a touch, so that a touch now counts for the next request.
    pub fn u2f_awaits_touch(&self, now: Instant) -> bool {
        self.served.engine.u2f_awaits_touch(now)
    }

    /// The user touched the authenticator, or declined. Where [`BleAuthenticator::waits_for`] says [`Wait::LongTouch`],
    /// the touch must have lasted [`LONG_TOUCH`](crate::engine::LONG_TOUCH). If no command and no U2F client waits for
    /// a touch, nothing happens.
    pub fn touch(&mut self, now: Instant, consent: bool) {
        self.served.touch(now, consent);
    }

    /// The result of a verification attempt: see [`Event::Verified`]. If no command waits for it, nothing happens.
    pub fn verify(&mut self, now: Instant, matched: bool) {
        self.served.verify(now, matched);
    }

    /// The sensor has taken a sample: see [`Event::Sample`]. If no command waits for it, nothing happens.
    pub fn sample(&mut self, now: Instant, status: SampleStatus, remaining: u8) {
        self.served.sample(now, status, remaining);
    }

    /// Continues a pending command, or applies its timeout. While no command is pending, tidies the store up, one piece
    /// per call. Call it only after every fragment from [`BleAuthenticator::transmit`] was sent.
    pub fn tick(&mut self, now: Instant) {
        self.served.tick(now);
    }

    /// When to call [`BleAuthenticator::tick`] and [`BleAuthenticator::transmit`] if no fragment comes in. A time in
    /// the past when there is something to do now.
    pub fn deadline(&self) -> Option<Instant> {
        self.served.deadline()
    }
}
