//! The program, and a key that it serves.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use tempfile::TempDir;

/// The program with these arguments, without an input.
pub fn keyfob(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The one object that was printed.
pub fn json(output: &Output) -> serde_json::Value {
    let printed = text(&output.stdout);
    assert_eq!(printed.lines().count(), 1, "{printed}{}", text(&output.stderr));
    serde_json::from_str(&printed).unwrap()
}

/// A key behind a Unix socket. Killed in the end.
pub struct Served {
    pub server: Child,
    told: BufReader<ChildStdout>,
    /// What `--key` takes.
    pub address: String,
    pub folder: TempDir,
}

impl Served {
    pub fn new(options: &[&str]) -> Self {
        Self::below(tempfile::tempdir().unwrap(), options)
    }

    /// A key behind the socket `key` in this folder.
    pub fn below(folder: TempDir, options: &[&str]) -> Self {
        let socket = folder.path().join("key").to_str().unwrap().to_owned();
        let mut server = keyfob(&[&["serve", "--unix", &socket], options].concat());
        let mut server = server.stderr(Stdio::inherit()).spawn().unwrap();
        let told = BufReader::new(server.stdout.take().unwrap());
        let mut served = Self { server, told, address: format!("unix:{socket}"), folder };
        served.tells("erving");
        served
    }

    /// A key behind a port of TCP.
    pub fn over_tcp(options: &[&str]) -> Self {
        let mut server = keyfob(&[&["serve", "--tcp", "127.0.0.1:0", "--json"], options].concat());
        let mut server = server.stderr(Stdio::inherit()).spawn().unwrap();
        let told = BufReader::new(server.stdout.take().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let mut served = Self { server, told, address: String::new(), folder };
        let line: serde_json::Value = served.tells("\"serving\"").parse().unwrap();
        served.address = line["doors"][0].as_str().unwrap().replace(" ", ":");
        served
    }

    /// Waits for a line of the server with this in it.
    pub fn tells(&mut self, what: &str) -> String {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert_ne!(self.told.read_line(&mut line).unwrap(), 0, "the server has ended before it told of {what}");
        }
        line
    }

    /// The program with this key.
    pub fn keyfob(&self, arguments: &[&str]) -> Command {
        keyfob(&[arguments, &["--key", &self.address]].concat())
    }

    /// Runs the program with this key and these PINs.
    pub fn with_pins(&self, arguments: &[&str], pins: &str) -> Output {
        with_input(self.keyfob(&[arguments, &["--pin-fd", "0"]].concat()), pins)
    }
}

/// Runs the command with this on its standard input.
pub fn with_input(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    match child.stdin.take().unwrap().write_all(input.as_bytes()) {
        // It has ended without reading.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    child.wait_with_output().unwrap()
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
