//! The library: the example `desk` registers and signs in, at each kind of address, blocking and on tokio.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods)]

use std::process::{Command, Output, Stdio};

#[path = "client/served.rs"]
#[allow(dead_code, unused_imports)]
mod served;

use served::{Served, keyfob, text};

/// The example, which is built beside the tests.
fn example() -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_keyfob"));
    program.with_file_name("examples").join("desk").to_str().unwrap().to_owned()
}

fn signs_in(output: &Output) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let said = text(&output.stdout);
    let touches = said.lines().filter(|line| *line == "Touch your security key.").count();
    assert!(touches == 2 && said.contains("Registered a credential") && said.contains("Signed in with"), "{said}");
}

fn desk(arguments: &[&str]) -> Output {
    Command::new(example()).args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_program_registers_and_signs_in_over_a_socket_blocking_and_on_tokio() {
    let key = Served::new(&[]);
    signs_in(&desk(&[&key.address]));
    signs_in(&desk(&[&key.address, "--async"]));
}

#[test]
fn a_program_registers_and_signs_in_over_hidraw_blocking_and_on_tokio() {
    for flags in [&[][..], &["--async"]] {
        signs_in(&keyfob(&[&["run", "--uv", "none", "--", &example()], flags].concat()).output().unwrap());
    }
}

#[test]
fn a_key_that_is_not_there_is_an_error_and_so_is_one_that_goes() {
    for flags in [&[][..], &["--async"]] {
        let output = desk(&[&["unix:/nowhere/key"], flags].concat());
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("NotFound"), "{said}");
        // It is pulled out while it waits for a touch.
        let mut key = Served::new(&["--touch", "never"]);
        let mut program = Command::new(example());
        program.args([&[&key.address[..]], flags].concat()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = program.spawn().unwrap();
        key.tells("waits for a touch");
        key.server.kill().unwrap();
        let output = program.wait_with_output().unwrap();
        assert!(!output.status.success(), "{}", text(&output.stderr));
    }
}
