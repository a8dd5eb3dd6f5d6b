//! What stands between an authenticator and its clients, and does there what a test has said. The driver of the key in
//! process and that of the key behind doors have one each.

use std::time::Duration;

use keyfob_core::{
    Instant, bytes,
    ctap2::Command,
    transport::hid::{HidCommand, REPORT_LEN},
};

use super::{knobs::Step, state::TestStore};
use crate::{
    devices::Touch,
    engine::{Engine, Platform, Wait},
};

/// How often a keep-alive comes while a response is delayed (CTAP 2.3 §11.2.9.1.6: every 100 ms).
const KEEP_ALIVE: Duration = Duration::from_millis(100);

pub struct Driver {
    store: TestStore,
    /// The channel of the last report.
    channel: [u8; 4],
    /// Since when the key waits for its user.
    asked: Option<Instant>,
    /// The user knows that.
    is_asked: bool,
    /// The command whose response is not sent yet.
    pending: Option<Command>,
    delayed: Option<Delayed>,
}

/// A response is held back.
struct Delayed {
    channel: [u8; 4],
    until: Instant,
    keep_alive: Instant,
}

/// What the test has said since the driver asked.
pub struct Orders {
    pub touch: Option<Touch>,
    pub user_verified: Option<bool>,
}

impl Driver {
    pub const fn new(store: TestStore) -> Self {
        Self { store, channel: [0; 4], asked: None, is_asked: false, pending: None, delayed: None }
    }

    pub const fn store(&self) -> &TestStore {
        &self.store
    }

    pub fn now(&self) -> Instant {
        self.store.lock().now()
    }

    pub fn is_plugged_in(&self) -> bool {
        self.store.lock().is_plugged_in
    }

    /// Takes the orders of the test.
    pub fn orders(&mut self) -> Orders {
        let mut state = self.store.lock();
        Orders { touch: state.touch.take(), user_verified: state.user_verified.take() }
    }

    /// Whether the test has plugged the key in. Asked once for each time.
    pub fn takes_plug_in(&mut self) -> bool {
        std::mem::take(&mut self.store.lock().powers_up)
    }

    /// The key is powered up: nothing is pending.
    pub fn powered_up(&mut self) {
        (self.asked, self.is_asked, self.pending, self.delayed) = (None, false, None, None);
        let mut state = self.store.lock();
        (state.waits_for_user, state.one_touch, state.begun) = (false, None, None);
    }

    /// Gives back the attempts of built-in user verification, as a user does who has verified once. A write that is to
    /// fail is a later one.
    pub fn restore_uv_retries<P: Platform>(&self, engine: &mut Engine<'_, P>) {
        let failing = self.store.lock().failing_commit.take();
        let _ = engine.restore_uv_retries(); // without a write that fails, it fails where any command does
        self.store.lock().failing_commit = failing;
    }

    /// The key has received a report.
    pub fn received(&mut self, report: &[u8; REPORT_LEN]) {
        if let Some((channel, _)) = report.split_first_chunk() {
            self.channel = *channel;
        }
        // A client that gives up, or another one that comes, is answered at once.
        let is_theirs = self.delayed.as_ref().is_some_and(|delayed| delayed.channel == self.channel);
        match is_of(report) {
            Some(HidCommand::INIT) => self.delayed = None,
            Some(HidCommand::CANCEL) if is_theirs => self.delayed = None,
            _ => {}
        }
        self.begin();
    }

    /// If the engine has begun to work on a request, its response is delayed.
    pub fn begin(&mut self) {
        let mut state = self.store.lock();
        if let Some(command) = state.begun.take() {
            let now = state.now();
            self.pending = Some(command);
            let delayed =
                Delayed { channel: self.channel, until: now.plus(state.delay), keep_alive: now.plus(KEEP_ALIVE) };
            self.delayed = Some(delayed).filter(|_| !state.delay.is_zero());
        }
    }

    /// While a response is held back, and the engine does not work: when to look again.
    pub fn rests(&mut self, now: Instant) -> Option<Instant> {
        let Delayed { until, keep_alive, .. } = self.delayed.as_ref()?;
        let due = if self.store.lock().sends_keep_alives { *keep_alive.min(until) } else { *until };
        if *until <= now {
            self.delayed = None;
            return None;
        }
        Some(due)
    }

    /// The keep-alive that is to be sent while a response is held back.
    pub fn keep_alive(&mut self, now: Instant) -> Option<[u8; REPORT_LEN]> {
        let delayed = self.delayed.as_mut().filter(|delayed| delayed.keep_alive <= now)?;
        delayed.keep_alive = now.plus(KEEP_ALIVE);
        if !self.store.lock().sends_keep_alives {
            return None;
        }
        let mut report = [0; REPORT_LEN];
        let [first, second, third, fourth] = delayed.channel;
        bytes::copy_prefix(&mut report, &[first, second, third, fourth, HidCommand::KEEPALIVE.0 | 0x80, 0, 1, 1]);
        Some(report)
    }

    /// Whether a report of the key is sent. A response that is due may unplug the key.
    pub fn passes(&mut self, report: &[u8; REPORT_LEN]) -> bool {
        match is_of(report) {
            Some(HidCommand::KEEPALIVE) => self.store.lock().sends_keep_alives,
            Some(HidCommand::CBOR) => self.responds(),
            _ => true,
        }
    }

    /// Whether the response to the pending request is sent, and not the key unplugged.
    pub fn responds(&mut self) -> bool {
        let mut state = self.store.lock();
        if let Some(command) = self.pending.take() {
            state.reach(Step::Response(command));
        }
        (state.waits_for_user, state.one_touch) = (false, None);
        state.is_plugged_in
    }

    /// The key waits for this. Returns, while it is for the user, whether it is for the first time.
    pub fn waits(&mut self, wait: Option<Wait>, is_for_user: bool) -> Option<bool> {
        let mut state = self.store.lock();
        if is_for_user {
            let is_first = !std::mem::replace(&mut self.is_asked, true);
            self.asked.get_or_insert(state.now());
            state.waits_for_user = true;
            if is_first {
                state.reach(Step::Touch);
            }
            return Some(is_first);
        }
        if wait != Some(Wait::Processing) {
            (self.asked, self.is_asked) = (None, false);
            (state.waits_for_user, state.one_touch) = (false, None);
        }
        None
    }

    /// The user's one touch, if there was one, or how they touch the key otherwise.
    pub fn consents(&self, touch: &mut Touch, is_first: bool) -> Option<bool> {
        // The lock is free while the test's function is asked.
        let once = self.store.lock().one_touch.take();
        once.or_else(|| touch.consents(is_first, self.waited()))
    }

    /// The key waits for its user, who is not asked yet. Time counts from here: others may be told of it now.
    pub fn notes_wait(&mut self) {
        let mut state = self.store.lock();
        state.waits_for_user = true;
        self.asked.get_or_insert(state.now());
    }

    /// How long the key has waited for its user.
    pub fn waited(&self) -> Duration {
        self.asked.map_or(Duration::ZERO, |since| self.now().since(since))
    }

    /// When to ask the user again.
    pub fn asks_again(&self, touch: &Touch) -> Option<Instant> {
        self.asked.and(touch.pause(self.waited())).map(|pause| self.now().plus(pause))
    }
}

/// The command of an initialization packet.
fn is_of(report: &[u8; REPORT_LEN]) -> Option<HidCommand> {
    report.get(4).filter(|byte| **byte >= 0x80).map(|byte| HidCommand(byte & 0x7F))
}
