//! Decompression and compression of blobs, compared with miniz_oxide.
#![no_main]

use keyfob_core::large_blob::{bound, deflate, inflate};
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let size = input.word();
    let data = input.0;
    let mut out = vec![0; size];
    if inflate(data, &mut out).is_ok() {
        assert_eq!(decompress_to_vec_with_limit(data, size).expect("what we accept"), out);
    }

    let mut compressed = vec![0; bound(data.len())];
    let len = deflate(data, &mut compressed).expect("room for the worst case");
    assert_eq!(decompress_to_vec_with_limit(&compressed[..len], data.len()).expect("what we write"), data);
    let mut restored = vec![0; data.len()];
    inflate(&compressed[..len], &mut restored).expect("our own");
    assert_eq!(restored, data);
    // A buffer of one byte less or more is refused.
    let mut longer = vec![0; data.len() + 1];
    assert!(inflate(&compressed[..len], &mut longer).is_err());
});
