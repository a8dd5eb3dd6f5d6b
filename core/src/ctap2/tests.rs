//! What the messages of others say, and what is authenticated.

use super::*;
use crate::{
    auth_data::{AuthData, Flags},
    cbor::{ErrorKind, Message, Read, Reader},
    cose::{Algorithm, CoseKey, Curve},
    extensions::cred_protect::Level,
    vectors::{bytes, hex},
};

#[test]
fn a_key_of_2026_says_everything_about_itself() {
    let bytes = bytes("get_info_every_member");
    let info: get_info::Response<'_> = cbor::decode(&bytes).unwrap();
    let versions: Vec<_> = info.versions.iter().map(|version| version.as_str()).collect();
    assert_eq!(versions, ["U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE", "FIDO_2_1", "FIDO_2_3"]);
    assert_eq!(info.extensions.map(|list| list.len()), Some(8));
    assert_eq!(info.aaguid[..], hex("f8a011f38c0a4d15800617111f9edc7d"));
    let options = info.options.unwrap();
    assert_eq!(
        (options.rk, options.client_pin, options.plat, options.ep),
        (Some(true), Some(false), Some(false), Some(false))
    );
    assert_eq!((options.per_cred_mgmt_ro, options.uv, options.credential_mgmt_preview), (Some(true), None, Some(true)));
    assert_eq!(info.max_msg_size(), 1536);
    assert_eq!(info.pin_uv_auth_protocols.unwrap().iter().collect::<Vec<_>>(), [2, 1]);
    let algorithms: Vec<_> = info.algorithms.unwrap().iter().map(|parameters| parameters.algorithm).collect();
    assert_eq!(algorithms, [Algorithm::ES256, Algorithm::EDDSA, Algorithm::ES384]);
    assert_eq!((info.min_pin_length, info.max_pin_length, info.force_pin_change), (Some(4), Some(63), Some(false)));
    assert_eq!(info.max_serialized_large_blob_array, Some(4096));
    assert_eq!(info.pin_complexity_policy_url, Some(&b"https://example.com"[..]));
    assert_eq!(info.enc_identifier.map(<[u8]>::len), Some(32));
    assert_eq!(info.enc_cred_store_state.map(<[u8]>::len), Some(32));
    assert_eq!(info.authenticator_config_commands.unwrap().iter().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_key_of_2018_says_less() {
    for (name, versions, uv) in [
        ("get_info_2_0", ["U2F_V2", "FIDO_2_0"], None),
        ("get_info_unknown_member", ["U2F_V2", "FIDO_2_0"], None),
        ("get_info_uv", ["FIDO_2_0", "U2F_V2"], Some(true)),
    ] {
        let bytes = bytes(name);
        let info: get_info::Response<'_> = cbor::decode(&bytes).unwrap();
        assert!(info.versions.iter().map(|version| version.as_str()).eq(versions), "{name}");
        assert!(info.extensions.unwrap().iter().map(|id| id.as_str()).eq(["uvm", "hmac-secret"]), "{name}");
        let expected = get_info::SupportedOptions {
            rk: Some(true),
            up: Some(true),
            uv,
            plat: Some(false),
            client_pin: Some(false),
            ..get_info::SupportedOptions::default()
        };
        assert_eq!(info.options, Some(expected), "{name}");
        assert_eq!((info.max_msg_size, info.algorithms, info.min_pin_length), (Some(1200), None, None), "{name}");
    }
}

#[test]
fn a_browsers_requests_say_what_they_ask_for() {
    let hash = hex("8dd8744d7903b0a3538a49eafaaec833acbfd285a5df4403a20e4e13e3d53e50");
    let message = bytes("make_credential_request");
    let request: make_credential::Request<'_> = cbor::decode(&message).unwrap();
    assert_eq!(request.client_data_hash[..], hash);
    assert_eq!(request.rp, RpEntity { id: "acme.com", name: Some("Acme") });
    let user = UserEntity {
        id: &hex("1098237235409872"),
        name: Some("johnpsmith@example.com"),
        display_name: Some("John P. Smith"),
    };
    assert_eq!(request.user, user);
    let parameters: Vec<_> = request.pub_key_cred_params.iter().collect();
    assert_eq!(parameters, [CredentialParameters::new(Algorithm::ES256)]);
    assert_eq!(request.options, Some(CommandOptions::default()));
    assert_eq!((request.exclude_list, request.extensions, request.pin_uv_auth_param), (None, None, None));

    let message = bytes("get_assertion_request");
    let request: get_assertion::Request<'_> = cbor::decode(&message).unwrap();
    assert_eq!((request.rp_id, &request.client_data_hash[..]), ("acme.com", &hash[..]));
    let id = request.allow_list.unwrap().iter().map(|descriptor| (descriptor.id.len(), descriptor.kind));
    assert!(id.eq([(64, PUBLIC_KEY)]));
    assert_eq!(request.options, Some(CommandOptions { up: Some(false), ..CommandOptions::default() }));
}

#[test]
fn registrations_carry_their_credential() {
    for (name, id_len, certificates, flags) in
        [("make_credential_self", 32, None, Flags(0x5D)), ("make_credential_x5c", 64, Some(1), Flags(0x45))]
    {
        let message = bytes(name);
        let response: make_credential::Response<'_> = cbor::decode(&message).unwrap();
        let auth_data = AuthData::decode(response.auth_data).unwrap();
        assert_eq!((auth_data.flags, auth_data.sign_count), (flags, 0), "{name}");
        let credential = auth_data.attested_credential_data.unwrap();
        assert_eq!(credential.credential_id.len(), id_len, "{name}");
        assert!(matches!(credential.public_key, CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P256, .. }));
        let statement = crate::attestation::Statement::decode(response.fmt, response.att_stmt).unwrap();
        let crate::attestation::Statement::Packed(packed) = statement else { panic!("{name}: {statement:?}") };
        assert_eq!((packed.alg, packed.x5c.map(|x5c| x5c.len())), (Algorithm::ES256, certificates), "{name}");
    }
}

#[test]
fn assertions_carry_their_signature() {
    for (name, flags, sign_count) in [("get_assertion_2_0", Flags::UP, 29), ("get_assertion_silent", Flags::UV, 9)] {
        let message = bytes(name);
        let response: get_assertion::Response<'_> = cbor::decode(&message).unwrap();
        let auth_data = AuthData::decode(response.auth_data).unwrap();
        assert_eq!((auth_data.flags, auth_data.sign_count), (flags, sign_count), "{name}");
        assert_eq!(response.credential.unwrap().id.len(), 64, "{name}");
        assert_eq!(response.signature.len(), usize::from(response.signature[1]) + 2, "{name}");
        assert_eq!((response.user, response.number_of_credentials), (None, None), "{name}");
    }
}

#[test]
fn credentials_are_enumerated() {
    let read = |name, check: &dyn Fn(credential_management::Response<'_>)| check(cbor::decode(&bytes(name)).unwrap());
    read("credential_management_metadata", &|response| {
        let counts =
            (response.existing_resident_credentials_count, response.max_possible_remaining_resident_credentials_count);
        assert_eq!(counts, (Some(0), Some(25)));
    });
    read("credential_management_rp_begin", &|response| {
        assert_eq!((response.rp, response.total_rps), (Some(RpEntity { id: "yubico.com", name: None }), Some(3)));
        assert_eq!(response.rp_id_hash.unwrap()[..3], hex("378209"));
    });
    read("credential_management_rp_next", &|response| {
        assert_eq!((response.rp, response.total_rps), (Some(RpEntity { id: "yubikey.org", name: None }), None));
    });
    for (name, total, curve) in [
        ("credential_management_credential_begin", Some(5), Curve::P256),
        ("credential_management_credential_next", None, Curve::ED25519),
    ] {
        read(name, &|response| {
            let user = response.user.unwrap();
            assert_eq!((user.name, user.display_name), (Some("bob banana"), Some("bbanana")));
            assert_eq!(response.credential_id.unwrap().kind, PUBLIC_KEY);
            assert_eq!((response.total_credentials, response.cred_protect), (total, Some(Level(1))));
            match response.public_key.unwrap() {
                CoseKey::Ec2 { curve: found, .. } | CoseKey::Okp { curve: found, .. } => assert_eq!(found, curve),
                other => panic!("{other:?}"),
            }
        });
    }
}

#[test]
fn a_credential_with_a_key_of_an_unknown_type_is_enumerated_too() {
    let message = bytes("credential_management_unknown_key");
    let response: credential_management::Response<'_> = cbor::decode(&message).unwrap();
    assert_eq!(response.total_credentials, Some(1));
    let key = response.public_key.unwrap();
    assert_eq!(key.algorithm(), Algorithm(-46));
    assert!(matches!(key, CoseKey::Other { kty: 5, raw, .. } if raw.0.starts_with(b"\xa5\x01\x05\x03\x38\x2d")));
    assert_eq!(key.p256_point(), None);
}

#[test]
fn fingerprints_are_enrolled_and_enumerated() {
    let read = |name, check: &dyn Fn(bio_enrollment::Response<'_>)| check(cbor::decode(&bytes(name)).unwrap());
    let id = hex("6896");
    let default = bio_enrollment::Response::default();
    read("bio_enrollment_sensor_info", &|response| {
        let expected = bio_enrollment::Response {
            fingerprint_kind: Some(bio_enrollment::TOUCH_SENSOR),
            max_capture_samples_required_for_enroll: Some(4),
            ..default
        };
        assert_eq!(response, expected);
    });
    let good =
        bio_enrollment::Response { last_enroll_sample_status: Some(bio_enrollment::SampleStatus::GOOD), ..default };
    for (name, template_id, remaining_samples) in [
        ("bio_enrollment_enroll_begin", Some(&id[..]), Some(2)),
        ("bio_enrollment_enroll_next", None, Some(1)),
        ("bio_enrollment_enroll_last", None, Some(0)),
    ] {
        read(name, &|response| {
            assert_eq!(response, bio_enrollment::Response { template_id, remaining_samples, ..good });
        });
    }
    read("bio_enrollment_enumerate", &|response| {
        let names: Vec<_> = response
            .template_infos
            .unwrap()
            .iter()
            .map(|info| (info.template_id, info.template_friendly_name))
            .collect();
        assert_eq!(
            names,
            [
                (&hex("cea3")[..], Some("finger1")),
                (&hex("bf5e")[..], Some("finger2")),
                (&hex("5ed2")[..], Some("finger3"))
            ]
        );
    });
}

#[test]
fn a_large_blob_array_holds_its_maps() {
    let message = bytes("large_blobs_array");
    let response: large_blobs::Response<'_> = cbor::decode(&message).unwrap();
    let (array, hash) = response.config.unwrap().split_at(480 - large_blobs::HASH_LENGTH);
    assert_eq!(hash.len(), large_blobs::HASH_LENGTH);
    let maps: cbor::List<'_, large_blobs::LargeBlobMap<'_>> = cbor::decode(array).unwrap();
    let sizes: Vec<_> = maps.iter().map(|map| (map.ciphertext.len(), map.nonce.len())).collect();
    assert_eq!(sizes, [(440, 12)]);
}

#[test]
fn what_is_authenticated_begins_as_the_standard_says() {
    let begin = |command: &[u8]| [&[0xFF; 32], command].concat();
    assert_eq!(bio_enrollment::authenticated_head(bio_enrollment::subcommand::ENUMERATE_ENROLLMENTS), [1, 4]);
    assert_eq!(credential_management::authenticated_head(4), [4]);
    assert_eq!(config::authenticated_head(config::subcommand::VENDOR_PROTOTYPE)[..], begin(&[0x0D, 0xFF]));
    assert_eq!(large_blobs::authenticated_head(0)[..], begin(&[0x0C, 0, 0, 0, 0, 0]));
    assert_eq!(large_blobs::authenticated_head(0x01020304)[..], begin(&[0x0C, 0, 4, 3, 2, 1]));
}

#[test]
fn parameters_are_read_from_the_bytes_that_are_authenticated() {
    let message = hex("a40103 02a201060281 6b6578616d706c652e636f6d 0302 0440".replace(' ', "").as_str());
    let request: config::Request<'_> = cbor::decode(&message).unwrap();
    assert_eq!(request.sub_command_params, Some(RawMap(&message[4..message.len() - 4])));
    let params: config::SetMinPinLength<'_> = request.params().unwrap();
    assert_eq!((params.new_min_pin_length, params.force_change_pin), (Some(6), None));
    assert!(params.min_pin_length_rp_ids.unwrap().iter().map(|id| id.as_str()).eq(["example.com"]));
}

#[test]
fn absent_parameters_are_an_empty_map() {
    let request: config::Request<'_> = cbor::decode(b"\xa1\x01\x02").unwrap();
    assert_eq!(request.params(), Ok(config::SetMinPinLength::default()));
    let error = request.params::<config::VendorPrototype>().unwrap_err();
    assert_eq!((error.kind(), error.member()), (ErrorKind::Missing, Some(2)));
    assert_eq!(credential_management::Request { sub_command: 1, ..REQUEST }.params(), Ok(Default::default()));
    assert_eq!(bio_enrollment::Request::default().params(), Ok(Default::default()));
}

const REQUEST: credential_management::Request<'_> = credential_management::Request {
    sub_command: 6,
    sub_command_params: None,
    pin_uv_auth_protocol: None,
    pin_uv_auth_param: None,
};

#[test]
fn parameters_of_another_type_are_refused_when_they_are_asked_for() {
    let request = credential_management::Request { sub_command_params: Some(RawMap(b"\xa1\x01\xf5")), ..REQUEST };
    let error = request.params().unwrap_err();
    assert_eq!((error.kind(), error.member()), (ErrorKind::UnexpectedType, Some(2)));
    let request = bio_enrollment::Request {
        sub_command_params: Some(RawMap(b"\xa1\x02\x41a")),
        ..bio_enrollment::Request::default()
    };
    let error = request.params().unwrap_err();
    assert_eq!((error.kind(), error.member()), (ErrorKind::UnexpectedType, Some(3)));
}

#[test]
fn vendor_commands_go_out_as_they_are() {
    let mut buffer = [0; 8];
    let len = encode_request(Command(0x50), &cbor::Raw(b"\x82\x01\x02"), &mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"\x50\x82\x01\x02");
    assert!(Command(0x50).is_vendor() && Command(0xBF).is_vendor() && Command::BIO_ENROLLMENT_PREVIEW.is_vendor());
    assert!(!Command::CONFIG.is_vendor() && !Command(0xC0).is_vendor());
}

#[test]
fn every_algorithm_of_the_standard_has_a_name_and_comes_back() {
    let known = [-7, -8, -9, -19, -25, -35, -36, -37, -47, -48, -49, -50, -51, -52, -53, -257, -65535];
    let mut buffer = [0; 64];
    for algorithm in known.map(Algorithm).into_iter().chain([Algorithm(1), Algorithm(i32::MIN), Algorithm(i32::MAX)]) {
        let parameters = CredentialParameters::new(algorithm);
        let len = cbor::encode(&parameters, &mut buffer).unwrap();
        assert_eq!(cbor::decode(&buffer[..len]), Ok(parameters));
        assert_eq!(algorithm.name().is_some(), known.contains(&algorithm.0), "{algorithm:?}");
    }
}

#[test]
fn a_key_of_an_unknown_type_may_hold_anything_but_must_have_an_algorithm() {
    let bytes = b"\xa5\x01\x18\x2a\x03\x26\x20\x81\x01\x21\xf5\x22\x61x";
    let key: CoseKey<'_> = cbor::decode(bytes).unwrap();
    assert_eq!(key, CoseKey::Other { algorithm: Algorithm::ES256, kty: 42, raw: RawMap(bytes) });
    let mut buffer = [0; 32];
    let len = cbor::encode(&key, &mut buffer).unwrap();
    assert_eq!(&buffer[..len], bytes);
    let error = cbor::decode::<CoseKey<'_>>(b"\xa1\x01\x18\x2a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    // A compressed point is of a known type, and refused.
    let error = cbor::decode::<CoseKey<'_>>(b"\xa5\x01\x02\x03\x26\x20\x01\x21\x40\x22\xf5").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedType);
}

#[test]
fn options_are_read_as_their_table_reads_them_whole_or_cut() {
    let values = [None, Some(false), Some(true)];
    for (rk, up, uv) in values.iter().flat_map(|rk| values.map(|up| values.map(|uv| (*rk, up, uv)))).flatten() {
        let (options, mut buffer) = (CommandOptions { rk, up, uv }, [0; 16]);
        let len = cbor::encode(&options, &mut buffer).unwrap();
        assert_eq!(cbor::decode(&buffer[..len]), Ok(options));
        for end in 0..=len {
            let (mut one, mut other) = (Reader::strict(&buffer[..end]), Reader::strict(&buffer[..end]));
            let (read, by_table) = (CommandOptions::read(&mut one), CommandOptions::read_by_table(&mut other));
            assert_eq!((read, one.rest()), (by_table, other.rest()));
        }
    }
}
