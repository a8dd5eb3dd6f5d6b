//! The key's configuration, and its engine on the emulated board.

use core::marker::PhantomData;

use keyfob_core::{Instant, crypto::RustCrypto};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, Engine, Platform},
    store::FlashStore,
};

use crate::{
    counting::Counting,
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

/// An engine that has just powered up. `seed` is what its generator begins with.
///
/// # Errors
/// Why it does not start.
pub fn power_up<'k>(
    flash: &'k mut [u8; SIZE],
    buffer: &'k mut [u8],
    seed: u64,
    now: Instant,
) -> Result<Engine<'k, Board<'k>>, &'static str> {
    let store = FlashStore::new(Flash(flash), RustCrypto, &[7; 32]).map_err(|_| "the flash is not a store")?;
    Engine::new(buffer, CONFIG, RustCrypto, Counting(seed), store, now).map_err(|_| "the configuration does not work")
}
