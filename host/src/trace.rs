//! How the trace of a transport is shown: as text, or an object a message.

use std::time::Instant;

use keyfob_core::{
    Status,
    ctap2::Command,
    trace::{CommandName, Event, Hex},
    transport::KeepAlive,
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

/// Writes the steps of a program and the events of its transport to the standard output.
#[derive(Clone, Copy)]
pub struct Trace {
    style: Style,
    start: Instant,
}

impl Trace {
    /// A trace that starts now.
    pub fn new(style: Style) -> Self {
        Self { style, start: Instant::now() }
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

    /// Something that passed the transport, for [`keyfob_core::trace::Tracer`].
    pub fn event(&self, event: &Event<'_>) {
        match self.style {
            Style::Text => {
                let millis = self.start.elapsed().as_secs_f64() * 1e3;
                match event {
                    Event::KeepAlive(status) => say(format_args!("  {millis:>9.3} ms .. {}", in_words(*status))),
                    event => say(format_args!("  {millis:>9.3} ms {event}")),
                }
            }
            Style::Json => self.message(event),
        }
    }

    fn message(&self, event: &Event<'_>) {
        let (to, name, bytes) = match *event {
            Event::Request(_, bytes) => {
                let command = Command(bytes.first().copied().unwrap_or_default());
                ("key", CommandName(command).to_string(), bytes)
            }
            Event::Response(_, _, bytes) => {
                let status = Status(bytes.first().copied().unwrap_or(Status::OTHER.0));
                ("client", status.name().map_or_else(|| status.to_string(), str::to_owned), bytes)
            }
            _ => return,
        };
        let mut members = serde_json::Map::new();
        // Nothing fails here: a map takes every member.
        let _ = event.members(|name, value| {
            members.insert(name.to_string(), json!(value.to_string()));
            Ok(())
        });
        say(format_args!(
            "{}",
            json!({
                "microseconds": u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
                "to": to,
                "message": name,
                "members": members,
                "hex": Hex(bytes).to_string(),
            })
        ));
    }
}

fn in_words(status: KeepAlive) -> &'static str {
    match status {
        KeepAlive::UpNeeded => "the key waits for a touch",
        KeepAlive::Processing => "the key is working",
        KeepAlive::Other(_) => "the key is alive",
    }
}
