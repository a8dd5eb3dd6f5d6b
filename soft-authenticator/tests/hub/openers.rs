//! Several clients that have the key open at the same time, as on hidraw.

use super::*;

fn message(channel: [u8; 4], command: u8, data: &[u8]) -> [u8; REPORT_LEN] {
    let mut report = [0; REPORT_LEN];
    report[..4].copy_from_slice(&channel);
    report[4..7].copy_from_slice(&[0x80 | command, 0, data.len() as u8]);
    report[7..7 + data.len()].copy_from_slice(data);
    report
}

/// A connection with a channel of its own.
fn open(address: SocketAddr, nonce: u8) -> (TcpStream, [u8; 4]) {
    let mut stream = connect(address);
    stream.write_all(&init(nonce)).unwrap();
    let answer = std::iter::repeat_with(|| read_report(&mut stream)).find(|answer| answer[7..15] == [nonce; 8]);
    (stream, answer.unwrap()[15..19].try_into().unwrap())
}

#[test]
fn every_report_of_the_key_goes_to_everyone_who_has_it_open() {
    let address = plug(Touch::Auto);
    let (mut first, channel) = open(address, 1);
    let (mut second, other) = open(address, 2);
    assert_eq!(read_report(&mut first)[7..15], [2; 8], "the other one's INIT");
    first.write_all(&message(channel, 0x01, b"ping")).unwrap();
    second.write_all(&message(other, 0x01, b"pong")).unwrap();
    for stream in [&mut first, &mut second] {
        let mut answers = [read_report(stream), read_report(stream)];
        answers.sort();
        let mut expected = [message(channel, 0x01, b"ping"), message(other, 0x01, b"pong")];
        expected.sort();
        assert_eq!(answers, expected);
    }
}

#[test]
fn while_one_client_waits_for_a_touch_the_other_is_told_busy_at_once_and_can_still_init() {
    let address = plug(Touch::Never);
    let (mut first, channel) = open(address, 1);
    first.write_all(&message(channel, 0x10, &[Command::SELECTION.0])).unwrap();
    while read_report(&mut first)[4..8] != [0xBB, 0, 1, 2] {}
    let (mut second, other) = open(address, 2);
    let start = Instant::now();
    second.write_all(&message(other, 0x10, &[Command::GET_INFO.0])).unwrap();
    let is_keep_alive = |answer: &[u8; REPORT_LEN]| answer[4] == 0xBB;
    let answer = std::iter::repeat_with(|| read_report(&mut second)).find(|answer| !is_keep_alive(answer)).unwrap();
    assert_eq!(answer, message(other, 0x3F, &[HidErrorCode::CHANNEL_BUSY.0]));
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());
    first.write_all(&message(channel, 0x11, &[])).unwrap();
    let cancelled =
        std::iter::repeat_with(|| read_report(&mut second)).find(|answer| answer[..4] == channel && answer[4] == 0x90);
    assert_eq!(cancelled, Some(message(channel, 0x10, &[Status::KEEPALIVE_CANCEL.0])));
}

#[test]
fn the_first_to_open_plugs_in_and_the_last_to_close_unplugs() {
    let (address, events) = watched(Config::new([0xAA; 16]), Touch::Auto);
    let mut client = Client::new(address);
    client.pin("1234", true).unwrap();
    let (second, _) = open(address, 2);
    drop(open(address, 3));
    let token = client.pin("1234", false).unwrap();
    drop(second);
    assert_eq!(noted(&events, 6).iter().filter(|event| **event == HubEvent::PluggedIn).count(), 1);
    assert_eq!(client.make(b"u", Some(&token)), Status::OK, "the token has survived that others left");
    let token = client.pin("1234", false).unwrap();
    drop(client);
    assert_eq!(noted(&events, 8)[6..], [noted(&events, 8)[6].clone(), HubEvent::Unplugged]);
    assert_eq!(Client::new(address).make(b"v", Some(&token)), Status::PIN_AUTH_INVALID);
}

/// The first 59 bytes of its message are there, and the rest never comes.
#[test]
fn a_client_that_goes_in_the_middle_of_a_message_leaves_the_key_to_the_others() {
    let address = plug(Touch::Auto);
    let mut client = Client::new(address);
    assert_eq!(client.command(Command::GET_INFO)[0], 0);
    let (mut gone, channel) = open(address, 2);
    let mut half = message(channel, 0x10, &[Command::MAKE_CREDENTIAL.0]);
    half[5..7].copy_from_slice(&200u16.to_be_bytes());
    gone.write_all(&half).unwrap();
    drop(gone);
    thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    loop {
        let mut buffer = [0; 64];
        match client.transport.ping(&mut buffer, 10) {
            Ok(10) => break,
            Err(HidError::Device(HidErrorCode::CHANNEL_BUSY)) => thread::sleep(Duration::from_millis(20)),
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < Duration::from_secs(1), "a message may pause for half a second");
    }
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_is_closed() {
    let (address, events) = watched(Config::new([0xAA; 16]), Touch::Auto);
    let (slow, _) = open(address, 1);
    let mut client = Client::new(address);
    let (start, mut longest) = (Instant::now(), Duration::ZERO);
    let stuck = HubEvent::Stuck(Peer::Tcp(slow.local_addr().unwrap()));
    while !events.lock().unwrap().contains(&stuck) {
        let begin = Instant::now();
        let mut buffer = vec![7; MAX_MESSAGE];
        assert_eq!(client.transport.ping(&mut buffer, MAX_MESSAGE).unwrap(), MAX_MESSAGE);
        longest = longest.max(begin.elapsed());
        assert!(start.elapsed() < Duration::from_secs(30), "it is not closed");
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    assert!(start.elapsed() > Duration::from_secs(5));
    drop(slow);
    assert_eq!(client.command(Command::GET_INFO)[0], 0);
}

/// Its machine has lost power or the network, so that the connection has no end. The kernel's list of connections says
/// whether it asks.
#[cfg(target_os = "linux")]
#[test]
fn a_client_that_is_silent_is_asked_whether_it_is_still_there() {
    let address = plug(Touch::Auto);
    let (client, _) = open(address, 1);
    let place = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
    let ends = format!(" {} {} ", place(address), place(client.local_addr().unwrap()));
    let start = Instant::now();
    // The number of the timer that runs: 1 sends again what was not confirmed, 2 asks.
    while !std::fs::read_to_string("/proc/self/net/tcp").unwrap().lines().any(|line| {
        line.contains(&ends) && line.split_whitespace().nth(5).is_some_and(|timer| timer.starts_with("02:"))
    }) {
        assert!(start.elapsed() < Duration::from_secs(5));
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn no_more_than_32_clients_have_the_key_open() {
    let (address, events) = watched(Config::new([0xAA; 16]), Touch::Auto);
    let mut clients: Vec<_> = (0..32).map(|nonce| open(address, nonce).0).collect();
    let mut next = connect(address);
    let _ = next.write_all(&init(33));
    assert!(matches!(next.read(&mut [0; REPORT_LEN]), Ok(0) | Err(_)), "closed");
    assert_eq!(noted(&events, 34)[33], HubEvent::Full(Peer::Tcp(next.local_addr().unwrap())));
    clients.pop();
    noted(&events, 35);
    open(address, 34);
}

#[test]
fn a_key_that_stays_plugged_in_is_unplugged_only_by_order() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (handle, events, thread) = hub(Config::new([0xAA; 16]), Touch::Auto, |hub| {
        hub.listen_tcp(listener).unwrap();
        hub.keep_plugged_in();
    });
    assert_eq!(noted(&events, 1), [HubEvent::PluggedIn], "before anyone opens it");
    let mut client = Client::new(address);
    client.pin("1234", true).unwrap();
    let token = client.pin("1234", false).unwrap();
    drop(client);
    noted(&events, 3);
    let mut client = Client::new(address);
    assert_eq!(client.make(b"u", Some(&token)), Status::OK, "it was not unplugged");
    let token = client.pin("1234", false).unwrap();
    handle.replug();
    let noted_now = noted(&events, 7);
    assert!(matches!(noted_now[4], HubEvent::Closed(_)), "{noted_now:?}");
    assert_eq!(noted_now[5..], [HubEvent::Unplugged, HubEvent::PluggedIn]);
    assert!(client.transport.open().is_err(), "its connection is closed");
    let mut client = Client::new(address);
    assert_eq!(client.make(b"v", Some(&token)), Status::PIN_AUTH_INVALID);
    handle.stop();
    thread.join().unwrap();
    assert_eq!(*events.lock().unwrap().last().unwrap(), HubEvent::Unplugged);
}

#[test]
fn a_touch_is_seen_at_once_when_the_hub_is_woken() {
    let remote = Remote::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (handle, _, _) = hub(Config::new([0xAA; 16]), remote.touch(), |hub| hub.listen_tcp(listener).unwrap());
    let mut client = Client::new(address);
    client.send(&[Command::SELECTION.0]);
    while remote.asked() == 0 {
        let _ = client.transport.receive(&mut [0; 64], Duration::from_millis(1)).unwrap();
    }
    remote.set(Some(true));
    handle.wake();
    assert_eq!(client.receive(), [0]);
}

/// What is told of messages.
#[test]
fn commands_touches_and_answers_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let events = Events::default();
    let noted = events.clone();
    thread::spawn(move || {
        let config = Config::new([0xAA; 16]);
        let mut buffer = vec![0; config.buffer_len()];
        let options = KeyOptions { touch: Touch::Deny, ..KeyOptions::new(config) };
        let mut key = VirtualKey::new(&mut buffer, options).unwrap();
        let mut hub = Hub::new(&mut key).unwrap();
        hub.listen_tcp(listener).unwrap();
        hub.run(|event| noted.lock().unwrap().push(event)).unwrap();
    });
    let (mut stream, channel) = open(address, 1);
    let peer = Peer::Tcp(stream.local_addr().unwrap());
    let request = message(channel, 0x10, &[Command::SELECTION.0]);
    stream.write_all(&request).unwrap();
    while read_report(&mut stream)[4] != 0x90 {}
    stream.write_all(&message(channel, 0x22, &[])).unwrap();
    read_report(&mut stream);
    let start = Instant::now();
    let expected = |channel: u32| {
        use hid::HidCommand;
        [
            HubEvent::ToKey(peer, request),
            HubEvent::Command { peer, channel, command: HidCommand::CBOR, ctap2: Some(Command::SELECTION) },
            HubEvent::TouchAsked { channel },
            HubEvent::Answered { channel, command: HidCommand::CBOR, status: Some(Status::OPERATION_DENIED) },
            HubEvent::Command { peer, channel, command: HidCommand(0x22), ctap2: None },
            HubEvent::Refused { channel, code: HidErrorCode::INVALID_CMD },
        ]
    };
    let expected = expected(u32::from_be_bytes(channel));
    while !expected.iter().all(|event| events.lock().unwrap().contains(event)) {
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", events.lock().unwrap());
    }
}
