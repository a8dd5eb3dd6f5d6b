//! What a virtual key runs on: its cryptography, and any store, with room for a large-blob array of a given length.

use keyfob_core::Failure;
use rand_chacha::ChaCha20Rng;

#[cfg(feature = "testing")]
use crate::testing::TestStore;
use crate::{
    engine::Platform,
    store::{Blobs, Change, Found, Number, Query, Setting, Store, StoreError},
};

/// What a virtual key computes with.
#[cfg(feature = "aws-lc")]
pub type VirtualCrypto = keyfob_aws_lc::AwsLc;
/// What a virtual key computes with.
#[cfg(not(feature = "aws-lc"))]
pub type VirtualCrypto = keyfob_core::crypto::RustCrypto;

/// The platform of a virtual key.
pub struct VirtualPlatform;

impl Platform for VirtualPlatform {
    type Crypto = VirtualCrypto;
    type Rng = ChaCha20Rng;
    type Store = VirtualStore;

    /// The commands in [`VIRTUAL_VENDOR_COMMANDS`] do nothing.
    fn vendor_command(_: &mut Self::Store, id: u64, _: &[u8]) -> Result<(), Failure> {
        if VIRTUAL_VENDOR_COMMANDS.contains(&id) { Ok(()) } else { Err(Failure::INVALID_PARAMETER) }
    }

    #[cfg(feature = "testing")]
    fn intercept(store: &mut VirtualStore, message: &mut [u8], len: usize) -> Option<usize> {
        store.controlled.as_ref()?.lock().intercept(message, len)
    }

    #[cfg(feature = "testing")]
    fn is_removed(store: &mut VirtualStore, credential_id: &[u8]) -> bool {
        store.controlled.as_ref().is_some_and(|store| store.is_removed(credential_id))
    }

    #[cfg(feature = "testing")]
    fn before_signing(
        store: &mut VirtualStore,
        credential_id: &[u8],
        private_key: (keyfob_core::cose::Algorithm, &[u8]),
        auth_data: &mut [u8],
    ) {
        if let Some(store) = &store.controlled {
            store.lock().before_signing(credential_id, private_key, auth_data);
        }
    }

    #[cfg(feature = "testing")]
    fn after_signing(store: &VirtualStore, signature: &mut [u8]) {
        if let Some(store) = &store.controlled {
            store.after_signing(signature);
        }
    }
}

/// Vendor commands of authenticatorConfig for a virtual key, [`Config::vendor_commands`](crate::engine::Config::vendor_commands): one that does nothing.
pub const VIRTUAL_VENDOR_COMMANDS: &[u64] = &[u64::from_be_bytes(*b"keyfob\x00\x01")];

/// What a virtual key keeps its state in: any store.
pub struct VirtualStore {
    store: Box<dyn Store + Send>,
    /// The longest large-blob array that it takes, in bytes. An array that is there already and is longer stays.
    large_blobs: usize,
    /// The store, where a test controls the key.
    #[cfg(feature = "testing")]
    pub(super) controlled: Option<TestStore>,
}

impl VirtualStore {
    pub(super) fn new(store: Box<dyn Store + Send>, large_blobs: usize) -> Self {
        Self {
            store,
            large_blobs,
            #[cfg(feature = "testing")]
            controlled: None,
        }
    }
}

impl From<Box<dyn Store + Send>> for VirtualStore {
    fn from(store: Box<dyn Store + Send>) -> Self {
        Self::new(store, usize::MAX)
    }
}

impl Store for VirtualStore {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.store.get(setting, out)
    }

    fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        self.store.next(query, before, out)
    }

    fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
        self.store.count(query)
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        self.store.remaining()
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.store.commit(changes)
    }

    fn large_blobs_capacity(&self) -> usize {
        self.store.large_blobs_capacity().min(self.large_blobs)
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        self.store.large_blobs_len()
    }

    fn read_large_blobs(&mut self, blobs: Blobs, offset: usize, out: &mut [u8]) -> Result<(), StoreError> {
        self.store.read_large_blobs(blobs, offset, out)
    }

    fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.stage(offset, bytes)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.store.tidy()
    }
}
