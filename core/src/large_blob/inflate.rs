//! DEFLATE decompression into one slice, which also serves as the window (RFC 1951). Needs about 1 kB of stack and no
//! other memory.

use super::Error;

/// Longest code, in bits.
const MAX_BITS: usize = 15;
/// Literals, the end of a block, and lengths.
const LITERALS: usize = 288;
const DISTANCES: usize = 30;
const END_OF_BLOCK: u16 = 256;

/// The order in which the lengths of code-length codes come (RFC 1951 §3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Base and extra bits of the length symbols from 257 on (RFC 1951 §3.2.5). The last symbol stands for 258
/// alone, without extra bits.
pub(super) const LENGTHS: [(u16, u8); 29] = {
    let mut lengths: [_; 29] = ranges(3, 4);
    let [.., last] = &mut lengths;
    *last = (258, 0);
    lengths
};

/// Base and extra bits of the distance symbols (RFC 1951 §3.2.5).
pub(super) const OFFSETS: [(u16, u8); DISTANCES] = ranges(1, 2);

/// Consecutive ranges of numbers from `first` on: the base of each, and its number of extra bits. The first
/// `2 * group` ranges have none; after them, each `group` ranges have one bit more than the `group` before.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "runs at compile time")]
const fn ranges<const N: usize>(first: u16, group: usize) -> [(u16, u8); N] {
    let mut ranges = [(first, 0); N];
    let mut at = 1;
    while at < N {
        let (base, bits) = ranges[at - 1];
        ranges[at] = (base + (1 << bits), (at / group).saturating_sub(1) as u8);
        at += 1;
    }
    ranges
}

/// Decompresses `compressed` into `out`. The decompressed length must be exactly the length of `out`.
///
/// # Errors
/// [`Error::Compression`]: the data is malformed, or its decompressed length is not the length of `out`.
pub fn inflate(compressed: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let mut bits = Bits { bytes: compressed, held: 0, count: 0 };
    let mut out = Out { bytes: out, len: 0 };
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, &mut out)?,
            1 => {
                let mut lengths = [8; LITERALS];
                for (symbol, length) in lengths.iter_mut().enumerate() {
                    *length = fixed_length(symbol);
                }
                let (literals, distances) = (Codes::<LITERALS>::new(&lengths), Codes::new(&[5; DISTANCES]));
                block(&mut bits, &mut out, &literals, &distances)?;
            }
            2 => {
                let (literals, distances) = dynamic(&mut bits)?;
                block(&mut bits, &mut out, &literals, &distances)?;
            }
            _ => return Err(Error::Compression),
        }
        if last {
            break;
        }
    }
    if out.len == out.bytes.len() { Ok(()) } else { Err(Error::Compression) }
}

/// The length of a literal's or a length's code in the fixed table (RFC 1951 §3.2.6).
pub(super) const fn fixed_length(symbol: usize) -> u8 {
    match symbol {
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    }
}

/// The compressed bits, from the least significant bit of the first byte.
struct Bits<'a> {
    bytes: &'a [u8],
    held: u32,
    count: u32,
}

impl Bits<'_> {
    /// The next `count` bits, at most 16, as a number.
    fn take(&mut self, count: u32) -> Result<u16, Error> {
        while self.count < count {
            let (byte, rest) = self.bytes.split_first().ok_or(Error::Compression)?;
            self.bytes = rest;
            self.held |= u32::from(*byte).wrapping_shl(self.count);
            self.count = self.count.wrapping_add(8);
        }
        let taken = self.held & 1_u32.wrapping_shl(count).wrapping_sub(1);
        self.held = self.held.wrapping_shr(count);
        self.count = self.count.wrapping_sub(count);
        Ok(taken as u16)
    }

    /// Skips to the next whole byte. Between two symbols fewer than eight bits are held.
    fn align(&mut self) {
        (self.held, self.count) = (0, 0);
    }
}

struct Out<'o> {
    bytes: &'o mut [u8],
    len: usize,
}

impl Out<'_> {
    fn push(&mut self, byte: u8) -> Result<(), Error> {
        *self.bytes.get_mut(self.len).ok_or(Error::Compression)? = byte;
        self.len = self.len.wrapping_add(1);
        Ok(())
    }

    /// Repeats `length` bytes from `distance` bytes back.
    fn copy(&mut self, distance: usize, length: usize) -> Result<(), Error> {
        let from = self.len.checked_sub(distance).ok_or(Error::Compression)?;
        for at in from..from.wrapping_add(length) {
            let byte = *self.bytes.get(at).ok_or(Error::Compression)?;
            self.push(byte)?;
        }
        Ok(())
    }
}

fn stored(bits: &mut Bits<'_>, out: &mut Out<'_>) -> Result<(), Error> {
    bits.align();
    let (length, complement) = (bits.take(16)?, bits.take(16)?);
    if length != !complement {
        return Err(Error::Compression);
    }
    let (bytes, rest) = bits.bytes.split_at_checked(length.into()).ok_or(Error::Compression)?;
    bits.bytes = rest;
    bytes.iter().try_for_each(|byte| out.push(*byte))
}

/// A canonical Huffman code: how many codes there are of each length, and their symbols in order.
struct Codes<const N: usize> {
    counts: [u16; MAX_BITS + 1],
    symbols: [u16; N],
}

impl<const N: usize> Codes<N> {
    fn new(lengths: &[u8]) -> Self {
        let mut codes = Self { counts: [0; MAX_BITS + 1], symbols: [0; N] };
        let mut at = 0_usize;
        for bits in 1..=MAX_BITS {
            let of_length = lengths.iter().enumerate().filter(|(_, length)| usize::from(**length) == bits);
            for (symbol, _) in of_length {
                if let (Some(place), Some(count)) = (codes.symbols.get_mut(at), codes.counts.get_mut(bits)) {
                    *place = symbol as u16; // at most 287
                    *count = count.wrapping_add(1);
                }
                at = at.wrapping_add(1);
            }
        }
        codes
    }

    /// How many codes are unused. `None` when there are more codes than fit.
    fn unused(&self) -> Option<u32> {
        let mut left = 1_u32;
        for count in self.counts.iter().skip(1) {
            left = left.wrapping_mul(2).checked_sub((*count).into())?;
        }
        Some(left)
    }

    /// Whether the code is complete, that is, every sequence of bits has a meaning. Two incomplete codes are allowed: a
    /// single symbol with a code of one bit (RFC 1951 §3.2.7), and no symbols, if none is read.
    fn is_usable(&self) -> bool {
        let one_bit = || self.counts.iter().skip(2).all(|count| *count == 0);
        self.unused().is_some_and(|unused| unused == 0 || one_bit())
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<u16, Error> {
        let (mut code, mut first, mut index) = (0_u16, 0_u16, 0_u16);
        for count in self.counts.iter().skip(1) {
            code |= bits.take(1)?;
            let past = code.wrapping_sub(first);
            if past < *count {
                let at = usize::from(index.wrapping_add(past));
                return self.symbols.get(at).copied().ok_or(Error::Compression);
            }
            index = index.wrapping_add(*count);
            first = first.wrapping_add(*count).wrapping_mul(2);
            code = code.wrapping_mul(2);
        }
        Err(Error::Compression)
    }
}

/// The codes of a block with dynamic Huffman codes (RFC 1951 §3.2.7).
fn dynamic(bits: &mut Bits<'_>) -> Result<(Codes<LITERALS>, Codes<DISTANCES>), Error> {
    let literals = usize::from(bits.take(5)?).wrapping_add(257);
    let distances = usize::from(bits.take(5)?).wrapping_add(1);
    let code_lengths = usize::from(bits.take(4)?).wrapping_add(4);
    if literals > 286 || distances > DISTANCES {
        return Err(Error::Compression);
    }
    let mut lengths = [0; 19];
    for place in ORDER.iter().take(code_lengths) {
        if let Some(length) = lengths.get_mut(usize::from(*place)) {
            *length = bits.take(3)? as u8;
        }
    }
    let code = Codes::<19>::new(&lengths);
    if !code.is_usable() {
        return Err(Error::Compression);
    }
    let mut lengths = [0_u8; 286 + DISTANCES];
    let lengths = lengths.get_mut(..literals.wrapping_add(distances)).ok_or(Error::Compression)?;
    let (mut at, mut previous) = (0_usize, None);
    while at < lengths.len() {
        let (length, times) = match code.symbol(bits)? {
            16 => (previous.ok_or(Error::Compression)?, bits.take(2)?.wrapping_add(3)),
            17 => (0, bits.take(3)?.wrapping_add(3)),
            18 => (0, bits.take(7)?.wrapping_add(11)),
            length => (length as u8, 1), // below 16
        };
        let end = at.wrapping_add(times.into());
        lengths.get_mut(at..end).ok_or(Error::Compression)?.fill(length);
        (at, previous) = (end, Some(length));
    }
    let (literals, distances) = lengths.split_at_checked(literals).ok_or(Error::Compression)?;
    let ends = literals.get(usize::from(END_OF_BLOCK)).is_some_and(|length| *length > 0);
    let (literals, distances) = (Codes::new(literals), Codes::new(distances));
    if ends && literals.is_usable() && distances.is_usable() {
        Ok((literals, distances))
    } else {
        Err(Error::Compression)
    }
}

fn block(
    bits: &mut Bits<'_>,
    out: &mut Out<'_>,
    literals: &Codes<LITERALS>,
    distances: &Codes<DISTANCES>,
) -> Result<(), Error> {
    loop {
        let symbol = literals.symbol(bits)?;
        if let Ok(literal) = u8::try_from(symbol) {
            out.push(literal)?;
            continue;
        }
        if symbol == END_OF_BLOCK {
            return Ok(());
        }
        let length = LENGTHS.get(usize::from(symbol.wrapping_sub(257))).ok_or(Error::Compression)?;
        let length = extended(bits, *length)?;
        let distance = OFFSETS.get(usize::from(distances.symbol(bits)?)).ok_or(Error::Compression)?;
        let distance = extended(bits, *distance)?;
        out.copy(distance, length)?;
    }
}

fn extended(bits: &mut Bits<'_>, (base, extra): (u16, u8)) -> Result<usize, Error> {
    Ok(usize::from(base).wrapping_add(bits.take(extra.into())?.into()))
}
