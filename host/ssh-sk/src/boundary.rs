//! The functions that OpenSSH calls. Everything that takes a pointer is here.

use std::{
    cell::Cell,
    ffi::{CStr, c_char, c_int, c_void},
    io::{self, Write},
    panic::{self, AssertUnwindSafe},
    ptr, slice,
};

use crate::{
    abi::{self, EnrollResponse, ResidentKey, SignResponse, SkOption},
    enroll::{Enrollment, enroll},
    failure::Failure,
    options::{Options, Passed},
    resident::{Resident, load},
    sign::{Signing, sign},
};

/// The longest challenge, message or key handle, in bytes: more than any of OpenSSH's messages.
const MAX_LENGTH: usize = 16 << 20;
/// The most options. OpenSSH has two.
const MAX_OPTIONS: usize = 64;

/// The version of the interface.
#[unsafe(no_mangle)]
pub extern "C" fn sk_api_version() -> u32 {
    abi::VERSION
}

/// Makes a key.
///
/// # Safety
/// As in `sk-api.h`: `challenge` has `challenge_len` bytes; `application` and `pin` are null or end with a zero byte;
/// `options` is null or a list that ends with null, of options whose names and values are likewise; `response` is null or
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_enroll(
    algorithm: u32,
    challenge: *const u8,
    challenge_len: usize,
    application: *const c_char,
    flags: u8,
    pin: *const c_char,
    options: *mut *mut SkOption,
    response: *mut *mut EnrollResponse,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's promise about `response`, as about the others below.
        let response = unsafe { cleared(response, ptr::null_mut()) }?;
        let made = enroll(&Enrollment {
            algorithm,
            // SAFETY: see above.
            challenge: unsafe { bytes(challenge, challenge_len, "the challenge") }?,
            // SAFETY: see above.
            application: unsafe { text(application, "the application") }?,
            flags,
            // SAFETY: see above.
            pin: unsafe { optional_text(pin) },
            // SAFETY: see above.
            options: Options::read(&unsafe { passed(options) }?)?,
        })?;
        let given = Given::default();
        *response = given.value(EnrollResponse {
            flags: made.flags,
            public_key: given.bytes(&made.public_key)?,
            public_key_len: made.public_key.len(),
            key_handle: given.bytes(&made.key_handle)?,
            key_handle_len: made.key_handle.len(),
            signature: given.bytes(&made.signature)?,
            signature_len: made.signature.len(),
            attestation_cert: given.bytes(&made.certificate)?,
            attestation_cert_len: made.certificate.len(),
            authdata: given.bytes(&made.auth_data)?,
            authdata_len: made.auth_data.len(),
        })?;
        given.hand_over();
        Ok(())
    })
}

/// Signs with a key.
///
/// # Safety
/// As in `sk-api.h`: `data` and `key_handle` have the lengths beside them; the others as for [`sk_enroll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_sign(
    algorithm: u32,
    data: *const u8,
    data_len: usize,
    application: *const c_char,
    key_handle: *const u8,
    key_handle_len: usize,
    flags: u8,
    pin: *const c_char,
    options: *mut *mut SkOption,
    response: *mut *mut SignResponse,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's promise about `response`, as about the others below.
        let response = unsafe { cleared(response, ptr::null_mut()) }?;
        let signed = sign(&Signing {
            algorithm,
            // SAFETY: see above.
            data: unsafe { bytes(data, data_len, "the message") }?,
            // SAFETY: see above.
            application: unsafe { text(application, "the application") }?,
            // SAFETY: see above.
            key_handle: unsafe { bytes(key_handle, key_handle_len, "the key handle") }?,
            flags,
            // SAFETY: see above.
            pin: unsafe { optional_text(pin) },
            // SAFETY: see above.
            options: Options::read(&unsafe { passed(options) }?)?,
        })?;
        let given = Given::default();
        *response = given.value(SignResponse {
            flags: signed.flags,
            counter: signed.counter,
            sig_r: given.bytes(&signed.r)?,
            sig_r_len: signed.r.len(),
            sig_s: given.bytes(&signed.s)?,
            sig_s_len: signed.s.len(),
        })?;
        given.hand_over();
        Ok(())
    })
}

/// Lists the resident keys.
///
/// # Safety
/// As in `sk-api.h`: `keys` and `count` are null or can be written; the others as for [`sk_enroll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_load_resident_keys(
    pin: *const c_char,
    options: *mut *mut SkOption,
    keys: *mut *mut *mut ResidentKey,
    count: *mut usize,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's promise about `keys` and `count`, as about the others below.
        let (keys, count) = unsafe { (cleared(keys, ptr::null_mut())?, cleared(count, 0)?) };
        // SAFETY: see above.
        let (pin, options) = unsafe { (optional_text(pin), Options::read(&passed(options)?)?) };
        let found = load(pin, &options)?;
        let given = Given::default();
        let pointers =
            found.iter().zip(0..).map(|(key, slot)| resident(&given, key, slot)).collect::<Result<Vec<_>, _>>()?;
        // No keys are a null pointer.
        *keys = given.values(&pointers)?;
        *count = pointers.len();
        given.hand_over();
        Ok(())
    })
}

fn resident(given: &Given, key: &Resident, slot: usize) -> Result<*mut ResidentKey, Failure> {
    let flags = key.flags;
    let response = EnrollResponse {
        flags,
        public_key: given.bytes(&key.public_key)?,
        public_key_len: key.public_key.len(),
        key_handle: given.bytes(&key.key_handle)?,
        key_handle_len: key.key_handle.len(),
        signature: ptr::null_mut(),
        signature_len: 0,
        attestation_cert: ptr::null_mut(),
        attestation_cert_len: 0,
        authdata: ptr::null_mut(),
        authdata_len: 0,
    };
    given.value(ResidentKey {
        alg: key.algorithm,
        slot,
        application: given.bytes(key.application.as_bytes_with_nul())?.cast(),
        key: response,
        flags,
        user_id: given.bytes(&key.user_id)?,
        user_id_len: key.user_id.len(),
    })
}

/// Runs a call: says what goes wrong in a line, and returns OpenSSH's number. A panic must not go on into C.
pub(crate) fn answer(call: impl FnOnce() -> Result<(), Failure>) -> c_int {
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    // The panic has said what it is.
    let result = result.unwrap_or(Err(Failure::silent(abi::ERR_GENERAL)));
    let Err(Failure { code, why }) = result else { return abi::OK };
    if let Some(why) = why {
        // If it cannot be written, OpenSSH still has the number.
        let _ = writeln!(io::stderr(), "keyfob: {why}");
    }
    code
}

fn missing(what: &str) -> Failure {
    Failure::new(abi::ERR_GENERAL, format!("OpenSSH has not passed {what}"))
}

/// Where a result goes, with what stands there if there is none.
///
/// # Safety
/// `place` is null or can be written.
unsafe fn cleared<'a, T>(place: *mut T, nothing: T) -> Result<&'a mut T, Failure> {
    if place.is_null() {
        return Err(missing("a place for the result"));
    }
    // SAFETY: it is not null and can be written. There is a reference only when it is initialized.
    unsafe {
        place.write(nothing);
        Ok(&mut *place)
    }
}

/// # Safety
/// `start` is null or has `len` bytes that stay as they are.
unsafe fn bytes<'a>(start: *const u8, len: usize, what: &str) -> Result<&'a [u8], Failure> {
    if start.is_null() || len == 0 {
        return Err(missing(what));
    }
    if len > MAX_LENGTH {
        return Err(Failure::new(abi::ERR_GENERAL, format!("{what} is too long: {len} bytes")));
    }
    // SAFETY: it is not null, and shorter than half of the memory.
    Ok(unsafe { slice::from_raw_parts(start, len) })
}

/// # Safety
/// `start` is null or ends with a zero byte, and stays as it is.
unsafe fn optional_text<'a>(start: *const c_char) -> Option<&'a CStr> {
    // SAFETY: it is not null.
    (!start.is_null()).then(|| unsafe { CStr::from_ptr(start) })
}

/// # Safety
/// As for [`optional_text`].
unsafe fn text<'a>(start: *const c_char, what: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    let text = unsafe { optional_text(start) }.filter(|text| !text.is_empty()).ok_or_else(|| missing(what))?;
    text.to_str().map_err(|_| Failure::new(abi::ERR_UNSUPPORTED, format!("{what} is not text in UTF-8")))
}

/// # Safety
/// `list` is null, or a list of options that ends with null, and stays as it is.
unsafe fn passed<'a>(list: *mut *mut SkOption) -> Result<Vec<Passed<'a>>, Failure> {
    let mut options = Vec::new();
    if list.is_null() {
        return Ok(options);
    }
    for index in 0..=MAX_OPTIONS {
        // SAFETY: none of the pointers before was null, which would have been the last.
        let option = unsafe { list.add(index).read() };
        // SAFETY: null, or an option.
        let Some(option) = (unsafe { option.as_ref() }) else { return Ok(options) };
        // SAFETY: null, or ended by a zero byte.
        let (name, value) = unsafe { (optional_text(option.name), optional_text(option.value)) };
        let (Some(name), Some(value)) = (name, value) else { return Err(missing("the name or value of an option")) };
        options.push(Passed { name, value, required: option.required != 0 });
    }
    Err(Failure::new(abi::ERR_UNSUPPORTED, format!("there are more than {MAX_OPTIONS} options")))
}

/// What is allocated for OpenSSH, which frees it. Until it is handed over it is freed here.
#[derive(Default)]
struct Given(Cell<Vec<*mut c_void>>);

impl Given {
    /// A copy of these; null for none.
    fn values<T: Copy>(&self, values: &[T]) -> Result<*mut T, Failure> {
        if values.is_empty() {
            return Ok(ptr::null_mut());
        }
        let place = self.allocate(size_of_val(values))?.cast::<T>();
        // SAFETY: it was just allocated, for so many bytes, and aligned for every basic type.
        unsafe { place.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        Ok(place)
    }

    fn bytes(&self, bytes: &[u8]) -> Result<*mut u8, Failure> {
        self.values(bytes)
    }

    fn value<T>(&self, value: T) -> Result<*mut T, Failure> {
        let place = self.allocate(size_of::<T>())?.cast::<T>();
        // SAFETY: it was just allocated, with room for it, and aligned for every basic type.
        unsafe { place.write(value) };
        Ok(place)
    }

    fn allocate(&self, size: usize) -> Result<*mut c_void, Failure> {
        // SAFETY: malloc takes any size.
        let place = unsafe { libc::malloc(size) };
        if place.is_null() {
            return Err(Failure::new(abi::ERR_GENERAL, "there is no memory left"));
        }
        let mut places = self.0.take();
        places.push(place);
        self.0.set(places);
        Ok(place)
    }

    /// From now on it is OpenSSH's.
    fn hand_over(self) {
        self.0.take();
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        for place in self.0.get_mut().drain(..) {
            // SAFETY: it is from malloc, and was not handed over.
            unsafe { libc::free(place) };
        }
    }
}
