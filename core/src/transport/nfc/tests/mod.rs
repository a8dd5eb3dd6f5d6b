//! Common parts of the tests: a card that echoes, and a clock that the test advances.

mod device;
mod host;
mod io;
mod properties;

use super::*;
use crate::Instant;
use crate::transport::{KeepAlive, Protocol};

const SELECT_FIDO: &str = "00a4040008a0000006472f000100";
/// The response that does not come yet.
const NO_RESPONSE: [u8; 0] = [];
const UP_NEEDED: KeepAlive = KeepAlive::UpNeeded;

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A device, its buffer and its clock.
struct Card {
    device: Device,
    buffer: Vec<u8>,
    now: Instant,
    events: Vec<DeviceEvent>,
}

impl Card {
    fn new(config: DeviceConfig) -> Self {
        Self { device: Device::new(config), buffer: vec![0; 7609], now: Instant::default(), events: vec![] }
    }

    /// A card that is selected.
    fn selected() -> Self {
        let mut card = Self::new(DeviceConfig::default());
        assert_eq!(card.ask(SELECT_FIDO), hex("5532465f5632 9000"));
        card.events.clear();
        card
    }

    fn receive(&mut self, command: &[u8]) -> Option<DeviceEvent> {
        let event = self.device.receive(self.now, command, &mut self.buffer);
        self.events.extend(event);
        event
    }

    fn transmit(&mut self) -> Option<Vec<u8>> {
        let mut out = vec![0; 65_538];
        let len = self.device.transmit(self.now, &self.buffer)?.encode(&mut out).unwrap();
        out.truncate(len);
        Some(out)
    }

    /// Sends a command, and returns its response, which comes at once.
    fn ask(&mut self, command: &str) -> Vec<u8> {
        self.receive(&hex(command));
        self.transmit().unwrap_or_default()
    }

    /// Answers the pending request.
    fn answer(&mut self, answer: &[u8]) {
        self.buffer[..answer.len()].copy_from_slice(answer);
        self.device.respond(answer.len());
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
    }

    /// The pending request.
    fn request(&self) -> (Protocol, Vec<u8>) {
        match self.events.last() {
            Some(DeviceEvent::Request { protocol, len }) => (*protocol, self.buffer[..*len].to_vec()),
            other => panic!("{other:?}"),
        }
    }
}
