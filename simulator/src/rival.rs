//! Another client of the same authenticator, on its own channel, that sends random requests.

use std::collections::VecDeque;

use keyfob_core::{
    Instant,
    transport::hid::{HidCommand, Host, REPORT_LEN},
};

use crate::dice::Dice;

/// The other client.
pub struct Rival {
    /// All reports that it can read: its own and the client's.
    pub inbox: VecDeque<[u8; REPORT_LEN]>,
    host: Host,
    buffer: Vec<u8>,
    next: u64,
    /// The longest pause between two actions, in milliseconds.
    pause: u64,
}

impl Rival {
    /// A client that acts at least every `pause` milliseconds.
    pub fn new(now: u64, pause: u64) -> Self {
        Self { inbox: VecDeque::new(), host: Host::new(), buffer: vec![0; 1024], next: now, pause }
    }

    /// When its next action is due.
    pub fn deadline(&self) -> u64 {
        match self.host.deadline() {
            _ if !self.inbox.is_empty() => 0,
            Some(at) => at.as_millis().min(self.next),
            None => self.next,
        }
    }

    /// Performs the action that is due and returns the report to send, if there is one.
    pub fn turn(&mut self, now: u64, dice: &mut Dice) -> Option<[u8; REPORT_LEN]> {
        let instant = Instant::from_millis(now);
        while let Some(report) = self.inbox.pop_front() {
            self.host.receive(instant, &report, &mut self.buffer);
        }
        self.host.expire(instant);
        if self.next <= now {
            self.next = now + dice.between(1, self.pause);
            if let Some(report) = self.idea(instant, dice) {
                return Some(report);
            }
        }
        self.host.transmit(instant, &self.buffer)
    }

    fn idea(&mut self, now: Instant, dice: &mut Dice) -> Option<[u8; REPORT_LEN]> {
        let (command, len) = match dice.below(12) {
            0 | 1 => {
                self.host.open(now, dice.bytes());
                return None;
            }
            2 => {
                // Noise on a channel that was never allocated.
                let mut report: [u8; REPORT_LEN] = dice.bytes();
                report[0] |= 0x40;
                return Some(report);
            }
            3 => {
                self.host.cancel();
                return None;
            }
            4 => {
                self.buffer[0] = dice.below(4) as u8;
                (HidCommand::LOCK, 1)
            }
            5 => (HidCommand::WINK, 0),
            6 => (HidCommand::PING, dice.below(1025) as usize),
            7 => {
                self.buffer[0] = 0x0B; // authenticatorSelection: takes the next touch
                (HidCommand::CBOR, 1)
            }
            8 => {
                self.buffer.fill_with(|| dice.below(256) as u8);
                self.buffer[0] = dice.pick(&[0x01, 0x02, 0x06, 0x08, 0x0A, 0x40]); // anything but a reset
                (HidCommand::CBOR, dice.between(1, 300) as usize)
            }
            _ => {
                self.buffer[0] = 0x04; // authenticatorGetInfo
                (HidCommand::CBOR, 1)
            }
        };
        // The host refuses while its last transaction is pending; then this action is skipped.
        let _ = self.host.send(now, command, len);
        None
    }
}
