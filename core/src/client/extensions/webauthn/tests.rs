use super::*;
use crate::{
    cbor::{decode_tolerant, encode},
    webauthn::{CreationOptions, RequestOptions},
};

/// The extensions of a registration with these inputs, in JSON.
fn make(inputs: &str, check: impl FnOnce(MakeExtensions<'_>)) -> Result<(), InvalidOption> {
    let json = format!(
        r#"{{"rp":{{"name":""}},"user":{{"id":""}},"challenge":"","pubKeyCredParams":[],"extensions":{inputs}}}"#
    );
    let mut buffer = vec![0; json.len()];
    let options = CreationOptions::from_json(json.as_bytes(), &mut buffer).unwrap();
    MakeExtensions::of_options(options.extensions).map(check)
}

/// Those of a sign-in.
fn get(inputs: &str, check: impl FnOnce(GetExtensions<'_>)) -> Result<(), InvalidOption> {
    let json = format!(r#"{{"challenge":"","extensions":{inputs}}}"#);
    let mut buffer = vec![0; json.len()];
    let options = RequestOptions::from_json(json.as_bytes(), &mut buffer).unwrap();
    GetExtensions::of_options(options.extensions).map(check)
}

const SALT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE";

#[test]
fn inputs_of_a_registration_are_taken_from_its_options() {
    let inputs = format!(
        r#"{{"credBlob":"AQI","credProps":true,"credentialProtectionPolicy":"userVerificationRequired",
        "enforceCredentialProtectionPolicy":true,"hmacCreateSecret":true,"hmacGetSecret":{{"salt1":"{SALT}"}},
        "largeBlob":{{"support":"required"}},"minPinLength":true,"payment":{{"isPayment":true}},"uvm":true,
        "pinComplexityPolicy":true,"prf":{{"eval":{{"first":"AQ","second":"Ag"}}}},"appidExclude":"https://a"}}"#
    );
    let mut salt = [0; 32];
    salt[31] = 1;
    make(&inputs, |make| {
        assert_eq!((make.cred_blob, make.app_id_exclude), (Some(&[1, 2][..]), Some("https://a")));
        let level = Level::USER_VERIFICATION_REQUIRED;
        assert_eq!(make.cred_protect, Some(CredProtect { level, enforce: true }));
        assert_eq!(make.hmac_get_secret, Some(HmacSalts { salt1: &salt, salt2: None }));
        assert_eq!(make.large_blob, Some(LargeBlobSupport::Required));
        assert_eq!(make.prf, Some(Some(PrfInput { first: &[1], second: Some(&[2]) })));
        assert!(make.cred_props && make.hmac_create_secret && make.min_pin_length && make.payment);
        assert!(make.uvm && make.pin_complexity_policy);
    })
    .unwrap();
    make(r#"{"prf":{},"largeBlob":{"support":"later"},"credProps":false,"payment":{}}"#, |make| {
        assert_eq!((make.prf, make.large_blob), (Some(None), Some(LargeBlobSupport::Preferred)));
        assert!(!make.cred_props && !make.payment);
    })
    .unwrap();
    MakeExtensions::of_options(None).unwrap();
}

#[test]
fn inputs_of_a_sign_in_are_taken_from_its_options() {
    let inputs = format!(
        r#"{{"appid":"https://a","getCredBlob":true,"hmacGetSecret":{{"salt1":"{SALT}","salt2":"{SALT}"}},
        "largeBlob":{{"write":"AQI"}},"prf":{{"eval":{{"first":""}},"evalByCredential":{{"AQ":{{"first":"Aw"}}}}}}}}"#
    );
    get(&inputs, |get| {
        assert_eq!((get.app_id, get.cred_blob), (Some("https://a"), true));
        assert!(get.hmac_get_secret.is_some_and(|salts| salts.salt2 == Some(salts.salt1)));
        assert_eq!(get.large_blob, Some(LargeBlobAccess::Write(&[1, 2])));
        assert_eq!(get.prf, Some(PrfInput { first: &[], second: None }));
        let by_credential: Vec<_> = get.prf_by_credential.iter().collect();
        assert_eq!(by_credential, [PrfOfCredential { id: &[1], eval: PrfInput { first: &[3], second: None } }]);
    })
    .unwrap();
    get(r#"{"largeBlob":{"read":true}}"#, |get| assert_eq!(get.large_blob, Some(LargeBlobAccess::Read))).unwrap();
    get(r#"{"largeBlob":{"read":false}}"#, |get| assert_eq!(get.large_blob, None)).unwrap();
    GetExtensions::of_options(None).unwrap();
}

#[test]
fn inputs_of_the_other_ceremony_and_of_wrong_lengths_are_refused() {
    for inputs in [
        r#"{"prf":{"evalByCredential":{}}}"#,
        r#"{"largeBlob":{"read":true}}"#,
        r#"{"largeBlob":{"write":""}}"#,
        r#"{"credentialProtectionPolicy":"later"}"#,
        r#"{"hmacGetSecret":{"salt1":"AQ"}}"#,
    ] {
        assert_eq!(make(inputs, |_| ()), Err(InvalidOption::Extensions), "{inputs}");
    }
    for inputs in [
        r#"{"largeBlob":{"support":"preferred"}}"#,
        r#"{"largeBlob":{"read":true,"write":"AQ"}}"#,
        r#"{"hmacGetSecret":{"salt1":"AQ"}}"#,
    ] {
        assert_eq!(get(inputs, |_| ()), Err(InvalidOption::Extensions), "{inputs}");
    }
    assert!(MakeExtensions::of_options(Some(RawMap(b"\xA1\x63uvm\x01"))).is_err());
}

/// Results in JSON.
fn json(outputs: ClientOutputs<'_>) -> String {
    let mut buffer = [0; 1024];
    let length = crate::json::encode(&outputs, None, &mut buffer).unwrap();
    let mut cbor = [0; 512];
    let encoded = encode(&outputs, &mut cbor).unwrap();
    assert_eq!(decode_tolerant(&cbor[..encoded]), Ok(outputs));
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn results_of_a_registration_are_named_as_they_were_asked_for() {
    let outputs = HmacOutputs { first: &[0; 32], second: Some(&[0; 32]) };
    let results = MakeResults {
        cred_props_rk: Some(true),
        hmac_secret: Some(true),
        hmac_outputs: Some(outputs),
        cred_blob: Some(false),
        ..MakeResults::default()
    };
    let zeros = "A".repeat(43);
    let prf = MakeExtensions { prf: Some(None), large_blob: Some(LargeBlobSupport::Preferred), ..MakeExtensions::NONE };
    assert_eq!(
        json(results.client_outputs(&prf)),
        format!(
            r#"{{"prf":{{"enabled":true,"results":{{"first":"{zeros}","second":"{zeros}"}}}},"credBlob":false,"credProps":{{"rk":true}},"largeBlob":{{"supported":false}}}}"#
        )
    );
    let salts = HmacSalts { salt1: &[0; 32], salt2: None };
    let raw = MakeExtensions { hmac_create_secret: true, hmac_get_secret: Some(salts), ..MakeExtensions::NONE };
    assert_eq!(
        json(results.client_outputs(&raw)),
        format!(
            r#"{{"credBlob":false,"credProps":{{"rk":true}},"hmacGetSecret":{{"output1":"{zeros}","output2":"{zeros}"}},"hmacCreateSecret":true}}"#
        )
    );
    assert_eq!(
        json(MakeResults::default().client_outputs(&prf)),
        r#"{"prf":{"enabled":false},"largeBlob":{"supported":false}}"#
    );
    assert_eq!(json(MakeResults::default().client_outputs(&MakeExtensions::NONE)), "{}");
}

#[test]
fn results_of_a_sign_in_are_named_as_they_were_asked_for() {
    let outputs = HmacOutputs { first: &[0; 32], second: None };
    let results =
        GetResults { hmac_outputs: Some(outputs), app_id: Some(true), cred_blob: Some(&[1]), ..GetResults::default() };
    let zeros = "A".repeat(43);
    let prf = GetExtensions {
        prf: Some(PrfInput { first: &[], second: None }),
        large_blob: Some(LargeBlobAccess::Read),
        ..GetExtensions::NONE
    };
    assert_eq!(
        json(results.client_outputs(&prf, Some(&[1, 2]))),
        format!(
            r#"{{"prf":{{"results":{{"first":"{zeros}"}}}},"appid":true,"largeBlob":{{"blob":"AQI"}},"getCredBlob":"AQ"}}"#
        )
    );
    assert_eq!(
        json(results.client_outputs(&GetExtensions::NONE, None)),
        format!(r#"{{"appid":true,"getCredBlob":"AQ","hmacGetSecret":{{"output1":"{zeros}"}}}}"#)
    );
    let written = GetResults { large_blob_written: Some(true), ..GetResults::default() };
    let write = GetExtensions { large_blob: Some(LargeBlobAccess::Write(&[1])), ..GetExtensions::NONE };
    assert_eq!(json(written.client_outputs(&write, None)), r#"{"largeBlob":{"written":true}}"#);
    assert_eq!(json(GetResults::default().client_outputs(&write, None)), r#"{"largeBlob":{"written":false}}"#);
}

#[test]
fn results_do_not_show_their_secrets() {
    let results =
        MakeResults { hmac_outputs: Some(HmacOutputs { first: &[77; 32], second: None }), ..Default::default() };
    for asked in [MakeExtensions::NONE, MakeExtensions { prf: Some(None), ..MakeExtensions::NONE }] {
        assert!(!format!("{:?}", results.client_outputs(&asked)).contains("77"));
    }
}
