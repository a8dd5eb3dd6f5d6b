//! Every vector, truncated, with flipped bits, or with items of other types, is refused or read consistently.

use super::{Codec, all, value::Value};
use crate::{
    Status,
    cbor::{self, ErrorKind, Message, Raw, Reader},
    ctap2::get_assertion,
};

/// Reads `bytes` under both rules. A value read under the strict rules must be written canonically.
fn survives(codec: Codec, bytes: &[u8]) {
    (codec.same_by_table)(bytes);
    if let Ok(written) = (codec.strict)(bytes) {
        assert!(cbor::decode::<Raw<'_>>(&written).is_ok(), "not canonical: {written:02x?}");
        assert!(written.len() < bytes.len() || written == bytes);
        assert_eq!((codec.tolerant)(bytes).as_ref(), Ok(&written));
    }
    if let Ok(written) = (codec.tolerant)(bytes) {
        assert_eq!((codec.tolerant)(&written).as_ref(), Ok(&written));
    }
}

#[test]
fn a_message_that_ends_early_is_not_cbor() {
    for vector in all() {
        for len in 0..vector.bytes.len() {
            (vector.codec.same_by_table)(&vector.bytes[..len]);
            for read in [vector.codec.strict, vector.codec.tolerant] {
                let error = read(&vector.bytes[..len]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Truncated, "{} at {len}", vector.name);
                assert_eq!(error.status(), Status::INVALID_CBOR);
            }
        }
    }
}

#[test]
fn a_message_with_something_behind_it_is_not_cbor() {
    for vector in all() {
        let bytes = [&vector.bytes[..], &[0]].concat();
        for read in [vector.codec.strict, vector.codec.tolerant] {
            assert_eq!(read(&bytes).unwrap_err().kind(), ErrorKind::TrailingBytes, "{}", vector.name);
        }
    }
}

#[test]
fn a_message_with_any_bit_flipped_is_refused_or_read_as_another() {
    for vector in all() {
        let mut bytes = vector.bytes;
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            survives(vector.codec, &bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_message_with_an_item_of_another_type_is_refused_or_read_as_another() {
    for vector in all() {
        for changed in Value::parse(&vector.bytes).with_other_types() {
            survives(vector.codec, &changed.encode());
        }
    }
}

/// Whether a member that may have several types may have the type of `value`: an attestation statement, and the first
/// parameter of a COSE key.
fn has_type(key: &str, value: &Value) -> bool {
    matches!(
        (key, value),
        ("attStmt", Value::Array(_)) | ("-1", Value::Unsigned(_) | Value::Negative(_) | Value::Bytes(_))
    )
}

#[test]
fn a_member_of_another_type_is_named_as_such() {
    for vector in all() {
        let value = Value::parse(&vector.bytes);
        for (index, (key, member)) in value.entries().iter().enumerate() {
            let key = key.key();
            let unknown =
                matches!((vector.name, &*key), ("get_info_unknown_member", "99") | ("config_vendor_prototype", "2"));
            // An algorithm is an integer of either sign, and the parameters of a key of an unknown type are not
            // checked.
            let either = |value: &Value| value.major() <= 1 && matches!(&*key, "alg" | "1" | "3");
            let opaque = vector.name == "cose_other" && key == "-1";
            let statement =
                vector.name.starts_with("make_credential") && !vector.name.contains("request") && key == "3";
            for other in Value::of_every_type() {
                let mut entries = value.entries().to_vec();
                entries[index].1 = other.clone();
                let bytes = Value::Map(entries).encode();
                (vector.codec.same_by_table)(&bytes);
                let same = other.major() == member.major() && !matches!(other, Value::Raw(_));
                let allowed = same || unknown || opaque || has_type(&key, &other);
                let allowed = allowed || either(&other) && (member.major() == 1 || vector.name.starts_with("cose"));
                let allowed = allowed || statement && matches!(other, Value::Array(_));
                match (vector.codec.strict)(&bytes) {
                    Ok(_) => assert!(allowed, "{} {key}: {other:?}", vector.name),
                    Err(error) if !allowed => {
                        assert_eq!(error.kind(), ErrorKind::UnexpectedType, "{} {key}: {other:?}", vector.name);
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

#[test]
fn a_message_without_a_required_member_is_refused_and_without_another_is_read() {
    for vector in all() {
        let value = Value::parse(&vector.bytes);
        for required in &vector.required {
            assert!(value.entries().iter().any(|(key, _)| key.key() == *required), "{} {required}", vector.name);
        }
        for index in 0..value.entries().len() {
            let mut entries = value.entries().to_vec();
            let (key, _) = entries.remove(index);
            let bytes = Value::Map(entries).encode();
            (vector.codec.same_by_table)(&bytes);
            let read = (vector.codec.strict)(&bytes);
            if !vector.required.contains(&&*key.key()) {
                assert!(read.is_ok(), "{} without {key:?}: {read:?}", vector.name);
                continue;
            }
            let error = read.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Missing, "{} without {key:?}", vector.name);
            assert_eq!(error.status(), Status::MISSING_PARAMETER);
            if let (Value::Unsigned(key), false) = (key, vector.name.starts_with("cose")) {
                assert_eq!(error.member().map(u64::from), Some(key), "{}", vector.name);
            }
        }
    }
}

/// Under the tolerant rules such a key would be refused: its keys do not ascend by their values, and are too many to be
/// compared with each other.
#[test]
fn a_key_is_read_by_table_under_the_rules_by_which_it_was_checked() {
    let point = [&[1, 2, 3, 0x38, 24, 0x20, 1, 0x21, 0x58, 32][..], &[0; 32], &[0x22, 0x58, 32], &[0; 32]].concat();
    let mut key = [&[0xB8, 55][..], &point, &[0x82, 0, 0, 0]].concat();
    for label in 0x100..=0x130_u16 {
        key.extend([&[0x81, 0x19][..], &label.to_be_bytes(), &[0]].concat());
    }
    let request = [&[0xA3, 1, 1, 2, 5, 3][..], &key].concat();
    let codec = super::codec("client_pin::Request");
    assert!((codec.strict)(&request).is_ok());
    (codec.same_by_table)(&request);
}

#[test]
fn a_member_that_the_table_cannot_reach_is_an_error_however_deep_it_lies() {
    let mut id = vec![0xA2, 0x62, b'i', b'd', 0x5A];
    id.extend([&70_000_u32.to_be_bytes()[..], &[0; 70_000]].concat());
    let descriptor = [&id[..], b"\x64type\x6apublic-key"].concat();
    let hash = [&[2, 0x58, 32][..], &[7; 32]].concat();
    let request = [b"\xa3\x01\x61a", &hash[..], &[3, 0x81], &descriptor].concat();
    assert_eq!(cbor::decode::<get_assertion::Request<'_>>(&request).is_ok(), !cbor::SMALL);
    for start in [Reader::strict(&request), Reader::tolerant(&request)] {
        let read = get_assertion::Request::read_by_table(&mut { start });
        assert_eq!(read.map_err(|error| (error.kind(), error.member())), Err((ErrorKind::OutOfRange, Some(3))));
    }
}
