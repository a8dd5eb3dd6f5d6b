//! Every message of the protocol: decodes arbitrary bytes and encodes them again. The input is the CBOR after the
//! command or status byte.
#![no_main]

use keyfob_core::{
    attestation::{AndroidKey, AndroidSafetyNet, Apple, Element, FidoU2f, Packed, RawStatement, Statement, Tpm},
    cbor::{self, Raw},
    ctap2::{
        CredentialDescriptor, RpEntity, UserEntity, bio_enrollment, client_pin, config, credential_management,
        get_assertion, get_info, large_blobs, make_credential,
    },
};
use keyfob_fuzz::message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    message!(bytes, make_credential::Request<'_>);
    message!(bytes, make_credential::Response<'_>);
    message!(bytes, get_assertion::Request<'_>);
    message!(bytes, get_assertion::Response<'_>);
    message!(bytes, get_info::Response<'_>);
    message!(bytes, client_pin::Request<'_>);
    message!(bytes, client_pin::Response<'_>);
    message!(bytes, bio_enrollment::Request<'_>);
    message!(bytes, bio_enrollment::Params<'_>);
    message!(bytes, bio_enrollment::Response<'_>);
    message!(bytes, credential_management::Request<'_>);
    message!(bytes, credential_management::Params<'_>);
    message!(bytes, credential_management::Response<'_>);
    message!(bytes, large_blobs::Request<'_>);
    message!(bytes, large_blobs::Response<'_>);
    message!(bytes, large_blobs::LargeBlobMap<'_>);
    message!(bytes, config::Request<'_>);
    message!(bytes, config::SetMinPinLength<'_>);
    message!(bytes, config::VendorPrototype);
    message!(bytes, RpEntity<'_>);
    message!(bytes, UserEntity<'_>);
    message!(bytes, CredentialDescriptor<'_>);
    message!(bytes, Packed<'_>);
    message!(bytes, FidoU2f<'_>);
    message!(bytes, Tpm<'_>);
    message!(bytes, AndroidKey<'_>);
    message!(bytes, Apple<'_>);
    message!(bytes, AndroidSafetyNet<'_>);
    message!(bytes, Element<'_>);

    // Parameters are read from the bytes that are authenticated.
    if let Ok(request) = cbor::decode::<config::Request<'_>>(bytes)
        && let Some(params) = request.sub_command_params
    {
        assert!(cbor::decode::<Raw<'_>>(params.0).is_ok());
        assert_eq!(request.params::<config::SetMinPinLength<'_>>().ok(), cbor::decode(params.0).ok());
    }
    for format in
        ["none", "packed", "fido-u2f", "tpm", "android-key", "apple", "android-safetynet", "compound", "other"]
    {
        if let Ok(statement) = Statement::decode(format, Some(RawStatement(bytes))) {
            assert_eq!(statement.format(), format);
            // The statement of "none" is always written as an empty map, also if it was absent.
            let mut buffer = vec![0; bytes.len().max(1)];
            let length = cbor::encode(&statement, &mut buffer).expect("the shortest form fits");
            assert_eq!(Statement::decode(format, Some(RawStatement(&buffer[..length]))), Ok(statement));
        }
    }
});
