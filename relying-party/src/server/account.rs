//! The signed-in user's account: showing it, deleting keys, and its sessions.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, header},
};
use keyfob_core::{auth_data::Flags, cose::Algorithm, crypto::Hash};
use serde_json::{Value, json};

use super::{
    App, Json, Reply,
    client::Client,
    members::{Members, decode, encode},
    problem::{Flaw, Problem},
    verifier,
};
use crate::store::{CredentialRecord, Session, SessionId};

/// Returns the signed-in account and its keys.
pub(super) async fn show(State(app): State<Arc<App>>, client: Client, headers: HeaderMap) -> Result<Reply, Problem> {
    let account = app.own(&headers, &client).await?.1.account;
    let credentials = app.storage.credentials(&account.rp_id, &account.handle).await?;
    let credentials: Vec<Value> = credentials.iter().map(shown).collect();
    Ok(Reply::new(json!({
        "username": account.name,
        "displayName": account.display_name,
        "rpId": account.rp_id,
        "credentials": credentials,
    })))
}

/// Signs out: in this browser, or with `everywhere` in all.
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Reply, Problem> {
    let (id, session) = app.own(&headers, &client).await?;
    let body = match body {
        Ok(Json(body)) => body,
        Err(Problem::MediaType) => json!({}), // there need be none
        Err(problem) => return Err(problem),
    };
    if Members::of(&body)?.flag("everywhere")? == Some(true) {
        app.storage.end_sessions(&session.account, None).await?;
    }
    app.storage.sign_out(id).await?;
    Ok(Reply::new(json!({})).with_cookie(app.cookie(&headers, &client).delete()))
}

/// Returns the sessions of the signed-in account.
pub(super) async fn sessions(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
) -> Result<Reply, Problem> {
    let (own, session) = app.own(&headers, &client).await?;
    let sessions = app.storage.sessions(&session.account, app.now()).await?;
    let shown = |(id, session): &(SessionId, Session)| json!({ "id": app.name_of(*id), "since": session.since, "agent": session.agent, "current": *id == own });
    Ok(Reply::new(json!({ "sessions": sessions.iter().map(shown).collect::<Vec<_>>() })))
}

/// Ends a session of the signed-in account.
pub(super) async fn end_session(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    client: Client,
    headers: HeaderMap,
) -> Result<Reply, Problem> {
    let Path(name) = path.map_err(|_| Problem::Path)?;
    let (own, session) = app.own(&headers, &client).await?;
    let sessions = app.storage.sessions(&session.account, app.now()).await?;
    let (id, _) = sessions.into_iter().find(|(id, _)| app.name_of(*id) == name).ok_or(Problem::NoSession)?;
    app.storage.sign_out(id).await?;
    let reply = Reply::new(json!({}));
    Ok(if id == own { reply.with_cookie(app.cookie(&headers, &client).delete()) } else { reply })
}

/// Deletes a key, and ends the account's other sessions. Deletes the account with its last key.
pub(super) async fn delete_credential(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    client: Client,
    headers: HeaderMap,
) -> Result<Reply, Problem> {
    let Path(id) = path.map_err(|_| Problem::Path)?;
    let (own, session) = app.own(&headers, &client).await?;
    app.recent(&session)?;
    let account = session.account;
    let id = decode(&id).ok_or(Problem::Member("the key's id".into(), Flaw::Encoding))?;
    if !app.storage.delete_credential(&account.rp_id, &account.handle, &id).await? {
        return Err(Problem::NoCredential);
    }
    // Whoever had the key may have a session, or be about to add another key.
    let is_left = app.storage.account_by_handle(&account.rp_id, &account.handle).await?.is_some();
    app.storage.end_sessions(&account, is_left.then_some(own)).await?;
    let reply = Reply::new(json!({ "accountDeleted": !is_left }));
    Ok(if is_left { reply } else { reply.with_cookie(app.cookie(&headers, &client).delete()) })
}

impl App {
    /// The signed-in session. Requests from pages of another origin are refused, even from the same site.
    async fn own(&self, headers: &HeaderMap, client: &Client) -> Result<(SessionId, Session), Problem> {
        let (id, mut session) = self.session(headers, client).await?.ok_or(Problem::SignedOut)?;
        let tenant = self.served(&session.account.rp_id)?;
        if let Some(origin) = headers.get(header::ORIGIN)
            && !tenant.origins.iter().any(|own| origin == own.as_str())
        {
            return Err(Problem::ForeignOrigin);
        }
        // The account may have been deleted in another session.
        let account = self.storage.account_by_handle(&session.account.rp_id, &session.account.handle).await?;
        session.account = account.ok_or(Problem::SignedOut)?;
        Ok((id, session))
    }

    /// Checks that the sign-in was not long ago: a key is added and deleted by who is there.
    pub(super) fn recent(&self, session: &Session) -> Result<(), Problem> {
        let is_recent = self.now() < session.since.saturating_add(self.options.recent);
        if is_recent { Ok(()) } else { Err(Problem::NotRecent) }
    }

    /// The name of a session for its user. The session's own id is a secret.
    fn name_of(&self, session: SessionId) -> String {
        encode(&verifier::Backend.hmac_sha256(&self.secret, &[b"session", &session])[..16])
    }
}

/// The credential id of a public key credential: `id`. If `rawId` is present, it must be equal.
///
/// # Errors
/// [`Problem::Member`]: a member is missing or wrong.
pub(super) fn credential_id(body: &Members<'_>) -> Result<Vec<u8>, Problem> {
    let id = body.required_bytes("id")?;
    match body.required_text("type")? {
        "public-key" => {}
        "" => return Err(body.flaw("type", Flaw::Empty)),
        _ => return Err(body.flaw("type", Flaw::Value)),
    }
    match body.bytes("rawId")? {
        Some(raw) if raw != id => Err(body.flaw("rawId", Flaw::Value)),
        _ => Ok(id),
    }
}

/// The credential's descriptor in options.
pub(super) fn descriptor(credential: &CredentialRecord) -> Value {
    let mut descriptor = json!({ "type": "public-key", "id": encode(&credential.id) });
    if !credential.transports.is_empty() {
        descriptor["transports"] = credential.transports.clone().into();
    }
    descriptor
}

/// The facts about a credential for its owner, as the authenticator reported them.
pub(super) fn shown(credential: &CredentialRecord) -> Value {
    let flags = Flags(credential.flags);
    json!({
        "id": encode(&credential.id),
        "algorithm": Algorithm(credential.algorithm).name(),
        "signCount": credential.sign_count,
        "flags": {
            "userPresent": flags.has(Flags::UP),
            "userVerified": flags.has(Flags::UV),
            "backupEligible": flags.has(Flags::BE),
            "backedUp": flags.has(Flags::BS),
        },
        "attestation": { "format": credential.format, "type": credential.attestation },
        "aaguid": aaguid(&credential.aaguid),
        "transports": credential.transports,
        "created": credential.created,
        "lastUsed": credential.last_used,
    })
}

/// An AAGUID in the notation of UUIDs (RFC 9562 §4).
fn aaguid(bytes: &[u8; 16]) -> String {
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
