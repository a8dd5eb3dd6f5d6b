//! passkey-types and passkey-authenticator, of 1Password.

use std::hint::black_box;

use ciborium::{from_reader, into_writer};
use futures_executor::block_on;
use keyfob_benches::{
    Operation,
    ceremonies::{Authenticator, ceremony},
    messages,
};
use passkey_authenticator::{UiHint, UserCheck, UserValidationMethod};
use passkey_crypto::rust_crypto::RustCryptoBackend;
use passkey_types::{
    Passkey,
    ctap2::{Aaguid, Ctap2Error, get_assertion, get_info, make_credential},
};

use crate::{
    DECODE_ASSERTION, DECODE_GET_INFO, DECODE_REGISTRATION, DECODE_REQUEST, DISCOVERABLE, ENCODE_GET_INFO,
    ENCODE_REQUEST, FLOOR, Peer, WITH_ALLOW_LIST, p256,
};

pub const PEER: Peer = Peer {
    name: "passkey-types",
    note: "authData and COSE key are read, the statement stays a tree of values; canonical form not checked; unknown \
           algorithms, versions and extensions are dropped. Its authenticator gives format \"none\", so it signs once; \
           it has no CBOR entry, so requests and responses pass through ciborium; its store holds one passkey and \
           none are wrapped",
    operations: &[
        Operation { name: DECODE_GET_INFO, prepare: decode_get_info },
        Operation { name: DECODE_REQUEST, prepare: decode_request },
        Operation { name: DECODE_REGISTRATION, prepare: decode_registration },
        Operation { name: DECODE_ASSERTION, prepare: decode_assertion },
        Operation { name: ENCODE_GET_INFO, prepare: encode_get_info },
        Operation { name: ENCODE_REQUEST, prepare: encode_request },
        Operation { name: FLOOR, prepare: p256::one_signature },
        Operation { name: DISCOVERABLE, prepare: || ceremony(Key::new(), true) },
        Operation { name: WITH_ALLOW_LIST, prepare: || ceremony(Key::new(), false) },
    ],
};

fn decode_get_info() -> Box<dyn FnMut()> {
    let message = messages::get_info();
    Box::new(move || {
        black_box(from_reader::<get_info::Response, _>(black_box(&message[..])).expect("it can"));
    })
}

fn decode_request() -> Box<dyn FnMut()> {
    let message = messages::make_credential_request();
    Box::new(move || {
        black_box(from_reader::<make_credential::Request, _>(black_box(&message[..])).expect("it can"));
    })
}

fn decode_registration() -> Box<dyn FnMut()> {
    let message = messages::make_credential_response();
    Box::new(move || {
        black_box(from_reader::<make_credential::Response, _>(black_box(&message[..])).expect("it can"));
    })
}

fn decode_assertion() -> Box<dyn FnMut()> {
    let message = messages::get_assertion_response();
    Box::new(move || {
        black_box(from_reader::<get_assertion::Response, _>(black_box(&message[..])).expect("it can"));
    })
}

fn encode_get_info() -> Box<dyn FnMut()> {
    let info: get_info::Response = from_reader(&messages::small_get_info()[..]).expect("it can");
    Box::new(move || {
        let mut written = Vec::new();
        into_writer(black_box(&info), &mut written).expect("it can");
        black_box(written);
    })
}

fn encode_request() -> Box<dyn FnMut()> {
    let request: make_credential::Request = from_reader(&messages::make_credential_request()[..]).expect("it can");
    Box::new(move || {
        let mut written = Vec::new();
        into_writer(black_box(&request), &mut written).expect("it can");
        black_box(written);
    })
}

/// Its authenticator, with a user who touches it at once.
struct Key(passkey_authenticator::Authenticator<Option<Passkey>, Present, RustCryptoBackend>);

struct Present;

impl Key {
    fn new() -> Self {
        Self(passkey_authenticator::Authenticator::new(Aaguid::default(), None, Present, RustCryptoBackend))
    }
}

impl Authenticator for Key {
    fn call(&mut self, request: &[u8]) -> impl AsRef<[u8]> {
        let (command, body) = request.split_first().expect("a command");
        let mut response = vec![0];
        if *command == 1 {
            let request = from_reader(body).expect("it can");
            let made = block_on(self.0.make_credential(request)).expect("a registration");
            into_writer(&made, &mut response).expect("it can");
        } else {
            let request = from_reader(body).expect("it can");
            let asserted = block_on(self.0.get_assertion(request)).expect("an assertion");
            into_writer(&asserted, &mut response).expect("it can");
        }
        response
    }
}

#[async_trait::async_trait]
impl UserValidationMethod for Present {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _: UiHint<'a, Passkey>,
        presence: bool,
        verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck { presence, verification })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        None
    }
}
