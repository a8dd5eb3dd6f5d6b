//! Failures of the store, damaged settings and failures of the crypto backend; and that no secrets are left in memory
//! when a command ends.

use std::mem::forget;

use keyfob_core::{
    Instant, Status,
    cbor::List,
    ctap1::StatusWord,
    ctap2::{
        Command, client_pin,
        client_pin::subcommand::{GET_KEY_AGREEMENT, GET_TOKEN_USING_PIN},
        get_assertion::Request,
    },
    pin_uv::PinUvAuthProtocol::Two,
};
use keyfob_soft_authenticator::{
    devices::VirtualPlatform,
    engine::{Config, ConfigError, Engine, Event, Platform, Progress, Wait},
    store::{Change, MemoryStore, Setting, Store, StoreError},
};

use super::{
    harness::*,
    power::token_request,
    power_sweep::SETTINGS,
    u2f::{self, touched},
    user_verification::SENSOR,
};

/// 6.5.5 wrong PIN: the retry counter is damaged → PIN_BLOCKED
#[test]
fn a_damaged_retry_counter_gives_no_attempts_away() {
    for damaged in [&[][..], &[8, 8]] {
        let key = Key::with_pin();
        key.store.memory.borrow_mut().commit(&[Change::Set(Setting::PinRetries, damaged)]).unwrap();
        let mut key = key.power_cut();
        assert_eq!(key.token(Two, PIN, GA, None).unwrap_err(), Status::PIN_BLOCKED, "{damaged:?}");
    }
}

/// Powers a key up again after these settings were lost. `Err` if it does not power up.
fn without(key: Key, lost: &[Setting], config: Config<'static>) -> Result<Key, ConfigError> {
    let store = BenchStore::default();
    for setting in SETTINGS.into_iter().filter(|setting| !lost.contains(setting)) {
        if let Some(value) = key.store.setting(setting) {
            store.memory.borrow_mut().commit(&[Change::Set(setting, &value)]).unwrap();
        }
    }
    Key::try_with(config, store)
}

/// 6.5.5 wrong PIN: the retry counter is missing, and a PIN is set → PIN_BLOCKED
/// 6.5.5 setPIN: the PIN is lost, and its retry counter is there → PIN_AUTH_INVALID
#[test]
fn a_pin_without_its_counter_or_a_counter_without_its_pin_leaves_no_attempt_but_a_reset() {
    let config = Config::new([0xAA; 16]);
    for lost in [Setting::PinRetries, Setting::Pin] {
        let mut key = without(Key::with_pin(), &[lost], config).unwrap();
        assert_eq!(key.retries(), (0, false), "{lost:?}");
        assert_eq!(key.token(Two, PIN, GA, None).unwrap_err(), Status::PIN_BLOCKED);
        assert_eq!(key.set_pin(Two, PIN), Status::PIN_AUTH_INVALID);
        assert_eq!(
            key.make(&resident(b"u")).unwrap_err(),
            Status::PUAT_REQUIRED,
            "what the PIN protected, it protects"
        );
        assert_eq!(key.status(&[Command::RESET.0]), Status::OK);
        assert_eq!((key.retries(), key.set_pin(Two, PIN)), ((8, false), Status::OK));
    }
    let mut key = without(Key::new(), &[], config).unwrap();
    assert_eq!((key.retries(), key.set_pin(Two, PIN)), ((8, false), Status::OK), "neither was ever stored");
}

#[test]
fn a_fingerprint_without_the_counter_of_its_attempts_is_blocked_until_the_right_pin() {
    let enrolled = || {
        let mut key = Key::with(SENSOR);
        assert_eq!(key.set_pin(Two, PIN), Status::OK);
        let token = key.unbound(BE);
        key.enrol(&token).unwrap();
        key
    };
    let mut key = without(enrolled(), &[Setting::UvRetries], SENSOR).unwrap();
    assert_eq!(key.uv_retries(), 0);
    assert_eq!(key.uv_token(Two, MC, None).unwrap_err(), Status::UV_BLOCKED);
    key.token(Two, PIN, MC, None).unwrap();
    key.uv_token(Two, MC, None).unwrap();
    // Without a fingerprint, built-in verification was not possible, so the missing counter is not a fault. The PIN may
    // come from a firmware without a sensor.
    let mut key = without(Key::with_pin(), &[], SENSOR).unwrap();
    assert_eq!(key.uv_retries(), 5);
}

#[test]
fn options_that_something_says_were_stored_are_not_loosened_when_they_are_lost() {
    let failed = Some(ConfigError::Store(StoreError::Failed));
    let config = Config::new([0xAA; 16]);
    assert_eq!(without(Key::with_pin(), &[Setting::Options], config).err(), failed, "they come with a PIN");
    let listed = || Key::new().set(Setting::Options, &[0, 6]).set(Setting::MinPinRpIds, &rp_id_hash(RP));
    assert_eq!(without(listed(), &[Setting::Options], config).err(), failed, "they come with the relying parties");
    // A store from before there were options has no persistent token either.
    let old = [Setting::Options, Setting::PersistentToken];
    without(Key::with_pin(), &old, config).unwrap().token(Two, PIN, GA, None).unwrap();
    without(Key::new(), &[], config).unwrap();
}

#[test]
fn a_damaged_seed_or_counter_is_a_failure_and_not_a_new_beginning() {
    let key = Key::with_pin();
    key.store.memory.borrow_mut().commit(&[Change::Set(Setting::Seed, &[1; 31])]).unwrap();
    let failed = Key::try_with(Config::new([0xAA; 16]), key.store.clone()).err();
    assert_eq!(failed, Some(ConfigError::Store(StoreError::Failed)));

    let mut key = Key::new();
    key.make(&resident(b"u")).unwrap();
    key.store.memory.borrow_mut().commit(&[Change::Set(Setting::SignCount, &[0; 3])]).unwrap();
    assert_eq!(key.get(&assertion()).unwrap_err(), Status::OTHER);
}

#[test]
fn a_seed_that_is_lost_is_damage_where_something_else_is_stored() {
    let failed = Some(ConfigError::Store(StoreError::Failed));
    let config = Config::new([0xAA; 16]);
    // Each setting alone, and a credential alone.
    for setting in Setting::ALL {
        let store = BenchStore::default();
        store.memory.borrow_mut().commit(&[Change::Set(setting, &[1])]).unwrap();
        assert_eq!(Key::try_with(config, store).err(), failed, "{setting:?}");
    }
    let store = BenchStore::default();
    store.memory.borrow_mut().commit(&[Change::Put { rp_id_hash: &rp_id_hash(RP), record: &[1] }]).unwrap();
    assert_eq!(Key::try_with(config, store.clone()).err(), failed);
    // No new one was made.
    assert_eq!(store.setting(Setting::Seed), None);
    Key::try_with(config, BenchStore::default()).unwrap();
}

#[test]
fn a_store_that_cannot_be_read_gives_no_token_and_no_signature() {
    let mut key = Key::with_pin();
    let made = key.make(&registration(b"u")).unwrap();
    let request = token_request(&mut key, PIN);
    key.store.fault.set(Fault::Reads);
    assert_eq!(key.status(&request), Status::OTHER);
    assert_eq!(key.get(&assertion()).unwrap_err(), Status::OTHER);
    let list = [made.descriptor()];
    let allow_list = Some(List::Slice(&list[..]));
    assert_eq!(key.get(&Request { allow_list, ..assertion() }).unwrap_err(), Status::OTHER);
    key.store.fault.set(Fault::None);
    assert_eq!(key.retries(), (7, false), "the attempt was counted");
}

#[test]
fn a_change_does_not_print_the_secrets_it_carries() {
    let secret = [0xAB; 32];
    for change in [Change::Set(Setting::Seed, &secret), Change::Put { rp_id_hash: &[0; 32], record: &secret }] {
        let printed = format!("{change:?}");
        assert!(printed.contains("32 bytes") && !printed.contains("171"), "{printed}");
    }
}

#[test]
fn a_damaged_pin_opens_nothing() {
    let mut key = Key::with_pin().set(Setting::Pin, &[0; 4]);
    assert_eq!(key.token(Two, PIN, GA, None).unwrap_err(), Status::OTHER);
    assert_eq!(key.retries(), (7, false), "the attempt was counted");
}

#[test]
fn a_store_that_cannot_be_read_is_told_when_the_power_comes() {
    let key = Key::with_pin();
    for read in 0..9 {
        key.store.fault.set(Fault::ReadsAfter(read));
        let failed = Key::try_with(Config::new([0xAA; 16]), key.store.clone()).err();
        key.store.fault.set(Fault::None);
        if failed.is_none() {
            let settings = "seed, PIN, its attempts, those of verification, fingerprints, what was replaced, options";
            assert_eq!(read, 7, "{settings}");
            return;
        }
        assert_eq!(failed, Some(ConfigError::Store(StoreError::Failed)));
    }
    panic!("more reads than settings");
}

#[test]
fn a_crypto_backend_that_fails_registers_signs_and_agrees_on_nothing() {
    let mut key = Key::with_pin();
    let made = key.make(&registration(b"u")).unwrap();
    let session = key.agree(Two);
    let token = key.token(Two, PIN, MC, None).unwrap();
    let commits = key.store.applied();
    BROKEN.set(true);
    assert_eq!(key.make(&registration(b"v")).unwrap_err(), Status::OTHER);
    assert_eq!(key.make_with(Two, &token, resident(b"v")).unwrap_err(), Status::PIN_AUTH_INVALID, "used up");
    assert_eq!(key.get(&listed(assertion(), &[made.descriptor()])).unwrap_err(), Status::OTHER);
    assert_eq!(key.client_pin(&session.request(GET_KEY_AGREEMENT)), Status::OK, "the same key pair as before");
    let pin_hash_enc = key.encrypt(&session, &pin_hash(PIN));
    let pin_hash_enc = Some(&pin_hash_enc[..]);
    let request = client_pin::Request { pin_hash_enc, permissions: Some(1), ..session.request(GET_TOKEN_USING_PIN) };
    assert_eq!(key.client_pin(&request), Status::OTHER);
    assert_eq!(touched(&mut key, &u2f::registration(&rp_id_hash(RP))), StatusWord::UNKNOWN.0.to_be_bytes());
    BROKEN.set(false);
    assert_eq!(key.store.applied(), commits + 1, "the signature counter");
    assert_eq!(key.retries(), (8, false));
}

/// The scratch area after a command with a secret key was ended by `end`, which consumes the engine.
fn scratch_after(sign_in: bool, end: fn(Engine<'_, Bench>)) -> Vec<u8> {
    let (config, store, now) = (Config::new([0; 16]), BenchStore::default(), Instant::default());
    let crypto = bench_crypto(&store.slow);
    let mut buffer = vec![0; config.buffer_len()];
    let mut engine = Engine::<Bench>::new(&mut buffer, config, crypto, BenchRng::new(0), store.watched(), now).unwrap();
    let mut begin = |request: &[u8], polls| {
        engine.buffer()[..request.len()].copy_from_slice(request);
        let first = engine.begin(now, request.len());
        (0..polls).fold(first, |_, _| engine.resume(now, Event::Touched))
    };
    let polls = if sign_in { 3 } else { 2 }; // the third writes the answer
    begin(&message(Command::MAKE_CREDENTIAL, &resident(b"user")), polls);
    if sign_in {
        assert!(matches!(begin(&message(Command::GET_ASSERTION, &assertion()), 0), Progress::Pending(_)));
    }
    end(engine);
    buffer.split_off(config.max_msg_size)
}

#[test]
fn no_secret_key_stays_in_the_scratch_area_however_a_command_ends() {
    let ends: [fn(Engine<'_, Bench>); 7] = [
        |engine| drop(engine),
        |mut engine| {
            engine.resume(Instant::default(), Event::Cancel);
            forget(engine);
        },
        |mut engine| {
            engine.resume(engine.deadline().unwrap_or_default(), Event::Denied);
            forget(engine);
        },
        |mut engine| {
            engine.abort();
            forget(engine);
        },
        |mut engine| {
            engine.power_cycle(Instant::default()).unwrap();
            forget(engine);
        },
        |mut engine| {
            engine.begin(Instant::default(), 0);
            forget(engine);
        },
        |mut engine| {
            while engine.is_pending() {
                engine.resume(Instant::default(), Event::Touched);
            }
            forget(engine);
        },
    ];
    for sign_in in [false, true] {
        let dirty = scratch_after(sign_in, |engine| forget(engine));
        assert!(dirty.iter().any(|byte| *byte != 0), "the engine was interrupted while the key was there");
        for end in ends {
            assert!(scratch_after(sign_in, end).iter().all(|byte| *byte == 0));
        }
    }
}

/// The certificate is written to the scratch area, which PINGs and vendor commands may read afterwards.
#[test]
fn nothing_stays_in_the_scratch_area_after_a_registration_over_u2f() {
    let (config, store, now) = (Config::new([0; 16]), BenchStore::default(), Instant::default());
    let crypto = bench_crypto(&store.slow);
    let mut buffer = vec![0; config.buffer_len()];
    let mut engine = Engine::<Bench>::new(&mut buffer, config, crypto, BenchRng::new(0), store.watched(), now).unwrap();
    let apdu = u2f::registration(&rp_id_hash(RP));
    let call = |engine: &mut Engine<'_, Bench>| {
        engine.buffer()[..apdu.len()].copy_from_slice(&apdu);
        let mut progress = engine.begin_u2f(now, apdu.len());
        while progress == Progress::Pending(Wait::Processing) {
            progress = engine.resume(now, Event::Tick);
        }
        progress
    };
    assert_eq!(call(&mut engine), Progress::Reply(2), "it asks for a touch");
    engine.touch_for_u2f(now, true);
    assert!(matches!(call(&mut engine), Progress::Reply(400..)));
    forget(engine);
    assert!(buffer[config.max_msg_size..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_platform_that_knows_no_vendor_command_refuses_all() {
    let store: Box<dyn Store + Send> = Box::new(MemoryStore::<1>::new());
    let refused = VirtualPlatform::vendor_command(&mut store.into(), 7, &[]);
    assert_eq!(refused, Err(keyfob_core::Failure::INVALID_PARAMETER));
}
