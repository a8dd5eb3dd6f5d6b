//! `keyfob secret`: a secret that only this key can make again, for disks and files.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    Errand, Failure, KeyArguments, Kind, Meant,
    assertion::extension_results,
    documents::Document,
    output::{base64, hand_over},
    register::Verification,
};

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
/// The file is not a registration; the key does not hold the credential, or makes no secrets.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let registration = Document::read(&arguments.registration)?;
    let wanted = json!({ "prf": { "eval": { "first": base64(arguments.purpose.as_bytes()) } } });
    // A key makes other secrets for a user who is not verified.
    let meant = Meant::Holding(registration.rp_id("options.rp.id")?.into(), vec![registration.bytes("response.id")?]);
    let mut errand = Errand::begin_with(&arguments.key, &meant)?;
    let results = extension_results(&mut errand, &registration, Verification::Required, &wanted)?;
    let secret = results.pointer("/prf/results/first").and_then(Value::as_str).ok_or_else(|| {
        let message = "the credential was not made for secrets: make one with `keyfob register --secret`";
        Failure::new(Kind::Unsupported, message)
    })?;
    if arguments.key.json {
        hand_over(format_args!("{}", json!({ "secret": secret })), "the secret")
    } else {
        hand_over(format_args!("{secret}"), "the secret")
    }
}
