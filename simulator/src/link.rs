//! Both ends of a transport, with one face for all transports: the client's machine, the authenticator, and what lies in
//! a frame. A frame is a report, an APDU or a fragment.

use keyfob_core::{
    Instant,
    ctap2::bio_enrollment::SampleStatus,
    transport::{KeepAlive, Protocol, ble, hid, nfc},
};
use keyfob_soft_authenticator::{
    ble::BleAuthenticator,
    engine::{ConfigError, Engine, Platform, Wait},
    hid::HidAuthenticator,
    nfc::{NfcAuthenticator, NfcConfig, Presence},
};

/// The longest frame, in bytes: a message of maxMsgSize in one APDU.
const MAX_FRAME: usize = 7609 + 9;

/// The transport of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Medium {
    /// CTAPHID.
    #[default]
    Hid,
    /// NFC, to a key with a button, in short length encoding.
    Nfc,
    /// NFC in extended length encoding.
    NfcExtended,
    /// Bluetooth, in fragments of this many bytes.
    Ble(usize),
}

/// What happened to the client's transaction. Every event but the keep-alive ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The channel is open, or the authenticator is selected.
    Opened,
    /// The authenticator works on the request.
    KeepAlive(KeepAlive),
    /// The response, with its length.
    Response(usize),
    /// The authenticator does not know the channel.
    Forgotten,
    /// Any other end.
    Failed(String),
}

/// The client's end.
pub enum Client {
    /// Of CTAPHID.
    Hid(hid::Host),
    /// Of NFC. After an authenticator has said that it still works, the next command waits until this time.
    Nfc(nfc::Host, u64),
    /// Of Bluetooth.
    Ble(ble::Host, usize),
}

impl Client {
    /// A client that has just found the authenticator.
    pub fn new(medium: Medium) -> Self {
        match medium {
            Medium::Hid => Self::Hid(hid::Host::new()),
            Medium::Nfc => Self::Nfc(nfc::Host::new(nfc::Lengths::Short), 0),
            Medium::NfcExtended => Self::Nfc(nfc::Host::new(nfc::Lengths::Extended), 0),
            Medium::Ble(fragment) => Self::Ble(ble::Host::new(), fragment),
        }
    }

    /// Whether a request can be sent.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Hid(host) => host.is_ready(),
            Self::Nfc(host, _) => host.is_ready(),
            Self::Ble(host, _) => host.is_ready(),
        }
    }

    /// Opens or resynchronises the channel, or selects the authenticator.
    pub fn open(&mut self, now: Instant, nonce: [u8; 8]) {
        match self {
            Self::Hid(host) => host.open(now, nonce),
            Self::Nfc(host, _) => host.select(),
            Self::Ble(host, _) => *host = ble::Host::new(),
        }
    }

    /// Starts a transaction. The client is ready.
    pub fn send(&mut self, now: Instant, protocol: Protocol, request: &[u8]) {
        let taken = match self {
            Self::Hid(host) => {
                let command = if protocol == Protocol::Ctap1 { hid::HidCommand::MSG } else { hid::HidCommand::CBOR };
                host.send(now, command, request.len()).is_ok()
            }
            Self::Nfc(host, _) => host.send(protocol, request).is_ok(),
            Self::Ble(host, _) => host.send(now, ble::BleCommand::MSG, request.len()).is_ok(),
        };
        assert!(taken, "a quiet channel takes every message up to the maximum");
    }

    /// Asks the authenticator to give up the request.
    pub fn cancel(&mut self) {
        match self {
            Self::Hid(host) => host.cancel(),
            Self::Nfc(host, _) => host.cancel(),
            Self::Ble(host, _) => host.cancel(),
        }
    }

    /// Whether a response is under way that cannot be left in the air: a reader has it before it takes another command.
    pub fn awaits_response(&self) -> bool {
        matches!(self, Self::Nfc(host, _) if host.awaits_response())
    }

    /// The next frame to send. The buffer holds the request.
    pub fn transmit(&mut self, now: Instant, buffer: &[u8]) -> Option<Vec<u8>> {
        let mut frame = vec![0; MAX_FRAME];
        let len = match self {
            Self::Hid(host) => return host.transmit(now, buffer).map(Vec::from),
            Self::Nfc(host, due) if host.pauses() && now.as_millis() < *due => return None,
            Self::Nfc(host, _) => host.transmit(buffer, &mut frame)?,
            Self::Ble(host, fragment) => host.transmit(now, buffer, &mut frame[..*fragment])?,
        };
        frame.truncate(len);
        Some(frame)
    }

    /// Takes one frame.
    pub fn receive(&mut self, now: Instant, frame: &[u8], buffer: &mut [u8]) -> Option<ClientEvent> {
        match self {
            Self::Hid(host) => host.receive(now, report(frame), buffer).map(ClientEvent::from),
            Self::Nfc(host, due) => {
                let event = host.receive(frame, buffer);
                if let Some(nfc::HostEvent::KeepAlive(_)) = event {
                    *due = now.plus(nfc::POLL_PAUSE).as_millis();
                }
                event.map(ClientEvent::from)
            }
            Self::Ble(host, _) => host.receive(now, frame, buffer).map(ClientEvent::from),
        }
    }

    /// Ends the transaction if its time is up.
    pub fn expire(&mut self, now: Instant) -> Option<ClientEvent> {
        match self {
            Self::Hid(host) => host.expire(now).map(ClientEvent::from),
            Self::Nfc(..) => None, // a reader tells when the card is gone
            Self::Ble(host, _) => host.expire(now).map(ClientEvent::from),
        }
    }

    /// When there is something to do if no frame comes.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Hid(host) => host.deadline(),
            Self::Nfc(host, due) if host.pauses() => Some(Instant::from_millis(*due)),
            // A reader waits for as long as the card takes.
            Self::Nfc(host, _) => host.awaits_response().then_some(Instant::from_millis(u64::MAX)),
            Self::Ble(host, _) => host.deadline(),
        }
    }
}

impl From<hid::HostEvent> for ClientEvent {
    fn from(event: hid::HostEvent) -> Self {
        match event {
            hid::HostEvent::Opened(_) => Self::Opened,
            hid::HostEvent::KeepAlive(status) => Self::KeepAlive(status),
            hid::HostEvent::Response { len, .. } => Self::Response(len),
            hid::HostEvent::Error(hid::HidErrorCode::INVALID_CHANNEL) => Self::Forgotten,
            other => Self::Failed(format!("{other:?}")),
        }
    }
}

impl From<nfc::HostEvent> for ClientEvent {
    fn from(event: nfc::HostEvent) -> Self {
        match event {
            nfc::HostEvent::Selected(_) => Self::Opened,
            nfc::HostEvent::KeepAlive(status) => Self::KeepAlive(status),
            nfc::HostEvent::Response { len } => Self::Response(len),
            other => Self::Failed(format!("{other:?}")),
        }
    }
}

impl From<ble::HostEvent> for ClientEvent {
    fn from(event: ble::HostEvent) -> Self {
        match event {
            ble::HostEvent::KeepAlive(status) => Self::KeepAlive(status),
            ble::HostEvent::Response { len } => Self::Response(len),
            other => Self::Failed(format!("{other:?}")),
        }
    }
}

/// The authenticator, behind its transport.
#[allow(clippy::large_enum_variant)] // there is one in a world
pub enum Device<'w, P: Platform> {
    /// Behind CTAPHID.
    Hid(HidAuthenticator<'w, P>),
    /// Behind NFC.
    Nfc(NfcAuthenticator<'w, P>),
    /// Behind Bluetooth, with its fragment length.
    Ble(BleAuthenticator<'w, P>, usize),
}

macro_rules! each {
    ($device:expr, $key:ident => $call:expr) => {
        match $device {
            Device::Hid($key) => $call,
            Device::Nfc($key) => $call,
            Device::Ble($key, _) => $call,
        }
    };
}

impl<'w, P: Platform> Device<'w, P> {
    /// An authenticator that was just plugged in. `config` is that of CTAPHID.
    pub fn new(medium: Medium, engine: Engine<'w, P>, config: hid::DeviceConfig, now: Instant) -> Self {
        let max_message = config.max_message;
        match medium {
            Medium::Hid => Self::Hid(HidAuthenticator::new(engine, config)),
            Medium::Nfc | Medium::NfcExtended => {
                let device = nfc::DeviceConfig { max_message, ..nfc::DeviceConfig::default() };
                // The user of a world consents when asked.
                Self::Nfc(NfcAuthenticator::new(engine, NfcConfig { device, presence: Presence::Button }, now))
            }
            Medium::Ble(fragment) => {
                let device = ble::DeviceConfig { max_message, ..ble::DeviceConfig::default() };
                Self::Ble(BleAuthenticator::new(engine, device), fragment)
            }
        }
    }

    /// The client selects the protocol of its next request, where it has to.
    pub fn select(&mut self, protocol: Protocol) {
        if let Self::Ble(key, _) = self {
            let revision = key.revisions().newest_of(protocol);
            revision.map(|revision| key.select(revision));
        }
    }

    /// Takes one frame.
    pub fn receive(&mut self, now: Instant, frame: &[u8]) {
        match self {
            Self::Hid(key) => _ = key.receive(now, report(frame)),
            Self::Nfc(key) => key.receive(now, frame),
            Self::Ble(key, _) => key.receive(now, frame),
        }
    }

    /// The next frame to send.
    pub fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let mut frame = vec![0; MAX_FRAME];
        let len = match self {
            Self::Hid(key) => return key.transmit(now).map(Vec::from),
            Self::Nfc(key) => key.transmit(now)?.encode(&mut frame)?,
            Self::Ble(key, fragment) => key.transmit(now, &mut frame[..*fragment])?,
        };
        frame.truncate(len);
        Some(frame)
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine<'w, P> {
        each!(self, key => key.engine())
    }

    /// What the pending command waits for.
    pub fn waits_for(&self) -> Option<Wait> {
        each!(self, key => key.waits_for())
    }

    /// Whether a touch now counts for the next request of U2F.
    pub fn u2f_awaits_touch(&self, now: Instant) -> bool {
        each!(self, key => key.u2f_awaits_touch(now))
    }

    /// The user touches, or declines.
    pub fn touch(&mut self, now: Instant, consent: bool) {
        each!(self, key => key.touch(now, consent));
    }

    /// The result of a verification attempt.
    pub fn verify(&mut self, now: Instant, matched: bool) {
        each!(self, key => key.verify(now, matched));
    }

    /// The sensor has taken a sample.
    pub fn sample(&mut self, now: Instant, status: SampleStatus, remaining: u8) {
        each!(self, key => key.sample(now, status, remaining));
    }

    /// Continues a pending command, or tidies up.
    pub fn tick(&mut self, now: Instant) {
        each!(self, key => key.tick(now));
    }

    /// When there is something to do if no frame comes.
    pub fn deadline(&self) -> Option<Instant> {
        each!(self, key => key.deadline())
    }

    /// Takes the power away and gives it back.
    ///
    /// # Errors
    /// The store failed.
    pub fn power_cycle(&mut self, now: Instant) -> Result<(), ConfigError> {
        each!(self, key => key.power_cycle(now))
    }
}

/// A frame of CTAPHID as a report.
pub fn report(frame: &[u8]) -> &[u8; hid::REPORT_LEN] {
    frame.try_into().expect("a frame of CTAPHID is a report")
}

impl Medium {
    /// The bytes of a message that a frame carries, up or down.
    pub fn body(self, frame: &[u8], up: bool) -> &[u8] {
        let head = match (self, frame) {
            (Self::Hid, [_, _, _, _, 0x80..=0xFF, ..]) => 7,
            (Self::Hid, _) => 5,
            (Self::Nfc | Self::NfcExtended, _) if !up => return &frame[..frame.len().saturating_sub(2)],
            (Self::Nfc | Self::NfcExtended, [_, _, _, _, 0, _, _, ..]) => 7,
            (Self::Nfc | Self::NfcExtended, _) => 5,
            (Self::Ble(_), [0x80..=0xFF, ..]) => 3,
            (Self::Ble(_), _) => 1,
        };
        let body = frame.get(head..).unwrap_or_default();
        match (self, frame) {
            // Without Le. A chained command has none.
            (Self::Nfc, [0x00 | 0x80, ..]) => &body[..body.len().saturating_sub(1)],
            (Self::NfcExtended, [0x00 | 0x80, ..]) => &body[..body.len().saturating_sub(2)],
            _ => body,
        }
    }

    /// A frame for the log.
    pub fn describe(self, frame: &[u8]) -> String {
        use hid::Packet;
        let hex = |data: &[u8]| data.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>();
        if self != Self::Hid {
            return format!("{} bytes {}", frame.len(), hex(frame));
        }
        match Packet::parse(report(frame)) {
            Packet::Initialization { channel, command, len, data } => {
                format!("{channel:08x} {command:?} {len} bytes {}", hex(data))
            }
            Packet::Continuation { channel, sequence, data } => format!("{channel:08x} #{sequence} {}", hex(data)),
        }
    }
}
