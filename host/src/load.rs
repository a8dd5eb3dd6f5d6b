//! `keyfob load`: many virtual keys register and sign in at a server.

use std::{
    convert::Infallible,
    fmt, fs,
    io::{self, Write},
    process::ExitCode,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use keyfob_core::crypto::{Hash, RustCrypto};
use keyfob_soft_authenticator::{engine::Config, store::MemoryStore, testing::TestKey};
use tokio::{
    runtime,
    sync::watch,
    task::JoinSet,
    time::{self, MissedTickBehavior},
};

mod client;
mod http;
mod report;

use client::{Client, Plan};
use http::Target;
use report::{End, Memory, Report, Tally};

/// Every request succeeded.
const ALL: u8 = 0;
/// Some failed.
const SOME: u8 = 3;
/// Nobody has registered, signed in or deleted a key.
const NOTHING: u8 = 4;
/// The longest message of a key of the fleet, in bytes. A key of its own has 7,609; what a server of passkeys asks for is
/// shorter (CTAP 2.3 §6.4: at least 1,024).
const MESSAGE: usize = 1200;
/// Discoverable credentials that a key of the fleet holds. It registers one, and removes those of registrations that have
/// failed.
const CREDENTIALS: usize = 2;
/// Rounds of each client where neither `--rounds` nor `--duration` says when to end.
const ROUNDS: u32 = 10;
/// From as many keys on, the memory of each is told.
const MEASURED: u32 = 1000;
/// Files of the process besides the clients' connections.
const FILES: u64 = 64;

/// What `keyfob load` does.
#[derive(clap::Args)]
pub struct Arguments {
    /// The server, an http URL: below it are attestation/options, attestation/result, assertion/options and
    /// assertion/result, the REST interface of the FIDO conformance tools.
    #[arg(long, value_name = "URL", value_parser = Target::parse)]
    server: Target,
    /// How many clients there are. Each has a key and a connection.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: u32,
    /// Ends after this time.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    duration: Option<u32>,
    /// Ends when each client has done this: with neither this nor --duration, 10.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// What a client does in a round.
    #[arg(long, value_enum, default_value_t = Pattern::SignIn)]
    pattern: Pattern,
    /// Sign in without a name: the credential is discoverable, and the server finds the account by it.
    #[arg(long)]
    discoverable: bool,
    /// The clients begin one after another during this time, instead of all at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    ramp: u32,
    /// A request fails when it is not answered in this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: u32,
    /// The origin of the page. By default that of the URL, with localhost for an address of this machine.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The relying party, for a server that has several: the member rpId of each request for options.
    #[arg(long, value_name = "RP_ID")]
    rp_id: Option<String>,
    /// The keys and the accounts' names follow from this number. A server that keeps accounts needs another one each
    /// time. By default it is random, and the report says it.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Reports in one JSON object.
    #[arg(long)]
    json: bool,
    /// No progress on the standard error output.
    #[arg(long, short)]
    quiet: bool,
}

/// What a client does in a round.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Pattern {
    /// Signs in. It has registered before the first round.
    SignIn,
    /// Registers a new key for a new account, signs in, and deletes the key from the server, where the server can
    /// (`DELETE /account/credentials/ID`, as keyfob-rp has it).
    Churn,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignIn => "sign-in",
            Self::Churn => "churn",
        })
    }
}

/// Loads the server and reports.
///
/// # Errors
/// What the user has to know, in a line: the load could not begin.
pub fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Keys compute on as many threads as there are cores, beside those that wait for the server.
    let runtime = runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(cores.max(2)).build();
    let runtime = runtime.map_err(|error| format!("cannot start threads: {error}"))?;
    let code = runtime.block_on(load(arguments))?;
    runtime.shutdown_background();
    Ok(code)
}

async fn load(arguments: Arguments) -> Result<ExitCode, String> {
    let (clients, duration, is_quiet) = (arguments.clients, arguments.duration, arguments.quiet);
    let (ramp, is_json) = (Duration::from_secs(arguments.ramp.into()), arguments.json);
    raise_file_limit(clients);
    let plan = Arc::new(plan(arguments).await?);
    let (keys, bytes_per_key) = keys(plan.seed, clients)?;

    let (stop, stopped) = watch::channel(false);
    let start = Instant::now();
    let mut working = begin(&plan, keys, ramp, &stopped);
    let end = tokio::select! {
        () = async { while working.join_next().await.is_some() {} } => End::Complete,
        () = over(duration) => End::Duration,
        () = interrupted() => End::Interrupted,
        never = progress(&plan, start, is_quiet) => match never {},
    };
    let elapsed = start.elapsed();
    let _ = stop.send(true); // without receivers all are done
    while working.join_next().await.is_some() {}

    let memory = Memory { bytes_per_key, peak_kilobytes: status("VmHWM:") };
    let report = Report { plan: &plan, clients, elapsed, end, memory };
    if is_json {
        crate::say(format_args!("{}", report.json()))
    } else {
        crate::say(format_args!("{report}"))
    }
    let tally = plan.tally.lock();
    Ok(ExitCode::from(match (tally.errors(), tally.done()) {
        (0, _) => ALL,
        (_, 0) => NOTHING,
        _ => SOME,
    }))
}

async fn plan(arguments: Arguments) -> Result<Plan, String> {
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => getrandom::u64().map_err(|error| format!("the system's random source failed: {error}"))?,
    };
    let mut target = arguments.server;
    target.resolve().await;
    Ok(Plan {
        origin: arguments.origin.unwrap_or_else(|| target.origin()),
        target,
        seed,
        pattern: arguments.pattern,
        discoverable: arguments.discoverable,
        rp_id: arguments.rp_id,
        rounds: arguments.rounds.or(arguments.duration.is_none().then_some(ROUNDS)),
        is_timed: arguments.duration.is_some(),
        timeout: Duration::from_secs(arguments.timeout.into()),
        tally: Tally::default(),
    })
}

/// Lets all clients begin, one after another during `ramp`. They end when they are done, or when it is `stopped`.
fn begin(plan: &Arc<Plan>, keys: Vec<TestKey>, ramp: Duration, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut working = JoinSet::new();
    let pause = ramp / u32::try_from(keys.len()).unwrap_or(u32::MAX).max(1);
    for (number, key) in (0..).zip(keys) {
        let (plan, mut stopped) = (plan.clone(), stopped.clone());
        working.spawn(async move {
            let work = async {
                time::sleep(pause * number).await;
                Client::new(&plan, number, key).run().await;
            };
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => plan.tally.lock().unfinished += 1,
                () = work => {}
            }
        });
    }
    working
}

/// The keys of the first round, and the memory of each, in bytes, if there are enough to tell.
///
/// # Errors
/// What the user has to know, in a line.
fn keys(seed: u64, clients: u32) -> Result<(Vec<TestKey>, Option<u64>), String> {
    let mut keys = vec![key(seed, 0, 0)?]; // with it comes what all keys share
    let before = status("VmRSS:");
    for client in 1..clients {
        keys.push(key(seed, client, 0)?);
    }
    let added = status("VmRSS:").zip(before).and_then(|(after, before)| after.checked_sub(before));
    let per_key = added.map(|kilobytes| kilobytes * 1024 / u64::from(clients));
    Ok((keys, per_key.filter(|_| clients >= MEASURED)))
}

/// The key of a client, in this round.
///
/// # Errors
/// What the user has to know, in a line.
fn key(seed: u64, client: u32, round: u32) -> Result<TestKey, String> {
    let hash = RustCrypto.sha256(&[&seed.to_be_bytes(), &client.to_be_bytes(), &round.to_be_bytes()]);
    let [a, b, c, d, e, f, g, h, ..] = hash;
    let config = Config { max_msg_size: MESSAGE, ..TestKey::config() };
    let store = Box::new(MemoryStore::<CREDENTIALS, 0>::new());
    let key = TestKey::with_store(u64::from_be_bytes([a, b, c, d, e, f, g, h]), config, store);
    key.map_err(|error| format!("cannot make a key: {error}"))
}

/// A line a second. It never ends.
async fn progress(plan: &Plan, start: Instant, is_quiet: bool) -> Infallible {
    let mut ticks = time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    let mut before = 0;
    loop {
        ticks.tick().await;
        let tally = plan.tally.lock();
        let (done, errors) = (tally.done(), tally.errors());
        if !is_quiet {
            let (registered, signed_in) = (tally.registrations, tally.sign_ins);
            let seconds = start.elapsed().as_secs();
            let rate = done.saturating_sub(before);
            // Progress that nobody can see is no reason to end.
            let _ = writeln!(
                io::stderr(),
                "{seconds:>4} s  registered {registered}  signed in {signed_in}  ({rate}/s)  errors {errors}"
            );
        }
        before = done;
    }
}

/// Ends with the time of `--duration`, and without one never.
async fn over(duration: Option<u32>) {
    match duration {
        Some(seconds) => time::sleep(Duration::from_secs(seconds.into())).await,
        None => std::future::pending().await,
    }
}

/// Ends with Ctrl-C or SIGTERM.
async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await; // signals cannot be caught
    }
}

/// A file for each connection, as far as the system allows it.
#[cfg(target_os = "linux")]
fn raise_file_limit(clients: u32) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = u64::from(clients) + FILES;
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit { current: Some(maximum.map_or(wanted, |maximum| maximum.min(wanted))), maximum };
    let is_raised = setrlimit(Resource::Nofile, raised).is_ok();
    if let Some(maximum) = maximum.filter(|maximum| *maximum < wanted || !is_raised) {
        crate::warn(format_args!(
            "{clients} clients need {wanted} open files, and the system allows {maximum} (ulimit -Hn)"
        ));
    }
}

#[cfg(not(target_os = "linux"))]
fn raise_file_limit(_: u32) {}

/// A number out of Linux's `/proc/self/status`.
fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a client does not do: panic while it counts.
fn unpoisoned<T>(lock: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
