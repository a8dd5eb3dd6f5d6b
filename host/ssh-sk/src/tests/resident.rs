//! Keys that the authenticator keeps.

use keyfob_core::{
    client::{MakeCredential, MakeOptions, Requirement},
    cose::Algorithm,
    ctap2::{CredentialParameters, RpEntity, UserEntity},
};

use super::*;
use crate::{abi::*, enroll::exists, key::Key, place::Place};

const RESIDENT: u8 = USER_PRESENCE | RESIDENT_KEY;

/// What OpenSSH shows of the users.
fn users(keys: &[Resident]) -> Vec<String> {
    let name = |key: &Resident| String::from_utf8(key.user_id.clone()).unwrap().trim_end_matches('\0').to_owned();
    keys.iter().map(name).collect()
}

#[test]
fn a_resident_key_is_listed_with_its_application_and_user_as_it_was_made() {
    let file = File::new();
    let made = enroll(&file.options().with("user", "alice", 0), ED25519, RESIDENT, None).unwrap();
    let strict = file.options().with("user", "bob", 0);
    let strict = enroll_for(&strict, c"ssh:other", ECDSA, RESIDENT | USER_VERIFICATION, None).unwrap();
    let mut keys = load(&file.options(), None).unwrap();
    keys.sort_by_key(|key| key.application.clone());
    assert_eq!(users(&keys), ["alice", "bob"]);
    let [first, second] = &keys[..] else { panic!("{keys:?}") };
    assert_eq!((first.algorithm, first.flags, &first.application[..]), (ED25519, RESIDENT, c"ssh:"));
    assert_eq!((&first.key.public_key, &first.key.key_handle), (&made.public_key, &made.key_handle));
    assert_eq!(first.user_id.len(), 32, "as OpenSSH's own access to devices has it");
    assert_eq!((second.algorithm, &second.application[..]), (ECDSA, c"ssh:other"));
    assert_eq!(second.flags, RESIDENT | USER_VERIFICATION, "from its protection");
    assert_eq!(second.key.key_handle, strict.key_handle);
    let mut slots = [first.slot, second.slot];
    slots.sort_unstable();
    assert_eq!(slots, [0, 1]);
    assert!(sign(&file.options(), &first.key, ED25519, b"message", None).is_ok());
}

#[test]
fn a_resident_key_is_overwritten_only_when_that_is_asked_for() {
    let file = File::new();
    let alice = || file.options().with("user", "alice", 0);
    let first = enroll(&alice(), ED25519, RESIDENT, None).unwrap();
    assert_eq!(enroll(&alice(), ECDSA, RESIDENT, None), Err(ERR_CREDENTIAL_EXISTS));
    // Another user, another application, and a key that is not resident are others.
    enroll(&file.options().with("user", "alic", 0), ED25519, RESIDENT, None).unwrap();
    enroll_for(&alice(), c"ssh:other", ED25519, RESIDENT, None).unwrap();
    enroll(&alice(), ED25519, USER_PRESENCE, None).unwrap();
    assert_eq!(load(&file.options(), None).unwrap().len(), 3);
    let second = enroll(&alice(), ECDSA, RESIDENT | FORCE_OPERATION, None).unwrap();
    assert_eq!(second.flags, RESIDENT, "what the operation was is no property of the key");
    let keys = load(&file.options(), None).unwrap();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().any(|key| key.key.key_handle == second.key_handle));
    assert!(keys.iter().all(|key| key.key.key_handle != first.key_handle));
}

#[test]
fn a_new_user_is_new_however_many_others_have_a_key_of_the_application() {
    let file = File::new();
    let made = Place::Store(file.path()).with(true, |port| {
        let (mut key, mut buffer) = (Key::new(port, None)?, vec![0; 4096]);
        for number in 0..400_u16 {
            // A user who is verified gets the names too.
            let (id, name) = (number.to_be_bytes().repeat(32), "n".repeat(64));
            let user = UserEntity { id: &id, name: Some(&name), display_name: Some(&name) };
            let algorithms = [CredentialParameters::new(Algorithm::EDDSA)];
            let rp = RpEntity { id: "ssh:", name: None };
            let options = MakeOptions {
                resident_key: Requirement::Required,
                ..MakeOptions::new(&[1; 32], rp, user, &algorithms)
            };
            key.run(MakeCredential::new(&options), &mut buffer, |_| ())?;
        }
        Ok(())
    });
    made.unwrap();
    for user in ["alice", "bob"] {
        let options = file.options().with("user", user, 0);
        assert!(enroll(&options, ED25519, RESIDENT, None).is_ok(), "{user}");
        assert_eq!(enroll(&options, ED25519, RESIDENT, None), Err(ERR_CREDENTIAL_EXISTS), "{user}");
    }
    // The first one is the last in every list.
    let first = Place::Store(file.path()).with(false, |port| {
        let mut key = Key::new(port, None)?;
        exists(&mut key, "ssh:", &[0; 64])
    });
    assert_eq!(first, Ok(true));
}

#[test]
fn credentials_of_web_sites_are_not_listed() {
    let file = File::new();
    enroll_for(&file.options(), c"example.org", ECDSA, RESIDENT, None).unwrap();
    enroll(&file.options(), ECDSA, RESIDENT, None).unwrap();
    let keys = load(&file.options(), None).unwrap();
    assert_eq!((keys.len(), &keys[0].application[..]), (1, APPLICATION));
}
