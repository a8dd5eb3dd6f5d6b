//! The key of the engine's tests, with an authenticator that has no real cryptography.

use keyfob_core::crypto::StubCrypto;
use keyfob_soft_authenticator::{engine::Config, store::MemoryStore};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

pub use crate::harness::{Abort, BenchStore, UserAction, message, plug_in, status};
use crate::harness::{Bench, KeyDouble};

/// How many credentials fit in the store.
pub const ROOM: usize = 3;

/// The engine's platform.
pub type StubBench = Bench<StubCrypto>;

/// A key.
pub type Key<'b> = KeyDouble<'b, StubCrypto>;

/// The interruptions of a command: those that go on with the same engine.
pub const ABORTS: [Abort; 6] = [
    Abort::Cancel,
    Abort::Init,
    Abort::OtherChannel,
    Abort::PowerCycle,
    Abort::TornCommit { made: false },
    Abort::TornCommit { made: true },
];

/// A deterministic random source.
pub fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

/// An empty store.
pub fn store() -> BenchStore {
    BenchStore::on(Box::new(MemoryStore::<ROOM>::new()))
}

/// A key that has just been plugged in. The buffer must have [`Config::buffer_len`] bytes.
pub fn key<'b>(buffer: &'b mut [u8], config: Config<'b>) -> Key<'b> {
    Key::in_buffer(buffer, config, store()).expect("a configuration that works")
}
