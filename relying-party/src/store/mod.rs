//! The server's storage: accounts and their credentials, which are permanent, and ceremonies and sessions, which
//! expire.
//!
//! Handlers use only [`Storage`]. Each of its calls is atomic: it happens or it does not. A condition that must hold
//! between reading and writing is part of the call, so that several servers may share one database.

use std::{fmt, pin::Pin};

use keyfob_core::webauthn::ClientDataType;

mod bounded;
mod memory;
mod sqlite;

use memory::Remembered;
pub use sqlite::Sqlite;

/// Identifies a session: the cookie's value.
pub type SessionId = [u8; 16];

/// A person at a relying party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The relying party.
    pub rp_id: String,
    /// The user handle: random, so that it reveals nothing (WebAuthn L3 §14.6.1).
    pub handle: Vec<u8>,
    /// The chosen account name; unique at the relying party.
    pub name: String,
    /// The name for display.
    pub display_name: String,
}

/// A credential record (WebAuthn L3 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRecord {
    /// The credential id; unique at the relying party.
    pub id: Vec<u8>,
    /// The account's user handle.
    pub handle: Vec<u8>,
    /// The public key, a COSE_Key.
    pub public_key: Vec<u8>,
    /// Its COSE algorithm.
    pub algorithm: i32,
    /// The signature counter of its last use.
    pub sign_count: u32,
    /// The flags of its last use.
    pub flags: u8,
    /// Whether the user was verified at its registration or in a later sign-in.
    pub uv_initialized: bool,
    /// Whether it may be backed up; does not change.
    pub backup_eligible: bool,
    /// The authenticator's transports, as reported by the client.
    pub transports: Vec<String>,
    /// The AAGUID, as reported by the authenticator.
    pub aaguid: [u8; 16],
    /// The attestation statement's format.
    pub format: String,
    /// What the statement proved: "none", "self", "certificate" if nobody trusted has issued it, or
    /// "trusted".
    pub attestation: String,
    /// The attestation object, so that it can be verified again.
    pub attestation_object: Vec<u8>,
    /// The client data that was signed with it.
    pub client_data_json: Vec<u8>,
    /// When it was registered, in seconds since 1970.
    pub created: i64,
    /// When it was last used, in seconds since 1970.
    pub last_used: Option<i64>,
}

/// The changes of a sign-in to a credential record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The counter that the assertion was checked against.
    pub previous: u32,
    /// The counter in the assertion.
    pub sign_count: u32,
    /// Its flags.
    pub flags: u8,
    /// When, in seconds since 1970.
    pub at: i64,
}

/// A ceremony that has begun, with the values to check its answer against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCeremony {
    /// Which.
    pub kind: ClientDataType,
    /// The relying party.
    pub rp_id: String,
    /// The challenge.
    pub challenge: Vec<u8>,
    /// The account; `None` for a sign-in to the account of the credential that answers.
    pub account: Option<Account>,
    /// Whether the user must be verified.
    pub user_verification: bool,
    /// Whether a registration was begun without being signed in. It may then only create a new account.
    pub new_account: bool,
    /// In a registration, the requested COSE algorithms.
    pub algorithms: Vec<i32>,
    /// In a registration, the requested authenticator attachment.
    pub attachment: Option<String>,
    /// In a sign-in, the ids of the allowed credentials.
    pub allowed: Vec<Vec<u8>>,
}

/// A session that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The account.
    pub account: Account,
    /// When its user has signed in, in seconds since 1970.
    pub since: i64,
    /// What the client called itself.
    pub agent: String,
}

/// How many credentials an account may have.
pub const MAX_CREDENTIALS: i64 = 64;

/// The result of storing a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreOutcome {
    /// It is stored durably.
    Yes,
    /// An account already has a credential with that id.
    CredentialExists,
    /// The name belongs to another account, or to one to which this ceremony must not add.
    AccountExists,
    /// The account has [`MAX_CREDENTIALS`].
    AccountFull,
}

/// The storage failed, and the call had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no room.
    Full,
    /// Any other failure, with a message for the log.
    Failed(String),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("no room is left"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for StorageError {}

/// The future of a call of [`Storage`].
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>>;

/// The server's storage. Every call can fail with [`StorageError`].
pub trait Storage: Send + Sync {
    /// Whether the storage works.
    fn ping(&self) -> Answer<'_, ()>;
    /// The random secret of this database, which was generated with it.
    fn secret(&self) -> Answer<'_, [u8; 32]>;

    /// The account of that name.
    fn account(&self, rp_id: &str, name: &str) -> Answer<'_, Option<Account>>;
    /// The account with that user handle.
    fn account_by_handle(&self, rp_id: &str, handle: &[u8]) -> Answer<'_, Option<Account>>;
    /// An account's credentials, the oldest first.
    fn credentials(&self, rp_id: &str, handle: &[u8]) -> Answer<'_, Vec<CredentialRecord>>;
    /// The credential with that id, of any account.
    fn credential(&self, rp_id: &str, id: &[u8]) -> Answer<'_, Option<CredentialRecord>>;
    /// Stores a credential, and its account if it does not exist yet. With `new_account` it must not exist.
    fn register(&self, account: &Account, credential: &CredentialRecord, new_account: bool)
    -> Answer<'_, StoreOutcome>;
    /// Records a use. Returns `false` and changes nothing if the credential was deleted or its counter is not
    /// [`Use::previous`] any more.
    fn use_credential(&self, rp_id: &str, id: &[u8], used: Use) -> Answer<'_, bool>;
    /// Deletes an account's credential, and the account with its last one. Returns `false` if the account has no
    /// credential with that id.
    fn delete_credential(&self, rp_id: &str, handle: &[u8], id: &[u8]) -> Answer<'_, bool>;

    /// Stores a ceremony, begun `now` by this client, until it expires. Where there is no room, the client with the most
    /// ceremonies loses its oldest.
    fn begin(
        &self,
        session: SessionId,
        ceremony: PendingCeremony,
        client: String,
        expires: i64,
        now: i64,
    ) -> Answer<'_, ()>;
    /// Whether the session is signed in or has begun a ceremony.
    fn is_known(&self, session: SessionId, now: i64) -> Answer<'_, bool>;
    /// Removes and returns the session's ceremony with this challenge, so that a second call finds none. `None` also when
    /// it has expired. For another challenge, or none, it is the only ceremony, which is used up with that, or the newest of
    /// several, which are not.
    fn take(
        &self,
        session: SessionId,
        kind: ClientDataType,
        challenge: Option<Vec<u8>>,
        now: i64,
    ) -> Answer<'_, Option<PendingCeremony>>;
    /// Signs the session in. The browser's session `before` ends, but not the sign-ins that it has begun, nor the
    /// registrations of new accounts: they go on in this one.
    fn sign_in(&self, id: SessionId, session: Session, before: Option<SessionId>, expires: i64) -> Answer<'_, ()>;
    /// The session, if it is signed in.
    fn signed_in(&self, session: SessionId, now: i64) -> Answer<'_, Option<Session>>;
    /// The sessions of an account, the oldest first.
    fn sessions(&self, account: &Account, now: i64) -> Answer<'_, Vec<(SessionId, Session)>>;
    /// Signs the session out, and ends the ceremonies that it has begun.
    fn sign_out(&self, session: SessionId) -> Answer<'_, ()>;
    /// Ends the sessions of an account but this one, and the ceremonies of the account in them and elsewhere.
    fn end_sessions(&self, account: &Account, except: Option<SessionId>) -> Answer<'_, ()>;
}
