//! The authenticator's end.

use super::*;

fn request(len: usize) -> Option<DeviceEvent> {
    Some(DeviceEvent::Request { protocol: Protocol::Ctap2, len })
}

#[test]
fn ping_is_echoed() {
    for length in [20, 185, 512] {
        let mut bench = Bench::new(DeviceConfig::default());
        bench.length = length;
        for len in [0, 1, 17, 18, 512, 2000] {
            assert_eq!(bench.send(BleCommand::PING, &bytes_of(len)), None);
            assert_eq!(bench.all(), fragments(BleCommand::PING, &bytes_of(len), length));
            assert_eq!((bench.device.is_idle(), bench.device.deadline()), (true, None));
        }
    }
}

#[test]
fn a_message_is_a_request_and_gets_its_answer() {
    let mut bench = Bench::new(DeviceConfig::default());
    assert_eq!(bench.send(BleCommand::MSG, &bytes_of(100)), request(100));
    assert_eq!(bench.buffer[..100], bytes_of(100));
    assert_eq!(bench.next(), None);
    bench.answer(&bytes_of(200));
    assert_eq!(bench.all(), fragments(BleCommand::MSG, &bytes_of(200), 20));
    bench.device.respond(1); // too late
    assert_eq!(bench.next(), None);
}

/// §11.4: the service revision bitfield
#[test]
fn the_selected_revision_says_what_messages_are() {
    let mut device = Device::new(DeviceConfig::default());
    assert_eq!(device.protocol(), Protocol::Ctap1, "a client that does not know revisions");
    for (revision, protocol) in [
        (Revisions::FIDO2, Protocol::Ctap2),
        (Revisions::U2F_1_1, Protocol::Ctap1),
        (Revisions::FIDO2, Protocol::Ctap2),
    ] {
        assert!(device.select(revision));
        assert_eq!(device.protocol(), protocol);
    }
    assert!(!device.select(Revisions(0xA0)) && !device.select(Revisions(0)) && !device.select(Revisions(0x10)));
    assert_eq!(device.protocol(), Protocol::Ctap2);
    device.reset();
    assert_eq!(device.protocol(), Protocol::Ctap1);

    let mut device = Device::new(DeviceConfig { revisions: Revisions::FIDO2, ..DeviceConfig::default() });
    assert_eq!(device.protocol(), Protocol::Ctap2);
    assert!(!device.select(Revisions::U2F_1_2));
}

#[test]
fn each_malformed_or_unknown_fragment_has_its_error() {
    for (fragment, code) in [
        ("", BleErrorCode::INVALID_LEN),
        ("83", BleErrorCode::INVALID_LEN),
        ("8300", BleErrorCode::INVALID_LEN),
        ("830000", BleErrorCode::INVALID_LEN),
        ("83000104ff", BleErrorCode::INVALID_LEN), // more data than the message has
        ("83ffff04", BleErrorCode::INVALID_LEN),
        ("82000101", BleErrorCode::INVALID_CMD),
        ("bf000101", BleErrorCode::INVALID_CMD),
        ("84000101", BleErrorCode::INVALID_CMD),
    ] {
        let mut bench = Bench::new(DeviceConfig::default());
        assert_eq!(bench.ask(fragment), error(code), "{fragment}");
        assert_eq!(bench.send(BleCommand::MSG, &[4]), request(1), "{fragment}");
    }
    let mut bench = Bench::new(DeviceConfig::default());
    assert_eq!(bench.ask("00010203"), error(BleErrorCode::OTHER)[1..], "no message is there to continue");
    assert_eq!(bench.ask("be0000"), error(BleErrorCode::OTHER)[1..], "no request is there to cancel");
}

#[test]
fn a_message_out_of_order_is_dropped_with_one_error() {
    for (fragment, code) in [
        ("01 00", BleErrorCode::INVALID_SEQ),
        ("7f 00", BleErrorCode::INVALID_SEQ),
        ("83 0001 04", BleErrorCode::INVALID_SEQ), // a message within a message
        ("00", BleErrorCode::INVALID_LEN),
        ("00 0102030405060708090a", BleErrorCode::INVALID_LEN), // more than the message has
        ("", BleErrorCode::INVALID_LEN),
    ] {
        let mut bench = Bench::new(DeviceConfig::default());
        assert_eq!(bench.receive(&[&hex("830019")[..], &[7; 17]].concat()), None);
        assert_eq!(bench.ask(fragment), error(code), "{fragment}");
        if !fragment.is_empty() {
            assert_eq!(bench.ask("01 00"), error(code)[1..], "one error is enough");
            assert_eq!(bench.send(BleCommand::MSG, &bytes_of(50)), request(50));
        }
    }
}

#[test]
fn a_message_that_pauses_is_dropped() {
    let mut bench = Bench::new(DeviceConfig::default());
    bench.receive(&[&hex("830019")[..], &[7; 17]].concat());
    assert_eq!(bench.device.deadline(), Some(Instant::from_millis(1500)));
    bench.wait(1499);
    assert_eq!(bench.next(), None);
    bench.wait(1);
    assert_eq!(bench.all(), error(BleErrorCode::REQ_TIMEOUT));
    assert_eq!(bench.send(BleCommand::MSG, &[4]), request(1));
}

#[test]
fn a_pending_request_stays_while_others_are_refused() {
    let mut bench = Bench::new(DeviceConfig::default());
    bench.send(BleCommand::MSG, &[4]);
    for command in [BleCommand::MSG, BleCommand::PING] {
        assert_eq!(bench.send(command, &[9; 17]), None);
        assert_eq!(bench.all(), error(BleErrorCode::BUSY));
    }
    assert_eq!(bench.ask("00 99"), error(BleErrorCode::BUSY)[1..]);
    assert_eq!(bench.buffer[0], 4);
    bench.answer(&[0; 30]);
    assert_eq!(bench.next(), Some([&hex("83001e")[..], &[0; 17]].concat()));
    bench.receive(&hex("83000104"));
    assert_eq!(bench.next(), Some(hex("bf000106")));
    assert_eq!(bench.all(), [[0; 14]], "the rest of the response");
}

#[test]
fn keep_alives_say_what_is_awaited() {
    let mut bench = Bench::new(DeviceConfig::default());
    bench.send(BleCommand::MSG, &[1]);
    bench.device.keep_alive(KeepAlive::Processing);
    assert_eq!(bench.all(), [hex("82000101")]);
    bench.device.keep_alive(KeepAlive::UpNeeded);
    assert_eq!(bench.all(), [hex("82000102")]);
    assert_eq!(bench.device.deadline(), Some(Instant::from_millis(500)));
    bench.wait(499);
    assert_eq!(bench.next(), None);
    bench.wait(1);
    assert_eq!(bench.all(), [hex("82000102")]);
}

#[test]
fn a_cancellation_comes_once_and_never_for_u2f() {
    let mut bench = Bench::new(DeviceConfig::default());
    bench.send(BleCommand::MSG, &[1]);
    assert_eq!(bench.receive(&hex("be0000")), Some(DeviceEvent::Cancel));
    assert_eq!(bench.receive(&hex("be0000")), None);
    bench.answer(&[0x2D]);
    assert_eq!(bench.receive(&hex("be0000")), None);
    assert_eq!(bench.all(), [hex("8300012d")]);

    bench.device.select(Revisions::U2F_1_1);
    assert_eq!(
        bench.send(BleCommand::MSG, &[0, 3, 0, 0]),
        Some(DeviceEvent::Request { protocol: Protocol::Ctap1, len: 4 })
    );
    assert_eq!(bench.receive(&hex("be0000")), None);
}

#[test]
fn a_revision_selected_in_the_middle_of_a_request_holds_from_the_next_on() {
    let mut bench = Bench::new(DeviceConfig::default());
    bench.receive(&[&hex("830013")[..], &[7; 17]].concat());
    assert!(bench.device.select(Revisions::U2F_1_1));
    assert_eq!(bench.receive(&hex("00 0708")), request(19), "that began as CTAP2");
    assert_eq!(bench.receive(&hex("be0000")), Some(DeviceEvent::Cancel));
    bench.answer(&[0x2D]);
    assert_eq!(bench.all(), [hex("8300012d")]);

    let u2f = Some(DeviceEvent::Request { protocol: Protocol::Ctap1, len: 4 });
    assert_eq!(bench.send(BleCommand::MSG, &[0, 3, 0, 0]), u2f);
    assert!(bench.device.select(Revisions::FIDO2));
    assert_eq!(bench.receive(&hex("be0000")), None, "U2F has no cancellation");
}

#[test]
fn a_cancellation_drops_a_message_that_has_not_arrived() {
    let mut bench = Bench::new(DeviceConfig::default());
    bench.receive(&[&hex("830019")[..], &[7; 17]].concat());
    assert_eq!(bench.receive(&hex("be0000")), None);
    assert_eq!((bench.next(), bench.device.is_idle()), (None, true));
}

#[test]
fn limits_of_length_are_those_of_the_message_layer_and_the_buffer() {
    let mut bench = Bench::new(DeviceConfig { max_message: 100, ..DeviceConfig::default() });
    assert_eq!(bench.send(BleCommand::MSG, &bytes_of(101)), None);
    assert_eq!(bench.all(), error(BleErrorCode::INVALID_LEN));
    assert_eq!(bench.send(BleCommand::MSG, &bytes_of(100)), request(100));
    bench.device.respond(65_536);
    assert_eq!(bench.all(), error(BleErrorCode::OTHER));
    bench.send(BleCommand::PING, &bytes_of(101));
    assert_eq!(bench.all(), fragments(BleCommand::PING, &bytes_of(101), 20));
    bench.buffer.truncate(50);
    bench.send(BleCommand::PING, &bytes_of(51));
    assert_eq!(bench.all(), error(BleErrorCode::INVALID_LEN));
}

#[test]
fn a_driver_that_answers_more_than_it_has_ends_its_answer() {
    let mut bench = Bench::new(DeviceConfig::default());
    bench.buffer.truncate(30);
    bench.send(BleCommand::MSG, &[4]);
    bench.device.respond(1000);
    assert!(bench.all().len() <= 60);
    assert!(bench.device.is_idle());
}
