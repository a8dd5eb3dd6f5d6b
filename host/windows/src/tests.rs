//! What needs no library. Ceremonies run in `interop/windows`, against a library of ours, also under Wine.

use std::{mem::offset_of, path::Path};

use keyfob_core::{
    Status,
    client::{Cause, ErrorCode},
    webauthn::Attachment,
};
use windows_sys::Win32::{Foundation, Networking::WindowsWebServices as theirs};

use crate::{
    Library, LoadError,
    abi::{self, hresult, version},
    library::cause,
    memory,
};

/// That the members of a struct, which is whole in version 7 of the API, lie where windows-sys has them.
macro_rules! same {
    ($($name:ident { $($member:ident)* })*) => {$(
        $(assert_eq!(
            offset_of!(abi::$name, $member),
            offset_of!(theirs::$name, $member),
            concat!(stringify!($name), ".", stringify!($member)),
        );)*
    )*};
}

#[test]
fn structs_have_the_layout_of_windows_sys_as_far_as_it_goes() {
    assert_eq!(theirs::WEBAUTHN_API_CURRENT_VERSION, 7);
    same! {
        WEBAUTHN_RP_ENTITY_INFORMATION { dwVersion pwszId pwszName pwszIcon }
        WEBAUTHN_USER_ENTITY_INFORMATION { dwVersion cbId pbId pwszName pwszIcon pwszDisplayName }
        WEBAUTHN_CLIENT_DATA { dwVersion cbClientDataJSON pbClientDataJSON pwszHashAlgId }
        WEBAUTHN_COSE_CREDENTIAL_PARAMETER { dwVersion pwszCredentialType lAlg }
        WEBAUTHN_COSE_CREDENTIAL_PARAMETERS { cCredentialParameters pCredentialParameters }
        WEBAUTHN_CREDENTIAL { dwVersion cbId pbId pwszCredentialType }
        WEBAUTHN_CREDENTIALS { cCredentials pCredentials }
        WEBAUTHN_CREDENTIAL_EX { dwVersion cbId pbId pwszCredentialType dwTransports }
        WEBAUTHN_CREDENTIAL_LIST { cCredentials ppCredentials }
        WEBAUTHN_HMAC_SECRET_SALT { cbFirst pbFirst cbSecond pbSecond }
        WEBAUTHN_CRED_WITH_HMAC_SECRET_SALT { cbCredID pbCredID pHmacSecretSalt }
        WEBAUTHN_HMAC_SECRET_SALT_VALUES { pGlobalHmacSalt cCredWithHmacSecretSaltList pCredWithHmacSecretSaltList }
        WEBAUTHN_CRED_PROTECT_EXTENSION_IN { dwCredProtect bRequireCredProtect }
        WEBAUTHN_CRED_BLOB_EXTENSION { cbCredBlob pbCredBlob }
        WEBAUTHN_EXTENSION { pwszExtensionIdentifier cbExtension pvExtension }
        WEBAUTHN_EXTENSIONS { cExtensions pExtensions }
        WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS {
            dwVersion dwTimeoutMilliseconds CredentialList Extensions dwAuthenticatorAttachment bRequireResidentKey
            dwUserVerificationRequirement dwAttestationConveyancePreference dwFlags pCancellationId
            pExcludeCredentialList dwEnterpriseAttestation dwLargeBlobSupport bPreferResidentKey bBrowserInPrivateMode
            bEnablePrf pLinkedDevice cbJsonExt pbJsonExt
        }
        WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS {
            dwVersion dwTimeoutMilliseconds CredentialList Extensions dwAuthenticatorAttachment
            dwUserVerificationRequirement dwFlags pwszU2fAppId pbU2fAppId pCancellationId pAllowCredentialList
            dwCredLargeBlobOperation cbCredLargeBlob pbCredLargeBlob pHmacSecretSaltValues bBrowserInPrivateMode
            pLinkedDevice bAutoFill cbJsonExt pbJsonExt
        }
        WEBAUTHN_CREDENTIAL_ATTESTATION {
            dwVersion pwszFormatType cbAuthenticatorData pbAuthenticatorData cbAttestation pbAttestation
            dwAttestationDecodeType pvAttestationDecode cbAttestationObject pbAttestationObject cbCredentialId
            pbCredentialId Extensions dwUsedTransport bEpAtt bLargeBlobSupported bResidentKey bPrfEnabled
            cbUnsignedExtensionOutputs pbUnsignedExtensionOutputs
        }
        WEBAUTHN_ASSERTION {
            dwVersion cbAuthenticatorData pbAuthenticatorData cbSignature pbSignature Credential cbUserId pbUserId
            Extensions cbCredLargeBlob pbCredLargeBlob dwCredLargeBlobStatus pHmacSecret dwUsedTransport
            cbUnsignedExtensionOutputs pbUnsignedExtensionOutputs
        }
        WEBAUTHN_GET_CREDENTIALS_OPTIONS { dwVersion pwszRpId bBrowserInPrivateMode }
        WEBAUTHN_CREDENTIAL_DETAILS {
            dwVersion cbCredentialID pbCredentialID pRpInformation pUserInformation bRemovable bBackedUp
        }
        WEBAUTHN_CREDENTIAL_DETAILS_LIST { cCredentialDetails ppCredentialDetails }
    }
}

#[test]
fn each_version_of_the_api_has_its_versions_of_structs() {
    let of = |table: fn(u32) -> u32| (1..=10).map(table).collect::<Vec<_>>();
    assert_eq!(of(version::make_credential_options), [3, 3, 4, 5, 5, 6, 7, 8, 9, 9]);
    assert_eq!(of(version::get_assertion_options), [4, 4, 5, 6, 6, 6, 7, 8, 9, 9]);
    assert_eq!(of(version::credential_attestation), [3, 3, 4, 4, 4, 5, 6, 7, 8, 8]);
    assert_eq!(of(version::assertion), [1, 1, 2, 3, 3, 4, 5, 5, 6, 6]);
    assert_eq!(of(version::credential_details)[3..], [1, 2, 2, 2, 3, 4, 4]);
    // What windows-sys calls the current version is that of version 7.
    assert_eq!(
        version::make_credential_options(7),
        theirs::WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS_CURRENT_VERSION
    );
    assert_eq!(version::get_assertion_options(7), theirs::WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS_CURRENT_VERSION);
    assert_eq!(version::credential_attestation(7), theirs::WEBAUTHN_CREDENTIAL_ATTESTATION_CURRENT_VERSION);
    assert_eq!(version::assertion(7), theirs::WEBAUTHN_ASSERTION_CURRENT_VERSION);
    assert_eq!(version::credential_details(7), theirs::WEBAUTHN_CREDENTIAL_DETAILS_CURRENT_VERSION);
}

#[test]
fn constants_are_those_of_windows_sys() {
    use abi::{
        attachment, conveyance, large_blob_operation, large_blob_status, large_blob_support, transport,
        user_verification,
    };
    let pairs = [
        (transport::USB, theirs::WEBAUTHN_CTAP_TRANSPORT_USB),
        (transport::NFC, theirs::WEBAUTHN_CTAP_TRANSPORT_NFC),
        (transport::BLE, theirs::WEBAUTHN_CTAP_TRANSPORT_BLE),
        (transport::INTERNAL, theirs::WEBAUTHN_CTAP_TRANSPORT_INTERNAL),
        (transport::HYBRID, theirs::WEBAUTHN_CTAP_TRANSPORT_HYBRID),
        (attachment::ANY, theirs::WEBAUTHN_AUTHENTICATOR_ATTACHMENT_ANY),
        (attachment::PLATFORM, theirs::WEBAUTHN_AUTHENTICATOR_ATTACHMENT_PLATFORM),
        (attachment::CROSS_PLATFORM, theirs::WEBAUTHN_AUTHENTICATOR_ATTACHMENT_CROSS_PLATFORM),
        (user_verification::REQUIRED, theirs::WEBAUTHN_USER_VERIFICATION_REQUIREMENT_REQUIRED),
        (user_verification::PREFERRED, theirs::WEBAUTHN_USER_VERIFICATION_REQUIREMENT_PREFERRED),
        (user_verification::DISCOURAGED, theirs::WEBAUTHN_USER_VERIFICATION_REQUIREMENT_DISCOURAGED),
        (conveyance::NONE, theirs::WEBAUTHN_ATTESTATION_CONVEYANCE_PREFERENCE_NONE),
        (conveyance::INDIRECT, theirs::WEBAUTHN_ATTESTATION_CONVEYANCE_PREFERENCE_INDIRECT),
        (conveyance::DIRECT, theirs::WEBAUTHN_ATTESTATION_CONVEYANCE_PREFERENCE_DIRECT),
        (large_blob_support::NONE, theirs::WEBAUTHN_LARGE_BLOB_SUPPORT_NONE),
        (large_blob_support::REQUIRED, theirs::WEBAUTHN_LARGE_BLOB_SUPPORT_REQUIRED),
        (large_blob_support::PREFERRED, theirs::WEBAUTHN_LARGE_BLOB_SUPPORT_PREFERRED),
        (large_blob_operation::NONE, theirs::WEBAUTHN_CRED_LARGE_BLOB_OPERATION_NONE),
        (large_blob_operation::GET, theirs::WEBAUTHN_CRED_LARGE_BLOB_OPERATION_GET),
        (large_blob_operation::SET, theirs::WEBAUTHN_CRED_LARGE_BLOB_OPERATION_SET),
        (large_blob_status::NONE, theirs::WEBAUTHN_CRED_LARGE_BLOB_STATUS_NONE),
        (large_blob_status::SUCCESS, theirs::WEBAUTHN_CRED_LARGE_BLOB_STATUS_SUCCESS),
        (large_blob_status::NOT_SUPPORTED, theirs::WEBAUTHN_CRED_LARGE_BLOB_STATUS_NOT_SUPPORTED),
        (large_blob_status::NOT_FOUND, theirs::WEBAUTHN_CRED_LARGE_BLOB_STATUS_NOT_FOUND),
        (abi::WEBAUTHN_AUTHENTICATOR_HMAC_SECRET_VALUES_FLAG, theirs::WEBAUTHN_AUTHENTICATOR_HMAC_SECRET_VALUES_FLAG),
    ];
    for (ours, theirs) in pairs {
        assert_eq!(ours, theirs);
    }
    let codes = [
        (hresult::NTE_EXISTS, Foundation::NTE_EXISTS),
        (hresult::NTE_NOT_FOUND, Foundation::NTE_NOT_FOUND),
        (hresult::NTE_TOKEN_KEYSET_STORAGE_FULL, Foundation::NTE_TOKEN_KEYSET_STORAGE_FULL),
        (hresult::NTE_INVALID_PARAMETER, Foundation::NTE_INVALID_PARAMETER),
        (hresult::NTE_NOT_SUPPORTED, Foundation::NTE_NOT_SUPPORTED),
        (hresult::NTE_DEVICE_NOT_FOUND, Foundation::NTE_DEVICE_NOT_FOUND),
        (hresult::NTE_USER_CANCELLED, Foundation::NTE_USER_CANCELLED),
    ];
    for (ours, theirs) in codes {
        assert_eq!(ours, theirs);
    }
    let of_win32 = |error: u32| (0x8007_0000 | error).cast_signed();
    assert_eq!(hresult::ERROR_NOT_SUPPORTED, of_win32(Foundation::ERROR_NOT_SUPPORTED));
    assert_eq!(hresult::ERROR_CANCELLED, of_win32(Foundation::ERROR_CANCELLED));
    assert_eq!(hresult::ERROR_TIMEOUT, of_win32(Foundation::ERROR_TIMEOUT));
}

#[test]
fn each_hresult_of_the_header_has_its_cause_and_class() {
    let platform = |result: i32, class| Cause::Platform { number: result.cast_unsigned(), class };
    for (result, expected, class) in [
        (hresult::NTE_EXISTS, Cause::Status(Status::CREDENTIAL_EXCLUDED), ErrorCode::DeviceIneligible),
        (hresult::NTE_NOT_FOUND, Cause::Status(Status::NO_CREDENTIALS), ErrorCode::DeviceIneligible),
        (hresult::ERROR_NOT_SUPPORTED, Cause::Unsupported, ErrorCode::ConfigurationUnsupported),
        (hresult::NTE_NOT_SUPPORTED, Cause::Unsupported, ErrorCode::ConfigurationUnsupported),
        (
            hresult::NTE_TOKEN_KEYSET_STORAGE_FULL,
            Cause::Status(Status::KEY_STORE_FULL),
            ErrorCode::ConfigurationUnsupported,
        ),
        (hresult::ERROR_CANCELLED, Cause::Cancelled, ErrorCode::Timeout),
        (hresult::NTE_USER_CANCELLED, Cause::Cancelled, ErrorCode::Timeout),
        (hresult::ERROR_TIMEOUT, Cause::Timeout, ErrorCode::Timeout),
        (
            hresult::NTE_INVALID_PARAMETER,
            platform(hresult::NTE_INVALID_PARAMETER, ErrorCode::BadRequest),
            ErrorCode::BadRequest,
        ),
        (
            hresult::NTE_DEVICE_NOT_FOUND,
            platform(hresult::NTE_DEVICE_NOT_FOUND, ErrorCode::DeviceIneligible),
            ErrorCode::DeviceIneligible,
        ),
        (-1, platform(-1, ErrorCode::OtherError), ErrorCode::OtherError),
    ] {
        assert_eq!(cause(result), expected, "{result:08X}");
        assert_eq!(cause(result).code(), class, "{result:08X}");
    }
    let said = cause(hresult::NTE_DEVICE_NOT_FOUND).to_string();
    assert_eq!(said, "the platform's API failed with 0x80090035");
}

#[test]
fn texts_end_with_a_zero_and_come_back() {
    assert_eq!(memory::wide("é🔑"), [0xE9, 0xD83D, 0xDD11, 0]);
    assert_eq!(memory::ascii::<4>("abc"), [97, 98, 99, 0]);
    assert_eq!(memory::PUBLIC_KEY.as_slice(), memory::wide("public-key"));
    let wide = memory::wide("é🔑");
    // SAFETY: it has a zero at its end.
    assert_eq!(unsafe { memory::text(wide.as_ptr()) }.unwrap(), "é🔑");
    // SAFETY: null is allowed.
    assert_eq!(unsafe { memory::text(std::ptr::null()) }, None);
}

#[test]
fn the_transport_that_was_used_tells_the_attachment() {
    use abi::transport;
    assert_eq!(memory::attachment(0), None);
    assert_eq!(memory::attachment(transport::INTERNAL), Some(Attachment::Platform));
    assert_eq!(memory::attachment(transport::USB), Some(Attachment::CrossPlatform));
    assert_eq!(memory::attachment(transport::HYBRID), Some(Attachment::CrossPlatform));
}

#[test]
fn a_library_that_is_missing_is_an_error_that_says_what_to_look_for() {
    // SAFETY: there is no such file.
    let error = unsafe { Library::open(Path::new("no-such-library.dll")) }.unwrap_err();
    assert!(matches!(error, LoadError::Open(_)), "{error:?}");
    let said = error.to_string();
    assert!(said.starts_with("webauthn.dll cannot be opened; it came with Windows 10, version 1903: "), "{said}");
}

#[cfg(not(windows))]
#[test]
fn other_systems_do_not_have_the_api() {
    assert!(!crate::WindowsClient::is_available());
    assert_eq!(Library::load().unwrap_err().to_string(), "webauthn.dll is part of Windows, and this is another system");
}
