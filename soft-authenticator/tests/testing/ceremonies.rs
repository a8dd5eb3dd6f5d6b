//! A browser, a key and a server; and a client of one's own.

use std::time::Duration;

use keyfob_core::{
    auth_data::Flags,
    client::{self, Ceremony, UserInteraction, manage::GetInfo},
    crypto::RustCrypto,
    ctap2::Command,
};
use keyfob_soft_authenticator::{engine::Config, testing::TestKey};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde_json::json;

use crate::page::*;

struct Silent;
impl UserInteraction for Silent {}

#[test]
fn a_server_accepts_a_registration_and_sign_ins_with_rising_counters() {
    let key = TestKey::seeded(5);
    let (account, seen) = register(&page(&key).create(creation().to_string()).unwrap()).unwrap();
    assert!(seen.has(Flags::UP) && seen.has(Flags::UV) && !seen.has(Flags::BE) && !seen.has(Flags::BS));
    assert_eq!(seen.sign_count, 0);
    let first = sign_in(&account, &page(&key).get(request().to_string()).unwrap()).unwrap();
    let second = sign_in(&account, &page(&key).get(request_of(&[&account.id]).to_string()).unwrap()).unwrap();
    assert_eq!((first.sign_count, second.sign_count), (1, 2));
}

#[test]
fn the_seed_decides_everything() {
    let run = |seed| {
        let key = TestKey::seeded(seed);
        [page(&key).create(creation().to_string()), page(&key).get(request().to_string())].map(Result::unwrap)
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn handles_are_of_the_same_key_also_on_another_thread() {
    let key = TestKey::seeded(5);
    let other = key.clone();
    let response = std::thread::spawn(move || page(&other).create(creation().to_string()).unwrap()).join().unwrap();
    let (account, _) = register(&response).unwrap();
    assert_eq!(key.credentials()[0].credential_id, account.id);
}

#[test]
fn a_client_of_ones_own_speaks_to_the_key_over_its_transport() {
    let key = TestKey::seeded(5);
    let mut buffer = [0; 4096];
    let ceremony = Ceremony::new(GetInfo, &mut buffer, RustCrypto, ChaCha8Rng::seed_from_u64(1));
    let info = client::run(ceremony, &mut key.transport(), &mut Silent, key.clock()).unwrap();
    assert_eq!(*info.aaguid, TestKey::config().aaguid);
    assert_eq!(key.history().last().unwrap().command, Command::GET_INFO);
}

#[test]
fn a_key_with_another_configuration_is_what_it_says() {
    let key = TestKey::with_config(5, Config::minimal_2_0([7; 16])).unwrap();
    let options = with(creation(), "authenticatorSelection", json!({"userVerification": "discouraged"}));
    let response: serde_json::Value = serde_json::from_str(&page(&key).create(options.to_string()).unwrap()).unwrap();
    let auth_data = bytes(&response["response"]["authenticatorData"]);
    assert_eq!(auth_data[37..53], [7; 16]);
    let contradictory = Config { max_msg_size: 1_000, ..TestKey::config() };
    assert!(TestKey::with_config(5, contradictory).is_err());
}

#[test]
fn history_tells_commands_lists_and_options() {
    let key = TestKey::seeded(5);
    let excluded = json!([{"type": "public-key", "id": b64(b"another credential")}]);
    let created = page(&key).create(with(creation(), "excludeCredentials", excluded).to_string()).unwrap();
    let (account, _) = register(&created).unwrap();
    let made = key.history().into_iter().find(|asked| asked.command == Command::MAKE_CREDENTIAL).unwrap();
    assert_eq!(made.rp_id.as_deref(), Some(RP));
    assert_eq!(made.exclude_list, [b"another credential"]);
    assert_eq!(made.options.rk, Some(true));
    assert_eq!(made.request[0], 0x01);

    key.clear_history();
    page(&key).get(request_of(&[&account.id]).to_string()).unwrap();
    let signed = key.history().into_iter().find(|asked| asked.command == Command::GET_ASSERTION).unwrap();
    assert_eq!(signed.allow_list, [account.id]);
    assert!(!key.history().iter().any(|asked| asked.command == Command::MAKE_CREDENTIAL));
}

#[test]
fn time_is_the_tests() {
    let (key, before) = (TestKey::seeded(5), std::time::Instant::now());
    key.advance(Duration::from_secs(3_600));
    assert_eq!(key.now().as_millis(), 3_600_000);
    page(&key).create(creation().to_string()).unwrap();
    assert!(key.now().as_millis() < 3_602_000, "a ceremony takes {} ms", key.now().as_millis() - 3_600_000);
    assert!(before.elapsed() < Duration::from_secs(60));
}
