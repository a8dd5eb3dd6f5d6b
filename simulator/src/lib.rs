//! keyfob-simulator: worlds in which a client and an authenticator meet under bad conditions.
//!
//! ```text
//!   scenario ── what is done in a world, and what must come of it      ┐
//!      │                                                               │ dice: one u64 seed
//!   client machine ── Client ═════ Wire ═════════ Device ── Flash      │ decides everything
//!                       rival ══╝   ║   ╚══ Tap (crypto)               │
//!                          loss, bit flips, doubles, delays            │
//!                     adversary ══ between two atoms ══╝               │
//!   clock, user, plug   ── World                                       ┘
//! ```
//!
//! Client and Device are the two ends of CTAPHID, NFC or Bluetooth ([`link`]); only CTAPHID has a rival, an adversary and
//! faults other than a power cut.
//!
//! There are no threads, no sockets and no real time: a world is a function of its seed, so a failure is replayed with
//! its seed.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(clippy::disallowed_methods)] // a panic here is a finding, and is reported with its seed

use std::fmt;

pub mod adversary;
pub mod ceremony;
pub mod dice;
pub mod flash;
pub mod link;
pub mod model;
pub mod rival;
pub mod scenario;
pub mod tap;
pub mod wire;
pub mod world;

pub use scenario::run;

/// A deliberate defect in a world, to check that the simulator notices it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The authenticator's signatures are wrong.
    WrongSignature,
    /// AES-CBC does not encrypt: PINs and tokens are sent in clear.
    PlaintextOnTheWire,
    /// Discoverable credentials do not survive a power cut.
    LosesCredentials,
    /// The authenticator does not answer, and no timeout applies.
    NeverEnds,
    /// The authenticator takes every wait for the user as a touch.
    TouchesItself,
    /// A power cut restores the PIN retries.
    RetriesRise,
    /// An enrolled fingerprint is not stored.
    LosesFingerprints,
    /// A power cut resets the signature counter to an earlier value.
    LosesCount,
    /// A PIN attempt that is aborted before the comparison does not count as one of the three in a row.
    ForgetsAttempts,
}

/// Options for running a world.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorldOptions {
    /// The transport.
    pub medium: link::Medium,
    /// Whether to keep a log.
    pub trace: bool,
    /// The defect, if any.
    pub mutation: Option<Mutation>,
}

/// What happened in a world without a failure.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Ceremonies that were begun.
    pub ceremonies: u64,
    /// Ceremonies that succeeded and were verified.
    pub successes: u64,
    /// Ceremonies that were required to succeed, and did.
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

/// A failure in a world.
#[derive(Clone, Debug)]
pub struct WorldFailure {
    /// What was expected and did not happen, or happened and must not.
    pub what: String,
    /// The log, if one was kept.
    pub log: Vec<String>,
}

impl fmt::Display for WorldFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.log {
            writeln!(f, "{line}")?;
        }
        f.write_str(&self.what)
    }
}
