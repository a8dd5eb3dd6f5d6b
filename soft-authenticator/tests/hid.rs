//! The engine behind CTAPHID: which messages the framing passes to the engine, and which it answers itself.

use std::time::Duration;

use keyfob_core::{
    Instant, Status,
    ctap2::{Command, CommandOptions, bio_enrollment::SampleStatus, make_credential},
    pin_uv::PinUvAuthProtocol::Two,
    transport::hid::{self, DeviceConfig, HidErrorCode, REPORT_LEN},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, Wait},
    hid::{HidAuthenticator, HidEvent},
};

use super::{harness::*, user_verification::SENSOR};

const CBOR: u8 = 0x90;
const KEEPALIVE: u8 = 0xBB;
const CANCEL: u8 = 0x91;
const MSG: u8 = 0x83;
const INIT: u8 = 0x86;
const PING: u8 = 0x81;
const LOCK: u8 = 0x84;
const WINK: u8 = 0x88;
const ERROR: u8 = 0xBF;
const VENDOR: u8 = 0xC1;

struct Plugged {
    hid: HidAuthenticator<'static, Bench>,
    store: BenchStore,
    now: Instant,
}

impl Plugged {
    fn new(key: Key) -> Self {
        Self::with(key, DeviceConfig::default())
    }

    fn with(key: Key, config: DeviceConfig) -> Self {
        let hid = HidAuthenticator::new(key.engine, config);
        Self { hid, store: key.store, now: key.now }
    }

    /// Opens a channel.
    fn open(&mut self) -> [u8; 4] {
        self.send([0xFF; 4], INIT, &[1; 8]);
        let report = self.hid.transmit(self.now).unwrap();
        report[15..19].try_into().unwrap()
    }

    /// Sends a message. Returns the event of its last report.
    fn send(&mut self, channel: [u8; 4], command: u8, message: &[u8]) -> Option<HidEvent> {
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
        let reports = stream.chunks_exact(REPORT_LEN);
        reports.map(|report| self.hid.receive(self.now, report.try_into().unwrap())).last().flatten()
    }

    /// Works until the user is awaited or nothing is pending.
    fn work(&mut self) {
        while self.hid.waits_for() == Some(Wait::Processing) {
            self.hid.tick(self.now);
        }
    }

    /// The command of the next report and the first byte of its data.
    fn next(&mut self) -> Option<(u8, u8)> {
        self.hid.transmit(self.now).map(|report| (report[4], report[7]))
    }

    /// Takes all reports that are ready. Returns the status of the last message.
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

#[test]
fn a_finger_is_awaited_like_a_touch_and_is_none() {
    let mut key = Key::with(SENSOR);
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, BE, None).unwrap();
    key.enrol(&token).unwrap();
    let mut plugged = Plugged::new(key);
    let channel = plugged.open();
    let options = Some(CommandOptions { uv: Some(true), ..Default::default() });
    let request = make_credential::Request { options, ..registration(b"u") };
    plugged.send(channel, CBOR, &message(Command::MAKE_CREDENTIAL, &request));
    assert_eq!((plugged.hid.waits_for(), plugged.next()), (Some(Wait::UserVerification), Some((KEEPALIVE, 2))));
    plugged.hid.touch(plugged.now, true);
    plugged.hid.sample(plugged.now, SampleStatus::GOOD, 0);
    assert_eq!(plugged.hid.waits_for(), Some(Wait::UserVerification));
    plugged.now = plugged.now.plus(Duration::from_millis(90));
    assert_eq!(plugged.next(), Some((KEEPALIVE, 2)));
    plugged.hid.verify(plugged.now, false);
    plugged.work();
    assert_eq!(plugged.hid.waits_for(), Some(Wait::UserVerification), "again");
    plugged.hid.verify(plugged.now, true);
    assert_eq!(plugged.answer(), Some(Status::OK));
}

#[test]
fn an_idle_authenticator_tidies_its_store_until_there_is_nothing_to_do() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    plugged.store.untidy.set(3);
    plugged.hid.tick(plugged.now);
    assert_eq!((plugged.hid.deadline(), plugged.store.untidy.get()), (None, 3), "nothing has happened yet");
    plugged.send(channel, CBOR, &[0x04]);
    plugged.hid.tick(plugged.now);
    assert_eq!(plugged.store.untidy.get(), 3, "not while the answer is sent");
    while plugged.next().is_some() {}
    for left in [2, 1, 0, 0] {
        assert_eq!(plugged.hid.deadline(), Some(Instant::default()));
        plugged.hid.tick(plugged.now);
        assert_eq!(plugged.store.untidy.get(), left, "one piece at a time");
    }
    assert_eq!(plugged.hid.deadline(), None);
    plugged.send(channel, CBOR, &[Command::SELECTION.0]);
    plugged.store.untidy.set(1);
    plugged.hid.tick(plugged.now);
    assert_eq!(plugged.store.untidy.get(), 1, "not while a command is pending");
}

#[test]
fn a_command_that_is_given_up_leaves_the_store_to_be_tidied() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    plugged.send(channel, CBOR, &[Command::SELECTION.0]);
    plugged.store.untidy.set(1);
    plugged.send(channel, INIT, &[2; 8]);
    while plugged.next().is_some() {}
    assert_eq!(plugged.hid.deadline(), Some(Instant::default()));
    for _ in 0..2 {
        plugged.hid.tick(plugged.now);
    }
    assert_eq!((plugged.hid.deadline(), plugged.store.untidy.get()), (None, 0));
}

#[test]
fn wink_reaches_the_driver_and_is_answered() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    assert_eq!(plugged.send(channel, WINK, &[]), Some(HidEvent::Wink));
    assert_eq!(plugged.next(), Some((WINK, 0)));
    assert_eq!(plugged.send(channel, WINK, &[1]), None, "a wrong length is refused");
    assert_eq!(plugged.next(), Some((ERROR, HidErrorCode::INVALID_LEN.0)));
}

fn vendor(key: Key) -> Plugged {
    Plugged::with(key, DeviceConfig { vendor_commands: true, ..DeviceConfig::default() })
}

#[test]
fn a_vendor_command_reaches_the_driver_which_answers_or_refuses_it() {
    let mut plugged = vendor(Key::new());
    let channel = plugged.open();
    let event = Some(HidEvent::Vendor { command: hid::HidCommand(0x41), len: 300 });
    assert_eq!(plugged.send(channel, VENDOR, &[7; 300]), event);
    assert_eq!(plugged.hid.vendor_buffer()[..300], [7; 300]);
    assert_eq!((plugged.next(), plugged.hid.deadline()), (None, None), "no keep-alives");
    plugged.hid.vendor_buffer()[..2].copy_from_slice(&[8, 9]);
    plugged.hid.respond_to_vendor(2);
    let answer = plugged.hid.transmit(plugged.now).unwrap();
    assert_eq!((&answer[..4], &answer[4..10]), (&channel[..], &[VENDOR, 0, 2, 8, 9, 0][..]));

    assert_eq!(plugged.send(channel, VENDOR, &[7; 300]), event);
    plugged.hid.refuse_vendor(HidErrorCode::INVALID_PAR);
    assert_eq!(plugged.next(), Some((ERROR, HidErrorCode::INVALID_PAR.0)));
}

#[test]
fn vendor_commands_are_unknown_unless_configured() {
    let mut plugged = Plugged::new(Key::new());
    let channel = plugged.open();
    assert_eq!(plugged.send(channel, VENDOR, &[7; 300]), None);
    assert_eq!(plugged.next(), Some((ERROR, HidErrorCode::INVALID_CMD.0)));
}

#[test]
fn a_vendor_command_that_was_given_up_is_not_answered_in_place_of_the_next_request() {
    let mut plugged = vendor(Key::new());
    let channel = plugged.open();
    plugged.send(channel, VENDOR, &[]);
    assert_eq!(plugged.send(channel, INIT, &[2; 8]), Some(HidEvent::VendorAborted));
    assert_eq!(plugged.next(), Some((INIT, 2)));
    plugged.send(channel, CBOR, &[Command::SELECTION.0]);
    assert_eq!(plugged.next(), Some((KEEPALIVE, 2)));
    plugged.hid.respond_to_vendor(2);
    plugged.hid.refuse_vendor(HidErrorCode::OTHER);
    assert_eq!(plugged.next(), None);
    plugged.hid.touch(plugged.now, true);
    assert_eq!(plugged.answer(), Some(Status::OK));
}

#[test]
fn ping_reaches_as_far_as_the_buffer_and_leaves_a_sequence_alone() {
    let max_msg_size = 2_048;
    let config = Config { max_msg_size, ..Config::new([0; 16]) };
    let room = config.buffer_len();
    assert!(room > max_msg_size && room <= hid::MAX_MESSAGE);
    let mut key = Key::with(config);
    key.make(&resident(b"a")).unwrap();
    key.make(&resident(b"b")).unwrap();
    let mut plugged = Plugged::with(key, DeviceConfig { max_message: max_msg_size, ..DeviceConfig::default() });
    let channel = plugged.open();
    assert_eq!(plugged.call(channel, &message(Command::GET_ASSERTION, &assertion())), Status::OK);
    plugged.send(channel, PING, &vec![0xA5; room]);
    let mut echo = Vec::new();
    while let Some(report) = plugged.hid.transmit(plugged.now) {
        let head = if echo.is_empty() { 7 } else { 5 };
        echo.extend_from_slice(&report[head..]);
    }
    assert_eq!(echo[..room], vec![0xA5; room]);
    plugged.send(channel, PING, &vec![0; room + 1]);
    assert_eq!(plugged.next(), Some((ERROR, HidErrorCode::INVALID_LEN.0)));
    plugged.send(channel, CBOR, &vec![0; max_msg_size + 1]);
    assert_eq!(plugged.next(), Some((ERROR, HidErrorCode::INVALID_LEN.0)));
    assert_eq!(plugged.call(channel, &[Command::GET_NEXT_ASSERTION.0]), Status::OK);
}

#[test]
fn lock_is_unknown_unless_configured() {
    for (lock, expected) in [(false, (ERROR, HidErrorCode::INVALID_CMD.0)), (true, (LOCK, 0))] {
        let mut plugged = Plugged::with(Key::new(), DeviceConfig { lock, ..DeviceConfig::default() });
        let channel = plugged.open();
        plugged.send(channel, LOCK, &[10]);
        assert_eq!(plugged.next(), Some(expected));
    }
}

#[test]
fn a_request_that_comes_one_packet_every_400_ms_keeps_others_out_for_three_seconds_at_most() {
    let mut plugged = Plugged::new(Key::new());
    let (slow, other) = (plugged.open(), plugged.open());
    let start = plugged.now;
    let first = [&slow[..], &[CBOR, 0x04, 0x00], &[1; 57]].concat();
    plugged.hid.receive(plugged.now, &first.try_into().unwrap());
    let mut sequence = 0;
    loop {
        plugged.now = plugged.now.plus(Duration::from_millis(400));
        plugged.send(other, PING, &[]);
        match plugged.next() {
            Some((ERROR, code)) if code == HidErrorCode::CHANNEL_BUSY.0 => {}
            Some((ERROR, code)) if code == HidErrorCode::MSG_TIMEOUT.0 => break,
            next => panic!("{next:?}"),
        }
        assert!(plugged.now.since(start) <= Duration::from_secs(3));
        let next = [&slow[..], &[sequence], &[1; 59]].concat();
        plugged.hid.receive(plugged.now, &next.try_into().unwrap());
        sequence += 1;
    }
    assert_eq!(plugged.next(), Some((PING, 0)));
}

/// A plugged-in key with a discoverable credential, a channel, and the credential.
fn registered() -> (Plugged, [u8; 4], Made) {
    let mut key = Key::new();
    let made = key.make(&resident(b"u")).unwrap();
    let mut plugged = Plugged::new(key);
    let channel = plugged.open();
    (plugged, channel, made)
}

/// Whether an allow list finds the credential.
fn finds(plugged: &mut Plugged, channel: [u8; 4], made: &Made) -> bool {
    let list = [made.descriptor()];
    let answer = plugged.call(channel, &message(Command::GET_ASSERTION, &listed(assertion(), &list)));
    assert!(matches!(answer, Status::OK | Status::NO_CREDENTIALS));
    answer.is_ok()
}

/// 11.2: CTAPHID_INIT after a registration has been committed → OK
#[test]
fn init_after_the_commit_of_a_registration_leaves_the_old_credential_working() {
    // INIT comes after this many reports of the answer; with `None`, before the answer.
    for reports in [None, Some(0), Some(1), Some(3)] {
        let (mut plugged, channel, old) = registered();
        let commits = plugged.store.applied();
        plugged.send(channel, CBOR, &message(Command::MAKE_CREDENTIAL, &resident(b"u")));
        plugged.hid.touch(plugged.now, true);
        while plugged.store.applied() == commits {
            plugged.hid.tick(plugged.now);
        }
        if let Some(reports) = reports {
            plugged.work();
            for _ in 0..reports {
                assert!(plugged.next().is_some());
            }
        }
        plugged.send(channel, INIT, &[2; 8]);
        while plugged.next().is_some() {}
        for _ in 0..3 {
            plugged.hid.tick(plugged.now);
        }
        assert!(finds(&mut plugged, channel, &old), "INIT after {reports:?} reports");
    }
}

#[test]
fn the_old_credential_goes_when_the_last_report_of_the_answer_is_out() {
    let (mut plugged, channel, old) = registered();
    assert_eq!(plugged.call(channel, &message(Command::MAKE_CREDENTIAL, &resident(b"u"))), Status::OK);
    assert_eq!(plugged.store.credentials(), 2, "nothing is given up before the driver has sent the report");
    assert_eq!(plugged.hid.deadline(), Some(Instant::default()), "there is something to do");
    plugged.hid.tick(plugged.now);
    assert_eq!(plugged.store.credentials(), 1);
    assert!(!finds(&mut plugged, channel, &old));
}

#[test]
fn a_request_that_follows_at_once_shows_that_the_last_report_was_sent() {
    let (mut plugged, channel, old) = registered();
    assert_eq!(plugged.call(channel, &message(Command::MAKE_CREDENTIAL, &resident(b"u"))), Status::OK);
    assert!(!finds(&mut plugged, channel, &old), "without a tick between");
}

#[test]
fn a_key_that_is_unplugged_within_the_answer_keeps_the_old_credential() {
    let (mut plugged, channel, old) = registered();
    plugged.send(channel, CBOR, &message(Command::MAKE_CREDENTIAL, &resident(b"u")));
    plugged.hid.touch(plugged.now, true);
    plugged.work();
    assert!(plugged.next().is_some());
    plugged.hid.power_cycle(plugged.now).unwrap();
    plugged.hid.tick(plugged.now);
    let channel = plugged.open();
    assert!(finds(&mut plugged, channel, &old));
}
