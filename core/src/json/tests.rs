use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::cbor::Writer;

fn skip_all(document: &[u8]) -> Result<&str, Error> {
    let mut r = Reader::new(document)?;
    let value = r.skip()?;
    r.finish()?;
    Ok(value)
}

fn kind(document: &str) -> ErrorKind {
    skip_all(document.as_bytes()).unwrap_err().kind
}

/// Builds a value from what the reader returns, to compare it with the oracle's.
fn build(r: &mut Reader<'_>) -> Result<Value, Error> {
    Ok(match r.next_type()? {
        Type::Object => {
            let mut members = serde_json::Map::new();
            r.object()?;
            while let Some(name) = r.next_member()? {
                members.insert(name.chars().collect(), build(r)?);
            }
            Value::Object(members)
        }
        Type::Array => {
            let mut items = Vec::new();
            r.array()?;
            while r.next_item()? {
                items.push(build(r)?);
            }
            Value::Array(items)
        }
        Type::String => Value::String(r.string()?.chars().collect()),
        Type::Bool => Value::Bool(r.bool()?),
        // The oracle refuses numbers that do not fit an f64.
        Type::Number | Type::Null => serde_json::from_str(r.skip()?).map_err(|_| r.error(ErrorKind::Malformed))?,
    })
}

fn whole(document: &[u8]) -> Result<Value, Error> {
    let mut r = Reader::new(document)?;
    let value = build(&mut r)?;
    r.finish()?;
    Ok(value)
}

#[test]
fn strings_compare_and_copy_as_what_they_stand_for() {
    let mut r = Reader::new(br#" "https:\/\/\u0065x\u00e4\uD83D\uDE00\n\"" "#).unwrap();
    let string = r.string().unwrap();
    r.finish().unwrap();
    let text = "https://exä😀\n\"";
    assert_eq!(string, text);
    assert_eq!(string.as_str(), None);
    assert_ne!(string, "https://exä😀\n");
    let mut buffer = [0; 32];
    assert_eq!(string.copy_to(&mut buffer), Ok(text));
    assert_eq!(string.copy_to(&mut buffer[..3]), Err(Overflow { needed: text.len() }));
}

#[test]
fn a_string_without_escapes_is_borrowed() {
    let string = Reader::new("\"ä/\"".as_bytes()).unwrap().string().unwrap();
    assert_eq!(string.as_str(), Some("ä/"));
}

#[test]
fn skip_returns_the_value_without_the_space_around_it() {
    assert_eq!(skip_all(b" \t{ \"a\" : [1 , {}] }\r\n"), Ok("{ \"a\" : [1 , {}] }"));
}

#[test]
fn what_rfc_8259_does_not_know_is_refused() {
    for (document, expected) in [
        ("", ErrorKind::Truncated),
        ("\"", ErrorKind::Truncated),
        ("{\"a\":1", ErrorKind::Truncated),
        ("[1,]", ErrorKind::Unexpected),
        ("{\"a\":1,}", ErrorKind::Unexpected),
        ("{,}", ErrorKind::Unexpected),
        ("{a:1}", ErrorKind::Unexpected),
        ("{1:1}", ErrorKind::Unexpected),
        ("{\"a\" 1}", ErrorKind::Unexpected),
        ("[1 2]", ErrorKind::Unexpected),
        ("[1}", ErrorKind::Unexpected),
        ("'a'", ErrorKind::Unexpected),
        ("+1", ErrorKind::Unexpected),
        (".5", ErrorKind::Unexpected),
        ("\u{feff}1", ErrorKind::Unexpected),
        ("\"\n\"", ErrorKind::Unexpected),
        ("-", ErrorKind::Malformed),
        ("1.", ErrorKind::Malformed),
        ("1e+", ErrorKind::Malformed),
        ("tru", ErrorKind::Malformed),
        ("nul", ErrorKind::Malformed),
        ("01", ErrorKind::TrailingBytes),
        ("1 1", ErrorKind::TrailingBytes),
        ("truefalse", ErrorKind::TrailingBytes),
        (r#""\x""#, ErrorKind::Escape),
        (r#""\u12g4""#, ErrorKind::Escape),
        (r#""\u+123""#, ErrorKind::Escape),
        (r#""\ud800""#, ErrorKind::Escape),
        (r#""\ud800\u0041""#, ErrorKind::Escape),
        (r#""\udc00""#, ErrorKind::Escape),
    ] {
        assert_eq!(kind(document), expected, "{document}");
        assert!(serde_json::from_str::<Value>(document).is_err(), "{document}");
    }
    assert_eq!(skip_all(b"\"a\xff\"").unwrap_err(), Error { kind: ErrorKind::NotUtf8, offset: 2, member: None });
}

#[test]
fn errors_say_where() {
    assert_eq!(skip_all(b"[true, fals]").unwrap_err(), Error { kind: ErrorKind::Malformed, offset: 7, member: None });
}

#[test]
fn nesting_is_allowed_to_sixteen_levels() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(skip_all(nested(16).as_bytes()).is_ok());
    assert_eq!(kind(&nested(17)), ErrorKind::TooDeep);
    let siblings = format!("[{}]", ["{\"a\":[]}"; 40].join(","));
    assert!(skip_all(siblings.as_bytes()).is_ok());
}

#[test]
fn a_value_of_another_type_is_refused_and_stays_unread() {
    let mut r = Reader::new(b"1").unwrap();
    assert_eq!(r.string().unwrap_err().kind, ErrorKind::UnexpectedType);
    assert_eq!(r.bool().unwrap_err().kind, ErrorKind::UnexpectedType);
    assert_eq!(r.object().unwrap_err().kind, ErrorKind::UnexpectedType);
    assert_eq!(r.array().unwrap_err().kind, ErrorKind::UnexpectedType);
    assert_eq!(r.skip(), Ok("1"));
}

#[test]
fn a_member_is_kept_once() {
    let r = Reader::new(b"").unwrap();
    let mut slot = None;
    assert_eq!(r.once(&mut slot, 1), Ok(()));
    assert_eq!(r.once(&mut slot, 1).unwrap_err().kind, ErrorKind::Duplicate);
}

#[test]
fn whole_numbers_are_integers_however_they_are_written() {
    let integer = |text: &str| Reader::new(text.as_bytes()).unwrap().integer().map_err(|error| error.kind);
    assert_eq!(integer(" -9223372036854775808"), Ok(i64::MIN));
    for (text, value) in [
        ("60000.0", 60_000),
        ("6e4", 60_000),
        ("6E+4", 60_000),
        ("-7.0", -7),
        ("-0", 0),
        ("-0.0", 0),
        ("600000e-1", 60_000),
        ("1.25e2", 125),
        ("0.000", 0),
        ("0e99999999999999999999", 0),
        ("0e-99999999999999999999", 0),
        ("9223372036854775807.000", i64::MAX),
        ("-9.223372036854775808e18", i64::MIN),
    ] {
        assert_eq!(integer(text), Ok(value), "{text}");
    }
    for text in [
        "1.5",
        "-7.1",
        "1e-1",
        "125e-2",
        "1e19",
        "1e400",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "9223372036854775808",
        "-9223372036854775809",
    ] {
        assert_eq!(integer(text), Err(ErrorKind::OutOfRange), "{text}");
    }
    assert_eq!(integer("-"), Err(ErrorKind::Malformed));
    assert_eq!(integer("true"), Err(ErrorKind::UnexpectedType));
}

#[test]
fn the_innermost_member_of_an_error_stays() {
    let error = Reader::new(b"").unwrap().error(ErrorKind::Missing).within("first").within("prf");
    assert_eq!(error.to_string(), "a required member is missing, at byte 0, in member first");
}

#[test]
fn cbor_is_written_as_the_json_that_says_the_same() {
    let json = |cbor: &[u8]| {
        let mut buffer = [0; 256];
        let mut w = Writer::new(&mut buffer);
        from_cbor(&mut crate::cbor::Reader::tolerant(cbor), &mut w, None).map(|()| {
            let written = w.written().unwrap();
            String::from_utf8(written.to_vec()).unwrap()
        })
    };
    for (cbor, text) in [
        (&b"\x00"[..], "0"),
        (b"\x18\x64", "100"),
        (b"\x1B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "18446744073709551615"),
        (b"\x3B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE", "-18446744073709551615"),
        (b"\x26", "-7"),
        (b"\x40", r#""""#),
        (b"\x42\xFB\xFF", r#""-_8""#),
        (b"\x63a\"\n", r#""a\"\u000a""#),
        (b"\x83\xF4\xF5\xF6", "[false,true,null]"),
        (b"\xA2\x61b\xA0\x61a\x80", r#"{"b":{},"a":[]}"#),
    ] {
        assert_eq!(json(cbor).as_deref(), Ok(text));
        assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
    }
    use crate::cbor::ErrorKind::*;
    for (cbor, kind) in [
        (&b"\x3B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"[..], OutOfRange),
        (b"\xC0\x00", Forbidden),
        (b"\xF9\x00\x00", Forbidden),
        (b"\xF7", Forbidden),
        (b"\xA1\x01\x01", Forbidden),
        (b"\x82\x01", Truncated),
        (b"\x61\xFF", NotUtf8),
        (&[0x81; 17], TooDeep),
    ] {
        assert_eq!(json(cbor).map_err(crate::cbor::Error::kind), Err(kind), "{cbor:x?}");
    }
}

#[test]
fn bytes_become_base64url_where_they_lie() {
    for length in 0..20 {
        let bytes: Vec<u8> = (0..length).map(|byte| byte * 13 + 7).collect();
        let mut buffer = [0; 128];
        let mut w = Writer::new(&mut buffer);
        let mut object = Object::open(&mut w);
        object.encoded("a", |w| w.raw(&bytes));
        object.bytes("b", &bytes);
        object.integer("c", i64::MIN);
        object.finish();
        let value: Value = serde_json::from_slice(w.written().unwrap()).unwrap();
        assert_eq!(value["a"], value["b"]);
        assert_eq!(value["c"], i64::MIN);
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(8, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn valid_documents_are_read_as_the_oracle_reads_them(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(whole(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        prop_assert_eq!(skip_all(text.as_bytes()), Ok(text.as_str()));
    }

    #[test]
    fn documents_of_json_tokens_are_judged_as_the_oracle_judges_them(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\"a\"", "\\", "\\u", "\\n", "d83d", "de00", "00", "0", "1", "-", "+", ".", "e",
            "true", "false", "null", " ", "\n", "\u{1}", "ä", "\"\\ud83d\\ude00\"",
        ]), 0..12),
    ) {
        let text = tokens.concat();
        match (whole(text.as_bytes()), serde_json::from_str::<Value>(&text)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (ours, theirs) => prop_assert!(ours.is_err() && theirs.is_err(), "{ours:?} {theirs:?}"),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let skipped = skip_all(&bytes).is_ok();
        if serde_json::from_slice::<Value>(&bytes).is_ok() {
            prop_assert!(skipped);
        }
    }
}
