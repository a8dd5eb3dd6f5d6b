//! The backend between devices and a FIDO server that only the backend can reach.
//!
//! ```text
//!   device                         backend                          FIDO server
//!   1. asks                ──▶     begins                   ──▶     …/options
//!   2. options, cookies    ◀──     passes on                ◀──     options, cookie
//!   3. uses the key
//!   4. response, cookies   ──▶     completes                ──▶     …/result, cookie
//!   5. outcome             ◀──     passes on                ◀──     outcome
//! ```
//!
//! | path | `operation` | further members |
//! |---|---|---|
//! | `/fido/register` | `register` | `username`, `displayName`, `rpId`, and what else the server's options take |
//! | `/fido/register` | `registerComplete` | `username`, `cardResponseData`, `cookies` |
//! | `/fido/authenticate` | `authenticate` | `username`, `rpId`, … |
//! | `/fido/authenticate` | `authenticateComplete` | `username`, `cardResponseData`, `cookies` |
//!
//! The server's cookies are in the JSON member `cookies`, because apps have no cookie store. The backend is stateless,
//! so several instances may run.

use std::sync::Arc;

use axum::{Router, extract::State, routing::post};
use serde_json::{Map, Value};

use crate::{
    client::{Error, Server},
    server::{Flaw, Json, Outside, Problem, Reply, SILENCE, members::Members},
};

/// A backend of the FIDO server at this address. With `log`, it logs every request in one line.
///
/// # Errors
/// [`Error::Network`] for an invalid address.
pub fn router(server: &str, log: bool) -> Result<Router, Error> {
    Server::new(server)?;
    let server: Arc<str> = server.into();
    let router = Router::new()
        .route("/fido/register", post(register))
        .route("/fido/authenticate", post(authenticate))
        .with_state(server);
    Ok(Outside { arculus: false, log, silence: SILENCE }.around(router))
}

async fn register(State(server): State<Arc<str>>, Json(body): Json) -> Result<Reply, Problem> {
    match Members::of(&body)?.required_text("operation")? {
        "register" => begin(&server, "attestation/options", body).await,
        "registerComplete" => complete(&server, "attestation/result", &body).await,
        _ => Err(Problem::Member("operation".into(), Flaw::Value)),
    }
}

async fn authenticate(State(server): State<Arc<str>>, Json(body): Json) -> Result<Reply, Problem> {
    match Members::of(&body)?.required_text("operation")? {
        "authenticate" => begin(&server, "assertion/options", body).await,
        "authenticateComplete" => complete(&server, "assertion/result", &body).await,
        _ => Err(Problem::Member("operation".into(), Flaw::Value)),
    }
}

/// Phases 1 and 2.
async fn begin(server: &str, path: &'static str, mut body: Value) -> Result<Reply, Problem> {
    if let Some(members) = body.as_object_mut() {
        members.remove("operation");
    }
    relay(server, path, body, String::new()).await
}

/// Phases 4 and 5.
async fn complete(server: &str, path: &'static str, body: &Value) -> Result<Reply, Problem> {
    let members = Members::of(body)?;
    members.required_object("cardResponseData")?;
    let cookies = members.required_object("cookies")?;
    relay(server, path, body["cardResponseData"].clone(), cookies.pairs()?).await
}

/// Sends a request to the server and adds the server's cookies to its answer.
async fn relay(server: &str, path: &'static str, body: Value, cookies: String) -> Result<Reply, Problem> {
    let server = server.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let mut server = Server::new(&server)?;
        server.set_cookies(&cookies);
        let mut answer = server.post(path, &body)?;
        let cookies = server.cookies();
        let pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
        answer["cookies"] = pairs.map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>().into();
        Ok(answer)
    });
    match asked.await.map_err(|error| Problem::Internal(error.to_string()))? {
        Ok(answer) => Ok(Reply::new(answer)),
        Err(Error::Refused(status, body)) => Err(Problem::Relayed(status, *body)),
        Err(error) => Err(Problem::Upstream(error.to_string())),
    }
}
