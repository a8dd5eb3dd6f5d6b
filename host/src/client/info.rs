//! `keyfob info`: what a key says of itself.

use std::fmt::Write;

use keyfob_core::{
    cbor::{self, List, Text},
    client::manage::{GetInfo, Retries},
    ctap2::{Command, get_info::Response},
    trace::{Json, TraceEvent},
    transport::Protocol,
};
use serde_json::{Value, json};

use super::{
    Errand, Failure, KeyArguments, Kind,
    output::{pairs, plain},
};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// Shows every member of the answer to authenticatorGetInfo, by the standard's names.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pub key: KeyArguments,
}

/// # Errors
/// The key cannot be asked.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut errand = Errand::begin(&arguments.key)?;
    let address = errand.address.to_string();
    let info = errand.run(GetInfo, |_| ())?;
    let answer = encoded(&info)?;
    let info: Response<'_> = cbor::decode_tolerant(&answer[1..]).map_err(|error| Failure::new(Kind::Other, error))?;
    // A key without a PIN, or without a sensor, has no attempts.
    let pin_retries = errand.run(Retries::of_pin(), |_| ()).ok().map(|left| left.retries);
    let uv_retries = errand.run(Retries::of_uv(), |_| ()).ok().map(|left| left.retries);
    let event = TraceEvent::Response(Protocol::Ctap2, Command::GET_INFO, &answer);
    if arguments.key.json {
        let members: Value = serde_json::from_str(&Json(&event).to_string()).unwrap_or_default();
        let object = json!({ "address": address, "info": members, "pinRetries": pin_retries, "uvRetries": uv_retries });
        say(format_args!("{object}"));
        return Ok(());
    }
    if arguments.all {
        // Nothing fails here: text takes every member.
        let mut text = String::new();
        let _ = event.members(|name, value| writeln!(text, "{name}: {value}"));
        say(format_args!("{}", text.trim_end()));
        return Ok(());
    }
    pairs(&rows(&address, &info, pin_retries, uv_retries));
    Ok(())
}

/// The answer as it was sent: a status and CBOR.
fn encoded(info: &Response<'_>) -> Result<Vec<u8>, Failure> {
    let mut answer = vec![0; 8192];
    let len = cbor::encode(info, &mut answer[1..]).map_err(|error| Failure::new(Kind::Other, error))?;
    answer.truncate(len + 1);
    Ok(answer)
}

fn rows(address: &str, info: &Response<'_>, pin: Option<u32>, uv: Option<u32>) -> Vec<(&'static str, String)> {
    let options = info.options.unwrap_or_default();
    let mut rows =
        vec![("Address", address.into()), ("Model (AAGUID)", uuid(info.aaguid)), ("Versions", words(info.versions))];
    if let Some(version) = info.firmware_version {
        rows.push(("Firmware", version.to_string()));
    }
    rows.push(("PIN", pin_state(info, pin)));
    rows.push((
        "Fingerprints",
        match (options.bio_enroll, options.uv) {
            (Some(true), _) => format!("enrolled{}", attempts(uv)),
            (Some(false), _) => "none enrolled".into(),
            (None, Some(true)) => format!("verifies its user in another way{}", attempts(uv)),
            _ => "not supported".into(),
        },
    ));
    rows.push((
        "Passkeys",
        match (options.rk, info.remaining_discoverable_credentials) {
            (Some(true), Some(room)) => format!("supported, room for {room} more"),
            (Some(true), None) => "supported".into(),
            _ => "not supported".into(),
        },
    ));
    if options.always_uv == Some(true) {
        rows.push(("Always verifies", "yes: every use takes the PIN or a finger".into()));
    }
    if let Some(room) = info.max_serialized_large_blob_array {
        rows.push(("Large blobs", format!("{room} bytes")));
    }
    let algorithms = info.algorithms.unwrap_or(List::Slice(&[]));
    let algorithms: Vec<String> = algorithms.iter().map(|listed| format!("{:?}", listed.algorithm)).collect();
    for (name, values) in [
        ("Algorithms", algorithms.join(", ")),
        ("Extensions", info.extensions.map(words).unwrap_or_default()),
        ("Transports", info.transports.map(words).unwrap_or_default()),
    ] {
        if !values.is_empty() {
            rows.push((name, values));
        }
    }
    rows.push(("Longest message", format!("{} bytes", info.max_msg_size())));
    rows
}

/// What is to be said of the PIN.
pub fn pin_state(info: &Response<'_>, retries: Option<u32>) -> String {
    let state = match info.options.unwrap_or_default().client_pin {
        Some(true) => format!("set{}", attempts(retries)),
        Some(false) => "not set".into(),
        None => return "not supported".into(),
    };
    let change = if info.force_pin_change == Some(true) { ", has to be changed before it is used" } else { "" };
    let shortest = info.min_pin_length.map(|len| format!(", {len} characters or more")).unwrap_or_default();
    format!("{state}{shortest}{change}")
}

fn attempts(left: Option<u32>) -> String {
    match left {
        Some(0) => ", blocked".into(),
        Some(1) => ", 1 attempt left".into(),
        Some(left) => format!(", {left} attempts left"),
        None => String::new(),
    }
}

fn words(list: List<'_, Text<'_>>) -> String {
    list.iter().map(|word| plain(word.as_str())).collect::<Vec<_>>().join(", ")
}

/// An AAGUID in the form of UUIDs.
fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
        let _ = write!(text, "{dash}{byte:02x}");
    }
    text
}
