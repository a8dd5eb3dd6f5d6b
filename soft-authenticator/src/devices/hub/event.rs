//! What a hub tells its watcher.

use std::{fmt, net::SocketAddr};

use keyfob_core::{
    Status, ctap2,
    transport::{
        KeepAlive,
        hid::{HidCommand, HidErrorCode, Packet, REPORT_LEN},
    },
};

/// One opener of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// The other end of a TCP connection.
    Tcp(SocketAddr),
    /// The other end of a connection to a Unix socket. These are numbered.
    Unix(u32),
    /// The sender of UDP datagrams.
    Udp(SocketAddr),
    /// All programs of this machine that have the device of uhid open.
    Uhid,
    /// A machine that has attached the key over USB/IP.
    Usbip(SocketAddr),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Udp(address) | Self::Usbip(address) => address.fmt(f),
            Self::Uhid => f.write_str("uhid"),
            Self::Unix(number) => write!(f, "client {number}"),
        }
    }
}

/// What happened at a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubEvent {
    /// The key was plugged in: it has powered up.
    PluggedIn,
    /// The key was unplugged.
    Unplugged,
    /// A client has opened the key.
    Opened(Peer),
    /// A client has closed the key, or was closed because the key was unplugged.
    Closed(Peer),
    /// A client was closed because it took none of the key's reports for five seconds.
    Stuck(Peer),
    /// A connection was closed, or a datagram was ignored, because it did not begin with INIT on the broadcast channel.
    Stranger(Peer),
    /// A connection was closed because as many clients as possible have the key open.
    Full(Peer),
    /// A client sent the first report of a message.
    Command {
        /// The client.
        peer: Peer,
        /// The channel that it used.
        channel: u32,
        /// The command of CTAPHID.
        command: HidCommand,
        /// The command of CTAP2, in a CBOR message that is not empty.
        ctap2: Option<ctap2::Command>,
    },
    /// A request waits for a touch or for user verification.
    TouchAsked {
        /// The channel of the request.
        channel: u32,
    },
    /// The key sent the first report of an answer.
    Answered {
        /// The channel of the request.
        channel: u32,
        /// The command of CTAPHID.
        command: HidCommand,
        /// The status of a CBOR message.
        status: Option<Status>,
    },
    /// The key refused a message.
    Refused {
        /// The channel of the message.
        channel: u32,
        /// Why.
        code: HidErrorCode,
    },
    /// A report went to the key.
    ToKey(Peer, [u8; REPORT_LEN]),
    /// The key sent a report, to every opener.
    FromKey([u8; REPORT_LEN]),
}

/// Reads the messages in the reports.
#[derive(Default)]
pub(super) struct Observer {
    /// The channel whose request waits for a touch.
    touch: Option<u32>,
}

impl Observer {
    /// A report goes to the key.
    pub fn request(&mut self, peer: Peer, report: &[u8; REPORT_LEN]) -> Option<HubEvent> {
        let Packet::Initialization { channel, command, len, data } = Packet::parse(report) else { return None };
        let ctap2 = (command == HidCommand::CBOR && len > 0).then(|| data.first().copied().map(ctap2::Command));
        Some(HubEvent::Command { peer, channel, command, ctap2: ctap2.flatten() })
    }

    /// A report comes from the key.
    pub fn answer(&mut self, report: &[u8; REPORT_LEN]) -> Option<HubEvent> {
        let Packet::Initialization { channel, command, data, .. } = Packet::parse(report) else { return None };
        let first = data.first().copied().unwrap_or_default();
        if command == HidCommand::KEEPALIVE {
            let waits = first == u8::from(KeepAlive::UpNeeded);
            let is_new = waits && self.touch != Some(channel);
            self.touch = waits.then_some(channel);
            return is_new.then_some(HubEvent::TouchAsked { channel });
        }
        if command == HidCommand::ERROR {
            return Some(HubEvent::Refused { channel, code: HidErrorCode(first) });
        }
        self.touch = self.touch.filter(|waiting| *waiting != channel);
        let status = (command == HidCommand::CBOR).then_some(Status(first));
        Some(HubEvent::Answered { channel, command, status })
    }
}
