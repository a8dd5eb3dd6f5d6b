//! The allowed effects of a command that was aborted between two of its atoms: none, or those of a whole commit.

use keyfob_core::{
    auth_data::Flags,
    crypto::{Hash, StubCrypto},
    ctap2::{self, Command, get_info, large_blobs},
    pin_uv::PinHash,
};
use keyfob_fuzz::key::Key;
use keyfob_soft_authenticator::store::{Blobs, MAX_RECORD, Number, Query, Setting, Store};

use crate::model::{Model, PINS, RETRIES, RPS};

/// The state before the command.
pub struct Before {
    seed: Vec<u8>,
    retries: u32,
    strikes: u8,
    reserved: u32,
    power_ups: u32,
    stored: Vec<(usize, u8, Vec<u8>)>,
}

impl Before {
    pub fn of(key: &mut Key<'_>, model: &Model) -> Self {
        Self {
            seed: setting(key, Setting::Seed).expect("there is a seed"),
            retries: model.retries,
            strikes: model.strikes,
            reserved: model.reserved,
            power_ups: key.power_ups,
            stored: model.stored.clone(),
        }
    }

    /// Checks that no commit was done in part, and updates the model to the new state.
    pub fn settle(self, key: &mut Key<'_>, model: &mut Model) {
        // Any other command ends a sequence.
        let info = key.call(&[Command::GET_INFO.0]);
        let info: get_info::Response<'_> = ctap2::decode_response(&info).expect("a response");
        model.sequence = (Vec::new(), key.now, Flags(0));
        if setting(key, Setting::Seed).as_ref() != Some(&self.seed) {
            *model = Model::new(key.powered_up);
            return;
        }
        // If there was a touch before the abort, it has used up the token.
        model.token = None;
        model.always_uv = info.options.and_then(|options| options.always_uv) == Some(true);
        model.min_pin_length = info.min_pin_length.expect("a length");
        model.force_pin_change = info.force_pin_change == Some(true);
        let hash = setting(key, Setting::Pin);
        model.pin = hash.map(|hash| {
            let is_it = |pin: &&str| PinHash::of(&StubCrypto, pin.as_bytes()).0[..] == hash[..16];
            PINS.iter().position(is_it).expect("one of the chosen PINs")
        });
        self.settle_retries(key, model);
        self.settle_credentials(key, model);
        settle_blobs(key, model);
    }

    /// Checks that an attempt counts in the store and in memory, or in neither.
    fn settle_retries(&self, key: &mut Key<'_>, model: &mut Model) {
        let (left, _) = key.retries();
        let stored = setting(key, Setting::PinRetries).map_or(RETRIES, |stored| stored[0].into());
        assert_eq!(stored, left, "memory and store agree");
        model.powered_up = key.powered_up;
        (model.retries, model.strikes) = match left {
            RETRIES => (left, 0),
            left if left + 1 == self.retries => (left, self.strikes + 1),
            left if left == self.retries => (left, self.strikes),
            left => panic!("{} retries came to {left}", self.retries),
        };
        if key.power_ups > self.power_ups {
            model.strikes = 0;
        }
    }

    /// Checks that no account has lost its credential and that the counter has not decreased.
    fn settle_credentials(&self, key: &mut Key<'_>, model: &mut Model) {
        // The setting is absent until the first block of counts is reserved.
        let reserved = setting(key, Setting::SignCount).unwrap_or(vec![0; 4]);
        model.reserved = u32::from_be_bytes(reserved.try_into().expect("four bytes"));
        assert!(model.reserved >= self.reserved, "the counter fell");
        if key.power_ups == self.power_ups {
            model.slack += 1;
        } else {
            (model.sign_count, model.slack) = (model.reserved, 0);
        }
        let kept = superseded(key);
        let (mut stored, mut before, mut record) = (Vec::new(), None, [0; MAX_RECORD]);
        while let Some(found) = key.engine.store().next(Query::All, before, &mut record).expect("a store") {
            let credential = found.credential(&record).expect("a credential");
            let is_it = |rp: &&str| StubCrypto.sha256(&[rp.as_bytes()]) == found.rp_id_hash;
            let rp = RPS.iter().position(is_it).expect("a relying party");
            if !kept.contains(&found.number) {
                stored.push((rp, credential.user.id[0], credential.id.to_vec()));
            }
            before = Some(found.number);
        }
        stored.reverse();
        for (rp, user, id) in &self.stored {
            let kept = stored.iter().any(|(other, name, _)| (other, name) == (rp, user));
            assert!(kept, "the credential {id:02x?} is gone, and its account has no other");
        }
        model.stored = stored;
    }
}

/// The replaced credentials that are kept. The setting lists them with 8 bytes each, the number first.
pub fn superseded(key: &mut Key<'_>) -> Vec<Number> {
    let listed = setting(key, Setting::Superseded).unwrap_or_default();
    listed.as_chunks::<8>().0.iter().map(|[a, b, c, d, ..]| Number::from_be_bytes([*a, *b, *c, *d])).collect()
}

/// Checks that the large-blob array is one that was written completely.
fn settle_blobs(key: &mut Key<'_>, model: &mut Model) {
    let store = key.engine.store();
    let len = store.large_blobs_len().expect("a store");
    if len == 0 {
        return;
    }
    let mut array = vec![0; len];
    store.read_large_blobs(Blobs::Committed, 0, &mut array).expect("a store");
    let (data, hash) = array.split_at(len - large_blobs::HASH_LENGTH);
    assert!(StubCrypto.sha256(&[data]).starts_with(hash), "an incomplete array");
    model.blobs = array;
}

fn setting(key: &mut Key<'_>, setting: Setting) -> Option<Vec<u8>> {
    let mut value = [0; Setting::MAX_LEN];
    let len = key.engine.store().get(setting, &mut value).expect("a store");
    len.map(|len| value[..len].to_vec())
}
