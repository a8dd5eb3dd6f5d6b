//! Numbers of JSON, which are those of JavaScript: `-7.0` is `-7`.

use serde_json::Value;

/// From here on not every whole number has a value of its own (ECMA-262 §21.1.2.6).
const FIRST_UNSAFE: f64 = 9_007_199_254_740_992.0;

/// A whole number, however it is written.
pub fn whole(value: &Value) -> Option<i64> {
    let written = || value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < FIRST_UNSAFE);
    value.as_i64().or_else(|| written().map(|number| number as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_read_however_it_is_written() {
        let read = |text: &str| whole(&serde_json::from_str(text).unwrap());
        for (text, number) in [("-7", -7), ("-7.0", -7), ("-70e-1", -7), ("-257.00", -257), ("-2.57e2", -257), ("0", 0)]
        {
            assert_eq!(read(text), Some(number), "{text}");
        }
        for text in ["-7.5", "1e400", "9007199254740993.0", "\"-7\"", "null", "true", "[-7]"] {
            let value = serde_json::from_str::<Value>(text);
            assert_eq!(value.ok().as_ref().and_then(whole), None, "{text}");
        }
    }
}
