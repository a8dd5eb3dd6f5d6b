//! `keyfob demo`: a virtual key and a client, over CTAPHID framing, each message shown.

use std::time;

use keyfob_core::{
    Instant,
    client::{
        self, Ceremony,
        fido2::{Fido2Client, WebAuthnClient},
        manage::SetPin,
    },
    cose::{Algorithm, CoseKey},
    crypto::RustCrypto,
    ctap2::{CredentialParameters, UserEntity},
    trace::Tracer,
    transport::hid::HidTransport,
    verify::{self, AssertionResponse, AttestationResponse, Expected, StoredCredential},
    webauthn::{
        AttestationConveyance, AuthenticatorSelection, CreationOptions, DefaultClientDataCollector, PublicSuffixList,
        RelyingParty, RequestOptions, Requirement,
    },
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey},
    engine::Config,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::{
    key::pin::{self, HasPin},
    trace::{Style, Trace},
};

const RP_ID: &str = "example.org";
const ORIGIN: &str = "https://example.org";
const USER_ID: &[u8] = b"user-0001";
/// Room for the longest message over HID.
const MESSAGE: usize = 7609;

/// Room for client data and what goes with it, in bytes.
const CLIENT_DATA: usize = 256;

/// How the demo runs.
#[derive(clap::Args)]
pub struct Arguments {
    /// Shows every message with its members, and each keep-alive, instead of a line a message.
    #[arg(long)]
    trace: bool,
    /// One JSON object a line instead of text: `event` says what it is, byte strings are objects with `hex`.
    #[arg(long, conflicts_with = "trace")]
    json: bool,
    /// The PIN that the demo sets and uses.
    #[arg(long, default_value = "123456")]
    pin: String,
    /// The algorithm of the credential.
    #[arg(long, value_enum, default_value_t = AlgorithmChoice::Es256)]
    algorithm: AlgorithmChoice,
    /// Randomness from this seed, the same in every run, but for credentials' keys where AWS-LC makes them.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum AlgorithmChoice {
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    Eddsa,
}

/// Runs the demo.
///
/// # Errors
/// What the user has to know, in a line.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let pin = pin::normalized(&arguments.pin);
    pin::check(&pin)?;
    let algorithm = match arguments.algorithm {
        AlgorithmChoice::Es256 => Algorithm::ES256,
        AlgorithmChoice::Eddsa => Algorithm::EDDSA,
    };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| format!("the system's random source failed: {error}"))?;
    let mut rng = match arguments.seed {
        Some(seed) => ChaCha20Rng::seed_from_u64(seed),
        None => ChaCha20Rng::from_seed(seed),
    };

    let config = Config::new(VIRTUAL_KEY_AAGUID);
    let mut options = KeyOptions::new(config);
    options.seed = arguments.seed;
    let mut key_buffer = vec![0; config.buffer_len()];
    let key = VirtualKey::new(&mut key_buffer, options).map_err(|error| format!("cannot make a key: {error}"))?;
    let start = time::Instant::now();
    let clock = || Instant::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    let mut nonce = [0; 8];
    rng.fill_bytes(&mut nonce);
    let trace = Trace::new(match arguments {
        Arguments { json: true, .. } => Style::Json,
        Arguments { trace: true, .. } => Style::Full,
        _ => Style::Summary,
    });
    let mut transport = Tracer::new(HidTransport::new(InProcess(key), clock, nonce), |event| trace.event(event));
    let mut user = HasPin::new(pin);
    let mut buffer = vec![0; MESSAGE];

    trace.step(1, "Set a PIN");
    let set_pin = Ceremony::new(SetPin, &mut buffer, RustCrypto, &mut rng);
    client::run(set_pin, &mut transport, &mut user, clock).map_err(failed)?;

    trace.step(2, "Register");
    let challenges = [challenge(&mut rng), challenge(&mut rng)];
    let collector = DefaultClientDataCollector::new(ORIGIN).with_suffixes(PublicSuffixList);
    let mut client = Fido2Client::new(transport, collector, user, RustCrypto, rng, clock);
    let rp = RelyingParty { id: Some(RP_ID), name: "Example" };
    let account = UserEntity { id: USER_ID, name: Some("alice"), display_name: Some("Alice") };
    let parameters = [CredentialParameters::new(algorithm)];
    let options = CreationOptions {
        attestation: Some(AttestationConveyance::Direct),
        authenticator_selection: Some(AuthenticatorSelection {
            resident_key: Some(Requirement::Required),
            ..AuthenticatorSelection::default()
        }),
        ..CreationOptions::new(rp, account, &challenges[0], &parameters)
    };
    let mut client_data = [0; CLIENT_DATA];
    let creation = client.creation(&options, &mut client_data).map_err(failed)?;
    let registered = client.make_credential(&creation, &mut buffer).map_err(failed)?;

    trace.step(3, "Verify the registration, as a relying party");
    let algorithms = [algorithm];
    let mut expected = Expected {
        challenge: &challenges[0],
        origins: &[ORIGIN],
        top_origins: None,
        rp_id: RP_ID,
        user_presence: true,
        user_verification: true,
        algorithms: &algorithms,
        allow_credentials: &[],
        user_handle: None,
        policy: verify::RelyingPartyPolicy::STANDARD,
    };
    let response = AttestationResponse {
        client_data_json: registered.client_data_json,
        attestation_object: registered.attestation_object(),
    };
    let registration = verify::registration(&RustCrypto, &expected, &response).map_err(refused)?;
    let credential_id = registration.credential.credential_id.to_vec();
    let checks = ["type", "challenge", "origin", "rpIdHash", "flags", "algorithm", "attestation"];
    trace.verified(&checks, &credential_id);
    let mut public_key = [0; 256];
    let len = keyfob_core::cbor::encode(&registration.credential.public_key, &mut public_key)
        .map_err(|error| error.to_string())?;
    let sign_count = registration.auth_data.sign_count;

    trace.step(4, "Sign in, without a name");
    let options = RequestOptions {
        rp_id: Some(RP_ID),
        user_verification: Some(Requirement::Required),
        ..RequestOptions::new(&challenges[1])
    };
    let mut client_data = [0; CLIENT_DATA];
    let request = client.request(&options, &mut client_data).map_err(failed)?;
    let responses = client.get_assertion(&request, &mut buffer).map_err(failed)?;
    let signed_in = responses.get(0).ok_or("the key answered without an assertion")?;

    trace.step(5, "Verify the sign-in, as a relying party");
    expected.challenge = &challenges[1];
    let stored = StoredCredential {
        id: &credential_id,
        public_key: keyfob_core::cbor::decode::<CoseKey<'_>>(&public_key[..len]).map_err(|error| error.to_string())?,
        sign_count,
        user_handle: USER_ID,
        backup_eligible: Some(false),
    };
    let response = AssertionResponse {
        credential_id: signed_in.credential_id(),
        client_data_json: signed_in.client_data_json,
        authenticator_data: signed_in.assertion.response.auth_data,
        signature: signed_in.assertion.response.signature,
        user_handle: signed_in.user_handle(),
    };
    verify::assertion(&RustCrypto, &expected, &stored, &response).map_err(refused)?;
    let checks = ["type", "challenge", "origin", "rpIdHash", "flags", "signature", "counter", "user"];
    trace.verified(&checks, &credential_id);
    trace.outcome("Registered and signed in.");
    Ok(())
}

fn challenge(rng: &mut impl Rng) -> [u8; 32] {
    let mut challenge = [0; 32];
    rng.fill_bytes(&mut challenge);
    challenge
}

fn failed(error: client::Error) -> String {
    format!("the ceremony failed: {error}")
}

fn refused(error: verify::Error) -> String {
    format!("the relying party refuses: {error}")
}
