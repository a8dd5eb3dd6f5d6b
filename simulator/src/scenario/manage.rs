//! Management with the client's own operations. The result must be the old state or the new one, never a part of both.

use keyfob_core::{
    cbor::{List, Text},
    client::{
        Ceremony, Operation,
        manage::{
            Access, ChangePin, ConfigSubcommand, Configure, DeleteCredential, ListCredentials, ReadLargeBlobs, SetPin,
            UpdateUser, WriteLargeBlobs,
        },
    },
    crypto::{Crypto, Hash},
    ctap2::{UserEntity, config::SetMinPinLength},
    large_blob::{LargeBlobArray, OVERHEAD},
    pin_uv::PaddedPin,
};
use keyfob_soft_authenticator::Caps;
use rand_core::CryptoRng;

use super::{Check, Script, pin::new_pin};
use crate::{ceremony::Plan, model::RPS, tap::Backend};

/// Which authorization a management command needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// None.
    Nothing,
    /// The PIN, if one is set.
    PinIfSet,
    /// A PIN.
    Pin,
}

impl<C: Backend> Script<'_, C> {
    /// Runs a random operation.
    pub(super) fn manage(&mut self) -> Check {
        match self.world.dice.below(7) {
            0 => self.list(),
            1 => self.delete(),
            2 => self.rename(),
            3 => self.read_large_blobs(),
            4 => self.write_large_blobs(),
            5 => self.configure(),
            _ => self.new_pin(),
        }
    }

    /// Whether an operation that needs these capabilities and this authorization is possible.
    pub(super) fn can(&self, caps: Caps, needs: Needs) -> bool {
        let (config, ledger) = (&self.world.config, self.world.flash.ledger());
        let issues = Caps::CLIENT_PIN.with(Caps::TOKEN_PERMISSIONS);
        let by_pin = config.caps.has(issues) && ledger.pin_hash.is_some() && ledger.retries != Some(0);
        config.caps.has(caps)
            && match needs {
                Needs::Nothing => true,
                Needs::PinIfSet => ledger.pin_hash.is_none() || by_pin,
                Needs::Pin => by_pin,
            }
    }

    /// Runs an operation. Returns whether it succeeded, and whether no fault disturbed it.
    pub(super) fn operate<O: Operation, B: Crypto, R: CryptoRng>(
        &mut self,
        ceremony: &mut Ceremony<'_, O, B, R>,
        (plan, cooperative): (Plan, bool),
        possible: bool,
        each: impl FnMut(O::Item<'_>),
    ) -> Result<(bool, bool), String> {
        let pin = self.pin()?;
        (self.before, self.retries_before) = (self.digest(), self.world.flash.retries());
        let course = self.world.conduct(ceremony, plan, each)?;
        let owed = self.conclude(&course, pin.as_deref(), cooperative, possible)?;
        if course.result.is_ok() {
            self.succeed(owed);
        }
        Ok((course.result.is_ok(), self.quiet && self.world.disturbed == 0))
    }

    /// The id and user handle of a credential that is or was stored, if there is one.
    fn target(&mut self) -> (Vec<u8>, Vec<u8>) {
        let stored: Vec<_> = {
            let ledger = self.world.flash.ledger();
            ledger.stored.iter().map(|(_, stored)| (stored.id.clone(), stored.user_id.clone())).collect()
        };
        if stored.is_empty() || self.world.dice.percent(10) {
            let stranger: [u8; 32] = self.world.dice.bytes();
            return (stranger.to_vec(), b"stranger".to_vec());
        }
        stored[self.world.dice.below(stored.len() as u64) as usize].clone()
    }

    fn is_stored(&self, id: &[u8]) -> bool {
        self.world.flash.ledger().stored.iter().any(|(_, stored)| stored.id == id)
    }

    fn list(&mut self) -> Check {
        let plan = self.plan(false)?;
        let crypto = self.world.crypto();
        let rp = self.world.dice.below(RPS.len() as u64) as usize;
        let rp_id_hash = crypto.sha256(&[RPS[rp].as_bytes()]);
        let expected: Vec<Vec<u8>> = {
            let ledger = self.world.flash.ledger();
            let of_rp = ledger.listed().filter(|stored| stored.rp_id_hash == rp_id_hash);
            of_rp.map(|stored| stored.id.clone()).collect()
        };
        let possible = self.can(Caps::CRED_MGMT, Needs::Pin);
        self.world.note(|| format!("list {}, can be: {possible}", RPS[rp]));
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let rng = self.world.dice.fork();
        let mut machine = Ceremony::new(ListCredentials::new(&rp_id_hash, Access::User), &mut buffer, crypto, rng)
            .within(plan.0.timeout);
        let mut listed = Vec::new();
        let (done, clean) = self.operate(&mut machine, plan, possible, |item| listed.push(item.id.to_vec()))?;
        if done && clean && listed != expected {
            return Err("a credential is not listed".into());
        }
        Ok(())
    }

    fn delete(&mut self) -> Check {
        let plan = self.plan(false)?;
        let (id, _) = self.target();
        let possible = self.can(Caps::CRED_MGMT, Needs::Pin) && self.is_stored(&id);
        self.world.note(|| format!("delete {id:02x?}, can be: {possible}"));
        self.world.flash.may_delete(&id);
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let (crypto, rng) = (self.world.crypto(), self.world.dice.fork());
        let mut machine = Ceremony::new(DeleteCredential::new(&id), &mut buffer, crypto, rng).within(plan.0.timeout);
        let (done, clean) = self.operate(&mut machine, plan, possible, |_| ())?;
        if done && clean && self.is_stored(&id) { Err("a deleted credential is still there".into()) } else { Ok(()) }
    }

    fn rename(&mut self) -> Check {
        let plan = self.plan(false)?;
        let (id, user_id) = self.target();
        let possible = self.can(Caps::CRED_MGMT, Needs::Pin) && self.is_stored(&id);
        self.world.note(|| format!("rename the user of {id:02x?}, can be: {possible}"));
        let user = UserEntity { id: &user_id, name: Some("renamed@example.org"), display_name: None };
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let (crypto, rng) = (self.world.crypto(), self.world.dice.fork());
        let mut machine = Ceremony::new(UpdateUser::new(&id, user), &mut buffer, crypto, rng).within(plan.0.timeout);
        self.operate(&mut machine, plan, possible, |_| ()).map(drop)
    }

    fn read_large_blobs(&mut self) -> Check {
        let plan = self.plan(false)?;
        let possible = self.can(Caps::LARGE_BLOBS, Needs::Nothing);
        let mut memory = vec![0; self.world.flash.large_blobs_capacity() + OVERHEAD];
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let (crypto, rng) = (self.world.crypto(), self.world.dice.fork());
        self.world.note(|| format!("read large blobs, can be: {possible}"));
        let mut machine =
            Ceremony::new(ReadLargeBlobs::new(&mut memory), &mut buffer, crypto.clone(), rng).within(plan.0.timeout);
        let (done, clean) = self.operate(&mut machine, plan, possible, |_| ())?;
        if !done {
            return Ok(());
        }
        let mut array = machine.finish().map_err(|error| format!("done, but no outcome: {error}"))?;
        let stored = self.world.flash.large_blobs();
        let same = if stored.is_empty() { array.is_empty() } else { array.serialize(&crypto) == stored };
        // An authenticator without an array returns the empty array with a real SHA-256 hash, which the stub of the
        // cryptography does not accept.
        let intact = stored.is_empty() || array.is_intact();
        if clean && !(intact && same) { Err("large blobs are read that are not stored".into()) } else { Ok(()) }
    }

    fn write_large_blobs(&mut self) -> Check {
        let plan = self.plan(false)?;
        let possible = self.can(Caps::LARGE_BLOBS, Needs::PinIfSet);
        let crypto = self.world.crypto();
        let mut rng = self.world.dice.fork();
        let capacity = self.world.flash.large_blobs_capacity();
        let mut memory = vec![0; capacity + OVERHEAD];
        let (key, blob): ([u8; 32], [u8; 900]) = (self.world.dice.bytes(), self.world.dice.bytes());
        let blob = &blob[..self.world.dice.pick(&[1, 100, 900])];
        let mut array = LargeBlobArray::empty(&mut memory).map_err(|error| format!("{error}"))?;
        array.put(&crypto, &mut rng, &key, blob, &mut vec![0; 4 * capacity]).map_err(|error| format!("{error}"))?;
        let array = array.serialize(&crypto).to_vec();
        self.arrays.push(array.clone());
        self.world.note(|| format!("write {} bytes of large blobs, can be: {possible}", array.len()));
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let mut machine = Ceremony::new(WriteLargeBlobs::new(&array), &mut buffer, crypto, rng).within(plan.0.timeout);
        let (done, clean) = self.operate(&mut machine, plan, possible, |_| ())?;
        if done && clean && self.world.flash.large_blobs() != array {
            return Err("large blobs were written and are not stored".into());
        }
        Ok(())
    }

    /// Sets the relying parties that may read the minimum PIN length. This setting has no other effect.
    fn configure(&mut self) -> Check {
        let plan = self.plan(false)?;
        let possible = self.can(Caps::CONFIG.with(Caps::CLIENT_PIN), Needs::PinIfSet);
        self.world.note(|| format!("configure, can be: {possible}"));
        let rp_ids = RPS.map(Text::new);
        let setting = SetMinPinLength { min_pin_length_rp_ids: Some(List::Slice(&rp_ids)), ..Default::default() };
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let (crypto, rng) = (self.world.crypto(), self.world.dice.fork());
        let mut machine =
            Ceremony::new(Configure::new(ConfigSubcommand::MinPinLength(setting)), &mut buffer, crypto, rng)
                .within(plan.0.timeout);
        self.operate(&mut machine, plan, possible, |_| ()).map(drop)
    }

    /// Sets the first PIN, or changes it.
    pub(super) fn new_pin(&mut self) -> Check {
        let (mut plan, cooperative) = self.plan(false)?;
        let timeout = plan.timeout;
        let (old, new) = (self.pin()?, new_pin(&mut self.world.dice));
        let least = usize::from(self.world.config.min_pin_length);
        let blocked = old.is_some() && self.world.flash.ledger().retries == Some(0);
        let possible = self.world.config.caps.has(Caps::CLIENT_PIN) && PaddedPin::new(&new, least).is_ok() && !blocked;
        self.world.note(|| format!("the client sets the PIN {new:?} after {old:?}, can be: {possible}"));
        self.chosen.push(new.clone());
        self.secrets_of(&new);
        plan.new_pin = Some(new.clone());
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let (crypto, rng) = (self.world.crypto(), self.world.dice.fork());
        let (done, clean) = match old {
            None => {
                let mut machine = Ceremony::new(SetPin, &mut buffer, crypto, rng).within(timeout);
                self.operate(&mut machine, (plan, cooperative), possible, |_| ())?
            }
            Some(_) => {
                let mut machine = Ceremony::new(ChangePin, &mut buffer, crypto, rng).within(timeout);
                self.operate(&mut machine, (plan, cooperative), possible, |_| ())?
            }
        };
        if done && clean && self.pin()?.as_ref() != Some(&new) {
            return Err("a new PIN is not in force".into());
        }
        Ok(())
    }
}
