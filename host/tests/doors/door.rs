//! The doors of a key: each connects, and gives something that sends and receives reports.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use keyfob_core::transport::hid::REPORT_LEN;
use keyfob_soft_authenticator::devices::usbip::{Message, Submit, bus_id};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockAddr, Socket, Type};

pub type Report = [u8; REPORT_LEN];

/// Where a key is.
#[derive(Clone, Debug)]
pub enum Door {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// A Unix socket on which each packet is a report.
    Packets(PathBuf),
    Udp(SocketAddr),
    Usbip(SocketAddr),
    /// The hidraw device that `keyfob run` shows.
    Hidraw(PathBuf),
    /// The kernel's hidraw device, which can have another name each time that it is plugged in.
    Uhid,
}

impl Door {
    pub fn connect(&self) -> Connection {
        self.try_connect().unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    pub fn try_connect(&self) -> io::Result<Connection> {
        let (file, framing): (OwnedFd, Framing) = match self {
            Self::Tcp(address) => (tcp(*address)?.into(), Framing::Plain),
            Self::Unix(path) => (UnixStream::connect(path)?.into(), Framing::Plain),
            Self::Packets(path) => {
                let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
                socket.connect(&SockAddr::unix(path)?)?;
                (socket.into(), Framing::Plain)
            }
            Self::Udp(address) => {
                let socket = UdpSocket::bind("127.0.0.1:0")?;
                socket.connect(address)?;
                (socket.into(), Framing::Plain)
            }
            Self::Usbip(address) => (attach(*address)?.into(), Framing::Usbip(Transfers::default())),
            Self::Hidraw(path) => (hidraw(path)?.into(), Framing::Hidraw),
            Self::Uhid => (hidraw(&kernels_device().ok_or(ErrorKind::NotFound)?)?.into(), Framing::Hidraw),
        };
        let mut connection = Connection { file: file.into(), framing, inbox: Vec::new() };
        connection.ask_for_a_report()?;
        Ok(connection)
    }

    /// Whether the key is unplugged when its last client leaves.
    pub const fn unplugs(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Unix(_) | Self::Usbip(_))
    }

    /// Whether what a client sends waits while the client does not read.
    pub const fn waits_for_readers(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Unix(_) | Self::Usbip(_))
    }
}

fn hidraw(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// The device of a key at uhid, if there is one now.
pub fn kernels_device() -> Option<PathBuf> {
    fs::read_dir("/sys/class/hidraw").into_iter().flatten().flatten().find_map(|device| {
        let facts = fs::read_to_string(device.path().join("device/uevent")).unwrap_or_default();
        let path = Path::new("/dev").join(device.file_name());
        (facts.contains("HID_NAME=keyfob virtual security key") && path.exists()).then_some(path)
    })
}

fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What `usbip attach` does.
fn attach(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = tcp(address)?;
    let mut import = Vec::new();
    Message::Import(bus_id()).write(&mut import);
    stream.write_all(&import)?;
    let mut answer = [0; 320];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer[..8], [1, 0x11, 0, 3, 0, 0, 0, 0], "attached");
    Ok(stream)
}

/// A client's end of a door.
pub struct Connection {
    file: File,
    framing: Framing,
    inbox: Vec<u8>,
}

enum Framing {
    /// A report is 64 bytes both ways.
    Plain,
    /// Report id 0 comes before what is written.
    Hidraw,
    Usbip(Transfers),
}

/// The transfers of a client of USB/IP.
#[derive(Default)]
struct Transfers {
    last: u32,
    /// The one that waits for a report.
    waiting: u32,
}

impl Connection {
    pub fn send(&mut self, report: &Report) -> io::Result<()> {
        let bytes = self.frame(report);
        self.file.write_all(&bytes)
    }

    /// Sends only the first `len` bytes of what carries the report.
    pub fn send_part(&mut self, report: &Report, len: usize) -> io::Result<()> {
        let bytes = self.frame(report);
        self.file.write_all(&bytes[..len])
    }

    /// The next report, or `None` if none comes within this time.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn receive(&mut self, wait: Duration) -> io::Result<Option<Report>> {
        let start = Instant::now();
        loop {
            if let Some(report) = self.take()? {
                return Ok(Some(report));
            }
            if !self.is_ready(PollFlags::IN, wait.saturating_sub(start.elapsed()))? {
                return Ok(None);
            }
            let mut bytes = [0; 4096];
            match self.file.read(&mut bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => self.inbox.extend_from_slice(&bytes[..count]),
            }
        }
    }

    /// Whether the key takes more within this time.
    pub fn can_send(&self, wait: Duration) -> bool {
        self.is_ready(PollFlags::OUT, wait).unwrap()
    }

    /// Whether the key closes the connection within this time, while nothing is read from it.
    pub fn is_closed(&self, wait: Duration) -> bool {
        self.is_ready(PollFlags::empty(), wait).unwrap()
    }

    fn is_ready(&self, event: PollFlags, wait: Duration) -> io::Result<bool> {
        let wait = Timespec::try_from(wait).unwrap();
        let ready = rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&self.file, event)], Some(&wait)))?;
        Ok(ready > 0)
    }

    fn frame(&mut self, report: &Report) -> Vec<u8> {
        match &mut self.framing {
            Framing::Plain => report.to_vec(),
            Framing::Hidraw => [&[0], &report[..]].concat(),
            Framing::Usbip(transfers) => transfers.submit(false, report),
        }
    }

    /// The next whole report that was read.
    fn take(&mut self) -> io::Result<Option<Report>> {
        if let Framing::Usbip(transfers) = &mut self.framing {
            let ended = transfers.end(&mut self.inbox);
            if ended.is_some() {
                self.ask_for_a_report()?;
            }
            return Ok(ended);
        }
        let Some(report) = self.inbox.first_chunk().copied() else { return Ok(None) };
        self.inbox.drain(..REPORT_LEN);
        Ok(Some(report))
    }

    /// Over USB/IP, the key sends no report that it was not asked for.
    fn ask_for_a_report(&mut self) -> io::Result<()> {
        let Framing::Usbip(transfers) = &mut self.framing else { return Ok(()) };
        let submit = transfers.submit(true, &[]);
        transfers.waiting = transfers.last;
        self.file.write_all(&submit)
    }
}

impl Transfers {
    fn submit(&mut self, is_in: bool, data: &[u8]) -> Vec<u8> {
        self.last += 1;
        let len = REPORT_LEN as u32;
        let submit = Submit { sequence: self.last, is_in, endpoint: 1, len, setup: [0; 8], data };
        let mut bytes = Vec::new();
        Message::Submit(submit).write(&mut bytes);
        bytes
    }

    /// Takes what has ended out of the inbox, up to the transfer that has brought a report.
    fn end(&mut self, inbox: &mut Vec<u8>) -> Option<Report> {
        const HEADER: usize = 48;
        while let Some(header) = inbox.first_chunk::<HEADER>() {
            let word = |index: usize| u32::from_be_bytes(header[4 * index..4 * index + 4].try_into().unwrap());
            assert_eq!((word(0), word(5), word(6)), (3, 0, 64), "a transfer of 64 bytes has ended well");
            if word(1) != self.waiting {
                inbox.drain(..HEADER);
                continue;
            }
            let report = inbox[HEADER..].first_chunk().copied()?;
            inbox.drain(..HEADER + REPORT_LEN);
            return Some(report);
        }
        None
    }
}
