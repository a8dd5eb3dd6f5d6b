//! COSE algorithm identifiers and public keys (RFC 9053, RFC 8230, WebAuthn L3 §5.8.5).
//!
//! ```text
//! EC2  {1: 2, 3: alg, -1: crv, -2: x, -3: y}      OKP  {1: 1, 3: alg, -1: crv, -2: x}
//! RSA  {1: 3, 3: alg, -1: n, -2: e}               AKP  {1: 7, 3: alg, -1: public}
//! ```

mod point;

pub use point::P256Point;

use crate::{
    bytes,
    cbor::{Error, ErrorKind, RawMap, Read, Reader, SMALL, Shape, Write, Writer},
    named::named,
};

/// A COSE algorithm identifier. Values this version does not name are kept as they came; one that does not fit in 32
/// bits, as WebAuthn's identifiers do, is read as [`Algorithm::RESERVED`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Algorithm(pub i32);

named! { Algorithm "{}":
    /// ECDSA on P-256 with SHA-256.
    ES256 = -7 "ES256";
    /// EdDSA: on Ed25519, the only curve that WebAuthn L3 §5.8.5 allows with it.
    EDDSA = -8 "EdDSA";
    /// ECDSA on P-256 with SHA-256, fully specified.
    ESP256 = -9 "ESP256";
    /// Ed25519, fully specified.
    ED25519 = -19 "Ed25519";
    /// The nominal algorithm of key agreement keys.
    ECDH_ES_HKDF_256 = -25 "ECDH-ES + HKDF-256";
    /// ECDSA on P-384 with SHA-384.
    ES384 = -35 "ES384";
    /// ECDSA on P-521 with SHA-512.
    ES512 = -36 "ES512";
    /// RSASSA-PSS with SHA-256.
    PS256 = -37 "PS256";
    /// ECDSA on secp256k1 with SHA-256.
    ES256K = -47 "ES256K";
    /// ML-DSA-44.
    ML_DSA_44 = -48 "ML-DSA-44";
    /// ML-DSA-65.
    ML_DSA_65 = -49 "ML-DSA-65";
    /// ML-DSA-87.
    ML_DSA_87 = -50 "ML-DSA-87";
    /// ECDSA on P-384 with SHA-384, fully specified.
    ESP384 = -51 "ESP384";
    /// ECDSA on P-521 with SHA-512, fully specified.
    ESP512 = -52 "ESP512";
    /// Ed448, fully specified.
    ED448 = -53 "Ed448";
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256 = -257 "RS256";
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384 = -258 "RS384";
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512 = -259 "RS512";
    /// RSASSA-PKCS1-v1_5 with SHA-1.
    RS1 = -65535 "RS1";
}

impl Algorithm {
    /// The value that is reserved (RFC 9053 §2): no key has it, and no backend knows it.
    pub const RESERVED: Algorithm = Algorithm(0);

    /// The algorithm with this identifier, or [`Algorithm::RESERVED`] for one that does not fit in 32 bits.
    pub fn from_identifier(identifier: i64) -> Self {
        i32::try_from(identifier).map_or(Self::RESERVED, Self)
    }
}

impl Read<'_> for Algorithm {
    const SHAPE: Shape = Shape::By(|r| Self::read(r).map(|_| true));

    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        match r.integer() {
            Ok(identifier) => Ok(Self::from_identifier(identifier)),
            // It is read to its end; to refuse it would refuse the algorithms beside it.
            Err(error) if error.kind() == ErrorKind::OutOfRange => Ok(Self::RESERVED),
            Err(error) => Err(error),
        }
    }
}

impl Write for Algorithm {
    #[inline]
    fn write(&self, w: &mut Writer<'_>) {
        w.integer(i64::from(self.0));
    }
}

/// An elliptic curve identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Curve(pub i32);

impl Curve {
    /// What stands for the curve of a key that has none: reserved (RFC 9053 §7.1).
    const NONE: Curve = Curve(0);
    /// NIST P-256.
    pub const P256: Curve = Curve(1);
    /// NIST P-384.
    pub const P384: Curve = Curve(2);
    /// NIST P-521.
    pub const P521: Curve = Curve(3);
    /// Ed25519.
    pub const ED25519: Curve = Curve(6);
    /// Ed448.
    pub const ED448: Curve = Curve(7);
    /// secp256k1.
    pub const SECP256K1: Curve = Curve(8);
}

const KTY_OKP: i64 = 1;
const KTY_EC2: i64 = 2;
const KTY_RSA: i64 = 3;
const KTY_SYMMETRIC: i64 = 4;
const KTY_AKP: i64 = 7;

/// A COSE public key. A key is refused when a member stands in it twice, or when it has a member that only private keys
/// have. Coordinates are not checked here: the code that uses the key checks their lengths, and whether the point lies
/// on its curve.
///
/// ```
/// use keyfob_core::{cbor, cose::{Algorithm, CoseKey}};
///
/// let key = CoseKey::from_raw(Algorithm::ES256, &[4; 64]).ok_or("not of this length")?; // x‖y
/// let mut buffer = [0; 128];
/// let len = cbor::encode(&key, &mut buffer)?;
/// assert_eq!((len, buffer[0]), (77, 0xA5));
/// assert_eq!(cbor::decode(&buffer[..len]), Ok(key));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoseKey<'a> {
    /// An elliptic-curve point, uncompressed.
    Ec2 {
        /// What the key is for.
        algorithm: Algorithm,
        /// Its curve.
        curve: Curve,
        /// Big-endian coordinate of the curve's size.
        x: &'a [u8],
        /// Big-endian coordinate of the curve's size.
        y: &'a [u8],
    },
    /// An octet key pair's public half.
    Okp {
        /// What the key is for.
        algorithm: Algorithm,
        /// Its curve.
        curve: Curve,
        /// The public key.
        x: &'a [u8],
    },
    /// An RSA key.
    Rsa {
        /// What the key is for.
        algorithm: Algorithm,
        /// Modulus, big-endian.
        n: &'a [u8],
        /// Public exponent, big-endian.
        e: &'a [u8],
    },
    /// A key that is defined by its algorithm alone (ML-DSA).
    Akp {
        /// What the key is for.
        algorithm: Algorithm,
        /// The public key.
        public: &'a [u8],
    },
    /// A key of a type this version does not read, or of an algorithm that does not fit in 32 bits. Nothing can be done
    /// with it but to pass it on.
    Other {
        /// What the key is for.
        algorithm: Algorithm,
        /// Its type.
        kty: i64,
        /// The whole key, the two above included.
        raw: RawMap<'a>,
    },
}

impl<'a> CoseKey<'a> {
    /// What the key is for.
    pub const fn algorithm(&self) -> Algorithm {
        match *self {
            Self::Ec2 { algorithm, .. }
            | Self::Okp { algorithm, .. }
            | Self::Rsa { algorithm, .. }
            | Self::Akp { algorithm, .. }
            | Self::Other { algorithm, .. } => algorithm,
        }
    }

    /// The key agreement key of the PIN/UV auth protocols (CTAP 2.3 §6.5.6).
    pub const fn key_agreement(point: &'a P256Point) -> Self {
        Self::Ec2 { algorithm: Algorithm::ECDH_ES_HKDF_256, curve: Curve::P256, x: &point.x, y: &point.y }
    }

    /// The key that the raw bytes of [`crate::crypto::Sign::generate`] stand for. `None` for an algorithm without a raw
    /// form, or a wrong length.
    pub fn from_raw(algorithm: Algorithm, raw: &'a [u8]) -> Option<Self> {
        let (_, kty, curve, size) = RAW_KEYS.into_iter().find(|(known, ..)| *known == algorithm)?;
        if size != 0 && raw.len() != usize::from(size) {
            return None;
        }
        Some(match kty {
            KTY_EC2 => {
                let (x, y) = bytes::split(raw, raw.len() / 2);
                Self::Ec2 { algorithm, curve, x, y }
            }
            KTY_OKP => Self::Okp { algorithm, curve, x: raw },
            KTY_AKP => Self::Akp { algorithm, public: raw },
            _ => {
                let (n, e) = raw.split_last_chunk::<3>()?;
                Self::Rsa { algorithm, n, e }
            }
        })
    }

    /// The key that begins at `start` and ends where `r` stands.
    fn other(algorithm: Algorithm, kty: i64, start: &'a [u8], r: &Reader<'a>) -> Self {
        let raw = bytes::front(start, start.len().saturating_sub(r.rest().len()));
        Self::Other { algorithm, kty, raw: RawMap(raw) }
    }

    /// The point of a key on P-256. `None` when the key is of another kind or a coordinate is not 32 bytes long.
    pub fn p256_point(&self) -> Option<P256Point> {
        match *self {
            Self::Ec2 { curve: Curve::P256, x, y, .. } => {
                Some(P256Point { x: x.try_into().ok()?, y: y.try_into().ok()? })
            }
            _ => None,
        }
    }
}

/// The algorithms whose keys have a raw form, their type and curve, and the length of that form in bytes: both
/// coordinates, the only string, or 0 for modulus and exponent, which have no fixed length.
const RAW_KEYS: [(Algorithm, i64, Curve, u16); 15] = [
    (Algorithm::ES256, KTY_EC2, Curve::P256, 64),
    (Algorithm::ESP256, KTY_EC2, Curve::P256, 64),
    (Algorithm::ES384, KTY_EC2, Curve::P384, 96),
    (Algorithm::ESP384, KTY_EC2, Curve::P384, 96),
    (Algorithm::ES512, KTY_EC2, Curve::P521, 132),
    (Algorithm::ESP512, KTY_EC2, Curve::P521, 132),
    (Algorithm::ES256K, KTY_EC2, Curve::SECP256K1, 64),
    (Algorithm::EDDSA, KTY_OKP, Curve::ED25519, 32),
    (Algorithm::ED25519, KTY_OKP, Curve::ED25519, 32),
    (Algorithm::ED448, KTY_OKP, Curve::ED448, 57),
    (Algorithm::ML_DSA_44, KTY_AKP, Curve::NONE, 1312),
    (Algorithm::ML_DSA_65, KTY_AKP, Curve::NONE, 1952),
    (Algorithm::ML_DSA_87, KTY_AKP, Curve::NONE, 2592),
    (Algorithm::RS256, KTY_RSA, Curve::NONE, 0),
    (Algorithm::PS256, KTY_RSA, Curve::NONE, 0),
];

/// An ES256 key and a key agreement key up to the x coordinate, and what stands between the coordinates.
const ES256_HEAD: &[u8; 10] = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20";
const ECDH_HEAD: &[u8; 11] = b"\xa5\x01\x02\x03\x38\x18\x20\x01\x21\x58\x20";
const P256_BETWEEN: &[u8; 3] = b"\x22\x58\x20";

/// Nearly every key is an ES256 key or a key agreement key, in canonical form. Reads nothing if this is none.
#[inline]
fn read_p256<'a>(r: &mut Reader<'a>, algorithm: Algorithm, head: &[u8]) -> Option<CoseKey<'a>> {
    let mut ahead = *r;
    let x: &[u8; 32] = ahead.known_map(head)?;
    let y: &[u8; 32] = ahead.known_map(P256_BETWEEN)?;
    *r = ahead;
    Some(CoseKey::Ec2 { algorithm, curve: Curve::P256, x, y })
}

/// Writes a key that [`read_p256`] reads. `None`, and nothing is written, if it is another one.
fn write_p256(key: &CoseKey<'_>, w: &mut Writer<'_>) -> Option<()> {
    let CoseKey::Ec2 { algorithm, curve: Curve::P256, x, y } = *key else { return None };
    let (x, y): (&[u8; 32], &[u8; 32]) = (x.try_into().ok()?, y.try_into().ok()?);
    match algorithm {
        Algorithm::ES256 => w.known(ES256_HEAD),
        Algorithm::ECDH_ES_HKDF_256 => w.known(ECDH_HEAD),
        _ => return None,
    }
    w.known(x);
    w.known(P256_BETWEEN);
    w.known(y);
    Some(())
}

impl<'a> Read<'a> for CoseKey<'a> {
    const SHAPE: Shape = Shape::By(|r| CoseKey::read(r).map(|_| true));

    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let ecdh = |r: &mut Reader<'a>| read_p256(r, Algorithm::ECDH_ES_HKDF_256, ECDH_HEAD);
        if !SMALL && let Some(key) = read_p256(r, Algorithm::ES256, ES256_HEAD).or_else(|| ecdh(r)) {
            return Ok(key);
        }
        // -1 is a curve or, for RSA and AKP, a byte string.
        let (mut kty, mut algorithm, mut curve) = (None, None, None);
        let mut strings = [None; 3];
        let mut labels = 0;
        r.expect_unique_keys()?;
        let start = r.rest();
        let mut map = r.map()?;
        while let Some(key) = r.next_int(&mut map)? {
            labels |= bit(key);
            match key {
                1 => kty = Some(r.integer()?),
                3 => algorithm = Some(Algorithm::read(r)?),
                -3..=-1 if kty.is_some_and(is_other) => drop(r.skip()?),
                -1 if !r.next_is_bytes() => {
                    curve = Some(Curve(i32::try_from(r.integer()?).map_err(|_| r.error(ErrorKind::OutOfRange))?));
                }
                _ => match usize::try_from(!key).ok().and_then(|place| strings.get_mut(place)) {
                    Some(string) => *string = Some(r.bytes()?),
                    None => drop(r.skip()?),
                },
            }
        }
        r.leave();
        let missing = r.error(ErrorKind::Missing);
        let (kty, algorithm) = (kty.ok_or(missing)?, algorithm.ok_or(missing)?);
        if labels & private_labels(kty) != 0 {
            return Err(r.error(ErrorKind::PrivateKey));
        }
        Ok(match (kty, curve, strings) {
            // What is kept of it has its own identifier.
            _ if algorithm == Algorithm::RESERVED => Self::other(algorithm, kty, start, r),
            (KTY_EC2, Some(curve), [_, Some(x), Some(y)]) => Self::Ec2 { algorithm, curve, x, y },
            (KTY_OKP, Some(curve), [_, Some(x), _]) => Self::Okp { algorithm, curve, x },
            (KTY_RSA, _, [Some(n), Some(e), _]) => Self::Rsa { algorithm, n, e },
            (KTY_AKP, _, [Some(public), ..]) => Self::Akp { algorithm, public },
            (kty, ..) if is_other(kty) => Self::other(algorithm, kty, start, r),
            _ => return Err(missing),
        })
    }
}

impl Write for CoseKey<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        if !SMALL && write_p256(self, w).is_some() {
            return;
        }
        let (kty, curve, strings): (i64, Option<Curve>, &[&[u8]]) = match *self {
            Self::Ec2 { curve, x, y, .. } => (KTY_EC2, Some(curve), &[x, y]),
            Self::Okp { curve, x, .. } => (KTY_OKP, Some(curve), &[x]),
            Self::Rsa { n, e, .. } => (KTY_RSA, None, &[n, e]),
            Self::Akp { public, .. } => (KTY_AKP, None, &[public]),
            Self::Other { raw, .. } => return raw.write(w),
        };
        // Labels -1, -2, …: a curve takes -1 where there is one.
        let mut label = -1;
        w.map(usize::from(curve.is_some()).saturating_add(strings.len()).saturating_add(2));
        w.integer(1);
        w.integer(kty);
        w.integer(3);
        self.algorithm().write(w);
        if let Some(curve) = curve {
            w.integer(label);
            w.integer(i64::from(curve.0));
            label = -2;
        }
        for string in strings {
            w.integer(label);
            w.bytes(string);
            label = label.wrapping_sub(1);
        }
    }
}

/// The bit of a negative label, -1 to -31; none for any other.
const fn bit(label: i16) -> u32 {
    if -31 <= label && label < 0 { 1u32.wrapping_shl(!label as u32) } else { 0 }
}

/// The labels that only secret keys of a type have (RFC 9053 §7, RFC 8230 §4, and for AKP the registry of COSE key type
/// parameters): d of EC2 and OKP; d, the primes and what follows from them of RSA; priv of AKP; the key itself of a
/// symmetric one.
const fn private_labels(kty: i64) -> u32 {
    match kty {
        KTY_EC2 | KTY_OKP => bit(-4),
        KTY_RSA => 0b1111_1111_1100, // -3 to -12
        KTY_AKP => bit(-2),
        KTY_SYMMETRIC => bit(-1),
        _ => 0,
    }
}

/// Whether `kty` is of no type that has its own variant.
fn is_other(kty: i64) -> bool {
    !matches!(kty, KTY_OKP | KTY_EC2 | KTY_RSA | KTY_AKP)
}

#[cfg(test)]
mod tests;
