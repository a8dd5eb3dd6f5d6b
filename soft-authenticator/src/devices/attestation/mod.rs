//! The virtual key's own attestation: `make.sh` beside this file makes the certificates.
//!
//! The private keys are public. They say "this is the virtual key" and attest nothing else; a product brings its own.

use keyfob_core::cose::Algorithm;

use crate::engine::Certified;

/// The model of the virtual key.
pub const VIRTUAL_KEY_AAGUID: [u8; 16] = *b"keyfob\x4d\x00\x8a\x5e\x3c\x1f\x9d\x27\xb6\x04";

/// The root that vouches for the virtual key's certificates, DER.
pub const VIRTUAL_KEY_ROOT: &[u8] = include_bytes!("root.der");

/// The virtual key's attestation key and certificate.
pub const fn virtual_key_certificate() -> Certified<'static> {
    Certified { algorithm: Algorithm::ES256, secret: include_bytes!("leaf.key"), chain: &[include_bytes!("leaf.der")] }
}

/// The key and certificate with which the virtual key attests to enterprises. It has a serial number.
pub const fn virtual_key_enterprise_certificate() -> Certified<'static> {
    Certified {
        algorithm: Algorithm::ES256,
        secret: include_bytes!("enterprise.key"),
        chain: &[include_bytes!("enterprise.der")],
    }
}
