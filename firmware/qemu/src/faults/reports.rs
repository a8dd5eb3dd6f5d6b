//! Sends a key reports that no client would send: those of real errands in the wrong order, twice, cut short or with
//! other bytes, and random ones. The user touches nothing. Afterwards the key has what it had before, and works.

use core::cell::RefCell;

use keyfob_core::{Instant, transport::hid::REPORT_LEN};
use keyfob_soft_authenticator::store::Setting;
use rand_core::{Rng, UnwrapErr};
use semihosting::println;

use crate::{
    counting::Counting,
    errands::{ERRANDS, Setup, prepare, sign_in},
    flash::Medium,
    key::{Bench, Wire},
    sweep::digest,
};

/// How many reports are sent in all.
const REPORTS: u32 = 1_000_000;
/// What changes without a touch: attempts, and counts of silent sign-ins.
const COUNTED: &[Setting] = &[Setting::PinRetries, Setting::UvRetries, Setting::SignCount];

/// Reports that a client has sent, one after the other.
pub struct Tape {
    reports: [[u8; REPORT_LEN]; 192],
    len: usize,
}

impl Tape {
    /// Without a report.
    pub const fn new() -> Self {
        Self { reports: [[0; REPORT_LEN]; 192], len: 0 }
    }

    /// Keeps a report, if there is room.
    pub fn keep(&mut self, report: &[u8; REPORT_LEN]) {
        if let Some(free) = self.reports.get_mut(self.len) {
            *free = *report;
            self.len += 1;
        }
    }

    /// What is sent after the report at `at`: mostly the next one, as it is or changed.
    fn next(&self, at: &mut usize, rng: &mut impl Rng) -> [u8; REPORT_LEN] {
        let dice = rng.next_u32();
        *at = if dice.is_multiple_of(8) { dice as usize >> 8 } else { *at + 1 } % self.len.max(1);
        let mut report = self.reports[*at];
        let changes = match dice >> 3 & 15 {
            0 => REPORT_LEN as u32,
            1..4 => dice >> 7 & 3,
            _ => 0,
        };
        for _ in 0..changes {
            let change = rng.next_u32();
            report[change as usize % REPORT_LEN] = (change >> 16) as u8;
        }
        report
    }
}

/// Sends a report, and takes the answers. Time passes: mostly little, seldom so much that a message is given up.
fn send_one(wire: &mut Wire<'_>, report: &[u8; REPORT_LEN], now: &mut Instant, dice: u32) -> u32 {
    *now = now.plus_millis(if dice.is_multiple_of(512) { 700 } else { (dice >> 16 & 3).into() });
    wire.key.receive(*now, report);
    let mut answers = 0;
    for _ in 0..4 {
        wire.key.tick(*now);
        while wire.key.transmit(*now).is_some() {
            answers += 1;
        }
    }
    answers
}

/// Sends the reports. Prints how many there were, and how many answers.
///
/// # Errors
/// What the key has lost.
pub fn send(bench: &mut Bench<'_>, before: &RefCell<Medium>) -> Result<(), &'static str> {
    *bench.flash.borrow_mut() = Medium::new();
    let prepared = prepare(bench, Setup::Pin, 0)?;
    before.borrow_mut().copy(&bench.flash.borrow());
    bench.tape.replace(Tape::new());
    for errand in ERRANDS.iter().filter(|errand| errand.setup == Setup::Pin) {
        let _ = bench.plug(u32::MAX, |client| (errand.run)(client, &prepared))?;
        bench.flash.borrow_mut().copy(&before.borrow());
    }
    let state = digest(bench.flash, COUNTED)?;
    // With the random numbers of the tape, the key would take its reports for those of a client that it has authorized.
    bench.seed = 2;
    let tape = bench.tape;
    let answers = bench.plug(u32::MAX, |client| {
        let tape = tape.borrow();
        let mut rng = UnwrapErr(Counting(7));
        let (mut now, mut at, mut answers) = (Instant::default(), 0, 0);
        for _ in 0..REPORTS {
            let report = tape.next(&mut at, &mut rng);
            answers += send_one(client.wire(), &report, &mut now, rng.next_u32());
        }
        answers
    })?;
    let kept = tape.borrow().len;
    println!("{:30} {kept:>9}", "reports of a client");
    println!("{:30} {REPORTS:>9}", "random reports");
    println!("{:30} {answers:>9}", "answers to them");
    if digest(bench.flash, COUNTED)? != state {
        return Err("random reports have changed the key");
    }
    let works = bench.plug(u32::MAX, |client| sign_in(client, &prepared))?;
    works.map_err(|_| "the key does not work after random reports")
}
