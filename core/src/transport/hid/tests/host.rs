//! The client's rules.

use super::*;
use crate::transport::KeepAlive;

const CHANNEL: u32 = 0x0022_0002;
const INIT_RESPONSE: &str = "ffffffff 86 0011 80435640b14ed92d 00220002 02 050201 05";

/// A host and its clock, without a device.
struct Client {
    host: Host,
    buffer: Vec<u8>,
    now: u64,
}

impl Client {
    fn new() -> Self {
        Self { host: Host::new(), buffer: vec![0; 1024], now: 1_000 }
    }

    /// A host with an open channel.
    fn open() -> Self {
        let mut client = Self::new();
        client.host.open(at(client.now), NONCE);
        client.reports();
        assert!(matches!(client.receive(&report(INIT_RESPONSE)), Some(HostEvent::Opened(_))));
        client
    }

    /// A host whose request was sent.
    fn requested(command: HidCommand) -> Self {
        let mut client = Self::open();
        client.request(command, &[0x04]);
        client.reports();
        client
    }

    fn request(&mut self, command: HidCommand, data: &[u8]) {
        self.buffer[..data.len()].copy_from_slice(data);
        self.host.send(at(self.now), command, data.len()).unwrap();
    }

    fn wait(&mut self, millis: u64) {
        self.now += millis;
    }

    fn reports(&mut self) -> Vec<[u8; 64]> {
        std::iter::from_fn(|| self.host.transmit(at(self.now), &self.buffer)).collect()
    }

    fn receive(&mut self, report: &[u8; 64]) -> Option<HostEvent> {
        self.host.receive(at(self.now), report, &mut self.buffer)
    }

    fn error(&mut self, code: HidErrorCode) -> Option<HostEvent> {
        self.receive(&single(CHANNEL, HidCommand::ERROR, &[code.0]))
    }

    fn expire(&mut self) -> Option<HostEvent> {
        self.host.expire(at(self.now))
    }

    /// Advances the clock to one millisecond before the deadline and checks that nothing happens until then.
    fn until_deadline(&mut self) -> u64 {
        let start = self.now;
        self.now = self.host.deadline().expect("no deadline").as_millis() - 1;
        assert_eq!((self.reports(), self.expire()), (vec![], None));
        self.now += 1;
        self.now - start
    }

    fn is_closed(&mut self) -> bool {
        self.host.send(at(self.now), HidCommand::PING, 0) == Err(HidFailure::NotOpen)
    }
}

#[test]
fn opening_sends_the_published_init_and_reads_its_response() {
    let mut client = Client::new();
    assert_eq!((client.host.deadline(), client.reports()), (None, vec![]));
    client.host.open(at(client.now), NONCE);
    assert_eq!(client.reports(), [report("ffffffff 86 0008 80435640b14ed92d")]);
    let info = DeviceInfo { protocol_version: 2, version: [5, 2, 1], capabilities: Capabilities(0x05) };
    assert_eq!(client.receive(&report(INIT_RESPONSE)), Some(HostEvent::Opened(info)));
    assert!(info.capabilities.contains(Capabilities::CBOR) && !info.capabilities.contains(Capabilities::NMSG));
}

#[test]
fn requests_go_out_on_the_channel_that_was_given() {
    let mut client = Client::open();
    client.request(HidCommand::CBOR, &[0x04]);
    assert_eq!(client.reports(), [report("00220002 90 0001 04")]);
    assert_eq!(client.receive(&report("00220002 bb 0001 02")), Some(HostEvent::KeepAlive(KeepAlive::UpNeeded)));
    let response = HostEvent::Response { command: HidCommand::CBOR, len: 4 };
    assert_eq!(client.receive(&report("00220002 90 0004 00a10308")), Some(response));
    assert_eq!(client.buffer[..4], [0x00, 0xa1, 0x03, 0x08]);
    assert_eq!(client.host.deadline(), None);
}

#[test]
fn init_responses_with_another_nonce_or_too_short_are_ignored() {
    let mut client = Client::new();
    client.host.open(at(client.now), NONCE);
    client.reports();
    for foreign in [
        "ffffffff 86 0011 80435640b14ed92e 00220003 02 050201 05",
        "ffffffff 86 0010 80435640b14ed92d 00220003 02 050201 05",
        "00220002 86 0011 80435640b14ed92d 00220003 02 050201 05",
        "ffffffff 81 0011 80435640b14ed92d 00220003 02 050201 05",
        "ffffffff 00",
    ] {
        assert_eq!(client.receive(&report(foreign)), None);
    }
    assert!(matches!(client.receive(&report(INIT_RESPONSE)), Some(HostEvent::Opened(_))));
}

#[test]
fn a_longer_init_response_of_a_later_protocol_is_read() {
    let mut client = Client::new();
    client.host.open(at(client.now), NONCE);
    client.reports();
    let later = report("ffffffff 86 0014 80435640b14ed92d 00220002 03 050201 05 ffffff");
    assert!(matches!(client.receive(&later), Some(HostEvent::Opened(DeviceInfo { protocol_version: 3, .. }))));
}

#[test]
fn reports_of_other_channels_are_ignored_in_every_phase() {
    let foreign =
        ["00220003 90 0001 00", "00220003 bf 0001 06", "00220003 bb 0001 02", "00220003 00", "ffffffff 86 0011"];
    let mut client = Client::requested(HidCommand::CBOR);
    for packet in foreign {
        assert_eq!(client.receive(&report(packet)), None);
    }
    assert_eq!(client.receive(&claim(CHANNEL, HidCommand::CBOR, 100)), None);
    for packet in foreign {
        assert_eq!(client.receive(&report(packet)), None);
    }
    let response = HostEvent::Response { command: HidCommand::CBOR, len: 100 };
    assert_eq!(client.receive(&continuation(CHANNEL, 0)), Some(response));
}

#[test]
fn opening_gives_up_after_three_seconds_of_silence() {
    let mut client = Client::new();
    client.host.open(at(client.now), NONCE);
    client.reports();
    assert_eq!(client.until_deadline(), 3_000);
    assert_eq!(client.expire(), Some(HostEvent::Failed(HidFailure::Timeout)));
    assert!(client.is_closed());
}

#[test]
fn a_busy_authenticator_is_asked_for_a_channel_again_after_100_ms() {
    let mut client = Client::new();
    client.host.open(at(client.now), NONCE);
    let init = client.reports();
    assert_eq!(client.receive(&report("ffffffff bf 0001 06")), None);
    assert_eq!(client.until_deadline(), 100);
    assert_eq!(client.reports(), init);
    assert!(matches!(client.receive(&report(INIT_RESPONSE)), Some(HostEvent::Opened(_))));
}

#[test]
fn reopening_resynchronises_the_channel_there_is() {
    let mut client = Client::requested(HidCommand::CBOR);
    client.host.open(at(client.now), [7; 8]);
    assert_eq!(client.reports(), [single(CHANNEL, HidCommand::INIT, &[7; 8])]);
    // Late packets of the transaction that INIT ends.
    assert_eq!(client.receive(&report("00220002 90 0001 00")), None);
    assert_eq!(client.error(HidErrorCode::MSG_TIMEOUT), None);
    let response = report("00220002 86 0011 0707070707070707 00220002 02 050201 05");
    assert!(matches!(client.receive(&response), Some(HostEvent::Opened(_))));
    client.request(HidCommand::CBOR, &[0x04]);
    assert_eq!(client.reports(), [report("00220002 90 0001 04")]);
}

#[test]
fn a_restarted_authenticator_is_asked_for_a_new_channel() {
    let mut client = Client::requested(HidCommand::CBOR);
    client.host.open(at(client.now), NONCE);
    client.reports();
    assert_eq!(client.error(HidErrorCode::INVALID_CHANNEL), None);
    assert_eq!(client.reports(), [report("ffffffff 86 0008 80435640b14ed92d")]);
    assert!(matches!(client.receive(&report(INIT_RESPONSE)), Some(HostEvent::Opened(_))));
}

#[test]
fn a_channel_that_does_not_resynchronise_is_forgotten() {
    let mut client = Client::open();
    client.host.open(at(client.now), NONCE);
    client.reports();
    client.until_deadline();
    assert_eq!(client.expire(), Some(HostEvent::Failed(HidFailure::Timeout)));
    client.host.open(at(client.now), NONCE);
    assert_eq!(client.reports(), [single(BROADCAST, HidCommand::INIT, &NONCE)]);
}

#[test]
fn invalid_channel_for_a_request_closes_the_channel() {
    let mut client = Client::requested(HidCommand::CBOR);
    assert_eq!(client.error(HidErrorCode::INVALID_CHANNEL), Some(HostEvent::Error(HidErrorCode::INVALID_CHANNEL)));
    assert!(client.is_closed());
    client.host.open(at(client.now), NONCE);
    assert_eq!(client.reports(), [single(BROADCAST, HidCommand::INIT, &NONCE)]);
}

#[test]
fn sending_is_refused_while_closed_pending_or_too_long() {
    let mut client = Client::new();
    assert!(client.is_closed());
    client = Client::open();
    assert_eq!(client.host.send(at(0), HidCommand::PING, MAX_MESSAGE + 1), Err(HidFailure::RequestTooLong));
    client.request(HidCommand::PING, &[1]);
    assert_eq!(client.host.send(at(0), HidCommand::PING, 1), Err(HidFailure::Pending));
}

#[test]
fn a_busy_authenticator_gets_the_whole_request_again_after_100_ms() {
    let mut client = Client::open();
    client.request(HidCommand::CBOR, &[9; 200]);
    let request = client.reports();
    assert_eq!(request.len(), 4);
    for _ in 0..5 {
        assert_eq!(client.error(HidErrorCode::CHANNEL_BUSY), None);
        assert_eq!(client.until_deadline(), 100);
        assert_eq!(client.reports(), request);
    }
    let response = HostEvent::Response { command: HidCommand::CBOR, len: 1 };
    assert_eq!(client.receive(&report("00220002 90 0001 00")), Some(response));
}

#[test]
fn busy_in_the_middle_of_the_request_starts_it_again() {
    let mut client = Client::open();
    client.request(HidCommand::CBOR, &[9; 200]);
    let first = client.host.transmit(at(client.now), &client.buffer).unwrap();
    assert_eq!(client.error(HidErrorCode::CHANNEL_BUSY), None);
    assert!(client.reports().is_empty());
    client.wait(100);
    assert_eq!(client.reports()[0], first);
}

#[test]
fn an_authenticator_busy_for_30_seconds_is_reported() {
    let mut client = Client::requested(HidCommand::CBOR);
    let start = client.now;
    let event = loop {
        if let Some(event) = client.error(HidErrorCode::CHANNEL_BUSY) {
            break event;
        }
        client.until_deadline();
        assert_eq!(client.reports().len(), 1);
    };
    assert_eq!((event, client.now - start), (HostEvent::Error(HidErrorCode::CHANNEL_BUSY), 30_000));
    client.request(HidCommand::CBOR, &[0x04]);
}

#[test]
fn cancelling_a_request_that_waits_for_a_busy_authenticator_ends_it() {
    let mut client = Client::requested(HidCommand::MSG);
    client.error(HidErrorCode::CHANNEL_BUSY);
    client.host.cancel();
    assert!(client.host.deadline() <= Some(at(client.now)));
    client.wait(100);
    assert!(client.reports().is_empty());
    assert_eq!(client.expire(), Some(HostEvent::Error(HidErrorCode::CHANNEL_BUSY)));
    assert_eq!((client.expire(), client.host.deadline()), (None, None));
}

#[test]
fn cancel_goes_out_once_and_the_response_is_still_awaited() {
    let mut client = Client::requested(HidCommand::CBOR);
    client.host.cancel();
    client.host.cancel();
    assert_eq!(client.reports(), [report("00220002 91 0000")]);
    client.host.cancel();
    assert_eq!(client.receive(&report("00220002 bb 0001 02")), Some(HostEvent::KeepAlive(KeepAlive::UpNeeded)));
    client.host.cancel();
    assert!(client.reports().is_empty());
    let response = HostEvent::Response { command: HidCommand::CBOR, len: 1 };
    assert_eq!(client.receive(&report("00220002 90 0001 2d")), Some(response));
    client.request(HidCommand::CBOR, &[0x04]);
    assert_eq!(client.reports().len(), 1, "no stale cancel before or behind the next request");
}

#[test]
fn cancel_waits_until_the_request_is_out() {
    let mut client = Client::open();
    client.request(HidCommand::CBOR, &[9; 100]);
    client.host.cancel();
    let reports = client.reports();
    assert_eq!((reports.len(), reports[2]), (3, report("00220002 91 0000")));
}

#[test]
fn cancel_without_a_cbor_request_sends_nothing() {
    let mut client = Client::open();
    client.host.cancel();
    assert!(client.reports().is_empty());
    for command in [HidCommand::MSG, HidCommand::PING, HidCommand(0x40)] {
        let mut client = Client::requested(command);
        client.host.cancel();
        assert!(client.reports().is_empty());
    }
    let mut client = Client::requested(HidCommand::CBOR);
    client.receive(&claim(CHANNEL, HidCommand::CBOR, 100));
    client.host.cancel();
    assert!(client.reports().is_empty(), "the response is on its way");
}

#[test]
fn silence_fails_a_request_and_a_keep_alive_starts_the_time_anew() {
    for (command, seconds) in
        [(HidCommand::PING, 3), (HidCommand::CBOR, 10), (HidCommand::MSG, 30), (HidCommand(0x40), 30)]
    {
        let mut client = Client::requested(command);
        for _ in 0..3 {
            assert_eq!(client.until_deadline(), seconds * 1_000);
            let event = client.receive(&single(CHANNEL, HidCommand::KEEPALIVE, &[1]));
            assert_eq!(event, Some(HostEvent::KeepAlive(KeepAlive::Processing)));
        }
        client.until_deadline();
        assert_eq!(client.expire(), Some(HostEvent::Failed(HidFailure::Timeout)));
        assert!(client.is_closed());
    }
}

#[test]
fn unknown_keep_alive_statuses_are_kept() {
    let mut client = Client::requested(HidCommand::CBOR);
    let event = client.receive(&single(CHANNEL, HidCommand::KEEPALIVE, &[0x77]));
    assert_eq!(event, Some(HostEvent::KeepAlive(KeepAlive::Other(0x77))));
}

#[test]
fn a_response_that_stops_fails_after_500_ms() {
    let mut client = Client::requested(HidCommand::CBOR);
    client.receive(&claim(CHANNEL, HidCommand::CBOR, 200));
    client.until_deadline();
    client.receive(&continuation(CHANNEL, 0));
    assert_eq!(client.until_deadline(), 500);
    assert_eq!(client.expire(), Some(HostEvent::Failed(HidFailure::Timeout)));
}

#[test]
fn a_report_that_waited_beyond_the_deadline_still_counts() {
    let mut client = Client::requested(HidCommand::PING);
    client.wait(60_000);
    let response = HostEvent::Response { command: HidCommand::PING, len: 1 };
    assert_eq!(client.receive(&report("00220002 81 0001 04")), Some(response));
}

#[test]
fn packets_out_of_sequence_fail_the_response() {
    for intruder in [continuation(CHANNEL, 0), continuation(CHANNEL, 2), claim(CHANNEL, HidCommand::CBOR, 200)] {
        let mut client = Client::requested(HidCommand::CBOR);
        client.receive(&claim(CHANNEL, HidCommand::CBOR, 300));
        client.receive(&continuation(CHANNEL, 0));
        assert_eq!(client.receive(&intruder), Some(HostEvent::Failed(HidFailure::Sequence)));
        assert!(client.is_closed());
    }
}

#[test]
fn a_continuation_without_its_beginning_is_ignored() {
    let mut client = Client::requested(HidCommand::CBOR);
    assert_eq!(client.receive(&continuation(CHANNEL, 0)), None);
    assert!(client.receive(&report("00220002 90 0001 00")).is_some());
}

#[test]
fn a_late_init_response_never_answers_a_request() {
    let mut client = Client::requested(HidCommand::CBOR);
    assert_eq!(client.receive(&single(CHANNEL, HidCommand::INIT, &[0; 17])), None);
    assert!(client.receive(&report("00220002 90 0001 00")).is_some());
}

#[test]
fn nothing_answers_a_request_that_is_not_out_yet() {
    let mut client = Client::open();
    client.request(HidCommand::CBOR, &[9; 100]);
    client.host.transmit(at(client.now), &client.buffer).unwrap();
    assert_eq!(client.receive(&report("00220002 90 0001 00")), None);
    assert_eq!(client.buffer[..100], [9; 100]);
}

#[test]
fn cancel_after_a_busy_transaction_has_ended_does_nothing() {
    let mut client = Client::new();
    client.host.open(at(client.now), NONCE);
    client.reports();
    client.receive(&report("ffffffff bf 0001 06"));
    assert!(client.receive(&report(INIT_RESPONSE)).is_some());
    client.host.cancel();
    assert!(client.host.is_ready());
}

#[test]
fn a_response_to_another_command_fails() {
    let mut client = Client::requested(HidCommand::CBOR);
    let event = client.receive(&single(CHANNEL, HidCommand::MSG, &[0x90, 0x00]));
    assert_eq!(event, Some(HostEvent::Failed(HidFailure::UnexpectedCommand(HidCommand::MSG))));
}

#[test]
fn a_response_longer_than_the_buffer_fails() {
    let mut client = Client::requested(HidCommand::CBOR);
    let event = client.receive(&claim(CHANNEL, HidCommand::CBOR, 1025));
    assert_eq!(event, Some(HostEvent::Failed(HidFailure::BufferTooSmall { needed: 1025 })));
    let mut client = Client::requested(HidCommand::CBOR);
    client.buffer = vec![0; 70_000];
    let event = client.receive(&claim(CHANNEL, HidCommand::CBOR, 7610));
    assert_eq!(event, Some(HostEvent::Failed(HidFailure::ResponseTooLong)));
}

#[test]
fn errors_end_the_transaction_and_the_next_one_works() {
    for code in [HidErrorCode::INVALID_CMD, HidErrorCode::MSG_TIMEOUT, HidErrorCode::OTHER, HidErrorCode(0x55)] {
        let mut client = Client::requested(HidCommand::CBOR);
        assert_eq!(client.error(code), Some(HostEvent::Error(code)));
        client.request(HidCommand::CBOR, &[0x04]);
        client.reports();
        client.receive(&claim(CHANNEL, HidCommand::CBOR, 100));
        assert_eq!(client.error(code), Some(HostEvent::Error(code)), "also in the middle of a response");
    }
}

#[test]
fn names_are_printed_and_unknown_values_too() {
    assert_eq!(format!("{:?} {:?}", HidCommand::KEEPALIVE, HidCommand(0x66)), "KEEPALIVE HidCommand(0x66)");
    assert_eq!(format!("{:?} {:?}", HidErrorCode::CHANNEL_BUSY, HidErrorCode(0x55)), "CHANNEL_BUSY HidErrorCode(0x55)");
}
