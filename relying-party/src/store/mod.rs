//! What the server remembers: accounts and their credentials for good, ceremonies and sessions for a while.
//!
//! Handlers know only [`Storage`]. Each of its calls is whole: it happens or it does not, and what has to hold between
//! reading and writing is part of the call, so that several servers may share one database.

use std::{fmt, pin::Pin};

mod memory;
mod sqlite;

pub use memory::{MAX_REMEMBERED, Remembered};
pub use sqlite::Sqlite;

/// Names a session: the cookie's value.
pub type SessionId = [u8; 16];

/// A person at a relying party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The relying party.
    pub rp_id: String,
    /// The user handle: random, tells nothing (WebAuthn L3 §14.6.1).
    pub handle: Vec<u8>,
    /// The name that was chosen; unique at the relying party.
    pub name: String,
    /// The name to be shown.
    pub display_name: String,
}

/// A credential record (WebAuthn L3 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id; unique at the relying party.
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
    /// Whether the user was verified at its registration or since.
    pub uv_initialized: bool,
    /// Whether it may be backed up; does not change.
    pub backup_eligible: bool,
    /// How the client reached the authenticator, as it said.
    pub transports: Vec<String>,
    /// The authenticator's model, as it said.
    pub aaguid: [u8; 16],
    /// The attestation statement's format.
    pub format: String,
    /// What the statement proved: "none", "self", "certificate" whose issuer was not asked for, or "trusted".
    pub attestation: String,
    /// The attestation object, so that it can be judged again.
    pub attestation_object: Vec<u8>,
    /// The client data that it was made over.
    pub client_data_json: Vec<u8>,
    /// When it was registered, in seconds since 1970.
    pub created: i64,
    /// When it signed last, in seconds since 1970.
    pub last_used: Option<i64>,
}

/// What a sign-in changes in a credential record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The counter that the assertion was checked against.
    pub previous: u32,
    /// The counter it brought.
    pub sign_count: u32,
    /// Its flags.
    pub flags: u8,
    /// When, in seconds since 1970.
    pub at: i64,
}

/// Which ceremony.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A registration.
    Create,
    /// A sign-in.
    Get,
}

/// A ceremony that has begun: what its answer is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceremony {
    /// Which.
    pub kind: Kind,
    /// The relying party.
    pub rp_id: String,
    /// The challenge.
    pub challenge: [u8; 32],
    /// The account it is for; `None` when whoever answers signs in.
    pub account: Option<Account>,
    /// Whether the user has to be verified.
    pub user_verification: bool,
    /// Whether whoever began a registration was not signed in: it may only make a new account.
    pub new_account: bool,
    /// The COSE algorithms that were asked for, in a registration.
    pub algorithms: Vec<i32>,
    /// The authenticator attachment that was asked for, in a registration.
    pub attachment: Option<String>,
    /// The ids of the credentials that were asked for, in a sign-in.
    pub allowed: Vec<Vec<u8>>,
}

/// What came of storing a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored, durably.
    Yes,
    /// Some account has a credential with that id.
    CredentialExists,
    /// The name belongs to another account, or to one that must not be added to.
    AccountExists,
}

/// The storage failed. What was asked for has not happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// There is no room.
    Full,
    /// Anything else, in words for the log.
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

/// What a call of [`Storage`] comes to.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>>;

/// A place to remember. Errors of every call: [`StorageError`].
pub trait Storage: Send + Sync {
    /// Whether the storage works.
    fn ping(&self) -> Answer<'_, ()>;
    /// A secret of this database, random, made with it.
    fn secret(&self) -> Answer<'_, [u8; 32]>;

    /// The account of that name.
    fn account(&self, rp_id: &str, name: &str) -> Answer<'_, Option<Account>>;
    /// The account with that user handle.
    fn account_by_handle(&self, rp_id: &str, handle: &[u8]) -> Answer<'_, Option<Account>>;
    /// An account's credentials, the oldest first.
    fn credentials(&self, rp_id: &str, handle: &[u8]) -> Answer<'_, Vec<Credential>>;
    /// The credential with that id, whoever's it is.
    fn credential(&self, rp_id: &str, id: &[u8]) -> Answer<'_, Option<Credential>>;
    /// Stores a credential, and its account where there is none yet. With `new_account` there must be none.
    fn register(&self, account: &Account, credential: &Credential, new_account: bool) -> Answer<'_, Stored>;
    /// Notes a use. `false`, and nothing is noted, when the credential is gone or its counter is no more the previous one.
    fn use_credential(&self, rp_id: &str, id: &[u8], used: Use) -> Answer<'_, bool>;
    /// Deletes an account's credential, and the account with its last one. `false` when the account has none with that id.
    fn delete_credential(&self, rp_id: &str, handle: &[u8], id: &[u8]) -> Answer<'_, bool>;

    /// Remembers a ceremony until its time is over; another of its kind in the session is forgotten.
    fn begin(&self, session: SessionId, ceremony: Ceremony, expires: i64) -> Answer<'_, ()>;
    /// Takes a ceremony out: a second call finds none. None either when its time is over.
    fn take(&self, session: SessionId, kind: Kind, now: i64) -> Answer<'_, Option<Ceremony>>;
    /// Signs the session in.
    fn sign_in(&self, session: SessionId, account: Account, expires: i64) -> Answer<'_, ()>;
    /// Who is signed in.
    fn signed_in(&self, session: SessionId, now: i64) -> Answer<'_, Option<Account>>;
    /// Signs the session out.
    fn sign_out(&self, session: SessionId) -> Answer<'_, ()>;
}
