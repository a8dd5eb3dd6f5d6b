//! Extension inputs and outputs, from arbitrary bytes and back.
#![no_main]

use keyfob_core::extensions::{
    GetAssertionInputs, GetAssertionOutputs, MakeCredentialInputs, MakeCredentialOutputs, UnsignedOutputs, hmac_secret,
};
use keyfob_fuzz::message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    message!(bytes, MakeCredentialInputs<'_>);
    message!(bytes, MakeCredentialOutputs<'_>);
    message!(bytes, GetAssertionInputs<'_>);
    message!(bytes, GetAssertionOutputs<'_>);
    message!(bytes, UnsignedOutputs<'_>);
    message!(bytes, hmac_secret::HmacSecretInput<'_>);
});
