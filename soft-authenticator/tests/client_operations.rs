//! The client's management operations with the engine, message by message.

use std::time::Duration;

use keyfob_core::{
    Status,
    client::{
        Cause, Ceremony, Error, Operation, PinEntry, Prompt, Session, UserInteraction,
        manage::{
            Access, ChangePin, ConfigSubcommand, Configure, CredentialsMetadata, DeleteCredential, ListCredentials,
            ListRelyingParties, Metadata, ReadLargeBlobs, Reset, SetPin, UpdateUser, WriteLargeBlobs,
        },
        run, run_each,
    },
    crypto::RustCrypto,
    ctap2::{RpEntity, UserEntity, config::SetMinPinLength, large_blobs::INITIAL_ARRAY, make_credential},
    large_blob::{LargeBlobArray, OVERHEAD},
    transport::{KeepAlive, Protocol, Received, Transport},
};
use keyfob_soft_authenticator::{engine::Config, store::MemoryStore};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::harness::*;

const CAPACITY: usize = 1024;
const BLOB_KEY: [u8; 32] = [5; 32];

/// A plugged-in key as a transport, and the answer that was not received yet.
pub struct Plugged<'k> {
    pub key: &'k mut Key,
    pub response: Vec<u8>,
    /// Whether the key waits for a touch and the client does not know yet.
    pub asked: bool,
    /// The requests so far.
    pub requests: Vec<Vec<u8>>,
}

impl<'k> Plugged<'k> {
    pub fn new(key: &'k mut Key) -> Self {
        Self { key, response: Vec::new(), asked: false, requests: Vec::new() }
    }
}

impl Transport for Plugged<'_> {
    type Error = std::convert::Infallible;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        self.requests.push(request.to_vec());
        let touches = self.key.touches;
        self.response = match protocol {
            Protocol::Ctap1 => {
                let response = self.key.call_u2f(request);
                let now = self.key.now;
                self.key.touches += u32::from(self.key.engine.u2f_awaits_touch(now));
                self.key.engine.touch_for_u2f(now, true);
                response
            }
            _ => self.key.call(request),
        };
        self.asked = protocol == Protocol::Ctap2 && self.key.touches > touches;
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Duration) -> Result<Received, Self::Error> {
        if std::mem::take(&mut self.asked) {
            return Ok(Received::KeepAlive(KeepAlive::UpNeeded));
        }
        let response = std::mem::take(&mut self.response);
        buffer[..response.len()].copy_from_slice(&response);
        Ok(if response.is_empty() { Received::Nothing } else { Received::Response(response.len()) })
    }

    fn cancel(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A user who knows a PIN and the new PIN.
pub struct User(pub &'static str, pub &'static str);

impl UserInteraction for User {
    fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(self.0);
        true
    }

    fn request_new_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(self.1);
        true
    }
}

pub fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(8)
}

/// Runs an operation and calls `each` with each of its items.
fn conduct<'b, O: Operation>(
    key: &mut Key,
    user: &mut impl UserInteraction,
    buffer: &'b mut [u8; 2048],
    operation: O,
    each: impl FnMut(O::Item<'_>),
) -> Result<O::Outcome<'b>, Error> {
    let now = key.now;
    let ceremony = Ceremony::new(operation, buffer, RustCrypto, rng());
    run_each(ceremony, &mut Plugged::new(key), user, || now, each)
}

/// A credential in the client's list: relying party, user handle, name, id.
type Listed = (String, Vec<u8>, Option<String>, Vec<u8>);

/// Every credential.
fn listed(key: &mut Key) -> Vec<Listed> {
    let mut rps = Vec::new();
    conduct(key, &mut User(PIN, ""), &mut [0; 2048], ListRelyingParties::new(Access::User), |item| {
        rps.push((item.rp.id.to_owned(), *item.rp_id_hash))
    })
    .unwrap();
    let mut all = Vec::new();
    for (rp, hash) in &rps {
        let seen = conduct(key, &mut User(PIN, ""), &mut [0; 2048], ListCredentials::new(hash, Access::User), |item| {
            all.push((rp.clone(), item.user.id.to_vec(), item.user.name.map(Into::into), item.id.to_vec()))
        });
        assert!(seen.unwrap() > 0);
    }
    all
}

fn metadata(key: &mut Key) -> Metadata {
    conduct(key, &mut User(PIN, ""), &mut [0; 2048], CredentialsMetadata::new(Access::User), |_| ()).unwrap()
}

fn delete(key: &mut Key, id: &[u8]) -> Result<(), Error> {
    conduct(key, &mut User(PIN, ""), &mut [0; 2048], DeleteCredential::new(id), |_| ())
}

fn rename(key: &mut Key, id: &[u8], user_id: &[u8], name: &str) -> Result<(), Error> {
    let user = UserEntity { id: user_id, name: Some(name), display_name: None };
    conduct(key, &mut User(PIN, ""), &mut [0; 2048], UpdateUser::new(id, user), |_| ())
}

/// A key with two credentials at one relying party, one at another, and a PIN.
fn stocked() -> Key {
    let mut key = Key::new();
    for (rp, user) in [(RP, b"a"), ("example.com", b"b"), (RP, b"c")] {
        key.make(&make_credential::Request { rp: RpEntity { id: rp, name: None }, ..resident(user) }).unwrap();
    }
    conduct(&mut key, &mut User("", PIN), &mut [0; 2048], SetPin, |_| ()).unwrap();
    key
}

#[test]
fn the_client_lists_renames_and_deletes_credentials() {
    let mut key = stocked();
    assert_eq!((metadata(&mut key).existing, metadata(&mut key).remaining), (3, ROOM as u32 - 3));
    let before = listed(&mut key);
    let users: Vec<_> = before.iter().map(|(rp, user, ..)| (rp.as_str(), user.as_slice())).collect();
    assert_eq!(users, [(RP, &b"c"[..]), (RP, b"a"), ("example.com", b"b")], "the newest first");
    rename(&mut key, &before[1].3, b"a", "Ann").unwrap();
    assert_eq!(listed(&mut key)[1].2.as_deref(), Some("Ann"));
    delete(&mut key, &before[0].3).unwrap();
    delete(&mut key, &before[2].3).unwrap();
    let after = listed(&mut key);
    assert_eq!((after.len(), &after[0].3), (1, &before[1].3));
    delete(&mut key, &before[1].3).unwrap();
    assert!(listed(&mut key).is_empty());
    assert_eq!(metadata(&mut key).existing, 0);
}

/// A user who knows the PIN and counts how often it was asked for.
struct Asked(u32);

impl UserInteraction for Asked {
    fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.0 += 1;
        pin.set(PIN);
        true
    }
}

/// Several operations with one key, one user and one session.
struct Errand {
    key: Key,
    user: Asked,
    session: Session,
}

impl Errand {
    fn run<O: Operation>(&mut self, operation: O, each: impl FnMut(O::Item<'_>)) {
        let (now, mut buffer) = (self.key.now, [0; 2048]);
        let ceremony = Ceremony::new(operation, &mut buffer, RustCrypto, rng()).in_session(&mut self.session);
        run_each(ceremony, &mut Plugged::new(&mut self.key), &mut self.user, || now, each).map(drop).unwrap();
    }
}

#[test]
fn an_errand_over_six_relying_parties_asks_for_the_pin_once() {
    let store = BenchStore::on(Box::new(MemoryStore::<6>::new()));
    let mut key = Key::try_with(Config::new([0xAA; 16]), store).unwrap();
    let parties = ["a.example", "b.example", "c.example", "d.example", "e.example", "f.example"];
    for id in parties {
        key.make(&make_credential::Request { rp: RpEntity { id, name: None }, ..resident(b"user") }).unwrap();
    }
    conduct(&mut key, &mut User("", PIN), &mut [0; 2048], SetPin, |_| ()).unwrap();

    let (mut found, mut ids) = (Vec::new(), Vec::new());
    let mut errand = Errand { key, user: Asked(0), session: Session::new() };
    errand.run(ListRelyingParties::new(Access::User), |item| found.push((item.rp.id.to_owned(), *item.rp_id_hash)));
    for (_, hash) in &found {
        errand.run(ListCredentials::new(hash, Access::User), |item| ids.push(item.id.to_vec()));
    }
    assert_eq!((found.len(), ids.len(), errand.user.0), (6, 6, 1));

    // Another permission, or an expired token, needs a new token but not the user.
    errand.run(Configure::new(ConfigSubcommand::ToggleAlwaysUv), |_| ());
    errand.key.now = errand.key.now.plus(Duration::from_secs(700));
    for id in &ids {
        errand.run(DeleteCredential::new(id), |_| ());
    }
    errand.run(WriteLargeBlobs::new(&INITIAL_ARRAY), |_| ());
    assert_eq!((errand.key.store.credentials(), errand.user.0), (0, 1));
}

#[test]
fn the_client_changes_the_pin_and_settings() {
    let mut key = stocked();
    let longer = SetMinPinLength { new_min_pin_length: Some(6), ..SetMinPinLength::default() };
    for setting in [ConfigSubcommand::ToggleAlwaysUv, ConfigSubcommand::MinPinLength(longer)] {
        conduct(&mut key, &mut User(PIN, ""), &mut [0; 2048], Configure::new(setting), |_| ()).unwrap();
    }
    assert_eq!(key.options().always_uv, Some(true));
    assert_eq!(key.info(|info| (info.min_pin_length, info.force_pin_change)), (Some(6), Some(true)));
    let changed = conduct(&mut key, &mut User(PIN, "123456"), &mut [0; 2048], ChangePin, |_| ());
    changed.unwrap();
    assert_ne!(key.info(|info| info.force_pin_change), Some(true));
    key.token(keyfob_core::pin_uv::PinUvAuthProtocol::Two, "123456", MC, None).unwrap();
    conduct(&mut key, &mut User("", ""), &mut [0; 2048], Reset, |_| ()).unwrap();
    assert_eq!((key.options().client_pin, key.options().always_uv), (Some(false), Some(false)));
    assert_eq!(key.store.credentials(), 0);
}

fn read_blob(key: &mut Key) -> (bool, Option<Vec<u8>>) {
    let mut memory = vec![0; CAPACITY + OVERHEAD];
    let mut buffer = vec![0; 2048];
    let now = key.now;
    let mut plugged = Plugged::new(key);
    let operation = Ceremony::new(ReadLargeBlobs::new(&mut memory), &mut buffer, RustCrypto, rng());
    let array = run(operation, &mut plugged, &mut User(PIN, ""), || now).unwrap();
    let blob = array.get(&RustCrypto, &BLOB_KEY, &mut [0; 4096]).unwrap().map(<[u8]>::to_vec);
    (array.is_intact(), blob)
}

fn write_blob(key: &mut Key, blob: &[u8]) -> Result<(), Error> {
    let mut memory = vec![0; CAPACITY + OVERHEAD];
    let mut array = LargeBlobArray::empty(&mut memory).unwrap();
    array.put(&RustCrypto, &mut rng(), &BLOB_KEY, blob, &mut [0; 4096]).unwrap();
    let array = array.serialize(&RustCrypto).to_vec();
    conduct(key, &mut User(PIN, ""), &mut [0; 2048], WriteLargeBlobs::new(&array), |_| ())
}

#[test]
fn the_client_reads_the_large_blob_it_wrote() {
    for mut key in [Key::new(), stocked()] {
        assert_eq!(read_blob(&mut key), (true, None));
        write_blob(&mut key, b"a certificate").unwrap();
        let mut key = key.power_cut();
        assert_eq!(read_blob(&mut key), (true, Some(b"a certificate".to_vec())));
    }
}

/// The key's state as the client reads it: credentials, the large blob, whether alwaysUv is on.
fn kept(key: &mut Key) -> impl PartialEq + std::fmt::Debug + use<> {
    (listed(key), read_blob(key), key.options().always_uv)
}

#[test]
fn a_commit_that_fails_leaves_the_client_the_old_state_or_the_new_one() {
    type Change = fn(&mut Key, &[u8]) -> Result<(), Error>;
    let changes: [Change; 4] = [
        delete,
        |key, id| rename(key, id, b"c", "Cleo"),
        |key, _| write_blob(key, b"new"),
        |key, _| {
            conduct(key, &mut User(PIN, ""), &mut [0; 2048], Configure::new(ConfigSubcommand::ToggleAlwaysUv), |_| ())
        },
    ];
    for change in changes {
        let mut key = stocked();
        let (old, newest) = (kept(&mut key), listed(&mut key)[0].3.clone());
        change(&mut key, &newest).unwrap();
        let new = kept(&mut key);
        assert_ne!(old, new);
        let mut refused = 0;
        for commit in 1..=4 {
            for fault in [Fault::Before as fn(u32) -> Fault, Fault::After] {
                let mut key = stocked();
                key.store.fail_at(commit, fault);
                let result = change(&mut key, &newest);
                let now = kept(&mut key.power_cut());
                match result {
                    Ok(()) => assert_eq!(now, new),
                    Err(Error { cause: Cause::Status(Status::OTHER), .. }) => {
                        refused += 1;
                        assert!(now == old || now == new, "{now:?}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert_eq!(refused, 6, "two commits for the token and one for the change, before it and after it");
    }
}
