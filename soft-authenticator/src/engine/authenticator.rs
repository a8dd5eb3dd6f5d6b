//! What the commands share: configuration, seams, PIN state, token, and the work at hand.

use heapless::Vec;
use keyfob_core::{
    Instant, Status, bytes,
    cbor::Text,
    cose::Algorithm,
    crypto::{self, HEDGE, Hash, MAX_PUBLIC, MAX_SECRET, P256Point, P256Secret, Sign},
    ctap2::Command,
    pin_uv::{Permissions, Protocol, SharedSecret, TokenState, UserVerified},
};
use zeroize::{Zeroize, Zeroizing};

use super::{
    Config, ConfigError, Platform,
    attestation::Format,
    bio_enrollment::Enrollment,
    credential,
    credential_management::Listings,
    extensions::{Asked, Salts},
    fingerprints::{MAX_FINGERPRINTS, TemplateId},
    get_assertion::Assertions,
    large_blobs::Upload,
    persistent::Fresh,
    proof::UserPresent,
    sign_count::Counts,
    superseded::Kept,
    u2f::Touch,
    user_verification::Attempt,
};
use crate::{
    caps::Caps,
    store::{Change, Number, Setting, Store, StoreError},
};

/// The seed of the credential keys, in bytes.
pub(super) const SEED: usize = 32;

/// Wrong PINs in a row before a power cycle is needed (CTAP 2.3 §6.5.5.1).
const MAX_CONSECUTIVE_MISMATCHES: u8 = 3;

/// Everything but the buffer.
pub(super) struct Authenticator<'c, P: Platform> {
    pub config: Config<'c>,
    pub crypto: P::Crypto,
    pub rng: P::Rng,
    pub store: P::Store,
    pub powered_up: Instant,
    pub credential_keys: credential::CredentialKeys,
    pub pin: PinState,
    /// Attempts of built-in user verification left.
    pub uv_retries: u8,
    /// Ids of the fingerprints that are enrolled.
    pub fingerprints: Vec<TemplateId, MAX_FINGERPRINTS>,
    pub options: Options,
    /// Reserved counts of signatures, once there was a signature since power-up.
    pub sign_counts: Option<Counts>,
    /// Discoverable credentials that were replaced and are kept.
    pub superseded: Kept,
    /// Whether the last answer tells of a credential that has replaced the last one of these.
    pub answers_replacement: bool,
    pub key_agreement: Option<(P256Secret, P256Point)>,
    pub token: TokenState,
    /// Whether built-in user verification gave the token, not the PIN.
    pub token_by_uv: bool,
    pub sequence: Option<Sequence>,
    /// What is agreed on with the platform, during a command or a sequence of assertions.
    pub shared: Option<SharedSecret>,
    /// The salts that came with it.
    pub salts: Option<Salts>,
    /// The transport over which the platform speaks.
    pub transport: Option<Text<'c>>,
    /// The touch that U2F waits for between its requests.
    pub touch: Touch,
    pub work: Work,
    /// The public key of a registration. Not among the work, which is cleared twice a command: with the longest keys, most
    /// of that would be this.
    pub public: Vec<u8, MAX_PUBLIC>,
    /// Bytes of the scratch area that may hold a secret.
    pub scratch_used: usize,
}

/// The PIN, as far as it is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct PinState {
    pub is_set: bool,
    pub retries: u8,
    /// Attempts in a row since power-up, each counted before it is compared.
    pub mismatches: u8,
}

impl PinState {
    /// Whether only a power cycle lets another PIN be tried.
    pub const fn needs_power_cycle(&self) -> bool {
        self.mismatches >= MAX_CONSECUTIVE_MISMATCHES
    }
}

/// What authenticatorConfig has set, as far as it is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub always_uv: bool,
    pub enterprise_attestation: bool,
    pub long_touch_for_reset: bool,
    pub force_pin_change: bool,
    pub pin_complexity: bool,
    /// The shortest PIN, in code points.
    pub min_pin_length: u8,
}

impl Options {
    /// The options of an authenticator that has been reset.
    pub const fn new(config: &Config<'_>) -> Self {
        Self {
            always_uv: false,
            enterprise_attestation: false,
            long_touch_for_reset: false,
            force_pin_change: false,
            pin_complexity: false,
            min_pin_length: config.min_pin_length,
        }
    }

    /// As they are stored, in [`Setting::Options`].
    pub fn to_bytes(self) -> [u8; 2] {
        let flags = u8::from(self.always_uv)
            | u8::from(self.enterprise_attestation) << 1
            | u8::from(self.long_touch_for_reset) << 2
            | u8::from(self.force_pin_change) << 3
            | u8::from(self.pin_complexity) << 4;
        [flags, self.min_pin_length]
    }

    const fn from_bytes([flags, min_pin_length]: [u8; 2]) -> Self {
        Self {
            always_uv: flags & 1 != 0,
            enterprise_attestation: flags & 1 << 1 != 0,
            long_touch_for_reset: flags & 1 << 2 != 0,
            force_pin_change: flags & 1 << 3 != 0,
            pin_complexity: flags & 1 << 4 != 0,
            min_pin_length,
        }
    }
}

/// A sequence of commands: what the next one goes on with.
pub(super) enum Sequence {
    /// getAssertion, getNextAssertion and so on.
    Assertions(Assertions),
    /// Enumerations of relying parties and credentials.
    Listings(Listings),
    /// A large-blob array that is being written.
    Upload(Upload),
    /// enrollBegin, enrollCaptureNextSample and so on.
    Enrollment(Enrollment),
}

impl Sequence {
    /// Whether `command` may go on with it. Any other ends it.
    const fn goes_on_with(&self, command: Command) -> bool {
        match self {
            Self::Assertions(_) => matches!(command, Command::GET_NEXT_ASSERTION),
            Self::Upload(_) => matches!(command, Command::LARGE_BLOBS),
            Self::Listings(_) => {
                matches!(command, Command::CREDENTIAL_MANAGEMENT | Command::CREDENTIAL_MANAGEMENT_PREVIEW)
            }
            Self::Enrollment(_) => matches!(command, Command::BIO_ENROLLMENT | Command::BIO_ENROLLMENT_PREVIEW),
        }
    }
}

/// What a pending command has decided. Commands use what they need of it.
#[derive(Default)]
pub(super) struct Work {
    pub step: u8,
    /// A probe with an empty pinUvAuthParam.
    pub probe: bool,
    pub excluded: bool,
    /// A credential, or its blob, is in the store: nothing takes it back.
    pub committed: bool,
    /// There is no room to keep what a registration replaces.
    pub replaces_at_once: bool,
    /// Built-in user verification, within this command.
    pub attempt: Attempt,
    /// A PIN attempt is counted, and the PIN has not been found right.
    pub pin_unproven: bool,
    pub user_verified: Option<UserVerified>,
    pub user_present: Option<UserPresent>,
    pub discoverable: bool,
    /// What the request asks of the extensions.
    pub asked: Asked,
    pub format: Format,
    /// Enterprise attestation is given.
    pub enterprise: bool,
    pub algorithm: Option<Algorithm>,
    pub rp_id_hash: [u8; 32],
    pub client_data_hash: [u8; 32],
    /// Random bytes for the response.
    pub random: [u8; HEDGE],
    pub id: Vec<u8, { credential::MAX_ID }, u16>,
    pub secret: Vec<u8, MAX_SECRET, u16>,
    /// The stored credential at hand, and how many there are.
    pub number: Option<Number>,
    pub total: u32,
    /// Bytes of a certificate in the scratch area.
    pub certificate: u16,
    /// The length of a large-blob array that is staged as a whole.
    pub large_blobs: usize,
}

impl Work {
    /// Whether the user is verified.
    pub fn is_verified(&self) -> bool {
        self.user_verified.is_some_and(UserVerified::holds)
    }

    /// Whether the user is present.
    pub fn is_present(&self) -> bool {
        self.user_present.is_some_and(UserPresent::holds)
    }

    /// Forgets everything, secrets first.
    pub fn wipe(&mut self) {
        self.secret.as_mut_slice().zeroize();
        *self = Self::default();
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.secret.as_mut_slice().zeroize();
    }
}

/// A store that fails is reported as such; a full one only matters where credentials are added.
pub(super) fn store_status(error: StoreError) -> Status {
    match error {
        StoreError::Full => Status::KEY_STORE_FULL,
        _ => Status::OTHER,
    }
}

/// What a failure of the crypto backend, or of the random source, is to the platform.
pub(super) fn crypto_status(_: crypto::Error) -> Status {
    Status::OTHER
}

impl<'c, P: Platform> Authenticator<'c, P> {
    pub fn new(
        config: Config<'c>,
        crypto: P::Crypto,
        rng: P::Rng,
        store: P::Store,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        let mut authenticator = Self {
            config,
            crypto,
            rng,
            store,
            powered_up: now,
            credential_keys: credential::CredentialKeys::default(),
            pin: PinState { is_set: false, retries: 0, mismatches: 0 },
            uv_retries: 0,
            fingerprints: Vec::new(),
            options: Options::new(&config),
            sign_counts: None,
            superseded: Kept::default(),
            answers_replacement: false,
            key_agreement: None,
            token: if config.policy.rules_2_0 { TokenState::without_limits() } else { TokenState::default() },
            token_by_uv: false,
            sequence: None,
            shared: None,
            salts: None,
            transport: config.transports.first().copied(),
            touch: Touch::default(),
            work: Work::default(),
            public: Vec::new(),
            scratch_used: 0,
        };
        config.check_backend(authenticator.crypto.algorithms())?;
        authenticator.power_up(now)?;
        Ok(authenticator)
    }

    /// Reads what survives power loss and forgets what does not.
    pub fn power_up(&mut self, now: Instant) -> Result<(), ConfigError> {
        self.powered_up = now;
        self.forget();
        self.pin.mismatches = 0;
        self.load()
    }

    /// Forgets what neither a power cut nor a reset leaves standing.
    pub fn forget(&mut self) {
        self.key_agreement = None;
        self.token.stop_using();
        self.forget_sequence();
        self.touch = Touch::default();
    }

    /// Reads settings; an empty store gets its seed.
    pub fn load(&mut self) -> Result<(), ConfigError> {
        let mut value = Zeroizing::new([0; SEED]);
        match self.store.get(Setting::Seed, &mut *value)? {
            Some(SEED) => {}
            // A new seed would void every wrapped credential: not because of damage.
            Some(_) => return Err(StoreError::Failed.into()),
            None => {
                let fresh = Fresh::new(&mut self.rng).map_err(|_| ConfigError::RandomSource)?;
                self.store.commit(&fresh.changes())?;
                bytes::copy(&mut *value, &*fresh.seed);
            }
        }
        self.credential_keys = credential::CredentialKeys::derive(&self.crypto, &*value);
        self.sign_counts = None;
        self.load_pin()?;
        self.load_fingerprints(&mut [0; Setting::MAX_LEN])?;
        self.load_uv_retries()?;
        self.load_superseded()?;
        self.options = match self.store.get(Setting::Options, &mut *value)? {
            Some(2) => {
                let stored = Options::from_bytes(bytes::array(&*value));
                // A new configuration may be stricter.
                Options { min_pin_length: stored.min_pin_length.max(self.config.min_pin_length), ..stored }
            }
            Some(_) => return Err(StoreError::Failed.into()), // damage must not loosen a policy
            None if self.options_were_stored()? => return Err(StoreError::Failed.into()),
            None => Options::new(&self.config),
        };
        Ok(())
    }

    /// Commits `changes`. If that fails, the store is asked what is in force: it may have been made.
    pub fn commit_or_reload(&mut self, changes: &[Change<'_>]) -> Result<(), Status> {
        let committed = self.store.commit(changes).map_err(store_status);
        if committed.is_err() {
            let _ = self.load(); // if it does not say, the next power-up asks again
        }
        committed
    }

    /// Whether `caps` are compiled in and switched on.
    pub fn has(&self, caps: Caps) -> bool {
        P::COMPILED.has(caps) && self.config.caps.has(caps)
    }

    /// Whether some form of user verification is set up.
    pub fn is_protected(&self) -> bool {
        self.has(Caps::CLIENT_PIN) && self.pin.is_set || self.uv_is_configured()
    }

    /// Whether there is anything that tokens could be issued for.
    pub fn issues_tokens(&self) -> bool {
        self.has(Caps::CLIENT_PIN) || self.has(Caps::BUILT_IN_UV)
    }

    /// Whether every operation with a touch needs user verification.
    pub fn always_uv(&self) -> bool {
        self.has(Caps::ALWAYS_UV) && self.options.always_uv
    }

    /// Whether a credential that is not discoverable can be made without user verification.
    pub fn make_cred_uv_not_rqd(&self) -> bool {
        self.has(Caps::MAKE_CRED_UV_NOT_RQD) && !self.always_uv() && !self.config.policy.rules_2_0
    }

    /// Whether there is an enterprise attestation to be given, once it is enabled.
    pub fn is_enterprise_capable(&self) -> bool {
        self.has(Caps::ENTERPRISE_ATTESTATION) && self.config.enterprise.is_some()
    }

    /// Commits those of the changes that there are, at most seven.
    pub fn commit(&mut self, changes: &[Option<Change<'_>>]) -> Result<(), StoreError> {
        let mut all = Vec::<_, 7>::new();
        for change in changes.iter().flatten() {
            all.push(*change).map_err(|_| StoreError::Failed)?;
        }
        self.store.commit(&all)
    }

    /// Whether the PIN can give a token to register and sign in.
    pub fn pin_is_usable(&self) -> bool {
        self.has(Caps::CLIENT_PIN) && !self.has(Caps::NO_MC_GA_WITH_PIN)
    }

    /// The status of an operation that needs user verification and came without.
    pub fn verification_required(&self) -> Status {
        // A fingerprint is no reason to ask for a PIN that is not set.
        let without_pin = self.is_protected() && !self.pin.is_set;
        if self.pin_is_usable() && !without_pin { Status::PUAT_REQUIRED } else { Status::OPERATION_DENIED }
    }

    /// A command begins: a sequence that it does not go on with ends.
    pub fn end_sequence_before(&mut self, command: Option<Command>) {
        let goes_on = |sequence: &Sequence| command.is_some_and(|next| sequence.goes_on_with(next));
        if !self.sequence.as_ref().is_some_and(goes_on) {
            self.forget_sequence();
        }
    }

    pub fn forget_sequence(&mut self) {
        (self.sequence, self.shared, self.salts) = (None, None, None);
    }

    /// A command ends, finished or aborted. What it agreed on with the platform is kept for the assertions that may
    /// follow.
    pub fn end_work(&mut self) {
        if self.work.pin_unproven {
            self.key_agreement = None; // a mismatch, or what counts as one (CTAP 2.3 §6.5.5)
        }
        self.work.wipe();
        // An enrolment whose id the platform was never told cannot go on.
        if matches!(&self.sequence, Some(Sequence::Enrollment(enrollment)) if enrollment.is_new) {
            self.sequence = None;
        }
        if !matches!(self.sequence, Some(Sequence::Assertions(_))) {
            (self.shared, self.salts) = (None, None);
        }
    }

    /// Whether salts came that have not been decrypted yet.
    pub fn needs_salts(&self) -> bool {
        self.has(Caps::HMAC_SECRET) && self.work.asked.salts && self.salts.is_none()
    }

    /// The protocol of this number, if it is switched on.
    pub fn protocol(&self, number: u64) -> Option<Protocol> {
        let protocol = Protocol::from_number(number)?;
        let caps = match protocol {
            Protocol::One => Caps::PROTOCOL_ONE,
            Protocol::Two => Caps::PROTOCOL_TWO,
        };
        self.has(caps).then_some(protocol)
    }

    /// Step 2 of makeCredential and getAssertion: the protocol of a pinUvAuthParam that is there.
    pub fn protocol_of_param(&self, param: Option<&[u8]>, number: Option<u64>) -> Result<Option<Protocol>, Status> {
        if param.is_none() {
            return Ok(None);
        }
        let policy = self.config.policy;
        let number = number.ok_or(policy.by_version(Status::MISSING_PARAMETER, Status::PIN_AUTH_INVALID))?;
        let unsupported = policy.by_version(Status::INVALID_PARAMETER, Status::PIN_AUTH_INVALID);
        self.protocol(number).map(Some).ok_or(unsupported)
    }

    /// Version 2.0 refuses a pinUvAuthParam where neither PIN nor fingerprint is set up. Later versions ignore it.
    pub fn check_param_is_expected(&self, param: Option<&[u8]>) -> Result<(), Status> {
        let unexpected = param.is_some() && !self.is_protected() && self.config.policy.rules_2_0;
        if unexpected { Err(Status::PIN_NOT_SET) } else { Ok(()) }
    }

    /// The user verification of a presented token that lets `permission` be used for this relying party (CTAP 2.3 §6.1.2
    /// step 11).
    pub fn verify_token(
        &mut self,
        now: Instant,
        protocol: Protocol,
        param: &[u8],
        client_data_hash: &[u8; 32],
        permission: Permissions,
        rp_id_hash: &[u8; 32],
    ) -> Result<UserVerified, Status> {
        let token = &mut self.token;
        let valid = token.verify(&self.crypto, now, protocol, &[client_data_hash], param)
            && token.permits(permission)
            && token.allows_rp(rp_id_hash);
        let verified = token.user_verified().filter(|_| valid).ok_or(Status::PIN_AUTH_INVALID)?;
        token.bind_rp(rp_id_hash);
        Ok(verified)
    }

    /// The pinUvAuthParam that a management command came with, and its protocol.
    pub fn presented<'m>(
        &self,
        param: Option<&'m [u8]>,
        protocol: Option<u64>,
    ) -> Result<(&'m [u8], Protocol), Status> {
        let param = param.ok_or(Status::PUAT_REQUIRED)?;
        let number = protocol.ok_or(Status::MISSING_PARAMETER)?;
        Ok((param, self.protocol(number).ok_or(Status::INVALID_PARAMETER)?))
    }

    /// The gate of every management command: whether `param` is the token's proof over `message`, and the token has
    /// `permission`. A refusal costs no PIN attempt. What binds the token to a relying party is the command's to check.
    pub fn authorize(
        &mut self,
        now: Instant,
        param: Option<&[u8]>,
        protocol: Option<u64>,
        message: &[&[u8]],
        permission: Permissions,
    ) -> Result<(), Status> {
        let (param, protocol) = self.presented(param, protocol)?;
        let token = &mut self.token;
        let valid = token.verify(&self.crypto, now, protocol, message, param) && token.permits(permission);
        if valid { Ok(()) } else { Err(Status::PIN_AUTH_INVALID) }
    }

    /// SHA-256 of an RP ID.
    pub fn hash_rp_id(&self, rp_id: &str) -> [u8; 32] {
        self.crypto.sha256(&[rp_id.as_bytes()])
    }
}
