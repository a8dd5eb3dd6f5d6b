//! Extension inputs and outputs, from arbitrary bytes and back.
#![no_main]

use keyfob_core::extensions::{
    GetAssertionInputs, GetAssertionOutputs, MakeCredentialInputs, MakeCredentialOutputs, UnsignedOutputs, hmac_secret,
};
use keyfob_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    round_trip!(bytes, MakeCredentialInputs<'_>);
    round_trip!(bytes, MakeCredentialOutputs<'_>);
    round_trip!(bytes, GetAssertionInputs<'_>);
    round_trip!(bytes, GetAssertionOutputs<'_>);
    round_trip!(bytes, UnsignedOutputs<'_>);
    round_trip!(bytes, hmac_secret::Input<'_>);
});
