//! A key that fails, is slow, or is taken out.

use std::time::Duration;

use keyfob_core::{
    Status,
    client::{Cause, ErrorCode},
    ctap2::Command,
};
use keyfob_soft_authenticator::{
    devices::Touch,
    testing::{Step, TestCredential, TestError, TestKey},
};
use serde_json::json;

use crate::{page::*, user::failed};

fn key() -> TestKey {
    let key = TestKey::seeded(5);
    key.add(TestCredential::es256(RP, USER)).unwrap();
    key
}

#[test]
fn a_forced_status_replaces_the_answer_as_often_as_the_test_says() {
    let key = key();
    key.answer_times(1, Command::MAKE_CREDENTIAL, Status::KEY_STORE_FULL);
    assert_eq!(failed(page(&key).create(creation().to_string())).1, Cause::Status(Status::KEY_STORE_FULL));
    assert_eq!(key.credentials().len(), 1);
    page(&key).create(creation().to_string()).unwrap();

    key.answer(Command::GET_ASSERTION, Status::OTHER);
    for _ in 0..3 {
        assert_eq!(failed(page(&key).get(request().to_string())).1, Cause::Status(Status::OTHER));
    }
    key.clear_answers();
    page(&key).get(request().to_string()).unwrap();
}

#[test]
fn a_standing_answer_replaces_the_one_before_and_comes_after_those_with_a_number() {
    let key = key();
    key.answer(Command::GET_ASSERTION, Status::OTHER);
    key.answer(Command::GET_ASSERTION, Status::OPERATION_DENIED);
    key.answer_times(1, Command::GET_ASSERTION, Status::NO_CREDENTIALS);
    key.answer_times(1, Command::GET_ASSERTION, Status::NOT_ALLOWED);
    for status in [Status::NO_CREDENTIALS, Status::NOT_ALLOWED, Status::OPERATION_DENIED, Status::OPERATION_DENIED] {
        assert_eq!(failed(page(&key).get(request().to_string())).1, Cause::Status(status));
    }
}

#[test]
fn a_forced_body_reaches_the_client_as_it_is() {
    let key = key();
    key.answer(Command::GET_ASSERTION, b"\x00\xA0".to_vec()); // no member
    assert!(matches!(failed(page(&key).get(request().to_string())).1, Cause::Decode(_)));
    key.clear_answers();
    key.answer(Command::GET_ASSERTION, Vec::new());
    assert_eq!(failed(page(&key).get(request().to_string())).1, Cause::EmptyResponse);
}

#[test]
fn a_delayed_response_comes_after_that_time_with_keep_alives() {
    let key = key();
    key.set_delay(Duration::from_secs(20));
    let (before, real) = (key.now(), std::time::Instant::now());
    page(&key).get(request().to_string()).unwrap();
    let asked = u64::try_from(key.history().len()).unwrap();
    assert!(key.now().since(before).as_secs() >= 20 * asked);
    assert!(real.elapsed().as_secs() < 20);
}

/// The client waits 10 s for a sign of life.
#[test]
fn without_keep_alives_the_client_gives_a_slow_key_up() {
    let key = key();
    key.set_keep_alives(false);
    page(&key).get(request().to_string()).unwrap();
    key.set_delay(Duration::from_secs(20));
    assert_eq!(failed(page(&key).get(request().to_string())).1, Cause::Transport);
    key.set_keep_alives(true);
    page(&key).get(request().to_string()).unwrap();
}

#[test]
fn a_store_that_fails_at_a_write_fails_the_ceremony_and_changes_nothing() {
    let key = key();
    let mut writes = 0;
    let failed = loop {
        writes += 1;
        key.fail_write(writes);
        let before = key.credentials().len();
        match page(&key).create(creation().to_string()) {
            Ok(_) => break writes - 1,
            Err(_) => assert_eq!(key.credentials().len(), before, "write {writes}"),
        }
    };
    assert!(failed >= 1, "a registration writes");
}

#[test]
fn what_the_test_changes_by_itself_is_no_write_that_fails() {
    let key = key();
    key.fail_write(1);
    key.set_user_verified(true);
    key.add(TestCredential::es256("example.com", USER)).unwrap();
    assert!(page(&key).create(creation().to_string()).is_err());
}

#[test]
fn a_key_that_is_taken_out_makes_clients_fail_until_it_is_back() {
    let key = key();
    key.unplug();
    assert!(!key.is_plugged_in());
    assert_eq!(page(&key).create(creation().to_string()), Err(TestError::Unplugged));
    assert_eq!(page(&key).get(request().to_string()), Err(TestError::Unplugged));
    assert_eq!(key.credentials().len(), 1);
    assert!(key.history().is_empty());
    key.plug_in();
    page(&key).get(request().to_string()).unwrap();
}

#[test]
fn a_key_can_be_taken_out_at_each_step() {
    let steps = [
        (Step::Request(Command::GET_INFO), 1),
        (Step::Request(Command::MAKE_CREDENTIAL), 1),
        (Step::Touch, 1),
        (Step::Response(Command::MAKE_CREDENTIAL), 2), // it is done, and the client never knows
    ];
    for (step, credentials) in steps {
        let key = key();
        key.unplug_at(step);
        assert_eq!(page(&key).create(creation().to_string()), Err(TestError::Unplugged), "{step:?}");
        key.plug_in();
        // The one that was put in has the same user: the new one replaces it.
        let ids: Vec<_> = key.credentials().iter().map(|held| held.credential_id.clone()).collect();
        assert_eq!(ids.len(), credentials, "{step:?}");
        page(&key).create(creation().to_string()).unwrap();
    }
}

#[test]
fn a_jump_of_the_clock_ends_the_users_time() {
    let key = key();
    key.set_touch(Touch::Never);
    key.jump_at(Step::Touch, Duration::from_secs(31));
    let discouraged = with(request(), "userVerification", json!("discouraged"));
    let before = key.now();
    assert_eq!(failed(page(&key).get(discouraged.to_string())).0, ErrorCode::Timeout);
    assert_eq!(key.now().since(before).as_secs(), 31);
}

#[test]
fn options_that_cannot_be_read_are_refused_before_the_key_is_asked() {
    let key = key();
    assert!(matches!(page(&key).create("{"), Err(TestError::Options(_))));
    assert!(matches!(page(&key).get(r#"{"challenge": 5}"#), Err(TestError::Options(_))));
    let foreign = with(creation(), "rp", json!({"id": "example.com", "name": "Another"}));
    assert!(matches!(page(&key).create(foreign.to_string()), Err(TestError::Client(_))));
    assert!(key.history().is_empty());
}
