//! authenticatorGetInfo: its members follow from the configuration and the state.

use keyfob_core::{
    Failure, Status,
    auth_data::MAX_CREDENTIAL_ID,
    cose::Algorithm,
    ctap2::{
        self, Command,
        get_info::{Response, SupportedOptions},
    },
    pin_uv::PinUvAuthProtocol::Two,
};
use keyfob_soft_authenticator::{
    Caps,
    devices::virtual_key_certificate,
    engine::{AttestationMode, AuthenticatorPolicy, Certified, Config, ConfigError, Engine, Enterprise, Version},
};

use super::harness::*;

const CONFIG: Config<'static> = Config::new([0xAA; 16]);
const PIN_CAPS: Caps = Caps::CLIENT_PIN
    .with(Caps::PROTOCOL_ONE)
    .with(Caps::PROTOCOL_TWO)
    .with(Caps::TOKEN_PERMISSIONS)
    .with(Caps::HMAC_SECRET)
    .with(Caps::HMAC_SECRET_MC)
    .with(Caps::PIN_COMPLEXITY);

const ALGORITHM_CAPS: Caps = Caps::EDDSA.with(Caps(0xff << 48));

const LEAF: &[u8] = virtual_key_certificate().chain[0];
const TWICE: AttestationMode<'static> =
    AttestationMode::Certified(Certified { chain: &[LEAF, LEAF], ..virtual_key_certificate() });

fn info<T>(key: &mut Key, look: impl FnOnce(&Response<'_>) -> T) -> T {
    let response = key.command(Command::GET_INFO);
    look(&ctap2::decode_response(&response).unwrap())
}

fn caps(caps: Caps) -> Config<'static> {
    Config { caps, ..CONFIG }
}

#[test]
fn the_default_key_says_what_it_is() {
    info(&mut Key::new(), |info| {
        assert!(info.has_version("FIDO_2_0"));
        assert_eq!(info.aaguid, &[0xAA; 16]);
        assert_eq!(info.max_msg_size, Some(7609));
        assert!(info.pin_uv_auth_protocols.unwrap().iter().eq([2, 1]), "the better protocol first");
        assert_eq!(info.max_credential_count_in_list, Some(64));
        assert_eq!(info.max_credential_id_length, Some(MAX_CREDENTIAL_ID));
        assert!(info.transports.unwrap().iter().eq(["usb"]));
        let algorithms = info.algorithms.unwrap();
        assert!(algorithms.iter().all(|parameters| parameters.kind == keyfob_core::ctap2::PUBLIC_KEY));
        assert!(algorithms.iter().map(|parameters| parameters.algorithm).eq(ALGORITHMS));
        assert_eq!(info.min_pin_length, Some(4));
        assert_eq!(info.remaining_discoverable_credentials, Some(ROOM as u32));
        assert!(info.attestation_formats.unwrap().iter().eq(["packed", "none"]));
        let extensions: Vec<_> = info.extensions.unwrap().iter().map(|id| id.as_str()).collect();
        let expected = [
            "credBlob",
            "credProtect",
            "hmac-secret",
            "hmac-secret-mc",
            "largeBlobKey",
            "minPinLength",
            "pinComplexityPolicy",
            "thirdPartyPayment",
            "uvm",
        ];
        assert_eq!(extensions, expected);
        assert_eq!(info.max_cred_blob_length, Some(32));
        let expected = SupportedOptions {
            rk: Some(true),
            up: Some(true),
            plat: Some(false),
            client_pin: Some(false),
            always_uv: Some(false),
            pin_uv_auth_token: Some(true),
            make_cred_uv_not_rqd: Some(true),
            authnr_cfg: Some(true),
            set_min_pin_length: Some(true),
            large_blobs: Some(true),
            cred_mgmt: Some(true),
            credential_mgmt_preview: Some(true),
            per_cred_mgmt_ro: Some(true),
            ..SupportedOptions::default()
        };
        assert_eq!(info.options, Some(expected));
    });
}

#[test]
fn the_response_is_canonical() {
    let response = Key::new().command(Command::GET_INFO);
    keyfob_core::cbor::decode::<Response<'_>>(&response[1..]).unwrap();
}

#[test]
fn client_pin_follows_the_pin() {
    let mut key = Key::new();
    key.set_pin(Two, PIN);
    assert_eq!(info(&mut key, |info| info.options.unwrap().client_pin), Some(true));
    key.command(Command::RESET);
    assert_eq!(info(&mut key, |info| info.options.unwrap().client_pin), Some(false));
}

#[test]
fn remaining_discoverable_credentials_go_down_with_every_user() {
    let mut key = Key::new();
    for (user, left) in [(1, 4), (2, 3), (2, 3), (3, 2)] {
        key.make(&resident(&[user])).unwrap();
        assert_eq!(info(&mut key, |info| info.remaining_discoverable_credentials), Some(left));
    }
}

#[test]
fn what_is_switched_off_is_not_mentioned() {
    let off = PIN_CAPS
        .with(Caps::DISCOVERABLE)
        .with(Caps::CRED_BLOB)
        .with(Caps::ALWAYS_UV)
        .with(ALGORITHM_CAPS)
        .with(Caps::MAKE_CRED_UV_NOT_RQD);
    info(&mut Key::with(caps(CONFIG.caps.without(off).consistent())), |info| {
        let expected = SupportedOptions { up: Some(true), plat: Some(false), ..SupportedOptions::default() };
        assert_eq!(info.options, Some(expected));
        assert_eq!((info.min_pin_length, info.remaining_discoverable_credentials), (None, None));
        assert!(info.pin_uv_auth_protocols.is_none());
        assert_eq!(info.max_cred_blob_length, None);
        assert_eq!(info.algorithms.unwrap().len(), 1);
    });
    for config in [caps(Caps::NONE), caps(Caps::DISCOVERABLE)] {
        assert!(info(&mut Key::with(config), |info| info.extensions.is_none()));
    }
    info(&mut Key::with(caps(CONFIG.caps.without(Caps::PROTOCOL_TWO))), |info| {
        assert!(info.pin_uv_auth_protocols.unwrap().iter().eq([1]));
    });
    info(&mut Key::with(caps(CONFIG.caps.without(Caps::TOKEN_PERMISSIONS).consistent())), |info| {
        assert_eq!(info.options.unwrap().pin_uv_auth_token, None);
    });
    info(&mut Key::with(caps(CONFIG.caps.with(Caps::NO_MC_GA_WITH_PIN))), |info| {
        assert_eq!(info.options.unwrap().no_mc_ga_permissions_with_client_pin, Some(true));
    });
    let none = Config { attestation: AttestationMode::None, firmware_version: Some(7), ..CONFIG };
    info(&mut Key::with(none), |info| {
        assert!(info.attestation_formats.is_none(), "the format none alone is not listed");
        assert_eq!(info.firmware_version, Some(7));
    });
}

#[test]
fn the_default_key_says_how_it_is_managed() {
    info(&mut Key::new(), |info| {
        assert_eq!(
            (info.max_serialized_large_blob_array, info.max_rp_ids_for_set_min_pin_length),
            (Some(1024), Some(8))
        );
        assert_eq!((info.force_pin_change, info.long_touch_for_reset), (Some(false), Some(false)));
        assert_eq!((info.pin_complexity_policy, info.max_pin_length), (Some(false), Some(63)));
        assert!(info.authenticator_config_commands.unwrap().iter().eq([2, 3, 4]));
        assert!(info.vendor_prototype_config_commands.is_none());
        assert!(info.transports_for_reset.is_none() && info.pin_complexity_policy_url.is_none());
        assert!(info.enc_identifier.unwrap().len() == 32 && info.enc_cred_store_state.unwrap().len() == 32);
    });
    let url = Some("https://example.org/policy");
    info(&mut Key::with(Config { pin_complexity_policy_url: url, ..CONFIG }), |info| {
        assert_eq!(info.pin_complexity_policy_url, url.map(str::as_bytes), "UTF-8 in a byte string");
    });
}

#[test]
fn of_what_is_not_managed_nothing_is_said() {
    let off = Caps::CRED_MGMT.with(Caps::LARGE_BLOBS).with(Caps::CONFIG);
    info(&mut Key::with(caps(CONFIG.caps.without(off).consistent())), |info| {
        let options = info.options.unwrap();
        assert_eq!(
            (options.ep, options.always_uv, options.authnr_cfg, options.set_min_pin_length),
            (None, None, None, None)
        );
        assert_eq!((options.large_blobs, options.cred_mgmt, options.per_cred_mgmt_ro), (None, None, None));
        assert_eq!((info.max_serialized_large_blob_array, info.max_rp_ids_for_set_min_pin_length), (None, None));
        assert_eq!((info.force_pin_change, info.long_touch_for_reset, info.pin_complexity_policy), (None, None, None));
        assert!(info.authenticator_config_commands.is_none());
        assert_eq!((info.enc_identifier, info.enc_cred_store_state), (None, None));
    });
}

#[test]
fn what_is_consistent_works_whatever_is_left_out() {
    for bit in 0..64 {
        let left_out = if Caps(1 << bit) == Caps::CLIENT_PIN { PIN_CAPS } else { Caps(1 << bit) };
        let caps = CONFIG.caps.without(left_out);
        Key::with(Config { caps: caps.consistent(), ..CONFIG });
    }
    let both = CONFIG.caps.with(Caps::LARGE_BLOB_EXTENSION);
    assert_eq!(both.consistent(), CONFIG.caps);
}

#[test]
fn a_pin_that_an_earlier_configuration_left_does_not_lock_a_key_without_pins() {
    let mut key = Key::new();
    key.set_pin(Two, PIN);
    let mut key = Key::try_with(caps(CONFIG.caps.without(PIN_CAPS).consistent()), key.store).unwrap();
    key.make(&resident(b"u")).unwrap();
}

#[test]
fn every_configuration_that_contradicts_itself_is_refused() {
    const NFC: [keyfob_core::cbor::Text<'static>; 1] = [keyfob_core::cbor::Text::new("nfc")];
    let needs = |cap| match cap {
        Caps::CRED_MGMT => ConfigError::Needs(cap, Caps::DISCOVERABLE.with(Caps::TOKEN_PERMISSIONS)),
        Caps::PERSISTENT_CRED_MGMT => ConfigError::Needs(cap, Caps::CRED_MGMT),
        Caps::IDENTIFIER => ConfigError::Needs(cap, Caps::PERSISTENT_CRED_MGMT),
        Caps::ALWAYS_UV => ConfigError::Needs(cap, Caps::CONFIG),
        _ => ConfigError::Needs(cap, Caps::CRED_PROTECT.with(Caps::DISCOVERABLE)),
    };
    let certified = virtual_key_certificate();
    let (no_chain, rsa) =
        (Certified { chain: &[], ..certified }, Certified { algorithm: Algorithm::RS256, ..certified });
    let certified = AttestationMode::Certified(certified);
    for (config, expected) in [
        (caps(CONFIG.caps.without(Caps::CLIENT_PIN)), ConfigError::PinProtocol),
        (caps(Caps::CLIENT_PIN), ConfigError::PinProtocol),
        (caps(Caps::TOKEN_PERMISSIONS), ConfigError::TokenWithoutPin),
        (caps(Caps::NO_MC_GA_WITH_PIN), ConfigError::TokenWithoutPin),
        (caps(Caps(1 << 63)), ConfigError::NotCompiled(Caps(1 << 63))),
        (caps(CONFIG.caps.without(Caps::DISCOVERABLE)), needs(Caps::CRED_MGMT)),
        (caps(CONFIG.caps.without(Caps::TOKEN_PERMISSIONS)), needs(Caps::CRED_MGMT)),
        (caps(CONFIG.caps.without(Caps::CRED_MGMT)), needs(Caps::PERSISTENT_CRED_MGMT)),
        (caps(CONFIG.caps.without(Caps::PERSISTENT_CRED_MGMT)), needs(Caps::IDENTIFIER)),
        (caps(CONFIG.caps.without(Caps::CONFIG)), needs(Caps::ALWAYS_UV)),
        (caps(CONFIG.caps.without(Caps::CRED_PROTECT)), needs(Caps::CRED_BLOB)),
        (caps(Caps::HMAC_SECRET), ConfigError::Needs(Caps::HMAC_SECRET, Caps::CLIENT_PIN)),
        (caps(Caps::HMAC_SECRET_MC), ConfigError::Needs(Caps::HMAC_SECRET_MC, Caps::HMAC_SECRET)),
        (caps(Caps::CRED_BLOB), needs(Caps::CRED_BLOB)),
        (caps(Caps::LARGE_BLOB_EXTENSION), ConfigError::Needs(Caps::LARGE_BLOB_EXTENSION, Caps::DISCOVERABLE)),
        (
            caps(CONFIG.caps.with(Caps::LARGE_BLOB_EXTENSION)),
            ConfigError::Excludes(Caps::LARGE_BLOBS, Caps::LARGE_BLOB_EXTENSION),
        ),
        (Config { max_pin_length: 7, ..CONFIG }, ConfigError::MaxPinLength),
        (Config { pin_complexity_policy_url: Some(""), ..caps(Caps::NONE) }, ConfigError::PinComplexityPolicyUrl),
        (Config { transports_for_reset: Some(&[]), ..CONFIG }, ConfigError::TransportsForReset),
        (Config { transports_for_reset: Some(&NFC), ..CONFIG }, ConfigError::TransportsForReset),
        (Config { vendor_commands: &[1], ..caps(Caps::NONE) }, ConfigError::VendorCommands),
        (Config { max_msg_size: 1023, ..CONFIG }, ConfigError::MaxMsgSize),
        (Config { max_msg_size: 65_536, ..CONFIG }, ConfigError::MaxMsgSize),
        (Config { min_pin_length: 3, ..CONFIG }, ConfigError::MinPinLength),
        (Config { min_pin_length: 64, ..CONFIG }, ConfigError::MinPinLength),
        (Config { max_pin_retries: 0, ..CONFIG }, ConfigError::MaxPinRetries),
        (Config { max_pin_retries: 9, ..CONFIG }, ConfigError::MaxPinRetries),
        (Config { max_credential_count_in_list: 0, ..CONFIG }, ConfigError::MaxCredentialCountInList),
        (
            Config {
                policy: AuthenticatorPolicy { touch_timeout: Failure::OTHER, ..AuthenticatorPolicy::STRICT },
                ..CONFIG
            },
            ConfigError::Policy,
        ),
        (
            Config {
                policy: AuthenticatorPolicy { probe_with_pin: Failure::OTHER, ..AuthenticatorPolicy::STRICT },
                ..CONFIG
            },
            ConfigError::Policy,
        ),
        (Config { attestation: AttestationMode::Certified(no_chain), ..CONFIG }, ConfigError::AttestationChain),
        (Config { attestation: AttestationMode::Certified(rsa), ..CONFIG }, ConfigError::AttestationAlgorithm),
        (Config { attestation: certified, ..caps(Caps::NONE) }, ConfigError::AttestationOff),
        (Config { attestation: TWICE, max_msg_size: 1024, ..CONFIG }, ConfigError::AttestationTooLong),
        (Config { attestation: AttestationMode::FidoU2f(rsa), ..CONFIG }, ConfigError::AttestationAlgorithm),
        (
            Config { enterprise: Some(Enterprise { certified: no_chain, rp_ids: &[] }), ..CONFIG },
            ConfigError::AttestationChain,
        ),
        (
            Config { enterprise: Some(Enterprise { certified: rsa, rp_ids: &[] }), ..CONFIG },
            ConfigError::AttestationAlgorithm,
        ),
        (
            Config { enterprise: MANAGED.enterprise, ..caps(CONFIG.caps.without(Caps::ENTERPRISE_ATTESTATION)) },
            ConfigError::EnterpriseOff,
        ),
        (Config { algorithms: Some(&[]), ..CONFIG }, ConfigError::Algorithms),
        (Config { algorithms: Some(&[Algorithm::ES256; 17]), ..CONFIG }, ConfigError::Algorithms),
        (
            Config { algorithms: Some(&[Algorithm::ES256, Algorithm::EDDSA, Algorithm::ES256]), ..CONFIG },
            ConfigError::Algorithms,
        ),
        (
            Config { algorithms: Some(&ES256_EDDSA), ..caps(CONFIG.caps.without(Caps::EDDSA)) },
            ConfigError::AlgorithmOff(Algorithm::EDDSA),
        ),
        (
            Config { algorithms: Some(&[Algorithm::ML_DSA_87]), max_msg_size: 1024, ..CONFIG },
            ConfigError::AlgorithmTooLong(Algorithm::ML_DSA_87),
        ),
        (
            Config { algorithms: Some(&[Algorithm::RS256]), ..caps(CONFIG.caps.without(Caps::U2F)) },
            ConfigError::AlgorithmUnsupported(Algorithm::RS256),
        ),
        (Config { algorithms: Some(&[Algorithm::EDDSA]), ..CONFIG }, ConfigError::U2fAlgorithm),
    ] {
        let result = Key::try_with(config, BenchStore::default());
        let error = result.map(|_| ()).unwrap_err();
        assert_eq!(error, expected);
        let sentence = error.to_string();
        assert!(sentence.len() > 20 && !sentence.contains(&format!("{error:?}")), "{sentence}");
    }
}

const ES256_EDDSA: [Algorithm; 2] = [Algorithm::ES256, Algorithm::EDDSA];

#[test]
fn a_contradiction_is_said_in_a_sentence_that_names_both_sides() {
    for (error, sentence) in [
        (
            ConfigError::Needs(Caps::BIO_ENROLL, Caps::BUILT_IN_UV.with(Caps::CLIENT_PIN)),
            "fingerprints cannot work without all of these: a PIN, built-in user verification",
        ),
        (
            ConfigError::Excludes(Caps::LARGE_BLOBS, Caps::LARGE_BLOB_EXTENSION),
            "large blobs and the extension largeBlob exclude each other: switch one off",
        ),
        (
            ConfigError::NotCompiled(Caps::EDDSA.with(Caps(1 << 63))),
            "switched on, but not compiled in: EdDSA, unknown capabilities 0x8000000000000000",
        ),
        (
            ConfigError::AlgorithmOff(Algorithm::EDDSA),
            "the list of algorithms has EdDSA, whose capability is switched off",
        ),
    ] {
        let error: Box<dyn core::error::Error> = Box::new(error);
        assert_eq!(error.to_string(), sentence);
    }
    for bit in (0..64).map(|bit| Caps(1 << bit)).filter(|bit| Caps::ALL.has(*bit)) {
        assert!(!bit.to_string().contains("unknown"), "{bit:?} has a name");
    }
}

#[test]
fn a_list_of_algorithms_is_offered_in_its_order_and_no_other_is() {
    let mut key = Key::with(Config { algorithms: Some(&[Algorithm::EDDSA, Algorithm::ES256]), ..CONFIG });
    let listed = key.info(|info| info.algorithms.unwrap().iter().map(|one| one.algorithm).collect::<Vec<_>>());
    assert_eq!(listed, [Algorithm::EDDSA, Algorithm::ES256]);
    for (algorithm, expected) in [
        (Algorithm::EDDSA, Status::OK),
        (Algorithm::ES256, Status::OK),
        (Algorithm::ES384, Status::UNSUPPORTED_ALGORITHM),
    ] {
        let wanted = [ctap2::CredentialParameters::new(algorithm)];
        let pub_key_cred_params = keyfob_core::cbor::List::Slice(&wanted[..]);
        let made = key.make(&ctap2::make_credential::Request { pub_key_cred_params, ..registration(b"u") });
        assert_eq!(made.err().unwrap_or(Status::OK), expected, "{algorithm:?}");
    }
    let without_es256 =
        Config { algorithms: Some(&[Algorithm::EDDSA]), caps: CONFIG.caps.without(Caps::U2F), ..CONFIG };
    assert_eq!(Key::with(without_es256).make(&registration(b"u")).unwrap_err(), Status::UNSUPPORTED_ALGORITHM);
}

#[test]
fn a_chain_that_is_accepted_fits_in_the_response() {
    let with = |max_msg_size| Config { attestation: TWICE, max_msg_size, ..CONFIG };
    let smallest = (1024..7609).find(|&size| Key::try_with(with(size), BenchStore::default()).is_ok()).unwrap();
    let eddsa = [ctap2::CredentialParameters::new(Algorithm::EDDSA)];
    let pub_key_cred_params = keyfob_core::cbor::List::Slice(&eddsa[..]);
    for request in [registration(b"u"), ctap2::make_credential::Request { pub_key_cred_params, ..registration(b"u") }] {
        assert_eq!(Key::with(with(smallest)).make(&request).unwrap().fmt, "packed");
    }
}

#[test]
fn the_smallest_configurations_work() {
    for caps in [Caps::NONE, Caps::DISCOVERABLE, Caps::CLIENT_PIN.with(Caps::PROTOCOL_ONE)] {
        let mut key = Key::with(Config { caps, max_msg_size: 1024, ..CONFIG });
        let made = key.make(&registration(b"u")).unwrap();
        let list = [made.descriptor()];
        let allow_list = Some(keyfob_core::cbor::List::Slice(&list[..]));
        let got = key.get(&ctap2::get_assertion::Request { allow_list, ..assertion() }).unwrap();
        assert!(got.is_by(&made));
    }
}

#[test]
fn a_buffer_that_is_too_small_is_refused_with_the_size_it_takes() {
    let store = BenchStore::default();
    let crypto = bench_crypto(&store.slow);
    let needed = CONFIG.buffer_len();
    let mut buffer = vec![0; needed - 1];
    let rng = BenchRng::new(0);
    let engine =
        Engine::<Bench>::new(&mut buffer, CONFIG, crypto, rng, store.watched(), keyfob_core::Instant::default());
    assert_eq!(engine.map(|_| ()).unwrap_err(), ConfigError::BufferTooSmall { needed });
}

#[test]
fn a_store_that_cannot_be_read_is_an_error_at_power_up() {
    let store = BenchStore::default();
    store.fault.set(Fault::Reads);
    let result = Key::try_with(CONFIG, store);
    assert!(matches!(result.map(|_| ()).unwrap_err(), ConfigError::Store(_)));
}

#[test]
fn parameters_of_get_info_are_ignored() {
    assert_eq!(Key::new().status(&[0x04, 0xA0]), Status::OK);
}

#[test]
fn a_version_is_named_where_all_that_it_requires_is_there_and_no_newer_one_than_is_wanted() {
    let versions = |config: Config<'static>| {
        info(&mut Key::with(config), |info| {
            info.versions.iter().map(|version| version.as_str().to_owned()).collect::<Vec<_>>()
        })
    };
    assert_eq!(versions(CONFIG), ["U2F_V2", "FIDO_2_0", "FIDO_2_1", "FIDO_2_3"]);
    for missing in [Caps::HMAC_SECRET, Caps::CRED_MGMT, Caps::CRED_PROTECT, Caps::PROTOCOL_TWO, Caps::TOKEN_PERMISSIONS]
    {
        let caps = CONFIG.caps.without(missing).consistent();
        assert_eq!(versions(Config { caps, ..CONFIG }), ["U2F_V2", "FIDO_2_0"], "{missing:?}");
    }
    let newest = |newest_version| versions(Config { newest_version, ..CONFIG });
    assert_eq!(newest(Version::Fido2_1), ["U2F_V2", "FIDO_2_0", "FIDO_2_1"]);
    assert_eq!(newest(Version::Fido2_0), ["U2F_V2", "FIDO_2_0"]);
}
