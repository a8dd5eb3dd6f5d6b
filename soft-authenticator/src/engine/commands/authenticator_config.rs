//! authenticatorConfig (CTAP 2.3 §6.11). Each subcommand is one commit.

use keyfob_core::{
    Instant, Status, cbor,
    ctap2::config::{Request, SetMinPinLength, VendorPrototype, authenticated_head, subcommand},
    pin_uv::{Permissions, Token},
};

use crate::engine::{
    authenticator::{Authenticator, crypto_status},
    call::{Call, Outcome, decode, ok},
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

/// The standard's subcommands, and the capability that each takes.
const SUBCOMMANDS: [(u32, Caps); 4] = [
    (subcommand::ENABLE_ENTERPRISE_ATTESTATION, Caps::ENTERPRISE_ATTESTATION),
    (subcommand::TOGGLE_ALWAYS_UV, Caps::ALWAYS_UV),
    (subcommand::SET_MIN_PIN_LENGTH, Caps::CLIENT_PIN),
    (subcommand::ENABLE_LONG_TOUCH_FOR_RESET, Caps::LONG_TOUCH_FOR_RESET),
];

#[inline(never)]
pub fn step<P: Platform>(call: &mut Call<'_, '_, P>) -> Outcome {
    if !call.authenticator.has(Caps::CONFIG) {
        return Err(Status::INVALID_COMMAND);
    }
    let request: Request<'_> = decode(call.message, call.request)?;
    call.authenticator.configure(call.now, &request)?;
    ok(call.message)
}

impl<P: Platform> Authenticator<'_, P> {
    /// The subcommands of authenticatorConfig that there are, in ascending order.
    pub fn config_subcommands(&self) -> impl Iterator<Item = u32> {
        let vendor = (!self.config.vendor_commands.is_empty()).then_some(subcommand::VENDOR_PROTOTYPE);
        let enterprise = self.is_enterprise_capable();
        let there = move |number: &u32| *number != subcommand::ENABLE_ENTERPRISE_ATTESTATION || enterprise;
        let listed = SUBCOMMANDS.iter().filter(|(_, caps)| self.has(*caps)).map(|(number, _)| *number).filter(there);
        listed.chain(vendor)
    }

    /// Whether management commands that an unprotected authenticator takes from anyone need a token.
    pub fn needs_token(&self) -> bool {
        self.is_protected() || self.always_uv()
    }

    fn configure(&mut self, now: Instant, request: &Request<'_>) -> Result<(), Status> {
        let number = request.sub_command;
        if !self.config_subcommands().any(|listed| listed == number) {
            return Err(Status::INVALID_SUBCOMMAND);
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

    fn set_min_pin_length(&mut self, request: &Request<'_>) -> Result<(), Status> {
        if request.sub_command_params.is_none() {
            return Err(Status::MISSING_PARAMETER);
        }
        let params: SetMinPinLength<'_> = request.params().map_err(cbor::Error::status)?;
        let mut options = self.options;
        if let Some(length) = params.new_min_pin_length {
            let longest = self.config.max_pin_length;
            let allowed = u8::try_from(length).ok().filter(|new| (options.min_pin_length..=longest).contains(new));
            options.min_pin_length = allowed.ok_or(Status::PIN_POLICY_VIOLATION)?;
        }
        if params.force_change_pin == Some(true) && !self.pin.is_set {
            return Err(Status::PIN_NOT_SET);
        }
        if let (true, Some(enforced)) = (self.has(Caps::PIN_COMPLEXITY), params.pin_complexity_policy) {
            if options.pin_complexity && !enforced {
                return Err(Status::PIN_POLICY_VIOLATION); // like the length, it is not loosened
            }
            options.pin_complexity = enforced;
        }
        let mut hashes = [0; MAX_RP_IDS * RP_ID_HASH];
        let mut places = hashes.as_chunks_mut::<RP_ID_HASH>().0.iter_mut();
        let mut len = 0usize;
        for rp_id in params.min_pin_length_rp_ids.iter().flatten() {
            let place = places.next().ok_or(Status::KEY_STORE_FULL)?;
            *place = self.hash_rp_id(rp_id.as_str());
            len = len.saturating_add(RP_ID_HASH);
        }
        // Whether the PIN is as the policy says only shows when it is set: not before a change that is still due.
        let demanded = params.pin_complexity_policy == Some(true) && options.force_pin_change;
        let stricter = options.pin_complexity && (demanded || !self.options.pin_complexity);
        let forced = params.force_change_pin == Some(true)
            || (self.pin.is_set && (stricter || self.stored_pin()?.1 < options.min_pin_length));
        options.force_pin_change |= forced;
        self.set_options(options, hashes.get(..len).ok_or(Status::OTHER)?, forced)
    }

    /// Puts `options` in force, and the list of relying parties unless it is empty. A change of PIN that this command
    /// forces voids all tokens, the persistent one too, also when a change was forced before: built-in user
    /// verification may have given a token since.
    fn set_options(&mut self, options: StoredOptions, rp_ids: &[u8], forced: bool) -> Result<(), Status> {
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

    fn vendor_prototype(&mut self, request: &Request<'_>) -> Result<(), Status> {
        let params: VendorPrototype = request.params().map_err(cbor::Error::status)?;
        if !self.config.vendor_commands.contains(&params.vendor_command_id) {
            return Err(Status::INVALID_PARAMETER);
        }
        let raw = request.sub_command_params.map_or(&[][..], |params| params.0);
        P::vendor_command(&mut self.store, params.vendor_command_id, raw)
    }
}
