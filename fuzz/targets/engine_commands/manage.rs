//! Credential management, configuration and large blobs.

use keyfob_core::{
    Status,
    cbor::{self, RawMap, Write},
    crypto::{Hash, StubCrypto},
    ctap2::{self, Command, CredentialDescriptor, UserEntity, config, credential_management as cred_mgmt, large_blobs},
    pin_uv::Permissions,
};
use keyfob_fuzz::key::{Key, message, status};

use crate::model::{Held, Model, RPS};

/// Encodes subcommand parameters.
fn encoded<T: Write>(params: &T) -> Vec<u8> {
    let mut buffer = vec![0; 512];
    let len = cbor::encode(params, &mut buffer).expect("small parameters");
    buffer.truncate(len);
    buffer
}

/// Sends a subcommand of credential management with the token's remaining permissions.
fn manage(key: &mut Key<'_>, held: Option<&Held>, sub_command: u32, params: Option<&[u8]>) -> Vec<u8> {
    let head = cred_mgmt::authenticated_head(sub_command);
    let signed: [&[u8]; 2] = [&head, params.unwrap_or_default()];
    let param = held.map(|held| held.token.authenticate(&StubCrypto, held.protocol, &signed));
    key.call(&message(
        Command::CREDENTIAL_MANAGEMENT,
        &cred_mgmt::Request {
            sub_command,
            sub_command_params: params.map(RawMap),
            pin_uv_auth_protocol: held.map(|held| held.protocol.number()),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
        },
    ))
}

/// Deletes a credential, or renames its user.
pub fn change_credential(key: &mut Key<'_>, model: &mut Model, who: u8, name: Option<u8>) {
    let (rp, user) = (usize::from(who & 1), who >> 1 & 7);
    let at = model.stored.iter().position(|stored| (stored.0, stored.1) == (rp, user));
    let id = at.map_or(vec![1; 32], |at| model.stored[at].2.clone());
    let (user_id, name) = ([user], name.map(|name| format!("{name}")));
    let user = name.as_deref().map(|name| UserEntity { id: &user_id, name: Some(name), display_name: None });
    let descriptor = Some(CredentialDescriptor::new(&id));
    let params = encoded(&cred_mgmt::Params { credential_id: descriptor, user, ..Default::default() });
    let sub_command = match name {
        Some(_) => cred_mgmt::subcommand::UPDATE_USER_INFORMATION,
        None => cred_mgmt::subcommand::DELETE_CREDENTIAL,
    };
    let held = model.take_token(key.now, true);
    let response = manage(key, held.as_ref(), sub_command, Some(&params));
    let expected = match model.authorized(held.as_ref(), Permissions::CM, false) {
        Status::OK if at.is_none() => Status::NO_CREDENTIALS,
        status => status,
    };
    assert_eq!(status(&response), expected);
    if let (Some(at), true, true) = (at, expected.is_ok(), name.is_none()) {
        model.stored.remove(at);
    }
}

/// Lists the credentials of a relying party to the end, and requests one more.
pub fn list(key: &mut Key<'_>, model: &mut Model, flag: bool) {
    let rp = usize::from(flag);
    let hash = StubCrypto.sha256(&[RPS[rp].as_bytes()]);
    let params = encoded(&cred_mgmt::Params { rp_id_hash: Some(&hash), ..Default::default() });
    let held = model.take_token(key.now, true);
    let begin = cred_mgmt::subcommand::ENUMERATE_CREDENTIALS_BEGIN;
    let mut response = manage(key, held.as_ref(), begin, Some(&params));
    let expected: Vec<&[u8]> =
        model.stored.iter().rev().filter(|stored| stored.0 == rp).map(|stored| &stored.2[..]).collect();
    let begun = match model.authorized(held.as_ref(), Permissions::CM, false) {
        Status::OK if expected.is_empty() => Status::NO_CREDENTIALS,
        status => status,
    };
    assert_eq!(status(&response), begun);
    if !begun.is_ok() {
        return;
    }
    for id in expected {
        let listed: cred_mgmt::Response<'_> = ctap2::decode_response(&response).expect("a credential");
        assert_eq!(listed.credential_id.map(|listed| listed.id), Some(id));
        response = manage(key, None, cred_mgmt::subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL, None);
    }
    assert_eq!(status(&response), Status::NOT_ALLOWED);
}

fn configure(key: &mut Key<'_>, held: Option<&Held>, sub_command: u32, params: Option<&[u8]>) -> Status {
    let head = config::authenticated_head(sub_command);
    let signed: [&[u8]; 2] = [&head, params.unwrap_or_default()];
    let param = held.map(|held| held.token.authenticate(&StubCrypto, held.protocol, &signed));
    status(&key.call(&message(
        Command::CONFIG,
        &config::Request {
            sub_command,
            sub_command_params: params.map(RawMap),
            pin_uv_auth_protocol: held.map(|held| held.protocol.number()),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
        },
    )))
}

pub fn toggle_always_uv(key: &mut Key<'_>, model: &mut Model) {
    let held = model.take_token(key.now, true);
    // If no token can be obtained, the command needs none, because otherwise alwaysUv could not be switched off.
    let expected = match model.pin {
        None => Status::OK,
        Some(_) => model.authorized(held.as_ref(), Permissions::ACFG, false),
    };
    assert_eq!(configure(key, held.as_ref(), config::subcommand::TOGGLE_ALWAYS_UV, None), expected);
    model.always_uv ^= expected.is_ok();
}

pub fn set_min_pin_length(key: &mut Key<'_>, model: &mut Model, asked: u8) {
    let (length, force) = (usize::from(asked & 0x7F), asked & 0x80 != 0);
    let params = encoded(&config::SetMinPinLength {
        new_min_pin_length: Some(length as u32),
        force_change_pin: Some(force),
        ..Default::default()
    });
    let held = model.take_token(key.now, true);
    let answered = configure(key, held.as_ref(), config::subcommand::SET_MIN_PIN_LENGTH, Some(&params));
    let expected = match model.authorized(held.as_ref(), Permissions::ACFG, true) {
        Status::OK if !(model.min_pin_length..=63).contains(&length) => Status::PIN_POLICY_VIOLATION,
        Status::OK if force && model.pin.is_none() => Status::PIN_NOT_SET,
        status => status,
    };
    assert_eq!(answered, expected);
    if expected.is_ok() {
        model.min_pin_length = length;
        model.force_pin_change |= force || model.pin.is_some_and(|pin| model.too_short(pin));
    }
}

/// Writes an array in two fragments with one token, or only the first, or one with a wrong hash.
pub fn write_blobs(key: &mut Key<'_>, model: &mut Model, len: u8, damaged: bool, given_up: bool) {
    let mut array = vec![len; usize::from(len) + 1];
    array.extend_from_slice(&StubCrypto.sha256(&[&array])[..large_blobs::HASH_LENGTH]);
    array[0] ^= u8::from(damaged);
    let held = model.take_token(key.now, true);
    let mut offset = 0;
    for fragment in array.chunks(array.len().div_ceil(2)) {
        let head = large_blobs::authenticated_head(offset as u32);
        let signed: [&[u8]; 2] = [&head, &StubCrypto.sha256(&[fragment])];
        let param = held.as_ref().map(|held| held.token.authenticate(&StubCrypto, held.protocol, &signed));
        let request = large_blobs::Request {
            set: Some(fragment),
            offset: Some(offset as u32),
            length: (offset == 0).then_some(array.len() as u32),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
            pin_uv_auth_protocol: held.as_ref().map(|held| held.protocol.number()),
            ..Default::default()
        };
        let answered = status(&key.call(&message(Command::LARGE_BLOBS, &request)));
        if key.aborted {
            return;
        }
        offset += fragment.len();
        let expected = match model.authorized(held.as_ref(), Permissions::LBW, true) {
            Status::OK if damaged && offset == array.len() => Status::INTEGRITY_FAILURE,
            status => status,
        };
        assert_eq!(answered, expected);
        if !expected.is_ok() || given_up && offset < array.len() {
            return;
        }
    }
    model.blobs = array;
}

pub fn read_blobs(key: &mut Key<'_>, model: &Model, offset: u8) {
    let (get, offset) = (64, usize::from(offset));
    let request = large_blobs::Request { get: Some(get), offset: Some(offset as u32), ..Default::default() };
    let response = key.call(&message(Command::LARGE_BLOBS, &request));
    match model.blobs.get(offset..) {
        Some(rest) => {
            let read: large_blobs::Response<'_> = ctap2::decode_response(&response).expect("a fragment");
            assert_eq!(read.config, rest.get(..get as usize).or(Some(rest)));
        }
        None => assert_eq!(status(&response), Status::INVALID_PARAMETER),
    }
}
