//! `hmac-secret` and `hmac-secret-mc`, by CTAP 2.3 §12.

use keyfob_core::{
    Status,
    auth_data::Flags,
    cbor::List,
    cose::{Algorithm, CoseKey},
    crypto::{P256Point, RustCrypto},
    ctap2::{Command, CommandOptions, CredentialParameters, get_assertion, make_credential},
    extensions::{
        GetAssertionInputs, GetAssertionOutputs, MakeCredentialInputs, MakeCredentialOutputs, cred_protect::Level,
        hmac_secret::HmacSecretInput,
    },
    pin_uv::{
        Mac,
        PinUvAuthProtocol::{self, One, Two},
    },
};
use keyfob_soft_authenticator::{
    Caps,
    devices::{VIRTUAL_KEY_AAGUID, virtual_key_certificate},
    engine::{Config, Enterprise},
    store::Setting,
};

use super::harness::*;

const ONE: [u8; 32] = [1; 32];
const TWO: [u8; 64] = [2; 64];

/// Encrypted salts with their key agreement.
struct Salts {
    session: Session,
    encrypted: Vec<u8>,
    mac: Mac,
}

impl Salts {
    fn new(key: &mut Key, protocol: PinUvAuthProtocol, salts: &[u8]) -> Self {
        let session = key.agree(protocol);
        let encrypted = key.encrypt(&session, salts);
        let mac = session.shared.authenticate(&RustCrypto, &[&encrypted]);
        Self { session, encrypted, mac }
    }

    fn input(&self) -> HmacSecretInput<'_> {
        HmacSecretInput {
            key_agreement: CoseKey::key_agreement(&self.session.point),
            salt_enc: &self.encrypted,
            salt_auth: self.mac.as_bytes(),
            pin_uv_auth_protocol: Some(self.session.protocol.number()),
        }
    }

    fn open(&self, output: Option<&[u8]>) -> Vec<u8> {
        let output = output.expect("an output");
        assert_eq!(output.len(), self.encrypted.len());
        let mut plain = [0; 64];
        let len = self.session.shared.decrypt(&RustCrypto, output, &mut plain).unwrap();
        plain[..len].to_vec()
    }

    fn opened(&self, got: &Got) -> Vec<u8> {
        let outputs: GetAssertionOutputs<'_> = got.auth_data().extensions.unwrap().decode().unwrap();
        self.open(outputs.hmac_secret)
    }
}

fn ask(input: HmacSecretInput<'_>) -> Vec<u8> {
    raw(&GetAssertionInputs { hmac_secret: Some(input), ..Default::default() })
}

/// The extension inputs for one salt, after a key agreement.
pub fn ask_for_one(key: &mut Key) -> Vec<u8> {
    ask(Salts::new(key, Two, &ONE).input())
}

/// The secrets of a credential for `salts`, with or without the PIN.
fn evaluate(key: &mut Key, protocol: PinUvAuthProtocol, made: &Made, salts: &[u8], verified: bool) -> Vec<u8> {
    let token = verified.then(|| key.token(Two, PIN, GA, None).unwrap());
    let salts = Salts::new(key, protocol, salts);
    let (ask, list) = (ask(salts.input()), [made.descriptor()]);
    let got = match &token {
        Some(token) => key.get_with(Two, token, listed(asking(&ask), &list)),
        None => key.get(&listed(asking(&ask), &list)),
    };
    let got = got.unwrap();
    assert!(got.is_by(made));
    salts.opened(&got)
}

/// A key with a PIN and a credential of each kind.
fn key() -> (Key, [Made; 2]) {
    let mut key = Key::new();
    let inputs = raw(&MakeCredentialInputs { hmac_secret: Some(true), ..Default::default() });
    let made = [registration(b"w"), resident(b"s")].map(|request| {
        let made = key.make(&extended(request, &inputs)).unwrap();
        let outputs: MakeCredentialOutputs<'_> = made.auth_data().extensions.unwrap().decode().unwrap();
        assert_eq!(outputs.hmac_secret, Some(true));
        made
    });
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    (key, made)
}

#[test]
fn a_secret_follows_from_credential_salt_and_verification_and_from_nothing_else() {
    let (mut key, [wrapped, stored]) = key();
    let mut all = Vec::new();
    for made in [&wrapped, &stored] {
        for verified in [false, true] {
            let secret = evaluate(&mut key, Two, made, &ONE, verified);
            assert_eq!(secret.len(), 32);
            assert_eq!(secret, evaluate(&mut key, One, made, &ONE, verified), "whatever the protocol");
            let mut salts = [0; 64];
            salts[..32].copy_from_slice(&[9; 32]);
            salts[32..].copy_from_slice(&ONE);
            for protocol in [One, Two] {
                let both = evaluate(&mut key, protocol, made, &salts, verified);
                assert_eq!(both[32..], secret[..], "the second as the first");
                assert_ne!(both[..32], secret[..], "another salt");
            }
            all.push(secret);
        }
    }
    for (index, secret) in all.iter().enumerate() {
        assert!(!all[..index].contains(secret));
    }
    let mut key = key.power_cut();
    assert_eq!(evaluate(&mut key, Two, &wrapped, &ONE, true), all[1]);
    assert_eq!(evaluate(&mut key, Two, &stored, &ONE, false), all[2]);
}

#[test]
fn a_credential_that_was_made_without_the_extension_has_secrets_too() {
    let mut key = Key::new();
    let made = key.make(&registration(b"u")).unwrap();
    assert_eq!(evaluate(&mut key, Two, &made, &TWO, false).len(), 64);
}

/// 12 hmac-secret: wrong saltAuth → PIN_AUTH_INVALID
/// 12 hmac-secret: a point not on the curve, an unknown protocol, or salts not of 32 or 64 bytes → INVALID_PARAMETER
#[test]
fn salts_are_looked_at_after_the_touch_and_before_anything_is_counted() {
    let (mut key, [wrapped, _]) = key();
    let off_curve = P256Point { x: [1; 32], y: [1; 32] };
    let [wrong_len, one, two] = [&[3; 48][..], &ONE, &TWO].map(|salts| Salts::new(&mut key, Two, salts));
    let long = vec![0; 16 + 96];
    let long_mac = one.session.shared.authenticate(&RustCrypto, &[&long]);
    let empty_mac = one.session.shared.authenticate(&RustCrypto, &[&[]]);
    let cases = [
        (HmacSecretInput { salt_auth: &[0; 32], ..one.input() }, Status::PIN_AUTH_INVALID),
        (HmacSecretInput { salt_auth: &one.mac.as_bytes()[..16], ..one.input() }, Status::PIN_AUTH_INVALID),
        (HmacSecretInput { salt_enc: &two.encrypted, ..one.input() }, Status::PIN_AUTH_INVALID),
        (
            HmacSecretInput { key_agreement: CoseKey::key_agreement(&off_curve), ..one.input() },
            Status::INVALID_PARAMETER,
        ),
        (HmacSecretInput { pin_uv_auth_protocol: Some(3), ..one.input() }, Status::INVALID_PARAMETER),
        (HmacSecretInput { pin_uv_auth_protocol: None, ..one.input() }, Status::PIN_AUTH_INVALID),
        (HmacSecretInput { salt_enc: &long, salt_auth: long_mac.as_bytes(), ..one.input() }, Status::INVALID_PARAMETER),
        (HmacSecretInput { salt_enc: &[], salt_auth: empty_mac.as_bytes(), ..one.input() }, Status::INVALID_PARAMETER),
        (wrong_len.input(), Status::INVALID_PARAMETER),
    ];
    let commits = key.store.applied();
    for (input, expected) in cases {
        let touches = key.touches;
        assert_eq!(key.get(&listed(asking(&ask(input)), &[wrapped.descriptor()])).unwrap_err(), expected);
        assert_eq!(key.touches, touches + 1);
    }
    assert_eq!(key.store.applied(), commits);
    assert_eq!(key.retries(), (8, false), "not an attempt at the PIN");
}

/// 12 hmac-secret: no protocol, and protocol one is off → PIN_AUTH_INVALID
#[test]
fn an_absent_protocol_is_one_and_refused_where_there_is_none() {
    let config = Config::new([0; 16]);
    for (caps, expected) in
        [(config.caps, None), (config.caps.without(Caps::PROTOCOL_ONE), Some(Status::PIN_AUTH_INVALID))]
    {
        let mut key = Key::with(Config { caps, ..config });
        let made = key.make(&registration(b"u")).unwrap();
        let protocol = if expected.is_none() { One } else { Two };
        let salts = Salts::new(&mut key, protocol, &ONE);
        let ask = ask(HmacSecretInput { pin_uv_auth_protocol: None, ..salts.input() });
        assert_eq!(key.get(&listed(asking(&ask), &[made.descriptor()])).err(), expected);
    }
}

/// 12 hmac-secret: up false → UNSUPPORTED_OPTION
/// 12 hmac-secret: up false, no matching credential → NO_CREDENTIALS
#[test]
fn a_silent_assertion_gives_no_secrets() {
    let (mut key, [wrapped, _]) = key();
    let salts = Salts::new(&mut key, Two, &ONE);
    let (ask, list) = (ask(salts.input()), [wrapped.descriptor()]);
    let options = Some(CommandOptions { up: Some(false), ..Default::default() });
    let silent = get_assertion::Request { options, ..listed(asking(&ask), &list) };
    assert_eq!(key.get(&silent).unwrap_err(), Status::UNSUPPORTED_OPTION);
    let unknown = [keyfob_core::ctap2::CredentialDescriptor::new(&[0; 32])];
    let silent = get_assertion::Request { allow_list: Some(List::Slice(&unknown)), ..silent };
    assert_eq!(key.get(&silent).unwrap_err(), Status::NO_CREDENTIALS);
}

/// 12 hmac-secret: no key agreement since power-up → INVALID_PARAMETER
#[test]
fn salts_without_a_key_agreement_before_them_are_invalid() {
    let (mut key, [wrapped, _]) = key();
    let salts = Salts::new(&mut key, Two, &ONE);
    let mut key = key.power_cut();
    let request = ask(salts.input());
    let refused = key.get(&listed(asking(&request), &[wrapped.descriptor()])).unwrap_err();
    assert_eq!(refused, Status::INVALID_PARAMETER);
}

#[test]
fn every_credential_of_a_sequence_has_its_own_secrets() {
    let mut key = Key::new();
    let made = [b"a", b"b", b"c"].map(|user| key.make(&resident(user)).unwrap());
    let alone = made.each_ref().map(|made| evaluate(&mut key, Two, made, &TWO, false));
    let salts = Salts::new(&mut key, Two, &TWO);
    let request = ask(salts.input());
    let mut got = key.get(&asking(&request)).unwrap();
    for (index, secrets) in alone.iter().enumerate().rev() {
        assert!(got.is_by(&made[index]));
        assert_eq!(&salts.opened(&got), secrets);
        if index > 0 {
            got = key.get_next().unwrap();
        }
    }
}

#[test]
fn a_registration_evaluates_at_once_what_a_sign_in_evaluates_later() {
    for protocol in [One, Two] {
        for salts in [&ONE[..], &TWO] {
            for request in [registration(b"u"), resident(b"u")] {
                let mut key = Key::with_pin();
                let token = key.token(Two, PIN, MC, None).unwrap();
                let sent = Salts::new(&mut key, protocol, salts);
                let inputs = MakeCredentialInputs {
                    hmac_secret: Some(true),
                    hmac_secret_mc: Some(sent.input()),
                    ..Default::default()
                };
                let made = key.make_with(Two, &token, extended(request, &raw(&inputs))).unwrap();
                let outputs: MakeCredentialOutputs<'_> = made.auth_data().extensions.unwrap().decode().unwrap();
                assert_eq!(outputs.hmac_secret, Some(true));
                let at_once = sent.open(outputs.hmac_secret_mc);
                assert!(made.has(Flags::UV));
                assert_eq!(at_once, evaluate(&mut key, Two, &made, salts, true));
                assert_ne!(at_once, evaluate(&mut key, Two, &made, salts, false));
            }
        }
    }
}

/// 12 hmac-secret-mc: without hmac-secret → MISSING_PARAMETER
/// 12 hmac-secret-mc: wrong saltAuth → PIN_AUTH_INVALID
#[test]
fn a_registration_evaluates_nothing_without_hmac_secret_or_with_salts_that_are_wrong() {
    let mut key = Key::new();
    let commits = key.store.applied();
    let salts = Salts::new(&mut key, Two, &ONE);
    for hmac_secret in [None, Some(false)] {
        let inputs = MakeCredentialInputs { hmac_secret, hmac_secret_mc: Some(salts.input()), ..Default::default() };
        assert_eq!(key.make(&extended(resident(b"u"), &raw(&inputs))).unwrap_err(), Status::MISSING_PARAMETER);
        assert_eq!(key.touches, 0);
    }
    let input = HmacSecretInput { salt_auth: &[0; 32], ..salts.input() };
    let inputs = MakeCredentialInputs { hmac_secret: Some(true), hmac_secret_mc: Some(input), ..Default::default() };
    assert_eq!(key.make(&extended(resident(b"u"), &raw(&inputs))).unwrap_err(), Status::PIN_AUTH_INVALID);
    assert_eq!(key.store.applied(), commits);
}

/// 11.2 CTAPHID_CANCEL: between any two polls of a command with salts → KEEPALIVE_CANCEL
#[test]
fn a_command_with_salts_can_be_cancelled_between_any_two_polls() {
    for command in [Command::MAKE_CREDENTIAL, Command::GET_ASSERTION] {
        for poll in 1.. {
            let mut key = Key::new();
            let made = key.make(&registration(b"u")).unwrap();
            let salts = Salts::new(&mut key, Two, &ONE);
            let input = Some(salts.input());
            let request = if command == Command::MAKE_CREDENTIAL {
                let inputs =
                    MakeCredentialInputs { hmac_secret: Some(true), hmac_secret_mc: input, ..Default::default() };
                message(command, &extended(registration(b"v"), &raw(&inputs)))
            } else {
                message(command, &listed(asking(&ask(salts.input())), &[made.descriptor()]))
            };
            let response = key.call_cancelled(&request, poll);
            if key.polls < poll {
                assert_eq!((status(&response), poll), (Status::OK, 4), "touch and salts, key or count, answer");
                break;
            }
            assert_eq!(status(&response), Status::KEEPALIVE_CANCEL);
        }
    }
}

#[test]
fn the_longest_response_fits_in_the_smallest_message_that_a_configuration_allows() {
    let enterprise = Some(Enterprise { certified: virtual_key_certificate(), rp_ids: &[] });
    let with = |max_msg_size| Config { enterprise, max_msg_size, ..Config::new(VIRTUAL_KEY_AAGUID) };
    let smallest = (1024..7609).find(|&size| Key::try_with(with(size), BenchStore::default()).is_ok()).unwrap();
    assert!(smallest > 1024, "the certificate takes its room");
    for request in [registration(&[1; 64]), resident(&[1; 64])] {
        let key = Key::with(with(smallest)).set(Setting::Options, &[1 << 1 | 1 << 4, 63]);
        let mut key = key.set(Setting::MinPinRpIds, &rp_id_hash(RP));
        let salts = Salts::new(&mut key, Two, &TWO);
        let discoverable = request.options.is_some();
        let inputs = raw(&MakeCredentialInputs {
            uvm: Some(true),
            cred_blob: Some(&[1; 32]),
            large_blob: None,
            cred_protect: Some(Level::USER_VERIFICATION_REQUIRED),
            hmac_secret: Some(true),
            large_blob_key: discoverable.then_some(true),
            min_pin_length: Some(true),
            hmac_secret_mc: Some(salts.input()),
            third_party_payment: Some(true),
            pin_complexity_policy: Some(true),
        });
        let parameters = [CredentialParameters::new(Algorithm::EDDSA)];
        let pub_key_cred_params = List::Slice(&parameters[..]);
        let request = make_credential::Request { pub_key_cred_params, enterprise_attestation: Some(2), ..request };
        let made = key.make(&extended(request, &inputs)).unwrap();
        assert_eq!((made.ep_att, made.large_blob_key.is_some()), (Some(true), discoverable));
    }
}

/// 6.6: sign-in with a credential from before the reset → NO_CREDENTIALS
#[test]
fn a_reset_takes_the_secrets_away() {
    let (mut key, [wrapped, _]) = key();
    let before = key.store.setting(Setting::Seed);
    key.command(Command::RESET);
    assert_ne!(key.store.setting(Setting::Seed), before);
    let salts = Salts::new(&mut key, Two, &ONE);
    let refused = key.get(&listed(asking(&ask(salts.input())), &[wrapped.descriptor()])).unwrap_err();
    assert_eq!(refused, Status::NO_CREDENTIALS);
}
