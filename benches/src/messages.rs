//! Messages of the sizes that real authenticators and platforms send, encoded by our own encoder.
//!
//! "Decode" means that every member is read, every list is iterated, and canonical form is checked, also that of the
//! COSE key and of the extension outputs in authData.

use std::hint::black_box;

use keyfob_core::{
    attestation::{Packed, RawStatement, Statement},
    auth_data::{AttestedCredentialData, AuthData, Flags},
    cbor::{self, List, RawMap, Text, Write, Writer},
    cose::{Algorithm, CoseKey, Curve},
    ctap2::{
        CommandOptions, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, get_assertion, get_info,
        make_credential,
    },
    extensions::MakeCredentialInputs,
};

const ES256: CredentialParameters<'static> = CredentialParameters::new(Algorithm::ES256);
const EDDSA: CredentialParameters<'static> = CredentialParameters::new(Algorithm::EDDSA);
const ES384: CredentialParameters<'static> = CredentialParameters::new(Algorithm::ES384);
const RS256: CredentialParameters<'static> = CredentialParameters::new(Algorithm::RS256);
const AAGUID: &[u8; 16] = &[1, 32, 63, 94, 125, 156, 187, 218, 249, 24, 55, 86, 117, 148, 179, 210];
const EXTENSIONS: &[u8] = b"\xa2\x6bcredProtect\x02\x6bhmac-secret\xf5";

/// Bytes that look random: `start`, then each byte is 31 more than the one before, as in the shared vectors.
fn pattern(start: u8, length: usize) -> Vec<u8> {
    (0..length).scan(start, |byte, _| Some(std::mem::replace(byte, byte.wrapping_add(31)))).collect()
}

fn encoded(value: &impl Write) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let length = cbor::encode(value, &mut buffer).expect("fits");
    buffer.truncate(length);
    buffer
}

/// GetInfo of 380 bytes, 18 members.
pub fn get_info() -> Vec<u8> {
    let options = get_info::SupportedOptions {
        rk: Some(true),
        up: Some(true),
        plat: Some(false),
        always_uv: Some(false),
        cred_mgmt: Some(true),
        authnr_cfg: Some(true),
        client_pin: Some(true),
        large_blobs: Some(true),
        pin_uv_auth_token: Some(true),
        set_min_pin_length: Some(true),
        make_cred_uv_not_rqd: Some(true),
        credential_mgmt_preview: Some(true),
        ..get_info::SupportedOptions::default()
    };
    encoded(&get_info::Response {
        extensions: Some(List::Slice(&[
            Text::new("credProtect"),
            Text::new("hmac-secret"),
            Text::new("largeBlobKey"),
            Text::new("credBlob"),
            Text::new("minPinLength"),
        ])),
        options: Some(options),
        max_msg_size: Some(1280),
        pin_uv_auth_protocols: Some(List::Slice(&[2, 1])),
        max_credential_count_in_list: Some(8),
        max_credential_id_length: Some(128),
        transports: Some(List::Slice(&[Text::new("nfc"), Text::new("usb")])),
        algorithms: Some(List::Slice(&[ES256, EDDSA, ES384])),
        max_serialized_large_blob_array: Some(4096),
        force_pin_change: Some(false),
        min_pin_length: Some(4),
        firmware_version: Some(329_474),
        max_cred_blob_length: Some(32),
        max_rp_ids_for_set_min_pin_length: Some(1),
        preferred_platform_uv_attempts: Some(3),
        remaining_discoverable_credentials: Some(100),
        ..small(List::Slice(&[
            Text::new("U2F_V2"),
            Text::new("FIDO_2_0"),
            Text::new("FIDO_2_1_PRE"),
            Text::new("FIDO_2_1"),
        ]))
    })
}

/// A response with only the required members.
fn small<'a>(versions: List<'a, Text<'a>>) -> get_info::Response<'a> {
    get_info::Response {
        versions,
        extensions: None,
        aaguid: AAGUID,
        options: None,
        max_msg_size: None,
        pin_uv_auth_protocols: None,
        max_credential_count_in_list: None,
        max_credential_id_length: None,
        transports: None,
        algorithms: None,
        max_serialized_large_blob_array: None,
        force_pin_change: None,
        min_pin_length: None,
        firmware_version: None,
        max_cred_blob_length: None,
        max_rp_ids_for_set_min_pin_length: None,
        preferred_platform_uv_attempts: None,
        uv_modality: None,
        certifications: None,
        remaining_discoverable_credentials: None,
        vendor_prototype_config_commands: None,
        attestation_formats: None,
        uv_count_since_last_pin_entry: None,
        long_touch_for_reset: None,
        enc_identifier: None,
        transports_for_reset: None,
        pin_complexity_policy: None,
        pin_complexity_policy_url: None,
        max_pin_length: None,
        enc_cred_store_state: None,
        authenticator_config_commands: None,
    }
}

/// A makeCredential request of 386 bytes.
pub fn make_credential_request() -> Vec<u8> {
    let (user, excluded, param) = (pattern(0x09, 32), pattern(0x07, 64), pattern(0x03, 32));
    encoded(&request(&user, &[CredentialDescriptor::new(&excluded)], &param))
}

fn request<'a>(
    user: &'a [u8],
    excluded: &'a [CredentialDescriptor<'a>],
    param: &'a [u8],
) -> make_credential::Request<'a> {
    make_credential::Request {
        client_data_hash: &[0x5A; 32],
        rp: RpEntity { id: "example.com", name: Some("Example RP") },
        user: UserEntity { id: user, name: Some("alice@example.com"), display_name: Some("Alice Example") },
        pub_key_cred_params: List::Slice(&[ES256, EDDSA, RS256]),
        exclude_list: Some(List::Slice(excluded)),
        extensions: Some(RawMap(EXTENSIONS)),
        options: Some(CommandOptions { rk: Some(true), ..CommandOptions::default() }),
        pin_uv_auth_param: Some(param),
        pin_uv_auth_protocol: Some(2),
        enterprise_attestation: None,
        attestation_formats_preference: None,
    }
}

/// A makeCredential response of 1,027 bytes: packed, a certificate of 700 bytes, extensions.
pub fn make_credential_response() -> Vec<u8> {
    let (id, sig, certificate) = (pattern(0x07, 64), pattern(0x30, 71), pattern(0x30, 700));
    let auth_data = AuthData {
        rp_id_hash: &[0xA3; 32],
        flags: Flags(0x05),
        sign_count: 5,
        attested_credential_data: Some(AttestedCredentialData {
            aaguid: AAGUID,
            credential_id: &id,
            public_key: CoseKey::Ec2 {
                algorithm: Algorithm::ES256,
                curve: Curve::P256,
                x: &[0x6B; 32],
                y: &[0x4F; 32],
            },
        }),
        extensions: Some(RawMap(EXTENSIONS)),
    };
    let mut buffer = [0; 512];
    let mut w = Writer::new(&mut buffer);
    auth_data.encode(&mut w);
    let length = w.finish().expect("fits");
    let chain = [certificate.as_slice()];
    let statement =
        encoded(&Statement::Packed(Packed { alg: Algorithm::ES256, sig: &sig, x5c: Some(List::Slice(&chain)) }));
    encoded(&make_credential::Response {
        fmt: "packed",
        auth_data: &buffer[..length],
        att_stmt: Some(RawStatement(&statement)),
        ep_att: None,
        large_blob_key: None,
        unsigned_extension_outputs: None,
    })
}

/// A getAssertion response of 241 bytes.
pub fn get_assertion_response() -> Vec<u8> {
    let (id, user, sig) = (pattern(0x07, 64), pattern(0x09, 32), pattern(0x30, 71));
    let mut auth_data = [0xA3; 37];
    auth_data[32] = 0x05;
    encoded(&get_assertion::Response {
        credential: Some(CredentialDescriptor::new(&id)),
        auth_data: &auth_data,
        signature: &sig,
        user: Some(UserEntity { id: &user, name: None, display_name: None }),
        number_of_credentials: None,
        user_selected: None,
        large_blob_key: None,
        unsigned_extension_outputs: None,
    })
}

/// Decodes a GetInfo: iterates every list and reads every member.
pub fn decode_get_info() -> Box<dyn FnMut()> {
    let message = get_info();
    assert_eq!(message.len(), 380);
    Box::new(move || {
        let info: get_info::Response<'_> = cbor::decode(black_box(&message)).expect("well-formed");
        let strings = [Some(info.versions), info.extensions, info.transports, info.attestation_formats];
        for text in strings.iter().flatten().flat_map(|list| list.iter()) {
            black_box(text);
        }
        for number in info.pin_uv_auth_protocols.iter().flat_map(|list| list.iter()) {
            black_box(number);
        }
        for parameters in info.algorithms.iter().flat_map(|list| list.iter()) {
            black_box(parameters);
        }
        black_box(&info);
    })
}

/// Decodes a makeCredential request and its extension inputs, and iterates its lists.
pub fn decode_make_credential_request() -> Box<dyn FnMut()> {
    let message = make_credential_request();
    assert_eq!(message.len(), 386);
    Box::new(move || {
        let request: make_credential::Request<'_> = cbor::decode(black_box(&message)).expect("well-formed");
        for parameters in &request.pub_key_cred_params {
            black_box(parameters);
        }
        for descriptor in request.exclude_list.iter().flat_map(|list| list.iter()) {
            black_box(descriptor);
        }
        let inputs = request.extensions.map(|extensions| extensions.decode_strict::<MakeCredentialInputs<'_>>());
        black_box(inputs.transpose()).expect("well-formed");
        black_box(&request);
    })
}

/// Decodes a makeCredential response with its authData, COSE key and statement.
pub fn decode_make_credential_response() -> Box<dyn FnMut()> {
    let message = make_credential_response();
    assert_eq!(message.len(), 1027);
    Box::new(move || {
        let response: make_credential::Response<'_> = cbor::decode(black_box(&message)).expect("well-formed");
        black_box(AuthData::decode_strict(response.auth_data)).expect("well-formed");
        let statement = Statement::decode(response.fmt, response.att_stmt).expect("well-formed");
        if let Statement::Packed(Packed { x5c: Some(chain), .. }) = statement {
            for certificate in &chain {
                black_box(certificate);
            }
        }
        black_box((&response, &statement));
    })
}

/// Decodes a getAssertion response with its authData.
pub fn decode_get_assertion_response() -> Box<dyn FnMut()> {
    let message = get_assertion_response();
    assert_eq!(message.len(), 241);
    Box::new(move || {
        let response: get_assertion::Response<'_> = cbor::decode(black_box(&message)).expect("well-formed");
        black_box(AuthData::decode_strict(response.auth_data)).expect("well-formed");
        black_box(&response);
    })
}

/// Encodes a GetInfo of 125 bytes.
pub fn encode_small_get_info() -> Box<dyn FnMut()> {
    let versions = [Text::new("U2F_V2"), Text::new("FIDO_2_0")];
    let mut buffer = [0; 512];
    Box::new(move || {
        let response = small_response(&versions);
        black_box(cbor::encode(black_box(&response), &mut buffer)).expect("fits");
    })
}

/// The GetInfo of 125 bytes.
pub fn small_get_info() -> Vec<u8> {
    encoded(&small_response(&[Text::new("U2F_V2"), Text::new("FIDO_2_0")]))
}

fn small_response<'a>(versions: &'a [Text<'a>]) -> get_info::Response<'a> {
    let options = get_info::SupportedOptions {
        rk: Some(true),
        up: Some(true),
        plat: Some(false),
        client_pin: Some(true),
        ..get_info::SupportedOptions::default()
    };
    get_info::Response {
        extensions: Some(List::Slice(const { &[Text::new("credProtect"), Text::new("hmac-secret")] })),
        options: Some(options),
        max_msg_size: Some(1200),
        pin_uv_auth_protocols: Some(List::Slice(&[1])),
        ..small(List::Slice(versions))
    }
}

/// Encodes the request of [`make_credential_request`].
pub fn encode_make_credential_request() -> Box<dyn FnMut()> {
    let (user, excluded, param) = (pattern(0x09, 32), pattern(0x07, 64), pattern(0x03, 32));
    let mut buffer = [0; 512];
    Box::new(move || {
        let excluded = [CredentialDescriptor::new(&excluded)];
        let request = request(&user, &excluded, &param);
        black_box(cbor::encode(black_box(&request), &mut buffer)).expect("fits");
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/bench-messages.json");

    #[test]
    fn every_message_of_the_shared_vectors_has_an_equivalent_of_its_length() {
        let Ok(text) = std::fs::read_to_string(SHARED) else {
            eprintln!("skipped: {SHARED} is not there");
            return;
        };
        let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for (name, hex) in file["hex"].as_object().expect("messages by name") {
            let ours = match name.as_str() {
                "getinfo.cbor" => get_info(),
                "mcreq.cbor" => make_credential_request(),
                "mcresp.cbor" => make_credential_response(),
                "garesp.cbor" => get_assertion_response(),
                other => panic!("nothing like {other} is measured"),
            };
            let theirs = hex.as_str().expect("hexadecimal digits");
            assert_eq!(ours.len(), theirs.len() / 2, "{name}");
            // The first keys and heads are also the same: only values differ.
            assert_eq!(format!("{:02x}{:02x}", ours[0], ours[1]), theirs[..4], "{name}");
        }
    }
}
