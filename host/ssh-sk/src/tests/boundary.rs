//! What C passes and gets.

use std::mem::offset_of;

use super::*;
use crate::{
    abi::*,
    boundary::{answer, sk_api_version},
    failure::Failure,
};

#[test]
fn the_version_is_that_of_openssh_9_1_and_later() {
    assert_eq!(sk_api_version(), 0x000a_0000);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_layouts_are_those_that_a_c_compiler_gives_to_sk_api_h() {
    assert_eq!((size_of::<SkOption>(), offset_of!(SkOption, required)), (24, 16));
    assert_eq!((size_of::<EnrollResponse>(), offset_of!(EnrollResponse, public_key)), (88, 8));
    assert_eq!((size_of::<SignResponse>(), offset_of!(SignResponse, sig_r)), (40, 8));
    assert_eq!((size_of::<ResidentKey>(), offset_of!(ResidentKey, key)), (136, 24));
    assert_eq!((offset_of!(ResidentKey, flags), offset_of!(ResidentKey, user_id)), (112, 120));
}

/// Calls `sk_enroll` with what is not as the interface has it.
fn enroll_raw(challenge: *const u8, length: usize, application: Option<&CStr>) -> c_int {
    let file = File::new();
    let mut response = ptr::dangling_mut();
    let application = application.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: null, or as the interface has it, but for lengths that are refused before anything is read.
    let code = file.options().pass(|options| unsafe {
        sk_enroll(ECDSA, challenge, length, application, USER_PRESENCE, ptr::null(), options, &mut response)
    });
    assert!(response.is_null());
    assert!(!file.path().exists());
    code
}

#[test]
fn null_pointers_and_absurd_lengths_are_refused_and_clear_the_result() {
    let challenge = CHALLENGE.as_ptr();
    assert_eq!(enroll_raw(ptr::null(), 11, Some(APPLICATION)), ERR_GENERAL);
    assert_eq!(enroll_raw(ptr::null(), 0, Some(APPLICATION)), ERR_GENERAL);
    assert_eq!(enroll_raw(challenge, 0, Some(APPLICATION)), ERR_GENERAL);
    for length in [(16 << 20) + 1, isize::MAX as usize + 1, usize::MAX] {
        assert_eq!(enroll_raw(challenge, length, Some(APPLICATION)), ERR_GENERAL, "{length}");
    }
    assert_eq!(enroll_raw(challenge, 11, None), ERR_GENERAL);
    assert_eq!(enroll_raw(challenge, 11, Some(c"")), ERR_GENERAL);
    assert_eq!(enroll_raw(challenge, 11, Some(c"ssh:\xff")), ERR_UNSUPPORTED, "it is an RP ID, which is text");
    let (start, length, application) = (CHALLENGE.as_ptr(), CHALLENGE.len(), APPLICATION.as_ptr());
    let (null, mut keys) = (ptr::null_mut(), ptr::dangling_mut());
    // SAFETY: null is checked.
    unsafe {
        let code = sk_enroll(ECDSA, start, length, application, 0, ptr::null(), ptr::null_mut(), null);
        assert_eq!(code, ERR_GENERAL);
        let code =
            sk_sign(ECDSA, start, length, application, start, length, 0, ptr::null(), ptr::null_mut(), ptr::null_mut());
        assert_eq!(code, ERR_GENERAL);
        assert_eq!(sk_load_resident_keys(ptr::null(), ptr::null_mut(), &mut keys, ptr::null_mut()), ERR_GENERAL);
        assert!(keys.is_null());
        let mut count = 5;
        assert_eq!(sk_load_resident_keys(ptr::null(), ptr::null_mut(), ptr::null_mut(), &mut count), ERR_GENERAL);
    }
}

#[test]
fn a_key_handle_that_is_not_there_is_refused() {
    let file = File::new();
    let mut key = enroll(&file.options(), ECDSA, USER_PRESENCE, None).unwrap();
    key.key_handle.clear();
    assert_eq!(sign(&file.options(), &key, ECDSA, b"message", None), Err(ERR_GENERAL));
    // Longer than any credential id.
    key.key_handle = vec![1; 70_000];
    assert_eq!(sign(&file.options(), &key, ECDSA, b"message", None), Err(ERR_DEVICE_NOT_FOUND));
}

#[test]
fn an_unknown_option_is_passed_over_unless_it_is_required() {
    let file = File::new();
    let options = || file.options().with("colour", "red", 0);
    assert!(enroll(&options(), ECDSA, USER_PRESENCE, None).is_ok());
    let required = options().with("shape", "round", 1);
    assert_eq!(enroll(&required, ECDSA, USER_PRESENCE, None), Err(ERR_UNSUPPORTED));
    assert_eq!(load(&required, None), Err(ERR_UNSUPPORTED));
    let long = file.options().with("user", &"u".repeat(32), 0);
    assert_eq!(enroll(&long, ECDSA, USER_PRESENCE, None), Err(ERR_UNSUPPORTED));
    let longest = file.options().with("user", &"u".repeat(31), 1);
    assert!(enroll(&longest, ECDSA, USER_PRESENCE, None).is_ok());
}

#[test]
fn options_without_a_name_or_without_an_end_are_refused() {
    let file = File::new();
    let mut many = file.options();
    for _ in 0..64 {
        many = many.with("colour", "red", 0);
    }
    assert_eq!(load(&many, None), Err(ERR_UNSUPPORTED));
    let mut nameless = SkOption { name: ptr::null_mut(), value: ptr::null_mut(), required: 0 };
    let mut list = [ptr::from_mut(&mut nameless), ptr::null_mut()];
    let (mut keys, mut count) = (ptr::null_mut(), 0);
    // SAFETY: null names are checked.
    let code = unsafe { sk_load_resident_keys(ptr::null(), list.as_mut_ptr(), &mut keys, &mut count) };
    assert_eq!(code, ERR_GENERAL);
}

#[test]
fn a_panic_does_not_go_on_into_c() {
    assert_eq!(answer(|| panic!("on purpose")), ERR_GENERAL);
    assert_eq!(answer(|| Ok(())), 0);
    assert_eq!(answer(|| Err(Failure::silent(ERR_UNSUPPORTED))), ERR_UNSUPPORTED);
}
