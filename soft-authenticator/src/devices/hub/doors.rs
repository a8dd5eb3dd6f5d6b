//! The doors that a hub can have.

use std::{
    io,
    net::{TcpListener, UdpSocket},
};

#[cfg(target_os = "linux")]
use super::uhid;
#[cfg(unix)]
use super::unix;
use super::{Hub, listener::Listener, udp};

impl Hub<'_, '_> {
    /// Accepts TCP connections.
    ///
    /// # Errors
    /// The socket cannot be polled.
    pub fn listen_tcp(&mut self, listener: TcpListener) -> io::Result<()> {
        self.add_door(Listener::tcp(listener)?)
    }

    /// Makes a Unix socket that only its owner can use, and accepts connections. A socket at that path on which nothing
    /// listens is replaced. The socket is removed when the hub is dropped.
    ///
    /// # Errors
    /// [`AddrInUse`](io::ErrorKind::AddrInUse): something listens there.
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists): the file is not a socket. Those of the operating system.
    #[cfg(unix)]
    pub fn listen_unix(&mut self, path: &std::path::Path) -> io::Result<()> {
        self.add_door(Listener::Unix(unix::UnixListener::bind(path, socket2::Type::STREAM)?))
    }

    /// The same as [`Hub::listen_unix`] with a socket of type SOCK_SEQPACKET, on which each packet is one report. A
    /// packet to the key has 64 bytes, or 65 that begin with report id 0; others are ignored. A packet from the key has
    /// 64 bytes.
    ///
    /// # Errors
    /// Those of [`Hub::listen_unix`]. Some systems, among them macOS, have no such sockets.
    #[cfg(unix)]
    pub fn listen_packets(&mut self, path: &std::path::Path) -> io::Result<()> {
        self.add_door(Listener::Unix(unix::UnixListener::bind(path, socket2::Type::SEQPACKET)?))
    }

    /// Takes UDP datagrams of one report each. Every sender that begins with INIT on the broadcast channel has the key
    /// open until it was silent for ten minutes.
    ///
    /// # Errors
    /// The socket cannot be polled.
    pub fn listen_udp(&mut self, socket: UdpSocket) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        self.add_link(Box::new(udp::Udp::new(mio::net::UdpSocket::from_std(socket))), false).map(|_| ())
    }

    /// Accepts connections of USB/IP: another machine, or this one, attaches the key as a USB device. Reports leave one
    /// per millisecond.
    ///
    /// # Errors
    /// The socket cannot be polled.
    pub fn listen_usbip(&mut self, listener: TcpListener) -> io::Result<()> {
        self.add_door(Listener::usbip(listener)?)
    }

    /// Gives this machine the key as a HID device, and keeps it plugged in. Reports leave one per millisecond.
    ///
    /// The kernel keeps 32 reports of its clients and drops the rest. So a thread with the name
    /// [`uhid::READER`](super::super::uhid::READER) reads them. A message of more than 1,827 bytes comes through only where that
    /// thread runs while the client writes: where another processor is free, or where the program gives the thread a
    /// real-time priority, for which it needs the rights of root.
    ///
    /// `device` is `/dev/uhid`, opened without blocking: [`uhid::open`](super::super::uhid::open).
    ///
    /// # Errors
    /// The kernel refuses the device.
    #[cfg(target_os = "linux")]
    pub fn attach_uhid(&mut self, device: std::fs::File) -> io::Result<()> {
        self.keep_plugged_in();
        self.add_link(Box::new(uhid::Uhid::new(device)?), false).map(|_| ())
    }
}
