//! DEFLATE compression in one block with the standard's fixed code, or stored when that is shorter (RFC 1951 §3.2.4,
//! §3.2.6). Needs no memory: it searches the data itself for what repeats.

use super::{
    Error,
    inflate::{LENGTHS, OFFSETS, fixed_length},
};
use crate::bytes;

/// How far back repetitions are looked for, in bytes: the search is a plain one, and blobs are small.
const WINDOW: usize = 2048;
/// The shortest and the longest repetition, in bytes.
const MATCH: core::ops::RangeInclusive<usize> = 3..=258;
/// The longest stored block, in bytes.
const STORED: usize = 0xFFFF;

/// The most bytes that `len` bytes can become: stored blocks have five bytes in front, and there is at least one.
pub const fn bound(len: usize) -> usize {
    let blocks = if len == 0 { 1 } else { len.div_ceil(STORED) };
    len.saturating_add(blocks.saturating_mul(5))
}

/// Compresses `data` into `out` and returns the length. Errors: [`Error::WorkTooSmall`] unless `out` has [`bound`]
/// bytes.
pub fn deflate(data: &[u8], out: &mut [u8]) -> Result<usize, Error> {
    let needed = bound(data.len());
    let out = out.get_mut(..needed).ok_or(Error::WorkTooSmall { needed })?;
    // Where the fixed code needs more than stored blocks do, it runs out of room.
    Ok(fixed(data, out).unwrap_or_else(|| store(data, out)))
}

fn store(data: &[u8], out: &mut [u8]) -> usize {
    let (mut rest, mut at) = (data, 0_usize);
    loop {
        let (block, next) = rest.split_at_checked(STORED).unwrap_or((rest, &[]));
        let [low, high] = (block.len() as u16).to_le_bytes();
        let out = out.get_mut(at..).unwrap_or_default();
        let (head, body) = out.split_at_mut_checked(5).unwrap_or_default();
        bytes::copy(head, &[next.is_empty().into(), low, high, !low, !high]);
        bytes::copy(body, block);
        at = at.saturating_add(5).saturating_add(block.len());
        if next.is_empty() {
            return at;
        }
        rest = next;
    }
}

/// The length, `None` when `out` is too small.
fn fixed(data: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut bits = Bits { out, len: 0, held: 0, count: 0 };
    bits.put(0b011, 3)?; // the last block; with the fixed code
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

/// The longest repetition of something before `at`, the nearest of several: its distance and its length.
fn repetition(data: &[u8], at: usize) -> Option<(usize, usize)> {
    let ahead = data.get(at..)?;
    let mut best = (0, MATCH.start().wrapping_sub(1));
    for distance in 1..=at.min(WINDOW) {
        let behind = data.get(at.wrapping_sub(distance)..)?;
        // Nearly every candidate fails at the byte that would make it better.
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

/// Symbol, extra bits and their number for a length or a distance.
fn encode(table: &[(u16, u8)], value: usize) -> (usize, u16, u32) {
    let at = table.iter().rposition(|(base, _)| usize::from(*base) <= value).unwrap_or(0);
    let (base, bits) = table.get(at).copied().unwrap_or_default();
    (at, value.wrapping_sub(base.into()) as u16, bits.into())
}

/// The lowest `count` bits of `code` in the other order: codes go out from their most significant bit on.
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
