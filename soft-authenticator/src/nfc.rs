//! An authenticator behind NFC: framing and engine as one state machine, without I/O and without a clock.

use core::time::Duration;

use keyfob_core::{
    Instant,
    cbor::Text,
    ctap2::bio_enrollment::SampleStatus,
    transport::{
        KeepAlive, Protocol,
        nfc::{self, DeviceConfig, DeviceEvent, ResponseApdu},
    },
};

use crate::{
    engine::{ConfigError, Engine, Event, Platform, Wait},
    served::{Framing, Served},
};

/// How long the user counts as present after the authenticator was placed in the field. The standard gives this time
/// for what a token says about presence on NFC; here it is that of the tap too.
pub const TAP_LIMIT: Duration = keyfob_core::pin_uv::NFC_LIMIT;

/// The configuration of an [`NfcAuthenticator`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NfcConfig {
    /// The framing. The engine's configuration, not this, decides whether U2F is supported.
    pub device: DeviceConfig,
    /// How the user consents.
    pub presence: Presence,
}

/// How the user of an authenticator on NFC consents to an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// By the tap, which is to place the authenticator in a reader's field: a card. It refuses at once when the tap is
    /// used up.
    #[default]
    Tap,
    /// By the tap, and by a button once the tap is used up.
    TapOrButton,
    /// By a button only: an authenticator that may lie in the field without its user.
    Button,
}

/// An engine with NFC around it. It takes commands and returns responses; the driver passes the time.
///
/// To place the authenticator in a reader's field is the user's consent to one operation, within [`TAP_LIMIT`]. For
/// another operation the user takes it away and places it again, which [`NfcAuthenticator::power_cycle`] tells, or
/// presses its button.
///
/// ```
/// use keyfob_core::{Instant, transport::nfc::AID};
/// use keyfob_soft_authenticator::{engine::{Config, Engine}, nfc::{NfcAuthenticator, NfcConfig}};
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
/// let config = Config::arculus_like([0; 16]);
/// let (mut memory, now) = (vec![0; config.buffer_len()], Instant::default());
/// let engine: Engine<'_, Board> = Engine::new(&mut memory, config, RustCrypto, rng, store, now)?;
/// let mut card = NfcAuthenticator::new(engine, NfcConfig::default(), now);
///
/// let mut apdu = [0; 261]; // the longest in short length encoding
/// card.receive(now, &[&[0x00, 0xA4, 0x04, 0x00, 0x08][..], &AID, &[0x00]].concat());
/// let len = card.transmit(now).and_then(|response| response.encode(&mut apdu)).unwrap();
/// assert_eq!(&apdu[..len], b"U2F_V2\x90\x00");
///
/// card.receive(now, &[0x80, 0x10, 0x00, 0x00, 0x01, 0x04, 0x00]); // authenticatorGetInfo
/// card.tick(now);
/// card.transmit(now).and_then(|response| response.encode(&mut apdu)).unwrap();
/// assert_eq!(apdu[0], 0x00); // status OK
/// # Ok::<(), keyfob_soft_authenticator::engine::ConfigError>(())
/// ```
pub struct NfcAuthenticator<'b, P: Platform> {
    served: Served<'b, P, nfc::Device>,
    presence: Presence,
    /// Until when the tap counts, if it is not used up.
    tap: Option<Instant>,
}

impl Framing for nfc::Device {
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

impl<'b, P: Platform> NfcAuthenticator<'b, P> {
    /// An authenticator that was just placed in a reader's field.
    pub fn new(mut engine: Engine<'b, P>, config: NfcConfig, now: Instant) -> Self {
        engine.set_transport(const { Text::new("nfc") });
        let device = DeviceConfig { u2f: engine.has_u2f(), ..config.device };
        let served = Served::new(nfc::Device::new(device), engine);
        let mut card = Self { served, presence: config.presence, tap: None };
        card.placed(now);
        card
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine<'b, P> {
        &mut self.served.engine
    }

    /// The engine, to put it behind another transport. A pending command is still pending in it, until its
    /// [`Engine::power_cycle`] or [`Engine::abort`].
    pub fn into_engine(self) -> Engine<'b, P> {
        self.served.engine
    }

    /// Call this when the field has come back after it was lost: the selection, tokens and pending commands
    /// are gone, what is stored stays, and the user is present.
    ///
    /// # Errors
    /// [`ConfigError::Store`]: the store failed.
    pub fn power_cycle(&mut self, now: Instant) -> Result<(), ConfigError> {
        self.served.framing.reset();
        self.placed(now);
        self.served.power_cycle(now)
    }

    /// Takes one command APDU. Before the next one, send its response, which [`NfcAuthenticator::transmit`] returns.
    pub fn receive(&mut self, now: Instant, command: &[u8]) {
        let served = &mut self.served;
        served.settle_answer();
        match served.framing.receive(now, command, served.engine.whole_buffer()) {
            Some(DeviceEvent::Request { protocol, len }) => {
                served.interrupt_answer();
                self.begin(now, protocol, len);
            }
            Some(DeviceEvent::Cancel) => served.resume(now, Event::Cancel),
            Some(DeviceEvent::Aborted) => {
                served.interrupt_answer();
                served.give_up();
            }
            Some(DeviceEvent::Ended) => {
                served.interrupt_answer();
                served.give_up();
                served.engine.channel_changed();
            }
            _ => {}
        }
        self.show_presence(now);
    }

    /// The response to the last command, if it is there. `None` while the command waits, and when the response was
    /// already returned: see [`nfc::Device`] for how the driver then keeps the reader waiting.
    pub fn transmit(&mut self, now: Instant) -> Option<ResponseApdu<'_>> {
        self.served.framing.transmit(now, self.served.engine.whole_buffer())
    }

    /// What the pending command waits for. While it is [`Wait::Processing`], call [`NfcAuthenticator::tick`] as soon as
    /// no command is waiting to be received.
    pub const fn waits_for(&self) -> Option<Wait> {
        self.served.waits_for
    }

    /// Whether a U2F request was refused because it needs a touch, so that a touch now counts for the next request.
    pub fn u2f_awaits_touch(&self, now: Instant) -> bool {
        self.presence != Presence::Tap && self.served.engine.u2f_awaits_touch(now)
    }

    /// The user pressed the button, or declined. Where [`NfcAuthenticator::waits_for`] says [`Wait::LongTouch`], the
    /// touch must have lasted [`LONG_TOUCH`](crate::engine::LONG_TOUCH). If no command and no U2F client waits for a
    /// touch, nothing happens.
    pub fn touch(&mut self, now: Instant, consent: bool) {
        self.served.touch(now, consent);
        self.show_presence(now);
    }

    /// The result of a verification attempt: see [`Event::Verified`]. If no command waits for it, nothing happens.
    pub fn verify(&mut self, now: Instant, matched: bool) {
        self.served.verify(now, matched);
        self.show_presence(now);
    }

    /// The sensor has taken a sample: see [`Event::Sample`]. If no command waits for it, nothing happens.
    pub fn sample(&mut self, now: Instant, status: SampleStatus, remaining: u8) {
        self.served.sample(now, status, remaining);
        self.show_presence(now);
    }

    /// Continues a pending command, or applies its timeout. While no command is pending, tidies the store up, one piece
    /// per call. Call it only after the response from [`NfcAuthenticator::transmit`] was sent.
    pub fn tick(&mut self, now: Instant) {
        self.served.tick(now);
        self.show_presence(now);
    }

    /// When to call [`NfcAuthenticator::tick`] and [`NfcAuthenticator::transmit`] if no command comes in. A time in the
    /// past when there is something to do now.
    pub fn deadline(&self) -> Option<Instant> {
        self.served.deadline()
    }

    fn placed(&mut self, now: Instant) {
        self.tap = (self.presence != Presence::Button).then(|| now.plus(TAP_LIMIT));
    }

    fn begin(&mut self, now: Instant, protocol: Protocol, len: usize) {
        let tap = self.tap.filter(|until| protocol == Protocol::Ctap1 && now < *until);
        if let Some(until) = tap {
            self.served.engine.keep_touch_for_u2f(until);
        }
        self.served.begin(now, protocol, len);
        if tap.is_some() && !self.served.engine.keeps_touch_for_u2f() {
            self.tap = None;
        }
    }

    /// Answers a command that waits for a touch.
    fn show_presence(&mut self, now: Instant) {
        while let Some(event) = self.consent(now) {
            self.served.resume(now, event);
        }
    }

    /// What a command that waits for a touch gets without a button: the tap, if it still counts. Otherwise a card
    /// refuses.
    fn consent(&mut self, now: Instant) -> Option<Event> {
        match self.served.waits_for {
            Some(Wait::Touch) if self.tap.take_if(|until| now < *until).is_some() => Some(Event::Touched),
            Some(Wait::Touch | Wait::LongTouch) if self.presence == Presence::Tap => Some(Event::Denied),
            _ => None,
        }
    }
}
