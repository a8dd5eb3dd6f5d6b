//! Between Rust's values and those of C: what structs point to, and copies of what they point to.

use std::{ptr, slice};

use keyfob_core::{
    cbor::{List, Text},
    client::extensions::{HmacOutputs, PrfInput},
    ctap2::{self, CredentialDescriptor},
    webauthn::Attachment,
};
use zeroize::Zeroizing;

use crate::abi::{self, BOOL, PCWSTR, transport};

/// The type of all credentials, `public-key`.
pub static PUBLIC_KEY: [u16; 11] = ascii("public-key");

/// An ASCII text as UTF-16 with a zero at its end. `N` is its length, and one.
pub const fn ascii<const N: usize>(text: &str) -> [u16; N] {
    let mut wide = [0; N];
    let (mut text, mut rest) = (text.as_bytes(), wide.as_mut_slice());
    while let ([byte, after @ ..], [unit, behind @ ..]) = (text, rest) {
        *unit = *byte as u16;
        (text, rest) = (after, behind);
    }
    wide
}

/// A text as UTF-16 with a zero at its end.
pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A length for C. Nothing here is longer.
pub fn length<T>(values: &[T]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

/// Where the values lie; null when there are none.
pub fn pointer<T>(values: &[T]) -> *const T {
    if values.is_empty() { ptr::null() } else { values.as_ptr() }
}

/// Credentials as Windows takes them.
pub struct Credentials {
    /// What `pointers` point to.
    _entries: Vec<abi::WEBAUTHN_CREDENTIAL_EX>,
    pointers: Vec<*const abi::WEBAUTHN_CREDENTIAL_EX>,
}

impl Credentials {
    /// Those of `list`, which outlive the value. Those of unknown types are left out.
    pub fn of(list: List<'_, CredentialDescriptor<'_>>) -> Self {
        let entries: Vec<_> = list
            .iter()
            .filter(|descriptor| descriptor.kind == ctap2::PUBLIC_KEY)
            .map(|descriptor| abi::WEBAUTHN_CREDENTIAL_EX {
                dwVersion: 1,
                cbId: length(descriptor.id),
                pbId: pointer(descriptor.id),
                pwszCredentialType: PUBLIC_KEY.as_ptr(),
                dwTransports: descriptor.transports.map_or(0, bits),
            })
            .collect();
        let pointers = entries.iter().map(ptr::from_ref).collect();
        Self { _entries: entries, pointers }
    }

    /// The struct, which points into this value.
    pub fn list(&self) -> abi::WEBAUTHN_CREDENTIAL_LIST {
        abi::WEBAUTHN_CREDENTIAL_LIST { cCredentials: length(&self.pointers), ppCredentials: pointer(&self.pointers) }
    }
}

/// Hints as Windows takes them.
pub struct Hints {
    /// What `pointers` point to.
    _texts: Vec<Vec<u16>>,
    pub pointers: Vec<PCWSTR>,
}

impl Hints {
    pub fn of(hints: List<'_, Text<'_>>) -> Self {
        let texts: Vec<_> = hints.iter().map(|hint| wide(hint.as_str())).collect();
        let pointers = texts.iter().map(|text| text.as_ptr()).collect();
        Self { _texts: texts, pointers }
    }
}

/// The bits of transports, without those that Windows does not know.
fn bits(transports: List<'_, Text<'_>>) -> u32 {
    let bit = |name: &str| match name {
        "usb" => transport::USB,
        "nfc" => transport::NFC,
        "ble" => transport::BLE,
        "internal" => transport::INTERNAL,
        "hybrid" => transport::HYBRID,
        "smart-card" => transport::SMART_CARD,
        _ => 0,
    };
    transports.iter().fold(0, |bits, name| bits | bit(name.as_str()))
}

/// The names of transports, in the order of WebAuthn's responses.
pub fn names(bits: u32) -> Vec<Text<'static>> {
    let all = [
        (transport::BLE, "ble"),
        (transport::HYBRID, "hybrid"),
        (transport::INTERNAL, "internal"),
        (transport::NFC, "nfc"),
        (transport::SMART_CARD, "smart-card"),
        (transport::USB, "usb"),
    ];
    all.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| Text::new(name)).collect()
}

/// How the authenticator is attached that was reached by this transport.
pub fn attachment(used: u32) -> Option<Attachment> {
    match used {
        0 => None,
        transport::INTERNAL => Some(Attachment::Platform),
        _ => Some(Attachment::CrossPlatform),
    }
}

/// Inputs of a pseudo-random function, which outlive the struct.
pub fn salts(input: PrfInput<'_>) -> abi::WEBAUTHN_HMAC_SECRET_SALT {
    let second = input.second.unwrap_or_default();
    abi::WEBAUTHN_HMAC_SECRET_SALT {
        cbFirst: length(input.first),
        pbFirst: pointer(input.first),
        cbSecond: length(second),
        pbSecond: pointer(second),
    }
}

/// An input that is a BOOL, or another value of C.
pub fn extension<T>(identifier: &'static [u16], value: &T) -> abi::WEBAUTHN_EXTENSION {
    abi::WEBAUTHN_EXTENSION {
        pwszExtensionIdentifier: identifier.as_ptr(),
        cbExtension: u32::try_from(size_of::<T>()).unwrap_or(u32::MAX),
        pvExtension: ptr::from_ref(value).cast(),
    }
}

/// The struct, which points to `list`.
pub fn extensions(list: &[abi::WEBAUTHN_EXTENSION]) -> abi::WEBAUTHN_EXTENSIONS {
    abi::WEBAUTHN_EXTENSIONS { cExtensions: length(list), pExtensions: pointer(list) }
}

/// A BOOL, if the struct that it is in has at least this version.
pub fn flag(has: bool, value: BOOL) -> Option<bool> {
    has.then_some(value != 0)
}

/// A copy of `length` bytes.
///
/// # Safety
/// `start` points to as many, or is null.
pub unsafe fn copied(start: *const u8, length: u32) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or(0);
    if start.is_null() || length == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(start, length) }.to_vec()
}

/// A copy of a text, with what is no UTF-16 replaced.
///
/// # Safety
/// `text` has a zero at its end, or is null.
pub unsafe fn text(text: PCWSTR) -> Option<String> {
    if text.is_null() {
        return None;
    }
    let mut units = Vec::new();
    let mut next = text;
    // SAFETY: the caller's promise: the zero has not been passed yet.
    while let unit @ 1.. = unsafe { next.read() } {
        units.push(unit);
        next = next.wrapping_add(1);
    }
    Some(String::from_utf16_lossy(&units))
}

/// Outputs of a pseudo-random function. Wiped on drop.
pub struct Secrets {
    first: Zeroizing<[u8; 32]>,
    second: Option<Zeroizing<[u8; 32]>>,
}

impl Secrets {
    /// A copy. `None` when there is none, or the first has another length than 32.
    ///
    /// # Safety
    /// `values` is null, or points to a struct whose pointers have their lengths.
    pub unsafe fn copied(values: *const abi::WEBAUTHN_HMAC_SECRET_SALT) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe {
            let values = values.as_ref()?;
            let second = Self::one(values.pbSecond, values.cbSecond);
            Self::one(values.pbFirst, values.cbFirst).map(|first| Self { first, second })
        }
    }

    /// # Safety
    /// `start` points to `length` bytes, or is null.
    unsafe fn one(start: *const u8, length: u32) -> Option<Zeroizing<[u8; 32]>> {
        // SAFETY: 32 bytes are there.
        (length == 32 && !start.is_null()).then(|| Zeroizing::new(unsafe { *start.cast::<[u8; 32]>() }))
    }

    /// A copy at the front of `memory`; `Err` is the size that it takes.
    pub fn put<'b>(&self, memory: &'b mut [u8]) -> Result<HmacOutputs<'b>, usize> {
        let (first, rest) = memory.split_first_chunk_mut::<32>().ok_or(64_usize)?;
        *first = *self.first;
        let second = match &self.second {
            Some(second) => {
                let place = rest.first_chunk_mut::<32>().ok_or(64_usize)?;
                *place = **second;
                Some(&*place)
            }
            None => None,
        };
        Ok(HmacOutputs { first, second })
    }
}
