//! What a hub tells, in lines and in a trace.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Instant,
};

use keyfob_core::{ctap2, trace::CommandName, transport::hid::HidCommand};
use keyfob_soft_authenticator::devices::hub::HubEvent;
use serde_json::{Value, json};

use super::{apdus::Apdus, capture::Capture, doors, messages::Messages};
use crate::{control::status_name, notes::Notes};

/// How many requests are remembered, so that their answers have names.
const REQUESTS: usize = 64;

/// The channel of a card's commands.
const CARD: u32 = 0;

/// How `--trace` shows what passes.
pub enum Trace {
    None,
    /// Whole messages, with their members.
    Text(Box<Messages>, Box<Apdus>),
    /// Every report, in a file. It has no APDUs.
    File(Capture),
}

impl Trace {
    /// What `--trace` asks for.
    ///
    /// # Errors
    /// Why the file cannot be made, in a line.
    pub fn new(asked: Option<&Option<PathBuf>>) -> Result<Self, String> {
        Ok(match asked {
            None => Self::None,
            Some(None) => Self::Text(Box::default(), Box::default()),
            Some(Some(path)) => Self::File(Capture::create(path).map_err(|error| no_capture(path, &error))?),
        })
    }
}

/// Why there cannot be a capture in this file.
fn no_capture(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        ErrorKind::AlreadyExists => format!("{path} is not a capture, and is left as it is: give --trace another file"),
        _ => format!("cannot write to {path}: {error}"),
    }
}

/// A request that is under way.
struct Request {
    channel: u32,
    name: String,
    since: Instant,
}

/// Tells of the events of a hub.
pub struct Events {
    notes: Notes,
    trace: Trace,
    requests: Vec<Request>,
    /// Whether only the clients of the control socket are told.
    is_silent: bool,
}

impl Events {
    pub const fn new(notes: Notes, trace: Trace) -> Self {
        Self { notes, trace, requests: Vec::new(), is_silent: false }
    }

    /// Tells the clients of the control socket only, if so.
    #[cfg(target_os = "linux")]
    pub const fn silent(mut self, is_silent: bool) -> Self {
        self.is_silent = is_silent;
        self
    }

    pub fn tell(&mut self, event: &HubEvent) {
        match event {
            HubEvent::PluggedIn => self.simple("pluggedIn", json!({}), || "The key is plugged in.".into()),
            HubEvent::Unplugged => self.simple("unplugged", json!({}), || "The key is unplugged.".into()),
            HubEvent::Opened(peer) => self.of_peer("opened", peer, "opened the key."),
            HubEvent::Closed(peer) => self.of_peer("closed", peer, "closed the key."),
            HubEvent::Full(peer) => self.of_peer("full", peer, "was refused: too many clients have the key open."),
            HubEvent::Stuck(peer) => self.of_peer("stuck", peer, "does not read, so it is closed."),
            HubEvent::Stranger(peer) => {
                self.of_peer(
                    "stranger",
                    peer,
                    "was closed: it did not begin with CTAPHID_INIT on the broadcast channel.",
                );
            }
            HubEvent::InField(peer) => self.of_peer("inField", peer, "has switched its field on: the card is tapped."),
            HubEvent::OutOfField(peer) => self.of_peer("outOfField", peer, "has no card in its field any more."),
            HubEvent::NoReader(peer, why) => self.no_reader(peer, why.map(|why| why.to_string())),
            HubEvent::Command { command: HidCommand::INIT, .. } => {}
            HubEvent::Command { peer, channel, command: HidCommand::CANCEL, .. } => {
                let members = json!({ "peer": peer.to_string(), "channel": channel });
                self.simple("cancel", members, || format!("{peer} cancels."));
            }
            HubEvent::Command { peer, channel, command, ctap2 } => {
                let name = name(*command, *ctap2);
                let members = json!({ "peer": peer.to_string(), "channel": channel, "command": name });
                self.simple("command", members, || format!("{peer}: {name}"));
                self.begin(*channel, name);
            }
            HubEvent::TouchAsked { channel } => {
                let name = self.name(*channel);
                let members = json!({ "channel": channel, "command": name });
                self.simple("touchAsked", members, || format!("{name} waits for a touch."));
            }
            HubEvent::Answered { command: HidCommand::INIT, .. } => {}
            HubEvent::Answered { channel, status, .. } => {
                let name = status.map(status_name);
                let members = json!({ "status": name, "statusCode": status.map(|status| status.0) });
                self.end(*channel, "answered", members, name.as_deref());
            }
            HubEvent::Refused { channel, code } => {
                let error = format!("{code:?}");
                self.end(*channel, "refused", json!({ "error": error }), Some(&error));
            }
            HubEvent::RefusedApdu(status) => {
                let error = status.to_string();
                self.end(CARD, "refused", json!({ "error": error }), Some(&error));
            }
            HubEvent::ApduToKey(_, command) => self.apdu(|apdus| apdus.command(command)),
            HubEvent::ApduFromKey(response) => self.apdu(|apdus| apdus.response(response)),
            HubEvent::ToKey(_, report) => self.report(true, report),
            HubEvent::FromKey(report) => self.report(false, report),
            _ => {}
        }
    }

    fn simple(&self, event: &str, members: Value, text: impl FnOnce() -> String) {
        if self.is_silent {
            self.notes.audience().tell(event, &members);
        } else {
            self.notes.tell(event, members, text);
        }
    }

    fn of_peer(&self, event: &str, peer: &impl ToString, what: &str) {
        let peer = peer.to_string();
        self.simple(event, json!({ "peer": peer }), || format!("{peer} {what}"));
    }

    fn no_reader(&self, peer: &impl ToString, why: Option<String>) {
        let peer = peer.to_string();
        let members = json!({ "peer": peer, "error": why });
        self.simple("noReader", members, || match why {
            Some(why) => format!("{peer}: what listens there is not vpcd. It sent {why}."),
            None => format!("{peer}: there is none. {}", doors::how_to_get_reader()),
        });
    }

    fn begin(&mut self, channel: u32, name: String) {
        self.requests.retain(|request| request.channel != channel);
        if self.requests.len() >= REQUESTS {
            self.requests.remove(0);
        }
        self.requests.push(Request { channel, name, since: Instant::now() });
    }

    /// The name of the request on this channel.
    fn name(&self, channel: u32) -> String {
        let request = self.requests.iter().find(|request| request.channel == channel);
        request.map_or_else(
            || if channel == CARD { "APDU".into() } else { format!("channel {channel:08x}") },
            |request| request.name.clone(),
        )
    }

    /// The request on this channel ends with this result, for which the event has these members.
    fn end(&mut self, channel: u32, event: &str, mut members: Value, result: Option<&str>) {
        let name = self.name(channel);
        let since = self.requests.iter().find(|request| request.channel == channel).map(|request| request.since);
        self.requests.retain(|request| request.channel != channel);
        let millis = since.map(|since| since.elapsed().as_secs_f64() * 1e3);
        members["channel"] = channel.into();
        members["command"] = name.as_str().into();
        members["milliseconds"] = millis.into();
        self.simple(event, members, || {
            let result = result.unwrap_or("answered");
            let time = millis.map_or_else(String::new, |millis| format!(", {millis:.1} ms"));
            format!("{name}: {result}{time}")
        });
    }

    fn apdu(&mut self, take: impl FnOnce(&mut Apdus) -> Option<String>) {
        if let Trace::Text(_, apdus) = &mut self.trace
            && let Some(text) = take(apdus)
        {
            self.notes.line(text);
        }
    }

    fn report(&mut self, is_to_key: bool, report: &[u8; 64]) {
        match &mut self.trace {
            Trace::None => {}
            Trace::Text(messages, _) => {
                if let Some(text) = messages.take(is_to_key, report) {
                    self.notes.line(text);
                }
            }
            Trace::File(capture) => {
                if let Err(error) = capture.report(is_to_key, report) {
                    crate::warn(format_args!("the trace ends here: {error}"));
                    self.trace = Trace::None;
                }
            }
        }
    }
}

fn name(command: HidCommand, ctap2: Option<ctap2::Command>) -> String {
    match (command, ctap2) {
        (HidCommand::CBOR, Some(command)) => CommandName(command).to_string(),
        (HidCommand::MSG, _) => "U2F".into(),
        (command, _) => format!("{command:?}"),
    }
}
