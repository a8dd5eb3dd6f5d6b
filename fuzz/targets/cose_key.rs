//! COSE public keys.
#![no_main]

use keyfob_core::{
    cbor,
    cose::{Algorithm, CoseKey, Curve},
};
use keyfob_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    round_trip!(bytes, CoseKey<'_>);

    if let Ok(key) = cbor::decode_tolerant::<CoseKey<'_>>(bytes) {
        let on_p256 = matches!(key, CoseKey::Ec2 { curve: Curve::P256, x, y, .. } if x.len() == 32 && y.len() == 32);
        assert_eq!(key.p256_point().is_some(), on_p256);
    }

    // The same bytes as a raw key after an algorithm.
    if let Some((algorithm, raw)) = bytes.split_first_chunk()
        && let algorithm = Algorithm(i32::from(i16::from_be_bytes(*algorithm)))
        && let Some(key) = CoseKey::from_raw(algorithm, raw)
    {
        let mut buffer = vec![0; raw.len() + 32];
        let length = cbor::encode(&key, &mut buffer).expect("heads take less than 32 bytes");
        assert_eq!(cbor::decode::<CoseKey<'_>>(&buffer[..length]), Ok(key));
        assert_eq!(key.algorithm(), algorithm);
    }
});
