//! `keyfob load` against a server that counts, and against servers that fail. `interop/load` has real ones.
#![allow(clippy::disallowed_methods)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Command, Output, Stdio},
    thread,
};

use serde_json::Value;

#[path = "load/server.rs"]
mod server;

/// A server that answers every request so, and then closes. Returns its URL.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                request.read_line(&mut line).unwrap();
                if let Some((_, value)) = line.split_once(':').filter(|(name, _)| *name == "content-length") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            request.read_exact(&mut vec![0; length]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://127.0.0.1:{port}")
}

fn load(server: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(["load", "--json", "--server", server]).args(arguments).stdin(Stdio::null());
    command.output().unwrap()
}

/// The report, and the exit code.
fn report(output: &Output) -> (Value, i32) {
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code().unwrap())
}

#[track_caller]
fn assert_counts(report: &Value, counts: [(&str, u64); 4]) {
    for (name, count) in counts {
        assert_eq!(report[name], count, "{name}: {report}");
    }
}

#[test]
fn a_hundred_clients_register_once_and_sign_in_every_round() {
    let (report, code) = report(&load(&server::start(), &["--clients", "100", "--rounds", "3", "--seed", "7"]));
    assert_counts(&report, [("registrations", 100), ("signIns", 300), ("deletions", 0), ("errors", 0)]);
    assert_eq!((code, report["end"].as_str(), &report["seed"]), (0, Some("complete"), &7.into()));
    for (step, count) in [
        ("connect", 100),
        ("attestation/options", 100),
        ("key: create", 100),
        ("attestation/result", 100),
        ("assertion/options", 300),
        ("key: get", 300),
        ("assertion/result", 300),
    ] {
        let latency = &report["latencies"][step];
        assert_eq!(latency["count"], count, "{step}");
        let buckets = latency["histogram"].as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap());
        assert_eq!(buckets.sum::<u64>(), count, "{step}");
        let times: Vec<f64> = ["p50", "p90", "p99", "p999", "max"].map(|name| latency[name].as_f64().unwrap()).into();
        assert!(times.is_sorted(), "{step}: {times:?}");
    }
}

#[test]
fn a_thousand_clients_have_small_keys() {
    let (report, code) = report(&load(&server::start(), &["--clients", "1000", "--rounds", "1", "--seed", "7"]));
    assert_counts(&report, [("registrations", 1000), ("signIns", 1000), ("deletions", 0), ("errors", 0)]);
    assert_eq!(code, 0);
    if cfg!(target_os = "linux") {
        let bytes = report["bytesPerKey"].as_u64().unwrap();
        assert!((1_000..20_000).contains(&bytes), "{report}");
    }
}

#[test]
fn a_hundred_clients_churn_and_leave_nothing() {
    let server = server::start();
    let arguments = ["--clients", "100", "--rounds", "2", "--pattern", "churn", "--discoverable", "--seed", "7"];
    // The accounts are gone: the same names register again.
    for _ in 0..2 {
        let (report, code) = report(&load(&server, &arguments));
        assert_counts(&report, [("registrations", 200), ("signIns", 200), ("deletions", 200), ("errors", 0)]);
        assert_eq!(code, 0);
    }
}

#[test]
fn discoverable_credentials_sign_in_without_a_name() {
    let (report, code) = report(&load(&server::start(), &["--clients", "5", "--rounds", "2", "--discoverable"]));
    assert_counts(&report, [("registrations", 5), ("signIns", 10), ("unfinishedClients", 0), ("errors", 0)]);
    assert_eq!(code, 0);
}

/// More refusals than a key of the fleet has places for discoverable credentials.
#[test]
fn clients_that_are_refused_again_and_again_register_in_the_end() {
    let server = server::refusing(5);
    let arguments = ["--clients", "1", "--duration", "20", "--rounds", "2", "--discoverable"];
    let (report, code) = report(&load(&server, &arguments));
    assert_counts(&report, [("registrations", 1), ("signIns", 2), ("errors", 5), ("removedFromKeys", 5)]);
    assert_eq!((code, report["end"].as_str()), (3, Some("complete")));
    let errors = report["errorsByKind"].as_array().unwrap();
    assert!(errors.iter().all(|error| error["kind"] == "refused"), "{report}");
}

#[test]
fn clients_of_the_same_seed_meet_their_accounts() {
    let server = server::start();
    let arguments = ["--clients", "3", "--rounds", "1", "--seed", "7"];
    assert_eq!(load(&server, &arguments).status.code(), Some(0));
    let (report, code) = report(&load(&server, &arguments));
    assert_counts(&report, [("registrations", 0), ("signIns", 0), ("unfinishedClients", 0), ("errors", 3)]);
    let error = &report["errorsByKind"][0];
    assert_eq!((code, error["kind"].as_str(), &error["count"]), (4, Some("refused"), &3.into()), "{report}");
    assert_eq!(error["step"], "attestation/options");
}

#[test]
fn each_kind_of_error_is_named_with_an_example() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cases = [
        (format!("http://{closed}"), "unreachable", "the connection is refused"),
        (
            answering("HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n<!doctype html>\n<p>Hello"),
            "not-the-interface",
            "200: <!doctype html> <p>Hello",
        ),
        (answering("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n"), "not-the-interface", "302: an empty body"),
        (answering("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nlost"), "server-error", "500: lost"),
        (
            answering(
                "HTTP/1.1 400 Bad Request\r\ncontent-length: 48\r\n\r\n\
                 {\"status\": \"failed\", \"errorMessage\": \"too late\"}",
            ),
            "refused",
            "400: too late",
        ),
        (
            answering("HTTP/1.1 200 OK\r\ncontent-length: 39\r\n\r\n{\"status\": \"ok\", \"challenge\": \"YWJjZA\"}"),
            "options",
            "the options cannot be read",
        ),
        (answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"), "broken", "error reading a body"),
        (answering("220 mail.example.org ESMTP\r\n"), "broken", "invalid HTTP"),
    ];
    for (server, kind, example) in cases {
        let (report, code) = report(&load(&server, &["--clients", "2", "--quiet"]));
        assert_eq!((code, &report["errors"]), (4, &2.into()), "{report}");
        let error = &report["errorsByKind"][0];
        assert_eq!(error["kind"], kind, "{report}");
        assert!(error["example"].as_str().unwrap().contains(example), "{report}");
    }
}

#[test]
fn a_server_that_does_not_answer_costs_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // it never accepts
    let server = format!("http://{}", listener.local_addr().unwrap());
    let (report, code) = report(&load(&server, &["--clients", "1", "--timeout", "1"]));
    assert_eq!((code, &report["errorsByKind"][0]["kind"]), (4, &"timeout".into()), "{report}");
}

#[test]
fn an_origin_that_the_relying_party_does_not_have_is_the_browsers_error() {
    let arguments = ["--clients", "2", "--rounds", "1", "--origin", "https://elsewhere.example"];
    let (report, code) = report(&load(&server::start(), &arguments));
    let error = &report["errorsByKind"][0];
    assert_eq!((code, error["kind"].as_str(), error["step"].as_str()), (4, Some("key"), Some("key: create")));
    assert!(error["example"].as_str().unwrap().starts_with("the page https://elsewhere.example: "), "{report}");
}

#[test]
fn it_ends_with_its_duration() {
    let (report, code) = report(&load(&server::start(), &["--clients", "4", "--duration", "1", "--ramp", "1"]));
    assert_eq!((code, report["end"].as_str(), &report["unfinishedClients"]), (0, Some("duration"), &4.into()));
    assert!(report["signIns"].as_u64().unwrap() > 0, "{report}");
    let seconds = report["seconds"].as_f64().unwrap();
    assert!((1.0..3.0).contains(&seconds), "{seconds}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_the_report() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(["load", "--server", &server::start(), "--clients", "4", "--duration", "600"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap(); // it has begun
    assert!(line.contains("registered 4  signed in "), "{line}");
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    thread::spawn(move || std::io::copy(&mut progress, &mut std::io::sink()));
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with("4 clients at http://127.0.0.1:"), "{text}");
    assert!(text.contains("\n4 registrations, ") && text.contains("\nassertion/result "), "{text}");
}

#[test]
fn what_is_not_an_http_url_is_refused_before_anything_begins() {
    for url in ["localhost:8080", "https://localhost", "http://user@localhost", "no url"] {
        let output = load(url, &["--clients", "1"]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{url}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("for '--server <URL>'"), "{url}");
    }
}
