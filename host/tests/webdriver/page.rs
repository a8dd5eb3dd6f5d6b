//! A browser's page for the test: the client of keyfob-core, at a hidraw device.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    time::{self, Duration},
};

use keyfob_core::{
    Instant,
    cbor::Text,
    client::{
        self, Ceremony, Error, UserInteraction,
        fido2::{Fido2Client, WebAuthnClient},
        manage::GetInfo,
    },
    crypto::RustCrypto,
    transport::{
        ReportIo,
        hid::{HidTransport, REPORT_LEN},
    },
    webauthn::{CreationOptions, DefaultClientDataCollector, RequestOptions},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

/// Every hidraw device that `/dev` shows, in the order of their numbers.
pub fn devices() -> Vec<PathBuf> {
    let entries = fs::read_dir("/dev").unwrap().map(|entry| entry.unwrap().path());
    let mut devices: Vec<_> = entries.filter(|path| path.to_str().unwrap().starts_with("/dev/hidraw")).collect();
    devices.sort();
    devices
}

struct Device(File);

impl ReportIo for Device {
    type Error = std::io::Error;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Self::Error> {
        self.0.write_all(&[&[0], &report[..]].concat())
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Self::Error> {
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&wait))? == 0 {
            return Ok(None);
        }
        let mut report = [0; REPORT_LEN];
        self.0.read_exact(&mut report).map(|()| Some(report))
    }
}

struct Silent;
impl UserInteraction for Silent {}

fn transport(path: &Path) -> HidTransport<Device, impl FnMut() -> Instant> {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    HidTransport::new(Device(file), clock(), *b"a nonce!")
}

fn clock() -> impl FnMut() -> Instant {
    let start = time::Instant::now();
    move || Instant::default().plus(start.elapsed())
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

/// Calls `look` with what the key says of itself, with CTAP2 or U2F.
pub fn info<T>(path: &Path, look: impl FnOnce(keyfob_core::ctap2::get_info::Response<'_>) -> T) -> T {
    let mut buffer = [0; 4096];
    let ceremony = Ceremony::new(GetInfo, &mut buffer, RustCrypto, rng());
    look(client::run(ceremony, &mut transport(path), &mut Silent, clock()).unwrap())
}

/// `navigator.credentials.create()` of a page at https://example.org.
pub fn create(path: &Path, options: &Value) -> Result<Value, Error> {
    let json = options.to_string();
    let mut cbor = vec![0; 8192];
    let options = CreationOptions::from_json(json.as_bytes(), &mut cbor).unwrap();
    let (mut client_data, mut buffer, mut out) = (vec![0; 8192], vec![0; 16384], vec![0; 32768]);
    let collector = DefaultClientDataCollector::new("https://example.org");
    let mut client = Fido2Client::new(transport(path), collector, Silent, RustCrypto, rng(), clock());
    let creation = client.creation(&options, &mut client_data)?;
    let registered = client.make_credential(&creation, &mut buffer)?;
    let len = registered.to_json(&creation.options.extensions, &[Text::new("usb")], &mut out).unwrap();
    Ok(serde_json::from_slice(&out[..len]).unwrap())
}

/// `navigator.credentials.get()` of that page.
pub fn get(path: &Path, options: &Value) -> Result<Value, Error> {
    let json = options.to_string();
    let mut cbor = vec![0; 8192];
    let options = RequestOptions::from_json(json.as_bytes(), &mut cbor).unwrap();
    let (mut client_data, mut buffer, mut out) = (vec![0; 8192], vec![0; 16384], vec![0; 32768]);
    let (mut memory, mut work) = (vec![0; 16384], vec![0; 16384]);
    let collector = DefaultClientDataCollector::new("https://example.org");
    let mut client = Fido2Client::new(transport(path), collector, Silent, RustCrypto, rng(), clock());
    let request = client.request(&options, &mut client_data)?;
    let responses = client.get_assertion_with_memory(&request, &mut memory, &mut buffer)?;
    let blob = responses.assertions.large_blob(&RustCrypto, 0, &mut work).ok().flatten();
    let len = responses.get(0).unwrap().to_json(&request.options.extensions, blob, &mut out).unwrap();
    Ok(serde_json::from_slice(&out[..len]).unwrap())
}
