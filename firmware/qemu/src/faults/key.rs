//! The key whose power fails, and the client that is plugged into it.

use core::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    ops::DerefMut,
    time::Duration,
};

use keyfob_core::{
    Instant,
    client::{Ceremony, Error, Operation, PinEntry, Prompt, Reason, UserInteraction, run_each},
    cose::Algorithm,
    crypto::StubCrypto,
    ctap2::bio_enrollment::SampleStatus,
    transport::{
        ReportIo,
        hid::{DeviceConfig, HidTransport, REPORT_LEN},
    },
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Certified, Config, Engine, Enterprise, Platform, Wait},
    hid::HidAuthenticator,
    store::{Change, FlashStore, Store, StoreError, WatchStore, WatchedStore},
};

use crate::{
    counting::Counting,
    flash::{Flash, Medium},
    reports::Tape,
};

/// What the key is.
pub const CONFIG: Config<'static> = {
    let full = Config::fido2_3_full([0x4B; 16]);
    let caps = full.caps.with(Caps::BUILT_IN_UV).with(Caps::BIO_ENROLL).with(Caps::ENTERPRISE_ATTESTATION);
    let certified = Certified { algorithm: Algorithm::ES256, secret: &[1; 32], chain: &[&[0x30, 0]] };
    let enterprise = Some(Enterprise { certified, rp_ids: &["example.org"] });
    Config { caps: caps.without(Caps::EDDSA), max_msg_size: 1_200, enterprise, ..full }
};

/// A flash log of the sweep.
pub type Log<'f> = FlashStore<Flash<'f>, StubCrypto, 8, 2>;

/// Counts the commits that were acknowledged, and lets all fail after some.
pub struct Commits<'f> {
    log: RefCell<Log<'f>>,
    made: &'f Cell<u32>,
    allowed: u32,
}

impl<'f> WatchStore for Commits<'f> {
    type Store = Log<'f>;

    fn store(&self) -> impl DerefMut<Target = Log<'f>> {
        self.log.borrow_mut()
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        if self.made.get() == self.allowed {
            return Err(StoreError::Failed);
        }
        self.store().commit(changes)?;
        self.made.set(self.made.get() + 1);
        Ok(())
    }
}

/// What the emulated board brings.
pub struct Board<'f>(PhantomData<&'f ()>);

impl<'f> Platform for Board<'f> {
    const COMPILED: Caps = CONFIG.caps;
    type Crypto = StubCrypto;
    type Rng = Counting;
    type Store = WatchedStore<Commits<'f>>;
}

/// The store on a flash.
///
/// # Errors
/// The flash is not a store any more.
pub fn open(flash: &RefCell<Medium>) -> Result<Log<'_>, &'static str> {
    FlashStore::new(Flash(flash), StubCrypto, &[7; 32]).map_err(|_| "the flash is not a store any more")
}

/// The wire to the key. Its user touches it and lays a finger on it as soon as it waits for that.
pub struct Wire<'k> {
    /// The key.
    pub key: HidAuthenticator<'k, Board<'k>>,
    now: &'k Cell<u64>,
    flash: &'k RefCell<Medium>,
    tape: &'k RefCell<Tape>,
    samples: u8,
}

/// The key has no power.
#[derive(Debug)]
pub struct Unplugged;

impl Wire<'_> {
    fn work(&mut self, now: Instant) {
        match self.key.waits_for() {
            Some(Wait::Touch | Wait::LongTouch) => self.key.touch(now, true),
            Some(Wait::UserVerification) => self.key.verify(now, true),
            Some(Wait::Sample) => {
                self.samples = self.samples.checked_sub(1).unwrap_or(CONFIG.user_verification.samples - 1);
                self.key.sample(now, SampleStatus::GOOD, self.samples);
            }
            _ => {}
        }
        self.key.tick(now);
    }
}

impl ReportIo for Wire<'_> {
    type Error = Unplugged;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Unplugged> {
        self.tape.borrow_mut().keep(report);
        self.key.receive(Instant::from_millis(self.now.get()), report);
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Unplugged> {
        for _ in 0..=wait.as_millis() {
            let now = Instant::from_millis(self.now.get());
            self.work(now);
            if self.flash.borrow().is_off() {
                return Err(Unplugged);
            }
            if let Some(report) = self.key.transmit(now) {
                return Ok(Some(report));
            }
            self.now.set(self.now.get() + 1);
        }
        Ok(None)
    }
}

/// A user who types the PIN, and after it another one where a new one is asked for.
struct User {
    typed: bool,
    wrong: bool,
}

impl UserInteraction for User {
    /// A wrong PIN is typed once.
    fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.typed = true;
        pin.set(if self.wrong { "00000000" } else { "12345678" });
        !self.wrong || prompt.reason == Reason::First
    }

    fn request_new_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(if self.typed { "87654321" } else { "12345678" });
        true
    }
}

/// A client that is plugged into a key.
pub struct Client<'k> {
    transport: HidTransport<Wire<'k>, &'k dyn Fn() -> Instant>,
    clock: &'k dyn Fn() -> Instant,
    buffer: &'k mut [u8],
    /// Whether the user types a wrong PIN.
    pub wrong_pin: bool,
}

impl<'k> Client<'k> {
    /// The wire to the key.
    pub fn wire(&mut self) -> &mut Wire<'k> {
        self.transport.io_mut()
    }

    /// Runs a ceremony; `each` sees its items.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run_each<'b, O: Operation>(
        &'b mut self,
        operation: O,
        each: impl FnMut(O::Item<'_>),
    ) -> Result<O::Outcome<'b>, Error> {
        let ceremony = Ceremony::new(operation, self.buffer, StubCrypto, Counting((self.clock)().as_millis()));
        let mut user = User { typed: false, wrong: self.wrong_pin };
        run_each(ceremony, &mut self.transport, &mut user, self.clock, each)
    }

    /// Runs a ceremony that has no items, or whose items do not matter.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run<O: Operation>(&mut self, operation: O) -> Result<O::Outcome<'_>, Error> {
        self.run_each(operation, |_| {})
    }
}

/// Where a key and its client work, between two power cuts.
pub struct Bench<'m> {
    /// The flash that the key is on.
    pub flash: &'m RefCell<Medium>,
    /// What clients send to the key.
    pub tape: &'m RefCell<Tape>,
    /// The key's buffer.
    pub key: &'m mut [u8],
    /// The client's buffer.
    pub client: &'m mut [u8],
    /// What the key's random numbers begin with at power-up.
    pub seed: u64,
    /// Commits that the store has acknowledged since the power-up.
    pub made: u32,
}

impl Bench<'_> {
    /// Powers a key up that can make so many commits, plugs a client in, and lets it do something.
    ///
    /// # Errors
    /// Why the key does not start.
    pub fn plug<T>(&mut self, allowed: u32, errand: impl FnOnce(&mut Client<'_>) -> T) -> Result<T, &'static str> {
        let (time, made) = (Cell::new(0), Cell::new(0));
        let clock = || Instant::from_millis(time.get());
        let store = WatchedStore(Commits { log: RefCell::new(open(self.flash)?), made: &made, allowed });
        let engine = Engine::new(&mut *self.key, CONFIG, StubCrypto, Counting(self.seed), store, clock());
        let engine = engine.map_err(|_| "the key does not power up")?;
        let key = HidAuthenticator::new(engine, DeviceConfig::default());
        let wire = Wire { key, now: &time, flash: self.flash, tape: self.tape, samples: 0 };
        let transport = HidTransport::new(wire, &clock as &dyn Fn() -> Instant, [1; 8]);
        let done = errand(&mut Client { transport, clock: &clock, buffer: &mut *self.client, wrong_pin: false });
        self.made = made.get();
        Ok(done)
    }
}
