//! webauthn-authenticator-rs, of Kanidm.

use std::hint::black_box;

use keyfob_benches::{
    Operation,
    ceremonies::{Authenticator, ceremony},
    messages,
};
use webauthn_authenticator_rs::{
    ctap2::commands::{
        CBORCommand, CBORResponse, GetAssertionRequest, GetAssertionResponse, GetInfoResponse, MakeCredentialRequest,
        MakeCredentialResponse,
    },
    perform_auth_with_request, perform_register_with_request,
    softpasskey::SoftPasskey,
};

use crate::{
    DECODE_ASSERTION, DECODE_GET_INFO, DECODE_REGISTRATION, DECODE_REQUEST, ENCODE_REQUEST, FLOOR, Peer,
    WITH_ALLOW_LIST, p256,
};

pub const PEER: Peer = Peer {
    name: "webauthn-authenticator-rs",
    note: "decodes into a tree of values first; authData and statement stay bytes and a tree; of a request it drops \
           extensions and pinUvAuthParam, of an assertion the user; canonical form not checked. SoftPasskey has no \
           discoverable credentials, and none are wrapped",
    operations: &[
        Operation { name: DECODE_GET_INFO, prepare: || decode::<GetInfoResponse>(messages::get_info()) },
        Operation {
            name: DECODE_REQUEST,
            prepare: || decode::<MakeCredentialRequest>(messages::make_credential_request()),
        },
        Operation {
            name: DECODE_REGISTRATION,
            prepare: || decode::<MakeCredentialResponse>(messages::make_credential_response()),
        },
        Operation {
            name: DECODE_ASSERTION,
            prepare: || decode::<GetAssertionResponse>(messages::get_assertion_response()),
        },
        Operation { name: ENCODE_REQUEST, prepare: encode_request },
        Operation { name: FLOOR, prepare: p256::two_signatures },
        Operation { name: WITH_ALLOW_LIST, prepare: || ceremony(Key(SoftPasskey::new(true)), false) },
    ],
};

fn decode<T: CBORResponse>(message: Vec<u8>) -> Box<dyn FnMut()> {
    Box::new(move || {
        black_box(T::try_from(black_box(&message)).expect("it can"));
    })
}

fn encode_request() -> Box<dyn FnMut()> {
    let message = messages::make_credential_request();
    let request = <MakeCredentialRequest as CBORResponse>::try_from(&message).expect("it can");
    let request = MakeCredentialRequest { pin_uv_auth_param: Some(vec![3; 32]), pin_uv_auth_proto: Some(2), ..request };
    Box::new(move || {
        black_box(black_box(&request).cbor().expect("it can"));
    })
}

struct Key(SoftPasskey);

impl Authenticator for Key {
    fn call(&mut self, request: &[u8]) -> impl AsRef<[u8]> {
        let (command, body) = request.split_first().expect("a command");
        let mut response = vec![0];
        let answer = if *command == 1 {
            let request = <MakeCredentialRequest as CBORResponse>::try_from(body).expect("it can");
            perform_register_with_request(&mut self.0, request, 60_000)
        } else {
            let request = <GetAssertionRequest as CBORResponse>::try_from(body).expect("it can");
            perform_auth_with_request(&mut self.0, request, 60_000)
        };
        response.append(&mut answer.expect("an answer"));
        response
    }
}
