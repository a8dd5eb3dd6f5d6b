//! The large-blob array, its elements and the compression.

use proptest::{collection::vec, prelude::*};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::*;
use crate::{crypto::StubCrypto, ctap2::large_blobs::INITIAL_ARRAY, vectors::hex};

const ONE: Key = [1; 32];
const TWO: Key = [2; 32];

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(3)
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn inflated(compressed: &[u8], len: usize) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; len];
    inflate(compressed, &mut out).map(|()| out)
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0; bound(data.len())];
    let len = deflate(data, &mut out).unwrap();
    out.truncate(len);
    out
}

/// An array with a blob for each key, in 1,000 bytes.
fn filled<'b>(memory: &'b mut [u8], blobs: &[(Key, &[u8])]) -> LargeBlobArray<'b> {
    let mut array = LargeBlobArray::empty(memory).unwrap();
    let mut work = [0; 2000];
    for (key, blob) in blobs {
        array.put(&StubCrypto, &mut rng(), key, blob, &mut work).unwrap();
    }
    array
}

fn get(array: &LargeBlobArray<'_>, key: &Key) -> Option<Vec<u8>> {
    let mut work = [0; 2000];
    array.get(&StubCrypto, key, &mut work).unwrap().map(<[u8]>::to_vec)
}

/// The serialized form of any CBOR array.
fn serialized(array: &[u8]) -> Vec<u8> {
    [array, &left_hash(&StubCrypto, array)].concat()
}

#[test]
fn text_is_compressed_as_others_compress_it() {
    assert_eq!(deflated(b"hello large blob"), hex("cb48cdc9c957c8492c4a4f5548cac94f0200"));
    assert!(deflated(&[b'a'; 600]).len() <= 9, "three repetitions");
    assert_eq!(deflated(b""), hex("0300"));
}

#[test]
fn blocks_with_their_own_codes_are_read() {
    // zlib at level 9 over 32 repetitions of a pangram, each with its number.
    let text: String = (0..32).map(|n| format!("{n}: the quick brown fox jumps over the lazy dog. ")).collect();
    let compressed = hex(
        "95d3d91182501044d15426028beee74a362ee082fa000595e8ad2283fb3d77be4e7551c6fb5245375c8f4d1cfafc79469dbf711b1eed2bf2\
         58f5f3f9be9f7e71cae74508f6867d82fd12f62bd8af61bf81fd16f63bea55d0072a2c4a2c6a2c8a2caa2cca2cea2c0a2d2a6d2a6dbc652a\
         6d2a6d2a6d2a6d2a6d2a6d2a6d2a9da874a2d27f",
    );
    assert_eq!(compressed[0] >> 1 & 3, 2, "a block with its own codes");
    assert_eq!(inflated(&compressed, text.len()).unwrap(), text.as_bytes());
}

#[test]
fn a_code_of_a_single_symbol_may_be_incomplete() {
    assert_eq!(inflated(&hex("05c081000000008020d6fc250a04"), 5).unwrap(), b"aaaaa");
}

#[test]
fn what_does_not_compress_is_stored() {
    let noise = noise(70_000);
    let compressed = deflated(&noise);
    assert_eq!(compressed.len(), bound(noise.len()));
    assert_eq!(inflated(&compressed, noise.len()).unwrap(), noise);
}

#[test]
fn a_blob_that_is_longer_or_shorter_than_it_says_is_refused() {
    let compressed = deflated(b"hello large blob");
    assert_eq!(inflated(&compressed, 15), Err(Error::Compression));
    assert_eq!(inflated(&compressed, 17), Err(Error::Compression));
}

#[test]
fn malformed_compression_is_refused() {
    for (name, compressed) in [
        ("nothing", ""),
        ("a reserved block type", "07"),
        ("a stored length without its complement", "010500fafe68656c6c6f"),
        ("a stored block that ends early", "010500faff6865"),
        ("a distance to before the beginning", "4b04c200"),
        ("a code with too many lengths", "edfd07"),
        ("a single distance of two bits", "05c081000000008020d6fc251a04"),
    ] {
        for len in [0, 5, 300] {
            assert_eq!(inflated(&hex(compressed), len), Err(Error::Compression), "{name}");
        }
    }
}

#[test]
fn an_empty_array_is_that_of_a_new_authenticator() {
    #[cfg(feature = "rustcrypto")]
    assert_eq!(LargeBlobArray::empty(&mut [0; OVERHEAD]).unwrap().serialize(&crate::crypto::RustCrypto), INITIAL_ARRAY);
    assert_eq!(LargeBlobArray::empty(&mut [0; OVERHEAD]).unwrap().serialized_len(), INITIAL_ARRAY.len());
    assert_eq!(LargeBlobArray::empty(&mut [0; OVERHEAD - 1]).unwrap_err(), Error::ArrayTooLong { needed: OVERHEAD });
}

#[cfg(feature = "rustcrypto")]
#[test]
fn the_published_array_is_read_and_written() {
    use crate::crypto::RustCrypto;
    let published = hex(
        "81a30158228c4a1bd20cb20a52a10bd8def923b12281d6ff8d0b72900fece228ea2830dd5e37cb024c000102030405060708090a0b0310\
         efe06647fb1f57b6f44ec22936351693",
    );
    let key: Key = core::array::from_fn(|n| n as u8);
    let mut memory = [0; 200];
    memory[..published.len()].copy_from_slice(&published);
    let mut array = LargeBlobArray::open(&RustCrypto, &mut memory, published.len()).unwrap();
    assert_eq!((array.len(), array.is_intact()), (1, true));
    assert_eq!(array.get(&RustCrypto, &key, &mut [0; 100]), Ok(Some(&b"hello large blob"[..])));
    assert_eq!(array.get(&RustCrypto, &ONE, &mut [0; 100]), Ok(None));
    assert_eq!(array.serialize(&RustCrypto), published);

    // Putting the blob with the published nonce gives the same array.
    struct Counting;
    impl rand_chacha::rand_core::TryRng for Counting {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            unreachable!("a nonce is asked for as bytes")
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            unreachable!("a nonce is asked for as bytes")
        }
        fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
            to.iter_mut().zip(0..).for_each(|(to, n)| *to = n);
            Ok(())
        }
    }
    impl rand_chacha::rand_core::TryCryptoRng for Counting {}
    let mut array = LargeBlobArray::empty(&mut memory).unwrap();
    array.put(&RustCrypto, &mut Counting, &key, b"hello large blob", &mut [0; 100]).unwrap();
    assert_eq!(array.serialized_len(), published.len());
    assert_eq!(array.serialize(&RustCrypto), published);
}

#[test]
fn a_blob_is_stored_replaced_and_removed_and_the_others_stay() {
    let mut memory = [0; 1000];
    let mut array = filled(&mut memory, &[(ONE, b"first"), (TWO, b"second"), (ONE, b"third, and longer")]);
    assert_eq!(array.len(), 2);
    assert_eq!(get(&array, &ONE).unwrap(), b"third, and longer");
    assert_eq!(get(&array, &TWO).unwrap(), b"second");
    assert_eq!(array.remove(&StubCrypto, &ONE, &mut [0; 200]), Ok(true));
    assert_eq!(array.remove(&StubCrypto, &ONE, &mut [0; 200]), Ok(false));
    assert_eq!((get(&array, &ONE), get(&array, &TWO).unwrap()), (None, b"second".to_vec()));
}

#[test]
fn what_cannot_be_read_stays_byte_for_byte() {
    // A number, a map without a nonce, a map with an unknown member, a padded integer, a short ciphertext.
    let strange: [&[u8]; 5] = [
        b"\x05",
        b"\xa1\x01\x41\x00",
        b"\xa4\x01\x50################\x02\x4cnonce nonce \x03\x01\x18\x63\xf5",
        b"\x18\x05",
        b"\xa3\x01\x43abc\x02\x4cnonce nonce \x03\x01",
    ];
    let bytes = serialized(&[b"\x98\x05", strange.concat().as_slice()].concat());
    let mut memory = [0; 1000];
    memory[..bytes.len()].copy_from_slice(&bytes);
    let mut array = LargeBlobArray::open(&StubCrypto, &mut memory, bytes.len()).unwrap();
    let mut work = [0; 500];
    array.put(&StubCrypto, &mut rng(), &ONE, b"mine", &mut work).unwrap();
    assert!(array.elements().take(5).eq(strange));
    assert_eq!((array.len(), get(&array, &ONE).unwrap()), (6, b"mine".to_vec()));
    assert_eq!(array.remove(&StubCrypto, &ONE, &mut work), Ok(true));
    assert!(array.elements().eq(strange));
    // Only the two items that have the form of a blob are garbage.
    assert_eq!(array.collect_garbage(&StubCrypto, &[ONE], &mut work), Ok(2));
    assert!(array.elements().eq([strange[0], strange[1], strange[3]]));
}

#[test]
fn garbage_is_what_no_key_opens() {
    let mut memory = [0; 1000];
    let mut array = filled(&mut memory, &[(ONE, b"first"), (TWO, b"second"), ([3; 32], b"third")]);
    assert_eq!(array.collect_garbage(&StubCrypto, &[ONE, [3; 32]], &mut [0; 100]), Ok(1));
    assert_eq!((array.len(), get(&array, &TWO)), (2, None));
    assert_eq!(get(&array, &[3; 32]).unwrap(), b"third");
}

#[test]
fn an_array_with_a_wrong_hash_counts_as_empty() {
    for bytes in [serialized(b"\x81\x05").split_last().unwrap().1.to_vec(), b"\x81\x05 and no hash".to_vec(), vec![]] {
        let mut memory = [0; 100];
        memory[..bytes.len()].copy_from_slice(&bytes);
        let array = LargeBlobArray::open(&StubCrypto, &mut memory, bytes.len()).unwrap();
        assert_eq!((array.is_empty(), array.is_intact()), (true, false));
    }
}

#[test]
fn what_is_whole_but_not_an_array_is_a_typed_error() {
    for bytes in
        [&b"\xa0"[..], b"\x82\x05", b"\x81\x05\x06", b"\x9f\x05\xff", b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x00"]
    {
        let bytes = serialized(bytes);
        let mut memory = [0; 100];
        memory[..bytes.len()].copy_from_slice(&bytes);
        let result = LargeBlobArray::open(&StubCrypto, &mut memory, bytes.len());
        assert!(matches!(result, Err(Error::Malformed(_))), "{result:?}");
    }
}

#[test]
fn memory_that_is_too_small_is_an_error_with_the_size_needed_and_changes_nothing() {
    let noise = noise(100);
    let mut memory = [0; 100];
    let mut array = filled(&mut memory, &[(ONE, b"first")]);
    let before = array.serialize(&StubCrypto).to_vec();
    let Err(Error::ArrayTooLong { needed }) = array.put(&StubCrypto, &mut rng(), &TWO, &noise, &mut [0; 500]) else {
        panic!()
    };
    assert_eq!(array.serialize(&StubCrypto), before);
    let mut memory = vec![0; needed];
    let mut array = filled(&mut memory, &[(ONE, b"first")]);
    array.put(&StubCrypto, &mut rng(), &TWO, &noise, &mut [0; 500]).unwrap();

    for size in 0..500 {
        let mut work = vec![0; size];
        match array.get(&StubCrypto, &TWO, &mut work) {
            Err(Error::WorkTooSmall { needed }) => assert!(needed > size),
            found => {
                assert_eq!(found.unwrap().unwrap(), noise);
                return;
            }
        }
    }
    panic!("500 bytes were not enough");
}

#[test]
fn an_array_that_does_not_fit_into_its_memory_is_not_taken_for_an_empty_one() {
    let mut memory = [0; 100];
    for len in [101, usize::MAX] {
        assert!(matches!(LargeBlobArray::open(&StubCrypto, &mut memory, len), Err(Error::ArrayTooLong { .. })));
    }
}

proptest! {
    #[test]
    fn what_is_compressed_decompresses(data in vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..3000)) {
        let compressed = deflated(&data);
        prop_assert!(compressed.len() <= bound(data.len()));
        prop_assert_eq!(inflated(&compressed, data.len()).unwrap(), data);
    }

    #[test]
    fn arbitrary_compression_never_panics(bytes in vec(any::<u8>(), 0..200), len in 0..1000_usize) {
        let _ = inflated(&bytes, len);
    }

    #[test]
    fn an_array_is_a_map_from_keys_to_blobs(
        steps in vec((0..4_u8, vec(any::<u8>(), 0..60), any::<bool>()), 0..40),
    ) {
        let mut model = std::collections::BTreeMap::new();
        let mut memory = [0; 600];
        let mut array = LargeBlobArray::empty(&mut memory).unwrap();
        let mut work = [0; 400];
        for (key, blob, put) in steps {
            let key_bytes = [key; 32];
            if !put {
                let removed = array.remove(&StubCrypto, &key_bytes, &mut work).unwrap();
                prop_assert_eq!(removed, model.remove(&key).is_some());
            } else if array.put(&StubCrypto, &mut rng(), &key_bytes, &blob, &mut work).is_ok() {
                model.insert(key, blob);
            }
            // As a client would read it back.
            let len = array.serialize(&StubCrypto).len();
            prop_assert_eq!(len, array.serialized_len());
            let mut copy = [0; 700];
            copy[..len].copy_from_slice(array.serialize(&StubCrypto));
            let again = LargeBlobArray::open(&StubCrypto, &mut copy, len).unwrap();
            prop_assert!(again.is_intact());
            for key in 0..4 {
                let found = get(&again, &[key; 32]);
                prop_assert_eq!(found.as_ref(), model.get(&key));
            }
        }
    }

    #[test]
    fn arbitrary_elements_survive(bytes in vec(any::<u8>(), 0..100)) {
        let bytes = serialized(&bytes);
        let mut memory = [0; 300];
        memory[..bytes.len()].copy_from_slice(&bytes);
        if let Ok(mut array) = LargeBlobArray::open(&StubCrypto, &mut memory, bytes.len()) {
            let elements: Vec<Vec<u8>> = array.elements().map(<[u8]>::to_vec).collect();
            array.put(&StubCrypto, &mut rng(), &ONE, b"mine", &mut [0; 300]).unwrap();
            prop_assert!(array.elements().take(elements.len()).eq(elements.iter().map(Vec::as_slice)));
        }
    }
}
