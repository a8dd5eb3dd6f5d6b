//! Packets of a message in every order, right and wrong.

use keyfob_core::transport::hid::{HidCommand, HidErrorCode};

use super::{
    FULL,
    client::{Answer, Client},
    key::at_each_door,
};

/// What is sent: a packet of a message of three, or a whole message of another client.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Packet(usize),
    OfAnother,
}

/// What comes of it.
#[derive(Debug, PartialEq)]
enum Comes {
    Echo,
    Error(HidErrorCode),
    EchoOfAnother,
    BusyForAnother,
}

/// CTAP 2.3 §11.2.4 and §11.2.5: a message begins with its first packet, the others follow in order. A wrong one ends it
/// with an error; those that belong to no message are ignored.
fn expected(sent: &[Sent]) -> Vec<Comes> {
    let mut next = None;
    let mut comes = Vec::new();
    for sent in sent {
        match (*sent, next) {
            (Sent::OfAnother, None) => comes.push(Comes::EchoOfAnother),
            (Sent::OfAnother, Some(_)) => comes.push(Comes::BusyForAnother),
            (Sent::Packet(0), None) => next = Some(1),
            (Sent::Packet(2), Some(2)) => {
                comes.push(Comes::Echo);
                next = None;
            }
            (Sent::Packet(packet), Some(its)) if packet == its => next = Some(its + 1),
            (Sent::Packet(_), Some(_)) => {
                comes.push(Comes::Error(HidErrorCode::INVALID_SEQ));
                next = None;
            }
            (Sent::Packet(_), None) => {}
        }
    }
    comes
}

/// Every sequence of four.
fn sequences() -> impl Iterator<Item = [Sent; 4]> {
    const ALL: [Sent; 4] = [Sent::Packet(0), Sent::Packet(1), Sent::Packet(2), Sent::OfAnother];
    (0..256).map(|number| [64, 16, 4, 1].map(|unit| ALL[number / unit % 4]))
}

#[test]
fn packets_in_every_order_are_an_echo_or_an_error_or_nothing() {
    at_each_door("orders::packets_in_every_order_are_an_echo_or_an_error_or_nothing", FULL, |key| {
        let mut client = Client::open(&key.door);
        let other = Client::open(&key.door).channel;
        let message = [3; 150];
        let packets = client.packets(HidCommand::PING, &message);
        let another =
            Client { channel: other, connection: key.door.connect() }.packets(HidCommand::PING, b"another")[0];
        for sequence in sequences() {
            for sent in sequence {
                let packet = if let Sent::Packet(packet) = sent { packets[packet] } else { another };
                client.connection.send(&packet).unwrap();
            }
            let mine = client.channel;
            let (mut comes, mut answers) = (expected(&sequence).into_iter(), Vec::new());
            for expected in comes.by_ref() {
                let of_another = matches!(expected, Comes::EchoOfAnother | Comes::BusyForAnother);
                client.channel = if of_another { other } else { mine };
                let Answer { command, data, .. } = client.answer();
                answers.push(match (command, &data[..], of_another) {
                    (HidCommand::PING, [3, ..], false) => Comes::Echo,
                    (HidCommand::PING, b"another", true) => Comes::EchoOfAnother,
                    (HidCommand::ERROR, [code], false) => Comes::Error(HidErrorCode(*code)),
                    (HidCommand::ERROR, [code], true) if *code == HidErrorCode::CHANNEL_BUSY.0 => Comes::BusyForAnother,
                    other => panic!("{other:?} after {sequence:?}"),
                });
            }
            client.channel = mine;
            assert_eq!(answers, self::expected(&sequence), "{sequence:?}");
            assert_eq!(client.init().command, HidCommand::INIT, "and nothing else after {sequence:?}");
        }
    });
}
