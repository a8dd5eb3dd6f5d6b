//! Lines about what happens while something else goes on.

use std::{
    io::{self, Write},
    sync::mpsc,
    thread,
};

/// Lines that may get lost. A thread of its own prints them, and drops some when the reader is slow: a pipe that is
/// full or closed must not stop the key.
#[derive(Clone)]
pub struct Notes(mpsc::SyncSender<String>);

impl Notes {
    pub fn new() -> Self {
        let (lines, received) = mpsc::sync_channel::<String>(64);
        thread::spawn(move || {
            for line in received {
                let mut out = io::stdout().lock();
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    pub fn say(&self, line: String) {
        let _ = self.0.try_send(line);
    }
}
