//! The virtual key on sockets: plugging in, unplugging, several clients, and misbehaving ones. Every test ends by itself.
#![allow(clippy::disallowed_methods)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use keyfob_core::{
    Status,
    cbor::{List, Write as Cbor},
    cose::{Algorithm, CoseKey},
    crypto::RustCrypto,
    ctap2::{
        self, Command, CommandOptions, CredentialParameters, RpEntity, UserEntity, client_pin, client_pin::subcommand,
        get_assertion, get_info, make_credential,
    },
    pin_uv::{self, PaddedPin, PinHash, PinUvAuthProtocol, Token},
    transport::{
        Protocol, Received, Transport,
        hid::{self, HidError, HidErrorCode, HidTransport, MAX_MESSAGE, REPORT_LEN},
    },
};
use keyfob_soft_authenticator::{
    devices::{
        InProcess, KeyOptions, TcpPipe, Touch, VirtualKey,
        hub::{Hub, HubEvent, HubHandle, Peer},
    },
    engine::Config,
    nfc::Presence,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

#[path = "hub/door.rs"]
mod door;
#[path = "hub/openers.rs"]
mod openers;
#[path = "hub/udp.rs"]
mod udp;
#[cfg(target_os = "linux")]
#[path = "hub/uhid.rs"]
mod uhid;
#[cfg(unix)]
#[path = "hub/unix.rs"]
mod unix;
#[path = "hub/usbip.rs"]
mod usbip;
#[path = "hub/vpcd.rs"]
mod vpcd;

const HASH: [u8; 32] = [7; 32];

/// A key on its own port, until the process ends.
fn plug(touch: Touch) -> SocketAddr {
    watched(Config::new([0xAA; 16]), touch).0
}

/// A touch that the test controls. Counts the requests for a touch.
#[derive(Clone, Default)]
struct Remote(Arc<Mutex<(Option<bool>, u32)>>);

impl Remote {
    fn touch(&self) -> Touch {
        let remote = self.clone();
        Touch::Ask(Box::new(move |first| {
            let mut state = remote.0.lock().unwrap();
            state.1 += u32::from(first);
            state.0
        }))
    }

    fn set(&self, answer: Option<bool>) {
        self.0.lock().unwrap().0 = answer;
    }

    fn asked(&self) -> u32 {
        self.0.lock().unwrap().1
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

struct Client {
    transport: HidTransport<TcpPipe, Box<dyn FnMut() -> keyfob_core::Instant>>,
    rng: ChaCha20Rng,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let start = Instant::now();
        let clock = move || keyfob_core::Instant::from_millis(start.elapsed().as_millis() as u64);
        let transport = HidTransport::new(TcpPipe::new(connect(address)), Box::new(clock) as _, [1; 8]);
        Self { transport, rng: ChaCha20Rng::seed_from_u64(2) }
    }

    fn send(&mut self, request: &[u8]) {
        self.transport.send(Protocol::Ctap2, request).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let (mut buffer, start) = (vec![0; 7609], Instant::now());
        loop {
            assert!(start.elapsed() < Duration::from_secs(10), "no answer");
            if let Received::Response(len) = self.transport.receive(&mut buffer, Duration::from_millis(500)).unwrap() {
                return buffer[..len].to_vec();
            }
        }
    }

    fn call<T: Cbor>(&mut self, command: Command, parameters: &T) -> Vec<u8> {
        let mut request = [0; 1024];
        let len = ctap2::encode_request(command, parameters, &mut request).unwrap();
        self.send(&request[..len]);
        self.receive()
    }

    fn command(&mut self, command: Command) -> Vec<u8> {
        self.send(&[command.0]);
        self.receive()
    }

    fn make(&mut self, user: &[u8], token: Option<&Token>) -> Status {
        let param = token.map(|token| token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[&HASH]));
        let request = make_credential::Request {
            client_data_hash: &HASH,
            rp: RpEntity { id: "example.org", name: None },
            user: UserEntity { id: user, name: None, display_name: None },
            pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
            exclude_list: None,
            extensions: None,
            options: Some(CommandOptions { rk: Some(true), ..Default::default() }),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
            pin_uv_auth_protocol: token.map(|_| 2),
            enterprise_attestation: None,
            attestation_formats_preference: None,
        };
        Status(self.call(Command::MAKE_CREDENTIAL, &request)[0])
    }

    /// The signature counter of an assertion.
    fn get(&mut self) -> u32 {
        let request = get_assertion::Request {
            rp_id: "example.org",
            client_data_hash: &HASH,
            allow_list: None,
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        let response = self.call(Command::GET_ASSERTION, &request);
        let response: get_assertion::Response<'_> = ctap2::decode_response(&response).unwrap();
        u32::from_be_bytes(response.auth_data[33..37].try_into().unwrap())
    }

    /// setPIN, or getPinToken if a PIN is `set`.
    fn pin(&mut self, pin: &str, set: bool) -> Result<Token, Status> {
        let agree = client_pin::Request {
            pin_uv_auth_protocol: Some(2),
            sub_command: Some(subcommand::GET_KEY_AGREEMENT),
            ..Default::default()
        };
        let response = self.call(Command::CLIENT_PIN, &agree);
        let response: client_pin::Response<'_> = ctap2::decode_response(&response).unwrap();
        let key = response.key_agreement.unwrap();
        let (point, shared) = pin_uv::encapsulate(&RustCrypto, &mut self.rng, PinUvAuthProtocol::Two, &key).unwrap();
        let mut enc = [0; 80];
        let padded = PaddedPin::new(pin, 4).unwrap();
        let hash = PinHash::of(&RustCrypto, pin.as_bytes());
        let plain: &[u8] = if set { padded.as_bytes() } else { &hash.0 };
        let len = shared.encrypt(&RustCrypto, &mut self.rng, plain, &mut enc).unwrap();
        let enc = &enc[..len];
        let param = shared.authenticate(&RustCrypto, &[enc]);
        let request = client_pin::Request {
            pin_uv_auth_protocol: Some(2),
            sub_command: Some(if set { subcommand::SET_PIN } else { subcommand::GET_PIN_TOKEN }),
            key_agreement: Some(CoseKey::key_agreement(&point)),
            pin_uv_auth_param: set.then_some(param.as_bytes()),
            new_pin_enc: set.then_some(enc),
            pin_hash_enc: (!set).then_some(enc),
            ..Default::default()
        };
        let response = self.call(Command::CLIENT_PIN, &request);
        if response.len() == 1 {
            return if response[0] == 0 { Ok(Token::default()) } else { Err(Status(response[0])) };
        }
        let response: client_pin::Response<'_> = ctap2::decode_response(&response).unwrap();
        let mut token = [0; 32];
        shared.decrypt(&RustCrypto, response.pin_uv_auth_token.unwrap(), &mut token).unwrap();
        Ok(Token::new(PinUvAuthProtocol::Two, &token).unwrap())
    }
}

fn init(nonce: u8) -> [u8; REPORT_LEN] {
    let mut report = [0; REPORT_LEN];
    report[..15]
        .copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 8, nonce, nonce, nonce, nonce, nonce, nonce, nonce, nonce]);
    report
}

fn read_report(stream: &mut TcpStream) -> [u8; REPORT_LEN] {
    let mut report = [0; REPORT_LEN];
    stream.read_exact(&mut report).unwrap();
    report
}

#[test]
fn hundreds_of_clients_plug_in_one_after_another() {
    let address = plug(Touch::Auto);
    for round in 0..300u32 {
        match round % 4 {
            0 => drop(connect(address)),
            1 => connect(address).write_all(&init(1)[..round as usize % 64]).unwrap(),
            2 => connect(address).write_all(&init(1)).unwrap(), // disconnects without reading the answer
            _ => {
                let mut stream = connect(address);
                stream.write_all(&init(2)).unwrap();
                let answer = read_report(&mut stream);
                assert_eq!((&answer[..7], &answer[7..15]), (&[0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 17][..], &[2; 8][..]));
            }
        }
    }
    let response = Client::new(address).command(Command::GET_INFO);
    ctap2::decode_response::<get_info::Response<'_>>(&response).unwrap();
}

#[test]
fn a_client_that_goes_while_a_touch_is_awaited_leaves_nothing_behind() {
    let remote = Remote::default();
    let address = plug(remote.touch());
    for round in 1..=5 {
        let mut client = Client::new(address);
        client.send(&[Command::RESET.0]);
        let start = Instant::now();
        while remote.asked() < round {
            assert!(start.elapsed() < Duration::from_secs(5), "no touch is requested");
            let mut buffer = [0; 64];
            let received = client.transport.receive(&mut buffer, Duration::from_millis(20)).unwrap();
            assert!(!matches!(received, Received::Response(_)));
        }
    }
    remote.set(Some(true));
    let mut client = Client::new(address);
    assert_eq!(client.command(Command::GET_INFO)[0], 0);
    assert_eq!(client.make(b"u", None), Status::OK);
    assert_eq!(client.get(), 1, "the pending resets are gone, and so are their touches");
}

#[test]
fn plugging_in_keeps_credentials_pin_and_counter_and_forgets_the_token() {
    let address = plug(Touch::Auto);
    let token = {
        let mut client = Client::new(address);
        assert_eq!(client.make(b"u", None), Status::OK);
        assert_eq!((client.get(), client.get()), (1, 2));
        client.pin("1234", true).unwrap();
        let token = client.pin("1234", false).unwrap();
        assert_eq!(client.make(b"v", Some(&token)), Status::OK);
        client.pin("1234", false).unwrap()
    };
    let mut client = Client::new(address);
    assert_eq!(client.make(b"w", Some(&token)), Status::PIN_AUTH_INVALID);
    assert_eq!(client.make(b"w", None), Status::PUAT_REQUIRED);
    let count = client.get();
    assert!((3..=102).contains(&count), "{count}: after a power cycle it goes on, at most a block of 100 further");
}

#[test]
fn plugging_in_lifts_the_latch_of_three_wrong_pins() {
    let address = plug(Touch::Auto);
    let mut client = Client::new(address);
    client.pin("1234", true).unwrap();
    let answers = [0; 4].map(|_| client.pin("9999", false).unwrap_err());
    let (invalid, blocked) = (Status::PIN_INVALID, Status::PIN_AUTH_BLOCKED);
    assert_eq!(answers, [invalid, invalid, blocked, blocked]);
    drop(client);
    let mut client = Client::new(address);
    assert_eq!(client.pin("9999", false).unwrap_err(), Status::PIN_INVALID);
    client.pin("1234", false).unwrap();
}

#[test]
fn plugging_in_opens_the_reset_window() {
    let address = plug(Touch::Auto);
    let mut client = Client::new(address);
    assert_eq!(client.make(b"u", None), Status::OK);
    thread::sleep(Duration::from_millis(10_050)); // the window is 10 s of the machine's clock
    assert_eq!(client.command(Command::RESET), [Status::NOT_ALLOWED.0]);
    assert_eq!(client.get(), 1);
    drop(client);
    assert_eq!(Client::new(address).command(Command::RESET), [0]);
}

#[test]
fn plugging_in_gives_new_channels() {
    let address = plug(Touch::Auto);
    let mut channels: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(&init(3)).unwrap();
            read_report(&mut stream)[15..19].to_vec()
        })
        .collect();
    channels.dedup();
    assert_eq!(channels.len(), 20);
}

#[test]
fn a_report_that_comes_byte_by_byte_is_a_report() {
    let mut stream = connect(plug(Touch::Auto));
    for (count, byte) in init(4).into_iter().enumerate() {
        stream.write_all(&[byte]).unwrap();
        if count % 8 == 0 {
            thread::sleep(Duration::from_millis(2)); // let it be read
        }
    }
    assert_eq!(read_report(&mut stream)[7..15], [4; 8]);
}

#[test]
fn garbage_is_answered_or_ignored_and_the_next_client_is_served() {
    use rand_core::Rng;
    let address = plug(Touch::Auto);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for _ in 0..20 {
        let mut stream = connect(address);
        let mut reader = stream.try_clone().unwrap();
        stream.write_all(&init(1)).unwrap(); // plugs the key in
        let drain = thread::spawn(move || while matches!(reader.read(&mut [0; 4096]), Ok(1..)) {});
        for _ in 0..50 {
            let mut report = [0; REPORT_LEN];
            rng.fill_bytes(&mut report);
            report[4] |= 0x80; // an initialization packet
            report[5] &= 0x0F;
            stream.write_all(&report).unwrap();
        }
        stream.shutdown(std::net::Shutdown::Both).unwrap();
        drain.join().unwrap();
    }
    assert_eq!(Client::new(address).command(Command::GET_INFO)[0], 0);
}

/// What a hub has told, but for messages and reports.
type Events = Arc<Mutex<Vec<HubEvent>>>;

/// A key behind a hub, until the process ends or the hub is stopped. `doors` adds its doors.
fn hub(
    config: Config<'static>,
    touch: Touch,
    doors: impl FnOnce(&mut Hub<'_, '_>) + Send + 'static,
) -> (HubHandle, Events, thread::JoinHandle<()>) {
    hub_of(config, touch, Presence::Tap, doors)
}

/// The same, for a key that may be a card.
fn hub_of(
    config: Config<'static>,
    touch: Touch,
    presence: Presence,
    doors: impl FnOnce(&mut Hub<'_, '_>) + Send + 'static,
) -> (HubHandle, Events, thread::JoinHandle<()>) {
    let (told, handles) = std::sync::mpsc::channel();
    let events = Events::default();
    let noted = events.clone();
    let thread = thread::spawn(move || {
        let mut buffer = vec![0; config.buffer_len().max(MAX_MESSAGE)];
        let options = KeyOptions { seed: Some(1), touch, presence, ..KeyOptions::new(config) };
        let mut key = VirtualKey::new(&mut buffer, options).unwrap();
        let mut hub = Hub::new(&mut key).unwrap();
        doors(&mut hub);
        told.send(hub.handle()).unwrap();
        let is_of_clients = |event: &HubEvent| {
            use HubEvent::{
                Closed, Full, InField, NoReader, Opened, OutOfField, PluggedIn, Stranger, Stuck, Unplugged,
            };
            matches!(event, PluggedIn | Unplugged | Opened(_) | Closed(_) | Stranger(_) | Full(_) | Stuck(_))
                || matches!(event, InField(_) | OutOfField(_) | NoReader(..))
        };
        hub.run(|event| {
            if is_of_clients(&event) {
                noted.lock().unwrap().push(event);
            }
        })
        .unwrap();
    });
    (handles.recv().unwrap(), events, thread)
}

/// A key on its own TCP port.
fn watched(config: Config<'static>, touch: Touch) -> (SocketAddr, Events) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_, events, _) = hub(config, touch, |hub| hub.listen_tcp(listener).unwrap());
    (address, events)
}

/// Waits until this many events were told.
fn noted(events: &Mutex<Vec<HubEvent>>, count: usize) -> Vec<HubEvent> {
    let start = Instant::now();
    loop {
        let noted = events.lock().unwrap().clone();
        if noted.len() >= count {
            return noted;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{noted:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn reports_that_come_in_one_segment_are_all_answered() {
    let mut stream = connect(plug(Touch::Auto));
    let init = |nonce: u8| {
        let mut report = [0; REPORT_LEN];
        report[..7].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 8]);
        report[7..15].fill(nonce);
        report
    };
    let inits: Vec<u8> = (1..=12).flat_map(init).collect();
    stream.write_all(&inits).unwrap();
    let (mut report, mut channel) = ([0; REPORT_LEN], [0; 4]);
    for nonce in 1..=12 {
        stream.read_exact(&mut report).unwrap();
        assert_eq!(report[7..15], [nonce; 8]);
        channel.copy_from_slice(&report[15..19]);
    }
    let pings: Vec<u8> = (1..=3)
        .flat_map(|byte| {
            let mut report = [byte; REPORT_LEN];
            report[..4].copy_from_slice(&channel);
            report[4..7].copy_from_slice(&[0x81, 0, 57]);
            report
        })
        .collect();
    stream.write_all(&pings).unwrap();
    for ping in pings.chunks(REPORT_LEN) {
        stream.read_exact(&mut report).unwrap();
        assert_eq!(report, ping);
    }
}

#[test]
fn a_ping_is_as_long_as_a_message_can_be_whatever_the_profile_takes_of_ctap() {
    let (address, _) = watched(Config::arculus_like([0xAA; 16]), Touch::Auto);
    let mut client = Client::new(address);
    let data: Vec<u8> = (0..MAX_MESSAGE).map(|index| index as u8).collect();
    for len in [1_024, 1_025, MAX_MESSAGE] {
        let mut buffer = data.clone();
        assert_eq!(client.transport.ping(&mut buffer, len).unwrap(), len);
        assert_eq!(buffer, data);
    }
    let mut buffer = data.clone();
    let refused = client.transport.command(hid::HidCommand::CBOR, &mut buffer, 1_025);
    assert!(matches!(refused, Err(HidError::Device(HidErrorCode::INVALID_LEN))), "{refused:?}");
}

#[test]
fn a_virtual_key_winks_and_answers_vendor_commands_where_it_is_told_how() {
    let winks = Arc::new(Mutex::new(0));
    let config = Config::new([0xAA; 16]);
    let mut buffer = vec![0; config.buffer_len()];
    let mut options = KeyOptions::new(config);
    let counted = winks.clone();
    options.wink = Some(Box::new(move || *counted.lock().unwrap() += 1));
    options.vendor_commands = Some(Box::new(|command, buffer, len| match command {
        hid::HidCommand(0x42) => {
            buffer[..len].reverse();
            Ok(len)
        }
        _ => Err(HidErrorCode::INVALID_CMD),
    }));
    let start = Instant::now();
    let clock = || keyfob_core::Instant::from_millis(start.elapsed().as_millis() as u64);
    let key = InProcess(VirtualKey::new(&mut buffer, options).unwrap());
    let mut transport = HidTransport::new(key, clock, [1; 8]);
    transport.wink().unwrap();
    transport.wink().unwrap();
    assert_eq!(*winks.lock().unwrap(), 2);
    let mut message = *b"vendor";
    assert_eq!(transport.command(hid::HidCommand(0x42), &mut message, 6), Ok(6));
    assert_eq!(&message, b"rodnev");
    let refused = Err(HidError::Device(HidErrorCode::INVALID_CMD));
    assert_eq!(transport.command(hid::HidCommand(0x43), &mut message, 6), refused);
    assert_eq!(transport.lock(1), Err(HidError::Device(HidErrorCode::INVALID_CMD)), "off by default");
}
