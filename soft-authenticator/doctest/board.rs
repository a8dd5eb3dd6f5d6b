// A chip for the main loop of docs/firmware.md, which includes this file: a client asks over USB for a touch.

use std::{collections::VecDeque, convert::Infallible};

use keyfob_core::{
    client::{self, Ceremony, UserInteraction, manage::Selection},
    crypto::RustCrypto,
    transport::{
        ReportIo,
        hid::{DeviceConfig, HidTransport},
    },
};
use keyfob_soft_authenticator::{
    engine::{Config, Engine},
    store::MemoryStore,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{Chip, Duration, HidAuthenticator, Instant, Platform, REPORT_LEN, turn};

struct Board;

impl Platform for Board {
    type Crypto = RustCrypto;
    type Rng = ChaCha8Rng;
    type Store = MemoryStore<4>;
}

/// A chip, and a user who keeps the button pressed from `pressed` on.
#[derive(Default)]
struct Emulated {
    now: Instant,
    pressed: Option<Instant>,
    to_key: VecDeque<[u8; REPORT_LEN]>,
    to_host: Option<[u8; REPORT_LEN]>,
    lit: bool,
}

impl Chip for Emulated {
    fn now(&self) -> Instant {
        self.now
    }

    fn can_send(&self) -> bool {
        self.to_host.is_none()
    }

    fn send(&mut self, report: &[u8; REPORT_LEN]) {
        assert_eq!(self.to_host.replace(*report), None);
    }

    fn received(&mut self) -> Option<[u8; REPORT_LEN]> {
        self.to_key.pop_front()
    }

    fn pressed_since(&self) -> Option<Instant> {
        self.pressed.filter(|pressed| *pressed <= self.now)
    }

    fn light(&mut self, asks_for_touch: bool) {
        self.lit |= asks_for_touch;
    }

    fn wink(&mut self) {}

    fn sleep(&mut self, until: Option<Instant>) {
        self.now = self.now.max(until.unwrap_or_default());
    }
}

/// The wire between client and key.
struct Wire<'k> {
    key: HidAuthenticator<'k, Board>,
    chip: Emulated,
    asked: Option<Instant>,
}

impl ReportIo for Wire<'_> {
    type Error = Infallible;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Infallible> {
        self.chip.to_key.push_back(*report);
        Ok(())
    }

    fn read(&mut self, _: Duration) -> Result<Option<[u8; REPORT_LEN]>, Infallible> {
        for _ in 0..100 {
            turn(&mut self.key, &mut self.chip, &mut self.asked);
            if let Some(report) = self.chip.to_host.take() {
                return Ok(Some(report));
            }
        }
        Ok(None)
    }
}

struct Silent;

impl UserInteraction for Silent {}

/// Asks for a touch, of a button that is pressed from then on, `from` ms after the beginning. Whether the key took it.
fn touched(from: u64) -> bool {
    let config = Config::new([0; 16]);
    let mut memory = vec![0; config.buffer_len()];
    let (rng, store, now) = (ChaCha8Rng::seed_from_u64(1), MemoryStore::new(), Instant::from_millis(10));
    let engine = Engine::new(&mut memory, config, RustCrypto, rng, store, now).expect("a sound configuration");
    let chip = Emulated { now, pressed: Some(Instant::from_millis(from)), ..Emulated::default() };
    let key = HidAuthenticator::new(engine, DeviceConfig::default());
    let mut transport = HidTransport::new(Wire { key, chip, asked: None }, Instant::default, *b"a nonce!");
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(Selection::new(), &mut buffer, RustCrypto, ChaCha8Rng::seed_from_u64(2));
    let selected = client::run(ceremony, &mut transport, &mut Silent, Instant::default).is_ok();
    assert!(transport.io_mut().chip.lit, "the light asks for the touch");
    selected
}

pub fn run() {
    assert!(touched(500), "a button that is pressed after the question");
    assert!(!touched(5), "a button that was pressed before the question");
}
