//! Keys on NIST curves, between their stored form and AWS-LC's.

use aws_lc_rs::{
    digest,
    encoding::{AsBigEndian, EcPrivateKeyBin},
    signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, KeyPair, ParsedPublicKey},
};
use keyfob_core::{bytes, cose, crypto::Error};
use zeroize::Zeroizing;

/// A curve and the hash it is used with.
pub struct Curve {
    pub name: cose::Curve,
    pub hash: &'static digest::Algorithm,
    /// Of a scalar and of a coordinate, in bytes.
    size: usize,
    signing: &'static EcdsaSigningAlgorithm,
    verification: &'static EcdsaVerificationAlgorithm,
}

pub static P256: Curve = Curve {
    name: cose::Curve::P256,
    hash: &digest::SHA256,
    size: 32,
    signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
    verification: &signature::ECDSA_P256_SHA256_ASN1,
};
pub static P384: Curve = Curve {
    name: cose::Curve::P384,
    hash: &digest::SHA384,
    size: 48,
    signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
    verification: &signature::ECDSA_P384_SHA384_ASN1,
};
pub static P521: Curve = Curve {
    name: cose::Curve::P521,
    hash: &digest::SHA512,
    size: 66,
    signing: &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    verification: &signature::ECDSA_P521_SHA512_ASN1,
};

/// SEC 1 §2.3.3: `x` and `y` follow.
const UNCOMPRESSED: u8 = 4;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const PUBLIC_KEY: u8 = 0xa1;

impl Curve {
    /// A fresh key; writes `d‖x‖y` and returns its length.
    pub fn generate(&self, secret: &mut [u8]) -> Result<(EcdsaKeyPair, usize), Error> {
        let secret = secret.get_mut(..self.size.saturating_mul(3)).ok_or(Error::OutputTooSmall)?;
        let (scalar, public) = secret.split_at_mut_checked(self.size).ok_or(Error::OutputTooSmall)?;
        let key = EcdsaKeyPair::generate(self.signing).map_err(|_| Error::Failed)?;
        let private: EcPrivateKeyBin<'_> = key.private_key().as_be_bytes().map_err(|_| Error::Failed)?;
        bytes::copy(scalar, private.as_ref());
        bytes::copy(public, bytes::rest(key.public_key().as_ref(), 1));
        Ok((key, secret.len()))
    }

    /// The key of `d‖x‖y`, or of `d` alone.
    ///
    /// # Errors
    /// [`Error::InvalidKey`].
    pub fn load(&self, secret: &[u8]) -> Result<EcdsaKeyPair, Error> {
        let (scalar, public) = secret.split_at_checked(self.size).ok_or(Error::InvalidKey)?;
        if !public.is_empty() && public.len() != self.size.saturating_mul(2) {
            return Err(Error::InvalidKey);
        }
        // An ECPrivateKey without parameters (RFC 5915 §3), written from its end.
        let mut der = Zeroizing::new(Vec::with_capacity(256));
        if !public.is_empty() {
            der.extend(public.iter().rev());
            der.extend([UNCOMPRESSED, 0]);
            close(&mut der, BIT_STRING, 0);
            close(&mut der, PUBLIC_KEY, 0);
        }
        let behind = der.len();
        der.extend(scalar.iter().rev());
        close(&mut der, OCTET_STRING, behind);
        der.extend([1, 1, INTEGER]);
        close(&mut der, SEQUENCE, 0);
        der.reverse();
        EcdsaKeyPair::from_private_key_der(self.signing, &der).map_err(|_| Error::InvalidKey)
    }

    /// The public key at `(x, y)`.
    ///
    /// # Errors
    /// [`Error::InvalidKey`].
    pub fn parse(&self, x: &[u8], y: &[u8]) -> Result<ParsedPublicKey, Error> {
        if x.len() != self.size || y.len() != self.size {
            return Err(Error::InvalidKey);
        }
        ParsedPublicKey::new(self.verification, [&[UNCOMPRESSED], x, y].concat()).map_err(|_| Error::InvalidKey)
    }
}

/// Puts tag and length, in reverse, around what stands in `reversed` from `start` on: at most 255 bytes.
fn close(reversed: &mut Vec<u8>, tag: u8, start: usize) {
    let len = reversed.len().saturating_sub(start).to_le_bytes()[0];
    reversed.push(len);
    if len >= 0x80 {
        reversed.push(0x81);
    }
    reversed.push(tag);
}
