//! `keyfob udev-rules`: the user at the machine may open security keys.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{Failure, Kind};
use crate::say;

/// The rule that lets the user at the machine, and the group `plugdev`, open security keys.
const RULES: &str = include_str!("../../udev/70-keyfob.rules");
const FILE: &str = "70-keyfob.rules";
/// Where an administrator's rules are.
const FOLDER: &str = "/etc/udev/rules.d";

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// Installs them, and lets udev apply them to the keys that are plugged in. Takes the rights of root.
    #[arg(long)]
    install: bool,
    /// Installs them in this folder, for a package, and does not call udev.
    #[arg(long, value_name = "FOLDER", requires = "install")]
    folder: Option<PathBuf>,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// # Errors
/// The file cannot be written; udev does not take it.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.install {
        let rules = RULES.trim_end();
        if arguments.json {
            say(format_args!("{}", json!({ "rules": RULES })))
        } else {
            say(format_args!("{rules}"))
        }
        return Ok(());
    }
    let folder = arguments.folder.as_deref().unwrap_or(Path::new(FOLDER));
    let path = folder.join(FILE);
    fs::write(&path, RULES).map_err(|error| unwritten(&path, &error))?;
    let name = path.display().to_string();
    if arguments.folder.is_none() {
        for call in [&["control", "--reload"][..], &["trigger", "--subsystem-match=hidraw"]] {
            apply(&name, call)?;
        }
    }
    if arguments.json {
        say(format_args!("{}", json!({ "installed": name })));
    } else {
        say(format_args!("Installed {name}."));
    }
    Ok(())
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let what = match error.kind() {
        io::ErrorKind::PermissionDenied => "you may not: run this with sudo".to_owned(),
        io::ErrorKind::NotFound => "its folder is missing: is this a system with udev?".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(Kind::BadInput, format_args!("{} cannot be written: {what}", path.display()))
}

/// Calls udevadm.
fn apply(installed: &str, call: &[&str]) -> Result<(), Failure> {
    let problem = match Command::new("udevadm").args(call).output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "),
        Err(error) => error.to_string(),
    };
    let call = call.join(" ");
    let message = format!(
        "{installed} is installed, and `udevadm {call}` failed: {problem}. Plug the key in again, or restart the machine"
    );
    Err(Failure::new(Kind::Other, message))
}
