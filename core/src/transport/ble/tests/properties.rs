//! Properties that hold for every message, every fragment length and every fragment, at both ends.

use proptest::prelude::*;

use super::*;

/// Fragments that are more often of this protocol than random bytes are.
fn any_fragment() -> impl Strategy<Value = Vec<u8>> {
    let command = prop_oneof![prop::sample::select(vec![0x81_u8, 0x82, 0x83, 0xBE, 0xBF]), 0x80_u8..=0xFF];
    let data = prop::collection::vec(any::<u8>(), 0..30);
    prop_oneof![
        (command, prop_oneof![0_u16..60, any::<u16>()], data.clone()).prop_map(|(command, len, data)| {
            let [high, low] = len.to_be_bytes();
            [&[command, high, low][..], &data].concat()
        }),
        (prop_oneof![0_u8..3, 0_u8..0x80], data).prop_map(|(sequence, data)| [&[sequence][..], &data].concat()),
        prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_arrives_whole_in_fragments_of_any_length(
        len in 1_usize..7000,
        there in 20_usize..=512,
        back in 20_usize..=512,
    ) {
        let message = bytes_of(len);
        let (mut bench, mut host, mut buffer) = (Bench::new(DeviceConfig::default()), Host::new(), message.clone());
        let mut out = vec![0; there];
        host.send(bench.now, BleCommand::MSG, len).unwrap();
        let mut event = None;
        while let Some(len) = host.transmit(bench.now, &buffer, &mut out) {
            prop_assert_eq!(event, None);
            event = bench.receive(&out[..len]);
        }
        prop_assert_eq!(event, Some(DeviceEvent::Request { protocol: Protocol::Ctap2, len }));
        bench.device.respond(len);
        bench.length = back;
        buffer.fill(0);
        let mut event = None;
        while let Some(fragment) = bench.next() {
            prop_assert_eq!(event, None);
            event = host.receive(bench.now, &fragment, &mut buffer);
        }
        prop_assert_eq!(event, Some(HostEvent::Response { len }));
        prop_assert_eq!(buffer, message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_fragments_upset_the_device(
        fragments in prop::collection::vec((any_fragment(), 0_u64..900, 0_usize..80), 0..60),
        room in 20_usize..100,
    ) {
        let mut bench = Bench::new(DeviceConfig::default());
        bench.buffer = vec![0; room];
        let mut pending = false;
        for (fragment, millis, answer) in fragments {
            bench.wait(millis);
            let before = bench.buffer.clone();
            match bench.receive(&fragment) {
                Some(DeviceEvent::Request { len, .. }) => {
                    prop_assert!(!pending && len > 0 && len <= room);
                    pending = true;
                    bench.device.keep_alive(KeepAlive::UpNeeded);
                }
                Some(DeviceEvent::Cancel) => prop_assert!(pending),
                None if pending => prop_assert_eq!(&bench.buffer, &before),
                None => {}
            }
            if answer < 60 && std::mem::take(&mut pending) {
                bench.device.respond(answer);
            }
            prop_assert!(bench.all().len() <= 10);
        }
        bench.device.respond(0);
        bench.wait(1500);
        bench.all();
        prop_assert_eq!(bench.send(BleCommand::PING, &[5; 20]), None);
        prop_assert_eq!(bench.all(), super::fragments(BleCommand::PING, &[5; 20], 20));
        prop_assert_eq!(bench.device.deadline(), None);
    }

    #[test]
    fn no_fragments_upset_the_host(fragments in prop::collection::vec((any_fragment(), 0_u64..900), 0..60)) {
        let (mut host, mut now, mut buffer) = (Host::new(), Instant::default(), vec![0; 50]);
        for (fragment, millis) in fragments {
            now = now.plus_millis(millis);
            if host.is_ready() {
                host.send(now, BleCommand::MSG, 30).unwrap();
                while host.transmit(now, &[7; 30], &mut [0; 20]).is_some() {}
            }
            match host.receive(now, &fragment, &mut buffer).or_else(|| host.expire(now)) {
                Some(HostEvent::Response { len }) => prop_assert!(len <= 50 && host.is_ready()),
                Some(HostEvent::KeepAlive(_)) | None => prop_assert!(!host.is_ready()),
                Some(HostEvent::Error(_) | HostEvent::Failed(_)) => prop_assert!(host.is_ready()),
            }
            prop_assert_eq!(host.deadline().is_some(), !host.is_ready());
        }
    }
}
