//! The engine behind CTAPHID: what the framing passes on, and what it keeps from the engine.

use std::time::Duration;

use keyfob_core::{
    Instant, Status,
    ctap2::Command,
    transport::hid::{DeviceConfig, REPORT_LEN},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, Wait},
    hid::HidAuthenticator,
};

use super::harness::*;

const CBOR: u8 = 0x90;
const KEEPALIVE: u8 = 0xBB;
const CANCEL: u8 = 0x91;
const MSG: u8 = 0x83;
const INIT: u8 = 0x86;

struct Plugged {
    hid: HidAuthenticator<'static, Bench>,
    store: BenchStore,
    now: Instant,
}

impl Plugged {
    fn new(key: Key) -> Self {
        let hid = HidAuthenticator::new(key.engine, DeviceConfig::default());
        Self { hid, store: key.store, now: key.now }
    }

    /// Opens a channel.
    fn open(&mut self) -> [u8; 4] {
        self.send([0xFF; 4], INIT, &[1; 8]);
        let report = self.hid.transmit(self.now).unwrap();
        report[15..19].try_into().unwrap()
    }

    fn send(&mut self, channel: [u8; 4], command: u8, message: &[u8]) {
        let len = (message.len() as u16).to_be_bytes();
        let mut stream = [&channel[..], &[command], &len].concat();
        let (first, rest) = message.split_at(message.len().min(57));
        stream.extend_from_slice(first);
        stream.resize(REPORT_LEN, 0);
        for (sequence, part) in (0u8..).zip(rest.chunks(59)) {
            let start = stream.len();
            stream.extend_from_slice(&channel);
            stream.push(sequence);
            stream.extend_from_slice(part);
            stream.resize(start + REPORT_LEN, 0);
        }
        for report in stream.chunks_exact(REPORT_LEN) {
            self.hid.receive(self.now, report.try_into().unwrap());
        }
    }

    /// Works until a touch or nothing is awaited.
    fn work(&mut self) {
        while self.hid.waits_for() == Some(Wait::Processing) {
            self.hid.tick(self.now);
        }
    }

    /// The next report's command and the first byte of its data.
    fn next(&mut self) -> Option<(u8, u8)> {
        self.hid.transmit(self.now).map(|report| (report[4], report[7]))
    }

    /// All reports there are now; the status of the last message.
    fn answer(&mut self) -> Option<Status> {
        self.work();
        let mut status = None;
        while let Some(report) = self.hid.transmit(self.now) {
            if report[4] == CBOR {
                status = Some(Status(report[7]));
            }
        }
        status
    }

    fn call(&mut self, channel: [u8; 4], message: &[u8]) -> Status {
        self.send(channel, CBOR, message);
        self.work();
        self.hid.touch(self.now, true);
        self.answer().unwrap()
    }
}

#[test]
fn keep_alives_say_what_is_awaited() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    plugged.send(channel, CBOR, &message(Command::MAKE_CREDENTIAL, &registration(b"u")));
    assert_eq!(plugged.next(), Some((KEEPALIVE, 2)), "a touch");
    assert_eq!(plugged.next(), None);
    plugged.now = plugged.now.plus(Duration::from_millis(90));
    assert_eq!(plugged.next(), Some((KEEPALIVE, 2)));
    plugged.hid.touch(plugged.now, true);
    assert_eq!(plugged.next(), Some((KEEPALIVE, 1)), "processing");
    assert_eq!(plugged.answer(), Some(Status::OK));
}

/// 11.2: CTAPHID_CANCEL while a touch is awaited → KEEPALIVE_CANCEL
#[test]
fn a_cancellation_is_answered_at_once_and_only_once() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    plugged.send(channel, CBOR, &message(Command::MAKE_CREDENTIAL, &resident(b"u")));
    plugged.next();
    plugged.send(channel, CANCEL, &[]);
    assert_eq!(plugged.next(), Some((CBOR, Status::KEEPALIVE_CANCEL.0)));
    plugged.send(channel, CANCEL, &[]);
    plugged.hid.touch(plugged.now, true);
    plugged.hid.tick(plugged.now);
    assert_eq!((plugged.next(), plugged.store.credentials()), (None, 0));
    assert_eq!(plugged.call(channel, &[0x04]), Status::OK);
}

#[test]
fn a_cancellation_while_the_answer_is_sent_does_not_touch_it() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    plugged.send(channel, CBOR, &[0x04]);
    plugged.send(channel, CANCEL, &[]);
    plugged.hid.touch(plugged.now, false);
    assert_eq!(plugged.next(), Some((CBOR, 0)));
    let rest = std::iter::from_fn(|| plugged.hid.transmit(plugged.now)).count();
    assert!(rest > 1, "the answer goes on");
}

#[test]
fn another_client_is_told_to_wait_and_does_not_disturb_the_request() {
    let mut plugged = Plugged::new(Key::new());
    let (one, two) = (plugged.open(), plugged.open());
    plugged.send(one, CBOR, &message(Command::MAKE_CREDENTIAL, &resident(b"u")));
    plugged.next();
    let long = vec![0x01; 3_000];
    plugged.send(two, CBOR, &long);
    let busy = plugged.hid.transmit(plugged.now).unwrap();
    assert_eq!((&busy[..4], busy[4], busy[7]), (&two[..], 0xBF, 0x06));
    plugged.send(two, CANCEL, &[]);
    plugged.hid.touch(plugged.now, true);
    assert_eq!(plugged.answer(), Some(Status::OK));
    assert_eq!(plugged.store.credentials(), 1);
}

#[test]
fn a_resynchronised_channel_drops_its_request_without_an_answer() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    plugged.send(channel, CBOR, &message(Command::MAKE_CREDENTIAL, &resident(b"u")));
    plugged.next();
    plugged.send(channel, INIT, &[2; 8]);
    assert_eq!(plugged.next(), Some((INIT, 2)));
    plugged.hid.touch(plugged.now, true);
    assert_eq!((plugged.next(), plugged.hid.waits_for()), (None, None));
    assert_eq!(plugged.store.credentials(), 0);
}

#[test]
fn another_channel_ends_a_sequence() {
    for other in [false, true] {
        let mut key = Key::new();
        key.make(&resident(b"a")).unwrap();
        key.make(&resident(b"b")).unwrap();
        let mut plugged = Plugged::new(key);
        let (one, two) = (plugged.open(), plugged.open());
        assert_eq!(plugged.call(one, &message(Command::GET_ASSERTION, &assertion())), Status::OK);
        let channel = if other { two } else { one };
        let expected = if other { Status::NOT_ALLOWED } else { Status::OK };
        assert_eq!(plugged.call(channel, &[Command::GET_NEXT_ASSERTION.0]), expected);
    }
}

#[test]
fn a_power_cycle_forgets_the_pending_request_and_opens_the_reset_window() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    plugged.now = plugged.now.plus(Duration::from_secs(10));
    assert_eq!(plugged.call(channel, &[Command::RESET.0]), Status::NOT_ALLOWED);
    plugged.send(channel, CBOR, &[Command::SELECTION.0]);
    plugged.hid.power_cycle(plugged.now).unwrap();
    assert_eq!((plugged.hid.waits_for(), plugged.hid.deadline(), plugged.next()), (None, None, None));
    plugged.send(channel, CBOR, &[0x04]);
    assert_eq!(plugged.next(), Some((0xBF, 0x0B)), "the channel is gone");
    let channel = plugged.open();
    assert_eq!(plugged.call(channel, &[Command::RESET.0]), Status::OK);
}

#[test]
fn the_deadline_is_the_next_keep_alive_and_then_the_end_of_the_touch() {
    let mut plugged = Plugged::new(Key::new());
    assert_eq!(plugged.hid.deadline(), None);
    let channel = plugged.open();
    plugged.send(channel, CBOR, &[Command::SELECTION.0]);
    let start = plugged.now;
    let mut keep_alives = 0;
    let status = loop {
        plugged.now = plugged.hid.deadline().unwrap().max(plugged.now);
        plugged.hid.tick(plugged.now);
        match plugged.next() {
            Some((CBOR, status)) => break Status(status),
            Some((KEEPALIVE, 2)) => keep_alives += 1,
            other => assert_eq!(other, None),
        }
        assert!(plugged.now.since(start) <= Duration::from_secs(30));
    };
    assert_eq!(status, Status::USER_ACTION_TIMEOUT);
    assert!((300..=350).contains(&keep_alives), "{keep_alives} keep-alives in 30 s");
}

/// A U2F registration.
fn u2f_registration() -> Vec<u8> {
    [&[0, 1, 0, 0, 0, 0, 64][..], &[7; 64], &[0, 0]].concat()
}

#[test]
fn a_u2f_request_is_refused_until_there_was_a_touch_and_never_kept_alive() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    for _ in 0..2 {
        plugged.send(channel, MSG, &u2f_registration());
        let report = plugged.hid.transmit(plugged.now).unwrap();
        assert_eq!((report[4], &report[5..9]), (MSG, &[0, 2, 0x69, 0x85][..]));
        assert!(plugged.hid.u2f_awaits_touch(plugged.now));
    }
    plugged.hid.touch(plugged.now, true);
    plugged.send(channel, MSG, &u2f_registration());
    while plugged.hid.waits_for() == Some(Wait::Processing) {
        assert_eq!(plugged.next(), None, "no keep-alives");
        plugged.hid.tick(plugged.now);
    }
    assert_eq!(plugged.next(), Some((MSG, 0x05)));
}

#[test]
fn a_u2f_request_cannot_be_cancelled() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    plugged.send(channel, MSG, &u2f_registration());
    plugged.next();
    plugged.hid.touch(plugged.now, true);
    plugged.send(channel, MSG, &u2f_registration());
    plugged.send(channel, CANCEL, &[]);
    plugged.work();
    assert_eq!(plugged.next(), Some((MSG, 0x05)));
}

#[test]
fn another_channel_does_not_get_the_touch() {
    let mut plugged = Plugged::new(Key::new());
    let (one, two) = (plugged.open(), plugged.open());
    plugged.send(one, MSG, &u2f_registration());
    plugged.next();
    plugged.hid.touch(plugged.now, true);
    plugged.send(two, MSG, &u2f_registration());
    assert_eq!(plugged.next(), Some((MSG, 0x69)));
}

#[test]
fn init_says_whether_there_is_u2f() {
    let config = Config::new([0; 16]);
    for (caps, capabilities) in [(config.caps, 0x05), (config.caps.without(Caps::U2F), 0x0D)] {
        let mut plugged = Plugged::new(Key::with(Config { caps, ..config }));
        plugged.send([0xFF; 4], INIT, &[1; 8]);
        assert_eq!(plugged.hid.transmit(plugged.now).unwrap()[23], capabilities);
        let channel = plugged.open();
        plugged.send(channel, MSG, &[0, 3, 0, 0]);
        let expected = if capabilities & 8 == 0 { (MSG, b'U') } else { (0xBF, 0x01) };
        assert_eq!(plugged.next(), Some(expected));
    }
}
