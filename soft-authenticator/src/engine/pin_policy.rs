//! The PIN complexity policy that is built in (CTAP 2.3 §6.11.4; the standard leaves its content to the authenticator).
//!
//! Refused is a PIN
//! - whose characters are all the same, such as `0000`,
//! - that goes up or down by one from character to character, such as `1234`, `dcba`,
//! - that stands in a short list of the most common ones, capitals or not, such as `Password`,
//! - that is not UTF-8.
//!
//! [`super::Platform::pin_is_complex`] puts another in its place.

/// Common PINs and passwords that the other rules let pass, in ASCII.
const COMMON: [&str; 24] = [
    "1212", "1313", "2580", "6969", "12341234", "11223344", "112233", "121212", "123123", "123321", "131313", "159753",
    "147258", "1q2w3e4r", "abc123", "azerty", "dragon", "iloveyou", "letmein", "passw0rd", "password", "qwerty",
    "qwertz", "welcome",
];

/// Whether a PIN, without its padding, satisfies the policy.
pub fn is_complex(pin: &[u8]) -> bool {
    let Ok(pin) = core::str::from_utf8(pin) else { return false };
    let code_points = || pin.chars().map(u32::from);
    let mut steps = code_points().skip(1).zip(code_points()).map(|(next, this)| next.wrapping_sub(this));
    let first = steps.next().unwrap_or(0);
    let run = [0, 1, u32::MAX].contains(&first) && steps.all(|step| step == first);
    !run && !COMMON.iter().any(|common| common.eq_ignore_ascii_case(pin))
}

#[cfg(test)]
mod tests {
    use super::is_complex;

    #[test]
    fn pins_that_are_guessed_first_are_refused() {
        for pin in ["", "7", "0000", "1111111", "1234", "987654", "abcdef", "дгве", "äääää", "PassWord", "qwerty"]
        {
            assert_eq!(is_complex(pin.as_bytes()), pin == "дгве", "{pin}");
        }
        assert!(!is_complex(b"12\xFF9"));
    }

    #[test]
    fn other_pins_are_taken() {
        for pin in ["1235", "0001", "8306", "1357", "2468", "password!", "пароль", "00000001"] {
            assert!(is_complex(pin.as_bytes()), "{pin}");
        }
    }
}
