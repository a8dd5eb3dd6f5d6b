//! The user is verified: by the PIN that OpenSSH has asked for, or by a finger.

use std::time;

use keyfob_core::{
    Instant,
    client::{self, Ceremony, PinEntry, Prompt, UserInteraction, manage::SetPin},
    crypto::RustCrypto,
    transport::hid::HidTransport,
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, VirtualKey},
    store::FileStore,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::abi::*;

const VERIFIED: u8 = USER_PRESENCE | USER_VERIFICATION;
/// The flags of a signature with user presence and user verification.
const UP_AND_UV: u8 = 0x05;

impl File {
    /// Sets the PIN as `keyfob run --pin` does.
    fn set_pin(&self, pin: &str) {
        struct Typing<'p>(&'p str);
        impl UserInteraction for Typing<'_> {
            fn request_new_pin(&mut self, _: &Prompt<'_>, entry: &mut PinEntry) -> bool {
                entry.set(self.0);
                true
            }
        }
        let options = KeyOptions::workstation();
        let mut memory = vec![0; options.config.buffer_len()];
        let store = Some(Box::new(FileStore::open(self.path()).unwrap()) as _);
        let key = VirtualKey::new(&mut memory, KeyOptions { store, ..options }).unwrap();
        let start = time::Instant::now();
        let clock = || Instant::from_millis(start.elapsed().as_millis() as u64);
        let mut transport = HidTransport::new(InProcess(key), clock, *b"a nonce!");
        let mut buffer = [0; 1024];
        let ceremony = Ceremony::new(SetPin, &mut buffer, RustCrypto, ChaCha20Rng::seed_from_u64(1));
        client::run(ceremony, &mut transport, &mut Typing(pin), clock).unwrap();
    }
}

#[test]
fn without_a_pin_a_finger_verifies_the_user_whatever_was_typed() {
    let file = File::new();
    let key = enroll(&file.options(), ECDSA, VERIFIED, None).unwrap();
    assert_eq!(key.flags, VERIFIED);
    for pin in [None, Some(c""), Some(c"123456")] {
        let signature = sign(&file.options(), &key, ECDSA, b"message", pin).unwrap();
        assert_eq!(signature.flags, UP_AND_UV);
        assert_eq!(load(&file.options(), pin), Ok(vec![]));
    }
}

#[test]
fn a_key_that_verifies_its_user_never_signs_without_whatever_the_key_file_says() {
    for flags in [VERIFIED, VERIFIED | RESIDENT_KEY] {
        let file = File::new();
        let mut key = enroll(&file.options(), ED25519, flags, None).unwrap();
        file.set_pin("246810");
        for changed in [USER_PRESENCE, 0] {
            key.flags = changed;
            let signature = sign(&file.options(), &key, ED25519, b"message", None);
            assert_eq!(signature, Err(ERR_DEVICE_NOT_FOUND), "{flags:#x} {changed}");
        }
        key.flags = VERIFIED;
        let signature = sign(&file.options(), &key, ED25519, b"message", Some(c"246810")).unwrap();
        assert_eq!(signature.flags, UP_AND_UV);
    }
}

#[test]
fn a_key_with_a_pin_takes_the_right_one_and_nothing_else() {
    let file = File::new();
    file.set_pin("246810");
    for pin in [None, Some(c""), Some(c"999999"), Some(c"1"), Some(c"\xff\xff\xff\xff")] {
        assert_eq!(enroll(&file.options(), ED25519, VERIFIED, pin), Err(ERR_PIN_REQUIRED), "{pin:?}");
        assert_eq!(load(&file.options(), pin), Err(ERR_PIN_REQUIRED), "{pin:?}");
    }
    let pin = Some(c"246810");
    let key = enroll(&file.options(), ED25519, VERIFIED | RESIDENT_KEY, pin).unwrap();
    assert_eq!(sign(&file.options(), &key, ED25519, b"message", None), Err(ERR_PIN_REQUIRED));
    assert_eq!(sign(&file.options(), &key, ED25519, b"message", Some(c"999999")), Err(ERR_PIN_REQUIRED));
    let signature = sign(&file.options(), &key, ED25519, b"message", pin).unwrap();
    assert_eq!(signature.flags, UP_AND_UV);
    assert_eq!(load(&file.options(), pin).unwrap().len(), 1);
    // To look for an existing key takes the PIN too.
    assert_eq!(enroll(&file.options(), ED25519, VERIFIED | RESIDENT_KEY, None), Err(ERR_PIN_REQUIRED));
    assert_eq!(enroll(&file.options(), ED25519, VERIFIED | RESIDENT_KEY, pin), Err(ERR_CREDENTIAL_EXISTS));
}

#[test]
fn one_wrong_pin_spends_one_attempt_and_a_blocked_pin_is_not_asked_for_again() {
    let file = File::new();
    file.set_pin("246810");
    let wrong = || load(&file.options(), Some(c"135791"));
    for _ in 0..7 {
        assert_eq!(wrong(), Err(ERR_PIN_REQUIRED));
    }
    assert_eq!(load(&file.options(), Some(c"246810")), Ok(vec![]), "seven wrong ones leave one attempt");
    for _ in 0..8 {
        wrong().unwrap_err();
    }
    assert_eq!(load(&file.options(), Some(c"246810")), Err(ERR_GENERAL));
}

#[test]
fn a_pin_is_the_same_however_the_keyboard_spells_it() {
    let file = File::new();
    file.set_pin("\u{e9}\u{e9}\u{e9}\u{e9}");
    let decomposed = CString::new("e\u{301}".repeat(4)).unwrap();
    assert_eq!(load(&file.options(), Some(&decomposed)), Ok(vec![]));
}

#[test]
fn a_key_that_needs_no_verification_needs_no_pin_to_sign() {
    let file = File::new();
    let key = enroll(&file.options(), ECDSA, USER_PRESENCE, None).unwrap();
    file.set_pin("246810");
    assert_eq!(sign(&file.options(), &key, ECDSA, b"message", None).unwrap().flags, USER_PRESENCE);
}

#[test]
fn a_pin_that_is_far_too_long_is_refused_and_spends_no_attempt() {
    let file = File::new();
    file.set_pin("246810");
    for pin in ["9".repeat(1000), "\u{e9}".repeat(1000)] {
        assert_eq!(load(&file.options(), Some(&CString::new(pin).unwrap())), Err(ERR_PIN_REQUIRED));
    }
    for _ in 0..7 {
        load(&file.options(), Some(c"135791")).unwrap_err();
    }
    assert_eq!(load(&file.options(), Some(c"246810")), Ok(vec![]));
}
