//! Lines about what happens, for people or for programs.

use std::{
    io::{self, Write},
    iter,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{announce, control::Audience};

/// How many lines may wait for a slow reader.
const LINES: usize = 4096;
/// How long lines are gathered before they are printed. To wake the thread for each takes longer than most commands.
const GATHERING: Duration = Duration::from_millis(2);
/// How long the last lines may take. A reader that does not read must not keep the command from ending.
const LAST: Duration = Duration::from_millis(200);

/// Where notes go.
#[derive(Clone, Copy)]
pub enum Stream {
    Output,
    /// Beside the output of a command that has the standard output.
    Error,
}

impl Stream {
    fn write(self, line: &str) -> io::Result<()> {
        fn to(mut out: impl Write, line: &str) -> io::Result<()> {
            writeln!(out, "{line}")?;
            out.flush()
        }
        match self {
            Self::Output => to(io::stdout().lock(), line),
            Self::Error => to(io::stderr().lock(), line),
        }
    }
}

/// Tells what happens: in a line of text, or in an object of JSON in a line.
///
/// A thread of its own prints what [`Notes::tell`] is given, and drops some when the reader is slow: a pipe that is full
/// or closed must not stop the key.
#[derive(Clone)]
pub struct Notes {
    lines: mpsc::SyncSender<String>,
    stream: Stream,
    is_json: bool,
    start: Instant,
    printer: Arc<thread::JoinHandle<()>>,
    /// Who is told as well.
    audience: Audience,
}

impl Notes {
    /// Notes as text, or as JSON.
    pub fn new(is_json: bool, stream: Stream) -> Self {
        let (lines, received) = mpsc::sync_channel::<String>(LINES);
        let printer = thread::spawn(move || {
            for first in &received {
                thread::sleep(GATHERING);
                let lines: Vec<String> = iter::once(first).chain(received.try_iter().take(LINES)).collect();
                if stream.write(&lines.join("\n")).is_err() {
                    return;
                }
            }
        });
        let audience = Audience::default();
        Self { lines, stream, is_json, start: Instant::now(), printer: Arc::new(printer), audience }
    }

    /// The clients of the control socket, who are told of events too.
    pub const fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Tells of an event. As JSON it has `members`, and its name and time besides.
    pub fn tell(&self, event: &str, members: Value, text: impl FnOnce() -> String) {
        self.audience.tell(event, &members);
        self.line(self.described(event, members, text));
    }

    /// The same, before the key is served. It is not lost, as long as anybody reads: the user needs it.
    ///
    /// # Errors
    /// It cannot be written, in a line.
    pub fn must_tell(&self, event: &str, members: Value, text: impl FnOnce() -> String) -> Result<(), String> {
        let line = self.described(event, members, text);
        match self.stream {
            Stream::Output => announce(format_args!("{line}")),
            Stream::Error => {
                let _ = self.stream.write(&line); // nobody reads it
                Ok(())
            }
        }
    }

    /// Waits until all is printed, if there is a reader. To be called on the last of the clones.
    pub fn finish(self) {
        let Self { lines, printer, .. } = self;
        drop(lines);
        let start = Instant::now();
        while !printer.is_finished() && start.elapsed() < LAST {
            thread::sleep(GATHERING);
        }
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
