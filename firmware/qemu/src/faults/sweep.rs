//! Cuts the power at every write and every erasure of every errand. Afterwards the store has the state before or after
//! the interrupted commit, and the key can be used.

use core::cell::RefCell;

use keyfob_core::{
    client::Error,
    crypto::{Hash, StubCrypto},
};
use keyfob_soft_authenticator::store::{Blobs, MAX_RECORD, Query, Setting, Store};
use semihosting::println;

use crate::{
    errands::{ERRANDS, Errand, Prepared, Setup, prepare, sign_in},
    flash::{Cut, Medium, Tear},
    key::{Bench, open},
};

const TEARS: [Tear; 5] = [Tear::Before, Tear::After, Tear::Within(1), Tear::Within(2), Tear::Within(3)];
const SETUPS: [Setup; 3] = [Setup::Open, Setup::Pin, Setup::Finger];
/// Commits before the errand: the log in its first pages, and where it has wrapped around.
const CHURNS: [u32; 4] = [0, 600, 640, 680];
/// The most commits that an errand makes.
const COMMITS: usize = 16;
/// A state of a store, all in one hash.
type Digest = [u8; 32];

/// The state of the store on a flash, but for some settings.
///
/// # Errors
/// The store cannot be read.
pub fn digest(flash: &RefCell<Medium>, without: &[Setting]) -> Result<Digest, &'static str> {
    const UNREADABLE: &str = "the store cannot be read";
    let mut store = open(flash)?;
    let (mut digest, mut out) = ([0; 32], [0; MAX_RECORD]);
    for setting in Setting::ALL.iter().filter(|setting| !without.contains(setting)) {
        let len = store.get(*setting, &mut out).map_err(|_| UNREADABLE)?;
        let value = len.map_or(&[][..], |len| &out[..len]);
        digest = StubCrypto.sha256(&[&digest, &[*setting as u8, u8::from(len.is_some())], value]);
    }
    let mut before = None;
    while let Some(found) = store.next(Query::All, before, &mut out).map_err(|_| UNREADABLE)? {
        digest = StubCrypto.sha256(&[&digest, &found.number.to_be_bytes(), &found.rp_id_hash, &out[..found.len]]);
        before = Some(found.number);
    }
    let len = store.large_blobs_len().map_err(|_| UNREADABLE)?;
    for from in (0..len).step_by(out.len()) {
        let part = &mut out[..(len - from).min(MAX_RECORD)];
        store.read_large_blobs(Blobs::Committed, from, part).map_err(|_| UNREADABLE)?;
        digest = StubCrypto.sha256(&[&digest, part]);
    }
    Ok(digest)
}

/// The errand, its key and the states between its commits.
struct Sweep<'s, 'm> {
    bench: &'s mut Bench<'m>,
    /// The flash before the errand.
    before: &'s RefCell<Medium>,
    errand: &'s Errand,
    prepared: &'s Prepared,
    /// The state before the first commit, and after each.
    states: [Digest; COMMITS + 1],
    commits: usize,
    /// Writes and erasures.
    operations: u32,
    erasures: u32,
}

impl Sweep<'_, '_> {
    /// Runs the errand on a copy of the prepared key with the power cut. Returns the errand's result.
    fn run(&mut self, allowed: u32, cut: Option<Cut>) -> Result<Result<(), Error>, &'static str> {
        self.bench.flash.borrow_mut().copy(&self.before.borrow());
        let (flash, run, prepared) = (self.bench.flash, self.errand.run, self.prepared);
        self.bench.plug(allowed, |client| {
            if let Some(cut) = cut {
                flash.borrow_mut().cut(cut);
            }
            run(client, prepared)
        })
    }

    /// Learns the states that the errand goes through, without a power cut.
    fn learn(&mut self) -> Result<(), &'static str> {
        let (before, erased) = (self.bench.flash.borrow().operations, self.bench.flash.borrow().erasures);
        let done = self.run(u32::MAX, None)?;
        self.operations = self.bench.flash.borrow().operations - before;
        self.erasures = self.bench.flash.borrow().erasures - erased;
        self.commits = self.bench.made as usize;
        if done.is_err() != self.errand.fails {
            return Err("without a power cut the errand has another result");
        }
        if self.commits == 0 || self.commits > COMMITS {
            return Err("an errand without commits, or with too many");
        }
        self.states[self.commits] = digest(self.bench.flash, &[])?;
        for made in 0..self.commits {
            // A store that refuses the next commit keeps the state.
            let _ = self.run(made as u32, None)?;
            self.states[made] = digest(self.bench.flash, &[])?;
        }
        Ok(())
    }

    /// Cuts the power at every write and every erasure.
    fn cut_everywhere(&mut self) -> Result<(), &'static str> {
        for operation in 0..self.operations {
            for tear in TEARS {
                self.cut(Cut { operation, tear })?;
            }
        }
        Ok(())
    }

    /// Cuts the power once, and checks what comes up.
    fn cut(&mut self, cut: Cut) -> Result<(), &'static str> {
        let done = self.run(u32::MAX, Some(cut))?;
        if !self.bench.flash.borrow().is_off() {
            return Err("the power did not fail in it");
        }
        self.bench.flash.borrow_mut().power_on();
        let made = self.bench.made as usize;
        let state = digest(self.bench.flash, &[])?;
        if state != self.states[made] && self.states[..=self.commits].get(made + 1) != Some(&state) {
            return Err("neither the old state nor the new one");
        }
        if done.is_ok() && state != self.states[self.commits] {
            return Err("what was acknowledged is not there");
        }
        self.recover(cut, state)
    }

    /// Cuts the power twice more while the key tidies its store up, and signs in.
    fn recover(&mut self, cut: Cut, state: Digest) -> Result<(), &'static str> {
        for again in 0..2 {
            let tear = TEARS[(cut.operation + again) as usize % TEARS.len()];
            self.bench.flash.borrow_mut().cut(Cut { operation: (cut.operation + again) % 4, tear });
            if let Ok(mut store) = open(self.bench.flash) {
                while store.tidy() == Ok(true) {}
            }
            self.bench.flash.borrow_mut().power_on();
        }
        let mut store = open(self.bench.flash)?;
        while store.tidy().map_err(|_| "the store cannot be tidied up")? {}
        drop(store);
        if digest(self.bench.flash, &[])? != state {
            return Err("lost in the recovery");
        }
        let prepared = self.prepared;
        match self.bench.plug(u32::MAX, |client| sign_in(client, prepared))? {
            Err(_) if !self.errand.takes => Err("the credential does not work"),
            _ => Ok(()),
        }
    }
}

/// Sweeps over all errands, and prints how many cuts that were.
///
/// # Errors
/// What was found.
pub fn sweep(bench: &mut Bench<'_>, before: &RefCell<Medium>) -> Result<(), &'static str> {
    let (mut operations, mut erasures) = (0, 0);
    for (setup, churn) in SETUPS.iter().flat_map(|setup| CHURNS.map(|churn| (*setup, churn))) {
        *bench.flash.borrow_mut() = Medium::new();
        let prepared = prepare(bench, setup, churn)?;
        before.borrow_mut().copy(&bench.flash.borrow());
        for errand in ERRANDS.iter().filter(|errand| errand.setup == setup) {
            let states = [[0; 32]; COMMITS + 1];
            let mut sweep =
                Sweep { bench, before, errand, prepared: &prepared, states, commits: 0, operations: 0, erasures: 0 };
            if let Err(why) = sweep.learn().and_then(|()| sweep.cut_everywhere()) {
                println!("{}, after {churn} commits", errand.name);
                return Err(why);
            }
            operations += sweep.operations;
            erasures += sweep.erasures;
        }
    }
    println!("{:30} {:>9}", "errands", ERRANDS.len() * CHURNS.len());
    println!("{:30} {operations:>9}", "writes and erasures");
    println!("{:30} {erasures:>9}", "erasures");
    println!("{:30} {:>9}", "power cuts", operations * TEARS.len() as u32);
    if erasures < 20 { Err("a sweep with too few erasures") } else { Ok(()) }
}
