//! The persistent token, with which a platform lists the credentials of a device it knows, without the user (CTAP 2.3
//! §6.5.2, since 2.2).

use core::convert::Infallible;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use crate::{
    client::{
        Cause, Ceremony, Requirement,
        authorization::Grant,
        facts::{Facts, Purpose},
        operation::{Means, Operation, Progress, Room},
    },
    crypto::{Cipher, Crypto, Hash},
    ctap2::get_info,
    pin_uv::{DEVICE_IDENTIFIER, Permissions, Token},
};

/// What to store, encrypted, to come back to a device without its user.
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

/// The operation that obtains the persistent token. Its outcome is a [`PersistentToken`]. Errors: [`Cause::Unsupported`].
pub type GetPersistentToken<'b, C, R> = Ceremony<'b, Issue, C, R>;

impl<'b, C: Crypto, R: CryptoRng> GetPersistentToken<'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(Issue { enc_identifier: None, issued: None }, buffer, crypto, rng)
    }
}

/// The operation of [`GetPersistentToken`].
#[derive(Debug)]
pub struct Issue {
    enc_identifier: Option<[u8; 32]>,
    issued: Option<PersistentToken>,
}

impl Operation for Issue {
    type Outcome<'b> = PersistentToken;
    type Item<'m> = Infallible;

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        // Without permissions the token would be another one.
        if facts.options.per_cred_mgmt_ro != Some(true) || facts.options.pin_uv_auth_token != Some(true) {
            return Err(Cause::Unsupported);
        }
        self.enc_identifier = info.enc_identifier.and_then(|sealed| sealed.try_into().ok());
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::PCMR, Requirement::Required)
    }

    fn granted<C: Crypto>(&mut self, crypto: &C, grant: Grant<'_>) -> bool {
        if let Grant::Token(_, token) = grant {
            let identifier =
                self.enc_identifier.and_then(|sealed| token.decrypt_value(crypto, DEVICE_IDENTIFIER, &sealed));
            self.issued = Some(PersistentToken { token: token.clone(), identifier });
        }
        false
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<usize, Cause> {
        Ok(0)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        _: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        Err(Cause::WrongState)
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<PersistentToken, Cause>
    where
        Self: 'b,
    {
        self.issued.ok_or(Cause::InvalidToken)
    }
}
