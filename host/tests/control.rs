//! The control socket as its clients meet it: a key of `keyfob serve` that other programs tell what to do.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

#[path = "control/bad_input.rs"]
mod bad_input;
#[path = "control/sockets.rs"]
mod sockets;

fn keyfob(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A key with a TCP door and a control socket. Ends with the test.
struct Key {
    process: Child,
    socket: PathBuf,
    door: String,
    _folder: tempfile::TempDir,
}

impl Drop for Key {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Key {
    fn new(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control");
        let path = socket.to_str().unwrap();
        let serve =
            ["serve", "--json", "--tcp", "127.0.0.1:0", "--profile", "workstation", "--seed", "5", "--control", path];
        let mut process = keyfob(&[&serve, options].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let serving: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(serving["control"], path);
        let door = serving["doors"][0].as_str().unwrap().strip_prefix("tcp ").unwrap().to_owned();
        Self { process, socket, door, _folder: folder }
    }

    fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    /// Connects to the door and begins CTAPHID. Returns whether the key answers.
    fn answers(&self) -> bool {
        let mut stream = TcpStream::connect(&self.door).unwrap();
        let mut init = [0; 64];
        init[..15].copy_from_slice(b"\xFF\xFF\xFF\xFF\x86\x00\x08a nonce!");
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(&init).is_ok() && stream.read_exact(&mut [0; 64]).is_ok()
    }
}

struct Client {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    id: u64,
    events: Vec<Value>,
    answers: Vec<Value>,
}

impl Client {
    fn new(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self {
            lines: BufReader::new(stream.try_clone().unwrap()),
            stream,
            id: 0,
            events: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// The answer of a connection that may have been refused already.
    fn first_answer(&mut self) -> Value {
        let _ = writeln!(self.stream, r#"{{"id": 1, "verb": "status"}}"#);
        self.line().unwrap()
    }

    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap();
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    fn send(&mut self, verb: &str, params: Value) -> u64 {
        self.id += 1;
        writeln!(self.stream, "{}", json!({ "id": self.id, "verb": verb, "params": params })).unwrap();
        self.id
    }

    /// The answer to this request. Events and other answers before it are kept.
    fn answer(&mut self, id: u64) -> Value {
        loop {
            if let Some(place) = self.answers.iter().position(|line| line["id"] == id) {
                return self.answers.remove(place);
            }
            let line = self.line().expect("an answer");
            if line.get("event").is_some() { self.events.push(line) } else { self.answers.push(line) }
        }
    }

    fn result(&mut self, verb: &str, params: Value) -> Value {
        let id = self.send(verb, params);
        let answer = self.answer(id);
        assert!(answer.get("error").is_none(), "{verb}: {answer}");
        answer["result"].clone()
    }

    /// The code and the place of the error.
    fn error(&mut self, verb: &str, params: Value) -> (String, String) {
        let id = self.send(verb, params);
        let error = self.answer(id)["error"].clone();
        let text = |name: &str| error[name].as_str().unwrap_or_else(|| panic!("{verb} is done")).to_owned();
        assert!(text("message").len() > 5);
        (text("code"), text("where"))
    }

    fn wait_for(&mut self, event: &str) -> Value {
        loop {
            let is_it = |line: &Value| line["event"] == event;
            if let Some(at) = self.events.iter().position(is_it) {
                return self.events.remove(at);
            }
            let line = self.line().expect("an event");
            if line.get("event").is_some() { self.events.push(line) } else { self.answers.push(line) }
        }
    }
}

fn creation() -> Value {
    json!({
        "rp": {"name": "Example"}, "user": {"id": "dXNlcg", "name": "alice", "displayName": "Alice"},
        "challenge": "YSBjaGFsbGVuZ2U", "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        "authenticatorSelection": {"residentKey": "required"},
    })
}

fn page(options: Value) -> Value {
    json!({ "origin": "https://example.org", "options": options })
}

fn request() -> Value {
    page(json!({ "challenge": "YW5vdGhlcg", "userVerification": "discouraged" }))
}

fn counter(response: &Value) -> u32 {
    let text = response["response"]["response"]["authenticatorData"].as_str().unwrap();
    let mut data = vec![0; text.len()];
    keyfob_core::base64url::decode(text.chars(), &mut data).unwrap();
    u32::from_be_bytes(data[33..37].try_into().unwrap())
}

#[test]
fn a_page_registers_and_signs_in_and_the_history_tells_of_it() {
    let key = Key::new(&[]);
    let mut client = key.client();
    let created = client.result("create", page(creation()));
    assert_eq!(created["response"]["type"], "public-key");
    assert_eq!(counter(&client.result("get", request())), 1);
    let history = client.result("getHistory", json!({}));
    let commands: Vec<_> = history["requests"].as_array().unwrap().iter().map(|asked| &asked["command"]).collect();
    assert!(commands.contains(&&json!("MAKE_CREDENTIAL")) && commands.contains(&&json!("GET_ASSERTION")));
    client.result("clearHistory", json!({}));
    assert_eq!(client.result("getHistory", json!({})), json!({ "requests": [] }));
    let held = client.result("getCredentials", json!({}))["credentials"][0].clone();
    assert_eq!(
        (&held["rpId"], &held["signCount"], &held["userName"]),
        (&json!("example.org"), &json!(1), &json!("alice"))
    );
    client.result("removeCredential", json!({ "credentialId": held["credentialId"] }));
    assert_eq!(client.error("get", request()).0, "ceremony");
}

#[test]
fn credentials_are_put_in_changed_and_removed() {
    let key = Key::new(&[]);
    let mut client = key.client();
    let added = client.result(
        "addCredential",
        json!({ "rpId": "example.org", "userHandle": "dXNlcg", "credentialId": "AQID", "signCount": 7, "backupState": true }),
    );
    assert_eq!(added["credential"]["backupEligibility"], true);
    assert_eq!(counter(&client.result("get", request())), 8);
    client.result("setCredentialProperties", json!({ "credentialId": "AQID", "signCount": 3 }));
    assert_eq!(counter(&client.result("get", request())), 4);
    let taken = json!({ "rpId": "example.com", "userHandle": "dXNlcg", "credentialId": "AQID" });
    assert_eq!(client.error("addCredential", taken), ("credentialIdTaken".into(), "/params/credentialId".into()));
    assert_eq!(client.result("getCredentials", json!({}))["credentials"].as_array().unwrap().len(), 1);
    client.result("removeAllCredentials", json!({}));
    let gone = client.error("removeCredential", json!({ "credentialId": "AQID" }));
    assert_eq!(gone, ("unknownCredential".into(), "/params/credentialId".into()));
}

/// The profile has `largeBlobKey`, and the other one neither that nor `largeBlob`.
#[test]
fn a_large_blob_is_put_in_and_listed_where_the_key_has_an_array() {
    let key = Key::new(&[]);
    let mut client = key.client();
    let credential = json!({ "rpId": "example.org", "userHandle": "dXNlcg", "largeBlob": "AQID" });
    assert_eq!(client.result("addCredential", credential.clone())["credential"]["largeBlob"], "AQID");
    let mut read = request();
    read["options"]["extensions"] = json!({ "largeBlob": { "read": true } });
    let read = client.result("get", read);
    assert_eq!(read["response"]["clientExtensionResults"]["largeBlob"]["blob"], "AQID");
    let mut long = credential.clone();
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let noise: Vec<u8> = (0..8000).map(|_| random()).collect();
    long["largeBlob"] = keyfob_core::base64url::chars(&noise).collect::<String>().into();
    assert_eq!(client.error("addCredential", long), ("store".into(), String::new()));
    assert_eq!(client.result("getCredentials", json!({}))["credentials"].as_array().unwrap().len(), 1);
    let key = Key::new(&["--options", "largeBlobs=false"]);
    let refused = key.client().error("addCredential", credential);
    assert_eq!(refused, ("value".into(), "/params/largeBlob".into()));
}

#[test]
fn a_key_that_begins_unplugged_answers_nobody_until_it_is_plugged_in() {
    let key = Key::new(&["--unplugged"]);
    let mut client = key.client();
    assert_eq!(client.result("status", json!({}))["isPluggedIn"], false);
    for (verb, params) in [("touch", json!({ "consents": true })), ("get", request()), ("create", page(creation()))] {
        assert_eq!(client.error(verb, params).0, "unplugged", "{verb}");
    }
    assert!(!key.answers());
    client.result("addCredential", json!({ "rpId": "example.org", "userHandle": "dXNlcg" }));
    client.result("plugIn", json!({}));
    client.result("get", request());
    assert!(key.answers());
    client.result("unplug", json!({}));
    assert!(!key.answers());
}

#[test]
fn events_are_pushed_and_a_touch_answers_the_request_that_waits() {
    let key = Key::new(&[]);
    let (mut client, mut other) = (key.client(), key.client());
    client.result("addCredential", json!({ "rpId": "example.org", "userHandle": "dXNlcg" }));
    client.result("setTouch", json!({ "touch": "never" }));
    client.result("subscribe", json!({}));
    let id = client.send("get", request());
    assert_eq!(client.wait_for("pluggedIn"), json!({ "event": "pluggedIn" }));
    assert_eq!(client.wait_for("opened")["peer"], "this process");
    let asked = client.wait_for("touchAsked");
    assert!(
        asked["command"].as_str().unwrap().contains("GetAssertion")
            || asked["command"].as_str().unwrap().contains("ClientPIN")
    );
    assert_eq!(client.result("status", json!({}))["waitsForUser"], true);
    client.result("touch", json!({ "consents": true }));
    client.result("setTouch", json!({ "touch": "auto" }));
    assert!(client.answer(id).get("result").is_some());
    assert!(client.wait_for("answered")["milliseconds"].as_f64().is_some());
    client.wait_for("closed");
    client.result("unsubscribe", json!({}));
    client.events.clear();
    other.result("get", request());
    client.result("status", json!({}));
    assert_eq!(client.events, [] as [Value; 0], "it has unsubscribed");
}

#[test]
fn a_client_that_goes_takes_its_ceremonies_with_it() {
    let key = Key::new(&[]);
    let mut client = key.client();
    client.result("addCredential", json!({ "rpId": "example.org", "userHandle": "dXNlcg" }));
    client.result("setTouch", json!({ "touch": "never" }));
    let mut gone = key.client();
    gone.send("get", request());
    let waits = |client: &mut Client| client.result("status", json!({}))["waitsForUser"] == true;
    let until = |client: &mut Client, wanted: bool| {
        let start = Instant::now();
        while waits(client) != wanted {
            assert!(start.elapsed() < Duration::from_secs(10), "{wanted}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until(&mut client, true);
    drop(gone);
    until(&mut client, false);
    let id = client.send("get", request());
    until(&mut client, true);
    client.result("touch", json!({ "consents": true }));
    assert!(client.answer(id)["result"].is_object(), "the touch is of the one who waits");
}

#[test]
fn what_is_registered_is_listed_with_its_party_whatever_becomes_of_the_history() {
    let key = Key::new(&[]);
    let mut client = key.client();
    client.result("setTouch", json!({ "touch": "never" }));
    let mut options = creation();
    options["authenticatorSelection"] = json!({ "residentKey": "discouraged", "userVerification": "discouraged" });
    let id = client.send("create", page(options));
    while client.result("status", json!({}))["waitsForUser"] != true {
        std::thread::sleep(Duration::from_millis(5));
    }
    client.result("clearHistory", json!({}));
    client.result("touch", json!({ "consents": true }));
    assert!(client.answer(id)["result"].is_object());
    let held = client.result("getCredentials", json!({}))["credentials"][0].clone();
    assert_eq!(held["rpId"], "example.org");
    // It can be put into another key.
    assert!(held["privateKey"].as_str().unwrap().starts_with("M"), "{held}");
}

#[test]
fn each_fault_is_seen_by_the_page() {
    let key = Key::new(&[]);
    let mut client = key.client();
    client.result("addCredential", json!({ "rpId": "example.org", "userHandle": "dXNlcg" }));
    client.result("answer", json!({ "command": "GET_ASSERTION", "status": "KEY_STORE_FULL", "times": 1 }));
    let id = client.send("get", request());
    let failed = client.answer(id);
    assert!(failed["error"]["message"].as_str().unwrap().contains("KEY_STORE_FULL"), "{failed}");
    assert_eq!((&failed["error"]["status"], &failed["error"]["statusCode"]), (&json!("KEY_STORE_FULL"), &json!(0x28)));
    client.result("subscribe", json!({}));
    client.result("answer", json!({ "command": "GET_ASSERTION", "status": 0x7A, "times": 1 }));
    let id = client.send("get", request());
    let failed = client.answer(id);
    assert_eq!((&failed["error"]["status"], &failed["error"]["statusCode"]), (&json!("0x7a"), &json!(0x7A)));
    while client.wait_for("answered")["statusCode"] != 0x7A {}
    client.result("unsubscribe", json!({}));
    client.result("get", request());

    client.result("setDelay", json!({ "milliseconds": 200 }));
    let start = Instant::now();
    client.result("get", request());
    assert!(start.elapsed() >= Duration::from_millis(199));
    client.result("setDelay", json!({ "milliseconds": 0 }));

    client.result("failWrite", json!({ "number": 1 }));
    assert_eq!(client.error("create", page(creation())).0, "ceremony");
    client.result("create", page(creation()));

    client.result("setTouch", json!({ "touch": "deny" }));
    assert_eq!(client.error("get", request()).0, "ceremony");
    client.result("setTouch", json!({ "touch": "never" }));
    client.result("jumpAt", json!({ "at": "touch", "milliseconds": 40_000 }));
    let start = Instant::now();
    assert_eq!(client.error("get", request()).0, "ceremony");
    assert!(start.elapsed() < Duration::from_secs(10));
    client.result("setTouch", json!({ "touch": "after", "milliseconds": 150 }));
    client.result("get", request());
    client.result("setTouch", json!({ "touch": "after", "milliseconds": 25_000 }));
    client.result("jumpAt", json!({ "at": "touch", "milliseconds": 25_000 }));
    let start = Instant::now();
    client.result("get", request());
    assert!(start.elapsed() < Duration::from_secs(10));
    client.result("setTouch", json!({ "touch": "auto" }));

    client.result("lie", json!({ "lie": "userPresent", "on": false }));
    assert_eq!(client.error("get", request()).0, "ceremony");
    let mut credulous = request();
    credulous["credulous"] = true.into();
    client.result("get", credulous);
    client.result("tellTheTruth", json!({}));

    client.result("unplugAt", json!({ "at": "response", "command": "GET_ASSERTION" }));
    assert_eq!(client.error("get", request()).0, "unplugged");
    client.result("plugIn", json!({}));
    client.result("get", request());
}
