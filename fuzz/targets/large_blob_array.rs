//! A large-blob array with arbitrary elements, and a few steps that store and remove blobs.
#![no_main]

use std::collections::BTreeMap;

use keyfob_core::{
    crypto::{Hash, StubCrypto},
    large_blob::{Error, Key, LargeBlobArray},
};
use keyfob_fuzz::{Input, key::rng};
use libfuzzer_sys::fuzz_target;

const MEMORY: usize = 2000;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let array = input.slice();
    let hash = StubCrypto.sha256(&[array]);
    let len = array.len() + 16;
    let mut memory = vec![0; MEMORY.max(len)];
    memory[..len].copy_from_slice(&[array, &hash[..16]].concat());
    // Room for a blob, its compression, and the longest ciphertext.
    let mut work = vec![0; 2 * bytes.len() + memory.len() + 1000];

    let mut array = match LargeBlobArray::open(&StubCrypto, &mut memory, len) {
        Ok(array) => array,
        Err(Error::Malformed(_) | Error::ArrayTooLong { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    assert!(array.is_intact());
    // Blobs that the keys can decrypt from the start are not in the model, so they are removed.
    for key in 0..4 {
        array.remove(&StubCrypto, &key_of(key), &mut work).expect("room for every element");
    }
    let others: Vec<Vec<u8>> = array.elements().map(<[u8]>::to_vec).collect();
    let mut model = BTreeMap::new();
    let mut rng = rng();
    for _ in 0..input.byte() % 16 {
        let key = input.byte();
        let stored = model.get(&(key % 4)).cloned();
        let found = array.get(&StubCrypto, &key_of(key), &mut work).expect("room for what was stored");
        assert_eq!(found, stored.as_deref());
        if key & 0x80 == 0 {
            let blob = input.slice().to_vec();
            let before = array.serialize(&StubCrypto).to_vec();
            match array.put(&StubCrypto, &mut rng, &key_of(key), &blob, &mut work) {
                Ok(()) => drop(model.insert(key % 4, blob)),
                Err(Error::ArrayTooLong { .. }) => assert_eq!(array.serialize(&StubCrypto), before),
                Err(error) => panic!("{error}"),
            }
        } else {
            let removed = array.remove(&StubCrypto, &key_of(key), &mut work).expect("room for every element");
            assert_eq!(removed, model.remove(&(key % 4)).is_some());
        }
        assert!(array.elements().take(others.len()).eq(others.iter().map(Vec::as_slice)), "others stay");
        assert_eq!(array.len(), others.len() + model.len());
        assert_eq!(array.serialized_len(), array.serialize(&StubCrypto).len());
    }
});

fn key_of(key: u8) -> Key {
    [key % 4; 32]
}
