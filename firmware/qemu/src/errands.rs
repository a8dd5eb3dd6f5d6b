//! What the client does with the key, from the first power-up to a sign-in after another.

use core::cell::Cell;

use keyfob_core::{
    Instant,
    attestation::RawStatement,
    bytes,
    cbor::{self, List},
    client::{
        Ceremony, GetAssertion, GetOptions, MakeCredential, MakeOptions, Operation, PinEntry, Prompt, UserInteraction,
        extensions::{HmacSalts, MakeExtensions},
        manage::{Access, CredentialsMetadata, ListRelyingParties, SetPin},
        run, run_each,
    },
    cose::{Algorithm, CoseKey},
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    transport::hid::{DeviceConfig, HidTransport},
    verify::{self, AssertionResponse, AttestationResponse, Expected, RelyingPartyPolicy, StoredCredential},
    webauthn::{AttestationObject, Requirement},
};
use keyfob_soft_authenticator::hid::HidAuthenticator;

use crate::{Memory, board::Gauge, counting::Counting, key::Wire, platform::power_up, step};

const ORIGIN: &str = "https://example.org";
const RP_ID: &str = "example.org";
const PIN: &str = "12345678";
const USER: UserEntity<'static> =
    UserEntity { id: &[1, 2, 3], name: Some("alice@example.org"), display_name: Some("Alice") };
/// The challenge of every ceremony, and as it stands in the client data.
const CHALLENGE: &[u8] = &[1; 32];
const CREATE: &[u8] = br#"{"type":"webauthn.create","challenge":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE","origin":"https://example.org","crossOrigin":false}"#;
const GET: &[u8] = br#"{"type":"webauthn.get","challenge":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE","origin":"https://example.org","crossOrigin":false}"#;
const SALT: [u8; 32] = [9; 32];

/// A user who types the PIN and touches.
struct User;

impl UserInteraction for User {
    fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(PIN);
        true
    }

    fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.request_pin(prompt, pin)
    }
}

/// The credential that was registered, as a relying party stores it.
struct Account {
    id: ([u8; 128], usize),
    public_key: ([u8; 96], usize),
    sign_count: u32,
}

impl Account {
    fn id(&self) -> &[u8] {
        self.id.0.get(..self.id.1).unwrap_or_default()
    }

    fn public_key(&self) -> Option<CoseKey<'_>> {
        cbor::decode(self.public_key.0.get(..self.public_key.1)?).ok()
    }
}

fn kept<const N: usize>(bytes: &[u8]) -> Option<([u8; N], usize)> {
    let mut kept = [0; N];
    bytes::copy(kept.get_mut(..bytes.len())?, bytes);
    Some((kept, bytes.len()))
}

fn expected(algorithms: &[Algorithm]) -> Expected<'_> {
    Expected {
        challenge: CHALLENGE,
        origins: &[ORIGIN],
        top_origins: None,
        rp_id: RP_ID,
        user_presence: true,
        user_verification: true,
        algorithms,
        allow_credentials: &[],
        user_handle: None,
        policy: RelyingPartyPolicy::STANDARD,
    }
}

/// A client that is plugged into a key.
struct Client<'k> {
    transport: HidTransport<Wire<'k>, &'k dyn Fn() -> Instant>,
    now: &'k dyn Fn() -> Instant,
    gauge: &'k Gauge,
    buffer: &'k mut [u8],
}

impl Client<'_> {
    fn run<'b, O: Operation>(&'b mut self, operation: O) -> Result<O::Outcome<'b>, &'static str> {
        let ceremony = Ceremony::new(operation, self.buffer, RustCrypto, Counting((self.now)().as_millis()));
        run(ceremony, &mut self.transport, &mut User, self.now).map_err(|_| "the ceremony failed")
    }

    fn register(&mut self) -> Result<Account, &'static str> {
        let gauge = self.gauge;
        let hash = RustCrypto.sha256(&[CREATE]);
        let algorithms = [CredentialParameters::new(Algorithm::ES256)];
        let options = MakeOptions {
            resident_key: Requirement::Required,
            user_verification: Requirement::Required,
            extensions: MakeExtensions { hmac_create_secret: true, ..MakeExtensions::NONE },
            ..MakeOptions::new(&hash, RpEntity { id: RP_ID, name: Some("Example") }, USER, &algorithms)
        };
        let made = self.run(MakeCredential::new(&options))?;
        let object = AttestationObject {
            fmt: made.response.fmt,
            att_stmt: made.response.att_stmt.unwrap_or(RawStatement::EMPTY),
            auth_data: made.response.auth_data,
        };
        let response = AttestationResponse { client_data_json: CREATE, attestation_object: object };
        let registration = step(gauge, "  verified", || {
            verify::registration(&RustCrypto, &expected(&[Algorithm::ES256]), &response)
                .map_err(|_| "the registration does not verify")
        })?;
        let mut public_key = ([0; 96], 0);
        public_key.1 =
            cbor::encode(&registration.credential.public_key, &mut public_key.0).map_err(|_| "a long public key")?;
        let id = kept(registration.credential.credential_id).ok_or("a long id")?;
        Ok(Account { id, public_key, sign_count: registration.auth_data.sign_count })
    }

    /// Signs in and verifies. Returns the first output of hmac-secret.
    fn sign_in(&mut self, account: &mut Account, listed: bool) -> Result<[u8; 32], &'static str> {
        let gauge = self.gauge;
        let hash = RustCrypto.sha256(&[GET]);
        let allowed = [CredentialDescriptor::new(account.id())];
        let mut options = GetOptions { user_verification: Requirement::Required, ..GetOptions::new(RP_ID, &hash) };
        options.extensions.hmac_get_secret = Some(HmacSalts { salt1: &SALT, salt2: None });
        if listed {
            options.allow_list = List::Slice(&allowed);
        }
        let selection = self.run(GetAssertion::new(&options))?;
        let assertion = selection.get(0).ok_or("no assertion")?;
        let secret = assertion.extensions.hmac_outputs.ok_or("no secret")?;
        let response = AssertionResponse {
            credential_id: assertion.credential_id,
            client_data_json: GET,
            authenticator_data: assertion.response.auth_data,
            signature: assertion.response.signature,
            user_handle: assertion.response.user.map(|user| user.id),
        };
        let stored = StoredCredential {
            id: account.id(),
            public_key: account.public_key().ok_or("a bad public key")?,
            sign_count: account.sign_count,
            user_handle: USER.id,
            backup_eligible: Some(false),
        };
        let verified = step(gauge, "  verified", || {
            verify::assertion(&RustCrypto, &expected(&[]), &stored, &response)
                .map_err(|_| "the assertion does not verify")
        })?;
        let count = verified.auth_data.sign_count;
        let secret = *secret.first;
        account.sign_count = count;
        Ok(secret)
    }
}

/// Powers the key up and plugs the client in.
fn plug<'k>(
    memory: &'k mut Memory,
    time: &'k Cell<u64>,
    now: &'k dyn Fn() -> Instant,
    gauge: &'k Gauge,
    seed: u64,
) -> Result<Client<'k>, &'static str> {
    let key = gauge.key(|| {
        let engine = power_up(&mut memory.flash, &mut memory.key, seed, now())?;
        Ok::<_, &str>(HidAuthenticator::new(engine, DeviceConfig::default()))
    })?;
    let transport = HidTransport::new(Wire { key, now: time, gauge }, now, [seed as u8; 8]);
    Ok(Client { transport, now, gauge, buffer: &mut memory.client })
}

/// A key that is new: its PIN is set, a credential is registered, used and listed. Returns it and its secret.
fn first_life(mut client: Client<'_>) -> Result<(Account, [u8; 32]), &'static str> {
    let gauge = client.gauge;
    step(gauge, "set the PIN", || client.run(SetPin))?;
    let mut account = step(gauge, "register", || client.register())?;
    let secret = step(gauge, "sign in, discoverable", || client.sign_in(&mut account, false))?;
    if step(gauge, "sign in, allow list", || client.sign_in(&mut account, true))? != secret {
        return Err("another secret of hmac-secret");
    }
    let metadata = step(gauge, "credentials, metadata", || client.run(CredentialsMetadata::new(Access::User)))?;
    if metadata.existing != 1 {
        return Err("another number of credentials");
    }
    let listed = step(gauge, "credentials, relying parties", || {
        let rng = Counting((client.now)().as_millis());
        let ceremony = Ceremony::new(ListRelyingParties::new(Access::User), client.buffer, RustCrypto, rng);
        let mut listed = false;
        run_each(ceremony, &mut client.transport, &mut User, client.now, |party| listed |= party.rp.id == RP_ID)
            .map_err(|_| "the list failed")?;
        Ok(listed)
    })?;
    if listed { Ok((account, secret)) } else { Err("the relying party is not listed") }
}

/// Runs everything.
///
/// # Errors
/// What went wrong.
pub fn run_all(memory: &mut Memory, time: &Cell<u64>, gauge: &Gauge) -> Result<(), &'static str> {
    let now = || Instant::from_millis(time.get());
    let client = step(gauge, "power-up", || plug(memory, time, &now, gauge, 1))?;
    let (mut account, secret) = first_life(client)?;
    let mut client = step(gauge, "power-up, with the log", || plug(memory, time, &now, gauge, 2))?;
    let again = step(gauge, "sign in, after power-up", || client.sign_in(&mut account, false))?;
    if again == secret { Ok(()) } else { Err("another secret of hmac-secret after power-up") }
}
