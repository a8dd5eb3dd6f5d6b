//! `keyfob run`: a command that sees a virtual key as a HID device.

use std::{ffi::OsString, process::ExitCode};

use crate::{control::ControlArguments, key::KeyArguments, serve::ToldArguments};

#[cfg(target_os = "linux")]
pub mod directory;
#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(target_os = "linux")]
pub mod monitors;
#[cfg(target_os = "linux")]
pub mod program;

/// What the virtual key is, and who sees it.
#[derive(clap::Args, Clone)]
#[command(mut_arg("profile", |profile| profile.default_value("workstation")))]
pub struct Arguments {
    #[command(flatten)]
    key: KeyArguments,
    /// Write the key's events to the standard error. --json and --trace imply this.
    #[arg(long)]
    events: bool,
    #[command(flatten)]
    told: ToldArguments,
    #[command(flatten)]
    control: ControlArguments,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command with a key, and returns its exit status.
///
/// # Errors
/// What the user has to know, in a line.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    #[cfg(target_os = "linux")]
    return linux::run(arguments);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = &arguments.command;
        Err("`keyfob run` works on Linux only".into())
    }
}
