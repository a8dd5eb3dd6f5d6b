//! Lines from a connection of the control socket. A line has an end, and comes within a time.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read},
    time::{Duration, Instant},
};

/// The longest line, in bytes.
pub const LONGEST: usize = 64 << 10;

/// How long a connection may be silent.
#[derive(Clone, Copy)]
pub struct Patience {
    /// Until its first line. Afterwards it may be silent for ever, as one that waits for events is.
    pub first: Duration,
    /// In the middle of a line.
    pub line: Duration,
}

/// How long a connection may be silent.
pub const PATIENCE: Patience = Patience { first: Duration::from_secs(60), line: Duration::from_secs(10) };

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A line, without its end and the spaces around it. It is not empty.
    Line(Vec<u8>),
    /// The end of the connection. If that is in the middle of a line, there is no line.
    End,
    /// More than [`LONGEST`] bytes without an end.
    TooLong,
    /// Nothing was said for too long.
    Silent,
    /// A line has begun, and does not end.
    Unfinished,
}

/// What lines are read from.
pub trait Source: Read {
    /// How long a read may take, at most; for ever without.
    ///
    /// # Errors
    /// Those of the operating system.
    fn bound_reads(&self, time: Option<Duration>) -> io::Result<()>;
}

/// The lines of a connection.
pub struct Lines<S> {
    source: BufReader<S>,
    patience: Patience,
    /// Until when the first line is to be there.
    first: Option<Instant>,
}

impl<S: Source> Lines<S> {
    pub fn new(source: S, patience: Patience) -> Self {
        Self { source: BufReader::new(source), patience, first: Instant::now().checked_add(patience.first) }
    }

    /// Waits for the next line.
    pub fn next(&mut self) -> Next {
        let patience = self.patience.line;
        let mut line = Vec::new();
        let mut end = self.first;
        loop {
            let (part, is_whole) = match self.read(end) {
                Ok([]) => return Next::End,
                Ok(bytes) => match bytes.iter().position(|byte| *byte == b'\n') {
                    Some(at) => (bytes.get(..=at).unwrap_or(bytes), true),
                    None => (bytes, false),
                },
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return if line.is_empty() { Next::Silent } else { Next::Unfinished };
                }
                Err(_) => return Next::End,
            };
            if line.is_empty() {
                let line_end = Instant::now().checked_add(patience);
                end = [end, line_end].into_iter().flatten().min();
            }
            line.extend_from_slice(part);
            let len = part.len();
            self.source.consume(len);
            if line.len() > LONGEST {
                return Next::TooLong;
            }
            let trimmed = line.trim_ascii();
            if is_whole && trimmed.is_empty() {
                line.clear();
                end = self.first;
            } else if is_whole {
                self.first = None;
                return Next::Line(trimmed.to_vec());
            }
        }
    }

    /// Waits for bytes. None are the end of the connection.
    fn read(&mut self, end: Option<Instant>) -> io::Result<&[u8]> {
        if self.source.buffer().is_empty() {
            loop {
                let left = end.map(|end| end.saturating_duration_since(Instant::now()));
                if left == Some(Duration::ZERO) {
                    return Err(ErrorKind::TimedOut.into());
                }
                self.source.get_ref().bound_reads(left)?;
                match self.source.fill_buf() {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                    Ok(_) => break,
                }
            }
        }
        Ok(self.source.buffer())
    }

    /// Reads to the end of the connection, for so long at most, and forgets what comes. Where bytes that were not read
    /// are left, the client may get an error in place of the last answer.
    pub fn pass(&mut self, time: Duration) {
        let end = Instant::now().checked_add(time);
        while let Ok(bytes) = self.read(end) {
            let len = bytes.len();
            if len == 0 {
                return;
            }
            self.source.consume(len);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream, thread};

    use super::*;

    const SHORT: Patience = Patience { first: Duration::from_millis(300), line: Duration::from_millis(150) };

    fn joint() -> (UnixStream, Lines<UnixStream>) {
        let (client, server) = UnixStream::pair().unwrap();
        (client, Lines::new(server, SHORT))
    }

    fn line(text: &str) -> Next {
        Next::Line(text.as_bytes().to_vec())
    }

    #[test]
    fn who_never_says_anything_is_told_from_who_has_spoken_and_is_silent() {
        let (_client, mut lines) = joint();
        let start = Instant::now();
        assert_eq!(lines.next(), Next::Silent);
        assert!(start.elapsed() >= SHORT.first);
        let (mut client, mut lines) = joint();
        client.write_all(b"\n \r\n").unwrap();
        assert_eq!(lines.next(), Next::Silent, "empty lines say nothing");
        let (mut client, mut lines) = joint();
        client.write_all(b"one\r\n").unwrap();
        assert_eq!(lines.next(), line("one"));
        let speaks = thread::spawn(move || {
            thread::sleep(SHORT.first * 2);
            client.write_all(b"two\n").unwrap();
            client
        });
        assert_eq!(lines.next(), line("two"));
        drop(speaks.join().unwrap());
        assert_eq!(lines.next(), Next::End);
    }

    #[test]
    fn a_line_that_does_not_end_is_given_up_however_slowly_it_comes() {
        for first in [&b""[..], b"one\n"] {
            let (mut client, mut lines) = joint();
            client.write_all(first).unwrap();
            if !first.is_empty() {
                assert_eq!(lines.next(), line("one"));
            }
            let drips = thread::spawn(move || {
                let mut count = 0;
                while client.write_all(b"x").is_ok() && count < 100 {
                    thread::sleep(Duration::from_millis(20));
                    count += 1;
                }
                count
            });
            assert_eq!(lines.next(), Next::Unfinished);
            drop(lines);
            assert!(drips.join().unwrap() < 50);
        }
    }

    #[test]
    fn lines_come_whole_wherever_they_are_cut_and_a_long_one_is_none() {
        let (mut client, mut lines) = joint();
        let text = "a b\n\nc\n";
        for cut in 0..text.len() {
            client.write_all(&text.as_bytes()[..cut]).unwrap();
            client.write_all(&text.as_bytes()[cut..]).unwrap();
            assert_eq!((lines.next(), lines.next()), (line("a b"), line("c")));
        }
        let longest = [&[b'x'; LONGEST - 1][..], b"\n"].concat();
        let writes = thread::spawn(move || {
            client.write_all(&longest).unwrap();
            client.write_all(b"x").unwrap();
            client.write_all(&longest).unwrap();
            client
        });
        assert_eq!(lines.next(), line(&"x".repeat(LONGEST - 1)));
        assert_eq!(lines.next(), Next::TooLong);
        drop(writes.join().unwrap());
        // The end in the middle of a line.
        let (mut client, mut lines) = joint();
        client.write_all(b"half").unwrap();
        drop(client);
        assert_eq!(lines.next(), Next::End);
    }
}
