//! The library as OpenSSH uses it: through its C interface, with results that are freed here as OpenSSH frees them.

use std::{
    ffi::{CStr, CString, c_int},
    ptr, slice,
};

use crate::{
    abi::{EnrollResponse, ResidentKey, SignResponse, SkOption},
    boundary::{sk_enroll, sk_load_resident_keys, sk_sign},
};

mod boundary;
mod keys;
mod places;
mod resident;
mod verification;

const CHALLENGE: &[u8] = b"a challenge";
const APPLICATION: &CStr = c"ssh:";

/// Options in the form of OpenSSH: a list of pointers that ends with null.
struct List {
    strings: Vec<(CString, CString, u8)>,
}

impl List {
    /// Where the key is.
    fn at(device: &str) -> Self {
        Self { strings: Vec::new() }.with("device", device, 0)
    }

    fn with(mut self, name: &str, value: &str, required: u8) -> Self {
        self.strings.push((CString::new(name).unwrap(), CString::new(value).unwrap(), required));
        self
    }

    fn pass<T>(&self, call: impl FnOnce(*mut *mut SkOption) -> T) -> T {
        let option = |(name, value, required): &(CString, CString, u8)| SkOption {
            name: name.as_ptr().cast_mut(),
            value: value.as_ptr().cast_mut(),
            required: *required,
        };
        let mut options: Vec<SkOption> = self.strings.iter().map(option).collect();
        let mut list: Vec<*mut SkOption> = options.iter_mut().map(ptr::from_mut).collect();
        list.push(ptr::null_mut());
        call(list.as_mut_ptr())
    }
}

/// A key in a file of its own.
struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("key")
    }

    fn options(&self) -> List {
        List::at(&format!("store:{}", self.path().display()))
    }
}

#[derive(Debug, PartialEq)]
struct Made {
    flags: u8,
    public_key: Vec<u8>,
    key_handle: Vec<u8>,
    signature: Vec<u8>,
    certificate: Vec<u8>,
    auth_data: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct Signature {
    flags: u8,
    counter: u32,
    r: Vec<u8>,
    s: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct Resident {
    algorithm: u32,
    slot: usize,
    application: CString,
    key: Made,
    flags: u8,
    user_id: Vec<u8>,
}

fn enroll(options: &List, algorithm: u32, flags: u8, pin: Option<&CStr>) -> Result<Made, c_int> {
    enroll_for(options, APPLICATION, algorithm, flags, pin)
}

fn enroll_for(
    options: &List,
    application: &CStr,
    algorithm: u32,
    flags: u8,
    pin: Option<&CStr>,
) -> Result<Made, c_int> {
    let mut response = ptr::null_mut();
    let (start, length, application) = (CHALLENGE.as_ptr(), CHALLENGE.len(), application.as_ptr());
    let pin = pin.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: as the interface has it.
    let code = options.pass(|options| unsafe {
        sk_enroll(algorithm, start, length, application, flags, pin, options, &mut response)
    });
    assert_eq!(code != 0, response.is_null(), "{code}");
    if code != 0 {
        return Err(code);
    }
    // SAFETY: it is a response.
    Ok(unsafe { taken_one(response, |response| made(response)) })
}

fn sign(options: &List, key: &Made, algorithm: u32, data: &[u8], pin: Option<&CStr>) -> Result<Signature, c_int> {
    let mut response: *mut SignResponse = ptr::null_mut();
    let pin = pin.map_or(ptr::null(), CStr::as_ptr);
    let (application, handle) = (APPLICATION.as_ptr(), &key.key_handle);
    // SAFETY: as the interface has it.
    let code = options.pass(|options| unsafe {
        let (data, length, flags) = (data.as_ptr(), data.len(), key.flags);
        let (handle, size) = (handle.as_ptr(), handle.len());
        sk_sign(algorithm, data, length, application, handle, size, flags, pin, options, &mut response)
    });
    assert_eq!(code != 0, response.is_null(), "{code}");
    if code != 0 {
        return Err(code);
    }
    // SAFETY: it is a response.
    Ok(unsafe {
        taken_one(response, |response| Signature {
            flags: response.flags,
            counter: response.counter,
            r: taken(response.sig_r, response.sig_r_len),
            s: taken(response.sig_s, response.sig_s_len),
        })
    })
}

fn load(options: &List, pin: Option<&CStr>) -> Result<Vec<Resident>, c_int> {
    let (mut keys, mut count) = (ptr::null_mut(), 7);
    let pin = pin.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: as the interface has it.
    let code = options.pass(|options| unsafe { sk_load_resident_keys(pin, options, &mut keys, &mut count) });
    assert!(code == 0 || (keys.is_null() && count == 0));
    if code != 0 {
        return Err(code);
    }
    assert_eq!(keys.is_null(), count == 0);
    // SAFETY: they are so many keys.
    Ok(unsafe { taken(keys, count).into_iter().map(|key| taken_one(key, |key| resident(key))).collect() })
}

/// # Safety
/// It is a resident key of the library's.
unsafe fn resident(key: &ResidentKey) -> Resident {
    // SAFETY: the caller's promise.
    unsafe {
        let application = CStr::from_ptr(key.application).to_owned();
        libc::free(key.application.cast());
        Resident {
            algorithm: key.alg,
            slot: key.slot,
            application,
            key: made(&key.key),
            flags: key.flags,
            user_id: taken(key.user_id, key.user_id_len),
        }
    }
}

/// # Safety
/// It is a response of the library's.
unsafe fn made(response: &EnrollResponse) -> Made {
    // SAFETY: the caller's promise.
    unsafe {
        Made {
            flags: response.flags,
            public_key: taken(response.public_key, response.public_key_len),
            key_handle: taken(response.key_handle, response.key_handle_len),
            signature: taken(response.signature, response.signature_len),
            certificate: taken(response.attestation_cert, response.attestation_cert_len),
            auth_data: taken(response.authdata, response.authdata_len),
        }
    }
}

/// Copies what the library has given, and frees it. Nothing is a null pointer.
///
/// # Safety
/// It is null or has so many values.
unsafe fn taken<T: Copy>(start: *mut T, len: usize) -> Vec<T> {
    assert_eq!(start.is_null(), len == 0);
    if start.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller's promise; the library's memory is from malloc.
    unsafe {
        let values = slice::from_raw_parts(start, len).to_vec();
        libc::free(start.cast());
        values
    }
}

/// # Safety
/// It is a value that the library has given.
unsafe fn taken_one<T, U>(value: *mut T, read: impl FnOnce(&T) -> U) -> U {
    // SAFETY: the caller's promise; the library's memory is from malloc.
    unsafe {
        let result = read(&*value);
        libc::free(value.cast());
        result
    }
}
