//! What the functions return.

use core::ffi::c_void;

use super::{
    BOOL, PCWSTR, WEBAUTHN_CREDENTIAL, WEBAUTHN_EXTENSIONS, WEBAUTHN_HMAC_SECRET_SALT, WEBAUTHN_RP_ENTITY_INFORMATION,
    WEBAUTHN_USER_ENTITY_INFORMATION,
};

/// `WEBAUTHN_CRED_LARGE_BLOB_STATUS_*`; there are more, which are failures.
pub mod large_blob_status {
    /// Nothing was asked for.
    pub const NONE: u32 = 0;
    /// It was read or written.
    pub const SUCCESS: u32 = 1;
    /// The authenticator has none.
    pub const NOT_SUPPORTED: u32 = 2;
    /// The credential has none.
    pub const NOT_FOUND: u32 = 5;
}

/// A registration.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CREDENTIAL_ATTESTATION {
    /// [`version::credential_attestation`](super::version::credential_attestation), or an older one.
    pub dwVersion: u32,
    /// The attestation's format.
    pub pwszFormatType: PCWSTR,
    /// The length.
    pub cbAuthenticatorData: u32,
    /// Authenticator data.
    pub pbAuthenticatorData: *const u8,
    /// The length.
    pub cbAttestation: u32,
    /// The attestation statement, in CBOR.
    pub pbAttestation: *const u8,
    /// 1: `pvAttestationDecode` is there.
    pub dwAttestationDecodeType: u32,
    /// The attestation statement as a struct.
    pub pvAttestationDecode: *const c_void,
    /// The length.
    pub cbAttestationObject: u32,
    /// The attestation object.
    pub pbAttestationObject: *const u8,
    /// The length.
    pub cbCredentialId: u32,
    /// The credential's id.
    pub pbCredentialId: *const u8,
    /// From version 2: outputs of extensions.
    pub Extensions: WEBAUTHN_EXTENSIONS,
    /// From version 3: one bit of [`transport`](super::transport).
    pub dwUsedTransport: u32,
    /// From version 4: whether enterprise attestation was given.
    pub bEpAtt: BOOL,
    /// Whether the credential can have a large blob.
    pub bLargeBlobSupported: BOOL,
    /// Whether the credential is discoverable.
    pub bResidentKey: BOOL,
    /// From version 5: whether the credential has a pseudo-random function.
    pub bPrfEnabled: BOOL,
    /// From version 6: the length.
    pub cbUnsignedExtensionOutputs: u32,
    /// Outputs of extensions that are not signed, in CBOR.
    pub pbUnsignedExtensionOutputs: *const u8,
    /// From version 7: outputs of the pseudo-random function; may be null.
    pub pHmacSecret: *const WEBAUTHN_HMAC_SECRET_SALT,
    /// Whether the credential may be used for payments on the sites of others.
    pub bThirdPartyPayment: BOOL,
    /// From version 8: bits of [`transport`](super::transport).
    pub dwTransports: u32,
    /// The length.
    pub cbClientDataJSON: u32,
    /// The client data.
    pub pbClientDataJSON: *const u8,
    /// The length.
    pub cbRegistrationResponseJSON: u32,
    /// The response as JSON.
    pub pbRegistrationResponseJSON: *const u8,
}

/// A sign-in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_ASSERTION {
    /// [`version::assertion`](super::version::assertion), or an older one.
    pub dwVersion: u32,
    /// The length.
    pub cbAuthenticatorData: u32,
    /// Authenticator data.
    pub pbAuthenticatorData: *const u8,
    /// The length.
    pub cbSignature: u32,
    /// The signature.
    pub pbSignature: *const u8,
    /// The credential.
    pub Credential: WEBAUTHN_CREDENTIAL,
    /// The length; 0 when there is none.
    pub cbUserId: u32,
    /// The user handle.
    pub pbUserId: *const u8,
    /// From version 2: outputs of extensions.
    pub Extensions: WEBAUTHN_EXTENSIONS,
    /// The length.
    pub cbCredLargeBlob: u32,
    /// The large blob.
    pub pbCredLargeBlob: *const u8,
    /// One of [`large_blob_status`].
    pub dwCredLargeBlobStatus: u32,
    /// From version 3: outputs of the pseudo-random function; may be null.
    pub pHmacSecret: *const WEBAUTHN_HMAC_SECRET_SALT,
    /// From version 4: one bit of [`transport`](super::transport).
    pub dwUsedTransport: u32,
    /// From version 5: the length.
    pub cbUnsignedExtensionOutputs: u32,
    /// Outputs of extensions that are not signed, in CBOR.
    pub pbUnsignedExtensionOutputs: *const u8,
    /// From version 6: the length.
    pub cbClientDataJSON: u32,
    /// The client data.
    pub pbClientDataJSON: *const u8,
    /// The length.
    pub cbAuthenticationResponseJSON: u32,
    /// The response as JSON.
    pub pbAuthenticationResponseJSON: *const u8,
}

/// Which credentials to list.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_GET_CREDENTIALS_OPTIONS {
    /// 1.
    pub dwVersion: u32,
    /// The RP ID; null is any.
    pub pwszRpId: PCWSTR,
    /// The browser's private mode.
    pub bBrowserInPrivateMode: BOOL,
}

/// A credential that Windows keeps.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CREDENTIAL_DETAILS {
    /// [`version::credential_details`](super::version::credential_details).
    pub dwVersion: u32,
    /// The length.
    pub cbCredentialID: u32,
    /// Its id.
    pub pbCredentialID: *const u8,
    /// The relying party.
    pub pRpInformation: *const WEBAUTHN_RP_ENTITY_INFORMATION,
    /// The user.
    pub pUserInformation: *const WEBAUTHN_USER_ENTITY_INFORMATION,
    /// Whether it can be deleted.
    pub bRemovable: BOOL,
    /// From version 2: whether it is backed up.
    pub bBackedUp: BOOL,
    /// From version 3: the authenticator's name; may be null.
    pub pwszAuthenticatorName: PCWSTR,
    /// The length.
    pub cbAuthenticatorLogo: u32,
    /// The authenticator's logo, in SVG.
    pub pbAuthenticatorLogo: *const u8,
    /// Whether it may be used for payments on the sites of others.
    pub bThirdPartyPayment: BOOL,
    /// From version 4: bits of [`transport`](super::transport).
    pub dwTransports: u32,
}

/// Credentials that Windows keeps.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WEBAUTHN_CREDENTIAL_DETAILS_LIST {
    /// How many.
    pub cCredentialDetails: u32,
    /// The credentials.
    pub ppCredentialDetails: *const *const WEBAUTHN_CREDENTIAL_DETAILS,
}
