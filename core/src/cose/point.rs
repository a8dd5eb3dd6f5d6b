//! Points on P-256, the curve of key agreement and of ES256.

use crate::bytes;

/// A point on P-256, each coordinate 32 bytes big-endian. Not known to be on the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct P256Point {
    /// The x coordinate.
    pub x: [u8; 32],
    /// The y coordinate.
    pub y: [u8; 32],
}

impl P256Point {
    /// The point of `x‖y`.
    pub fn from_bytes(raw: &[u8; 64]) -> Self {
        let (x, y) = bytes::split(raw, 32);
        Self { x: bytes::array(x), y: bytes::array(y) }
    }

    /// `x‖y`, the raw public key of [`Sign::generate`](crate::crypto::Sign::generate).
    pub fn to_bytes(&self) -> [u8; 64] {
        bytes::concat(&[&self.x, &self.y])
    }
}
