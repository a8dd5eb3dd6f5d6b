//! Every message of the protocol, from arbitrary bytes and back. The input is the CBOR behind the command or status byte.
#![no_main]

use keyfob_core::{
    attestation::Packed,
    ctap2::{CredentialDescriptor, RpEntity, UserEntity, client_pin, get_assertion, get_info, make_credential},
};
use keyfob_fuzz::round_trip;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    round_trip!(bytes, make_credential::Request<'_>);
    round_trip!(bytes, make_credential::Response<'_>);
    round_trip!(bytes, get_assertion::Request<'_>);
    round_trip!(bytes, get_assertion::Response<'_>);
    round_trip!(bytes, get_info::Response<'_>);
    round_trip!(bytes, client_pin::Request<'_>);
    round_trip!(bytes, client_pin::Response<'_>);
    round_trip!(bytes, RpEntity<'_>);
    round_trip!(bytes, UserEntity<'_>);
    round_trip!(bytes, CredentialDescriptor<'_>);
    round_trip!(bytes, Packed<'_>);
});
