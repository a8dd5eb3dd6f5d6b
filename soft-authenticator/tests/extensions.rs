//! The extensions of CTAP 2.3 §12 except `hmac-secret` and `largeBlob`, which have their own files.

use keyfob_core::{
    Status,
    auth_data::Flags,
    cbor::{List, RawMap},
    cose::{Algorithm, CoseKey},
    crypto::{RustCrypto, Sign, Verify},
    ctap2::{CommandOptions, CredentialDescriptor, RpEntity, get_assertion, make_credential},
    extensions::{
        GetAssertionInputs, GetAssertionOutputs, MakeCredentialInputs, MakeCredentialOutputs, cred_protect::Level,
    },
    pin_uv::PinUvAuthProtocol::Two,
};
use keyfob_soft_authenticator::{Caps, engine::Config, store::Setting};

use super::harness::*;

const OPTIONAL: Level = Level::USER_VERIFICATION_OPTIONAL;
const LISTED: Level = Level::USER_VERIFICATION_OPTIONAL_WITH_CREDENTIAL_ID_LIST;
const REQUIRED: Level = Level::USER_VERIFICATION_REQUIRED;

const MAKE: MakeCredentialInputs<'static> = MakeCredentialInputs {
    uvm: None,
    cred_blob: None,
    large_blob: None,
    cred_protect: None,
    hmac_secret: None,
    large_blob_key: None,
    min_pin_length: None,
    hmac_secret_mc: None,
    third_party_payment: None,
    pin_complexity_policy: None,
};
const GET: GetAssertionInputs<'static> = GetAssertionInputs {
    uvm: None,
    cred_blob: None,
    large_blob: None,
    hmac_secret: None,
    large_blob_key: None,
    third_party_payment: None,
};

type Make<'a> = make_credential::Request<'a>;

/// Registers, with the PIN if one is set.
fn make(key: &mut Key, request: Make<'_>, inputs: &MakeCredentialInputs<'_>) -> Result<Made, Status> {
    let inputs = raw(inputs);
    match key.store.setting(Setting::Pin) {
        None => key.make(&extended(request, &inputs)),
        Some(_) => {
            let token = key.token(Two, PIN, MC, None).unwrap();
            key.make_with(Two, &token, extended(request, &inputs))
        }
    }
}

fn verified(key: &mut Key, request: get_assertion::Request<'_>) -> Result<Got, Status> {
    let token = key.token(Two, PIN, GA, None).unwrap();
    key.get_with(Two, &token, request)
}

fn outputs(made: &Made) -> MakeCredentialOutputs<'_> {
    made.auth_data().extensions.map_or(MakeCredentialOutputs::default(), |outputs| outputs.decode().unwrap())
}

fn answers(got: &Got) -> GetAssertionOutputs<'_> {
    got.auth_data().extensions.map_or(GetAssertionOutputs::default(), |outputs| outputs.decode().unwrap())
}

#[track_caller]
fn refused(key: &mut Key, request: Make<'_>, inputs: &MakeCredentialInputs<'_>, expected: Status) {
    let (commits, touches) = (key.store.applied(), key.touches);
    assert_eq!(make(key, request, inputs).unwrap_err(), expected);
    assert_eq!((key.store.applied(), key.touches), (commits, touches), "neither a commit nor a touch");
}

#[test]
fn outputs_are_signed_and_there_only_when_asked_for() {
    let mut key = Key::new();
    let inputs = MakeCredentialInputs { cred_protect: Some(LISTED), hmac_secret: Some(true), ..MAKE };
    let made = make(&mut key, resident(b"u"), &inputs).unwrap();
    assert!(made.has(Flags::ED));
    let expected = MakeCredentialOutputs {
        cred_protect: Some(LISTED),
        hmac_secret: Some(true),
        ..MakeCredentialOutputs::default()
    };
    assert_eq!(made.auth_data().extensions.unwrap().0, raw(&expected), "and in canonical form");
    for inputs in [&b"\xA0"[..], b"\xA1\x63foo\x01", b"\xA1\x6Bhmac-secret\xF4", b"\xA1\x63uvm\xF4"] {
        let made = key.make(&extended(registration(b"u"), inputs)).unwrap();
        assert!(!made.has(Flags::ED));
        assert_eq!(made.auth_data.len(), key.make(&registration(b"u")).unwrap().auth_data.len());
    }
    let list = [made.descriptor()];
    for inputs in [&b"\xA0"[..], b"\xA1\x68credBlob\xF4", b"\xA1\x71thirdPartyPayment\xF4"] {
        assert_eq!(key.get(&listed(asking(inputs), &list)).unwrap().auth_data.len(), 37);
    }
    let got = key.get(&listed(asking(b"\xA1\x63uvm\xF5"), &list)).unwrap();
    assert!(got.has(Flags::ED) && got.is_by(&made));
}

/// 12 credProtect: a level under 1 or over 3 → INVALID_PARAMETER
#[test]
fn cred_protect_gives_each_level_and_no_other() {
    for level in 1..=3 {
        for request in [registration(b"u"), resident(b"u")] {
            let made =
                make(&mut Key::new(), request, &MakeCredentialInputs { cred_protect: Some(Level(level)), ..MAKE });
            assert_eq!(outputs(&made.unwrap()).cred_protect, Some(Level(level)));
        }
    }
    for level in [0, 4, 23, u32::MAX] {
        let inputs = MakeCredentialInputs { cred_protect: Some(Level(level)), ..MAKE };
        refused(&mut Key::new(), resident(b"u"), &inputs, Status::INVALID_PARAMETER);
    }
}

/// 6.2.2 step 7: every credential is hidden by credProtect → NO_CREDENTIALS
#[test]
fn cred_protect_hides_a_credential_as_its_level_says() {
    // level; whether it is found without an allow list; whether it is found by its id
    for (level, unnamed, named) in [(OPTIONAL, true, true), (LISTED, false, true), (REQUIRED, false, false)] {
        let inputs = MakeCredentialInputs { cred_protect: Some(level), ..MAKE };
        let mut key = Key::with_pin();
        let stored = make(&mut key, resident(b"s"), &inputs).unwrap();
        assert_eq!(key.get(&assertion()).is_ok(), unnamed);
        assert_eq!(verified(&mut key, assertion()).unwrap().id, stored.id());
        let wrapped = make(&mut key, registration(b"w"), &inputs).unwrap();
        for made in [&stored, &wrapped] {
            let list = [made.descriptor()];
            let touches = key.touches;
            let found = key.get(&listed(assertion(), &list));
            assert_eq!(found.is_ok(), named, "{level:?}");
            if !named {
                assert_eq!((found.unwrap_err(), key.touches), (Status::NO_CREDENTIALS, touches));
            }
            assert!(verified(&mut key, listed(assertion(), &list)).unwrap().is_by(made));
        }
    }
}

#[test]
fn cred_protect_passes_over_hidden_entries_of_an_allow_list() {
    let mut key = Key::with_pin();
    let hidden =
        make(&mut key, resident(b"h"), &MakeCredentialInputs { cred_protect: Some(REQUIRED), ..MAKE }).unwrap();
    let open = make(&mut key, resident(b"o"), &MAKE).unwrap();
    let list = [hidden.descriptor(), open.descriptor()];
    assert!(key.get(&listed(assertion(), &list)).unwrap().is_by(&open));
    assert!(verified(&mut key, listed(assertion(), &list)).unwrap().is_by(&hidden));
}

/// 6.3: every remaining credential is hidden by credProtect → NOT_ALLOWED
#[test]
fn cred_protect_leaves_hidden_credentials_out_of_a_sequence() {
    let mut key = Key::with_pin();
    for (user, level) in [(b"a", OPTIONAL), (b"b", REQUIRED), (b"c", OPTIONAL), (b"d", LISTED)] {
        make(&mut key, resident(user), &MakeCredentialInputs { cred_protect: Some(level), ..MAKE }).unwrap();
    }
    let first = key.get(&assertion()).unwrap();
    assert_eq!((first.user(), first.number), (&b"c"[..], Some(2)));
    assert_eq!(key.get_next().unwrap().user(), b"a");
    assert_eq!(key.get_next().unwrap_err(), Status::NOT_ALLOWED);
    let first = verified(&mut key, assertion()).unwrap();
    assert_eq!((first.user(), first.number), (&b"d"[..], Some(4)));
    for user in [b"c", b"b", b"a"] {
        assert_eq!(key.get_next().unwrap().user(), user);
    }
}

/// 6.1.2 step 12: an excluded credential that requires verification, and a verified user → CREDENTIAL_EXCLUDED
#[test]
fn cred_protect_3_excludes_only_for_a_verified_user() {
    for (level, excludes) in [(OPTIONAL, true), (LISTED, true), (REQUIRED, false)] {
        for request in [registration(b"u"), resident(b"u")] {
            let mut key = Key::with_pin();
            let made = make(&mut key, request, &MakeCredentialInputs { cred_protect: Some(level), ..MAKE }).unwrap();
            let list = [made.descriptor()];
            let request = Make { exclude_list: Some(List::Slice(&list)), ..registration(b"v") };
            let unverified = key.make(&request);
            assert_eq!(unverified.err(), excludes.then_some(Status::CREDENTIAL_EXCLUDED), "{level:?}");
            assert_eq!(make(&mut key, request, &MAKE).unwrap_err(), Status::CREDENTIAL_EXCLUDED);
        }
    }
}

/// 6.1.2 step 12: an excluded credential, and an extension with a wrong input → CREDENTIAL_EXCLUDED
#[test]
fn an_excluded_credential_is_told_whatever_the_extensions() {
    let mut key = Key::new();
    let made = key.make(&registration(b"u")).unwrap();
    let list = [made.descriptor()];
    let request = Make { exclude_list: Some(List::Slice(&list)), ..registration(b"v") };
    let inputs = MakeCredentialInputs { cred_protect: Some(Level(9)), ..MAKE };
    assert_eq!(make(&mut key, request, &inputs).unwrap_err(), Status::CREDENTIAL_EXCLUDED);
}

/// An id in the format of an earlier version, without a blob, for [`RP`], from a seed of sevens: ES256, the scalar
/// 0303…03.
const OLD_ID: &str = concat!(
    "01000102030405060708090a0b65c7011be20324799b5ec644bc6c09315cb00aa9",
    "322ffe32ee6cd954f5d1ad9822e219b43c28a1f275804ce013c87e892c44c6d172"
);

#[test]
fn an_id_from_before_blobs_were_wrapped_still_opens_and_has_none() {
    let id: Vec<u8> =
        (0..OLD_ID.len()).step_by(2).map(|at| u8::from_str_radix(&OLD_ID[at..at + 2], 16).unwrap()).collect();
    let mut key = Key::new().set(Setting::Seed, &[7; 32]);
    let (list, ask) = ([CredentialDescriptor::new(&id)], raw(&GetAssertionInputs { cred_blob: Some(true), ..GET }));
    let got = key.get(&listed(asking(&ask), &list)).unwrap();
    assert_eq!(answers(&got).cred_blob, Some(&b""[..]));
    let mut public = [0; 64];
    let len = RustCrypto.public_key(Algorithm::ES256, &[3; 32], &mut public).unwrap();
    let key = CoseKey::from_raw(Algorithm::ES256, &public[..len]).unwrap();
    RustCrypto.verify(&key, &[&got.auth_data, &HASH], &got.signature).unwrap();
}

#[test]
fn cred_blob_of_up_to_32_bytes_is_kept_in_the_store_or_in_the_id() {
    for len in [0, 1, 31, 32, 33, 200] {
        let blob = vec![0xB1; len];
        let stored = len <= 32;
        let inputs = MakeCredentialInputs { cred_blob: Some(&blob), ..MAKE };
        // A length byte and the blob, if there is one.
        let wrapped = 66 + if stored && len > 0 { 1 + len } else { 0 };
        for (request, id_len) in [(resident(b"u"), 32), (registration(b"u"), wrapped)] {
            let mut key = Key::new();
            let made = make(&mut key, request, &inputs).unwrap();
            assert_eq!((outputs(&made).cred_blob, made.id().len()), (Some(stored), id_len), "{len} bytes");
            let (list, ask) = ([made.descriptor()], raw(&GetAssertionInputs { cred_blob: Some(true), ..GET }));
            let mut key = key.power_cut();
            let got = key.get(&listed(asking(&ask), &list)).unwrap();
            assert_eq!(answers(&got).cred_blob, Some(if stored { &blob[..] } else { b"" }));
            assert!(got.is_by(&made));
        }
    }
}

#[test]
fn large_blob_keys_differ_from_credential_to_credential_and_outlive_a_power_cut() {
    let ask = raw(&GetAssertionInputs { large_blob_key: Some(true), ..GET });
    let mut key = Key::new();
    let inputs = MakeCredentialInputs { large_blob_key: Some(true), ..MAKE };
    let made = [b"a", b"b"].map(|user| make(&mut key, resident(user), &inputs).unwrap());
    let keys = made.each_ref().map(|made| made.large_blob_key.clone().unwrap());
    assert!(keys[0].len() == 32 && keys[0] != keys[1]);
    assert!(made[0].auth_data().extensions.is_none(), "a member of the response, not an output");
    let mut key = key.power_cut();
    for (made, large_blob_key) in made.iter().zip(&keys) {
        let got = key.get(&listed(asking(&ask), &[made.descriptor()])).unwrap();
        assert_eq!(got.large_blob_key.as_ref(), Some(large_blob_key));
        assert_eq!(key.get(&listed(assertion(), &[made.descriptor()])).unwrap().large_blob_key, None);
    }
    let again = make(&mut key, resident(b"a"), &inputs).unwrap();
    assert_ne!(again.large_blob_key.unwrap(), keys[0], "another credential, another key");
    let none = make(&mut key, resident(b"c"), &MAKE).unwrap();
    let got = key.get(&listed(asking(&ask), &[none.descriptor()])).unwrap();
    assert_eq!((none.large_blob_key, got.large_blob_key), (None, None), "made without");
}

/// 12 largeBlobKey: false, or the credential is not discoverable → INVALID_OPTION
#[test]
fn large_blob_key_may_only_be_true_and_only_of_a_discoverable_credential() {
    let inputs = MakeCredentialInputs { large_blob_key: Some(true), ..MAKE };
    refused(&mut Key::new(), registration(b"u"), &inputs, Status::INVALID_OPTION);
    let inputs = MakeCredentialInputs { large_blob_key: Some(false), ..MAKE };
    refused(&mut Key::new(), resident(b"u"), &inputs, Status::INVALID_OPTION);
    let mut key = Key::new();
    key.make(&resident(b"u")).unwrap();
    let ask = raw(&GetAssertionInputs { large_blob_key: Some(false), ..GET });
    let touches = key.touches;
    assert_eq!(key.get(&asking(&ask)).unwrap_err(), Status::INVALID_OPTION);
    assert_eq!(key.touches, touches);
}

#[test]
fn third_party_payment_is_told_as_it_was_given() {
    let ask = raw(&GetAssertionInputs { third_party_payment: Some(true), ..GET });
    for given in [None, Some(false), Some(true)] {
        for request in [registration(b"u"), resident(b"u")] {
            let mut key = Key::new();
            let made = make(&mut key, request, &MakeCredentialInputs { third_party_payment: given, ..MAKE }).unwrap();
            assert!(!made.has(Flags::ED), "a registration is not answered");
            let got = key.get(&listed(asking(&ask), &[made.descriptor()])).unwrap();
            assert_eq!(answers(&got).third_party_payment, Some(given == Some(true)));
        }
    }
}

#[test]
fn the_pin_policy_is_told_to_listed_relying_parties_only() {
    let inputs = MakeCredentialInputs { min_pin_length: Some(true), pin_complexity_policy: Some(true), ..MAKE };
    let told = |key: &mut Key, rp_id| {
        let rp = RpEntity { id: rp_id, name: None };
        let made = make(key, Make { rp, ..resident(b"u") }, &inputs).unwrap();
        let outputs = outputs(&made);
        assert_eq!(made.has(Flags::ED), outputs.min_pin_length.is_some());
        (outputs.min_pin_length, outputs.pin_complexity_policy)
    };
    let mut key = Key::new();
    assert_eq!(told(&mut key, RP), (None, None), "no relying party is listed");
    let listed = ["one.example", RP, "two.example"].map(rp_id_hash).concat();
    let mut key = key.set(Setting::Options, &[1 << 4, 9]).set(Setting::MinPinRpIds, &listed);
    assert_eq!(told(&mut key, RP), (Some(9), Some(true)));
    assert_eq!(told(&mut key, "two.example"), (Some(9), Some(true)));
    assert_eq!(told(&mut key, "three.example"), (None, None));
    let made = key.make(&extended(resident(b"u"), b"\xA1\x6CminPinLength\xF4")).unwrap();
    assert!(!made.has(Flags::ED), "false does not request it");
}

#[test]
fn uvm_tells_how_the_user_was_verified() {
    let inputs = MakeCredentialInputs { uvm: Some(true), ..MAKE };
    let ask = raw(&GetAssertionInputs { uvm: Some(true), ..GET });
    let method = |outputs: Option<keyfob_core::extensions::uvm::UvmEntries<'_>>| {
        let methods = outputs.unwrap();
        assert_eq!(methods.len(), 1);
        let method = methods.iter().next().unwrap();
        assert_eq!((method.key_protection, method.matcher_protection), (1, 1), "software");
        method.user_verification_method
    };
    let mut key = Key::with_pin();
    let made = make(&mut key, resident(b"u"), &inputs).unwrap();
    assert_eq!(method(outputs(&made).uvm), 0x800, "a PIN from outside");
    let got = verified(&mut key, asking(&ask)).unwrap();
    assert_eq!(method(answers(&got).uvm), 0x800);
    assert_eq!(method(answers(&key.get(&asking(&ask)).unwrap()).uvm), 0x001, "presence");
    let options = Some(CommandOptions { up: Some(false), ..Default::default() });
    let silent = get_assertion::Request { options, ..asking(&ask) };
    assert_eq!(method(answers(&key.get(&silent).unwrap()).uvm), 0x200, "nothing");
}

#[test]
fn uvm_names_the_finger_that_verified_the_user_in_this_command() {
    let config = super::user_verification::SENSOR;
    let mut key = Key::with(config);
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, BE, None).unwrap();
    key.enrol(&token).unwrap();
    let options = Some(CommandOptions { uv: Some(true), ..Default::default() });
    let inputs = raw(&MakeCredentialInputs { uvm: Some(true), ..MAKE });
    let made = key.make(&extended(Make { options, ..registration(b"u") }, &inputs)).unwrap();
    let methods: Vec<_> = outputs(&made).uvm.unwrap().iter().collect();
    assert_eq!(methods.len(), 1);
    assert_eq!(methods[0].user_verification_method, config.user_verification.modality);
}

#[test]
fn uvm_names_the_finger_that_gave_the_token_and_the_pin_again_after_it_gave_another() {
    let config = super::user_verification::SENSOR;
    let mut key = Key::with(config);
    key.set_pin(Two, PIN);
    let token = key.token(Two, PIN, BE, None).unwrap();
    key.enrol(&token).unwrap();
    make(&mut key, resident(b"one"), &MAKE).unwrap();
    make(&mut key, resident(b"two"), &MAKE).unwrap();
    let ask = raw(&GetAssertionInputs { uvm: Some(true), ..GET });
    let method = |got: &Got| answers(got).uvm.unwrap().iter().next().unwrap().user_verification_method;
    let finger = config.user_verification.modality;
    for expected in [finger, 0x800] {
        let token = if expected == finger { key.uv_token(Two, GA, None) } else { key.token(Two, PIN, GA, None) };
        let token = token.unwrap();
        let got = key.get_with(Two, &token, asking(&ask)).unwrap();
        assert_eq!(method(&got), expected);
        assert_eq!(method(&key.get_next().unwrap()), expected, "the same for the account after it");
    }
    let options = Some(CommandOptions { uv: Some(true), ..Default::default() });
    let got = key.get(&get_assertion::Request { options, ..asking(&ask) }).unwrap();
    assert_eq!(method(&got), finger, "the command's own verification counts, not the last token's");
    assert_eq!(method(&key.get_next().unwrap()), finger);
}

/// 7 authenticate: a credential that requires user verification → WRONG_DATA
#[test]
fn u2f_knows_no_credential_that_requires_user_verification() {
    use keyfob_core::ctap1::{Control, Request, StatusWord};
    for (level, expected) in [(LISTED, StatusWord::CONDITIONS_NOT_SATISFIED), (REQUIRED, StatusWord::WRONG_DATA)] {
        let mut key = Key::new();
        let inputs = MakeCredentialInputs { cred_protect: Some(level), ..MAKE };
        let made = make(&mut key, registration(b"u"), &inputs).unwrap();
        for control in [Control::CHECK_ONLY, Control::ENFORCE_USER_PRESENCE] {
            let application = &rp_id_hash(RP);
            let request = Request::Authenticate { control, challenge: &HASH, application, key_handle: made.id() };
            let mut apdu = [0; 400];
            let len = request.encode(&mut apdu).unwrap();
            assert_eq!(key.call_u2f(&apdu[..len]), expected.0.to_be_bytes());
        }
    }
}

#[test]
fn every_credential_of_a_sequence_answers_for_itself() {
    let mut key = Key::new();
    let mut keys = Vec::new();
    for user in [b"a", b"b", b"c"] {
        let inputs = MakeCredentialInputs {
            cred_blob: Some(user),
            large_blob_key: Some(true),
            third_party_payment: Some(*user == *b"b"),
            ..MAKE
        };
        keys.push(make(&mut key, resident(user), &inputs).unwrap().large_blob_key);
    }
    let ask = raw(&GetAssertionInputs {
        cred_blob: Some(true),
        large_blob_key: Some(true),
        third_party_payment: Some(true),
        uvm: Some(true),
        ..GET
    });
    let mut got = key.get(&asking(&ask)).unwrap();
    for (user, large_blob_key) in [b"c", b"b", b"a"].into_iter().zip(keys.iter().rev()) {
        let answers = answers(&got);
        assert_eq!((got.user(), answers.cred_blob), (&user[..], Some(&user[..])));
        assert_eq!(&got.large_blob_key, large_blob_key);
        assert_eq!(answers.third_party_payment, Some(user == b"b"));
        assert!(answers.uvm.is_some());
        if user != b"a" {
            got = key.get_next().unwrap();
        }
    }
}

#[test]
fn extensions_that_are_switched_off_are_ignored() {
    let config = Config::new([0; 16]);
    let off = Caps::CRED_PROTECT
        .with(Caps::CRED_BLOB)
        .with(Caps::HMAC_SECRET)
        .with(Caps::HMAC_SECRET_MC)
        .with(Caps::LARGE_BLOBS)
        .with(Caps::CONFIG)
        .with(Caps::PIN_COMPLEXITY)
        .with(Caps::THIRD_PARTY_PAYMENT)
        .with(Caps::UVM);
    let mut key = Key::with(Config { caps: config.caps.without(off).consistent(), ..config });
    let inputs = MakeCredentialInputs {
        uvm: Some(true),
        cred_blob: Some(b"blob"),
        cred_protect: Some(Level(9)),
        hmac_secret: Some(true),
        large_blob_key: Some(true),
        third_party_payment: Some(true),
        ..MAKE
    };
    let made = make(&mut key, registration(b"u"), &inputs).unwrap();
    assert!(!made.has(Flags::ED) && made.large_blob_key.is_none());
    let request = Make { extensions: Some(RawMap(b"\xA1\x6BcredProtect\x80")), ..registration(b"u") };
    key.make(&request).unwrap();
}

#[test]
fn every_change_of_the_discoverable_credentials_changes_the_stores_state_with_it() {
    let config = Config::new([0; 16]);
    let mut key = Key::new();
    let mut states = vec![key.store.setting(Setting::StoreState)];
    // The replaced credential is removed in a second commit, which the state does not show.
    for (user, expected) in [(b"a", 1), (b"b", 1), (b"a", 2)] {
        let commits = key.store.applied();
        key.make(&resident(user)).unwrap();
        assert_eq!(key.store.applied(), commits + expected, "in the same commit");
        states.push(key.store.setting(Setting::StoreState));
    }
    assert!(states[1..].iter().all(|state| state.as_ref().is_some_and(|state| state.len() == 16)));
    assert!((1..states.len()).all(|index| states[index] != states[index - 1]));
    key.make(&registration(b"c")).unwrap();
    key.get(&assertion()).unwrap();
    assert_eq!(key.store.setting(Setting::StoreState), states[3], "nothing else does");
    let mut key = Key::with(Config { caps: config.caps.without(Caps::IDENTIFIER), ..config });
    let state = key.store.setting(Setting::StoreState);
    key.make(&resident(b"u")).unwrap();
    assert_eq!(key.store.setting(Setting::StoreState), state, "the relying party is not told");
}
