//! The pinUvAuthToken with its permissions, its relying party and its timers (CTAP 2.3 §6.5.2).

use core::{fmt, time::Duration};

use rand_core::TryCryptoRng;

use super::{Mac, PinUvAuthProtocol, UserVerified};
use crate::{
    Instant,
    bytes::Secret,
    crypto::{Error, Hash, fill_random},
};

/// A token that has not been used this long after its issue expires. 30 s on USB, BLE and internal transports.
pub const INITIAL_USAGE_LIMIT: Duration = Duration::from_secs(30);
/// For this long after its issue, a token says that the user was present: as long as it may stay unused.
pub const USER_PRESENT_LIMIT: Duration = INITIAL_USAGE_LIMIT;
/// [`INITIAL_USAGE_LIMIT`] and [`USER_PRESENT_LIMIT`] on NFC.
pub const NFC_LIMIT: Duration = Duration::from_millis(19_800);
/// A token expires this long after its issue, used or not.
pub const MAX_USAGE_PERIOD: Duration = Duration::from_secs(600);

/// What a token permits, a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Permissions(pub u8);

impl Permissions {
    /// None.
    pub const NONE: Permissions = Permissions(0);
    /// makeCredential.
    pub const MC: Permissions = Permissions(0x01);
    /// getAssertion.
    pub const GA: Permissions = Permissions(0x02);
    /// Credential management.
    pub const CM: Permissions = Permissions(0x04);
    /// Bio enrolment.
    pub const BE: Permissions = Permissions(0x08);
    /// Large-blob write.
    pub const LBW: Permissions = Permissions(0x10);
    /// Authenticator configuration.
    pub const ACFG: Permissions = Permissions(0x20);
    /// Persistent, read-only credential management (2.2).
    pub const PCMR: Permissions = Permissions(0x40);

    /// Whether every one of `permissions` is in here.
    pub const fn has(self, permissions: Permissions) -> bool {
        self.0 & permissions.0 == permissions.0
    }

    /// Whether any of `permissions` is in here.
    pub const fn intersects(self, permissions: Permissions) -> bool {
        self.0 & permissions.0 != 0
    }

    /// The union of both.
    pub const fn with(self, permissions: Permissions) -> Self {
        Permissions(self.0 | permissions.0)
    }
}

/// The length of the shortest token, in bytes.
const SHORT: usize = 16;
/// The longest token that is accepted, in bytes. CTAP 2.0 §5.5.4 sets no limit; no known authenticator sends more.
pub const MAX_TOKEN: usize = 128;
/// The block of HMAC-SHA-256, in bytes.
const HMAC_BLOCK: usize = 64;

/// The token, as either end keeps it: 16 or 32 bytes, and up to [`MAX_TOKEN`] from an authenticator of version 2.0.
/// Wiped on drop.
#[derive(Clone)]
pub struct Token {
    bytes: Secret<HMAC_BLOCK>,
    length: usize,
}

impl Default for Token {
    fn default() -> Self {
        Self { bytes: Secret([0; HMAC_BLOCK]), length: 0 }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// The token in `bytes`. `None` unless its length is one that `protocol` allows: 16 or 32 bytes in protocol one,
    /// 32 in protocol two.
    pub fn new(protocol: PinUvAuthProtocol, bytes: &[u8]) -> Option<Self> {
        let length = bytes.len();
        let allowed = length == 32 || (protocol == PinUvAuthProtocol::One && length == SHORT);
        allowed.then(|| Self::of(bytes))
    }

    /// The token of an authenticator of version 2.0. There, protocol one allows any multiple of 16 bytes (CTAP 2.0
    /// §5.5.4). `None` for other lengths, and for more than [`MAX_TOKEN`] bytes.
    ///
    /// A token that is longer than a block of HMAC-SHA-256, 64 bytes, is kept as its hash: HMAC uses that as its key
    /// (RFC 2104 §2).
    pub fn of_version_2_0<C: Hash>(crypto: &C, bytes: &[u8]) -> Option<Self> {
        let allowed = (16..=MAX_TOKEN).contains(&bytes.len()) && bytes.len().is_multiple_of(16);
        allowed.then(|| match bytes.len() {
            ..=HMAC_BLOCK => Self::of(bytes),
            _ => Self::of(&*Secret(crypto.sha256(&[bytes]))),
        })
    }

    fn of(bytes: &[u8]) -> Self {
        Self { bytes: Secret(crate::bytes::padded(bytes)), length: bytes.len() }
    }

    /// A fresh random token of 32 bytes.
    ///
    /// # Errors
    /// [`Error::RandomSource`]: the random source failed.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, Error> {
        let mut token = Self { length: 32, ..Self::default() };
        fill_random(rng, token.bytes.first_chunk_mut::<32>().ok_or(Error::Failed)?)?;
        Ok(token)
    }

    /// The token's bytes, to encrypt or store. For a token of more than 64 bytes this is its hash: see
    /// [`Token::of_version_2_0`].
    pub fn as_bytes(&self) -> &[u8] {
        // A fault in memory may alter the length. A shorter token could be guessed, so at least 16 bytes are used.
        let length = self.length.max(SHORT);
        self.bytes.get(..length).unwrap_or(&*self.bytes)
    }

    /// The pinUvAuthParam of the concatenated `message`.
    pub fn authenticate<C: Hash>(&self, crypto: &C, protocol: PinUvAuthProtocol, message: &[&[u8]]) -> Mac {
        protocol.authenticate(crypto, self.as_bytes(), message)
    }
}

/// The authenticator's token and its state. One token is in use at a time for both protocols: issuing a token
/// invalidates the one before.
#[derive(Debug, Default)]
pub struct TokenState {
    token: Token,
    /// The protocol the token was issued for; `None` while no token is in use.
    protocol: Option<PinUvAuthProtocol>,
    permissions: Permissions,
    rp_id_hash: Option<[u8; 32]>,
    issued: Instant,
    used: bool,
    user_present: bool,
    user_verified: bool,
    unlimited: bool,
    nfc: bool,
    /// The user verification for which the token in use was issued.
    evidence: Option<UserVerified>,
}

impl TokenState {
    /// The state of an authenticator of version 2.0. Its tokens are valid until they are replaced: they do not expire,
    /// a use does not clear their permissions, and a use does not bind them to a relying party. Only user presence
    /// expires.
    pub fn without_limits() -> Self {
        Self { unlimited: true, ..Self::default() }
    }

    /// Whether the limits are those of NFC.
    pub const fn set_nfc(&mut self, nfc: bool) {
        self.nfc = nfc;
    }

    /// Invalidates the token.
    pub fn stop_using(&mut self) {
        *self = Self { unlimited: self.unlimited, nfc: self.nfc, ..Self::default() };
    }

    /// Issues a fresh token after user verification and returns it. `rp_id_hash` binds it from the start.
    ///
    /// # Errors
    /// [`Error::RandomSource`]: the random source failed. [`Error::Mismatch`]: the evidence does not hold. After an
    /// error no token is in use.
    #[allow(clippy::too_many_arguments)] // each argument is a property of the token
    pub fn issue<R: TryCryptoRng + ?Sized>(
        &mut self,
        rng: &mut R,
        now: Instant,
        protocol: PinUvAuthProtocol,
        permissions: Permissions,
        rp_id_hash: Option<[u8; 32]>,
        user_present: bool,
        verified: UserVerified,
    ) -> Result<&Token, Error> {
        self.stop_using();
        if !verified.holds() {
            return Err(Error::Mismatch);
        }
        *self = Self {
            token: Token::generate(rng)?,
            protocol: Some(protocol),
            permissions,
            rp_id_hash,
            issued: now,
            used: false,
            user_present,
            user_verified: true,
            unlimited: self.unlimited,
            nfc: self.nfc,
            evidence: Some(verified),
        };
        Ok(&self.token)
    }

    /// Applies the timers. Call this before any other use of the state.
    pub fn observe(&mut self, now: Instant) {
        let limit = if self.nfc { NFC_LIMIT } else { INITIAL_USAGE_LIMIT };
        // As instants: to compare durations takes more code on small processors.
        let is_over = |limit| self.issued.plus(limit) <= now;
        let late = is_over(limit);
        let expired = late && !self.used || is_over(MAX_USAGE_PERIOD);
        if self.protocol.is_some() && expired && !self.unlimited {
            self.stop_using();
        }
        if late {
            self.user_present = false;
        }
    }

    /// Whether a token is in use.
    pub const fn in_use(&self) -> bool {
        self.protocol.is_some()
    }

    /// Whether a token of `protocol` is in use and `param` is its pinUvAuthParam of `message`.
    pub fn verify<C: Hash>(
        &mut self,
        crypto: &C,
        now: Instant,
        protocol: PinUvAuthProtocol,
        message: &[&[u8]],
        param: &[u8],
    ) -> bool {
        self.observe(now);
        let valid = self.protocol == Some(protocol)
            && self.evidence.is_some_and(UserVerified::holds)
            && self.token.authenticate(crypto, protocol, message).matches(param);
        self.used |= valid;
        valid
    }

    /// Whether the token carries all of `permissions`.
    pub const fn permits(&self, permissions: Permissions) -> bool {
        self.permissions.has(permissions)
    }

    /// Whether the token may be used for this relying party: it is bound to this one, or not bound yet.
    pub fn allows_rp(&self, rp_id_hash: &[u8; 32]) -> bool {
        self.rp_id_hash.is_none_or(|bound| bound == *rp_id_hash)
    }

    /// The relying party the token is bound to, as the hash of its id.
    pub const fn rp_id_hash(&self) -> Option<&[u8; 32]> {
        self.rp_id_hash.as_ref()
    }

    /// Binds an unbound token to the first relying party it is used for.
    pub fn bind_rp(&mut self, rp_id_hash: &[u8; 32]) {
        if !self.unlimited {
            self.rp_id_hash.get_or_insert(*rp_id_hash);
        }
    }

    /// The evidence of the user verification for which the token was issued. `None` once [`TokenState::consume`] has
    /// cleared it, or if the evidence does not hold.
    pub fn user_verified(&self) -> Option<UserVerified> {
        self.evidence.filter(|verified| self.user_verified && verified.holds())
    }

    /// Whether the user was present when the token was issued, at most [`USER_PRESENT_LIMIT`] ago.
    pub const fn user_present(&self) -> bool {
        self.user_present
    }

    /// Call this after an operation that tested user presence. Clears user presence, user verification and every
    /// permission except large-blob write.
    pub fn consume(&mut self) {
        self.user_present = false;
        if !self.unlimited {
            self.user_verified = false;
            self.permissions = Permissions(self.permissions.0 & Permissions::LBW.0);
        }
    }
}
