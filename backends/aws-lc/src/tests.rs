use keyfob_conformance::KNOWN_SIGNATURES;
use keyfob_core::crypto::{MAX_PUBLIC, MAX_SECRET, MAX_SIGNATURE};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::*;

fn generate<C: Sign>(crypto: &C, algorithm: Algorithm) -> (Vec<u8>, Vec<u8>) {
    let (mut secret, mut public) = (vec![0; MAX_SECRET], vec![0; MAX_PUBLIC]);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (secret_len, public_len) = crypto.generate(algorithm, &mut rng, &mut secret, &mut public).unwrap();
    secret.truncate(secret_len);
    public.truncate(public_len);
    (secret, public)
}

fn sign<C: Sign>(crypto: &C, algorithm: Algorithm, secret: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; MAX_SIGNATURE];
    let len = crypto.sign(algorithm, secret, &[b"mess", b"age"], &mut signature).unwrap();
    signature.truncate(len);
    signature
}

#[test]
fn it_conforms() {
    assert_eq!(keyfob_conformance::run(&AwsLc::default(), &mut ChaCha8Rng::seed_from_u64(1)), Ok(()));
}

#[test]
fn each_backend_verifies_what_the_other_signs() {
    let ours = AwsLc::default();
    for &algorithm in RustCrypto.algorithms() {
        let (secret, public) = generate(&ours, algorithm);
        let key = CoseKey::from_raw(algorithm, &public).unwrap();
        assert_eq!(RustCrypto.verify(&key, &[b"message"], &sign(&ours, algorithm, &secret)), Ok(()), "{algorithm:?}");
        let (secret, public) = generate(&RustCrypto, algorithm);
        let key = CoseKey::from_raw(algorithm, &public).unwrap();
        assert_eq!(ours.verify(&key, &[b"message"], &sign(&RustCrypto, algorithm, &secret)), Ok(()), "{algorithm:?}");
    }
}

#[test]
fn a_secret_that_one_backend_stored_is_the_same_key_in_the_other() {
    fn check(from: &impl Sign, to: &(impl Sign + Verify)) {
        for &algorithm in RustCrypto.algorithms() {
            let (secret, public) = generate(from, algorithm);
            let mut again = vec![0; MAX_PUBLIC];
            let len = to.public_key(algorithm, &secret, &mut again).unwrap();
            assert_eq!(again[..len], public, "{algorithm:?}");
            let key = CoseKey::from_raw(algorithm, &public).unwrap();
            assert_eq!(to.verify(&key, &[b"message"], &sign(to, algorithm, &secret)), Ok(()), "{algorithm:?}");
        }
    }
    check(&RustCrypto, &AwsLc::default());
    check(&AwsLc::default(), &RustCrypto);
}

#[test]
fn the_public_keys_of_the_standards_follow_from_their_secrets() {
    for known in KNOWN_SIGNATURES.iter().filter(|known| known.algorithm != Algorithm::EDDSA) {
        let mut public = vec![0; MAX_PUBLIC];
        let len = AwsLc::default().public_key(known.algorithm, known.secret, &mut public).unwrap();
        assert_eq!(public[..len], *known.public, "{}", known.name);
    }
}

#[test]
fn a_stored_key_signs_without_the_generated_one_and_the_other_way_round() {
    for &algorithm in AwsLc::default().algorithms() {
        let ours = AwsLc::default();
        let (secret, public) = generate(&ours, algorithm);
        let key = CoseKey::from_raw(algorithm, &public).unwrap();
        for backend in [&ours, &ours, &AwsLc::default()] {
            assert_eq!(ours.verify(&key, &[b"message"], &sign(backend, algorithm, &secret)), Ok(()), "{algorithm:?}");
        }
    }
}

#[test]
fn a_generated_key_does_not_sign_for_another_secret_or_algorithm() {
    let ours = AwsLc::default();
    let (earlier, public) = generate(&ours, Algorithm::RS256);
    let _later = generate(&ours, Algorithm::RS256);
    let key = CoseKey::from_raw(Algorithm::RS256, &public).unwrap();
    assert_eq!(ours.verify(&key, &[b"message"], &sign(&ours, Algorithm::RS256, &earlier)), Ok(()));

    let (secret, public) = generate(&ours, Algorithm::RS256);
    let key = CoseKey::from_raw(Algorithm::PS256, &public).unwrap();
    assert_eq!(ours.verify(&key, &[b"message"], &sign(&ours, Algorithm::PS256, &secret)), Ok(()));
}

#[test]
fn a_public_half_of_another_key_is_refused() {
    let ours = AwsLc::default();
    for (algorithm, size) in [(Algorithm::ES256, 32), (Algorithm::ES384, 48), (Algorithm::ES512, 66)] {
        let (mut secret, _) = generate(&ours, algorithm);
        let (other, _) = generate(&ours, algorithm);
        secret[size..].copy_from_slice(&other[size..]);
        assert_eq!(ours.sign(algorithm, &secret, &[b"message"], &mut [0; MAX_SIGNATURE]), Err(Error::InvalidKey));
    }
}
