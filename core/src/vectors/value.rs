//! A CBOR item as a tree, for tests that change it.

use minicbor::{Decoder, data::Type};

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Unsigned(u64),
    Negative(i64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Bool(bool),
    /// Encoded bytes, for items that canonical CBOR does not have.
    Raw(&'static [u8]),
}

impl Value {
    /// An item of each major type, and one that is neither `false` nor `true`.
    pub fn of_every_type() -> [Value; 9] {
        [
            Value::Unsigned(0),
            Value::Negative(-1),
            Value::Bytes(Vec::new()),
            Value::Text(String::new()),
            Value::Array(Vec::new()),
            Value::Map(Vec::new()),
            Value::Raw(&[0xC0, 0x00]),
            Value::Bool(false),
            Value::Raw(&[0xF6]),
        ]
    }

    /// Every item that differs from this one in that one item in it, or the whole, has another type.
    pub fn with_other_types(&self) -> Vec<Value> {
        let mut changed = Self::of_every_type().to_vec();
        match self {
            Self::Array(items) => changed.extend(items.iter().enumerate().flat_map(|(at, item)| {
                item.with_other_types().into_iter().map(move |other| {
                    let mut items = items.clone();
                    items[at] = other;
                    Self::Array(items)
                })
            })),
            Self::Map(entries) => changed.extend(entries.iter().enumerate().flat_map(|(at, (key, value))| {
                let keys = key.with_other_types().into_iter().map(|key| (key, value.clone()));
                let values = value.with_other_types().into_iter().map(|value| (key.clone(), value));
                keys.chain(values).map(move |entry| {
                    let mut entries = entries.clone();
                    entries[at] = entry;
                    Self::Map(entries)
                })
            })),
            _ => {}
        }
        changed
    }

    pub fn parse(bytes: &[u8]) -> Value {
        item(&mut Decoder::new(bytes))
    }

    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Unsigned(value) => minicbor::to_vec(value).unwrap(),
            Self::Negative(value) => minicbor::to_vec(value).unwrap(),
            Self::Bytes(bytes) => [head(0x40, bytes.len()), bytes.clone()].concat(),
            Self::Text(text) => [head(0x60, text.len()), text.clone().into_bytes()].concat(),
            Self::Array(items) => items.iter().fold(head(0x80, items.len()), |out, item| [out, item.encode()].concat()),
            Self::Map(entries) => entries
                .iter()
                .fold(head(0xA0, entries.len()), |out, (key, value)| [out, key.encode(), value.encode()].concat()),
            Self::Bool(value) => vec![if *value { 0xF5 } else { 0xF4 }],
            Self::Raw(bytes) => bytes.to_vec(),
        }
    }

    pub fn entries(&self) -> &[(Value, Value)] {
        match self {
            Self::Map(entries) => entries,
            other => panic!("no map: {other:?}"),
        }
    }

    /// The key of a map as text.
    pub fn key(&self) -> String {
        match self {
            Self::Unsigned(key) => key.to_string(),
            Self::Negative(key) => key.to_string(),
            Self::Text(key) => key.clone(),
            other => panic!("no key: {other:?}"),
        }
    }

    /// The major type; `false` and `true` are 7.
    pub fn major(&self) -> u8 {
        self.encode()[0] >> 5
    }
}

fn head(major: u8, length: usize) -> Vec<u8> {
    let mut head = minicbor::to_vec(length as u64).unwrap();
    head[0] |= major;
    head
}

fn item(d: &mut Decoder<'_>) -> Value {
    match d.datatype().unwrap() {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => Value::Unsigned(d.u64().unwrap()),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => Value::Negative(d.i64().unwrap()),
        Type::Bytes => Value::Bytes(d.bytes().unwrap().to_vec()),
        Type::String => Value::Text(d.str().unwrap().to_string()),
        Type::Array => {
            let count = d.array().unwrap().unwrap();
            Value::Array((0..count).map(|_| item(d)).collect())
        }
        Type::Map => {
            let count = d.map().unwrap().unwrap();
            Value::Map((0..count).map(|_| (item(d), item(d))).collect())
        }
        Type::Bool => Value::Bool(d.bool().unwrap()),
        other => panic!("not canonical: {other}"),
    }
}
