//! Random sources for the engine, from what a chip's library offers.

use core::{convert::Infallible, error::Error, fmt};

use keyfob_core::{
    bytes::{self, Secret},
    crypto::{Hash, RustCrypto},
};
use rand_core::{TryCryptoRng, TryRng};

/// Bytes that are taken from a raw source at once.
const PIECE: usize = 64;
/// Pieces that go into 32 bytes of a [`pooled`] source.
const PIECES: usize = 16;

/// A source of random bytes that is a function, for libraries that do not know this version of `rand_core`.
pub struct Source<F>(pub F);

impl<F: FnMut(&mut [u8]) -> Result<(), E>, E: Error> TryRng for Source<F> {
    type Error = E;

    fn try_next_u32(&mut self) -> Result<u32, E> {
        let mut word = [0; 4];
        (self.0)(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, E> {
        let mut word = [0; 8];
        (self.0)(&mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), E> {
        (self.0)(bytes)
    }
}

impl<F: FnMut(&mut [u8]) -> Result<(), E>, E: Error> TryCryptoRng for Source<F> {}

/// A source that does not fail.
pub fn reliable<F: FnMut(&mut [u8])>(mut fill: F) -> Source<impl FnMut(&mut [u8]) -> Result<(), Infallible>> {
    Source(move |bytes: &mut [u8]| {
        fill(bytes);
        Ok(())
    })
}

/// A raw source gave the same byte 64 times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the random source is stuck")
    }
}

impl Error for Stuck {}

/// A source out of a weak one: each 32 bytes are a hash of a secret state that takes in 1,024 raw bytes before, and they
/// do not tell the state. That is sound if 32 raw bits have 1 bit of entropy. A product has to measure whether they do.
pub fn pooled<F: FnMut(&mut [u8])>(mut fill: F) -> Source<impl FnMut(&mut [u8]) -> Result<(), Stuck>> {
    let mut state = Secret([0; 32]);
    Source(move |bytes: &mut [u8]| {
        let (blocks, rest) = bytes.as_chunks_mut::<32>();
        for block in blocks {
            *block = *stir(&mut state, &mut fill)?;
        }
        if !rest.is_empty() {
            bytes::copy_prefix(rest, &*stir(&mut state, &mut fill)?);
        }
        Ok(())
    })
}

fn stir(state: &mut Secret<32>, fill: &mut impl FnMut(&mut [u8])) -> Result<Secret<32>, Stuck> {
    let mut raw = Secret([0; PIECE]);
    for _ in 0..PIECES {
        fill(&mut *raw);
        if raw.iter().all(|byte| *byte == raw[0]) {
            return Err(Stuck);
        }
        **state = RustCrypto.sha256(&[b"state", &**state, &*raw]);
    }
    Ok(Secret(RustCrypto.sha256(&[b"given", &**state])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_source_is_refused() {
        assert_eq!(pooled(|bytes| bytes.fill(0)).try_next_u64(), Err(Stuck));
    }

    #[test]
    fn every_block_differs_though_the_raw_bytes_repeat() {
        let mut source = pooled(|bytes| bytes[0] = 1);
        let mut bytes = [0; 80];
        source.try_fill_bytes(&mut bytes).unwrap();
        let (blocks, rest) = bytes.as_chunks::<32>();
        assert_ne!(blocks[0], blocks[1]);
        assert_ne!(rest, &blocks[1][..16]);
        assert_ne!(rest, [0; 16]);
    }
}
