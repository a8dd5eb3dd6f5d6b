//! The interface of `webauthn.dll` as C has it: structs, constants and functions under the names of the published header
//! `webauthn.h`, up to version 9 of the API.
//!
//! A struct has a version in its first member. Later versions only add members at the end, so one declaration serves all:
//! members that the version does not have are not looked at. [`version`] says which one goes with which version of the
//! API.
#![allow(non_snake_case, non_camel_case_types)]

use core::ffi::c_void;

mod layout;
mod options;
mod results;

pub use options::*;
pub use results::*;

/// UTF-16, with a zero at its end.
pub type PCWSTR = *const u16;
/// Zero is false.
pub type BOOL = i32;
/// Negative is failure.
pub type HRESULT = i32;
/// A handle of a window.
pub type HWND = *mut c_void;

/// The newest version of the API that is known here.
pub const WEBAUTHN_API_CURRENT_VERSION: u32 = 9;

/// The versions of structs, by the version of the API, which is 1 or more.
pub mod version {
    /// The value of a table for a version of the API; a newer API than is known here takes the last.
    const fn of(table: [u32; 9], api: u32) -> u32 {
        let [v1, v2, v3, v4, v5, v6, v7, v8, v9] = table;
        match api {
            0 | 1 => v1,
            2 => v2,
            3 => v3,
            4 => v4,
            5 => v5,
            6 => v6,
            7 => v7,
            8 => v8,
            _ => v9,
        }
    }

    /// Of [`WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS`](super::WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS).
    pub const fn make_credential_options(api: u32) -> u32 {
        of([3, 3, 4, 5, 5, 6, 7, 8, 9], api)
    }

    /// Of [`WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS`](super::WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS).
    pub const fn get_assertion_options(api: u32) -> u32 {
        of([4, 4, 5, 6, 6, 6, 7, 8, 9], api)
    }

    /// Of [`WEBAUTHN_CREDENTIAL_ATTESTATION`](super::WEBAUTHN_CREDENTIAL_ATTESTATION).
    pub const fn credential_attestation(api: u32) -> u32 {
        of([3, 3, 4, 4, 4, 5, 6, 7, 8], api)
    }

    /// Of [`WEBAUTHN_ASSERTION`](super::WEBAUTHN_ASSERTION).
    pub const fn assertion(api: u32) -> u32 {
        of([1, 1, 2, 3, 3, 4, 5, 5, 6], api)
    }

    /// Of [`WEBAUTHN_CREDENTIAL_DETAILS`](super::WEBAUTHN_CREDENTIAL_DETAILS); from version 4 of the API.
    pub const fn credential_details(api: u32) -> u32 {
        of([1, 1, 1, 1, 2, 2, 2, 3, 4], api)
    }
}

/// What functions return when they fail.
pub mod hresult {
    use super::HRESULT;

    /// Success.
    pub const S_OK: HRESULT = 0;
    /// `HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)`
    pub const ERROR_NOT_SUPPORTED: HRESULT = 0x8007_0032_u32 as HRESULT;
    /// `HRESULT_FROM_WIN32(ERROR_CANCELLED)`
    pub const ERROR_CANCELLED: HRESULT = 0x8007_04C7_u32 as HRESULT;
    /// `HRESULT_FROM_WIN32(ERROR_TIMEOUT)`
    pub const ERROR_TIMEOUT: HRESULT = 0x8007_05B4_u32 as HRESULT;
    /// The authenticator has an excluded credential.
    pub const NTE_EXISTS: HRESULT = 0x8009_000F_u32 as HRESULT;
    /// There is no such credential.
    pub const NTE_NOT_FOUND: HRESULT = 0x8009_0011_u32 as HRESULT;
    /// There is no room for a credential.
    pub const NTE_TOKEN_KEYSET_STORAGE_FULL: HRESULT = 0x8009_0023_u32 as HRESULT;
    /// A parameter is not one that the API takes.
    pub const NTE_INVALID_PARAMETER: HRESULT = 0x8009_0027_u32 as HRESULT;
    /// The authenticator cannot do it.
    pub const NTE_NOT_SUPPORTED: HRESULT = 0x8009_0029_u32 as HRESULT;
    /// There is no authenticator.
    pub const NTE_DEVICE_NOT_FOUND: HRESULT = 0x8009_0035_u32 as HRESULT;
    /// The user closed the dialog.
    pub const NTE_USER_CANCELLED: HRESULT = 0x8009_0036_u32 as HRESULT;
}

/// The number of an operation that can be cancelled.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GUID {
    /// The first 4 bytes.
    pub Data1: u32,
    /// The next 2.
    pub Data2: u16,
    /// The next 2.
    pub Data3: u16,
    /// The last 8.
    pub Data4: [u8; 8],
}

/// `WebAuthNGetApiVersionNumber`
pub type GetApiVersionNumber = unsafe extern "system" fn() -> u32;
/// `WebAuthNIsUserVerifyingPlatformAuthenticatorAvailable`
pub type IsUserVerifyingPlatformAuthenticatorAvailable = unsafe extern "system" fn(*mut BOOL) -> HRESULT;
/// `WebAuthNAuthenticatorMakeCredential`
pub type AuthenticatorMakeCredential = unsafe extern "system" fn(
    HWND,
    *const WEBAUTHN_RP_ENTITY_INFORMATION,
    *const WEBAUTHN_USER_ENTITY_INFORMATION,
    *const WEBAUTHN_COSE_CREDENTIAL_PARAMETERS,
    *const WEBAUTHN_CLIENT_DATA,
    *const WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS,
    *mut *mut WEBAUTHN_CREDENTIAL_ATTESTATION,
) -> HRESULT;
/// `WebAuthNAuthenticatorGetAssertion`
pub type AuthenticatorGetAssertion = unsafe extern "system" fn(
    HWND,
    PCWSTR,
    *const WEBAUTHN_CLIENT_DATA,
    *const WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS,
    *mut *mut WEBAUTHN_ASSERTION,
) -> HRESULT;
/// `WebAuthNFreeCredentialAttestation`
pub type FreeCredentialAttestation = unsafe extern "system" fn(*mut WEBAUTHN_CREDENTIAL_ATTESTATION);
/// `WebAuthNFreeAssertion`
pub type FreeAssertion = unsafe extern "system" fn(*mut WEBAUTHN_ASSERTION);
/// `WebAuthNGetCancellationId`
pub type GetCancellationId = unsafe extern "system" fn(*mut GUID) -> HRESULT;
/// `WebAuthNCancelCurrentOperation`
pub type CancelCurrentOperation = unsafe extern "system" fn(*const GUID) -> HRESULT;
/// `WebAuthNGetPlatformCredentialList`, from version 4 of the API.
pub type GetPlatformCredentialList = unsafe extern "system" fn(
    *const WEBAUTHN_GET_CREDENTIALS_OPTIONS,
    *mut *mut WEBAUTHN_CREDENTIAL_DETAILS_LIST,
) -> HRESULT;
/// `WebAuthNFreePlatformCredentialList`, from version 4 of the API.
pub type FreePlatformCredentialList = unsafe extern "system" fn(*mut WEBAUTHN_CREDENTIAL_DETAILS_LIST);
/// `WebAuthNDeletePlatformCredential`, from version 4 of the API.
pub type DeletePlatformCredential = unsafe extern "system" fn(u32, *const u8) -> HRESULT;
