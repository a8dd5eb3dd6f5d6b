//! `keyfob verify`: what a relying party checks, offline.

use std::path::PathBuf;

use keyfob_core::{
    auth_data::{AuthData, Flags},
    cbor,
    cose::Algorithm,
    extensions::{MakeCredentialOutputs, cred_protect::Level},
    verify::{
        self, AssertionResponse, AttestationResponse, AttestationType, Expected, RelyingPartyPolicy, StoredCredential,
        VerifiedRegistration,
    },
    webauthn::AttestationObject,
};
use keyfob_soft_authenticator::devices::VirtualCrypto;
use serde_json::{Value, json};

use super::{
    Failure, Kind,
    documents::Document,
    output::{base64, pairs, pem, plain},
};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// What `keyfob register` or `keyfob sign-in` has printed; - is the standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// For a sign-in: what `keyfob register` has printed for the credential.
    #[arg(long, value_name = "FILE")]
    registration: Option<PathBuf>,
    /// Accepts a sign-in without a touch.
    #[arg(long)]
    no_touch: bool,
    /// Prints the public key of a registration in PEM, and nothing else.
    #[arg(long, conflicts_with = "json")]
    pem: bool,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// # Errors
/// A file cannot be used; the response does not verify.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = Document::read(&arguments.file)?;
    let is_sign_in = document.member("response.response.signature").is_some();
    let told = match (&arguments.registration, is_sign_in) {
        (Some(path), true) => sign_in(&document, &Document::read(path)?, !arguments.no_touch)?,
        (None, true) => {
            let message = "a sign-in is verified with its registration: give that file with --registration";
            return Err(Failure::new(Kind::BadInput, message));
        }
        (Some(_), false) => {
            let message = format!("{} is not a sign-in, which --registration is for", document.name);
            return Err(Failure::new(Kind::BadInput, message));
        }
        (None, false) => registration(&document)?,
    };
    if arguments.pem {
        let pem = told["publicKeyPem"].as_str();
        let pem = pem.ok_or_else(|| Failure::new(Kind::BadInput, "there is no public key in PEM for this"))?;
        say(format_args!("{}", pem.trim_end()));
        return Ok(());
    }
    if arguments.json {
        say(format_args!("{told}"));
        return Ok(());
    }
    let text = |name: &str| told[name].as_str().map_or_else(|| told[name].to_string(), plain);
    let yes = |name: &str| if told[name] == true { "yes".to_owned() } else { "no".to_owned() };
    let what = if is_sign_in { "the sign-in" } else { "the registration" };
    say(format_args!("Verified: {what} is one that the site would accept."));
    let mut rows = vec![
        ("Site", text("rpId")),
        ("Credential", text("credentialId")),
        ("User verified", yes("userVerified")),
        ("Backed up", yes("backedUp")),
        ("Signature counter", text("signCount")),
    ];
    if !is_sign_in {
        rows.push(("Algorithm", text("algorithm")));
        rows.push(("Attestation", text("attestation")));
        rows.push(("Protection", text("protection")));
        rows.push(("Makes secrets", yes("hmacSecret")));
    }
    pairs(&rows);
    Ok(())
}

fn refused(error: verify::Error) -> Failure {
    Failure::new(Kind::Refused, format_args!("it does not verify: {error}"))
}

/// What the relying party asked for, as far as both ceremonies have it.
struct Asked {
    challenge: Vec<u8>,
    origin: String,
    rp_id: String,
    verification: bool,
}

impl Asked {
    /// Reads it from a document, whose options have the RP ID and the wish for user verification at these paths.
    fn read(document: &Document, rp_id: &str, verification: &str) -> Result<Self, Failure> {
        Ok(Self {
            challenge: document.bytes("options.challenge")?,
            origin: document.text("origin")?.into(),
            rp_id: document.rp_id(rp_id)?.into(),
            verification: document.member(verification).is_some_and(|value| value == "required"),
        })
    }

    fn expected<'a>(&'a self, origins: &'a [&'a str], algorithms: &'a [Algorithm]) -> Expected<'a> {
        Expected {
            challenge: &self.challenge,
            origins,
            top_origins: None,
            rp_id: &self.rp_id,
            user_presence: true,
            user_verification: self.verification,
            algorithms,
            allow_credentials: &[],
            user_handle: None,
            policy: RelyingPartyPolicy::STANDARD,
        }
    }
}

/// The algorithms that were asked for.
fn algorithms(document: &Document) -> Result<Vec<Algorithm>, Failure> {
    let member = "options.pubKeyCredParams";
    let listed =
        document.member(member).and_then(Value::as_array).ok_or_else(|| document.wrong(member, "not a list"))?;
    let read = |entry: &Value| entry["alg"].as_i64().and_then(|number| i32::try_from(number).ok()).map(Algorithm);
    let all: Option<Vec<Algorithm>> = listed.iter().map(read).collect();
    all.ok_or_else(|| document.wrong(member, "not a list of algorithms"))
}

/// Verifies the registration in a document, and hands it to `then`.
fn with_registration<T>(
    document: &Document,
    then: impl FnOnce(&Asked, &VerifiedRegistration<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let asked = Asked::read(document, "options.rp.id", "options.authenticatorSelection.userVerification")?;
    let client_data = document.bytes("response.response.clientDataJSON")?;
    let member = "response.response.attestationObject";
    let object = document.bytes(member)?;
    let attestation_object = AttestationObject::decode(&object)
        .map_err(|error| document.wrong(member, &format!("no attestation object: {error}")))?;
    let (origins, algorithms) = ([asked.origin.as_str()], algorithms(document)?);
    let response = AttestationResponse { client_data_json: &client_data, attestation_object };
    let verified = verify::registration(&VirtualCrypto::default(), &asked.expected(&origins, &algorithms), &response);
    then(&asked, &verified.map_err(refused)?)
}

fn registration(document: &Document) -> Result<Value, Failure> {
    with_registration(document, |asked, verified| {
        let mut told = told("registration", asked, verified.credential.credential_id, &verified.auth_data);
        told["publicKey"] = base64(&public_key(verified)?).into();
        told["publicKeyPem"] = pem(&verified.credential.public_key).into();
        let outputs = verified.auth_data.extensions.map(|map| map.decode::<MakeCredentialOutputs<'_>>()).transpose();
        let outputs = outputs.map_err(|error| Failure::new(Kind::Refused, error))?.unwrap_or_default();
        is_protected(document, outputs.cred_protect)?;
        told["protection"] = outputs.cred_protect.map_or(Value::Null, |level| protection(level).into());
        told["hmacSecret"] = (outputs.hmac_secret == Some(true)).into();
        told["algorithm"] = format!("{:?}", verified.credential.public_key.algorithm()).into();
        told["attestation"] = match verified.attestation {
            AttestationType::None => "none",
            AttestationType::SelfAttestation => "self",
            _ => "certificate",
        }
        .into();
        Ok(told)
    })
}

/// Whether a credential has the protection that the site insists on, or more.
fn is_protected(document: &Document, level: Option<Level>) -> Result<(), Failure> {
    let extension = |name: &str| document.member(&format!("options.extensions.{name}"));
    if extension("enforceCredentialProtectionPolicy") != Some(&Value::Bool(true)) {
        return Ok(());
    }
    let asked = extension("credentialProtectionPolicy").and_then(Value::as_str).unwrap_or_default();
    let levels = [1, 2, 3].map(Level);
    let asked = levels.into_iter().find(|level| protection(*level) == asked);
    if level >= asked {
        return Ok(());
    }
    Err(Failure::new(Kind::Refused, "it does not verify: the credential is less protected than the site insists on"))
}

/// The name of a level in WebAuthn.
const fn protection(level: Level) -> &'static str {
    match level {
        Level::USER_VERIFICATION_REQUIRED => "userVerificationRequired",
        Level::USER_VERIFICATION_OPTIONAL_WITH_CREDENTIAL_ID_LIST => "userVerificationOptionalWithCredentialIDList",
        _ => "userVerificationOptional",
    }
}

/// The public key, as COSE has it.
fn public_key(verified: &VerifiedRegistration<'_>) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; 4096];
    let len =
        cbor::encode(&verified.credential.public_key, &mut bytes).map_err(|error| Failure::new(Kind::Other, error))?;
    bytes.truncate(len);
    Ok(bytes)
}

fn sign_in(document: &Document, registration: &Document, user_presence: bool) -> Result<Value, Failure> {
    with_registration(registration, |_, registered| {
        let asked = Asked::read(document, "options.rpId", "options.userVerification")?;
        let user_id = registration.bytes("options.user.id")?;
        let part = |name: &str| document.bytes(&format!("response.response.{name}"));
        let (client_data, auth_data, signature) =
            (part("clientDataJSON")?, part("authenticatorData")?, part("signature")?);
        let user_handle = document.member("response.response.userHandle").map(|_| part("userHandle")).transpose()?;
        let id = document.bytes("response.id")?;
        let stored = StoredCredential {
            id: registered.credential.credential_id,
            public_key: registered.credential.public_key,
            sign_count: registered.auth_data.sign_count,
            user_handle: &user_id,
            backup_eligible: Some(registered.auth_data.flags.has(Flags::BE)),
        };
        let response = AssertionResponse {
            credential_id: &id,
            client_data_json: &client_data,
            authenticator_data: &auth_data,
            signature: &signature,
            user_handle: user_handle.as_deref(),
        };
        let origins = [asked.origin.as_str()];
        let mut expected = asked.expected(&origins, &[]);
        expected.user_presence = user_presence;
        // The file that was given says whose sign-in it has to be.
        expected.user_handle = Some(&user_id);
        let verified = verify::assertion(&VirtualCrypto::default(), &expected, &stored, &response).map_err(refused)?;
        Ok(told("signIn", &asked, &id, &verified.auth_data))
    })
}

fn told(what: &str, asked: &Asked, credential_id: &[u8], auth_data: &AuthData<'_>) -> Value {
    json!({
        "verified": what,
        "rpId": asked.rp_id,
        "credentialId": base64(credential_id),
        "signCount": auth_data.sign_count,
        "userVerified": auth_data.flags.has(Flags::UV),
        "backupEligible": auth_data.flags.has(Flags::BE),
        "backedUp": auth_data.flags.has(Flags::BS),
    })
}
