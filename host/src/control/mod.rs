//! The control socket: JSON lines that tell a virtual key what to do, and events that it tells.
//!
//! | file | what it is |
//! |---|---|
//! | `table.rs` | every verb and event, with their members |
//! | `check.rs` | a line, checked against the table |
//! | `perform.rs` | what each verb does |
//! | `lines.rs` | lines from a client, and how long they may take |
//! | `outbox.rs` | lines to the clients |
//! | `server.rs` | connections |
//! | `schema.rs` | the JSON Schema of it |

use std::{
    net::{TcpListener, ToSocketAddrs},
    path::{Path, PathBuf},
};

use keyfob_soft_authenticator::{devices::hub::HubHandle, testing::Control};

mod check;
mod lines;
mod outbox;
mod perform;
mod schema;
mod server;
mod table;

pub use check::status_name;
pub use outbox::Audience;
use server::{Controlled, Listener};

use crate::serve::doors::plain;

/// The environment variable that tells the command of `keyfob run` where the socket is.
#[cfg(target_os = "linux")]
pub const VARIABLE: &str = "KEYFOB_CONTROL";

/// Who may tell the key what to do.
#[derive(clap::Args, Clone)]
pub struct ControlArguments {
    /// Listen here for JSON lines that tell the key what to do, and make tests of it: a Unix socket that only its owner
    /// can use, or tcp:ADDRESS:PORT on a loopback address, which every user of this machine can use. docs/testing.md has
    /// the verbs. Counters are kept in memory, so it does not go together with --store.
    #[arg(long, value_name = "PATH|tcp:ADDRESS:PORT", value_parser = place, conflicts_with = "store")]
    control: Option<Place>,
    /// The key is not plugged in until the control socket plugs it in.
    #[arg(long, requires = "control")]
    unplugged: bool,
}

/// Where the socket is.
#[derive(Clone)]
enum Place {
    Tcp(String),
    File(PathBuf),
}

/// Reads `--control`.
#[allow(clippy::unnecessary_wraps)] // as a value_parser
fn place(text: &str) -> Result<Place, String> {
    Ok(text.strip_prefix("tcp:").map_or_else(|| Place::File(text.into()), |address| Place::Tcp(address.into())))
}

/// A socket that is served. Its file is removed with it.
pub struct Served {
    /// Where it is, as `--control` takes it.
    pub place: String,
    #[cfg(unix)]
    _file: Option<keyfob_soft_authenticator::devices::hub::SocketFile>,
}

impl ControlArguments {
    /// Whether the key is controlled.
    pub const fn is_asked_for(&self) -> bool {
        self.control.is_some()
    }

    /// Prepares a key that is controlled.
    pub fn prepare(&self, control: &Control) {
        control.clear_history(); // what its PIN took
        if self.unplugged {
            control.unplug();
        }
    }

    /// Serves the socket, if there is to be one.
    ///
    /// # Errors
    /// Why it cannot be, in a line.
    pub fn serve(&self, hub: HubHandle, audience: &Audience) -> Result<Option<Served>, String> {
        let (Some(place), Some(control)) = (&self.control, hub.control().cloned()) else { return Ok(None) };
        let (listener, served) = match place {
            Place::Tcp(address) => listen_tcp(address)?,
            Place::File(path) => listen_unix(path)?,
        };
        server::serve(listener, Controlled::new(hub, control, audience.clone()));
        Ok(Some(served))
    }
}

fn listen_tcp(text: &str) -> Result<(Listener, Served), String> {
    let cannot = |why: String| format!("cannot listen on tcp:{text}: {why}");
    let addresses: Vec<_> = text.to_socket_addrs().map_err(|error| cannot(plain(&error)))?.collect();
    if !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(cannot("a control socket listens on a loopback address only, such as 127.0.0.1".into()));
    }
    let listener = TcpListener::bind(&*addresses).map_err(|error| cannot(plain(&error)))?;
    let address = listener.local_addr().map_err(|error| cannot(plain(&error)))?;
    let served = Served {
        place: format!("tcp:{address}"),
        #[cfg(unix)]
        _file: None,
    };
    Ok((Listener::Tcp(listener), served))
}

#[cfg(unix)]
fn listen_unix(path: &Path) -> Result<(Listener, Served), String> {
    use keyfob_soft_authenticator::devices::hub::SocketFile;

    let (listener, file) = SocketFile::listen(path).map_err(|error| crate::serve::doors::no_socket(path, &error))?;
    // The command of `keyfob run` may have another working folder.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    Ok((Listener::Unix(listener), Served { place: path.display().to_string(), _file: Some(file) }))
}

#[cfg(not(unix))]
fn listen_unix(_: &Path) -> Result<(Listener, Served), String> {
    Err("--control with a path is for systems with Unix sockets: take tcp:127.0.0.1:0".into())
}
