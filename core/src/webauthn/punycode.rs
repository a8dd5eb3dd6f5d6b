//! Names in non-Latin scripts: checks whether an A-label (`xn--…`) is the DNS form of a U-label (RFC 3492, RFC 5890).

const PREFIX: &str = "xn--";
const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;

/// Whether `label`, lower-case ASCII, is the DNS form of `name`. `name` must be in NFC, in upper or lower case. The
/// encoding of `name` is compared while it is made, so it needs no buffer.
pub(super) fn is_a_label_of(label: &str, name: &str) -> bool {
    let encoded = if name.is_ascii() { Some("") } else { label.strip_prefix(PREFIX) };
    match encoded {
        Some("") => label.eq_ignore_ascii_case(name),
        Some(encoded) => encodes(encoded, &name.chars().flat_map(char::to_lowercase)).unwrap_or(false),
        None => false,
    }
}

/// Whether `encoded` is Punycode for `name` (RFC 3492 §6.3). `None` when a number overflows.
fn encodes(encoded: &str, name: &(impl Iterator<Item = char> + Clone)) -> Option<bool> {
    let mut expected = encoded.bytes();
    let ascii = name.clone().filter_map(|c| u8::try_from(c).ok().filter(u8::is_ascii));
    let basic: u32 = ascii.clone().count().try_into().ok()?;
    let delimiter = (basic > 0).then_some(b'-');
    if !ascii.chain(delimiter).all(|byte| expected.next() == Some(byte)) {
        return Some(false);
    }
    let all: u32 = name.clone().count().try_into().ok()?;
    let (mut n, mut delta, mut bias, mut handled) = (INITIAL_N, 0_u32, INITIAL_BIAS, basic);
    while handled < all {
        let next = name.clone().map(u32::from).filter(|point| *point >= n).min()?;
        delta = delta.checked_add(next.checked_sub(n)?.checked_mul(handled.checked_add(1)?)?)?;
        n = next;
        for point in name.clone().map(u32::from) {
            if point < n {
                delta = delta.checked_add(1)?;
            }
            if point == n {
                if !is_number(&mut expected, delta, bias)? {
                    return Some(false);
                }
                bias = adapt(delta, handled.checked_add(1)?, handled == basic)?;
                delta = 0;
                handled = handled.checked_add(1)?;
            }
        }
        (delta, n) = (delta.checked_add(1)?, n.checked_add(1)?);
    }
    Some(expected.next().is_none())
}

/// Whether the next characters of `expected` are `number` as a variable-length integer (RFC 3492 §3.3).
fn is_number(expected: &mut core::str::Bytes<'_>, mut number: u32, bias: u32) -> Option<bool> {
    let mut k = BASE;
    loop {
        let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        let rest = number.checked_sub(threshold);
        let span = BASE.checked_sub(threshold)?;
        let digit = match rest {
            None => number,
            Some(rest) => threshold.checked_add(rest.checked_rem(span)?)?,
        };
        let first = if digit < 26 { b'a' } else { b'0' - 26 };
        if expected.next() != Some(first.checked_add(digit.try_into().ok()?)?) {
            return Some(false);
        }
        let Some(rest) = rest else { return Some(true) };
        number = rest.checked_div(span)?;
        k = k.checked_add(BASE)?;
    }
}

/// The bias after a number (RFC 3492 §6.1).
fn adapt(delta: u32, points: u32, first: bool) -> Option<u32> {
    let mut delta = delta.checked_div(if first { DAMP } else { 2 })?;
    delta = delta.checked_add(delta.checked_div(points)?)?;
    let mut k = 0_u32;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k = k.checked_add(BASE)?;
    }
    let part = (BASE - T_MIN + 1).checked_mul(delta)?.checked_div(delta.checked_add(SKEW)?)?;
    k.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_a_label_is_that_of_its_u_label_and_of_no_other() {
        // RFC 3492 §7.1, and top-level domains.
        let pairs = [
            ("xn--bcher-kva", "bücher"),
            ("xn--ihqwcrb4cv8a8dqg056pqjye", "他们为什么不说中文"),
            ("xn--4dbcagdahymbxekheh6e0a7fei0b", "למההםפשוטלאמדבריםעברית"),
            ("xn--55qx5d", "公司"),
            ("xn--85x722f", "食狮"),
            ("xn--o3cw4h", "ไทย"),
            ("xn--mgbaam7a8h", "امارات"),
            ("xn--3b-ww4c5e180e575a65lsy2b", "3年b組金八先生"),
            ("xn--p1ai", "рф"),
            ("xn--ls8h", "💩"),
            ("com", "com"),
        ];
        for (at, (label, name)) in pairs.iter().enumerate() {
            for (other, (_, another)) in pairs.iter().enumerate() {
                assert_eq!(is_a_label_of(label, another), at == other, "{label} and {another}");
            }
            let longer = std::format!("{label}a");
            assert!(!is_a_label_of(&longer, name) && !is_a_label_of(&label[..label.len() - 1], name), "{label}");
        }
        for (label, name) in [("xn--", "ü"), ("", "ü"), ("tda", "ü"), ("xn--com", "com"), ("com", "")] {
            assert!(!is_a_label_of(label, name), "{label} and {name}");
        }
        assert!(is_a_label_of("xn--tda", "ü"));
        assert!(is_a_label_of("xn--bcher-kva", "BÜCHER") && is_a_label_of("com", "Com"));
    }
}
