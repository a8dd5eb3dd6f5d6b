//! The engine against the checklists of CTAP 2.3: messages in, messages out, with real cryptography and a simulated clock.
#![allow(clippy::disallowed_methods)]

mod always_uv;
mod attestation;
mod bad_input;
mod client_pin;
mod extensions;
mod get_assertion;
mod get_info;
mod harness;
mod hid;
mod hmac_secret;
mod large_blob;
mod lookup;
mod make_credential;
mod message_layer;
mod model;
mod power;
mod reset_and_selection;
mod resumability;
