//! Credentials that a test puts in, lists, changes and removes.

use std::time::Duration;

use keyfob_core::{
    Status,
    auth_data::Flags,
    cbor,
    client::{self, Cause, Ceremony, UserInteraction, manage::WriteLargeBlobs},
    cose::{Algorithm, CoseKey},
    crypto::{RustCrypto, Sign},
    ctap2::Command,
    extensions::cred_protect::Level,
    large_blob::LargeBlobArray,
    transport::{Protocol, Received, Transport},
};
use keyfob_soft_authenticator::{
    Caps,
    engine::Config,
    store::{MemoryStore, StoreError},
    testing::{CredentialProperties, TestCredential, TestError, TestKey},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_json::{Value, json};

use crate::page::*;

/// PKCS#8 of a key on P-256.
fn pkcs8(scalar: [u8; 32]) -> Vec<u8> {
    let head =
        b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
        \x04\x27\x30\x25\x02\x01\x01\x04\x20";
    [&head[..], &scalar].concat()
}

fn status(result: Result<String, TestError>) -> Status {
    match result {
        Err(TestError::Client(error)) => match error.cause {
            Cause::Status(status) => status,
            cause => panic!("{cause:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_accepts_a_credential_that_was_put_in() {
    let key = TestKey::seeded(5);
    let credential = TestCredential::es256(RP, USER).user_name("alice").user_display_name("Alice");
    let held = key.add(credential.sign_count(7).backup_state(true)).unwrap();
    assert_eq!((held.user_name.as_deref(), held.user_display_name.as_deref()), (Some("alice"), Some("Alice")));
    let seen = sign_in(&Account::of(&held), &page(&key).get(request().to_string()).unwrap()).unwrap();
    assert_eq!(seen.sign_count, 8);
    assert!(seen.has(Flags::BE) && seen.has(Flags::BS));
}

#[test]
fn a_credential_has_the_private_key_and_the_id_that_the_test_gives() {
    let key = TestKey::seeded(5);
    let credential = TestCredential::es256(RP, USER).private_key(&pkcs8([9; 32])).unwrap().credential_id(b"my id");
    let held = key.add(credential).unwrap();
    assert_eq!(held.credential_id, b"my id");
    let mut public = [0; 64];
    RustCrypto.public_key(Algorithm::ES256, &[9; 32], &mut public).unwrap();
    let cose = held.public_key.clone().unwrap();
    assert!(cbor::decode::<CoseKey<'_>>(&cose).unwrap() == CoseKey::from_raw(Algorithm::ES256, &public).unwrap());
    sign_in(&Account::of(&held), &page(&key).get(request().to_string()).unwrap()).unwrap();
}

#[test]
fn a_credential_can_be_taken_out_and_put_into_another_key() {
    let key = TestKey::seeded(5);
    key.add(TestCredential::es256(RP, USER).private_key(&pkcs8([9; 32])).unwrap().credential_id(b"my id")).unwrap();
    assert_eq!(key.private_key(b"my id"), Ok(pkcs8([9; 32])));
    assert_eq!(key.private_key(b"no id"), Err(TestError::UnknownCredential));
    page(&key).create(creation().to_string()).unwrap(); // it takes the place of the other, with the same user
    let discouraged = with(creation(), "authenticatorSelection", json!({"residentKey": "discouraged"}));
    page(&key).create(discouraged.to_string()).unwrap(); // it is kept in its id
    let other = TestKey::seeded(6);
    for held in &key.credentials() {
        let account = Account::of(held);
        let credential = TestCredential::es256(RP, USER).credential_id(&account.id);
        let credential = credential.private_key(&key.private_key(&account.id).unwrap()).unwrap();
        other.add(credential.resident_credential(held.is_resident_credential)).unwrap();
        sign_in(&account, &page(&other).get(request_of(&[&account.id]).to_string()).unwrap()).unwrap();
    }
    assert_eq!(other.credentials().len(), 2);
    let only_eddsa = json!([{"type": "public-key", "alg": -8}]);
    page(&key).create(with(discouraged, "pubKeyCredParams", only_eddsa).to_string()).unwrap();
    let eddsa = key.credentials().pop().unwrap();
    assert_eq!(key.private_key(&eddsa.credential_id), Err(TestError::OtherCurve));
}

#[test]
fn a_credential_that_is_not_discoverable_signs_in_only_when_it_is_named() {
    let key = TestKey::seeded(5);
    let credential = TestCredential::es256(RP, USER).resident_credential(false).credential_id(b"a server-side one");
    let held = key.add(credential).unwrap();
    assert!(!held.is_resident_credential);
    assert_eq!(status(page(&key).get(request().to_string())), Status::NO_CREDENTIALS);
    let response = page(&key).get(request_of(&[b"another", b"a server-side one"]).to_string()).unwrap();
    assert_eq!(sign_in(&Account::of(&held), &response).unwrap().sign_count, 1);
    let response: Value = serde_json::from_str(&response).unwrap();
    assert_eq!(response["response"].get("userHandle"), None);

    // A discoverable one beside it is found as before.
    let resident = key.add(TestCredential::es256(RP, USER)).unwrap();
    sign_in(&Account::of(&resident), &page(&key).get(request().to_string()).unwrap()).unwrap();
    let excluded = json!([{"type": "public-key", "id": b64(b"a server-side one")}]);
    let again = page(&key).create(with(creation(), "excludeCredentials", excluded).to_string());
    assert_eq!(status(again), Status::CREDENTIAL_EXCLUDED);
}

#[test]
fn each_credential_has_its_own_counter() {
    let key = TestKey::seeded(5);
    let ids = [b"one".as_slice(), b"two"];
    let [one, two] = ids.map(|id| key.add(TestCredential::es256(RP, USER).credential_id(id)).unwrap());
    let count = |held| {
        let account = Account::of(held);
        sign_in(&account, &page(&key).get(request_of(&[&account.id]).to_string()).unwrap()).unwrap().sign_count
    };
    assert_eq!([count(&one), count(&one), count(&two), count(&one)], [1, 2, 1, 3]);
    let listed: Vec<_> = key.credentials().iter().map(|held| held.sign_count).collect();
    assert_eq!(listed, [3, 1]);
}

#[test]
fn properties_change_and_a_server_sees_it() {
    let key = TestKey::seeded(5);
    let held = key.add(TestCredential::es256(RP, USER).backup_eligibility(true)).unwrap();
    let account = Account::of(&held);
    let change = CredentialProperties { backup_state: Some(true), sign_count: Some(100), ..Default::default() };
    key.set_credential_properties(&held.credential_id, change).unwrap();
    let seen = sign_in(&account, &page(&key).get(request().to_string()).unwrap()).unwrap();
    assert!(seen.has(Flags::BE) && seen.has(Flags::BS));
    assert_eq!(seen.sign_count, 101);
    let change = CredentialProperties { backup_state: Some(false), ..Default::default() };
    key.set_credential_properties(&held.credential_id, change).unwrap();
    let seen = sign_in(&account, &page(&key).get(request().to_string()).unwrap()).unwrap();
    assert!(seen.has(Flags::BE) && !seen.has(Flags::BS));
}

#[test]
fn registered_credentials_are_backed_up_where_that_is_the_default() {
    let key = TestKey::seeded(5);
    key.set_default_backup(true, true);
    let (account, seen) = register(&page(&key).create(creation().to_string()).unwrap()).unwrap();
    assert!(seen.has(Flags::BE) && seen.has(Flags::BS));
    let seen = sign_in(&account, &page(&key).get(request().to_string()).unwrap()).unwrap();
    assert!(seen.has(Flags::BE) && seen.has(Flags::BS));
}

#[test]
fn credentials_are_listed_and_removed_wherever_they_are_kept() {
    let key = TestKey::seeded(5);
    register(&page(&key).create(creation().to_string()).unwrap()).unwrap();
    let selection = json!({"residentKey": "discouraged"});
    let options = with(creation(), "authenticatorSelection", selection);
    let (wrapped, _) = register(&page(&key).create(options.to_string()).unwrap()).unwrap();
    key.add(TestCredential::es256("example.com", b"u").resident_credential(false).credential_id(b"named")).unwrap();
    let listed = key.credentials();
    assert_eq!(listed.iter().map(|held| held.is_resident_credential).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(listed.iter().map(|held| held.rp_id.as_str()).collect::<Vec<_>>(), [RP, "example.com", RP]);
    assert_eq!(listed[0].user_handle.as_deref(), Some(USER));
    assert_eq!(listed[2].credential_id, wrapped.id);

    sign_in(&wrapped, &page(&key).get(request_of(&[&wrapped.id]).to_string()).unwrap()).unwrap();
    let private_key = key.private_key(&wrapped.id).unwrap();
    key.remove(&wrapped.id).unwrap();
    // It can be put back, and taken out again.
    let again = TestCredential::es256(RP, b"").resident_credential(false).credential_id(&wrapped.id);
    key.add(again.private_key(&private_key).unwrap()).unwrap();
    assert_eq!(key.credentials().iter().filter(|held| held.credential_id == wrapped.id).count(), 1);
    assert_eq!(key.private_key(&wrapped.id).unwrap(), private_key);
    sign_in(&wrapped, &page(&key).get(request_of(&[&wrapped.id]).to_string()).unwrap()).unwrap();
    key.remove(&wrapped.id).unwrap();
    assert_eq!(status(page(&key).get(request_of(&[&wrapped.id]).to_string())), Status::NO_CREDENTIALS);
    assert_eq!(key.credentials().len(), 2);
    page(&key).get(request().to_string()).unwrap();
    key.remove_all().unwrap();
    assert_eq!(key.credentials(), []);
    assert_eq!(status(page(&key).get(request().to_string())), Status::NO_CREDENTIALS);
}

#[test]
fn a_large_blob_is_read_and_written() {
    let key = TestKey::seeded(5);
    let held = key.add(TestCredential::es256(RP, USER).large_blob(b"a certificate")).unwrap();
    let read = with(request(), "extensions", json!({"largeBlob": {"read": true}}));
    let blob = || {
        let response: Value = serde_json::from_str(&page(&key).get(read.to_string()).unwrap()).unwrap();
        bytes(&response["clientExtensionResults"]["largeBlob"]["blob"])
    };
    assert_eq!(blob(), b"a certificate");
    let write = json!({"largeBlob": {"write": b64(b"another")}});
    let options = with(request_of(&[&held.credential_id]), "extensions", write);
    let response: Value = serde_json::from_str(&page(&key).get(options.to_string()).unwrap()).unwrap();
    assert_eq!(response["clientExtensionResults"]["largeBlob"]["written"], true);
    assert_eq!(key.large_blob(&held.credential_id).as_deref(), Some(&b"another"[..]));
    assert_eq!(key.large_blob(b"no id"), None);
    assert_eq!(blob(), b"another");
}

/// A key with `largeBlobKey` and authenticatorLargeBlobs, in place of the extension `largeBlob`.
fn key_with_array<const B: usize>() -> TestKey {
    let config = TestKey::config();
    let caps = config.caps.without(Caps::LARGE_BLOB_EXTENSION).with(Caps::LARGE_BLOBS);
    let store = Box::new(MemoryStore::<8, B>::new());
    TestKey::with_store(5, Config { caps, max_msg_size: 1200, ..config }, store).unwrap()
}

#[test]
fn a_large_blob_in_the_array_is_read_and_written_by_a_client() {
    let key = key_with_array::<4096>();
    let held = key.add(TestCredential::es256(RP, USER).large_blob(b"a certificate")).unwrap();
    let id = held.credential_id.as_slice();
    let other = key.add(TestCredential::es256(RP, b"user-0002").large_blob(&[7; 3000])).unwrap(); // it compresses well
    assert_eq!(key.large_blob(id).as_deref(), Some(&b"a certificate"[..]));
    assert_eq!(key.large_blob(&other.credential_id), Some(vec![7; 3000]));
    let read = with(request_of(&[id]), "extensions", json!({"largeBlob": {"read": true}}));
    let blob = || {
        let response: Value = serde_json::from_str(&page(&key).get(read.to_string()).unwrap()).unwrap();
        response["clientExtensionResults"]["largeBlob"].get("blob").map(bytes)
    };
    assert_eq!(blob().as_deref(), Some(&b"a certificate"[..]));
    let write = json!({"largeBlob": {"write": b64(b"another")}});
    page(&key).get(with(request_of(&[id]), "extensions", write).to_string()).unwrap();
    assert_eq!(key.large_blob(id).as_deref(), Some(&b"another"[..]));
    // One without a blob has a key too, and its place in the array.
    let without = key.add(TestCredential::es256(RP, b"user-0003")).unwrap();
    assert_eq!(key.large_blob(&without.credential_id), None);
    key.remove(id).unwrap();
    let again = TestCredential::es256(RP, USER).credential_id(id);
    key.add(again).unwrap();
    assert_eq!((blob(), key.large_blob(id)), (None, None), "the blob has gone with its credential");
    assert_eq!(key.large_blob(&other.credential_id), Some(vec![7; 3000]));
}

/// A transport on which something happens before one of the requests.
struct Between<T, F> {
    transport: T,
    before: usize,
    act: F,
}

impl<T: Transport, F: FnMut()> Transport for Between<T, F> {
    type Error = T::Error;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), T::Error> {
        if request.first() == Some(&Command::LARGE_BLOBS.0) {
            self.before = self.before.wrapping_sub(1);
            if self.before == 0 {
                (self.act)();
            }
        }
        self.transport.send(protocol, request)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, T::Error> {
        self.transport.receive(buffer, wait)
    }

    fn cancel(&mut self) -> Result<(), T::Error> {
        self.transport.cancel()
    }

    fn reconnect(&mut self) -> Result<(), T::Error> {
        self.transport.reconnect()
    }
}

#[test]
fn a_large_blob_that_is_put_in_does_not_disturb_a_client_that_writes_the_array() {
    struct Silent;
    impl UserInteraction for Silent {}
    let key = key_with_array::<4096>();
    let (mut memory, mut noise) = ([0; 4096], [0; 9000]);
    ChaCha8Rng::seed_from_u64(2).fill_bytes(&mut noise);
    let mut array = LargeBlobArray::empty(&mut memory).unwrap();
    array.put(&RustCrypto, &mut ChaCha8Rng::seed_from_u64(1), &[7; 32], &noise[..3500], &mut [0; 9000]).unwrap();
    let array = array.serialize(&RustCrypto).to_vec();
    let act = || drop(key.add(TestCredential::es256(RP, USER).large_blob(b"a certificate")).unwrap());
    let mut transport = Between { transport: key.transport(), before: 3, act };
    let mut buffer = [0; 1200];
    let ceremony = Ceremony::new(WriteLargeBlobs::new(&array), &mut buffer, RustCrypto, ChaCha8Rng::seed_from_u64(1));
    client::run(ceremony, &mut transport, &mut Silent, key.clock()).unwrap();
    assert!(transport.before > 1 << 32, "there were more requests than three");
    // What the client has read before is what it has written.
    let id = key.credentials()[0].credential_id.clone();
    assert_eq!(key.large_blob(&id), None);
    key.remove(&id).unwrap();
    key.add(TestCredential::es256(RP, USER).credential_id(&id).large_blob(b"a certificate")).unwrap();
    assert_eq!(key.large_blob(&id).as_deref(), Some(&b"a certificate"[..]));
}

#[test]
fn a_large_blob_that_has_no_room_in_the_array_is_refused_and_nothing_changes() {
    let key = key_with_array::<1024>();
    let mut noise = [0; 900];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut noise);
    let first = key.add(TestCredential::es256(RP, USER).large_blob(&noise)).unwrap();
    let second = TestCredential::es256(RP, b"user-0002").large_blob(&noise[..200]);
    assert_eq!(key.add(second), Err(TestError::Store(StoreError::Full)));
    assert_eq!(key.credentials(), std::slice::from_ref(&first));
    assert_eq!(key.large_blob(&first.credential_id).as_deref(), Some(&noise[..]));
    key.remove_all().unwrap();
    key.add(TestCredential::es256(RP, b"user-0002").large_blob(&noise[..200])).unwrap();
}

#[test]
fn a_key_without_large_blobs_takes_none() {
    let config = TestKey::config();
    let caps = config.caps.without(Caps::LARGE_BLOB_EXTENSION);
    let key = TestKey::with_config(5, Config { caps, ..config }).unwrap();
    let refused = key.add(TestCredential::es256(RP, USER).large_blob(b"a certificate"));
    assert_eq!(refused, Err(TestError::LargeBlobUnsupported));
    assert_eq!(key.credentials(), []);
    let held = key.add(TestCredential::es256(RP, USER)).unwrap();
    assert_eq!(key.large_blob(&held.credential_id), None);
}

#[test]
fn a_protected_credential_is_hidden_without_user_verification() {
    let key = TestKey::seeded(5);
    let held = key.add(TestCredential::es256(RP, USER).cred_protect(Level::USER_VERIFICATION_REQUIRED)).unwrap();
    let discouraged = with(request_of(&[&held.credential_id]), "userVerification", json!("discouraged"));
    assert_eq!(status(page(&key).get(discouraged.to_string())), Status::NO_CREDENTIALS);
    page(&key).get(request().to_string()).unwrap();
}

#[test]
fn a_credential_that_cannot_be_is_refused_and_nothing_changes() {
    let key = TestKey::seeded(5);
    let first = key.add(TestCredential::es256(RP, USER).credential_id(b"taken")).unwrap();
    let es256 = || TestCredential::es256(RP, USER);
    let mut noise = [0; 500];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut noise);
    let refused = [
        (es256().credential_id(b"taken"), TestError::CredentialIdTaken),
        (es256().credential_id(b"taken").resident_credential(false), TestError::CredentialIdTaken),
        (es256().credential_id(b""), TestError::CredentialId),
        (es256().credential_id(&[1; 256]), TestError::CredentialId),
        (TestCredential::es256("", USER), TestError::RpId),
        (TestCredential::es256(RP, b""), TestError::UserHandle),
        (TestCredential::es256(RP, &[1; 65]), TestError::UserHandle),
        (es256().large_blob(b"x").resident_credential(false), TestError::LargeBlob),
        (es256().large_blob(&noise), TestError::LargeBlob),
        (es256().cred_protect(Level(4)), TestError::CredProtect),
    ];
    for (credential, error) in refused {
        assert_eq!(key.add(credential), Err(error));
        assert_eq!(key.credentials(), std::slice::from_ref(&first));
    }
    assert_eq!(key.remove(b"unknown"), Err(TestError::UnknownCredential));
    let change = CredentialProperties { sign_count: Some(1), ..Default::default() };
    assert_eq!(key.set_credential_properties(b"unknown", change), Err(TestError::UnknownCredential));
    assert_eq!(key.credentials(), [first]);
}

#[test]
fn a_private_key_of_another_curve_or_form_is_refused() {
    let refused = |der: &[u8]| TestCredential::es256(RP, USER).private_key(der).unwrap_err();
    let p384 = [
        b"\x30\x4e\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x04\x37\x30\
        \x35\x02\x01\x01\x04\x30"
            .as_slice(),
        &[9; 48],
    ]
    .concat();
    let ed25519 = [b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".as_slice(), &[9; 32]].concat();
    assert_eq!([refused(&p384), refused(&ed25519)], [TestError::OtherCurve; 2]);
    // Not on the curve's order.
    assert_eq!([refused(&pkcs8([0; 32])), refused(&pkcs8([0xFF; 32]))], [TestError::PrivateKey; 2]);
    let good = pkcs8([9; 32]);
    for end in 0..good.len() {
        assert_eq!(refused(&good[..end]), TestError::PrivateKey, "cut off at {end}");
    }
    assert_eq!(refused(&[&good[..], &[0]].concat()), TestError::PrivateKey);
}

#[test]
fn a_key_with_a_store_of_its_own_holds_as_much_as_the_store() {
    let key = TestKey::with_store(5, TestKey::config(), Box::new(MemoryStore::<1, 0>::new())).unwrap();
    let held = key.add(TestCredential::es256(RP, USER)).unwrap();
    sign_in(&Account::of(&held), &page(&key).get(request().to_string()).unwrap()).unwrap();
    let full = key.add(TestCredential::es256(RP, b"user-0002"));
    assert_eq!(full, Err(TestError::Store(StoreError::Full)));
    key.remove(&held.credential_id).unwrap();
    key.add(TestCredential::es256(RP, b"user-0002")).unwrap();
}
