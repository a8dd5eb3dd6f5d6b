//! `keyfob decode`: what bytes of CTAP and WebAuthn say, member by member.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read},
};

use clap::ValueEnum;
use keyfob_core::{
    auth_data::AuthData,
    cbor::{self, Reader},
    cose::CoseKey,
    ctap2::{Command, make_credential},
    trace::{CommandName, Diagnostic, Direction, TraceEvent},
    transport::Protocol,
    webauthn::{AttestationObject, CollectedClientData},
};
use serde_json::Value;

use super::{
    Failure, Kind,
    output::{from_base64, plain},
};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// Hexadecimal, base64url or JSON; a file with one of these or with the bytes themselves; or - for the standard
    /// input.
    #[arg(value_name = "HEX|FILE|-")]
    input: String,
    /// What it is. Without this, the first of these that it can be.
    #[arg(long = "as", value_enum)]
    form: Option<Form>,
    /// The command that a response answers, in hexadecimal: 01 is authenticatorMakeCredential.
    #[arg(long, value_name = "HEX", default_value = "04", value_parser = |text: &str| u8::from_str_radix(text, 16))]
    command: u8,
}

/// What bytes can be.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// CollectedClientData, in JSON.
    ClientData,
    /// A RegistrationResponseJSON or AuthenticationResponseJSON, or what `keyfob register` and `sign-in` print.
    WebauthnJson,
    /// An attestation object.
    AttestationObject,
    /// Authenticator data.
    AuthData,
    /// A public key, COSE_Key.
    CoseKey,
    /// A request of CTAP2: a command byte and CBOR.
    Request,
    /// A report of CTAPHID, 64 bytes.
    Report,
    /// Any CBOR.
    Cbor,
    /// A response of CTAP2: a status byte and CBOR. Never guessed.
    Response,
}

/// # Errors
/// The input cannot be read, or is not what it should be.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let bytes = bytes(&arguments.input)?;
    let decode = |form: Form| decode(form, &bytes, Command(arguments.command));
    let said = match arguments.form {
        Some(form) => decode(form).map_err(|error| {
            let name = form.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            Failure::new(Kind::BadInput, format_args!("this is not {name}: {error}"))
        })?,
        None => {
            let guesses = Form::value_variants().iter().filter(|form| **form != Form::Response);
            let message =
                "this is no message of CTAP or WebAuthn: --as says what it should be, and what is wrong with it";
            let said = guesses.filter_map(|form| decode(*form).ok()).next();
            said.ok_or_else(|| Failure::new(Kind::BadInput, message))?
        }
    };
    say(format_args!("{}", said.trim_end()));
    Ok(())
}

/// The bytes that are meant.
fn bytes(input: &str) -> Result<Vec<u8>, Failure> {
    let mut read = Vec::new();
    if input == "-" {
        io::stdin().lock().read_to_end(&mut read).map_err(|error| {
            Failure::new(Kind::BadInput, format_args!("the standard input cannot be read: {error}"))
        })?;
    } else if let Some(bytes) = of_text(input) {
        return Ok(bytes);
    } else {
        let message = |error: io::Error| format!("this is neither hexadecimal nor base64url nor a file: {error}");
        read = fs::read(input).map_err(|error| Failure::new(Kind::BadInput, message(error)))?;
    }
    Ok(str::from_utf8(&read).ok().and_then(of_text).unwrap_or(read))
}

/// The bytes of a text in hexadecimal or base64url; JSON as it is.
fn of_text(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.starts_with('{') {
        return Some(text.into());
    }
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !character.is_whitespace() && *character != ':')
        .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .unwrap_or_default();
    if !digits.is_empty() && digits.len().is_multiple_of(2) {
        return Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect());
    }
    // A short word is rather the name of a file.
    from_base64(text).filter(|bytes| bytes.len() >= 32)
}

/// What bytes of this form say.
///
/// # Errors
/// What is wrong with them, and where.
fn decode(form: Form, bytes: &[u8], command: Command) -> Result<String, String> {
    let text = |error: cbor::Error| error.to_string();
    match form {
        Form::ClientData => client_data(bytes),
        Form::WebauthnJson => webauthn_json(bytes),
        Form::AttestationObject => attestation_object(&AttestationObject::decode(bytes).map_err(text)?),
        Form::AuthData => {
            AuthData::decode(bytes).map_err(text)?;
            auth_data(bytes)
        }
        Form::CoseKey => {
            let key: CoseKey<'_> = cbor::decode_tolerant(bytes).map_err(text)?;
            Ok(format!("public key for {:?}: {}", key.algorithm(), Diagnostic(bytes)))
        }
        Form::Request => {
            let (&command, body) = bytes.split_first().ok_or("it is empty")?;
            // A command without a name is shown by its number.
            if CommandName(Command(command)).to_string().contains(' ') {
                return Err(format!("its first byte, {command:02x}, is no command"));
            }
            well_formed(body)?;
            Ok(TraceEvent::Request(Protocol::Ctap2, bytes).to_string())
        }
        Form::Response => {
            let (_, body) = bytes.split_first().ok_or("it is empty")?;
            well_formed(body)?;
            Ok(TraceEvent::Response(Protocol::Ctap2, command, bytes).to_string())
        }
        Form::Report => {
            let report = bytes.try_into().map_err(|_| format!("it has {} bytes, not 64", bytes.len()))?;
            Ok(TraceEvent::Report(Direction::ToAuthenticator, report).to_string())
        }
        Form::Cbor => {
            well_formed(bytes)?;
            Ok(Diagnostic(bytes).to_string())
        }
    }
}

/// Whether this is nothing, or one CBOR item.
fn well_formed(body: &[u8]) -> Result<(), String> {
    if body.is_empty() {
        return Ok(());
    }
    let mut reader = Reader::tolerant(body);
    reader.skip().and_then(|_| reader.finish()).map_err(|error| error.to_string())
}

fn client_data(bytes: &[u8]) -> Result<String, String> {
    CollectedClientData::parse(bytes).map_err(|error| error.to_string())?;
    let members: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let members = members.as_object().ok_or("it is no object")?;
    Ok(members.iter().map(|(name, value)| format!("{}: {}\n", plain(name), plain(&value.to_string()))).collect())
}

/// Each part of a response in JSON that is bytes.
fn webauthn_json(bytes: &[u8]) -> Result<String, String> {
    let document: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let part = |name: &str| {
        let inner = document.pointer(&format!("/response/{name}"));
        let value = document.pointer(&format!("/response/response/{name}")).or(inner)?;
        from_base64(value.as_str()?)
    };
    let mut said = String::new();
    let mut describe = |name: &str, form: Form| {
        let Some(bytes) = part(name) else { return };
        let described =
            decode(form, &bytes, Command::MAKE_CREDENTIAL).unwrap_or_else(|error| format!("wrong: {error}"));
        let _ = writeln!(said, "{name}:\n  {}", described.trim_end().replace('\n', "\n  "));
    };
    describe("clientDataJSON", Form::ClientData);
    describe("attestationObject", Form::AttestationObject);
    describe("authenticatorData", Form::AuthData);
    if said.is_empty() { Err("it has no response of WebAuthn".into()) } else { Ok(said) }
}

fn attestation_object(object: &AttestationObject<'_>) -> Result<String, String> {
    // The same members as the authenticator's response has, which the trace can show.
    let response = make_credential::Response {
        fmt: object.fmt,
        auth_data: object.auth_data,
        att_stmt: Some(object.att_stmt),
        ep_att: None,
        large_blob_key: None,
        unsigned_extension_outputs: None,
    };
    let mut bytes = vec![0; 2 * (object.auth_data.len() + object.att_stmt.0.len()) + 256];
    let len = cbor::encode(&response, &mut bytes[1..]).map_err(|error| error.to_string())?;
    Ok(members(&bytes[..=len]))
}

fn auth_data(bytes: &[u8]) -> Result<String, String> {
    let mut message = vec![0; bytes.len() + 16];
    let mut writer = cbor::Writer::new(&mut message[1..]);
    writer.map(1);
    writer.unsigned(2);
    writer.bytes(bytes);
    let len = writer.finish().map_err(|error| error.to_string())?;
    Ok(members(&message[..=len]))
}

/// The members of a response to authenticatorMakeCredential.
fn members(response: &[u8]) -> String {
    let mut said = String::new();
    let event = TraceEvent::Response(Protocol::Ctap2, Command::MAKE_CREDENTIAL, response);
    // Nothing fails here: text takes every member.
    let _ = event.members(|name, value| writeln!(said, "{name}: {value}"));
    said
}
