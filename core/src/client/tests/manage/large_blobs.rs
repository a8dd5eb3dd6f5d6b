//! The large-blob array over the wire.

use super::*;
use crate::{
    ctap2::large_blobs::{INITIAL_ARRAY, Request, Response},
    large_blob::LargeBlobArray,
};

fn storage() -> Device<StubCrypto> {
    scripted(
        |options| {
            options.large_blobs = Some(true);
            options.client_pin = None;
        },
        [],
    )
}

/// The answers of an authenticator to reading `array` in fragments of `fragment` bytes.
fn reading(array: &[u8], fragment: usize) -> Vec<Vec<u8>> {
    let mut chunks: Vec<&[u8]> = array.chunks(fragment).collect();
    if array.len().is_multiple_of(fragment) {
        chunks.push(&[]);
    }
    let answer = |chunk: &&[u8]| {
        let mut out = vec![0; 4096];
        let len = crate::ctap2::encode_response(&Response { config: Some(chunk) }, &mut out).unwrap();
        out.truncate(len);
        out
    };
    chunks.iter().map(answer).collect()
}

fn array_of(blob: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; blob.len() + 200];
    let mut array = LargeBlobArray::empty(&mut memory).unwrap();
    array.put(&StubCrypto, &mut rng(), &[1; 32], blob, &mut vec![0; blob.len() + 200]).unwrap();
    array.serialize(&StubCrypto).to_vec()
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

fn read(device: &mut Device<StubCrypto>, memory: &mut [u8]) -> Result<(usize, bool, Option<Vec<u8>>), Cause> {
    let mut buffer = [0; 1024];
    let array = run_op(Ceremony::new(ReadLargeBlobs::new(memory), &mut buffer, StubCrypto, rng()), device)?;
    let blob = array.get(&StubCrypto, &[1; 32], &mut [0; 8000]).unwrap().map(<[u8]>::to_vec);
    Ok((array.len(), array.is_intact(), blob))
}

#[test]
fn an_array_is_read_in_fragments_without_the_user() {
    let blob = noise(2500);
    let array = array_of(&blob);
    let mut device = storage();
    device.options.client_pin = Some(true);
    device.max_msg_size = Some(1000);
    device.script = reading(&array, 936).into();
    assert_eq!(read(&mut device, &mut [0; 4096]), Ok((1, true, Some(blob))));
    let requests = sent(&device, Command::LARGE_BLOBS);
    let asked: Vec<_> = requests.iter().map(|request| crate::cbor::decode::<Request>(request).unwrap()).collect();
    assert!(asked.iter().all(|request| request.get == Some(936) && request.length.is_none()));
    assert!(asked.iter().map(|request| request.offset.unwrap()).eq([0, 936, 1872]));
    assert!(sent(&device, Command::CLIENT_PIN).is_empty());
}

#[test]
fn an_array_that_ends_with_a_full_fragment_is_read_to_its_end() {
    // The caller's buffer, not the authenticator's, is the limit here.
    let array = array_of(&noise(2 * 960 - 61));
    assert_eq!(array.len() % 960, 0, "{}", array.len());
    let mut device = storage();
    device.script = reading(&array, 960).into();
    assert_eq!(read(&mut device, &mut [0; 4096]).map(|(len, intact, _)| (len, intact)), Ok((1, true)));
    assert_eq!(sent(&device, Command::LARGE_BLOBS).len(), 3);
}

#[test]
fn a_new_authenticator_and_a_damaged_array_are_empty() {
    let mut device = storage();
    device.script = reading(&[0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 960).into();
    assert_eq!(read(&mut device, &mut [0; 64]), Ok((0, false, None)));
    device.script = reading(&[], 960).into();
    assert_eq!(read(&mut device, &mut [0; 64]), Ok((0, false, None)));
}

#[test]
fn memory_that_is_too_small_for_the_array_is_an_error() {
    let array = array_of(b"blob");
    for size in 0..array.len() {
        let mut device = storage();
        device.script = reading(&array, 960).into();
        let result = read(&mut device, &mut vec![0; size]);
        assert!(matches!(result, Err(Cause::BufferTooSmall { needed }) if needed > size), "{size} {result:?}");
    }
}

#[test]
fn more_than_was_asked_for_is_not_taken() {
    let mut device = storage();
    device.max_msg_size = Some(100);
    device.script = reading(&[0; 37], 37).into();
    assert!(matches!(read(&mut device, &mut [0; 100]), Err(Cause::Decode(_))));
}

#[test]
fn an_array_is_written_in_fragments_with_a_proof_for_each() {
    let array = array_of(&noise(2500));
    let mut device = storage();
    device.options.client_pin = Some(true);
    device.amend = |info| info.max_serialized_large_blob_array = Some(4096);
    device.script = [vec![0], vec![0], vec![0]].into();
    let mut buffer = [0; 1024];
    run_op(Ceremony::new(WriteLargeBlobs::new(&array), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    let mut written = Vec::new();
    for request in sent(&device, Command::LARGE_BLOBS) {
        assert!(request.len() < 1024);
        let request: Request = crate::cbor::decode(&request).unwrap();
        let (fragment, offset) = (request.set.unwrap(), request.offset.unwrap());
        assert_eq!(offset, written.len() as u32);
        assert_eq!(request.length, (offset == 0).then_some(array.len() as u32));
        let head = [&[0xFF; 32], &[0x0C, 0][..], &offset.to_le_bytes()].concat();
        let hash = crate::crypto::Hash::sha256(&StubCrypto, &[fragment]);
        assert_eq!(request.pin_uv_auth_param.unwrap(), device.proof(&[&head, &hash]));
        written.extend_from_slice(fragment);
    }
    assert_eq!(written, array);
    assert_eq!(device.permissions, [u64::from(Permissions::LBW.0)]);
}

#[test]
fn an_unprotected_authenticator_is_written_without_a_token() {
    let mut device = storage();
    device.script = [vec![0]].into();
    let mut buffer = [0; 1024];
    run_op(Ceremony::new(WriteLargeBlobs::new(&INITIAL_ARRAY), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    let request: Request = crate::cbor::decode(device.last()).unwrap();
    let expected = Request { set: Some(&INITIAL_ARRAY), offset: Some(0), length: Some(17), ..Request::default() };
    assert_eq!(request, expected);
}

#[test]
fn an_array_that_is_too_long_or_none_at_all_is_not_sent() {
    let mut device = storage();
    device.amend = |info| info.max_serialized_large_blob_array = Some(1024);
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(WriteLargeBlobs::new(&[0; 1025]), &mut buffer, StubCrypto, rng());
    let too_long = Cause::LargeBlobArrayTooLong { needed: 1025, limit: 1024 };
    assert_eq!(run_op(ceremony, &mut device), Err(too_long));
    let ceremony = Ceremony::new(WriteLargeBlobs::new(&[0; 16]), &mut buffer, StubCrypto, rng());
    let none = Cause::InvalidOption(InvalidOption::LargeBlobArray);
    assert_eq!(run_op(ceremony, &mut device), Err(none));
}

#[test]
fn a_write_that_fails_says_why() {
    for refusal in [Status::LARGE_BLOB_STORAGE_FULL, Status::INTEGRITY_FAILURE, Status::INVALID_SEQ] {
        let mut device = storage();
        device.script = [vec![0], vec![refusal.0]].into();
        let mut buffer = [0; 1024];
        let ceremony = Ceremony::new(WriteLargeBlobs::new(&[0; 1500]), &mut buffer, StubCrypto, rng());
        assert_eq!(run_op(ceremony, &mut device), Err(status(refusal)));
    }
}

#[cfg(feature = "rustcrypto")]
#[test]
fn published_proofs_are_made() {
    use crate::crypto::RustCrypto;
    let array = hex(
        "81a30158228c4a1bd20cb20a52a10bd8def923b12281d6ff8d0b72900fece228ea2830dd5e37cb024c000102030405060708090a0b0310\
         efe06647fb1f57b6f44ec22936351693",
    );
    let mut device = Device::managed(RustCrypto);
    device.options.large_blobs = Some(true);
    device.token_bytes = Some(vec![0x11; 32]);
    device.script = [vec![0]].into();
    let mut buffer = [0; 1024];
    run_op(Ceremony::new(WriteLargeBlobs::new(&array), &mut buffer, RustCrypto, rng()), &mut device).unwrap();
    let request: Request = crate::cbor::decode(device.last()).unwrap();
    let published = hex("f451bc446f7663171516e06a29d1548372af9ec83eeb1493ac94fb5b6e7bb8a8");
    assert_eq!(request.pin_uv_auth_param.unwrap(), published);
}
