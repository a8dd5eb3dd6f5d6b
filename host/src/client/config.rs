//! `keyfob config`: settings of a key.

use keyfob_core::{
    cbor::{List, Text},
    client::manage::{ConfigSubcommand, Configure, GetInfo},
    ctap2::{config::SetMinPinLength, get_info::Response},
};
use serde_json::json;

use super::{Errand, Failure, KeyArguments, Meant};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone)]
enum Action {
    /// Switches on or off that every use takes the PIN or a finger.
    AlwaysVerify {
        /// What is wanted.
        #[arg(value_enum)]
        state: Switch,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Sets the shortest PIN. It can be made longer only, until the next reset; a PIN that is shorter has to be changed.
    MinPinLength {
        /// How many characters. Without this the length stays as it is.
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(4..=63), required_unless_present = "rp")]
        length: Option<u32>,
        /// A site that may learn this length. May be given several times; they replace the sites before.
        #[arg(long, value_name = "RP_ID")]
        rp: Vec<String>,
        /// Does not ask whether only a reset is to make it shorter again.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Makes the key insist on another PIN before it is used again.
    ForcePinChange(KeyArguments),
    /// Enables enterprise attestation, until the next reset.
    EnterpriseAttestation(KeyArguments),
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Arguments {
    const fn key(&self) -> &KeyArguments {
        let (Action::AlwaysVerify { key, .. }
        | Action::MinPinLength { key, .. }
        | Action::ForcePinChange(key)
        | Action::EnterpriseAttestation(key)) = &self.action;
        key
    }

    pub const fn is_json(&self) -> bool {
        self.key().json
    }
}

fn is_able(info: &Response<'_>) -> bool {
    info.options.unwrap_or_default().authnr_cfg == Some(true)
}

/// # Errors
/// The user is not verified; the key does not have the setting.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut errand = Errand::begin_with(arguments.key(), &Meant::Able(is_able))?;
    match &arguments.action {
        Action::AlwaysVerify { state, .. } => {
            let is_on = errand.run(GetInfo, |_| ())?.options.unwrap_or_default().always_uv;
            // The command of the standard only knows how to change it.
            if is_on != Some(*state == Switch::On) {
                errand.run(Configure::new(ConfigSubcommand::ToggleAlwaysUv), |_| ())?;
            }
        }
        Action::MinPinLength { length, rp, yes, .. } => {
            if let Some(length) = length.filter(|_| !yes) {
                let loss = format!("PINs of this key will have at least {length} characters. Only a reset ends that.");
                errand.user.agrees(&loss)?;
            }
            let sites: Vec<Text<'_>> = rp.iter().map(|rp| Text::new(rp)).collect();
            let setting = SetMinPinLength {
                new_min_pin_length: *length,
                min_pin_length_rp_ids: (!sites.is_empty()).then_some(List::Slice(&sites)),
                ..SetMinPinLength::default()
            };
            errand.run(Configure::new(ConfigSubcommand::MinPinLength(setting)), |_| ())?;
        }
        Action::ForcePinChange(_) => {
            let setting = SetMinPinLength { force_change_pin: Some(true), ..SetMinPinLength::default() };
            errand.run(Configure::new(ConfigSubcommand::MinPinLength(setting)), |_| ())?;
        }
        Action::EnterpriseAttestation(_) => {
            errand.run(Configure::new(ConfigSubcommand::EnterpriseAttestation), |_| ())?;
        }
    }
    if !arguments.is_json() {
        say(format_args!("Done."));
        return Ok(());
    }
    let info = errand.run(GetInfo, |_| ())?;
    let options = info.options.unwrap_or_default();
    let object = json!({
        "alwaysUv": options.always_uv,
        "ep": options.ep,
        "minPinLength": info.min_pin_length,
        "forcePinChange": info.force_pin_change,
    });
    say(format_args!("{object}"));
    Ok(())
}
