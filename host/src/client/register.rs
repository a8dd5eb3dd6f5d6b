//! `keyfob register`: a new credential on a key.

use std::path::PathBuf;

use clap::ValueEnum;
use keyfob_core::{
    cbor::Text,
    client::{
        MakeCredential, Requirement,
        fido2::{ClientPolicy, PreparedCreation, RegistrationResponse},
        manage::GetInfo,
    },
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::get_info::Response,
    webauthn::{Attachment, CreationOptions, DefaultClientDataCollector, PublicSuffixList},
};
use serde_json::{Value, json};

use super::{
    Errand, Failure, KeyArguments, Kind, Meant,
    documents::{self, base64url_argument},
    output::{base64, plain},
    sign_in,
};
use crate::key::config;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// The site.
    #[arg(long, value_name = "RP_ID", default_value = "example.org")]
    rp: String,
    /// The origin of the page that asks. Default: https:// and the site.
    #[arg(long)]
    origin: Option<String>,
    /// The account's name.
    #[arg(long, value_name = "NAME", default_value = "user")]
    user: String,
    /// The name for people. Default: the account's name.
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// The account's handle, in base64url. Default: 16 random bytes.
    #[arg(long, value_name = "BASE64URL", value_parser = base64url_argument)]
    user_id: Option<std::vec::Vec<u8>>,
    /// The challenge, in base64url. Default: 32 random bytes.
    #[arg(long, value_name = "BASE64URL", value_parser = base64url_argument)]
    challenge: Option<std::vec::Vec<u8>>,
    /// Makes a discoverable credential, which signs in without a name.
    #[arg(long)]
    passkey: bool,
    /// Makes a credential for `keyfob secret`.
    #[arg(long)]
    secret: bool,
    /// Makes a passkey with room for a blob, for `keyfob blobs`.
    #[arg(long)]
    blob: bool,
    /// When the credential may be used; the registration fails on a key that cannot see to it.
    #[arg(long, value_enum)]
    protection: Option<Protection>,
    /// Speaks U2F, also with a key that has CTAP2.
    #[arg(long)]
    u2f: bool,
    /// Whether the user is to be verified.
    #[arg(long, value_enum, default_value_t = Verification::Preferred)]
    uv: Verification,
    /// Algorithms, the best first: names or COSE numbers, with commas between them.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = config::algorithm, allow_hyphen_values = true,
        default_value = "ES256,EdDSA")]
    algorithms: Vec<Algorithm>,
    /// Which attestation is asked for.
    #[arg(long, value_enum, default_value_t = Attestation::None)]
    attestation: Attestation,
    /// A credential that the key must not hold, in base64url. May be given several times.
    #[arg(long, value_name = "BASE64URL", value_parser = base64url_argument)]
    exclude: Vec<std::vec::Vec<u8>>,
    /// Takes all options from this file, or - for the standard input: PublicKeyCredentialCreationOptionsJSON.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "display_name", "user_id", "challenge", "passkey", "secret", "blob", "protection", "uv",
        "algorithms", "attestation", "exclude"])]
    options: Option<PathBuf>,
    #[command(flatten)]
    pub key: KeyArguments,
}

/// User verification, as WebAuthn has it.
#[derive(Clone, Copy, ValueEnum)]
pub enum Verification {
    Discouraged,
    Preferred,
    Required,
}

impl Verification {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discouraged => "discouraged",
            Self::Preferred => "preferred",
            Self::Required => "required",
        }
    }
}

/// Credential protection, by what a sign-in takes.
#[derive(Clone, Copy, ValueEnum)]
enum Protection {
    /// A touch.
    Optional,
    /// The PIN, a finger, or the credential's id.
    OptionalWithId,
    /// The PIN or a finger.
    Required,
}

impl Protection {
    /// Its name in WebAuthn.
    const fn policy(self) -> &'static str {
        match self {
            Self::Optional => "userVerificationOptional",
            Self::OptionalWithId => "userVerificationOptionalWithCredentialIDList",
            Self::Required => "userVerificationRequired",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Attestation {
    None,
    Indirect,
    Direct,
    Enterprise,
}

/// # Errors
/// The options cannot be used; the key refuses.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (name, value) = documents::options(arguments.options.as_deref(), || options(arguments))?;
    let text = value.to_string();
    let mut read = vec![0; text.len() + text.len() / 8 + 64];
    let options = CreationOptions::from_json(text.as_bytes(), &mut read)
        .map_err(|error| Failure::new(Kind::BadInput, format_args!("{name}: {error}")))?;
    let origin = arguments.origin.clone();
    let origin = origin.unwrap_or_else(|| format!("https://{}", options.rp.id.unwrap_or(&arguments.rp)));
    let collector = DefaultClientDataCollector::new(&origin).with_suffixes(PublicSuffixList);
    let mut client_data = vec![0; 8 * text.len() + 512];
    let creation = PreparedCreation::new(&options, &collector, &ClientPolicy::STANDARD, &RustCrypto, &mut client_data)?;
    let meant = match &creation.options {
        options if options.resident_key == Requirement::Required => Meant::Able(sign_in::has_passkeys),
        _ if arguments.secret => Meant::Able(makes_secrets),
        _ => Meant::Any,
    };
    let mut errand = Errand::begin_with(&arguments.key, &meant)?.over_u2f(arguments.u2f);
    if arguments.secret && !makes_secrets(&errand.run(GetInfo, |_| ())?) {
        let message = "the key cannot make secrets: it has no extension hmac-secret";
        return Err(Failure::new(Kind::Unsupported, message));
    }
    let attestation = errand.run(MakeCredential::new(&creation.options), |_| ())?;
    let response = RegistrationResponse {
        client_data_json: creation.client_data_json,
        attestation,
        attachment: Some(Attachment::CrossPlatform),
    };
    documents::print(&origin, &value, |buffer| {
        response.to_json(&creation.options.extensions, &[Text::new("usb")], buffer)
    })?;
    let (user, site) = (options.user.name.unwrap_or_default(), creation.options.rp.id);
    let id = base64(response.credential_id());
    eprintln!("Registered {} at {}. The credential is {id}", plain(user), plain(site));
    Ok(())
}

fn makes_secrets(info: &Response<'_>) -> bool {
    info.extensions.is_some_and(|list| list.iter().any(|name| name == "hmac-secret"))
}

/// The options that the switches describe, as a site would send them.
fn options(arguments: &Arguments) -> Result<Value, Failure> {
    let user_id = match &arguments.user_id {
        Some(given) => given.clone(),
        None => documents::random::<16>()?.to_vec(),
    };
    let parameters: Vec<Value> =
        arguments.algorithms.iter().map(|algorithm| json!({ "type": "public-key", "alg": algorithm.0 })).collect();
    let excluded: Vec<Value> =
        arguments.exclude.iter().map(|id| json!({ "type": "public-key", "id": base64(id) })).collect();
    let display_name = arguments.display_name.as_ref().unwrap_or(&arguments.user);
    let mut options = json!({
        "rp": { "id": arguments.rp, "name": arguments.rp },
        "user": { "id": base64(&user_id), "name": arguments.user, "displayName": display_name },
        "challenge": documents::challenge(arguments.challenge.as_deref())?,
        "pubKeyCredParams": parameters,
        "authenticatorSelection": {
            "residentKey": if arguments.passkey || arguments.blob { "required" } else { "discouraged" },
            "userVerification": arguments.uv.name(),
        },
        "attestation": match arguments.attestation {
            Attestation::None => "none",
            Attestation::Indirect => "indirect",
            Attestation::Direct => "direct",
            Attestation::Enterprise => "enterprise",
        },
    });
    if arguments.secret {
        options["extensions"]["prf"] = json!({});
    }
    if let Some(protection) = arguments.protection {
        options["extensions"]["credentialProtectionPolicy"] = protection.policy().into();
        options["extensions"]["enforceCredentialProtectionPolicy"] = true.into();
    }
    if arguments.blob {
        options["extensions"]["largeBlob"] = json!({ "support": "required" });
    }
    if !excluded.is_empty() {
        options["excludeCredentials"] = excluded.into();
    }
    Ok(options)
}
