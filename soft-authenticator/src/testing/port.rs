//! The key behind its port: it drives the engine in the test's time, and plays the user.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use keyfob_core::{
    Instant,
    ctap2::Command,
    ctap2::bio_enrollment::SampleStatus,
    transport::{
        ReportIo,
        hid::{Capabilities, DeviceConfig, HidCommand, REPORT_LEN, UnknownChannels},
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{
    TestKey,
    knobs::{Plan, Step},
    state::{TestPlatform, TestStore},
};
use crate::{
    devices::Touch,
    engine::{Config, ConfigError, Engine, Wait},
    errors::says,
    hid::HidAuthenticator,
};

/// How long the engine takes for one piece of work.
const WORK: Duration = Duration::from_millis(1);
/// How often a keep-alive comes while a response is delayed (CTAP 2.3 §11.2.9.1.6: every 100 ms).
const KEEP_ALIVE: Duration = Duration::from_millis(100);
/// How long to wait before [`Touch::Ask`] is asked again.
const TOUCH_POLL: Duration = Duration::from_millis(20);

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

pub(super) struct Device {
    hid: HidAuthenticator<'static, TestPlatform>,
    state: TestStore,
    pub touch: Touch,
    pub user_verified: bool,
    pub is_plugged: bool,
    pub delay: Duration,
    pub sends_keep_alives: bool,
    /// The channel of the last report.
    channel: [u8; 4],
    /// The user knows that the key waits for them.
    is_asked: bool,
    /// When the response comes that is delayed.
    delayed_until: Option<Instant>,
}

impl Device {
    pub fn new(seed: u64, config: Config<'static>, state: TestStore) -> Result<Self, ConfigError> {
        let device = DeviceConfig {
            max_message: config.max_msg_size,
            unknown_channels: UnknownChannels::Lenient,
            capabilities: Capabilities::WINK.with(Capabilities::CBOR),
            ..DeviceConfig::default()
        };
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let now = state.lock().now;
        let engine = Engine::new(buffer(config.buffer_len()), config, Default::default(), rng, state.clone(), now)?;
        Ok(Self {
            hid: HidAuthenticator::new(engine, device),
            state,
            touch: Touch::Auto,
            user_verified: true,
            is_plugged: true,
            delay: Duration::ZERO,
            sends_keep_alives: true,
            channel: [0; 4],
            is_asked: false,
            delayed_until: None,
        })
    }

    /// Gives back the attempts of built-in user verification, as a user does who has verified once. A write that is to
    /// fail is a later one.
    pub fn set_user_verified(&mut self, verified: bool) {
        self.user_verified = verified;
        let failing = self.state.lock().failing_commit.take();
        let _ = self.hid.engine().restore_uv_retries(); // without a write that fails it does not fail
        self.state.lock().failing_commit = failing;
    }

    pub fn replug(&mut self) -> Result<(), ConfigError> {
        let now = self.now();
        self.hid.power_cycle(now)?;
        (self.is_plugged, self.is_asked, self.delayed_until) = (true, false, None);
        Ok(())
    }

    fn now(&self) -> Instant {
        self.state.lock().now
    }

    fn reach(&mut self, step: Step) -> Result<(), Unplugged> {
        self.state.lock().reach(step);
        self.carry_out()
    }

    /// Carries out what is planned for the step that was reached.
    fn carry_out(&mut self) -> Result<(), Unplugged> {
        let mut state = self.state.lock();
        for plan in std::mem::take(&mut state.due) {
            match plan {
                Plan::Unplug => self.is_plugged = false,
                Plan::Jump(duration) => state.now = state.now.plus(duration),
            }
        }
        if self.is_plugged { Ok(()) } else { Err(Unplugged) }
    }

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Unplugged> {
        self.carry_out()?;
        let now = self.now();
        let _wink = self.hid.receive(now, report);
        if let Some((channel, _)) = report.split_first_chunk() {
            self.channel = *channel;
        }
        // A client that gives up, or another one that comes, is answered at once.
        if matches!(is_of(report), Some(HidCommand::INIT | HidCommand::CANCEL)) {
            self.delayed_until = None;
        }
        if std::mem::take(&mut self.state.lock().has_begun) {
            self.delayed_until = Some(now.plus(self.delay)).filter(|_| !self.delay.is_zero());
        }
        self.carry_out()
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Unplugged> {
        let until = self.now().plus(wait);
        loop {
            self.carry_out()?;
            let now = self.now();
            if let Some(end) = self.delayed_until.filter(|end| now < *end) {
                let next = if self.sends_keep_alives { now.plus(KEEP_ALIVE).min(end) } else { end };
                self.state.lock().now = next.min(until.max(now.plus(WORK)));
                if self.sends_keep_alives && next < end && next <= until {
                    return Ok(Some(self.keep_alive()));
                }
                if next >= until {
                    return Ok(None);
                }
                continue;
            }
            self.delayed_until = None;
            if let Some(report) = self.hid.transmit(now) {
                match is_of(&report) {
                    Some(HidCommand::KEEPALIVE) if !self.sends_keep_alives => {}
                    Some(HidCommand::CBOR) => {
                        let last = self.state.lock().history.last().map(|asked| asked.command);
                        self.reach(Step::Response(last.unwrap_or(Command(0))))?;
                        return Ok(Some(report));
                    }
                    _ => return Ok(Some(report)),
                }
            }
            self.work()?;
            if now >= until {
                return Ok(None);
            }
            let now = self.now(); // a plan may have let it jump
            let pause = self.hid.deadline().map_or(Duration::MAX, |deadline| deadline.since(now));
            let pause = if matches!(self.touch, Touch::Ask(_)) { pause.min(TOUCH_POLL) } else { pause };
            self.state.lock().now = now.plus(pause.min(until.since(now)).max(WORK));
        }
    }

    /// One piece of the pending work, after what the user does.
    fn work(&mut self) -> Result<(), Unplugged> {
        let waits_for = self.hid.waits_for();
        if matches!(waits_for, Some(Wait::Touch | Wait::LongTouch | Wait::UserVerification | Wait::Sample)) {
            let is_first = !std::mem::replace(&mut self.is_asked, true);
            if is_first {
                self.reach(Step::Touch)?;
            }
            self.act(waits_for, is_first);
        } else if waits_for != Some(Wait::Processing) {
            self.is_asked = false;
        }
        let now = self.now();
        self.hid.tick(now);
        self.carry_out()
    }

    /// The user touches the key, declines, or does nothing.
    fn act(&mut self, waits_for: Option<Wait>, is_first: bool) {
        let now = self.now();
        let consents = match &mut self.touch {
            Touch::Auto => Some(true),
            Touch::Deny => Some(false),
            Touch::Never => None,
            Touch::Ask(ask) => ask(is_first),
        };
        match (consents, waits_for) {
            (None, _) => {}
            (Some(true), Some(Wait::UserVerification)) => self.hid.verify(now, self.user_verified),
            // The key has no fingerprints to enrol, unless the configuration says so: all samples are poor.
            (Some(true), Some(Wait::Sample)) => self.hid.sample(now, SampleStatus::POOR_QUALITY, 1),
            (Some(consents), _) => self.hid.touch(now, consents),
        }
    }

    fn keep_alive(&self) -> [u8; REPORT_LEN] {
        let mut report = [0; REPORT_LEN];
        let [first, second, third, fourth] = self.channel;
        let head = [first, second, third, fourth, HidCommand::KEEPALIVE.0 | 0x80, 0, 1, 1];
        keyfob_core::bytes::copy_prefix(&mut report, &head);
        report
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let buffer = self.hid.engine().take_buffer();
        buffer.fill(0);
        BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// The command of an initialization packet.
fn is_of(report: &[u8; REPORT_LEN]) -> Option<HidCommand> {
    report.get(4).filter(|byte| **byte >= 0x80).map(|byte| HidCommand(byte & 0x7F))
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
