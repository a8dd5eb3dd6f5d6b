//! `keyfob blobs`: large blobs beside credentials, listed, read, written, deleted.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use keyfob_core::{
    client::manage::{GetInfo, ReadLargeBlobs, WriteLargeBlobs},
    crypto::RustCrypto,
    large_blob::{self, LargeBlobArray, bound, deflate},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Errand, Failure, KeyArguments, Kind, Meant,
    assertion::{LARGE_BLOBS, extension_results},
    credentials::{self, Listed},
    documents::Document,
    output::{base64, from_base64, hand_over, plain, table},
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
    /// Lists the blobs of the discoverable credentials.
    ///
    /// With --json: {"used", "room", "blobs": [{"credentialId", "rpId", "userName", "length"}], "others"}. `used` and `room`
    /// are bytes of the key's memory, `room` for all blobs or null; `others` counts blobs that none of these credentials
    /// opens.
    List(KeyArguments),
    /// Writes a blob to the standard output.
    ///
    /// With --json: {"blob"}.
    Get {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Stores a file as a blob, in place of the one before.
    ///
    /// With --json: {"written": true}.
    Put {
        /// The file to store. Keys have a few kilobytes for all blobs.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Deletes a blob.
    ///
    /// With --json: {"deleted": true}.
    Delete {
        #[command(flatten)]
        whose: Whose,
        /// Does not ask whether it is to be deleted.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        key: KeyArguments,
    },
}

/// Which blob is meant.
#[derive(clap::Args, Clone)]
#[group(required = true, multiple = true)]
struct Whose {
    /// That of the credential for which `keyfob register --blob` has printed this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rp", "credential", "blob_key"])]
    registration: Option<PathBuf>,
    /// That of the discoverable credential for this site.
    #[arg(long, value_name = "RP_ID", conflicts_with = "blob_key")]
    rp: Option<String>,
    /// Of several for the site, the one with this id, or as much of the beginning as no other has.
    #[arg(long, value_name = "ID", requires = "rp", allow_hyphen_values = true)]
    credential: Option<String>,
    /// That which this key encrypts: a file with 32 bytes in base64.
    #[arg(long, value_name = "FILE")]
    blob_key: Option<PathBuf>,
}

impl Arguments {
    pub const fn is_json(&self) -> bool {
        let (Action::List(key) | Action::Get { key, .. } | Action::Put { key, .. } | Action::Delete { key, .. }) =
            &self.action;
        key.json
    }
}

/// # Errors
/// The key does not hold the credential, or has no blob for it, or no room.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::List(key) => list(key),
        Action::Get { whose, key } => get(key, whose),
        Action::Put { whose, file, key } => put(key, whose, file),
        Action::Delete { whose, yes, key } => delete(key, whose, *yes),
    }
}

fn other(error: impl fmt::Display) -> Failure {
    Failure::new(Kind::Other, error)
}

fn no_blob() -> Failure {
    Failure::new(Kind::NotFound, "the key has no blob for this: `keyfob blobs list` shows those there are")
}

/// The key's array of blobs, and memory to work on it.
fn array<'m>(errand: &mut Errand, memory: &'m mut [u8]) -> Result<LargeBlobArray<'m>, Failure> {
    errand.run(ReadLargeBlobs::new(memory), |_| ())
}

/// An errand with the key that holds the credential of a registration, or with one that has blobs.
fn begin(key: &KeyArguments, registration: Option<&Document>) -> Result<Errand, Failure> {
    let meant = match registration {
        Some(document) => Meant::Holding(document.rp_id("options.rp.id")?.into(), vec![document.bytes("response.id")?]),
        None => Meant::Able(|info| info.options.unwrap_or_default().large_blobs == Some(true)),
    };
    Errand::begin_with(key, &meant)
}

fn list(key: &KeyArguments) -> Result<(), Failure> {
    let mut errand = begin(key, None)?;
    let room = errand.run(GetInfo, |_| ())?.max_serialized_large_blob_array;
    let listed = credentials::all(&mut errand, None)?;
    let (mut memory, mut work) = (vec![0; LARGE_BLOBS], Zeroizing::new(vec![0; LARGE_BLOBS]));
    let array = array(&mut errand, &mut memory)?;
    let mut found: Vec<(&Listed, usize)> = Vec::new();
    for one in &listed {
        let Some(key) = &one.blob_key else { continue };
        if let Some(blob) = array.get(&RustCrypto, key, &mut work).map_err(other)? {
            found.push((one, blob.len()));
        }
    }
    let (used, others) = (array.serialized_len(), array.len().saturating_sub(found.len()));
    if key.json {
        let blob = |(one, length): &(&Listed, usize)| {
            let id = base64(&one.id);
            json!({ "credentialId": id, "rpId": one.rp_id, "userName": one.name, "length": length })
        };
        let blobs: Vec<Value> = found.iter().map(blob).collect();
        say(format_args!("{}", json!({ "used": used, "room": room, "blobs": blobs, "others": others })));
        return Ok(());
    }
    if !found.is_empty() {
        let row = |(one, length): &(&Listed, usize)| {
            let user = plain(one.name.as_deref().unwrap_or_default());
            [plain(&one.rp_id), user, length.to_string(), credentials::short(&one.id)]
        };
        table(["SITE", "USER", "BYTES", "ID"], &found.iter().map(row).collect::<Vec<_>>());
    }
    let room = room.map(|room| format!(" of {room}")).unwrap_or_default();
    eprintln!("{} shown, {others} that no listed credential opens. {used}{room} bytes are used.", found.len());
    Ok(())
}

/// What encrypts the blob that is meant, by a file or by the list of credentials.
fn blob_key(errand: &mut Errand, whose: &Whose) -> Result<Zeroizing<large_blob::Key>, Failure> {
    let (rp_id, id) = match whose {
        Whose { blob_key: Some(path), .. } => return read_key(path),
        Whose { registration: Some(path), .. } => {
            let document = Document::read(path)?;
            (document.rp_id("options.rp.id")?.to_owned(), base64(&document.bytes("response.id")?))
        }
        _ => (whose.rp.clone().unwrap_or_default(), whose.credential.clone().unwrap_or_default()),
    };
    let mut listed = credentials::all(errand, Some(&rp_id))?;
    listed.retain(|one| base64(&one.id).starts_with(&id));
    match &mut listed[..] {
        [] => Err(Failure::new(
            Kind::NotFound,
            format_args!("the key has no such credential for {rp_id}: `keyfob credentials list` shows those it has"),
        )),
        [one] => one.blob_key.take().ok_or_else(no_place),
        several => Err(Failure::new(
            Kind::NotFound,
            format_args!("{} credentials are for {rp_id}: give one with --credential", several.len()),
        )),
    }
}

fn no_place() -> Failure {
    let message = "the credential was made without a place for a blob: make one with `keyfob register --blob`";
    Failure::new(Kind::Unsupported, message)
}

/// A key for blobs in a file.
fn read_key(path: &Path) -> Result<Zeroizing<large_blob::Key>, Failure> {
    let name = path.display();
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text =
        text.map_err(|error| Failure::new(Kind::BadInput, format_args!("{name} cannot be read as text: {error}")))?;
    let text = Zeroizing::new(text.trim().trim_end_matches('=').replace('+', "-").replace('/', "_"));
    let key = from_base64(&text).map(Zeroizing::new).and_then(|bytes| bytes.as_slice().try_into().ok());
    key.map(Zeroizing::new)
        .ok_or_else(|| Failure::new(Kind::BadInput, format_args!("{name} does not hold 32 bytes in base64")))
}

fn get(key: &KeyArguments, whose: &Whose) -> Result<(), Failure> {
    let registration = whose.registration.as_deref().map(Document::read).transpose()?;
    let mut errand = begin(key, registration.as_ref())?;
    let bytes = if let Some(registration) = registration {
        let wanted = json!({ "largeBlob": { "read": true } });
        let results = extension_results(&mut errand, &registration, Verification::Preferred, &wanted)?;
        let blob = results.pointer("/largeBlob/blob").and_then(Value::as_str).ok_or_else(no_blob)?;
        from_base64(blob).unwrap_or_default()
    } else {
        let blob_key = blob_key(&mut errand, whose)?;
        let (mut memory, mut work) = (vec![0; LARGE_BLOBS], Zeroizing::new(vec![0; LARGE_BLOBS]));
        let array = array(&mut errand, &mut memory)?;
        array.get(&RustCrypto, &blob_key, &mut work).map_err(other)?.ok_or_else(no_blob)?.to_vec()
    };
    if key.json {
        return hand_over(format_args!("{}", json!({ "blob": base64(&bytes) })), "the blob");
    }
    let mut out = io::stdout().lock();
    out.write_all(&bytes)
        .and_then(|()| out.flush())
        .map_err(|error| other(format_args!("the blob could not be written to the standard output: {error}")))
}

fn put(key: &KeyArguments, whose: &Whose, file: &Path) -> Result<(), Failure> {
    let content = fs::read(file)
        .map_err(|error| Failure::new(Kind::BadInput, format_args!("{} cannot be read: {error}", file.display())))?;
    let registration = whose.registration.as_deref().map(Document::read).transpose()?;
    let supported = "response.clientExtensionResults.largeBlob.supported";
    if registration.as_ref().is_some_and(|document| document.member(supported) != Some(&Value::Bool(true))) {
        return Err(no_place());
    }
    let mut errand = begin(key, registration.as_ref())?;
    can_fit(&mut errand, file, &content)?;
    if let Some(registration) = &registration {
        let wanted = json!({ "largeBlob": { "write": base64(&content) } });
        let results = extension_results(&mut errand, registration, Verification::Preferred, &wanted)?;
        if results.pointer("/largeBlob/written") != Some(&Value::Bool(true)) {
            let message = "the blob was not stored: the blobs of other credentials leave no room for it on the key";
            return Err(Failure::new(Kind::Full, message));
        }
    } else {
        let blob_key = blob_key(&mut errand, whose)?;
        change(&mut errand, |array, rng, work| array.put(&RustCrypto, rng, &blob_key, &content, work))?;
    }
    if key.json {
        say(format_args!("{}", json!({ "written": true })));
    } else {
        say(format_args!("Stored {} bytes.", content.len()));
    }
    Ok(())
}

/// Reads the array, changes it, and writes it.
fn change<T>(
    errand: &mut Errand,
    with: impl FnOnce(&mut LargeBlobArray<'_>, &mut rand_chacha::ChaCha20Rng, &mut [u8]) -> Result<T, large_blob::Error>,
) -> Result<T, Failure> {
    let (mut memory, mut work) = (vec![0; LARGE_BLOBS], Zeroizing::new(vec![0; 2 * LARGE_BLOBS]));
    let mut array = array(errand, &mut memory)?;
    let changed = with(&mut array, &mut errand.rng, &mut work).map_err(other)?;
    errand.run(WriteLargeBlobs::new(array.serialize(&RustCrypto)), |_| ())?;
    Ok(changed)
}

fn delete(key: &KeyArguments, whose: &Whose, yes: bool) -> Result<(), Failure> {
    let registration = whose.registration.as_deref().map(Document::read).transpose()?;
    let mut errand = begin(key, registration.as_ref())?;
    let blob_key = blob_key(&mut errand, whose)?;
    let (mut memory, mut work) = (vec![0; LARGE_BLOBS], Zeroizing::new(vec![0; LARGE_BLOBS]));
    let found = array(&mut errand, &mut memory)?;
    let len = found.get(&RustCrypto, &blob_key, &mut work).map_err(other)?.ok_or_else(no_blob)?.len();
    if !yes {
        errand.user.agrees(&format!("This deletes a blob of {len} bytes."))?;
    }
    change(&mut errand, |array, _, work| array.remove(&RustCrypto, &blob_key, work))?;
    if key.json {
        say(format_args!("{}", json!({ "deleted": true })));
    } else {
        say(format_args!("The blob of {len} bytes is deleted."));
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
    let compressed = deflate(content, &mut vec![0; bound(len)]).map_err(other)?;
    if compressed + BESIDE <= room {
        return Ok(());
    }
    Err(too_long(format_args!(
        "compressed they are {compressed}, and the key has {room} for all blobs and what it keeps beside them"
    )))
}
