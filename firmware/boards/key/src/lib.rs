//! A security key on a board: everything that does not depend on the chip.
//!
//! A board names its USB driver, its flash, its random source, its button and its light in a [`Board`], and awaits
//! [`run`].
//!
//! | file | what it is |
//! |---|---|
//! | `lib.rs` | the board, and what this key can do |
//! | `usb.rs` | reports between the computer and the authenticator |
//! | `panel.rs` | the button and the light |
//! | `flash.rs` | the part of a flash that the store gets, and the device key |
//! | `random.rs` | random sources for the engine |
#![no_std]
#![deny(missing_docs)]

use core::{future::pending, marker::PhantomData};

use embassy_usb::driver::Driver;
use embedded_storage::nor_flash::NorFlash;
use keyfob_core::{Instant, bytes::Secret, crypto::RustCrypto, transport::hid::DeviceConfig};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, Engine, Platform},
    hid::HidAuthenticator,
    store::{FlashStore, flash::FlashError},
};
use rand_core::TryCryptoRng;

pub mod flash;
pub mod panel;
pub mod random;
#[cfg(test)]
mod tests;
mod usb;

use flash::Partition;
use panel::Panel;

/// The model of this key. A product makes one of its own, once for all its keys: 16 random bytes.
const AAGUID: [u8; 16] = *b"keyfob board key";
/// Discoverable credentials that the store has room for.
const CREDENTIALS: usize = 50;
/// Pieces of 512 bytes for large blobs.
const BLOBS: usize = 2;

/// What the key can do: all of CTAP 2.3 that takes no sensor, with ES256.
const CONFIG: Config<'static> = {
    let mut config = Config::fido2_3_full(AAGUID);
    config.caps = config.caps.without(Caps::EDDSA);
    config.max_msg_size = 1_200;
    config
};
const _: () = assert!(CONFIG.check(CONFIG.caps).is_ok());

/// What a board brings.
pub struct Board<D, F, R, B, L> {
    /// The USB driver.
    pub usb: D,
    /// The part of the flash that is the store's.
    pub flash: Partition<F>,
    /// What the store is sealed under: [`flash::device_key`]. The key does not start without it.
    pub device_key: Option<Secret<32>>,
    /// The random source. All keys that this board makes are worth as much as its bytes.
    pub rng: R,
    /// Whether the button is down.
    pub button: B,
    /// Switches the light on or off.
    pub light: L,
}

/// The engine's platform on any board.
struct OnBoard<'f, F, R>(PhantomData<(&'f mut F, R)>);

impl<'f, F: NorFlash, R: TryCryptoRng> Platform for OnBoard<'f, F, R> {
    const COMPILED: Caps = CONFIG.caps;
    type Crypto = RustCrypto;
    type Rng = R;
    type Store = Store<'f, F>;
}

type Store<'f, F> = FlashStore<&'f mut Partition<F>, RustCrypto, CREDENTIALS, BLOBS>;

/// Runs the key. If it cannot start, its light stays on, and the computer sees no device.
pub async fn run<D, F, R, B, L>(board: Board<D, F, R, B, L>) -> !
where
    D: Driver<'static>,
    F: NorFlash,
    R: TryCryptoRng,
    B: FnMut() -> bool,
    L: FnMut(bool),
{
    let Board { usb, mut flash, device_key, rng, button, mut light } = board;
    let mut buffer = [0; CONFIG.buffer_len()];
    let key = device_key.and_then(|device_key| power_up(&mut flash, &mut buffer, &device_key, rng));
    match (key, usb::plug_in(usb)) {
        (Some(key), Some(port)) => port.serve(key, Panel::new(button, light)).await,
        _ => {
            light(true);
            pending().await
        }
    }
}

/// The authenticator on its store. A flash that was never a store becomes one.
fn power_up<'k, F: NorFlash, R: TryCryptoRng>(
    flash: &'k mut Partition<F>,
    buffer: &'k mut [u8],
    device_key: &[u8; 32],
    rng: R,
) -> Option<HidAuthenticator<'k, OnBoard<'k, F, R>>> {
    if let Err(FlashError::Foreign) = Store::new(&mut *flash, RustCrypto, device_key) {
        Store::format(&mut &mut *flash).ok()?;
    }
    let store = Store::new(flash, RustCrypto, device_key).ok()?;
    let engine = Engine::new(buffer, CONFIG, RustCrypto, rng, store, Instant::now()).ok()?;
    let config = DeviceConfig { max_message: CONFIG.max_msg_size, ..DeviceConfig::default() };
    Some(HidAuthenticator::new(engine, config))
}
