//! Registrations and sign-ins.

use keyfob_core::{
    Status,
    auth_data::{AuthData, Flags},
    cbor::List,
    cose::Algorithm,
    crypto::StubCrypto,
    ctap2::{
        self, Command, CommandOptions, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, get_assertion,
        make_credential,
    },
    pin_uv::Permissions,
};
use keyfob_fuzz::key::{Key, ROOM, message, status};
use keyfob_soft_authenticator::engine::{Config, SEQUENCE_TIMEOUT};

use crate::model::{HASH, Model, RPS};

pub fn make(key: &mut Key<'_>, model: &mut Model, who: u8, discoverable: bool, with_token: bool) {
    let (rp, user) = (usize::from(who & 1), who >> 1 & 7);
    let exclude = model.stored.iter().find(|stored| stored.0 == rp && who & 0x80 != 0).map(|stored| stored.2.clone());
    let list: Vec<_> = exclude.iter().map(|id| CredentialDescriptor::new(id)).collect();
    let token = model.take_token(key.now, with_token);
    let param = token.as_ref().map(|held| held.token.authenticate(&StubCrypto, held.protocol, &[&HASH]));
    let full = key.store.credentials() == ROOM;
    let response = key.call(&message(
        Command::MAKE_CREDENTIAL,
        &make_credential::Request {
            client_data_hash: &HASH,
            rp: RpEntity { id: RPS[rp], name: None },
            user: UserEntity { id: &[user], name: None, display_name: None },
            pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
            exclude_list: exclude.is_some().then_some(List::Slice(&list)),
            extensions: None,
            options: Some(CommandOptions { rk: Some(discoverable), ..Default::default() }),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
            pin_uv_auth_protocol: token.as_ref().map(|held| held.protocol.number()),
            enterprise_attestation: None,
            attestation_formats_preference: None,
        },
    ));
    if key.aborted {
        return;
    }

    let verified = token.is_some();
    let replaced = model.stored.iter().position(|stored| (stored.0, stored.1) == (rp, user));
    let no_room = discoverable && replaced.is_none() && full;
    let permitted = model.authorized(token.as_ref(), Permissions::MC, !discoverable || model.pin.is_none());
    let may_go_without = !discoverable && !model.always_uv && !verified;
    let expected = if !permitted.is_ok() && !may_go_without {
        permitted
    } else if exclude.is_some() {
        Status::CREDENTIAL_EXCLUDED
    } else {
        Model::touch(key.user, if no_room { Status::KEY_STORE_FULL } else { Status::OK })
    };
    assert_eq!(status(&response), expected);
    if expected.is_ok() || expected == Status::KEY_STORE_FULL {
        model.token = None; // touched
    }
    if !expected.is_ok() {
        return;
    }
    let response: make_credential::Response<'_> = ctap2::decode_response(&response).expect("a response");
    let auth_data = AuthData::decode(response.auth_data).expect("authenticator data");
    assert_eq!(auth_data.flags.has(Flags::UV), verified);
    model.counted(auth_data.sign_count);
    let id = auth_data.attested_credential_data.expect("a credential").credential_id.to_vec();
    if discoverable {
        replaced.map(|at| model.stored.remove(at));
        model.stored.push((rp, user, id));
    } else {
        model.wrapped[rp] = Some(id);
    }
}

fn assertion<'a>(rp: usize, up: bool) -> get_assertion::Request<'a> {
    get_assertion::Request {
        rp_id: RPS[rp],
        client_data_hash: &HASH,
        allow_list: None,
        extensions: None,
        options: Some(CommandOptions { up: Some(up), ..Default::default() }),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

/// Checks an assertion for `user`, and the number of assertions.
fn check(model: &mut Model, response: &[u8], user: Option<u8>, number: Option<u32>, flags: Flags) {
    let response: get_assertion::Response<'_> = ctap2::decode_response(response).expect("a response");
    let auth_data = AuthData::decode(response.auth_data).expect("authenticator data");
    model.counted(auth_data.sign_count - 1);
    if model.sign_count == model.reserved {
        model.reserved += u32::from(Config::new([0; 16]).sign_count_block);
    }
    model.sign_count += 1;
    assert_eq!((auth_data.sign_count, auth_data.flags), (model.sign_count, flags));
    assert_eq!(response.user.map(|user| user.id.to_vec()), user.map(|user| vec![user]));
    assert_eq!(response.number_of_credentials, number);
}

pub fn get(key: &mut Key<'_>, model: &mut Model, who: u8, wrapped: bool, with_token: bool) {
    let rp = usize::from(who & 1);
    let id = model.wrapped[rp].clone().unwrap_or(vec![0; 60]);
    let list = [CredentialDescriptor::new(&id)];
    let token = model.take_token(key.now, with_token);
    let param = token.as_ref().map(|held| held.token.authenticate(&StubCrypto, held.protocol, &[&HASH]));
    let response = key.call(&message(
        Command::GET_ASSERTION,
        &get_assertion::Request {
            allow_list: wrapped.then_some(List::Slice(&list)),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
            pin_uv_auth_protocol: token.as_ref().map(|held| held.protocol.number()),
            ..assertion(rp, true)
        },
    ));
    if key.aborted {
        return;
    }

    let users: Vec<u8> = match wrapped {
        true => vec![],
        false => model.stored.iter().rev().filter(|stored| stored.0 == rp).map(|stored| stored.1).collect(),
    };
    let found = if wrapped { model.wrapped[rp].is_some() } else { !users.is_empty() };
    let permitted = model.authorized(token.as_ref(), Permissions::GA, true);
    let may_go_without = !model.always_uv && token.is_none();
    let expected = match found {
        _ if !permitted.is_ok() && !may_go_without => permitted,
        true => Model::touch(key.user, Status::OK),
        false => Status::NO_CREDENTIALS,
    };
    assert_eq!(status(&response), expected);
    if !expected.is_ok() {
        return;
    }
    model.token = None; // touched
    let flags = Flags::UP.with(Flags::UV, token.is_some());
    let number = (users.len() > 1).then_some(users.len() as u32);
    check(model, &response, users.first().copied(), number, flags);
    model.sequence = (users.into_iter().skip(1).rev().collect(), key.now.plus(SEQUENCE_TIMEOUT), flags);
}

/// A silent request, without a touch, for the non-discoverable credential.
pub fn silent(key: &mut Key<'_>, model: &mut Model, flag: bool) {
    let rp = usize::from(flag);
    let Some(id) = model.wrapped[rp].clone() else { return };
    let list = [CredentialDescriptor::new(&id)];
    let request = get_assertion::Request { allow_list: Some(List::Slice(&list)), ..assertion(rp, false) };
    let response = key.call(&message(Command::GET_ASSERTION, &request));
    if key.aborted {
        return;
    }
    check(model, &response, None, None, Flags(0));
}

pub fn next(key: &mut Key<'_>, model: &mut Model) {
    let response = key.call(&[Command::GET_NEXT_ASSERTION.0]);
    if key.aborted {
        return;
    }
    if key.now >= model.sequence.1 {
        model.sequence.0.clear();
    }
    match model.sequence.0.pop() {
        Some(user) => {
            model.sequence.1 = key.now.plus(SEQUENCE_TIMEOUT);
            check(model, &response, Some(user), None, model.sequence.2);
        }
        None => assert_eq!(status(&response), Status::NOT_ALLOWED),
    }
}
