//! Ed448: verification alone (RFC 8032 §5.2.7), with an empty context and without prehashing.

use ed448_goldilocks::{CompressedEdwardsY, EdwardsPoint, EdwardsScalar, EdwardsScalarBytes, WideEdwardsScalarBytes};
use shake::{
    Shake256,
    digest::{ExtendableOutput, Update, XofReader},
};

use crate::{
    cose::{CoseKey, Curve},
    crypto::Error,
};

/// A point or a scalar, in bytes. The last byte of a scalar is zero.
const SIZE: usize = 57;
/// dom4 without a context: what is hashed first (RFC 8032 §2).
const DOMAIN: &[u8] = b"SigEd448\0\0";

#[inline(never)]
#[allow(clippy::arithmetic_side_effects, reason = "points and scalars do not overflow")]
pub fn verify(key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
    let CoseKey::Okp { curve: Curve::ED448, x, .. } = *key else { return Err(Error::InvalidKey) };
    let public = point(x).ok_or(Error::InvalidKey)?;
    let (r_bytes, s_bytes) = signature.split_at_checked(SIZE).ok_or(Error::Mismatch)?;
    let (r, s) = (point(r_bytes).ok_or(Error::Mismatch)?, scalar(s_bytes).ok_or(Error::Mismatch)?);
    let mut hash = Shake256::default();
    [DOMAIN, r_bytes, x].iter().chain(message).for_each(|part| hash.update(part));
    let mut wide = WideEdwardsScalarBytes::default();
    hash.finalize_xof().read(&mut wide);
    let k = EdwardsScalar::from_bytes_mod_order_wide(&wide);
    if EdwardsPoint::GENERATOR * s == r + public * k { Ok(()) } else { Err(Error::Mismatch) }
}

/// A point of the group that the generator makes, but the neutral one, under which everything verifies. `None` for any
/// other point, and for one in another form than its own: the crate passes over the seven bits beside the sign.
fn point(bytes: &[u8]) -> Option<EdwardsPoint> {
    let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
    let point = CompressedEdwardsY(*bytes).decompress().into_option()?;
    let canonical = point.compress().as_bytes() == bytes;
    let point = point.to_edwards();
    (canonical && point != EdwardsPoint::IDENTITY).then_some(point)
}

/// A number below the group's order. `None` for any other: a signature could be altered and still verify (RFC 8032
/// §8.4).
fn scalar(bytes: &[u8]) -> Option<EdwardsScalar> {
    let (0, _) = bytes.split_last()? else { return None };
    EdwardsScalar::from_canonical_bytes(&EdwardsScalarBytes::try_from(bytes).ok()?).into_option()
}
