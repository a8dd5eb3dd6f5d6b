//! Commands with a file store and with a flash log, with few credentials and with many: prints the tables of
//! docs/store.md.
//!
//! ```console
//! $ cargo run --release -p keyfob-benches --bin store -- FOLDER [MOST]
//! ```
//!
//! The files are made in FOLDER, so FOLDER decides which filesystem is measured. They need up to 2 GB for a million
//! credentials. MOST is the largest number of credentials that is measured.
#![allow(clippy::disallowed_methods)]

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use keyfob_benches::scale::{Cost, Whose, commands, fill};
use keyfob_core::crypto::RustCrypto;
use keyfob_soft_authenticator::store::{Change, FileStore, FlashStore, Setting, Store, flash::SimulatedFlash};

/// How often each command is run.
const RUNS: usize = 21;
/// How often a command is run that takes long.
const FEW: usize = 5;

/// A column of a table.
struct Column {
    credentials: u32,
    whose: Whose,
    costs: Vec<Cost>,
}

/// Milliseconds with the significant digits.
fn shown(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match millis {
        100.0.. => format!("{millis:.0}"),
        1.0.. => format!("{millis:.1}"),
        _ => format!("{millis:.3}"),
    }
}

fn table(columns: &[Column]) {
    let of = |whose| if whose == Whose::Mine { "one party" } else { "others" };
    let heads: Vec<_> = columns.iter().map(|column| format!("{}, {}", column.credentials, of(column.whose))).collect();
    println!("| | {} |", heads.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len()));
    for (row, cost) in columns[0].costs.iter().enumerate() {
        let cells = columns.iter().map(|column| {
            let Cost { whole, longest_step, .. } = column.costs[row];
            format!("{} ({})", shown(whole), shown(longest_step))
        });
        println!("| {} | {} |", cost.name, cells.collect::<Vec<_>>().join(" | "));
    }
    println!();
}

/// The fastest of some runs. Slower runs were interrupted by other work of the machine.
fn fastest(times: usize, mut run: impl FnMut()) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..times).map(timed).min().unwrap_or_default()
}

fn file(path: &Path, whose: Whose, sizes: &[u32], columns: &mut Vec<Column>) {
    let _ = fs::remove_file(path);
    for credentials in sizes {
        let mut store = FileStore::open(path).expect("a store");
        let start = Instant::now();
        // There is room for the credentials that are registered.
        fill(&mut store, whose, (*credentials).min(FileStore::MAX_CREDENTIALS - 100), u32::MAX);
        let filled = start.elapsed();
        drop(store);
        let opened = fastest(FEW, || drop(FileStore::open(path).expect("a store")));
        let mut store = FileStore::open(path).expect("a store");
        let set = fastest(RUNS, || store.commit(&[Change::Set(Setting::SignCount, &[0; 4])]).expect("a store"));
        let len = fs::metadata(path).expect("a file").len();
        println!(
            "{credentials} of {whose:?}: filled in {filled:.1?}, opened in {} ms, a setting in {} ms, {:.1} MB",
            shown(opened),
            shown(set),
            len as f64 / 1e6
        );
        columns.push(Column { credentials: *credentials, whose, costs: commands(Box::new(store), RUNS) });
        // The registered user is the next size's first.
        let _ = fs::remove_file(path);
    }
}

/// nRF52: pages of 4096 bytes, words of 4.
fn flash(whose: Whose, sizes: &[u32], columns: &mut Vec<Column>) {
    for credentials in sizes {
        let flash = SimulatedFlash::<4096, 4>::new(8 + *credentials as usize / 7);
        let mut store = FlashStore::<_, _, 1100, 4>::new(flash, RustCrypto, &[0x5E; 32]).expect("a store");
        fill(&mut store, whose, *credentials, 1);
        let flash = store.into_flash();
        let mounted = fastest(FEW, || {
            drop(FlashStore::<_, _, 1100, 4>::new(flash.clone(), RustCrypto, &[0x5E; 32]).expect("a store"));
        });
        println!("{credentials} of {whose:?}: mounted in {} ms", shown(mounted));
        let store = FlashStore::<_, _, 1100, 4>::new(flash, RustCrypto, &[0x5E; 32]).expect("a store");
        columns.push(Column { credentials: *credentials, whose, costs: commands(Box::new(store), RUNS) });
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let folder = arguments.first().expect("a folder for the files");
    let most: u32 = arguments.get(1).map_or(u32::MAX, |most| most.parse().expect("a number"));
    let path = Path::new(folder).join("scale.keyfob");
    let up_to = |sizes: &[u32]| sizes.iter().copied().filter(|size| *size <= most).collect::<Vec<_>>();
    let mut columns = Vec::new();
    flash(Whose::Mine, &up_to(&[10, 100, 1000]), &mut columns);
    flash(Whose::Others, &up_to(&[10, 100, 1000]), &mut columns);
    println!("\nFlash log:\n");
    table(&columns);
    columns.clear();
    file(&path, Whose::Mine, &up_to(&[10, 1000, 100_000]), &mut columns);
    file(&path, Whose::Others, &up_to(&[10, 1000, 100_000, 1_000_000]), &mut columns);
    println!("\nFile store:\n");
    table(&columns);
}
