//! Reports that leave as slowly as from a USB interrupt endpoint.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::link::{QUEUE, Report};

/// A report in each frame of USB at full speed. hidraw keeps 64 reports and drops the rest, so a client that gets them
/// faster than it reads loses some.
const FRAME: Duration = Duration::from_millis(1);

/// A queue of reports.
#[derive(Default)]
pub struct Paced {
    reports: VecDeque<Report>,
    /// When the next one may leave.
    next: Option<Instant>,
}

impl Paced {
    /// Adds a report. When too many wait, the oldest is lost: it is for a client that asks for more than it reads, and what
    /// comes last is for one that still waits.
    pub fn push(&mut self, report: &Report) {
        if self.reports.len() >= QUEUE {
            self.reports.pop_front();
        }
        self.reports.push_back(*report);
    }

    /// Takes the next report, if one may leave now.
    pub fn pop(&mut self, now: Instant) -> Option<Report> {
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        let report = self.reports.pop_front()?;
        self.next = now.checked_add(FRAME);
        Some(report)
    }

    /// When the next report may leave, if there is one.
    pub fn due(&self) -> Option<Instant> {
        if self.reports.is_empty() { None } else { self.next }
    }

    #[cfg(target_os = "linux")]
    pub fn clear(&mut self) {
        self.reports.clear();
    }
}
