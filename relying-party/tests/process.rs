//! The command as a process: its output, and the database after it was killed.
#![allow(clippy::disallowed_methods)]

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use keyfob_relying_party::{
    client::{self, KeyChoice, Prover, Server, Who},
    store::{Sqlite, Storage},
};
use keyfob_soft_authenticator::{
    devices::{KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey, hub::Hub},
    engine::Config,
};
use serde_json::{Value, json};

/// A temporary folder.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("keyfob-rp-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn database(&self) -> PathBuf {
        self.0.join("accounts.sqlite")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A serving process and its address.
struct Serving {
    child: Child,
    port: u16,
}

impl Serving {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob-rp"));
        command.args(arguments).args(["--listen", "127.0.0.1:0"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(':').find_map(|part| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        Self { child, port: port.unwrap_or_else(|| panic!("{line}")) }
    }

    fn with(database: &Path, arguments: &[&str]) -> Self {
        Self::start(&[&["serve", "--database", database.to_str().unwrap()], arguments].concat())
    }

    fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    fn server(&self) -> Server {
        Server::new(&self.url()).unwrap()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn who(name: &str) -> Who<'_> {
    Who { name: Some(name), rp_id: None, origin: None }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keyfob-rp")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_registration_that_was_acknowledged_survives_a_kill_and_no_challenge_is_accepted_after_it() {
    let folder = Folder::new("kill");
    let serving = Serving::with(&folder.database(), &["--quiet"]);
    let (url, stop) = (serving.url(), AtomicBool::new(false));
    let acknowledged = Mutex::new(BTreeSet::new());

    // One response is held back until after the kill.
    let (held, cookies) = client::with_key(&KeyChoice::InProcess, None, |key| {
        let mut server = serving.server();
        let options = server.post("attestation/options", &json!({ "username": "held" }))?;
        let credential = key.create(&format!("http://localhost:{}", serving.port), &options)?;
        Ok((credential, server.cookies()))
    })
    .unwrap();

    thread::scope(|scope| {
        for worker in 0..4 {
            let (url, stop, acknowledged) = (&url, &stop, &acknowledged);
            scope.spawn(move || {
                for round in 0..10_000 {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let name = format!("user {worker} {round}");
                    let done = client::with_key(&KeyChoice::InProcess, None, |key| {
                        client::register(&mut Server::new(url)?, key, &who(&name))
                    });
                    if done.is_ok() {
                        acknowledged.lock().unwrap().insert(name);
                    }
                }
            });
        }
        let patience = Instant::now();
        while acknowledged.lock().unwrap().len() < 12 {
            assert!(patience.elapsed() < Duration::from_secs(120), "no load");
            thread::sleep(Duration::from_millis(5));
        }
        serving.kill();
        stop.store(true, Ordering::Relaxed);
    });

    let storage = Sqlite::open(&folder.database()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for name in acknowledged.into_inner().unwrap() {
        let account = runtime.block_on(storage.account("localhost", &name)).unwrap();
        let account = account.unwrap_or_else(|| panic!("{name} is lost"));
        let credentials = runtime.block_on(storage.credentials("localhost", &account.handle)).unwrap();
        assert_eq!(credentials.len(), 1, "{name}");
    }
    drop(storage);

    let serving = Serving::with(&folder.database(), &["--quiet"]);
    let mut server = serving.server();
    server.set_cookies(&cookies);
    let refused = server.post("attestation/result", &held).unwrap_err();
    let client::Error::Refused(400, body) = refused else { panic!("{refused}") };
    assert_eq!(body["errorCode"], "session-expired");
}

#[test]
fn a_key_registers_and_signs_in_directly_and_through_a_backend() {
    let folder = Folder::new("patterns");
    let serving = Serving::with(&folder.database(), &["--quiet"]);
    let backend = Serving::start(&["backend", "--quiet", "--server", &serving.url()]);
    // The origin is the FIDO server's, also with a backend in front of it.
    let origin = serving.url();
    for (name, arguments) in [
        ("direct", vec!["--server".to_owned(), serving.url()]),
        ("proxied", vec!["--backend".to_owned(), backend.url(), "--origin".to_owned(), origin]),
        ("elsewhere", vec!["--server".to_owned(), serving.url(), "--rp-id".to_owned(), "example.com".to_owned()]),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = run(&[&["register", "--user", name, "--sign-in"], arguments.as_slice()].concat());
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let answers: Vec<Value> =
            serde_json::Deserializer::from_str(&said).into_iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(answers.len(), 2);
        assert!(answers.iter().all(|answer| answer["status"] == "ok" && answer["username"] == name), "{said}");
        assert_eq!(answers[1]["credential"]["signCount"].as_u64(), Some(1));
    }
}

#[test]
fn a_key_on_a_socket_registers_and_signs_in_later() {
    let folder = Folder::new("socket");
    let serving = Serving::with(&folder.database(), &["--quiet"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let key = format!("tcp:{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let config = Config::new(VIRTUAL_KEY_AAGUID);
        let mut buffer = vec![0; config.buffer_len()];
        let mut key = VirtualKey::new(&mut buffer, KeyOptions::new(config)).unwrap();
        let mut hub = Hub::new(&mut key).unwrap();
        hub.listen_tcp(listener).unwrap();
        hub.run(|_| ())
    });
    let (url, common) = (serving.url(), ["--key", &key]);
    for arguments in [vec!["register", "--user", "alice"], vec!["sign-in", "--user", "alice"]] {
        let output = run(&[arguments.as_slice(), &common, &["--server", &url]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["username"], "alice");
    }
    // This credential is not discoverable, so without a name the key reports that it has none.
    let output = run(&[["sign-in", "--server"].as_slice(), &[&url], &common].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.starts_with("keyfob-rp: the key: "), "{said}");
}

#[test]
fn what_went_wrong_is_said_in_a_line() {
    let folder = Folder::new("errors");
    let serving = Serving::with(&folder.database(), &["--quiet"]);
    let url = serving.url();
    let gone = "http://127.0.0.1:9"; // the discard port, where nothing listens
    for (arguments, why) in [
        (vec!["register", "--server", &url], "an account needs a name"),
        (vec!["register", "--server", gone, "--user", "a"], "the server gives no usable answer"),
        (vec!["register", "--server", "https://example.com", "--user", "a"], "is not an http address"),
        (vec!["register", "--server", &url, "--user", "a", "--rp-id", "example.org"], "no relying party example.org"),
        (
            vec!["register", "--server", &url, "--user", "a", "--origin", "https://evil-localhost"],
            "the origin may not use the RP ID localhost",
        ),
        (vec!["register", "--server", &url, "--user", "a", "--key", "tcp:127.0.0.1:9"], "cannot be reached"),
        (vec!["sign-in", "--server", &url, "--user", "a"], "a key in this process is new"),
        (vec!["serve", "--database", "/nonexistent/folder/file"], "cannot use the database"),
        (vec!["serve", "--tenant", "example.com=https://evil-example.com"], "may not use the RP ID"),
    ] {
        let output = run(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(why), "{arguments:?}: {said}");
    }
    let first = client::with_key(&KeyChoice::InProcess, None, |key: &mut dyn Prover| {
        client::register(&mut serving.server(), key, &who("alice"))
    });
    assert!(first.is_ok());
    let output = run(&["register", "--server", &url, "--user", "alice"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "keyfob-rp: the server refuses (403): the account exists: sign in to it to add a key\n");
}

#[test]
#[cfg(unix)]
fn a_request_under_way_is_answered_before_the_server_stops() {
    let folder = Folder::new("stop");
    let mut serving = Serving::with(&folder.database(), &[]);
    let mut stream = TcpStream::connect(("127.0.0.1", serving.port)).unwrap();
    let body = r#"{"username":"alice"}"#;
    let head = format!(
        "POST /attestation/options HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..5]).unwrap();
    thread::sleep(Duration::from_millis(300)); // the request is being read
    let stopped = Command::new("kill").args(["-TERM", &serving.child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    thread::sleep(Duration::from_millis(300));
    stream.write_all(&body.as_bytes()[5..]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#""status":"ok""#), "{answer}");
    assert!(serving.child.wait().unwrap().success());
    // The log has one JSON object for each request, without personal data.
    let mut log = String::new();
    serving.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let line: Value = serde_json::from_str(&log).unwrap();
    assert_eq!((&line["path"], &line["status"]), (&json!("/attestation/options"), &json!(200)));
    assert!(!log.contains("alice"));
}

/// A thousand of them would hold a thousand descriptors.
#[test]
fn a_client_that_is_silent_in_the_middle_of_a_request_is_cut_off() {
    let folder = Folder::new("silent");
    let serving = Serving::with(&folder.database(), &["--silence", "1"]);
    let head = "POST /attestation/options HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let whole = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (sent, status) in [
        ("", ""),
        (head, ""),
        (&*format!("{head}content-length: 9\r\n\r\n{{"), "HTTP/1.1 408 "),
        (whole, "HTTP/1.1 200 "), // and then no other request
    ] {
        let begin = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", serving.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(status), "{sent:?}: {answer}");
        assert!(begin.elapsed() > Duration::from_millis(900), "{sent:?}");
    }
}

#[test]
fn a_client_that_does_not_read_its_answers_is_cut_off() {
    let folder = Folder::new("unread");
    let serving = Serving::with(&folder.database(), &["--silence", "1", "--quiet"]);
    let mut stream = TcpStream::connect(("127.0.0.1", serving.port)).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let requests = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1000);
    let begin = Instant::now();
    let error = loop {
        match stream.write_all(requests.as_bytes()) {
            Ok(()) => assert!(begin.elapsed() < Duration::from_secs(60)),
            Err(error) => break error,
        }
    };
    // The connection is gone; it is not this client that has given up.
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
}

/// Version 1 had names as they came.
#[test]
fn a_database_of_the_first_version_keeps_its_accounts() {
    let folder = Folder::new("names");
    let file = folder.database();
    drop(Sqlite::open(&file).unwrap());
    let edit = |statements: &str| rusqlite::Connection::open(&file).unwrap().execute_batch(statements).unwrap();
    let insert = "INSERT INTO accounts (rp_id, handle, name, display_name) VALUES ";
    edit(&format!("{insert} ('localhost', x'01', 'Rene\u{301}', 'R'); PRAGMA user_version = 1;"));
    let storage = Sqlite::open(&file).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(storage.account("localhost", "Ren\u{E9}")).unwrap();
    assert_eq!(found.map(|account| account.handle), Some(vec![1]));
    drop(storage);
    edit(&format!("{insert} ('localhost', x'02', 'Rene\u{301}', 'R'); PRAGMA user_version = 1;"));
    let refused = Sqlite::open(&file).err().unwrap().to_string();
    assert!(refused.contains("two accounts of localhost have the name"), "{refused}");
}

#[test]
fn roots_are_checked_before_anything_is_served() {
    let folder = Folder::new("roots");
    let file = folder.0.join("roots.pem");
    let refused = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_keyfob-rp"))
            .args(["serve", "--listen", "127.0.0.1:0", "--database", folder.database().to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&["--require-attestation"]);
    assert!(said.contains("--attestation-root"), "anybody can make a certificate: {said}");
    let tenants = folder.0.join("tenants.toml");
    std::fs::write(
        &tenants,
        "[[tenant]]\nrp-id = \"example.com\"\nallowed-aaguids = [\"00000000-0000-0000-0000-000000000000\"]\n",
    )
    .unwrap();
    let said = refused(&["--tenants", tenants.to_str().unwrap()]);
    assert!(said.contains("--attestation-root"), "anybody can write an AAGUID: {said}");
    std::fs::write(&tenants, "[[tenant]]\nrp-id = \"co.uk\"\n").unwrap();
    assert!(refused(&["--tenants", tenants.to_str().unwrap()]).contains("public suffix"));
    let roots = ["--require-attestation", "--attestation-root", file.to_str().unwrap()];
    assert!(refused(&roots).contains("cannot read"));
    std::fs::write(&file, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    let said = refused(&roots);
    assert!(said.contains("roots.pem: has a part that is no certificate: PRIVATE KEY"), "{said}");
    assert!(!folder.database().exists());
}
