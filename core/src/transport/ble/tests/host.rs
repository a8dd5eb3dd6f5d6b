//! The client's end.

use super::*;

struct Client {
    host: Host,
    now: Instant,
    buffer: Vec<u8>,
}

impl Client {
    /// A client that has sent this CTAP2 request.
    fn sent(request: &[u8]) -> Self {
        let mut client = Self { host: Host::new(), now: Instant::default(), buffer: vec![0; 600] };
        client.send(request);
        client
    }

    fn send(&mut self, request: &[u8]) {
        assert_eq!(self.host.send(self.now, BleCommand::MSG, request.len()), Ok(()));
        let sent: Vec<_> = std::iter::from_fn(|| self.next(request)).collect();
        assert_eq!(sent, fragments(BleCommand::MSG, request, 20));
    }

    fn next(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let mut out = [0; 20];
        self.host.transmit(self.now, request, &mut out).map(|len| out[..len].to_vec())
    }

    fn hear(&mut self, fragment: &str) -> Option<HostEvent> {
        self.host.receive(self.now, &hex(fragment), &mut self.buffer)
    }
}

fn failed(failure: BleFailure) -> Option<HostEvent> {
    Some(HostEvent::Failed(failure))
}

#[test]
fn a_response_is_put_together() {
    let mut client = Client::sent(&bytes_of(100));
    let answer = bytes_of(60);
    let all = fragments(BleCommand::MSG, &answer, 20);
    for fragment in &all[..3] {
        assert_eq!(client.host.receive(client.now, fragment, &mut client.buffer), None);
    }
    let last = client.host.receive(client.now, &all[3], &mut client.buffer);
    assert_eq!(last, Some(HostEvent::Response { len: 60 }));
    assert_eq!(client.buffer[..60], answer);
    assert_eq!((client.host.is_ready(), client.host.deadline()), (true, None));
}

#[test]
fn only_one_transaction_is_pending() {
    let mut client = Client::sent(&[4]);
    assert_eq!(client.host.send(client.now, BleCommand::MSG, 1), Err(BleFailure::Pending));
    assert_eq!(client.hear("83000100"), Some(HostEvent::Response { len: 1 }));
    assert_eq!(client.host.send(client.now, BleCommand::MSG, 65_536), Err(BleFailure::RequestTooLong));
    assert_eq!(client.hear("83000100"), None, "of no transaction");
}

#[test]
fn each_wrong_fragment_of_a_response_ends_it() {
    for (first, second, event) in [
        ("830003 01", "01 0203", failed(BleFailure::Sequence)),
        ("830003 01", "830003 01", failed(BleFailure::Sequence)),
        ("830003 01", "00", failed(BleFailure::Sequence)),
        ("830003 01", "00 020304", failed(BleFailure::Sequence)),
        ("830003 01", "", failed(BleFailure::Sequence)),
        ("830003 01", "bf0001 7f", Some(HostEvent::Error(BleErrorCode::OTHER))),
        ("820001 01", "830001 0102", failed(BleFailure::Sequence)),
        ("820001 01", "810001 01", failed(BleFailure::UnexpectedCommand(BleCommand::PING))),
        ("820001 01", "830259", failed(BleFailure::BufferTooSmall { needed: 601 })),
        ("820001 01", "bf0001 06", Some(HostEvent::Error(BleErrorCode::BUSY))),
        ("820001 01", "bf0000", Some(HostEvent::Error(BleErrorCode(0)))),
    ] {
        let mut client = Client::sent(&[4]);
        assert!(matches!(client.hear(first), None | Some(HostEvent::KeepAlive(_))));
        assert_eq!(client.hear(second), event, "{first} {second}");
        client.send(&[4]);
        assert_eq!(client.hear("83000100"), Some(HostEvent::Response { len: 1 }));
    }
}

#[test]
fn what_is_left_of_an_earlier_response_is_ignored() {
    let mut client = Client::sent(&[4]);
    for fragment in ["00 0102", "7f", ""] {
        assert_eq!(client.hear(fragment), None);
    }
    let mut client = Client { host: Host::new(), now: Instant::default(), buffer: vec![0; 600] };
    client.host.send(client.now, BleCommand::MSG, 100).unwrap();
    client.next(&[7; 100]);
    assert_eq!(client.hear("83000100"), None, "the request is not sent yet");
    assert_eq!(client.hear("bf000104"), Some(HostEvent::Error(BleErrorCode::INVALID_SEQ)));
}

#[test]
fn an_authenticator_that_is_silent_or_never_ends_is_given_up() {
    let mut client = Client::sent(&[4]);
    client.now = client.now.plus_millis(9_999);
    assert_eq!(client.host.expire(client.now), None);
    assert_eq!(client.hear("82000102"), Some(HostEvent::KeepAlive(KeepAlive::UpNeeded)));
    client.now = client.now.plus_millis(10_000);
    assert_eq!(client.host.expire(client.now), failed(BleFailure::Timeout));

    let mut client = Client::sent(&[4]);
    assert_eq!(client.hear("830003 01"), None);
    client.now = client.now.plus_millis(1_500);
    assert_eq!(client.host.expire(client.now), failed(BleFailure::Timeout));

    let mut client = Client::sent(&[4]);
    let mut kept = 0;
    while let Some(HostEvent::KeepAlive(_)) = client.hear("82000101") {
        client.now = client.now.plus_millis(500);
        kept += 1;
    }
    assert_eq!(kept, 1200, "10 minutes");
    assert!(client.host.is_ready());
}

#[test]
fn a_response_that_begins_late_ends_with_the_transaction() {
    let mut client = Client::sent(&[4]);
    for _ in 0..1199 {
        assert_eq!(client.hear("82000101"), Some(HostEvent::KeepAlive(KeepAlive::Processing)));
        client.now = client.now.plus_millis(500);
    }
    let end = Instant::default().plus_millis(600_000);
    assert_eq!((client.hear("830003 01"), client.host.deadline()), (None, Some(end)), "500 ms are left");
    client.now = client.now.plus_millis(400);
    assert_eq!((client.hear("00 02"), client.host.deadline()), (None, Some(end)), "100 ms are left");
    assert_eq!(client.host.expire(end), failed(BleFailure::Timeout));
}

#[test]
fn a_cancellation_follows_the_request_and_goes_once() {
    let mut client = Client { host: Host::new(), now: Instant::default(), buffer: vec![0; 600] };
    client.host.cancel();
    client.host.send(client.now, BleCommand::MSG, 20).unwrap();
    client.host.cancel();
    let sent: Vec<_> = std::iter::from_fn(|| client.next(&[7; 20])).collect();
    assert_eq!((sent.len(), sent.last().unwrap()), (3, &hex("be0000")));
    client.host.cancel();
    assert_eq!(client.next(&[7; 20]), None);
    assert_eq!(client.hear("8300012d"), Some(HostEvent::Response { len: 1 }));
}
