//! What an interrupt answers while the thread computes.

use super::*;

/// A front with two channels, on the first of which a request is pending that the thread has taken.
fn pending(now: Instant) -> Front {
    let mut front = Front::new(Device::new(DeviceConfig::default()));
    for _ in 0..2 {
        assert!(front.receive(now, &claim_with(BROADCAST, HidCommand::INIT, &NONCE)));
        assert!(front.transmit(now).is_some());
    }
    assert!(front.receive(now, &claim_with(1, HidCommand::CBOR, &[4])));
    assert!(front.wakes());
    let event = front.deliver(|device, report| device.receive(now, report, &mut [0; 64])).unwrap();
    assert_eq!(event, Some(DeviceEvent::Request { command: HidCommand::CBOR, len: 1 }));
    front
}

fn claim_with(channel: u32, command: HidCommand, data: &[u8]) -> [u8; REPORT_LEN] {
    Packet::Initialization { channel, command, len: data.len() as u16, data }.report()
}

#[test]
fn other_channels_are_answered_while_the_thread_computes() {
    let mut front = pending(at(0));
    assert!(front.receive(at(1), &claim_with(2, HidCommand::PING, &[1])));
    let busy = claim_with(2, HidCommand::ERROR, &[HidErrorCode::CHANNEL_BUSY.0]);
    assert_eq!(front.transmit(at(1)), Some(busy));
    assert!(front.receive(at(2), &claim_with(BROADCAST, HidCommand::INIT, &NONCE)));
    assert_eq!(front.transmit(at(2)).unwrap()[..5], [0xFF, 0xFF, 0xFF, 0xFF, 0x86]);
    assert!(!front.wakes(), "the thread has nothing to do with it");
}

#[test]
fn a_keep_alive_is_due_even_if_the_thread_says_nothing() {
    let mut front = pending(at(0));
    assert_eq!(front.transmit(at(89)), None);
    assert_eq!(front.transmit(at(90)), Some(claim_with(1, HidCommand::KEEPALIVE, &[1])));
    assert_eq!(front.deadline(), Some(at(180)));
}

#[test]
fn a_cancel_wakes_the_thread_once() {
    let mut front = pending(at(0));
    for _ in 0..2 {
        assert!(front.receive(at(1), &claim_with(1, HidCommand::CANCEL, &[])));
    }
    assert_eq!((front.event(), front.event()), (Some(DeviceEvent::Cancel), None));
}

#[test]
fn after_an_abort_requests_wait_until_the_thread_has_let_go_of_the_buffer() {
    let mut front = pending(at(0));
    assert!(front.receive(at(1), &claim_with(1, HidCommand::INIT, &NONCE)));
    assert_eq!(front.transmit(at(1)).unwrap()[4], 0x86, "INIT itself is answered");
    let request = claim_with(1, HidCommand::CBOR, &[4]);
    assert!(front.receive(at(2), &request));
    assert!(front.receive(at(2), &claim_with(BROADCAST, HidCommand::INIT, &NONCE)));
    assert!(front.transmit(at(2)).is_some(), "a channel is given out meanwhile");
    assert_eq!(front.deliver(|_, report| *report), None, "the abort is about an earlier request: it comes first");
    assert_eq!(front.event(), Some(DeviceEvent::Aborted));
    assert_eq!(front.deliver(|_, report| *report), Some(request));
}

#[test]
fn reports_that_find_no_room_are_not_lost() {
    let mut front = Front::new(Device::new(DeviceConfig::default()));
    let report = claim_with(7, HidCommand::PING, &[]);
    let taken = (0..).take_while(|_| front.receive(at(0), &report)).count();
    assert_eq!(taken, 24);
    assert_eq!(front.deliver(|_, report| *report), Some(report));
    assert!(front.receive(at(0), &report), "there is room again");
}

#[test]
fn the_answer_goes_out_behind_what_was_queued_before() {
    let mut front = pending(at(0));
    front.device().respond(3);
    assert_eq!(front.deadline(), None, "the thread has it: there is nothing to send yet");
    assert!(front.wakes());
    front.fill(|device| device.transmit(at(1), b"abc"));
    assert!(front.is_busy(), "it is not sent yet");
    assert_eq!(front.transmit(at(1)), Some(claim_with(1, HidCommand::CBOR, b"abc")));
    assert_eq!(front.transmit(at(1)), None);
    assert!(!front.is_busy());
}
