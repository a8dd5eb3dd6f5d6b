//! `keyfob demo`: a virtual key and a client, over CTAPHID framing, every message shown.

use std::time;

use keyfob_core::{
    Instant,
    client::{
        self, GetAssertion, GetOptions, MakeCredential, MakeOptions, PinEntry, Prompt, Requirement, UserInteraction,
    },
    cose::{Algorithm, CoseKey},
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialParameters, RpEntity, UserEntity},
    pin_uv::Protocol,
    trace::{Hex, Tracer},
    transport::hid::HidTransport,
    verify::{self, AssertionResponse, Expected, RegistrationResponse, StoredCredential},
    webauthn::{AttestationObject, Ceremony, ClientData},
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey},
    engine::Config,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::{
    pin,
    trace::{Style, Trace},
};

const RP_ID: &str = "example.org";
const ORIGIN: &str = "https://example.org";
const USER_ID: &[u8] = b"user-0001";
/// Room for the longest message over HID.
const MESSAGE: usize = 7609;

/// How the demo runs.
#[derive(clap::Args)]
pub struct Arguments {
    /// One JSON object a line instead of text.
    #[arg(long)]
    json: bool,
    /// The PIN that the demo sets and uses.
    #[arg(long, default_value = "123456")]
    pin: String,
    /// The algorithm of the credential.
    #[arg(long, value_enum, default_value_t = AlgorithmChoice::Es256)]
    algorithm: AlgorithmChoice,
    /// Randomness from this seed, the same in every run.
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

/// The user of the demo: has a PIN and says nothing, for the trace says it all.
struct DemoUser<'p>(&'p str);

impl UserInteraction for DemoUser<'_> {
    fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(self.0);
        true
    }
}

/// Runs the demo. Errors: what the user has to know, in a line.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let padded_pin = pin::check(&arguments.pin, 4)?;
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
    let key = VirtualKey::new(&mut key_buffer, options).map_err(|error| format!("cannot make a key: {error:?}"))?;
    let start = time::Instant::now();
    let clock = || Instant::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    let mut nonce = [0; 8];
    rng.fill_bytes(&mut nonce);
    let style = if arguments.json { Style::Json } else { Style::Text };
    let trace = Trace::new(style);
    let mut transport = Tracer::new(HidTransport::new(InProcess(key), clock, nonce), |event| trace.event(event));
    let mut user = DemoUser(&arguments.pin);
    let mut buffer = vec![0; MESSAGE];

    trace.step("1. Set a PIN");
    pin::set(&mut transport, &RustCrypto, &mut rng, Protocol::Two, &padded_pin)?;

    trace.step("2. Register");
    let challenge = challenge(&mut rng);
    let client_data = client_data(Ceremony::Create, &challenge)?;
    let client_data_hash = RustCrypto.sha256(&[&client_data]);
    let rp = RpEntity { id: RP_ID, name: Some("Example") };
    let account = UserEntity { id: USER_ID, name: Some("alice"), display_name: Some("Alice") };
    let parameters = [CredentialParameters::new(algorithm)];
    let mut options = MakeOptions::new(&client_data_hash, rp, account, &parameters);
    options.resident_key = Requirement::Required;
    let ceremony = MakeCredential::new(&options, &mut buffer, RustCrypto, &mut rng);
    let attestation = client::run(ceremony, &mut transport, &mut user, clock).map_err(failed)?;

    trace.step("3. Verify the registration, as a relying party");
    let algorithms = [algorithm];
    let mut expected = Expected {
        challenge: &challenge,
        origins: &[ORIGIN],
        top_origins: None,
        rp_id: RP_ID,
        user_presence: true,
        user_verification: true,
        algorithms: &algorithms,
        allow_credentials: &[],
        user_handle: None,
        policy: verify::Policy::STANDARD,
    };
    let response = RegistrationResponse {
        client_data_json: &client_data,
        attestation_object: AttestationObject {
            fmt: attestation.response.fmt,
            att_stmt: attestation.response.att_stmt.unwrap_or(keyfob_core::attestation::RawStatement::EMPTY),
            auth_data: attestation.response.auth_data,
        },
    };
    let registration = verify::registration(&RustCrypto, &expected, &response).map_err(refused)?;
    trace.fact("verified", "type, challenge, origin, rpIdHash, flags, algorithm, attestation");
    trace.fact("credential", &Hex(registration.credential.credential_id).to_string());
    let credential_id = registration.credential.credential_id.to_vec();
    let mut public_key = [0; 256];
    let len = keyfob_core::cbor::encode(&registration.credential.public_key, &mut public_key)
        .map_err(|error| error.to_string())?;
    let sign_count = registration.auth_data.sign_count;

    trace.step("4. Sign in, without a name");
    let challenge = self::challenge(&mut rng);
    let client_data = self::client_data(Ceremony::Get, &challenge)?;
    let client_data_hash = RustCrypto.sha256(&[&client_data]);
    let mut options = GetOptions::new(RP_ID, &client_data_hash);
    options.user_verification = Requirement::Required;
    let ceremony = GetAssertion::new(&options, &mut buffer, RustCrypto, &mut rng);
    let selection = client::run(ceremony, &mut transport, &mut user, clock).map_err(failed)?;
    let assertion = selection.get(0).ok_or("the key answered without an assertion")?;

    trace.step("5. Verify the sign-in, as a relying party");
    expected.challenge = &challenge;
    let stored = StoredCredential {
        id: &credential_id,
        public_key: keyfob_core::cbor::decode::<CoseKey<'_>>(&public_key[..len]).map_err(|error| error.to_string())?,
        sign_count,
        user_handle: USER_ID,
        backup_eligible: Some(false),
    };
    let response = AssertionResponse {
        credential_id: assertion.credential_id,
        client_data_json: &client_data,
        authenticator_data: assertion.response.auth_data,
        signature: assertion.response.signature,
        user_handle: assertion.response.user.map(|user| user.id),
    };
    verify::assertion(&RustCrypto, &expected, &stored, &response).map_err(refused)?;
    trace.fact("verified", "type, challenge, origin, rpIdHash, flags, signature, counter, user");
    trace.step("Registered and signed in.");
    Ok(())
}

fn challenge(rng: &mut impl Rng) -> [u8; 32] {
    let mut challenge = [0; 32];
    rng.fill_bytes(&mut challenge);
    challenge
}

fn client_data(kind: Ceremony, challenge: &[u8]) -> Result<Vec<u8>, String> {
    let client_data = ClientData { kind, challenge, origin: ORIGIN, cross_origin: false, top_origin: None };
    let mut json = vec![0; 512];
    let len = client_data.write(&mut json).map_err(|error| error.to_string())?;
    json.truncate(len);
    Ok(json)
}

fn failed(error: client::Error) -> String {
    format!("the ceremony failed: {error}")
}

fn refused(error: verify::Error) -> String {
    format!("the relying party refuses: {error:?}")
}
