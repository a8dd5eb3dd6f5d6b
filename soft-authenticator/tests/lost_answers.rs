//! Registrations whose answer is lost after the commit, because of INIT, a failure or a power cut. The credential that
//! the relying party knows must still work.

use keyfob_core::{
    Status,
    cbor::List,
    ctap2::{
        Command, CredentialDescriptor, UserEntity,
        credential_management::{Response, subcommand::*},
        make_credential,
    },
    pin_uv::{PinUvAuthProtocol::Two, Token},
};
use keyfob_soft_authenticator::{
    engine::{Config, Event, Progress},
    store::{Change, Setting, Store},
};

use super::{
    credential_management::{id_params, read, rp_params, user_params},
    harness::*,
    user_verification::SENSOR,
};

const LOSSES: [Loss; 2] = [Loss::BeforeTheAnswer, Loss::WithinTheAnswer];

/// Registers a discoverable credential; the answer is lost because of INIT.
fn lose(key: &mut Key, user: &[u8], loss: Loss) {
    key.loses = Some(loss);
    let _ = key.make(&resident(user));
    key.loses = None;
}

/// Signs in with the id in the allow list.
fn by(key: &mut Key, id: &[u8]) -> Status {
    let list = [CredentialDescriptor::new(id)];
    key.get(&listed(assertion(), &list)).map_or_else(
        |status| status,
        |got| {
            assert_eq!(got.id, id);
            Status::OK
        },
    )
}

/// The ids that credential management lists at [`RP`], and its total number of credentials.
fn managed(key: &mut Key) -> (Vec<Vec<u8>>, u32) {
    if key.retries() == (8, false) && key.store.setting(Setting::Pin).is_none() {
        assert_eq!(key.set_pin(Two, PIN), Status::OK);
    }
    let token = key.persistent();
    let metadata = key.manage(&token, GET_CREDS_METADATA, None);
    let count = read(&metadata).existing_resident_credentials_count.unwrap();
    let id = |response: &Response<'_>| response.credential_id.unwrap().id.to_vec();
    let first = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
    if first[0] != 0 {
        return (Vec::new(), count);
    }
    let mut ids = vec![id(&read(&first))];
    for _ in 1..read(&first).total_credentials.unwrap() {
        ids.push(id(&read(&key.manage_next(ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL))));
    }
    (ids, count)
}

fn with_token(key: &mut Key) -> Token {
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    key.unbound(CM)
}

#[test]
fn a_registration_whose_answer_init_takes_away_leaves_the_old_credential_working() {
    for loss in LOSSES {
        let mut key = Key::new();
        let old = key.make(&resident(b"u")).unwrap();
        lose(&mut key, b"u", loss);
        assert_eq!(by(&mut key, old.id()), Status::OK, "{loss:?}");
        let mut key = key.power_cut();
        assert_eq!(by(&mut key, old.id()), Status::OK, "{loss:?}, and the power is cut");
        let list = [old.descriptor()];
        let again = make_credential::Request { exclude_list: Some(List::Slice(&list)), ..resident(b"u") };
        assert_eq!(key.make(&again).unwrap_err(), Status::CREDENTIAL_EXCLUDED, "it is there");
    }
}

#[test]
fn a_credential_that_was_replaced_answers_to_its_id_alone() {
    let mut key = Key::new();
    let other = key.make(&resident(b"other")).unwrap();
    let old = key.make(&resident(b"u")).unwrap();
    lose(&mut key, b"u", Loss::WithinTheAnswer);
    let newest = key.get(&assertion()).unwrap();
    assert_eq!((newest.number, newest.user()), (Some(2), &b"u"[..]), "one for each user");
    assert_ne!(newest.id, old.id());
    assert!(key.get_next().unwrap().is_by(&other));
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
    assert_eq!(managed(&mut key), (vec![newest.id, other.id().to_vec()], 2));
    assert_eq!(key.store.credentials(), 3);
}

#[test]
fn when_the_answer_is_out_the_credential_that_was_replaced_is_gone() {
    let mut key = Key::new();
    let old = key.make(&resident(b"u")).unwrap();
    let new = key.make(&resident(b"u")).unwrap();
    assert_eq!(key.store.credentials(), 1);
    assert_eq!((by(&mut key, old.id()), by(&mut key, new.id())), (Status::NO_CREDENTIALS, Status::OK));
    let commits = key.store.applied();
    key.engine.response_sent();
    assert_eq!(key.store.applied(), commits, "there is nothing left to do");
}

#[test]
fn an_allow_list_that_names_the_new_credential_lets_the_old_one_go_and_a_sign_in_without_one_does_not() {
    for loss in LOSSES {
        let mut key = Key::new();
        let old = key.make(&resident(b"u")).unwrap();
        lose(&mut key, b"u", loss);
        let new = key.get(&assertion()).unwrap().id;
        assert_eq!(by(&mut key, old.id()), Status::OK, "the authenticator chose the new one, not the relying party");
        assert_eq!(by(&mut key, &new), Status::OK);
        assert_eq!(by(&mut key, old.id()), Status::NO_CREDENTIALS);
        assert_eq!((key.store.credentials(), by(&mut key, &new)), (1, Status::OK));
    }
}

#[test]
fn a_driver_that_never_says_that_the_answer_is_out_loses_no_credential_that_is_known() {
    let mut key = Key::new();
    let old = key.make(&resident(b"u")).unwrap();
    // The platform reads the answer, and the next request comes.
    key.loses = Some(Loss::WithinTheAnswer);
    let new = key.make(&resident(b"u")).unwrap();
    assert_eq!((by(&mut key, new.id()), key.store.credentials()), (Status::OK, 1));
    let third = key.make(&resident(b"u")).unwrap();
    assert_eq!((by(&mut key, new.id()), by(&mut key, third.id())), (Status::OK, Status::OK));
    assert_eq!((by(&mut key, new.id()), by(&mut key, old.id())), (Status::NO_CREDENTIALS, Status::NO_CREDENTIALS));
}

#[test]
fn of_answers_that_are_lost_in_a_row_the_first_credential_works_and_four_are_kept() {
    let mut key = roomy();
    let old = key.make(&resident(b"u")).unwrap();
    for lost in 1..8 {
        lose(&mut key, b"u", Loss::BeforeTheAnswer);
        assert_eq!((by(&mut key, old.id()), key.store.credentials()), (Status::OK, 1 + lost.min(4)));
    }
    let new = key.make(&resident(b"u")).unwrap();
    assert_eq!((by(&mut key, old.id()), by(&mut key, new.id())), (Status::NO_CREDENTIALS, Status::OK));
    assert_eq!(key.store.credentials(), 1);
}

#[test]
fn an_answer_that_arrives_before_the_power_fails_is_not_lost_to_the_next_registration() {
    let mut key = roomy();
    let old = key.make(&resident(b"u")).unwrap();
    key.loses = Some(Loss::WithinTheAnswer);
    let known = key.make(&resident(b"u")).unwrap();
    key.loses = None;
    let mut key = key.power_cut();
    lose(&mut key, b"u", Loss::BeforeTheAnswer);
    assert_eq!((by(&mut key, old.id()), key.store.credentials()), (Status::OK, 3));
    assert_eq!(by(&mut key, known.id()), Status::OK);
    assert_eq!(
        (by(&mut key, old.id()), key.store.credentials()),
        (Status::NO_CREDENTIALS, 2),
        "older credentials are
    removed"
    );
    let token = with_token(&mut key);
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&known))), [0]);
    assert_eq!((key.store.credentials(), managed(&mut key).1), (1, 1), "the newest stays");
}

#[test]
fn a_deletion_takes_all_that_are_older_along() {
    for middle in [false, true] {
        let mut key = roomy();
        let old = key.make(&resident(b"u")).unwrap();
        key.loses = Some(Loss::WithinTheAnswer);
        let [known, _, newest] = [(); 3].map(|()| key.make(&resident(b"u")).unwrap());
        key.loses = None;
        let token = with_token(&mut key);
        assert_eq!(key.store.credentials(), 4);
        let deleted = if middle { &known } else { &newest };
        assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(deleted))), [0]);
        assert_eq!(key.store.credentials(), if middle { 2 } else { 0 });
        assert_eq!((by(&mut key, old.id()), managed(&mut key).1), (Status::NO_CREDENTIALS, middle.into()));
    }
}

#[test]
fn in_a_full_store_what_was_known_is_not_given_up_for_what_may_not_be() {
    let mut key = Key::new();
    let made: Vec<Made> = (1..ROOM as u8).map(|user| key.make(&resident(&[user])).unwrap()).collect();
    for _ in 0..3 {
        lose(&mut key, &[1], Loss::BeforeTheAnswer);
        assert_eq!((by(&mut key, made[0].id()), key.store.credentials()), (Status::OK, ROOM));
    }
    let new = key.make(&resident(&[1])).unwrap();
    assert_eq!((by(&mut key, made[0].id()), by(&mut key, new.id())), (Status::NO_CREDENTIALS, Status::OK));
    assert_eq!(key.store.credentials(), ROOM - 1);
}

#[test]
fn an_answer_in_a_full_store_lets_no_credential_of_another_user_go() {
    let mut key = Key::new();
    let made: Vec<Made> = (0..ROOM as u8 - 2).map(|user| key.make(&resident(&[user])).unwrap()).collect();
    lose(&mut key, &[0], Loss::BeforeTheAnswer);
    lose(&mut key, &[1], Loss::BeforeTheAnswer);
    assert_eq!(key.store.credentials(), ROOM);
    let new = key.make(&resident(&[0])).unwrap();
    assert_eq!((by(&mut key, made[0].id()), by(&mut key, new.id())), (Status::NO_CREDENTIALS, Status::OK));
    assert_eq!((by(&mut key, made[1].id()), key.store.credentials()), (Status::OK, ROOM - 1));
}

#[test]
fn in_a_full_store_a_credential_is_replaced_at_once() {
    let mut key = Key::new();
    let made: Vec<Made> = (0..ROOM as u8).map(|user| key.make(&resident(&[user])).unwrap()).collect();
    let new = key.make(&resident(&[0])).unwrap();
    assert_eq!((by(&mut key, made[0].id()), by(&mut key, new.id())), (Status::NO_CREDENTIALS, Status::OK));
    lose(&mut key, &[1], Loss::BeforeTheAnswer);
    assert_eq!(by(&mut key, made[1].id()), Status::NO_CREDENTIALS, "there was no room for both");
    assert_eq!((managed(&mut key).1, key.store.credentials()), (ROOM as u32, ROOM));
}

/// A key with room for many credentials.
fn roomy() -> Key {
    let store = BenchStore::on(Box::new(keyfob_soft_authenticator::store::MemoryStore::<20>::new()));
    Key::try_with(Config::new([0xAA; 16]), store).unwrap()
}

#[test]
fn four_users_at_most_have_a_credential_that_is_kept() {
    let mut key = roomy();
    let old: Vec<Made> = (0..6).map(|user| key.make(&resident(&[user])).unwrap()).collect();
    (0..5).for_each(|user| lose(&mut key, &[user], Loss::WithinTheAnswer));
    let works = old.iter().map(|made| by(&mut key, made.id()).is_ok()).collect::<Vec<_>>();
    assert_eq!(works, [true, true, true, true, false, true]);
    let mut key = key.power_cut();
    assert_eq!((managed(&mut key).1, key.store.credentials()), (6, 10));
}

#[test]
fn a_deletion_of_the_credential_that_is_listed_takes_the_one_that_it_replaced_along() {
    let mut key = Key::with_pin();
    let token = key.unbound(MC);
    let old = key.make_with(Two, &token, resident(b"u")).unwrap();
    let token = key.unbound(MC.with(CM));
    key.loses = Some(Loss::WithinTheAnswer);
    let new = key.make_with(Two, &token, resident(b"u")).unwrap();
    key.loses = None;
    let token = key.unbound(CM);
    let renamed = UserEntity { id: b"u", name: Some("renamed"), display_name: None };
    assert_eq!(key.manage(&token, UPDATE_USER_INFORMATION, Some(&user_params(&new, renamed))), [0]);
    assert_eq!(by(&mut key, old.id()), Status::OK);
    let token = key.unbound(CM);
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&new))), [0]);
    assert_eq!((by(&mut key, old.id()), key.store.credentials()), (Status::NO_CREDENTIALS, 0));
    assert_eq!(managed(&mut key), (vec![], 0));
}

#[test]
fn a_credential_that_is_kept_is_deleted_by_its_id_and_the_new_one_stays() {
    let mut key = Key::new();
    let old = key.make(&resident(b"u")).unwrap();
    lose(&mut key, b"u", Loss::BeforeTheAnswer);
    let (ids, _) = managed(&mut key);
    let token = key.unbound(CM);
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&old))), [0]);
    assert_eq!((by(&mut key, old.id()), by(&mut key, &ids[0])), (Status::NO_CREDENTIALS, Status::OK));
    assert_eq!(managed(&mut key), (ids, 1));
}

#[test]
fn a_reset_forgets_what_is_kept() {
    let mut key = Key::new();
    let old = key.make(&resident(b"u")).unwrap();
    lose(&mut key, b"u", Loss::BeforeTheAnswer);
    assert_eq!(key.status(&[Command::RESET.0]), Status::OK);
    assert_eq!((by(&mut key, old.id()), key.store.setting(Setting::Superseded)), (Status::NO_CREDENTIALS, None));
    // The numbers start again, so a new credential may get the number of a replaced one, and must not count as
    // replaced.
    key.make(&resident(b"a")).unwrap();
    key.make(&resident(b"b")).unwrap();
    assert_eq!(managed(&mut key).1, 2);
}

#[test]
fn a_commit_that_fails_and_was_made_leaves_the_old_credential_working() {
    for fault in [Fault::Before, Fault::After] {
        let mut key = Key::new();
        let old = key.make(&resident(b"u")).unwrap();
        key.store.fail_at(1, fault);
        assert_eq!(key.make(&resident(b"u")).unwrap_err(), Status::OTHER);
        key.store.fault.set(Fault::None);
        assert_eq!(key.get(&assertion()).unwrap().number, None, "one for the user");
        assert_eq!(by(&mut key, old.id()), Status::OK);
        assert_eq!(managed(&mut key).1, 1);
    }
}

#[test]
fn a_signature_that_fails_after_the_commit_leaves_the_old_credential_working() {
    let mut key = Key::new();
    let old = key.make(&resident(b"u")).unwrap();
    let commits = key.store.applied();
    let mut progress = key.begin(&message(Command::MAKE_CREDENTIAL, &resident(b"u")));
    while key.store.applied() == commits {
        assert!(matches!(progress, Progress::Pending(_)));
        progress = key.resume(Event::Touched);
    }
    BROKEN.set(true);
    let failed = key.resume(Event::Tick);
    BROKEN.set(false);
    assert_eq!((failed, key.engine.buffer()[0]), (Progress::Reply(1), Status::OTHER.0));
    key.engine.response_sent();
    assert_eq!((by(&mut key, old.id()), managed(&mut key).1), (Status::OK, 1));
}

#[test]
fn a_settlement_that_fails_leaves_both_to_their_ids() {
    for fault in [Fault::Before, Fault::After] {
        let mut key = Key::new();
        let old = key.make(&resident(b"u")).unwrap();
        key.store.fail_at(2, fault);
        let new = key.make(&resident(b"u")).unwrap();
        key.store.fault.set(Fault::None);
        let expected = if matches!(fault(0), Fault::Before(_)) { Status::OK } else { Status::NO_CREDENTIALS };
        assert_eq!((by(&mut key, old.id()), by(&mut key, new.id())), (expected, Status::OK));
        assert_eq!(managed(&mut key).1, 1);
    }
}

#[test]
fn where_the_list_of_those_that_are_kept_is_damaged_both_are_there() {
    let mut key = Key::new();
    let old = key.make(&resident(b"u")).unwrap();
    lose(&mut key, b"u", Loss::BeforeTheAnswer);
    for damaged in [&[0; 40][..], &[7], &[]] {
        key = key.set(Setting::Superseded, damaged);
        assert_eq!((by(&mut key, old.id()), managed(&mut key).1), (Status::OK, 2), "{damaged:?}");
    }
}

#[test]
fn what_else_is_committed_and_not_answered_is_found_when_the_platform_asks() {
    let lost = |key: &mut Key, run: &dyn Fn(&mut Key)| {
        key.loses = Some(Loss::WithinTheAnswer);
        run(key);
        key.loses = None;
    };
    let mut key = Key::with(SENSOR);
    lost(&mut key, &|key| assert!(key.set_pin(Two, PIN).is_ok()));
    assert_eq!(key.set_pin(Two, PIN), Status::PIN_AUTH_INVALID, "it is set");
    let persistent = key.persistent();
    lost(&mut key, &|key| drop(key.token(Two, PIN, PCMR, None)));
    assert!(key.persistent().as_bytes() == persistent.as_bytes(), "the same again");
    lost(&mut key, &|key| assert!(key.change_pin(Two, PIN, "5678").is_ok()));
    assert_eq!((key.change_pin(Two, "5678", PIN), key.retries()), (Status::OK, (8, false)), "the new one is in force");

    let token = key.unbound(BE);
    lost(&mut key, &|key| drop(key.enrol(&token)));
    assert_eq!(key.engine.fingerprints().len(), 1, "enumerateEnrollments lists it");

    let (token, array) = (key.unbound(LBW), blob_array(100));
    lost(&mut key, &|key| assert!(key.write_fragment(Some(&token), 0, &array, Some(100)).is_ok()));
    assert_eq!(key.read_blobs(0, 100), Ok(array));

    let token = key.unbound(MC);
    let made = key.make_with(Two, &token, resident(b"u")).unwrap();
    let token = key.unbound(CM);
    let renamed = UserEntity { id: b"u", name: Some("renamed"), display_name: None };
    let params = user_params(&made, renamed);
    lost(&mut key, &|key| drop(key.manage(&token, UPDATE_USER_INFORMATION, Some(&params))));
    assert_eq!(key.manage_users_of(RP).1.as_deref(), Some("renamed"));
    lost(&mut key, &|key| drop(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&made)))));
    assert_eq!(key.manage(&token, DELETE_CREDENTIAL, Some(&id_params(&made))), [Status::NO_CREDENTIALS.0]);
}

#[test]
fn a_store_of_before_has_no_credential_that_is_kept() {
    let mut key = Key::new();
    let made = key.make(&resident(b"u")).unwrap();
    assert_eq!(key.store.setting(Setting::Superseded), None, "a first registration writes no list");
    // The state after a replacement by an earlier version: another number, and no list of replaced credentials.
    let store = key.store.clone();
    store.memory.borrow_mut().commit(&[Change::Delete(99)]).unwrap();
    let mut key = key.power_cut();
    assert_eq!((by(&mut key, made.id()), managed(&mut key).1), (Status::OK, 1));
}

#[test]
fn the_answer_to_another_user_or_to_another_command_lets_no_credential_go() {
    let mut key = roomy();
    let old = key.make(&resident(b"u")).unwrap();
    lose(&mut key, b"u", Loss::WithinTheAnswer);
    key.make(&resident(b"new")).unwrap();
    key.make(&registration(b"w")).unwrap();
    key.get(&assertion()).unwrap();
    key.info(|_| ());
    assert_eq!(by(&mut key, old.id()), Status::OK, "it is not known whether the client knows its successor");
    key.make(&resident(b"new")).unwrap();
    assert_eq!((by(&mut key, old.id()), key.store.credentials()), (Status::OK, 3), "only its own was settled");
}
