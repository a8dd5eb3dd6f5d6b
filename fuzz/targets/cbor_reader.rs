//! The CBOR reader compared with minicbor, and with a canonical form that is made with minicbor.
#![no_main]

use std::collections::BTreeMap;

use keyfob_core::cbor::{ErrorKind, Raw, RawMap, Reader, Writer, decode, encode};
use libfuzzer_sys::fuzz_target;
use minicbor::{Decoder, Encoder, data::Type};

fuzz_target!(|bytes: &[u8]| {
    items(bytes);
    values(bytes);
});

/// Compares one item of any type: which readers accept it, and its length.
fn items(bytes: &[u8]) {
    let mut strict = Reader::strict(bytes);
    let mut tolerant = Reader::tolerant(bytes);
    let mut theirs = Decoder::new(bytes);
    let strict = strict.skip().map(<[u8]>::len);
    let tolerant = tolerant.skip().map(<[u8]>::len);
    let theirs = theirs.skip().map(|()| theirs.position());

    match tolerant {
        Ok(length) => assert_eq!(theirs.ok(), Some(length), "well-formed to us"),
        Err(error) if error.kind() == ErrorKind::Truncated => assert!(theirs.is_err(), "truncated to us"),
        Err(_) => {}
    }
    let canonical = tolerant.ok().filter(|&length| {
        let item = &bytes[..length];
        canonical(&mut Decoder::new(item), 4).is_some_and(|form| form == item)
    });
    assert_eq!(strict.ok(), canonical, "strict accepts exactly what is canonical");
    if let Some(length) = canonical {
        let item = &bytes[..length];
        assert_eq!(decode(item), Ok(Raw(item)));
        assert_eq!(decode(item).is_ok_and(|RawMap(map)| map == item), item[0] >> 5 == 5);
        let mut buffer = vec![0; length];
        assert_eq!(encode(&Raw(item), &mut buffer), Ok(length));
        assert_eq!(buffer, item);
    }
}

/// The canonical form of an item that CTAP allows, at most `depth` deep.
fn canonical(d: &mut Decoder<'_>, depth: usize) -> Option<Vec<u8>> {
    let mut e = Encoder::new(Vec::new());
    let inside = depth.checked_sub(1);
    match d.datatype().ok()? {
        Type::Bool => e.bool(d.bool().ok()?).map(drop),
        Type::Null => d.null().ok().map(|()| e.null().map(drop))?,
        Type::Bytes => e.bytes(d.bytes().ok()?).map(drop),
        Type::String => e.str(d.str().ok()?).map(drop),
        Type::Array => {
            let count = d.array().ok()??;
            e.array(count).ok()?;
            for _ in 0..count {
                e.writer_mut().extend(canonical(d, inside?)?);
            }
            inside.map(|_| Ok(()))?
        }
        Type::Map => {
            let count = d.map().ok()??;
            e.map(count).ok()?;
            let mut entries = BTreeMap::new();
            for _ in 0..count {
                let key = canonical(d, inside?)?;
                // CTAP 2.3 §8: by major type, by length, byte by byte.
                let order = (key.first().map(|initial| initial >> 5), key.len(), key);
                if entries.insert(order, canonical(d, inside?)?).is_some() {
                    return None; // a duplicate key
                }
            }
            e.writer_mut().extend(entries.into_iter().flat_map(|((_, _, key), value)| [key, value]).flatten());
            inside.map(|_| Ok(()))?
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            e.int(d.int().ok()?).map(drop)
        }
        _ => return None,
    }
    .ok()?;
    Some(e.into_writer())
}

/// Typed values: both libraries read the same value, and the strict reader accepts exactly what the writer writes.
fn values<'a>(bytes: &'a [u8]) {
    /// `$ours` and `$theirs` read one value, `$write` writes it.
    macro_rules! value {
        ($ours:expr, $theirs:expr, $write:expr) => {{
            let mut theirs = Decoder::new(bytes);
            let read = $theirs(&mut theirs).ok().map(|value| (value, theirs.position()));
            let mut ours = Reader::tolerant(bytes);
            assert_eq!($ours(&mut ours).ok().map(|value| (value, ours.offset())), read);

            let mut ours = Reader::strict(bytes);
            let strict = $ours(&mut ours).ok();
            let written = read.map(|(value, length)| {
                let mut buffer = vec![0; length];
                let mut w = Writer::new(&mut buffer);
                $write(&mut w, value);
                w.written() == Some(&bytes[..length])
            });
            assert_eq!(strict.is_some(), written == Some(true), "strict accepts exactly what the writer writes");
            assert!(strict.is_none() || strict == read.map(|(value, _)| value));
        }};
    }
    value!(Reader::unsigned, Decoder::u64, Writer::unsigned);
    value!(Reader::integer, Decoder::i64, Writer::integer);
    value!(Reader::bool, Decoder::bool, Writer::bool);
    value!(Reader::bytes, Decoder::bytes, Writer::bytes);
    // If a text is cut inside a character, the tolerant reader drops that character; the oracle refuses the text.
    let whole_text = |r: &mut Reader<'a>| {
        let text = r.text().map_err(drop)?;
        let taken = bytes.get(..r.offset()).unwrap_or_default();
        let whole = taken.ends_with(text.as_bytes()) && (!text.is_empty() || taken.last().is_some_and(u8::is_ascii));
        whole.then_some(text).ok_or(())
    };
    value!(whole_text, Decoder::str, Writer::text);
}
