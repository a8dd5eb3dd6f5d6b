//! A client's connection: JSON over HTTP/1.1, and cookies.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, Uri,
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};

use super::{
    client::Plan,
    report::{Failure, Kind, Step},
};

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// How much of an answer an example shows, in characters.
const SHOWN: usize = 80;

/// The server under test.
#[derive(Clone)]
pub struct Target {
    authority: String,
    /// The path before those of the interface, without a slash at the end.
    path: String,
    /// Its addresses, or why there are none.
    addresses: Result<Vec<SocketAddr>, String>,
}

impl Target {
    /// The server at this URL.
    ///
    /// # Errors
    /// What is wrong with the URL, in a line.
    pub fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "it is not a URL, such as http://localhost:8080".to_owned())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err("https is not supported: name the server's http port, or a proxy's".into()),
            _ => return Err("it does not begin with http://".into()),
        }
        let authority = uri.authority().filter(|authority| !authority.host().is_empty() && !url.contains('@'));
        let authority = authority.ok_or("it has no host, or a user name")?;
        if uri.query().is_some() {
            return Err("it has a query: the paths of the interface follow directly".into());
        }
        Ok(Self {
            authority: authority.as_str().to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
            addresses: Ok(Vec::new()),
        })
    }

    /// Looks the addresses up, once for all clients.
    pub async fn resolve(&mut self) {
        let has_port = self.authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { self.authority.clone() } else { format!("{}:80", self.authority) };
        let found = lookup_host(&authority).await;
        self.addresses = match found.map(Iterator::collect::<Vec<_>>) {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(format!("{authority} has no address")),
            Err(error) => Err(format!("{authority}: {error}")),
        };
    }

    /// The origin of a page of this server, on localhost for an address of this machine: an RP ID is a name.
    pub fn origin(&self) -> String {
        let (host, port) = match self.authority.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => (host, format!(":{port}")),
            _ => (self.authority.as_str(), String::new()),
        };
        let is_loopback = host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        format!("http://{}{port}", if is_loopback { "localhost" } else { host })
    }

    /// A path of the interface.
    pub fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.path)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// A connection that is kept, and the cookies of one user.
pub struct Connection {
    plan: Arc<Plan>,
    sender: Option<SendRequest<Full<Bytes>>>,
    cookies: Vec<(String, String)>,
}

impl Connection {
    pub const fn new(plan: Arc<Plan>) -> Self {
        Self { plan, sender: None, cookies: Vec::new() }
    }

    /// Another user begins, without cookies.
    pub fn forget(&mut self) {
        self.cookies.clear();
    }

    /// Posts JSON to the path of this step.
    ///
    /// # Errors
    /// [`Failure`]: it was not answered with `"status": "ok"`.
    pub async fn post(&mut self, step: Step, body: &Value) -> Result<(Bytes, Value), Failure> {
        let path = self.plan.target.below(step.name());
        self.request(step, Method::POST, &path, Bytes::from(body.to_string())).await
    }

    /// Sends a request and measures the time until its answer is here.
    ///
    /// # Errors
    /// As in [`Connection::post`].
    pub async fn request(
        &mut self,
        step: Step,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(Bytes, Value), Failure> {
        let timeout = self.plan.timeout;
        let answered = tokio::time::timeout(timeout, self.exchange(step, method, path, body)).await;
        let late = || Failure::new(step, Kind::Timeout, format!("no answer in {} s", timeout.as_secs()));
        let answer = answered.unwrap_or_else(|_| Err(late()));
        if answer.as_ref().is_err_and(|failure| failure.kind.ends_connection()) {
            self.sender = None;
        }
        answer
    }

    async fn exchange(
        &mut self,
        step: Step,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(Bytes, Value), Failure> {
        let broken = |error: &dyn std::error::Error| Failure::new(step, Kind::Broken, sentence(error));
        let mut is_fresh = self.connect(step).await?;
        loop {
            let request = self.message(&method, path, body.clone()).map_err(|error| broken(&error))?;
            let Some(sender) = &mut self.sender else { return Err(Failure::new(step, Kind::Broken, "closed".into())) };
            let start = Instant::now();
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let answer = self.read(step, response).await?;
                    self.plan.tally.lock().took(step, start.elapsed());
                    return Ok(answer);
                }
                // The server has closed a connection that was idle, and has not seen the request.
                Err(error) if error.message().is_some() && !is_fresh => {
                    self.sender = None;
                    is_fresh = self.connect(step).await?;
                }
                Err(error) => return Err(broken(error.error())),
            }
        }
    }

    /// Connects, if it is not connected. Returns whether the connection is new.
    async fn connect(&mut self, step: Step) -> Result<bool, Failure> {
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_ok()
        {
            return Ok(false);
        }
        let unreachable = |why: String| Failure::new(step, Kind::Unreachable, why);
        let addresses = self.plan.target.addresses.as_ref().map_err(|why| unreachable(why.clone()))?;
        let start = Instant::now();
        let stream = TcpStream::connect(addresses.as_slice()).await;
        let stream = stream.map_err(|error| unreachable(plain(&error)))?;
        let _ = stream.set_nodelay(true); // without it, it is only slower
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(sentence(&error)))?;
        tokio::spawn(connection); // its errors come back with the requests
        self.plan.tally.lock().took(Step::Connect, start.elapsed());
        self.sender = Some(sender);
        Ok(true)
    }

    fn message(&self, method: &Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let plan = &self.plan;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &plan.target.authority)
            .header(header::ORIGIN, &plan.origin)
            .header(header::ACCEPT, "application/json");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        request.body(Full::new(body))
    }

    async fn read(&mut self, step: Step, response: Response<Incoming>) -> Result<(Bytes, Value), Failure> {
        let status = response.status();
        for header in response.headers().get_all(header::SET_COOKIE) {
            if let Some((name, value)) = header.to_str().ok().and_then(cookie) {
                self.cookies.retain(|(known, _)| *known != name);
                self.cookies.push((name, value));
            }
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| Failure::new(step, Kind::Broken, sentence(&*error)))?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let word = answer["status"].as_str();
        if status.is_success() && word == Some("ok") {
            return Ok((body, answer));
        }
        let kind = match word {
            _ if status.is_server_error() => Kind::ServerError,
            Some(_) => Kind::Refused,
            None => Kind::Foreign,
        };
        let told = answer["errorMessage"].as_str().map_or_else(|| beginning(&body), |said| beginning(said.as_bytes()));
        Err(Failure { http: Some(status.as_u16()), ..Failure::new(step, kind, format!("{}: {told}", status.as_u16())) })
    }
}

/// The name and the value of the cookie in a Set-Cookie header.
fn cookie(header: &str) -> Option<(String, String)> {
    let (name, value) = header.split(';').next()?.trim().split_once('=')?;
    Some((name.into(), value.into()))
}

/// The beginning of what a server says, in one line, without controls of terminals.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: Vec<&str> = text.split_whitespace().collect();
    match line.join(" ") {
        line if line.is_empty() => "an empty body".into(),
        line => line.chars().filter(|character| !character.is_control()).take(SHOWN).collect(),
    }
}

/// An error with its reasons.
fn sentence(error: &dyn std::error::Error) -> String {
    let reasons = std::iter::successors(error.source(), |reason| reason.source());
    reasons.fold(error.to_string(), |said, reason| format!("{said}: {reason}"))
}

/// An error of the system without its number.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection is refused".into(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "there is no way to the host".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_loaded_is_refused_with_the_reason() {
        for (url, reason) in [
            ("localhost:8080", "it does not begin with http://"),
            ("not a url", "it is not a URL, such as http://localhost:8080"),
            ("ftp://localhost", "it does not begin with http://"),
            ("https://localhost", "https is not supported: name the server's http port, or a proxy's"),
            ("http://user@localhost", "it has no host, or a user name"),
            ("http://localhost/?a=b", "it has a query: the paths of the interface follow directly"),
        ] {
            assert_eq!(Target::parse(url).err().as_deref(), Some(reason), "{url}");
        }
    }

    #[test]
    fn an_address_of_this_machine_has_the_origin_localhost() {
        for (url, origin) in [
            ("http://127.0.0.1:8080/fidoapi/certify/", "http://localhost:8080"),
            ("http://[::1]:8080", "http://localhost:8080"),
            ("http://localhost", "http://localhost"),
            ("http://login.example.org:81", "http://login.example.org:81"),
        ] {
            assert_eq!(Target::parse(url).map(|target| target.origin()).as_deref(), Ok(origin));
        }
        let target = Target::parse("http://127.0.0.1:8080/fidoapi/certify/").unwrap();
        assert_eq!(target.below("assertion/options"), "/fidoapi/certify/assertion/options");
    }
}
