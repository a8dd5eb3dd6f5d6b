//! [`FaultInjector`] as a transport and as a pipe of reports. The blocking and the async code differ only in the
//! awaits.

use core::time::Duration;

use super::{FaultError, FaultInjector, Report};
use crate::transport::{AsyncReportIo, AsyncTransport, Protocol, Received, ReportIo, Transport};

impl<T: ReportIo> ReportIo for FaultInjector<'_, T> {
    type Error = FaultError<T::Error>;

    fn write(&mut self, report: &Report) -> Result<(), Self::Error> {
        for report in self.wire.outgoing(*report)?.iter().flatten() {
            self.inner.write(report).map_err(FaultError::Inner)?;
        }
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Option<Report>, Self::Error> {
        self.wire.connected()?;
        if let Some(again) = self.wire.again.take() {
            return Ok(Some(again));
        }
        if let Some(late) = self.wire.due() {
            self.inner.write(&late).map_err(FaultError::Inner)?;
            self.wire.late_out = None;
        }
        let report = self.inner.read(wait).map_err(FaultError::Inner)?;
        self.wire.incoming(report)
    }
}

impl<T: Transport> Transport for FaultInjector<'_, T> {
    type Error = FaultError<T::Error>;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        if self.wire.sending(protocol, request)? {
            self.inner.send(protocol, request).map_err(FaultError::Inner)?;
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error> {
        if let Some(received) = self.wire.receiving(buffer)? {
            return Ok(received);
        }
        let received = self.inner.receive(buffer, wait).map_err(FaultError::Inner)?;
        Ok(self.wire.received(received, buffer))
    }

    fn cancel(&mut self) -> Result<(), Self::Error> {
        self.wire.connected()?;
        if self.wire.refusal.is_some() {
            return Ok(());
        }
        self.inner.cancel().map_err(FaultError::Inner)
    }

    /// Mends a cut cable.
    fn reconnect(&mut self) -> Result<(), Self::Error> {
        self.mend();
        self.inner.reconnect().map_err(FaultError::Inner)
    }
}

impl<T: AsyncReportIo> AsyncReportIo for FaultInjector<'_, T> {
    type Error = FaultError<T::Error>;

    async fn write(&mut self, report: &Report) -> Result<(), Self::Error> {
        for report in self.wire.outgoing(*report)?.iter().flatten() {
            self.inner.write(report).await.map_err(FaultError::Inner)?;
        }
        Ok(())
    }

    async fn read(&mut self, wait: Duration) -> Result<Option<Report>, Self::Error> {
        self.wire.connected()?;
        if let Some(again) = self.wire.again.take() {
            return Ok(Some(again));
        }
        if let Some(late) = self.wire.due() {
            self.inner.write(&late).await.map_err(FaultError::Inner)?;
            self.wire.late_out = None;
        }
        let report = self.inner.read(wait).await.map_err(FaultError::Inner)?;
        self.wire.incoming(report)
    }
}

impl<T: AsyncTransport> AsyncTransport for FaultInjector<'_, T> {
    type Error = FaultError<T::Error>;

    async fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        if self.wire.sending(protocol, request)? {
            self.inner.send(protocol, request).await.map_err(FaultError::Inner)?;
        }
        Ok(())
    }

    async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error> {
        if let Some(received) = self.wire.receiving(buffer)? {
            return Ok(received);
        }
        let received = self.inner.receive(buffer, wait).await.map_err(FaultError::Inner)?;
        Ok(self.wire.received(received, buffer))
    }

    async fn cancel(&mut self) -> Result<(), Self::Error> {
        self.wire.connected()?;
        if self.wire.refusal.is_some() {
            return Ok(());
        }
        self.inner.cancel().await.map_err(FaultError::Inner)
    }

    /// Mends a cut cable.
    async fn reconnect(&mut self) -> Result<(), Self::Error> {
        self.mend();
        self.inner.reconnect().await.map_err(FaultError::Inner)
    }
}
