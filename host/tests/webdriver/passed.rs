//! What is passed on to a driver. The driver is this test program, started by a script.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::mpsc,
    thread,
};

use serde_json::{Value, json};

use crate::{
    call,
    http::{Server, as_error, error, receive, send},
    page::devices,
};

const PORT: &str = "KEYFOB_TEST_DRIVER";

/// A server with a driver, and the folder with the driver's script.
fn with_driver(arguments: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (script, this) = (folder.path().join("driver"), env::current_exe().unwrap());
    let run = format!("exec '{}' --exact passed::the_driver --nocapture", this.display());
    // The arguments of the driver: its port, and what stands behind `--`.
    fs::write(&script, format!("#!/bin/sh\n{PORT}=\"$*\" {run}\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start(&[&["--driver", script.to_str().unwrap()], arguments].concat());
    (server, folder)
}

/// A request: its first line, its other lines, its body.
fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, String, String)> {
    let (mut line, mut headers) = (String::new(), String::new());
    stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).unwrap();
        if header == "\r\n" {
            break;
        }
        headers += &header.to_lowercase();
    }
    let length =
        headers.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Some((line.trim().replace(" HTTP/1.1", ""), headers, String::from_utf8(body).unwrap()))
}

/// Is the driver in the process that the script starts, and nothing in this one: it answers with what it was sent.
#[test]
fn the_driver() {
    let Ok(arguments) = env::var(PORT) else { return };
    let port = arguments.strip_prefix("--port=").unwrap().split(' ').next().unwrap();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let (go, goes) = mpsc::channel();
    let goes = std::sync::Arc::new(std::sync::Mutex::new(goes));
    for stream in listener.incoming() {
        let (go, goes, arguments) = (go.clone(), goes.clone(), arguments.clone());
        thread::spawn(move || {
            let mut stream = BufReader::new(stream.unwrap());
            let Some((line, headers, body)) = read(&mut stream) else { return };
            let mut stream = stream.into_inner();
            let head = "Content-Type: application/json; charset=utf-8\r\n";
            match &*line {
                "GET /slow" => {
                    write!(stream, "HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                        .unwrap();
                    goes.lock().unwrap().recv().unwrap();
                    let _ = write!(stream, "6\r\nsecond\r\n0\r\n\r\n");
                    return;
                }
                "GET /go" => go.send(()).unwrap(),
                "GET /exit" => std::process::exit(3),
                "GET /hang-up" => return,
                _ => {}
            }
            let is_wrong = body.contains("\"wrong\"");
            let asked = if body.len() < 1 << 20 { Value::from(&*body) } else { body.len().into() };
            let value = match &*line {
                "POST /session" if is_wrong => {
                    json!({ "error": "session not created", "message": "as asked", "stacktrace": "" })
                }
                "POST /session" => json!({ "sessionId": "of-driver", "capabilities": {
                    "browserName": "firefox", "asked": asked, "webauthn:extension:cmtgKey": true,
                } }),
                // The windows that are left.
                "DELETE /session/of-driver/window" => json!([]),
                _ => {
                    json!({ "line": line, "headers": headers, "body": body, "arguments": arguments, "devices": devices() })
                }
            };
            let status = if is_wrong { "500 Internal Server Error" } else { "200 OK" };
            let body = json!({ "value": value }).to_string();
            write!(stream, "HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        });
    }
}

#[test]
fn every_other_request_reaches_the_driver_as_it_was_sent() {
    let (server, _folder) = with_driver(&["--", "--log", "trace"]);
    for (line, body) in [
        ("GET /status", ""),
        ("POST /session/a/url", r#"{"url": "http://localhost/"}"#),
        ("DELETE /session/a/cookie/b%20c?d=e", ""),
        ("POST /session/a/webauthnx", "not JSON"),
    ] {
        let (status, value) = call(server.address, line, body);
        assert_eq!((status, &value["line"], &value["body"]), (200, &json!(line), &json!(body)));
        assert!(value["headers"].as_str().unwrap().contains("host: 127.0.0.1:"), "{value}");
        let arguments = value["arguments"].as_str().unwrap();
        assert!(arguments.starts_with("--port=") && arguments.ends_with(" --log trace"), "{arguments}");
    }
    let large = "x".repeat(5 << 20);
    assert_eq!(call(server.address, "POST /session/a/execute/sync", &large).1["body"].as_str().unwrap().len(), 5 << 20);
    let headers = format!("Host: {}\r\nX-Own: kept\r\nTE: trailers\r\n", server.address);
    let (_, value) = receive(send(server.address, "GET /status", &headers, ""));
    let headers = value["headers"].as_str().unwrap();
    assert!(headers.contains("x-own: kept") && !headers.contains("te: "), "{headers}");
    let foreign = "Host: localhost\r\nOrigin: http://localhost\r\n";
    assert_eq!(error(receive(send(server.address, "GET /status", foreign, ""))), as_error((403, "unknown error")));
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_response_comes_as_the_driver_sends_it() {
    let (server, _folder) = with_driver(&[]);
    let host = format!("Host: {}\r\n", server.address);
    let mut slow = send(server.address, "GET /slow", &host, "");
    let mut text = String::new();
    while !text.contains("first") {
        let mut bytes = [0; 1024];
        let length = slow.read(&mut bytes).unwrap();
        assert_ne!(length, 0, "{text}");
        text += std::str::from_utf8(&bytes[..length]).unwrap();
    }
    // The driver still works on it: other requests pass, and one of them lets it go on.
    assert_eq!(call(server.address, "GET /go", "").0, 200);
    slow.read_to_string(&mut text).unwrap();
    assert!(text.contains("second"), "{text}");
}

#[test]
fn a_new_session_is_the_drivers_without_our_capabilities_and_with_them_in_the_answer() {
    let (server, _folder) = with_driver(&["--browser-name", "chrome"]);
    let asked = r#"{"capabilities": {"alwaysMatch": {"webauthn:virtualAuthenticators": true, "acceptInsecureCerts": true},
        "firstMatch": [{"webauthn:extension:uvm": true}, {"webauthn:extension:prf": true, "browserName": "firefox"}]}}"#;
    let (status, made) = call(server.address, "POST /session", asked);
    assert_eq!((status, &made["sessionId"]), (200, &json!("of-driver")));
    let capabilities = &made["capabilities"];
    let passed: Value = serde_json::from_str(capabilities["asked"].as_str().unwrap()).unwrap();
    let expected = json!({ "capabilities": {
        "alwaysMatch": { "acceptInsecureCerts": true }, "firstMatch": [{ "browserName": "firefox" }],
    } });
    assert_eq!((passed, &capabilities["browserName"]), (expected, &json!("chrome")));
    assert_eq!(capabilities["webauthn:virtualAuthenticators"], true);
    assert_eq!(capabilities.get("webauthn:extension:cmtgKey"), None, "the driver's own authenticators are not used");

    let body = r#"{"protocol": "ctap2", "transport": "usb"}"#;
    let line = "POST /session/of-driver/webauthn/authenticator";
    assert_eq!(call(server.address, line, body).0, 200);
    let seen = |line: &str| call(server.address, line, "").1["devices"].as_array().unwrap().len();
    assert_eq!(seen("GET /session/of-driver/url"), 1, "the driver sees the key");
    assert_eq!(seen("DELETE /session/of-driver"), 1, "until its session has ended");
    assert_eq!(seen("GET /status"), 0);
    assert_eq!(error(call(server.address, line, body)), as_error((404, "invalid session id")));

    assert_eq!(call(server.address, "POST /session", asked).0, 200);
    assert_eq!(call(server.address, line, body).0, 200);
    assert_eq!(call(server.address, "DELETE /session/of-driver/window", "").1, json!([]));
    assert_eq!(seen("GET /status"), 0, "the session ends with its last window");

    let wrong = r#"{"capabilities": {"alwaysMatch": {"browserName": "wrong"}}}"#;
    assert_eq!(error(call(server.address, "POST /session", wrong)), as_error((500, "session not created")));
    assert_eq!(error(call(server.address, line, body)), as_error((404, "invalid session id")));
}

/// The most memory that this process has had, in bytes.
fn most_memory(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn a_long_new_session_takes_a_few_times_its_length_in_memory() {
    let (server, _folder) = with_driver(&[]);
    let before = most_memory(server.id());
    // Many small values.
    let zeros = "0,".repeat(8 << 20);
    let body = format!(
        r#"{{"capabilities": {{"alwaysMatch": {{"webauthn:virtualAuthenticators": true, "x": [{zeros}0]}}}}}}"#
    );
    let (status, made) = call(server.address, "POST /session", &body);
    let gone = r#""webauthn:virtualAuthenticators": true, "#.len();
    assert_eq!(status, 200);
    let passed = made["capabilities"]["asked"].as_u64().unwrap() as usize;
    assert!((body.len() - gone - 8..=body.len() - gone).contains(&passed), "without spaces: {passed}");
    let taken = most_memory(server.id()) - before;
    assert!(taken < 4 * body.len(), "{taken} for {}", body.len());
    let too_long = format!(r#"{{"capabilities": {{}}, "x": "{}"}}"#, "x".repeat(64 << 20));
    assert_eq!(error(call(server.address, "POST /session", &too_long)), as_error((400, "invalid argument")));
}

#[test]
fn a_driver_that_does_not_answer_is_an_unknown_error() {
    let (server, _folder) = with_driver(&[]);
    let (status, value) = call(server.address, "GET /hang-up", "");
    assert!(value["message"].as_str().unwrap().starts_with("the driver does not answer: "), "{value}");
    assert_eq!(error((status, value)), as_error((500, "unknown error")));
    assert_eq!(call(server.address, "GET /status", "").0, 200, "the driver is still there");
}

#[test]
fn when_the_driver_ends_the_server_answers_and_ends() {
    let (mut server, _folder) = with_driver(&[]);
    assert_eq!(call(server.address, "POST /session", r#"{"capabilities": {}}"#).0, 200);
    let authenticator = r#"{"protocol": "ctap2", "transport": "usb"}"#;
    assert_eq!(call(server.address, "POST /session/of-driver/webauthn/authenticator", authenticator).0, 200);
    assert_eq!(error(call(server.address, "GET /exit", "")), as_error((500, "unknown error")));
    assert_eq!(server.wait(), Some(1));
}
