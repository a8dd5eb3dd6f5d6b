//! The key on Unix sockets.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::PathBuf,
};

use keyfob_soft_authenticator::devices::{UnixPipe, hub::SocketFile};
use socket2::{Domain, SockAddr, Socket, Type};

use super::*;

/// A path that no other test uses.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("keyfob-hub-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn bind(path: &std::path::Path) -> io::Result<()> {
    let config = Config::new([0xAA; 16]);
    let mut buffer = vec![0; config.buffer_len()];
    let mut key = VirtualKey::new(&mut buffer, KeyOptions::new(config)).unwrap();
    Hub::new(&mut key).unwrap().listen_unix(path)
}

#[test]
fn a_unix_socket_is_its_owners_opens_by_connecting_and_goes_with_the_hub() {
    let path = path("stream");
    let its = path.clone();
    let (handle, events, thread) = hub(Config::new([0xAA; 16]), Touch::Auto, move |hub| hub.listen_unix(&its).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let stream = UnixStream::connect(&path).unwrap();
    use HubEvent::{Closed, Opened, PluggedIn, Unplugged};
    assert_eq!(noted(&events, 2), [PluggedIn, Opened(Peer::Unix(1))], "before it has said anything");
    let start = Instant::now();
    let clock = || keyfob_core::Instant::from_millis(start.elapsed().as_millis() as u64);
    let mut transport = HidTransport::new(UnixPipe::new(stream), clock, [1; 8]);
    let mut message = vec![5; MAX_MESSAGE];
    assert_eq!(transport.ping(&mut message, MAX_MESSAGE).unwrap(), MAX_MESSAGE);
    drop(transport);
    assert_eq!(noted(&events, 4)[2..], [Closed(Peer::Unix(1)), Unplugged]);
    handle.stop();
    thread.join().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_socket_without_listener_is_replaced_and_nothing_else_is() {
    let path = path("stale");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener of the standard library leaves its file");
    bind(&path).unwrap();
    assert!(!path.exists());
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    drop(listener);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
    let nowhere = path.join("file");
    assert_eq!(bind(&nowhere).unwrap_err().kind(), io::ErrorKind::NotFound);
}

/// The lock is of the open file, so that threads exclude each other as programs do.
#[test]
fn of_several_that_replace_a_socket_at_the_same_time_one_listens() {
    let path = path("race");
    for round in 0..150 {
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let barrier = std::sync::Barrier::new(3);
        let sockets: Vec<_> = std::thread::scope(|scope| {
            let bind = || {
                barrier.wait();
                SocketFile::listen(&path)
            };
            [(); 3].map(|()| scope.spawn(bind)).map(|thread| thread.join().unwrap()).into_iter().collect()
        });
        let refused = sockets.iter().filter_map(|socket| socket.as_ref().err());
        assert!(refused.clone().all(|error| error.kind() == io::ErrorKind::AddrInUse), "{sockets:?}");
        assert_eq!(refused.count(), 2, "round {round}");
        UnixStream::connect(&path).unwrap();
        drop(sockets.into_iter().filter_map(|socket| socket.ok().map(|(listener, file)| (file, listener))));
        assert!(!path.exists());
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        assert!(!std::path::Path::new(&lock).exists());
    }
}

#[test]
fn a_packet_is_a_report_with_or_without_its_id() {
    let path = path("packets");
    let its = path.clone();
    hub(Config::new([0xAA; 16]), Touch::Auto, move |hub| hub.listen_packets(&its).unwrap());
    let mut socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    socket.connect(&SockAddr::unix(&path).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut other_id = [&[1][..], &init(9)].concat();
    let ignored = [&init(9)[..63], &other_id.clone(), &[0; 66], &[0; 1]];
    for packet in ignored {
        assert_eq!(socket.write(packet).unwrap(), packet.len());
    }
    other_id[0] = 0;
    socket.write_all(&[&[0][..], &init(1)].concat()).unwrap();
    socket.write_all(&init(2)).unwrap();
    for nonce in [1, 2] {
        let mut buffer = [0; 100];
        assert_eq!(socket.read(&mut buffer).unwrap(), REPORT_LEN);
        assert_eq!(buffer[7..15], [nonce; 8]);
    }
    fs::remove_file(&path).unwrap();
}

/// 129 packets lie between the key and the client at once.
#[test]
fn a_long_answer_in_packets_is_whole_although_nobody_reads_at_first() {
    let path = path("long");
    let its = path.clone();
    hub(Config::new([0xAA; 16]), Touch::Auto, move |hub| hub.listen_packets(&its).unwrap());
    let mut socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    socket.connect(&SockAddr::unix(&path).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.write_all(&init(1)).unwrap();
    let mut report = [0; REPORT_LEN];
    socket.read_exact(&mut report).unwrap();
    let channel: [u8; 4] = report[15..19].try_into().unwrap();
    let mut sent = Vec::new();
    for packet in 0..129u8 {
        let mut report = [7; REPORT_LEN];
        report[..4].copy_from_slice(&channel);
        match packet {
            0 => report[4..7].copy_from_slice(&[0x81, (MAX_MESSAGE >> 8) as u8, MAX_MESSAGE as u8]),
            _ => report[4] = packet - 1,
        }
        socket.write_all(&report).unwrap();
        sent.push(report);
    }
    thread::sleep(Duration::from_millis(100));
    for expected in sent {
        socket.read_exact(&mut report).unwrap();
        assert_eq!(report, expected);
    }
    fs::remove_file(&path).unwrap();
}

/// A client of packets that is connected.
fn packets(path: &std::path::Path) -> Socket {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    socket.connect(&SockAddr::unix(path).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// hidraw closes nobody: a program opens the key, writes, and reads when it likes.
#[test]
fn who_opens_the_key_in_packets_and_does_not_read_loses_reports_and_keeps_it_open() {
    const LONGEST: Duration = Duration::from_secs(5);
    let path = path("idle");
    let its = path.clone();
    let (_, events, _) = hub(Config::new([0xAA; 16]), Touch::Auto, move |hub| hub.listen_packets(&its).unwrap());
    let (mut idle, mut reader) = (packets(&path), packets(&path));
    let mut report = [0; REPORT_LEN];
    for count in 0..1000_u32 {
        reader.write_all(&init(count as u8)).unwrap();
        reader.read_exact(&mut report).unwrap();
    }
    thread::sleep(LONGEST + Duration::from_millis(500));
    // It is read although it reads nothing.
    idle.write_all(&init(0xEE)).unwrap();
    reader.read_exact(&mut report).unwrap();
    assert_eq!(report[7..15], [0xEE; 8]);
    thread::sleep(Duration::from_millis(200)); // until it is lost for the one who does not read
    let mut kept = Vec::new();
    idle.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    while idle.read_exact(&mut report).is_ok() {
        kept.push(report[7]);
    }
    let expected: Vec<u8> = (0..1000_u32).map(|count| count as u8).take(kept.len()).collect();
    assert!((64..1000).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept, expected, "the oldest stay");
    idle.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    idle.write_all(&init(0xEF)).unwrap();
    idle.read_exact(&mut report).unwrap();
    assert_eq!(report[7..15], [0xEF; 8]);
    let closed = events.lock().unwrap().iter().any(|event| matches!(event, HubEvent::Closed(_)));
    assert!(!closed);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_hundred_clients_of_packets_have_the_key_open_at_once() {
    let path = path("hundred");
    let its = path.clone();
    hub(Config::new([0xAA; 16]), Touch::Auto, move |hub| hub.listen_packets(&its).unwrap());
    let mut clients: Vec<_> = (0..100).map(|_| packets(&path)).collect();
    clients[99].write_all(&init(1)).unwrap();
    for client in &mut clients {
        let mut report = [0; REPORT_LEN];
        client.read_exact(&mut report).unwrap();
        assert_eq!(report[7..15], [1; 8]);
    }
    fs::remove_file(&path).unwrap();
}

/// Its own answers wait as long as it writes more than it reads, and what it writes waits too: nothing is lost.
#[test]
fn a_client_that_writes_much_before_it_reads_gets_every_answer() {
    const PINGS: u32 = 60_000;
    let path = path("much");
    let its = path.clone();
    hub(Config::new([0xAA; 16]), Touch::Auto, move |hub| hub.listen_unix(&its).unwrap());
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(&init(1)).unwrap();
    let mut report = [0; REPORT_LEN];
    stream.read_exact(&mut report).unwrap();
    let ping = move |number: u32| {
        let mut ping = [0; REPORT_LEN];
        ping[..4].copy_from_slice(&report[15..19]);
        ping[4..7].copy_from_slice(&[0x81, 0, 4]);
        ping[7..11].copy_from_slice(&number.to_be_bytes());
        ping
    };
    let mut writer = stream.try_clone().unwrap();
    let writes = thread::spawn(move || (0..PINGS).for_each(|number| writer.write_all(&ping(number)).unwrap()));
    thread::sleep(Duration::from_millis(500)); // so that it fills all that lies between
    assert!(!writes.is_finished());
    for number in 0..PINGS {
        stream.read_exact(&mut report).unwrap();
        assert_eq!(report, ping(number));
    }
    writes.join().unwrap();
    fs::remove_file(&path).unwrap();
}
