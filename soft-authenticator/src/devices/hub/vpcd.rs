//! A card in the virtual reader of vpcd.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use keyfob_core::bytes;
use mio::{event::Source, net::TcpStream};

use super::{
    Peer,
    link::{Flushed, Input, Link, Outbox, Report, read_some},
};
use crate::devices::vpcd::{self, ATR, Error, Message};

/// How many bytes are read at once.
const READ: usize = 4096;
/// How often the reader is read from before the others have their turn.
const READS: usize = 16;
/// How long to wait before the reader is looked for again. pcscd may be started only when a client wants it, and the
/// client then lists the cards at once.
const RETRY: Duration = Duration::from_millis(250);
/// How long the card stays away before it is put in: pcscd looks for it every 400 ms, and does not power up a card that has
/// taken the place of another one unseen.
const AWAY: Duration = Duration::from_millis(800);
/// How long to wait for the first word of a reader. pcscd lets vpcd accept a card when it looks for one.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// The connection to a reader, which is looked for again whenever it is gone.
pub struct Vpcd {
    address: SocketAddr,
    stream: Option<TcpStream>,
    /// Whether the reader has said something.
    is_inserted: bool,
    /// When to look for the reader, or, before its first word, when to give up.
    due: Option<Instant>,
    /// Whether a client uses the key through another door.
    is_elsewhere: bool,
    /// Whether the watcher knows that there is no reader.
    is_told: bool,
    inbox: Vec<u8>,
    outbox: Outbox,
    /// Whether a command waits for its answer.
    owes: bool,
}

impl Vpcd {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            is_inserted: false,
            // The process may have taken the place of another one.
            due: Instant::now().checked_add(AWAY),
            is_elsewhere: false,
            is_told: false,
            inbox: Vec::new(),
            outbox: Outbox::default(),
            owes: false,
        }
    }

    const fn peer(&self) -> Peer {
        Peer::Vpcd(self.address)
    }

    /// Takes the card out, and puts it in again after `pause` at the earliest.
    fn take_out(&mut self, pause: Duration) {
        (self.stream, self.is_inserted, self.owes) = (None, false, false);
        self.due = Instant::now().checked_add(pause);
        self.inbox.clear();
        self.outbox = Outbox::default();
    }

    /// The reader is gone, or breaks the protocol.
    fn lose(&mut self, error: &io::Error, inputs: &mut Vec<Input>) {
        self.take_out(if self.is_inserted { AWAY } else { RETRY });
        inputs.push(Input::OutOfField);
        if !self.is_told {
            self.is_told = true;
            let why = error.get_ref().and_then(|why| why.downcast_ref()).copied();
            inputs.push(Input::NoReader(self.peer(), why));
        }
    }

    fn connect(&mut self, now: Instant) -> io::Result<()> {
        let stream = TcpStream::connect(self.address)?;
        // It fails where there is no reader, which reading will tell.
        let _ = stream.set_nodelay(true);
        self.stream = Some(stream);
        self.due = now.checked_add(FIRST_WORD);
        Ok(())
    }

    /// Reads into the inbox.
    fn read(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Err(ErrorKind::WouldBlock.into()) };
        let mut buffer = [0; READ];
        let count = match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => count,
        };
        (self.is_inserted, self.due) = (true, None);
        self.inbox.extend_from_slice(bytes::front(&buffer, count));
        if self.inbox.len() > vpcd::LONGEST && self.owes {
            return Err(io::Error::other(Error::Hurried));
        }
        Ok(())
    }

    /// Acts on the messages of the inbox, up to a command that must be answered first.
    fn act(&mut self, inputs: &mut Vec<Input>) -> io::Result<()> {
        let inbox = std::mem::take(&mut self.inbox);
        let mut rest = inbox.as_slice();
        while !self.owes
            && let Some((message, len)) = Message::parse(rest).map_err(io::Error::other)?
        {
            rest = bytes::rest(rest, len);
            self.is_told = false;
            match message {
                Message::Off => inputs.push(Input::OutOfField),
                Message::On => inputs.push(Input::InField(self.peer())),
                Message::Reset => inputs.extend([Input::OutOfField, Input::InField(self.peer())]),
                Message::Atr => vpcd::write(self.outbox.bytes(), &ATR),
                Message::Apdu(command) => {
                    self.owes = true;
                    inputs.push(Input::Apdu(self.peer(), command.into()));
                }
            }
        }
        self.inbox = rest.into();
        Ok(())
    }

    fn exchange(&mut self, now: Instant, inputs: &mut Vec<Input>) -> io::Result<Flushed> {
        if self.stream.is_none() {
            if self.is_elsewhere {
                return Ok(Flushed::default());
            }
            if self.due.is_none_or(|due| due <= now) {
                self.connect(now)?;
                return Ok(Flushed { is_new: true, due: self.due, ..Flushed::default() });
            }
            return Ok(Flushed { due: self.due, ..Flushed::default() });
        }
        if !self.is_inserted && self.due.is_some_and(|due| due <= now) {
            return Err(ErrorKind::TimedOut.into());
        }
        self.act(inputs)?;
        let Some(stream) = &mut self.stream else { return Ok(Flushed::default()) };
        if !self.is_inserted {
            return Ok(Flushed { due: self.due, ..Flushed::default() });
        }
        self.outbox.flush(now, usize::MAX, |bytes| stream.write(bytes))
    }
}

impl Link for Vpcd {
    fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()> {
        self.stream.as_mut().map_or(Ok(()), |stream| register(stream))
    }

    fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool> {
        let read = read_some(READS, || self.read().map(|()| true)).and_then(|more| self.act(inputs).map(|()| more));
        Ok(read.unwrap_or_else(|error| {
            self.lose(&error, inputs);
            false
        }))
    }

    /// Reports are for the other doors.
    fn queue(&mut self, _: &Report) {}

    fn respond(&mut self, response: &[u8]) {
        if std::mem::take(&mut self.owes) {
            vpcd::write(self.outbox.bytes(), response);
        }
    }

    fn flush(&mut self, now: Instant, inputs: &mut Vec<Input>) -> io::Result<Flushed> {
        Ok(self.exchange(now, inputs).unwrap_or_else(|error| {
            self.lose(&error, inputs);
            Flushed { due: self.due, ..Flushed::default() }
        }))
    }

    fn used_elsewhere(&mut self, is_elsewhere: bool) {
        self.is_elsewhere = is_elsewhere;
        if is_elsewhere {
            self.take_out(Duration::ZERO);
        } else {
            self.due = Instant::now().checked_add(AWAY);
        }
    }

    fn unplug(&mut self, _: bool) -> bool {
        self.take_out(AWAY);
        true
    }
}
