//! keyfob-relying-party: the web service that lets people in with their keys, and clients for it.
//!
//! ```text
//!   keyfob-rp serve                     keyfob-rp register, sign-in        keyfob-rp backend
//!      │                                     │                                │
//!   server   routes, sessions, answers    client   a virtual key over REST   backend   between a device and the server
//!      │            page: what a browser shows        │
//!      │                                              │
//!   store    accounts, credentials, ceremonies        │
//!      │                                              │
//!   tenant   who the relying parties are              │
//!      └────────────── keyfob_core::verify ───────────┘ keyfob_core::client, keyfob_soft_authenticator
//! ```
//!
//! A registration is two requests: the server gives options with a challenge and remembers them under a session cookie;
//! what the key answers is verified against them and stored. Signing in is the same with the stored credential.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(clippy::disallowed_methods)]

pub mod backend;
pub mod client;
mod random;
pub mod server;
pub mod store;
pub mod tenant;
