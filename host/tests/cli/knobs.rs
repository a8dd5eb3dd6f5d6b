//! The knobs of `keyfob serve` that a tester reaches for: what the key then is, and what is told of it.

use std::{
    path::PathBuf,
    process::ChildStdout,
    time::{Duration, Instant},
};

use keyfob_core::{
    client::{
        self, Ceremony, MakeCredential, MakeOptions, PinEntry, Prompt, Requirement, UserInteraction,
        manage::{ChangePin, GetInfo, Selection},
    },
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::{CredentialParameters, RpEntity, UserEntity},
    transport::hid::HidTransport,
};
use keyfob_soft_authenticator::devices::TcpPipe;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value;

use super::*;

/// A served key, and the lines that it says. Ends with the test.
struct Key {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    /// What it said before it served.
    before: Vec<String>,
    address: String,
}

impl Key {
    fn new(options: &[&str]) -> Self {
        let arguments = [&["serve", "--tcp", "127.0.0.1:0"], options].concat();
        let mut process = keyfob(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut before = Vec::new();
        let address = loop {
            let line = lines.next().unwrap().unwrap();
            let address = line.split([' ', '"']).find(|word| word.starts_with("127.0.0.1:"));
            let found = address.map(|address| address.trim_end_matches('.').to_owned());
            before.push(line);
            if let Some(address) = found {
                break address;
            }
        };
        Self { process, lines, before, address }
    }

    fn transport(&self) -> HidTransport<TcpPipe, impl FnMut() -> keyfob_core::Instant> {
        HidTransport::new(TcpPipe::new(TcpStream::connect(&self.address).unwrap()), clock(), [1; 8])
    }

    /// Calls `look` with getInfo.
    fn info<T>(&self, look: impl FnOnce(&keyfob_core::ctap2::get_info::Response<'_>) -> T) -> T {
        let mut buffer = vec![0; 7609];
        let ceremony = Ceremony::new(GetInfo, &mut buffer, RustCrypto, ChaCha20Rng::seed_from_u64(1));
        look(&client::run(ceremony, &mut self.transport(), &mut User("0000"), clock()).unwrap())
    }

    /// Asks for a touch. How long that took, or why it was refused.
    fn touch(&self) -> Result<Duration, String> {
        let (mut buffer, start) = (vec![0; 7609], Instant::now());
        let ceremony = Ceremony::new(Selection::new(), &mut buffer, RustCrypto, ChaCha20Rng::seed_from_u64(1));
        let touched = client::run(ceremony, &mut self.transport(), &mut User("0000"), clock());
        touched.map(|()| start.elapsed()).map_err(|error| error.to_string())
    }

    /// Whether this is the key's PIN.
    fn has_pin(&self, pin: &'static str) -> bool {
        let mut buffer = vec![0; 7609];
        let ceremony = Ceremony::new(ChangePin, &mut buffer, RustCrypto, ChaCha20Rng::seed_from_u64(1));
        client::run(ceremony, &mut self.transport(), &mut User(pin), clock()).is_ok()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn clock() -> impl Fn() -> keyfob_core::Instant + Copy {
    let start = Instant::now();
    move || keyfob_core::Instant::from_millis(start.elapsed().as_millis() as u64)
}

struct User(&'static str);

impl UserInteraction for User {
    fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(self.0);
        prompt.reason == client::Reason::First
    }

    fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.request_pin(prompt, pin)
    }
}

/// A path that no other test uses.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("keyfob-knobs-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn the_user_touches_as_the_switch_says() {
    assert!(Key::new(&["--touch", "auto"]).touch().unwrap() < Duration::from_millis(250));
    let waited = Key::new(&["--touch", "after=300"]).touch().unwrap();
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(3), "{waited:?}");
    let declined = Key::new(&["--touch", "deny"]).touch().unwrap_err();
    assert!(declined.contains("OPERATION_DENIED"), "{declined}");
    let key = Key::new(&["--touch", "never"]);
    let mut stream = TcpStream::connect(&key.address).unwrap();
    let mut init = [0; 64];
    init[..15].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    stream.write_all(&init).unwrap();
    let mut answer = [0; 64];
    stream.read_exact(&mut answer).unwrap();
    let selection = [&answer[15..19], &[0x90, 0, 1, 0x0B], &[0; 56]].concat();
    stream.write_all(&selection).unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(400) {
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[4], 0xBB, "keep-alives, and no answer");
    }
}

#[test]
fn a_key_has_the_pin_that_it_was_given() {
    let key = Key::new(&["--pin", "2468"]);
    assert_eq!(key.info(|info| info.options.unwrap().client_pin), Some(true));
    assert!(key.has_pin("2468"));
    assert!(!key.has_pin("1357"));
    let key = Key::new(&["--pin", "random"]);
    let pin = key.before[0].strip_prefix("The PIN is ").unwrap().trim_end_matches('.').to_owned();
    assert!(pin.len() == 6 && pin.bytes().all(|digit| digit.is_ascii_digit()), "{pin}");
    assert!(key.has_pin(pin.leak()));
    let seeded = || Key::new(&["--pin", "random", "--seed", "7"]).before[0].clone();
    assert_eq!(seeded(), seeded());
}

#[test]
fn a_key_in_a_store_keeps_its_pin_and_is_not_served_with_another() {
    let store = path("pin");
    let place = store.to_str().unwrap();
    drop(Key::new(&["--store", place, "--pin", "2468"]));
    assert!(Key::new(&["--store", place, "--pin", "2468"]).has_pin("2468"));
    let serve = ["serve", "--tcp", "127.0.0.1:0", "--store", place, "--pin"];
    for left in ["7", "6"] {
        let said = format!("the key in the store does not take this PIN: it is wrong, and {left} attempts are left");
        fails(&[&serve[..], &["1357"]].concat(), 1, &said);
    }
    fails(&[&serve[..], &["random"]].concat(), 1, "the key in the store has a PIN already");
    assert!(Key::new(&["--store", place]).has_pin("2468"));
    std::fs::remove_file(store).unwrap();
}

#[test]
fn a_finger_is_enrolled_without_a_pin() {
    let told = |options: &[&str]| {
        Key::new(options).info(|info| {
            let options = info.options.unwrap();
            (options.uv, options.bio_enroll, options.client_pin)
        })
    };
    assert_eq!(told(&[]), (None, None, Some(false)));
    assert_eq!(told(&["--uv", "auto"]), (Some(false), Some(false), Some(false)));
    assert_eq!(told(&["--finger"]), (Some(true), Some(true), Some(false)));
    assert_eq!(told(&["--finger", "left thumb", "--pin", "1234"]), (Some(true), Some(true), Some(true)));
    let store = path("finger");
    for _ in 0..2 {
        let options = ["--finger", "--store", store.to_str().unwrap()];
        assert_eq!(told(&options), (Some(true), Some(true), Some(false)), "and stays so");
    }
    std::fs::remove_file(store).unwrap();
}

#[test]
fn the_finger_verifies_its_user_unless_another_switch_says_otherwise() {
    let registers = |options: &[&str]| {
        let key = Key::new(options);
        let parameters = [CredentialParameters::new(Algorithm::ES256)];
        let user = UserEntity { id: b"user-1", name: None, display_name: None };
        let rp = RpEntity { id: "example.org", name: None };
        let mut options = MakeOptions::new(&[7; 32], rp, user, &parameters);
        options.user_verification = Requirement::Required;
        let mut buffer = vec![0; 7609];
        let operation = MakeCredential::new(&options);
        let ceremony = Ceremony::new(operation, &mut buffer, RustCrypto, ChaCha20Rng::seed_from_u64(1));
        client::run(ceremony, &mut key.transport(), &mut User("0000"), clock()).is_ok()
    };
    assert!(registers(&["--finger"]));
    assert!(registers(&["--profile", "workstation"]));
    assert!(!registers(&["--finger", "--uv", "mismatch"]));
}

#[test]
fn a_workstation_key_is_one_that_real_clients_get_on_with() {
    let key = Key::new(&["--profile", "workstation"]);
    key.info(|info| {
        let algorithms: Vec<_> = info.algorithms.unwrap().iter().map(|one| format!("{:?}", one.algorithm)).collect();
        assert_eq!(algorithms[..2], ["ES256", "EdDSA"]);
        let known = ["ES256", "EdDSA", "RS256", "PS256", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"];
        assert!(algorithms.len() >= 5 && algorithms.iter().all(|one| known.contains(&one.as_str())), "{algorithms:?}");
        assert_eq!(info.options.unwrap().uv, Some(true));
        assert_eq!(info.max_serialized_large_blob_array, Some(4096));
    });
    let other = Key::new(&["--profile", "workstation", "--algorithms", "es384,es256", "--uv", "none"]);
    other.info(|info| {
        assert_eq!(info.algorithms.unwrap().iter().count(), 2);
        assert_eq!(info.options.unwrap().uv, None);
    });
}

#[test]
fn sizes_and_versions_are_as_they_were_asked_for() {
    let told =
        |options: &[&str]| Key::new(options).info(|info| (info.max_serialized_large_blob_array, info.firmware_version));
    assert_eq!(told(&[]), (Some(4096), None));
    assert_eq!(told(&["--large-blobs", "65536", "--firmware-version", "328966"]), (Some(65536), Some(328_966)));
    let store = path("blobs");
    assert_eq!(told(&["--large-blobs", "1024", "--store", store.to_str().unwrap()]), (Some(1024), None));
    std::fs::remove_file(store).unwrap();
}

#[test]
fn each_event_is_a_line() {
    let mut key = Key::new(&["--touch", "deny"]);
    key.touch().unwrap_err();
    let mut said: Vec<String> = Vec::new();
    while said.last().is_none_or(|line| line != "The key is unplugged.") {
        said.push(key.lines.next().unwrap().unwrap());
    }
    let shown = said.join("\n");
    assert!(shown.starts_with("The key is plugged in.\n127.0.0.1:"), "{shown}");
    for part in [
        " opened the key.\n",
        ": authenticatorSelection\n",
        "\nauthenticatorSelection waits for a touch.\n",
        "\nauthenticatorSelection: OPERATION_DENIED, ",
        " closed the key.\nThe key is unplugged.",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn each_event_is_an_object_for_programs() {
    let mut key = Key::new(&["--json", "--touch", "deny", "--pin", "random"]);
    let before: Vec<Value> = key.before.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&before[0]["event"], &before[1]["event"]), (&"pin".into(), &"serving".into()));
    assert_eq!(before[1]["doors"][0], format!("tcp {}", key.address));
    key.touch().unwrap_err();
    let mut objects: Vec<Value> = Vec::new();
    while objects.last().is_none_or(|object| object["event"] != "unplugged") {
        objects.push(serde_json::from_str(&key.lines.next().unwrap().unwrap()).unwrap());
    }
    assert!(objects.iter().all(|object| object["microseconds"].is_u64()));
    let of = |event: &str| {
        let of = |object: &&Value| object["event"] == event && object["command"] != "authenticatorGetInfo";
        objects.iter().find(of).unwrap_or_else(|| panic!("{event} in {objects:?}"))
    };
    assert!(of("opened")["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(of("command")["command"], "authenticatorSelection");
    assert_eq!(of("touchAsked")["command"], "authenticatorSelection");
    let answered = of("answered");
    assert_eq!(answered["status"], "OPERATION_DENIED");
    assert!(answered["milliseconds"].is_f64() && answered["channel"].is_u64());
    fails(&["serve", "--tcp", "127.0.0.1:0", "--json", "--trace"], 1, "--trace is text");
}

#[test]
fn a_trace_shows_messages_with_their_members() {
    let mut key = Key::new(&["--trace"]);
    key.info(|_| ());
    let mut shown = String::new();
    while !shown.contains("The key is unplugged.") {
        shown += &(key.lines.next().unwrap().unwrap() + "\n");
    }
    for part in ["-> cid ffffffff INIT", " -> authenticatorGetInfo, 1 byte", "maxMsgSize: 7609"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn a_trace_in_a_file_is_a_capture() {
    let file = path("trace.pcapng");
    let key = Key::new(&[&format!("--trace={}", file.display())]);
    key.info(|_| ());
    let capture = std::fs::read(&file).unwrap();
    assert_eq!(capture[..4], [0x0A, 0x0D, 0x0D, 0x0A]);
    assert!(capture.windows(7).any(|bytes| bytes == [0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 8]), "INIT");
    std::fs::remove_file(file).unwrap();
    fails(
        &["serve", "--tcp", "127.0.0.1:0", "--trace=/no/such/folder/file"],
        1,
        "cannot write to /no/such/folder/file",
    );
}

#[test]
fn a_trace_replaces_a_capture_and_nothing_else() {
    let (file, store) = (path("replaced.pcapng"), path("store"));
    let (trace, place) = (format!("--trace={}", file.display()), store.to_str().unwrap());
    fn serve<'o>(options: &[&'o str]) -> Vec<&'o str> {
        [&["serve", "--tcp"], options].concat()
    }
    for content in [&b"a diary"[..], b"\n"] {
        std::fs::write(&file, content).unwrap();
        fails(&serve(&["127.0.0.1:0", &trace]), 1, "is not a capture");
        assert_eq!(std::fs::read(&file).unwrap(), content);
    }
    std::fs::write(&file, b"").unwrap();
    Key::new(&[&trace]).info(|_| ());
    let first = std::fs::read(&file).unwrap();
    // A start that fails leaves the last capture as it is.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for options in [
        &[&*taken, &trace][..],
        &["127.0.0.1:0", &trace, "--store", "/no/such/folder/file"],
        &["127.0.0.1:0", &trace, "--profile", "u2f_only", "--pin", "1234"],
        &["127.0.0.1:0", &trace, "--control=unix:/no/such/folder/file"],
    ] {
        assert_eq!(run(&serve(options)).status.code(), Some(1), "{options:?}");
        assert!(std::fs::read(&file).unwrap() == first, "{options:?}");
    }
    Key::new(&[&trace]);
    let second = std::fs::read(&file).unwrap();
    assert!(second.len() < first.len() && second[..4] == first[..4], "it is replaced");

    drop(Key::new(&["--store", place, "--pin", "2468"]));
    fails(&serve(&["127.0.0.1:0", "--store", place, &format!("--trace={place}")]), 1, "is not a capture");
    assert!(Key::new(&["--store", place]).has_pin("2468"), "the store is as it was");
    std::fs::remove_file(store).unwrap();
    std::fs::remove_file(file).unwrap();
}
