//! A USB device that another machine attaches, or this one.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::Instant,
};

use keyfob_core::{bytes, transport::hid::REPORT_LEN};
use mio::{event::Source, net::TcpStream};

use super::{
    Peer,
    link::{Flushed, Input, Link, Outbox, Report, SHORT_READ_IS_LAST, read_some},
    paced::Paced,
};
use crate::devices::{
    usb::{self, ENDPOINT},
    usbip::{self, Message, Submit},
};

/// How many bytes are read at once.
const READ: usize = 1024;
/// How often a client is read from before the others have their turn.
const READS: usize = 16;
/// How many transfers may wait for a report. Linux has one or two of them.
const TRANSFERS: usize = 64;

/// A connection, which has the key open once the device is attached.
pub struct Usbip {
    stream: TcpStream,
    peer: Peer,
    is_attached: bool,
    inbox: Vec<u8>,
    outbox: Outbox,
    reports: Paced,
    /// The transfers that wait for a report: their numbers, and how many bytes they take.
    waiting: VecDeque<(u32, u32)>,
}

impl Usbip {
    pub fn new(stream: TcpStream, address: SocketAddr) -> Self {
        Self {
            stream,
            peer: Peer::Usbip(address),
            is_attached: false,
            inbox: Vec::new(),
            outbox: Outbox::default(),
            reports: Paced::default(),
            waiting: VecDeque::new(),
        }
    }

    /// Takes the messages out of the inbox.
    fn take(&mut self, inputs: &mut Vec<Input>) -> io::Result<()> {
        let inbox = std::mem::take(&mut self.inbox);
        let mut rest = inbox.as_slice();
        loop {
            match Message::parse(rest, self.is_attached) {
                Ok(Some((message, len))) => {
                    rest = bytes::rest(rest, len);
                    self.act(message, inputs)?;
                }
                Ok(None) => {
                    self.inbox = rest.to_vec();
                    return Ok(());
                }
                Err(error) => {
                    if !self.is_attached {
                        inputs.push(Input::Stranger(self.peer));
                    }
                    return Err(io::Error::new(ErrorKind::InvalidData, error));
                }
            }
        }
    }

    fn act(&mut self, message: Message<'_>, inputs: &mut Vec<Input>) -> io::Result<()> {
        let out = self.outbox.bytes();
        match message {
            Message::List => usbip::write_list(out),
            Message::Import(bus_id) => {
                self.is_attached = bus_id == usbip::bus_id();
                usbip::write_import(out, self.is_attached);
                if self.is_attached {
                    inputs.push(Input::Opened(self.peer));
                }
            }
            Message::Unlink { sequence, transfer } => {
                let waits = self.waiting.iter().position(|(waiting, _)| *waiting == transfer);
                let was_waiting = waits.and_then(|index| self.waiting.remove(index)).is_some();
                usbip::write_unlinked(out, sequence, if was_waiting { usbip::UNLINKED } else { usbip::OK });
            }
            Message::Submit(submit) => self.transfer(submit, inputs)?,
        }
        Ok(())
    }

    fn transfer(&mut self, submit: Submit<'_>, inputs: &mut Vec<Input>) -> io::Result<()> {
        let Submit { sequence, is_in, endpoint, len, setup, data } = submit;
        let out = self.outbox.bytes();
        if endpoint == 0 {
            match usb::control(setup) {
                Some(_) if !is_in => usbip::write_returned(out, sequence, usbip::OK, len, &[]),
                Some(answer) => {
                    let answer = bytes::front(&answer, answer.len().min(usize::try_from(len).unwrap_or(usize::MAX)));
                    let len = u32::try_from(answer.len()).unwrap_or(u32::MAX);
                    usbip::write_returned(out, sequence, usbip::OK, len, answer);
                }
                None => usbip::write_returned(out, sequence, usbip::STALLED, 0, &[]),
            }
        } else if endpoint != ENDPOINT.into() {
            usbip::write_returned(out, sequence, usbip::STALLED, 0, &[]);
        } else if is_in {
            if self.waiting.len() >= TRANSFERS {
                return Err(io::Error::new(ErrorKind::InvalidData, "too many transfers wait for a report"));
            }
            self.waiting.push_back((sequence, len));
        } else {
            if data.len() == REPORT_LEN {
                inputs.push(Input::Report(self.peer, bytes::array(data)));
            }
            usbip::write_returned(out, sequence, usbip::OK, len, &[]);
        }
        Ok(())
    }
}

impl Link for Usbip {
    fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()> {
        register(&mut self.stream)
    }

    fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool> {
        let mut buffer = [0; READ];
        read_some(READS, || match self.stream.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.inbox.extend_from_slice(bytes::front(&buffer, count));
                self.take(inputs)?;
                Ok(count >= READ || !SHORT_READ_IS_LAST)
            }
        })
    }

    fn queue(&mut self, report: &Report) {
        if self.is_attached {
            self.reports.push(report);
        }
    }

    fn flush(&mut self, now: Instant, _: &mut Vec<Input>) -> io::Result<Flushed> {
        if !self.waiting.is_empty()
            && let Some(report) = self.reports.pop(now)
            && let Some((sequence, room)) = self.waiting.pop_front()
        {
            let len = room.min(REPORT_LEN as u32);
            let status = if len < REPORT_LEN as u32 { usbip::OVERFLOW } else { usbip::OK };
            usbip::write_returned(self.outbox.bytes(), sequence, status, len, bytes::front(&report, len as usize));
        }
        let stream = &mut self.stream;
        let flushed = self.outbox.flush(now, usize::MAX, |bytes| stream.write(bytes))?;
        let paced = if self.waiting.is_empty() { None } else { self.reports.due() };
        Ok(Flushed { due: flushed.due.into_iter().chain(paced).min(), ..flushed })
    }

    fn unplug(&mut self, _: bool) -> bool {
        !self.is_attached
    }
}
