//! authenticatorClientPIN (CTAP 2.3 §6.5.5). An attempt is counted as one with a wrong PIN, in the store and for the
//! three in a row, before the PIN is compared. Only the right PIN takes that back, so an abort in between costs the
//! attempt.

use heapless::Vec;
use keyfob_core::{
    Failure, Instant,
    bytes::{self, Secret},
    cbor::{MapWriter, Message},
    cose::CoseKey,
    crypto::{Agreement, Error},
    ctap2::client_pin::{Request, Response, subcommand},
    pin_uv::{
        self, MAX_PIN_BYTES, PaddedPin, Permissions, PinHash, PinUvAuthProtocol, SharedSecret, Token, UserVerified,
    },
};

use crate::engine::{
    authenticator::{Authenticator, crypto_status, store_status},
    call::{Call, Next, Outcome, Trigger, begin, decode, ok, valid, written},
    ceremony::{Counted, UserPresent},
    platform::Platform,
    state::StoredOptions,
};
use crate::{
    caps::Caps,
    store::{Change, Setting, Store},
};

/// A token, encrypted, with the IV of protocol two.
const ENCRYPTED_TOKEN: usize = 48;
/// A PIN's hash and its length.
const STORED_PIN: usize = 17;

/// A subcommand under way.
#[derive(Default)]
pub struct Run {
    step: Step,
    /// What is agreed on with the platform.
    shared: Option<SharedSecret>,
    /// A PIN attempt is counted, and the PIN has not been found right.
    pub unproven: bool,
    /// The token that goes back, encrypted.
    token: Vec<u8, ENCRYPTED_TOKEN>,
}

/// What is done next.
#[derive(Clone, Copy, Default)]
enum Step {
    #[default]
    Agree,
    /// A PIN attempt is counted.
    Count,
    /// The PIN is compared.
    Compare(Counted),
    /// The PIN was right.
    Proven(UserVerified),
    /// Without a PIN: the first PIN is set, or the user is verified for a token.
    Agreed,
}

impl Run {
    #[inline(never)]
    pub fn step<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, cause: Trigger) -> Outcome {
        if !call.authenticator.issues_tokens() {
            return Err(Failure::INVALID_COMMAND);
        }
        let request = decode(call.message, call.request);
        let request: &Request<'_> = valid(&request)?;
        match call.authenticator.client_pin(self, call.now, cause, request)? {
            Answer::Next(next) => Ok(next),
            Answer::Empty => ok(call.message),
            answer => call.authenticator.write_answer(answer, &self.token, call.message),
        }
    }

    fn agreed(&self) -> Result<&SharedSecret, Failure> {
        self.shared.as_ref().ok_or(Failure::OTHER)
    }
}

#[cfg(test)]
impl Run {
    /// A fault alters the evidence of the count, once there is some.
    pub const fn break_count(&mut self) {
        if let Step::Compare(counted) = &mut self.step {
            *counted = Counted::broken();
        }
    }
}

/// What goes back to the platform. Four bytes with its error, as [`Next`].
#[derive(Clone, Copy)]
enum Answer {
    Next(Next),
    Empty,
    Retries,
    UvRetries,
    KeyAgreement,
    Token,
}

/// A subcommand that agrees on a secret, and its members. Those that it does not take are empty.
#[derive(Clone, Copy)]
struct Asked<'r> {
    sub_command: u32,
    /// setPIN or changePIN.
    sets_pin: bool,
    /// It takes the PIN that is set.
    by_pin: bool,
    key: &'r CoseKey<'r>,
    param: &'r [u8],
    new_pin_enc: &'r [u8],
    pin_hash_enc: &'r [u8],
    permissions: Permissions,
    protocol: PinUvAuthProtocol,
}

/// A member that the subcommand cannot do without.
fn required<T>(member: Option<T>) -> Result<T, Failure> {
    member.ok_or(Failure::MISSING_PARAMETER)
}

impl<P: Platform> Authenticator<'_, P> {
    fn client_pin(
        &mut self,
        run: &mut Run,
        now: Instant,
        cause: Trigger,
        request: &Request<'_>,
    ) -> Result<Answer, Failure> {
        let sub_command = required(request.sub_command)?;
        match sub_command {
            subcommand::GET_KEY_AGREEMENT => return self.get_key_agreement(request),
            subcommand::GET_TOKEN_USING_UV if self.has(Caps::TOKEN_PERMISSIONS) => {}
            subcommand::GET_UV_RETRIES if self.has(Caps::BUILT_IN_UV) => return Ok(Answer::UvRetries),
            _ if !self.has(Caps::CLIENT_PIN) => return Err(Failure::INVALID_SUBCOMMAND),
            subcommand::GET_PIN_RETRIES => return self.get_pin_retries(request),
            subcommand::SET_PIN | subcommand::CHANGE_PIN | subcommand::GET_PIN_TOKEN => {}
            subcommand::GET_TOKEN_USING_PIN if self.has(Caps::TOKEN_PERMISSIONS) => {}
            _ => return Err(Failure::INVALID_SUBCOMMAND),
        }
        let asked = self.asked(request, sub_command)?;
        self.proceed(run, now, cause, request, &asked)
    }

    /// What a subcommand that agrees on a secret cannot do without.
    fn asked<'r>(&self, request: &'r Request<'_>, sub_command: u32) -> Result<Asked<'r>, Failure> {
        let sets_pin = matches!(sub_command, subcommand::SET_PIN | subcommand::CHANGE_PIN);
        let by_pin = !matches!(sub_command, subcommand::SET_PIN | subcommand::GET_TOKEN_USING_UV);
        let key = required(request.key_agreement.as_ref())?;
        let (param, new_pin_enc) = match (request.pin_uv_auth_param, request.new_pin_enc) {
            _ if !sets_pin => (&[][..], &[][..]),
            (Some(param), Some(new_pin_enc)) => (param, new_pin_enc),
            _ => return Err(Failure::MISSING_PARAMETER),
        };
        let pin_hash_enc = if by_pin { required(request.pin_hash_enc)? } else { &[] };
        let permissions = if sets_pin { Permissions::default() } else { self.permissions_asked(request, sub_command)? };
        let protocol = self.required_protocol(request)?;
        Ok(Asked { sub_command, sets_pin, by_pin, key, param, new_pin_enc, pin_hash_enc, permissions, protocol })
    }

    /// The next step.
    fn proceed(
        &mut self,
        run: &mut Run,
        now: Instant,
        cause: Trigger,
        request: &Request<'_>,
        asked: &Asked<'_>,
    ) -> Result<Answer, Failure> {
        let Asked { sub_command, new_pin_enc, pin_hash_enc, permissions, .. } = *asked;
        if sub_command == subcommand::SET_PIN && self.pin.is_set {
            return Err(self.config.policy.by_version(Failure::PIN_AUTH_INVALID, Failure::NOT_ALLOWED));
        }
        match run.step {
            Step::Agree => {
                self.check_request(request, sub_command, permissions)?;
                let shared = self.decapsulate(asked.protocol, asked.key)?;
                if asked.sets_pin && !shared.verify(&self.crypto, &[new_pin_enc, pin_hash_enc], asked.param) {
                    return Err(Failure::PIN_AUTH_INVALID);
                }
                run.shared = Some(shared);
                run.step = if asked.by_pin { Step::Count } else { Step::Agreed };
                Ok(Answer::Next(Next::Work))
            }
            Step::Count => self.count_pin_attempt(run),
            Step::Compare(counted) => self.compare_pin(run, counted, pin_hash_enc),
            Step::Proven(verified) if sub_command == subcommand::CHANGE_PIN => {
                if !verified.holds() {
                    return Err(Failure::OTHER);
                }
                self.take_pin(run.agreed()?, new_pin_enc, self.options.force_pin_change)
            }
            Step::Proven(_) if self.options.force_pin_change => Err(match sub_command {
                subcommand::GET_PIN_TOKEN => Failure::PIN_INVALID,
                _ => Failure::PIN_POLICY_VIOLATION,
            }),
            Step::Proven(verified) => self.grant(run, now, request, permissions, verified, false),
            Step::Agreed => match (sub_command, cause.verified()) {
                (subcommand::SET_PIN, _) => self.take_pin(run.agreed()?, new_pin_enc, false),
                (subcommand::GET_TOKEN_USING_UV, None) => self.start_verification(true).map(Answer::Next),
                (subcommand::GET_TOKEN_USING_UV, Some(verified)) => {
                    let present = self.presence(Some(verified), None).is_some_and(UserPresent::holds);
                    self.grant(run, now, request, permissions, verified, present)
                }
                _ => Err(Failure::OTHER),
            },
        }
    }

    /// What can be refused before anything is agreed on.
    fn check_request(&self, request: &Request<'_>, sub_command: u32, asked: Permissions) -> Result<(), Failure> {
        match sub_command {
            subcommand::SET_PIN => return Ok(()),
            subcommand::GET_PIN_TOKEN if request.permissions.is_some() || request.rp_id.is_some() => {
                return Err(Failure::INVALID_PARAMETER);
            }
            subcommand::GET_TOKEN_USING_PIN => self.check_permissions(request, asked, true)?,
            subcommand::GET_TOKEN_USING_UV => {
                self.check_permissions(request, asked, false)?;
                return match self.uv_retries() {
                    _ if !self.uv_is_configured() => Err(Failure::NOT_ALLOWED),
                    0 => Err(Failure::UV_BLOCKED),
                    _ => Ok(()),
                };
            }
            _ => {}
        }
        self.check_pin_attempt()
    }

    fn write_answer(&self, answer: Answer, token: &[u8], message: &mut [u8]) -> Outcome {
        let mut w = begin(message);
        let mut m = MapWriter::new(&mut w, Response::KEYS, &[]);
        match answer {
            Answer::Next(_) | Answer::Empty => return Err(Failure::OTHER),
            Answer::KeyAgreement => {
                let (_, public) = self.key_agreement.as_ref().ok_or(Failure::OTHER)?;
                m.required(&CoseKey::key_agreement(public));
            }
            Answer::Token => {
                m.skip(1);
                m.bytes(Some(token));
            }
            Answer::Retries => {
                m.skip(2);
                m.number(Some(self.pin.retries.into()));
                m.flag(self.pin.needs_power_cycle().then_some(true));
            }
            Answer::UvRetries => {
                m.skip(4);
                m.number(Some(self.uv_retries().into()));
            }
        }
        m.end();
        written(w.finish())
    }

    fn required_protocol(&self, request: &Request<'_>) -> Result<PinUvAuthProtocol, Failure> {
        self.protocol(required(request.pin_uv_auth_protocol)?).ok_or(Failure::INVALID_PARAMETER)
    }

    fn get_pin_retries(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        if self.config.policy.rules_2_0 {
            self.required_protocol(request)?; // every subcommand has one
        }
        if !self.pin.is_set && self.config.policy.retries_need_pin {
            return Err(Failure::PIN_NOT_SET);
        }
        Ok(Answer::Retries)
    }

    fn get_key_agreement(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.required_protocol(request)?;
        if self.key_agreement.is_none() {
            self.key_agreement = Some(self.crypto.p256_generate(&mut self.rng).map_err(crypto_status)?);
        }
        Ok(Answer::KeyAgreement)
    }

    /// Puts the new PIN in force, which `must_differ` from the old one where a change was forced.
    fn take_pin(&mut self, shared: &SharedSecret, new_pin_enc: &[u8], must_differ: bool) -> Result<Answer, Failure> {
        let pin = self.new_pin(shared, new_pin_enc)?;
        if must_differ && self.stored_pin()?.0.matches(&pin.hash(&self.crypto).0) {
            return Err(Failure::PIN_POLICY_VIOLATION);
        }
        self.store_pin(&pin)?;
        Ok(Answer::Empty)
    }

    /// Issues a token to a user who was `verified`.
    fn grant(
        &mut self,
        run: &mut Run,
        now: Instant,
        request: &Request<'_>,
        permissions: Permissions,
        verified: UserVerified,
        user_present: bool,
    ) -> Result<Answer, Failure> {
        let shared = run.shared.as_ref().ok_or(Failure::OTHER)?;
        let rp_id_hash = request.rp_id.map(|rp_id| self.hash_rp_id(rp_id));
        let persistent;
        let token = if permissions == Permissions::PCMR {
            if !verified.holds() {
                return Err(Failure::OTHER);
            }
            persistent = self.persistent_token()?;
            &persistent
        } else {
            self.token_by_uv = matches!(run.step, Step::Agreed);
            let (token, protocol) = (&mut self.token, shared.protocol());
            let issued = token.issue(&mut self.rng, now, protocol, permissions, rp_id_hash, user_present, verified);
            issued.map_err(crypto_status)?
        };
        run.token.resize(ENCRYPTED_TOKEN, 0).map_err(|_| Failure::OTHER)?;
        let len = shared.encrypt(&self.crypto, &mut self.rng, token.as_bytes(), &mut run.token);
        run.token.truncate(len.map_err(|_| Failure::OTHER)?);
        Ok(Answer::Token)
    }

    fn permissions_asked(&self, request: &Request<'_>, sub_command: u32) -> Result<Permissions, Failure> {
        if sub_command == subcommand::GET_PIN_TOKEN {
            let all = Permissions::MC.with(Permissions::GA);
            // Version 2.0 knows no permissions, and the prototypes of management take its tokens.
            let managing = Permissions::CM.with(Permissions::BE);
            return Ok(match (self.has(Caps::NO_MC_GA_WITH_PIN), self.config.policy.rules_2_0) {
                (true, _) => Permissions::default(),
                (false, true) => all.with(managing),
                (false, false) => all,
            });
        }
        // Undefined bits are ignored; all defined ones lie in the low byte.
        Ok(Permissions((required(request.permissions)? & 0x7F) as u8))
    }

    /// Whether all permissions asked for can be granted: with a PIN, or with built-in user verification.
    fn check_permissions(&self, request: &Request<'_>, asked: Permissions, by_pin: bool) -> Result<(), Failure> {
        if request.permissions == Some(0) {
            return Err(Failure::INVALID_PARAMETER);
        }
        let persistent = self.has(Caps::PERSISTENT_CRED_MGMT) && asked == Permissions::PCMR;
        let grantable = [
            (!(by_pin && self.has(Caps::NO_MC_GA_WITH_PIN)), Permissions::MC.with(Permissions::GA)),
            (self.has(Caps::CRED_MGMT), Permissions::CM),
            (self.has(Caps::BIO_ENROLL), Permissions::BE),
            (self.large_blobs_capacity() > 0, Permissions::LBW),
            (self.has(Caps::CONFIG), Permissions::ACFG),
        ];
        let grantable = grantable.iter().filter(|(granted, _)| *granted);
        let grantable = grantable.fold(Permissions::default(), |sum, (_, permissions)| sum.with(*permissions));
        if persistent || grantable.has(asked) { Ok(()) } else { Err(Failure::UNAUTHORIZED_PERMISSION) }
    }

    /// Whether a PIN may be tried at all.
    fn check_pin_attempt(&self) -> Result<(), Failure> {
        if !self.pin.is_set {
            return Err(Failure::PIN_NOT_SET);
        }
        if self.pin.retries == 0 {
            return Err(Failure::PIN_BLOCKED);
        }
        if self.pin.needs_power_cycle() { Err(Failure::PIN_AUTH_BLOCKED) } else { Ok(()) }
    }

    pub fn decapsulate(&self, protocol: PinUvAuthProtocol, key: &CoseKey<'_>) -> Result<SharedSecret, Failure> {
        // Without a key agreement key of the authenticator, the platform cannot have agreed on a secret.
        let (secret, _) = self.key_agreement.as_ref().ok_or(Failure::INVALID_PARAMETER)?;
        pin_uv::decapsulate(&self.crypto, protocol, secret, key).map_err(|error| match error {
            Error::InvalidKey => Failure::INVALID_PARAMETER,
            _ => Failure::OTHER,
        })
    }

    /// Counts the attempt as a mismatch before anything is compared. Otherwise a program that aborts the command before
    /// the comparison would have as many attempts per power-up as there are retries.
    fn count_pin_attempt(&mut self, run: &mut Run) -> Result<Answer, Failure> {
        // This comes first: a commit that fails may have been made.
        self.pin.mismatches = self.pin.mismatches.saturating_add(1);
        run.unproven = true;
        let retries = self.pin.retries.saturating_sub(1);
        let committed = self.store.commit(&[Change::Set(Setting::PinRetries, &[retries])]);
        let counted = Counted::by_commit(committed).map_err(store_status)?;
        self.pin.retries = retries;
        run.step = Step::Compare(counted);
        Ok(Answer::Next(Next::Work))
    }

    fn compare_pin(&mut self, run: &mut Run, counted: Counted, pin_hash_enc: &[u8]) -> Result<Answer, Failure> {
        if !counted.holds() {
            return Err(Failure::OTHER);
        }
        let shared = run.agreed()?;
        let mut given = Secret([0; 32]);
        let decrypted = shared.decrypt(&self.crypto, pin_hash_enc, &mut *given);
        let (stored, _) = self.stored_pin()?;
        let given = decrypted.ok().and_then(|len| given.get(..len));
        let Some(verified) = given.and_then(|given| stored.verify(given)) else {
            return Err(match (self.pin.retries, self.pin.needs_power_cycle()) {
                (0, _) => Failure::PIN_BLOCKED,
                (_, true) => Failure::PIN_AUTH_BLOCKED,
                _ => Failure::PIN_INVALID,
            });
        };
        let (retries, uv_retries) = (self.config.max_pin_retries, self.config.user_verification.max_retries);
        let committed = self.commit(&[
            Some(Change::Set(Setting::PinRetries, &[retries])),
            // The right PIN lifts that block too.
            self.has(Caps::BUILT_IN_UV).then_some(Change::Set(Setting::UvRetries, &[uv_retries])),
        ]);
        committed.map_err(store_status)?;
        self.uv_retries = uv_retries;
        self.pin.retries = retries;
        self.pin.mismatches = 0;
        run.unproven = false;
        run.step = Step::Proven(verified);
        Ok(Answer::Next(Next::Work))
    }

    /// The hash of the PIN that is set, and its length in code points.
    pub fn stored_pin(&mut self) -> Result<(PinHash, u8), Failure> {
        let mut value = Secret([0; STORED_PIN]);
        let found = self.store.get(Setting::Pin, &mut *value).map_err(store_status)?;
        let (hash, [length]) = value.split_first_chunk().ok_or(Failure::OTHER)? else { return Err(Failure::OTHER) };
        if found == Some(STORED_PIN) { Ok((PinHash(*hash), *length)) } else { Err(Failure::OTHER) }
    }

    /// The new PIN, decrypted and within the policy.
    fn new_pin(&self, shared: &SharedSecret, new_pin_enc: &[u8]) -> Result<PaddedPin, Failure> {
        let mut padded = Secret([0; 64]);
        let decrypted = shared.decrypt(&self.crypto, new_pin_enc, &mut *padded);
        let pin = decrypted.map(|len| PaddedPin::from_decrypted(bytes::front(&*padded, len)));
        let pin = match pin {
            Ok(Some(pin)) => pin,
            Err(Error::InvalidLength) => return Err(Failure::PIN_AUTH_INVALID),
            _ => return Err(Failure::INVALID_PARAMETER), // not 64 bytes
        };
        let lengths = usize::from(self.options.min_pin_length)..=usize::from(self.config.max_pin_length);
        let complex = !self.options.pin_complexity || P::pin_is_complex(pin.stripped());
        if lengths.contains(&pin.code_points()) && pin.byte_len() <= MAX_PIN_BYTES && complex {
            Ok(pin)
        } else {
            Err(Failure::PIN_POLICY_VIOLATION)
        }
    }

    /// Puts a PIN in force. All tokens are void, the persistent one too.
    fn store_pin(&mut self, pin: &PaddedPin) -> Result<(), Failure> {
        let hash = pin.hash(&self.crypto);
        let length = pin.code_points() as u8; // at most 63
        let value: Secret<STORED_PIN> = Secret(bytes::concat(&[&hash.0, &[length]]));
        let retries = self.config.max_pin_retries;
        let options = StoredOptions { force_pin_change: false, ..self.options };
        let token = Token::generate(&mut self.rng).map_err(crypto_status)?;
        self.token.stop_using(); // first: a commit that fails may have been made
        self.commit_or_reload(&[
            Some(Change::Set(Setting::Pin, &*value)),
            Some(Change::Set(Setting::PinRetries, &[retries])),
            Some(Change::Set(Setting::Options, &options.to_bytes())),
            Some(Change::Set(Setting::PersistentToken, token.as_bytes())),
        ])?;
        self.options = options;
        self.pin.is_set = true;
        self.pin.retries = retries;
        self.pin.mismatches = 0;
        Ok(())
    }
}
