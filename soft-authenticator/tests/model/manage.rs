//! Management commands on key and model.

use keyfob_core::{
    Status,
    ctap2::{
        self, Command, CredentialDescriptor, UserEntity, config,
        credential_management::{Params, Response, subcommand},
    },
    extensions::cred_protect::Level,
};

use super::{super::harness::*, *};

/// A subcommand of credential management with the token, if there is one.
pub fn manage(key: &mut Key, model: &Model, sub_command: u32, params: Option<&Params<'_>>) -> Vec<u8> {
    let params = params.map(encoded);
    let persistent = model.persistent.as_ref().filter(|_| model.presents_persistent).map(|(token, _)| token);
    match persistent.or(model.token.as_ref().map(|held| &held.token)) {
        Some(token) => key.manage(token, sub_command, params.as_deref()),
        None => {
            let request = ctap2::credential_management::Request {
                sub_command,
                sub_command_params: params.as_deref().map(keyfob_core::cbor::RawMap),
                pin_uv_auth_protocol: None,
                pin_uv_auth_param: None,
            };
            key.call(&message(Command::CREDENTIAL_MANAGEMENT, &request))
        }
    }
}

/// Compares one answer of an enumeration with the next expected one.
pub fn compare_listed(model: &mut Model, of_rp: bool, response: &[u8], total: Option<u32>) {
    let response: Response<'_> = ctap2::decode_response(response).unwrap();
    match model.sequence.as_mut() {
        Some(Sequence::Listings { rps: Some(rps), .. }) if !of_rp => {
            let rp = RPS[rps.pop().unwrap()];
            assert_eq!((response.rp.unwrap().id, response.rp_id_hash), (rp, Some(&rp_id_hash(rp))));
            assert_eq!(response.total_rps, total);
        }
        Some(Sequence::Listings { credentials: Some(ids), .. }) if of_rp => {
            let id = ids.pop().unwrap();
            let stored = model.stored.iter().find(|stored| stored.id == id).unwrap();
            let user = response.user.unwrap();
            assert_eq!(response.credential_id.unwrap().id, stored.id);
            assert_eq!((user.id, user.name), (&[stored.user][..], stored.name.as_deref()));
            assert_eq!(response.cred_protect, Some(Level(stored.asked.level.max(1))));
            assert_eq!(response.large_blob_key.map(|key| key.0), stored.large_blob_key.as_deref());
            assert_eq!(response.total_credentials, total);
        }
        other => panic!("a list of {other:?}"),
    }
}

pub fn list(key: &mut Key, model: &mut Model, rp: Option<usize>) {
    let hash = rp.map(|rp| rp_id_hash(RPS[rp]));
    let response = match &hash {
        None => manage(key, model, subcommand::ENUMERATE_RPS_BEGIN, None),
        Some(hash) => {
            let params = Params { rp_id_hash: Some(hash), ..Params::default() };
            manage(key, model, subcommand::ENUMERATE_CREDENTIALS_BEGIN, Some(&params))
        }
    };
    let expected = model.authorize_cm(rp, true);
    let outer = match model.sequence.take() {
        Some(Sequence::Listings { rps, .. }) if rp.is_some() => rps,
        _ => None,
    };
    let (sequence, total) = match rp {
        Some(rp) => {
            let ids: Vec<_> = model.visible(rp, true).iter().rev().map(|stored| stored.id.clone()).collect();
            let total = ids.len();
            (Sequence::Listings { rps: outer.clone(), credentials: Some(ids) }, total)
        }
        None => {
            let newest = |rp: &usize| model.stored.iter().rposition(|stored| stored.rp == *rp);
            let mut rps: Vec<usize> = (0..2).filter(|rp| newest(rp).is_some()).collect();
            rps.sort_by_key(newest);
            let total = rps.len();
            (Sequence::Listings { rps: Some(rps), credentials: None }, total)
        }
    };
    let expected = if expected.is_ok() && total == 0 { Status::NO_CREDENTIALS } else { expected };
    assert_eq!(status_of(&response), expected);
    if expected.is_ok() {
        model.sequence = Some(sequence);
        compare_listed(model, rp.is_some(), &response, Some(total as u32));
    } else {
        model.sequence = outer.map(|rps| Sequence::Listings { rps: Some(rps), credentials: None });
    }
}

/// Deletes a credential, or renames its user.
pub fn change(key: &mut Key, model: &mut Model, rp: usize, user: u8, name: Option<u8>) {
    let found = model.find(rp, user).cloned();
    let id = found.as_ref().map_or(vec![9; 32], |stored| stored.id.clone());
    let name = name.map(|name| format!("name {name}"));
    let user = [user];
    let user = name.as_deref().map(|name| UserEntity { id: &user, name: Some(name), display_name: None });
    let params = Params { credential_id: Some(CredentialDescriptor::new(&id)), user, ..Params::default() };
    let sub_command = if name.is_some() { subcommand::UPDATE_USER_INFORMATION } else { subcommand::DELETE_CREDENTIAL };
    let response = manage(key, model, sub_command, Some(&params));
    let expected = match model.authorize_cm(found.as_ref().map(|_| rp), false) {
        Status::OK if found.is_none() => Status::NO_CREDENTIALS,
        status => status,
    };
    assert_eq!(status_of(&response), expected);
    if !expected.is_ok() {
        return;
    }
    match name {
        None => {
            model.stored.retain(|stored| stored.id != id);
            model.settle(&id);
        }
        Some(name) => {
            model
                .stored
                .iter_mut()
                .filter(|stored| stored.id == id)
                .for_each(|stored| stored.name = Some(name.clone()));
        }
    }
}

pub fn set_min_pin(key: &mut Key, model: &mut Model, length: Option<u32>, force: bool) {
    let params = config::SetMinPinLength {
        new_min_pin_length: length,
        force_change_pin: force.then_some(true),
        ..Default::default()
    };
    let token = model.token.as_ref().map(|held| &held.token);
    let answered = key.set_min_pin_length(token, &params);
    let expected = match model.authorize_if_protected(ACFG) {
        Status::OK if length.is_some_and(|new| new < model.min_pin_length as u32 || new > 63) => {
            Status::PIN_POLICY_VIOLATION
        }
        Status::OK if force && model.pin.is_none() => Status::PIN_NOT_SET,
        status => status,
    };
    assert_eq!(answered, expected);
    if expected.is_ok() {
        model.min_pin_length = length.map_or(model.min_pin_length, |length| length as usize);
        if force || model.pin.is_some_and(|pin| model.too_short(pin)) {
            (model.force_pin_change, model.token) = (true, None);
            model.void_persistent();
        }
    }
}

pub fn write_blobs(key: &mut Key, model: &mut Model, len: usize, piece: usize, damaged: bool, given_up: bool) {
    let mut array = blob_array(len);
    array[0] ^= u8::from(damaged);
    let mut offset = 0;
    for fragment in array.chunks(piece) {
        let token = model.token.as_ref().map(|held| &held.token);
        let length = (offset == 0).then_some(len as u32);
        let answered = key.write_fragment(token, offset as u32, fragment, length);
        offset += fragment.len();
        let expected = if len > CAPACITY {
            Status::LARGE_BLOB_STORAGE_FULL
        } else {
            match model.authorize_if_protected(LBW) {
                Status::OK if offset == len && damaged => Status::INTEGRITY_FAILURE,
                status => status,
            }
        };
        assert_eq!(answered, expected);
        if !expected.is_ok() || (given_up && offset < len) {
            return;
        }
    }
    model.blobs = array;
}
