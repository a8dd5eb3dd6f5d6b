//! A key with RSA, which the virtual key of these tests does not support.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use keyfob_core::{
    cbor,
    cose::{Algorithm, CoseKey},
    crypto::{Hash, RustCrypto},
};
use keyfob_relying_party::server::members::encode;
use serde_json::{Value, json};

use super::world::*;

/// An algorithm and its signature scheme.
pub type Signs = (Algorithm, &'static dyn RsaEncoding);

/// The algorithms, by the names of the REST interface.
pub const RSA: [(&str, Signs); 2] =
    [("rs256", (Algorithm::RS256, &RSA_PKCS1_SHA256)), ("ps256", (Algorithm::PS256, &RSA_PSS_SHA256))];

/// A key of 2,048 bits with self attestation in the format "packed".
pub struct RsaForge {
    key: RsaKeyPair,
    signs: Signs,
}

impl RsaForge {
    pub fn new(signs: Signs) -> Self {
        Self { key: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), signs }
    }

    fn sign(&self, message: &[&[u8]]) -> Vec<u8> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(self.signs.1, &SystemRandom::new(), &message.concat(), &mut signature).unwrap();
        signature
    }

    /// The credential's id. One credential per algorithm is enough.
    fn id(&self) -> [u8; 4] {
        self.signs.0.0.to_be_bytes()
    }

    fn auth_data(&self, flags: u8) -> Vec<u8> {
        [&RustCrypto.sha256(&[b"localhost"])[..], &[flags], &[0; 4]].concat()
    }

    pub fn create(&self, options: &Value) -> Value {
        // RSAPublicKey (RFC 8017 §A.1.1) ends with the modulus and the integer 65,537.
        let (rest, e) = self.key.public_key().as_ref().split_last_chunk::<3>().unwrap();
        let n = &rest[..rest.len() - 2].last_chunk::<256>().unwrap()[..];
        let key = CoseKey::Rsa { algorithm: self.signs.0, n, e };
        let mut cose = [0; 512];
        let length = cbor::encode(&key, &mut cose).unwrap();
        let mut auth_data = self.auth_data(UP | AT);
        auth_data.extend([0; 16]);
        auth_data.extend([0, 4]);
        auth_data.extend(self.id());
        auth_data.extend(&cose[..length]);
        Forge { id: self.id().to_vec(), ..Forge::new(1) }.create_with(options, "packed", &auth_data, |hash| {
            let signature = self.sign(&[&auth_data, hash]);
            let mut statement = vec![0xA2];
            statement.extend(b"\x63alg");
            let mut alg = [0; 5];
            let length = cbor::encode(&self.signs.0, &mut alg).unwrap();
            statement.extend(&alg[..length]);
            statement.extend(b"\x63sig\x59\x01\0");
            statement.extend(signature);
            statement
        })
    }

    pub fn get(&self, options: &Value) -> Value {
        let client_data = client_data("webauthn.get", options);
        let auth_data = self.auth_data(UP);
        let signature = self.sign(&[&auth_data, &RustCrypto.sha256(&[&client_data])]);
        json!({
            "id": encode(&self.id()),
            "type": "public-key",
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(&auth_data),
                "signature": encode(&signature),
            },
        })
    }
}
