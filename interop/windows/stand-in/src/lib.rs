//! A library in place of Windows' `webauthn.dll`, for tests: its functions over a client and a virtual security key of
//! keyfob. It refuses a struct that is not as the version of its API has it, and says on the standard error why.
//!
//! The environment variable `KEYFOB_STAND_IN` has its orders, read at every call: `api=N`, `fail=HRESULT`, `touch=never`,
//! `platform=none`, in any order, with spaces between. What a ceremony was given can be read with `StandInSeen`.
//!
//! ```text
//! given      reads and checks what the client gives
//! returned   what the client gets, with members that its version does not have full of rubbish
//! key        the client and the virtual key; the credentials of the platform
//! ```
#![allow(non_snake_case)]

mod given;
mod key;
mod orders;
mod returned;

use std::{
    ffi::c_void,
    sync::{Mutex, PoisonError},
};

use keyfob_windows::abi::*;

use crate::{key::State, orders::Orders};

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// What is wrong, for the standard error, and what the function returns.
pub struct Refusal {
    pub code: HRESULT,
    pub reason: String,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { code: hresult::NTE_INVALID_PARAMETER, reason }
    }
}

impl From<HRESULT> for Refusal {
    fn from(code: HRESULT) -> Self {
        Self { code, reason: String::new() }
    }
}

/// Does `work` with the state, and returns its HRESULT.
fn answer(work: impl FnOnce(&mut State, &Orders) -> Result<(), Refusal>) -> HRESULT {
    let orders = Orders::now();
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let state = state.get_or_insert_with(State::new);
    match orders.fail.map_or_else(|| work(state, &orders), |code| Err(code.into())) {
        Ok(()) => hresult::S_OK,
        Err(Refusal { code, reason }) => {
            if !reason.is_empty() {
                eprintln!("stand-in: {reason}");
            }
            code
        }
    }
}

#[unsafe(no_mangle)]
extern "system" fn WebAuthNGetApiVersionNumber() -> u32 {
    Orders::now().api
}

/// # Safety
/// There is room for the result.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNIsUserVerifyingPlatformAuthenticatorAvailable(available: *mut BOOL) -> HRESULT {
    answer(|_, orders| {
        // SAFETY: the caller's promise.
        unsafe { available.write(orders.platform.into()) };
        Ok(())
    })
}

/// # Safety
/// As Windows has it: the structs are whole.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNAuthenticatorMakeCredential(
    _: HWND,
    rp: *const WEBAUTHN_RP_ENTITY_INFORMATION,
    user: *const WEBAUTHN_USER_ENTITY_INFORMATION,
    parameters: *const WEBAUTHN_COSE_CREDENTIAL_PARAMETERS,
    client_data: *const WEBAUTHN_CLIENT_DATA,
    options: *const WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS,
    result: *mut *mut WEBAUTHN_CREDENTIAL_ATTESTATION,
) -> HRESULT {
    answer(|state, orders| {
        // SAFETY: the caller's promise.
        let given = unsafe { given::Registration::read(orders.api, rp, user, parameters, client_data, options)? };
        orders::saw(given.seen.clone());
        let made = state.make_credential(&given, orders)?;
        // SAFETY: there is room for the result.
        unsafe { result.write(returned::Attestation::leak(made, orders.api)) };
        Ok(())
    })
}

/// # Safety
/// As Windows has it: the structs are whole.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNAuthenticatorGetAssertion(
    _: HWND,
    rp_id: PCWSTR,
    client_data: *const WEBAUTHN_CLIENT_DATA,
    options: *const WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS,
    result: *mut *mut WEBAUTHN_ASSERTION,
) -> HRESULT {
    answer(|state, orders| {
        // SAFETY: the caller's promise.
        let given = unsafe { given::SignIn::read(orders.api, rp_id, client_data, options)? };
        orders::saw(given.seen.clone());
        let made = state.get_assertion(&given, orders)?;
        // SAFETY: there is room for the results.
        unsafe {
            if !given.app_id_used.is_null() {
                given.app_id_used.write(made.app_id_used.into());
            }
            result.write(returned::Assertion::leak(made, orders.api));
        }
        Ok(())
    })
}

/// # Safety
/// It is a result of this library, or null.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNFreeCredentialAttestation(result: *mut WEBAUTHN_CREDENTIAL_ATTESTATION) {
    // SAFETY: the caller's promise.
    unsafe { returned::free::<returned::Attestation>(result.cast::<c_void>()) }
}

/// # Safety
/// It is a result of this library, or null.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNFreeAssertion(result: *mut WEBAUTHN_ASSERTION) {
    // SAFETY: the caller's promise.
    unsafe { returned::free::<returned::Assertion>(result.cast::<c_void>()) }
}

/// # Safety
/// There is room for the result.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNGetCancellationId(id: *mut GUID) -> HRESULT {
    // SAFETY: the caller's promise.
    unsafe { id.write(orders::fresh_id()) };
    hresult::S_OK
}

/// # Safety
/// The number is there.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNCancelCurrentOperation(id: *const GUID) -> HRESULT {
    // SAFETY: the caller's promise.
    orders::cancel(unsafe { *id })
}

/// # Safety
/// As Windows has it: the options are whole.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNGetPlatformCredentialList(
    options: *const WEBAUTHN_GET_CREDENTIALS_OPTIONS,
    result: *mut *mut WEBAUTHN_CREDENTIAL_DETAILS_LIST,
) -> HRESULT {
    answer(|state, orders| {
        // SAFETY: the caller's promise.
        let rp_id = unsafe { given::listed_rp_id(options)? };
        let found: Vec<_> =
            state.platform.iter().filter(|entry| rp_id.as_ref().is_none_or(|id| *id == entry.rp_id)).collect();
        if found.is_empty() {
            return Err(hresult::NTE_NOT_FOUND.into());
        }
        // SAFETY: there is room for the result.
        unsafe { result.write(returned::Details::leak(&found, orders.api)) };
        Ok(())
    })
}

/// # Safety
/// It is a result of this library, or null.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNFreePlatformCredentialList(list: *mut WEBAUTHN_CREDENTIAL_DETAILS_LIST) {
    // SAFETY: the caller's promise.
    unsafe { returned::free::<returned::Details>(list.cast::<c_void>()) }
}

/// # Safety
/// The id has this length.
#[unsafe(no_mangle)]
unsafe extern "system" fn WebAuthNDeletePlatformCredential(length: u32, id: *const u8) -> HRESULT {
    answer(|state, _| {
        // SAFETY: the caller's promise.
        let id = unsafe { given::bytes("the credential id", id, length)? };
        if state.delete(id) { Ok(()) } else { Err(hresult::NTE_NOT_FOUND.into()) }
    })
}

/// Writes what the last ceremony was given to the front of `room`, and how many results were not freed. Returns the
/// length. Windows has no such function.
///
/// # Safety
/// `room` has this length.
#[unsafe(no_mangle)]
unsafe extern "system" fn StandInSeen(room: *mut u8, length: usize) -> usize {
    let seen = format!("{} live={}", orders::seen(), returned::live());
    let seen = &seen.as_bytes()[..seen.len().min(length)];
    // SAFETY: the caller's promise.
    unsafe { room.copy_from_nonoverlapping(seen.as_ptr(), seen.len()) };
    seen.len()
}
