//! The engine behind NFC: whole ceremonies of the client through a reader, and the tap as the user's consent.

use std::{cell::Cell, convert::Infallible, fmt::Debug, rc::Rc, time::Duration};

use keyfob_core::{
    Instant, Status,
    auth_data::Flags,
    client::{
        Ceremony, GetAssertion, GetOptions, MakeCredential, MakeOptions, Requirement,
        manage::{Reset, SetPin},
        run,
    },
    crypto::{RustCrypto, Verify},
    ctap1::{AuthenticateResponse, Control, RegisterResponse, StatusWord},
    ctap2::{Command, CredentialParameters, RpEntity, UserEntity},
    transport::{
        KeepAlive, Protocol, Received, Transport,
        nfc::{ApduIo, DeviceConfig, NfcError, NfcFailure, NfcTransport, Version},
    },
};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, Wait},
    nfc::{NfcAuthenticator, NfcConfig, Presence, TAP_LIMIT},
};

use super::{
    client_operations::{User, rng},
    harness::*,
    u2f::{authentication, registration},
};

const CARD: Config<'static> = Config::arculus_like([0xAA; 16]);

/// A key whose getInfo response does not fit in one response in short length encoding.
const LARGE: Config<'static> = Config { transports: CARD.transports, max_msg_size: 1024, ..Config::new([0xAA; 16]) };

/// A clock that tests advance, in milliseconds.
pub type Clock = Rc<Cell<u64>>;

/// Registers with a new PIN and signs in with it. `tap` lets the user be present again.
pub fn register_and_sign_in<T: Transport>(transport: &mut T, clock: &Clock, mut tap: impl FnMut(&mut T))
where
    T::Error: Debug,
{
    let mut buffer = vec![0; 2048];
    let time = || Instant::from_millis(clock.get());
    run(Ceremony::new(SetPin, &mut buffer, RustCrypto, rng()), transport, &mut User("", PIN), time).unwrap();

    tap(transport);
    let user = UserEntity { id: b"user", name: None, display_name: None };
    let parameters = [CredentialParameters::new(keyfob_core::cose::Algorithm::ES256)];
    let options = MakeOptions {
        resident_key: Requirement::Required,
        user_verification: Requirement::Required,
        ..MakeOptions::new(&HASH, RpEntity { id: RP, name: None }, user, &parameters)
    };
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, rng());
    let made = run(ceremony, transport, &mut User(PIN, ""), time).unwrap();
    assert!(made.auth_data.flags.has(Flags::UP) && made.auth_data.flags.has(Flags::UV));
    let credential = made.auth_data.attested_credential_data.unwrap();
    let (id, mut key_bytes) = (credential.credential_id.to_vec(), [0; 256]);
    let len = keyfob_core::cbor::encode(&credential.public_key, &mut key_bytes).unwrap();
    let public_key = keyfob_core::cbor::decode(&key_bytes[..len]).unwrap();

    tap(transport);
    let options = GetOptions { user_verification: Requirement::Required, ..GetOptions::new(RP, &HASH) };
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, rng());
    let got = run(ceremony, transport, &mut User(PIN, ""), time).unwrap();
    let got = got.get(0).unwrap();
    assert_eq!(got.credential_id, id);
    RustCrypto.verify(&public_key, &[got.response.auth_data, &HASH], got.response.signature).unwrap();
}

/// A card in a reader's field.
pub struct Reader {
    pub card: NfcAuthenticator<'static, Bench>,
    clock: Clock,
    /// Milliseconds that an atom of work takes.
    atom: u64,
    /// Whether the client says that it knows NFCCTAP_GETRESPONSE.
    polls: bool,
    /// When the user presses the button after it was asked for, if at all.
    presses: Option<u64>,
    asked: Option<u64>,
    /// The status words so far.
    statuses: Vec<u16>,
}

impl Reader {
    fn new(key: Key, config: NfcConfig) -> Self {
        let clock = Rc::new(Cell::new(key.now.as_millis()));
        let card = NfcAuthenticator::new(key.engine, config, key.now);
        Self { card, clock, atom: 0, polls: true, presses: None, asked: None, statuses: vec![] }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.clock.get())
    }

    fn wait(&self, millis: u64) {
        self.clock.set(self.clock.get() + millis);
    }

    /// Does what is due.
    fn work(&mut self) {
        match self.card.waits_for() {
            Some(Wait::Touch) => {
                let asked = *self.asked.get_or_insert(self.clock.get());
                if self.presses.is_some_and(|after| asked + after <= self.clock.get()) {
                    self.card.touch(self.now(), true);
                }
                self.wait(10);
            }
            _ => {
                self.asked = None;
                self.wait(self.atom);
            }
        }
        self.card.tick(self.now());
    }
}

impl ApduIo for Reader {
    type Error = Infallible;

    fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> Result<usize, Infallible> {
        let mut command = command.to_vec();
        if command[0] & 0x80 != 0 && command[1] == 0x10 && !self.polls {
            command[2] = 0;
        }
        self.card.receive(self.now(), &command);
        for _ in 0..100_000 {
            let now = self.now();
            if let Some(answer) = self.card.transmit(now) {
                self.statuses.push(answer.status.0);
                return Ok(answer.encode(response).expect("the frame has room for the response"));
            }
            self.work();
        }
        panic!("the card never answers");
    }

    /// The user takes the card away and places it again.
    fn reconnect(&mut self) -> Result<(), Infallible> {
        self.wait(500);
        self.card.power_cycle(self.now()).unwrap();
        Ok(())
    }
}

/// A transport in short length encoding.
fn short(reader: Reader) -> NfcTransport<Reader, impl FnMut(Duration)> {
    let clock = reader.clock.clone();
    NfcTransport::new(reader, move |time| clock.set(clock.get() + time.as_millis() as u64))
}

fn extended<const FRAME: usize>(reader: Reader) -> NfcTransport<Reader, impl FnMut(Duration), FRAME> {
    let clock = reader.clock.clone();
    NfcTransport::extended(reader, move |time| clock.set(clock.get() + time.as_millis() as u64))
}

/// Sends a request and returns the response.
fn call(transport: &mut impl Transport<Error: Debug>, protocol: Protocol, request: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    transport.send(protocol, request).unwrap();
    loop {
        match transport.receive(&mut buffer, Duration::from_millis(100)).unwrap() {
            Received::Response(len) => return buffer[..len].to_vec(),
            Received::KeepAlive(_) | Received::Nothing => {}
            other => panic!("{other:?}"),
        }
    }
}

fn make(transport: &mut impl Transport<Error: Debug>, user: &[u8]) -> Status {
    Status(call(transport, Protocol::Ctap2, &message(Command::MAKE_CREDENTIAL, &resident(user)))[0])
}

#[test]
fn a_card_registers_and_signs_in_in_every_encoding_with_and_without_status_updates() {
    for (polls, atom) in [(true, 0), (true, 70), (true, 400), (false, 0), (false, 400)] {
        for encoding in 0..4 {
            let mut reader = Reader::new(Key::with(LARGE), NfcConfig::default());
            (reader.polls, reader.atom) = (polls, atom);
            let clock = reader.clock.clone();
            let statuses = match encoding {
                0 => {
                    let mut transport = short(reader);
                    register_and_sign_in(&mut transport, &clock, |it| it.reconnect().unwrap());
                    transport.into_io().statuses
                }
                1 => {
                    let mut transport = extended::<2048>(reader);
                    register_and_sign_in(&mut transport, &clock, |it| it.reconnect().unwrap());
                    transport.into_io().statuses
                }
                2 => {
                    let mut transport = extended::<300>(reader);
                    register_and_sign_in(&mut transport, &clock, |it| it.reconnect().unwrap());
                    transport.into_io().statuses
                }
                _ => {
                    // A card that takes short frames only.
                    let device = DeviceConfig { extended_length: false, ..DeviceConfig::default() };
                    let config = NfcConfig { device, ..NfcConfig::default() };
                    let mut reader = Reader::new(Key::with(LARGE), config);
                    (reader.polls, reader.atom) = (polls, atom);
                    let clock = reader.clock.clone();
                    let mut transport = short(reader);
                    register_and_sign_in(&mut transport, &clock, |it| it.reconnect().unwrap());
                    transport.into_io().statuses
                }
            };
            let has_updates = statuses.contains(&StatusWord::STATUS_UPDATE.0);
            assert_eq!(has_updates, polls && atom > 0, "{atom} ms an atom");
            let has_parts = statuses.iter().any(|status| status >> 8 == 0x61);
            assert_eq!(has_parts, encoding != 1, "parts of responses");
        }
    }
}

#[test]
fn an_arculus_like_card_says_that_it_speaks_nfc() {
    let mut transport = short(Reader::new(Key::with(CARD), NfcConfig::default()));
    let response = call(&mut transport, Protocol::Ctap2, &[Command::GET_INFO.0]);
    let info: keyfob_core::ctap2::get_info::Response<'_> = keyfob_core::ctap2::decode_response(&response).unwrap();
    let transports: Vec<_> = info.transports.unwrap().iter().map(|text| text.as_str().to_owned()).collect();
    assert_eq!((transports, info.max_msg_size), (vec!["nfc".to_owned()], Some(1024)));
    assert_eq!(transport.version(), Some(Version::U2fV2));

    let config = Config { caps: CARD.caps.without(Caps::U2F), ..CARD };
    let mut transport = short(Reader::new(Key::with(config), NfcConfig::default()));
    assert_eq!(transport.select(), Ok(Version::Fido2_0));
}

/// 11.3: a touch is needed, the tap is used up or 19.8 s old → OPERATION_DENIED
#[test]
fn a_tap_counts_once_and_not_for_ever() {
    let mut transport = short(Reader::new(Key::with(CARD), NfcConfig::default()));
    assert_eq!(make(&mut transport, b"a"), Status::OK);
    assert_eq!(make(&mut transport, b"b"), Status::OPERATION_DENIED);
    transport.reconnect().unwrap();
    assert_eq!(make(&mut transport, b"b"), Status::OK);

    transport.reconnect().unwrap();
    transport.io_mut().wait(TAP_LIMIT.as_millis() as u64 - 1);
    assert_eq!(make(&mut transport, b"c"), Status::OK);
    transport.reconnect().unwrap();
    transport.io_mut().wait(TAP_LIMIT.as_millis() as u64);
    assert_eq!(make(&mut transport, b"d"), Status::OPERATION_DENIED);
}

#[test]
fn commands_that_need_no_touch_leave_the_tap() {
    let mut transport = short(Reader::new(Key::with(CARD), NfcConfig::default()));
    assert_eq!(make(&mut transport, b"a"), Status::OK);
    transport.reconnect().unwrap();
    for _ in 0..3 {
        let silent = keyfob_core::ctap2::CommandOptions { up: Some(false), ..Default::default() };
        let request = keyfob_core::ctap2::get_assertion::Request { options: Some(silent), ..assertion() };
        let request = message(Command::GET_ASSERTION, &request);
        assert_eq!(call(&mut transport, Protocol::Ctap2, &request)[0], Status::OK.0);
        assert_eq!(call(&mut transport, Protocol::Ctap2, &[Command::GET_INFO.0])[0], Status::OK.0);
    }
    assert_eq!(call(&mut transport, Protocol::Ctap2, &message(Command::GET_ASSERTION, &assertion()))[0], 0);
}

#[test]
fn a_key_with_a_button_waits_for_it_once_the_tap_is_used_up() {
    let mut reader =
        Reader::new(Key::with(CARD), NfcConfig { presence: Presence::TapOrButton, ..NfcConfig::default() });
    reader.presses = Some(450);
    let mut transport = short(reader);
    assert_eq!(make(&mut transport, b"a"), Status::OK);
    transport.send(Protocol::Ctap2, &message(Command::MAKE_CREDENTIAL, &resident(b"b"))).unwrap();
    let mut buffer = [0; 2048];
    let mut told = 0;
    let status = loop {
        match transport.receive(&mut buffer, Duration::from_millis(100)).unwrap() {
            Received::KeepAlive(KeepAlive::UpNeeded) => told += 1,
            Received::Response(_) => break Status(buffer[0]),
            Received::KeepAlive(_) | Received::Nothing => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(status, Status::OK);
    assert!((2..=5).contains(&told), "{told}");
}

/// 11.3: NFCCTAP_GETRESPONSE with P1 = 11 while a touch is awaited → KEEPALIVE_CANCEL
#[test]
fn a_cancellation_over_nfc_is_answered_at_once() {
    let mut transport =
        short(Reader::new(Key::with(CARD), NfcConfig { presence: Presence::TapOrButton, ..NfcConfig::default() }));
    assert_eq!(make(&mut transport, b"a"), Status::OK);
    transport.send(Protocol::Ctap2, &message(Command::MAKE_CREDENTIAL, &resident(b"b"))).unwrap();
    let mut buffer = [0; 2048];
    assert_eq!(transport.receive(&mut buffer, Duration::ZERO), Ok(Received::KeepAlive(KeepAlive::UpNeeded)));
    let before = transport.io_mut().clock.get();
    transport.cancel().unwrap();
    assert_eq!(transport.receive(&mut buffer, Duration::ZERO), Ok(Received::Response(1)));
    assert_eq!(Status(buffer[0]), Status::KEEPALIVE_CANCEL);
    assert_eq!(transport.io_mut().clock.get(), before);
}

/// 11.3: U2F needs a touch, the tap is used up → CONDITIONS_NOT_SATISFIED
#[test]
fn u2f_over_nfc_takes_the_tap_as_its_touch() {
    for is_extended in [false, true] {
        let reader = || Reader::new(Key::with(CARD), NfcConfig::default());
        let application = rp_id_hash(RP);
        let ceremony = |transport: &mut dyn Transport<Error = NfcError<Infallible>>| {
            let ask = |transport: &mut dyn Transport<Error = NfcError<Infallible>>, request: &[u8]| {
                call(&mut &mut *transport, Protocol::Ctap1, request)
            };
            let made = ask(transport, &registration(&application));
            let key_handle = RegisterResponse::decode(&made).unwrap().key_handle.to_vec();
            let sign = |control| authentication(control, &application, &key_handle);
            let refused = StatusWord::CONDITIONS_NOT_SATISFIED.0.to_be_bytes();
            assert_eq!(ask(transport, &sign(Control::ENFORCE_USER_PRESENCE)), refused, "the tap is used up");
            assert_eq!(ask(transport, &registration(&application)), refused);

            transport.reconnect().unwrap();
            assert_eq!(ask(transport, &sign(Control::CHECK_ONLY)), refused, "it is known");
            let signed = ask(transport, &sign(Control::ENFORCE_USER_PRESENCE));
            assert_eq!(AuthenticateResponse::decode(&signed).unwrap().user_presence, 1);
            assert_eq!(make(&mut &mut *transport, b"a"), Status::OPERATION_DENIED, "for either protocol");
        };
        if is_extended { ceremony(&mut extended::<2048>(reader())) } else { ceremony(&mut short(reader())) }
    }
}

/// 11.3: a request before SELECT → CONDITIONS_NOT_SATISFIED
#[test]
fn without_a_field_a_command_is_gone_and_nothing_is_stored() {
    let key = Key::with(CARD);
    let (mut reader, store) = (Reader { atom: 30, ..Reader::new(Key::with(CARD), NfcConfig::default()) }, key.store);
    drop(key.engine);
    reader
        .card
        .receive(reader.now(), &[&[0x00, 0xA4, 0x04, 0x00, 0x08][..], &keyfob_core::transport::nfc::AID].concat());
    let now = reader.now();
    assert_eq!(reader.card.transmit(now).unwrap().data, b"U2F_V2");
    let request = message(Command::MAKE_CREDENTIAL, &resident(b"a"));
    let command = [&[0x80, 0x10, 0x80, 0x00, request.len() as u8][..], &request, &[0]].concat();
    reader.card.receive(reader.now(), &command);
    assert_eq!(reader.card.waits_for(), Some(Wait::Processing));
    reader.reconnect().unwrap();
    assert_eq!((reader.card.waits_for(), store.credentials()), (None, 0));
    let now = reader.now();
    assert_eq!(reader.card.transmit(now), None);
    reader.card.receive(now, &command);
    assert_eq!(reader.card.transmit(now).unwrap().status, StatusWord::CONDITIONS_NOT_SATISFIED, "not selected");
}

/// 11.3: authenticatorGetNextAssertion after SELECT or END → NOT_ALLOWED
/// 11.3: a request after END → CONDITIONS_NOT_SATISFIED
#[test]
fn select_and_end_forget_a_sequence() {
    for by_select in [None, Some(true), Some(false)] {
        let mut transport = short(Reader::new(Key::with(CARD), NfcConfig::default()));
        for user in [b"a", b"b"] {
            assert_eq!(make(&mut transport, user), Status::OK);
            transport.reconnect().unwrap();
        }
        let first = call(&mut transport, Protocol::Ctap2, &message(Command::GET_ASSERTION, &assertion()));
        assert_eq!(first[0], Status::OK.0);
        match by_select {
            None => {}
            Some(true) => _ = transport.select().unwrap(),
            Some(false) => {
                let mut answer = [0; 2];
                transport.io_mut().transceive(&[0x80, 0x12, 0x01, 0x00], &mut answer).unwrap();
                assert_eq!(answer, [0x90, 0x00]);
                transport.send(Protocol::Ctap2, &[Command::GET_NEXT_ASSERTION.0]).unwrap();
                let received = transport.receive(&mut [0; 2048], Duration::ZERO);
                let refused = NfcFailure::Refused(StatusWord::CONDITIONS_NOT_SATISFIED);
                assert_eq!(received, Err(NfcError::Failed(refused)));
            }
        }
        let next = call(&mut transport, Protocol::Ctap2, &[Command::GET_NEXT_ASSERTION.0]);
        let expected = if by_select.is_none() { Status::OK } else { Status::NOT_ALLOWED };
        assert_eq!(Status(next[0]), expected);
    }
}

#[test]
fn a_reset_takes_a_tap_and_may_be_excluded_over_nfc() {
    let reset = |config| {
        let mut reader = Reader::new(Key::with(config), NfcConfig::default());
        let now = reader.now();
        reader.card.power_cycle(now).unwrap();
        let (clock, mut transport) = (reader.clock.clone(), short(reader));
        let ceremony = Ceremony::new(Reset, Box::leak(Box::new([0; 1024])), RustCrypto, rng());
        run(ceremony, &mut transport, &mut User("", ""), || Instant::from_millis(clock.get())).is_ok()
    };
    assert!(reset(CARD));
    let usb = const { &[keyfob_core::cbor::Text::new("usb")] };
    let both = const { &[keyfob_core::cbor::Text::new("nfc"), keyfob_core::cbor::Text::new("usb")] };
    assert!(!reset(Config { transports: both, transports_for_reset: Some(usb), ..CARD }));
}

#[test]
fn the_answer_that_is_not_fetched_to_its_end_keeps_the_credential_that_it_replaces() {
    let key = Key::with(CARD);
    let store = key.store.memory.clone();
    let mut reader = Reader::new(key, NfcConfig::default());
    let select = [&[0x00, 0xA4, 0x04, 0x00, 0x08][..], &keyfob_core::transport::nfc::AID].concat();
    let request = message(Command::MAKE_CREDENTIAL, &resident(b"a"));
    let make = [&[0x80, 0x10, 0x00, 0x00, request.len() as u8][..], &request, &[0]].concat();
    let count = || store.borrow_mut().count(keyfob_soft_authenticator::store::Query::All).unwrap();
    for (round, fetched) in [(1, true), (2, false), (3, true)] {
        let mut response = [0; 261];
        assert!(reader.transceive(&select, &mut response).is_ok());
        let len = reader.transceive(&make, &mut response).unwrap();
        assert_eq!((response[0], response[len - 2]), (0, 0x61), "round {round}");
        let next = if fetched { [0x80, 0xC0, 0x00, 0x00, 0x00] } else { [0x80, 0x12, 0x01, 0x00, 0x00] };
        let len = reader.transceive(&next, &mut response).unwrap();
        assert_eq!(response[len - 2..len], [0x90, 0x00]);
        (0..3).for_each(|_| reader.work());
        // After the second round the old credential is still there; after the third, neither of the old ones.
        assert_eq!(count(), if round == 2 { 2 } else { 1 }, "round {round}");
        reader.reconnect().unwrap();
    }
}

#[test]
fn a_command_for_another_application_gives_up_the_request_that_waits_for_the_button() {
    let key = Key::with(CARD);
    let store = key.store.memory.clone();
    let config = NfcConfig { presence: Presence::TapOrButton, ..NfcConfig::default() };
    let mut transport = short(Reader::new(key, config));
    assert_eq!(make(&mut transport, b"a"), Status::OK);
    transport.send(Protocol::Ctap2, &message(Command::MAKE_CREDENTIAL, &resident(b"b"))).unwrap();
    let told = transport.receive(&mut [0; 2048], Duration::ZERO);
    assert_eq!(told, Ok(Received::KeepAlive(KeepAlive::UpNeeded)));

    let reader = transport.io_mut();
    let piv = [0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00];
    assert_eq!(reader.transceive(&piv, &mut [0; 261]), Ok(2));
    assert_eq!(reader.statuses.last(), Some(&StatusWord::FILE_NOT_FOUND.0));
    assert_eq!(reader.card.waits_for(), None);
    reader.card.touch(reader.now(), true);
    (0..10).for_each(|_| reader.work());
    assert_eq!(store.borrow_mut().count(keyfob_soft_authenticator::store::Query::All).unwrap(), 1);
}

#[test]
fn a_key_that_may_lie_in_the_field_takes_no_tap() {
    let mut reader = Reader::new(Key::with(CARD), NfcConfig { presence: Presence::Button, ..NfcConfig::default() });
    reader.presses = Some(300);
    let mut transport = short(reader);
    let before = transport.io_mut().clock.get();
    assert_eq!(make(&mut transport, b"a"), Status::OK);
    assert!(transport.io_mut().clock.get() >= before + 300);
    let refused = StatusWord::CONDITIONS_NOT_SATISFIED.0.to_be_bytes();
    let register = registration(&rp_id_hash(RP));
    assert_eq!(call(&mut transport, Protocol::Ctap1, &register), refused);
    let now = transport.io_mut().now();
    assert!(transport.io_mut().card.u2f_awaits_touch(now));
    transport.io_mut().card.touch(now, true);
    assert!(RegisterResponse::decode(&call(&mut transport, Protocol::Ctap1, &register)).is_ok());
}
