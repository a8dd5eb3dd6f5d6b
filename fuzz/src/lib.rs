//! What several targets check.

/// Decodes `$bytes` as `$ty` under both sets of rules. Whatever decodes must survive being written and read again.
/// `$kept` says whether a value is one that writing preserves.
#[macro_export]
macro_rules! round_trip {
    ($bytes:expr, $ty:ty) => {
        $crate::round_trip!($bytes, $ty, |_| true)
    };
    ($bytes:expr, $ty:ty, $kept:expr) => {{
        use keyfob_core::cbor;
        fn kept<'a>(value: &$ty, test: impl Fn(&$ty) -> bool) -> bool {
            test(value)
        }
        let bytes: &[u8] = $bytes;
        let mut buffer = vec![0; bytes.len()];
        if let Ok(value) = cbor::decode::<$ty>(bytes)
            && kept(&value, $kept)
        {
            // Canonical input can only lose members that are not known, so it never grows.
            let length = cbor::encode(&value, &mut buffer).expect("fits where it came from");
            let written = &buffer[..length];
            assert!(length < bytes.len() || written == bytes, "same length, other bytes: {written:02x?}");
            let again = cbor::decode::<$ty>(written).expect("strict reads what was written");
            assert_eq!(again, value);
            assert_eq!(cbor::decode_tolerant::<$ty>(bytes), Ok(value), "tolerant reads what strict reads");
        }
        if let Ok(value) = cbor::decode_tolerant::<$ty>(bytes)
            && kept(&value, $kept)
        {
            let length = cbor::encode(&value, &mut buffer).expect("the shortest form fits");
            let again = cbor::decode_tolerant::<$ty>(&buffer[..length]).expect("reads what was written");
            assert_eq!(again, value);
        }
    }};
}
