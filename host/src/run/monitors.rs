//! The events of udev, for programs that wait for a key to be plugged in: Chromium and Firefox do.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

use keyfob_soft_authenticator::devices::hub::HubEvent;

/// Where udev's header ends and the properties begin, in bytes.
const HEADER: u32 = 40;
/// udev's magic number, in the network's order of bytes.
const MAGIC: u32 = 0xFEED_CAFE;

/// Sends events to all programs that have asked for udev's: the library gives each a socket in a folder.
pub struct Monitors {
    socket: UnixDatagram,
    programs: PathBuf,
    /// The number of the next event.
    number: u32,
}

impl Monitors {
    /// Makes the sending socket, and the folder for the others.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(path: &Path, programs: PathBuf) -> io::Result<Self> {
        fs::create_dir(&programs)?;
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, programs, number: 1 })
    }

    /// Tells all programs when a key was plugged in or unplugged. Its properties are lines `NAME=value`.
    pub fn tell(&mut self, event: &HubEvent, properties: &str) {
        let action = match event {
            HubEvent::PluggedIn => "add",
            HubEvent::Unplugged => "remove",
            _ => return,
        };
        let message = self.message(action, properties);
        let entries = fs::read_dir(&self.programs).into_iter().flatten().flatten();
        for program in entries.map(|entry| entry.path()) {
            // A program that does not read loses events, as with udev.
            if self.socket.send_to(&message, &program).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
            {
                // It has closed its socket. If this fails, the next event tries again.
                let _ = fs::remove_file(program);
            }
        }
    }

    /// An event in udev's form: a header, and properties with a NUL behind each.
    fn message(&mut self, action: &str, properties: &str) -> Vec<u8> {
        let properties = format!("ACTION={action}\n{properties}SEQNUM={}\n", self.number).replace('\n', "\0");
        self.number = self.number.wrapping_add(1);
        let length = u32::try_from(properties.len()).unwrap_or(u32::MAX);
        let sizes = [HEADER, HEADER, length].map(u32::to_ne_bytes);
        // The hashes by which the kernel filters are left out: it does not filter here.
        let hashes = [0; 16];
        [&b"libudev\0"[..], &MAGIC.to_be_bytes(), sizes.as_flattened(), &hashes, properties.as_bytes()].concat()
    }
}
