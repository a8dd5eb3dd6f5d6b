//! A client of one key, with this machine's clock and random source.

use std::{io, marker::PhantomData};

use keyfob_core::{
    Instant,
    client::fido2::{ClientTypes, Fido2Client},
    crypto::RustCrypto,
    webauthn::DefaultClientDataCollector,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{Address, Key, OpenError, now, open};

/// The types of a [`Client`]: those of a key that is open, of a page at an origin, and of the system.
#[derive(Debug)]
pub struct Desk<'o, T, U>(PhantomData<(&'o str, T, U)>);

impl<'o, T, U> ClientTypes for Desk<'o, T, U> {
    type Transport = T;
    type Collector = DefaultClientDataCollector<'o>;
    type User = U;
    type Crypto = RustCrypto;
    type Rng = ChaCha20Rng;
    type Clock = fn() -> Instant;
}

/// A client of one key, `T`: [`Key`], or [`AsyncKey`](crate::AsyncKey).
pub type Client<'o, U, T = Key> = Fido2Client<'static, Desk<'o, T, U>>;

/// Opens a key for the site with this origin, `https://example.org`. `user` is told to touch the key, and asked for its
/// PIN.
///
/// # Errors
/// Why there is no key, or why it cannot be opened.
pub fn client<'o, U>(address: &Address, origin: &'o str, user: U) -> Result<Client<'o, U>, OpenError> {
    client_of(open(address)?, origin, user).map_err(|error| address.failed(error))
}

/// A client of a key that is open.
///
/// # Errors
/// The system has no random bytes.
pub fn client_of<T, U>(key: T, origin: &str, user: U) -> io::Result<Client<'_, U, T>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let rng = ChaCha20Rng::from_seed(seed);
    Ok(Fido2Client::of(key, DefaultClientDataCollector::new(origin), user, RustCrypto, rng, now as fn() -> Instant))
}
