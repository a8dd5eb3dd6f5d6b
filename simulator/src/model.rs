//! The knowledge of the relying parties and the user: the credentials that must work, and the PIN.

use keyfob_core::{
    client::Requirement,
    cose::{Algorithm, CoseKey},
    crypto::Hash,
    pin_uv::PinHash,
};
use keyfob_soft_authenticator::{Caps, engine::Config};

use crate::flash::{CREDENTIALS, Ledger};

/// The relying parties.
pub const RPS: [&str; 3] = ["example.org", "login.accounts.example.com", "a.io"];

/// A credential that a relying party has verified and stored.
#[derive(Clone, Debug)]
pub struct Known {
    /// The credential id.
    pub id: Vec<u8>,
    /// Which of [`RPS`].
    pub rp: usize,
    /// The user handle that the authenticator stores.
    pub user_id: Vec<u8>,
    /// The algorithm of its key.
    pub algorithm: Algorithm,
    /// The raw public key.
    pub public: Vec<u8>,
    /// The last signature counter.
    pub sign_count: u32,
    /// Kept in the authenticator's store.
    pub discoverable: bool,
    /// How often the authenticator had been reset at the registration.
    pub resets: u32,
    /// Whether the key is certainly the authenticator's: an attestation signature proves it, or the wire had no fault.
    pub vouched: bool,
}

impl Known {
    /// Whether the authenticator must still have it: not reset, not replaced by the same account.
    pub fn lives(&self, ledger: &Ledger) -> bool {
        self.resets == ledger.resets
            && (!self.discoverable || ledger.stored.iter().any(|(_, stored)| stored.id == self.id))
    }

    /// Its public key.
    pub fn key(&self) -> CoseKey<'_> {
        CoseKey::from_raw(self.algorithm, &self.public).expect("it was verified")
    }
}

/// Consecutive PIN attempts since power-up, counted by the store's changes: each attempt takes one of the retries; the
/// right PIN, a new PIN or a reset ends the sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts(u8);

impl Attempts {
    /// The maximum per power-up (CTAP 2.3 §6.5.5).
    const MOST: u8 = 3;

    /// Records that `left` retries are stored and `before` was stored until now.
    ///
    /// # Errors
    /// There were too many consecutive attempts.
    pub fn stored(&mut self, before: Option<u8>, left: u8, other_pin: bool) -> Result<(), String> {
        let right = other_pin || before.is_none_or(|before| left > before);
        self.0 = if right { 0 } else { self.0 + 1 };
        if self.0 > Self::MOST {
            return Err(format!("{} attempts at the PIN in one power-up", self.0));
        }
        Ok(())
    }
}

/// The raw form of a verified key.
pub fn raw(key: &CoseKey<'_>) -> Vec<u8> {
    match key {
        CoseKey::Ec2 { x, y, .. } => [*x, *y].concat(),
        CoseKey::Okp { x, .. } => x.to_vec(),
        _ => Vec::new(),
    }
}

/// The properties of a registration that decide whether it must succeed.
pub struct Wanted<'a> {
    /// SHA-256 of the RP ID, one of [`RPS`].
    pub rp_id_hash: [u8; 32],
    /// The user handle.
    pub user_id: &'a [u8],
    /// Acceptable algorithms.
    pub algorithms: &'a [Algorithm],
    /// Whether to make a discoverable credential.
    pub resident_key: Requirement,
    /// User verification.
    pub user_verification: Requirement,
    /// Whether a live credential of this relying party is excluded.
    pub excluded: bool,
}

/// Whether user verification does not prevent the ceremony. If a finger is enrolled, it verifies the user; otherwise
/// the PIN does, and if a PIN is asked for, it must be set.
fn verifies(config: &Config<'_>, ledger: &Ledger, needed: bool, wanted: bool) -> bool {
    let pin_is_set = ledger.pin_hash.is_some();
    let usable = config.caps.has(Caps::CLIENT_PIN) && !config.caps.has(Caps::NO_MC_GA_WITH_PIN) && pin_is_set;
    let asked = usable && (needed || wanted);
    ledger.fingerprints > 0 || ((usable || !needed) && (!asked || ledger.retries != Some(0)))
}

/// Whether the authenticator makes a discoverable credential.
pub fn makes_discoverable(config: &Config<'_>, resident_key: Requirement) -> bool {
    match resident_key {
        Requirement::Required => true,
        Requirement::Preferred => config.caps.has(Caps::DISCOVERABLE),
        Requirement::Discouraged => false,
    }
}

/// Whether this registration must succeed if the user and the caller cooperate. If not, it must fail.
pub fn can_register(config: &Config<'_>, ledger: &Ledger, wanted: &Wanted<'_>) -> bool {
    let caps = config.caps;
    let discoverable = makes_discoverable(config, wanted.resident_key);
    let pin_is_set = ledger.pin_hash.is_some();
    let needed = wanted.user_verification == Requirement::Required
        || (pin_is_set && (discoverable || !caps.has(Caps::MAKE_CRED_UV_NOT_RQD)));
    let preferred = wanted.user_verification == Requirement::Preferred || discoverable;
    let replaces = ledger
        .stored
        .iter()
        .any(|(_, stored)| stored.rp_id_hash == wanted.rp_id_hash && stored.user_id == wanted.user_id);
    wanted.algorithms.iter().any(|algorithm| caps.allows(*algorithm))
        && (!discoverable || caps.has(Caps::DISCOVERABLE))
        && (!discoverable || replaces || ledger.stored.len() < CREDENTIALS)
        && !wanted.excluded
        && verifies(config, ledger, needed, preferred)
}

/// Whether this sign-in must succeed. `candidates` are the existing credentials that may be used; `discoverable` means
/// that there is no allow list.
pub fn can_sign_in(
    config: &Config<'_>,
    ledger: &Ledger,
    candidates: usize,
    discoverable: bool,
    user_verification: Requirement,
) -> bool {
    let needed = user_verification == Requirement::Required;
    let preferred = user_verification == Requirement::Preferred || discoverable;
    candidates > 0 && verifies(config, ledger, needed, preferred)
}

/// The current PIN, one of all PINs that were ever chosen.
///
/// # Errors
/// The current PIN is not one of `chosen`.
pub fn current_pin(crypto: &impl Hash, ledger: &Ledger, chosen: &[String]) -> Result<Option<String>, String> {
    let Some(hash) = ledger.pin_hash else { return Ok(None) };
    let matches = |pin: &&String| PinHash::of(crypto, pin.as_bytes()).matches(&hash);
    chosen.iter().find(matches).cloned().map(Some).ok_or_else(|| "a PIN is set that was never chosen".into())
}
