//! A key in use: the transport to it, and the PIN that OpenSSH has asked its user for.

use std::ffi::CStr;

use keyfob::now;
use keyfob_core::{
    Instant, bytes,
    client::{self, Ceremony, Operation, PinEntry, Prompt, Reason, Session, UserInteraction, manage::GetInfo},
    crypto::RustCrypto,
    transport::hid::{HidTransport, MAX_MESSAGE},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::{
    abi,
    failure::{Failure, Verification},
    place::Port,
};

/// Room for a PIN, in bytes. One that takes more is too long for every key.
const MAX_PIN: usize = 128;

/// A key and its user.
pub struct Key<'k, 'p> {
    transport: HidTransport<Port<'k>, fn() -> Instant>,
    user: User<'p>,
    rng: ChaCha20Rng,
    /// What the operations of one call share.
    session: Session,
}

impl<'k, 'p> Key<'k, 'p> {
    /// Begins with a key, and asks it whether it has a PIN. An empty `pin` is none.
    ///
    /// # Errors
    /// The key does not answer; the PIN is not text.
    pub fn new(port: Port<'k>, pin: Option<&'p CStr>) -> Result<Self, Failure> {
        let unreadable = |_| Failure::new(abi::ERR_PIN_REQUIRED, "the PIN is not text in UTF-8");
        let pin = pin.filter(|pin| !pin.is_empty()).map(CStr::to_str).transpose().map_err(unreadable)?;
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed)
            .map_err(|error| Failure::new(abi::ERR_GENERAL, format!("the system's random source failed: {error}")))?;
        let mut rng = ChaCha20Rng::from_seed(*seed);
        let mut nonce = [0; 8];
        rng.fill_bytes(&mut nonce);
        let verification = Verification { pin_given: pin.is_some(), ..Verification::default() };
        let transport = HidTransport::new(port, now as fn() -> Instant, nonce);
        let mut key = Self { transport, user: User { pin, verification }, rng, session: Session::new() };
        let mut buffer = [0; MAX_MESSAGE];
        let info = key.run(GetInfo, &mut buffer, |_| ());
        let is_key = key.transport.info().is_some();
        let info = info.map_err(|failure| if is_key { failure } else { no_key(&failure) })?;
        let options = info.options.unwrap_or_default();
        key.user.verification.pin_is_set = options.client_pin == Some(true);
        Ok(key)
    }

    /// Runs an operation. `each` gets its items.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run<'b, O: Operation>(
        &mut self,
        operation: O,
        buffer: &'b mut [u8],
        each: impl FnMut(O::Item<'_>),
    ) -> Result<O::Outcome<'b>, Failure> {
        let ceremony = Ceremony::new(operation, buffer, RustCrypto, &mut self.rng).in_session(&mut self.session);
        let result = client::run_each(ceremony, &mut self.transport, &mut self.user, now, each);
        result.map_err(|error| Failure::of(error, self.user.verification))
    }
}

/// What is there has not answered INIT, with which every transaction begins.
fn no_key(failure: &Failure) -> Failure {
    let why = failure.why.as_deref().unwrap_or_default();
    Failure::new(abi::ERR_DEVICE_NOT_FOUND, format!("what is there does not answer as a security key: {why}"))
}

/// Answers what a ceremony asks its user.
struct User<'p> {
    pin: Option<&'p str>,
    verification: Verification,
}

impl UserInteraction for User<'_> {
    fn request_pin(&mut self, prompt: &Prompt<'_>, entry: &mut PinEntry) -> bool {
        let Some(pin) = self.pin else { return false };
        if prompt.reason != Reason::First {
            self.verification.retries = prompt.retries;
            return false;
        }
        entry.set(normal_form(pin, &mut Zeroizing::new([0; MAX_PIN])));
        true
    }

    /// A PIN that was typed counts, if the key has one.
    fn request_uv(&mut self, _: &Prompt<'_>) -> bool {
        self.pin.is_none() || !self.verification.pin_is_set
    }
}

/// A PIN in its one form, however the keyboard spells it (CTAP 2.3 §6.5.1). What does not fit is left out.
fn normal_form<'a>(pin: &'a str, room: &'a mut [u8; MAX_PIN]) -> &'a str {
    if pin.is_ascii() {
        return pin;
    }
    let mut len = 0_usize;
    for character in pin.nfc() {
        let Some(place) = room.get_mut(len..).filter(|place| place.len() >= character.len_utf8()) else { break };
        len = len.saturating_add(character.encode_utf8(place).len());
    }
    str::from_utf8(bytes::front(room, len)).unwrap_or_default()
}
