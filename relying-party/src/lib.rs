//! keyfob-relying-party: a web service where people sign in with security keys, and clients for it.
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
//! A registration is two requests. The first returns options with a challenge, which the server stores under a session
//! cookie. The second brings the key's response, which is verified against them; the credential is stored. A sign-in
//! works in the same way with the stored credential.
#![forbid(unsafe_code)]
#![deny(missing_docs, clippy::missing_errors_doc)]
#![allow(clippy::disallowed_methods)]

pub mod backend;
pub mod client;
mod number;
mod random;
pub mod roots;
pub mod server;
pub mod store;
pub mod tenant;
