//! The stores, each against the same promises: `suite.rs` says what every store does, whatever it is kept on.
#![allow(clippy::disallowed_methods)]

mod model;
mod suite;

use keyfob_soft_authenticator::store::{MemoryStore, Store};

use suite::Medium;

/// Memory that outlives its store.
struct Memory(MemoryStore<12, 1024>);

impl Medium for Memory {
    type Store<'m> = &'m mut MemoryStore<12, 1024>;
    const BOUNDED: bool = true;

    fn open(&mut self) -> Self::Store<'_> {
        // A power cut takes what is staged.
        let _ = self.0.stage(0, &[]);
        &mut self.0
    }
}

suite!(memory, crate::Memory(crate::MemoryStore::new()));
