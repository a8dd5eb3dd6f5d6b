//! Stores of released formats, and of later ones.

use super::*;

/// Files that the first version with this format wrote, in two commits, and closed: lines of 32 bytes, where the first
/// stands, how often it comes, and the length of all. Zeros are left out.
const FORMAT_1: &str = include_str!("../format-1.hex");
/// With records that can be read.
const FORMAT_1_CREDENTIALS: &str = include_str!("../format-1-credentials.hex");
const FORMAT_2: &str = include_str!("../format-2.hex");

fn released(fixture: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in fixture.lines() {
        let [offset, times, hex] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        bytes.resize(offset.parse().unwrap(), 0);
        let line: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        bytes.extend(line.repeat(times.parse().unwrap()));
    }
    bytes
}

#[test]
fn a_store_of_each_released_format_is_opened_and_goes_on() {
    let mut bench = Bench::with(released(FORMAT_1)).unwrap();
    let found = contents(&mut bench.store);
    assert_eq!(found.settings, [(Setting::Seed as u8, vec![7; 32]), (Setting::PinRetries as u8, vec![8])]);
    let numbers: Vec<_> =
        found.credentials.iter().map(|(number, rp, record)| (*number, rp[0], record.clone())).collect();
    let expected = (0..5u8).rev().map(|index| (u32::from(index) + 1, 1 + index % 2, vec![index; 100]));
    assert_eq!(numbers, expected.collect::<Vec<_>>());
    assert_eq!(found.large_blobs, [3; 100]);
    bench.store.commit(&[put(ME, b"new")]).unwrap();
    assert_eq!(newest(&mut bench.store), 6);
}

/// What `format-1-credentials.hex` and `format-2.hex` hold: credentials of three relying parties in turn, and two that
/// cannot be read.
fn released_contents() -> Contents {
    let mut credentials: Vec<_> = (0..6u8)
        .map(|index| (u32::from(index) + 1, [[1, 2, 3][usize::from(index) % 3]; 32], released_record(index)))
        .collect();
    credentials.extend([(7, [1; 32], vec![9; 100]), (8, [4; 32], vec![9; 100])]);
    credentials.reverse();
    let settings = vec![(Setting::Seed as u8, vec![7; 32]), (Setting::PinRetries as u8, vec![8])];
    Contents { settings, credentials, large_blobs: vec![3; 100] }
}

fn released_record(id: u8) -> Vec<u8> {
    let (id, mut record) = ([id; 32], [0; MAX_RECORD]);
    let len = record_of_user(&id, None).encode(&mut record).unwrap();
    record[..len].to_vec()
}

#[test]
fn a_store_of_an_earlier_format_gets_what_that_did_not_have() {
    for (fixture, format) in [(FORMAT_1_CREDENTIALS, 1), (FORMAT_2, 2)] {
        let bytes = released(fixture);
        let database =
            open_database(&Disk(Arc::new(SimDisk(Mutex::new(State { bytes: bytes.clone(), ..State::default() })))));
        let meta = database.unwrap().begin_read().unwrap().open_table(META).unwrap();
        assert_eq!(meta.get(META_FORMAT).unwrap().unwrap().value(), format);
        let mut bench = Bench::with(bytes).unwrap();
        // With the indexes.
        assert_eq!(contents(&mut bench.store), released_contents());
        assert_eq!(bench.store.count(Query::RelyingParties), Ok(3));
        bench.store.commit(&[put(ME, &credential(1, 300)), Change::Delete(6)]).unwrap();
        let held = contents(&mut bench.store);
        assert_eq!(contents(&mut Bench::with(bench.bytes()).unwrap().store), held);
    }
}

#[test]
fn a_store_whose_migration_is_cut_anywhere_is_migrated_the_next_time() {
    for fixture in [FORMAT_1_CREDENTIALS, FORMAT_2] {
        cut_migration(&released(fixture));
    }
}

fn cut_migration(released: &[u8]) {
    let expected = released_contents();
    let end = Bench::with(released.to_vec()).unwrap().disk.0.lock().unwrap().changes;
    for cut_at in 0..end {
        let state =
            State { synced: released.to_vec(), bytes: released.to_vec(), cut_at: Some(cut_at), ..State::default() };
        let disk = Arc::new(SimDisk(Mutex::new(state)));
        let mut cut = Bench { store: Bench::new().store, disk: disk.clone() };
        if let Ok(store) = FileStore::over(disk) {
            cut.store = store;
        }
        for seed in 0..4 {
            let bytes = cut.bytes_after_power_cut(&mut ChaCha20Rng::seed_from_u64(seed));
            assert_eq!(contents(&mut Bench::with(bytes).unwrap().store), expected, "{cut_at} of {end}");
        }
        assert_eq!(contents(&mut Bench::with(cut.bytes()).unwrap().store), expected, "{cut_at} of {end}");
    }
}

#[test]
fn a_store_is_migrated_on_a_full_disk() {
    for fixture in [FORMAT_1_CREDENTIALS, FORMAT_2] {
        let bytes = released(fixture);
        let blocks: HashSet<u64> = (0..(bytes.len() as u64).div_ceil(BLOCK)).collect();
        let room = Some(blocks.len());
        let full = State { synced: bytes.clone(), bytes, blocks, room, ..State::default() };
        // What was set aside in the file is enough for a few.
        let mut bench = Bench::on(SimDisk(Mutex::new(full))).unwrap();
        assert_eq!(contents(&mut bench.store), released_contents());
    }
}

#[test]
fn a_store_of_a_later_format_is_refused_by_name() {
    let bench = furnished();
    let transaction = bench.store.database.as_ref().unwrap().begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(META_FORMAT, FORMAT + 1).unwrap();
    transaction.commit().unwrap();
    let reason = Bench::with(bench.bytes()).err().unwrap();
    assert!(matches!(reason, OpenErrorReason::Newer(4)), "{reason:?}");
    let error = OpenError { path: "key.keyfob".into(), reason };
    assert_eq!(
        error.to_string(),
        "key.keyfob was written by a later version: it has format 4, and this version knows 3"
    );
}
