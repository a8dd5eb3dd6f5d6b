//! Authenticator data: a decoded value must be the same after it was written and read again.
#![no_main]

use keyfob_core::{auth_data::AuthData, cbor::Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(data) = AuthData::decode(bytes) else { return };
    // The strict rules accept fewer inputs, and read them as the same values.
    if let Ok(strict) = AuthData::decode_strict(bytes) {
        assert_eq!(strict, data);
    }
    let mut buffer = vec![0; bytes.len()];
    let mut w = Writer::new(&mut buffer);
    data.encode(&mut w);
    let written = w.written().expect("writing chooses the shortest form, so it fits");
    assert_eq!(written.len(), data.encoded_len());
    assert_eq!(AuthData::decode(written), Ok(data));
    // Without a key there is only one encoding.
    if data.attested_credential_data.is_none() {
        assert_eq!(written, bytes);
    }
});
