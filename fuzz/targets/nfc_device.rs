//! The authenticator's end of NFC with arbitrary commands at arbitrary times. Afterwards it must still work.
#![no_main]

use std::time::Duration;

use keyfob_core::{
    Instant,
    transport::{
        Protocol,
        nfc::{AID, Device, DeviceConfig, DeviceEvent, POLL_PAUSE},
    },
};
use keyfob_fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// The longest response APDU.
const LONGEST: usize = 65_538;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let flags = input.byte();
    let config = DeviceConfig {
        u2f: flags & 1 != 0,
        ctap2: flags & 2 == 0,
        extended_length: flags & 4 == 0,
        max_message: 16 + input.word(),
    };
    let mut buffer = vec![0; 16 + input.word() % 8192];
    let mut out = vec![0; LONGEST];
    let mut device = Device::new(config);
    let mut now = Instant::default();
    // The pending request: its protocol, and whether it is cancelled.
    let mut pending: Option<(Protocol, bool)> = None;
    // Whether the last command has no response yet.
    let mut owed = false;

    while !input.is_empty() {
        now = now.plus(Duration::from_millis(2) * input.byte().into());
        match input.byte() % 8 {
            0 => {
                device.respond(input.word());
                pending = None;
            }
            1 => device.keep_alive(input.byte().into()),
            2 => {
                device.reset();
                (pending, owed) = (None, false);
                assert!(device.deadline().is_none() && !device.is_selected() && device.is_idle());
            }
            3 if !device.is_selected() => {
                let select = [&[0x00, 0xA4, 0x04, 0x00, 0x08][..], &AID].concat();
                assert_eq!(device.receive(now, &select, &mut buffer), Some(DeviceEvent::Ended));
                (pending, owed) = (None, true);
            }
            _ => {
                let (before, command) = (buffer.clone(), input.slice());
                let event = device.receive(now, command, &mut buffer);
                owed = true;
                match event {
                    Some(DeviceEvent::Request { protocol, len }) => {
                        assert!(device.is_selected());
                        assert!(len > 0 && len <= buffer.len().min(config.max_message));
                        assert!(if protocol == Protocol::Ctap1 { config.u2f && len >= 7 } else { config.ctap2 });
                        pending = Some((protocol, false));
                    }
                    Some(DeviceEvent::Cancel) => {
                        let Some((Protocol::Ctap2, cancelled @ false)) = &mut pending else {
                            panic!("a cancellation once per request of CTAP2")
                        };
                        *cancelled = true;
                    }
                    Some(DeviceEvent::Aborted | DeviceEvent::Ended) => pending = None,
                    _ => assert!(event.is_none()),
                }
                if pending.is_some() && !matches!(event, Some(DeviceEvent::Request { .. })) {
                    assert_eq!(buffer, before, "a pending request stays in the buffer");
                }
            }
        }
        let due = device.deadline();
        assert!(owed || due.is_none(), "a response without a command");
        assert!(due.is_none_or(|due| due <= now.plus(POLL_PAUSE)));
        let response = device.transmit(now, &buffer);
        assert_eq!(response.is_some(), due.is_some_and(|due| due <= now));
        if let Some(response) = response {
            assert!(response.encode(&mut out).is_some());
            owed = false;
        }
        assert!(!owed || pending.is_some(), "a command without a response");
    }

    // Whatever was pending, SELECT and then a request work.
    let select = [&[0x00, 0xA4, 0x04, 0x00, 0x08][..], &AID, &[0]].concat();
    assert_eq!(device.receive(now, &select, &mut buffer), Some(DeviceEvent::Ended));
    let version: &[u8] = if config.u2f { b"U2F_V2" } else { b"FIDO_2_0" };
    assert_eq!(device.transmit(now, &buffer).map(|response| response.data.to_vec()), Some(version.to_vec()));
    let (request, protocol, len) = match (config.ctap2, config.u2f) {
        (true, _) => (&[0x80, 0x10, 0x00, 0x00, 0x01, 0x04, 0x00][..], Protocol::Ctap2, 1),
        (false, true) => (&[0x00, 0x03, 0x00, 0x00, 0x00][..], Protocol::Ctap1, 7),
        (false, false) => return,
    };
    assert_eq!(device.receive(now, request, &mut buffer), Some(DeviceEvent::Request { protocol, len }));
    assert_eq!(device.transmit(now, &buffer), None);
    buffer[..3].copy_from_slice(&[0x05, 0x90, 0x00]);
    device.respond(3);
    let response = device.transmit(now, &buffer).expect("the answer is there");
    assert_eq!((response.data[0], response.status.0), (5, 0x9000));
    assert!(device.is_idle());
});
