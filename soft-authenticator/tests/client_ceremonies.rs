//! The client's two ceremonies with the engine: extensions, long lists, a first PIN.

use std::time::Duration;

use keyfob_core::{
    Instant, Status,
    client::{
        Assertion, AssertionSelection, Attestation, Cause, Ceremony, Error, GetAssertion, GetOptions, MakeCredential,
        MakeOptions, Requirement,
        extensions::{
            CredProtect, GetExtensions, GetResults, HmacOutputs, HmacSalts, LargeBlobAccess, LargeBlobSupport,
            MakeExtensions, MakeResults, PrfInput, PrfOfCredential,
        },
        run,
    },
    crypto::{RustCrypto, Verify},
    ctap2::{Command, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    extensions::cred_protect::Level,
    pin_uv::PinUvAuthProtocol::Two,
};
use keyfob_soft_authenticator::{Caps, engine::Config};

use super::{
    client_operations::{Plugged, User, rng},
    harness::*,
};

const ES256: &[CredentialParameters<'static>] = &[CredentialParameters::new(keyfob_core::cose::Algorithm::ES256)];
const INPUT: PrfInput<'static> = PrfInput { first: b"one", second: Some(b"two") };

fn options<'o>(user: &'o [u8], extensions: MakeExtensions<'o>) -> MakeOptions<'o> {
    let user = UserEntity { id: user, name: None, display_name: None };
    let options = MakeOptions::new(&HASH, RpEntity { id: RP, name: None }, user, ES256);
    MakeOptions { resident_key: Requirement::Required, extensions, ..options }
}

/// Registers. Returns the result of `read`, and the commands that were sent.
fn make<T>(
    key: &mut Key,
    options: &MakeOptions<'_>,
    mut user: User,
    read: impl FnOnce(&Attestation<'_>) -> T,
) -> Result<(T, Vec<u8>), Error> {
    let (mut buffer, now) = (vec![0; 2048], key.now);
    let mut plugged = Plugged::new(key);
    let ceremony = Ceremony::new(MakeCredential::new(options), &mut buffer, RustCrypto, rng());
    let made = run(ceremony, &mut plugged, &mut user, clock(now))?;
    Ok((read(&made), plugged.requests.iter().map(|request| request[0]).collect()))
}

/// Signs in with memory for a large blob.
fn get<T>(
    key: &mut Key,
    options: &GetOptions<'_>,
    read: impl FnOnce(&AssertionSelection<'_, '_>) -> T,
) -> Result<(T, Vec<u8>), Error> {
    let (mut buffer, mut memory, now) = (vec![0; 2048], vec![0; 8192], key.now);
    let mut plugged = Plugged::new(key);
    let ceremony = Ceremony::new(GetAssertion::with_memory(options, &mut memory), &mut buffer, RustCrypto, rng());
    let got = run(ceremony, &mut plugged, &mut User(PIN, ""), clock(now))?;
    Ok((read(&got), plugged.requests.iter().map(|request| request[0]).collect()))
}

/// A clock that advances by 10 ms with every reading.
fn clock(mut now: Instant) -> impl FnMut() -> Instant {
    move || {
        now = now.plus(Duration::from_millis(10));
        now
    }
}

fn id_of(made: &Attestation<'_>) -> Vec<u8> {
    made.auth_data.attested_credential_data.unwrap().credential_id.to_vec()
}

/// Registers a credential, without a PIN or with [`PIN`].
fn registered(key: &mut Key, user: &[u8], extensions: MakeExtensions<'_>) -> Vec<u8> {
    make(key, &options(user, extensions), User(PIN, ""), id_of).unwrap().0
}

type Outputs = (Vec<u8>, Option<Vec<u8>>);

fn owned(outputs: Option<HmacOutputs<'_>>) -> Option<Outputs> {
    outputs.map(|outputs| (outputs.first.to_vec(), outputs.second.map(|second| second.to_vec())))
}

fn outputs(key: &mut Key, extensions: GetExtensions<'_>, allowed: &[&[u8]]) -> Option<Outputs> {
    let list: Vec<_> = allowed.iter().map(|id| CredentialDescriptor::new(id)).collect();
    let options = GetOptions { allow_list: list[..].into(), extensions, ..GetOptions::new(RP, &HASH) };
    get(key, &options, |got| owned(got.get(0).unwrap().extensions.hmac_outputs)).unwrap().0
}

#[test]
fn a_pseudo_random_function_gives_a_registration_and_every_sign_in_the_same_outputs() {
    for mut key in [Key::new(), Key::with_pin()] {
        let extensions = MakeExtensions { prf: Some(Some(INPUT)), ..MakeExtensions::NONE };
        let read =
            |made: &Attestation<'_>| (id_of(made), made.extensions.hmac_secret, owned(made.extensions.hmac_outputs));
        let ((id, enabled, at_once), _) = make(&mut key, &options(b"a", extensions), User(PIN, PIN), read).unwrap();
        assert_eq!(enabled, Some(true));
        let inputs = GetExtensions { prf: Some(INPUT), ..GetExtensions::NONE };
        if key.options().client_pin == Some(false) {
            // Without user verification the secrets are different.
            assert_eq!(at_once, None);
            assert_eq!(key.set_pin(Two, PIN), Status::OK);
        } else {
            assert_eq!(at_once, outputs(&mut key, inputs, &[]));
        }
        let (first, second) = outputs(&mut key, inputs, &[&id]).unwrap();
        assert_ne!(Some(&first), second.as_ref());
        let swapped = PrfInput { first: b"two", second: Some(b"one") };
        let inputs = GetExtensions { prf: Some(swapped), ..GetExtensions::NONE };
        assert_eq!(outputs(&mut key, inputs, &[&id]), Some((second.unwrap(), Some(first))));
    }
}

#[test]
fn prf_asks_a_user_who_could_be_verified_to_be() {
    let mut key = Key::new();
    let id = registered(&mut key, b"a", MakeExtensions { prf: Some(None), ..MakeExtensions::NONE });
    let list = [CredentialDescriptor::new(&id)];
    let extensions = GetExtensions { prf: Some(INPUT), ..GetExtensions::NONE };
    let options = GetOptions {
        allow_list: (&list[..]).into(),
        user_verification: Requirement::Discouraged,
        extensions,
        ..GetOptions::new(RP, &HASH)
    };
    let error = get(&mut key, &options, |_| ()).unwrap_err();
    assert_eq!(error.cause, Cause::PinNotSet);
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    let verified =
        |got: &AssertionSelection<'_, '_>| got.get(0).unwrap().auth_data.flags.has(keyfob_core::auth_data::Flags::UV);
    assert!(get(&mut key, &options, verified).unwrap().0);
}

#[test]
fn a_sign_in_without_user_presence_asks_for_no_touch_and_says_that_the_user_was_absent() {
    use keyfob_core::auth_data::Flags;
    let mut key = Key::with_pin();
    let id = registered(&mut key, b"a", MakeExtensions::NONE);
    for (verification, flags) in [(Requirement::Discouraged, Flags(0)), (Requirement::Required, Flags::UV)] {
        let list = [CredentialDescriptor::new(&id)];
        let options = GetOptions {
            allow_list: (&list[..]).into(),
            user_presence: false,
            user_verification: verification,
            ..GetOptions::new(RP, &HASH)
        };
        let (got, _) = get(&mut key, &options, |got| got.get(0).unwrap().auth_data.flags).unwrap();
        assert_eq!(got, flags);
    }
    let other = [CredentialDescriptor::new(b"another")];
    let options = GetOptions {
        allow_list: (&other[..]).into(),
        user_presence: false,
        user_verification: Requirement::Discouraged,
        ..GetOptions::new(RP, &HASH)
    };
    let (mut buffer, now) = (vec![0; 2048], key.now);
    let mut plugged = Plugged::new(&mut key);
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, rng());
    let error = run(ceremony, &mut plugged, &mut User(PIN, ""), clock(now)).unwrap_err();
    assert_eq!(error.cause, Cause::Status(Status::NO_CREDENTIALS));
    let commands: Vec<u8> = plugged.requests.iter().map(|request| request[0]).collect();
    assert_eq!(commands, [Command::GET_INFO.0, Command::GET_ASSERTION.0], "no touch");
}

#[test]
fn inputs_by_credential_go_to_the_credential_that_is_there() {
    let mut key = Key::with_pin();
    let extensions = MakeExtensions { prf: Some(None), ..MakeExtensions::NONE };
    let id = registered(&mut key, b"a", extensions);
    let own = PrfInput { first: b"own", second: None };
    let expected = outputs(&mut key, GetExtensions { prf: Some(own), ..GetExtensions::NONE }, &[&id]);
    let elsewhere = [7; 40];
    let by = [PrfOfCredential { id: &elsewhere, eval: INPUT }, PrfOfCredential { id: &id, eval: own }];
    let inputs = GetExtensions { prf: Some(INPUT), prf_by_credential: (&by[..]).into(), ..GetExtensions::NONE };
    assert_eq!(outputs(&mut key, inputs, &[&elsewhere, &id]), expected);
    let inputs = GetExtensions { prf: Some(own), prf_by_credential: (&by[..1]).into(), ..GetExtensions::NONE };
    assert_eq!(outputs(&mut key, inputs, &[&elsewhere, &id]), expected);
}

#[test]
fn hmac_secrets_of_users_who_were_and_were_not_verified_differ_and_need_a_key_agreement_in_either_case() {
    let mut key = Key::new();
    let salts = HmacSalts { salt1: &[1; 32], salt2: None };
    let extensions = MakeExtensions { hmac_create_secret: true, hmac_get_secret: Some(salts), ..MakeExtensions::NONE };
    let read = |made: &Attestation<'_>| (id_of(made), owned(made.extensions.hmac_outputs).unwrap());
    let ((id, at_once), sent) = make(&mut key, &options(b"a", extensions), User("", ""), read).unwrap();
    assert_eq!(sent, [Command::GET_INFO.0, Command::CLIENT_PIN.0, Command::MAKE_CREDENTIAL.0]);
    let inputs = GetExtensions { hmac_get_secret: Some(salts), ..GetExtensions::NONE };
    assert_eq!(outputs(&mut key, inputs, &[&id]), Some(at_once.clone()));
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    let verified = outputs(&mut key, inputs, &[&id]).unwrap();
    assert_ne!(verified, at_once);
    let prf_is_not_the_same_as_salts =
        GetExtensions { prf: Some(PrfInput { first: &[1; 32], second: None }), ..inputs };
    assert_ne!(outputs(&mut key, prf_is_not_the_same_as_salts, &[&id]).unwrap(), verified);
}

#[test]
fn the_results_of_a_registration_are_what_the_key_says_and_what_the_client_knows() {
    let mut key = Key::with_pin();
    let protect = CredProtect { level: Level::USER_VERIFICATION_REQUIRED, enforce: true };
    let extensions = MakeExtensions {
        cred_blob: Some(b"blob"),
        cred_props: true,
        cred_protect: Some(protect),
        large_blob: Some(LargeBlobSupport::Required),
        payment: true,
        min_pin_length: true,
        ..MakeExtensions::NONE
    };
    let (id, _) = make(&mut key, &options(b"a", extensions), User(PIN, ""), |made| {
        let expected = MakeResults {
            cred_blob: Some(true),
            cred_props_rk: Some(true),
            cred_protect: Some(Level::USER_VERIFICATION_REQUIRED),
            large_blob: Some(true),
            ..MakeResults::default()
        };
        assert_eq!(made.extensions, expected, "this relying party may not read the minimum PIN length");
        id_of(made)
    })
    .unwrap();
    let list = [CredentialDescriptor::new(&id)];
    let extensions = GetExtensions { cred_blob: true, payment: true, ..GetExtensions::NONE };
    let options = GetOptions { allow_list: (&list[..]).into(), extensions, ..GetOptions::new(RP, &HASH) };
    get(&mut key, &options, |got| {
        let expected = GetResults { cred_blob: Some(b"blob"), payment: Some(true), ..GetResults::default() };
        assert_eq!(got.get(0).unwrap().extensions, expected);
    })
    .unwrap();
}

#[test]
fn extensions_that_the_key_does_not_have_are_left_out() {
    let config = Config::new([0; 16]);
    let mut key = Key::with(Config { caps: Caps::NONE, ..config });
    let extensions = MakeExtensions {
        cred_blob: Some(b"blob"),
        cred_props: true,
        cred_protect: Some(CredProtect { level: Level::USER_VERIFICATION_REQUIRED, enforce: false }),
        large_blob: Some(LargeBlobSupport::Preferred),
        prf: Some(Some(INPUT)),
        payment: true,
        uvm: true,
        min_pin_length: true,
        pin_complexity_policy: true,
        ..MakeExtensions::NONE
    };
    let options = MakeOptions { resident_key: Requirement::Discouraged, ..options(b"a", extensions) };
    let read = |made: &Attestation<'_>| {
        let expected = MakeResults {
            cred_props_rk: Some(false),
            hmac_secret: Some(false),
            large_blob: Some(false),
            ..MakeResults::default()
        };
        assert_eq!(made.extensions, expected);
        assert_eq!(made.auth_data.extensions, None);
    };
    make(&mut key, &options, User("", ""), read).unwrap();
}

/// Writes a large blob, or reads it if there is nothing to write.
fn blob(key: &mut Key, id: &[u8], write: Option<&[u8]>) -> Result<(Option<bool>, Option<Vec<u8>>), Error> {
    let list = [CredentialDescriptor::new(id)];
    let access = write.map_or(LargeBlobAccess::Read, LargeBlobAccess::Write);
    let extensions = GetExtensions { large_blob: Some(access), ..GetExtensions::NONE };
    let options = GetOptions { allow_list: (&list[..]).into(), extensions, ..GetOptions::new(RP, &HASH) };
    let read = |got: &AssertionSelection<'_, '_>| {
        let blob = got.large_blob(&RustCrypto, 0, &mut [0; 4096]).unwrap().map(<[u8]>::to_vec);
        (got.get(0).unwrap().extensions.large_blob_written, blob)
    };
    get(key, &options, read).map(|(read, _)| read)
}

#[test]
fn a_large_blob_is_read_as_it_was_written_in_either_form() {
    let config = Config::new([0; 16]);
    let direct = config.caps.without(Caps::LARGE_BLOBS).with(Caps::LARGE_BLOB_EXTENSION);
    for mut key in [Key::new(), Key::with_pin(), Key::with(Config { caps: direct, ..config })] {
        let extensions = MakeExtensions { large_blob: Some(LargeBlobSupport::Required), ..MakeExtensions::NONE };
        let (one, other) = (registered(&mut key, b"a", extensions), registered(&mut key, b"b", extensions));
        assert_eq!(blob(&mut key, &one, None).unwrap(), (None, None));
        let text = b"a certificate, a certificate, a certificate".repeat(9);
        assert_eq!(blob(&mut key, &one, Some(&text)).unwrap(), (Some(true), None));
        assert_eq!(blob(&mut key, &other, Some(b"another")).unwrap(), (Some(true), None));
        assert_eq!(blob(&mut key, &one, None).unwrap(), (None, Some(text)));
        assert_eq!(blob(&mut key, &other, None).unwrap(), (None, Some(b"another".to_vec())));
        assert_eq!(blob(&mut key, &one, Some(b"")).unwrap(), (Some(true), None));
        assert_eq!(blob(&mut key, &one, None).unwrap(), (None, Some(Vec::new())));
    }
}

#[test]
fn a_large_blob_that_does_not_fit_is_not_written_and_the_sign_in_succeeds() {
    let mut key = Key::new();
    let extensions = MakeExtensions { large_blob: Some(LargeBlobSupport::Required), ..MakeExtensions::NONE };
    let id = registered(&mut key, b"a", extensions);
    assert_eq!(blob(&mut key, &id, Some(b"short")).unwrap(), (Some(true), None));
    let long: Vec<u8> = (0..1500_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(blob(&mut key, &id, Some(&long)).unwrap(), (Some(false), None));
    assert_eq!(blob(&mut key, &id, None).unwrap(), (None, Some(b"short".to_vec())));
}

#[test]
fn long_lists_are_searched_before_the_user_is_asked_for_a_touch() {
    for mut key in [Key::new(), Key::with_pin()] {
        let protect = CredProtect { level: Level::USER_VERIFICATION_REQUIRED, enforce: true };
        let level = MakeExtensions { cred_protect: Some(protect), ..MakeExtensions::NONE };
        let id = registered(&mut key, b"a", level);
        let others: Vec<[u8; 48]> = (0..40).map(|n| [n; 48]).collect();
        let mut list: Vec<_> = others.iter().map(|id| CredentialDescriptor::new(id)).collect();
        list.push(CredentialDescriptor::new(&id));
        let touches = key.touches;
        let excluding = MakeOptions { exclude_list: (&list[..]).into(), ..options(b"b", MakeExtensions::NONE) };
        let excluded = make(&mut key, &excluding, User(PIN, ""), |_| ());
        let allowing = GetOptions { allow_list: (&list[..]).into(), ..GetOptions::new(RP, &HASH) };
        let got = get(&mut key, &allowing, |got| got.get(0).unwrap().credential_id.to_vec());
        if key.options().client_pin == Some(true) {
            assert_eq!(excluded.unwrap_err().cause, Cause::Status(Status::CREDENTIAL_EXCLUDED));
            let (found, sent) = got.unwrap();
            assert_eq!(found, id);
            assert!(sent.iter().filter(|command| **command == Command::GET_ASSERTION.0).count() > 2, "{sent:?}");
        } else {
            // Its protection hides it from users who are not verified.
            excluded.unwrap();
            assert_eq!(got.unwrap_err().cause, Cause::Status(Status::NO_CREDENTIALS));
        }
        assert_eq!(key.touches, touches + 2, "one touch each, with any result");
    }
}

#[test]
fn a_key_that_has_none_of_the_credentials_asks_for_a_touch_before_it_says_so() {
    let mut key = Key::new();
    let error = get(&mut key, &GetOptions::new(RP, &HASH), |_| ()).unwrap_err();
    assert_eq!((error.cause, key.touches), (Cause::Status(Status::NO_CREDENTIALS), 1));
    let list = [CredentialDescriptor::new(&[1; 32])];
    let options = GetOptions { allow_list: (&list[..]).into(), ..GetOptions::new(RP, &HASH) };
    let error = get(&mut key, &options, |_| ()).unwrap_err();
    assert_eq!((error.cause, key.touches), (Cause::Status(Status::NO_CREDENTIALS), 2));
}

#[test]
fn excluded_credentials_of_the_app_id_are_found() {
    let mut key = Key::new();
    let user = UserEntity { id: b"a", name: None, display_name: None };
    let app_id = "https://example.org/appid.json";
    let of_app = MakeOptions::new(&HASH, RpEntity { id: app_id, name: None }, user, ES256);
    let (id, _) = make(&mut key, &of_app, User("", ""), id_of).unwrap();
    let list = [CredentialDescriptor::new(&id)];
    let extensions = MakeExtensions { app_id_exclude: Some(app_id), ..MakeExtensions::NONE };
    let excluding = MakeOptions { exclude_list: (&list[..]).into(), ..options(b"a", extensions) };
    let touches = key.touches;
    let error = make(&mut key, &excluding, User("", ""), |_| ()).unwrap_err();
    assert_eq!((error.cause, key.touches), (Cause::Status(Status::CREDENTIAL_EXCLUDED), touches + 1));

    let extensions = GetExtensions { app_id: Some(app_id), ..GetExtensions::NONE };
    let options = GetOptions { allow_list: (&list[..]).into(), extensions, ..GetOptions::new(RP, &HASH) };
    let read = |got: &AssertionSelection<'_, '_>| {
        let Assertion { credential_id, extensions, .. } = got.get(0).unwrap();
        (credential_id.to_vec(), extensions.app_id)
    };
    assert_eq!(get(&mut key, &options, read).unwrap().0, (id, Some(true)));
}

#[test]
fn a_registration_that_needs_a_pin_sets_the_first_one() {
    let mut key = Key::new();
    let required = MakeOptions { user_verification: Requirement::Required, ..options(b"a", MakeExtensions::NONE) };
    let verified = |made: &Attestation<'_>| made.auth_data.flags.has(keyfob_core::auth_data::Flags::UV);
    assert!(make(&mut key, &required, User("", PIN), verified).unwrap().0);
    assert_eq!(key.options().client_pin, Some(true));
    key.token(Two, PIN, MC, Some(RP)).unwrap();
}

#[test]
fn a_key_of_version_1_registers_and_signs_in_and_version_2_knows_the_credential() {
    let mut key = Key::new();
    let app_id = "https://example.org/appid.json";
    let user = UserEntity { id: b"a", name: None, display_name: None };
    let options = MakeOptions::new(&HASH, RpEntity { id: app_id, name: None }, user, ES256);
    let (mut buffer, now) = (vec![0; 2048], key.now);
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, rng()).over_ctap1();
    let made = run(ceremony, &mut Plugged::new(&mut key), &mut User("", ""), clock(now)).unwrap();
    let (id, public_key) = (id_of(&made), made.auth_data.attested_credential_data.unwrap().public_key);
    assert_eq!((made.response.fmt, made.auth_data.extensions, key.touches), ("fido-u2f", None, 1));

    let list = [CredentialDescriptor::new(&[9; 40]), CredentialDescriptor::new(&id)];
    let extensions = GetExtensions { app_id: Some(app_id), ..GetExtensions::NONE };
    let options = GetOptions { allow_list: (&list[..]).into(), extensions, ..GetOptions::new(RP, &HASH) };
    let is_signed = |got: &AssertionSelection<'_, '_>| {
        let Assertion { credential_id, response, extensions, .. } = got.get(0).unwrap();
        assert_eq!((credential_id, extensions.app_id), (&id[..], Some(true)));
        RustCrypto.verify(&public_key, &[response.auth_data, &HASH], response.signature).unwrap();
    };
    let mut buffer = vec![0; 2048];
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, rng()).over_ctap1();
    let got = run(ceremony, &mut Plugged::new(&mut key), &mut User("", ""), clock(now)).unwrap();
    is_signed(&got);
    assert_eq!(key.touches, 2);
    get(&mut key, &options, is_signed).unwrap();
    assert_eq!(key.touches, 3);
}
