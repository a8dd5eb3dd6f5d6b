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

/// The form of the schema: these members, and a code that it names.
fn is_refusal(line: &Value) -> bool {
    let published: Value = serde_json::from_str(include_str!("../../docs/control.schema.json")).unwrap();
    let form = &published["$defs"]["refusal"]["properties"]["error"];
    let codes = form["properties"]["code"]["oneOf"].as_array().unwrap();
    let Some(error) = line["error"].as_object() else { return false };
    line.as_object().unwrap().len() == 2
        && line.get("id").is_some_and(|id| id.is_null() || id.is_u64() || id.is_string())
        && error.keys().all(|name| form["properties"].get(name).is_some())
        && form["required"].as_array().unwrap().iter().all(|name| error.contains_key(name.as_str().unwrap()))
        && codes.iter().any(|code| code["const"] == error["code"])
}

/// A socket that is in use has no connection: `the_socket_is_its_owners_and_is_removed_with_the_key`.
#[test]
fn bad_input_of_each_kind_is_refused_in_the_form_of_the_schema_and_changes_nothing() {
    let key = Key::new(&["--unplugged"]);
    let mut client = key.client();
    client.result("addCredential", json!({ "rpId": "example.org", "userHandle": "dXNlcg", "credentialId": "AQID" }));
    let mut snapshot = || {
        let status = client.result("status", json!({}));
        let all = ["getCredentials", "getHistory"].map(|verb| client.result(verb, json!({})));
        (status["isPluggedIn"].clone(), status["waitsForUser"].clone(), all)
    };
    let before = snapshot();
    let p384 = "MBYCAQAwEAYHKoZIzj0CAQYFK4EEACIE";
    let deep = format!(r#"{{"id": 1, "verb": "create", "params": {{"options": {}"#, "[".repeat(60_000));
    let rp_id = "x".repeat(254);
    for (line, code, at, closes) in [
        (r#"{"id": 1, "verb": "explode"}"#, "unknownVerb", "/verb", false),
        (r#"{"id": 1, "verb": "touch", "params": {"consents": "yes"}}"#, "wrongType", "/params/consents", false),
        (r#"{"id": 1, "verb": "setDelay", "params": {"milliseconds": 1e99}}"#, "value", "/params/milliseconds", false),
        (r#"{"id": 1, "verb": "setDelay", "params": {"milliseconds": -1}}"#, "value", "/params/milliseconds", false),
        (
            r#"{"id": 1, "verb": "advance", "params": {"milliseconds": 99999999999999999999}}"#,
            "value",
            "/params/milliseconds",
            false,
        ),
        (r#"{"id": -1, "verb": "unplug"}"#, "wrongType", "/id", false),
        (
            r#"{"id": 1, "verb": "addCredential", "params": {"rpId": "a.b", "userHandle": "AA", "credentialId": "AQID"}}"#,
            "credentialIdTaken",
            "/params/credentialId",
            false,
        ),
        (
            &format!(
                r#"{{"id": 1, "verb": "addCredential", "params": {{"rpId": "a.b", "userHandle": "AA", "privateKey": "{p384}"}}}}"#
            ),
            "otherCurve",
            "/params/privateKey",
            false,
        ),
        (
            &format!(r#"{{"id": 1, "verb": "addCredential", "params": {{"rpId": "{rp_id}", "userHandle": "AA"}}}}"#),
            "value",
            "/params/rpId",
            false,
        ),
        (r#"{"id": 1, "verb": "touch", "params": {"consents": true}}"#, "unplugged", "", false),
        (
            r#"{"id": 1, "verb": "get", "params": {"origin": "https://example.org", "options": {"challenge": "AAAA"}}}"#,
            "unplugged",
            "",
            false,
        ),
        ("GET / HTTP/1.1", "http", "", true),
        (deep.as_str(), "parse", "", true),
        ("{\"id\": 1, \"verb\": \"unplug\"\0}", "parse", "", true),
        (r#"{"id": 1, "verb": "unplug", "params": {"x": 1e999}}"#, "parse", "", true),
        (r#"{"id": 1, "verb": "unplug"} {"id": 2, "verb": "plugIn"}"#, "parse", "", true),
    ] {
        let said = said_to(&key, format!("{line}\n{{\"id\": \"after\", \"verb\": \"status\"}}\n").as_bytes());
        let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let short = &line[..line.len().min(99)];
        // A ceremony is answered when it is done.
        let (after, refused): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["id"] == "after");
        assert!(matches!(refused[..], [refusal] if is_refusal(refusal)), "{short}: {refused:?}");
        let error = &refused[0]["error"];
        assert_eq!((error["code"].as_str(), error["where"].as_str()), (Some(code), Some(at)), "{short}: {error}");
        assert_eq!(after.is_empty(), closes, "{short}");
        assert_eq!(snapshot(), before, "{short}");
    }
    // No UTF-8.
    let said = said_to(&key, b"{\"id\": 1, \"verb\": \"\xFF\"}\n");
    assert!(is_refusal(&serde_json::from_str(&said).unwrap()));
    assert_eq!(snapshot(), before);
}

#[test]
fn what_contradicts_itself_is_refused_and_changes_nothing() {
    let key = Key::new(&[]);
    let mut client = key.client();
    // The head of a PKCS#8 key on secp384r1.
    let p384 = "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDA";
    let credential = |name: &str, value: Value| {
        let mut params = json!({ "rpId": "example.org", "userHandle": "dXNlcg" });
        params[name] = value;
        params
    };
    for (verb, params, code, at) in [
        ("addCredential", credential("privateKey", json!("AAAA")), "privateKey", "/params/privateKey"),
        ("addCredential", credential("privateKey", json!(p384)), "privateKey", "/params/privateKey"),
        ("addCredential", credential("credentialId", json!("")), "value", "/params/credentialId"),
        ("addCredential", credential("rpId", json!("")), "value", "/params/rpId"),
        ("addCredential", credential("userHandle", json!("")), "value", "/params/userHandle"),
        ("addCredential", credential("credProtect", json!(4)), "value", "/params/credProtect"),
        ("addCredential", json!({ "rpId": "example.org" }), "value", "/params/userHandle"),
        ("setTouch", json!({ "touch": "after" }), "value", "/params/milliseconds"),
        ("setTouch", json!({ "touch": "auto", "milliseconds": 5 }), "value", "/params/milliseconds"),
        ("lie", json!({ "lie": "userPresent" }), "value", "/params/on"),
        ("lie", json!({ "lie": "bogusSignature", "on": true }), "value", "/params/on"),
        ("lie", json!({ "lie": "aaguid", "aaguid": "AAAA" }), "value", "/params/aaguid"),
        ("answer", json!({ "command": "RESET" }), "value", "/params/status"),
        ("answer", json!({ "command": 7, "status": 1, "body": "AA" }), "value", "/params/body"),
        ("unplugAt", json!({ "at": "request" }), "missing", "/params/command"),
        ("unplugAt", json!({ "at": "touch", "command": 1 }), "value", "/params/command"),
        ("touch", json!({ "consents": true }), "notAsked", ""),
        ("create", page(json!({ "challenge": 5 })), "options", "/params/options"),
        ("explode", json!({}), "unknownVerb", "/verb"),
    ] {
        assert_eq!(client.error(verb, params.clone()), (code.into(), at.into()), "{verb} {params}");
    }
    assert_eq!(client.result("getCredentials", json!({})), json!({ "credentials": [] }));
    assert_eq!(client.result("getHistory", json!({})), json!({ "requests": [] }));
    client.result("create", page(creation()));
}

#[test]
fn a_private_key_of_another_curve_is_refused_as_one() {
    let key = Key::new(&[]);
    // PrivateKeyInfo { 0, { id-ecPublicKey, secp384r1 }, … }
    let p384 =
        [&b"\x30\x16\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22"[..], b"\x04"];
    let mut p384 = p384.concat();
    p384[1] = u8::try_from(p384.len() - 2).unwrap();
    let text: String = keyfob_core::base64url::chars(&p384).collect();
    let params = json!({ "rpId": "example.org", "userHandle": "dXNlcg", "privateKey": text });
    assert_eq!(key.client().error("addCredential", params), ("otherCurve".into(), "/params/privateKey".into()));
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

/// All that the socket says, up to its end.
fn said_to(key: &Key, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(&key.socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let _ = stream.write_all(bytes); // it may close meanwhile
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8(said).unwrap()
}

/// A page can send any body after a head of HTTP.
#[test]
fn a_web_page_does_not_drive_the_key() {
    let key = Key::new(&[]);
    let body = r#"{"id": 1, "verb": "unplug"}"#;
    for head in ["POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /x HTTP/1.0\n", "\x16\x03\x01\n", "hello\n", "[]\n"]
    {
        let said = said_to(&key, format!("{head}{body}\n").as_bytes());
        let mut lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let (refusal, is_http) = (lines.next().unwrap(), head.contains("HTTP"));
        assert_eq!(refusal["error"]["code"], if is_http { "http" } else { "parse" }, "{head:?}");
        assert_eq!((&refusal["id"], lines.next()), (&Value::Null, None), "{head:?}");
    }
    assert_eq!(key.client().result("status", json!({}))["isPluggedIn"], true);
}

#[test]
fn a_line_that_is_too_long_is_refused_and_one_that_is_cut_off_is_no_request() {
    let key = Key::new(&[]);
    let long = format!(r#"{{"id": 1, "verb": "unplug", "params": {{}}{}}}"#, " ".repeat(70_000));
    assert!(said_to(&key, long.as_bytes()).contains("\"tooLong\""));
    // The client writes on and on, and reads the error then.
    assert!(said_to(&key, &vec![b' '; 10 << 20]).contains("\"tooLong\""));
    assert_eq!(said_to(&key, br#"{"id": 1, "verb": "unplug"}"#), "", "without the end of its line");
    assert_eq!(key.client().result("status", json!({}))["isPluggedIn"], true);
}

#[test]
fn clients_are_bounded_and_one_that_leaves_makes_room() {
    let key = Key::new(&[]);
    let mut clients: Vec<_> = (0..32).map(|_| key.client()).collect();
    for client in &mut clients {
        client.result("status", json!({}));
    }
    for _ in 0..40 {
        let mut one_more = key.client();
        one_more.stream.write_all(b"{\"id\": 1, \"verb\": \"status\"}\n").unwrap();
        let refused = one_more.line().unwrap();
        assert!(is_refusal(&refused) && refused["error"]["code"] == "busy", "{refused}");
        assert!(one_more.line().is_none());
    }
    drop(clients.pop());
    let start = Instant::now();
    while key.client().first_answer()["error"]["code"] == "busy" {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

/// Its answers fill the socket; then it is given five seconds.
#[test]
fn a_client_that_does_not_read_is_closed_and_holds_up_nobody() {
    const REQUESTS: usize = 40;
    let key = Key::new(&[]);
    let (mut stuck, mut other) = (key.client(), key.client());
    stuck.result("subscribe", json!({}));
    other.result("subscribe", json!({}));
    for _ in 0..REQUESTS {
        stuck.send("getSchema", json!({}));
    }
    let start = Instant::now();
    other.result("create", page(creation()));
    other.result("get", request());
    assert!(start.elapsed() < Duration::from_secs(3));
    std::thread::sleep(Duration::from_secs(6));
    let mut said = String::new();
    let _ = stuck.lines.read_to_string(&mut said);
    assert!(said.lines().count() < REQUESTS, "{} answers", said.lines().count());
    other.result("get", request());
    other.result("status", json!({}));
    let events = |name: &str| other.events.iter().filter(|event| event["event"] == name).count();
    assert_eq!(events("lost"), 0);
    assert_eq!(events("opened"), 3, "one for each ceremony");
}

#[test]
fn the_socket_is_its_owners_and_is_removed_with_the_key() {
    let key = Key::new(&[]);
    assert_eq!(fs::metadata(&key.socket).unwrap().permissions().mode() & 0o777, 0o600);
    let path = key.socket.to_str().unwrap();
    let refused = |output: Output| {
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let serve =
        |control: &str| refused(keyfob(&["serve", "--tcp", "127.0.0.1:0", "--control", control]).output().unwrap());
    assert!(serve(path).contains("another program listens there"));
    assert!(serve("/nonexistent/control").contains("there is no such folder"));
    assert!(serve("tcp:0.0.0.0:0").contains("loopback address only"));
    assert!(serve(&format!("tcp:{}", key.door)).contains("the port is taken"));
    let store = ["serve", "--tcp", "127.0.0.1:0", "--control", path, "--store", "x"];
    assert!(refused(keyfob(&store).output().unwrap()).contains("--store"));
    Command::new("kill").args(["-TERM", &key.process.id().to_string()]).status().unwrap();
    let start = Instant::now();
    while key.socket.exists() {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_tcp_socket_takes_the_same_lines() {
    let mut process = keyfob(&["serve", "--json", "--tcp", "127.0.0.1:0", "--control", "tcp:127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let serving: Value = serde_json::from_str(&line).unwrap();
    let mut stream = TcpStream::connect(serving["control"].as_str().unwrap().strip_prefix("tcp:").unwrap()).unwrap();
    writeln!(stream, r#"{{"id": "a", "verb": "getSchema"}}"#).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    let published = include_str!("../../docs/control.schema.json");
    assert_eq!(answer["result"]["schema"], serde_json::from_str::<Value>(published).unwrap());
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Whoever is killed leaves its socket to the next two.
#[test]
fn of_two_programs_that_find_a_socket_without_a_listener_one_serves() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    for round in 0..15 {
        let serve = ["serve", "--json", "--tcp", "127.0.0.1:0", "--control", socket.to_str().unwrap()];
        let mut both = [(); 2].map(|()| keyfob(&serve).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        let serves = both.each_mut().map(|process| {
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            !line.is_empty()
        });
        assert_ne!(serves[0], serves[1], "round {round}");
        Client::new(&socket).result("status", json!({}));
        for (mut process, serves) in both.into_iter().zip(serves) {
            if serves {
                process.kill().unwrap();
                process.wait().unwrap();
                continue;
            }
            let said = process.wait_with_output().unwrap();
            assert!(String::from_utf8(said.stderr).unwrap().contains("another program listens there"), "round {round}");
        }
        assert!(socket.exists(), "it was killed");
    }
}

/// The end of a pipe that nobody reads.
fn unread() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}

fn wait_until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_key_whose_lines_nobody_reads_is_served_until_a_signal_and_leaves_nothing() {
    for signal in ["-TERM", "-INT", "-HUP"] {
        let folder = tempfile::tempdir().unwrap();
        let [control, door] = ["control", "door"].map(|name| folder.path().join(name));
        let (at, unix) = (control.to_str().unwrap(), door.to_str().unwrap());
        let serve = ["serve", "--json", "--unix", unix, "--pin", "random", "--control", at];
        let mut process = keyfob(&serve).stdout(unread()).stderr(unread()).spawn().unwrap();
        wait_until(|| UnixStream::connect(&control).is_ok());
        let mut client = Client::new(&control);
        client.result("subscribe", json!({}));
        client.result("setUserVerified", json!({ "isUserVerified": true }));
        UnixStream::connect(&door).unwrap();
        client.wait_for("opened");
        Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap();
        assert!(process.wait().unwrap().success(), "{signal}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{signal}");
    }
}

/// The run directory is in TMPDIR, and the library warns on the standard error that nothing has opened the key.
#[test]
fn a_command_below_keyfob_ends_with_its_status_whoever_reads_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let command: [&[&str]; 2] = [&["run", "--events"], &["webdriver", "--listen", "127.0.0.1:0"]];
    for arguments in command {
        let arguments = [arguments, &["--", "sh", "-c", "exit 7"]].concat();
        let mut process = keyfob(&arguments);
        process.env("TMPDIR", folder.path()).stdout(unread()).stderr(unread());
        assert_eq!(process.status().unwrap().code(), Some(7), "{arguments:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}");
    }
}

/// The command gets the address of the socket.
#[test]
fn a_key_of_a_command_is_controlled_where_the_environment_says() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control");
    let command = ["run", "--control", socket.to_str().unwrap(), "--", "sh", "-c", "echo $KEYFOB_CONTROL; read line"];
    let mut process = keyfob(&command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), socket.to_str().unwrap());
    let mut client = Client::new(&socket);
    client.result("subscribe", json!({}));
    client.result("create", page(creation()));
    client.wait_for("answered");
    drop(process.stdin.take());
    process.wait().unwrap();
    assert!(!socket.exists());
}
