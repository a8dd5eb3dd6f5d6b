//! `keyfob run`: the command that it runs, and the key that the command sees.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods)]

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use keyfob_core::transport::hid::REPORT_DESCRIPTOR;
use socket2::{Domain, Protocol, Socket, Type};

/// `keyfob run` with these arguments.
fn keyfob_run(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.arg("run").args(arguments).stdin(Stdio::null());
    command
}

/// `keyfob run` with a script for a shell.
fn shell(script: &str) -> Output {
    keyfob_run(&["--", "sh", "-c", script]).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a test of this name below `keyfob run`. Returns whether this is the process below it.
fn is_below(name: &str) -> bool {
    if env::var_os("KEYFOB_RUN").is_some() {
        return true;
    }
    let this = env::current_exe().unwrap();
    let output = keyfob_run(&["--", this.to_str().unwrap(), "--exact", name, "--nocapture"]).output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    false
}

/// Every hidraw device that `/dev` shows.
fn devices() -> Vec<PathBuf> {
    let entries = fs::read_dir("/dev").unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_str().unwrap().starts_with("/dev/hidraw")).collect()
}

fn open(path: &Path) -> fs::File {
    fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// A report as it is written to a hidraw device, with report id 0 before it.
fn report(channel: [u8; 4], command: u8, message: &[u8]) -> [u8; 65] {
    let mut report = [0; 65];
    report[1..5].copy_from_slice(&channel);
    report[5] = command;
    report[7] = message.len() as u8;
    report[8..8 + message.len()].copy_from_slice(message);
    report
}

fn read(key: &mut fs::File) -> [u8; 64] {
    let mut report = [0; 64];
    assert_eq!(key.read(&mut report).unwrap(), 64);
    report
}

/// CTAPHID_INIT: the channel.
fn init(key: &mut fs::File, nonce: [u8; 8]) -> [u8; 4] {
    assert_eq!(key.write(&report([0xFF; 4], 0x86, &nonce)).unwrap(), 65);
    loop {
        let answer = read(key);
        if answer[..5] == [0xFF, 0xFF, 0xFF, 0xFF, 0x86] && answer[7..15] == nonce {
            return answer[15..19].try_into().unwrap();
        }
    }
}

#[test]
fn the_command_sees_one_key_and_the_key_answers() {
    if !is_below("the_command_sees_one_key_and_the_key_answers") {
        return;
    }
    let [path] = &devices()[..] else { panic!("{:?}", devices()) };
    let mut key = open(path);
    let channel = init(&mut key, *b"a nonce!");
    key.write_all(&report(channel, 0x90, &[0x04])).unwrap();
    let answer = read(&mut key);
    assert_eq!((&answer[..4], answer[4], answer[7]), (&channel[..], 0x90, 0), "getInfo");
}

#[test]
fn every_opener_sees_every_report_and_closing_one_unplugs_nothing() {
    if !is_below("every_opener_sees_every_report_and_closing_one_unplugs_nothing") {
        return;
    }
    let path = &devices()[0];
    let (mut one, mut two) = (open(path), open(path));
    let (first, second) = (init(&mut one, [1; 8]), init(&mut two, [2; 8]));
    assert_ne!(first, second);
    one.write_all(&report(first, 0x81, b"ping")).unwrap();
    for key in [&mut one, &mut two] {
        let answer = loop {
            let answer = read(key);
            if answer[4] == 0x81 {
                break answer;
            }
        };
        assert_eq!((&answer[..4], &answer[7..11]), (&first[..], &b"ping"[..]));
    }
    drop(two);
    one.write_all(&report(first, 0x81, b"pong")).unwrap();
    assert_eq!(read(&mut one)[7..11], *b"pong", "the channel is still known");
    drop(one);
    let mut again = open(path);
    again.write_all(&report(first, 0x81, b"back")).unwrap();
    assert_eq!(read(&mut again)[7..11], *b"back", "also when nobody had the key open");
}

#[test]
fn a_key_that_is_unplugged_closes_its_openers_and_is_back_at_once() {
    if !is_below("a_key_that_is_unplugged_closes_its_openers_and_is_back_at_once") {
        return;
    }
    let path = &devices()[0];
    let mut key = open(path);
    init(&mut key, [1; 8]);
    let keyfob = rustix::process::getppid().unwrap();
    rustix::process::kill_process(keyfob, rustix::process::Signal::USR1).unwrap();
    assert_eq!(key.read(&mut [0; 64]).unwrap_err().raw_os_error(), Some(libc::EIO), "the end");
    assert_eq!(key.write(&[0; 65]).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    init(&mut open(path), [2; 8]);
}

#[test]
fn a_program_that_listens_to_udev_hears_that_the_key_is_unplugged_and_plugged_in() {
    if !is_below("a_program_that_listens_to_udev_hears_that_the_key_is_unplugged_and_plugged_in") {
        return;
    }
    let (domain, protocol) = (Domain::from(libc::AF_NETLINK), Protocol::from(libc::NETLINK_KOBJECT_UEVENT));
    let listen = || Socket::new(domain, Type::from(libc::SOCK_DGRAM), Some(protocol)).unwrap();
    let (left, mut first, mut second) = (listen(), listen(), listen());
    drop(left);
    let folder =
        env::var("KEYFOB_RUN").unwrap().split(':').nth(2).map(|folder| Path::new(folder).join("udev")).unwrap();
    let sockets = || fs::read_dir(&folder).unwrap().count();
    assert_eq!(sockets(), 3);
    for number in [2, 4] {
        let keyfob = rustix::process::getppid().unwrap();
        rustix::process::kill_process(keyfob, rustix::process::Signal::USR1).unwrap();
        for socket in [&mut first, &mut second] {
            socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            for (action, number) in [("remove", number), ("add", number + 1)] {
                let mut event = [0; 1000];
                let length = socket.read(&mut event).unwrap();
                let (header, properties) = event[..length].split_at(40);
                let size = (properties.len() as u32).to_ne_bytes();
                let sizes = [&[40, 0, 0, 0, 40, 0, 0, 0], &size[..]].concat();
                assert_eq!(header[..24], [b"libudev\0\xFE\xED\xCA\xFE", &sizes[..]].concat());
                let properties = text(properties);
                assert!(properties.starts_with(&format!("ACTION={action}\0DEVPATH=/devices/")), "{properties}");
                assert!(properties.ends_with(&format!("SEQNUM={number}\0")), "{properties}");
                assert!(properties.contains("\0TAGS=:security-device:\0"), "as udev's database has it");
                let value = |name| properties.split('\0').find_map(|line| line.strip_prefix(name)).unwrap();
                assert_eq!(Path::new(value("DEVNAME=")), devices()[0]);
                let status = fs::metadata(format!("/sys{}/dev", value("DEVPATH="))).unwrap();
                assert!(status.is_file(), "the path is that of the device");
            }
        }
    }
    assert_eq!(sockets(), 2, "what is closed is forgotten");
}

#[test]
fn events_are_told_beside_the_commands_output() {
    let output = keyfob_run(&["--events", "--", "sh", "-c", "echo output"]).output().unwrap();
    assert_eq!(text(&output.stdout), "output\n");
    assert!(text(&output.stderr).starts_with("The key is plugged in.\n"), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("\nThe key is unplugged.\n"), "the last one: {}", text(&output.stderr));
    let quiet = shell("for key in /dev/hidraw*; do exec 3<>$key; done");
    assert_eq!(text(&quiet.stderr), "");
    let output = keyfob_run(&["--touch", "prompt", "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--touch prompt asks on the standard input"), "{}", text(&output.stderr));
}

#[test]
fn the_kernels_folders_describe_a_usb_key() {
    if !is_below("the_kernels_folders_describe_a_usb_key") {
        return;
    }
    let name = devices()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let class = PathBuf::from("/sys/class/hidraw").join(&name);
    let device = fs::canonicalize(&class).unwrap();
    assert!(device.starts_with("/sys/devices/platform/keyfob"), "{}", device.display());
    let read = |path: &str| text(&fs::read(device.join(path)).unwrap());
    assert_eq!(fs::read(device.join("device/report_descriptor")).unwrap(), REPORT_DESCRIPTOR);
    let hid = read("device/uevent");
    assert!(hid.contains("HID_ID=0003:00001209:0000F1D0\nHID_NAME=keyfob virtual security key\n"), "{hid}");
    assert_eq!(fs::canonicalize(device.join("subsystem")).unwrap(), Path::new("/sys/class/hidraw"));
    let usb = device.ancestors().find(|folder| folder.join("idVendor").exists()).unwrap();
    for (file, value) in [
        ("idVendor", "1209"),
        ("idProduct", "f1d0"),
        ("bcdDevice", "0100"),
        ("manufacturer", "keyfob"),
        ("product", "virtual security key"),
    ] {
        assert_eq!(text(&fs::read(usb.join(file)).unwrap()), format!("{value}\n"), "{file}");
    }
    assert_eq!(fs::read_link(usb.join("subsystem")).unwrap().file_name().unwrap(), "usb");
    let number = read("dev");
    let by_number = fs::canonicalize(format!("/sys/dev/char/{}", number.trim())).unwrap();
    assert_eq!(by_number, device);
    assert!(read("uevent").ends_with(&format!("DEVNAME={name}\n")));
    let database = fs::read_to_string(format!("/run/udev/data/c{}", number.trim())).unwrap();
    assert!(database.contains("E:ID_FIDO_TOKEN=1\n"), "{database}");
}

#[test]
fn the_exit_status_is_the_commands() {
    assert_eq!(shell("exit 7").status.code(), Some(7));
    assert_eq!(shell("kill -TERM $$").status.code(), Some(128 + 15));
    let missing = keyfob_run(&["--", "there-is-no-such-command"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(127));
    assert!(text(&missing.stderr).contains("there is no command there-is-no-such-command"));
    let folder = keyfob_run(&["--", "/"]).output().unwrap();
    assert_eq!(folder.status.code(), Some(126), "{}", text(&folder.stderr));
    let wrong = keyfob_run(&["--profile", "u2f_only", "--uv", "auto", "--", "true"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("do not go together"), "{}", text(&wrong.stderr));
}

#[test]
fn a_switch_of_the_command_is_not_one_of_keyfob() {
    let output = keyfob_run(&["sh", "-c", "echo \"$0\" \"$1\"", "--touch", "--help"]).output().unwrap();
    assert_eq!(text(&output.stdout), "--touch --help\n");
}

#[test]
fn the_run_directory_is_its_owners_and_goes_with_the_command() {
    let output = shell(
        "directory=${KEYFOB_RUN#*:*:}; stat -c %a \"$directory\"; echo \"$directory\"; test -S \"$directory\"/dev/hidraw*",
    );
    assert!(output.status.success());
    let said = text(&output.stdout);
    let (mode, directory) = said.trim().split_once('\n').unwrap();
    assert_eq!(mode, "700");
    assert!(!Path::new(directory).exists());
}

#[test]
fn what_is_preloaded_already_stays() {
    let output =
        keyfob_run(&["--", "sh", "-c", "echo \"$LD_PRELOAD\""]).env("LD_PRELOAD", "libm.so.6").output().unwrap();
    let said = text(&output.stdout);
    assert!(said.contains("libkeyfob_preload.so:libm.so.6\n"), "{said}");
}

#[test]
fn a_command_that_did_not_open_the_key_is_told_why() {
    let said = text(&shell("true").stderr);
    assert!(said.starts_with("keyfob: nothing opened the virtual key, /dev/hidraw"), "{said}");
    assert_eq!(said.lines().count(), 1);
    let said = text(&keyfob_run(&["--", "env", "-i", "sh", "-c", "true"]).output().unwrap().stderr);
    assert!(said.contains("of another user, or that clear their environment"), "{said}");
    let opens = shell("for key in /dev/hidraw*; do exec 3<>$key; done");
    assert_eq!((opens.status.code(), text(&opens.stderr)), (Some(0), String::new()));
}

#[test]
fn a_signal_is_passed_on_and_the_command_decides() {
    let mut keyfob = keyfob_run(&["--", "sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(keyfob.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    rustix::process::kill_process(rustix::process::Pid::from_child(&keyfob), rustix::process::Signal::TERM).unwrap();
    assert_eq!(keyfob.wait().unwrap().code(), Some(9));
}

/// A shell that ignores a signal, and starts `keyfob run` with another script.
fn ignoring(signal: &str, script: &str) -> Output {
    let start = format!("trap '' {signal}; exec \"$0\" run -- sh -c \"$1\"");
    Command::new("sh").args(["-c", &start, env!("CARGO_BIN_EXE_keyfob"), script]).output().unwrap()
}

#[test]
fn what_is_ignored_stays_ignored_below() {
    for signal in ["HUP", "INT", "QUIT"] {
        let output = ignoring(signal, &format!("kill -{signal} $$; echo alive"));
        assert_eq!(text(&output.stdout), "alive\n", "{signal}");
    }
    let output = ignoring("CHLD", "exit 7");
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
}

/// `keyfob run` in the foreground of a terminal of its own.
fn on_a_terminal(script: &str) -> (fs::File, std::process::Child) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let keyfob = Command::new("setsid")
        // What runs the tests may ignore interrupts, and the script then could not catch them.
        .args(["--ctty", "env", "--default-signal=INT"])
        .args([env!("CARGO_BIN_EXE_keyfob"), "run", "--", "sh", "-c", script])
        .stdin(open(Path::new(&path)))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (terminal.into(), keyfob)
}

#[test]
fn an_interrupt_of_the_terminal_comes_once() {
    let script = "trap 'echo int' INT; echo ready; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.05; done";
    let (mut terminal, mut keyfob) = on_a_terminal(script);
    let mut said = BufReader::new(keyfob.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    terminal.write_all(b"\x03").unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "int\n");
    keyfob.wait().unwrap();
}

#[test]
fn the_command_has_the_name_that_was_typed() {
    let output = keyfob_run(&["--", "cat", "/proc/self/cmdline"]).output().unwrap();
    assert_eq!(text(&output.stdout), "cat\0/proc/self/cmdline\0");
}

#[test]
fn the_folder_for_the_library_may_be_a_link_and_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let parent = fs::canonicalize(env::temp_dir()).unwrap();
    let real = parent.join(std::ffi::OsStr::from_bytes(format!("keyfob-{}-", std::process::id()).as_bytes()));
    let mut name = real.into_os_string();
    name.push(std::ffi::OsStr::from_bytes(b"\xFF"));
    let link = parent.join(format!("keyfob-{}-link", std::process::id()));
    fs::create_dir(&name).unwrap();
    std::os::unix::fs::symlink(&name, &link).unwrap();
    let script = "printf %s \"${KEYFOB_RUN#*:*:}\"; for key in /dev/hidraw*; do exec 3<>$key; done";
    let output = keyfob_run(&["--", "sh", "-c", script]).env("TMPDIR", &link).output().unwrap();
    fs::remove_file(&link).unwrap();
    fs::remove_dir(&name).unwrap();
    assert!(output.stdout.starts_with(name.as_bytes()), "{}", text(&output.stdout));
    assert_eq!(text(&output.stderr), "", "the key was opened");
}

#[test]
fn a_folder_for_the_library_must_fit_it() {
    let relative = keyfob_run(&["--", "true"]).env("TMPDIR", "relative").output().unwrap();
    assert!(relative.status.success(), "another folder is taken: {}", text(&relative.stderr));
    let spaced = env::temp_dir().join(format!("keyfob run {}", std::process::id()));
    fs::create_dir(&spaced).unwrap();
    let output = keyfob_run(&["--", "sh", "-c", "echo \"$KEYFOB_RUN\""]).env("TMPDIR", &spaced).output().unwrap();
    fs::remove_dir(&spaced).unwrap();
    assert!(output.status.success() && !text(&output.stdout).contains(' '), "{}", text(&output.stdout));
}
