//! What the authenticator remembers between two commands, in small types of their own.

use keyfob_core::{Instant, bytes};

use super::config::Config;
use crate::store::Number;

/// Wrong PINs in a row before a power cycle is needed (CTAP 2.3 §6.5.5.1).
const MAX_CONSECUTIVE_MISMATCHES: u8 = 3;

/// The PIN, as far as it is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct PinState {
    pub is_set: bool,
    pub retries: u8,
    /// Attempts in a row since power-up, each counted before it is compared.
    pub mismatches: u8,
}

impl PinState {
    /// Whether only a power cycle lets another PIN be tried.
    pub const fn needs_power_cycle(&self) -> bool {
        self.mismatches >= MAX_CONSECUTIVE_MISMATCHES
    }
}

/// What authenticatorConfig has set, as far as it is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredOptions {
    pub always_uv: bool,
    pub enterprise_attestation: bool,
    pub long_touch_for_reset: bool,
    pub force_pin_change: bool,
    pub pin_complexity: bool,
    /// The shortest PIN, in code points.
    pub min_pin_length: u8,
}

impl StoredOptions {
    /// The options of an authenticator that has been reset.
    pub const fn new(config: &Config<'_>) -> Self {
        Self {
            always_uv: false,
            enterprise_attestation: false,
            long_touch_for_reset: false,
            force_pin_change: false,
            pin_complexity: false,
            min_pin_length: config.min_pin_length,
        }
    }

    /// As they are stored, in [`Setting::Options`].
    pub fn to_bytes(self) -> [u8; 2] {
        let flags = u8::from(self.always_uv)
            | u8::from(self.enterprise_attestation) << 1
            | u8::from(self.long_touch_for_reset) << 2
            | u8::from(self.force_pin_change) << 3
            | u8::from(self.pin_complexity) << 4;
        [flags, self.min_pin_length]
    }

    pub const fn from_bytes([flags, min_pin_length]: [u8; 2]) -> Self {
        Self {
            always_uv: flags & 1 != 0,
            enterprise_attestation: flags & 1 << 1 != 0,
            long_touch_for_reset: flags & 1 << 2 != 0,
            force_pin_change: flags & 1 << 3 != 0,
            pin_complexity: flags & 1 << 4 != 0,
            min_pin_length,
        }
    }
}

/// Counts that are reserved since the last power-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// The count of the last signature.
    pub used: u32,
    /// The last count that is reserved.
    pub reserved: u32,
}

/// How many discoverable credentials that were replaced are kept at a time, of one user or of several. A credential
/// that would be one more is replaced at once, and so is one for which a full store has no second place.
const MAX_SUPERSEDED: usize = 4;
/// The beginning of a credential's id, in bytes. Ids in the store are random.
const ID_START: usize = 4;
/// An entry as it is stored: `number 4 BE | beginning of the new one's id 4`.
const ENTRY: usize = 4 + ID_START;

/// A credential that was replaced and is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Superseded {
    pub number: Number,
    /// How the id of the one that replaced it begins.
    pub by: [u8; ID_START],
}

impl Superseded {
    pub fn new(number: Number, by: &[u8]) -> Self {
        Self { number, by: bytes::first(by) }
    }
}

/// The credentials that are kept, the one that was replaced last at the end. The places behind it have number 0, which
/// no credential has. [`superseded`](super::superseded) says why they are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept([Superseded; MAX_SUPERSEDED]);

impl Kept {
    /// Reads a list as it is stored. A damaged one is empty: then there are two credentials of a user, and none is
    /// lost.
    pub fn from_bytes(stored: &[u8]) -> Self {
        let (mut kept, (entries, rest)) = (Self::default(), stored.as_chunks::<ENTRY>());
        if entries.len() <= MAX_SUPERSEDED && rest.is_empty() {
            for (place, [n0, n1, n2, n3, by @ ..]) in kept.0.iter_mut().zip(entries) {
                *place = Superseded { number: Number::from_be_bytes([*n0, *n1, *n2, *n3]), by: *by };
            }
        }
        kept
    }

    /// The list as it is stored, and its length in the array, in bytes.
    pub fn to_bytes(self) -> ([u8; ENTRY * MAX_SUPERSEDED], usize) {
        let mut stored = [0; ENTRY * MAX_SUPERSEDED];
        for (place, entry) in stored.as_chunks_mut::<ENTRY>().0.iter_mut().zip(self.entries()) {
            *place = bytes::concat(&[&entry.number.to_be_bytes(), &entry.by]);
        }
        (stored, self.entries().count().saturating_mul(ENTRY))
    }

    pub fn entries(&self) -> impl Iterator<Item = &Superseded> {
        self.0.iter().filter(|entry| entry.number != 0)
    }

    /// Whether this credential is one that is kept.
    pub fn has(&self, number: Number) -> bool {
        self.entries().any(|entry| entry.number == number)
    }

    /// Those that are older than the credential with this number and id, of the same user. A record without an id has
    /// replaced none.
    pub fn older_than(&self, number: Number, id: Option<&[u8]>) -> Places {
        let own = self.entries().position(|entry| entry.number == number);
        let by = own.and_then(|own| self.entries().nth(own)).map(|own| own.by.as_slice()).or(id);
        by.map_or(Places::default(), |by| self.by(by, own.unwrap_or(MAX_SUPERSEDED)))
    }

    /// Those among the first `end` that the credential with this id has replaced, of which the beginning is enough.
    pub fn by(&self, id: &[u8], end: usize) -> Places {
        self.places(|place, entry| place < end && id.starts_with(&entry.by))
    }

    /// The place of the credential with this number.
    pub fn place_of(&self, number: Number) -> Places {
        self.places(|_, entry| entry.number == number)
    }

    fn places(&self, chosen: impl Fn(usize, &Superseded) -> bool) -> Places {
        let chosen = self.entries().enumerate().filter(|(place, entry)| chosen(*place, entry));
        Places(chosen.fold(0, |places, (place, _)| places | 1u8.unbounded_shl(place as u32)))
    }

    /// The numbers of those at these places, the oldest first.
    pub fn numbers(&self, places: Places) -> impl Iterator<Item = Number> {
        let chosen = self.entries().enumerate().filter(move |(place, _)| places.has(*place));
        chosen.map(|(_, entry)| entry.number)
    }

    pub fn len(&self) -> u32 {
        u32::try_from(self.entries().count()).unwrap_or(u32::MAX)
    }

    /// The list with one more, or `None` when it is full.
    pub fn with(mut self, entry: Superseded) -> Option<Self> {
        *self.0.iter_mut().find(|place| place.number == 0)? = entry;
        Some(self)
    }

    /// The list without those at these places.
    pub fn without(&self, gone: Places) -> Self {
        let mut kept = Self::default();
        let stay = self.entries().enumerate().filter(|(place, _)| !gone.has(*place));
        kept.0.iter_mut().zip(stay).for_each(|(place, (_, entry))| *place = *entry);
        kept
    }

    /// The list in which those at these places point to another credential. They stand at its end then, because the
    /// answer that is sent next concerns their user.
    pub fn now_by(&self, older: Places, id: &[u8]) -> Self {
        let mut kept = self.without(older);
        let free = kept.0.iter_mut().filter(|place| place.number == 0);
        free.zip(self.numbers(older)).for_each(|(place, number)| *place = Superseded::new(number, id));
        kept
    }
}

/// Some of the places in [`Kept`], a bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Places(pub u8);

impl Places {
    const fn has(self, place: usize) -> bool {
        self.0 & 1u8.unbounded_shl(place as u32) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The touch that U2F waits for between two requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum U2fTouch {
    /// No request has asked for one.
    #[default]
    Unasked,
    /// A request was refused: a touch until then counts.
    Awaited(Instant),
    /// The user touched: it counts until then.
    Kept(Instant),
}

/// A fingerprint's id.
pub type TemplateId = [u8; 2];

/// Fingerprints at a time.
pub const MAX_FINGERPRINTS: usize = 5;
/// The longest name of a fingerprint, in bytes.
pub const MAX_FRIENDLY_NAME: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    /// One that was replaced by the credential with id `by`.
    fn entry(number: Number, by: u8) -> [u8; ENTRY] {
        bytes::concat(&[&number.to_be_bytes(), &[by; ID_START]])
    }

    fn older(stored: &[[u8; ENTRY]], number: Number, by: u8) -> Vec<Number> {
        let kept = Kept::from_bytes(stored.as_flattened());
        kept.numbers(kept.older_than(number, Some(&[by; 16]))).collect()
    }

    #[test]
    fn a_credential_is_younger_than_those_that_it_has_replaced_and_not_than_itself() {
        let stored = [entry(5, 1), entry(6, 2), entry(7, 1)];
        assert_eq!(older(&stored, 9, 1), [5, 7]);
        assert_eq!(older(&stored, 7, 3), [5], "one that is kept is younger than those before it");
        assert_eq!(older(&stored, 5, 3), []);
        assert_eq!(older(&stored, 9, 3), []);
        // A damaged list: number 0 is no credential.
        assert_eq!(older(&[entry(0, 1), entry(5, 1), entry(7, 1)], 5, 3), []);
        assert_eq!(older(&[entry(0, 1), entry(5, 1), entry(7, 1)], 7, 3), [5]);
    }

    #[test]
    fn a_list_without_some_keeps_the_order_of_the_others() {
        let kept = Kept::from_bytes([entry(5, 1), entry(6, 2), entry(7, 1)].as_flattened());
        let all = |kept: &Kept| kept.entries().map(|entry| entry.number).collect::<Vec<_>>();
        assert_eq!(all(&kept.without(kept.place_of(6))), [5, 7]);
        assert_eq!(all(&kept.without(Places(0b111))), []);
        assert_eq!(all(&kept.now_by(kept.place_of(5), &[9; 16])), [6, 7, 5]);
        assert!(kept.place_of(8).is_empty());
    }
}
