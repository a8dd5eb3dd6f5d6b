//! Faults in the memory of a running command.

use keyfob_core::{
    Status,
    cbor::List,
    cose::{Algorithm, CoseKey},
    ctap1::{self, Control},
    ctap2::{
        self, CommandOptions, CredentialParameters, RpEntity, UserEntity, client_pin, get_assertion,
        make_credential::{self},
    },
    pin_uv::{self, PaddedPin, PinHash, PinUvAuthProtocol},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{ceremony::CeremonyState, *};
use crate::{
    devices::{VirtualCrypto, VirtualPlatform},
    store::MemoryStore,
};

/// What a fault alters before each atom.
type Fault = fn(&mut Running);

const HASH: [u8; 32] = [7; 32];
const CONFIG: Config<'static> = Config::new([0; 16]);

/// The evidence of the touch is altered once there is some.
fn break_touch(running: &mut Running) {
    let ceremony = match running {
        Running::MakeCredential(run) => &mut run.ceremony,
        Running::GetAssertion(run) => &mut run.ceremony,
        Running::U2f(run) => &mut run.ceremony,
        _ => return,
    };
    ceremony.user_present = ceremony.user_present.map(|_| UserPresent::broken());
}

/// The evidence of the count is altered once there is some.
fn break_count(running: &mut Running) {
    match running {
        Running::GetAssertion(run) => run.break_count(),
        Running::ClientPin(run) => run.break_count(),
        _ => {}
    }
}

fn engine(buffer: &mut [u8]) -> Engine<'_, VirtualPlatform> {
    let rng = ChaCha20Rng::seed_from_u64(1);
    let store: Box<dyn crate::store::Store + Send> = Box::new(MemoryStore::<4>::new());
    Engine::new(buffer, CONFIG, VirtualCrypto::default(), rng, store.into(), Instant::default()).unwrap()
}

/// Runs a command with a touch; a fault alters its memory before each atom after it.
fn answer(engine: &mut Engine<'_, VirtualPlatform>, mut progress: Progress, fault: Option<Fault>) -> Vec<u8> {
    loop {
        let event = match progress {
            Progress::Reply(len) => return engine.buffer()[..len].to_vec(),
            Progress::Pending(Wait::Touch) => Event::Touched,
            Progress::Pending(_) => Event::Tick,
        };
        if let Some(alter) = fault.filter(|_| event == Event::Tick) {
            alter(&mut engine.running);
        }
        progress = engine.resume(Instant::default(), event);
    }
}

fn run<T: keyfob_core::cbor::Write>(
    engine: &mut Engine<'_, VirtualPlatform>,
    (command, request): (Command, &T),
    fault: Option<Fault>,
) -> Vec<u8> {
    let len = ctap2::encode_request(command, request, engine.buffer()).unwrap();
    let progress = engine.begin(Instant::default(), len);
    answer(engine, progress, fault)
}

#[test]
fn evidence_of_a_touch_that_is_altered_before_the_signature_signs_nothing() {
    let mut buffer = vec![0; CONFIG.buffer_len()];
    let mut engine = engine(&mut buffer);
    let register = make_credential::Request {
        client_data_hash: &HASH,
        rp: RpEntity { id: "example.com", name: None },
        user: UserEntity { id: b"u", name: None, display_name: None },
        pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
        exclude_list: None,
        extensions: None,
        options: Some(CommandOptions { rk: Some(true), ..CommandOptions::default() }),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    let sign_in = get_assertion::Request {
        rp_id: "example.com",
        client_data_hash: &HASH,
        allow_list: None,
        extensions: None,
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    };
    let (register, sign_in) = ((Command::MAKE_CREDENTIAL, &register), (Command::GET_ASSERTION, &sign_in));
    assert_eq!(run(&mut engine, register, None)[0], Status::OK.0);
    assert_eq!(run(&mut engine, register, Some(break_touch))[0], Status::OTHER.0);
    assert_eq!(run(&mut engine, sign_in, Some(break_touch))[0], Status::OTHER.0);
    assert_eq!(run(&mut engine, sign_in, Some(break_count))[0], Status::OTHER.0, "a signature that is not counted");
    assert_eq!(run(&mut engine, sign_in, None)[0], Status::OK.0);
    // The other half of the second look: authenticator data of another relying party.
    assert_eq!(signing::look_again(&CeremonyState::default(), &[1; 37]), Err(Failure::OTHER));
}

#[test]
fn evidence_of_a_touch_that_is_altered_before_a_u2f_registration_signs_nothing() {
    let mut buffer = vec![0; CONFIG.buffer_len()];
    let mut engine = engine(&mut buffer);
    let request = ctap1::Request::Register { control: Control::NONE, challenge: &HASH, application: &HASH };
    let mut first_byte = |fault| {
        for _ in 0..2 {
            let len = request.encode(engine.buffer()).unwrap();
            let progress = engine.begin_u2f(Instant::default(), len);
            let answered = answer(&mut engine, progress, fault);
            if !engine.u2f_awaits_touch(Instant::default()) {
                return answered[0];
            }
            engine.touch_for_u2f(Instant::default(), true);
        }
        0
    };
    assert_eq!(first_byte(None), 5, "a registration");
    assert_eq!(first_byte(Some(break_touch)), 0x6F);
}

#[test]
fn a_pin_whose_attempt_is_not_known_to_be_counted_is_not_compared() {
    let mut buffer = vec![0; CONFIG.buffer_len()];
    let mut engine = engine(&mut buffer);
    let (crypto, mut rng) = (VirtualCrypto::default(), ChaCha20Rng::seed_from_u64(2));
    let request = |sub_command| client_pin::Request {
        pin_uv_auth_protocol: Some(PinUvAuthProtocol::Two.number()),
        sub_command: Some(sub_command),
        ..client_pin::Request::default()
    };
    let get_key = request(client_pin::subcommand::GET_KEY_AGREEMENT);
    let response = run(&mut engine, (Command::CLIENT_PIN, &get_key), None);
    let key = ctap2::decode_response::<client_pin::Response<'_>>(&response).unwrap().key_agreement.unwrap();
    let (point, shared) = pin_uv::encapsulate(&crypto, &mut rng, PinUvAuthProtocol::Two, &key).unwrap();
    let (mut new_pin, mut pin_hash) = ([0; 80], [0; 32]);
    shared.encrypt(&crypto, &mut rng, PaddedPin::new("1357", 4).unwrap().as_bytes(), &mut new_pin).unwrap();
    shared.encrypt(&crypto, &mut rng, &PinHash::of(&crypto, b"1357").0, &mut pin_hash).unwrap();
    let key_agreement = Some(CoseKey::key_agreement(&point));
    let param = shared.authenticate(&crypto, &[&new_pin]);
    let set_pin = client_pin::Request {
        key_agreement,
        new_pin_enc: Some(&new_pin),
        pin_uv_auth_param: Some(param.as_bytes()),
        ..request(client_pin::subcommand::SET_PIN)
    };
    let get_token = client_pin::Request {
        key_agreement,
        pin_hash_enc: Some(&pin_hash),
        ..request(client_pin::subcommand::GET_PIN_TOKEN)
    };
    assert_eq!(run(&mut engine, (Command::CLIENT_PIN, &set_pin), None), [0]);
    assert_eq!(run(&mut engine, (Command::CLIENT_PIN, &get_token), None)[0], Status::OK.0);
    assert_eq!(run(&mut engine, (Command::CLIENT_PIN, &get_token), Some(break_count)), [Status::OTHER.0]);
}
