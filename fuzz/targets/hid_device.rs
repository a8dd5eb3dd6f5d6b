//! The authenticator's end of CTAPHID with arbitrary reports at arbitrary times. Afterwards it must still work.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Instant,
    transport::hid::{
        BROADCAST, Capabilities, Device, DeviceConfig, DeviceEvent, HidCommand, HidErrorCode, MAX_MESSAGE, Packet,
        REPORT_LEN, UnknownChannels,
    },
};
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// The maximum number of reports to send: the longest answer, all control packets and a keep-alive.
const MOST_REPORTS: usize = 129 + 8 + 1;
/// The data of a PING of two packets.
const PING: [u8; 70] = [5; 70];
/// How long a message may take to arrive.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(3);

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let flags = input.byte();
    let config = DeviceConfig {
        capabilities: Capabilities(input.byte()),
        max_message: PING.len() + input.word(),
        unknown_channels: if flags & 1 == 0 { UnknownChannels::Strict } else { UnknownChannels::Lenient },
        vendor_commands: flags & 2 != 0,
        lock: flags & 4 != 0,
        ..Default::default()
    };
    let mut buffer = vec![0; PING.len() + input.word() % MAX_MESSAGE];
    let mut device = Device::new(config);
    let mut now = Instant::default();
    let mut pending = None;
    let mut cancelled = false;
    let first = allocate(&mut device, now, &mut buffer);
    // The time of the last packet that can begin a message.
    let mut begun = now;

    while !input.is_empty() {
        now = now.plus(Duration::from_millis(4) * input.byte().into());
        match input.byte() % 8 {
            0 => {
                device.respond(input.word());
                pending = None;
            }
            1 => {
                device.refuse(HidErrorCode(input.byte()));
                pending = None;
            }
            2 => device.keep_alive(input.byte().into()),
            3 => {
                drain(&mut device, now, &buffer);
                let assembles = pending.is_none() && device.channel().is_some();
                assert!(!assembles || now.since(begun) < MESSAGE_TIMEOUT, "a message without end");
            }
            _ => {
                let (before, report) = (buffer.clone(), input.report());
                if matches!(Packet::parse(&report), Packet::Initialization { .. }) {
                    begun = now;
                }
                let event = device.receive(now, &report, &mut buffer);
                if pending.is_some() {
                    assert_eq!(buffer, before, "a pending request stays in the buffer");
                }
                match event {
                    Some(DeviceEvent::Request { command, len }) => {
                        assert_eq!(pending, None, "one request at a time");
                        let ctap = if command.is_vendor() { MAX_MESSAGE } else { config.max_message };
                        assert!(len <= buffer.len().min(ctap).min(MAX_MESSAGE));
                        assert!(len > 0 || command.is_vendor());
                        assert!(config.vendor_commands || matches!(command, HidCommand::CBOR | HidCommand::MSG));
                        (pending, cancelled) = (Some(command), false);
                    }
                    Some(DeviceEvent::Cancel) => {
                        assert!(pending == Some(HidCommand::CBOR) && !cancelled, "once per request");
                        cancelled = true;
                    }
                    Some(DeviceEvent::Aborted) => assert!(pending.take().is_some()),
                    Some(DeviceEvent::Wink) => assert!(config.capabilities.contains(Capabilities::WINK)),
                    _ => assert!(event.is_none(), "{event:?}"),
                }
            }
        }
    }

    // Locks and unfinished messages have timed out.
    device.respond(1);
    now = now.plus(Duration::from_secs(11));
    drain(&mut device, now, &buffer);
    let last = allocate(&mut device, now, &mut buffer);
    assert_ne!(first, last);
    // No report can close a channel.
    for channel in [first, last] {
        let ping = [
            Packet::Initialization { channel, command: HidCommand::PING, len: 70, data: &PING[..57] }.report(),
            Packet::Continuation { channel, sequence: 0, data: &PING[57..] }.report(),
        ];
        for report in &ping {
            assert_eq!(device.receive(now, report, &mut buffer), None);
        }
        assert_eq!(drain(&mut device, now, &buffer), ping);
        assert_eq!(device.deadline(), None, "nothing is left to do");
    }
});

/// Allocates a new channel.
fn allocate(device: &mut Device, now: Instant, buffer: &mut [u8]) -> u32 {
    let init = Packet::Initialization { channel: BROADCAST, command: HidCommand::INIT, len: 8, data: &[7; 8] }.report();
    assert_eq!(device.receive(now, &init, buffer), None);
    let [answer] = drain(device, now, buffer)[..] else { panic!("one answer to INIT") };
    let Packet::Initialization { channel: BROADCAST, command: HidCommand::INIT, len: 17, data } =
        Packet::parse(&answer)
    else {
        panic!("{answer:02x?}")
    };
    assert_eq!(data[..8], [7; 8]);
    let channel = u32::from_be_bytes(*data[8..].first_chunk().expect("57 bytes"));
    assert!(channel != 0 && channel != BROADCAST);
    channel
}

/// All reports that are ready.
fn drain(device: &mut Device, now: Instant, buffer: &[u8]) -> Vec<[u8; REPORT_LEN]> {
    let reports: Vec<_> = std::iter::from_fn(|| device.transmit(now, buffer)).take(MOST_REPORTS + 1).collect();
    assert!(reports.len() <= MOST_REPORTS);
    reports
}
