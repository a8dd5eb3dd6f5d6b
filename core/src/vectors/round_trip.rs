//! Every vector, and every message with the same members, is the same after it was read and written.

use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde_json::Value as Json;

use super::{Vector, all, codec, hex, value::Value};

const BENCH_MESSAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/bench-messages.json");

/// Vectors with members that this version does not know, and so does not write.
const WITH_UNKNOWN_MEMBERS: [&str; 2] = ["get_info_unknown_member", "config_vendor_prototype"];

#[test]
fn every_vector_is_written_as_it_was_read() {
    let vectors = all();
    assert!(vectors.len() > 50);
    for vector in vectors {
        let strict = (vector.codec.strict)(&vector.bytes).unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        if WITH_UNKNOWN_MEMBERS.contains(&vector.name) {
            let mut entries = Value::parse(&vector.bytes).entries().to_vec();
            entries.pop();
            assert_eq!(strict, Value::Map(entries).encode(), "{}", vector.name);
        } else {
            assert_eq!(strict, vector.bytes, "{}", vector.name);
        }
        assert_eq!((vector.codec.tolerant)(&vector.bytes), Ok(strict), "{}", vector.name);
    }
}

#[test]
fn the_messages_of_the_benchmarks_are_written_as_they_were_read() {
    let Ok(text) = std::fs::read_to_string(BENCH_MESSAGES) else {
        eprintln!("skipped: {BENCH_MESSAGES} is not there");
        return;
    };
    let file: Json = serde_json::from_str(&text).unwrap();
    for (name, bytes) in file["hex"].as_object().unwrap() {
        let codec = codec(match name.as_str() {
            "getinfo.cbor" => "get_info::Response",
            "mcreq.cbor" => "make_credential::Request",
            "mcresp.cbor" => "make_credential::Response",
            "garesp.cbor" => "get_assertion::Response",
            other => panic!("{other} is of no known type"),
        });
        let bytes = hex(bytes.as_str().unwrap());
        assert_eq!((codec.strict)(&bytes).as_ref(), Ok(&bytes), "{name}");
        assert_eq!((codec.tolerant)(&bytes).as_ref(), Ok(&bytes), "{name}");
    }
}

/// Members of nested maps that may be left out.
const OPTIONAL: [&str; 4] = ["name", "displayName", "transports", "originalSize"];

/// Items of the same type as `example`.
fn like(example: &Value) -> BoxedStrategy<Value> {
    match example {
        Value::Unsigned(_) => {
            // Most members have 32 bits.
            prop_oneof![0..24u32, any::<u8>().prop_map(u32::from), any::<u16>().prop_map(u32::from), any::<u32>()]
                .prop_map(|number| Value::Unsigned(number.into()))
                .boxed()
        }
        // Strings of these sizes may be required to have this size, so it does not change.
        Value::Bytes(bytes) if [12, 16, 32].contains(&bytes.len()) => {
            vec(any::<u8>(), bytes.len()).prop_map(Value::Bytes).boxed()
        }
        Value::Bytes(_) => vec(any::<u8>(), 0..300).prop_map(Value::Bytes).boxed(),
        Value::Text(_) => ".{0,20}".prop_map(Value::Text).boxed(),
        Value::Bool(_) => any::<bool>().prop_map(Value::Bool).boxed(),
        // Three numbers are a method of the extension uvm, so their number does not change.
        Value::Array(items) if matches!(items[..], [Value::Unsigned(_), ..]) => {
            items.iter().map(like).collect::<Vec<_>>().prop_map(Value::Array).boxed()
        }
        Value::Array(items) => match items.first() {
            Some(first) => vec(like(first), 0..30).prop_map(Value::Array).boxed(),
            None => Just(example.clone()).boxed(),
        },
        // The parameters of a COSE key depend on each other, so the key does not change.
        Value::Map(entries) if entries.iter().any(|(key, _)| key.major() == 1) => {
            let entries = entries.iter().map(|(key, value)| {
                let value = if let Value::Bytes(_) = value { like(value) } else { Just(value.clone()).boxed() };
                (Just(key.clone()), value)
            });
            entries.collect::<Vec<_>>().prop_map(Value::Map).boxed()
        }
        Value::Map(entries) => members(entries, |key| !OPTIONAL.contains(&key)),
        Value::Negative(_) | Value::Raw(_) => Just(example.clone()).boxed(),
    }
}

/// Maps with a subset of the members of `entries` and with other values of the same type.
fn members(entries: &[(Value, Value)], required: impl Fn(&str) -> bool) -> BoxedStrategy<Value> {
    let entries: Vec<_> = entries.iter().map(|(key, value)| (Just(key.clone()), like(value))).collect();
    let required: Vec<bool> = entries.iter().map(|(Just(key), _)| required(&key.key())).collect();
    let indices: Vec<usize> = (0..entries.len()).collect();
    (entries, subsequence(indices, 0..=required.len()))
        .prop_map(move |(entries, chosen)| {
            let chosen = |index: &usize| required[*index] || chosen.contains(index);
            Value::Map(
                entries.into_iter().enumerate().filter(|(index, _)| chosen(index)).map(|(_, entry)| entry).collect(),
            )
        })
        .boxed()
}

/// Messages with the members of a vector.
fn messages() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let vectors: Vec<Vector> =
        all().into_iter().filter(|vector| !WITH_UNKNOWN_MEMBERS.contains(&vector.name)).collect();
    let strategies = vectors.into_iter().map(|vector| {
        let value = Value::parse(&vector.bytes);
        let messages = if vector.name.starts_with("cose") {
            like(&value)
        } else {
            members(value.entries(), |key| vector.required.contains(&key))
        };
        messages.prop_map(move |message| (vector.name, message.encode())).boxed()
    });
    proptest::strategy::Union::new(strategies)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn every_message_is_written_as_it_was_read((name, bytes) in messages()) {
        let codec = all().into_iter().find(|vector| vector.name == name).unwrap().codec;
        prop_assert_eq!((codec.strict)(&bytes), Ok(bytes.clone()), "{}", name);
        prop_assert_eq!((codec.tolerant)(&bytes), Ok(bytes.clone()), "{}", name);
        (codec.same_by_table)(&bytes);
    }

    #[test]
    fn a_message_whose_entries_are_shuffled_and_repeated_is_the_same_by_table(
        ((name, bytes), order) in messages().prop_flat_map(|(name, bytes)| {
            let entries = Value::parse(&bytes).entries().len().max(1);
            (Just((name, bytes)), vec(0..entries, 0..12))
        })
    ) {
        let codec = all().into_iter().find(|vector| vector.name == name).unwrap().codec;
        let message = Value::parse(&bytes);
        let entries = message.entries();
        let chosen = order.iter().filter_map(|index| entries.get(*index).cloned()).collect();
        (codec.same_by_table)(&Value::Map(chosen).encode());
    }
}
