//! The client and the virtual key behind the functions. One key plays both authenticators, the platform's and a roaming
//! one; what is registered with the platform's is also kept in a list.

use std::{sync::LazyLock, time, time::Duration};

use keyfob_core::{
    Instant, Status,
    cbor::List,
    client::{
        self, AssertionSelection, Attestation, Cause, Ceremony, Conveyance, Error, GetAssertion, GetOptions,
        MakeCredential, MakeOptions, Requirement, UserInteraction,
        extensions::{
            CredProtect, GetExtensions, HmacOutputs, HmacSalts, LargeBlobAccess, LargeBlobSupport, MakeExtensions,
            PrfInput, PrfOfCredential,
        },
    },
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    extensions::cred_protect::Level,
    transport::hid::HidTransport,
};
use keyfob_soft_authenticator::devices::{Finger, InProcess, KeyOptions, Touch, VirtualKey};
use keyfob_windows::abi::{
    GUID, attachment, conveyance, hresult, large_blob_operation, large_blob_status, large_blob_support, transport,
    user_verification,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{
    Refusal,
    given::{Registration, Salts, SignIn},
    orders::{self, Orders},
};

/// NTE_INTERNAL_ERROR
const INTERNAL: i32 = 0x8009_002D_u32.cast_signed();

/// A credential of the platform.
pub struct PlatformEntry {
    pub id: Vec<u8>,
    pub rp_id: String,
    pub rp_name: String,
    pub user: (Vec<u8>, String, String),
}

pub type Secrets = ([u8; 32], Option<[u8; 32]>);

/// A registration.
pub struct Created {
    pub format: String,
    pub auth_data: Vec<u8>,
    pub statement: Vec<u8>,
    pub id: Vec<u8>,
    pub enterprise: bool,
    pub large_blob: bool,
    pub resident: bool,
    pub prf: bool,
    pub secrets: Option<Secrets>,
    pub used: u32,
    pub payment: bool,
}

/// A sign-in.
pub struct Asserted {
    pub auth_data: Vec<u8>,
    pub signature: Vec<u8>,
    pub id: Vec<u8>,
    pub user_id: Vec<u8>,
    pub blob: Vec<u8>,
    pub blob_status: u32,
    pub secrets: Option<Secrets>,
    pub used: u32,
    pub app_id_used: bool,
}

/// The user, who is verified by a finger, and may cancel.
struct User(GUID);

impl UserInteraction for User {
    fn cancelled(&mut self) -> bool {
        orders::is_cancelled(&self.0)
    }
}

fn now() -> Instant {
    static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);
    Instant::from_millis(START.elapsed().as_millis() as u64)
}

/// The key, and the credentials of the platform.
pub struct State {
    key: HidTransport<InProcess<'static>, fn() -> Instant>,
    rng: ChaCha20Rng,
    pub platform: Vec<PlatformEntry>,
    deleted: Vec<Vec<u8>>,
}

impl State {
    pub fn new() -> Self {
        let options = KeyOptions::workstation();
        let memory = vec![0; options.config.buffer_len()].leak();
        let key = VirtualKey::new(memory, options).expect("a key");
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("randomness");
        Self {
            key: HidTransport::new(InProcess(key), now, *b"a nonce!"),
            rng: ChaCha20Rng::from_seed(seed),
            platform: Vec::new(),
            deleted: Vec::new(),
        }
    }

    /// Whether there was a credential of the platform with this id.
    pub fn delete(&mut self, id: &[u8]) -> bool {
        let count = self.platform.len();
        self.platform.retain(|entry| entry.id != id);
        self.deleted.push(id.to_vec());
        self.platform.len() < count
    }

    fn touch(&mut self, orders: &Orders) {
        // A finger is a touch too.
        let (touch, finger) = if orders.touch { (Touch::Auto, Finger::Matches) } else { (Touch::Never, Finger::Never) };
        let key = &mut self.key.io_mut().0;
        key.set_touch(touch);
        key.set_finger(finger);
    }

    pub fn make_credential(&mut self, given: &Registration, orders: &Orders) -> Result<Created, Refusal> {
        let on_platform = given.attachment == attachment::PLATFORM;
        if on_platform && !orders.platform {
            return Err(hresult::NTE_DEVICE_NOT_FOUND.into());
        }
        self.touch(orders);
        let hash = RustCrypto.sha256(&[&given.client_data]);
        let parameters: Vec<_> =
            given.algorithms.iter().map(|number| CredentialParameters::new(Algorithm(*number))).collect();
        let excluded: Vec<_> =
            given.excluded.iter().map(|credential| CredentialDescriptor::new(&credential.id)).collect();
        let eval = given.eval.as_ref();
        let salts = eval.filter(|_| given.raw).map(raw_salts);
        let extensions = MakeExtensions {
            cred_blob: given.extensions.cred_blob.as_deref(),
            cred_props: true,
            cred_protect: given
                .extensions
                .protection
                .map(|(level, enforce)| CredProtect { level: Level(level), enforce }),
            hmac_create_secret: given.extensions.hmac_secret,
            hmac_get_secret: salts.as_ref().map(of_raw),
            large_blob: match given.large_blob {
                large_blob_support::NONE => None,
                large_blob_support::REQUIRED => Some(LargeBlobSupport::Required),
                _ => Some(LargeBlobSupport::Preferred),
            },
            min_pin_length: given.extensions.min_pin_length,
            payment: given.payment,
            prf: given.prf.then(|| eval.filter(|_| !given.raw).map(prf_input)),
            ..MakeExtensions::NONE
        };
        let options = MakeOptions {
            exclude_list: List::Slice(&excluded),
            // "Prefer" overrules "require".
            resident_key: match (given.prefer_resident, given.require_resident) {
                (true, _) => Requirement::Preferred,
                (_, true) => Requirement::Required,
                _ => Requirement::Discouraged,
            },
            user_verification: requirement(given.verification),
            enterprise_attestation: (given.enterprise != 0).then_some(given.enterprise),
            attestation: match given.conveyance {
                conveyance::NONE | 0 => Conveyance::None,
                _ => Conveyance::Direct,
            },
            extensions,
            timeout: Duration::from_millis(given.timeout.into()),
            ..MakeOptions::new(
                &hash,
                RpEntity { id: &given.rp.0, name: Some(&given.rp.1) },
                UserEntity { id: &given.user.0, name: Some(&given.user.1), display_name: Some(&given.user.2) },
                &parameters,
            )
        };
        let mut buffer = vec![0; 16384];
        let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, &mut self.rng);
        let made = client::run(ceremony, &mut self.key, &mut User(given.cancellation), now).map_err(refusal)?;
        let created = created(&made, on_platform, given.payment);
        if on_platform {
            self.platform.push(PlatformEntry {
                id: created.id.clone(),
                rp_id: given.rp.0.clone(),
                rp_name: given.rp.1.clone(),
                user: given.user.clone(),
            });
        }
        Ok(created)
    }

    pub fn get_assertion(&mut self, given: &SignIn, orders: &Orders) -> Result<Asserted, Refusal> {
        self.touch(orders);
        let hash = RustCrypto.sha256(&[&given.client_data]);
        let allowed: Vec<_> = given
            .allowed
            .iter()
            .filter(|credential| !self.deleted.contains(&credential.id))
            .map(|credential| CredentialDescriptor::new(&credential.id))
            .collect();
        if allowed.is_empty() && !given.allowed.is_empty() {
            return Err(hresult::NTE_NOT_FOUND.into());
        }
        let eval = given.eval.as_ref();
        let salts = eval.filter(|_| given.raw).map(raw_salts);
        let by_credential: Vec<_> =
            given.by_credential.iter().map(|(id, salts)| PrfOfCredential { id, eval: prf_input(salts) }).collect();
        let extensions = GetExtensions {
            app_id: given.app_id.as_deref(),
            cred_blob: given.extensions.get_cred_blob,
            hmac_get_secret: salts.as_ref().map(of_raw),
            large_blob: match given.blob_operation {
                large_blob_operation::GET => Some(LargeBlobAccess::Read),
                large_blob_operation::SET => Some(LargeBlobAccess::Write(&given.blob)),
                _ => None,
            },
            prf: eval.filter(|_| !given.raw).map(prf_input),
            prf_by_credential: List::Slice(&by_credential),
            ..GetExtensions::NONE
        };
        let options = GetOptions {
            allow_list: List::Slice(&allowed),
            user_verification: requirement(given.verification),
            extensions,
            timeout: Duration::from_millis(given.timeout.into()),
            ..GetOptions::new(&given.rp_id, &hash)
        };
        let (mut memory, mut buffer) = (vec![0; 16384], vec![0; 16384]);
        let operation = GetAssertion::with_memory(&options, &mut memory);
        let ceremony = Ceremony::new(operation, &mut buffer, RustCrypto, &mut self.rng);
        let made = client::run(ceremony, &mut self.key, &mut User(given.cancellation), now).map_err(refusal)?;
        asserted(&made, given, &self.platform)
    }
}

fn created(made: &Attestation<'_>, on_platform: bool, payment: bool) -> Created {
    let results = &made.extensions;
    Created {
        format: made.response.fmt.to_owned(),
        auth_data: made.response.auth_data.to_vec(),
        statement: made.response.att_stmt.map_or(vec![0xA0], |statement| statement.0.to_vec()),
        id: made.auth_data.attested_credential_data.expect("a credential").credential_id.to_vec(),
        enterprise: made.response.ep_att == Some(true),
        large_blob: results.large_blob == Some(true),
        resident: results.cred_props_rk == Some(true),
        prf: results.hmac_secret == Some(true),
        secrets: results.hmac_outputs.map(copied),
        used: if on_platform { transport::INTERNAL } else { transport::USB },
        payment,
    }
}

fn asserted(
    made: &AssertionSelection<'_, '_>,
    given: &SignIn,
    platform: &[PlatformEntry],
) -> Result<Asserted, Refusal> {
    let one = made.get(0).expect("an assertion");
    let mut work = vec![0; 8192];
    let blob = made
        .large_blob(&RustCrypto, 0, &mut work)
        .map_err(|error| Refusal { code: INTERNAL, reason: error.to_string() })?;
    let blob_status = match (given.blob_operation, blob, one.extensions.large_blob_written) {
        (large_blob_operation::GET, Some(_), _) | (large_blob_operation::SET, _, Some(true)) => {
            large_blob_status::SUCCESS
        }
        (large_blob_operation::GET, None, _) => large_blob_status::NOT_FOUND,
        (large_blob_operation::SET, ..) => large_blob_status::NOT_SUPPORTED,
        _ => large_blob_status::NONE,
    };
    let on_platform = platform.iter().any(|entry| entry.id == one.credential_id);
    Ok(Asserted {
        auth_data: one.response.auth_data.to_vec(),
        signature: one.response.signature.to_vec(),
        id: one.credential_id.to_vec(),
        user_id: one.user_handle().unwrap_or_default().to_vec(),
        blob: blob.unwrap_or_default().to_vec(),
        blob_status,
        secrets: one.extensions.hmac_outputs.map(copied),
        used: if on_platform { transport::INTERNAL } else { transport::USB },
        app_id_used: one.extensions.app_id == Some(true),
    })
}

fn copied(outputs: HmacOutputs<'_>) -> Secrets {
    (*outputs.first, outputs.second.copied())
}

fn prf_input(salts: &Salts) -> PrfInput<'_> {
    PrfInput { first: &salts.first, second: salts.second.as_deref() }
}

fn raw_salts(salts: &Salts) -> Secrets {
    let salt = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).expect("32 bytes");
    (salt(&salts.first), salts.second.as_deref().map(salt))
}

fn of_raw((salt1, salt2): &Secrets) -> HmacSalts<'_> {
    HmacSalts { salt1, salt2: salt2.as_ref() }
}

fn requirement(number: u32) -> Requirement {
    match number {
        user_verification::REQUIRED => Requirement::Required,
        user_verification::DISCOURAGED => Requirement::Discouraged,
        _ => Requirement::Preferred,
    }
}

/// What Windows returns for it.
fn refusal(error: Error) -> Refusal {
    match error.cause {
        Cause::Status(Status::CREDENTIAL_EXCLUDED) => hresult::NTE_EXISTS.into(),
        Cause::Status(Status::NO_CREDENTIALS) => hresult::NTE_NOT_FOUND.into(),
        Cause::Status(Status::KEY_STORE_FULL) => hresult::NTE_TOKEN_KEYSET_STORAGE_FULL.into(),
        Cause::Cancelled => hresult::NTE_USER_CANCELLED.into(),
        Cause::Timeout | Cause::Status(Status::USER_ACTION_TIMEOUT) => hresult::ERROR_TIMEOUT.into(),
        Cause::NoCommonAlgorithm => hresult::NTE_NOT_SUPPORTED.into(),
        _ => Refusal { code: INTERNAL, reason: error.to_string() },
    }
}
