//! `keyfob blobs`: a large blob beside a credential, read or written.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{
    Failure, KeyArguments, Kind,
    assertion::extension_results,
    documents::Document,
    output::{base64, from_base64},
    register::Verification,
};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone)]
enum Action {
    /// Writes the blob of a credential to the standard output.
    ///
    /// With --json: {"blob"}.
    Get {
        /// What `keyfob register --blob` has printed for the credential.
        #[arg(value_name = "REGISTRATION")]
        registration: PathBuf,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Stores a file as the blob of a credential, in place of the one before.
    ///
    /// With --json: {"written": true}.
    Put {
        /// What `keyfob register --blob` has printed for the credential.
        #[arg(value_name = "REGISTRATION")]
        registration: PathBuf,
        /// The file to store. Keys have a few kilobytes for all blobs.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        key: KeyArguments,
    },
}

impl Arguments {
    pub const fn is_json(&self) -> bool {
        let (Action::Get { key, .. } | Action::Put { key, .. }) = &self.action;
        key.json
    }
}

/// # Errors
/// The key does not hold the credential, or has no blob for it, or no room.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::Get { registration, key } => get(key, &Document::read(registration)?),
        Action::Put { registration, file, key } => put(key, &Document::read(registration)?, file),
    }
}

fn get(key: &KeyArguments, registration: &Document) -> Result<(), Failure> {
    let wanted = json!({ "largeBlob": { "read": true } });
    let results = extension_results(key, registration, Verification::Preferred, &wanted)?;
    let blob = results.pointer("/largeBlob/blob").and_then(Value::as_str);
    let blob = blob.ok_or_else(|| Failure::new(Kind::NotFound, "the key has no blob for this credential"))?;
    if key.json {
        say(format_args!("{}", json!({ "blob": blob })));
        return Ok(());
    }
    let bytes = from_base64(blob).unwrap_or_default();
    match io::stdout().lock().write_all(&bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Kind::Other, format_args!("cannot write to the standard output: {error}")))
        }
        _ => Ok(()),
    }
}

fn put(key: &KeyArguments, registration: &Document, file: &PathBuf) -> Result<(), Failure> {
    let content = fs::read(file)
        .map_err(|error| Failure::new(Kind::BadInput, format_args!("{} cannot be read: {error}", file.display())))?;
    let wanted = json!({ "largeBlob": { "write": base64(&content) } });
    let results = extension_results(key, registration, Verification::Preferred, &wanted)?;
    if results.pointer("/largeBlob/written") != Some(&Value::Bool(true)) {
        let message = "the blob was not stored: the key has no room for it, or the credential was made without --blob";
        return Err(Failure::new(Kind::Full, message));
    }
    if key.json {
        say(format_args!("{}", json!({ "written": true })));
    } else {
        say(format_args!("Stored {} bytes.", content.len()));
    }
    Ok(())
}
