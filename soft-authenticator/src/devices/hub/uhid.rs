//! A device of this machine, by `/dev/uhid` of Linux.
//!
//! The kernel keeps 32 reports of its clients and drops the rest. So a thread of its own reads them, and keeps them until
//! the hub has time.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Read, Write},
    mem,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Instant,
};

use keyfob_core::{bytes, transport::hid::REPORT_LEN};
use mio::{
    Events, Interest, Poll, Token,
    event::Source,
    unix::{SourceFd, pipe},
};

use super::{
    Peer,
    link::{Flushed, Input, Link, Report, read_some},
    paced::Paced,
};
use crate::devices::uhid::{self, Event};

/// How many events are acted on before the other doors have their turn.
const READS: usize = 256;
/// How many events wait for the hub: those of several messages. When there are more, the oldest reports are lost.
const WAITING: usize = 1024;
/// The tokens of the reader.
const DEVICE: Token = Token(0);
const WAKER: Token = Token(1);

/// The device. All clients that have it open are one opener: the kernel gives each the reports.
pub struct Uhid {
    device: File,
    events: Queue,
    /// Gets a byte after each event, and ends when nobody reads the device any more.
    woken: pipe::Receiver,
    /// Whether the events are those of this device, and not of one that was unplugged.
    has_started: bool,
    is_open: bool,
    /// Whether the kernel has the device, once `first` is written.
    is_there: bool,
    reports: Paced,
    /// Events that are written before any report.
    first: VecDeque<Vec<u8>>,
}

/// What the reader has read and the hub has not.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<VecDeque<io::Result<Heard>>>>);

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<io::Result<Heard>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event. A client that writes more than the key reads must not keep out what the next one writes.
    fn push(&self, event: io::Result<Heard>) {
        let mut events = self.lock();
        if events.len() >= WAITING
            && let Some(oldest) = events.iter().position(|event| matches!(event, Ok(Heard::Output(_))))
        {
            events.remove(oldest);
        }
        events.push_back(event);
    }
}

/// What the kernel tells, as far as the hub needs it.
enum Heard {
    Start,
    Open,
    Close,
    Output(Report),
    GetReport(u32),
    SetReport(u32),
}

impl Uhid {
    /// Makes the device.
    pub fn new(mut device: File) -> io::Result<Self> {
        let events = Queue::default();
        let (waker, woken) = pipe::new()?;
        let mut reader = Reader::new(device.try_clone()?, events.clone(), waker)?;
        device.write_all(&uhid::create())?;
        // It has its name only when it runs.
        let (runs, begins) = mpsc::channel();
        thread::Builder::new().name(uhid::READER.into()).spawn(move || {
            let _ = runs.send(());
            reader.run();
        })?;
        let _ = begins.recv();
        Ok(Self {
            device,
            events,
            woken,
            has_started: false,
            is_open: false,
            is_there: true,
            reports: Paced::default(),
            first: VecDeque::new(),
        })
    }

    fn take(&mut self, event: Heard, inputs: &mut Vec<Input>) {
        match event {
            Heard::Start => self.has_started = true,
            Heard::Open if self.has_started && !self.is_open => {
                self.is_open = true;
                inputs.push(Input::Opened(Peer::Uhid));
            }
            Heard::Close if self.is_open => {
                self.is_open = false;
                self.reports.clear();
                inputs.push(Input::Closed(Peer::Uhid));
            }
            Heard::Output(report) if self.is_open => inputs.push(Input::Report(Peer::Uhid, report)),
            Heard::GetReport(id) => self.first.push_back(uhid::refuse_get_report(id).into()),
            Heard::SetReport(id) => self.first.push_back(uhid::refuse_set_report(id).into()),
            _ => {}
        }
    }
}

impl Link for Uhid {
    fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()> {
        register(&mut self.woken)
    }

    fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool> {
        // The bytes before the events, so that none is missed.
        let mut woken = [0; WAITING];
        let has_ended = loop {
            match self.woken.read(&mut woken) {
                Ok(0) => break true,
                Err(error) if error.kind() != ErrorKind::Interrupted => break false,
                _ => {}
            }
        };
        read_some(READS, || {
            let event = self.events.lock().pop_front();
            match event {
                Some(event) => self.take(event?, inputs),
                None if has_ended => return Err(ErrorKind::UnexpectedEof.into()),
                None => return Err(ErrorKind::WouldBlock.into()),
            }
            Ok(true)
        })
    }

    fn queue(&mut self, report: &Report) {
        if self.is_open {
            self.reports.push(report);
        }
    }

    fn flush(&mut self, now: Instant, _: &mut Vec<Input>) -> io::Result<Flushed> {
        while let Some(event) = self.first.pop_front() {
            self.device.write_all(&event)?;
        }
        if let Some(report) = self.reports.pop(now) {
            self.device.write_all(&uhid::input(&report))?;
        }
        Ok(Flushed { due: self.reports.due(), ..Flushed::default() })
    }

    fn unplug(&mut self, stays_out: bool) -> bool {
        (self.has_started, self.is_open) = (false, false);
        self.reports.clear();
        let was_there = mem::replace(&mut self.is_there, !stays_out);
        let destroy = was_there.then(|| uhid::destroy().into());
        self.first = destroy.into_iter().chain((!stays_out).then(uhid::create)).collect();
        true
    }
}

impl Drop for Uhid {
    /// The device goes now, not when the reader ends. The kernel takes it away anyway if this fails.
    fn drop(&mut self) {
        let _ = self.device.write_all(&uhid::destroy());
    }
}

/// Reads the device until the hub no longer listens.
struct Reader {
    device: File,
    poll: Poll,
    events: Queue,
    waker: pipe::Sender,
}

impl Reader {
    fn new(device: File, events: Queue, mut waker: pipe::Sender) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&device.as_raw_fd()), DEVICE, Interest::READABLE)?;
        // For its end only, which comes when the hub drops the other one.
        poll.registry().register(&mut waker, WAKER, Interest::WRITABLE)?;
        Ok(Self { device, poll, events, waker })
    }

    fn run(&mut self) {
        if let Err(error) = self.read() {
            self.tell(Err(error));
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut ready = Events::with_capacity(2);
        loop {
            self.take_all()?;
            match self.poll.poll(&mut ready, None) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            if ready.iter().any(|event| event.token() == WAKER && (event.is_error() || event.is_write_closed())) {
                return Ok(());
            }
        }
    }

    /// Reads until nothing is left.
    fn take_all(&mut self) -> io::Result<()> {
        let mut buffer = [0; uhid::EVENT_LEN];
        loop {
            match self.device.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    let event = Event::parse(bytes::front(&buffer, len)).map_err(io::Error::other)?;
                    if let Some(heard) = Heard::from(event) {
                        self.tell(Ok(heard));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells the hub. If the pipe is full, it is woken anyway.
    fn tell(&mut self, event: io::Result<Heard>) {
        self.events.push(event);
        let _ = self.waker.write(&[0]);
    }
}

impl Heard {
    fn from(event: Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Start => Self::Start,
            Event::Open => Self::Open,
            Event::Close => Self::Close,
            // Report id 0 comes first, as it was written to the hidraw device.
            Event::Output([0, report @ ..]) if report.len() == REPORT_LEN => Self::Output(bytes::array(report)),
            Event::GetReport { id } => Self::GetReport(id),
            Event::SetReport { id } => Self::SetReport(id),
            _ => return None,
        })
    }
}
