//! What the engine asks of the store does not grow with what others have there.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use keyfob_core::{
    Instant,
    cbor::List,
    client::{
        self, GetAssertion, GetOptions, MakeCredential, MakeOptions, PinEntry, Prompt, Requirement, UserInteraction,
        manage::{Access, DeleteCredential, ListRelyingParties, SetPin, UpdateUser},
    },
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    transport::hid::HidTransport,
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, VirtualKey},
    engine::Config,
    store::{Change, Credential, FileStore, Found, MAX_RECORD, Number, Setting, Store, StoreError},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{Medium, in_file::InFile};

/// A store that counts the records it is asked for.
struct Counting(FileStore, Arc<AtomicU32>);

impl Counting {
    fn count_one(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

impl Store for Counting {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.0.get(setting, out)
    }

    fn find(&mut self, rp: &[u8; 32], before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        self.count_one();
        self.0.find(rp, before, out)
    }

    fn walk(&mut self, before: Option<Number>, out: &mut [u8]) -> Result<Option<([u8; 32], Found)>, StoreError> {
        self.count_one();
        self.0.walk(before, out)
    }

    fn find_id(&mut self, id: &[u8], out: &mut [u8]) -> Result<Option<([u8; 32], Found)>, StoreError> {
        self.count_one();
        self.0.find_id(id, out)
    }

    fn walk_rps(&mut self, before: Option<Number>, out: &mut [u8]) -> Result<Option<([u8; 32], Found)>, StoreError> {
        self.count_one();
        self.0.walk_rps(before, out)
    }

    fn count_rps(&mut self, out: &mut [u8]) -> Result<u32, StoreError> {
        self.0.count_rps(out)
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
        large_blob_key: None,
        third_party_payment: None,
        large_blob: None,
    };
    let len = credential.encode(&mut record).unwrap();
    record[..len].to_vec()
}

/// The oldest credential is somebody else's, then comes mine, then so many others'. Each has a relying party of its own.
fn filled(file: &mut InFile, others: u32) -> FileStore {
    let mut store = file.open();
    let mut all = vec![([1; 32], record(&OLDEST)), (RustCrypto.sha256(&[RP_ID.as_bytes()]), record(&MINE))];
    all.extend((0..others).map(|other| {
        let id = RustCrypto.sha256(&[&other.to_be_bytes()]);
        (id, record(&id))
    }));
    let puts: Vec<_> = all.iter().map(|(rp_id_hash, record)| Change::Put { rp_id_hash, record }).collect();
    store.commit(&puts).unwrap();
    store
}

#[test]
fn what_a_client_does_asks_for_as_many_records_whatever_others_have() {
    let mut asked = Vec::new();
    for others in [0, 10, 3000] {
        let mut file = InFile::new();
        let count = Arc::new(AtomicU32::new(0));
        let config = Config::new([0xAA; 16]);
        let mut options = KeyOptions::new(config);
        options.store = Some(Box::new(Counting(filled(&mut file, others), count.clone())));
        let mut buffer = vec![0; config.buffer_len()];
        let clock = || Instant::default();
        let mut transport = HidTransport::new(InProcess(VirtualKey::new(&mut buffer, options).unwrap()), clock, [1; 8]);
        let (mut rng, mut buffer) = (ChaCha20Rng::seed_from_u64(1), vec![0; 7609]);
        let mut steps = Vec::new();
        let mut records = |subtracted| {
            steps.push(count.swap(0, Ordering::Relaxed) - subtracted);
        };
        macro_rules! run {
            ($operation:ident($($argument:expr),*)) => {{
                let operation = $operation::new($($argument,)* &mut buffer, RustCrypto, &mut rng);
                client::run(operation, &mut transport, &mut Owner, clock).unwrap()
            }};
        }

        for allowed in [&[][..], &[CredentialDescriptor::new(&MINE)]] {
            let mut options = GetOptions::new(RP_ID, &[2; 32]);
            (options.allow_list, options.user_verification) = (List::Slice(allowed), Requirement::Discouraged);
            run!(GetAssertion(&options));
            records(0);
        }
        for user in [b"known", b"newer"] {
            let (parameters, excluded) =
                ([CredentialParameters::new(Algorithm::ES256)], [CredentialDescriptor::new(&[8; 32])]);
            let (rp, user) =
                (RpEntity { id: RP_ID, name: None }, UserEntity { id: user, name: None, display_name: None });
            let mut options = MakeOptions::new(&[1; 32], rp, user, &parameters);
            (options.resident_key, options.exclude_list) = (Requirement::Required, List::Slice(&excluded));
            run!(MakeCredential(&options));
            records(0);
        }
        run!(SetPin());
        run!(UpdateUser(&OLDEST, UserEntity { id: b"known", name: Some("new"), display_name: None }));
        records(0);
        // One for each that is listed.
        records(run!(ListRelyingParties(Access::User)) as u32);
        run!(DeleteCredential(&OLDEST));
        records(0);
        asked.push(steps);
    }
    assert!(asked[0].iter().all(|count| *count <= 8), "{asked:?}");
    assert!(asked.iter().all(|steps| *steps == asked[0]), "{asked:?}");
}
