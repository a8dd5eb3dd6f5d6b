//! The JSON reader compared with serde_json.
#![no_main]

use keyfob_core::json::{Error, ErrorKind, Reader, Type};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// How deeply objects and arrays may be nested.
const MAX_DEPTH: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let ours = read(bytes);
    let skipped = skip(bytes);
    match (&ours, serde_json::from_slice::<Value>(bytes)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(*ours, theirs);
            assert!(depth(ours) <= MAX_DEPTH);
        }
        (Ok(_), Err(error)) => panic!("valid to us: {error}"),
        // serde_json allows deeper nesting.
        (Err(error), Ok(_)) => assert_eq!(error.kind, ErrorKind::TooDeep),
        (Err(_), Err(_)) => {}
    }
    match (&ours, &skipped) {
        (Ok(_), Ok(text)) => assert_eq!(serde_json::from_str::<Value>(text).ok(), ours.ok()),
        (Ok(_), Err(error)) => panic!("read but not skipped: {error:?}"),
        // A number that does not fit an f64 is JSON, but serde_json has no value to compare.
        (Err(error), Ok(_)) => assert_eq!(error.kind, ErrorKind::Missing),
        (Err(_), Err(error)) => assert!(error.offset <= bytes.len()),
    }
});

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn skip(bytes: &[u8]) -> Result<&str, Error> {
    let mut r = Reader::new(bytes)?;
    let value = r.skip()?;
    r.finish()?;
    Ok(value)
}

fn read(bytes: &[u8]) -> Result<Value, Error> {
    let mut r = Reader::new(bytes)?;
    let value = value(&mut r)?;
    r.finish()?;
    Ok(value)
}

fn value(r: &mut Reader<'_>) -> Result<Value, Error> {
    Ok(match r.next_type()? {
        Type::Object => {
            let mut members = serde_json::Map::new();
            r.object()?;
            while let Some(name) = r.next_member()? {
                members.insert(name.chars().collect(), value(r)?);
            }
            Value::Object(members)
        }
        Type::Array => {
            let mut items = Vec::new();
            r.array()?;
            while r.next_item()? {
                items.push(value(r)?);
            }
            Value::Array(items)
        }
        Type::String => {
            let string = r.string()?;
            let text: String = string.chars().collect();
            let mut buffer = vec![0; text.len()];
            assert_eq!(string.copy_to(&mut buffer), Ok(&*text));
            assert!(text.is_empty() || string.copy_to(&mut buffer[1..]).is_err());
            assert!(string == *text && string.as_str().is_none_or(|same| same == text));
            Value::String(text)
        }
        Type::Bool => Value::Bool(r.bool()?),
        Type::Number | Type::Null => serde_json::from_str(r.skip()?).map_err(|_| r.error(ErrorKind::Missing))?,
    })
}
