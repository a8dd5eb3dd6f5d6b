//! Sessions: a random cookie that identifies the session in the storage.

use axum::http::{HeaderMap, HeaderValue, header};

use super::{
    App,
    members::{decode, encode},
    problem::Problem,
};
use crate::{
    random,
    store::{Account, SessionId},
};

/// The cookie's name.
pub const COOKIE: &str = "keyfob_session";
/// How long a session stays signed in, in seconds.
pub const SIGNED_IN: i64 = 12 * 60 * 60;

/// The session id in a request's cookie.
pub fn named(headers: &HeaderMap) -> Option<SessionId> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == COOKIE)?;
    decode(value)?.try_into().ok()
}

/// A new session id.
///
/// # Errors
/// The random source failed.
pub fn fresh() -> Result<SessionId, Problem> {
    random::bytes().map_err(|error| Problem::Internal(error.to_string()))
}

/// The account that is signed in at this relying party.
///
/// # Errors
/// The storage failed.
pub async fn account(app: &App, headers: &HeaderMap, rp_id: &str) -> Result<Option<Account>, Problem> {
    let Some(session) = named(headers) else { return Ok(None) };
    let account = app.storage.signed_in(session, app.now()).await?;
    Ok(account.filter(|account| account.rp_id == rp_id))
}

/// Signs in under a new session id, so that a session id from before is useless; returns the cookie.
///
/// # Errors
/// The storage or the random source failed.
pub async fn sign_in(app: &App, headers: &HeaderMap, account: Account) -> Result<HeaderValue, Problem> {
    if let Some(before) = named(headers) {
        app.storage.sign_out(before).await?;
    }
    let session = fresh()?;
    app.storage.sign_in(session, account, app.now().saturating_add(SIGNED_IN)).await?;
    Ok(cookie(session, headers))
}

/// The header that sets the cookie. It has no Domain, so that the cookie is sent only to this host. It is Secure if the
/// client uses https; with plain http, a Secure cookie would be lost.
pub fn cookie(session: SessionId, headers: &HeaderMap) -> HeaderValue {
    with_attributes(&encode(&session), headers, "")
}

/// The header that deletes the cookie.
pub fn no_cookie(headers: &HeaderMap) -> HeaderValue {
    with_attributes("", headers, "; Max-Age=0")
}

fn with_attributes(value: &str, headers: &HeaderMap, more: &str) -> HeaderValue {
    let https = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let secure = if https { "; Secure" } else { "" };
    let header = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
    HeaderValue::try_from(header).unwrap_or(HeaderValue::from_static(""))
}
