//! Signals to a key that is served.

use std::io;

use keyfob_soft_authenticator::devices::hub::HubHandle;

/// Lets the hub stop at SIGINT and SIGTERM, so that it can clean up, and unplugs the key and plugs it in again at
/// SIGUSR1.
///
/// # Errors
/// No thread can be started, or the signals cannot be caught.
#[cfg(unix)]
pub fn obey(handle: HubHandle) -> io::Result<()> {
    use signal_hook::{
        consts::{SIGINT, SIGTERM, SIGUSR1},
        iterator::Signals,
    };

    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
    std::thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            if signal == SIGUSR1 { handle.replug() } else { handle.stop() }
        }
    })?;
    Ok(())
}

/// Elsewhere Ctrl-C ends the process, and there is nothing to clean up.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn obey(_: HubHandle) -> io::Result<()> {
    Ok(())
}
