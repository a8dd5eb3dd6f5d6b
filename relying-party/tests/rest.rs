//! The server's interface without a socket: requests and answers, with a virtual key.
#![allow(clippy::disallowed_methods)]

#[path = "rest/world.rs"]
mod world;

#[path = "rest/accounts.rs"]
mod accounts;
#[path = "rest/answers.rs"]
mod answers;
#[path = "rest/certificates.rs"]
mod certificates;
#[path = "rest/conformance.rs"]
mod conformance;
#[path = "rest/formats.rs"]
mod formats;
#[path = "rest/policy.rs"]
mod policy;
#[path = "rest/regressions.rs"]
mod regressions;
#[path = "rest/rsa.rs"]
mod rsa;
#[path = "rest/sessions.rs"]
mod sessions;
#[path = "rest/vectors.rs"]
mod vectors;
