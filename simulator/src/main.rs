//! Runs worlds: `keyfob-simulator --worlds 1000000 [--seed N] [--over hid|nfc|nfc-extended|ble] [--trace] [--jobs 2]`.
//!
//! The worlds have the seeds N, N + 1, and so on. The first world that fails is printed with the command that replays
//! it.
//!
//! `cargo run --profile simulate -p keyfob-simulator` is as fast as a release build, and has debug assertions on.

use std::{
    panic,
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use keyfob_simulator::{Summary, WorldFailure, WorldOptions, link::Medium, run};

const USAGE: &str = "usage: keyfob-simulator [--worlds N] [--seed N] [--over hid|nfc|nfc-extended|ble] [--trace] [--jobs N] \
                     [--keep-going]";

/// The transports by name. Bluetooth has fragments of a length that is usual on phones.
const MEDIA: [(&str, Medium); 4] =
    [("hid", Medium::Hid), ("nfc", Medium::Nfc), ("nfc-extended", Medium::NfcExtended), ("ble", Medium::Ble(182))];

struct Arguments {
    worlds: u64,
    seed: u64,
    jobs: u64,
    medium: Medium,
    trace: bool,
    keep_going: bool,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    panic::set_hook(Box::new(|_| {})); // a world's panic is reported with its seed
    let begun = Instant::now();
    let (done, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let mut total = Summary::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.jobs)
            .map(|job| {
                let (arguments, done, failed, stop) = (&arguments, &done, &failed, &stop);
                scope.spawn(move || work(arguments, job, done, failed, stop))
            })
            .collect();
        let mut reported = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(50));
            if reported.elapsed() >= Duration::from_secs(10) {
                reported = Instant::now();
                progress(done.load(Ordering::Relaxed), arguments.worlds, begun);
            }
        }
        for summary in workers.into_iter().filter_map(|worker| worker.join().ok()) {
            add(&mut total, &summary);
        }
    });
    let (done, failed) = (done.into_inner(), failed.into_inner());
    progress(done, arguments.worlds, begun);
    println!(
        "{done} worlds, {failed} failed: {} ceremonies, {} verified, {} of them owed; {} power cuts, {} reports \
         disturbed, {} simulated hours",
        total.ceremonies,
        total.successes,
        total.owed,
        total.cuts,
        total.disturbed,
        total.millis / 3_600_000
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(arguments: &Arguments, job: u64, done: &AtomicU64, failed: &AtomicU64, stop: &AtomicBool) -> Summary {
    let mut total = Summary::default();
    let options = WorldOptions { medium: arguments.medium, trace: arguments.trace, ..WorldOptions::default() };
    for world in (job..arguments.worlds).step_by(arguments.jobs as usize) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let seed = arguments.seed.wrapping_add(world);
        match attempt(seed, options) {
            Ok(summary) => {
                if arguments.worlds == 1 {
                    summary.log.iter().for_each(|line| println!("{line}"));
                }
                add(&mut total, &summary);
            }
            Err(failure) => {
                failed.fetch_add(1, Ordering::Relaxed);
                stop.store(!arguments.keep_going, Ordering::Relaxed);
                println!("seed {seed}: {failure}");
                let over = MEDIA.iter().find(|(_, medium)| *medium == arguments.medium).map_or("hid", |(name, _)| name);
                println!(
                    "  replay: cargo run --profile simulate -p keyfob-simulator -- --worlds 1 --seed {seed} --over \
                     {over} --trace"
                );
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    total
}

fn attempt(seed: u64, options: WorldOptions) -> Result<Summary, WorldFailure> {
    panic::catch_unwind(|| run(seed, options)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("without a message");
        Err(WorldFailure { what: format!("panic: {text}"), log: Vec::new() })
    })
}

fn add(total: &mut Summary, summary: &Summary) {
    total.ceremonies += summary.ceremonies;
    total.successes += summary.successes;
    total.owed += summary.owed;
    total.cuts += summary.cuts;
    total.disturbed += summary.disturbed;
    total.millis += summary.millis;
}

fn progress(done: u64, worlds: u64, begun: Instant) {
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    println!("{done} of {worlds} worlds, {rate:.0} worlds/s");
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments =
        Arguments { worlds: 10_000, seed: 0, jobs: 1, medium: Medium::Hid, trace: false, keep_going: false };
    while let Some(word) = words.next() {
        if word == "--over" {
            let name = words.next()?;
            arguments.medium = MEDIA.iter().find(|(other, _)| *other == name)?.1;
            continue;
        }
        let mut number = || words.next()?.parse().ok();
        match word.as_str() {
            "--worlds" => arguments.worlds = number()?,
            "--seed" => arguments.seed = number()?,
            "--jobs" => arguments.jobs = number().filter(|jobs| *jobs > 0)?,
            "--trace" => arguments.trace = true,
            "--keep-going" => arguments.keep_going = true,
            _ => return None,
        }
    }
    Some(arguments)
}
