//! The authenticator's end of Bluetooth with arbitrary fragments at arbitrary times. Afterwards it must still work.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Instant,
    transport::{
        Protocol,
        ble::{BleCommand, Device, DeviceConfig, DeviceEvent, FRAGMENT_TIMEOUT, Fragment, Revisions},
    },
};
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// The maximum number of fragments to send: the longest answer in the shortest fragments, an error and a keep-alive.
const MOST_FRAGMENTS: usize = 65_535 / 19 + 3;
const PING: [u8; 40] = [5; 40];

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let config = DeviceConfig { revisions: Revisions(input.byte()), max_message: input.word() };
    let mut buffer = vec![0; PING.len() + input.word() % 4096];
    let mut out = vec![0; 20 + input.word() % 493];
    let mut device = Device::new(config);
    let mut now = Instant::default();
    let (mut pending, mut cancelled) = (false, false);
    // What the pending message began with: a revision that is selected in the middle is for the next one.
    let mut begun = device.protocol();

    while !input.is_empty() {
        now = now.plus(Duration::from_millis(8) * input.byte().into());
        match input.byte() % 8 {
            0 => {
                device.respond(input.word());
                pending = false;
            }
            1 => device.keep_alive(input.byte().into()),
            2 => {
                let revision = Revisions(input.byte());
                let supported = config.revisions.contains(revision) && revision.protocol().is_some();
                assert_eq!(device.select(revision), supported);
            }
            3 => drain(&mut device, now, &buffer, &mut out),
            _ => {
                let (before, fragment) = (buffer.clone(), input.slice());
                if !pending && matches!(Fragment::parse(fragment), Some(Fragment::Initialization { .. })) {
                    begun = device.protocol();
                }
                let event = device.receive(now, fragment, &mut buffer);
                if pending {
                    assert_eq!(buffer, before, "a pending request stays in the buffer");
                }
                match event {
                    Some(DeviceEvent::Request { protocol, len }) => {
                        assert!(!pending, "one request at a time");
                        assert!(len > 0 && len <= buffer.len().min(config.max_message));
                        assert_eq!(protocol, begun);
                        (pending, cancelled) = (true, false);
                    }
                    Some(DeviceEvent::Cancel) => {
                        assert!(pending && !cancelled && begun == Protocol::Ctap2);
                        cancelled = true;
                    }
                    _ => assert!(event.is_none()),
                }
            }
        }
    }

    device.respond(1);
    now = now.plus(FRAGMENT_TIMEOUT);
    drain(&mut device, now, &buffer, &mut out);
    assert!(device.is_idle());
    let mut fragment = [0; 20];
    let head = Fragment::Initialization { command: BleCommand::PING, len: 40, data: &PING[..17] };
    let rest = [(0, 17..36), (1, 36..40)];
    let rest = rest.map(|(sequence, part)| Fragment::Continuation { sequence, data: &PING[part] });
    for one in [head, rest[0], rest[1]] {
        let len = one.write(&mut fragment);
        assert_eq!(device.receive(now, &fragment[..len], &mut buffer), None);
    }
    for one in [head, rest[0], rest[1]] {
        let len = device.transmit(now, &buffer, &mut fragment).expect("the echo");
        assert_eq!(Fragment::parse(&fragment[..len]), Some(one));
    }
    assert_eq!(device.deadline(), None, "nothing is left to do");
});

/// Takes all fragments that are ready.
fn drain(device: &mut Device, now: Instant, buffer: &[u8], out: &mut [u8]) {
    let sent = std::iter::from_fn(|| device.transmit(now, buffer, out)).take(MOST_FRAGMENTS + 1).count();
    assert!(sent <= MOST_FRAGMENTS);
}
