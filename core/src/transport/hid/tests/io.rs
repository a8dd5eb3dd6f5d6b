//! Whole messages over a pipe, blocking and async.

use core::{cell::Cell, future::poll_fn, pin::pin, task::Context, task::Poll, task::Waker, time::Duration};
use std::rc::Rc;

use super::*;
use crate::transport::{AsyncReportIo, AsyncTransport, KeepAlive, Protocol, Received, ReportIo, Transport};

mod floods;

/// A device at the end of a pipe. It echoes requests after `work` milliseconds of keep-alives. Each read advances the
/// clock.
struct Pipe {
    bench: Bench,
    clock: Rc<Cell<u64>>,
    work: u64,
    request: Option<(usize, u64)>,
    /// Commands of the messages that were written.
    written: Vec<HidCommand>,
    events: Vec<DeviceEvent>,
    broken: bool,
    deaf: bool,
    /// Async reads that find nothing at first.
    pending_reads: bool,
    /// Reports that wait in the pipe.
    left_over: Vec<[u8; 64]>,
    /// The report that every read returns, after a millisecond.
    flood: Option<[u8; 64]>,
    /// Milliseconds that a write takes.
    slow: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Unplugged;

type Blocking = HidTransport<Pipe, Box<dyn FnMut() -> Instant>>;

fn pipe() -> (Pipe, Box<dyn FnMut() -> Instant>) {
    let clock = Rc::new(Cell::new(1_000));
    let pipe = Pipe {
        bench: Bench::new(DeviceConfig {
            version: [1, 2, 3],
            vendor_commands: true,
            lock: true,
            ..DeviceConfig::default()
        }),
        clock: clock.clone(),
        work: 0,
        request: None,
        written: vec![],
        events: vec![],
        broken: false,
        deaf: false,
        pending_reads: false,
        left_over: vec![],
        flood: None,
        slow: 0,
    };
    (pipe, Box::new(move || at(clock.get())))
}

fn blocking() -> Blocking {
    let (pipe, clock) = pipe();
    HidTransport::new(pipe, clock, [7; 8])
}

impl Pipe {
    /// Lets the device do what is due.
    fn work(&mut self) -> Option<[u8; 64]> {
        self.bench.now = self.clock.get();
        if let Some((len, _)) = self.request.take_if(|(_, due)| *due <= self.clock.get()) {
            self.bench.device.respond(len);
        }
        self.bench.device.transmit(at(self.bench.now), &self.bench.buffer)
    }

    fn put(&mut self, report: &[u8; 64]) -> Result<(), Unplugged> {
        if self.broken {
            return Err(Unplugged);
        }
        self.clock.set(self.clock.get() + self.slow);
        if let Packet::Initialization { command, .. } = Packet::parse(report) {
            self.written.push(command);
        }
        if self.deaf {
            return Ok(());
        }
        self.bench.now = self.clock.get();
        let event = self.bench.receive(report);
        self.events.extend(event);
        match event {
            Some(DeviceEvent::Request { len, .. }) => {
                self.request = Some((len, self.clock.get() + self.work));
                self.bench.device.keep_alive(KeepAlive::UpNeeded);
            }
            Some(DeviceEvent::Cancel) => {
                self.bench.buffer[0] = 0x2D;
                self.request = Some((1, self.clock.get()));
            }
            Some(DeviceEvent::Aborted) => self.request = None,
            Some(DeviceEvent::Wink) | None => {}
        }
        Ok(())
    }

    fn take(&mut self, wait: Duration) -> Option<[u8; 64]> {
        if let Some(report) = self.left_over.pop() {
            return Some(report);
        }
        if self.flood.is_some() {
            self.clock.set(self.clock.get() + 1);
            return self.flood;
        }
        let until = self.clock.get().saturating_add(wait.as_millis() as u64);
        loop {
            if let Some(report) = self.work() {
                return Some(report);
            }
            if self.clock.get() >= until {
                return None;
            }
            self.clock.set(self.clock.get() + 1);
        }
    }
}

impl ReportIo for Pipe {
    type Error = Unplugged;

    fn write(&mut self, report: &[u8; 64]) -> Result<(), Unplugged> {
        self.put(report)
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, Unplugged> {
        Ok(self.take(wait))
    }
}

impl AsyncReportIo for Pipe {
    type Error = Unplugged;

    async fn write(&mut self, report: &[u8; 64]) -> Result<(), Unplugged> {
        self.put(report)
    }

    async fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, Unplugged> {
        let mut pending = self.pending_reads;
        poll_fn(|_| if std::mem::take(&mut pending) { Poll::Pending } else { Poll::Ready(()) }).await;
        Ok(self.take(wait))
    }
}

/// Polls up to `polls` times, then drops the future.
fn poll<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
    }
    None
}

const SECOND: Duration = Duration::from_secs(1);
const BUSY: HidError<Unplugged> = HidError::Device(HidErrorCode::CHANNEL_BUSY);

/// A buffer with a request at its front.
fn buffer(request: &[u8]) -> Vec<u8> {
    let mut buffer = request.to_vec();
    buffer.resize(1024, 0);
    buffer
}

#[test]
fn the_first_request_opens_the_channel() {
    let mut transport = blocking();
    transport.io.work = 50;
    assert_eq!(transport.info(), None);
    transport.send(Protocol::Ctap2, &[4, 5]).unwrap();
    assert_eq!(transport.info().map(|info| info.version), Some([1, 2, 3]));
    let mut buffer = buffer(&[4, 5]);
    assert_eq!(transport.receive(&mut buffer, SECOND), Ok(Received::KeepAlive(KeepAlive::UpNeeded)));
    assert_eq!(transport.receive(&mut buffer, SECOND), Ok(Received::Response(2)));
    transport.send(Protocol::Ctap1, &[0; 7]).unwrap();
    assert_eq!(transport.receive(&mut buffer, SECOND), Ok(Received::Response(7)));
    assert_eq!(transport.into_io().written, [HidCommand::INIT, HidCommand::CBOR, HidCommand::MSG]);
}

#[test]
fn what_is_left_in_the_pipe_does_not_answer_the_next_request() {
    let answer = single(1, HidCommand::CBOR, &[0xEE; 9]);
    let mut transport = blocking();
    let mut buffer = buffer(&[4, 5]);
    transport.open().unwrap();
    transport.io.left_over = vec![answer; 3];
    transport.send(Protocol::Ctap2, &[4, 5]).unwrap();
    assert_eq!(transport.receive(&mut buffer, SECOND), Ok(Received::Response(2)));

    let (pipe, clock) = pipe();
    let mut transport = AsyncHidTransport::new(pipe, clock, [7; 8]);
    let session = async {
        transport.open().await.unwrap();
        transport.io.left_over = vec![answer; 3];
        assert_eq!(transport.ping(&mut buffer, 2).await, Ok(2));
        assert_eq!(buffer[..2], [4, 5]);
    };
    assert!(poll(session, 100).is_some());
}

#[test]
fn the_async_transport_does_the_same() {
    let (mut pipe, clock) = pipe();
    (pipe.pending_reads, pipe.work) = (true, 50);
    let mut transport = AsyncHidTransport::new(pipe, clock, [7; 8]);
    let mut buffer = buffer(&[4; 300]);
    let session = async {
        transport.send(Protocol::Ctap2, &[4; 300]).await.unwrap();
        assert_eq!(transport.receive(&mut buffer, SECOND).await, Ok(Received::KeepAlive(KeepAlive::UpNeeded)));
        assert_eq!(transport.receive(&mut buffer, SECOND).await, Ok(Received::Response(300)));
        assert_eq!(transport.ping(&mut buffer, 100).await, Ok(100));
        assert_eq!(transport.wink().await, Ok(()));
        assert_eq!(transport.lock(0).await, Ok(()));
        transport.reconnect().await.unwrap();
        assert_eq!(transport.open().await.map(|info| info.version), Ok([1, 2, 3]));
    };
    assert!(poll(session, 1_000).is_some());
    let written = transport.into_io().written;
    assert_eq!(written[..3], [HidCommand::INIT, HidCommand::CBOR, HidCommand::PING]);
    assert_eq!(written[3..], [HidCommand::WINK, HidCommand::LOCK, HidCommand::INIT]);
}

#[test]
fn a_dropped_receive_loses_nothing_and_a_dropped_request_is_resynchronised() {
    let (mut pipe, clock) = pipe();
    (pipe.pending_reads, pipe.work) = (true, 50);
    let mut transport = AsyncHidTransport::new(pipe, clock, [7; 8]);
    let mut buffer = buffer(&[4]);
    assert_eq!(poll(transport.send(Protocol::Ctap2, &[4]), 1), None, "dropped while the channel opens");
    assert_eq!(poll(transport.send(Protocol::Ctap2, &[4]), 10), Some(Ok(())));
    assert_eq!(poll(transport.receive(&mut buffer, SECOND), 1), None);
    let event = poll(transport.receive(&mut buffer, SECOND), 2);
    assert_eq!(event, Some(Ok(Received::KeepAlive(KeepAlive::UpNeeded))));
    assert_eq!(poll(transport.send(Protocol::Ctap2, &[5, 5]), 10), Some(Ok(())));
    let pending = Received::KeepAlive(KeepAlive::UpNeeded);
    assert_eq!(poll(transport.receive(&mut buffer, SECOND), 2), Some(Ok(pending)));
    assert_eq!(poll(transport.receive(&mut buffer, SECOND), 2), Some(Ok(Received::Response(2))));
    assert_eq!(buffer[..2], [5, 5]);
    assert!(transport.into_io().events.contains(&DeviceEvent::Aborted));
}

#[test]
fn the_async_transport_cancels() {
    let (mut pipe, clock) = pipe();
    pipe.work = 10_000;
    let mut transport = AsyncHidTransport::new(pipe, clock, [7; 8]);
    let mut buffer = buffer(&[4]);
    let session = async {
        transport.send(Protocol::Ctap2, &[4]).await.unwrap();
        transport.receive(&mut buffer, SECOND).await.unwrap();
        transport.cancel().await.unwrap();
        assert_eq!(transport.receive(&mut buffer, SECOND).await, Ok(Received::Response(1)));
    };
    assert!(poll(session, 1_000).is_some());
    assert_eq!(buffer[0], 0x2D);
}

#[test]
fn keep_alives_come_while_the_device_works() {
    let mut transport = blocking();
    transport.io.work = 950;
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    let mut buffer = buffer(&[4]);
    let mut keep_alives = 0;
    while transport.receive(&mut buffer, SECOND).unwrap() == Received::KeepAlive(KeepAlive::UpNeeded) {
        keep_alives += 1;
    }
    assert_eq!(keep_alives, 11, "at 0, 90, … 900 ms");
}

#[test]
fn receive_waits_as_long_as_it_may_and_then_returns_nothing() {
    let mut transport = blocking();
    transport.io.work = 5_000;
    transport.send(Protocol::Ctap1, &[0; 4]).unwrap();
    let start = transport.io.clock.get();
    assert_eq!(transport.receive(&mut buffer(&[0; 4]), SECOND), Ok(Received::Nothing));
    assert_eq!(transport.io.clock.get() - start, 1_000);
}

#[test]
fn receive_without_waiting_takes_what_is_there() {
    let mut transport = blocking();
    transport.send(Protocol::Ctap1, &[0; 4]).unwrap();
    assert_eq!(transport.receive(&mut buffer(&[0; 4]), Duration::ZERO), Ok(Received::Response(4)));
    assert_eq!(transport.receive(&mut buffer(&[0; 4]), Duration::ZERO), Ok(Received::Nothing));
}

#[test]
fn cancel_goes_out_at_once_and_once_and_the_response_follows() {
    let mut transport = blocking();
    transport.io.work = 10_000;
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    let mut buffer = buffer(&[4]);
    transport.receive(&mut buffer, SECOND).unwrap();
    transport.cancel().unwrap();
    assert_eq!(transport.io.events.last(), Some(&DeviceEvent::Cancel));
    transport.cancel().unwrap();
    assert_eq!(transport.receive(&mut buffer, SECOND), Ok(Received::Response(1)));
    assert_eq!(buffer[0], 0x2D);
    let cancels = transport.io.written.iter().filter(|command| **command == HidCommand::CANCEL);
    assert_eq!(cancels.count(), 1);
}

#[test]
fn a_request_under_way_is_abandoned_by_the_next_one() {
    let mut transport = blocking();
    transport.io.work = 100_000;
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    transport.io.work = 0;
    transport.send(Protocol::Ctap1, &[6; 4]).unwrap();
    let mut buffer = buffer(&[6; 4]);
    assert_eq!(transport.receive(&mut buffer, SECOND), Ok(Received::Response(4)));
    assert_eq!(buffer[..4], [6; 4]);
    assert!(transport.io.events.contains(&DeviceEvent::Aborted));
    assert_eq!(transport.io.written, [HidCommand::INIT, HidCommand::CBOR, HidCommand::INIT, HidCommand::MSG]);
}

#[test]
fn ping_wink_lock_and_vendor_commands_are_answered() {
    let mut transport = blocking();
    let mut buffer = buffer(&[3; 600]);
    assert_eq!(transport.ping(&mut buffer, 600), Ok(600));
    assert_eq!(buffer[..600], [3; 600]);
    assert_eq!(transport.wink(), Ok(()));
    assert_eq!(transport.lock(2), Ok(()));
    assert_eq!(transport.lock(11), Err(HidError::Device(HidErrorCode::INVALID_PAR)));
    assert_eq!(transport.command(HidCommand(0x41), &mut buffer, 5), Ok(5));
    assert_eq!(transport.ping(&mut [0; 4], 5), Err(HidError::Failed(HidFailure::RequestTooLong)));
}

/// A transport whose device is busy with another client's request, and that client's channel.
fn occupied() -> (Blocking, u32) {
    let mut transport = blocking();
    transport.open().unwrap();
    let other = transport.io.bench.allocate();
    transport.io.bench.pending(other);
    transport.send(Protocol::Ctap2, &[4; 100]).unwrap();
    (transport, other)
}

#[test]
fn a_busy_device_is_asked_again_until_it_is_free() {
    let (mut transport, other) = occupied();
    let mut buffer = buffer(&[4; 100]);
    transport.io.work = 50;
    // This wait ends between two attempts, which are 100 ms apart.
    assert_eq!(transport.receive(&mut buffer, Duration::from_millis(1_050)), Ok(Received::Nothing));
    let attempts = transport.io.written.iter().filter(|command| **command == HidCommand::CBOR);
    assert_eq!(attempts.count(), 11);
    transport.io.bench.finish(other, HidCommand::CBOR);
    assert_eq!(transport.receive(&mut buffer, SECOND), Ok(Received::KeepAlive(KeepAlive::UpNeeded)));
    assert_eq!(transport.receive(&mut buffer, SECOND), Ok(Received::Response(100)));
    assert_eq!(buffer[..100], [4; 100]);
}

#[test]
fn a_busy_device_is_not_asked_again_with_other_bytes_than_the_request() {
    for mut other_bytes in [vec![0; 1024], vec![4; 99]] {
        let (mut transport, _) = occupied();
        assert_eq!(transport.receive(&mut other_bytes, SECOND), Err(BUSY));
        let requests = transport.io.written.iter().filter(|command| **command == HidCommand::CBOR);
        assert_eq!(requests.count(), 1);
    }
}

#[test]
fn cancelling_while_the_device_is_busy_with_another_client_ends_at_once() {
    let (mut transport, _) = occupied();
    let mut buffer = buffer(&[4; 100]);
    transport.receive(&mut buffer, Duration::from_millis(1_050)).unwrap();
    transport.cancel().unwrap();
    let start = transport.io.clock.get();
    assert_eq!(transport.receive(&mut buffer, SECOND), Err(BUSY));
    assert_eq!(transport.io.clock.get(), start);
    assert!(!transport.io.written.contains(&HidCommand::CANCEL));
}

/// A device that opens a channel and then refuses everything.
struct Refusing(HidErrorCode, Option<[u8; 64]>);

impl ReportIo for Refusing {
    type Error = Unplugged;

    fn write(&mut self, report: &[u8; 64]) -> Result<(), Unplugged> {
        let mut answer = [0; 64];
        answer[..4].copy_from_slice(&report[..4]);
        if report[4] == 0x86 {
            answer[4..7].copy_from_slice(&[0x86, 0, 17]);
            answer[7..15].copy_from_slice(&report[7..15]);
            answer[15..19].copy_from_slice(&[1, 2, 3, 4]);
        } else {
            answer[4..8].copy_from_slice(&[0xBF, 0, 1, self.0.0]);
        }
        self.1 = Some(answer);
        Ok(())
    }

    fn read(&mut self, _: Duration) -> Result<Option<[u8; 64]>, Unplugged> {
        Ok(self.1.take())
    }
}

#[test]
fn a_request_that_the_device_cannot_read_is_told_from_the_other_errors() {
    for code in [1, 2, 3, 4, 5, 6, 0x0A, 0x0B, 0x7F].map(HidErrorCode) {
        for protocol in [Protocol::Ctap1, Protocol::Ctap2] {
            let mut now = 0;
            let clock = move || {
                now += 1000;
                at(now)
            };
            let mut transport = HidTransport::new(Refusing(code, None), clock, [7; 8]);
            transport.send(protocol, &[4]).unwrap();
            let mut buffer = buffer(&[4]);
            let received = loop {
                match transport.receive(&mut buffer, SECOND) {
                    Ok(Received::Nothing) => {}
                    received => break received,
                }
            };
            let expected = match code {
                HidErrorCode::INVALID_CMD => Ok(Received::Response(1)),
                HidErrorCode::INVALID_LEN | HidErrorCode::OTHER => Ok(Received::Unreadable),
                code => Err(HidError::Device(code)),
            };
            assert_eq!(received, expected, "{protocol:?}");
        }
    }
}

#[test]
fn a_response_that_is_longer_than_the_buffer_is_told_with_its_length_and_the_next_one_comes() {
    let mut transport = blocking();
    transport.send(Protocol::Ctap2, &[4; 100]).unwrap();
    assert_eq!(transport.receive(&mut [4; 99], SECOND), Ok(Received::TooLong(100)));
    transport.send(Protocol::Ctap2, &[5, 6]).unwrap();
    assert_eq!(transport.receive(&mut buffer(&[5, 6]), SECOND), Ok(Received::Response(2)));
    let (pipe, clock) = pipe();
    let mut transport = AsyncHidTransport::new(pipe, clock, [7; 8]);
    poll(transport.send(Protocol::Ctap2, &[4; 100]), 1).unwrap().unwrap();
    assert_eq!(poll(transport.receive(&mut [4; 99], SECOND), 1), Some(Ok(Received::TooLong(100))));
}

#[test]
fn a_silent_device_is_a_timeout_and_may_come_back() {
    let mut transport = blocking();
    transport.io.deaf = true;
    assert_eq!(transport.send(Protocol::Ctap2, &[4]), Err(HidError::Failed(HidFailure::Timeout)));
    transport.io.deaf = false;
    assert_eq!(transport.wink(), Ok(()));
}

#[test]
fn a_restarted_device_is_opened_anew_and_asked_again() {
    let mut transport = blocking();
    transport.open().unwrap();
    transport.io.bench.device.reset();
    assert_eq!(transport.wink(), Ok(()));
    assert_eq!(transport.io.written, [HidCommand::INIT, HidCommand::WINK, HidCommand::INIT, HidCommand::WINK]);

    transport.io.bench.device.reset();
    let mut buffer: Vec<u8> = (0..200).collect();
    transport.send(Protocol::Ctap2, &buffer.clone()).unwrap();
    let received = loop {
        if let Received::Response(len) = transport.receive(&mut buffer, Duration::from_millis(100)).unwrap() {
            break len;
        }
    };
    assert_eq!((received, buffer), (200, (0..200).collect()));
}

#[test]
fn a_restarted_device_is_not_asked_again_for_what_it_may_have_begun_or_what_is_no_longer_there() {
    let forgotten = Err(HidError::Device(HidErrorCode::INVALID_CHANNEL));
    // The buffer no longer holds the request.
    let mut transport = blocking();
    transport.open().unwrap();
    transport.io.bench.device.reset();
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    assert_eq!(transport.receive(&mut [0; 64], Duration::from_millis(100)), forgotten);
    // The request was cancelled.
    transport.open().unwrap();
    transport.io.bench.device.reset();
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    transport.cancel().unwrap();
    assert_eq!(transport.receive(&mut [4; 64], Duration::from_millis(100)), forgotten);
    // The authenticator had started the request.
    transport.open().unwrap();
    transport.io.work = 1_000;
    let mut buffer = [4; 64];
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    assert_eq!(
        transport.receive(&mut buffer, Duration::from_millis(100)),
        Ok(Received::KeepAlive(KeepAlive::UpNeeded))
    );
    transport.io.bench.device.reset();
    transport.cancel().unwrap();
    assert_eq!(transport.receive(&mut buffer, Duration::from_millis(100)), forgotten);
}

#[test]
fn an_unplugged_device_is_an_error_of_the_pipe() {
    let mut transport = blocking();
    transport.open().unwrap();
    transport.io.broken = true;
    assert_eq!(transport.wink(), Err(HidError::Io(Unplugged)));
    transport.io.broken = false;
    assert_eq!(transport.wink(), Ok(()));
    assert_eq!(transport.io.written, [HidCommand::INIT, HidCommand::INIT, HidCommand::WINK]);
}

#[test]
fn reconnect_asks_for_a_new_channel() {
    let mut transport = blocking();
    transport.open().unwrap();
    let first = transport.io.bench.device.last_channel;
    transport.reconnect().unwrap();
    transport.wink().unwrap();
    assert_eq!(transport.io.bench.device.last_channel, first + 1);
}

#[test]
fn every_init_has_another_nonce() {
    let mut link = blocking().link;
    let mut nonces = [(); 3].map(|()| {
        link.open();
        link.host.transmit(at(0), &[]).unwrap()[7..15].to_vec()
    });
    nonces.sort();
    assert!(nonces.is_sorted_by(|a, b| a < b));
}
