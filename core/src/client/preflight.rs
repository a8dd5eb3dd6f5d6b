//! Which credential of a list is on the authenticator, found out without the user: getAssertion with `up` false, for as
//! many of them at a time as the authenticator takes and as fit a message (CTAP 2.3 §6.1, §6.2). One of version 1 is
//! asked to check one key handle at a time.

use super::{Cause, authorization::refuses_token, facts::Facts, operation::Means, u2f};
use crate::{
    Status, bytes,
    cbor::{Array, List, With},
    crypto::Crypto,
    ctap1::{self, Control},
    ctap2::{
        Command, CommandOptions, CredentialDescriptor, ResponseError, decode_response, encode_request,
        get_assertion::{Request, Response},
    },
};

/// An exclude list or an allow list as the relying party gave it. [`candidates`] leaves out credentials that this
/// authenticator cannot have made; [`descriptors`] leaves out transports, which some authenticators refuse.
pub type Descriptors<'a> = List<'a, CredentialDescriptor<'a>>;

/// The ids of the credentials that could be this authenticator's.
pub fn candidates<'a>(list: &Descriptors<'a>, facts: &Facts) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
    let facts = *facts;
    list.iter().filter(move |descriptor| facts.could_hold(descriptor)).map(|descriptor| descriptor.id)
}

/// The list of `ids`, to be written.
pub fn descriptors<'a, I>(ids: I) -> Array<impl Iterator<Item = CredentialDescriptor<'a>> + Clone>
where
    I: Iterator<Item = &'a [u8]> + Clone,
{
    Array(ids.map(CredentialDescriptor::new))
}

/// A dummy hash: the signature is discarded.
const NO_HASH: [u8; 32] = [0; 32];

/// A search in one list.
#[derive(Debug)]
pub struct Preflight<'o> {
    /// How many of the list are done with.
    done: usize,
    /// How many are being asked for.
    batch: usize,
    /// How many the authenticator takes at most.
    most: usize,
    /// The authenticator refused the token in a search. The search is repeated without it.
    unproven: bool,
    /// The question went out with a token.
    proves: bool,
    pub found: Option<&'o [u8]>,
}

impl<'o> Preflight<'o> {
    pub const fn new() -> Self {
        Self { done: 0, batch: 0, most: usize::MAX, unproven: false, proves: false, found: None }
    }

    /// Writes the next question; `None` when one is found, or all are done with. `proven`: the token is for this
    /// `rp_id`.
    pub fn request<C: Crypto, R>(
        &mut self,
        list: &Descriptors<'o>,
        rp_id: &str,
        proven: bool,
        means: &mut Means<'_, C, R>,
    ) -> Result<Option<usize>, Cause> {
        let left = candidates(list, means.facts).skip(self.done).count();
        // An authenticator that does not say how many it takes may look at the first alone.
        let mut batch = left.min(self.most).min(means.facts.max_credential_count_in_list.unwrap_or(1));
        if self.found.is_some() || batch == 0 {
            return Ok(None);
        }
        if means.facts.ctap1 {
            let Some(key_handle) = candidates(list, means.facts).nth(self.done) else { return Ok(None) };
            self.batch = 1;
            let check = ctap1::Request::Authenticate {
                control: Control::CHECK_ONLY,
                challenge: &NO_HASH,
                application: &means.crypto.sha256(&[rp_id.as_bytes()]),
                key_handle,
            };
            return Ok(Some(check.encode(means.buffer)?));
        }
        // A credential with credProtect level 3 is only seen with proof of user verification.
        let proof = means.grant.authenticate(means.crypto, &[&NO_HASH]).filter(|_| proven && !self.unproven);
        self.proves = proof.is_some();
        let request = Request {
            rp_id,
            client_data_hash: &NO_HASH,
            allow_list: None,
            extensions: None,
            options: Some(CommandOptions { up: Some(false), ..CommandOptions::default() }),
            pin_uv_auth_param: proof.as_ref().map(|(param, _)| param.as_bytes()),
            pin_uv_auth_protocol: proof.as_ref().map(|(_, protocol)| *protocol),
        };
        let room = means.facts.max_msg_size.min(means.buffer.len());
        loop {
            let allow_list = descriptors(candidates(list, means.facts).skip(self.done).take(batch));
            let question = With(&request, &[(0x03, Some(&allow_list))]);
            match encode_request(Command::GET_ASSERTION, &question, bytes::front_mut(means.buffer, room)) {
                Err(_) if batch > 1 => batch = batch.saturating_sub(1),
                result => {
                    self.batch = batch;
                    return Ok(Some(result?));
                }
            }
        }
    }

    /// Whether there is nothing left to ask.
    pub fn is_over(&self, list: &Descriptors<'o>, facts: &Facts) -> bool {
        self.found.is_some() || candidates(list, facts).nth(self.done).is_none()
    }

    /// Takes the answer. An error of the authenticator means that the credentials are not there. If the error refuses
    /// the token, the same question is asked again without it.
    ///
    /// # Errors
    /// An answer that is malformed. A token that was not taken and is renewed.
    pub fn accept<C, R>(
        &mut self,
        list: &Descriptors<'o>,
        means: &Means<'_, C, R>,
        response: &[u8],
    ) -> Result<(), Cause> {
        let facts = means.facts;
        let known = facts.ctap1 && u2f::knows(response)?;
        let named = match decode_response::<Response<'_>>(response) {
            _ if facts.ctap1 => Some(&[][..]).filter(|_| !known),
            Ok(response) => response.credential.map(|credential| credential.id),
            Err(ResponseError::Status(Status::REQUEST_TOO_LARGE | Status::LIMIT_EXCEEDED | Status::INVALID_LENGTH))
                if self.batch > 1 =>
            {
                self.most = self.batch >> 1;
                return Ok(());
            }
            Err(ResponseError::Status(status)) if self.proves && refuses_token(status) => {
                self.unproven = !means.renews;
                return if means.renews { Err(Cause::Status(status)) } else { Ok(()) };
            }
            Err(ResponseError::Status(_)) => Some(&[][..]),
            Err(error) => return Err(error.into()),
        };
        let mut asked = candidates(list, facts).skip(self.done).take(self.batch);
        self.found = match named {
            Some(id) => asked.find(|asked| *asked == id),
            None if self.batch == 1 => asked.next(),
            None => None,
        };
        self.done = self.done.saturating_add(self.batch);
        Ok(())
    }
}
