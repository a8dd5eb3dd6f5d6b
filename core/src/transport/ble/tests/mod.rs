//! Common parts of the tests: a device, a pair of both ends, and a clock that the test advances.

mod device;
mod host;
mod io;
mod properties;

use super::*;
use crate::Instant;
use crate::transport::KeepAlive;

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The fragments of a message.
fn fragments(command: BleCommand, data: &[u8], length: usize) -> Vec<Vec<u8>> {
    let mut message = message::Outgoing::new(command, data.len() as u16);
    let mut out = vec![0; length];
    std::iter::from_fn(|| message.next(data, &mut out).map(|len| out[..len].to_vec())).collect()
}

/// A device, its buffer and its clock.
struct Bench {
    device: Device,
    buffer: Vec<u8>,
    now: Instant,
    length: usize,
}

impl Bench {
    fn new(config: DeviceConfig) -> Self {
        let mut bench =
            Self { device: Device::new(config), buffer: vec![0; 7609], now: Instant::default(), length: 20 };
        bench.device.select(Revisions::FIDO2);
        bench
    }

    fn receive(&mut self, fragment: &[u8]) -> Option<DeviceEvent> {
        self.device.receive(self.now, fragment, &mut self.buffer)
    }

    /// Writes the fragments of a message.
    fn send(&mut self, command: BleCommand, data: &[u8]) -> Option<DeviceEvent> {
        fragments(command, data, self.length).iter().filter_map(|fragment| self.receive(fragment)).last()
    }

    /// The next fragment that the device notifies.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut out = vec![0; self.length];
        let len = self.device.transmit(self.now, &self.buffer, &mut out)?;
        out.truncate(len);
        Some(out)
    }

    /// All fragments that the device notifies now.
    fn all(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Writes a fragment in hexadecimal, and returns what the device notifies.
    fn ask(&mut self, fragment: &str) -> Vec<Vec<u8>> {
        assert_eq!(self.receive(&hex(fragment)), None);
        self.all()
    }

    fn answer(&mut self, answer: &[u8]) {
        self.buffer[..answer.len()].copy_from_slice(answer);
        self.device.respond(answer.len());
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
    }
}

fn error(code: BleErrorCode) -> Vec<Vec<u8>> {
    vec![vec![0xBF, 0, 1, code.0]]
}

fn bytes_of(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(31)).collect()
}

#[test]
fn lengths_are_within_the_limits_of_the_standard() {
    assert_eq!([0, 20, 244, 512, 9999].map(control_point_length), [[0, 20], [0, 20], [0, 244], [2, 0], [2, 0]]);
}

#[test]
fn a_message_is_cut_into_fragments() {
    let data = bytes_of(40);
    let expected = [
        [&hex("830028")[..], &data[..17]].concat(),
        [&[0][..], &data[17..36]].concat(),
        [&[1][..], &data[36..]].concat(),
    ];
    assert_eq!(fragments(BleCommand::MSG, &data, 20), expected);
    assert_eq!(fragments(BleCommand::MSG, &data, 43), [[&hex("830028")[..], &data].concat()]);
    assert_eq!(fragments(BleCommand::CANCEL, &[], 20), [hex("be0000")]);
    assert_eq!(fragments(BleCommand::KEEPALIVE, &[2], 20), [hex("82000102")]);
}

#[test]
fn sequence_numbers_begin_again_after_7f() {
    let all = fragments(BleCommand::MSG, &bytes_of(17 + 19 * 130), 20);
    assert_eq!((all[128][0], all[129][0], all[130][0]), (0x7F, 0, 1));
}

#[test]
fn revisions_say_which_protocol_a_client_selects() {
    let all = Revisions(0xE0);
    assert_eq!(all.newest_of(Protocol::Ctap1), Some(Revisions::U2F_1_2));
    assert_eq!(all.newest_of(Protocol::Ctap2), Some(Revisions::FIDO2));
    assert_eq!(Revisions::U2F_1_1.newest_of(Protocol::Ctap1), Some(Revisions::U2F_1_1));
    assert_eq!(Revisions::U2F_1_1.newest_of(Protocol::Ctap2), None);
    assert_eq!([0x80, 0x40, 0x20].map(|bit| Revisions(bit).protocol().is_some()), [true; 3]);
    assert_eq!([0x00, 0x60, 0x10, 0xFF].map(|bit| Revisions(bit).protocol()), [None; 4]);
}
