//! The key, and the wire between it and the client: reports in memory.

use core::{cell::Cell, convert::Infallible, marker::PhantomData, time::Duration};

use crate::{
    board::Gauge,
    counting::Counting,
    flash::{Flash, SIZE},
};
use keyfob_core::{
    Instant,
    crypto::RustCrypto,
    transport::{
        ReportIo,
        hid::{DeviceConfig, REPORT_LEN},
    },
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, Engine, Platform, Wait},
    hid::HidAuthenticator,
    store::FlashStore,
};

/// What the key is. One that cannot work does not compile.
const CONFIG: Config<'static> = {
    let full = Config::fido2_3_full([0x4B; 16]);
    Config { caps: full.caps.without(Caps::EDDSA), max_msg_size: 1_200, ..full }
};
const _: () = assert!(CONFIG.check(CONFIG.caps).is_ok());

/// What the emulated board brings.
pub struct Board<'f>(PhantomData<&'f ()>);

impl<'f> Platform for Board<'f> {
    const COMPILED: Caps = CONFIG.caps;
    type Crypto = RustCrypto;
    type Rng = Counting;
    type Store = FlashStore<Flash<'f>, RustCrypto, 20, 2>;
}

/// Powers a key up. `seed` is what its generator begins with.
///
/// # Errors
/// Why the key does not start.
pub fn power_up<'k>(
    flash: &'k mut [u8; SIZE],
    buffer: &'k mut [u8],
    seed: u64,
    now: Instant,
) -> Result<HidAuthenticator<'k, Board<'k>>, &'static str> {
    let store = FlashStore::new(Flash(flash), RustCrypto, &[7; 32]).map_err(|_| "the flash is not a store")?;
    let engine = Engine::new(buffer, CONFIG, RustCrypto, Counting(seed), store, now);
    Ok(HidAuthenticator::new(engine.map_err(|_| "the configuration does not work")?, DeviceConfig::default()))
}

/// The wire to the key, whose user touches it when it waits for that. Waiting makes time pass.
pub struct Wire<'k> {
    /// The key.
    pub key: HidAuthenticator<'k, Board<'k>>,
    /// The time, in milliseconds.
    pub now: &'k Cell<u64>,
    /// What sees how deep the key's stack goes.
    pub gauge: &'k Gauge,
}

impl ReportIo for Wire<'_> {
    type Error = Infallible;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Infallible> {
        let now = Instant::from_millis(self.now.get());
        self.gauge.key(|| self.key.receive(now, report));
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Infallible> {
        for _ in 0..=wait.as_millis() {
            let now = Instant::from_millis(self.now.get());
            let report = self.gauge.key(|| {
                if matches!(self.key.waits_for(), Some(Wait::Touch | Wait::LongTouch)) {
                    self.key.touch(now, true);
                }
                self.key.tick(now);
                self.key.transmit(now)
            });
            if report.is_some() {
                return Ok(report);
            }
            self.now.set(self.now.get().saturating_add(1));
        }
        Ok(None)
    }
}
