//! Lines about what happens, for people or for programs.

use std::{
    io::{self, Write},
    sync::mpsc,
    thread,
    time::Instant,
};

use serde_json::Value;

use crate::say;

/// How many lines may wait for a slow reader.
const LINES: usize = 1024;

/// Tells what happens: in a line of text, or in an object of JSON in a line.
///
/// A thread of its own prints what [`Notes::tell`] is given, and drops some when the reader is slow: a pipe that is full
/// or closed must not stop the key.
#[derive(Clone)]
pub struct Notes {
    lines: mpsc::SyncSender<String>,
    is_json: bool,
    start: Instant,
}

impl Notes {
    /// Notes as text, or as JSON.
    pub fn new(is_json: bool) -> Self {
        let (lines, received) = mpsc::sync_channel::<String>(LINES);
        thread::spawn(move || {
            for line in received {
                let mut out = io::stdout().lock();
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        });
        Self { lines, is_json, start: Instant::now() }
    }

    /// Tells of an event. As JSON it has `members`, and its name and time besides.
    pub fn tell(&self, event: &str, members: Value, text: impl FnOnce() -> String) {
        self.line(self.described(event, members, text));
    }

    /// The same, before the key is served. It is not lost: the user needs it.
    pub fn must_tell(&self, event: &str, members: Value, text: impl FnOnce() -> String) {
        say(format_args!("{}", self.described(event, members, text)));
    }

    /// Prints a line of text.
    pub fn line(&self, line: String) {
        let _ = self.lines.try_send(line);
    }

    fn described(&self, event: &str, mut members: Value, text: impl FnOnce() -> String) -> String {
        if !self.is_json {
            return text();
        }
        members["event"] = event.into();
        members["microseconds"] = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX).into();
        members.to_string()
    }
}
