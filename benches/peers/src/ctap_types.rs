//! ctap-types, the types of Trussed's authenticator.

use std::hint::black_box;

use cbor_smol::{cbor_deserialize, cbor_serialize};
use ctap_types::ctap2::{get_assertion, get_info, make_credential};
use keyfob_benches::{Operation, messages};

use crate::{
    DECODE_ASSERTION, DECODE_GET_INFO, DECODE_REGISTRATION, DECODE_REQUEST, ENCODE_GET_INFO, ENCODE_REQUEST, Peer,
};

pub const PEER: Peer = Peer {
    name: "ctap-types",
    note: "decoded into fixed vectors, so without a heap; canonical form not checked; algorithms, options and extensions \
           that it does not know are dropped, unknown versions refused; authData not read",
    operations: &[
        Operation { name: DECODE_GET_INFO, prepare: decode_get_info },
        Operation { name: DECODE_REQUEST, prepare: decode_request },
        Operation { name: DECODE_REGISTRATION, prepare: decode_registration },
        Operation { name: DECODE_ASSERTION, prepare: decode_assertion },
        Operation { name: ENCODE_GET_INFO, prepare: encode_get_info },
        Operation { name: ENCODE_REQUEST, prepare: encode_request },
    ],
};

fn decode_get_info() -> Box<dyn FnMut()> {
    let message = messages::get_info();
    Box::new(move || {
        black_box(cbor_deserialize::<get_info::Response>(black_box(&message)).expect("it can"));
    })
}

fn decode_request() -> Box<dyn FnMut()> {
    let message = messages::make_credential_request();
    Box::new(move || {
        black_box(cbor_deserialize::<make_credential::Request<'_>>(black_box(&message)).expect("it can"));
    })
}

fn decode_registration() -> Box<dyn FnMut()> {
    let message = messages::make_credential_response();
    Box::new(move || {
        black_box(cbor_deserialize::<make_credential::Response>(black_box(&message)).expect("it can"));
    })
}

fn decode_assertion() -> Box<dyn FnMut()> {
    let message = messages::get_assertion_response();
    Box::new(move || {
        black_box(cbor_deserialize::<get_assertion::Response>(black_box(&message)).expect("it can"));
    })
}

fn encode_get_info() -> Box<dyn FnMut()> {
    let info: get_info::Response = cbor_deserialize(&messages::small_get_info()).expect("it can");
    let mut buffer = [0; 512];
    Box::new(move || {
        black_box(cbor_serialize(black_box(&info), &mut buffer).expect("fits"));
    })
}

fn encode_request() -> Box<dyn FnMut()> {
    // The crate has no other way to make a request.
    let message = messages::make_credential_request().leak();
    let request: make_credential::Request<'_> = cbor_deserialize(message).expect("it can");
    let mut buffer = [0; 512];
    Box::new(move || {
        black_box(cbor_serialize(black_box(&request), &mut buffer).expect("fits"));
    })
}
