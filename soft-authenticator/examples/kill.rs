//! Kills a process that commits to a file store, again and again, and checks the file.
//!
//! ```console
//! $ cargo run -p keyfob-soft-authenticator --example kill -- FILE KILLS SEED
//! ```
//!
//! FILE must not exist; it is created. The process commits without a pause and reports every commit. It is killed
//! (SIGKILL on Unix) at a random point of a commit, or while it opens the file. Then the store must have all reported
//! commits, and the interrupted commit completely or not at all. The next process continues with this store.
//! `kill-store` in the parent folder runs this on a temporary file.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    env,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use keyfob_core::{
    cose::Algorithm,
    ctap2::{RpEntity, UserEntity},
    extensions::cred_protect::Level,
};
use keyfob_soft_authenticator::store::{
    Blobs, Change, Credential, FileStore, MAX_RECORD, Number, Query, Setting, Store, file::OpenErrorReason,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const RETRIES: u8 = 8;
const MOST: usize = 60;
const KEPT: [Setting; 5] = [Setting::Seed, Setting::Pin, Setting::PinRetries, Setting::SignCount, Setting::StoreState];

fn record(id: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut record = [0; MAX_RECORD];
    let credential = Credential {
        id,
        algorithm: Algorithm::ES256,
        secret,
        rp: RpEntity { id: "example.org", name: None },
        user: UserEntity { id, name: None, display_name: None },
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

/// The expected contents of the store.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    settings: BTreeMap<u8, Vec<u8>>,
    /// Relying party and record.
    credentials: BTreeMap<Number, (u8, Vec<u8>)>,
    next: Number,
    large_blobs: Vec<u8>,
}

impl Model {
    fn read(store: &mut FileStore, next: Number) -> Self {
        let mut model = Self { next, ..Self::default() };
        let mut out = [0; MAX_RECORD];
        for setting in KEPT {
            if let Some(len) = store.get(setting, &mut out).unwrap() {
                model.settings.insert(setting as u8, out[..len].to_vec());
            }
        }
        let mut before = None;
        while let Some(found) = store.next(Query::All, before, &mut out).unwrap() {
            let record = out[..found.len].to_vec();
            let Credential { id, user, .. } = Credential::decode(&record).unwrap();
            let (rp_id_hash, protection) = (&found.rp_id_hash, Level::USER_VERIFICATION_REQUIRED);
            for query in [
                Query::RelyingParty { rp_id_hash, protection },
                Query::User { rp_id_hash, user_id: user.id },
                Query::Id(id),
                Query::Listed { rp_id_hash, id, protection },
            ] {
                assert_eq!(store.next(query, Some(found.number + 1), &mut out).unwrap(), Some(found));
                assert!(out[..found.len] == record, "the index leads to another record");
            }
            model.credentials.insert(found.number, (rp_id_hash[0], record));
            before = Some(found.number);
        }
        assert_eq!(store.count(Query::All).unwrap() as usize, model.credentials.len());
        let mut newest: BTreeMap<u8, Number> = BTreeMap::new();
        let mut before = None;
        while let Some(found) = store.next(Query::RelyingParties, before, &mut out).unwrap() {
            newest.insert(found.rp_id_hash[0], found.number);
            before = Some(found.number);
        }
        let expected = model.credentials.iter().map(|(number, (rp, _))| (*rp, *number)).collect();
        assert!(newest == expected, "the newest of each relying party are {expected:?}, found {newest:?}");
        model.large_blobs = vec![0; store.large_blobs_len().unwrap()];
        store.read_large_blobs(Blobs::Committed, 0, &mut model.large_blobs).unwrap();
        model
    }

    fn retries(&self) -> u8 {
        self.settings.get(&(Setting::PinRetries as u8)).map_or(RETRIES, |value| value[0])
    }

    /// Chooses a commit, applies it to the model, and to `store` if there is one.
    fn commit(&mut self, dice: &mut ChaCha20Rng, store: Option<&mut FileStore>) {
        let mut value = [0; 32];
        dice.fill_bytes(&mut value);
        let mut secret = vec![0; dice.next_u32() as usize % 600];
        dice.fill_bytes(&mut secret);
        let record = record(&value, &secret);
        let rp = (dice.next_u32() % 20) as u8;
        let which = dice.next_u32() as usize;
        let chosen = which.checked_rem(self.credentials.len());
        let chosen = chosen.and_then(|index| self.credentials.keys().nth(index)).copied();
        let state = Change::Set(Setting::StoreState, &value[..16]);
        let rp_id_hash = [rp; 32];
        let put = Change::Put { rp_id_hash: &rp_id_hash, record: &record };
        let retries = [self.retries().saturating_sub(1)];
        let count = dice.next_u32().to_be_bytes();
        let of_chosen;
        let changes = match (dice.next_u32() % 100, chosen) {
            (0, _) => vec![Change::Erase, Change::Set(Setting::Seed, &value), state],
            (1..25, _) => vec![Change::Set(Setting::PinRetries, &retries)],
            (25..35, _) => vec![Change::Set(Setting::PinRetries, &[RETRIES]), Change::Set(Setting::Pin, &value[..17])],
            (35..50, _) => vec![Change::Set(Setting::SignCount, &count)],
            (50..55, _) => vec![Change::LargeBlobs(record.len())],
            (55..65, Some(number)) => vec![Change::Delete(number), state],
            (65..75, Some(number)) => {
                of_chosen = [self.credentials[&number].0; 32];
                vec![Change::Replace { number, rp_id_hash: &of_chosen, record: &record }, state]
            }
            (_, Some(number)) if self.credentials.len() >= MOST || which.is_multiple_of(3) => {
                vec![Change::Delete(number), put, state]
            }
            _ => vec![put, state],
        };
        if let Some(store) = store {
            if changes.iter().any(|change| matches!(change, Change::LargeBlobs(_))) {
                store.stage(0, &record).unwrap();
            }
            store.commit(&changes).unwrap();
        }
        for change in changes {
            match change {
                Change::Erase => *self = Self { next: 1, ..Self::default() },
                Change::Set(setting, value) => drop(self.settings.insert(setting as u8, value.into())),
                Change::Delete(number) => drop(self.credentials.remove(&number)),
                Change::Replace { number, record, .. } => self.credentials.get_mut(&number).unwrap().1 = record.into(),
                Change::LargeBlobs(len) => self.large_blobs = record[..len].to_vec(),
                Change::Put { .. } => {
                    self.credentials.insert(self.next, (rp, record.clone()));
                    self.next += 1;
                }
                _ => unreachable!("the model makes no other change"),
            }
        }
    }
}

/// The process that is killed. It makes the commits of `seed` and writes a byte after each.
fn work(path: &Path, seed: u64, next: Number) {
    let mut store = FileStore::open(path).unwrap();
    let mut model = Model::read(&mut store, next);
    let mut dice = ChaCha20Rng::seed_from_u64(seed);
    let mut out = std::io::stdout();
    loop {
        out.write_all(b".").unwrap();
        out.flush().unwrap();
        model.commit(&mut dice, Some(&mut store));
    }
}

/// A child process that is killed when this value is dropped, even by a panic.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    /// How often the process was killed: before the file was open; in a commit that was then not made; in a commit that
    /// was made.
    while_opening: u32,
    not_made: u32,
    made: u32,
    /// How often the file was found in use while a process had it open.
    in_use: u32,
    retries_spent: u64,
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |index: usize| arguments[index].parse::<u64>().unwrap();
    if arguments[0] == "work" {
        return work(Path::new(&arguments[1]), number(2), number(3) as Number);
    }
    let path = Path::new(&arguments[0]);
    let (kills, seed) = (number(1), number(2));
    assert!(!path.exists(), "{} is there already", path.display());

    let mut dice = ChaCha20Rng::seed_from_u64(seed);
    let mut held = Model { next: 1, ..Model::default() };
    drop(FileStore::open(path).unwrap());
    let mut tally = Tally::default();
    let mut opening = Duration::from_millis(20);
    let start = Instant::now();
    for kill in 1..=kills {
        let round = dice.next_u64();
        let mut process = Command::new(env::current_exe().unwrap());
        process.arg("work").arg(path).args([round.to_string(), held.next.to_string()]).stdout(Stdio::piped());
        let began = Instant::now();
        let mut child = Killed(process.spawn().unwrap());
        let mut out = child.0.stdout.take().unwrap();
        let mut said = Vec::new();
        // One in six is killed while it opens the file, the others after up to seven commits and a part of one.
        if dice.next_u32().is_multiple_of(6) {
            thread::sleep(opening.mul_f64(f64::from(dice.next_u32() % 1000) / 1000.0));
        } else {
            let mut byte = [0];
            for read in 0..=dice.next_u32() % 8 {
                assert_eq!(out.read(&mut byte).unwrap(), 1, "the process ended by itself");
                said.push(byte[0]);
                if read == 0 {
                    opening = began.elapsed();
                }
            }
            if kill % 50 == 0 {
                let error = FileStore::open(path).unwrap_err();
                assert!(matches!(error.reason, OpenErrorReason::InUse), "{error}");
                tally.in_use += 1;
            }
            let until = Instant::now() + Duration::from_micros(u64::from(dice.next_u32() % 8000));
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        out.read_to_end(&mut said).unwrap();

        // The first byte says that the file is open.
        let mut commits = ChaCha20Rng::seed_from_u64(round);
        for _ in 1..said.len() {
            let before = held.retries();
            held.commit(&mut commits, None);
            tally.acknowledged += 1;
            tally.retries_spent += u64::from(held.retries() < before);
        }
        let mut next = held.clone();
        next.commit(&mut commits, None);
        let mut store = FileStore::open(path).unwrap();
        let found = Model::read(&mut store, held.next);
        if found == held {
            *(if said.is_empty() { &mut tally.while_opening } else { &mut tally.not_made }) += 1;
        } else {
            assert!(!said.is_empty(), "kill {kill}: a process that had not opened the file changed it");
            let found = Model { next: next.next, ..found };
            assert!(found.retries() <= held.retries().max(next.retries()), "kill {kill}: PIN retries have grown");
            assert!(found == next, "kill {kill}: neither\n{held:?}\nnor\n{next:?}\nbut\n{found:?}");
            held = next;
            tally.made += 1;
        }
        if kill % 1000 == 0 || kill == kills {
            println!("{kill} kills in {:.0?}: {tally:?}", start.elapsed());
        }
    }
    println!("nothing lost, nothing half");
}
