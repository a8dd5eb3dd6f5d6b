//! What accepts connections.

#[cfg(unix)]
use std::time::Duration;
use std::{
    io::{self, ErrorKind},
    net::{self, SocketAddr},
};

use mio::{
    event::Source,
    net::{TcpListener, TcpStream},
};

#[cfg(unix)]
use socket2::{SockRef, TcpKeepalive};

#[cfg(unix)]
use super::unix;
use super::{Peer, link::Link, stream::Stream, usbip::Usbip};

/// How many connections may be open. One more closes the oldest connection that has not opened the key.
const CONNECTIONS: usize = 32;
/// The same where the connection is one of packets. Programs open a hidraw device as often as they like.
#[cfg(unix)]
const PACKET_CONNECTIONS: usize = 256;

/// After this silence, a TCP client is asked whether its machine is still there. One that lost power or its network
/// would have the key open for ever.
#[cfg(unix)]
const SILENCE: Duration = Duration::from_secs(60);

/// A listening socket.
pub enum Listener {
    Tcp(TcpListener),
    Usbip(TcpListener),
    #[cfg(unix)]
    Unix(unix::UnixListener),
}

impl Listener {
    pub fn tcp(listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)))
    }

    pub fn usbip(listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Usbip(TcpListener::from_std(listener)))
    }

    /// Calls `register` with the source of the listener's events.
    pub fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Tcp(listener) | Self::Usbip(listener) => register(listener),
            #[cfg(unix)]
            Self::Unix(listener) => listener.with_source(register),
        }
    }

    /// How many connections the hub may have for one more to come through here.
    pub fn limit(&self) -> usize {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) if listener.has_packets() => PACKET_CONNECTIONS,
            _ => CONNECTIONS,
        }
    }

    /// The next connection, if there is one now.
    ///
    /// # Errors
    /// None can be accepted now. [`is_broken`]: nor later.
    pub fn accept(&mut self) -> io::Result<Option<(Box<dyn Link>, Peer)>> {
        loop {
            let accepted: io::Result<(Box<dyn Link>, Peer)> = match self {
                Self::Tcp(listener) => accept_tcp(listener).map(|(stream, address)| {
                    let peer = Peer::Tcp(address);
                    (Box::new(Stream::guarded(stream, peer)) as _, peer)
                }),
                Self::Usbip(listener) => accept_tcp(listener)
                    .map(|(stream, address)| (Box::new(Usbip::new(stream, address)) as _, Peer::Usbip(address))),
                #[cfg(unix)]
                Self::Unix(listener) => listener.accept(),
            };
            match accepted {
                Ok(accepted) => return Ok(Some(accepted)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(None),
                    // The client closed the connection before it was accepted.
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

/// Whether a listener that fails with this accepts nothing any more. All else passes: a lack of memory, a network that is
/// down, a client that broke the protocol, a rule of a firewall.
pub fn is_broken(error: &io::Error) -> bool {
    #[cfg(unix)]
    const BROKEN: [i32; 3] = [libc::EBADF, libc::EINVAL, libc::ENOTSOCK];
    // WSAEBADF, WSAEINVAL, WSAENOTSOCK.
    #[cfg(not(unix))]
    const BROKEN: [i32; 3] = [10_009, 10_022, 10_038];
    error.raw_os_error().is_some_and(|code| BROKEN.contains(&code))
}

/// Whether this process, or the system, has as many files open as it may.
pub fn lacks_files(error: &io::Error) -> bool {
    #[cfg(unix)]
    const LIMITS: [i32; 2] = [libc::EMFILE, libc::ENFILE];
    // WSAEMFILE.
    #[cfg(not(unix))]
    const LIMITS: [i32; 1] = [10_024];
    error.raw_os_error().is_some_and(|code| LIMITS.contains(&code))
}

fn accept_tcp(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, address) = listener.accept()?;
    // These fail where the client has gone, which reading will tell.
    let _ = stream.set_nodelay(true);
    #[cfg(unix)]
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive());
    Ok((stream, address))
}

#[cfg(unix)]
const fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(SILENCE);
    // Another minute without an answer closes the connection. The systems' own values are ten minutes and more.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "freebsd"))]
    let keepalive = keepalive.with_interval(Duration::from_secs(15)).with_retries(4);
    keepalive
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    fn a_tcp_client_whose_machine_is_gone_is_closed_after_two_minutes() {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = accept_tcp(&TcpListener::from_std(listener)).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let questions = socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert_eq!(socket.tcp_keepalive_time().unwrap() + questions, Duration::from_secs(120));
    }

    #[test]
    fn only_a_socket_that_is_none_any_more_ends_the_hub() {
        let is_broken = |code| is_broken(&io::Error::from_raw_os_error(code));
        for code in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK] {
            assert!(is_broken(code), "{code}");
        }
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EPROTO, libc::ENETDOWN, libc::EPERM]
        {
            assert!(!is_broken(code), "{code}");
        }
    }
}
