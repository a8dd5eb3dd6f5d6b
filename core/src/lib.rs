//! keyfob-core: CTAP2 / FIDO2 for machines without a heap.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
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

pub mod attestation;
pub mod auth_data;
pub mod bytes;
pub mod cbor;
pub mod cose;
pub mod crypto;
pub mod ctap2;
pub mod json;
pub mod status;
pub mod time;
pub mod transport;
pub mod verify;
pub mod webauthn;

pub use status::Status;
pub use time::Instant;
