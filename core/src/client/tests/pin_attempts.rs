//! Users, and programs in their place, that give the same answer again and again.

use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::*;
use crate::{
    client::{
        fido2::{ClientPolicy, WebAuthnClient},
        manage::{ChangePin, SetPin},
    },
    ctap2::client_pin::subcommand::*,
    transport::{self, AsyncTransport, Received, Transport},
};

/// Always gives the same PINs.
#[derive(Default)]
struct Stuck {
    pin: &'static str,
    new_pin: &'static str,
    asked: u32,
    asked_for_new: u32,
    asked_for_uv: u32,
}

const MOST: u32 = DEFAULT_PIN_ATTEMPTS as u32;

impl UserInteraction for Stuck {
    fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.asked += 1;
        assert!(self.asked < 100, "asked without end");
        pin.set(self.pin);
        true
    }

    fn request_new_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.asked_for_new += 1;
        assert!(self.asked_for_new < 100, "asked without end");
        pin.set(self.new_pin);
        true
    }

    fn request_uv(&mut self, _: &Prompt<'_>) -> bool {
        self.asked_for_uv += 1;
        assert!(self.asked_for_uv < 100, "asked without end");
        true
    }
}

fn stuck(pin: &'static str, new_pin: &'static str) -> Stuck {
    Stuck { pin, new_pin, ..Stuck::default() }
}

/// Runs a ceremony over a blocking transport.
fn run_stuck<'b, O: Operation>(
    ceremony: Ceremony<'b, O, StubCrypto, rand_chacha::ChaCha8Rng>,
    device: &mut Device<StubCrypto>,
    user: &mut Stuck,
) -> Result<(), Cause> {
    run(ceremony, device, user, || at(0)).map(drop).map_err(|error| error.cause)
}

fn registers(device: &mut Device<StubCrypto>, user: &mut Stuck) -> Result<(), Cause> {
    let (options, mut buffer) = (make_options(), [0; 1024]);
    run_stuck(Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng()), device, user)
}

fn changes(device: &mut Device<StubCrypto>, user: &mut Stuck) -> Result<(), Cause> {
    run_stuck(Ceremony::new(ChangePin, &mut [0; 1024], StubCrypto, rng()), device, user)
}

fn sets(device: &mut Device<StubCrypto>, user: &mut Stuck) -> Result<(), Cause> {
    device.options.client_pin = Some(false);
    run_stuck(Ceremony::new(SetPin, &mut [0; 1024], StubCrypto, rng()), device, user)
}

fn with_pin() -> Device<StubCrypto> {
    Device::with_pin(StubCrypto, PinUvAuthProtocol::Two)
}

#[test]
fn an_empty_pin_is_none() {
    let mut user = stuck("", "");
    assert_eq!(registers(&mut with_pin(), &mut user), Err(Cause::PinRequired));
    assert_eq!(changes(&mut with_pin(), &mut user), Err(Cause::PinRequired));
    assert_eq!((user.asked, user.asked_for_new), (2, 0));
    assert_eq!(sets(&mut with_pin(), &mut user), Err(Cause::PinRequired));
    assert_eq!(changes(&mut with_pin(), &mut stuck(PIN, "")), Err(Cause::PinRequired));

    // A change that is forced, and a first PIN that is wanted, on the way of a registration.
    let mut forced = with_pin().altered(|device| device.force_pin_change = Some(true));
    assert_eq!(registers(&mut forced, &mut stuck(PIN, "")), Err(Cause::PinChangeRequired));
    let mut unset = with_pin().altered(|device| device.options.client_pin = Some(false));
    let options = MakeOptions { user_verification: Requirement::Required, ..make_options() };
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
    assert_eq!(run_stuck(ceremony, &mut unset, &mut stuck("", "")), Err(Cause::PinNotSet));
}

/// A blocking transport is an async one that never waits.
struct Ready<'d>(&'d mut Device<StubCrypto>);

impl AsyncTransport for Ready<'_> {
    type Error = ();

    async fn send(&mut self, protocol: transport::Protocol, request: &[u8]) -> Result<(), ()> {
        Transport::send(self.0, protocol, request)
    }
    async fn receive(&mut self, buffer: &mut [u8], wait: core::time::Duration) -> Result<Received, ()> {
        Transport::receive(self.0, buffer, wait)
    }
    async fn cancel(&mut self) -> Result<(), ()> {
        Transport::cancel(self.0)
    }
    async fn reconnect(&mut self) -> Result<(), ()> {
        Transport::reconnect(self.0)
    }
}

#[test]
fn an_async_transport_makes_no_difference() {
    for (pin, new_pin, cause, asked, asked_for_new) in [
        ("", "", Cause::PinRequired, 1, 0),
        ("123", "", Cause::PinLength, MOST, 0),
        ("0000", "5678", status(Status::PIN_INVALID), MOST, 1),
        (PIN, "", Cause::PinRequired, 1, 1),
        (PIN, "123", Cause::PinLength, 1, MOST),
    ] {
        let (mut device, mut user, mut buffer) = (with_pin(), stuck(pin, new_pin), [0; 1024]);
        let ceremony = Ceremony::new(ChangePin, &mut buffer, StubCrypto, rng());
        let mut transport = Ready(&mut device);
        let mut asked_user = BlockingInteraction(&mut user);
        let result = {
            let future = pin!(run_async(ceremony, &mut transport, &mut asked_user, || at(0)));
            match future.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => result,
                Poll::Pending => panic!("nothing is waited for"),
            }
        };
        assert_eq!(result.map_err(|error| error.cause), Err(cause), "{pin:?} {new_pin:?}");
        assert_eq!((user.asked, user.asked_for_new), (asked, asked_for_new), "{pin:?} {new_pin:?}");
    }
}

#[test]
fn a_pin_of_impossible_length_is_asked_for_again_so_often_and_no_more() {
    for pin in ["123", "0123456789012345678901234567890123456789012345678901234567890123"] {
        let (mut device, mut user) = (with_pin(), stuck(pin, ""));
        assert_eq!(registers(&mut device, &mut user), Err(Cause::PinLength));
        assert_eq!((user.asked, device.sub_commands()), (MOST, vec![GET_PIN_RETRIES]));
        let (mut device, mut user) = (with_pin(), stuck("", pin));
        assert_eq!(sets(&mut device, &mut user), Err(Cause::PinLength));
        assert_eq!((user.asked_for_new, device.sub_commands()), (MOST, vec![]));
    }
}

#[test]
fn the_same_wrong_pin_costs_one_attempt() {
    for operation in [registers, changes] {
        let (mut device, mut user) = (with_pin(), stuck("0000", "5678"));
        assert_eq!(operation(&mut device, &mut user), Err(status(Status::PIN_INVALID)));
        assert_eq!((device.retries, user.asked, device.reconnects), (7, MOST, 0));
    }
    // Another one may still be the right one.
    let mut device = with_pin();
    let mut user = User::with_pins(["0000", "0000", "123", "0000", "0001", "0001", PIN]);
    make_stub(&mut device, &make_options(), &mut user).unwrap();
    let asked = device.sub_commands().iter().filter(|sub| **sub == GET_TOKEN_USING_PIN).count();
    assert_eq!((asked, user.prompts.len()), (3, 7));
}

#[test]
fn a_new_pin_that_breaks_the_policy_is_asked_for_again_so_often_and_no_more() {
    let mut device = with_pin().altered(|device| device.refusals = [Status::PIN_POLICY_VIOLATION; 100].into());
    let mut user = stuck(PIN, "1111");
    assert_eq!(changes(&mut device, &mut user), Err(status(Status::PIN_POLICY_VIOLATION)));
    assert_eq!((user.asked, user.asked_for_new, device.retries), (1, MOST, 8));
}

#[test]
fn the_caller_says_how_many_pins_a_user_may_give() {
    assert_eq!(
        (ClientPolicy::STANDARD.pin_attempts, ClientPolicy::PYTHON_FIDO2.pin_attempts),
        (DEFAULT_PIN_ATTEMPTS, 1)
    );
    for attempts in [0, 1, 2, 3] {
        for (pin, cause) in [("0000", status(Status::PIN_INVALID)), ("123", Cause::PinLength)] {
            let (mut device, mut user) = (with_pin(), stuck(pin, ""));
            let (options, mut buffer) = (make_options(), [0; 1024]);
            let ceremony =
                Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng()).pin_attempts(attempts);
            assert_eq!(run_stuck(ceremony, &mut device, &mut user), Err(cause));
            assert_eq!(user.asked, u32::from(attempts.max(1)));
        }
    }
    // The policy of a client is that of its ceremonies.
    let mut client = fido2::client(StubCrypto, with_pin(), User::with_pins(["0000", PIN]));
    client.policy = ClientPolicy::PYTHON_FIDO2;
    let (mut json, mut buffer) = ([0; 256], [0; 1024]);
    let creation = client.creation(&fido2::creation(), &mut json).unwrap();
    let made = client.make_credential(&creation, &mut buffer);
    assert_eq!(made.map(drop).map_err(|error| error.cause), Err(status(Status::PIN_INVALID)));
    assert_eq!(client.user.prompts.len(), 1);
}

#[test]
fn built_in_verification_that_always_fails_and_never_runs_out_of_attempts_is_given_up() {
    let mut device = Device::with_uv(StubCrypto);
    (device.uv, device.uv_retries) = ([Status::UV_INVALID; 100].into(), 1000);
    let mut user = stuck("", "");
    assert_eq!(registers(&mut device, &mut user), Err(status(Status::UV_BLOCKED)));
    assert_eq!(user.asked_for_uv, 25);
}
