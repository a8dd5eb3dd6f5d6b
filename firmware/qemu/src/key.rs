//! The key, and the wire between it and the client: reports in memory.

use core::{cell::Cell, convert::Infallible, marker::PhantomData, time::Duration};

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
use rand_core::{TryCryptoRng, TryRng};

use crate::{
    board::Gauge,
    flash::{Flash, SIZE},
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

/// A generator that can be repeated, with as little state as a true one has on a chip.
pub struct Counting(pub u64);

impl TryRng for Counting {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| (word >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = (self.try_next_u64()? >> 56) as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Counting {}

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
