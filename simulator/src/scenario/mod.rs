//! The actions in a world and the checks of their results.

use std::{collections::VecDeque, time::Duration};

use keyfob_core::{
    crypto::{Hash, RustCrypto, StubCrypto},
    webauthn::{ClientData, ClientDataType},
};

use crate::{
    Summary, WorldFailure, WorldOptions,
    adversary::Adversary,
    ceremony::{Entry, Plan},
    dice::Dice,
    link::Medium,
    model::{self, Known},
    rival::Rival,
    tap::Backend,
    wire::WireFaults,
    world::{TimedAction, World},
};

mod checks;
mod fingers;
mod guess;
mod manage;
mod pin;
mod register;
mod setup;
mod sign_in;
mod u2f;

use register::Kind;
use setup::{Intensity, configuration, intensity, user_handle};

/// How many engines a world may create. After that, a power cut keeps the engine and power-cycles it.
const LIVES: usize = 3;
/// One world in this many has real cryptography.
const REAL_EVERY: u64 = 64;
/// How many of 100 ceremonies in a world with an adversary are guesses of the PIN by software.
const GUESSES: u64 = 40;
/// One world in this many has an adversary: those with `seed % ADVERSARY_EVERY == ADVERSARY_EVERY - 1`.
const ADVERSARY_EVERY: u64 = 4;

/// Runs the world of `seed`.
///
/// # Errors
/// [`WorldFailure`]: a check failed.
pub fn run(seed: u64, options: WorldOptions) -> Result<Summary, WorldFailure> {
    let mut dice = Dice::new(seed);
    let adversary = options.medium == Medium::Hid && seed % ADVERSARY_EVERY == ADVERSARY_EVERY - 1;
    if dice.below(REAL_EVERY) == 0 {
        Script::<RustCrypto>::play(dice, adversary, options)
    } else {
        Script::<StubCrypto>::play(dice, adversary, options)
    }
}

struct Script<'w, C: Backend> {
    world: World<'w, C>,
    summary: Summary,
    known: Vec<Known>,
    users: Vec<Vec<u8>>,
    /// Every PIN that a ceremony tried to set.
    chosen: Vec<String>,
    /// Every large-blob array that a ceremony tried to write.
    arrays: Vec<Vec<u8>>,
    /// How often the right PIN was entered.
    proofs: u32,
    intensity: Intensity,
    /// Whether there was no fault since the last check without faults.
    quiet: bool,
    /// Whether faults have ended just before this ceremony.
    healed: bool,
    /// The digest of the store before the ceremony.
    before: Digest,
    /// PIN retries before the ceremony.
    retries_before: Option<u8>,
}

type Check = Result<(), String>;

/// A digest of the store: resets, credentials, PIN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Digest(u32, Vec<Vec<u8>>, Option<[u8; 16]>);

impl<C: Backend> Script<'_, C> {
    fn play(mut dice: Dice, adversary: bool, options: WorldOptions) -> Result<Summary, WorldFailure> {
        let config = configuration::<C>(&mut dice);
        let mut memory = vec![vec![0; config.buffer_len()]; LIVES];
        let buffers = memory.iter_mut().map(Vec::as_mut_slice).collect();
        let mut intensity = intensity(adversary, &mut dice);
        if options.medium != Medium::Hid {
            (intensity.faults, intensity.rival) = (WireFaults::NONE, false);
        }
        let users = (0..3).map(|_| user_handle(&mut dice)).collect();
        let mut world = World::<C>::new(dice, config, buffers, options);
        world.note(|| format!("{config:?} {intensity:?}"));
        let mut script = Script {
            world,
            summary: Summary::default(),
            known: Vec::new(),
            users,
            chosen: Vec::new(),
            arrays: vec![Vec::new()],
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
            Err(what) => Err(WorldFailure { what, log }),
        }
    }

    fn acts(&mut self) -> Check {
        if self.world.dice.percent(50) {
            self.set_pin()?;
        }
        for _ in 0..self.world.dice.between(2, 8) {
            self.disturb();
            match self.world.dice.below(27) {
                0..9 => self.register(Kind::Any)?,
                9..16 => self.sign_in(None)?,
                16..18 => self.set_pin()?,
                18 => self.reset()?,
                19..26 => self.manage()?,
                _ => {
                    self.world.replug();
                    self.world.note(|| "the key is replugged".into());
                }
            }
            self.account()?;
            if self.intensity.adversary && self.world.dice.percent(GUESSES) {
                self.guess()?;
                self.account()?;
            }
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
        self.fingers()?;
        self.u2f()?;
        match self.world.leak() {
            Some(secret) => Err(format!("a secret was sent in clear: {secret:02x?}")),
            None => Ok(()),
        }
    }

    /// Chooses the faults for the next ceremony.
    fn disturb(&mut self) {
        let Intensity { faults, rival, cuts, adversary, .. } = self.intensity;
        let now = self.world.now;
        self.world.faults = faults;
        self.world.rival = None;
        self.world.adversary = None;
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
        if adversary && dice.percent(50) {
            let pause = dice.pick(&[1, 3, 10, 30]);
            self.world.adversary = Some(Adversary::restless(pause, dice));
        }
        if faults != WireFaults::NONE
            || self.world.rival.is_some()
            || self.cut_planned()
            || self.world.adversary.is_some()
        {
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

    /// Ends all faults and checks that ceremonies succeed.
    fn probe(&mut self) -> Check {
        self.heal();
        let live = (0..self.known.len())
            .rfind(|&index| self.known[index].vouched && self.known[index].lives(&self.world.flash.ledger()));
        match live {
            Some(index) => self.sign_in(Some(index)),
            None => self.register(Kind::Probe),
        }
    }

    fn heal(&mut self) {
        self.world.settle();
        self.quiet = true;
        self.healed = true;
    }

    /// Checks the invariants that hold at any time.
    fn account(&mut self) -> Check {
        self.world.rest();
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
        if !self.arrays.contains(&self.world.flash.large_blobs()) {
            return Err("the large-blob array was never written as a whole".into());
        }
        if self.world.flash.retries() != retries {
            return Err("PIN retries changed behind the engine's back".into());
        }
        self.pin().map(drop)
    }

    fn pin(&self) -> Result<Option<String>, String> {
        model::current_pin(&self.world.crypto(), &self.world.flash.ledger(), &self.chosen)
    }

    /// Plans how the user and the caller behave. Also returns whether both cooperate.
    fn plan(&mut self, cooperative: bool) -> Result<(Plan, bool), String> {
        let pin = self.pin()?;
        let max_typing = if cooperative { 2_000 } else { 40_000 };
        let right = pin.map(Entry::Pin);
        let dice = &mut self.world.dice;
        let mut plan = Plan {
            entries: right.clone().into_iter().collect(),
            new_pin: None,
            typing: dice.pick(&[0, 300, 1_500, max_typing]).min(max_typing),
            cancel_after: None,
            reconnects: true,
            timeout: Duration::from_secs(300),
        };
        // A touch in the millisecond of the first packet would count for an earlier request.
        let soonest = if cooperative { 10 } else { 0 };
        self.world.user = TimedAction::Touches(dice.pick(&[0, 0, 5, 400, 6_000]).max(soonest));
        if cooperative || !dice.percent(self.intensity.moody) {
            return Ok((plan, true));
        }
        self.world.user = match dice.below(6) {
            0 => TimedAction::Away,
            1 => TimedAction::Declines(dice.pick(&[0, 100, 5_000])),
            2 => TimedAction::Touches(dice.pick(&[29_000, 29_999, 30_000, 31_000])),
            _ => TimedAction::Touches(dice.pick(&[0, 10, 900])),
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
}

fn origin(rp_id: &str) -> String {
    format!("https://{rp_id}")
}

fn client_data(crypto: &impl Hash, kind: ClientDataType, challenge: &[u8], rp_id: &str) -> (Vec<u8>, [u8; 32]) {
    let origin = origin(rp_id);
    let data = ClientData { kind, challenge, origin: &origin, cross_origin: false, top_origin: None };
    let mut buffer = vec![0; 256];
    let len = data.write(&mut buffer).expect("256 bytes are enough for a short origin");
    buffer.truncate(len);
    let hash = crypto.sha256(&[&buffer]);
    (buffer, hash)
}
