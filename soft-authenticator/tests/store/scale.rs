//! The number of records that the engine reads does not grow with the credentials of other relying parties.

use std::{
    cell::RefCell,
    ops::DerefMut,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use keyfob_core::{
    Instant,
    cbor::List,
    client::{
        self, Ceremony, GetAssertion, GetOptions, MakeCredential, MakeOptions, Operation, PinEntry, Prompt,
        Requirement, UserInteraction,
        manage::{Access, DeleteCredential, ListRelyingParties, SetPin, UpdateUser},
    },
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    transport::{Transport, hid::HidTransport},
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, VirtualKey},
    engine::Config,
    store::{
        Change, Credential, FileStore, MAX_RECORD, Setting, Store, StoreCall, StoreError, WatchStore, WatchedStore,
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{Medium, in_file::InFile};

/// Counts the records that are searched for.
struct Counting(RefCell<FileStore>, Arc<AtomicU32>);

impl WatchStore for Counting {
    type Store = FileStore;

    fn store(&self) -> impl DerefMut<Target = Self::Store> {
        self.0.borrow_mut()
    }

    fn before(&mut self, call: StoreCall) -> Result<(), StoreError> {
        self.1.fetch_add((call == StoreCall::Search).into(), Ordering::Relaxed);
        Ok(())
    }
}

const RP_ID: &str = "example.org";
const PIN: &str = "123456";
const OLDEST: [u8; 32] = [6; 32];
const MINE: [u8; 32] = [7; 32];

struct Owner;

impl UserInteraction for Owner {
    fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(PIN);
        true
    }

    fn request_new_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(PIN);
        true
    }
}

fn record(id: &[u8]) -> Vec<u8> {
    let mut record = [0; MAX_RECORD];
    let credential = Credential {
        id,
        algorithm: Algorithm::ES256,
        secret: &[3; 32],
        rp: RpEntity { id: RP_ID, name: None },
        user: UserEntity { id: b"known", name: None, display_name: None },
        cred_protect: None,
        cred_blob: None,
        public_key: None,
        large_blob_key: None,
        third_party_payment: None,
        large_blob: None,
    };
    let len = credential.encode(&mut record).unwrap();
    record[..len].to_vec()
}

/// A store in which the oldest credential is another user's, then comes the tested one, then `others` more. Each has
/// its own relying party.
fn filled(file: &mut InFile, others: u32) -> FileStore {
    let mut store = file.open();
    let mut all = vec![([1; 32], record(&OLDEST)), (RustCrypto.sha256(&[RP_ID.as_bytes()]), record(&MINE))];
    all.extend((0..others).map(|other| {
        let id = RustCrypto.sha256(&[&other.to_be_bytes()]);
        (id, record(&id))
    }));
    let puts = all.iter().map(|(rp_id_hash, record)| Change::Put { rp_id_hash, record });
    let changes: Vec<_> = [Change::Set(Setting::Seed, &[1; 32])].into_iter().chain(puts).collect();
    store.commit(&changes).unwrap();
    store
}

/// A client that runs operations one after another.
struct Client<T> {
    transport: T,
    rng: ChaCha20Rng,
    buffer: Vec<u8>,
}

impl<T: Transport> Client<T> {
    fn run<O: Operation>(&mut self, operation: O) -> O::Outcome<'_> {
        let ceremony = Ceremony::new(operation, &mut self.buffer, RustCrypto, &mut self.rng);
        client::run(ceremony, &mut self.transport, &mut Owner, Instant::default).unwrap()
    }
}

#[test]
fn what_a_client_does_asks_for_as_many_records_whatever_others_have() {
    let mut asked = Vec::new();
    for others in [0, 10, 3000] {
        let mut file = InFile::new();
        let count = Arc::new(AtomicU32::new(0));
        let config = Config::new([0xAA; 16]);
        let mut options = KeyOptions::new(config);
        let watched = Counting(filled(&mut file, others).into(), count.clone());
        options.store = Some(Box::new(WatchedStore(watched)));
        let mut buffer = vec![0; config.buffer_len()];
        let clock = || Instant::default();
        let transport = HidTransport::new(InProcess(VirtualKey::new(&mut buffer, options).unwrap()), clock, [1; 8]);
        let mut client = Client { transport, rng: ChaCha20Rng::seed_from_u64(1), buffer: vec![0; 7609] };
        let mut steps = Vec::new();
        let mut records = |subtracted| {
            steps.push(count.swap(0, Ordering::Relaxed) - subtracted);
        };

        for allowed in [&[][..], &[CredentialDescriptor::new(&MINE)]] {
            let mut options = GetOptions::new(RP_ID, &[2; 32]);
            (options.allow_list, options.user_verification) = (List::Slice(allowed), Requirement::Discouraged);
            client.run(GetAssertion::new(&options));
            records(0);
        }
        for user in [b"known", b"newer"] {
            let (parameters, excluded) =
                ([CredentialParameters::new(Algorithm::ES256)], [CredentialDescriptor::new(&[8; 32])]);
            let (rp, user) =
                (RpEntity { id: RP_ID, name: None }, UserEntity { id: user, name: None, display_name: None });
            let mut options = MakeOptions::new(&[1; 32], rp, user, &parameters);
            (options.resident_key, options.exclude_list) = (Requirement::Required, List::Slice(&excluded));
            client.run(MakeCredential::new(&options));
            records(0);
        }
        client.run(SetPin);
        client.run(UpdateUser::new(&OLDEST, UserEntity { id: b"known", name: Some("new"), display_name: None }));
        records(0);
        // One read for each listed one.
        records(client.run(ListRelyingParties::new(Access::User)) as u32);
        client.run(DeleteCredential::new(&OLDEST));
        records(0);
        asked.push(steps);
    }
    assert!(asked[0].iter().all(|count| *count <= 8), "{asked:?}");
    assert!(asked.iter().all(|steps| *steps == asked[0]), "{asked:?}");
}
