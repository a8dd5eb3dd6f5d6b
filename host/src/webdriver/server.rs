//! The server: which requests are answered here, and which are the driver's.

use std::{future::IntoFuture, net::SocketAddr, pin::pin, process::ExitCode, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, uri::Authority},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::Child,
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    task, time,
};

use super::{
    Arguments, capabilities,
    driver::{self, Use},
    keys::Ports,
    problem::{Problem, respond},
    sessions::{Sessions, new_id},
};
use crate::run::linux::code;

/// The longest body that is read here, of a request or of a driver's answer, in bytes.
const MAX_BODY: usize = 1 << 20;
/// The longest parameters of a new session with a driver, in bytes: they can hold extensions and profiles of a browser.
const MAX_SESSION: usize = 64 << 20;

/// How long the last answers may take when the driver has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The exit status for a command that had to be killed, as of a shell.
const KILLED: u8 = 128 + 9;

/// What answers requests.
struct App {
    sessions: Sessions,
    driver: Option<SocketAddr>,
    browser_name: Option<String>,
}

/// # Errors
/// What the user has to know, in a line.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    if !arguments.listen.ip().is_loopback() {
        let why = "whoever reaches a driver can run programs with it: --listen takes addresses of this machine alone";
        return Err(format!("{why}, as 127.0.0.1:4444"));
    }
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start threads: {error}"))?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &Arguments) -> Result<ExitCode, String> {
    let cannot_listen = |error| format!("cannot listen at {}: {error}", arguments.listen);
    let mut stop = Stop::new().map_err(|error| format!("cannot receive signals: {error}"))?;
    let listener = TcpListener::bind(arguments.listen).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let ports = Ports::new()?;
    let (mut child, driver) = match &arguments.driver {
        Some(name) => {
            let (child, address) = tokio::select! {
                started = driver::start_driver(name, &arguments.rest, &ports) => started?,
                () = stop.asked() => return Ok(ExitCode::SUCCESS),
            };
            (Some(child), Some(address))
        }
        None => (None, None),
    };
    let sessions = Sessions::new(ports.clone());
    let app = Arc::new(App { sessions, driver, browser_name: arguments.browser_name.clone() });
    crate::announce(format_args!("WebDriver listens at http://{address}"))?;
    if let (None, Some((name, rest))) = (&child, arguments.rest.split_first()) {
        child = Some(driver::start(name, rest, &ports, Use::Client(address))?);
    } else if child.is_none() {
        crate::warn(format_args!(
            "warning: nothing sees the authenticators: name a driver with --driver, or a command after --."
        ));
    }
    let router = Router::new().fallback(answer).with_state(app.clone());
    let (open, closed) = oneshot::channel::<()>();
    let until_closed = async { drop(closed.await) };
    let mut server = pin!(axum::serve(listener, router).with_graceful_shutdown(until_closed).into_future());
    let ended = tokio::select! {
        served = &mut server => return served.map(|()| ExitCode::SUCCESS).map_err(cannot_listen),
        status = wait(&mut child) => Some(status.map_err(|error| format!("cannot wait for the program: {error}"))?),
        () = stop.asked() => None,
    };
    match (ended, driver) {
        (Some(status), Some(_)) => {
            // The requests that wait for the driver are answered: it is gone.
            drop(open);
            let _ = time::timeout(LAST_ANSWERS, server).await;
            Err(format!("the driver ended with {status}"))
        }
        (Some(status), None) => Ok(ExitCode::from(code(status))),
        (None, _) => {
            // A driver that does not answer is killed.
            let _ = time::timeout(driver::END, app.end_all()).await;
            let status = match child {
                Some(child) => driver::end(child).await.map_or(KILLED, code),
                None => 0,
            };
            Ok(if driver.is_some() { ExitCode::SUCCESS } else { ExitCode::from(status) })
        }
    }
}

/// The signals that ask a program to end. SIGHUP is none where this process was told to ignore it.
struct Stop([Signal; 2], Option<Signal>);

impl Stop {
    fn new() -> std::io::Result<Self> {
        let hangup = SignalKind::hangup();
        let hangup = (!crate::signals::is_ignored(hangup.as_raw_value())).then(|| signal(hangup)).transpose()?;
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?], hangup))
    }

    async fn asked(&mut self) {
        let Self([interrupt, terminate], hangup) = self;
        let hangup = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Waits for the program, for ever if there is none.
async fn wait(child: &mut Option<Child>) -> std::io::Result<std::process::ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

async fn answer(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    app.answer(request).await.unwrap_or_else(Problem::into_response)
}

/// Does the whole of it, also when the client does not wait for its end.
async fn whole(
    work: impl Future<Output = Result<Response<Body>, Problem>> + Send + 'static,
) -> Result<Response<Body>, Problem> {
    tokio::spawn(work).await.map_err(panicked)?
}

impl App {
    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Problem> {
        check_sender(request.headers())?;
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method(), &parts[..]) {
            (&Method::POST, ["session"]) => whole(async move { self.begin(request).await }).await,
            (&Method::DELETE, ["session", session]) => {
                let session = (*session).to_owned();
                whole(async move { self.end(&session, request).await }).await
            }
            (&Method::DELETE, ["session", session, "window"]) if self.driver.is_some() => {
                let session = (*session).to_owned();
                whole(async move { self.close(&session, request).await }).await
            }
            (_, ["session", session, "webauthn", ..]) => self.command(&path, session, request).await,
            (method, parts) => match self.driver {
                Some(driver) => driver::pass(driver, request).await,
                None => alone(method, &path, parts),
            },
        }
    }

    /// A new session.
    async fn begin(&self, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let (mut parts, body) = request.into_parts();
        let limit = if self.driver.is_some() { MAX_SESSION } else { MAX_BODY };
        let parameters = capabilities::without_ours(&read(body, limit).await?)?;
        let browser_name = self.browser_name.as_deref();
        let Some(driver) = self.driver else {
            let session = new_id()?;
            let capabilities = capabilities::alone(&parameters, browser_name);
            self.sessions.begin(&session);
            return Ok(respond(StatusCode::OK, &json!({ "sessionId": session, "capabilities": capabilities })));
        };
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(parameters.len()));
        let response = driver::pass(driver, Request::from_parts(parts, Body::from(parameters))).await?;
        let (parts, body) = response.into_parts();
        let body = read(body, MAX_BODY).await?;
        let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let made = &mut answer["value"];
        if let Some(session) = made["sessionId"].as_str().filter(|_| parts.status.is_success()) {
            self.sessions.begin(session);
            if let Some(capabilities) = made["capabilities"].as_object_mut() {
                capabilities::add_ours(capabilities, browser_name);
            }
            return Ok(respond(parts.status, made));
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    /// The end of a session, whatever the driver says to it.
    async fn end(&self, session: &str, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let answer = match self.driver {
            Some(driver) => Some(driver::pass(driver, request).await),
            None => None,
        };
        let was_there = self.unplug(session).await?;
        match answer {
            Some(answer) => answer,
            None if was_there => Ok(respond(StatusCode::OK, &Value::Null)),
            None => Err(Problem::invalid_session_id(session)),
        }
    }

    /// A window is closed. With the last one the session ends (WebDriver §11.2).
    async fn close(&self, session: &str, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let Some(driver) = self.driver else { return Err(Problem::invalid_session_id(session)) };
        let (parts, body) = driver::pass(driver, request).await?.into_parts();
        let body = read(body, MAX_BODY).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if parts.status.is_success() && answer["value"].as_array().is_some_and(Vec::is_empty) {
            self.unplug(session).await?;
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    /// Unplugs the keys of a session, which takes a while. Returns whether there was one.
    async fn unplug(&self, session: &str) -> Result<bool, Problem> {
        let (sessions, session) = (self.sessions.clone(), session.to_owned());
        task::spawn_blocking(move || sessions.end(&session)).await.map_err(panicked)
    }

    /// A command to virtual authenticators.
    async fn command(&self, path: &str, session: &str, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let (sessions, path, session) = (self.sessions.clone(), path.to_owned(), session.to_owned());
        let (parts, body) = request.into_parts();
        let body = read(body, MAX_BODY).await?;
        let work = move || {
            let rest: Vec<&str> = path.split('/').skip(4).collect();
            sessions.command(parts.method.as_str(), &path, &session, &rest, &body)
        };
        let value = task::spawn_blocking(work).await.map_err(panicked)??;
        Ok(respond(StatusCode::OK, &value))
    }

    /// Ends all sessions, so that the driver closes their browsers.
    async fn end_all(&self) {
        for session in self.sessions.ids() {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = Method::DELETE;
            if let Ok(path) = format!("/session/{session}").parse() {
                *request.uri_mut() = path;
            }
            let _ = self.end(&session, request).await;
        }
    }
}

fn panicked(error: task::JoinError) -> Problem {
    Problem::unknown_error(format!("the command was not carried out: {error}"))
}

/// # Errors
/// invalid argument: it is too long, or ends before its end.
async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let failed = |error| Problem::invalid_argument(format!("the body cannot be read: {error}"));
    to_bytes(body, limit).await.map_err(failed)
}

/// What is left to answer without a driver.
fn alone(method: &Method, path: &str, parts: &[&str]) -> Result<Response<Body>, Problem> {
    match (method, parts) {
        (&Method::GET, ["status"]) => Ok(respond(
            StatusCode::OK,
            &json!({ "ready": true, "message": "virtual authenticators, without a browser" }),
        )),
        (_, ["status" | "session"] | ["session", _]) => Err(Problem::unknown_method(method.as_str(), path)),
        _ => Err(Problem::unknown_command(path)),
    }
}

/// Whether a request comes from a program of this machine, and not from a web page. A page's requests have an `Origin` or
/// say in `Sec-Fetch-Site` where they come from; those of a page whose name leads to this machine (DNS rebinding) have that name as their `Host`.
///
/// # Errors
/// The request is refused.
fn check_sender(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::ORIGIN) {
        return Err(Problem::forbidden("a request with an Origin is refused: it may be a web page's"));
    }
    if headers.get("sec-fetch-site").is_some_and(|site| site != "none") {
        return Err(Problem::forbidden("a request with a Sec-Fetch-Site is refused: it is a web page's"));
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let authority = hosts.next().and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = authority.as_ref().map(|authority| authority.host().trim_matches(['[', ']']));
    let is_loopback = host.is_some_and(|host| {
        host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    if is_loopback && hosts.next().is_none() {
        return Ok(());
    }
    Err(Problem::forbidden("the Host of a request is localhost or an address of the loopback interface"))
}
