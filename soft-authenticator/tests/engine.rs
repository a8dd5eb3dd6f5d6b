//! The engine against the checklists of CTAP 2.3: messages in, messages out, with real cryptography and a simulated clock.
#![allow(clippy::disallowed_methods)]

mod algorithms;
mod always_uv;
mod attestation;
mod authenticator_config;
mod bad_input;
mod bio_enrollment;
mod broken_stores;
mod client_ceremonies;
mod client_operations;
mod client_pin;
mod credential_listing;
mod credential_management;
mod extensions;
mod faults;
mod flash_costs;
mod get_assertion;
mod get_info;
mod harness;
mod hid;
mod hmac_secret;
mod large_blob;
mod large_blobs;
mod lookup;
mod make_credential;
mod message_layer;
mod model;
mod persistent;
mod pin_policy;
mod power;
mod power_sweep;
mod profiles;
mod reset_and_selection;
mod resumability;
mod u2f;
mod user_verification;
