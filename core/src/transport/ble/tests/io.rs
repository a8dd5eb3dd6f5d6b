//! Whole messages over a connection, blocking and async.

use core::{cell::RefCell, future::poll_fn, pin::pin, task::Context, task::Poll, task::Waker, time::Duration};
use std::rc::Rc;

use super::*;
use crate::transport::{AsyncTransport, Received, Transport};

/// A device at the other end. It answers each request with its bytes after `work` milliseconds.
struct Peer {
    bench: Bench,
    work: u64,
    started: Option<(usize, u64)>,
    written: Vec<Vec<u8>>,
    selected: Vec<Revisions>,
    gone: bool,
    /// How many more writes succeed, if not all do.
    writes: Option<usize>,
    /// Async reads and writes that are ready at the second look.
    slow: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Gone;

#[derive(Clone)]
struct Shared(Rc<RefCell<Peer>>);

fn peer() -> Shared {
    let bench = Bench { device: Device::new(DeviceConfig::default()), ..Bench::new(DeviceConfig::default()) };
    let (written, selected) = (vec![], vec![]);
    let (gone, writes, slow) = (false, None, false);
    Shared(Rc::new(RefCell::new(Peer { bench, work: 0, started: None, written, selected, gone, writes, slow })))
}

impl Shared {
    fn clock(&self) -> impl FnMut() -> Instant + use<> {
        let peer = self.clone();
        move || peer.0.borrow().bench.now
    }

    fn transport(&self) -> BleTransport<Shared, impl FnMut() -> Instant + use<>> {
        BleTransport::new(self.clone(), self.clock(), Revisions(0xE0), 20)
    }
}

impl BleIo for Shared {
    type Error = Gone;

    fn select(&mut self, revision: Revisions) -> Result<(), Gone> {
        let peer = &mut *self.0.borrow_mut();
        assert!(peer.bench.device.select(revision));
        peer.selected.push(revision);
        Ok(())
    }

    fn write(&mut self, fragment: &[u8]) -> Result<(), Gone> {
        let peer = &mut *self.0.borrow_mut();
        if peer.gone || peer.writes == Some(0) {
            return Err(Gone);
        }
        peer.writes = peer.writes.map(|left| left - 1);
        peer.written.push(fragment.to_vec());
        match peer.bench.receive(fragment) {
            Some(DeviceEvent::Request { len, .. }) => {
                peer.started = Some((len, peer.bench.now.as_millis() + peer.work));
                peer.bench.device.keep_alive(KeepAlive::UpNeeded);
            }
            Some(DeviceEvent::Cancel) => {
                peer.started = None;
                peer.bench.answer(&[0x2D]);
            }
            None => {}
        }
        Ok(())
    }

    fn read(&mut self, wait: Duration, fragment: &mut [u8]) -> Result<Option<usize>, Gone> {
        let peer = &mut *self.0.borrow_mut();
        if peer.gone {
            return Err(Gone);
        }
        let until = peer.bench.now.plus(wait);
        loop {
            if let Some((len, _)) = peer.started.take_if(|(_, due)| *due <= peer.bench.now.as_millis()) {
                peer.bench.device.respond(len);
            }
            if let Some(came) = peer.bench.next() {
                fragment[..came.len()].copy_from_slice(&came);
                return Ok(Some(came.len()));
            }
            if peer.bench.now >= until {
                return Ok(None);
            }
            peer.bench.wait(10);
        }
    }
}

impl AsyncBleIo for Shared {
    type Error = Gone;

    async fn select(&mut self, revision: Revisions) -> Result<(), Gone> {
        BleIo::select(self, revision)
    }

    async fn write(&mut self, fragment: &[u8]) -> Result<(), Gone> {
        self.pause().await;
        BleIo::write(self, fragment)
    }

    async fn read(&mut self, wait: Duration, fragment: &mut [u8]) -> Result<Option<usize>, Gone> {
        self.pause().await;
        BleIo::read(self, wait, fragment)
    }
}

impl Shared {
    async fn pause(&self) {
        let mut waits = self.0.borrow().slow;
        poll_fn(|_| if std::mem::take(&mut waits) { Poll::Pending } else { Poll::Ready(()) }).await;
    }
}

/// Sends a request and receives until the response comes.
fn call<T: Transport>(transport: &mut T, protocol: Protocol, buffer: &mut [u8], len: usize) -> Vec<Received>
where
    T::Error: core::fmt::Debug,
{
    transport.send(protocol, &buffer[..len]).unwrap();
    let mut all = vec![];
    while !matches!(all.last(), Some(Received::Response(_) | Received::TooLong(_) | Received::Unreadable)) {
        all.push(transport.receive(buffer, Duration::from_millis(250)).unwrap());
    }
    all
}

#[test]
fn messages_come_back_and_the_revision_is_selected_once_a_protocol() {
    let peer = peer();
    let mut transport = peer.transport();
    for (len, protocol) in [
        (1, Protocol::Ctap2),
        (1000, Protocol::Ctap2),
        (7609, Protocol::Ctap2),
        (9, Protocol::Ctap1),
        (2, Protocol::Ctap2),
    ] {
        let mut buffer = bytes_of(7609);
        assert_eq!(call(&mut transport, protocol, &mut buffer, len).last(), Some(&Received::Response(len)));
        assert_eq!(buffer, bytes_of(7609));
    }
    assert_eq!(peer.0.borrow().selected, [Revisions::FIDO2, Revisions::U2F_1_2, Revisions::FIDO2]);
    transport.reconnect().unwrap();
    call(&mut &mut transport, Protocol::Ctap2, &mut [4], 1);
    assert_eq!(peer.0.borrow().selected.len(), 4);
}

#[test]
fn keep_alives_are_reported() {
    let peer = peer();
    peer.0.borrow_mut().work = 1_100;
    let all = call(&mut peer.transport(), Protocol::Ctap2, &mut [4; 8], 1);
    let told = all.iter().filter(|one| **one == Received::KeepAlive(KeepAlive::UpNeeded)).count();
    assert_eq!((told, all.last()), (3, Some(&Received::Response(1))));
}

#[test]
fn a_request_is_cancelled_at_once() {
    let peer = peer();
    peer.0.borrow_mut().work = 60_000;
    let (mut transport, mut buffer) = (peer.transport(), [4; 8]);
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    assert!(matches!(transport.receive(&mut buffer, Duration::ZERO), Ok(Received::KeepAlive(_))));
    assert_eq!(transport.receive(&mut buffer, Duration::ZERO), Ok(Received::Nothing));
    transport.cancel().unwrap();
    assert_eq!(peer.0.borrow().written.last().unwrap(), &hex("be0000"));
    assert_eq!(transport.receive(&mut buffer, Duration::ZERO), Ok(Received::Response(1)));
    assert_eq!(buffer[0], 0x2D);
}

#[test]
fn the_answer_to_a_request_that_was_given_up_is_not_taken_for_the_next() {
    for work in [0, 60_000] {
        let peer = peer();
        peer.0.borrow_mut().work = work;
        let mut transport = peer.transport();
        transport.send(Protocol::Ctap2, &[1; 500]).unwrap();
        let _ = transport.receive(&mut [0; 600], Duration::ZERO);
        peer.0.borrow_mut().work = 0;
        let mut buffer = [2; 16];
        assert_eq!(call(&mut transport, Protocol::Ctap2, &mut buffer, 2).last(), Some(&Received::Response(2)));
        assert_eq!(buffer[..2], [2; 2]);
    }
}

#[test]
fn a_request_that_was_not_sent_to_its_end_is_cancelled_without_the_rest() {
    let request = bytes_of(100);
    for sent in 1..6 {
        let expected = [&fragments(BleCommand::MSG, &request, 20)[..sent], &[hex("be0000")]].concat();

        let peer = peer();
        let mut transport = peer.transport();
        peer.0.borrow_mut().writes = Some(sent);
        assert_eq!(transport.send(Protocol::Ctap2, &request), Err(BleError::Io(Gone)));
        peer.0.borrow_mut().writes = None;
        transport.cancel().unwrap();
        assert_eq!(peer.0.borrow().written, expected);
        assert!(peer.0.borrow().bench.device.is_idle());
        let received = call(&mut transport, Protocol::Ctap2, &mut [7; 16], 2);
        assert_eq!(received.last(), Some(&Received::Response(2)));
    }
}

#[test]
fn a_future_that_was_dropped_in_the_middle_of_a_request_is_cancelled_without_the_rest() {
    let (peer, request) = (peer(), bytes_of(100));
    peer.0.borrow_mut().slow = true;
    let mut transport = AsyncBleTransport::new(peer.clone(), peer.clock(), Revisions(0xE0), 20);
    let mut cx = Context::from_waker(Waker::noop());
    {
        let mut send = pin!(transport.send(Protocol::Ctap2, &request));
        while peer.0.borrow().written.len() < 2 {
            assert!(send.as_mut().poll(&mut cx).is_pending());
        }
    }
    let mut cancel = pin!(transport.cancel());
    let cancelled = std::iter::repeat_with(|| cancel.as_mut().poll(&mut cx)).find(Poll::is_ready);
    assert_eq!(cancelled, Some(Poll::Ready(Ok(()))));
    let expected = [&fragments(BleCommand::MSG, &request, 20)[..2], &[hex("be0000")]].concat();
    assert_eq!(peer.0.borrow().written, expected);
}

#[test]
fn a_protocol_that_the_authenticator_lacks_is_an_invalid_command() {
    let peer = peer();
    let mut transport = BleTransport::new(peer.clone(), peer.clock(), Revisions::U2F_1_1, 20);
    let mut buffer = [4; 8];
    assert_eq!(call(&mut transport, Protocol::Ctap2, &mut buffer, 1), [Received::Response(1)]);
    assert_eq!(buffer[0], 0x01);
    assert!(peer.0.borrow().written.is_empty());
    assert_eq!(call(&mut transport, Protocol::Ctap1, &mut [4; 8], 4).last(), Some(&Received::Response(4)));
}

#[test]
fn errors_of_the_framing_are_told() {
    let peer = peer();
    peer.0.borrow_mut().bench.buffer.truncate(100);
    let mut transport = peer.transport();
    assert_eq!(call(&mut transport, Protocol::Ctap2, &mut [4; 200], 101), [Received::Unreadable]);
    transport.send(Protocol::Ctap2, &[4; 50]).unwrap();
    assert_eq!(transport.receive(&mut [0; 20], Duration::ZERO), Ok(Received::TooLong(50)));
    assert_eq!(transport.ping(&mut [7; 60], 60), Ok(60));
    assert_eq!(transport.ping(&mut [7; 10], 60), Err(BleError::Failed(BleFailure::RequestTooLong)));
    peer.0.borrow_mut().gone = true;
    assert_eq!(transport.send(Protocol::Ctap2, &[4]), Err(BleError::Io(Gone)));
}

#[test]
fn a_dropped_future_is_resynchronised_by_the_next_request() {
    let mut cx = Context::from_waker(Waker::noop());
    for polls in 0..40 {
        let peer = peer();
        peer.0.borrow_mut().slow = true;
        let mut transport = AsyncBleTransport::new(peer.clone(), peer.clock(), Revisions(0xE0), 20);
        {
            let mut call = pin!(async {
                transport.send(Protocol::Ctap2, &[9; 150]).await?;
                transport.receive(&mut [0; 1000], Duration::from_millis(50)).await
            });
            let _ = (0..=polls).find(|_| call.as_mut().poll(&mut cx).is_ready());
        }
        let mut buffer = [7; 200];
        {
            let mut call = pin!(async {
                transport.send(Protocol::Ctap2, &[7; 150]).await?;
                loop {
                    match transport.receive(&mut buffer, Duration::from_millis(50)).await? {
                        Received::KeepAlive(_) | Received::Nothing => {}
                        received => return Ok::<_, BleError<Gone>>(received),
                    }
                }
            });
            let received = std::iter::repeat_with(|| call.as_mut().poll(&mut cx)).find(Poll::is_ready);
            assert_eq!(received, Some(Poll::Ready(Ok(Received::Response(150)))), "{polls}");
        }
        assert_eq!(buffer[..150], [7; 150]);
    }
}
