//! What the clients have done: counts, latencies, errors by kind; as text and as JSON.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::client::Plan;

/// Quantiles that are reported, with their names.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];
/// The longest time that is told from others, in microseconds: an hour, as `--timeout` allows it.
const LONGEST: u64 = 3_600_000_000;
/// Significant digits of a latency.
const DIGITS: u8 = 3;
/// The first bucket of a histogram in the report ends here, in microseconds; each other one is twice as wide.
const BUCKET: u64 = 250;

/// What takes time in a ceremony, and can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Connect,
    AttestationOptions,
    /// The browser's and the key's work in a registration.
    Create,
    AttestationResult,
    AssertionOptions,
    /// The browser's and the key's work in a sign-in.
    Get,
    AssertionResult,
    Delete,
}

impl Step {
    /// The path of the request, or what it is.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::AttestationOptions => "attestation/options",
            Self::Create => "key: create",
            Self::AttestationResult => "attestation/result",
            Self::AssertionOptions => "assertion/options",
            Self::Get => "key: get",
            Self::AssertionResult => "assertion/result",
            Self::Delete => "delete",
        }
    }
}

/// Why something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// There is no connection.
    Unreachable,
    /// The connection ended before the answer did.
    Broken,
    Timeout,
    /// A status of 500 and more.
    ServerError,
    /// `"status": "failed"`, or another status than 2xx with the interface's JSON.
    Refused,
    /// An answer that is not the interface's JSON.
    Foreign,
    /// The browser cannot read the options.
    Options,
    /// The browser or the key refuses the options.
    Key,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::ServerError => "server-error",
            Self::Refused => "refused",
            Self::Foreign => "not-the-interface",
            Self::Options => "options",
            Self::Key => "key",
        }
    }

    /// Whether the connection cannot be used any longer.
    pub const fn ends_connection(self) -> bool {
        matches!(self, Self::Unreachable | Self::Broken | Self::Timeout)
    }
}

/// A failure of a client.
pub struct Failure {
    pub step: Step,
    pub kind: Kind,
    /// The HTTP status, if there was one.
    pub http: Option<u16>,
    pub why: String,
}

impl Failure {
    pub const fn new(step: Step, kind: Kind, why: String) -> Self {
        Self { step, kind, http: None, why }
    }
}

/// Counts that all clients share.
#[derive(Default)]
pub struct Tally(Mutex<Counts>);

impl Tally {
    pub fn lock(&self) -> MutexGuard<'_, Counts> {
        super::unpoisoned(&self.0)
    }
}

/// The counts.
pub struct Counts {
    pub registrations: u64,
    pub sign_ins: u64,
    pub deletions: u64,
    /// Credentials of registrations that have failed, which clients have removed from their keys.
    pub cleared: u64,
    /// Clients that were stopped.
    pub unfinished: u64,
    /// Whether the server deletes keys, as far as it is known.
    pub deletes: bool,
    latencies: BTreeMap<Step, Histogram<u64>>,
    /// How often, and the first one.
    failures: BTreeMap<(Kind, Step), (u64, String)>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            registrations: 0,
            sign_ins: 0,
            deletions: 0,
            cleared: 0,
            unfinished: 0,
            deletes: true,
            latencies: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }
}

impl Counts {
    /// A step has succeeded in this time.
    #[allow(clippy::expect_used)] // the bounds are constant
    pub fn took(&mut self, step: Step, duration: Duration) {
        let histogram = self
            .latencies
            .entry(step)
            .or_insert_with(|| Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are valid"));
        histogram.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    pub fn failed(&mut self, failure: Failure) {
        let (count, _) = self.failures.entry((failure.kind, failure.step)).or_insert((0, failure.why));
        *count += 1;
    }

    /// Errors of all kinds.
    pub fn errors(&self) -> u64 {
        self.failures.values().map(|(count, _)| count).sum()
    }

    /// Ceremonies that have succeeded, and deletions.
    pub const fn done(&self) -> u64 {
        self.registrations + self.sign_ins + self.deletions
    }
}

/// Why it has ended.
#[derive(Clone, Copy)]
pub enum End {
    /// All clients have done all rounds.
    Complete,
    /// The time of `--duration` is over.
    Duration,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Duration => "duration",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The memory of this process, where the system tells it.
pub struct Memory {
    /// What making the keys has added, by their number.
    pub bytes_per_key: Option<u64>,
    /// The most that the process has had.
    pub peak_kilobytes: Option<u64>,
}

/// All that is reported.
pub struct Report<'a> {
    pub plan: &'a Plan,
    pub clients: u32,
    pub elapsed: Duration,
    pub end: End,
    pub memory: Memory,
}

impl Report<'_> {
    /// The report as one JSON object.
    pub fn json(&self) -> Value {
        let counts = self.plan.tally.lock();
        let latencies: serde_json::Map<String, Value> =
            counts.latencies.iter().map(|(step, times)| (step.name().to_owned(), latency(times))).collect();
        let errors: Vec<Value> = counts
            .failures
            .iter()
            .map(|((kind, step), (count, example))| {
                json!({ "kind": kind.name(), "step": step.name(), "count": count, "example": example })
            })
            .collect();
        json!({
            "server": self.plan.target.to_string(),
            "origin": self.plan.origin,
            "clients": self.clients,
            "pattern": self.plan.pattern.to_string(),
            "discoverable": self.plan.discoverable,
            "seed": self.plan.seed,
            "end": self.end.name(),
            "seconds": self.elapsed.as_secs_f64(),
            "registrations": counts.registrations,
            "signIns": counts.sign_ins,
            "deletions": counts.deletions,
            "removedFromKeys": counts.cleared,
            "unfinishedClients": counts.unfinished,
            "errors": counts.errors(),
            "errorsByKind": errors,
            "latencies": latencies,
            "bytesPerKey": self.memory.bytes_per_key,
            "peakKilobytes": self.memory.peak_kilobytes,
        })
    }
}

/// The times of a step, in milliseconds.
fn latency(times: &Histogram<u64>) -> Value {
    let mut latency = json!({ "count": times.len(), "mean": times.mean() / 1000.0 });
    for (name, quantile) in QUANTILES {
        latency[name] = milliseconds(times.value_at_quantile(quantile)).into();
    }
    let buckets = times.iter_log(BUCKET, 2.0).filter(|bucket| bucket.count_since_last_iteration() > 0);
    let buckets = buckets.map(|bucket| {
        json!({ "below": milliseconds(bucket.value_iterated_to() + 1), "count": bucket.count_since_last_iteration() })
    });
    latency["histogram"] = buckets.collect();
    latency
}

#[allow(clippy::cast_precision_loss)] // a day has fewer microseconds than an f64 has integers
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.plan.tally.lock();
        let seconds = self.elapsed.as_secs_f64();
        let plan = self.plan;
        writeln!(f, "{} clients at {}, pattern {}, seed {}", self.clients, plan.target, plan.pattern, plan.seed)?;
        write!(f, "{} registrations, {} sign-ins", counts.registrations, counts.sign_ins)?;
        if plan.pattern == super::Pattern::Churn {
            write!(f, ", {} deletions", counts.deletions)?;
        }
        #[allow(clippy::cast_precision_loss)] // nobody counts so far
        let rate = counts.done() as f64 / seconds.max(f64::MIN_POSITIVE);
        writeln!(f, " in {seconds:.1} s ({rate:.0}/s), {} errors", counts.errors())?;
        if !counts.deletes {
            writeln!(f, "The server has no DELETE /account/credentials/ID: its keys stay.")?;
        }
        if counts.cleared > 0 {
            writeln!(f, "{} credentials of failed registrations were removed from the keys.", counts.cleared)?;
        }
        if counts.unfinished > 0 {
            writeln!(f, "{} clients were not done when it ended.", counts.unfinished)?;
        }
        if let (Some(bytes), Some(peak)) = (self.memory.bytes_per_key, self.memory.peak_kilobytes) {
            writeln!(f, "{bytes} bytes of memory a key, at most {} MB in all", peak / 1000)?;
        }
        if !counts.latencies.is_empty() {
            write!(f, "\n{:<20} {:>9}", "milliseconds", "count")?;
            QUANTILES.iter().try_for_each(|(name, _)| write!(f, " {name:>9}"))?;
        }
        for (step, times) in &counts.latencies {
            write!(f, "\n{:<20} {:>9}", step.name(), times.len())?;
            for (_, quantile) in QUANTILES {
                write!(f, " {:>9.1}", milliseconds(times.value_at_quantile(quantile)))?;
            }
        }
        if !counts.failures.is_empty() {
            write!(f, "\n\n{:<18} {:<20} {:>7}  the first", "errors", "in", "count")?;
        }
        counts.failures.iter().try_for_each(|((kind, step), (count, example))| {
            write!(f, "\n{:<18} {:<20} {count:>7}  {example}", kind.name(), step.name())
        })
    }
}
