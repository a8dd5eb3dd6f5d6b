//! What the relying parties and the user know: the credentials that must work, and the PIN.

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
    /// The user handle, as the authenticator has it.
    pub user_id: Vec<u8>,
    /// The algorithm of its key.
    pub algorithm: Algorithm,
    /// The raw public key.
    pub public: Vec<u8>,
    /// The last signature counter.
    pub sign_count: u32,
    /// Kept in the authenticator's store.
    pub discoverable: bool,
    /// How often the authenticator had been reset.
    pub resets: u32,
    /// Whether the key is what the authenticator made: an attestation signature vouches for it, or the wire was clean.
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

/// Attempts at the PIN in a row since power-up, by what is stored: each takes one of the retries, and the right PIN,
/// another PIN or a reset ends the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts(u8);

impl Attempts {
    /// The most that one power-up has (CTAP 2.3 §6.5.5).
    const MOST: u8 = 3;

    /// The retries that are left are stored, `before` was stored. Errors: there are too many in a row.
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

/// A registration, as far as it matters whether it has to succeed.
pub struct Wanted<'a> {
    /// Which of [`RPS`], as the hash of its id.
    pub rp_id_hash: [u8; 32],
    /// The user handle.
    pub user_id: &'a [u8],
    /// Acceptable algorithms.
    pub algorithms: &'a [Algorithm],
    /// A discoverable credential.
    pub resident_key: Requirement,
    /// User verification.
    pub user_verification: Requirement,
    /// Whether a live credential of this relying party is excluded.
    pub excluded: bool,
}

/// Whether the user can be verified as far as that is needed or wanted: by a finger, where one is enrolled; otherwise by
/// the PIN, and one that is asked for must be there to be given.
fn verifies(config: &Config<'_>, ledger: &Ledger, needed: bool, wanted: bool) -> bool {
    let pin_is_set = ledger.pin_hash.is_some();
    let usable = config.caps.has(Caps::CLIENT_PIN) && !config.caps.has(Caps::NO_MC_GA_WITH_PIN) && pin_is_set;
    let asked = usable && (needed || wanted);
    ledger.fingerprints > 0 || ((usable || !needed) && (!asked || ledger.retries != Some(0)))
}

/// Whether a discoverable credential is made.
pub fn makes_discoverable(config: &Config<'_>, resident_key: Requirement) -> bool {
    match resident_key {
        Requirement::Required => true,
        Requirement::Preferred => config.caps.has(Caps::DISCOVERABLE),
        Requirement::Discouraged => false,
    }
}

/// Whether this registration has to succeed when everyone cooperates; it has to fail otherwise.
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

/// Whether this sign-in has to succeed. `candidates`: live credentials that may be used; `discoverable`: no list.
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

/// The PIN that is set, among those that were ever chosen. Errors: one is set that nobody chose.
pub fn current_pin(crypto: &impl Hash, ledger: &Ledger, chosen: &[String]) -> Result<Option<String>, String> {
    let Some(hash) = ledger.pin_hash else { return Ok(None) };
    let matches = |pin: &&String| PinHash::of(crypto, pin.as_bytes()).matches(&hash);
    chosen.iter().find(matches).cloned().map(Some).ok_or_else(|| "a PIN is set that nobody chose".into())
}
