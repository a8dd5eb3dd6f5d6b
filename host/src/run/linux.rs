//! The key, the command, and what is between them.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use keyfob_soft_authenticator::devices::hub::{Hub, HubHandle};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::Signals,
};

use super::{
    Arguments,
    directory::{self, RunDirectory},
    monitors::Monitors,
    program,
};
use crate::{control, notes::Stream, signals};

/// Exit statuses of shells for a command that is not there, and for one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;
/// What does not end this process, and is passed on.
const PASSED: [i32; 5] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2];

/// The command, until its end is collected: then another process can have its number.
type Running = Arc<Mutex<Option<Pid>>>;

/// # Errors
/// What the user has to know, in a line.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    if arguments.key.asks_on_terminal() {
        return Err("--touch prompt asks on the standard input, which the command has".into());
    }
    arguments.told.check()?;
    let (name, rest) = arguments.command.split_first().ok_or("there is no command")?;
    let Some(program) = program::find(name) else {
        crate::warn(format_args!("there is no command {}", name.display()));
        return Ok(ExitCode::from(NOT_FOUND));
    };
    let obstacle = program::obstacle(&program);
    if let Some(why) = &obstacle {
        crate::warn(format_args!("warning: {why}: it does not load the library, and does not see the key."));
    }
    // From here on, a signal does not end this process before the directory is removed.
    let mut signals = signals().map_err(|error| format!("cannot receive signals: {error}"))?;
    let directory = RunDirectory::new()?;
    let key = Key::plug_in(arguments, &directory)?;
    let early = signals.pending().find(|number| PASSED.contains(number));
    if let Some(number) = early {
        return Ok(ExitCode::from(code(ExitStatus::from_raw(number))));
    }
    let mut command = Command::new(&program);
    command.arg0(name).args(rest);
    if let Some(place) = &key.control {
        command.env(control::VARIABLE, place);
    }
    command.envs(environment(&directory));
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            crate::warn(format_args!("cannot run {}: {error}", program.display()));
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            return Ok(ExitCode::from(if is_missing { NOT_FOUND } else { NOT_RUN }));
        }
    };
    let running = Running::new(Mutex::new(Some(Pid::from_child(&child))));
    obey(signals, running.clone(), key.handle.clone());
    let status = wait(&mut child, &running);
    let status = status.map_err(|error| format!("cannot wait for {}: {error}", program.display()))?;
    // Its last events are told before this.
    drop(key);
    if !directory.was_opened() && obstacle.is_none() {
        crate::warn(format_args!("{}", unopened(&directory, name)));
    }
    Ok(ExitCode::from(code(status)))
}

/// Receives signals, except those to pass on that this process was told to ignore, as `nohup` and shells do with what
/// runs in the background: the command ignores them then.
///
/// SIGCHLD is among them for its effect only: where it was ignored, the end of the command would be lost.
fn signals() -> io::Result<Signals> {
    let is_ignored = |number: &i32| signals::is_ignored(*number);
    Signals::new(PASSED.into_iter().filter(|number| !is_ignored(number)).chain([SIGUSR1, SIGCHLD]))
}

/// Waits for the end of the command, then lets no signal go to it, then collects it.
fn wait(child: &mut Child, running: &Running) -> io::Result<ExitStatus> {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(Pid::from_child(child)), ended))?;
    *running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    child.wait()
}

/// What a program has in its environment to see the keys.
pub fn environment(directory: &RunDirectory) -> [(&'static str, OsString); 2] {
    [("LD_PRELOAD", preloads(directory)), (keyfob_preload::VARIABLE, directory.variable())]
}

/// The library before what is preloaded anyway.
fn preloads(directory: &RunDirectory) -> OsString {
    let mut preloads = directory.library().into_os_string();
    if let Some(others) = env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        preloads.push(":");
        preloads.push(others);
    }
    preloads
}

/// As shells have it: a command that a signal ended has 128 and the signal's number.
pub fn code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| signal.saturating_add(128)));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Why no program has opened the key.
fn unopened(directory: &RunDirectory, name: &OsStr) -> String {
    let (name, node) = (name.display(), directory::node(directory.numbers().start));
    if directory.was_loaded() {
        format!(
            "nothing opened the virtual key, /dev/{node}. Programs that are setuid, setgid, linked statically, of another user, \
             or that clear their environment do not see it; nor do those that {name} asks and did not start."
        )
    } else {
        format!("{name} did not load the library, so it did not see the virtual key.")
    }
}

/// Unplugs the key and plugs it in again at SIGUSR1, and passes other signals on to the command, as long as this process
/// lives.
fn obey(mut signals: Signals, running: Running, key: HubHandle) {
    thread::spawn(move || {
        for number in signals.forever() {
            if number == SIGUSR1 {
                key.replug();
                continue;
            }
            // In the foreground, the terminal sends these to the command as well.
            let is_sent = matches!(number, SIGINT | SIGQUIT) && is_in_foreground();
            if is_sent || !PASSED.contains(&number) {
                continue;
            }
            let running = running.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(pid), Some(signal)) = (*running, Signal::from_named_raw(number)) {
                // It fails if the command has other rights.
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    });
}

/// Whether this process and its command belong to the foreground of a terminal. Who sent a signal, the library for
/// signals tells only with code in C.
fn is_in_foreground() -> bool {
    let terminal = File::open("/dev/tty").ok().and_then(|tty| rustix::termios::tcgetpgrp(tty).ok());
    terminal == Some(rustix::process::getpgrp())
}

/// A key that is plugged in, on a thread of its own. Unplugged when it is dropped.
struct Key {
    handle: HubHandle,
    /// Where its control socket is.
    control: Option<String>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Key {
    /// # Errors
    /// Why the key cannot be made, in a line.
    fn plug_in(arguments: &Arguments, directory: &RunDirectory) -> Result<Self, String> {
        let broken = |error| format!("cannot make a socket for events of udev: {error}");
        let monitors = Monitors::new(&directory.monitor(), directory.monitors()).map_err(broken)?;
        let number = directory.numbers().start;
        directory.add(number).map_err(|error| format!("cannot make the key's files: {error}"))?;
        let (arguments, socket, properties) =
            (arguments.clone(), directory.socket(number), directory.properties(number));
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            if let Err(why) = serve(&arguments, &socket, &properties, monitors, &ready)
                && ready.send(Err(why.clone())).is_err()
            {
                // The command runs already.
                crate::warn(format_args!("{why}"));
            }
        });
        let (handle, control) = is_ready.recv().map_err(|_| "the key's thread ended")??;
        Ok(Self { handle, control, thread: Some(thread) })
    }
}

/// What gives orders to the hub, and where its control socket is.
type Plugged = (HubHandle, Option<String>);

/// Serves a key until its hub is stopped. Sends the hub's handle as soon as clients can connect.
///
/// # Errors
/// What failed, in a line.
fn serve(
    arguments: &Arguments,
    socket: &Path,
    properties: &str,
    mut monitors: Monitors,
    ready: &mpsc::Sender<Result<Plugged, String>>,
) -> Result<(), String> {
    let is_told = arguments.events || arguments.told.is_asked_for();
    let notes = arguments.told.notes(Stream::Error);
    let served = arguments.key.with_key(&notes, false, &arguments.control, |key| {
        let broken = |error| format!("the key's socket failed: {error}");
        let mut hub = Hub::new(key).map_err(broken)?;
        hub.keep_plugged_in();
        hub.listen_packets(socket).map_err(broken)?;
        let control = arguments.control.serve(hub.handle(), notes.audience())?;
        let mut events = arguments.told.events(&notes)?.silent(!is_told);
        // It is received, or nobody waits for it any more.
        let _ = ready.send(Ok((hub.handle(), control.as_ref().map(|control| control.place.clone()))));
        hub.run(|event| {
            monitors.tell(&event, properties);
            if is_told || control.is_some() {
                events.tell(&event);
            }
        })
        .map_err(broken)
    });
    notes.finish();
    served
}

impl Drop for Key {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has said so.
            let _ = thread.join();
        }
    }
}
