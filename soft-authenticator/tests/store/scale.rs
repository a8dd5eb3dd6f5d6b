//! What the engine asks of the store does not grow with what others have there.

use std::{cell::Cell, rc::Rc};

use keyfob_core::{
    Instant, Status, bytes,
    cbor::List,
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
    ctap2::{
        Command, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, encode_request, get_assertion,
        make_credential,
    },
};
use keyfob_soft_authenticator::{
    engine::{Config, Engine, Event, Platform, Progress, Wait},
    store::{Change, Credential, FileStore, Found, MAX_RECORD, Number, Setting, Store, StoreError},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{Medium, in_file::InFile};

/// A store that counts the records it is asked for.
struct Counting(FileStore, Rc<Cell<u32>>);

impl Store for Counting {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.0.get(setting, out)
    }

    fn find(&mut self, rp: &[u8; 32], before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        self.1.set(self.1.get() + 1);
        self.0.find(rp, before, out)
    }

    fn walk(&mut self, before: Option<Number>, out: &mut [u8]) -> Result<Option<([u8; 32], Found)>, StoreError> {
        self.1.set(self.1.get() + 1);
        self.0.walk(before, out)
    }

    fn count(&mut self) -> Result<u32, StoreError> {
        self.0.count()
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        self.0.remaining()
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.0.commit(changes)
    }
}

struct Chip;

impl Platform for Chip {
    type Crypto = RustCrypto;
    type Rng = ChaCha20Rng;
    type Store = Counting;
}

const RP_ID: &str = "example.org";

fn register(engine: &mut Engine<'_, Chip>, user: &[u8], exclude: &[u8]) {
    let request = make_credential::Request {
        client_data_hash: &[1; 32],
        rp: RpEntity { id: RP_ID, name: None },
        user: UserEntity { id: user, name: None, display_name: None },
        pub_key_cred_params: List::Slice(&[CredentialParameters::new(Algorithm::ES256)]),
        exclude_list: Some(List::Slice(&[CredentialDescriptor::new(exclude)])),
        extensions: None,
        options: Some(make_credential::Options { rk: Some(true), ..make_credential::Options::default() }),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    call(engine, |buffer| encode_request(Command::MAKE_CREDENTIAL, &request, buffer).unwrap());
}

fn sign_in(engine: &mut Engine<'_, Chip>, allowed: Option<&[u8]>) {
    let allowed = allowed.map(CredentialDescriptor::new);
    let request = get_assertion::Request {
        rp_id: RP_ID,
        client_data_hash: &[2; 32],
        allow_list: allowed.as_ref().map(|descriptor| List::Slice(std::slice::from_ref(descriptor))),
        extensions: None,
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    };
    call(engine, |buffer| encode_request(Command::GET_ASSERTION, &request, buffer).unwrap());
}

fn call(engine: &mut Engine<'_, Chip>, encode: impl FnOnce(&mut [u8]) -> usize) {
    let mut request = [0; 1024];
    let len = encode(&mut request);
    bytes::copy(engine.buffer(), &request[..len]);
    let mut progress = engine.begin(Instant::default(), len);
    while let Progress::Pending(wait) = progress {
        let event = if wait == Wait::Touch { Event::Touched } else { Event::Tick };
        progress = engine.resume(Instant::default(), event);
    }
    assert_eq!(engine.buffer()[0], Status::OK.0);
}

#[test]
fn registrations_and_sign_ins_ask_for_as_many_records_whatever_others_have() {
    let mut asked = Vec::new();
    for others in [0u32, 10, 3000] {
        let mut file = InFile::new();
        let mut store = file.open();
        let (id, mut record) = ([7; 32], [0; MAX_RECORD]);
        let credential = Credential {
            id: &id,
            algorithm: Algorithm::ES256,
            secret: &[3; 32],
            rp: RpEntity { id: RP_ID, name: None },
            user: UserEntity { id: b"known", name: None, display_name: None },
            cred_protect: None,
            cred_blob: None,
            large_blob_key: None,
            third_party_payment: None,
            large_blob: None,
        };
        let len = credential.encode(&mut record).unwrap();
        let record = &record[..len];
        let hashes: Vec<_> = (0..others).map(|other| RustCrypto.sha256(&[&other.to_be_bytes()])).collect();
        let mine = RustCrypto.sha256(&[RP_ID.as_bytes()]);
        let puts: Vec<_> =
            [&mine].into_iter().chain(&hashes).map(|rp_id_hash| Change::Put { rp_id_hash, record }).collect();
        store.commit(&puts).unwrap();

        let count = Rc::new(Cell::new(0));
        let config = Config::new([0xAA; 16]);
        let mut buffer = vec![0; config.buffer_len()];
        let store = Counting(store, count.clone());
        let rng = ChaCha20Rng::seed_from_u64(1);
        let mut engine = Engine::<Chip>::new(&mut buffer, config, RustCrypto, rng, store, Instant::default()).unwrap();
        let mut steps = Vec::new();
        let mut counted = |step: &mut dyn FnMut()| {
            count.set(0);
            step();
            steps.push(count.get());
        };
        counted(&mut || sign_in(&mut engine, None));
        counted(&mut || sign_in(&mut engine, Some(&id)));
        counted(&mut || register(&mut engine, b"new", &[8; 32]));
        counted(&mut || register(&mut engine, b"known", &[8; 32]));
        asked.push(steps);
    }
    assert!(asked[0].iter().all(|count| (1..=6).contains(count)), "{asked:?}");
    assert!(asked.iter().all(|steps| *steps == asked[0]), "{asked:?}");
}
