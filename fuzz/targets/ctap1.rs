//! U2F's raw messages: a message is the same after it was written and read again.
#![no_main]

use keyfob_core::ctap1::{Apdu, AuthenticateResponse, RegisterResponse, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // A request in short encoding is written in the longer extended encoding.
    let mut buffer = vec![0; bytes.len() + 16];
    if let Ok(request) = Request::decode(bytes) {
        let apdu = Apdu::decode(bytes).expect("a request is an APDU");
        assert!(apdu.class == 0 && apdu.data.len() <= bytes.len());
        let length = request.encode(&mut buffer).expect("the other encoding takes a few bytes more");
        assert_eq!(Request::decode(&buffer[..length]), Ok(request));
    }
    if let Ok(response) = RegisterResponse::decode(bytes) {
        let length = response.encode(&mut buffer).expect("fits where it came from");
        assert_eq!(&buffer[..length], bytes);
    }
    if let Ok(response) = AuthenticateResponse::decode(bytes) {
        let length = response.encode(&mut buffer).expect("fits where it came from");
        assert_eq!(&buffer[..length], bytes);
    }
});
