//! The keys that the browsers see: each is a hidraw device in the run directory, served by a thread of its own.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use keyfob_core::transport::hid::MAX_MESSAGE;
use keyfob_soft_authenticator::{
    devices::{
        KeyOptions, VirtualKey,
        hub::{Hub, HubHandle},
    },
    testing::Control,
};

use super::problem::Problem;
use crate::run::{directory::RunDirectory, monitors::Monitors};

/// The ports into which keys can be plugged.
#[derive(Clone)]
pub struct Ports(Arc<Shared>);

struct Shared {
    directory: RunDirectory,
    monitors: Arc<Mutex<Monitors>>,
    /// The numbers of keys that are plugged in.
    taken: Mutex<Vec<u32>>,
}

impl Ports {
    /// # Errors
    /// Why there can be none, in a line.
    pub fn new() -> Result<Self, String> {
        let directory = RunDirectory::new()?;
        let monitors = Monitors::new(&directory.monitor(), directory.monitors());
        let monitors = monitors.map_err(|error| format!("cannot make a socket for events of udev: {error}"))?;
        let (monitors, taken) = (Arc::new(Mutex::new(monitors)), Mutex::default());
        Ok(Self(Arc::new(Shared { directory, monitors, taken })))
    }

    /// What a program has in its environment to see the keys.
    pub fn directory(&self) -> &RunDirectory {
        &self.0.directory
    }

    fn taken(&self) -> MutexGuard<'_, Vec<u32>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plugs a key in.
    ///
    /// # Errors
    /// unsupported operation: all ports are taken. unknown error: the operating system refuses something.
    pub fn plug_in(&self, options: KeyOptions<'static>) -> Result<Key, Problem> {
        let directory = &self.0.directory;
        let number = {
            let mut taken = self.taken();
            let number = directory.numbers().find(|number| !taken.contains(number));
            let full =
                || Problem::unsupported_operation(format!("{} authenticators are plugged in already", taken.len()));
            let number = number.ok_or_else(full)?;
            taken.push(number);
            number
        };
        // From here on, what is dropped gives the port back.
        let port = Port { ports: self.clone(), number };
        let broken = |error| Problem::unknown_error(format!("cannot make the key's files: {error}"));
        directory.add(number).map_err(broken)?;
        let (socket, properties) = (directory.socket(number), directory.properties(number));
        let monitors = self.0.monitors.clone();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            if let Err(why) = serve(options, &socket, &properties, &monitors, &ready)
                && ready.send(Err(why.clone())).is_err()
            {
                eprintln!("keyfob: {why}");
            }
        });
        let started = is_ready.recv().unwrap_or_else(|_| Err("the key's thread ended".into()));
        let (control, handle) = started.map_err(Problem::unknown_error)?;
        Ok(Key { control, handle, thread: Some(thread), _port: port })
    }
}

/// A port that is taken, until it is dropped.
struct Port {
    ports: Ports,
    number: u32,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.ports.0.directory.remove(self.number);
        self.ports.taken().retain(|number| *number != self.number);
    }
}

/// A key that is plugged in. Unplugged when it is dropped.
pub struct Key {
    pub control: Control,
    handle: HubHandle,
    thread: Option<JoinHandle<()>>,
    /// Given back when the key is gone.
    _port: Port,
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

type Ready = Result<(Control, HubHandle), String>;

/// Serves a key until its hub is stopped.
///
/// # Errors
/// What failed, in a line.
fn serve(
    options: KeyOptions<'static>,
    socket: &Path,
    properties: &str,
    monitors: &Mutex<Monitors>,
    ready: &mpsc::Sender<Ready>,
) -> Result<(), String> {
    let mut buffer = vec![0; options.config.buffer_len().max(MAX_MESSAGE)];
    let (mut key, control) =
        VirtualKey::controlled(&mut buffer, options).map_err(|error| format!("cannot make a key: {error}"))?;
    let broken = |error| format!("the key's socket failed: {error}");
    let mut hub = Hub::new(&mut key).map_err(broken)?;
    hub.keep_plugged_in();
    hub.listen_packets(socket).map_err(broken)?;
    // It is received, or nobody waits for it any more.
    let _ = ready.send(Ok((control, hub.handle())));
    let told = hub.run(|event| monitors.lock().unwrap_or_else(PoisonError::into_inner).tell(&event, properties));
    told.map_err(broken)
}
