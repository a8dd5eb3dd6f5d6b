//! One direction of a pipe of frames, with faults.

use std::collections::{BTreeMap, VecDeque};

use keyfob_core::transport::hid::{Packet, REPORT_LEN};

use crate::{dice::Dice, link::Medium};

/// The probability of each fault per report, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireFaults {
    /// The report is lost.
    pub lose: u64,
    /// Some bits are flipped.
    pub corrupt: u64,
    /// The report comes twice.
    pub double: u64,
    /// The report comes late, and so out of order.
    pub delay: u64,
}

/// The longest delay of a report, in milliseconds.
pub const MAX_DELAY: u64 = 2_000;

impl WireFaults {
    /// A wire without faults.
    pub const NONE: WireFaults = WireFaults { lose: 0, corrupt: 0, double: 0, delay: 0 };
}

/// What happened to a report that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives unchanged.
    Arrives,
    /// It was lost, doubled or delayed.
    Disturbed(&'static str),
    /// A message may arrive that was not sent: bits were flipped, or an older report with the same channel and the same
    /// command or sequence number arrives in place of this one. No checksum detects that.
    Corrupted(&'static str),
}

/// One direction of the pipe.
#[derive(Default)]
pub struct Wire {
    /// Sorted by the time of arrival, in milliseconds.
    under_way: VecDeque<(u64, Vec<u8>)>,
    last: u64,
    medium: Medium,
    /// Whether the frames go to the authenticator.
    up: bool,
    /// All message bytes that were sent on each channel, without the framing.
    seen: BTreeMap<[u8; 4], Vec<u8>>,
}

impl Wire {
    /// A wire without frames.
    pub fn new(medium: Medium, up: bool) -> Self {
        Self { medium, up, ..Self::default() }
    }

    /// Sends a frame at `now`. Only CTAPHID has faults: the links below NFC and Bluetooth detect them.
    pub fn send(&mut self, now: u64, report: &[u8], faults: WireFaults, dice: &mut Dice) -> Fate {
        let channel = if self.medium == Medium::Hid { [report[0], report[1], report[2], report[3]] } else { [0; 4] };
        self.seen.entry(channel).or_default().extend_from_slice(self.medium.body(report, self.up));

        self.last = self.last.max(now + 1);
        if faults == WireFaults::NONE {
            self.put(self.last, report.to_vec());
            return Fate::Arrives;
        }
        let mut report = report.to_vec();
        if dice.per_mille(faults.lose) {
            return self.gap(&report, "lost");
        }
        if dice.per_mille(faults.corrupt) {
            // Mostly bytes at the front, because they have the most effect; and only a few bits, as on a real wire.
            let range = dice.pick(&[7, 16, 64]);
            (0..dice.between(1, 3)).for_each(|_| report[dice.below(range) as usize] ^= 1 << dice.below(8));
            self.put(self.last, report);
            return Fate::Corrupted("flipped");
        }
        if dice.per_mille(faults.double) {
            let again = self.last + dice.pick(&[0, 1, 50, 700]);
            self.put(self.last, report.clone());
            self.put(again, report);
            return Fate::Disturbed("doubled");
        }
        if dice.per_mille(faults.delay) {
            let late = self.last + dice.pick(&[2, 5, 100, 600, MAX_DELAY]);
            let fate = self.gap(&report, "delayed");
            self.put(late, report);
            return fate;
        }
        self.put(self.last, report);
        Fate::Arrives
    }

    /// The next report that has arrived by `now`.
    pub fn receive(&mut self, now: u64) -> Option<Vec<u8>> {
        if self.next()? > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, report)| report)
    }

    /// When the next report arrives.
    pub fn next(&self) -> Option<u64> {
        self.under_way.front().map(|(at, _)| *at)
    }

    /// Drops all reports in the pipe, because the plug is pulled.
    pub fn unplug(&mut self) {
        self.under_way.clear();
    }

    /// The message bytes that were sent, by channel.
    pub fn seen(&self) -> impl Iterator<Item = &[u8]> {
        self.seen.values().map(Vec::as_slice)
    }

    /// The fate of a report that does not arrive in time: whether another report with the same channel and the same
    /// command or sequence number can take its place.
    fn gap(&self, report: &[u8], how: &'static str) -> Fate {
        let replaced = self.under_way.iter().any(|(_, other)| other[..5] == report[..5]);
        if replaced { Fate::Corrupted(how) } else { Fate::Disturbed(how) }
    }

    fn put(&mut self, at: u64, report: Vec<u8>) {
        let place = self.under_way.partition_point(|(other, _)| *other <= at);
        self.under_way.insert(place, (at, report));
    }
}

/// A report for the log: its channel, its command or sequence number, and its first bytes.
pub fn describe(report: &[u8; REPORT_LEN]) -> String {
    let hex = |data: &[u8]| data.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>();
    match Packet::parse(report) {
        Packet::Initialization { channel, command, len, data } => {
            format!("{channel:08x} {command:?} {len} bytes {}", hex(data))
        }
        Packet::Continuation { channel, sequence, data } => format!("{channel:08x} #{sequence} {}", hex(data)),
    }
}
