//! A sign-in for what an extension yields: a secret, a blob.

use keyfob_core::{
    client::{
        GetAssertion,
        fido2::{ClientPolicy, PreparedRequest, ResponseSelection},
    },
    crypto::RustCrypto,
    webauthn::{Attachment, DefaultClientDataCollector, PublicSuffixList, RequestOptions},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Errand, Failure, Kind,
    documents::{self, Document},
    output::base64,
    register::Verification,
};

/// Room for the large-blob array, twice and with what is written to it, in bytes.
pub const LARGE_BLOBS: usize = 256 * 1024;

/// Signs in with the credential of a registration, and returns clientExtensionResults of WebAuthn.
///
/// # Errors
/// The file is not a registration; the key does not hold the credential.
pub fn extension_results(
    errand: &mut Errand,
    registration: &Document,
    verification: Verification,
    extensions: &Value,
) -> Result<Value, Failure> {
    let options = json!({
        "rpId": registration.rp_id("options.rp.id")?,
        "challenge": documents::challenge(None)?,
        "userVerification": verification.name(),
        "allowCredentials": [{ "type": "public-key", "id": base64(&registration.bytes("response.id")?) }],
        "extensions": extensions,
    });
    let text = options.to_string();
    let mut read = vec![0; text.len() + text.len() / 8 + 64];
    let options = RequestOptions::from_json(text.as_bytes(), &mut read)
        .map_err(|error| Failure::new(Kind::BadInput, format_args!("{}: {error}", registration.name)))?;
    let collector = DefaultClientDataCollector::new(registration.text("origin")?).with_suffixes(PublicSuffixList);
    let mut client_data = vec![0; 8 * text.len() + 512];
    let request = PreparedRequest::new(&options, &collector, &ClientPolicy::STANDARD, &RustCrypto, &mut client_data)?;
    let (mut memory, mut work) = (vec![0; LARGE_BLOBS], vec![0; LARGE_BLOBS]);
    let assertions = errand.run(GetAssertion::with_memory(&request.options, &mut memory), |_| ())?;
    let blob = assertions.large_blob(&RustCrypto, 0, &mut work).map_err(|error| Failure::new(Kind::Other, error))?;
    let selection = ResponseSelection {
        client_data_json: request.client_data_json,
        assertions,
        attachment: Some(Attachment::CrossPlatform),
    };
    let response =
        selection.get(0).ok_or_else(|| Failure::new(Kind::Other, "the key answered without an assertion"))?;
    let mut buffer = Zeroizing::new(vec![0; 2 * LARGE_BLOBS]);
    let len = response
        .to_json(&request.options.extensions, blob, &mut buffer)
        .map_err(|error| Failure::new(Kind::Other, error))?;
    let mut document: Value =
        serde_json::from_slice(&buffer[..len]).map_err(|error| Failure::new(Kind::Other, error))?;
    Ok(document["clientExtensionResults"].take())
}
