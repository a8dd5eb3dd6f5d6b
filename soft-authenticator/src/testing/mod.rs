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
//! with [`Control::advance`]; nothing sleeps. The page `docs/testing.md` of the repository explains what a test can do,
//! and what a server answers.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keyfob_core::{Instant, transport::hid::HidTransport};
use rand_core::Rng;

use crate::{
    Caps,
    devices::{VIRTUAL_KEY_AAGUID, virtual_key_certificate},
    engine::{AttestationMode, Config, ConfigError},
    store::{MemoryStore, Store},
};

mod blobs;
mod browser;
mod control;
mod credential;
mod driver;
mod error;
mod knobs;
mod port;
mod state;

pub use browser::Browser;
pub use control::Control;
pub use credential::{CredentialProperties, HeldCredential, TestCredential};
pub use error::TestError;
pub use knobs::{Answer, Asked, Lie, Step};
pub use port::{TestPort, Unplugged};

pub(crate) use blobs::LargeBlobs;
pub(crate) use driver::{Driver, Orders};
pub(crate) use state::TestStore;

use port::Device;

/// How many discoverable credentials the key can hold.
const CREDENTIALS: usize = 50;

/// A security key in this process. Clones are handles of the same key, also for other threads. What it does is told to
/// it by the calls of [`Control`], to which it derefs.
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
    control: Control,
}

impl Deref for TestKey {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.0.control
    }
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestKey(..)")
    }
}

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
        Self::with_store(seed, config, Box::<MemoryStore<CREDENTIALS>>::default())
    }

    /// A key with another configuration and a store of its own, for example a small one where a test has thousands of
    /// keys: a key of [`TestKey::seeded`] takes 24 kB, one with a message of 1,200 bytes and `MemoryStore<2, 0>` 14 kB.
    ///
    /// # Errors
    /// [`ConfigError`]: it is contradictory, or the store failed.
    pub fn with_store(seed: u64, config: Config<'static>, store: Box<dyn Store + Send>) -> Result<Self, ConfigError> {
        let large_blobs = LargeBlobs::of(config.caps, store.large_blobs_capacity());
        let store = TestStore::new(seed, store, large_blobs, None);
        let device = Mutex::new(Device::new(seed, config, store.clone())?);
        Ok(Self(Arc::new(Shared { device, control: Control(store) })))
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.0.device.lock().unwrap_or_else(PoisonError::into_inner)
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
        let nonce = self.0.control.0.lock().rng.next_u64().to_be_bytes();
        HidTransport::new(self.port(), Box::new(self.clock()), nonce)
    }

    /// The test's clock.
    pub fn clock(&self) -> impl FnMut() -> Instant + Send + use<> {
        let key = self.clone();
        move || key.now()
    }
}
