//! `keyfob serve --store`: a key that survives its process.
#![allow(clippy::disallowed_methods)]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time,
};

use keyfob_core::{
    Instant,
    client::{
        self, Ceremony, GetAssertion, GetOptions, MakeCredential, MakeOptions, PinEntry, Prompt, Requirement,
        UserInteraction,
    },
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::{CredentialParameters, RpEntity, UserEntity},
    transport::hid::HidTransport,
};
use keyfob_soft_authenticator::devices::TcpPipe;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const HASH: &[u8; 32] = &[7; 32];
const RP_ID: &str = "example.org";

/// A file's name, where no file is. Removed in the end.
struct Name(PathBuf);

impl Name {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn serve(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
        command.args(["serve", "--tcp", "127.0.0.1:0", "--store"]).arg(&self.0).stdin(Stdio::null());
        command
    }

    /// Runs it to its end, which is a failure, said in a line.
    fn fails(&self) -> String {
        let Output { status, stderr, stdout } = self.serve().output().unwrap();
        assert_eq!((status.code(), stdout), (Some(1), Vec::new()));
        let said = String::from_utf8(stderr).unwrap();
        assert!(said.lines().count() == 1 && said.contains(&self.0.display().to_string()), "{said}");
        said
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A served key. Killed in the end.
struct Served(Child, String);

impl Served {
    fn new(file: &Name) -> Self {
        let mut server = file.serve().stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap();
        Self(server, address.trim_end_matches('.').into())
    }

    fn transport(&self) -> HidTransport<TcpPipe, impl FnMut() -> Instant> {
        HidTransport::new(TcpPipe::new(TcpStream::connect(&self.1).unwrap()), clock(), [1; 8])
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn clock() -> impl Fn() -> Instant + Copy {
    let start = time::Instant::now();
    move || Instant::from_millis(start.elapsed().as_millis() as u64)
}

struct Nobody;

impl UserInteraction for Nobody {
    fn request_pin(&mut self, _: &Prompt<'_>, _: &mut PinEntry) -> bool {
        false
    }
}

#[test]
fn a_key_with_a_store_outlives_its_process() {
    let file = Name::new("outlives");
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut buffer = vec![0; 7609];
    let served = Served::new(&file);
    let parameters = [CredentialParameters::new(Algorithm::ES256)];
    let user = UserEntity { id: b"user-1", name: Some("alice"), display_name: None };
    let mut options = MakeOptions::new(HASH, RpEntity { id: RP_ID, name: None }, user, &parameters);
    options.resident_key = Requirement::Required;
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, &mut rng);
    client::run(ceremony, &mut served.transport(), &mut Nobody, clock()).unwrap();
    drop(served);

    let mut counts = Vec::new();
    for _ in 0..3 {
        let served = Served::new(&file);
        let options = GetOptions::new(RP_ID, HASH);
        let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, &mut rng);
        let selection = client::run(ceremony, &mut served.transport(), &mut Nobody, clock()).unwrap();
        let assertion = selection.get(0).unwrap();
        assert_eq!(assertion.response.user.unwrap().id, b"user-1");
        counts.push(u32::from_be_bytes(assertion.response.auth_data[33..37].try_into().unwrap()));
    }
    // A process that starts goes on behind the block of 100 counts that the one before it had reserved.
    assert_eq!(counts, [1, 101, 201]);
}

#[test]
fn a_store_is_one_keys_at_a_time() {
    let file = Name::new("in-use");
    let served = Served::new(&file);
    assert!(file.fails().ends_with(" is in use by another program\n"));
    drop(served);
    Served::new(&file);
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let file = Name::new("foreign");
    fs::write(&file.0, b"a diary").unwrap();
    assert!(file.fails().ends_with(" is not a keyfob store\n"));
    assert_eq!(fs::read(&file.0).unwrap(), b"a diary");
    let nowhere = Name(file.0.join("beneath a file"));
    assert!(nowhere.fails().contains("cannot open"));
}

#[test]
#[cfg(unix)]
fn a_new_store_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let file = Name::new("mode");
    Served::new(&file);
    assert_eq!(fs::metadata(&file.0).unwrap().permissions().mode() & 0o777, 0o600);
}
