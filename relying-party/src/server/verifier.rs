//! The cryptography of the server, and the algorithms that it can request.

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents,
};
use keyfob_core::{
    cose::{Algorithm, CoseKey, Curve},
    crypto::{Error, Hash, RustCrypto, Verify},
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
}

/// RSA with a modulus of 2,048 to 8,192 bits.
fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
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
