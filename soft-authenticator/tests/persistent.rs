//! The persistent token, and the encrypted identifiers in getInfo (CTAP 2.3 §6.4, §6.5).

use keyfob_core::{
    Status,
    crypto::RustCrypto,
    ctap2::{
        Command, RpEntity,
        credential_management::{Params, subcommand::*},
        make_credential,
    },
    pin_uv::{
        CRED_STORE_STATE, DEVICE_IDENTIFIER, MAX_USAGE_PERIOD, PinUvAuthProtocol::One, PinUvAuthProtocol::Two, Token,
    },
};
use keyfob_soft_authenticator::{
    Caps,
    engine::Config,
    store::{Change, Setting, Store},
};

use super::harness::*;

fn stocked() -> Key {
    let mut key = Key::new();
    key.make(&resident(b"a")).unwrap();
    let rp = RpEntity { id: "example.com", name: None };
    key.make(&make_credential::Request { rp, ..resident(b"b") }).unwrap();
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    key
}

/// The device identifier and the store's state, decrypted with `token`.
fn identifiers(key: &mut Key, token: &Token) -> (Vec<u8>, Vec<u8>) {
    key.info(|info| {
        let decrypt =
            |purpose, value: Option<&[u8]>| token.decrypt_value(&RustCrypto, purpose, value.unwrap()).unwrap().to_vec();
        (decrypt(DEVICE_IDENTIFIER, info.enc_identifier), decrypt(CRED_STORE_STATE, info.enc_cred_store_state))
    })
}

#[test]
fn the_keys_of_the_identifiers_are_derived_once_and_again_when_the_token_changes() {
    let mut key = stocked();
    let derivations = |key: &mut Key| {
        CALLS.set(Calls::default());
        key.info(|_| ());
        CALLS.get().hashes
    };
    assert_eq!((derivations(&mut key) > 0, derivations(&mut key)), (true, 0));
    let token = key.persistent();
    let before = identifiers(&mut key, &token);
    assert_eq!(key.change_pin(Two, PIN, "98765432"), Status::OK);
    assert!(derivations(&mut key) > 0);
    let token = key.token(Two, "98765432", PCMR, None).unwrap();
    assert_eq!(identifiers(&mut key, &token), before);
    let mut key = key.power_cut();
    assert_eq!((derivations(&mut key) > 0, derivations(&mut key)), (true, 0));
}

/// 6.5.5 getPinUvAuthTokenUsingPinWithPermissions: pcmr with another permission → UNAUTHORIZED_PERMISSION
#[test]
fn the_permission_pcmr_is_granted_alone_and_only_where_it_is_supported() {
    let mut key = stocked();
    for permissions in [MC, GA, CM, LBW, ACFG] {
        let both = permissions.with(PCMR);
        assert_eq!(key.token(Two, PIN, both, None).unwrap_err(), Status::UNAUTHORIZED_PERMISSION);
    }
    key.token(Two, PIN, PCMR, None).unwrap();
    assert_eq!(key.options().per_cred_mgmt_ro, Some(true));
    let config = Config::new([0xAA; 16]);
    let mut key = Key::with(Config { caps: config.caps.without(Caps::PERSISTENT_CRED_MGMT).consistent(), ..config });
    key.set_pin(Two, PIN);
    assert_eq!(key.token(Two, PIN, PCMR, None).unwrap_err(), Status::UNAUTHORIZED_PERMISSION);
    assert_eq!(key.options().per_cred_mgmt_ro, None);
    assert_eq!(key.info(|info| (info.enc_identifier.is_some(), info.enc_cred_store_state.is_some())), (false, false));
}

#[test]
fn the_persistent_token_stays_the_same_and_outlives_time_and_power_cuts() {
    let mut key = stocked();
    let token = key.persistent();
    for protocol in [One, Two] {
        assert_eq!(key.token(protocol, PIN, PCMR, Some(RP)).unwrap().as_bytes(), token.as_bytes());
    }
    key.wait(MAX_USAGE_PERIOD * 2);
    assert_eq!(key.manage(&token, GET_CREDS_METADATA, None)[0], 0);
    let mut key = key.power_cut();
    assert_eq!(key.manage(&token, GET_CREDS_METADATA, None)[0], 0);
    assert_eq!(key.persistent().as_bytes(), token.as_bytes());
}

#[test]
fn it_leaves_the_other_token_alone() {
    let mut key = stocked();
    let other = key.unbound(MC);
    let token = key.persistent();
    key.make_with(Two, &other, resident(b"c")).unwrap();
    assert_eq!(key.manage(&token, GET_CREDS_METADATA, None)[0], 0);
}

/// 6.8: a change with the persistent token → PIN_AUTH_INVALID
#[test]
fn it_reads_everything_and_changes_nothing() {
    let mut key = stocked();
    let token = key.persistent();
    let hash = rp_id_hash(RP);
    let of_rp = encoded(&Params { rp_id_hash: Some(&hash), ..Params::default() });
    assert_eq!(key.manage(&token, GET_CREDS_METADATA, None)[0], 0);
    assert_eq!(key.manage(&token, ENUMERATE_RPS_BEGIN, None)[0], 0);
    key.wait(std::time::Duration::from_secs(29));
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP)[0], 0, "it needs no token in use");
    let response = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&of_rp));
    let response: keyfob_core::ctap2::credential_management::Response<'_> =
        keyfob_core::ctap2::decode_response(&response).unwrap();
    let (credential_id, user) = (response.credential_id, response.user);
    let params = encoded(&Params { credential_id, user, rp_id_hash: None });
    let commits = key.store.applied();
    for sub_command in [DELETE_CREDENTIAL, UPDATE_USER_INFORMATION] {
        assert_eq!(key.manage(&token, sub_command, Some(&params)), [Status::PIN_AUTH_INVALID.0]);
    }
    assert_eq!(key.configure(Some(&token), 2, None), Status::PIN_AUTH_INVALID);
    assert_eq!(key.write_fragment(Some(&token), 0, &blob_array(17), Some(17)), Status::PIN_AUTH_INVALID);
    assert_eq!(key.make_with(Two, &token, resident(b"u")).unwrap_err(), Status::PIN_AUTH_INVALID);
    assert_eq!(key.store.applied(), commits);
}

/// 6.8: the persistent token after a PIN change or a reset → PIN_AUTH_INVALID
#[test]
fn a_changed_pin_and_a_reset_void_it() {
    let mut key = stocked();
    let token = key.persistent();
    assert_eq!(key.change_pin(Two, PIN, "5678"), Status::OK);
    assert_eq!(key.manage(&token, GET_CREDS_METADATA, None), [Status::PIN_AUTH_INVALID.0]);
    let token = key.token(Two, "5678", PCMR, None).unwrap();
    assert_eq!(key.manage(&token, GET_CREDS_METADATA, None)[0], 0);
    key.command(Command::RESET);
    assert_eq!(key.manage(&token, GET_CREDS_METADATA, None), [Status::PIN_AUTH_INVALID.0]);
}

#[test]
fn only_a_holder_of_the_token_recognizes_the_key_and_only_until_a_reset() {
    let mut key = stocked();
    let token = key.persistent();
    let (identifier, _) = identifiers(&mut key, &token);
    let told =
        |key: &mut Key| key.info(|info| [info.enc_identifier, info.enc_cred_store_state].map(|v| v.unwrap().to_vec()));
    let (first, second) = (told(&mut key), told(&mut key));
    for (first, second) in first.iter().zip(&second) {
        assert_eq!((first.len(), second.len()), (32, 32));
        assert!(first[..16] != second[..16] && first[16..] != second[16..], "no two answers are alike");
    }
    let mut key = key.power_cut();
    assert_eq!(identifiers(&mut key, &token).0, identifier);
    assert_eq!(key.store.setting(Setting::Identifier), Some(identifier.clone()));
    key.change_pin(Two, PIN, "5678");
    assert_ne!(identifiers(&mut key, &token).0, identifier, "encrypted for holders of the new token");
    let token = key.token(Two, "5678", PCMR, None).unwrap();
    assert_eq!(identifiers(&mut key, &token).0, identifier);
    key.command(Command::RESET);
    key.set_pin(Two, PIN);
    let token = key.persistent();
    assert_ne!(identifiers(&mut key, &token).0, identifier);
}

#[test]
fn the_stores_state_changes_with_every_deletion_and_update_and_not_otherwise() {
    let mut key = stocked();
    let token = key.persistent();
    let (_, before) = identifiers(&mut key, &token);
    key.make(&registration(b"wrapped")).unwrap();
    key.get(&assertion()).unwrap();
    assert_eq!(identifiers(&mut key, &token).1, before);
    let id = key.get(&assertion()).unwrap().id;
    let credential_id = Some(keyfob_core::ctap2::CredentialDescriptor::new(&id));
    let user = Some(keyfob_core::ctap2::UserEntity { id: b"a", name: Some("n"), display_name: None });
    let params = encoded(&Params { credential_id, user, rp_id_hash: None });
    let manager = key.unbound(CM);
    let mut states = vec![before];
    for sub_command in [UPDATE_USER_INFORMATION, DELETE_CREDENTIAL] {
        assert_eq!(key.manage(&manager, sub_command, Some(&params)), [0]);
        let (_, state) = identifiers(&mut key, &token);
        assert!(!states.contains(&state));
        states.push(state);
    }
}

#[test]
fn identifiers_that_are_damaged_are_not_told() {
    for setting in [Setting::PersistentToken, Setting::Identifier, Setting::StoreState] {
        let mut key = stocked();
        key.store.memory.borrow_mut().commit(&[Change::Set(setting, &[1; 5])]).unwrap();
        let told = key.info(|info| (info.enc_identifier.is_some(), info.enc_cred_store_state.is_some()));
        assert_eq!(told, (false, false), "{setting:?}");
    }
}
