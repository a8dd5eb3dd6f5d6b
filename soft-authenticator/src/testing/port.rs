//! The key behind its port: it drives the engine in the test's time, and plays the user.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use keyfob_core::{
    Instant,
    crypto::RustCrypto,
    ctap2::bio_enrollment::SampleStatus,
    transport::{
        ReportIo,
        hid::{Capabilities, DeviceConfig, REPORT_LEN, UnknownChannels},
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{
    TestKey,
    driver::{Driver, Orders},
    state::TestStore,
};
use crate::{
    devices::Touch,
    engine::{Config, ConfigError, Engine, Platform, Wait},
    errors::says,
    hid::HidAuthenticator,
};

/// How long the engine takes for one piece of work.
const WORK: Duration = Duration::from_millis(1);

/// Buffers of keys that are gone. An engine borrows its buffer, and a handle that can be cloned has no place to borrow
/// from: so buffers live for ever and are used again.
static BUFFERS: Mutex<Vec<&'static mut [u8]>> = Mutex::new(Vec::new());

fn buffer(len: usize) -> &'static mut [u8] {
    let mut buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    match buffers.iter().position(|buffer| buffer.len() >= len) {
        Some(at) => buffers.swap_remove(at),
        None => vec![0; len].leak(),
    }
}

/// The key is not plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unplugged;

says! { Unplugged:
    Self => "the key is not plugged in",
}

/// What the key runs on.
struct TestPlatform;

impl Platform for TestPlatform {
    type Crypto = RustCrypto;
    type Rng = ChaCha20Rng;
    type Store = TestStore;

    fn intercept(store: &mut TestStore, message: &mut [u8], len: usize) -> Option<usize> {
        store.lock().intercept(message, len)
    }

    fn is_removed(store: &mut TestStore, credential_id: &[u8]) -> bool {
        store.is_removed(credential_id)
    }

    fn before_signing(
        store: &mut TestStore,
        credential_id: &[u8],
        private_key: (keyfob_core::cose::Algorithm, &[u8]),
        auth_data: &mut [u8],
    ) {
        store.lock().before_signing(credential_id, private_key, auth_data);
    }

    fn after_signing(store: &TestStore, signature: &mut [u8]) {
        store.after_signing(signature);
    }
}

pub(super) struct Device {
    hid: HidAuthenticator<'static, TestPlatform>,
    driver: Driver,
    touch: Touch,
    user_verified: bool,
}

impl Device {
    pub fn new(seed: u64, config: Config<'static>, store: TestStore) -> Result<Self, ConfigError> {
        let device = DeviceConfig {
            max_message: config.max_msg_size,
            unknown_channels: UnknownChannels::Lenient,
            capabilities: Capabilities::WINK.with(Capabilities::CBOR),
            ..DeviceConfig::default()
        };
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let driver = Driver::new(store.clone());
        let now = driver.now();
        let engine = Engine::new(buffer(config.buffer_len()), config, Default::default(), rng, store, now)?;
        Ok(Self { hid: HidAuthenticator::new(engine, device), driver, touch: Touch::Auto, user_verified: true })
    }

    /// Does what the test has said.
    fn obey(&mut self) -> Result<(), Unplugged> {
        let Orders { touch, user_verified } = self.driver.orders();
        if let Some(touch) = touch {
            self.touch = touch;
        }
        if let Some(user_verified) = user_verified {
            self.user_verified = user_verified;
            self.driver.restore_uv_retries(self.hid.engine());
        }
        if self.driver.takes_plug_in() {
            let now = self.driver.now();
            self.driver.powered_up();
            if self.hid.power_cycle(now).is_err() {
                self.driver.store().lock().unplug();
            }
        }
        if self.driver.is_plugged_in() { Ok(()) } else { Err(Unplugged) }
    }

    /// Lets the test's time pass until then, by at least one piece of work.
    fn pass(&mut self, now: Instant, until: Instant) {
        self.driver.store().lock().advance(until.since(now).max(WORK));
    }

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Unplugged> {
        self.obey()?;
        let _wink = self.hid.receive(self.driver.now(), report);
        self.driver.received(report);
        self.obey()
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Unplugged> {
        let until = self.driver.now().plus(wait);
        loop {
            self.obey()?;
            let now = self.driver.now();
            let rests = self.driver.rests(now);
            let report = if rests.is_some() { self.driver.keep_alive(now) } else { self.hid.transmit(now) };
            if let Some(report) = report {
                let passes = rests.is_some() || self.driver.passes(&report);
                self.obey()?;
                if passes {
                    return Ok(Some(report));
                }
            }
            if rests.is_none() {
                self.work();
                self.obey()?;
            }
            if now >= until {
                return Ok(None);
            }
            let due = rests.or(self.due()).unwrap_or(until);
            let now = self.driver.now(); // a plan may have let it jump
            self.pass(now, due.min(until));
        }
    }

    /// When the key has something to do if nothing comes.
    fn due(&self) -> Option<Instant> {
        self.hid.deadline().into_iter().chain(self.driver.asks_again(&self.touch)).min()
    }

    /// One piece of the pending work, after what the user does.
    fn work(&mut self) {
        let waits_for = self.hid.waits_for();
        let is_for_user =
            matches!(waits_for, Some(Wait::Touch | Wait::LongTouch | Wait::UserVerification | Wait::Sample));
        if let Some(is_first) = self.driver.waits(waits_for, is_for_user)
            && self.driver.is_plugged_in()
            && let Some(consents) = self.driver.consents(&mut self.touch, is_first)
        {
            self.act(waits_for, consents);
        }
        self.hid.tick(self.driver.now());
    }

    /// The user touches the key, or declines.
    fn act(&mut self, waits_for: Option<Wait>, consents: bool) {
        let now = self.driver.now();
        match (consents, waits_for) {
            (true, Some(Wait::UserVerification)) => self.hid.verify(now, self.user_verified),
            // The key has no fingerprints to enrol, unless the configuration says so: all samples are poor.
            (true, Some(Wait::Sample)) => self.hid.sample(now, SampleStatus::POOR_QUALITY, 1),
            _ => self.hid.touch(now, consents),
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let buffer = self.hid.engine().take_buffer();
        buffer.fill(0);
        BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// The key's port: a pipe of reports for any client. Reading lets the test's time pass, up to the wait, and takes no
/// real time.
pub struct TestPort(pub(super) TestKey);

impl ReportIo for TestPort {
    type Error = Unplugged;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Unplugged> {
        self.0.device().write(report)
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Unplugged> {
        self.0.device().read(wait)
    }
}
