//! The PIN that a key has from the start.

use std::time;

use keyfob_core::{
    Instant,
    client::{
        self, Cause, Ceremony, PinEntry, Prompt, Reason, UserInteraction,
        manage::{SetPin, VerifyPin},
    },
    crypto::RustCrypto,
    ctap2::get_info::DEFAULT_MIN_PIN_LENGTH,
    pin_uv::{MAX_PIN_BYTES, PaddedPin, PinError},
    transport::hid::HidTransport,
};
use keyfob_soft_authenticator::devices::{InProcess, VirtualKey};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::json;
use unicode_normalization::UnicodeNormalization;

use crate::notes::Notes;

/// How long a request and a response of clientPIN may be.
const MESSAGE: usize = 1024;

/// A value of `--pin`.
#[derive(Clone)]
pub enum PinChoice {
    /// This one, in its one form.
    Given(String),
    /// Six digits.
    Random,
}

/// Reads `--pin`.
pub fn choice(text: &str) -> Result<PinChoice, String> {
    if text == "random" {
        return Ok(PinChoice::Random);
    }
    let pin = normalized(text);
    check(&pin).map(|()| PinChoice::Given(pin))
}

/// A PIN in its one form, however the keyboard spells it (CTAP 2.3 §6.5.1).
pub fn normalized(pin: &str) -> String {
    pin.nfc().collect()
}

/// Checks the PIN without a key.
///
/// # Errors
/// One line for the user.
pub fn check(pin: &str) -> Result<(), String> {
    PaddedPin::new(pin, DEFAULT_MIN_PIN_LENGTH).map(drop).map_err(|error| match error {
        PinError::TooShort => format!("the PIN is too short: it takes at least {DEFAULT_MIN_PIN_LENGTH} characters"),
        PinError::TooLong => format!("the PIN is too long: it takes at most {MAX_PIN_BYTES} bytes"),
        PinError::TrailingZero => "the PIN must not end in a zero byte".into(),
        other => other.to_string(),
    })
}

/// A user who has this PIN, and no other.
pub struct HasPin {
    pin: String,
    /// Why the PIN was not enough, in words.
    refused: Option<String>,
}

impl HasPin {
    pub const fn new(pin: String) -> Self {
        Self { pin, refused: None }
    }
}

impl UserInteraction for HasPin {
    fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(&self.pin);
        if prompt.reason == Reason::Wrong {
            let left = prompt.retries.map(|left| format!(", and {left} attempts are left")).unwrap_or_default();
            self.refused = Some(format!("it is wrong{left}"));
        }
        prompt.reason == Reason::First
    }

    fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.request_pin(prompt, pin)
    }
}

/// Sets the PIN, or checks that the key has this one.
///
/// # Errors
/// What the user has to know, in a line.
pub fn set<'b>(
    key: VirtualKey<'b>,
    choice: &PinChoice,
    seed: Option<u64>,
    notes: &Notes,
) -> Result<VirtualKey<'b>, String> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| format!("the system's random source failed: {error}"))?;
    let mut rng = seed.map_or_else(|| ChaCha20Rng::from_seed(random), ChaCha20Rng::seed_from_u64);
    let pin = match choice {
        PinChoice::Given(pin) => pin.clone(),
        PinChoice::Random => format!("{:06}", rng.next_u32() % 1_000_000),
    };
    let start = time::Instant::now();
    let clock = || Instant::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    let mut nonce = [0; 8];
    rng.fill_bytes(&mut nonce);
    let mut transport = HidTransport::new(InProcess(key), clock, nonce);
    let (mut user, mut buffer) = (HasPin::new(pin.clone()), [0; MESSAGE]);
    let setting = Ceremony::new(SetPin, &mut buffer, RustCrypto, &mut rng);
    let mut result = client::run(setting, &mut transport, &mut user, clock);
    if result.as_ref().is_err_and(|error| error.cause == Cause::PinAlreadySet) {
        if matches!(choice, PinChoice::Random) {
            return Err("the key in the store has a PIN already: leave --pin out, or give that PIN".into());
        }
        let verifying = Ceremony::new(VerifyPin, &mut buffer, RustCrypto, &mut rng);
        result = client::run(verifying, &mut transport, &mut user, clock);
        result.map_err(|error| {
            let why = user.refused.take().unwrap_or_else(|| error.to_string());
            format!("the key in the store does not take this PIN: {why}")
        })?;
    } else {
        result.map_err(|error| format!("the PIN cannot be set: {error}"))?;
    }
    if matches!(choice, PinChoice::Random) {
        notes.must_tell("pin", json!({ "pin": pin }), || format!("The PIN is {pin}."))?;
    }
    Ok(transport.into_io().0)
}
