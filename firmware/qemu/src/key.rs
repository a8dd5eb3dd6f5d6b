//! The wire between the key and the client: reports in memory.

use core::{cell::Cell, convert::Infallible, time::Duration};

use keyfob_core::{
    Instant,
    transport::{ReportIo, hid::REPORT_LEN},
};
use keyfob_soft_authenticator::{engine::Wait, hid::HidAuthenticator};

use crate::{board::Gauge, platform::Board};

/// The wire to the key, whose user touches it when it waits for that. Waiting makes time pass.
pub struct Wire<'k> {
    /// The key.
    pub key: HidAuthenticator<'k, Board<'k>>,
    /// The time, in milliseconds.
    pub now: &'k Cell<u64>,
    /// What sees how deep the key's stack goes.
    pub gauge: &'k Gauge,
}

impl ReportIo for Wire<'_> {
    type Error = Infallible;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Infallible> {
        let now = Instant::from_millis(self.now.get());
        self.gauge.key(|| self.key.receive(now, report));
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Infallible> {
        for _ in 0..=wait.as_millis() {
            let now = Instant::from_millis(self.now.get());
            let report = self.gauge.key(|| {
                if matches!(self.key.waits_for(), Some(Wait::Touch | Wait::LongTouch)) {
                    self.key.touch(now, true);
                }
                self.key.tick(now);
                self.key.transmit(now)
            });
            if report.is_some() {
                return Ok(report);
            }
            self.now.set(self.now.get().saturating_add(1));
        }
        Ok(None)
    }
}
