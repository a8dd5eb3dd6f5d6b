//! The client's end of NFC with arbitrary responses. Afterwards it must work with a device.
#![no_main]

use keyfob_core::{
    Instant,
    transport::{
        Protocol,
        nfc::{Device, DeviceConfig, DeviceEvent, Host, HostEvent, Lengths, MAX_POLLS, NfcFailure, SHORT_FRAME},
    },
};
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// What is sent to the device at the end.
const REQUEST: [u8; 300] = [5; 300];

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let flags = input.byte();
    let lengths = if flags & 1 == 0 { Lengths::Short } else { Lengths::Extended };
    let mut frame = vec![0; SHORT_FRAME + input.word() % 1024];
    let mut buffer = vec![0; input.word() % 2048];
    let mut host = Host::new(lengths);
    let mut request = vec![];
    // Whether a transaction is under way, and how often the device has said that it works.
    let (mut under_way, mut polls) = (false, 0_u32);

    while !input.is_empty() {
        let event = match input.byte() % 8 {
            0 => {
                host.select();
                (under_way, polls) = (true, 0);
                None
            }
            1 | 2 => {
                let protocol = if input.byte() & 1 == 0 { Protocol::Ctap2 } else { Protocol::Ctap1 };
                let new = input.slice();
                if host.send(protocol, new).is_ok() {
                    assert!(!under_way);
                    (request, under_way, polls) = (new.to_vec(), true, 0);
                }
                None
            }
            3 => {
                host.cancel();
                None
            }
            4 => {
                host.close();
                under_way = false;
                None
            }
            _ => {
                if let Some(len) = host.transmit(&request, &mut frame) {
                    assert!(under_way && len >= 4 && len <= frame.len());
                }
                host.receive(input.slice(), &mut buffer)
            }
        };
        match event {
            None => {}
            Some(HostEvent::KeepAlive(_)) => {
                assert!(under_way && host.is_sent());
                polls += 1;
                assert!(polls <= MAX_POLLS.into());
            }
            Some(event) => {
                assert!(std::mem::take(&mut under_way), "an event without a transaction");
                match event {
                    HostEvent::Response { len } => assert!(len <= buffer.len() && host.is_ready()),
                    HostEvent::Failed(NfcFailure::BufferTooSmall { needed }) => {
                        assert!(needed > buffer.len() && host.is_ready());
                    }
                    HostEvent::Selected(version) => assert_eq!(host.version(), Some(version)),
                    _ => assert!(!host.is_ready()),
                }
            }
        }
    }

    let mut device = Device::new(DeviceConfig::default());
    let mut answer = vec![0; 1024];
    buffer.resize(1024, 0);
    host.select();
    assert!(matches!(run(&mut host, &mut device, &mut frame, &mut buffer, &mut answer), HostEvent::Selected(_)));
    buffer[..300].copy_from_slice(&REQUEST);
    assert_eq!(host.send(Protocol::Ctap2, &REQUEST), Ok(()));
    let response = HostEvent::Response { len: 300 };
    assert_eq!(run(&mut host, &mut device, &mut frame, &mut buffer, &mut answer), response);
    assert_eq!(buffer[..300], REQUEST);
});

/// Passes commands and responses until the host has an event. Every request is its own answer.
fn run(host: &mut Host, device: &mut Device, frame: &mut [u8], buffer: &mut [u8], answer: &mut [u8]) -> HostEvent {
    let now = Instant::default();
    for _ in 0..8 {
        let Some(len) = host.transmit(buffer, frame) else { break };
        if let Some(DeviceEvent::Request { len, .. }) = device.receive(now, &frame[..len], answer) {
            device.respond(len);
        }
        let mut response = vec![0; 1024];
        let len =
            device.transmit(now, answer).and_then(|it| it.encode(&mut response)).expect("every command is answered");
        if let Some(event) = host.receive(&response[..len], buffer) {
            return event;
        }
    }
    panic!("nothing happens: {host:?}")
}
