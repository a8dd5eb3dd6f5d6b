//! The command as its users meet it: what it prints, and how it exits.
#![allow(clippy::disallowed_methods)]

#[cfg(unix)]
#[path = "cli/doors.rs"]
mod doors;
#[path = "cli/knobs.rs"]
mod knobs;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
};

fn keyfob(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    keyfob(arguments).output().unwrap()
}

#[test]
fn the_demo_registers_and_signs_in() {
    for algorithm in ["es256", "eddsa"] {
        let output = run(&["demo", "--algorithm", algorithm]);
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().ends_with("\nRegistered and signed in.\n"));
    }
}

/// The standard output of the demo.
fn demo(arguments: &[&str]) -> String {
    let output = run(&[&["demo"], arguments].concat());
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_demo_shows_a_line_a_message_and_fits_on_a_screen() {
    let text = demo(&[]);
    assert!(text.lines().count() < 40, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\x1b'), "no colours where no terminal is");
    let starting = |with: &str| text.lines().filter(|line| line.starts_with(with)).count();
    let requests = demo_objects().iter().filter(|object| object["event"] == "request").count();
    assert_eq!((starting("   -> authenticator"), starting("   <- ")), (requests, requests));
    assert!(text.contains("authenticatorClientPIN setPIN"), "{text}");
}

#[test]
fn the_demo_shows_everything_when_it_is_asked_to() {
    let text = demo(&["--trace"]);
    for shown in ["clientDataHash: h'", "subCommand: 3 / setPIN /", "authData.flags: 0x", "  verified: type, challenge"]
    {
        assert!(text.contains(shown), "{shown}");
    }
    fails(&["demo", "--trace", "--json"], 2, "the argument '--trace' cannot be used with '--json'");
}

/// What the demo shows as JSON.
fn demo_objects() -> Vec<serde_json::Value> {
    demo(&["--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_demo_in_json_is_one_object_a_line_with_typed_members() {
    let objects = demo_objects();
    let of = |event: &str, command: &str| {
        let named = |object: &&serde_json::Value| object["event"] == event && object["command"] == command;
        objects.iter().find(named).unwrap_or_else(|| panic!("{event} {command}"))
    };
    assert!(objects.iter().all(|object| object["event"].is_string() && object["microseconds"].is_u64()));
    let request = &of("request", "authenticatorMakeCredential")["members"];
    assert_eq!(request["rp"]["id"], "example.org");
    assert_eq!(request["clientDataHash"]["hex"].as_str().unwrap().len(), 64);
    assert_eq!((&request["options"]["rk"], &request["pubKeyCredParams"][0]["alg"]), (&true.into(), &(-7).into()));
    let response = of("response", "authenticatorMakeCredential");
    assert_eq!(response["status"], "OK");
    let key = &response["members"]["authData"]["credentialPublicKey"];
    assert_eq!((&key["alg"], &response["members"]["authData"]["signCount"]), (&(-7).into(), &0.into()));
    assert!(response["message"]["hex"].as_str().unwrap().starts_with("00"));
    let info = &of("response", "authenticatorGetInfo")["members"];
    assert_eq!((&info["maxMsgSize"], &info["options"]["clientPin"]), (&7609.into(), &false.into()));
    assert!(objects.iter().any(|object| object["event"] == "keepAlive"));
    let verified = objects.iter().find(|object| object["event"] == "verified").unwrap();
    assert_eq!(verified["checks"][0], "type");
    assert_eq!(objects.last().unwrap()["outcome"], "Registered and signed in.");
}

/// A name of a member means one thing: its values are of one type, in whatever object it stands.
#[test]
fn a_member_of_the_demo_in_json_has_one_type() {
    let mut types = std::collections::HashMap::new();
    for (name, value) in demo_objects().iter().flat_map(|object| object.as_object().unwrap().clone()) {
        let kind = std::mem::discriminant(&value);
        assert_eq!(*types.entry(name.clone()).or_insert(kind), kind, "{name}");
    }
}

/// Defect 17 of `docs/fido2-client.md`.
#[test]
fn a_pin_goes_out_in_its_one_form_however_it_was_typed() {
    let sent = |pin: &str| {
        let output = run(&["demo", "--json", "--seed", "1", "--pin", pin]);
        assert!(output.status.success());
        let lines = String::from_utf8(output.stdout).unwrap();
        let objects = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        objects
            .filter(|object| object["event"] == "request")
            .map(|object| object["message"].clone())
            .collect::<Vec<_>>()
    };
    let composed = sent("p\u{ea}che");
    assert!(composed.len() > 5);
    assert_eq!(composed, sent("pe\u{302}che"));
    assert_ne!(composed, sent("peche"));
}

/// Checks that the command fails with this exit code and one line that says why.
fn fails(arguments: &[&str], code: i32, why: &str) {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.lines().next().unwrap_or_default().contains(why), "{arguments:?}: {said}");
    assert!(code == 2 || said.lines().count() == 1, "{arguments:?}: {said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_the_user_got_wrong_is_said_in_a_line() {
    fails(&["demo", "--pin", "123"], 1, "the PIN is too short: it takes at least 4 characters");
    fails(&["demo", "--pin", &"1".repeat(64)], 1, "the PIN is too long: it takes at most 63 bytes");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(&["serve", "--tcp", &address], 1, "the port is taken by another program");
    // TEST-NET-1 (RFC 5737): no machine has it.
    fails(&["serve", "--tcp", "192.0.2.1:7000"], 1, "this machine does not have that address");
    fails(&["serve", "--tcp", "127.0.0.1:99999"], 1, "cannot listen on 127.0.0.1:99999");
    fails(&["serve", "--tcp", "nonsense"], 1, "cannot listen on nonsense");
    let minimal = ["serve", "--tcp", "127.0.0.1:0", "--profile", "minimal_2_0", "--enterprise", "example.com"];
    fails(&minimal, 1, "--profile minimal_2_0 and --enterprise do not go together: enterprise attestation is");
    // Usage errors, as the argument parser words them: 2.
    fails(&["serve"], 2, "required arguments");
    fails(&["serve", "--tcp", "127.0.0.1:0", "--profile", "unknown"], 2, "invalid value 'unknown'");
    fails(&["demo", "--unknown"], 2, "unexpected argument '--unknown'");
}

/// A key that is served with these options, and a connection to it. Ends with the test.
struct Served(Child, TcpStream);

impl Served {
    fn new(options: &[&str]) -> Self {
        let arguments = [&["serve", "--tcp", "127.0.0.1:0"], options].concat();
        let mut server = keyfob(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap();
        let stream = TcpStream::connect(address.trim_end_matches('.')).unwrap();
        Self(server, stream)
    }

    /// Sends a message of one report, and reads one report.
    fn call(&mut self, channel: &[u8], command: u8, message: &[u8]) -> [u8; 64] {
        let mut report = [channel, &[command, 0, message.len() as u8], message].concat();
        report.resize(64, 0);
        self.1.write_all(&report).unwrap();
        let mut answer = [0; 64];
        self.1.read_exact(&mut answer).unwrap();
        answer
    }

    /// CTAPHID_INIT on the broadcast channel: the new channel and the capabilities.
    fn init(&mut self) -> ([u8; 4], u8) {
        let answer = self.call(&[0xFF; 4], 0x86, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(answer[7..15], [1, 2, 3, 4, 5, 6, 7, 8]);
        (answer[15..19].try_into().unwrap(), answer[23])
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_served_key_says_where_it_is_and_answers_there() {
    let mut served = Served::new(&[]);
    let (channel, capabilities) = served.init();
    assert_eq!(capabilities & 0x04, 0x04, "CTAP2");
    let answer = served.call(&channel, 0x90, &[0x04]);
    assert_eq!((answer[4], answer[7]), (0x90, 0), "getInfo");
}

#[test]
fn a_key_for_u2f_only_says_so_and_refuses_ctap2() {
    let mut served = Served::new(&["--profile", "u2f_only"]);
    let (channel, capabilities) = served.init();
    assert_eq!(capabilities, 0x01, "WINK, no CTAP2, and U2F is not denied");
    assert_eq!(served.call(&channel, 0x90, &[0x04])[4..8], [0xBF, 0, 1, 0x01], "CTAPHID_ERROR, INVALID_CMD");
    assert_eq!(served.call(&channel, 0x83, &[0, 3, 0, 0, 0, 0, 0])[7..15], *b"U2F_V2\x90\x00");
}

#[test]
fn a_channel_is_locked_only_where_that_is_switched_on() {
    for (switches, answer) in [(&[][..], [0xBF, 0, 1, 0x01]), (&["--lock"], [0x84, 0, 0, 0])] {
        let mut served = Served::new(switches);
        let (channel, _) = served.init();
        assert_eq!(served.call(&channel, 0x84, &[1])[4..8], answer, "{switches:?}");
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_demo_quietly() {
    let mut demo = keyfob(&["demo"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(demo.stdout.take());
    let output = demo.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = keyfob(&["demo"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("keyfob: cannot write to the standard output"));
}

#[test]
fn serve_says_who_plugs_in_and_leaves_and_goes_on_when_nobody_reads() {
    let mut server = keyfob(&["serve", "--tcp", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let address = first.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap().trim_end_matches('.');
    let (mut init, mut answer) = ([0; 64], [0; 64]);
    init[..15].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    let mut plug_in = || {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(&init).unwrap();
        client.read_exact(&mut answer).unwrap();
        client.local_addr().unwrap()
    };
    let peer = plug_in();
    assert_eq!(lines.next().unwrap(), "The key is plugged in.");
    assert_eq!(lines.next().unwrap(), format!("{peer} opened the key."));
    assert_eq!(lines.next().unwrap(), format!("{peer} closed the key."));
    assert_eq!(lines.next().unwrap(), "The key is unplugged.");
    drop(lines);
    for _ in 0..3 {
        plug_in();
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn serve_warns_of_an_address_that_others_can_reach() {
    for (address, warns) in [("0.0.0.0:0", true), ("127.0.0.1:0", false)] {
        let mut command = keyfob(&["serve", "--tcp", address]);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        server.kill().unwrap();
        let said = String::from_utf8(server.wait_with_output().unwrap().stderr).unwrap();
        assert_eq!(said.contains("is not a loopback address"), warns, "{said}");
    }
}
