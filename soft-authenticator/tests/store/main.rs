//! All stores against the same suite: `suite.rs` has the tests that every store must pass.
#![allow(clippy::disallowed_methods)]

mod driver_errors;
mod flash;
mod model;
#[cfg(feature = "file-store")]
mod scale;
#[path = "../harness/shared_flash.rs"]
mod shared_flash;
mod suite;

use keyfob_soft_authenticator::store::{MemoryStore, Store};

use shared_flash::SharedFlash;
use suite::Medium;

/// Memory that survives its store.
struct Memory(MemoryStore<12, 1024>);

impl Medium for Memory {
    type Store<'m> = &'m mut MemoryStore<12, 1024>;
    const BOUNDED: bool = true;

    fn open(&mut self) -> Self::Store<'_> {
        // A power cut drops staged bytes.
        let _ = self.0.stage(0, &[]);
        &mut self.0
    }
}

suite!(memory, crate::Memory(crate::MemoryStore::new()));

#[cfg(feature = "file-store")]
suite!(file, crate::in_file::InFile::new());

#[cfg(feature = "file-store")]
mod in_file {
    use std::{
        fs, io,
        path::PathBuf,
        sync::atomic::{AtomicU32, Ordering},
    };

    use keyfob_soft_authenticator::store::FileStore;

    /// A temporary file, removed at the end.
    pub struct InFile(PathBuf);

    impl InFile {
        pub fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("suite-{}-{count}", std::process::id()));
            if let Err(error) = fs::remove_file(&path) {
                assert_eq!(error.kind(), io::ErrorKind::NotFound);
            }
            Self(path)
        }
    }

    impl Drop for InFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    impl crate::Medium for InFile {
        type Store<'m> = FileStore;
        // A test must not fill a shared disk. `src/store/file/tests.rs` fills a simulated one.
        const BOUNDED: bool = false;

        fn open(&mut self) -> FileStore {
            FileStore::open(&self.0).unwrap()
        }
    }
}
