//! Public keys on P-256: a point that is not on the curve, according to p256 and ring, is refused.
#![no_main]

use keyfob_core::{
    cbor,
    cose::{Algorithm, CoseKey, Curve},
    crypto::{Agreement, Error, P256Secret, RustCrypto, Sign, Verify},
    pin_uv::{self, PinUvAuthProtocol},
};
use keyfob_fuzz::{Input, edit, key::rng};
use libfuzzer_sys::fuzz_target;
use ring::{agreement, rand::SystemRandom};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = cbor::decode_tolerant::<CoseKey<'_>>(bytes) {
        return check(&key);
    }

    let mut input = Input(bytes);
    let algorithm = Algorithm([-7, -9, -25, -8][usize::from(input.byte() % 4)]);
    let curve = Curve([1, 1, 1, 2, 3, 6, 7, 8][usize::from(input.byte() % 8)]);
    // A point on the curve, if the first 32 bytes are a valid scalar, and then changed; otherwise arbitrary bytes.
    let mut public = match RustCrypto.p256_public(&P256Secret(input.chunk())) {
        Ok(point) => point.to_bytes(),
        Err(_) => input.chunk(),
    };
    edit(&mut input, &mut [&mut public]);
    let (x, y) = public.split_at(32);
    let lengths = input.chunk::<2>().map(|cut| if cut < 224 { 32 } else { usize::from(cut) % 33 });
    check(&CoseKey::Ec2 { algorithm, curve, x: &x[..lengths[0]], y: &y[..lengths[1]] });
});

fn check(key: &CoseKey<'_>) {
    let point = match *key {
        CoseKey::Ec2 { curve: Curve::P256, x, y, .. } if x.len() == 32 && y.len() == 32 => [&[4], x, y].concat(),
        _ => vec![],
    };
    let valid = p256::PublicKey::from_sec1_bytes(&point).is_ok();
    let random = SystemRandom::new();
    let private = agreement::EphemeralPrivateKey::generate(&agreement::ECDH_P256, &random).expect("randomness");
    let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, &point);
    assert_eq!(agreement::agree_ephemeral(private, &peer, |_| ()).is_ok(), valid, "p256 and ring agree");

    assert_eq!(pin_uv::encapsulate(&RustCrypto, &mut rng(), PinUvAuthProtocol::Two, key).is_ok(), valid);
    let secret = P256Secret([1; 32]);
    let shared = key.p256_point().map(|point| RustCrypto.p256_shared(&secret, &point));
    assert_eq!(shared.is_some_and(|shared| shared.is_ok()), valid);

    // A well-formed signature, which must not verify unless the key belongs to this secret.
    if matches!(key.algorithm(), Algorithm::ES256 | Algorithm::ESP256) {
        let mut signature = [0; 72];
        let length = RustCrypto.sign(Algorithm::ES256, &secret.0, &[b"message"], &mut signature).expect("a scalar");
        let verified = RustCrypto.verify(key, &[b"message"], &signature[..length]);
        let own = RustCrypto.p256_public(&secret).expect("a scalar");
        assert_eq!(verified.is_ok(), key.p256_point() == Some(own));
        assert_eq!(verified == Err(Error::InvalidKey), !valid);
    }
}
