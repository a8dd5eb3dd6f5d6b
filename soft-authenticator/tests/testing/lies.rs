//! A key that lies: what the client refuses, and what a server refuses when the client believes the key.

use keyfob_core::{auth_data::Flags, client::Cause, verify::Error};
use keyfob_soft_authenticator::testing::{CredentialProperties, Lie, TestCredential, TestKey};

use crate::{page::*, user::failed};

#[test]
fn the_client_refuses_lies_about_the_relying_party_and_the_user() {
    let lies = [
        (Lie::RpId("evil.example".into()), Cause::RpIdHashMismatch),
        (Lie::UserPresent(false), Cause::UserNotPresent),
        (Lie::UserVerified(false), Cause::UserNotVerified),
    ];
    for (lie, cause) in lies {
        let key = TestKey::seeded(5);
        key.add(TestCredential::es256(RP, USER)).unwrap();
        key.lie(lie.clone());
        assert_eq!(failed(page(&key).get(request().to_string())).1, cause, "{lie:?}");
        assert_eq!(failed(page(&key).create(creation().to_string())).1, cause, "{lie:?}");
        key.tell_the_truth();
        page(&key).get(request().to_string()).unwrap();
    }
}

#[test]
fn the_server_refuses_every_lie_of_a_sign_in_by_its_own_error() {
    let lies = [
        (Lie::BogusSignature, Error::Signature),
        (Lie::UserPresent(false), Error::UserPresence),
        (Lie::UserVerified(false), Error::UserVerification),
        (Lie::BackupEligibility(true), Error::BackupEligibility),
        (Lie::BackupState(true), Error::BackupState),
        (Lie::RpId("evil.example".into()), Error::RpIdHash),
    ];
    for (lie, error) in lies {
        let key = TestKey::seeded(5);
        let account = Account::of(&key.add(TestCredential::es256(RP, USER)).unwrap());
        key.lie(lie.clone());
        let response = page(&key).credulous().get(request().to_string()).unwrap();
        assert_eq!(sign_in(&account, &response), Err(error), "{lie:?}");
        key.tell_the_truth();
        let response = page(&key).credulous().get(request().to_string()).unwrap();
        assert!(sign_in(&account, &response).is_ok(), "{lie:?}");
    }
}

#[test]
fn the_server_refuses_every_lie_of_a_registration_by_its_own_error() {
    let lies = [
        (Lie::BogusSignature, Error::Signature),
        (Lie::UserPresent(false), Error::UserPresence),
        (Lie::UserVerified(false), Error::UserVerification),
        (Lie::BackupState(true), Error::BackupState),
        (Lie::RpId("evil.example".into()), Error::RpIdHash),
        (Lie::Aaguid([7; 16]), Error::Aaguid),
    ];
    for (lie, error) in lies {
        let key = TestKey::seeded(5);
        key.lie(lie.clone());
        let response = page(&key).credulous().create(creation().to_string()).unwrap();
        assert_eq!(register(&response).err(), Some(error), "{lie:?}");
    }
}

/// The signature of a response with a lie in its data verifies: only the data are wrong.
#[test]
fn lies_in_data_are_signed_validly() {
    let key = TestKey::seeded(5);
    let account = Account::of(&key.add(TestCredential::es256(RP, USER).backup_eligibility(true)).unwrap());
    key.lie(Lie::BackupState(true));
    let seen = sign_in(&account, &page(&key).get(request().to_string()).unwrap()).unwrap();
    assert!(seen.has(Flags::BS));

    // A registration that says it is eligible: the server has nothing to compare it with.
    key.lie(Lie::BackupEligibility(true));
    let (account, seen) = register(&page(&key).create(creation().to_string()).unwrap()).unwrap();
    assert!(seen.has(Flags::BE) && account.backup_eligible);
    key.tell_the_truth();
    let response = page(&key).get(request().to_string()).unwrap();
    assert_eq!(sign_in(&account, &response), Err(Error::BackupEligibility));
}

#[test]
fn flags_can_be_raised_where_the_truth_is_without_them() {
    let key = TestKey::seeded(5);
    let account = Account::of(&key.add(TestCredential::es256(RP, USER)).unwrap());
    let discouraged = with(request_of(&[&account.id]), "userVerification", "discouraged".into());
    let response = page(&key).get(discouraged.to_string()).unwrap();
    assert_eq!(sign_in(&account, &response), Err(Error::UserVerification));
    key.lie(Lie::UserVerified(true));
    let response = page(&key).get(discouraged.to_string()).unwrap();
    assert!(sign_in(&account, &response).unwrap().has(Flags::UV));
}

#[test]
fn the_server_notices_a_counter_that_does_not_rise() {
    let key = TestKey::seeded(5);
    let account = Account::of(&key.add(TestCredential::es256(RP, USER).sign_count(7)).unwrap());
    let change = CredentialProperties { sign_count: Some(3), ..Default::default() };
    key.set_credential_properties(&account.id, change).unwrap();
    let response = page(&key).get(request().to_string()).unwrap();
    assert_eq!(sign_in(&account, &response), Err(Error::SignCount { stored: 7, received: 4 }));
}
