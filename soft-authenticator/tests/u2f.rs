//! CTAP1/U2F on the same credentials as CTAP2.

use std::time::Duration;

use keyfob_core::{
    Instant, Status,
    auth_data::Flags,
    cbor::List,
    cose::{Algorithm, CoseKey},
    crypto::{RustCrypto, Verify},
    ctap1::{AuthenticateResponse, Control, RegisterResponse, Request, StatusWord},
    ctap2::{self, Command, CredentialDescriptor, CredentialParameters, get_assertion, get_info, make_credential},
    pin_uv::PinUvAuthProtocol::Two,
    transport::hid::{Capabilities, DeviceConfig, REPORT_LEN},
};
use keyfob_soft_authenticator::{
    Caps,
    devices::virtual_key_certificate,
    engine::{AttestationMode, Certified, Config, Engine, Event, Platform, Progress, TOUCH_AWAITED, TOUCH_KEPT, Wait},
    hid::HidAuthenticator,
    store::{Change, MemoryStore, Setting, Store},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::harness::*;

const ENFORCE: Control = Control::ENFORCE_USER_PRESENCE;
const CONFIG: Config<'static> = Config::new([0xAA; 16]);

fn apdu(request: &Request<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 400];
    let len = request.encode(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

pub fn registration(application: &[u8; 32]) -> Vec<u8> {
    apdu(&Request::Register { control: Control::NONE, challenge: &HASH, application })
}

pub fn authentication(control: Control, application: &[u8; 32], key_handle: &[u8]) -> Vec<u8> {
    apdu(&Request::Authenticate { control, challenge: &HASH, application, key_handle })
}

fn status_word(response: &[u8]) -> StatusWord {
    StatusWord(u16::from_be_bytes(response[response.len() - 2..].try_into().unwrap()))
}

/// Sends a request, and sends it again after the touch, as a platform does.
pub fn touched(key: &mut Key, apdu: &[u8]) -> Vec<u8> {
    assert_eq!(key.call_u2f(apdu), StatusWord::CONDITIONS_NOT_SATISFIED.0.to_be_bytes());
    let now = key.now;
    key.engine.touch_for_u2f(now, true);
    key.call_u2f(apdu)
}

pub fn registered(key: &mut Key) -> Vec<u8> {
    touched(key, &registration(&rp_id_hash(RP)))
}

fn key_handle(response: &[u8]) -> &[u8] {
    RegisterResponse::decode(response).unwrap().key_handle
}

fn es256(public_key: &[u8; 65]) -> CoseKey<'_> {
    CoseKey::from_raw(Algorithm::ES256, &public_key[1..]).unwrap()
}

/// Whether the signature of an authentication with [`HASH`] is by `public_key`.
fn is_signed(response: &AuthenticateResponse<'_>, public_key: &[u8; 65]) -> bool {
    let application = rp_id_hash(RP);
    let parts = [&application[..], &[response.user_presence], &response.counter.to_be_bytes(), &HASH];
    RustCrypto.verify(&es256(public_key), &parts, response.signature).is_ok()
}

/// A sign-in that does not ask for a touch.
pub fn sign_unasked(key: &mut Key, registration: &[u8]) -> Vec<u8> {
    sign(key, Control::DONT_ENFORCE_USER_PRESENCE, registration)
}

fn sign(key: &mut Key, control: Control, registration: &[u8]) -> Vec<u8> {
    key.call_u2f(&authentication(control, &rp_id_hash(RP), key_handle(registration)))
}

/// 7 version: without a touch → NO_ERROR
#[test]
fn the_version_is_told_without_a_touch() {
    assert_eq!(Key::new().call_u2f(&apdu(&Request::Version)), b"U2F_V2\x90\x00");
}

#[test]
fn a_registration_is_signed_over_what_the_standard_says() {
    let certified = Config { attestation: AttestationMode::Certified(virtual_key_certificate()), ..CONFIG };
    let none = Config { attestation: AttestationMode::None, ..CONFIG };
    let u2f = Config { attestation: AttestationMode::FidoU2f(virtual_key_certificate()), ..CONFIG };
    for config in [CONFIG, none, certified, u2f] {
        let mut key = Key::with(config);
        let response = registered(&mut key);
        let response = RegisterResponse::decode(&response).unwrap();
        let application = rp_id_hash(RP);
        let parts = [&[0][..], &application, &HASH, response.key_handle, response.public_key];
        let leaf = virtual_key_certificate().chain[0];
        let signer = match config.attestation {
            AttestationMode::Certified(_) | AttestationMode::FidoU2f(_) => {
                assert_eq!(response.certificate, leaf);
                let start = leaf.windows(2).position(|window| window == [0, 4]).unwrap() + 1;
                leaf[start..start + 65].try_into().unwrap()
            }
            _ => *response.public_key,
        };
        RustCrypto.verify(&es256(&signer), &parts, response.signature).unwrap();
    }
}

#[test]
fn a_self_signed_certificate_is_der_and_signed_with_the_credentials_key() {
    for _ in 0..20 {
        let mut key = Key::new();
        let response = registered(&mut key);
        let RegisterResponse { certificate, public_key, .. } = RegisterResponse::decode(&response).unwrap();
        // SEQUENCE { TBSCertificate of 202 bytes, ecdsa-with-SHA256, BIT STRING }
        assert_eq!(certificate[..4], [&[0x30, 0x82][..], &(certificate.len() as u16 - 4).to_be_bytes()].concat());
        let (signed, rest) = certificate[4..].split_at(202);
        assert_eq!(signed[..3], [0x30, 0x81, 199]);
        assert!(signed.ends_with(public_key));
        let (algorithm, signature) = rest.split_at(12);
        assert_eq!(algorithm, &signed[11..23]);
        assert_eq!(signature[..3], [0x03, signature.len() as u8 - 2, 0]);
        RustCrypto.verify(&es256(public_key), &[signed], &signature[3..]).unwrap();
    }
}

#[test]
fn an_attestation_key_that_is_not_es256_is_not_used() {
    let eddsa = Certified { algorithm: Algorithm::EDDSA, ..virtual_key_certificate() };
    let mut key = Key::with(Config { attestation: AttestationMode::Certified(eddsa), ..CONFIG });
    let response = registered(&mut key);
    assert_ne!(RegisterResponse::decode(&response).unwrap().certificate, virtual_key_certificate().chain[0]);
}

#[test]
fn a_sign_in_carries_presence_and_a_counter_that_grows() {
    let mut key = Key::new();
    let registration = registered(&mut key);
    let public_key = *RegisterResponse::decode(&registration).unwrap().public_key;
    for count in 1..=3 {
        let request = authentication(ENFORCE, &rp_id_hash(RP), key_handle(&registration));
        let response = touched(&mut key, &request);
        let response = AuthenticateResponse::decode(&response).unwrap();
        assert_eq!((response.user_presence, response.counter), (1, count));
        assert!(is_signed(&response, &public_key));
    }
}

/// 7 authenticate: check-only, a key handle of this key and application → CONDITIONS_NOT_SATISFIED
/// 7 authenticate: check-only, another application's key handle or an unknown one → WRONG_DATA
#[test]
fn a_check_tells_known_handles_from_others_and_uses_no_touch() {
    let mut key = Key::new();
    let registration = registered(&mut key);
    let known = authentication(Control::CHECK_ONLY, &rp_id_hash(RP), key_handle(&registration));
    let foreign = authentication(Control::CHECK_ONLY, &rp_id_hash("other.org"), key_handle(&registration));
    let unknown = authentication(Control::CHECK_ONLY, &rp_id_hash(RP), &[7; 65]);
    let now = key.now;
    assert_eq!(status_word(&key.call_u2f(&known)), StatusWord::CONDITIONS_NOT_SATISFIED);
    assert!(!key.engine.u2f_awaits_touch(now), "a check asks for no touch");
    sign(&mut key, ENFORCE, &registration);
    key.engine.touch_for_u2f(now, true);
    for (request, expected) in [
        (&known, StatusWord::CONDITIONS_NOT_SATISFIED),
        (&foreign, StatusWord::WRONG_DATA),
        (&unknown, StatusWord::WRONG_DATA),
    ] {
        assert_eq!(status_word(&key.call_u2f(request)), expected);
    }
    assert_eq!(status_word(&sign(&mut key, ENFORCE, &registration)), StatusWord::NO_ERROR, "the touch is still there");
    assert_eq!(key.store.setting(Setting::SignCount), Some(vec![0, 0, 0, 100]), "counts up to there");
}

/// 7 authenticate: an unknown key handle, before a touch is asked for → WRONG_DATA
#[test]
fn an_unknown_handle_is_refused_before_a_touch_is_asked_for() {
    let mut key = Key::new();
    let response = key.call_u2f(&authentication(ENFORCE, &rp_id_hash(RP), &[1; 97]));
    assert_eq!(status_word(&response), StatusWord::WRONG_DATA);
    assert!(!key.engine.u2f_awaits_touch(key.now));
}

/// 7 authenticate: presence is not enforced, with and without a touch → NO_ERROR
#[test]
fn a_sign_in_that_does_not_enforce_presence_says_whether_there_was_one() {
    let mut key = Key::new();
    let registration = registered(&mut key);
    let public_key = *RegisterResponse::decode(&registration).unwrap().public_key;
    for (touch, presence) in [(false, 0), (true, 1), (false, 0)] {
        if touch {
            sign(&mut key, ENFORCE, &registration);
            let now = key.now;
            key.engine.touch_for_u2f(now, true);
        }
        let response = sign(&mut key, Control::DONT_ENFORCE_USER_PRESENCE, &registration);
        let response = AuthenticateResponse::decode(&response).unwrap();
        assert_eq!(response.user_presence, presence);
        assert!(is_signed(&response, &public_key));
    }
}

/// 7 register: no touch, or one before the request → CONDITIONS_NOT_SATISFIED
#[test]
fn a_touch_that_no_request_waits_for_is_not_kept() {
    let mut key = Key::new();
    let now = key.now;
    key.engine.touch_for_u2f(now, true);
    let response = key.call_u2f(&registration(&HASH));
    assert_eq!(status_word(&response), StatusWord::CONDITIONS_NOT_SATISFIED);
    assert!(key.engine.u2f_awaits_touch(now));
    key.engine.touch_for_u2f(now, false);
    assert!(!key.engine.u2f_awaits_touch(now), "declined");
}

/// 7: a second request after one touch → CONDITIONS_NOT_SATISFIED
#[test]
fn one_touch_is_good_for_one_request() {
    let mut key = Key::new();
    registered(&mut key);
    assert_eq!(status_word(&key.call_u2f(&registration(&HASH))), StatusWord::CONDITIONS_NOT_SATISFIED);
}

/// 7: a touch 10 seconds after the question, or a request 10 seconds after the touch → CONDITIONS_NOT_SATISFIED
#[test]
fn a_touch_counts_for_ten_seconds_after_the_question_and_ten_after_itself() {
    let almost = Duration::from_millis(9_999);
    assert_eq!((TOUCH_AWAITED, TOUCH_KEPT), (Duration::from_secs(10), Duration::from_secs(10)));
    for (asked, kept, expected) in [
        (almost, almost, StatusWord::NO_ERROR),
        (TOUCH_AWAITED, almost, StatusWord::CONDITIONS_NOT_SATISFIED),
        (almost, TOUCH_KEPT, StatusWord::CONDITIONS_NOT_SATISFIED),
    ] {
        let mut key = Key::new();
        key.call_u2f(&registration(&HASH));
        key.wait(asked);
        let now = key.now;
        key.engine.touch_for_u2f(now, true);
        key.wait(kept);
        assert_eq!(status_word(&key.call_u2f(&registration(&HASH))), expected);
    }
}

/// 7: a CTAP2 command, another channel or a power cut between the touch and the request → CONDITIONS_NOT_SATISFIED
#[test]
fn a_touch_for_u2f_is_no_touch_for_ctap2_or_another_channel() {
    let interruptions: [fn(&mut Key); 3] =
        [|key| drop(key.command(Command::GET_INFO)), |key| key.engine.channel_changed(), Key::power_cycle];
    for interrupt in interruptions {
        let mut key = Key::new();
        key.call_u2f(&registration(&HASH));
        let now = key.now;
        key.engine.touch_for_u2f(now, true);
        interrupt(&mut key);
        assert_eq!(status_word(&key.call_u2f(&registration(&HASH))), StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    let mut key = Key::new();
    key.call_u2f(&registration(&HASH));
    let now = key.now;
    key.engine.touch_for_u2f(now, true);
    key.user = UserAction::Declines;
    assert_eq!(key.status(&[Command::SELECTION.0]), Status::OPERATION_DENIED);
}

#[test]
fn a_credential_of_u2f_signs_in_with_ctap2() {
    let mut key = Key::new();
    let registration = registered(&mut key);
    let RegisterResponse { key_handle, public_key, .. } = RegisterResponse::decode(&registration).unwrap();
    let list = [CredentialDescriptor::new(key_handle)];
    let got = key.get(&get_assertion::Request { allow_list: Some(List::Slice(&list)), ..assertion() }).unwrap();
    assert_eq!(got.auth_data().rp_id_hash, &rp_id_hash(RP));
    assert!(got.has(Flags::UP));
    RustCrypto.verify(&es256(public_key), &[&got.auth_data, &HASH], &got.signature).unwrap();
}

#[test]
fn a_credential_of_ctap2_signs_in_with_u2f() {
    let mut key = Key::new();
    let made = key.make(&super::harness::registration(b"u")).unwrap();
    let response = touched(&mut key, &authentication(ENFORCE, &rp_id_hash(RP), made.id()));
    let response = AuthenticateResponse::decode(&response).unwrap();
    let application = rp_id_hash(RP);
    let parts = [&application[..], &[1], &response.counter.to_be_bytes(), &HASH];
    RustCrypto.verify(&made.key(), &parts, response.signature).unwrap();
}

/// 7 authenticate: a discoverable credential, or one with another algorithm than ES256 → WRONG_DATA
#[test]
fn discoverable_credentials_and_other_algorithms_are_unknown_to_u2f() {
    let mut key = Key::new();
    let eddsa = [CredentialParameters::new(Algorithm::EDDSA)];
    let pub_key_cred_params = List::Slice(&eddsa[..]);
    let eddsa = make_credential::Request { pub_key_cred_params, ..super::harness::registration(b"u") };
    for request in [resident(b"u"), eddsa] {
        let made = key.make(&request).unwrap();
        let response = key.call_u2f(&authentication(ENFORCE, &rp_id_hash(RP), made.id()));
        assert_eq!(status_word(&response), StatusWord::WRONG_DATA);
    }
}

/// 7: a PIN is set → NO_ERROR
#[test]
fn a_pin_does_not_stand_in_the_way_of_u2f() {
    let mut key = Key::new();
    key.set_pin(Two, PIN);
    assert_eq!(status_word(&registered(&mut key)), StatusWord::NO_ERROR);
}

/// 7: alwaysUv, whatever the request → COMMAND_NOT_ALLOWED
#[test]
fn with_always_uv_there_is_no_u2f() {
    let key = Key::new();
    key.store.memory.borrow_mut().commit(&[Change::Set(Setting::Options, &[1, 4])]).unwrap();
    let mut key = key.power_cut();
    for request in [apdu(&Request::Version), registration(&HASH)] {
        assert_eq!(key.call_u2f(&request), StatusWord::COMMAND_NOT_ALLOWED.0.to_be_bytes());
    }
    assert!(!lists_u2f(&mut key));
}

/// 7: not supported → COMMAND_NOT_ALLOWED
#[test]
fn u2f_is_listed_when_it_is_there() {
    assert!(lists_u2f(&mut Key::new()));
    let mut without = Key::with(Config { caps: CONFIG.caps.without(Caps::U2F), ..CONFIG });
    assert!(!lists_u2f(&mut without) && !without.engine.has_u2f());
    assert_eq!(status_word(&without.call_u2f(&apdu(&Request::Version))), StatusWord::COMMAND_NOT_ALLOWED);
}

fn lists_u2f(key: &mut Key) -> bool {
    let response = key.command(Command::GET_INFO);
    let info: get_info::Response<'_> = ctap2::decode_response(&response).unwrap();
    info.has_version("U2F_V2")
}

/// 7: a request with a wrong length → WRONG_LENGTH
/// 7: another class → CLA_NOT_SUPPORTED
/// 7: another instruction → INS_NOT_SUPPORTED
/// 7 authenticate: another control byte → INCORRECT_P1_P2
#[test]
fn what_is_malformed_is_answered_with_a_status_word() {
    let mut register_63 = vec![0, 1, 0, 0, 0, 0, 63];
    register_63.extend_from_slice(&[0; 65]);
    let known = {
        let mut key = Key::new();
        let registration = registered(&mut key);
        (key, registration)
    };
    let (mut key, registration) = known;
    for (request, expected) in [
        (&[][..], StatusWord::WRONG_LENGTH),
        (&[0, 3, 0], StatusWord::WRONG_LENGTH),
        (&register_63, StatusWord::WRONG_LENGTH),
        (&[0x80, 3, 0, 0], StatusWord::CLA_NOT_SUPPORTED),
        (&[0, 4, 0, 0], StatusWord::INS_NOT_SUPPORTED),
        (&[0, 3, 0, 0, 1, 7], StatusWord::WRONG_LENGTH),
    ] {
        assert_eq!(key.call_u2f(request), expected.0.to_be_bytes(), "{request:02x?}");
    }
    let strange = sign(&mut key, Control(0x55), &registration);
    assert_eq!(status_word(&strange), StatusWord::INCORRECT_P1_P2);
    let now = key.now;
    assert_eq!(key.engine.begin_u2f(now, 70_000), Progress::Reply(2));
    assert_eq!(key.engine.buffer()[..2], StatusWord::WRONG_LENGTH.0.to_be_bytes());
}

/// 6.3: after a request of U2F → NOT_ALLOWED
#[test]
fn a_u2f_request_ends_a_sequence() {
    let mut key = Key::new();
    key.make(&resident(b"a")).unwrap();
    key.make(&resident(b"b")).unwrap();
    key.get(&assertion()).unwrap();
    key.call_u2f(&apdu(&Request::Version));
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
}

#[test]
fn a_sign_in_whose_count_is_not_stored_signs_nothing() {
    let mut key = Key::new();
    let registration = registered(&mut key);
    sign(&mut key, ENFORCE, &registration);
    let now = key.now;
    key.engine.touch_for_u2f(now, true);
    key.store.fail_at(1, Fault::Before);
    assert_eq!(sign(&mut key, ENFORCE, &registration), StatusWord::UNKNOWN.0.to_be_bytes());
    assert_eq!(key.store.setting(Setting::SignCount), None);
    key.store.fault.set(Fault::Reads);
    assert_eq!(sign(&mut key, Control::DONT_ENFORCE_USER_PRESENCE, &registration), [0x6F, 0]);
}

#[test]
fn a_u2f_request_that_is_cancelled_or_dropped_between_any_two_polls_leaves_room_for_the_next() {
    type Request = fn(&[u8]) -> Vec<u8>;
    let register: Request = |_| registration(&rp_id_hash(RP));
    let sign: Request = |handle| authentication(Control::DONT_ENFORCE_USER_PRESENCE, &rp_id_hash(RP), handle);
    // The number of commits after each poll following `begin`.
    for (request, commits) in [(register, &[0, 0, 0][..]), (sign, &[0, 1])] {
        for (polls, commits) in commits.iter().enumerate() {
            for cancel in [true, false] {
                let mut key = Key::new();
                let registration = registered(&mut key);
                assert_eq!(key.call_u2f(&authentication(ENFORCE, &rp_id_hash(RP), key_handle(&registration))).len(), 2);
                let now = key.now;
                key.engine.touch_for_u2f(now, true);
                let (request, before) = (request(key_handle(&registration)), key.store.applied());
                assert_eq!(key.begin_u2f(&request), Progress::Pending(Wait::Processing));
                for _ in 0..polls {
                    assert_eq!(key.resume(Event::Tick), Progress::Pending(Wait::Processing));
                }
                if cancel {
                    assert_eq!(key.resume(Event::Cancel), Progress::Reply(2));
                    let refused = StatusWord::CONDITIONS_NOT_SATISFIED.0.to_be_bytes();
                    assert_eq!(key.engine.buffer()[..2], refused);
                } else {
                    key.engine.abort();
                }
                assert!(!key.engine.is_pending());
                assert_eq!(key.store.applied(), before + commits);
                let again = touched_or_not(&mut key, &request);
                assert_eq!(status_word(&again), StatusWord::NO_ERROR);
            }
        }
    }
}

/// Sends a request, and sends it again after a touch if one is required.
fn touched_or_not(key: &mut Key, apdu: &[u8]) -> Vec<u8> {
    let response = key.call_u2f(apdu);
    if status_word(&response) != StatusWord::CONDITIONS_NOT_SATISFIED {
        return response;
    }
    let now = key.now;
    key.engine.touch_for_u2f(now, true);
    key.call_u2f(apdu)
}

/// 7 authenticate: a key handle from before a reset → WRONG_DATA
#[test]
fn a_reset_makes_key_handles_worthless() {
    let mut key = Key::new();
    let registration = registered(&mut key);
    key.command(Command::RESET);
    assert_eq!(status_word(&sign(&mut key, ENFORCE, &registration)), StatusWord::WRONG_DATA);
}

/// A key of which CTAP2 is not compiled.
struct U2fOnly;

impl Platform for U2fOnly {
    const COMPILED: Caps = Config::u2f_only([0; 16]).caps;
    const CTAP2: bool = false;
    type Crypto = RustCrypto;
    type Rng = ChaCha20Rng;
    type Store = MemoryStore<1>;
}

#[test]
fn without_ctap2_u2f_registers_and_signs_in_and_every_ctap2_command_is_unknown() {
    let config = Config::u2f_only([0xAA; 16]);
    let mut buffer = vec![0; config.buffer_len()];
    let (rng, now) = (ChaCha20Rng::seed_from_u64(1), Instant::default());
    let engine = Engine::<U2fOnly>::new(&mut buffer, config, RustCrypto, rng, MemoryStore::new(), now).unwrap();
    let mut key = HidAuthenticator::new(engine, DeviceConfig::default());
    let engine = key.engine();
    let put = |engine: &mut Engine<'_, U2fOnly>, request: &[u8]| {
        engine.buffer()[..request.len()].copy_from_slice(request);
    };
    let mut u2f = |request: &[u8]| loop {
        put(engine, request);
        let mut progress = engine.begin_u2f(now, request.len());
        while let Progress::Pending(_) = progress {
            progress = engine.resume(now, Event::Tick);
        }
        let Progress::Reply(len) = progress else { unreachable!() };
        let response = engine.buffer()[..len].to_vec();
        if status_word(&response) != StatusWord::CONDITIONS_NOT_SATISFIED {
            return response;
        }
        engine.touch_for_u2f(now, true);
    };
    let registered = u2f(&registration(&[7; 32]));
    let registered = RegisterResponse::decode(&registered).unwrap();
    let signed_in = u2f(&authentication(ENFORCE, &[7; 32], registered.key_handle));
    assert_eq!(status_word(&signed_in), StatusWord::NO_ERROR);

    for command in 0..=0xFF {
        put(engine, &[command, 0xA0]);
        assert_eq!(engine.begin(now, 2), Progress::Reply(1), "{command:#04x}");
        assert_eq!(engine.buffer()[0], Status::INVALID_COMMAND.0);
    }
    // INIT says so.
    let mut init = [0; REPORT_LEN];
    init[..7].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 8]);
    key.receive(now, &init);
    assert_eq!(key.transmit(now).unwrap()[23], Capabilities::WINK.0);
}
