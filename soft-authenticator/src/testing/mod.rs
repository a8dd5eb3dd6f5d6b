//! A security key for tests, which does what it is told: the test double of a client's or a server's authenticator.
//!
//! ```text
//! test ──▶ TestKey    credentials, user, lies, faults, time
//!             │ engine, CTAPHID
//!          TestPort   reports, for a client of one's own
//!             │ the client of keyfob-core
//!          Browser    options JSON in, response JSON out, for a server
//! ```
//!
//! Everything follows from the seed and from what the test says. Time is the test's: it passes when a client waits, and
//! with [`TestKey::advance`]; nothing sleeps. The page `docs/testing.md` of the repository explains what a test can do,
//! and what a server answers.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyfob_core::{Instant, ctap2::Command, transport::hid::HidTransport};
use rand_core::Rng;

use crate::{
    Caps,
    devices::{Touch, VIRTUAL_KEY_AAGUID, virtual_key_certificate},
    engine::{AttestationMode, Config, ConfigError},
};

mod browser;
mod credential;
mod error;
mod knobs;
mod port;
mod state;

pub use browser::Browser;
pub use credential::{CredentialProperties, HeldCredential, TestCredential};
pub use error::TestError;
pub use knobs::{Answer, Asked, Lie, Step};
pub use port::{TestPort, Unplugged};

use knobs::Plan;
use port::Device;
use state::TestStore;

/// A security key in this process. Clones are handles of the same key, also for other threads.
///
/// ```
/// use keyfob_soft_authenticator::testing::TestKey;
///
/// let key = TestKey::seeded(5);
/// let page = key.browser("https://example.org");
/// let registered = page.create(r#"{"rp": {"name": "Example"}, "challenge": "YSBjaGFsbGVuZ2U",
///     "user": {"id": "dXNlcg", "name": "alice", "displayName": "Alice"},
///     "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
///     "authenticatorSelection": {"residentKey": "required"}}"#)?;
/// assert!(registered.contains("attestationObject"));
/// let signed_in = page.get(r#"{"challenge": "YW5vdGhlcg"}"#)?;
/// assert!(signed_in.contains("signature"));
/// # Ok::<(), keyfob_soft_authenticator::testing::TestError>(())
/// ```
#[derive(Clone)]
pub struct TestKey(Arc<Shared>);

struct Shared {
    device: Mutex<Device>,
    state: TestStore,
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestKey(..)")
    }
}

/// How a key and its user are.
impl TestKey {
    /// A key that is plugged in and empty, whose user is present, consents, and is verified. It has discoverable
    /// credentials, built-in user verification without a PIN, the extensions `credProtect`, `prf` and `largeBlob`, and
    /// a certified attestation. It speaks CTAP2 and not U2F.
    #[allow(clippy::expect_used)] // the configuration is constant
    pub fn seeded(seed: u64) -> Self {
        Self::with_config(seed, Self::config()).expect("the configuration is valid")
    }

    /// The configuration of [`TestKey::seeded`], for a test to change.
    pub const fn config() -> Config<'static> {
        let config = Config::workstation(VIRTUAL_KEY_AAGUID);
        let caps = config.caps.without(Caps::U2F).without(Caps::LARGE_BLOBS).with(Caps::LARGE_BLOB_EXTENSION);
        let caps = caps.with(Caps::BUILT_IN_UV).with(Caps::CERTIFIED_ATTESTATION);
        Config { caps, attestation: AttestationMode::Certified(virtual_key_certificate()), ..config }
    }

    /// A key with another configuration.
    ///
    /// # Errors
    /// [`ConfigError`]: it is contradictory.
    pub fn with_config(seed: u64, config: Config<'static>) -> Result<Self, ConfigError> {
        let state = TestStore::new(seed);
        let device = Mutex::new(Device::new(seed, config, state.clone())?);
        Ok(Self(Arc::new(Shared { device, state })))
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.0.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the user touches the key from now on: at once, declining, never, or as a function says. A user who does not
    /// touch it is not verified either.
    pub fn set_touch(&self, touch: Touch) {
        self.device().touch = touch;
    }

    /// Whether the user consents, at once, or declines: `isUserConsenting` of WebAuthn L3 §11.2.
    pub fn set_user_consenting(&self, consents: bool) {
        self.set_touch(if consents { Touch::Auto } else { Touch::Deny });
    }

    /// Whether the user is verified when the key tries: `isUserVerified` of WebAuthn L3 §11.9. The key has all its
    /// attempts again.
    pub fn set_user_verified(&self, verified: bool) {
        self.device().set_user_verified(verified);
    }

    /// The time at which the test is, from 0 on.
    pub fn now(&self) -> Instant {
        self.0.state.lock().now
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.0.state.lock();
        state.now = state.now.plus(duration);
    }

    /// A page of this origin, in a browser that sees this key alone.
    pub fn browser(&self, origin: &str) -> Browser {
        Browser::new(self.clone(), origin)
    }

    /// The key's port, for a client that brings its own CTAPHID.
    pub fn port(&self) -> TestPort {
        TestPort(self.clone())
    }

    /// A transport to this key, for a client of one's own. It takes its time from [`TestKey::clock`], and so does the
    /// client.
    pub fn transport(&self) -> HidTransport<TestPort, Box<dyn FnMut() -> Instant + Send>> {
        let nonce = self.0.state.lock().rng.next_u64().to_be_bytes();
        HidTransport::new(self.port(), Box::new(self.clock()), nonce)
    }

    /// The test's clock.
    pub fn clock(&self) -> impl FnMut() -> Instant + Send + use<> {
        let key = self.clone();
        move || key.now()
    }
}

/// Credentials, as WebAuthn L3 §11.5 to §11.10 has them.
impl TestKey {
    /// Puts a credential into the key.
    ///
    /// # Errors
    /// [`TestError::CredentialIdTaken`], or which part of the credential is not valid.
    pub fn add(&self, credential: TestCredential) -> Result<HeldCredential, TestError> {
        self.0.state.lock().add(credential)
    }

    /// The credentials in the key: the discoverable ones, then the others, each in the order in which they came.
    pub fn credentials(&self) -> Vec<HeldCredential> {
        self.0.state.lock().credentials()
    }

    /// Removes a credential.
    ///
    /// # Errors
    /// [`TestError::UnknownCredential`].
    pub fn remove(&self, credential_id: &[u8]) -> Result<(), TestError> {
        self.0.state.lock().remove(credential_id)
    }

    /// Removes all credentials.
    ///
    /// # Errors
    /// [`TestError::Store`].
    pub fn remove_all(&self) -> Result<(), TestError> {
        let mut state = self.0.state.lock();
        state.credentials().iter().try_for_each(|held| state.remove(&held.credential_id))
    }

    /// Changes a credential's counter, or whether it is backup eligible or backed up. Whether the values fit each other
    /// is up to the test.
    ///
    /// # Errors
    /// [`TestError::UnknownCredential`].
    pub fn set_credential_properties(&self, id: &[u8], properties: CredentialProperties) -> Result<(), TestError> {
        self.0.state.lock().set_properties(id, properties)
    }

    /// Whether credentials that are registered from now on are backup eligible, and whether they are backed up:
    /// `defaultBackupEligibility` and `defaultBackupState` of WebAuthn L3 §11.2.
    pub fn set_default_backup(&self, eligibility: bool, state: bool) {
        let registered = &mut self.0.state.lock().registered;
        (registered.backup_eligibility, registered.backup_state) = (eligibility, state);
    }
}

/// Lies and faults.
impl TestKey {
    /// Says this against the truth in every response from now on, besides earlier lies.
    pub fn lie(&self, lie: Lie) {
        self.0.state.lock().lies.push(lie);
    }

    /// Lies no longer.
    pub fn tell_the_truth(&self) {
        self.0.state.lock().lies.clear();
    }

    /// Answers every request with this command so, and does nothing.
    pub fn answer(&self, command: Command, answer: impl Into<Answer>) {
        self.0.state.lock().force(command, answer.into(), None);
    }

    /// Answers the next `times` requests with this command so. Answers for one command are given in the order in which
    /// the test has named them.
    pub fn answer_times(&self, times: u32, command: Command, answer: impl Into<Answer>) {
        self.0.state.lock().force(command, answer.into(), Some(times));
    }

    /// Forces no answers any longer.
    pub fn clear_answers(&self) {
        self.0.state.lock().clear_answers();
    }

    /// Delays every response by this time. Keep-alives go out meanwhile.
    pub fn set_delay(&self, delay: Duration) {
        self.device().delay = delay;
    }

    /// Whether the key sends keep-alives while it works on a request.
    pub fn set_keep_alives(&self, sends: bool) {
        self.device().sends_keep_alives = sends;
    }

    /// Lets a write to the key's store fail, once: 1 is the next one. The store is as it was before. The key also writes
    /// between two commands, for example to delete what a registration has replaced.
    pub fn fail_write(&self, number: u32) {
        self.0.state.lock().failing_commit = Some(number);
    }

    /// Lets the clock jump when this step is reached, once.
    pub fn jump_at(&self, step: Step, duration: Duration) {
        self.0.state.lock().plan(step, Plan::Jump(duration));
    }

    /// Takes the key out of its port: its clients get errors, and a request under way is lost.
    pub fn unplug(&self) {
        self.device().is_plugged = false;
    }

    /// Takes the key out when this step is reached, once.
    pub fn unplug_at(&self, step: Step) {
        self.0.state.lock().plan(step, Plan::Unplug);
    }

    /// Plugs the key in, again if it was in. What is stored stays; tokens and channels are gone.
    ///
    /// # Errors
    /// [`ConfigError::Store`]: the store was told to fail.
    pub fn plug_in(&self) -> Result<(), ConfigError> {
        self.device().replug()
    }

    /// Whether the key is plugged in.
    pub fn is_plugged_in(&self) -> bool {
        self.device().is_plugged
    }

    /// What the key was asked since the beginning or [`TestKey::clear_history`]: every CTAP2 request, also those that
    /// were answered by force.
    pub fn history(&self) -> Vec<Asked> {
        self.0.state.lock().history.clone()
    }

    /// Forgets what the key was asked.
    pub fn clear_history(&self) {
        self.0.state.lock().history.clear();
    }
}
