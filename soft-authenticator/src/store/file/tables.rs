//! The database's tables, and what keeps them in step with each other.

use keyfob_core::bytes;
use redb::{Database, ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};
use subtle::{ConstantTimeEq, ConstantTimeGreater};

use super::{FileStore, Found, Keys, Number, Query, Refused, STRONGEST, StoreError, class};

/// The format of the tables. The first had none of the indexes but `numbers`, the second `ids` and `newest` only.
pub(super) const FORMAT: u32 = 3;
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
/// The type of a table by id.
type ById = TableDefinition<'static, (&'static [u8], Number), (&'static [u8; 32], u8)>;
/// What a list of ids is compared with: relying party and protection of each credential, by its id. Like all that
/// follow, it has those whose record can be read.
pub(super) const IDS: ById = TableDefinition::new("by id");
/// The newest credential of each relying party.
pub(super) const NEWEST: TableDefinition<Number, ()> = TableDefinition::new("newest");
/// The credentials of each user of a relying party.
pub(super) const USERS: TableDefinition<(&[u8; 32], &[u8], Number), ()> = TableDefinition::new("users");
/// The credentials of each relying party, by their protection.
pub(super) const PARTIES: TableDefinition<(&[u8; 32], u8, Number), ()> = TableDefinition::new("parties");
/// How many these are.
pub(super) const COUNTS: TableDefinition<(&[u8; 32], u8), u32> = TableDefinition::new("counts");
/// The large-blob array.
pub(super) const LARGE_BLOBS: TableDefinition<(), &[u8]> = TableDefinition::new("large blobs");

/// Takes pages within a transaction.
const PAGES: TableDefinition<u32, &[u8]> = TableDefinition::new("pages");
/// More than half a page, in bytes, which takes a whole one.
const PAGE_FILLED: usize = 3 << 10;
/// How many pages are taken together: a power of two, of which [`RESERVE`] and its half are multiples. To take 64 pages
/// one by one takes longer than all else in a commit.
pub(super) const BLOCK: u32 = 8;
/// Pages that are free after a credential is added. Those of the credentials that are replaced come out of the half of
/// them, so that there are always some for settings, deletions and a reset: one of these takes ten to thirty, and gives
/// as many back when the next one is made.
pub(super) const RESERVE: u32 = 64;

/// Makes the tables of a new file, and adds those that an earlier version did not have. The format that they have then.
pub(super) fn make_tables(database: &Database) -> Result<u32, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    let found = transaction.open_table(META)?.get(META_FORMAT)?.map(|format| format.value());
    match found {
        None => create_tables(&transaction)?,
        Some(1 | 2) => create_indexes(&transaction)?,
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
    transaction.open_table(USERS)?;
    transaction.open_table(PARTIES)?;
    transaction.open_table(COUNTS)?;
    transaction.open_table(LARGE_BLOBS)?;
    Ok(())
}

/// Makes the tables that follow from the records, where they are not there.
fn create_indexes(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let records = transaction.open_table(RECORDS)?;
    let (mut ids, mut newest) = (transaction.open_table(IDS)?, transaction.open_table(NEWEST)?);
    let (mut users, mut parties) = (transaction.open_table(USERS)?, transaction.open_table(PARTIES)?);
    let mut counts = transaction.open_table(COUNTS)?;
    // Format 2 had no more than the ids in it.
    transaction.delete_table(TableDefinition::<(&[u8], Number), ()>::new("ids"))?;
    let mut last = None;
    for entry in records.iter()?.rev() {
        let (key, record) = entry?;
        let (rp_id_hash, number) = key.value();
        let Some(keys) = Keys::of(record.value()) else { continue };
        ids.insert((keys.id, number), (rp_id_hash, keys.protection))?;
        users.insert((rp_id_hash, keys.user_id, number), ())?;
        parties.insert((rp_id_hash, keys.protection, number), ())?;
        add(&mut counts, rp_id_hash, keys.protection, 1)?;
        if last != Some(*rp_id_hash) {
            newest.insert(number, ())?;
            last = Some(*rp_id_hash);
        }
    }
    Ok(())
}

/// Counts credentials of a relying party that come or go.
fn add(
    counts: &mut Table<'_, (&'static [u8; 32], u8), u32>,
    rp_id_hash: &[u8; 32],
    protection: u8,
    change: i32,
) -> Result<(), redb::Error> {
    let key = (rp_id_hash, protection);
    let count = counts.get(key)?.map_or(0, |count| count.value()).saturating_add_signed(change);
    if count == 0 {
        counts.remove(key)?;
    } else {
        counts.insert(key, count)?;
    }
    Ok(())
}

pub(super) fn erase(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.delete_table(SETTINGS)?;
    transaction.delete_table(RECORDS)?;
    transaction.delete_table(NUMBERS)?;
    transaction.delete_table(IDS)?;
    transaction.delete_table(NEWEST)?;
    transaction.delete_table(USERS)?;
    transaction.delete_table(PARTIES)?;
    transaction.delete_table(COUNTS)?;
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
    let key = (rp_id_hash, number);
    let before = match record {
        Some(record) => records.insert(key, record)?,
        None => records.remove(key)?,
    };
    let keys_before = before.as_ref().and_then(|before| Keys::of(before.value()));
    let keys = record.and_then(Keys::of);
    if keys_before == keys {
        return Ok(());
    }
    let (mut ids, mut users) = (transaction.open_table(IDS)?, transaction.open_table(USERS)?);
    let (mut parties, mut counts) = (transaction.open_table(PARTIES)?, transaction.open_table(COUNTS)?);
    let newest_before = newest_of(&parties, rp_id_hash, STRONGEST, Number::MAX)?;
    if let Some(keys) = keys_before {
        ids.remove((keys.id, number))?;
        users.remove((rp_id_hash, keys.user_id, number))?;
        parties.remove((rp_id_hash, keys.protection, number))?;
        add(&mut counts, rp_id_hash, keys.protection, -1)?;
    }
    if let Some(keys) = keys {
        ids.insert((keys.id, number), (rp_id_hash, keys.protection))?;
        users.insert((rp_id_hash, keys.user_id, number), ())?;
        parties.insert((rp_id_hash, keys.protection, number), ())?;
        add(&mut counts, rp_id_hash, keys.protection, 1)?;
    }
    let newest = newest_of(&parties, rp_id_hash, STRONGEST, Number::MAX)?;
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

/// The newest credential of a relying party that is older than `before` and whose protection is at most `strongest`.
fn newest_of(
    parties: &impl ReadableTable<(&'static [u8; 32], u8, Number), ()>,
    rp_id_hash: &[u8; 32],
    strongest: u8,
    before: Number,
) -> Result<Option<Number>, redb::Error> {
    let mut newest = None;
    for protection in 1..=strongest {
        let range = parties.range((rp_id_hash, protection, 0)..(rp_id_hash, protection, before))?;
        newest = newest.max(last(range, |key| key.2)?);
    }
    Ok(newest)
}

/// The newest credential that is asked for and older than `before`.
pub(super) fn newest(read: &ReadTransaction, query: &Query<'_>, before: Number) -> Result<Option<Number>, redb::Error> {
    Ok(match *query {
        Query::All => last(read.open_table(NUMBERS)?.range(..before)?, |key| key)?,
        Query::RelyingParties => last(read.open_table(NEWEST)?.range(..before)?, |key| key)?,
        Query::RelyingParty { rp_id_hash, protection } => {
            newest_of(&read.open_table(PARTIES)?, rp_id_hash, class(protection), before)?
        }
        Query::User { rp_id_hash, user_id } => {
            let users = read.open_table(USERS)?;
            last(users.range((rp_id_hash, user_id, 0)..(rp_id_hash, user_id, before))?, |key| key.2)?
        }
        Query::Id(id) => last(read.open_table(IDS)?.range((id, 0)..(id, before))?, |key| key.1)?,
        Query::Listed { rp_id_hash, id, protection } => listed(read, rp_id_hash, id, class(protection), before)?.0,
    })
}

/// How many credentials are asked for.
pub(super) fn count(read: &ReadTransaction, query: &Query<'_>) -> Result<u64, redb::Error> {
    Ok(match *query {
        Query::All => read.open_table(NUMBERS)?.len()?,
        Query::RelyingParties => read.open_table(NEWEST)?.len()?,
        Query::RelyingParty { rp_id_hash, protection } => {
            let (counts, mut sum) = (read.open_table(COUNTS)?, 0u64);
            for protection in 1..=class(protection) {
                let count = counts.get((rp_id_hash, protection))?;
                sum = sum.saturating_add(count.map_or(0, |count| count.value().into()));
            }
            sum
        }
        Query::User { rp_id_hash, user_id } => {
            let users = read.open_table(USERS)?;
            users.range((rp_id_hash, user_id, 0)..=(rp_id_hash, user_id, Number::MAX))?.count() as u64
        }
        Query::Id(id) => read.open_table(IDS)?.range((id, 0)..=(id, Number::MAX))?.count() as u64,
        Query::Listed { rp_id_hash, id, protection } => listed(read, rp_id_hash, id, class(protection), Number::MAX)?.1,
    })
}

/// The newest credential of a list's entry that is older than `before`, and how many there are.
///
/// An id that is not there takes the same steps: two entries of the index are looked at, unless there are more with
/// this id.
fn listed(
    read: &ReadTransaction,
    rp_id_hash: &[u8; 32],
    id: &[u8],
    strongest: u8,
    before: Number,
) -> Result<(Option<Number>, u64), redb::Error> {
    let (mut newest, mut count) = (None, 0u64);
    for (place, entry) in read.open_table(IDS)?.range(..(id, before))?.rev().enumerate() {
        let (key, value) = entry?;
        let ((of, number), (rp, protection)) = (key.value(), value.value());
        let same = of.ct_eq(id);
        let asked_for = same & rp.ct_eq(rp_id_hash) & !protection.ct_gt(&strongest);
        count = count.saturating_add(asked_for.unwrap_u8().into());
        newest = newest.or(bool::from(asked_for).then_some(number));
        if place > 0 && !bool::from(same) {
            break;
        }
    }
    Ok((newest, count))
}

fn last<K: redb::Key, V: redb::Value, T>(
    mut range: redb::Range<'_, K, V>,
    number: impl Fn(K::SelfType<'_>) -> T,
) -> Result<Option<T>, redb::Error> {
    Ok(range.next_back().transpose()?.map(|(key, _)| number(key.value())))
}
/// A credential that an index leads to.
pub(super) fn record_of(read: &ReadTransaction, number: Number, out: &mut [u8]) -> Result<Found, Refused> {
    let rp_id_hash = read.open_table(NUMBERS)?.get(number)?.ok_or(StoreError::Failed)?;
    let rp_id_hash = rp_id_hash.value();
    let record = read.open_table(RECORDS)?.get((rp_id_hash, number))?.ok_or(StoreError::Failed)?;
    Ok(Found { number, rp_id_hash: *rp_id_hash, len: copied(record.value(), out)? })
}

/// Copies a value to the front of `out`.
pub(super) fn copied(value: &[u8], out: &mut [u8]) -> Result<usize, StoreError> {
    Ok(bytes::put(out.get_mut(..value.len()).ok_or(StoreError::TooLong)?, value))
}

/// Makes sure that so many pages are free when the transaction is committed: takes them, `block` of them together, and
/// gives them back.
pub(super) fn leave_free(transaction: &WriteTransaction, pages: u32, block: u32) -> Result<(), redb::Error> {
    if pages == 0 {
        return Ok(());
    }
    let mut reserve = transaction.open_table(PAGES)?;
    let filled = PAGE_FILLED.saturating_mul(usize::try_from(block).unwrap_or(usize::MAX));
    for number in 0..pages.div_ceil(block.max(1)) {
        reserve.insert_reserve(number, filled)?;
    }
    drop(reserve);
    transaction.delete_table(PAGES)?;
    Ok(())
}
