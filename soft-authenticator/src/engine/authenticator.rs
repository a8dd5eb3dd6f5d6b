//! What the commands share: configuration, seams, PIN state and token, and the gates that several commands have.

use heapless::Vec;
use keyfob_core::{
    Failure, Instant,
    cbor::Text,
    crypto::{self, Hash, P256Point, P256Secret},
    pin_uv::{Permissions, PinUvAuthProtocol, TokenState, UserVerified, ValueKey},
};

use super::{
    ceremony::CeremonyState,
    config::Config,
    platform::Platform,
    state::{Counts, Kept, MAX_FINGERPRINTS, PinState, StoredOptions, TemplateId, U2fTouch},
    wrapping::CredentialKeys,
};
use crate::{
    caps::Caps,
    store::{Change, Setting, Store, StoreError},
};

/// Everything but the buffer.
pub(super) struct Authenticator<'c, P: Platform> {
    pub config: Config<'c>,
    pub crypto: P::Crypto,
    pub rng: P::Rng,
    pub store: P::Store,
    pub powered_up: Instant,
    pub credential_keys: CredentialKeys,
    /// The keys of encIdentifier and encCredStoreState. getInfo derives them from the persistent token when it first
    /// needs them.
    pub identifier_keys: Option<[ValueKey; 2]>,
    pub pin: PinState,
    /// Attempts of built-in user verification left.
    pub uv_retries: u8,
    /// Ids of the fingerprints that are enrolled.
    pub fingerprints: Vec<TemplateId, MAX_FINGERPRINTS>,
    pub options: StoredOptions,
    /// Reserved counts of signatures, once there was a signature since power-up.
    pub sign_counts: Option<Counts>,
    /// Discoverable credentials that were replaced and are kept.
    pub superseded: Kept,
    /// Whether the last answer is that of the registration that replaced the last one of these.
    pub answers_replacement: bool,
    pub key_agreement: Option<(P256Secret, P256Point)>,
    pub token: TokenState,
    /// Whether built-in user verification gave the token, not the PIN.
    pub token_by_uv: bool,
    /// The transport over which the platform speaks.
    pub transport: Option<Text<'c>>,
    /// The touch that U2F waits for between its requests.
    pub touch: U2fTouch,
    /// Bytes of the scratch area that may hold a secret.
    pub scratch_used: usize,
}

/// A store that fails is reported as such; a full one only matters where credentials are added.
pub(super) fn store_status(error: StoreError) -> Failure {
    match error {
        StoreError::Full => Failure::KEY_STORE_FULL,
        _ => Failure::OTHER,
    }
}

/// The status for a failure of the crypto backend or of the random source.
pub(super) fn crypto_status(_: crypto::Error) -> Failure {
    Failure::OTHER
}

impl<P: Platform> Authenticator<'_, P> {
    /// Commits the changes that are `Some`, at most seven. If the commit fails, it may still have been made: the
    /// settings are then loaded from the store again.
    pub fn commit_or_reload(&mut self, changes: &[Option<Change<'_>>]) -> Result<(), Failure> {
        if changes.iter().any(|change| matches!(change, Some(Change::Set(Setting::PersistentToken, _)))) {
            self.identifier_keys = None; // they follow from it
        }
        let committed = self.commit(changes).map_err(store_status);
        if committed.is_err() {
            let _ = self.load(); // if that fails too, the next power-up loads them
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

    /// Whether there is a PIN or built-in user verification that tokens could be issued for.
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

    /// Commits the changes that are `Some`.
    ///
    /// # Errors
    /// Of the store; [`StoreError::Failed`] for more than seven.
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
    pub fn verification_required(&self) -> Failure {
        // A fingerprint is no reason to ask for a PIN that is not set.
        let without_pin = self.is_protected() && !self.pin.is_set;
        if self.pin_is_usable() && !without_pin { Failure::PUAT_REQUIRED } else { Failure::OPERATION_DENIED }
    }

    /// The protocol of this number, if it is switched on.
    pub fn protocol(&self, number: u32) -> Option<PinUvAuthProtocol> {
        let protocol = PinUvAuthProtocol::from_number(number)?;
        let caps = match protocol {
            PinUvAuthProtocol::One => Caps::PROTOCOL_ONE,
            PinUvAuthProtocol::Two => Caps::PROTOCOL_TWO,
            _ => return None,
        };
        self.has(caps).then_some(protocol)
    }

    /// Step 1 of makeCredential and getAssertion: whether the platform only wants a touch, to select an authenticator.
    pub fn is_probe(&self, param: Option<&[u8]>) -> bool {
        param.is_some_and(<[u8]>::is_empty) && self.issues_tokens()
    }

    /// Step 2 of makeCredential and getAssertion: the protocol of a pinUvAuthParam that is there.
    pub fn protocol_of_param(
        &self,
        param: Option<&[u8]>,
        number: Option<u32>,
    ) -> Result<Option<PinUvAuthProtocol>, Failure> {
        if param.is_none() {
            return Ok(None);
        }
        let policy = self.config.policy;
        let number = number.ok_or(policy.by_version(Failure::MISSING_PARAMETER, Failure::PIN_AUTH_INVALID))?;
        let unsupported = policy.by_version(Failure::INVALID_PARAMETER, Failure::PIN_AUTH_INVALID);
        self.protocol(number).map(Some).ok_or(unsupported)
    }

    /// The user verification of the token that was presented, if it lets `permission` be used for this relying party
    /// (CTAP 2.3 §6.1.2 step 11). `None` without a token, and where neither PIN nor fingerprint is set up.
    pub fn verify_user(
        &mut self,
        now: Instant,
        ceremony: &CeremonyState,
        presented: Option<(&[u8], PinUvAuthProtocol)>,
        permission: Permissions,
    ) -> Result<Option<UserVerified>, Failure> {
        let Some((param, protocol)) = presented else { return Ok(None) };
        if !self.is_protected() {
            // Version 2.0 refuses a pinUvAuthParam then. Later versions ignore it.
            return if self.config.policy.rules_2_0 { Err(Failure::PIN_NOT_SET) } else { Ok(None) };
        }
        let (rp_id_hash, token) = (&ceremony.rp_id_hash, &mut self.token);
        let valid = token.verify(&self.crypto, now, protocol, &[&ceremony.client_data_hash], param)
            && token.permits(permission)
            && token.allows_rp(rp_id_hash);
        let verified = token.user_verified().filter(|_| valid).ok_or(Failure::PIN_AUTH_INVALID)?;
        token.bind_rp(rp_id_hash);
        Ok(Some(verified))
    }

    /// The pinUvAuthParam that a management command came with, and its protocol.
    pub fn presented<'m>(
        &self,
        param: Option<&'m [u8]>,
        protocol: Option<u32>,
    ) -> Result<(&'m [u8], PinUvAuthProtocol), Failure> {
        let param = param.ok_or(Failure::PUAT_REQUIRED)?;
        let number = protocol.ok_or(Failure::MISSING_PARAMETER)?;
        Ok((param, self.protocol(number).ok_or(Failure::INVALID_PARAMETER)?))
    }

    /// The gate of every management command: whether `param` is the token's proof over `message`, and the token has
    /// `permission`. A refusal costs no PIN attempt. What binds the token to a relying party is the command's to check.
    pub fn authorize(
        &mut self,
        now: Instant,
        param: Option<&[u8]>,
        protocol: Option<u32>,
        message: &[&[u8]],
        permission: Permissions,
    ) -> Result<(), Failure> {
        let (param, protocol) = self.presented(param, protocol)?;
        let token = &mut self.token;
        let valid = token.verify(&self.crypto, now, protocol, message, param) && token.permits(permission);
        if valid { Ok(()) } else { Err(Failure::PIN_AUTH_INVALID) }
    }

    /// SHA-256 of an RP ID.
    pub fn hash_rp_id(&self, rp_id: &str) -> [u8; 32] {
        self.crypto.sha256(&[rp_id.as_bytes()])
    }
}
