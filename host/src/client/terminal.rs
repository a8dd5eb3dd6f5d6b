//! The terminal that a command was started on: questions, and answers with or without echo.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use zeroize::Zeroizing;

use super::output::{columns, wrapped};

/// How often to look whether Ctrl-C was pressed.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// The longest answer, in bytes. A PIN has at most 63.
const ANSWER: usize = 1024;

/// Whether the user has pressed Ctrl-C.
#[derive(Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on Ctrl-C does not end the process at once, so that the key stops asking for a touch first. A second one
    /// does.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub fn catch() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 130, flag.clone())?;
            flag::register(signal, flag.clone())?;
        }
        Ok(Self(flag))
    }

    pub fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Asks a question on the terminal and reads a line. What was typed before the question is no answer to it. `None` if
/// there is no terminal, the user has pressed Ctrl-C or Ctrl-D, or the line is longer than any answer.
pub fn ask(question: &str, echo: bool, interrupt: &Interrupt) -> Option<Zeroizing<String>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    let quiet = if echo { None } else { Some(Quiet::new(&terminal)?) };
    tcflush(&terminal, QueueSelector::IFlush).ok()?;
    let columns = columns(&terminal).unwrap_or(usize::MAX);
    write!(terminal, "{}", wrapped(question, columns).join("\n")).ok()?;
    let answer = line(&mut terminal, AtEnd::Nothing, interrupt).ok().flatten();
    let was_quiet = quiet.is_some();
    drop(quiet);
    if was_quiet || answer.is_none() {
        // The line break of the user is not shown.
        let _ = writeln!(terminal);
    }
    answer
}

/// What an input that ends within a line has given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Nothing: the user has pressed Ctrl-D.
    Nothing,
    /// The last line.
    Line,
}

/// Reads a line, and nothing behind it. `None` at the end of the input, or if the user has pressed Ctrl-C.
///
/// # Errors
/// The input cannot be read; the line is longer than any answer, or not UTF-8.
pub fn line(input: &mut File, at_end: AtEnd, interrupt: &Interrupt) -> io::Result<Option<Zeroizing<String>>> {
    let mut bytes = Zeroizing::new([0; ANSWER]);
    let mut len = 0;
    while !interrupt.has_come() {
        match poll(&mut [PollFd::new(&*input, PollFlags::IN)], Some(&LOOK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        let place = bytes.get_mut(len..=len);
        let place = place.ok_or_else(|| io::Error::other(format!("a line is longer than {ANSWER} bytes")))?;
        match input.read(place) {
            Ok(0) if at_end == AtEnd::Nothing || len == 0 => return Ok(None),
            Ok(count) if count == 0 || place == b"\n" => {
                let line = str::from_utf8(&bytes[..len]).map_err(|_| io::Error::other("a line is not UTF-8"))?;
                return Ok(Some(Zeroizing::new(line.to_owned())));
            }
            Ok(_) => len += 1,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// A terminal that does not show what is typed, until it is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: &File) -> Option<Self> {
        let terminal = terminal.try_clone().ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &quiet).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Whether there is a terminal to ask on.
pub fn is_there() -> bool {
    File::open("/dev/tty").is_ok()
}
