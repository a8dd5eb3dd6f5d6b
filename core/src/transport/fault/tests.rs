use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::transport::ReportIo;

/// Returns every report that was written to it.
#[derive(Default)]
struct Echo(VecDeque<Report>);

impl ReportIo for Echo {
    type Error = ();

    fn write(&mut self, report: &Report) -> Result<(), ()> {
        self.0.push_back(*report);
        Ok(())
    }

    fn read(&mut self, _: Duration) -> Result<Option<Report>, ()> {
        Ok(self.0.pop_front())
    }
}

type Outcome = Result<Option<Report>, FaultError<()>>;

/// Writes ten reports to an echo and reads until nothing is left.
fn echoed(faults: Faults<'_>, seed: u64) -> (Vec<Outcome>, FaultCounts) {
    let mut io = FaultInjector::new(Echo::default(), faults, seed);
    let mut outcomes = Vec::new();
    for number in 0..10 {
        outcomes.push(io.write(&[number; 64]).map(|()| None));
        outcomes.push(io.read(Duration::ZERO));
    }
    (0..40).for_each(|_| outcomes.push(io.read(Duration::ZERO)));
    (outcomes, io.counts())
}

fn arrived(outcomes: &[Outcome]) -> Vec<u8> {
    outcomes.iter().filter_map(|outcome| outcome.ok().flatten()).map(|report| report[0]).collect()
}

const ALWAYS: u16 = 1000;
const MANY: Faults<'static> = Faults {
    drop: 100,
    duplicate: 100,
    corrupt: 100,
    delay: 100,
    cut: 5,
    truncate: 100,
    refuse: 100,
    statuses: &[(0x01, Status::PIN_INVALID), (0x02, Status::NOT_ALLOWED)],
};

#[test]
fn without_faults_nothing_changes() {
    for seed in 0..100 {
        let (outcomes, counts) = echoed(Faults::default(), seed);
        assert_eq!(arrived(&outcomes), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(counts, FaultCounts::default());
    }
}

#[test]
fn the_same_seed_has_the_same_faults() {
    let runs: Vec<_> = (0..100).map(|seed| echoed(MANY, seed)).collect();
    for (seed, run) in (0..).zip(&runs) {
        assert_eq!(&echoed(MANY, seed), run);
    }
    assert!(runs.iter().any(|run| run != &runs[0]));
}

#[test]
fn a_dropped_report_does_not_arrive() {
    let (outcomes, counts) = echoed(Faults { drop: ALWAYS, ..Faults::default() }, 1);
    assert!(arrived(&outcomes).is_empty());
    assert_eq!(counts, FaultCounts { dropped: 10, ..FaultCounts::default() });
}

#[test]
fn a_duplicated_report_arrives_twice_in_each_direction() {
    let mut io = FaultInjector::new(Echo::default(), Faults { duplicate: ALWAYS, ..Faults::default() }, 1);
    io.write(&[7; 64]).unwrap();
    let outcomes: Vec<_> = (0..6).map(|_| io.read(Duration::ZERO)).collect();
    assert_eq!(arrived(&outcomes), [7; 4]);
    assert_eq!(io.counts().duplicated, 3);
}

#[test]
fn a_corrupted_report_differs_in_one_bit() {
    let mut io = FaultInjector::new(Echo::default(), Faults { corrupt: ALWAYS, ..Faults::default() }, 1);
    io.write(&[0; 64]).unwrap();
    let written = io.inner().0[0];
    assert_eq!(written.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
}

#[test]
fn a_delayed_report_comes_behind_the_next_or_after_a_wait() {
    let mut io = FaultInjector::new(Echo::default(), Faults { delay: ALWAYS, ..Faults::default() }, 1);
    io.write(&[1; 64]).unwrap();
    assert!(io.inner().0.is_empty());
    io.write(&[2; 64]).unwrap();
    assert_eq!(io.inner().0.iter().map(|report| report[0]).collect::<Vec<_>>(), [2, 1]);
    io.inner().0.clear();

    io.write(&[3; 64]).unwrap();
    assert_eq!(io.read(Duration::ZERO), Ok(None));
    assert_eq!(io.read(Duration::ZERO), Ok(None), "delayed on its way back too");
    assert_eq!(io.read(Duration::ZERO), Ok(Some([3; 64])));
}

#[test]
fn a_cut_cable_fails_until_it_is_mended() {
    let mut io = FaultInjector::new(Echo::default(), Faults { cut: ALWAYS, ..Faults::default() }, 1);
    assert_eq!(io.write(&[1; 64]), Err(FaultError::Cut));
    io.set_faults(Faults::default());
    assert_eq!(io.write(&[1; 64]), Err(FaultError::Cut));
    assert_eq!(io.read(Duration::ZERO), Err(FaultError::Cut));
    io.mend();
    assert_eq!(io.write(&[1; 64]), Ok(()));
    assert_eq!(io.read(Duration::ZERO), Ok(Some([1; 64])));
}

proptest! {
    #[test]
    fn every_fault_is_counted_and_none_makes_reports_up(seed: u64, thousandths in 0..=ALWAYS) {
        let lossless = Faults { delay: thousandths, duplicate: thousandths, ..Faults::default() };
        let (outcomes, counts) = echoed(lossless, seed);
        let mut numbers = arrived(&outcomes);
        prop_assert_eq!(numbers.len() as u32, 10 + counts.duplicated);
        numbers.sort_unstable();
        numbers.dedup();
        prop_assert_eq!(numbers, (0..10).collect::<Vec<u8>>());
    }
}
