//! The DER form of ECDSA signatures, compared with the ecdsa crate.
#![no_main]

use keyfob_core::crypto::der;
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;
use p256::ecdsa::Signature;

fuzz_target!(|bytes: &[u8]| {
    let ours = der::read::<32>(bytes);
    // The ecdsa crate also refuses numbers that are not scalars. Here the verifier does that.
    let in_range = ours.and_then(|(r, s)| Signature::from_scalars(r, s).ok());
    assert_eq!(in_range, Signature::from_der(bytes).ok());
    if let Some((r, s)) = ours {
        round_trip(&r, &s, Some(bytes));
    }

    let mut input = Input(bytes);
    round_trip(&input.chunk(), &input.chunk(), None);
});

fn round_trip(r: &[u8; 32], s: &[u8; 32], expected: Option<&[u8]>) {
    let mut buffer = [0; 72];
    let length = der::write(r, s, &mut buffer).expect("72 bytes are enough");
    let written = &buffer[..length];
    assert_eq!(der::read(written), Some((*r, *s)));
    assert!(expected.is_none_or(|expected| expected == written));
    assert!(der::write(r, s, &mut [0; 72][..length - 1]).is_err());
    if let Ok(signature) = Signature::from_scalars(*r, *s) {
        assert_eq!(signature.to_der().as_bytes(), written);
    }
}
