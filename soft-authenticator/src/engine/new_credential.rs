//! A credential that is being made: its key pair and its id.

use heapless::Vec;
use keyfob_core::{
    Status, bytes,
    cose::Algorithm,
    crypto::{MAX_PUBLIC, MAX_SECRET, Sign, fill_random},
    extensions::cred_protect::Level,
};

use super::{
    authenticator::{Authenticator, crypto_status},
    ceremony::CeremonyState,
    config::Sizes,
    platform::Platform,
    wrapping::{MAX_ID, Properties, STORED_ID, Wrapped},
};

/// The credential. The secret is made in place, because a secret that is moved leaves a copy behind. Wiped on drop.
pub(super) struct NewCredential {
    pub algorithm: Algorithm,
    pub id: Vec<u8, MAX_ID, u16>,
    pub secret: Vec<u8, MAX_SECRET, u16>,
    pub public: Vec<u8, MAX_PUBLIC>,
}

impl Default for NewCredential {
    /// One that has no key yet.
    fn default() -> Self {
        Self { algorithm: Algorithm::ES256, id: Vec::new(), secret: Vec::new(), public: Vec::new() }
    }
}

impl Drop for NewCredential {
    fn drop(&mut self) {
        bytes::wipe(&mut self.secret);
    }
}

impl<P: Platform> Authenticator<'_, P> {
    /// Whether credentials of `algorithm` can be made here.
    pub fn signs_with(&self, algorithm: Algorithm) -> bool {
        P::COMPILED.allows(algorithm)
            && self.config.lists(algorithm)
            && self.config.caps.allows(algorithm)
            && self.config.has_room_for(algorithm)
            && self.crypto.algorithms().contains(&algorithm)
    }

    /// Makes the key pair, and the credential's id, which holds `cred_blob` if the credential is not `discoverable`.
    pub fn generate(
        &mut self,
        ceremony: &CeremonyState,
        new: &mut NewCredential,
        discoverable: bool,
        cred_blob: &[u8],
    ) -> Result<(), Status> {
        let sizes = Sizes::of(new.algorithm);
        new.secret.resize(sizes.secret.min(MAX_SECRET), 0).map_err(|_| Status::OTHER)?;
        new.public.clear();
        new.public.resize(sizes.public.min(MAX_PUBLIC), 0).map_err(|_| Status::OTHER)?;
        let generated = self.crypto.generate(new.algorithm, &mut self.rng, &mut new.secret, &mut new.public);
        let (secret_len, public_len) = generated.map_err(crypto_status)?;
        new.secret.truncate(secret_len);
        new.public.truncate(public_len);

        let mut id = [0; MAX_ID];
        let id_len = if discoverable {
            fill_random(&mut self.rng, id.get_mut(..STORED_ID).ok_or(Status::OTHER)?).map_err(crypto_status)?;
            STORED_ID
        } else {
            let properties = Properties {
                cred_protect: ceremony.asked.cred_protect.unwrap_or(Level::USER_VERIFICATION_OPTIONAL),
                third_party_payment: ceremony.asked.third_party_payment,
            };
            let credential = Wrapped { algorithm: new.algorithm, properties, cred_blob, secret: &new.secret };
            self.credential_keys
                .wrap(&self.crypto, &mut self.rng, &ceremony.rp_id_hash, &credential, &mut id)
                .map_err(|_| Status::OTHER)?
        };
        new.id = Vec::from_slice(id.get(..id_len).ok_or(Status::OTHER)?).map_err(|_| Status::OTHER)?;
        Ok(())
    }
}
