//! Clients of the REST interface, with a security key in place of a browser.
//!
//! Between the two requests of a ceremony, [`SecurityKey`] does the work of a browser: from options to a credential,
//! both in JSON. [`Server`] sends the requests and keeps the cookie. [`register`] and [`sign_in`] combine both.

use std::fmt;

use serde_json::{Value, json};

mod http;
mod key;

pub use http::Server;
pub use key::{KeyChoice, Prover, SecurityKey, with_key};

/// Why a ceremony failed at the client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The server cannot be reached, or its answer is not JSON.
    Network(String),
    /// The server refused the request: its status and its body.
    Refused(u16, Box<Value>),
    /// The server's options cannot be used: this member is missing or wrong.
    Options(&'static str),
    /// The origin may not use the RP ID.
    Origin(String),
    /// The key cannot be made or reached.
    Key(String),
    /// The ceremony with the key failed.
    Ceremony(keyfob_core::client::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(why) => write!(f, "the server gives no usable answer: {why}"),
            Self::Refused(status, body) => {
                let message = body["errorMessage"].as_str().unwrap_or("no reason given");
                write!(f, "the server refuses ({status}): {message}")
            }
            Self::Options(member) => write!(f, "the server's options are unusable: {member}"),
            Self::Origin(rp_id) => write!(f, "the origin may not use the RP ID {rp_id}: name another with --origin"),
            Self::Key(why) => write!(f, "the key: {why}"),
            Self::Ceremony(error) => write!(f, "the key: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// The account, the relying party and the origin.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The account's name. Without it, a discoverable credential names the account.
    pub name: Option<&'a str>,
    /// The relying party. By default, the server's first.
    pub rp_id: Option<&'a str>,
    /// The origin in the client data. By default `https://` and the RP ID, or the server's own origin if it runs on
    /// this machine.
    pub origin: Option<&'a str>,
}

impl Who<'_> {
    fn body(&self) -> Value {
        let mut body = json!({});
        if let Some(name) = self.name {
            body["username"] = name.into();
        }
        if let Some(rp_id) = self.rp_id {
            body["rpId"] = rp_id.into();
        }
        body
    }

    fn origin(&self, server: &Server, rp_id: &str) -> String {
        match self.origin {
            Some(origin) => origin.into(),
            None if rp_id == "localhost" => server.origin_on_localhost(),
            None => format!("https://{rp_id}"),
        }
    }
}

/// Registers a key, client-direct. Returns the server's answer.
///
/// # Errors
/// Why the server refused, or why the key or the connection failed.
pub fn register(server: &mut Server, key: &mut dyn Prover, who: &Who<'_>) -> Result<Value, Error> {
    let options = server.post("attestation/options", &who.body())?;
    let rp_id = options["rp"]["id"].as_str().ok_or(Error::Options("rp.id"))?;
    let credential = key.create(&who.origin(server, rp_id), &options)?;
    server.post("attestation/result", &credential)
}

/// Signs in with a key, client-direct. Returns the server's answer.
///
/// # Errors
/// Why the server refused, or why the key or the connection failed.
pub fn sign_in(server: &mut Server, key: &mut dyn Prover, who: &Who<'_>) -> Result<Value, Error> {
    let options = server.post("assertion/options", &who.body())?;
    let rp_id = options["rpId"].as_str().ok_or(Error::Options("rpId"))?;
    let credential = key.get(&who.origin(server, rp_id), &options)?;
    server.post("assertion/result", &credential)
}

/// Registers a key, backend-proxied: `backend` is the server in front of the FIDO server. Returns the backend's answer.
///
/// # Errors
/// Why the backend refused, or why the key or the connection failed.
pub fn register_through(backend: &mut Server, key: &mut dyn Prover, who: &Who<'_>) -> Result<Value, Error> {
    let options = begin_through(backend, "/fido/register", "register", who)?;
    let rp_id = options["rp"]["id"].as_str().ok_or(Error::Options("rp.id"))?;
    let credential = key.create(&who.origin(backend, rp_id), &options)?;
    complete_through(backend, "/fido/register", "registerComplete", who, &options, credential)
}

/// Signs in with a key, backend-proxied. Returns the backend's answer.
///
/// # Errors
/// Why the backend refused, or why the key or the connection failed.
pub fn sign_in_through(backend: &mut Server, key: &mut dyn Prover, who: &Who<'_>) -> Result<Value, Error> {
    let options = begin_through(backend, "/fido/authenticate", "authenticate", who)?;
    let rp_id = options["rpId"].as_str().ok_or(Error::Options("rpId"))?;
    let credential = key.get(&who.origin(backend, rp_id), &options)?;
    complete_through(backend, "/fido/authenticate", "authenticateComplete", who, &options, credential)
}

/// Phases 1 and 2: requests options from the backend and returns them with the server's cookies.
fn begin_through(backend: &mut Server, path: &str, operation: &str, who: &Who<'_>) -> Result<Value, Error> {
    let mut body = who.body();
    body["operation"] = operation.into();
    backend.post_to(path, &body)
}

/// Phases 4 and 5: sends the key's response and the cookies to the backend and returns the outcome.
fn complete_through(
    backend: &mut Server,
    path: &str,
    operation: &str,
    who: &Who<'_>,
    options: &Value,
    credential: Value,
) -> Result<Value, Error> {
    let body = json!({
        "operation": operation,
        "username": who.name,
        "cardResponseData": credential,
        "cookies": options["cookies"],
    });
    backend.post_to(path, &body)
}
