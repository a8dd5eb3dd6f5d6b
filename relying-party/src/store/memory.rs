//! Ceremonies and sessions in the memory of this process. A restart ends all of them.

use keyfob_core::webauthn::ClientDataType;

use super::{
    Account, PendingCeremony, Session, SessionId,
    bounded::{Bounded, Room},
};

/// How many bytes of ceremonies are kept, for one client and for all.
const CEREMONIES: Room = Room { share: 1 << 20, whole: 64 << 20 };
/// How many bytes of sessions are kept, for one account and for all.
const SESSIONS: Room = Room { share: 64 << 10, whole: 64 << 20 };
/// How many ceremonies of one kind a session may have at a time: one for each page that is open. Beyond that, the oldest
/// ends.
const SIDE_BY_SIDE: usize = 16;
/// What a value takes beside its own bytes, in bytes: its places in the indices.
const OVERHEAD: usize = 512;

/// A ceremony's session, its kind, and its challenge.
type Key = (SessionId, Kind, Vec<u8>);
/// [`ClientDataType`] as a number, which has an order.
type Kind = u8;

/// The ceremonies that have begun and the sessions that are signed in.
#[derive(Debug)]
pub struct Remembered {
    /// The owner is the client that has begun.
    ceremonies: Bounded<Key, PendingCeremony, String>,
    sessions: Bounded<SessionId, Session, Owner>,
}

/// An account's relying party and user handle.
type Owner = (String, Vec<u8>);

fn owner(account: &Account) -> Owner {
    (account.rp_id.clone(), account.handle.clone())
}

fn kind(kind: ClientDataType) -> Kind {
    Kind::from(kind == ClientDataType::Get)
}

impl Remembered {
    /// An empty store.
    pub fn new() -> Self {
        Self { ceremonies: Bounded::new(CEREMONIES), sessions: Bounded::new(SESSIONS) }
    }

    /// The challenges of a session's ceremonies of a kind, the oldest first.
    fn pending(&self, session: SessionId, of: ClientDataType, now: i64) -> Vec<Key> {
        let of = kind(of);
        self.ceremonies.from((session, of, Vec::new()), |key| (key.0, key.1) == (session, of), now)
    }

    /// Stores a ceremony.
    pub fn begin(&mut self, session: SessionId, ceremony: PendingCeremony, client: String, expires: i64, now: i64) {
        let pending = self.pending(session, ceremony.kind, now);
        if pending.len() >= SIDE_BY_SIDE
            && let Some(oldest) = pending.first()
        {
            self.ceremonies.take(oldest, now);
        }
        let (key, bytes) = ((session, kind(ceremony.kind), ceremony.challenge.clone()), ceremony.bytes() + OVERHEAD);
        self.ceremonies.put(key, ceremony, bytes, client, expires, now);
    }

    /// Whether the session is signed in or has ceremonies.
    pub fn is_known(&self, session: SessionId, now: i64) -> bool {
        let pending = |of| !self.pending(session, of, now).is_empty();
        self.sessions.get(&session, now).is_some() || pending(ClientDataType::Create) || pending(ClientDataType::Get)
    }

    /// Removes and returns the ceremony with that challenge.
    pub fn take(
        &mut self,
        session: SessionId,
        of: ClientDataType,
        challenge: Option<Vec<u8>>,
        now: i64,
    ) -> Option<PendingCeremony> {
        let pending = self.pending(session, of, now);
        let wanted = challenge.map(|challenge| (session, kind(of), challenge));
        match (wanted.filter(|key| pending.contains(key)), &pending[..]) {
            (Some(key), _) => self.ceremonies.take(&key, now),
            // It answers none of them. The only one is used up; of several, none is.
            (None, [key]) => self.ceremonies.take(key, now),
            (None, [.., newest]) => self.ceremonies.get(newest, now).cloned(),
            (None, []) => None,
        }
    }

    /// Signs a session in. Of the session before it, which ends, only what needs no session goes on: sign-ins, and
    /// registrations of new accounts.
    pub fn sign_in(&mut self, id: SessionId, session: Session, before: Option<SessionId>, expires: i64) {
        let now = session.since;
        if let Some(before) = before {
            for of in [ClientDataType::Create, ClientDataType::Get] {
                for key in self.pending(before, of, now) {
                    if self.ceremonies.get(&key, now).is_some_and(PendingCeremony::needs_no_session) {
                        self.ceremonies.rename(&key, (id, key.1, key.2.clone()));
                    }
                }
            }
            self.sign_out(before);
        }
        let (owner, bytes) = (owner(&session.account), session.bytes() + OVERHEAD);
        self.sessions.put(id, session, bytes, owner, expires, now);
    }

    /// The session, if it is signed in.
    pub fn signed_in(&self, session: SessionId, now: i64) -> Option<Session> {
        self.sessions.get(&session, now).cloned()
    }

    /// The sessions of an account, the oldest first.
    pub fn sessions(&self, account: &Account, now: i64) -> Vec<(SessionId, Session)> {
        self.sessions.of(&owner(account), now).into_iter().map(|(id, session)| (id, session.clone())).collect()
    }

    /// Signs a session out, and ends the ceremonies that it has begun.
    pub fn sign_out(&mut self, session: SessionId) {
        self.sessions.take(&session, i64::MIN);
        for of in [ClientDataType::Create, ClientDataType::Get] {
            for key in self.pending(session, of, i64::MIN) {
                self.ceremonies.take(&key, i64::MIN);
            }
        }
    }

    /// Ends the sessions of an account but this one, and the ceremonies of the account in them and elsewhere.
    pub fn end_sessions(&mut self, account: &Account, except: Option<SessionId>) {
        let is_of_account = |other: &Account| owner(other) == owner(account);
        self.ceremonies.retain(|(session, ..), ceremony| {
            Some(*session) == except || !ceremony.account.as_ref().is_some_and(is_of_account)
        });
        let own: Vec<SessionId> = self.sessions(account, i64::MIN).into_iter().map(|(id, _)| id).collect();
        for id in own.into_iter().filter(|id| Some(*id) != except) {
            self.sign_out(id);
        }
    }
}

impl Account {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.rp_id.len() + self.handle.len() + self.name.len() + self.display_name.len()
    }
}

impl Session {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.account.bytes() + self.agent.len()
    }
}

impl PendingCeremony {
    /// What it takes in memory, in bytes.
    fn bytes(&self) -> usize {
        let allowed: usize = self.allowed.iter().map(|id| id.len() + size_of::<Vec<u8>>()).sum();
        let algorithms = self.algorithms.len() * size_of::<i32>();
        let account = self.account.as_ref().map_or(0, Account::bytes);
        size_of::<Self>()
            + self.rp_id.len()
            + 2 * self.challenge.len()
            + self.attachment.as_ref().map_or(0, String::len)
            + allowed
            + algorithms
            + account
    }

    /// Whether anyone may begin it, signed in or not.
    fn needs_no_session(&self) -> bool {
        self.kind == ClientDataType::Get || self.new_account
    }
}
