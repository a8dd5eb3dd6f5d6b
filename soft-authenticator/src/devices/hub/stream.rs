//! Reports one after another on a stream: TCP and Unix sockets.

use std::{
    io::{self, ErrorKind, Read, Write},
    time::Instant,
};

use keyfob_core::{bytes, transport::hid::REPORT_LEN};
use mio::event::Source;

use super::{
    Peer,
    handle::Joint,
    link::{Flushed, Input, Link, Outbox, Report, SHORT_READ_IS_LAST, may_be_init, read_some},
};

/// How many bytes are read at once: those of a request with one or two ids.
const READ: usize = 16 * REPORT_LEN;
/// How often a client is read from before the others have their turn.
const READS: usize = 16;

/// A connection. An incomplete report at its end is ignored.
pub struct Stream<S> {
    stream: S,
    peer: Peer,
    is_open: bool,
    buffer: [u8; READ],
    /// Bytes of an incomplete report at the front of the buffer.
    held: usize,
    outbox: Outbox,
}

/// A connection of a client in this process.
pub fn in_process(stream: Joint) -> Box<dyn Link> {
    #[cfg(unix)]
    let stream = mio::net::UnixStream::from_std(stream);
    #[cfg(not(unix))]
    let stream = mio::net::TcpStream::from_std(stream);
    Box::new(Stream::open(stream, Peer::Process))
}

impl<S> Stream<S> {
    /// A connection that opens the key with its first report, which must be INIT on the broadcast channel.
    pub fn guarded(stream: S, peer: Peer) -> Self {
        Self { stream, peer, is_open: false, buffer: [0; READ], held: 0, outbox: Outbox::default() }
    }

    /// A connection that has the key open from the start.
    pub fn open(stream: S, peer: Peer) -> Self {
        Self { is_open: true, ..Self::guarded(stream, peer) }
    }

    /// Takes the reports out of `buffer[..len]`.
    fn take(&mut self, len: usize, inputs: &mut Vec<Input>) -> io::Result<()> {
        let bytes = bytes::front(&self.buffer, len);
        if !self.is_open && !may_be_init(bytes) {
            inputs.push(Input::Stranger(self.peer));
            return Err(ErrorKind::InvalidData.into());
        }
        let (reports, rest) = bytes.as_chunks::<REPORT_LEN>();
        if !self.is_open && !reports.is_empty() {
            self.is_open = true;
            inputs.push(Input::Opened(self.peer));
        }
        inputs.extend(reports.iter().map(|report| Input::Report(self.peer, *report)));
        self.held = rest.len();
        let from = len.saturating_sub(self.held);
        bytes::shift(&mut self.buffer, from..len, 0);
        Ok(())
    }
}

impl<S: Read + Write + Source> Link for Stream<S> {
    fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()> {
        register(&mut self.stream)
    }

    fn begin(&mut self, inputs: &mut Vec<Input>) {
        if self.is_open {
            inputs.push(Input::Opened(self.peer));
        }
    }

    fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool> {
        read_some(READS, || match self.stream.read(bytes::rest_mut(&mut self.buffer, self.held))? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                let len = self.held.saturating_add(count);
                self.take(len, inputs)?;
                Ok(len >= READ || !SHORT_READ_IS_LAST)
            }
        })
    }

    fn queue(&mut self, report: &Report) {
        if self.is_open {
            self.outbox.push(report);
        }
    }

    fn flush(&mut self, now: Instant, _: &mut Vec<Input>) -> io::Result<Flushed> {
        let stream = &mut self.stream;
        self.outbox.flush(now, usize::MAX, |bytes| stream.write(bytes))
    }

    fn unplug(&mut self, _: bool) -> bool {
        !self.is_open
    }
}
