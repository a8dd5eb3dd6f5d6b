//! authenticatorCredentialManagement: its enumerations (CTAP 2.3 §6.8.3, §6.8.4).

use std::time::Duration;

use keyfob_core::{
    Status,
    cose::Algorithm,
    crypto::MAX_SECRET,
    ctap2::{
        Command, RpEntity, UserEntity,
        credential_management::{Response, subcommand::*},
        make_credential,
    },
    extensions::cred_protect::Level,
    pin_uv::{PinUvAuthProtocol::Two, Token},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{AuthenticatorPolicy, Config, SEQUENCE_TIMEOUT},
    store::{Change, Credential, Found, MAX_RECORD, Query, Store},
};

use super::{credential_management::*, harness::*};

/// 6.8 enumerateRPsGetNextRP: none is left → NOT_ALLOWED
#[test]
fn relying_parties_are_listed_once_each_with_their_number_first() {
    let (mut key, _) = stocked();
    let token = key.unbound(CM);
    let first = key.manage(&token, ENUMERATE_RPS_BEGIN, None);
    let expected =
        Response { rp: Some(RpEntity { id: RP, name: None }), rp_id_hash: Some(&rp_id_hash(RP)), ..Default::default() };
    assert_eq!(read(&first), Response { total_rps: Some(2), ..expected });
    let second = key.manage_next(ENUMERATE_RPS_GET_NEXT_RP);
    let rp = Some(RpEntity { id: OTHER_RP, name: Some("Other") });
    assert_eq!(read(&second), Response { rp, rp_id_hash: Some(&rp_id_hash(OTHER_RP)), ..Default::default() });
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP), [Status::NOT_ALLOWED.0]);
}

/// 6.8 enumerateCredentialsGetNextCredential: none is left → NOT_ALLOWED
#[test]
fn credentials_are_listed_newest_first_with_the_keys_they_were_made_with() {
    let (mut key, [a, b, c]) = stocked();
    let token = key.unbound(CM);
    let first = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
    let (first, second) = (read(&first), key.manage_next(ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL));
    assert_eq!((first.credential_id, first.public_key), (Some(b.descriptor()), Some(b.key())));
    assert_eq!(first.user, Some(UserEntity { id: b"b", name: None, display_name: None }));
    assert_eq!((first.total_credentials, first.rp, first.rp_id_hash), (Some(2), None, None));
    assert_eq!(first.cred_protect.map(|level| level.0), Some(1));
    assert_eq!((first.third_party_payment, first.large_blob_key), (Some(false), None));
    let second = read(&second);
    assert_eq!((second.credential_id, second.public_key), (Some(a.descriptor()), Some(a.key())));
    assert_eq!((second.user, second.total_credentials), (Some(user(b"a", "ann", "Ann")), None));
    assert_eq!(key.manage_next(ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL), [Status::NOT_ALLOWED.0]);
    let other = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(OTHER_RP)));
    assert_eq!((read(&other).public_key, read(&other).total_credentials), (Some(c.key()), Some(1)));
}

/// Enumerates the two credentials of [`RP`]: their public keys, and the scalar multiplications that it took.
fn enumerated(key: &mut Key) -> ([Vec<u8>; 2], u32) {
    let token = key.unbound(CM);
    MULTIPLICATIONS.set(0);
    let first = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
    let second = key.manage_next(ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL);
    ([first, second].map(|response| encoded(&read(&response).public_key.unwrap())), MULTIPLICATIONS.get())
}

/// Takes the public keys out of the records, which have none in a store of an earlier version. Returns by how much the
/// records shrink, in bytes.
fn forget_public_keys(store: &BenchStore) -> Vec<usize> {
    let (mut store, mut before, mut shrunk) = (store.memory.borrow_mut(), None, Vec::new());
    let mut record = [0; MAX_RECORD];
    while let Some(Found { number, rp_id_hash, len }) = store.next(Query::All, before, &mut record).unwrap() {
        let mut old = [0; MAX_RECORD];
        let credential = Credential { public_key: None, ..Credential::decode(&record[..len]).unwrap() };
        let old_len = credential.encode(&mut old).unwrap();
        let replace = Change::Replace { number, rp_id_hash: &rp_id_hash, record: &old[..old_len] };
        store.commit(&[replace]).unwrap();
        (before, shrunk) = (Some(number), [&shrunk[..], &[len - old_len]].concat());
    }
    shrunk
}

#[test]
fn an_enumeration_computes_no_public_key_that_is_in_the_record() {
    let (mut key, [a, b, _]) = stocked();
    let public_keys = [&b, &a].map(|made| encoded(&made.key()));
    assert_eq!(enumerated(&mut key), (public_keys.clone(), 0));
    let token = key.unbound(CM);
    let params = user_params(&a, user(b"a", "anna", "Anna"));
    assert_eq!(key.manage(&token, UPDATE_USER_INFORMATION, Some(&params)), [Status::OK.0]);
    assert_eq!(enumerated(&mut key), (public_keys.clone(), 0), "an update keeps the public key");
    let mut key = key.power_cut();
    assert_eq!(forget_public_keys(&key.store), [67, 35, 67], "ES256, Ed25519, ES256");
    assert_eq!(enumerated(&mut key), (public_keys, 2), "those of earlier versions are computed");
}

/// The longest members that a registration takes.
#[test]
fn a_record_without_room_for_the_public_key_is_stored_without_it() {
    let rp = RpEntity { id: &"r".repeat(255), name: Some(&"n".repeat(64)) };
    let name = "m".repeat(64);
    let user = UserEntity { id: &[7; 64], name: Some(&name), display_name: Some(&name) };
    let long = Credential {
        id: &[1; 32],
        algorithm: Algorithm::ES512,
        secret: &[2; MAX_SECRET],
        rp,
        user,
        cred_protect: Some(Level::USER_VERIFICATION_REQUIRED),
        cred_blob: Some(&[4; 32]),
        public_key: Some(&[5; 132]),
        large_blob_key: Some(true),
        third_party_payment: Some(true),
        large_blob: Some(&[]),
    };
    let mut record = [0; MAX_RECORD];
    let len = long.encode(&mut record).unwrap();
    assert_eq!(Credential::decode(&record[..len]), Some(Credential { public_key: None, ..long }));
    assert!(record[len..].iter().all(|&byte| byte == 0), "nothing is left of the first attempt");
    let es256 = Credential { algorithm: Algorithm::ES256, secret: &[2; 32], public_key: Some(&[5; 64]), ..long };
    let len = es256.encode(&mut record).unwrap();
    assert_eq!(Credential::decode(&record[..len]), Some(es256), "that of ES256 always has room");
}

#[test]
fn a_listed_credential_comes_with_what_extensions_gave_it() {
    // "credProtect": 3, "largeBlobKey": true, "thirdPartyPayment": true
    let extensions = b"\xA3\x6BcredProtect\x03\x6ClargeBlobKey\xF5\x71thirdPartyPayment\xF5";
    let mut key = Key::new();
    let extensions = Some(keyfob_core::cbor::decode(extensions).unwrap());
    let made = key.make(&make_credential::Request { extensions, ..resident(b"u") }).unwrap();
    key.set_pin(Two, PIN);
    let token = key.unbound(CM);
    let response = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
    let listed = read(&response);
    assert_eq!((listed.cred_protect.map(|level| level.0), listed.third_party_payment), (Some(3), Some(true)));
    assert!(made.large_blob_key.is_some());
    assert_eq!(listed.large_blob_key.map(|key| key.0.to_vec()), made.large_blob_key);
}

#[test]
fn protection_and_payment_are_mentioned_only_where_they_are_supported() {
    let config = Config::new([0xAA; 16]);
    let off = Caps::CRED_PROTECT.with(Caps::THIRD_PARTY_PAYMENT);
    let mut key = Key::with(Config { caps: config.caps.without(off).consistent(), ..config });
    key.make(&resident(b"u")).unwrap();
    key.set_pin(Two, PIN);
    let token = key.unbound(CM);
    let response = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
    assert_eq!((read(&response).cred_protect, read(&response).third_party_payment), (None, None));
}

/// 6.8 enumerateRPsBegin, enumerateCredentialsBegin: there are no credentials → NO_CREDENTIALS
#[test]
fn where_there_is_nothing_to_list_there_are_no_credentials() {
    let mut key = Key::new();
    key.set_pin(Two, PIN);
    let token = key.unbound(CM);
    assert_eq!(key.manage(&token, ENUMERATE_RPS_BEGIN, None), [Status::NO_CREDENTIALS.0]);
    let response = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
    assert_eq!(response, [Status::NO_CREDENTIALS.0]);
}

/// 6.8 enumerateRPsBegin: there are no credentials, with the policy of some keys → OK
#[test]
fn a_key_may_list_no_relying_parties_successfully() {
    let policy = AuthenticatorPolicy { no_rps_is_success: true, ..AuthenticatorPolicy::STRICT };
    let mut key = Key::with(Config { policy, ..Config::new([0xAA; 16]) });
    key.set_pin(Two, PIN);
    let token = key.unbound(CM);
    let response = key.manage(&token, ENUMERATE_RPS_BEGIN, None);
    assert_eq!(read(&response), Response { total_rps: Some(0), ..Response::default() });
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP), [Status::NOT_ALLOWED.0]);
}

/// 6.8: getNext without begin of the same kind → NOT_ALLOWED
#[test]
fn going_on_needs_a_beginning_of_the_same_kind() {
    let (mut key, _) = stocked();
    let none = [Status::NOT_ALLOWED.0];
    for sub_command in [ENUMERATE_RPS_GET_NEXT_RP, ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL] {
        assert_eq!(key.manage_next(sub_command), none);
    }
    let token = key.unbound(CM);
    key.manage(&token, ENUMERATE_RPS_BEGIN, None);
    assert_eq!(key.manage_next(ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL), none);
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP), none, "the wrong one ended it");
    key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP), none);
}

/// 6.8 enumerateRPsGetNextRP: the credentials of a relying party were listed in between → OK
#[test]
fn relying_parties_are_listed_on_after_the_credentials_of_one_of_them() {
    let (mut key, _) = stocked();
    let token = key.unbound(CM);
    let first = key.manage(&token, ENUMERATE_RPS_BEGIN, None);
    assert_eq!(read(&first).total_rps, Some(2));
    let rps = [read(&first).rp.unwrap().id.to_string(), {
        let credentials = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
        assert_eq!(read(&credentials).total_credentials, Some(2));
        let second = key.manage_next(ENUMERATE_RPS_GET_NEXT_RP);
        read(&second).rp.unwrap().id.to_string()
    }];
    assert!(rps.contains(&RP.to_string()) && rps.contains(&OTHER_RP.to_string()), "{rps:?}");
    // The enumeration of credentials also continues.
    assert_eq!(key.manage_next(ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL)[0], 0);
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP), [Status::NOT_ALLOWED.0], "there were two");
}

#[test]
fn nothing_to_list_in_between_ends_no_enumeration_of_relying_parties() {
    let (mut key, _) = stocked();
    let token = key.unbound(CM);
    assert_eq!(key.manage(&token, ENUMERATE_RPS_BEGIN, None)[0], 0);
    let none = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params("nobody.example")));
    assert_eq!(none, [Status::NO_CREDENTIALS.0]);
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP)[0], 0);
}

#[test]
fn each_of_two_enumerations_has_30_seconds_of_its_own() {
    let (mut key, _) = stocked();
    let token = key.unbound(CM);
    assert_eq!(key.manage(&token, ENUMERATE_RPS_BEGIN, None)[0], 0);
    key.wait(Duration::from_secs(20));
    assert_eq!(key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)))[0], 0);
    key.wait(Duration::from_secs(10));
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP), [Status::NOT_ALLOWED.0]);
}

#[test]
fn two_enumerations_end_with_every_other_command_with_their_channel_and_after_30_seconds() {
    for (name, interrupt) in interruptions() {
        for next in [ENUMERATE_RPS_GET_NEXT_RP, ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL] {
            let (mut key, _) = stocked();
            let token = key.unbound(CM);
            assert_eq!(key.manage(&token, ENUMERATE_RPS_BEGIN, None)[0], 0);
            assert_eq!(key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)))[0], 0);
            interrupt(&mut key, &token);
            assert_eq!(key.manage_next(next), [Status::NOT_ALLOWED.0], "{name}");
        }
    }
}

/// 6.8: getNext after another command, on another channel, or after 30 seconds → NOT_ALLOWED
#[test]
fn an_enumeration_ends_with_every_other_command_with_its_channel_and_after_30_seconds() {
    for (name, interrupt) in interruptions() {
        for listing in [ENUMERATE_RPS_BEGIN, ENUMERATE_CREDENTIALS_BEGIN] {
            let (mut key, _) = stocked();
            let token = key.unbound(CM);
            let params = (listing == ENUMERATE_CREDENTIALS_BEGIN).then(|| rp_params(RP));
            assert_eq!(key.manage(&token, listing, params.as_deref())[0], 0);
            interrupt(&mut key, &token);
            assert_eq!(key.manage_next(listing + 1), [Status::NOT_ALLOWED.0], "{name}");
        }
    }
}

/// 6.8: getNext after the token has expired → NOT_ALLOWED
#[test]
fn an_enumeration_goes_on_29_seconds_later_and_not_after_its_token() {
    let (mut key, _) = stocked();
    let token = key.unbound(CM);
    key.wait(Duration::from_secs(29));
    key.manage(&token, ENUMERATE_RPS_BEGIN, None); // used once, the token is valid until ten minutes after its issue
    key.wait(Duration::from_secs(29));
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP)[0], 0);
    key.wait(Duration::from_secs(600 - 58 - 1));
    key.manage(&token, ENUMERATE_RPS_BEGIN, None);
    key.wait(Duration::from_secs(1));
    assert_eq!(key.manage_next(ENUMERATE_RPS_GET_NEXT_RP), [Status::NOT_ALLOWED.0]);
}

type Interruption = (&'static str, fn(&mut Key, &Token));

/// The events that end an enumeration.
fn interruptions() -> [Interruption; 7] {
    [
        ("another command", |key, _| drop(key.command(Command::GET_INFO))),
        ("garbage", |key, _| drop(key.call(&[0xFF]))),
        ("a malformed request", |key, _| drop(key.call(&[Command::CREDENTIAL_MANAGEMENT.0, 0xFF]))),
        ("another subcommand", |key, token| drop(key.manage(token, GET_CREDS_METADATA, None))),
        ("an unknown subcommand", |key, _| drop(key.manage_next(8))),
        ("another channel", |key, _| key.engine.channel_changed()),
        ("30 seconds", |key, _| key.wait(SEQUENCE_TIMEOUT)),
    ]
}
