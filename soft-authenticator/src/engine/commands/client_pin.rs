//! authenticatorClientPIN (CTAP 2.3 §6.5.5). An attempt is counted as one with a wrong PIN, in the store and for the
//! three in a row, before the PIN is compared. Only the right PIN takes that back, so an abort in between costs the
//! attempt.

use keyfob_core::{
    Failure, Instant,
    bytes::{self, Secret},
    cose::CoseKey,
    crypto::{Agreement, Error, P256Point},
    ctap2::client_pin::{Request, Response, subcommand},
    pin_uv::{
        self, MAX_PIN_BYTES, PaddedPin, Permissions, PinHash, PinUvAuthProtocol, SharedSecret, Token, UserVerified,
    },
};

use crate::engine::{
    authenticator::{Authenticator, crypto_status, store_status},
    call::{Call, Next, Outcome, Trigger, decode, ok, reply, valid},
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
        call.authenticator.client_pin(self, call.now, cause, request)?.write(call.message)
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

/// What goes back to the platform.
enum Answer {
    Next(Next),
    Empty,
    Retries { retries: u8, power_cycle: bool },
    UvRetries(u8),
    KeyAgreement(P256Point),
    Token([u8; ENCRYPTED_TOKEN], usize),
}

impl Answer {
    fn write(&self, message: &mut [u8]) -> Outcome {
        let mut response = Response::default();
        match self {
            Self::Next(next) => return Ok(*next),
            Self::Empty => return ok(message),
            Self::Retries { retries, power_cycle } => {
                response.pin_retries = Some(u32::from(*retries));
                response.power_cycle_state = power_cycle.then_some(true);
            }
            Self::UvRetries(retries) => response.uv_retries = Some(u32::from(*retries)),
            Self::KeyAgreement(point) => response.key_agreement = Some(CoseKey::key_agreement(point)),
            Self::Token(token, len) => response.pin_uv_auth_token = token.get(..*len),
        }
        reply(&response, message)
    }
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
        match required(request.sub_command)? {
            subcommand::GET_KEY_AGREEMENT => self.get_key_agreement(request),
            subcommand::GET_TOKEN_USING_UV if self.has(Caps::TOKEN_PERMISSIONS) => {
                self.get_token_using_uv(run, now, cause, request)
            }
            subcommand::GET_UV_RETRIES if self.has(Caps::BUILT_IN_UV) => Ok(Answer::UvRetries(self.uv_retries())),
            _ if !self.has(Caps::CLIENT_PIN) => Err(Failure::INVALID_SUBCOMMAND),
            subcommand::GET_PIN_RETRIES => self.get_pin_retries(request),
            subcommand::SET_PIN => self.set_pin(run, request),
            subcommand::CHANGE_PIN => self.change_pin(run, request),
            subcommand::GET_PIN_TOKEN => self.get_token(run, now, request, true),
            subcommand::GET_TOKEN_USING_PIN if self.has(Caps::TOKEN_PERMISSIONS) => {
                self.get_token(run, now, request, false)
            }
            _ => Err(Failure::INVALID_SUBCOMMAND),
        }
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
        Ok(Answer::Retries { retries: self.pin.retries, power_cycle: self.pin.needs_power_cycle() })
    }

    fn get_key_agreement(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.required_protocol(request)?;
        if self.key_agreement.is_none() {
            self.key_agreement = Some(self.crypto.p256_generate(&mut self.rng).map_err(crypto_status)?);
        }
        let (_, public) = self.key_agreement.as_ref().ok_or(Failure::OTHER)?;
        Ok(Answer::KeyAgreement(*public))
    }

    fn set_pin(&mut self, run: &mut Run, request: &Request<'_>) -> Result<Answer, Failure> {
        let key = required(request.key_agreement)?;
        let param = required(request.pin_uv_auth_param)?;
        let new_pin_enc = required(request.new_pin_enc)?;
        let protocol = self.required_protocol(request)?;
        if self.pin.is_set {
            return Err(self.config.policy.by_version(Failure::PIN_AUTH_INVALID, Failure::NOT_ALLOWED));
        }
        match run.step {
            Step::Agree => self.agree(run, protocol, &key, Step::Agreed),
            Step::Agreed => {
                let shared = run.agreed()?;
                if !shared.verify(&self.crypto, &[new_pin_enc], param) {
                    return Err(Failure::PIN_AUTH_INVALID);
                }
                let pin = self.new_pin(shared, new_pin_enc)?;
                self.store_pin(&pin)?;
                Ok(Answer::Empty)
            }
            Step::Count | Step::Compare(_) | Step::Proven(_) => Err(Failure::OTHER),
        }
    }

    fn change_pin(&mut self, run: &mut Run, request: &Request<'_>) -> Result<Answer, Failure> {
        let key = required(request.key_agreement)?;
        let param = required(request.pin_uv_auth_param)?;
        let new_pin_enc = required(request.new_pin_enc)?;
        let pin_hash_enc = required(request.pin_hash_enc)?;
        let protocol = self.required_protocol(request)?;
        match run.step {
            Step::Agree => {
                self.check_pin_attempt()?;
                let answer = self.agree(run, protocol, &key, Step::Count)?;
                if !run.agreed()?.verify(&self.crypto, &[new_pin_enc, pin_hash_enc], param) {
                    return Err(Failure::PIN_AUTH_INVALID);
                }
                Ok(answer)
            }
            Step::Count => self.count_pin_attempt(run),
            Step::Compare(counted) => self.compare_pin(run, counted, pin_hash_enc),
            Step::Proven(verified) if verified.holds() => {
                let pin = self.new_pin(run.agreed()?, new_pin_enc)?;
                if self.options.force_pin_change && self.stored_pin()?.0.matches(&pin.hash(&self.crypto).0) {
                    return Err(Failure::PIN_POLICY_VIOLATION);
                }
                self.store_pin(&pin)?;
                Ok(Answer::Empty)
            }
            Step::Proven(_) | Step::Agreed => Err(Failure::OTHER),
        }
    }

    /// getPinToken, and getPinUvAuthTokenUsingPinWithPermissions.
    fn get_token(
        &mut self,
        run: &mut Run,
        now: Instant,
        request: &Request<'_>,
        legacy: bool,
    ) -> Result<Answer, Failure> {
        let key = required(request.key_agreement)?;
        let pin_hash_enc = required(request.pin_hash_enc)?;
        let permissions = self.permissions_asked(request, legacy)?;
        let protocol = self.required_protocol(request)?;
        match run.step {
            Step::Agree => {
                if !legacy {
                    self.check_permissions(request, permissions, true)?;
                } else if request.permissions.is_some() || request.rp_id.is_some() {
                    return Err(Failure::INVALID_PARAMETER);
                }
                self.check_pin_attempt()?;
                self.agree(run, protocol, &key, Step::Count)
            }
            Step::Count => self.count_pin_attempt(run),
            Step::Compare(counted) => self.compare_pin(run, counted, pin_hash_enc),
            Step::Proven(_) if self.options.force_pin_change => {
                Err(if legacy { Failure::PIN_INVALID } else { Failure::PIN_POLICY_VIOLATION })
            }
            Step::Proven(verified) => self.grant(run, now, request, permissions, verified, false),
            Step::Agreed => Err(Failure::OTHER),
        }
    }

    /// Issues a token to a user who was `verified`.
    fn grant(
        &mut self,
        run: &Run,
        now: Instant,
        request: &Request<'_>,
        permissions: Permissions,
        verified: UserVerified,
        user_present: bool,
    ) -> Result<Answer, Failure> {
        let shared = run.agreed()?;
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
        let mut out = [0; ENCRYPTED_TOKEN];
        let len =
            shared.encrypt(&self.crypto, &mut self.rng, token.as_bytes(), &mut out).map_err(|_| Failure::OTHER)?;
        Ok(Answer::Token(out, len))
    }

    /// getPinUvAuthTokenUsingUvWithPermissions.
    fn get_token_using_uv(
        &mut self,
        run: &mut Run,
        now: Instant,
        cause: Trigger,
        request: &Request<'_>,
    ) -> Result<Answer, Failure> {
        let key = required(request.key_agreement)?;
        let permissions = self.permissions_asked(request, false)?;
        let protocol = self.required_protocol(request)?;
        match (run.step, cause.verified()) {
            (Step::Agree, _) => {
                self.check_permissions(request, permissions, false)?;
                if !self.uv_is_configured() {
                    return Err(Failure::NOT_ALLOWED);
                }
                if self.uv_retries() == 0 {
                    return Err(Failure::UV_BLOCKED);
                }
                self.agree(run, protocol, &key, Step::Agreed)
            }
            (Step::Agreed, None) => self.start_verification(true).map(Answer::Next),
            (Step::Agreed, Some(verified)) => {
                let present = self.presence(Some(verified), None).is_some_and(UserPresent::holds);
                self.grant(run, now, request, permissions, verified, present)
            }
            (Step::Count | Step::Compare(_) | Step::Proven(_), _) => Err(Failure::OTHER),
        }
    }

    /// Agrees on a secret with the platform.
    fn agree(
        &self,
        run: &mut Run,
        protocol: PinUvAuthProtocol,
        key: &CoseKey<'_>,
        next: Step,
    ) -> Result<Answer, Failure> {
        run.shared = Some(self.decapsulate(protocol, key)?);
        run.step = next;
        Ok(Answer::Next(Next::Work))
    }

    fn permissions_asked(&self, request: &Request<'_>, legacy: bool) -> Result<Permissions, Failure> {
        if legacy {
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
        // Without a key of ours, the platform cannot have agreed on anything.
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
