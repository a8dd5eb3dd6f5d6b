//! What the key and the test's handles share: the time, the credentials, and what the key was told to do. The engine
//! reaches it as its store, and through the seams of `Platform` that the feature `testing` has.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{self, Duration},
};

use keyfob_core::{
    Instant,
    auth_data::Flags,
    bytes,
    cose::Algorithm,
    crypto::{Hash, RustCrypto, Sign},
    ctap2::{Command, RpEntity, UserEntity},
};
use mio::Waker;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{
    TestError,
    blobs::{LargeBlobs, NewBlob},
    credential::{CredentialProperties, HeldCredential, Properties, TestCredential, cose_key, pkcs8, public_key},
    knobs::{Answer, Asked, Lie, Plan, Step, flags, set, set_sign_count},
};
use crate::{
    devices::Touch,
    store::{Blobs, Change, Credential, Found, MAX_RECORD, Number, Query, Setting, Store, StoreError},
};

/// How many requests are remembered.
const HISTORY: usize = 1000;
/// The numbers of credentials that are not discoverable begin here: no sequence of getNextAssertion comes so far.
const NAMED: Number = 1 << 31;

/// The state, shared with the engine as its store.
#[derive(Clone)]
pub struct TestStore(Arc<Mutex<State>>);

impl TestStore {
    /// The state of a key with this store, which is empty or the key's alone, and with large blobs there. With a `clock`,
    /// the key has the machine's time.
    pub fn new(seed: u64, store: Box<dyn Store + Send>, large_blobs: LargeBlobs, clock: Option<time::Instant>) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed, store, large_blobs, clock))))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Platform::is_removed`](crate::engine::Platform::is_removed).
    pub fn is_removed(&self, credential_id: &[u8]) -> bool {
        self.lock().removed.iter().any(|removed| removed == credential_id)
    }

    /// [`Platform::after_signing`](crate::engine::Platform::after_signing).
    pub fn after_signing(&self, signature: &mut [u8]) {
        // The lowest bit of `s`, or of EdDSA's scalar: the form stays right.
        if let (Some(last), true) = (signature.last_mut(), self.lock().lies.contains(&Lie::BogusSignature)) {
            *last ^= 1;
        }
    }
}

/// An answer that is forced, and how often still; always without a number.
struct Forced {
    command: Command,
    answer: Answer,
    left: Option<u32>,
}

/// A credential that is in the store, and not discoverable.
struct Named {
    number: Number,
    rp_id_hash: [u8; 32],
    record: Vec<u8>,
}

/// A credential that is wrapped in its id.
struct Wrapped {
    id: Vec<u8>,
    rp_id: String,
    algorithm: Algorithm,
    private_key: Vec<u8>,
}

pub struct State {
    /// The test's time; with a clock, how far the key's time is ahead of it.
    time: Instant,
    clock: Option<time::Instant>,
    pub rng: ChaCha20Rng,
    pub(super) memory: Box<dyn Store + Send>,
    /// Where large blobs are.
    pub(super) large_blobs: LargeBlobs,
    /// How many bytes of a large-blob array a client has staged.
    pub(super) staged: usize,
    named: Vec<Named>,
    /// Credentials that were registered and are wrapped in their ids.
    wrapped: Vec<Wrapped>,
    /// Ids of those that the test has removed.
    removed: Vec<Vec<u8>>,
    properties: BTreeMap<Vec<u8>, Properties>,
    /// Properties of credentials that are registered.
    pub registered: Properties,
    pub lies: Vec<Lie>,
    forced: Vec<Forced>,
    pub history: VecDeque<Asked>,
    /// The RP ID of the last request.
    rp_id: Option<String>,
    plans: Vec<(Step, Plan)>,
    /// The commit that fails: 1 is the next.
    pub failing_commit: Option<u32>,
    /// The command that has arrived since the driver asked.
    pub begun: Option<Command>,
    /// Another way for the user to touch the key, which the driver has not taken over yet.
    pub touch: Option<Touch>,
    /// The same: whether the user is verified.
    pub user_verified: Option<bool>,
    /// Whether the driver sees the user wait.
    pub waits_for_user: bool,
    /// One touch, or that the user declines once.
    pub one_touch: Option<bool>,
    pub delay: Duration,
    pub sends_keep_alives: bool,
    pub is_plugged_in: bool,
    /// The driver is to power the key up anew.
    pub powers_up: bool,
    /// Wakes the hub.
    pub waker: Option<Arc<Waker>>,
}

impl State {
    fn new(seed: u64, memory: Box<dyn Store + Send>, large_blobs: LargeBlobs, clock: Option<time::Instant>) -> Self {
        Self {
            time: Instant::default(),
            clock,
            // Another stream than the engine's.
            rng: ChaCha20Rng::seed_from_u64(seed ^ u64::from_be_bytes(*b"test key")),
            memory,
            large_blobs,
            staged: 0,
            named: Vec::new(),
            wrapped: Vec::new(),
            removed: Vec::new(),
            properties: BTreeMap::new(),
            registered: Properties::default(),
            lies: Vec::new(),
            forced: Vec::new(),
            history: VecDeque::new(),
            rp_id: None,
            plans: Vec::new(),
            failing_commit: None,
            begun: None,
            touch: None,
            user_verified: None,
            waits_for_user: false,
            one_touch: None,
            delay: Duration::ZERO,
            sends_keep_alives: true,
            is_plugged_in: true,
            powers_up: false,
            waker: None,
        }
    }

    pub fn now(&self) -> Instant {
        self.clock.map_or(self.time, |clock| self.time.plus(clock.elapsed()))
    }

    pub fn advance(&mut self, duration: Duration) {
        self.time = self.time.plus(duration);
    }

    pub fn unplug(&mut self) {
        (self.is_plugged_in, self.powers_up, self.waits_for_user) = (false, false, false);
    }

    pub fn force(&mut self, command: Command, answer: Answer, left: Option<u32>) {
        let is_standing = |forced: &Forced| forced.command == command && forced.left.is_none();
        match left {
            Some(0) => {}
            None => {
                self.forced.retain(|forced| !is_standing(forced));
                self.forced.push(Forced { command, answer, left });
            }
            Some(_) => {
                let place = self.forced.iter().position(is_standing).unwrap_or(self.forced.len());
                self.forced.insert(place, Forced { command, answer, left });
            }
        }
    }

    pub fn clear_answers(&mut self) {
        self.forced.clear();
    }

    pub fn plan(&mut self, step: Step, plan: Plan) {
        self.plans.push((step, plan));
    }

    /// A step is reached: what is planned for it happens.
    pub fn reach(&mut self, step: Step) {
        for (_, plan) in self.plans.extract_if(.., |(at, _)| *at == step).collect::<Vec<_>>() {
            match plan {
                Plan::Unplug => self.unplug(),
                Plan::Jump(duration) => self.advance(duration),
            }
        }
    }

    /// [`Platform::intercept`](crate::engine::Platform::intercept).
    pub fn intercept(&mut self, message: &mut [u8], len: usize) -> Option<usize> {
        let asked = Asked::new(message.get(..len)?);
        let command = asked.command;
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.rp_id = asked.rp_id.clone();
        self.history.push_back(asked);
        self.begun = Some(command);
        self.reach(Step::Request(command));
        if !self.is_plugged_in {
            return Some(1); // it is never sent
        }
        let place = self.forced.iter().position(|forced| forced.command == command)?;
        let forced = self.forced.get_mut(place)?;
        forced.left = forced.left.map(|left| left.saturating_sub(1));
        let len = match &forced.answer {
            Answer::Status(status) => bytes::copy_prefix(message, &[status.0]),
            Answer::Body(body) => bytes::copy_prefix(message, body),
        };
        if forced.left == Some(0) {
            self.forced.remove(place);
        }
        Some(len)
    }

    /// [`Platform::before_signing`](crate::engine::Platform::before_signing): writes what the test decides into
    /// authenticator data, the credential's properties and then the lies.
    pub fn before_signing(
        &mut self,
        credential_id: &[u8],
        (algorithm, private_key): (Algorithm, &[u8]),
        auth_data: &mut [u8],
    ) {
        let is_new = flags(auth_data).has(Flags::AT);
        if is_new && !self.is_stored(credential_id) {
            let rp_id = self.rp_id.clone().unwrap_or_default();
            let (id, private_key) = (credential_id.to_vec(), private_key.to_vec());
            self.wrapped.push(Wrapped { id, rp_id, algorithm, private_key });
        }
        let registered = self.registered;
        let properties = self.properties.entry(credential_id.to_vec()).or_insert(registered);
        if !is_new {
            properties.sign_count = properties.sign_count.saturating_add(1);
        }
        set_sign_count(auth_data, properties.sign_count);
        set(auth_data, Flags::BE, properties.backup_eligibility);
        set(auth_data, Flags::BS, properties.backup_state);
        self.lies.iter().for_each(|lie| lie.tell(auth_data));
    }

    fn holds(&mut self, id: &[u8]) -> bool {
        self.is_stored(id) || self.wrapped().any(|wrapped| wrapped.id == id)
    }

    /// Whether a record in the store has this id.
    fn is_stored(&mut self, id: &[u8]) -> bool {
        self.memory.count(Query::Id(id)) != Ok(0)
            || self.named.iter().any(|named| Query::Id(id).matches(&named.rp_id_hash, &named.record))
    }

    /// Puts a credential in.
    pub fn add(&mut self, credential: TestCredential) -> Result<HeldCredential, TestError> {
        let id = match credential.credential_id.as_deref() {
            Some(id) => id.to_vec(),
            None => {
                let mut id = [0; 32];
                self.rng.fill_bytes(&mut id);
                id.to_vec()
            }
        };
        self.check(&id, &credential)?;
        let private_key = match &credential.private_key {
            Some(key) => **key,
            None => self.new_private_key()?,
        };
        let public = public_key(&private_key)?;
        let rp_id_hash = RustCrypto.sha256(&[credential.rp_id.as_bytes()]);
        let blob = if credential.is_resident_credential {
            self.new_blob(&rp_id_hash, &id, credential.large_blob.as_deref())?
        } else {
            NewBlob::default()
        };
        // A user handle would be returned.
        let user_handle = if credential.is_resident_credential { &credential.user_handle[..] } else { &[] };
        let record = Credential {
            id: &id,
            algorithm: Algorithm::ES256,
            secret: &private_key,
            rp: RpEntity { id: &credential.rp_id, name: None },
            user: UserEntity {
                id: user_handle,
                name: credential.user_name.as_deref(),
                display_name: credential.user_display_name.as_deref(),
            },
            cred_protect: credential.cred_protect,
            cred_blob: None,
            public_key: Some(&public),
            large_blob_key: blob.has_key,
            third_party_payment: None,
            large_blob: blob.record.as_deref(),
        };
        let mut encoded = vec![0; MAX_RECORD];
        let len = record.encode(&mut encoded).map_err(|_| TestError::Store(StoreError::TooLong))?;
        encoded.truncate(len);
        if credential.is_resident_credential {
            let put = Change::Put { rp_id_hash: &rp_id_hash, record: &encoded };
            self.commit_with_array(blob.array.as_deref(), put).map_err(TestError::Store)?;
        } else {
            let number = self.named.last().map_or(NAMED, |last| last.number.saturating_add(1));
            self.named.push(Named { number, rp_id_hash, record: encoded.clone() });
        }
        self.removed.retain(|removed| *removed != id);
        self.properties.insert(id.clone(), credential.properties);
        let held = held(credential.is_resident_credential, &encoded).ok_or(TestError::UnknownCredential)?;
        Ok(self.with_properties(held))
    }

    fn check(&mut self, id: &[u8], credential: &TestCredential) -> Result<(), TestError> {
        let is_resident = credential.is_resident_credential;
        if !(1..=255).contains(&id.len()) {
            return Err(TestError::CredentialId);
        }
        if self.holds(id) {
            return Err(TestError::CredentialIdTaken);
        }
        if !(1..=253).contains(&credential.rp_id.len()) {
            return Err(TestError::RpId);
        }
        if is_resident && !(1..=64).contains(&credential.user_handle.len()) {
            return Err(TestError::UserHandle);
        }
        if credential.cred_protect.is_some_and(|level| !(1..=3).contains(&level.0)) {
            return Err(TestError::CredProtect);
        }
        if credential.large_blob.is_some() && !is_resident { Err(TestError::LargeBlob) } else { Ok(()) }
    }

    fn new_private_key(&mut self) -> Result<[u8; 32], TestError> {
        let (mut secret, mut public) = ([0; 32], [0; 64]);
        let made = RustCrypto.generate(Algorithm::ES256, &mut self.rng, &mut secret, &mut public);
        made.map(|_| secret).map_err(|_| TestError::PrivateKey)
    }

    /// The records of credentials, and whether they are discoverable.
    pub(super) fn records(&mut self) -> Vec<(bool, Vec<u8>)> {
        let mut records = Vec::new();
        let (mut before, mut record) = (None, [0; MAX_RECORD]);
        while let Ok(Some(found)) = self.memory.next(Query::All, before, &mut record) {
            records.insert(0, (true, record.get(..found.len).unwrap_or_default().to_vec()));
            before = Some(found.number);
        }
        records.extend(self.named.iter().map(|named| (false, named.record.clone())));
        records
    }

    /// Those that are wrapped in their ids and were not removed.
    fn wrapped(&self) -> impl Iterator<Item = &Wrapped> {
        self.wrapped.iter().filter(|wrapped| !self.removed.contains(&wrapped.id))
    }

    /// What the key holds, in the order in which it came; first the discoverable ones.
    pub fn credentials(&mut self) -> Vec<HeldCredential> {
        let records = self.records();
        let mut all: Vec<HeldCredential> =
            records.iter().filter_map(|(is_resident, record)| held(*is_resident, record)).collect();
        // One that the test has put in stands for the one that was registered with its id.
        let is_stored = |id: &[u8]| all.iter().any(|held| held.credential_id == id);
        let wrapped: Vec<&Wrapped> = self.wrapped().filter(|wrapped| !is_stored(&wrapped.id)).collect();
        all.extend(wrapped.into_iter().map(|wrapped| HeldCredential {
            rp_id: wrapped.rp_id.clone(),
            public_key: cose_key(wrapped.algorithm, &wrapped.private_key),
            ..unknown(&wrapped.id)
        }));
        all.into_iter().map(|held| self.with_properties(held)).collect()
    }

    /// A credential's private key, PKCS#8 in DER, if it is one for ES256.
    pub fn private_key(&mut self, id: &[u8]) -> Result<Vec<u8>, TestError> {
        let records = self.records();
        let mut decoded = records.iter().filter_map(|(_, record)| Credential::decode(record));
        if let Some(credential) = decoded.find(|credential| credential.id == id) {
            return pkcs8(credential.algorithm, credential.secret);
        }
        let wrapped = self.wrapped().find(|wrapped| wrapped.id == id).ok_or(TestError::UnknownCredential)?;
        pkcs8(wrapped.algorithm, &wrapped.private_key)
    }

    fn with_properties(&self, held: HeldCredential) -> HeldCredential {
        let Properties { sign_count, backup_eligibility, backup_state } =
            self.properties.get(&held.credential_id).copied().unwrap_or_default();
        HeldCredential { sign_count, backup_eligibility, backup_state, ..held }
    }

    /// Removes a credential.
    pub fn remove(&mut self, id: &[u8]) -> Result<(), TestError> {
        if !self.holds(id) {
            return Err(TestError::UnknownCredential);
        }
        let found = self.memory.next(Query::Id(id), None, &mut [0; MAX_RECORD]).map_err(TestError::Store)?;
        if let Some(found) = found {
            // With the same id, another credential would have its blob.
            let array = self.array_with(&found.rp_id_hash, id, None)?;
            self.commit_with_array(array.as_deref(), Change::Delete(found.number)).map_err(TestError::Store)?;
        }
        self.named.retain(|named| !Query::Id(id).matches(&named.rp_id_hash, &named.record));
        if self.wrapped.iter().any(|wrapped| wrapped.id == id) {
            self.removed.push(id.to_vec());
        }
        self.properties.remove(id);
        Ok(())
    }

    pub fn set_properties(&mut self, id: &[u8], change: CredentialProperties) -> Result<(), TestError> {
        let held = self.credentials().into_iter().find(|held| held.credential_id == id);
        let held = held.ok_or(TestError::UnknownCredential)?;
        let properties = Properties {
            sign_count: change.sign_count.unwrap_or(held.sign_count),
            backup_eligibility: change.backup_eligibility.unwrap_or(held.backup_eligibility),
            backup_state: change.backup_state.unwrap_or(held.backup_state),
        };
        self.properties.insert(id.to_vec(), properties);
        Ok(())
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        if let Some(left) = self.failing_commit {
            self.failing_commit = left.checked_sub(1).filter(|left| *left > 0);
            if left <= 1 {
                return Err(StoreError::Failed);
            }
        }
        self.memory.commit(changes)?;
        if changes.iter().any(|change| matches!(change, Change::Erase | Change::LargeBlobs(_))) {
            self.staged = 0;
        }
        if matches!(changes.first(), Some(Change::Erase)) {
            self.named.clear();
            self.wrapped.clear();
            self.removed.clear();
            self.properties.clear();
        }
        Ok(())
    }

    /// The credential that is not discoverable and is asked for: by its id, or by its number.
    fn next_named(
        &self,
        query: Query<'_>,
        before: Option<Number>,
        out: &mut [u8],
    ) -> Result<Option<Found>, StoreError> {
        let is_older = |named: &&Named| before.is_none_or(|before| named.number < before);
        let mut older = self.named.iter().rev().filter(is_older);
        let Some(named) = older.find(|named| query.matches(&named.rp_id_hash, &named.record)) else { return Ok(None) };
        let len = named.record.len();
        bytes::copy(out.get_mut(..len).ok_or(StoreError::TooLong)?, &named.record);
        Ok(Some(Found { number: named.number, rp_id_hash: named.rp_id_hash, len }))
    }
}

/// What is known of a credential by its id alone.
fn unknown(id: &[u8]) -> HeldCredential {
    HeldCredential {
        credential_id: id.to_vec(),
        is_resident_credential: false,
        rp_id: String::new(),
        user_handle: None,
        user_name: None,
        user_display_name: None,
        public_key: None,
        sign_count: 0,
        backup_eligibility: false,
        backup_state: false,
    }
}

fn held(is_resident_credential: bool, record: &[u8]) -> Option<HeldCredential> {
    let Credential { id, algorithm, secret, rp, user, .. } = Credential::decode(record)?;
    Some(HeldCredential {
        is_resident_credential,
        rp_id: rp.id.to_owned(),
        user_handle: Some(user.id.to_vec()).filter(|_| is_resident_credential),
        user_name: user.name.map(str::to_owned),
        user_display_name: user.display_name.map(str::to_owned),
        public_key: cose_key(algorithm, secret),
        ..unknown(id)
    })
}

impl Store for TestStore {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.lock().memory.get(setting, out)
    }

    fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        let mut state = self.lock();
        let is_named = matches!(query, Query::Listed { .. }) || before.is_some_and(|before| before > NAMED);
        match if is_named { state.next_named(query, before, out)? } else { None } {
            Some(named) => Ok(Some(named)),
            None => state.memory.next(query, before, out),
        }
    }

    fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
        let mut state = self.lock();
        let is_asked = |named: &&Named| query.matches(&named.rp_id_hash, &named.record);
        let named = match query {
            Query::Listed { .. } => state.named.iter().filter(is_asked).count(),
            _ => 0,
        };
        Ok(state.memory.count(query)?.saturating_add(u32::try_from(named).unwrap_or(u32::MAX)))
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        self.lock().memory.remaining()
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.lock().commit(changes)
    }

    fn large_blobs_capacity(&self) -> usize {
        self.lock().memory.large_blobs_capacity()
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        self.lock().memory.large_blobs_len()
    }

    fn read_large_blobs(&mut self, blobs: Blobs, offset: usize, out: &mut [u8]) -> Result<(), StoreError> {
        self.lock().memory.read_large_blobs(blobs, offset, out)
    }

    fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.staged = offset.saturating_add(bytes.len());
        state.memory.stage(offset, bytes)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.lock().memory.tidy()
    }
}
