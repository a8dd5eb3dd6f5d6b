//! ECDSA, the same on every curve. A secret is the bare scalar, big-endian: signing does not need the public key. One that
//! another backend has stored with the public key behind it, `d‖x‖y`, is taken as well.

use ecdsa::{
    EcdsaCurve, Signature,
    hazmat::{sign_prehashed_rfc6979, verify_prehashed},
};
use p256::{
    NistP256,
    elliptic_curve::{
        AffinePoint, CurveArithmetic, FieldBytes, Generate, Group, NonZeroScalar, ProjectivePoint, group::Curve as _,
        point::AffineCoordinates,
    },
};
use rand_core::TryCryptoRng;
use sha2::{Digest, Sha256, digest::block_api::BlockSizeUser};
use zeroize::Zeroizing;

use crate::{
    bytes,
    cose::{self, CoseKey},
    crypto::{Error, HEDGE, der},
};

/// A curve and the hash it is used with.
pub trait Curve:
    EcdsaCurve + CurveArithmetic<AffinePoint: AffineCoordinates<FieldRepr = FieldBytes<Self>> + Copy>
{
    /// Hashes the message; also in RFC 6979.
    type Hash: Digest + BlockSizeUser;
    /// Its name in COSE.
    const COSE: cose::Curve;
}

impl Curve for NistP256 {
    type Hash = Sha256;
    const COSE: cose::Curve = cose::Curve::P256;
}

#[cfg(feature = "es384")]
impl Curve for p384::NistP384 {
    type Hash = sha2::Sha384;
    const COSE: cose::Curve = cose::Curve::P384;
}

#[cfg(feature = "es512")]
impl Curve for p521::NistP521 {
    type Hash = sha2::Sha512;
    const COSE: cose::Curve = cose::Curve::P521;
}

#[cfg(feature = "es256k")]
impl Curve for k256::Secp256k1 {
    type Hash = Sha256;
    const COSE: cose::Curve = cose::Curve::SECP256K1;
}

#[inline(never)]
pub fn generate<C: Curve, R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    secret: &mut [u8],
    public: &mut [u8],
) -> Result<(usize, usize), Error> {
    let scalar = NonZeroScalar::<C>::try_generate_from_rng(rng).map_err(|_| Error::RandomSource)?;
    let scalar = Zeroizing::new(scalar);
    let repr = Zeroizing::new(FieldBytes::<C>::from(&*scalar));
    let secret = secret.get_mut(..repr.len()).ok_or(Error::OutputTooSmall)?;
    let public = write_point::<C>(&scalar, public)?;
    Ok((bytes::put(secret, &repr), public))
}

#[inline(never)]
pub fn public_key<C: Curve>(secret: &[u8], public: &mut [u8]) -> Result<usize, Error> {
    write_point::<C>(&*scalar(secret)?, public)
}

#[inline(never)]
pub fn sign<C: Curve>(
    secret: &[u8],
    message: &[&[u8]],
    hedge: Option<&[u8; HEDGE]>,
    signature: &mut [u8],
) -> Result<usize, Error> {
    let hedge = hedge.map_or(&[][..], |hedge| hedge);
    let (signed, _) = sign_prehashed_rfc6979::<C, C::Hash>(&*scalar(secret)?, &hash::<C>(message), hedge);
    let (r, s) = signed.split_bytes();
    der::write(&r, &s, signature)
}

#[inline(never)]
pub fn verify<C: Curve>(key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
    let CoseKey::Ec2 { curve, x, y, .. } = *key else { return Err(Error::InvalidKey) };
    if curve != C::COSE {
        return Err(Error::InvalidKey);
    }
    let point = point::<C>(x, y)?;
    let signature = read_signature::<C>(signature)?;
    verify_prehashed(&ProjectivePoint::<C>::from(point), &hash::<C>(message), &signature).map_err(|_| Error::Mismatch)
}

/// A separate function, so that the parts are not on the stack while the signature is verified.
#[inline(never)]
fn read_signature<C: Curve>(signature: &[u8]) -> Result<Signature<C>, Error> {
    let (mut r, mut s) = (FieldBytes::<C>::default(), FieldBytes::<C>::default());
    der::read_into(signature, &mut r, &mut s).ok_or(Error::Mismatch)?;
    // Of s and -s, both of which verify, the crate takes only the smaller on secp256k1; WebAuthn does not ask for it.
    Ok(Signature::<C>::from_scalars(r, s).map_err(|_| Error::Mismatch)?.normalize_s())
}

/// Refuses zero, what lies past the order, and other lengths.
pub fn scalar<C: Curve>(secret: &[u8]) -> Result<Zeroizing<NonZeroScalar<C>>, Error> {
    let size = FieldBytes::<C>::default().len();
    let has_public = secret.len() == size.saturating_mul(3);
    let secret = if has_public { bytes::front(secret, size) } else { secret };
    NonZeroScalar::try_from(secret).map(Zeroizing::new).map_err(|_| Error::InvalidKey)
}

/// Refuses coordinates past the field or of another length, and points off the curve; infinity has no coordinates.
pub fn point<C: Curve>(x: &[u8], y: &[u8]) -> Result<AffinePoint<C>, Error> {
    let coordinate = |bytes: &[u8]| FieldBytes::<C>::try_from(bytes).map_err(|_| Error::InvalidKey);
    AffinePoint::<C>::from_coordinates(&coordinate(x)?, &coordinate(y)?).into_option().ok_or(Error::InvalidKey)
}

fn write_point<C: Curve>(scalar: &NonZeroScalar<C>, public: &mut [u8]) -> Result<usize, Error> {
    let size = FieldBytes::<C>::default().len();
    let public = public.get_mut(..size.saturating_mul(2)).ok_or(Error::OutputTooSmall)?;
    let point = ProjectivePoint::<C>::mul_by_generator(scalar).to_affine();
    let (x, y) = public.split_at_mut_checked(size).ok_or(Error::OutputTooSmall)?;
    bytes::copy(x, &point.x());
    bytes::copy(y, &point.y());
    Ok(public.len())
}

fn hash<C: Curve>(message: &[&[u8]]) -> sha2::digest::Output<C::Hash> {
    let mut hash = C::Hash::new();
    message.iter().for_each(|part| hash.update(part));
    hash.finalize()
}
