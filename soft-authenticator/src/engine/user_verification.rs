//! Built-in user verification: performBuiltInUv (CTAP 2.3 §6.5.3.1), for every command that verifies the user, and the
//! list of enrolled fingerprints.
//!
//! The driver lets the user try and passes the result on; the decrement of the retries is committed before the engine
//! looks at the result. Once the user is verified, the command that asked begins again with that knowledge.
//!
//! The list has ids and names; the templates themselves are the sensor's. In the store its entries stand one behind the
//! other: `id 2 | length of the name 1 | name`. The list is what counts: a template that is not in it, because power
//! failed in the middle or because it was removed, must not match.

use heapless::Vec;
use keyfob_core::{Failure, bytes, crypto::fill_random, pin_uv::UserVerified};

use super::{
    authenticator::{Authenticator, crypto_status, store_status},
    call::{Next, Outcome},
    ceremony::{Counted, UserPresent},
    platform::Platform,
    state::{MAX_FINGERPRINTS, MAX_FRIENDLY_NAME, TemplateId},
};
use crate::{
    caps::Caps,
    store::{Change, Setting, Store, StoreError},
};

/// Why the user is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Timeout,
    Declined,
    /// No attempt matched, or none is left.
    Unmatched,
}

/// Room for the list as it is stored.
pub(super) type Stored = [u8; Setting::MAX_LEN];

const _: () = assert!(MAX_FINGERPRINTS * (3 + MAX_FRIENDLY_NAME) <= Setting::MAX_LEN);

/// The list: ids and names. A name is empty until it gets one.
type Entries<'l> = Vec<(TemplateId, &'l str), MAX_FINGERPRINTS>;

/// Takes a stored list apart. `None` for a damaged one.
fn entries(mut stored: &[u8]) -> Option<Entries<'_>> {
    let mut entries = Vec::new();
    while let Some((&[a, b, len], rest)) = stored.split_first_chunk() {
        let (name, rest) = rest.split_at_checked(len.into())?;
        entries.push(([a, b], core::str::from_utf8(name).ok()?)).ok()?;
        stored = rest;
    }
    stored.is_empty().then_some(entries)
}

/// Writes a list and returns its length.
fn write(entries: &Entries<'_>, stored: &mut Stored) -> Option<usize> {
    let mut len = 0_usize;
    for ([a, b], name) in entries {
        for part in [&[*a, *b, u8::try_from(name.len()).ok()?], name.as_bytes()] {
            let end = len.checked_add(part.len())?;
            bytes::copy(stored.get_mut(len..end)?, part);
            len = end;
        }
    }
    Some(len)
}

impl<P: Platform> Authenticator<'_, P> {
    /// Whether built-in user verification is set up.
    pub fn uv_is_configured(&self) -> bool {
        self.has(Caps::BUILT_IN_UV) && (!self.has(Caps::BIO_ENROLL) || !self.fingerprints.is_empty())
    }

    /// Attempts left. A blocked PIN blocks them too: no PIN could lift the block.
    pub fn uv_retries(&self) -> u8 {
        let pin_is_blocked = self.has(Caps::CLIENT_PIN) && self.pin.is_set && self.pin.retries == 0;
        if pin_is_blocked { 0 } else { self.uv_retries }
    }

    /// Asks the user to be verified, once or as often as a command may by itself. `for_token`: the command issues a
    /// token.
    pub fn start_verification(&mut self, for_token: bool) -> Outcome {
        if self.uv_retries() == 0 {
            return Err(self.verification_refused(for_token, Refusal::Unmatched));
        }
        let uv = &self.config.user_verification;
        let once = for_token && uv.preferred_platform_attempts > 1;
        let attempts = if once { 1 } else { uv.internal_attempts };
        Ok(Next::Verification { more: attempts.saturating_sub(1) })
    }

    /// The evidence of presence that makes a touch needless: this command verified the user in a way that proves it, or
    /// the token that verifies the user was issued to one who was present a moment ago.
    pub fn presence(
        &self,
        by_sensor: Option<UserVerified>,
        user_verified: Option<UserVerified>,
    ) -> Option<UserPresent> {
        let proves = self.config.user_verification.proves_presence;
        by_sensor
            .and_then(|verified| UserPresent::by_verification(verified, proves))
            .or_else(|| user_verified.and_then(|_| UserPresent::by_token(&self.token)))
    }

    /// The status of a command whose user is not verified.
    pub fn verification_refused(&self, for_token: bool, refusal: Refusal) -> Failure {
        let blocked = self.uv_retries() == 0;
        match refusal {
            Refusal::Timeout => Failure::USER_ACTION_TIMEOUT,
            Refusal::Declined => Failure::OPERATION_DENIED,
            Refusal::Unmatched if for_token && blocked => Failure::UV_BLOCKED,
            Refusal::Unmatched if for_token => Failure::UV_INVALID,
            Refusal::Unmatched if self.pin_is_usable() && self.pin.is_set => Failure::PUAT_REQUIRED,
            Refusal::Unmatched if blocked => Failure::PIN_BLOCKED,
            Refusal::Unmatched => Failure::OPERATION_DENIED,
        }
    }

    /// Counts an attempt, before its result is looked at.
    pub fn count_uv_attempt(&mut self) -> Result<Counted, Failure> {
        self.set_uv_retries(self.uv_retries.saturating_sub(1))
    }

    /// Looks at the result of an attempt that was counted. `None` if the user may try again.
    pub fn judge_attempt(
        &mut self,
        for_token: bool,
        counted: Counted,
        verified: Option<UserVerified>,
        more: u8,
    ) -> Result<Option<UserVerified>, Failure> {
        if !counted.holds() {
            return Err(Failure::OTHER);
        }
        if let Some(verified) = verified.filter(|verified| verified.holds()) {
            self.set_uv_retries(self.config.user_verification.max_retries)?;
            return Ok(Some(verified));
        }
        let again = more > 0 && self.uv_retries() > 0;
        if again { Ok(None) } else { Err(self.verification_refused(for_token, Refusal::Unmatched)) }
    }

    /// Gives back all attempts.
    #[cfg(feature = "testing")]
    pub fn restore_uv_retries(&mut self) -> Result<(), Failure> {
        self.set_uv_retries(self.config.user_verification.max_retries).map(|_| ())
    }

    fn set_uv_retries(&mut self, retries: u8) -> Result<Counted, Failure> {
        let committed = self.store.commit(&[Change::Set(Setting::UvRetries, &[retries])]);
        let counted = Counted::by_commit(committed).map_err(store_status)?;
        self.uv_retries = retries;
        Ok(counted)
    }
}

impl<P: Platform> Authenticator<'_, P> {
    /// Reads which fingerprints are enrolled, by way of `stored`.
    pub fn load_fingerprints(&mut self, stored: &mut Stored) -> Result<(), StoreError> {
        let mut ids = Vec::new();
        for (id, _) in &self.stored_fingerprints(stored)? {
            ids.push(*id).map_err(|_| StoreError::Failed)?;
        }
        self.fingerprints = ids;
        Ok(())
    }

    /// The list that is stored, by way of `stored`; empty before the first fingerprint.
    pub fn stored_fingerprints<'s>(&mut self, stored: &'s mut Stored) -> Result<Entries<'s>, StoreError> {
        let len = self.store.get(Setting::Fingerprints, stored)?.unwrap_or(0);
        stored.get(..len).and_then(entries).ok_or(StoreError::Failed)
    }

    /// An id that no enrolled fingerprint has.
    pub fn new_template_id(&mut self) -> Result<TemplateId, Failure> {
        let mut id = [0; 2];
        fill_random(&mut self.rng, &mut id).map_err(crypto_status)?;
        // Ends: at most MAX_FINGERPRINTS ids are taken.
        while self.fingerprints.contains(&id) {
            id = u16::from_be_bytes(id).wrapping_add(1).to_be_bytes();
        }
        Ok(id)
    }

    /// Enrols a fingerprint, without a name.
    ///
    /// # Errors
    /// [`Failure::FP_DATABASE_FULL`].
    pub fn add_fingerprint(&mut self, id: TemplateId) -> Result<(), Failure> {
        let mut stored = [0; Setting::MAX_LEN];
        let mut entries = self.stored_fingerprints(&mut stored).map_err(store_status)?;
        entries.push((id, "")).map_err(|_| Failure::FP_DATABASE_FULL)?;
        self.store_fingerprints(&entries)
    }

    /// Names a fingerprint.
    ///
    /// # Errors
    /// [`Failure::INVALID_OPTION`] for one that is not enrolled.
    pub fn name_fingerprint(&mut self, id: &[u8], name: &str) -> Result<(), Failure> {
        let mut stored = [0; Setting::MAX_LEN];
        let mut entries = self.stored_fingerprints(&mut stored).map_err(store_status)?;
        entries.iter_mut().find(|entry| entry.0 == *id).ok_or(Failure::INVALID_OPTION)?.1 = name;
        self.store_fingerprints(&entries)
    }

    /// Removes a fingerprint.
    ///
    /// # Errors
    /// [`Failure::INVALID_OPTION`] for one that is not enrolled.
    pub fn remove_fingerprint(&mut self, id: &[u8]) -> Result<(), Failure> {
        let mut stored = [0; Setting::MAX_LEN];
        let mut entries = self.stored_fingerprints(&mut stored).map_err(store_status)?;
        let before = entries.len();
        entries.retain(|entry| entry.0 != *id);
        if entries.len() == before {
            return Err(Failure::INVALID_OPTION);
        }
        self.store_fingerprints(&entries)
    }

    /// Enrols the first fingerprint without a command, with this name, cut off to [`MAX_FRIENDLY_NAME`] bytes. Nothing
    /// happens where one is enrolled.
    #[cfg(feature = "std")]
    pub fn enrol_first_fingerprint(&mut self, name: &str) -> Result<(), StoreError> {
        if !self.fingerprints.is_empty() {
            return Ok(());
        }
        let name = name.get(..name.floor_char_boundary(MAX_FRIENDLY_NAME)).unwrap_or(name);
        let (mut entries, mut stored) = (Entries::new(), [0; Setting::MAX_LEN]);
        entries.push(([0, 1], name)).map_err(|_| StoreError::Full)?;
        let len = write(&entries, &mut stored).ok_or(StoreError::Failed)?;
        // With a fingerprint there are attempts: without them, the next power-up would see damage.
        self.store.commit(&[
            Change::Set(Setting::UvRetries, &[self.uv_retries]),
            Change::Set(Setting::Fingerprints, bytes::front(&stored, len)),
        ])?;
        self.load_fingerprints(&mut stored)
    }

    fn store_fingerprints(&mut self, entries: &Entries<'_>) -> Result<(), Failure> {
        let mut stored = [0; Setting::MAX_LEN];
        let len = write(entries, &mut stored).ok_or(Failure::OTHER)?;
        let list = stored.get(..len).ok_or(Failure::OTHER)?;
        let committed = self.store.commit(&[Change::Set(Setting::Fingerprints, list)]);
        // Only the store knows whether a commit that failed took effect. If it cannot be read, the next power-up reads
        // it.
        let _ = self.load_fingerprints(&mut stored);
        committed.map_err(store_status)
    }
}
