//! `keyfob sign-in`: an assertion by a credential on a key.

use std::path::PathBuf;

use keyfob_core::{
    client::{
        GetAssertion, GetOptions,
        fido2::{ClientPolicy, PreparedRequest, ResponseSelection},
    },
    crypto::RustCrypto,
    ctap2::get_info::Response,
    webauthn::{Attachment, DefaultClientDataCollector, PublicSuffixList, RequestOptions},
};
use serde_json::{Value, json};

use super::{
    Errand, Failure, KeyArguments, Kind, Meant,
    documents::{self, Document, base64url_argument},
    output::{base64, plain},
    register::Verification,
};

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// The site.
    #[arg(long, value_name = "RP_ID", default_value = "example.org")]
    rp: String,
    /// The origin of the page that asks. Default: https:// and the site.
    #[arg(long)]
    origin: Option<String>,
    /// A credential that may be used, in base64url. May be given several times. Without this and without
    /// --registration, any discoverable one.
    #[arg(long, value_name = "BASE64URL", value_parser = base64url_argument)]
    credential: Vec<std::vec::Vec<u8>>,
    /// Allows the credential of this file, which `keyfob register` has printed. May be given several times.
    #[arg(long, value_name = "FILE")]
    registration: Vec<PathBuf>,
    /// The challenge, in base64url. Default: 32 random bytes.
    #[arg(long, value_name = "BASE64URL", value_parser = base64url_argument)]
    challenge: Option<std::vec::Vec<u8>>,
    /// Whether the user is to be verified.
    #[arg(long, value_enum, default_value_t = Verification::Preferred)]
    uv: Verification,
    /// Prints the sign-ins of all accounts, an object a line, instead of one that is chosen.
    #[arg(long)]
    all: bool,
    /// Asks the key to sign without a touch. Sites accept none of it; `keyfob verify --no-touch` does.
    #[arg(long)]
    no_touch: bool,
    /// Speaks U2F, also with a key that has CTAP2.
    #[arg(long)]
    u2f: bool,
    /// Takes all options from this file, or - for the standard input: PublicKeyCredentialRequestOptionsJSON.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["credential", "registration", "challenge", "uv"])]
    options: Option<PathBuf>,
    #[command(flatten)]
    pub key: KeyArguments,
}

/// Whether a key can sign in without a name.
pub fn has_passkeys(info: &Response<'_>) -> bool {
    info.options.unwrap_or_default().rk == Some(true)
}

/// # Errors
/// The options cannot be used; the key refuses.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (name, value) = documents::options(arguments.options.as_deref(), || options(arguments))?;
    let text = value.to_string();
    let mut read = vec![0; text.len() + text.len() / 8 + 64];
    let options = RequestOptions::from_json(text.as_bytes(), &mut read)
        .map_err(|error| Failure::new(Kind::BadInput, format_args!("{name}: {error}")))?;
    let origin = arguments.origin.clone();
    let origin = origin.unwrap_or_else(|| format!("https://{}", options.rp_id.unwrap_or(&arguments.rp)));
    let collector = DefaultClientDataCollector::new(&origin).with_suffixes(PublicSuffixList);
    let mut client_data = vec![0; 8 * text.len() + 512];
    let request = PreparedRequest::new(&options, &collector, &ClientPolicy::STANDARD, &RustCrypto, &mut client_data)?;
    let ceremony = GetOptions { user_presence: !arguments.no_touch, ..request.options };
    let allowed: Vec<Vec<u8>> = ceremony.allow_list.iter().map(|allowed| allowed.id.to_vec()).collect();
    let is_any = allowed.is_empty();
    let meant = if is_any { Meant::Able(has_passkeys) } else { Meant::Holding(ceremony.rp_id.into(), allowed) };
    let mut errand = Errand::begin_with(&arguments.key, &meant)?.over_u2f(arguments.u2f);
    let interrupt = errand.user.interrupt.clone();
    let assertions = errand.run(GetAssertion::new(&ceremony), |_| ())?;
    let selection = ResponseSelection {
        client_data_json: request.client_data_json,
        assertions,
        attachment: Some(Attachment::CrossPlatform),
    };
    let count = selection.assertions.len();
    let chosen = match count {
        _ if arguments.all => 0..count,
        1 => 0..1,
        _ => super::user::account(&selection.assertions, &interrupt).map_or(0..0, |index| index..index + 1),
    };
    if chosen.is_empty() {
        let kind = if interrupt.has_come() { Kind::Interrupted } else { Kind::NotAgreed };
        return Err(Failure::new(kind, "no account was chosen"));
    }
    for response in chosen.filter_map(|index| selection.get(index)) {
        documents::print(&origin, &value, |buffer| response.to_json(&request.options.extensions, None, buffer))?;
        let id = base64(response.credential_id());
        eprintln!("Signed in at {}. The credential is {id}", plain(request.options.rp_id));
    }
    Ok(())
}

/// The options that the switches describe, as a site would send them.
fn options(arguments: &Arguments) -> Result<Value, Failure> {
    let mut allowed: Vec<String> = arguments.credential.iter().map(|id| base64(id)).collect();
    for path in &arguments.registration {
        let document = Document::read(path)?;
        allowed.push(base64(&document.bytes("response.id")?));
    }
    let allowed: Vec<Value> = allowed.iter().map(|id| json!({ "type": "public-key", "id": id })).collect();
    let mut options = json!({
        "rpId": arguments.rp,
        "challenge": documents::challenge(arguments.challenge.as_deref())?,
        "userVerification": arguments.uv.name(),
    });
    if !allowed.is_empty() {
        options["allowCredentials"] = allowed.into();
    }
    Ok(options)
}
