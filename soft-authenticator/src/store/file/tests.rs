use std::{
    collections::HashSet,
    io::{self, ErrorKind},
    sync::{Arc, Mutex},
};

use keyfob_core::{
    cose::Algorithm,
    ctap2::{RpEntity, UserEntity},
    extensions::cred_protect::Level,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use redb::ReadableTableMetadata;

use super::{super::Credential, *};

mod formats;

/// What a disk loses when its power fails is decided for pieces of this many bytes.
const SECTOR: usize = 512;
const BLOCK: u64 = 4096;

/// A disk in memory: it counts, fails, fills up, and forgets what was not synced.
#[derive(Debug, Default)]
struct SimDisk(Mutex<State>);

#[derive(Clone, Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// What is on the medium for sure.
    synced: Vec<u8>,
    /// Changes so far: writes, new lengths, syncs.
    changes: u64,
    /// The power fails in place of the change with this number.
    cut_at: Option<u64>,
    reads: u64,
    /// Blocks that hold something, and how many there can be. Holes cost nothing.
    blocks: HashSet<u64>,
    room: Option<usize>,
}

impl State {
    fn change(&mut self) -> io::Result<()> {
        if self.cut_at == Some(self.changes) {
            return Err(ErrorKind::Other.into());
        }
        self.changes += 1;
        Ok(())
    }
}

impl StorageBackend for SimDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.reads += 1;
        let range = offset as usize..offset as usize + out.len();
        out.copy_from_slice(state.bytes.get(range).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.change()?;
        state.bytes.resize(len as usize, 0);
        state.blocks.retain(|block| *block < len.div_ceil(BLOCK));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.change()?;
        state.synced = state.bytes.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.change()?;
        let end = offset + data.len() as u64;
        let new: Vec<u64> =
            (offset / BLOCK..end.div_ceil(BLOCK)).filter(|block| !state.blocks.contains(block)).collect();
        if !new.is_empty() && state.room.is_some_and(|room| state.blocks.len() + new.len() > room) {
            return Err(ErrorKind::StorageFull.into());
        }
        state.blocks.extend(new);
        if state.bytes.len() < end as usize {
            state.bytes.resize(end as usize, 0);
        }
        state.bytes[offset as usize..end as usize].copy_from_slice(data);
        Ok(())
    }
}

/// A store on such a disk.
struct Bench {
    disk: Arc<SimDisk>,
    store: FileStore,
}

impl Bench {
    fn new() -> Self {
        Self::on(SimDisk::default()).unwrap()
    }

    fn on(disk: SimDisk) -> Result<Self, OpenErrorReason> {
        let disk = Arc::new(disk);
        Ok(Self { store: FileStore::over(disk.clone())?, disk })
    }

    fn with(bytes: Vec<u8>) -> Result<Self, OpenErrorReason> {
        Self::on(SimDisk(Mutex::new(State { synced: bytes.clone(), bytes, ..State::default() })))
    }

    /// The process is killed: what was written, the system writes.
    fn bytes(&self) -> Vec<u8> {
        self.disk.0.lock().unwrap().bytes.clone()
    }

    /// The power fails: of what was not synced, any sector may be on the medium, or not.
    fn bytes_after_power_cut(&self, dice: &mut ChaCha20Rng) -> Vec<u8> {
        let state = self.disk.0.lock().unwrap();
        let mut bytes = if dice.next_u32().is_multiple_of(2) { state.bytes.clone() } else { state.synced.clone() };
        let len = bytes.len();
        for start in (0..len).step_by(SECTOR) {
            let range = start..(start + SECTOR).min(len);
            let from = if dice.next_u32().is_multiple_of(2) { &state.bytes } else { &state.synced };
            let there = from.get(start..from.len().min(range.end)).unwrap_or_default();
            bytes[range.clone()].fill(0); // where the file was longer than the medium knows
            bytes[start..start + there.len()].copy_from_slice(there);
        }
        bytes
    }
}

/// All that a store holds.
#[derive(Clone, Debug, PartialEq)]
struct Contents {
    settings: Vec<(u8, Vec<u8>)>,
    credentials: Vec<(Number, [u8; 32], Vec<u8>)>,
    large_blobs: Vec<u8>,
}

fn setting(store: &mut FileStore, setting: Setting) -> Option<Vec<u8>> {
    let mut value = [0; Setting::MAX_LEN];
    let len = store.get(setting, &mut value).unwrap()?;
    Some(value[..len].to_vec())
}

fn contents(store: &mut FileStore) -> Contents {
    let mut out = [0; MAX_RECORD];
    let settings = [Setting::Seed, Setting::Pin, Setting::PinRetries, Setting::SignCount, Setting::StoreState];
    let settings = settings.into_iter().filter_map(|name| Some((name as u8, setting(store, name)?))).collect();
    let mut credentials = Vec::new();
    let mut before = None;
    while let Some(found) = store.next(Query::All, before, &mut out).unwrap() {
        credentials.push((found.number, found.rp_id_hash, out[..found.len].to_vec()));
        before = Some(found.number);
    }
    assert_eq!(store.count(Query::All).unwrap() as usize, credentials.len());
    check_indexes(store, &credentials);
    let mut large_blobs = vec![0; store.large_blobs_len().unwrap()];
    store.read_large_blobs(Blobs::Committed, 0, &mut large_blobs).unwrap();
    Contents { settings, credentials, large_blobs }
}

/// Compares the indexes with the credentials, newest first, from which they follow.
fn check_indexes(store: &mut FileStore, credentials: &[(Number, [u8; 32], Vec<u8>)]) {
    let readable: Vec<_> = credentials
        .iter()
        .filter_map(|(number, rp, record)| Some((*number, *rp, Credential::decode(record)?)))
        .collect();
    let mut asked = |query: Query<'_>, asked_for: &dyn Fn(&[u8; 32], &Credential<'_>) -> bool| {
        let (mut found, mut before, mut out) = (Vec::new(), None, [0; MAX_RECORD]);
        while let Some(one) = store.next(query, before, &mut out).unwrap() {
            found.push(one.number);
            before = Some(one.number);
        }
        assert_eq!(store.count(query).unwrap() as usize, found.len(), "{query:?}");
        let expected = readable.iter().filter(|(_, rp, credential)| asked_for(rp, credential));
        assert_eq!(found, expected.map(|credential| credential.0).collect::<Vec<_>>(), "{query:?}");
    };
    let mut parties = HashSet::new();
    for (_, rp_id_hash, Credential { id, user, .. }) in &readable {
        let first_of_party = parties.insert(rp_id_hash);
        asked(Query::Id(id), &|_, credential| credential.id == *id);
        let of_user = |rp: &[u8; 32], credential: &Credential<'_>| rp == rp_id_hash && credential.user.id == user.id;
        asked(Query::User { rp_id_hash, user_id: user.id }, &of_user);
        for protection in [1, 2, 3].map(Level) {
            let shown = |rp: &[u8; 32], credential: &Credential<'_>| {
                rp == rp_id_hash && credential.cred_protect.is_none_or(|level| level.0 <= protection.0)
            };
            if first_of_party {
                asked(Query::RelyingParty { rp_id_hash, protection }, &shown);
            }
            asked(Query::Listed { rp_id_hash, id, protection }, &|rp, credential| {
                shown(rp, credential) && credential.id == *id
            });
        }
    }
    let mut seen = HashSet::new();
    let newest: HashSet<_> = readable.iter().filter(|of| seen.insert(of.1)).map(|of| of.2.id.to_vec()).collect();
    asked(Query::RelyingParties, &|_, credential| newest.contains(credential.id));
    let read = store.database.as_ref().unwrap().begin_read().unwrap();
    assert_eq!(read.open_table(IDS).unwrap().len().unwrap() as usize, readable.len(), "ids of others");
    assert_eq!(read.open_table(USERS).unwrap().len().unwrap() as usize, readable.len(), "users of others");
    assert_eq!(read.open_table(PARTIES).unwrap().len().unwrap() as usize, readable.len(), "parties of others");
    let counts = read.open_table(COUNTS).unwrap();
    let counted: u32 = counts.iter().unwrap().map(|count| count.unwrap().1.value()).sum();
    assert_eq!(counted as usize, readable.len(), "counts of others");
}

fn record_of_user<'a>(id: &'a [u8], name: Option<&'a str>) -> Credential<'a> {
    Credential {
        id,
        algorithm: Algorithm::ES256,
        secret: &[7; 32],
        rp: RpEntity { id: "example.org", name: None },
        user: UserEntity { id, name, display_name: None },
        cred_protect: None,
        cred_blob: None,
        public_key: None,
        large_blob_key: None,
        third_party_payment: None,
        large_blob: None,
    }
}

/// An id as the authenticator makes them.
fn id(number: u32) -> [u8; 32] {
    let mut id = [0; 32];
    ChaCha20Rng::seed_from_u64(number.into()).fill_bytes(&mut id);
    id
}

/// The record of a credential with this id, about so many bytes of it.
fn credential(number: u32, len: usize) -> Vec<u8> {
    let mut record = [0; MAX_RECORD];
    let id = id(number);
    let len = record_of_user(&id, Some(&"n".repeat(len - 150))).encode(&mut record).unwrap();
    record[..len].to_vec()
}

const ME: &[u8; 32] = &[1; 32];
const OTHER: &[u8; 32] = &[2; 32];

fn put<'a>(rp_id_hash: &'a [u8; 32], record: &'a [u8]) -> Change<'a> {
    Change::Put { rp_id_hash, record }
}

/// A store with something of everything.
fn furnished() -> Bench {
    let mut bench = Bench::new();
    let store = &mut bench.store;
    store.commit(&[Change::Set(Setting::Seed, &[7; 32]), Change::Set(Setting::PinRetries, &[8])]).unwrap();
    for number in 0..5u8 {
        // Two of each, and one that cannot be read.
        let record = if number == 1 { vec![number; 400] } else { credential(number.into(), 400) };
        store.commit(&[put(if number % 2 == 0 { ME } else { OTHER }, &record)]).unwrap();
    }
    store.stage(0, &[3; 1000]).unwrap();
    store.commit(&[Change::LargeBlobs(1000)]).unwrap();
    bench
}

type Commit<'a> = (&'a str, &'a [Change<'a>]);

/// A commit of every kind.
fn with_commits(work: impl Fn(Commit<'_>)) {
    let state = Change::Set(Setting::StoreState, &[5; 16]);
    let (new, updated) = (&credential(9, 700), &credential(1, 500));
    work(("setting", &[Change::Set(Setting::PinRetries, &[7])]));
    work(("registration", &[put(ME, new), state]));
    work(("registration again", &[Change::Delete(5), put(ME, new), state]));
    work(("update", &[Change::Replace { number: 2, rp_id_hash: OTHER, record: updated }, state]));
    work(("deletion", &[Change::Delete(4), state]));
    work(("large blobs", &[Change::LargeBlobs(3000)]));
    work(("reset", &[Change::Erase, Change::Set(Setting::Seed, &[8; 32])]));
}

fn stage(store: &mut FileStore) {
    store.stage(0, &[4; 3000]).unwrap();
}

#[test]
fn a_commit_cut_at_any_change_of_the_file_is_made_or_not_made() {
    let furnished = furnished().bytes();
    let furnished = || Bench::with(furnished.clone()).unwrap();
    let before = contents(&mut furnished().store);
    let sizes = std::cell::RefCell::new(Vec::new());
    with_commits(|(name, commit)| {
        let mut whole = furnished();
        stage(&mut whole.store);
        let start = whole.disk.0.lock().unwrap().changes;
        whole.store.commit(commit).unwrap();
        let end = whole.disk.0.lock().unwrap().changes;
        let after = contents(&mut whole.store);
        assert_ne!(before, after);
        for cut_at in start..=end {
            let mut bench = furnished();
            stage(&mut bench.store);
            bench.disk.0.lock().unwrap().cut_at = Some(cut_at);
            assert_eq!(bench.store.commit(commit).is_ok(), cut_at == end, "{name}, {cut_at} in {start}..{end}");
            let mut found = vec![bench.bytes()];
            for seed in 0..4 {
                found.push(bench.bytes_after_power_cut(&mut ChaCha20Rng::seed_from_u64(seed)));
            }
            for bytes in found {
                let mut again = Bench::with(bytes).unwrap();
                let found = contents(&mut again.store);
                assert!(found == after || found == before && cut_at < end, "{name}, {cut_at} in {start}..{end}");
                // And goes on.
                again.store.commit(&[put(ME, b"more")]).unwrap();
            }
        }
        sizes.borrow_mut().push(end - start);
    });
    let sizes = sizes.into_inner();
    println!("{} commits x 5 outcomes at each of {sizes:?} changes of the file", sizes.len());
}

#[test]
fn a_store_that_is_opened_as_an_existing_one_is_not_made() {
    let folder = std::env::temp_dir().join(format!("keyfob-existing-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("key");
    let why = |path: &Path| match FileStore::open_existing(path).unwrap_err().reason {
        OpenErrorReason::Io(error) => error.kind(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&path), ErrorKind::NotFound);
    assert!(!path.exists());
    let mut store = FileStore::open(&path).unwrap();
    store.commit(&[Change::Set(Setting::PinRetries, &[8])]).unwrap();
    assert!(matches!(FileStore::open_existing(&path).unwrap_err().reason, OpenErrorReason::InUse));
    drop(store);
    let mut store = FileStore::open_existing(&path).unwrap();
    assert_eq!(setting(&mut store, Setting::PinRetries), Some(vec![8]));
    // It is there, and cannot be opened: as with a folder that this user may not search, which root may.
    assert_eq!(why(&path.join("key")), ErrorKind::NotADirectory);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_store_that_was_not_made_to_the_end_is_made_again() {
    let end = Bench::new().disk.0.lock().unwrap().changes;
    for cut_at in 0..end {
        let disk = Arc::new(SimDisk(Mutex::new(State { cut_at: Some(cut_at), ..State::default() })));
        let made = FileStore::over(disk.clone());
        drop(made);
        let bytes = disk.0.lock().unwrap().bytes.clone();
        let mut again = Bench::with(bytes).unwrap();
        assert_eq!(contents(&mut again.store), contents(&mut Bench::new().store), "{cut_at} of {end}");
    }
}

/// Opens these bytes as a store, which must fail and leave them as they are.
fn refused(bytes: &[u8]) -> OpenErrorReason {
    let disk = Arc::new(SimDisk(Mutex::new(State { bytes: bytes.to_vec(), ..State::default() })));
    let reason = FileStore::over(disk.clone()).unwrap_err();
    assert!(disk.0.lock().unwrap().bytes == bytes, "changed: {reason:?}");
    reason
}

#[test]
fn a_damaged_store_is_refused_and_left_as_it_is_or_has_lost_nothing() {
    let mut bench = furnished();
    let whole = contents(&mut bench.store);
    bench.store.database = None; // closed in order
    for bytes in [furnished().bytes(), bench.bytes()] {
        let (mut refusals, mut harmless) = (0, 0);
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        for place in (0..used).step_by(509) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            match Bench::with(damaged.clone()) {
                Ok(mut bench) => {
                    assert_eq!(contents(&mut bench.store), whole, "a flipped bit at {place}");
                    harmless += 1;
                }
                Err(_) => {
                    refused(&damaged);
                    refusals += 1;
                }
            }
        }
        assert!(refusals > 10 && harmless > 10, "{refusals} refusals, {harmless} without harm");
    }
}

#[test]
fn a_store_that_is_cut_short_is_refused_or_has_lost_nothing() {
    let mut bench = furnished();
    let whole = contents(&mut bench.store);
    let bytes = bench.bytes();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    for len in [1, 12, 5000, 9000, 100_000, used / 2, used, bytes.len() / 2, bytes.len() - 1] {
        match Bench::with(bytes[..len].to_vec()) {
            Ok(mut cut) => assert_eq!(contents(&mut cut.store), whole, "{len} of {used} bytes"),
            Err(_) => {
                let reason = refused(&bytes[..len]);
                assert!(matches!(reason, OpenErrorReason::Damaged(_) | OpenErrorReason::Foreign), "{len}: {reason:?}");
            }
        }
    }
}

/// A store on a disk that is full but for what the store has: where it takes no more credentials.
fn filled() -> (Bench, u32) {
    let mut bench = furnished();
    {
        let mut state = bench.disk.0.lock().unwrap();
        state.room = Some(state.blocks.len() + 300);
    }
    let mut made = 5;
    loop {
        match bench.store.commit(&[put(OTHER, &credential(made, 700)), Change::Set(Setting::StoreState, &[5; 16])]) {
            Ok(()) => made += 1,
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                return (bench, made);
            }
        }
    }
}

/// The process ends, and another program takes the room that is left.
fn restarted(bench: Bench) -> Bench {
    let mut state = bench.disk.0.lock().unwrap().clone();
    drop(bench.store);
    state.room = Some(state.blocks.len());
    Bench::on(SimDisk(Mutex::new(state))).unwrap()
}

fn newest(store: &mut FileStore) -> Number {
    store.next(Query::All, None, &mut [0; MAX_RECORD]).unwrap().unwrap().number
}

#[test]
fn a_full_disk_takes_no_new_credential_and_everything_else() {
    let (mut bench, made) = filled();
    let full = contents(&mut bench.store);
    assert_eq!(full.credentials.len(), made as usize);
    let mut numbers: Vec<_> = full.credentials.iter().map(|credential| credential.0).collect();
    for round in 0..1500u32 {
        if round % 500 == 250 {
            bench = restarted(bench);
        }
        let store = &mut bench.store;
        // PIN failures and sign-ins are counted.
        store.commit(&[Change::Set(Setting::PinRetries, &[round as u8])]).unwrap();
        store.commit(&[Change::Set(Setting::SignCount, &round.to_be_bytes())]).unwrap();
        if round % 10 == 0 {
            // Whatever still fits may go in.
            while store.commit(&[put(ME, &credential(round + 100_000, 700))]) != Err(StoreError::Full) {
                numbers.insert(0, newest(store));
            }
            // A credential is overwritten by a new one, and updated.
            let index = round as usize / 10 % numbers.len();
            let old = numbers.remove(index);
            store.commit(&[Change::Delete(old), put(OTHER, &credential(round, 700))]).unwrap();
            let number = newest(store);
            numbers.insert(0, number);
            let record = &credential(round + 1, 700);
            store.commit(&[Change::Replace { number, rp_id_hash: OTHER, record }]).unwrap();
        }
    }
    let store = &mut bench.store;
    assert_eq!(setting(store, Setting::PinRetries), Some(vec![1499u32 as u8]));
    let found = contents(store).credentials;
    assert_eq!(found.iter().map(|credential| credential.0).collect::<Vec<_>>(), numbers);
    // Deletions make room.
    for number in numbers.drain(..100) {
        store.commit(&[Change::Delete(number)]).unwrap();
    }
    while setting(store, Setting::Options).is_none() {
        store.commit(&[put(ME, &credential(7, 700)), Change::Set(Setting::Options, &[1])]).unwrap();
    }
    store.commit(&[Change::Erase, Change::Set(Setting::Seed, &[9; 32])]).unwrap();
    assert_eq!((store.count(Query::All).unwrap(), setting(store, Setting::Seed)), (0, Some(vec![9; 32])));
}

#[test]
fn a_full_disk_lets_a_key_be_reset_and_its_pin_be_tried_from_the_first_moment() {
    let mut bench = restarted(filled().0);
    for retries in (0..8).rev() {
        bench.store.commit(&[Change::Set(Setting::PinRetries, &[retries])]).unwrap();
    }
    bench.store.commit(&[Change::Erase, Change::Set(Setting::Seed, &[9; 32])]).unwrap();
    let mut again = Bench::with(bench.bytes()).unwrap();
    assert_eq!(again.store.count(Query::All).unwrap(), 0);
}

/// A full store that loses half its credentials has free pages all over, and few together.
#[test]
fn free_pages_that_lie_apart_are_room_for_a_credential() {
    fn fill(store: &mut FileStore) -> Vec<Number> {
        let mut numbers = Vec::new();
        while store.commit(&[put(OTHER, &credential(numbers.len() as u32, 700))]).is_ok() {
            numbers.push(newest(store));
        }
        numbers
    }
    let mut bench = Bench::new();
    {
        let mut state = bench.disk.0.lock().unwrap();
        state.room = Some(state.blocks.len() + 1000);
    }
    let numbers = fill(&mut bench.store);
    let mut bench = restarted(bench);
    for group in numbers.chunks(16) {
        let deletions: Vec<_> = group.iter().take(8).map(|number| Change::Delete(*number)).collect();
        bench.store.commit(&deletions).unwrap();
    }
    assert!(fill(&mut bench.store).len() > numbers.len() / 8, "of {}", numbers.len());
}

#[test]
fn what_is_asked_for_is_found_in_as_many_reads_whatever_others_have() {
    let mut bench = Bench::new();
    bench.store.commit(&[put(ME, &credential(0, 200))]).unwrap();
    let mut reads: Vec<[u64; 7]> = Vec::new();
    let (id, protection) = (self::id(0), Level::USER_VERIFICATION_REQUIRED);
    let mine = Query::RelyingParty { rp_id_hash: ME, protection };
    let user = Query::User { rp_id_hash: ME, user_id: &id };
    let listed = Query::Listed { rp_id_hash: ME, id: &id, protection };
    for others in [10, 100, 1000, 10_000] {
        let mut held = bench.store.count(Query::All).unwrap();
        while held < others {
            let made: Vec<_> =
                (held..others.min(held + 1000)).map(|other| (self::id(other), credential(other, 200))).collect();
            let puts: Vec<_> = made.iter().map(|(hash, record)| put(hash, record)).collect();
            bench.store.commit(&puts).unwrap();
            held = bench.store.count(Query::All).unwrap();
        }
        let (disk, store, mut out) = (&bench.disk, &mut bench.store, [0; MAX_RECORD]);
        let mut counted = |call: &mut dyn FnMut(&mut FileStore)| {
            let before = disk.0.lock().unwrap().reads;
            call(store);
            disk.0.lock().unwrap().reads - before
        };
        reads.push([
            counted(&mut |store| assert_eq!(store.next(mine, None, &mut out).unwrap().unwrap().number, 1)),
            counted(&mut |store| assert_eq!(store.next(user, None, &mut out).unwrap().unwrap().number, 1)),
            counted(&mut |store| assert_eq!(store.next(Query::Id(&id), None, &mut out).unwrap().unwrap().number, 1)),
            counted(&mut |store| {
                assert_eq!(store.next(Query::RelyingParties, Some(2), &mut out).unwrap().unwrap().number, 1);
            }),
            counted(&mut |store| assert_eq!(store.count(listed).unwrap(), 1)),
            counted(&mut |store| assert_eq!(store.count(mine).unwrap(), 1)),
            counted(&mut |store| assert_eq!(store.count(Query::RelyingParties).unwrap(), others)),
        ]);
    }
    // The height of a tree for each that is looked into: at most a page more for ten times as many.
    for (call, trees) in [5, 3, 3, 3, 1, 3, 0].into_iter().enumerate() {
        let of_call: Vec<_> = reads.iter().map(|reads| reads[call]).collect();
        assert!(of_call.windows(2).all(|pair| pair[1] <= pair[0] + trees) && of_call[0] <= 12, "{call}: {of_call:?}");
    }
}

#[test]
fn an_id_of_a_list_takes_as_many_reads_whether_it_is_there_or_not() {
    let mut bench = Bench::new();
    let (hidden, mut record) = (id(5000), [0; MAX_RECORD]);
    let protected =
        Credential { cred_protect: Some(Level::USER_VERIFICATION_REQUIRED), ..record_of_user(&hidden, None) };
    let len = protected.encode(&mut record).unwrap();
    let others: Vec<_> = (0..1000).map(|other| credential(other, 200)).collect();
    let mut puts: Vec<_> = others.iter().map(|record| put(OTHER, record)).collect();
    puts[0] = put(ME, &others[0]);
    puts.push(put(ME, &record[..len]));
    bench.store.commit(&puts).unwrap();
    // Mine, another's, one that is hidden, and unknown ones.
    let ids = [id(0), id(1), hidden, id(9000), id(9001), id(9002)];
    let reads = ids.map(|id| {
        let before = bench.disk.0.lock().unwrap().reads;
        let protection = Level::USER_VERIFICATION_OPTIONAL;
        let count = bench.store.count(Query::Listed { rp_id_hash: ME, id: &id, protection }).unwrap();
        (count, bench.disk.0.lock().unwrap().reads - before)
    });
    assert_eq!(reads.map(|of| of.0), [1, 0, 0, 0, 0, 0]);
    assert!(reads.iter().all(|of| of.1 == reads[0].1), "{reads:?}");
}
