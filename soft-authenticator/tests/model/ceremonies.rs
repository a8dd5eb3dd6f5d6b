//! Registrations and sign-ins on key and model.

use keyfob_core::{
    Status,
    auth_data::Flags,
    cbor::List,
    ctap2::{CommandOptions, CredentialDescriptor, RpEntity, get_assertion, make_credential},
    extensions::{GetAssertionInputs, MakeCredentialInputs, cred_protect::Level},
};

use keyfob_soft_authenticator::store::{MAX_RECORD, Query, Store};

use super::{super::harness::*, *};

pub fn make(
    key: &mut Key,
    model: &mut Model,
    (rp, user): (usize, u8),
    discoverable: bool,
    presents: bool,
    asked: Option<Extensions>,
    loss: Option<Loss>,
) {
    let user_id = [user];
    let request = if discoverable { resident(&user_id) } else { registration(&user_id) };
    let request = make_credential::Request { rp: RpEntity { id: RPS[rp], name: None }, ..request };
    let extensions = asked.unwrap_or_default();
    let blob = extensions.blob.map(|blob| [blob; 32]);
    let inputs = raw(&MakeCredentialInputs {
        cred_protect: Some(Level(extensions.level)),
        cred_blob: blob.as_ref().map(|blob| &blob[..]),
        large_blob_key: extensions.blob_key.then_some(true),
        ..Default::default()
    });
    let request = if asked.is_some() { extended(request, &inputs) } else { request };
    let held = model.token.as_ref().filter(|_| presents);
    // The test needs the large-blob key, which is only in the answer.
    key.loses = loss.filter(|loss| *loss == Loss::WithinTheAnswer || !extensions.blob_key);
    let made = match held {
        Some(Held { protocol, token, .. }) => key.make_with(*protocol, token, request),
        None => key.make(&request),
    };
    let loss = key.loses.take();
    let presented = held.is_some();

    let replaces = model.find(rp, user).is_some();
    let protected = model.pin.is_some();
    let expected = if model.always_uv && !presented || protected && discoverable && !presented {
        Status::PUAT_REQUIRED
    } else if presented && !model.verify(MC, rp) {
        Status::PIN_AUTH_INVALID
    } else if extensions.blob_key && !discoverable {
        Status::INVALID_OPTION
    } else if key.user != UserAction::Touches {
        Status::OPERATION_DENIED
    } else {
        model.touched();
        let full = discoverable && !replaces && model.stored.len() + model.replaced.len() == ROOM;
        if full { Status::KEY_STORE_FULL } else { Status::OK }
    };
    if expected.is_ok() && discoverable && loss == Some(Loss::BeforeTheAnswer) {
        assert!(made.is_err(), "there is no answer");
        let id = newest(key, rp);
        model.replace(rp, user, &id);
        model.stored.push(Stored { rp, user, id, name: None, asked: extensions, large_blob_key: None });
        return;
    }
    assert_eq!(code(&made), expected);
    let Ok(made) = made else { return };
    assert_eq!((made.has(Flags::UV), made.auth_data().sign_count), (presented, model.sign_count));
    assert_eq!(made.large_blob_key.is_some(), extensions.blob_key);
    let id = made.id().to_vec();
    if discoverable {
        model.replace(rp, user, &id);
        if loss.is_none() {
            model.settle(&id);
        }
        let large_blob_key = made.large_blob_key;
        model.stored.push(Stored { rp, user, id, name: None, asked: extensions, large_blob_key });
    } else {
        model.wrapped[rp] = Some((id, extensions));
    }
}

/// The id of a relying party's newest credential in the store.
fn newest(key: &mut Key, rp: usize) -> Vec<u8> {
    let (rp_id_hash, mut out) = (rp_id_hash(RPS[rp]), [0; MAX_RECORD]);
    let query = Query::RelyingParty { rp_id_hash: &rp_id_hash, protection: Level::USER_VERIFICATION_REQUIRED };
    let found = key.store.memory.borrow_mut().next(query, None, &mut out).unwrap().unwrap();
    found.credential(&out).unwrap().id.to_vec()
}

/// Checks an assertion by `stored`, or by a non-discoverable credential, with `blob`. With `named`, it must have the
/// user's name.
pub fn check(model: &mut Model, got: Result<Got, Status>, stored: Option<&Stored>, blob: Option<u8>, named: bool) {
    let got = got.unwrap();
    if model.sign_count == model.reserved {
        model.reserved += 100;
    }
    model.sign_count += 1;
    assert_eq!(got.auth_data().sign_count, model.sign_count);
    assert_eq!(got.user_id, stored.map(|stored| vec![stored.user]));
    assert_eq!(got.user_name, stored.and_then(|stored| stored.name.clone()).filter(|_| named));
    assert_eq!(got.large_blob_key, stored.and_then(|stored| stored.large_blob_key.clone()));
    let extensions: keyfob_core::extensions::GetAssertionOutputs<'_> =
        keyfob_core::cbor::decode(got.auth_data().extensions.unwrap().0).unwrap();
    let blob = stored.map_or(blob, |stored| stored.asked.blob).map(|blob| vec![blob; 32]);
    assert_eq!(extensions.cred_blob, Some(&blob.unwrap_or_default()[..]));
}

/// The id of the credential in a list, its extensions, and the credential if it is discoverable.
fn target(model: &Model, rp: usize, list: Listed) -> Option<(Vec<u8>, Extensions, Option<Stored>)> {
    let of = |stored: &Stored| (stored.id.clone(), stored.asked, Some(stored.clone()));
    match list {
        Listed::Nobody => None,
        Listed::Wrapped => model.wrapped[rp].clone().map(|(id, asked)| (id, asked, None)),
        Listed::User(user) => model.find(rp, user).map(of),
        Listed::Replaced { user, newest } => {
            let stored = model.replaced.iter().map(|(stored, _)| stored);
            let mut of_user = stored.filter(|stored| (stored.rp, stored.user) == (rp, user));
            if newest { of_user.next_back() } else { of_user.next() }.map(of)
        }
    }
}

pub fn get(key: &mut Key, model: &mut Model, rp: usize, presents: bool, silent: bool, list: Listed) {
    let options = CommandOptions { up: Some(!silent), ..Default::default() };
    let (is_listed, target) = (!matches!(list, Listed::Nobody), target(model, rp, list));
    let id = target.as_ref().map_or(vec![0; 60], |(id, ..)| id.clone());
    let list = [CredentialDescriptor::new(&id)];
    let inputs = raw(&GetAssertionInputs { cred_blob: Some(true), large_blob_key: Some(true), ..Default::default() });
    let request = get_assertion::Request {
        rp_id: RPS[rp],
        options: Some(options),
        allow_list: is_listed.then_some(List::Slice(&list)),
        ..asking(&inputs)
    };
    let held = model.token.as_ref().filter(|_| presents);
    let got = match held {
        Some(Held { protocol, token, .. }) => key.get_with(*protocol, token, request),
        None => key.get(&request),
    };
    let presented = held.is_some();
    let visible: Vec<Stored> = match &target {
        Some((_, asked, stored)) => stored.iter().filter(|_| presented || asked.level < 3).cloned().collect(),
        None if is_listed => vec![],
        None => model.visible(rp, presented).into_iter().cloned().collect(),
    };
    let found = match &target {
        Some((_, asked, _)) => presented || asked.level < 3,
        None => !visible.is_empty(),
    };
    let expected = if model.always_uv && !silent && !presented {
        Status::PUAT_REQUIRED
    } else if presented && !model.verify(GA, rp) {
        Status::PIN_AUTH_INVALID
    } else if !found {
        Status::NO_CREDENTIALS
    } else if !silent && key.user != UserAction::Touches {
        Status::OPERATION_DENIED
    } else {
        Status::OK
    };
    assert_eq!(code(&got), expected);
    if !expected.is_ok() {
        return;
    }
    if !silent {
        model.touched();
    }
    if is_listed {
        model.settle(&id);
    }
    let several = visible.len() > 1;
    assert_eq!(got.as_ref().unwrap().number, several.then_some(visible.len() as u32));
    let blob = target.and_then(|(_, asked, _)| asked.blob);
    check(model, got, visible.first(), blob, several && presented);
    let rest: Vec<u8> = visible.iter().skip(1).rev().map(|stored| stored.user).collect();
    model.sequence = Some(Sequence::Users(rest, presented)).filter(|_| several);
}

pub fn next(key: &mut Key, model: &mut Model, rp_of_sequence: usize) {
    let got = key.get_next();
    match &mut model.sequence {
        Some(Sequence::Users(users, verified)) if !users.is_empty() => {
            let (user, verified) = (users.pop().unwrap(), *verified);
            let stored = model.find(rp_of_sequence, user).cloned();
            check(model, got, stored.as_ref(), None, verified);
        }
        _ => assert_eq!(got.unwrap_err(), Status::NOT_ALLOWED),
    }
}
