//! Report descriptors: real ones, and any.

use proptest::prelude::*;

use super::super::{REPORT_DESCRIPTOR, ReportLens};

/// A boot keyboard (HID 1.11, appendix B.1), shortened.
const KEYBOARD: &[u8] =
    &[0x05, 0x01, 0x09, 0x06, 0xA1, 0x01, 0x05, 0x07, 0x19, 0xE0, 0x29, 0xE7, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0xC0];

/// An authenticator with reports of these lengths.
fn authenticator(input: u8, output: u8) -> Vec<u8> {
    let mut descriptor = REPORT_DESCRIPTOR;
    (descriptor[17], descriptor[30]) = (input, output);
    descriptor.to_vec()
}

#[test]
fn an_authenticator_is_recognised_beside_a_keyboard_in_either_order() {
    for descriptor in [[KEYBOARD, &REPORT_DESCRIPTOR].concat(), [&REPORT_DESCRIPTOR, KEYBOARD].concat()] {
        assert_eq!(ReportLens::of(&descriptor), Some(ReportLens::STANDARD));
    }
    assert_eq!(ReportLens::of(&[KEYBOARD, KEYBOARD].concat()), None);
}

#[test]
fn another_usage_of_the_page_of_fido_and_the_same_usage_of_another_page_are_no_authenticators() {
    for (place, value) in [(1, 0xD1), (2, 0xF0), (4, 0x02)] {
        let mut other = REPORT_DESCRIPTOR;
        other[place] = value;
        assert_eq!(ReportLens::of(&other), None, "{place}");
    }
}

#[test]
fn a_usage_may_carry_its_page() {
    let mut descriptor = vec![0x05, 0x01, 0x0B, 0x01, 0x00, 0xD0, 0xF1];
    descriptor.extend(&REPORT_DESCRIPTOR[5..]);
    assert_eq!(ReportLens::of(&descriptor), Some(ReportLens::STANDARD));
}

#[test]
fn a_long_item_is_passed_over() {
    let long = [&[0xFE, 0x03, 0x10, 1, 2, 3], &REPORT_DESCRIPTOR[..]].concat();
    assert_eq!(ReportLens::of(&long), Some(ReportLens::STANDARD));
    assert_eq!(ReportLens::of(&[0xFE]), None);
}

#[test]
fn push_keeps_the_global_items_and_pop_brings_them_back() {
    let pushed = |times: usize| {
        let (push, pop) = (vec![0xA4; times], vec![0xB4; times]);
        let (before, after) = ([0x06, 0xD0, 0xF1, 0x09, 0x01, 0xA1, 0x01, 0x75, 0x08, 0x95, 0x40], [0x81, 0x02, 0xC0]);
        [&before[..], &push, &[0x05, 0x01, 0x75, 0x01, 0x95, 0x04], &pop, &after].concat()
    };
    for times in 1..=4 {
        assert_eq!(ReportLens::of(&pushed(times)), Some(ReportLens { input: 64, output: 0 }), "{times}");
    }
    assert_eq!(ReportLens::of(&pushed(5)), None, "deeper than Linux takes");
    assert_eq!(ReportLens::of(&[&[0xB4], &REPORT_DESCRIPTOR[..]].concat()), None, "nothing was pushed");
}

#[test]
fn a_descriptor_that_is_cut_off_is_malformed() {
    for len in 0..REPORT_DESCRIPTOR.len() {
        assert_eq!(ReportLens::of(&REPORT_DESCRIPTOR[..len]), None, "{len} bytes");
    }
}

proptest! {
    #[test]
    fn the_lengths_are_those_that_were_written(input: u8, output: u8) {
        let lens = ReportLens { input: input.into(), output: output.into() };
        prop_assert_eq!(ReportLens::of(&authenticator(input, output)), Some(lens));
    }

    #[test]
    fn no_descriptor_panics(bytes: Vec<u8>, cut in 0_usize..40, noise: Vec<u8>) {
        ReportLens::of(&bytes);
        let cut = cut.min(REPORT_DESCRIPTOR.len());
        ReportLens::of(&[&REPORT_DESCRIPTOR[..cut], &noise, &REPORT_DESCRIPTOR[cut..]].concat());
    }
}
