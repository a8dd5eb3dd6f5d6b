//! What several targets check.

/// Decodes `$bytes` as `$ty` under both sets of rules. Whatever decodes must survive being written and read again.
#[macro_export]
macro_rules! round_trip {
    ($bytes:expr, $ty:ty) => {{
        use keyfob_core::cbor;
        let bytes: &[u8] = $bytes;
        let mut buffer = vec![0; bytes.len()];
        if let Ok(value) = cbor::decode::<$ty>(bytes) {
            // Canonical input can only lose members that are not known, so it never grows.
            let length = cbor::encode(&value, &mut buffer).expect("fits where it came from");
            let written = &buffer[..length];
            assert!(length < bytes.len() || written == bytes, "same length, other bytes: {written:02x?}");
            let again = cbor::decode::<$ty>(written).expect("strict reads what was written");
            assert_eq!(again, value);
            assert_eq!(cbor::decode_tolerant::<$ty>(bytes), Ok(value), "tolerant reads what strict reads");
        }
        if let Ok(value) = cbor::decode_tolerant::<$ty>(bytes) {
            let length = cbor::encode(&value, &mut buffer).expect("the shortest form fits");
            let again = cbor::decode_tolerant::<$ty>(&buffer[..length]).expect("reads what was written");
            assert_eq!(again, value);
        }
    }};
}
