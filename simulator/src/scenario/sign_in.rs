//! Sign-ins and the checks of their results.

use keyfob_core::{
    cbor::List,
    client::{Ceremony, GetAssertion, GetOptions, Requirement},
    crypto::Hash,
    ctap2::CredentialDescriptor,
    verify, webauthn,
};

use super::{Check, Script, client_data, origin};
use crate::{
    model::{self, Known, RPS},
    tap::Backend,
};

impl<C: Backend> Script<'_, C> {
    /// Signs in with the credential at `only`, with only a touch; or, without `only`, in a random way.
    pub(super) fn sign_in(&mut self, only: Option<usize>) -> Check {
        let begun = self.world.now;
        let (plan, cooperative) = self.plan(only.is_some())?;
        let crypto = self.world.crypto();
        let user_verification = match only {
            Some(_) => Requirement::Discouraged,
            None => self.requirement(),
        };
        let dice = &mut self.world.dice;
        let rp = match only {
            Some(index) => self.known[index].rp,
            None => dice.below(RPS.len() as u64) as usize,
        };
        let discoverable = only.is_none() && dice.percent(45);
        let mut allowed: Vec<Vec<u8>> = match only {
            Some(index) => vec![self.known[index].id.clone()],
            None if discoverable => Vec::new(),
            None => self.known.iter().filter(|_| dice.percent(70)).take(5).map(|known| known.id.clone()).collect(),
        };
        if only.is_none() && !discoverable && (allowed.is_empty() || dice.percent(20)) {
            let stranger: [u8; 97] = dice.bytes();
            allowed.push(stranger[..dice.pick(&[1, 32, 65, 97])].to_vec());
        }
        let challenge: [u8; 16] = dice.bytes();
        let (client_data, hash) = client_data(&crypto, webauthn::ClientDataType::Get, &challenge, RPS[rp]);
        let list: Vec<_> = allowed.iter().map(|id| CredentialDescriptor::new(id)).collect();
        let options = GetOptions {
            allow_list: List::Slice(&list),
            user_verification,
            timeout: plan.timeout,
            ..GetOptions::new(RPS[rp], &hash)
        };
        let rp_id_hash = crypto.sha256(&[RPS[rp].as_bytes()]);
        let (possible, live, accounts) = {
            let ledger = self.world.flash.ledger();
            let live: Vec<Vec<u8>> =
                self.known.iter().filter(|known| known.lives(&ledger)).map(|known| known.id.clone()).collect();
            let of_rp = ledger.listed().filter(|stored| stored.rp_id_hash == rp_id_hash);
            let accounts: Vec<Vec<u8>> = of_rp.map(|stored| stored.id.clone()).collect();
            let listed = |known: &&Known| known.rp == rp && known.lives(&ledger) && allowed.contains(&known.id);
            let candidates = if discoverable { accounts.len() } else { self.known.iter().filter(listed).count() };
            let possible = model::can_sign_in(&self.world.config, &ledger, candidates, discoverable, user_verification);
            (possible, live, accounts)
        };
        let pin = self.pin()?;
        self.world.note(|| {
            let how = if discoverable { "any account".into() } else { format!("{} credentials", allowed.len()) };
            format!("sign in at {} with {how} uv {user_verification:?}, can be: {possible}", RPS[rp])
        });
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let rng = self.world.dice.fork();
        let mut machine = Ceremony::new(GetAssertion::new(&options), &mut buffer, crypto.clone(), rng);
        (self.before, self.retries_before) = (self.digest(), self.world.flash.retries());
        let course = self.world.conduct(&mut machine, plan, |_| ())?;
        let owed = self.conclude(&course, pin.as_deref(), cooperative, possible)?;
        let Ok(()) = course.result else { return Ok(()) };

        let selection = machine.finish().map_err(|error| format!("done, but no outcome: {error}"))?;
        let clean = self.world.disturbed == 0 && self.quiet;
        if clean && discoverable {
            let ids: Vec<&[u8]> = selection.iter().map(|assertion| assertion.credential_id).collect();
            let fit = accounts.iter().take(ids.len()).map(Vec::as_slice);
            if selection.total() != accounts.len() || !fit.eq(ids.iter().copied()) {
                return Err(format!("{} of {} accounts, in this order", ids.len(), accounts.len()));
            }
        }
        let mut verified = false;
        for assertion in selection.iter() {
            let Some(index) = self.known.iter().position(|known| known.id == assertion.credential_id) else {
                // The credential may be from a registration whose end the client did not see.
                if clean && !accounts.iter().any(|id| id == assertion.credential_id) {
                    return Err("an assertion of a credential that does not exist".into());
                }
                continue;
            };
            let known = &self.known[index];
            let allow: Vec<&[u8]> = allowed.iter().map(Vec::as_slice).collect();
            let origin = origin(RPS[rp]);
            let expected = verify::Expected {
                origins: &[&origin],
                allow_credentials: &allow,
                user_handle: (!discoverable).then_some(&known.user_id),
                ..self.expected(&challenge, rp, user_verification, &[])
            };
            let stored = verify::StoredCredential {
                id: &known.id,
                public_key: known.key(),
                sign_count: known.sign_count,
                user_handle: &known.user_id,
                backup_eligible: Some(false),
            };
            let response = verify::AssertionResponse {
                credential_id: assertion.credential_id,
                client_data_json: &client_data,
                authenticator_data: assertion.response.auth_data,
                signature: assertion.response.signature,
                user_handle: assertion.response.user.map(|user| user.id),
            };
            let auth_data = match verify::assertion(&crypto, &expected, &stored, &response) {
                Ok(assertion) => assertion.auth_data,
                Err(error) if self.world.corrupted > 0 || !known.vouched => {
                    self.world.note(|| format!("the relying party refuses: {error:?}"));
                    continue;
                }
                Err(error) => return Err(format!("an assertion does not verify: {error:?}")),
            };
            if known.rp != rp {
                return Err("a credential signed for another relying party".into());
            }
            if !live.contains(&known.id) {
                return Err("a credential signed that was reset or replaced".into());
            }
            self.check_user(begun, auth_data.flags, &course, pin.as_deref())?;
            self.known[index].sign_count = auth_data.sign_count;
            verified = true;
        }
        if verified {
            self.succeed(owed);
        }
        Ok(())
    }
}
