//! Code that several targets share: reading an input, and checks.

#[allow(clippy::new_without_default)] // nothing but tests makes a key by default
#[path = "../../soft-authenticator/tests/harness/mod.rs"]
pub mod harness;
pub mod key;

use std::fmt::Debug;

use keyfob_core::{
    cbor::{self, Message, Reader, Write, Writer},
    transport::hid::{BROADCAST, HidCommand, Packet, REPORT_LEN},
};

/// An input that is read from its front. After its end, zeros are read.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Whether the whole input was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.chunk::<1>()[0]
    }

    /// The next two bytes as a number, big-endian.
    pub fn word(&mut self) -> usize {
        u16::from_be_bytes(self.chunk()).into()
    }

    /// The next `N` bytes.
    pub fn chunk<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_at(self.0.len().min(N));
        self.0 = rest;
        let mut chunk = [0; N];
        chunk[..taken.len()].copy_from_slice(taken);
        chunk
    }

    /// A length of two bytes and that many bytes, or fewer at the end of the input.
    pub fn slice(&mut self) -> &'a [u8] {
        let length = self.word().min(self.0.len());
        let (slice, rest) = self.0.split_at(length);
        self.0 = rest;
        slice
    }

    /// A CTAPHID report: the channel, often one that is in use; the byte with the packet's type and command or sequence
    /// number; the length in an initialization packet; the data, padded with zeros.
    pub fn report(&mut self) -> [u8; REPORT_LEN] {
        let channel = match self.byte() {
            small @ 0..16 => small.into(),
            16..32 => BROADCAST,
            _ => u32::from_be_bytes(self.chunk()),
        };
        match self.byte() {
            sequence @ 0..0x80 => Packet::Continuation { channel, sequence, data: self.slice() },
            command => {
                let (command, len) = (HidCommand(command & 0x7F), self.word() as u16);
                Packet::Initialization { channel, command, len, data: self.slice() }
            }
        }
        .report()
    }
}

/// Changes bytes of `parts`, which count as one sequence. The input has a count, and for each change two bytes for the
/// place and one for the change.
pub fn edit(input: &mut Input<'_>, parts: &mut [&mut [u8]]) -> bool {
    let mut edited = false;
    for _ in 0..input.byte() % 4 {
        let (at, change) = (input.word(), input.byte());
        let total = parts.iter().map(|part| part.len()).sum::<usize>().max(1);
        if let Some(byte) = parts.iter_mut().flat_map(|part| part.iter_mut()).nth(at % total) {
            *byte ^= change;
            edited |= change != 0;
        }
    }
    edited
}

/// Checks that the interpreter of tables, which the feature `small` selects, reads and writes a message as the code
/// does that is compiled for it.
pub fn same_by_table<'a, T: Message<'a> + Write + PartialEq + Debug>(bytes: &'a [u8]) {
    for start in [Reader::strict(bytes), Reader::tolerant(bytes)] {
        let (mut fast, mut small) = (start, start);
        let value = T::read(&mut fast);
        assert_eq!(T::read_by_table(&mut small), value);
        let Ok(value) = value else { continue };
        assert_eq!(small, fast);
        for room in [bytes.len(), bytes.len() / 2] {
            let (mut fast, mut small) = (vec![0; room], vec![0; room]);
            let mut w = Writer::new(&mut small);
            value.write_by_table(&mut w, &[]);
            let small = w.finish().map(|len| &small[..len]);
            assert_eq!(small, cbor::encode(&value, &mut fast).map(|len| &fast[..len]));
        }
    }
}

/// Decodes `$bytes` as `$ty` under both sets of rules. A decoded value must be the same after it was written and read
/// again.
#[macro_export]
macro_rules! round_trip {
    ($bytes:expr, $ty:ty) => {{
        use keyfob_core::cbor;
        let bytes: &[u8] = $bytes;
        let mut buffer = vec![0; bytes.len()];
        if let Ok(value) = cbor::decode::<$ty>(bytes) {
            // Writing canonical input again can only drop unknown members, so it is never longer.
            let length = cbor::encode(&value, &mut buffer).expect("fits where it came from");
            let written = &buffer[..length];
            assert!(length < bytes.len() || written == bytes, "same length, other bytes: {written:02x?}");
            let again = cbor::decode::<$ty>(written).expect("strict reads what was written");
            assert_eq!(again, value);
            assert_eq!(cbor::decode_tolerant::<$ty>(bytes), Ok(value), "tolerant reads what strict reads");
        }
        if let Ok(value) = cbor::decode_tolerant::<$ty>(bytes) {
            let length = cbor::encode(&value, &mut buffer).expect("the shortest form fits");
            let again = cbor::decode_tolerant::<$ty>(&buffer[..length]).expect("reads what was written");
            assert_eq!(again, value);
        }
    }};
}

/// What [`round_trip!`] checks, and [`same_by_table`].
#[macro_export]
macro_rules! message {
    ($bytes:expr, $ty:ty) => {{
        $crate::round_trip!($bytes, $ty);
        $crate::same_by_table::<$ty>($bytes);
    }};
}
