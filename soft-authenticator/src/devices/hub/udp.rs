//! Reports as datagrams.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::{Duration, Instant},
};

use keyfob_core::{bytes, transport::hid::REPORT_LEN};
use mio::{event::Source, net::UdpSocket};

use super::{
    Peer,
    link::{Flushed, Input, Link, Report, may_be_init},
};

/// How many datagrams are read before the other doors have their turn.
const READS: usize = 256;
/// How many senders have the key open. One more takes the place of the one that was silent for longest.
const PEERS: usize = 32;
/// A sender that is silent for this long has left: a datagram socket has no closing. Long enough to type a PIN.
const SILENCE: Duration = Duration::from_secs(600);

/// A socket whose senders are openers.
pub struct Udp {
    socket: UdpSocket,
    peers: Vec<(SocketAddr, Instant)>,
}

impl Udp {
    pub const fn new(socket: UdpSocket) -> Self {
        Self { socket, peers: Vec::new() }
    }

    fn take(&mut self, from: SocketAddr, report: &Report, inputs: &mut Vec<Input>) {
        let (peer, now) = (Peer::Udp(from), Instant::now());
        if let Some((_, heard)) = self.peers.iter_mut().find(|(known, _)| *known == from) {
            *heard = now;
        } else if may_be_init(report) {
            if self.peers.len() >= PEERS {
                let oldest = self.peers.iter().enumerate().min_by_key(|(_, (_, heard))| *heard);
                if let Some(oldest) = oldest.map(|(index, _)| index) {
                    inputs.push(Input::Closed(Peer::Udp(self.peers.swap_remove(oldest).0)));
                }
            }
            self.peers.push((from, now));
            inputs.push(Input::Opened(peer));
        } else {
            inputs.push(Input::Stranger(peer));
            return;
        }
        inputs.push(Input::Report(peer, *report));
    }
}

impl Link for Udp {
    fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()> {
        register(&mut self.socket)
    }

    fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool> {
        // One byte more, so that a longer datagram is not taken for a report.
        let mut buffer = [0; REPORT_LEN + 1];
        for _ in 0..READS {
            match self.socket.recv_from(&mut buffer) {
                Ok((REPORT_LEN, from)) => self.take(from, &bytes::first(&buffer), inputs),
                Ok((_, from)) => inputs.push(Input::Stranger(Peer::Udp(from))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                // Some systems report here that nobody takes what was sent, others that a datagram was too long.
                Err(_) => {}
            }
        }
        Ok(true)
    }

    fn queue(&mut self, report: &Report) {
        for (peer, _) in &self.peers {
            // A datagram that does not go out is lost, as datagrams may be.
            let _ = self.socket.send_to(report, *peer);
        }
    }

    fn flush(&mut self, now: Instant, inputs: &mut Vec<Input>) -> io::Result<Flushed> {
        self.peers.retain(|(peer, heard)| {
            let stays = now.saturating_duration_since(*heard) < SILENCE;
            if !stays {
                inputs.push(Input::Closed(Peer::Udp(*peer)));
            }
            stays
        });
        let due = self.peers.iter().filter_map(|(_, heard)| heard.checked_add(SILENCE)).min();
        Ok(Flushed { due, ..Flushed::default() })
    }

    fn unplug(&mut self, _: bool) -> bool {
        self.peers.clear();
        true
    }
}
