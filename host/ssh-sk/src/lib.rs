//! The library that OpenSSH loads by its environment variable `SSH_SK_PROVIDER`, so that keys of the types `ecdsa-sk` and
//! `ed25519-sk` live in a virtual security key, or in any key that the client of keyfob reaches. Unix, OpenSSH 9.1 or
//! newer, whose `sk-api.h` has version 0x000a0000.
//!
//! ```text
//! ssh, ssh-keygen, ssh-add, ssh-agent ──▶ ssh-sk-helper ──▶ here
//!    boundary   the C interface: checks pointers and lengths, calls one of
//!    enroll, sign, resident   what OpenSSH asks for, as ceremonies of keyfob's client
//!    key        the key in use: the transport to it, and the PIN that OpenSSH has asked its user for
//!    place      where the key is, and how it is opened
//! ```
//!
//! What goes wrong is one line on the standard error. The addresses of keys, and what the user has to do: README.md.
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
        clippy::disallowed_methods
    )
)]
#![cfg_attr(test, allow(clippy::disallowed_methods))]

mod abi;
mod boundary;
mod enroll;
mod failure;
mod key;
mod options;
mod place;
mod resident;
mod sign;
#[cfg(test)]
mod tests;
