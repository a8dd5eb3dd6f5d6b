//! Keys that are processes of the real program, one at each door.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use keyfob_core::Status;
use keyfob_preload::VARIABLE;
use tempfile::TempDir;

use super::{
    client::{Client, PATIENCE},
    door::{Door, kernels_device},
};

const ANY_PORT: &str = "127.0.0.1:0";
/// How much more memory a key may have during a fault, in kB. A door lets 512 reports wait for each client.
const GROWTH: u64 = 2048;

/// A key that a fault happens to.
pub struct Key {
    pub door: Door,
    /// The process that the key is in.
    process: u32,
}

impl Key {
    /// Unplugs the key and plugs it in again.
    pub fn replug(&self) {
        let process = rustix::process::Pid::from_raw(self.process.cast_signed()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::USR1).unwrap();
    }
}

/// Calls `fault` with a key at each door, all at once, and checks afterwards that the key makes a credential, has no
/// more files open than before, and never had much more memory. The test named `test` must do nothing else: it runs once more below
/// `keyfob run`, for the key that that command shows.
///
/// A door of uhid is there where this process may use `/dev/uhid`. With a door's name in the variable KEYFOB_DOOR, it is
/// the only one.
pub fn at_each_door(test: &str, options: &[&str], fault: fn(&Key)) {
    if env::var_os(VARIABLE).is_some() {
        let keyfob = rustix::process::getppid().unwrap();
        let process = keyfob.as_raw_nonzero().get().cast_unsigned();
        return check(&Key { door: Door::Hidraw(the_device()), process }, fault);
    }
    let only = env::var("KEYFOB_DOOR").ok();
    thread::scope(|scope| {
        let names = ["tcp", "unix", "udp", "usbip", "packets", "run", "uhid"];
        for name in names.into_iter().filter(|name| only.as_ref().is_none_or(|only| only == name)) {
            let at_door = move || match name {
                "run" => below_run(test, options),
                "packets" => {
                    let process = Process::run(options);
                    check(&Key { door: process.packets(), process: process.child.id() }, fault);
                }
                "uhid" => at_uhid(options, fault),
                _ => {
                    let process = Process::serve(&[name], options);
                    check(&Key { door: process.door(name), process: process.child.id() }, fault);
                }
            };
            // The name of the thread is in the message of a failure.
            thread::Builder::new().name(format!("{test}, {name}")).spawn_scoped(scope, at_door).unwrap();
        }
    });
}

/// One key at a time has the kernel's device, so that it is found.
fn at_uhid(options: &[&str], fault: fn(&Key)) {
    static DEVICE: Mutex<()> = Mutex::new(());
    if fs::OpenOptions::new().read(true).write(true).open("/dev/uhid").is_err() {
        return;
    }
    let _one = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let process = Process::serve(&["uhid"], options);
    check(&Key { door: process.door("uhid"), process: process.child.id() }, fault);
}

fn check(key: &Key, fault: fn(&Key)) {
    let files = files(key.process);
    assert!(Client::open(&key.door).is_in_step());
    let memory = memory(key.process, "VmRSS");
    fault(key);
    assert_eq!(Client::open(&key.door).register("example.org"), Status::OK);
    let start = Instant::now();
    // Fewer are fine: `keyfob run` lists a folder now and then.
    while self::files(key.process).len() > files.len() {
        assert!(start.elapsed() < PATIENCE, "had {files:?}, has {:?}", self::files(key.process));
        thread::sleep(Duration::from_millis(5));
    }
    let growth = self::memory(key.process, "VmHWM").saturating_sub(memory);
    assert!(growth <= GROWTH, "up to {growth} kB more than {memory} kB")
}

/// The open files of a process.
fn files(process: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    // What is closed in the meantime has no target.
    entries.map(|entry| fs::read_link(entry.unwrap().path()).unwrap_or_default()).collect()
}

/// The memory of a process, in kB: now (`VmRSS`), or the most that it had (`VmHWM`).
fn memory(process: u32, member: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix(member)).unwrap();
    memory.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs this test below `keyfob run`.
fn below_run(test: &str, options: &[&str]) {
    let this = env::current_exe().unwrap();
    let command = [&["run"], options, &["--", this.to_str().unwrap(), "--exact", test, "--nocapture"]].concat();
    let output = keyfob(&command).output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The only hidraw device that `keyfob run` shows.
fn the_device() -> PathBuf {
    let entries = fs::read_dir("/dev").unwrap().map(|entry| entry.unwrap().path());
    let devices: Vec<_> = entries.filter(|path| path.to_str().unwrap().starts_with("/dev/hidraw")).collect();
    let [device] = &devices[..] else { panic!("{devices:?}") };
    device.clone()
}

fn keyfob(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A process of keyfob. Killed in the end.
pub struct Process {
    child: Child,
    /// The first line that it said.
    says: String,
    /// For sockets and the like.
    folder: TempDir,
}

impl Process {
    /// A key that is served at these doors.
    pub fn serve(doors: &[&str], options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let mut arguments = vec!["serve"];
        for door in doors {
            match *door {
                "tcp" => arguments.extend(["--tcp", ANY_PORT]),
                "unix" => arguments.extend(["--unix", socket.to_str().unwrap()]),
                "udp" => arguments.extend(["--udp", ANY_PORT]),
                "usbip" => arguments.extend(["--usbip", ANY_PORT]),
                other => arguments.extend([format!("--{other}").leak() as &str]),
            }
        }
        arguments.extend(options);
        let mut child = keyfob(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let says = read(child.stdout.take().unwrap());
        Self { child, says, folder }
    }

    /// A key below which a command waits until it is killed.
    pub fn run(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("echo \"${VARIABLE}\"; exec cat");
        let arguments = [&["run"], options, &["--", "sh", "-c", &script]].concat();
        let mut command = keyfob(&arguments);
        let mut child =
            command.env("TMPDIR", folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let says = read(child.stdout.take().unwrap());
        Self { child, says, folder }
    }

    /// A door of a key that is served.
    pub fn door(&self, name: &str) -> Door {
        let address = || {
            let mut words = self.says.split_whitespace();
            words.find(|word| *word == name).unwrap();
            words.next().unwrap().trim_end_matches('.').parse().unwrap()
        };
        match name {
            "tcp" => Door::Tcp(address()),
            "unix" => Door::Unix(self.folder.path().join("socket")),
            "udp" => Door::Udp(address()),
            "usbip" => Door::Usbip(address()),
            _ => {
                let start = Instant::now();
                while kernels_device().is_none() {
                    assert!(start.elapsed() < PATIENCE, "the kernel made no device");
                    thread::sleep(Duration::from_millis(10));
                }
                Door::Uhid
            }
        }
    }

    /// The socket behind the device that `keyfob run` shows.
    pub fn packets(&self) -> Door {
        let mut parts = self.says.trim().splitn(3, ':');
        let (_, number, folder) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
        Door::Packets(Path::new(folder).join("dev").join(format!("hidraw{number}")))
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line. The others are read and lost, so that they never wait.
fn read(output: ChildStdout) -> String {
    let mut output = BufReader::new(output);
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    first
}
