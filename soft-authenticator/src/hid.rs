//! An authenticator behind CTAPHID: framing and engine as one state machine, without I/O and without a clock.

use core::mem;

use keyfob_core::{
    Instant,
    ctap2::bio_enrollment::SampleStatus,
    transport::{
        KeepAlive, Protocol,
        hid::{self, Capabilities, DeviceConfig, DeviceEvent, HidCommand, REPORT_LEN},
    },
};

use crate::{
    engine::{ConfigError, Engine, Event, Platform, Wait},
    served::{Framing, Served},
};

/// What the driver must do, in addition to touches and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HidEvent {
    /// CTAPHID_WINK: blink or beep, so that the user sees which authenticator this is (CTAP 2.3 §11.2.9.2.1). The WINK
    /// is already answered.
    Wink,
    /// A vendor command, if [`DeviceConfig::vendor_commands`] allows them. Its bytes are the first `len` of
    /// [`HidAuthenticator::vendor_buffer`]. Answer it with [`HidAuthenticator::respond_to_vendor`] or
    /// [`HidAuthenticator::refuse_vendor`]; until then every channel gets CHANNEL_BUSY.
    Vendor {
        /// 40 to 7F.
        command: HidCommand,
        /// Bytes in the request.
        len: usize,
    },
    /// The pending vendor command was given up: do not answer it.
    VendorAborted,
}

/// An engine with CTAPHID around it. It takes and returns reports; the driver passes touches and the time.
///
/// ```
/// use keyfob_core::{Instant, transport::hid::DeviceConfig};
/// use keyfob_soft_authenticator::{engine::{Config, Engine}, hid::HidAuthenticator};
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
/// let mut key = HidAuthenticator::new(engine, DeviceConfig::default());
///
/// let mut init = [0; 64]; // CTAPHID_INIT on the broadcast channel, with a nonce of eight bytes
/// init[..15].copy_from_slice(b"\xFF\xFF\xFF\xFF\x86\x00\x08a nonce!");
/// assert_eq!(key.receive(now, &init), None);
/// key.tick(now);
/// let answer = key.transmit(now).expect("INIT is answered at once");
/// assert_eq!(&answer[7..15], b"a nonce!");
/// # Ok::<(), keyfob_soft_authenticator::engine::ConfigError>(())
/// ```
///
/// With a [`SharedFront`] as its framing, an interrupt answers while the engine computes.
pub struct HidAuthenticator<'b, P: Platform, F: HidFraming = hid::Device> {
    served: Served<'b, P, Framed<F>>,
    /// The channel of the last request.
    channel: Option<u32>,
    /// Whether a vendor command is pending.
    vendor: bool,
}

/// Where the CTAPHID half of a [`HidAuthenticator`] is: in it, as a [`hid::Device`], or in a [`SharedFront`].
pub trait HidFraming {
    /// Does something with the device.
    fn with<R>(&mut self, work: impl FnOnce(&mut hid::Device) -> R) -> R;
    /// When there is something to send if nothing comes in.
    fn deadline(&self) -> Option<Instant>;
    /// Whether a request arrives or waits, or its answer is not all sent.
    fn is_busy(&self) -> bool;
}

impl HidFraming for hid::Device {
    fn with<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        work(self)
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }

    fn is_busy(&self) -> bool {
        self.channel().is_some()
    }
}

/// The lock around a [`hid::Front`] that an interrupt and the thread share: a critical section, or a mutex of the
/// executor.
pub trait FrontLock {
    /// Does something with the front.
    fn lock<R>(&self, work: impl FnOnce(&mut hid::Front) -> R) -> R;
}

/// A framing that an interrupt shares, so that keep-alives go out, CANCEL is noticed and other clients get their
/// answers while the engine computes. The interrupt calls [`hid::Front::receive`] and [`hid::Front::transmit`]; the
/// thread calls [`HidAuthenticator::turn`].
///
/// ```
/// use std::sync::Mutex; // on a chip: a critical section
/// use keyfob_core::{Instant, transport::hid::{DeviceConfig, Front}};
/// use keyfob_soft_authenticator::{engine::{Engine, Platform, Wait}, hid::{FrontLock, HidAuthenticator, SharedFront}};
///
/// static FRONT: Mutex<Option<Front>> = Mutex::new(None);
/// struct Lock;
///
/// impl FrontLock for Lock {
///     fn lock<R>(&self, work: impl FnOnce(&mut Front) -> R) -> R {
///         work(FRONT.lock().unwrap().as_mut().expect("it was set at power-up"))
///     }
/// }
///
/// /// The thread; `sleep` waits for an interrupt, or until a time.
/// fn run<P: Platform>(engine: Engine<'_, P>, clock: impl Fn() -> Instant, sleep: impl Fn(Option<Instant>)) -> ! {
///     let front = Front::new(HidAuthenticator::device(&engine, DeviceConfig::default()));
///     *FRONT.lock().unwrap() = Some(front);
///     let mut key = HidAuthenticator::over(SharedFront(Lock), engine);
///     loop {
///         let _wink_or_vendor_command = key.turn(clock());
///         sleep(key.deadline());
///     }
/// }
/// ```
pub struct SharedFront<L>(pub L);

impl<L: FrontLock> HidFraming for SharedFront<L> {
    fn with<R>(&mut self, work: impl FnOnce(&mut hid::Device) -> R) -> R {
        self.0.lock(|front| work(front.device()))
    }

    /// For the thread: now, if the interrupt has something for it.
    fn deadline(&self) -> Option<Instant> {
        self.0.lock(|front| front.wakes().then(Instant::default))
    }

    fn is_busy(&self) -> bool {
        self.0.lock(|front| front.is_busy())
    }
}

/// A framing of CTAPHID, wherever it is.
struct Framed<F>(F);

impl<F: HidFraming> Framing for Framed<F> {
    fn respond(&mut self, len: usize) {
        self.0.with(|device| device.respond(len));
    }

    fn keep_alive(&mut self, status: KeepAlive) {
        self.0.with(|device| device.keep_alive(status));
    }

    fn is_busy(&self) -> bool {
        self.0.is_busy()
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }
}

impl<'b, P: Platform> HidAuthenticator<'b, P> {
    /// An authenticator that has just been plugged in. The engine's configuration and platform, not `config`, decide
    /// whether the INIT response says that U2F is supported, and whether it can say that CTAP2 is.
    pub fn new(engine: Engine<'b, P>, config: DeviceConfig) -> Self {
        let device = Self::device(&engine, config);
        Self::over(device, engine)
    }

    /// The device for an engine, as [`HidAuthenticator::new`] makes it: for a [`hid::Front`].
    pub fn device(engine: &Engine<'b, P>, config: DeviceConfig) -> hid::Device {
        let capabilities = config.capabilities.without(Capabilities::NMSG);
        let capabilities = if engine.has_u2f() { capabilities } else { capabilities.with(Capabilities::NMSG) };
        let capabilities = if P::CTAP2 { capabilities } else { capabilities.without(Capabilities::CBOR) };
        hid::Device::new(DeviceConfig { capabilities, ..config })
    }
}

impl<'b, P: Platform, F: HidFraming> HidAuthenticator<'b, P, F> {
    /// An authenticator whose framing is elsewhere. Its device is one of [`HidAuthenticator::device`].
    pub const fn over(framing: F, engine: Engine<'b, P>) -> Self {
        Self { served: Served::new(Framed(framing), engine), channel: None, vendor: false }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine<'b, P> {
        &mut self.served.engine
    }

    /// The framing and the engine, to put the engine behind another transport. A pending command is still pending in
    /// it, until its [`Engine::power_cycle`] or [`Engine::abort`].
    pub fn into_parts(self) -> (F, Engine<'b, P>) {
        (self.served.framing.0, self.served.engine)
    }

    /// Unplugs the authenticator and plugs it in again: channels, tokens and pending commands are gone, what is stored
    /// stays.
    ///
    /// # Errors
    /// [`ConfigError::Store`]: the store failed.
    pub fn power_cycle(&mut self, now: Instant) -> Result<(), ConfigError> {
        self.served.framing.0.with(hid::Device::reset);
        self.vendor = false;
        self.served.power_cycle(now)
    }

    /// Takes one report. Returns what the driver must do.
    pub fn receive(&mut self, now: Instant, report: &[u8; REPORT_LEN]) -> Option<HidEvent> {
        let served = &mut self.served;
        served.settle_answer();
        let buffer = served.engine.whole_buffer();
        let received = served.framing.0.with(|device| (device.receive(now, report, buffer), device.channel()));
        self.received(now, received)
    }

    /// Acts on what a report has brought: an event, and the channel whose request is pending now.
    fn received(&mut self, now: Instant, (event, channel): (Option<DeviceEvent>, Option<u32>)) -> Option<HidEvent> {
        let served = &mut self.served;
        if channel.is_none() {
            // INIT may have ended the transaction in the middle of the answer.
            served.interrupt_answer();
        }
        match event? {
            DeviceEvent::Request { command: command @ (HidCommand::CBOR | HidCommand::MSG), len } => {
                if channel != self.channel {
                    served.engine.channel_changed();
                    self.channel = channel;
                }
                let protocol = if command == HidCommand::CBOR { Protocol::Ctap2 } else { Protocol::Ctap1 };
                served.begin(now, protocol, len);
                None
            }
            DeviceEvent::Request { command, len } => {
                self.vendor = true;
                Some(HidEvent::Vendor { command, len })
            }
            event => self.act(now, event),
        }
    }

    /// Acts on what the client has sent while a request is pending.
    fn act(&mut self, now: Instant, event: DeviceEvent) -> Option<HidEvent> {
        match event {
            // An interrupt may have received it when the engine had already answered.
            DeviceEvent::Cancel if self.served.waits_for.is_some() => self.served.resume(now, Event::Cancel),
            DeviceEvent::Aborted if mem::take(&mut self.vendor) => return Some(HidEvent::VendorAborted),
            DeviceEvent::Aborted => self.served.give_up(),
            DeviceEvent::Wink => return Some(HidEvent::Wink),
            _ => {}
        }
        None
    }

    /// The buffer for a vendor command and its response: the engine's whole buffer. Use it only between
    /// [`HidEvent::Vendor`] and the answer.
    pub fn vendor_buffer(&mut self) -> &mut [u8] {
        self.served.engine.whole_buffer()
    }

    /// Answers the pending vendor command with the first `len` bytes of [`HidAuthenticator::vendor_buffer`], at most
    /// [`hid::MAX_MESSAGE`] bytes. Without such a command nothing happens.
    pub fn respond_to_vendor(&mut self, len: usize) {
        if mem::take(&mut self.vendor) {
            self.served.framing.respond(len);
        }
    }

    /// Refuses the pending vendor command. Without such a command nothing happens.
    pub fn refuse_vendor(&mut self, code: hid::HidErrorCode) {
        if mem::take(&mut self.vendor) {
            self.served.framing.0.with(|device| device.refuse(code));
        }
    }

    /// The next report to send, if there is one now. Call it only after the previous report was sent.
    pub fn transmit(&mut self, now: Instant) -> Option<[u8; REPORT_LEN]> {
        let buffer = self.served.engine.whole_buffer();
        self.served.framing.0.with(|device| device.transmit(now, buffer))
    }

    /// What the pending command waits for. While it is [`Wait::Processing`], call [`HidAuthenticator::tick`] as soon as
    /// no report is waiting to be received.
    pub const fn waits_for(&self) -> Option<Wait> {
        self.served.waits_for
    }

    /// Whether a U2F request was refused because it needs a touch, so that a touch now counts for the next request.
    pub fn u2f_awaits_touch(&self, now: Instant) -> bool {
        self.served.engine.u2f_awaits_touch(now)
    }

    /// The user touched the authenticator, or declined. Where [`HidAuthenticator::waits_for`] says [`Wait::LongTouch`],
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
    /// per call. Call it only after every report from [`HidAuthenticator::transmit`] was sent.
    pub fn tick(&mut self, now: Instant) {
        self.served.tick(now);
    }

    /// When to call [`HidAuthenticator::tick`] and [`HidAuthenticator::transmit`] if no report comes in. A time in the
    /// past when there is something to do now.
    pub fn deadline(&self) -> Option<Instant> {
        self.served.deadline()
    }
}

impl<P: Platform, L: FrontLock> HidAuthenticator<'_, P, SharedFront<L>> {
    /// One turn of the thread: acts on what the interrupt has received, continues a pending command by a piece, and
    /// hands the interrupt what is to be sent. Returns what the driver must do, and is then to be called again.
    pub fn turn(&mut self, now: Instant) -> Option<HidEvent> {
        loop {
            if let Some(event) = self.served.framing.0.0.lock(hid::Front::event) {
                // It is about the request that the device had before what still waits in the front.
                if let Some(event) = self.act(now, event) {
                    return Some(event);
                }
            }
            self.served.settle_answer();
            let buffer = self.served.engine.whole_buffer();
            let delivered =
                self.served.framing.0.0.lock(|front| {
                    front.deliver(|device, report| (device.receive(now, report, buffer), device.channel()))
                });
            match delivered {
                Some(received) => {
                    if let Some(event) = self.received(now, received) {
                        return Some(event);
                    }
                }
                None => break,
            }
        }
        self.tick(now);
        let buffer = self.served.engine.whole_buffer();
        self.served.framing.0.0.lock(|front| front.fill(|device| device.transmit(now, buffer)));
        None
    }
}
