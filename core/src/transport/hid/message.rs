//! Splits messages into packets and puts them together again, for both ends and both directions. The bytes lie in the
//! caller's buffer.

use super::{CONTINUATION_DATA, HidCommand, INIT_DATA, Packet, REPORT_LEN};
use crate::bytes;

/// Message bytes that the first `packets` packets carry.
fn carried(packets: u8) -> usize {
    match packets.checked_sub(1) {
        None => 0,
        Some(continuations) => INIT_DATA.saturating_add(CONTINUATION_DATA.saturating_mul(continuations.into())),
    }
}

/// A message that is being sent, at most [`super::MAX_MESSAGE`] bytes long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    pub channel: u32,
    pub command: HidCommand,
    pub len: u16,
    packets: u8,
}

impl Outgoing {
    pub fn new(channel: u32, command: HidCommand, len: u16) -> Self {
        Self { channel, command, len, packets: 0 }
    }

    /// Starts again from the first packet.
    pub fn rewind(&mut self) {
        self.packets = 0;
    }

    pub fn is_begun(&self) -> bool {
        self.packets > 0
    }

    pub fn is_done(&self) -> bool {
        self.packets > 0 && carried(self.packets) >= self.len.into()
    }

    /// The next packet of the message in `buffer[..len]`. `None` after the last.
    pub fn next(&mut self, buffer: &[u8]) -> Option<[u8; REPORT_LEN]> {
        if self.is_done() {
            return None;
        }
        let message = buffer.get(..self.len.into()).unwrap_or(buffer);
        let data = message.get(carried(self.packets)..).unwrap_or(&[]); // of a driver that answers more than it has
        let Self { channel, command, len, .. } = *self;
        let packet = match self.packets.checked_sub(1) {
            None => Packet::Initialization { channel, command, len, data },
            Some(sequence) => Packet::Continuation { channel, sequence, data },
        };
        self.packets = self.packets.saturating_add(1);
        Some(packet.report())
    }
}

/// A continuation packet came out of order.
pub(super) struct WrongSequence;

/// A message that is being received. The caller has checked that it fits into the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub channel: u32,
    pub command: HidCommand,
    pub len: u16,
    packets: u8,
}

impl Incoming {
    pub fn new(channel: u32, command: HidCommand, len: u16) -> Self {
        Self { channel, command, len, packets: 0 }
    }

    /// Takes the data of the initialization packet.
    pub fn start(&mut self, data: &[u8], buffer: &mut [u8]) {
        self.packets = 0;
        self.store(data, buffer);
    }

    /// Takes the data of a continuation packet.
    pub fn resume(&mut self, sequence: u8, data: &[u8], buffer: &mut [u8]) -> Result<(), WrongSequence> {
        if sequence.checked_add(1) != Some(self.packets) {
            return Err(WrongSequence);
        }
        self.store(data, buffer);
        Ok(())
    }

    pub fn is_complete(&self) -> bool {
        carried(self.packets) >= self.len.into()
    }

    fn store(&mut self, data: &[u8], buffer: &mut [u8]) {
        // The padding after the message is not copied.
        if let Some(room) = buffer.get_mut(carried(self.packets)..self.len.into()) {
            bytes::copy_prefix(room, data);
        }
        self.packets = self.packets.saturating_add(1);
    }
}
