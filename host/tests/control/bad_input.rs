//! What the socket refuses, and clients that do not behave.

use super::*;

/// The form of the schema: these members, and a code that it names.
fn is_refusal(line: &Value) -> bool {
    let published: Value = serde_json::from_str(include_str!("../../../docs/control.schema.json")).unwrap();
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
