//! The reader's rules, one by one, and against minicbor as an independent reader.

use proptest::prelude::*;

use super::*;
use crate::message;

fn strict(bytes: &[u8]) -> Result<(), ErrorKind> {
    decode::<Raw<'_>>(bytes).map(drop).map_err(Error::kind)
}

fn tolerant(bytes: &[u8]) -> Result<(), ErrorKind> {
    decode_tolerant::<Raw<'_>>(bytes).map(drop).map_err(Error::kind)
}

message! {
    /// A message to test the table with.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct Table<'a> {
        /// Required.
        0x01 => number: required u64,
        /// Optional, and a nested table.
        0x02 => named: optional Named<'a>,
        /// A list.
        0x05 => list: optional List<'a, u64>,
        /// A key of two bytes.
        0x18 => flag: optional bool,
    }
}

message! {
    /// A nested message.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct Named<'a> {
        /// Short.
        b"id" => id: required &'a str,
        /// Longer.
        b"name" => name: optional &'a [u8],
    }
}

#[test]
fn a_table_reads_and_writes_the_same_bytes() {
    let bytes = b"\xa4\x01\x07\x02\xa2bidax\x64name\x41\x09\x05\x82\x01\x18\x18\x18\x18\xf5";
    let table: Table<'_> = decode(bytes).unwrap();
    assert_eq!((table.number, table.flag), (7, Some(true)));
    assert_eq!(table.named, Some(Named { id: "x", name: Some(&[9]) }));
    assert_eq!(table.list, Some(List::Slice(&[1, 24])));
    let mut buffer = [0; 64];
    let len = encode(&table, &mut buffer).unwrap();
    assert_eq!(&buffer[..len], bytes);
}

#[test]
fn unknown_members_are_skipped_but_checked() {
    assert!(decode::<Table<'_>>(b"\xa3\x01\x07\x03\xa1\x61a\x80\x20\xf4").is_ok());
    let unsorted_inside = b"\xa2\x01\x07\x03\xa2\x62bb\x01\x61a\x02";
    assert_eq!(decode::<Table<'_>>(unsorted_inside).unwrap_err().kind(), ErrorKind::KeyOrder);
    assert!(decode::<Named<'_>>(b"\xa2\x62id\x61x\x64zzzz\x01").is_ok());
    let key_not_utf8 = b"\xa2\x62id\x61x\x63\xff\xff\xff\x01";
    assert_eq!(decode::<Named<'_>>(key_not_utf8).unwrap_err().kind(), ErrorKind::NotUtf8);
}

#[test]
fn keys_of_another_type_are_unknown_members() {
    assert!(decode::<Table<'_>>(b"\xa3\x01\x07\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x00\x61a\x01").is_ok());
    assert!(decode::<Named<'_>>(b"\xa3\x01\x07\x62id\x61x\x64name\x40").is_ok());
}

#[test]
fn keys_that_are_lists_are_ordered_by_length_and_then_from_their_first_byte() {
    // Of one length, but of different counts: {[32]: 0, [1, 2]: 0} and the other way round.
    let (one, two) = (b"\x81\x18\x20\x00", b"\x82\x01\x02\x00");
    assert_eq!(strict(&[&b"\xa2"[..], one, two].concat()), Ok(()));
    assert_eq!(strict(&[&b"\xa2"[..], two, one].concat()), Err(ErrorKind::KeyOrder));
    // {[3, 1]: 0, [2, 24]: 0} and the other way round.
    let (short, long) = (b"\x82\x03\x01\x00", b"\x82\x02\x18\x18\x00");
    assert_eq!(strict(&[&b"\xa2"[..], short, long].concat()), Ok(()));
    assert_eq!(strict(&[&b"\xa2"[..], long, short].concat()), Err(ErrorKind::KeyOrder));
}

#[test]
fn an_error_says_what_and_where() {
    let error = decode::<Table<'_>>(b"\xa2\x01\x07\x02\xa1\x62id\x01").unwrap_err();
    assert_eq!((error.kind(), error.offset(), error.member()), (ErrorKind::UnexpectedType, 8, Some(2)));
    assert_eq!(error.to_string(), "an item has another type than the standard's, at byte 8, in member 0x02");
    let error = decode::<Table<'_>>(b"\xa1\x02\xa1\x62id\x61x").unwrap_err();
    assert_eq!((error.kind(), error.member()), (ErrorKind::Missing, Some(1)));
    assert_eq!(size_of::<Error>(), 4);
}

#[test]
fn an_error_keeps_its_kind_its_place_and_its_member() {
    use ErrorKind::*;
    let kinds = [
        Truncated,
        Malformed,
        NotShortest,
        KeyOrder,
        Forbidden,
        TooDeep,
        NotUtf8,
        TrailingBytes,
        UnexpectedType,
        Missing,
        WrongLength,
        OutOfRange,
        PrivateKey,
    ];
    for kind in kinds {
        for (offset, kept) in [(0, 0), (0x1234, 0x1234), (0x1_0000, 0xFFFF), (usize::MAX, 0xFFFF)] {
            let error = Error::new(kind, offset);
            assert_eq!((error.kind(), error.offset(), error.member()), (kind, kept, None));
            let within = error.within(7).within(255);
            assert_eq!((within.kind(), within.offset(), within.member()), (kind, kept, Some(255)));
        }
    }
    assert_eq!(size_of::<Result<(), Error>>(), 4);
}

#[test]
fn errors_map_to_the_standards_status() {
    use crate::Status;
    let status = |bytes: &[u8]| decode::<Table<'_>>(bytes).unwrap_err().status();
    assert_eq!(status(b"\xa1\x01"), Status::INVALID_CBOR);
    assert_eq!(status(b"\xa1\x01\x61a"), Status::CBOR_UNEXPECTED_TYPE);
    assert_eq!(status(b"\xa0"), Status::MISSING_PARAMETER);
    let wrong_length = decode::<&[u8; 2]>(b"\x41\x00").unwrap_err();
    assert_eq!(wrong_length.status(), Status::INVALID_PARAMETER);
}

#[test]
fn a_number_not_in_its_shortest_form_is_refused_only_by_the_strict_rules() {
    for bytes in
        [&b"\x18\x17"[..], b"\x19\x00\xff", b"\x1a\x00\x00\xff\xff", b"\x1b\0\0\0\0\xff\xff\xff\xff", b"\x58\x01a"]
    {
        assert_eq!(strict(bytes), Err(ErrorKind::NotShortest), "{bytes:x?}");
        assert_eq!(tolerant(bytes), Ok(()), "{bytes:x?}");
    }
}

#[test]
fn keys_out_of_order_or_doubled_are_refused_only_by_the_strict_rules() {
    let maps = [
        &b"\xa2\x02\x00\x01\x00"[..], // descending
        b"\xa2\x01\x00\x01\x00",      // doubled
        b"\xa2\x20\x00\x01\x00",      // negative before positive
        b"\xa2\x61a\x00\x01\x00",     // text before integer
        b"\xa2\x62ab\x00\x61c\x00",   // longer before shorter
        b"\xa2\x61b\x00\x61a\x00",    // bytewise
        b"\xa2\x18\x18\x00\x01\x00",  // two bytes before one
    ];
    for bytes in maps {
        assert_eq!(strict(bytes), Err(ErrorKind::KeyOrder), "{bytes:x?}");
        assert_eq!(tolerant(bytes), Ok(()), "{bytes:x?}");
    }
}

#[test]
fn the_order_is_checked_across_known_and_unknown_members() {
    for bytes in [
        &b"\xa2\x01\x07\x01\x07"[..],
        b"\xa2\x03\x00\x01\x07",
        b"\xa2\x20\x00\x01\x07",
        b"\xa3\x01\x07\x18\x18\xf5\x05\x80",
    ] {
        assert_eq!(decode::<Table<'_>>(bytes).unwrap_err().kind(), ErrorKind::KeyOrder, "{bytes:x?}");
        assert!(decode_tolerant::<Table<'_>>(bytes).is_ok(), "{bytes:x?}");
    }
    for bytes in [&b"\xa2\x62id\x61x\x62id\x61y"[..], b"\xa2\x64name\x40\x62id\x61x", b"\xa2\x63zzz\x00\x62id\x61x"] {
        assert_eq!(decode::<Named<'_>>(bytes).unwrap_err().kind(), ErrorKind::KeyOrder, "{bytes:x?}");
        assert!(decode_tolerant::<Named<'_>>(bytes).is_ok(), "{bytes:x?}");
    }
}

#[test]
fn tags_and_floats_are_refused_only_by_the_strict_rules() {
    for bytes in [&b"\xc0\x00"[..], b"\xf9\x00\x00", b"\xfa\0\0\0\0", b"\xfb\0\0\0\0\0\0\0\0", b"\xf7", b"\xf8\x20"] {
        assert_eq!(strict(bytes), Err(ErrorKind::Forbidden), "{bytes:x?}");
        assert_eq!(tolerant(bytes), Ok(()), "{bytes:x?}");
    }
    assert_eq!(strict(b"\xf6"), Ok(()));
}

#[test]
fn indefinite_lengths_and_reserved_heads_are_refused_by_both_rules() {
    for bytes in [&b"\x9f\xff"[..], b"\xbf\xff", b"\x5f\xff", b"\x7f\xff", b"\x1c", b"\xff", b"\xf8\x1f"] {
        assert_eq!(strict(bytes), Err(ErrorKind::Malformed), "{bytes:x?}");
        assert_eq!(tolerant(bytes), Err(ErrorKind::Malformed), "{bytes:x?}");
    }
}

#[test]
fn nesting_ends_at_4_and_at_16_levels() {
    let nested = |levels: usize| [vec![0x81; levels], vec![0x00]].concat();
    assert_eq!(strict(&nested(4)), Ok(()));
    assert_eq!(strict(&nested(5)), Err(ErrorKind::TooDeep));
    assert_eq!(tolerant(&nested(16)), Ok(()));
    assert_eq!(tolerant(&nested(17)), Err(ErrorKind::TooDeep));
    assert_eq!(tolerant(&[0x81; 5000]), Err(ErrorKind::TooDeep));
}

#[test]
fn an_item_that_ends_early_or_late_is_refused() {
    assert_eq!(strict(b""), Err(ErrorKind::Truncated));
    assert_eq!(strict(b"\x42\x00"), Err(ErrorKind::Truncated));
    assert_eq!(strict(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"), Err(ErrorKind::Truncated));
    assert_eq!(strict(b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff"), Err(ErrorKind::Truncated));
    assert_eq!(strict(b"\x00\x00"), Err(ErrorKind::TrailingBytes));
}

#[test]
fn text_is_utf8() {
    assert_eq!(strict(b"\x62\xc3\xa4"), Ok(()));
    assert_eq!(tolerant(b"\x61\xff"), Err(ErrorKind::NotUtf8));
    assert_eq!(decode::<&str>(b"\x61\xff").unwrap_err().kind(), ErrorKind::NotUtf8);
    assert_eq!(decode_tolerant::<&str>(b"\x64ab\xe2\x82"), Ok("ab"), "cut within a character");
    assert_eq!(decode_tolerant::<&str>(b"\x64ab\xe2a").unwrap_err().kind(), ErrorKind::NotUtf8);
    assert_eq!(decode::<&str>(b"\x64ab\xe2\x82").unwrap_err().kind(), ErrorKind::NotUtf8);
    assert_eq!(decode::<List<'_, &str>>(b"\x82\x61a\x62a\xff").unwrap_err().kind(), ErrorKind::NotUtf8);
}

#[test]
fn an_overflow_names_the_size_it_takes() {
    let error = encode(&"twelve bytes", &mut [0; 5]).unwrap_err();
    assert_eq!(error.needed, 13);
}

/// Canonical items, nested at most `depth` deep.
fn canonical(depth: u32) -> impl Strategy<Value = Vec<u8>> {
    let head = |major: u8, value: u64| {
        let mut buffer = [0; 9];
        let mut w = Writer::new(&mut buffer);
        w.unsigned(value);
        let len = w.len();
        buffer[0] |= major << 5;
        buffer[..len].to_vec()
    };
    let leaf = prop_oneof![
        any::<u64>().prop_map(move |value| head(0, value)),
        (0..u64::MAX).prop_map(move |value| head(1, value)),
        proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(move |bytes| [head(2, bytes.len() as u64), bytes].concat()),
        ".{0,12}".prop_map(move |text| [head(3, text.len() as u64), text.into_bytes()].concat()),
        prop_oneof![Just(vec![0xF4]), Just(vec![0xF5])],
    ];
    leaf.prop_recursive(depth, 24, 5, move |item| {
        prop_oneof![
            proptest::collection::vec(item.clone(), 0..5).prop_map(move |items| [
                head(4, items.len() as u64),
                items.concat()
            ]
            .concat()),
            proptest::collection::vec((0..300u64, item), 0..5).prop_map(move |mut entries| {
                entries.sort_by_key(|(key, _)| *key);
                entries.dedup_by_key(|(key, _)| *key);
                let body: Vec<u8> =
                    entries.iter().flat_map(|(key, value)| [head(0, *key), value.clone()].concat()).collect();
                [head(5, entries.len() as u64), body].concat()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_items_pass_both_rules_and_minicbor(bytes in canonical(3)) {
        prop_assert_eq!(strict(&bytes), Ok(()));
        prop_assert_eq!(tolerant(&bytes), Ok(()));
        let mut decoder = minicbor::Decoder::new(&bytes);
        prop_assert!(decoder.skip().is_ok());
        prop_assert_eq!(decoder.position(), bytes.len());
    }

    #[test]
    fn what_strict_accepts_tolerant_and_minicbor_accept(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if strict(&bytes).is_ok() {
            prop_assert!(tolerant(&bytes).is_ok());
        }
        if tolerant(&bytes).is_ok() {
            let mut decoder = minicbor::Decoder::new(&bytes);
            prop_assert!(decoder.skip().is_ok());
            prop_assert_eq!(decoder.position(), bytes.len());
        }
    }

    #[test]
    fn every_truncation_is_refused(bytes in canonical(3)) {
        for len in 0..bytes.len() {
            prop_assert!(strict(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn integers_of_either_sign_come_back(value: i64) {
        let mut buffer = [0; 9];
        let mut w = Writer::new(&mut buffer);
        w.integer(value);
        let len = w.finish().unwrap();
        let mut r = Reader::strict(&buffer[..len]);
        prop_assert_eq!(r.integer(), Ok(value));
        prop_assert_eq!(minicbor::decode::<i64>(&buffer[..len]).unwrap(), value);
    }
}

#[test]
fn a_key_that_is_there_twice_is_found_however_it_is_encoded_and_wherever_it_stands() {
    let unique = |bytes: &str| Reader::tolerant(&crate::vectors::hex(bytes)).expect_unique_keys().map_err(Error::kind);
    for once in [
        "a0",
        "00",
        "80",
        "f5",
        "fb0000000000000000",
        "a3010002000300",
        "a3030002000100",
        "a300006130004130 00",
        "a2010020 00",
        // A key in another map is another key; a name that was cut within a character is passed over.
        "a201a1010002a10100",
        "82a10100a10100",
        "a26161a16161006162a1616100",
        "a162696461c3",
        // Keys that are items of other types.
        "a2810100810200",
        "a2c00000c10000",
        "a2f400f500",
        "a2fb000000000000000000fb000000000000000100",
    ] {
        assert_eq!(unique(&once.replace(' ', "")), Ok(()), "{once}");
    }
    for twice in [
        "a201000100",
        "a2010018 0100",
        "a203001b000000000000000300",
        "a3010002000100",
        "a420000300010020 00",
        "a261610061 6100",
        "a261610078016100",
        "a24161005801 6100",
        "a101a201000100",
        "81a201000100",
        "c0a201000100",
        "a2a20100010000 0000",
        "a101a101a10182a0a201000100",
        "a2810100810100",
        "a2c00000c00000",
        "a2f400f400",
    ] {
        let twice = twice.replace(' ', "");
        assert_eq!(unique(&twice), Err(ErrorKind::KeyOrder), "{twice}");
    }
    // Malformed is malformed.
    assert_eq!(unique("a20100"), Err(ErrorKind::Truncated));
    assert_eq!(unique("bf"), Err(ErrorKind::Malformed));
    assert_eq!(unique(&"81".repeat(17)), Err(ErrorKind::TooDeep));
}

#[test]
fn a_map_whose_keys_do_not_ascend_is_checked_up_to_64_entries() {
    let map = |keys: &[u8]| {
        let entries = keys.iter().flat_map(|key| [0x18, *key, 0xf5]);
        [0xb8, keys.len() as u8].into_iter().chain(entries).collect::<Vec<_>>()
    };
    let check = |keys: &[u8]| Reader::tolerant(&map(keys)).expect_unique_keys().map_err(Error::kind);
    let ascending: Vec<u8> = (24..=255).collect();
    assert_eq!(check(&ascending), Ok(()));
    let descending: Vec<u8> = ascending.iter().rev().copied().collect();
    assert_eq!(check(&descending[..64]), Ok(()));
    assert_eq!(check(&descending[..65]), Err(ErrorKind::KeyOrder));
    for at in 0..63 {
        let mut twice = descending[..64].to_vec();
        twice[63] = twice[at];
        assert_eq!(check(&twice), Err(ErrorKind::KeyOrder), "{at}");
    }
}

/// To compare a key with those before it means to go through all that is in them. Maps of 64 entries whose keys do not
/// ascend, one within the first key of another or within its first value, would take 64 to the power of the depth, or
/// 64 times the depth times the length.
#[test]
fn maps_within_maps_are_gone_through_again_up_to_a_bound() {
    let nested = |before: &[u8], after: &[u8]| {
        (0..15).fold(vec![0xa0], |inner, _| {
            let entries = (0..63_u8).rev().flat_map(|key| [0x18, key + 24, 0]);
            [0xb8, 64].iter().chain(before).copied().chain(inner).chain(after.iter().copied()).chain(entries).collect()
        })
    };
    for item in [nested(&[], &[0]), nested(&[0x19, 1, 0], &[])] {
        assert_eq!(Reader::tolerant(&item).expect_unique_keys().map_err(Error::kind), Err(ErrorKind::KeyOrder));
    }
    // What authenticators send out of order is far from it.
    let few = [&[0xa3, 3, 0, 2, 0x98, 200][..], &[0; 200], &[1, 0]].concat();
    assert_eq!(Reader::tolerant(&few).expect_unique_keys(), Ok(()));
    let many = [&[0xa3, 3, 0, 2, 0x99, 0x10, 0][..], &[0; 4096], &[1, 0]].concat();
    assert_eq!(Reader::tolerant(&many).expect_unique_keys().map_err(Error::kind), Err(ErrorKind::KeyOrder));
}

/// Items of few values, so that keys are often equal, encoded in any length of head.
fn few_values() -> impl Strategy<Value = Vec<u8>> {
    let head = |major: u8, value: u8, wide: bool| match wide {
        true => vec![major << 5 | 25, 0, value],
        false => vec![major << 5 | value],
    };
    let leaf = (0..4_u8, 0..3_u8, any::<bool>()).prop_map(move |(major, value, wide)| {
        [head(major, value, wide), vec![b'a'; (value * (major >> 1)).into()]].concat()
    });
    leaf.prop_recursive(4, 24, 4, move |item| {
        prop_oneof![
            proptest::collection::vec(item.clone(), 0..4).prop_map(move |items| [
                head(4, items.len() as u8, false),
                items.concat()
            ]
            .concat()),
            proptest::collection::vec((item.clone(), item.clone()), 0..4).prop_map(move |entries| {
                let body: Vec<u8> = entries.iter().flat_map(|(key, value)| [&key[..], value].concat()).collect();
                [head(5, entries.len() as u8, true), body].concat()
            }),
            item.prop_map(move |item| [vec![0xC0], item].concat()),
        ]
    })
}

/// The same check in the plainest way. Integers and strings are equal by value, other keys by their bytes.
fn has_key_twice(r: &mut Reader<'_>) -> bool {
    let mut twice = false;
    match r.item().unwrap() {
        Item::Array(count) => (0..count).for_each(|_| twice |= has_key_twice(r)),
        Item::Tag(_) => twice |= has_key_twice(r),
        Item::Map(count) => {
            let mut keys = Vec::new();
            for _ in 0..count {
                let start = *r;
                twice |= has_key_twice(r);
                let key = match { start }.item().unwrap() {
                    Item::Array(_) | Item::Map(_) | Item::Tag(_) => format!("{:x?}", r.since(start.rest)),
                    value => format!("{value:?}"),
                };
                twice |= keys.contains(&key);
                keys.push(key);
                twice |= has_key_twice(r);
            }
        }
        _ => return twice,
    }
    r.leave();
    twice
}

proptest! {
    #[test]
    fn the_search_for_keys_that_are_there_twice_agrees_with_a_plain_one(bytes in few_values()) {
        let found = Reader::tolerant(&bytes).expect_unique_keys();
        let expected = if has_key_twice(&mut Reader::tolerant(&bytes)) { Err(ErrorKind::KeyOrder) } else { Ok(()) };
        prop_assert_eq!(found.map_err(Error::kind), expected);
    }
}

#[test]
fn a_number_of_more_than_32_bits_counts_as_the_largest() {
    for (bytes, number) in [
        (&[0x1A, 0xFF, 0xFF, 0xFF, 0xFF][..], u32::MAX),
        (&[0x1A, 0xFF, 0xFF, 0xFF, 0xFE], u32::MAX - 1),
        (&[0x1B, 0, 0, 0, 1, 0, 0, 0, 10], u32::MAX),
        (&[0x1B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], u32::MAX),
    ] {
        assert_eq!(decode::<u32>(bytes), Ok(number), "{bytes:02x?}");
        assert_eq!(decode::<usize>(bytes), Ok(number as usize), "{bytes:02x?}");
    }
}

/// Lists of every length of head, and a map in which they stand, in a buffer that is just long enough and in one that
/// is a byte too short.
#[test]
fn lists_written_item_by_item_have_as_many_items_as_were_written() {
    for count in [0u32, 1, 23, 24, 255, 256, 300] {
        let write = |buffer: &mut [u8]| {
            let mut w = Writer::new(buffer);
            let mut m = MapWriter::new(&mut w, Table::KEYS, &[]);
            m.number(Some(7));
            m.skip(1);
            assert!(m.begin_list(true));
            (0..count).for_each(|number| m.number_item(number));
            m.end_list();
            m.flag(Some(true));
            m.end();
            w.finish()
        };
        let needed = write(&mut []).unwrap_err().needed;
        let mut buffer = vec![0; needed];
        assert_eq!(write(&mut buffer), Ok(needed));
        let table: Table<'_> = decode(&buffer).unwrap();
        assert!(table.list.unwrap().iter().eq((0..count).map(u64::from)), "{count}");
        assert_eq!((table.number, table.named, table.flag), (7, None, Some(true)));
        assert_eq!(write(&mut buffer[..needed - 1]), Err(Overflow { needed }));
    }
}

/// The head is written before the length is known, so a long string is moved.
#[test]
fn a_byte_string_of_unknown_length_has_the_shortest_head() {
    for length in [24, 25, 255, 256, 1000] {
        let content: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
        let write = |buffer: &mut [u8]| {
            let mut w = Writer::new(buffer);
            w.byte(9);
            let start = w.begin_bytes();
            w.raw(&content);
            let written = w.end_bytes(start).map(<[u8]>::to_vec);
            w.byte(8);
            (written, w.finish())
        };
        let needed = write(&mut []).1.unwrap_err().needed;
        let mut buffer = vec![0; needed];
        assert_eq!(write(&mut buffer), (Some(content.clone()), Ok(needed)));
        assert_eq!((buffer[0], buffer[needed - 1]), (9, 8));
        assert_eq!(decode::<&[u8]>(&buffer[1..needed - 1]), Ok(&content[..]));
        assert_eq!(write(&mut buffer[..needed - 2]), (None, Err(Overflow { needed })));
    }
}
