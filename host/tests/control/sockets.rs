//! Where the socket is, who has it, and what is left of it.

use super::*;

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
    let published = include_str!("../../../docs/control.schema.json");
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

fn wait_until(mut is_so: impl FnMut() -> bool) {
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
        // Whoever has started the tests may ignore it, as `nohup` does.
        let mut process = Command::new("env");
        process.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_keyfob")]).args(serve);
        let mut process = process.stdin(Stdio::null()).stdout(unread()).stderr(unread()).spawn().unwrap();
        wait_until(|| UnixStream::connect(&control).is_ok());
        let mut client = Client::new(&control);
        client.result("subscribe", json!({}));
        client.result("setUserVerified", json!({ "isUserVerified": true }));
        UnixStream::connect(&door).unwrap();
        client.wait_for("opened");
        Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap();
        let mut ended = None;
        wait_until(|| {
            ended = process.try_wait().unwrap();
            ended.is_some()
        });
        assert!(ended.unwrap().success(), "{signal}");
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
