//! Which credential of a list is on the authenticator, found out without the user: getAssertion with `up` false, for as
//! many of them at a time as the authenticator takes and as fit a message (CTAP 2.3 §6.1, §6.2). One of version 1 is
//! asked to check one key handle at a time.

use super::{Cause, authorization::refuses_token, facts::Facts, operation::Means, u2f};
use crate::{
    Status, bytes,
    cbor::{Array, List, ListIter, With, Write, Writer},
    crypto::Crypto,
    ctap1::{self, Control},
    ctap2::{
        Command, CommandOptions, CredentialDescriptor, PUBLIC_KEY, ResponseError, decode_response, encode_request,
        get_assertion::{Request, Response},
    },
};

/// An exclude list or an allow list as the relying party gave it. [`candidates`] leaves out credentials that this
/// authenticator cannot have made, and transports, which some authenticators refuse.
pub type Descriptors<'a> = List<'a, CredentialDescriptor<'a>>;

/// The ids of the credentials that could be this authenticator's.
#[inline(never)]
pub fn candidates<'a>(list: &Descriptors<'a>, facts: &Facts) -> Candidates<'a> {
    Candidates { list: list.iter(), longest: facts.max_credential_id_length, left: usize::MAX }
}

/// Ids of credentials. They are written as a list of descriptors. One iterator, so that one copy writes all lists.
#[derive(Clone)]
pub struct Candidates<'a> {
    list: ListIter<'a, CredentialDescriptor<'a>>,
    /// The longest id that there can be.
    longest: Option<usize>,
    /// How many more are taken at most.
    left: usize,
}

impl Candidates<'_> {
    /// Without the first `done`, and at most so many.
    fn batch(mut self, done: usize, most: usize) -> Self {
        for _ in 0..done {
            self.next();
        }
        Self { left: most, ..self }
    }
}

impl<'a> Iterator for Candidates<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let longest = self.longest.unwrap_or(usize::MAX);
        self.list.find(|listed| listed.kind == PUBLIC_KEY && listed.id.len() <= longest).map(|listed| listed.id)
    }
}

impl Write for Candidates<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        Array(self.clone().map(CredentialDescriptor::new)).write(w);
    }
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
        let left = candidates(list, means.facts).batch(self.done, usize::MAX).count();
        // An authenticator that does not say how many it takes may look at the first alone.
        let mut batch = left.min(self.most).min(means.facts.max_credential_count_in_list.unwrap_or(1));
        if self.found.is_some() || batch == 0 {
            return Ok(None);
        }
        if means.facts.ctap1 {
            let Some(key_handle) = candidates(list, means.facts).batch(self.done, 1).next() else { return Ok(None) };
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
            let allow_list = candidates(list, means.facts).batch(self.done, batch);
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
        self.found.is_some() || candidates(list, facts).batch(self.done, 1).next().is_none()
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
        let mut asked = candidates(list, facts).batch(self.done, self.batch);
        self.found = match named {
            Some(id) => asked.find(|asked| *asked == id),
            None if self.batch == 1 => asked.next(),
            None => None,
        };
        self.done = self.done.saturating_add(self.batch);
        Ok(())
    }
}
