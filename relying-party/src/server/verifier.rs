//! The cryptography of the server, and the algorithms that it can request.

use aws_lc_rs::{
    digest,
    signature::{
        self, EcdsaVerificationAlgorithm, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
        RsaParameters, RsaPublicKeyComponents,
    },
};
use keyfob_core::{
    cose::{Algorithm, CoseKey, Curve},
    crypto::{Error, Hash, HashFunction, RustCrypto, Verify},
};

/// The cryptography of this server: RSA by AWS-LC, and ECDSA on one curve with the hash of another, which certificates
/// have; the rest by [`RustCrypto`].
#[derive(Clone, Copy, Debug)]
pub struct Backend;

/// The algorithms in the options of a request that names none, best first.
pub const ALGORITHMS: &[Algorithm] = &[Algorithm::ES256, Algorithm::EDDSA, Algorithm::RS256];

/// The algorithms that a request may name: those that [`Backend`] verifies.
const KNOWN: &[Algorithm] = &[
    Algorithm::ES256,
    Algorithm::EDDSA,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::ES256K,
    Algorithm::ML_DSA_44,
    Algorithm::ML_DSA_65,
    Algorithm::ML_DSA_87,
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ESP256,
    Algorithm::ED25519,
    Algorithm::ESP384,
    Algorithm::ESP512,
    Algorithm::ED448,
];

/// The algorithm with this registered name, in upper or lower case: "ES256", "ML-DSA-44".
pub fn named(text: &str) -> Option<Algorithm> {
    Algorithm::from_name(text).filter(|algorithm| KNOWN.contains(algorithm))
}

/// The algorithm with this COSE identifier.
pub fn numbered(id: i64) -> Option<Algorithm> {
    KNOWN.iter().copied().find(|algorithm| i64::from(algorithm.0) == id)
}

/// The form of a key in the storage.
pub fn stored_key(key: &CoseKey<'_>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 8 * 1024]; // an ML-DSA-87 key needs 2,602
    let length = keyfob_core::cbor::encode(key, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

impl Verify for Backend {
    fn verify(&self, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
        let parsed = match *key {
            CoseKey::Rsa { n, e, algorithm } => {
                let parameters = rsa(algorithm).ok_or(Error::Unsupported)?;
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters)
            }
            CoseKey::Ec2 { algorithm, curve, x, y } => match mixed(algorithm, curve) {
                Some(method) => ParsedPublicKey::new(method, [&[4], x, y].concat()),
                None => return RustCrypto.verify(key, message, signature),
            },
            _ => return RustCrypto.verify(key, message, signature),
        };
        let key = parsed.map_err(|_| Error::InvalidKey)?;
        key.verify_sig(&message.concat(), signature).map_err(|_| Error::Mismatch)
    }
}

impl Hash for Backend {
    type Sha256 = <RustCrypto as Hash>::Sha256;

    fn sha256_start(&self) -> Self::Sha256 {
        RustCrypto.sha256_start()
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        RustCrypto.hmac_sha256(key, parts)
    }

    fn digest(&self, function: HashFunction, parts: &[&[u8]], out: &mut [u8; 64]) -> Result<usize, Error> {
        let function = match function {
            HashFunction::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            HashFunction::Sha256 => &digest::SHA256,
            HashFunction::Sha384 => &digest::SHA384,
            HashFunction::Sha512 => &digest::SHA512,
        };
        let hash = digest::digest(function, &parts.concat());
        let hash = hash.as_ref();
        out[..hash.len()].copy_from_slice(hash);
        Ok(hash.len())
    }
}

/// RSA with a modulus of 2,048 to 8,192 bits.
fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
        // The TPMs of many machines sign their attestations so. No credential is asked for with it.
        Algorithm::RS1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        _ => return None,
    })
}

/// ECDSA on this curve with the hash of this algorithm, where it is not the algorithm's own curve.
fn mixed(algorithm: Algorithm, curve: Curve) -> Option<&'static EcdsaVerificationAlgorithm> {
    Some(match (curve, algorithm) {
        (Curve::P256, Algorithm::ES384) => &signature::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Algorithm::ES512) => &signature::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Algorithm::ES256) => &signature::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Algorithm::ES512) => &signature::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Algorithm::ES256) => &signature::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Algorithm::ES384) => &signature::ECDSA_P521_SHA384_ASN1,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use keyfob_core::{auth_data::AuthData, webauthn::AttestationObject};
    use serde_json::Value;

    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/w3c-webauthn-l3.json");

    fn bytes(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_rsa_signature_of_the_standard_verifies_and_with_a_bit_flipped_does_not() {
        let Ok(text) = std::fs::read_to_string(FILE) else { return eprintln!("skipped: {FILE} is not there") };
        let vectors: Value = serde_json::from_str(&text).unwrap();
        let vector = &vectors["vectors"]["packed-rs256"];
        let object = bytes(&vector["reg"]["attestationObject"]);
        let registered = AuthData::decode(AttestationObject::decode(&object).unwrap().auth_data).unwrap();
        let key = registered.attested_credential_data.unwrap().public_key;
        let auth = &vector["auth"];
        let auth_data = bytes(&auth["authenticatorData"]);
        let hash = RustCrypto.sha256(&[&bytes(&auth["clientDataJSON"])]);
        let mut signature = bytes(&auth["signature"]);
        assert_eq!(Backend.verify(&key, &[&auth_data, &hash], &signature), Ok(()));
        signature[9] ^= 1;
        assert_eq!(Backend.verify(&key, &[&auth_data, &hash], &signature), Err(Error::Mismatch));
    }

    /// A signature that OpenSSL has made.
    #[test]
    fn rsa_with_sha_1_verifies_and_no_credential_is_asked_for_with_it() {
        let hex = |text: &str| bytes(&text.into());
        let n = hex(N);
        let key = CoseKey::Rsa { algorithm: Algorithm::RS1, n: &n, e: &[1, 0, 1] };
        assert_eq!(Backend.verify(&key, &[b"a ", b"TPM"], &hex(SIGNATURE)), Ok(()));
        assert_eq!(Backend.verify(&key, &[b"another"], &hex(SIGNATURE)), Err(Error::Mismatch));
        assert_eq!((named("RS1"), numbered(-65535)), (None, None));
        // FIPS 180-4, "abc".
        let mut digest = [0; 64];
        for (function, begins, length) in [
            (HashFunction::Sha1, "a9993e36", 20),
            (HashFunction::Sha256, "ba7816bf", 32),
            (HashFunction::Sha384, "cb00753f", 48),
            (HashFunction::Sha512, "ddaf35a1", 64),
        ] {
            assert_eq!(Backend.digest(function, &[b"a", b"bc"], &mut digest), Ok(length));
            assert_eq!(digest[..4], hex(begins));
        }
    }

    const N: &str = concat!(
        "ef244617dfeda182a60dc574d4dbd5cd881c6f56ac804cdf22341ad795f8594b7fea36758d35bef6a52e0cc0407575cadf07",
        "d55fba9ecab1de126ade965c5d7a48885df28895e3caaf101c5ac488423cfd244612d8f53890c8d029c6357c81e26371be69",
        "8744e83c1344f7ed1ba47f38ebf3f0cc6bc9e6fc4430433281cd1168a208b7489091193f2c7636798304a4aa2541faabc21f",
        "2223c0e119e3be22013289d37b0fab72742da68c0cf6d33193eba808519b8e51e8bca4414fe19a84ee7bb15699c58ba2ffae",
        "5a4cad93e23730f94e3ea9cd0dd4faf43e7cc4edf32f1309a334d4c62169c8d30fa18c3339920eac08838c4553126e68ab52",
        "4c894041b4b9",
    );
    const SIGNATURE: &str = concat!(
        "6300609813e6823b5ebc0b3a626c0c4e5e3108751144c3bbfda8d64a318f25a75fb48dc2a9111548af4e183c65048cb914b3",
        "b2d39177a9876a8f9f48d81f97eaf8bc0c53a88585fafdcb65130bef3f7ecbfa24466a988e9d89a4d4463b7bb8dc29188417",
        "05792258f5a4fcb82d9b680ce65ae1dce23678c1245012693ffac60a6795ce15c09956121db9f7edbece4193ee646a93d55f",
        "0101da8ebbf17401dc427e7b4c31b48dd5f099d6ff0c718ca07316309e17a8ceebc51e755224754c902abbfcc6c2a9084aae",
        "52229a127d1e3c69612ff626de4dc5b3d0828aa630364f5eec68c3f00175762a7628d45945092a3d026e162c9511fcb67473",
        "2f2374bcce11",
    );

    /// Certificates of P-384 with SHA-256 are common.
    #[test]
    fn ecdsa_on_one_curve_with_the_hash_of_another_verifies() {
        use p384::ecdsa::{DerSignature, SigningKey, signature::hazmat::PrehashSigner};
        let secret = SigningKey::from_slice(&[7; 48]).unwrap();
        let point = secret.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(48);
        let key = |algorithm| CoseKey::Ec2 { algorithm, curve: Curve::P384, x, y };
        let signature: DerSignature = secret.sign_prehash(&RustCrypto.sha256(&[b"a certificate"])).unwrap();
        let signature = signature.as_bytes();
        assert_eq!(Backend.verify(&key(Algorithm::ES256), &[b"a cert", b"ificate"], signature), Ok(()));
        assert_eq!(Backend.verify(&key(Algorithm::ES256), &[b"another"], signature), Err(Error::Mismatch));
        assert_eq!(Backend.verify(&key(Algorithm::ES512), &[b"a certificate"], signature), Err(Error::Mismatch));
        assert_eq!(Backend.verify(&key(Algorithm::ES384), &[b"a certificate"], signature), Err(Error::Mismatch));
    }
}
