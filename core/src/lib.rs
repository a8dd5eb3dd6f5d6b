//! keyfob-core: CTAP2 / FIDO2 for machines without a heap.
//!
//! This crate holds the code that both ends of the protocol share, the client, and the relying party's verification. It
//! does not allocate, block, read a clock or own a socket.
//!
//! ```text
//!   client                 verify            state machines and checks: what to ask, what to believe
//!      │                      │
//!   pin_uv   attestation   webauthn          PIN/UV auth protocols, statements, client data, origins
//!      │          │           │
//!   ctap2 ──── auth_data ── json             messages, one file per command, both directions
//!   ctap1      extensions                    U2F's messages; what extensions put into those of CTAP2
//!      │          │
//!     cbor      cose       crypto            one strict reader, one writer; keys; the seam to cryptography
//!
//!   large_blob                               the array in which an authenticator keeps blobs for others
//!   transport                                framing below messages: knows bytes, not what they mean; CTAPHID, NFC, BLE
//!   trace                                    shows what goes through a transport, for people
//! ```
//!
//! A request to a security key goes from [`client`] through [`ctap2`] and [`cbor`] into a buffer of the caller's,
//! through [`transport`] to the key, and its response comes back the same way. The other end, the key itself, is the
//! crate `keyfob-soft-authenticator`, which uses the same messages. Both ends take the time and the user's actions as
//! inputs.
//!
//! Where to begin, each with an example: [`client::fido2::Fido2Client`] for a WebAuthn client, [`client::run`] for one
//! ceremony, [`client::Ceremony`] without a transport, [`verify::registration`] for a server.
#![cfg_attr(not(test), no_std)]
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

pub mod attestation;
pub mod auth_data;
#[cfg(feature = "webauthn")]
pub mod base64url;
pub mod bytes;
pub mod cbor;
#[cfg(feature = "client")]
pub mod client;
pub mod cose;
pub mod crypto;
pub mod ctap1;
pub mod ctap2;
mod errors;
pub mod extensions;
#[cfg(feature = "webauthn")]
pub mod json;
#[cfg(feature = "client")]
pub mod large_blob;
mod named;
pub mod pin_uv;
mod spki;
pub mod status;
pub mod time;
#[cfg(feature = "trace")]
pub mod trace;
pub mod transport;
#[cfg(feature = "verify")]
pub mod verify;
#[cfg(feature = "webauthn")]
pub mod webauthn;

#[cfg(test)]
mod vectors;

/// The traits for random sources.
pub use rand_core;
pub use status::{Failure, Status};
pub use time::Instant;
