//! What a series of operations shares, so that the user is asked once.

use core::fmt;

use heapless::Vec;

use super::{
    authorization::Authorization,
    facts::{Facts, Purpose},
    operation::Forgets,
};
use crate::{
    bytes,
    pin_uv::{Permissions, PinHash, Token},
};

/// The longest answer to getInfo that is kept, in bytes. If it is longer, each operation asks again.
const MAX_INFO: usize = 1024;

/// What operations with one authenticator share: what getInfo said, the PIN/UV auth token with its permissions, and the
/// hash of the PIN, with which a token is renewed. Token and hash are wiped on drop, and never printed.
///
/// ```text
/// ListRelyingParties ──▶ getInfo, the PIN, a token ──▶ the list
/// ListCredentials    ──▶                               the list
/// DeleteCredential   ──▶ (the token is refused) ──▶ another token, without the user ──▶ deleted
/// ```
///
/// An operation joins by [`Ceremony::in_session`](super::Ceremony::in_session). It uses the session's token if the
/// token has the permissions that the operation needs. If not, or if the authenticator no longer accepts the token, the
/// operation obtains another token with the same PIN. The user is asked again when the PIN was changed, when the
/// authenticator has only one attempt left, and for each token of built-in user verification.
///
/// A session belongs to one authenticator. Before the PIN is sent again, the authenticator is asked again for getInfo.
/// If the AAGUID is another, or if the transport failed meanwhile, the session forgets the PIN and the token. Two
/// authenticators of one model have the same AAGUID: use a session for each.
///
/// A session is for management. A registration or a sign-in in it uses only what getInfo said, because the user has to
/// agree to each. It voids the token; the next operation obtains another. Drop the session when its operations are done
/// or the authenticator is gone.
///
/// ```
/// use keyfob_core::client::{self, Ceremony, PinEntry, Prompt, Session, UserInteraction};
/// use keyfob_core::client::manage::{Access, ListRelyingParties};
/// use keyfob_core::crypto::RustCrypto;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # let (mut key, mut buffer) = (Key::with_pin(), [0; 4096]);
/// struct Dialog(u32);
///
/// impl UserInteraction for Dialog {
///     fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
///         self.0 += 1;
///         pin.set("1234"); // what the user has typed
///         true
///     }
/// }
///
/// let (mut session, mut user) = (Session::new(), Dialog(0));
/// for _ in 0..2 {
///     let operation = ListRelyingParties::new(Access::User);
///     let ceremony = Ceremony::new(operation, &mut buffer, RustCrypto, rng()).in_session(&mut session);
///     client::run(ceremony, &mut key, &mut user, clock)?;
/// }
/// assert_eq!(user.0, 1); // the PIN was asked for once
/// # Ok::<(), client::Error>(())
/// ```
#[derive(Default)]
pub struct Session {
    /// What getInfo answered.
    info: Option<Vec<u8, MAX_INFO>>,
    /// The model that token and PIN are for.
    aaguid: Option<[u8; 16]>,
    token: Token,
    /// Those of the token; none without one.
    permissions: Permissions,
    pin_hash: Option<PinHash>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?}, ..)", self.permissions)
    }
}

impl Session {
    /// A session that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The permissions of the token; none without one.
    pub const fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// Writes what getInfo answered to `buffer`, and returns its length. `None` where the PIN would be sent: the
    /// authenticator may be another.
    pub(super) fn recall_info(&self, purpose: &Purpose<'_>, buffer: &mut [u8]) -> Option<usize> {
        if serves(purpose) && self.pin_hash.is_some() && !self.permissions.has(purpose.permissions) {
            return None;
        }
        let info = self.info.as_ref()?;
        bytes::copy(buffer.get_mut(..info.len())?, info);
        Some(info.len())
    }

    pub(super) fn keep_info(&mut self, answer: &[u8]) {
        self.info = Vec::from_slice(answer).ok();
    }

    /// Notes the model of the authenticator. If it is another than the last one, the session forgets token and PIN.
    pub(super) fn meet(&mut self, aaguid: &[u8; 16]) {
        if self.aaguid.is_some_and(|known| known != *aaguid) {
            self.forget_token();
            self.pin_hash = None;
        }
        self.aaguid = Some(*aaguid);
    }

    /// The token was refused.
    pub(super) fn forget_token(&mut self) {
        (self.token, self.permissions) = (Token::default(), Permissions::NONE);
    }

    /// Gives an operation what it can use.
    pub(super) fn lend(&self, authorization: &mut Authorization, purpose: &Purpose<'_>) {
        if serves(purpose) {
            let token = Some(&self.token).filter(|_| self.permissions.has(purpose.permissions));
            authorization.borrow(token, self.pin_hash.as_ref());
        }
    }

    /// Takes what an operation has obtained.
    pub(super) fn keep(&mut self, authorization: &Authorization, facts: &Facts, purpose: &Purpose<'_>) {
        if let Some((token, pin_hash)) = authorization.obtained().filter(|_| serves(purpose)) {
            self.token = token.clone();
            self.pin_hash = pin_hash.cloned();
            // Before version 2.1 a token is for everything.
            let limited = facts.options.pin_uv_auth_token == Some(true);
            self.permissions = if limited { purpose.permissions } else { Permissions(u8::MAX) };
        }
    }

    /// Forgets the PIN while the authenticator is asked whether it is right: a ceremony that is dropped meanwhile must
    /// not have it sent again, which could spend another attempt.
    pub(super) fn forget_pin(&mut self, purpose: &Purpose<'_>) {
        if serves(purpose) {
            self.pin_hash = None;
        }
    }

    pub(super) fn forget(&mut self, what: Forgets) {
        match what {
            Forgets::Nothing => {}
            Forgets::Info => self.info = None,
            Forgets::Pin => (self.info, self.pin_hash) = (None, None),
            Forgets::All => *self = Self::default(),
        }
    }
}

/// Whether it is management that takes a token.
fn serves(purpose: &Purpose<'_>) -> bool {
    purpose.rp_id.is_none() && purpose.permissions != Permissions::NONE
}

/// Where a ceremony keeps what later ones use: nowhere, or in a [`Session`].
pub trait Memory {
    /// The session.
    fn session(&mut self) -> Option<&mut Session>;
}

impl Memory for () {
    fn session(&mut self) -> Option<&mut Session> {
        None
    }
}

impl Memory for &mut Session {
    fn session(&mut self) -> Option<&mut Session> {
        Some(self)
    }
}
