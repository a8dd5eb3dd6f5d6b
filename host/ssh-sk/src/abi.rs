//! The layouts and numbers of OpenSSH's `sk-api.h`, version 0x000a0000.

use std::ffi::{c_char, c_int};

/// The version of the interface. OpenSSH compares the upper half.
pub const VERSION: u32 = 0x000a_0000;

/// Flags of a key: signing asks for a touch.
pub const USER_PRESENCE: u8 = 0x01;
/// Flags of a key: signing verifies the user.
pub const USER_VERIFICATION: u8 = 0x04;
/// A registration overwrites a resident key of the same application and user.
pub const FORCE_OPERATION: u8 = 0x10;
/// Flags of a key: the authenticator keeps it, and can list it.
pub const RESIDENT_KEY: u8 = 0x20;

/// The algorithm of keys of the type `ecdsa-sk`.
pub const ECDSA: u32 = 0;
/// The algorithm of keys of the type `ed25519-sk`.
pub const ED25519: u32 = 1;

/// What a call returns.
pub const OK: c_int = 0;
/// None of the others.
pub const ERR_GENERAL: c_int = -1;
/// The authenticator, or this library, does not have what was asked for.
pub const ERR_UNSUPPORTED: c_int = -2;
/// A PIN is needed, or the one that was given is wrong: OpenSSH asks for it.
pub const ERR_PIN_REQUIRED: c_int = -3;
/// There is no authenticator, or none with this key.
pub const ERR_DEVICE_NOT_FOUND: c_int = -4;
/// There is a resident key of this application and user: OpenSSH asks whether to overwrite it.
pub const ERR_CREDENTIAL_EXISTS: c_int = -5;

/// An option: a name and a value, both ended by a zero byte.
#[repr(C)]
pub struct SkOption {
    pub name: *mut c_char,
    pub value: *mut c_char,
    /// Whether the operation has to fail if the option is unknown.
    pub required: u8,
}

/// A key that was made.
#[repr(C)]
pub struct EnrollResponse {
    pub flags: u8,
    /// `ecdsa-sk`: 0x04 and both coordinates; `ed25519-sk`: 32 bytes.
    pub public_key: *mut u8,
    pub public_key_len: usize,
    pub key_handle: *mut u8,
    pub key_handle_len: usize,
    /// The signature of the attestation.
    pub signature: *mut u8,
    pub signature_len: usize,
    /// DER.
    pub attestation_cert: *mut u8,
    pub attestation_cert_len: usize,
    /// Authenticator data as a byte string of CBOR.
    pub authdata: *mut u8,
    pub authdata_len: usize,
}

/// A signature.
#[repr(C)]
pub struct SignResponse {
    /// The flags of the authenticator data.
    pub flags: u8,
    pub counter: u32,
    /// `ecdsa-sk`: r, big-endian; `ed25519-sk`: the whole signature.
    pub sig_r: *mut u8,
    pub sig_r_len: usize,
    /// `ecdsa-sk`: s, big-endian; `ed25519-sk`: null.
    pub sig_s: *mut u8,
    pub sig_s_len: usize,
}

/// A resident key.
#[repr(C)]
pub struct ResidentKey {
    pub alg: u32,
    pub slot: usize,
    pub application: *mut c_char,
    pub key: EnrollResponse,
    pub flags: u8,
    pub user_id: *mut u8,
    pub user_id_len: usize,
}
