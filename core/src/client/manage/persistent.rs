//! The persistent token, with which a platform lists the credentials of a device it knows, without the user (CTAP 2.3
//! §6.5.2, since 2.2).

use core::convert::Infallible;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use crate::{
    client::{
        Cause, Requirement,
        authorization::Grant,
        facts::{Facts, Purpose},
        operation::{First, Forgets, Means, Operation},
    },
    crypto::{Cipher, Crypto, Hash},
    ctap2::get_info,
    pin_uv::{DEVICE_IDENTIFIER, Permissions, Token},
};

/// What a platform stores, encrypted, to list a device's credentials later without its user.
#[derive(Clone, Debug)]
pub struct PersistentToken {
    /// The token. [`Token::as_bytes`] are to be stored, [`Token::new`] takes them back. It is void once the PIN is
    /// changed or the authenticator reset.
    pub token: Token,
    /// The device's identifier, for [`recognize`]; `None` when the device does not tell.
    pub identifier: Option<[u8; 16]>,
}

/// Which of the stored devices this is: `enc_identifier` is a member of its getInfo, `known` are the stored tokens and
/// identifiers. Returns the position in `known`.
pub fn recognize<'k, C: Hash + Cipher>(
    crypto: &C,
    enc_identifier: &[u8],
    known: impl IntoIterator<Item = (&'k Token, &'k [u8; 16])>,
) -> Option<usize> {
    known.into_iter().position(|(token, identifier)| {
        let told = token.decrypt_value(crypto, DEVICE_IDENTIFIER, enc_identifier);
        told.is_some_and(|told| bool::from(told.ct_eq(identifier)))
    })
}

/// Obtains the persistent token. Its outcome is a [`PersistentToken`].
///
/// # Errors
/// [`Cause::Unsupported`].
#[derive(Debug, Default)]
pub struct GetPersistentToken {
    enc_identifier: Option<[u8; 32]>,
    obtained: Option<PersistentToken>,
}

impl GetPersistentToken {
    /// Asks for the token.
    pub const fn new() -> Self {
        Self { enc_identifier: None, obtained: None }
    }
}

impl Operation for GetPersistentToken {
    type Outcome<'b> = PersistentToken;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;
    const PURPOSE: Purpose<'static> = Purpose::manage(Permissions::PCMR, Requirement::Required);

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        // Without permissions the token would be another one.
        if facts.options.per_cred_mgmt_ro != Some(true) || facts.options.pin_uv_auth_token != Some(true) {
            return Err(Cause::Unsupported);
        }
        self.enc_identifier = info.enc_identifier.and_then(|sealed| sealed.try_into().ok());
        Ok(First::Authorize)
    }

    fn measure<C: Crypto, R: CryptoRng>(&mut self, _: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        Ok(None)
    }

    /// The token that was granted is what was asked for: no request follows.
    fn request<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        if let Grant::Token(_, token) = means.grant {
            let decrypt = |sealed: [u8; 32]| token.decrypt_value(means.crypto, DEVICE_IDENTIFIER, &sealed);
            let identifier = self.enc_identifier.and_then(decrypt);
            self.obtained = Some(PersistentToken { token: token.clone(), identifier });
        }
        Ok(None)
    }

    fn outcome(&mut self, _: &[u8]) -> Result<PersistentToken, Cause> {
        self.obtained.take().ok_or(Cause::InvalidToken)
    }
}
