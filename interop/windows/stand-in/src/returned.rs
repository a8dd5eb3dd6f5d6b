//! What the client gets. The members behind those that the struct's version has are full of rubbish, so that a client
//! that looks at them fails.

use std::{
    ffi::c_void,
    mem::offset_of,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

use keyfob_windows::abi::*;

use crate::key::{Asserted, Created, PlatformEntry, Secrets};

static LIVE: AtomicUsize = AtomicUsize::new(0);
/// No pointer, no length and no flag looks like it.
const RUBBISH: u8 = 0xA5;
static PUBLIC_KEY: [u16; 11] = {
    let (text, mut wide) = (b"public-key", [0; 11]);
    let mut at = 0;
    while at < text.len() {
        wide[at] = text[at] as u16;
        at += 1;
    }
    wide
};

/// How many results were not freed.
pub fn live() -> usize {
    LIVE.load(Ordering::SeqCst)
}

fn leaked<T>(value: T) -> *mut T {
    LIVE.fetch_add(1, Ordering::SeqCst);
    Box::into_raw(Box::new(value))
}

/// # Safety
/// It is null, or the first member of a leaked `T`.
pub unsafe fn free<T>(value: *mut c_void) {
    if !value.is_null() {
        LIVE.fetch_sub(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(value.cast::<T>()) });
    }
}

/// Fills what lies behind the first `end` bytes of a struct.
///
/// # Safety
/// Nothing reads it any more but as bytes.
unsafe fn spoil<T>(value: *mut T, end: usize) {
    // SAFETY: `end` is at most the size of the struct.
    unsafe { value.cast::<u8>().add(end).write_bytes(RUBBISH, size_of::<T>() - end) }
}

fn length(bytes: &[u8]) -> u32 {
    bytes.len() as u32
}

/// Null where there is nothing.
fn pointer(bytes: &[u8]) -> *const u8 {
    if bytes.is_empty() { ptr::null() } else { bytes.as_ptr() }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Outputs of a pseudo-random function, with what the struct points to.
struct Outputs {
    _secrets: Box<Secrets>,
    c: Box<WEBAUTHN_HMAC_SECRET_SALT>,
}

impl Outputs {
    fn new(secrets: Secrets) -> Self {
        let secrets = Box::new(secrets);
        let second: &[u8] = secrets.1.as_ref().map_or(&[], |second| second);
        let c = WEBAUTHN_HMAC_SECRET_SALT {
            cbFirst: 32,
            pbFirst: secrets.0.as_ptr(),
            cbSecond: length(second),
            pbSecond: pointer(second),
        };
        Self { c: Box::new(c), _secrets: secrets }
    }

    fn pointer(outputs: &Option<Self>) -> *const WEBAUTHN_HMAC_SECRET_SALT {
        outputs.as_ref().map_or(ptr::null(), |outputs| &*outputs.c)
    }
}

const NO_EXTENSIONS: WEBAUTHN_EXTENSIONS = WEBAUTHN_EXTENSIONS { cExtensions: 0, pExtensions: ptr::null() };

/// A registration, with what its struct points to.
#[repr(C)]
pub struct Attestation {
    c: WEBAUTHN_CREDENTIAL_ATTESTATION,
    format: Vec<u16>,
    created: Created,
    outputs: Option<Outputs>,
}

impl Attestation {
    pub fn leak(created: Created, api: u32) -> *mut WEBAUTHN_CREDENTIAL_ATTESTATION {
        let (format, outputs) = (wide(&created.format), created.secrets.map(Outputs::new));
        let c = WEBAUTHN_CREDENTIAL_ATTESTATION {
            dwVersion: version::credential_attestation(api),
            pwszFormatType: format.as_ptr(),
            cbAuthenticatorData: length(&created.auth_data),
            pbAuthenticatorData: pointer(&created.auth_data),
            cbAttestation: length(&created.statement),
            pbAttestation: pointer(&created.statement),
            dwAttestationDecodeType: 0,
            pvAttestationDecode: ptr::null(),
            cbAttestationObject: 0,
            pbAttestationObject: ptr::null(),
            cbCredentialId: length(&created.id),
            pbCredentialId: pointer(&created.id),
            Extensions: NO_EXTENSIONS,
            dwUsedTransport: created.used,
            bEpAtt: created.enterprise.into(),
            bLargeBlobSupported: created.large_blob.into(),
            bResidentKey: created.resident.into(),
            bPrfEnabled: created.prf.into(),
            cbUnsignedExtensionOutputs: 0,
            pbUnsignedExtensionOutputs: ptr::null(),
            pHmacSecret: Outputs::pointer(&outputs),
            bThirdPartyPayment: created.payment.into(),
            dwTransports: if created.used == transport::INTERNAL {
                created.used
            } else {
                transport::USB | transport::NFC
            },
            cbClientDataJSON: 0,
            pbClientDataJSON: ptr::null(),
            cbRegistrationResponseJSON: 0,
            pbRegistrationResponseJSON: ptr::null(),
        };
        let end = match c.dwVersion {
            3 => offset_of!(WEBAUTHN_CREDENTIAL_ATTESTATION, bEpAtt),
            4 => offset_of!(WEBAUTHN_CREDENTIAL_ATTESTATION, bPrfEnabled),
            5 => offset_of!(WEBAUTHN_CREDENTIAL_ATTESTATION, cbUnsignedExtensionOutputs),
            6 => offset_of!(WEBAUTHN_CREDENTIAL_ATTESTATION, pHmacSecret),
            7 => offset_of!(WEBAUTHN_CREDENTIAL_ATTESTATION, dwTransports),
            _ => size_of::<WEBAUTHN_CREDENTIAL_ATTESTATION>(),
        };
        let value = leaked(Self { c, format, created, outputs }).cast();
        // SAFETY: the struct is the first member of a value that was leaked.
        unsafe { spoil::<WEBAUTHN_CREDENTIAL_ATTESTATION>(value, end) };
        value
    }
}

/// A sign-in, with what its struct points to.
#[repr(C)]
pub struct Assertion {
    c: WEBAUTHN_ASSERTION,
    asserted: Asserted,
    outputs: Option<Outputs>,
}

impl Assertion {
    pub fn leak(asserted: Asserted, api: u32) -> *mut WEBAUTHN_ASSERTION {
        let outputs = asserted.secrets.map(Outputs::new);
        let c = WEBAUTHN_ASSERTION {
            dwVersion: version::assertion(api),
            cbAuthenticatorData: length(&asserted.auth_data),
            pbAuthenticatorData: pointer(&asserted.auth_data),
            cbSignature: length(&asserted.signature),
            pbSignature: pointer(&asserted.signature),
            Credential: WEBAUTHN_CREDENTIAL {
                dwVersion: 1,
                cbId: length(&asserted.id),
                pbId: pointer(&asserted.id),
                pwszCredentialType: PUBLIC_KEY.as_ptr(),
            },
            cbUserId: length(&asserted.user_id),
            pbUserId: pointer(&asserted.user_id),
            Extensions: NO_EXTENSIONS,
            cbCredLargeBlob: length(&asserted.blob),
            pbCredLargeBlob: pointer(&asserted.blob),
            dwCredLargeBlobStatus: asserted.blob_status,
            pHmacSecret: Outputs::pointer(&outputs),
            dwUsedTransport: asserted.used,
            cbUnsignedExtensionOutputs: 0,
            pbUnsignedExtensionOutputs: ptr::null(),
            cbClientDataJSON: 0,
            pbClientDataJSON: ptr::null(),
            cbAuthenticationResponseJSON: 0,
            pbAuthenticationResponseJSON: ptr::null(),
        };
        let end = match c.dwVersion {
            1 => offset_of!(WEBAUTHN_ASSERTION, Extensions),
            2 => offset_of!(WEBAUTHN_ASSERTION, pHmacSecret),
            3 => offset_of!(WEBAUTHN_ASSERTION, dwUsedTransport),
            4 => offset_of!(WEBAUTHN_ASSERTION, cbUnsignedExtensionOutputs),
            5 => offset_of!(WEBAUTHN_ASSERTION, cbClientDataJSON),
            _ => size_of::<WEBAUTHN_ASSERTION>(),
        };
        let value = leaked(Self { c, asserted, outputs }).cast();
        // SAFETY: the struct is the first member of a value that was leaked.
        unsafe { spoil::<WEBAUTHN_ASSERTION>(value, end) };
        value
    }
}

/// Credentials of the platform, with what the list points to.
#[repr(C)]
pub struct Details {
    c: WEBAUTHN_CREDENTIAL_DETAILS_LIST,
    pointers: Vec<*const WEBAUTHN_CREDENTIAL_DETAILS>,
    entries: Vec<Detail>,
}

struct Detail {
    c: Box<WEBAUTHN_CREDENTIAL_DETAILS>,
    _rp: Box<WEBAUTHN_RP_ENTITY_INFORMATION>,
    _user: Box<WEBAUTHN_USER_ENTITY_INFORMATION>,
    _texts: [Vec<u16>; 5],
    _bytes: [Vec<u8>; 2],
}

impl Details {
    pub fn leak(found: &[&PlatformEntry], api: u32) -> *mut WEBAUTHN_CREDENTIAL_DETAILS_LIST {
        let entries: Vec<_> = found.iter().map(|entry| Detail::new(entry, api)).collect();
        let pointers: Vec<_> = entries.iter().map(|entry| &raw const *entry.c).collect();
        let c = WEBAUTHN_CREDENTIAL_DETAILS_LIST {
            cCredentialDetails: pointers.len() as u32,
            ppCredentialDetails: pointers.as_ptr(),
        };
        leaked(Self { c, pointers, entries }).cast()
    }
}

impl Detail {
    fn new(entry: &PlatformEntry, api: u32) -> Self {
        let texts: [Vec<u16>; 5] =
            [entry.rp_id.as_str(), &entry.rp_name, &entry.user.1, &entry.user.2, "Stand-in"].map(wide);
        let bytes = [entry.id.clone(), entry.user.0.clone()];
        let rp = Box::new(WEBAUTHN_RP_ENTITY_INFORMATION {
            dwVersion: 1,
            pwszId: texts[0].as_ptr(),
            pwszName: texts[1].as_ptr(),
            pwszIcon: ptr::null(),
        });
        let user = Box::new(WEBAUTHN_USER_ENTITY_INFORMATION {
            dwVersion: 1,
            cbId: length(&bytes[1]),
            pbId: pointer(&bytes[1]),
            pwszName: texts[2].as_ptr(),
            pwszIcon: ptr::null(),
            pwszDisplayName: texts[3].as_ptr(),
        });
        let mut c = Box::new(WEBAUTHN_CREDENTIAL_DETAILS {
            dwVersion: version::credential_details(api),
            cbCredentialID: length(&bytes[0]),
            pbCredentialID: pointer(&bytes[0]),
            pRpInformation: &*rp,
            pUserInformation: &*user,
            bRemovable: 1,
            bBackedUp: 1,
            pwszAuthenticatorName: texts[4].as_ptr(),
            cbAuthenticatorLogo: 0,
            pbAuthenticatorLogo: ptr::null(),
            bThirdPartyPayment: 1,
            dwTransports: transport::INTERNAL,
        });
        let end = match c.dwVersion {
            1 => offset_of!(WEBAUTHN_CREDENTIAL_DETAILS, bBackedUp),
            2 => offset_of!(WEBAUTHN_CREDENTIAL_DETAILS, pwszAuthenticatorName),
            3 => offset_of!(WEBAUTHN_CREDENTIAL_DETAILS, dwTransports),
            _ => size_of::<WEBAUTHN_CREDENTIAL_DETAILS>(),
        };
        // SAFETY: only the client reads it.
        unsafe { spoil(&raw mut *c, end) };
        Self { c, _rp: rp, _user: user, _texts: texts, _bytes: bytes }
    }
}
