//! The database's tables, and what keeps them in step with each other.

use keyfob_core::bytes;
use redb::{Database, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use super::{Credential, FileStore, Found, Number, Refused, StoreError};

/// The format of the tables. The first had no `ids` and no `newest`.
pub(super) const FORMAT: u32 = 2;
/// Numbers of the store's own.
pub(super) const META: TableDefinition<&str, u32> = TableDefinition::new("meta");
pub(super) const META_FORMAT: &str = "format";
const META_NEXT: &str = "next";
/// Settings, by their number.
pub(super) const SETTINGS: TableDefinition<u8, &[u8]> = TableDefinition::new("settings");
/// Records, by the hash of the RP ID: what replaces a record takes the room of the replaced one.
pub(super) const RECORDS: TableDefinition<(&[u8; 32], Number), &[u8]> = TableDefinition::new("records");
/// The hash of the RP ID of each credential.
pub(super) const NUMBERS: TableDefinition<Number, &[u8; 32]> = TableDefinition::new("numbers");
/// The ids of the credentials, where the record can be read.
pub(super) const IDS: TableDefinition<(&[u8], Number), ()> = TableDefinition::new("ids");
/// The newest credential of each relying party, of those whose record can be read.
pub(super) const NEWEST: TableDefinition<Number, ()> = TableDefinition::new("newest");
/// The large-blob array.
pub(super) const LARGE_BLOBS: TableDefinition<(), &[u8]> = TableDefinition::new("large blobs");

/// Takes pages within a transaction.
const PAGES: TableDefinition<u32, &[u8]> = TableDefinition::new("pages");
/// More than half a page, in bytes, which takes a whole one.
const PAGE_FILLED: usize = 3 << 10;
/// Pages that are free after a credential is added. Those of the credentials that are replaced come out of the half of
/// them, so that there are always some for settings, deletions and a reset: one of these takes ten to thirty, and gives as
/// many back when the next one is made.
pub(super) const RESERVE: u32 = 64;

/// Makes the tables of a new file, and adds those that an earlier version did not have. The format that they have then.
pub(super) fn make_tables(database: &Database) -> Result<u32, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    let found = transaction.open_table(META)?.get(META_FORMAT)?.map(|format| format.value());
    match found {
        None => create_tables(&transaction)?,
        Some(1) => create_indexes(&transaction)?,
        Some(format) => return Ok(format),
    }
    transaction.open_table(META)?.insert(META_FORMAT, FORMAT)?;
    transaction.commit()?;
    Ok(FORMAT)
}

fn create_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(META)?;
    transaction.open_table(SETTINGS)?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(NUMBERS)?;
    transaction.open_table(IDS)?;
    transaction.open_table(NEWEST)?;
    transaction.open_table(LARGE_BLOBS)?;
    Ok(())
}

/// Makes the tables that follow from the records.
fn create_indexes(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let records = transaction.open_table(RECORDS)?;
    let (mut ids, mut newest) = (transaction.open_table(IDS)?, transaction.open_table(NEWEST)?);
    let mut last = None;
    for entry in records.iter()?.rev() {
        let (key, record) = entry?;
        let (rp_id_hash, number) = key.value();
        let Some(id) = id_of(record.value()) else { continue };
        ids.insert((id, number), ())?;
        if last != Some(*rp_id_hash) {
            newest.insert(number, ())?;
            last = Some(*rp_id_hash);
        }
    }
    Ok(())
}

pub(super) fn erase(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.delete_table(SETTINGS)?;
    transaction.delete_table(RECORDS)?;
    transaction.delete_table(NUMBERS)?;
    transaction.delete_table(IDS)?;
    transaction.delete_table(NEWEST)?;
    transaction.delete_table(LARGE_BLOBS)?;
    create_tables(transaction)?;
    transaction.open_table(META)?.remove(META_NEXT)?;
    Ok(())
}

pub(super) fn put(transaction: &WriteTransaction, rp_id_hash: &[u8; 32], record: &[u8]) -> Result<(), Refused> {
    let mut meta = transaction.open_table(META)?;
    let number = meta.get(META_NEXT)?.map_or(1, |next| next.value());
    let next = number.checked_add(1).ok_or(StoreError::Full)?;
    let mut numbers = transaction.open_table(NUMBERS)?;
    if numbers.len()? >= u64::from(FileStore::MAX_CREDENTIALS) {
        return Err(StoreError::Full.into());
    }
    numbers.insert(number, rp_id_hash)?;
    set_record(transaction, rp_id_hash, number, Some(record))?;
    meta.insert(META_NEXT, next)?;
    Ok(())
}

/// Sets the record of a credential, or removes it, and keeps the indexes in step.
pub(super) fn set_record(
    transaction: &WriteTransaction,
    rp_id_hash: &[u8; 32],
    number: Number,
    record: Option<&[u8]>,
) -> Result<(), redb::Error> {
    let mut records = transaction.open_table(RECORDS)?;
    let newest_before = newest_of(&records, rp_id_hash)?;
    let key = (rp_id_hash, number);
    let before = match record {
        Some(record) => records.insert(key, record)?,
        None => records.remove(key)?,
    };
    let (id_before, id) = (before.as_ref().and_then(|before| id_of(before.value())), record.and_then(id_of));
    if id_before != id {
        let mut ids = transaction.open_table(IDS)?;
        if let Some(id) = id_before {
            ids.remove((id, number))?;
        }
        if let Some(id) = id {
            ids.insert((id, number), ())?;
        }
    }
    drop(before);
    let newest = newest_of(&records, rp_id_hash)?;
    if newest != newest_before {
        let mut all = transaction.open_table(NEWEST)?;
        if let Some(number) = newest_before {
            all.remove(number)?;
        }
        if let Some(number) = newest {
            all.insert(number, ())?;
        }
    }
    Ok(())
}

/// The newest credential of a relying party whose record can be read.
fn newest_of(
    records: &impl ReadableTable<(&'static [u8; 32], Number), &'static [u8]>,
    rp_id_hash: &[u8; 32],
) -> Result<Option<Number>, redb::Error> {
    for entry in records.range((rp_id_hash, 0)..=(rp_id_hash, Number::MAX))?.rev() {
        let (key, record) = entry?;
        if id_of(record.value()).is_some() {
            return Ok(Some(key.value().1));
        }
    }
    Ok(None)
}

fn id_of(record: &[u8]) -> Option<&[u8]> {
    Credential::decode(record).map(|credential| credential.id)
}

/// A credential that an index leads to.
pub(super) fn record_of(read: &ReadTransaction, number: Number, out: &mut [u8]) -> Result<([u8; 32], Found), Refused> {
    let rp_id_hash = read.open_table(NUMBERS)?.get(number)?.ok_or(StoreError::Failed)?;
    let rp_id_hash = rp_id_hash.value();
    let record = read.open_table(RECORDS)?.get((rp_id_hash, number))?.ok_or(StoreError::Failed)?;
    Ok((*rp_id_hash, Found { number, len: copied(record.value(), out)? }))
}

/// Copies a value to the front of `out`.
pub(super) fn copied(value: &[u8], out: &mut [u8]) -> Result<usize, StoreError> {
    Ok(bytes::copy(out.get_mut(..value.len()).ok_or(StoreError::TooLong)?, value))
}

/// Makes sure that so many pages are free when the transaction is committed: takes them, and gives them back.
pub(super) fn leave_free(transaction: &WriteTransaction, pages: u32) -> Result<(), redb::Error> {
    if pages > 0 {
        let mut reserve = transaction.open_table(PAGES)?;
        for page in 0..pages {
            reserve.insert_reserve(page, PAGE_FILLED)?;
        }
    }
    transaction.delete_table(PAGES)?;
    Ok(())
}
