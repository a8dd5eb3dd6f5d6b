//! Random values that outlive power cycles: the seed, the persistent pinUvAuthToken (CTAP 2.3 §6.5.2), and what getInfo
//! tells its holders.

use keyfob_core::{
    Status,
    pin_uv::{CRED_STORE_STATE, DEVICE_IDENTIFIER, Protocol, Purpose, Token},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    Platform,
    authenticator::{Authenticator, SEED, store_status},
};
use crate::{
    caps::Caps,
    store::{Change, Setting, Store},
};

/// What an empty store gets, at the first boot and at a reset.
pub(super) struct Fresh {
    pub seed: Zeroizing<[u8; SEED]>,
    token: Token,
    identifier: [u8; 16],
    store_state: [u8; 16],
}

impl Fresh {
    pub fn new<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Zeroizing::new([0; SEED]);
        rng.fill_bytes(&mut *seed);
        Self { seed, token: Token::generate(rng), identifier: random(rng), store_state: random(rng) }
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

fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> [u8; 16] {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    bytes
}

impl<P: Platform> Authenticator<'_, P> {
    /// The persistent token, the same until the PIN is changed.
    pub fn persistent_token(&mut self) -> Result<Token, Status> {
        let mut value = Zeroizing::new([0; 32]);
        let len = self.store.get(Setting::PersistentToken, &mut *value).map_err(store_status)?;
        let token = value.get(..len.unwrap_or(0)).and_then(|bytes| Token::new(Protocol::Two, bytes));
        token.ok_or(Status::OTHER)
    }

    /// Whether `param` is the persistent token's proof over `message`.
    pub fn is_by_persistent_token(
        &mut self,
        protocol: Protocol,
        message: &[&[u8]],
        param: &[u8],
    ) -> Result<bool, Status> {
        if !self.has(Caps::PERSISTENT_CRED_MGMT) {
            return Ok(false);
        }
        Ok(self.persistent_token()?.authenticate(&self.crypto, protocol, message).matches(param))
    }

    /// A fresh state of the discoverable credentials, to be stored in the same commit as each of their changes. `None`
    /// where nobody is told.
    pub fn new_store_state(&mut self) -> Option<[u8; 16]> {
        self.has(Caps::IDENTIFIER).then(|| random(&mut self.rng))
    }

    /// encIdentifier and encCredStoreState. `None` without the capability, and where the store does not tell.
    pub fn encrypted_identifiers(&mut self) -> Option<[[u8; 32]; 2]> {
        let token = self.has(Caps::IDENTIFIER).then(|| self.persistent_token().ok()).flatten()?;
        let identifier = self.encrypted(&token, Setting::Identifier, DEVICE_IDENTIFIER)?;
        let store_state = self.encrypted(&token, Setting::StoreState, CRED_STORE_STATE)?;
        Some([identifier, store_state])
    }

    fn encrypted(&mut self, token: &Token, setting: Setting, purpose: Purpose) -> Option<[u8; 32]> {
        let mut value = [0; 16];
        let len = self.store.get(setting, &mut value).ok().flatten();
        let whole = len == Some(value.len());
        whole.then(|| token.encrypt_value(&self.crypto, &mut self.rng, purpose, &value))
    }
}
