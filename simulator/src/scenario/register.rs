//! Registrations and the checks of their results.

use keyfob_core::{
    attestation::RawStatement,
    cbor::List,
    client::{Ceremony, MakeCredential, MakeOptions, Requirement},
    cose::Algorithm,
    crypto::Hash,
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    verify,
    webauthn::{self, AttestationObject},
};

use super::{Check, Script, client_data, origin};
use crate::{
    model::{self, Known, RPS, Wanted},
    tap::Backend,
};

/// The kind of a registration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A random one.
    Any,
    /// One that needs only a touch.
    Probe,
    /// One with user verification by fingerprint.
    ByFinger,
}

impl<C: Backend> Script<'_, C> {
    /// Registers. Only in a random registration may the user not cooperate.
    pub(super) fn register(&mut self, kind: Kind) -> Check {
        let begun = self.world.now;
        let (plan, cooperative) = self.plan(kind != Kind::Any)?;
        let timeout = plan.timeout;
        let crypto = self.world.crypto();
        let dice = &mut self.world.dice;
        let rp = dice.below(RPS.len() as u64) as usize;
        let user_id = self.users[dice.below(self.users.len() as u64) as usize].clone();
        let algorithms = match kind {
            Kind::Probe | Kind::ByFinger => &[Algorithm::ES256][..],
            Kind::Any => dice.pick(&[
                &[Algorithm::ES256][..],
                &[Algorithm::EDDSA, Algorithm::ES256],
                &[Algorithm::EDDSA],
                &[Algorithm::RS256, Algorithm::ES256],
                &[Algorithm::ED25519, Algorithm::ESP256],
            ]),
        };
        let (resident_key, user_verification) = match kind {
            Kind::Any => (self.requirement(), self.requirement()),
            Kind::Probe => (Requirement::Discouraged, Requirement::Discouraged),
            Kind::ByFinger => (Requirement::Discouraged, Requirement::Required),
        };
        let dice = &mut self.world.dice;
        let excluded: Vec<Known> = match kind {
            Kind::Any if dice.percent(30) => self.known.iter().filter(|_| dice.percent(40)).take(5).cloned().collect(),
            _ => Vec::new(),
        };
        let challenge: [u8; 16] = dice.bytes();
        let (client_data, hash) = client_data(&crypto, webauthn::ClientDataType::Create, &challenge, RPS[rp]);
        let exclude_list: Vec<_> = excluded.iter().map(|known| CredentialDescriptor::new(&known.id)).collect();
        let params: Vec<_> = algorithms.iter().map(|algorithm| CredentialParameters::new(*algorithm)).collect();
        let options = MakeOptions {
            exclude_list: List::Slice(&exclude_list),
            resident_key,
            user_verification,
            timeout,
            ..MakeOptions::new(
                &hash,
                RpEntity { id: RPS[rp], name: Some("An Example") },
                UserEntity { id: &user_id, name: Some("user@example.org"), display_name: Some("Ü. Ser") },
                &params,
            )
        };
        let (possible, excluded, pin) = {
            let ledger = self.world.flash.ledger();
            let excluded = excluded.iter().any(|known| known.rp == rp && known.lives(&ledger));
            let wanted = Wanted {
                rp_id_hash: crypto.sha256(&[RPS[rp].as_bytes()]),
                user_id: &user_id,
                algorithms,
                resident_key,
                user_verification,
                excluded,
            };
            (model::can_register(&self.world.config, &ledger, &wanted), excluded, self.pin()?)
        };
        self.world.note(|| {
            let rp = RPS[rp];
            format!("register at {rp} rk {resident_key:?} uv {user_verification:?} {algorithms:?}, can be: {possible}")
        });
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let rng = self.world.dice.fork();
        let mut machine = Ceremony::new(MakeCredential::new(&options), &mut buffer, crypto.clone(), rng);
        (self.before, self.retries_before) = (self.digest(), self.world.flash.retries());
        let course = self.world.conduct(&mut machine, plan, |_| ())?;
        let owed = self.conclude(&course, pin.as_deref(), cooperative, possible)?;
        let Ok(()) = course.result else { return Ok(()) };

        let attestation = machine.finish().map_err(|error| format!("done, but no outcome: {error}"))?;
        let response = verify::AttestationResponse {
            client_data_json: &client_data,
            attestation_object: AttestationObject {
                fmt: attestation.response.fmt,
                att_stmt: attestation.response.att_stmt.unwrap_or(RawStatement::EMPTY),
                auth_data: attestation.response.auth_data,
            },
        };
        let expected = self.expected(&challenge, rp, user_verification, algorithms);
        let origin = origin(RPS[rp]);
        let expected = verify::Expected { origins: &[&origin], ..expected };
        let registration = match verify::registration(&crypto, &expected, &response) {
            Ok(registration) => registration,
            Err(error) if self.world.corrupted > 0 => {
                self.world.note(|| format!("the relying party refuses: {error:?}"));
                return Ok(());
            }
            Err(error) => return Err(format!("a registration does not verify: {error:?}")),
        };
        let flags = registration.auth_data.flags;
        self.check_user(begun, flags, &course, pin.as_deref())?;
        let clean = self.world.disturbed == 0 && self.quiet;
        if kind == Kind::ByFinger && !course.entered.is_empty() {
            return Err("the PIN was asked for although a finger is enrolled".into());
        }
        if clean && excluded {
            return Err("a registration succeeded although a credential was excluded".into());
        }
        let credential = registration.credential;
        let resets = self.world.flash.ledger().resets;
        let stored =
            self.world.flash.ledger().stored.iter().find(|(_, stored)| stored.id == credential.credential_id).cloned();
        let discoverable = model::makes_discoverable(&self.world.config, resident_key);
        let vouched = registration.attestation != verify::AttestationType::None || self.world.corrupted == 0;
        if self.world.disturbed == 0 {
            let kept = stored.as_ref().map(|(_, stored)| stored.user_id == user_id);
            if kept != discoverable.then_some(true) && self.world.cuts == 0 {
                return Err(format!("a credential is discoverable for its user: {kept:?}, wanted: {discoverable}"));
            }
        }
        if self.known.iter().any(|known| known.id == credential.credential_id) {
            return Err("a credential id was given out twice".into());
        }
        self.known.push(Known {
            id: credential.credential_id.to_vec(),
            rp,
            user_id: stored.as_ref().map_or(user_id.clone(), |(_, stored)| stored.user_id.clone()),
            algorithm: credential.public_key.algorithm(),
            public: model::raw(&credential.public_key),
            sign_count: registration.auth_data.sign_count,
            discoverable: stored.is_some(),
            resets,
            vouched,
        });
        self.succeed(owed);
        Ok(())
    }
}
