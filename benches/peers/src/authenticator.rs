//! authenticator, Mozilla's client.

use std::hint::black_box;

use authenticator::{
    AuthenticatorInfo, MakeCredentialsResult,
    crypto::COSEAlgorithm,
    ctap2::{
        client_data::ClientDataHash,
        commands::{
            get_assertion::GetAssertionResponse,
            make_credentials::{
                HmacCreateSecretOrPrf, MakeCredentials, MakeCredentialsExtensions, MakeCredentialsOptions,
            },
        },
        server::{
            CredentialProtectionPolicy, PublicKeyCredentialDescriptor, PublicKeyCredentialParameters,
            PublicKeyCredentialUserEntity, RelyingParty,
        },
    },
};
use keyfob_benches::{Operation, messages};

use crate::{DECODE_ASSERTION, DECODE_GET_INFO, DECODE_REGISTRATION, ENCODE_REQUEST, Peer};

pub const PEER: Peer = Peer {
    name: "authenticator",
    note: "a client: decodes responses, encodes requests; authData, COSE key and statement are read; canonical form not \
           checked; encodes the request without pinUvAuthParam, which only its own key agreement can make",
    operations: &[
        Operation { name: DECODE_GET_INFO, prepare: decode_get_info },
        Operation { name: DECODE_REGISTRATION, prepare: decode_registration },
        Operation { name: DECODE_ASSERTION, prepare: decode_assertion },
        Operation { name: ENCODE_REQUEST, prepare: encode_request },
    ],
};

fn decode_get_info() -> Box<dyn FnMut()> {
    let message = messages::get_info();
    Box::new(move || {
        black_box(serde_cbor::from_slice::<AuthenticatorInfo>(black_box(&message)).expect("it can"));
    })
}

fn decode_registration() -> Box<dyn FnMut()> {
    let message = messages::make_credential_response();
    Box::new(move || {
        black_box(serde_cbor::from_slice::<MakeCredentialsResult>(black_box(&message)).expect("it can"));
    })
}

fn decode_assertion() -> Box<dyn FnMut()> {
    let message = messages::get_assertion_response();
    Box::new(move || {
        black_box(serde_cbor::from_slice::<GetAssertionResponse>(black_box(&message)).expect("it can"));
    })
}

fn encode_request() -> Box<dyn FnMut()> {
    let parameters = [COSEAlgorithm::ES256, COSEAlgorithm::EDDSA, COSEAlgorithm::RS256];
    let request = MakeCredentials::new(
        ClientDataHash([0x5A; 32]),
        RelyingParty { id: "example.com".into(), name: Some("Example RP".into()) },
        Some(PublicKeyCredentialUserEntity {
            id: vec![9; 32],
            name: Some("alice@example.com".into()),
            display_name: Some("Alice Example".into()),
        }),
        parameters.map(|alg| PublicKeyCredentialParameters { alg }).to_vec(),
        vec![PublicKeyCredentialDescriptor { id: vec![7; 64], transports: vec![] }],
        MakeCredentialsOptions { resident_key: Some(true), user_verification: None },
        MakeCredentialsExtensions {
            cred_protect: Some(CredentialProtectionPolicy::UserVerificationOptionalWithCredentialIDList),
            hmac_secret: Some(HmacCreateSecretOrPrf::HmacCreateSecret(true)),
            ..MakeCredentialsExtensions::default()
        },
    );
    Box::new(move || {
        black_box(serde_cbor::to_vec(black_box(&request)).expect("it can"));
    })
}
