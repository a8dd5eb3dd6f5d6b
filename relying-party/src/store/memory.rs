//! Ceremonies and sessions in the memory of this process. A restart ends all of them.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use keyfob_core::webauthn::ClientDataType;

use super::{Account, PendingCeremony, SessionId};

/// How many ceremonies, and how many sessions, are kept at the same time. Beyond that, the one that would expire first
/// is dropped.
pub const MAX_REMEMBERED: usize = 100_000;

/// The ceremonies that have begun and the sessions that are signed in.
#[derive(Debug)]
pub struct Remembered {
    ceremonies: Expiring<(SessionId, ClientDataType), PendingCeremony>,
    sessions: Expiring<SessionId, Account>,
}

impl Remembered {
    /// An empty store for at most `limit` of each.
    pub fn new(limit: usize) -> Self {
        Self { ceremonies: Expiring::new(limit), sessions: Expiring::new(limit) }
    }

    /// Stores a ceremony. It replaces another of its kind in the session.
    pub fn begin(&mut self, session: SessionId, ceremony: PendingCeremony, expires: i64) {
        self.ceremonies.put((session, ceremony.kind), ceremony, expires);
    }

    /// Removes and returns a ceremony.
    pub fn take(&mut self, session: SessionId, kind: ClientDataType, now: i64) -> Option<PendingCeremony> {
        self.ceremonies.take(&(session, kind), now)
    }

    /// Signs a session in.
    pub fn sign_in(&mut self, session: SessionId, account: Account, expires: i64) {
        self.sessions.put(session, account, expires);
    }

    /// The account that is signed in.
    pub fn signed_in(&self, session: SessionId, now: i64) -> Option<Account> {
        self.sessions.get(&session, now).cloned()
    }

    /// Signs a session out, and ends the ceremonies that it has begun.
    pub fn sign_out(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        for kind in [ClientDataType::Create, ClientDataType::Get] {
            self.ceremonies.remove(&(session, kind));
        }
    }

    /// Ends the sessions of an account but this one, and the ceremonies of the account in them and elsewhere.
    pub fn end_sessions(&mut self, account: &Account, except: Option<SessionId>) {
        let is_of_account = |other: &Account| (&other.rp_id, &other.handle) == (&account.rp_id, &account.handle);
        self.ceremonies.retain(|(session, _), ceremony| {
            Some(*session) == except || !ceremony.account.as_ref().is_some_and(is_of_account)
        });
        self.sessions.retain(|session, account| Some(*session) == except || !is_of_account(account));
    }
}

/// Values with an expiry time.
#[derive(Debug)]
struct Expiring<K, V> {
    values: HashMap<K, (V, (i64, u64))>,
    /// Keys in the order in which they expire.
    order: BTreeMap<(i64, u64), K>,
    /// A counter that distinguishes values with the same expiry time.
    next: u64,
    limit: usize,
}

impl<K: Eq + Hash + Clone, V> Expiring<K, V> {
    fn new(limit: usize) -> Self {
        Self { values: HashMap::new(), order: BTreeMap::new(), next: 0, limit }
    }

    fn put(&mut self, key: K, value: V, expires: i64) {
        self.remove(&key);
        if self.values.len() >= self.limit
            && let Some((_, first)) = self.order.pop_first()
        {
            self.values.remove(&first);
        }
        self.next += 1;
        let place = (expires, self.next);
        self.order.insert(place, key.clone());
        self.values.insert(key, (value, place));
    }

    fn get(&self, key: &K, now: i64) -> Option<&V> {
        let (value, (expires, _)) = self.values.get(key)?;
        (now < *expires).then_some(value)
    }

    fn take(&mut self, key: &K, now: i64) -> Option<V> {
        let (value, (expires, _)) = self.remove(key)?;
        (now < expires).then_some(value)
    }

    fn retain(&mut self, keeps: impl Fn(&K, &V) -> bool) {
        self.values.retain(|key, (value, _)| keeps(key, value));
        self.order.retain(|_, key| self.values.contains_key(key));
    }

    fn remove(&mut self, key: &K) -> Option<(V, (i64, u64))> {
        let removed = self.values.remove(key)?;
        self.order.remove(&removed.1);
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_once_and_only_in_time() {
        let mut values = Expiring::new(10);
        values.put(1, "a", 100);
        assert_eq!(values.take(&1, 99), Some("a"));
        assert_eq!(values.take(&1, 99), None);
        values.put(1, "b", 100);
        assert_eq!(values.take(&1, 100), None);
        assert_eq!(values.take(&1, 99), None); // late once is gone for good
        assert!(values.order.is_empty());
    }

    #[test]
    fn values_that_are_not_kept_leave_no_trace() {
        let mut values = Expiring::new(3);
        for key in 1..=3 {
            values.put(key, key, 100);
        }
        values.retain(|key, value| key == value && *key != 2);
        assert_eq!(
            (values.get(&1, 0), values.get(&2, 0), values.values.len(), values.order.len()),
            (Some(&1), None, 2, 2)
        );
    }

    #[test]
    fn the_value_that_would_expire_first_makes_room() {
        let mut values = Expiring::new(3);
        for (key, expires) in [(1, 300), (2, 100), (3, 200), (3, 50), (4, 400)] {
            values.put(key, key, expires);
        }
        let left: Vec<_> = (1..=4).filter(|key| values.get(key, 0).is_some()).collect();
        assert_eq!(left, [1, 2, 4]);
        assert_eq!(values.order.len(), 3);
    }
}
