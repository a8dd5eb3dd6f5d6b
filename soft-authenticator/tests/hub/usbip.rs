//! The key over USB/IP, with a client that does what `vhci-hcd` of Linux does: it enumerates the device and transfers.

use keyfob_core::transport::hid::REPORT_DESCRIPTOR;
use keyfob_soft_authenticator::devices::usbip::{Error, Message, OK, OVERFLOW, STALLED, Submit, UNLINKED, bus_id};
use proptest::prelude::*;

use super::*;

/// The end of a transfer.
#[derive(Debug, PartialEq)]
struct Returned {
    sequence: u32,
    status: i32,
    len: u32,
    data: Vec<u8>,
}

struct UsbClient {
    stream: TcpStream,
    sequence: u32,
}

fn word(bytes: &[u8], index: usize) -> u32 {
    u32::from_be_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap())
}

impl UsbClient {
    fn new(address: SocketAddr) -> Self {
        Self { stream: connect(address), sequence: 0 }
    }

    fn send(&mut self, message: &Message<'_>) {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The answer to an operation: its code and status.
    fn operation(&mut self, message: &Message<'_>) -> (u16, u32) {
        self.send(message);
        let header = self.read::<8>();
        assert_eq!(header[..2], [1, 0x11]);
        (u16::from_be_bytes([header[2], header[3]]), word(&header, 1))
    }

    fn attached(address: SocketAddr) -> Self {
        let mut client = Self::new(address);
        assert_eq!(client.operation(&Message::Import(bus_id())), (3, 0));
        client.read::<312>();
        client
    }

    fn submit(&mut self, is_in: bool, endpoint: u32, len: u32, setup: [u8; 8], data: &[u8]) -> u32 {
        self.sequence += 1;
        self.send(&Message::Submit(Submit { sequence: self.sequence, is_in, endpoint, len, setup, data }));
        self.sequence
    }

    /// The next end of a transfer. `in_sequence` is the number of one to the client.
    fn returned(&mut self, has_data: impl Fn(u32) -> bool) -> Returned {
        let header = self.read::<48>();
        assert_eq!(word(&header, 0), 3);
        let (sequence, status, len) = (word(&header, 1), word(&header, 5).cast_signed(), word(&header, 6));
        let mut data = vec![0; if has_data(sequence) { len as usize } else { 0 }];
        self.stream.read_exact(&mut data).unwrap();
        Returned { sequence, status, len, data }
    }

    /// A control request to the client.
    fn control(&mut self, setup: [u8; 8]) -> Result<Vec<u8>, i32> {
        let is_in = setup[0] & 0x80 != 0;
        let sequence = self.submit(is_in, 0, u16::from_le_bytes([setup[6], setup[7]]).into(), setup, &[]);
        let returned = self.returned(|_| is_in);
        assert_eq!(returned.sequence, sequence);
        if returned.status == OK { Ok(returned.data) } else { Err(returned.status) }
    }

    /// Writes a report, and waits for the next one.
    fn exchange(&mut self, report: &[u8; REPORT_LEN]) -> [u8; REPORT_LEN] {
        let input = self.submit(true, 1, 64, [0; 8], &[]);
        let output = self.submit(false, 1, 64, [0; 8], report);
        let ends = [self.returned(|sequence| sequence == input), self.returned(|sequence| sequence == input)];
        assert!(ends.iter().any(|end| *end == Returned { sequence: output, status: OK, len: 64, data: vec![] }));
        ends.iter().find(|end| end.sequence == input).unwrap().data.clone().try_into().unwrap()
    }
}

fn served() -> (SocketAddr, Events) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_, events, _) = hub(Config::new([0xAA; 16]), Touch::Auto, |hub| hub.listen_usbip(listener).unwrap());
    (address, events)
}

#[test]
fn the_device_is_listed_as_a_fido_key_would_be() {
    let (address, events) = served();
    let mut client = UsbClient::new(address);
    assert_eq!(client.operation(&Message::List), (5, 0));
    let device = client.read::<320>();
    assert_eq!(word(&device, 0), 1, "one device");
    assert_eq!(device[4 + 256..4 + 260], *b"1-1\0");
    assert_eq!(word(&device, (4 + 288) / 4 + 2), 2, "full speed");
    assert_eq!(device[304..310], [0x12, 0x09, 0xF1, 0xD0, 1, 0]);
    assert_eq!(device[310..], [0, 0, 0, 1, 1, 1, 3, 0, 0, 0], "one interface, of class HID");
    let mut other = UsbClient::new(address);
    assert_eq!(other.operation(&Message::Import([b'x'; 32])), (3, 1), "no such device");
    assert_eq!(events.lock().unwrap().len(), 0, "nobody has plugged it in");
}

#[test]
fn a_client_enumerates_the_device_and_talks_ctaphid() {
    let (address, events) = served();
    let mut client = UsbClient::attached(address);
    let device = client.control([0x80, 6, 0, 1, 0, 0, 64, 0]).unwrap();
    assert_eq!((device.len(), &device[8..12]), (18, &[0x09, 0x12, 0xD0, 0xF1][..]));
    let configuration = client.control([0x80, 6, 0, 2, 0, 0, 9, 0]).unwrap();
    let total = configuration[2];
    let configuration = client.control([0x80, 6, 0, 2, 0, 0, total, 0]).unwrap();
    assert_eq!(configuration.len(), total.into());
    let mut rest = &configuration[..];
    let mut kinds = Vec::new();
    while let [len, kind, ..] = *rest {
        kinds.push(kind);
        rest = &rest[len.into()..];
    }
    assert_eq!(kinds, [2, 4, 0x21, 5, 5], "configuration, interface, HID, two endpoints");
    let text = |string: Vec<u8>| {
        let units: Vec<u16> = string[2..].chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        String::from_utf16(&units).unwrap()
    };
    assert_eq!(text(client.control([0x80, 6, 1, 3, 9, 4, 255, 0]).unwrap()), "keyfob");
    assert_eq!(text(client.control([0x80, 6, 2, 3, 9, 4, 255, 0]).unwrap()), "virtual security key");
    assert_eq!(client.control([0, 9, 1, 0, 0, 0, 0, 0]), Ok(vec![]), "SET_CONFIGURATION");
    assert_eq!(client.control([0x21, 10, 0, 0, 0, 0, 0, 0]), Ok(vec![]), "SET_IDLE");
    let report_descriptor = client.control([0x81, 6, 0, 0x22, 0, 0, configuration[25], 0]).unwrap();
    assert_eq!(report_descriptor, REPORT_DESCRIPTOR);
    for stalls in [[0x80, 6, 0, 6, 0, 0, 10, 0], [0xA1, 1, 0, 1, 0, 0, 64, 0], [0x80, 6, 9, 3, 9, 4, 255, 0]] {
        assert_eq!(client.control(stalls), Err(STALLED), "no device qualifier, no GET_REPORT, no ninth string");
    }
    let answer = client.exchange(&init(1));
    assert_eq!(answer[7..15], [1; 8]);
    let mut request = [0; REPORT_LEN];
    request[..4].copy_from_slice(&answer[15..19]);
    request[4..8].copy_from_slice(&[0x90, 0, 1, Command::GET_INFO.0]);
    let answer = client.exchange(&request);
    assert_eq!((answer[4], answer[7]), (0x90, 0));
    let peer = Peer::Usbip(client.stream.local_addr().unwrap());
    drop(client);
    use HubEvent::{Closed, Opened, PluggedIn, Unplugged};
    assert_eq!(noted(&events, 4), [PluggedIn, Opened(peer), Closed(peer), Unplugged]);
}

#[test]
fn a_transfer_that_waits_can_be_unlinked_once() {
    let (address, _) = served();
    let mut client = UsbClient::attached(address);
    let transfer = client.submit(true, 1, 64, [0; 8], &[]);
    for (sequence, status) in [(100, UNLINKED), (101, OK)] {
        client.send(&Message::Unlink { sequence, transfer });
        let answer = client.read::<48>();
        assert_eq!([0, 1, 5].map(|at| word(&answer, at)), [4, sequence, status.cast_unsigned()]);
    }
    assert_eq!(client.exchange(&init(1))[7..15], [1; 8], "the next one gets the report");
}

#[test]
fn a_transfer_gets_no_more_bytes_than_it_takes() {
    let (address, _) = served();
    let mut client = UsbClient::attached(address);
    for (room, len, status) in [(16, 16, OVERFLOW), (0, 0, OVERFLOW), (64, 64, OK), (512, 64, OK)] {
        let input = client.submit(true, 1, room, [0; 8], &[]);
        client.submit(false, 1, 64, [0; 8], &init(1));
        let ends = [client.returned(|sequence| sequence == input), client.returned(|sequence| sequence == input)];
        let end = ends.iter().find(|end| end.sequence == input).unwrap();
        assert_eq!((end.status, end.len), (status, len), "room for {room}");
    }
}

#[test]
fn messages_that_come_byte_by_byte_are_messages() {
    let (address, _) = served();
    let mut client = UsbClient::new(address);
    let mut bytes = Vec::new();
    Message::Import(bus_id()).write(&mut bytes);
    let setup = [0x80, 6, 0, 1, 0, 0, 18, 0];
    Message::Submit(Submit { sequence: 1, is_in: true, endpoint: 0, len: 18, setup, data: &[] }).write(&mut bytes);
    for (count, byte) in bytes.iter().enumerate() {
        client.stream.write_all(&[*byte]).unwrap();
        if count % 8 == 0 {
            thread::sleep(Duration::from_millis(1)); // let it be read
        }
    }
    client.read::<320>();
    assert_eq!(client.returned(|_| true).len, 18);
}

#[test]
fn who_does_not_speak_usbip_is_closed_and_reaches_nothing() {
    let (address, events) = served();
    let begin = |version: u16, code: u16| [version.to_be_bytes(), code.to_be_bytes(), [0; 2], [0; 2]].concat();
    let strangers =
        [b"GET / HTTP/1.1\r\n\r\n".to_vec(), init(1).to_vec(), begin(0x0100, 0x8003), begin(0x0111, 0x8004)];
    for (count, stranger) in strangers.iter().enumerate() {
        let mut stream = connect(address);
        stream.write_all(stranger).unwrap();
        assert!(matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)), "closed");
        assert!(matches!(noted(&events, count + 1)[count], HubEvent::Stranger(_)));
    }
    let mut client = UsbClient::attached(address);
    client.stream.write_all(&[9; 48]).unwrap(); // no such command
    assert!(matches!(client.stream.read(&mut [0; 64]), Ok(0) | Err(_)), "closed");
}

fn any_message() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let write = |message: Message<'_>| {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        bytes
    };
    let data = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        Just((write(Message::List), false)),
        any::<[u8; 32]>().prop_map(move |bus_id| (write(Message::Import(bus_id)), false)),
        any::<(u32, u32)>().prop_map(move |(sequence, transfer)| (write(Message::Unlink { sequence, transfer }), true)),
        (any::<u32>(), any::<u32>(), any::<[u8; 8]>(), data).prop_map(move |(sequence, endpoint, setup, data)| {
            let len = data.len() as u32;
            (write(Message::Submit(Submit { sequence, is_in: false, endpoint, len, setup, data: &data })), true)
        }),
        (any::<u32>(), any::<u32>(), any::<u32>(), any::<[u8; 8]>()).prop_map(
            move |(sequence, endpoint, len, setup)| {
                (write(Message::Submit(Submit { sequence, is_in: true, endpoint, len, setup, data: &[] })), true)
            }
        ),
    ]
}

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_written_and_its_beginnings_are_incomplete((bytes, is_attached) in any_message(), more: u8) {
        for len in 0..bytes.len() {
            prop_assert_eq!(Message::parse(&bytes[..len], is_attached), Ok(None));
        }
        let longer = [&bytes[..], &[more]].concat();
        let (message, len) = Message::parse(&longer, is_attached).unwrap().unwrap();
        prop_assert_eq!(len, bytes.len());
        let mut again = Vec::new();
        message.write(&mut again);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn any_bytes_are_a_message_or_its_beginning_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..100), is_attached: bool) {
        if let Ok(Some((_, len))) = Message::parse(&bytes, is_attached) {
            prop_assert!(len <= bytes.len());
        }
    }
}

#[test]
fn each_error_names_what_was_wrong() {
    let transfer = |words: [u32; 10]| [words.map(u32::to_be_bytes).concat(), vec![0; 8]].concat();
    let parse = |bytes: &[u8]| Message::parse(bytes, true).unwrap_err();
    assert_eq!(parse(&transfer([3, 0, 0, 0, 0, 0, 0, 0, 0, 0])), Error::Command(3));
    assert_eq!(parse(&transfer([1, 0, 0, 2, 0, 0, 0, 0, 0, 0])), Error::Direction(2));
    assert_eq!(parse(&transfer([1, 0, 0, 0, 1, 0, 4097, 0, 0, 0])), Error::Length(4097));
    assert_eq!(parse(&transfer([1, 0, 0, 1, 1, 0, 64, 0, 1, 0])), Error::Isochronous);
    assert_eq!(Message::parse(&[1, 0x10], false), Err(Error::Version(0x0110)));
    assert_eq!(Error::Length(4097).to_string(), "a transfer of 4097 bytes to the key, which should be 4096 at most");
}
