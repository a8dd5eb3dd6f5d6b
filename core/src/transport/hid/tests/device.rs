//! The authenticator's rules: packets, channels, lengths, commands, time.

use super::*;

#[test]
fn the_report_descriptor_is_the_one_of_fido() {
    let published = "06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0";
    assert_eq!(REPORT_DESCRIPTOR, report(published)[..34]);
}

#[test]
fn packets_have_the_published_layout() {
    let get_info = packets(0x0022_0002, HidCommand::CBOR, &[0x04]);
    assert_eq!(get_info, [report("00220002 90 0001 04")]);
    let ping = packets(0x0102_0304, HidCommand::PING, &[0xEE; 118]);
    assert_eq!(ping.len(), 3);
    assert_eq!(ping[0][..7], [1, 2, 3, 4, 0x81, 0, 118]);
    assert_eq!(ping[1][..6], [1, 2, 3, 4, 0x00, 0xEE]);
    assert_eq!(ping[2][..8], [1, 2, 3, 4, 0x01, 0xEE, 0xEE, 0], "zero padding after 57 + 59 + 2 bytes");
    assert_eq!(ping[2][7..], [0; 57]);
}

#[test]
fn the_longest_message_is_7609_bytes_and_its_last_packet_is_7f() {
    let longest = packets(1, HidCommand::PING, &[0; MAX_MESSAGE]);
    assert_eq!((MAX_MESSAGE, longest.len()), (7609, 129));
    assert!(matches!(Packet::parse(&longest[128]), Packet::Continuation { sequence: 0x7F, .. }));
}

#[test]
fn a_packet_survives_parsing_and_writing() {
    for packet in [claim(7, HidCommand::MSG, 0xFFFF), continuation(BROADCAST, 0x7F), [0xFF; 64], [0; 64]] {
        assert_eq!(Packet::parse(&packet).report(), packet);
    }
}

#[test]
fn init_on_broadcast_answers_with_the_published_report() {
    let mut bench = Bench::new(DeviceConfig {
        version: [5, 2, 1],
        capabilities: Capabilities::WINK.with(Capabilities::CBOR),
        ..DeviceConfig::default()
    });
    assert_eq!(bench.receive(&report("ffffffff 86 0008 80435640b14ed92d")), None);
    let response = bench.reports();
    assert_eq!(response, [report("ffffffff 86 0011 80435640b14ed92d 00000001 02 050201 05")]);
}

#[test]
fn capabilities_say_what_is_answered() {
    let capabilities = Capabilities::NMSG;
    let mut bench = Bench::new(DeviceConfig { capabilities, ..DeviceConfig::default() });
    let answers = bench.ask(BROADCAST, HidCommand::INIT, &NONCE);
    assert_eq!(answers[0].2[16], 0x08);
    let channel = bench.allocate();
    for command in [HidCommand::WINK, HidCommand::CBOR, HidCommand::MSG] {
        assert_eq!(bench.ask(channel, command, &[1]), [error(channel, HidErrorCode::INVALID_CMD)]);
    }
}

#[test]
fn init_wants_exactly_eight_bytes() {
    let (mut bench, channel) = Bench::open();
    for len in [0, 7, 9] {
        let nonce = vec![0; len];
        assert_eq!(bench.ask(BROADCAST, HidCommand::INIT, &nonce), [error(BROADCAST, HidErrorCode::INVALID_LEN)]);
        assert_eq!(bench.ask(channel, HidCommand::INIT, &nonce), [error(channel, HidErrorCode::INVALID_LEN)]);
    }
}

#[test]
fn every_broadcast_init_allocates_another_channel() {
    let (mut bench, first) = Bench::open();
    let mut channels = vec![first, bench.allocate(), bench.allocate()];
    channels.sort_unstable();
    channels.dedup();
    assert_eq!(channels.len(), 3);
    assert!(!channels.contains(&0) && !channels.contains(&BROADCAST));
}

#[test]
fn channel_numbers_wrap_around_zero_and_broadcast() {
    let (mut bench, first) = Bench::open();
    bench.pending(first);
    bench.device.last_channel = BROADCAST - 1;
    assert_eq!((first, bench.allocate()), (1, 2), "a channel with a transaction is passed over too");
    bench.finish(first, HidCommand::CBOR);
}

#[test]
fn init_on_an_allocated_channel_keeps_it() {
    let (mut bench, channel) = Bench::open();
    let answers = bench.ask(channel, HidCommand::INIT, &NONCE);
    assert_eq!((answers[0].0, answers[0].1), (channel, HidCommand::INIT));
    assert_eq!(answers[0].2[..12], [&NONCE[..], &channel.to_be_bytes()].concat());
}

#[test]
fn the_zero_channel_is_refused_for_every_command() {
    for unknown_channels in [UnknownChannels::Strict, UnknownChannels::Lenient] {
        let mut bench = Bench::new(DeviceConfig { unknown_channels, ..DeviceConfig::default() });
        for command in [HidCommand::INIT, HidCommand::PING, HidCommand::CANCEL, HidCommand(0x66)] {
            assert_eq!(bench.ask(0, command, &NONCE), [error(0, HidErrorCode::INVALID_CHANNEL)]);
        }
    }
}

#[test]
fn broadcast_takes_nothing_but_init() {
    for unknown_channels in [UnknownChannels::Strict, UnknownChannels::Lenient] {
        let mut bench = Bench::new(DeviceConfig { unknown_channels, ..DeviceConfig::default() });
        for command in [HidCommand::PING, HidCommand::CBOR, HidCommand::CANCEL, HidCommand::LOCK] {
            assert_eq!(bench.ask(BROADCAST, command, &[1]), [error(BROADCAST, HidErrorCode::INVALID_CHANNEL)]);
        }
    }
}

#[test]
fn a_strict_device_refuses_channels_it_never_gave_out() {
    let (mut bench, channel) = Bench::open();
    for command in [HidCommand::PING, HidCommand::INIT] {
        assert_eq!(bench.ask(channel + 1, command, &NONCE), [error(channel + 1, HidErrorCode::INVALID_CHANNEL)]);
    }
}

#[test]
fn a_lenient_device_accepts_channels_it_never_gave_out_and_never_gives_them_to_another() {
    let lenient = DeviceConfig { unknown_channels: UnknownChannels::Lenient, ..DeviceConfig::default() };
    let mut bench = Bench::new(lenient);
    assert_eq!(bench.ask(1, HidCommand::PING, &[9]), [(1, HidCommand::PING, vec![9])]);
    assert_eq!(bench.ask(0x1122_3344, HidCommand::INIT, &NONCE)[0].2[8..12], [0x11, 0x22, 0x33, 0x44]);
    assert_eq!(bench.allocate(), 2);
}

#[test]
fn no_number_of_inits_closes_the_channel_of_another_client() {
    let (mut bench, first) = Bench::open();
    let others: Vec<u32> = (0..10_000).map(|_| bench.allocate()).collect();
    for channel in [first, others[0], others[5_000], others[9_999]] {
        assert_eq!(bench.ask(channel, HidCommand::PING, &[1]), [(channel, HidCommand::PING, vec![1])]);
    }
    let next = others[9_999] + 1;
    assert_eq!(bench.ask(next, HidCommand::PING, &[1]), [error(next, HidErrorCode::INVALID_CHANNEL)]);
}

#[test]
fn a_channel_that_was_open_for_a_year_is_still_open() {
    let (mut bench, channel) = Bench::open();
    bench.wait(365 * 24 * 3_600_000);
    assert_eq!(bench.ask(channel, HidCommand::PING, &[1]), [(channel, HidCommand::PING, vec![1])]);
}

#[test]
fn inits_do_not_end_the_transaction_of_another_channel() {
    let (mut bench, channel) = Bench::open();
    bench.pending(channel);
    for _ in 0..1_000 {
        bench.allocate();
    }
    assert_eq!(bench.receive(&claim(channel, HidCommand::CANCEL, 0)), Some(DeviceEvent::Cancel));
    bench.finish(channel, HidCommand::CBOR);
}

#[test]
fn reset_forgets_channels_transaction_and_lock() {
    let (mut bench, channel) = Bench::with_lock();
    bench.ask(channel, HidCommand::LOCK, &[10]);
    bench.pending(channel);
    bench.device.reset();
    bench.device.respond(1);
    assert_eq!(bench.answers(), []);
    assert_eq!(bench.ask(channel, HidCommand::PING, &[1]), [error(channel, HidErrorCode::INVALID_CHANNEL)]);
    assert_ne!(bench.allocate(), channel, "an old client must not share a new client's channel");
}

#[test]
fn an_idle_device_stays_silent() {
    let (mut bench, channel) = Bench::open();
    assert_eq!(bench.device.deadline(), None);
    assert_eq!(bench.answers_to(&continuation(channel, 0)), []);
    assert_eq!(bench.answers_to(&continuation(channel + 1, 0)), []);
    assert_eq!(bench.answers_to(&continuation(0, 0)), []);
    assert_eq!(bench.answers_to(&claim(channel, HidCommand::CANCEL, 0)), []);
    bench.wait(3_000);
    assert_eq!(bench.answers(), []);
    assert_eq!(bench.device.deadline(), None);
}

#[test]
fn a_message_longer_than_the_maximum_is_refused() {
    let mut bench = Bench::new(DeviceConfig { max_message: 1200, ..DeviceConfig::default() });
    let channel = bench.allocate();
    assert_eq!(bench.answers_to(&claim(channel, HidCommand::CBOR, 1201)), [error(channel, HidErrorCode::INVALID_LEN)]);
    assert_eq!(bench.ask(channel, HidCommand::PING, &[1; 1200]), [(channel, HidCommand::PING, vec![1; 1200])]);
}

#[test]
fn ping_and_vendor_commands_reach_as_far_as_the_buffer_whatever_ctap_takes() {
    let config = DeviceConfig { max_message: 1200, vendor_commands: true, ..DeviceConfig::default() };
    let mut bench = Bench::new(config);
    let channel = bench.allocate();
    let data: Vec<u8> = (0..MAX_MESSAGE).map(|i| i as u8).collect();
    for room in [1201, 3_000, MAX_MESSAGE] {
        bench.buffer = vec![0; room];
        assert_eq!(
            bench.ask(channel, HidCommand::PING, &data[..room]),
            [(channel, HidCommand::PING, data[..room].to_vec())]
        );
        let vendor = HidCommand(0x41);
        let event = bench.message(channel, vendor, &data[..room]);
        assert_eq!(event, Some(DeviceEvent::Request { command: vendor, len: room }));
        bench.finish(channel, vendor);
        let longer = room as u16 + 1;
        for command in [HidCommand::PING, vendor, HidCommand::CBOR, HidCommand::MSG] {
            assert_eq!(bench.answers_to(&claim(channel, command, longer)), [error(channel, HidErrorCode::INVALID_LEN)]);
        }
        assert_eq!(
            bench.answers_to(&claim(channel, HidCommand::MSG, 1201)),
            [error(channel, HidErrorCode::INVALID_LEN)]
        );
    }
}

#[test]
fn a_message_longer_than_7609_bytes_or_the_buffer_is_refused() {
    let mut bench = Bench::new(DeviceConfig { max_message: 70_000, ..DeviceConfig::default() });
    let channel = bench.allocate();
    bench.buffer = vec![0; 70_000];
    for len in [7610, 0xFFFF] {
        assert_eq!(
            bench.answers_to(&claim(channel, HidCommand::PING, len)),
            [error(channel, HidErrorCode::INVALID_LEN)]
        );
    }
    bench.buffer = vec![0; 100];
    assert_eq!(bench.answers_to(&claim(channel, HidCommand::PING, 101)), [error(channel, HidErrorCode::INVALID_LEN)]);
}

#[test]
fn an_unknown_command_is_refused_once_however_long_it_is() {
    let (mut bench, channel) = Bench::open();
    for command in [HidCommand(0x66), HidCommand(0x00), HidCommand(0x3A), HidCommand::KEEPALIVE, HidCommand::ERROR] {
        assert_eq!(bench.ask(channel, command, &[0; 300]), [error(channel, HidErrorCode::INVALID_CMD)]);
    }
}

#[test]
fn vendor_commands_are_requests_when_enabled() {
    let mut bench = Bench::new(DeviceConfig { vendor_commands: true, ..DeviceConfig::default() });
    let channel = bench.allocate();
    for command in [HidCommand(0x40), HidCommand(0x7F)] {
        let event = bench.message(channel, command, &[]);
        assert_eq!(event, Some(DeviceEvent::Request { command, len: 0 }));
        bench.finish(channel, command);
    }
    bench.message(channel, HidCommand(0x41), &[]);
    bench.device.refuse(HidErrorCode::INVALID_CMD);
    assert_eq!(bench.answers(), [error(channel, HidErrorCode::INVALID_CMD)]);
}

#[test]
fn empty_cbor_and_msg_are_refused() {
    let (mut bench, channel) = Bench::open();
    for command in [HidCommand::CBOR, HidCommand::MSG] {
        assert_eq!(bench.ask(channel, command, &[]), [error(channel, HidErrorCode::INVALID_LEN)]);
    }
}

#[test]
fn ping_echoes_every_length() {
    let (mut bench, channel) = Bench::open();
    for len in [0, 1, 57, 58, 116, 117, 1000, MAX_MESSAGE] {
        let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
        assert_eq!(bench.ask(channel, HidCommand::PING, &data), [(channel, HidCommand::PING, data)]);
    }
}

#[test]
fn wink_is_acknowledged_and_takes_no_data() {
    let (mut bench, channel) = Bench::open();
    assert_eq!(bench.message(channel, HidCommand::WINK, &[]), Some(DeviceEvent::Wink));
    assert_eq!(bench.answers(), [(channel, HidCommand::WINK, vec![])]);
    assert_eq!(bench.ask(channel, HidCommand::WINK, &[0]), [error(channel, HidErrorCode::INVALID_LEN)]);
}

#[test]
fn a_request_arrives_whole_and_its_response_goes_back_to_its_channel() {
    let (mut bench, channel) = Bench::open();
    let request: Vec<u8> = (0..500).map(|i| i as u8).collect();
    for command in [HidCommand::CBOR, HidCommand::MSG] {
        let event = bench.message(channel, command, &request);
        assert_eq!(event, Some(DeviceEvent::Request { command, len: 500 }));
        assert_eq!(bench.buffer[..500], request);
        bench.finish(channel, command);
    }
}

#[test]
fn padding_is_not_written_behind_the_message() {
    let (mut bench, channel) = Bench::open();
    bench.buffer.fill(0xEE);
    bench.message(channel, HidCommand::CBOR, &[1; 60]);
    assert_eq!(bench.buffer[59..61], [1, 0xEE]);
}

#[test]
fn a_response_longer_than_7609_bytes_is_an_error() {
    let (mut bench, channel) = Bench::open();
    for len in [MAX_MESSAGE + 1, 70_000] {
        bench.pending(channel);
        bench.device.respond(len);
        assert_eq!(bench.answers(), [error(channel, HidErrorCode::OTHER)]);
    }
    bench.pending(channel);
    bench.device.respond(MAX_MESSAGE);
    assert_eq!(bench.answers()[0].2.len(), MAX_MESSAGE);
}

#[test]
fn a_response_without_a_request_is_not_sent() {
    let (mut bench, channel) = Bench::open();
    bench.device.respond(1);
    bench.receive(&claim(channel, HidCommand::CBOR, 200));
    bench.device.respond(1);
    bench.device.refuse(HidErrorCode::OTHER);
    assert_eq!(bench.answers(), []);
}

#[test]
fn a_wrong_sequence_number_ends_the_message() {
    for wrong in [0, 2, 0x7F] {
        let (mut bench, channel) = Bench::open();
        bench.receive(&claim(channel, HidCommand::PING, 300));
        bench.receive(&continuation(channel, 0));
        assert_eq!(bench.answers_to(&continuation(channel, wrong)), [error(channel, HidErrorCode::INVALID_SEQ)]);
        assert_eq!(bench.answers_to(&continuation(channel, 1)), [], "the rest is spurious");
        assert_eq!(bench.ask(channel, HidCommand::PING, &[1]), [(channel, HidCommand::PING, vec![1])]);
    }
}

#[test]
fn an_unfinished_message_times_out_500_ms_after_its_last_packet() {
    let (mut bench, channel) = Bench::open();
    bench.receive(&claim(channel, HidCommand::CBOR, 300));
    bench.wait(400);
    bench.receive(&continuation(channel, 0));
    assert_eq!(bench.device.deadline(), Some(at(bench.now + 500)));
    bench.wait(499);
    assert_eq!(bench.answers(), []);
    bench.wait(1);
    assert_eq!(bench.answers(), [error(channel, HidErrorCode::MSG_TIMEOUT)]);
    assert_eq!((bench.answers(), bench.device.deadline()), (vec![], None));
}

#[test]
fn a_message_that_comes_slowly_times_out_three_seconds_after_its_first_packet() {
    let (mut bench, channel) = Bench::open();
    let other = bench.allocate();
    bench.receive(&claim(channel, HidCommand::CBOR, 7_609));
    for sequence in 0..7 {
        bench.wait(400);
        assert_eq!(bench.answers_to(&continuation(channel, sequence)), []);
        assert_eq!(bench.ask(other, HidCommand::PING, &[1]), [error(other, HidErrorCode::CHANNEL_BUSY)]);
    }
    assert_eq!(bench.device.deadline(), Some(at(bench.now + 200)), "2.8 of 3 s are over");
    bench.wait(199);
    assert_eq!(bench.answers_to(&continuation(channel, 7)), []);
    assert_eq!(bench.device.deadline(), Some(at(bench.now + 1)));
    bench.wait(1);
    let timeout = error(channel, HidErrorCode::MSG_TIMEOUT);
    assert_eq!(bench.ask(other, HidCommand::PING, &[1]), [timeout, (other, HidCommand::PING, vec![1])]);
    assert_eq!(bench.answers_to(&continuation(channel, 8)), [], "the rest is spurious");
}

#[test]
fn the_longest_message_may_take_almost_three_seconds() {
    let (mut bench, channel) = Bench::open();
    let data = vec![5; MAX_MESSAGE];
    for packet in packets(channel, HidCommand::PING, &data) {
        assert_eq!(bench.receive(&packet), None);
        bench.wait(23);
    }
    assert_eq!(bench.answers(), [(channel, HidCommand::PING, data)]);
}

#[test]
fn a_late_packet_finds_its_message_timed_out() {
    let (mut bench, channel) = Bench::open();
    bench.receive(&claim(channel, HidCommand::PING, 100));
    bench.wait(600);
    assert_eq!(bench.answers_to(&continuation(channel, 0)), [error(channel, HidErrorCode::MSG_TIMEOUT)]);
    bench.receive(&claim(channel, HidCommand::PING, 100));
    bench.wait(600);
    let pong = (channel, HidCommand::PING, vec![1]);
    assert_eq!(bench.ask(channel, HidCommand::PING, &[1]), [error(channel, HidErrorCode::MSG_TIMEOUT), pong]);
}
