//! The file store from ten to a million discoverable credentials: prints the table of docs/store.md and draws its plot.
//!
//! ```console
//! $ cargo run --release -p keyfob-benches --bin store -- FOLDER [MOST [PLOT.svg]]
//! ```
//!
//! FOLDER takes the store, up to 2 GB for a million credentials, and says which filesystem is measured.
#![allow(clippy::disallowed_methods)]

use std::{
    env,
    fmt::Write,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use keyfob_core::{
    client::{
        self, GetAssertion, GetOptions, MakeCredential, MakeOptions, PinEntry, Prompt, Requirement, UserInteraction,
        manage::{DeleteCredential, SetPin},
    },
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialParameters, RpEntity, UserEntity},
    transport::hid::HidTransport,
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey},
    engine::Config,
    store::{Blobs, Change, Credential, FileStore, Found, MAX_RECORD, Number, Setting, Store, StoreError},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const MINE: &str = "example.org";
const HASH: &[u8; 32] = &[7; 32];
const PIN: &str = "123456";
/// Runs of what is measured.
const RUNS: u32 = 21;
/// Runs of what takes long, or cannot be done often.
const FEW: usize = 5;
/// Credentials in one commit, where they are only put there to be there.
const AT_ONCE: u32 = 1000;

/// A file store that counts the credentials it is asked for.
struct Counting(FileStore, Arc<AtomicU64>);

impl Store for Counting {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.0.get(setting, out)
    }

    fn find(&mut self, rp: &[u8; 32], before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.find(rp, before, out)
    }

    fn walk(&mut self, before: Option<Number>, out: &mut [u8]) -> Result<Option<([u8; 32], Found)>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.walk(before, out)
    }

    fn find_id(&mut self, id: &[u8], out: &mut [u8]) -> Result<Option<([u8; 32], Found)>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.find_id(id, out)
    }

    fn walk_rps(&mut self, before: Option<Number>, out: &mut [u8]) -> Result<Option<([u8; 32], Found)>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
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

    fn large_blobs_capacity(&self) -> usize {
        self.0.large_blobs_capacity()
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        self.0.large_blobs_len()
    }

    fn read_large_blobs(&mut self, blobs: Blobs, offset: usize, out: &mut [u8]) -> Result<(), StoreError> {
        self.0.read_large_blobs(blobs, offset, out)
    }

    fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.stage(offset, bytes)
    }
}

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

/// The fastest of some runs: what takes longer, the machine has done something else meanwhile.
fn fastest(times: u32, mut run: impl FnMut()) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..times).map(timed).min().unwrap_or_default()
}

/// Puts other people's credentials into the store, each at a relying party of its own. Returns the ids of the first.
fn fill(store: &mut FileStore, from: u32, to: u32) -> Vec<[u8; 32]> {
    let mut dice = ChaCha20Rng::seed_from_u64(from.into());
    let mut first = Vec::new();
    for start in (from..to).step_by(AT_ONCE as usize) {
        let records: Vec<_> = (start..to.min(start + AT_ONCE))
            .map(|index| {
                let rp_id = format!("login.site-{index}.example");
                let (mut id, mut secret, mut record) = ([0; 32], [1; 32], vec![0; MAX_RECORD]);
                dice.fill_bytes(&mut id);
                dice.fill_bytes(&mut secret[1..]);
                if first.len() < FEW {
                    first.push(id);
                }
                let credential = Credential {
                    id: &id,
                    algorithm: Algorithm::ES256,
                    secret: &secret,
                    rp: RpEntity { id: &rp_id, name: Some("A site") },
                    user: UserEntity { id: &id, name: Some("alice@example.com"), display_name: Some("Alice Example") },
                    cred_protect: None,
                    cred_blob: None,
                    large_blob_key: None,
                    third_party_payment: None,
                    large_blob: None,
                };
                let len = credential.encode(&mut record).expect("fits");
                record.truncate(len);
                (RustCrypto.sha256(&[rp_id.as_bytes()]), record)
            })
            .collect();
        let puts: Vec<_> = records.iter().map(|(rp_id_hash, record)| Change::Put { rp_id_hash, record }).collect();
        store.commit(&puts).expect("room");
    }
    first
}

struct Row {
    credentials: u32,
    open: Duration,
    find: Duration,
    /// How many relying parties there are, and the first.
    first_rp: Duration,
    walk: Duration,
    /// What a client does, and the credentials the engine asked the store for.
    sign_in: (Duration, u64),
    register: (Duration, u64),
    delete_newest: (Duration, u64),
    delete_oldest: (Duration, u64),
    setting: Duration,
    file: u64,
}

fn measure(path: &Path, credentials: u32, oldest: &[[u8; 32]]) -> Row {
    let open = fastest(FEW as u32, || drop(FileStore::open(path).expect("a store")));
    let mut store = FileStore::open(path).expect("a store");
    let file = fs::metadata(path).expect("a file").len();
    let mut out = [0; MAX_RECORD];
    let mine = RustCrypto.sha256(&[MINE.as_bytes()]);
    let find = fastest(201, || assert!(store.find(&mine, None, &mut out).expect("a store").is_some()));
    let first_rp = fastest(201, || {
        store.count_rps(&mut out).expect("a store");
        assert!(store.walk_rps(None, &mut out).expect("a store").is_some());
    });
    let walk = fastest(1, || {
        let mut before = None;
        while let Some((_, found)) = store.walk(before, &mut out).expect("a store") {
            before = Some(found.number);
        }
    });
    let setting = fastest(RUNS, || store.commit(&[Change::Set(Setting::PinRetries, &[8])]).expect("a store"));

    let asked = Arc::new(AtomicU64::new(0));
    let config = Config::new(VIRTUAL_KEY_AAGUID);
    let mut options = KeyOptions::new(config);
    options.store = Some(Box::new(Counting(store, asked.clone())));
    let mut buffer = vec![0; config.buffer_len()];
    let key = VirtualKey::new(&mut buffer, options).expect("a key");
    let start = Instant::now();
    let clock = || keyfob_core::Instant::from_millis(start.elapsed().as_millis() as u64);
    let mut transport = HidTransport::new(InProcess(key), clock, [1; 8]);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut buffer = vec![0; 7609];
    let counted = |times, run: &mut dyn FnMut()| {
        asked.store(0, Ordering::Relaxed);
        let time = fastest(times, run);
        (time, asked.load(Ordering::Relaxed) / u64::from(times))
    };

    // The first of all is the one that has no PIN yet.
    if credentials == 10 {
        let set = SetPin::new(&mut buffer, RustCrypto, &mut rng);
        client::run(set, &mut transport, &mut Owner, clock).expect("a PIN");
    }
    let mut user = 0u32;
    let mut newest = Vec::new();
    let register = counted(RUNS, &mut || {
        user += 1;
        let id = user.to_be_bytes();
        let parameters = [CredentialParameters::new(Algorithm::ES256)];
        let rp_id = format!("new-{credentials}-{user}.example");
        let account = UserEntity { id: &id, name: None, display_name: None };
        let mut options = MakeOptions::new(HASH, RpEntity { id: &rp_id, name: None }, account, &parameters);
        options.resident_key = Requirement::Required;
        let ceremony = MakeCredential::new(&options, &mut buffer, RustCrypto, &mut rng);
        let made = client::run(ceremony, &mut transport, &mut Owner, clock).expect("a credential");
        let auth_data = keyfob_core::auth_data::AuthData::decode(made.response.auth_data).expect("well-formed");
        newest.push(auth_data.attested_credential_data.expect("a credential").credential_id.to_vec());
    });
    let sign_in = counted(RUNS, &mut || {
        let mut options = GetOptions::new(MINE, HASH);
        options.user_verification = Requirement::Discouraged;
        let ceremony = GetAssertion::new(&options, &mut buffer, RustCrypto, &mut rng);
        client::run(ceremony, &mut transport, &mut Owner, clock).expect("an assertion");
    });
    let delete_newest = counted(RUNS, &mut || {
        let id = newest.pop().expect("as many as were made");
        let delete = DeleteCredential::new(&id, &mut buffer, RustCrypto, &mut rng);
        client::run(delete, &mut transport, &mut Owner, clock).expect("deleted");
    });
    let mut oldest = oldest.iter();
    let delete_oldest = counted(FEW as u32, &mut || {
        let oldest = oldest.next().expect("as many as that");
        let delete = DeleteCredential::new(oldest, &mut buffer, RustCrypto, &mut rng);
        client::run(delete, &mut transport, &mut Owner, clock).expect("deleted");
    });
    Row { credentials, open, find, first_rp, walk, sign_in, register, delete_newest, delete_oldest, setting, file }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Milliseconds, with as many digits as say something.
fn shown(time: Duration) -> String {
    let time = millis(time);
    match time {
        100.0.. => format!("{time:.0}"),
        1.0.. => format!("{time:.1}"),
        _ => format!("{time:.3}"),
    }
}

fn table(rows: &[Row]) {
    println!(
        "| credentials | open | find | first RP | sign in | register | delete the newest | delete the oldest | set | walk all | file |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows {
        let counted = |(time, asked): (Duration, u64)| format!("{} ({asked})", shown(time));
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} MB |",
            row.credentials,
            shown(row.open),
            shown(row.find),
            shown(row.first_rp),
            counted(row.sign_in),
            counted(row.register),
            counted(row.delete_newest),
            counted(row.delete_oldest),
            shown(row.setting),
            shown(row.walk),
            row.file as f64 / 1e6,
        );
    }
}

/// Milliseconds over credentials, both logarithmic: a grid of powers of ten, a line for each operation.
fn plot(rows: &[Row]) -> String {
    // Pixels: where the grid begins, and the sides of its squares. From 10 to 10^6 credentials, from 10^-3 to 10^5 ms.
    let (left, top, wide, high) = (90.0, 20.0, 100.0, 40.0);
    let x = |credentials: f64| left + (credentials.log10() - 1.0) * wide;
    let y = |time: f64| top + (5.0 - time.max(1e-3).log10()) * high;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"390\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"760\" height=\"390\" fill=\"white\"/>\n",
    );
    let mut draw = |what: std::fmt::Arguments<'_>| writeln!(svg, "{what}").expect("a string takes all");
    for power in 1..=6 {
        let at = x(10f64.powi(power));
        draw(format_args!("<path d=\"M{at} {top}V{}\" stroke=\"#ddd\"/>", y(1e-3)));
        draw(format_args!("<text x=\"{at}\" y=\"358\" text-anchor=\"middle\">{}</text>", 10u32.pow(power as u32)));
    }
    for power in -3..=5 {
        let at = y(10f64.powi(power));
        draw(format_args!("<path d=\"M{left} {at}H{}\" stroke=\"#ddd\"/>", x(1e6)));
        let label = if power < 0 {
            format!("0.{:0>1$}", 1, power.unsigned_abs() as usize)
        } else {
            10u32.pow(power as u32).to_string()
        };
        draw(format_args!("<text x=\"82\" y=\"{}\" text-anchor=\"end\">{label} ms</text>", at + 4.0));
    }
    draw(format_args!("<text x=\"340\" y=\"378\" text-anchor=\"middle\">discoverable credentials in the store</text>"));
    type Series = (&'static str, &'static str, fn(&Row) -> Duration);
    let series: [Series; 7] = [
        ("sign in", "#1b9e77", |row| row.sign_in.0),
        ("register", "#d95f02", |row| row.register.0),
        ("find", "#7570b3", |row| row.find),
        ("first relying party", "#a6761d", |row| row.first_rp),
        ("delete the oldest", "#e7298a", |row| row.delete_oldest.0),
        ("open", "#66a61e", |row| row.open),
        ("walk all", "#666666", |row| row.walk),
    ];
    for (index, (name, colour, time)) in series.iter().enumerate() {
        let points: Vec<_> =
            rows.iter().map(|row| format!("{:.0},{:.0}", x(row.credentials.into()), y(millis(time(row))))).collect();
        let points = points.join(" ");
        draw(format_args!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        draw(format_args!("<text x=\"610\" y=\"{}\" fill=\"{colour}\">{name}</text>", 60 + index * 20));
    }
    svg.push_str("</svg>\n");
    svg
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let folder = arguments.first().expect("a folder for the store");
    let most: u32 = arguments.get(1).map_or(1_000_000, |most| most.parse().expect("a number"));
    let path = Path::new(folder).join("scale.keyfob");
    let _ = fs::remove_file(&path);
    let mut rows = Vec::new();
    let mut held = 0;
    for credentials in (1..=6).map(|power| 10u32.pow(power)).filter(|credentials| *credentials <= most) {
        let mut store = FileStore::open(&path).expect("a store");
        // One of mine among the first, and some room for those that are registered and deleted.
        if held == 0 {
            let mut mine = [0; MAX_RECORD];
            let len = Credential {
                id: &[9; 32],
                algorithm: Algorithm::ES256,
                secret: &[9; 32],
                rp: RpEntity { id: MINE, name: None },
                user: UserEntity { id: b"me", name: None, display_name: None },
                cred_protect: None,
                cred_blob: None,
                large_blob_key: None,
                third_party_payment: None,
                large_blob: None,
            }
            .encode(&mut mine)
            .expect("fits");
            let rp_id_hash = &RustCrypto.sha256(&[MINE.as_bytes()]);
            store.commit(&[Change::Put { rp_id_hash, record: &mine[..len] }]).expect("room");
            held = 1;
        }
        let last = credentials.min(FileStore::MAX_CREDENTIALS - 100);
        let start = Instant::now();
        let oldest = fill(&mut store, held, last);
        eprintln!("{credentials}: filled in {:.1?}", start.elapsed());
        drop(store);
        held = last;
        rows.push(measure(&path, credentials, &oldest));
        table(&rows[rows.len() - 1..]);
    }
    let start = Instant::now();
    let mut store = FileStore::open(&path).expect("a store");
    let opened = start.elapsed();
    let start = Instant::now();
    store.commit(&[Change::Erase]).expect("erased");
    eprintln!("opened in {opened:.1?}, erased in {:.1?}", start.elapsed());
    println!();
    table(&rows);
    if let Some(file) = arguments.get(2) {
        fs::write(file, plot(&rows)).expect("a place for the plot");
    }
    let _ = fs::remove_file(&path);
}
