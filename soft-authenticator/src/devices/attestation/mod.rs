//! The attestation of the virtual key. `make.sh` in this folder makes the certificates.
//!
//! The private keys are published here, so they prove only "this is the virtual key". A product must bring its
//! own.

use keyfob_core::cose::Algorithm;

use crate::engine::Certified;

/// The AAGUID of the virtual key.
pub const VIRTUAL_KEY_AAGUID: [u8; 16] = *b"keyfob\x4d\x00\x8a\x5e\x3c\x1f\x9d\x27\xb6\x04";

/// The root certificate that signed the virtual key's certificates, DER.
pub const VIRTUAL_KEY_ROOT: &[u8] = include_bytes!("root.der");

/// The virtual key's attestation key and certificate.
pub const fn virtual_key_certificate() -> Certified<'static> {
    Certified { algorithm: Algorithm::ES256, secret: include_bytes!("leaf.key"), chain: &[include_bytes!("leaf.der")] }
}

/// The virtual key's key and certificate for enterprise attestation. The certificate has a serial number.
pub const fn virtual_key_enterprise_certificate() -> Certified<'static> {
    Certified {
        algorithm: Algorithm::ES256,
        secret: include_bytes!("enterprise.key"),
        chain: &[include_bytes!("enterprise.der")],
    }
}
