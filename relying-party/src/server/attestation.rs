//! Registration: `attestation/options` and `attestation/result`.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap};
use keyfob_core::{
    attestation::{Element, Statement},
    auth_data::Flags,
    cbor::List,
    cose::Algorithm,
    verify::{self, Anchors, AttestationResponse, AttestationType, Expected},
    webauthn::{AttestationObject, ClientDataType},
};
use serde_json::{Value, json};

use super::{
    App, Json, Reply, UserVerification, account,
    client::Client,
    members::{Members, encode},
    name,
    problem::{Flaw, Problem},
    verifier,
};
use crate::{
    number, random,
    store::{Account, CredentialRecord, PendingCeremony, StoreOutcome},
    tenant::{KeyPolicy, Tenant},
};

const REQUIREMENTS: &[&str] = &["required", "preferred", "discouraged"];

/// Begins a registration.
pub(super) async fn options(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Reply, Problem> {
    let body = Members::of(&body)?;
    let tenant = app.tenant(&headers, body.text("rpId")?)?;
    let name = name::account(&body, "username")?;
    let display_name = name::display(&body, "displayName")?.unwrap_or_else(|| name.clone());
    let wishes = RequestedOptions::read(&app, tenant, &body)?;

    let session = app.session(&headers, &client).await?.map(|(_, session)| session);
    let (account, new_account) = match app.storage.account(&tenant.rp_id, &name).await? {
        None => {
            let handle = random::bytes::<32>().map_err(|error| Problem::Internal(error.to_string()))?.to_vec();
            let account = Account { rp_id: tenant.rp_id.clone(), handle, name, display_name };
            (account, !app.options.open_registration)
        }
        Some(account) if app.options.open_registration => (account, false),
        Some(account) => match session {
            Some(session) if session.account == account => {
                app.recent(&session)?;
                (account, false)
            }
            _ => return Err(Problem::AccountExists),
        },
    };
    let credentials = app.storage.credentials(&tenant.rp_id, &account.handle).await?;
    let exclude: Vec<Value> = credentials.iter().map(account::descriptor).collect();

    let challenge = random::bytes::<32>().map_err(|error| Problem::Internal(error.to_string()))?.to_vec();
    let params: Vec<Value> =
        wishes.algorithms.iter().map(|algorithm| json!({ "type": "public-key", "alg": algorithm.0 })).collect();
    let mut reply = Reply::new(json!({
        "rp": { "id": tenant.rp_id, "name": tenant.name },
        "user": { "id": encode(&account.handle), "name": account.name, "displayName": account.display_name },
        "challenge": encode(&challenge),
        "pubKeyCredParams": params,
        "timeout": app.options.timeout.saturating_mul(1000),
        "excludeCredentials": exclude,
        "authenticatorSelection": wishes.selection(),
        "attestation": wishes.attestation,
    }));
    if let Some(extensions) = body.get("extensions") {
        reply.members["extensions"] = extensions.clone();
    }
    let ceremony = PendingCeremony {
        kind: ClientDataType::Create,
        rp_id: tenant.rp_id.clone(),
        challenge,
        account: Some(account),
        user_verification: wishes.user_verification == UserVerification::Required,
        new_account,
        algorithms: wishes.algorithms.iter().map(|algorithm| algorithm.0).collect(),
        attachment: wishes.attachment.map(str::to_owned),
        allowed: Vec::new(),
    };
    app.begin(&headers, &client, ceremony, reply).await
}

/// The request's requirements on the authenticator.
struct RequestedOptions {
    user_verification: UserVerification,
    resident_key: &'static str,
    attachment: Option<&'static str>,
    attestation: &'static str,
    algorithms: Vec<Algorithm>,
}

impl RequestedOptions {
    /// Reads the flat members of the Python sample's server and the nested members of WebAuthn. The nested ones have
    /// precedence.
    fn read(app: &App, tenant: &Tenant, body: &Members<'_>) -> Result<Self, Problem> {
        const ATTACHMENTS: &[&str] = &["platform", "cross-platform"];
        let mut wishes = Self {
            user_verification: app.user_verification(tenant, body.word("userVerification", &UserVerification::WORDS)?),
            resident_key: body.word("discoverable_credential", REQUIREMENTS)?.unwrap_or("discouraged"),
            attachment: body
                .word("attachment", &["platform", "cross-platform", "all"])?
                .filter(|attachment| *attachment != "all"),
            attestation: body.word("attestation", &["none", "indirect", "direct", "enterprise"])?.unwrap_or("none"),
            algorithms: Vec::new(),
        };
        if let Some(selection) = body.object("authenticatorSelection")? {
            if let Some(word) = selection.word("userVerification", &UserVerification::WORDS)? {
                wishes.user_verification = app.user_verification(tenant, Some(word));
            }
            if let Some(word) = selection.word("authenticatorAttachment", ATTACHMENTS)? {
                wishes.attachment = Some(word);
            }
            // WebAuthn L3 §5.4.4: residentKey. If it is absent, requireResidentKey decides.
            let required = selection.flag("requireResidentKey")?;
            let word = selection.word("residentKey", REQUIREMENTS)?;
            if let Some(word) = word.or(required.map(|required| if required { "required" } else { "discouraged" })) {
                wishes.resident_key = word;
            }
        }
        for value in body.list("algorithms")? {
            let algorithm = value.as_str().and_then(verifier::named);
            let algorithm = algorithm.or_else(|| verifier::numbered(number::whole(value)?));
            let algorithm = algorithm.ok_or_else(|| body.flaw("algorithms", Flaw::Value))?;
            if !wishes.algorithms.contains(&algorithm) {
                wishes.algorithms.push(algorithm);
            }
        }
        let policy = &tenant.policy;
        // Browsers send no attestation where none is asked for.
        if wishes.attestation == "none" && !(app.options.policy.accept_none && policy.allowed_models.is_empty()) {
            wishes.attestation = "direct";
        }
        let taken = if policy.algorithms.is_empty() { verifier::ALGORITHMS } else { &policy.algorithms };
        if wishes.algorithms.is_empty() {
            wishes.algorithms = taken.to_vec();
        } else if !policy.algorithms.is_empty() {
            wishes.algorithms.retain(|algorithm| taken.contains(algorithm));
            if wishes.algorithms.is_empty() {
                return Err(body.flaw("algorithms", Flaw::Value));
            }
        }
        Ok(wishes)
    }

    fn selection(&self) -> Value {
        let mut selection = json!({
            "residentKey": self.resident_key,
            "requireResidentKey": self.resident_key == "required",
            "userVerification": self.user_verification.as_str(),
        });
        if let Some(attachment) = self.attachment {
            selection["authenticatorAttachment"] = attachment.into();
        }
        selection
    }
}

/// Completes a registration.
pub(super) async fn result(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Reply, Problem> {
    // The ceremony is used up, even if the request is refused for another reason.
    let ceremony = app.take(&headers, &client, ClientDataType::Create, &body).await;
    let Json(body) = body?;
    let body = Members::of(&body)?;
    let id = account::credential_id(&body)?;
    let response = body.required_object("response")?;
    let client_data_json = response.required_bytes("clientDataJSON")?;
    let object = response.required_bytes("attestationObject")?;
    let transports = transports(&response)?;
    let attachment = body.text("authenticatorAttachment")?;
    let ceremony = ceremony?;
    let account = ceremony.account.as_ref().ok_or(Problem::Session)?;

    let tenant = app.served(&ceremony.rp_id)?;
    let origins: Vec<&str> = tenant.origins.iter().map(String::as_str).collect();
    let top_origins = tenant.top_origins();
    let algorithms: Vec<Algorithm> = ceremony.algorithms.iter().copied().map(Algorithm).collect();
    let expected = Expected {
        challenge: &ceremony.challenge,
        origins: &origins,
        top_origins: top_origins.as_deref(),
        rp_id: &ceremony.rp_id,
        user_presence: true,
        user_verification: ceremony.user_verification,
        algorithms: &algorithms,
        allow_credentials: &[],
        user_handle: None,
        policy: app.options.policy,
    };
    let attestation_object = AttestationObject::decode(&object).map_err(Problem::AttestationObject)?;
    let answer = AttestationResponse { client_data_json: &client_data_json, attestation_object };
    let verified = verify::registration(&verifier::Backend, &expected, &answer).map_err(Problem::Registration)?;
    let worth = app.worth(attestation_object.fmt, &verified.attestation).map_err(Problem::Registration)?;
    if id != verified.credential.credential_id {
        return Err(body.flaw("id", Flaw::Value));
    }
    if let (Some(wanted), Some(attachment)) = (&ceremony.attachment, attachment)
        && wanted != attachment
    {
        return Err(Problem::Attachment);
    }

    let flags = verified.auth_data.flags;
    suits(&tenant.policy, verified.credential.aaguid, flags, worth)?;
    let credential = CredentialRecord {
        id,
        handle: account.handle.clone(),
        public_key: verifier::stored_key(&verified.credential.public_key)
            .ok_or(Problem::Registration(verify::Error::CredentialKey))?,
        algorithm: verified.credential.public_key.algorithm().0,
        sign_count: verified.auth_data.sign_count,
        flags: flags.0,
        uv_initialized: flags.has(Flags::UV),
        backup_eligible: flags.has(Flags::BE),
        transports,
        aaguid: *verified.credential.aaguid,
        format: attestation_object.fmt.into(),
        attestation: worth.into(),
        attestation_object: object.clone(),
        client_data_json: client_data_json.clone(),
        created: app.now(),
        last_used: None,
    };
    match app.storage.register(account, &credential, ceremony.new_account).await? {
        StoreOutcome::Yes => {}
        StoreOutcome::CredentialExists => return Err(Problem::CredentialExists),
        StoreOutcome::AccountFull => return Err(Problem::AccountFull),
        StoreOutcome::AccountExists => return Err(Problem::AccountExists),
    }
    let cookie = app.sign_in(&headers, &client, account.clone()).await?;
    let reply = Reply::new(json!({ "username": account.name, "credential": account::shown(&credential) }));
    Ok(reply.with_cookie(cookie))
}

impl App {
    /// The kind of proof in an attestation, for the credential record. A certificate that leads to none of the roots
    /// proves nothing: anybody can make one.
    ///
    /// # Errors
    /// Such a certificate, where an attestation is required.
    fn worth(&self, format: &str, attestation: &AttestationType<'_>) -> Result<&'static str, verify::Error> {
        match attestation {
            AttestationType::SelfAttestation => Ok("self"),
            AttestationType::Certificates(x5c) => self.trust(format, *x5c),
            AttestationType::Compound(elements) => {
                let worth = |element: Element<'_>| match element.decode().map_err(verify::Error::Statement)? {
                    Statement::None => Ok("none"),
                    statement => statement.x5c().map_or(Ok("self"), |x5c| self.trust(element.format, x5c)),
                };
                // One that is trusted is enough.
                let worths: Vec<_> = elements.iter().map(worth).collect();
                let best = ["trusted", "certificate"].into_iter().find(|best| worths.contains(&Ok(best)));
                best.map_or_else(|| worths.into_iter().find(Result::is_err).unwrap_or(Ok("self")), Ok)
            }
            _ => Ok("none"),
        }
    }

    /// What certificates prove.
    fn trust(&self, format: &str, x5c: List<'_, &[u8]>) -> Result<&'static str, verify::Error> {
        let roots: Vec<&[u8]> = self.options.attestation_roots.iter().map(Vec::as_slice).collect();
        let now = u64::try_from(self.now()).unwrap_or_default();
        // Android's keystore hands out its chain with the root.
        let anchors = Anchors { certificates: &roots, now, accept_root: format == "android-key" };
        match verify::chain(&verifier::Backend, x5c, &anchors) {
            Ok(()) => Ok("trusted"),
            Err(_) if self.options.policy.accept_none => Ok("certificate"),
            Err(error) => Err(error),
        }
    }
}

/// Checks that a relying party takes such a key.
fn suits(policy: &KeyPolicy, aaguid: &[u8; 16], flags: Flags, worth: &str) -> Result<(), Problem> {
    if !policy.allowed_models.is_empty() && worth != "trusted" {
        return Err(Problem::Registration(verify::Error::AttestationNotAccepted));
    }
    if !policy.accepts(aaguid) {
        return Err(Problem::Model);
    }
    if policy.backup.accepts(flags) { Ok(()) } else { Err(Problem::Backup) }
}

/// The transports in a client's response, limited in number and length.
fn transports(response: &Members<'_>) -> Result<Vec<String>, Problem> {
    let mut transports = Vec::new();
    for value in response.list("transports")?.iter().take(16) {
        let transport = value.as_str().ok_or_else(|| response.flaw("transports", Flaw::Type("strings")))?;
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if (1..=32).contains(&transport.len()) && is_word(transport) {
            transports.push(transport.to_owned());
        }
    }
    Ok(transports)
}
