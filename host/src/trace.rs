//! How the demo is shown: a line a message, everything, or an object a message.

use std::{
    cell::Cell,
    env,
    io::{self, IsTerminal},
    time::Instant,
};

use keyfob_core::{
    Status,
    ctap2::Command,
    trace::{CommandName, Hex, Json, TraceEvent},
    transport::KeepAlive,
};
use serde_json::{Value, json};

use crate::say;

/// Select Graphic Rendition (ECMA-48 §8.3.117).
const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";

/// How the demo is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A line a message.
    Summary,
    /// Every message with its members, and what else passed.
    Full,
    /// One JSON object a line.
    Json,
}

/// Writes the steps of the demo and the events of its transport to the standard output.
pub struct Trace {
    style: Style,
    colours: bool,
    start: Instant,
    /// When the request under way was sent.
    sent: Cell<Instant>,
}

impl Trace {
    /// A trace that starts now. It has colours on a terminal, unless NO_COLOR is set.
    pub fn new(style: Style) -> Self {
        let colours = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let start = Instant::now();
        Self { style, colours, start, sent: Cell::new(start) }
    }

    /// A step of the demo.
    pub fn step(&self, number: u8, title: &str) {
        match self.style {
            Style::Summary => say(format_args!("{}", self.painted(BOLD, &format!("{number}. {title}")))),
            Style::Full => say(format_args!("\n{number}. {title}")),
            Style::Json => self.object("step", json!({ "number": number, "title": title })),
        }
    }

    /// What the relying party has checked, and the id of the credential.
    pub fn verified(&self, checks: &[&str], credential_id: &[u8]) {
        let id = Hex(credential_id).to_string();
        match self.style {
            Style::Summary => say(format_args!("   {} {}", self.painted(GREEN, "ok"), checks.join(", "))),
            Style::Full => say(format_args!("  verified: {}\n  credential: {id}", checks.join(", "))),
            Style::Json => self.object("verified", json!({ "checks": checks, "credentialId": { "hex": id } })),
        }
    }

    /// How the demo ended.
    pub fn outcome(&self, outcome: &str) {
        match self.style {
            Style::Summary | Style::Full => say(format_args!("\n{}", self.painted(BOLD, outcome))),
            Style::Json => self.object("outcome", json!({ "outcome": outcome })),
        }
    }

    /// Something that passed the transport, for [`keyfob_core::trace::Tracer`].
    pub fn event(&self, event: &TraceEvent<'_>) {
        match self.style {
            Style::Summary => self.summary(event),
            Style::Full => {
                let millis = self.start.elapsed().as_secs_f64() * 1e3;
                match event {
                    TraceEvent::KeepAlive(status) => say(format_args!("  {millis:>9.3} ms .. {}", in_words(*status))),
                    event => say(format_args!("  {millis:>9.3} ms {event}")),
                }
            }
            Style::Json => self.json(event),
        }
    }

    /// A line a message. Nothing else is shown, unless the transport failed.
    fn summary(&self, event: &TraceEvent<'_>) {
        match *event {
            TraceEvent::Request(_, request) => {
                self.sent.set(Instant::now());
                let name = request_name(event, request);
                say(format_args!("   -> {name:<63}{:>11}", length(request.len())));
            }
            TraceEvent::Response(_, _, response) => {
                let millis = self.sent.get().elapsed().as_secs_f64() * 1e3;
                let status = status_of(response);
                let colour = if status.is_ok() { GREEN } else { RED };
                let status = self.painted(colour, &format!("{:<52}", status.to_string()));
                say(format_args!("   <- {status}{millis:>8.1} ms{:>11}", length(response.len())));
            }
            TraceEvent::Failed => say(format_args!("   {}", self.painted(RED, "the transport failed"))),
            _ => {}
        }
    }

    fn json(&self, event: &TraceEvent<'_>) {
        // The text of an object is an object.
        let members: Value = serde_json::from_str(&Json(event).to_string()).unwrap_or_default();
        let message = |bytes| json!({ "hex": Hex(bytes).to_string() });
        match *event {
            TraceEvent::Request(_, request) => {
                let command = CommandName(Command(request.first().copied().unwrap_or_default())).to_string();
                let request = message(request);
                self.object("request", json!({ "command": command, "members": members, "message": request }));
            }
            TraceEvent::Response(_, command, response) => {
                let status = status_of(response);
                let status = status.name().map_or_else(|| format!("0x{:02x}", status.0), str::to_owned);
                let (command, response) = (CommandName(command).to_string(), message(response));
                let described =
                    json!({ "command": command, "status": status, "members": members, "message": response });
                self.object("response", described);
            }
            TraceEvent::KeepAlive(status) => self.object("keepAlive", json!({ "meaning": in_words(status) })),
            TraceEvent::Cancel => self.object("cancel", json!({})),
            TraceEvent::Reconnect => self.object("reconnect", json!({})),
            TraceEvent::Failed => self.object("failed", json!({})),
            _ => {} // the demo traces messages, no reports
        }
    }

    /// One line: what it is, when it was, and its own members.
    fn object(&self, event: &str, mut members: Value) {
        members["event"] = event.into();
        members["microseconds"] = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX).into();
        say(format_args!("{members}"));
    }

    fn painted(&self, sgr: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{sgr}m{text}\x1b[m") } else { text.into() }
    }
}

fn status_of(response: &[u8]) -> Status {
    Status(response.first().copied().unwrap_or(Status::OTHER.0))
}

/// The command of a request, and its subcommand.
fn request_name(event: &TraceEvent<'_>, request: &[u8]) -> String {
    let mut name = CommandName(Command(request.first().copied().unwrap_or_default())).to_string();
    // A value that has a name is `number / name /`. Nothing fails here: text takes every member.
    let _ = event.members(|member, value| {
        let value = value.to_string();
        if let ("subCommand", Some((_, sub_command))) = (member.to_string().as_str(), value.split_once(" / ")) {
            name = format!("{name} {}", sub_command.trim_end_matches(" /"));
        }
        Ok(())
    });
    name
}

fn length(bytes: usize) -> String {
    format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" })
}

fn in_words(status: KeepAlive) -> &'static str {
    match status {
        KeepAlive::UpNeeded => "the key waits for a touch",
        KeepAlive::Processing => "the key is working",
        _ => "the key is alive",
    }
}
