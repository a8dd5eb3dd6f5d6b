//! Settings of the authenticator (CTAP 2.3 §6.11).

use core::{convert::Infallible, time::Duration};

use crate::{
    cbor::{List, RawMap, Write},
    client::{
        Cause, DEFAULT_TIMEOUT, InvalidOption, Requirement,
        facts::{Facts, Purpose},
        operation::{First, Forgets, Operation},
        question::Question,
    },
    ctap2::{
        Command,
        config::{SetMinPinLength, VendorPrototype, subcommand},
        get_info, response_body,
    },
    pin_uv::Permissions,
};

/// A subcommand of authenticatorConfig (CTAP 2.3 §6.11), with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConfigSubcommand<'o> {
    /// Enables enterprise attestation, until the next reset.
    EnterpriseAttestation,
    /// Turns user verification for every operation on, or off.
    ToggleAlwaysUv,
    /// The shortest PIN, who may learn it, whether the PIN must be changed, and the complexity policy.
    MinPinLength(SetMinPinLength<'o>),
    /// Makes a reset need a long touch (2.2).
    LongTouchForReset,
    /// A vendor's own: its parameters, a map with the command's number under key 1.
    Vendor(RawMap<'o>),
}

impl ConfigSubcommand<'_> {
    const fn sub_command(&self) -> u32 {
        match self {
            Self::EnterpriseAttestation => subcommand::ENABLE_ENTERPRISE_ATTESTATION,
            Self::ToggleAlwaysUv => subcommand::TOGGLE_ALWAYS_UV,
            Self::MinPinLength(_) => subcommand::SET_MIN_PIN_LENGTH,
            Self::LongTouchForReset => subcommand::ENABLE_LONG_TOUCH_FOR_RESET,
            Self::Vendor(_) => subcommand::VENDOR_PROTOTYPE,
        }
    }

    fn params(&self) -> Option<&dyn Write> {
        match self {
            Self::MinPinLength(params) => Some(params),
            Self::Vendor(params) => Some(params),
            _ => None,
        }
    }

    fn is_supported(&self, info: &get_info::Response<'_>) -> bool {
        let options = info.options.unwrap_or_default();
        let among = |listed: List<'_, u32>| listed.iter().any(|listed| listed == self.sub_command());
        let is_listed = info.authenticator_config_commands.is_none_or(among);
        let can = match self {
            Self::EnterpriseAttestation => options.ep.is_some(),
            Self::ToggleAlwaysUv => options.always_uv.is_some(),
            Self::MinPinLength(_) => options.set_min_pin_length == Some(true),
            Self::LongTouchForReset => info.long_touch_for_reset.is_some(),
            Self::Vendor(params) => match (params.decode::<VendorPrototype>(), info.vendor_prototype_config_commands) {
                (Ok(params), Some(listed)) => listed.iter().any(|listed| listed == params.vendor_command_id),
                _ => false,
            },
        };
        options.authnr_cfg == Some(true) && is_listed && can
    }
}

/// Changes a setting.
#[derive(Clone, Copy, Debug)]
pub struct Configure<'o>(ConfigSubcommand<'o>);

impl<'o> Configure<'o> {
    /// `setting` to be changed.
    pub const fn new(setting: ConfigSubcommand<'o>) -> Self {
        Self(setting)
    }
}

impl Operation for Configure<'_> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;
    const PURPOSE: Purpose<'static> = Purpose::manage(Permissions::ACFG, Requirement::Preferred);

    fn check(&self) -> Result<Duration, Cause> {
        match self.0 {
            ConfigSubcommand::Vendor(params) if params.decode::<VendorPrototype>().is_err() => {
                Err(Cause::InvalidOption(InvalidOption::VendorParameters))
            }
            _ => Ok(DEFAULT_TIMEOUT),
        }
    }

    fn examine(&mut self, info: &get_info::Response<'_>, _: &Facts) -> Result<First, Cause> {
        if !self.0.is_supported(info) {
            return Err(Cause::Unsupported);
        }
        if let ConfigSubcommand::MinPinLength(SetMinPinLength { min_pin_length_rp_ids: Some(ids), .. }) = &self.0
            && let Some(limit) = info.max_rp_ids_for_set_min_pin_length
            && ids.len() > limit
        {
            return Err(Cause::ListTooLong { count: ids.len(), limit });
        }
        Ok(First::Authorize)
    }

    fn question(&self, _: &Facts) -> Result<Question<'_>, Cause> {
        Ok(Question::Subcommand(Command::CONFIG, self.0.sub_command(), self.0.params()))
    }

    fn outcome(&mut self, response: &[u8]) -> Result<(), Cause> {
        Ok(response_body(response).map(drop)?)
    }
}
