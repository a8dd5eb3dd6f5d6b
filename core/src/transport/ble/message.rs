//! Splits messages into fragments and puts them together again, for both ends. The bytes lie in the caller's buffer.

use super::{BleCommand, Fragment, fragment_length};
use crate::bytes;

/// A message that is being sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    pub command: BleCommand,
    len: u16,
    /// Message bytes sent so far.
    sent: usize,
    /// The number of the next continuation fragment. `None` before the first fragment.
    sequence: Option<u8>,
}

impl Outgoing {
    pub const fn new(command: BleCommand, len: u16) -> Self {
        Self { command, len, sent: 0, sequence: None }
    }

    pub const fn is_begun(&self) -> bool {
        self.sequence.is_some()
    }

    pub fn is_done(&self) -> bool {
        self.is_begun() && self.sent >= self.len.into()
    }

    /// Writes the next fragment of the message in `buffer[..len]` to the front of `out`, whose length is the fragment
    /// length, and returns its length. `None` after the last.
    pub fn next(&mut self, buffer: &[u8], out: &mut [u8]) -> Option<usize> {
        if self.is_done() {
            return None;
        }
        let message = buffer.get(..self.len.into()).unwrap_or(buffer);
        let left = message.get(self.sent..).unwrap_or(&[]); // of a driver that answers more than it has
        let room = fragment_length(out.len());
        let (head, next) = match self.sequence {
            None => (3, 0),
            Some(sequence) => (1, sequence.wrapping_add(1) & 0x7F),
        };
        let carried = room.saturating_sub(head).min(usize::from(self.len).saturating_sub(self.sent));
        let data = left.get(..carried).unwrap_or(left);
        let fragment = match self.sequence {
            None => Fragment::Initialization { command: self.command, len: self.len, data },
            Some(sequence) => Fragment::Continuation { sequence, data },
        };
        self.sequence = Some(next);
        self.sent = self.sent.saturating_add(carried);
        Some(fragment.write(out))
    }
}

/// Why a fragment does not belong to the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It came out of order.
    Sequence,
    /// It has no data, or more than the message.
    Length,
}

/// A message that is being received. The caller has checked that it fits into the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub command: BleCommand,
    pub len: u16,
    /// Message bytes received so far.
    received: usize,
    /// The number of the next continuation fragment.
    sequence: u8,
}

impl Incoming {
    /// Takes the data of the initialization fragment.
    pub fn start(command: BleCommand, len: u16, data: &[u8], buffer: &mut [u8]) -> Result<Self, Misfit> {
        let mut message = Self { command, len, received: 0, sequence: 0 };
        message.store(data, buffer)?;
        Ok(message)
    }

    /// Takes the data of a continuation fragment.
    pub fn resume(&mut self, sequence: u8, data: &[u8], buffer: &mut [u8]) -> Result<(), Misfit> {
        if sequence != self.sequence {
            return Err(Misfit::Sequence);
        }
        if data.is_empty() {
            return Err(Misfit::Length);
        }
        self.sequence = self.sequence.wrapping_add(1) & 0x7F;
        self.store(data, buffer)
    }

    pub fn is_complete(&self) -> bool {
        self.received >= self.len.into()
    }

    fn store(&mut self, data: &[u8], buffer: &mut [u8]) -> Result<(), Misfit> {
        let end = self.received.saturating_add(data.len());
        if end > self.len.into() {
            return Err(Misfit::Length);
        }
        let room = buffer.get_mut(self.received..end).ok_or(Misfit::Length)?;
        bytes::copy(room, data);
        self.received = end;
        Ok(())
    }
}
