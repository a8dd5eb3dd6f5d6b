//! The events of udev, for programs that wait for a key to be plugged in: Chromium and Firefox do.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use keyfob_soft_authenticator::devices::hub::HubEvent;
use rustix::{
    io::Errno,
    net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType},
};

/// How many programs can wait to be accepted.
const BACKLOG: i32 = 128;
/// Where udev's header ends and the properties begin, in bytes.
const HEADER: u8 = 40;
/// udev's magic number, in the network's order of bytes.
const MAGIC: u32 = 0xFEED_CAFE;

/// The socket to which the library connects programs that ask for udev's events, and those programs.
pub struct Monitors {
    socket: OwnedFd,
    programs: Vec<OwnedFd>,
    /// The properties of the device that all its events have.
    properties: String,
    /// The number of the next event.
    number: u32,
}

impl Monitors {
    /// Makes the socket. `properties` are lines `NAME=value`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(path: &Path, properties: String) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        net::listen(&socket, BACKLOG)?;
        Ok(Self { socket, programs: Vec::new(), properties, number: 1 })
    }

    /// Tells all programs when the key was plugged in or unplugged. At any event, takes programs that have come.
    pub fn tell(&mut self, event: &HubEvent) {
        self.programs.retain(is_there);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Why one is not accepted, the next event finds out again.
        self.programs.extend(std::iter::from_fn(|| net::accept_with(&self.socket, flags).ok()));
        let action = match event {
            HubEvent::PluggedIn => "add",
            HubEvent::Unplugged => "remove",
            _ => return,
        };
        let message = self.message(action);
        // A program that does not read loses events, as with udev.
        self.programs.retain(|program| net::send(program, &message, SendFlags::NOSIGNAL) != Err(Errno::PIPE));
    }

    /// An event in udev's form: a header, and properties with a NUL behind each.
    fn message(&mut self, action: &str) -> Vec<u8> {
        let properties = format!("ACTION={action}\n{}SEQNUM={}\n", self.properties, self.number).replace('\n', "\0");
        self.number = self.number.wrapping_add(1);
        let length = u32::try_from(properties.len()).unwrap_or(u32::MAX);
        let sizes = [u32::from(HEADER), u32::from(HEADER), length].map(u32::to_ne_bytes);
        // The hashes by which the kernel filters are left out: it does not filter here.
        let hashes = [0; 16];
        [&b"libudev\0"[..], &MAGIC.to_be_bytes(), sizes.as_flattened(), &hashes, properties.as_bytes()].concat()
    }
}

/// Whether a program has its end still open. It sends nothing.
fn is_there(program: &OwnedFd) -> bool {
    net::recv(program.as_fd(), &mut [0_u8; 1], RecvFlags::PEEK).is_err_and(|error| error == Errno::WOULDBLOCK)
}
