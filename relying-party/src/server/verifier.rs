//! The cryptography of the server, and the algorithms that it can request.

use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents,
};
use keyfob_core::{
    cose::{Algorithm, CoseKey},
    crypto::{Error, Hash, RustCrypto, Verify},
};

/// The cryptography of this server: RSA by AWS-LC, the rest by [`RustCrypto`].
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
        let CoseKey::Rsa { n, e, .. } = *key else { return RustCrypto.verify(key, message, signature) };
        let parameters = rsa(key.algorithm()).ok_or(Error::Unsupported)?;
        let key: ParsedPublicKey =
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| Error::InvalidKey)?;
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
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
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
}
