//! `keyfob secret`: a secret that only this key can make again, for disks and files.

use std::path::PathBuf;

use keyfob_core::{
    client::{
        GetAssertion,
        fido2::{ClientPolicy, PreparedRequest, ResponseSelection},
    },
    crypto::RustCrypto,
    webauthn::{DefaultClientDataCollector, RequestOptions},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Errand, Failure, KeyArguments, Kind,
    documents::{self, Document},
    output::base64,
};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// What `keyfob register --secret` has printed for the credential.
    #[arg(value_name = "FILE")]
    registration: PathBuf,
    /// What the secret is for. Another text makes another secret.
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    #[command(flatten)]
    pub key: KeyArguments,
}

/// # Errors
/// The file is not a registration; the key does not hold the credential, or was not made for secrets.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let registration = Document::read(&arguments.registration)?;
    let options = json!({
        "rpId": registration.text("options.rp.id")?,
        "challenge": documents::challenge(None)?,
        // A key makes other secrets for a user who is not verified.
        "userVerification": "required",
        "allowCredentials": [{ "type": "public-key", "id": base64(&registration.bytes("response.id")?) }],
        "extensions": { "prf": { "eval": { "first": base64(arguments.purpose.as_bytes()) } } },
    });
    let text = options.to_string();
    let mut read = vec![0; text.len() + text.len() / 8 + 64];
    let options = RequestOptions::from_json(text.as_bytes(), &mut read)
        .map_err(|error| Failure::new(Kind::BadInput, format_args!("{}: {error}", registration.name)))?;
    let collector = DefaultClientDataCollector::new(registration.text("origin")?)
        .with_suffixes(keyfob_core::webauthn::PublicSuffixList);
    let mut client_data = vec![0; 8 * text.len() + 512];
    let request = PreparedRequest::new(&options, &collector, &ClientPolicy::STANDARD, &RustCrypto, &mut client_data)?;
    let mut errand = Errand::begin(&arguments.key)?;
    let assertions = errand.run(GetAssertion::new(&request.options), |_| ())?;
    let selection = ResponseSelection { client_data_json: request.client_data_json, assertions };
    let response =
        selection.get(0).ok_or_else(|| Failure::new(Kind::Other, "the key answered without an assertion"))?;
    let mut buffer = Zeroizing::new(vec![0; 16 * 1024]);
    let len = response
        .to_json(&request.options.extensions, None, &mut buffer)
        .map_err(|error| Failure::new(Kind::Other, error))?;
    let document: Value = serde_json::from_slice(&buffer[..len]).map_err(|error| Failure::new(Kind::Other, error))?;
    let secret = document.pointer("/clientExtensionResults/prf/results/first").and_then(Value::as_str);
    let secret = secret.ok_or_else(|| {
        let message = "the credential was not made for secrets: make one with `keyfob register --secret`";
        Failure::new(Kind::Unsupported, message)
    })?;
    if arguments.key.json {
        say(format_args!("{}", json!({ "secret": secret })));
    } else {
        say(format_args!("{secret}"));
    }
    Ok(())
}
