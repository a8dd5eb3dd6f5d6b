//! The half of a [`Device`] that answers while the authenticator computes.

use heapless::Deque;

use super::{BROADCAST, Device, DeviceEvent, HidCommand, Packet, REPORT_LEN};
use crate::Instant;

type Report = [u8; REPORT_LEN];

/// How many reports can wait for the other half: those of a message of 1,400 bytes.
const INCOMING: usize = 24;
/// How many reports of an answer can wait to be sent.
const OUTGOING: usize = 2;

/// A [`Device`] that two priorities share: an interrupt moves reports and answers at once whatever needs no buffer, and
/// a thread, which owns the buffer, does the rest.
///
/// A scalar multiplication takes a microcontroller 100 ms and more. In that time a client expects keep-alives
/// (CTAP 2.3 §11.2.9.1.6), other clients expect CHANNEL_BUSY or a channel, and CANCEL must be noticed.
///
/// ```text
/// interrupt     receive ─▶ │ incoming, event │ ─▶ event, deliver        thread: the buffer, the engine
///               transmit ◀─│ outgoing        │◀─ fill
/// ```
///
/// Both reach the front through a lock, which they hold for the time of one report: a critical section, or a mutex of
/// the executor. The authenticator needs no lock.
#[derive(Debug)]
pub struct Front {
    device: Device,
    /// Reports that need the buffer, and those that came after them.
    incoming: Deque<Report, INCOMING>,
    /// Parts of an answer, which lies in the buffer.
    outgoing: Deque<Report, OUTGOING>,
    /// What the thread has to know of the pending request.
    event: Option<DeviceEvent>,
}

impl Front {
    /// A device in two halves.
    pub const fn new(device: Device) -> Self {
        Self { device, incoming: Deque::new(), outgoing: Deque::new(), event: None }
    }

    /// For the interrupt: takes a report. `false` when too many wait: the report was not taken. Leave it in the
    /// endpoint, so that the host waits, and come again.
    #[must_use]
    pub fn receive(&mut self, now: Instant, report: &Report) -> bool {
        // INIT on the broadcast channel disturbs no transaction. Anything else waits for what came before it, and, after
        // an abort, for the thread, which may still compute with the buffer for the request that was given up.
        let aborted = self.event == Some(DeviceEvent::Aborted);
        let at_once = self.incoming.is_empty() && self.device.is_processing() && !aborted;
        if at_once || is_broadcast_init(report) {
            self.event = self.device.receive(now, report, &mut []).or(self.event);
            return true;
        }
        self.incoming.push_back(*report).is_ok()
    }

    /// For the interrupt: the next report to send, if there is one now.
    pub fn transmit(&mut self, now: Instant) -> Option<Report> {
        self.outgoing.pop_front().or_else(|| self.device.transmit_without_buffer(now))
    }

    /// For the interrupt: when to call [`Front::transmit`] if no report comes in. A time in the past when a report is
    /// ready now.
    pub fn deadline(&self) -> Option<Instant> {
        if self.outgoing.is_empty() { self.device.deadline_without_buffer() } else { Some(Instant::default()) }
    }

    /// For the interrupt: whether the thread has something to do, and is to be woken.
    pub fn wakes(&self) -> bool {
        self.event.is_some() || !self.incoming.is_empty() || (self.device.is_responding() && !self.outgoing.is_full())
    }

    /// For the thread: [`DeviceEvent::Cancel`] or [`DeviceEvent::Aborted`], which the interrupt has received. The
    /// thread does not use the buffer for the aborted request any more.
    pub fn event(&mut self) -> Option<DeviceEvent> {
        self.event.take()
    }

    /// For the thread: lets `receive`, which is [`Device::receive`] with the buffer, have the next report that needs
    /// the buffer. `None` without one, or while there is an event, which is about an earlier request.
    pub fn deliver<R>(&mut self, receive: impl FnOnce(&mut Device, &Report) -> R) -> Option<R> {
        if self.event.is_some() {
            return None;
        }
        let report = self.incoming.pop_front()?;
        Some(receive(&mut self.device, &report))
    }

    /// For the thread: queues reports of `transmit`, which is [`Device::transmit`] with the buffer, as long as there
    /// is room for them.
    pub fn fill(&mut self, mut transmit: impl FnMut(&mut Device) -> Option<Report>) {
        while !self.outgoing.is_full()
            && let Some(report) = transmit(&mut self.device)
        {
            let _ = self.outgoing.push_back(report);
        }
    }

    /// For the thread: whether an answer is pending, or parts of it wait to be sent.
    pub fn is_busy(&self) -> bool {
        self.device.channel().is_some() || !self.outgoing.is_empty()
    }

    /// For the thread: the device.
    pub const fn device(&mut self) -> &mut Device {
        &mut self.device
    }
}

fn is_broadcast_init(report: &Report) -> bool {
    matches!(Packet::parse(report), Packet::Initialization { channel: BROADCAST, command: HidCommand::INIT, .. })
}
