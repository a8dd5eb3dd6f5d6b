//! The engine's platform: cryptography and a store whose calls are counted and can be made to fail.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    ops::DerefMut,
    rc::Rc,
};

use embedded_storage::nor_flash::NorFlash;
use keyfob_core::{
    Failure,
    crypto::{Crypto, CryptoCall, Error, RustCrypto, Sign, Verify, Watch, Watched},
};
use keyfob_soft_authenticator::{
    engine::Platform,
    store::{Change, FlashStore, MemoryStore, Query, Setting, Store, StoreCall, StoreError, WatchStore, WatchedStore},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{SeedableRng, TryCryptoRng, TryRng};

use super::SharedFlash;

/// The calls of a lookup to cryptography and store, for tests that compare them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub finds: u32,
    pub opens: u32,
    pub hashes: u32,
}

thread_local! {
    /// The calls of this test so far.
    pub static CALLS: Cell<Calls> = const { Cell::new(Calls { finds: 0, opens: 0, hashes: 0 }) };
    /// The operations with a scalar multiplication so far.
    pub static MULTIPLICATIONS: Cell<u32> = const { Cell::new(0) };
    /// Whether every operation with a scalar multiplication fails.
    pub static BROKEN: Cell<bool> = const { Cell::new(false) };
    /// How many more draws of the engine's random source succeed.
    pub static RANDOM: Cell<u32> = const { Cell::new(u32::MAX) };
    /// Whether a bit of every signature is wrong.
    pub static WRONG_SIGNATURES: Cell<bool> = const { Cell::new(false) };
}

fn counted(count: impl FnOnce(&mut Calls)) {
    let mut calls = CALLS.get();
    count(&mut calls);
    CALLS.set(calls);
}

/// How many credentials fit in the store.
pub const ROOM: usize = 5;

/// A crypto backend that a key can have.
pub trait Backend: Crypto + Sign + Verify + Default {}

impl<C: Crypto + Sign + Verify + Default> Backend for C {}

pub struct Bench<C = RustCrypto>(PhantomData<C>);

impl<C: Backend> Platform for Bench<C> {
    type Crypto = BenchCrypto<C>;
    type Rng = BenchRng;
    type Store = WatchedStore<BenchStore>;

    fn vendor_command(store: &mut WatchedStore<BenchStore>, id: u64, params: &[u8]) -> Result<(), Failure> {
        store.0.vendor.borrow_mut().push((id, params.to_vec()));
        if id == REFUSED_VENDOR_COMMAND { Err(Failure::NOT_ALLOWED) } else { Ok(()) }
    }
}

/// A vendor command's id and its parameters.
pub type VendorCommand = (u64, Vec<u8>);

/// A vendor command that the bench refuses.
pub const REFUSED_VENDOR_COMMAND: u64 = 0xDEAD;

/// When the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// At the commit with this number, before it is made.
    Before(u32),
    /// At the commit with this number, after it is made.
    After(u32),
    /// At the commit with this number, because the store is full.
    Full(u32),
    /// At every piece of a large-blob array.
    Stage,
    /// At every read.
    Reads,
    /// At every read of a setting after this many.
    ReadsAfter(u32),
}

/// A flash with small pages, so that many commands reach the end of a page.
pub type BenchFlash = SharedFlash<1024, 4>;

/// Makes a store on a flash.
pub type Mount = fn(&BenchFlash) -> Box<dyn Store>;

/// The log on a flash.
pub fn on_flash<F: NorFlash>(flash: F) -> FlashStore<F, RustCrypto, ROOM, 2> {
    FlashStore::new(flash, RustCrypto, &[0x5E; 32]).unwrap()
}

/// A store that survives its engine, and what is seen of it. Clones are the same store.
#[derive(Clone)]
pub struct BenchStore {
    pub memory: Rc<RefCell<Box<dyn Store>>>,
    pub slow: Rc<Cell<u32>>,
    pub fault: Rc<Cell<Fault>>,
    /// How many pieces of tidying are to be done.
    pub untidy: Rc<Cell<u32>>,
    /// Vendor commands that were carried out, with their parameters.
    pub vendor: Rc<RefCell<Vec<VendorCommand>>>,
    /// Whether anything was changed except the counts of PIN and user verification attempts.
    pub changed: Rc<Cell<bool>>,
    /// Consecutive PIN attempts since power-up, counted by the changes to the store.
    pub attempts: Rc<Cell<u8>>,
    asked: Rc<Cell<u32>>,
    applied: Rc<Cell<u32>>,
}

impl Default for BenchStore {
    fn default() -> Self {
        Self::on(Box::new(MemoryStore::<ROOM>::new()))
    }
}

impl BenchStore {
    pub fn on(store: Box<dyn Store>) -> Self {
        Self {
            memory: Rc::new(RefCell::new(store)),
            slow: Rc::default(),
            fault: Rc::default(),
            untidy: Rc::default(),
            vendor: Rc::default(),
            changed: Rc::default(),
            attempts: Rc::default(),
            asked: Rc::default(),
            applied: Rc::default(),
        }
    }

    /// The store on this flash, as after a power cut.
    pub fn on_flash(flash: &BenchFlash) -> Self {
        Self::mounted(flash, |flash| Box::new(on_flash(flash.clone())))
    }

    /// Another kind of store on this flash.
    pub fn mounted(flash: &BenchFlash, mount: Mount) -> Self {
        let store = Self::on(mount(flash));
        // A new power-up gets new randomness.
        store.applied.set(flash.get().operations as u32);
        store
    }

    /// The store as the engine gets it.
    pub fn watched(&self) -> WatchedStore<BenchStore> {
        WatchedStore(self.clone())
    }

    /// The commits that were requested: made, or refused because the store is full.
    pub fn asked(&self) -> u32 {
        self.asked.get()
    }

    /// Commits that were made.
    pub fn applied(&self) -> u32 {
        self.applied.get()
    }

    /// Makes the commit with this number, counted from now, fail with this fault.
    pub fn fail_at(&self, commit: u32, fault: impl Fn(u32) -> Fault) {
        self.fault.set(fault(self.asked.get() + commit));
    }

    pub fn setting(&self, setting: Setting) -> Option<Vec<u8>> {
        let mut out = [0; Setting::MAX_LEN];
        let len = self.memory.borrow_mut().get(setting, &mut out).unwrap();
        len.map(|len| out[..len].to_vec())
    }

    pub fn credentials(&self) -> usize {
        self.memory.borrow_mut().count(Query::All).unwrap() as usize
    }

    /// Checks that there are at most three consecutive PIN attempts per power-up, whatever interrupts a command.
    /// `before` is the stored number of retries.
    fn watch_attempts(&self, changes: &[Change<'_>], before: Option<Vec<u8>>) {
        let another_pin = |change: &Change<'_>| matches!(change, Change::Erase | Change::Set(Setting::Pin, _));
        for change in changes {
            let Change::Set(Setting::PinRetries, left) = change else { continue };
            let right = changes.iter().any(another_pin) || before.as_deref().is_some_and(|before| *left > before);
            let attempts = if right { 0 } else { self.attempts.get() + 1 };
            assert!(attempts <= 3, "{attempts} attempts at the PIN in one power-up");
            self.attempts.set(attempts);
        }
    }

    fn check_read(&self) -> Result<(), StoreError> {
        let fails = matches!(self.fault.get(), Fault::Reads | Fault::ReadsAfter(0));
        if fails { Err(StoreError::Failed) } else { Ok(()) }
    }
}

impl WatchStore for BenchStore {
    type Store = Box<dyn Store>;

    fn store(&self) -> impl DerefMut<Target = Self::Store> {
        self.memory.borrow_mut()
    }

    fn before(&mut self, call: StoreCall) -> Result<(), StoreError> {
        match (call, self.fault.get()) {
            (StoreCall::Get, Fault::ReadsAfter(reads @ 1..)) => self.fault.set(Fault::ReadsAfter(reads - 1)),
            (StoreCall::Get | StoreCall::ReadLargeBlobs, _) => self.check_read()?,
            (StoreCall::Search, _) => {
                counted(|calls| calls.finds += 1);
                self.check_read()?;
            }
            (StoreCall::Stage, fault) => {
                self.slow.set(self.slow.get() + 1);
                if fault == Fault::Stage {
                    return Err(StoreError::Failed);
                }
            }
            (call, _) => unreachable!("{call:?}"),
        }
        Ok(())
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        let left = self.untidy.get().checked_sub(1);
        self.untidy.set(left.unwrap_or(0));
        Ok(left.is_some())
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.slow.set(self.slow.get() + 1);
        self.asked.set(self.asked.get() + 1);
        if self.fault.get() == Fault::Before(self.asked.get()) {
            return Err(StoreError::Failed);
        }
        if self.fault.get() == Fault::Full(self.asked.get()) {
            return Err(StoreError::Full);
        }
        let mut retries = [0];
        let before = self.store().get(Setting::PinRetries, &mut retries);
        let before = matches!(before, Ok(Some(1))).then(|| retries.to_vec());
        let made = self.store().commit(changes);
        if made.is_ok() {
            self.watch_attempts(changes, before);
            let counts =
                |change: &Change<'_>| matches!(change, Change::Set(Setting::PinRetries | Setting::UvRetries, _));
            self.changed.set(self.changed.get() | !changes.iter().all(counts));
            self.applied.set(self.applied.get() + 1);
        }
        if self.fault.get() == Fault::After(self.asked.get()) { Err(StoreError::Failed) } else { made }
    }
}

/// A backend of which every scalar multiplication is counted as a slow operation.
pub type BenchCrypto<C> = Watched<C, Meter>;

/// Counts the calls of the backend, and lets it fail.
pub struct Meter {
    pub slow: Rc<Cell<u32>>,
}

/// The backend of a key whose slow operations `slow` counts.
pub fn bench_crypto<C: Default>(slow: &Rc<Cell<u32>>) -> BenchCrypto<C> {
    Watched { backend: C::default(), watch: Meter { slow: slow.clone() } }
}

impl Watch for Meter {
    fn before(&self, call: CryptoCall<'_>) -> Result<(), Error> {
        match call {
            CryptoCall::Sha256 | CryptoCall::Hmac(_) => counted(|calls| calls.hashes += 1),
            CryptoCall::Open => counted(|calls| calls.opens += 1),
            CryptoCall::Slow => {
                self.slow.set(self.slow.get() + 1);
                MULTIPLICATIONS.set(MULTIPLICATIONS.get() + 1);
                if BROKEN.get() {
                    return Err(Error::Failed);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn made_signature(&self, signature: &mut [u8]) {
        if let Some(last) = signature.last_mut() {
            *last ^= u8::from(WRONG_SIGNATURES.get());
        }
    }
}

/// A random source that fails after [`RANDOM`] draws.
pub struct BenchRng(ChaCha20Rng);

impl BenchRng {
    pub fn new(seed: u32) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed.into()))
    }

    fn draw(&mut self) -> Result<&mut ChaCha20Rng, RandomGone> {
        RANDOM.set(RANDOM.get().checked_sub(1).ok_or(RandomGone)?);
        Ok(&mut self.0)
    }
}

#[derive(Debug)]
pub struct RandomGone;

impl std::fmt::Display for RandomGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the random source failed")
    }
}

impl std::error::Error for RandomGone {}

impl TryRng for BenchRng {
    type Error = RandomGone;

    fn try_next_u32(&mut self) -> Result<u32, RandomGone> {
        self.draw()?.try_next_u32().map_err(|never| match never {})
    }

    fn try_next_u64(&mut self) -> Result<u64, RandomGone> {
        self.draw()?.try_next_u64().map_err(|never| match never {})
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RandomGone> {
        self.draw()?.try_fill_bytes(bytes).map_err(|never| match never {})
    }
}

impl TryCryptoRng for BenchRng {}
