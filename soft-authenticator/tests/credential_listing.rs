//! authenticatorCredentialManagement: its enumerations (CTAP 2.3 §6.8.3, §6.8.4).

use std::time::Duration;

use keyfob_core::{
    Status,
    ctap2::{
        Command, RpEntity, UserEntity,
        credential_management::{Response, subcommand::*},
        make_credential,
    },
    pin_uv::{PinUvAuthProtocol::Two, Token},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{AuthenticatorPolicy, Config, SEQUENCE_TIMEOUT},
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
