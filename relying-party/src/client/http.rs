//! JSON over HTTP, and the session's cookie.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use super::Error;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 1024 * 1024;
/// The path of the API, with the prefix of the Python sample.
const PREFIX: &str = "/fidoapi/certify/";

/// A server and its cookies.
pub struct Server {
    url: String,
    agent: Agent,
    /// The names and values that the server set last.
    cookies: Vec<(String, String)>,
}

impl Server {
    /// A server at an `http` URL.
    ///
    /// # Errors
    /// [`Error::Network`] for another scheme, because this program does not support TLS.
    pub fn new(url: &str) -> Result<Self, Error> {
        let url = url.trim_end_matches('/');
        if !url.starts_with("http://") {
            return Err(Error::Network(format!("{url} is not an http address; for https, use a proxy")));
        }
        let config =
            Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).max_redirects(0).build();
        Ok(Self { url: url.into(), agent: config.into(), cookies: Vec::new() })
    }

    /// The cookies as the value of a Cookie header.
    pub fn cookies(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// Sets cookies that an earlier [`Server::cookies`] returned.
    pub fn set_cookies(&mut self, header: &str) {
        let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
        self.cookies = pairs.map(|(name, value)| (name.into(), value.into())).collect();
    }

    /// Posts to a path of the API.
    ///
    /// # Errors
    /// [`Error::Network`]: no usable answer. [`Error::Refused`]: the server refused the request.
    pub fn post(&mut self, path: &str, body: &Value) -> Result<Value, Error> {
        self.post_to(&format!("{PREFIX}{path}"), body)
    }

    /// Posts to a path of the server.
    ///
    /// # Errors
    /// [`Error::Network`]: no usable answer. [`Error::Refused`]: the server refused the request.
    pub fn post_to(&mut self, path: &str, body: &Value) -> Result<Value, Error> {
        let network = |error: ureq::Error| Error::Network(error.to_string());
        let mut request = self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let cookies = self.cookies();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        let mut response = request.send(body.to_string()).map_err(network)?;
        for header in response.headers().get_all("set-cookie") {
            if let Some((name, value)) = header.to_str().ok().and_then(cookie) {
                self.cookies.retain(|(known, _)| *known != name);
                self.cookies.push((name, value));
            }
        }
        let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string().map_err(network)?;
        let status = response.status().as_u16();
        let answer: Value = serde_json::from_str(&text)
            .map_err(|error| Error::Network(format!("status {status}, and a body that is not JSON: {error}")))?;
        match answer["status"].as_str() {
            Some("ok") if response.status().is_success() => Ok(answer),
            _ => Err(Error::Refused(status, Box::new(answer))),
        }
    }

    /// The server's origin in a browser on this machine.
    pub(super) fn origin_on_localhost(&self) -> String {
        let authority = self.url.trim_start_matches("http://").split('/').next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => format!("http://localhost:{port}"),
            _ => "http://localhost".into(),
        }
    }
}

/// The name and the value of the cookie in a Set-Cookie header.
fn cookie(header: &str) -> Option<(String, String)> {
    let (name, value) = header.split(';').next()?.trim().split_once('=')?;
    Some((name.into(), value.into()))
}
