//! The engine against the checklists of CTAP 2.3: messages in, messages out, with real cryptography and a simulated clock.
#![allow(clippy::disallowed_methods)]

mod algorithms;
mod attestation;
mod client_pin;
mod get_assertion;
mod get_info;
mod harness;
mod hid;
mod make_credential;
mod message_layer;
mod model;
mod power;
mod reset_and_selection;
mod resumability;
