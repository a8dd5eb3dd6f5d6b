//! Storage in one SQLite file. It has the accounts and credentials; ceremonies and sessions are in memory.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use keyfob_core::webauthn::ClientDataType;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{
    Account, Answer, CredentialRecord, MAX_CREDENTIALS, PendingCeremony, Remembered, Session, SessionId, Storage,
    StorageError, StoreOutcome, Use,
};
use crate::{random, server::name::composed};

/// The tables. With `STRICT`, a column holds only values of its type.
const SCHEMA: &str = "
CREATE TABLE meta (secret BLOB NOT NULL) STRICT;
CREATE TABLE accounts (
    rp_id TEXT NOT NULL, handle BLOB NOT NULL, name TEXT NOT NULL, display_name TEXT NOT NULL,
    PRIMARY KEY (rp_id, handle), UNIQUE (rp_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE credentials (
    rp_id TEXT NOT NULL, id BLOB NOT NULL, handle BLOB NOT NULL, public_key BLOB NOT NULL, algorithm INTEGER NOT NULL,
    sign_count INTEGER NOT NULL, flags INTEGER NOT NULL, uv_initialized INTEGER NOT NULL,
    backup_eligible INTEGER NOT NULL, transports TEXT NOT NULL, aaguid BLOB NOT NULL, format TEXT NOT NULL,
    attestation TEXT NOT NULL, attestation_object BLOB NOT NULL, client_data_json BLOB NOT NULL,
    created INTEGER NOT NULL, last_used INTEGER,
    PRIMARY KEY (rp_id, id), FOREIGN KEY (rp_id, handle) REFERENCES accounts ON DELETE CASCADE
) STRICT;
CREATE INDEX credentials_of_account ON credentials (rp_id, handle);
PRAGMA user_version = 2;
";

const COLUMNS: &str = "id, handle, public_key, algorithm, sign_count, flags, uv_initialized, backup_eligible, \
    transports, aaguid, format, attestation, attestation_object, client_data_json, created, last_used";

/// The user verified flag.
const UV: u8 = 0x04;

/// A database file.
pub struct Sqlite {
    connection: Arc<Mutex<Connection>>,
    remembered: Mutex<Remembered>,
}

impl Sqlite {
    /// Opens a database, or creates it if it does not exist.
    ///
    /// # Errors
    /// The file is not a database of this version, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        Self::with(Connection::open(path)?)
    }

    /// A database in memory, for tests.
    ///
    /// # Errors
    /// SQLite failed.
    pub fn in_memory() -> Result<Self, StorageError> {
        Self::with(Connection::open_in_memory()?)
    }

    fn with(mut connection: Connection) -> Result<Self, StorageError> {
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        // A commit survives a power failure, and readers do not wait for the writer.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let transaction = write(&mut connection)?;
        match transaction.pragma_query_value(None, "user_version", |row| row.get(0))? {
            0 => {
                transaction.execute_batch(SCHEMA)?;
                let secret: [u8; 32] =
                    random::bytes().map_err(|error| StorageError::Failed(format!("no randomness: {error}")))?;
                transaction.execute("INSERT INTO meta VALUES (?)", [secret])?;
            }
            1 => compose_names(&transaction)?,
            2 => {}
            version => return Err(StorageError::Failed(format!("the database is of a later version, {version}"))),
        }
        transaction.commit()?;
        let remembered = Mutex::new(Remembered::new());
        Ok(Self { connection: Arc::new(Mutex::new(connection)), remembered })
    }

    /// Runs `work` on a thread that may wait for the disk.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StorageError> + Send + 'static,
    ) -> Answer<'_, T> {
        let connection = Arc::clone(&self.connection);
        Box::pin(async move {
            // If a thread panicked, its transaction was rolled back, so a poisoned lock can be used.
            let task = move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
            match tokio::task::spawn_blocking(task).await {
                Ok(result) => result,
                Err(error) => Err(StorageError::Failed(error.to_string())),
            }
        })
    }

    fn remember<T: Send + 'static>(&self, work: impl FnOnce(&mut Remembered) -> T) -> Answer<'_, T> {
        let result = work(&mut self.remembered.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async { Ok(result) })
    }
}

/// Brings a database of version 1 to version 2, in which names are composed (Unicode NFC).
fn compose_names(transaction: &Transaction<'_>) -> Result<(), StorageError> {
    let mut select = transaction.prepare("SELECT rp_id, handle, name FROM accounts")?;
    let accounts = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let accounts: Vec<(String, Vec<u8>, String)> = accounts.collect::<Result<_, _>>()?;
    for (rp_id, handle, name) in accounts {
        let composed = composed(&name);
        if composed == name {
            continue;
        }
        let taken = transaction
            .query_row("SELECT 1 FROM accounts WHERE rp_id = ?1 AND name = ?2", params![rp_id, composed], |_| Ok(()))
            .optional()?;
        if taken.is_some() {
            let why = format!("two accounts of {rp_id} have the name {composed:?}, spelt in two ways: rename one");
            return Err(StorageError::Failed(why));
        }
        let update = "UPDATE accounts SET name = ?3 WHERE rp_id = ?1 AND handle = ?2";
        transaction.execute(update, params![rp_id, handle, composed])?;
    }
    Ok(transaction.pragma_update(None, "user_version", 2)?)
}

impl Storage for Sqlite {
    fn ping(&self) -> Answer<'_, ()> {
        self.run(|connection| Ok(connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?))
    }

    fn secret(&self) -> Answer<'_, [u8; 32]> {
        self.run(|connection| Ok(connection.query_row("SELECT secret FROM meta", [], |row| row.get(0))?))
    }

    fn account(&self, rp_id: &str, name: &str) -> Answer<'_, Option<Account>> {
        let (rp_id, name) = (rp_id.to_owned(), name.to_owned());
        self.run(move |connection| {
            let query = "SELECT rp_id, handle, name, display_name FROM accounts WHERE rp_id = ? AND name = ?";
            Ok(connection.prepare(query)?.query_row(params![rp_id, name], read_account).optional()?)
        })
    }

    fn account_by_handle(&self, rp_id: &str, handle: &[u8]) -> Answer<'_, Option<Account>> {
        let (rp_id, handle) = (rp_id.to_owned(), handle.to_owned());
        self.run(move |connection| {
            let query = "SELECT rp_id, handle, name, display_name FROM accounts WHERE rp_id = ? AND handle = ?";
            Ok(connection.prepare(query)?.query_row(params![rp_id, handle], read_account).optional()?)
        })
    }

    fn credentials(&self, rp_id: &str, handle: &[u8]) -> Answer<'_, Vec<CredentialRecord>> {
        let (rp_id, handle) = (rp_id.to_owned(), handle.to_owned());
        self.run(move |connection| {
            let query =
                format!("SELECT {COLUMNS} FROM credentials WHERE rp_id = ? AND handle = ? ORDER BY created, rowid");
            let mut query = connection.prepare(&query)?;
            let rows = query.query_map(params![rp_id, handle], read_credential)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn credential(&self, rp_id: &str, id: &[u8]) -> Answer<'_, Option<CredentialRecord>> {
        let (rp_id, id) = (rp_id.to_owned(), id.to_owned());
        self.run(move |connection| {
            let query = format!("SELECT {COLUMNS} FROM credentials WHERE rp_id = ? AND id = ?");
            Ok(connection.prepare(&query)?.query_row(params![rp_id, id], read_credential).optional()?)
        })
    }

    fn register(
        &self,
        account: &Account,
        credential: &CredentialRecord,
        new_account: bool,
    ) -> Answer<'_, StoreOutcome> {
        let (account, credential) = (account.clone(), credential.clone());
        self.run(move |connection| {
            let transaction = write(connection)?;
            let known: Option<Vec<u8>> = transaction
                .query_row(
                    "SELECT handle FROM accounts WHERE rp_id = ? AND name = ?",
                    params![account.rp_id, account.name],
                    |row| row.get(0),
                )
                .optional()?;
            match known {
                None => {
                    transaction.execute(
                        "INSERT INTO accounts VALUES (?, ?, ?, ?)",
                        params![account.rp_id, account.handle, account.name, account.display_name],
                    )?;
                }
                Some(handle) if new_account || handle != account.handle => return Ok(StoreOutcome::AccountExists),
                Some(handle) => {
                    let count = "SELECT count(*) FROM credentials WHERE rp_id = ? AND handle = ?";
                    let count: i64 = transaction.query_row(count, params![account.rp_id, handle], |row| row.get(0))?;
                    if count >= MAX_CREDENTIALS {
                        return Ok(StoreOutcome::AccountFull);
                    }
                }
            }
            let stored = insert(&transaction, &account.rp_id, &credential)?;
            if stored == 0 {
                return Ok(StoreOutcome::CredentialExists); // the new account is rolled back too
            }
            transaction.commit()?;
            Ok(StoreOutcome::Yes)
        })
    }

    fn use_credential(&self, rp_id: &str, id: &[u8], used: Use) -> Answer<'_, bool> {
        let (rp_id, id) = (rp_id.to_owned(), id.to_owned());
        self.run(move |connection| {
            let query = "UPDATE credentials SET sign_count = ?, flags = ?, last_used = ?, \
                uv_initialized = max(uv_initialized, ?) WHERE rp_id = ? AND id = ? AND sign_count = ?";
            let verified = used.flags & UV != 0;
            let count = connection.prepare(query)?.execute(params![
                used.sign_count,
                used.flags,
                used.at,
                verified,
                rp_id,
                id,
                used.previous
            ])?;
            Ok(count == 1)
        })
    }

    fn delete_credential(&self, rp_id: &str, handle: &[u8], id: &[u8]) -> Answer<'_, bool> {
        let (rp_id, handle, id) = (rp_id.to_owned(), handle.to_owned(), id.to_owned());
        self.run(move |connection| {
            let transaction = write(connection)?;
            let query = "DELETE FROM credentials WHERE rp_id = ? AND handle = ? AND id = ?";
            if transaction.execute(query, params![rp_id, handle, id])? == 0 {
                return Ok(false);
            }
            transaction.execute(
                "DELETE FROM accounts WHERE rp_id = ?1 AND handle = ?2 AND NOT EXISTS \
                    (SELECT 1 FROM credentials WHERE rp_id = ?1 AND handle = ?2)",
                params![rp_id, handle],
            )?;
            transaction.commit()?;
            Ok(true)
        })
    }

    fn begin(
        &self,
        session: SessionId,
        ceremony: PendingCeremony,
        client: String,
        expires: i64,
        now: i64,
    ) -> Answer<'_, ()> {
        self.remember(|remembered| remembered.begin(session, ceremony, client, expires, now))
    }

    fn is_known(&self, session: SessionId, now: i64) -> Answer<'_, bool> {
        self.remember(|remembered| remembered.is_known(session, now))
    }

    fn take(
        &self,
        session: SessionId,
        kind: ClientDataType,
        challenge: Option<Vec<u8>>,
        now: i64,
    ) -> Answer<'_, Option<PendingCeremony>> {
        self.remember(|remembered| remembered.take(session, kind, challenge, now))
    }

    fn sign_in(&self, id: SessionId, session: Session, before: Option<SessionId>, expires: i64) -> Answer<'_, ()> {
        self.remember(|remembered| remembered.sign_in(id, session, before, expires))
    }

    fn signed_in(&self, session: SessionId, now: i64) -> Answer<'_, Option<Session>> {
        self.remember(|remembered| remembered.signed_in(session, now))
    }

    fn sessions(&self, account: &Account, now: i64) -> Answer<'_, Vec<(SessionId, Session)>> {
        self.remember(|remembered| remembered.sessions(account, now))
    }

    fn sign_out(&self, session: SessionId) -> Answer<'_, ()> {
        self.remember(|remembered| remembered.sign_out(session))
    }

    fn end_sessions(&self, account: &Account, except: Option<SessionId>) -> Answer<'_, ()> {
        self.remember(|remembered| remembered.end_sessions(account, except))
    }
}

/// A transaction for writing. It takes the lock at once, so that the values that it reads are still current when it
/// writes.
fn write(connection: &mut Connection) -> Result<Transaction<'_>, StorageError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Inserts a credential, unless its id is taken. Returns the number of rows.
fn insert(transaction: &Transaction<'_>, rp_id: &str, credential: &CredentialRecord) -> Result<usize, StorageError> {
    let query = format!(
        "INSERT INTO credentials (rp_id, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
            ON CONFLICT (rp_id, id) DO NOTHING"
    );
    let c = credential;
    Ok(transaction.prepare(&query)?.execute(params![
        rp_id,
        c.id,
        c.handle,
        c.public_key,
        c.algorithm,
        c.sign_count,
        c.flags,
        c.uv_initialized,
        c.backup_eligible,
        c.transports.join(" "),
        c.aaguid,
        c.format,
        c.attestation,
        c.attestation_object,
        c.client_data_json,
        c.created,
        c.last_used
    ])?)
}

fn read_account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account { rp_id: row.get(0)?, handle: row.get(1)?, name: row.get(2)?, display_name: row.get(3)? })
}

fn read_credential(row: &Row<'_>) -> rusqlite::Result<CredentialRecord> {
    let transports: String = row.get(8)?;
    Ok(CredentialRecord {
        id: row.get(0)?,
        handle: row.get(1)?,
        public_key: row.get(2)?,
        algorithm: row.get(3)?,
        sign_count: row.get(4)?,
        flags: row.get(5)?,
        uv_initialized: row.get(6)?,
        backup_eligible: row.get(7)?,
        transports: transports.split_whitespace().map(str::to_owned).collect(),
        aaguid: row.get(9)?,
        format: row.get(10)?,
        attestation: row.get(11)?,
        attestation_object: row.get(12)?,
        client_data_json: row.get(13)?,
        created: row.get(14)?,
        last_used: row.get(15)?,
    })
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Failed(error.to_string()),
        }
    }
}
