//! `keyfob select`: which key is touched.

use keyfob_core::client::manage::Selection;
use serde_json::json;

use super::{Errand, Failure, KeyArguments};
use crate::say;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    #[command(flatten)]
    pub key: KeyArguments,
}

/// # Errors
/// No key was touched.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut errand = Errand::begin(&arguments.key)?;
    // Of several keys one was touched already.
    if !errand.was_touched {
        errand.run(Selection::new(), |_| ())?;
    }
    let address = errand.address.to_string();
    if arguments.key.json {
        say(format_args!("{}", json!({ "address": address })));
    } else {
        say(format_args!("{address}"));
    }
    Ok(())
}
