//! Orders to a hub.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mio::Waker;

/// Gives orders to a hub, from any thread.
#[derive(Clone)]
pub struct HubHandle {
    waker: Arc<Waker>,
    orders: Arc<Orders>,
}

#[derive(Default)]
struct Orders {
    stop: AtomicBool,
    replug: AtomicBool,
}

impl HubHandle {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self { waker, orders: Arc::default() }
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

    /// Lets the key look at once whether its user has touched it.
    pub fn wake(&self) {
        // Without its hub there is nothing to wake.
        let _ = self.waker.wake();
    }
}
