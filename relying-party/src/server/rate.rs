//! How many requests a client may send in a minute.

use std::collections::HashMap;

/// How many clients are counted at a time. In a flood from more addresses than that, the others are not counted.
const MAX_CLIENTS: usize = 100_000;

/// The requests of each client in the current minute.
#[derive(Debug, Default)]
pub struct Rates {
    minute: i64,
    counts: HashMap<String, u32>,
}

impl Rates {
    /// Counts a request of a client. Returns whether it is one of the first `limit` in this minute.
    pub fn allows(&mut self, client: String, limit: u32, now: i64) -> bool {
        let minute = now.div_euclid(60);
        if minute != self.minute {
            self.minute = minute;
            self.counts.clear();
        }
        if self.counts.len() >= MAX_CLIENTS && !self.counts.contains_key(&client) {
            return true;
        }
        let count = self.counts.entry(client).or_default();
        *count = count.saturating_add(1);
        *count <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_requests_in_a_minute_and_others_have_theirs() {
        let mut rates = Rates::default();
        let mut ask = |client: &str, now| rates.allows(client.into(), 2, now);
        assert_eq!([60, 70, 80].map(|now| ask("a", now)), [true, true, false]);
        assert!(ask("b", 80));
        assert!(!ask("a", 119));
        assert!(ask("a", 120));
    }

    #[test]
    fn a_flood_from_many_addresses_takes_no_more_room_and_locks_nobody_out() {
        let mut rates = Rates::default();
        for client in 0..MAX_CLIENTS + 10 {
            assert!(rates.allows(client.to_string(), 1, 0));
        }
        assert_eq!(rates.counts.len(), MAX_CLIENTS);
        assert!(!rates.allows("0".into(), 1, 0));
        assert!(rates.allows("new".into(), 1, 0) && rates.allows("new".into(), 1, 0));
    }
}
