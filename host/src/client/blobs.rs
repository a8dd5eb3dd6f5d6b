//! `keyfob blobs`: a large blob beside a credential, read or written.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use keyfob_core::{
    client::manage::GetInfo,
    large_blob::{bound, deflate},
};
use serde_json::{Value, json};

use super::{
    Errand, Failure, KeyArguments, Kind,
    assertion::{LARGE_BLOBS, extension_results},
    documents::Document,
    output::{base64, from_base64, hand_over},
    register::Verification,
};
use crate::say;

/// The longest file that is tried, in bytes.
const LONGEST: usize = LARGE_BLOBS / 2;
/// The least that an array of one blob has beside it, in bytes: a tag of 16, a nonce of 12, a hash of 16, and 8 of CBOR.
const BESIDE: usize = 52;

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
    let results = extension_results(&mut Errand::begin(key)?, registration, Verification::Preferred, &wanted)?;
    let blob = results.pointer("/largeBlob/blob").and_then(Value::as_str);
    let blob = blob.ok_or_else(|| Failure::new(Kind::NotFound, "the key has no blob for this credential"))?;
    if key.json {
        return hand_over(format_args!("{}", json!({ "blob": blob })), "the blob");
    }
    let bytes = from_base64(blob).unwrap_or_default();
    let mut out = io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(|error| {
        Failure::new(Kind::Other, format_args!("the blob could not be written to the standard output: {error}"))
    })
}

fn put(key: &KeyArguments, registration: &Document, file: &PathBuf) -> Result<(), Failure> {
    let content = fs::read(file)
        .map_err(|error| Failure::new(Kind::BadInput, format_args!("{} cannot be read: {error}", file.display())))?;
    if registration.member("response.clientExtensionResults.largeBlob.supported") != Some(&Value::Bool(true)) {
        let message = "the credential was made without a place for a blob: make one with `keyfob register --blob`";
        return Err(Failure::new(Kind::Unsupported, message));
    }
    let mut errand = Errand::begin(key)?;
    can_fit(&mut errand, file, &content)?;
    let wanted = json!({ "largeBlob": { "write": base64(&content) } });
    let results = extension_results(&mut errand, registration, Verification::Preferred, &wanted)?;
    if results.pointer("/largeBlob/written") != Some(&Value::Bool(true)) {
        let message = "the blob was not stored: the blobs of other credentials leave no room for it on the key";
        return Err(Failure::new(Kind::Full, message));
    }
    if key.json {
        say(format_args!("{}", json!({ "written": true })));
    } else {
        say(format_args!("Stored {} bytes.", content.len()));
    }
    Ok(())
}

/// Whether a key without other blobs has room for this file.
///
/// # Errors
/// It has not; the key cannot be asked.
fn can_fit(errand: &mut Errand, file: &Path, content: &[u8]) -> Result<(), Failure> {
    let (name, len) = (file.display(), content.len());
    let too_long = |why: fmt::Arguments<'_>| {
        Failure::new(Kind::BadInput, format_args!("{name} is too long with {len} bytes: {why}"))
    };
    if len > LONGEST {
        return Err(too_long(format_args!("at most {LONGEST} can be stored")));
    }
    let Some(room) = errand.run(GetInfo, |_| ())?.max_serialized_large_blob_array else { return Ok(()) };
    let compressed = deflate(content, &mut vec![0; bound(len)]).map_err(|error| Failure::new(Kind::Other, error))?;
    if compressed + BESIDE <= room {
        return Ok(());
    }
    Err(too_long(format_args!(
        "compressed they are {compressed}, and the key has {room} for all blobs and what it keeps beside them"
    )))
}
