//! The engine behind Bluetooth: whole ceremonies of the client over a connection.

use std::{cell::Cell, convert::Infallible, rc::Rc, time::Duration};

use keyfob_core::{
    Instant, Status,
    ctap1::{Control, RegisterResponse, StatusWord},
    ctap2::Command,
    transport::{
        KeepAlive, Protocol, Received, Transport,
        ble::{BleIo, BleTransport, DeviceConfig, MAX_FRAGMENT, Revisions},
    },
};
use keyfob_soft_authenticator::{
    Caps,
    ble::BleAuthenticator,
    engine::{Config, Wait},
};

use super::{
    harness::*,
    nfc::{Clock, register_and_sign_in},
    u2f::{authentication, registration},
};

/// A key at the other end of a connection.
struct Peer {
    key: BleAuthenticator<'static, Bench>,
    clock: Clock,
    fragment: usize,
    atom: u64,
    /// When the user touches the key after being asked, if at all.
    touches: Option<u64>,
    asked: Option<u64>,
}

impl Peer {
    fn new(key: Key, fragment: usize) -> Self {
        let clock = Rc::new(Cell::new(key.now.as_millis()));
        let key = BleAuthenticator::new(key.engine, DeviceConfig::default());
        Self { key, clock, fragment, atom: 0, touches: Some(20), asked: None }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.clock.get())
    }

    fn work(&mut self) {
        let now = self.now();
        let asks = self.key.waits_for() == Some(Wait::Touch) || self.key.u2f_awaits_touch(now);
        self.asked = if asks { self.asked.or(Some(self.clock.get())) } else { None };
        if self.asked.zip(self.touches).is_some_and(|(asked, after)| asked + after <= self.clock.get()) {
            self.key.touch(now, true);
        }
        self.key.tick(now);
        self.clock.set(self.clock.get() + if self.key.waits_for() == Some(Wait::Processing) { self.atom } else { 5 });
    }

    fn transport(self) -> BleTransport<Peer, impl FnMut() -> Instant> {
        let (clock, revisions, fragment) = (self.clock.clone(), self.key.revisions(), self.fragment);
        BleTransport::new(self, move || Instant::from_millis(clock.get()), revisions, fragment)
    }
}

impl BleIo for Peer {
    type Error = Infallible;

    fn select(&mut self, revision: Revisions) -> Result<(), Infallible> {
        assert!(self.key.select(revision));
        Ok(())
    }

    fn write(&mut self, fragment: &[u8]) -> Result<(), Infallible> {
        assert!(fragment.len() <= self.fragment);
        self.key.receive(self.now(), fragment);
        Ok(())
    }

    fn read(&mut self, wait: Duration, fragment: &mut [u8]) -> Result<Option<usize>, Infallible> {
        assert_eq!(fragment.len(), MAX_FRAGMENT);
        let until = self.now().plus(wait);
        loop {
            if let Some(len) = self.key.transmit(self.now(), &mut fragment[..self.fragment]) {
                return Ok(Some(len));
            }
            if self.now() >= until {
                return Ok(None);
            }
            self.work();
        }
    }
}

fn call(transport: &mut impl Transport<Error: std::fmt::Debug>, protocol: Protocol, request: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 7609];
    transport.send(protocol, request).unwrap();
    loop {
        match transport.receive(&mut buffer, Duration::from_millis(100)).unwrap() {
            Received::Response(len) => return buffer[..len].to_vec(),
            Received::KeepAlive(_) | Received::Nothing => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_key_registers_and_signs_in_over_bluetooth_in_fragments_of_any_length() {
    for (fragment, atom) in [(20, 0), (20, 300), (182, 60), (512, 0)] {
        let mut peer = Peer::new(Key::new(), fragment);
        peer.atom = atom;
        let clock = peer.clock.clone();
        register_and_sign_in(&mut peer.transport(), &clock, |_| ());
    }
}

#[test]
fn u2f_and_ctap2_go_over_one_connection() {
    let mut transport = Peer::new(Key::new(), 20).transport();
    let application = rp_id_hash(RP);
    let refused = StatusWord::CONDITIONS_NOT_SATISFIED.0.to_be_bytes();
    let mut touched = |request: &[u8]| {
        loop {
            let response = call(&mut transport, Protocol::Ctap1, request);
            if response != refused {
                return response;
            }
            (0..10).for_each(|_| transport.io_mut().work());
        }
    };
    let made = touched(&registration(&application));
    let key_handle = RegisterResponse::decode(&made).unwrap().key_handle.to_vec();
    let signed = touched(&authentication(Control::ENFORCE_USER_PRESENCE, &application, &key_handle));
    assert_eq!(signed[0], 1);
    assert_eq!(call(&mut transport, Protocol::Ctap2, &[Command::GET_INFO.0])[0], Status::OK.0);
}

#[test]
fn a_key_without_u2f_offers_ctap2_only() {
    let config = Config { caps: Config::new([0xAA; 16]).caps.without(Caps::U2F), ..Config::new([0xAA; 16]) };
    let peer = Peer::new(Key::with(config), 20);
    assert_eq!(peer.key.revisions(), Revisions::FIDO2);
    let mut transport = peer.transport();
    assert_eq!(call(&mut transport, Protocol::Ctap1, &[0, 3, 0, 0]), [0x01], "an invalid command");
    assert_eq!(call(&mut transport, Protocol::Ctap2, &[Command::GET_INFO.0])[0], Status::OK.0);
}

/// 11.4: CANCEL while a touch is awaited → KEEPALIVE_CANCEL
#[test]
fn the_user_is_asked_by_keep_alives_and_a_cancellation_is_answered() {
    let mut peer = Peer::new(Key::new(), 20);
    peer.touches = None;
    let mut transport = peer.transport();
    transport.send(Protocol::Ctap2, &message(Command::MAKE_CREDENTIAL, &resident(b"a"))).unwrap();
    let mut buffer = [0; 2048];
    let mut told = 0;
    while told < 4 {
        match transport.receive(&mut buffer, Duration::from_millis(600)).unwrap() {
            Received::KeepAlive(KeepAlive::UpNeeded) => told += 1,
            Received::KeepAlive(_) => {}
            other => panic!("{other:?}"),
        }
    }
    transport.cancel().unwrap();
    assert_eq!(transport.receive(&mut buffer, Duration::ZERO), Ok(Received::Response(1)));
    assert_eq!(Status(buffer[0]), Status::KEEPALIVE_CANCEL);
}

#[test]
fn a_lost_connection_ends_a_command_and_a_sequence() {
    let mut transport = Peer::new(Key::new(), 20).transport();
    for user in [b"a", b"b"] {
        let request = message(Command::MAKE_CREDENTIAL, &resident(user));
        assert_eq!(call(&mut transport, Protocol::Ctap2, &request)[0], Status::OK.0);
    }
    for lost in [false, true] {
        assert_eq!(call(&mut transport, Protocol::Ctap2, &message(Command::GET_ASSERTION, &assertion()))[0], 0);
        if lost {
            transport.io_mut().key.disconnect();
            transport.reconnect().unwrap();
        }
        let next = call(&mut transport, Protocol::Ctap2, &[Command::GET_NEXT_ASSERTION.0]);
        assert_eq!(Status(next[0]), if lost { Status::NOT_ALLOWED } else { Status::OK });
    }
    transport.io_mut().touches = None;
    transport.send(Protocol::Ctap2, &[Command::SELECTION.0]).unwrap();
    while transport.io_mut().key.waits_for() != Some(Wait::Touch) {
        transport.io_mut().work();
    }
    transport.io_mut().key.disconnect();
    assert_eq!(transport.io_mut().key.waits_for(), None);
    let now = transport.io_mut().now();
    assert_eq!(transport.io_mut().key.transmit(now, &mut [0; 20]), None);
}
