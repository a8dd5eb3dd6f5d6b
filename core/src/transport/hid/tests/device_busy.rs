//! The authenticator's rules while a transaction is pending, and the lock.

use super::*;
use crate::transport::KeepAlive;

#[test]
fn another_channel_is_told_busy_while_a_message_comes_in_and_the_message_goes_on() {
    let (mut bench, channel) = Bench::open();
    let other = bench.allocate();
    let [first, second] = packets(channel, HidCommand::PING, &[7; 100])[..] else { panic!() };
    bench.receive(&first);
    assert_eq!(bench.ask(other, HidCommand::PING, &[1]), [error(other, HidErrorCode::CHANNEL_BUSY)]);
    assert_eq!(bench.answers_to(&second), [(channel, HidCommand::PING, vec![7; 100])]);
}

#[test]
fn another_channel_is_told_busy_while_a_request_is_pending_and_the_request_goes_on() {
    let (mut bench, channel) = Bench::open();
    let other = bench.allocate();
    bench.pending(channel);
    for command in [HidCommand::PING, HidCommand::CBOR, HidCommand::WINK, HidCommand::LOCK, HidCommand(0x66)] {
        assert_eq!(bench.ask(other, command, &[1]), [error(other, HidErrorCode::CHANNEL_BUSY)]);
    }
    bench.finish(channel, HidCommand::CBOR);
}

#[test]
fn a_long_message_of_another_channel_is_told_busy_once() {
    let (mut bench, channel) = Bench::open();
    let other = bench.allocate();
    bench.pending(channel);
    assert_eq!(bench.ask(other, HidCommand::PING, &[1; 500]), [error(other, HidErrorCode::CHANNEL_BUSY)]);
    assert_eq!(bench.buffer[..1], [0x04], "and does not touch the pending request");
}

#[test]
fn a_continuation_of_another_channel_does_not_mix_into_a_message() {
    let (mut bench, channel) = Bench::open();
    let [first, second] = packets(channel, HidCommand::PING, &[7; 100])[..] else { panic!() };
    bench.receive(&first);
    assert_eq!(bench.answers_to(&continuation(channel + 1, 0)), []);
    assert_eq!(bench.answers_to(&second), [(channel, HidCommand::PING, vec![7; 100])]);
}

#[test]
fn a_new_message_inside_a_message_is_a_sequence_error_whatever_it_is() {
    for intruder in [(HidCommand::PING, 1), (HidCommand(0x66), 0), (HidCommand::CBOR, 0xFFFF), (HidCommand::WINK, 9)] {
        let (mut bench, channel) = Bench::open();
        bench.receive(&claim(channel, HidCommand::CBOR, 200));
        let intruder = claim(channel, intruder.0, intruder.1);
        assert_eq!(bench.answers_to(&intruder), [error(channel, HidErrorCode::INVALID_SEQ)]);
        assert_eq!(bench.answers_to(&continuation(channel, 0)), []);
        assert_eq!(bench.ask(channel, HidCommand::PING, &[1]), [(channel, HidCommand::PING, vec![1])]);
    }
}

#[test]
fn cancel_inside_a_message_is_silent_and_the_message_goes_on() {
    let (mut bench, channel) = Bench::open();
    let [first, second] = packets(channel, HidCommand::PING, &[7; 100])[..] else { panic!() };
    bench.receive(&first);
    assert_eq!(bench.answers_to(&claim(channel, HidCommand::CANCEL, 0)), []);
    assert_eq!(bench.answers_to(&second), [(channel, HidCommand::PING, vec![7; 100])]);
}

#[test]
fn init_inside_a_message_resynchronises_silently() {
    let (mut bench, channel) = Bench::open();
    bench.receive(&claim(channel, HidCommand::CBOR, 200));
    let answers = bench.ask(channel, HidCommand::INIT, &NONCE);
    assert_eq!((answers.len(), answers[0].1), (1, HidCommand::INIT));
    bench.wait(600);
    assert_eq!(bench.answers(), [], "no timeout either");
}

#[test]
fn init_on_the_pending_channel_aborts_the_request_and_is_answered() {
    let (mut bench, channel) = Bench::open();
    bench.pending(channel);
    bench.device.keep_alive(KeepAlive::UpNeeded);
    assert_eq!(bench.message(channel, HidCommand::INIT, &NONCE), Some(DeviceEvent::Aborted));
    bench.device.respond(1);
    let answers = bench.answers();
    assert_eq!((answers.len(), answers[0].0, answers[0].1), (1, channel, HidCommand::INIT));
    assert_eq!(bench.device.deadline(), None, "keep-alives have ended");
}

#[test]
fn init_during_a_response_ends_the_response() {
    let (mut bench, channel) = Bench::open();
    bench.message(channel, HidCommand::PING, &[1; 200]);
    bench.device.transmit(at(bench.now), &bench.buffer).unwrap();
    assert_eq!(bench.message(channel, HidCommand::INIT, &NONCE), None);
    let answers = bench.answers();
    assert_eq!((answers.len(), answers[0].1), (1, HidCommand::INIT));
}

#[test]
fn broadcast_init_is_answered_at_once_and_leaves_the_others_transaction_alone() {
    let (mut bench, channel) = Bench::open();
    let [first, second] = packets(channel, HidCommand::CBOR, &[7; 100])[..] else { panic!() };
    bench.receive(&first);
    let other = bench.allocate();
    assert_eq!(bench.receive(&second), Some(DeviceEvent::Request { command: HidCommand::CBOR, len: 100 }));
    assert_ne!(bench.allocate(), other);
    bench.ask(other, HidCommand::INIT, &NONCE);
    assert_eq!(bench.buffer[..100], [7; 100], "INIT does not need the buffer");
    bench.finish(channel, HidCommand::CBOR);
}

#[test]
fn another_channels_init_leaves_the_transaction_alone_even_on_a_made_up_channel() {
    let lenient = DeviceConfig { unknown_channels: UnknownChannels::Lenient, ..DeviceConfig::default() };
    let mut bench = Bench::new(lenient);
    let channel = bench.allocate();
    bench.receive(&claim(channel, HidCommand::PING, 100));
    assert_eq!(bench.ask(0x1122_3344, HidCommand::INIT, &NONCE)[0].1, HidCommand::INIT);
    bench.wait(500);
    assert_eq!(bench.answers(), [error(channel, HidErrorCode::MSG_TIMEOUT)]);
}

#[test]
fn the_pending_channel_is_told_busy_for_another_command() {
    let (mut bench, channel) = Bench::open();
    bench.pending(channel);
    for command in [HidCommand::PING, HidCommand::CBOR, HidCommand(0x66)] {
        assert_eq!(bench.ask(channel, command, &[1]), [error(channel, HidErrorCode::CHANNEL_BUSY)]);
    }
    bench.finish(channel, HidCommand::CBOR);
}

#[test]
fn cancel_reaches_the_pending_cbor_request_once_and_has_no_answer_of_its_own() {
    let (mut bench, channel) = Bench::open();
    bench.pending(channel);
    bench.device.keep_alive(KeepAlive::UpNeeded);
    bench.answers();
    assert_eq!(bench.receive(&report("00000001 91 0000")), Some(DeviceEvent::Cancel));
    assert_eq!(bench.answers_to(&claim(channel, HidCommand::CANCEL, 0)), []);
    bench.buffer[0] = 0x2D;
    bench.device.respond(1);
    assert_eq!(bench.answers(), [(channel, HidCommand::CBOR, vec![0x2D])]);
}

#[test]
fn cancel_of_another_channel_or_for_msg_is_ignored() {
    let (mut bench, channel) = Bench::open();
    let other = bench.allocate();
    bench.pending(channel);
    assert_eq!(bench.answers_to(&claim(other, HidCommand::CANCEL, 0)), []);
    bench.finish(channel, HidCommand::CBOR);
    bench.message(channel, HidCommand::MSG, &[0; 4]);
    assert_eq!(bench.answers_to(&claim(channel, HidCommand::CANCEL, 0)), []);
    bench.finish(channel, HidCommand::MSG);
}

#[test]
fn the_next_request_can_be_cancelled_again() {
    let (mut bench, channel) = Bench::open();
    for _ in 0..2 {
        bench.pending(channel);
        assert_eq!(bench.receive(&claim(channel, HidCommand::CANCEL, 0)), Some(DeviceEvent::Cancel));
        bench.finish(channel, HidCommand::CBOR);
    }
}

#[test]
fn keep_alives_come_at_once_on_change_and_every_100_ms_at_most() {
    let (mut bench, channel) = Bench::open();
    let keep_alive = |status| [(channel, HidCommand::KEEPALIVE, vec![status])];
    bench.pending(channel);
    bench.device.keep_alive(KeepAlive::Processing);
    assert_eq!(bench.answers(), [], "short commands have none");
    bench.wait(90);
    assert_eq!(bench.answers(), keep_alive(1), "longer ones have theirs in time");
    bench.wait(40);
    bench.device.keep_alive(KeepAlive::Processing);
    assert_eq!(bench.answers(), [], "nothing has changed");
    bench.device.keep_alive(KeepAlive::UpNeeded);
    assert_eq!(bench.answers(), keep_alive(2), "a change is told at once");
    for _ in 0..10 {
        let deadline = bench.device.deadline().unwrap().as_millis();
        assert!((50..=100).contains(&(deadline - bench.now)));
        bench.now = deadline - 1;
        assert_eq!(bench.answers(), []);
        bench.now = deadline;
        assert_eq!(bench.answers(), keep_alive(2));
    }
    bench.finish(channel, HidCommand::CBOR);
    bench.wait(1_000);
    assert_eq!((bench.answers(), bench.device.deadline()), (vec![], None));
}

#[test]
fn msg_and_vendor_requests_have_no_keep_alives() {
    let mut bench = Bench::new(DeviceConfig { vendor_commands: true, ..DeviceConfig::default() });
    let channel = bench.allocate();
    for command in [HidCommand::MSG, HidCommand(0x50)] {
        bench.message(channel, command, &[0; 4]);
        bench.device.keep_alive(KeepAlive::Processing);
        bench.wait(1_000);
        assert_eq!((bench.answers(), bench.device.deadline()), (vec![], None));
        bench.finish(channel, command);
    }
}

#[test]
fn the_published_keep_alive_report_is_sent() {
    let (mut bench, _) = Bench::open();
    bench.device.last_channel = 0x0022_0001;
    let channel = bench.allocate();
    assert_eq!(
        bench.receive(&report("00220002 90 0001 04")),
        Some(DeviceEvent::Request { command: HidCommand::CBOR, len: 1 })
    );
    bench.device.keep_alive(KeepAlive::UpNeeded);
    assert_eq!(bench.reports(), [report("00220002 bb 0001 02")]);
    bench.finish(channel, HidCommand::CBOR);
}

#[test]
fn a_flood_of_unread_answers_does_not_lose_the_last_init() {
    let (mut bench, channel) = Bench::open();
    for _ in 0..100 {
        bench.receive(&claim(channel, HidCommand(0x66), 0));
    }
    bench.receive(&claim(channel, HidCommand::INIT, 8));
    let answers = bench.answers();
    assert_eq!(answers.last().map(|answer| answer.1), Some(HidCommand::INIT));
    assert!(answers.len() <= 8);
}

#[test]
fn a_flood_of_one_channel_or_of_made_up_ones_does_not_push_out_anothers_answer() {
    let (mut bench, channel) = Bench::open();
    let other = bench.allocate();
    bench.message(other, HidCommand::WINK, &[]);
    for number in 0..100 {
        bench.receive(&claim(channel, HidCommand(0x66), 0));
        bench.receive(&claim(0x5555_0000 + number, HidCommand::PING, 0));
    }
    let answers = bench.answers();
    assert_eq!(answers[0], (other, HidCommand::WINK, vec![]));
    assert!(answers.len() <= 8 && answers.contains(&error(channel, HidErrorCode::INVALID_CMD)));
}

#[test]
fn a_ready_report_makes_the_deadline_lie_in_the_past() {
    let (mut bench, channel) = Bench::open();
    bench.message(channel, HidCommand::PING, &[1]);
    assert!(bench.device.deadline() <= Some(at(bench.now)) && bench.device.deadline().is_some());
    bench.answers();
    bench.receive(&claim(channel, HidCommand(0x66), 0));
    assert!(bench.device.deadline() <= Some(at(bench.now)) && bench.device.deadline().is_some());
}

#[test]
fn a_lock_keeps_other_channels_and_new_clients_out_until_it_ends() {
    let (mut bench, channel) = Bench::with_lock();
    let other = bench.allocate();
    assert_eq!(bench.ask(channel, HidCommand::LOCK, &[10]), [(channel, HidCommand::LOCK, vec![])]);
    bench.wait(9_999);
    for command in [HidCommand::PING, HidCommand::LOCK, HidCommand::INIT] {
        assert_eq!(bench.ask(other, command, &NONCE), [error(other, HidErrorCode::CHANNEL_BUSY)]);
    }
    assert_eq!(bench.ask(BROADCAST, HidCommand::INIT, &NONCE), [error(BROADCAST, HidErrorCode::CHANNEL_BUSY)]);
    assert_eq!(bench.ask(channel, HidCommand::PING, &[1]), [(channel, HidCommand::PING, vec![1])]);
    bench.wait(1);
    assert_eq!(bench.ask(other, HidCommand::PING, &[1]), [(other, HidCommand::PING, vec![1])]);
}

#[test]
fn lock_zero_ends_the_lock() {
    let (mut bench, channel) = Bench::with_lock();
    let other = bench.allocate();
    bench.ask(channel, HidCommand::LOCK, &[10]);
    assert_eq!(bench.ask(channel, HidCommand::LOCK, &[0]), [(channel, HidCommand::LOCK, vec![])]);
    assert_eq!(bench.ask(other, HidCommand::PING, &[1]), [(other, HidCommand::PING, vec![1])]);
}

#[test]
fn lock_takes_one_byte_of_at_most_ten_seconds() {
    let (mut bench, channel) = Bench::with_lock();
    for data in [&[][..], &[1, 1]] {
        assert_eq!(bench.ask(channel, HidCommand::LOCK, data), [error(channel, HidErrorCode::INVALID_LEN)]);
    }
    assert_eq!(bench.ask(channel, HidCommand::LOCK, &[11]), [error(channel, HidErrorCode::INVALID_PAR)]);
}

#[test]
fn lock_is_unknown_unless_configured() {
    let (mut bench, channel) = Bench::open();
    for data in [&[][..], &[0], &[10], &[11], &[1, 1]] {
        assert_eq!(bench.ask(channel, HidCommand::LOCK, data), [error(channel, HidErrorCode::INVALID_CMD)]);
    }
    let other = bench.allocate();
    assert_eq!(bench.ask(other, HidCommand::PING, &[1]), [(other, HidCommand::PING, vec![1])]);
    for lock in [false, true] {
        let mut bench = Bench::new(DeviceConfig { lock, ..DeviceConfig::default() });
        let answers = bench.ask(BROADCAST, HidCommand::INIT, &NONCE);
        assert_eq!(answers[0].2[16], 0x05, "it has no capability bit");
    }
}
