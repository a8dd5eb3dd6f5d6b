//! Unix sockets: as files, and with one report in a packet.

use std::{
    ffi::OsString,
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
        unix::net,
    },
    path::{Path, PathBuf},
    time::Instant,
};

use keyfob_core::{bytes, transport::hid::REPORT_LEN};
use mio::{event::Source, net::UnixStream, unix::SourceFd};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{
    Peer,
    link::{Flushed, Input, Link, Outbox, Report, read_some},
    stream::Stream,
};

/// How many clients can wait to be accepted. More are refused by the system, which does not say why.
const BACKLOG: i32 = 256;
/// How many reports wait for a client of packets that does not read, as in hidraw.
const PACKETS: usize = 64;
/// How many packets are read before the others have their turn.
const READS: usize = 256;

/// What two programs must not do at the same time: find that nothing listens on a socket, and replace it. Between bind and
/// listen a socket looks like one that nothing listens on.
///
/// A file beside the socket is locked meanwhile, and removed afterwards.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Waits until no other program has it.
    fn of(socket: &Path) -> io::Result<Self> {
        let mut path = OsString::from(socket);
        path.push(".lock");
        let path = PathBuf::from(path);
        loop {
            let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.lock()?;
            // Who had it before has removed the file: another one is locked by those that come now.
            let (ours, there) = (file.metadata()?, fs::metadata(&path));
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before the lock is released, which closing the file does.
        let _ = fs::remove_file(&self.path);
    }
}

/// The file of a listening socket. It is removed when this is dropped, which is to be before the socket is closed: then
/// another program may replace the file.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// The device and the number of the file, so that no other file is removed.
    file: (u64, u64),
}

impl SocketFile {
    /// Makes a socket that only its owner can use, and listens on it. A socket at that path on which nothing listens is
    /// replaced; of several programs that do so at the same time, one succeeds. For that time, there is a file beside it
    /// whose name ends in `.lock`.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`]: something listens there. [`ErrorKind::AlreadyExists`]: the file is not a socket. Those
    /// of the operating system.
    pub fn listen(path: &Path) -> io::Result<(net::UnixListener, Self)> {
        let (socket, file) = Self::bind(path, Type::STREAM)?;
        Ok((OwnedFd::from(socket).into(), file))
    }

    fn bind(path: &Path, kind: Type) -> io::Result<(Socket, Self)> {
        let address = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, kind, None)?;
        let _lock = Lock::of(path)?;
        match socket.bind(&address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                if !fs::symlink_metadata(path)?.file_type().is_socket() {
                    return Err(ErrorKind::AlreadyExists.into());
                }
                let answer = Socket::new(Domain::UNIX, kind, None)?.connect(&address);
                if !answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                    return Err(error);
                }
                fs::remove_file(path)?;
                socket.bind(&address)?;
            }
            bound => bound?,
        }
        let metadata = fs::symlink_metadata(path)?;
        let file = Self { path: path.into(), file: (metadata.dev(), metadata.ino()) };
        // Before it listens, nobody can connect.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        socket.listen(BACKLOG)?;
        Ok((socket, file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A listening socket. Its file is removed when it is dropped.
pub struct UnixListener {
    // Dropped before the socket.
    _file: SocketFile,
    socket: Socket,
    kind: Type,
    /// How many clients have come.
    clients: u32,
}

impl UnixListener {
    /// # Errors
    /// Those of [`SocketFile::listen`].
    pub fn bind(path: &Path, kind: Type) -> io::Result<Self> {
        let (socket, file) = SocketFile::bind(path, kind)?;
        socket.set_nonblocking(true)?;
        Ok(Self { _file: file, socket, kind, clients: 0 })
    }

    /// Whether each packet is one report.
    pub fn has_packets(&self) -> bool {
        self.kind == Type::SEQPACKET
    }

    pub fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()> {
        register(&mut SourceFd(&self.socket.as_raw_fd()))
    }

    /// # Errors
    /// [`ErrorKind::WouldBlock`]: there is no client now. Those of the operating system.
    pub fn accept(&mut self) -> io::Result<(Box<dyn Link>, Peer)> {
        let (socket, _) = self.socket.accept()?;
        socket.set_nonblocking(true)?;
        self.clients = self.clients.wrapping_add(1);
        let peer = Peer::Unix(self.clients);
        if self.has_packets() {
            return Ok((Box::new(Packets::new(socket, peer)), peer));
        }
        let stream = UnixStream::from_std(net::UnixStream::from(OwnedFd::from(socket)));
        Ok((Box::new(Stream::open(stream, peer)), peer))
    }
}

/// A connection on which each packet is one report.
pub struct Packets {
    socket: Socket,
    peer: Peer,
    outbox: Outbox,
}

impl Packets {
    pub fn new(socket: Socket, peer: Peer) -> Self {
        Self { socket, peer, outbox: Outbox::default() }
    }
}

impl Link for Packets {
    fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()> {
        register(&mut SourceFd(&self.socket.as_raw_fd()))
    }

    fn begin(&mut self, inputs: &mut Vec<Input>) {
        inputs.push(Input::Opened(self.peer));
    }

    /// A packet of 65 bytes begins with report id 0, as what is written to a hidraw device does. Packets of another
    /// length are ignored.
    fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool> {
        // One byte more, so that a longer packet is not taken for a report.
        let mut buffer = [0; REPORT_LEN + 2];
        read_some(READS, || {
            match self.socket.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                REPORT_LEN => inputs.push(Input::Report(self.peer, bytes::first(&buffer))),
                65 if buffer.first() == Some(&0) => {
                    inputs.push(Input::Report(self.peer, bytes::first(bytes::rest(&buffer, 1))));
                }
                _ => {}
            }
            Ok(true)
        })
    }

    fn queue(&mut self, report: &Report) {
        self.outbox.push(report);
    }

    /// As with hidraw: who does not read still writes.
    fn reads_while_blocked(&self) -> bool {
        true
    }

    /// As with hidraw: who does not read loses what comes, and keeps the key open.
    fn flush(&mut self, _: Instant, _: &mut Vec<Input>) -> io::Result<Flushed> {
        let socket = &mut self.socket;
        let is_blocked = self.outbox.write(REPORT_LEN, |packet| socket.write(packet))?;
        if is_blocked {
            self.outbox.truncate(PACKETS);
        }
        Ok(Flushed { is_blocked, ..Flushed::default() })
    }
}
