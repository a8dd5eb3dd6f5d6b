//! A transport that shows what goes through it: a line a message, its members below, or an object a message.

use std::time::{Duration, Instant};

use keyfob_core::{
    Status,
    auth_data::AuthData,
    cbor,
    ctap2::{Command, client_pin, decode_response, get_assertion, get_info, make_credential},
    transport::{KeepAlive, Protocol, Received, Transport},
};
use serde_json::json;

use crate::say;

/// How a trace is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Shows the messages of the transport inside.
pub struct Traced<T> {
    inner: T,
    style: Style,
    start: Instant,
    command: Command,
    shown: Option<KeepAlive>,
}

impl<T> Traced<T> {
    pub fn new(inner: T, style: Style) -> Self {
        Self { inner, style, start: Instant::now(), command: Command(0), shown: None }
    }

    /// A step of the demo.
    pub fn step(&self, title: &str) {
        match self.style {
            Style::Text => say(format_args!("\n{title}")),
            Style::Json => say(format_args!("{}", json!({ "step": title }))),
        }
    }

    /// A fact about the last step.
    pub fn fact(&self, name: &str, value: &str) {
        match self.style {
            Style::Text => say(format_args!("  {name}: {value}")),
            Style::Json => say(format_args!("{}", json!({ "fact": name, "value": value }))),
        }
    }

    fn line(&self, direction: &str, name: &str, bytes: &[u8], members: &[(String, String)]) {
        let time = self.start.elapsed();
        match self.style {
            Style::Text => {
                say(format_args!("  {:>9.3} ms {direction} {name}, {} bytes", time.as_secs_f64() * 1e3, bytes.len()));
                for (member, value) in members {
                    say(format_args!("                 {member}: {value}"));
                }
            }
            Style::Json => {
                let members: serde_json::Map<_, _> =
                    members.iter().map(|(member, value)| (member.clone(), json!(value))).collect();
                say(format_args!(
                    "{}",
                    json!({
                        "microseconds": u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
                        "to": if direction == "->" { "key" } else { "client" },
                        "message": name,
                        "members": members,
                        "hex": hex(bytes),
                    })
                ));
            }
        }
    }
}

impl<T: Transport> Transport for Traced<T> {
    type Error = T::Error;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), T::Error> {
        self.command = Command(request.first().copied().unwrap_or_default());
        self.shown = None;
        self.line("->", command_name(self.command), request, &request_members(self.command, request));
        self.inner.send(protocol, request)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, T::Error> {
        let received = self.inner.receive(buffer, wait)?;
        match received {
            Received::Response(len) => {
                let response = &buffer[..len];
                let status = Status(response.first().copied().unwrap_or(Status::OTHER.0));
                let name = status.name().map_or_else(|| status.to_string(), str::to_owned);
                self.line("<-", &name, response, &response_members(self.command, response));
            }
            Received::KeepAlive(status) if self.shown != Some(status) && self.style == Style::Text => {
                self.shown = Some(status);
                let what = match status {
                    KeepAlive::UpNeeded => "the key waits for a touch",
                    KeepAlive::Processing => "the key is working",
                    KeepAlive::Other(_) => "the key is alive",
                };
                say(format_args!("  {:>9.3} ms .. {what}", self.start.elapsed().as_secs_f64() * 1e3));
            }
            _ => {}
        }
        Ok(received)
    }

    fn cancel(&mut self) -> Result<(), T::Error> {
        self.inner.cancel()
    }

    fn reconnect(&mut self) -> Result<(), T::Error> {
        self.inner.reconnect()
    }
}

fn command_name(command: Command) -> &'static str {
    match command {
        Command::MAKE_CREDENTIAL => "authenticatorMakeCredential",
        Command::GET_ASSERTION => "authenticatorGetAssertion",
        Command::GET_NEXT_ASSERTION => "authenticatorGetNextAssertion",
        Command::GET_INFO => "authenticatorGetInfo",
        Command::CLIENT_PIN => "authenticatorClientPIN",
        Command::RESET => "authenticatorReset",
        Command::SELECTION => "authenticatorSelection",
        _ => "unknown command",
    }
}

type Members = Vec<(String, String)>;

fn member(name: &str, value: impl core::fmt::Debug) -> (String, String) {
    (name.into(), format!("{value:?}"))
}

fn request_members(command: Command, request: &[u8]) -> Members {
    let body = request.get(1..).unwrap_or_default();
    match command {
        Command::MAKE_CREDENTIAL => {
            cbor::decode::<make_credential::Request<'_>>(body).map_or_else(malformed, |request| {
                let algorithms: Vec<_> = request.pub_key_cred_params.iter().map(|entry| entry.algorithm).collect();
                let mut members = vec![
                    ("clientDataHash".into(), hex(request.client_data_hash)),
                    member("rp.id", request.rp.id),
                    member("user.name", request.user.name.unwrap_or_default()),
                    member("pubKeyCredParams", algorithms),
                ];
                members.extend(request.options.and_then(|options| options.rk).map(|rk| member("options.rk", rk)));
                members.extend(request.pin_uv_auth_param.map(|param| ("pinUvAuthParam".into(), hex(param))));
                members
            })
        }
        Command::GET_ASSERTION => cbor::decode::<get_assertion::Request<'_>>(body).map_or_else(malformed, |request| {
            let mut members =
                vec![member("rpId", request.rp_id), ("clientDataHash".into(), hex(request.client_data_hash))];
            for descriptor in request.allow_list.iter().flat_map(|list| list.iter()) {
                members.push(("allowList".into(), hex(descriptor.id)));
            }
            members.extend(request.pin_uv_auth_param.map(|param| ("pinUvAuthParam".into(), hex(param))));
            members
        }),
        Command::CLIENT_PIN => cbor::decode::<client_pin::Request<'_>>(body).map_or_else(malformed, |request| {
            let mut members = vec![(
                "subCommand".into(),
                match request.sub_command.unwrap_or_default() {
                    client_pin::subcommand::GET_PIN_RETRIES => "getPINRetries".into(),
                    client_pin::subcommand::GET_KEY_AGREEMENT => "getKeyAgreement".into(),
                    client_pin::subcommand::SET_PIN => "setPIN".into(),
                    client_pin::subcommand::CHANGE_PIN => "changePIN".into(),
                    client_pin::subcommand::GET_PIN_TOKEN => "getPinToken".into(),
                    client_pin::subcommand::GET_TOKEN_USING_PIN => "getPinUvAuthTokenUsingPinWithPermissions".into(),
                    other => format!("0x{other:02x}"),
                },
            )];
            members.extend(request.pin_uv_auth_protocol.map(|number| member("pinUvAuthProtocol", number)));
            members.extend(request.permissions.map(|bits| ("permissions".into(), format!("0x{bits:02x}"))));
            members.extend(request.rp_id.map(|rp_id| member("rpId", rp_id)));
            members
        }),
        _ => Members::new(),
    }
}

fn response_members(command: Command, response: &[u8]) -> Members {
    if response.len() < 2 {
        return Members::new();
    }
    match command {
        Command::GET_INFO => decode_response::<get_info::Response<'_>>(response).map_or_else(malformed, |info| {
            let options = info.options.unwrap_or_default();
            vec![
                member("versions", info.versions),
                ("aaguid".into(), hex(info.aaguid)),
                ("clientPin".into(), options.client_pin.map_or("unsupported".into(), |set| set.to_string())),
                member("maxMsgSize", info.max_msg_size()),
            ]
        }),
        Command::MAKE_CREDENTIAL => {
            decode_response::<make_credential::Response<'_>>(response).map_or_else(malformed, |response| {
                let mut members = vec![member("fmt", response.fmt)];
                members.extend(auth_data_members(response.auth_data));
                members
            })
        }
        Command::GET_ASSERTION | Command::GET_NEXT_ASSERTION => {
            decode_response::<get_assertion::Response<'_>>(response).map_or_else(malformed, |response| {
                let mut members: Members = Vec::new();
                members.extend(response.credential.map(|credential| ("credential".into(), hex(credential.id))));
                members.extend(auth_data_members(response.auth_data));
                members.push(("signature".into(), hex(response.signature)));
                members.extend(response.user.map(|user| ("user.id".into(), hex(user.id))));
                members
            })
        }
        Command::CLIENT_PIN => {
            decode_response::<client_pin::Response<'_>>(response).map_or_else(malformed, |response| {
                let mut members: Members = Vec::new();
                members.extend(response.pin_retries.map(|retries| member("pinRetries", retries)));
                members.extend(response.key_agreement.map(|_| ("keyAgreement".into(), "a P-256 key".into())));
                members.extend(
                    response
                        .pin_uv_auth_token
                        .map(|token| ("pinUvAuthToken".into(), format!("{} bytes, encrypted", token.len()))),
                );
                members
            })
        }
        _ => Members::new(),
    }
}

fn auth_data_members(auth_data: &[u8]) -> Members {
    AuthData::decode(auth_data).map_or_else(malformed, |auth_data| {
        let mut members = vec![
            member("flags", format_args!("0x{:02x}", auth_data.flags.0)),
            member("signCount", auth_data.sign_count),
        ];
        if let Some(attested) = auth_data.attested_credential_data {
            members.push(("credentialId".into(), hex(attested.credential_id)));
            members.push(member("algorithm", attested.public_key.algorithm()));
        }
        members
    })
}

fn malformed(error: impl core::fmt::Debug) -> Members {
    vec![member("malformed", error)]
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
