//! Orders to a hub.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use mio::Waker;

use crate::devices::Pipe;
#[cfg(feature = "testing")]
use crate::testing::{Browser, Control};

/// What joins the two ends of a connection inside this process.
#[cfg(unix)]
pub(super) type Joint = std::os::unix::net::UnixStream;
#[cfg(not(unix))]
pub(super) type Joint = std::net::TcpStream;

/// The client's end of a connection inside the process of the hub.
pub type ProcessPipe = Pipe<Joint>;

/// Gives orders to a hub, from any thread.
#[derive(Clone)]
pub struct HubHandle {
    waker: Arc<Waker>,
    orders: Arc<Orders>,
    #[cfg(feature = "testing")]
    control: Option<Control>,
}

#[derive(Default)]
struct Orders {
    stop: AtomicBool,
    replug: AtomicBool,
    /// The hub's ends of connections that it does not have yet.
    clients: Mutex<Vec<Joint>>,
}

impl HubHandle {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            waker,
            orders: Arc::default(),
            #[cfg(feature = "testing")]
            control: None,
        }
    }

    /// The same, with what controls the key.
    #[cfg(feature = "testing")]
    pub(super) fn controlled(self, control: Option<Control>) -> Self {
        Self { control, ..self }
    }

    /// The connections that have come since this was called last.
    pub(super) fn takes_clients(&self) -> Vec<Joint> {
        std::mem::take(&mut self.orders.clients.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the hub is to stop. Asked once for each order.
    pub(super) fn takes_stop(&self) -> bool {
        self.orders.stop.swap(false, Ordering::Relaxed)
    }

    /// Whether the key is to be replugged. Asked once for each order.
    pub(super) fn takes_replug(&self) -> bool {
        self.orders.replug.swap(false, Ordering::Relaxed)
    }

    /// Unplugs the key and plugs it in again: every connection is closed. A key that a test has unplugged stays out.
    pub fn replug(&self) {
        self.orders.replug.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Lets [`Hub::run`](super::Hub::run) return.
    pub fn stop(&self) {
        self.orders.stop.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Connects a client in this process, who needs no door. The hub answers while it runs.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn connect(&self) -> io::Result<ProcessPipe> {
        let (client, hub) = joint()?;
        hub.set_nonblocking(true)?;
        self.orders.clients.lock().unwrap_or_else(PoisonError::into_inner).push(hub);
        self.wake();
        Ok(Pipe::new(client))
    }

    /// What controls the key, if it was made with
    /// [`VirtualKey::controlled`](crate::devices::VirtualKey::controlled).
    #[cfg(feature = "testing")]
    pub const fn control(&self) -> Option<&Control> {
        self.control.as_ref()
    }

    /// A page of this origin, in a browser of this process that sees this key alone. Its ceremonies take real time, and
    /// block the thread that calls them.
    #[cfg(feature = "testing")]
    pub fn browser(&self, origin: &str) -> Browser {
        Browser::behind(self.clone(), origin)
    }

    /// Lets the key look at once whether its user has touched it.
    pub fn wake(&self) {
        // Without its hub there is nothing to wake.
        let _ = self.waker.wake();
    }
}

#[cfg(unix)]
fn joint() -> io::Result<(Joint, Joint)> {
    Joint::pair()
}

/// Another process that connects in between is turned away.
#[cfg(not(unix))]
fn joint() -> io::Result<(Joint, Joint)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let client = Joint::connect(listener.local_addr()?)?;
    loop {
        let (hub, address) = listener.accept()?;
        if address == client.local_addr()? {
            return Ok((client, hub));
        }
    }
}
