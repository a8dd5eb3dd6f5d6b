//! The client's end of Bluetooth with arbitrary fragments at arbitrary times. Afterwards it must work with a device.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Instant,
    transport::ble::{BleCommand, Device, DeviceConfig, Host, HostEvent},
};
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// The maximum number of fragments to send: the longest request in the shortest fragments, and a CANCEL.
const MOST_FRAGMENTS: usize = 65_535 / 19 + 3;
const PING: [u8; 70] = [5; 70];
/// The longest time of a transaction.
const LIMIT: Duration = Duration::from_secs(600);

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let mut buffer = vec![0; input.word() % 4096];
    let mut out = vec![0; 20 + input.word() % 493];
    let mut host = Host::new();
    let mut now = Instant::default();
    let (mut under_way, mut since) = (false, now);
    while !input.is_empty() {
        now = now.plus(Duration::from_millis(16) * input.byte().into());
        let event = match input.byte() % 8 {
            0 => {
                if host.send(now, BleCommand(input.byte() & 0x7F), input.word()).is_ok() {
                    assert!(!under_way);
                    (under_way, since) = (true, now);
                }
                None
            }
            1 => {
                host.cancel();
                None
            }
            2 => host.expire(now),
            3 => {
                let sent =
                    std::iter::from_fn(|| host.transmit(now, &buffer, &mut out)).take(MOST_FRAGMENTS + 1).count();
                assert!(sent <= MOST_FRAGMENTS);
                None
            }
            _ => host.receive(now, input.slice(), &mut buffer),
        };
        assert!(event.is_none() || under_way, "an event without a transaction");
        match event {
            None => {}
            Some(HostEvent::KeepAlive(_)) => assert!(now <= since.plus(LIMIT)),
            Some(HostEvent::Response { len }) => {
                assert!(len <= buffer.len());
                under_way = false;
            }
            Some(_) => under_way = false,
        }
        assert_eq!(host.is_ready(), !under_way);
        assert_eq!(host.deadline().is_some(), under_way);
        assert!(host.deadline().is_none_or(|deadline| deadline <= since.plus(LIMIT)), "a transaction without end");
    }

    now = now.plus(LIMIT);
    while host.transmit(now, &buffer, &mut out).is_some() {}
    now = now.plus(LIMIT);
    host.expire(now);
    let mut device = Device::new(DeviceConfig::default());
    let mut answer = vec![0; 100];
    buffer.resize(100, 0);
    buffer[..PING.len()].copy_from_slice(&PING);
    assert_eq!(host.send(now, BleCommand::PING, PING.len()), Ok(()));
    while let Some(len) = host.transmit(now, &buffer, &mut out) {
        assert_eq!(device.receive(now, &out[..len], &mut answer), None);
    }
    let mut event = None;
    while let Some(len) = device.transmit(now, &answer, &mut out) {
        event = host.receive(now, &out[..len], &mut buffer);
    }
    assert_eq!(event, Some(HostEvent::Response { len: PING.len() }));
    assert_eq!(buffer[..PING.len()], PING);
});
