//! `keyfob pin`: set, change, status.

use keyfob_core::{
    client::manage::{ChangePin, GetInfo, Retries, SetPin, VerifyPin},
    ctap2::get_info::Response,
};
use serde_json::json;

use super::{Errand, Failure, KeyArguments, Meant, info::pin_state};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone)]
enum Action {
    /// Sets the first PIN.
    ///
    /// With --json: {"pin": "set"}.
    Set(KeyArguments),
    /// Changes the PIN.
    ///
    /// With --json: {"pin": "changed"}.
    Change(KeyArguments),
    /// Checks a PIN. A right one resets the attempts.
    ///
    /// With --json: {"pin": "verified"}.
    Verify(KeyArguments),
    /// Shows whether a PIN is set, and how many attempts are left.
    ///
    /// With --json: {"set", "retries", "powerCycle", "minLength", "mustChange"}. `set` is null where the key takes no PIN,
    /// `retries` where it has none.
    Status(KeyArguments),
}

impl Arguments {
    pub const fn is_json(&self) -> bool {
        let (Action::Set(key) | Action::Change(key) | Action::Verify(key) | Action::Status(key)) = &self.action;
        key.json
    }
}

fn has_pin(info: &Response<'_>) -> Option<bool> {
    info.options.unwrap_or_default().client_pin
}

/// An errand with a key that has a PIN.
fn with_pin(key: &KeyArguments) -> Result<Errand, Failure> {
    Errand::begin_with(key, &Meant::Able(|info| has_pin(info) == Some(true)))
}

/// # Errors
/// The PIN was not set; the key cannot be asked.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::Set(key) => {
            Errand::begin_with(key, &Meant::Able(|info| has_pin(info) == Some(false)))?.run(SetPin, |_| ())?;
            told(key.json, "set", "The PIN is set.");
        }
        Action::Change(key) => {
            with_pin(key)?.run(ChangePin, |_| ())?;
            told(key.json, "changed", "The PIN is changed.");
        }
        Action::Verify(key) => {
            with_pin(key)?.run(VerifyPin, |_| ())?;
            told(key.json, "verified", "The PIN is right.");
        }
        Action::Status(key) => status(key)?,
    }
    Ok(())
}

fn told(is_json: bool, what: &str, text: &str) {
    if is_json { say(format_args!("{}", json!({ "pin": what }))) } else { say(format_args!("{text}")) }
}

fn status(key: &KeyArguments) -> Result<(), Failure> {
    let mut errand = Errand::begin(key)?;
    // Without a PIN there are no attempts to ask for.
    let left = errand.run(Retries::of_pin(), |_| ()).ok();
    let retries = left.map(|left| left.retries);
    let info = errand.run(GetInfo, |_| ())?;
    let set = info.options.unwrap_or_default().client_pin;
    let power_cycle = left.and_then(|left| left.power_cycle) == Some(true);
    if key.json {
        let object = json!({
            "set": set,
            "retries": retries.filter(|_| set == Some(true)),
            "powerCycle": power_cycle,
            "minLength": info.min_pin_length,
            "mustChange": info.force_pin_change == Some(true),
        });
        say(format_args!("{object}"));
        return Ok(());
    }
    let unplug = if power_cycle { ": unplug the key and plug it in before the next attempt" } else { "" };
    say(format_args!("PIN: {}{unplug}", pin_state(&info, retries)));
    Ok(())
}
