//! The real driver: a program that sees the keys, to which requests are passed on.

use std::{
    ffi::{OsStr, OsString},
    io,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Request, Response, header},
};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{self, Instant},
};

use super::{keys::Ports, problem::Problem};
use crate::run::{linux::environment, program};

/// How long a driver may take until it listens.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end, before it is killed.
pub const END: Duration = Duration::from_secs(10);
/// How long to wait before it is asked again whether it listens.
const PAUSE: Duration = Duration::from_millis(20);
/// What concerns one connection and not the next (RFC 9110 §7.6.1).
const OF_CONNECTION: [HeaderName; 5] =
    [header::CONNECTION, header::TE, header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE];

/// What a program that sees the keys is.
#[derive(Clone, Copy)]
pub enum Use {
    /// The driver behind this one.
    Driver,
    /// A client of this server, at this address.
    Client(SocketAddr),
}

/// Starts a program that sees the keys. A client finds the server's URL in the variable `KEYFOB_WEBDRIVER`.
///
/// # Errors
/// What the user has to know, in a line.
pub fn start(name: &OsStr, arguments: &[OsString], ports: &Ports, used: Use) -> Result<Child, String> {
    let program = program::find(name).ok_or_else(|| format!("there is no command {}", name.display()))?;
    if let Some(why) = program::obstacle(&program) {
        eprintln!("keyfob: warning: {why}: it does not load the library, and does not see the keys.");
    }
    let mut command = Command::new(&program);
    command.arg0(name).args(arguments).envs(environment(ports.directory())).kill_on_drop(true);
    match used {
        // The standard output is for the address.
        Use::Driver => command.stdin(Stdio::null()).stdout(io::stderr()),
        Use::Client(address) => command.env("KEYFOB_WEBDRIVER", format!("http://{address}")),
    };
    command.spawn().map_err(|error| format!("cannot run {}: {error}", program.display()))
}

/// Starts a driver, and waits until it listens at the address that is returned.
///
/// # Errors
/// What the user has to know, in a line.
pub async fn start_driver(name: &OsStr, arguments: &[OsString], ports: &Ports) -> Result<(Child, SocketAddr), String> {
    let address = free_address().await.map_err(|error| format!("there is no port for the driver: {error}"))?;
    let port = OsString::from(format!("--port={}", address.port()));
    let arguments: Vec<OsString> = std::iter::once(port).chain(arguments.iter().cloned()).collect();
    let mut child = start(name, &arguments, ports, Use::Driver)?;
    let end = Instant::now() + START;
    loop {
        if TcpStream::connect(address).await.is_ok() {
            return Ok((child, address));
        }
        match child.try_wait() {
            Ok(None) if Instant::now() < end => time::sleep(PAUSE).await,
            Ok(None) => return Err(format!("{} does not listen at {address}", name.display())),
            Ok(Some(status)) => return Err(format!("{} ended at once, with {status}", name.display())),
            Err(error) => return Err(format!("cannot wait for {}: {error}", name.display())),
        }
    }
}

async fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0").await?.local_addr()
}

/// Asks a program to end, and kills it if it does not.
pub async fn end(mut child: Child) -> Option<ExitStatus> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It is not collected yet, so no other process has its number. If it has ended, there is nothing to do.
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
    if let Ok(ended) = time::timeout(END, child.wait()).await {
        return ended.ok();
    }
    let _ = child.kill().await;
    None
}

/// Passes a request on, and returns the response as it comes: neither is read ahead, and nothing limits how long the
/// driver may take.
///
/// # Errors
/// unknown error: the driver does not answer.
pub async fn pass(driver: SocketAddr, request: Request<Body>) -> Result<Response<Body>, Problem> {
    let failed = |error: &dyn std::error::Error| Problem::unknown_error(format!("the driver does not answer: {error}"));
    let stream = TcpStream::connect(driver).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    // It ends with the response, or when the client has gone and the response is dropped.
    tokio::spawn(connection);
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().map_err(|error| failed(&error))?;
    OF_CONNECTION.iter().for_each(|name| drop(parts.headers.remove(name)));
    // Drivers check it.
    let host = HeaderValue::from_str(&driver.to_string()).map_err(|error| failed(&error))?;
    parts.headers.insert(header::HOST, host);
    let response = sender.send_request(Request::from_parts(parts, body)).await.map_err(|error| failed(&error))?;
    let mut response = response.map(Body::new);
    OF_CONNECTION.iter().for_each(|name| drop(response.headers_mut().remove(name)));
    Ok(response)
}
