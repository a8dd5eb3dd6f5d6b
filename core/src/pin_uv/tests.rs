//! Vectors of `spec/ctap.md` §10.4 to §10.6, and the token's timers.
#![cfg(feature = "rustcrypto")]

use core::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::{
    Instant,
    crypto::{NoRandom, RustCrypto},
};

fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

const IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The shared secret of §10.4 and §10.5, whose Z begins with a zero byte.
fn shared_secret(protocol: PinUvAuthProtocol) -> SharedSecret {
    let secret = P256Secret(hex("7452e599fee739d8a653f6a507343d12d382249108a651402520b72f24fe7684"));
    let peer = P256Point {
        x: hex("0501d5bc78da9252560a26cb08fcc60cbe0b6d3b8e1d1fcee514fac0af675168"),
        y: hex("d551b3ed46f665731f95b4532939c25d91db7eb844bd96d4abd4083785f8df47"),
    };
    decapsulate(&RustCrypto, protocol, &secret, &CoseKey::key_agreement(&peer)).unwrap()
}

#[test]
fn protocol_one_derives_the_vectors_secret() {
    let shared = shared_secret(PinUvAuthProtocol::One);
    assert_eq!(*shared.aes_key, hex("c42a039d548100dfba521e487debcbbb8b66bb7496f8b1862a7a395ed83e1a1c"));
    assert_eq!(*shared.hmac_key, *shared.aes_key);
}

#[test]
fn protocol_two_derives_the_vectors_secrets() {
    let shared = shared_secret(PinUvAuthProtocol::Two);
    assert_eq!(*shared.hmac_key, hex("65ef955dd8cfcacab489ad582d64b872299cec1970aeffb10c90b9d9f4b4f1a7"));
    assert_eq!(*shared.aes_key, hex("46cc03964825ccbaf159fde1958b2063871bd5b66ecf28972eaac583214a22d8"));
}

#[test]
fn protocol_one_encrypts_pins_as_the_vectors_do() {
    let shared = shared_secret(PinUvAuthProtocol::One);
    let hash = PinHash::of(&RustCrypto, b"1234");
    assert_eq!(hash.0, hex("03ac674216f3e15c761ee1a5e255f067"));
    let mut out = [0; 64];
    assert_eq!(shared.encrypt(&RustCrypto, &mut rng(), &hash.0, &mut out), Ok(16));
    assert_eq!(out[..16], hex::<16>("afe8327ce416da8ee3d057589c2ce1a9"));

    let pin = PaddedPin::new("1234", 4).unwrap();
    assert_eq!(shared.encrypt(&RustCrypto, &mut rng(), pin.as_bytes(), &mut out), Ok(64));
    let expected: [u8; 64] = hex(
        "0222fc42c6dd76a274a7057858b9b29d98e8a722ec2dc6668476168c5320473cec9907b4cd76ce7943c96ba5683943211d84471e64d9c51e54763488cd66526a",
    );
    assert_eq!(out, expected);
    assert!(shared.verify(&RustCrypto, &[&out], &hex::<16>("7b40c084ccc5794194189ab57836475f")));
}

#[test]
fn protocol_one_changes_a_pin_as_the_vectors_do() {
    let shared = shared_secret(PinUvAuthProtocol::One);
    let (mut new_pin, mut old_hash) = ([0; 64], [0; 16]);
    let pin = PaddedPin::new("4321", 4).unwrap();
    shared.encrypt(&RustCrypto, &mut rng(), pin.as_bytes(), &mut new_pin).unwrap();
    shared.encrypt(&RustCrypto, &mut rng(), &PinHash::of(&RustCrypto, b"1234").0, &mut old_hash).unwrap();
    let expected: [u8; 64] = hex(
        "4280e14aac4fcbf02dd079985f0c0ffc9ea7d5f9c173fd1a4c843826f7590cb3c2d080c6923e2fe6d7a52c31ea1309d3fcca3dedae8a2ef14b6330cafc79339e",
    );
    assert_eq!(new_pin, expected);
    let param = shared.authenticate(&RustCrypto, &[&new_pin, &old_hash]);
    assert_eq!(param.as_bytes(), hex::<16>("fb97e92f3724d7c85e001d7f93e6490a"));
}

#[test]
fn protocol_one_decrypts_a_token_of_16_bytes() {
    let shared = shared_secret(PinUvAuthProtocol::One);
    let mut out = [0; 16];
    let enc: [u8; 16] = hex("7a9f98e31b77be90f9c64d12e9635040");
    assert_eq!(shared.decrypt(&RustCrypto, &enc, &mut out), Ok(16));
    assert_eq!(out, hex("aff12c6dcfbf9df52f7a09211e8865cd"));
    assert!(Token::new(PinUvAuthProtocol::One, &out).is_some());
    assert!(Token::new(PinUvAuthProtocol::Two, &out).is_none());
}

#[test]
fn a_token_of_version_2_0_authenticates_with_all_of_its_bytes() {
    let bytes: Vec<u8> = (1..=144).collect();
    for length in 0..=144 {
        let token = Token::of_version_2_0(&RustCrypto, &bytes[..length]);
        assert_eq!(token.is_some(), [16, 32, 48, 64, 80, 96, 112, 128].contains(&length), "{length}");
        let Some(token) = token else { continue };
        let param = token.authenticate(&RustCrypto, PinUvAuthProtocol::One, &[b"message"]);
        assert_eq!(param.as_bytes(), &RustCrypto.hmac_sha256(&bytes[..length], &[b"message"])[..16], "{length}");
    }
}

#[test]
fn protocol_two_encrypts_pins_as_the_vectors_do() {
    let shared = shared_secret(PinUvAuthProtocol::Two);
    let mut out = [0; 80];
    let hash = PinHash::of(&RustCrypto, b"1234");
    assert_eq!(shared.encrypt_with_iv(&RustCrypto, IV, &hash.0, &mut out), Ok(32));
    let expected: [u8; 32] = hex("000102030405060708090a0b0c0d0e0f09870d15a35707bcc287efb5be976011");
    assert_eq!(out[..32], expected);

    let pin = PaddedPin::new("1234", 4).unwrap();
    assert_eq!(shared.encrypt_with_iv(&RustCrypto, IV, pin.as_bytes(), &mut out), Ok(80));
    let expected: [u8; 80] = hex(
        "000102030405060708090a0b0c0d0e0f76f442d0c109cfc29362cfdea56c2dd2a64f2a11b02e40df972a71df1011cf8426ff2f3887edf477a73a518467f90ff76adf360c00e8cd95e2eef66012267ec2",
    );
    assert_eq!(out, expected);
    let param = shared.authenticate(&RustCrypto, &[&out]);
    assert_eq!(param.as_bytes(), hex::<32>("cbd8ce828e9847125882660c6f7ffd3b71e5dbb13039a2b37dbae9d50f7c34cb"));
}

#[test]
fn both_protocols_authenticate_with_a_shared_secret_as_the_vectors_do() {
    let z = [0x55; 32];
    let expected: [u8; 16] = hex("8b60157df344822e54347a01fb0248a6");
    let shared = SharedSecret::derive(&RustCrypto, PinUvAuthProtocol::One, &z);
    assert_eq!(shared.authenticate(&RustCrypto, &[&[0xAA]]).as_bytes(), expected);
    let expected: [u8; 32] = hex("c03f2a225cc34e05c10e729c8dd57de5989c6815ece23a95d590e1e93ff01aaf");
    let shared = SharedSecret::derive(&RustCrypto, PinUvAuthProtocol::Two, &z);
    assert_eq!(shared.authenticate(&RustCrypto, &[&[0xAA]]).as_bytes(), expected);
}

#[test]
fn a_token_authenticates_commands_as_the_vectors_do() {
    let full: [u8; 32] = hex("9c1cfe9dd7646a06b9a80f96ad504968949020530fa3d27a9ffdfa623693f784");
    for protocol in [PinUvAuthProtocol::One, PinUvAuthProtocol::Two] {
        let token = Token::new(protocol, &[0x91; 32]).unwrap();
        let param = token.authenticate(&RustCrypto, protocol, &[&[0xAA]]);
        assert_eq!(param.as_bytes(), &full[..protocol.mac_len()]);
    }
    let token = Token::new(PinUvAuthProtocol::Two, &[0x11; 32]).unwrap();
    let toggle: [u8; 32] = hex("868aaba59ccb3db28ab3dea8d38b519457e1151c1a8f69aa42eb0f6788ca84cf");
    assert!(token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[&[0xFF; 32], &[0x0D, 0x02]]).matches(&toggle));
    let metadata: [u8; 32] = hex("c4ede064b5f2a51225b2175e5b84fb73f9cec689ac3d912ac4878f7ebeab0149");
    assert!(token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[&[0x01]]).matches(&metadata));
}

#[test]
fn the_hmac_secret_vectors_share_their_secret_and_encrypt_their_salt() {
    let z = hex("1f9a25b8fa700057cd7cf1a8805b2033670727afd3c28374f70e82d173f0926b");
    let salt: [u8; 32] = hex("527413ebb48293772df30f031c5ac4650c7de14bf9498671ae163447b6a772b3");
    let shared = SharedSecret::derive(&RustCrypto, PinUvAuthProtocol::One, &z);
    let mut out = [0; 32];
    shared.encrypt(&RustCrypto, &mut rng(), &salt, &mut out).unwrap();
    assert_eq!(out, hex("ab8c878bb05d04700f077ed91845ec9c503c925cb12b327ddbeb4243c397f913"));
    assert!(shared.verify(&RustCrypto, &[&out], &hex::<16>("3dccd36b39c6df11dd85837ce672a9bb")));

    let shared = SharedSecret::derive(&RustCrypto, PinUvAuthProtocol::Two, &z);
    let enc: [u8; 48] =
        hex("23dde5e3462daf36559b85c4ac5f9656aa9bfd81c1dc2bf8533c8b9f3882854786b4f500e25b4e3d81f7fc7c74236229");
    assert_eq!(shared.decrypt(&RustCrypto, &enc, &mut out), Ok(32));
    assert_eq!(out, salt);
    let auth: [u8; 32] = hex("8edf4c9d4770439b093d91df4e0788064a1f521c4041adb6338229b38b4f605c");
    assert!(shared.verify(&RustCrypto, &[&enc], &auth));
}

#[test]
fn identifier_and_store_state_are_encrypted_as_the_vectors_are() {
    let token = Token::new(PinUvAuthProtocol::Two, &[0x11; 32]).unwrap();
    for (purpose, value, expected) in [
        (DEVICE_IDENTIFIER, b"identifier-12345", "000102030405060708090a0b0c0d0e0f950db03dca8753b05035dc5d020521e8"),
        (CRED_STORE_STATE, b"store-state-1234", "000102030405060708090a0b0c0d0e0f9d8353747bccca46a54c782a0228f43b"),
    ] {
        assert_eq!(token.value_key(&RustCrypto, purpose).encrypt_with_iv(&RustCrypto, IV, value), hex::<32>(expected));
        let encrypted = token.value_key(&RustCrypto, purpose).encrypt(&RustCrypto, &mut rng(), value).unwrap();
        assert_ne!(encrypted[..16], IV, "the IV is random");
        assert_eq!(token.decrypt_value(&RustCrypto, purpose, &encrypted), Some(*value));
        for len in [0, 15, 16, 31] {
            assert_eq!(token.decrypt_value(&RustCrypto, purpose, &encrypted[..len]), None);
        }
    }
}

#[test]
fn a_key_off_the_curve_is_refused() {
    let point = P256Point { x: [1; 32], y: [1; 32] };
    let key = CoseKey::key_agreement(&point);
    assert!(encapsulate(&RustCrypto, &mut rng(), PinUvAuthProtocol::Two, &key).is_err());
    assert_eq!(
        decapsulate(&RustCrypto, PinUvAuthProtocol::Two, &P256Secret([1; 32]), &key).err(),
        Some(Error::InvalidKey)
    );
}

#[test]
fn a_pin_is_counted_in_code_points_and_bounded_in_bytes() {
    assert_eq!(PaddedPin::new("123", 4).err(), Some(PinError::TooShort));
    assert_eq!(PaddedPin::new("äöü", 4).err(), Some(PinError::TooShort));
    assert_eq!(PaddedPin::new("äöüß", 4).unwrap().byte_len(), 8);
    assert_eq!(PaddedPin::new(&"0".repeat(64), 4).err(), Some(PinError::TooLong));
    assert_eq!(PaddedPin::new(&"0".repeat(63), 4).unwrap().code_points(), 63);
    assert_eq!(PaddedPin::new("1234\0", 4).err(), Some(PinError::TrailingZero));
    assert!(PaddedPin::from_decrypted(&[0; 48]).is_none());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let text = format!(
        "{:?} {:?} {:?} {:?}",
        shared_secret(PinUvAuthProtocol::Two),
        PaddedPin::new("1234", 4).unwrap(),
        PinHash::of(&RustCrypto, b"1234"),
        Token::generate(&mut rng()).unwrap()
    );
    assert_eq!(text, "SharedSecret(Two, ..) PaddedPin(..) PinHash(..) Token(..)");
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn verified() -> UserVerified {
    UserVerified::by_sensor(true).unwrap()
}

fn issue(state: &mut TokenState) -> Token {
    let permissions = Permissions::MC.with(Permissions::LBW);
    state.issue(&mut rng(), at(100), PinUvAuthProtocol::Two, permissions, None, true, verified()).unwrap().clone()
}

fn accepts(state: &mut TokenState, token: &Token, now: Instant) -> bool {
    let param = token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[b"m"]);
    state.verify(&RustCrypto, now, PinUvAuthProtocol::Two, &[b"m"], param.as_bytes())
}

#[test]
fn an_unused_token_expires_after_30_seconds_and_a_used_one_after_10_minutes() {
    let mut state = TokenState::default();
    let token = issue(&mut state);
    assert!(!accepts(&mut state, &token, at(100).plus(INITIAL_USAGE_LIMIT)));
    assert!(!state.in_use());

    let token = issue(&mut state);
    assert!(accepts(&mut state, &token, at(129)));
    assert!(accepts(&mut state, &token, at(699)));
    assert!(!accepts(&mut state, &token, at(700)));
}

#[test]
fn a_token_remembers_the_users_presence_for_30_seconds() {
    let mut state = TokenState::default();
    let token = issue(&mut state);
    assert!(accepts(&mut state, &token, at(129)));
    assert!(state.user_present());
    state.observe(at(130));
    assert!(!state.user_present());
}

#[test]
fn a_consumed_token_keeps_only_large_blob_write() {
    let mut state = TokenState::default();
    issue(&mut state);
    state.consume();
    assert!(!state.permits(Permissions::MC) && state.permits(Permissions::LBW));
    assert!(state.user_verified().is_none() && !state.user_present());
}

#[test]
fn a_token_binds_to_the_first_relying_party_it_is_used_for() {
    let mut state = TokenState::default();
    issue(&mut state);
    assert!(state.allows_rp(&[1; 32]) && state.allows_rp(&[2; 32]));
    state.bind_rp(&[1; 32]);
    state.bind_rp(&[2; 32]);
    assert!(state.allows_rp(&[1; 32]) && !state.allows_rp(&[2; 32]));
}

#[test]
fn a_token_is_void_under_the_other_protocol_and_after_the_next_one() {
    let mut state = TokenState::default();
    let token = issue(&mut state);
    let param = token.authenticate(&RustCrypto, PinUvAuthProtocol::One, &[b"m"]);
    assert!(!state.verify(&RustCrypto, at(101), PinUvAuthProtocol::One, &[b"m"], param.as_bytes()));
    state
        .issue(
            &mut ChaCha20Rng::seed_from_u64(2),
            at(101),
            PinUvAuthProtocol::Two,
            Permissions::MC,
            None,
            false,
            verified(),
        )
        .unwrap();
    assert!(!accepts(&mut state, &token, at(102)));
}

#[test]
fn no_token_verifies_before_one_is_issued() {
    let mut state = TokenState::default();
    let zero = Token::new(PinUvAuthProtocol::Two, &[0; 32]).unwrap();
    assert!(!accepts(&mut state, &zero, Instant::default().plus(Duration::from_secs(1))));
}

proptest! {
    #[test]
    fn what_one_end_encrypts_the_other_decrypts(blocks in 0usize..8, byte: u8, seed: u64, two: bool) {
        let protocol = if two { PinUvAuthProtocol::Two } else { PinUvAuthProtocol::One };
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (secret, public) = RustCrypto.p256_generate(&mut rng).unwrap();
        let (point, platform) = encapsulate(&RustCrypto, &mut rng, protocol, &CoseKey::key_agreement(&public)).unwrap();
        let authenticator = decapsulate(&RustCrypto, protocol, &secret, &CoseKey::key_agreement(&point)).unwrap();
        let plaintext = vec![byte; blocks * 16];
        let (mut ciphertext, mut back) = ([0; 160], [0; 160]);
        let len = platform.encrypt(&RustCrypto, &mut rng, &plaintext, &mut ciphertext).unwrap();
        prop_assert_eq!(len, plaintext.len() + protocol.overhead());
        let len = authenticator.decrypt(&RustCrypto, &ciphertext[..len], &mut back).unwrap();
        prop_assert_eq!(&back[..len], &plaintext[..]);
    }

    #[test]
    fn a_ciphertext_of_broken_blocks_is_refused(len in 0usize..100, two: bool) {
        let protocol = if two { PinUvAuthProtocol::Two } else { PinUvAuthProtocol::One };
        let mut out = [0; 128];
        let result = shared_secret(protocol).decrypt(&RustCrypto, &vec![7; len], &mut out);
        let whole = len >= protocol.overhead() && (len - protocol.overhead()) % 16 == 0;
        prop_assert_eq!(result.is_ok(), whole);
    }
}

#[test]
fn a_random_source_that_fails_gives_no_token_no_ciphertext_and_no_key_and_voids_the_token_before() {
    let failed = Error::RandomSource;
    assert_eq!(Token::generate(&mut NoRandom).map(|_| ()).unwrap_err(), failed);
    let mut state = TokenState::default();
    issue(&mut state);
    assert!(state.in_use());
    let issued = state.issue(&mut NoRandom, at(101), PinUvAuthProtocol::Two, Permissions::MC, None, true, verified());
    assert_eq!(issued.map(|_| ()).unwrap_err(), failed);
    assert!(!state.in_use() && !state.permits(Permissions::MC));

    let shared = SharedSecret::derive(&RustCrypto, PinUvAuthProtocol::Two, &[1; 32]);
    assert_eq!(shared.encrypt(&RustCrypto, &mut NoRandom, &[0; 16], &mut [0; 32]), Err(failed));
    let (_, point) = RustCrypto.p256_generate(&mut rng()).unwrap();
    let key = CoseKey::key_agreement(&point);
    assert_eq!(encapsulate(&RustCrypto, &mut NoRandom, PinUvAuthProtocol::Two, &key).map(|_| ()).unwrap_err(), failed);
    let token = Token::generate(&mut rng()).unwrap();
    assert_eq!(
        token.value_key(&RustCrypto, DEVICE_IDENTIFIER).encrypt(&RustCrypto, &mut NoRandom, &[0; 16]),
        Err(failed)
    );
}

#[test]
fn a_token_or_a_mac_of_an_impossible_length_is_never_empty() {
    let shared = shared_secret(PinUvAuthProtocol::Two);
    for length in [0, 1, 15, 33, usize::MAX] {
        let mac = Mac { length, ..shared.authenticate(&RustCrypto, &[b"m"]) };
        assert!(!mac.matches(&[]) && !mac.matches(&mac.bytes[..1]), "{length}");
    }
    let state = TokenState::default();
    assert!(!state.in_use());
    let nothing = Token::default().authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[b"m"]);
    let empty_key = PinUvAuthProtocol::Two.authenticate(&RustCrypto, &[], &[b"m"]);
    assert!(!TokenState::default().verify(&RustCrypto, at(1), PinUvAuthProtocol::Two, &[b"m"], nothing.as_bytes()));
    // HMAC pads its key with zeros, so a token of zeros and an empty token give the same MAC. The state above refuses
    // both.
    assert!(nothing.matches(empty_key.as_bytes()));
}

#[test]
fn only_the_whole_right_hash_is_evidence_that_the_user_was_verified() {
    let hash = PinHash([7; 16]);
    assert!(hash.verify(&[7; 16]).is_some_and(UserVerified::holds));
    for wrong in [&[][..], &[7], &[7; 15], &[7; 17], &[7; 32], &[8; 16]] {
        assert!(hash.verify(wrong).is_none(), "{wrong:?}");
    }
}

/// 6.5.2.1: the limits of a token over NFC
#[test]
fn over_nfc_a_token_that_is_not_used_and_its_presence_expire_after_19_8_seconds() {
    for (nfc, limit) in [(true, NFC_LIMIT), (false, INITIAL_USAGE_LIMIT)] {
        let mut state = TokenState::default();
        state.set_nfc(nfc);
        issue(&mut state);
        let issued = at(100);
        state.observe(issued.plus(limit - Duration::from_millis(1)));
        assert!(state.in_use());
        state.observe(issued.plus(limit));
        assert!(!state.in_use() && !state.user_present());
        issue(&mut state);
        state.observe(issued.plus(limit));
        assert!(!state.in_use(), "the limits stay");
    }
}
