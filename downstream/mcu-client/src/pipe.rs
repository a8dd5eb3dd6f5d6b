//! The board's USB host as a pipe of reports.

use core::time::Duration;

use keyfob_core::{Instant, transport::ReportIo};

/// The two functions of the board's driver, and its clock.
#[derive(Clone, Copy, Debug)]
pub struct Usb {
    /// Sends a report; false when the key is gone.
    pub send: fn(&[u8; 64]) -> bool,
    /// The report that came in, if one did.
    pub poll: fn() -> Option<[u8; 64]>,
    /// The time.
    pub now: fn() -> Instant,
}

/// The key was pulled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unplugged;

impl ReportIo for Usb {
    type Error = Unplugged;

    fn write(&mut self, report: &[u8; 64]) -> Result<(), Unplugged> {
        if (self.send)(report) { Ok(()) } else { Err(Unplugged) }
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, Unplugged> {
        let start = (self.now)();
        loop {
            let report = (self.poll)();
            if report.is_some() || (self.now)().since(start) >= wait {
                return Ok(report);
            }
        }
    }
}
