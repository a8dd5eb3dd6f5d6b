//! Values that expire, in a bounded number of bytes. Each value has an owner. Beyond an owner's share the owner loses its
//! oldest value; beyond the whole, the owner with the most bytes does. So a flood evicts its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many bytes are kept.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Of one owner.
    pub share: usize,
    /// Of all.
    pub whole: usize,
}

/// Where a value stands among those of its owner: older ones first.
type Place = u64;

#[derive(Debug)]
struct Kept<V, O> {
    value: V,
    bytes: usize,
    owner: O,
    place: Place,
    expires: i64,
}

/// The values of one owner.
#[derive(Debug)]
struct Owned<K> {
    keys: BTreeMap<Place, K>,
    bytes: usize,
}

/// Values with an expiry time and an owner.
#[derive(Debug)]
pub struct Bounded<K, V, O> {
    values: BTreeMap<K, Kept<V, O>>,
    owners: HashMap<O, Owned<K>>,
    /// Owners, those with the most bytes last.
    heaviest: BTreeSet<(usize, O)>,
    /// Keys in the order in which they expire.
    expiring: BTreeSet<(i64, K)>,
    bytes: usize,
    next: Place,
    room: Room,
}

impl<K: Ord + Clone, V, O: Ord + std::hash::Hash + Clone> Bounded<K, V, O> {
    pub fn new(room: Room) -> Self {
        Self {
            values: BTreeMap::new(),
            owners: HashMap::new(),
            heaviest: BTreeSet::new(),
            expiring: BTreeSet::new(),
            bytes: 0,
            next: 0,
            room,
        }
    }

    /// Keeps a value of so many bytes. What has expired by `now` goes.
    pub fn put(&mut self, key: K, value: V, bytes: usize, owner: O, expires: i64, now: i64) {
        self.remove(&key);
        while let Some((first, key)) = self.expiring.first()
            && *first <= now
        {
            let key = key.clone();
            self.remove(&key);
        }
        let place = self.next;
        self.next += 1;
        self.weigh(&owner, |owned| {
            owned.keys.insert(place, key.clone());
            owned.bytes += bytes;
        });
        self.expiring.insert((expires, key.clone()));
        self.bytes += bytes;
        self.values.insert(key, Kept { value, bytes, owner: owner.clone(), place, expires });
        while self.owners.get(&owner).is_some_and(|owned| owned.bytes > self.room.share && owned.keys.len() > 1) {
            self.evict(&owner);
        }
        while self.bytes > self.room.whole
            && let Some((_, heaviest)) = self.heaviest.last()
        {
            let heaviest = heaviest.clone();
            self.evict(&heaviest);
        }
    }

    pub fn get(&self, key: &K, now: i64) -> Option<&V> {
        self.values.get(key).filter(|kept| now < kept.expires).map(|kept| &kept.value)
    }

    /// Removes a value and returns it if it has not expired.
    pub fn take(&mut self, key: &K, now: i64) -> Option<V> {
        self.remove(key).filter(|kept| now < kept.expires).map(|kept| kept.value)
    }

    /// The keys from `first` on, as long as they are `among` those that are meant, the oldest first. Those that have
    /// expired are left out.
    pub fn from(&self, first: K, among: impl Fn(&K) -> bool, now: i64) -> Vec<K> {
        let range = self.values.range(first..).take_while(|(key, _)| among(key));
        let range = range.filter(|(_, kept)| now < kept.expires);
        let mut keys: Vec<_> = range.map(|(key, kept)| (kept.place, key.clone())).collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// The values of an owner that have not expired, the oldest first.
    pub fn of(&self, owner: &O, now: i64) -> Vec<(K, &V)> {
        let keys = self.owners.get(owner).into_iter().flat_map(|owned| owned.keys.values());
        keys.filter_map(|key| self.get(key, now).map(|value| (key.clone(), value))).collect()
    }

    /// Moves a value to another key.
    pub fn rename(&mut self, key: &K, to: K) {
        if let Some(kept) = self.remove(key) {
            self.put(to, kept.value, kept.bytes, kept.owner, kept.expires, i64::MIN);
        }
    }

    pub fn retain(&mut self, keeps: impl Fn(&K, &V) -> bool) {
        let gone: Vec<K> =
            self.values.iter().filter(|(key, kept)| !keeps(key, &kept.value)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// Removes the oldest value of an owner.
    fn evict(&mut self, owner: &O) {
        let oldest = self.owners.get(owner).and_then(|owned| owned.keys.first_key_value());
        if let Some(key) = oldest.map(|(_, key)| key.clone()) {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &K) -> Option<Kept<V, O>> {
        let kept = self.values.remove(key)?;
        self.expiring.remove(&(kept.expires, key.clone()));
        self.bytes -= kept.bytes;
        self.weigh(&kept.owner, |owned| {
            owned.keys.remove(&kept.place);
            owned.bytes -= kept.bytes;
        });
        Some(kept)
    }

    /// Changes what an owner has, and with it the owner's place among the heaviest.
    fn weigh(&mut self, owner: &O, change: impl FnOnce(&mut Owned<K>)) {
        let owned = self.owners.entry(owner.clone()).or_insert(Owned { keys: BTreeMap::new(), bytes: 0 });
        self.heaviest.remove(&(owned.bytes, owner.clone()));
        change(owned);
        if owned.keys.is_empty() {
            self.owners.remove(owner);
        } else {
            self.heaviest.insert((owned.bytes, owner.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Values = Bounded<u8, &'static str, &'static str>;

    fn values(share: usize, whole: usize) -> Values {
        Bounded::new(Room { share, whole })
    }

    fn keys(values: &Values) -> Vec<u8> {
        values.values.keys().copied().collect()
    }

    #[test]
    fn a_value_is_taken_once_and_only_in_time() {
        let mut values = values(1000, 1000);
        values.put(1, "a", 1, "o", 100, 0);
        assert_eq!(values.take(&1, 99), Some("a"));
        assert_eq!(values.take(&1, 99), None);
        values.put(1, "b", 1, "o", 100, 0);
        assert_eq!(values.take(&1, 100), None);
        assert_eq!(values.take(&1, 99), None, "late once is gone for good");
        values.put(1, "c", 1, "o", 100, 0);
        values.put(2, "d", 1, "o", 200, 100);
        assert_eq!(keys(&values), [2], "what has expired makes room");
    }

    #[test]
    fn an_owner_loses_its_own_oldest_values() {
        let mut values = values(30, 1000);
        for key in 0..9 {
            values.put(key, "", 10, if key % 3 == 0 { "flood" } else { "other" }, 100, 0);
        }
        assert_eq!(keys(&values), [0, 3, 5, 6, 7, 8]);
        values.put(9, "", 10, "flood", 100, 0);
        assert_eq!(keys(&values), [3, 5, 6, 7, 8, 9]);
        values.put(10, "", 500, "flood", 100, 0);
        assert_eq!(keys(&values), [5, 7, 8, 10], "the newest stays, however large");
    }

    #[test]
    fn beyond_the_whole_the_owner_with_the_most_bytes_loses() {
        let mut values = values(1000, 100);
        values.put(0, "", 20, "small", 100, 0);
        for key in 1..=20 {
            values.put(key, "", 10, "flood", 100, 0);
        }
        assert_eq!(keys(&values), [0, 13, 14, 15, 16, 17, 18, 19, 20]);
        values.put(21, "", 20, "third", 100, 0);
        assert_eq!(keys(&values), [0, 15, 16, 17, 18, 19, 20, 21]);
    }

    #[test]
    fn a_value_keeps_its_time_under_another_key() {
        let mut values = values(1000, 1000);
        values.put(1, "a", 1, "o", 100, 0);
        values.rename(&1, 7);
        assert_eq!((values.get(&1, 0), values.get(&7, 99), values.get(&7, 100)), (None, Some(&"a"), None));
        assert_eq!(values.from(2, |key| *key < 9, 0), [7]);
        assert_eq!(values.of(&"o", 0), [(7, &"a")]);
    }

    proptest! {
        /// Whatever is put, taken and dropped, the indices agree, and there is no more than there may be.
        #[test]
        fn the_bytes_are_those_of_the_values(steps in prop::collection::vec((0..20u8, 0..60usize, 0..4usize, 0..50i64), 0..80)) {
            let owners = ["a", "b", "c", "d"];
            let mut values = values(100, 200);
            for (now, (key, bytes, owner, life)) in (0i64..).zip(steps) {
                match bytes {
                    0 => drop(values.take(&key, now)),
                    1 => values.retain(|other, _| other % 2 == key % 2),
                    2 => values.rename(&key, key / 2),
                    bytes => values.put(key, "", bytes, owners[owner], now + life, now),
                }
                let sum: usize = values.values.values().map(|kept| kept.bytes).sum();
                prop_assert_eq!(values.bytes, sum);
                prop_assert!(sum <= 200);
                prop_assert_eq!(values.expiring.len(), values.values.len());
                prop_assert_eq!(values.heaviest.len(), values.owners.len());
                for (owner, owned) in &values.owners {
                    let own = values.values.values().filter(|kept| kept.owner == *owner);
                    prop_assert_eq!(owned.bytes, own.clone().map(|kept| kept.bytes).sum::<usize>());
                    prop_assert_eq!(owned.keys.len(), own.count());
                    prop_assert!(owned.bytes <= 100);
                }
            }
        }
    }
}
