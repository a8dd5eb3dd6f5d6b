//! The signed-in user's account: showing it and deleting keys.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, header},
};
use keyfob_core::{auth_data::Flags, cose::Algorithm};
use serde_json::{Value, json};

use super::{
    App, Json, Reply,
    members::{Members, decode, encode},
    problem::{Flaw, Problem},
    session,
};
use crate::store::{Account, CredentialRecord};

/// Returns the signed-in account and its keys.
pub(super) async fn show(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Reply, Problem> {
    let account = own(&app, &headers).await?;
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
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Reply, Problem> {
    let account = own(&app, &headers).await?;
    let body = match body {
        Ok(Json(body)) => body,
        Err(Problem::MediaType) => json!({}), // there need be none
        Err(problem) => return Err(problem),
    };
    if Members::of(&body)?.flag("everywhere")? == Some(true) {
        app.storage.end_sessions(&account, None).await?;
    }
    if let Some(session) = session::named(&headers) {
        app.storage.sign_out(session).await?;
    }
    Ok(Reply::new(json!({})).with_cookie(session::no_cookie(&headers)))
}

/// Deletes a key, and ends the account's other sessions. Deletes the account with its last key.
pub(super) async fn delete_credential(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Reply, Problem> {
    let account = own(&app, &headers).await?;
    let id = decode(&id).ok_or(Problem::Member("the key's id".into(), Flaw::Encoding))?;
    if !app.storage.delete_credential(&account.rp_id, &account.handle, &id).await? {
        return Err(Problem::NoCredential);
    }
    // Whoever had the key may have a session, or be about to add another key.
    let is_left = app.storage.account_by_handle(&account.rp_id, &account.handle).await?.is_some();
    let session = session::named(&headers).filter(|_| is_left);
    app.storage.end_sessions(&account, session).await?;
    let reply = Reply::new(json!({ "accountDeleted": !is_left }));
    Ok(if is_left { reply } else { reply.with_cookie(session::no_cookie(&headers)) })
}

/// The signed-in account. Requests from pages of another origin are refused, even from the same site.
async fn own(app: &App, headers: &HeaderMap) -> Result<Account, Problem> {
    let session = session::named(headers).ok_or(Problem::SignedOut)?;
    let account = app.storage.signed_in(session, app.now()).await?.ok_or(Problem::SignedOut)?;
    let tenant = app.served(&account.rp_id)?;
    match headers.get(header::ORIGIN) {
        Some(origin) if !tenant.origins.iter().any(|own| origin == own.as_str()) => Err(Problem::ForeignOrigin),
        // The account may have been deleted in another session.
        _ => app.storage.account_by_handle(&account.rp_id, &account.handle).await?.ok_or(Problem::SignedOut),
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
