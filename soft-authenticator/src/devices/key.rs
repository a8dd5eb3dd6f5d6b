//! A virtual security key: an engine with real cryptography, a memory store and the machine's clock.

use std::time;

use keyfob_core::{
    Instant,
    transport::hid::{Capabilities, DeviceConfig, REPORT_LEN, UnknownChannels},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{
    engine::{Config, ConfigError, Engine, Platform, Wait},
    hid::HidAuthenticator,
    store::MemoryStore,
};

/// Room for discoverable credentials in a virtual key.
const CREDENTIALS: usize = 100;
/// How often an undecided touch is asked again.
const TOUCH_POLL: time::Duration = time::Duration::from_millis(20);

/// What a virtual key computes with.
#[cfg(feature = "aws-lc")]
pub type VirtualCrypto = keyfob_core::crypto::AwsLc;
/// What a virtual key computes with.
#[cfg(not(feature = "aws-lc"))]
pub type VirtualCrypto = keyfob_core::crypto::RustCrypto;

/// What a virtual key is built on.
pub struct VirtualPlatform;

impl Platform for VirtualPlatform {
    type Crypto = VirtualCrypto;
    type Rng = ChaCha20Rng;
    type Store = MemoryStore<CREDENTIALS>;
}

/// Why a virtual key cannot be made.
#[derive(Clone, Copy, Debug)]
pub enum KeyError {
    /// Its configuration cannot work.
    Config(ConfigError),
    /// The system's random source failed.
    Random(getrandom::Error),
}

/// The finger of a virtual key.
pub enum Touch {
    /// Touches at once.
    Auto,
    /// Declines at once.
    Deny,
    /// Never touches.
    Never,
    /// Asks: called again and again while a touch is awaited, until it answers with consent or refusal. The argument is
    /// true the first time.
    Ask(Box<dyn FnMut(bool) -> Option<bool> + Send>),
}

/// How a virtual key behaves.
pub struct KeyOptions<'b> {
    /// What it is.
    pub config: Config<'b>,
    /// Randomness from this seed, the same in every run; from the system without one.
    pub seed: Option<u64>,
    /// Its finger.
    pub touch: Touch,
    /// How channels are treated that were never given out.
    pub unknown_channels: UnknownChannels,
}

impl<'b> KeyOptions<'b> {
    /// A key that touches by itself, lenient about channels.
    pub const fn new(config: Config<'b>) -> Self {
        Self { config, seed: None, touch: Touch::Auto, unknown_channels: UnknownChannels::Lenient }
    }
}

/// A virtual security key behind CTAPHID.
pub struct VirtualKey<'b> {
    hid: HidAuthenticator<'b, VirtualPlatform>,
    touch: Touch,
    asked: bool,
    clock: time::Instant,
}

impl<'b> VirtualKey<'b> {
    /// Makes a key and plugs it in. The buffer takes [`Config::buffer_len`] bytes. Errors: [`KeyError`].
    pub fn new(buffer: &'b mut [u8], options: KeyOptions<'b>) -> Result<Self, KeyError> {
        let rng = match options.seed {
            Some(seed) => ChaCha20Rng::seed_from_u64(seed),
            None => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(KeyError::Random)?;
                ChaCha20Rng::from_seed(seed)
            }
        };
        let device = DeviceConfig {
            max_message: options.config.max_msg_size,
            unknown_channels: options.unknown_channels,
            capabilities: Capabilities::WINK.with(Capabilities::CBOR).with(Capabilities::NMSG),
            ..DeviceConfig::default()
        };
        let engine =
            Engine::new(buffer, options.config, VirtualCrypto::default(), rng, MemoryStore::new(), Instant::default())
                .map_err(KeyError::Config)?;
        Ok(Self {
            hid: HidAuthenticator::new(engine, device),
            touch: options.touch,
            asked: false,
            clock: time::Instant::now(),
        })
    }

    /// The authenticator.
    pub fn authenticator(&mut self) -> &mut HidAuthenticator<'b, VirtualPlatform> {
        &mut self.hid
    }

    /// Replaces the finger.
    pub fn set_touch(&mut self, touch: Touch) {
        self.touch = touch;
    }

    /// Unplugs the key and plugs it in again. Errors: [`ConfigError::Store`].
    pub fn power_cycle(&mut self) -> Result<(), ConfigError> {
        let now = self.now();
        self.hid.power_cycle(now)
    }

    /// Takes one report.
    pub fn receive(&mut self, report: &[u8; REPORT_LEN]) {
        let now = self.now();
        self.hid.receive(now, report);
    }

    /// The next report to send, if there is one now.
    pub fn transmit(&mut self) -> Option<[u8; REPORT_LEN]> {
        let now = self.now();
        self.hid.transmit(now)
    }

    /// Does one piece of what is to be done now, and says how long the key can then be left alone; `None` until
    /// something is received.
    pub fn work(&mut self) -> Option<time::Duration> {
        let now = self.now();
        if self.hid.waits_for() == Some(Wait::Touch) {
            let answer = match &mut self.touch {
                Touch::Auto => Some(true),
                Touch::Deny => Some(false),
                Touch::Never => None,
                Touch::Ask(ask) => ask(!self.asked),
            };
            self.asked = answer.is_none();
            if let Some(consent) = answer {
                self.hid.touch(now, consent);
            }
        } else {
            self.asked = false;
        }
        self.hid.tick(now);
        let wait = self.hid.deadline().map(|deadline| deadline.since(now));
        match self.hid.waits_for() {
            Some(Wait::Touch) => Some(wait.unwrap_or(TOUCH_POLL).min(TOUCH_POLL)),
            _ => wait,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
