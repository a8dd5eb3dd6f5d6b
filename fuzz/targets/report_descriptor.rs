//! HID report descriptors: a device that is an authenticator is one still when a keyboard stands behind it.
#![no_main]

use keyfob_core::transport::hid::ReportLens;
use libfuzzer_sys::fuzz_target;

const KEYBOARD: [u8; 13] = [0x05, 0x01, 0x09, 0x06, 0xA1, 0x01, 0x75, 0x08, 0x95, 0x08, 0x81, 0x02, 0xC0];

fuzz_target!(|bytes: &[u8]| {
    if let Some(lens) = ReportLens::of(bytes) {
        assert_eq!(ReportLens::of(&[bytes, &KEYBOARD].concat()), Some(lens));
    }
});
