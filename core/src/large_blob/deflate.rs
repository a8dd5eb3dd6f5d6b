//! DEFLATE compression in one block with the standard's fixed code, or stored when that is shorter (RFC 1951 §3.2.4,
//! §3.2.6). Needs no memory, because it searches the data itself for repetitions.

use super::{
    Error,
    inflate::{LENGTHS, OFFSETS, fixed_length},
};
use crate::bytes;

/// How far back the search for repetitions goes, in bytes. The search is linear and blobs are small.
const WINDOW: usize = 2048;
/// The shortest and the longest repetition, in bytes.
const MATCH: core::ops::RangeInclusive<usize> = 3..=258;
/// The longest stored block, in bytes.
const STORED: usize = 0xFFFF;

/// The maximum compressed length of `len` bytes: each stored block adds five bytes, and there is at least one block.
pub const fn bound(len: usize) -> usize {
    let blocks = if len == 0 { 1 } else { len.div_ceil(STORED) };
    len.saturating_add(blocks.saturating_mul(5))
}

/// Compresses `data` into `out` and returns the length.
///
/// # Errors
/// [`Error::WorkTooSmall`] unless `out` has [`bound`] bytes.
pub fn deflate(data: &[u8], out: &mut [u8]) -> Result<usize, Error> {
    let needed = bound(data.len());
    let out = out.get_mut(..needed).ok_or(Error::WorkTooSmall { needed })?;
    // `fixed` fails when the fixed code needs more bytes than stored blocks.
    Ok(fixed(data, out).unwrap_or_else(|| store(data, out)))
}

fn store(data: &[u8], out: &mut [u8]) -> usize {
    let (mut rest, mut at) = (data, 0_usize);
    loop {
        let (block, next) = rest.split_at_checked(STORED).unwrap_or((rest, &[]));
        let [low, high] = (block.len() as u16).to_le_bytes();
        let head = [next.is_empty().into(), low, high, !low, !high];
        at = at.saturating_add(bytes::join(bytes::rest_mut(out, at), &[&head, block]));
        if next.is_empty() {
            return at;
        }
        rest = next;
    }
}

/// Compresses with the fixed code and returns the length. `None` when `out` is too small.
fn fixed(data: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut bits = Bits { out, len: 0, held: 0, count: 0 };
    bits.put(0b011, 3)?; // the last block, with the fixed code
    let mut at = 0_usize;
    while let Some(literal) = data.get(at) {
        match repetition(data, at) {
            Some((distance, length)) => {
                let (symbol, extra, bits_of_extra) = encode(&LENGTHS, length);
                bits.symbol(symbol.wrapping_add(257))?;
                bits.put(extra, bits_of_extra)?;
                let (symbol, extra, bits_of_extra) = encode(&OFFSETS, distance);
                bits.put(reverse(symbol as u16, 5), 5)?;
                bits.put(extra, bits_of_extra)?;
                at = at.wrapping_add(length);
            }
            None => {
                bits.symbol((*literal).into())?;
                at = at.wrapping_add(1);
            }
        }
    }
    bits.symbol(256)?;
    bits.finish()
}

/// The distance and length of the longest earlier occurrence of the bytes at `at`; the nearest if several are equally
/// long.
fn repetition(data: &[u8], at: usize) -> Option<(usize, usize)> {
    let ahead = data.get(at..)?;
    let mut best = (0, MATCH.start().wrapping_sub(1));
    for distance in 1..=at.min(WINDOW) {
        let behind = data.get(at.wrapping_sub(distance)..)?;
        // Most candidates fail at the byte that would make them longer than the best, so that byte is compared first.
        if behind.get(best.1) != ahead.get(best.1) {
            continue;
        }
        let same = behind.iter().zip(ahead).take(*MATCH.end()).take_while(|(a, b)| a == b).count();
        if same > best.1 {
            best = (distance, same);
        }
        if same == *MATCH.end() || same == ahead.len() {
            break;
        }
    }
    MATCH.contains(&best.1).then_some(best)
}

/// The symbol, the extra bits and their number for a length or a distance.
fn encode(table: &[(u16, u8)], value: usize) -> (usize, u16, u32) {
    let entry = table.iter().enumerate().rfind(|(_, (base, _))| usize::from(*base) <= value);
    debug_assert!(entry.is_some(), "every table begins with the least value");
    entry.map_or((0, 0, 0), |(at, (base, bits))| (at, value.wrapping_sub((*base).into()) as u16, u32::from(*bits)))
}

/// The lowest `count` bits of `code` in reverse order, because codes are written from their most significant bit.
const fn reverse(code: u16, count: u32) -> u16 {
    code.reverse_bits().wrapping_shr(16_u32.wrapping_sub(count))
}

struct Bits<'o> {
    out: &'o mut [u8],
    len: usize,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    fn put(&mut self, value: u16, count: u32) -> Option<()> {
        self.held |= u32::from(value).wrapping_shl(self.count);
        self.count = self.count.wrapping_add(count);
        while self.count >= 8 {
            self.byte()?;
        }
        Some(())
    }

    /// A literal or a length in the fixed code (RFC 1951 §3.2.6).
    fn symbol(&mut self, symbol: usize) -> Option<()> {
        let length = fixed_length(symbol).into();
        let symbol = symbol as u16; // at most 285
        let code = match symbol {
            0..=143 => symbol.wrapping_add(0x30),
            144..=255 => symbol.wrapping_sub(144).wrapping_add(0x190),
            256..=279 => symbol.wrapping_sub(256),
            _ => symbol.wrapping_sub(280).wrapping_add(0xC0),
        };
        self.put(reverse(code, length), length)
    }

    fn byte(&mut self) -> Option<()> {
        *self.out.get_mut(self.len)? = self.held as u8;
        self.len = self.len.wrapping_add(1);
        self.held = self.held.wrapping_shr(8);
        self.count = self.count.saturating_sub(8);
        Some(())
    }

    fn finish(mut self) -> Option<usize> {
        if self.count > 0 {
            self.byte()?;
        }
        Some(self.len)
    }
}
