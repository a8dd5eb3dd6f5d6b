//! What the authenticator does for extensions, and its large-blob array.

use super::*;
use crate::{
    cbor::{RawMap, Text},
    ctap2::large_blobs,
    extensions::{
        GetAssertionInputs, GetAssertionOutputs, MakeCredentialInputs, MakeCredentialOutputs, cred_protect::Level,
        hmac_secret, large_blob_key::LargeBlobKey, uvm,
    },
};

fn written(value: &impl cbor::Write) -> Vec<u8> {
    let mut out = vec![0; 512];
    let len = cbor::encode(value, &mut out).unwrap();
    out.truncate(len);
    out
}

const UVM: uvm::UvmEntries<'static> =
    List::Slice(&[uvm::UvmEntry { user_verification_method: 2, key_protection: 1, matcher_protection: 1 }]);

/// Every output of a registration that says something by itself.
pub fn all_make_outputs() -> Vec<u8> {
    written(&MakeCredentialOutputs {
        uvm: Some(UVM),
        cred_blob: Some(true),
        cred_protect: Some(Level::USER_VERIFICATION_REQUIRED),
        hmac_secret: Some(true),
        min_pin_length: Some(4),
        hmac_secret_mc: None,
        pin_complexity_policy: Some(true),
    })
}

/// The same of a sign-in.
pub fn all_get_outputs() -> Vec<u8> {
    written(&GetAssertionOutputs {
        uvm: Some(UVM),
        cred_blob: Some(b"blob"),
        hmac_secret: None,
        third_party_payment: Some(true),
    })
}

/// The large-blob key, where it is asked for.
pub fn key_of(inputs: RawMap<'_>) -> Option<LargeBlobKey<'static>> {
    let inputs: GetAssertionInputs = inputs.decode().ok()?;
    inputs.large_blob_key.map(|_| LargeBlobKey(&[5; 32]))
}

impl<C: Crypto> Device<C> {
    /// With every extension but largeBlob.
    pub fn extended(mut self) -> Self {
        const EXTENSIONS: [Text<'_>; 9] = [
            Text::new("uvm"),
            Text::new("credBlob"),
            Text::new("credProtect"),
            Text::new("hmac-secret"),
            Text::new("largeBlobKey"),
            Text::new("minPinLength"),
            Text::new("hmac-secret-mc"),
            Text::new("thirdPartyPayment"),
            Text::new("pinComplexityPolicy"),
        ];
        self.options.large_blobs = Some(true);
        self.amend = |info| {
            info.extensions = Some(List::Slice(&EXTENSIONS));
            info.max_cred_blob_length = Some(32);
            info.max_serialized_large_blob_array = Some(1024);
        };
        self
    }

    /// The secret of every credential is 0x77, or 0x78 when the user is verified.
    fn evaluate(&mut self, input: &hmac_secret::HmacSecretInput) -> Vec<u8> {
        let protocol = PinUvAuthProtocol::from_number(input.pin_uv_auth_protocol.unwrap()).unwrap();
        let shared = decapsulate(&self.crypto, protocol, &P256Secret([7; 32]), &input.key_agreement).unwrap();
        assert!(shared.verify(&self.crypto, &[input.salt_enc], input.salt_auth));
        let (mut salts, mut out) = ([0; 64], [0; 80]);
        let len = shared.decrypt(&self.crypto, input.salt_enc, &mut salts).unwrap();
        let secret = [0x77 + u8::from(self.verified); 32];
        let output = |salt: &[u8]| self.crypto.hmac_sha256(&secret, &[salt]);
        let outputs: Vec<u8> = salts[..len].chunks(32).flat_map(output).collect();
        let len = shared.encrypt(&self.crypto, &mut self.rng, &outputs, &mut out).unwrap();
        out[..len].to_vec()
    }

    pub(super) fn make_outputs(&mut self, inputs: RawMap<'_>) -> Vec<u8> {
        let inputs: MakeCredentialInputs = inputs.decode().unwrap();
        let outputs = inputs.hmac_secret_mc.map(|input| self.evaluate(&input));
        written(&MakeCredentialOutputs {
            uvm: None,
            cred_blob: inputs.cred_blob.map(|_| true),
            cred_protect: inputs.cred_protect,
            hmac_secret: inputs.hmac_secret,
            min_pin_length: inputs.min_pin_length.map(|_| 4),
            hmac_secret_mc: outputs.as_deref(),
            pin_complexity_policy: inputs.pin_complexity_policy,
        })
    }

    pub(super) fn get_outputs(&mut self, inputs: RawMap<'_>) -> Vec<u8> {
        let inputs: GetAssertionInputs = inputs.decode().unwrap();
        let outputs = inputs.hmac_secret.map(|input| self.evaluate(&input));
        written(&GetAssertionOutputs {
            uvm: None,
            cred_blob: inputs.cred_blob.map(|_| &b"blob"[..]),
            hmac_secret: outputs.as_deref(),
            third_party_payment: inputs.third_party_payment,
        })
    }

    pub(super) fn large_blobs(&mut self, request: &large_blobs::Request, out: &mut [u8]) -> Result<usize, Status> {
        let offset = request.offset.unwrap() as usize;
        if let Some(count) = request.get {
            let rest = &self.blobs[offset..];
            let config = Some(&rest[..rest.len().min(count as usize)]);
            return Ok(encode_response(&large_blobs::Response { config }, out).unwrap());
        }
        self.blobs.truncate(offset);
        self.blobs.extend(request.set.unwrap());
        out[0] = 0;
        Ok(1)
    }
}
