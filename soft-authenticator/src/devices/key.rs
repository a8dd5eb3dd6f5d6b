//! A virtual security key: an engine with real cryptography, the caller's store and the machine's clock.

use std::time;

use keyfob_core::{
    Instant,
    ctap1::StatusWord,
    ctap2::bio_enrollment::SampleStatus,
    transport::{
        hid::{Capabilities, DeviceConfig, HidCommand, HidErrorCode, REPORT_LEN, UnknownChannels},
        nfc,
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{
    Touch, VIRTUAL_KEY_AAGUID, VirtualCrypto, VirtualPlatform, VirtualStore, port::Port, touch::TOUCH_POLL,
    virtual_key_certificate,
};
#[cfg(feature = "testing")]
use crate::testing::{Control, Driver, LargeBlobs, TestStore};
use crate::{
    Caps,
    engine::{AttestationMode, Config, ConfigError, Engine, TemplateId, Wait},
    hid::{HidAuthenticator, HidEvent},
    nfc::{NfcConfig, Presence},
    store::{MemoryStore, Store},
};

/// How many discoverable credentials a virtual key without a store of its own can hold.
const CREDENTIALS: usize = 100;
/// The longest large-blob array of a virtual key, in bytes: [`KeyOptions::large_blobs`].
pub const MAX_LARGE_BLOBS: usize = 64 << 10;

/// Why a virtual key cannot be made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum KeyError {
    /// Its configuration is contradictory, or its store failed.
    Config(ConfigError),
    /// The system's random source failed.
    Random(getrandom::Error),
}

impl core::fmt::Display for KeyError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Random(error) => write!(f, "the system's random source failed: {error}"),
        }
    }
}

impl core::error::Error for KeyError {}

/// The result of built-in user verification with a virtual key, by a fingerprint sensor ([`crate::Caps::BIO_ENROLL`])
/// or by other means ([`crate::Caps::BUILT_IN_UV`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finger {
    /// An enrolled finger. During an enrolment: good samples.
    Matches,
    /// A finger that is not enrolled. During an enrolment: poor samples.
    Differs,
    /// No finger.
    Never,
}

/// Called for each WINK.
pub type Wink = Box<dyn FnMut() + Send>;
/// Answers vendor commands, CTAPHID 40 to 7F. Takes the command, the buffer and the length of the request at its front.
/// Writes the response over the request and returns its length, or refuses with an error.
pub type VendorCommands = Box<dyn FnMut(HidCommand, &mut [u8], usize) -> Result<usize, HidErrorCode> + Send>;

/// How a virtual key behaves.
///
/// ```
/// use keyfob_core::{Instant, transport::hid::{Capabilities, HidTransport}};
/// use keyfob_soft_authenticator::devices::{InProcess, KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey};
/// use keyfob_soft_authenticator::engine::Config;
///
/// // A key that knows only U2F, with the same random numbers in every run.
/// let config = Config::new(VIRTUAL_KEY_AAGUID);
/// let options = KeyOptions { seed: Some(5), ctap2: false, ..KeyOptions::new(config) };
/// let mut memory = vec![0; config.buffer_len()];
/// let key = VirtualKey::new(&mut memory, options)?;
/// let mut transport = HidTransport::new(InProcess(key), Instant::default, *b"a nonce!");
/// assert_eq!(transport.open()?.capabilities, Capabilities::WINK);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyOptions<'b> {
    /// The authenticator's configuration.
    pub config: Config<'b>,
    /// The seed for the randomness, which is then the same in every run. `None` takes randomness from the system.
    pub seed: Option<u64>,
    /// How the user touches it.
    pub touch: Touch,
    /// How the user consents while it is in the field of a reader. A button is touched as `touch` says.
    pub presence: Presence,
    /// What its sensor sees.
    pub finger: Finger,
    /// How to treat channels that were never allocated.
    pub unknown_channels: UnknownChannels,
    /// Whether it supports CTAP2. If not, it supports only U2F.
    pub ctap2: bool,
    /// Whether it supports CTAPHID_LOCK, with which one channel locks out the others for up to 10 s.
    pub lock: bool,
    /// Called for each WINK. The key answers WINK also without it.
    pub wink: Option<Wink>,
    /// Answers vendor commands of CTAPHID; with `None` they are refused with INVALID_CMD.
    pub vendor_commands: Option<VendorCommands>,
    /// The store for everything that must survive a restart. `None` keeps it in memory.
    pub store: Option<Box<dyn Store + Send>>,
    /// The longest large-blob array, in bytes: 1,024 (CTAP 2.3 §6.10) to [`MAX_LARGE_BLOBS`].
    pub large_blobs: usize,
    /// The name of a finger that is enrolled from the start, if the store has none.
    pub enrolled: Option<&'b str>,
}

impl<'b> KeyOptions<'b> {
    /// A key that is touched at once, on NFC by the tap and then by its button, by a finger that matches once one is enrolled, accepts unknown channels, has 4,096
    /// bytes for large blobs, and supports neither LOCK nor vendor commands.
    pub const fn new(config: Config<'b>) -> Self {
        Self {
            config,
            seed: None,
            touch: Touch::Auto,
            presence: Presence::TapOrButton,
            finger: Finger::Matches,
            unknown_channels: UnknownChannels::Lenient,
            ctap2: true,
            lock: false,
            wink: None,
            vendor_commands: None,
            store: None,
            large_blobs: 4096,
            enrolled: None,
        }
    }

    /// The key of `keyfob run`, which clients on a workstation get on with: [`Config::workstation`], certified
    /// attestation, and an enrolled finger that verifies its user.
    pub fn workstation() -> Self {
        let config = Config::workstation(VIRTUAL_KEY_AAGUID);
        let caps = config.caps.with(Caps::CERTIFIED_ATTESTATION).with(Caps::BUILT_IN_UV).with(Caps::BIO_ENROLL);
        let attestation = AttestationMode::Certified(virtual_key_certificate());
        Self { enrolled: Some("finger"), ..Self::new(Config { caps, attestation, ..config }) }
    }
}

/// A virtual security key behind CTAPHID, or in the field of an NFC reader.
///
/// It is in one place at a time: plugged in, as at first and after [`VirtualKey::power_cycle`], or in a field after
/// [`VirtualKey::enter_field`]. Each move powers it up anew.
///
/// ```
/// use keyfob_core::{Instant, crypto::RustCrypto, transport::hid::HidTransport};
/// use keyfob_core::client::{self, Ceremony, UserInteraction, manage::Selection};
/// use keyfob_soft_authenticator::devices::{InProcess, KeyOptions, Touch, VIRTUAL_KEY_AAGUID, VirtualKey};
/// use keyfob_soft_authenticator::engine::Config;
/// # use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// # struct Silent;
/// # impl UserInteraction for Silent {}
/// # let rng = || ChaCha8Rng::seed_from_u64(1);
/// let config = Config::new(VIRTUAL_KEY_AAGUID);
/// let mut memory = vec![0; config.buffer_len()];
/// let key = VirtualKey::new(&mut memory, KeyOptions::new(config))?;
/// let mut transport = HidTransport::new(InProcess(key), Instant::default, *b"a nonce!");
///
/// let mut buffer = [0; 4096];
/// let ceremony = Ceremony::new(Selection::new(), &mut buffer, RustCrypto, rng());
/// client::run(ceremony, &mut transport, &mut Silent, Instant::default)?;
///
/// transport.io_mut().0.set_touch(Touch::Deny); // the user declines
/// let ceremony = Ceremony::new(Selection::new(), &mut buffer, RustCrypto, rng());
/// assert!(client::run(ceremony, &mut transport, &mut Silent, Instant::default).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VirtualKey<'b> {
    /// `None` only while the engine moves from one port to the other.
    pub(super) port: Option<Port<'b>>,
    nfc: NfcConfig,
    pub(super) touch: Touch,
    wink: Option<Wink>,
    vendor_commands: Option<VendorCommands>,
    pub(super) finger: Finger,
    /// The template that is being enrolled, and how many good samples it still needs.
    template: Option<(TemplateId, u8)>,
    /// Good samples that a template needs.
    samples: u8,
    /// Since when the key waits for a touch.
    asked: Option<Instant>,
    clock: time::Instant,
    #[cfg(feature = "testing")]
    pub(super) driver: Option<Driver>,
}

impl<'b> VirtualKey<'b> {
    /// Makes a key and plugs it in. The buffer must have [`Config::buffer_len`] bytes; a longer buffer allows longer
    /// PINGs and vendor commands, up to [`MAX_MESSAGE`](keyfob_core::transport::hid::MAX_MESSAGE).
    ///
    /// # Errors
    /// [`KeyError`]: the configuration or the random source failed.
    pub fn new(buffer: &'b mut [u8], mut options: KeyOptions<'b>) -> Result<Self, KeyError> {
        let store = options.store.take().unwrap_or_else(empty_store);
        let store = VirtualStore::new(store, options.large_blobs);
        Self::over(buffer, options, store)
    }

    /// A key that a test controls. Its counters, BE, BS and the credentials that are put in and not discoverable are
    /// in memory only, also where it has a store.
    ///
    /// # Errors
    /// As in [`VirtualKey::new`].
    #[cfg(feature = "testing")]
    pub fn controlled(buffer: &'b mut [u8], mut options: KeyOptions<'b>) -> Result<(Self, Control), KeyError> {
        let store = options.store.take().unwrap_or_else(empty_store);
        let seed = options.seed.map_or_else(|| random().map(u64::from_ne_bytes), Ok)?;
        let capacity = store.large_blobs_capacity().min(options.large_blobs);
        let large_blobs = LargeBlobs::of(options.config.caps, capacity);
        let state = TestStore::new(seed, store, large_blobs, Some(time::Instant::now()));
        let mut store = VirtualStore::new(Box::new(state.clone()), options.large_blobs);
        store.controlled = Some(state.clone());
        let mut key = Self::over(buffer, options, store)?;
        key.driver = Some(Driver::new(state.clone()));
        Ok((key, Control(state)))
    }

    fn over(buffer: &'b mut [u8], options: KeyOptions<'b>, store: VirtualStore) -> Result<Self, KeyError> {
        let rng = match options.seed {
            Some(seed) => ChaCha20Rng::seed_from_u64(seed),
            None => ChaCha20Rng::from_seed(random()?),
        };
        let ctap2 = if options.ctap2 { Capabilities::CBOR } else { Capabilities(0) };
        let device = DeviceConfig {
            max_message: options.config.max_msg_size,
            unknown_channels: options.unknown_channels,
            capabilities: Capabilities::WINK.with(ctap2),
            vendor_commands: options.vendor_commands.is_some(),
            lock: options.lock,
            ..DeviceConfig::default()
        };
        let mut engine = Engine::new(buffer, options.config, VirtualCrypto::default(), rng, store, Instant::default())
            .map_err(KeyError::Config)?;
        if let Some(name) = options.enrolled {
            engine.enrol_first_fingerprint(name).map_err(|error| KeyError::Config(ConfigError::Store(error)))?;
        }
        Ok(Self {
            port: Some(Port::new(engine, device)),
            nfc: NfcConfig {
                device: nfc::DeviceConfig {
                    ctap2: options.ctap2,
                    max_message: options.config.max_msg_size,
                    ..nfc::DeviceConfig::default()
                },
                presence: options.presence,
            },
            touch: options.touch,
            wink: options.wink,
            vendor_commands: options.vendor_commands,
            finger: options.finger,
            template: None,
            samples: options.config.user_verification.samples,
            asked: None,
            clock: time::Instant::now(),
            #[cfg(feature = "testing")]
            driver: None,
        })
    }

    /// The authenticator behind CTAPHID. `None` while the key is in a field.
    pub const fn authenticator(&mut self) -> Option<&mut HidAuthenticator<'b, VirtualPlatform>> {
        match &mut self.port {
            Some(Port::Usb(hid)) => Some(hid),
            _ => None,
        }
    }

    /// Replaces what the sensor sees.
    pub fn set_finger(&mut self, finger: Finger) {
        self.finger = finger;
    }

    /// Replaces the user's touch.
    pub fn set_touch(&mut self, touch: Touch) {
        self.touch = touch;
    }

    /// Unplugs the key, or takes it from the field, and plugs it in.
    ///
    /// # Errors
    /// [`ConfigError::Store`]: the store failed.
    pub fn power_cycle(&mut self) -> Result<(), ConfigError> {
        self.place(Port::plugged_in)
    }

    /// Unplugs the key, or takes it from the field, and places it in the field of a reader: its user is present.
    ///
    /// # Errors
    /// [`ConfigError::Store`]: the store failed.
    pub fn enter_field(&mut self) -> Result<(), ConfigError> {
        let nfc = self.nfc;
        self.place(|port, now| port.in_field(nfc, now))
    }

    fn place(
        &mut self,
        place: impl FnOnce(Port<'b>, Instant) -> (Port<'b>, Result<(), ConfigError>),
    ) -> Result<(), ConfigError> {
        let now = self.now();
        let Some(port) = self.port.take() else { return Ok(()) };
        let (port, powered) = place(port, now);
        self.port = Some(port);
        self.has_powered_up();
        powered
    }

    /// Takes one report. In a field nothing happens.
    pub fn receive(&mut self, report: &[u8; REPORT_LEN]) {
        let now = self.now();
        if self.is_out() {
            return;
        }
        let Some(hid) = self.authenticator() else { return };
        let event = hid.receive(now, report);
        self.has_received(report);
        match event {
            Some(HidEvent::Wink) => {
                if let Some(wink) = &mut self.wink {
                    wink();
                }
            }
            Some(HidEvent::Vendor { command, len }) => self.vendor_command(command, len),
            // A vendor command was already answered, so there is nothing to give up.
            Some(HidEvent::VendorAborted) | None => {}
        }
    }

    fn vendor_command(&mut self, command: HidCommand, len: usize) {
        let Some(Port::Usb(hid)) = &mut self.port else { return };
        let answer = match &mut self.vendor_commands {
            Some(answer) => answer(command, hid.vendor_buffer(), len),
            None => Err(HidErrorCode::INVALID_CMD),
        };
        match answer {
            Ok(len) => hid.respond_to_vendor(len),
            Err(code) => hid.refuse_vendor(code),
        }
    }

    /// The next report to send, if there is one now.
    pub fn transmit(&mut self) -> Option<[u8; REPORT_LEN]> {
        self.transmit_at(self.now())
    }

    /// The same, where the clock was read already.
    pub(super) fn transmit_at(&mut self, now: Instant) -> Option<[u8; REPORT_LEN]> {
        if self.is_out() {
            return None;
        }
        if self.rests(now).is_some() {
            return self.keep_alive(now);
        }
        self.note_wait(now);
        loop {
            let report = self.authenticator()?.transmit(now)?;
            if self.passes(&report) {
                return Some(report);
            }
        }
    }

    /// Takes one command APDU from the reader. Before the next one, send its response, which
    /// [`VirtualKey::transmit_apdu`] returns. Outside a field nothing happens.
    pub fn receive_apdu(&mut self, command: &[u8]) {
        let now = self.now();
        if self.is_out() {
            return;
        }
        if let Some(Port::Field(nfc, _)) = &mut self.port {
            nfc.receive(now, command);
            self.has_begun();
        }
    }

    /// The response APDU to the last command, if it is there and was not yet returned.
    pub fn transmit_apdu(&mut self) -> Option<Vec<u8>> {
        let now = self.now();
        if self.rests(now).is_some() {
            return None;
        }
        self.note_wait(now);
        let Some(Port::Field(nfc, _)) = &mut self.port else { return None };
        let response = nfc.transmit(now)?;
        let is_final = response.status != StatusWord::STATUS_UPDATE;
        let response = [response.data, &response.status.0.to_be_bytes()].concat();
        Some(response).filter(|_| !is_final || self.responds())
    }

    /// Does one piece of the pending work and returns how long the key then needs no call. `None` means until a report
    /// or an APDU is received.
    pub fn work(&mut self) -> Option<time::Duration> {
        self.obey();
        let now = self.now();
        if let Some(rests) = self.rests(now) {
            return Some(rests.since(now));
        }
        let pause = self.ask(now);
        if self.is_out() {
            return None;
        }
        let port = self.port.as_mut()?;
        let waited_for = port.waits_for();
        port.tick(now);
        if port.waits_for() != waited_for {
            return Some(time::Duration::ZERO); // the user may act on it
        }
        let wait = port.deadline().map(|deadline| deadline.since(now));
        wait.into_iter().chain(pause).min()
    }

    /// The user touches the key and its sensor, if it waits for that. Returns, while a touch is awaited, when to ask again.
    fn ask(&mut self, now: Instant) -> Option<time::Duration> {
        #[cfg(feature = "testing")]
        if self.driver.is_some() {
            return self.ask_of_test(now);
        }
        let port = self.port.as_mut()?;
        let is_awaited = port.awaits_touch(now);
        let is_first = self.asked.is_none();
        let waited = now.since(*self.asked.get_or_insert(now));
        let consents = if is_awaited { self.touch.consents(is_first, waited) } else { None };
        if let Some(consents) = consents {
            port.touch(now, consents);
        }
        if consents.is_some() || !is_awaited {
            self.asked = None;
        }
        self.sense(now);
        is_awaited.then(|| self.pause(waited))
    }

    /// When to ask the user again, who has been asked for so long.
    pub(super) fn pause(&self, waited: time::Duration) -> time::Duration {
        self.touch.pause(waited).map_or(TOUCH_POLL, |pause| pause.min(TOUCH_POLL))
    }

    /// Simulates the sensor. Every finished template counts as enrolled, so only the one that is being enrolled is
    /// kept.
    pub(super) fn sense(&mut self, now: Instant) {
        let Some(port) = &mut self.port else { return };
        let enrolls = port.enrolls();
        self.template = self.template.filter(|(id, _)| enrolls == Some(*id)).or(enrolls.map(|id| (id, self.samples)));
        match (port.waits_for(), self.finger) {
            (Some(Wait::UserVerification | Wait::Sample), Finger::Never) => {}
            (Some(Wait::UserVerification), finger) => port.verify(now, finger == Finger::Matches),
            (Some(Wait::Sample), finger) => {
                let Some((_, left)) = &mut self.template else { return };
                let status = match finger {
                    Finger::Matches => {
                        *left = left.saturating_sub(1);
                        SampleStatus::GOOD
                    }
                    _ => SampleStatus::POOR_QUALITY,
                };
                port.sample(now, status, *left);
            }
            _ => {}
        }
    }

    pub(super) fn now(&self) -> Instant {
        #[cfg(feature = "testing")]
        if let Some(driver) = &self.driver {
            return driver.now();
        }
        Instant::from_millis(u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

fn empty_store() -> Box<dyn Store + Send> {
    Box::new(MemoryStore::<CREDENTIALS, MAX_LARGE_BLOBS>::new())
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
    Ok(bytes)
}
