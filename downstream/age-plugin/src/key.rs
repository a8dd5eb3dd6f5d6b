//! The key on the desk: a new credential, and a secret of one.

use std::env;

use keyfob::{Address, Key, keys, now, open};
use keyfob_core::{
    Status,
    auth_data::Flags,
    cbor::List,
    client::{
        self, Cause, Ceremony, GetAssertion, GetOptions, MakeCredential, MakeOptions, PinEntry, Prompt, Reason,
        UserInteraction,
        extensions::{GetExtensions, HmacSalts, MakeExtensions},
    },
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    webauthn::Requirement,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use crate::credential::Credential;

/// The relying party of our credentials.
const RP_ID: &str = "age-encryption.org";
const ELSEWHERE: &str = "no security key that is plugged in has this identity";
/// Room for the longest message, in bytes.
const MESSAGE: usize = 7609;

/// Who is told to touch the key, and asked for its PIN.
pub trait Person {
    fn tell(&mut self, message: &str);
    /// `None` if there is no answer.
    fn secret(&mut self, question: &str) -> Option<Zeroizing<String>>;
}

/// The person at the terminal.
pub struct Terminal;

impl Person for Terminal {
    fn tell(&mut self, message: &str) {
        eprintln!("{message}");
    }

    fn secret(&mut self, question: &str) -> Option<Zeroizing<String>> {
        rpassword::prompt_password(format!("{question}: ")).ok().map(Zeroizing::new)
    }
}

struct User<'p, P>(&'p mut P);

impl<P: Person> UserInteraction for User<'_, P> {
    fn prompt_up(&mut self) {
        self.0.tell("Touch your security key.");
    }

    fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        let question = match (prompt.reason, prompt.retries) {
            (Reason::Wrong, Some(left)) => {
                format!("The PIN is wrong, {left} attempts are left. PIN of your security key")
            }
            _ => "PIN of your security key".into(),
        };
        self.0.secret(&question).map(|typed| pin.set(&typed)).is_some()
    }
}

/// Makes a credential for secrets. The user is verified if the key has a way to.
///
/// # Errors
/// There is not one key; it refuses; it makes no secrets.
pub fn register(person: &mut impl Person) -> Result<Credential, String> {
    let mut key = open(&only()?).map_err(text)?;
    let (hash, handle) = (random()?, random()?);
    let algorithms = [Algorithm::ES256, Algorithm::EDDSA].map(CredentialParameters::new);
    let options = MakeOptions {
        extensions: MakeExtensions { hmac_create_secret: true, ..MakeExtensions::NONE },
        ..MakeOptions::new(
            &hash,
            RpEntity { id: RP_ID, name: Some("age") },
            UserEntity { id: &handle, name: Some("age"), display_name: None },
            &algorithms,
        )
    };
    let mut buffer = vec![0; MESSAGE];
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, rng()?);
    let made = client::run(ceremony, &mut key, &mut User(person), now).map_err(text)?;
    if made.extensions.hmac_secret != Some(true) {
        return Err("the key makes no secrets: it has no extension hmac-secret".into());
    }
    let id = made.auth_data.attested_credential_data.ok_or("the key has made no credential")?.credential_id.to_vec();
    Ok(Credential { id, is_verified: made.auth_data.flags.has(Flags::UV) })
}

/// The secret that a credential makes of a salt.
///
/// # Errors
/// No key that is plugged in has the credential; the key refuses.
pub fn secret(
    credential: &Credential,
    salt: &[u8; 32],
    person: &mut impl Person,
) -> Result<Zeroizing<[u8; 32]>, String> {
    let mut key = with(credential)?;
    let hash = random()?;
    let allowed = [CredentialDescriptor::new(&credential.id)];
    let options = GetOptions {
        allow_list: List::Slice(&allowed),
        user_verification: if credential.is_verified { Requirement::Required } else { Requirement::Discouraged },
        extensions: GetExtensions {
            hmac_get_secret: Some(HmacSalts { salt1: salt, salt2: None }),
            ..GetExtensions::NONE
        },
        ..GetOptions::new(RP_ID, &hash)
    };
    let mut buffer = Zeroizing::new(vec![0; MESSAGE]);
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, rng()?);
    let assertions = client::run(ceremony, &mut key, &mut User(person), now).map_err(|error| match error.cause {
        Cause::Status(Status::NO_CREDENTIALS) => ELSEWHERE.into(),
        _ => error.to_string(),
    })?;
    let outputs = assertions.get(0).and_then(|assertion| assertion.extensions.hmac_outputs);
    outputs.map(|outputs| Zeroizing::new(*outputs.first)).ok_or("the key has made no secret".into())
}

/// The key that has this credential: it is asked without a touch where there are several.
fn with(credential: &Credential) -> Result<Key, String> {
    let addresses = addresses()?;
    if let [address] = &addresses[..] {
        return open(address).map_err(text);
    }
    let hash = random()?;
    let allowed = [CredentialDescriptor::new(&credential.id)];
    let silent = GetOptions {
        allow_list: List::Slice(&allowed),
        user_presence: false,
        user_verification: Requirement::Discouraged,
        ..GetOptions::new(RP_ID, &hash)
    };
    for address in &addresses {
        let Ok(mut key) = open(address) else { continue };
        let mut buffer = vec![0; MESSAGE];
        let ceremony = Ceremony::new(GetAssertion::new(&silent), &mut buffer, RustCrypto, rng()?);
        if client::run(ceremony, &mut key, &mut Nobody, now).is_ok() {
            return Ok(key);
        }
    }
    Err(ELSEWHERE.into())
}

struct Nobody;

impl UserInteraction for Nobody {}

/// The keys that may be meant: that of `KEYFOB_KEY`, or all that are plugged in; at least one.
fn addresses() -> Result<Vec<Address>, String> {
    if let Ok(named) = env::var("KEYFOB_KEY") {
        return named.parse().map(|address| vec![address]).map_err(|error| format!("KEYFOB_KEY is {named}: {error}"));
    }
    let found: Vec<Address> = keys().map_err(text)?.into_iter().map(|key| key.address).collect();
    if found.is_empty() { Err("no security key is plugged in".into()) } else { Ok(found) }
}

fn only() -> Result<Address, String> {
    match &addresses()?[..] {
        [address] => Ok(address.clone()),
        several => {
            Err(format!("{} security keys are plugged in: name the one that is meant in KEYFOB_KEY", several.len()))
        }
    }
}

pub fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(text)?;
    Ok(bytes)
}

fn rng() -> Result<ChaCha20Rng, String> {
    random().map(ChaCha20Rng::from_seed)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
