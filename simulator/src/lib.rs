//! keyfob-simulator: worlds in which a client and an authenticator meet under bad conditions.
//!
//! ```text
//!   scenario ── what is done in a world, and what must come of it      ┐
//!      │                                                               │ dice: one u64 seed
//!   client machine ── hid::Host ══ Wire ══ HidAuthenticator ── Flash   │ decides everything
//!                        rival ══╝  ║  ╚══ Tap (crypto)                │
//!                          loss, bit flips, doubles, delays            │
//!                     adversary ══ between two atoms ══╝               │
//!   clock, finger, plug ── World                                       ┘
//! ```
//!
//! No threads, no sockets, no real time: a world is a function of its seed, and a failure is replayed by its number.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(clippy::disallowed_methods)] // a panic here is a finding, and is reported with its seed

use std::fmt;

pub mod adversary;
pub mod ceremony;
pub mod dice;
pub mod flash;
pub mod model;
pub mod rival;
pub mod scenario;
pub mod tap;
pub mod wire;
pub mod world;

pub use scenario::run;

/// A world in which something is broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The authenticator's signatures are wrong.
    WrongSignature,
    /// AES-CBC does nothing: PINs and tokens are sent in clear.
    PlaintextOnTheWire,
    /// Discoverable credentials do not survive a power cut.
    LosesCredentials,
    /// The authenticator is silent and nobody looks at the clock.
    NeverEnds,
    /// The authenticator takes every wait for a touch.
    TouchesItself,
    /// A power cut gives back the PIN retries.
    RetriesRise,
    /// A fingerprint that was enrolled is not stored.
    LosesFingerprints,
    /// A power cut takes back the signature counter.
    LosesCount,
    /// An attempt at the PIN that is aborted before the comparison is none of the three in a row.
    ForgetsAttempts,
}

/// How a world is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keep a log.
    pub trace: bool,
    /// Break something.
    pub mutation: Option<Mutation>,
}

/// What happened in a world in which nothing was wrong.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Ceremonies begun.
    pub ceremonies: u64,
    /// Ceremonies that succeeded and were verified.
    pub successes: u64,
    /// Ceremonies that had to succeed, and did.
    pub owed: u64,
    /// Power cuts.
    pub cuts: u64,
    /// Reports lost, doubled, delayed or corrupted.
    pub disturbed: u64,
    /// Simulated time, in milliseconds.
    pub millis: u64,
    /// The log, if one was kept.
    pub log: Vec<String>,
}

/// What was wrong in a world.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was expected and did not happen, or the other way round.
    pub what: String,
    /// The log, if one was kept.
    pub log: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.log {
            writeln!(f, "{line}")?;
        }
        f.write_str(&self.what)
    }
}
