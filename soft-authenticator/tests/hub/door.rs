//! Who gets to the key: web pages, strangers, and clients that come while another one leaves.

use super::*;

/// Reads until the other end closes.
fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    loop {
        let mut part = [0; 1024];
        match stream.read(&mut part) {
            Ok(0) => return answer,
            Ok(count) => answer.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return answer,
            Err(error) => panic!("the connection is not closed: {error}"),
        }
    }
}

/// A report on a channel that was never allocated, which a lenient key accepts.
fn made_up(command: u8, data: &[u8]) -> [u8; REPORT_LEN] {
    let mut report = [0; REPORT_LEN];
    report[..7].copy_from_slice(&[1, 2, 3, 4, command, 0, data.len() as u8]);
    report[7..7 + data.len()].copy_from_slice(data);
    report
}

/// An HTTP request of a web page. Its body begins at a multiple of 64 bytes plus `shift`.
fn post(shift: usize, body: &[u8]) -> Vec<u8> {
    let head = |padding: usize| {
        format!(
            "POST /{} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\n\
             Content-Type: text/plain\r\nContent-Length: {:05}\r\n\r\n",
            "x".repeat(padding),
            body.len()
        )
    };
    let padding = (REPORT_LEN - head(0).len() % REPORT_LEN) % REPORT_LEN + shift;
    [head(padding).as_bytes(), body].concat()
}

#[test]
fn a_web_page_reaches_nothing_of_the_key() {
    let (address, events) = watched(Config::new([0xAA; 16]), Touch::Auto);
    let mut client = Client::new(address);
    assert_eq!(client.make(b"u", None), Status::OK);
    drop(client);
    noted(&events, 4);
    let reset = made_up(0x90, &[Command::RESET.0]);
    let body = [init(1), reset, made_up(0x86, &[9; 8]), reset].concat();
    for shift in [0, 1, 32, 63] {
        let mut page = connect(address);
        page.write_all(&post(shift, &body)).unwrap();
        assert_eq!(read_to_end(page), [], "an answer to a web page");
    }
    for request in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00", b"\xFF\xFF\xFF\xFF\x81", b"PRI * HTTP/2.0"]
    {
        let start = Instant::now();
        let mut page = connect(address);
        page.write_all(request).unwrap();
        assert_eq!(read_to_end(page), []);
        assert!(start.elapsed() < Duration::from_secs(1), "what cannot become an INIT is closed at once");
    }
    let noted = noted(&events, 12);
    assert!(noted[4..].iter().all(|event| matches!(event, HubEvent::Stranger(_))), "{noted:?}");
    assert_eq!(Client::new(address).get(), 1, "the credential is still there");
}

#[test]
fn a_connection_that_does_not_begin_with_init_on_broadcast_is_closed_and_does_not_plug_the_key_in() {
    let (address, events) = watched(Config::new([0xAA; 16]), Touch::Auto);
    let mut ping_on_broadcast = init(1);
    ping_on_broadcast[4] = 0x81;
    let mut init_on_a_channel = init(1);
    init_on_a_channel[..4].copy_from_slice(&[0, 0, 0, 1]);
    let beginnings = [ping_on_broadcast, init_on_a_channel, made_up(0x90, &[0x04]), [0; 64], [0xFF; 64]];
    for beginning in beginnings {
        let mut stream = connect(address);
        stream.write_all(&beginning).unwrap();
        stream.write_all(&init(1)).unwrap_or_default(); // comes too late
        assert_eq!(read_to_end(stream), []);
    }
    drop(connect(address)); // says nothing
    connect(address).write_all(&init(1)[..63]).unwrap(); // not a whole report
    let mut stream = connect(address);
    stream.write_all(&init(2)).unwrap();
    assert_eq!(read_report(&mut stream)[7..15], [2; 8]);
    let noted = noted(&events, beginnings.len() + 2);
    let (strangers, last) = noted.split_at(beginnings.len());
    assert!(strangers.iter().all(|event| matches!(event, HubEvent::Stranger(_))), "{noted:?}");
    assert_eq!(last, [HubEvent::PluggedIn, HubEvent::Opened(Peer::Tcp(stream.local_addr().unwrap()))]);
}

#[test]
fn who_comes_and_goes_is_told() {
    let (address, events) = watched(Config::new([0xAA; 16]), Touch::Auto);
    let mut expected = Vec::new();
    for nonce in 0..5 {
        let mut stream = connect(address);
        stream.write_all(&init(nonce)).unwrap();
        read_report(&mut stream);
        let peer = Peer::Tcp(stream.local_addr().unwrap());
        drop(stream);
        use HubEvent::{Closed, Opened, PluggedIn, Unplugged};
        expected.extend([PluggedIn, Opened(peer), Closed(peer), Unplugged]);
        assert_eq!(noted(&events, expected.len()), expected);
    }
}

#[test]
fn a_client_that_comes_while_the_key_works_for_one_that_has_gone_is_served() {
    let address = plug(Touch::Ask(Box::new(|_| {
        thread::sleep(Duration::from_millis(1_500));
        Some(true)
    })));
    let mut gone = Client::new(address);
    gone.send(&[Command::SELECTION.0]);
    drop(gone);
    let mut next = connect(address);
    next.write_all(&init(1)).unwrap();
    assert_eq!(read_report(&mut next)[7..15], [1; 8]);
}

/// A client closes its connection to power-cycle the key, and connects again at once.
#[test]
fn a_client_that_reconnects_at_once_has_plugged_the_key_in_again() {
    let (address, events) = watched(Config::new([0xAA; 16]), Touch::Auto);
    let mut waits = Vec::new();
    for round in 0..100u8 {
        let start = Instant::now();
        let mut stream = connect(address);
        stream.write_all(&init(round)).unwrap();
        assert_eq!(read_report(&mut stream)[7..15], [round; 8]);
        waits.push(start.elapsed());
        if round % 2 == 0 {
            // What it leaves behind is read before it is seen to leave.
            stream.write_all(&[0; 5_000]).unwrap();
        }
    }
    waits.sort();
    println!("median {:?}, longest {:?}", waits[50], waits[99]);
    assert!(waits[50] < Duration::from_millis(50), "{:?}", waits[50]);
    let noted = noted(&events, 400);
    assert_eq!(noted.iter().filter(|event| **event == HubEvent::PluggedIn).count(), 100);
}

#[test]
fn connections_that_say_nothing_do_not_keep_the_key_from_clients() {
    let address = plug(Touch::Auto);
    let silent: Vec<_> = (0..100).map(|_| connect(address)).collect();
    for _ in 0..3 {
        assert_eq!(Client::new(address).command(Command::GET_INFO)[0], 0);
    }
    let waits: Vec<_> = silent
        .iter()
        .map(|stream| {
            stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let mut stream = stream;
            stream.read(&mut [0; 64]).is_err_and(|error| error.kind() != std::io::ErrorKind::ConnectionReset)
        })
        .collect();
    assert!(waits.iter().filter(|waits| **waits).count() <= 32, "the oldest were closed");
}

/// What clients have left behind is read in the order in which they came.
#[test]
fn clients_that_came_and_went_while_the_key_was_busy_disturb_nobody_later() {
    let (address, events) = watched(
        Config::new([0xAA; 16]),
        Touch::Ask(Box::new(|_| {
            thread::sleep(Duration::from_millis(200));
            Some(true)
        })),
    );
    let mut client = Client::new(address);
    client.send(&[Command::SELECTION.0]);
    noted(&events, 2);
    thread::sleep(Duration::from_millis(20));
    drop(client);
    for nonce in 0..10 {
        let half = made_up(0x90, &[Command::MAKE_CREDENTIAL.0]);
        let half = [&half[..5], &[0, 200], &half[7..]].concat();
        connect(address).write_all(&[&init(nonce)[..], &half].concat()).unwrap();
    }
    assert_eq!(Client::new(address).command(Command::GET_INFO)[0], 0, "not busy with what others began");
    let plugged_in = noted(&events, 46).iter().filter(|event| **event == HubEvent::PluggedIn).count();
    assert_eq!(plugged_in, 12);
}

/// The most files that the process of the next test may have open.
#[cfg(target_os = "linux")]
const FILES: usize = 20;

/// A process of its own has few files. Its clients are in this one.
#[cfg(target_os = "linux")]
#[test]
fn a_hub_without_files_left_closes_strangers_or_waits() {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };
    const NAME: &str = "door::a_hub_without_files_left_closes_strangers_or_waits";
    if std::env::var_os("KEYFOB_FEW_FILES").is_some() {
        eprintln!("\n{}", plug(Touch::Auto));
        let _ = std::io::stdin().read(&mut [0]); // until the other process has done
        return;
    }
    let script = format!("ulimit -n {FILES}; exec \"$0\" --exact {NAME} --nocapture --test-threads 1");
    let mut hub = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("KEYFOB_FEW_FILES", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(hub.stderr.take().unwrap()).lines();
    let address: SocketAddr = lines.find_map(|line| line.unwrap().parse().ok()).unwrap();
    let strangers: Vec<_> = (0..2 * FILES).map(|_| connect(address)).collect();
    let answers = |stream: &mut TcpStream| {
        let mut report = [0; REPORT_LEN];
        stream.write_all(&init(1)).unwrap();
        stream.read_exact(&mut report).map(|()| report[7..15] == [1; 8]).unwrap_or_default()
    };
    assert!(answers(&mut connect(address)), "the oldest strangers are closed");
    drop(strangers);
    let mut openers = Vec::new();
    let mut last = loop {
        assert!(openers.len() < FILES, "it has no limit");
        let mut stream = connect(address);
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        if !answers(&mut stream) {
            break stream; // all files are those of openers: it waits to be accepted
        }
        openers.push(stream);
    };
    let spent = || {
        let times = std::fs::read_to_string(format!("/proc/{}/stat", hub.id())).unwrap();
        let times: Vec<_> = times.rsplit_once(')').unwrap().1.split_whitespace().collect();
        times[11].parse::<u64>().unwrap() + times[12].parse::<u64>().unwrap()
    };
    let before = spent();
    thread::sleep(Duration::from_millis(500));
    assert!(spent() - before < 20, "it does not spin: in 1/100 s");
    openers.pop();
    last.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut report = [0; REPORT_LEN];
    last.read_exact(&mut report).unwrap();
    assert_eq!(report[7..15], [1; 8]);
    drop(hub.stdin.take());
    assert!(hub.wait().unwrap().success());
}
