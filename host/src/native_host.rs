//! `keyfob native-host`: the client behind the extension for Chromium in `host/chromium-extension`.
//!
//! Chromium starts a process for each WebAuthn request (native messaging): a message comes in on the standard input,
//! one goes out on the standard output, each JSON behind its length in four bytes. When the page gives the request up,
//! the standard input ends.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use keyfob::{Address, Key, now, open};
use keyfob_core::{
    cbor::Text,
    client::{
        Cause, Error, InvalidOption, UserInteraction,
        fido2::{Fido2Client, WebAuthnClient},
    },
    crypto::RustCrypto,
    json::WriteError,
    status::Status,
    webauthn::{CreationOptions, DefaultClientDataCollector, PublicSuffixList, RequestOptions},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

/// The name under which the extension asks for this host.
const NAME: &str = "org.keyfob.native_host";
/// The extension's id, which follows from the key in its manifest.
const EXTENSION: &str = "hjoegdbplfbhohbkbcfcffebndafcmjn";
/// The longest request, in bytes.
const MAX_REQUEST: usize = 1 << 20;
/// Room for the responses of a key, in bytes.
const RESPONSES: usize = 16 << 10;
/// How the key can be reached.
const TRANSPORTS: &[Text<'static>] = const { &[Text::new("usb")] };

/// What the host does.
#[derive(clap::Args)]
pub struct Arguments {
    /// The key: /dev/hidrawN, or a virtual one: tcp:HOST:PORT, unix:PATH.
    #[arg(long, value_name = "KEY")]
    key: Address,
    /// Tells Chromium of this host with two files in this folder, and ends: ~/.config/chromium/NativeMessagingHosts, or
    /// NativeMessagingHosts in the folder of --user-data-dir.
    #[arg(long, value_name = "FOLDER")]
    install: Option<PathBuf>,
    /// What Chromium adds: the extension's origin.
    #[arg(hide = true)]
    _caller: Vec<String>,
}

/// Answers one request, or installs the host.
///
/// # Errors
/// What the user has to know, in a line.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    if let Some(folder) = &arguments.install {
        return install(folder, &arguments.key)
            .map_err(|error| format!("cannot install in {}: {error}", folder.display()));
    }
    let request = read_message(&mut io::stdin().lock()).map_err(|error| format!("no request of Chromium: {error}"))?;
    let is_cancelled = Arc::new(AtomicBool::new(false));
    let cancel = is_cancelled.clone();
    std::thread::spawn(move || {
        // There is no second message: whatever ends this, the page no longer waits.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        cancel.store(true, Ordering::Relaxed);
    });
    let answer = match answer(&request, &arguments.key, is_cancelled) {
        Ok(response) => json!({ "response": response }),
        Err(exception) => json!({ "error": { "name": exception.name, "message": exception.message } }),
    };
    let bytes = answer.to_string().into_bytes();
    let length = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
    let mut out = io::stdout().lock();
    let written = out.write_all(&[&length.to_ne_bytes(), &bytes[..]].concat()).and_then(|()| out.flush());
    written.map_err(|error| format!("cannot answer Chromium: {error}"))
}

/// One message of native messaging.
fn read_message(input: &mut impl Read) -> Result<Value, String> {
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(|error| error.to_string())?;
    let length = usize::try_from(u32::from_ne_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_REQUEST {
        return Err(format!("it says that it has {length} bytes, and {MAX_REQUEST} are the most"));
    }
    let mut message = vec![0; length];
    input.read_exact(&mut message).map_err(|error| error.to_string())?;
    serde_json::from_slice(&message).map_err(|error| error.to_string())
}

/// What the page gets in place of a response.
#[derive(Debug)]
struct Exception {
    name: &'static str,
    message: String,
}

impl Exception {
    fn new(name: &'static str, message: impl ToString) -> Self {
        Self { name, message: message.to_string() }
    }
}

impl From<Error> for Exception {
    fn from(error: Error) -> Self {
        Self::new(name(error.cause), error)
    }
}

/// The name of the DOMException for this cause. The table in docs/virtual-key.md has them.
const fn name(cause: Cause) -> &'static str {
    use InvalidOption::{Algorithms, AppId, Extensions, LargeBlob, Origin, PrfByCredential, RpId};
    match cause {
        Cause::Status(Status::CREDENTIAL_EXCLUDED) => "InvalidStateError",
        Cause::InvalidOption(RpId | Origin | AppId) => "SecurityError",
        Cause::InvalidOption(PrfByCredential) => "SyntaxError",
        Cause::InvalidOption(Algorithms | Extensions | LargeBlob)
        | Cause::NoCommonAlgorithm
        | Cause::Status(Status::UNSUPPORTED_ALGORITHM) => "NotSupportedError",
        _ => "NotAllowedError",
    }
}

/// A user who has nothing but the key, and may close the page.
struct User(Arc<AtomicBool>);

impl UserInteraction for User {
    fn cancelled(&mut self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn answer(request: &Value, address: &Address, is_cancelled: Arc<AtomicBool>) -> Result<Value, Exception> {
    if request["sameOriginWithAncestors"] != true {
        return Err(Exception::new("NotAllowedError", "frames of other origins are not supported"));
    }
    let key = open(address).map_err(|error| Exception::new("NotAllowedError", error))?;
    ceremony(request, key, is_cancelled)
}

/// A ceremony: from the options to the response, both in the JSON of WebAuthn L3 §5.1.
fn ceremony(request: &Value, key: Key, is_cancelled: Arc<AtomicBool>) -> Result<Value, Exception> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Exception::new("NotAllowedError", error))?;
    let rng = ChaCha20Rng::from_seed(seed);
    let origin = request["origin"].as_str().unwrap_or_default();
    let collector = DefaultClientDataCollector::new(origin).with_suffixes(PublicSuffixList);
    let mut client = Fido2Client::new(key, collector, User(is_cancelled), RustCrypto, rng, now);

    let json = request["options"].to_string().into_bytes();
    let room = json.len().saturating_mul(2).saturating_add(1024);
    let (mut cbor, mut client_data, mut buffer) = (vec![0; room], vec![0; room], vec![0; RESPONSES]);
    let unreadable = |error| Exception::new("NotSupportedError", error);
    match request["type"].as_str() {
        Some("create") => {
            let options = CreationOptions::from_json(&json, &mut cbor).map_err(unreadable)?;
            let creation = client.creation(&options, &mut client_data)?;
            let registered = client.make_credential(&creation, &mut buffer)?;
            written(|out| registered.to_json(&creation.options.extensions, TRANSPORTS, out))
        }
        Some("get") => {
            let options = RequestOptions::from_json(&json, &mut cbor).map_err(unreadable)?;
            let (mut memory, mut work) = (vec![0; RESPONSES], vec![0; RESPONSES]);
            let asked = client.request(&options, &mut client_data)?;
            let responses = client.get_assertion_with_memory(&asked, &mut memory, &mut buffer)?;
            let blob = responses.assertions.large_blob(&RustCrypto, 0, &mut work).ok().flatten();
            let none = || Exception::new("NotAllowedError", "the key answers without an assertion");
            let signed_in = responses.get(0).ok_or_else(none)?;
            written(|out| signed_in.to_json(&asked.options.extensions, blob, out))
        }
        _ => Err(Exception::new("NotSupportedError", "the request is neither create nor get")),
    }
}

fn written(write: impl FnOnce(&mut [u8]) -> Result<usize, WriteError>) -> Result<Value, Exception> {
    let mut out = vec![0; 2 * RESPONSES];
    let length = write(&mut out).map_err(|_| Exception::new("NotAllowedError", "the key's response is malformed"))?;
    let response = out.get(..length).unwrap_or_default();
    serde_json::from_slice(response).map_err(|error| Exception::new("NotAllowedError", error))
}

/// Writes the host's manifest, and a script with the arguments: a manifest has only a path.
fn install(folder: &Path, key: &Address) -> io::Result<()> {
    let folder = std::path::absolute(folder)?;
    // Chromium starts the host in a folder of its own.
    let key = match key {
        Address::Unix(path) => &Address::Unix(std::path::absolute(path)?),
        key => key,
    };
    fs::create_dir_all(&folder)?;
    let script = folder.join(format!("{NAME}.sh"));
    let quoted = |text: String| format!("'{}'", text.replace('\'', "'\\''"));
    let program = quoted(std::env::current_exe()?.display().to_string());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
    let key = quoted(key.to_string());
    options
        .open(&script)?
        .write_all(format!("#!/bin/sh\nexec {program} native-host --key {key} \"$@\"\n").as_bytes())?;
    let manifest = json!({
        "name": NAME,
        "description": "WebAuthn with keyfob's client and a key that it reaches",
        "path": script,
        "type": "stdio",
        "allowed_origins": [format!("chrome-extension://{EXTENSION}/")],
    });
    fs::write(folder.join(format!("{NAME}.json")), manifest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_json_behind_its_length() {
        let message = |length: u32, text: &str| {
            let bytes = [&length.to_ne_bytes(), text.as_bytes()].concat();
            read_message(&mut bytes.as_slice())
        };
        assert_eq!(message(8, r#"{"a": 1}"#), Ok(json!({ "a": 1 })));
        assert_eq!(message(9, r#"{"a": 1}"#), Err("failed to fill whole buffer".into()));
        assert!(message(3, "nul").is_err());
        let long = message(u32::MAX, "").unwrap_err();
        assert!(long.contains("1048576 are the most"), "{long}");
    }

    #[test]
    fn a_request_without_a_key_or_of_another_frame_is_not_allowed() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address: Address = format!("tcp:{closed}").parse().unwrap();
        let cancelled = || Arc::new(AtomicBool::new(false));
        let alone =
            answer(&json!({ "type": "get", "sameOriginWithAncestors": true }), &address, cancelled()).unwrap_err();
        assert!(
            alone.name == "NotAllowedError"
                && alone.message.starts_with(&format!("the key at {address} cannot be reached: "))
        );
        let framed = answer(&json!({ "type": "get", "sameOriginWithAncestors": false }), &address, cancelled());
        assert_eq!(framed.unwrap_err().message, "frames of other origins are not supported");
    }

    #[test]
    fn a_status_of_the_key_becomes_the_exception_of_webauthn() {
        let names = |status: u8| name(Cause::Status(Status(status)));
        let special: Vec<_> = (0..=u8::MAX).map(|status| (status, names(status))).collect();
        let special: Vec<_> = special.into_iter().filter(|(_, name)| *name != "NotAllowedError").collect();
        assert_eq!(special, [(0x19, "InvalidStateError"), (0x26, "NotSupportedError")]);
        for (option, expected) in [
            (InvalidOption::RpId, "SecurityError"),
            (InvalidOption::Origin, "SecurityError"),
            (InvalidOption::Algorithms, "NotSupportedError"),
            (InvalidOption::PrfByCredential, "SyntaxError"),
        ] {
            assert_eq!(name(Cause::InvalidOption(option)), expected);
        }
        assert_eq!(name(Cause::Timeout), "NotAllowedError");
    }

    #[test]
    fn what_is_installed_is_for_the_extension_alone_and_names_the_key() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("keyfob-native-host-{}", std::process::id()));
        install(&folder, &Address::Unix("/a folder/it's a key".into())).unwrap();
        let manifest: Value = serde_json::from_slice(&fs::read(folder.join(format!("{NAME}.json"))).unwrap()).unwrap();
        assert_eq!(manifest["allowed_origins"], json!([format!("chrome-extension://{EXTENSION}/")]));
        let script = manifest["path"].as_str().unwrap();
        assert_eq!(fs::metadata(script).unwrap().permissions().mode() & 0o111, 0o111);
        let text = fs::read_to_string(script).unwrap();
        assert!(text.ends_with(" native-host --key 'unix:/a folder/it'\\''s a key' \"$@\"\n"), "{text}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_extension_has_the_id_that_its_key_gives_it() {
        use keyfob_core::crypto::Hash;
        let manifest: Value = serde_json::from_str(include_str!("../chromium-extension/manifest.json")).unwrap();
        // base64url is base64 with two other characters and without padding.
        let key = manifest["key"].as_str().unwrap().replace('+', "-").replace('/', "_");
        let mut der = vec![0; key.len()];
        let length = keyfob_core::base64url::decode(key.trim_end_matches('=').chars(), &mut der).unwrap();
        let hash = RustCrypto.sha256(&[&der[..length]]);
        let id: String =
            hash[..16].iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from(b'a' + nibble)).collect();
        assert_eq!(id, EXTENSION);
        assert!(include_str!("../chromium-extension/worker.js").contains(NAME));
    }
}
