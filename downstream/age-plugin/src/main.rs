//! `age-plugin-keyfob`: files that only a security key opens.
//!
//! ```text
//! age-plugin-keyfob > identity                               makes a credential, at the key
//! age -r age1keyfob1… secrets.txt > secrets.age              a touch
//! age -d -i identity secrets.age                             a touch
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `credential.rs` | what an identity and a recipient say, and how a file's key is wrapped |
//! | `key.rs` | the key on the desk: a new credential, a secret of one |
//! | `plugin.rs` | age's questions and their answers |
//!
//! Each file has a salt of its own, and the key makes a secret of it (extension hmac-secret, CTAP 2.3 §12.7). So it is
//! asked to encrypt as well, and who has seen one secret opens one file. The key is the one that is plugged in, or that
//! of `KEYFOB_KEY`: `/dev/hidrawN`, `tcp:HOST:PORT` or `unix:PATH`.

mod credential;
mod key;
mod plugin;

use std::process::ExitCode;

use clap::Parser;

use crate::{credential::Credential, key::Terminal, plugin::Handler};

/// The plugin's name, as age has it: `age-plugin-NAME`, `age1NAME1…`.
const NAME: &str = "keyfob";

/// Makes an identity for age at a security key, and prints it.
#[derive(Parser)]
struct Arguments {
    /// What age says when it wants something of a plugin.
    #[arg(long, value_name = "STATE-MACHINE", hide = true)]
    age_plugin: Option<String>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().age_plugin {
        Some(state_machine) => {
            age_plugin::run_state_machine(&state_machine, Handler).map_err(|error| error.to_string())
        }
        None => key::register(&mut Terminal).map(|credential: Credential| {
            let bytes = credential.to_bytes();
            age_plugin::print_new_identity(NAME, &bytes, &bytes);
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("age-plugin-keyfob: {message}");
            ExitCode::FAILURE
        }
    }
}
