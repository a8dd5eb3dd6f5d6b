//! Common parts of the tests: a device on a bench, a pair of both ends, and a clock that the test advances.

mod descriptor;
mod device;
mod device_busy;
mod front;
mod host;
mod io;
mod properties;

use super::message::{Incoming, Outgoing};
use super::*;
use crate::Instant;
use crate::transport::hid::link::LEFT_OVER;

const NONCE: [u8; 8] = [0x80, 0x43, 0x56, 0x40, 0xb1, 0x4e, 0xd9, 0x2d];

/// A whole message with its channel and command.
type Message = (u32, HidCommand, Vec<u8>);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A report from its first bytes in hexadecimal.
fn report(hex: &str) -> [u8; 64] {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    let mut report = [0; 64];
    for (byte, pair) in report.iter_mut().zip(digits.chunks(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    report
}

/// The packets of a message.
fn packets(channel: u32, command: HidCommand, data: &[u8]) -> Vec<[u8; 64]> {
    let mut message = Outgoing::new(channel, command, data.len() as u16);
    std::iter::from_fn(|| message.next(data)).collect()
}

/// An initialization packet that claims `len` bytes.
fn claim(channel: u32, command: HidCommand, len: u16) -> [u8; 64] {
    Packet::Initialization { channel, command, len, data: &[0xAA; 57] }.report()
}

fn continuation(channel: u32, sequence: u8) -> [u8; 64] {
    Packet::Continuation { channel, sequence, data: &[0xBB; 59] }.report()
}

/// Puts messages together; the packets of each must be in order and belong together.
fn messages(reports: &[[u8; 64]]) -> Vec<Message> {
    let mut done = Vec::new();
    let mut open: Vec<(Incoming, Vec<u8>)> = Vec::new();
    for report in reports {
        let mut current = match Packet::parse(report) {
            Packet::Initialization { channel, command, len, data } => {
                let (mut message, mut bytes) = (Incoming::new(channel, command, len), vec![0; len.into()]);
                message.start(data, &mut bytes);
                (message, bytes)
            }
            Packet::Continuation { channel, sequence, data } => {
                let index = open.iter().position(|(message, _)| message.channel == channel).expect("no beginning");
                let (mut message, mut bytes) = open.remove(index);
                assert!(message.resume(sequence, data, &mut bytes).is_ok(), "out of order");
                (message, bytes)
            }
        };
        if current.0.is_complete() {
            done.push((current.0.channel, current.0.command, std::mem::take(&mut current.1)));
        } else {
            open.push(current);
        }
    }
    assert!(open.is_empty(), "a message has no end");
    done
}

fn error(channel: u32, code: HidErrorCode) -> Message {
    (channel, HidCommand::ERROR, vec![code.0])
}

/// A device, its buffer and its clock.
struct Bench {
    device: Device,
    buffer: Vec<u8>,
    now: u64,
}

impl Bench {
    fn new(config: DeviceConfig) -> Self {
        Self { device: Device::new(config), buffer: vec![0; MAX_MESSAGE], now: 1_000 }
    }

    /// A device with an open channel.
    fn open() -> (Self, u32) {
        let mut bench = Self::new(DeviceConfig::default());
        let channel = bench.allocate();
        (bench, channel)
    }

    /// A device that knows LOCK, with an open channel.
    fn with_lock() -> (Self, u32) {
        let mut bench = Self::new(DeviceConfig { lock: true, ..DeviceConfig::default() });
        let channel = bench.allocate();
        (bench, channel)
    }

    fn wait(&mut self, millis: u64) {
        self.now += millis;
    }

    fn receive(&mut self, report: &[u8; 64]) -> Option<DeviceEvent> {
        self.device.receive(at(self.now), report, &mut self.buffer)
    }

    /// Sends a whole message and returns the event of its last packet.
    fn message(&mut self, channel: u32, command: HidCommand, data: &[u8]) -> Option<DeviceEvent> {
        packets(channel, command, data).iter().map(|packet| self.receive(packet)).last().flatten()
    }

    /// All reports that are ready now.
    fn reports(&mut self) -> Vec<[u8; 64]> {
        std::iter::from_fn(|| self.device.transmit(at(self.now), &self.buffer)).collect()
    }

    fn answers(&mut self) -> Vec<Message> {
        messages(&self.reports())
    }

    /// Sends one report that causes no event and returns the device's answers.
    fn answers_to(&mut self, report: &[u8; 64]) -> Vec<Message> {
        assert_eq!(self.receive(report), None);
        self.answers()
    }

    /// The answers to a message that causes no event.
    fn ask(&mut self, channel: u32, command: HidCommand, data: &[u8]) -> Vec<Message> {
        assert_eq!(self.message(channel, command, data), None);
        self.answers()
    }

    fn allocate(&mut self) -> u32 {
        let answers = self.ask(BROADCAST, HidCommand::INIT, &NONCE);
        let [(BROADCAST, HidCommand::INIT, response)] = &answers[..] else { panic!("{answers:?}") };
        u32::from_be_bytes(response[8..12].try_into().unwrap())
    }

    /// Makes a CBOR request pending.
    fn pending(&mut self, channel: u32) {
        let event = self.message(channel, HidCommand::CBOR, &[0x04]);
        assert_eq!(event, Some(DeviceEvent::Request { command: HidCommand::CBOR, len: 1 }));
    }

    /// Answers the pending request and checks that the response arrives.
    fn finish(&mut self, channel: u32, command: HidCommand) {
        self.buffer[..3].copy_from_slice(&[0, 1, 2]);
        self.device.respond(3);
        assert_eq!(self.answers(), [(channel, command, vec![0, 1, 2])]);
    }
}

/// Both ends, with a pipe and one clock between them.
struct Pair {
    host: Host,
    message: Vec<u8>,
    bench: Bench,
    events: Vec<HostEvent>,
    nonce: u64,
}

impl Pair {
    fn new(config: DeviceConfig) -> Self {
        Self { host: Host::new(), message: vec![0; MAX_MESSAGE], bench: Bench::new(config), events: vec![], nonce: 0 }
    }

    fn now(&self) -> Instant {
        at(self.bench.now)
    }

    /// Moves reports until both ends are quiet. `lossy` returns the reports that arrive for a report that was sent.
    /// CBOR and MSG requests are echoed.
    fn run_with(&mut self, mut lossy: impl FnMut([u8; 64]) -> Vec<[u8; 64]>) {
        loop {
            let (up, down) = (self.host.transmit(self.now(), &self.message), self.bench.reports());
            if up.is_none() && down.is_empty() {
                return;
            }
            for report in up.into_iter().flat_map(&mut lossy) {
                if let Some(DeviceEvent::Request { len, .. }) = self.bench.receive(&report) {
                    self.bench.device.respond(len);
                }
            }
            for report in down.into_iter().flat_map(&mut lossy) {
                self.events.extend(self.host.receive(at(self.bench.now), &report, &mut self.message));
            }
        }
    }

    fn run(&mut self) {
        self.run_with(|report| vec![report]);
    }

    /// Advances the clock at both ends until the host waits for nothing.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            let Some(deadline) = self.host.deadline() else { return };
            self.bench.now = self.bench.now.max(deadline.as_millis());
            self.run();
            self.events.extend(self.host.expire(at(self.bench.now)));
        }
        panic!("never quiet");
    }

    fn open(&mut self) -> Option<HostEvent> {
        self.nonce += 1;
        self.host.open(self.now(), self.nonce.to_be_bytes());
        self.run();
        self.events.pop()
    }

    fn opened() -> Self {
        let mut pair = Self::new(DeviceConfig::default());
        assert!(matches!(pair.open(), Some(HostEvent::Opened(_))));
        pair
    }

    fn send(&mut self, command: HidCommand, data: &[u8]) {
        self.message[..data.len()].copy_from_slice(data);
        self.host.send(self.now(), command, data.len()).unwrap();
    }

    /// Sends a message and checks that it comes back unchanged.
    fn echo(&mut self, command: HidCommand, data: &[u8]) {
        self.send(command, data);
        self.run();
        self.message[data.len()..].fill(0);
        assert_eq!(self.events.pop(), Some(HostEvent::Response { command, len: data.len() }));
        assert_eq!(&self.message[..data.len()], data);
    }
}
