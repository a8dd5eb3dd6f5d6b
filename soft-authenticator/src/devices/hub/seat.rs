//! What a hub polls: doors, and the connections that came through them.

use std::{io, mem, time::Instant};

use mio::{Interest, Poll, Token};

use super::{
    link::{Flushed, Input, Link},
    listener::Listener,
};

/// What listens for connections.
pub struct Door {
    pub token: Token,
    pub listener: Listener,
    pub is_ready: bool,
    /// When to try again, after accepting has failed.
    pub retry: Option<Instant>,
}

/// A link, and what the hub knows of it.
pub struct Seat {
    pub token: Token,
    pub link: Box<dyn Link>,
    /// Whether there may be something to read.
    pub is_ready: bool,
    /// Whether the other end has closed: nothing new comes.
    pub is_ended: bool,
    /// Whether the link takes nothing more now.
    pub is_blocked: bool,
    /// When to flush it, whatever happens.
    pub due: Option<Instant>,
    /// Whether it is a connection. The others stay.
    pub is_connection: bool,
    /// Whether a client has opened the key over it.
    pub is_open: bool,
}

impl Seat {
    pub fn can_be_read(&self) -> bool {
        self.is_ready && (!self.is_blocked || self.link.reads_while_blocked())
    }

    /// Writes what is queued, and asks to be told when a client takes more.
    pub fn flush(&mut self, now: Instant, poll: &Poll, inputs: &mut Vec<Input>) -> io::Result<()> {
        let Flushed { is_blocked, is_new, due } = self.link.flush(now, inputs)?;
        self.due = due;
        if is_new {
            let token = self.token;
            self.is_blocked = false;
            self.link.with_source(&mut |source| poll.registry().register(source, token, Interest::READABLE))?;
        }
        if mem::replace(&mut self.is_blocked, is_blocked) != is_blocked {
            let interest = if is_blocked { Interest::READABLE.add(Interest::WRITABLE) } else { Interest::READABLE };
            let token = self.token;
            self.link.with_source(&mut |source| poll.registry().reregister(source, token, interest))?;
        }
        Ok(())
    }
}
