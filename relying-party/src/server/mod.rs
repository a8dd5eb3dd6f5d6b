//! The server: the routes, and the code that is common to all of them.
//!
//! Every answer of the API is a JSON object with `status` and `errorMessage`, even if no handler was called. A handler
//! returns a reply or a [`Problem`]; the outermost layer encodes it, gives the request an id and logs it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use keyfob_core::verify::RelyingPartyPolicy;
use serde_json::{Value, json};
use tokio::time;

use crate::{store::Storage, tenant::Tenant};

mod account;
mod assertion;
mod attestation;
mod client;
pub mod members;
pub(crate) mod name;
mod page;
mod problem;
mod rate;
pub mod session;
pub(crate) mod verifier;

pub use client::Peer;
pub use problem::{Flaw, Problem};
use rate::Rates;

/// The longest body, in bytes: four times the longest response of a key, including ML-DSA keys and certificate chains.
pub const MAX_BODY: usize = 64 * 1024;
/// The header that names the relying party. It has precedence over the body.
pub const TENANT_HEADER: HeaderName = HeaderName::from_static("x-arculusfido-relyingparty");
/// How long a body may take by default.
pub const SILENCE: Duration = Duration::from_secs(30);
/// How long after a sign-in keys may be added and deleted by default, in seconds.
pub const RECENT: i64 = 10 * 60;
/// How many requests a client may send in a minute by default.
pub const RATE: u32 = 600;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The server's options.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The relying parties. A request that names none is for the first.
    pub tenants: Vec<Tenant>,
    /// How long a ceremony may take, in seconds.
    pub timeout: i64,
    /// How long the body of a request may take.
    pub silence: Duration,
    /// How long after a sign-in keys may be added and deleted, in seconds.
    pub recent: i64,
    /// How many requests a client may send in a minute; 0 for any number.
    pub rate: u32,
    /// The proxies whose headers name the client, beside those on this machine.
    pub proxies: Vec<IpAddr>,
    /// Answer with the messages and codes of the server that the Python sample was written for.
    pub arculus: bool,
    /// Let anyone who knows an account's name add a key to it, as conformance tests require. Never in production.
    pub open_registration: bool,
    /// Answer a sign-in for a name without an account as if the account existed.
    pub hide_accounts: bool,
    /// How much user verification is asked for at least. Requests can ask for more, not for less.
    pub user_verification: UserVerification,
    /// The choices that the standard leaves open.
    pub policy: RelyingPartyPolicy,
    /// Trusted certificates in DER. An attestation whose certificate leads to none of them counts as none, and so does
    /// every one with a certificate if the list is empty.
    pub attestation_roots: Vec<Vec<u8>>,
    /// Log every request in one line on standard error.
    pub log: bool,
}

impl ServerOptions {
    /// Secure defaults for these relying parties, with five minutes for a ceremony.
    pub const fn new(tenants: Vec<Tenant>) -> Self {
        Self {
            tenants,
            timeout: 300,
            silence: SILENCE,
            recent: RECENT,
            rate: RATE,
            proxies: Vec::new(),
            arculus: false,
            open_registration: false,
            hide_accounts: false,
            user_verification: UserVerification::Preferred,
            policy: RelyingPartyPolicy::CONFORMANCE,
            attestation_roots: Vec::new(),
            log: false,
        }
    }
}

/// Whether a key has to verify its user (WebAuthn L3 §5.8.6), the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserVerification {
    /// It need not.
    Discouraged,
    /// It does if it can.
    Preferred,
    /// It does, or the ceremony fails.
    Required,
}

impl UserVerification {
    /// The standard's words, in order.
    pub const WORDS: [&str; 3] = ["discouraged", "preferred", "required"];

    /// The standard's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discouraged => "discouraged",
            Self::Preferred => "preferred",
            Self::Required => "required",
        }
    }

    /// The level of that name.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Discouraged, Self::Preferred, Self::Required].into_iter().find(|level| level.as_str() == word)
    }
}

/// The state that all handlers share.
pub struct App {
    options: ServerOptions,
    storage: Box<dyn Storage>,
    /// The secret from which credential ids of non-existing accounts are derived.
    secret: [u8; 32],
    clock: Clock,
    rates: Mutex<Rates>,
}

/// Returns the seconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

impl App {
    /// The time in seconds since 1970.
    fn now(&self) -> i64 {
        (self.clock)()
    }

    /// The relying party of a request: from the header, otherwise from the body, otherwise the first.
    ///
    /// # Errors
    /// [`Problem::Tenant`]: this server does not serve it.
    fn tenant(&self, headers: &HeaderMap, rp_id: Option<&str>) -> Result<&Tenant, Problem> {
        let header = headers.get(TENANT_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let Some(wanted) = header.as_deref().or(rp_id) else {
            return self.options.tenants.first().ok_or(Problem::Tenant("by default".into()));
        };
        self.served(wanted)
    }

    fn served(&self, rp_id: &str) -> Result<&Tenant, Problem> {
        let tenant = self.options.tenants.iter().find(|tenant| tenant.rp_id == rp_id);
        tenant.ok_or_else(|| Problem::Tenant(rp_id.into()))
    }
}

/// The machine's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// All routes over a storage.
///
/// # Errors
/// The storage failed.
pub async fn router(
    storage: Box<dyn Storage>,
    options: ServerOptions,
    clock: Clock,
) -> Result<Router, crate::store::StorageError> {
    let secret = storage.secret().await?;
    let outside = Outside { arculus: options.arculus, log: options.log, silence: options.silence };
    let app = Arc::new(App { options, storage, secret, clock, rates: Mutex::default() });
    let mut router = Router::new();
    // Each handler has several paths: those of the conformance tests, of the Python sample, and of its aliases.
    for path in ["/attestation/options", "/fidoapi/certify/attestation/options", "/fidoapi/register/begin"] {
        router = router.route(path, post(attestation::options));
    }
    for path in ["/attestation/result", "/fidoapi/certify/attestation/result", "/fidoapi/register/complete"] {
        router = router.route(path, post(attestation::result));
    }
    for path in ["/assertion/options", "/fidoapi/certify/assertion/options", "/fidoapi/authenticate/begin"] {
        router = router.route(path, post(assertion::options));
    }
    for path in ["/assertion/result", "/fidoapi/certify/assertion/result", "/fidoapi/authenticate/complete"] {
        router = router.route(path, post(assertion::result));
    }
    let router = router
        .route("/account", get(account::show))
        .route("/account/sign-out", post(account::sign_out))
        .route("/account/sessions", get(account::sessions))
        .route("/account/sessions/{id}", delete(account::end_session))
        .route("/account/credentials/{id}", delete(account::delete_credential))
        .route("/.well-known/webauthn", get(related_origins))
        .route("/health", get(health))
        .merge(page::routes());
    Ok(outside.around(router).with_state(app))
}

/// Options of the outermost layer.
#[derive(Clone, Copy)]
pub(crate) struct Outside {
    /// Answer with the messages of the server that the Python sample was written for.
    pub arculus: bool,
    /// Log every request in one line on standard error.
    pub log: bool,
    /// How long the body of a request may take.
    pub silence: Duration,
}

impl Outside {
    pub(crate) fn around<S: Clone + Send + Sync + 'static>(self, router: Router<S>) -> Router<S> {
        router
            .fallback(async || Problem::NotFound)
            .method_not_allowed_fallback(async || Problem::Method)
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(middleware::from_fn_with_state(self, outermost))
    }
}

/// The origins of other sites that may use the RP ID (WebAuthn L3 §5.11.1). Browsers ask the host of that name.
async fn related_origins(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let tenant = app.options.tenants.iter().find(|tenant| tenant.rp_id.eq_ignore_ascii_case(host));
    let related = tenant.map(|tenant| &tenant.related).filter(|related| !related.is_empty());
    let related = related.ok_or(Problem::NotFound)?;
    let media_type = [(header::CONTENT_TYPE, "application/json")];
    Ok((media_type, json!({ "origins": related }).to_string()).into_response())
}

async fn health(State(app): State<Arc<App>>) -> Result<Reply, Problem> {
    app.storage.ping().await?;
    Ok(Reply::new(json!({})))
}

/// A JSON body.
pub(crate) struct Json(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Problem::MediaType);
        }
        let silence = request.extensions().get::<Outside>().map_or(SILENCE, |outside| outside.silence);
        let body = time::timeout(silence, Bytes::from_request(request, state)).await.map_err(|_| Problem::Slow)?;
        let body = body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge,
            _ => Problem::Body,
        })?;
        serde_json::from_slice(&body).map(Json).map_err(|error| Problem::Json(error.to_string()))
    }
}

/// A success.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) members: Value,
    cookie: Option<HeaderValue>,
}

impl Reply {
    /// A success with these members, an object, and the members that every success has.
    pub(crate) fn new(mut members: Value) -> Self {
        members["status"] = "ok".into();
        members["errorMessage"] = "".into();
        Self { members, cookie: None }
    }

    fn with_cookie(self, cookie: HeaderValue) -> Self {
        Self { cookie: Some(cookie), ..self }
    }
}

/// An empty answer that carries the reply; the outermost layer encodes it.
impl IntoResponse for Reply {
    fn into_response(mut self) -> Response {
        let mut response = StatusCode::OK.into_response();
        if let Some(cookie) = self.cookie.take() {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives the request an id, runs it, encodes its outcome and logs it.
async fn outermost(State(outside): State<Outside>, mut request: Request, next: Next) -> Response {
    let begin = Instant::now();
    request.extensions_mut().insert(outside);
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // The handler runs in its own task, so that a client that disconnects does not stop it in the middle, and a panic
    // does not close the connection.
    let mut response = match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => Problem::Internal(error.to_string()).into_response(),
    };
    let problem = response.extensions_mut().remove::<Problem>();
    let written = match (&problem, response.extensions_mut().remove::<Reply>()) {
        (Some(problem), _) => Some(problem.answer(outside.arculus)),
        (None, Some(mut reply)) => {
            if outside.arculus {
                reply.members["responseCode"] = 200.into();
            }
            Some((StatusCode::OK, reply.members))
        }
        (None, None) => None, // the page
    };
    if let Some((status, body)) = written {
        *response.status_mut() = status;
        *response.body_mut() = Body::from(body.to_string());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::try_from(&id) {
        headers.insert(REQUEST_ID, value);
    }
    if outside.log {
        let mut line = json!({
            "time": system_clock()(),
            "request": id,
            "method": method.as_str(),
            "path": path,
            "status": response.status().as_u16(),
            "microseconds": u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
        if let Some(problem) = problem {
            line["problem"] = problem.code().into();
            // Internal errors are only in the log.
            line["detail"] = match &problem {
                Problem::Internal(why) => why.clone().into(),
                problem => problem.message().into(),
            };
        }
        eprintln!("{line}");
    }
    response
}

/// The request id from the client or a proxy, if it is valid. Otherwise a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_id =
        |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match given.filter(is_id) {
        Some(id) => id.into(),
        None => members::encode(&crate::random::bytes::<12>().unwrap_or_default()),
    }
}
