//! Whole messages over a reader, blocking and async.

use core::{cell::RefCell, future::poll_fn, pin::pin, task::Context, task::Poll, task::Waker, time::Duration};
use std::rc::Rc;

use super::*;
use crate::transport::{AsyncTransport, Received, Transport};

/// A card in a reader. It answers each request with its bytes after `work` milliseconds.
struct Field {
    card: Card,
    work: u64,
    started: Option<(usize, u64)>,
    /// Commands so far.
    commands: Vec<Vec<u8>>,
    events: Vec<DeviceEvent>,
    gone: bool,
    /// Async commands whose response is there only at the second look.
    slow: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Gone;

/// A field and its clock, which waiting advances.
#[derive(Clone)]
struct Shared(Rc<RefCell<Field>>);

fn field() -> Shared {
    Shared(Rc::new(RefCell::new(Field {
        card: Card::new(DeviceConfig::default()),
        work: 0,
        started: None,
        commands: vec![],
        events: vec![],
        gone: false,
        slow: false,
    })))
}

impl Shared {
    fn wait(&self, time: Duration) {
        self.0.borrow_mut().card.wait(time.as_millis() as u64);
    }

    fn commands(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.borrow_mut().commands)
    }

    fn now(&self) -> u64 {
        self.0.borrow().card.now.as_millis()
    }

    fn transceive(&self, command: &[u8], response: &mut [u8]) -> Result<usize, Gone> {
        let field = &mut *self.0.borrow_mut();
        if field.gone {
            return Err(Gone);
        }
        field.commands.push(command.to_vec());
        let event = field.card.receive(command);
        field.events.extend(event);
        match event {
            Some(DeviceEvent::Request { len, .. }) => {
                field.started = Some((len, field.card.now.as_millis() + field.work));
            }
            Some(DeviceEvent::Cancel) => {
                field.started = None;
                field.card.answer(&[0x2D]);
            }
            Some(_) => field.started = None,
            None => {}
        }
        loop {
            if let Some((len, _)) = field.started.take_if(|(_, due)| *due <= field.card.now.as_millis()) {
                field.card.device.respond(len);
            }
            if let Some(answer) = field.card.transmit() {
                response[..answer.len()].copy_from_slice(&answer);
                return Ok(answer.len());
            }
            field.card.wait(10);
        }
    }
}

impl ApduIo for Shared {
    type Error = Gone;

    fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> Result<usize, Gone> {
        Shared::transceive(self, command, response)
    }

    fn reconnect(&mut self) -> Result<(), Gone> {
        let field = &mut *self.0.borrow_mut();
        field.card.device.reset();
        field.gone = false;
        Ok(())
    }
}

impl AsyncApduIo for Shared {
    type Error = Gone;

    async fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> Result<usize, Gone> {
        let mut waits = self.0.borrow().slow;
        poll_fn(|_| if std::mem::take(&mut waits) { Poll::Pending } else { Poll::Ready(()) }).await;
        Shared::transceive(self, command, response)
    }

    async fn reconnect(&mut self) -> Result<(), Gone> {
        ApduIo::reconnect(self)
    }
}

fn short(field: &Shared) -> NfcTransport<Shared, impl FnMut(Duration) + use<>> {
    let clock = field.clone();
    NfcTransport::new(field.clone(), move |time| clock.wait(time))
}

fn extended(field: &Shared) -> NfcTransport<Shared, impl FnMut(Duration) + use<>, 8192> {
    let clock = field.clone();
    NfcTransport::extended(field.clone(), move |time| clock.wait(time))
}

/// Sends a request and receives until the response comes. Returns the keep-alives before it.
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
fn messages_of_many_lengths_come_back_in_either_encoding() {
    for len in [1, 239, 240, 241, 255, 256, 257, 1024, 7602, 7609] {
        let field = field();
        let mut buffer: Vec<u8> = (0..7609_u32).map(|i| i as u8).collect();
        let sent = buffer.clone();
        assert_eq!(call(&mut short(&field), Protocol::Ctap2, &mut buffer, len), [Received::Response(len)]);
        assert_eq!(field.commands().len(), 1 + len.div_ceil(240) + (len - 1) / 256);
        assert_eq!(call(&mut extended(&field), Protocol::Ctap2, &mut buffer, len), [Received::Response(len)]);
        assert_eq!(field.commands().len(), 2);
        assert_eq!(buffer, sent);
    }
}

#[test]
fn the_authenticator_is_selected_once() {
    let field = field();
    let mut transport = short(&field);
    for _ in 0..3 {
        call(&mut transport, Protocol::Ctap2, &mut [4; 16], 1);
    }
    assert_eq!(transport.version(), Some(Version::U2fV2));
    assert_eq!(field.commands().iter().filter(|command| **command == hex(SELECT_FIDO)).count(), 1);
    assert_eq!(transport.select(), Ok(Version::U2fV2));
    assert_eq!(field.commands(), [hex(SELECT_FIDO)]);
}

#[test]
fn keep_alives_are_reported_and_questions_pause() {
    let field = field();
    field.0.borrow_mut().work = 450;
    let all = call(&mut short(&field), Protocol::Ctap2, &mut [4; 16], 1);
    let processing = Received::KeepAlive(KeepAlive::Processing);
    // At 100 ms, 300 ms, and the answer at 450 ms to the question of 400 ms.
    assert_eq!(all, [processing, processing, Received::Response(1)]);
    assert_eq!(field.now(), 450);
}

#[test]
fn a_short_wait_ends_between_two_questions() {
    let field = field();
    field.0.borrow_mut().work = 150;
    let mut transport = short(&field);
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    let mut receive = |millis| transport.receive(&mut [0; 16], Duration::from_millis(millis)).unwrap();
    assert_eq!(receive(0), Received::KeepAlive(KeepAlive::Processing));
    assert_eq!([receive(30), receive(30), receive(30)], [Received::Nothing; 3]);
    assert_eq!(receive(30), Received::Response(1));
}

#[test]
fn every_call_that_does_not_wait_asks_once() {
    let field = field();
    field.0.borrow_mut().work = 250;
    let mut transport = short(&field);
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    field.commands();
    let received = [(); 3].map(|()| transport.receive(&mut [0; 16], Duration::ZERO).unwrap());
    let processing = Received::KeepAlive(KeepAlive::Processing);
    assert_eq!(received, [processing, processing, Received::Response(1)]);
    assert_eq!((field.commands().len(), field.now()), (3, 250));
}

#[test]
fn a_cancellation_does_not_wait() {
    let field = field();
    field.0.borrow_mut().work = 60_000;
    let mut transport = short(&field);
    let mut buffer = [4; 16];
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    assert!(matches!(transport.receive(&mut buffer, Duration::ZERO), Ok(Received::KeepAlive(_))));
    let now = field.now();
    transport.cancel().unwrap();
    assert_eq!(transport.receive(&mut buffer, Duration::from_millis(100)), Ok(Received::Response(1)));
    assert_eq!((buffer[0], field.now()), (0x2D, now));
}

#[test]
fn the_answer_to_a_request_that_was_given_up_is_not_taken_for_the_next() {
    let field = field();
    field.0.borrow_mut().work = 60_000;
    let mut transport = short(&field);
    transport.send(Protocol::Ctap2, &[1; 500]).unwrap();
    transport.receive(&mut [0; 16], Duration::ZERO).unwrap();
    field.0.borrow_mut().work = 0;
    let mut buffer = [2; 16];
    assert_eq!(call(&mut transport, Protocol::Ctap2, &mut buffer, 2), [Received::Response(2)]);
    assert_eq!(buffer[..2], [2; 2]);
}

#[test]
fn u2f_has_its_status_word_in_the_response() {
    let field = field();
    for is_extended in [false, true] {
        let mut buffer = [0; 16];
        buffer[..9].copy_from_slice(&hex("00010000 000002 6a80")); // the echo ends in a status word
        let received = match is_extended {
            false => call(&mut short(&field), Protocol::Ctap1, &mut buffer, 9),
            true => call(&mut extended(&field), Protocol::Ctap1, &mut buffer, 9),
        };
        assert_eq!(received, [Received::Response(9)]);
        assert_eq!(buffer[7..9], hex("6a80"));
    }
}

#[test]
fn a_card_without_ctap2_answers_that_it_does_not_know_the_command() {
    let field = field();
    field.0.borrow_mut().card = Card::new(DeviceConfig { ctap2: false, ..DeviceConfig::default() });
    let mut buffer = [4; 16];
    assert_eq!(call(&mut short(&field), Protocol::Ctap2, &mut buffer, 1), [Received::Response(1)]);
    assert_eq!(buffer[0], 0x01);
    assert_eq!(short(&field).receive(&mut [], Duration::ZERO), Err(NfcError::Failed(NfcFailure::NotSelected)));
}

#[test]
fn a_card_that_takes_short_frames_only_refuses_extended_ones() {
    let field = field();
    field.0.borrow_mut().card = Card::new(DeviceConfig { extended_length: false, ..DeviceConfig::default() });
    assert_eq!(call(&mut extended(&field), Protocol::Ctap2, &mut [4; 16], 1), [Received::Unreadable]);
    assert_eq!(call(&mut short(&field), Protocol::Ctap2, &mut [4; 16], 1), [Received::Response(1)]);
}

#[test]
fn a_piece_that_is_refused_is_told_as_the_refusal_of_a_request() {
    let lacks_ctap2 = DeviceConfig { ctap2: false, ..DeviceConfig::default() };
    let short_messages = DeviceConfig { max_message: 300, ..DeviceConfig::default() };
    for (config, expected) in [(lacks_ctap2, Received::Response(1)), (short_messages, Received::Unreadable)] {
        let field = field();
        field.0.borrow_mut().card = Card::new(config);
        let (mut transport, mut buffer) = (short(&field), [4; 600]);
        assert_eq!(call(&mut transport, Protocol::Ctap2, &mut buffer, 600), [expected]);
        assert_eq!(buffer[0], if expected == Received::Unreadable { 4 } else { 0x01 });
        let gone = Err(NfcError::Failed(NfcFailure::NotSelected));
        assert_eq!(transport.receive(&mut buffer, Duration::ZERO), gone, "it is told once");
        // The next request has its own answer.
        transport.send(Protocol::Ctap2, &[4; 600]).unwrap();
        assert_eq!(call(&mut transport, Protocol::Ctap1, &mut [0, 3, 0, 0, 0, 0, 0, 0], 4), [Received::Response(7)]);

        let clock = field.clone();
        let mut transport = AsyncNfcTransport::new(field.clone(), async move |time| clock.wait(time));
        let mut call = pin!(async {
            transport.send(Protocol::Ctap2, &[4; 600]).await?;
            transport.receive(&mut buffer, Duration::ZERO).await
        });
        assert_eq!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(expected)));
    }
}

#[test]
fn a_response_that_does_not_fit_is_told_and_the_next_request_works() {
    let field = field();
    let mut transport = short(&field);
    transport.send(Protocol::Ctap2, &[4; 400]).unwrap();
    assert_eq!(transport.receive(&mut [0; 300], Duration::ZERO), Ok(Received::TooLong(400)));
    assert_eq!(call(&mut transport, Protocol::Ctap2, &mut [4; 16], 1), [Received::Response(1)]);
}

#[test]
fn a_card_that_is_gone_is_selected_again_when_it_is_back() {
    let field = field();
    let mut transport = short(&field);
    call(&mut transport, Protocol::Ctap2, &mut [4; 16], 1);
    field.0.borrow_mut().gone = true;
    transport.send(Protocol::Ctap2, &[4]).unwrap();
    assert_eq!(transport.receive(&mut [0; 16], Duration::ZERO), Err(NfcError::Io(Gone)));
    assert_eq!(transport.send(Protocol::Ctap2, &[4]), Err(NfcError::Io(Gone)));
    transport.reconnect().unwrap();
    assert_eq!(call(&mut &mut transport, Protocol::Ctap2, &mut [4; 16], 1), [Received::Response(1)]);
}

#[test]
fn a_dropped_future_is_resynchronised_by_the_next_request() {
    let field = field();
    let clock = field.clone();
    let mut transport = AsyncNfcTransport::new(field.clone(), async move |time| clock.wait(time));
    let mut cx = Context::from_waker(Waker::noop());
    let mut buffer = vec![7; 600];

    let finish = |transport: &mut AsyncNfcTransport<_, _>, buffer: &mut [u8], cx: &mut Context<'_>| {
        let mut call = pin!(async {
            transport.send(Protocol::Ctap2, &[7; 600]).await?;
            transport.receive(buffer, Duration::ZERO).await
        });
        loop {
            if let Poll::Ready(received) = call.as_mut().poll(cx) {
                return received;
            }
        }
    };
    field.0.borrow_mut().slow = true;
    for polls in 0..8 {
        {
            // The future is dropped at its await number `polls`: in SELECT, in a chain, in a response.
            let mut call = pin!(async {
                transport.send(Protocol::Ctap2, &[9; 600]).await?;
                transport.receive(&mut [0; 1000], Duration::ZERO).await
            });
            let _ = (0..=polls).find(|_| call.as_mut().poll(&mut cx).is_ready());
        }
        if polls < 5 {
            // There is nothing to receive.
            let mut receive = pin!(transport.receive(&mut buffer, Duration::ZERO));
            let received = std::iter::repeat_with(|| receive.as_mut().poll(&mut cx)).find(Poll::is_ready);
            assert_eq!(received, Some(Poll::Ready(Err(NfcError::Failed(NfcFailure::NotSelected)))));
        }
        assert_eq!(finish(&mut transport, &mut buffer, &mut cx), Ok(Received::Response(600)));
        assert_eq!(buffer, [7; 600]);
    }
}
