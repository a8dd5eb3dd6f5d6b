//! Random values that outlive power cycles: the seed, the persistent pinUvAuthToken (CTAP 2.3 §6.5.2), and what getInfo
//! tells its holders.

use keyfob_core::{
    Status,
    bytes::Secret,
    crypto::{Error, fill_random},
    pin_uv::{CRED_STORE_STATE, DEVICE_IDENTIFIER, PinUvAuthProtocol, Token},
};
use rand_core::TryCryptoRng;

use super::{
    authenticator::{Authenticator, SEED, crypto_status, store_status},
    platform::Platform,
};
use crate::{
    caps::Caps,
    store::{Change, Setting, Store},
};

/// What an empty store gets, at the first boot and at a reset.
pub(super) struct Fresh {
    pub seed: Secret<SEED>,
    token: Token,
    identifier: [u8; 16],
    store_state: [u8; 16],
}

impl Fresh {
    /// Errors: [`Error::RandomSource`].
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

impl<P: Platform> Authenticator<'_, P> {
    /// The persistent token, the same until the PIN is changed.
    pub fn persistent_token(&mut self) -> Result<Token, Status> {
        let mut value = Secret([0; 32]);
        let len = self.store.get(Setting::PersistentToken, &mut *value).map_err(store_status)?;
        let token = value.get(..len.unwrap_or(0)).and_then(|bytes| Token::new(PinUvAuthProtocol::Two, bytes));
        token.ok_or(Status::OTHER)
    }

    /// Whether `param` is the persistent token's proof over `message`.
    pub fn is_by_persistent_token(
        &mut self,
        protocol: PinUvAuthProtocol,
        message: &[&[u8]],
        param: &[u8],
    ) -> Result<bool, Status> {
        if !self.has(Caps::PERSISTENT_CRED_MGMT) {
            return Ok(false);
        }
        Ok(self.persistent_token()?.authenticate(&self.crypto, protocol, message).matches(param))
    }

    /// A fresh state of the discoverable credentials, to be stored in the same commit as each of their changes. `None`
    /// where getInfo does not tell it.
    pub fn new_store_state(&mut self) -> Result<Option<[u8; 16]>, Status> {
        self.has(Caps::IDENTIFIER).then(|| random(&mut self.rng)).transpose().map_err(crypto_status)
    }

    /// encIdentifier and encCredStoreState. `None` without the capability, and where the store does not tell.
    pub fn encrypted_identifiers(&mut self) -> Result<Option<[[u8; 32]; 2]>, Status> {
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
