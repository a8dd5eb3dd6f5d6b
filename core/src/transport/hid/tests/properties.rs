//! Properties that hold for every message and every report, at both ends.

use proptest::prelude::*;

use super::*;

/// Reports that are more often valid CTAPHID than random bytes are.
fn any_report() -> impl Strategy<Value = [u8; 64]> {
    let channel = prop_oneof![Just(0), Just(1), Just(2), Just(BROADCAST), any::<u32>()];
    let command =
        prop_oneof![prop::sample::select(vec![0x01, 0x03, 0x04, 0x06, 0x08, 0x10, 0x11, 0x3B, 0x3F, 0x40]), 0_u8..0x80];
    let len = prop_oneof![0_u16..200, Just(1), Just(8), Just(17), Just(7609), Just(7610), any::<u16>()];
    let data = prop::collection::vec(any::<u8>(), 57);
    let first = (channel.clone(), command, len, data).prop_map(|(channel, command, len, data)| {
        Packet::Initialization { channel, command: HidCommand(command), len, data: &data }.report()
    });
    let rest = (channel, prop_oneof![0_u8..4, 0_u8..0x80]).prop_map(|(channel, seq)| continuation(channel, seq));
    prop_oneof![4 => first, 2 => rest, 1 => prop::array::uniform32(any::<u16>()).prop_map(|words| {
        let mut report = [0; 64];
        for (to, from) in report.iter_mut().zip(words.iter().flat_map(|word| word.to_be_bytes())) {
            *to = from;
        }
        report
    })]
}

/// What happens to one report on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    IsLost,
    IsDoubled,
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::Arrives), 1 => Just(Fate::IsLost), 1 => Just(Fate::IsDoubled)]
}

/// INIT and then PING must work after any sequence of reports.
fn init_and_ping_work(bench: &mut Bench) {
    bench.wait(11_000);
    bench.answers();
    let channel = bench.allocate();
    assert_eq!(bench.ask(channel, HidCommand::PING, &[5; 70]), [(channel, HidCommand::PING, vec![5; 70])]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_of_any_length_comes_back_as_it_was(len in 1..=MAX_MESSAGE, seed: u8) {
        let data: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
        let mut pair = Pair::opened();
        for command in [HidCommand::PING, HidCommand::CBOR, HidCommand::MSG] {
            pair.echo(command, &data);
        }
    }

    #[test]
    fn lost_and_doubled_reports_end_in_a_result_and_the_next_transaction_works(
        len in 1_usize..600,
        fates in prop::collection::vec(any_fate(), 1..40),
    ) {
        let mut pair = Pair::opened();
        let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let mut fates = fates.into_iter();
        pair.send(HidCommand::CBOR, &data);
        pair.run_with(|report| match fates.next().unwrap_or(Fate::Arrives) {
            Fate::Arrives => vec![report],
            Fate::IsLost => vec![],
            Fate::IsDoubled => vec![report; 2],
        });
        pair.settle();
        prop_assert_eq!(pair.events.len(), 1);
        match pair.events[0] {
            HostEvent::Response { command: HidCommand::CBOR, len } => prop_assert_eq!(&pair.message[..len], &data),
            HostEvent::Error(_) | HostEvent::Failed(_) => {}
            other => prop_assert!(false, "{:?}", other),
        }
        pair.events.clear();
        prop_assert!(matches!(pair.open(), Some(HostEvent::Opened(_))));
        pair.echo(HidCommand::CBOR, &data);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_reports_upset_the_device(
        reports in prop::collection::vec((any_report(), 0_u64..300), 0..60),
        room in 60_usize..400,
        lenient: bool,
        answers: bool,
    ) {
        let unknown_channels = if lenient { UnknownChannels::Lenient } else { UnknownChannels::Strict };
        let vendor_commands = lenient;
        let config = DeviceConfig { unknown_channels, vendor_commands, lock: !lenient, ..Default::default() };
        let mut bench = Bench::new(config);
        bench.buffer = vec![0; 70 + room];
        let mut pending = false;
        for (report, millis) in reports {
            bench.wait(millis);
            match bench.receive(&report) {
                Some(DeviceEvent::Request { command, len }) => {
                    prop_assert!(!pending, "one request at a time");
                    prop_assert!(len <= bench.buffer.len());
                    prop_assert!(len > 0 || command.is_vendor());
                    pending = true;
                    bench.device.keep_alive(1.into());
                }
                Some(DeviceEvent::Aborted) => pending = false,
                Some(DeviceEvent::Cancel) => prop_assert!(pending),
                Some(DeviceEvent::Wink) | None => {}
            }
            if answers {
                let sent = bench.reports();
                prop_assert!(sent.len() <= 140);
                bench.device.respond(1);
                pending = false;
            }
        }
        bench.device.respond(1);
        init_and_ping_work(&mut bench);
    }

    #[test]
    fn no_reports_upset_the_host(
        reports in prop::collection::vec((any_report(), 0_u64..300), 0..60),
        room in 1_usize..400,
        opened: bool,
    ) {
        let mut pair = if opened { Pair::opened() } else { Pair::new(DeviceConfig::default()) };
        pair.message.truncate(room);
        pair.host.open(pair.now(), [1; 8]);
        for (report, millis) in reports {
            pair.bench.wait(millis);
            let now = pair.now();
            while pair.host.transmit(now, &pair.message).is_some() {}
            let events = [pair.host.receive(now, &report, &mut pair.message), pair.host.expire(now)];
            for event in events.into_iter().flatten() {
                if let HostEvent::Response { len, .. } = event {
                    prop_assert!(len <= room);
                }
            }
            pair.host.cancel();
            let _ = pair.host.send(now, HidCommand::CBOR, room);
        }
        pair.message.resize(MAX_MESSAGE, 0);
        // If the reports changed the host's channel, the device refuses it and the host opens a new one.
        prop_assert!(matches!(pair.open(), Some(HostEvent::Opened(_))));
        pair.echo(HidCommand::PING, &[5; 70]);
    }
}
