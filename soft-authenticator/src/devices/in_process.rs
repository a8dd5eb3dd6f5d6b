//! A virtual key in the same process, as a pipe of reports.

use std::{
    convert::Infallible,
    thread,
    time::{Duration, Instant},
};

use keyfob_core::transport::{ReportIo, hid::REPORT_LEN};

use super::VirtualKey;

/// A virtual key as the pipe of reports of a [`keyfob_core::transport::hid::HidTransport`].
///
/// ```
/// use keyfob_core::{Instant, transport::hid::HidTransport};
/// use keyfob_soft_authenticator::devices::{InProcess, KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey};
/// use keyfob_soft_authenticator::engine::Config;
///
/// let config = Config::new(VIRTUAL_KEY_AAGUID);
/// let mut memory = vec![0; config.buffer_len()];
/// let key = VirtualKey::new(&mut memory, KeyOptions::new(config))?;
/// let mut transport = HidTransport::new(InProcess(key), Instant::default, *b"a nonce!");
/// let mut message = *b"hello, key";
/// assert_eq!(transport.ping(&mut message, 10), Ok(10));
/// # Ok::<(), keyfob_soft_authenticator::devices::KeyError>(())
/// ```
pub struct InProcess<'b>(pub VirtualKey<'b>);

impl ReportIo for InProcess<'_> {
    type Error = Infallible;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Infallible> {
        self.0.receive(report);
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Infallible> {
        let start = Instant::now();
        loop {
            if let Some(report) = self.0.transmit() {
                return Ok(Some(report));
            }
            let pause = self.0.work();
            // The work also takes time, and may take longer than `wait`.
            let left = wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(self.0.transmit());
            }
            thread::sleep(pause.unwrap_or(left).min(left));
        }
    }
}
