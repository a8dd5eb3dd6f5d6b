//! What the user of the key does.

use std::time::Duration;

use keyfob_core::{
    Status,
    auth_data::Flags,
    client::{Cause, ErrorCode},
    ctap2::Command,
};
use keyfob_soft_authenticator::{
    devices::Touch,
    testing::{Step, TestCredential, TestError, TestKey},
};
use serde_json::json;

use crate::page::*;

pub fn failed(result: Result<String, TestError>) -> (ErrorCode, Cause) {
    match result {
        Err(TestError::Client(error)) => (error.code, error.cause),
        other => panic!("{other:?}"),
    }
}

fn key() -> TestKey {
    let key = TestKey::seeded(5);
    key.add(TestCredential::es256(RP, USER)).unwrap();
    key
}

#[test]
fn a_user_who_declines_makes_the_ceremony_fail() {
    let key = key();
    key.set_user_consenting(false);
    let discouraged = with(request(), "userVerification", json!("discouraged"));
    assert_eq!(failed(page(&key).get(discouraged.to_string())).1, Cause::Status(Status::OPERATION_DENIED));
    assert!(page(&key).create(creation().to_string()).is_err());
    assert_eq!(key.credentials().len(), 1);
    key.set_user_consenting(true);
    page(&key).get(discouraged.to_string()).unwrap();
}

#[test]
fn a_user_who_never_touches_the_key_costs_the_keys_time_and_no_real_time() {
    let key = key();
    key.set_touch(Touch::Never);
    let (before, real) = (key.now(), std::time::Instant::now());
    let discouraged = with(request(), "userVerification", json!("discouraged"));
    assert_eq!(failed(page(&key).get(discouraged.to_string())).0, ErrorCode::Timeout);
    assert!((30..40).contains(&key.now().since(before).as_secs()));
    assert!(real.elapsed().as_secs() < 20);
}

#[test]
fn a_user_can_be_asked_until_they_touch_the_key() {
    let key = key();
    let mut left = 5;
    key.set_touch(Touch::Ask(Box::new(move |_| {
        left -= 1;
        (left == 0).then_some(true)
    })));
    page(&key).get(request().to_string()).unwrap();
    assert!(key.now().as_millis() >= 80);
}

#[test]
fn a_user_who_touches_the_key_later_costs_the_keys_time_and_no_real_time() {
    let key = key();
    let discouraged = with(request(), "userVerification", json!("discouraged")).to_string();
    key.set_touch(Touch::After(Duration::from_secs(25)));
    let (before, real) = (key.now(), std::time::Instant::now());
    page(&key).get(&discouraged).unwrap();
    let took = key.now().since(before);
    assert!((Duration::from_secs(25)..Duration::from_secs(26)).contains(&took), "{took:?}");
    key.set_touch(Touch::After(Duration::from_secs(31)));
    assert_eq!(failed(page(&key).get(&discouraged)).0, ErrorCode::Timeout, "the key waits for 30 s");
    assert!(real.elapsed().as_secs() < 20);
    // A jump at the touch is time as well.
    key.set_touch(Touch::After(Duration::from_secs(20)));
    key.jump_at(Step::Touch, Duration::from_secs(20));
    let before = key.now();
    page(&key).get(&discouraged).unwrap();
    assert!(key.now().since(before) < Duration::from_secs(21));
}

#[test]
fn a_user_who_is_not_verified_makes_the_ceremony_fail_until_they_are() {
    let key = key();
    key.set_user_verified(false);
    let required = with(request(), "userVerification", json!("required"));
    for _ in 0..10 {
        assert!(page(&key).get(required.to_string()).is_err());
    }
    let account = Account::of(&key.credentials()[0]);
    // Without an allow list the client would verify the user too, to see all accounts.
    let discouraged = with(request_of(&[&account.id]), "userVerification", json!("discouraged"));
    page(&key).get(discouraged.to_string()).unwrap();
    key.set_user_verified(true);
    assert!(sign_in(&account, &page(&key).get(required.to_string()).unwrap()).unwrap().has(Flags::UV));
}

#[test]
fn silent_assertions_do_not_ask_the_user() {
    let key = key();
    key.set_touch(Touch::Never);
    // Longer than maxCredentialCountInList: the client looks for the credential beforehand, with the option `up` off.
    let id = key.credentials()[0].credential_id.clone();
    let mut ids: Vec<_> = (0..100_u8).map(|n| vec![n; 32]).collect();
    ids.push(id);
    let ids: Vec<_> = ids.iter().map(Vec::as_slice).collect();
    let options = with(request_of(&ids), "userVerification", json!("discouraged"));
    assert!(page(&key).get(options.to_string()).is_err());
    let asked = key.history();
    let silent =
        asked.iter().filter(|asked| asked.command == Command::GET_ASSERTION && asked.options.up == Some(false));
    assert_eq!(silent.count(), 2);
}
