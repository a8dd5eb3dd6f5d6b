//! The key as a card in a reader, with a reader that does what vpcd does: it accepts one card, and asks.

use keyfob_core::{
    Instant as Time,
    client::{self, Ceremony, GetAssertion, GetOptions, UserInteraction},
    transport::nfc::{AID, ApduIo, NfcTransport},
};
use keyfob_soft_authenticator::{
    devices::vpcd::{ATR, Error, LONGEST, Message, write},
    nfc::Presence,
};
use proptest::prelude::*;

use super::*;

const SELECTION: [u8; 7] = [0x80, 0x10, 0x80, 0, 1, 0x0B, 0];
/// The same of a client that does not know NFCCTAP_GETRESPONSE.
const WITHOUT_POLLING: [u8; 7] = [0x80, 0x10, 0, 0, 1, 0x0B, 0];
const GET_INFO: [u8; 7] = [0x80, 0x10, 0x00, 0, 1, 0x04, 0];

/// A reader with a card in it.
struct Reader(TcpStream);

impl Reader {
    fn new(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    fn send(&mut self, message: &Message<'_>) {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        self.0.write_all(&bytes).unwrap();
    }

    fn answer(&mut self) -> std::io::Result<Vec<u8>> {
        let mut len = [0; 2];
        self.0.read_exact(&mut len)?;
        let mut answer = vec![0; u16::from_be_bytes(len).into()];
        self.0.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn ask(&mut self, message: &Message<'_>) -> Vec<u8> {
        self.send(message);
        self.answer().unwrap()
    }

    fn apdu(&mut self, command: &[u8]) -> Vec<u8> {
        self.ask(&Message::Apdu(command))
    }

    fn select(&mut self) -> Vec<u8> {
        self.apdu(&[&[0, 0xA4, 4, 0, 8][..], &AID, &[0]].concat())
    }

    /// Takes the key's power away and gives it back: a tap. Selects the authenticator.
    fn tap(&mut self) {
        self.send(&Message::Reset);
        assert_eq!(self.ask(&Message::Atr), ATR, "as pcscd does");
        assert_eq!(self.select(), b"U2F_V2\x90\x00");
    }

    /// The status of authenticatorSelection, for which the client waits.
    fn selection(&mut self) -> Status {
        let answer = self.apdu(&SELECTION);
        self.status(answer)
    }

    /// The status of a command that was answered like this.
    fn status(&mut self, mut answer: Vec<u8>) -> Status {
        while answer[1] == 0x91 {
            answer = self.apdu(&[0x80, 0x11, 0, 0, 0]);
        }
        assert_eq!(answer[1..], [0x90, 0]);
        Status(answer[0])
    }

    fn is_empty(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

/// A card that the client taps anew when it has lost it.
impl ApduIo for &mut Reader {
    type Error = std::io::Error;

    fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> std::io::Result<usize> {
        self.send(&Message::Apdu(command));
        let answer = self.answer()?;
        response[..answer.len()].copy_from_slice(&answer);
        Ok(answer.len())
    }

    fn reconnect(&mut self) -> std::io::Result<()> {
        self.tap();
        Ok(())
    }
}

/// Told in the tests of this file: the events of clients, fields and readers.
fn told(events: &Mutex<Vec<HubEvent>>) -> Vec<HubEvent> {
    events.lock().unwrap().clone()
}

/// Waits until this event was told so often.
fn wait_for(events: &Mutex<Vec<HubEvent>>, event: &HubEvent, count: usize) {
    let start = Instant::now();
    while told(events).iter().filter(|one| *one == event).count() < count {
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", told(events));
        thread::sleep(Duration::from_millis(1));
    }
}

/// A reader without a card, a key on the way to it, and what the key's hub tells.
fn inserted(touch: Touch, presence: Presence) -> (TcpListener, Peer, HubHandle, Events) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config::new([0xAA; 16]);
    let (handle, events, _) = hub_of(config, touch, presence, move |hub| hub.insert_into_vpcd(address).unwrap());
    (listener, Peer::Vpcd(address), handle, events)
}

#[test]
fn a_card_in_a_reader_tells_its_atr_and_answers_ctap_and_u2f() {
    let (listener, peer, _, events) = inserted(Touch::Auto, Presence::Tap);
    let mut reader = Reader::new(&listener);
    assert_eq!(reader.ask(&Message::Atr), ATR);
    assert_eq!(reader.select(), [0x69, 0x85], "without power");
    reader.send(&Message::On);
    assert_eq!(reader.ask(&Message::Atr), ATR);
    assert_eq!(reader.select(), b"U2F_V2\x90\x00");
    assert_eq!(reader.apdu(&[0, 3, 0, 0, 0]), b"U2F_V2\x90\x00");
    let info = reader.apdu(&GET_INFO);
    assert_eq!((info[0], info[1] >> 5, info[info.len() - 2]), (0, 5, 0x61), "a map, of which more can be fetched");
    assert_eq!(reader.apdu(&[0x80]), [0x67, 0], "not an APDU");
    assert_eq!(reader.apdu(&[0, 0xA4, 4, 0, 3, 1, 2, 3]), [0x6A, 0x82], "another application");
    reader.send(&Message::Off);
    assert_eq!(reader.select(), [0x69, 0x85]);
    assert_eq!(told(&events), [HubEvent::InField(peer), HubEvent::OutOfField(peer)]);
}

#[test]
fn a_tap_is_one_touch_and_a_card_without_a_button_needs_another_for_the_next() {
    let (listener, ..) = inserted(Touch::Auto, Presence::Tap);
    let mut reader = Reader::new(&listener);
    for _ in 0..100 {
        reader.tap();
        assert_eq!(reader.selection(), Status::OK);
        assert_eq!(reader.selection(), Status::OPERATION_DENIED);
    }
}

#[test]
fn a_button_is_touched_when_the_tap_is_used_up() {
    let (listener, ..) = inserted(Touch::Auto, Presence::TapOrButton);
    let mut reader = Reader::new(&listener);
    reader.tap();
    for _ in 0..3 {
        assert_eq!(reader.selection(), Status::OK);
    }
    let start = Instant::now();
    assert_eq!(reader.apdu(&WITHOUT_POLLING), [0, 0x90, 0]);
    assert!(start.elapsed() < Duration::from_secs(2), "it was touched at once");
    let (listener, ..) = inserted(Touch::Deny, Presence::Button);
    let mut reader = Reader::new(&listener);
    reader.tap();
    assert_eq!(reader.selection(), Status::OPERATION_DENIED);
    assert_eq!(reader.apdu(&WITHOUT_POLLING), [0x27, 0x90, 0]);
}

#[test]
fn a_card_that_waits_for_a_touch_says_so_and_can_be_cancelled() {
    let remote = Remote::default();
    let (listener, ..) = inserted(remote.touch(), Presence::Button);
    let mut reader = Reader::new(&listener);
    reader.tap();
    assert_eq!(reader.apdu(&SELECTION), [2, 0x91, 0], "UPNEEDED");
    assert_eq!(reader.apdu(&[0x80, 0x11, 0, 0, 0]), [2, 0x91, 0]);
    assert_eq!(reader.apdu(&[0x80, 0x11, 0x11, 0, 0]), [0x2D, 0x90, 0]);
    let waits = reader.apdu(&SELECTION);
    assert_eq!(waits, [2, 0x91, 0]);
    remote.set(Some(true));
    assert_eq!(reader.status(waits), Status::OK);
}

#[test]
fn while_a_client_has_the_key_open_elsewhere_the_reader_is_empty() {
    let (vpcd, tcp) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (reader_at, door) = (vpcd.local_addr().unwrap(), tcp.local_addr().unwrap());
    let (_, events, _) = hub_of(Config::new([0xAA; 16]), Touch::Auto, Presence::Tap, move |hub| {
        hub.listen_tcp(tcp).unwrap();
        hub.insert_into_vpcd(reader_at).unwrap();
    });
    let mut reader = Reader::new(&vpcd);
    reader.tap();
    let mut client = Client::new(door);
    assert_eq!(client.command(Command::GET_INFO)[0], 0);
    assert!(reader.is_empty(), "the card was taken out");
    vpcd.set_nonblocking(true).unwrap();
    thread::sleep(Duration::from_millis(1500));
    assert!(vpcd.accept().is_err(), "and stays out");
    vpcd.set_nonblocking(false).unwrap();
    assert_eq!(client.command(Command::SELECTION)[0], 0);
    let HubEvent::Opened(peer) = told(&events)[3] else { panic!("{:?}", told(&events)) };
    drop(client);
    let mut reader = Reader::new(&vpcd);
    reader.tap();
    assert_eq!(reader.selection(), Status::OK);
    use HubEvent::{Closed, InField, Opened, OutOfField, PluggedIn, Unplugged};
    let card = Peer::Vpcd(reader_at);
    let expected = [InField(card), OutOfField(card), PluggedIn, Opened(peer), Closed(peer), Unplugged, InField(card)];
    assert_eq!(told(&events), expected);
}

#[test]
fn a_reader_that_comes_late_or_again_gets_the_card() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (_, events, _) = hub_of(Config::new([0xAA; 16]), Touch::Auto, Presence::Tap, move |hub| {
        hub.insert_into_vpcd(address).unwrap();
    });
    let absent = HubEvent::NoReader(Peer::Vpcd(address), None);
    wait_for(&events, &absent, 1);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(told(&events), std::slice::from_ref(&absent), "it is told once");
    for count in 2..5 {
        let listener = TcpListener::bind(address).unwrap();
        let mut reader = Reader::new(&listener);
        reader.tap();
        assert_eq!(reader.selection(), Status::OK);
        drop((reader, listener));
        wait_for(&events, &absent, count);
    }
}

#[test]
fn a_card_comes_into_the_field_and_leaves_it_a_hundred_times() {
    let (listener, peer, _, events) = inserted(Touch::Auto, Presence::Tap);
    let mut reader = Reader::new(&listener);
    for _ in 0..100 {
        reader.send(&Message::On);
        assert_eq!(reader.select(), b"U2F_V2\x90\x00");
        assert_eq!(reader.selection(), Status::OK, "each time is a touch");
        reader.send(&Message::Off);
        assert_eq!(reader.select(), [0x69, 0x85], "without power");
    }
    wait_for(&events, &HubEvent::InField(peer), 100);
    wait_for(&events, &HubEvent::OutOfField(peer), 100);
}

#[test]
fn to_replug_the_key_is_to_take_the_card_out_and_put_it_back() {
    let (listener, peer, handle, events) = inserted(Touch::Auto, Presence::Tap);
    for count in 1..4 {
        let mut reader = Reader::new(&listener);
        reader.tap();
        let start = Instant::now();
        handle.replug();
        assert!(reader.is_empty());
        wait_for(&events, &HubEvent::OutOfField(peer), count);
        drop(Reader::new(&listener));
        assert!(start.elapsed() > Duration::from_millis(700), "pcscd must notice");
    }
}

#[test]
fn a_reader_that_goes_in_the_middle_of_a_command_frees_the_key() {
    let (listener, peer, _, events) = inserted(Touch::Never, Presence::Button);
    let mut reader = Reader::new(&listener);
    reader.tap();
    reader.send(&Message::Apdu(&WITHOUT_POLLING));
    reader.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(reader.answer().is_err(), "no touch, no answer");
    drop(reader);
    wait_for(&events, &HubEvent::OutOfField(peer), 1);
    let mut reader = Reader::new(&listener);
    reader.tap();
    assert_eq!(reader.apdu(&GET_INFO)[0], 0);
}

#[test]
fn a_reader_that_stops_reading_is_left_and_the_next_one_is_served() {
    let (listener, peer, _, events) = inserted(Touch::Auto, Presence::Tap);
    let mut deaf = Reader::new(&listener);
    deaf.0.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let question = [0, 1, 4];
    while deaf.0.write_all(&question.repeat(1000)).is_ok() {} // until nothing more fits
    let start = Instant::now();
    while !told(&events).contains(&HubEvent::NoReader(peer, None)) {
        assert!(start.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(10));
    }
    let mut reader = Reader::new(&listener);
    reader.tap();
    assert_eq!(reader.selection(), Status::OK);
}

#[test]
fn what_is_not_vpcd_is_told_and_the_next_reader_is_served() {
    let (listener, peer, _, events) = inserted(Touch::Never, Presence::Button);
    let mut other = Reader::new(&listener);
    other.0.write_all(&[0, 0]).unwrap();
    assert!(other.is_empty());
    wait_for(&events, &HubEvent::NoReader(peer, Some(Error::Empty)), 1);
    let mut hurried = Reader::new(&listener);
    hurried.tap();
    hurried.send(&Message::Apdu(&WITHOUT_POLLING));
    // The key may close while this is written.
    let _ = hurried.0.write_all(&[1; LONGEST + 1]);
    assert!(hurried.is_empty());
    wait_for(&events, &HubEvent::NoReader(peer, Some(Error::Hurried)), 1);
    // A command of an unfinished length, with which the connection ends.
    Reader::new(&listener).0.write_all(&[0xFF, 0xFF, 0, 0, 0]).unwrap();
    let mut reader = Reader::new(&listener);
    reader.tap();
    assert_eq!(reader.apdu(&GET_INFO)[0], 0);
}

#[test]
fn random_commands_have_one_response_each_and_leave_the_card_working() {
    let (listener, ..) = inserted(Touch::Deny, Presence::Button);
    let mut reader = Reader::new(&listener);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    use rand_core::Rng;
    for _ in 0..20 {
        reader.tap();
        for _ in 0..50 {
            let mut command = vec![0; 2 + rng.next_u32() as usize % 300];
            rng.fill_bytes(&mut command);
            command[0] &= 0x90;
            let response = reader.apdu(&command);
            assert!(response.len() >= 2, "{command:02x?}: {response:02x?}");
        }
    }
    reader.tap();
    assert_eq!(reader.apdu(&GET_INFO)[0], 0);
}

#[test]
fn a_credential_that_was_made_over_usb_signs_as_a_card() {
    struct Nobody;
    impl UserInteraction for Nobody {}

    let (vpcd, tcp) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (reader_at, door) = (vpcd.local_addr().unwrap(), tcp.local_addr().unwrap());
    let _hub = hub_of(Config::new([0xAA; 16]), Touch::Auto, Presence::Tap, move |hub| {
        hub.listen_tcp(tcp).unwrap();
        hub.insert_into_vpcd(reader_at).unwrap();
    });
    assert_eq!(Reader::new(&vpcd).ask(&Message::Atr), ATR);
    let mut plugged = Client::new(door);
    assert_eq!(plugged.make(b"alice", None), Status::OK);
    drop(plugged);
    let mut reader = Reader::new(&vpcd);
    reader.tap();
    let mut transport = NfcTransport::new(&mut reader, thread::sleep);
    let options = GetOptions::new("example.org", &HASH);
    let mut buffer = vec![0; 4096];
    let rng = ChaCha20Rng::seed_from_u64(9);
    let signing = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, rng);
    let signed = client::run(signing, &mut transport, &mut Nobody, Time::default).unwrap();
    assert_eq!(signed.get(0).unwrap().user_handle(), Some(&b"alice"[..]));
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let orders = [Message::Off, Message::On, Message::Reset, Message::Atr].map(|order| {
        let mut bytes = Vec::new();
        order.write(&mut bytes);
        bytes
    });
    let apdu = prop::collection::vec(any::<u8>(), 2..300).prop_map(|apdu| {
        let mut bytes = Vec::new();
        Message::Apdu(&apdu).write(&mut bytes);
        bytes
    });
    prop_oneof![prop::sample::select(orders.to_vec()), apdu]
}

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_written_and_its_beginnings_are_incomplete(bytes in any_message(), more: u8) {
        for len in 0..bytes.len() {
            prop_assert_eq!(Message::parse(&bytes[..len]), Ok(None));
        }
        let longer = [&bytes[..], &[more]].concat();
        let (message, len) = Message::parse(&longer).unwrap().unwrap();
        prop_assert_eq!(len, bytes.len());
        let mut again = Vec::new();
        message.write(&mut again);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn any_bytes_are_a_message_or_its_beginning_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        match Message::parse(&bytes) {
            Ok(Some((_, len))) => prop_assert!((3..=bytes.len()).contains(&len)),
            Ok(None) => prop_assert!(bytes.len() < 2 || bytes.len() < 2 + usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))),
            Err(error) => prop_assert_eq!((error, &bytes[..2]), (Error::Empty, &[0, 0][..])),
        }
    }
}

#[test]
fn an_answer_that_is_too_long_for_a_message_is_cut() {
    let mut bytes = Vec::new();
    write(&mut bytes, &[7; 70_000]);
    assert_eq!((&bytes[..3], bytes.len()), (&[0xFF, 0xFF, 7][..], LONGEST));
}
