//! keyfob-soft-authenticator: the other end of CTAP, an authenticator without a heap, and a virtual security key around
//! it.
//!
//! ```text
//!   devices    virtual keys, in process and over sockets (feature `std`)
//!      │
//!  hid nfc ble  a transport around the engine: reports, APDUs or fragments in and out
//!      │
//!   engine     the authenticator: requests in, responses out; time and the user's actions are inputs
//!    │   │
//!  caps  store     what is compiled in and switched on; what survives power loss: memory, NOR flash, a file
//! ```
//!
//! An integrator implements [`engine::Platform`], fills in an [`engine::Config`], and steps an [`engine::Engine`], a
//! [`hid::HidAuthenticator`], an [`nfc::NfcAuthenticator`] or a [`ble::BleAuthenticator`]. A test uses `devices::VirtualKey`. Each of them has an example. The messages are those of
//! `keyfob-core`.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))] // docs.rs says which feature an item needs
#![forbid(unsafe_code)]
#![deny(missing_docs, clippy::missing_errors_doc)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods,
        clippy::too_many_lines,
        clippy::cognitive_complexity
    )
)]
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod ble;
pub mod caps;
#[cfg(feature = "std")]
pub mod devices;
pub mod engine;
mod errors;
pub mod hid;
pub mod nfc;
mod served;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use caps::Caps;

// The code in the README and in docs/ compiles.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../README.md")]
struct Readme;
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../docs/testing.md")]
struct TestingPage;
#[cfg(doctest)]
#[doc = include_str!("../../docs/fido2-client.md")]
struct Fido2ClientPage;
#[cfg(doctest)]
#[doc = include_str!("../../docs/firmware.md")]
struct FirmwarePage;
