//! CTAP1/U2F (FIDO U2F Raw Message Formats v1.2), on the same credentials as CTAP2: a key handle is a wrapped
//! credential id, and the application is the hash of the RP ID.
//!
//! U2F has no keep-alives. A request that needs a touch is refused at once and the platform repeats it: a touch that
//! comes within [`TOUCH_AWAITED`] after the refusal is kept for [`TOUCH_KEPT`], and the next request that needs one
//! uses it up. Any CTAP2 request in between, and another channel, make both forgotten.
//!
//! The response to a U2F registration must contain a certificate. Where none is configured, it has a self-signed one (RFC 5280
//! §4.1), which certifies the credential's own key and says nothing about the authenticator: the same for every
//! credential but for key and signature, so that it links no two of them.

use core::time::Duration;

use keyfob_core::{
    Failure, Instant, bytes,
    cbor::{Overflow, Writer},
    cose::Algorithm,
    crypto::MAX_SIGNATURE,
    ctap1::{self, AuthenticateResponse, Control, RegisterResponse, Request, StatusWord},
};

use crate::caps::Caps;
use crate::engine::{
    authenticator::Authenticator,
    call::{self, Call, Next},
    ceremony::{CeremonyState, Counted, UserPresent},
    config::Certified,
    credential::{Located, NewCredential},
    platform::Platform,
    state::U2fTouch,
};

/// How long after a refusal a touch counts: platforms ask again every 200 to 500 ms, some go through a list of keys
/// first.
pub const TOUCH_AWAITED: Duration = Duration::from_secs(10);
/// How long a touch is kept for the next request.
pub const TOUCH_KEPT: Duration = Duration::from_secs(10);

/// An uncompressed point on P-256 without its first byte.
const POINT: usize = 64;
/// `AlgorithmIdentifier`: ecdsa-with-SHA256.
const ECDSA_WITH_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
/// `TBSCertificate` up to the key: version 3, serial number 1, ecdsa-with-SHA256, issued by "U2F credential" to itself,
/// valid from 2000 until the time that RFC 5280 §4.1.2.5 has for "no end", and a key on P-256.
const BEFORE_KEY: &[u8] =
    b"\x30\x81\xc7\xa0\x03\x02\x01\x02\x02\x01\x01\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\
    \x30\x19\x31\x17\x30\x15\x06\x03\x55\x04\x03\x0c\x0eU2F credential\
    \x30\x20\x17\x0d000101000000Z\x18\x0f99991231235959Z\
    \x30\x19\x31\x17\x30\x15\x06\x03\x55\x04\x03\x0c\x0eU2F credential\
    \x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";

/// The length of what is signed.
const SIGNED: usize = BEFORE_KEY.len() + POINT;

/// A request under way.
#[derive(Default)]
pub struct Run {
    step: Step,
    pub ceremony: CeremonyState,
    new: NewCredential,
    /// Bytes of a certificate in the scratch area.
    certificate: u16,
}

/// What is done next.
#[derive(Clone, Copy, Default)]
enum Step {
    #[default]
    Check,
    Generate,
    Certify,
    Attest,
    Count,
    Sign(Counted),
}

type Outcome = Result<Next, StatusWord>;

/// Writes a status word alone.
pub fn refuse(status: StatusWord, message: &mut [u8]) -> call::Outcome {
    let (place, _) = message.split_first_chunk_mut::<2>().ok_or(Failure::OTHER)?;
    *place = status.0.to_be_bytes();
    Ok(Next::Reply(2))
}

impl Run {
    #[inline(never)]
    pub fn step<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> call::Outcome {
        if !call.authenticator.u2f_is_on() {
            return refuse(StatusWord::COMMAND_NOT_ALLOWED, call.message);
        }
        let outcome = match self.step {
            Step::Check => self.check(call),
            Step::Generate => self.generate(call.authenticator),
            Step::Certify => self.certify(call.authenticator, call.scratch),
            Step::Attest => self.attest(call),
            Step::Count => self.count(call.authenticator),
            Step::Sign(counted) => self.sign(call, counted),
        };
        outcome.or_else(|status| refuse(status, call.message))
    }

    fn check<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> Outcome {
        let Call { now, authenticator, scratch, .. } = call;
        let apdu = call.message.get(..call.request).ok_or(StatusWord::WRONG_LENGTH)?;
        match Request::decode(apdu).map_err(|error| error.status_word())? {
            Request::Version => {
                let len = ctap1::encode_status(ctap1::VERSION, StatusWord::NO_ERROR, call.message);
                replied(len)
            }
            Request::Register { challenge, application, .. } => {
                self.ceremony.user_present = Some(authenticator.require_touch(*now)?);
                self.ceremony.client_data_hash = *challenge;
                self.ceremony.rp_id_hash = *application;
                self.step = Step::Generate;
                Ok(Next::Work)
            }
            Request::Authenticate { control, challenge, application, key_handle } => {
                authenticator.open_key_handle(application, key_handle, scratch)?;
                self.ceremony.user_present = match control {
                    Control::CHECK_ONLY => return Err(StatusWord::CONDITIONS_NOT_SATISFIED),
                    Control::ENFORCE_USER_PRESENCE => Some(authenticator.require_touch(*now)?),
                    Control::DONT_ENFORCE_USER_PRESENCE => authenticator.take_touch(*now),
                    _ => return Err(StatusWord::INCORRECT_P1_P2),
                };
                self.ceremony.client_data_hash = *challenge;
                self.ceremony.rp_id_hash = *application;
                self.step = Step::Count;
                Ok(Next::Work)
            }
        }
    }

    fn generate<P: Platform>(&mut self, authenticator: &mut Authenticator<'_, P>) -> Outcome {
        authenticator.generate(&self.ceremony, &mut self.new, false, &[]).map_err(failed)?;
        authenticator.draw_randomness(&mut self.ceremony).map_err(failed)?;
        self.step = if authenticator.u2f_certificate().is_some() { Step::Attest } else { Step::Certify };
        Ok(Next::Work)
    }

    /// Certifies the credential's key with itself, into the scratch area.
    #[inline(never)]
    fn certify<P: Platform>(&mut self, authenticator: &mut Authenticator<'_, P>, scratch: &mut [u8]) -> Outcome {
        let signed = certificate_to_be_signed(&self.public_key()?);
        let mut signature = [0; MAX_SIGNATURE];
        let secret = &self.new.secret;
        let signature = authenticator.sign_es256(&self.ceremony, secret, &[&signed], &mut signature)?;
        let len = write_certificate(&signed, signature, scratch).map_err(|_| StatusWord::UNKNOWN)?;
        authenticator.scratch_used = authenticator.scratch_used.max(len);
        self.certificate = u16::try_from(len).map_err(|_| StatusWord::UNKNOWN)?;
        self.step = Step::Attest;
        Ok(Next::Work)
    }

    #[inline(never)]
    fn attest<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> Outcome {
        let (Self { ceremony, new, .. }, authenticator) = (&*self, &*call.authenticator);
        if !ceremony.is_present() {
            return Err(StatusWord::UNKNOWN);
        }
        let certificate = call.scratch.get(..usize::from(self.certificate)).ok_or(StatusWord::UNKNOWN)?;
        let own: (&[u8], &[u8]) = (&new.secret, certificate);
        let (secret, certificate) = authenticator.u2f_certificate().unwrap_or(own);
        let mut public_key = [4; 65];
        *public_key.last_chunk_mut::<64>().ok_or(StatusWord::UNKNOWN)? = self.public_key()?;
        let parts = [&[0][..], &ceremony.rp_id_hash, &ceremony.client_data_hash, &new.id, &public_key];
        let mut signature = [0; MAX_SIGNATURE];
        let signature = authenticator.sign_es256(ceremony, secret, &parts, &mut signature)?;
        let response = RegisterResponse { public_key: &public_key, key_handle: &new.id, certificate, signature };
        replied(response.encode(call.message))
    }

    fn count<P: Platform>(&mut self, authenticator: &mut Authenticator<'_, P>) -> Outcome {
        authenticator.draw_randomness(&mut self.ceremony).map_err(failed)?;
        let counted = authenticator.count_signature([None; 2]).map_err(|_| StatusWord::UNKNOWN)?;
        self.step = Step::Sign(counted);
        Ok(Next::Work)
    }

    #[inline(never)]
    fn sign<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, counted: Counted) -> Outcome {
        let (ceremony, authenticator) = (&self.ceremony, &mut *call.authenticator);
        let counter = authenticator.sign_count().map_err(|_| StatusWord::UNKNOWN)?;
        let request = call.message.get(..call.request).map(Request::decode);
        let Some(Ok(Request::Authenticate { challenge, application, key_handle, .. })) = request else {
            return Err(StatusWord::UNKNOWN);
        };
        let secret = authenticator.open_key_handle(application, key_handle, call.scratch)?;
        let user_presence = u8::from(ceremony.user_present.is_some());
        // A second look: what was checked when the request came is what is signed.
        let intact = *application == ceremony.rp_id_hash && (user_presence == 1) == ceremony.is_present();
        if !intact || !counted.holds() {
            return Err(StatusWord::UNKNOWN);
        }
        let parts = [&application[..], &[user_presence], &counter.to_be_bytes(), challenge];
        let mut signature = [0; MAX_SIGNATURE];
        let signature = authenticator.sign_es256(ceremony, secret, &parts, &mut signature)?;
        let response = AuthenticateResponse { user_presence, counter, signature };
        replied(response.encode(call.message))
    }

    /// The public key of the registration.
    fn public_key(&self) -> Result<[u8; 64], StatusWord> {
        self.new.public.as_slice().try_into().map_err(|_| StatusWord::UNKNOWN)
    }
}

impl<P: Platform> Authenticator<'_, P> {
    /// Whether U2F is answered: not with alwaysUv, since U2F does not verify the user (CTAP 2.3 §7.2.4).
    pub fn u2f_is_on(&self) -> bool {
        self.has(Caps::U2F) && !self.always_uv()
    }

    /// The configured certificate, where U2F can use it: with ES256.
    fn u2f_certificate(&self) -> Option<(&'_ [u8], &'_ [u8])> {
        match self.certified(false)? {
            Certified { algorithm: Algorithm::ES256, secret, chain: [leaf, ..] } => Some((secret, leaf)),
            _ => None,
        }
    }

    /// The secret key behind a key handle that U2F may use: a credential that is not discoverable, with ES256, and not
    /// protected by user verification, of which U2F knows nothing.
    fn open_key_handle<'s>(
        &mut self,
        application: &[u8; 32],
        key_handle: &[u8],
        scratch: &'s mut [u8],
    ) -> Result<&'s [u8], StatusWord> {
        let located = self.locate(application, key_handle, false).map_err(|_| StatusWord::UNKNOWN)?;
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
            self.touch = U2fTouch::Unasked;
        }
        kept
    }

    /// Uses up the touch that was kept, or asks for one.
    fn require_touch(&mut self, now: Instant) -> Result<UserPresent, StatusWord> {
        if let Some(present) = self.take_touch(now) {
            return Ok(present);
        }
        self.touch = U2fTouch::Awaited(now.plus(TOUCH_AWAITED));
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    }

    fn sign_es256<'s>(
        &self,
        ceremony: &CeremonyState,
        secret: &[u8],
        parts: &[&[u8]],
        signature: &'s mut [u8],
    ) -> Result<&'s [u8], StatusWord> {
        let len = self.sign(&ceremony.random, Algorithm::ES256, secret, parts, signature).map_err(failed)?;
        signature.get(..len).ok_or(StatusWord::UNKNOWN)
    }
}

fn failed(_: Failure) -> StatusWord {
    StatusWord::UNKNOWN
}

fn replied<E>(len: Result<usize, E>) -> Outcome {
    call::reply(len.map_err(|_| StatusWord::UNKNOWN)?).map_err(failed)
}

/// What the key of `public_key`, x and y, has to sign for its certificate.
fn certificate_to_be_signed(public_key: &[u8; POINT]) -> [u8; SIGNED] {
    bytes::concat(&[BEFORE_KEY, public_key])
}

/// Writes the certificate that a key has `signed` itself, and returns its length.
///
/// # Errors
/// [`Overflow`].
fn write_certificate(signed: &[u8; SIGNED], signature: &[u8], out: &mut [u8]) -> Result<usize, Overflow> {
    let bit_string = signature.len().saturating_add(1);
    let len = SIGNED.saturating_add(ECDSA_WITH_SHA256.len()).saturating_add(bit_string).saturating_add(2);
    let mut w = Writer::new(out);
    // Both lengths fit their form: with a signature the certificate has 256 bytes and more, the signature less than
    // 127.
    w.raw(&[0x30, 0x82]);
    w.raw(&(len as u16).to_be_bytes());
    w.raw(signed);
    w.raw(ECDSA_WITH_SHA256);
    w.raw(&[0x03, bit_string as u8, 0]);
    w.raw(signature);
    w.finish()
}
