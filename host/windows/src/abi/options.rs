//! What the functions are given.

use core::ffi::c_void;

use super::{BOOL, GUID, PCWSTR};

/// In `dwFlags`: inputs of the pseudo-random function are salts of hmac-secret, which are not hashed.
pub const WEBAUTHN_AUTHENTICATOR_HMAC_SECRET_VALUES_FLAG: u32 = 0x0010_0000;

/// `WEBAUTHN_CTAP_TRANSPORT_*`: bits.
pub mod transport {
    /// USB.
    pub const USB: u32 = 0x01;
    /// NFC.
    pub const NFC: u32 = 0x02;
    /// Bluetooth.
    pub const BLE: u32 = 0x04;
    /// Built into this machine.
    pub const INTERNAL: u32 = 0x10;
    /// A phone (API 6).
    pub const HYBRID: u32 = 0x20;
    /// A smart card.
    pub const SMART_CARD: u32 = 0x40;
}

/// `WEBAUTHN_AUTHENTICATOR_ATTACHMENT_*`
pub mod attachment {
    /// Any.
    pub const ANY: u32 = 0;
    /// Built into this machine.
    pub const PLATFORM: u32 = 1;
    /// Roaming.
    pub const CROSS_PLATFORM: u32 = 2;
}

/// `WEBAUTHN_USER_VERIFICATION_REQUIREMENT_*`
pub mod user_verification {
    /// Required.
    pub const REQUIRED: u32 = 1;
    /// Preferred.
    pub const PREFERRED: u32 = 2;
    /// Discouraged.
    pub const DISCOURAGED: u32 = 3;
}

/// `WEBAUTHN_ATTESTATION_CONVEYANCE_PREFERENCE_*`
pub mod conveyance {
    /// None.
    pub const NONE: u32 = 1;
    /// Indirect.
    pub const INDIRECT: u32 = 2;
    /// Direct.
    pub const DIRECT: u32 = 3;
}

/// `WEBAUTHN_LARGE_BLOB_SUPPORT_*`
pub mod large_blob_support {
    /// Not asked for.
    pub const NONE: u32 = 0;
    /// Or else fail.
    pub const REQUIRED: u32 = 1;
    /// If possible.
    pub const PREFERRED: u32 = 2;
}

/// `WEBAUTHN_CRED_LARGE_BLOB_OPERATION_*`
pub mod large_blob_operation {
    /// Nothing.
    pub const NONE: u32 = 0;
    /// Reads it.
    pub const GET: u32 = 1;
    /// Writes it.
    pub const SET: u32 = 2;
}

/// The relying party.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_RP_ENTITY_INFORMATION {
    /// 1.
    pub dwVersion: u32,
    /// The RP ID.
    pub pwszId: PCWSTR,
    /// Its name.
    pub pwszName: PCWSTR,
    /// Optional: the address of its logo.
    pub pwszIcon: PCWSTR,
}

/// The user.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_USER_ENTITY_INFORMATION {
    /// 1.
    pub dwVersion: u32,
    /// 1 to 64.
    pub cbId: u32,
    /// The user handle.
    pub pbId: *const u8,
    /// The name of the account.
    pub pwszName: PCWSTR,
    /// Optional: the address of a picture.
    pub pwszIcon: PCWSTR,
    /// The user's name.
    pub pwszDisplayName: PCWSTR,
}

/// The client data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CLIENT_DATA {
    /// 1.
    pub dwVersion: u32,
    /// The length.
    pub cbClientDataJSON: u32,
    /// The client data, in UTF-8.
    pub pbClientDataJSON: *const u8,
    /// `SHA-256`: what they are hashed with.
    pub pwszHashAlgId: PCWSTR,
}

/// An algorithm.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_COSE_CREDENTIAL_PARAMETER {
    /// 1.
    pub dwVersion: u32,
    /// `public-key`.
    pub pwszCredentialType: PCWSTR,
    /// Its number in COSE.
    pub lAlg: i32,
}

/// Algorithms, best first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_COSE_CREDENTIAL_PARAMETERS {
    /// How many.
    pub cCredentialParameters: u32,
    /// The algorithms.
    pub pCredentialParameters: *const WEBAUTHN_COSE_CREDENTIAL_PARAMETER,
}

/// A credential.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CREDENTIAL {
    /// 1.
    pub dwVersion: u32,
    /// The length.
    pub cbId: u32,
    /// Its id.
    pub pbId: *const u8,
    /// `public-key`.
    pub pwszCredentialType: PCWSTR,
}

/// Credentials.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CREDENTIALS {
    /// How many.
    pub cCredentials: u32,
    /// The credentials.
    pub pCredentials: *const WEBAUTHN_CREDENTIAL,
}

/// A credential, and how its authenticator can be reached.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CREDENTIAL_EX {
    /// 1.
    pub dwVersion: u32,
    /// The length.
    pub cbId: u32,
    /// Its id.
    pub pbId: *const u8,
    /// `public-key`.
    pub pwszCredentialType: PCWSTR,
    /// Bits of [`transport`]; none is any.
    pub dwTransports: u32,
}

/// Credentials with their transports.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CREDENTIAL_LIST {
    /// How many.
    pub cCredentials: u32,
    /// The credentials.
    pub ppCredentials: *const *const WEBAUTHN_CREDENTIAL_EX,
}

/// Inputs of a pseudo-random function, or its outputs of 32 bytes each.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_HMAC_SECRET_SALT {
    /// The length.
    pub cbFirst: u32,
    /// The first.
    pub pbFirst: *const u8,
    /// The length; 0 when there is no second.
    pub cbSecond: u32,
    /// The second.
    pub pbSecond: *const u8,
}

/// Inputs of the pseudo-random function of one credential.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CRED_WITH_HMAC_SECRET_SALT {
    /// The length.
    pub cbCredID: u32,
    /// The credential's id.
    pub pbCredID: *const u8,
    /// Its inputs.
    pub pHmacSecretSalt: *const WEBAUTHN_HMAC_SECRET_SALT,
}

/// Inputs of the pseudo-random functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_HMAC_SECRET_SALT_VALUES {
    /// Of any credential; may be null.
    pub pGlobalHmacSalt: *const WEBAUTHN_HMAC_SECRET_SALT,
    /// How many.
    pub cCredWithHmacSecretSaltList: u32,
    /// Of these credentials.
    pub pCredWithHmacSecretSaltList: *const WEBAUTHN_CRED_WITH_HMAC_SECRET_SALT,
}

/// The input of credProtect.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CRED_PROTECT_EXTENSION_IN {
    /// 1 to 3.
    pub dwCredProtect: u32,
    /// Whether the registration fails without.
    pub bRequireCredProtect: BOOL,
}

/// The blob of credBlob.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CRED_BLOB_EXTENSION {
    /// The length.
    pub cbCredBlob: u32,
    /// The blob.
    pub pbCredBlob: *const u8,
}

/// The input or the output of an extension.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_EXTENSION {
    /// Its identifier.
    pub pwszExtensionIdentifier: PCWSTR,
    /// The length.
    pub cbExtension: u32,
    /// A BOOL, a DWORD or a struct, by the extension.
    pub pvExtension: *const c_void,
}

/// Inputs or outputs of extensions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_EXTENSIONS {
    /// How many.
    pub cExtensions: u32,
    /// The extensions.
    pub pExtensions: *const WEBAUTHN_EXTENSION,
}

/// The options of a registration.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS {
    /// [`version::make_credential_options`](super::version::make_credential_options).
    pub dwVersion: u32,
    /// How long it may take.
    pub dwTimeoutMilliseconds: u32,
    /// Excluded credentials; not looked at where there is `pExcludeCredentialList`.
    pub CredentialList: WEBAUTHN_CREDENTIALS,
    /// Extensions.
    pub Extensions: WEBAUTHN_EXTENSIONS,
    /// One of [`attachment`].
    pub dwAuthenticatorAttachment: u32,
    /// A discoverable credential is required.
    pub bRequireResidentKey: BOOL,
    /// One of [`user_verification`].
    pub dwUserVerificationRequirement: u32,
    /// One of [`conveyance`].
    pub dwAttestationConveyancePreference: u32,
    /// From version 8: [`WEBAUTHN_AUTHENTICATOR_HMAC_SECRET_VALUES_FLAG`].
    pub dwFlags: u32,
    /// From version 2: what cancels it; may be null.
    pub pCancellationId: *const GUID,
    /// From version 3: excluded credentials.
    pub pExcludeCredentialList: *const WEBAUTHN_CREDENTIAL_LIST,
    /// From version 4: 1: vendor-facilitated, 2: platform-managed.
    pub dwEnterpriseAttestation: u32,
    /// One of [`large_blob_support`]; only with `bRequireResidentKey`.
    pub dwLargeBlobSupport: u32,
    /// A discoverable credential is preferred; overrules `bRequireResidentKey`.
    pub bPreferResidentKey: BOOL,
    /// From version 5: the browser's private mode.
    pub bBrowserInPrivateMode: BOOL,
    /// From version 6: the credential gets a pseudo-random function.
    pub bEnablePrf: BOOL,
    /// From version 7: deprecated.
    pub pLinkedDevice: *const c_void,
    /// The length.
    pub cbJsonExt: u32,
    /// Extensions as JSON.
    pub pbJsonExt: *const u8,
    /// From version 8: what the pseudo-random function is evaluated for.
    pub pPRFGlobalEval: *const WEBAUTHN_HMAC_SECRET_SALT,
    /// How many.
    pub cCredentialHints: u32,
    /// Hints.
    pub ppwszCredentialHints: *const PCWSTR,
    /// The credential may be used for payments on the sites of others.
    pub bThirdPartyPayment: BOOL,
    /// From version 9: the origin of a web application on another machine.
    pub pwszRemoteWebOrigin: PCWSTR,
    /// The length.
    pub cbPublicKeyCredentialCreationOptionsJSON: u32,
    /// The options as JSON.
    pub pbPublicKeyCredentialCreationOptionsJSON: *const u8,
    /// The length.
    pub cbAuthenticatorId: u32,
    /// The authenticator to use.
    pub pbAuthenticatorId: *const u8,
}

/// The options of a sign-in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS {
    /// [`version::get_assertion_options`](super::version::get_assertion_options).
    pub dwVersion: u32,
    /// How long it may take.
    pub dwTimeoutMilliseconds: u32,
    /// Allowed credentials; not looked at where there is `pAllowCredentialList`.
    pub CredentialList: WEBAUTHN_CREDENTIALS,
    /// Extensions.
    pub Extensions: WEBAUTHN_EXTENSIONS,
    /// One of [`attachment`].
    pub dwAuthenticatorAttachment: u32,
    /// One of [`user_verification`].
    pub dwUserVerificationRequirement: u32,
    /// From version 6: [`WEBAUTHN_AUTHENTICATOR_HMAC_SECRET_VALUES_FLAG`].
    pub dwFlags: u32,
    /// From version 2: the AppID; may be null.
    pub pwszU2fAppId: PCWSTR,
    /// Where to say whether the AppID was used; may be null.
    pub pbU2fAppId: *mut BOOL,
    /// From version 3: what cancels it; may be null.
    pub pCancellationId: *const GUID,
    /// From version 4: allowed credentials.
    pub pAllowCredentialList: *const WEBAUTHN_CREDENTIAL_LIST,
    /// From version 5: one of [`large_blob_operation`].
    pub dwCredLargeBlobOperation: u32,
    /// The length.
    pub cbCredLargeBlob: u32,
    /// The large blob to be written.
    pub pbCredLargeBlob: *const u8,
    /// From version 6: what the pseudo-random functions are evaluated for.
    pub pHmacSecretSaltValues: *const WEBAUTHN_HMAC_SECRET_SALT_VALUES,
    /// The browser's private mode.
    pub bBrowserInPrivateMode: BOOL,
    /// From version 7: deprecated.
    pub pLinkedDevice: *const c_void,
    /// Whether the sign-in is one of an input field.
    pub bAutoFill: BOOL,
    /// The length.
    pub cbJsonExt: u32,
    /// Extensions as JSON.
    pub pbJsonExt: *const u8,
    /// From version 8: how many.
    pub cCredentialHints: u32,
    /// Hints.
    pub ppwszCredentialHints: *const PCWSTR,
    /// From version 9: the origin of a web application on another machine.
    pub pwszRemoteWebOrigin: PCWSTR,
    /// The length.
    pub cbPublicKeyCredentialRequestOptionsJSON: u32,
    /// The options as JSON.
    pub pbPublicKeyCredentialRequestOptionsJSON: *const u8,
    /// The length.
    pub cbAuthenticatorId: u32,
    /// The authenticator to use.
    pub pbAuthenticatorId: *const u8,
}
