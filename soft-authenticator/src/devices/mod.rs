//! Virtual security keys that a client can plug into (std).
//!
//! [`VirtualKey`] is an authenticator that uses this machine's clock and a [`Touch`] and a [`Finger`] in place of a
//! user. [`InProcess`] carries its reports inside the process, [`hub`] over sockets to any number of clients,
//! whose end is a [`Pipe`].

mod attestation;
#[cfg(feature = "testing")]
mod controlled;
pub mod hub;
mod in_process;
mod key;
mod pipe;
mod platform;
mod port;
mod touch;
pub mod uhid;
#[cfg(not(feature = "testing"))]
mod uncontrolled;
pub mod usb;
pub mod usbip;
pub mod vpcd;

pub use attestation::{
    VIRTUAL_KEY_AAGUID, VIRTUAL_KEY_ROOT, virtual_key_certificate, virtual_key_enterprise_certificate,
};
pub use in_process::InProcess;
pub use key::{Finger, KeyError, KeyOptions, MAX_LARGE_BLOBS, VirtualKey};
#[cfg(unix)]
pub use pipe::UnixPipe;
pub use pipe::{Connection, Pipe, TcpPipe};
pub use platform::{VIRTUAL_VENDOR_COMMANDS, VirtualCrypto, VirtualPlatform, VirtualStore};
pub use touch::Touch;
