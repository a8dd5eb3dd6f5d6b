//! Authenticator data: what decodes must survive being written and read again.
#![no_main]

use keyfob_core::{auth_data::AuthData, cbor::Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(data) = AuthData::decode(bytes) else { return };
    let mut buffer = vec![0; bytes.len()];
    let mut w = Writer::new(&mut buffer);
    data.encode(&mut w);
    let written = w.written().expect("writing chooses the shortest form, so it fits");
    assert_eq!(written.len(), data.encoded_len());
    assert_eq!(AuthData::decode(written), Ok(data));
    // Without a key there is nothing to choose a form for.
    if data.attested_credential_data.is_none() {
        assert_eq!(written, bytes);
    }
});
