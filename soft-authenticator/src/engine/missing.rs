//! Settings that are missing from the store: never written, which means a default, or lost. Where something else in the
//! store says that a setting was written, its absence is damage, and damage gives nothing away.

use super::{Platform, authenticator::Authenticator};
use crate::store::{Setting, Store, StoreError};
use zeroize::Zeroizing;

impl<P: Platform> Authenticator<'_, P> {
    /// Whether a PIN is set, and its retries. Every commit of a PIN has both, so one without the other is damage, and
    /// counts as a PIN without an attempt left: a lost counter gives no attempts away, and a lost PIN does not unlock
    /// what it protected. Only a reset helps.
    pub fn load_pin(&mut self) -> Result<(), StoreError> {
        let is_set = self.is_stored(Setting::Pin)?;
        let max = self.config.max_pin_retries;
        let retries = self.load_retries(Setting::PinRetries, max)?;
        (self.pin.is_set, self.pin.retries) = match retries {
            Some(retries) if is_set => (true, retries),
            None if !is_set => (false, max),
            _ => (true, 0),
        };
        Ok(())
    }

    /// Attempts of built-in user verification. Where a fingerprint is enrolled they were stored before it, with the token
    /// that the enrolment took; missing, they are damage. Without a fingerprint nothing says that they were: the user may
    /// never have been verified, or the PIN was set while there was no built-in user verification.
    pub fn load_uv_retries(&mut self) -> Result<(), StoreError> {
        let max = self.config.user_verification.max_retries;
        let retries = self.load_retries(Setting::UvRetries, max)?;
        self.uv_retries = retries.unwrap_or(if self.fingerprints.is_empty() { max } else { 0 });
        Ok(())
    }

    /// Attempts as they are stored. `None` if they never were.
    fn load_retries(&mut self, setting: Setting, max: u8) -> Result<Option<u8>, StoreError> {
        let mut value = [0];
        match self.store.get(setting, &mut value) {
            Ok(None) => Ok(None),
            Ok(Some(1)) => Ok(Some(value[0].min(max))),
            Ok(Some(_)) | Err(StoreError::TooLong) => Ok(Some(0)), // damaged: no attempt is given away
            Err(error) => Err(error),
        }
    }

    /// Whether something says that options were stored: the relying parties of setMinPINLength, or a PIN. Both come with
    /// options in one commit. A PIN without a persistent token was stored by a version without options.
    pub fn options_were_stored(&mut self) -> Result<bool, StoreError> {
        let by_pin = self.pin.is_set && self.is_stored(Setting::PersistentToken)?;
        Ok(by_pin || self.is_stored(Setting::MinPinRpIds)?)
    }

    fn is_stored(&mut self, setting: Setting) -> Result<bool, StoreError> {
        let mut value = Zeroizing::new([0; Setting::MAX_LEN]);
        self.store.get(setting, &mut *value).map(|found| found.is_some())
    }
}
