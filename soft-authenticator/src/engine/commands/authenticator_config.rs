//! authenticatorConfig (CTAP 2.3 §6.11). Each subcommand is one commit.

use keyfob_core::{
    Failure, Instant,
    ctap2::config::{Request, SetMinPinLength, VendorPrototype, authenticated_head, subcommand},
    pin_uv::{Permissions, Token},
};

use crate::engine::{
    authenticator::{Authenticator, crypto_status},
    call::{Call, Outcome, decode, ok, valid},
    platform::Platform,
    state::StoredOptions,
};
use crate::{
    caps::Caps,
    store::{Change, Setting},
};

/// How many relying parties may learn the shortest PIN: maxRPIDsForSetMinPINLength.
pub const MAX_RP_IDS: usize = 8;
/// SHA-256 of an RP ID, in bytes.
const RP_ID_HASH: usize = 32;

/// The subcommands, in ascending order.
pub const SUBCOMMANDS: [u32; 5] = [
    subcommand::ENABLE_ENTERPRISE_ATTESTATION,
    subcommand::TOGGLE_ALWAYS_UV,
    subcommand::SET_MIN_PIN_LENGTH,
    subcommand::ENABLE_LONG_TOUCH_FOR_RESET,
    subcommand::VENDOR_PROTOTYPE,
];

#[inline(never)]
pub fn step<P: Platform>(call: &mut Call<'_, '_, P>) -> Outcome {
    if !call.authenticator.has(Caps::CONFIG) {
        return Err(Failure::INVALID_COMMAND);
    }
    let request = decode(call.message, call.request);
    let request: &Request<'_> = valid(&request)?;
    call.authenticator.configure(call.now, request)?;
    ok(call.message)
}

impl<P: Platform> Authenticator<'_, P> {
    /// Whether there is this subcommand of authenticatorConfig.
    pub fn has_config_subcommand(&self, number: u32) -> bool {
        match number {
            subcommand::ENABLE_ENTERPRISE_ATTESTATION => self.is_enterprise_capable(),
            subcommand::TOGGLE_ALWAYS_UV => self.has(Caps::ALWAYS_UV),
            subcommand::SET_MIN_PIN_LENGTH => self.has(Caps::CLIENT_PIN),
            subcommand::ENABLE_LONG_TOUCH_FOR_RESET => self.has(Caps::LONG_TOUCH_FOR_RESET),
            subcommand::VENDOR_PROTOTYPE => !self.config.vendor_commands.is_empty(),
            _ => false,
        }
    }

    /// Whether management commands that an unprotected authenticator takes from anyone need a token.
    pub fn needs_token(&self) -> bool {
        self.is_protected() || self.always_uv()
    }

    fn configure(&mut self, now: Instant, request: &Request<'_>) -> Result<(), Failure> {
        let number = request.sub_command;
        if !self.has_config_subcommand(number) {
            return Err(Failure::INVALID_SUBCOMMAND);
        }
        // With alwaysUv and neither PIN nor fingerprint, no token can be issued: so it can be switched off without one.
        let locked_out = number == subcommand::TOGGLE_ALWAYS_UV && !self.is_protected();
        if self.needs_token() && !locked_out {
            let params = request.sub_command_params.map_or(&[][..], |params| params.0);
            let message: [&[u8]; 2] = [&authenticated_head(number), params];
            self.authorize(now, request.pin_uv_auth_param, request.pin_uv_auth_protocol, &message, Permissions::ACFG)?;
        }
        let mut options = self.options;
        match number {
            subcommand::ENABLE_ENTERPRISE_ATTESTATION => options.enterprise_attestation = true,
            subcommand::TOGGLE_ALWAYS_UV => options.always_uv = !options.always_uv,
            subcommand::ENABLE_LONG_TOUCH_FOR_RESET => options.long_touch_for_reset = true,
            subcommand::SET_MIN_PIN_LENGTH => return self.set_min_pin_length(request),
            _ => return self.vendor_prototype(request),
        }
        self.set_options(options, &[], false)
    }

    fn set_min_pin_length(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        if request.sub_command_params.is_none() {
            return Err(Failure::MISSING_PARAMETER);
        }
        let params = request.params();
        let params: &SetMinPinLength<'_> = valid(&params)?;
        let mut options = self.options;
        if let Some(length) = params.new_min_pin_length {
            let longest = self.config.max_pin_length;
            let allowed = u8::try_from(length).ok().filter(|new| (options.min_pin_length..=longest).contains(new));
            options.min_pin_length = allowed.ok_or(Failure::PIN_POLICY_VIOLATION)?;
        }
        if params.force_change_pin == Some(true) && !self.pin.is_set {
            return Err(Failure::PIN_NOT_SET);
        }
        if let (true, Some(enforced)) = (self.has(Caps::PIN_COMPLEXITY), params.pin_complexity_policy) {
            if options.pin_complexity && !enforced {
                return Err(Failure::PIN_POLICY_VIOLATION); // like the length, it is not loosened
            }
            options.pin_complexity = enforced;
        }
        let mut hashes = [0; MAX_RP_IDS * RP_ID_HASH];
        let mut len = 0usize;
        if let Some(rp_ids) = &params.min_pin_length_rp_ids {
            for rp_id in rp_ids {
                let place = hashes.get_mut(len..).and_then(<[u8]>::first_chunk_mut);
                *place.ok_or(Failure::KEY_STORE_FULL)? = self.hash_rp_id(rp_id.as_str());
                len = len.saturating_add(RP_ID_HASH);
            }
        }
        // Whether the PIN is as the policy says only shows when it is set: not before a change that is still due.
        let demanded = params.pin_complexity_policy == Some(true) && options.force_pin_change;
        let stricter = options.pin_complexity && (demanded || !self.options.pin_complexity);
        let forced = params.force_change_pin == Some(true)
            || (self.pin.is_set && (stricter || self.stored_pin()?.1 < options.min_pin_length));
        options.force_pin_change |= forced;
        self.set_options(options, hashes.get(..len).ok_or(Failure::OTHER)?, forced)
    }

    /// Puts `options` in force, and the list of relying parties unless it is empty. A change of PIN that this command
    /// forces voids all tokens, the persistent one too, also when a change was forced before: built-in user
    /// verification may have given a token since.
    fn set_options(&mut self, options: StoredOptions, rp_ids: &[u8], forced: bool) -> Result<(), Failure> {
        if options == self.options && rp_ids.is_empty() && !forced {
            return Ok(());
        }
        let stored = options.to_bytes();
        let token = Token::generate(&mut self.rng).map_err(crypto_status)?;
        if forced {
            self.token.stop_using(); // first: a commit that fails may have been made
        }
        self.commit_or_reload(&[
            Some(Change::Set(Setting::Options, &stored)),
            forced.then(|| Change::Set(Setting::PersistentToken, token.as_bytes())),
            (!rp_ids.is_empty()).then_some(Change::Set(Setting::MinPinRpIds, rp_ids)),
        ])?;
        self.options = options;
        Ok(())
    }

    fn vendor_prototype(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        let params: VendorPrototype = request.params()?;
        if !self.config.vendor_commands.contains(&params.vendor_command_id) {
            return Err(Failure::INVALID_PARAMETER);
        }
        let raw = request.sub_command_params.map_or(&[][..], |params| params.0);
        P::vendor_command(&mut self.store, params.vendor_command_id, raw)
    }
}
