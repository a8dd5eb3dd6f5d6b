//! A backend that protects nothing.

use rand_core::TryCryptoRng;

use super::{Agreement, Cipher, Error, Hash, P256_ORDER, P256Point, P256Secret, Sha256, Sign, Verify, der};
use crate::{
    bytes,
    cose::{Algorithm, CoseKey, Curve},
};

/// **Not cryptography.** Everyone can read, forge and derive everything it makes. It exists to measure how large firmware
/// is without its cryptography, and to simulate very many ceremonies fast.
///
/// What it keeps is the structure: lengths and encodings, ECDH that agrees, ciphers that invert, tags and signatures
/// that notice a flipped bit, points that are not on its "curve", and every error of the traits. It passes
/// the properties of `keyfob-conformance` and fails its known answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct StubCrypto;

/// 64 bits that are mixed byte by byte, spread to 32 bytes at the end.
#[derive(Clone, Debug)]
pub struct StubSha256(u64);

impl Sha256 for StubSha256 {
    #[inline(never)]
    fn update(&mut self, data: &[u8]) {
        for &byte in data {
            self.0 = mix(self.0 ^ u64::from(byte));
        }
    }

    fn finish(self) -> [u8; 32] {
        spread(self.0)
    }
}

/// A bijection: the high half is added to the low one, and the multiplication of FNV carries that upwards.
fn mix(value: u64) -> u64 {
    (value ^ (value >> 32)).wrapping_mul(0x0100_0000_01b3).wrapping_add(1)
}

/// `N` bytes that follow from `seed`.
fn spread<const N: usize>(seed: u64) -> [u8; N] {
    let mut out = [0; N];
    add_stream(seed, &mut out);
    out
}

/// Adds bytes that follow from `seed` to `data`, bit by bit.
#[inline(never)]
fn add_stream(seed: u64, data: &mut [u8]) {
    let mut state = seed;
    for byte in data {
        state = mix(state);
        *byte ^= (state >> 32) as u8;
    }
}

/// A hash of `parts` with their lengths, so that no byte can move from one to the next.
fn digest(parts: &[&[u8]]) -> u64 {
    let mut hash = StubCrypto.sha256_start();
    for part in parts {
        hash.update(&part.len().to_be_bytes());
        hash.update(part);
    }
    hash.0
}

/// The same on the concatenation of `message`.
fn digest_message(key: &[u8], message: &[&[u8]]) -> u64 {
    let mut hash = StubSha256(digest(&[key]));
    message.iter().for_each(|part| hash.update(part));
    hash.0
}

/// Its own inverse.
fn stream(key: &[u8], nonce: &[u8], data: &mut [u8]) {
    add_stream(digest(&[key, nonce]), data);
}

impl Hash for StubCrypto {
    type Sha256 = StubSha256;

    fn sha256_start(&self) -> StubSha256 {
        StubSha256(0xcbf2_9ce4_8422_2325)
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        spread(digest_message(key, parts))
    }
}

impl Cipher for StubCrypto {
    fn aes256_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        if !data.len().is_multiple_of(16) {
            return Err(Error::InvalidLength);
        }
        stream(key, iv, data);
        Ok(())
    }

    fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        self.aes256_cbc_encrypt(key, iv, data)
    }

    fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        stream(key, iv, data);
    }

    fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        stream(key, iv, data);
    }

    fn aes256_gcm_seal(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        stream(key, nonce, data);
        Ok(spread(digest(&[key, nonce, aad, data])))
    }

    fn aes256_gcm_open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        if *tag != spread(digest(&[key, nonce, aad, data])) {
            return Err(Error::Mismatch);
        }
        stream(key, nonce, data);
        Ok(())
    }
}

/// The "group" is multiplication modulo 2⁶⁴; odd scalars keep it from collapsing to zero.
fn scalar(secret: &[u8; 32]) -> Result<u64, Error> {
    if *secret == [0; 32] || *secret >= P256_ORDER { Err(Error::InvalidKey) } else { Ok(digest(&[secret]) | 1) }
}

fn point(element: u64) -> P256Point {
    let mut x = spread(element);
    bytes::put(&mut x, &element.to_be_bytes());
    P256Point { x, y: spread(!element) }
}

/// The group element of a point that is "on the curve".
fn element(candidate: &P256Point) -> Result<u64, Error> {
    let element = u64::from_be_bytes(bytes::first(&candidate.x));
    if element != 0 && point(element) == *candidate { Ok(element) } else { Err(Error::InvalidKey) }
}

fn public(secret: &[u8]) -> Result<P256Point, Error> {
    let scalar = scalar(secret.try_into().map_err(|_| Error::InvalidKey)?)?;
    Ok(point(scalar.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

impl Agreement for StubCrypto {
    fn p256_generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<(P256Secret, P256Point), Error> {
        let mut secret = P256Secret([0; 32]);
        super::fill_random(rng, &mut secret.0)?;
        // Below the order, and not zero.
        secret.0[0] = 1;
        let point = public(&secret.0)?;
        Ok((secret, point))
    }

    fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error> {
        public(&secret.0)
    }

    fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error> {
        Ok(spread(scalar(&secret.0)?.wrapping_mul(element(peer)?)))
    }
}

/// Whether the raw public key is `x‖y`; otherwise it is `x`.
fn is_ec2(algorithm: Algorithm) -> Result<bool, Error> {
    match algorithm {
        Algorithm::ES256 | Algorithm::ESP256 => Ok(true),
        Algorithm::EDDSA | Algorithm::ED25519 => Ok(false),
        _ => Err(Error::Unsupported),
    }
}

fn write_public(algorithm: Algorithm, point: &P256Point, public: &mut [u8]) -> Result<usize, Error> {
    let raw = point.to_bytes();
    let raw = if is_ec2(algorithm)? { &raw[..] } else { &point.x };
    let public = public.get_mut(..raw.len()).ok_or(Error::OutputTooSmall)?;
    Ok(bytes::put(public, raw))
}

/// The one signature of `message` under the public key, which is why everyone can make it.
fn write_signature(x: &[u8], is_ec2: bool, message: &[&[u8]], signature: &mut [u8]) -> Result<usize, Error> {
    let digest = digest_message(x, message);
    let (r, s): ([u8; 32], [u8; 32]) = (spread(digest), spread(!digest));
    if is_ec2 {
        return der::write(&r, &s, signature);
    }
    let signature: &mut [u8; 64] = signature.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
    *signature = P256Point { x: r, y: s }.to_bytes();
    Ok(signature.len())
}

impl Sign for StubCrypto {
    fn algorithms(&self) -> &[Algorithm] {
        &[Algorithm::ES256, Algorithm::EDDSA, Algorithm::ESP256, Algorithm::ED25519]
    }

    fn generate<R: TryCryptoRng + ?Sized>(
        &self,
        algorithm: Algorithm,
        rng: &mut R,
        secret: &mut [u8],
        public: &mut [u8],
    ) -> Result<(usize, usize), Error> {
        is_ec2(algorithm)?;
        let secret = secret.first_chunk_mut().ok_or(Error::OutputTooSmall)?;
        let (scalar, point) = self.p256_generate(rng)?;
        let public = write_public(algorithm, &point, public)?;
        *secret = scalar.0;
        Ok((secret.len(), public))
    }

    fn public_key(&self, algorithm: Algorithm, secret: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        is_ec2(algorithm)?;
        write_public(algorithm, &public(secret)?, out)
    }

    fn sign_hedged(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        _hedge: Option<&[u8; super::HEDGE]>,
        signature: &mut [u8],
    ) -> Result<usize, Error> {
        let is_ec2 = is_ec2(algorithm)?;
        write_signature(&public(secret)?.x, is_ec2, message, signature)
    }
}

impl Verify for StubCrypto {
    fn verify(&self, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
        let is_ec2 = is_ec2(key.algorithm())?;
        let x = match *key {
            CoseKey::Ec2 { .. } if is_ec2 => {
                let point = key.p256_point().ok_or(Error::InvalidKey)?;
                element(&point)?;
                point.x
            }
            CoseKey::Okp { curve: Curve::ED25519, x, .. } if !is_ec2 => x.try_into().map_err(|_| Error::InvalidKey)?,
            _ => return Err(Error::InvalidKey),
        };
        let mut expected = [0; super::MAX_SIGNATURE];
        let len = write_signature(&x, is_ec2, message, &mut expected)?;
        if expected.get(..len) == Some(signature) { Ok(()) } else { Err(Error::Mismatch) }
    }
}
