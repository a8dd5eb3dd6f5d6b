//! Signing in: `assertion/options` and `assertion/result`.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap};
use keyfob_core::{
    cbor,
    cose::CoseKey,
    crypto::Hash,
    verify::{self, AssertionResponse, Expected, StoredCredential},
    webauthn::ClientDataType,
};
use serde_json::{Value, json};

use super::{
    App, Json, Reply, UserVerification, account,
    client::Client,
    members::{Members, decode, encode},
    name,
    problem::Problem,
    session, verifier,
};
use crate::{
    random,
    store::{Account, PendingCeremony, Use},
    tenant::Tenant,
};

/// Begins a sign-in: to the named account, or to the account of the credential that answers.
pub(super) async fn options(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Reply, Problem> {
    let body = Members::of(&body)?;
    let tenant = app.tenant(&headers, body.text("rpId")?)?;
    let user_verification = app.user_verification(tenant, body.word("userVerification", &UserVerification::WORDS)?);
    let (account, allowed, descriptors) = match body.text("username")?.map(name::composed).as_deref() {
        None | Some("") => (None, Vec::new(), Vec::new()),
        Some(name) => match app.storage.account(&tenant.rp_id, name).await? {
            Some(account) => {
                let credentials = app.storage.credentials(&tenant.rp_id, &account.handle).await?;
                let allowed = credentials.iter().map(|credential| credential.id.clone()).collect();
                (Some(account), allowed, credentials.iter().map(account::descriptor).collect())
            }
            None if app.options.hide_accounts => app.nobody(tenant, name),
            None => return Err(Problem::NoAccount),
        },
    };
    let challenge = random::bytes::<32>().map_err(|error| Problem::Internal(error.to_string()))?.to_vec();
    let mut reply = Reply::new(json!({
        "challenge": encode(&challenge),
        "timeout": app.options.timeout.saturating_mul(1000),
        "rpId": tenant.rp_id,
        "allowCredentials": descriptors,
        "userVerification": user_verification.as_str(),
    }));
    if let Some(extensions) = body.get("extensions") {
        reply.members["extensions"] = extensions.clone();
    }
    let ceremony = PendingCeremony {
        kind: ClientDataType::Get,
        rp_id: tenant.rp_id.clone(),
        challenge,
        account,
        user_verification: user_verification == UserVerification::Required,
        new_account: false,
        algorithms: Vec::new(),
        attachment: None,
        allowed,
    };
    app.begin(&headers, &client, ceremony, reply).await
}

/// Completes a sign-in.
pub(super) async fn result(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Reply, Problem> {
    // The ceremony is used up, even if the request is refused for another reason.
    let ceremony = app.take(&headers, &client, ClientDataType::Get, &body).await;
    let Json(body) = body?;
    let body = Members::of(&body)?;
    let id = account::credential_id(&body)?;
    let response = body.required_object("response")?;
    let client_data_json = response.required_bytes("clientDataJSON")?;
    let authenticator_data = response.required_bytes("authenticatorData")?;
    let signature = response.required_bytes("signature")?;
    // An empty user handle counts as absent, because some clients send "".
    let user_handle = response.bytes("userHandle")?.filter(|handle| !handle.is_empty());
    let ceremony = ceremony?;

    let credential = app.storage.credential(&ceremony.rp_id, &id).await?.ok_or(Problem::UnknownCredential)?;
    let tenant = app.served(&ceremony.rp_id)?;
    let origins: Vec<&str> = tenant.origins.iter().map(String::as_str).collect();
    let top_origins = tenant.top_origins();
    let allowed: Vec<&[u8]> = ceremony.allowed.iter().map(Vec::as_slice).collect();
    let expected = Expected {
        challenge: &ceremony.challenge,
        origins: &origins,
        top_origins: top_origins.as_deref(),
        rp_id: &ceremony.rp_id,
        user_presence: true,
        user_verification: ceremony.user_verification,
        algorithms: &[],
        allow_credentials: &allowed,
        user_handle: ceremony.account.as_ref().map(|account| account.handle.as_slice()),
        policy: app.options.policy,
    };
    let stored = StoredCredential {
        id: &credential.id,
        public_key: cbor::decode_tolerant::<CoseKey<'_>>(&credential.public_key)
            .map_err(|error| Problem::Internal(format!("a stored key is damaged: {error}")))?,
        sign_count: credential.sign_count,
        user_handle: &credential.handle,
        backup_eligible: Some(credential.backup_eligible),
    };
    let answer = AssertionResponse {
        credential_id: &id,
        client_data_json: &client_data_json,
        authenticator_data: &authenticator_data,
        signature: &signature,
        user_handle: user_handle.as_deref(),
    };
    let verified = verify::assertion(&verifier::Backend, &expected, &stored, &answer).map_err(Problem::Assertion)?;

    if !tenant.policy.backup.accepts(verified.auth_data.flags) {
        return Err(Problem::Backup);
    }

    let account = match ceremony.account {
        Some(account) => account,
        None => app
            .storage
            .account_by_handle(&ceremony.rp_id, &credential.handle)
            .await?
            .ok_or(Problem::UnknownCredential)?,
    };
    let used = Use {
        previous: credential.sign_count,
        sign_count: verified.auth_data.sign_count,
        flags: verified.auth_data.flags.0,
        at: app.now(),
    };
    if !app.storage.use_credential(&ceremony.rp_id, &id, used).await? {
        return Err(Problem::Conflict);
    }
    let cookie = app.sign_in(&headers, &client, account.clone()).await?;
    let credential = app.storage.credential(&ceremony.rp_id, &id).await?.ok_or(Problem::Conflict)?;
    let reply = Reply::new(json!({ "username": account.name, "credential": account::shown(&credential) }));
    Ok(reply.with_cookie(cookie))
}

impl App {
    /// The user verification of a ceremony: what its request asks for, and the least of this server and of the relying
    /// party.
    pub(super) fn user_verification(&self, tenant: &Tenant, wanted: Option<&str>) -> UserVerification {
        let wanted = wanted.and_then(UserVerification::named).unwrap_or(UserVerification::Preferred);
        let least = tenant.policy.user_verification.unwrap_or(UserVerification::Discouraged);
        wanted.max(least).max(self.options.user_verification)
    }

    /// The answer for a name without an account: no account, and a credential id and descriptor that belong to no key
    /// and are the same each time.
    fn nobody(&self, tenant: &Tenant, name: &str) -> (Option<Account>, Vec<Vec<u8>>, Vec<Value>) {
        let of = |what: &[u8]| {
            verifier::Backend.hmac_sha256(&self.secret, &[what, tenant.rp_id.as_bytes(), &[0], name.as_bytes()])
        };
        let account = Account {
            rp_id: tenant.rp_id.clone(),
            handle: of(b"account").to_vec(),
            name: name.into(),
            display_name: name.into(),
        };
        let id = of(b"credential").to_vec();
        let descriptor = json!({ "type": "public-key", "id": encode(&id) });
        (Some(account), vec![id], vec![descriptor])
    }

    /// Stores a ceremony under the request's session, or under a new one.
    pub(super) async fn begin(
        &self,
        headers: &HeaderMap,
        client: &Client,
        ceremony: PendingCeremony,
        reply: Reply,
    ) -> Result<Reply, Problem> {
        let now = self.now();
        let cookie = self.cookie(headers, client);
        let mut session = cookie.session(headers);
        if let Some(id) = session
            && !self.storage.is_known(id, now).await?
        {
            session = None; // this server has not made the name, or has forgotten it
        }
        let fresh = session::fresh()?;
        let id = session.unwrap_or(fresh);
        let expires = now.saturating_add(self.options.timeout);
        let owner = client.name().unwrap_or_else(|| encode(&id));
        self.storage.begin(id, ceremony, owner, expires, now).await?;
        Ok(match session {
            Some(_) => reply,
            None => reply.with_cookie(cookie.set(fresh)),
        })
    }

    /// Takes the ceremony that a request answers.
    pub(super) async fn take(
        &self,
        headers: &HeaderMap,
        client: &Client,
        kind: ClientDataType,
        body: &Result<Json, Problem>,
    ) -> Result<PendingCeremony, Problem> {
        let session = self.cookie(headers, client).session(headers).ok_or(Problem::Session)?;
        let challenge = body.as_ref().ok().and_then(|Json(body)| challenge(body));
        self.storage.take(session, kind, challenge, self.now()).await?.ok_or(Problem::Session)
    }
}

/// The challenge in a response. It only finds the ceremony; the verification checks it.
fn challenge(body: &Value) -> Option<Vec<u8>> {
    let client_data = decode(body["response"]["clientDataJSON"].as_str()?)?;
    let client_data: Value = serde_json::from_slice(&client_data).ok()?;
    decode(client_data["challenge"].as_str()?)
}
