//! A virtual key on a thread of its own, and the pipe to it.

use std::{
    sync::{OnceLock, mpsc},
    thread,
    time::{self, Duration},
};

use keyfob_core::{Instant, transport::AsyncReportIo};
use keyfob_soft_authenticator::{
    devices::{KeyOptions, VirtualKey},
    engine::Config,
};
use tokio::sync::mpsc as channel;

/// The client's end.
pub struct Usb {
    to_key: mpsc::Sender<[u8; 64]>,
    from_key: channel::UnboundedReceiver<[u8; 64]>,
}

/// The key is gone.
#[derive(Debug)]
pub struct Unplugged;

impl AsyncReportIo for Usb {
    type Error = Unplugged;

    async fn write(&mut self, report: &[u8; 64]) -> Result<(), Unplugged> {
        self.to_key.send(*report).map_err(|_| Unplugged)
    }

    async fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, Unplugged> {
        match tokio::time::timeout(wait, self.from_key.recv()).await {
            Ok(Some(report)) => Ok(Some(report)),
            Ok(None) => Err(Unplugged),
            Err(_) => Ok(None),
        }
    }
}

/// The time since the first call.
pub fn now() -> Instant {
    static START: OnceLock<time::Instant> = OnceLock::new();
    let elapsed = START.get_or_init(time::Instant::now).elapsed();
    Instant::from_millis(u64::try_from(elapsed.as_millis()).unwrap())
}

/// Plugs a key in. It ends with the pipe.
pub fn plug_in() -> Usb {
    let (to_key, requests) = mpsc::channel::<[u8; 64]>();
    let (answers, from_key) = channel::unbounded_channel();
    thread::spawn(move || {
        let config = Config::new([0; 16]);
        let mut memory = vec![0; config.buffer_len()];
        let mut key = VirtualKey::new(&mut memory, KeyOptions::new(config)).unwrap();
        let mut pause = None;
        loop {
            match requests.recv_timeout(pause.unwrap_or(Duration::from_secs(60))) {
                Ok(report) => key.receive(&report),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            pause = key.work();
            while let Some(report) = key.transmit() {
                if answers.send(report).is_err() {
                    return;
                }
                pause = pause.or(Some(Duration::ZERO));
            }
        }
    });
    Usb { to_key, from_key }
}
