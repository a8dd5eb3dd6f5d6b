//! Each named profile is an authenticator that works, and getInfo describes it.

use keyfob_core::{
    Status,
    cbor::List,
    cose::Algorithm,
    ctap2::{self, Command, CredentialParameters, client_pin, get_info::Response},
    pin_uv::PinUvAuthProtocol::{One, Two},
};
use keyfob_soft_authenticator::{
    Caps,
    devices::virtual_key_certificate,
    engine::{AttestationMode, AuthenticatorPolicy, Config, Version},
};

use super::harness::*;

const AAGUID: [u8; 16] = [0xAA; 16];
/// getPINRetries, with the protocol that version 2.0 demands.
const RETRIES: client_pin::Request<'static> = client_pin::Request {
    pin_uv_auth_protocol: Some(1),
    sub_command: Some(client_pin::subcommand::GET_PIN_RETRIES),
    key_agreement: None,
    pin_uv_auth_param: None,
    new_pin_enc: None,
    pin_hash_enc: None,
    permissions: None,
    rp_id: None,
};

/// The profiles with CTAP2.
fn profiles() -> [Config<'static>; 4] {
    [
        Config::fido2_3_full(AAGUID),
        Config::yubikey5_like(AAGUID),
        Config::arculus_like(AAGUID),
        Config::minimal_2_0(AAGUID),
    ]
}

fn info<T>(config: Config<'static>, look: impl FnOnce(&Response<'_>) -> T) -> T {
    let response = Key::with(config).command(Command::GET_INFO);
    look(&ctap2::decode_response(&response).unwrap())
}

fn algorithms(config: Config<'static>) -> Vec<Algorithm> {
    info(config, |info| info.algorithms.unwrap().iter().map(|parameters| parameters.algorithm).collect())
}

#[test]
fn what_get_info_says_of_a_profile_agrees_with_itself() {
    for config in profiles() {
        info(config, |info| {
            let options = info.options.unwrap();
            assert!(info.has_version("FIDO_2_0"));
            assert_eq!(info.max_msg_size, Some(config.max_msg_size));
            assert_eq!(info.max_credential_count_in_list, Some(usize::from(config.max_credential_count_in_list)));
            assert!(info.transports.unwrap().iter().eq(config.transports.iter().copied()));
            assert_eq!(info.firmware_version, config.firmware_version.map(u64::from));
            assert_eq!(options.rk, Some(true));
            assert_eq!(info.remaining_discoverable_credentials.is_some(), options.rk == Some(true));
            assert_eq!(options.client_pin, Some(false));
            assert!(info.min_pin_length.is_some_and(|length| length >= 4));
            let protocols: Vec<u32> = info.pin_uv_auth_protocols.unwrap().iter().collect();
            let both = config.caps.has(Caps::PROTOCOL_TWO);
            assert_eq!(protocols, if both { &[2, 1][..] } else { &[1] });
            assert_eq!(options.pin_uv_auth_token, both.then_some(true), "protocol two comes with permissions");
        });
    }
}

#[test]
fn every_profile_registers_and_signs_in_with_its_algorithms_and_the_virtual_keys_certificate() {
    for config in profiles() {
        for attestation in [config.attestation, AttestationMode::Certified(virtual_key_certificate())] {
            if matches!(attestation, AttestationMode::Certified(_)) && !config.caps.has(Caps::CERTIFIED_ATTESTATION) {
                continue;
            }
            let mut key = Key::with(Config { attestation, ..config });
            for algorithm in algorithms(config) {
                let wanted = [CredentialParameters::new(algorithm)];
                let pub_key_cred_params = List::Slice(&wanted[..]);
                let made =
                    key.make(&ctap2::make_credential::Request { pub_key_cred_params, ..resident(b"u") }).unwrap();
                assert_eq!((made.fmt.as_str(), made.key().algorithm()), ("packed", algorithm));
                assert!(key.get(&assertion()).unwrap().is_by(&made));
            }
        }
    }
}

#[test]
fn every_profile_takes_a_pin_with_each_of_its_protocols() {
    for config in profiles() {
        for protocol in [One, Two] {
            if protocol == Two && !config.caps.has(Caps::PROTOCOL_TWO) {
                continue;
            }
            let mut key = Key::with(config);
            key.set_pin(protocol, PIN);
            let retries = client_pin::Request { pin_uv_auth_protocol: Some(protocol.number()), ..RETRIES };
            assert_eq!(key.call(&message(Command::CLIENT_PIN, &retries)), [0, 0xA1, 3, 8]);
            key.legacy_token(protocol, PIN).unwrap();
        }
    }
}

#[test]
fn a_card_is_for_nfc_with_messages_of_1024_bytes_and_es256() {
    let card = Config::arculus_like(AAGUID);
    assert_eq!(algorithms(card), [Algorithm::ES256]);
    info(card, |info| {
        assert!(info.transports.unwrap().iter().eq(["nfc"]));
        assert_eq!(info.max_msg_size, Some(1024));
    });
}

#[test]
fn only_the_profile_of_a_yubikey_answers_as_yubikeys_do() {
    for config in profiles() {
        let (policy, expected) = if config.transports.len() == 2 {
            (AuthenticatorPolicy::YUBIKEY, Status::PIN_NOT_SET)
        } else if config.newest_version == Version::Fido2_0 {
            (AuthenticatorPolicy::CTAP2_0, Status::OK)
        } else {
            (AuthenticatorPolicy::STRICT, Status::OK)
        };
        assert_eq!(config.policy, policy);
        assert_eq!(Key::with(config).client_pin(&RETRIES), expected);
    }
}

#[test]
fn a_u2f_key_has_neither_pin_nor_discoverable_credentials() {
    let mut key = Key::with(Config::u2f_only(AAGUID));
    assert_eq!(super::u2f::registered(&mut key)[0], 5, "the reserved byte of a registration");
    key.info(|info| {
        assert!(info.versions.iter().eq(["U2F_V2", "FIDO_2_0"]));
        let options = info.options.unwrap();
        assert_eq!((options.rk.unwrap_or(false), options.client_pin), (false, None));
    });
}
