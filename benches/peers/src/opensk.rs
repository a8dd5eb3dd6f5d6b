//! OpenSK, Google's authenticator, as a library.

use std::hint::black_box;

use keyfob_benches::{
    Operation,
    ceremonies::{Authenticator, ceremony},
    messages,
};
use opensk::{
    ctap::{Channel, CtapState, cbor_write, command::Command, response::AuthenticatorGetInfoResponse},
    env::test::TestEnv,
};

use crate::{DECODE_REQUEST, DISCOVERABLE, ENCODE_GET_INFO, FLOOR, Peer, WITH_ALLOW_LIST, p256};

pub const PEER: Peer = Peer {
    name: "opensk",
    note: "an authenticator: decodes requests, encodes responses, through a tree of values; canonical form is checked; \
           its GetInfo always has minPinLength; on p256 0.13, which has no tables; with its own test environment, a \
           flash store in RAM",
    operations: &[
        Operation { name: DECODE_REQUEST, prepare: decode_request },
        Operation { name: ENCODE_GET_INFO, prepare: encode_get_info },
        Operation { name: FLOOR, prepare: p256::two_signatures_13 },
        Operation { name: DISCOVERABLE, prepare: || ceremony(Key::new(), true) },
        Operation { name: WITH_ALLOW_LIST, prepare: || ceremony(Key::new(), false) },
    ],
};

fn decode_request() -> Box<dyn FnMut()> {
    let mut message = messages::make_credential_request();
    message.insert(0, 1); // The command byte.
    Box::new(move || {
        black_box(Command::deserialize(black_box(&message)).expect("it can"));
    })
}

fn encode_get_info() -> Box<dyn FnMut()> {
    Box::new(move || {
        // Encoding consumes the response, so a new one is built each time, as in a key.
        let info = AuthenticatorGetInfoResponse {
            versions: vec!["U2F_V2".into(), "FIDO_2_0".into()],
            extensions: Some(vec!["credProtect".into(), "hmac-secret".into()]),
            aaguid: [1; 16],
            options: Some(vec![
                ("rk".into(), true),
                ("up".into(), true),
                ("plat".into(), false),
                ("clientPin".into(), true),
            ]),
            max_msg_size: Some(1200),
            pin_protocols: Some(vec![1]),
            max_credential_count_in_list: None,
            max_credential_id_length: None,
            transports: None,
            algorithms: None,
            max_serialized_large_blob_array: None,
            force_pin_change: None,
            min_pin_length: 4,
            firmware_version: None,
            max_cred_blob_length: None,
            max_rp_ids_for_set_min_pin_length: None,
            preferred_platform_uv_attempts: None,
            uv_modality: None,
            certifications: None,
            remaining_discoverable_credentials: None,
        };
        let mut written = Vec::new();
        cbor_write(black_box(info).into(), &mut written).expect("it can");
        black_box(written);
    })
}

/// Its authenticator, with a user who touches it at once.
struct Key {
    env: TestEnv,
    state: CtapState<TestEnv>,
}

impl Key {
    fn new() -> Self {
        let mut env = TestEnv::default();
        let state = CtapState::new(&mut env);
        Self { env, state }
    }
}

impl Authenticator for Key {
    fn call(&mut self, request: &[u8]) -> impl AsRef<[u8]> {
        self.state.process_command(&mut self.env, request, Channel::MainHid([1, 2, 3, 4]))
    }
}
