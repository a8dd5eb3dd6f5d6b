//! Security keys on a desk: where they are, and a way to each.
//!
//! ```text
//! keys()  ──▶ FoundKey ──▶ Address ──▶ open() ──▶ Key, a Transport ──▶ keyfob_core::client
//!                            │
//!                            /dev/hidrawN    a HID device of Linux
//!                            tcp:HOST:PORT   a virtual key of `keyfob serve --tcp`
//!                            unix:PATH       a virtual key of `keyfob serve --unix`
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `address.rs` | [`Address`], what is said of a key that is not reached ([`OpenError`]) |
//! | `connection.rs` | [`Connection`]: an open key, as a pipe of reports |
//! | `hidraw.rs` | [`Hidraw`], the driver, and [`keys`], which finds keys through sysfs |
//! | `desk.rs` | [`client`], with all that a ceremony needs of this machine |
//! | `tokio.rs` | [`open_async`], the same pipe of reports for tokio |
//!
//! A virtual key in the same process needs none of this: it is `keyfob_soft_authenticator::devices::InProcess`.
//!
//! Without the feature `cli`, which is on by default and makes the command `keyfob`, the library needs few crates. It is
//! for Unix; keys over HID are found and opened on Linux.
//!
//! ```no_run
//! # use keyfob::{client, keys};
//! # use keyfob_core::client::{UserInteraction, fido2::WebAuthnClient};
//! # use keyfob_core::webauthn::{CreationOptions, RelyingParty, RequestOptions};
//! # use keyfob_core::{cbor::List, cose::Algorithm, ctap2::{CredentialDescriptor, CredentialParameters, UserEntity}};
//! struct Terminal;
//! impl UserInteraction for Terminal {
//!     fn prompt_up(&mut self) {
//!         println!("Touch your security key.");
//!     }
//! }
//!
//! # fn challenge() -> [u8; 32] { [0; 32] }
//! let found = keys()?;
//! let key = found.first().ok_or("plug in a security key")?;
//! let mut client = client(&key.address, "https://example.org", Terminal)?;
//! let (challenge, mut client_data, mut buffer) = (challenge(), [0; 256], [0; 7609]);
//!
//! let (rp, user) = (RelyingParty { id: None, name: "Example" }, UserEntity { id: b"1", name: Some("alice"), display_name: None });
//! let algorithms = [CredentialParameters::new(Algorithm::ES256)];
//! let creation = client.creation(&CreationOptions::new(rp, user, &challenge, &algorithms), &mut client_data)?;
//! let id = client.make_credential(&creation, &mut buffer)?.credential_id().to_vec();
//!
//! let allowed = [CredentialDescriptor::new(&id)];
//! let options = RequestOptions { allow_credentials: Some(List::Slice(&allowed)), ..RequestOptions::new(&challenge) };
//! let request = client.request(&options, &mut client_data)?;
//! let signed_in = client.get_assertion(&request, &mut buffer)?;
//! println!("{} bytes of signature", signed_in.get(0).ok_or("no assertion")?.assertion.response.signature.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With the feature `tokio`, [`open_async`] makes an [`AsyncKey`], and the same client has `make_credential_async` and
//! `get_assertion_async`.
#![cfg(unix)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
    )
)]

use std::{io, sync::LazyLock, time};

use keyfob_core::{Instant, transport::hid::HidTransport};

mod address;
mod connection;
#[cfg(feature = "client")]
mod desk;
#[cfg(target_os = "linux")]
mod hidraw;
#[cfg(feature = "tokio")]
mod tokio;

#[cfg(feature = "tokio")]
pub use self::tokio::{AsyncConnection, AsyncKey, open_async};
pub use address::{Address, AddressError, OpenError, OpenErrorReason};
pub use connection::Connection;
#[cfg(feature = "client")]
pub use desk::{Client, Desk, client, client_of};
#[cfg(target_os = "linux")]
pub use hidraw::Hidraw;

/// A key that is open, as a [`Transport`](keyfob_core::transport::Transport).
pub type Key = HidTransport<Connection, fn() -> Instant>;

/// A security key that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// Where it is.
    pub address: Address,
    /// Its name: the manufacturer's and the product's. Empty if it has none. Without control characters.
    pub name: String,
    /// The USB ids of its vendor and product, if it says so.
    pub ids: Option<(u16, u16)>,
}

/// The security keys that are plugged in, by their addresses. They are not opened. Elsewhere than on Linux none is
/// found.
///
/// # Errors
/// What is plugged in cannot be read.
pub fn keys() -> io::Result<Vec<FoundKey>> {
    #[cfg(target_os = "linux")]
    return hidraw::keys_below("/sys".as_ref());
    #[cfg(not(target_os = "linux"))]
    Ok(Vec::new())
}

/// Opens a key. Its channel of CTAPHID is opened by the first request.
///
/// # Errors
/// Why there is no key, or why it cannot be opened.
pub fn open(address: &Address) -> Result<Key, OpenError> {
    let connection = address.connect()?;
    Ok(HidTransport::new(connection, now, nonce().map_err(|error| address.failed(error))?))
}

/// What tells a client's first INIT from those of others.
fn nonce() -> io::Result<[u8; 8]> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(nonce)
}

/// The time since the first call, for ceremonies and transports.
pub fn now() -> Instant {
    static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);
    Instant::from_millis(u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX))
}
