//! Sessions: a random cookie that identifies the session in the storage.

use axum::http::{HeaderMap, HeaderValue, header};

use super::{
    App,
    client::Client,
    members::{decode, encode},
    problem::Problem,
};
use crate::{
    random,
    store::{Account, Session, SessionId},
    tenant::Tenant,
};

/// What the cookie's name begins with. Behind it stands the port, because cookies know none.
pub const COOKIE: &str = "keyfob";
/// What the names of cookies begin with that a browser takes only over https, for this host and all of its paths (RFC
/// 6265bis §4.1.3.2).
const HOST_PREFIX: &str = "__Host-";
/// How long a session stays signed in, in seconds.
pub const SIGNED_IN: i64 = 12 * 60 * 60;
/// How much of what a client calls itself is kept, in bytes.
const MAX_AGENT: usize = 200;

/// The cookie of a request's origin.
pub(super) struct Cookie {
    name: String,
    secure: bool,
}

impl Cookie {
    /// The cookie for a request: Secure if it comes from a page of https.
    pub(super) fn of(tenants: &[Tenant], headers: &HeaderMap, client: &Client) -> Self {
        let secure = is_secure(tenants, headers, client);
        let port = header(headers, header::HOST).and_then(|host| host.rsplit_once(':'));
        let port =
            port.map(|(_, port)| port).filter(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
        let name = format!(
            "{}{COOKIE}{}{}",
            if secure { HOST_PREFIX } else { "" },
            if port.is_some() { "-" } else { "" },
            port.unwrap_or_default()
        );
        Self { name, secure }
    }

    /// The session id in a request's cookie.
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<SessionId> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        // A request without an origin may come from a page of https too. Then only https has set this name.
        let host = format!("{HOST_PREFIX}{}", self.name);
        let (_, value) = pairs.find(|(name, _)| *name == self.name || *name == host)?;
        decode(value)?.try_into().ok()
    }

    /// The header that sets the cookie. It has no Domain, so that the cookie is sent only to this host.
    pub(super) fn set(&self, session: SessionId) -> HeaderValue {
        self.with(&encode(&session), "")
    }

    /// The header that deletes the cookie.
    pub(super) fn delete(&self) -> HeaderValue {
        self.with("", "; Max-Age=0")
    }

    fn with(&self, value: &str, more: &str) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let header = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}", self.name);
        HeaderValue::try_from(header).unwrap_or(HeaderValue::from_static(""))
    }
}

fn header(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a request comes from a page of https: its origin says so, or the proxy, or its host is one of origins that all
/// have https. Over plain http a Secure cookie would be lost.
fn is_secure(tenants: &[Tenant], headers: &HeaderMap, client: &Client) -> bool {
    if client.is_https {
        return true;
    }
    let origins = || tenants.iter().flat_map(|tenant| &tenant.origins);
    if let Some(origin) = header(headers, header::ORIGIN)
        && origins().any(|own| own == origin)
    {
        return origin.starts_with("https://");
    }
    let Some(host) = header(headers, header::HOST) else { return false };
    let of_host = || origins().filter(|origin| origin.split_once("://").is_some_and(|(_, rest)| rest == host));
    of_host().next().is_some() && of_host().all(|origin| origin.starts_with("https://"))
}

/// A new session id.
///
/// # Errors
/// The random source failed.
pub fn fresh() -> Result<SessionId, Problem> {
    random::bytes().map_err(|error| Problem::Internal(error.to_string()))
}

impl App {
    /// The cookie of a request.
    pub(super) fn cookie(&self, headers: &HeaderMap, client: &Client) -> Cookie {
        Cookie::of(&self.options.tenants, headers, client)
    }

    /// The session that is signed in, and its id.
    ///
    /// # Errors
    /// The storage failed.
    pub(super) async fn session(
        &self,
        headers: &HeaderMap,
        client: &Client,
    ) -> Result<Option<(SessionId, Session)>, Problem> {
        let Some(id) = self.cookie(headers, client).session(headers) else { return Ok(None) };
        Ok(self.storage.signed_in(id, self.now()).await?.map(|session| (id, session)))
    }

    /// Signs in under a new session id, so that a session id from before is useless; returns the cookie.
    ///
    /// # Errors
    /// The storage or the random source failed.
    pub(super) async fn sign_in(
        &self,
        headers: &HeaderMap,
        client: &Client,
        account: Account,
    ) -> Result<HeaderValue, Problem> {
        let cookie = self.cookie(headers, client);
        let id = fresh()?;
        let mut agent = header(headers, header::USER_AGENT).unwrap_or_default().to_owned();
        agent.truncate(MAX_AGENT); // a header that is text is ASCII
        let session = Session { account, since: self.now(), agent };
        let expires = self.now().saturating_add(SIGNED_IN);
        self.storage.sign_in(id, session, cookie.session(headers), expires).await?;
        Ok(cookie.set(id))
    }
}
