//! Keys for programs on tokio.

use std::{
    fs::File,
    io::{self, ErrorKind},
    time::Duration,
};

use keyfob_core::{
    Instant, bytes,
    transport::{
        AsyncReportIo,
        hid::{AsyncHidTransport, REPORT_LEN},
    },
};
use tokio::{
    net::unix::pipe::{Receiver, Sender},
    task, time,
};

use crate::{Address, OpenError, nonce, now};

/// A key that is open, as an [`AsyncTransport`](keyfob_core::transport::AsyncTransport) for tokio.
pub type AsyncKey = AsyncHidTransport<AsyncConnection, fn() -> Instant>;

/// [`open`](crate::open) for tokio. Its channel of CTAPHID is opened by the first request.
///
/// # Errors
/// Why there is no key, or why it cannot be opened.
pub async fn open_async(address: &Address) -> Result<AsyncKey, OpenError> {
    let failed = |error| address.failed(error);
    let connection = AsyncConnection::open(address).await?;
    Ok(AsyncHidTransport::new(connection, now, nonce().map_err(failed)?))
}

/// A key that is open, as a pipe of reports for tokio.
#[derive(Debug)]
pub struct AsyncConnection {
    from_key: Receiver,
    to_key: Sender,
    is_device: bool,
    /// What has come of a report, and how many bytes.
    incoming: ([u8; REPORT_LEN], usize),
    /// What has not gone yet of a report whose `write` was dropped. A device takes reports whole.
    outgoing: Vec<u8>,
}

impl AsyncConnection {
    /// Connects with the key. A socket takes 5 s at the longest.
    ///
    /// # Errors
    /// Why there is no key, or why it cannot be opened.
    pub async fn open(address: &Address) -> Result<Self, OpenError> {
        let failed = |error| address.failed(error);
        let place = address.clone();
        // Connecting and looking at a device are calls that wait.
        let opened = task::spawn_blocking(move || place.descriptor()).await.map_err(io::Error::other);
        let (descriptor, is_device) = opened.map_err(failed)??;
        let key = File::from(descriptor);
        // Sockets and devices are no pipes. All that is asked of them is that they can be polled, read and written.
        let to_key = key.try_clone().and_then(Sender::from_file_unchecked).map_err(failed)?;
        let from_key = Receiver::from_file_unchecked(key).map_err(failed)?;
        Ok(Self { from_key, to_key, is_device, incoming: ([0; REPORT_LEN], 0), outgoing: Vec::new() })
    }

    async fn send(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            self.to_key.writable().await?;
            match self.to_key.try_write(&self.outgoing) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> io::Result<[u8; REPORT_LEN]> {
        loop {
            let (report, len) = &mut self.incoming;
            let rest = bytes::rest_mut(report, *len);
            self.from_key.readable().await?;
            match self.from_key.try_read(rest) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => *len = len.saturating_add(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            if *len == REPORT_LEN {
                *len = 0;
                return Ok(*report);
            }
            if self.is_device {
                *len = 0; // not a report of a security key
            }
        }
    }
}

impl AsyncReportIo for AsyncConnection {
    type Error = io::Error;

    async fn write(&mut self, report: &[u8; REPORT_LEN]) -> io::Result<()> {
        self.send().await?;
        // A device wants the report id first, 0 where there is only one report.
        self.outgoing.extend(self.is_device.then_some(0));
        self.outgoing.extend(report);
        self.send().await
    }

    async fn read(&mut self, wait: Duration) -> io::Result<Option<[u8; REPORT_LEN]>> {
        time::timeout(wait, self.receive()).await.map_or(Ok(None), |report| report.map(Some))
    }
}
