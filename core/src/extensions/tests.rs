//! The tables agree with the identifiers and with the standard's order.

use super::*;
use crate::{
    cbor::{self, ErrorKind, RawMap},
    vectors::bytes,
};

/// The keys of a vector, as it stands in canonical order.
fn keys(vector: &str) -> Vec<String> {
    let bytes = bytes(vector);
    let mut decoder = minicbor::Decoder::new(&bytes);
    let count = decoder.map().unwrap().unwrap();
    (0..count)
        .map(|_| {
            let key = decoder.str().unwrap().to_string();
            decoder.skip().unwrap();
            key
        })
        .collect()
}

#[test]
fn every_identifier_is_a_key_of_the_maps_that_it_has_a_part_in() {
    let (uvm, pin_complexity, payment) = (uvm::ID, pin_complexity_policy::ID, third_party_payment::ID);
    let (hmac, hmac_mc, protect) = (hmac_secret::ID, hmac_secret::MC_ID, cred_protect::ID);
    let (blob, large, key, pin) = (cred_blob::ID, large_blob::ID, large_blob_key::ID, min_pin_length::ID);
    for (vector, expected) in [
        (
            "make_credential_inputs_full",
            &[uvm, blob, large, protect, hmac, key, pin, hmac_mc, payment, pin_complexity][..],
        ),
        ("make_credential_outputs_full", &[uvm, blob, protect, hmac, pin, hmac_mc, pin_complexity]),
        ("get_assertion_inputs_full", &[uvm, blob, large, hmac, key, payment]),
        ("get_assertion_outputs_full", &[uvm, blob, hmac, payment]),
        ("unsigned_outputs_full", &[large]),
    ] {
        assert_eq!(keys(vector), expected, "{vector}");
    }
}

#[test]
fn inputs_are_read_from_the_member_of_a_request() {
    let bytes = bytes("make_credential_inputs_full");
    let inputs: MakeCredentialInputs<'_> = RawMap(&bytes).decode().unwrap();
    assert_eq!(inputs.cred_protect, Some(cred_protect::Level::USER_VERIFICATION_REQUIRED));
    assert_eq!((inputs.cred_blob, inputs.hmac_secret), (Some(&b"blob"[..]), Some(true)));
    assert_eq!(inputs.large_blob.map(|input| input.support), Some(large_blob::Support::REQUIRED));
    assert_eq!(inputs.hmac_secret_mc.unwrap().pin_uv_auth_protocol, Some(2));
    assert_eq!(RawMap::EMPTY.decode(), Ok(MakeCredentialInputs::default()));
}

#[test]
fn methods_of_user_verification_are_three_numbers_each() {
    let outputs: MakeCredentialOutputs<'_> = cbor::decode(b"\xa1\x63uvm\x82\x83\x02\x02\x04\x83\x04\x02\x01").unwrap();
    let methods: Vec<_> = outputs.uvm.unwrap().iter().map(|method| method.user_verification_method).collect();
    assert_eq!(methods, [2, 4]);
    for bytes in [&b"\xa1\x63uvm\x81\x82\x02\x02"[..], b"\xa1\x63uvm\x81\x84\x02\x02\x04\x00"] {
        let error = cbor::decode::<MakeCredentialOutputs<'_>>(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongLength);
    }
}

#[test]
fn unknown_extensions_are_left_out_and_unknown_values_kept() {
    let bytes = b"\xa2\x63foo\xf5\x6bcredProtect\x18\x2a";
    let inputs: MakeCredentialInputs<'_> = cbor::decode(bytes).unwrap();
    let expected = MakeCredentialInputs { cred_protect: Some(cred_protect::Level(42)), ..Default::default() };
    assert_eq!(inputs, expected);
    let bytes = b"\xa1\x69largeBlob\xa1\x67support\x65maybe";
    let inputs: MakeCredentialInputs<'_> = cbor::decode(bytes).unwrap();
    assert_eq!(inputs.large_blob.map(|input| input.support), Some(large_blob::Support("maybe")));
}
