//! Faults after which a command fails closed: a failing random source, a faulty signature.

use keyfob_core::{
    Status,
    crypto::{RustCrypto, Sign},
    ctap1::StatusWord,
    ctap2::Command,
};
use keyfob_soft_authenticator::{
    Caps,
    devices::{VIRTUAL_KEY_AAGUID, virtual_key_certificate},
    engine::{AttestationMode, Certified, Config, ConfigError},
};

use super::{
    harness::*,
    hmac_secret,
    power::token_request,
    u2f::{self, touched},
};

/// Makes the random source fail at each draw of a command in turn. The answer must be an error, and the store
/// unchanged. When the random source works again, the command must succeed. Returns how many draws the command takes.
fn fails_at_each_draw(key: &mut Key, request: impl Fn(&mut Key) -> Vec<u8>, commits_before: u32) -> u32 {
    for draws in 0..20 {
        let request = request(key);
        let commits = key.store.applied();
        RANDOM.set(draws);
        let status = key.status(&request);
        RANDOM.set(u32::MAX);
        if status == Status::OK {
            return draws;
        }
        assert_eq!(status, Status::OTHER, "draw {draws}");
        assert!(key.store.applied() <= commits + commits_before, "draw {draws} came after a commit");
    }
    panic!("a command that never succeeds");
}

fn with_salt(key: &mut Key) -> Vec<u8> {
    message(Command::GET_ASSERTION, &asking(&hmac_secret::ask_for_one(key)))
}

#[test]
fn a_random_source_that_fails_is_a_status_and_nothing_is_half_done() {
    let mut key = Key::new();
    let make = |key: &mut Key, user: &[u8]| {
        let user = user.to_vec();
        fails_at_each_draw(key, |_| message(Command::MAKE_CREDENTIAL, &resident(&user)), 0)
    };
    assert_eq!(make(&mut key, b"u"), 4, "key, id, hedge, the store's state");
    assert_eq!(fails_at_each_draw(&mut key, |_| message(Command::MAKE_CREDENTIAL, &registration(b"w")), 0), 3);
    assert_eq!(fails_at_each_draw(&mut key, |_| message(Command::GET_ASSERTION, &assertion()), 0), 1);
    assert_eq!(fails_at_each_draw(&mut key, with_salt, 0), 1, "one draw for hedge and IV");
    assert_eq!(fails_at_each_draw(&mut key, |_| vec![Command::GET_INFO.0], 0), 2);

    assert_eq!(fails_at_each_draw(&mut key, |key| set_pin_message(&mut |request| key.call(request), PIN), 0), 1);
    // Before, only the count of the attempt and the reset of the counter are committed.
    assert_eq!(fails_at_each_draw(&mut key, |key| token_request(key, PIN), 2), 2, "the token and its IV");
    assert_eq!(key.retries(), (8, false));

    let mut key = Key::new();
    make(&mut key, b"u");
    assert_eq!(fails_at_each_draw(&mut key, |_| vec![Command::RESET.0], 0), 4);
    assert_eq!(key.get(&assertion()).unwrap_err(), Status::NO_CREDENTIALS, "the reset whose draws succeeded");
}

#[test]
fn a_random_source_that_fails_at_the_first_boot_leaves_the_store_empty() {
    for draws in 0..4 {
        let store = BenchStore::default();
        RANDOM.set(draws);
        let failed = Key::try_with(Config::new([0xAA; 16]), store.clone()).err();
        RANDOM.set(u32::MAX);
        assert_eq!((failed, store.applied()), (Some(ConfigError::RandomSource), 0));
        Key::try_with(Config::new([0xAA; 16]), store).unwrap().make(&resident(b"u")).unwrap();
    }
}

#[test]
fn a_random_source_that_fails_registers_and_signs_nothing_by_u2f() {
    let mut key = Key::new();
    let registered = u2f::registered(&mut key);
    let commits = key.store.applied();
    RANDOM.set(0);
    let unknown = StatusWord::UNKNOWN.0.to_be_bytes();
    assert_eq!(touched(&mut key, &u2f::registration(&rp_id_hash(RP))), unknown);
    assert_eq!(u2f::sign_unasked(&mut key, &registered), unknown);
    RANDOM.set(u32::MAX);
    assert_eq!(key.store.applied(), commits);
}

/// Whether a registration with `config` has a deterministic signature.
fn is_deterministic(config: Config<'static>) -> bool {
    let certified = virtual_key_certificate();
    let config = Config { aaguid: VIRTUAL_KEY_AAGUID, attestation: AttestationMode::Certified(certified), ..config };
    let made = Key::with(config).make(&registration(b"u")).unwrap();
    let Certified { algorithm, secret, .. } = certified;
    let mut signature = [0; 72];
    let len = RustCrypto.sign(algorithm, secret, &[&made.auth_data, &HASH], &mut signature).unwrap();
    made.att_stmt.windows(len).any(|part| part == &signature[..len])
}

#[test]
fn signatures_are_hedged_unless_the_configuration_says_otherwise() {
    let config = Config::new([0; 16]);
    assert!(!is_deterministic(config));
    assert!(is_deterministic(Config { hedged_signatures: false, ..config }));
}

#[test]
fn a_signature_with_a_fault_goes_nowhere_where_signatures_are_checked() {
    let checked = Config { caps: Config::new([0; 16]).caps.with(Caps::SIGNATURE_CHECK), ..Config::new([0; 16]) };
    for (config, goes_out) in [(Config::new([0; 16]), true), (checked, false)] {
        let mut key = Key::with(config);
        key.make(&resident(b"u")).unwrap();
        let registered = u2f::registered(&mut key);
        assert!(key.get(&assertion()).is_ok() && u2f::sign_unasked(&mut key, &registered).len() > 2);
        WRONG_SIGNATURES.set(true);
        assert_eq!(key.get(&assertion()).is_ok(), goes_out);
        assert_eq!(key.make(&registration(b"w")).is_ok(), goes_out);
        assert_eq!(u2f::sign_unasked(&mut key, &registered).len() > 2, goes_out);
        assert_eq!(touched(&mut key, &u2f::registration(&rp_id_hash(RP))).len() > 2, goes_out);
        if !goes_out {
            assert_eq!(key.get(&assertion()).unwrap_err(), Status::OTHER);
        }
        WRONG_SIGNATURES.set(false);
        assert!(key.get(&assertion()).is_ok());
    }
}
