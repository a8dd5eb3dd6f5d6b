//! What is done in a world, and what must come of it.

use std::{collections::VecDeque, time::Duration};

use keyfob_core::{
    Status,
    cbor::{List, RawMap},
    client::{Cause, GetAssertion, GetOptions, MakeCredential, MakeOptions, Requirement},
    cose::Algorithm,
    crypto::{Hash, RustCrypto, StubCrypto},
    ctap2::{self, Command, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, client_pin},
    pin_uv::{self, PaddedPin, PinHash, Protocol},
    verify,
    webauthn::{AttestationObject, Ceremony, ClientData},
};
use keyfob_soft_authenticator::{
    Caps,
    devices::{VIRTUAL_KEY_AAGUID, virtual_key_certificate},
    engine::{Attestation, Config},
};

use crate::{
    Failure, Options, Summary,
    ceremony::{Course, Entry, Plan},
    dice::Dice,
    model::{self, Known, RPS, Wanted},
    rival::Rival,
    tap::Backend,
    wire::Faults,
    world::{Finger, World},
};

/// Engines per world that start from a new buffer; further power cuts keep the engine's value.
const LIVES: usize = 3;
/// One world in this many has real cryptography.
const REAL_EVERY: u64 = 64;

/// Runs the world of `seed`. Errors: what was wrong in it.
pub fn run(seed: u64, options: Options) -> Result<Summary, Failure> {
    let mut dice = Dice::new(seed);
    if dice.below(REAL_EVERY) == 0 {
        Script::<RustCrypto>::play(dice, options)
    } else {
        Script::<StubCrypto>::play(dice, options)
    }
}

struct Script<'w, C: Backend> {
    world: World<'w, C>,
    summary: Summary,
    known: Vec<Known>,
    users: Vec<Vec<u8>>,
    /// Every PIN that anyone tried to set.
    chosen: Vec<String>,
    /// How often the right PIN was entered.
    proofs: u32,
    intensity: Intensity,
    /// Nothing was disturbed since the last time everything was known to be quiet.
    quiet: bool,
    /// Until a moment ago something was disturbed.
    healed: bool,
    /// What is stored was last known to be this.
    before: Digest,
    /// PIN retries before the ceremony.
    retries_before: Option<u8>,
}

/// How bad a world is.
#[derive(Clone, Copy, Debug)]
struct Intensity {
    faults: Faults,
    rival: bool,
    /// Of 100 ceremonies.
    cuts: u64,
    /// Of 100 ceremonies.
    moody: u64,
}

type Check = Result<(), String>;

/// What is stored, in short: resets, credentials, PIN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Digest(u32, Vec<Vec<u8>>, Option<[u8; 16]>);

impl<C: Backend> Script<'_, C> {
    fn play(mut dice: Dice, options: Options) -> Result<Summary, Failure> {
        let config = configuration::<C>(&mut dice);
        let mut memory = vec![vec![0; config.buffer_len()]; LIVES];
        let buffers = memory.iter_mut().map(Vec::as_mut_slice).collect();
        let intensity = intensity(&mut dice);
        let users = (0..3).map(|_| user_handle(&mut dice)).collect();
        let mut world = World::<C>::new(dice, config, buffers, options.mutation, options.trace);
        world.note(|| format!("{config:?} {intensity:?}"));
        let mut script = Script {
            world,
            summary: Summary::default(),
            known: Vec::new(),
            users,
            chosen: Vec::new(),
            proofs: 0,
            intensity,
            quiet: true,
            healed: false,
            before: Digest::default(),
            retries_before: None,
        };
        let result = script.acts();
        let log = script.world.log.take().unwrap_or_default();
        match result {
            Ok(()) => {
                let (cuts, millis) = (script.world.cuts, script.world.now);
                Ok(Summary { cuts, millis, log, ..script.summary })
            }
            Err(what) => Err(Failure { what, log }),
        }
    }

    fn acts(&mut self) -> Check {
        if self.world.dice.percent(50) {
            self.set_pin()?;
        }
        for _ in 0..self.world.dice.between(2, 8) {
            self.disturb();
            match self.world.dice.below(20) {
                0..9 => self.register(None)?,
                9..16 => self.sign_in(None)?,
                16..18 => self.set_pin()?,
                18 => self.reset()?,
                _ => {
                    self.world.replug();
                    self.world.note(|| "the key is replugged".into());
                }
            }
            self.account()?;
            if self.world.dice.percent(40) {
                self.probe()?;
            }
        }
        self.heal();
        for index in 0..self.known.len() {
            if self.known[index].vouched && self.known[index].lives(&self.world.flash.ledger()) {
                self.sign_in(Some(index))?;
            }
        }
        self.account()?;
        match self.world.leak() {
            Some(secret) => Err(format!("a secret was sent in clear: {secret:02x?}")),
            None => Ok(()),
        }
    }

    /// Chooses what goes wrong during the next ceremony.
    fn disturb(&mut self) {
        let Intensity { faults, rival, cuts, .. } = self.intensity;
        let now = self.world.now;
        self.world.faults = faults;
        self.world.rival = None;
        (self.world.cut_at, self.world.cut_after) = (None, None);
        let dice = &mut self.world.dice;
        if rival && dice.percent(60) {
            self.world.rival = Some(Rival::new(now, dice.pick(&[3, 50, 1_000, 10_000])));
        }
        if dice.percent(cuts) {
            if dice.percent(50) {
                self.world.cut_after = Some(dice.between(1, 12));
            } else {
                self.world.cut_at = Some(now + dice.pick(&[1, 10, 100, 3_000]) + dice.below(40));
            }
        }
        if faults != Faults::NONE || self.world.rival.is_some() || self.cut_planned() {
            self.quiet = false;
        }
    }

    fn cut_planned(&self) -> bool {
        self.world.cut_at.is_some() || self.world.cut_after.is_some()
    }

    fn digest(&self) -> Digest {
        let ledger = self.world.flash.ledger();
        let ids = ledger.stored.iter().map(|(_, stored)| stored.id.clone());
        Digest(ledger.resets, ids.collect(), ledger.pin_hash)
    }

    /// Makes everything quiet, and sees that it works.
    fn probe(&mut self) -> Check {
        self.heal();
        let live = (0..self.known.len())
            .filter(|&index| self.known[index].vouched && self.known[index].lives(&self.world.flash.ledger()))
            .last();
        match live {
            Some(index) => self.sign_in(Some(index)),
            None => self.register(Some(())),
        }
    }

    fn heal(&mut self) {
        self.world.settle();
        self.quiet = true;
        self.healed = true;
    }

    /// What must hold at any time.
    fn account(&mut self) -> Check {
        self.summary.disturbed += self.world.disturbed;
        let (rises, retries, wrong) = {
            let ledger = self.world.flash.ledger();
            (ledger.rises, ledger.retries, ledger.wrong.clone())
        };
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let disturbed = self.summary.disturbed > 0;
        if rises > self.proofs && (!disturbed || self.proofs == 0) {
            return Err("PIN retries rose without the right PIN".into());
        }
        if self.world.flash.retries() != retries {
            return Err("PIN retries changed behind the engine's back".into());
        }
        self.pin().map(drop)
    }

    fn pin(&self) -> Result<Option<String>, String> {
        model::current_pin(&self.world.crypto(), &self.world.flash.ledger(), &self.chosen)
    }

    /// How the user behaves; `None` entries mean the user cooperates. Says whether everyone cooperates.
    fn plan(&mut self, cooperative: bool) -> Result<(Plan, bool), String> {
        let pin = self.pin()?;
        let max_typing = if cooperative { 2_000 } else { 40_000 };
        let right = pin.map(Entry::Pin);
        let dice = &mut self.world.dice;
        let mut plan = Plan {
            entries: right.clone().into_iter().collect(),
            typing: dice.pick(&[0, 300, 1_500, max_typing]).min(max_typing),
            cancel_after: None,
            reconnects: true,
            timeout: Duration::from_secs(300),
        };
        // A touch in the very moment of the first packet would be for what was pending before.
        let soonest = if cooperative { 10 } else { 0 };
        self.world.finger = Finger::Touches(dice.pick(&[0, 0, 5, 400, 6_000]).max(soonest));
        if cooperative || !dice.percent(self.intensity.moody) {
            return Ok((plan, true));
        }
        self.world.finger = match dice.below(6) {
            0 => Finger::Away,
            1 => Finger::Declines(dice.pick(&[0, 100, 5_000])),
            2 => Finger::Touches(dice.pick(&[29_000, 29_999, 30_000, 31_000])),
            _ => Finger::Touches(dice.pick(&[0, 10, 900])),
        };
        let mut entries = VecDeque::new();
        for _ in 0..dice.below(5) {
            entries.push_back(match dice.below(6) {
                0 => Entry::None,
                1 => Entry::Pin("ab".into()),
                2 => Entry::Pin("p".repeat(80)),
                _ => Entry::Pin(format!("wrong {:016x}", dice.below(u64::MAX))),
            });
        }
        if dice.percent(70) {
            entries.extend(right);
        }
        plan.entries = entries;
        plan.reconnects = dice.percent(70);
        if dice.percent(30) {
            plan.cancel_after = Some(dice.pick(&[0, 1, 3, 10, 200, 5_000, 29_000]) + dice.below(30));
        }
        if dice.percent(30) {
            plan.timeout = Duration::from_millis(dice.pick(&[0, 5, 50, 1_000, 10_000, 29_999, 30_000, 31_000]));
        }
        Ok((plan, false))
    }

    fn register(&mut self, probe: Option<()>) -> Check {
        let begun = self.world.now;
        let (plan, cooperative) = self.plan(probe.is_some())?;
        let timeout = plan.timeout;
        let crypto = self.world.crypto();
        let dice = &mut self.world.dice;
        let rp = dice.below(RPS.len() as u64) as usize;
        let user_id = self.users[dice.below(self.users.len() as u64) as usize].clone();
        let algorithms = match probe {
            Some(()) => &[Algorithm::ES256][..],
            None => dice.pick(&[
                &[Algorithm::ES256][..],
                &[Algorithm::EDDSA, Algorithm::ES256],
                &[Algorithm::EDDSA],
                &[Algorithm::RS256, Algorithm::ES256],
            ]),
        };
        let resident_key = self.requirement(probe);
        let user_verification = self.requirement(probe);
        let dice = &mut self.world.dice;
        let excluded: Vec<Known> = match probe {
            None if dice.percent(30) => self.known.iter().filter(|_| dice.percent(40)).take(5).cloned().collect(),
            _ => Vec::new(),
        };
        let challenge: [u8; 16] = dice.bytes();
        let (client_data, hash) = client_data(&crypto, Ceremony::Create, &challenge, RPS[rp]);
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
        let mut machine = MakeCredential::new(&options, &mut buffer, crypto.clone(), rng);
        (self.before, self.retries_before) = (self.digest(), self.world.flash.retries());
        let course = self.world.conduct(&mut machine, plan)?;
        let owed = self.conclude(&course, pin.as_deref(), cooperative, possible)?;
        let Ok(()) = course.result else { return Ok(()) };

        let attestation = machine.finish().map_err(|error| format!("done, but no outcome: {error}"))?;
        let response = verify::RegistrationResponse {
            client_data_json: &client_data,
            attestation_object: AttestationObject {
                fmt: attestation.response.fmt,
                att_stmt: attestation.response.att_stmt.unwrap_or(RawMap::EMPTY),
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
        if clean && excluded {
            return Err("a registration succeeded although a credential was excluded".into());
        }
        let credential = registration.credential;
        let resets = self.world.flash.ledger().resets;
        let stored =
            self.world.flash.ledger().stored.iter().find(|(_, stored)| stored.id == credential.credential_id).cloned();
        let discoverable = model::makes_discoverable(&self.world.config, resident_key);
        let vouched = registration.attestation != verify::Attestation::None || self.world.corrupted == 0;
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

    /// Signs in: to the credential at `only`, with nothing but a touch, or to what chance chooses.
    fn sign_in(&mut self, only: Option<usize>) -> Check {
        let begun = self.world.now;
        let (plan, cooperative) = self.plan(only.is_some())?;
        let crypto = self.world.crypto();
        let user_verification = match only {
            Some(_) => Requirement::Discouraged,
            None => self.requirement(None),
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
        let (client_data, hash) = client_data(&crypto, Ceremony::Get, &challenge, RPS[rp]);
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
            let accounts: Vec<Vec<u8>> = ledger
                .stored
                .iter()
                .rev()
                .filter(|(_, stored)| stored.rp_id_hash == rp_id_hash)
                .map(|(_, stored)| stored.id.clone())
                .collect();
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
        let mut machine = GetAssertion::new(&options, &mut buffer, crypto.clone(), rng);
        (self.before, self.retries_before) = (self.digest(), self.world.flash.retries());
        let course = self.world.conduct(&mut machine, plan)?;
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
                // A registration whose end the client did not see.
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

    fn succeed(&mut self, owed: bool) {
        self.summary.successes += 1;
        self.summary.owed += u64::from(owed);
        self.world.note(|| "verified".into());
    }

    /// How a ceremony had to end, as far as that is known. Whether it had to succeed.
    fn conclude(
        &mut self,
        course: &Course,
        pin: Option<&str>,
        cooperative: bool,
        possible: bool,
    ) -> Result<bool, String> {
        self.summary.ceremonies += 1;
        self.world.note(|| format!("ceremony ends: {:?}", course.result));
        self.proofs += course.entered.iter().filter(|entered| Some(entered.as_str()) == pin).count() as u32;
        let clean = self.quiet && self.world.disturbed == 0;
        // The user was asked again after the last entry, so every one was tried.
        if clean && course.result.is_err_and(|error| error.cause == Cause::PinRequired) {
            self.check_attempts(&course.entered, pin)?;
        }
        let undisturbed = cooperative && clean;
        if !undisturbed {
            self.quiet = false;
            return Ok(false);
        }
        let healed = std::mem::take(&mut self.healed);
        match (&course.result, possible) {
            // A request of before, whose end the client did not see, took the touch and did its work.
            (Err(_), true) if healed && self.digest() != self.before => Ok(false),
            (Err(error), true) => Err(format!("an undisturbed ceremony fails: {error}")),
            (Ok(()), false) => Err("a ceremony succeeds that cannot".into()),
            _ => Ok(possible),
        }
    }

    /// Every wrong PIN of a possible length costs one attempt.
    fn check_attempts(&self, entered: &[String], pin: Option<&str>) -> Check {
        let least = usize::from(self.world.config.min_pin_length);
        let tried = entered.iter().filter(|pin| PaddedPin::new(pin, least).is_ok());
        let wrong = tried.filter(|entered| Some(entered.as_str()) != pin).count();
        let (before, after) = (self.retries_before, self.world.flash.retries());
        let cost = usize::from(before.zip(after).map_or(0, |(before, after)| before.saturating_sub(after)));
        if cost == wrong {
            Ok(())
        } else {
            Err(format!("{wrong} wrong PINs, and PIN retries are {before:?}, {after:?}"))
        }
    }

    /// What a success says about the user must be so.
    fn check_user(
        &self,
        begun: u64,
        flags: keyfob_core::auth_data::Flags,
        course: &Course,
        pin: Option<&str>,
    ) -> Check {
        if self.world.consented.is_none_or(|at| at < begun) {
            return Err("a success without the user's consent".into());
        }
        let entered = pin.is_some_and(|pin| course.entered.iter().any(|entered| entered == pin));
        if flags.has(keyfob_core::auth_data::Flags::UV) && !entered {
            return Err("the user counts as verified without the right PIN".into());
        }
        Ok(())
    }

    fn expected<'a>(
        &self,
        challenge: &'a [u8],
        rp: usize,
        user_verification: Requirement,
        algorithms: &'a [Algorithm],
    ) -> verify::Expected<'a> {
        verify::Expected {
            challenge,
            origins: &[],
            top_origins: None,
            rp_id: RPS[rp],
            user_presence: true,
            user_verification: user_verification == Requirement::Required,
            algorithms,
            allow_credentials: &[],
            user_handle: None,
        }
    }

    fn requirement(&mut self, probe: Option<()>) -> Requirement {
        match probe {
            Some(()) => Requirement::Discouraged,
            None => self.world.dice.pick(&[Requirement::Discouraged, Requirement::Preferred, Requirement::Required]),
        }
    }

    /// Sets the first PIN, or changes it.
    fn set_pin(&mut self) -> Check {
        let config = self.world.config;
        let crypto = self.world.crypto();
        let mut rng = self.world.dice.fork();
        let protocol = self.world.dice.pick(&[Protocol::One, Protocol::Two]);
        let pin = new_pin(&mut self.world.dice);
        let old = self.pin()?;
        let knows_old = self.world.dice.percent(80);
        self.world.note(|| format!("set the PIN {pin:?} after {old:?} with protocol {protocol:?}"));
        let offered = match protocol {
            Protocol::One => Caps::PROTOCOL_ONE,
            Protocol::Two => Caps::PROTOCOL_TWO,
        };
        let blocked = old.is_some() && self.world.flash.ledger().retries == Some(0);
        let padded = PaddedPin::new(&pin, 0).map_err(|error| format!("{error:?}"))?;
        let long_enough = padded.code_points() >= usize::from(config.min_pin_length);
        let possible = config.caps.has(Caps::CLIENT_PIN.with(offered))
            && long_enough
            && (old.is_none() || (knows_old && !blocked));

        self.chosen.push(pin.clone());
        self.secrets_of(&pin);
        if self.quiet && old.is_some() {
            self.world.replug(); // lifts PIN_AUTH_BLOCKED
        }
        let request = client_pin::Request {
            pin_uv_auth_protocol: Some(protocol.number()),
            sub_command: Some(client_pin::subcommand::GET_KEY_AGREEMENT),
            ..client_pin::Request::default()
        };
        let Some(answer) = self.pin_exchange(&request) else { return self.pin_outcome(None, false, possible) };
        let shared = ctap2::decode_response::<client_pin::Response<'_>>(&answer)
            .ok()
            .and_then(|response| response.key_agreement)
            .and_then(|key| pin_uv::encapsulate(&crypto, &mut rng, protocol, &key).ok());
        let Some((public, shared)) = shared else {
            return self.pin_outcome(answer.first().copied(), false, possible);
        };
        let (mut new_pin_enc, mut pin_hash_enc) = ([0; 80], [0; 32]);
        let encrypt = |rng: &mut _, clear: &[u8], out: &mut [u8]| {
            shared.encrypt(&crypto, rng, clear, out).map_err(|error| format!("{error:?}"))
        };
        let len = encrypt(&mut rng, padded.as_bytes(), &mut new_pin_enc)?;
        let new_pin_enc = &new_pin_enc[..len];
        let given = if knows_old { old.clone().unwrap_or_default() } else { "not the PIN".into() };
        let len = encrypt(&mut rng, &PinHash::of(&crypto, given.as_bytes()).0, &mut pin_hash_enc)?;
        let pin_hash_enc = old.as_ref().map(|_| &pin_hash_enc[..len]);
        let param = shared.authenticate(&crypto, &[new_pin_enc, pin_hash_enc.unwrap_or_default()]);
        let sub_command = match old {
            None => client_pin::subcommand::SET_PIN,
            Some(_) => client_pin::subcommand::CHANGE_PIN,
        };
        self.proofs += u32::from(old.is_some() && knows_old);
        let request = client_pin::Request {
            pin_uv_auth_protocol: Some(protocol.number()),
            sub_command: Some(sub_command),
            key_agreement: Some(keyfob_core::cose::CoseKey::key_agreement(&public)),
            pin_uv_auth_param: Some(param.as_bytes()),
            new_pin_enc: Some(new_pin_enc),
            pin_hash_enc,
            ..client_pin::Request::default()
        };
        let status = self.pin_exchange(&request).and_then(|answer| answer.first().copied());
        let set = self.pin()?.as_ref() == Some(&pin);
        self.pin_outcome(status, set, possible)
    }

    fn secrets_of(&self, pin: &str) {
        self.world.secrets.add(pin.as_bytes());
        self.world.secrets.add(&PinHash::of(&self.world.crypto(), pin.as_bytes()).0);
    }

    fn pin_exchange(&mut self, request: &client_pin::Request<'_>) -> Option<Vec<u8>> {
        let mut message = [0; 512];
        let len = ctap2::encode_request(Command::CLIENT_PIN, request, &mut message).ok()?;
        self.world.exchange(&message[..len], 60_000)
    }

    fn pin_outcome(&mut self, status: Option<u8>, set: bool, possible: bool) -> Check {
        let status = status.map(Status);
        self.world.note(|| format!("clientPIN answers {status:?}"));
        if self.world.disturbed > 0 || !self.quiet {
            self.quiet = false;
            return Ok(());
        }
        match (status == Some(Status::OK), possible) {
            (true, true) if set => Ok(()),
            (false, false) => Ok(()),
            _ => Err(format!("setting a PIN: {status:?}, set: {set}, can be: {possible}")),
        }
    }

    fn reset(&mut self) -> Check {
        self.world.finger = self.world.dice.pick(&[Finger::Touches(0), Finger::Touches(2_000), Finger::Away]);
        let consents = self.world.finger != Finger::Away;
        if self.world.dice.percent(80) {
            self.world.replug();
        }
        self.world.note(|| "reset".into());
        let before = self.world.flash.ledger().resets;
        let answer = self.world.exchange(&[Command::RESET.0], 60_000);
        let after = self.world.flash.ledger().resets;
        let ok = answer.as_deref() == Some(&[0]);
        if self.world.disturbed > 0 || !self.quiet {
            self.quiet = false;
            return Ok(());
        }
        match (ok, after - before) {
            (true, 1) if consents => Ok(()),
            (false, 0) => Ok(()),
            (_, happened) => Err(format!("reset answered {answer:02x?} and happened {happened} times")),
        }
    }
}

fn configuration<C: Backend>(dice: &mut Dice) -> Config<'static> {
    let mut config = Config::new(VIRTUAL_KEY_AAGUID);
    let mut without = |caps: Caps, percent: u64, config: &mut Config<'_>| {
        if dice.percent(percent) {
            config.caps = config.caps.without(caps);
        }
    };
    without(Caps::DISCOVERABLE, 10, &mut config);
    without(Caps::TOKEN_PERMISSIONS, 30, &mut config);
    without(Caps::MAKE_CRED_UV_NOT_RQD, 40, &mut config);
    without(Caps::EDDSA, 20, &mut config);
    without(Caps::SELECTION, 20, &mut config);
    match dice.below(10) {
        0..3 => config.caps = config.caps.without(Caps::PROTOCOL_ONE),
        3..6 => config.caps = config.caps.without(Caps::PROTOCOL_TWO),
        6 => {
            let pin = Caps::CLIENT_PIN.with(Caps::PROTOCOL_ONE).with(Caps::PROTOCOL_TWO).with(Caps::TOKEN_PERMISSIONS);
            config.caps = config.caps.without(pin);
        }
        _ => {}
    }
    if config.caps.has(Caps::CLIENT_PIN) && dice.percent(10) {
        config.caps = config.caps.with(Caps::NO_MC_GA_WITH_PIN);
    }
    config.max_msg_size = dice.pick(&[1024, 1200, 2048, 7609]);
    config.min_pin_length = dice.pick(&[4, 4, 6, 8]);
    config.max_pin_retries = dice.pick(&[8, 8, 5, 3, 1]);
    config.attestation = match dice.below(3) {
        0 => Attestation::None,
        1 if C::REAL => Attestation::Certified(virtual_key_certificate()),
        _ => Attestation::Own,
    };
    config
}

fn intensity(dice: &mut Dice) -> Intensity {
    let calm = dice.percent(35);
    let per_mille = if calm { 0 } else { dice.pick(&[0, 2, 10, 50, 200]) };
    let mut share = || if per_mille == 0 { 0 } else { dice.below(per_mille + 1) };
    let faults = Faults { lose: share(), corrupt: share(), double: share(), delay: share() };
    Intensity {
        faults,
        rival: !calm && dice.percent(30),
        cuts: if calm { 0 } else { dice.pick(&[0, 0, 20, 60]) },
        moody: dice.pick(&[0, 20, 60]),
    }
}

fn user_handle(dice: &mut Dice) -> Vec<u8> {
    let handle: [u8; 64] = dice.bytes();
    handle[..dice.pick(&[8, 16, 64])].to_vec()
}

/// A PIN of four code points at least and eight bytes at least, so that it cannot be on the wire by chance.
fn new_pin(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => (0..dice.between(4, 8)).map(|_| char::from_u32(0x1F600 + dice.below(64) as u32).unwrap_or('x')).collect(),
        1 => (0..63).map(|_| char::from(b'a' + dice.below(26) as u8)).collect(),
        _ => (0..dice.between(10, 16)).map(|_| char::from(b'0' + dice.below(10) as u8)).collect(),
    }
}

fn origin(rp_id: &str) -> String {
    format!("https://{rp_id}")
}

fn client_data(crypto: &impl Hash, kind: Ceremony, challenge: &[u8], rp_id: &str) -> (Vec<u8>, [u8; 32]) {
    let origin = origin(rp_id);
    let data = ClientData { kind, challenge, origin: &origin, cross_origin: false, top_origin: None };
    let mut buffer = vec![0; 256];
    let len = data.write(&mut buffer).expect("256 bytes are enough for a short origin");
    buffer.truncate(len);
    let hash = crypto.sha256(&[&buffer]);
    (buffer, hash)
}
