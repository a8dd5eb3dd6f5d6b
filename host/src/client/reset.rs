//! `keyfob reset`: erases everything on a key.

use keyfob_core::{
    Status,
    client::manage::{GetInfo, Reset},
    ctap2::get_info::Response,
};
use serde_json::json;

use super::{Errand, Failure, KeyArguments, Kind, Meant};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// Does not ask whether everything is to be erased.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pub key: KeyArguments,
}

/// # Errors
/// The user does not agree; the key refuses.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut errand = Errand::begin_with(&arguments.key, &Meant::Able(|info| !is_old(info)))?;
    // A key of U2F alone has no command for it.
    let info = errand.run(GetInfo, |_| ())?;
    let long_touch = info.long_touch_for_reset == Some(true);
    if is_old(&info) {
        return Err(Failure::new(Kind::Unsupported, "this key speaks U2F only, and has no reset"));
    }
    if !arguments.yes {
        let address = &errand.address;
        let loss = format!(
            "This erases all credentials, the PIN and the fingerprints on {address}. Accounts that have no other way to \
             sign in are lost."
        );
        errand.user.agrees(&loss)?;
    }
    if long_touch {
        eprintln!("This key wants a long touch: about ten seconds.");
    }
    errand.run(Reset, |_| ()).map_err(refused)?;
    if arguments.key.json {
        say(format_args!("{}", json!({ "reset": true })));
    } else {
        say(format_args!("The key is reset: everything on it is erased."));
    }
    Ok(())
}

/// Whether a key speaks U2F alone.
fn is_old(info: &Response<'_>) -> bool {
    info.versions.iter().all(|version| version == "U2F_V2")
}

/// Keys take a reset only soon after they were plugged in.
fn refused(failure: Failure) -> Failure {
    if failure.status != Some(Status::NOT_ALLOWED) {
        return failure;
    }
    let message =
        "the key takes a reset only in the first 10 seconds: unplug it, plug it in, and run this again at once";
    Failure::new(Kind::Other, message)
}
