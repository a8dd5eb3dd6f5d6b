//! What is due now: at the plug, at the authenticator, at the rival.

use keyfob_core::Instant;
use keyfob_soft_authenticator::engine::Wait;

use super::World;
use crate::{
    Mutation,
    adversary::Adversary,
    link::{self, Medium},
    tap::Backend,
    wire::Fate,
};

impl<C: Backend> World<'_, C> {
    /// Does everything that is due now, once. Returns whether anything was.
    pub(super) fn turn(&mut self) -> bool {
        self.turns += 1;
        if self.cut_at.is_some_and(|at| at <= self.now) || self.cut_after == Some(0) {
            self.power_cycle();
            return true;
        }
        let device = self.device_turn();
        self.rival_turn() || device
    }

    fn device_turn(&mut self) -> bool {
        if self.processor_free > self.now || self.mutation == Some(Mutation::NeverEnds) {
            return false;
        }
        let now = self.instant();
        if !self.asks_user() {
            self.touch_due = None;
        }
        let mut busy = true;
        if self.is_struck(now) {
            self.device_sends(now);
            return true;
        }
        if let Some(report) = self.up.receive(self.now) {
            self.device.receive(now, &report);
        } else {
            match self.device.waits_for() {
                Some(Wait::Processing) => {
                    self.device.tick(now);
                    self.processor_free = self.now + self.atom;
                    self.cut_after = self.cut_after.map(|left| left.saturating_sub(1));
                    self.adversary.iter_mut().for_each(Adversary::count);
                }
                _ if self.asks_user() => busy = self.user_turn(now),
                // An idle device tidies its store.
                _ => {
                    busy = false;
                    self.device.tick(now);
                }
            }
        }
        self.device_sends(now) || busy
    }

    /// Sends the authenticator's reports that are ready. Returns whether there were any.
    fn device_sends(&mut self, now: Instant) -> bool {
        let mut busy = false;
        while let Some(report) = self.device.transmit(now) {
            busy = true;
            let medium = self.medium;
            self.note(|| format!("device  -> {}", medium.describe(&report)));
            if let Some(rival) = &mut self.rival {
                rival.inbox.push_back(*link::report(&report));
            }
            let fate = self.down.send(self.now, &report, self.faults, &mut self.dice);
            self.suffer(fate);
        }
        busy
    }

    fn rival_turn(&mut self) -> bool {
        let Some(mut rival) = self.rival.take() else { return false };
        let report = rival.turn(self.now, &mut self.dice);
        let busy = report.is_some();
        if let Some(report) = report {
            let medium = self.medium;
            self.note(|| format!("rival   -> {}", medium.describe(&report)));
            let fate = self.up.send(self.now, &report, self.faults, &mut self.dice);
            self.suffer(fate);
        }
        self.rival = Some(rival);
        busy
    }

    pub(super) fn send_up(&mut self, report: &[u8]) {
        if self.medium == Medium::Hid && !report.starts_with(&[0xFF; 4]) {
            self.channel = [report[0], report[1], report[2], report[3]];
        }
        let medium = self.medium;
        self.note(|| format!("client  -> {}", medium.describe(report)));
        let fate = self.up.send(self.now, report, self.faults, &mut self.dice);
        self.suffer(fate);
    }

    fn suffer(&mut self, fate: Fate) {
        match fate {
            Fate::Arrives => {}
            Fate::Disturbed(how) => {
                self.disturbed += 1;
                self.note(|| format!("        .. {how}"));
            }
            Fate::Corrupted(how) => {
                self.disturbed += 1;
                self.corrupted += 1;
                self.note(|| format!("        .. {how}, corrupted"));
            }
        }
    }
}
