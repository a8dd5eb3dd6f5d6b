//! The flash log: arbitrary operations with arbitrary power cuts and pages that do not erase, compared with a model.
//! Also arbitrary bytes on the flash: the store may refuse to start, but must not panic.
#![no_main]

use keyfob_core::{crypto::StubCrypto, extensions::cred_protect::Level};
use keyfob_fuzz::Input;
use keyfob_soft_authenticator::store::{
    Blobs, Change, FlashStore, MAX_RECORD, Query, Setting, Store, StoreError,
    flash::{Cut, SimulatedFlash, Tear},
};
use libfuzzer_sys::fuzz_target;

const PAGE: usize = 512;
/// Slightly more pages than are reserved and a few credentials need, so that the log becomes full and wraps around.
const PAGES: usize = 20;
/// How many operations are run on one flash: enough for the log to wrap around.
const STEPS: usize = 40;
const SETTINGS: [Setting; 3] = [Setting::Pin, Setting::PinRetries, Setting::SignCount];

type Flash = SimulatedFlash<PAGE, 4>;
type OnFlash<'f> = FlashStore<&'f mut Flash, StubCrypto, 16, 1>;

/// The expected contents of the store.
#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    settings: [Option<Vec<u8>>; 3],
    /// Number, relying party and record, oldest first.
    credentials: Vec<(u32, u8, Vec<u8>)>,
    large_blobs: Vec<u8>,
}

/// An operation.
enum Step {
    Erase,
    Set(usize, Vec<u8>),
    Delete(u32),
    Replace(u32, [u8; 32], Vec<u8>),
    Put([u8; 32], Vec<u8>),
}

impl Step {
    fn change(&self) -> Change<'_> {
        match self {
            Self::Erase => Change::Erase,
            Self::Set(which, value) => Change::Set(SETTINGS[*which], value),
            Self::Delete(number) => Change::Delete(*number),
            Self::Replace(number, rp_id_hash, record) => Change::Replace { number: *number, rp_id_hash, record },
            Self::Put(rp_id_hash, record) => Change::Put { rp_id_hash, record },
        }
    }

    /// `next` is the number that a new credential gets.
    fn on(&self, model: &mut Model, next: &mut u32) {
        match self {
            Self::Erase => (*model, *next) = (Model::default(), 1),
            Self::Set(which, value) => model.settings[*which] = Some(value.clone()),
            Self::Delete(number) => model.credentials.retain(|credential| credential.0 != *number),
            Self::Replace(number, _, record) => {
                let known = model.credentials.iter_mut().find(|credential| credential.0 == *number);
                known.expect("it was there").2 = record.clone();
            }
            Self::Put(rp_id_hash, record) => {
                model.credentials.push((*next, rp_id_hash[0], record.clone()));
                *next += 1;
            }
        }
    }
}

fn mount(flash: &mut Flash) -> OnFlash<'_> {
    FlashStore::new(flash, StubCrypto, &[1; 32]).expect("the flash is in order")
}

fn contents(store: &mut OnFlash<'_>) -> Model {
    let mut model = Model::default();
    for (which, setting) in SETTINGS.iter().enumerate() {
        let mut out = [0; Setting::MAX_LEN];
        let len = store.get(*setting, &mut out).expect("a setting is whole");
        model.settings[which] = len.map(|len| out[..len].to_vec());
    }
    let (mut before, mut out) = (None, [0; MAX_RECORD]);
    while let Some(found) = store.next(Query::All, before, &mut out).expect("a credential is whole") {
        model.credentials.insert(0, (found.number, found.rp_id_hash[0], out[..found.len].to_vec()));
        before = Some(found.number);
    }
    model.large_blobs = vec![0; store.large_blobs_len().expect("the store works")];
    store.read_large_blobs(Blobs::Committed, 0, &mut model.large_blobs).expect("the array is whole");
    model
}

/// The number that the next credential would get. On a full store, the credential replaces the oldest.
fn number_of_the_next(mut flash: Flash, model: &Model) -> Option<u32> {
    let mut store = mount(&mut flash);
    let put = Change::Put { rp_id_hash: &[9; 32], record: &[] };
    let oldest = model.credentials.first().map(|credential| Change::Delete(credential.0));
    store.commit(&[put]).or_else(|error| store.commit(&[oldest.ok_or(error)?, put])).ok()?;
    Some(store.next(Query::All, None, &mut [0; MAX_RECORD]).expect("it is there")?.number)
}

fn bytes(input: &mut Input<'_>, most: usize) -> Vec<u8> {
    let (seed, len) = (input.byte(), input.word() % (most + 1));
    (0..len).map(|at| seed.wrapping_add(at as u8)).collect()
}

fn step(input: &mut Input<'_>, model: &Model) -> Option<Step> {
    let known = |index: u8| {
        let index = usize::from(index).checked_rem(model.credentials.len())?;
        model.credentials.get(index)
    };
    Some(match input.byte() % 12 {
        0 => Step::Delete(known(input.byte())?.0),
        1 | 2 => {
            let (number, rp, _) = known(input.byte())?;
            Step::Replace(*number, [*rp; 32], bytes(input, MAX_RECORD))
        }
        3..6 => Step::Put([input.byte() % 3; 32], bytes(input, MAX_RECORD)),
        _ => Step::Set(usize::from(input.byte() % 3), bytes(input, 40)),
    })
}

fn tear(input: &mut Input<'_>) -> Tear {
    match input.byte() % 4 {
        0 => Tear::Before,
        1 => Tear::After,
        _ => Tear::Within(input.byte().into()),
    }
}

/// Checks that after a power cut the store has the old state or the new one.
fn promise(mut input: Input<'_>) {
    let mut flash = Flash::new(PAGES);
    let (mut model, mut next) = (Model::default(), 1);
    if input.byte().is_multiple_of(4) {
        flash.broken.push(usize::from(input.byte()) % PAGES);
    }
    let mut store = mount(&mut flash);
    for _ in 0..STEPS {
        if input.is_empty() {
            return;
        }
        let kind = input.byte();
        if kind & 0x80 != 0 {
            let flash = store.into_flash();
            flash.cut(Cut { operation: u64::from(kind & 0x1F), tear: tear(&mut input) });
            store = mount(flash);
        }
        let (mut after, mut number) = (model.clone(), next);
        let done = match kind % 4 {
            0 => (0..input.byte() % 8).try_for_each(|_| store.tidy().map(drop)),
            1 => {
                let array = bytes(&mut input, 512);
                store.stage(0, &array).and_then(|()| {
                    after.large_blobs = array.clone();
                    store.commit(&[Change::LargeBlobs(array.len())])
                })
            }
            _ => {
                let erase = (kind & 0x7F == 0x7E).then_some(Step::Erase);
                let known = if erase.is_some() { Model::default() } else { model.clone() };
                let steps: Vec<Step> = erase
                    .into_iter()
                    .chain(step(&mut input, &known))
                    .chain(match kind & 0x40 {
                        0 => None,
                        _ => Some(Step::Set(2, vec![kind])),
                    })
                    .collect();
                steps.iter().for_each(|step| step.on(&mut after, &mut number));
                let changes: Vec<Change<'_>> = steps.iter().map(Step::change).collect();
                store.commit(&changes)
            }
        };
        let flash = store.into_flash();
        let off = flash.is_off();
        flash.power_on();
        // Reading the next number changes the flash, so a copy is used.
        let copy = (number != next || off).then(|| flash.clone());
        store = mount(flash);
        let found = contents(&mut store);
        match done {
            Ok(()) if !off => assert!(found == after, "a commit that was made is not there"),
            Err(StoreError::Full) if !off => assert!(found == model, "a refused commit changed something"),
            Err(error) if !off => panic!("with power: {error:?}"),
            _ => assert!(found == model || found == after, "neither the old state nor the new one"),
        }
        // A commit that was cut may have used numbers.
        let expected = match done {
            Ok(()) if !off => [number, number],
            Err(_) if !off => [next, next],
            _ if found == model => [next, number],
            _ => [number, number],
        };
        next = expected[0];
        if let Some(copy) = copy {
            let given = number_of_the_next(copy, &found).unwrap_or(next);
            assert!(expected.contains(&given), "a number is used twice, or left out: {given}, expected {expected:?}");
            next = given;
        }
        model = found;
    }
}

/// CRC-32 bit by bit, as the standard defines it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// Writes `parts` and their CRC to the front of a page and returns the rest of the page. Writes nothing if there is no
/// room.
fn summed<'p>(page: &'p mut [u8], parts: &[u8]) -> &'p mut [u8] {
    let crc = crc32(parts).to_le_bytes();
    let whole = [parts, &crc].concat();
    let Some((front, _)) = page.split_at_mut_checked(whole.len()) else { return &mut [] };
    front.copy_from_slice(&whole);
    page.get_mut(whole.len().next_multiple_of(4)..).unwrap_or_default()
}

/// Pages with arbitrary pieces, each with a correct CRC. One bit decides whether a piece's length, key and sequence
/// number are also correct.
fn forged(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = vec![0xFF; PAGES * PAGE];
    let mut sequence = 0u32;
    for page in bytes.chunks_mut(PAGE).take(usize::from(input.byte()) % PAGES) {
        let head = [&b"kfob\x01\0\x04\0"[..], &u32::from(input.byte()).to_le_bytes()].concat();
        let mut rest = summed(page, &head);
        while !input.is_empty() {
            let (kind, len) = (input.byte(), input.byte());
            if kind & 0x80 != 0 {
                break;
            }
            let surprise = if kind & 8 != 0 { input.byte() } else { 0 };
            let total = u16::from(len) + u16::from(surprise);
            sequence = sequence.wrapping_add(1 + u32::from(surprise & 0xF));
            let (tag, key) = (u16::from(input.byte() % 3), u32::from(input.byte()) | u32::from(surprise) << 16);
            let mut piece = vec![kind & 7, kind >> 4 & 7, len, 0];
            piece.extend([total.to_le_bytes(), tag.to_le_bytes()].concat());
            piece.extend([key.to_le_bytes(), sequence.to_le_bytes()].concat());
            let begin: [u8; 8] = input.chunk();
            piece.extend((0..usize::from(len)).map(|at| begin.get(at).copied().unwrap_or(len)));
            rest = summed(rest, &piece);
        }
    }
    bytes
}

/// A store's flash with some bits cleared.
fn damaged(input: &mut Input<'_>) -> Vec<u8> {
    let mut flash = Flash::new(PAGES);
    let mut store = mount(&mut flash);
    for _ in 0..input.byte() {
        if let Some(step) = step(input, &Model::default()) {
            let _ = store.commit(&[step.change()]);
        }
    }
    drop(store);
    let mut damaged = flash.bytes().to_vec();
    for _ in 0..input.byte() % 16 {
        let at = input.word() % damaged.len();
        damaged[at] &= input.byte();
    }
    damaged
}

/// Opens and uses a store on arbitrary flash contents.
fn anything(mut input: Input<'_>) {
    let found = match input.byte() % 4 {
        0 => {
            let (pages, begin) = (usize::from(input.byte()) % (PAGES + 1), input.slice());
            let mut raw = begin.to_vec();
            raw.resize(pages * PAGE, 0xFF);
            raw
        }
        1 => damaged(&mut input),
        _ => {
            let mut pages = Input(input.slice());
            forged(&mut pages)
        }
    };
    let mut flash = Flash::with(found);
    let Ok(mut store) = FlashStore::<_, _, 16, 1>::new(&mut flash, StubCrypto, &[1; 32]) else { return };
    let mut out = [0; MAX_RECORD];
    for _ in 0..STEPS {
        if input.is_empty() {
            return;
        }
        match input.byte() % 8 {
            0 => drop(store.get(SETTINGS[usize::from(input.byte() % 3)], &mut out)),
            1 => {
                let (rp_id_hash, protection) = (&[input.byte() % 3; 32], Level(input.byte().into()));
                let query = Query::RelyingParty { rp_id_hash, protection };
                let _ = store.count(query);
                let _ = store.next(query, None, &mut out);
            }
            2 => drop(store.next(Query::All, Some(input.byte().into()), &mut out)),
            3 => drop(store.tidy()),
            4 => drop(store.stage(0, &bytes(&mut input, 512))),
            5 => drop(store.commit(&[Change::LargeBlobs(input.word())])),
            6 => drop(store.read_large_blobs(Blobs::Committed, input.word(), &mut out)),
            _ => drop(step(&mut input, &Model::default()).map(|step| store.commit(&[step.change()]))),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    if input.byte().is_multiple_of(4) { anything(input) } else { promise(input) }
});
