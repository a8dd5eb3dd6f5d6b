//! Signals to a key that is served.

#[cfg(unix)]
use std::fs;
use std::io;

use keyfob_soft_authenticator::devices::hub::HubHandle;

/// Whether this process was told to ignore this signal, as `nohup` and shells do with what runs in the background. Where
/// the system does not tell, it was not.
#[cfg(unix)]
pub fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    ignored >> signal.saturating_sub(1) & 1 != 0
}

/// Lets the hub stop at SIGINT, SIGTERM and SIGHUP, so that it can clean up, and unplugs the key and plugs it in again at
/// SIGUSR1.
///
/// # Errors
/// No thread can be started, or the signals cannot be caught.
#[cfg(unix)]
pub fn obey(handle: HubHandle) -> io::Result<()> {
    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
        iterator::Signals,
    };

    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
    if !is_ignored(SIGHUP) {
        signals.add_signal(SIGHUP)?;
    }
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
