//! CTAP1/U2F (FIDO U2F Raw Message Formats v1.2), on the same credentials as CTAP2: a key handle is a wrapped credential
//! id, and the application is the hash of the RP ID.
//!
//! U2F has no keep-alives. A request that needs a touch is refused at once and the platform repeats it: a touch that
//! comes within [`TOUCH_AWAITED`] after the refusal is kept for [`TOUCH_KEPT`], and the next request that needs one uses it
//! up. Any CTAP2 request in between, and another channel, make both forgotten.

use core::time::Duration;

use keyfob_core::{
    Instant, Status, bytes,
    cose::Algorithm,
    crypto::MAX_SIGNATURE,
    ctap1::{self, AuthenticateResponse, Control, RegisterResponse, Request, StatusWord},
};

use super::{
    Certified, Engine, Event, Next, Pending, Platform, Progress, Wait,
    authenticator::Authenticator,
    certificate::{self, MAX_CERTIFICATE},
    credential::Located,
    proof::UserPresent,
    split,
};
use crate::caps::Caps;

/// How long after a refusal a touch counts: platforms ask again every 200 to 500 ms, some go through a list of keys first.
pub const TOUCH_AWAITED: Duration = Duration::from_secs(10);
/// How long a touch is kept for the next request.
pub const TOUCH_KEPT: Duration = Duration::from_secs(10);

/// What is done next, in `Work::step`.
mod step {
    use super::super::proof::STEPS;

    pub const GENERATE: u8 = STEPS[0];
    pub const CERTIFY: u8 = STEPS[1];
    pub const ATTEST: u8 = STEPS[2];
    pub const COUNT: u8 = STEPS[3];
    pub const SIGN: u8 = STEPS[4];
}

/// The touch between two requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Touch {
    /// No request has asked for one.
    #[default]
    Unasked,
    /// A request was refused: a touch until then counts.
    Awaited(Instant),
    /// The user touched: it counts until then.
    Kept(Instant),
}

type Outcome = Result<Next, StatusWord>;

impl<P: Platform> Engine<'_, P> {
    /// Starts the U2F request, an APDU, that lies in the first `len` bytes of the buffer. A command that was pending is
    /// dropped. The response, with its status word, comes as for [`Engine::begin`]; a touch is never waited for
    /// ([`Engine::u2f_awaits_touch`]). While U2F is switched off, and with alwaysUv, the answer is
    /// [`StatusWord::COMMAND_NOT_ALLOWED`].
    pub fn begin_u2f(&mut self, now: Instant, len: usize) -> Progress {
        self.abort();
        self.authenticator.end_sequence_before(None);
        self.request = len;
        let outcome = if self.authenticator.u2f_is_on() { self.u2f(now) } else { Err(StatusWord::COMMAND_NOT_ALLOWED) };
        self.proceed_u2f(outcome)
    }

    /// Whether the configuration has U2F.
    pub fn has_u2f(&self) -> bool {
        self.authenticator.has(Caps::U2F)
    }

    /// Whether a U2F request was refused for want of a touch, and a touch would be kept for the next one.
    pub fn u2f_awaits_touch(&self, now: Instant) -> bool {
        matches!(self.authenticator.touch, Touch::Awaited(until) if now < until)
    }

    /// The user touched the authenticator while no command was pending, or declined. Only U2F remembers it, and only if it
    /// has asked.
    pub fn touch_for_u2f(&mut self, now: Instant, consent: bool) {
        if self.u2f_awaits_touch(now) {
            self.authenticator.touch = if consent { Touch::Kept(now.plus(TOUCH_KEPT)) } else { Touch::Unasked };
        }
    }

    #[inline(never)]
    pub(super) fn u2f_continue(&mut self, event: Event) -> Progress {
        let outcome = match (event, self.authenticator.work.step) {
            (Event::Cancel, _) => Err(StatusWord::CONDITIONS_NOT_SATISFIED),
            (_, step::GENERATE) => self.authenticator.generate_key_handle(),
            (_, step::CERTIFY) => {
                let (_, scratch, authenticator) = self.parts_mut();
                authenticator.certify(scratch)
            }
            (_, step::ATTEST) => {
                let (message, scratch, authenticator) = self.parts_mut();
                authenticator.write_registration(message, scratch)
            }
            (_, step::COUNT) => self.authenticator.count_authentication(),
            (_, step::SIGN) => {
                let len = self.request;
                let (message, scratch, authenticator) = self.parts_mut();
                authenticator.write_authentication(message, len, scratch)
            }
            _ => Err(StatusWord::UNKNOWN),
        };
        self.proceed_u2f(outcome)
    }

    fn u2f(&mut self, now: Instant) -> Outcome {
        let (message, scratch) = split(self.buffer, self.authenticator.config.max_msg_size);
        let apdu = message.get(..self.request).ok_or(StatusWord::WRONG_LENGTH)?;
        match Request::decode(apdu).map_err(|error| error.status_word())? {
            Request::Version => {
                let len = ctap1::encode_status(ctap1::VERSION, StatusWord::NO_ERROR, message);
                len.map(Next::Reply).map_err(|_| StatusWord::UNKNOWN)
            }
            Request::Register { challenge, application, .. } => {
                self.authenticator.register(now, challenge, application)
            }
            Request::Authenticate { control, challenge, application, key_handle } => {
                self.authenticator.authenticate(now, control, challenge, application, key_handle, scratch)
            }
        }
    }

    fn proceed_u2f(&mut self, outcome: Outcome) -> Progress {
        match outcome {
            Ok(Next::Reply(len)) => {
                self.abort();
                Progress::Reply(len)
            }
            Ok(_) => {
                self.pending = Pending::U2f;
                Progress::Pending(Wait::Processing)
            }
            Err(status) => {
                self.abort();
                bytes::copy(self.buffer, &status.0.to_be_bytes());
                Progress::Reply(2)
            }
        }
    }
}

impl<P: Platform> Authenticator<'_, P> {
    /// Whether U2F is answered: not with alwaysUv, since it verifies nobody (CTAP 2.3 §7.2.4).
    pub(super) fn u2f_is_on(&self) -> bool {
        self.has(Caps::U2F) && !self.always_uv()
    }

    fn register(&mut self, now: Instant, challenge: &[u8; 32], application: &[u8; 32]) -> Outcome {
        self.work.user_present = Some(self.require_touch(now)?);
        self.work.algorithm = Some(Algorithm::ES256);
        self.work.client_data_hash = *challenge;
        self.work.rp_id_hash = *application;
        self.work.step = step::GENERATE;
        Ok(Next::Work)
    }

    fn generate_key_handle(&mut self) -> Outcome {
        self.generate_credential(&[]).map_err(failed)?;
        self.work.step = if self.u2f_certificate().is_some() { step::ATTEST } else { step::CERTIFY };
        Ok(Next::Work)
    }

    /// The configured certificate, where U2F can use it: with ES256.
    fn u2f_certificate(&self) -> Option<(&'_ [u8], &'_ [u8])> {
        match self.certified()? {
            Certified { algorithm: Algorithm::ES256, secret, chain: [leaf, ..] } => Some((secret, leaf)),
            _ => None,
        }
    }

    /// Certifies the credential's key with itself, into the scratch area.
    fn certify(&mut self, scratch: &mut [u8]) -> Outcome {
        let signed = certificate::to_be_signed(&self.public_es256()?);
        let mut signature = [0; MAX_SIGNATURE];
        let len = self.sign_es256(&self.work.secret, &[&signed], &mut signature)?;
        let signature = signature.get(..len).ok_or(StatusWord::UNKNOWN)?;
        self.scratch_used = MAX_CERTIFICATE;
        let len = certificate::write(&signed, signature, scratch).map_err(|_| StatusWord::UNKNOWN)?;
        self.work.certificate = u16::try_from(len).map_err(|_| StatusWord::UNKNOWN)?;
        self.work.step = step::ATTEST;
        Ok(Next::Work)
    }

    fn write_registration(&mut self, message: &mut [u8], scratch: &[u8]) -> Outcome {
        if !self.work.is_present() {
            return Err(StatusWord::UNKNOWN);
        }
        let work = &self.work;
        let certificate = scratch.get(..usize::from(work.certificate)).ok_or(StatusWord::UNKNOWN)?;
        let own: (&[u8], &[u8]) = (&work.secret, certificate);
        let (secret, certificate) = self.u2f_certificate().unwrap_or(own);
        let mut public_key = [4; 65];
        *public_key.last_chunk_mut::<64>().ok_or(StatusWord::UNKNOWN)? = self.public_es256()?;
        let parts = [&[0][..], &work.rp_id_hash, &work.client_data_hash, &work.id, &public_key];
        let mut signature = [0; MAX_SIGNATURE];
        let len = self.sign_es256(secret, &parts, &mut signature)?;
        let signature = signature.get(..len).ok_or(StatusWord::UNKNOWN)?;
        let response = RegisterResponse { public_key: &public_key, key_handle: &work.id, certificate, signature };
        response.encode(message).map(Next::Reply).map_err(|_| StatusWord::UNKNOWN)
    }

    fn authenticate(
        &mut self,
        now: Instant,
        control: Control,
        challenge: &[u8; 32],
        application: &[u8; 32],
        key_handle: &[u8],
        scratch: &mut [u8],
    ) -> Outcome {
        self.open_key_handle(application, key_handle, scratch)?;
        match control {
            Control::CHECK_ONLY => return Err(StatusWord::CONDITIONS_NOT_SATISFIED),
            Control::ENFORCE_USER_PRESENCE => {
                self.work.user_present = Some(self.require_touch(now)?);
            }
            Control::DONT_ENFORCE_USER_PRESENCE => self.work.user_present = self.take_touch(now),
            _ => return Err(StatusWord::INCORRECT_P1_P2),
        }
        self.work.client_data_hash = *challenge;
        self.work.rp_id_hash = *application;
        self.work.step = step::COUNT;
        Ok(Next::Work)
    }

    fn count_authentication(&mut self) -> Outcome {
        self.draw_randomness().map_err(failed)?;
        self.count_signature([None; 2]).map_err(|_| StatusWord::UNKNOWN)?;
        self.work.step = step::SIGN;
        Ok(Next::Work)
    }

    /// The request still lies in the first `len` bytes of the message.
    fn write_authentication(&mut self, message: &mut [u8], len: usize, scratch: &mut [u8]) -> Outcome {
        let counter = self.sign_count().map_err(|_| StatusWord::UNKNOWN)?;
        let request = Request::decode(message.get(..len).unwrap_or_default());
        let Ok(Request::Authenticate { challenge, application, key_handle, .. }) = request else {
            return Err(StatusWord::UNKNOWN);
        };
        let secret = self.open_key_handle(application, key_handle, scratch)?;
        let user_presence = u8::from(self.work.user_present.is_some());
        // A second look: what was checked when the request came is what is signed.
        if *application != self.work.rp_id_hash || (user_presence == 1) != self.work.is_present() {
            return Err(StatusWord::UNKNOWN);
        }
        let parts = [&application[..], &[user_presence], &counter.to_be_bytes(), challenge];
        let mut signature = [0; MAX_SIGNATURE];
        let len = self.sign_es256(secret, &parts, &mut signature)?;
        let signature = signature.get(..len).ok_or(StatusWord::UNKNOWN)?;
        let response = AuthenticateResponse { user_presence, counter, signature };
        response.encode(message).map(Next::Reply).map_err(|_| StatusWord::UNKNOWN)
    }

    /// The secret key behind a key handle that U2F may use: a credential that is not discoverable, with ES256, and not
    /// protected by user verification, of which U2F knows nothing.
    fn open_key_handle<'s>(
        &mut self,
        application: &[u8; 32],
        key_handle: &[u8],
        scratch: &'s mut [u8],
    ) -> Result<&'s [u8], StatusWord> {
        let located = self.locate(application, key_handle, false, scratch).map_err(|_| StatusWord::UNKNOWN)?;
        if located != Some(Located::Wrapped) {
            return Err(StatusWord::WRONG_DATA);
        }
        self.open_wrapped(application, key_handle, scratch)
            .filter(|opened| opened.algorithm == Algorithm::ES256)
            .map(|opened| opened.secret)
            .ok_or(StatusWord::WRONG_DATA)
    }

    /// Uses up the touch that was kept, if there is one.
    fn take_touch(&mut self, now: Instant) -> Option<UserPresent> {
        let kept = UserPresent::by_kept(self.touch, now);
        if kept.is_some() {
            self.touch = Touch::Unasked;
        }
        kept
    }

    /// Uses up the touch that was kept, or asks for one.
    fn require_touch(&mut self, now: Instant) -> Result<UserPresent, StatusWord> {
        if let Some(present) = self.take_touch(now) {
            return Ok(present);
        }
        self.touch = Touch::Awaited(now.plus(TOUCH_AWAITED));
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    }

    /// The public key of the registration.
    fn public_es256(&self) -> Result<[u8; 64], StatusWord> {
        self.public.as_slice().try_into().map_err(|_| StatusWord::UNKNOWN)
    }

    fn sign_es256(&self, secret: &[u8], parts: &[&[u8]], signature: &mut [u8]) -> Result<usize, StatusWord> {
        self.sign(Algorithm::ES256, secret, parts, signature).map_err(failed)
    }
}

fn failed(_: Status) -> StatusWord {
    StatusWord::UNKNOWN
}
