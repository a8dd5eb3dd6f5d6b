//! RSA keys of 2048 bits, between their stored form and AWS-LC's.
//!
//! The two primes are the smallest form that is rebuilt without a search: 256 bytes, where PKCS #8 takes 1,200.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPairComponents, KeySize},
    signature::{KeyPair, RsaKeyPair, RsaPublicKeyComponents},
};
use crypto_bigint::{Limb, NonZero, Odd, U1024, U2048, Uint};
use keyfob_core::{bytes, crypto::Error};
use zeroize::Zeroizing;

/// The modulus, in bytes; also the two primes.
pub const MODULUS: usize = 256;
const PRIME: usize = MODULUS / 2;
/// The public exponent of every key made here, a prime, and its bytes (FIPS 186-5 §5.4).
const EXPONENT: u64 = 65_537;
const EXPONENT_BYTES: [u8; 3] = [1, 0, 1];

/// A fresh key; writes `p‖q` and returns its length.
pub fn generate(secret: &mut [u8]) -> Result<(RsaKeyPair, usize), Error> {
    let secret = secret.get_mut(..MODULUS).ok_or(Error::OutputTooSmall)?;
    let (p, q) = secret.split_at_mut_checked(PRIME).ok_or(Error::OutputTooSmall)?;
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::Failed)?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| Error::Failed)?;
    let (found_p, found_q) = primes(der.as_ref()).ok_or(Error::Failed)?;
    bytes::copy(p, found_p);
    bytes::copy(q, found_q);
    Ok((key, secret.len()))
}

/// The key of `p‖q`, with all that follows from them.
///
/// # Errors
/// [`Error::InvalidKey`].
#[allow(non_snake_case, reason = "the names of PKCS #1")]
pub fn load(secret: &[u8]) -> Result<RsaKeyPair, Error> {
    let secret: &[u8; MODULUS] = secret.try_into().map_err(|_| Error::InvalidKey)?;
    let (p_bytes, q_bytes) = secret.split_at_checked(PRIME).ok_or(Error::InvalidKey)?;
    let (p, q) = (Zeroizing::new(U1024::from_be_slice(p_bytes)), Zeroizing::new(U1024::from_be_slice(q_bytes)));
    let odd_p = Odd::new(*p).into_option().ok_or(Error::InvalidKey)?;
    let (p_1, q_1) = (Zeroizing::new(p.wrapping_sub(&U1024::ONE)), Zeroizing::new(q.wrapping_sub(&U1024::ONE)));
    let n: U2048 = p.concatenating_mul(&q);
    let phi: Zeroizing<U2048> = Zeroizing::new(p_1.concatenating_mul(&q_1));
    let inverse = Zeroizing::new(q.invert_odd_mod(&odd_p).into_option().ok_or(Error::InvalidKey)?);
    let (d, dP, dQ) = (exponent(&phi)?, exponent(&p_1)?, exponent(&q_1)?);
    let (d, dP, dQ, qInv) = (
        Zeroizing::new(d.to_be_bytes()),
        Zeroizing::new(dP.to_be_bytes()),
        Zeroizing::new(dQ.to_be_bytes()),
        Zeroizing::new(inverse.to_be_bytes()),
    );
    let n = n.to_be_bytes();
    RsaKeyPair::from_components(&KeyPairComponents {
        public_key: RsaPublicKeyComponents { n: n.as_ref(), e: &EXPONENT_BYTES },
        d: d.as_ref(),
        p: p_bytes,
        q: q_bytes,
        dP: dP.as_ref(),
        dQ: dQ.as_ref(),
        qInv: qInv.as_ref(),
    })
    .map_err(|_| Error::InvalidKey)
}

/// The modulus and the exponent.
pub fn public_key(key: &RsaKeyPair, public: &mut [u8]) -> Result<usize, Error> {
    // RSAPublicKey: a sequence of the two.
    let (_, sequence, _) = element(key.public_key().as_ref()).ok_or(Error::Failed)?;
    let (_, n, _) = element(sequence).ok_or(Error::Failed)?;
    let n = n.split_last_chunk::<MODULUS>().ok_or(Error::Failed)?.1;
    let out = public.get_mut(..MODULUS.saturating_add(EXPONENT_BYTES.len())).ok_or(Error::OutputTooSmall)?;
    let (modulus, exponent) = out.split_at_mut_checked(MODULUS).ok_or(Error::OutputTooSmall)?;
    bytes::copy(modulus, n);
    bytes::copy(exponent, &EXPONENT_BYTES);
    Ok(out.len())
}

/// The inverse of the public exponent e modulo `m`: with `m = e·a + r`, it is `(k·m + 1) / e = k·a + (k·r + 1) / e` for
/// the one `k < e` with `k·r ≡ -1 (mod e)`.
///
/// # Errors
/// [`Error::InvalidKey`] when `m` is a multiple of e.
fn exponent<const LIMBS: usize>(m: &Uint<LIMBS>) -> Result<Zeroizing<Uint<LIMBS>>, Error> {
    let e = NonZero::new(Limb::from_u32(65_537)).into_option().ok_or(Error::InvalidKey)?;
    let (a, r) = m.div_rem_limb(e);
    let a = Zeroizing::new(a);
    #[allow(clippy::useless_conversion, reason = "a limb is narrower on some machines")]
    let r = u64::from(r.0);
    // By Fermat: r^(e-2), all squarings and multiplications, because e - 2 = 0xffff.
    let mut inverse = 1_u64;
    for _ in 0..16 {
        inverse = reduced(reduced(inverse.wrapping_mul(inverse)).wrapping_mul(r));
    }
    let k = EXPONENT.wrapping_sub(inverse);
    let rest = reduced(k.wrapping_mul(r)).wrapping_add(1);
    if rest != EXPONENT {
        return Err(Error::InvalidKey);
    }
    let quotient = k.wrapping_mul(r).wrapping_add(1).div_euclid(EXPONENT);
    Ok(Zeroizing::new(a.wrapping_mul(&Uint::<LIMBS>::from_u64(k)).wrapping_add(&Uint::from_u64(quotient))))
}

fn reduced(value: u64) -> u64 {
    value.rem_euclid(EXPONENT)
}

/// The primes in the PKCS #8 form of a key (RFC 5208 §5, RFC 8017 A.1.2).
fn primes(pkcs8: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, info, _) = element(pkcs8)?;
    let mut rest = info;
    for _ in 0..2 {
        (_, _, rest) = element(rest)?; // version, algorithm
    }
    let (_, key, _) = element(rest)?;
    let (_, mut rest, _) = element(key)?;
    for _ in 0..4 {
        (_, _, rest) = element(rest)?; // version, n, e, d
    }
    let (_, p, rest) = element(rest)?;
    let (_, q, _) = element(rest)?;
    Some((p.split_last_chunk::<PRIME>()?.1, q.split_last_chunk::<PRIME>()?.1))
}

/// One DER element of at most 65,535 bytes: tag, content, and what is behind.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (len, tag, rest) = match der {
        [tag, 0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), tag, rest),
        [tag, 0x81, len, rest @ ..] => (usize::from(*len), tag, rest),
        [tag, len @ 0..=0x7f, rest @ ..] => (usize::from(*len), tag, rest),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((*tag, content, rest))
}
