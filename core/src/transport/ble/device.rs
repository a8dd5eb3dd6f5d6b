//! The authenticator's end of Bluetooth.

use super::message::{Incoming, Misfit, Outgoing};
use super::{BleCommand, BleErrorCode, FRAGMENT_TIMEOUT, Fragment, KEEP_ALIVE_INTERVAL, MAX_MESSAGE, Revisions};
use crate::{
    Instant,
    transport::{KeepAlive, Protocol},
};

/// The configuration of a [`Device`].
#[derive(Clone, Copy, Debug)]
pub struct DeviceConfig {
    /// The supported revisions: the value of [`super::SERVICE_REVISION_BITFIELD`].
    pub revisions: Revisions,
    /// The longest MSG accepted, in bytes: maxMsgSize. The buffer's length is a second limit, and the only one of PING.
    pub max_message: usize,
}

impl Default for DeviceConfig {
    /// U2F, CTAP2, and the longest messages of CTAPHID.
    fn default() -> Self {
        Self {
            revisions: Revisions::U2F_1_1.with(Revisions::U2F_1_2).with(Revisions::FIDO2),
            max_message: crate::transport::hid::MAX_MESSAGE,
        }
    }
}

/// What the authenticator must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceEvent {
    /// Answer this request with [`Device::respond`].
    Request {
        /// U2F or CTAP2, as the client has selected.
        protocol: Protocol,
        /// Its length in bytes, never zero. It lies at the front of the buffer.
        len: usize,
    },
    /// Give up the pending request and answer it with status KEEPALIVE_CANCEL. Comes once per request.
    Cancel,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle,
    /// The next fragment must come by `due`. The protocol is that of the time of the first.
    Assembling {
        protocol: Protocol,
        message: Incoming,
        due: Instant,
    },
    Processing {
        protocol: Protocol,
        cancelled: bool,
        keep_alive: Option<(KeepAlive, Instant)>,
    },
    Responding(Outgoing),
}

/// The authenticator's end: takes the fragments that the client writes, and returns those to notify.
///
/// The buffer given to [`Device::receive`] and [`Device::transmit`] must be one and the same. From
/// [`DeviceEvent::Request`] to [`Device::respond`] it belongs to the caller; fragments that arrive in the meantime do
/// not change it.
///
/// ```
/// use keyfob_core::{Instant, transport::{Protocol, ble::{Device, DeviceConfig, DeviceEvent, Revisions}}};
///
/// let (mut device, mut buffer, now) = (Device::new(DeviceConfig::default()), [0; 1024], Instant::default());
/// assert!(device.select(Revisions::FIDO2)); // written to the service revision bitfield
/// let event = device.receive(now, &[0x83, 0x00, 0x01, 0x04], &mut buffer); // written to the control point
/// assert_eq!(event, Some(DeviceEvent::Request { protocol: Protocol::Ctap2, len: 1 }));
///
/// buffer[..3].copy_from_slice(&[0x00, 0xA1, 0x01]);
/// device.respond(3);
/// let mut value = [0; 20]; // ATT_MTU is 23
/// let len = device.transmit(now, &buffer, &mut value).unwrap();
/// assert_eq!(value[..len], [0x83, 0x00, 0x03, 0x00, 0xA1, 0x01]); // to notify on the status characteristic
/// ```
#[derive(Debug)]
pub struct Device {
    config: DeviceConfig,
    protocol: Option<Protocol>,
    phase: Phase,
    /// An error that waits to be sent.
    error: Option<BleErrorCode>,
}

impl Device {
    /// A device to which a client has just connected.
    pub const fn new(config: DeviceConfig) -> Self {
        Self { config, protocol: None, phase: Phase::Idle, error: None }
    }

    /// The connection is gone: forgets the revision and the transaction. The caller drops a pending request.
    pub const fn reset(&mut self) {
        *self = Self::new(self.config);
    }

    /// The client writes [`super::SERVICE_REVISION_BITFIELD`]. `false` if that is not one of the supported revisions;
    /// the write is then refused with an error of ATT. A message that has begun keeps its protocol.
    pub fn select(&mut self, revision: Revisions) -> bool {
        let protocol = revision.protocol().filter(|_| self.config.revisions.contains(revision));
        self.protocol = protocol.or(self.protocol);
        protocol.is_some()
    }

    /// The protocol of messages. Until the client selects a revision, which clients of U2F 1.0 do not know, it is U2F
    /// if that is supported.
    pub fn protocol(&self) -> Protocol {
        let has_u2f = self.config.revisions.newest_of(Protocol::Ctap1).is_some();
        self.protocol.unwrap_or(if has_u2f { Protocol::Ctap1 } else { Protocol::Ctap2 })
    }

    /// Takes one fragment. Before the next one, send what [`Device::transmit`] returns.
    pub fn receive(&mut self, now: Instant, fragment: &[u8], buffer: &mut [u8]) -> Option<DeviceEvent> {
        self.expire(now);
        match self.take(now, fragment, buffer) {
            Ok(event) => event,
            Err(code) => {
                self.error = Some(code);
                None
            }
        }
    }

    /// Answers the pending request with `buffer[..len]`. If that is longer than [`MAX_MESSAGE`], the client gets the
    /// error OTHER. Without a pending request nothing happens.
    pub fn respond(&mut self, len: usize) {
        let Phase::Processing { .. } = self.phase else { return };
        match u16::try_from(len) {
            Ok(len) => self.phase = Phase::Responding(Outgoing::new(BleCommand::MSG, len)),
            Err(_) => (self.phase, self.error) = (Phase::Idle, Some(BleErrorCode::OTHER)),
        }
    }

    /// Sets what the pending request waits for. From the first call on, keep-alives are sent: at once, whenever the
    /// status changes, and every [`KEEP_ALIVE_INTERVAL`].
    pub fn keep_alive(&mut self, status: KeepAlive) {
        if let Phase::Processing { keep_alive, .. } = &mut self.phase
            && keep_alive.is_none_or(|(old, _)| old != status)
        {
            *keep_alive = Some((status, Instant::default()));
        }
    }

    /// Writes the next fragment to notify to the front of `out`, whose length is the fragment length, and returns its
    /// length. `None` when there is nothing to send now.
    pub fn transmit(&mut self, now: Instant, buffer: &[u8], out: &mut [u8]) -> Option<usize> {
        self.expire(now);
        if let Some(code) = self.error.take() {
            return Outgoing::new(BleCommand::ERROR, 1).next(&[code.0], out);
        }
        match &mut self.phase {
            Phase::Responding(message) => {
                let len = message.next(buffer, out);
                if message.is_done() {
                    self.phase = Phase::Idle;
                }
                len
            }
            Phase::Processing { keep_alive: Some((status, due)), .. } if *due <= now => {
                *due = now.plus(KEEP_ALIVE_INTERVAL);
                Outgoing::new(BleCommand::KEEPALIVE, 1).next(&[u8::from(*status)], out)
            }
            _ => None,
        }
    }

    /// Whether no transaction is pending.
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// When to call [`Device::transmit`] if no fragment comes in. A time in the past when a fragment is ready now.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            _ if self.error.is_some() => Some(Instant::default()),
            Phase::Responding(_) => Some(Instant::default()),
            Phase::Assembling { due, .. } => Some(due),
            Phase::Processing { keep_alive, .. } => keep_alive.map(|(_, due)| due),
            Phase::Idle => None,
        }
    }

    fn take(&mut self, now: Instant, fragment: &[u8], buffer: &mut [u8]) -> Result<Option<DeviceEvent>, BleErrorCode> {
        let mut protocol = self.protocol();
        let message = match Fragment::parse(fragment).ok_or(BleErrorCode::INVALID_LEN)? {
            Fragment::Initialization { command, len, data } => self.begin(command, len, data, buffer),
            Fragment::Continuation { sequence, data } => {
                let Phase::Assembling { message, protocol: begun, .. } = &mut self.phase else {
                    // Of a message that was refused; one error is enough.
                    return Ok(None);
                };
                protocol = *begun;
                match message.resume(sequence, data, buffer) {
                    Ok(()) => Ok(Some(*message)),
                    Err(misfit) => {
                        self.phase = Phase::Idle;
                        Err(misfit.into())
                    }
                }
            }
        };
        let Some(message) = message? else { return Ok(self.cancel()) };
        if !message.is_complete() {
            self.phase = Phase::Assembling { protocol, message, due: now.plus(FRAGMENT_TIMEOUT) };
            return Ok(None);
        }
        if message.command == BleCommand::PING {
            self.phase = Phase::Responding(Outgoing::new(BleCommand::PING, message.len));
            return Ok(None);
        }
        self.phase = Phase::Processing { protocol, cancelled: false, keep_alive: None };
        Ok(Some(DeviceEvent::Request { protocol, len: message.len.into() }))
    }

    /// Checks the first fragment of a message. `None` is CANCEL.
    fn begin(
        &mut self,
        command: BleCommand,
        len: u16,
        data: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<Incoming>, BleErrorCode> {
        // 1. CANCEL, which has no answer
        if command == BleCommand::CANCEL {
            return Ok(None);
        }
        // 2. one transaction at a time
        match self.phase {
            Phase::Idle => {}
            Phase::Assembling { .. } => {
                self.phase = Phase::Idle;
                return Err(BleErrorCode::INVALID_SEQ);
            }
            Phase::Processing { .. } | Phase::Responding(_) => return Err(BleErrorCode::BUSY),
        }
        // 3. the command and its length
        let longest = buffer.len().min(MAX_MESSAGE);
        let lengths = match command {
            BleCommand::PING => 0..=longest,
            BleCommand::MSG => 1..=longest.min(self.config.max_message),
            _ => return Err(BleErrorCode::INVALID_CMD),
        };
        if !lengths.contains(&len.into()) {
            return Err(BleErrorCode::INVALID_LEN);
        }
        Ok(Some(Incoming::start(command, len, data, buffer)?))
    }

    /// Of a request that has not arrived completely, CANCEL leaves nothing. U2F has no cancellation.
    fn cancel(&mut self) -> Option<DeviceEvent> {
        match &mut self.phase {
            Phase::Assembling { .. } => {
                self.phase = Phase::Idle;
                None
            }
            Phase::Processing { protocol: Protocol::Ctap2, cancelled: cancelled @ false, .. } => {
                *cancelled = true;
                Some(DeviceEvent::Cancel)
            }
            _ => None,
        }
    }

    fn expire(&mut self, now: Instant) {
        if let Phase::Assembling { due, .. } = self.phase
            && due <= now
        {
            (self.phase, self.error) = (Phase::Idle, Some(BleErrorCode::REQ_TIMEOUT));
        }
    }
}

impl From<Misfit> for BleErrorCode {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Sequence => Self::INVALID_SEQ,
            Misfit::Length => Self::INVALID_LEN,
        }
    }
}
