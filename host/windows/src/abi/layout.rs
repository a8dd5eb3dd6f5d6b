//! Where the members lie on 64-bit Windows, in bytes. The numbers are those of the published header. `interop/windows`
//! has a C compiler check them, as far as its copy of the header goes.
#![cfg(target_pointer_width = "64")]

use core::mem::{offset_of, size_of};

/// A struct, its size, and the offsets of its members.
macro_rules! layout {
    ($name:ident, $size:literal, $($member:ident $offset:literal)*) => {
        const _: () = assert!(size_of::<super::$name>() == $size);
        $(const _: () = assert!(offset_of!(super::$name, $member) == $offset);)*
    };
}

layout!(WEBAUTHN_RP_ENTITY_INFORMATION, 32, dwVersion 0 pwszId 8 pwszName 16 pwszIcon 24);
layout!(WEBAUTHN_USER_ENTITY_INFORMATION, 40, dwVersion 0 cbId 4 pbId 8 pwszName 16 pwszIcon 24 pwszDisplayName 32);
layout!(WEBAUTHN_CLIENT_DATA, 24, dwVersion 0 cbClientDataJSON 4 pbClientDataJSON 8 pwszHashAlgId 16);
layout!(WEBAUTHN_COSE_CREDENTIAL_PARAMETER, 24, dwVersion 0 pwszCredentialType 8 lAlg 16);
layout!(WEBAUTHN_COSE_CREDENTIAL_PARAMETERS, 16, cCredentialParameters 0 pCredentialParameters 8);
layout!(WEBAUTHN_CREDENTIAL, 24, dwVersion 0 cbId 4 pbId 8 pwszCredentialType 16);
layout!(WEBAUTHN_CREDENTIALS, 16, cCredentials 0 pCredentials 8);
layout!(WEBAUTHN_CREDENTIAL_EX, 32, dwVersion 0 cbId 4 pbId 8 pwszCredentialType 16 dwTransports 24);
layout!(WEBAUTHN_CREDENTIAL_LIST, 16, cCredentials 0 ppCredentials 8);
layout!(WEBAUTHN_HMAC_SECRET_SALT, 32, cbFirst 0 pbFirst 8 cbSecond 16 pbSecond 24);
layout!(WEBAUTHN_CRED_WITH_HMAC_SECRET_SALT, 24, cbCredID 0 pbCredID 8 pHmacSecretSalt 16);
layout!(
    WEBAUTHN_HMAC_SECRET_SALT_VALUES, 24, pGlobalHmacSalt 0 cCredWithHmacSecretSaltList 8 pCredWithHmacSecretSaltList 16
);
layout!(WEBAUTHN_CRED_PROTECT_EXTENSION_IN, 8, dwCredProtect 0 bRequireCredProtect 4);
layout!(WEBAUTHN_CRED_BLOB_EXTENSION, 16, cbCredBlob 0 pbCredBlob 8);
layout!(WEBAUTHN_EXTENSION, 24, pwszExtensionIdentifier 0 cbExtension 8 pvExtension 16);
layout!(WEBAUTHN_EXTENSIONS, 16, cExtensions 0 pExtensions 8);
layout!(
    WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS, 200,
    dwVersion 0 dwTimeoutMilliseconds 4 CredentialList 8 Extensions 24 dwAuthenticatorAttachment 40
    bRequireResidentKey 44 dwUserVerificationRequirement 48 dwAttestationConveyancePreference 52 dwFlags 56
    pCancellationId 64 pExcludeCredentialList 72 dwEnterpriseAttestation 80 dwLargeBlobSupport 84 bPreferResidentKey 88
    bBrowserInPrivateMode 92 bEnablePrf 96 pLinkedDevice 104 cbJsonExt 112 pbJsonExt 120 pPRFGlobalEval 128
    cCredentialHints 136 ppwszCredentialHints 144 bThirdPartyPayment 152 pwszRemoteWebOrigin 160
    cbPublicKeyCredentialCreationOptionsJSON 168 pbPublicKeyCredentialCreationOptionsJSON 176 cbAuthenticatorId 184
    pbAuthenticatorId 192
);
layout!(
    WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS, 200,
    dwVersion 0 dwTimeoutMilliseconds 4 CredentialList 8 Extensions 24 dwAuthenticatorAttachment 40
    dwUserVerificationRequirement 44 dwFlags 48 pwszU2fAppId 56 pbU2fAppId 64 pCancellationId 72
    pAllowCredentialList 80 dwCredLargeBlobOperation 88 cbCredLargeBlob 92 pbCredLargeBlob 96 pHmacSecretSaltValues 104
    bBrowserInPrivateMode 112 pLinkedDevice 120 bAutoFill 128 cbJsonExt 132 pbJsonExt 136 cCredentialHints 144
    ppwszCredentialHints 152 pwszRemoteWebOrigin 160 cbPublicKeyCredentialRequestOptionsJSON 168
    pbPublicKeyCredentialRequestOptionsJSON 176 cbAuthenticatorId 184 pbAuthenticatorId 192
);
layout!(
    WEBAUTHN_CREDENTIAL_ATTESTATION, 192,
    dwVersion 0 pwszFormatType 8 cbAuthenticatorData 16 pbAuthenticatorData 24 cbAttestation 32 pbAttestation 40
    dwAttestationDecodeType 48 pvAttestationDecode 56 cbAttestationObject 64 pbAttestationObject 72 cbCredentialId 80
    pbCredentialId 88 Extensions 96 dwUsedTransport 112 bEpAtt 116 bLargeBlobSupported 120 bResidentKey 124
    bPrfEnabled 128 cbUnsignedExtensionOutputs 132 pbUnsignedExtensionOutputs 136 pHmacSecret 144 bThirdPartyPayment 152
    dwTransports 156 cbClientDataJSON 160 pbClientDataJSON 168 cbRegistrationResponseJSON 176
    pbRegistrationResponseJSON 184
);
layout!(
    WEBAUTHN_ASSERTION, 168,
    dwVersion 0 cbAuthenticatorData 4 pbAuthenticatorData 8 cbSignature 16 pbSignature 24 Credential 32 cbUserId 56
    pbUserId 64 Extensions 72 cbCredLargeBlob 88 pbCredLargeBlob 96 dwCredLargeBlobStatus 104 pHmacSecret 112
    dwUsedTransport 120 cbUnsignedExtensionOutputs 124 pbUnsignedExtensionOutputs 128 cbClientDataJSON 136
    pbClientDataJSON 144 cbAuthenticationResponseJSON 152 pbAuthenticationResponseJSON 160
);
layout!(WEBAUTHN_GET_CREDENTIALS_OPTIONS, 24, dwVersion 0 pwszRpId 8 bBrowserInPrivateMode 16);
layout!(
    WEBAUTHN_CREDENTIAL_DETAILS, 72,
    dwVersion 0 cbCredentialID 4 pbCredentialID 8 pRpInformation 16 pUserInformation 24 bRemovable 32 bBackedUp 36
    pwszAuthenticatorName 40 cbAuthenticatorLogo 48 pbAuthenticatorLogo 56 bThirdPartyPayment 64 dwTransports 68
);
layout!(WEBAUTHN_CREDENTIAL_DETAILS_LIST, 16, cCredentialDetails 0 ppCredentialDetails 8);
