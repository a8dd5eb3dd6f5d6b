//! Ceremonies with an authenticator of version 1.

use std::{collections::VecDeque, time::Duration};

use super::{
    extensions::{CredProtect, GetExtensions, MakeExtensions},
    *,
};
use crate::{
    attestation::Statement,
    auth_data::Flags,
    cose::CoseKey,
    crypto::Hash,
    ctap1::{self, Control, RegisterResponse, StatusWord},
    extensions::cred_protect::Level,
    transport::{KeepAlive, Protocol, Received, Transport},
};

const CERTIFICATE: &[u8] = &[0x30, 0x03, 1, 2, 3];
const SIGNATURE: &[u8] = &[0x30, 0x02, 5, 6];
pub const APP_ID: &str = "https://example.org/appid";

/// A key of version 1 with one credential.
pub struct Key {
    application: [u8; 32],
    handle: Vec<u8>,
    /// How often it asks for a touch before it is touched.
    patience: usize,
    asked: usize,
    /// Replaces the response with this index.
    tampered: Option<(usize, Vec<u8>)>,
    /// The request with this index is refused below the message.
    unreadable: Option<usize>,
    /// What it answers to messages of version 2.
    ctap2: u8,
    sent: Vec<(Protocol, Vec<u8>)>,
    responses: Vec<Vec<u8>>,
    response: VecDeque<Vec<u8>>,
    now: u64,
}

impl Key {
    pub fn of(rp_id: &str) -> Self {
        Self {
            application: StubCrypto.sha256(&[rp_id.as_bytes()]),
            handle: ID.to_vec(),
            patience: 0,
            asked: 0,
            tampered: None,
            unreadable: None,
            ctap2: Status::INVALID_COMMAND.0,
            sent: Vec::new(),
            responses: Vec::new(),
            response: VecDeque::new(),
            now: 0,
        }
    }

    fn answer(&mut self, protocol: Protocol, request: &[u8]) -> Vec<u8> {
        if protocol == Protocol::Ctap2 {
            return vec![self.ctap2];
        }
        let mut out = vec![0; 1024];
        let len = match ctap1::Request::decode(request).unwrap() {
            ctap1::Request::Version => ctap1::encode_status(ctap1::VERSION, StatusWord::NO_ERROR, &mut out),
            ctap1::Request::Authenticate { application, key_handle, .. }
                if *application != self.application || key_handle != self.handle =>
            {
                ctap1::encode_status(&[], StatusWord::WRONG_DATA, &mut out)
            }
            ctap1::Request::Authenticate { control: Control::CHECK_ONLY, challenge, .. } => {
                assert_ne!(challenge, HASH, "what is signed is worth something");
                ctap1::encode_status(&[], StatusWord::CONDITIONS_NOT_SATISFIED, &mut out)
            }
            _ if self.asked < self.patience => {
                self.asked += 1;
                ctap1::encode_status(&[], StatusWord::CONDITIONS_NOT_SATISFIED, &mut out)
            }
            ctap1::Request::Register { .. } => {
                let mut public_key = [7; 65];
                public_key[0] = 4;
                RegisterResponse {
                    public_key: &public_key,
                    key_handle: ID,
                    certificate: CERTIFICATE,
                    signature: SIGNATURE,
                }
                .encode(&mut out)
            }
            ctap1::Request::Authenticate { .. } => {
                ctap1::AuthenticateResponse { user_presence: 1, counter: 9, signature: SIGNATURE }.encode(&mut out)
            }
        };
        out.truncate(len.unwrap());
        out
    }

    /// What was sent of version 1, by instruction and control; `R` for a registration at the relying party.
    pub fn script(&self) -> String {
        let letters = self.sent.iter().map(|(protocol, request)| match protocol {
            Protocol::Ctap2 => '2',
            Protocol::Ctap1 => match ctap1::Request::decode(request).unwrap() {
                ctap1::Request::Version => 'v',
                ctap1::Request::Register { application, .. } if *application == [0; 32] => 't',
                ctap1::Request::Register { .. } => 'R',
                ctap1::Request::Authenticate { control: Control::CHECK_ONLY, .. } => 'c',
                ctap1::Request::Authenticate { .. } => 'A',
            },
        });
        letters.collect()
    }
}

impl Transport for Key {
    type Error = ();

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), ()> {
        let mut response = self.answer(protocol, request);
        if let Some((index, tampered)) = &self.tampered
            && *index == self.sent.len()
        {
            response.clone_from(tampered);
        }
        self.sent.push((protocol, request.to_vec()));
        self.responses.push(response.clone());
        self.response = [response].into();
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, ()> {
        let Some(response) = self.response.pop_front() else {
            self.now += wait.as_millis() as u64;
            return Ok(Received::Nothing);
        };
        if self.unreadable == Some(self.sent.len() - 1) {
            return Ok(Received::Unreadable);
        }
        buffer.get_mut(..response.len()).ok_or(())?.copy_from_slice(&response);
        Ok(Received::Response(response.len()))
    }

    fn cancel(&mut self) -> Result<(), ()> {
        panic!("an authenticator of version 1 cannot be cancelled while nothing is under way")
    }

    fn reconnect(&mut self) -> Result<(), ()> {
        Err(())
    }
}

fn make_with<T>(
    key: &mut Key,
    options: &MakeOptions,
    user: &mut User,
    read: impl FnOnce(&Attestation) -> T,
) -> Result<T, Cause> {
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(MakeCredential::new(options), &mut buffer, StubCrypto, rng());
    let key = std::cell::RefCell::new(key);
    let made = run(ceremony, &mut Shared(&key), user, || at(key.borrow().now)).map_err(|error| error.cause)?;
    Ok(read(&made))
}

fn make(key: &mut Key, options: &MakeOptions) -> Result<Vec<u8>, Cause> {
    make_with(key, options, &mut User::default(), |made| {
        made.auth_data.attested_credential_data.unwrap().credential_id.to_vec()
    })
}

fn get<T>(key: &mut Key, options: &GetOptions, read: impl FnOnce(&Assertion) -> T) -> Result<T, Cause> {
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(GetAssertion::new(options), &mut buffer, StubCrypto, rng());
    let key = std::cell::RefCell::new(key);
    let user = &mut User::default();
    let got = run(ceremony, &mut Shared(&key), user, || at(key.borrow().now)).map_err(|error| error.cause)?;
    assert_eq!((got.len(), got.total()), (1, 1));
    Ok(read(&got.get(0).unwrap()))
}

/// A key whose clock can be read meanwhile.
struct Shared<'k, 'r>(&'r std::cell::RefCell<&'k mut Key>);

impl Transport for Shared<'_, '_> {
    type Error = ();

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), ()> {
        self.0.borrow_mut().send(protocol, request)
    }
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, ()> {
        self.0.borrow_mut().receive(buffer, wait)
    }
    fn cancel(&mut self) -> Result<(), ()> {
        self.0.borrow_mut().cancel()
    }
    fn reconnect(&mut self) -> Result<(), ()> {
        self.0.borrow_mut().reconnect()
    }
}

fn allowing<'a>(list: &'a [CredentialDescriptor<'a>]) -> GetOptions<'a> {
    GetOptions { allow_list: List::Slice(list), ..get_options() }
}

#[test]
fn a_registration_has_the_outcome_of_version_2() {
    let mut key = Key::of(RP_ID);
    make_with(&mut key, &make_options(), &mut User::default(), |made| {
        let Statement::FidoU2f(statement) = made.statement else { panic!("{:?}", made.statement) };
        assert_eq!((statement.sig, statement.x5c.iter().collect::<Vec<_>>()), (SIGNATURE, vec![CERTIFICATE]));
        assert_eq!((made.auth_data.flags, made.auth_data.sign_count), (Flags(Flags::UP.0 | Flags::AT.0), 0));
        let attested = made.auth_data.attested_credential_data.unwrap();
        assert_eq!((attested.aaguid, attested.credential_id), (&[0; 16], ID));
        assert!(matches!(attested.public_key, CoseKey::Ec2 { x: &[7, ..], y: &[7, ..], .. }));
    })
    .unwrap();
    assert_eq!(key.script(), "2vR");
}

#[test]
fn a_sign_in_without_user_presence_does_not_enforce_it() {
    let mut key = Key::of(RP_ID);
    let list = [CredentialDescriptor::new(ID)];
    let options = GetOptions { user_presence: false, ..allowing(&list) };
    get(&mut key, &options, |got| assert_eq!(got.credential_id, ID)).unwrap();
    assert_eq!(key.script(), "2vcA");
    let last = ctap1::Request::decode(&key.sent.last().unwrap().1).unwrap();
    assert!(matches!(last, ctap1::Request::Authenticate { control: Control::DONT_ENFORCE_USER_PRESENCE, .. }));
    // A key that does not hold the credential asks for no touch.
    let other = [CredentialDescriptor::new(b"other")];
    let mut key = Key::of(RP_ID);
    let options = GetOptions { user_presence: false, ..allowing(&other) };
    assert_eq!(get(&mut key, &options, |_| ()).unwrap_err(), status(Status::NO_CREDENTIALS));
    assert_eq!(key.script(), "2vc");
}

#[test]
fn a_sign_in_has_the_outcome_of_version_2_and_finds_its_key_handle_without_a_touch() {
    let mut key = Key::of(RP_ID);
    let long = [1; 256];
    let list = [CredentialDescriptor::new(b"other"), CredentialDescriptor::new(&long), CredentialDescriptor::new(ID)];
    get(&mut key, &allowing(&list), |got| {
        assert_eq!((got.credential_id, got.response.signature), (ID, SIGNATURE));
        assert_eq!((got.auth_data.flags, got.auth_data.sign_count), (Flags::UP, 9));
    })
    .unwrap();
    assert_eq!(key.script(), "2vccA", "no key handle has more than 255 bytes");
}

#[test]
fn a_touch_is_waited_for_and_shown_once_and_asked_for_every_200_ms() {
    let mut key = Key::of(RP_ID);
    key.patience = 5;
    let mut user = User::default();
    make_with(&mut key, &make_options(), &mut user, |_| ()).unwrap();
    assert_eq!((key.script().as_str(), user.touches, key.now), ("2vRRRRRR", 1, 1000));
}

#[test]
fn a_touch_that_does_not_come_ends_with_the_time_and_a_user_who_cancels_ends_it_at_once() {
    let mut key = Key::of(RP_ID);
    key.patience = usize::MAX;
    let options = MakeOptions { timeout: Duration::from_secs(3), ..make_options() };
    assert_eq!(make(&mut key, &options), Err(Cause::Timeout));
    assert_eq!(key.now, 3000);
    let mut user = User { cancels: true, ..User::default() };
    assert_eq!(make_with(&mut key, &options, &mut user, |_| ()), Err(Cause::Cancelled));
}

#[test]
fn an_excluded_credential_is_told_after_a_touch() {
    for (rp_id, script) in [(RP_ID, "2vct"), (APP_ID, "2vct"), ("elsewhere", "2vcR")] {
        let mut key = Key::of(rp_id);
        let list = [CredentialDescriptor::new(ID)];
        let app_id_exclude = Some(APP_ID).filter(|id| *id == rp_id);
        let extensions = MakeExtensions { app_id_exclude, ..MakeExtensions::NONE };
        let options = MakeOptions { exclude_list: List::Slice(&list), extensions, ..make_options() };
        let excluded = make(&mut key, &options);
        assert_eq!(key.script(), script);
        assert_eq!(excluded.err(), script.ends_with('t').then_some(status(Status::CREDENTIAL_EXCLUDED)));
    }
}

#[test]
fn a_key_with_none_of_the_credentials_collects_a_touch_before_it_says_so() {
    let mut key = Key::of(RP_ID);
    key.patience = 1;
    let list = [CredentialDescriptor::new(b"other")];
    assert_eq!(get(&mut key, &allowing(&list), |_| ()), Err(status(Status::NO_CREDENTIALS)));
    assert_eq!(key.script(), "2vctt");
    // What it refuses without a touch is no touch.
    let mut key = Key::of(RP_ID);
    key.tampered = Some((3, StatusWord::WRONG_DATA.0.to_be_bytes().to_vec()));
    let refused = Cause::Ctap1(ctap1::ResponseError::Status(StatusWord::WRONG_DATA));
    assert_eq!(get(&mut key, &allowing(&list), |_| ()), Err(refused));
}

#[test]
fn a_key_handle_that_the_key_cannot_read_is_not_its_own_and_the_ceremony_goes_on() {
    let long = [1; 200];
    let list = [CredentialDescriptor::new(&long), CredentialDescriptor::new(ID)];
    let unreadable = |index| Key { unreadable: Some(index), ..Key::of(RP_ID) };
    let mut key = unreadable(2);
    assert_eq!(get(&mut key, &allowing(&list), |got| got.credential_id.to_vec()), Ok(ID.to_vec()));
    assert_eq!(key.script(), "2vccA");
    let mut key = unreadable(2);
    let options = MakeOptions { exclude_list: List::Slice(&list[..1]), ..make_options() };
    make(&mut key, &options).unwrap();
    assert_eq!(key.script(), "2vcR");
    // Any other request is not a question about a key handle.
    for index in [0, 1, 4] {
        assert_eq!(get(&mut unreadable(index), &allowing(&list), |_| ()), Err(Cause::Transport), "{index}");
    }
    assert_eq!(make(&mut unreadable(2), &make_options()), Err(Cause::Transport));
}

#[test]
fn a_credential_of_the_app_id_signs_for_the_app_id() {
    let mut key = Key::of(APP_ID);
    let list = [CredentialDescriptor::new(ID)];
    let extensions = GetExtensions { app_id: Some(APP_ID), ..GetExtensions::NONE };
    let options = GetOptions { extensions, ..allowing(&list) };
    let used = get(&mut key, &options, |got| {
        assert_eq!(*got.auth_data.rp_id_hash, StubCrypto.sha256(&[APP_ID.as_bytes()]));
        got.extensions.app_id
    });
    assert_eq!((used, key.script().as_str()), (Ok(Some(true)), "2vccA"));
    let mut key = Key::of(RP_ID);
    assert_eq!(get(&mut key, &options, |got| got.extensions.app_id), Ok(Some(false)));
}

#[test]
fn what_version_1_cannot_do_is_found_before_the_user_is_asked() {
    let options = make_options();
    let other = [CredentialParameters::new(Algorithm::EDDSA)];
    let protect = CredProtect { level: Level::USER_VERIFICATION_REQUIRED, enforce: true };
    let extensions = MakeExtensions { cred_protect: Some(protect), ..MakeExtensions::NONE };
    for (options, cause) in [
        (MakeOptions { resident_key: Requirement::Required, ..options }, Cause::ResidentKeyUnsupported),
        (MakeOptions { user_verification: Requirement::Required, ..options }, Cause::UvUnavailable),
        (MakeOptions { extensions, ..options }, Cause::CredProtectUnsupported),
    ] {
        let mut key = Key::of(RP_ID);
        assert_eq!((make(&mut key, &options), key.script().as_str()), (Err(cause), "2v"));
        assert_eq!(cause.code(), ErrorCode::ConfigurationUnsupported);
    }
    // That it does not have the algorithm is told after a touch, as it is by others.
    let mut key = Key::of(RP_ID);
    key.patience = 1;
    let cause = make(&mut key, &MakeOptions { pub_key_cred_params: List::Slice(&other), ..options });
    assert_eq!((cause, key.script().as_str()), (Err(Cause::NoCommonAlgorithm), "2vtt"));
    let list = [CredentialDescriptor::new(ID)];
    let required = GetOptions { user_verification: Requirement::Required, ..allowing(&list) };
    assert_eq!(get(&mut Key::of(RP_ID), &required, |_| ()), Err(Cause::UvUnavailable));
    assert_eq!(get(&mut Key::of(RP_ID), &get_options(), |_| ()), Err(Cause::ResidentKeyUnsupported));
}

#[test]
fn an_authenticator_that_is_known_to_speak_version_1_is_not_asked_for_version_2() {
    let mut key = Key::of(RP_ID);
    let (options, mut buffer) = (make_options(), [0; 1024]);
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng()).over_ctap1();
    run(ceremony, &mut key, &mut User::default(), || at(0)).unwrap();
    assert_eq!(key.script(), "vR");
}

#[test]
fn version_1_is_tried_only_when_version_2_is_not_known_and_believed_only_when_it_says_so() {
    for (ctap2, script) in [
        (Status::INVALID_COMMAND, "2v"),
        (Status::INVALID_PARAMETER, "2v"),
        (Status::INVALID_LENGTH, "2v"),
        (Status::OTHER, "2"),
        (Status::CHANNEL_BUSY, "2"),
        (Status::OK, "2"),
    ] {
        let mut key = Key::of(RP_ID);
        key.ctap2 = ctap2.0;
        key.tampered = Some((1, StatusWord::INS_NOT_SUPPORTED.0.to_be_bytes().to_vec()));
        let cause = make(&mut key, &make_options()).unwrap_err();
        assert_eq!(key.script(), script, "{ctap2:?}");
        match ctap2 {
            Status::OK => assert!(matches!(cause, Cause::Decode(_))),
            _ if script == "2" => assert_eq!(cause, status(ctap2)),
            _ => assert_eq!(cause, status(Status::INVALID_COMMAND)),
        }
    }
}

#[test]
fn every_damage_to_every_answer_is_a_typed_error_or_read_as_another_and_the_next_ceremony_works() {
    let list = [CredentialDescriptor::new(ID)];
    let (get_options, make_options) = (allowing(&list), make_options());
    type Run<'r> = &'r dyn Fn(&mut Key) -> Result<(), Cause>;
    let runs: [Run<'_>; 2] = [&|key| make(key, &make_options).map(drop), &|key| get(key, &get_options, |_| ())];
    for run in runs {
        let mut key = Key::of(RP_ID);
        run(&mut key).unwrap();
        let (count, responses) = (key.sent.len(), key.responses);
        for (index, response) in responses.iter().enumerate().skip(1) {
            let cuts = (0..response.len()).map(|len| response[..len].to_vec());
            let words = [0x6700_u16, 0x6A80, 0x6D00, 0x6F00, 0x0000].map(|word| word.to_be_bytes().to_vec());
            let longer = [&[0][..], response].concat();
            for damaged in cuts.chain(words).chain([longer]) {
                let mut key = Key::of(RP_ID);
                key.tampered = Some((index, damaged.clone()));
                let cause = run(&mut key).err();
                // Of the answer to a check only the status word is looked at: the key handle is known, or it is not.
                let checked = count == 4 && index == 2;
                let unknown = checked && matches!(cause, None | Some(Cause::Status(Status::NO_CREDENTIALS)));
                let typed = matches!(cause, Some(Cause::Ctap1(_) | Cause::Status(Status::INVALID_COMMAND)));
                assert!(unknown || typed, "{index} {damaged:02x?}: {cause:?}");
                key.tampered = None;
                run(&mut key).unwrap();
            }
        }
    }
}

#[test]
fn a_key_that_is_no_point_and_a_signature_that_is_too_long_are_refused() {
    let mut key = Key::of(RP_ID);
    make(&mut key, &make_options()).unwrap();
    let mut compressed = key.responses[2].clone();
    compressed[1] = 2;
    key.tampered = Some((5, compressed));
    assert_eq!(make(&mut key, &make_options()), Err(Cause::Crypto(crate::crypto::Error::InvalidKey)));
    let mut long = vec![1, 0, 0, 0, 1, 0x30, 90];
    long.extend([0; 90]);
    long.extend([0x90, 0x00]);
    let list = [CredentialDescriptor::new(ID)];
    let mut key = Key::of(RP_ID);
    key.tampered = Some((3, long));
    assert_eq!(get(&mut key, &allowing(&list), |_| ()), Err(Cause::Ctap1(ctap1::ResponseError::Length)));
}

#[test]
fn an_answer_that_does_not_fit_once_it_is_rewritten_says_what_it_needs() {
    let mut response = vec![5, 4];
    response.extend([7; 64]);
    response.push(4);
    response.extend([1; 4]);
    response.extend([0x30, 0x82, 0x03, 0x60]);
    response.extend([3; 0x360]);
    response.extend(SIGNATURE);
    response.extend([0x90, 0x00]);
    let run_in = |len: usize| {
        let mut key = Key::of(RP_ID);
        key.tampered = Some((2, response.clone()));
        let (options, mut buffer) = (make_options(), vec![0; len]);
        let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng());
        run(ceremony, &mut key, &mut User::default(), || at(0)).map(drop).map_err(|error| error.cause)
    };
    let Err(Cause::BufferTooSmall { needed }) = run_in(1024) else { panic!() };
    assert_eq!((run_in(needed), run_in(needed - 1)), (Ok(()), Err(Cause::BufferTooSmall { needed })));
}

#[test]
fn keep_alives_do_not_disturb_the_wait_for_a_touch() {
    let mut key = Key::of(RP_ID);
    key.patience = 1;
    let (options, mut buffer) = (make_options(), [0; 1024]);
    let mut ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, StubCrypto, rng()).over_ctap1();
    let mut input = Input::Start;
    loop {
        input = match ceremony.step(at(0), input).unwrap() {
            Output::Send(exchange) => {
                let response = key.answer(exchange.protocol, exchange.request());
                exchange.buf[..response.len()].copy_from_slice(&response);
                Input::Response(response.len())
            }
            Output::Show(KeepAlive::UpNeeded) => break,
            other => panic!("{other:?}"),
        };
    }
    let Ok(Output::Wait { limit, .. }) = ceremony.step(at(50), Input::Time) else { panic!() };
    assert_eq!(limit, Duration::from_millis(150));
    assert!(matches!(ceremony.step(at(100), Input::KeepAlive(KeepAlive::Processing)), Ok(Output::Wait { .. })));
    assert!(matches!(ceremony.step(at(199), Input::Time), Ok(Output::Wait { .. })));
    assert!(matches!(ceremony.step(at(200), Input::Time), Ok(Output::Send(_))));
}

#[test]
fn every_flipped_bit_of_every_answer_is_a_typed_error_or_read_as_another_and_the_next_ceremony_works() {
    let list = [CredentialDescriptor::new(ID)];
    let (get_options, make_options) = (allowing(&list), make_options());
    type Run<'r> = &'r dyn Fn(&mut Key) -> Result<(), Cause>;
    let runs: [Run<'_>; 2] = [&|key| make(key, &make_options).map(drop), &|key| get(key, &get_options, |_| ())];
    for run in runs {
        let mut key = Key::of(RP_ID);
        run(&mut key).unwrap();
        for (index, response) in key.responses.iter().enumerate().skip(1) {
            for bit in 0..response.len() * 8 {
                let mut flipped = response.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let mut key = Key::of(RP_ID);
                key.tampered = Some((index, flipped.clone()));
                let cause = run(&mut key).err();
                let typed = matches!(
                    cause,
                    Some(Cause::Ctap1(_) | Cause::Crypto(_) | Cause::Status(_) | Cause::UserNotPresent)
                );
                // What is signed and who signs it may be anything; the version and status words say one thing only.
                let says_one_thing = index == 1 || bit / 8 >= response.len() - 2;
                assert!(typed || (cause.is_none() && !says_one_thing), "{index} {flipped:02x?}: {cause:?}");
                key.tampered = None;
                assert_eq!(run(&mut key), Ok(()), "after {cause:?}");
            }
        }
    }
}
