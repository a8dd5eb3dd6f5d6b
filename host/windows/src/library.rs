//! The library: opened when it is needed, so that a program runs where there is none.

use std::{fmt, path::Path};

use keyfob_core::client::{Cause, Error, ErrorCode, Stage};
use libloading::Library as Opened;

use crate::abi::{self, HRESULT, hresult};

/// Why the API of Windows cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// This is not Windows.
    OtherSystem,
    /// There is no library `webauthn.dll`, or it cannot be opened.
    Open(libloading::Error),
    /// The library does not have this function.
    Missing(&'static str),
    /// The library says that it has version 0.
    NoVersion,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherSystem => f.write_str("webauthn.dll is part of Windows, and this is another system"),
            Self::Open(error) => {
                write!(f, "webauthn.dll cannot be opened; it came with Windows 10, version 1903: {error}")
            }
            Self::Missing(name) => write!(f, "webauthn.dll has no function {name}"),
            Self::NoVersion => f.write_str("webauthn.dll says that it has no version of its API"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            _ => None,
        }
    }
}

/// The functions that came with version 4: for the credentials that Windows keeps.
#[derive(Clone, Copy)]
pub struct PlatformCredentialFunctions {
    pub list: abi::GetPlatformCredentialList,
    pub free: abi::FreePlatformCredentialList,
    pub delete: abi::DeletePlatformCredential,
}

/// The API of Windows, opened.
pub struct Library {
    /// The version of the API, 1 or more.
    pub(crate) api: u32,
    pub(crate) has_platform_authenticator: abi::IsUserVerifyingPlatformAuthenticatorAvailable,
    pub(crate) make_credential: abi::AuthenticatorMakeCredential,
    pub(crate) get_assertion: abi::AuthenticatorGetAssertion,
    pub(crate) free_attestation: abi::FreeCredentialAttestation,
    pub(crate) free_assertion: abi::FreeAssertion,
    pub(crate) cancellation_id: abi::GetCancellationId,
    pub(crate) cancel: abi::CancelCurrentOperation,
    pub(crate) platform_credentials: Option<PlatformCredentialFunctions>,
    /// The functions above are in it.
    _opened: Opened,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Library(version {} of the API)", self.api)
    }
}

impl Library {
    /// Opens `webauthn.dll` in the system's folder, and nowhere else. Elsewhere than on Windows there is none.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load() -> Result<Self, LoadError> {
        // SAFETY: the system's own library, with the functions of the published header.
        #[cfg(windows)]
        unsafe {
            use libloading::os::windows;
            let opened = windows::Library::load_with_flags("webauthn.dll", windows::LOAD_LIBRARY_SEARCH_SYSTEM32);
            Self::of(opened.map_err(LoadError::Open)?.into())
        }
        #[cfg(not(windows))]
        Err(LoadError::OtherSystem)
    }

    /// Opens a library with the functions of `webauthn.dll`, such as a stand-in for tests.
    ///
    /// # Safety
    /// The library has the functions of the published header, and may be called from several threads.
    ///
    /// # Errors
    /// [`LoadError`].
    pub unsafe fn open(path: &Path) -> Result<Self, LoadError> {
        // SAFETY: the caller's promise.
        unsafe { Self::of(Opened::new(path).map_err(LoadError::Open)?) }
    }

    /// # Safety
    /// As [`Library::open`].
    unsafe fn of(opened: Opened) -> Result<Self, LoadError> {
        /// # Safety
        /// `F` is the type of the function.
        unsafe fn function<F: Copy>(opened: &Opened, name: &'static str) -> Result<F, LoadError> {
            // SAFETY: the caller's promise.
            unsafe { opened.get::<F>(name) }.map(|function| *function).map_err(|_| LoadError::Missing(name))
        }
        // SAFETY: the types are those of the published header. The functions are used as long as `opened` is.
        unsafe {
            let version: abi::GetApiVersionNumber = function(&opened, "WebAuthNGetApiVersionNumber")?;
            let api = version();
            if api == 0 {
                return Err(LoadError::NoVersion);
            }
            let platform_credentials = match api {
                ..4 => None,
                _ => Some(PlatformCredentialFunctions {
                    list: function(&opened, "WebAuthNGetPlatformCredentialList")?,
                    free: function(&opened, "WebAuthNFreePlatformCredentialList")?,
                    delete: function(&opened, "WebAuthNDeletePlatformCredential")?,
                }),
            };
            Ok(Self {
                api,
                has_platform_authenticator: function(&opened, "WebAuthNIsUserVerifyingPlatformAuthenticatorAvailable")?,
                make_credential: function(&opened, "WebAuthNAuthenticatorMakeCredential")?,
                get_assertion: function(&opened, "WebAuthNAuthenticatorGetAssertion")?,
                free_attestation: function(&opened, "WebAuthNFreeCredentialAttestation")?,
                free_assertion: function(&opened, "WebAuthNFreeAssertion")?,
                cancellation_id: function(&opened, "WebAuthNGetCancellationId")?,
                cancel: function(&opened, "WebAuthNCancelCurrentOperation")?,
                platform_credentials,
                _opened: opened,
            })
        }
    }
}

/// Why a function failed: what the header says about its HRESULT, as far as it goes.
pub fn cause(result: HRESULT) -> Cause {
    use keyfob_core::Status;
    let platform = |class| Cause::Platform { number: result.cast_unsigned(), class };
    match result {
        hresult::NTE_EXISTS => Cause::Status(Status::CREDENTIAL_EXCLUDED),
        hresult::NTE_NOT_FOUND => Cause::Status(Status::NO_CREDENTIALS),
        hresult::NTE_TOKEN_KEYSET_STORAGE_FULL => Cause::Status(Status::KEY_STORE_FULL),
        hresult::ERROR_NOT_SUPPORTED | hresult::NTE_NOT_SUPPORTED => Cause::Unsupported,
        hresult::ERROR_CANCELLED | hresult::NTE_USER_CANCELLED => Cause::Cancelled,
        hresult::ERROR_TIMEOUT => Cause::Timeout,
        hresult::NTE_INVALID_PARAMETER => platform(ErrorCode::BadRequest),
        hresult::NTE_DEVICE_NOT_FOUND => platform(ErrorCode::DeviceIneligible),
        _ => platform(ErrorCode::OtherError),
    }
}

/// `Ok` if a function succeeded.
pub fn succeeded(result: HRESULT) -> Result<(), Cause> {
    if result < 0 { Err(cause(result)) } else { Ok(()) }
}

/// An error of the options, before Windows was asked.
pub const fn refused(cause: Cause) -> Error {
    Error { code: cause.code(), stage: Stage::Options, cause }
}

/// An error of the command itself.
pub const fn failed(cause: Cause) -> Error {
    Error { code: cause.code(), stage: Stage::Command, cause }
}
