//! A device of this machine, by `/dev/uhid` of Linux.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::fd::AsRawFd,
    time::Instant,
};

use keyfob_core::{bytes, transport::hid::REPORT_LEN};
use mio::{event::Source, unix::SourceFd};

use super::{
    Peer,
    link::{Flushed, Input, Link, Report, read_some},
    paced::Paced,
};
use crate::devices::uhid::{self, Event};

/// How many events are read before the other doors have their turn.
const READS: usize = 256;

/// The device. All clients that have it open are one opener: the kernel gives each the reports.
pub struct Uhid {
    device: File,
    is_open: bool,
    reports: Paced,
    /// Events that are written before any report.
    first: VecDeque<Vec<u8>>,
}

impl Uhid {
    /// Makes the device.
    pub fn new(mut device: File) -> io::Result<Self> {
        device.write_all(&uhid::create())?;
        Ok(Self { device, is_open: false, reports: Paced::default(), first: VecDeque::new() })
    }

    fn take(&mut self, event: Event<'_>, inputs: &mut Vec<Input>) {
        match event {
            Event::Open if !self.is_open => {
                self.is_open = true;
                inputs.push(Input::Opened(Peer::Uhid));
            }
            Event::Close if self.is_open => {
                self.is_open = false;
                self.reports.clear();
                inputs.push(Input::Closed(Peer::Uhid));
            }
            // Report id 0 comes first, as it was written to the hidraw device.
            Event::Output([0, report @ ..]) if self.is_open && report.len() == REPORT_LEN => {
                inputs.push(Input::Report(Peer::Uhid, bytes::array(report)));
            }
            Event::GetReport { id } => self.first.push_back(uhid::refuse_get_report(id).into()),
            Event::SetReport { id } => self.first.push_back(uhid::refuse_set_report(id).into()),
            _ => {}
        }
    }
}

impl Link for Uhid {
    fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()> {
        register(&mut SourceFd(&self.device.as_raw_fd()))
    }

    fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool> {
        let mut buffer = [0; uhid::EVENT_LEN];
        read_some(READS, || match self.device.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            len => {
                let event = Event::parse(bytes::front(&buffer, len)).map_err(io::Error::other)?;
                self.take(event, inputs);
                Ok(())
            }
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

    fn unplug(&mut self) -> bool {
        self.is_open = false;
        self.reports.clear();
        self.first = [uhid::destroy().into(), uhid::create()].into();
        true
    }
}
