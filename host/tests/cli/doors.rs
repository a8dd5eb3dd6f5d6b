//! The doors of `keyfob serve`, several at once, and its signals.

use std::{
    fs,
    net::UdpSocket,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{ChildStdout, ExitStatus},
    time::Duration,
};

use super::*;

/// A key that is served with these options, and the lines that it says. Ends with the test.
struct Server {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    /// The first line.
    says: String,
}

impl Server {
    fn new(options: &[&str]) -> Self {
        let mut process = keyfob(&[&["serve"], options].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let says = lines.next().unwrap().unwrap();
        Self { process, lines, says }
    }

    /// The address of a door.
    fn address(&self, door: &str) -> &str {
        let mut words = self.says.split_whitespace();
        words.find(|word| *word == door).unwrap();
        words.next().unwrap().trim_end_matches('.')
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn ends(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A path that no other test uses.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("keyfob-cli-{}-{name}", std::process::id()))
}

/// CTAPHID_INIT on the broadcast channel.
fn init() -> [u8; 64] {
    let mut init = [0; 64];
    init[..15].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    init
}

fn is_answered(mut stream: impl Read + Write) {
    stream.write_all(&init()).unwrap();
    let mut answer = [0; 64];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[7..15], [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn one_key_is_served_at_several_doors() {
    let path = path("several");
    let local = "127.0.0.1:0";
    let mut server = Server::new(&["--tcp", local, "--unix", path.to_str().unwrap(), "--udp", local, "--usbip", local]);
    assert!(server.says.starts_with("Serving a virtual security key on tcp 127.0.0.1:"), "{}", server.says);
    assert!(server.says.contains(" and unix /"), "{}", server.says);
    let (host, port) = server.address("usbip").split_once(':').unwrap();
    let hint = format!("sudo usbip --tcp-port {port} attach -r {host} -b 1-1");
    let said = server.line();
    assert!(said.contains(&hint), "{said}");
    is_answered(TcpStream::connect(server.address("tcp")).unwrap());
    is_answered(UnixStream::connect(&path).unwrap());
    let udp = UdpSocket::bind(local).unwrap();
    udp.connect(server.address("udp")).unwrap();
    udp.send(&init()).unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(udp.recv(&mut [0; 100]).unwrap(), 64);
    let mut usbip = TcpStream::connect(server.address("usbip")).unwrap();
    usbip.write_all(&[1, 0x11, 0x80, 5, 0, 0, 0, 0]).unwrap(); // lists the devices
    let mut list = [0; 12];
    usbip.read_exact(&mut list).unwrap();
    assert_eq!(list, [1, 0x11, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn a_reader_that_is_not_there_is_told_with_the_way_to_get_one_and_gets_the_card_when_it_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut server = Server::new(&["--vpcd", &address.to_string(), "--trace"]);
    assert_eq!(server.address("vpcd"), address.to_string());
    let said = server.line();
    assert!(said.starts_with(&format!("reader {address}: there is none.")), "{said}");
    for hint in ["apt-get install vsmartcard-vpcd pcscd", "systemctl restart pcscd", "port 35963"] {
        assert!(said.contains(hint), "{said}");
    }
    let listener = TcpListener::bind(address).unwrap();
    let (mut reader, _) = listener.accept().unwrap();
    reader.write_all(&[0, 1, 1, 0, 6, 0x80, 0x10, 0, 0, 1, 4]).unwrap(); // power, and getInfo before SELECT
    let mut answer = [0; 4];
    reader.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0, 2, 0x69, 0x85]);
    assert_eq!(server.line(), format!("reader {address} has switched its field on: the card is tapped."));
    let lines: Vec<String> = (0..4).map(|_| server.line()).collect();
    assert!(lines.iter().any(|line| line.ends_with(" ms -> authenticatorGetInfo, 1 byte")), "{lines:?}");
    let refused = "authenticatorGetInfo: CONDITIONS_NOT_SATISFIED (0x6985)";
    assert!(lines.iter().any(|line| line.starts_with(refused)), "{lines:?}");
    fails(&["serve", "--vpcd", "nowhere"], 1, "--vpcd nowhere: ");
}

#[test]
fn the_unix_socket_is_its_owners_and_is_removed_when_the_key_is_stopped() {
    for signal in ["-TERM", "-INT"] {
        let path = path(signal);
        let mut server = Server::new(&["--unix", path.to_str().unwrap()]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let client = UnixStream::connect(&path).unwrap();
        is_answered(&client);
        server.signal(signal);
        assert!(server.ends().success());
        assert!(!path.exists());
        assert_eq!(server.lines.by_ref().map(Result::unwrap).last().unwrap(), "The key is unplugged.");
    }
}

#[test]
fn a_path_that_is_taken_is_refused_and_a_socket_that_was_left_behind_is_replaced() {
    let path = path("taken");
    let place = path.to_str().unwrap();
    let refused = |why: &str| fails(&["serve", "--unix", place], 1, &format!("cannot listen on {place}: {why}"));
    let mut server = Server::new(&["--unix", place]);
    refused("another program listens there");
    server.process.kill().unwrap();
    server.ends();
    assert!(path.exists(), "it had no time to clean up");
    drop(Server::new(&["--unix", place]));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    refused("the file is there and is not a socket");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
    fails(&["serve", "--unix", "/no/such/folder/socket"], 1, "there is no such folder");
}

#[test]
fn sigusr1_unplugs_the_key_and_plugs_it_in_again() {
    let mut server = Server::new(&["--tcp", "127.0.0.1:0"]);
    let mut client = TcpStream::connect(server.address("tcp")).unwrap();
    client.write_all(&init()).unwrap();
    client.read_exact(&mut [0; 64]).unwrap();
    assert_eq!(server.line(), "The key is plugged in.");
    let peer = client.local_addr().unwrap();
    assert_eq!(server.line(), format!("{peer} opened the key."));
    server.signal("-USR1");
    assert_eq!(server.line(), format!("{peer} closed the key."));
    assert_eq!(server.line(), "The key is unplugged.");
    assert_eq!(client.read(&mut [0; 64]).unwrap(), 0, "its connection is closed");
    is_answered(TcpStream::connect(server.address("tcp")).unwrap());
    assert_eq!(server.line(), "The key is plugged in.");
}

/// Where uhid is there, `interop/` uses it.
#[test]
fn without_uhid_the_command_says_how_to_get_it() {
    if !Path::new("/dev/uhid").exists() {
        fails(&["serve", "--uhid"], 1, "there is no /dev/uhid. Load its module: sudo modprobe uhid.");
    }
    fails(&["serve"], 2, "required arguments");
}
