//! The client's end of CTAPHID with arbitrary reports at arbitrary times. Afterwards it must work with a device.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Instant,
    transport::hid::{BROADCAST, Device, DeviceConfig, HidCommand, Host, HostEvent, MAX_MESSAGE, Packet},
};
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// The maximum number of reports to send: the longest request and a CANCEL.
const MOST_REPORTS: usize = 129 + 1;
const NONCE: [u8; 8] = [1; 8];
const PING: [u8; 70] = [5; 70];
/// The longest time of a transaction, plus a pause after CHANNEL_BUSY.
const LIMIT: Duration = Duration::from_millis(600_100);

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let opened = input.byte() & 1 == 0;
    let mut buffer = vec![0; input.word() % (MAX_MESSAGE + 1)];
    let mut host = Host::new();
    let mut now = Instant::default();
    if opened {
        // Channel 1.
        let data = [[1; 8], [0, 0, 0, 1, 2, 0, 0, 0]].concat();
        let init = Packet::Initialization { channel: BROADCAST, command: HidCommand::INIT, len: 17, data: &data };
        host.open(now, NONCE);
        assert!(host.transmit(now, &[]).is_some());
        assert!(matches!(host.receive(now, &init.report(), &mut buffer), Some(HostEvent::Opened(_))));
    }

    let mut under_way = None;
    let mut since = now;
    while !input.is_empty() {
        now = now.plus(Duration::from_millis(16) * input.byte().into());
        let event = match input.byte() % 8 {
            0 => {
                let (command, len) = (HidCommand(input.byte() & 0x7F), input.word());
                if host.send(now, command, len).is_ok() {
                    assert!(under_way.is_none() && len <= MAX_MESSAGE);
                    (under_way, since) = (Some(command), now);
                }
                None
            }
            1 => {
                host.open(now, NONCE);
                (under_way, since) = (Some(HidCommand::INIT), now);
                None
            }
            2 => {
                host.cancel();
                None
            }
            3 => host.expire(now),
            4 => {
                let sent = std::iter::from_fn(|| host.transmit(now, &buffer)).take(MOST_REPORTS + 1).count();
                assert!(sent <= MOST_REPORTS);
                None
            }
            _ => host.receive(now, &input.report(), &mut buffer),
        };
        let ends = match event {
            None | Some(HostEvent::KeepAlive(_)) => false,
            Some(HostEvent::Opened(_)) => {
                assert_eq!(under_way, Some(HidCommand::INIT));
                true
            }
            Some(HostEvent::Response { command, len }) => {
                assert_eq!(under_way, Some(command));
                assert!(len <= buffer.len().min(MAX_MESSAGE));
                true
            }
            Some(_) => true, // an error
        };
        assert!(event.is_none() || under_way.is_some(), "an event without a transaction");
        if ends {
            under_way = None;
        }
        assert_eq!(host.deadline().is_some(), under_way.is_some());
        assert!(host.deadline().is_none_or(|deadline| deadline <= since.plus(LIMIT)), "a transaction without end");
        assert!(!matches!(event, Some(HostEvent::KeepAlive(_))) || now <= since.plus(LIMIT));
    }

    // The device does not know a channel that the reports invented, so the host then opens another.
    let mut device = Device::new(DeviceConfig::default());
    let mut answer = vec![0; MAX_MESSAGE];
    buffer.resize(MAX_MESSAGE, 0);
    host.open(now, NONCE);
    assert!(matches!(run(&mut host, &mut device, now, &mut buffer, &mut answer), HostEvent::Opened(_)));
    buffer[..PING.len()].copy_from_slice(&PING);
    assert_eq!(host.send(now, HidCommand::PING, PING.len()), Ok(()));
    let response = HostEvent::Response { command: HidCommand::PING, len: PING.len() };
    assert_eq!(run(&mut host, &mut device, now, &mut buffer, &mut answer), response);
    assert_eq!(buffer[..PING.len()], PING);
});

/// Passes reports in both directions until the host has an event.
fn run(host: &mut Host, device: &mut Device, now: Instant, buffer: &mut [u8], answer: &mut [u8]) -> HostEvent {
    for _ in 0..8 {
        while let Some(report) = host.transmit(now, buffer) {
            assert_eq!(device.receive(now, &report, answer), None);
        }
        while let Some(report) = device.transmit(now, answer) {
            if let Some(event) = host.receive(now, &report, buffer) {
                return event;
            }
        }
    }
    panic!("nothing happens: {host:?}")
}
