//! The machine's own behaviour: states, cancellation, time, and the async driver.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::*;
use crate::transport::{self, AsyncTransport, KeepAlive, Received, Transport};

type Make<'b> = Ceremony<'b, MakeCredential<'b>, StubCrypto, rand_chacha::ChaCha8Rng>;

/// Steps until the output where to stop, and answers everything before it.
fn walk<O: for<'x> Fn(&Output<'x>) -> bool>(ceremony: &mut Make<'_>, device: &mut Device<StubCrypto>, stop: O) {
    let mut input = Input::Start;
    loop {
        let output = ceremony.step(at(0), input).unwrap();
        if stop(&output) {
            return;
        }
        input = match output {
            Output::Send(exchange) => {
                let response = device.answer(exchange.request());
                exchange.buf[..response.len()].copy_from_slice(&response);
                Input::Response(response.len())
            }
            Output::AskPin(_) => Input::Pin(PIN),
            other => panic!("{other:?}"),
        };
    }
}

#[test]
fn a_buffer_that_is_too_small_is_refused_with_the_size_needed() {
    let options = make_options();
    let mut buffer = [0; MIN_BUFFER - 1];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let error = ceremony.step(at(0), Input::Start).unwrap_err();
    assert_eq!(error.cause, Cause::BufferTooSmall { needed: 1024 });
}

#[test]
fn cancelling_while_nothing_is_under_way_ends_at_once() {
    let options = make_options();
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    assert_eq!(ceremony.step(at(0), Input::Cancel).unwrap_err().cause, Cause::Cancelled);

    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    walk(&mut ceremony, &mut device, |output| matches!(output, Output::AskPin(_)));
    assert_eq!(ceremony.step(at(0), Input::Cancel).unwrap_err().cause, Cause::Cancelled);
}

#[test]
fn cancelling_any_request_asks_the_authenticator_once_and_waits_for_its_answer() {
    let options = make_options();
    for request in 1..=5 {
        let mut buffer = [0; 1024];
        let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
        let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
        let sent = std::cell::Cell::new(0);
        walk(&mut ceremony, &mut device, |output| {
            sent.set(sent.get() + usize::from(matches!(output, Output::Send(_))));
            sent.get() == request
        });
        assert!(matches!(ceremony.step(at(1), Input::Cancel), Ok(Output::CancelDevice)));
        assert!(matches!(ceremony.step(at(2), Input::Cancel), Ok(Output::Wait { .. })));
        assert!(matches!(ceremony.step(at(3), Input::KeepAlive(KeepAlive::UpNeeded)), Ok(Output::Wait { .. })));
        assert_eq!(ceremony.step(at(4), Input::Start).unwrap_err().cause, Cause::WrongState);
        let error = ceremony.step(at(5), Input::Response(1)).unwrap_err();
        assert_eq!((error.code, error.cause), (ErrorCode::Timeout, Cause::Cancelled));
        assert_eq!(ceremony.step(at(6), Input::Response(1)).unwrap_err(), error);
        assert_eq!(ceremony.finish().unwrap_err(), error);
    }
}

#[test]
fn a_cancelled_authenticator_that_stays_silent_is_not_waited_for_longer_than_three_seconds() {
    let options = make_options();
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    ceremony.step(at(0), Input::Start).unwrap();
    ceremony.step(at(100), Input::Cancel).unwrap();
    let Ok(Output::Wait { limit, .. }) = ceremony.step(at(200), Input::Time) else { panic!() };
    assert_eq!(limit, Duration::from_millis(2900));
    assert_eq!(ceremony.step(at(3100), Input::Time).unwrap_err().cause, Cause::Cancelled);
}

#[test]
fn when_the_time_is_up_the_authenticator_is_cancelled_and_the_cause_is_the_time() {
    let options = MakeOptions { timeout: Duration::from_secs(1), ..make_options() };
    let mut device = Device::new(StubCrypto);
    device.silent = true;
    assert_eq!(make_stub(&mut device, &options, &mut User::default()), Err(Cause::Timeout));
    assert_eq!(device.cancels, 1);
    assert!((4000..4300).contains(&device.now.get()), "{:?}", device.now);
}

#[test]
fn keep_alives_do_not_keep_a_ceremony_alive() {
    let options = MakeOptions { timeout: Duration::from_secs(1), ..make_options() };
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    ceremony.step(at(0), Input::Start).unwrap();
    let alive = || Input::KeepAlive(KeepAlive::Processing);
    assert!(matches!(ceremony.step(at(999), alive()), Ok(Output::Show(KeepAlive::Processing))));
    assert!(matches!(ceremony.step(at(1000), alive()), Ok(Output::CancelDevice)));
    assert_eq!(ceremony.step(at(1001), Input::Response(1)).unwrap_err().cause, Cause::Timeout);
}

#[test]
fn a_pin_that_comes_too_late_is_not_used() {
    let options = MakeOptions { timeout: Duration::from_secs(1), ..make_options() };
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    walk(&mut ceremony, &mut device, |output| matches!(output, Output::AskPin(_)));
    assert_eq!(ceremony.step(at(1000), Input::Pin(PIN)).unwrap_err().cause, Cause::Timeout);
}

#[test]
fn the_user_is_told_when_the_authenticators_state_changes() {
    let mut device = Device::new(StubCrypto);
    let mut user = User::default();
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    assert_eq!((user.processings, user.touches), (2, 2)); // two requests; repeated keep-alives are not shown
}

#[test]
fn a_user_who_cancels_sees_the_authenticator_cancelled() {
    let mut device = Device::new(StubCrypto);
    let mut user = User { cancels: true, ..User::default() };
    assert_eq!(make_stub(&mut device, &make_options(), &mut user), Err(Cause::Cancelled));
    assert_eq!(device.cancels, 1);
}

#[test]
fn inputs_that_answer_nothing_are_refused_and_change_nothing() {
    let options = make_options();
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let wrong = |ceremony: &mut Make<'_>, input: Input<'_>| ceremony.step(at(0), input).unwrap_err().cause;
    assert_eq!(wrong(&mut ceremony, Input::Response(1)), Cause::WrongState);
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    walk(&mut ceremony, &mut device, |output| matches!(output, Output::AskPin(_)));
    for input in [Input::Start, Input::Response(0), Input::UserVerification(true), Input::Reconnected] {
        assert_eq!(wrong(&mut ceremony, input), Cause::WrongState);
    }
    assert!(matches!(ceremony.step(at(0), Input::Time), Ok(Output::Wait { .. })));
    assert!(matches!(ceremony.step(at(0), Input::Pin(PIN)), Ok(Output::Send(_))));
}

#[test]
fn finishing_before_the_end_is_a_typed_error() {
    let options = make_options();
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    assert_eq!(ceremony.finish().unwrap_err().cause, Cause::WrongState);
}

#[test]
fn a_transport_that_fails_ends_the_ceremony() {
    let options = make_options();
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    ceremony.step(at(0), Input::Start).unwrap();
    let error = ceremony.step(at(0), Input::TransportFailed).unwrap_err();
    assert_eq!((error.code, error.stage, error.cause), (ErrorCode::OtherError, Stage::GetInfo, Cause::Transport));
}

#[test]
fn a_response_longer_than_the_buffer_says_how_large_it_should_have_been() {
    let options = make_options();
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    ceremony.step(at(0), Input::Start).unwrap();
    let error = ceremony.step(at(0), Input::Response(1025)).unwrap_err();
    assert_eq!(error.cause, Cause::BufferTooSmall { needed: 1025 });
}

#[test]
fn a_power_cycle_that_cannot_be_had_leaves_the_pin_blocked() {
    let options = make_options();
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.strikes = 3;
    walk(&mut ceremony, &mut device, |output| matches!(output, Output::Reconnect));
    let error = ceremony.step(at(0), Input::TransportFailed).unwrap_err();
    assert_eq!((error.stage, error.cause), (Stage::Authorization, status(Status::PIN_AUTH_BLOCKED)));
}

#[test]
fn a_ceremony_that_is_done_stays_done() {
    let options = make_options();
    let mut buffer = [0; 1024];
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    walk(&mut ceremony, &mut device, |output| matches!(output, Output::Done));
    assert!(matches!(ceremony.step(at(0), Input::Cancel), Ok(Output::Done)));
    assert_eq!(ceremony.step(at(0), Input::Start).unwrap_err().cause, Cause::WrongState);
    assert!(ceremony.finish().is_ok());
}

#[test]
fn nothing_secret_is_printed() {
    let options = make_options();
    let mut buffer = [0; 1024];
    let ceremony: Make<'_> = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    assert_eq!(format!("{ceremony:?}"), "Ceremony(Options, ..)");
    assert_eq!(format!("{:?}", Input::Pin(PIN)), "Pin(..)");
    let exchange = Exchange { buf: &mut [0xAB; 4], len: 2, protocol: transport::Protocol::Ctap2 };
    assert_eq!(format!("{:?}", <Output>::Send(exchange)), "Exchange(2 bytes)");
}

#[test]
fn errors_say_what_happened() {
    let cause = Cause::RequestTooLarge { needed: 5, limit: 4 };
    let error = Error { code: cause.code(), stage: Stage::GetInfo, cause };
    assert_eq!(error.to_string(), "bad request at getInfo: the request takes 5 bytes, and the authenticator at most 4");
}

/// A blocking device as an async one: every wait yields once.
struct Awaited<'d>(&'d mut Device<StubCrypto>);

impl AsyncTransport for Awaited<'_> {
    type Error = ();

    async fn send(&mut self, protocol: transport::Protocol, request: &[u8]) -> Result<(), ()> {
        self.0.send(protocol, request)
    }

    async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, ()> {
        let mut yielded = false;
        std::future::poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;
        self.0.receive(buffer, wait)
    }

    async fn cancel(&mut self) -> Result<(), ()> {
        self.0.cancel()
    }

    async fn reconnect(&mut self) -> Result<(), ()> {
        self.0.reconnect()
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

fn run_awaited<'b, O: Operation>(
    ceremony: Ceremony<'b, O, StubCrypto, rand_chacha::ChaCha8Rng>,
    device: &mut Device<StubCrypto>,
    user: &mut User,
) -> Result<O::Outcome<'b>, Cause> {
    block_on(run_async(ceremony, &mut Awaited(device), &mut BlockingInteraction(user), || at(0)))
        .map_err(|error| error.cause)
}

#[test]
fn the_async_driver_does_what_the_blocking_one_does() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let mut user = User::with_pins(["0000", "0001", "0002", PIN]);
    let (make, get) = (make_options(), get_options());
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(MakeCredential::new(&make), &mut buffer, StubCrypto, rng());
    run_awaited(ceremony, &mut device, &mut user).unwrap();
    assert_eq!((device.reconnects, user.prompts.len()), (1, 4));

    let mut user = User { cancels: true, ..User::default() };
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(GetAssertion::new(&get), &mut buffer, StubCrypto, rng());
    assert_eq!(run_awaited(ceremony, &mut device, &mut user).unwrap_err(), Cause::Cancelled);
}
