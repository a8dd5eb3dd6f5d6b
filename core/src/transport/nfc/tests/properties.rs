//! Properties that hold for every message, every split, and every command, at both ends.

use proptest::prelude::*;

use super::*;

/// Commands that are more often of this protocol than random bytes are.
fn any_command() -> impl Strategy<Value = Vec<u8>> {
    let class = prop_oneof![4 => prop::sample::select(vec![0x00, 0x10, 0x80, 0x90]), 1 => any::<u8>()];
    let instruction =
        prop_oneof![8 => prop::sample::select(vec![1, 2, 3, 0x10, 0x11, 0x12, 0xA4, 0xC0]), 1 => any::<u8>()];
    let p1 = prop::sample::select(vec![0x00, 0x01, 0x04, 0x11, 0x80, 0x77]);
    let body = prop_oneof![
        Just(vec![]),
        any::<u8>().prop_map(|le| vec![le]),
        Just([&[8][..], &AID].concat()),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|data| [&[data.len() as u8][..], &data, &[0]].concat()),
        prop::collection::vec(any::<u8>(), 0..400).prop_map(|data| {
            let [high, low] = (data.len() as u16).to_be_bytes();
            [&[0, high, low][..], &data, &[0, 0]].concat()
        }),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    (class, instruction, p1, body).prop_map(|(class, ins, p1, body)| [&[class, ins, p1, 0][..], &body].concat())
}

/// Splits `message` at pseudo-random places into commands, and returns what the device made of them.
fn arrives(message: &[u8], cuts: &[usize], extended: bool) -> (Protocol, Vec<u8>) {
    let mut card = Card::selected();
    let mut left = message;
    for cut in cuts {
        let (piece, rest) = left.split_at((*cut).min(left.len().saturating_sub(1)));
        left = rest;
        assert_eq!(card.ask(&command(0x90, piece, extended)), hex("9000"));
    }
    assert_eq!(card.ask(&command(0x80, left, extended || left.len() > 255)), NO_RESPONSE);
    card.request()
}

fn command(class: u8, data: &[u8], extended: bool) -> String {
    let length = if extended { format!("00{:04x}", data.len()) } else { format!("{:02x}", data.len()) };
    let data: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{class:02x}100000{length}{data}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_arrives_whole_however_it_is_split(
        len in 1_usize..2000,
        cuts in prop::collection::vec(1_usize..256, 0..8),
        extended: bool,
    ) {
        let message: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31)).collect();
        prop_assert_eq!(arrives(&message, &cuts, extended), (Protocol::Ctap2, message));
    }

    #[test]
    fn a_response_arrives_whole_however_it_is_fetched(len in 1_usize..3000, les in prop::collection::vec(any::<u8>(), 1..40)) {
        let answer: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31)).collect();
        let mut card = Card::selected();
        let mut les = les.into_iter().chain(std::iter::repeat(0));
        card.ask(&format!("8010000001 04 {:02x}", les.next().unwrap()));
        card.answer(&answer);
        let mut response = card.transmit().unwrap();
        let mut received = vec![];
        loop {
            let (data, status) = response.split_at(response.len() - 2);
            received.extend_from_slice(data);
            if status == [0x90, 0x00] {
                break;
            }
            let left = len - received.len();
            prop_assert_eq!(status, [0x61, if left > 255 { 0 } else { left as u8 }]);
            response = card.ask(&format!("80c00000 {:02x}", les.next().unwrap()));
        }
        prop_assert_eq!(received, answer);
    }

    #[test]
    fn both_ends_carry_every_message_in_every_encoding(
        len in 1_usize..3000,
        frame in 22_usize..600,
        extended: bool,
        polls in 0_u8..3,
    ) {
        let message: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(37)).collect();
        let (mut card, mut buffer) = (Card::selected(), message.clone());
        let lengths = if extended { Lengths::Extended } else { Lengths::Short };
        let (mut host, mut frame) = (Host::new(lengths), vec![0; frame]);
        host.select();
        let mut polls = polls;
        let event = loop {
            let len = host.transmit(&message, &mut frame).expect("there is a command to send");
            card.receive(&frame[..len]);
            let response = loop {
                match (card.transmit(), polls.checked_sub(1)) {
                    (Some(response), _) => break response,
                    (None, Some(left)) => (polls, card.now) = (left, card.now.plus(POLL_PAUSE)),
                    (None, None) => card.device.respond(message.len()),
                }
            };
            match host.receive(&response, &mut buffer) {
                Some(HostEvent::Selected(_)) => host.send(Protocol::Ctap2, &message).unwrap(),
                None | Some(HostEvent::KeepAlive(_)) => {}
                Some(event) => break event,
            }
        };
        prop_assert_eq!(event, HostEvent::Response { len: message.len() });
        prop_assert_eq!(buffer, message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_commands_upset_the_device(
        commands in prop::collection::vec((any_command(), 0_u64..200, 0_usize..700), 0..60),
        room in 0_usize..600,
    ) {
        let mut card = Card::new(DeviceConfig::default());
        card.buffer = vec![0; room];
        let mut pending = false;
        for (command, millis, answer) in commands {
            card.wait(millis);
            let before = card.buffer.clone();
            let event = card.receive(&command);
            match event {
                Some(DeviceEvent::Request { len, .. }) => {
                    prop_assert!(len > 0 && len <= room);
                    pending = true;
                }
                Some(DeviceEvent::Cancel) => prop_assert!(pending),
                Some(DeviceEvent::Aborted | DeviceEvent::Ended) => pending = false,
                None if pending => prop_assert_eq!(&card.buffer, &before, "a pending request stays"),
                None => {}
            }
            if answer < 600 && std::mem::take(&mut pending) {
                card.device.respond(answer);
            }
            let response = card.transmit();
            // Every command has a response, but one that waits for the answer to a request.
            prop_assert!(response.is_some() || pending);
            prop_assert_eq!(card.transmit(), None);
        }
        card.device.reset();
        card.buffer = vec![0; 16];
        prop_assert_eq!(card.ask(SELECT_FIDO), hex("5532465f5632 9000"));
        card.ask("8010000001 04 00");
        prop_assert_eq!(card.request(), (Protocol::Ctap2, vec![4]));
        card.answer(&[0]);
        prop_assert_eq!(card.transmit(), Some(hex("00 9000")));
    }
}
