//! The doors of `keyfob serve`.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, ToSocketAddrs, UdpSocket},
    path::{Path, PathBuf},
};

use keyfob_soft_authenticator::devices::{hub::Hub, usbip, vpcd};

/// Where clients open the key. Several may be given.
#[derive(clap::Args, Clone)]
#[group(required = true, multiple = true)]
pub struct DoorArguments {
    /// Serve TCP connections: CTAPHID reports of 64 bytes, one after another, both ways. A connection that begins with
    /// INIT on the broadcast channel opens the key; any other is closed. Port 0 takes any free port and prints it.
    #[arg(long, value_name = "ADDRESS:PORT")]
    tcp: Option<String>,
    /// Serve connections to a Unix socket: the same reports. Only its owner can connect.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Serve UDP datagrams of one report each.
    #[arg(long, value_name = "ADDRESS:PORT")]
    udp: Option<String>,
    /// Give this machine the key as a HID device, by /dev/uhid of Linux.
    #[arg(long)]
    uhid: bool,
    /// Serve the key as a USB device that this or another machine attaches over USB/IP.
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:3240")]
    usbip: Option<String>,
    /// Put the key as a contactless card into the virtual smart card reader of vpcd, for programs that use PC/SC. The
    /// reader is looked for until it is there. Its power is the card's field, and each time it is switched on is a touch.
    /// While a client has the key open through another door, the reader is empty.
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:35963")]
    vpcd: Option<String>,
}

/// What was opened.
#[derive(Default)]
pub struct Opened {
    /// Where the key is, in words.
    pub places: Vec<String>,
    /// What the user may have to do.
    pub hints: Vec<String>,
}

impl DoorArguments {
    /// Opens the doors.
    ///
    /// # Errors
    /// What is missing, in a line.
    pub fn open(&self, hub: &mut Hub<'_, '_>) -> Result<Opened, String> {
        let mut opened = Opened::default();
        if let Some(tcp) = &self.tcp {
            let bound = TcpListener::bind(tcp).and_then(|listener| Ok((listener.local_addr()?, listener)));
            let (address, listener) = bound.map_err(|error| cannot_listen(tcp, &error))?;
            hub.listen_tcp(listener).map_err(|error| cannot_listen(tcp, &error))?;
            opened.add("tcp", address);
        }
        if let Some(path) = &self.unix {
            listen_unix(hub, path)?;
            opened.places.push(format!("unix {}", path.display()));
        }
        if let Some(udp) = &self.udp {
            let bound = UdpSocket::bind(udp).and_then(|socket| Ok((socket.local_addr()?, socket)));
            let (address, socket) = bound.map_err(|error| cannot_listen(udp, &error))?;
            hub.listen_udp(socket).map_err(|error| cannot_listen(udp, &error))?;
            opened.add("udp", address);
        }
        if self.uhid {
            attach_uhid(hub)?;
            opened.places.push("uhid".into());
        }
        if let Some(usbip) = &self.usbip {
            let bound = TcpListener::bind(usbip).and_then(|listener| Ok((listener.local_addr()?, listener)));
            let (address, listener) = bound.map_err(|error| cannot_listen(usbip, &error))?;
            hub.listen_usbip(listener).map_err(|error| cannot_listen(usbip, &error))?;
            opened.add("usbip", address);
            opened.hints.push(how_to_attach(address));
        }
        if let Some(vpcd) = &self.vpcd {
            let address = reader(vpcd)?;
            hub.insert_into_vpcd(address).map_err(|error| format!("cannot look for a reader at {address}: {error}"))?;
            opened.places.push(format!("vpcd {address}"));
        }
        Ok(opened)
    }

    /// Whether the key is to be a card too.
    pub const fn has_reader(&self) -> bool {
        self.vpcd.is_some()
    }
}

impl Opened {
    fn add(&mut self, door: &str, address: SocketAddr) {
        if !address.ip().is_loopback() {
            crate::warn(format_args!(
                "warning: {address} is not a loopback address: every machine that reaches it can use and reset this key."
            ));
        }
        self.places.push(format!("{door} {address}"));
    }
}

/// The address of a reader.
fn reader(text: &str) -> Result<SocketAddr, String> {
    let addresses = text.to_socket_addrs().map_err(|error| format!("--vpcd {text}: {error}"))?;
    // vpcd has no IPv6.
    let address = addresses.clone().find(SocketAddr::is_ipv4).or_else(|| addresses.clone().next());
    address.ok_or_else(|| format!("--vpcd {text}: there is no such host"))
}

/// What to do when there is no reader.
pub fn how_to_get_reader() -> String {
    format!(
        "It is looked for until it is there. On Debian and Ubuntu: sudo apt-get install vsmartcard-vpcd pcscd. Then \
         start pcscd: sudo systemctl restart pcscd, or sudo pcscd --foreground. Its first virtual reader listens on \
         port {}, and takes one card.",
        vpcd::PORT
    )
}

/// The commands that attach the key to a machine with Linux.
fn how_to_attach(address: SocketAddr) -> String {
    let port = if address.port() == usbip::PORT { String::new() } else { format!("--tcp-port {} ", address.port()) };
    let host = if address.ip().is_unspecified() { "THIS_MACHINE".into() } else { address.ip().to_string() };
    format!(
        "Attach it with: sudo modprobe vhci-hcd && sudo usbip {port}attach -r {host} -b {} (the package usbip or linux-tools has the command).",
        usbip::BUS_ID
    )
}

#[cfg(unix)]
fn listen_unix(hub: &mut Hub<'_, '_>, path: &Path) -> Result<(), String> {
    hub.listen_unix(path).map_err(|error| no_socket(path, &error))
}

/// Why there cannot be a Unix socket at this path.
#[cfg(unix)]
pub fn no_socket(path: &Path, error: &io::Error) -> String {
    let why = match error.kind() {
        ErrorKind::AddrInUse => "another program listens there".into(),
        ErrorKind::AlreadyExists => "the file is there and is not a socket".into(),
        ErrorKind::NotFound => "there is no such folder".into(),
        ErrorKind::PermissionDenied => "no permission to make a file there".into(),
        _ => error.to_string(),
    };
    format!("cannot listen on {}: {why}", path.display())
}

#[cfg(not(unix))]
fn listen_unix(_: &mut Hub<'_, '_>, _: &Path) -> Result<(), String> {
    Err("--unix is for systems with Unix sockets: take --tcp".into())
}

#[cfg(target_os = "linux")]
fn attach_uhid(hub: &mut Hub<'_, '_>) -> Result<(), String> {
    let attached = keyfob_soft_authenticator::devices::uhid::open().and_then(|device| hub.attach_uhid(device));
    attached.map_err(|error| without_uhid(&error))?;
    read_first();
    Ok(())
}

/// Lets the thread that reads uhid come before all other work, if this process may: the kernel drops what clients write
/// faster than it is read. The call for it needs unsafe code, the command `chrt` of util-linux does not.
#[cfg(target_os = "linux")]
fn read_first() {
    use std::{
        fs,
        process::{Command, Stdio},
    };

    use keyfob_soft_authenticator::devices::uhid::READER;

    for thread in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim_end() == READER) {
            let mut command = Command::new("chrt");
            command.args(["--fifo", "--pid", "1"]).arg(thread.file_name());
            // Without the rights, or without the command, long messages can be lost.
            let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// Why `/dev/uhid` cannot be used, and how it can.
#[cfg(target_os = "linux")]
fn without_uhid(error: &io::Error) -> String {
    use rustix::io::Errno;

    const LOAD: &str = "Load its module: sudo modprobe uhid. Where there is none, the kernel was built without \
        CONFIG_UHID: take --usbip or --tcp";
    match (error.kind(), Errno::from_io_error(error)) {
        (ErrorKind::NotFound, _) => format!("there is no /dev/uhid. {LOAD}"),
        // The file can be there before the module.
        (_, Some(Errno::NODEV | Errno::NXIO)) => format!("/dev/uhid does not work yet. {LOAD}"),
        (ErrorKind::PermissionDenied, _) => {
            "no permission to open /dev/uhid. Until the next boot: sudo modprobe uhid && \
            sudo chown $USER /dev/uhid. For ever, a line in /etc/udev/rules.d/70-uhid.rules: KERNEL==\"uhid\", \
            SUBSYSTEM==\"misc\", TAG+=\"uaccess\", OPTIONS+=\"static_node=uhid\""
                .into()
        }
        _ => format!("/dev/uhid cannot be used: {error}"),
    }
}

#[cfg(not(target_os = "linux"))]
fn attach_uhid(_: &mut Hub<'_, '_>) -> Result<(), String> {
    Err("--uhid is for Linux: take --usbip or --tcp".into())
}

fn cannot_listen(address: &str, error: &io::Error) -> String {
    format!("cannot listen on {address}: {}", plain(error))
}

/// An I/O error without the operating system's number.
pub fn plain(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "the port is taken by another program".into(),
        ErrorKind::AddrNotAvailable => "this machine does not have that address".into(),
        ErrorKind::PermissionDenied => "no permission; ports under 1024 need it".into(),
        _ => error.to_string(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn without_uhid_the_words_say_whether_the_module_or_the_permission_is_missing() {
        let words = |errno: Errno| without_uhid(&errno.into());
        for (errno, why) in [(Errno::NOENT, "there is no /dev/uhid."), (Errno::NODEV, "/dev/uhid does not work yet.")] {
            let words = words(errno);
            assert!(words.starts_with(why) && words.contains("sudo modprobe uhid"), "{words}");
        }
        assert!(words(Errno::ACCESS).contains("sudo chown $USER /dev/uhid"));
        assert!(words(Errno::BUSY).starts_with("/dev/uhid cannot be used"));
    }
}
