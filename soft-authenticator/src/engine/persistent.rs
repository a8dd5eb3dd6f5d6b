//! What survives power loss, and is read at power-up. Some of it is random: the seed, the persistent pinUvAuthToken
//! (CTAP 2.3 §6.5.2), and what getInfo tells its holders.
//!
//! A setting that is missing from the store was never written, which means a default, or it was lost. Where something
//! else in the store says that it was written, its absence is damage, and damage gives nothing away.

use heapless::Vec;
use keyfob_core::{
    Failure, Instant,
    bytes::{self, Secret},
    crypto::{Error, Sign, fill_random},
    pin_uv::{CRED_STORE_STATE, DEVICE_IDENTIFIER, PinUvAuthProtocol, Token, TokenState},
};
use rand_core::TryCryptoRng;

use super::{
    authenticator::{Authenticator, crypto_status, store_status},
    config::Config,
    config_error::ConfigError,
    platform::Platform,
    state::{Kept, PinState, StoredOptions, U2fTouch},
    wrapping::CredentialKeys,
};
use crate::{
    caps::Caps,
    store::{Change, Query, Setting, Store, StoreError},
};

/// The seed of the credential keys, in bytes.
const SEED: usize = 32;

/// What an empty store gets, at the first boot and at a reset.
pub(super) struct Fresh {
    pub seed: Secret<SEED>,
    token: Token,
    identifier: [u8; 16],
    store_state: [u8; 16],
}

impl Fresh {
    /// # Errors
    /// [`Error::RandomSource`].
    pub fn new<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, Error> {
        let mut seed = Secret([0; SEED]);
        fill_random(rng, &mut *seed)?;
        Ok(Self { seed, token: Token::generate(rng)?, identifier: random(rng)?, store_state: random(rng)? })
    }

    pub fn changes(&self) -> [Change<'_>; 4] {
        [
            Change::Set(Setting::Seed, &*self.seed),
            Change::Set(Setting::PersistentToken, self.token.as_bytes()),
            Change::Set(Setting::Identifier, &self.identifier),
            Change::Set(Setting::StoreState, &self.store_state),
        ]
    }
}

fn random<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    fill_random(rng, &mut bytes)?;
    Ok(bytes)
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
            credential_keys: CredentialKeys::default(),
            identifier_keys: None,
            pin: PinState { is_set: false, retries: 0, mismatches: 0 },
            uv_retries: 0,
            fingerprints: Vec::new(),
            options: StoredOptions::new(&config),
            sign_counts: None,
            superseded: Kept::default(),
            answers_replacement: false,
            key_agreement: None,
            token: if config.policy.rules_2_0 { TokenState::without_limits() } else { TokenState::default() },
            token_by_uv: false,
            transport: config.transports.first().copied(),
            touch: U2fTouch::default(),
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
        self.touch = U2fTouch::default();
    }

    /// Reads settings; an empty store gets its seed.
    pub fn load(&mut self) -> Result<(), ConfigError> {
        let mut value = Secret([0; SEED]);
        match self.store.get(Setting::Seed, &mut *value)? {
            Some(SEED) => {}
            // Damage does not lead to a new seed, which would void every wrapped credential.
            Some(_) => return Err(StoreError::Failed.into()),
            None if self.seed_was_stored()? => return Err(StoreError::Failed.into()),
            None => {
                let fresh = Fresh::new(&mut self.rng).map_err(|_| ConfigError::RandomSource)?;
                self.store.commit(&fresh.changes())?;
                bytes::copy(&mut *value, &*fresh.seed);
            }
        }
        self.credential_keys = CredentialKeys::derive(&self.crypto, &*value);
        (self.sign_counts, self.identifier_keys) = (None, None);
        self.load_pin()?;
        self.load_fingerprints(&mut [0; Setting::MAX_LEN])?;
        self.load_uv_retries()?;
        self.load_superseded()?;
        self.options = match self.store.get(Setting::Options, &mut *value)? {
            Some(2) => {
                let stored = StoredOptions::from_bytes(bytes::first(&*value));
                // A new configuration may be stricter.
                StoredOptions { min_pin_length: stored.min_pin_length.max(self.config.min_pin_length), ..stored }
            }
            Some(_) => return Err(StoreError::Failed.into()), // damage must not loosen a policy
            None if self.options_were_stored()? => return Err(StoreError::Failed.into()),
            None => StoredOptions::new(&self.config),
        };
        Ok(())
    }

    /// Whether something says that a seed was stored: any other setting, or a credential. The first commit of an empty
    /// store has the seed.
    fn seed_was_stored(&mut self) -> Result<bool, StoreError> {
        for setting in Setting::ALL {
            if setting != Setting::Seed && self.is_stored(setting)? {
                return Ok(true);
            }
        }
        Ok(self.store.count(Query::All)? > 0)
    }

    /// Whether a PIN is set, and its retries. Every commit of a PIN has both, so one without the other is damage, and
    /// counts as a PIN without an attempt left: a lost counter gives no attempts away, and a lost PIN does not unlock
    /// what it protected. Only a reset helps.
    pub fn load_pin(&mut self) -> Result<(), StoreError> {
        let is_set = self.is_stored(Setting::Pin)?;
        let max = self.config.max_pin_retries;
        let retries = self.load_retries(Setting::PinRetries, max)?;
        (self.pin.is_set, self.pin.retries) = match retries {
            Some(retries) if is_set => (true, retries),
            None if !is_set => (false, max),
            _ => (true, 0),
        };
        Ok(())
    }

    /// Attempts of built-in user verification. Where a fingerprint is enrolled they were stored before it, with the
    /// token that the enrolment took; missing, they are damage. Without a fingerprint nothing says that they were: the
    /// user may never have been verified, or the PIN was set while there was no built-in user verification.
    pub fn load_uv_retries(&mut self) -> Result<(), StoreError> {
        let max = self.config.user_verification.max_retries;
        let retries = self.load_retries(Setting::UvRetries, max)?;
        self.uv_retries = retries.unwrap_or(if self.fingerprints.is_empty() { max } else { 0 });
        Ok(())
    }

    /// Attempts as they are stored. `None` if they never were.
    fn load_retries(&mut self, setting: Setting, max: u8) -> Result<Option<u8>, StoreError> {
        let mut value = [0];
        match self.store.get(setting, &mut value) {
            Ok(None) => Ok(None),
            Ok(Some(1)) => Ok(Some(value[0].min(max))),
            Ok(Some(_)) | Err(StoreError::TooLong) => Ok(Some(0)), // damaged: no attempt is given away
            Err(error) => Err(error),
        }
    }

    /// Whether something says that options were stored: the relying parties of setMinPINLength, or a PIN. Both come
    /// with options in one commit. A PIN without a persistent token was stored by a version without options.
    pub fn options_were_stored(&mut self) -> Result<bool, StoreError> {
        let by_pin = self.pin.is_set && self.is_stored(Setting::PersistentToken)?;
        Ok(by_pin || self.is_stored(Setting::MinPinRpIds)?)
    }

    fn is_stored(&mut self, setting: Setting) -> Result<bool, StoreError> {
        let mut value = Secret([0; Setting::MAX_LEN]);
        self.store.get(setting, &mut *value).map(|found| found.is_some())
    }
}

impl<P: Platform> Authenticator<'_, P> {
    /// The persistent token, the same until the PIN is changed.
    pub fn persistent_token(&mut self) -> Result<Token, Failure> {
        let mut value = Secret([0; 32]);
        let len = self.store.get(Setting::PersistentToken, &mut *value).map_err(store_status)?;
        let token = value.get(..len.unwrap_or(0)).and_then(|bytes| Token::new(PinUvAuthProtocol::Two, bytes));
        token.ok_or(Failure::OTHER)
    }

    /// Whether `param` is the persistent token's proof over `message`.
    pub fn is_by_persistent_token(
        &mut self,
        protocol: PinUvAuthProtocol,
        message: &[&[u8]],
        param: &[u8],
    ) -> Result<bool, Failure> {
        if !self.has(Caps::PERSISTENT_CRED_MGMT) {
            return Ok(false);
        }
        Ok(self.persistent_token()?.authenticate(&self.crypto, protocol, message).matches(param))
    }

    /// A fresh state of the discoverable credentials, to be stored in the same commit as each of their changes. `None`
    /// where getInfo does not tell it.
    pub fn new_store_state(&mut self) -> Result<Option<[u8; 16]>, Failure> {
        self.has(Caps::IDENTIFIER).then(|| random(&mut self.rng)).transpose().map_err(crypto_status)
    }

    /// encIdentifier and encCredStoreState. `None` without the capability, and where the store does not tell.
    pub fn encrypted_identifiers(&mut self) -> Result<Option<[[u8; 32]; 2]>, Failure> {
        if !self.has(Caps::IDENTIFIER) {
            return Ok(None);
        }
        if self.identifier_keys.is_none() {
            let Ok(token) = self.persistent_token() else { return Ok(None) };
            let purposes = [DEVICE_IDENTIFIER, CRED_STORE_STATE];
            self.identifier_keys = Some(purposes.map(|purpose| token.value_key(&self.crypto, purpose)));
        }
        let values = [self.value(Setting::Identifier), self.value(Setting::StoreState)];
        let ([Some(identifier), Some(state)], Some([of_identifier, of_state])) = (values, &self.identifier_keys) else {
            return Ok(None);
        };
        let identifier = of_identifier.encrypt(&self.crypto, &mut self.rng, &identifier).map_err(crypto_status)?;
        let state = of_state.encrypt(&self.crypto, &mut self.rng, &state).map_err(crypto_status)?;
        Ok(Some([identifier, state]))
    }

    fn value(&mut self, setting: Setting) -> Option<[u8; 16]> {
        let mut value = [0; 16];
        (self.store.get(setting, &mut value) == Ok(Some(value.len()))).then_some(value)
    }
}
