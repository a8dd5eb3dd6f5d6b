//! U2F as a U2F-only platform uses it: it repeats its request until the user has touched the key. The checks: the
//! signature covers the right bytes, the counter grows, every proof of presence has its own touch, and U2F and CTAP2
//! share their credentials.

use keyfob_core::{
    client::{
        Ceremony,
        manage::{ConfigSubcommand, Configure},
    },
    cose::{Algorithm, CoseKey},
    crypto::{Hash, Verify},
    ctap1::{AuthenticateResponse, Control, MAX_KEY_HANDLE, RegisterResponse, Request, StatusWord, VERSION},
    transport::Protocol,
};
use keyfob_soft_authenticator::Caps;

use super::{Check, Script, manage::Needs};
use crate::{
    model::{Known, RPS},
    tap::Backend,
    world::TimedAction,
};

/// How long a platform waits before it repeats its request, in milliseconds. 200 to 500 are usual.
const PAUSE: u64 = 250;
/// How often it sends its request: together for longer than the 6 s that a user takes at most.
const ATTEMPTS: u32 = 30;
/// How long it waits for an answer, in milliseconds.
const PATIENCE: u64 = 60_000;

impl<C: Backend> Script<'_, C> {
    /// If the authenticator supports U2F, uses it under bad conditions, then checks without faults that it works.
    pub(super) fn u2f(&mut self) -> Check {
        if !self.world.config.caps.has(Caps::U2F) {
            return Ok(());
        }
        self.world.consented = None; // every touch from here on counts for one answer only
        for _ in 0..3 {
            self.disturb();
            let fingers =
                [TimedAction::Touches(0), TimedAction::Touches(400), TimedAction::Declines(100), TimedAction::Away];
            let finger = self.world.dice.pick(&fingers);
            self.world.resolve(finger);
            match (self.world.dice.below(3), self.vouched().last()) {
                (0, Some(&index)) => self.check(index)?,
                (1, Some(&index)) => self.authenticate(index, Control::ENFORCE_USER_PRESENCE)?,
                _ => self.register_u2f().map(drop)?,
            }
            self.account()?;
        }
        self.heal();
        self.u2f_in_peace()?;
        self.account()
    }

    fn u2f_in_peace(&mut self) -> Check {
        let delay = self.world.dice.pick(&[10, 400, 6_000]);
        self.world.user = TimedAction::Touches(delay);
        let version = self.ask(&Request::Version);
        if version != Some([VERSION, &StatusWord::NO_ERROR.0.to_be_bytes()].concat()) {
            return Err(format!("the version of U2F is {version:02x?}"));
        }
        let index = self.register_u2f()?.ok_or("an undisturbed registration of U2F fails")?;
        for index in self.vouched() {
            self.check(index)?;
        }
        self.authenticate(index, Control::ENFORCE_USER_PRESENCE)?;
        self.authenticate(index, Control::DONT_ENFORCE_USER_PRESENCE)?;
        // The power is cut in the middle of a sign-in. The counter must not fall.
        self.world.cut_after = Some(self.world.dice.between(1, 2));
        self.quiet = false;
        self.authenticate(index, Control::ENFORCE_USER_PRESENCE)?;
        self.heal();
        self.world.user = TimedAction::Touches(delay);
        for index in self.vouched() {
            self.authenticate(index, Control::ENFORCE_USER_PRESENCE)?;
        }
        // A U2F credential also works with CTAP2.
        self.sign_in(Some(index))?;
        self.refuse_with_always_uv(index)
    }

    /// The credentials that certainly work.
    fn vouched(&self) -> Vec<usize> {
        let ledger = self.world.flash.ledger();
        (0..self.known.len()).filter(|&index| self.known[index].vouched && self.known[index].lives(&ledger)).collect()
    }

    /// With alwaysUv U2F is refused, because U2F does not verify the user.
    fn refuse_with_always_uv(&mut self, index: usize) -> Check {
        let plan = self.plan(true)?;
        let caps = Caps::CONFIG.with(Caps::ALWAYS_UV);
        let by_finger = self.world.config.caps.has(caps) && self.world.flash.ledger().fingerprints > 0;
        let possible = by_finger || self.can(caps, Needs::PinIfSet);
        self.world.note(|| format!("switch alwaysUv on, can be: {possible}"));
        let mut buffer = vec![0; self.world.config.max_msg_size];
        let (crypto, rng) = (self.world.crypto(), self.world.dice.fork());
        let mut machine = Ceremony::new(Configure::new(ConfigSubcommand::ToggleAlwaysUv), &mut buffer, crypto, rng)
            .within(plan.0.timeout);
        if !self.operate(&mut machine, plan, possible, |_| ())?.0 {
            return Ok(());
        }
        let (hash, known) = ([0; 32], self.known[index].clone());
        let [enforced, checked] = [Control::ENFORCE_USER_PRESENCE, Control::CHECK_ONLY].map(|control| {
            Request::Authenticate { control, challenge: &hash, application: &hash, key_handle: &known.id }
        });
        let register = Request::Register { control: Control::NONE, challenge: &hash, application: &hash };
        for request in [Request::Version, register, enforced, checked] {
            let status = self.ask(&request).and_then(|answer| status_word(&answer));
            if status != Some(StatusWord::COMMAND_NOT_ALLOWED) {
                return Err(format!("U2F answers {status:?} although alwaysUv is on"));
            }
        }
        Ok(())
    }

    /// Registers. Returns the index of the new credential, if there is one.
    fn register_u2f(&mut self) -> Result<Option<usize>, String> {
        let (crypto, challenge, rp) = self.begin_u2f();
        let application = crypto.sha256(&[RPS[rp].as_bytes()]);
        self.world.note(|| format!("register at {} with U2F", RPS[rp]));
        let request = Request::Register { control: Control::NONE, challenge: &challenge, application: &application };
        let answer = self.ask_for_touch(&request, StatusWord::NO_ERROR)?;
        let response = answer.as_ref().and_then(|answer| RegisterResponse::decode(answer).ok());
        let verified = response.filter(|response| {
            let RegisterResponse { public_key, key_handle, certificate, signature } = *response;
            // The certificate's key is a BIT STRING with an uncompressed point.
            let certified = certificate.windows(69).find(|window| window.starts_with(&[3, 66, 0, 4]));
            let signer = certified.and_then(|window| CoseKey::from_raw(Algorithm::ES256, &window[4..68]));
            let parts = [&[0][..], &application, &challenge, key_handle, public_key];
            signer.is_some_and(|signer| crypto.verify(&signer, &parts, signature).is_ok())
        });
        let (Some(_), Some(response)) = (&answer, verified) else {
            return if answer.is_some() { self.refuse("a registration").map(|()| None) } else { Ok(None) };
        };
        self.take_consent()?;
        if self.known.iter().any(|known| known.id == response.key_handle) {
            return Err("a key handle was given out twice".into());
        }
        let known = Known {
            id: response.key_handle.to_vec(),
            rp,
            user_id: self.users[0].clone(), // U2F has none
            algorithm: Algorithm::ES256,
            public: response.public_key[1..].to_vec(),
            sign_count: 0,
            discoverable: false,
            resets: self.world.flash.ledger().resets,
            vouched: true,
        };
        self.known.push(known);
        let owed = self.clean();
        self.succeed(owed);
        Ok(Some(self.known.len() - 1))
    }

    /// Checks whether the authenticator knows a key handle, also under another relying party.
    fn check(&mut self, index: usize) -> Check {
        let (crypto, challenge, _) = self.begin_u2f();
        let known = self.known[index].clone();
        for (rp, rp_id) in RPS.iter().enumerate() {
            let application = &crypto.sha256(&[rp_id.as_bytes()]);
            let control = Control::CHECK_ONLY;
            let request = Request::Authenticate { control, challenge: &challenge, application, key_handle: &known.id };
            let status = self.ask(&request).and_then(|answer| status_word(&answer));
            let expected = if rp == known.rp { knows(&known) } else { StatusWord::WRONG_DATA };
            if self.clean() && status != Some(expected) {
                return Err(format!("U2F answers {status:?} to a check, not {expected:?}"));
            }
        }
        Ok(())
    }

    /// Signs in.
    fn authenticate(&mut self, index: usize, control: Control) -> Check {
        let (crypto, challenge, _) = self.begin_u2f();
        let known = self.known[index].clone();
        if known.id.len() > MAX_KEY_HANDLE {
            return Ok(());
        }
        let application = &crypto.sha256(&[RPS[known.rp].as_bytes()]);
        self.world.note(|| format!("sign in at {} with U2F, {control:?}", RPS[known.rp]));
        let request = Request::Authenticate { control, challenge: &challenge, application, key_handle: &known.id };
        let expected = match knows(&known) {
            StatusWord::WRONG_DATA => StatusWord::WRONG_DATA,
            _ => StatusWord::NO_ERROR,
        };
        let Some(answer) = self.ask_for_touch(&request, expected)? else { return Ok(()) };
        let response = AuthenticateResponse::decode(&answer).ok().filter(|response| {
            let parts = [&application[..], &[response.user_presence], &response.counter.to_be_bytes(), &challenge];
            crypto.verify(&known.key(), &parts, response.signature).is_ok()
        });
        let Some(response) = response else { return self.refuse("an authentication") };
        if response.counter <= known.sign_count {
            return Err(format!("the counter of U2F does not grow: {}, {}", known.sign_count, response.counter));
        }
        match (response.user_presence, control) {
            (1, _) => self.take_consent()?,
            (0, Control::DONT_ENFORCE_USER_PRESENCE) => {}
            (presence, _) => return Err(format!("U2F signs with the user's presence {presence}")),
        }
        self.known[index].sign_count = response.counter;
        let owed = self.clean();
        self.succeed(owed);
        Ok(())
    }

    fn begin_u2f(&mut self) -> (crate::tap::Tap<C>, [u8; 32], usize) {
        let rp = self.world.dice.below(RPS.len() as u64) as usize;
        (self.world.crypto(), self.world.dice.bytes(), rp)
    }

    /// Sends the request once.
    fn ask(&mut self, request: &Request<'_>) -> Option<Vec<u8>> {
        let mut apdu = [0; 400];
        let len = request.encode(&mut apdu).expect("a key handle has 255 bytes at most");
        self.world.exchange(Protocol::Ctap1, &apdu[..len], PATIENCE)
    }

    /// Repeats a request until the user has touched the key. Returns the answer if it is a success.
    ///
    /// # Errors
    /// Without faults, the answer is not `expected`, or the authenticator does not wait for a user who does not touch
    /// it.
    fn ask_for_touch(&mut self, request: &Request<'_>, expected: StatusWord) -> Result<Option<Vec<u8>>, String> {
        self.summary.ceremonies += 1;
        let mut status = None;
        for _ in 0..ATTEMPTS {
            let answer = self.ask(request);
            status = answer.as_deref().and_then(status_word);
            match status {
                Some(StatusWord::NO_ERROR) => return Ok(answer),
                Some(StatusWord::CONDITIONS_NOT_SATISFIED) => self.world.idle(PAUSE),
                _ => break,
            }
        }
        let touches = matches!(self.world.user, TimedAction::Touches(_));
        let waits = expected == StatusWord::NO_ERROR && !touches;
        let expected = if waits { StatusWord::CONDITIONS_NOT_SATISFIED } else { expected };
        if self.clean() && status != Some(expected) {
            return Err(format!("U2F answers {status:?}, not {expected:?}"));
        }
        Ok(None)
    }

    /// Whether there was no fault so far. After a fault, later requests count as disturbed too.
    fn clean(&mut self) -> bool {
        self.quiet &= self.world.disturbed == 0;
        self.quiet
    }

    /// Handles an answer that does not verify. After a fault it may be the answer to another request, because answers
    /// carry no transaction number.
    fn refuse(&mut self, what: &str) -> Check {
        if self.clean() {
            return Err(format!("{what} of U2F does not verify"));
        }
        self.world.note(|| "the relying party refuses".into());
        Ok(())
    }

    /// Uses up the touch: one touch allows one answer.
    fn take_consent(&mut self) -> Check {
        self.world.consented.take().map(drop).ok_or_else(|| "a success of U2F without the user's consent".into())
    }
}

/// The expected answer to a check. U2F does not know discoverable credentials and credentials with another algorithm
/// than ES256.
fn knows(known: &Known) -> StatusWord {
    if known.algorithm == Algorithm::ES256 && !known.discoverable {
        StatusWord::CONDITIONS_NOT_SATISFIED
    } else {
        StatusWord::WRONG_DATA
    }
}

fn status_word(answer: &[u8]) -> Option<StatusWord> {
    answer.last_chunk().map(|word| StatusWord(u16::from_be_bytes(*word)))
}
