//! A WebAuthn client on the command line: options in JSON from the standard input, the response in JSON to the standard
//! output. The security key is one that `keyfob serve` serves, or any other that takes CTAPHID reports over TCP.
//!
//! ```text
//! cargo run --example webauthn -- ADDRESS:PORT create|get ORIGIN [--pin PIN] [--enterprise RP_ID]... [--python-fido2]
//!     [--fixed-randomness]
//! cargo run --example webauthn -- ADDRESS:PORT OPERATION [ARGUMENT...] [--pin PIN]
//! ```
//!
//! The operations are those of `manage.rs`.
#![allow(clippy::disallowed_methods)]

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::TcpStream,
    process::ExitCode,
    time,
};

use keyfob_core::{
    Instant,
    cbor::Text,
    client::{
        self, Ceremony, GetAssertion, PinEntry, Prompt, UserInteraction,
        fido2::{ClientPolicy, Fido2Client, ResponseSelection, WebAuthnClient},
    },
    crypto::RustCrypto,
    json::WriteError,
    transport::hid::HidTransport,
    webauthn::{Attachment, CreationOptions, DefaultClientDataCollector, PublicSuffixList, RequestOptions},
};
use keyfob_soft_authenticator::devices::TcpPipe;
use rand_chacha::rand_core::{TryCryptoRng, TryRng};

mod manage;

/// The longest CTAPHID message, and four times that for several assertions, in bytes.
const MESSAGES: usize = 4 * 7609;

/// Room for the large-blob array, twice and with what is written to it, in bytes.
const LARGE_BLOBS: usize = 64 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(json) => match io::stdout().write_all(&json) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<Vec<u8>, String> {
    let (options, words) = split(arguments);
    let [address, operation, words @ ..] = &words[..] else { return Err("ADDRESS:PORT OPERATION".into()) };
    let stream = TcpStream::connect(address).map_err(|error| format!("{address} is not reached: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let start = time::Instant::now();
    let now = move || Instant::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    let mut transport = HidTransport::new(TcpPipe::new(stream), now, [0x11; 8]);
    let mut source = Source { fixed: options.fixed_randomness };
    let enterprise: Vec<&str> = options.enterprise.iter().map(String::as_str).collect();
    let new_pin = words.first().filter(|_| matches!(*operation, "set-pin" | "change-pin"));
    let mut user = User { pin: options.pin, new_pin: new_pin.map(|word| (*word).to_owned()) };
    let ([origin], "create" | "get") = (words, *operation) else {
        return manage::run(operation, words, &mut transport, &mut user, source, now);
    };

    let mut json = Vec::new();
    io::stdin().read_to_end(&mut json).map_err(|error| error.to_string())?;
    let collector = DefaultClientDataCollector::new(origin).with_suffixes(PublicSuffixList);
    let mut client = Fido2Client::new(transport, collector, user, RustCrypto, source, now);
    client.policy = if options.python_fido2 { ClientPolicy::PYTHON_FIDO2 } else { ClientPolicy::STANDARD };
    client.policy.enterprise_rp_ids = (!enterprise.is_empty()).then_some(&enterprise);
    let (mut read, mut collected, mut messages) =
        (vec![0; json.len() + json.len() / 8], vec![0; 8 * json.len() + 512], vec![0; MESSAGES]);
    if *operation == "create" {
        let options = CreationOptions::from_json(&json, &mut read).map_err(|error| error.to_string())?;
        let creation = client.creation(&options, &mut collected).map_err(failure)?;
        let response = client.make_credential(&creation, &mut messages).map_err(failure)?;
        return written(|buffer| response.to_json(&creation.options.extensions, &[Text::new("usb")], buffer));
    }
    let options = RequestOptions::from_json(&json, &mut read).map_err(|error| error.to_string())?;
    let request = client.request(&options, &mut collected).map_err(failure)?;
    let mut memory = vec![0; LARGE_BLOBS];
    let ceremony =
        Ceremony::new(GetAssertion::with_memory(&request.options, &mut memory), &mut messages, RustCrypto, &mut source);
    let assertions = client::run(ceremony, &mut client.transport, &mut client.user, now).map_err(failure)?;
    let mut work = vec![0; LARGE_BLOBS];
    let blob = assertions.large_blob(&RustCrypto, 0, &mut work).map_err(|error| format!("{error:?}"))?;
    let selection = ResponseSelection {
        client_data_json: request.client_data_json,
        assertions,
        attachment: Some(Attachment::CrossPlatform),
    };
    let response = selection.get(0).ok_or("no assertion")?;
    written(|buffer| response.to_json(&request.options.extensions, blob, buffer))
}

/// What begins with two dashes.
#[derive(Default)]
struct Switches {
    pin: Option<String>,
    /// The relying parties that get enterprise attestation. Without any, each that asks gets it.
    enterprise: Vec<String>,
    python_fido2: bool,
    fixed_randomness: bool,
}

/// The options, and the other arguments.
fn split(arguments: &[String]) -> (Switches, Vec<&str>) {
    let (mut options, mut words, mut rest) = (Switches::default(), Vec::new(), arguments.iter());
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--pin" => options.pin = rest.next().cloned(),
            "--enterprise" => options.enterprise.extend(rest.next().cloned()),
            "--python-fido2" => options.python_fido2 = true,
            "--fixed-randomness" => options.fixed_randomness = true,
            word => words.push(word),
        }
    }
    (options, words)
}

fn failure(error: client::Error) -> String {
    format!("{:?}: {:?} ({:?})", error.code, error.cause, error.stage)
}

/// What `write` writes, in as much room as it takes.
fn written(write: impl Fn(&mut [u8]) -> Result<usize, WriteError>) -> Result<Vec<u8>, String> {
    let mut buffer = Vec::new();
    loop {
        match write(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(WriteError::Overflow(overflow)) => buffer.resize(overflow.needed, 0),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Knows a PIN, or none, and enters it once; and a new one.
struct User {
    pin: Option<String>,
    new_pin: Option<String>,
}

impl UserInteraction for User {
    fn request_pin(&mut self, _: &Prompt<'_>, entry: &mut PinEntry) -> bool {
        let Some(pin) = self.pin.take() else { return false };
        entry.set(&pin);
        true
    }

    fn request_new_pin(&mut self, _: &Prompt<'_>, entry: &mut PinEntry) -> bool {
        let Some(pin) = self.new_pin.take() else { return false };
        entry.set(&pin);
        true
    }
}

/// The system's randomness, or, to compare what two clients send, the same byte for ever.
#[derive(Clone, Copy)]
struct Source {
    fixed: bool,
}

impl TryRng for Source {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.fill(0x11);
        if !self.fixed
            && let Err(error) = getrandom::fill(to)
        {
            eprintln!("the system has no randomness: {error}");
            std::process::exit(1);
        }
        Ok(())
    }
}

impl TryCryptoRng for Source {}
