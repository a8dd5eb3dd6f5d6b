//! A self-signed certificate for U2F, whose registrations cannot be without one (RFC 5280 §4.1).
//!
//! It certifies a credential's own key and says nothing about the authenticator: the same for every credential but for
//! key and signature, so that it links no two of them.

use keyfob_core::{
    bytes,
    cbor::{Overflow, Writer},
};

/// An uncompressed point on P-256 without its first byte.
const POINT: usize = 64;
/// `AlgorithmIdentifier`: ecdsa-with-SHA256.
const ECDSA_WITH_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
/// `TBSCertificate` up to the key: version 3, serial number 1, ecdsa-with-SHA256, issued by "U2F credential" to itself,
/// valid from 2000 until the time that RFC 5280 §4.1.2.5 has for "no end", and a key on P-256.
const BEFORE_KEY: &[u8] =
    b"\x30\x81\xc7\xa0\x03\x02\x01\x02\x02\x01\x01\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\
    \x30\x19\x31\x17\x30\x15\x06\x03\x55\x04\x03\x0c\x0eU2F credential\
    \x30\x20\x17\x0d000101000000Z\x18\x0f99991231235959Z\
    \x30\x19\x31\x17\x30\x15\x06\x03\x55\x04\x03\x0c\x0eU2F credential\
    \x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";

/// The length of what is signed.
const SIGNED: usize = BEFORE_KEY.len() + POINT;

/// What the key of `public_key`, x and y, has to sign.
pub(super) fn to_be_signed(public_key: &[u8; POINT]) -> [u8; SIGNED] {
    bytes::concat(&[BEFORE_KEY, public_key])
}

/// Writes the certificate and returns its length. Errors: [`Overflow`].
pub(super) fn write(signed: &[u8; SIGNED], signature: &[u8], out: &mut [u8]) -> Result<usize, Overflow> {
    let bit_string = signature.len().saturating_add(1);
    let len = SIGNED.saturating_add(ECDSA_WITH_SHA256.len()).saturating_add(bit_string).saturating_add(2);
    let mut w = Writer::new(out);
    // Both lengths fit their form: with a signature the certificate has 256 bytes and more, the signature less than
    // 127.
    w.raw(&[0x30, 0x82]);
    w.raw(&(len as u16).to_be_bytes());
    w.raw(signed);
    w.raw(ECDSA_WITH_SHA256);
    w.raw(&[0x03, bit_string as u8, 0]);
    w.raw(signature);
    w.finish()
}
